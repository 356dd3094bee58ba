/// A file that is no package, or a package that is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read.
    #[error("the package cannot be read")]
    Read(#[from] std::io::Error),
    /// No RPM magic at the start.
    #[error("it is not an RPM package")]
    NotRpm,
    /// A kind of RPM file that is not installed.
    #[error("the package is refused: {0}")]
    Unsupported(&'static str),
    /// The file ends before its parts do.
    #[error("the package is cut off: {what} needs {needed} bytes, {found} are there")]
    Cut {
        /// The part.
        what: &'static str,
        /// What it says to be long, in bytes.
        needed: u64,
        /// What is there, in bytes.
        found: u64,
    },
    /// A part is larger than allowed.
    #[error("the package is refused: {what} has {found}, the limit is {limit}")]
    TooLarge {
        /// The part, and what is counted.
        what: &'static str,
        /// How much of it there is.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// A header is not built as rpm builds one.
    #[error("the package's {header} is damaged: {why}")]
    Header {
        /// Which header.
        header: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// An entry of a header is not built as rpm builds one.
    #[error("the package's {header} is damaged: tag {tag}: {why}")]
    Entry {
        /// Which header.
        header: &'static str,
        /// The entry's tag.
        tag: u32,
        /// What is wrong.
        why: &'static str,
    },
    /// A tag that every package has is not there.
    #[error("the package is refused: its header has no {0}")]
    Missing(&'static str),
    /// A tag holds a value that has no meaning here.
    #[error("the package is refused: its {what} is {value:?}: {why}")]
    Value {
        /// What the tag is called.
        what: &'static str,
        /// The value, shortened.
        value: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// A file that cannot be laid out safely.
    #[error("the package is refused: its file {path:?}: {why}")]
    File {
        /// Its path, shortened.
        path: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// A feature of rpm that this program does not have.
    #[error("the package is refused: it needs {0}, which this program does not know")]
    Feature(String),
    /// The payload is not a cpio archive as rpm writes one.
    #[error("the payload is damaged: {0}")]
    Archive(&'static str),
    /// A member of the payload is not what the header says.
    #[error("the payload is not what the header says: {path:?}: {why}")]
    Member {
        /// Its path, shortened.
        path: String,
        /// How it differs.
        why: &'static str,
    },
}

/// A result of this room.
pub type Result<T> = std::result::Result<T, Error>;

/// The start of a text from the package, for a message.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(120).collect()
}
