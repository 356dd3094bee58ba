//! The container: program, payload frames, manifest, signatures, trailer in one file.
//!
//! In: bytes of a candidate file. Out: where its parts lie, and the content of frames whose digest
//! held. Never decompresses a byte that was not compared with its digest before. Layout in
//! `docs/bundle-format.md`:
//!
//! ```text
//! [ program ][ frame 0 | frame 1 | ... ][ skippable frame: header 8, manifest, signatures, trailer 80 ]
//! ```
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

mod error;
mod frame;
mod trailer;

pub use error::{Error, Result};
pub use frame::{Checked, Compression, Decompressor, Frame, MAX_CONTENT, MAX_FRAME};
pub use trailer::{MAX_MANIFEST, MAX_SIGNATURES, Parts, TRAILER_LEN, Trailer, WRAPPER_LEN, seal, wrapper};
