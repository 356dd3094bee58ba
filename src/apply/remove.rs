//! Removing, in a way that can be undone: things are moved aside and deleted after the commit.

use std::path::Path;

use super::files::{open, open_parent};
use super::{Context, Error, Result, carry, finish};
use crate::manifest::{Entry as Described, Kind as Entry, Manifest};
use crate::sys;
use crate::sys::dir::{Dir, Ids, Kind};

/// Removes a file; an absent one is fine.
pub(super) fn file(context: &Context, path: &str) -> Result<()> {
    if !context.at(path).parent().is_some_and(Path::is_dir) {
        return Ok(());
    }
    let (dir, name) = open_parent(context.root, path)?;
    dir.remove_file(&name)?;
    Ok(dir.sync()?)
}

/// Removes a directory if it is empty.
pub(super) fn dir(context: &Context, path: &str) -> Result<()> {
    if !sys::fs::exists(&context.at(path)) {
        return Ok(());
    }
    let (dir, name) = open_parent(context.root, path)?;
    let empty =
        dir.stat(&name)?.is_some_and(|s| s.kind == Kind::Dir) && dir.open_dir(&name)?.raw_names()?.is_empty();
    if empty {
        dir.remove_dir(&name)?;
        dir.sync()?;
    }
    Ok(())
}

/// Makes a removed directory again.
pub(super) fn dir_back(context: &Context, path: &str, mode: u32, ids: Ids) -> Result<()> {
    let (dir, name) = open_parent(context.root, path)?;
    if dir.stat(&name)?.is_none() {
        dir.make_private_dir(&name)?;
        dir.sync()?;
    }
    // also when it is there: an undoing may have been cut off after making it
    let made = dir.open_dir(&name)?;
    made.set_owner_and_mode(Some(ids), mode)?;
    Ok(made.sync()?)
}

/// Removes a tree for good; an absent one is fine.
pub(super) fn whole(context: &Context, path: &str) -> Result<()> {
    if !context.at(path).parent().is_some_and(Path::is_dir) {
        return Ok(());
    }
    let (dir, name) = open_parent(context.root, path)?;
    dir.remove_tree(&name)?;
    Ok(dir.sync()?)
}

/// Moves a tree aside.
pub(super) fn tree(context: &Context, path: &str, trash: &str) -> Result<()> {
    if !sys::fs::exists(&context.at(path)) {
        return Ok(());
    }
    refuse_mounts(&context.at(path))?;
    if let Some(inner) = inside(path, trash) {
        return empty(&open(context.root, path)?, inner);
    }
    let (dir, name) = open_parent(context.root, path)?;
    let (trash_dir, trash) = open_parent(context.root, trash)?;
    trash_dir.remove_tree(&trash)?; // left by an earlier removal that could not empty it
    dir.rename_new(&name, &trash_dir, &trash)?;
    Ok(dir.sync()?)
}

/// What is mounted below a tree would be carried along and could not be removed.
fn refuse_mounts(path: &Path) -> Result<()> {
    match sys::mounts::below(path)?.into_iter().next() {
        Some(point) => {
            let why = "another file system is mounted there; unmount it first";
            Err(sys::Error::rule("remove", &point, why).into())
        }
        None => Ok(()),
    }
}

/// The name of a trash directory that lies in the tree itself: a mount point cannot be moved.
pub(super) fn inside<'a>(path: &str, trash: &'a str) -> Option<&'a str> {
    trash.strip_prefix(path)?.strip_prefix('/')
}

/// Moves all that a directory holds into `trash` in it.
fn empty(dir: &Dir, trash: &str) -> Result<()> {
    dir.remove_tree(trash)?; // the name is the service's to take, and what has it is removed anyway
    let aside = dir.create_dir(trash, 0o700, None)?;
    dir.sync()?; // what is moved must not go into something that a power cut takes away
    for name in dir.raw_names()?.iter().filter(|name| *name != trash) {
        dir.rename_new(name, &aside, name)?;
    }
    aside.sync()?;
    Ok(dir.sync()?)
}

/// Moves it back.
pub(super) fn tree_back(context: &Context, path: &str, trash: &str) -> Result<()> {
    if !sys::fs::exists(&context.at(trash)) {
        return Ok(());
    }
    if let Some(inner) = inside(path, trash) {
        let dir = open(context.root, path)?;
        let aside = dir.open_dir(inner)?;
        for name in aside.raw_names()? {
            aside.rename_new(&name, &dir, &name)?;
        }
        dir.remove_dir(inner)?;
        return Ok(dir.sync()?);
    }
    let (dir, name) = open_parent(context.root, path)?;
    let (trash_dir, trash) = open_parent(context.root, trash)?;
    trash_dir.rename_new(&trash, &dir, &name)?;
    Ok(dir.sync()?)
}

/// Moves what the installed release brought aside, entry by entry; what others put there stays.
pub(super) fn owned(context: &Context, path: &str, trash: &str) -> Result<()> {
    if !sys::fs::exists(&context.at(path)) {
        return Ok(());
    }
    let manifest =
        finish::installed(context.root, context.site)?.ok_or(Error::Lacks("the installed manifest"))?;
    let dir = open(context.root, path)?;
    let (above, name) = open_parent(context.root, trash)?;
    let aside = above.create_dir(&name, 0o700, None)?;
    make_dirs(manifest.get(), &dir, &aside)?;
    aside.sync_file_system()?; // what is moved must not go into something that a power cut takes away
    move_entries(manifest.get(), &dir, &aside)?;
    Ok(aside.sync_file_system()?)
}

/// Where an entry is, and where it is moved to; `None` when its directory is no longer the release's.
fn holders(entry: &Described, dir: &Dir, aside: &Dir) -> Result<Option<(Dir, Dir)>> {
    let Some(parent) = entry.path.parent() else {
        return Ok(Some((dir.try_clone()?, aside.try_clone()?)));
    };
    match aside.open_beneath(&parent) {
        Ok(to) => Ok(Some((dir.open_beneath(&parent)?, to))),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Makes the directories of the release aside.
fn make_dirs(manifest: &Manifest, dir: &Dir, aside: &Dir) -> Result<()> {
    for entry in manifest.entries.iter().filter(|entry| matches!(entry.kind, Entry::Dir { .. })) {
        let Some((from, to)) = holders(entry, dir, aside)? else { continue };
        if from.stat(entry.path.name())?.is_some_and(|stat| stat.kind == Kind::Dir) {
            to.create_dir(entry.path.name(), 0o700, None)?;
        }
    }
    Ok(())
}

fn move_entries(manifest: &Manifest, dir: &Dir, aside: &Dir) -> Result<()> {
    for entry in &manifest.entries {
        let Some((from, to)) = holders(entry, dir, aside)? else { continue };
        let name = entry.path.name();
        match (&entry.kind, from.stat(name)?.map(|s| s.kind)) {
            // what the host wrote into a package's configuration file is the host's
            (Entry::File { .. }, Some(Kind::File)) if carry::is_edited(entry, &from, name.as_ref())? => {}
            (Entry::File { .. }, Some(Kind::File)) | (Entry::Symlink { .. }, Some(Kind::Symlink)) => {
                from.rename_new(name, &to, name)?;
            }
            _ => {} // made already, absent, or replaced by something that the release does not own
        }
    }
    Ok(())
}

/// Moves everything back from `trash`.
pub(super) fn owned_back(context: &Context, path: &str, trash: &str) -> Result<()> {
    if !sys::fs::exists(&context.at(trash)) {
        return Ok(());
    }
    let (above, name) = open_parent(context.root, trash)?;
    let (dir, aside) = (open(context.root, path)?, above.open_dir(&name)?);
    merge_back(&aside, &dir)?;
    dir.sync()?;
    above.remove_tree(&name)?;
    Ok(above.sync()?)
}

fn merge_back(from: &Dir, to: &Dir) -> Result<()> {
    for name in from.raw_names()? {
        if from.stat(&name)?.is_some_and(|s| s.kind == Kind::Dir) {
            merge_back(&from.open_dir(&name)?, &to.open_dir(&name)?)?;
        } else {
            from.rename_new(&name, to, &name)?;
        }
    }
    Ok(to.sync()?)
}

/// After the commit: removes the directories that the release brought, which are those that
/// `trash` holds, where they are empty now.
pub(super) fn prune(context: &Context, path: &str, trash: &str) -> Result<()> {
    if !sys::fs::exists(&context.at(path)) || !sys::fs::exists(&context.at(trash)) {
        return Ok(());
    }
    let (above, name) = open_parent(context.root, path)?;
    let top = above.open_dir(&name)?;
    prune_like(&open(context.root, trash)?, &top)?;
    if top.raw_names()?.is_empty() {
        above.remove_dir(&name)?;
    }
    // all at once, and last: an error must not keep the rest from going
    Ok(above.sync_file_system()?)
}

fn prune_like(model: &Dir, dir: &Dir) -> Result<()> {
    for name in model.raw_names()? {
        let both = [model.stat(&name)?, dir.stat(&name)?];
        if both.iter().all(|stat| stat.is_some_and(|s| s.kind == Kind::Dir)) {
            let inner = dir.open_dir(&name)?;
            prune_like(&model.open_dir(&name)?, &inner)?;
            if inner.raw_names()?.is_empty() {
                dir.remove_dir(&name)?;
            }
        }
    }
    Ok(())
}
