//! The evidence record: one entry for each run that changed something, in a chain that tells of every change to it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::slice::from_ref;

use demisto_install::event::Silent;
use demisto_install::types::Digest;
use demisto_install::workflow::{Session, uninstall};
use serde_json::{Value, json};

use crate::cert_install::{self, Pki};
use crate::crash::{self, Change, EIO, ENOSPC, Sweep, Verdict, recover};
use crate::crash_repair::{damaged, repair};
use crate::crash_upgrade::{rollback, upgrade};
use crate::engine;
use crate::otc;
use crate::support::installer::{
    PROGRAM, Root, STATE, Vendor, answer, refused, result, run, said, succeeds, summary,
};
use crate::support::loops::Mounted;
use crate::upgrade::in_use;

const FILE: &str = "var/lib/demisto-install/record.jsonl";
const STATE_FILE: &str = "var/lib/demisto-install/record.state";

fn log(verb: &str, root: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["log", verb, "--root"]).arg(root).stdin(Stdio::null());
    command
}

fn verify(root: &Root, arguments: &[&str]) -> Output {
    log("verify", root.path()).args(arguments).output().unwrap()
}

/// The verdict of `log verify`, with its exit code.
fn verdict(root: &Root, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = verify(root, &[arguments, &["--output", "json"]].concat());
    (output.status.code(), result(&output))
}

/// All records, of a chain that holds.
fn records(root: &Root) -> Vec<Value> {
    let checked = root.record();
    assert_eq!(checked.broken, None);
    checked.records
}

fn lines(root: &Root) -> Vec<String> {
    fs::read_to_string(root.at(FILE)).unwrap().split_inclusive('\n').map(str::to_owned).collect()
}

/// Runs it, and gives the one record that it added.
fn adds(root: &Root, command: &mut Command) -> Value {
    let before = records(root).len();
    succeeds(&command.output().unwrap());
    let mut after = records(root);
    assert_eq!(after.len(), before + 1, "{command:?}");
    let state: Value = serde_json::from_slice(&fs::read(root.at(STATE_FILE)).unwrap()).unwrap();
    assert_eq!((&state["open"], &state["head"]["sequence"]), (&json!([]), &json!(before + 1)));
    after.pop().unwrap()
}

fn adds_nothing(root: &Root, command: &mut Command, code: i32) {
    let before = fs::read(root.at(FILE)).unwrap_or_default();
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{command:?}: {}", said(&output));
    assert_eq!(fs::read(root.at(FILE)).unwrap_or_default(), before, "{command:?}");
}

/// The digest of the plan that the journal of the last run holds.
fn journalled(root: &Root, journal: &str) -> String {
    let text = fs::read_to_string(root.at(STATE).join(journal)).unwrap();
    let begin: Value = serde_json::from_str(text.lines().next().unwrap().split_once(' ').unwrap().1).unwrap();
    let plan: demisto_install::plan::Plan = serde_json::from_value(begin["plan"].clone()).unwrap();
    plan.digest().to_string()
}

/// A verb, its action, and the releases before and after.
fn is(record: &Value, action: &str, from: Option<&str>, to: Option<&str>) {
    assert_eq!(record["action"], action, "{record}");
    assert_eq!((&record["from"], &record["to"]), (&json!(from), &json!(to)), "{record}");
    assert_eq!((&record["result"], &record["schema"]), (&json!("done"), &json!(1)), "{record}");
    assert_eq!(record["tool"], env!("CARGO_PKG_VERSION"));
    assert!(record.get("late").is_none() && record.get("of").is_none() && record.get("torn").is_none());
    let (began, at) = (record["began"].as_str().unwrap(), record["at"].as_str().unwrap());
    assert!(began < at && at.ends_with('Z'), "{record}");
    assert_eq!(record["who"]["uid"], nix::unistd::geteuid().as_raw());
}

const OLD: Option<&str> = Some("6.14.0-1");
const NEW: Option<&str> = Some("6.14.1-2");

#[test]
fn releases_are_recorded_once_each() {
    let root = Root::furnished();
    let vendor = Vendor::get();
    let signer = &vendor.file("release.asc");
    let plan = |command: &mut Command| result(&command.args(["--output", "json"]).output().unwrap());
    let shown = plan(&mut vendor.offer("plan", &vendor.small(), root.path()));
    adds_nothing(&root, &mut log("show", root.path()), 0);
    assert!(!root.at(FILE).exists());
    assert_eq!(
        verdict(&root, &[]),
        (
            Some(0),
            json!({"schema": 1, "event": "result", "whole": true, "records": 0,
        "head": null, "kept": null, "broken": null, "torn": null, "unrecorded": false})
        )
    );

    let first = adds(&root, &mut vendor.install(root.path()));
    is(&first, "install", None, OLD);
    assert_eq!(
        (&first["sequence"], &first["previous"], &first["site"]),
        (&json!(1), &Value::Null, &json!("server"))
    );
    assert_eq!(first["plan"], shown["digest"]);
    let fingerprints = demisto_install::trust::TrustStore::load(root.path(), from_ref(signer)).unwrap();
    let fingerprint = fingerprints.anchors().iter().map(|anchor| anchor.fingerprint().to_string());
    assert_eq!(first["signers"], json!(fingerprint.collect::<Vec<_>>()));
    assert_eq!(first["what"], "install 6.14.0-1");
    assert_eq!(first["drift"], json!({"look": "attributes", "before": null, "after": 0}));
    let meta = fs::metadata(root.at(FILE)).unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.uid()), (0o600, nix::unistd::geteuid().as_raw()));
    assert_eq!(fs::metadata(root.at(STATE_FILE)).unwrap().mode() & 0o7777, 0o600);
    adds_nothing(&root, &mut vendor.install(root.path()), 0);

    fs::write(root.at("usr/local/demisto/lib/module-1"), "longer than it was\n").unwrap();
    let second = adds(&root, &mut upgrade(root.path()));
    is(&second, "upgrade", OLD, NEW);
    assert_eq!((&second["sequence"], &second["previous"]), (&json!(2), &first["digest"]));
    assert_eq!(second["drift"], json!({"look": "attributes", "before": 1, "after": 0}));
    adds_nothing(&root, &mut upgrade(root.path()), 0);
    let back = adds(&root, &mut rollback(root.path()));
    is(&back, "rollback", NEW, OLD);
    assert_eq!(
        back["drift"],
        json!({"look": "attributes", "before": 0, "after": 1}),
        "what was changed came back"
    );
    let right = adds(&root, &mut repair(root.path()));
    is(&right, "repair", OLD, OLD);
    assert_eq!(right["drift"], json!({"look": "content", "before": 1, "after": 0}));
    adds_nothing(&root, &mut repair(root.path()), 0);
    adds_nothing(&root, run("uninstall", root.path()).args(["--yes", "--dry-run"]), 0);
    let gone = adds(&root, run("uninstall", root.path()).args(["--yes", "--purge"]));
    is(&gone, "uninstall", OLD, None);
    assert_eq!(gone["drift"], json!({"look": "attributes", "before": 0, "after": null}));
    assert_eq!(gone["plan"], journalled(&root, "journal/last.jsonl"));
    is(&adds(&root, &mut vendor.install(root.path())), "install", None, OLD);

    let (code, verdict) = verdict(&root, &["--head", first["digest"].as_str().unwrap()]);
    assert_eq!((code, &verdict["records"], &verdict["kept"]["sequence"]), (Some(0), &json!(6), &json!(6)));
    let text = succeeds(&log("show", root.path()).args(["--last", "2"]).output().unwrap());
    assert_eq!(text.lines().filter(|line| line.contains("6.14.0-1")).count(), 2, "{text}");
    assert!(
        text.contains("uninstall 6.14.0-1") && text.contains("0 -> -") && !text.contains("upgrade"),
        "{text}"
    );
    let logged = fs::read_to_string(root.at("var/log/demisto/install.log")).unwrap();
    assert!(logged.contains(&format!("evidence record 6: {}", verdict["head"]["digest"].as_str().unwrap())));
}

#[test]
fn small_changes_are_recorded_once_each() {
    let (root, pki) = (Root::copy_on_disk(&in_use()), Pki::new());
    let count = records(&root).len();
    let at = root.path();
    let mut words = Vec::new();
    let mut small = |command: &mut Command, action: &str| {
        let record = adds(&root, command);
        is(&record, action, OLD, OLD);
        assert_eq!(
            (&record["drift"], &record["plan"]),
            (&Value::Null, &json!(journalled(&root, "journal/last.jsonl")))
        );
        words.push(record["what"].as_str().unwrap().to_owned());
    };
    small(&mut cert_install::install(at, &pki.leaf("one", "serverAuth", 365)), "certificate");
    small(&mut cert_install::rollback(at), "certificate-rollback");
    root.put("password", b"Kq7-marker-Vw\n", 0o600);
    let password = root.at("password");
    let add = |verb: &str| {
        let mut command = run("otc", at);
        command.args([verb, "--yes", "--user", "chief", "--admin-password-file"]).arg(&password);
        command
    };
    small(&mut add("add-admin"), "one-time");
    small(run("otc", at).args(["clear", "--yes"]), "one-time");
    small(run("cert", at).args(["mutual", "on", "--yes"]), "configure");
    fs::create_dir_all(root.at("etc/pki/ca-trust/source/anchors")).unwrap();
    small(run("ca", at).args(["add", "--yes"]).arg(pki.path("root.pem")), "authorities");
    small(run("ca", at).args(["remove", "--yes", "Test-Root"]), "authorities");
    small(run("snapshot", at).arg("create"), "snapshot");
    let listed = answer(&run("snapshot", at).args(["list", "--output", "json"]).output().unwrap());
    let id = listed["snapshots"][0]["id"].as_str().unwrap();
    small(run("snapshot", at).args(["restore", id, "--yes"]), "restore");
    assert!(words.iter().any(|what| what == "ca remove"), "{words:?}");

    let prune = || {
        let mut command = run("snapshot", at);
        command.args(["prune", "--keep", "0", "--all"]);
        command
    };
    let pruned = adds(&root, &mut prune());
    is(&pruned, "prune", OLD, OLD);
    assert_eq!(pruned["plan"], Value::Null);
    adds_nothing(&root, &mut prune(), 0);
    adds_nothing(&root, run("cert", at).args(["mutual", "on", "--yes"]), 0);
    adds_nothing(&root, run("otc", at).args(["clear", "--yes"]), 0);
    adds_nothing(&root, &mut run("status", at), 0);
    adds_nothing(&root, &mut recover(&root), 0);
    assert_eq!(records(&root).len(), count + 10);
    let text = fs::read_to_string(root.at(FILE)).unwrap();
    assert!(!text.contains("Kq7-marker") && !text.contains("PRIVATE KEY"), "{text}");
}

#[test]
fn engines_are_recorded_by_their_names() {
    let root = in_use();
    let client = |verb: &str| {
        let mut command = engine::engine(verb, root.path());
        command.args(["--name", "x", "--yes"]);
        command
    };
    let installed = adds(&root, engine::install(&engine::v1(), root.path()).args(["--name", "x"]));
    is(&installed, "install", None, OLD);
    assert_eq!(installed["site"], "engine x");
    assert_eq!(installed["plan"], journalled(&root, "engines/x/journal/last.jsonl"));
    let conf = engine::conf(&root, |_| {});
    let given = adds(&root, client("configure").arg("--conf").arg(&conf));
    is(&given, "configure", OLD, OLD);
    is(&adds(&root, engine::upgrade(&engine::v2(), root.path()).args(["--name", "x"])), "upgrade", OLD, NEW);
    is(&adds(&root, &mut client("rollback")), "rollback", NEW, OLD);
    let gone = adds(&root, client("uninstall").arg("--purge"));
    is(&gone, "uninstall", OLD, None);
    assert_eq!(gone["site"], "engine x");
}

#[test]
fn whom_to_trust_is_recorded() {
    let root = Root::fresh();
    let key = Vendor::get().file("release.asc");
    let fingerprint = {
        let store = demisto_install::trust::TrustStore::load(root.path(), from_ref(&key)).unwrap();
        store.anchors()[0].fingerprint().to_string()
    };
    let keys = |arguments: &[&str]| {
        let mut command = run("keys", root.path());
        command.args(arguments);
        command
    };
    let mut import = keys(&["import", "--fingerprint", &fingerprint]);
    let import = import.arg(&key);
    let imported = adds(&root, import);
    is(&imported, "keys-import", None, None);
    assert_eq!(imported["what"], format!("keys import {fingerprint}"));
    adds_nothing(&root, import, 0);
    is(&adds(&root, &mut keys(&["remove", &fingerprint])), "keys-remove", None, None);
}

#[test]
fn who_ran_it_is_told_by_the_kernel_and_by_sudo() {
    let root = otc::server();
    let number = |name: &str| {
        let text = fs::read_to_string(format!("/proc/self/{name}")).unwrap();
        text.trim().parse::<u32>().ok().filter(|id| *id != u32::MAX)
    };
    let clear = |root: &Root| {
        root.put(otc::FILE, b"{\"keypass\":\"x\"}", 0o400);
        let mut command = run("otc", root.path());
        command.args(["clear", "--yes"]);
        command
    };
    let who =
        adds(&root, clear(&root).env("SUDO_UID", "65534").env("SUDO_USER", "forged\u{1b}[2J"))["who"].clone();
    assert_eq!(
        (&who["login_uid"], &who["session"]),
        (&json!(number("loginuid")), &json!(number("sessionid")))
    );
    assert_eq!((&who["sudo_uid"], &who["sudo_user"]), (&json!(65534), &json!("nobody")), "{who}");
    assert_eq!(who["tty"], Value::Null);
    let who = adds(&root, clear(&root).env("SUDO_UID", "no number"))["who"].clone();
    assert_eq!((&who["sudo_uid"], &who["sudo_user"]), (&Value::Null, &Value::Null));

    let command = clear(&root);
    let options = rexpect::session::Options::new().timeout_ms(Some(60_000));
    let mut session = rexpect::session::spawn_with_options(command, options).unwrap();
    session.exp_eof().unwrap();
    let last = records(&root).pop().unwrap();
    assert!(last["who"]["tty"].as_str().unwrap().starts_with("/dev/pts/"), "{last}");
}

#[test]
fn what_fails_and_what_is_refused_is_recorded() {
    let model = crash::installed();
    let root = || Root::copy(&model);
    let sweep = Sweep::new(Change { name: "uninstall", root: &root, command: &crash::uninstall });
    let rename = 1 + sweep.points.iter().position(|name| name == "rename").unwrap();
    let appends = sweep.points.iter().enumerate().filter(|(_, name)| *name == "journal append");
    let late = appends.map(|(at, _)| at).rev().nth(1).unwrap() - 2; // shortly before the commit record
    for number in [rename + 12, late] {
        let root = root();
        let output = sweep.run(&root, Some(&format!("{number}:{EIO}")));
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        let all = records(&root);
        let last = all.last().unwrap();
        assert_eq!((&last["action"], &last["result"]), (&json!("uninstall"), &json!("restored")), "{last}");
        assert_eq!(last["drift"], json!({"look": "attributes", "before": 0, "after": 0}));
        assert_eq!(all.len(), 2);
    }
    // the undoing fails, too: that is recorded, and its recovery, which names the run by its journal
    let root = root();
    let faults: Vec<String> = (late..late + 40).map(|number| format!("{number}:{EIO}")).collect();
    let output = sweep.run(&root, Some(&faults.join(",")));
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    succeeds(&recover(&root).output().unwrap());
    let all = records(&root);
    let results: Vec<&Value> = all.iter().map(|record| &record["result"]).collect();
    let recovered = all.last().unwrap();
    assert_eq!(recovered["action"], "recover", "{recovered}");
    assert_eq!(recovered["of"]["plan"], journalled(&root, "journal/last.jsonl"));
    assert_eq!((&recovered["of"]["action"], &recovered["result"]), (&json!("uninstall"), &json!("restored")));
    assert!(results.len() == 2 || results[1] == "failed", "{results:?}");

    let session = Session::new(model.path(), Vec::new(), &Silent).unwrap();
    assert!(uninstall::run(&session, false, Digest::of(b"another plan")).is_err());
    let last = records(&model).pop().unwrap();
    assert_eq!((&last["action"], &last["result"]), (&json!("uninstall"), &json!("refused")), "{last}");
}

/// Whatever happened, once it is over there is one record of the run, or none when it had not begun.
#[test]
fn a_run_that_is_killed_has_one_record_in_the_end() {
    let mut told = Vec::new();
    let waiting = otc::server();
    waiting.put(otc::FILE, b"{\"keypass\":\"x\"}", 0o400);
    let clear = |root: &Path| {
        let mut command = run("otc", root);
        command.args(["clear", "--yes"]);
        command
    };
    let (installed, broken, in_use) = (crash::installed(), damaged(), in_use());
    type Call<'a> = &'a (dyn Fn(&Path) -> Command + Sync);
    let changes: [(&str, &Root, Call, usize); 4] = [
        ("otc clear", &waiting, &clear, 1),
        ("uninstall", &installed, &crash::uninstall, 2),
        ("repair", &broken, &repair, 5),
        ("upgrade", &in_use, &upgrade, 9),
    ];
    for (name, model, command, step) in changes {
        let root = || Root::copy(model);
        let sweep = Sweep::new(Change { name, root: &root, command });
        let known = records(model).len();
        // from here on the journal says that there is a run
        let begun = 1 + sweep.points.iter().position(|name| name == "journal written").unwrap();
        let killed = |number: usize| -> Verdict {
            let root = sweep.killed(number)?;
            crash::succeeds(&recover(&root).output().unwrap())?;
            let all = records(&root);
            let new = &all[known..];
            let done = sweep.is_after(&root).is_ok();
            let told = match new {
                [] => !done && number <= begun,
                [one] if one["action"] == "recover" => {
                    one["result"] == (if done { "done" } else { "restored" })
                        && one["of"]["who"]["uid"] == nix::unistd::geteuid().as_raw()
                        && one["of"]["result"] == Value::Null
                }
                [one] => done && one["result"] == "done",
                _ => false,
            };
            let state: Value = serde_json::from_slice(&fs::read(root.at(STATE_FILE)).unwrap()).unwrap();
            if told && state["open"] == json!([]) { Ok(()) } else { Err(format!("{new:?}, {state}")) }
        };
        told.push(sweep.each("killed and recovered, recorded", step, &killed));
        let twice = |number: usize| -> Verdict {
            let root = sweep.killed(number)?;
            let count = crash::points(&mut recover(&sweep.killed(number)?), "recover").len();
            let second = (number * 7) % count.max(1) + 1;
            let output = recover(&root).env("DEMISTO_INSTALL_FAULT_AT", second.to_string()).output().unwrap();
            crash::succeeds(&recover(&root).output().unwrap())?;
            let new = records(&root).len() - known;
            if new <= 1 { Ok(()) } else { Err(format!("{new} records: {}", said(&output))) }
        };
        told.push(sweep.each("recovery killed as well, recorded", step * 3, &twice));
    }
    summary("crash-record", &told.join("\n"));
}

#[test]
fn a_record_that_cannot_be_written_is_written_by_the_next_run() {
    let model = crash::installed();
    let root = || Root::copy(&model);
    let sweep = Sweep::new(Change { name: "uninstall", root: &root, command: &crash::uninstall });
    for point in ["record append", "record written", "record synced"] {
        let number = 1 + sweep.points.iter().position(|name| name == point).unwrap();
        let root = root();
        let output = sweep.run(&root, Some(&format!("{number}:{ENOSPC}")));
        let told = succeeds(&output);
        assert!(
            told.contains("the evidence record is incomplete") && told.contains("No space left"),
            "{told}"
        );
        sweep.is_after(&root).unwrap();
        assert_eq!(verdict(&root, &[]).1["unrecorded"], json!(true), "{point}");
        succeeds(&recover(&root).output().unwrap());
        let all = records(&root);
        let last = all.last().unwrap();
        assert_eq!(
            (all.len(), &last["action"], &last["result"]),
            (2, &json!("uninstall"), &json!("done")),
            "{point}"
        );
        assert_eq!(last.get("late").is_some(), point == "record append", "{point}");
        assert_eq!(verdict(&root, &[]).1["unrecorded"], json!(false));
        adds_nothing(&root, &mut recover(&root), 0);
    }
    // one that cannot even be announced does not begin
    let number = 1 + sweep.points.iter().position(|name| name == "write file").unwrap();
    let root = root();
    let output = sweep.run(&root, Some(&format!("{number}:{ENOSPC}")));
    refused(&output, 1, "record.state");
    refused(&output, 1, "No space left");
    sweep.is_before(&root).unwrap();
}

/// A line that a run could not finish stays, and the next record accounts for it.
#[test]
fn a_torn_line_is_accounted_for() {
    let model = crash::installed();
    let root = || Root::copy(&model);
    let sweep = Sweep::new(Change { name: "uninstall --purge", root: &root, command: &crash::purge });
    let number = 1 + sweep.points.iter().position(|name| name == "record written").unwrap();
    let sound = fs::read(model.at(FILE)).unwrap();
    for keep in [1, 7, 200, usize::MAX] {
        let root = sweep.killed(number).unwrap();
        let bytes = fs::read(root.at(FILE)).unwrap();
        let length = (sound.len().saturating_add(keep)).min(bytes.len() - 1);
        fs::write(root.at(FILE), &bytes[..length]).unwrap();
        let (code, found) = verdict(&root, &[]);
        assert_eq!((code, &found["whole"]), (Some(0), &json!(true)), "{found}");
        let whole = keep == usize::MAX; // but for the end of its line
        assert_eq!(found["torn"].is_null(), whole, "{found}");
        succeeds(&recover(&root).output().unwrap());
        let all = records(&root);
        let last = all.last().unwrap();
        assert_eq!((all.len(), &last["action"]), (2, &json!("uninstall")), "{all:?}");
        let torn = last["torn"]["bytes"].as_u64();
        assert_eq!(torn, (!whole).then_some((length - sound.len()) as u64), "{last}");
        let now = fs::read(root.at(FILE)).unwrap();
        assert!(now.starts_with(&bytes[..length]), "nothing is ever taken out");
        is(&adds(&root, &mut Vendor::get().install(root.path())), "install", None, OLD);
    }
}

/// So many runs, one after the other.
fn busy(count: usize) -> Root {
    let root = otc::server();
    for _ in 1..count {
        root.put(otc::FILE, b"{\"keypass\":\"x\"}", 0o400);
        adds(&root, run("otc", root.path()).args(["clear", "--yes"]));
    }
    root
}

#[test]
fn whatever_is_done_to_the_record_is_found() {
    let root = busy(5);
    let good = lines(&root);
    let pick =
        |numbers: &[usize]| -> String { numbers.iter().map(|number| good[number - 1].as_str()).collect() };
    let head: Value = serde_json::from_str(&good[4]).unwrap();
    let head = head["digest"].as_str().unwrap();
    for (text, record, reason) in [
        (pick(&[1, 2, 4, 5]), 3, "removed"),
        (pick(&[2, 3, 4, 5]), 1, "removed"),
        (pick(&[1, 2, 4, 3, 5]), 3, "reordered"),
        (pick(&[1, 2, 3, 3, 4, 5]), 3, "repeated"),
        (pick(&[1, 2, 3, 4]), 5, "truncated"),
        (String::new(), 1, "truncated"),
        (pick(&[1, 2, 3, 4, 5]).replacen("\"one-time\"", "\"two-time\"", 1), 2, "altered"),
        (format!("{}not a record\n{}", pick(&[1, 2]), pick(&[3, 4, 5])), 3, "altered"),
        (format!("{}{}", pick(&[1, 2, 3, 4, 5]), "{}\n"), 6, "altered"),
    ] {
        root.put(FILE, text.as_bytes(), 0o600);
        let (code, found) = verdict(&root, &[]);
        assert_eq!(code, Some(4), "{reason}: {found}");
        assert_eq!(
            (&found["broken"]["record"], &found["broken"]["reason"]),
            (&json!(record), &json!(reason)),
            "{found}"
        );
        let output = verify(&root, &[]);
        refused(&output, 4, &format!("the chain is broken at record {record}"));
        let shown = log("show", root.path()).output().unwrap();
        assert!(succeeds(&shown).contains("the chain is broken"), "{}", said(&shown));
    }
    for number in 0..5 {
        for at in [2, 30, good[number].len() / 2, good[number].len() - 20] {
            let mut text = pick(&[1, 2, 3, 4, 5]).into_bytes();
            text[good[..number].concat().len() + at] ^= 1;
            root.put(FILE, &text, 0o600);
            let (code, found) = verdict(&root, &[]);
            assert_eq!(
                (code, &found["broken"]["record"]),
                (Some(4), &json!(number + 1)),
                "byte {at}: {found}"
            );
        }
    }
    root.put(FILE, pick(&[1, 2, 3, 4, 5]).as_bytes(), 0o600);
    assert_eq!(verdict(&root, &["--head", head]).0, Some(0));

    // what was kept is there and cannot be used: the end may be missing
    let state = fs::read(root.at(STATE_FILE)).unwrap();
    for (bytes, mode) in [(&b"{"[..], 0o600), (&state[..], 0o666)] {
        root.put(STATE_FILE, bytes, mode);
        let (code, found) = verdict(&root, &[]);
        let told = (code, &found["whole"], &found["broken"]["record"], &found["broken"]["reason"]);
        assert_eq!(told, (Some(4), &json!(false), &json!(6), &json!("unkept")), "{found}");
    }
    root.put(STATE_FILE, &state, 0o600);

    // both files can be cut: then only what was noted elsewhere tells
    root.put(FILE, pick(&[1, 2, 3]).as_bytes(), 0o600);
    fs::remove_file(root.at(STATE_FILE)).unwrap();
    let (code, found) = verdict(&root, &[]);
    assert_eq!((code, &found["kept"]), (Some(0), &Value::Null));
    assert!(succeeds(&verify(&root, &[])).contains("with --head only"));
    let (code, found) = verdict(&root, &["--head", head]);
    assert_eq!((code, &found["broken"]["reason"]), (Some(4), &json!("truncated")), "{found}");
    refused(&verify(&root, &["--head", "no digest"]), 2, "--head");
}

/// A run goes on after a lost end, and does not hide it.
#[test]
fn a_later_run_hides_nothing() {
    let root = busy(5);
    let good = lines(&root);
    let again = |root: &Root| {
        root.put(otc::FILE, b"{\"keypass\":\"x\"}", 0o400);
        succeeds(&run("otc", root.path()).args(["clear", "--yes"]).output().unwrap());
        verdict(root, &[]).1["broken"].clone()
    };
    root.put(FILE, good[..3].concat().as_bytes(), 0o600);
    let broken = again(&root);
    assert_eq!((&broken["record"], &broken["reason"]), (&json!(4), &json!("removed")), "{broken}");
    let broken = again(&root);
    assert_eq!(broken["record"], 4, "{broken}");
    fs::remove_file(root.at(FILE)).unwrap();
    let broken = again(&root);
    assert_eq!((&broken["record"], &broken["reason"]), (&json!(1), &json!("removed")), "{broken}");
    // what lies beside it is damaged: told, and no run is kept from its work
    root.put(STATE_FILE, b"{", 0o600);
    root.put(otc::FILE, b"{\"keypass\":\"x\"}", 0o400);
    let told = succeeds(&run("otc", root.path()).args(["clear", "--yes"]).output().unwrap());
    assert!(told.contains("which record was the newest") && told.contains("is damaged"), "{told}");
}

/// What docs/logs.md says: the digest of a line can be had with sed and sha256sum.
#[test]
fn other_tools_can_check_the_chain() {
    let root = busy(3);
    let sum = |line: &str| {
        let command = "sed 's/,\"digest\":\"[0-9a-f]*\"}$/}/' | tr -d '\\n' | sha256sum | cut -c 1-64";
        let mut child = Command::new("/bin/sh");
        let child = child.args(["-c", command]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = child.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), line.as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap().trim().to_owned()
    };
    let mut previous = Value::Null;
    for line in lines(&root) {
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&value["digest"], &value["previous"]), (&json!(sum(&line)), &previous));
        previous = value["digest"].clone();
    }
    // one that somebody makes so is a record, and what it says reaches no terminal
    let body = format!(
        "{{\"schema\":1,\"sequence\":4,\"previous\":{previous},\"at\":\"2026-01-01T00:00:00Z\",\"tool\":\"x\",\
         \"began\":\"2026-01-01T00:00:00Z\",\"who\":{{\"uid\":0,\"user\":\"\\u001b[2Jx\"}},\"action\":\"a\\nb\",\
         \"site\":\"server\",\"result\":\"done\",\"of a later version\":[1]}}"
    );
    let line =
        format!("{},\"digest\":\"{}\"}}\n", body.strip_suffix('}').unwrap(), sum(&format!("{body}\n")));
    root.put(FILE, format!("{}{line}", lines(&root).concat()).as_bytes(), 0o600);
    assert_eq!(verdict(&root, &[]).0, Some(0));
    let shown = log("show", root.path()).output().unwrap();
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(!text.contains('\u{1b}') && text.contains("\\u{1b}[2Jx") && text.contains("a\\nb"), "{text}");
    let shown = answer(&log("show", root.path()).args(["--output", "json"]).output().unwrap());
    assert_eq!(shown["records"][3]["of a later version"], json!([1]));
}

#[test]
fn runs_at_once_keep_one_chain() {
    let root = otc::server();
    let known = records(&root).len();
    let mut done = 0;
    for round in 0..12 {
        root.put(otc::FILE, format!("{{\"keypass\":\"x{round}\"}}").as_bytes(), 0o400);
        let children: Vec<_> = (0..3)
            .map(|_| {
                let mut command = run("otc", root.path());
                command.args(["clear", "--yes"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
            })
            .collect();
        let codes: Vec<i32> =
            children.into_iter().map(|mut child| child.wait().unwrap().code().unwrap()).collect();
        assert!(codes.iter().all(|code| [0, 1, 4, 6].contains(code)), "{codes:?}");
        done += 1;
        assert!(!root.at(otc::FILE).exists());
    }
    let new: Vec<Value> = records(&root).split_off(known);
    let count = new.iter().filter(|record| record["result"] == "done").count();
    assert_eq!(count, done, "{new:?}");
}

/// At every fill of a small disk a run does its work and is recorded, or it changes nothing.
#[test]
fn a_full_disk_loses_no_record_as_root() {
    let root = otc::server();
    let (state, aside) = (root.at(STATE), root.at("aside"));
    fs::rename(&state, &aside).unwrap();
    fs::create_dir(&state).unwrap();
    let _disk = Mounted::memory(&state, 2 << 20);
    let status = Command::new("/bin/cp").arg("-a").arg(aside.join(".")).arg(&state).status().unwrap();
    assert!(status.success());
    let (mut failed, mut done) = (0, 0);
    for pages in 0..40_usize {
        let known = records(&root).len();
        let ballast = state.join("snapshots");
        root.put(otc::FILE, b"{\"keypass\":\"x\"}", 0o400);
        fill(&ballast, pages);
        let output = run("otc", root.path()).args(["clear", "--yes"]).output().unwrap();
        let cleared = !root.at(otc::FILE).exists();
        assert_eq!(output.status.code(), Some(i32::from(!cleared)), "{pages} pages: {}", said(&output));
        fs::remove_file(&ballast).unwrap();
        succeeds(&recover(&root).output().unwrap());
        let new = records(&root).split_off(known);
        let results: Vec<&Value> = new.iter().map(|record| &record["result"]).collect();
        match cleared {
            true => assert_eq!(results, ["done"], "{pages} pages"),
            false => assert!(results.is_empty() || results == ["restored"], "{pages} pages: {results:?}"),
        }
        (failed, done) = (failed + usize::from(!cleared), done + usize::from(cleared));
        if done > 3 {
            break;
        }
    }
    assert!(failed > 0 && done > 3, "{failed} runs failed, {done} went through");
}

/// Leaves so many pages free on a file system.
fn fill(ballast: &Path, pages: usize) {
    use std::io::Write as _;
    let mut file = fs::File::create(ballast).unwrap();
    while file.write(&[1; 4096]).is_ok_and(|written| written == 4096) {}
    let length = file.metadata().unwrap().len();
    file.set_len((length / 4096 - pages as u64) * 4096).unwrap();
}

/// Others cannot make it write elsewhere, or read what they wrote.
#[test]
fn the_record_is_a_plain_private_file() {
    let root = busy(2);
    let victim = root.at("victim");
    fs::write(&victim, "mine\n").unwrap();
    fs::remove_file(root.at(FILE)).unwrap();
    symlink(&victim, root.at(FILE)).unwrap();
    root.put(otc::FILE, b"{\"keypass\":\"x\"}", 0o400);
    let told = succeeds(&run("otc", root.path()).args(["clear", "--yes"]).output().unwrap());
    assert!(told.contains("the evidence record is incomplete"), "{told}");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "mine\n");
    assert_eq!(verify(&root, &[]).status.code(), Some(1));
    fs::remove_file(root.at(FILE)).unwrap();
    succeeds(&recover(&root).output().unwrap());
    let found = verdict(&root, &[]).1;
    assert_eq!(
        (&found["broken"]["reason"], &found["unrecorded"]),
        (&json!("removed"), &json!(false)),
        "{found}"
    );
}
