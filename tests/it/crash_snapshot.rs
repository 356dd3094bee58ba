//! Sudden death and failing calls at the points of taking a snapshot and of putting one back. The
//! data are the old ones or the new ones, whole; a snapshot that is there is complete.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::crash::{Change, EIO, ENOSPC, Sweep, Verdict, install, points, recover, succeeds};
use crate::crash_upgrade::upgrade_with_data;
use crate::support::installer::{Root, STATE, noise, run, said, summary};
use crate::support::loops::Mounted;

/// A root on a disk with a release, data, and a snapshot of them called by the name that is given
/// as well; after the snapshot the data were changed.
fn model() -> (Root, String) {
    let root = Root::copy_on_disk(&Root::furnished());
    let output = install(root.path()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    fs::create_dir(root.at("var/lib/demisto/d")).unwrap();
    fs::write(root.at("var/lib/demisto/data.db"), "data\n").unwrap();
    fs::hard_link(root.at("var/lib/demisto/data.db"), root.at("var/lib/demisto/d/link")).unwrap();
    let output = snapshot(root.path(), &["create"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let id = ids(&root).remove(0);
    fs::write(root.at("var/lib/demisto/data.db"), "newer data\n").unwrap();
    fs::remove_file(root.at("var/lib/demisto/d/link")).unwrap();
    fs::write(root.at("var/lib/demisto/d/new"), "new\n").unwrap();
    (root, id)
}

fn snapshot(root: &Path, arguments: &[&str]) -> Command {
    let mut command = run("snapshot", root);
    command.args(arguments);
    command
}

/// Names of the snapshots.
fn ids(root: &Root) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root.at(&format!("{STATE}/snapshots"))) else { return Vec::new() };
    let mut ids: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    ids.sort();
    ids
}

/// Every snapshot is whole, and there are as many as allowed.
fn whole(root: &Root, counts: &[usize]) -> Verdict {
    let ids = ids(root);
    if !counts.contains(&ids.len()) {
        return Err(format!("snapshots: {ids:?}"));
    }
    ids.iter().try_for_each(|id| succeeds(&snapshot(root.path(), &["verify", id]).output().unwrap()))
}

#[test]
fn restoring_survives_at_every_point() {
    let (model, id) = model();
    let root = || Root::copy_on_disk(&model);
    let command = |root: &Path| snapshot(root, &["restore", &id, "--yes", "--no-snapshot"]);
    let sweep = Sweep::new(Change { name: "snapshot restore", root: &root, command: &command });
    let told = [
        sweep.each("killed and run again", 5, &|number| sweep.again(number)),
        sweep.each("killed and recovered", 1, &|number| sweep.recovered(number)),
        sweep.each("killed, and killed while recovering", 11, &|number| sweep.killed_twice(number)),
        sweep.each("killed, and the recovery fails", 11, &|number| sweep.recovery_fails(number)),
        sweep.recovery_killed_everywhere(),
        sweep.errors(),
    ];
    summary("crash-restore", &told.join("\n"));
}

/// With a snapshot of the present data first, from which they are put back when need be.
#[test]
fn restoring_survives_with_a_snapshot_of_the_present_data() {
    let (model, id) = model();
    let root = || Root::copy_on_disk(&model);
    let command = |root: &Path| snapshot(root, &["restore", &id, "--yes"]);
    let sweep = Sweep::new(Change { name: "snapshot restore, kept", root: &root, command: &command });
    let recovered = |number: usize| {
        let root = sweep.killed(number)?;
        succeeds(&recover(&root).output().unwrap())?;
        match sweep.is_before(&root) {
            Ok(()) => whole(&root, &[1]),
            Err(why) => sweep.is_after(&root).map_err(|_| why).and_then(|()| whole(&root, &[2])),
        }
    };
    let told = [
        sweep.each("killed and recovered", 3, &recovered),
        sweep.each("no space", 7, &|number| sweep.fails(number, ENOSPC)),
    ];
    summary("crash-restore-kept", &told.join("\n"));
}

/// The data do not change at all; the snapshot is there, whole, or it is not.
#[test]
fn taking_survives_at_every_point() {
    let (model, _) = model();
    let root = || Root::copy_on_disk(&model);
    let command = |root: &Path| snapshot(root, &["create"]);
    let before = model.snapshot();
    let points = points(&mut command(root().path()), "snapshot create");
    let change = Change { name: "snapshot create", root: &root, command: &command };
    let sweep = Sweep { change, points, before: before.clone(), after: before };
    let same = |root: &Root| sweep.is_before(root).and_then(|()| whole(root, &[1, 2]));
    let recovered = |number: usize| {
        let root = sweep.killed(number)?;
        succeeds(&recover(&root).output().unwrap())?;
        same(&root)?;
        succeeds(&sweep.run(&root, None))?;
        same(&root).or_else(|_| whole(&root, &[2, 3]))
    };
    let failing = |number: usize| {
        let root = root();
        let output = sweep.run(&root, Some(&format!("{number}:{ENOSPC}")));
        match output.status.code() {
            // what was left to tidy up is tidied up by the next run
            Some(0 | 1) => succeeds(&recover(&root).output().unwrap()).and_then(|()| same(&root)),
            _ => Err(said(&output)),
        }
    };
    let told = [sweep.each("killed and recovered", 2, &recovered), sweep.each("no space", 3, &failing)];
    summary("crash-snapshot", &told.join("\n"));
}

/// Kills an upgrade right before its commit record, and then writes the data.
fn upgraded(root: &Root, points: &[String]) {
    // the last record but one is the commit
    let appends: Vec<usize> = (0..points.len()).filter(|at| points[*at] == "journal append").collect();
    let before_commit = appends[appends.len() - 2];
    let mut upgrade = upgrade_with_data(root.path());
    drop(upgrade.env("DEMISTO_INSTALL_FAULT_AT", before_commit.to_string()).output().unwrap());
    assert_eq!(ids(root).len(), 2, "the snapshot is complete");
    let data: PathBuf = root.at("var/lib/demisto");
    fs::write(data.join("data.db"), "written by a newer release\n").unwrap();
    fs::write(data.join("d/stray"), "stray").unwrap();
    fs::write(data.join("stray"), "stray").unwrap();
}

/// What a recovery keeps beside is not part of what is live.
fn is_live(path: &str) -> bool {
    !path.starts_with("var/lib/demisto.before-recovery")
        && !path.starts_with("var/lib/demisto/before-recovery")
}

/// Whether what was written since the snapshot is somewhere.
fn kept(root: &Root) -> bool {
    let written = |path: &String| {
        !is_live(path)
            && path.ends_with("data.db")
            && fs::read(root.at(path)).is_ok_and(|text| text == b"written by a newer release\n")
    };
    root.all_paths().iter().any(written)
}

/// Whoever wrote the data since: undoing a snapshot puts back what it holds, at whatever point that
/// is cut off.
fn put_back(fixed: bool) -> String {
    let (model, _) = model();
    let before = model.snapshot();
    let make = || {
        let root = Root::copy_on_disk(&model);
        let mount = fixed.then(|| Mounted::bind(&root.at("var/lib/demisto")));
        (root, mount) // what is declared last is dropped first
    };
    let taking = {
        let (root, _mount) = make();
        points(&mut upgrade_with_data(root.path()), "upgrade")
    };
    let undoing = {
        let (root, _mount) = make();
        upgraded(&root, &taking);
        points(&mut recover(&root), "recover")
    };
    assert!(undoing.len() > 10, "{undoing:?}");
    for killed in (1..=undoing.len()).step_by(3) {
        let (root, _mount) = make();
        upgraded(&root, &taking);
        let output = recover(&root).env("DEMISTO_INSTALL_FAULT_AT", killed.to_string()).output().unwrap();
        assert_eq!(output.status.signal(), Some(9), "{}", said(&output));
        succeeds(&recover(&root).output().unwrap()).unwrap_or_else(|why| panic!("killed at {killed}: {why}"));
        assert_eq!(before.differences(&root.snapshot().only(is_live)), [""; 0], "killed at {killed}");
        assert!(kept(&root), "killed at {killed}: what was written since is lost");
        assert_eq!((ids(&root).len(), root.leftovers()), (1, Vec::new()), "killed at {killed}");
    }
    format!("data put back (mount point: {fixed}), killed at {} points", undoing.len())
}

/// A disk that is not there must not pass for a snapshot that was never taken.
#[test]
fn a_snapshot_that_vanished_is_missed() {
    let (model, _) = model();
    let taking = points(&mut upgrade_with_data(Root::copy_on_disk(&model).path()), "upgrade");
    let root = Root::copy_on_disk(&model);
    let before = root.snapshot();
    upgraded(&root, &taking);
    let place = root.at(&format!("{STATE}/snapshots"));
    fs::rename(&place, root.at("elsewhere")).unwrap();
    let output = recover(&root).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    assert!(said(&output).contains("there is no snapshot"), "{}", said(&output));
    fs::rename(root.at("elsewhere"), &place).unwrap();
    succeeds(&recover(&root).output().unwrap()).unwrap();
    assert_eq!(before.differences(&root.snapshot().only(is_live)), [""; 0]);
    assert!(kept(&root));
}

/// Nobody but an upgrade lets another release at the data.
#[test]
fn a_snapshot_that_was_only_taken_never_goes_back_by_itself() {
    let (model, _) = model();
    let root = Root::copy_on_disk(&model);
    let taking = points(&mut snapshot(Root::copy_on_disk(&model).path(), &["create"]), "snapshot create");
    let appends: Vec<usize> = (0..taking.len()).filter(|at| taking[*at] == "journal append").collect();
    let before_commit = appends[appends.len() - 2].to_string();
    let mut create = snapshot(root.path(), &["create"]);
    assert_eq!(
        create.env("DEMISTO_INSTALL_FAULT_AT", before_commit).output().unwrap().status.signal(),
        Some(9)
    );
    fs::write(root.at("var/lib/demisto/incidents.db"), "of the days after\n").unwrap();
    let after = root.snapshot();
    succeeds(&recover(&root).output().unwrap()).unwrap();
    assert_eq!(after.differences(&root.snapshot()), [""; 0]);
    assert_eq!(ids(&root).len(), 1);
}

#[test]
fn undoing_a_snapshot_puts_changed_data_back() {
    summary("crash-put-back", &put_back(false));
}

#[test]
fn undoing_a_snapshot_puts_data_back_into_a_mount_point_as_root() {
    summary("crash-put-back-mount", &put_back(true));
}

/// Where there is no room for both, a recovery says so and takes nothing away.
#[test]
fn a_short_disk_costs_no_data_as_root() {
    let (model, _) = model();
    fs::write(model.at("var/lib/demisto/noise"), noise(5 << 20)).unwrap();
    let root = Root::copy_on_disk(&model);
    let data = root.at("var/lib/demisto");
    let _mount = Mounted::memory(&data, 8 << 20);
    let status = Command::new("/bin/cp").arg("-a").arg(model.at("var/lib/demisto/.")).arg(&data).status();
    assert!(status.unwrap().success());
    let before = root.snapshot();
    upgraded(&root, &points(&mut upgrade_with_data(Root::copy_on_disk(&model).path()), "upgrade"));
    let output = recover(&root).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    assert!(said(&output).contains("not enough room"), "{}", said(&output));
    assert!(fs::read_to_string(data.join("data.db")).unwrap().contains("newer release"));
    let grow = Command::new("/bin/mount").args(["-o", "remount,size=64M"]).arg(&data).status().unwrap();
    assert!(grow.success());
    succeeds(&recover(&root).output().unwrap()).unwrap();
    assert_eq!(before.differences(&root.snapshot().only(is_live)), [""; 0]);
    assert!(kept(&root));
    assert_eq!((ids(&root).len(), root.leftovers()), (1, Vec::new()));
}

#[test]
fn restoring_into_a_mount_point_survives_as_root() {
    let (model, id) = model();
    let make = || {
        let root = Root::copy_on_disk(&model);
        let mount = Mounted::bind(&root.at("var/lib/demisto"));
        (root, mount) // what is declared last is dropped first
    };
    let command = |root: &Path| snapshot(root, &["restore", &id, "--yes", "--no-snapshot"]);
    let (root, mount) = make();
    let before = root.snapshot();
    let points = points(&mut command(root.path()), "snapshot restore");
    let after = root.snapshot();
    assert_ne!(before, after);
    assert_eq!(root.leftovers(), [""; 0]);
    drop((mount, root));
    let number_of_points = points.len();
    for number in 1..=number_of_points {
        for fault in [number.to_string(), format!("{number}:{EIO}")] {
            let (root, _mount) = make();
            drop(command(root.path()).env("DEMISTO_INSTALL_FAULT_AT", &fault).output().unwrap());
            let name = &points[number - 1];
            succeeds(&recover(&root).output().unwrap())
                .unwrap_or_else(|why| panic!("{fault} ({name}): {why}"));
            let found = root.snapshot();
            let wrong = before.differences(&found);
            assert!(wrong.is_empty() || after.differences(&found).is_empty(), "{fault} ({name}): {wrong:?}");
            assert_eq!(root.leftovers(), [""; 0], "{fault} ({name})");
        }
    }
    summary("crash-restore-mount", &format!("restored into a mount point, {number_of_points} points"));
}
