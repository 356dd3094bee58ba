//! A service that was taken over: a process with the service's rights changes everything that it may
//! change, as fast as it can, while root installs, upgrades, goes back, repairs and removes. What
//! does not belong to the service stays as it is, and no content of it comes into the service's hands.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags};
use tempfile::TempDir;

use crate::crash::{purge, recover, uninstall};
use crate::crash_upgrade::rollback;
use crate::support::installer::{Root, STATE, Tree, Vendor, run, said, summary};

/// As many changes must fall into the runs.
const SWAPS: u64 = 10_000;
/// In so many rounds: in each third of them it goes to other places.
const ROUNDS: usize = 9;
/// No run may take longer: the attacker must not keep it waiting.
const PATIENCE: Duration = Duration::from_secs(60);
/// Rounds go on until there were enough changes, but not longer than this.
const LONGEST: Duration = Duration::from_secs(150);
/// What only root may know.
const SECRET: &str = "that-is-nobody's-business";
const ROOT: &str = "DEMISTO_TEST_ATTACKED";
const OUTSIDE: &str = "DEMISTO_TEST_OUTSIDE";
const WHERE: &str = "DEMISTO_TEST_WHERE";
/// Where in its standard output the attacker tells its changes: behind what a test program says.
const COUNT_AT: u64 = 4096;
const SEED: &str = "DEMISTO_TEST_SEED";

/// The attacker's side.
struct Attack {
    outside: PathBuf,
    root: PathBuf,
    /// The places that it goes to.
    places: Vec<&'static str>,
    held: Vec<OwnedFd>,
    state: u64,
}

/// Directories of the service outside the tree. What was opened is held, wherever it is moved.
const DATA: [&str; 3] = ["var/lib/demisto", "var/log/demisto", "var/lib/demisto/deep"];
/// Those in the trees, when the release gives them to it.
const IN_TREES: [&str; 6] = [
    "usr/local/demisto/data",
    "usr/local/demisto/data/sub",
    "usr/local/.demisto.demisto-install/data",
    "usr/local/.demisto.demisto-install/data/sub",
    "usr/local/.demisto.retained/data",
    "usr/local/.demisto.retained/data/sub",
];
const NAMES: [&str; 9] = [
    "otc.conf.json",
    "install.log",
    "server.log",
    "state.json",
    "sub",
    "file",
    "new.json",
    "deep",
    "state.json.demisto-orig",
];
const HELD: usize = 48;
const CROWDED: usize = 30;

impl Attack {
    fn random(&mut self, below: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state >> 11).unwrap() % below
    }

    /// Opens what there is; what is held already stays.
    fn look_around(&mut self) {
        for place in &self.places {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            if let Ok(dir) = rustix::fs::open(self.root.join(place), flags, Mode::empty())
                && rustix::fs::fstat(&dir).is_ok_and(|stat| stat.st_uid == nix::unistd::geteuid().as_raw())
            {
                self.held.push(dir);
            }
        }
        let surplus = self.held.len().saturating_sub(HELD);
        self.held.drain(..surplus);
    }

    fn names(&self, dir: usize) -> Vec<String> {
        let Ok(entries) = rustix::fs::Dir::read_from(&self.held[dir]) else { return Vec::new() };
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name != "." && name != "..").collect()
    }

    /// One change; tells whether it worked.
    fn swap(&mut self) -> bool {
        let (here, there) = (self.random(self.held.len()), self.random(self.held.len()));
        let names = self.names(here);
        let name = match self.random(2) {
            0 if !names.is_empty() => names[self.random(names.len())].clone(),
            _ => NAMES[self.random(NAMES.len())].to_owned(),
        };
        let other = NAMES[self.random(NAMES.len())];
        let (kind, mode) = (self.random(11), [0o600, 0o644, 0o4755, 0o2755, 0o777, 0][self.random(6)]);
        let (dir, to) = (self.held[here].as_fd(), self.held[there].as_fd());
        if names.len() > CROWDED {
            return fs::remove_dir_all(format!("/proc/self/fd/{}/{name}", dir.as_raw_fd())).is_ok()
                || rustix::fs::unlinkat(dir, &name, AtFlags::empty()).is_ok();
        }
        let temp = ".planted";
        let _ = rustix::fs::unlinkat(dir, temp, AtFlags::empty());
        let planted = match kind {
            0 => rustix::fs::symlinkat(self.outside.join("secret"), dir, temp),
            1 => rustix::fs::symlinkat(self.outside.join("dir"), dir, temp),
            2 => rustix::fs::symlinkat(self.root.join("etc/shadow"), dir, temp),
            3 => rustix::fs::symlinkat(self.root.join(STATE), dir, temp),
            4 => {
                rustix::fs::linkat(rustix::fs::CWD, self.outside.join("secret"), dir, temp, AtFlags::empty())
                    .or_else(|_| rustix::fs::linkat(to, other, dir, temp, AtFlags::empty()))
            }
            5 => rustix::fs::mknodat(dir, temp, FileType::Fifo, Mode::from_raw_mode(0o666), 0),
            6 => {
                let deep = format!("/proc/self/fd/{}/{name}{}", dir.as_raw_fd(), "/d".repeat(9));
                return fs::create_dir_all(deep).is_ok();
            }
            7 | 8 => {
                let flags = if kind == 7 { RenameFlags::EXCHANGE } else { RenameFlags::empty() };
                return rustix::fs::renameat_with(dir, &name, to, other, flags).is_ok();
            }
            9 => {
                let path = format!("/proc/self/fd/{}/{temp}", dir.as_raw_fd());
                let made = fs::write(&path, "{\"mine\": true}").is_ok();
                let _ = rustix::fs::chmodat(dir, temp, Mode::from_raw_mode(mode), AtFlags::empty());
                if made { Ok(()) } else { Err(rustix::io::Errno::ACCESS) }
            }
            _ => {
                let mode = Mode::from_raw_mode([0o700, 0o777, 0o750][usize::try_from(mode % 3).unwrap()]);
                return rustix::fs::fchmod(dir, mode).is_ok();
            }
        };
        let put = |flags| rustix::fs::renameat_with(dir, temp, dir, &name, flags).is_ok();
        planted.is_ok() && (put(RenameFlags::EXCHANGE) || put(RenameFlags::empty()))
    }
}

/// Runs in a process of its own, with the service's rights, until it is killed. It tells on its
/// standard output, which is a file, how many changes it made.
#[test]
#[ignore = "it is the other side of the test below, which starts it"]
fn the_attacker() {
    let Some(root) = std::env::var_os(ROOT) else { return };
    let number = |name: &str| std::env::var(name).unwrap();
    let places = match number(WHERE).as_str() {
        "data" => DATA.to_vec(),
        "trees" => IN_TREES.to_vec(),
        _ => [&DATA[..], &IN_TREES[..]].concat(),
    };
    let mut attack = Attack {
        places,
        outside: number(OUTSIDE).into(),
        root: root.into(),
        held: Vec::new(),
        state: number(SEED).parse().unwrap(),
    };
    let told = File::from(std::io::stdout().as_fd().try_clone_to_owned().unwrap());
    let (mut swaps, mut turn) = (0_u64, 0_u64);
    loop {
        if turn % 16 == 0 || attack.held.is_empty() {
            attack.look_around();
        }
        turn += 1;
        if !attack.held.is_empty() && attack.swap() {
            swaps += 1;
            told.write_all_at(&swaps.to_le_bytes(), COUNT_AT).unwrap();
        }
    }
}

/// The attacker at work; ends with this value.
struct Attacker {
    process: Child,
    count: File,
}

impl Attacker {
    fn start(root: &Root, outside: &Path, uid: u32, seed: usize) -> Self {
        let count = tempfile::tempfile_in("/dev/shm").unwrap();
        // by this name a program runs whose own path the service may not enter
        let process = Command::new("/proc/self/exe")
            .args(["attacker::the_attacker", "--exact", "--ignored", "--nocapture", "--quiet"])
            .env_clear()
            .env(ROOT, root.path())
            .env(OUTSIDE, outside)
            .env(WHERE, ["everywhere", "data", "trees"][seed % 3])
            .env(SEED, (seed as u64 * 0x9e37_79b9 + 88_172_645_463_325_252).to_string())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(count.try_clone().unwrap())
            .uid(uid)
            .gid(uid)
            .spawn()
            .unwrap();
        Self { process, count }
    }

    fn swaps(&self) -> u64 {
        let mut bytes = [0; 8];
        let _ = self.count.read_at(&mut bytes, COUNT_AT).unwrap();
        u64::from_le_bytes(bytes)
    }

    /// Runs a command that must end in time with an exit code that it documents; tells how many
    /// changes fell into it.
    fn during(&self, command: &mut Command) -> (Output, u64) {
        let before = self.swaps();
        let (out, err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        command.stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap());
        let mut child = command.spawn().unwrap();
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > PATIENCE {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("{command:?} hangs: {}", text(&err));
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let output = Output { status, stdout: text(&out).into(), stderr: text(&err).into() };
        assert!(matches!(status.code(), Some(0..=5)), "{command:?}: {}", said(&output));
        assert!(!said(&output).contains(SECRET), "{}", said(&output));
        (output, self.swaps() - before)
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn text(file: &File) -> String {
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What lies outside and must never change.
fn canaries() -> TempDir {
    let outside = tempfile::Builder::new().prefix("outside-").tempdir_in("/dev/shm").unwrap();
    let put = |name: &str, mode: u32| {
        fs::write(outside.path().join(name), format!("{SECRET} {name}\n")).unwrap();
        fs::set_permissions(outside.path().join(name), Permissions::from_mode(mode)).unwrap();
    };
    fs::create_dir(outside.path().join("dir")).unwrap();
    put("secret", 0o600);
    put("dir/file", 0o600);
    put("dir/state.json", 0o600);
    put("dir/otc.conf.json", 0o600);
    for dir in ["", "dir"] {
        fs::set_permissions(outside.path().join(dir), Permissions::from_mode(0o755)).unwrap();
    }
    outside
}

/// Everything that can be seen of them.
fn seen(outside: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for dir in [outside.to_owned(), outside.join("dir")] {
        for path in fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).chain([dir.clone()]) {
            let meta = path.symlink_metadata().unwrap();
            let content = if meta.is_file() { fs::read_to_string(&path).unwrap() } else { String::new() };
            let times = (meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec());
            let about = format!(
                "{} {:o} {}:{} {} {times:?} {content}",
                meta.ino(),
                meta.mode(),
                meta.uid(),
                meta.gid(),
                meta.nlink()
            );
            found.insert(path, about);
        }
    }
    found
}

/// The release of the trials, with directories of the service.
fn served(tree: Tree, more: &str) -> Tree {
    for dir in ["data", "data/sub"] {
        tree.make_dir(dir);
        tree.give(dir, "0750");
    }
    for file in ["data/state.json", "data/sub/file", more] {
        tree.put(file, format!("{{\"of\": \"{file}\"}}\n").as_bytes());
        tree.give(file, "0640");
    }
    tree
}

fn bundles() -> &'static [PathBuf; 2] {
    static BUNDLES: OnceLock<[PathBuf; 2]> = OnceLock::new();
    BUNDLES.get_or_init(|| {
        let old = served(Tree::new(), "data/old.json").pack("served", &[]);
        [old, served(Tree::next(), "data/new.json").pack("served-next", &[])]
    })
}

fn install(root: &Path) -> Command {
    let vendor = Vendor::get();
    let mut command = run("install", root);
    command.arg(&bundles()[0]).arg("--key").arg(vendor.file("release.asc"));
    command.arg("--answers").arg(vendor.file("answers.json"));
    command.arg("--cert").arg(vendor.file("cert.pem")).arg("--cert-key").arg(vendor.file("cert.key"));
    command.arg("--admin-password-file").arg(vendor.file("password"));
    command
}

fn upgrade(root: &Path) -> Command {
    Vendor::get().upgrade(&bundles()[1], root)
}

fn repair(root: &Path) -> Command {
    let mut command = run("repair", root);
    command.arg("--yes").arg("--key").arg(Vendor::get().file("release.asc")).arg("--from").arg(&bundles()[0]);
    command
}

/// Moves what an uninstallation left, and what came to it, out of the way: an installation needs its
/// place.
fn clear(root: &Root, number: usize) {
    if root.at("usr/local/demisto").exists() {
        fs::rename(root.at("usr/local/demisto"), root.at(&format!("usr/local/moved-{number}"))).unwrap();
    }
}

/// What the service must not have got: root's files to read or write, or root's rights.
fn looted(root: &Root, uid: u32, secrets: &[u64]) -> Vec<String> {
    let mut found = Vec::new();
    for path in root.all_paths() {
        let meta = root.at(&path).symlink_metadata().unwrap();
        let (mode, roots) = (meta.mode() & 0o7777, meta.uid() == 0);
        let mut bad = |what: &str| found.push(format!("{path} ({mode:o}, {}): {what}", meta.uid()));
        if secrets.contains(&meta.ino()) {
            bad("a name of a file outside");
        }
        if roots && !meta.is_symlink() && mode & 0o022 != 0 {
            bad("root's, and others write it");
        }
        if roots && meta.is_file() && mode & 0o6000 != 0 {
            bad("root's and set-id");
        }
        if meta.is_file() && (meta.uid() == uid || mode & 0o004 != 0) {
            let content = fs::read(root.at(&path)).unwrap();
            if content.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()) {
                bad("holds a secret");
            }
        }
        let closed = [STATE, "etc/shadow", "etc/gshadow"].contains(&path.as_str());
        if (closed || path.starts_with(STATE)) && !roots || closed && mode & 0o007 != 0 {
            bad("private to root");
        }
    }
    found
}

#[test]
fn a_service_that_was_taken_over_reaches_nothing_else_as_root() {
    let model = Root::with_accounts();
    fs::set_permissions(model.path(), Permissions::from_mode(0o755)).unwrap();
    let output = install(model.path()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let uid = fs::metadata(model.at("var/lib/demisto")).unwrap().uid();
    assert_ne!(uid, 0);
    let outside = canaries();
    let before = seen(outside.path());
    let secrets: Vec<u64> = before.keys().map(|path| path.symlink_metadata().unwrap().ino()).collect();

    let (mut swaps, mut runs, mut rounds) = (0, 0, 0);
    let mut codes: BTreeMap<(String, i32), usize> = BTreeMap::new();
    let start = Instant::now();
    while (swaps < SWAPS || rounds < ROUNDS) && start.elapsed() < LONGEST {
        rounds += 1;
        let root = Root::copy(&model);
        let attacker = Attacker::start(&root, outside.path(), uid, rounds);
        let turns: [fn(&Path) -> Command; 11] = [
            upgrade, rollback, repair, upgrade, rollback, upgrade, uninstall, install, upgrade, purge,
            install,
        ];
        for turn in turns {
            let mut command = turn(root.path());
            let verb = command.get_args().next().unwrap().to_str().unwrap().to_owned();
            if verb == "install" {
                if !recover(&root).output().unwrap().status.success() {
                    break; // while the attacker is at it; nobody else may touch what is to be put back
                }
                clear(&root, runs);
            }
            let (output, during) = attacker.during(&mut command);
            swaps += during;
            runs += 1;
            *codes.entry((verb, output.status.code().unwrap())).or_default() += 1;
        }
        drop(attacker);
        let output = recover(&root).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(looted(&root, uid, &secrets), [""; 0]);
        assert_eq!(seen(outside.path()), before);
    }
    let told: Vec<String> =
        codes.iter().map(|((verb, code), count)| format!("{verb} ended with {code}: {count}")).collect();
    assert!(swaps >= SWAPS, "only {swaps} swaps: {told:?}");
    for verb in ["install", "upgrade", "rollback", "repair", "uninstall"] {
        assert!(codes.contains_key(&(verb.to_owned(), 0)), "{verb} never succeeded: {told:?}");
    }
    let text = format!("attacker: {swaps} swaps during {runs} runs, 0 changes outside");
    summary("attacker", &format!("{}\n{text}", told.join("\n")));
}
