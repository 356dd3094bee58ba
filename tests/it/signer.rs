//! Signing: with key files by gpg and sq, through gpg, and in a hostile environment.

use std::path::Path;
use std::process::Command;

use demisto_install::pack::signer::{Error, Form, Signer, SigningKey};
use demisto_install::trust::Policy;
use demisto_install::types::Secret;
use demisto_install::verify;

use crate::support::pgp::{Gpg, NOW, bytes, fingerprint, judge, sq, store, time};

const DATA: &[u8] = b"the manifest of a release\n";
const MADE: &str = "2025-01-01";

/// What gpg makes of a detached signature.
fn gpg_accepts(gpg: &Gpg, signature: &[u8], data: &[u8]) -> bool {
    let (signature, data) = (gpg.file("made.sig", signature), gpg.file("made", data));
    gpg.try_run(NOW, &["--verify", signature.to_str().unwrap(), data.to_str().unwrap()]).status.success()
}

#[test]
fn key_files_sign() {
    for algorithm in ["rsa3072", "ed25519", "nistp256"] {
        let gpg = Gpg::new();
        let key = gpg.key(MADE, "Vendor", algorithm, "sign", "never");
        let secret = bytes(gpg.secret(&key).as_tsk());
        let mut signer = Signer::open_file(&secret, None, time(NOW)).unwrap();
        assert_eq!(*signer.fingerprint(), fingerprint(&key));
        let signature = signer.sign_detached(DATA, time(NOW)).unwrap();
        let got = judge(DATA, &signature, &[&gpg.export(&key)]);
        assert!(got.accepted && got.signers[0].signed_at == time(NOW), "{algorithm}: {got:#?}");
        assert!(gpg_accepts(&gpg, &signature, DATA), "{algorithm}");
        let certificate = signer.certificate().unwrap();
        assert!(judge(DATA, &signature, &[&certificate]).accepted);
        assert!(!String::from_utf8(certificate).unwrap().contains("PRIVATE"));
    }
}

#[test]
fn the_newest_signing_subkey_signs() {
    let gpg = Gpg::new();
    let key = gpg.key(MADE, "Vendor", "rsa3072", "cert", "never");
    for (at, usage, expire) in [
        ("2025-02-01", "sign", "never"),
        ("2025-03-01", "sign", "never"),
        ("2025-04-01", "sign", "1m"),
        ("2025-05-01", "auth", "never"),
    ] {
        gpg.run(at, &["--quick-add-key", &key, "ed25519", usage, expire]);
    }
    let expected = gpg.fingerprints(&key).remove(2);
    let secret = bytes(gpg.secret(&key).as_tsk());
    let mut signer = Signer::open_file(&secret, None, time(NOW)).unwrap();
    let signature = signer.sign_detached(DATA, time(NOW)).unwrap();
    let got = judge(DATA, &signature, &[&gpg.export(&key)]);
    assert!(got.accepted && got.verdicts[0].key.as_deref() == Some(&expected), "{got:#?}");
}

#[test]
fn passphrases_open_keys() {
    let gpg = Gpg::new();
    let (name, phrase) = ("Vendor", "correct horse");
    gpg.run(MADE, &["--passphrase", phrase, "--quick-gen-key", name, "ed25519", "sign", "never"]);
    let secret = gpg.run(NOW, &["--armor", "--passphrase", phrase, "--export-secret-keys", name]);
    let open = |phrase: Option<&str>| {
        let phrase = phrase.map(|phrase| Secret::from(phrase.to_owned()));
        Signer::open_file(&secret, phrase.as_ref(), time(NOW))
    };
    assert!(matches!(open(None), Err(Error::PassphraseMissing)));
    assert!(matches!(open(Some("wrong")), Err(Error::PassphraseWrong)));
    assert!(matches!(open(Some("")), Err(Error::PassphraseWrong)));
    let mut signer = open(Some(phrase)).unwrap();
    assert!(!format!("{signer:?}").contains(phrase));
    assert!(gpg_accepts(&gpg, &signer.sign_detached(DATA, time(NOW)).unwrap(), DATA));

    let (key_file, phrase_file) = (gpg.file("key", &secret), gpg.file("phrase", b"correct horse\n"));
    let key = SigningKey::File { path: key_file.clone(), passphrase_file: Some(phrase_file.clone()) };
    assert!(key.open(time(NOW)).is_err(), "files that others can read are refused");
    for path in [key_file, phrase_file] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    key.open(time(NOW)).unwrap();
}

#[test]
fn keys_that_verifiers_refuse_do_not_sign() {
    let gpg = Gpg::new();
    let weak = gpg.key(MADE, "Weak", "rsa1024", "sign", "never");
    let expired = gpg.key(MADE, "Expired", "ed25519", "sign", "1y");
    let revoked = gpg.key(MADE, "Revoked", "ed25519", "sign", "never");
    gpg.revoke("2025-06-01", &revoked, 1, "lost");
    let certify = gpg.key(MADE, "Certify", "ed25519", "cert", "never");
    gpg.run(MADE, &["--cert-digest-algo", "SHA1", "--quick-gen-key", "Sha1", "rsa2048", "sign", "never"]);
    let sha1 = gpg.fingerprints("Sha1").remove(0);
    let young = gpg.key("2026-07-01", "Young", "ed25519", "sign", "never");
    for key in [&weak, &expired, &revoked, &certify, &sha1, &young] {
        let secret = bytes(gpg.secret(key).as_tsk());
        let error = Signer::open_file(&secret, None, time(NOW)).unwrap_err();
        println!("{error}");
        assert!(matches!(error, Error::Unfit { .. }), "{error:?}");
    }
    let public = gpg.export(&weak);
    assert!(matches!(Signer::open_file(&public, None, time(NOW)), Err(Error::KeyFile { .. })));
    assert!(matches!(Signer::open_file(b"nonsense", None, time(NOW)), Err(Error::KeyFile { .. })));
}

#[test]
fn a_key_by_sq_signs_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    sq(&[
        "key",
        "generate",
        "-u",
        "Vendor",
        "-c",
        "rsa3k",
        "--creation-time",
        "20250101",
        "--export",
        &path("key"),
    ]);
    let secret = std::fs::read(path("key")).unwrap();
    let mut signer = Signer::open_file(&secret, None, time(NOW)).unwrap();
    let big: Vec<u8> = (0..2_000_000_u32).map(|i| i.to_le_bytes()[1]).collect();
    std::fs::write(path("big"), &big).unwrap();
    let mut file = std::fs::File::open(path("big")).unwrap();
    let signature = signer.sign_reader(&mut file, time(NOW), Form::Binary).unwrap();
    let certificate = signer.certificate().unwrap();
    assert!(judge(&big, &signature, &[&certificate]).accepted);
    let armoured = signer.sign_reader(&mut file, time(NOW), Form::Armoured).unwrap();
    assert!(armoured.starts_with(b"-----BEGIN PGP SIGNATURE-----"));
    let gpg = Gpg::new();
    let cert = gpg.file("cert.asc", &certificate);
    gpg.run(NOW, &["--import", cert.to_str().unwrap()]);
    assert!(gpg_accepts(&gpg, &armoured, &big));
}

#[test]
fn odd_key_ids_are_refused() {
    for id in ["", "-", "--output", "-o/etc/passwd", "Vendor", "DEADBEEF", "release@example.org", "0x", "!"] {
        assert!(matches!(Signer::open_gpg(id, time(NOW)), Err(Error::KeyId(_))), "{id}");
    }
}

/// Runs a test of this program that is ignored otherwise in an environment of our choice.
fn child(test: &str, environment: &[(&str, &Path)]) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture", "--test-threads", "1"])
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn gpg_signs_although_the_path_is_hostile() {
    let gpg = Gpg::new();
    let key = gpg.key("2025-01-01", "Vendor", "rsa3072", "sign", "never");
    gpg.file("key-id", key.as_bytes());
    let marker = gpg.home().join("fake-was-run");
    for tool in ["gpg", "gpg2", "gpgconf"] {
        let fake = gpg.file(tool, format!("#!/bin/sh\ntouch {}\nexit 0\n", marker.display()).as_bytes());
        std::fs::set_permissions(fake, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let environment = [
        ("GNUPGHOME", gpg.home()),
        ("PATH", gpg.home()),
        ("LD_LIBRARY_PATH", gpg.home()),
        ("LC_ALL", Path::new("de_DE.UTF-8")),
        ("LANGUAGE", Path::new("de")),
    ];
    child("signer::child_signs_through_gpg", &environment);
    assert!(!marker.exists());
    let made = std::fs::read(gpg.home().join("made.sig")).unwrap();
    let policy = Policy::default();
    let now = demisto_install::sys::clock::now();
    let got = verify::judge(DATA, &made, &store(&[&gpg.export(&key)]), &policy, now);
    assert!(got.accepted, "{got:#?}");
}

#[test]
#[ignore = "run by gpg_signs_although_the_path_is_hostile"]
fn child_signs_through_gpg() {
    let home = std::env::var_os("GNUPGHOME").unwrap();
    let home = Path::new(&home);
    let key_id = std::fs::read_to_string(home.join("key-id")).unwrap();
    let now = demisto_install::sys::clock::now();
    let mut signer = SigningKey::Gpg { key_id: key_id.clone() }.open(now).unwrap();
    assert_eq!(*signer.fingerprint(), fingerprint(&key_id));
    std::fs::write(home.join("made.sig"), signer.sign_detached(DATA, now).unwrap()).unwrap();
    std::fs::write(home.join("big"), DATA.repeat(10_000)).unwrap();
    let mut file = std::fs::File::open(home.join("big")).unwrap();
    let signature = signer.sign_reader(&mut file, now, Form::Binary).unwrap();
    let certificate = signer.certificate().unwrap();
    let trusted = store(&[&certificate]);
    assert!(verify::judge(&DATA.repeat(10_000), &signature, &trusted, &Policy::default(), now).accepted);
    let absent = Signer::open_gpg("0123456789ABCDEF0123456789ABCDEF01234567", now);
    assert!(matches!(absent, Err(Error::GpgKey { found: 0, .. })));
}

#[test]
fn a_hostile_openssl_configuration_changes_nothing() {
    let gpg = Gpg::new();
    let key = gpg.key(MADE, "Vendor", "rsa3072", "sign", "never");
    gpg.file("good.sig", &gpg.sign("2025-02-01", &key, DATA));
    gpg.file("cert.pgp", &gpg.export(&key));
    let hostile = b"openssl_conf = main\n[main]\nalg_section = algorithms\nproviders = none\n[algorithms]\ndefault_properties = fips=yes\n[none]\n";
    let config = gpg.file("openssl.cnf", hostile);
    let environment = [
        ("OPENSSL_CONF", config.as_path()),
        ("OPENSSL_MODULES", gpg.home()),
        ("GNUPGHOME", gpg.home()),
        ("SEQUOIA_CRYPTO_POLICY", config.as_path()),
        ("LC_ALL", Path::new("tr_TR.UTF-8")),
    ];
    child("signer::child_verifies", &environment);
}

#[test]
#[ignore = "run by a_hostile_openssl_configuration_changes_nothing"]
fn child_verifies() {
    demisto_install::sys::init::process();
    let home = std::env::var_os("GNUPGHOME").unwrap();
    let read = |name: &str| std::fs::read(Path::new(&home).join(name)).unwrap();
    let got = judge(DATA, &read("good.sig"), &[&read("cert.pgp")]);
    assert!(got.accepted, "{got:#?}");
    assert!(!judge(b"other", &read("good.sig"), &[&read("cert.pgp")]).accepted);
}
