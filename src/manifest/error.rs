/// A manifest that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No JSON, or a field is missing or of the wrong kind.
    #[error("the manifest cannot be read: {0}")]
    Syntax(String),
    /// A format that this program does not know.
    #[error("the manifest has format {0}, this program reads format 1")]
    Format(u32),
    /// A field that must be understood but is not.
    #[error("the manifest demands that {0:?} be understood, which this program does not")]
    Critical(String),
    /// Parts contradict each other.
    #[error("the manifest contradicts itself: {what}: {why}")]
    Inconsistent {
        /// The part.
        what: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// A package asks for something that this program does not lay out.
    #[error("the package is refused: {what}: {why}")]
    Package {
        /// What of it.
        what: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// The package's header is refused.
    #[error(transparent)]
    Header(#[from] crate::rpmfile::Error),
    /// A value is odd.
    #[error(transparent)]
    Value(#[from] crate::types::Error),
}

/// A result of this room.
pub type Result<T> = std::result::Result<T, Error>;
