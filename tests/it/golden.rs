//! What earlier versions wrote is read forever: `tests/golden` holds files of each form.
//!
//! A file in there never changes. When a form gets a new number, or a record or step a new kind, a
//! file with a new number is added: extend [`every_step`] or the records below, run
//! `cargo test --features fault-injection --test it golden::make -- --ignored`, which writes only
//! what is missing, and commit it together with the change. The old files stay, and so do their tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use demisto_install::bundle::{self, Parts, Trailer};
use demisto_install::config::{OnConflict, Setting};
use demisto_install::journal::{self, Before, Ending, Entry, Journal, Recovery};
use demisto_install::manifest::{Manifest, Unverified};
use demisto_install::pack::signer::Signer as SigningKey;
use demisto_install::plan::{Action, Old, Plan, Planned, Step, VersionCheck};
use demisto_install::product::{self, Owner, PairKind, Site, SnapshotReason, TrustLayout};
use demisto_install::receipt::{self, Receipt};
use demisto_install::record::{self, Checked, Drift, Head, Look, Outcome, Record, State, Torn, Who};
use demisto_install::retained::Retained;
use demisto_install::trust::Policy;
use demisto_install::types::{Digest, Mode};
use demisto_install::verify::{self, Offer, Pin, Pins, Rotation, Signer};
use serde_json::{Value, json};

use crate::docs::variants;
use crate::support::installer::{Root, Vendor, run, said};
use crate::support::pgp::{Gpg, NOW, fingerprint, store, time};

/// The evidence record: its lines are read, hold together, and say what they said.
#[test]
fn evidence_records() {
    for name in all("record").iter().filter(|name| name.ends_with(".jsonl")) {
        let bytes = golden(name);
        let state = State::parse(&golden(&name.replace(".jsonl", ".state"))).unwrap();
        let checked = record::check(&bytes, state.head, None);
        assert_eq!((checked.broken, checked.torn), (None, None), "{name}");
        assert_eq!(checked.intact, checked.records.len() as u64, "{name}");
        for value in &checked.records {
            let record = Checked::record(value).unwrap_or_else(|| panic!("{name}: {value}"));
            let mut then = value.clone();
            then.as_object_mut().unwrap().shift_remove("digest");
            assert!(
                says(&serde_json::to_value(&record).unwrap(), &then),
                "{name} says something else: {record:#?}"
            );
            assert_eq!(
                Checked::record(&with_strangers(&then)).unwrap(),
                record,
                "{name} with unknown fields"
            );
        }
        let then = value(&golden(&name.replace(".jsonl", ".state")));
        assert!(says(&serde_json::to_value(&state).unwrap(), &then), "{name}: {state:#?}");
        assert_eq!(State::parse(&serde_json::to_vec(&with_strangers(&then)).unwrap()).unwrap(), state);
    }
}

/// The first 16 digits of the SHA-256, as each line of a journal has them in front.
fn line(text: &str) -> String {
    let sum: String = Digest::of(text.as_bytes()).to_string().chars().take(16).collect();
    format!("{sum} {text}\n")
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn golden(name: &str) -> Vec<u8> {
    fs::read(path(name)).unwrap_or_else(|e| panic!("tests/golden/{name}: {e}"))
}

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// All files of a kind, of every form.
fn all(kind: &str) -> Vec<String> {
    let names = fs::read_dir(path("")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(&format!("{kind}-"))).collect();
    names.sort();
    assert!(!names.is_empty(), "there is no golden {kind}");
    names
}

/// Whether `now` says all that `then` said. It may say more.
fn says(now: &Value, then: &Value) -> bool {
    match (now, then) {
        (Value::Object(now), Value::Object(then)) => {
            then.iter().all(|(key, then)| now.get(key).is_some_and(|now| says(now, then)))
        }
        (Value::Array(now), Value::Array(then)) => {
            now.len() == then.len() && now.iter().zip(then).all(|(now, then)| says(now, then))
        }
        _ => now == then,
    }
}

/// The same, as a later version may write it: with a field that is not known in every object.
fn with_strangers(then: &Value) -> Value {
    match then {
        Value::Object(fields) => {
            let mut fields: serde_json::Map<String, Value> =
                fields.iter().map(|(key, value)| (key.clone(), with_strangers(value))).collect();
            fields.insert("of a later version".to_owned(), json!({ "deep": [1, null] }));
            Value::Object(fields)
        }
        Value::Array(values) => values.iter().map(with_strangers).collect(),
        other => other.clone(),
    }
}

/// Reads `bytes`, and the same with unknown fields: both must say what the file says.
fn reads<T: serde::Serialize + PartialEq + std::fmt::Debug>(name: &str, read: impl Fn(&[u8]) -> T) -> T {
    let bytes = golden(name);
    let then = value(&bytes);
    let now = read(&bytes);
    assert!(says(&serde_json::to_value(&now).unwrap(), &then), "{name} says something else now: {now:#?}");
    let strange = serde_json::to_vec(&with_strangers(&then)).unwrap();
    assert_eq!(read(&strange), now, "{name} with unknown fields");
    now
}

#[test]
fn says_notices_what_is_lost() {
    let then = json!({"a": [1, {"b": "c"}], "d": null});
    assert!(says(&json!({"a": [1, {"b": "c", "new": 1}], "d": null, "new": 2}), &then));
    for lost in [
        json!({"a": [1, {"b": "c"}]}),
        json!({"a": [1, {"b": "x"}], "d": null}),
        json!({"a": [1], "d": null}),
        json!({"a": [1, {}], "d": null}),
    ] {
        assert!(!says(&lost, &then), "{lost}");
    }
}

#[test]
fn receipts() {
    for name in all("receipt") {
        let receipt = reads(&name, |bytes| Receipt::parse(bytes).unwrap());
        assert_eq!(value(&receipt.to_bytes())["version"], value(&golden(&name))["version"]);
    }
}

#[test]
fn manifests() {
    for name in all("manifest") {
        let manifest = reads(&name, |bytes| Unverified::parse(bytes).unwrap().look().clone());
        assert!(manifest.files().count() > 5, "{name}");
    }
}

#[test]
fn plans() {
    for name in all("plan") {
        let plan: Plan = reads(&name, |bytes| serde_json::from_slice(bytes).unwrap());
        for planned in &plan.steps {
            assert!(!planned.step.describe().is_empty());
        }
    }
}

/// Signature, digest in the receipt, trailer and statement of a release that was packed and installed once.
#[test]
fn a_release_is_verified_as_on_its_first_day() {
    let receipt = Receipt::parse(&golden("receipt-1.json")).unwrap();
    let (manifest, key) = (golden("manifest-1.json"), golden("key-1.asc"));
    let pinned = verify::pinned(manifest.clone(), receipt.manifest, receipt.signers.clone()).unwrap();
    let manifest_of_host = Manifest::parse(pinned).unwrap();

    let end = golden("bundle-end-1.bin");
    let (rest, trailer) = end.split_last_chunk::<80>().unwrap();
    let length = end.len() as u64 + PAYLOAD_AT + PAYLOAD;
    let trailer = Trailer::parse(trailer, length).unwrap();
    let (header, rest) = rest.split_at(8);
    let (inside, signatures) = rest.split_at(manifest.len());
    assert_eq!(inside, manifest);
    trailer.check(header, inside, signatures).unwrap();
    assert_eq!((trailer.parts.payload_offset, trailer.parts.payload_length), (PAYLOAD_AT, PAYLOAD));

    let (store, policy) = (store(&[&key]), Policy::default());
    let signed = verify::require(manifest, signatures, &store, &policy, time(NOW)).unwrap();
    assert_eq!(signed.signers()[0].fingerprint, receipt.signers[0].fingerprint);
    let to = manifest_of_host.get().rotations[0].to.clone();
    let offered = [Signer { fingerprint: to.clone(), ..receipt.signers[0].clone() }];
    let pins = Pins { signers: &receipt.signers, store: &store, policy: &policy, at: time(NOW) };
    let rotations = &manifest_of_host.get().rotations;
    let got = pins.judge(&Offer { product: "demisto", signers: &offered, rotations }).unwrap();
    assert_eq!(got, Pin::Vouched { from: receipt.signers[0].fingerprint.clone(), to });
}

// --- Journals --------------------------------------------------------------------------------------------

/// Reads a journal as a recovery does.
fn reopen(bytes: &[u8]) -> Vec<Entry> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("current.jsonl"), bytes).unwrap();
    fs::set_permissions(
        dir.path().join("current.jsonl"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    Journal::reopen(dir.path()).unwrap().unwrap().1
}

/// The JSON texts of its whole lines.
fn texts(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.map(|line| line.trim_end().split_once(' ').unwrap().1.to_owned()).collect()
}

#[test]
fn journals() {
    for name in all("journal") {
        let bytes = golden(&name);
        let (entries, texts) = (reopen(&bytes), texts(&bytes));
        assert_eq!(entries.len(), texts.len(), "{name}");
        for (entry, text) in entries.iter().zip(&texts) {
            assert!(
                says(&serde_json::to_value(entry).unwrap(), &value(text.as_bytes())),
                "{name}: {entry:?}"
            );
        }
        let strange = texts.iter().map(|text| line(&with_strangers(&value(text.as_bytes())).to_string()));
        assert_eq!(reopen(strange.collect::<String>().as_bytes()), entries, "{name} with unknown fields");
        assert!(matches!(entries[0], Entry::Begin { .. }), "{name}");
        match (journal::replay(&entries), name.contains("cut-off")) {
            (Recovery::Forward, false) => {}
            (Recovery::Undo { steps }, true) => assert!(steps.len() > 3, "{name}: {steps:?}"),
            (other, _) => panic!("{name}: {other:?}"),
        }
    }
}

/// Every step, record and kind of what was before is in some golden journal.
#[test]
fn journals_hold_everything() {
    let (mut steps, mut records, mut before) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    for name in all("journal") {
        for entry in texts(&golden(&name)).iter().map(|text| value(text.as_bytes())) {
            records.insert(text(&entry["record"]));
            if !entry["before"].is_null() {
                before.insert(text(&entry["before"]["was"]));
            }
            let planned = entry["plan"]["steps"].as_array().cloned().unwrap_or_default();
            steps.extend(planned.iter().map(|planned| text(&planned["step"]["do"])));
        }
    }
    let known = |file: &str, head: &str| -> BTreeSet<String> {
        let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        variants(&source, head).into_iter().collect()
    };
    assert_eq!(steps, known("src/plan/step.rs", "pub enum Step {"));
    assert_eq!(records, known("src/journal/record.rs", "pub enum Entry {"));
    assert_eq!(before, known("src/journal/record.rs", "pub enum Before {"));
}

/// A journal from before it told its form.
#[test]
fn the_form_of_a_journal_that_does_not_say_it_is_1() {
    let mut texts = texts(&golden("journal-1.jsonl"));
    let mut begin = value(texts[0].as_bytes());
    assert_eq!(begin.as_object_mut().unwrap().remove("schema"), Some(json!(1)));
    texts[0] = begin.to_string();
    let lines: String = texts.iter().map(|text| line(text)).collect();
    assert_eq!(reopen(lines.as_bytes()), reopen(&golden("journal-1.jsonl")));
}

/// The host at which the run of `journal-1-cut-off.jsonl` ended.
fn cut_off() -> Root {
    let root = Root::furnished();
    for dir in
        ["usr/local/.demisto.demisto-install/lib", "var/lib/demisto", "var/lib/demisto-install/journal"]
    {
        fs::create_dir_all(root.at(dir)).unwrap();
    }
    root.put("usr/local/.demisto.demisto-install/server", b"half", 0o600);
    root.put("etc/sysusers.d/demisto.conf", b"of the run\n", 0o644);
    let wants = "etc/systemd/system/multi-user.target.wants";
    fs::create_dir(root.at(wants)).unwrap();
    let link = root.at(wants).join("demisto.service");
    std::os::unix::fs::symlink("/etc/systemd/system/demisto.service", link).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(root.at("var/lib/demisto-install"), private).unwrap();
    root.put("var/lib/demisto-install/journal/current.jsonl", &golden("journal-1-cut-off.jsonl"), 0o600);
    root
}

#[test]
fn a_run_of_an_earlier_version_that_was_cut_off_is_undone() {
    let root = cut_off();
    let wanted = Root::furnished().snapshot();
    let output = run("recover", root.path()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let differ = wanted.differences(&root.snapshot());
    assert!(differ.is_empty(), "{}\n{}", differ.join("\n"), said(&output));
    assert_eq!(root.leftovers(), [""; 0]);
}

#[test]
fn a_run_of_a_newer_version_that_was_cut_off_is_left_to_it() {
    let root = cut_off();
    let mut texts = texts(&golden("journal-1-cut-off.jsonl"));
    let mut begin = value(texts[0].as_bytes());
    (begin["schema"], begin["tool"]) = (json!(journal::SCHEMA + 1), json!("9.1.0"));
    begin["plan"]["steps"][0]["step"] = json!({"do": "dance"});
    texts[0] = begin.to_string();
    let lines: String = texts.iter().map(|text| line(text)).collect();
    root.put("var/lib/demisto-install/journal/current.jsonl", lines.as_bytes(), 0o600);
    let before = root.snapshot();
    for verb in ["recover", "uninstall"] {
        let output = run(verb, root.path()).output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(5), "{verb}: {said}");
        assert!(said.contains("newer demisto-install (9.1.0)") && !said.contains("damaged"), "{said}");
        assert_eq!(before.differences(&root.snapshot()), [""; 0]);
    }
}

// --- Receipts that cannot be read ------------------------------------------------------------------------

#[test]
fn a_receipt_that_cannot_be_read_is_not_taken_for_nothing_installed() {
    let root = Root::fresh();
    let output = Vendor::get().install(root.path()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let file = "var/lib/demisto-install/receipt.json";
    let floor = "var/lib/demisto-install/epoch-floor";
    let good = fs::read(root.at(file)).unwrap();
    let mut newer = value(&good);
    (newer["schema"], newer["tool"]) = (json!(receipt::SCHEMA + 1), json!("9.1.0"));
    let newer = serde_json::to_vec(&newer).unwrap();
    let before = root.snapshot();
    for (bytes, words) in [(&newer[..], "newer demisto-install (9.1.0)"), (&good[..99], "is damaged")] {
        root.put(file, bytes, 0o600);
        for verb in ["status", "wait-ready", "uninstall"] {
            let output = run(verb, root.path()).output().unwrap();
            assert!(
                output.status.code() == Some(1) && said(&output).contains(words),
                "{verb}: {}",
                said(&output)
            );
        }
        let output = Vendor::get().install(root.path()).output().unwrap();
        assert!(output.status.code() == Some(1) && said(&output).contains(words), "{}", said(&output));

        // a run that was cut off after its commit record: its epoch is not yet in the floor
        let last = root.at("var/lib/demisto-install/journal/last.jsonl");
        fs::copy(&last, root.at("var/lib/demisto-install/journal/current.jsonl")).unwrap();
        fs::remove_file(root.at(floor)).unwrap();
        let output = run("recover", root.path()).output().unwrap();
        assert!(output.status.code() == Some(5) && said(&output).contains(words), "{}", said(&output));
        root.put(file, &good, 0o600);
        let output = run("recover", root.path()).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(fs::read_to_string(root.at(floor)).unwrap(), "1\n");
        assert_eq!(before.differences(&root.snapshot()), [""; 0]);
    }
}

// --- Making them -----------------------------------------------------------------------------------------

const PAYLOAD_AT: u64 = 1000;
const PAYLOAD: u64 = 2000;

/// One of each step that there is.
fn every_step() -> Vec<Step> {
    let mut steps = steps_of_installations();
    steps.extend(steps_of_changes());
    steps
}

/// Steps of upgrades, rollbacks, snapshots and repairs.
fn steps_of_changes() -> Vec<Step> {
    let text = str::to_owned;
    let (dir, unit, conf) = (text(product::INSTALL_DIR), text("demisto.service"), text(product::CONFIG_FILE));
    let stage = Site::default().stage();
    vec![
        Step::SetOneTime {
            path: text(product::ONE_TIME_FILE),
            keypass: true,
            drop_keypass: false,
            users: vec![text("admin")],
            apikeys: vec![text("key")],
        },
        Step::ClearOneTime { path: text(product::ONE_TIME_FILE) },
        Step::SetConfig {
            path: conf.clone(),
            was: Some(Digest::of(b"{}")),
            set: vec![Setting::to("server.certificate.clientauthpolicy", "verify"), Setting::unset("a.b")],
        },
        Step::UpdateTrustStore {
            layout: TrustLayout::Debian,
            fresh: true,
            trusts: vec![Digest::of(b"certificate")],
        },
        Step::CarryOver { from: dir.clone(), to: stage.clone() },
        Step::KeepState {
            path: Site::default().retained_state_new(),
            retained: Box::new(Retained {
                schema: 1,
                release: Some(text("6.12.0-1")),
                data_schema: Some(1),
                units: vec![unit],
                enabled: vec![text("demisto.service")],
                mode: Some(Mode::new(0o755)),
                config_after: Some(Digest::of(b"{}")),
                snapshot: Some(text("/var/lib/demisto-install/snapshots/6.12.0-1-0a1b2c3d")),
            }),
        },
        Step::KeepPair {
            path: Site::default().kept_pair_new(PairKind::Server),
            pair: Site::default().pair(PairKind::Server),
        },
        Step::MergeConfig {
            path: conf.clone(),
            was: Digest::of(b"{}"),
            becomes: Digest::of(b"{\"a\":1}"),
            on_conflict: OnConflict::Keep,
            added: vec![text("a")],
            updated: vec![text("b")],
            conflicts: vec![text("c")],
        },
        Step::PutBack { path: conf, copy: text("/var/lib/demisto-install/retained/demisto.conf") },
        Step::TakeSnapshot {
            dir: text(product::SNAPSHOT_DIR),
            id: text("6.12.0-1-0a1b2c3d"),
            reason: SnapshotReason::Upgrade,
            release: text("6.12.0-1"),
            data_schema: 1,
        },
        Step::DropSnapshot { dir: text(product::SNAPSHOT_DIR), id: text("6.12.0-1-0a1b2c3d") },
        Step::RestoreData {
            snapshot: text("/var/lib/demisto-install/snapshots/6.12.0-1-0a1b2c3d"),
            path: text(product::DATA_DIR),
            aside: text("/var/lib/.demisto.demisto-install-trash"),
        },
        Step::StageFiles { path: stage.clone(), paths: vec![text("lib/module-1")] },
        Step::ReplaceEntries {
            from: stage,
            to: dir,
            trash: Site::default().repair_trash(),
            paths: vec![text("lib/module-1")],
        },
    ]
}

fn steps_of_installations() -> Vec<Step> {
    let text = str::to_owned;
    let (dir, unit, name) = (text("/usr/local/demisto"), text("demisto.service"), text("demisto"));
    let (mode, owner) = (Mode::new(0o750), Owner::Demisto);
    let stage = Site::default().stage();
    let trash = text("/usr/local/.demisto.trash");
    let conf = text(product::CONFIG_FILE);
    let check = VersionCheck { key: text("version"), wanted: text("6.14.0") };
    let (port, path) = (8443, text("/health"));
    vec![
        Step::CreateGroup { name: name.clone() },
        Step::RegisterPackage { name: name.clone() },
        Step::UnregisterPackage { name: name.clone() },
        Step::RunScript {
            when: text("%post"),
            interpreter: vec![text("/bin/sh")],
            body: text("exit 0\n"),
            argument: 1,
        },
        Step::CreateUser { name: name.clone(), group: name.clone(), home: text("/var/lib/demisto") },
        Step::CreateDir { path: text("/var/lib/demisto"), owner, mode },
        Step::StageTree { path: stage.clone(), files: 10, bytes: 5_242_880, reused: 0 },
        Step::MakeCertificate { dir: stage.clone(), names: vec![text("host.example.org")], days: 825 },
        Step::TakeCertificate { dir: stage.clone(), chain: text("/root/cert.pem") },
        Step::WriteFile {
            path: text("/etc/logrotate.d/demisto"),
            owner,
            mode,
            text: text("# text\n"),
            modified: None,
        },
        Step::SetConfigPort { path: conf.clone(), port, was: Digest::of(b"{}") },
        Step::TakeDir { path: text("/var/log/demisto"), owner, mode },
        Step::WriteOneTimeConfig { path: text(product::ONE_TIME_FILE), user: text("admin"), keypass: true },
        Step::SwitchTree { from: stage.clone(), to: dir.clone(), old: Old::Removed },
        Step::RestoreLabels { paths: vec![dir.clone()] },
        Step::EnableUnit { unit: unit.clone() },
        Step::StartUnit { unit: unit.clone() },
        Step::AwaitHealth {
            unit: unit.clone(),
            port,
            path: path.clone(),
            seconds: 120,
            version: Some(check),
            fips: true,
        },
        Step::AwaitHealth { unit: unit.clone(), port, path, seconds: 120, version: None, fips: false },
        Step::TakeFile {
            path: text("/usr/local/demisto/d1_x/d1.conf"),
            from: text("/root/d1.conf"),
            sha256: Digest::of(b"{}"),
            mode: Mode::new(0o640),
        },
        Step::AwaitConnection {
            unit: text("d1.service"),
            seconds: 120,
            version: Some(text("6.14.0")),
            fips: true,
        },
        Step::WriteReceipt { path: Site::default().receipt_file() },
        Step::StopUnit { unit: unit.clone() },
        Step::DisableUnit { unit },
        Step::RemoveFile { path: conf },
        Step::RemoveOwned { dir: dir.clone(), trash: trash.clone() },
        Step::RemoveTree { path: dir.clone(), trash },
        Step::RemoveDir { path: dir },
        Step::RemoveUser { name: name.clone() },
        Step::RemoveGroup { name },
    ]
}

fn plan_of(steps: Vec<Step>, manifest: Digest, signer: &str) -> Plan {
    let planned = |step| Planned { step, reason: "so that it can be read for ever".to_owned() };
    Plan {
        schema: 1,
        action: Action::Install,
        release: "6.14.0-1".to_owned(),
        title: "Small".to_owned(),
        manifest,
        signers: vec![signer.to_owned()],
        root: "/".to_owned(),
        site: Site::default(),
        space_bytes: 5_242_880,
        changes: None,
        steps: steps.into_iter().map(planned).collect(),
        notes: vec!["this host has 1 processors; 8 are the minimum".to_owned()],
    }
}

/// One of each kind of what was before.
fn every_before() -> [Before; 9] {
    [
        Before::Nothing,
        Before::Absent,
        Before::Kept,
        Before::File { copy: "2".to_owned(), mode: Mode::new(0o640), uid: 0, gid: 0 },
        Before::Tree { inode: 4711, exchanged: true, old: Some(4712), old_mode: Some(Mode::new(0o755)) },
        Before::Unit { enabled: true, active: false },
        Before::Account { id: 990 },
        Before::Carried { list: "12.carried".to_owned() },
        Before::Data { fingerprint: Digest::of(b"data") },
    ]
}

fn begin(plan: Plan) -> Entry {
    let (tool, plan) = (env!("CARGO_PKG_VERSION").to_owned(), Box::new(plan));
    Entry::Begin { schema: journal::SCHEMA, at: time(NOW), tool, plan, owners: true }
}

/// The steps of the run that was cut off, with what was before.
fn cut_off_steps() -> Vec<(Step, Before)> {
    let text = str::to_owned;
    let (mode, owner) = (Mode::new(0o644), Owner::Root);
    let unit = text("demisto.service");
    let (stage, to) = (Site::default().stage(), text(product::INSTALL_DIR));
    let file = |path: &str| Step::WriteFile {
        path: text(path),
        owner,
        mode,
        text: text("of the run\n"),
        modified: None,
    };
    vec![
        (Step::CreateDir { path: text("/usr/local"), owner, mode }, Before::Kept),
        (Step::CreateDir { path: text("/var/lib/demisto"), owner: Owner::Demisto, mode }, Before::Absent),
        (Step::StageTree { path: stage.clone(), files: 10, bytes: 5_242_880, reused: 0 }, Before::Absent),
        // before it happened: another tree has the place
        (
            Step::SwitchTree { from: stage, to, old: Old::None },
            Before::Tree { inode: 0, exchanged: true, old: None, old_mode: None },
        ),
        (file("/etc/sysusers.d/demisto.conf"), Before::Absent),
        (file("/etc/tmpfiles.d/never.conf"), Before::Kept),
        (Step::EnableUnit { unit: unit.clone() }, Before::Unit { enabled: false, active: false }),
        (Step::StartUnit { unit }, Before::Unit { enabled: false, active: false }),
    ]
}

fn write_missing(name: &str, bytes: &[u8]) {
    fs::create_dir_all(path("")).unwrap();
    if path(name).exists() {
        println!("{name} stays as it is");
    } else {
        fs::write(path(name), bytes).unwrap();
        println!("{name} is new");
    }
}

/// A record with entries of every kind, and a torn line; and what lies beside it.
fn evidence(plan: Digest) -> (String, State) {
    let at = time("2026-11-22");
    let who = Who {
        uid: 0,
        user: Some("root".to_owned()),
        login_uid: Some(1000),
        login: Some("alice".to_owned()),
        sudo_uid: Some(1000),
        sudo_user: Some("alice".to_owned()),
        session: Some(3),
        tty: Some("/dev/pts/0".to_owned()),
    };
    let entry = |action: &str, result: Option<Outcome>| record::Entry {
        began: at,
        who: Some(who.clone()),
        action: action.to_owned(),
        what: Some(format!("{action} 6.14.1-2")),
        site: "server".to_owned(),
        plan: Some(plan),
        signers: vec!["0123456789ABCDEF0123456789ABCDEF01234567".to_owned()],
        from: Some("6.14.0-1".to_owned()),
        to: Some("6.14.1-2".to_owned()),
        result,
        drift: Some(Drift { look: Look::Attributes, before: Some(2), after: Some(0) }),
        late: false,
        of: None,
    };
    let unknown =
        record::Entry { who: None, what: None, from: None, to: None, drift: None, ..entry("upgrade", None) };
    let compared = Some(Drift { look: Look::Content, before: Some(1), after: None });
    let entries = [
        entry("install", Some(Outcome::Done)),
        record::Entry { drift: compared, late: true, ..entry("repair", Some(Outcome::Restored)) },
        record::Entry { site: "engine x".to_owned(), ..entry("upgrade", Some(Outcome::Failed)) },
        record::Entry { what: None, ..entry("uninstall", Some(Outcome::Refused)) },
        record::Entry {
            of: Some(Box::new(unknown)),
            plan: None,
            ..entry("recover", Some(Outcome::Restored))
        },
    ];
    let (mut text, mut state) = (String::new(), State::default());
    for (number, entry) in (1..).zip(entries) {
        let torn = (number == 4).then(|| Torn::of(b"{\"schema\":1,\"seq"));
        if torn.is_some() {
            text.push_str("{\"schema\":1,\"seq\n");
        }
        let previous = state.head.map(|head| head.digest);
        let (tool, schema) = ("0.1.0".to_owned(), record::SCHEMA);
        let record = Record { schema, sequence: number, previous, at, tool, entry, torn };
        let (line, digest) = record.line();
        text.push_str(&line);
        state.head = Some(Head { sequence: number, digest });
    }
    state.open.push(entry("rollback", None));
    (text, state)
}

fn lines(entries: &[Entry]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::begin(dir.path()).unwrap();
    entries.iter().for_each(|entry| journal.append(entry).unwrap());
    fs::read_to_string(dir.path().join("current.jsonl")).unwrap()
}

#[test]
#[ignore = "it writes tests/golden"]
fn make_missing_files() {
    let (gpg, root) = (Gpg::new(), Root::fresh());
    let output = Vendor::get().install(root.path()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let secret = fs::read(Vendor::get().file("release.key")).unwrap();
    let mut key = SigningKey::open_file(&secret, None, time(NOW)).unwrap();
    let (from, to) =
        (key.fingerprint().clone(), fingerprint(&gpg.key(NOW, "Next", "rsa3072", "sign", "never")));
    let text = Rotation::text("demisto", &from, &to);
    let signature = String::from_utf8(key.sign_armoured(text.as_bytes(), time(NOW)).unwrap()).unwrap();
    let rotation = Rotation { format: 1, product: "demisto".to_owned(), from, to, signature };

    let state = |name: &str| fs::read(root.at("var/lib/demisto-install").join(name)).unwrap();
    let mut manifest = Unverified::parse(&state("manifest.json")).unwrap().look().clone();
    manifest.rotations = vec![rotation];
    manifest.health.version_key = Some("version".to_owned());
    let manifest = manifest.to_bytes().unwrap();
    let mut receipt = Receipt::parse(&state("receipt.json")).unwrap();
    receipt.manifest = Digest::of(&manifest);
    let signatures = key.sign_detached(&manifest, time(NOW)).unwrap();
    let parts = Parts {
        payload_offset: PAYLOAD_AT,
        payload_length: PAYLOAD,
        manifest_offset: PAYLOAD_AT + PAYLOAD + bundle::WRAPPER_LEN,
        manifest_length: manifest.len() as u64,
        signatures_length: signatures.len() as u64,
    };
    let seal = bundle::seal(&parts, &manifest, &signatures);
    let end = [&bundle::wrapper(&parts).unwrap()[..], &manifest, &signatures, &seal].concat();
    if !path("manifest-1.json").exists() {
        // these belong to each other
        write_missing("key-1.asc", &key.certificate().unwrap());
        write_missing("manifest-1.json", &manifest);
        write_missing("receipt-1.json", &receipt.to_bytes());
        write_missing("bundle-end-1.bin", &end);
    }
    let plan = plan_of(every_step(), Digest::of(&manifest), key.fingerprint().as_str());
    write_missing("plan-1.json", &serde_json::to_vec_pretty(&plan).unwrap());

    let mut entries = vec![begin(plan.clone())];
    let befores = every_before();
    for step in 0..plan.steps.len() {
        entries.push(Entry::Intent { step, before: befores[step % befores.len()].clone() });
        entries.push(Entry::Done { step });
    }
    entries.extend([Entry::Commit, Entry::End { ending: Ending::Done }]);
    write_missing(&format!("journal-{}.jsonl", journal::SCHEMA), lines(&entries).as_bytes());

    let (text, state) = evidence(plan.digest());
    if !path(&format!("record-{}.jsonl", record::SCHEMA)).exists() {
        write_missing(&format!("record-{}.jsonl", record::SCHEMA), text.as_bytes());
        write_missing(&format!("record-{}.state", record::SCHEMA), &state.to_bytes());
    }

    let (steps, befores): (Vec<Step>, Vec<Before>) = cut_off_steps().into_iter().unzip();
    let last = steps.len() - 1;
    let mut entries = vec![begin(plan_of(steps, Digest::of(&manifest), key.fingerprint().as_str()))];
    if let Entry::Begin { owners, .. } = &mut entries[0] {
        *owners = false;
    }
    for (step, before) in befores.into_iter().enumerate() {
        entries.push(Entry::Intent { step, before });
        entries.extend((step != last).then_some(Entry::Done { step }));
    }
    entries.push(Entry::Undone { step: last });
    let torn = lines(&entries) + &line("{\"record\":\"undone\",\"step\":6}")[..30];
    write_missing(&format!("journal-{}-cut-off.jsonl", journal::SCHEMA), torn.as_bytes());
}
