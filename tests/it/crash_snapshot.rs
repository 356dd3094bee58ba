//! Sudden death and failing calls at the points of taking a snapshot and of putting one back. The
//! data are the old ones or the new ones, whole; a snapshot that is there is complete.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::crash::{Change, EIO, ENOSPC, Sweep, Verdict, install, points, recover, succeeds};
use crate::support::installer::{Root, STATE, run, said, summary};

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
        sweep.each("i/o error", 2, &|number| sweep.fails(number, EIO)),
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
            Some(0 | 1) => same(&root),
            _ => Err(said(&output)),
        }
    };
    let told = [sweep.each("killed and recovered", 2, &recovered), sweep.each("no space", 3, &failing)];
    summary("crash-snapshot", &told.join("\n"));
}

/// The service has changed the data, the disk is short, the directory is a mount point: whatever
/// comes together, undoing a snapshot puts back what it holds.
#[test]
fn undoing_a_snapshot_puts_changed_data_back() {
    let (model, _) = model();
    let root = Root::copy_on_disk(&model);
    let before = root.snapshot();
    // killed right after the snapshot is complete; then something writes the data
    let command = || snapshot(root.path(), &["create"]);
    let last = points(&mut snapshot(Root::copy_on_disk(&model).path(), &["create"]), "snapshot create");
    let commit = last.len() - last.iter().rev().position(|name| name == "journal append").unwrap();
    let at = last[..commit - 1].iter().rposition(|name| name == "journal append").unwrap();
    drop(command().env("DEMISTO_INSTALL_FAULT_AT", at.to_string()).output().unwrap());
    assert_eq!(ids(&root).len(), 2, "the snapshot is complete");
    let data: PathBuf = root.at("var/lib/demisto");
    fs::write(data.join("data.db"), "written by a newer release\n").unwrap();
    fs::write(data.join("d/stray"), "stray").unwrap();
    let count = points(&mut recover(&Root::copy_on_disk(&root)), "recover").len();
    for killed in (1..=count).step_by(2) {
        let root = Root::copy_on_disk(&root);
        drop(recover(&root).env("DEMISTO_INSTALL_FAULT_AT", killed.to_string()).output().unwrap());
        succeeds(&recover(&root).output().unwrap()).unwrap_or_else(|why| panic!("killed at {killed}: {why}"));
        assert_eq!(before.differences(&root.snapshot()), [""; 0], "killed at {killed}");
        assert_eq!((ids(&root).len(), root.leftovers()), (1, Vec::new()), "killed at {killed}");
    }
}
