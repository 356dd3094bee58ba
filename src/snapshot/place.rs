//! Where snapshots may lie, and how much room they need there.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Error, Result, scan};
use crate::product::{self, under};
use crate::sys::dir::{Dir, Kind};
use crate::sys::{self, clone, mounts};

/// How the data are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// A copy that shares its blocks with the original (btrfs, XFS).
    Reflink,
    /// A compressed tar file.
    Archive,
}

impl std::fmt::Display for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Reflink => "reflink",
            Self::Archive => "archive",
        })
    }
}

/// How large a snapshot would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// The form that it would have.
    pub form: Form,
    /// Bytes of content, holes included.
    pub bytes: u64,
    /// Bytes that the data take on their file system: what putting them back needs.
    pub allocated: u64,
    /// Bytes needed at most on the file system of the snapshots.
    pub needed: u64,
    /// Bytes free there.
    pub free: u64,
    /// Number of files.
    pub files: u64,
}

/// What lists, padding and directories may take besides the content.
const ROOM: u64 = 16 << 20;
const PER_NAME: u64 = 4096;

/// The directory of snapshots below `root` when no other is chosen.
#[must_use]
pub fn default_dir(root: &Path) -> PathBuf {
    under(root, product::SNAPSHOT_DIR)
}

/// Looks how large a snapshot in `dir` would be; `dir` may be missing.
///
/// # Errors
/// When there are no data, they cannot be read, or `dir` is no place for snapshots.
pub fn estimate(root: &Path, dir: &Path) -> Result<Estimate> {
    let data = data(root)?;
    let nearest = dir.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
    check(root, nearest, dir)?;
    let place = Dir::open(nearest)?;
    let count = scan::count(&data)?;
    let form = if clone::can_reflink(&data, &place) { Form::Reflink } else { Form::Archive };
    let content = match form {
        Form::Reflink => 0,
        // what cannot be compressed grows by less than this
        Form::Archive => count.allocated.saturating_add(count.allocated / 64),
    };
    let names = count.names.saturating_mul(PER_NAME);
    Ok(Estimate {
        form,
        bytes: count.bytes,
        allocated: count.allocated,
        needed: content.saturating_add(names).saturating_add(ROOM),
        free: sys::fs::free_bytes(nearest)?,
        files: count.files,
    })
}

/// Opens the data directory; refuses when something is mounted in it.
pub(super) fn data(root: &Path) -> Result<Dir> {
    let path = under(root, product::DATA_DIR);
    match sys::fs::canonical(&path) {
        Ok(real) if real.is_dir() => {
            if let Some(point) = mounts::below(&real)?.into_iter().next() {
                return Err(Error::Mounted(point));
            }
            Ok(Dir::open(&path)?)
        }
        Err(e) if !e.is_not_found() => Err(e.into()),
        _ => Err(Error::NoData(path)),
    }
}

fn refuse<T>(path: &Path, why: impl Into<String>) -> Result<T> {
    Err(Error::Place { path: path.to_owned(), why: why.into() })
}

/// Whether snapshots may lie in `wanted`, of which `existing` is there already.
fn check(root: &Path, existing: &Path, wanted: &Path) -> Result<()> {
    if !wanted.is_absolute() || wanted.components().any(|part| part == std::path::Component::ParentDir) {
        return refuse(wanted, "give an absolute path without ..");
    }
    let real = sys::fs::canonical(existing)?;
    let rest = wanted.strip_prefix(existing).unwrap_or(Path::new(""));
    let whole = real.join(rest);
    // where another root lies is its owner's choice; what counts below it are its own directories
    let below = root != Path::new("/") && whole.starts_with(sys::fs::canonical(root)?);
    for temporary in ["/tmp", "/var/tmp"] {
        if (whole.starts_with(temporary) && !below) || whole.starts_with(under(root, temporary)) {
            return refuse(wanted, format!("what is in {temporary} may be removed at any time"));
        }
    }
    for own in [product::DATA_DIR, product::INSTALL_DIR, product::LOG_DIR] {
        let own = under(root, own);
        let own = sys::fs::canonical(&own).unwrap_or(own);
        if whole.starts_with(&own) {
            return refuse(wanted, format!("it lies in {}, which changes with the product", own.display()));
        }
    }
    for above in real.ancestors() {
        let Some(stat) = sys::fs::stat(above)? else { continue };
        if stat.mode & 0o022 != 0 && stat.mode & 0o1000 == 0 {
            return refuse(wanted, format!("others can write {}", above.display()));
        }
        if stat.ids.uid != 0 && stat.ids.uid != sys::env::uid() {
            return refuse(wanted, format!("{} belongs to somebody else", above.display()));
        }
    }
    let dir = Dir::open(&real)?;
    if sys::fs::is_in_memory(&dir)? {
        return refuse(wanted, "its file system lies in memory and is lost at the next start");
    }
    Ok(())
}

/// Opens the directory of snapshots, which must be ours.
pub(super) fn open(root: &Path, dir: &Path) -> Result<Dir> {
    check(root, dir, dir)?;
    trusted(dir)
}

/// Opens it to read: what is read from it is laid out as root, so nobody else may write it.
pub(super) fn trusted(dir: &Path) -> Result<Dir> {
    let opened = Dir::open(dir)?;
    let stat = opened.stat_self()?;
    if stat.kind != Kind::Dir || (stat.ids.uid != 0 && stat.ids.uid != sys::env::uid()) {
        return refuse(dir, "it belongs neither to root nor to you");
    }
    if stat.mode & 0o022 != 0 {
        return refuse(dir, "others than its owner can write it (chmod 700 it)");
    }
    Ok(opened)
}

/// Makes the directory of snapshots if it is missing, and opens it.
pub(super) fn make(root: &Path, dir: &Path) -> Result<Dir> {
    if !dir.is_dir() {
        let nearest = dir.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
        check(root, nearest, dir)?;
        sys::fs::create_dir_all(dir, 0o700)?;
        if let Some(parent) = dir.parent() {
            Dir::open(parent)?.sync()?;
        }
    }
    open(root, dir)
}
