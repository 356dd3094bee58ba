//! Whom the installer believes: certificates, where they came from, and the rules they are held to.
//!
//! In: key files that root vouches for, and the policy file. Out: a [`TrustStore`] and a [`Policy`].
//! Never fetches anything, never skips a file that it cannot read, never takes a secret key.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

mod anchor;
mod error;
pub mod expiry;
mod keyring;
pub mod lint;
mod policy;
pub(crate) mod rules;
mod store;
mod text;

pub use anchor::{Anchor, Origin};
pub use error::Error;
pub(crate) use keyring::read as read_certificates;
pub use policy::Policy;
pub(crate) use store::imported_files;
pub use store::{KEYS_DIR, TrustStore};
pub use text::clean;

/// Largest key file that is read, in bytes.
pub const KEY_FILE_LIMIT: u64 = 1 << 20;
/// Most certificates in one key file.
pub const CERTIFICATE_LIMIT: usize = 64;
