use std::path::PathBuf;

use crate::types::RelPath;
use crate::{bundle, manifest, rpmfile, source, sys, verify};

/// A release that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The signatures were not accepted.
    #[error(transparent)]
    Refused(#[from] verify::Error),
    /// The manifest is unusable although signed.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// The file is not shaped as the manifest says.
    #[error(
        "the signed manifest belongs to a file of another shape: bytes were inserted, removed or swapped"
    )]
    Shape,
    /// A part is not what was signed.
    #[error("{} was changed after it was signed", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which part.
        #[source]
        source: bundle::Error,
    },
    /// No such file in the payload.
    #[error("the release has no readable file {0}")]
    NoFile(RelPath),
    /// A signal asked the run to end.
    #[error("ended by signal {0}")]
    Interrupted(i32),
    /// The payload of a package is not vouched for by its header.
    #[error(
        "the package's header has no SHA-256 of its payload, so a good signature would say nothing of its files"
    )]
    NoPayloadDigest,
    /// A package of the old form.
    #[error(
        "the package is signed over header and payload together only; what is kept after an installation could not \
         be judged again"
    )]
    NoHeaderSignature,
    /// Digests beside the signatures that rpm would refuse.
    #[error("a digest beside the signatures is not that of the package's header: the file was changed")]
    Digests,
    /// The package is damaged, or not what its header says.
    #[error(transparent)]
    Package(#[from] rpmfile::Error),
    /// The candidate cannot be read.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The operating system refused.
    #[error(transparent)]
    Sys(#[from] sys::Error),
}

/// A result of this room.
pub type Result<T> = std::result::Result<T, Error>;
