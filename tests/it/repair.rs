//! Each kind of drift is made by hand, found by `verify --installed` under its name, and put right;
//! what is not the release's stays as it is, to the inode.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use demisto_install::types::Digest;
use serde_json::Value;

use crate::support::installer::{Root, STATE, Tree, Vendor, run, said};
use crate::support::pgp::need;

const TREE: &str = "usr/local/demisto";
const UNIT: &str = "etc/systemd/system/demisto.service";

/// What the installer of the tests brings, besides units and host files.
const OWNED: [&str; 13] = [
    "EULA.txt",
    "current",
    "lib",
    "lib/large.bin",
    "lib/module-1",
    "lib/module-2",
    "lib/module-3",
    "lib/module-4",
    "server",
    "version.json",
    "web",
    "web/empty.css",
    "web/index.html",
];
const WRITTEN: [&str; 6] = [
    TREE,
    UNIT,
    "etc/systemd/system/multi-user.target.wants/demisto.service",
    "etc/sysusers.d/demisto.conf",
    "etc/tmpfiles.d/demisto.conf",
    "etc/logrotate.d/demisto",
];

fn ends(command: &mut Command, code: i32) -> Output {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{command:?}: {}", said(&output));
    output
}

/// The last line of JSON of a command that ends so.
fn result(command: &mut Command, code: i32) -> Value {
    let output = ends(command.args(["--output", "json"]), code);
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

fn with_key(verb: &str, root: &Root) -> Command {
    let mut command = run(verb, root.path());
    command.arg("--key").arg(Vendor::get().file("release.asc"));
    command
}

pub(crate) fn verify(root: &Root) -> Command {
    let mut command = with_key("verify", root);
    command.arg("--installed");
    command
}

fn repair(root: &Root) -> Command {
    let mut command = with_key("repair", root);
    command.arg("--yes");
    command
}

fn repair_from(root: &Root, file: &Path) -> Command {
    let mut command = repair(root);
    command.arg("--from").arg(file);
    command
}

/// An installed release with files of the host in its directories.
pub(crate) fn model() -> &'static Root {
    static MODEL: OnceLock<Root> = OnceLock::new();
    MODEL.get_or_init(|| {
        let root = Root::fresh();
        ends(&mut Vendor::get().install(root.path()), 0);
        furnish(&root);
        root
    })
}

fn furnish(root: &Root) {
    for (path, text) in [("demisto.lic", "licence"), ("lib/of-the-administrator", "mine"), ("d1.conf", "d1")]
    {
        root.put(&format!("{TREE}/{path}"), text.as_bytes(), 0o640);
    }
    fs::create_dir_all(root.at(&format!("{TREE}/own/deep"))).unwrap();
    root.put(&format!("{TREE}/own/deep/notes"), b"notes", 0o600);
    fs::create_dir(root.at("etc/systemd/system/demisto.service.d")).unwrap();
    root.put("etc/systemd/system/demisto.service.d/mine.conf", b"[Service]\nNice=5\n", 0o644);
    symlink(
        "/lib/systemd/system/ssh.service",
        root.at("etc/systemd/system/multi-user.target.wants/ssh.service"),
    )
    .unwrap();
    root.put("var/lib/demisto/data.db", b"data", 0o640);
    root.put("var/lib/precious", b"precious", 0o600);
}

/// Every file that is not the release's: inode, times of change, content.
pub(crate) fn of_the_host(root: &Root) -> BTreeMap<String, String> {
    let ours = |path: &str| {
        path.starts_with(STATE)
            || path == "var/log/demisto/install.log"
            || WRITTEN.contains(&path)
            || path.strip_prefix(TREE).is_some_and(|rest| OWNED.contains(&rest.trim_start_matches('/')))
    };
    let about = |path: String| {
        let meta = root.at(&path).symlink_metadata().unwrap();
        let content = if meta.is_file() { fs::read(root.at(&path)).unwrap() } else { Vec::new() };
        let dir = meta.is_dir();
        let times = if dir { 0 } else { meta.ctime_nsec() };
        let text = format!("{} {:o} {times} {}", meta.ino(), meta.mode(), Digest::of(&content));
        (path, text)
    };
    root.all_paths().into_iter().filter(|path| !ours(path)).map(about).collect()
}

fn drift(found: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let pairs = found["drift"].as_array().unwrap().iter();
    pairs.map(|drift| (text(&drift["path"]), text(&drift["what"]))).collect()
}

/// Makes a drift; the drift must be found and put right, by every source that can have it.
fn put_right(name: &str, model: &Root, damage: impl Fn(&Root), wanted: &[(&str, &str)]) {
    let wanted: Vec<(String, String)> =
        wanted.iter().map(|(path, what)| ((*path).to_owned(), (*what).to_owned())).collect();
    let sources: [&dyn Fn(&Root) -> Command; 2] =
        [&|root| repair_from(root, &Vendor::get().small()), &|root| {
            keep(root);
            repair(root)
        }];
    for (number, source) in sources.into_iter().enumerate() {
        let root = Root::copy(model);
        damage(&root);
        let found = result(&mut verify(&root), 4);
        assert_eq!(drift(&found), wanted, "{name}");
        assert_eq!(found["accepted"], true, "{name}");
        let mut command = source(&root);
        let host = of_the_host(&root);
        assert!(host.len() > 20, "{host:?}");
        let done = result(&mut command, 0);
        assert_eq!((&done["changed"], &done["repaired"]), (&true.into(), &found["drift"]), "{name} {number}");
        let after = result(&mut verify(&root), 0);
        assert_eq!(drift(&after), [], "{name} {number}");
        assert_eq!(after["kept"], found["kept"], "{name} {number}");
        let now = of_the_host(&root);
        let changed: Vec<_> = host.iter().filter(|(path, about)| now.get(*path) != Some(about)).collect();
        assert_eq!(changed, [], "{name} {number}");
        let new: Vec<&String> = now.keys().filter(|path| !host.contains_key(*path)).collect();
        assert!(new.is_empty() || new == ["etc/logrotate.d"], "{name} {number}: {new:?}");
        assert_eq!(root.leftovers().iter().filter(|path| !path.contains("retained")).count(), 0, "{name}");
        assert_eq!(result(&mut source(&root), 0)["changed"], false, "{name} {number}");
    }
}

/// Keeps the files of a sound tree where those of the release before are kept.
fn keep(root: &Root) {
    let kept = root.at("usr/local/.demisto.retained");
    if !kept.exists() {
        let status = Command::new("/bin/cp").arg("-a").arg(model().at(TREE)).arg(&kept).status().unwrap();
        assert!(status.success());
    }
}

fn at(root: &Root, path: &str) -> PathBuf {
    root.at(TREE).join(path)
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn nothing_differs_after_an_installation() {
    let root = Root::copy(model());
    let found = result(&mut verify(&root), 0);
    assert_eq!((&found["accepted"], &found["drift"]), (&true.into(), &serde_json::json!([])));
    assert_eq!(found["compared"], 17);
    assert_eq!(found["kept"], 6, "certificate, its key, and four files of the host");
    assert_eq!(found["judgement"]["verdicts"][0]["code"], "good");
    let before = root.snapshot();
    assert_eq!(result(&mut repair(&root), 0)["changed"], false);
    assert_eq!(result(repair(&root).arg("--dry-run"), 0)["changes"], false);
    assert_eq!(before, root.snapshot());
    let text = said(&ends(&mut verify(&root), 0));
    assert!(text.contains("VERIFIED") && text.contains("6 files of the host"), "{text}");
}

#[test]
fn files_are_put_right() {
    let model = model();
    put_right(
        "content",
        model,
        |root| fs::write(at(root, "server"), "#!/bin/sh\nevil\n").unwrap(),
        &[("server", "content")],
    );
    let same_size = |root: &Root| {
        let mut bytes = fs::read(at(root, "lib/large.bin")).unwrap();
        bytes[4 << 20] ^= 1;
        fs::write(at(root, "lib/large.bin"), bytes).unwrap();
    };
    put_right("one bit", model, same_size, &[("lib/large.bin", "content")]);
    put_right("mode", model, |root| chmod(&at(root, "server"), 0o777), &[("server", "mode")]);
    put_right("set-uid", model, |root| chmod(&at(root, "server"), 0o4755), &[("server", "mode")]);
    let several = |root: &Root| {
        fs::remove_file(at(root, "web/empty.css")).unwrap();
        fs::remove_file(at(root, "lib/module-3")).unwrap();
        fs::write(at(root, "EULA.txt"), "2. Pay.\n").unwrap();
    };
    put_right(
        "several",
        model,
        several,
        &[("EULA.txt", "content"), ("lib/module-3", "missing"), ("web/empty.css", "missing")],
    );
    let target = |root: &Root| {
        fs::remove_file(at(root, "current")).unwrap();
        symlink("lib", at(root, "current")).unwrap();
    };
    put_right("target", model, target, &[("current", "target")]);
}

#[test]
fn what_has_another_kind_is_put_right_and_no_link_followed() {
    let model = model();
    let file_to_link = |root: &Root| {
        fs::remove_file(at(root, "server")).unwrap();
        symlink(root.at("var/lib/precious"), at(root, "server")).unwrap();
    };
    put_right("file, link", model, file_to_link, &[("server", "kind")]);
    let link_to_file = |root: &Root| {
        fs::remove_file(at(root, "current")).unwrap();
        fs::write(at(root, "current"), "x").unwrap();
    };
    put_right("link, file", model, link_to_file, &[("current", "kind")]);
    let file_to_empty_dir = |root: &Root| {
        fs::remove_file(at(root, "version.json")).unwrap();
        fs::create_dir(at(root, "version.json")).unwrap();
    };
    put_right("file, empty directory", model, file_to_empty_dir, &[("version.json", "kind")]);
    let lib = |what: &'static str| {
        let mut all = vec![("lib", what)];
        all.extend(OWNED.iter().filter(|path| path.starts_with("lib/")).map(|path| (*path, "missing")));
        all
    };
    let dir_to_link = |root: &Root| {
        fs::rename(at(root, "lib"), root.at("var/lib/elsewhere")).unwrap();
        symlink(root.at("var/lib/elsewhere"), at(root, "lib")).unwrap();
    };
    put_right("directory, link", model, dir_to_link, &lib("kind"));
    let dir_to_file = |root: &Root| {
        fs::rename(at(root, "lib"), root.at("var/lib/elsewhere")).unwrap();
        fs::write(at(root, "lib"), "x").unwrap();
    };
    put_right("directory, file", model, dir_to_file, &lib("kind"));
    put_right("directory", model, |root| fs::remove_dir_all(at(root, "lib")).unwrap(), &lib("missing"));
    let all = |root: &Root| fs::rename(root.at(TREE), root.at("var/lib/elsewhere")).unwrap();
    let root = Root::copy(model);
    all(&root);
    assert_eq!(drift(&result(&mut verify(&root), 4)), [(".".to_owned(), "missing".to_owned())]);
    ends(&mut repair_from(&root, &Vendor::get().small()), 0);
    ends(&mut verify(&root), 0);
}

#[test]
fn directories_are_put_right() {
    let model = model();
    put_right("directory's mode", model, |root| chmod(&at(root, "web"), 0o777), &[("web", "mode")]);
    put_right("the top's mode", model, |root| chmod(&root.at(TREE), 0o1777), &[(".", "mode")]);
}

#[test]
fn what_lies_outside_is_put_right() {
    let model = model();
    let unit = "/etc/systemd/system/demisto.service";
    let text = |root: &Root| root.put(UNIT, b"[Service]\nExecStart=/bin/false\n", 0o644);
    put_right("unit", model, text, &[(unit, "content")]);
    put_right("unit's mode", model, |root| chmod(&root.at(UNIT), 0o666), &[(unit, "mode")]);
    put_right("no unit", model, |root| fs::remove_file(root.at(UNIT)).unwrap(), &[(unit, "missing")]);
    let disabled = |root: &Root| {
        fs::remove_file(root.at("etc/systemd/system/multi-user.target.wants/demisto.service")).unwrap();
    };
    put_right("disabled", model, disabled, &[(unit, "enablement")]);
    let host = |root: &Root| {
        root.put("etc/tmpfiles.d/demisto.conf", b"d /var/lib/demisto 0777 root root -\n", 0o644);
        fs::remove_dir_all(root.at("etc/logrotate.d")).unwrap();
    };
    put_right(
        "host files",
        model,
        host,
        &[("/etc/tmpfiles.d/demisto.conf", "content"), ("/etc/logrotate.d/demisto", "missing")],
    );
}

/// With owners: an installation by root into a root that has accounts.
pub(crate) fn owned() -> Root {
    let root = Root::with_accounts();
    let call = Vendor::get().install(root.path());
    let mut command = run("install", root.path());
    command.args(call.get_args().skip(3).filter(|argument| *argument != "--no-owner"));
    ends(&mut command, 0);
    furnish(&root);
    root
}

#[test]
fn owners_and_capabilities_are_put_right_as_root() {
    need("setcap", "libcap2-bin");
    let model = owned();
    let other = |path: &'static str| move |root: &Root| chown(root.at(path), Some(2), Some(2)).unwrap();
    put_right("owner", &model, other("usr/local/demisto/server"), &[("server", "owner")]);
    put_right("directory's owner", &model, other("usr/local/demisto/web"), &[("web", "owner")]);
    put_right("the top's owner", &model, other(TREE), &[(".", "owner")]);
    put_right("unit's owner", &model, other(UNIT), &[("/etc/systemd/system/demisto.service", "owner")]);
    let link = |root: &Root| {
        std::os::unix::fs::lchown(at(root, "current"), Some(2), Some(2)).unwrap();
    };
    put_right("link's owner", &model, link, &[("current", "owner")]);
    let capable = |root: &Root| {
        let setcap = ["/usr/sbin/setcap", "/sbin/setcap"].into_iter().find(|path| Path::new(path).exists());
        let mut setcap = Command::new(setcap.unwrap());
        ends(setcap.arg("cap_setuid+ep").arg(at(root, "server")), 0);
    };
    put_right("capability", &model, capable, &[("server", "capability")]);
}

#[test]
fn a_missing_account_is_named_and_not_guessed_as_root() {
    let root = owned();
    for file in ["etc/passwd", "etc/shadow"] {
        let text = fs::read_to_string(root.at(file)).unwrap();
        let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("demisto:")).collect();
        fs::write(root.at(file), kept.join("\n") + "\n").unwrap();
    }
    let found = drift(&result(&mut verify(&root), 4));
    assert_eq!(found, [("/etc/passwd".to_owned(), "account".to_owned())]);
    let before = root.snapshot();
    let output = ends(&mut repair_from(&root, &Vendor::get().small()), 4);
    assert!(said(&output).contains("useradd --system --uid"), "{}", said(&output));
    assert_eq!(before, root.snapshot());
}

#[test]
fn the_program_puts_right_what_it_carries() {
    let root = Root::fresh();
    let vendor = Vendor::get();
    let mut install = vendor.offer("install", &vendor.whole(), root.path());
    ends(install.arg("--admin-password-file").arg(vendor.file("password")), 0);
    fs::write(at(&root, "server"), "changed").unwrap();
    ends(&mut repair(&root), 4);
    let mut own = Command::new(vendor.whole());
    ends(own.args(repair(&root).get_args()), 0);
    ends(&mut verify(&root), 0);
    fs::write(at(&root, "server"), "changed").unwrap();
    let mut untrusted = Command::new(vendor.whole());
    let output = ends(untrusted.args(["repair", "--yes", "--root"]).arg(root.path()), 4);
    assert!(said(&output).contains("own copy of the release is not used"), "{}", said(&output));
}

#[test]
fn without_content_nothing_is_changed() {
    let root = Root::copy(model());
    chmod(&at(&root, "web"), 0o777);
    fs::write(at(&root, "server"), "changed").unwrap();
    fs::write(at(&root, "lib/module-2"), "changed").unwrap();
    chmod(&at(&root, "lib/module-3"), 0o600);
    let (before, host) = (root.snapshot(), of_the_host(&root));
    let output = ends(&mut repair(&root), 4);
    let text = said(&output);
    for part in ["2 files", "lib/module-2, server", "repair --from FILE"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("module-3"), "the host has its content: {text}");
    // what is kept but not what was signed is no source either
    fs::create_dir(root.at("usr/local/.demisto.retained")).unwrap();
    root.put("usr/local/.demisto.retained/server", &[b'x'; 28], 0o755);
    ends(&mut repair(&root), 4);
    fs::remove_dir_all(root.at("usr/local/.demisto.retained")).unwrap();
    assert_eq!(before.differences(&root.snapshot()), [""; 0]);
    assert_eq!(host, of_the_host(&root));
}

#[test]
fn another_release_is_refused() {
    let root = Root::copy(model());
    fs::write(at(&root, "server"), "changed").unwrap();
    let tree = Tree::new();
    tree.describe(2);
    let other = tree.pack("repair-other", &[]);
    let before = root.snapshot();
    let output = ends(&mut repair_from(&root, &other), 3);
    assert!(said(&output).contains("6.14.0-2") && said(&output).contains("6.14.0-1"), "{}", said(&output));
    let mut bytes = fs::read(Vendor::get().small()).unwrap();
    bytes[60_000] ^= 1;
    let damaged = Vendor::get().file("repair-damaged");
    fs::write(&damaged, bytes).unwrap();
    ends(&mut repair_from(&root, &damaged), 3);
    let mut untrusted = run("repair", root.path());
    ends(untrusted.arg("--yes").arg("--from").arg(Vendor::get().small()), 3);
    assert_eq!(before.differences(&root.snapshot()), [""; 0]);
}

#[test]
fn what_may_be_somebodys_is_left_alone() {
    let directory: &dyn Fn(&Root) = &|root| {
        fs::remove_file(at(root, "server")).unwrap();
        fs::create_dir(at(root, "server")).unwrap();
        fs::write(at(root, "server/diary"), "dear diary").unwrap();
    };
    let masked: &dyn Fn(&Root) = &|root| {
        fs::remove_file(root.at(UNIT)).unwrap();
        symlink("/dev/null", root.at(UNIT)).unwrap();
    };
    let moved: &dyn Fn(&Root) = &|root| {
        fs::rename(root.at(TREE), root.at("var/lib/demisto-tree")).unwrap();
        symlink("../../var/lib/demisto-tree", root.at(TREE)).unwrap();
    };
    let unit = "/etc/systemd/system/demisto.service";
    for (damage, path) in [(directory, "server"), (masked, unit), (moved, ".")] {
        let root = Root::copy(model());
        damage(&root);
        assert_eq!(drift(&result(&mut verify(&root), 4)), [(path.to_owned(), "kind".to_owned())]);
        let before = root.snapshot();
        let output = ends(&mut repair_from(&root, &Vendor::get().small()), 4);
        assert!(said(&output).contains("move it away"), "{}", said(&output));
        assert_eq!(before.differences(&root.snapshot()), [""; 0]);
    }
}

#[test]
fn a_plan_is_shown_and_binds_the_repair() {
    let root = Root::copy(model());
    fs::write(at(&root, "server"), "changed").unwrap();
    let before = root.snapshot();
    let from = |verb: Command| {
        let mut command = verb;
        command.arg("--from").arg(Vendor::get().small());
        command
    };
    let plan = result(from(with_key("repair", &root)).arg("--dry-run"), 0);
    assert_eq!(before, root.snapshot());
    let steps: Vec<&str> =
        plan["plan"]["steps"].as_array().unwrap().iter().map(|s| s["step"]["do"].as_str().unwrap()).collect();
    assert_eq!(steps, ["stage-files", "replace-entries"]);
    ends(&mut from(with_key("repair", &root)), 2);
    ends(from(with_key("repair", &root)).args(["--plan-digest", &"0".repeat(64)]), 4);
    assert_eq!(before, root.snapshot());
    let digest = plan["digest"].as_str().unwrap();
    chmod(&at(&root, "web"), 0o700);
    ends(from(with_key("repair", &root)).args(["--plan-digest", digest]), 4);
    chmod(&at(&root, "web"), 0o755);
    ends(from(with_key("repair", &root)).args(["--plan-digest", digest]), 0);
    ends(&mut verify(&root), 0);
}

#[test]
fn signatures_are_judged_anew_and_the_receipt_not_believed() {
    let root = Root::copy(model());
    let refused = |command: &mut Command, why: &str| {
        let found = result(command, 3);
        assert_eq!((&found["accepted"], &found["drift"]), (&false.into(), &serde_json::json!([])), "{why}");
        assert!(found["problem"].is_string(), "{why}");
    };
    let mut nobody = run("verify", root.path());
    refused(nobody.arg("--installed"), "no key");
    ends(verify(&root).arg(Vendor::get().small()), 2);
    // a manifest and a receipt that agree with each other, and a signature that is not over them
    let manifest = root.at(STATE).join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let old = Digest::of(text.as_bytes()).to_string();
    let text = text.replace("\"title\":\"Small\"", "\"title\":\"Smart\"");
    fs::write(&manifest, &text).unwrap();
    refused(&mut verify(&root), "changed manifest");
    let receipt = root.at(STATE).join("receipt.json");
    let forged =
        fs::read_to_string(&receipt).unwrap().replace(&old, &Digest::of(text.as_bytes()).to_string());
    fs::write(&receipt, &forged).unwrap();
    ends(&mut run("status", root.path()), 0);
    refused(&mut verify(&root), "forged receipt");
    fs::remove_file(root.at(STATE).join("manifest.sig")).unwrap();
    refused(&mut verify(&root), "no signatures");
    // a good manifest, and a receipt that names another
    let root = Root::copy(model());
    fs::write(root.at(STATE).join("receipt.json"), forged).unwrap();
    refused(&mut verify(&root), "receipt of another release");
    ends(&mut repair(&root), 3);
}

#[test]
fn where_nothing_is_installed_or_somebody_is_at_work() {
    let root = Root::fresh();
    ends(&mut verify(&root), 4);
    ends(&mut repair(&root), 4);
    let root = Root::copy(model());
    let lock = File::create(root.at(STATE).join("lock")).unwrap();
    lock.lock().unwrap();
    ends(&mut repair(&root), 6);
    drop(lock);
    ends(&mut repair(&root), 0);
    fs::write(root.at(STATE).join("journal/current.jsonl"), "").unwrap();
    ends(&mut verify(&root), 5);
    ends(repair(&root).arg("--dry-run"), 5);
    ends(&mut repair(&root), 0);
    ends(&mut verify(&root), 0);
}
