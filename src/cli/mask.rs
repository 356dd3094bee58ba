//! A line that is typed without being seen: one `*` for each character.

use zeroize::{Zeroize as _, Zeroizing};

use crate::prompt::password::MAX_BYTES;

/// One byte more than a password may have, so that a longer one is noticed and refused.
const CAPACITY: usize = MAX_BYTES + 1;
const CTRL_D: u8 = 0x04;
const CTRL_H: u8 = 0x08;
const CTRL_U: u8 = 0x15;
const CTRL_W: u8 = 0x17;
const ESCAPE: u8 = 0x1b;
const DELETE: u8 = 0x7f;

/// The line so far. Its buffer never grows, so that no copy of it stays behind in memory.
pub(super) struct Line {
    bytes: Zeroizing<Vec<u8>>,
    escape: Escape,
}

/// Where in a key's escape sequence we are: arrow keys and the like are no part of a password.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escape {
    None,
    Begun,
    Inside,
}

/// What a byte did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Typed {
    /// Nothing to be seen.
    Nothing,
    /// A character was added.
    Star,
    /// So many characters were taken away.
    Erased(usize),
    /// The key cannot be used here.
    Bell,
    /// The line is complete.
    Done,
    /// Ctrl-D on an empty line.
    End,
}

impl Line {
    pub(super) fn new() -> Self {
        Self { bytes: Zeroizing::new(Vec::with_capacity(CAPACITY)), escape: Escape::None }
    }

    /// Takes one byte.
    pub(super) fn feed(&mut self, byte: u8) -> Typed {
        if self.escape != Escape::None && byte >= 0x20 {
            return self.in_escape(byte);
        }
        self.escape = Escape::None;
        match byte {
            b'\n' | b'\r' => Typed::Done,
            CTRL_D if self.bytes.is_empty() => Typed::End,
            CTRL_H | DELETE => self.erase_last(),
            CTRL_U | CTRL_W => self.erase_all(),
            ESCAPE => {
                self.escape = Escape::Begun;
                Typed::Nothing
            }
            0..0x20 => Typed::Bell,
            _ if self.bytes.len() == CAPACITY => Typed::Bell,
            _ => {
                self.bytes.push(byte);
                if is_continuation(byte) { Typed::Nothing } else { Typed::Star }
            }
        }
    }

    /// ESC, then `[` or `O`, parameters, and a final byte (ECMA-48); or ESC and one character (Alt).
    fn in_escape(&mut self, byte: u8) -> Typed {
        self.escape = match (self.escape, byte) {
            (Escape::Begun, b'[' | b'O') | (Escape::Inside, 0x20..0x40) => Escape::Inside,
            _ => Escape::None,
        };
        Typed::Nothing
    }

    fn erase_last(&mut self) -> Typed {
        let mut erased = 0;
        while let Some(byte) = self.bytes.pop() {
            if !is_continuation(byte) {
                erased = 1;
                break;
            }
        }
        Typed::Erased(erased)
    }

    fn erase_all(&mut self) -> Typed {
        let erased = self.bytes.iter().filter(|b| !is_continuation(**b)).count();
        self.bytes.zeroize();
        Typed::Erased(erased)
    }

    /// The bytes of the complete line. The caller wipes them.
    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        std::mem::take(&mut *self.bytes)
    }
}

/// Whether a UTF-8 byte continues a character.
fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn typed(keys: &[u8]) -> (Vec<u8>, i64, Typed) {
        let mut line = Line::new();
        let mut stars = 0;
        let mut last = Typed::Nothing;
        for key in keys {
            last = line.feed(*key);
            match last {
                Typed::Star => stars += 1,
                Typed::Erased(n) => stars -= i64::try_from(n).unwrap(),
                _ => {}
            }
        }
        (line.into_bytes(), stars, last)
    }

    #[test]
    fn keys_do_what_they_do_elsewhere() {
        assert_eq!(typed(b"Abc\n"), (b"Abc".to_vec(), 3, Typed::Done));
        assert_eq!(typed(b"Abx\x7fc"), (b"Abc".to_vec(), 3, Typed::Star));
        assert_eq!(
            typed("\u{e9}\u{20ac}\x7f".as_bytes()),
            ("\u{e9}".as_bytes().to_vec(), 1, Typed::Erased(1))
        );
        assert_eq!(typed(b"wrong\x15right"), (b"right".to_vec(), 5, Typed::Star));
        assert_eq!(typed(b"\x08"), (Vec::new(), 0, Typed::Erased(0)));
        assert_eq!(typed(b"\x04").2, Typed::End);
        assert_eq!(typed(b"a\x04"), (b"a".to_vec(), 1, Typed::Bell));
    }

    #[test]
    fn arrow_keys_are_no_part_of_a_password() {
        assert_eq!(typed(b"a\x1b[Db\x1b[3~c\x1bOPd\x1bxe"), (b"abcde".to_vec(), 5, Typed::Star));
        assert_eq!(typed(b"a\x1b\n").2, Typed::Done);
    }

    #[test]
    fn a_line_ends_somewhere() {
        let (bytes, _, last) = typed(&[b'a'; CAPACITY + 7]);
        assert_eq!((bytes.len(), last), (CAPACITY, Typed::Bell));
    }

    proptest! {
        #[test]
        fn stars_and_characters_agree(text in "\\PC{0,60}", back in 0usize..70) {
            let mut keys = text.clone().into_bytes();
            keys.extend(std::iter::repeat_n(0x7f, back));
            let (bytes, stars, _) = typed(&keys);
            let left: String = text.chars().take(text.chars().count().saturating_sub(back)).collect();
            prop_assert_eq!(bytes, left.clone().into_bytes());
            prop_assert_eq!(usize::try_from(stars).unwrap(), left.chars().count());
        }

        #[test]
        fn no_keys_make_it_panic(keys in any::<Vec<u8>>()) {
            let (bytes, stars, _) = typed(&keys);
            prop_assert!(bytes.len() <= CAPACITY);
            prop_assert!(stars >= -1 || keys.len() > 1);
        }
    }
}
