//! The blocks of a PEM file (RFC 7468), and the text around them, which does not count.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;

/// Most blocks that are looked at; a chain has a handful.
pub const MAX_BLOCKS: usize = 100;

/// One block, from its BEGIN line to its END line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block<'a> {
    /// What stands after BEGIN, such as `CERTIFICATE`.
    pub label: &'a str,
    /// All of it, with both lines.
    pub text: &'a str,
    /// What stands between them.
    inner: &'a str,
}

impl Block<'_> {
    /// Whether it holds a certificate, under the one label that the product looks for.
    #[must_use]
    pub fn is_certificate(&self) -> bool {
        self.label == "CERTIFICATE"
    }

    /// Whether it holds a private key, in whatever form.
    #[must_use]
    pub fn is_private_key(&self) -> bool {
        self.label.ends_with("PRIVATE KEY")
    }

    /// The value of a header of RFC 1421, such as `Proc-Type`.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = self.inner.lines().map_while(|line| line.split_once(':'));
        headers.map(|(name, value)| (name.trim(), value.trim())).find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// The bytes that it stands for; nothing when they are no base64. Copies of keys are the caller's to clear.
    #[must_use]
    pub fn der(&self) -> Option<Vec<u8>> {
        let lines = self.inner.lines().filter(|line| !line.contains(':'));
        let text: String = lines.flat_map(|line| line.chars().filter(|c| !c.is_whitespace())).collect();
        BASE64.decode(zeroize::Zeroizing::new(text).as_bytes()).ok()
    }
}

/// The blocks of a text in their order, at most [`MAX_BLOCKS`]; a block that does not end is none.
#[must_use]
pub fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut open: Option<(&str, usize, usize)> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let (start, end) = (at, at + line.len());
        at = end;
        let line = line.trim_end();
        if let Some(label) = label(line, "BEGIN ") {
            open = Some((label, start, end));
        } else if let Some(end_label) = label(line, "END ") {
            let Some((label, from, inner)) = open.take().filter(|(label, ..)| *label == end_label) else {
                continue;
            };
            let (Some(text), Some(inner)) = (text.get(from..end), text.get(inner..start)) else { continue };
            found.push(Block { label, text, inner });
            if found.len() == MAX_BLOCKS {
                break;
            }
        }
    }
    found
}

fn label<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    line.strip_prefix("-----")?.strip_suffix("-----")?.strip_prefix(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_between_other_text() {
        let text = "junk\n-----BEGIN A-----\nAQID\n-----END A-----\r\nProc-Type: no\n-----BEGIN B KEY-----\n\
                    Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nBA==\n-----END B KEY-----\n\
                    -----BEGIN C-----\nAQID\n-----END D-----\n-----BEGIN E-----\n-----BEGIN F-----\n*\n-----END F-----";
        let found = blocks(text);
        assert_eq!(found.iter().map(|b| b.label).collect::<Vec<_>>(), ["A", "B KEY", "F"]);
        assert_eq!(found[0].der().unwrap(), [1, 2, 3]);
        assert_eq!(found[0].text, "-----BEGIN A-----\nAQID\n-----END A-----\r\n");
        assert_eq!(found[1].header("Proc-Type"), Some("4,ENCRYPTED"));
        assert_eq!((found[1].header("X"), found[1].der().unwrap()), (None, vec![4]));
        assert_eq!(found[2].der(), None);
        assert!(blocks("").is_empty() && blocks("-----BEGIN A-----").is_empty());
        let many = "-----BEGIN A-----\n-----END A-----\n".repeat(MAX_BLOCKS + 1);
        assert_eq!(blocks(&many).len(), MAX_BLOCKS);
    }
}
