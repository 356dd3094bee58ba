//! Sudden death and failing calls at every point of upgrades and rollbacks: the tree is the old one or
//! the new one, what belongs to the host is there, the records fit the tree, and the next run ends well.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::crash::{Change, Sweep, Verdict, recover, succeeds};
use crate::support::installer::{Root, Tree, Vendor, run, said, summary};
use crate::upgrade::in_use;

pub(crate) fn upgrade(root: &Path) -> Command {
    let vendor = Vendor::get();
    vendor.upgrade(&vendor.next(), root)
}

fn adopt(root: &Path) -> Command {
    let mut command = upgrade(root);
    command
        .args(["--no-owner", "--snapshot", "never"])
        .arg("--answers")
        .arg(Vendor::get().file("answers.json"));
    command
}

pub(crate) fn rollback(root: &Path) -> Command {
    let mut command = rollback_to("6.14.0-1", root);
    command.arg("--yes");
    command
}

fn rollback_to(release: &str, root: &Path) -> Command {
    let mut command = run("rollback", root);
    command.arg("--to").arg(release);
    command
}

fn rollback_to_the_former(root: &Path) -> Command {
    let mut command = rollback_to("the former installation", root);
    command.arg("--yes");
    command
}

fn succeed(mut command: Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

/// What only another installer's tree has.
const FOREIGN: &str = "lib/vendor-only";

/// The release before is kept, and this is the upgrade that drops it.
fn upgraded_before() -> Root {
    let root = in_use();
    succeed(upgrade(root.path()));
    succeed(rollback(root.path()));
    root
}

pub(crate) fn upgraded() -> Root {
    let root = in_use();
    succeed(upgrade(root.path()));
    root
}

fn of_another_installer() -> Root {
    let root = in_use();
    fs::remove_dir_all(root.at("var/lib/demisto-install")).unwrap();
    fs::write(root.at("usr/local/demisto").join(FOREIGN), "of the vendor\n").unwrap();
    root
}

/// Receipt, manifest and tree belong together, and so do those of the retained release.
pub(crate) fn fits(root: &Root) -> Verdict {
    // of what is installed, only what another installer made has no receipt
    let trees = ["usr/local/demisto", "usr/local/.demisto.retained"];
    let adopted = trees.iter().any(|tree| root.at(&format!("{tree}/{FOREIGN}")).exists());
    for (tree, state) in
        trees.into_iter().zip(["var/lib/demisto-install", "var/lib/demisto-install/retained"])
    {
        let Ok(receipt) = fs::read(root.at(&format!("{state}/receipt.json"))) else {
            let version = fs::read_to_string(root.at(&format!("{tree}/version.json"))).unwrap_or_default();
            let former = adopted && version.contains("6.14.0");
            if tree == trees[0] && !former && !version.is_empty() {
                return Err(format!("{tree} has no receipt: {version}"));
            }
            continue;
        };
        let receipt: serde_json::Value = serde_json::from_slice(&receipt).map_err(|e| e.to_string())?;
        let version: serde_json::Value = serde_json::from_slice(
            &fs::read(root.at(&format!("{tree}/version.json"))).map_err(|e| e.to_string())?,
        )
        .map_err(|e| e.to_string())?;
        if receipt["version"] != version["version"] {
            return Err(format!("{tree} is {}, its receipt says {}", version["version"], receipt["version"]));
        }
        let manifest = fs::read(root.at(&format!("{state}/manifest.json"))).map_err(|e| e.to_string())?;
        if receipt["manifest"] != demisto_install::types::Digest::of(&manifest).to_string() {
            return Err(format!("{state}: the manifest is not that of the receipt"));
        }
    }
    Ok(())
}

/// All kinds of trouble at every `step`-th point. Tells the number of points and of errors.
fn sweep(name: &str, model: &Root, command: &(dyn Fn(&Path) -> Command + Sync), step: usize) -> String {
    sweep_in(name, &|| Root::copy(model), command, step)
}

fn sweep_in(
    name: &str,
    root: &(dyn Fn() -> Root + Sync),
    command: &(dyn Fn(&Path) -> Command + Sync),
    step: usize,
) -> String {
    let sweep = Sweep::new(Change { name, root, command });
    let recovered = |number: usize| {
        let root = sweep.killed(number)?;
        succeeds(&recover(&root).output().unwrap())?;
        sweep.is_either(&root)?;
        fits(&root)?;
        sweep.ends_well(&root, number)
    };
    let mut told = vec![
        sweep.each("killed and run again", step, &|number| sweep.again(number)),
        sweep.each("killed and recovered", step, &recovered),
        sweep.each("killed, and killed while recovering", 7 * step, &|number| sweep.killed_twice(number)),
        sweep.each("killed, and the recovery fails", 7 * step, &|number| sweep.recovery_fails(number)),
    ];
    told.push(sweep.recovery_killed_everywhere());
    told.push(sweep.errors());
    told.join("\n")
}

#[test]
fn upgrade_survives_at_every_point() {
    summary("crash-upgrade", &sweep("upgrade", &in_use(), &upgrade, 1));
}

#[test]
fn an_upgrade_that_drops_a_retained_release_survives() {
    summary(
        "crash-upgrade-again",
        &sweep("upgrade, another release retained", &upgraded_before(), &upgrade, 5),
    );
}

#[test]
fn rollback_survives_at_every_point() {
    summary("crash-rollback", &sweep("rollback", &upgraded(), &rollback, 1));
}

#[test]
fn taking_over_survives() {
    summary("crash-adopt", &sweep("upgrade of a foreign installation", &of_another_installer(), &adopt, 5));
}

#[test]
fn going_back_to_a_foreign_installation_survives() {
    let root = of_another_installer();
    succeed(adopt(root.path()));
    summary(
        "crash-rollback-adopted",
        &sweep("rollback to a foreign installation", &root, &rollback_to_the_former, 5),
    );
}

/// A release whose data have another form.
pub(crate) fn upgrade_with_data(root: &Path) -> Command {
    static BUNDLE: OnceLock<PathBuf> = OnceLock::new();
    let bundle = BUNDLE.get_or_init(|| {
        let tree = Tree::next();
        tree.describe_as("6.14.1", 2, 1, 2);
        tree.pack("crash-data", &[])
    });
    Vendor::get().upgrade(bundle, root)
}

/// Snapshots lie on a disk, so these sweeps do as well.
#[test]
fn an_upgrade_that_keeps_the_data_survives() {
    let model = in_use();
    let root = || Root::copy_on_disk(&model);
    summary("crash-upgrade-data", &sweep_in("upgrade with a snapshot", &root, &upgrade_with_data, 11));
}

#[test]
fn a_rollback_with_the_data_survives() {
    let model = Root::copy_on_disk(&in_use());
    succeed(upgrade_with_data(model.path()));
    model.put("var/lib/demisto/data.db", b"of another form\n", 0o600);
    let root = || Root::copy_on_disk(&model);
    summary("crash-rollback-data", &sweep_in("rollback with its snapshot", &root, &rollback, 13));
}
