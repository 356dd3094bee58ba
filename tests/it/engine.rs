//! Engines in a scratch root: where they are, what they are given, what is refused, and that server and
//! engines of one host leave each other alone.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use demisto_install::types::Digest;
use serde_json::{Value, json};

use crate::support::installer::{Root, Tree, Vendor, refused, run, said, succeeds};
use crate::support::loops::Mounted;

const DEFAULTS: &str =
    "{\n  \"EngineURLs\": [],\n  \"LogFile\": \"/var/log/demisto/d1.log\",\n  \"LogLevel\": \"info\"\n}\n";
const NEW_DEFAULTS: &str = "{\n  \"EngineURLs\": [],\n  \"LogFile\": \"/var/log/demisto/d1.log\",\n  \"LogLevel\": \"info\",\n  \"log.rolling.backups\": 3\n}\n";

pub(crate) fn v1() -> PathBuf {
    static V1: OnceLock<PathBuf> = OnceLock::new();
    V1.get_or_init(|| Tree::engine("6.14.0", 1, DEFAULTS).pack("engine-1", &[])).clone()
}

pub(crate) fn v2() -> PathBuf {
    static V2: OnceLock<PathBuf> = OnceLock::new();
    V2.get_or_init(|| Tree::engine("6.14.1", 2, NEW_DEFAULTS).pack("engine-2", &[])).clone()
}

pub(crate) fn engine(verb: &str, root: &Path) -> Command {
    let mut command = run("engine", root);
    command.arg(verb);
    command
}

/// A call of `engine install` that asks nothing.
pub(crate) fn install(bundle: &Path, root: &Path) -> Command {
    let vendor = Vendor::get();
    let mut command = engine("install", root);
    command.arg(bundle).arg("--no-owner").arg("--key").arg(vendor.file("release.asc"));
    command.arg("--answers").arg(vendor.file("answers.json")).arg("--yes");
    command
}

pub(crate) fn upgrade(bundle: &Path, root: &Path) -> Command {
    let mut command = engine("upgrade", root);
    command.arg(bundle).arg("--key").arg(Vendor::get().file("release.asc")).arg("--yes");
    command
}

/// The server's public key as a server writes it.
pub(crate) fn server_public() -> String {
    let output = Command::new("/usr/bin/openssl")
        .args(["x509", "-noout", "-pubkey", "-in"])
        .arg(Vendor::get().file("cert.pem"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| !line.starts_with("-----")).collect()
}

fn conf_value() -> Value {
    json!({
        "EngineURLs": ["wss://localhost:8443/d1ws"],
        "EngineID": "ff1dea73-8b22-437a-adb8-391514c05cfa",
        "ServerPublic": server_public(),
        "BindAddress": ":0",
        "LogFile": "/var/log/demisto/d1_x/d1.log",
        "LogLevel": "debug"
    })
}

/// A good `d1.conf`, with something else in it, as a file that is kept as long as the root.
pub(crate) fn conf(root: &Root, change: impl FnOnce(&mut Value)) -> PathBuf {
    let mut value = conf_value();
    change(&mut value);
    let path = root.at("given.conf");
    fs::write(&path, serde_json::to_string_pretty(&value).unwrap()).unwrap();
    path
}

fn with_server() -> Root {
    let root = Root::furnished();
    succeeds(&Vendor::get().install(root.path()).output().unwrap());
    root
}

fn named(root: &Root) -> String {
    let conf = conf(root, |_| ());
    succeeds(&install(&v1(), root.path()).args(["--name", "x", "--conf"]).arg(conf).output().unwrap())
}

fn text(root: &Root, path: &str) -> String {
    fs::read_to_string(root.at(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Everything below a directory: kind, mode, owner, links, content.
fn all(root: &Root, top: &str) -> BTreeMap<String, String> {
    fn look(dir: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let (path, meta) = (entry.path(), entry.path().symlink_metadata().unwrap());
            let content = if meta.is_file() {
                Digest::of(&fs::read(&path).unwrap()).to_string()
            } else {
                String::new()
            };
            if meta.is_dir() {
                look(&path, found);
            }
            found.insert(
                path.display().to_string(),
                format!("{:o} {}:{} {content}", meta.mode(), meta.uid(), meta.gid()),
            );
        }
    }
    let mut found = BTreeMap::new();
    look(&root.at(top), &mut found);
    found
}

fn status(root: &Root) -> Value {
    let output = engine("status", root.path()).args(["--output", "json"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn a_named_engine_has_places_of_its_own() {
    let root = Root::furnished();
    let said = named(&root);
    assert!(said.contains("Plan") || said.contains("is installed"), "{said}");
    let unit = text(&root, "etc/systemd/system/d1_x.service");
    assert!(unit.contains("WorkingDirectory=/usr/local/demisto/d1_x\n"), "{unit}");
    assert!(unit.contains("ExecStart=/usr/local/demisto/d1_x/d1\n"), "{unit}");
    assert_eq!(
        text(&root, "usr/local/demisto/d1_x/d1.conf"),
        fs::read_to_string(root.at("given.conf")).unwrap()
    );
    let mode = |path: &str| fs::metadata(root.at(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("usr/local/demisto/d1_x/d1.conf"), 0o640);
    assert_eq!((mode("usr/local/demisto/d1_x"), mode("usr/local/demisto")), (0o755, 0o755));
    for path in [
        "var/lib/d1_x",
        "var/log/demisto/d1_x",
        "var/lib/demisto-install/engines/x/receipt.json",
        "etc/systemd/system/multi-user.target.wants/d1_x.service",
    ] {
        assert!(root.at(path).symlink_metadata().is_ok(), "{path}");
    }
    assert!(!root.at("var/lib/demisto-install/receipt.json").exists());
    let status = status(&root);
    let first = &status["engines"][0];
    assert_eq!(
        (&first["site"]["name"], &first["release"], &first["drift"]),
        (&json!("x"), &json!("6.14.0-1"), &json!([]))
    );
    let mut verify = engine("verify", root.path());
    let verify = verify.args(["--name", "x", "--key"]).arg(Vendor::get().file("release.asc"));
    succeeds(&verify.output().unwrap());
    let again = install(&v1(), root.path()).args(["--name", "x"]).output().unwrap();
    assert!(succeeds(&again).contains("nothing to do"));
}

#[test]
fn two_engines_share_nothing() {
    let root = Root::furnished();
    named(&root);
    succeeds(&install(&v2(), root.path()).args(["--name", "y"]).output().unwrap());
    let first = all(&root, "usr/local/demisto/d1_x");
    succeeds(&engine("uninstall", root.path()).args(["--name", "y", "--purge", "--yes"]).output().unwrap());
    assert_eq!(all(&root, "usr/local/demisto/d1_x"), first);
    assert!(!root.at("usr/local/demisto/d1_y").exists() && !root.at("var/log/demisto/d1_y").exists());
    assert!(!root.at("var/lib/d1_y").exists());
    assert!(root.at("etc/logrotate.d/demisto").exists(), "the other engine needs it");
    succeeds(&engine("uninstall", root.path()).args(["--name", "x", "--purge", "--yes"]).output().unwrap());
    for gone in
        ["usr/local/demisto", "etc/logrotate.d/demisto", "var/lib/demisto", "var/lib/d1_x", "var/log/demisto"]
    {
        assert!(!root.at(gone).exists(), "{gone}");
    }
}

#[test]
fn without_a_configuration_the_next_command_is_told() {
    let root = Root::furnished();
    let tested = install(&v1(), root.path()).arg("--require-fips").output().unwrap();
    refused(&tested, 4, "its FIPS-CC self-tests cannot be required");
    let told = succeeds(&install(&v1(), root.path()).output().unwrap());
    assert!(told.contains("engine configure") && told.contains("--conf FILE"), "{told}");
    assert_eq!(text(&root, "usr/local/demisto/d1.conf"), DEFAULTS);
    refused(&engine("configure", root.path()).arg("--yes").output().unwrap(), 2, "is the release's default");
    let conf = conf(&root, |value| value["LogFile"] = json!("/var/log/demisto/d1.log"));
    let mut configure = engine("configure", root.path());
    let configure = configure.arg("--conf").arg(&conf);
    refused(&configure.output().unwrap(), 2, "cannot ask");
    let told = succeeds(&configure.arg("--yes").output().unwrap());
    assert!(told.contains("has its new configuration"), "{told}");
    assert_eq!(fs::read(root.at("usr/local/demisto/d1.conf")).unwrap(), fs::read(conf).unwrap());
    assert!(succeeds(&configure.output().unwrap()).contains("nothing to do"));
}

#[test]
fn everything_that_is_wrong_is_told_and_nothing_is_changed() {
    let root = Root::furnished();
    named(&root);
    let before = root.snapshot();
    let bad = conf(&root, |value| {
        value["EngineURLs"] = json!(["https://localhost/d1ws"]);
        value["EngineID"] = json!("7");
        value["LogLevel"] = json!("loud");
        value["engine.connection.trust_any_certificate"] = json!("true");
        value["ServerPublic"] = json!("AAAA");
        value["LogFile"] = json!("/var/log/demisto/d1_y/d1.log");
    });
    let output =
        engine("configure", root.path()).args(["--name", "x", "--yes", "--conf"]).arg(bad).output().unwrap();
    refused(&output, 2, "given.conf cannot be used");
    for key in ["EngineURLs", "EngineID", "LogLevel", "trust_any_certificate", "ServerPublic", "LogFile"] {
        assert!(said(&output).contains(key), "{key}: {}", said(&output));
    }
    let path = root.at("given.conf");
    for text in ["", "[]", "{", "\u{feff}{}"] {
        fs::write(&path, text).unwrap();
        let output =
            engine("configure", root.path()).args(["--name", "x", "--yes", "--conf"]).arg(&path).output();
        refused(&output.unwrap(), 2, "cannot be used");
        let output = install(&v2(), root.path()).args(["--name", "y", "--conf"]).arg(&path).output().unwrap();
        refused(&output, 2, "cannot be used");
    }
    fs::write(&path, serde_json::to_string_pretty(&conf_value()).unwrap()).unwrap();
    assert_eq!(root.snapshot().differences(&before), Vec::<String>::new());
}

#[test]
fn a_pair_is_checked_and_taken() {
    let root = Root::furnished();
    named(&root);
    let vendor = Vendor::get();
    let configure = |cert: &Path, key: &Path| {
        let mut command = engine("configure", root.path());
        command.args(["--name", "x", "--yes", "--client-cert"]).arg(cert).arg("--client-key").arg(key);
        command.output().unwrap()
    };
    let before = root.snapshot();
    refused(&configure(&vendor.file("release.asc"), &vendor.file("cert.key")), 2, "certificate is unusable");
    refused(&configure(&vendor.file("cert.pem"), &vendor.file("release.key")), 2, "private key is unusable");
    assert_eq!(root.snapshot().differences(&before), Vec::<String>::new());
    succeeds(&configure(&vendor.file("cert.pem"), &vendor.file("cert.key")));
    for (name, source) in [("client.pem", "cert.pem"), ("client.key", "cert.key")] {
        let path = root.at("usr/local/demisto/d1_x").join(name);
        assert_eq!(fs::read(&path).unwrap(), fs::read(vendor.file(source)).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o400);
    }
    let journal = text(&root, "var/lib/demisto-install/engines/x/journal/last.jsonl");
    assert!(!journal.contains("PRIVATE KEY") && journal.contains("take-file"), "{journal}");
}

#[test]
fn no_secret_of_the_configuration_is_in_plan_or_journal() {
    let root = Root::furnished();
    let conf = conf(&root, |value| {
        value["security.certificate.client.keypass"] = json!("Hidden-marker-1");
        value["http_proxy"] = json!("http://me:Hidden-marker-2@proxy:3128");
        value["My.Own"] = json!("kept");
    });
    let mut command = install(&v1(), root.path());
    let command = command.args(["--name", "x", "--conf"]).arg(&conf).args(["--output", "json"]);
    let told = succeeds(&command.output().unwrap());
    assert!(!told.contains("Hidden-marker"), "{told}");
    let journal = text(&root, "var/lib/demisto-install/engines/x/journal/last.jsonl");
    assert!(!journal.contains("Hidden-marker") && journal.contains("My.Own is not known"), "{journal}");
}

#[test]
fn a_low_port_gets_a_drop_in() {
    let root = Root::furnished();
    let path = "etc/systemd/system/d1_x.service.d/10-low-port.conf";
    named(&root);
    assert!(!root.at(path).exists());
    let configure = |bind: &str| {
        let conf = conf(&root, |value| value["BindAddress"] = json!(bind));
        let output =
            engine("configure", root.path()).args(["--name", "x", "--yes", "--conf"]).arg(conf).output();
        succeeds(&output.unwrap());
    };
    configure(":443");
    assert!(text(&root, path).contains("AmbientCapabilities=CAP_NET_BIND_SERVICE"));
    configure(":8443");
    assert!(!root.at(path).exists());
    configure(":443");
    succeeds(&engine("uninstall", root.path()).args(["--name", "x", "--yes"]).output().unwrap());
    assert!(!root.at("etc/systemd/system/d1_x.service.d").exists());
}

/// The service owns the directory of logs, and could lead root to what it takes possession of.
#[test]
fn a_link_in_the_place_of_a_directory_is_refused_as_root() {
    let root = Root::with_accounts();
    let outside = root.at("outside");
    fs::create_dir(&outside).unwrap();
    let vendor = Vendor::get();
    let installs = |name: &str| {
        let mut command = engine("install", root.path());
        command.arg(v1()).args(["--name", name, "--yes", "--no-start", "--key"]);
        command.arg(vendor.file("release.asc")).arg("--answers").arg(vendor.file("answers.json"));
        command.output().unwrap()
    };
    for name in ["x", "y"] {
        let place = root.at("var/log/demisto").join(format!("d1_{name}"));
        match name {
            "x" => std::os::unix::fs::symlink(&outside, &place).unwrap(),
            _ => fs::write(&place, "").unwrap(),
        }
        let before = root.snapshot();
        let output = installs(name);
        refused(&output, 4, "is no directory");
        assert_eq!(fs::metadata(&outside).unwrap().uid(), 0);
        assert_eq!(root.snapshot().differences(&before), Vec::<String>::new());
        fs::remove_file(&place).unwrap();
    }
    fs::create_dir(root.at("var/log/demisto/d1_x")).unwrap();
    succeeds(&installs("x"));
    assert_ne!(fs::metadata(root.at("var/log/demisto/d1_x")).unwrap().uid(), 0);
}

#[test]
fn an_upgrade_merges_and_the_way_back_is_exact() {
    let root = Root::furnished();
    named(&root);
    let before = all(&root, "usr/local/demisto/d1_x");
    succeeds(&upgrade(&v2(), root.path()).args(["--name", "x"]).output().unwrap());
    let now: Value = serde_json::from_str(&text(&root, "usr/local/demisto/d1_x/d1.conf")).unwrap();
    assert_eq!((&now["log.rolling.backups"], &now["LogLevel"]), (&json!(3), &json!("debug")));
    assert_eq!(now["LogFile"], json!("/var/log/demisto/d1_x/d1.log"));
    assert!(root.at("usr/local/.demisto.d1_x.retained/d1").exists());
    assert!(!root.at("usr/local/.demisto.d1_x.retained/d1.conf").exists());
    assert_eq!(status(&root)["engines"][0]["retained"], json!("6.14.0-1"));
    let refused_down = upgrade(&v1(), root.path()).args(["--name", "x"]).output().unwrap();
    refused(&refused_down, 3, "is older");
    succeeds(&engine("rollback", root.path()).args(["--name", "x", "--yes"]).output().unwrap());
    assert_eq!(all(&root, "usr/local/demisto/d1_x"), before);
    assert!(text(&root, "usr/local/demisto/d1_x/version.json").contains("6.14.0"));
}

#[test]
fn a_repair_puts_an_engine_right() {
    let root = Root::furnished();
    named(&root);
    let before = all(&root, "usr/local/demisto/d1_x");
    fs::write(root.at("usr/local/demisto/d1_x/lib/module"), "changed").unwrap();
    fs::write(root.at("etc/systemd/system/d1_x.service"), "changed").unwrap();
    assert_eq!(status(&root)["engines"][0]["drift"][0]["path"], json!("lib/module"));
    let mut repair = engine("repair", root.path());
    repair
        .args(["--name", "x", "--yes", "--from"])
        .arg(v1())
        .arg("--key")
        .arg(Vendor::get().file("release.asc"));
    succeeds(&repair.output().unwrap());
    assert_eq!(all(&root, "usr/local/demisto/d1_x"), before);
    assert!(text(&root, "etc/systemd/system/d1_x.service").contains("d1_x/d1"));
}

#[test]
fn each_verb_says_which_one_is_for_the_other_role() {
    let vendor = Vendor::get();
    let root = Root::furnished();
    let output = vendor
        .offer("install", &v1(), root.path())
        .arg("--admin-password-file")
        .arg(vendor.file("password"))
        .output()
        .unwrap();
    refused(&output, 2, "engine install FILE");
    refused(&vendor.offer("plan", &v1(), root.path()).output().unwrap(), 2, "engine install FILE");
    refused(&install(&vendor.small(), root.path()).output().unwrap(), 2, "this file holds a server");
    let server = with_server();
    refused(&vendor.upgrade(&v2(), server.path()).output().unwrap(), 2, "engine upgrade FILE");
    refused(&install(&v1(), server.path()).output().unwrap(), 2, "--name NAME");
    for verb in ["configure", "upgrade", "rollback", "repair", "verify", "uninstall"] {
        refused(&engine(verb, server.path()).output().unwrap(), 2, "--name NAME");
    }
    let alone = Root::furnished();
    succeeds(&install(&v1(), alone.path()).output().unwrap());
    refused(&vendor.install(alone.path()).output().unwrap(), 4, "where a server would have to be");
    let mutual = run("cert", alone.path()).args(["mutual", "on", "--yes"]).output().unwrap();
    refused(&mutual, 2, "only a server can be told to ask its clients");
    for name in ["../x", "a b", "", "a/b"] {
        let output = install(&v1(), root.path()).args(["--name", name]).output().unwrap();
        refused(&output, 2, "is no name for an engine");
    }
    assert!(succeeds(&run("status", alone.path()).output().unwrap()).contains("6.14.0-1"));
}

#[test]
fn server_and_engine_leave_each_other_alone() {
    let (vendor, root) = (Vendor::get(), with_server());
    named(&root);
    fs::hard_link(root.at("usr/local/demisto/d1_x/lib/module"), root.at("usr/local/demisto/d1_x/own"))
        .unwrap();
    let places = ["usr/local/demisto/d1_x", "var/lib/demisto-install/engines/x"];
    let mine = || places.map(|place| all(&root, place));
    let before = mine();
    let check = |when: &str| {
        assert_eq!(mine(), before, "{when}");
        let at = |name: &str| fs::metadata(root.at("usr/local/demisto/d1_x").join(name)).unwrap().ino();
        assert_eq!(at("lib/module"), at("own"), "{when}: hard links are kept");
        let mut verify = engine("verify", root.path());
        succeeds(&verify.args(["--name", "x", "--key"]).arg(vendor.file("release.asc")).output().unwrap());
    };
    succeeds(&vendor.upgrade(&vendor.next(), root.path()).args(["--snapshot", "never"]).output().unwrap());
    check("after the upgrade of the server");
    succeeds(&run("rollback", root.path()).arg("--yes").output().unwrap());
    check("after its rollback");
    fs::write(root.at("usr/local/demisto/version.json"), "changed").unwrap();
    let repair = run("repair", root.path())
        .arg("--yes")
        .arg("--from")
        .arg(vendor.small())
        .arg("--key")
        .arg(vendor.file("release.asc"))
        .output();
    succeeds(&repair.unwrap());
    check("after its repair");
    refused(&run("uninstall", root.path()).args(["--yes", "--purge"]).output().unwrap(), 4, "engines x");
    check("after a removal that was refused");
    succeeds(&run("uninstall", root.path()).arg("--yes").output().unwrap());
    check("after the removal of the server");
    assert!(root.at("etc/logrotate.d/demisto").exists() && !root.at("usr/local/demisto/server").exists());
    succeeds(&upgrade(&v2(), root.path()).args(["--name", "x"]).output().unwrap());
    assert!(text(&root, "usr/local/demisto/d1_x/version.json").contains("6.14.1"));
}

/// They are the engine's: what the server's upgrade found there does not come back over them.
#[test]
fn data_of_an_engine_do_not_go_back_with_those_of_the_server() {
    let (vendor, root) = (Vendor::get(), Root::copy_on_disk(&with_server()));
    named(&root);
    let (of_server, of_engine) = (root.at("var/lib/demisto/state"), root.at("var/lib/d1_x/state"));
    for file in [&of_server, &of_engine] {
        fs::write(file, "before").unwrap();
    }
    let held = fs::File::open(root.at("var/lib/d1_x")).unwrap().metadata().unwrap().ino();
    succeeds(&vendor.upgrade(&vendor.next(), root.path()).args(["--snapshot", "always"]).output().unwrap());
    for file in [&of_server, &of_engine] {
        fs::write(file, "after").unwrap();
    }
    succeeds(&run("rollback", root.path()).args(["--yes", "--data", "restore"]).output().unwrap());
    assert_eq!(fs::read_to_string(of_server).unwrap(), "before");
    assert_eq!(fs::read_to_string(of_engine).unwrap(), "after");
    assert_eq!(fs::metadata(root.at("var/lib/d1_x")).unwrap().ino(), held);
}

/// Another name, or a removal, does not lead below the epoch that engines of this host have reached.
#[test]
fn engines_of_a_host_share_the_lowest_epoch() {
    let root = with_server();
    let of_epoch = |epoch: u32| {
        let tree = Tree::engine("6.14.0", epoch, DEFAULTS);
        tree.edit("epoch = 1", &format!("epoch = {epoch}"));
        tree.pack(&format!("epoch-{epoch}"), &[])
    };
    let try_one = |bundle: &Path, name: &str| install(bundle, root.path()).args(["--name", name]).output();
    let (first, second) = (of_epoch(1), of_epoch(2));
    succeeds(&try_one(&first, "x").unwrap());
    succeeds(&try_one(&second, "y").unwrap());
    refused(&try_one(&first, "z").unwrap(), 3, "security epoch 1 is below 2");
    succeeds(&engine("uninstall", root.path()).args(["--name", "y", "--purge", "--yes"]).output().unwrap());
    refused(&try_one(&first, "y").unwrap(), 3, "security epoch 1 is below 2");
    assert_eq!(text(&root, "var/lib/demisto-install/epoch-floor"), "1\n", "the server's is its own");
}

/// The service's directories may be file systems of their own, out of which nothing can be moved.
#[test]
fn a_purge_leaves_nothing_where_file_systems_are_mounted_as_root() {
    assert!(nix::unistd::geteuid().is_root(), "this test mounts file systems: run it as root");
    for beside in [true, false] {
        let root = if beside { with_server() } else { Root::furnished() };
        let places = ["var/lib/demisto", "var/log/demisto"].map(|place| root.at(place));
        let mounted = places.clone().map(|place| {
            fs::create_dir_all(&place).unwrap();
            Mounted::memory(&place, 1 << 20)
        });
        named(&root);
        for dir in ["var/lib/d1_x", "var/log/demisto/d1_x"] {
            fs::write(root.at(dir).join("file"), "x").unwrap();
        }
        succeeds(
            &engine("uninstall", root.path()).args(["--name", "x", "--purge", "--yes"]).output().unwrap(),
        );
        for gone in ["var/lib/d1_x", "var/log/demisto/d1_x", "usr/local/demisto/d1_x"] {
            assert!(!root.at(gone).exists(), "{gone}");
        }
        for place in &places {
            assert!(!all(&root, place.to_str().unwrap()).keys().any(|path| path.contains("d1_x")));
        }
        drop(mounted);
    }
}

#[test]
fn an_engine_is_removed_from_beside_a_server() {
    let root = with_server();
    let before = root.snapshot();
    named(&root);
    succeeds(&engine("uninstall", root.path()).args(["--name", "x", "--purge", "--yes"]).output().unwrap());
    fs::remove_file(root.at("given.conf")).unwrap();
    assert_eq!(root.snapshot().differences(&before), Vec::<String>::new());
}

#[test]
fn what_a_removed_engine_left_is_used_again() {
    let root = Root::furnished();
    named(&root);
    let vendor = Vendor::get();
    let mut pair = engine("configure", root.path());
    pair.args(["--name", "x", "--yes", "--client-cert"]).arg(vendor.file("cert.pem"));
    succeeds(&pair.arg("--client-key").arg(vendor.file("cert.key")).output().unwrap());
    succeeds(&engine("uninstall", root.path()).args(["--name", "x", "--yes"]).output().unwrap());
    let names: Vec<_> =
        fs::read_dir(root.at("usr/local/demisto/d1_x")).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    let kept = text(&root, "usr/local/demisto/d1_x/d1.conf");
    let told = succeeds(&install(&v2(), root.path()).args(["--name", "x"]).output().unwrap());
    assert!(!told.contains("engine configure"), "{told}");
    assert_eq!(text(&root, "usr/local/demisto/d1_x/d1.conf"), kept);
    assert!(root.at("usr/local/demisto/d1_x/client.key").exists());
    let beside: Vec<_> =
        fs::read_dir(root.at("usr/local")).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(beside, ["demisto"]);
}

#[test]
fn a_plan_is_bound_to_what_is_given() {
    let root = Root::furnished();
    let given = conf(&root, |_| ());
    let mut plan = install(&v1(), root.path());
    let output =
        plan.args(["--name", "x", "--dry-run", "--output", "json", "--conf"]).arg(&given).output().unwrap();
    let told = String::from_utf8(output.stdout.clone()).unwrap();
    let value: Value =
        serde_json::from_str(told.lines().last().unwrap()).unwrap_or_else(|_| panic!("{}", said(&output)));
    assert_eq!(value["plan"]["site"], json!({"role": "engine", "name": "x"}));
    let digest = value["digest"].as_str().unwrap();
    let go = || {
        let mut command = install(&v1(), root.path());
        command.args(["--name", "x", "--plan-digest", digest, "--conf"]).arg(&given).output().unwrap()
    };
    conf(&root, |value| value["LogLevel"] = json!("info"));
    refused(&go(), 4, "not the approved");
    conf(&root, |_| ());
    succeeds(&go());
}

/// The vendor gives engines out as signed packages: with a name they lie where the name says.
#[test]
fn a_signed_package_of_an_engine_is_installed_upgraded_and_goes_back() {
    let first = Tree::engine("6.14.0", 1, DEFAULTS).pack("engine-1.rpm", &["--format", "rpm"]);
    let second = Tree::engine("6.14.1", 2, NEW_DEFAULTS).pack("engine-2.rpm", &["--format", "rpm"]);
    for name in [None, Some("x")] {
        let root = Root::furnished();
        let named: Vec<&str> = name.iter().flat_map(|name| ["--name", *name]).collect();
        let tree = if name.is_some() { "usr/local/demisto/d1_x" } else { "usr/local/demisto" };
        let conf = conf(&root, |value| {
            if name.is_none() {
                value["LogFile"] = json!("/var/log/demisto/d1.log");
            }
        });
        let output = install(&first, root.path()).args(&named).arg("--conf").arg(&conf).output().unwrap();
        succeeds(&output);
        let before = all(&root, tree);
        assert!(root.at(tree).join("d1").exists() && root.at(tree).join("d1.conf").exists());
        let unit = if name.is_some() { "d1_x.service" } else { "d1.service" };
        let link = root.at("etc/systemd/system/multi-user.target.wants").join(unit);
        assert!(link.symlink_metadata().is_ok(), "{unit}");
        succeeds(&upgrade(&second, root.path()).args(&named).output().unwrap());
        assert!(text(&root, &format!("{tree}/version.json")).contains("6.14.1"));
        succeeds(&engine("rollback", root.path()).args(&named).arg("--yes").output().unwrap());
        assert_eq!(all(&root, tree), before);
        let mut verify = engine("verify", root.path());
        succeeds(&verify.args(&named).arg("--key").arg(Vendor::get().file("release.asc")).output().unwrap());
    }
}
