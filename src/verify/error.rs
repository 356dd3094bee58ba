use super::Judgement;
use crate::types::Digest;

/// Why something is not verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The signatures do not suffice.
    #[error("refused: {}", .0.reason)]
    Refused(Box<Judgement>),
    /// Bytes that were verified once are no longer the same.
    #[error("the recorded manifest was changed: its SHA-256 is {found}, the receipt says {recorded}")]
    Changed {
        /// The digest recorded when they were verified.
        recorded: Digest,
        /// The digest they have now.
        found: Digest,
    },
    /// The signed bytes cannot be read to their end.
    #[error("cannot read what was signed")]
    Read(#[from] std::io::Error),
}
