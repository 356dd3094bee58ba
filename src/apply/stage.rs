//! Lays a release out beside its place: on all processors, in large writes, with every frame and
//! every file compared with its signed digest on the way.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::files::open_parent;
use super::{Context, Error, Result};
use crate::event::Unit;
use crate::manifest::{Entry, Kind};
use crate::product::Owner;
use crate::release::{FrameReader, Release, Run, runs};
use crate::sys::clock::Watch;
use crate::sys::dir::{self, Dir, Ids};
use crate::sys::{self, fault, signal};
use crate::types::{Hasher, human_bytes};

/// Workers beyond this number wait for each other in the file system.
const WORKERS: usize = 8;

/// Numbers of the two owners; `None` where the file already has the right one when created.
#[derive(Clone, Copy)]
struct Owners {
    root: Option<Ids>,
    demisto: Option<Ids>,
}

impl Owners {
    fn of(&self, owner: Owner) -> Option<Ids> {
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
    let top = above.create_dir(&name, 0o755, context.ids(Owner::Root)?)?;
    let needs_demisto = manifest.entries.iter().any(|entry| entry.owner == Owner::Demisto);
    let owners = Owners {
        root: context.ids(Owner::Root)?,
        demisto: if needs_demisto { context.ids(Owner::Demisto)? } else { None },
    };
    let watch = Watch::start();
    let bytes = manifest.total_size();
    context.sink.begin("laying out files", bytes, Unit::Bytes);
    let result = directories(release, &top, owners)
        .and_then(|()| files(release, &top, owners, context))
        .and_then(|()| finish_directories(release, &top, owners))
        .and_then(|()| Ok(top.sync_file_system()?));
    let millis = watch.elapsed().as_millis();
    let summary = format!("laid out {} in {millis} ms", human_bytes(bytes));
    context.sink.end(if result.is_ok() { summary } else { String::new() });
    result
}

fn open_holder(top: &Dir, entry: &Entry) -> sys::Result<Dir> {
    match entry.path.parent() {
        Some(parent) => top.open_beneath(&parent),
        None => top.try_clone(),
    }
}

/// Directories, closed to others while they are filled, and links.
fn directories(release: &Release, top: &Dir, owners: Owners) -> Result<()> {
    for entry in &release.manifest().entries {
        match &entry.kind {
            Kind::Dir { .. } => drop(open_holder(top, entry)?.create_dir(entry.path.name(), 0o700, None)?),
            Kind::Symlink { target } => {
                open_holder(top, entry)?.create_symlink(target, entry.path.name(), owners.of(entry.owner))?;
            }
            Kind::File { .. } => {}
        }
    }
    Ok(())
}

fn finish_directories(release: &Release, top: &Dir, owners: Owners) -> Result<()> {
    for entry in release.manifest().entries.iter().rev() {
        if let Kind::Dir { mode } = entry.kind {
            let dir = open_holder(top, entry)?.open_dir(entry.path.name())?;
            dir.set_owner_and_mode(owners.of(entry.owner), mode.bits())?;
        }
    }
    Ok(())
}

fn files(release: &Release, top: &Dir, owners: Owners, context: &Context) -> Result<()> {
    let runs = runs(release.manifest(), &|_| true);
    let next = AtomicUsize::new(0);
    let failure: Mutex<Option<Error>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..sys::env::workers(WORKERS) {
            scope.spawn(|| {
                let mut worker =
                    Worker { release, top, owners, holder: None, reader: FrameReader::new(release) };
                while let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = worker.run(run, context) {
                        next.store(runs.len(), Ordering::Relaxed); // the others end after their file
                        if let Ok(mut slot) = failure.lock() {
                            slot.get_or_insert(error);
                        }
                    }
                }
            });
        }
    });
    failure.into_inner().ok().flatten().map_or(Ok(()), Err)
}

struct Worker<'a> {
    release: &'a Release,
    top: &'a Dir,
    owners: Owners,
    /// The directory of the file written last: files come sorted, so it is mostly the next one's.
    holder: Option<(String, Dir)>,
    reader: FrameReader<'a>,
}

impl Worker<'_> {
    fn run(&mut self, run: &Run, context: &Context) -> Result<()> {
        for entry in &run.files {
            if let Some(signal) = signal::pending() {
                return Err(Error::Interrupted(signal));
            }
            self.write(entry, context)?;
        }
        Ok(())
    }

    fn create(&mut self, entry: &Entry) -> Result<File> {
        let parent = entry.path.parent().map(|p| p.as_str().to_owned()).unwrap_or_default();
        if self.holder.as_ref().is_none_or(|(path, _)| *path != parent) {
            self.holder = Some((parent, open_holder(self.top, entry)?));
        }
        let (_, dir) = self.holder.as_ref().ok_or(Error::Lacks("a directory"))?;
        Ok(dir.create_file(entry.path.name())?)
    }

    fn write(&mut self, entry: &Entry, context: &Context) -> Result<()> {
        let Kind::File { mode, size, sha256, at } = entry.kind else { return Ok(()) };
        let mut file = self.create(entry)?;
        let path: &Path = entry.path.as_path();
        let failed = |e| sys::Error::new("write", path, e);
        let mut hasher = Hasher::new();
        fault::point("write content").map_err(failed)?;
        self.reader.each_piece(at, size, &mut |piece| {
            hasher.update(piece);
            file.write_all(piece).map_err(failed)?;
            context.sink.advance(piece.len() as u64);
            Ok(())
        })?;
        self.release.compare(entry, sha256, hasher.finish())?;
        dir::set_attributes(&file, path, self.owners.of(entry.owner), mode.bits())?;
        Ok(())
    }
}
