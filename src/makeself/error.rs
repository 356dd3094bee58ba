use std::io;

/// A header that is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is not what makeself writes, or a shell could read it in another way.
    #[error("its makeself header is refused: {0}")]
    Header(String),
    /// The archives are not as long as the header says.
    #[error("its header says that it has {stated} bytes, and it has {found}: bytes were cut off or added")]
    Length {
        /// What header and archives have by the header.
        stated: u64,
        /// What the file has.
        found: u64,
    },
    /// An archive is of a kind that is not unpacked here.
    #[error("its archive is {0}, which is not unpacked here")]
    Unsupported(String),
    /// The file cannot be read.
    #[error("its makeself header cannot be read")]
    Read(#[from] io::Error),
}

/// A result of this room.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A refusal of the header.
    pub(super) fn header(why: impl Into<String>) -> Self {
        Self::Header(why.into())
    }
}
