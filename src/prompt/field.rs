use super::{Error, Result};

const NAME_LIMIT: usize = 64;
/// Characters that some reader of the name (URL, shell, JSON path, CSV) would take for syntax.
const FORBIDDEN: &str = ":/\\\"'`<>|&;,?*$%#(){}[]";

/// Reads a TCP port.
///
/// # Errors
/// When `text` is no number from 1 to 65535 in plain decimal digits.
pub fn check_port(text: &str) -> Result<u16> {
    let bad = |why| Error::Port { text: shown(text), why };
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad("expected a number"));
    }
    match text.parse() {
        Ok(0) | Err(_) => Err(bad("it has to be from 1 to 65535")),
        Ok(port) => Ok(port),
    }
}

/// Reads the name of the administrator.
///
/// # Errors
/// When it is empty, longer than 64 characters, begins or ends with white space, or has a character
/// that cannot be seen or that is syntax somewhere.
pub fn check_admin_name(text: &str) -> Result<String> {
    let why = if text.is_empty() {
        "it is empty"
    } else if text.chars().count() > NAME_LIMIT {
        "it is longer than 64 characters"
    } else if text.trim() != text {
        "it begins or ends with a space"
    } else if text.chars().any(is_invisible) {
        "it has a character that cannot be seen"
    } else if text.chars().any(|c| FORBIDDEN.contains(c)) {
        "it has one of the characters : / \\ \" ' ` < > | & ; , ? * $ % # ( ) { } [ ]"
    } else if text.starts_with('-') {
        "it begins with a dash"
    } else if !text.chars().any(char::is_alphanumeric) {
        "it has neither a letter nor a digit"
    } else {
        return Ok(text.to_owned());
    };
    Err(Error::AdminName { text: shown(text), why })
}

/// Control characters, and marks that change what a reader sees (zero width, text direction).
fn is_invisible(c: char) -> bool {
    c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// What of a refused text is repeated in the message.
fn shown(text: &str) -> String {
    text.chars().take(NAME_LIMIT).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ports() {
        assert_eq!(check_port("443").unwrap(), 443);
        assert_eq!(check_port(" 65535 ").unwrap(), 65535);
        for bad in
            ["", "0", "65536", "-1", "+443", "4 43", "https", "443/tcp", "0x1bb", "99999999999999999999"]
        {
            assert!(check_port(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names() {
        for good in ["admin", "j.doe", "soc-admin_1", "ops@example.com", "Jos\u{e9} P", "a"] {
            assert_eq!(check_admin_name(good).unwrap(), good);
        }
        let long = "a".repeat(65);
        for bad in [
            "",
            " admin",
            "admin ",
            "a:b",
            "a/b",
            "a\\b",
            "a\"b",
            "a\nb",
            "a\0",
            "a\u{202e}b",
            "-y",
            "..",
            &long,
        ] {
            assert!(check_admin_name(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn every_port_is_read_back(port in 1u16..) {
            prop_assert_eq!(check_port(&port.to_string()).unwrap(), port);
        }

        #[test]
        fn an_accepted_name_can_be_printed(text in any::<String>()) {
            if let Ok(name) = check_admin_name(&text) {
                prop_assert_eq!(&name, &text);
                prop_assert!(!name.chars().any(char::is_control));
            }
        }
    }
}
