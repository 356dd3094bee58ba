//! `preflight --xdr` against what is real: certificates of the vendor's list, ports that are held, rules of the kernel's
//! firewall with a peer that tries them, TLS servers, proxies, and a proxy that decrypts.

mod firewall;
mod peers;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use demisto_install::certs::look::Chain;
use demisto_install::preflight::xdr::anchors::{ANCHORS, CaFile, GO_DADDY_CLASS_2, GO_DADDY_G2, Held};
use demisto_install::preflight::xdr::endpoint::{self, Attempt, End, Endpoint, Shown};
use demisto_install::preflight::xdr::firewall::Passage;
use demisto_install::preflight::xdr::port::Port;
use demisto_install::preflight::xdr::{CHECKS, Facts};
use demisto_install::preflight::{Outcome, Status};
use serde_json::Value;
use tempfile::TempDir;

use crate::ca::openssl;
use crate::docs::rows;
use crate::support::installer::{PROGRAM, said};

/// The fingerprints of the vendor's page "Enable Access to Cortex XDR", step 3, as they stand there: SHA-1, SHA-256.
const PAGE: [(&str, &str, &str); 3] = [
    (
        "anchor-go-daddy-g2",
        "47 BE AB C9 22 EA E8 0E 78 78 34 62 A7 9F 45 C2 54 FD E6 8B",
        "45 14 0B 32 47 EB 9C C8 C5 B4 F0 D7 B5 30 91 F7 32 92 08 9E 6E 5A 63 E2 74 9D D3 AC A9 19 8E DA",
    ),
    (
        "anchor-go-daddy-class-2",
        "27 96 BA E6 3F 18 01 E2 77 26 1B A0 D7 77 70 02 8F 20 EE E4",
        "C3 84 6B F2 4B 9E 93 CA 64 27 4C 0E C6 7C 1E CC 5E 02 4F FC AC D2 D7 40 19 35 0E 81 FE 54 6A E4",
    ),
    (
        "anchor-globalsign-r2",
        "75 E0 AB B6 13 85 12 27 1C 04 F8 5F DD DE 38 E4 B7 24 2E FE",
        "CA 42 DD 41 74 5F D0 B8 1E B9 02 36 2C F9 D8 BF 71 9D A1 BD 1B 1E FC 94 6F 5B 4C 99 F4 2C 1B 9E",
    ),
];

/// The real certificate of an anchor.
pub(crate) fn anchor(id: &str) -> PathBuf {
    let name = id.strip_prefix("anchor-").unwrap();
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/xdr/{name}.pem"))
}

/// A root with a trust store of these PEM texts.
pub(crate) fn root(trusted: &[String]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for dir in ["etc/ssl/certs", "usr/local/share/ca-certificates", "usr/share/ca-certificates/mozilla"] {
        fs::create_dir_all(root.path().join(dir)).unwrap();
    }
    fs::write(root.path().join("etc/ca-certificates.conf"), "").unwrap();
    fs::write(root.path().join("etc/ssl/certs/ca-certificates.crt"), trusted.concat()).unwrap();
    root
}

pub(crate) fn command(root: Option<&Path>, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["preflight", "--xdr"]).args(arguments);
    if let Some(root) = root {
        command.arg("--root").arg(root);
    }
    command
}

/// What the checks said.
pub(crate) struct Access {
    pub(crate) code: i32,
    pub(crate) value: Value,
    pub(crate) text: String,
}

impl Access {
    pub(crate) fn of(output: &Output) -> Self {
        let text = said(output);
        let last = String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned();
        let value: Value = serde_json::from_str(&last).unwrap_or_else(|e| panic!("{e}: {text}"));
        assert_ne!(value["event"], "error", "{text}");
        Self { code: output.status.code().unwrap(), value, text }
    }

    pub(crate) fn ask(root: Option<&Path>, arguments: &[&str]) -> Self {
        Self::of(&command(root, &[arguments, &["--output", "json"]].concat()).output().unwrap())
    }

    pub(crate) fn all(&self) -> &Vec<Value> {
        self.value["checks"].as_array().unwrap()
    }

    pub(crate) fn one(&self, id: &str) -> &Value {
        let mut found = self.all().iter().filter(|check| check["id"] == id);
        let one = found.next().unwrap_or_else(|| panic!("no {id}: {}", self.text));
        assert!(found.next().is_none(), "{id} twice: {}", self.text);
        one
    }

    pub(crate) fn status(&self, id: &str) -> &str {
        self.one(id)["status"].as_str().unwrap()
    }

    /// Ids with that status, in their order.
    pub(crate) fn with(&self, status: &str) -> Vec<&str> {
        let found = self.all().iter().filter(|check| check["status"] == status);
        found.map(|check| check["id"].as_str().unwrap()).collect()
    }

    pub(crate) fn field(&self, id: &str, name: &str) -> String {
        self.one(id)[name].as_str().unwrap_or_default().to_owned()
    }
}

#[test]
fn the_anchors_are_those_of_the_page_and_of_the_certificates() {
    let digits = |text: &str| text.replace([' ', ':'], "").to_lowercase();
    assert_eq!(ANCHORS.map(|anchor| anchor.id), PAGE.map(|(id, ..)| id));
    let debian = Path::new("/usr/share/ca-certificates/mozilla");
    let also = [
        "Go_Daddy_Root_Certificate_Authority_-_G2.crt",
        "Go_Daddy_Class_2_CA.crt",
        "GlobalSign_Root_CA_-_R2.crt",
    ];
    for ((known, (id, sha1, sha256)), also) in ANCHORS.iter().zip(PAGE).zip(also) {
        assert_eq!((known.sha1, known.sha256), (&*digits(sha1), &*digits(sha256)), "{id}");
        let own = anchor(id);
        let of_debian = debian.join(also);
        for file in [Some(own), of_debian.exists().then_some(of_debian)].into_iter().flatten() {
            let print = |kind: &str| {
                let file = file.to_str().unwrap();
                let told = openssl(&["x509", "-noout", "-fingerprint", kind, "-in", file], Path::new("/"));
                digits(told.trim().split('=').next_back().unwrap())
            };
            assert_eq!(print("-sha256"), known.sha256, "{}", file.display());
            assert_eq!(print("-sha1"), known.sha1, "{}", file.display());
            let chain = Chain::parse(&fs::read(&file).unwrap());
            let [certificate] = chain.certificates.as_slice() else { panic!("{}", file.display()) };
            assert_eq!(certificate.not_after.as_second(), known.not_after, "{id}");
            assert!(certificate.issuer.contains(known.subject), "{}", certificate.issuer);
        }
    }
}

fn pem(id: &str) -> String {
    fs::read_to_string(anchor(id)).unwrap()
}

#[test]
fn each_anchor_is_in_the_store_or_missed() {
    let ids = PAGE.map(|(id, ..)| id);
    let only = ids.join(",");
    for present in ids {
        let root = root(&[pem(present)]);
        let found = Access::ask(Some(root.path()), &["--only", &only]);
        assert_eq!(found.all().len(), 3);
        for (id, sha1, sha256) in PAGE {
            // the third one has expired, so a store without it is as good
            let wanted = match (id == present, id) {
                (_, "anchor-globalsign-r2") => "warn",
                (true, _) => "pass",
                (false, _) => "fail",
            };
            assert_eq!(found.status(id), wanted, "{id} with {present}: {}", found.text);
            let seen = found.field(id, "seen");
            for print in [sha1, sha256] {
                assert!(seen.contains(&print.replace(' ', "").to_lowercase()), "{seen}");
            }
            let told = if id == present { "in the store" } else { "not in the store" };
            assert!(seen.starts_with(told), "{seen}");
        }
        assert_eq!(found.code, 4);
    }
    let root = root(&ids.map(pem));
    let found = Access::ask(Some(root.path()), &["--only", &only]);
    assert_eq!(
        (found.code, found.with("pass").len(), found.with("warn")),
        (0, 2, vec!["anchor-globalsign-r2"])
    );
    assert!(found.field("anchor-globalsign-r2", "seen").contains("expired at 2021-12-15"), "{}", found.text);
    fs::remove_file(root.path().join("etc/ssl/certs/ca-certificates.crt")).unwrap();
    let found = Access::ask(Some(root.path()), &["--only", &only]);
    assert_eq!((found.code, found.with("fail").len()), (4, 3), "{}", found.text);
}

#[test]
fn the_command_that_adds_a_missing_anchor_works() {
    let root = crate::ca::debian();
    for id in ["anchor-go-daddy-class-2", "anchor-go-daddy-g2"] {
        let file = anchor(id);
        let file = file.to_str().unwrap();
        let ask = || Access::ask(Some(root.path()), &["--only", id, "--ca-file", file]);
        let before = ask();
        assert_eq!((before.code, before.status(id)), (4, "fail"), "{}", before.text);
        let fix = before.field(id, "fix");
        assert_eq!(fix, format!("`demisto-install ca add {file} --root {}`", root.path().display()));
        let words: Vec<&str> = fix.trim_matches('`').split(' ').skip(1).collect();
        let output = Command::new(PROGRAM).args(words).arg("--yes").output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let after = ask();
        assert_eq!((after.code, after.status(id)), (0, "pass"), "{}", after.text);
    }
}

#[test]
fn a_file_without_the_anchor_is_told_by_what_it_holds() {
    let root = root(&[]);
    let other = anchor("anchor-go-daddy-g2");
    let id = "anchor-go-daddy-class-2";
    let found = Access::ask(Some(root.path()), &["--only", id, "--ca-file", other.to_str().unwrap()]);
    let seen = found.field(id, "seen");
    assert!(
        seen.contains("CN=Go Daddy Root Certificate Authority - G2") && seen.contains(ANCHORS[0].sha256),
        "{seen}"
    );
    assert!(found.field(id, "fix").contains(GO_DADDY_CLASS_2.sha256) && found.code == 4);
    // what else would be trusted is said
    let both = root.path().join("a 'quoted' name.pem");
    let pki = crate::cert_probe::Pki::get();
    fs::write(&both, pem(id) + &fs::read_to_string(pki.path("root.pem")).unwrap()).unwrap();
    let found = Access::ask(Some(root.path()), &["--only", id, "--ca-file", both.to_str().unwrap()]);
    assert!(found.field(id, "seen").contains("beware, it also holds 1"), "{}", found.text);
    assert!(found.field(id, "fix").contains(r"'\''quoted'\'' name.pem' --root"), "{}", found.text);
    let empty = root.path().join("empty.pem");
    fs::write(&empty, "nothing").unwrap();
    for (file, code) in [(empty, 2), (root.path().join("absent.pem"), 1)] {
        let output = command(Some(root.path()), &["--ca-file", file.to_str().unwrap()]).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
    }
}

/// Facts of a host on which all is well.
fn well() -> Facts {
    let held = |anchor: &demisto_install::preflight::xdr::anchors::Anchor| Held {
        sha256: anchor.sha256.parse().unwrap(),
        not_before: "2004-06-29T00:00:00Z".parse().unwrap(),
        not_after: jiff::Timestamp::from_second(anchor.not_after).unwrap(),
    };
    Facts {
        now: "2021-06-01T00:00:00Z".parse().unwrap(),
        store: Some(ANCHORS.iter().map(held).collect()),
        ca_file: None,
        port: 33221,
        tcp: Port::Free,
        udp: Port::Free,
        tcp_passage: Passage::NoFirewall("all".to_owned()),
        udp_passage: Passage::NoFirewall("all".to_owned()),
    }
}

fn judged(facts: &Facts) -> Vec<Outcome> {
    CHECKS.iter().map(|check| check.judge("", facts)).collect()
}

fn status(facts: &Facts, id: &str) -> Status {
    judged(facts).into_iter().find(|outcome| outcome.id == id).unwrap().status
}

#[test]
fn the_time_decides_about_anchors() {
    let mut facts = well();
    for outcome in judged(&facts) {
        let wanted = if outcome.id.starts_with("manual-") { Status::Manual } else { Status::Pass };
        assert_eq!(outcome.status, wanted, "{outcome:?}");
        assert_eq!(outcome.fix, None);
    }
    let statuses = |facts: &Facts| PAGE.map(|(id, ..)| status(facts, id));
    use Status::{Fail, Pass, Warn};
    for (now, wanted) in [
        ("2004-01-01T00:00:00Z", [Fail, Fail, Fail]),
        ("2021-12-15T08:00:00Z", [Pass, Pass, Pass]),
        ("2021-12-15T08:00:01Z", [Pass, Pass, Warn]),
        ("2034-06-29T17:06:21Z", [Pass, Warn, Warn]),
        ("2038-01-01T00:00:00Z", [Warn, Warn, Warn]),
    ] {
        facts.now = now.parse().unwrap();
        assert_eq!(statuses(&facts), wanted, "{now}");
    }
    // the same without any in the store
    facts.store = Some(Vec::new());
    for (now, wanted) in [
        ("2021-12-15T08:00:00Z", [Fail, Fail, Fail]),
        ("2021-12-15T08:00:01Z", [Fail, Fail, Warn]),
        ("2034-06-29T17:06:21Z", [Fail, Warn, Warn]),
        ("2038-01-01T00:00:00Z", [Warn, Warn, Warn]),
    ] {
        facts.now = now.parse().unwrap();
        assert_eq!(statuses(&facts), wanted, "{now}");
    }
    // a file that has it changes what helps, and nothing else
    facts.now = "2021-06-01T00:00:00Z".parse().unwrap();
    facts.ca_file = Some(CaFile {
        path: "x".to_owned(),
        command: "COMMAND".to_owned(),
        certificates: vec![(GO_DADDY_G2.sha256.parse().unwrap(), "S".to_owned())],
    });
    let fixes: Vec<bool> =
        judged(&facts).iter().take(3).map(|outcome| outcome.fix.as_deref() == Some("COMMAND")).collect();
    assert_eq!(fixes, [true, false, false]);
}

#[test]
fn what_a_person_has_to_look_at_is_listed_with_the_facts_of_the_page() {
    let text = said(&command(None, &[]).output().unwrap());
    let facts = [
        "cortex-xdr",
        "8279",
        "traps-management-service",
        "793",
        "KB2868626",
        "XP SP3",
        "Server 2003 R2",
        "Vista SP1",
        "Server 2008",
        "6.0.3",
        "6.1.1",
        "broker VM",
        "over HTTP",
        "33221",
        "7.0 and later on Windows",
        "7.3 and later on Mac",
    ];
    for fact in facts {
        assert!(text.contains(fact), "{fact}: {text}");
    }
    let manual: Vec<&str> =
        CHECKS.iter().map(|check| check.id).filter(|id| id.starts_with("manual-")).collect();
    let found = Access::ask(None, &[]);
    assert_eq!(found.with("manual"), manual);
    assert!(text.contains("--fqdn"), "no server was given: {text}");
}

fn met(attempt: Attempt) -> Endpoint {
    Endpoint { host: "xdr.example.test".to_owned(), port: 443, proxy: None, attempt }
}

fn met_end(end: End, trust: Option<&str>) -> Endpoint {
    met(Attempt::Shown(Shown {
        addresses: vec!["192.0.2.1".to_owned()],
        version: "TLS 1.3".to_owned(),
        subject: "CN=xdr.example.test".to_owned(),
        broken: None,
        name: None,
        time: None,
        trust: trust.map(str::to_owned),
        end,
    }))
}

#[test]
fn a_missing_anchor_is_not_taken_for_interception() {
    let issuer = "C=US, O=The Go Daddy Group, Inc., OU=Go Daddy Class 2 Certification Authority";
    let seen = met_end(End::Unknown(issuer.to_owned()), Some("certificate signed by unknown authority"));
    let judged = |id: &str, seen: &Endpoint| {
        endpoint::CHECKS.iter().find(|check| check.id == id).unwrap().judge("", seen)
    };
    assert_eq!(judged("fqdn-interception", &seen).status, Status::Skipped);
    let trust = judged("fqdn-trust", &seen);
    assert_eq!(trust.status, Status::Fail);
    assert!(trust.fix.unwrap().contains("ca add FILE` with GoDaddy Class 2"));
    // whoever put the vendor's anchors into the store, they are no middlebox
    assert_eq!(judged("fqdn-interception", &met_end(End::Vendor("x".to_owned()), None)).status, Status::Pass);
}

#[test]
fn the_page_shows_every_check() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/xdr.md")).unwrap();
    let host = CHECKS.iter().map(|check| [check.id, check.what, check.why]);
    let all: Vec<[&str; 3]> =
        host.chain(endpoint::CHECKS.iter().map(|check| [check.id, check.what, check.why])).collect();
    let told = rows(&page, "| Check | What | Why |");
    let told: Vec<[String; 3]> = told.into_iter().map(|row| row.try_into().unwrap()).collect();
    let all: Vec<[String; 3]> = all
        .into_iter()
        .map(|row| {
            let [id, what, why] = row.map(str::to_owned);
            [format!("`{id}`"), what, why]
        })
        .collect();
    assert_eq!(told, all);
    for (_, _, sha256) in PAGE {
        assert!(page.contains(&sha256.replace(' ', "").to_lowercase()), "{sha256}");
    }
}

/// A file that only its owner can read.
pub(crate) fn secret_file(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}
