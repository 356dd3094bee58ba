//! The trust line: judges signatures, and is the only maker of [`Verified`].
//!
//! In: bytes that nobody vouches for, signatures over them, keys, a policy and a time. Out: a
//! [`Judgement`] with one verdict per signature, or a [`Verified`] value.
//! Never reads a clock, never accepts anything that it does not fully understand.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

mod check;
mod error;
mod judge;
mod rotation;
mod signatures;
mod verdict;
mod verified;

pub use error::Error;
pub use judge::{both, judge, judge_reader, pinned, require, require_reader};
pub use rotation::{Offer, Pin, PinError, Pins, ROTATION_FORMAT, ROTATIONS_LIMIT, Rotation};
pub use signatures::dearmor;
pub(crate) use signatures::parse as parse_signatures;
pub use verdict::{Judgement, Signer, Verdict, VerdictCode};
pub use verified::Verified;

/// The reason of a refusal for want of any signature.
pub const NOT_SIGNED: &str = "it is not signed";
/// The reason of a refusal for want of any key.
pub const NO_KEY: &str = "there is no trusted key to check the signature with";
/// Largest set of signatures that is read, in bytes.
pub const SIGNATURES_SIZE_LIMIT: usize = 64 << 10;
/// Most signatures in one set.
pub const SIGNATURES_LIMIT: usize = 16;
/// How far ahead of our clock the signer's may have been, in seconds.
pub const CLOCK_SKEW: i64 = 5 * 60;
