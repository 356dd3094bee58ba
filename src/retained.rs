//! The release that was installed before: what is known of it, kept for a rollback.
//!
//! In: bytes from the state directory. Out: a [`Retained`]. Readers ignore fields that they do not
//! know. Never holds a secret; the copies beside it may, and only root can read those.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::product::{self, Site, under};
use crate::sys;
use crate::types::{Digest, Mode};

/// Version of the form. It grows only when an older reader would go wrong.
pub const SCHEMA: u32 = 1;
/// What an installation is called that another installer made.
pub const FORMER: &str = "the former installation";
/// The record, in [`Site::retained_state`].
pub const FILE: &str = "retained.json";
/// Copy of the configuration, beside it.
pub const CONFIG: &str = "demisto.conf";
/// Copies of the units, in a directory beside it.
pub const UNITS: &str = "units";
/// Copy of the receipt, beside it.
pub const RECEIPT: &str = "receipt.json";
/// Copy of the signed manifest.
pub const MANIFEST: &str = "manifest.json";
/// Copy of its signatures.
pub const SIGNATURES: &str = "manifest.sig";

/// What is known of the retained release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retained {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The release, such as `6.14.0-3036535`; `None` for an installation by another installer.
    pub release: Option<String>,
    /// The number of the form of its data; `None` when it is not known.
    pub data_schema: Option<u64>,
    /// Its units, of which copies are kept.
    pub units: Vec<String>,
    /// Which of its units were enabled.
    #[serde(default)]
    pub enabled: Vec<String>,
    /// The mode of its directory, where another installer made it.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// SHA-256 of the configuration as the change that followed left it: while the file is still
    /// that, a rollback puts the former one back.
    pub config_after: Option<Digest>,
    /// Directory of the snapshot of its data, as the installed system sees it; outside of another
    /// root, as this program sees it.
    pub snapshot: Option<String>,
}

/// A record that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is damaged.
    #[error("the record of the retained release is damaged: {0}")]
    Damaged(String),
    /// A newer program wrote it.
    #[error("the record of the retained release has form {found}; this program reads forms up to {SCHEMA}")]
    Newer {
        /// Its form.
        found: u32,
    },
    /// The operating system refused.
    #[error(transparent)]
    Sys(#[from] sys::Error),
}

impl Retained {
    /// The release as people name it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.release.as_deref().unwrap_or(FORMER)
    }

    /// How the record names a snapshot in `dir`.
    #[must_use]
    pub fn snapshot_in(root: &str, dir: &str, id: &str) -> String {
        let inside = dir.strip_prefix(root.trim_end_matches('/')).filter(|rest| rest.starts_with('/'));
        format!("{}/{id}", inside.unwrap_or(dir))
    }

    /// Where the snapshot is: directory and name.
    #[must_use]
    pub fn snapshot_place(&self, root: &Path) -> Option<(PathBuf, String)> {
        let (dir, id) = self.snapshot.as_deref()?.rsplit_once('/')?;
        let inside = under(root, dir);
        let dir = if inside.is_dir() { inside } else { PathBuf::from(dir) };
        Some((dir, id.to_owned()))
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When it is none, or one of a form that this program must not guess at.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Form {
            schema: u32,
        }
        let damaged = |e: serde_json::Error| Error::Damaged(e.to_string());
        let form: Form = serde_json::from_slice(bytes).map_err(damaged)?;
        if form.schema > SCHEMA {
            return Err(Error::Newer { found: form.schema });
        }
        let retained: Self = serde_json::from_slice(bytes).map_err(damaged)?;
        match retained.units.iter().find(|name| !product::is_local_unit(name)) {
            Some(name) => Err(Error::Damaged(format!("{name:?} is no unit name"))),
            None => Ok(retained),
        }
    }

    /// The record as it is written.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

/// What is retained of an installation below `root`; `None` when nothing is, or its tree is gone.
///
/// # Errors
/// When the record exists but cannot be read.
pub fn read(root: &Path, site: &Site) -> Result<Option<Retained>, Error> {
    let path = under(root, &site.retained_state()).join(FILE);
    let bytes = match sys::fs::read_trusted(&path, 1 << 20) {
        Err(e) if e.is_not_found() => return Ok(None),
        other => other?,
    };
    let tree = sys::fs::stat(&under(root, &site.retained_tree()))?;
    Retained::parse(&bytes).map(|retained| tree.map(|_| retained))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Retained {
        Retained {
            schema: SCHEMA,
            release: Some("6.12.0-1".to_owned()),
            data_schema: Some(3),
            units: vec!["demisto.service".to_owned()],
            enabled: Vec::new(),
            mode: None,
            config_after: None,
            snapshot: None,
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        assert_eq!(Retained::parse(&sample().to_bytes()).unwrap(), sample());
    }

    #[test]
    fn newer_forms_and_foreign_units_are_refused() {
        let newer = Retained { schema: SCHEMA + 1, ..sample() };
        assert!(matches!(Retained::parse(&newer.to_bytes()), Err(Error::Newer { found: 2 })));
        let foreign = Retained { units: vec!["../x.service".to_owned()], ..sample() };
        assert!(matches!(Retained::parse(&foreign.to_bytes()), Err(Error::Damaged(_))));
        assert!(matches!(Retained::parse(b"{}"), Err(Error::Damaged(_))));
    }
}
