//! What was installed: written as the last step of a change, read by every later run.
//!
//! In: bytes from the state directory. Out: a [`Receipt`]. Readers ignore fields that they do not
//! know, so a newer program's receipt never blocks an older one. Never holds a secret.
#![forbid(unsafe_code)]

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::product::{self, Role};
use crate::types::{Digest, Version};
use crate::verify::Signer;

/// Version of the receipt's form. It grows only when an older reader would go wrong.
pub const SCHEMA: u32 = 1;

/// What was installed, by whom signed, and what was made for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of the program that wrote it.
    pub tool: String,
    /// When the installation was complete.
    pub installed_at: Timestamp,
    /// The product's short name.
    pub product: String,
    /// The product's name for people.
    pub title: String,
    /// Server or engine.
    pub role: Role,
    /// The release's version.
    pub version: Version,
    /// The release's build number.
    pub build: u64,
    /// The release's security epoch: the floor for later ones.
    pub epoch: u64,
    /// SHA-256 of the signed manifest, which lies beside the receipt.
    pub manifest: Digest,
    /// Who signed it: later releases must be signed by the same.
    pub signers: Vec<Signer>,
    /// Digest of the plan that was carried out.
    pub plan: Digest,
    /// The HTTPS port that was asked for.
    pub port: u16,
    /// The first administrator's name.
    pub admin_name: String,
    /// Names of the installed units.
    pub units: Vec<String>,
    /// Whether owners were set (not in a scratch root).
    pub owners: bool,
    /// Whether the account did not exist before.
    pub created_user: bool,
    /// Whether the group did not exist before.
    pub created_group: bool,
    /// The default configuration that came with the release: the base of later merges.
    pub config_base: String,
}

/// A receipt that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the receipt cannot be read: {0}")]
pub struct Error(String);

impl Receipt {
    /// Reads a receipt.
    ///
    /// # Errors
    /// When it is no receipt, or one of a form that this program must not guess at.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let receipt: Self = serde_json::from_slice(bytes).map_err(|e| Error(e.to_string()))?;
        if receipt.schema != SCHEMA {
            return Err(Error(format!("it has form {}, this program reads form {SCHEMA}", receipt.schema)));
        }
        match receipt.units.iter().find(|name| !product::is_unit_name(name)) {
            Some(name) => Err(Error(format!("{name:?} is no unit name"))),
            None => Ok(receipt),
        }
    }

    /// The receipt as it is written.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// The release as people name it.
    #[must_use]
    pub fn release(&self) -> String {
        format!("{}-{}", self.version, self.build)
    }
}
