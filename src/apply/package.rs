//! rpm's database and the scripts of packages.

use std::path::Path;
use std::time::Duration;

use super::files::open;
use super::{Context, Error, Result, journal_dir};
use crate::manifest;
use crate::product;
use crate::rpmfile;
use crate::sys;
use crate::sys::process::Tool;
use crate::types::printable;

/// How long a script, or rpm, may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// The script, and the package without payload, while they are used: in the journal's directory, which is private.
const SCRIPT: &str = "script";
const PACKAGE: &str = "package.rpm";

/// Where rpm keeps its database: since RHEL 10 and in SUSE, before, and, for root, in Debian.
const DATABASES: [&str; 3] = ["/usr/lib/sysimage/rpm", "/var/lib/rpm", "/root/.rpmdb"];
/// What a database is, by what it is made with.
const DATABASE_FILES: [&str; 3] = ["rpmdb.sqlite", "Packages.db", "Packages"];

/// Whether rpm manages what is below the root: it knows of the package that it came with itself. rpm makes a
/// database where it finds none, so it is asked only where there is one.
#[must_use]
pub fn rpm_manages(root: &Path) -> bool {
    let asked = database(root).map(|_| rpm(root).and_then(|tool| tool.args(["-q", "rpm"]).run()));
    asked.is_some_and(|asked| asked.is_ok_and(|output| output.status.success()))
}

fn is_debian() -> bool {
    sys::fs::exists(Path::new("/etc/debian_version"))
}

/// The database below a root that is there; Debian's rpm looks into root's home first.
fn database(root: &Path) -> Option<&'static str> {
    let mut places = DATABASES;
    if is_debian() {
        places.reverse();
    }
    let is_there = |place: &&str| {
        DATABASE_FILES.iter().any(|file| sys::fs::is_file(&product::under(root, place).join(file)))
    };
    places.into_iter().find(is_there)
}

/// With the database that is there, or the one that rpm makes when root calls it.
fn rpm(root: &Path) -> sys::Result<Tool> {
    let tool = Tool::system("rpm")?.timeout(PATIENCE).env("HOME", "/root").arg("--root").arg(root);
    Ok(match database(root) {
        Some(place) => tool.args(["--dbpath", place]),
        None => tool,
    })
}

/// Debian's rpm asks to be told that it is used on purpose.
fn changing(root: &Path) -> sys::Result<Tool> {
    let tool = rpm(root)?;
    Ok(if is_debian() { tool.arg("--force-debian") } else { tool })
}

/// Makes rpm's database hold the package that is installed, in the place of one of its name: its header, which was
/// verified. Nothing of rpm's own is run but the database. This is no upgrade in rpm's sense, in which a package may
/// remove others.
pub(super) fn register(context: &Context, name: &str) -> Result<()> {
    let (record, _) = super::kept_bytes(context.root, context.site)?;
    let header = manifest::signed_part(&record).map_err(crate::release::Error::from)?;
    let dir = open(context.root, &context.site.journal_dir())?;
    dir.replace_file(PACKAGE, &rpmfile::without_payload(&header), 0o600, None)?;
    let path = format!("{}/{PACKAGE}", context.site.journal_dir());
    let options =
        ["-i", "--justdb", "--oldpackage", "--replacepkgs", "--nodeps", "--noscripts", "--notriggers"];
    let done = unregister(context, name).and_then(|()| {
        let tool = changing(context.root)?.args(options).args(["--nosignature", "--nodigest"]);
        tool.arg(context.at(&path)).check()?;
        Ok(())
    });
    dir.remove_file(PACKAGE)?;
    done
}

/// Makes rpm's database forget a package of the product.
pub(super) fn unregister(context: &Context, name: &str) -> Result<()> {
    let known = |tool: Tool| tool.args(["-q", "--", name]).run();
    let none = database(context.root).is_none() || !product::is_package_name(name);
    if none || !known(rpm(context.root)?)?.status.success() {
        return Ok(());
    }
    let options = ["-e", "--justdb", "--allmatches", "--nodeps", "--noscripts", "--notriggers", "--", name];
    changing(context.root)?.args(options).check()?;
    Ok(())
}

/// Runs a script as rpm does: the interpreter gets a file and the number. Only one that runs before anything is
/// changed can stop the run by failing.
pub(super) fn script(context: &Context, step: &crate::plan::Step) -> Result<()> {
    let crate::plan::Step::RunScript { when, interpreter, body, argument } = step else { return Ok(()) };
    let Some((program, arguments)) = interpreter.split_first() else { return Ok(()) };
    let dir = open(context.root, &context.site.journal_dir())?;
    dir.replace_file(SCRIPT, body.as_bytes(), 0o600, None)?;
    let path = journal_dir(context.root, context.site).join(SCRIPT);
    let tool = Tool::new(program).args(arguments).arg(path).arg(argument.to_string());
    let output = tool.timeout(PATIENCE).script().run();
    dir.remove_file(SCRIPT)?;
    let output = match (output, sys::signal::pending()) {
        (Err(_), Some(signal)) => return Err(Error::Interrupted(signal)),
        (output, _) => output?,
    };
    let said = printable(&String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        return Ok(());
    }
    if when == "%pre" {
        return Err(Error::Script { when: when.clone(), said });
    }
    context.sink.warn(format!("the package's {when} failed: {said}"));
    Ok(())
}
