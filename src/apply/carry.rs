//! Carries over what belongs to the host: certificates and keys, the licence, and everything that
//! the release did not bring. It is copied while the service is stopped, so that the tree in the
//! documented place is whole at any time, and removed from the release that went after the commit:
//! such things exist once, and go with the tree that is live.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use super::files::{self, open};
use super::{Context, Error, Result};
use crate::journal::{Before, Journal};
use crate::manifest::{Entry as Described, Kind as Entry, Manifest};
use crate::product::{self, Site};
use crate::sys;
use crate::sys::attributes::{Attributes, Keep, keep_times};
use crate::sys::clone::{self, Options};
use crate::sys::dir::{Dir, Kind, Sort};
use crate::sys::io::Buffer;
use crate::types::Hasher;

/// What is appended to the name of a thing of the host whose name the release needs.
const SAVED: &str = ".demisto-orig";
/// Largest list of names.
const LIST_LIMIT: u64 = 256 << 20;

/// One thing of the host. Paths are below the tree and may be any bytes.
#[derive(Debug, PartialEq, Eq)]
struct Thing {
    how: How,
    source: OsString,
    target: OsString,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// It is copied with all that is in it.
    Copied,
    /// A package's configuration file, of which each release has its own: it takes the place of the other
    /// release's, which is put aside until the commit, and the original stays.
    Instead,
    /// A directory that the other tree lacks: made, since something in it is copied.
    Made,
}

impl How {
    const ALL: [Self; 3] = [Self::Copied, Self::Instead, Self::Made];

    /// Its letter in the list.
    fn tag(self) -> u8 {
        match self {
            Self::Copied => b'c',
            Self::Instead => b'i',
            Self::Made => b'm',
        }
    }

    fn of(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|how| how.tag() == tag)
    }
}

/// How many things in the installation directory belong to the host, when a release with this
/// manifest takes the place of what is there.
///
/// # Errors
/// When the directory cannot be read.
pub fn count(root: &Path, site: &Site, live: Option<&Manifest>, new: &Manifest) -> Result<u64> {
    let top = open(root, &site.tree())?;
    let things = Finder::new(live, Other::Manifest(by_path(new))).find(&top)?;
    Ok(things.iter().filter(|thing| thing.how != How::Made).count() as u64)
}

fn by_path(manifest: &Manifest) -> HashMap<&[u8], &Described> {
    manifest.entries.iter().map(|entry| (entry.path.as_str().as_bytes(), entry)).collect()
}

fn list_name(number: usize) -> String {
    format!("{number}.carried")
}

/// Writes down what will be carried.
pub(super) fn before(
    from: &str,
    to: &str,
    number: usize,
    context: &Context,
    journal: &Journal,
) -> Result<Before> {
    let manifest = context.live()?;
    if manifest.is_none() && sys::fs::exists(&context.at(&context.site.receipt_file())) {
        return Err(Error::Lacks("the installed manifest"));
    }
    let (source, target) = (open(context.root, from)?, open(context.root, to)?);
    let next = context.release.map(|release| by_path(release.manifest()));
    let things = Finder { next, ..Finder::new(manifest, Other::Tree(&target)) }.find(&source)?;
    let mut bytes = Vec::new();
    for thing in &things {
        bytes.push(thing.how.tag());
        for path in [&thing.source, &thing.target] {
            bytes.extend_from_slice(path.as_bytes());
            bytes.push(0);
        }
    }
    let list = list_name(number);
    journal.backup_dir()?.replace_file(&list, &bytes, 0o600, None)?;
    Ok(Before::Carried { list })
}

fn read_list(backups: &Dir, list: &str) -> Result<Vec<Thing>> {
    let path = backups.path_of(list);
    let mut bytes = Vec::new();
    let read = backups.open_file(list)?.take(LIST_LIMIT).read_to_end(&mut bytes);
    read.map_err(|e| sys::Error::new("read", &path, e))?;
    let damaged = || sys::Error::rule("read", &path, "it is damaged");
    let mut things = Vec::new();
    let mut parts = bytes.split(|b| *b == 0);
    while let Some((tag, source)) = parts.next().and_then(<[u8]>::split_first) {
        let how = How::of(*tag).ok_or_else(damaged)?;
        let target = parts.next().ok_or_else(damaged)?;
        let text = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        things.push(Thing { how, source: text(source), target: text(target) });
    }
    Ok(things)
}

/// Where it is looked whether the other tree has something.
enum Other<'a> {
    /// In a tree.
    Tree(&'a Dir),
    /// In what a tree will be.
    Manifest(HashMap<&'a [u8], &'a Described>),
}

/// What becomes of a package's configuration file that the host has changed, as with rpm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edited {
    /// It stays in its place (`%config(noreplace)`).
    Stays,
    /// It is kept beside the new one.
    Beside,
}

/// As much of a configuration file is read at once.
const PIECE: usize = 64 << 10;

/// Finds what belongs to the host.
struct Finder<'a> {
    live: Option<HashMap<&'a [u8], &'a Described>>,
    other: Other<'a>,
    /// What the other tree will be, where that is known.
    next: Option<HashMap<&'a [u8], &'a Described>>,
    things: Vec<Thing>,
}

impl<'a> Finder<'a> {
    fn new(live: Option<&'a Manifest>, other: Other<'a>) -> Self {
        Self { live: live.map(by_path), other, next: None, things: Vec::new() }
    }

    fn find(mut self, top: &Dir) -> Result<Vec<Thing>> {
        let other = match self.other {
            Other::Tree(dir) => Some(dir.try_clone()?),
            Other::Manifest(_) => None,
        };
        self.dir(top, other.as_ref(), OsStr::new(""), &mut Vec::new())?;
        Ok(self.things)
    }

    /// `missing` are the directories on the way that the other tree lacks and that were not noted yet.
    fn dir(
        &mut self,
        dir: &Dir,
        other: Option<&Dir>,
        path: &OsStr,
        missing: &mut Vec<OsString>,
    ) -> Result<()> {
        for (name, kind) in dir.raw_entries()? {
            let here = join(path, &name);
            let kind = match kind {
                Some(kind) => kind,
                None => match dir.stat(&name)? {
                    Some(stat) => stat.kind,
                    None => continue, // gone since
                },
            };
            let edited = self.edited(dir, &name, &here, kind)?;
            let own = path.is_empty() && name.to_str().is_some_and(product::is_host_file)
                || edited == Some(Edited::Stays);
            if !own && edited.is_none() && kind != Kind::Dir && self.is_of_live(&here, kind) {
                continue; // most of them: nothing has to be asked about these
            }
            let there = self.there(other, &here, &name)?;
            let released = !own && edited.is_none() && self.is_released(&here, kind, there);
            if kind == Kind::Dir && !own && (released || there == Some(Kind::Dir)) {
                let inner = match (other, there) {
                    (Some(other), Some(Kind::Dir)) => Some(other.open_dir(&name)?),
                    _ => None,
                };
                let known = missing.len();
                if there != Some(Kind::Dir) {
                    missing.push(here.clone());
                }
                self.dir(&dir.open_dir(&name)?, inner.as_ref(), &here, missing)?;
                missing.truncate(known);
            } else if !released {
                let target = if own { here.clone() } else { self.target((dir, other), path, &name, there)? };
                for made in missing.drain(..) {
                    self.things.push(Thing { how: How::Made, source: made.clone(), target: made });
                }
                let instead = edited == Some(Edited::Stays) && there == Some(Kind::File);
                let how = if instead { How::Instead } else { How::Copied };
                self.things.push(Thing { how, source: here, target });
            }
        }
        Ok(())
    }

    /// Whether it is a configuration file of a package that the host has changed, and what becomes of it.
    fn edited(&self, dir: &Dir, name: &OsStr, path: &OsStr, kind: Kind) -> Result<Option<Edited>> {
        let entry = self.live.as_ref().and_then(|entries| entries.get(path.as_bytes()));
        let Some((entry, package)) = entry.and_then(|entry| Some((entry, entry.package?))) else {
            return Ok(None);
        };
        if kind != Kind::File || !is_edited(entry, dir, name)? {
            return Ok(None);
        }
        // as with rpm, the next release decides what becomes of it
        let next = self.next.as_ref().and_then(|entries| entries.get(path.as_bytes()));
        let stays = next.map_or(package.noreplace, |next| next.package.is_some_and(|next| next.noreplace));
        Ok(Some(if stays { Edited::Stays } else { Edited::Beside }))
    }

    /// What the other tree has at a path.
    fn there(&self, other: Option<&Dir>, path: &OsStr, name: &OsStr) -> Result<Option<Kind>> {
        match &self.other {
            Other::Tree(_) => {
                Ok(other.map(|dir| dir.stat(name)).transpose()?.flatten().map(|stat| stat.kind))
            }
            Other::Manifest(entries) => Ok(entries.get(path.as_bytes()).map(|entry| kind_of(&entry.kind))),
        }
    }

    /// Whether the release brought it. Where nobody knows what an installer brought, all that the
    /// other tree has, too, counts as brought.
    fn is_released(&self, path: &OsStr, kind: Kind, there: Option<Kind>) -> bool {
        if self.live.is_some() { self.is_of_live(path, kind) } else { there == Some(kind) }
    }

    fn is_of_live(&self, path: &OsStr, kind: Kind) -> bool {
        let entry = self.live.as_ref().and_then(|entries| entries.get(path.as_bytes()));
        entry.is_some_and(|entry| kind_of(&entry.kind) == kind)
    }

    /// The name that a thing gets in the other tree: its own; another when that is taken; its own
    /// again when it had got another for a release that is about to go.
    fn target(
        &self,
        (dir, other): (&Dir, Option<&Dir>),
        path: &OsStr,
        name: &OsStr,
        there: Option<Kind>,
    ) -> Result<OsString> {
        if there.is_none() {
            let former = name.as_bytes().strip_suffix(SAVED.as_bytes()).map(OsStr::from_bytes);
            if let (Some(former), Some(live)) = (former.filter(|name| !name.is_empty()), &self.live) {
                let taken =
                    dir.stat(former)?.map(|stat| self.edited(dir, former, &join(path, former), stat.kind));
                let free = taken.transpose()?.flatten().is_none()
                    && self.there(other, &join(path, former), former)?.is_none();
                if free && live.contains_key(join(path, former).as_bytes()) {
                    return Ok(join(path, former));
                }
            }
            return Ok(join(path, name));
        }
        let mut saved = name.to_owned();
        loop {
            saved.push(SAVED);
            if self.there(other, &join(path, &saved), &saved)?.is_none() {
                return Ok(join(path, &saved));
            }
        }
    }
}

/// Whether a regular file is a package's configuration file that the host has changed.
pub(super) fn is_edited(entry: &Described, dir: &Dir, name: &OsStr) -> Result<bool> {
    let Entry::File { size, sha256, .. } = entry.kind else { return Ok(false) };
    if !entry.package.is_some_and(|package| package.config) {
        return Ok(false);
    }
    let mut file = dir.open_file(name)?;
    let mut hasher = Hasher::new();
    let mut buffer = Buffer::new(PIECE);
    let read = sys::io::read(&mut file, size, &mut buffer, &mut |piece| hasher.update(piece));
    let same = sys::dir::stat_file(&file, &dir.path_of(name))?.size == size
        && read.is_ok()
        && hasher.finish() == sha256;
    Ok(!same)
}

fn kind_of(entry: &Entry) -> Kind {
    match entry {
        Entry::Dir { .. } => Kind::Dir,
        Entry::File { .. } => Kind::File,
        Entry::Symlink { .. } => Kind::Symlink,
    }
}

fn join(path: &OsStr, name: &OsStr) -> OsString {
    let mut joined = path.to_owned();
    if !joined.is_empty() {
        joined.push("/");
    }
    joined.push(name);
    joined
}

/// Opens the directory that holds `path`, component by component, and gives the last one.
fn holder<'a>(top: &Dir, path: &'a OsStr) -> Result<(Dir, &'a OsStr)> {
    let mut parts = path.as_bytes().split(|b| *b == b'/').map(OsStr::from_bytes).peekable();
    let mut dir = top.try_clone()?;
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return Ok((dir, part));
        }
        dir = dir.open_dir(part)?;
    }
    Ok((dir, OsStr::new("")))
}

/// Copies everything that was written down.
pub(super) fn perform(context: &Context, from: &str, to: &str, before: &Before) -> Result<()> {
    let Before::Carried { list } = before else { return Err(Error::Lacks("the list of what is carried")) };
    let backups = Dir::open(&super::journal_dir(context.root, context.site).join("backup"))?;
    let (source, target) = (open(context.root, from)?, open(context.root, to)?);
    let mut trees = false;
    for thing in read_list(&backups, list)? {
        trees |= carry(context, &source, &target, &thing)?;
    }
    if trees { Ok(target.sync_file_system()?) } else { Ok(target.sync()?) }
}

/// Copies one thing; tells whether a whole tree was copied, which is not durable yet.
fn carry(context: &Context, source: &Dir, target: &Dir, thing: &Thing) -> Result<bool> {
    let (from, name) = holder(source, &thing.source)?;
    let (to, new) = holder(target, &thing.target)?;
    let Some(meta) = from.meta(name)? else { return Ok(false) }; // gone since
    let stat = from.stat_self()?;
    // what the service can put there must not become a second program with rights
    let guarded = !context.owners || (stat.ids.uid == 0 && stat.mode & 0o022 == 0 && meta.stat.ids.uid == 0);
    let keep = Keep { owners: context.owners, privileges: guarded };
    let options = Options { keep, sync: true, only_reflinks: false, progress: &clone::silent };
    keep_times(&to, || {
        if thing.how == How::Made {
            to.make_private_dir(new)?;
            sys::attributes::copy(&from.open_dir(name)?, &to.open_dir(new)?, &to.path_of(new), keep)?;
            return to.sync();
        }
        if thing.how == How::Instead {
            to.rename_new(new, &to, aside(new))?;
        }
        to.remove_tree(new)?; // only what belongs to the host by its name
        match meta.sort {
            Sort::File => drop(clone::file(&from.open_file(name)?, &to, new, &options)?),
            Sort::Dir => {
                to.make_private_dir(new)?;
                let options = Options { sync: false, ..options };
                clone::tree(&from.open_dir(name)?, &to.open_dir(new)?, &options)?;
            }
            Sort::Symlink => {
                clone::symlink(&to, &from.raw_read_link(name)?, new, &Attributes::plain(&meta), keep)?;
            }
            Sort::Fifo => clone::fifo(&to, new, &Attributes::plain(&meta), keep)?,
            _ => {}
        }
        to.sync()
    })?;
    if matches!(meta.sort, Sort::Socket | Sort::Device) {
        let what = from.path_of(name);
        context.sink.warn(format!("{} is a socket or device and is not carried over", what.display()));
    }
    Ok(meta.sort == Sort::Dir && thing.how != How::Made)
}

/// The name under which the other release's own file waits for the commit.
fn aside(name: &OsStr) -> OsString {
    let mut aside = OsString::from(".");
    aside.push(name);
    aside.push(".demisto-install");
    aside
}

fn drop_aside(top: &Dir, path: &OsStr) -> Result<()> {
    let (dir, name) = holder(top, path)?;
    keep_times(&dir, || dir.remove_file(aside(name)))?;
    Ok(dir.sync()?)
}

/// Undoes it: takes the copies away again.
pub(super) fn drop_copies(context: &Context, to: &str, list: &str, journal: &Journal) -> Result<()> {
    let target = match open(context.root, to) {
        Err(Error::Sys(e)) if e.is_not_found() => return Ok(()),
        other => other?,
    };
    for thing in read_list(&journal.backup_dir()?, list)?.iter().rev() {
        remove(&target, &thing.target, thing.how)?;
    }
    Ok(target.sync()?)
}

/// After the commit: takes the originals away from the tree that went.
pub(super) fn prune(context: &Context, number: usize) -> Result<()> {
    let backups = super::journal_dir(context.root, context.site).join("backup");
    let retained = context.at(&context.site.retained_tree());
    if !sys::fs::exists(&backups.join(list_name(number))) || !sys::fs::exists(&retained) {
        return Ok(());
    }
    let tree = open(context.root, &context.site.retained_tree())?;
    let live = open(context.root, &context.site.tree())?;
    for thing in read_list(&Dir::open(&backups)?, &list_name(number))? {
        match thing.how {
            How::Copied => remove(&tree, &thing.source, How::Copied)?,
            How::Instead => drop_aside(&live, &thing.target)?,
            How::Made => {}
        }
    }
    tree.set_owner_and_mode(None, files::CLOSED)?;
    Ok(tree.sync()?)
}

fn remove(top: &Dir, path: &OsStr, how: How) -> Result<()> {
    let (dir, name) = match holder(top, path) {
        // also where the service has put something else in the way: it is not ours to clear
        Err(Error::Sys(e)) if e.is_not_found() || e.is_displaced() => return Ok(()),
        other => other?,
    };
    keep_times(&dir, || match how {
        How::Copied => dir.remove_tree(name),
        How::Instead => match dir.stat(aside(name))? {
            Some(_) => {
                dir.remove_tree(name)?;
                dir.rename_new(aside(name), &dir, name)
            }
            None => Ok(()), // it was not reached
        },
        How::Made => match dir.remove_dir(name) {
            Err(e) if e.is_displaced() => Ok(()),
            other => other,
        },
    })?;
    Ok(dir.sync()?)
}
