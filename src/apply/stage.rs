//! Lays a release out beside its place: on all processors, large files past the page cache, with every frame and
//! every file compared with its signed digest on the way.

use std::path::Path;

use super::files::{self, open_parent};
use super::{Context, Error, Result, reuse};
use crate::event::Unit;
use crate::manifest::{Entry, Kind};
use crate::product::Owner;
use crate::release::{Give, Release};
use crate::sys::clock::Watch;
use crate::sys::dir::{self, Dir, Ids, Trail};
use crate::sys::io::Output;
use crate::sys::{self, fault};
use crate::types::{Digest, Hasher, human_bytes};

/// Most workers: beyond this number they wait for each other in the file system, and each holds two
/// frames in memory.
pub(super) const WORKERS: usize = 5;

/// Numbers of the two owners; `None` where the file already has the right one when created.
#[derive(Clone, Copy)]
pub(super) struct Owners {
    root: Option<Ids>,
    demisto: Option<Ids>,
}

impl Owners {
    /// Looks up the numbers that `entries` need.
    pub(super) fn look_up<'a>(
        context: &Context,
        mut entries: impl Iterator<Item = &'a Entry>,
    ) -> Result<Self> {
        let needs_demisto = entries.any(|entry| entry.owner == Owner::Demisto);
        Ok(Self {
            root: context.ids(Owner::Root)?,
            demisto: if needs_demisto { context.ids(Owner::Demisto)? } else { None },
        })
    }

    pub(super) fn of(&self, owner: Owner) -> Option<Ids> {
        match owner {
            Owner::Root => self.root,
            Owner::Demisto => self.demisto,
        }
    }
}

pub(super) fn stage(context: &Context, path: &str) -> Result<()> {
    let release = context.release.ok_or(Error::Lacks("the release"))?;
    let manifest = release.manifest();
    let (above, name) = open_parent(context.root, path)?;
    let top = above.create_dir(&name, files::CLOSED, context.ids(Owner::Root)?)?;
    let owners = Owners::look_up(context, manifest.entries.iter())?;
    let watch = Watch::start();
    let bytes = manifest.total_size();
    context.sink.begin("laying out files", bytes, Unit::Bytes);
    let result = directories(release, &top, owners)
        .and_then(|()| reuse::reuse(context, release, &top, owners))
        .and_then(|reused| {
            files(release, &top, owners, context, &|entry| !reused.contains(entry.path.as_str()))
        })
        .and_then(|()| finish_directories(release, &top, owners))
        .and_then(|()| Ok(top.sync_file_system()?));
    let millis = watch.elapsed().as_millis();
    let summary = format!("laid out {} in {millis} ms", human_bytes(bytes));
    context.sink.end(if result.is_ok() { summary } else { String::new() });
    result
}

/// Directories, closed to others while they are filled, and links.
fn directories(release: &Release, top: &Dir, owners: Owners) -> Result<()> {
    let mut trail = Trail::new(top);
    for entry in &release.manifest().entries {
        let name = entry.path.name();
        match &entry.kind {
            Kind::Dir { .. } => trail.holder_of(&entry.path)?.make_private_dir(name)?,
            Kind::Symlink { target } => {
                trail.holder_of(&entry.path)?.create_symlink(target, name, owners.of(entry.owner))?;
            }
            Kind::File { .. } => {}
        }
    }
    Ok(())
}

/// Those below before those above: what has its final mode may be closed to us, too.
fn finish_directories(release: &Release, top: &Dir, owners: Owners) -> Result<()> {
    let mut trail = Trail::new(top);
    for entry in release.manifest().entries.iter().rev() {
        if let Kind::Dir { mode } = entry.kind {
            let dir = trail.holder_of(&entry.path)?.open_dir(entry.path.name())?;
            dir.set_owner_and_mode(owners.of(entry.owner), mode.bits())?;
        }
    }
    Ok(())
}

/// The files that `wanted` accepts; the directories that hold them are there.
pub(super) fn files(
    release: &Release,
    top: &Dir,
    owners: Owners,
    context: &Context,
    wanted: &dyn Fn(&Entry) -> bool,
) -> Result<()> {
    let start = || Worker { release, owners, trail: Trail::new(top), context };
    let workers = sys::env::waiting_workers(WORKERS);
    release.each_file(wanted, workers, start, |worker, entries, give| worker.write(entries, give))
}

/// What only a package says of a file. Without owners there are no capabilities either: both are root's to give.
fn packaged(entry: &Entry, file: &std::fs::File, path: &Path, context: &Context) -> Result<()> {
    let Some(package) = entry.package else { return Ok(()) };
    if package.low_ports && context.owners {
        sys::xattr::allow_low_ports(file, path)?;
    }
    Ok(sys::attributes::set_modified(file, path, package.modified)?)
}

struct Worker<'a> {
    release: &'a Release,
    owners: Owners,
    trail: Trail<'a>,
    context: &'a Context<'a>,
}

impl Worker<'_> {
    /// Writes files that have the same content.
    fn write(&mut self, entries: &[&Entry], give: &mut Give) -> Result<()> {
        let mut outputs = Vec::with_capacity(entries.len());
        for entry in entries {
            let Kind::File { size, .. } = entry.kind else { continue };
            let file = self.trail.holder_of(&entry.path)?.create_file(entry.path.name())?;
            fault::point("write content").map_err(failed(entry))?;
            outputs.push((*entry, Output::new(file, size)));
        }
        let mut hasher = Hasher::new();
        give(&mut |piece| {
            hasher.update(piece);
            for (entry, output) in &mut outputs {
                output.write(piece).map_err(failed(entry))?;
                self.context.sink.advance(piece.len() as u64);
            }
            Ok(())
        })?;
        let found = hasher.finish();
        outputs.iter().try_for_each(|(entry, output)| self.finish(entry, output, found))
    }

    fn finish(&self, entry: &Entry, output: &Output, found: Digest) -> Result<()> {
        let Kind::File { mode, sha256, .. } = entry.kind else { return Ok(()) };
        self.release.compare(entry, sha256, found)?;
        let path = entry.path.as_path();
        dir::set_attributes(output.file(), path, self.owners.of(entry.owner), mode.bits())?;
        packaged(entry, output.file(), path, self.context)
    }
}

fn failed(entry: &Entry) -> impl Fn(std::io::Error) -> sys::Error {
    |e| sys::Error::new("write", entry.path.as_path(), e)
}
