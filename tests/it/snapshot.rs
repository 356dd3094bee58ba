//! Snapshots of the data: what comes back is what was there, and damage is noticed.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use demisto_install::event::Silent;
use demisto_install::product::SnapshotReason;
use demisto_install::snapshot::{self, Error, Form, Pruning, Request, Snapshot, Work};
use demisto_install::sys::dir::Dir;
use tempfile::TempDir;

use crate::clone::{described, furnish};
use crate::support::installer::{Root, Vendor, noise, run, said};
use crate::support::loops::Mounted;

fn work() -> Work<'static> {
    Work { owners: nix::unistd::geteuid().is_root(), sink: &Silent, interruptible: true }
}

/// A root on a disk, with data.
struct Host {
    temp: TempDir,
}

impl Host {
    fn new() -> Self {
        Self::within(Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    fn within(base: &Path) -> Self {
        let host = Self { temp: tempfile::tempdir_in(base).unwrap() };
        fs::create_dir_all(host.data()).unwrap();
        fs::set_permissions(host.data(), Permissions::from_mode(0o750)).unwrap();
        host
    }

    fn furnished() -> Self {
        let host = Self::new();
        furnish(&host.data());
        host
    }

    fn root(&self) -> &Path {
        self.temp.path()
    }

    fn data(&self) -> PathBuf {
        self.root().join("var/lib/demisto")
    }

    fn snapshots(&self) -> PathBuf {
        snapshot::default_dir(self.root())
    }

    fn take(&self, id: &str, reason: SnapshotReason) -> snapshot::Result<Snapshot> {
        let (root, dir) = (self.root(), &self.snapshots());
        let request = Request { root, dir, reason, release: "6.14.0-1", data_schema: 7, work: work() };
        snapshot::create(&request, id)
    }

    /// Lays a snapshot out in a new directory.
    fn fill(&self, snapshot: &Snapshot, name: &str) -> snapshot::Result<PathBuf> {
        let top = Dir::open(self.root()).unwrap();
        top.make_private_dir(name).unwrap();
        snapshot.fill(&top.open_dir(name).unwrap(), &work())?;
        Ok(self.root().join(name))
    }
}

fn comes_back(host: &Host, form: Form) {
    let before = described(&host.data());
    let fingerprint = snapshot::fingerprint(host.root()).unwrap();
    let estimate = snapshot::estimate(host.root(), &host.snapshots()).unwrap();
    let taken = host.take("one", SnapshotReason::Manual).unwrap();
    assert_eq!((taken.about.form, estimate.form), (form, form));
    assert_eq!((taken.about.files, taken.about.bytes), (estimate.files, estimate.bytes));
    assert_eq!((taken.about.files, taken.about.data_schema), (6, 7));
    assert_eq!(snapshot::fingerprint(host.root()).unwrap(), fingerprint, "the data are untouched");
    assert_eq!(described(&host.data()), before);
    taken.verify(&work()).unwrap();
    let back = host.fill(&taken, "back").unwrap();
    assert_eq!(described(&back), before);
    let left = fs::read_dir(host.snapshots()).unwrap().count();
    assert_eq!(left, 1, "nothing but the snapshot");
    assert_eq!(fs::metadata(host.snapshots().join("one")).unwrap().permissions().mode() & 0o7777, 0o700);
}

#[test]
fn an_archive_comes_back_as_it_was() {
    let host = Host::furnished();
    comes_back(&host, Form::Archive);
    let sparse =
        std::os::unix::fs::MetadataExt::blocks(&fs::metadata(host.root().join("back/sparse")).unwrap());
    assert!(sparse * 512 < 1 << 20, "holes come back as holes");
}

#[test]
fn a_reflink_comes_back_as_it_was_as_root() {
    for kind in ["btrfs", "xfs"] {
        let temp = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mounted = Mounted::disk(kind, temp.path());
        {
            let host = Host::within(mounted.path());
            furnish(&host.data());
            comes_back(&host, Form::Reflink);
            fs::write(host.snapshots().join("one/data/third-name"), "another file").unwrap();
            let damaged = snapshot::open(&host.snapshots(), "one").unwrap();
            assert!(matches!(damaged.verify(&work()), Err(Error::Damaged { .. })));
            assert!(host.fill(&damaged, "again").is_err());
        }
    }
}

/// An administrator reads it without this program.
#[test]
fn gnu_tar_reads_an_archive() {
    let host = Host::furnished();
    let before = described(&host.data());
    host.take("one", SnapshotReason::Manual).unwrap();
    let out = host.root().join("out");
    fs::create_dir(&out).unwrap();
    let output = Command::new("/usr/bin/tar")
        .args(["--zstd", "-xpf"])
        .arg(host.snapshots().join("one/data.tar.zst"))
        .args(["--xattrs", "--xattrs-include=*", "--numeric-owner", "-C"])
        .arg(&out)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let fine = told.lines().all(|line| line.contains("implausibly old time stamp"));
    assert!(output.status.success() && fine, "{}", said(&output));
    assert_eq!(described(&out), before);
}

/// Each byte of archive, list and description.
#[test]
fn every_flipped_byte_is_noticed() {
    let host = Host::new();
    fs::write(host.data().join("file"), "some data\n").unwrap();
    fs::create_dir(host.data().join("dir")).unwrap();
    fs::write(host.data().join("dir/other"), noise(300)).unwrap();
    let place = host.take("one", SnapshotReason::Manual).unwrap().place();
    let mut tried = 0;
    for name in ["data.tar.zst", "index.jsonl.zst"] {
        let good = fs::read(place.join(name)).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(place.join(name), &bad).unwrap();
            let damaged = snapshot::open(&host.snapshots(), "one").unwrap();
            assert!(damaged.verify(&work()).is_err(), "{name}: byte {at}");
            if at % 3 == 0 {
                assert!(host.fill(&damaged, &format!("{name}-{at}")).is_err(), "{name}: byte {at}");
                fs::remove_dir_all(host.root().join(format!("{name}-{at}"))).unwrap();
            }
            tried += 1;
        }
        for bad in [&good[..good.len() - 1], b"", &[&good[..], b"x"].concat()] {
            fs::write(place.join(name), bad).unwrap();
            let damaged = snapshot::open(&host.snapshots(), "one").unwrap();
            assert!(damaged.verify(&work()).is_err(), "{name} of {} bytes", bad.len());
        }
        fs::write(place.join(name), good).unwrap();
    }
    assert!(tried > 400, "{tried}");
    snapshot::open(&host.snapshots(), "one").unwrap().verify(&work()).unwrap();
}

#[test]
fn the_fingerprint_changes_with_everything() {
    let host = Host::furnished();
    let data = host.data();
    let print = || snapshot::fingerprint(host.root()).unwrap();
    let mut known = vec![print()];
    let mut changes = |what: &str, change: &dyn Fn()| {
        change();
        let now = print();
        assert!(!known.contains(&now), "{what} is not seen");
        known.push(now);
    };
    changes("content", &|| fs::write(data.join("third-name"), "ONE FILE\n").unwrap());
    changes("content deep down", &|| fs::write(data.join("deep/er/x"), "x").unwrap());
    changes("a new name", &|| fs::write(data.join("new"), "").unwrap());
    changes("a mode", &|| fs::set_permissions(data.join("new"), Permissions::from_mode(0o611)).unwrap());
    changes("a removed name", &|| fs::remove_file(data.join("nothing")).unwrap());
    changes("the mode of the directory", &|| {
        fs::set_permissions(&data, Permissions::from_mode(0o700)).unwrap()
    });
    changes("a link", &|| {
        fs::remove_file(data.join("dangling")).unwrap();
        std::os::unix::fs::symlink("/x", data.join("dangling")).unwrap();
    });
    let before = print();
    fs::rename(&data, host.root().join("aside")).unwrap();
    assert_ne!(print(), before);
    fs::rename(host.root().join("aside"), &data).unwrap();
    assert_eq!(print(), before, "aside and back is no change");
}

#[test]
fn configuration_and_files_of_the_host_are_kept() {
    let host = Host::new();
    fs::create_dir_all(host.root().join("etc")).unwrap();
    fs::create_dir_all(host.root().join("usr/local/demisto")).unwrap();
    for (path, mode) in [
        ("etc/demisto.conf", 0o640),
        ("etc/hosts", 0o644),
        ("usr/local/demisto/cert.key", 0o400),
        ("usr/local/demisto/server", 0o755),
    ] {
        fs::write(host.root().join(path), path).unwrap();
        fs::set_permissions(host.root().join(path), Permissions::from_mode(mode)).unwrap();
    }
    let taken = host.take("one", SnapshotReason::Upgrade).unwrap();
    let paths: Vec<&str> = taken.about.kept.iter().map(|held| held.path.as_str()).collect();
    assert_eq!(paths, ["/etc/demisto.conf", "/usr/local/demisto/cert.key"]);
    let key = taken.path().join("tree/cert.key");
    assert_eq!(fs::read(&key).unwrap(), b"usr/local/demisto/cert.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o7777, 0o400);
    fs::remove_file(&key).unwrap();
    fs::write(&key, "another key").unwrap();
    assert!(matches!(taken.verify(&work()), Err(Error::Damaged { .. })));
}

#[test]
fn places_where_nothing_lasts_are_refused() {
    let host = Host::new();
    let refused = |dir: &Path, why: &str| {
        let request = Request {
            root: host.root(),
            dir,
            reason: SnapshotReason::Manual,
            release: "1",
            data_schema: 1,
            work: work(),
        };
        let error = snapshot::create(&request, "one").unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        assert!(snapshot::estimate(host.root(), dir).is_err(), "{}", dir.display());
    };
    refused(Path::new("/tmp/snapshots"), "/tmp");
    refused(Path::new("/var/tmp/snapshots"), "/var/tmp");
    refused(&host.root().join("tmp/x"), "/tmp");
    refused(Path::new("/dev/shm/snapshots"), "memory");
    refused(&host.data().join("snapshots"), "changes with the product");
    refused(Path::new("snapshots"), "absolute");
    refused(&host.data().join("../../../var/x"), "absolute");
    let shared = host.root().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, Permissions::from_mode(0o770)).unwrap();
    refused(&shared, "others can write");
    fs::set_permissions(&shared, Permissions::from_mode(0o777)).unwrap();
    refused(&shared.join("inner"), "others can write");
}

#[test]
fn a_mount_in_the_data_is_refused_as_root() {
    assert!(nix::unistd::geteuid().is_root(), "this test mounts a file system: run it as root");
    let host = Host::new();
    let inner = host.data().join("inner");
    fs::create_dir(&inner).unwrap();
    let mounted = Mounted::memory(&inner, 1 << 20);
    let error = host.take("one", SnapshotReason::Manual).unwrap_err();
    assert!(error.to_string().contains(inner.to_str().unwrap()), "{error}");
    assert!(snapshot::estimate(host.root(), &host.snapshots()).is_err());
    drop(mounted);
}

#[test]
fn a_newer_form_is_refused_and_damage_is_listed() {
    let host = Host::new();
    let about = host.take("one", SnapshotReason::Manual).unwrap().path().join("snapshot.json");
    host.take("two", SnapshotReason::Manual).unwrap();
    let text = fs::read_to_string(&about).unwrap();
    fs::write(&about, text.replacen("\"schema\": 1", "\"schema\": 2", 1)).unwrap();
    let error = snapshot::open(&host.snapshots(), "one").unwrap_err();
    assert!(matches!(error, Error::Newer { found: 2, .. }), "{error}");
    fs::write(&about, text.replacen("\"schema\": 1", "\"schema\": 1, \"later\": [true]", 1)).unwrap();
    assert!(snapshot::open(&host.snapshots(), "one").is_ok(), "fields that are not known are passed over");
    fs::remove_file(&about).unwrap();
    let listed = snapshot::list(&host.snapshots()).unwrap();
    let good: Vec<(&str, bool)> = listed.iter().map(|l| (l.id.as_str(), l.snapshot.is_ok())).collect();
    assert_eq!(good, [("one", false), ("two", true)]);
    for bad in ["../one", "", ".two.partial", "a/b", ".."] {
        assert!(matches!(snapshot::open(&host.snapshots(), bad), Err(Error::Id(_))), "{bad}");
        assert!(matches!(snapshot::remove(&host.snapshots(), bad), Err(Error::Id(_))), "{bad}");
    }
}

/// `snapshot.json` as the first program that wrote one made it.
#[test]
fn the_first_form_can_be_read_for_ever() {
    let host = Host::new();
    fs::write(host.data().join("file"), "content\n").unwrap();
    let taken = host.take("one", SnapshotReason::Manual).unwrap();
    let archive = taken.about.archive.clone().unwrap();
    let text = format!(
        r#"{{"schema":1,"id":"one","tool":"0.1.0","created_at":"2026-11-22T00:15:00Z","reason":"upgrade",
        "release":"6.14.0-1","data_schema":7,"form":"archive","owners":true,"sources":["/var/lib/demisto"],
        "files":1,"bytes":8,"allocated":4096,
        "archive":{{"name":"data.tar.zst","length":{},"sha256":"{}"}},
        "index":{{"name":"index.jsonl.zst","length":{},"sha256":"{}"}}}}"#,
        archive.length, archive.sha256, taken.about.index.length, taken.about.index.sha256
    );
    fs::write(taken.path().join("snapshot.json"), text).unwrap();
    let read = snapshot::open(&host.snapshots(), "one").unwrap();
    assert_eq!(read.about.reason, SnapshotReason::Upgrade);
    read.verify(&work()).unwrap();
}

#[test]
fn only_old_automatic_ones_are_pruned() {
    let host = Host::new();
    for (id, reason) in [
        ("a", SnapshotReason::Upgrade),
        ("b", SnapshotReason::Manual),
        ("c", SnapshotReason::Rollback),
        ("d", SnapshotReason::Restore),
    ] {
        host.take(id, reason).unwrap();
    }
    fs::create_dir(host.snapshots().join(".e.partial")).unwrap();
    fs::create_dir(host.snapshots().join(".f.removed")).unwrap();
    let now = jiff::Timestamp::now();
    let prune = |keep, older_than, all| {
        let names = snapshot::chosen(&host.snapshots(), &Pruning { keep, older_than, all, now }).unwrap();
        snapshot::clean(&host.snapshots()).unwrap();
        names.iter().for_each(|id| snapshot::remove(&host.snapshots(), id).unwrap());
        names
    };
    assert_eq!(prune(0, Some(Duration::from_secs(86_400)), true), [""; 0]);
    assert_eq!(prune(1, None, false), ["a", "c"]);
    assert_eq!(prune(1, None, false), [""; 0]);
    assert_eq!(prune(1, None, true), ["b"]);
    let left: Vec<_> = fs::read_dir(host.snapshots()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["d"]);
}

/// A file that the service hard-linked into its directory does not become a program with rights.
#[test]
fn rights_are_not_kept() {
    let host = Host::new();
    let program = host.data().join("program");
    fs::copy("/bin/true", &program).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o4755)).unwrap();
    let taken = host.take("one", SnapshotReason::Manual).unwrap();
    let back = host.fill(&taken, "back").unwrap();
    assert_eq!(fs::metadata(back.join("program")).unwrap().permissions().mode() & 0o7777, 0o755);
}

#[test]
fn a_very_deep_tree_comes_back() {
    let host = Host::new();
    let mut deep = Dir::open(&host.data()).unwrap();
    for _ in 0..3000 {
        deep.make_private_dir("d").unwrap();
        deep = deep.open_dir("d").unwrap();
    }
    drop(deep.create_file("bottom").unwrap());
    let taken = host.take("one", SnapshotReason::Manual).unwrap();
    host.fill(&taken, "back").unwrap();
    let top = Dir::open(host.root()).unwrap();
    let mut reached = top.open_dir("back").unwrap();
    for _ in 0..3000 {
        reached = reached.open_dir("d").unwrap();
    }
    assert!(reached.stat("bottom").unwrap().is_some());
    top.remove_tree("back").unwrap();
    Dir::open(&host.root().join("var/lib")).unwrap().remove_tree("demisto").unwrap();
}

// --- The verb ------------------------------------------------------------------------------------------------

/// A root on a disk with a release and data.
fn installed() -> Root {
    let root = Root::copy_on_disk(&Root::furnished());
    ends(&mut Vendor::get().install(root.path()), 0);
    fs::write(root.at("var/lib/demisto/data.db"), "old\n").unwrap();
    root
}

fn ends(command: &mut Command, code: i32) -> Output {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{command:?}: {}", said(&output));
    output
}

fn verb(root: &Root, arguments: &[&str], code: i32) -> Output {
    ends(run("snapshot", root.path()).args(arguments).args(["--output", "json"]), code)
}

fn result(output: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn data_go_back_and_forth() {
    let root = installed();
    let id = result(&verb(&root, &["create"], 0))["snapshot"]["id"].as_str().unwrap().to_owned();
    assert!(id.ends_with("Z-6.14.0-1"), "{id}");
    fs::write(root.at("var/lib/demisto/data.db"), "new\n").unwrap();
    let shown = result(&verb(&root, &["restore", &id, "--dry-run"], 0));
    std::thread::sleep(Duration::from_millis(1100));
    let again = result(&verb(&root, &["restore", &id, "--dry-run"], 0));
    assert_eq!(shown["digest"], again["digest"], "the time is not part of what is approved");
    assert!(said(&verb(&root, &["restore", &id], 2)).contains("--yes"));
    verb(&root, &["restore", &id, "--plan-digest", &"0".repeat(64)], 4);
    assert_eq!(fs::read_to_string(root.at("var/lib/demisto/data.db")).unwrap(), "new\n");
    let digest = shown["digest"].as_str().unwrap();
    let before = result(&verb(&root, &["restore", &id, "--plan-digest", digest], 0))["before"].clone();
    assert_eq!(fs::read_to_string(root.at("var/lib/demisto/data.db")).unwrap(), "old\n");
    verb(&root, &["restore", before.as_str().unwrap(), "--yes", "--no-snapshot"], 0);
    assert_eq!(fs::read_to_string(root.at("var/lib/demisto/data.db")).unwrap(), "new\n");
    let listed = result(&verb(&root, &["list"], 0));
    let reasons: Vec<&str> = listed["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["about"]["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons, ["manual", "restore"]);
    let dry = result(&verb(&root, &["prune", "--keep", "0", "--dry-run"], 0));
    assert_eq!((&dry["changes"], &dry["remove"]), (&true.into(), &serde_json::json!([before])));
    let pruned = result(&verb(&root, &["prune", "--keep", "0"], 0));
    assert_eq!((&pruned["changed"], &pruned["removed"]), (&true.into(), &serde_json::json!([before])));
    assert_eq!(result(&verb(&root, &["prune", "--keep", "0"], 0))["changed"], false);
    let verified = result(&verb(&root, &["verify", &id], 0));
    assert_eq!((&verified["schema"], &verified["snapshot"]["id"]), (&1.into(), &id.as_str().into()));
    assert_eq!(root.leftovers(), [""; 0]);
}

#[test]
fn what_cannot_be_used_is_refused_before_anything_is_changed() {
    let root = installed();
    let id = result(&verb(&root, &["create"], 0))["snapshot"]["id"].as_str().unwrap().to_owned();
    let place = root.at("var/lib/demisto-install/snapshots").join(&id);
    let before = root.snapshot();
    verb(&root, &["restore", "unknown", "--yes"], 2);
    verb(&root, &["verify", "../journal"], 2);
    verb(&root, &["create", "--dir", "/tmp/snapshots"], 4);
    let about = fs::read_to_string(place.join("snapshot.json")).unwrap();
    fs::write(place.join("snapshot.json"), about.replace("\"data_schema\": 1", "\"data_schema\": 2"))
        .unwrap();
    let output = verb(&root, &["restore", &id, "--yes"], 3);
    assert!(said(&output).contains("reads up to form 1"), "{}", said(&output));
    fs::write(place.join("snapshot.json"), about).unwrap();
    let archive = place.join("data.tar.zst");
    let mut bytes = fs::read(&archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&archive, bytes).unwrap();
    verb(&root, &["verify", &id], 3);
    let output = verb(&root, &["restore", &id, "--yes", "--no-snapshot"], 3);
    assert!(said(&output).contains("everything is as it was before"), "{}", said(&output));
    assert_eq!(before.differences(&root.snapshot()), [""; 0]);
    let empty = Root::fresh();
    verb(&empty, &["create"], 4);
    verb(&empty, &["list"], 0);
}

#[test]
fn snapshots_may_lie_elsewhere() {
    let root = installed();
    let dir = root.at("srv/a/b");
    let dir = dir.to_str().unwrap();
    let id =
        result(&verb(&root, &["create", "--dir", dir], 0))["snapshot"]["id"].as_str().unwrap().to_owned();
    assert!(!root.at("var/lib/demisto-install/snapshots").exists());
    fs::remove_file(root.at("var/lib/demisto/data.db")).unwrap();
    verb(&root, &["restore", &id, "--dir", dir, "--yes"], 0);
    assert_eq!(fs::read_to_string(root.at("var/lib/demisto/data.db")).unwrap(), "old\n");
    verb(&root, &["prune", "--dir", dir, "--keep", "0", "--all"], 0);
    assert_eq!(fs::read_dir(dir).unwrap().count(), 0);
}

/// A signal ends it in order: the data are as before, nothing is left, and the exit code tells.
#[test]
fn a_signal_ends_taking_and_restoring() {
    let root = installed();
    let id = result(&verb(&root, &["create"], 0))["snapshot"]["id"].as_str().unwrap().to_owned();
    // long enough to be hit: sparse enough not to fill the disk, dense enough to take a while
    let noise = noise(8 << 20);
    for number in 0..24 {
        fs::write(root.at("var/lib/demisto").join(format!("large-{number}")), &noise).unwrap();
    }
    let before = root.snapshot();
    for arguments in [&["create"][..], &["restore", &id, "--yes"]] {
        let mut command = run("snapshot", root.path());
        let mut child = command.args(arguments).stderr(std::process::Stdio::null()).spawn().unwrap();
        let partial = || {
            let names = fs::read_dir(root.at("var/lib/demisto-install/snapshots")).unwrap();
            names.flatten().any(|entry| entry.file_name().to_string_lossy().ends_with(".partial"))
        };
        while !partial() {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it was hit");
            std::thread::sleep(Duration::from_millis(1));
        }
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(128 + 15), "{arguments:?}");
        assert_eq!(before.differences(&root.snapshot()), [""; 0]);
        assert_eq!(root.leftovers(), [""; 0]);
        assert_eq!(fs::read_dir(root.at("var/lib/demisto-install/snapshots")).unwrap().count(), 1);
    }
}
