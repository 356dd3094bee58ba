use std::io::Read as _;

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
        let found = Digest::of(bytes);
        if found != self.sha256 {
            return Err(Error::Digest { what: format!("frame {number}"), expected: self.sha256, found });
        }
        Ok(Checked { number, bytes, content_length: self.content_length })
    }
}

/// The compressed bytes of a frame whose digest held.
#[derive(Debug)]
pub struct Checked<'a> {
    number: usize,
    bytes: &'a [u8],
    content_length: u64,
}

impl Checked<'_> {
    /// Decompresses into `content`, which is cleared first. Never writes more than the length that
    /// the manifest gives, which is at most [`MAX_CONTENT`].
    ///
    /// # Errors
    /// When the content is shorter or longer than that, or the bytes are no such frame.
    pub fn decompress(&self, compression: Compression, content: &mut Vec<u8>) -> Result<()> {
        let expected = self.content_length;
        let bad = || Error::Content { number: self.number, expected };
        let length = usize::try_from(expected.min(MAX_CONTENT)).map_err(|_| bad())?;
        content.clear();
        match compression {
            Compression::Zstd => {
                content.resize(length, 0);
                let written = zstd::bulk::decompress_to_buffer(self.bytes, content.as_mut_slice());
                content.truncate(written.map_err(|_| bad())?);
            }
            Compression::Gzip => {
                let mut reader =
                    flate2::read::MultiGzDecoder::new(self.bytes).take(expected.saturating_add(1));
                reader.read_to_end(content).map_err(|_| bad())?;
            }
        }
        if content.len() == length && expected <= MAX_CONTENT { Ok(()) } else { Err(bad()) }
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
            let mut out = vec![1, 2, 3];
            let frame = frame(&bytes, 6000);
            frame.check(0, &bytes).unwrap().decompress(compression, &mut out).unwrap();
            assert_eq!(out, content);
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
                let mut out = Vec::new();
                let frame = frame(&bytes, stated);
                let result = frame.check(0, &bytes).unwrap().decompress(compression, &mut out);
                assert!(matches!(result, Err(Error::Content { .. })), "{compression:?} {stated}");
                assert!(out.len() <= (1 << 20) + 1);
            }
        }
    }
}
