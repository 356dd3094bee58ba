//! Compares what is installed with the signed manifest.

use std::io::Read as _;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::host::Accounts;
use crate::manifest::{Entry, Kind, Manifest};
use crate::product::{self, Owner, under};
use crate::sys;
use crate::sys::dir::{Dir, Ids, Kind as FileKind, Stat};
use crate::types::Hasher;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// The path below the installation directory.
    pub path: String,
    /// What differs: `missing`, `kind`, `content`, `mode`, `owner`, `target`.
    pub what: &'static str,
}

/// All differences. Files that the release does not own are none.
///
/// # Errors
/// When something cannot be looked at.
pub fn of(root: &Path, manifest: &Manifest, owners: bool) -> Result<Vec<Drift>> {
    let top = match Dir::open(&under(root, product::INSTALL_DIR)) {
        Ok(top) => top,
        Err(e) if e.is_not_found() => {
            return Ok(vec![Drift { path: ".".to_owned(), what: "missing" }]);
        }
        Err(e) => return Err(e.into()),
    };
    let demisto = if owners { Accounts::look_up(root, product::SERVICE_USER)?.ids() } else { None };
    let mut found = Vec::new();
    let mut buffer = vec![0; 1 << 20];
    for entry in &manifest.entries {
        if let Some(what) = entry_drift(&top, entry, owners.then_some(demisto), &mut buffer)? {
            found.push(Drift { path: entry.path.to_string(), what });
        }
    }
    Ok(found)
}

fn entry_drift(
    top: &Dir,
    entry: &Entry,
    owners: Option<Option<Ids>>,
    buffer: &mut [u8],
) -> Result<Option<&'static str>> {
    let holder = match entry.path.parent() {
        None => top.try_clone(),
        Some(parent) => top.open_beneath(&parent),
    };
    let Ok(holder) = holder else { return Ok(Some("missing")) };
    let name = entry.path.name();
    let Some(stat) = holder.stat(name)? else { return Ok(Some("missing")) };
    if let Some(demisto) = owners {
        let wanted = match entry.owner {
            Owner::Root => Some(Ids { uid: 0, gid: 0 }),
            Owner::Demisto => demisto,
        };
        if wanted != Some(stat.ids) {
            return Ok(Some("owner"));
        }
    }
    kind_drift(&holder, name, &entry.kind, stat, buffer)
}

fn kind_drift(
    holder: &Dir,
    name: &str,
    kind: &Kind,
    stat: Stat,
    buffer: &mut [u8],
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
            let mut file = holder.open_file(name)?;
            let mut hasher = Hasher::new();
            loop {
                let count =
                    file.read(buffer).map_err(|e| sys::Error::new("read", &holder.path_of(name), e))?;
                if count == 0 {
                    break;
                }
                hasher.update(buffer.get(..count).unwrap_or_default());
            }
            if hasher.finish() != *sha256 {
                return Ok(Some("content"));
            }
            Ok((mode.bits() != stat.mode).then_some("mode"))
        }
        _ => Ok(Some("kind")),
    }
}
