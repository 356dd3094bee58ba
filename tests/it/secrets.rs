//! Passwords, passphrases and private keys go from where they are given to where the product reads them, and
//! nowhere else: not to a message, a record, a log, another program, or a file that others can read.

use std::fs::{self, Permissions};
use std::hash::{BuildHasher as _, RandomState};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::cert_install::{self, Pair, Pki};
use crate::support::installer::{Root, Vendor, run, said, succeeds};
use crate::support::pgp::need;

const ONE_TIME: &str = "var/lib/demisto/otc.conf.json";
const KEY: &str = "usr/local/demisto/cert.key";

/// A password that nothing else contains, in a file of its own.
struct Marker {
    dir: tempfile::TempDir,
    text: String,
}

impl Marker {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("Zq9-Marker-{:016x}", RandomState::new().hash_one("marker"));
        fs::write(dir.path().join("password"), format!("{text}\n")).unwrap();
        fs::set_permissions(dir.path().join("password"), Permissions::from_mode(0o600)).unwrap();
        Self { dir, text }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("password")
    }

    fn install(&self, root: &Root) -> Command {
        let mut command = Vendor::get().offer("install", &Vendor::get().small(), root.path());
        command.arg("--admin-password-file").arg(self.file());
        command
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        holds(bytes, &self.text)
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// A line of the private key that is taken into use.
fn key_line() -> String {
    let key = fs::read_to_string(Vendor::get().file("cert.key")).unwrap();
    key.lines().nth(5).unwrap().to_owned()
}

/// The files below `root` that hold `text`, with their modes.
fn holders(root: &Root, text: &str) -> Vec<(String, u32)> {
    let paths = root.all_paths();
    let found = paths.into_iter().filter(|path| {
        let full = root.at(path);
        full.symlink_metadata().unwrap().is_file() && holds(&fs::read(full).unwrap(), text)
    });
    found.map(|path| (path.clone(), root.at(&path).metadata().unwrap().mode() & 0o777)).collect()
}

fn quiet_about(marker: &Marker, output: &Output) {
    for bytes in [&output.stdout, &output.stderr] {
        assert!(!marker.is_in(bytes) && !holds(bytes, &key_line()), "{}", said(output));
    }
}

#[test]
fn what_is_said_and_kept_holds_no_secret() {
    let marker = Marker::new();
    for format in ["text", "json"] {
        let root = Root::fresh();
        let plan = Vendor::get()
            .offer("plan", &Vendor::get().small(), root.path())
            .args(["--output", format])
            .output();
        quiet_about(&marker, &plan.unwrap());
        let output = marker.install(&root).args(["--output", format]).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        quiet_about(&marker, &output);
        assert_eq!(holders(&root, &marker.text), [(ONE_TIME.to_owned(), 0o400)]);
        assert_eq!(holders(&root, &key_line()), [(KEY.to_owned(), 0o400)]);
        for kept in ["journal/last.jsonl", "receipt.json", "manifest.json", "record.jsonl", "record.state"] {
            assert!(root.at("var/lib/demisto-install").join(kept).exists(), "{kept} was not looked at");
        }
        assert!(root.at("var/log/demisto/install.log").exists());
        quiet_about(&marker, &run("status", root.path()).args(["--output", format]).output().unwrap());
        let removal =
            run("uninstall", root.path()).args(["--yes", "--purge", "--output", format]).output().unwrap();
        assert!(removal.status.success(), "{}", said(&removal));
        quiet_about(&marker, &removal);
        assert_eq!(holders(&root, &marker.text), []);
        assert_eq!(holders(&root, &key_line()), []);
    }
    let report = Path::new("/tmp/demisto_install.log");
    assert!(!report.exists() || !marker.is_in(&fs::read(report).unwrap()));
}

/// Keys of other services may stand in it.
#[test]
fn an_existing_configuration_is_in_no_record() {
    let marker = Marker::new();
    let root = Root::furnished();
    let text =
        format!("{{\"Server\": {{\"HttpsPort\": \"8443\"}}, \"mail.password\": \"{}\"}}\n", marker.text);
    root.put("etc/demisto.conf", text.as_bytes(), 0o600);
    let plan =
        Vendor::get().offer("plan", &Vendor::get().small(), root.path()).args(["--output", "json"]).output();
    quiet_about(&marker, &plan.unwrap());
    let output = Vendor::get().install(root.path()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    quiet_about(&marker, &output);
    assert_eq!(holders(&root, &marker.text), [("etc/demisto.conf".to_owned(), 0o600)]);
}

/// Also the refusal of a password does not repeat it.
#[test]
fn a_refused_password_is_not_repeated() {
    let mut marker = Marker::new();
    marker.text = marker.text.to_lowercase().replace("zq", "aa");
    fs::write(marker.file(), &marker.text).unwrap();
    let root = Root::fresh();
    for format in ["text", "json"] {
        let output = marker.install(&root).args(["--output", format]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        quiet_about(&marker, &output);
    }
    // a key where a password is expected, and the other way round
    let mut command = Vendor::get().offer("install", &Vendor::get().small(), root.path());
    command.arg("--admin-password-file").arg(Vendor::get().file("cert.key"));
    quiet_about(&marker, &command.output().unwrap());
    let mut command = run("install", root.path());
    command
        .arg(Vendor::get().small())
        .args(["--no-owner", "--answers"])
        .arg(Vendor::get().file("answers.json"));
    command.arg("--key").arg(marker.file()).arg("--admin-password-file").arg(marker.file());
    let output = command.output().unwrap();
    assert!(!output.status.success());
    quiet_about(&marker, &output);
}

/// The calls of an installation with owners, other programs included.
fn traced(marker: &Marker, root: &Root, fault: &str) -> (Output, String) {
    trace_of(&marker.install(root), &marker.dir.path().join("trace"), fault)
}

/// The calls of a command and of all that it starts, with arguments and environment, in the file `trace`.
fn trace_of(call: &Command, trace: &Path, fault: &str) -> (Output, String) {
    need("strace", "strace");
    let mut strace = Command::new("/usr/bin/strace");
    strace.args([
        "-f",
        "-v",
        "-y",
        "-s",
        "4000",
        "-e",
        "trace=execve,%file,write,pwrite64,writev,fchmod,fchmodat,sendto",
    ]);
    strace.arg("-o").arg(trace).arg(call.get_program());
    strace.args(call.get_args().filter(|argument| *argument != "--no-owner")).stdin(Stdio::null());
    if !fault.is_empty() {
        strace.env("DEMISTO_INSTALL_FAULT_AT", fault);
    }
    let output = strace.output().unwrap();
    (output, String::from_utf8_lossy(&fs::read(trace).unwrap()).into_owned())
}

#[test]
fn no_call_shows_a_secret_as_root() {
    let marker = Marker::new();
    let root = Root::with_accounts();
    let (output, trace) = traced(&marker, &root, "");
    assert!(output.status.success(), "{}", said(&output));
    quiet_about(&marker, &output);
    let (mut writes, mut tools) = (Vec::new(), 0);
    for line in trace.lines() {
        tools += usize::from(line.contains("execve(") && line.contains("useradd"));
        for secret in [&marker.text, &key_line()] {
            if line.contains(secret.as_str()) {
                assert!(line.contains("write("), "{line}");
                writes.push(line);
            }
        }
    }
    assert!(tools > 0, "no other program was seen: nothing is proven");
    let to = |name: &str| writes.iter().filter(|line| line.contains(name)).count();
    assert_eq!(
        (to(".otc.conf.json.demisto-install."), to(".cert.key.demisto-install.")),
        (1, 1),
        "{writes:#?}"
    );
    assert_eq!(writes.len(), 2, "{writes:#?}");
}

/// From its first moment on nobody else can open the file that a secret is written to.
#[test]
fn a_file_with_a_secret_is_never_wider_than_its_owner_as_root() {
    let marker = Marker::new();
    let root = Root::with_accounts();
    let (output, trace) = traced(&marker, &root, "");
    assert!(output.status.success(), "{}", said(&output));
    for name in ["otc.conf.json", "cert.key"] {
        let temp = format!(".{name}.demisto-install.");
        let calls: Vec<&str> = trace.lines().filter(|line| line.contains(&temp)).collect();
        let made: Vec<&&str> = calls.iter().filter(|line| line.contains("O_CREAT")).collect();
        assert_eq!(made.len(), 1, "{name}: {calls:#?}");
        assert!(made[0].contains("O_EXCL") && made[0].contains(", 0600"), "{}", made[0]);
        let modes: Vec<&&str> = calls.iter().filter(|line| line.contains("chmod")).collect();
        assert_eq!(modes.len(), 1, "{name}: {modes:#?}");
        assert!(modes[0].contains("fchmod(") && modes[0].contains(", 0400)"), "{}", modes[0]);
        let position = |what: &str| calls.iter().position(|line| line.contains(what)).unwrap();
        assert!(
            position("fchmod(") < position("write("),
            "{name}: written before its mode was set: {calls:#?}"
        );
        assert!(position("write(") < position("rename"), "{name}");
    }
}

/// Also when a call fails, or the program is killed: nothing is shown, nothing stays.
#[test]
fn a_failed_run_leaves_no_secret() {
    let marker = Marker::new();
    let log = marker.dir.path().join("points");
    let model = Root::fresh();
    assert!(marker.install(&model).env("DEMISTO_INSTALL_FAULT_LOG", &log).status().unwrap().success());
    let count = fs::read_to_string(&log).unwrap().lines().count();
    assert!(count > 100, "{count}");
    for point in (1..count - 20).step_by(7) {
        let root = Root::fresh();
        let output =
            marker.install(&root).env("DEMISTO_INSTALL_FAULT_AT", format!("{point}:5")).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "point {point}: {}", said(&output));
        quiet_about(&marker, &output);
        assert_eq!(
            (holders(&root, &marker.text), holders(&root, &key_line())),
            (vec![], vec![]),
            "point {point}"
        );
    }
    let mut seen = 0;
    for point in (1..=count).step_by(3) {
        let root = Root::fresh();
        marker.install(&root).env("DEMISTO_INSTALL_FAULT_AT", point.to_string()).output().unwrap();
        for (path, mode) in [holders(&root, &marker.text), holders(&root, &key_line())].concat() {
            seen += 1;
            let name = path.rsplit('/').next().unwrap_or_default();
            assert!(name.contains("otc.conf.json") || name.contains("cert.key"), "point {point}: {path}");
            assert_eq!(mode, 0o400, "point {point}: {path}");
        }
        let output = run("recover", root.path()).output().unwrap();
        quiet_about(&marker, &output);
        if !root.at("var/lib/demisto-install/receipt.json").exists() {
            assert_eq!(
                (holders(&root, &marker.text), holders(&root, &key_line())),
                (vec![], vec![]),
                "point {point}"
            );
        }
    }
    assert!(seen > 0, "no kill came between the writing of a secret and the end");
}

/// A root whose server has an encrypted key, and a pair with another one that replaces it. Both passphrases are
/// markers.
struct Passphrases {
    root: Root,
    pki: Pki,
    pair: Pair,
    old: String,
    new: String,
}

impl Passphrases {
    fn new(root: Root) -> Self {
        let pki = Pki::new();
        let marker = |what: &str| format!("{what}-9-{:016x}", RandomState::new().hash_one(what));
        let (old, new) = (marker("Old"), marker("New"));
        let former = pki.locked("old", &old);
        let mut first = cert_install::install(root.path(), &former);
        succeeds(&first.arg("--passphrase-file").arg(pki.path("old.passphrase")).output().unwrap());
        fs::remove_file(root.at(ONE_TIME)).unwrap(); // as the server does
        let pair = pki.locked("new", &new);
        Self { root, pki, pair, old, new }
    }

    fn install(&self, root: &Root) -> Command {
        let mut command = cert_install::install(root.path(), &self.pair);
        command.arg("--passphrase-file").arg(self.pki.path("new.passphrase"));
        command.arg("--old-passphrase-file").arg(self.pki.path("old.passphrase"));
        command
    }

    fn rollback(&self, root: &Root) -> Command {
        let mut command = cert_install::rollback(root.path());
        command.arg("--passphrase-file").arg(self.pki.path("old.passphrase"));
        command.arg("--old-passphrase-file").arg(self.pki.path("new.passphrase"));
        command
    }

    fn quiet(&self, output: &Output) {
        for bytes in [&output.stdout, &output.stderr] {
            assert!(!holds(bytes, &self.old) && !holds(bytes, &self.new), "{}", said(output));
        }
    }
}

#[test]
fn passphrases_are_in_the_one_time_configuration_only() {
    let all = Passphrases::new(cert_install::server());
    for format in ["text", "json"] {
        let root = Root::copy(&all.root);
        let output = all.install(&root).args(["--dry-run", "--output", format]).output().unwrap();
        all.quiet(&output);
        let output = all.install(&root).args(["--output", format]).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        all.quiet(&output);
        assert_eq!(holders(&root, &all.new), [(ONE_TIME.to_owned(), 0o400)]);
        assert_eq!(holders(&root, &all.old), []);
        assert!(root.at("var/log/demisto/install.log").exists());
        // nor on the way back
        let back = Root::copy(&root);
        fs::remove_file(back.at(ONE_TIME)).unwrap(); // as the server does
        let output = all.rollback(&back).args(["--output", format]).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        all.quiet(&output);
        assert_eq!(holders(&back, &all.old), [(ONE_TIME.to_owned(), 0o400)]);
        assert_eq!(holders(&back, &all.new), []);
        // refusals do not repeat them
        let mut wrong = cert_install::rollback(root.path());
        wrong.arg("--passphrase-file").arg(all.pki.path("new.passphrase")).args(["--output", format]);
        let output = wrong.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        all.quiet(&output);
    }
}

/// While the run lasts the old one lies where only root can look, so that a recovery can go back.
#[test]
fn a_failed_change_of_the_key_leaves_the_old_passphrase_to_the_server_only() {
    let all = Passphrases::new(cert_install::server());
    let log = all.pki.path("points");
    let root = Root::copy(&all.root);
    assert!(all.install(&root).env("DEMISTO_INSTALL_FAULT_LOG", &log).status().unwrap().success());
    let count = fs::read_to_string(&log).unwrap().lines().count();
    let (mut backups, mut put_back, mut consumed) = (0, 0, 0);
    let former = fs::read(all.root.at(KEY)).unwrap();
    for point in (1..=count).step_by(2) {
        for fault in [point.to_string(), format!("{point}:5")] {
            let root = Root::copy(&all.root);
            let output = all.install(&root).env("DEMISTO_INSTALL_FAULT_AT", &fault).output().unwrap();
            all.quiet(&output);
            for (path, mode) in [holders(&root, &all.old), holders(&root, &all.new)].concat() {
                let backup = path.starts_with("var/lib/demisto-install/journal/backup/");
                backups += usize::from(backup);
                let one_time = path.starts_with("var/lib/demisto/") && path.contains("otc.conf.json");
                assert!(
                    (one_time && mode == 0o400) || (backup && mode & 0o077 == 0),
                    "{fault}: {path} {mode:o}"
                );
            }
            if fault == point.to_string() && !holders(&root, &all.new).is_empty() {
                // the server was started meanwhile, and has taken the new one over
                let root = Root::copy(&root);
                fs::remove_file(root.at(ONE_TIME)).unwrap_or_default();
                all.quiet(&run("recover", root.path()).output().unwrap());
                if fs::read(root.at(KEY)).unwrap() == former {
                    consumed += 1;
                    assert_eq!(holders(&root, &all.old), [(ONE_TIME.to_owned(), 0o400)], "{fault}");
                }
            }
            all.quiet(&run("recover", root.path()).output().unwrap());
            let old = holders(&root, &all.old);
            put_back += old.len();
            assert!(old.is_empty() || old == [(ONE_TIME.to_owned(), 0o400)], "{fault}: {old:?}");
            let new = holders(&root, &all.new);
            assert!(
                new.is_empty() || (new == [(ONE_TIME.to_owned(), 0o400)] && old.is_empty()),
                "{fault}: {new:?}"
            );
        }
    }
    assert!(
        backups > 0 && put_back > 0 && consumed > 0,
        "no fault came between the writing of a secret and the end"
    );
}

#[test]
fn no_call_shows_a_passphrase_as_root() {
    let root = Root::with_accounts();
    let marker = Marker::new();
    let call = marker.install(&root);
    let mut with_owners = Command::new(call.get_program());
    with_owners.args(call.get_args().filter(|argument| *argument != "--no-owner"));
    succeeds(&with_owners.output().unwrap());
    fs::remove_file(root.at(ONE_TIME)).unwrap();
    let all = Passphrases::new(root);
    let is_write = |line: &&str, to: &str| line.contains("write(") && line.contains(to);
    let back = all.rollback(&all.root);
    for (call, coming, going) in [(all.install(&all.root), &all.new, &all.old), (back, &all.old, &all.new)] {
        let (output, trace) = trace_of(&call, &all.pki.path("trace"), "");
        assert!(output.status.success(), "{}", said(&output));
        all.quiet(&output);
        let shows = |secret: &str| trace.lines().filter(|line| line.contains(secret)).collect::<Vec<_>>();
        let (comes, goes) = (shows(coming), shows(going));
        assert!(comes.len() == 1 && is_write(&comes[0], ".otc.conf.json.demisto-install."), "{comes:#?}");
        assert!(goes.len() == 1 && is_write(&goes[0], "/journal/backup/"), "{goes:#?}");
        assert_eq!(holders(&all.root, coming), [(ONE_TIME.to_owned(), 0o400)]);
        assert_eq!(holders(&all.root, going), []);
        fs::remove_file(all.root.at(ONE_TIME)).unwrap(); // as the server does
    }
}
