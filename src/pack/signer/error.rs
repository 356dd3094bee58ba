use std::io;

use crate::types::Fingerprint;
use crate::{sys, trust, verify};

/// Why nothing is signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or a tool cannot be run.
    #[error(transparent)]
    System(#[from] sys::Error),
    /// What is to be signed cannot be read.
    #[error("cannot read what is to be signed")]
    Read(#[source] io::Error),
    /// The key file is none.
    #[error("the signing key cannot be used: {why}")]
    KeyFile {
        /// What is wrong with it.
        why: &'static str,
    },
    /// gpg's public key is unreadable.
    #[error(transparent)]
    Trust(#[from] trust::Error),
    /// The key needs a passphrase and none was given.
    #[error("the signing key is protected by a passphrase, and none was given")]
    PassphraseMissing,
    /// The passphrase does not open the key.
    #[error("the passphrase does not open the signing key")]
    PassphraseWrong,
    /// A verifier would refuse what the key signs.
    #[error("the key {fingerprint} cannot sign a release: {why}")]
    Unfit {
        /// The certificate.
        fingerprint: Fingerprint,
        /// Why.
        why: String,
    },
    /// Keys of this version are not supported for signing.
    #[error("the signing key is of a version that rpm and gpg cannot read (only version 4 is supported)")]
    UnknownVersion,
    /// Not a key id.
    #[error("{0:?} is not a fingerprint or long key id (16, 40 or 64 hexadecimal digits)")]
    KeyId(String),
    /// gpg has no such key, or more than one.
    #[error("gpg knows {found} keys with the id {key_id}; exactly one is needed")]
    GpgKey {
        /// The id.
        key_id: String,
        /// How many.
        found: usize,
    },
    /// gpg failed.
    #[error("gpg did not sign: {why}")]
    Gpg {
        /// The end of what it said, fit for a terminal.
        why: String,
    },
    /// What was made is not what was asked for.
    #[error("signing failed: {why}")]
    Signing {
        /// What is wrong.
        why: &'static str,
    },
    /// What was made does not verify.
    #[error(transparent)]
    Verify(#[from] verify::Error),
}
