//! What a release holds and asks for: the signed description.
//!
//! In: bytes whose signatures were accepted. Out: a [`Manifest`] whose parts agree with each other.
//! Never takes bytes that were not verified, except to be looked at ([`Unverified`]).
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

mod check;
mod description;
mod error;
mod package;
mod schema;

pub use check::content as check_content;
pub use description::Description;
pub use error::{Error, Result};
pub use package::{Texts, package_of, signed_part, texts_of};
pub use schema::{
    Container, Entry, Health, Kind, Manifest, Outside, Packaged, Payload, Place, Requirements, Stub, Unit,
    Upgrades,
};

use crate::rpmfile::Package;
use crate::verify::Verified;

/// The format version that this program writes and reads.
pub const FORMAT: u32 = 1;

/// Field names that a `critical` list may hold: those that this program obeys.
const KNOWN_CRITICAL: [&str; 9] =
    ["stub", "payload", "entries", "upgrades", "epoch", "schema", "requirements", "health", "rotations"];

impl Manifest {
    /// Reads verified bytes: a manifest, or the record of a package that was kept on a host.
    ///
    /// # Errors
    /// When they are no manifest of a known format, when a critical field is unknown, or when
    /// parts contradict each other.
    pub fn parse(bytes: Verified<Vec<u8>>) -> Result<Verified<Self>> {
        bytes.try_map(|bytes| Self::from_bytes(&bytes))
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        if let Some(package) = Self::of_record(bytes) {
            return package;
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(|e| Error::Syntax(e.to_string()))?;
        if manifest.format != FORMAT {
            return Err(Error::Format(manifest.format));
        }
        if let Some(name) = manifest.critical.iter().find(|name| !KNOWN_CRITICAL.contains(&name.as_str())) {
            return Err(Error::Critical(name.chars().take(60).collect()));
        }
        check::consistent(&manifest)?;
        Ok(manifest)
    }

    /// Serializes it as it is signed.
    ///
    /// # Errors
    /// When its parts contradict each other: nothing is signed that would be refused.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        check::consistent(self)?;
        serde_json::to_vec(self).map_err(|e| Error::Syntax(e.to_string()))
    }
}

/// A manifest that nobody vouches for: good for looking at, accepted nowhere else.
#[derive(Debug)]
pub struct Unverified(Manifest);

impl Unverified {
    /// Reads bytes that were not verified.
    ///
    /// # Errors
    /// As [`Manifest::parse`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        Manifest::from_bytes(bytes).map(Self)
    }

    /// What a package's header says, without the texts of its files.
    ///
    /// # Errors
    /// When it cannot be laid out as a release.
    pub fn of_header(package: &Package) -> Result<Self> {
        Manifest::of_header(package).map(Self)
    }

    /// What a package says together with the texts of its files.
    ///
    /// # Errors
    /// As [`Manifest::of_package`].
    pub fn of_package(package: &Package, texts: &Texts) -> Result<Self> {
        Manifest::of_texts(package, texts).map(Self)
    }

    /// The content, to be shown together with a warning.
    #[must_use]
    pub fn look(&self) -> &Manifest {
        &self.0
    }
}
