use std::path::PathBuf;

use crate::{bundle, manifest, rpmfile, sys, trust, types};

/// A release that cannot be packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The description is unusable.
    #[error("{} is no usable product description: {why}", path.display())]
    Description {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Something in the tree cannot be packed.
    #[error("{} cannot be packed: {why}", path.display())]
    Tree {
        /// The thing.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A signal asked the run to end.
    #[error("ended by signal {0}; nothing was written")]
    Interrupted(i32),
    /// zstd has more levels than the others.
    #[error("gzip and xz have the levels 1 to 9")]
    Level,
    /// An option that the chosen form of the release has no use for.
    #[error("{option} does not go with --format {format}")]
    Misfit {
        /// The option.
        option: &'static str,
        /// The form.
        format: &'static str,
    },
    /// The name cannot be a package's.
    #[error("{0:?} is no name for a package: letters, digits, - and _, and demisto or d1 first")]
    Name(String),
    /// The package cannot be built.
    #[error("the package cannot be built")]
    Package(#[source] Box<::rpm::Error>),
    /// The package cannot be built, and its builder does not say why.
    #[error("the package cannot be built: {0}")]
    Builder(&'static str),
    /// The program to put in front is none.
    #[error("{} is not a Linux program (ELF)", .0.display())]
    NotAProgram(PathBuf),
    /// The output's name is unusable.
    #[error("{} is no name for an output file", .0.display())]
    Output(PathBuf),
    /// A statement about release keys cannot be packed: hosts would refuse it.
    #[error("{} cannot be used as a key rotation: {why}", path.display())]
    Rotation {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Hosts would refuse the package.
    #[error("the package that was built is unfit")]
    Unfit(#[from] rpmfile::Error),
    /// The keys for statements cannot be read.
    #[error(transparent)]
    Trust(#[from] trust::Error),
    /// The signing key is unusable or signing failed.
    #[error(transparent)]
    Signing(#[from] super::signer::Error),
    /// A path or version in the input is invalid.
    #[error(transparent)]
    Types(#[from] types::Error),
    /// The result would not be accepted.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// The parts do not fit the format.
    #[error(transparent)]
    Bundle(#[from] bundle::Error),
    /// The operating system refused.
    #[error(transparent)]
    Sys(#[from] sys::Error),
}

/// A result of this room.
pub type Result<T> = std::result::Result<T, Error>;
