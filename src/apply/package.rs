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

/// Whether rpm manages what is below the root: it knows of the package that it came with itself. Where there is no
/// database rpm is not asked: it would make one.
#[must_use]
pub fn rpm_manages(root: &Path) -> bool {
    let known = || -> sys::Result<bool> {
        Ok(has_database(root)? && rpm(root)?.args(["-q", "rpm"]).run()?.status.success())
    };
    known().unwrap_or(false)
}

/// Asking rpm for a package makes a database where there is none, and a plan changes nothing.
fn has_database(root: &Path) -> sys::Result<bool> {
    let output = tool()?.args(["--eval", "%{_dbpath}"]).check()?;
    let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(path.starts_with('/') && sys::fs::exists(&product::under(root, &path)))
}

fn rpm(root: &Path) -> sys::Result<Tool> {
    Ok(tool()?.arg("--root").arg(root))
}

/// rpm of Debian has its database below the home of whoever calls it: root's, as for an administrator.
fn tool() -> sys::Result<Tool> {
    Ok(Tool::system("rpm")?.timeout(PATIENCE).env("HOME", "/root"))
}

/// Debian's rpm asks to be told that it is used on purpose.
fn changing(root: &Path) -> sys::Result<Tool> {
    let tool = rpm(root)?;
    Ok(if sys::fs::exists(Path::new("/etc/debian_version")) { tool.arg("--force-debian") } else { tool })
}

/// Makes rpm's database hold the package that is installed: its header, which was verified. Nothing of rpm's own
/// is run but the database.
pub(super) fn register(context: &Context) -> Result<()> {
    let (record, _) = super::kept_bytes(context.root, context.site)?;
    let header = manifest::signed_part(&record).map_err(crate::release::Error::from)?;
    let dir = open(context.root, &context.site.journal_dir())?;
    dir.replace_file(PACKAGE, &rpmfile::without_payload(&header), 0o600, None)?;
    let path = format!("{}/{PACKAGE}", context.site.journal_dir());
    let options =
        ["-U", "--justdb", "--oldpackage", "--replacepkgs", "--nodeps", "--noscripts", "--notriggers"];
    let tool = changing(context.root)?.args(options).args(["--nosignature", "--nodigest"]);
    let done = tool.arg(context.at(&path)).check();
    dir.remove_file(PACKAGE)?;
    done?;
    Ok(())
}

/// Makes rpm's database forget a package.
pub(super) fn unregister(context: &Context, name: &str) -> Result<()> {
    if !has_database(context.root)? || !rpm(context.root)?.args(["-q", "--", name]).run()?.status.success() {
        return Ok(());
    }
    let options = ["-e", "--justdb", "--nodeps", "--noscripts", "--notriggers", "--", name];
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
    let tool = Tool::new(program).args(arguments).arg(path).arg(argument.to_string()).timeout(PATIENCE);
    let output = tool.run();
    dir.remove_file(SCRIPT)?;
    let output = output?;
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
