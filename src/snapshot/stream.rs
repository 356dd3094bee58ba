//! Files that are written or read once, from beginning to end, with their digest.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Error, Result};
use crate::sys::dir::Dir;
use crate::sys::{self, fault};
use crate::types::{Digest, Hasher};

/// A file of a snapshot: what it was when it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// Its name in the snapshot.
    pub name: String,
    /// Bytes.
    pub length: u64,
    /// SHA-256 of them.
    pub sha256: Digest,
}

const PIECE: usize = 1 << 20;

/// A new file that is written from its beginning.
pub(super) struct Output {
    file: File,
    name: &'static str,
    path: PathBuf,
    waiting: Vec<u8>,
    hasher: Hasher,
    length: u64,
}

impl Output {
    pub(super) fn new(dir: &Dir, name: &'static str) -> Result<Self> {
        let (file, path) = (dir.create_file(name)?, dir.path_of(name));
        let waiting = Vec::with_capacity(PIECE * 2);
        Ok(Self { file, name, path, waiting, hasher: Hasher::new(), length: 0 })
    }

    fn pass_on(&mut self) -> io::Result<()> {
        fault::point("write snapshot")?;
        self.file.write_all(&self.waiting)?;
        self.hasher.update(&self.waiting);
        self.length = self.length.saturating_add(self.waiting.len() as u64);
        self.waiting.clear();
        Ok(())
    }

    /// Makes it durable, and gives what it is.
    pub(super) fn finish(mut self) -> Result<Blob> {
        let done = (|| {
            self.pass_on()?;
            fault::point("sync file")?;
            self.file.sync_all()
        })();
        done.map_err(|e| sys::Error::new("write", &self.path, e))?;
        sys::fs::forget(&self.file);
        Ok(Blob { name: self.name.to_owned(), length: self.length, sha256: self.hasher.finish() })
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= PIECE {
            self.pass_on()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Something compressed that is written.
pub(super) type Packed = zstd::Encoder<'static, Output>;

/// Fast: while a snapshot is taken the service stands still.
const LEVEL: i32 = 1;

pub(super) fn pack(output: Output) -> Result<Packed> {
    let path = output.path.clone();
    let begin = || {
        let mut packed = zstd::Encoder::new(output, LEVEL)?;
        packed.include_checksum(true)?;
        Ok(packed)
    };
    begin().map_err(|e: io::Error| sys::Error::new("write", &path, e).into())
}

pub(super) fn finish(packed: Packed) -> Result<Blob> {
    let path = packed.get_ref().path.clone();
    packed.finish().map_err(|e| sys::Error::new("write", &path, e))?.finish()
}

/// A file that is read from its beginning.
pub(super) struct Input {
    file: File,
    hasher: Hasher,
    length: u64,
}

impl Read for Input {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(room)?;
        self.hasher.update(room.get(..count).unwrap_or_default());
        self.length = self.length.saturating_add(count as u64);
        Ok(count)
    }
}

/// A compressed file that is read.
pub(super) type Unpacked = zstd::Decoder<'static, io::BufReader<Input>>;

pub(super) fn unpack(dir: &Dir, name: &'static str) -> Result<Unpacked> {
    let path = dir.path_of(name);
    let input = Input { file: dir.open_file(name)?, hasher: Hasher::new(), length: 0 };
    Ok(zstd::Decoder::new(input).map_err(|e| sys::Error::new("read", &path, e))?)
}

/// Reads what is left, and tells whether the file is the one that was written.
pub(super) fn require(mut unpacked: Unpacked, blob: &Blob, dir: &Dir) -> Result<()> {
    let failed = |e: io::Error| Error::damaged(dir.path(), format!("{}: {e}", blob.name));
    let more = io::copy(&mut unpacked, &mut io::sink()).map_err(failed)?;
    let mut rest = unpacked.finish();
    io::copy(&mut rest, &mut io::sink()).map_err(failed)?;
    let input = rest.into_inner();
    if more > 0 || input.length != blob.length || input.hasher.finish() != blob.sha256 {
        return Err(Error::damaged(dir.path(), format!("{} is not as it was written", blob.name)));
    }
    Ok(())
}
