//! The check sums that a header holds. They find damage; they say nothing about who made the file, since
//! whoever changes the archive can change them, too.

use openssl::hash::{Hasher as Md5, MessageDigest};
use serde::Serialize;

use super::Archive;
use super::cksum::Cksum;
use crate::types::{Digest, Hasher};

/// A kind of check sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sum {
    /// The CRC of the POSIX tool `cksum`.
    Crc,
    /// MD5 (RFC 1321).
    Md5,
    /// SHA-256.
    Sha256,
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Crc => "CRC",
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        })
    }
}

/// One check sum of an archive, compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Which.
    pub sum: Sum,
    /// Whether the archive has the sum that the header states.
    pub holds: bool,
}

/// The running sums of one archive, as far as its header states them.
pub struct Sums {
    archive: Archive,
    crc: Cksum,
    md5: Option<Md5>,
    sha256: Hasher,
}

impl std::fmt::Debug for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sums").field("archive", &self.archive).finish_non_exhaustive()
    }
}

impl Sums {
    /// The sums of an archive of which nothing was seen yet.
    #[must_use]
    pub fn new(archive: &Archive) -> Self {
        // a host may forbid MD5 altogether: then this sum is left out
        let md5 = archive.md5.and_then(|_| Md5::new(MessageDigest::md5()).ok());
        Self { archive: archive.clone(), crc: Cksum::default(), md5, sha256: Hasher::new() }
    }

    /// Takes in more bytes of the archive.
    pub fn update(&mut self, bytes: &[u8]) {
        if self.archive.crc.is_some() {
            self.crc.update(bytes);
        }
        if self.md5.as_mut().is_some_and(|md5| md5.update(bytes).is_err()) {
            self.md5 = None;
        }
        if self.archive.sha256.is_some() {
            self.sha256.update(bytes);
        }
    }

    /// Compares them with what the header states; nothing for a sum that it does not state.
    #[must_use]
    pub fn compare(self) -> Vec<Check> {
        let (crc, sha256) = (self.crc.finish(), self.sha256.finish());
        let md5 = self.md5.and_then(|mut md5| md5.finish().ok());
        let crc = self.archive.crc.map(|stated| Check { sum: Sum::Crc, holds: stated == crc });
        let md5 = self.archive.md5.zip(md5);
        let md5 = md5.map(|(stated, found)| Check { sum: Sum::Md5, holds: *found == stated });
        let sha256 =
            self.archive.sha256.map(|stated: Digest| Check { sum: Sum::Sha256, holds: stated == sha256 });
        [crc, md5, sha256].into_iter().flatten().collect()
    }
}
