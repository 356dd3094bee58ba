//! What was installed: written as the last step of a change, read by every later run.
//!
//! In: bytes from the state directory. Out: a [`Receipt`]. Readers ignore fields that they do not
//! know, so a newer program's receipt blocks an older one only when [`SCHEMA`] grew. Never holds a
//! secret. [`read`] is the only reader of the file.
#![forbid(unsafe_code)]

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::product::{self, Role, Site};
use crate::sys;
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
    /// The package that rpm's database holds because of this installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// The default configuration that came with the release: the base of later merges.
    pub config_base: String,
}

/// Largest receipt that is read, in bytes.
const LIMIT: u64 = 16 << 20;

/// A receipt that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is no receipt, or was changed.
    #[error("the receipt is damaged: {0}")]
    Damaged(String),
    /// It has a form that this program must not guess at.
    #[error(
        "the receipt was written by a newer demisto-install ({tool}): it has form {schema}, this program reads form {SCHEMA}"
    )]
    Newer {
        /// Its form.
        schema: u32,
        /// The version of the program that wrote it.
        tool: String,
    },
    /// The operating system refused, or somebody else could have written it.
    #[error(transparent)]
    Sys(#[from] sys::Error),
}

impl Error {
    /// Names the file.
    fn of(self, path: &Path) -> Self {
        match self {
            Self::Damaged(why) => Self::Damaged(format!("{}: {why}", path.display())),
            other => other,
        }
    }
}

/// What every form of a receipt has.
#[derive(Deserialize)]
struct Head {
    schema: u32,
    #[serde(default)]
    tool: String,
}

/// What is installed in a place below `root`; `None` only when there is no receipt.
///
/// # Errors
/// When there is one that cannot be read: that must never be taken for nothing installed.
pub fn read(root: &Path, site: &Site) -> Result<Option<Receipt>, Error> {
    read_file(&product::under(root, &site.receipt_file()))
}

/// As [`read`], a receipt that lies elsewhere.
///
/// # Errors
/// When there is one that cannot be read.
pub fn read_file(path: &Path) -> Result<Option<Receipt>, Error> {
    match sys::fs::read_trusted(path, LIMIT) {
        Err(e) if e.is_not_found() => Ok(None),
        other => Receipt::parse(&other?).map(Some).map_err(|error| error.of(path)),
    }
}

impl Receipt {
    /// Reads a receipt.
    ///
    /// # Errors
    /// When it is no receipt, or one of a form that this program must not guess at.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let damaged = |e: serde_json::Error| Error::Damaged(e.to_string());
        let head: Head = serde_json::from_slice(bytes).map_err(damaged)?;
        if head.schema > SCHEMA {
            return Err(Error::Newer { schema: head.schema, tool: head.tool });
        }
        if head.schema == 0 {
            return Err(Error::Damaged("there is no form 0".to_owned()));
        }
        let receipt: Self = serde_json::from_slice(bytes).map_err(damaged)?;
        match receipt.units.iter().find(|name| !product::is_local_unit(name)) {
            Some(name) => Err(Error::Damaged(format!("{name:?} is no unit name"))),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn put(text: &str) -> (tempfile::TempDir, Result<Option<Receipt>, Error>) {
        let root = tempfile::tempdir().unwrap();
        let path = product::under(root.path(), &Site::default().receipt_file());
        sys::fs::create_dir_all(path.parent().unwrap(), 0o700).unwrap();
        sys::fs::write_atomic(&path, text.as_bytes(), 0o600).unwrap();
        let read = read(root.path(), &Site::default());
        (root, read)
    }

    #[test]
    fn only_no_file_means_nothing_installed() {
        let root = tempfile::tempdir().unwrap();
        assert!(matches!(read(root.path(), &Site::default()), Ok(None)));
        for text in ["", "{", "{}", "[]", "null", "{\"schema\":1}", "{\"schema\":0}", "{\"schema\":\"9\"}"] {
            let (_root, read) = put(text);
            assert!(matches!(read, Err(Error::Damaged(_))), "{text}: {read:?}");
        }
    }

    #[test]
    fn a_newer_form_is_not_called_damage() {
        let (_root, read) = put("{\"schema\":2,\"tool\":\"9.1.0\",\"all else\":\"may differ\"}");
        let error = read.unwrap_err();
        assert!(matches!(&error, Error::Newer { schema: 2, tool } if tool == "9.1.0"), "{error:?}");
        assert!(error.to_string().contains("newer demisto-install (9.1.0)"), "{error}");
    }

    #[test]
    fn a_receipt_that_others_can_write_is_not_read() {
        let (root, _) = put("{}");
        let path = product::under(root.path(), &Site::default().receipt_file());
        sys::fs::write_atomic(&path, b"{}", 0o666).unwrap();
        assert!(matches!(read(root.path(), &Site::default()), Err(Error::Sys(_))));
    }
}
