/// Most characters kept of a text that somebody else wrote.
const LENGTH: usize = 200;

/// A text from a key or signature, made fit for a terminal and a log: no control characters, no
/// marks that turn the direction of writing, not longer than 200 characters.
#[must_use]
pub fn clean(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut kept: String = text.chars().filter(|c| !is_hostile(*c)).take(LENGTH).collect();
    if text.chars().filter(|c| !is_hostile(*c)).nth(LENGTH).is_some() {
        kept.push('…');
    }
    kept
}

fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(clean(b"a\x1b[31mb\nc\r\x07\x00d\x7f"), "a[31mbcd");
        assert_eq!(clean("x\u{202e}y\u{2066}z\u{9b}".as_bytes()), "xyz");
        assert_eq!(clean(&[0x41, 0xff]), "A\u{fffd}");
        assert_eq!(clean("é".repeat(500).as_bytes()).chars().count(), 201);
    }
}
