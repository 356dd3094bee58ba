use std::path::PathBuf;

use crate::{bundle, rpmfile, sys};

/// A candidate that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A directory, device or pipe.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// No bundle, or a damaged one.
    #[error("{} cannot be used", path.display())]
    Bundle {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: bundle::Error,
    },
    /// No package, or a damaged one.
    #[error("{} cannot be used", path.display())]
    Package {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<rpmfile::Error>,
    },
    /// The operating system refused.
    #[error(transparent)]
    Sys(#[from] sys::Error),
}

/// A result of this room.
pub type Result<T> = std::result::Result<T, Error>;
