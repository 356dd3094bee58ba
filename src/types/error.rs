/// A text or number that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not 64 hexadecimal digits.
    #[error("{0:?} is not a SHA-256 digest (64 hexadecimal digits)")]
    Digest(String),
    /// Not a path that stays inside its root.
    #[error("{path:?} is not a safe relative path: {why}")]
    RelPath {
        /// The path as given.
        path: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// Not a dotted version.
    #[error("{0:?} is not a version; expected two to four numbers with dots, such as 6.14.0")]
    Version(String),
    /// Not an octal mode.
    #[error("{0:?} is not a file mode; expected three or four octal digits, such as 0755")]
    Mode(String),
    /// Not an OpenPGP fingerprint.
    #[error("{0:?} is not an OpenPGP fingerprint (40 or 64 hexadecimal digits)")]
    Fingerprint(String),
}
