use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Error;

/// The fingerprint of an OpenPGP certificate: 40 (v4) or 64 (v6) upper-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The digits without spaces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits in groups of four, as gpg prints them for people to compare.
    #[must_use]
    pub fn spaced(&self) -> String {
        let groups: Vec<&str> = (0..self.0.len()).step_by(4).filter_map(|i| self.0.get(i..i + 4)).collect();
        groups.join(" ")
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = Error;

    /// Accepts either case and spaces between groups; short key ids are refused, they can be forged.
    fn from_str(text: &str) -> Result<Self, Error> {
        let digits: String = text.chars().filter(|c| *c != ' ').map(|c| c.to_ascii_uppercase()).collect();
        let ok = matches!(digits.len(), 40 | 64) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        if ok { Ok(Self(digits)) } else { Err(Error::Fingerprint(text.chars().take(80).collect())) }
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_fingerprints_only() {
        let text = "0123456789abcdef0123456789abcdef01234567";
        let fingerprint: Fingerprint = text.parse().unwrap();
        assert_eq!(fingerprint.as_str(), text.to_uppercase());
        assert_eq!(fingerprint.spaced().parse(), Ok(fingerprint));
        for bad in ["", "89abcdef", "0123456789ABCDEF", "zz", &"x".repeat(40)] {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
        }
    }
}
