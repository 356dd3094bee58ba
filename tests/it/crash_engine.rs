//! Sudden death and failing calls in the changes of a named engine beside a server: a sample of the
//! points, since the machinery is that of the server, which is swept at each of them.

use std::path::Path;
use std::process::Command;

use crate::crash::{Change, Sweep};
use crate::engine::{conf, engine, install, upgrade, v1, v2};
use crate::support::installer::{Root, Vendor, said, summary};

fn with_server() -> Root {
    let root = Root::furnished();
    let output = Vendor::get().install(root.path()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    conf(&root, |_| ());
    root
}

fn installs(root: &Path) -> Command {
    let mut command = install(&v1(), root);
    command.args(["--name", "x", "--conf"]).arg(root.join("given.conf"));
    command
}

fn with_engine() -> Root {
    let root = with_server();
    let output = installs(root.path()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    conf(&root, |value| value["BindAddress"] = serde_json::json!(":443"));
    root
}

fn upgrades(root: &Path) -> Command {
    let mut command = upgrade(&v2(), root);
    command.args(["--name", "x"]);
    command
}

fn configures(root: &Path) -> Command {
    let mut command = engine("configure", root);
    command.args(["--name", "x", "--yes", "--conf"]).arg(root.join("given.conf"));
    command
}

fn purges(root: &Path) -> Command {
    let mut command = engine("uninstall", root);
    command.args(["--name", "x", "--yes", "--purge"]);
    command
}

fn sweep(name: &str, model: &Root, command: &(dyn Fn(&Path) -> Command + Sync), step: usize) {
    let root = || Root::copy(model);
    let sweep = Sweep::new(Change { name, root: &root, command });
    let told = [
        sweep.each("killed and run again", step, &|number| sweep.again(number)),
        sweep.each("killed and recovered", step, &|number| sweep.recovered(number)),
        sweep.each("a call fails", step, &|number| sweep.fails(number, crate::crash::EIO)),
        sweep.each("killed, and killed while recovering", 11 * step, &|number| sweep.killed_twice(number)),
    ];
    summary(&format!("crash-{}", name.replace(' ', "-")), &told.join("\n"));
}

#[test]
fn an_installation_of_an_engine_survives() {
    sweep("engine install", &with_server(), &installs, 7);
}

#[test]
fn an_upgrade_of_an_engine_survives() {
    sweep("engine upgrade", &with_engine(), &upgrades, 7);
}

#[test]
fn another_configuration_of_an_engine_survives() {
    sweep("engine configure", &with_engine(), &configures, 3);
}

#[test]
fn a_removal_of_an_engine_survives() {
    sweep("engine uninstall", &with_engine(), &purges, 5);
}
