//! Sudden death and failing calls at every point of a repair: all is as it was found, or as it was
//! installed, and what is not the release's is never touched.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::Command;

use crate::crash::{Change, EIO, Sweep, Verdict};
use crate::repair::{model, of_the_host, owned};
use crate::support::installer::{Root, Vendor, run, said, summary};

/// A bit of everything that a repair puts right.
pub(crate) fn damaged() -> Root {
    let root = Root::copy(model());
    let at = |path: &str| root.at("usr/local/demisto").join(path);
    fs::write(at("server"), "changed\n").unwrap();
    fs::remove_file(at("version.json")).unwrap();
    fs::remove_file(at("current")).unwrap();
    symlink("/var/lib/precious", at("current")).unwrap();
    fs::rename(at("lib"), root.at("var/lib/elsewhere")).unwrap();
    symlink("../../../var/lib/elsewhere", at("lib")).unwrap();
    fs::set_permissions(at("web"), Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(at("web/index.html"), Permissions::from_mode(0o600)).unwrap();
    root.put("etc/systemd/system/demisto.service", b"[Service]\nExecStart=/bin/false\n", 0o600);
    fs::remove_file(root.at("etc/systemd/system/multi-user.target.wants/demisto.service")).unwrap();
    fs::remove_dir_all(root.at("etc/logrotate.d")).unwrap();
    root
}

pub(crate) fn repair(root: &Path) -> Command {
    let mut command = run("repair", root);
    command.arg("--yes").arg("--key").arg(Vendor::get().file("release.asc"));
    command.arg("--from").arg(Vendor::get().small());
    command
}

#[test]
fn repair_survives_a_kill_at_every_point() {
    let model = damaged();
    let root = || Root::copy(&model);
    let sweep = Sweep::new(Change { name: "repair", root: &root, command: &repair });
    let told = [
        sweep.each("killed and run again", 1, &|number| sweep.again(number)),
        sweep.each("killed and recovered", 1, &|number| sweep.recovered(number)),
        sweep.each("killed, and killed while recovering", 5, &|number| sweep.killed_twice(number)),
        sweep.each("killed, and the recovery fails", 5, &|number| sweep.recovery_fails(number)),
        sweep.each("i/o error, then killed", 9, &|number| sweep.fails_and_is_killed(number)),
    ];
    summary("crash-repair", &told.join("\n"));
}

#[test]
fn repair_survives_an_error_at_every_point() {
    let model = damaged();
    let root = || Root::copy(&model);
    let sweep = Sweep::new(Change { name: "repair", root: &root, command: &repair });
    let told = [
        sweep.recovery_killed_everywhere(),
        sweep.each("i/o error", 1, &|number| sweep.fails(number, EIO)),
        sweep.errors(),
    ];
    summary("crash-repair-errors", &told.join("\n"));
}

/// From what the host has kept, with the installation directory gone as a whole.
#[test]
fn repair_of_a_lost_tree_survives_a_kill() {
    let lost = Root::copy(model());
    fs::rename(lost.at("usr/local/demisto"), lost.at("usr/local/.demisto.retained")).unwrap();
    let root = || Root::copy(&lost);
    let command = |root: &Path| {
        let mut command = run("repair", root);
        command.arg("--yes");
        command
    };
    let sweep = Sweep::new(Change { name: "repair of a lost tree", root: &root, command: &command });
    let told = [
        sweep.each("killed and recovered", 3, &|number| sweep.recovered(number)),
        sweep.each("i/o error", 3, &|number| sweep.fails(number, EIO)),
    ];
    summary("crash-repair-lost", &told.join("\n"));
}

/// What is not the release's keeps its inode, its times and its content, whatever happens.
#[test]
fn a_killed_repair_never_touches_what_is_the_hosts() {
    let model = damaged();
    let root = || Root::copy(&model);
    let sweep = Sweep::new(Change { name: "repair", root: &root, command: &repair });
    let check = |number: usize| -> Verdict {
        let root = root();
        let before = of_the_host(&root);
        let mut command = repair(root.path());
        command.env("DEMISTO_INSTALL_FAULT_AT", number.to_string()).output().unwrap();
        for moment in ["killed", "recovered"] {
            let now = of_the_host(&root);
            if let Some((path, was)) = before.iter().find(|(path, was)| now.get(*path) != Some(was)) {
                return Err(format!("{moment}: {path} was {was} and is {:?}", now.get(path)));
            }
            let output = run("recover", root.path()).output().unwrap();
            if !output.status.success() {
                return Err(said(&output));
            }
        }
        Ok(())
    };
    summary("crash-repair-host", &sweep.each("killed, the host's files compared", 3, &check));
}

#[test]
fn repair_of_owners_survives_at_every_third_point_as_root() {
    let model = owned();
    for path in ["usr/local/demisto", "usr/local/demisto/web", "usr/local/demisto/server"] {
        chown(model.at(path), Some(2), Some(2)).unwrap();
    }
    let root = || Root::copy(&model);
    let sweep = Sweep::new(Change { name: "repair of owners", root: &root, command: &repair });
    let told = [
        sweep.each("killed and recovered", 3, &|number| sweep.recovered(number)),
        sweep.each("i/o error", 3, &|number| sweep.fails(number, EIO)),
    ];
    summary("crash-repair-owners", &told.join("\n"));
}
