//! Words that every room uses: small values that are valid by construction.
//!
//! In: text and bytes from anywhere. Out: newtypes or an [`Error`] that says what was wrong.
//! Never touches files, environment, clock or terminal.
#![forbid(unsafe_code)]

mod digest;
mod distance;
mod error;
mod fingerprint;
mod mode;
mod relpath;
mod version;

pub use digest::{Digest, Hasher};
pub use distance::edits;
pub use error::Error;
pub use fingerprint::Fingerprint;
pub use mode::Mode;
pub use relpath::RelPath;
pub use version::Version;

/// A secret text: wiped when dropped, printed as `[REDACTED]`, and no part of anything serializable.
pub type Secret = secrecy::SecretString;

/// A number with its word for people: `1 file`, `2 files`.
pub fn counted<N: std::fmt::Display + PartialEq + From<u8>>(count: N, one: &str, many: &str) -> String {
    let word = if count == N::from(1) { one } else { many };
    format!("{count} {word}")
}

/// Bytes as two lower-case hexadecimal digits each.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

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

/// Whether a reader sees `c` for what it is: neither a control character nor one that has no shape
/// or turns the direction of writing.
#[must_use]
pub fn is_printable_char(c: char) -> bool {
    let formats = matches!(
        c,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    );
    let tags = matches!(c, '\u{e0000}'..='\u{e007f}');
    !c.is_control() && !formats && !tags
}

/// A text fit for a terminal: what [`is_printable_char`] refuses, except line ends and tabs, is
/// shown by its escape.
#[must_use]
pub fn printable(text: &str) -> String {
    escaped(text, |c| matches!(c, '\n' | '\t'))
}

/// As [`printable`], and in one line: nobody can add lines of his own to a message or a log.
#[must_use]
pub fn printable_line(text: &str) -> String {
    escaped(text, |c| c == '\t')
}

fn escaped(text: &str, kept: fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if kept(c) || is_printable_char(c) {
            shown.push(c);
        } else {
            shown.extend(c.escape_default());
        }
    }
    shown
}

/// The same JSON, with each character that would act on a terminal, or hide there, as `\uXXXX` (RFC 8259,
/// section 7): names in it come from files that nobody vouches for. Outside of strings there are none.
#[must_use]
pub fn printable_json(json: &str) -> String {
    let mut plain = String::with_capacity(json.len());
    for c in json.chars() {
        if is_printable_char(c) {
            plain.push(c);
        } else {
            let mut units = [0; 2];
            plain.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    plain
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
    fn nothing_in_json_steers_the_terminal() {
        let value = serde_json::json!({ "a\u{9b}": "b\u{202e}c\u{7f}\u{e0041}\u{1b}é\n\"" });
        let plain = printable_json(&value.to_string());
        assert!(plain.chars().all(is_printable_char), "{plain}");
        assert!(plain.contains("\\u009b") && plain.contains("\\u202e") && plain.contains('é'), "{plain}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&plain).unwrap(), value);
    }

    #[test]
    fn byte_counts_read_well() {
        assert_eq!(human_bytes(0), "0 B");
        assert_eq!(human_bytes(1023), "1023 B");
        assert_eq!(human_bytes(1536), "1.5 KiB");
        assert_eq!(human_bytes(3 << 30), "3.0 GiB");
    }

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(printable("a\x1b[31m\tb\nc\r\x7f"), "a\\u{1b}[31m\tb\nc\\r\\u{7f}");
        assert_eq!(printable_line("a\nerror b\u{9b}"), "a\\nerror b\\u{9b}");
        assert_eq!(
            printable("x\u{202e}y\u{2066}z\u{200b}\u{feff}"),
            "x\\u{202e}y\\u{2066}z\\u{200b}\\u{feff}"
        );
        assert_eq!(printable("Zürich \u{2026} 日本 'q' \"d\" \\"), "Zürich \u{2026} 日本 'q' \"d\" \\");
    }
}
