//! The list of what a snapshot holds: one line of JSON for each name, in the order of the walk.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use serde::{Deserialize, Serialize};

use super::stream::{self, Blob, Output, Packed, Unpacked};
use super::{Error, Result};
use crate::sys;
use crate::sys::attributes::{Attributes, Keep};
use crate::sys::dir::{Dir, Ids, Meta, Sort, Time};
use crate::types::Digest;

/// Name of the list in a snapshot.
pub(super) const INDEX: &str = "index.jsonl.zst";
/// How the data directory itself is called in the list.
pub(super) const TOP: &str = ".";

/// One name, and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Path below the data directory, escaped.
    pub(super) path: String,
    #[serde(flatten)]
    pub(super) what: What,
    /// Permission bits in octal digits.
    pub(super) mode: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Seconds since 1970-01-01, and nanoseconds.
    pub(super) modified: (i64, u32),
    /// Number of a file that has several names; the first of them holds the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) node: Option<u64>,
    /// Extended attributes: names and values, escaped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) extended: Vec<(String, String)>,
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum What {
    Dir,
    File {
        size: u64,
        /// Of the data; what lies between the runs is left out. Only in an archive.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<Digest>,
        /// Where there are data, as start and end; absent when there are no holes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        runs: Option<Vec<(u64, u64)>>,
    },
    Symlink {
        target: String,
    },
    Fifo,
    /// Another name of the node.
    Link,
}

impl Record {
    pub(super) fn new(path: &OsStr, what: What, attributes: &Attributes, keep: Keep) -> Self {
        // labels are the host's to give, and rights are not kept
        let wanted = |name: &OsStr| {
            let name = name.as_bytes();
            !name.starts_with(b"security.") && !name.starts_with(b"trusted.overlay.")
        };
        let kept = attributes.extended.iter().filter(|(name, _)| wanted(name));
        Self {
            path: escaped(path.as_bytes()),
            what,
            mode: format!("{:04o}", attributes.kept_mode(keep)),
            uid: attributes.ids.uid,
            gid: attributes.ids.gid,
            modified: (attributes.modified.seconds, attributes.modified.nanos),
            node: None,
            extended: kept.map(|(name, value)| (escaped(name.as_bytes()), escaped(value))).collect(),
        }
    }

    /// What a copy gets.
    pub(super) fn attributes(&self) -> Option<Attributes> {
        let modified = Time { seconds: self.modified.0, nanos: self.modified.1 };
        let extended =
            |(name, value): &(String, String)| Some((OsString::from_vec(bytes(name)?), bytes(value)?));
        Some(Attributes {
            sort: if self.what == What::Dir { Sort::Dir } else { Sort::File },
            ids: Ids { uid: self.uid, gid: self.gid },
            mode: u32::from_str_radix(&self.mode, 8).ok().filter(|mode| *mode <= 0o7777)?,
            extended: self.extended.iter().map(extended).collect::<Option<_>>()?,
            accessed: modified,
            modified,
        })
    }

    /// The record as it is when owners are not set.
    pub(super) fn without_owner(mut self) -> Self {
        (self.uid, self.gid) = (0, 0);
        self
    }
}

/// Printable ASCII as it is, everything else and `%` as `%` and two hexadecimal digits.
pub(super) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b' '..=b'~' if *byte != b'%' => text.push(char::from(*byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// The reverse; `None` when it is none.
pub(super) fn bytes(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after.get(2..)?;
        } else {
            bytes.push(*first);
        }
    }
    Some(bytes)
}

/// Numbers files with several names in the order in which they are met.
#[derive(Default)]
pub(super) struct Nodes(HashMap<(u64, u64), u64>);

impl Nodes {
    /// The number, and whether it was met before; `None` for a file with one name.
    pub(super) fn of(&mut self, meta: &Meta) -> Option<(u64, bool)> {
        if meta.links < 2 || matches!(meta.sort, Sort::Dir | Sort::Socket | Sort::Device) {
            return None;
        }
        let next = self.0.len() as u64;
        let number = *self.0.entry((meta.stat.dev, meta.stat.ino)).or_insert(next);
        Some((number, number != next))
    }
}

/// Writes the list.
pub(super) struct Lister(Packed);

impl Lister {
    pub(super) fn new(dir: &Dir) -> Result<Self> {
        Ok(Self(stream::pack(Output::new(dir, INDEX)?)?))
    }

    pub(super) fn add(&mut self, record: &Record) -> Result<()> {
        let mut line = serde_json::to_vec(record).unwrap_or_default();
        line.push(b'\n');
        let failed = |e| sys::Error::new("write", std::path::Path::new(INDEX), e);
        Ok(self.0.write_all(&line).map_err(failed)?)
    }

    pub(super) fn finish(self) -> Result<Blob> {
        stream::finish(self.0)
    }
}

/// No line is longer: a path, many runs, and extended attributes of at most 64 KiB, escaped.
const LONGEST: u64 = 64 << 20;

/// Reads the list.
pub(super) struct Reader<'a> {
    lines: BufReader<Unpacked>,
    dir: &'a Dir,
}

impl<'a> Reader<'a> {
    pub(super) fn new(dir: &'a Dir) -> Result<Self> {
        Ok(Self { lines: BufReader::new(stream::unpack(dir, INDEX)?), dir })
    }

    /// The next record; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Record>> {
        let mut line = Vec::new();
        let failed = |e: std::io::Error| Error::damaged(self.dir.path(), format!("{INDEX}: {e}"));
        (&mut self.lines).take(LONGEST).read_until(b'\n', &mut line).map_err(failed)?;
        if line.is_empty() {
            return Ok(None);
        }
        let record = serde_json::from_slice(&line).map_err(|e| failed(e.into()))?;
        Ok(Some(record))
    }

    /// The next record, which must be there.
    pub(super) fn expect(&mut self) -> Result<Record> {
        let why = format!("{INDEX} ends too early");
        self.next()?.ok_or_else(|| Error::damaged(self.dir.path(), why))
    }

    /// Nothing may be left, and it must be the list that was written.
    pub(super) fn end(mut self, blob: &Blob) -> Result<()> {
        if self.next()?.is_some() {
            return Err(Error::damaged(self.dir.path(), format!("{INDEX} names more than there is")));
        }
        stream::require(self.lines.into_inner(), blob, self.dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_have_a_text() {
        let all: Vec<u8> = (0..=255).collect();
        let text = escaped(&all);
        assert!(text.is_ascii() && !text.contains('\n'));
        assert_eq!(bytes(&text), Some(all));
        assert_eq!(escaped("a b/100%/ü".as_bytes()), "a b/100%25/%C3%BC");
        for bad in ["%", "%1", "%zz", "a%"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }
}
