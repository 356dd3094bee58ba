//! The vendor's side: makes and signs what the installer installs.
//!
//! In: a directory tree and a signing key. Out: signed artefacts.
//! Never writes a secret key or passphrase anywhere.
#![forbid(unsafe_code)]

pub mod signer;
