use crate::types::Digest;

/// A file that is no bundle, or one whose bytes are not what its manifest says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No trailer at the end.
    #[error(
        "it is no RPM package, no makeself archive, and does not end in a bundle trailer: it carries no release, or bytes were cut off or added"
    )]
    NoTrailer,
    /// The trailer contradicts itself or the file.
    #[error("the bundle is damaged: {0}")]
    Damaged(&'static str),
    /// A part is larger than allowed.
    #[error("the bundle is refused: its {what} has {found} bytes, the limit is {limit}")]
    TooLarge {
        /// The part.
        what: &'static str,
        /// Its size.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// A part's digest differs.
    #[error("{what} is not what was signed: its SHA-256 is {found}, the manifest says {expected}")]
    Digest {
        /// The part.
        what: String,
        /// What the signed manifest says.
        expected: Digest,
        /// What the file holds.
        found: Digest,
    },
    /// A frame does not decompress to what the manifest says.
    #[error("frame {number} does not decompress to {expected} bytes")]
    Content {
        /// Its number, counted from 0.
        number: usize,
        /// The length that the manifest gives.
        expected: u64,
    },
}

/// A result of this room.
pub type Result<T> = std::result::Result<T, Error>;
