use std::io;

use serde::{Deserialize, Serialize};

use super::{Error, Result};
use crate::types::Digest;

/// Most bytes of content in a frame.
pub const MAX_CONTENT: u64 = 4 << 20;
/// Most bytes of a compressed frame: incompressible content plus the format's overhead.
pub const MAX_FRAME: u64 = MAX_CONTENT + (64 << 10);

/// How the frames of a payload are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// One Zstandard frame each (RFC 8878).
    Zstd,
    /// One gzip member each (RFC 1952).
    Gzip,
}

/// One independently compressed piece of the payload, as the signed manifest describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Where it begins, in bytes from the payload's start.
    pub offset: u64,
    /// Its compressed length in bytes.
    pub length: u64,
    /// The length of its content in bytes.
    pub content_length: u64,
    /// SHA-256 of the compressed bytes.
    pub sha256: Digest,
}

impl Frame {
    /// Compares `bytes` with the digest. Only what this returns can be decompressed.
    ///
    /// # Errors
    /// When the digest differs.
    pub fn check<'a>(&self, number: usize, bytes: &'a [u8]) -> Result<Checked<'a>> {
        self.compare(number, Digest::of(bytes))?;
        Ok(Checked { number, bytes, content_length: self.content_length })
    }

    /// Compares the digest of its bytes with the signed one.
    ///
    /// # Errors
    /// When they differ.
    pub fn compare(&self, number: usize, found: Digest) -> Result<()> {
        if found == self.sha256 {
            return Ok(());
        }
        Err(Error::Digest { what: format!("frame {number}"), expected: self.sha256, found })
    }
}

/// The compressed bytes of a frame whose digest held.
#[derive(Debug)]
pub struct Checked<'a> {
    number: usize,
    bytes: &'a [u8],
    content_length: u64,
}

/// What decompressing needs, kept from one frame to the next.
#[derive(Default)]
pub struct Decompressor {
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

impl std::fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decompressor")
    }
}

impl Decompressor {
    fn zstd(&mut self, bytes: &[u8], room: &mut [u8]) -> io::Result<usize> {
        let decompressor = match &mut self.zstd {
            Some(decompressor) => decompressor,
            none => none.insert(zstd::bulk::Decompressor::new()?),
        };
        decompressor.decompress_to_buffer(bytes, room)
    }
}

fn gzip(bytes: &[u8], mut room: &mut [u8]) -> io::Result<usize> {
    let length = room.len();
    io::copy(&mut flate2::read::MultiGzDecoder::new(bytes), &mut room)?; // fails when there is no room
    Ok(length.saturating_sub(room.len()))
}

impl Checked<'_> {
    /// Decompresses into the beginning of `room`, and gives that. Never writes more than the length
    /// that the manifest gives, which is at most [`MAX_CONTENT`].
    ///
    /// # Errors
    /// When the content is shorter or longer than that, the bytes are no such frame, or the room is
    /// too small.
    pub fn decompress<'a>(
        &self,
        compression: Compression,
        decompressor: &mut Decompressor,
        room: &'a mut [u8],
    ) -> Result<&'a [u8]> {
        let expected = self.content_length;
        let bad = || Error::Content { number: self.number, expected };
        if expected > MAX_CONTENT {
            return Err(bad());
        }
        let length = usize::try_from(expected).map_err(|_| bad())?;
        let room = room.get_mut(..length).ok_or_else(bad)?;
        let written = match compression {
            Compression::Zstd => decompressor.zstd(self.bytes, room),
            Compression::Gzip => gzip(self.bytes, room),
        };
        if written.ok() == Some(length) { Ok(room) } else { Err(bad()) }
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests flip bytes by position")]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn frame(bytes: &[u8], content_length: u64) -> Frame {
        let length = u64::try_from(bytes.len()).unwrap();
        Frame { offset: 0, length, content_length, sha256: Digest::of(bytes) }
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn content_comes_back() {
        let content = b"hello ".repeat(1000);
        let packed = [
            (Compression::Zstd, zstd::bulk::compress(&content, 3).unwrap()),
            (Compression::Gzip, gzip(&content)),
        ];
        for (compression, bytes) in packed {
            let mut room = vec![1; 7000];
            let frame = frame(&bytes, 6000);
            let checked = frame.check(0, &bytes).unwrap();
            let mut decompressor = Decompressor::default();
            for _ in 0..2 {
                let out = checked.decompress(compression, &mut decompressor, &mut room).unwrap();
                assert_eq!(out, content);
            }
            assert_eq!(room[6000..], [1; 1000]);
            assert!(checked.decompress(compression, &mut decompressor, &mut room[..5999]).is_err());
        }
    }

    #[test]
    fn wrong_bytes_are_never_decompressed() {
        let bytes = zstd::bulk::compress(b"hello", 3).unwrap();
        let frame = frame(&bytes, 5);
        for position in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[position] ^= 1;
            assert!(matches!(frame.check(7, &bad), Err(Error::Digest { .. })));
        }
    }

    #[test]
    fn bombs_and_lies_end_at_the_stated_length() {
        let content = vec![0; 1 << 20];
        for (compression, bytes) in [
            (Compression::Zstd, zstd::bulk::compress(&content, 3).unwrap()),
            (Compression::Gzip, gzip(&content)),
        ] {
            for stated in [0, 10, (1 << 20) - 1, (1 << 20) + 1, u64::MAX] {
                let mut room = vec![1; 2 << 20];
                let frame = frame(&bytes, stated);
                let checked = frame.check(0, &bytes).unwrap();
                let result = checked.decompress(compression, &mut Decompressor::default(), &mut room);
                assert!(matches!(result, Err(Error::Content { .. })), "{compression:?} {stated}");
                let untouched = usize::try_from(stated).map_or(0, |stated| stated.min(room.len()));
                assert!(room[untouched..].iter().all(|&byte| byte == 1), "{compression:?} {stated}");
            }
        }
    }
}
