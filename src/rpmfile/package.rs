use crate::archive::Method;
use crate::types::Digest;

use super::{Dependency, File, Result, Scriptlet};

/// What the main header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// `Name`: letters, digits and `._+-`.
    pub name: String,
    /// `Epoch`, which counts as 0 when there is none.
    pub epoch: Option<u32>,
    /// `Version`.
    pub version: String,
    /// `Release`.
    pub release: String,
    /// The architecture as rpm calls it: `x86_64`, `noarch`.
    pub arch: String,
    /// The operating system as rpm calls it: `linux`.
    pub os: String,
    /// One line about it.
    pub summary: String,
    /// Who made it; empty when the header doesn't say.
    pub vendor: String,
    /// Its licence; empty when the header doesn't say.
    pub license: String,
    /// When it was built, Unix seconds; 0 when the header doesn't say.
    pub build_time: u64,
    /// The format's version: 4 or 6.
    pub format: u8,
    /// What follows the header.
    pub payload: Payload,
    /// Its files, in the order of the header.
    pub files: Vec<File>,
    /// Its scriptlets and triggers.
    pub scriptlets: Vec<Scriptlet>,
    /// What must be there.
    pub requires: Vec<Dependency>,
    /// What it brings.
    pub provides: Vec<Dependency>,
    /// What must not be there.
    pub conflicts: Vec<Dependency>,
    /// What it takes the place of.
    pub obsoletes: Vec<Dependency>,
}

/// What the header says about the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// How it is compressed.
    pub method: Method,
    /// Over the payload as it lies in the file.
    pub sha256: Option<Digest>,
    /// Over the cpio archive.
    pub sha256_content: Option<Digest>,
    /// Whether the archive has rpm's own form for files of 4 GiB and more (`07070X`).
    pub large: bool,
}

impl Package {
    /// Reads a main header, the bytes of [`Envelope::header`](super::Envelope::header).
    ///
    /// # Errors
    /// When the header is not as rpm writes one, or says something that this program would not do as rpm does.
    pub fn parse(header: &[u8]) -> Result<Self> {
        let _ = header;
        Err(super::Error::NotRpm)
    }
}
