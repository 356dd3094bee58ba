//! The payload of a package, decompressed once, on one thread; what is in it goes to workers on others. How far
//! the decompressor may be ahead of them is bounded by the number of pieces.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::mpsc;

use super::package::Opened;
use super::payload::{self, Archive};
use super::{Error, Give, Release, Result, Take};
use crate::manifest::{Entry, Kind};
use crate::rpmfile::{self, Member};
use crate::sys::io::Buffer;
use crate::sys::{self, parallel};

/// As much content goes to a worker at once, in bytes: a large file is written in such pieces.
const PIECE: usize = 1 << 20;
/// So many pieces there are in all: 8 MiB.
const PIECES: usize = 8;
/// So many names of one file are given out at once: each of them is an open file.
const NAMES: usize = 64;

/// A part of a file's content. Where it is dropped, its memory goes back to be filled again.
struct Piece {
    buffer: Option<Buffer>,
    length: usize,
    home: mpsc::Sender<Buffer>,
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], |buffer| buffer.first(self.length))
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            let _ = self.home.send(buffer); // nobody is there at the end, and nobody needs it
        }
    }
}

/// The names of one file, and its content, which comes as it is decompressed.
struct File<'a> {
    entries: Vec<&'a Entry>,
    size: u64,
    pieces: mpsc::Receiver<Piece>,
}

impl File<'_> {
    fn give(&self, take: &mut Take) -> Result<()> {
        let mut left = self.size;
        while left > 0 {
            let piece = self.pieces.recv().map_err(|_| Error::Shape)?;
            take(piece.bytes())?;
            left = left.saturating_sub(piece.length as u64);
        }
        Ok(())
    }
}

/// Files by the index under which their content comes, and all the names that want it.
type Wanted<'a> = BTreeMap<usize, Vec<&'a Entry>>;

/// Gives each of the files `wanted` to `work`, on several threads, with all names that have the same content.
pub(super) fn each<'a, S, E: From<Error> + Send>(
    release: &'a Release,
    wanted: &[&'a Entry],
    workers: usize,
    start: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, &[&'a Entry], &mut Give) -> std::result::Result<(), E> + Sync,
) -> std::result::Result<(), E> {
    let package = release.package.as_ref().ok_or(Error::Shape)?;
    let complete = Cell::new(false);
    let give = |hand_out: &dyn Fn(File<'a>) -> bool| {
        let done = Source::new(release, package, hand_out).all(wanted)?;
        complete.set(done);
        Ok(())
    };
    let work = |state: &mut S, file: File<'a>| work(state, &file.entries, &mut |take| file.give(take));
    parallel::feed(workers, give, start, work)?;
    if complete.get() { Ok(()) } else { Err(Error::Shape.into()) }
}

struct Source<'a, 'b> {
    release: &'a Release,
    package: &'a Opened,
    hand_out: &'b dyn Fn(File<'a>) -> bool,
    home: mpsc::Sender<Buffer>,
    empty: mpsc::Receiver<Buffer>,
}

impl<'a, 'b> Source<'a, 'b> {
    fn new(release: &'a Release, package: &'a Opened, hand_out: &'b dyn Fn(File<'a>) -> bool) -> Self {
        let (home, empty) = mpsc::channel();
        for _ in 0..PIECES {
            let _ = home.send(Buffer::new(PIECE)); // the other end is here
        }
        Self { release, package, hand_out, home, empty }
    }

    /// Hands out all files; `false` when no more is wanted.
    fn all(&self, wanted: &[&'a Entry]) -> Result<bool> {
        let mut with_content = Wanted::new();
        for entry in wanted {
            let Kind::File { size, at, .. } = entry.kind else { continue };
            if size > 0 {
                let index = usize::try_from(at.offset).map_err(|_| Error::Shape)?;
                with_content.entry(index).or_default().push(entry);
            } else if self.begin(vec![entry], 0).is_none() {
                return Ok(false);
            }
        }
        while !with_content.is_empty() {
            if !self.pass(&mut with_content)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Goes through the payload once, to its end: a payload that goes on behind what the header knows is refused,
    /// whatever is wanted of it. `false` as above.
    fn pass(&self, wanted: &mut Wanted<'a>) -> Result<bool> {
        let Opened { package, payload, .. } = self.package;
        let mut archive = payload::open(&self.release.candidate, package, payload)?;
        let mut some = false;
        while let Some(member) = archive.next()? {
            interrupted()?;
            let Some(names) = wanted.get_mut(&member.index) else { continue };
            let now = names.split_off(names.len().saturating_sub(NAMES));
            if names.is_empty() {
                wanted.remove(&member.index);
            }
            if !self.file(&mut archive, member, now)? {
                return Ok(false);
            }
            some = true;
        }
        if some { Ok(true) } else { Err(Error::Shape) }
    }

    fn file(&self, archive: &mut Archive, member: Member, entries: Vec<&'a Entry>) -> Result<bool> {
        let fits = |entry: &&Entry| matches!(entry.kind, Kind::File { size, .. } if size == member.size);
        if !entries.iter().all(fits) {
            return Err(Error::Shape);
        }
        let Some(pieces) = self.begin(entries, member.size) else { return Ok(false) };
        let mut left = member.size;
        while left > 0 {
            interrupted()?;
            let Ok(mut buffer) = self.empty.recv() else { return Ok(false) };
            let length = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
            archive.read_exact(buffer.first_mut(length)).map_err(rpmfile::Error::Read)?;
            if pieces.send(Piece { buffer: Some(buffer), length, home: self.home.clone() }).is_err() {
                return Ok(false);
            }
            left = left.saturating_sub(length as u64);
        }
        Ok(true)
    }

    /// Hands out a file whose content follows; `None` when no more is wanted.
    fn begin(&self, entries: Vec<&'a Entry>, size: u64) -> Option<mpsc::Sender<Piece>> {
        let (sender, pieces) = mpsc::channel();
        (self.hand_out)(File { entries, size, pieces }).then_some(sender)
    }
}

fn interrupted() -> Result<()> {
    sys::signal::pending().map_or(Ok(()), |signal| Err(Error::Interrupted(signal)))
}
