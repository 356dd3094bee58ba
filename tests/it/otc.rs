//! `otc` in a scratch root.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use demisto_install::apply::{self, Context, Secrets};
use demisto_install::event::Silent;
use demisto_install::plan;
use demisto_install::product::Site;
use serde_json::{Value, json};

use crate::crash::{Change, EIO, ENOSPC, Sweep};
use crate::support::installer::{Root, Vendor, answer, refused, run, said, succeeds, summary};

pub(crate) const FILE: &str = "var/lib/demisto/otc.conf.json";

fn otc(root: &Path, arguments: &[&str]) -> Command {
    let mut command = run("otc", root);
    command.args(arguments);
    command
}

/// A server whose administrator's password was taken over.
pub(crate) fn server() -> Root {
    let root = Root::furnished();
    succeeds(&Vendor::get().install(root.path()).output().unwrap());
    fs::remove_file(root.at(FILE)).unwrap();
    root
}

/// A private file beside the root, with a line in it.
fn secret(root: &Root, name: &str, text: &str) -> PathBuf {
    let path = root.at(name);
    fs::write(&path, format!("{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn add_admin(root: &Root, user: &str, password: &str) -> Command {
    let file = secret(root, "password", password);
    let mut command = otc(root.path(), &["add-admin", "--yes", "--user", user, "--admin-password-file"]);
    command.arg(file);
    command
}

fn content(root: &Root) -> Value {
    serde_json::from_slice(&fs::read(root.at(FILE)).unwrap()).unwrap()
}

fn shown(root: &Root) -> Value {
    answer(&otc(root.path(), &["show", "--output", "json"]).output().unwrap())
}

#[test]
fn an_administrator_an_api_key_and_what_was_there_wait_together() {
    let root = server();
    assert_eq!(shown(&root)["waiting"], json!(false));
    root.put(FILE, br#"{"other": {"a": 1}, "users": [{"username": "x", "password": "Other.pw1"}]}"#, 0o400);
    let told = succeeds(
        &add_admin(&root, "chief", "Kq7-marker-Vw").args(["--email", "c@example.org"]).output().unwrap(),
    );
    assert!(told.contains("waits for the server's next start") && !told.contains("marker"), "{told}");
    let key = secret(&root, "key", "0123456789ABCDEF");
    let mut command =
        otc(root.path(), &["add-apikey", "--yes", "--name", "ci", "--user", "chief", "--key-file"]);
    succeeds(&command.arg(&key).output().unwrap());

    let found = content(&root);
    assert_eq!(found["other"], json!({"a": 1}));
    assert_eq!(found["users"][0], json!({"username": "x", "password": "Other.pw1"}));
    let chief = json!({"username": "chief", "password": "Kq7-marker-Vw", "name": "chief", "phone": "",
        "email": "c@example.org", "defaultAdmin": true, "roles": {"demisto": ["Administrator"]}});
    assert_eq!(found["users"][1], chief);
    assert_eq!(found["apikeys"], json!([{"name": "ci", "username": "chief", "apikey": "0123456789ABCDEF"}]));

    succeeds(&add_admin(&root, "chief", "Kq7-second-Vw").output().unwrap());
    assert_eq!(content(&root)["users"].as_array().unwrap().len(), 2);
    assert_eq!(content(&root)["users"][1]["password"], json!("Kq7-second-Vw"));

    let meta = root.at(FILE).symlink_metadata().unwrap();
    let owner = root.at("var/lib/demisto").symlink_metadata().unwrap().uid();
    assert_eq!((meta.mode() & 0o7777, meta.uid()), (0o400, owner));
    let output = otc(root.path(), &["show"]).output().unwrap();
    let text = succeeds(&output);
    for word in ["x, chief", "ci", "other", "0400"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(
        !text.contains("marker") && !text.contains("second-Vw") && !text.contains("0123456789"),
        "{text}"
    );
    assert_eq!(shown(&root)["one_time"]["users"], json!(["x", "chief"]));
}

#[test]
fn a_new_api_key_is_written_for_its_owner_alone() {
    let root = server();
    let out = root.at("new-key");
    let add = || {
        let mut command =
            otc(root.path(), &["add-apikey", "--yes", "--name", "ci", "--user", "admin", "--out"]);
        command.arg(&out);
        command
    };
    let dry = add().arg("--dry-run").output().unwrap();
    let plan = succeeds(&dry);
    assert!(plan.contains("the API key ci") && plan.contains(out.to_str().unwrap()), "{plan}");
    assert!(!out.exists());
    succeeds(&add().output().unwrap());
    let text = fs::read_to_string(&out).unwrap();
    assert_eq!(out.symlink_metadata().unwrap().mode() & 0o7777, 0o400);
    assert!(text.len() == 33 && text.trim_end().bytes().all(|b| b.is_ascii_hexdigit()), "{text}");
    assert_eq!(content(&root)["apikeys"][0]["apikey"], json!(text.trim_end()));
    let before = fs::read(root.at(FILE)).unwrap();
    refused(&add().output().unwrap(), 2, "new-key exists already");
    assert_eq!((fs::read_to_string(&out).unwrap(), fs::read(root.at(FILE)).unwrap()), (text, before));
}

#[test]
fn what_is_unfit_is_refused_and_nothing_changes() {
    let root = server();
    let before = root.snapshot();
    refused(&add_admin(&root, "chief", "short").output().unwrap(), 2, "password");
    refused(&add_admin(&root, "a/b", "Kq7-marker-Vw").output().unwrap(), 2, "a/b");
    for key in ["with space in its middle", "fifteen-letters"] {
        let key = secret(&root, "key", key);
        let mut command =
            otc(root.path(), &["add-apikey", "--yes", "--name", "n", "--user", "u", "--key-file"]);
        refused(&command.arg(&key).output().unwrap(), 2, "at least 16 characters");
        fs::remove_file(key).unwrap();
    }
    refused(&add_admin(&root, "chief", "Kq7-marker-Vw").arg("--restart").output().unwrap(), 2, "no service");
    fs::remove_file(root.at("password")).unwrap();
    assert_eq!(before.differences(&root.snapshot()), [""; 0]);

    for (text, why) in
        [("{\"users\": [", "not valid JSON"), ("[]", "no JSON object"), ("{\"users\": 1}", "no list")]
    {
        root.put(FILE, text.as_bytes(), 0o400);
        let inode = root.at(FILE).metadata().unwrap().ino();
        refused(&add_admin(&root, "chief", "Kq7-marker-Vw").output().unwrap(), 4, why);
        assert_eq!(fs::read_to_string(root.at(FILE)).unwrap(), text);
        assert_eq!(root.at(FILE).metadata().unwrap().ino(), inode, "it was not touched, and is not put back");
    }
    succeeds(&otc(root.path(), &["clear", "--yes"]).output().unwrap());
    let told = succeeds(&otc(root.path(), &["clear", "--yes"]).output().unwrap());
    assert!(told.contains("nothing to do") && !root.at(FILE).exists(), "{told}");

    let fresh = Root::furnished();
    refused(&add_admin(&fresh, "chief", "Kq7-marker-Vw").output().unwrap(), 4, "nothing is installed");
}

/// The directory is the service's: it can put anything under the name.
#[test]
fn nothing_is_written_through_what_the_service_puts_there() {
    let root = server();
    let victim = root.at("victim");
    fs::write(&victim, "{}").unwrap();
    std::os::unix::fs::symlink("../../../victim", root.at(FILE)).unwrap();
    refused(&add_admin(&root, "chief", "Kq7-marker-Vw").output().unwrap(), 1, "not a regular file");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "{}");
    fs::remove_file(root.at(FILE)).unwrap();

    // what is cleared is overwritten, but not what has another name, too
    fs::hard_link(&victim, root.at(FILE)).unwrap();
    succeeds(&otc(root.path(), &["clear", "--yes"]).output().unwrap());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "{}");
    assert!(!root.at(FILE).exists());
}

#[test]
fn the_configuration_may_name_another_place() {
    let root = server();
    let conf = root.at("etc/demisto.conf");
    let text = fs::read_to_string(&conf).unwrap();
    let text = text.replacen('{', r#"{"server.onetimeconfpath": "/DATA/otc.json", "#, 1);
    fs::write(&conf, text).unwrap();
    refused(&add_admin(&root, "chief", "Kq7-marker-Vw").output().unwrap(), 4, "does not exist");
    fs::create_dir(root.at("DATA")).unwrap();
    succeeds(&add_admin(&root, "chief", "Kq7-marker-Vw").output().unwrap());
    let found: Value = serde_json::from_slice(&fs::read(root.at("DATA/otc.json")).unwrap()).unwrap();
    assert_eq!(found["users"][0]["username"], json!("chief"));
    assert!(!root.at(FILE).exists());
    assert_eq!(shown(&root)["path"], json!("/DATA/otc.json"));

    // it goes with the server, and not only by its name
    let waits = fs::File::open(root.at("DATA/otc.json")).unwrap();
    succeeds(&run("uninstall", root.path()).args(["--yes", "--purge"]).output().unwrap());
    assert!(!root.at("DATA/otc.json").exists());
    let left = std::io::read_to_string(waits).unwrap();
    assert!(!left.is_empty() && left.bytes().all(|byte| byte == 0), "it was not overwritten");
}

/// A server whose files have owners.
fn owned_server() -> Root {
    let (root, vendor) = (Root::with_accounts(), Vendor::get());
    let call = vendor.install(root.path());
    let mut command = run("install", root.path());
    command.args(call.get_args().skip(3).filter(|argument| *argument != "--no-owner"));
    succeeds(&command.output().unwrap());
    fs::remove_file(root.at(FILE)).unwrap();
    root
}

fn name_place(root: &Root, path: &str) {
    let conf = root.at("etc/demisto.conf");
    let mut value: Value = serde_json::from_slice(&fs::read(&conf).unwrap()).unwrap();
    value["server.onetimeconfpath"] = json!(path);
    fs::write(&conf, value.to_string()).unwrap();
}

/// The service can write the configuration: it must not choose what root reads, changes or removes.
#[test]
fn what_is_not_the_services_is_neither_read_nor_removed() {
    let root = owned_server();
    let service = root.at("var/lib/demisto").metadata().unwrap();
    let ids = (Some(service.uid()), Some(service.gid()));
    assert_ne!(service.uid(), 0);
    let text = r#"{"marker": "x", "users": [{"username": "marker"}]}"#;
    let victim = root.at("srv/victim.json");
    fs::create_dir_all(root.at("srv")).unwrap();
    let password = secret(&root, "password", "Kq7-password-Vw");
    let all = |why: &str| {
        let mut adds = otc(root.path(), &["add-admin", "--yes", "--user", "chief", "--admin-password-file"]);
        adds.arg(&password);
        let before = victim.symlink_metadata().unwrap();
        for command in
            [&mut otc(root.path(), &["show"]), &mut otc(root.path(), &["clear", "--yes"]), &mut adds]
        {
            let output = command.output().unwrap();
            refused(&output, 4, why);
            assert!(said(&output).contains("OneTimeConfPath") && !said(&output).contains("marker"));
        }
        let after = victim.symlink_metadata().unwrap();
        assert_eq!(
            (after.ino(), after.ctime_nsec(), after.ctime()),
            (before.ino(), before.ctime_nsec(), before.ctime())
        );
        assert_eq!(fs::read_to_string(&victim).unwrap(), text);
    };
    fs::write(&victim, text).unwrap();
    name_place(&root, "/srv/victim.json");
    all("its directory is not the service's");
    std::os::unix::fs::chown(root.at("srv"), ids.0, ids.1).unwrap();
    all("it is not the service's");

    // that the configuration says something else by the time of the step changes nothing
    std::os::unix::fs::chown(&victim, ids.0, ids.1).unwrap();
    let shown = answer(&otc(root.path(), &["clear", "--dry-run", "--output", "json"]).output().unwrap());
    assert_eq!(
        shown["plan"]["steps"][0]["step"],
        json!({"do": "clear-one-time", "path": "/srv/victim.json"})
    );
    let plan: plan::Plan = serde_json::from_value(shown["plan"].clone()).unwrap();
    for owner in [root.at("srv"), victim.clone()] {
        std::os::unix::fs::chown(owner, Some(0), Some(0)).unwrap();
    }
    let (site, secrets) = (Site::default(), Secrets::default());
    let before = victim.symlink_metadata().unwrap();
    for place in ["/srv/victim.json", "/var/lib/demisto/other.json"] {
        name_place(&root, place);
        let context = Context::new((root.path(), &site), true, &secrets, &Silent);
        let error = apply::run(&plan, &context).unwrap_err();
        assert!(matches!(error.root_cause(), apply::Error::OneTimePlace { .. }), "{error:?}");
    }
    let after = victim.symlink_metadata().unwrap();
    assert_eq!(
        (after.ino(), after.ctime(), after.ctime_nsec()),
        (before.ino(), before.ctime(), before.ctime_nsec())
    );
    assert_eq!(fs::read_to_string(&victim).unwrap(), text);

    // the service's own goes
    for owner in [root.at("srv"), victim.clone()] {
        std::os::unix::fs::chown(owner, ids.0, ids.1).unwrap();
    }
    name_place(&root, "/srv/victim.json");
    assert!(succeeds(&otc(root.path(), &["show"]).output().unwrap()).contains("marker"));
    succeeds(&otc(root.path(), &["clear", "--yes"]).output().unwrap());
    assert!(!victim.exists());
}

/// The installed pair becomes one with an encrypted key.
fn encrypt_key(root: &Root, passphrase: &str) {
    let key = root.at("usr/local/demisto/cert.key");
    let new = root.at("encrypted");
    let output = Command::new("/usr/bin/openssl")
        .args(["rsa", "-traditional", "-aes256", "-passout", &format!("pass:{passphrase}"), "-in"])
        .arg(&key)
        .arg("-out")
        .arg(&new)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    fs::rename(new, key).unwrap();
}

#[test]
fn a_passphrase_has_to_open_the_installed_key() {
    let root = server();
    let set = |passphrase: &str| {
        let file = secret(&root, "passphrase", passphrase);
        let mut command = otc(root.path(), &["set-keypass", "--yes", "--passphrase-file"]);
        command.arg(file).output().unwrap()
    };
    refused(&set("Kq7-marker"), 2, "not encrypted");
    // and nobody is asked for it
    refused(&otc(root.path(), &["set-keypass", "--yes"]).output().unwrap(), 2, "not encrypted");
    encrypt_key(&root, "Kq7-marker");
    refused(&set("Kq7-wrong"), 2, "does not open");
    assert!(!root.at(FILE).exists());
    let told = succeeds(&set("Kq7-marker"));
    assert!(!told.contains("marker"), "{told}");
    assert_eq!(content(&root), json!({"keypass": "Kq7-marker"}));
    let text = succeeds(&otc(root.path(), &["show"]).output().unwrap());
    assert!(text.contains("Passphrase") && !text.contains("marker"), "{text}");
    let now = root.snapshot();
    assert!(succeeds(&set("Kq7-marker")).contains("it waits for the server already; nothing to do"));
    assert_eq!(
        now.only(|path| path == FILE).differences(&root.snapshot().only(|path| path == FILE)),
        [""; 0]
    );
    // a file that the server could not read is put right
    fs::set_permissions(root.at(FILE), fs::Permissions::from_mode(0o444)).unwrap();
    succeeds(&set("Kq7-marker"));
    assert_eq!(root.at(FILE).symlink_metadata().unwrap().mode() & 0o7777, 0o400);
}

#[test]
fn adding_and_clearing_survive_at_every_point() {
    let model = server();
    root_with_waiting(&model);
    let root = || Root::copy(&model);
    secret(&model, "password", "Kq7-marker-Vw");
    let adds = |root: &Path| {
        let mut command = otc(root, &["add-admin", "--yes", "--user", "chief", "--admin-password-file"]);
        command.arg(root.join("password"));
        command
    };
    let clears = |root: &Path| otc(root, &["clear", "--yes"]);
    type Call<'a> = &'a (dyn Fn(&Path) -> Command + Sync);
    let all: [(&str, Call); 2] = [("otc add", &adds), ("otc clear", &clears)];
    let mut told = Vec::new();
    for (name, command) in all {
        let sweep = Sweep::new(Change { name, root: &root, command });
        told.push(sweep.each("killed and run again", 1, &|number| sweep.again(number)));
        told.push(sweep.each("killed and recovered", 1, &|number| sweep.recovered(number)));
        told.push(sweep.each("a call fails", 1, &|number| sweep.fails(number, EIO)));
        told.push(sweep.each("the disk is full", 3, &|number| sweep.fails(number, ENOSPC)));
        told.push(sweep.each("killed, and killed while recovering", 5, &|number| sweep.killed_twice(number)));
    }
    summary("crash-otc", &told.join("\n"));
}

fn root_with_waiting(root: &Root) {
    root.put(FILE, br#"{"keypass": "Kq7-former"}"#, 0o400);
}

/// Whatever of the service is gone already must not keep the rest from being removed.
#[test]
fn a_server_whose_data_are_gone_can_be_removed() {
    let root = server();
    fs::remove_dir_all(root.at("var/lib/demisto")).unwrap();
    succeeds(&run("uninstall", root.path()).arg("--yes").output().unwrap());

    // what waits goes with a server, and not only by its name
    let root = Root::furnished();
    succeeds(&Vendor::get().install(root.path()).output().unwrap());
    let waits = fs::File::open(root.at(FILE)).unwrap();
    succeeds(&run("uninstall", root.path()).arg("--yes").output().unwrap());
    assert!(!root.at(FILE).exists());
    let left = std::io::read_to_string(waits).unwrap();
    assert!(!left.is_empty() && left.bytes().all(|byte| byte == 0), "it was not overwritten");
}

/// Each verb says what is missing, not that nothing is installed.
#[test]
fn what_is_not_there_is_told_from_what_another_installer_brought() {
    let root = server();
    let cert = |arguments: &[&str]| run("cert", root.path()).args(arguments).output().unwrap();
    for arguments in [
        &["check", "--installed", "--name", "nope"][..],
        &["probe", "127.0.0.1:1", "--installed-conf", "--name", "nope"],
        &["renew", "--engine", "--name", "nope", "--client", "--yes"],
        &["rollback", "--engine", "--name", "nope", "--client", "--yes"],
    ] {
        let output = cert(arguments);
        refused(&output, 4, "no engine nope is installed here");
        assert!(said(&output).contains("engine status"), "{}", said(&output));
    }
    fs::remove_file(root.at("var/lib/demisto-install/receipt.json")).unwrap();
    for output in [
        add_admin(&root, "chief", "Kq7-marker-Vw").output().unwrap(),
        otc(root.path(), &["show"]).output().unwrap(),
        cert(&["mutual", "on", "--yes"]),
    ] {
        refused(&output, 4, "another installer put what is in");
        assert!(said(&output).contains("`demisto-install upgrade FILE`"), "{}", said(&output));
    }
}
