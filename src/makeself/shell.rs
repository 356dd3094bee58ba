//! The little of the shell's grammar that makeself's values are written in (IEEE Std 1003.1, 2.2 Quoting): one
//! word of quoted and plain pieces, to the end of the line. What a shell would expand is refused.

/// A value, and how many bytes of the text it takes, without the line end behind it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Value {
    /// The value, without quotes.
    pub(super) text: Vec<u8>,
    /// Its length as it is written.
    pub(super) length: usize,
}

/// Reads the value at the beginning of `text`, which may go on over several lines.
pub(super) fn value(text: &[u8]) -> Result<Value, &'static str> {
    let mut reader = Reader { rest: text, value: Vec::new() };
    loop {
        match reader.next() {
            None => break,
            Some(b'\n') => {
                let length = text.len().saturating_sub(reader.rest.len()).saturating_sub(1);
                return Ok(Value { text: reader.value, length });
            }
            Some(b'"') => reader.double_quoted()?,
            Some(b'\'') => reader.single_quoted()?,
            Some(b'\\') => return Err("a backslash outside quotes"),
            Some(b'$' | b'`') => return Err(EXPANSION),
            Some(byte) if is_plain(byte) => reader.value.push(byte),
            Some(b' ' | b'\t') if reader.is_at_line_end() => {}
            Some(_) => return Err("it does not end at the end of its line"),
        }
    }
    Err("it has no end")
}

const EXPANSION: &str = "a shell would replace a part of it by something else";
const OPEN: &str = "its quotes are not closed";

/// Bytes that mean themselves outside quotes, as far as makeself writes them there.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'.' | b'/' | b'_' | b'-' | b'+' | b':' | b',' | b'@' | b'%')
}

struct Reader<'a> {
    rest: &'a [u8],
    value: Vec<u8>,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn is_at_line_end(&self) -> bool {
        self.rest.iter().find(|byte| !matches!(byte, b' ' | b'\t')) == Some(&b'\n')
    }

    fn single_quoted(&mut self) -> Result<(), &'static str> {
        loop {
            match self.next() {
                None | Some(0) => return Err(OPEN),
                Some(b'\'') => return Ok(()),
                Some(byte) => self.value.push(byte),
            }
        }
    }

    fn double_quoted(&mut self) -> Result<(), &'static str> {
        loop {
            match self.next() {
                None | Some(0) => return Err(OPEN),
                Some(b'"') => return Ok(()),
                Some(b'$' | b'`') => return Err(EXPANSION),
                Some(b'\\') => match self.next() {
                    Some(byte @ (b'$' | b'`' | b'"' | b'\\')) => self.value.push(byte),
                    Some(b'\n') => {}
                    Some(0) | None => return Err(OPEN),
                    Some(byte) => self.value.extend([b'\\', byte]),
                },
                Some(byte) => self.value.push(byte),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "tests look at bytes by position")]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, &'static str> {
        let value = value(text.as_bytes())?;
        assert_eq!(text.as_bytes()[value.length], b'\n');
        Ok(String::from_utf8(value.text).unwrap())
    }

    #[test]
    fn quoted_words_are_read_as_a_shell_reads_them() {
        for (text, wanted) in [
            ("\n", ""),
            ("\"\"\n", ""),
            ("y\n", "y"),
            ("\"a b\"\n", "a b"),
            ("'a \"b\" $c'\n", "a \"b\" $c"),
            ("\"a \\\"b\\\" \\$5 \\`c\\` \\\\ \\n\"\n", "a \"b\" $5 `c` \\ \\n"),
            ("\"it is \"free\" 'x'\"\n", "it is free 'x'"),
            ("\"one\ntwo\n\" \t\n", "one\ntwo\n"),
            ("\"one\\\ntwo\"\n", "onetwo"),
            ("'it'\"'\"'s'\n", "it's"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(wanted), "{text}");
            let shell = format!("x={text}printf %s \"$x\"");
            let output = crate::sys::process::Tool::system("sh").unwrap().args(["-c", &shell]).check();
            assert_eq!(output.unwrap().text(), wanted, "{text}");
        }
    }

    #[test]
    fn what_a_shell_would_do_something_with_is_refused() {
        for text in [
            "\"$(id)\"\n",
            "\"`id`\"\n",
            "\"$HOME\"\n",
            "$(id)\n",
            "`id`\n",
            "$HOME\n",
            "\"a\"; id\n",
            "a id\n",
            "\"a\" id\n",
            "a;id\n",
            "a&\n",
            "a|b\n",
            "a>b\n",
            "a<b\n",
            "a(b)\n",
            "a#b\n",
            "a*b\n",
            "~\n",
            "a\\ b\n",
            "\"a\n",
            "'a\n",
            "\"a",
            "\"a\"",
            "",
            "\"a\0\"\n",
            "a\0\n",
            "'a\0'\n",
            "\"\\",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
