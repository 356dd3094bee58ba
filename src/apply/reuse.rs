//! Takes unchanged files from the installed tree: as a reflink where the file system can share
//! blocks, else as a hard link. Each is read and compared with its signed digest first, and what is
//! linked is the very file that was read; one that was read for the plan, and not changed since, is not
//! read again. Files of the service are never shared: it may edit them.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::files::open;
use super::stage::{Owners, WORKERS};
use super::{Context, Error, Known, Result};
use crate::manifest::{Entry, Kind};
use crate::product::Owner;
use crate::release::Release;
use crate::sys::attributes::{self, Keep};
use crate::sys::clone::{self, Options};
use crate::sys::dir::{Dir, Meta, Trail};
use crate::sys::io::Buffer;
use crate::sys::{self, signal};
use crate::types::{Digest, Hasher};

/// As much is read before it is hashed.
const PIECE: usize = 256 << 10;
/// File systems allow a file 65,000 names and more.
const MOST_LINKS: u64 = 60_000;

/// Gives the paths of the files that need not be laid out any more.
pub(super) fn reuse<'a>(
    context: &Context,
    release: &'a Release,
    top: &Dir,
    owners: Owners,
) -> Result<HashSet<&'a str>> {
    let live = match open(context.root, &context.site.tree()) {
        Err(Error::Sys(e)) if e.is_not_found() => return Ok(HashSet::new()),
        other => other?,
    };
    let reflink = clone::can_reflink(&live, top);
    let entries = &release.manifest().entries;
    let reused = Mutex::new(HashSet::new());
    let start = || Worker {
        live: Trail::new(&live),
        stage: Trail::new(top),
        buffer: Buffer::new(PIECE),
        owners,
        reflink,
        keep: Keep { owners: context.owners, privileges: false },
        known: context.known,
    };
    sys::parallel::each(sys::env::waiting_workers(WORKERS), entries.len(), start, |worker, number| {
        if let Some(signal) = signal::pending() {
            return Err(Error::Interrupted(signal));
        }
        let Some(entry) = entries.get(number) else { return Ok(()) };
        if let Some(size) = worker.take(entry)? {
            context.sink.advance(size);
            reused.lock().unwrap_or_else(PoisonError::into_inner).insert(entry.path.as_str());
        }
        Ok(())
    })?;
    Ok(reused.into_inner().unwrap_or_else(PoisonError::into_inner))
}

struct Worker<'a> {
    live: Trail<'a>,
    stage: Trail<'a>,
    buffer: Buffer,
    owners: Owners,
    reflink: bool,
    keep: Keep,
    known: Option<&'a Known>,
}

impl Worker<'_> {
    /// Takes one file, if the installed one is what the release says; gives its size then.
    fn take(&mut self, entry: &Entry) -> Result<Option<u64>> {
        let Kind::File { mode, size, sha256, .. } = entry.kind else { return Ok(None) };
        // what the host may change is never shared
        if entry.owner != Owner::Root || entry.package.is_some_and(|package| package.config) {
            return Ok(None);
        }
        let name = entry.path.name();
        // whatever keeps it from being read: the payload has it, too
        let Ok(holder) = self.live.holder_of(&entry.path) else { return Ok(None) };
        let Ok(mut file) = holder.open_file(name) else { return Ok(None) };
        let path = holder.path_of(name);
        let meta = Meta::of(&file, &path)?;
        let fits = meta.stat.size == size
            && meta.stat.mode == mode.bits()
            && self.owners.of(entry.owner).is_none_or(|ids| ids == meta.stat.ids)
            && meta.links < MOST_LINKS
            && entry.package.is_none_or(|package| meta.modified.seconds == package.modified)
            && is_plain(&file, &path)?;
        if !fits {
            return Ok(None);
        }
        let known = self.known.is_some_and(|known| known.get(&meta.stamp()) == Some(&sha256));
        if !known && !self.holds(&mut file, size, sha256) {
            return Ok(None);
        }
        let stage = self.stage.holder_of(&entry.path)?;
        let taken = if self.reflink {
            let progress = &|_| Ok(());
            let options = Options { keep: self.keep, sync: false, only_reflinks: true, progress };
            clone::file(&file, stage, name.as_ref(), &options).map(drop)
        } else {
            stage.link_open_file(&file, name)
        };
        match taken {
            Ok(()) => Ok(Some(size)),
            // another file system, a file made immutable, too many names: the payload has it
            Err(e) if e.is_no_link() => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}

impl Worker<'_> {
    fn holds(&mut self, file: &mut std::fs::File, size: u64, sha256: Digest) -> bool {
        let mut hasher = Hasher::new();
        let read = sys::io::read(file, size, &mut self.buffer, &mut |piece| hasher.update(piece));
        read.is_ok() && hasher.finish() == sha256
    }
}

/// Whether nothing is attached to the file that the release does not know, such as a capability.
fn is_plain(file: &std::fs::File, path: &std::path::Path) -> Result<bool> {
    Ok(attributes::extended(file, path)?.iter().all(|(name, _)| name == "security.selinux"))
}
