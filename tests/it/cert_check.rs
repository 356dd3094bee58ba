//! `cert check`: a table of certificate sets made by the real `openssl`, whose own verdict stands beside
//! ours; what is installed, in a scratch root; and that hostile files end in findings.

mod table;
mod workshop;

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use demisto_install::certs::check::{File, Finding, Input, Passphrase, RULES, Role, Severity, check};
use demisto_install::certs::look::Certificate;
use demisto_install::types::Secret;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::{Strategy, any, proptest};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::docs;
use crate::support::installer::{Root, Vendor, run, said, summary};
use table::Set;
use workshop::{PASSPHRASE, Workshop, verify};

/// What came out of one set.
struct Outcome {
    /// What is wrong with our verdict.
    wrong: Option<String>,
    /// Whether openssl says something else, which the table explains.
    explained: bool,
    broken: Vec<&'static str>,
}

#[test]
fn every_rule_is_found_alone_and_openssl_agrees_or_the_difference_is_explained() {
    let sets = table::sets();
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(set) = sets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = judge(set);
                    outcomes.lock().unwrap().push(outcome);
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap();
    let wrong: Vec<&String> = outcomes.iter().filter_map(|outcome| outcome.wrong.as_ref()).collect();
    let explained = outcomes.iter().filter(|outcome| outcome.explained).count();
    summary(
        "certificates",
        &format!(
            "certificates: {} sets, {} wrong verdicts, {explained} explained differences",
            sets.len(),
            wrong.len()
        ),
    );
    assert!(wrong.is_empty(), "\n{}", wrong.iter().map(|text| format!("{text}\n")).collect::<String>());
    assert!(sets.len() >= 120, "only {} sets", sets.len());
    // what the table cannot show is shown on installed files below
    let installed = [
        "key-not-opened",
        "file-missing",
        "file-owner",
        "key-exposed",
        "file-mode",
        "path-closed",
        "stray-file",
    ];
    let seen: BTreeSet<&str> = outcomes.iter().flat_map(|outcome| outcome.broken.iter().copied()).collect();
    let unseen: Vec<&str> =
        RULES.iter().map(|rule| rule.id).filter(|id| !seen.contains(id) && !installed.contains(id)).collect();
    assert!(unseen.is_empty(), "no set breaks {}", unseen.join(", "));
}

fn judge(set: &Set) -> Outcome {
    let shop = Workshop::get();
    let mut chain = shop.chain(&set.specs);
    chain.extend(set.extra.iter().map(|specs| shop.certificate(specs)));
    let given = (set.arrange)(&chain, set.key.as_deref());
    let files: Vec<File> =
        given.iter().map(|(name, bytes)| File::read(name, Zeroizing::new(bytes.clone()))).collect();
    let now = Timestamp::now() + SignedDuration::from_hours(set.day * 24 + i64::from(set.day >= 0));
    let trusted: Option<Vec<String>> =
        set.anchors.as_ref().map(|all| all.iter().map(|specs| shop.certificate(specs)).collect());
    let anchors: Option<Vec<Certificate>> = trusted.as_ref().map(|pems| {
        let read = |pem: &String| openssl::x509::X509::from_pem(pem.as_bytes()).unwrap().to_der().unwrap();
        pems.iter().map(|pem| Certificate::from_der(&read(pem)).unwrap()).collect()
    });
    let secret = set.passphrase.map(Secret::from);
    let found = check(&Input {
        role: set.role,
        files: &files,
        passphrase: secret.as_ref().map_or(Passphrase::Unknown, Passphrase::Given),
        names: &set.names,
        known: &set.known,
        now,
        revocation: set.revocation,
        anchors: anchors.as_deref(),
    });
    compare(set, &found, openssl_says(set, &given, trusted.as_deref(), &chain, now))
}

/// The verdict of `openssl verify` on the certificates that are in the files.
fn openssl_says(
    set: &Set,
    given: &[table::Given],
    trusted: Option<&[String]>,
    chain: &[String],
    now: Timestamp,
) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let all: String = given.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes)).collect();
    let flat = all.replace('\r', "");
    let body = |pem: &str| pem.lines().nth(3).unwrap_or_default().to_owned();
    let others: Vec<String> = chain.iter().skip(1).filter(|pem| flat.contains(&body(pem))).cloned().collect();
    let purpose = match set.role {
        Role::Server => "sslserver",
        Role::Client => "sslclient",
        Role::Ca => "any",
        Role::Ocsp => "ocsphelper",
    };
    verify((&chain[0], &others), trusted.unwrap_or_default(), purpose, now.as_second(), dir.path())
}

fn compare(set: &Set, found: &[Finding], openssl: Option<String>) -> Outcome {
    let mut broken: Vec<&'static str> = found.iter().map(|finding| finding.id).collect();
    broken.sort_unstable();
    let (mut ours, mut expected) = (broken.clone(), set.broken.clone());
    ours.dedup();
    expected.dedup();
    let refused = found.iter().any(|finding| finding.severity == Severity::Error);
    let differs = refused != openssl.is_some();
    let said = openssl.unwrap_or_else(|| "accepted".to_owned());
    let wrong = if ours != expected {
        let what: Vec<&str> = found.iter().map(|finding| finding.what.as_str()).collect();
        Some(format!("{}: {ours:?} instead of {expected:?}: {what:?}", set.name))
    } else if differs && set.differs.is_none() {
        Some(format!("{}: {ours:?}, but openssl: {said}", set.name))
    } else if !differs && set.differs.is_some() {
        Some(format!("{}: openssl agrees, and the table explains why not: {said}", set.name))
    } else {
        None
    };
    let texts = found.iter().all(|finding| !finding.what.is_empty() && !finding.fix.contains("FILE"));
    let wrong = wrong.or_else(|| (!texts).then(|| format!("{}: words are missing: {found:?}", set.name)));
    Outcome { wrong, explained: differs, broken }
}

// --- What is installed -------------------------------------------------------------------------------------

/// The service's account in the roots of these tests.
const SERVICE: u32 = 4242;

fn call(root: &Path, args: &[&str]) -> Command {
    let mut command = run("cert", root);
    command.arg("check").args(args);
    command
}

/// The findings of a call as `FILE: ID`, sorted, and its exit code.
fn findings(command: &mut Command) -> (Vec<String>, i32) {
    let output = command.args(["--output", "json"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_else(|| panic!("{}", said(&output)));
    let value: Value = serde_json::from_str(last).unwrap();
    let list = value["findings"].as_array().unwrap_or_else(|| panic!("{}", said(&output)));
    let word = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let mut found: Vec<String> =
        list.iter().map(|finding| format!("{}: {}", word(finding, "file"), word(finding, "id"))).collect();
    found.sort();
    (found, output.status.code().unwrap())
}

fn installed(root: &Root, more: &[&str]) -> (Vec<String>, i32) {
    findings(call(root.path(), &["--installed"]).args(more))
}

/// A root with the service's account.
fn with_service() -> Root {
    assert!(nix::unistd::geteuid().is_root(), "this test gives files to another user: run it as root");
    let root = Root::furnished();
    let line = format!("demisto:x:{SERVICE}:{SERVICE}::/var/lib/demisto:/usr/sbin/nologin\n");
    root.put("etc/passwd", line.as_bytes(), 0o644);
    root.put("etc/group", format!("demisto:x:{SERVICE}:\n").as_bytes(), 0o644);
    root
}

/// Puts a file where the service finds it, as the guide wants it.
fn place(root: &Root, path: &str, bytes: &[u8]) {
    root.put(path, bytes, 0o400);
    chown(root.at(path), Some(SERVICE), Some(SERVICE)).unwrap();
}

fn with_pair() -> Root {
    let root = with_service();
    let (chain, key) = table::good_pair(0);
    place(&root, "usr/local/demisto/cert.pem", chain.concat().as_bytes());
    place(&root, "usr/local/demisto/cert.key", &key);
    root
}

const CERT: &str = "usr/local/demisto/cert.pem";
const KEY: &str = "usr/local/demisto/cert.key";

#[test]
fn an_installed_pair_as_the_guide_wants_it_as_root() {
    let root = with_pair();
    let before = root.snapshot();
    assert_eq!(installed(&root, &[]), (Vec::new(), 0));
    let output = call(root.path(), &["--installed"]).output().unwrap();
    assert!(said(&output).contains("Nothing is wrong."), "{}", said(&output));
    assert!(before.differences(&root.snapshot()).is_empty(), "a look changes nothing");
}

#[test]
fn places_modes_and_owners_as_root() {
    type Change = fn(&Root);
    let mode = |root: &Root, path: &str, mode: u32| {
        fs::set_permissions(root.at(path), Permissions::from_mode(mode)).unwrap();
    };
    let rows: &[(&str, Change, &[&str], i32)] = &[
        (
            "mode of the certificate",
            |root| fs::set_permissions(root.at(CERT), Permissions::from_mode(0o644)).unwrap(),
            &["/usr/local/demisto/cert.pem: file-mode"],
            0,
        ),
        (
            "mode of the key",
            |root| fs::set_permissions(root.at(KEY), Permissions::from_mode(0o600)).unwrap(),
            &["/usr/local/demisto/cert.key: file-mode"],
            0,
        ),
        (
            "key for the group",
            |root| fs::set_permissions(root.at(KEY), Permissions::from_mode(0o440)).unwrap(),
            &["/usr/local/demisto/cert.key: key-exposed"],
            4,
        ),
        (
            "key for all",
            |root| fs::set_permissions(root.at(KEY), Permissions::from_mode(0o404)).unwrap(),
            &["/usr/local/demisto/cert.key: key-exposed"],
            4,
        ),
        (
            "root's certificate",
            |root| chown(root.at(CERT), Some(0), Some(0)).unwrap(),
            &["/usr/local/demisto/cert.pem: file-owner"],
            4,
        ),
        (
            "another group",
            |root| chown(root.at(KEY), None, Some(0)).unwrap(),
            &["/usr/local/demisto/cert.key: file-owner"],
            4,
        ),
        (
            "no key",
            |root| fs::remove_file(root.at(KEY)).unwrap(),
            &["/usr/local/demisto/cert.key: file-missing"],
            4,
        ),
        (
            "strays",
            |root| {
                for name in ["old.pem", "server.CRT", "backup.key", "x.p12"] {
                    root.put(&format!("usr/local/demisto/{name}"), b"x", 0o600);
                }
                root.put("usr/local/demisto/server", b"x", 0o755);
            },
            &[
                "/usr/local/demisto/backup.key: stray-file",
                "/usr/local/demisto/old.pem: stray-file",
                "/usr/local/demisto/server.CRT: stray-file",
                "/usr/local/demisto/x.p12: stray-file",
            ],
            0,
        ),
    ];
    for (name, change, expected, code) in rows {
        let root = with_pair();
        change(&root);
        let expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(installed(&root, &[]), (expected, *code), "{name}");
    }
    let root = with_pair();
    mode(&root, "usr/local", 0o700);
    let (found, code) = installed(&root, &[]);
    assert_eq!((found.len(), code), (2, 4), "{found:?}");
    assert!(found.iter().all(|line| line.ends_with("path-closed")), "{found:?}");
    mode(&root, "usr/local", 0o710);
    chown(root.at("usr/local"), Some(0), Some(SERVICE)).unwrap();
    assert_eq!(installed(&root, &[]), (Vec::new(), 0), "its group may enter");
}

#[test]
fn the_configuration_says_where_the_pair_is_and_what_for_as_root() {
    let root = with_pair();
    let conf = |text: &str| root.put("etc/demisto.conf", text.as_bytes(), 0o644);
    conf(r#"{"Server": {"ExternalHostName": "soar.example.test:443"}}"#);
    assert_eq!(installed(&root, &[]), (Vec::new(), 0));
    conf(r#"{"server.externalhostname": "web.example.test"}"#);
    assert_eq!(installed(&root, &[]), (vec!["/usr/local/demisto/cert.pem: name-mismatch".to_owned()], 4));
    assert_eq!(installed(&root, &["--host", "soar.example.test"]), (Vec::new(), 0));
    conf(r#"{"Server": {"ExternalHostName": "[2001:db8::1]:8443"}}"#);
    assert_eq!(installed(&root, &[]).1, 4);
    conf(r#"{"security.certificate.verifyrevocation": true}"#);
    assert_eq!(installed(&root, &[]), (Vec::new(), 0), "all of it can be asked for");
    conf(r#"{"Security": {"CertFile": "/srv/tls/cert.pem", "KeyFile": "/srv/tls/cert.key"}}"#);
    let (found, code) = installed(&root, &[]);
    assert_eq!(
        (found.as_slice(), code),
        (
            &["/srv/tls/cert.key: file-missing".to_owned(), "/srv/tls/cert.pem: file-missing".to_owned()][..],
            4
        )
    );
    fs::create_dir_all(root.at("srv/tls")).unwrap();
    let (chain, key) = table::good_pair(1);
    place(&root, "srv/tls/cert.pem", chain.concat().as_bytes());
    place(&root, "srv/tls/cert.key", &key);
    assert_eq!(installed(&root, &[]), (vec!["/srv/tls/cert.pem: eku-server".to_owned()], 4));
    conf("{");
    let output = call(root.path(), &["--installed"]).output().unwrap();
    assert!(said(&output).contains("/etc/demisto.conf"), "{}", said(&output));
    assert_ne!(output.status.code(), Some(0));
}

#[test]
fn the_passphrase_that_only_the_product_has_is_no_error_as_root() {
    let root = with_pair();
    let locked = Workshop::get().key_as("ec-leaf", "ec -in KEY -aes256 -passout PASS");
    place(&root, KEY, &locked);
    let at_key = |id: &str| vec![format!("/usr/local/demisto/cert.key: {id}")];
    assert_eq!(installed(&root, &[]), (at_key("key-not-opened"), 0));
    // one that waits for the server is used, too
    let waiting = "var/lib/demisto/otc.conf.json";
    fs::create_dir_all(root.at("var/lib/demisto")).unwrap();
    place(&root, waiting, format!(r#"{{"keypass": "{PASSPHRASE}"}}"#).as_bytes());
    assert_eq!(installed(&root, &[]), (Vec::new(), 0));
    place(&root, waiting, br#"{"keypass": "shut"}"#);
    assert_eq!(installed(&root, &[]), (at_key("key-passphrase-wrong"), 4));
    fs::remove_file(root.at(waiting)).unwrap();
    root.put("etc/demisto.conf", format!(r#"{{"security.keypass": "{PASSPHRASE}"}}"#).as_bytes(), 0o600);
    let output = call(root.path(), &["--installed"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(!said(&output).contains(PASSPHRASE), "a secret was shown");
    assert_eq!(installed(&root, &[]), (Vec::new(), 0));
    root.put("etc/demisto.conf", br#"{"security.keypass": "shut"}"#, 0o600);
    assert_eq!(installed(&root, &[]), (at_key("key-passphrase-wrong"), 4));
    let file = root.at("passphrase");
    root.put("passphrase", format!("{PASSPHRASE}\n").as_bytes(), 0o600);
    assert_eq!(installed(&root, &["--passphrase-file", file.to_str().unwrap()]), (Vec::new(), 0));
    root.put("passphrase", PASSPHRASE.as_bytes(), 0o644);
    let refused =
        call(root.path(), &["--installed", "--passphrase-file", file.to_str().unwrap()]).output().unwrap();
    assert!(!refused.status.success() && said(&refused).contains("chmod 600"), "{}", said(&refused));
}

#[test]
fn what_an_installation_makes_passes() {
    let (root, vendor) = (Root::furnished(), Vendor::get());
    let mut install = run("install", root.path());
    install.arg(vendor.small()).arg("--no-owner").arg("--key").arg(vendor.file("release.asc"));
    install.arg("--answers").arg(vendor.file("answers.json"));
    install
        .arg("--admin-password-file")
        .arg(vendor.file("password"))
        .args(["--external-address", "soar.example.test"]);
    let output = install.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let named = installed(&root, &["--host", "soar.example.test", "--revocation", "require"]);
    assert_eq!(named, (vec!["/usr/local/demisto/cert.pem: self-signed".to_owned()], 0));
}

#[test]
fn an_engine_has_two_pairs_as_root() {
    let root = with_service();
    let tree = "usr/local/demisto/d1_x";
    fs::create_dir_all(root.at(tree)).unwrap();
    let engine = |root: &Root| installed(root, &["--engine", "--name", "x"]);
    assert_eq!(engine(&root), (Vec::new(), 0), "an engine need not have any");
    let output = call(root.path(), &["--installed", "--name", "x"]).output().unwrap();
    assert!(said(&output).contains("There is no certificate"), "{}", said(&output));
    let (chain, key) = table::good_pair(1);
    place(&root, &format!("{tree}/client.pem"), chain.concat().as_bytes());
    assert_eq!(engine(&root), (vec!["/usr/local/demisto/d1_x/client.key: file-missing".to_owned()], 4));
    place(&root, &format!("{tree}/client.key"), &key);
    let (chain, key) = table::good_pair(0);
    place(&root, &format!("{tree}/d1.pem"), chain.concat().as_bytes());
    place(&root, &format!("{tree}/d1.key"), &key);
    assert_eq!(engine(&root), (Vec::new(), 0));
    // whom the server lets in
    let lets_in = |list: &str| {
        format!(
            r#"{{"security.certificate.verifyclientsan": true, "security.certificate.santrustlist": "{list}"}}"#
        )
    };
    root.put("etc/demisto.conf", lets_in("a.example.test,soar.example.test").as_bytes(), 0o644);
    assert_eq!(engine(&root), (Vec::new(), 0));
    root.put("etc/demisto.conf", lets_in("a.example.test").as_bytes(), 0o644);
    assert_eq!(engine(&root), (vec!["/usr/local/demisto/d1_x/client.pem: name-untrusted".to_owned()], 4));
    // the passphrase of the client's key is in the configuration, or nowhere
    root.put("etc/demisto.conf", b"{}", 0o644);
    let locked = Workshop::get().key_as("rsa-leaf", "rsa -traditional -in KEY -aes256 -passout PASS");
    place(&root, &format!("{tree}/client.key"), &locked);
    assert_eq!(
        engine(&root),
        (vec!["/usr/local/demisto/d1_x/client.key: key-passphrase-missing".to_owned()], 4)
    );
    let conf = format!(r#"{{"security": {{"certificate": {{"client": {{"keypass": "{PASSPHRASE}"}}}}}}}}"#);
    root.put(&format!("{tree}/d1.conf"), conf.as_bytes(), 0o600);
    assert_eq!(engine(&root), (Vec::new(), 0));
    let nobody = call(root.path(), &["--installed", "--name", "y"]).output().unwrap();
    assert!(!nobody.status.success(), "{}", said(&nobody));
}

// --- Files -------------------------------------------------------------------------------------------------

#[test]
fn files_come_in_any_order_and_the_chain_is_written_in_its_own() {
    let root = Root::fresh();
    let (chain, key) = table::good_pair(0);
    let file = |name: &str, bytes: &[u8]| {
        root.put(name, bytes, 0o600);
        root.at(name).to_str().unwrap().to_owned()
    };
    let (cert, private) = (file("a", chain.concat().as_bytes()), file("b", &key));
    assert_eq!(findings(&mut call(root.path(), &[&private, &cert])), (Vec::new(), 0));
    assert_eq!(
        findings(&mut call(root.path(), &[&cert, "--key", &private, "--host", "soar.example.test"])),
        (Vec::new(), 0)
    );
    assert_eq!(findings(&mut call(root.path(), &["--key", &private])), (Vec::new(), 0));
    assert_eq!(findings(&mut call(root.path(), &[&cert, "--role", "client"])).1, 4);
    let wrong: Vec<u8> = chain.iter().rev().flat_map(|pem| pem.bytes()).collect();
    let wrong = file("c", &wrong);
    let out = root.at("out.pem");
    let args = [wrong.as_str(), &private, "--reorder", out.to_str().unwrap()];
    let (found, code) = findings(&mut call(root.path(), &args));
    assert_eq!((found.len(), code), (1, 4), "{found:?}");
    assert!(found[0].ends_with("chain-order"), "{found:?}");
    assert_eq!(fs::read_to_string(&out).unwrap(), chain.concat());
    assert_eq!(fs::metadata(&out).unwrap().mode() & 0o7777, 0o644);
    let again = call(root.path(), &args).output().unwrap();
    assert!(!again.status.success() && said(&again).contains("out.pem"), "{}", said(&again));
    let text = said(&call(root.path(), &[&wrong]).output().unwrap());
    for word in ["error   chain-order", "why: ", "fix: ", "1 error, 0 warnings."] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

/// Without a name in the configuration, the host's own count: a pair for another host is no good one in silence.
#[test]
fn a_certificate_for_another_host_is_warned_about() {
    let root = Root::fresh();
    let chain = put_chain(&root);
    let found = |more: &[&str]| findings(call(root.path(), &[&chain]).args(more));
    assert_eq!(found(&[]), (Vec::new(), 0), "nothing is known of the host");
    fs::create_dir_all(root.at("etc")).unwrap();
    root.put("etc/hostname", b"unrelated.example\n", 0o644);
    assert_eq!(found(&[]), (vec![format!("{chain}: name-elsewhere")], 0));
    assert_eq!(found(&["--host", "soar.example.test"]), (Vec::new(), 0));
    assert_eq!(found(&["--role", "client"]).0, [format!("{chain}: eku-client")], "a client is no host");
    root.put("etc/hostname", b"soar\n", 0o644);
    root.put("etc/hosts", b"192.0.2.7 soar.example.test soar\n", 0o644);
    assert_eq!(found(&[]), (Vec::new(), 0));
    let text = said(&call(root.path(), &[&chain]).output().unwrap());
    assert!(text.contains("Nothing is wrong"), "{text}");
}

/// A good chain for `soar.example.test` in a file of the root.
fn put_chain(root: &Root) -> String {
    root.put("chain.pem", table::good_pair(0).0.concat().as_bytes(), 0o644);
    root.at("chain.pem").display().to_string()
}

#[test]
fn wrong_use_is_told() {
    let root = Root::fresh();
    let tells = |args: &[&str], code: i32, word: &str| {
        let output = call(root.path(), args).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", said(&output));
        assert!(said(&output).contains(word), "{args:?}: {}", said(&output));
    };
    tells(&[], 2, "required");
    tells(&["/nowhere/cert.pem"], 1, "No such file");
    tells(&["/etc/hostname", "--host", "a b"], 2, "neither a host name nor an address");
    tells(&["/etc/hostname", "--reorder", "/nowhere/out"], 2, "none of the files holds a certificate");
    tells(&["--installed", "--role", "client"], 2, "cannot be used with");
    tells(&["--installed"], 4, "nothing is installed");
    let listed = call(root.path(), &["--list"]).output().unwrap();
    assert_eq!(String::from_utf8(listed.stdout).unwrap().lines().count(), RULES.len());
}

#[test]
fn the_page_lists_every_rule_as_the_program_does() {
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/certificate-checks.md")).unwrap();
    let shown: Vec<Vec<String>> =
        docs::rows(&page, "| Rule |").into_iter().map(|row| row[..3].to_vec()).collect();
    let known: Vec<Vec<String>> = RULES
        .iter()
        .map(|rule| vec![format!("`{}`", rule.id), rule.severity.to_string(), rule.source.to_owned()])
        .collect();
    let lines =
        |rows: &[Vec<String>]| rows.iter().map(|row| format!("| {} |", row.join(" | "))).collect::<Vec<_>>();
    assert_eq!(lines(&shown), lines(&known));
    // the guide's table of troubles names rules that exist
    let troubles = docs::rows(&page, "| Message of the product |");
    assert_eq!(troubles.len(), 12, "the guide has twelve");
    for row in troubles {
        for id in row[1].split('`').skip(1).step_by(2) {
            assert!(RULES.iter().any(|rule| rule.id == id), "no rule is called {id}");
        }
    }
    let ids: BTreeSet<&str> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), RULES.len());
}

// --- Hostile files -----------------------------------------------------------------------------------------

fn survives(bytes: Vec<u8>) {
    let files = [File::read("x", Zeroizing::new(bytes))];
    for role in [Role::Server, Role::Client, Role::Ca, Role::Ocsp] {
        let found = check(&Input {
            role,
            files: &files,
            passphrase: Passphrase::Unknown,
            names: &["soar.example.test".to_owned()],
            known: &[],
            now: Timestamp::now(),
            revocation: demisto_install::certs::check::Revocation::Require,
            anchors: None,
        });
        let known = |finding: &Finding| RULES.iter().any(|rule| rule.id == finding.id);
        assert!(found.iter().all(known), "{role:?}: {found:?}");
    }
}

/// A good file of chain and key, in which some bytes are others.
fn changed() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<proptest::sample::Index>(), any::<u8>());
    (any::<bool>(), proptest::collection::vec(change, 1..6)).prop_map(|(binary, changes)| {
        let (chain, key) = table::good_pair(0);
        let mut bytes = [chain.concat().as_bytes(), &key].concat();
        if binary {
            bytes = openssl::x509::X509::from_pem(chain[0].as_bytes()).unwrap().to_der().unwrap();
        }
        for (index, value) in changes {
            let at = index.index(bytes.len());
            bytes[at] = value;
        }
        bytes
    })
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

    #[test]
    fn changed_files_end_in_findings(bytes in changed()) {
        survives(bytes);
    }

    #[test]
    fn any_bytes_end_in_findings(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        survives(bytes);
    }
}

#[test]
fn a_file_of_many_certificates_ends_in_time() {
    let (chain, _) = table::good_pair(2);
    let begun = std::time::Instant::now();
    survives(chain.concat().repeat(200).into_bytes());
    survives("-----BEGIN CERTIFICATE-----\n".repeat(30_000).into_bytes());
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}
