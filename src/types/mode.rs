use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Error;

/// Permission bits of a file, written as four octal digits. Set-uid, set-gid and sticky are refused:
/// nothing that the product ships needs them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mode(u32);

impl Mode {
    /// A mode known at compile time; higher bits are cut off.
    #[must_use]
    pub const fn new(bits: u32) -> Self {
        Self(bits & 0o777)
    }

    /// The nine permission bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl fmt::Debug for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mode({self})")
    }
}

impl FromStr for Mode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::Mode(text.chars().take(20).collect());
        let octal = matches!(text.len(), 3 | 4) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
        let bits = if octal { u32::from_str_radix(text, 8).map_err(|_| bad())? } else { return Err(bad()) };
        if bits > 0o777 { Err(bad()) } else { Ok(Self(bits)) }
    }
}

impl TryFrom<String> for Mode {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Mode> for String {
    fn from(mode: Mode) -> Self {
        mode.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_without_special_bits() {
        assert_eq!("0400".parse(), Ok(Mode::new(0o400)));
        assert_eq!("755".parse::<Mode>().unwrap().to_string(), "0755");
        for bad in ["", "4755", "1777", "0888", "rwx", "00755", "+755"] {
            assert!(bad.parse::<Mode>().is_err(), "{bad}");
        }
    }
}
