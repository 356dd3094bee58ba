//! The end of the file, by which its parts are found.
//!
//! ```text
//! skippable frame header   8   50 2A 4D 18, then the length of all that follows, u32 LE (RFC 8878, 3.1.2)
//! manifest                 m   JSON, the signed bytes
//! signatures               s   binary OpenPGP signature packets
//! trailer                 80   0  "DEMISTO\x01"
//!                              8  payload offset   u64 LE = length of the program
//!                             16  payload length   u64 LE
//!                             24  manifest length  u64 LE
//!                             32  signatures length u64 LE
//!                             40  SHA-256 of manifest, signatures and the first 40 bytes of the trailer
//!                             72  "DMSTEND\n"
//! ```
//!
//! The wrapper makes the payload a valid `.tar.zst` for other tools: they skip what follows the
//! last frame. The digest only finds damage; authenticity comes from the signatures.

use super::{Error, Result};
use crate::types::{Digest, Hasher};

/// Length of the trailer in bytes.
pub const TRAILER_LEN: u64 = 80;
/// Length of the skippable frame's header in bytes.
pub const WRAPPER_LEN: u64 = 8;
/// Most bytes of a manifest.
pub const MAX_MANIFEST: u64 = 48 << 20;
/// Most bytes of all signatures together.
pub const MAX_SIGNATURES: u64 = 64 << 10;

const MAGIC: &[u8; 8] = b"DEMISTO\x01";
const END: &[u8; 8] = b"DMSTEND\n";
const WRAPPER_MAGIC: [u8; 4] = [0x50, 0x2A, 0x4D, 0x18];

/// Where the parts lie, in bytes from the file's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// The payload's start: the length of the program in front of it.
    pub payload_offset: u64,
    /// The payload's length.
    pub payload_length: u64,
    /// The manifest's start.
    pub manifest_offset: u64,
    /// The manifest's length.
    pub manifest_length: u64,
    /// The signatures' length; they follow the manifest.
    pub signatures_length: u64,
}

/// A trailer that fits its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// Where the parts lie.
    pub parts: Parts,
    digest: Digest,
    head: [u8; 40],
}

impl Trailer {
    /// Reads the last [`TRAILER_LEN`] bytes of a file of `file_length` bytes.
    ///
    /// # Errors
    /// When it is no trailer, when a part is too large, or when the lengths do not add up to
    /// exactly the file's length.
    pub fn parse(bytes: &[u8; 80], file_length: u64) -> Result<Self> {
        let (head, rest) = bytes.split_first_chunk::<40>().ok_or(Error::NoTrailer)?;
        let (digest, end) = rest.split_first_chunk::<32>().ok_or(Error::NoTrailer)?;
        if !head.starts_with(MAGIC) || end != END {
            return Err(Error::NoTrailer);
        }
        let [payload_offset, payload_length, manifest_length, signatures_length] = numbers(head)?;
        limit("manifest", manifest_length, MAX_MANIFEST)?;
        limit("signature block", signatures_length, MAX_SIGNATURES)?;
        let manifest_offset = sum(&[payload_offset, payload_length, WRAPPER_LEN])?;
        if sum(&[manifest_offset, manifest_length, signatures_length, TRAILER_LEN])? != file_length {
            return Err(Error::Damaged("the lengths in the trailer do not add up to the file's length"));
        }
        let parts =
            Parts { payload_offset, payload_length, manifest_offset, manifest_length, signatures_length };
        Ok(Self { parts, digest: Digest::from_bytes(*digest), head: *head })
    }

    /// Checks what lies between payload and trailer: the wrapper's header, then the digest over
    /// manifest and signatures.
    ///
    /// # Errors
    /// When a byte of it was changed.
    pub fn check(&self, header: &[u8], manifest: &[u8], signatures: &[u8]) -> Result<()> {
        if header != wrapper(&self.parts)? {
            return Err(Error::Damaged("the header in front of the manifest was changed"));
        }
        if digest(manifest, signatures, &self.head) != self.digest {
            return Err(Error::Damaged("manifest, signatures or trailer were changed"));
        }
        Ok(())
    }
}

/// The header of the skippable frame that holds manifest, signatures and trailer.
///
/// # Errors
/// When they are too large together.
pub fn wrapper(parts: &Parts) -> Result<[u8; 8]> {
    let inner = sum(&[parts.manifest_length, parts.signatures_length, TRAILER_LEN])?;
    let inner = u32::try_from(inner).map_err(|_| Error::Damaged("the manifest is too large"))?;
    let mut header = [0; 8];
    for (to, from) in header.iter_mut().zip(WRAPPER_MAGIC.into_iter().chain(inner.to_le_bytes())) {
        *to = from;
    }
    Ok(header)
}

/// The trailer of a bundle with these parts.
#[must_use]
pub fn seal(parts: &Parts, manifest: &[u8], signatures: &[u8]) -> Vec<u8> {
    let mut head = [0; 40];
    let numbers =
        [parts.payload_offset, parts.payload_length, parts.manifest_length, parts.signatures_length];
    let bytes = MAGIC.iter().copied().chain(numbers.into_iter().flat_map(u64::to_le_bytes));
    for (to, from) in head.iter_mut().zip(bytes) {
        *to = from;
    }
    let digest = digest(manifest, signatures, &head);
    [&head[..], digest.as_bytes(), END].concat()
}

fn digest(manifest: &[u8], signatures: &[u8], head: &[u8; 40]) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(manifest);
    hasher.update(signatures);
    hasher.update(head);
    hasher.finish()
}

fn numbers(head: &[u8; 40]) -> Result<[u64; 4]> {
    let mut numbers = [0; 4];
    for (number, bytes) in numbers.iter_mut().zip(head.iter().skip(8).copied().collect::<Vec<u8>>().chunks(8))
    {
        let bytes = <[u8; 8]>::try_from(bytes).map_err(|_| Error::NoTrailer)?;
        *number = u64::from_le_bytes(bytes);
    }
    Ok(numbers)
}

fn sum(numbers: &[u64]) -> Result<u64> {
    let total = numbers.iter().try_fold(0_u64, |sum, n| sum.checked_add(*n));
    total.ok_or(Error::Damaged("a length in the trailer is out of range"))
}

fn limit(what: &'static str, found: u64, limit: u64) -> Result<()> {
    if found > limit { Err(Error::TooLarge { what, found, limit }) } else { Ok(()) }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests flip bytes by position")]
mod tests {
    use super::*;

    fn sample() -> (Parts, Vec<u8>, [u8; 80]) {
        let parts = Parts {
            payload_offset: 1000,
            payload_length: 500,
            manifest_offset: 1508,
            manifest_length: 3,
            signatures_length: 2,
        };
        let trailer = seal(&parts, b"man", b"si");
        (parts, wrapper(&parts).unwrap().to_vec(), trailer.try_into().unwrap())
    }

    const LENGTH: u64 = 1000 + 500 + 8 + 3 + 2 + 80;

    #[test]
    fn parts_come_back() {
        let (parts, header, bytes) = sample();
        let trailer = Trailer::parse(&bytes, LENGTH).unwrap();
        assert_eq!(trailer.parts, parts);
        trailer.check(&header, b"man", b"si").unwrap();
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let (_, header, bytes) = sample();
        let accepted = |bytes: &[u8; 80], header: &[u8], manifest: &[u8], signatures: &[u8]| {
            Trailer::parse(bytes, LENGTH).and_then(|t| t.check(header, manifest, signatures)).is_ok()
        };
        assert!(accepted(&bytes, &header, b"man", b"si"));
        for bit in 0..8 {
            for position in 0..80 {
                let mut bad = bytes;
                bad[position] ^= 1 << bit;
                assert!(!accepted(&bad, &header, b"man", b"si"), "trailer byte {position} bit {bit}");
            }
            for position in 0..8 {
                let mut bad = header.clone();
                bad[position] ^= 1 << bit;
                assert!(!accepted(&bytes, &bad, b"man", b"si"), "header byte {position} bit {bit}");
            }
        }
        assert!(!accepted(&bytes, &header, b"mAn", b"si"));
        assert!(!accepted(&bytes, &header, b"man", b"so"));
    }

    #[test]
    fn lengths_must_add_up_exactly() {
        let (_, _, bytes) = sample();
        for length in [0, LENGTH - 1, LENGTH + 1, u64::MAX] {
            assert!(Trailer::parse(&bytes, length).is_err());
        }
        for big in [u64::MAX, u64::MAX - 1000, (1 << 31) - 1, (1 << 31) + 1, 1 << 32, 1 << 63] {
            for field in 1..5 {
                let mut bad = bytes;
                bad[field * 8..field * 8 + 8].copy_from_slice(&big.to_le_bytes());
                assert!(Trailer::parse(&bad, LENGTH).is_err(), "field {field} = {big}");
            }
        }
    }
}
