//! Opens a candidate: a file that says it holds a release. Nothing in it is believed.
//!
//! In: a path, an open file, or the running program itself. Out: a [`Candidate`]: one open descriptor and where
//! the parts of a bundle, or of an RPM package, lie. Never decompresses and never interprets the manifest.
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
use crate::rpmfile::{self, Covers, Envelope};
use crate::sys;

/// A file that says it holds a release.
#[derive(Debug)]
pub struct Candidate {
    file: File,
    path: PathBuf,
    content: Content,
    signatures: Vec<u8>,
}

/// What a candidate is built like.
#[derive(Debug)]
pub enum Content {
    /// This program's own format.
    Bundle {
        /// Where the parts lie.
        parts: Parts,
        /// The manifest's bytes.
        manifest: Vec<u8>,
    },
    /// An RPM package.
    Package(Box<Envelope>),
}

impl Candidate {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, is no regular file, or is neither a whole bundle nor a package.
    pub fn open(path: &Path) -> Result<Self> {
        match sys::fs::open_existing(path) {
            Err(e) if e.is_no_file() => Err(Error::NotAFile(path.to_owned())),
            other => Self::of_file(other?, path.to_owned()),
        }
    }

    /// Opens the running program. `/proc/self/exe` leads to the very file that was started, also
    /// after it was replaced or removed.
    ///
    /// # Errors
    /// As [`Candidate::open`].
    pub fn open_self() -> Result<Self> {
        Self::of_file(sys::fs::open_existing(Path::new("/proc/self/exe"))?, sys::env::program())
    }

    /// Takes an open file; `path` is for messages.
    ///
    /// # Errors
    /// As [`Candidate::open`].
    pub fn of_file(file: File, path: PathBuf) -> Result<Self> {
        let meta = file.metadata().map_err(|e| sys::Error::new("look at", &path, e))?;
        if !meta.is_file() {
            return Err(Error::NotAFile(path));
        }
        let mut start = [0; 4];
        if meta.len() > 4 {
            read_at(&file, &path, &mut start, 0)?;
        }
        let (content, signatures) = if start == rpmfile::LEAD {
            package(&file, &path, meta.len())?
        } else {
            bundle(&file, &path, meta.len())?
        };
        Ok(Self { file, path, content, signatures })
    }

    /// Where it was opened, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is built like.
    #[must_use]
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Where the parts of a bundle lie.
    #[must_use]
    pub fn parts(&self) -> Option<Parts> {
        if let Content::Bundle { parts, .. } = &self.content { Some(*parts) } else { None }
    }

    /// The parts of a package.
    #[must_use]
    pub fn package(&self) -> Option<&Envelope> {
        if let Content::Package(envelope) = &self.content { Some(envelope) } else { None }
    }

    /// The bytes that the signatures are over: a bundle's manifest, or a package's main header.
    #[must_use]
    pub fn signed(&self) -> &[u8] {
        match &self.content {
            Content::Bundle { manifest, .. } => manifest,
            Content::Package(envelope) => envelope.header(),
        }
    }

    /// The signatures over [`Candidate::signed`], binary packets one after another.
    #[must_use]
    pub fn signatures(&self) -> &[u8] {
        &self.signatures
    }

    /// Reads bytes of the program in front of a bundle's payload.
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
        read_at(&self.file, &self.path, buffer, self.payload_offset().saturating_add(offset))
    }

    fn payload_offset(&self) -> u64 {
        match &self.content {
            Content::Bundle { parts, .. } => parts.payload_offset,
            Content::Package(envelope) => envelope.payload_offset(),
        }
    }

    /// The open file, for a tool that has to read all of it.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }
}

/// The parts and signatures of a bundle.
fn bundle(file: &File, path: &Path, length: u64) -> Result<(Content, Vec<u8>)> {
    let failed = |source| Error::Bundle { path: path.to_owned(), source };
    let mut end = [0; 80];
    let start = length.checked_sub(TRAILER_LEN).ok_or_else(|| failed(bundle::Error::NoTrailer))?;
    read_at(file, path, &mut end, start)?;
    let trailer = Trailer::parse(&end, length).map_err(failed)?;
    let parts = trailer.parts;
    let at = |offset: u64, length: u64| {
        let length = usize::try_from(length).map_err(|_| failed(bundle::Error::NoTrailer))?;
        let mut bytes = vec![0; length];
        read_at(file, path, &mut bytes, offset)?;
        Ok::<_, Error>(bytes)
    };
    let header = at(parts.manifest_offset.saturating_sub(WRAPPER_LEN), WRAPPER_LEN)?;
    let manifest = at(parts.manifest_offset, parts.manifest_length)?;
    let signatures_offset = parts.manifest_offset.saturating_add(parts.manifest_length);
    let signatures = at(signatures_offset, parts.signatures_length)?;
    trailer.check(&header, &manifest, &signatures).map_err(failed)?;
    Ok((Content::Bundle { parts, manifest }, signatures))
}

/// The parts of a package, and the signatures over its header. rpm writes one signature under two tags; it
/// counts once.
fn package(file: &File, path: &Path, length: u64) -> Result<(Content, Vec<u8>)> {
    let read = |buffer: &mut [u8], offset: u64| file.read_exact_at(buffer, offset);
    let envelope = Envelope::read(length, &read)
        .map_err(|source| Error::Package { path: path.to_owned(), source: Box::new(source) })?;
    let mut signatures: Vec<&[u8]> = Vec::new();
    for signature in envelope.signatures().iter().filter(|signature| signature.covers == Covers::Header) {
        if !signatures.contains(&signature.packets.as_slice()) {
            signatures.push(&signature.packets);
        }
    }
    let signatures = signatures.concat();
    Ok((Content::Package(Box::new(envelope)), signatures))
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
