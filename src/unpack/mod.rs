//! Reads compressed tar archives that nobody vouches for, in a second process that can do nothing else.
//!
//! In: an open file and where archives lie in it. Out: what they hold, as a bounded list, and the bytes of one
//! file. Decompressors and the reader of tar never run in the process that has rights: it starts this program
//! once more, the second process gives up all that [`crate::sys::confine`] lists before it reads the first byte,
//! and what it answers is believed no more than the archive itself. Nothing is ever written under a name that
//! an archive holds.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

mod confined;
mod message;

use std::fs::File;
use std::io;
use std::path::Path;

use serde::{Serialize, Serializer};

pub use confined::run_confined;
use message::Message;

use crate::archive::Method;
use crate::sys;
use crate::sys::helper::Helper;

/// Most entries of all archives together.
pub const MAX_ENTRIES: usize = 100_000;
/// Most bytes of one name.
pub const MAX_NAME: usize = 4096;
/// Most bytes of all names together.
pub const MAX_NAMES: usize = 8 << 20;
/// Most bytes that all archives together may decompress to.
pub const MAX_CONTENT: u64 = 16 << 30;

/// Where an archive lies in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Its first byte.
    pub offset: u64,
    /// How many bytes it has.
    pub length: u64,
    /// How it is compressed.
    pub method: Method,
}

/// What an entry of an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A second name of a file.
    Link,
    /// A device.
    Device,
    /// A pipe.
    Fifo,
    /// Anything else, such as a file with holes.
    Other,
}

/// What a file in an archive is by its first or last bytes, when it carries signatures of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holds {
    /// An installer of this program.
    Bundle,
    /// An RPM package.
    Rpm,
}

/// One entry of an archive, by its own word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its name as it is written; bytes that are no text are replaced.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Permission bits, with set-uid, set-gid and sticky; four octal digits as text.
    #[serde(serialize_with = "octal")]
    pub mode: u32,
    /// Bytes of content.
    pub size: u64,
    /// What is in it, if it is a file with signatures of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holds: Option<Holds>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn octal<S: Serializer>(mode: &u32, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{mode:04o}"))
}

impl Entry {
    /// Why no installer has such an entry, if there is a reason.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Device => Some("a device"),
            Kind::Fifo => Some("a pipe"),
            _ if self.name.starts_with('/') || self.name.split('/').any(|part| part == "..") => {
                Some("a name that leads outside")
            }
            _ => None,
        }
    }
}

/// An archive that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The archive is damaged, too large, or not what it should be.
    #[error("the archive is refused: {0}")]
    Refused(String),
    /// The confined process came to an end that it should not have come to.
    #[error("the archive is refused: the process that read it ended with {how}{}", behind(.said))]
    Ended {
        /// How.
        how: String,
        /// The last that it said.
        said: String,
    },
    /// The host does not let a process give up its rights, so nothing was read.
    #[error("the archive cannot be read safely here: {0}")]
    NotConfined(String),
    /// The confined process did not keep to the protocol.
    #[error("the archive is refused: the process that read it answered nonsense ({0})")]
    Nonsense(&'static str),
    /// A signal asked the run to end.
    #[error("ended by signal {0}")]
    Interrupted(i32),
    /// The operating system refused.
    #[error(transparent)]
    Sys(#[from] sys::Error),
}

fn behind(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

/// A result of this room.
pub type Result<T> = std::result::Result<T, Error>;

/// Lists what the archives hold; every byte of them is decompressed for that. `advance` is told how many
/// compressed bytes were read since the last call.
///
/// # Errors
/// When they cannot be read, hold too much, or a signal asks the run to end.
pub fn list(file: &File, pieces: &[Piece], advance: &mut dyn FnMut(u64)) -> Result<Vec<Entry>> {
    let (mut entries, mut names, mut content) = (Vec::new(), 0_usize, 0_u64);
    converse("list", None, file, pieces, &mut |message| {
        match message {
            Message::Progress(delta) => advance(delta),
            Message::Entry(entry) => {
                names = names.saturating_add(entry.name.len());
                let size = if entry.kind == Kind::File { entry.size } else { 0 };
                content = content.saturating_add(size);
                if entries.len() >= MAX_ENTRIES || names > MAX_NAMES || content > MAX_CONTENT {
                    return Err(Error::Nonsense("more than it may list"));
                }
                entries.push(entry);
            }
            _ => return Err(Error::Nonsense("bytes where names are expected")),
        }
        Ok(())
    })?;
    Ok(entries)
}

/// Gives the bytes of the file that [`list`] listed at place `number`, counted from 0, with `size` bytes.
///
/// # Errors
/// As [`list`]; and when it has not exactly that size, or `take` fails.
pub fn copy(
    file: &File,
    pieces: &[Piece],
    (number, size): (usize, u64),
    take: &mut dyn FnMut(&[u8]) -> sys::Result<()>,
) -> Result<()> {
    let mut left = size;
    converse("copy", Some(number), file, pieces, &mut |message| {
        match message {
            Message::Progress(_) => {}
            Message::Data(bytes) => {
                let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                left = left.checked_sub(count).ok_or(Error::Nonsense("more bytes than it listed"))?;
                take(&bytes)?;
            }
            _ => return Err(Error::Nonsense("names where bytes are expected")),
        }
        Ok(())
    })?;
    if left == 0 { Ok(()) } else { Err(Error::Nonsense("fewer bytes than it listed")) }
}

/// Starts the confined process and takes its messages to the last one.
fn converse(
    verb: &str,
    number: Option<usize>,
    file: &File,
    pieces: &[Piece],
    take: &mut dyn FnMut(Message) -> Result<()>,
) -> Result<()> {
    let args = confined::arguments(verb, number, pieces);
    let input = file.try_clone().map_err(|e| sys::Error::new("read", Path::new("the archive"), e))?;
    let helper = Helper::start(args.iter().map(String::as_str), input)?;
    let mut reader = io::BufReader::with_capacity(message::MAX_DATA, helper);
    loop {
        if let Some(signal) = sys::signal::pending() {
            return Err(Error::Interrupted(signal));
        }
        match Message::read(&mut reader) {
            Ok(Some(Message::End)) => return Ok(()),
            Ok(Some(Message::Failed(why))) => return Err(Error::Refused(why)),
            Ok(Some(message)) => take(message)?,
            Ok(None) => return Err(Error::Nonsense("a message of no kind")),
            Err(_) => {
                let (status, said) = reader.into_inner().end()?;
                return Err(match status.code() {
                    Some(code) if code == i32::from(confined::NOT_CONFINED) => Error::NotConfined(said),
                    _ => Error::Ended { how: status.to_string(), said },
                });
            }
        }
    }
}
