//! `config get`, `set`, `unset`, `diff`, `preset` and `password-policy` in a scratch root, and what they leave of
//! the file.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Output};

use demisto_install::config::policy::{Form, ROWS, Row};
use demisto_install::config::preset::Preset;
use demisto_install::config::table::{Kind, table};
use demisto_install::config::{self, Setting};
use proptest::prelude::*;
use rustix::fs::XattrFlags;
use serde_json::{Value, json};

use crate::crash::{Change, EIO, ENOSPC, Sweep};
use crate::engine;
use crate::otc::server;
use crate::support::installer::{Root, STATE, Vendor, answer, refused, result, run, said, succeeds, summary};

const CONF: &str = "etc/demisto.conf";

/// Names for the list that the evaluated configuration needs.
const NAMES: &str = "engine.example.org,10.0.0.7";

fn call(root: &Path, arguments: &[&str]) -> Command {
    let mut command = run("config", root);
    command.args(arguments);
    command
}

fn conf(root: &Root, arguments: &[&str]) -> Output {
    call(root.path(), arguments).output().unwrap()
}

fn text(root: &Root) -> String {
    fs::read_to_string(root.at(CONF)).unwrap()
}

fn value(root: &Root, key: &str) -> Option<Value> {
    config::value(&text(root), key).unwrap()
}

// --- Bytes ---------------------------------------------------------------------------------------------------

/// The guide's two examples, by content, and files that people and programs write.
fn texts() -> Vec<String> {
    let server = json!({
        "Server": {"HttpsPort": "443", "ProxyMode": true},
        "security.server.certificate.donotverifyclientcertificates": false,
        "server.certificate.clientauthpolicy": "verify",
        "security.certificate.verifyrevocation": true,
        "security.certificate.failonunknownrevocationstatus": true,
        "security.certificate.verifyclientsan": true,
        "security.certificate.santrustlist": "engine.test.local1,good.test.local1",
        "container": {"engine": {"type": "docker"}},
        "custom": {"fields": {"validate": {"grid": {"values": true}}}},
        "db": {"index": {"entry": {"disable": true}}},
    });
    let engine = json!({
        "AgentURLs": ["wss://server.test.local1:443/d2ws"],
        "ArtifactsFolder": "",
        "BindAddress": ":443",
        "EngineURLs": ["wss://server.test.local1:443/d1ws"],
        "Server.ExternalHostName": "server.test.local1:443",
        "security.certificate.override.donotverifyservercertificates": false,
        "engine.connection.trust_any_certificate": false,
        "container": {"engine": {"type": "docker"}},
        "python": {"engine": {"docker": true}},
    });
    let mut all: Vec<String> = Vec::new();
    for value in [server, engine] {
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        all.extend([
            value.to_string(),
            pretty.clone(),
            format!("{pretty}\n"),
            format!("{pretty}\n").replace('\n', "\r\n"),
            pretty.replace("  ", "\t"),
            pretty.replace("  ", "   ").replace(": ", " :  "),
            format!("\n\n {} \n", pretty.replace('\n', "\n ")),
        ]);
    }
    all.extend(
        [
            "{}",
            "{ }\n",
            "{\n}\n",
            "{\"x\":{}}",
            "{\"Server\":{\n\t}}\n",
            "{\"a\" : 1.50 ,\r\n\"b\":[ 1 ,2 ]}",
            "{\"\\u0041\": \"\\u00e9\", \"SERVER.ProxyMode\":true}",
        ]
        .map(str::to_owned),
    );
    all
}

fn some_value(kind: Kind) -> Value {
    match kind {
        Kind::Boolean => json!(true),
        Kind::Integer | Kind::Count => json!(3),
        Kind::Servers => json!(["wss://a.example.org/d1ws"]),
        _ => json!("some text"),
    }
}

/// How a key may be spelt: dotted, in another case, cut in two.
fn keys() -> Vec<(String, Kind)> {
    let names = table().keys.iter().flat_map(|key| key.names().map(|name| (name.to_owned(), key.kind)));
    let own = ["my.own.key", "Server.Own", "x.deep.er", "custom.fields.more"];
    names.chain(own.map(|name| (name.to_owned(), Kind::Any))).collect()
}

/// The bytes before and after those that differ.
fn unchanged(old: &str, new: &str) -> (usize, usize) {
    let before = old.bytes().zip(new.bytes()).take_while(|(a, b)| a == b).count();
    let rest = (old.len() - before).min(new.len() - before);
    let after = old.bytes().rev().zip(new.bytes().rev()).take(rest).take_while(|(a, b)| a == b).count();
    (before, after)
}

#[test]
fn every_known_key_comes_and_goes_without_a_trace() {
    let (mut came, mut changed) = (0, 0);
    for text in texts() {
        for (key, kind) in keys() {
            let wanted = some_value(kind);
            let is_there = config::value(&text, &key).unwrap();
            let Ok(new) = config::set(&text, &[Setting::to(&key, wanted.clone())]) else {
                continue; // an object with members is in its place
            };
            assert_eq!(config::value(&new, &key).unwrap(), Some(wanted.clone()), "{key} in {text:?}");
            if let Some(was) = is_there {
                // its own bytes and no others
                let (before, after) = unchanged(&text, &new);
                let own = was.to_string().len().max(text.len() - before - after);
                assert!(text.len() - before - after <= own, "{key} in {text:?}: {new:?}");
                let back = config::set(&new, &[Setting::to(&key, was.clone())]).unwrap();
                assert_eq!(config::value(&back, &key).unwrap(), Some(was), "{key} in {text:?}");
                changed += 1;
            } else {
                let (before, after) = unchanged(&text, &new);
                assert_eq!(before + after, text.len(), "{key} in {text:?} takes something away: {new:?}");
                assert_eq!(config::set(&new, &[Setting::unset(&key)]).unwrap(), text, "{key}");
                came += 1;
            }
        }
    }
    assert!(came > 1000 && changed > 100, "{came}, {changed}");
    summary(
        "config-bytes",
        &format!("{came} keys set and unset, {changed} changed: every other byte stayed"),
    );
}

/// A file as a person may have left it: members in any layout, one of them in the known spelling.
fn layouts() -> impl Strategy<Value = String> {
    let space = prop_oneof![Just(""), Just(" "), Just("\n"), Just("\r\n"), Just("\t"), Just("\n\n   ")];
    let member = prop_oneof![
        Just(r#""Server":{"HttpsPort":"8443"}"#),
        Just(r#""server.certificate.clientauthpolicy": "verify""#),
        Just(r#""custom" : {"a":{"b" :[1, {"c": null}]}}"#),
        Just(r#""x.y":1.50"#),
        Just(r#""z":{}"#),
        Just(r#""q\"uoted":"\\""#),
    ];
    let members = prop::collection::vec((member, space.clone(), space.clone()), 0..6);
    (members, space.clone(), space).prop_map(|(members, before, after)| {
        let mut seen = std::collections::BTreeSet::new();
        let members: Vec<String> = members
            .into_iter()
            .filter(|(member, ..)| seen.insert(*member))
            .map(|(member, before, after)| format!("{before}{member}{after}"))
            .collect();
        format!("{before}{{{}}}{after}", members.join(","))
    })
}

proptest! {
    #[test]
    fn a_generated_file_is_left_alone(text in layouts(), pick in any::<prop::sample::Index>()) {
        let keys = keys();
        let (key, kind) = &keys[pick.index(keys.len())];
        prop_assume!(config::value(&text, key).unwrap().is_none());
        if let Ok(new) = config::set(&text, &[Setting::to(key, some_value(*kind))]) {
            let (before, after) = unchanged(&text, &new);
            prop_assert_eq!(before + after, text.len());
            prop_assert_eq!(config::set(&new, &[Setting::unset(key)]).unwrap(), text);
        }
    }
}

#[test]
fn owner_mode_and_attributes_stay() {
    let root = Root::copy_on_disk(&server());
    let path = root.at(CONF);
    let list = acl();
    for mode in [0o640, 0o444, 0o600] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        rustix::fs::setxattr(&path, "user.note", b"mine", XattrFlags::empty()).unwrap();
        if mode == 0o640 {
            rustix::fs::setxattr(&path, "system.posix_acl_access", &list, XattrFlags::empty()).unwrap();
        }
        let (before, was) = (text(&root), path.symlink_metadata().unwrap());
        succeeds(&conf(&root, &["set", "--yes", "Server.ProxyMode=true"]));
        assert_ne!(text(&root), before);
        let now = path.symlink_metadata().unwrap();
        assert_eq!((now.mode(), now.uid(), now.gid()), (was.mode(), was.uid(), was.gid()));
        assert_eq!(attribute(&path, "user.note").as_deref(), Some(&b"mine"[..]));
        let expected = (mode == 0o640).then_some(&list[..]);
        assert_eq!(attribute(&path, "system.posix_acl_access").as_deref(), expected, "{mode:o}");
        if mode == 0o640 {
            rustix::fs::removexattr(&path, "system.posix_acl_access").unwrap();
        }
        succeeds(&conf(&root, &["unset", "--yes", "server.proxymode"]));
        assert_eq!(text(&root), before);
        assert_eq!(attribute(&path, "user.note").as_deref(), Some(&b"mine"[..]));
    }
}

/// An access list, version 2: owner rw, user 65534 r, group r, mask r, others nothing (acl(5),
/// linux/posix_acl_xattr.h).
fn acl() -> Vec<u8> {
    let entries: [(u16, u16, u32); 5] =
        [(1, 6, u32::MAX), (2, 4, 65_534), (4, 4, u32::MAX), (16, 4, u32::MAX), (32, 0, u32::MAX)];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(rights.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 256];
    let length = rustix::fs::getxattr(path, name, &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}

/// What cannot be written stays, and the journal is closed; also attributes come back with an undone change.
#[test]
fn an_immutable_file_stays_as_root() {
    let root = Root::copy_on_disk(&server());
    let path = root.at(CONF);
    let chattr = |how: &str| {
        let output = Command::new("/usr/bin/chattr").arg(how).arg(&path).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    };
    chattr("+i");
    let before = root.snapshot();
    let output = conf(&root, &["set", "--yes", "Server.ProxyMode=true"]);
    chattr("-i");
    assert_eq!(
        output.status.code(),
        Some(5),
        "an immutable file cannot be put back either: {}",
        said(&output)
    );
    assert!(said(&output).contains("Operation not permitted"), "{}", said(&output));
    succeeds(&run("recover", root.path()).output().unwrap());
    let ours = |path: &str| !path.starts_with(STATE);
    assert_eq!(before.only(ours).differences(&root.snapshot().only(ours)), [""; 0]);
    assert!(succeeds(&conf(&root, &["set", "--yes", "Server.ProxyMode=true"])).contains("is changed"));
}

#[test]
fn a_link_is_not_followed() {
    let root = server();
    let aside = root.at("etc/elsewhere.conf");
    fs::rename(root.at(CONF), &aside).unwrap();
    std::os::unix::fs::symlink("elsewhere.conf", root.at(CONF)).unwrap();
    let before = fs::read(&aside).unwrap();
    let output = conf(&root, &["set", "--yes", "Server.ProxyMode=true"]);
    assert!(!output.status.success(), "{}", said(&output));
    assert_eq!(fs::read(&aside).unwrap(), before);
    assert!(root.at(CONF).symlink_metadata().unwrap().is_symlink());
}

#[test]
fn one_run_at_a_time() {
    let root = server();
    let before = text(&root);
    let lock = File::options().write(true).open(root.at(STATE).join("lock")).unwrap();
    lock.lock().unwrap();
    for arguments in [
        &["set", "--yes", "Server.ProxyMode=true"][..],
        &["unset", "--yes", "Server.HttpsPort"],
        &["preset", "mutual-auth", "--yes"],
        &["password-policy", "set", "--yes", "--min-length", "12"],
    ] {
        refused(&conf(&root, arguments), 6, "is at work");
    }
    drop(lock);
    assert_eq!(text(&root), before);
    succeeds(&conf(&root, &["set", "--yes", "Server.ProxyMode=true"]));
}

// --- Keys ----------------------------------------------------------------------------------------------------

#[test]
fn the_key_says_what_its_value_is() {
    let root = server();
    succeeds(&conf(
        &root,
        &[
            "set",
            "--yes",
            "SERVER.httpsport=9443",
            "security.certificate.verifyrevocation=true",
            "security.certificate.santrustlist=a.example.org, b.example.org",
            "docker.run.internal.asuser=true",
        ],
    ));
    assert_eq!(text(&root).matches("HttpsPort").count(), 1, "where it was: {}", text(&root));
    assert_eq!(value(&root, "server.httpsport"), Some(json!("9443")));
    assert_eq!(value(&root, "security.certificate.verifyrevocation"), Some(json!(true)));
    assert_eq!(value(&root, "security.certificate.santrustlist"), Some(json!("a.example.org,b.example.org")));
    assert!(succeeds(&conf(&root, &["set", "--yes", "Server.HttpsPort", "9443"])).contains("nothing to do"));
    succeeds(&conf(&root, &["set", "--yes", "log.level", "debug"]));
    assert_eq!(value(&root, "log.level"), Some(json!("debug")));
    let before = text(&root);
    for (arguments, code, why) in [
        (&["set", "--yes", "Server.HttpsProt=443"][..], 2, "did you mean Server.HttpsPort"),
        (&["set", "--yes", "my.own.key=1"], 2, "--unknown"),
        (&["set", "--yes", "security.certificate.verifyrevocation=yes"], 2, "true or false"),
        (&["set", "--yes", "server.certificate.clientauthpolicy=Verify"], 2, "requireandverify"),
        (&["set", "--yes", "Server.ProxyMode"], 2, "KEY=VALUE"),
        (&["set", "--yes", "Server.ProxyMode=true", "server.proxymode=false"], 2, "given twice"),
        (&["set", "--yes", "--json", "Server.HttpsPort=x"], 2, "no JSON"),
        (&["set", "--yes", "EngineURLs=wss://a/d1ws"], 2, "is for engines"),
        (&["set", "--yes", "--restart", "Server.ProxyMode=true"], 2, "no service here"),
        // what `config check` would call an error
        (&["set", "--yes", "Server.HttpsPort=99999"], 2, "is no port"),
        (&["set", "--yes", "--json", "Server.HttpsPort=443"], 2, "the product would not obey"),
        (&["set", "--yes", "security.certfile=cert.pem"], 2, "the product would not obey"),
        (&["set", "--yes", "security.keypass=hunter2"], 2, "otc set-keypass"),
        (&["set", "--yes", "Security.Certificate.Client.KeyPass=hunter2"], 2, "engine configure --conf"),
        (&["set", "--yes", "--unknown", "my.password=hunter2"], 2, "editor"),
        (&["set", "--yes", "http_proxy=http://me:hunter2@proxy:3128"], 2, "secret"),
    ] {
        let output = conf(&root, arguments);
        refused(&output, code, why);
        assert!(!said(&output).contains("hunter2"), "{}", said(&output));
    }
    assert_eq!(text(&root), before);
    succeeds(&conf(&root, &["set", "--yes", "--unknown", "--json", "my.own.key=[1, 2]"]));
    assert_eq!(value(&root, "my.own.key"), Some(json!([1, 2])));
    succeeds(&conf(&root, &["unset", "--yes", "my.own.key", "not.there"]));
    assert_eq!(text(&root), before);
}

#[test]
fn a_key_is_shown_with_what_counts_without_it() {
    let root = server();
    root.put(
        CONF,
        br#"{"server": {"httpsPort": "8443"}, "security.keypass": "hunter2", "my.key": 7,
            "security.certificate.override.donotverifyclientcertificates": false}"#,
        0o640,
    );
    let get = |arguments: &[&str]| conf(&root, &[&["get"], arguments].concat());
    for (key, shown) in [
        ("Server.HttpsPort", "\"8443\""),
        ("my.key", "7"),
        ("security.keypass", "\"********\""),
        ("security.certificate.verifyrevocation", "not set; the default is false"),
        ("Server.ExternalHostName", "not set; what counts then is not known"),
        // the other spelling of the same switch
        ("security.server.certificate.donotverifyclientcertificates", "false"),
    ] {
        let output = get(&[key]);
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{shown}\n"), "{key}: {}", said(&output));
    }
    let output = get(&["security.certificate.verifyrevocation", "--default"]);
    assert_eq!(output.stdout, b"false\n");
    refused(&get(&["Server.HttpsProt"]), 2, "did you mean Server.HttpsPort");
    refused(&get(&["nothing.like.it"]), 2, "config keys");
    let told = answer(&get(&["security.keypass", "--output", "json"]));
    assert_eq!(
        (&told["hidden"], &told["set"], &told["value"]),
        (&json!(true), &json!(true), &json!("********"))
    );
    let told = answer(&get(&["Server.ProxyMode", "--output", "json"]));
    assert_eq!((&told["set"], &told["value"]), (&json!(false), &Value::Null));
    fs::write(root.at(CONF), "{").unwrap();
    refused(&get(&["my.key"]), 4, "cannot be used");
}

#[test]
fn the_difference_from_the_release_hides_secrets() {
    let root = server();
    let told = succeeds(&conf(&root, &["diff"]));
    assert!(told.contains("18443"), "the port was asked for: {told}");
    let text = text(&root).replacen(
        '{',
        "{\n  \"security.keypass\": \"hunter2\",\n  \"security.keypass.encrypt\": true,",
        1,
    );
    fs::write(root.at(CONF), text).unwrap();
    let output = conf(&root, &["diff", "--color", "always"]);
    let told = succeeds(&output);
    assert!(told.contains("\x1b[32m+  \"security.keypass\": \"********\""), "{told}");
    assert!(
        told.contains("+  \"security.keypass.encrypt\": true"),
        "no secret, whatever it is called: {told}"
    );
    assert!(!told.contains("hunter2"), "{told}");
    let told = answer(&conf(&root, &["diff", "--output", "json"]));
    assert_eq!(told["differs"], json!(true));
    assert!(told["diff"].as_str().unwrap().contains("********"));
}

#[test]
fn a_file_that_nobody_can_read_is_told_and_mended() {
    let root = server();
    for (file, line) in
        [("etc/passwd", "demisto:x:993:992::/:/bin/false\n"), ("etc/group", "demisto:x:992:\n")]
    {
        let there = fs::read_to_string(root.at(file)).unwrap_or_default();
        if !there.lines().any(|one| one.starts_with("demisto:")) {
            root.put(file, format!("{there}{line}").as_bytes(), 0o644);
        }
    }
    root.put("good", b"no certificate", 0o644);
    root.put("etc/large", &vec![b' '; 5 << 20], 0o644);
    std::os::unix::fs::symlink("loop", root.at("etc/loop")).unwrap();
    let usual = text(&root);
    for (path, told) in [
        ("/etc", Some("file-unreadable")),
        ("/etc/passwd/x", Some("file-missing")),
        ("/nowhere", Some("file-missing")),
        ("/etc/loop", None),
        ("/etc/large", None),
    ] {
        let named = format!("{{\n  \"security.certfile\": {path:?},");
        fs::write(root.at(CONF), usual.replacen('{', &named, 1)).unwrap();
        let found = result(&conf(&root, &["check", "--output", "json"]));
        let all = found["findings"].as_array().unwrap_or_else(|| panic!("{path}: {found}"));
        let ids: Vec<&str> = all.iter().filter_map(|one| one["id"].as_str()).collect();
        assert!(found.get("not_looked_at").is_none(), "{path}: {found}");
        assert!(told.is_none_or(|told| ids.contains(&told)), "{path}: {ids:?}");
        let again = conf(&root, &["set", "--yes", "security.certfile=/nowhere/else"]);
        refused(&again, 2, "is not there");
        succeeds(&conf(&root, &["set", "--yes", "security.certfile=/good"]));
        assert_eq!(value(&root, "security.certfile"), Some(json!("/good")), "{path}");
    }
}

#[test]
fn a_plan_is_shown_and_bound() {
    let root = server();
    let before = root.snapshot();
    let set = ["set", "Server.ProxyMode=true"];
    let told = answer(&conf(&root, &[&set[..], &["--dry-run", "--output", "json"]].concat()));
    assert_eq!(told["plan"]["action"], "configure");
    assert_eq!(before.differences(&root.snapshot()), [""; 0], "a dry run changes nothing");
    let digest = told["digest"].as_str().unwrap();
    refused(&conf(&root, &[&set[..], &["--plan-digest", &"0".repeat(64)]].concat()), 4, "not the approved");
    refused(&conf(&root, &set), 2, "--yes");
    let text = succeeds(&conf(&root, &[&set[..], &["--plan-digest", digest]].concat()));
    assert!(text.contains("reads it at its next start") && text.contains("started again"), "{text}");
    let again = answer(&conf(&root, &[&set[..], &["--yes", "--output", "json"]].concat()));
    assert_eq!(again["changed"], json!(false));
    // the file is gone: a new one, as a first one would be
    fs::remove_file(root.at(CONF)).unwrap();
    succeeds(&conf(&root, &["set", "--yes", "Server.ProxyMode=true"]));
    assert_eq!(value(&root, "Server.ProxyMode"), Some(json!(true)));
}

// --- Presets -------------------------------------------------------------------------------------------------

fn is_met(preset: Preset, text: &str) -> bool {
    preset.entries().iter().all(|entry| entry.is_met(config::value(text, &entry.key).unwrap().as_ref()))
}

#[test]
fn a_preset_is_applied_as_a_whole_and_once() {
    let root = server();
    let before = text(&root);
    let output = conf(&root, &["preset", "evaluated", "--yes"]);
    refused(&output, 2, "--san-trust-list");
    assert_eq!(text(&root), before);
    let evaluated = ["preset", "evaluated", "--san-trust-list", NAMES];
    let shown = succeeds(&conf(&root, &["preset", "evaluated", "--show"]));
    assert!(shown.contains("open  security.certificate.santrustlist = for you to say"), "{shown}");
    assert!(shown.contains("[TLS/X509 Configuration]") && shown.contains("[Password Complexity Management]"));
    let plan = succeeds(&conf(&root, &[&evaluated[..], &["--dry-run"]].concat()));
    assert!(plan.contains("set 20 keys in /etc/demisto.conf\n        security."), "{plan}");
    let told = succeeds(&conf(&root, &[&evaluated[..], &["--yes"]].concat()));
    assert!(told.contains("still gets in"), "{told}");
    let told = succeeds(&conf(&root, &["preset", "mutual-auth", "--dry-run"]));
    for word in ["shut out", "browsers", "engine configure --client-cert", "cert mutual off"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    let set = text(&root);
    assert!(is_met(Preset::Evaluated, &set), "{set}");
    assert!(succeeds(&conf(&root, &[&evaluated[..], &["--yes"]].concat())).contains("nothing to do"));
    assert!(succeeds(&conf(&root, &["preset", "evaluated", "--yes"])).contains("nothing to do"));
    let shown = answer(&conf(&root, &["preset", "evaluated", "--show", "--output", "json"]));
    let states: Vec<&Value> = shown["settings"].as_array().unwrap().iter().map(|one| &one["state"]).collect();
    assert!(states.len() == Preset::Evaluated.entries().len() && states.iter().all(|state| *state == "ok"));
    // one more key, and what is stricter stays
    let told = succeeds(&conf(&root, &["preset", "mutual-auth", "--yes", "--dry-run"]));
    assert!(
        told.contains("clientauthpolicy = \"requireandverify\"") && !told.contains("donotverify"),
        "{told}"
    );
    succeeds(&conf(&root, &["preset", "mutual-auth", "--yes"]));
    assert!(is_met(Preset::Evaluated, &text(&root)) && is_met(Preset::MutualAuth, &text(&root)));
    // and all of it can go again
    let keys: Vec<String> = Preset::Evaluated.entries().into_iter().map(|entry| entry.key).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    succeeds(&conf(&root, &[&["unset", "--yes"], &keys[..]].concat()));
    assert_eq!(text(&root), before);
    for (arguments, why) in [
        (&["preset", "evaluated", "--yes", "--san-trust-list", "*.example.org"][..], "wildcard"),
        (&["preset", "mutual-auth", "--yes", "--san-trust-list", NAMES], "takes no --san-trust-list"),
        (&["preset", "strict-engine", "--yes"], "is for engines, and this is a server"),
    ] {
        refused(&conf(&root, arguments), 2, why);
    }
}

#[test]
fn an_engine_gets_its_own_preset() {
    let root = Root::furnished();
    let given = engine::conf(&root, |_| ());
    let mut install = engine::install(&engine::v1(), root.path());
    succeeds(&install.args(["--name", "x", "--conf"]).arg(&given).output().unwrap());
    let strict = ["preset", "strict-engine", "--engine", "--name", "x", "--yes"];
    refused(&conf(&root, &strict), 2, "--external-host HOST:PORT");
    refused(
        &conf(&root, &["preset", "evaluated", "--engine", "--name", "x", "--yes"]),
        2,
        "this is an engine",
    );
    refused(&conf(&root, &["password-policy", "show"]), 4, "nothing is installed");
    let with_host = [&strict[..], &["--external-host", "soar.example.org:443"]].concat();
    succeeds(&conf(&root, &with_host));
    let path = root.at("usr/local/demisto/d1_x/d1.conf");
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(config::value(&text, "engine.connection.trust_any_certificate").unwrap(), Some(json!(false)));
    assert_eq!(config::value(&text, "server.externalhostname").unwrap(), Some(json!("soar.example.org:443")));
    assert_eq!(
        config::value(&text, "security.client.enabled").unwrap(),
        None,
        "it has no certificate to show"
    );
    // now it has one
    let vendor = Vendor::get();
    let mut configure = engine::engine("configure", root.path());
    configure.args(["--name", "x", "--yes", "--client-cert"]).arg(vendor.file("cert.pem"));
    succeeds(&configure.arg("--client-key").arg(vendor.file("cert.key")).output().unwrap());
    succeeds(&conf(&root, &strict));
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(config::value(&text, "security.client.enabled").unwrap(), Some(json!(true)));
    assert!(is_met(Preset::StrictEngine, &text), "{text}");
    let told = conf(&root, &["get", "--engine", "--name", "x", "EngineID"]);
    assert_eq!(told.stdout, b"\"ff1dea73-8b22-437a-adb8-391514c05cfa\"\n", "{}", said(&told));
}

/// The rows of a table in docs/configuration.md: those before the comment with the table's name.
fn told_rows(name: &str) -> Vec<String> {
    let page = include_str!("../../docs/configuration.md");
    let before = page.split(&format!("<!-- {name} -->")).next().unwrap();
    let mut rows: Vec<String> = before
        .trim_end()
        .lines()
        .rev()
        .take_while(|line| line.starts_with("| "))
        .map(str::to_owned)
        .collect();
    rows.reverse();
    rows.split_off(2)
}

#[test]
fn the_page_shows_the_presets() {
    let mut keys: Vec<String> = Vec::new();
    for entry in Preset::ALL.into_iter().flat_map(Preset::entries) {
        if !keys.contains(&entry.key) {
            keys.push(entry.key);
        }
    }
    let cell = |preset: Preset, key: &str| {
        let entry = preset.entries().into_iter().find(|entry| entry.key == key)?;
        Some(entry.value().map_or_else(|| "from you".to_owned(), |value| format!("`{value}`")))
    };
    let row = |key: &String| {
        let cells = Preset::ALL.map(|preset| cell(preset, key).unwrap_or_else(|| "-".to_owned()));
        format!("| `{key}` | {} |", cells.join(" | "))
    };
    let wanted: Vec<String> = keys.iter().map(row).collect();
    assert_eq!(told_rows("presets"), wanted, "\n{}\n", wanted.join("\n"));
}

#[test]
fn the_page_shows_the_policy() {
    let may = |form: Form| match form {
        Form::On => "`true`".to_owned(),
        Form::AtLeast(least) => format!("{least} or more"),
        Form::AtMost(most) => format!("1 to {most}"),
        Form::Never => "0".to_owned(),
        Form::Number => "any number; 0 turns it off".to_owned(),
        Form::Word(words) => words.iter().map(|word| format!("`{word:?}`")).collect::<Vec<_>>().join(", "),
    };
    let row = |row: &Row| {
        let (title, name, option) = (row.title, row.name, row.option);
        format!("| {title} | `{name}` | `{}` | {} | `--{option}` |", row.default(), may(row.form))
    };
    let wanted: Vec<String> = ROWS.iter().map(row).collect();
    assert_eq!(told_rows("policy"), wanted, "\n{}\n", wanted.join("\n"));
    let help = succeeds(&conf(&Root::fresh(), &["password-policy", "set", "--help"]));
    for row in ROWS {
        assert!(help.contains(&format!("--{} ", row.option)), "{}", row.option);
    }
}

// --- Passwords -----------------------------------------------------------------------------------------------

#[test]
fn the_policy_is_never_weaker_than_the_guides() {
    let root = server();
    let shown = succeeds(&conf(&root, &["password-policy"]));
    for (title, guide) in [
        ("Minimum number of characters", "8"),
        ("Minimum number of digits or symbols", "1"),
        ("Password must be changed every", "0"),
        ("Prevent password repetition", "true"),
        ("Lock out user after failed logins", "10"),
        ("Unlock by itself after minutes", "0"),
    ] {
        let line =
            shown.lines().find(|line| line.starts_with(title)).unwrap_or_else(|| panic!("{title}: {shown}"));
        let words: Vec<&str> = line[title.len()..].split_whitespace().collect();
        assert_eq!(words, [guide, "-", guide], "{line}");
    }
    let before = text(&root);
    for (option, value) in [
        ("--min-length", "7"),
        ("--min-upper", "0"),
        ("--enabled", "false"),
        ("--prevent-repetition", "false"),
        ("--max-failed-logins", "11"),
        ("--max-failed-logins", "0"),
        ("--unlock-after", "30"),
    ] {
        refused(&conf(&root, &["password-policy", "set", "--yes", option, value]), 3, "the guide");
    }
    refused(&conf(&root, &["password-policy", "set", "--yes"]), 2, "--min-length");
    assert_eq!(text(&root), before);
    succeeds(&conf(
        &root,
        &[
            "password-policy",
            "set",
            "--yes",
            "--min-length",
            "14",
            "--min-upper",
            "2",
            "--expire-after",
            "3",
            "--expire-unit",
            "week",
        ],
    ));
    assert_eq!(value(&root, "password.policy.default.MinPasswordLength"), Some(json!(14)));
    let told = answer(&conf(&root, &["password-policy", "show", "--output", "json"]));
    assert_eq!(told["policy"][1]["effective"], json!(14));
    assert_eq!(told["policy"][6]["configured"], json!("week"));
}

/// What the configuration asks of passwords counts for those that are taken on this host.
#[test]
fn a_password_has_to_meet_the_hosts_policy() {
    let root = server();
    succeeds(&conf(&root, &["password-policy", "set", "--yes", "--min-length", "14", "--min-upper", "2"]));
    let add = |password: &str| {
        let file = root.at("password");
        fs::write(&file, format!("{password}\n")).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        let mut command = run("otc", root.path());
        command.args(["add-admin", "--yes", "--user", "chief", "--admin-password-file"]).arg(file);
        command.output().unwrap()
    };
    let output = add("Kq7-marker-w");
    refused(&output, 2, "fewer than 14 characters");
    assert!(said(&output).contains("fewer than 2 upper-case letters"), "{}", said(&output));
    assert!(said(&output).contains("hint: At least 14 characters with"), "{}", said(&output));
    succeeds(&add("Kq7-marker-Vw-longer"));
    // a weaker one in the file counts no less than the guide's
    fs::write(root.at(CONF), r#"{"password.policy.default.MinPasswordLength": 4}"#).unwrap();
    refused(&add("Kq7-Vw"), 2, "fewer than 8 characters");
}

// --- Sudden death --------------------------------------------------------------------------------------------

#[test]
fn setting_and_presets_survive_at_every_point() {
    let model = server();
    let root = || Root::copy(&model);
    let sets = |root: &Path| call(root, &["set", "--yes", "Server.HttpsPort=9443", "log.level=debug"]);
    let preset = |root: &Path| call(root, &["preset", "evaluated", "--yes", "--san-trust-list", NAMES]);
    let unset = |root: &Path| call(root, &["unset", "--yes", "Server.HttpsPort"]);
    type Call<'a> = &'a (dyn Fn(&Path) -> Command + Sync);
    let all: [(&str, Call); 3] =
        [("config set", &sets), ("config preset", &preset), ("config unset", &unset)];
    let mut told = Vec::new();
    for (name, command) in all {
        let sweep = Sweep::new(Change { name, root: &root, command });
        told.push(sweep.each("killed and run again", 1, &|number| sweep.again(number)));
        told.push(sweep.each("killed and recovered", 1, &|number| sweep.recovered(number)));
        told.push(sweep.each("a call fails", 1, &|number| sweep.fails(number, EIO)));
        told.push(sweep.each("the disk is full", 3, &|number| sweep.fails(number, ENOSPC)));
        told.push(sweep.each("killed, and killed while recovering", 5, &|number| sweep.killed_twice(number)));
    }
    summary("crash-config", &told.join("\n"));
}
