use std::path::PathBuf;

use crate::types::Fingerprint;
use crate::{sys, trust};

/// Why the trusted keys were not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or written, or a tool cannot be run.
    #[error(transparent)]
    System(#[from] sys::Error),
    /// The trusted keys, or the file, cannot be used.
    #[error(transparent)]
    Trust(#[from] trust::Error),
    /// Verification would refuse the key.
    #[error("the key {fingerprint} is not fit to be trusted: {why}")]
    Unfit {
        /// The key.
        fingerprint: Fingerprint,
        /// Why.
        why: String,
    },
    /// The fingerprints given are not those of the file.
    #[error("{origin} holds {}, not {}", join(.found), join(.given))]
    FingerprintMismatch {
        /// Where the keys came from.
        origin: String,
        /// What was given.
        given: Vec<Fingerprint>,
        /// What was found.
        found: Vec<Fingerprint>,
    },
    /// Nobody can be asked, and no fingerprint was given.
    #[error("cannot ask whether to trust {}: this is not a terminal", join(.found))]
    ConsentNeeded {
        /// The keys in question.
        found: Vec<Fingerprint>,
    },
    /// The question could not be put.
    #[error("cannot ask whether to trust {fingerprint}")]
    Question {
        /// The key in question.
        fingerprint: Fingerprint,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
    /// The key to remove is not trusted.
    #[error("the key {0} is not among the imported keys")]
    NotTrusted(Fingerprint),
    /// The key to remove is part of the program.
    #[error("the key {0} is built into this program and cannot be removed")]
    BuiltIn(Fingerprint),
    /// The rpm database holds no keys.
    #[error("the rpm keyring{} holds no keys", root.as_ref().map_or_else(String::new, |root| format!(" below {}", root.display())))]
    NoRpmKeys {
        /// Below which root, if not `/`.
        root: Option<PathBuf>,
    },
}

fn join(fingerprints: &[Fingerprint]) -> String {
    let texts: Vec<&str> = fingerprints.iter().map(Fingerprint::as_str).collect();
    if texts.is_empty() { "no key".to_owned() } else { texts.join(", ") }
}
