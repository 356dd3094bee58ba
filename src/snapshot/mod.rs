//! Snapshots of the product's data: taken, read back and compared, put back, removed.
//!
//! In: the root and a directory for snapshots. Out: a directory for each, complete or not there at
//! all. Must never follow a link in the data, leave the target when it lays data out, or make a
//! program with rights out of what the service's account put into its directory.
//!
//! docs/snapshots.md describes what is in one.
#![forbid(unsafe_code)]

mod archive;
mod error;
mod place;
mod record;
mod scan;
mod store;
mod stream;
mod unpack;

use std::path::Path;

pub use error::{Error, Result};
pub use place::{Estimate, Form, default_dir, estimate};
pub use store::{
    About, Held, Listed, Pruning, Request, SCHEMA, Snapshot, Work, chosen, clean, create, is_id, list,
    new_id, open, remove,
};
pub use stream::Blob;

use crate::types::Digest;

/// A digest of the data under `root` that changes whenever something in them was changed: path,
/// kind, inode, size, mode, owner, names and times of everything. Having been moved aside and back
/// does not count as a change.
///
/// # Errors
/// When the data cannot be read or something is mounted in them.
pub fn fingerprint(root: &Path) -> Result<Digest> {
    match place::data(root) {
        Ok(data) => scan::fingerprint(Some(&data)),
        Err(Error::NoData(_)) => scan::fingerprint(None),
        Err(e) => Err(e),
    }
}

/// Whether the data directory cannot be moved as a whole: something is mounted on it, or its name is
/// a link to where it is.
///
/// # Errors
/// When it cannot be told.
pub fn is_fixed(root: &Path) -> Result<bool> {
    use crate::sys::{self, dir::Kind};

    let path = crate::product::under(root, crate::product::DATA_DIR);
    let Some(stat) = sys::fs::stat(&path)? else { return Ok(false) };
    if stat.kind == Kind::Symlink {
        return Ok(true);
    }
    let above = path.parent().map(sys::fs::stat).transpose()?.flatten();
    Ok(above.is_none_or(|above| above.dev != stat.dev) || sys::mounts::is_point(&sys::fs::canonical(&path)?)?)
}
