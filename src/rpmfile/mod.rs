//! RPM packages of somebody else's making: where their parts lie, what their header says, and the content
//! of their files.
//!
//! In: bytes that nobody vouches for. Out: [`Envelope`], enough to check the signatures with; [`Package`], the
//! main header taken apart; [`Cpio`], the payload held against the header's list of files. Everything is bounded
//! before memory is asked for, and what this program cannot lay out exactly as rpm would is refused. Never
//! touches files.
//!
//! ```text
//! [ lead 96 | signature header, padded to 8 | main header | payload: a compressed cpio archive ]
//! ```
//!
//! A header is `8e ad e8 01`, four zero bytes, the number of its entries, the size of its store, the entries
//! (tag, type, offset in the store, count: 16 bytes, big-endian), and the store. Written from the format's
//! description in rpm's own manual (docs/manual/format_header.md, format_v4.md, format_v6.md) and what rpm 4.18
//! checks. Packages of format 3, which have no region in their header, are refused: they carry no SHA-256.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

mod bare;
mod cpio;
mod envelope;
mod error;
mod files;
mod header;
mod package;
mod scriptlets;
mod tags;

pub use bare::without_payload;
pub use cpio::{Cpio, Member};
pub use envelope::{Covers, DigestKind, Envelope, ReadAt, Signature, StoredDigest};
pub use error::{Error, Result};
pub use files::{File, Flags, Kind, carrier, content_limit};
pub use header::{MAX_HEADER, MAX_SIGNATURE_HEADER};
pub use package::{Package, Payload};
pub use scriptlets::{Dependency, Scriptlet, When};

/// How every package begins: the first bytes of its lead.
pub const LEAD: [u8; 4] = [0xed, 0xab, 0xee, 0xdb];

#[cfg(test)]
#[path = "crafted_tests.rs"]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "tests change bytes by position"
)]
mod tests;
