//! Signatures of the real rpmsign.

use std::path::Path;
use std::process::Command;

use demisto_install::rpmfile::{Covers, DigestKind, without_payload};
use demisto_install::trust::Policy;
use demisto_install::types::Digest;
use demisto_install::verify;

use crate::support::pgp::{Gpg, need, store};

use super::{envelope, query, run, sample};

fn sign(gpg: &Gpg, key: &str, path: &Path, more: &[&str]) {
    need("rpmsign", "rpm");
    run(Command::new("/usr/bin/rpmsign")
        .env("GNUPGHOME", gpg.home())
        .args(["--define", &format!("_gpg_name {key}"), "--define", "__gpg /usr/bin/gpg"])
        .args(["--define", &format!("_gpg_path {}", gpg.home().display()), "--digest-algo=sha256"])
        .args(more)
        .args(["--resign"])
        .arg(path));
}

fn unsign(path: &Path) {
    run(Command::new("/usr/bin/rpmsign").arg("--delsign").arg(path));
}

fn holds(signed: &[u8], packets: &[u8], key: &[u8]) -> bool {
    verify::judge(signed, packets, &store(&[key]), &Policy::default(), jiff::Timestamp::now()).accepted
}

#[test]
fn signatures_of_rpmsign_hold_over_the_header() {
    let dir = tempfile::tempdir().unwrap();
    let gpg = Gpg::new();
    let path = sample::everything(dir.path(), "w1.gzdio");
    assert!(envelope(&std::fs::read(&path).unwrap()).signatures().is_empty(), "unsigned");
    for (algorithm, header_tag, old_tag) in [("rsa3072", 268, 1002), ("ed25519", 267, 1005)] {
        let key = gpg.key("2020-01-01", algorithm, algorithm, "sign", "never");
        let public = gpg.export(&key);
        sign(&gpg, &key, &path, &[]);
        let bytes = std::fs::read(&path).unwrap();
        let read = envelope(&bytes);
        let found: Vec<(u32, Covers)> = read.signatures().iter().map(|one| (one.tag, one.covers)).collect();
        assert_eq!(found, [(header_tag, Covers::Header)], "{algorithm}");
        assert!(holds(read.header(), &read.signatures()[0].packets, &public), "{algorithm}");
        assert!(!holds(&read.header()[1..], &read.signatures()[0].packets, &public), "{algorithm}");

        unsign(&path); // a header that is signed already would be left alone
        sign(&gpg, &key, &path, &["--rpmv3"]);
        let bytes = std::fs::read(&path).unwrap();
        let read = envelope(&bytes);
        let found: Vec<(u32, Covers)> = read.signatures().iter().map(|one| (one.tag, one.covers)).collect();
        assert_eq!(found, [(header_tag, Covers::Header), (old_tag, Covers::HeaderAndPayload)], "{algorithm}");
        let all = &bytes[usize::try_from(read.header_offset()).unwrap()..];
        assert!(holds(all, &read.signatures()[1].packets, &public), "{algorithm}");
        assert!(!holds(read.header(), &read.signatures()[1].packets, &public), "{algorithm}");
    }
}

#[test]
fn the_stored_digests_are_those_of_the_parts() {
    let dir = tempfile::tempdir().unwrap();
    let path = sample::everything(dir.path(), "w1.gzdio");
    let bytes = std::fs::read(&path).unwrap();
    let read = envelope(&bytes);
    let hex = |kind| read.digests().iter().find(|digest| digest.kind == kind).unwrap().hex.clone();
    assert_eq!(hex(DigestKind::Sha256), Digest::of(read.header()).to_string());
    assert_eq!(hex(DigestKind::Sha1), query(&path, &["--qf", "%{SHA1HEADER}"]));
    assert_eq!(hex(DigestKind::Md5), query(&path, &["--qf", "%{SIGMD5}"]));
    assert!(
        read.digests()
            .iter()
            .all(|digest| (digest.kind == DigestKind::Md5) == (digest.covers == Covers::HeaderAndPayload))
    );
}

/// rpm takes the front of a package for a package, and finds everything in it but the payload.
#[test]
fn a_package_without_payload_is_read_by_rpm() {
    let dir = tempfile::tempdir().unwrap();
    let path = sample::everything(dir.path(), "w1.gzdio");
    let bytes = std::fs::read(&path).unwrap();
    let front = without_payload(envelope(&bytes).header());
    let short = dir.path().join("short.rpm");
    std::fs::write(&short, &front).unwrap();
    assert_eq!(query(&short, &["-l"]), query(&path, &["-l"]));
    let root = dir.path().join("root");
    std::fs::create_dir_all(&root).unwrap();
    let dbpath = root.join("db");
    let rpm = |args: &[&str]| {
        run(Command::new("/usr/bin/rpm").args(["--dbpath", dbpath.to_str().unwrap()]).args(args))
    };
    rpm(&["--initdb"]);
    let short = short.to_str().unwrap();
    rpm(&["-i", "--justdb", "--nodeps", "--noscripts", "--notriggers", "--nosignature", "--nodigest", short]);
    assert_eq!(rpm(&["-q", "sample"]).trim(), "sample-6.12.0~rc1-493375.el8.x86_64");
}
