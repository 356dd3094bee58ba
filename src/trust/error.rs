use std::path::PathBuf;

use crate::sys;
use crate::types::Fingerprint;

/// Why the trusted keys or the policy cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or directory cannot be read or breaks a rule of ownership.
    #[error(transparent)]
    System(#[from] sys::Error),
    /// A key file that is none.
    #[error("{origin} is not a usable key file: {why}")]
    KeyFile {
        /// Where the bytes came from.
        origin: String,
        /// What is wrong with them.
        why: String,
    },
    /// A key file with a secret key in it.
    #[error("{origin} holds the secret key of {fingerprint}; a trusted key file holds public keys only")]
    SecretKey {
        /// Where the bytes came from.
        origin: String,
        /// Whose secret key it is.
        fingerprint: Fingerprint,
    },
    /// The directory of trusted keys is not guarded.
    #[error("{} cannot be trusted: {why}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The rule it breaks.
        why: &'static str,
    },
    /// The policy file makes no sense.
    #[error("{} is not a valid trust policy: {why}", path.display())]
    Policy {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column where they are known.
        why: String,
    },
}
