use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Error, is_printable_char};

/// A path that stays inside the directory it is used in: relative, without `.`, `..`, empty or
/// over-long components, without control or invisible characters. Written with `/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelPath(String);

/// PATH_MAX less room for the directory in front, and NAME_MAX (limits.h).
const MAX_PATH: usize = 3072;
const MAX_NAME: usize = 255;

impl RelPath {
    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path for file calls.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// The directory it lies in, if that is not the root itself.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// The last component.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RelPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |why| Err(Error::RelPath { path: text.chars().take(120).collect(), why });
        if text.is_empty() {
            return bad("it is empty");
        }
        if text.starts_with('/') {
            return bad("it is absolute");
        }
        if text.len() > MAX_PATH {
            return bad("it is too long");
        }
        if !text.chars().all(is_printable_char) {
            return bad("it holds a control character or an invisible one");
        }
        for part in text.split('/') {
            match part {
                "" => return bad("it has an empty component"),
                "." | ".." => return bad("it has a . or .. component"),
                part if part.len() > MAX_NAME => return bad("a component is too long"),
                _ => {}
            }
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for RelPath {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<RelPath> for String {
    fn from(path: RelPath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_that_stay_inside() {
        let path: RelPath = "web/static/app.js".parse().unwrap();
        assert_eq!(path.parent().unwrap().as_str(), "web/static");
        assert_eq!(path.name(), "app.js");
        let long = "x".repeat(256);
        for bad in [
            "",
            "/etc",
            "..",
            "a/../b",
            "a//b",
            "a/",
            "./a",
            "a\0b",
            "a\nb",
            "a\u{1b}[m",
            "a\u{202e}b",
            "a\u{200b}",
            long.as_str(),
        ] {
            assert!(bad.parse::<RelPath>().is_err(), "{bad:?}");
        }
    }
}
