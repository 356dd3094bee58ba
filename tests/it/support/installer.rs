//! Installers made by the program itself, signed by a key of the real gpg, and roots to install them in.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use demisto_install::record::{self, Checked, State};
use demisto_install::types::Digest;
use tempfile::TempDir;

use super::pgp::{Gpg, NOW, need};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_demisto-install");
/// A password that the rule accepts.
pub(crate) const PASSWORD: &str = "Zq9-Correct-Horse";
/// A file without a payload that can stand in front of one: the verifying program is the one above.
pub(crate) const STUB: &str = "/usr/bin/true";

/// Where this program keeps its own state below a root.
pub(crate) const STATE: &str = "var/lib/demisto-install";

/// What all tests of one process share: a release key, a certificate, answers, and installers.
#[derive(Debug)]
pub(crate) struct Vendor {
    dir: PathBuf,
}

impl Vendor {
    /// Made at the first call.
    pub(crate) fn get() -> &'static Self {
        static VENDOR: OnceLock<Vendor> = OnceLock::new();
        VENDOR.get_or_init(|| {
            let vendor = Self { dir: fresh_dir() };
            vendor.make_key();
            vendor.make_certificate();
            vendor.write("answers.json", br#"{"accept_eula":true,"port":18443,"admin_name":"admin"}"#, 0o644);
            vendor.write("password", format!("{PASSWORD}\n").as_bytes(), 0o600);
            vendor
        })
    }

    /// A file of it: `release.key`, `release.asc`, `answers.json`, `password`, `cert.pem`, `cert.key`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn write(&self, name: &str, bytes: &[u8], mode: u32) {
        fs::write(self.file(name), bytes).unwrap();
        fs::set_permissions(self.file(name), Permissions::from_mode(mode)).unwrap();
    }

    fn make_key(&self) {
        let gpg = Gpg::new();
        let key = gpg.key("2025-01-01", "Release <release@example.org>", "rsa3072", "sign", "never");
        self.write("release.asc", &gpg.run(NOW, &["--armor", "--export", &key]), 0o644);
        self.write("release.key", &gpg.run(NOW, &["--armor", "--export-secret-keys", &key]), 0o600);
    }

    fn make_certificate(&self) {
        need("openssl", "openssl");
        let openssl = |args: &[&str]| {
            let output = Command::new("/usr/bin/openssl").current_dir(&self.dir).args(args).output().unwrap();
            assert!(output.status.success(), "openssl {args:?}: {}", said(&output));
        };
        let request = "req -x509 -newkey rsa:2048 -nodes -days 3650 -keyout pkcs8.key -out cert.pem \
                       -subj /CN=localhost -addext subjectAltName=DNS:localhost";
        openssl(&request.split_whitespace().collect::<Vec<_>>());
        openssl(&["rsa", "-traditional", "-in", "pkcs8.key", "-out", "cert.key"]);
        fs::set_permissions(self.file("cert.key"), Permissions::from_mode(0o600)).unwrap();
    }

    /// Ten files in two directories and a link; the largest file lies in two frames.
    pub(crate) fn small(&self) -> PathBuf {
        static SMALL: OnceLock<PathBuf> = OnceLock::new();
        let make = || {
            let tree = Tree::new();
            tree.pack("small", &[])
        };
        SMALL.get_or_init(make).clone()
    }

    /// The release after it.
    pub(crate) fn next(&self) -> PathBuf {
        static NEXT: OnceLock<PathBuf> = OnceLock::new();
        NEXT.get_or_init(|| Tree::next().pack("next", &[])).clone()
    }

    /// A call of `upgrade` to `bundle` that asks nothing.
    pub(crate) fn upgrade(&self, bundle: &Path, root: &Path) -> Command {
        let mut command = run("upgrade", root);
        command.arg(bundle).arg("--key").arg(self.file("release.asc")).arg("--yes");
        command
    }

    /// The same, with the program under test in front: it installs itself.
    pub(crate) fn whole(&self) -> PathBuf {
        static WHOLE: OnceLock<PathBuf> = OnceLock::new();
        WHOLE.get_or_init(|| Tree::new().pack("whole", &["--program", PROGRAM])).clone()
    }

    /// A call of `install` that asks nothing: the small installer into `root`, all files ours.
    pub(crate) fn install(&self, root: &Path) -> Command {
        let mut command = self.offer("install", &self.small(), root);
        command.arg("--admin-password-file").arg(self.file("password"));
        command
    }

    /// A call of `verb` (install or plan) of `bundle` into `root`, without a password.
    pub(crate) fn offer(&self, verb: &str, bundle: &Path, root: &Path) -> Command {
        let mut command = run(verb, root);
        command.arg(bundle).arg("--no-owner").arg("--key").arg(self.file("release.asc"));
        command.arg("--answers").arg(self.file("answers.json"));
        command.arg("--cert").arg(self.file("cert.pem")).arg("--cert-key").arg(self.file("cert.key"));
        command
    }
}

/// A directory for this process below the target directory; those of processes that ended go.
fn fresh_dir() -> PathBuf {
    let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for entry in fs::read_dir(base).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(pid) = name.strip_prefix("vendor-")
            && !Path::new("/proc").join(pid).exists()
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let dir = base.join(format!("vendor-{}", std::process::id()));
    fs::create_dir(&dir).unwrap();
    dir
}

/// A product's tree and its description.
#[derive(Debug)]
pub(crate) struct Tree {
    dir: TempDir,
}

impl Tree {
    /// The usual one.
    pub(crate) fn new() -> Self {
        let tree = Self { dir: tempfile::tempdir().unwrap() };
        for dir in ["tree", "tree/lib", "tree/web"] {
            fs::create_dir(tree.path(dir)).unwrap();
        }
        tree.put("server", b"#!/bin/sh\nexec sleep 1000\n");
        fs::set_permissions(tree.path("tree/server"), Permissions::from_mode(0o755)).unwrap();
        tree.put("EULA.txt", b"1. Use it.\n");
        tree.put("version.json", b"{\"version\": \"6.14.0\"}\n");
        tree.put("lib/large.bin", &noise(5 << 20));
        for number in 1..=4 {
            tree.put(&format!("lib/module-{number}"), format!("module {number}\n").as_bytes());
        }
        tree.put("web/index.html", b"<!DOCTYPE html>\n<title>Small</title>\n");
        tree.put("web/empty.css", b"");
        symlink("web", tree.path("tree/current")).unwrap();
        fs::write(tree.path("demisto.conf"), "{\n  \"Server\": {\n    \"HttpsPort\": \"443\"\n  }\n}\n")
            .unwrap();
        let unit =
            "[Service]\nExecStart=/usr/local/demisto/server\n\n[Install]\nWantedBy=multi-user.target\n";
        fs::write(tree.path("demisto.service"), unit).unwrap();
        tree.describe(1);
        tree
    }

    /// An engine, whose unit grants no low port.
    pub(crate) fn engine(version: &str, build: u32, config: &str) -> Self {
        let tree = Self { dir: tempfile::tempdir().unwrap() };
        for dir in ["tree", "tree/lib"] {
            fs::create_dir(tree.path(dir)).unwrap();
        }
        tree.put("d1", b"#!/bin/sh\nexec sleep 1000\n");
        fs::set_permissions(tree.path("tree/d1"), Permissions::from_mode(0o755)).unwrap();
        tree.put("EULA.txt", b"1. Use it.\n");
        tree.put("version.json", format!("{{\"version\": \"{version}\"}}\n").as_bytes());
        tree.put("lib/module", b"the same in all releases\n");
        fs::write(tree.path("d1.conf"), config).unwrap();
        let unit = "[Service]\nWorkingDirectory=/usr/local/demisto\nExecStart=/usr/local/demisto/d1\n\n\
                    [Install]\nWantedBy=multi-user.target\n";
        fs::write(tree.path("d1.service"), unit).unwrap();
        let text = format!(
            "format = 1\nproduct = \"demisto\"\ntitle = \"Small engine\"\nrole = \"engine\"\nversion = \"{version}\"\n\
             build = {build}\nepoch = 1\nschema = 1\neula = \"EULA.txt\"\nconfig = \"d1.conf\"\n\
             units = [\"d1.service\"]\n[upgrades]\nfrom = \"6.12\"\nto = \"6.14\"\n\
             [requirements]\ncpus = 1\nmemory_mib = 1\ndisk_mib = 1\n"
        );
        fs::write(tree.path("product.toml"), text).unwrap();
        tree
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Puts a file into the tree.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path("tree").join(name), bytes).unwrap();
    }

    /// Makes a link in the tree.
    pub(crate) fn link(&self, name: &str, target: &str) {
        symlink(target, self.path("tree").join(name)).unwrap();
    }

    /// Makes a second name for a file of the tree.
    pub(crate) fn hard_link(&self, name: &str, of: &str) {
        fs::hard_link(self.path("tree").join(of), self.path("tree").join(name)).unwrap();
    }

    /// Makes a directory in the tree.
    pub(crate) fn make_dir(&self, name: &str) {
        fs::create_dir(self.path("tree").join(name)).unwrap();
    }

    /// Gives something in the tree to the service. After the description was written.
    pub(crate) fn give(&self, name: &str, mode: &str) {
        let text = fs::read_to_string(self.path("product.toml")).unwrap();
        let entry = format!("\n[[files]]\npath = \"{name}\"\nowner = \"demisto\"\nmode = \"{mode}\"\n");
        fs::write(self.path("product.toml"), text + &entry).unwrap();
    }

    /// Takes a file, link or directory out of the tree.
    pub(crate) fn take(&self, name: &str) {
        let path = self.path("tree").join(name);
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }

    /// Writes the default configuration.
    pub(crate) fn configure(&self, text: &str) {
        fs::write(self.path("demisto.conf"), text).unwrap();
    }

    /// Writes the description, with this build number.
    pub(crate) fn describe(&self, build: u32) {
        self.describe_as("6.14.0", build, 1, 1);
    }

    /// Writes the description.
    pub(crate) fn describe_as(&self, version: &str, build: u32, epoch: u32, schema: u32) {
        let text = format!(
            "format = 1\nproduct = \"demisto\"\ntitle = \"Small\"\nrole = \"server\"\nversion = \"{version}\"\n\
             build = {build}\nepoch = {epoch}\nschema = {schema}\neula = \"EULA.txt\"\nconfig = \"demisto.conf\"\n\
             units = [\"demisto.service\"]\nhealth_path = \"/health\"\n\
             [upgrades]\nfrom = \"6.12\"\nto = \"6.14\"\n\
             [requirements]\ncpus = 1\nmemory_mib = 1\ndisk_mib = 1\n"
        );
        fs::write(self.path("product.toml"), text).unwrap();
    }

    /// Changes a piece of the description.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path("product.toml")).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(self.path("product.toml"), text.replacen(from, to, 1)).unwrap();
    }

    /// Changes the range of versions that it replaces.
    pub(crate) fn replaces(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path("product.toml")).unwrap();
        let (head, tail) = text.split_once("[upgrades]").unwrap();
        let (_, tail) = tail.split_once("[requirements]").unwrap();
        let text = format!("{head}[upgrades]\nfrom = \"{from}\"\nto = \"{to}\"\n[requirements]{tail}");
        fs::write(self.path("product.toml"), text).unwrap();
    }

    /// The next release: some files stay, some change, some come, some go; the unit and the default
    /// configuration change.
    pub(crate) fn next() -> Self {
        let tree = Self::new();
        tree.put("version.json", b"{\"version\": \"6.14.1\"}\n");
        tree.put("lib/module-2", b"module 2, changed\n");
        tree.take("lib/module-3");
        fs::create_dir(tree.path("tree/new")).unwrap();
        tree.put("new/file", b"new\n");
        tree.take("web/empty.css");
        tree.configure(
            "{\n  \"Server\": {\n    \"HttpsPort\": \"443\"\n  },\n  \"log.level\": \"info\"\n}\n",
        );
        let unit = "[Service]\nExecStart=/usr/local/demisto/server\nRestart=always\n\n\
                    [Install]\nWantedBy=multi-user.target\n";
        fs::write(tree.path("demisto.service"), unit).unwrap();
        tree.describe_as("6.14.1", 2, 1, 1);
        tree
    }

    /// Packs and signs it; `name` tells the installers of one process apart.
    pub(crate) fn pack(&self, name: &str, more: &[&str]) -> PathBuf {
        let (out, output) = self.try_pack(name, more);
        assert!(output.status.success(), "pack: {}", said(&output));
        out
    }

    /// As [`Tree::pack`], which may be refused.
    pub(crate) fn try_pack(&self, name: &str, more: &[&str]) -> (PathBuf, Output) {
        self.try_pack_with(name, &Vendor::get().file("release.key"), more)
    }

    /// As [`Tree::try_pack`], signed by another key than the vendor's.
    pub(crate) fn try_pack_with(&self, name: &str, key: &Path, more: &[&str]) -> (PathBuf, Output) {
        let out = Vendor::get().file(name);
        let mut command = self.packing(key);
        command.arg("--quiet").arg("--out").arg(&out).args(more);
        if !more.contains(&"--program") && !more.contains(&"rpm") {
            command.args(["--program", STUB]);
        }
        let output = command.output().unwrap();
        (out, output)
    }

    /// A call of `pack`, without a place for the output.
    pub(crate) fn packing(&self, key: &Path) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("pack").arg("--tree").arg(self.path("tree"));
        command.arg("--description").arg(self.path("product.toml")).arg("--signing-key").arg(key);
        command.env("SOURCE_DATE_EPOCH", "1780000000");
        command
    }
}

/// Bytes that no compressor shrinks, the same at every call (xorshift).
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A call of the program on `root`.
pub(crate) fn run(verb: &str, root: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg(verb).arg("--root").arg(root).stdin(Stdio::null());
    for name in ["DEMISTO_INSTALL_FAULT_AT", "DEMISTO_INSTALL_FAULT_LOG", "CREDENTIALS_DIRECTORY"] {
        command.env_remove(name);
    }
    command
}

/// What a call said that has to succeed.
pub(crate) fn succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    said(output)
}

/// That a call ended with `code` and said `why`.
pub(crate) fn refused(output: &Output, code: i32, why: &str) {
    assert_eq!(output.status.code(), Some(code), "{}", said(output));
    assert!(said(output).contains(why), "{why}: {}", said(output));
}

/// The answer of a call that has to succeed.
pub(crate) fn answer(output: &Output) -> serde_json::Value {
    succeeds(output);
    result(output)
}

/// The last line of a JSON answer, however the call ended.
pub(crate) fn result(output: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}: {}", said(output)))
}

/// Both outputs and the exit status as text.
pub(crate) fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// A directory that stands for a machine's root. In memory, so that a sweep does not wait for a disk.
#[derive(Debug)]
pub(crate) struct Root {
    dir: TempDir,
}

impl Root {
    /// With nothing but `/var/lib` in it.
    pub(crate) fn fresh() -> Self {
        let base = if Path::new("/dev/shm").is_dir() { Path::new("/dev/shm") } else { Path::new("/tmp") };
        let root = Self::within(base);
        fs::create_dir_all(root.at("var/lib")).unwrap();
        root
    }

    /// An empty one in `base`.
    fn within(base: &Path) -> Self {
        Self { dir: tempfile::Builder::new().prefix("root-").tempdir_in(base).unwrap() }
    }

    /// A copy of another root on a disk: snapshots do not lie in memory.
    pub(crate) fn copy_on_disk(other: &Self) -> Self {
        let root = Self::within(Path::new(env!("CARGO_TARGET_TMPDIR")));
        let from = other.path().join(".");
        let status = Command::new("/bin/cp").arg("-a").arg(from).arg(root.path()).status().unwrap();
        assert!(status.success());
        root
    }

    /// With the directories of a machine, and files that the installation finds and replaces.
    pub(crate) fn furnished() -> Self {
        let root = Self::fresh();
        for dir in ["etc/logrotate.d", "etc/systemd/system", "etc/sysusers.d", "usr/local/demisto", "var/log"]
        {
            fs::create_dir_all(root.at(dir)).unwrap();
        }
        root.put(
            "etc/demisto.conf",
            b"{\n  \"Server\": {\"HttpsPort\": \"8443\"},\n  \"mine\": true\n}\n",
            0o604,
        );
        root.put("etc/logrotate.d/demisto", b"# of an older installation\n", 0o640);
        root.put("etc/systemd/system/demisto.service", b"# of an older installation\n", 0o600);
        root.put("etc/hosts", b"127.0.0.1 localhost\n", 0o644);
        root
    }

    /// With an account database like a machine's, so that owners can be set.
    pub(crate) fn with_accounts() -> Self {
        assert!(nix::unistd::geteuid().is_root(), "this test gives files to another user: run it as root");
        need("useradd", "passwd");
        let root = Self::furnished();
        root.put(
            "etc/passwd",
            b"root:x:0:0:root:/root:/bin/bash\nbin:x:2:2:bin:/bin:/usr/sbin/nologin\n",
            0o644,
        );
        root.put("etc/group", b"root:x:0:\nbin:x:2:\n", 0o644);
        root.put("etc/shadow", b"root:*:20000:0:99999:7:::\nbin:*:20000:0:99999:7:::\n", 0o640);
        root.put("etc/gshadow", b"root:*::\nbin:*::\n", 0o640);
        // of an older installation, and not the service's
        fs::create_dir(root.at("var/log/demisto")).unwrap();
        fs::set_permissions(root.at("var/log/demisto"), Permissions::from_mode(0o700)).unwrap();
        root
    }

    /// A copy of another root.
    pub(crate) fn copy(other: &Self) -> Self {
        let root = Self::fresh();
        fs::remove_dir_all(root.at("var")).unwrap();
        let from = other.path().join(".");
        let status = Command::new("/bin/cp").arg("-a").arg(from).arg(root.path()).status().unwrap();
        assert!(status.success());
        root
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A path in it.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }

    /// Writes a file in it.
    pub(crate) fn put(&self, path: &str, bytes: &[u8], mode: u32) {
        fs::write(self.at(path), bytes).unwrap();
        fs::set_permissions(self.at(path), Permissions::from_mode(mode)).unwrap();
    }

    /// Everything in it but the program's own state and its log: kind, mode, owner and content.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut entries = BTreeMap::new();
        look(self.path(), "", &mut entries);
        entries.retain(|path, _| !path.starts_with(STATE) && path != "var/log/demisto/install.log");
        Snapshot(entries)
    }

    /// Every path in it, its own state included.
    pub(crate) fn all_paths(&self) -> Vec<String> {
        let mut entries = BTreeMap::new();
        look(self.path(), "", &mut entries);
        entries.into_keys().collect()
    }

    /// The evidence record, followed from its first line and held against the state beside it.
    pub(crate) fn record(&self) -> Checked {
        let read = |name: &str| fs::read(self.at(STATE).join(name)).unwrap_or_default();
        let head = State::parse(&read("record.state")).and_then(|state| state.head);
        record::check(&read("record.jsonl"), head, None)
    }

    /// What a run must never leave behind, and what of its own state it must not have.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let mut entries = BTreeMap::new();
        look(self.path(), "", &mut entries);
        let mut allowed: Vec<String> =
            ["", "/lock", "/epoch-floor", "/epoch-floor.engine", "/journal", "/journal/last.jsonl"]
                .map(|name| format!("{STATE}{name}"))
                .into();
        allowed.extend(["/record.jsonl", "/record.state"].map(|name| format!("{STATE}{name}")));
        if entries.contains_key("usr/local/.demisto.retained") {
            let names =
                ["", "/retained.json", "/receipt.json", "/manifest.json", "/manifest.sig", "/demisto.conf"];
            allowed.extend(names.map(|name| format!("{STATE}/retained{name}")));
            allowed.extend(["", "/demisto.service"].map(|name| format!("{STATE}/retained/units{name}")));
        }
        if entries.contains_key(&format!("{STATE}/receipt.json")) {
            let names = ["/receipt.json", "/manifest.json", "/manifest.sig"];
            allowed.extend(names.map(|name| format!("{STATE}{name}")));
        }
        allowed.extend(engines(&entries));
        allowed.extend(pairs(&entries, STATE));
        allowed.extend(["/snapshots", "/demisto.conf.former"].map(|name| format!("{STATE}{name}")));
        let bad = |path: &String| {
            let name = path.rsplit('/').next().unwrap_or_default();
            let hidden = name.starts_with('.') && name.contains("demisto-install");
            let complete =
                path.strip_prefix(&format!("{STATE}/snapshots")).is_some_and(|rest| !rest.contains("/."));
            hidden || (path.starts_with(STATE) && !allowed.contains(path) && !complete)
        };
        entries.into_keys().filter(bad).collect()
    }
}

/// What may be there of pairs of certificate and key that were replaced: whole ones.
fn pairs(entries: &BTreeMap<String, String>, state: &str) -> Vec<String> {
    let top = format!("{state}/certificates");
    let mut allowed = Vec::new();
    for pair in ["server", "client", "listener"].map(|kind| format!("{top}/{kind}")) {
        let names = ["", "/chain.pem", "/key.pem", "/pair.json"].map(|name| format!("{pair}{name}"));
        if names.iter().all(|name| entries.contains_key(name)) {
            allowed.extend(names);
            allowed.push(top.clone());
        }
    }
    allowed
}

/// What may be there of the engines with names.
fn engines(entries: &BTreeMap<String, String>) -> Vec<String> {
    let top = format!("{STATE}/engines");
    let mut allowed = vec![top.clone()];
    let states = entries.keys().filter_map(|path| path.strip_prefix(&top)?.strip_prefix('/'));
    for name in states.filter(|rest| !rest.contains('/')) {
        let state = format!("{top}/{name}");
        let mut may = |names: &[&str]| allowed.extend(names.iter().map(|rest| format!("{state}{rest}")));
        may(&["", "/journal", "/journal/last.jsonl"]);
        let kept = pairs(entries, &state);
        if entries.contains_key(&format!("{state}/receipt.json")) {
            may(&["/receipt.json", "/manifest.json", "/manifest.sig"]);
        }
        if entries.contains_key(&format!("usr/local/.demisto.d1_{name}.retained")) {
            may(&[
                "/retained",
                "/retained/retained.json",
                "/retained/receipt.json",
                "/retained/manifest.json",
            ]);
            may(&["/retained/manifest.sig", "/retained/demisto.conf", "/retained/units"]);
            allowed.push(format!("{state}/retained/units/d1_{name}.service"));
        }
        allowed.extend(kept);
    }
    allowed
}

/// What is in a root, path by path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot(BTreeMap<String, String>);

impl Snapshot {
    /// What differs, for people; empty when nothing does.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let paths: std::collections::BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        let differ = paths.into_iter().filter(|path| self.0.get(*path) != other.0.get(*path));
        differ.map(|path| format!("{path}: {:?} became {:?}", self.0.get(path), other.0.get(path))).collect()
    }

    /// The paths.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// Without what `wanted` refuses.
    pub(crate) fn only(mut self, wanted: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|path, _| wanted(path));
        self
    }
}

fn look(dir: &Path, prefix: &str, entries: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}{}", entry.file_name().into_string().unwrap());
        let meta = entry.path().symlink_metadata().unwrap();
        let attributes = format!("{:o} {}:{}", meta.mode(), meta.uid(), meta.gid());
        let content = if meta.is_symlink() {
            fs::read_link(entry.path()).unwrap().display().to_string()
        } else if meta.is_file() {
            Digest::of(&fs::read(entry.path()).unwrap()).to_string()
        } else {
            String::new()
        };
        if meta.is_dir() {
            look(&entry.path(), &format!("{path}/"), entries);
        }
        entries.insert(path, format!("{attributes} {content}"));
    }
}

/// Tells how a sweep went: on standard error, and in a file below the target directory.
pub(crate) fn summary(name: &str, text: &str) {
    eprintln!("{text}");
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.txt"));
    fs::write(path, format!("{text}\n")).unwrap();
}
