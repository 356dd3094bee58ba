use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Error;

/// A release version: two to four decimal numbers with dots, compared number by number; missing
/// numbers count as zero. There are no suffixes: an odd spelling must never relax a rule.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    parts: [u32; 4],
    shown: usize,
}

impl Version {
    /// Major and minor number: the unit in which the product counts releases.
    #[must_use]
    pub fn line(&self) -> (u32, u32) {
        (self.parts[0], self.parts[1])
    }

    /// Whether `self`, as the last of a range, includes `other`: `6.14` includes all of 6.14.
    #[must_use]
    pub fn reaches(&self, other: &Self) -> bool {
        other.parts.iter().take(self.shown).le(self.parts.iter().take(self.shown))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.parts.cmp(&other.parts)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, part) in self.parts.iter().take(self.shown).enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            write!(f, "{part}")?;
        }
        Ok(())
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::Version(text.chars().take(40).collect());
        let mut parts = [0; 4];
        let mut shown = 0;
        for piece in text.split('.') {
            let slot = parts.get_mut(shown).ok_or_else(bad)?;
            if piece.is_empty() || !piece.bytes().all(|b| b.is_ascii_digit()) {
                return Err(bad());
            }
            *slot = piece.parse().map_err(|_| bad())?;
            shown += 1;
        }
        if shown < 2 { Err(bad()) } else { Ok(Self { parts, shown }) }
    }
}

impl TryFrom<String> for Version {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordering_is_numeric() {
        let v = |t: &str| t.parse::<Version>().unwrap();
        assert!(v("6.9") < v("6.10"));
        assert_eq!(v("6.14"), v("6.14.0"));
        assert_eq!(v("6.14").to_string(), "6.14");
        assert!(v("6.14.0.1") > v("6.14"));
        assert_eq!(v("6.14.2").line(), (6, 14));
    }

    #[test]
    fn odd_spellings_are_refused() {
        for bad in ["", "6", "6.", "6.1-dev.1", "v6.1", "6.1.2.3.4", "6.99999999999", "6. 1", "+6.1"] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
    }
}
