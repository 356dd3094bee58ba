//! Puts entries of the release right: good copies are laid out beside, then each takes the place of
//! what is there, which is kept until the commit.
//!
//! What was done is read from the disk alone. A staged entry that is no longer in its directory has
//! been put into its place; what was there before lies in the trash under the same path.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use super::files::{open, open_parent};
use super::stage::{self, Owners};
use super::{Context, Error, Result, finish, remove};
use crate::manifest::{Entry, Kind};
use crate::product::{Owner, Site};
use crate::sys::dir::{self, Dir, Kind as FileKind, Trail};
use crate::sys::io::{Buffer, Output};
use crate::sys::{self, fault, signal};
use crate::types::{Digest, Hasher, RelPath};

const PIECE: usize = 1 << 20;
/// Only root may enter what is not complete, or not ours any more.
const PRIVATE: u32 = 0o700;

/// A kept file that has the content of `entry`, where the release before was the same in it, or where
/// only its attributes were changed; `None` when there is none.
///
/// # Errors
/// When one is there but cannot be read.
pub fn kept_content(root: &Path, site: &Site, entry: &Entry) -> Result<Option<File>> {
    let Kind::File { size, sha256, .. } = entry.kind else { return Ok(None) };
    for path in [site.retained_tree(), site.tree()] {
        let Ok(top) = open(root, &path) else { continue };
        let mut trail = Trail::new(&top);
        let Ok(holder) = trail.holder_of(&entry.path) else { continue };
        let Ok(mut file) = holder.open_file(entry.path.name()) else { continue };
        let shown = holder.path_of(entry.path.name());
        if dir::stat_file(&file, &shown)?.size == size && digest(&mut file, size, &shown)? == sha256 {
            return Ok(Some(holder.open_file(entry.path.name())?));
        }
    }
    Ok(None)
}

fn digest(file: &mut File, size: u64, path: &Path) -> Result<Digest> {
    let mut hasher = Hasher::new();
    sys::io::read(file, size, &mut Buffer::new(PIECE), &mut |piece| hasher.update(piece))
        .map_err(|e| sys::Error::new("read", path, e))?;
    Ok(hasher.finish())
}

/// Lays out these entries of the installed release in a directory that nobody else may enter.
pub(super) fn stage(context: &Context, path: &str, paths: &[String]) -> Result<()> {
    let manifest =
        finish::installed(context.root, context.site)?.ok_or(Error::Lacks("the installed manifest"))?;
    let wanted: BTreeSet<&str> = paths.iter().map(String::as_str).collect();
    let is_wanted = |entry: &Entry| wanted.contains(entry.path.as_str());
    let entries: Vec<&Entry> = manifest.get().entries.iter().filter(|entry| is_wanted(entry)).collect();
    let (above, name) = open_parent(context.root, path)?;
    let top = above.create_dir(&name, PRIVATE, context.ids(Owner::Root)?)?;
    let owners = Owners::look_up(context, entries.iter().copied())?;
    skeleton(&entries, &top, owners)?;
    match context.release {
        Some(release) => stage::files(release, &top, owners, context, &is_wanted)?,
        None => copies(&entries, &top, owners, context)?,
    }
    for entry in entries.iter().rev() {
        if let Kind::Dir { mode } = entry.kind {
            let dir = open_holder(&top, &entry.path)?.open_dir(entry.path.name())?;
            dir.set_owner_and_mode(owners.of(entry.owner), mode.bits())?;
        }
    }
    Ok(top.sync_file_system()?)
}

/// Directories, also those above that are only held ready, and links.
fn skeleton(entries: &[&Entry], top: &Dir, owners: Owners) -> Result<()> {
    for entry in entries {
        let holder = make_holder(top, &entry.path)?;
        match &entry.kind {
            Kind::Dir { .. } => holder.make_private_dir(entry.path.name())?,
            Kind::Symlink { target } => {
                holder.create_symlink(target, entry.path.name(), owners.of(entry.owner))?;
            }
            Kind::File { .. } => {}
        }
    }
    Ok(())
}

/// Files whose content is on this host.
fn copies(entries: &[&Entry], top: &Dir, owners: Owners, context: &Context) -> Result<()> {
    let mut buffer = Buffer::new(PIECE);
    for entry in entries {
        if let Some(signal) = signal::pending() {
            return Err(Error::Interrupted(signal));
        }
        let Kind::File { mode, size, sha256, .. } = entry.kind else { continue };
        let shown: &Path = entry.path.as_path();
        let failed = |e| sys::Error::new("write", shown, e);
        let source = if size > 0 { kept_content(context.root, context.site, entry)? } else { None };
        let mut output = Output::new(open_holder(top, &entry.path)?.create_file(entry.path.name())?, size);
        fault::point("write content").map_err(failed)?;
        let mut hasher = Hasher::new();
        if let Some(mut source) = source {
            let mut written = Ok(());
            sys::io::read(&mut source, size, &mut buffer, &mut |piece| {
                hasher.update(piece);
                if written.is_ok() {
                    written = output.write(piece);
                }
            })
            .and(written)
            .map_err(failed)?;
        }
        if hasher.finish() != sha256 {
            return Err(Error::Appeared(shown.to_owned()));
        }
        dir::set_attributes(output.file(), shown, owners.of(entry.owner), mode.bits())?;
    }
    Ok(())
}

/// The directory in `top` that holds `path`.
fn open_holder(top: &Dir, path: &RelPath) -> Result<Dir> {
    match path.parent() {
        None => Ok(top.try_clone()?),
        Some(parent) => Ok(top.open_beneath(&parent)?),
    }
}

/// As [`open_holder`]; makes what is missing of it.
fn make_holder(top: &Dir, path: &RelPath) -> Result<Dir> {
    let mut dir = top.try_clone()?;
    let parent = path.parent();
    for part in parent.iter().flat_map(|parent| parent.as_str().split('/')) {
        if dir.stat(part)?.is_none() {
            dir.make_private_dir(part)?;
        }
        dir = dir.open_dir(part)?;
    }
    Ok(dir)
}

/// Those of the paths that lie below no other of them: a directory comes with what it holds.
fn tops(paths: &[String]) -> Result<Vec<RelPath>> {
    let all: BTreeSet<&str> = paths.iter().map(String::as_str).collect();
    let below =
        |path: &str| path.match_indices('/').any(|(at, _)| path.get(..at).is_some_and(|p| all.contains(p)));
    let parsed = |path: &&str| path.parse().map_err(|_| Error::Lacks("a path that stays in the tree"));
    all.iter().filter(|path| !below(path)).map(parsed).collect()
}

/// Puts the staged entries into their places; what is there goes to the trash.
pub(super) fn replace(context: &Context, names: (&str, &str, &str), paths: &[String]) -> Result<()> {
    let (from, to, trash) = names;
    let (above, name) = open_parent(context.root, trash)?;
    let trash = above.create_dir(&name, PRIVATE, context.ids(Owner::Root)?)?;
    above.sync()?; // the undoing takes it for the sign that something may have been moved
    let (staged, live) = (open(context.root, from)?, open(context.root, to)?);
    let tops = tops(paths)?;
    for path in &tops {
        make_holder(&trash, path)?;
    }
    trash.sync_file_system()?; // what is moved must not go into something that a power cut takes away
    for path in tops {
        let (holder, name) = (open_holder(&live, &path)?, path.name());
        if let Some(stat) = holder.stat(name)? {
            // what a directory holds that is not the release's is not ours to take away
            if stat.kind == FileKind::Dir && !holder.open_dir(name)?.raw_names()?.is_empty() {
                return Err(Error::Appeared(holder.path_of(name)));
            }
            holder.rename_new(name, &open_holder(&trash, &path)?, name)?;
        }
        open_holder(&staged, &path)?.rename_new(name, &holder, name)?;
        holder.sync()?;
    }
    Ok(above.sync_file_system()?)
}

/// Puts everything back. The trash goes last: while it is there, all that was staged is whole.
pub(super) fn replace_back(context: &Context, names: (&str, &str, &str), paths: &[String]) -> Result<()> {
    let (from, to, trash) = names;
    if !sys::fs::exists(&context.at(trash)) {
        return Ok(()); // nothing was moved, or all is back
    }
    let (above, name) = open_parent(context.root, trash)?;
    let (staged, aside) = (open(context.root, from)?, above.open_dir(&name)?);
    let live = open(context.root, to)?;
    for path in tops(paths)?.iter().rev() {
        one_back(&staged, &live, &aside, path)?;
    }
    above.sync_file_system()?;
    remove::whole(context, trash)
}

fn one_back(staged: &Dir, live: &Dir, aside: &Dir, path: &RelPath) -> Result<()> {
    let name = path.name();
    let stage_holder = open_holder(staged, path)?;
    let kept = match open_holder(aside, path) {
        Err(Error::Sys(e)) if e.is_not_found() => None,
        other => Some(other?),
    };
    let kept = match kept {
        Some(holder) if holder.stat(name)?.is_some() => Some(holder),
        _ => None,
    };
    let placed = stage_holder.stat(name)?.is_none();
    if !placed && kept.is_none() {
        return Ok(());
    }
    let holder = open_holder(live, path)?;
    if placed && holder.stat(name)?.is_some() {
        holder.rename_new(name, &stage_holder, name)?;
    }
    if let Some(kept) = kept {
        kept.rename_new(name, &holder, name)?;
    }
    Ok(holder.sync()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_comes_with_what_it_holds() {
        let paths = ["a", "a/b", "a/b/c", "ab", "d/e", "d/e/f", "d/g"].map(str::to_owned);
        let tops: Vec<String> = tops(&paths).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(tops, ["a", "ab", "d/e", "d/g"]);
        assert!(super::tops(&["../x".to_owned()]).is_err());
    }
}
