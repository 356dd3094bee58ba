//! Installing without questions: modes, owners, refusals, signals, full disks and odd surroundings.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use demisto_install::bundle::Trailer;
use demisto_install::sys::lock::{Attempt, Lock};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::installer::{PASSWORD, PROGRAM, Root, STATE, Tree, Vendor, run, said};
use crate::support::pgp::need;

fn install(root: &Root) -> Command {
    Vendor::get().install(root.path())
}

/// A call of install that still lacks the password.
fn without_password(root: &Root) -> Command {
    Vendor::get().offer("install", &Vendor::get().small(), root.path())
}

fn ends(command: &mut Command, code: i32) -> Output {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{command:?}: {}", said(&output));
    output
}

/// Nothing but `/var/lib` is there: not even this program's own state.
fn untouched(root: &Root) -> bool {
    root.snapshot().paths().eq(["var", "var/lib"]) && !root.at(STATE).exists()
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().mode() & 0o7777
}

#[test]
fn modes_do_not_depend_on_the_umask() {
    let mut first = None;
    for umask in ["000", "027", "077"] {
        let root = Root::fresh();
        fs::remove_dir_all(root.at("var")).unwrap();
        let call = install(&root);
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(format!("umask {umask}; exec \"$@\"")).arg("sh").arg(call.get_program());
        ends(shell.args(call.get_args()).stdin(Stdio::null()), 0);
        let snapshot = root.snapshot();
        let first = first.get_or_insert_with(|| snapshot.clone());
        assert_eq!(first.differences(&snapshot), [""; 0], "umask {umask}");
        for (path, wanted) in [
            ("usr/local/demisto", 0o755),
            ("usr/local/demisto/server", 0o755),
            ("usr/local/demisto/EULA.txt", 0o644),
            ("usr/local/demisto/cert.key", 0o400),
            ("usr/local/demisto/cert.pem", 0o400),
            ("var/lib/demisto", 0o750),
            ("var/lib/demisto/otc.conf.json", 0o400),
            ("var/log/demisto", 0o750),
            ("var/log/demisto/install.log", 0o600),
            ("etc/demisto.conf", 0o640),
            ("etc/systemd/system/demisto.service", 0o644),
            ("var/lib", 0o755),
            ("var/lib/demisto-install", 0o700),
            ("var/lib/demisto-install/receipt.json", 0o600),
            ("var/lib/demisto-install/manifest.json", 0o600),
            ("var/lib/demisto-install/lock", 0o600),
            ("var/lib/demisto-install/journal/last.jsonl", 0o600),
        ] {
            assert_eq!(mode(&root.at(path)), wanted, "{path} under umask {umask}");
        }
    }
}

#[test]
fn owners_are_set_as_root() {
    let root = Root::with_accounts();
    fs::remove_file(root.at("etc/demisto.conf")).unwrap(); // one that is there keeps its owner
    ends(&mut owned(&root), 0);
    let passwd = fs::read_to_string(root.at("etc/passwd")).unwrap();
    let line = passwd.lines().find(|line| line.starts_with("demisto:")).unwrap();
    let fields: Vec<&str> = line.split(':').collect();
    assert_eq!((fields[5], fields[6]), ("/var/lib/demisto", "/usr/sbin/nologin"));
    let service: u32 = fields[2].parse().unwrap();
    assert_ne!(service, 0);
    for (path, owner) in [
        ("usr/local/demisto", 0),
        ("usr/local/demisto/server", 0),
        ("usr/local/demisto/lib", 0),
        ("usr/local/demisto/current", 0),
        ("etc/systemd/system/demisto.service", 0),
        ("var/lib/demisto-install", 0),
        ("usr/local/demisto/cert.key", service),
        ("usr/local/demisto/cert.pem", service),
        ("etc/demisto.conf", service),
        ("var/lib/demisto", service),
        ("var/lib/demisto/otc.conf.json", service),
        ("var/log/demisto", service),
    ] {
        let meta = root.at(path).symlink_metadata().unwrap();
        assert_eq!((meta.uid(), meta.gid() == 0), (owner, owner == 0), "{path}");
    }
    let status = json(&mut run("status", root.path())).pop().unwrap();
    assert_eq!(status["drift"], serde_json::json!([]));
}

/// As [`install`], with owners.
fn owned(root: &Root) -> Command {
    let call = install(root);
    let mut command = run("install", root.path());
    command.args(call.get_args().skip(3).filter(|argument| *argument != "--no-owner"));
    command
}

/// Runs a command with JSON output; every line is an object of the one schema.
fn json(command: &mut Command) -> Vec<Value> {
    let output = command.args(["--output", "json"]).output().unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(text.ends_with('\n'), "{}", said(&output));
    let line = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert_eq!(value["schema"], 1, "{line}");
        assert!(value["event"].is_string(), "{line}");
        value
    };
    text.lines().map(line).collect()
}

#[test]
fn every_line_of_json_is_json_and_the_last_is_the_outcome() {
    let root = Root::fresh();
    let ended = |command: &mut Command, event: &str| {
        let last = json(command).pop().unwrap();
        assert_eq!(last["event"], event, "{command:?}: {last}");
        last
    };
    let plan = || Vendor::get().offer("plan", &Vendor::get().small(), root.path());
    assert_eq!(ended(&mut plan(), "result")["changes"], true);
    assert_eq!(ended(&mut without_password(&root), "error")["exit"], 2);
    assert!(untouched(&root));
    assert_eq!(ended(&mut install(&root), "result")["changed"], true);
    assert_eq!(ended(&mut install(&root), "result")["changed"], false);
    assert_eq!(ended(&mut plan(), "result")["changes"], false);
    assert_eq!(ended(&mut run("status", root.path()), "result")["installed"], true);
    assert_eq!(ended(&mut run("recover", root.path()), "result")["recovered"], "nothing");
    let verify = |file: &Path| {
        let mut command = run("verify", root.path());
        command.arg(file).arg("--key").arg(Vendor::get().file("release.asc"));
        command
    };
    assert_eq!(ended(&mut verify(&Vendor::get().small()), "result")["accepted"], true);
    assert_eq!(ended(&mut verify(Path::new("/bin/true")), "error")["exit"], 3);
    assert_eq!(ended(run("uninstall", root.path()).arg("--yes"), "result")["changed"], true);
    assert_eq!(ended(run("uninstall", root.path()).arg("--yes"), "result")["changed"], false);
    assert_eq!(ended(&mut run("status", root.path()), "result")["installed"], false);
}

/// `-y` of the vendor's installer, on the running system: refused before a file is opened to write.
#[test]
fn yes_to_all_changes_nothing() {
    need("strace", "strace");
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    for arguments in [&["-y"][..], &["--", "-y"], &["install", "-y"], &["install", "--yes"]] {
        let mut strace = Command::new("/usr/bin/strace");
        strace.args(["-f", "-e", "trace=%file,fchmod,fchown,write", "-o"]).arg(&trace);
        ends(strace.arg(Vendor::get().whole()).args(arguments).stdin(Stdio::null()), 2);
        let trace = fs::read_to_string(&trace).unwrap();
        assert!(trace.contains("execve("), "{trace}");
        let found: Vec<&str> = trace.lines().filter(|line| writes(line)).collect();
        assert_eq!(found, [""; 0], "{arguments:?}");
    }
    // what was looked for would have been found
    let root = Root::fresh();
    let call = install(&root);
    let mut strace = Command::new("/usr/bin/strace");
    strace.args(["-f", "-e", "trace=%file,fchmod,fchown,write", "-o"]).arg(&trace);
    ends(strace.arg(call.get_program()).args(call.get_args()).stdin(Stdio::null()), 0);
    let trace = fs::read_to_string(&trace).unwrap();
    for call in ["openat(", "mkdirat(", "renameat2(", "fchmod(", "symlinkat("] {
        assert!(trace.lines().any(|line| line.contains(call) && writes(line)), "{call}");
    }
}

/// Whether a line of strace is a call that could change a file.
fn writes(line: &str) -> bool {
    let call = line.split_whitespace().nth(1).unwrap_or_default().split('(').next().unwrap_or_default();
    let changes =
        ["mkdir", "rename", "unlink", "rmdir", "link", "symlink", "chmod", "chown", "truncate", "mknod"];
    let opens = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"].iter().any(|flag| line.contains(flag));
    (call != "readlink" && call != "readlinkat" && changes.iter().any(|change| call.contains(change)))
        || (opens && !line.contains("\"/dev/"))
}

#[test]
fn bad_passwords_are_refused_from_every_source() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("demisto-install.admin-password");
    for password in ["", "admin", "Demisto1!", "short1A", "alllowercase1", "NoDigitsHere", "Password123!"] {
        fs::write(&file, format!("{password}\n")).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        let root = Root::fresh();
        ends(without_password(&root).arg("--admin-password-file").arg(&file), 2);
        let stdin = File::open(&file).unwrap();
        ends(without_password(&root).arg("--admin-password-stdin").stdin(stdin), 2);
        ends(without_password(&root).env("CREDENTIALS_DIRECTORY", dir.path()), 2);
        assert!(untouched(&root), "{password:?}");
    }
    let root = Root::fresh();
    ends(&mut without_password(&root), 2);
    ends(without_password(&root).arg("--admin-password-file").arg(dir.path().join("absent")), 2);
    assert!(untouched(&root));
}

#[test]
fn a_good_password_is_taken_from_every_source() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("demisto-install.admin-password");
    fs::write(&file, PASSWORD).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let stored = |root: &Root| {
        let text = fs::read(root.at("var/lib/demisto/otc.conf.json")).unwrap();
        serde_json::from_slice::<Value>(&text).unwrap()["users"][0]["password"].clone()
    };
    let root = Root::fresh();
    ends(without_password(&root).arg("--admin-password-file").arg(&file), 0);
    assert_eq!(stored(&root), PASSWORD);
    let root = Root::fresh();
    ends(without_password(&root).arg("--admin-password-stdin").stdin(File::open(&file).unwrap()), 0);
    assert_eq!(stored(&root), PASSWORD);
    let root = Root::fresh();
    ends(without_password(&root).env("CREDENTIALS_DIRECTORY", dir.path()), 0);
    assert_eq!(stored(&root), PASSWORD);
}

#[test]
fn a_password_file_that_others_can_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    fs::write(&file, PASSWORD).unwrap();
    let root = Root::fresh();
    for mode in [0o644, 0o640, 0o604, 0o620, 0o660] {
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let output = ends(without_password(&root).arg("--admin-password-file").arg(&file), 2);
        assert!(said(&output).contains("chmod 600"), "{mode:o}: {}", said(&output));
    }
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    ends(without_password(&root).arg("--admin-password-file").arg(&link), 2);
    assert!(untouched(&root));
}

#[test]
fn answers_hold_what_is_asked_and_no_password() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("answers.json");
    let root = Root::fresh();
    for (text, named) in [
        (r#"{"accept_eula":true,"prot":443}"#, "\"prot\""),
        (r#"{"accept_eula":true,"password":"x"}"#, "\"password\""),
        (r#"{"accept_eula":true,"admin_password":"x"}"#, "\"admin_password\""),
        (r#"{"accept_eula":false}"#, ""),
        (r#"{"port":443}"#, "accept_eula"),
        (r#"{"accept_eula":true,"port":0}"#, "0"),
        (r#"{"accept_eula":true,"port":"443"}"#, ""),
        (r"{", ""),
    ] {
        fs::write(&file, text).unwrap();
        let vendor = Vendor::get();
        let mut command = run("install", root.path());
        command.arg(vendor.small()).args(["--no-owner", "--key"]).arg(vendor.file("release.asc"));
        command.arg("--answers").arg(&file).arg("--admin-password-file").arg(vendor.file("password"));
        let output = ends(&mut command, 2);
        assert!(said(&output).contains(named.trim_matches('"')), "{text}: {}", said(&output));
        assert!(untouched(&root), "{text}");
    }
}

/// Every path with its times to the nanosecond.
fn times(root: &Root) -> Vec<String> {
    let mut command = Command::new("/usr/bin/find");
    command.arg(root.path()).args(["-printf", "%P %i %m %U:%G %s %T@ %C@\n"]);
    let output = command.output().unwrap();
    let mut lines: Vec<String> =
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn a_second_run_changes_no_byte_and_no_time() {
    let root = Root::furnished();
    ends(&mut install(&root), 0);
    let (before, content) = (times(&root), root.snapshot());
    let output = ends(&mut install(&root), 0);
    assert!(said(&output).contains("nothing to do"), "{}", said(&output));
    assert_eq!(before, times(&root));
    assert_eq!(content, root.snapshot());
}

#[test]
fn what_was_changed_since_is_named_and_not_overwritten() {
    let root = Root::fresh();
    ends(&mut install(&root), 0);
    root.put("usr/local/demisto/server", b"changed\n", 0o755);
    let before = times(&root);
    ends(&mut install(&root), 4);
    assert_eq!(before, times(&root));
    let status = json(&mut run("status", root.path())).pop().unwrap();
    assert_eq!(status["drift"], serde_json::json!([{ "path": "server", "what": "content" }]));
}

#[test]
fn a_plan_is_the_same_twice_and_binds_the_change() {
    let root = Root::furnished();
    let plan = || Vendor::get().offer("plan", &Vendor::get().small(), root.path());
    let before = times(&root);
    let digest = |line: Option<Value>| line.unwrap()["digest"].as_str().unwrap().to_owned();
    let (first, second) = (digest(json(&mut plan()).pop()), digest(json(&mut plan()).pop()));
    assert_eq!(first, second);
    ends(plan().arg("--detailed-exitcode"), 7);
    ends(install(&root).arg("--plan-digest").arg("0".repeat(64)), 4);
    assert_eq!(before, times(&root), "a plan is only a plan");
    root.put("etc/hosts", b"something else\n", 0o644);
    fs::create_dir(root.at("etc/tmpfiles.d")).unwrap();
    ends(install(&root).arg("--plan-digest").arg(&first), 4);
    fs::remove_dir(root.at("etc/tmpfiles.d")).unwrap();
    ends(install(&root).arg("--plan-digest").arg(&first), 0);
    ends(plan().arg("--detailed-exitcode"), 0);
}

#[test]
fn while_one_is_at_work_another_gives_way() {
    let root = Root::fresh();
    fs::create_dir_all(root.at(STATE)).unwrap();
    let lock = File::create(root.at(STATE).join("lock")).unwrap();
    lock.lock().unwrap();
    for mut command in [install(&root), run("uninstall", root.path()), run("recover", root.path())] {
        ends(&mut command, 6);
    }
    drop(lock);
    ends(&mut install(&root), 0);
}

/// A run that begins does not give way to somebody who only asks.
#[test]
fn asking_whether_a_run_is_at_work_stops_none() {
    let root = Root::fresh();
    fs::create_dir_all(root.at(STATE)).unwrap();
    let lock = File::create(root.at(STATE).join("lock")).unwrap();
    lock.lock_shared().unwrap();
    let asked = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        drop(lock);
    });
    assert!(matches!(Lock::try_take(&root.at(STATE).join("lock")).unwrap(), Attempt::Held(_)));
    asked.join().unwrap();
}

/// What readers say while a run is at work that has begun to change the host.
fn readers_tell_of_a_run(root: &Root) {
    let status = json(&mut run("status", root.path())).pop().unwrap();
    assert_eq!((&status["busy"], &status["unfinished"]), (&true.into(), &false.into()), "{status}");
    assert_eq!(status["drift"], serde_json::json!([]));
    let plan = Vendor::get().offer("plan", &Vendor::get().small(), root.path());
    let verb = |name: &str, argument: &str| {
        let mut command = run(name, root.path());
        command.arg(argument);
        command
    };
    let dry = ["uninstall", "rollback", "repair"].map(|name| verb(name, "--dry-run"));
    for mut command in dry.into_iter().chain([plan, verb("verify", "--installed")]) {
        assert!(said(&ends(&mut command, 6)).contains("is at work"), "{command:?}");
    }
}

/// Who may not look is told so, and not that something is damaged or empty.
#[test]
fn missing_rights_are_told_as_such_as_root() {
    use std::os::unix::process::CommandExt as _;
    let root = Root::copy_on_disk(&Root::furnished());
    ends(&mut install(&root), 0);
    ends(run("snapshot", root.path()).args(["create"]), 0);
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for arguments in [
        &["status"][..],
        &["verify", "--installed"],
        &["rollback", "--dry-run"],
        &["uninstall", "--dry-run"],
        &["snapshot", "list"],
        &["snapshot", "verify", "x"],
        &["snapshot", "prune", "--keep", "0", "--dry-run"],
    ] {
        let mut command = run(arguments[0], root.path());
        command.args(&arguments[1..]).uid(65_534).gid(65_534);
        let text = said(&ends(&mut command, 2));
        assert!(text.contains("sudo") && text.contains("ermission denied"), "{arguments:?}: {text}");
    }
}

/// 64 files of 4 MiB each, which take long to lay out and little to keep.
fn large() -> PathBuf {
    let tree = Tree::new();
    let content = vec![0; 4 << 20];
    (0..64).for_each(|number| tree.put(&format!("lib/{number}"), &content));
    tree.pack("large", &["--level", "1"])
}

/// Starts an installation, and returns when files are being laid out.
fn in_the_middle(bundle: &Path, root: &Root) -> Child {
    let vendor = Vendor::get();
    let mut command = vendor.offer("install", bundle, root.path());
    command.arg("--admin-password-file").arg(vendor.file("password"));
    // counted points make it work on one processor: slower, and so surely still at work
    command.env("DEMISTO_INSTALL_FAULT_LOG", "/dev/null").stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().unwrap();
    let stage = root.at("usr/local/.demisto.demisto-install/lib/0");
    let begin = Instant::now();
    while !stage.exists() {
        assert!(begin.elapsed() < Duration::from_secs(60), "it never began");
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

#[test]
fn a_signal_in_the_middle_undoes_everything() {
    let bundle = large();
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let root = Root::furnished();
        let before = root.snapshot();
        let mut child = in_the_middle(&bundle, &root);
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        kill(pid, Signal::SIGSTOP).unwrap();
        readers_tell_of_a_run(&root);
        ends(&mut install(&root), 6);
        kill(pid, signal).unwrap();
        kill(pid, Signal::SIGCONT).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert_eq!(before.differences(&root.snapshot()), [""; 0], "{signal}");
        assert_eq!(root.leftovers(), [""; 0], "{signal}");
    }
}

#[test]
fn a_root_that_is_not_there_is_wrong_use() {
    let root = Root::fresh();
    for missing in [root.at("absent"), root.at("var/lib/absent/too")] {
        ends(&mut Vendor::get().install(&missing), 2);
        ends(&mut run("status", &missing), 2);
    }
    assert!(untouched(&root));
}

fn inspect(file: &Path) -> Value {
    let bytes = fs::read(file).unwrap();
    let parts = parts(&bytes);
    let from = usize::try_from(parts.manifest_offset).unwrap();
    serde_json::from_slice(&bytes[from..from + usize::try_from(parts.manifest_length).unwrap()]).unwrap()
}

fn parts(bytes: &[u8]) -> demisto_install::bundle::Parts {
    Trailer::parse(bytes.last_chunk().unwrap(), bytes.len() as u64).unwrap().parts
}

#[test]
fn the_payload_is_an_archive_for_everyone() {
    need("zstd", "zstd");
    let tree = Tree::new();
    let both = [
        (tree.pack("zstd", &["--compression", "zstd"]), "zstd -dc"),
        (tree.pack("gzip", &["--compression", "gzip"]), "gzip -dc"),
    ];
    for (file, unpack) in both {
        let parts = parts(&fs::read(&file).unwrap());
        let (from, length) = (parts.payload_offset + 1, parts.payload_length);
        // other tools skip what follows the last frame of zstd; gzip knows no such thing
        let cut = if unpack.starts_with("gzip") { format!("head -c {length}") } else { "cat".to_owned() };
        // tail is outside of the pipe: head may leave it before it is done
        let script = format!("set -o pipefail; {cut} < <(tail -c +{from} \"$1\") | {unpack} | tar -t");
        let output = ends(Command::new("/bin/bash").args(["-c", &script, "bash"]).arg(&file), 0);
        let mut listed: Vec<String> =
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        listed.iter_mut().for_each(|path| *path = path.trim_end_matches('/').to_owned());
        let manifest = inspect(&file);
        let entries = manifest["entries"].as_array().unwrap();
        let wanted: Vec<String> =
            entries.iter().map(|entry| format!("demisto/{}", entry["path"].as_str().unwrap())).collect();
        listed.retain(|path| path != "demisto");
        assert_eq!(listed, wanted, "{unpack}");
        assert_eq!(listed.len(), 13);
    }
}

#[test]
fn packing_twice_gives_the_same_but_for_the_signature() {
    let (one, two) = (Tree::new().pack("twice-1", &[]), Tree::new().pack("twice-2", &[]));
    let signed = |file: &Path| {
        let bytes = fs::read(file).unwrap();
        let parts = parts(&bytes);
        bytes[..usize::try_from(parts.manifest_offset + parts.manifest_length).unwrap()].to_vec()
    };
    assert!(signed(&one) == signed(&two), "program, payload and manifest differ");
    assert!(fs::read(&one).unwrap() != fs::read(&two).unwrap(), "two signatures were the same");
}

/// A file system of its own in a root; it goes with the value.
struct Mounted(PathBuf);

impl Mounted {
    fn new(path: PathBuf, options: &str) -> Self {
        assert!(nix::unistd::geteuid().is_root(), "this test mounts a file system: run it as root");
        fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new("/bin/mount");
        ends(mount.args(["-t", "tmpfs", "-o", options, "demisto-install-test"]).arg(&path), 0);
        Self(path)
    }

    fn again(&self, options: &str) {
        ends(Command::new("/bin/mount").args(["-o", &format!("remount,{options}")]).arg(&self.0), 0);
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("/bin/umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_is_too_small_is_seen_at_once_as_root() {
    let root = Root::fresh();
    let _disk = Mounted::new(root.at("usr/local"), "size=8m,mode=755");
    let before = root.snapshot();
    let output = ends(&mut install(&root), 4);
    assert!(said(&output).contains("bytes are needed"), "{}", said(&output));
    assert_eq!(before.differences(&root.snapshot()), [""; 0]);
}

/// Space, or room for names, runs out in the middle: in the tree, in /etc, in the data directory,
/// and where the journal is written.
#[test]
fn a_disk_that_becomes_full_is_told_and_undone_as_root() {
    for (place, options) in [
        ("usr/local", "size=200m,mode=755,nr_inodes=9"),
        ("etc", "size=200m,mode=755,nr_inodes=7"),
        ("var/lib/demisto", "size=200m,mode=755,nr_inodes=1"),
        ("var/lib/demisto-install", "size=4k,mode=700"),
        ("var/lib/demisto-install", "size=8k,mode=700"),
        ("var/lib/demisto-install", "size=12k,mode=700"),
    ] {
        let root = Root::fresh();
        let disk = Mounted::new(root.at(place), options);
        let before = root.snapshot();
        let output = ends(&mut install(&root), 1);
        assert!(said(&output).contains("No space left on device"), "{place}: {}", said(&output));
        assert!(said(&output).contains("make room"), "{place}: {}", said(&output));
        assert_eq!(before.differences(&root.snapshot()), [""; 0], "{place} {options}");
        assert_eq!(root.leftovers(), [""; 0], "{place} {options}");
        disk.again("nr_inodes=1000,size=200m");
        ends(&mut install(&root), 0);
        drop(disk);
    }
}

#[test]
fn a_read_only_disk_is_left_alone_as_root() {
    let root = Root::fresh();
    let whole = Mounted::new(root.at("machine"), "size=200m,mode=755");
    fs::create_dir_all(root.at("machine/var/lib")).unwrap();
    whole.again("ro");
    let before = root.snapshot();
    let output = ends(&mut Vendor::get().install(&root.at("machine")), 1);
    assert!(said(&output).contains("Read-only file system"), "{}", said(&output));
    assert_eq!(before, root.snapshot());
}

/// Variables that lead other programs astray, and tools of the same names in front of the real ones.
#[test]
fn the_surroundings_change_nothing_as_root() {
    let plain = Root::with_accounts();
    ends(&mut owned(&plain), 0);
    let dir = tempfile::tempdir().unwrap();
    let called = dir.path().join("called");
    for tool in
        ["gpg", "gpgv", "useradd", "groupadd", "userdel", "systemctl", "restorecon", "openssl", "sh", "rpm"]
    {
        let path = dir.path().join(tool);
        fs::write(&path, format!("#!/bin/sh\necho \"$0 $*\" >>{}\nexit 1\n", called.display())).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    }
    let config = dir.path().join("openssl.cnf");
    let mut file = File::create(&config).unwrap();
    file.write_all(b"openssl_conf = i\n[i]\nalg_section = a\n[a]\ndefault_properties = fips=yes\n").unwrap();
    let hostile = Root::with_accounts();
    let mut command = owned(&hostile);
    command.env("PATH", dir.path()).env("LD_PRELOAD", "/nonexistent/nothing.so").env("OPENSSL_CONF", &config);
    command.env("GNUPGHOME", dir.path()).env("TMPDIR", "/nonexistent").env("LC_ALL", "xx").env("IFS", "/e");
    command.env("LANG", "tr_TR.UTF-8").env("OPENSSL_MODULES", dir.path()).env("HOME", "/nonexistent");
    command.env("SSL_CERT_FILE", "/nonexistent").env("BASH_ENV", &called).env("SOURCE_DATE_EPOCH", "1");
    command.env("TZ", ":/dev/null").env("SYSTEMD_OFFLINE", "0").env("RUST_BACKTRACE", "full");
    command.current_dir(dir.path());
    ends(&mut command, 0);
    assert!(!called.exists(), "{}", fs::read_to_string(called).unwrap());
    assert_eq!(plain.snapshot().differences(&hostile.snapshot()), [""; 0]);
    assert!(Path::new(PROGRAM).is_absolute());
}
