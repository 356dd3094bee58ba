//! Keeps what belongs to a release besides its tree, and puts single files back from there.

use super::files::{self, open, open_parent};
use super::{Context, Error, Result};
use crate::product;
use crate::retained::{self, Retained};
use crate::sys::dir::{self, Dir};

pub(super) const PRIVATE: u32 = 0o700;

/// Gathers copies in `path`: receipt, manifest, signatures, configuration, units.
pub(super) fn perform(context: &Context, path: &str, retained: &Retained) -> Result<()> {
    let (above, name) = open_parent(context.root, path)?;
    above.remove_tree(&name)?;
    let dir = above.create_dir(&name, PRIVATE, None)?;
    let files = [
        (context.site.receipt_file(), retained::RECEIPT),
        (context.site.manifest_file(), retained::MANIFEST),
        (context.site.signatures_file(), retained::SIGNATURES),
        (context.site.config_file(), retained::CONFIG),
    ];
    for (path, name) in files {
        copy(context, &path, &dir, name)?;
    }
    let units = dir.create_dir(retained::UNITS, PRIVATE, None)?;
    for unit in &retained.units {
        copy(context, &format!("{}/{unit}", product::UNIT_DIR), &units, unit)?;
    }
    units.sync()?;
    dir.replace_file(retained::FILE, &retained.to_bytes(), 0o600, None)?;
    Ok(above.sync()?)
}

/// Copies a file with its owner and mode; an absent one is fine.
pub(super) fn copy(context: &Context, path: &str, to: &Dir, name: &str) -> Result<()> {
    let (dir, source) = match open_parent(context.root, path) {
        Err(Error::Sys(e)) if e.is_not_found() => return Ok(()),
        other => other?,
    };
    if dir.stat(&source)?.is_none() {
        return Ok(());
    }
    let file = dir.open_file(&source)?;
    let stat = dir::stat_file(&file, &dir.path_of(&source))?;
    let owner = context.owners.then_some(stat.ids);
    files::copy(file, to, name, Some((owner, stat.mode & 0o777)))
}

/// Puts the copy of a file in its place, with the owner and mode that the copy has.
pub(super) fn put_back(context: &Context, path: &str, copy: &str) -> Result<()> {
    let (holder, name) = copy.rsplit_once('/').ok_or(Error::Lacks("the copy's place"))?;
    let kept = open(context.root, holder)?;
    let stat = kept.stat(name)?.ok_or(Error::Lacks("the copy"))?;
    let (dir, target) = open_parent(context.root, path)?;
    files::put_back(&kept, name, &dir, &target, (stat.mode, stat.ids))
}
