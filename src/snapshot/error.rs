use std::path::{Path, PathBuf};

use crate::sys;

/// A snapshot that cannot be taken, read or put back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a place for snapshots.
    #[error("{} is no place for snapshots: {why}", path.display())]
    Place {
        /// The directory.
        path: PathBuf,
        /// The rule it breaks.
        why: String,
    },
    /// Another file system is mounted in the data.
    #[error("{} is a file system of its own inside the data, which a snapshot cannot hold", .0.display())]
    Mounted(PathBuf),
    /// A file with more holes than can be kept.
    #[error("{} has too many holes and too large ones to be kept; remove it, or copy it without holes", .0.display())]
    Sparse(PathBuf),
    /// There are no data.
    #[error("there is no directory {}", .0.display())]
    NoData(PathBuf),
    /// A name that no snapshot has.
    #[error("{0:?} is no name of a snapshot")]
    Id(String),
    /// No snapshot has this name.
    #[error("there is no snapshot {id} in {}", dir.display())]
    Unknown {
        /// The name.
        id: String,
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// It is not what was written.
    #[error("the snapshot {} is damaged: {why}", path.display())]
    Damaged {
        /// Its directory.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A newer program wrote it.
    #[error("the snapshot {} has form {found}; this program reads up to form {known}", path.display())]
    Newer {
        /// Its directory.
        path: PathBuf,
        /// The form that it has.
        found: u64,
        /// The newest that is known.
        known: u64,
    },
    /// The data changed while they were read: something still writes them.
    #[error("{0} changed while it was read; stop what writes it")]
    Changing(String),
    /// A signal asked the run to end.
    #[error("ended by signal {0}")]
    Interrupted(i32),
    /// The operating system refused.
    #[error(transparent)]
    Sys(#[from] sys::Error),
}

/// A result of this room.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(super) fn damaged(path: &Path, why: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), why: why.into() }
    }

    /// What a signal ended says so, whatever call it was in.
    pub(super) fn or_signal(self, interruptible: bool) -> Self {
        match (interruptible, sys::signal::pending()) {
            (true, Some(signal)) => Self::Interrupted(signal),
            _ => self,
        }
    }
}
