//! The header of a makeself archive: a shell script with compressed tar archives behind it.
//!
//! In: bytes of a file that nobody vouches for. Out: a [`Header`]: where the archives lie, what the script
//! says of itself, a signature if it carries one. The script is data: it is never run, and no word of it is
//! evaluated. Must refuse whatever a shell could read in another way than we do.
//!
//! ```text
//! #!/bin/sh
//! # This script was generated using Makeself 2.4.5
//! CRCsum="..." MD5="..." SHA="..." SIGNATURE="..."      a line each, one word per archive
//! label="..." script="..." scriptargs="..." ...
//! filesizes="1200 340" totalsize="1540" skip="716"       lengths in bytes; skip: lines of this script
//! ...
//! [ archive 1 ][ archive 2 ] ...                         from line skip + 1 to the end of the file
//! ```
//!
//! Before 2.3.1 there is no `skip`: the number stands in the commands, as in ``offset=`head -n 402 "$1" ...` ``.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

mod cksum;
mod error;
mod header;
mod shell;
mod sums;

pub use error::{Error, Result};
pub use header::{Archive, Header};
pub use sums::{Check, Sum, Sums};

/// Most bytes of a header: the licence agreement is a part of it.
pub const MAX_HEADER: u64 = 1 << 20;
/// Most archives in one file.
pub const MAX_ARCHIVES: usize = 16;
/// Most bytes of the signature that a header carries.
pub const MAX_SIGNATURE: usize = 64 << 10;
/// How many bytes of a file tell whether it is a makeself archive.
pub const START: usize = 512;

/// Whether a file that begins with these bytes is a makeself archive by its own word: a script with
/// makeself's line among its first ones.
#[must_use]
pub fn is_makeself(start: &[u8]) -> bool {
    header::version(start).is_some()
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "tests flip bytes by position"
)]
mod tests;
