//! PEM files (RFC 7468, and RFC 1421 for the headers of encrypted keys), taken apart without opening
//! anything. Text around the blocks is passed over, as all readers of such files do.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use zeroize::Zeroizing;

/// How a block begins.
const BEGIN: &str = "-----BEGIN ";
/// Most blocks of a file that are read. A chain and its key are a handful.
pub(super) const MAX_BLOCKS: usize = 64;

/// One block.
pub(super) struct Block<'a> {
    /// What its first line says, such as `RSA PRIVATE KEY`.
    pub(super) label: &'a str,
    /// All of it, from BEGIN to END.
    pub(super) text: &'a str,
    /// The header `Proc-Type: 4,ENCRYPTED`.
    pub(super) encrypted: bool,
    /// The cipher of the header `DEK-Info`, such as `AES-256-CBC`.
    pub(super) cipher: Option<&'a str>,
    /// What it carries; `None` when that is not base64.
    pub(super) content: Option<Zeroizing<Vec<u8>>>,
}

/// A PEM file as text, in whatever encoding the words around the blocks are; none for other files.
pub(super) fn text(bytes: &[u8]) -> Option<Zeroizing<String>> {
    let is_pem = bytes.windows(BEGIN.len()).any(|window| window == BEGIN.as_bytes());
    is_pem.then(|| Zeroizing::new(String::from_utf8_lossy(bytes).into_owned()))
}

/// The blocks of a file, and whether these are all. One that has no end is left out.
pub(super) fn blocks(text: &str) -> (Vec<Block<'_>>, bool) {
    let mut found = Vec::new();
    let mut rest = text;
    // each beginning is searched for its end: without a limit a file of beginnings would take minutes
    for _ in 0..MAX_BLOCKS {
        let Some((block, after)) = next(rest) else { return (found, true) };
        rest = after;
        found.extend(block);
    }
    (found, !rest.contains(BEGIN))
}

/// The next block, if it has an end, and what follows its beginning.
fn next(text: &str) -> Option<(Option<Block<'_>>, &str)> {
    let start = text.find(BEGIN)?;
    let from = text.get(start..)?;
    let after = from.get(BEGIN.len()..)?;
    let Some((label, body)) = after.split_once("-----") else { return Some((None, "")) };
    let end = format!("-----END {label}-----");
    let Some(length) = body.find(&end).filter(|_| !label.contains('\n')) else { return Some((None, after)) };
    let inside = body.get(..length)?;
    let rest = body.get(length + end.len()..)?;
    let whole = from.get(..from.len() - rest.len())?;
    Some((Some(block(label, whole, inside)), rest))
}

fn block<'a>(label: &'a str, text: &'a str, inside: &'a str) -> Block<'a> {
    let (mut encrypted, mut cipher) = (false, None);
    let mut base64 = Zeroizing::new(String::with_capacity(inside.len()));
    for line in inside.lines().map(str::trim) {
        match line.split_once(':') {
            Some(("Proc-Type", value)) => encrypted = value.trim() == "4,ENCRYPTED",
            Some(("DEK-Info", value)) => cipher = value.trim().split(',').next(),
            Some(_) => {}
            None => base64.push_str(line),
        }
    }
    let content = BASE64.decode(base64.as_bytes()).ok().map(Zeroizing::new);
    Block { label, text, encrypted, cipher, content }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_among_text() {
        let text = "Bag Attributes\r\n-----BEGIN A-----\r\nAAEC\r\n-----END A-----\r\nnoise\n-----BEGIN B B-----\n\
                    Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00FF\n\nAAEC\nAw==\n-----END B B-----";
        let (found, is_all) = blocks(text);
        assert!(is_all);
        let labels: Vec<&str> = found.iter().map(|block| block.label).collect();
        assert_eq!(labels, ["A", "B B"]);
        assert_eq!(found[0].content.as_deref().unwrap(), &[0, 1, 2]);
        assert!(found[0].text.starts_with("-----BEGIN A") && found[0].text.ends_with("END A-----"));
        assert!(!found[0].encrypted && found[1].encrypted);
        assert_eq!(found[1].cipher, Some("AES-256-CBC"));
        assert_eq!(found[1].content.as_deref().unwrap(), &[0, 1, 2, 3]);
    }

    #[test]
    fn what_has_no_end_or_no_base64_is_no_content() {
        for text in [
            "",
            "-----BEGIN ",
            "-----BEGIN A",
            "-----BEGIN A-----\nAAEC\n-----END B-----",
            "-----BEGIN A\n-----",
        ] {
            assert!(blocks(text).0.is_empty(), "{text}");
        }
        assert!(blocks("-----BEGIN A-----\n*\n-----END A-----").0[0].content.is_none());
        for (count, is_all) in [(MAX_BLOCKS, true), (MAX_BLOCKS + 1, false), (1000, false)] {
            let many = "-----BEGIN A-----\n-----END A-----\n".repeat(count);
            let found = blocks(&many);
            assert_eq!((found.0.len(), found.1), (MAX_BLOCKS, is_all));
        }
        let open = "-----BEGIN ".repeat(50_000);
        assert!(blocks(&open).0.is_empty());
    }
}
