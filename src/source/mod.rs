//! Opens a candidate: a file that says it holds a release. Nothing in it is believed.
//!
//! In: a path, or the running program itself. Out: a [`Candidate`]: one open descriptor and where
//! the parts lie. Never decompresses and never interprets the manifest.
//!
//! The file is opened once. Every byte that is used later is read from that descriptor into memory
//! and compared with a signed digest there, so it does not matter who can write the file meanwhile.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

mod error;
mod shape;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

pub use error::{Error, Result};
pub use shape::{Shape, sniff};

use crate::bundle::{self, Parts, TRAILER_LEN, Trailer, WRAPPER_LEN};
use crate::sys;

/// A file that says it holds a release.
#[derive(Debug)]
pub struct Candidate {
    file: File,
    path: PathBuf,
    parts: Parts,
    manifest: Vec<u8>,
    signatures: Vec<u8>,
}

impl Candidate {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, is no regular file, or is no whole bundle.
    pub fn open(path: &Path) -> Result<Self> {
        Self::from_file(sys::fs::open_existing(path)?, path.to_owned())
    }

    /// Opens the running program. `/proc/self/exe` leads to the very file that was started, also
    /// after it was replaced or removed.
    ///
    /// # Errors
    /// As [`Candidate::open`].
    pub fn open_self() -> Result<Self> {
        Self::from_file(sys::fs::open_existing(Path::new("/proc/self/exe"))?, sys::env::program())
    }

    /// Takes a file that was opened before; `path` is for messages.
    ///
    /// # Errors
    /// As [`Candidate::open`].
    pub fn from_file(file: File, path: PathBuf) -> Result<Self> {
        let meta = file.metadata().map_err(|e| sys::Error::new("look at", &path, e))?;
        if !meta.is_file() {
            return Err(Error::NotAFile(path));
        }
        let length = meta.len();
        let failed = |source| Error::Bundle { path: path.clone(), source };
        let mut end = [0; 80];
        let start = length.checked_sub(TRAILER_LEN).ok_or_else(|| failed(bundle::Error::NoTrailer))?;
        read_at(&file, &path, &mut end, start)?;
        let trailer = Trailer::parse(&end, length).map_err(failed)?;
        let parts = trailer.parts;
        let at = |offset: u64, length: u64| {
            let length = usize::try_from(length).map_err(|_| failed(bundle::Error::NoTrailer))?;
            let mut bytes = vec![0; length];
            read_at(&file, &path, &mut bytes, offset)?;
            Ok::<_, Error>(bytes)
        };
        let header = at(parts.manifest_offset.saturating_sub(WRAPPER_LEN), WRAPPER_LEN)?;
        let manifest = at(parts.manifest_offset, parts.manifest_length)?;
        let signatures_offset = parts.manifest_offset.saturating_add(parts.manifest_length);
        let signatures = at(signatures_offset, parts.signatures_length)?;
        trailer.check(&header, &manifest, &signatures).map_err(failed)?;
        Ok(Self { file, path, parts, manifest, signatures })
    }

    /// Where it was opened, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the parts lie.
    #[must_use]
    pub fn parts(&self) -> Parts {
        self.parts
    }

    /// The manifest's bytes.
    #[must_use]
    pub fn manifest(&self) -> &[u8] {
        &self.manifest
    }

    /// The signatures' bytes.
    #[must_use]
    pub fn signatures(&self) -> &[u8] {
        &self.signatures
    }

    /// Reads bytes of the program in front of the payload.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read_stub(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        read_at(&self.file, &self.path, buffer, offset)
    }

    /// Fills `buffer` with bytes of the payload from `offset` on, counted from the payload's start.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read_payload(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        read_at(&self.file, &self.path, buffer, self.parts.payload_offset.saturating_add(offset))
    }
}

fn read_at(file: &File, path: &Path, buffer: &mut [u8], offset: u64) -> Result<()> {
    Ok(file.read_exact_at(buffer, offset).map_err(|e| sys::Error::new("read", path, e))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(matches!(Candidate::open(&pipe), Err(Error::NotAFile(_))));
    }
}
