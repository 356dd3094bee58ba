//! Words that every room uses: small values that are valid by construction.
//!
//! In: text and bytes from anywhere. Out: newtypes or an [`Error`] that says what was wrong.
//! Never touches files, environment, clock or terminal.
#![forbid(unsafe_code)]

mod digest;
mod error;
mod fingerprint;
mod mode;
mod relpath;
mod version;

pub use digest::{Digest, Hasher};
pub use error::Error;
pub use fingerprint::Fingerprint;
pub use mode::Mode;
pub use relpath::RelPath;
pub use version::Version;

/// A secret text: wiped when dropped, printed as `[REDACTED]`, and no part of anything serializable.
pub type Secret = secrecy::SecretString;

/// Formats a byte count for people, in binary units (`1.5 MiB`).
#[must_use]
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut whole, mut rest, mut unit) = (bytes, 0, 0);
    while whole >= 1024 && unit + 1 < UNITS.len() {
        (whole, rest, unit) = (whole / 1024, whole % 1024, unit + 1);
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    if unit == 0 { format!("{whole} {name}") } else { format!("{whole}.{} {name}", rest * 10 / 1024) }
}

/// An error and its causes in one line.
#[must_use]
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}"); // a transparent error says the same twice
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_counts_read_well() {
        assert_eq!(human_bytes(0), "0 B");
        assert_eq!(human_bytes(1023), "1023 B");
        assert_eq!(human_bytes(1536), "1.5 KiB");
        assert_eq!(human_bytes(3 << 30), "3.0 GiB");
    }
}
