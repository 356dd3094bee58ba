//! The write-ahead journal: what a run is about to do, on disk before it does it.
//!
//! In: records. Out: after a crash, a [`Recovery`]: what has to be undone or finished. Never holds
//! a secret, and never keeps the product from starting: it concerns only this program.
//!
//! One record a line: 16 hexadecimal digits of the SHA-256 of the JSON text, a space, the JSON
//! text. A last line that is torn counts as not written; damage elsewhere is an error.
#![forbid(unsafe_code)]

mod record;

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};

pub use record::{Before, Ending, Entry, Recovery, SCHEMA, replay};
use serde::Deserialize;

use crate::sys::dir::Dir;
use crate::sys::{self, fault};
use crate::types::Digest;

const NAME: &str = "current.jsonl";
const DONE: &str = "last.jsonl";
/// Name of the directory of kept copies, in the journal's.
pub const BACKUPS: &str = "backup";
const LIMIT: u64 = 64 << 20;

/// A journal that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A line other than the last is damaged.
    #[error("the journal {} is damaged in line {line}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// It has a form that this program must not guess at.
    #[error("the journal {} was written by a newer demisto-install ({tool}): it has form {schema}, this program reads form {SCHEMA}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its form.
        schema: u32,
        /// The version of the program that wrote it.
        tool: String,
    },
    /// The operating system refused.
    #[error(transparent)]
    Sys(#[from] sys::Error),
}

/// A result of this room.
pub type Result<T> = std::result::Result<T, Error>;

/// The journal of one run, open for appending.
#[derive(Debug)]
pub struct Journal {
    dir: Dir,
    file: File,
    path: PathBuf,
    /// Bytes of whole records.
    length: u64,
}

impl Journal {
    /// Begins a journal in `dir`, which exists.
    ///
    /// # Errors
    /// When one is open already or the file cannot be created.
    pub fn begin(dir: &Path) -> Result<Self> {
        let dir = Dir::open(dir)?;
        let file = dir.create_file(NAME)?;
        let journal = Self { path: dir.path_of(NAME), dir, file, length: 0 };
        match journal.dir.sync() {
            Ok(()) => Ok(journal),
            Err(e) => {
                journal.discard();
                Err(e.into())
            }
        }
    }

    /// Opens the journal that an earlier run left in `dir`, with its records; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn reopen(dir: &Path) -> Result<Option<(Self, Vec<Entry>)>> {
        let path = dir.join(NAME);
        let bytes = match sys::fs::read_trusted(&path, LIMIT) {
            Err(e) if e.is_not_found() => return Ok(None),
            other => other?,
        };
        let (entries, good) = parse(&path, &bytes)?;
        let file = sys::fs::open_or_create_private(&path)?;
        let mut journal = Self { dir: Dir::open(dir)?, file, path, length: good as u64 };
        journal.cut().map_err(|e| sys::Error::new("repair", &journal.path, e))?;
        Ok(Some((journal, entries)))
    }

    /// Whether `dir` holds an unfinished journal.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn is_open(dir: &Path) -> Result<bool> {
        Ok(sys::fs::stat(&dir.join(NAME))?.is_some())
    }

    /// The records of the last run that ended in `dir`; none when there was none, or they cannot be read.
    #[must_use]
    pub fn last(dir: &Path) -> Vec<Entry> {
        let path = dir.join(DONE);
        let bytes = sys::fs::read_trusted(&path, LIMIT).unwrap_or_default();
        parse(&path, &bytes).map(|(entries, _)| entries).unwrap_or_default()
    }

    /// Appends a record and makes it durable before it returns.
    ///
    /// # Errors
    /// When it cannot be written: what it announces must not be done then, and the record counts
    /// as not written.
    pub fn append(&mut self, entry: &Entry) -> Result<()> {
        let text = serde_json::to_string(entry).unwrap_or_default();
        let line = format!("{} {text}\n", check(&text));
        match self.write(line.as_bytes()) {
            Ok(()) => {
                self.length += line.len() as u64;
                Ok(())
            }
            Err(e) => {
                let _ = self.cut(); // else a recovery would take a failed commit for a commit
                Err(sys::Error::new("write", &self.path, e).into())
            }
        }
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        fault::point("journal append")?;
        self.file.write_all(line)?;
        fault::point("journal written")?;
        self.file.sync_data()?;
        fault::point("journal synced")
    }

    /// Cuts off what follows the last whole record: a torn line must not swallow the next.
    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.seek(io::SeekFrom::Start(self.length))?;
        self.file.sync_data()
    }

    /// Drops a journal that announces nothing.
    pub fn discard(self) {
        let _ = self.dir.remove_file(NAME);
    }

    /// Ends the journal: it becomes the record of the last run.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn end(self) -> Result<()> {
        self.dir.rename(NAME, &self.dir, DONE)?;
        Ok(self.dir.sync()?)
    }

    /// The directory in which copies of replaced files are kept until the end.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn backup_dir(&self) -> Result<Dir> {
        if self.dir.stat(BACKUPS)?.is_none() {
            self.dir.create_dir(BACKUPS, 0o700, None)?;
            self.dir.sync()?; // else a power cut takes it with all copies, and leaves what they are of
        }
        Ok(self.dir.open_dir(BACKUPS)?)
    }

    /// Removes the kept copies. Some hold keys or passwords, so all are overwritten first, as far as possible.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn drop_backups(&self) -> Result<()> {
        if self.dir.stat(BACKUPS)?.is_some() {
            let dir = self.dir.open_dir(BACKUPS)?;
            for name in dir.raw_names()? {
                let _ = dir.scrub(name); // that it cannot be must not keep it from going
            }
        }
        Ok(self.dir.remove_tree(BACKUPS)?)
    }
}

fn check(text: &str) -> String {
    Digest::of(text.as_bytes()).to_string().chars().take(16).collect()
}

/// What the first record of every form has.
#[derive(Deserialize)]
struct Head {
    record: String,
    #[serde(default)]
    schema: u32,
    #[serde(default)]
    tool: String,
}

/// Refuses a journal of a newer form by its first record, before any other is looked at.
fn known_form(path: &Path, text: &str) -> Result<()> {
    match serde_json::from_str::<Head>(text) {
        Ok(Head { record, schema, tool }) if record == "begin" && schema > SCHEMA => {
            Err(Error::Newer { path: path.to_owned(), schema, tool })
        }
        _ => Ok(()),
    }
}

/// The records, and how many bytes of the file are good.
fn parse(path: &Path, bytes: &[u8]) -> Result<(Vec<Entry>, usize)> {
    let mut entries = Vec::new();
    let mut good = 0;
    let mut lines = bytes.split_inclusive(|b| *b == b'\n').enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let damaged = || Error::Damaged { path: path.to_owned(), line: number + 1 };
        let Some(text) = whole(line) else {
            if lines.peek().is_none() {
                break; // torn by a crash: it was not acted on
            }
            return Err(damaged());
        };
        if number == 0 {
            known_form(path, text)?;
        }
        // a whole record may have been acted on, so it is never cut off, even when it is the last
        entries.push(serde_json::from_str(text).map_err(|_| damaged())?);
        good += line.len();
    }
    Ok((entries, good))
}

/// The JSON text of a line that is whole.
fn whole(line: &[u8]) -> Option<&str> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (sum, text) = line.split_once(' ')?;
    (sum == check(text)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> (tempfile::TempDir, Vec<u8>) {
        let temp = tempfile::tempdir().unwrap();
        let mut journal = Journal::begin(temp.path()).unwrap();
        for step in 0..3 {
            journal.append(&Entry::Done { step }).unwrap();
        }
        let bytes = sys::fs::read_limited(&temp.path().join(NAME), LIMIT).unwrap();
        (temp, bytes)
    }

    #[test]
    fn a_torn_end_is_cut_at_every_length() {
        let (temp, bytes) = written();
        let path = temp.path().join(NAME);
        for length in 0..=bytes.len() {
            sys::fs::write_atomic(&path, &bytes[..length], 0o600).unwrap();
            let (mut journal, entries) = Journal::reopen(temp.path()).unwrap().unwrap();
            assert_eq!(entries.len(), bytes[..length].iter().filter(|b| **b == b'\n').count(), "{length}");
            journal.append(&Entry::Commit).unwrap();
            let (_, again) = Journal::reopen(temp.path()).unwrap().unwrap();
            assert_eq!(again.len(), entries.len() + 1);
        }
    }

    #[test]
    fn damage_in_the_middle_is_an_error() {
        let (temp, mut bytes) = written();
        bytes[20] ^= 1;
        sys::fs::write_atomic(&temp.path().join(NAME), &bytes, 0o600).unwrap();
        assert!(matches!(Journal::reopen(temp.path()), Err(Error::Damaged { line: 1, .. })));
    }

    /// A journal of these records, whatever they are.
    fn reopened(records: &[&str]) -> Result<Vec<Entry>> {
        let temp = tempfile::tempdir().unwrap();
        let text: String = records.iter().map(|text| format!("{} {text}\n", check(text))).collect();
        sys::fs::write_atomic(&temp.path().join(NAME), text.as_bytes(), 0o600).unwrap();
        let read = Journal::reopen(temp.path()).map(|journal| journal.unwrap().1);
        let after = sys::fs::read_limited(&temp.path().join(NAME), LIMIT).unwrap();
        assert_eq!(after, text.as_bytes(), "what is whole is never cut off");
        read
    }

    #[test]
    fn a_newer_form_is_not_called_damage() {
        let newer = SCHEMA + 1;
        let begin = format!(
            r#"{{"record":"begin","schema":{newer},"tool":"9.1.0","plan":{{"steps":[{{"do":"dance"}}]}}}}"#
        );
        let begin = begin.as_str();
        for records in [&[begin][..], &[begin, r#"{"record":"dance"}"#], &[begin, "?", "?"]] {
            let error = reopened(records).unwrap_err();
            let said =
                matches!(&error, Error::Newer { schema, tool, .. } if *schema == newer && tool == "9.1.0");
            assert!(said, "{error:?}");
        }
    }

    #[test]
    fn a_whole_record_that_is_not_understood_is_damage() {
        let done = r#"{"record":"done","step":0}"#;
        let strange = r#"{"record":"dance"}"#;
        assert!(matches!(reopened(&[strange]), Err(Error::Damaged { line: 1, .. })));
        assert!(matches!(reopened(&[done, strange]), Err(Error::Damaged { line: 2, .. })));
        assert!(matches!(reopened(&[done, strange, done]), Err(Error::Damaged { line: 2, .. })));
        assert_eq!(reopened(&[done]).unwrap(), [Entry::Done { step: 0 }]);
    }

    #[test]
    fn nothing_of_the_kept_copies_is_left() {
        let (temp, _) = written();
        let (journal, _) = Journal::reopen(temp.path()).unwrap().unwrap();
        journal.drop_backups().unwrap();
        let dir = journal.backup_dir().unwrap();
        dir.replace_file("0", b"secret", 0o600, None).unwrap();
        dir.create_dir("dir", 0o700, None).unwrap();
        let copy = dir.open_file("0").unwrap();
        journal.drop_backups().unwrap();
        assert_eq!(io::read_to_string(copy).unwrap(), "\0".repeat(6));
        assert!(!temp.path().join(BACKUPS).exists());
    }

    #[test]
    fn one_journal_at_a_time() {
        let (temp, _) = written();
        assert!(Journal::begin(temp.path()).is_err());
        assert!(Journal::is_open(temp.path()).unwrap());
        Journal::reopen(temp.path()).unwrap().unwrap().0.end().unwrap();
        assert!(!Journal::is_open(temp.path()).unwrap());
    }
}
