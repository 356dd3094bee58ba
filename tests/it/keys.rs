//! Trusted keys: list, import, remove, the rpm keyring, and lint, which the real sqv confirms.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use demisto_install::trust::lint::{Report, Severity};
use demisto_install::trust::{self, Policy, TrustStore};
use demisto_install::verify;
use demisto_install::workflow::keys::{self, Candidate, Consent, Error, Outcome};

use crate::support::installer::Vendor;
use crate::support::pgp::{Gpg, NOW, bytes, fingerprint, store, time};

const DATA: &[u8] = b"the manifest of a release\n";
const MADE: &str = "2025-01-01";
const SIGNED: &str = "2025-02-01";
const DIR: &str = "etc/demisto-install/trusted-keys.d";

/// An empty system, and a key that it may come to trust.
struct Case {
    root: tempfile::TempDir,
    gpg: Gpg,
    key: String,
}

impl Case {
    fn new() -> Self {
        let gpg = Gpg::new();
        let key = gpg.key(MADE, "Vendor <release@example.org>", "rsa3072", "sign", "never");
        Self { root: tempfile::tempdir().unwrap(), gpg, key }
    }

    fn root(&self) -> &Path {
        self.root.path()
    }

    fn file(&self, key: &str) -> PathBuf {
        let bytes = self.gpg.run(NOW, &["--armor", "--export", key]);
        self.gpg.file(&format!("{key}.asc"), &bytes)
    }

    fn import(&self, key: &str) -> Outcome {
        let wanted = [fingerprint(key)];
        let consent = Consent::Fingerprints(&wanted);
        let mut report = keys::import(self.root(), &self.file(key), consent, time(NOW)).unwrap();
        report.keys.remove(0).outcome
    }

    fn imported(&self) -> Vec<String> {
        let listed = keys::list(self.root(), time(NOW)).unwrap();
        let imported = listed.iter().filter(|key| key.origin.starts_with("imported"));
        imported.map(|key| key.fingerprint.to_string()).collect()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn import_list_remove() {
    let case = Case::new();
    assert!(case.imported().is_empty());
    let Outcome::Imported { path } = case.import(&case.key) else { panic!("not imported") };
    assert_eq!(path, case.root().join(DIR).join(format!("{}.asc", case.key)));
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o644, 0o755));
    assert_eq!(case.imported(), std::slice::from_ref(&case.key));
    let before = fs::read(&path).unwrap();
    assert_eq!(case.import(&case.key), Outcome::AlreadyTrusted);
    assert_eq!(fs::read(&path).unwrap(), before);

    let trusted = TrustStore::load(case.root(), &[]).unwrap();
    let signature = case.gpg.sign(SIGNED, &case.key, DATA);
    let got = verify::judge(DATA, &signature, &trusted, &Policy::default(), time(NOW));
    assert!(got.accepted && got.verdicts[0].origin.as_deref().unwrap().starts_with("imported"), "{got:#?}");

    let report = keys::remove(case.root(), &fingerprint(&case.key)).unwrap();
    assert!(report.files == [path] && !report.still_built_in);
    assert!(case.imported().is_empty());
    let again = keys::remove(case.root(), &fingerprint(&case.key)).unwrap_err();
    assert!(matches!(again, Error::NotTrusted(_)), "{again:?}");
}

#[test]
fn consent_is_needed_and_exact() {
    let case = Case::new();
    let other = case.gpg.key(MADE, "Other", "ed25519", "sign", "never");
    let file = case.file(&case.key);
    let import = |consent: Consent<'_>| keys::import(case.root(), &file, consent, time(NOW));
    assert!(matches!(import(Consent::Nobody), Err(Error::ConsentNeeded { .. })));
    let wrong = [fingerprint(&other)];
    assert!(matches!(import(Consent::Fingerprints(&wrong)), Err(Error::FingerprintMismatch { .. })));
    let more = [fingerprint(&case.key), fingerprint(&other)];
    assert!(matches!(import(Consent::Fingerprints(&more)), Err(Error::FingerprintMismatch { .. })));
    let mut shown = Vec::new();
    let mut no = |candidate: &Candidate| {
        shown.push((candidate.key.fingerprint.to_string(), candidate.key.user_ids.clone()));
        Ok(false)
    };
    let report = import(Consent::Ask(&mut no)).unwrap();
    assert!(!report.changed && report.keys[0].outcome == Outcome::Declined);
    assert_eq!(shown, [(case.key.clone(), vec!["Vendor <release@example.org>".to_owned()])]);
    assert!(!case.root().join(DIR).exists(), "nothing is written without consent");
    let report = import(Consent::Ask(&mut |_| Ok(true))).unwrap();
    assert!(report.changed);

    // A file with a second key that nobody asked for is refused as a whole.
    let both = [fs::read(&file).unwrap(), fs::read(case.file(&other)).unwrap()].concat();
    let both = case.gpg.file("both.asc", &both);
    let result = keys::import(case.root(), &both, Consent::Fingerprints(&wrong), time(NOW));
    assert!(matches!(result, Err(Error::FingerprintMismatch { .. })));
}

#[test]
fn unfit_keys_are_not_taken_but_revocations_are() {
    let case = Case::new();
    let gpg = &case.gpg;
    let weak = gpg.key(MADE, "Weak", "rsa1024", "sign", "never");
    let expired = gpg.key(MADE, "Expired", "ed25519", "sign", "1y");
    let certify = gpg.key(MADE, "Certify", "ed25519", "cert", "never");
    let revoked = gpg.key(MADE, "Revoked", "ed25519", "sign", "never");
    gpg.revoke("2025-06-01", &revoked, 2, "superseded");
    for key in [&weak, &expired, &certify, &revoked] {
        let wanted = [fingerprint(key)];
        let result = keys::import(case.root(), &case.file(key), Consent::Fingerprints(&wanted), time(NOW));
        let error = result.unwrap_err();
        println!("{error}");
        assert!(matches!(error, Error::Unfit { .. }), "{error:?}");
    }
    let secret = gpg.file("secret", &bytes(gpg.secret(&case.key).as_tsk()));
    let wanted = [fingerprint(&case.key)];
    let result = keys::import(case.root(), &secret, Consent::Fingerprints(&wanted), time(NOW));
    assert!(matches!(result, Err(Error::Trust(trust::Error::SecretKey { .. }))));
    assert!(!case.root().join(DIR).exists());

    let good = case.file(&case.key);
    let good = gpg.file("good.asc", &fs::read(good).unwrap());
    assert!(matches!(case.import(&case.key), Outcome::Imported { .. }));
    gpg.revoke("2026-05-01", &case.key, 1, "stolen");
    assert!(matches!(case.import(&case.key), Outcome::Updated { .. }));
    let listed = keys::list(case.root(), time(NOW)).unwrap();
    let problem = listed.iter().find_map(|key| key.problem.clone()).unwrap();
    assert!(problem.contains("revoked") && problem.contains("stolen"), "{problem}");
    // The old copy does not undo it.
    let report = keys::import(case.root(), &good, Consent::Fingerprints(&wanted), time(NOW)).unwrap();
    assert_eq!(report.keys[0].outcome, Outcome::AlreadyTrusted);
}

#[test]
fn the_directory_is_guarded() {
    let case = Case::new();
    case.import(&case.key);
    let dir = case.root().join(DIR);
    let file = dir.join(format!("{}.asc", case.key));
    let load = || TrustStore::load(case.root(), &[]);
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    load().unwrap();
    for path in [&file, &dir, &dir.parent().unwrap().to_owned()] {
        let before = mode(path);
        set(path, before | 0o020);
        let error = load().unwrap_err();
        println!("{error:?}");
        set(path, before);
    }
    std::os::unix::fs::chown(&file, Some(12345), None).unwrap();
    assert!(load().is_err(), "a file of somebody else");
    std::os::unix::fs::chown(&file, Some(0), None).unwrap();
    fs::write(dir.join("notes.txt"), "not a key").unwrap();
    load().unwrap();
    fs::write(dir.join("bad.pgp"), "not a key").unwrap();
    let error = load().unwrap_err().to_string();
    assert!(error.contains("bad.pgp"), "{error}");
    fs::remove_file(dir.join("bad.pgp")).unwrap();
    std::os::unix::fs::symlink(&file, dir.join("link.asc")).unwrap();
    assert!(load().is_err(), "a link");
    fs::remove_file(dir.join("link.asc")).unwrap();
    fs::rename(&dir, dir.with_extension("real")).unwrap();
    std::os::unix::fs::symlink(dir.with_extension("real"), &dir).unwrap();
    assert!(load().is_err(), "the directory is a link");
}

#[test]
fn one_of_several_keys_in_a_file_is_removed() {
    let case = Case::new();
    let other = case.gpg.key(MADE, "Other", "ed25519", "sign", "never");
    case.import(&case.key);
    let dir = case.root().join(DIR);
    fs::remove_file(dir.join(format!("{}.asc", case.key))).unwrap();
    fs::write(dir.join("all.gpg"), [case.gpg.export(&case.key), case.gpg.export(&other)].concat()).unwrap();
    assert_eq!(case.imported().len(), 2);
    keys::remove(case.root(), &fingerprint(&case.key)).unwrap();
    assert_eq!(case.imported(), [other]);
}

#[test]
fn keys_of_this_run_merge() {
    let case = Case::new();
    case.import(&case.key);
    let signature = case.gpg.sign(SIGNED, &case.key, DATA);
    case.gpg.revoke("2026-05-01", &case.key, 1, "stolen");
    let trusted = TrustStore::load(case.root(), &[case.file(&case.key)]).unwrap();
    let got = verify::judge(DATA, &signature, &trusted, &Policy::default(), time(NOW));
    assert!(!got.accepted && got.reason.contains("stolen"), "{got:#?}");
}

#[test]
fn the_rpm_keyring_is_a_source() {
    let case = Case::new();
    let database = case.root().join("var/lib/rpm");
    let none = keys::import_from_rpm(case.root(), Consent::Nobody, time(NOW));
    assert!(matches!(none, Err(Error::NoRpmKeys { .. })), "{none:?}");
    fs::create_dir_all(&database).unwrap();
    let rpm = |args: &[&str]| {
        let output = Command::new("/usr/bin/rpm").arg("--dbpath").arg(&database).args(args).output();
        let output = output.expect("rpm is missing: apt-get install rpm");
        assert!(output.status.success(), "rpm {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    rpm(&["--initdb"]);
    let none = keys::import_from_rpm(case.root(), Consent::Nobody, time(NOW));
    assert!(matches!(none, Err(Error::NoRpmKeys { .. })), "{none:?}");
    let weak = case.gpg.key(MADE, "Weak", "rsa1024", "sign", "never");
    rpm(&["--import", case.file(&case.key).to_str().unwrap()]);
    rpm(&["--import", case.file(&weak).to_str().unwrap()]);
    let unasked = keys::import_from_rpm(case.root(), Consent::Nobody, time(NOW));
    assert!(matches!(unasked, Err(Error::ConsentNeeded { .. })), "{unasked:?}");
    let mut asked = 0;
    let mut yes = |_: &Candidate| {
        asked += 1;
        Ok(true)
    };
    let report = keys::import_from_rpm(case.root(), Consent::Ask(&mut yes), time(NOW)).unwrap();
    let unfit = report.keys.iter().filter(|key| matches!(key.outcome, Outcome::Unfit { .. })).count();
    assert!(report.changed && report.keys.len() == 2 && unfit == 1 && asked == 1, "{report:#?}");
    assert_eq!(case.imported(), std::slice::from_ref(&case.key));
    let absent = [fingerprint(&"A".repeat(40))];
    let wrong = keys::import_from_rpm(case.root(), Consent::Fingerprints(&absent), time(NOW));
    assert!(matches!(wrong, Err(Error::FingerprintMismatch { .. })));
}

fn lint(gpg: &Gpg, key: &str) -> Report {
    let file = gpg.file("lint.pgp", &gpg.export(key));
    keys::lint(&[file], time(NOW), 6).unwrap().remove(0)
}

#[test]
fn lint_finds_what_tools_will_refuse() {
    let gpg = Gpg::new();
    let key = |name: &str, algorithm, usage, expire| gpg.key(MADE, name, algorithm, usage, expire);
    let good = key("Good", "rsa3072", "sign", "never");
    let soon = key("Soon", "rsa3072", "sign", "2026-09-01");
    let late = key("Late", "rsa3072", "sign", "2027-09-01");
    let expired = key("Expired", "rsa3072", "sign", "1y");
    let weak = key("Weak", "rsa1024", "sign", "never");
    let dsa = key("Dsa", "dsa2048", "sign", "never");
    let short = key("Short", "rsa2048", "sign", "never");
    let certify = key("Certify", "rsa3072", "cert", "never");
    let curve = key("Curve", "ed25519", "sign", "never");
    let nist = key("Nist", "nistp256", "sign", "never");
    let revoked = key("Revoked", "rsa3072", "sign", "never");
    gpg.revoke("2025-06-01", &revoked, 2, "superseded");
    gpg.run(MADE, &["--cert-digest-algo", "SHA1", "--quick-gen-key", "Sha1", "rsa3072", "sign", "never"]);
    let sha1 = gpg.fingerprints("Sha1").remove(0);
    let future = gpg.key("2026-07-01", "Future", "rsa3072", "sign", "never");
    let extended = key("Extended", "rsa3072", "sign", "1y");
    gpg.run("2025-12-01", &["--quick-set-expire", &extended, "10y"]);
    let second = key("Second", "rsa3072", "sign", "never");
    gpg.run(MADE, &["--cert-digest-algo", "SHA1", "--quick-add-uid", &second, "Weakly named"]);
    for (key, id, severity) in [
        (&soon, "expires-soon", Severity::Error),
        (&expired, "expired", Severity::Error),
        (&weak, "weak-key", Severity::Error),
        (&dsa, "weak-key", Severity::Error),
        (&short, "short-rsa", Severity::Warning),
        (&certify, "no-signing-flag", Severity::Error),
        (&curve, "ed25519-rpm", Severity::Info),
        (&nist, "ecdsa-rpm", Severity::Warning),
        (&revoked, "revoked", Severity::Error),
        (&sha1, "weak-binding", Severity::Error),
        (&future, "weak-binding", Severity::Error),
        (&extended, "lost-self-signatures", Severity::Warning),
        (&second, "weak-self-signature", Severity::Warning),
    ] {
        let report = lint(&gpg, key);
        let first = report.findings.first().map(|finding| (finding.id, finding.severity));
        println!("{:12} {:?}", report.user_ids.join(", "), report.findings);
        assert_eq!(first, Some((id, severity)), "{report:#?}");
        assert_eq!(report.failed(), severity == Severity::Error);
    }
    for key in [&good, &late] {
        assert_eq!(lint(&gpg, key).findings, []);
    }
    let file = gpg.file("late.pgp", &gpg.export(&late));
    assert!(keys::lint(&[file], time(NOW), 24).unwrap()[0].failed());
}

#[test]
fn a_key_that_runs_out_soon_is_told_of_in_time() {
    let case = Case::new();
    let gpg = &case.gpg;
    let last = |key: &str, at: &str| {
        let listed = keys::list(case.root(), time(at)).unwrap();
        let found = listed.into_iter().find(|found| found.fingerprint.as_str() == key).unwrap();
        (found.days_left, found.warning)
    };
    assert!(matches!(case.import(&case.key), Outcome::Imported { .. }));
    assert_eq!(last(&case.key, NOW), (None, None));
    keys::remove(case.root(), &fingerprint(&case.key)).unwrap();

    // half a year, as the vendor's; the signing subkey may end before the rest
    let short = gpg.key("2026-04-01", "Short <release@example.org>", "rsa3072", "sign", "2026-10-01");
    let subkey = gpg.key("2026-04-01", "Subkey", "rsa3072", "cert", "never");
    gpg.run("2026-04-01", &["--quick-add-key", &subkey, "rsa3072", "sign", "2026-09-01"]);
    for key in [&short, &subkey] {
        assert!(matches!(case.import(key), Outcome::Imported { .. }), "{key}");
    }
    for (at, days, words) in [
        ("2026-06-01", 122, None),
        ("2026-07-03", 90, Some("runs out on 2026-10-01, in 90 days")),
        ("2026-09-30", 1, Some("runs out on 2026-10-01, in 1 day")),
        ("2026-09-30T13:00:00Z", 0, Some("runs out on 2026-10-01, within a day")),
        ("2026-10-02", -1, None),
    ] {
        assert_eq!(last(&short, at), (Some(days), words.map(str::to_owned)), "{at}");
    }
    assert_eq!(last(&subkey, "2026-06-03").0, Some(90));
    assert!(last(&subkey, "2026-06-03").1.is_some());

    let told = |at: &str| {
        let store = TrustStore::load(case.root(), &[]).unwrap();
        let keys = store.running_out(time(at));
        keys.into_iter()
            .map(|key| (key.fingerprint.to_string(), key.days_left, key.urgent))
            .collect::<Vec<_>>()
    };
    assert_eq!(told("2026-06-02"), []);
    assert_eq!(told("2026-08-05"), [(subkey.clone(), 27, true), (short.clone(), 57, false)]);
    // one that is over is told of only when nothing is left
    assert_eq!(told("2026-09-02"), [(short.clone(), 29, true)]);
    assert_eq!(told("2026-10-02"), [(subkey, -31, true), (short.clone(), -1, true)]);
    // and none whose successor is here
    let next = gpg.run(
        "2026-08-01",
        &["--quick-gen-key", "--yes", "Short <release@example.org>", "ed25519", "sign", "2027-02-01"],
    );
    drop(next);
    let next = gpg.fingerprints("Short <release@example.org>").into_iter().find(|key| *key != short).unwrap();
    let wanted = [fingerprint(&next)];
    let consent = Consent::Fingerprints(&wanted);
    keys::import(case.root(), &case.file(&next), consent, time("2026-08-02")).unwrap();
    assert_eq!(told("2026-09-02"), []);
    assert!(last(&short, "2026-09-02").1.is_some(), "the list shows it all the same");

    let lint = |at: &str, months| {
        let file = gpg.file("lint.pgp", &gpg.export(&short));
        let report = keys::lint(&[file], time(at), months).unwrap().remove(0);
        report.findings.first().map(|finding| (finding.id, finding.severity))
    };
    assert_eq!(lint("2026-07-04", 0), Some(("runs-out", Severity::Warning)));
    assert_eq!(lint("2026-07-04", 6), Some(("expires-soon", Severity::Error)));
    assert_eq!(lint("2026-06-01", 0), None);
}

#[test]
fn the_command_line_tells_of_keys_that_run_out() {
    let case = Case::new();
    let gpg = &case.gpg;
    let now = jiff::Timestamp::now().to_string();
    let key = gpg.key(&now, "Soon <release@example.org>", "rsa3072", "sign", "20d");
    let file = gpg.file("soon.asc", &gpg.run(&now, &["--armor", "--export", &key]));
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_demisto-install"));
        command.arg("--root").arg(case.root()).arg("keys").args(args).arg("--output").arg("text");
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    for said in [run(&["import", file.to_str().unwrap(), "--fingerprint", &key]), run(&["list"])] {
        for words in ["in 19 days", "compare its fingerprint by a second way", "keys import KEY.asc"] {
            assert!(said.contains(words), "{words}: {said}");
        }
    }
    assert!(run(&["lint", file.to_str().unwrap(), "--months", "0"]).contains("warning[runs-out]"));

    let vendor = Vendor::get();
    let output = vendor.install(case.root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ask = |verb: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_demisto-install"));
        command.args(verb).arg("--root").arg(case.root());
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let warning = format!("the key {key} (Soon <release@example.org>) runs out on ");
    let (bundle, release) = (vendor.small(), vendor.file("release.asc"));
    let verify = ["verify", bundle.to_str().unwrap(), "--key", release.to_str().unwrap()];
    for said in [ask(&["status"]), ask(&verify)] {
        assert!(said.contains(&warning) && said.contains(", in 19 days: import its successor now"), "{said}");
    }
    let status: serde_json::Value = serde_json::from_str(&ask(&["status", "--output", "json"])).unwrap();
    assert_eq!(status["keys_running_out"][0]["days_left"], 19, "{status}");
    assert_eq!(
        (&status["trust_problem"], &status["log"]),
        (&serde_json::Value::Null, &serde_json::Value::Null)
    );
}

#[test]
fn a_refusal_tells_how_to_get_the_current_key() {
    let vendor = Vendor::get();
    let gpg = Gpg::new();
    let root = tempfile::tempdir().unwrap();
    let verify = |key: &Path, format: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_demisto-install"));
        command.arg("verify").arg(vendor.small()).arg("--root").arg(root.path()).arg("--key").arg(key);
        let output = command.args(["--output", format]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = verify(&vendor.file("release.asc"), "text");
    assert!(code == Some(0) && !said.contains("hint: ") && said.ends_with("VERIFIED\n"), "{said}");

    let stranger = gpg.key(MADE, "Stranger", "ed25519", "sign", "never");
    let stranger = gpg.file("stranger.asc", &gpg.export(&stranger));
    // the vendor's own key as a host knows it that has an old copy
    gpg.run(NOW, &["--import", vendor.file("release.key").to_str().unwrap()]);
    let key = gpg.fingerprints("release@example.org").remove(0);
    gpg.run("2025-02-01", &["--quick-set-expire", &key, "2025-07-01"]);
    let old = gpg.file("old.asc", &gpg.export(&key));
    gpg.revoke("2025-03-01", &key, 2, "superseded");
    let revoked = gpg.file("revoked.asc", &gpg.export(&key));
    const CURRENT: &str =
        "get the vendor's current public key from the download page of the release, or open a Support ticket";
    for (file, word, hints) in [
        (&stranger, "unknown-signer", &[CURRENT, "ask for a release that carries it"][..]),
        (&old, "expired", &[CURRENT, "compare its fingerprint by a second way"]),
        (&revoked, "revoked", &["signed by a key that was not revoked"]),
    ] {
        let (code, text) = verify(file, "text");
        assert_eq!(code, Some(3), "{text}");
        let (_, json) = verify(file, "json");
        let json: serde_json::Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
        assert_eq!(json["judgement"]["verdicts"][0]["code"], word, "{json}");
        let listed: Vec<&str> = json["hints"].as_array().unwrap().iter().filter_map(|h| h.as_str()).collect();
        for hint in hints {
            assert!(
                text.lines().any(|line| line.starts_with("hint: ") && line.contains(hint)),
                "{hint}: {text}"
            );
            assert!(listed.iter().any(|line| line.contains(hint)), "{hint}: {listed:?}");
        }
    }
}

/// Whether the real sqv accepts the signature.
fn sqv(gpg: &Gpg, cert: &Path, signature: &[u8]) -> bool {
    let (signature, data) = (gpg.file("sqv.sig", signature), gpg.file("sqv.data", DATA));
    let output = Command::new("/usr/bin/sqv").arg("--keyring").args([cert, &signature, &data]).output();
    output.expect("sqv is missing: apt-get install sqv").status.success()
}

#[test]
fn sqv_confirms_what_lint_says_of_lost_history() {
    let case = Case::new();
    let gpg = &case.gpg;
    let key = gpg.key(MADE, "Renewed", "rsa3072", "sign", "1y");
    let signature = gpg.sign(SIGNED, &key, DATA);
    let old = gpg.file("old.pgp", &gpg.export(&key));
    assert!(sqv(gpg, &old, &signature));
    gpg.run("2025-12-01", &["--quick-set-expire", &key, "20y"]);
    let new = gpg.file("new.pgp", &gpg.export(&key));
    assert!(!sqv(gpg, &new, &signature), "sqv has become more lenient: look at the lint again");
    assert_eq!(lint(gpg, &key).findings[0].id, "lost-self-signatures");
    let trusted = store(&[&fs::read(&new).unwrap()]);
    assert!(verify::judge(DATA, &signature, &trusted, &Policy::default(), time(NOW)).accepted);

    // What the finding says to do helps, and so does an import of both copies.
    gpg.run(NOW, &["--import", old.to_str().unwrap()]);
    let merged = gpg.file("merged.pgp", &gpg.export(&key));
    assert!(sqv(gpg, &merged, &signature));
    assert_eq!(lint(gpg, &key).findings, []);
    let wanted = [fingerprint(&key)];
    for file in [&new, &old] {
        keys::import(case.root(), file, Consent::Fingerprints(&wanted), time(NOW)).unwrap();
    }
    assert!(sqv(gpg, &case.root().join(DIR).join(format!("{key}.asc")), &signature));
}

#[test]
fn what_lint_says_of_weak_bindings_helps() {
    let gpg = Gpg::new();
    gpg.run(MADE, &["--cert-digest-algo", "SHA1", "--quick-gen-key", "Sha1", "rsa3072", "sign", "never"]);
    let key = gpg.fingerprints("Sha1").remove(0);
    gpg.run("2026-01-01", &["--cert-digest-algo", "SHA256", "--quick-set-expire", &key, "20y"]);
    assert!(!lint(&gpg, &key).failed());
    let signature = gpg.sign("2026-02-01", &key, DATA);
    assert!(sqv(&gpg, &gpg.file("fixed.pgp", &gpg.export(&key)), &signature));
}

#[test]
fn the_command_line_speaks() {
    let case = Case::new();
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_demisto-install"));
        command.args(["--output", "json", "--root"]).arg(case.root()).arg("keys").args(args);
        command.stdin(std::process::Stdio::null()).output().unwrap().status.code().unwrap()
    };
    let file = case.file(&case.key);
    let file = file.to_str().unwrap();
    assert_eq!(run(&["list"]), 0);
    assert_eq!(run(&["import"]), 2, "a file or --from-rpm");
    assert_eq!(run(&["import", file]), 2, "nobody can be asked");
    assert_eq!(run(&["import", file, "--from-rpm"]), 2, "not both");
    assert_eq!(run(&["import", file, "--yes"]), 2, "--yes needs --fingerprint");
    assert_eq!(run(&["import", file, "--fingerprint", "DEADBEEF"]), 2, "no short ids");
    assert_eq!(run(&["import", file, "--fingerprint", &"0".repeat(40)]), 3, "another fingerprint");
    assert_eq!(run(&["import", file, "--yes", "--fingerprint", &case.key]), 0);
    assert_eq!(run(&["import", file, "--yes", "--fingerprint", &case.key]), 0);
    assert_eq!(case.imported(), std::slice::from_ref(&case.key));
    assert_eq!(run(&["lint", file]), 0);
    let weak = case.gpg.key(MADE, "Weak", "rsa1024", "sign", "never");
    let weak = case.file(&weak);
    assert_eq!(run(&["lint", file, weak.to_str().unwrap()]), 4);
    assert_eq!(run(&["remove", &case.key]), 0);
    assert_eq!(run(&["remove", &case.key]), 1);
}

#[test]
fn another_root_is_never_left_through_a_link() {
    let case = Case::new();
    let outside = tempfile::tempdir().unwrap();
    let file = case.file(&case.key);
    std::os::unix::fs::symlink(outside.path(), case.root().join("etc")).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_demisto-install"));
    command.arg("--root").arg(case.root()).args(["keys", "import"]).arg(&file);
    let status = command.args(["--fingerprint", &case.key]).output().unwrap().status;
    assert_eq!(status.code(), Some(4));
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}
