//! Compares what is installed with the signed manifest.

mod host;

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use serde::Serialize;

use crate::apply::Known;
use crate::host::Accounts;
use crate::manifest::{Entry, Kind, Manifest};
pub use host::{Found, all};

use crate::plan;
use crate::product::{self, Owner, Site};
use crate::sys;
use crate::sys::dir::{Dir, Ids, Kind as FileKind, Meta, Stat, Trail};
use crate::sys::io::Buffer;
use crate::sys::xattr;
use crate::types::{Digest, Hasher};

/// Most files that are read at once.
const WORKERS: usize = 8;
/// As much is read at once: large enough that the device is busy, and little beside the other memory.
const PIECE: usize = 1 << 20;

const ROOT: Ids = Ids { uid: 0, gid: 0 };

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// The path below the installation directory, or absolute when it lies elsewhere.
    pub path: String,
    /// What differs: `missing`, `kind`, `content`, `mode`, `owner`, `target`, `capability`; of the host
    /// also `label`, `enablement`, `account`.
    pub what: &'static str,
}

/// The path of the installation directory itself.
pub(super) const TOP: &str = ".";

/// All differences in the tree. Files that the release does not own are none.
///
/// # Errors
/// When something cannot be looked at.
pub fn of(root: &Path, site: &Site, manifest: &Manifest, owners: bool) -> Result<Vec<Drift>> {
    of_tree(root, &site.tree(), manifest, owners)
}

/// As [`of`], in another place.
///
/// # Errors
/// When something cannot be looked at.
pub fn of_tree(root: &Path, path: &str, manifest: &Manifest, owners: bool) -> Result<Vec<Drift>> {
    read_tree(root, path, manifest, owners).map(|(drift, _)| drift)
}

/// How many entries of the tree differ in kind, size, mode, owner or a link's target. No file is opened.
///
/// # Errors
/// When something cannot be looked at.
pub(super) fn attributes(root: &Path, site: &Site, manifest: &Manifest, owners: bool) -> Result<usize> {
    let Ok(top) = tree(root, &site.tree())? else { return Ok(1) };
    let demisto = if owners { Accounts::look_up(root, product::SERVICE_USER)?.ids() } else { None };
    let mut trail = Trail::new(&top);
    let mut count = usize::from(attributes_drift(top.stat_self()?, plan::TREE_MODE.bits(), owners).is_some());
    for entry in &manifest.entries {
        let found = entry_drift(&mut trail, entry, owners.then_some(demisto), None)?;
        count = count.saturating_add(usize::from(found.is_some()));
    }
    Ok(count)
}

/// As [`of`]; gives what was read as well, for whoever wants it next.
///
/// # Errors
/// When something cannot be looked at.
pub fn read(root: &Path, site: &Site, manifest: &Manifest, owners: bool) -> Result<(Vec<Drift>, Known)> {
    read_tree(root, &site.tree(), manifest, owners)
}

fn read_tree(root: &Path, path: &str, manifest: &Manifest, owners: bool) -> Result<(Vec<Drift>, Known)> {
    let top = match tree(root, path)? {
        Ok(top) => top,
        Err(what) => return Ok((vec![Drift { path: TOP.to_owned(), what }], Known::new())),
    };
    let demisto = if owners { Accounts::look_up(root, product::SERVICE_USER)?.ids() } else { None };
    let found = Mutex::new(Vec::new());
    let known = Mutex::new(Known::new());
    let start = || (Trail::new(&top), Reader { buffer: Buffer::new(PIECE), known: &known });
    let entries = &manifest.entries;
    sys::parallel::each(
        sys::env::waiting_workers(WORKERS),
        entries.len(),
        start,
        |(trail, reader), number| {
            let Some(entry) = entries.get(number) else { return Ok(()) };
            if let Some(what) = entry_drift(trail, entry, owners.then_some(demisto), Some(reader))? {
                let drift = Drift { path: entry.path.to_string(), what };
                found.lock().unwrap_or_else(PoisonError::into_inner).push((number, drift));
            }
            anyhow::Ok(())
        },
    )?;
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|(number, _)| *number);
    let above = attributes_drift(top.stat_self()?, plan::TREE_MODE.bits(), owners);
    let above = above.map(|what| Drift { path: TOP.to_owned(), what });
    let drift = above.into_iter().chain(found.into_iter().map(|(_, drift)| drift)).collect();
    Ok((drift, known.into_inner().unwrap_or_else(PoisonError::into_inner)))
}

/// Reads files, and writes down what it read.
struct Reader<'a> {
    buffer: Buffer,
    known: &'a Mutex<Known>,
}

impl Reader<'_> {
    fn digest(&mut self, file: &mut std::fs::File, size: u64, path: &Path) -> sys::Result<Digest> {
        let before = Meta::of(file, path)?.stamp();
        let mut hasher = Hasher::new();
        sys::io::read(file, size, &mut self.buffer, &mut |piece| hasher.update(piece))
            .map_err(|e| sys::Error::new("read", path, e))?;
        let digest = hasher.finish();
        if !before.is_fresh(sys::clock::now()) && Meta::of(file, path)?.stamp() == before {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(before, digest);
        }
        Ok(digest)
    }
}

/// Opens the installation directory, which is no link; else the word for what it is.
fn tree(root: &Path, path: &str) -> Result<std::result::Result<Dir, &'static str>> {
    let (above, name) = path.rsplit_once('/').unwrap_or_default();
    let above = match Dir::open_in(root, above) {
        Err(e) if e.is_not_found() => return Ok(Err("missing")),
        other => other?,
    };
    Ok(match above.stat(name)?.map(|stat| stat.kind) {
        None => Err("missing"),
        Some(FileKind::Dir) => Ok(above.open_dir(name)?),
        Some(_) => Err("kind"),
    })
}

/// What differs from root's with this mode.
fn attributes_drift(stat: Stat, mode: u32, owners: bool) -> Option<&'static str> {
    if owners && stat.ids != ROOT {
        return Some("owner");
    }
    (stat.mode != mode).then_some("mode")
}

/// What differs; without a reader as far as that is seen from outside.
fn entry_drift(
    trail: &mut Trail,
    entry: &Entry,
    owners: Option<Option<Ids>>,
    reader: Option<&mut Reader>,
) -> Result<Option<&'static str>> {
    let Ok(holder) = trail.holder_of(&entry.path) else { return Ok(Some("missing")) };
    let name = entry.path.name();
    let Some(stat) = holder.stat(name)? else { return Ok(Some("missing")) };
    if let Some(demisto) = owners {
        let wanted = match entry.owner {
            Owner::Root => Some(ROOT),
            Owner::Demisto => demisto,
        };
        if wanted != Some(stat.ids) {
            return Ok(Some("owner"));
        }
    }
    if entry.package.is_some_and(|package| package.config) {
        return Ok((stat.kind != FileKind::File).then_some("kind")); // the host may change it
    }
    // without owners, no capability was given either
    let low_ports = owners.is_some() && entry.package.is_some_and(|package| package.low_ports);
    kind_drift(holder, name, (&entry.kind, low_ports), stat, reader)
}

fn kind_drift(
    holder: &Dir,
    name: &str,
    (kind, low_ports): (&Kind, bool),
    stat: Stat,
    reader: Option<&mut Reader>,
) -> Result<Option<&'static str>> {
    match (kind, stat.kind) {
        (Kind::Dir { mode }, FileKind::Dir) => Ok((mode.bits() != stat.mode).then_some("mode")),
        (Kind::Symlink { target }, FileKind::Symlink) => {
            Ok((holder.read_link(name)? != *target).then_some("target"))
        }
        (Kind::File { mode, size, sha256, .. }, FileKind::File) => {
            if *size != stat.size {
                return Ok(Some("content"));
            }
            let Some(reader) = reader else { return Ok((mode.bits() != stat.mode).then_some("mode")) };
            let mut file = holder.open_file(name)?;
            if reader.digest(&mut file, *size, &holder.path_of(name))? != *sha256 {
                return Ok(Some("content"));
            }
            if mode.bits() != stat.mode {
                return Ok(Some("mode"));
            }
            let found = xattr::low_ports(&file, &holder.path_of(name))?;
            Ok((found != low_ports.then_some(true)).then_some("capability"))
        }
        _ => Ok(Some("kind")),
    }
}
