//! A user record and its password hash.

use anyhow::Context as _;
use openssl::memcmp;
use openssl::pkcs5::scrypt;
use openssl::rand::rand_bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One record of `users.json`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    pub(crate) username: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) email: String,
    #[serde(default)]
    pub(crate) default_admin: bool,
    #[serde(default)]
    pub(crate) roles: Value,
    pub(crate) password: Hash,
    /// Came with schema 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) time_zone: Option<String>,
}

impl User {
    /// Adds what a data schema asks of a record and the record lacks.
    pub(crate) fn bring_to(&mut self, schema: u64) {
        if schema >= 2 && self.time_zone.is_none() {
            self.time_zone = Some("UTC".to_owned());
        }
    }
}

/// A salted scrypt hash; the costs are kept with it so that they may grow later.
#[derive(Serialize, Deserialize)]
pub(crate) struct Hash {
    n: u64,
    r: u64,
    p: u64,
    salt: String,
    scrypt: String,
}

const MEMORY_LIMIT: u64 = 64 << 20;

impl Hash {
    /// Hashes a secret with a fresh salt.
    pub(crate) fn of(secret: &str) -> anyhow::Result<Self> {
        let mut salt = [0u8; 16];
        rand_bytes(&mut salt).context("cannot get random bytes")?;
        let mut hash = Self { n: 16384, r: 8, p: 1, salt: hex(&salt), scrypt: String::new() };
        hash.scrypt = hash.derive(secret)?;
        Ok(hash)
    }

    /// Whether the secret is the one that was hashed, in the same time for every answer.
    pub(crate) fn matches(&self, secret: &str) -> anyhow::Result<bool> {
        let derived = self.derive(secret)?;
        let (kept, derived) = (self.scrypt.as_bytes(), derived.as_bytes());
        Ok(kept.len() == derived.len() && memcmp::eq(kept, derived))
    }

    fn derive(&self, secret: &str) -> anyhow::Result<String> {
        let mut out = [0u8; 32];
        scrypt(secret.as_bytes(), self.salt.as_bytes(), self.n, self.r, self.p, MEMORY_LIMIT, &mut out)
            .context("cannot hash")?;
        Ok(hex(&out))
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
