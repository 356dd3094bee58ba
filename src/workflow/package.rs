//! What is done for a package besides laying it out.

use anyhow::Result;

use super::{Error, Session};
use crate::apply;
use crate::manifest;
use crate::plan::{self, Packaging, Script};
use crate::product;
use crate::receipt::Receipt;
use crate::release::Release;
use crate::rpmfile::{Package, When};
use crate::sys::process;
use crate::types::printable_line;

/// Whether rpm's database is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Register {
    /// Where rpm manages the host.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Whether rpm's database is told.
    pub register: Register,
    /// Whether the scripts of packages are run.
    pub scriptlets: bool,
}

/// What is done for the offered release, when `old` is installed.
///
/// # Errors
/// When what was asked for cannot be done.
pub(super) fn packaging(
    session: &Session,
    options: Options,
    release: &Release,
    old: Option<&Receipt>,
) -> Result<Packaging> {
    let mut packaging = Packaging {
        unregister: old.and_then(|old| old.package.clone()),
        register: register(session, options.register, release, old)?,
        ..Packaging::default()
    };
    if packaging.register.is_some()
        && let Some(other) = release.package().and_then(foreign)
    {
        packaging.register = None;
        packaging.notes.push(format!(
            "the package is not entered into rpm's database: by its header it takes the place of {other}, or cannot be beside it"
        ));
    }
    if options.scriptlets {
        if !session.is_live() {
            return Err(Error::ScriptsElsewhere.into());
        }
        scripts(session, release, old.is_some(), &mut packaging)?;
    } else if let Some(package) = release.package().filter(|package| !package.scriptlets.is_empty()) {
        let words: Vec<&str> =
            package.scriptlets.iter().map(|scriptlet| plan::word(scriptlet.when)).collect();
        packaging.notes.push(format!(
            "the package's scripts ({}) are not run: account, units and directories are this plan's own steps",
            words.join(", ")
        ));
    }
    Ok(packaging)
}

/// What a package says to replace, or not to bear, although it is none of the product's.
fn foreign(package: &Package) -> Option<String> {
    let named = package.obsoletes.iter().chain(&package.conflicts);
    named
        .map(|other| &other.name)
        .find(|name| !product::is_package_name(name))
        .map(|name| printable_line(name))
}

/// What is registered stays so, unless somebody says otherwise.
fn register(
    session: &Session,
    wanted: Register,
    release: &Release,
    old: Option<&Receipt>,
) -> Result<Option<String>> {
    let Some(package) = release.package().filter(|_| session.site.name().is_none()) else { return Ok(None) };
    let register = match wanted {
        Register::Never => false,
        Register::Always if process::find("rpm").is_none() => return Err(Error::NoRpm.into()),
        Register::Always => true,
        Register::Auto => old.is_some_and(|old| old.package.is_some()) || apply::rpm_manages(&session.root),
    };
    Ok(register.then(|| package.name.clone()))
}

/// In rpm's order: the new package's %pre, its files, its %post, then %preun and %postun of the old one.
fn scripts(session: &Session, release: &Release, upgrade: bool, packaging: &mut Packaging) -> Result<()> {
    let (now, old) = if upgrade { (2, installed(session)?) } else { (1, None) };
    let of = |package: Option<&Package>, when, argument| -> Result<Option<Script>> {
        let script = package.map(|package| plan::script(package, when, argument)).transpose();
        script.map(Option::flatten).map_err(|why| Error::Script(why).into())
    };
    let (new, old) = (release.package(), old.as_ref());
    packaging.before.extend(of(new, When::Pre, now)?);
    packaging.after.extend(of(new, When::Post, now)?);
    packaging.after.extend(of(old, When::PreUn, 1)?);
    packaging.after.extend(of(old, When::PostUn, 1)?);
    packaging.after.extend(of(new, When::PostTrans, now)?);
    Ok(())
}

/// The header of the installed package.
fn installed(session: &Session) -> Result<Option<Package>> {
    let (kept, _) = apply::kept_bytes(&session.root, &session.site)?;
    Ok(manifest::package_of(&kept)?)
}
