//! The payload of a package: one compressed stream, which can only be read from its beginning on. All of it is
//! hashed before any of it is decompressed, and again while it is.

use std::fmt;
use std::io::{self, BufRead, Read};

use super::{Error, Result, Take};
use crate::archive;
use crate::event::EventSink;
use crate::rpmfile::{self, Cpio, Member, Package};
use crate::source::Candidate;
use crate::sys;
use crate::types::{Digest, Hasher};

/// So much is read, hashed and compared at once, in bytes.
const PIECE: usize = 1 << 20;
/// As much content is given out at once, in bytes.
const CONTENT: usize = 256 << 10;

/// A package's payload that was compared with its signed digest.
#[derive(Debug)]
pub(super) struct Payload {
    /// The digest of the first piece, of the first two, and so on: what was compared is compared again when it
    /// is read again, whoever can write the file.
    marks: Vec<Digest>,
}

impl Payload {
    /// Hashes the payload and compares it with the digest in the verified header.
    pub(super) fn check(candidate: &Candidate, package: &Package, sink: &dyn EventSink) -> Result<Self> {
        let expected = package.payload.sha256.ok_or(Error::NoPayloadDigest)?;
        let length = payload_length(candidate);
        let mut marks = Vec::new();
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; PIECE];
        let mut offset = 0;
        while let Some(piece) = piece(&mut buffer, length, offset) {
            if let Some(signal) = sys::signal::pending() {
                return Err(Error::Interrupted(signal));
            }
            candidate.read_payload(piece, offset)?;
            hasher.update(piece);
            marks.push(hasher.so_far());
            offset = offset.saturating_add(piece.len() as u64);
            sink.advance(piece.len() as u64);
        }
        let found = hasher.finish();
        if found != expected {
            let what = "the package's payload".to_owned();
            let source = crate::bundle::Error::Digest { what, expected, found };
            return Err(Error::Damaged { path: candidate.path().to_owned(), source });
        }
        Ok(Self { marks })
    }
}

/// The archive from its beginning on.
pub(super) fn open<'a>(
    candidate: &'a Candidate,
    package: &'a Package,
    payload: &'a Payload,
) -> Result<Archive<'a>> {
    let source = Compressed::new(candidate, payload);
    let limit = rpmfile::content_limit(&package.files);
    let reader = archive::reader(package.payload.method, source, limit).map_err(rpmfile::Error::Read)?;
    Ok(Cpio::new(reader, &package.files, package.payload.large))
}

fn payload_length(candidate: &Candidate) -> u64 {
    candidate.package().map_or(0, rpmfile::Envelope::payload_length)
}

/// Room for the bytes from `offset` on, as many as there are.
pub(super) fn piece(buffer: &mut [u8], length: u64, offset: u64) -> Option<&mut [u8]> {
    let left = length.checked_sub(offset).filter(|left| *left > 0)?;
    let count = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
    buffer.get_mut(..count)
}

/// Reads the payload again, each piece compared with its mark before it is given out.
struct Compressed<'a> {
    candidate: &'a Candidate,
    marks: std::slice::Iter<'a, Digest>,
    hasher: Hasher,
    offset: u64,
    buffer: Vec<u8>,
    used: usize,
    filled: usize,
}

impl<'a> Compressed<'a> {
    fn new(candidate: &'a Candidate, payload: &'a Payload) -> Self {
        let (marks, hasher) = (payload.marks.iter(), Hasher::new());
        Self { candidate, marks, hasher, offset: 0, buffer: vec![0; PIECE], used: 0, filled: 0 }
    }
}

impl BufRead for Compressed<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.filled
            && let Some(mark) = self.marks.next()
        {
            (self.used, self.filled) = (0, 0);
            let length = payload_length(self.candidate);
            let piece = piece(&mut self.buffer, length, self.offset).unwrap_or_default();
            self.candidate.read_payload(piece, self.offset).map_err(io::Error::other)?;
            self.hasher.update(piece);
            if self.hasher.so_far() != *mark {
                return Err(io::Error::other("the file was changed while it was read"));
            }
            self.filled = piece.len();
            self.offset = self.offset.saturating_add(piece.len() as u64);
        }
        Ok(self.buffer.get(self.used..self.filled).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.used = self.used.saturating_add(amount).min(self.filled);
    }
}

impl Read for Compressed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

pub(super) type Archive<'a> = Cpio<'a, Box<dyn Read + Send + 'a>>;

/// Gives out the content of a package's files, best in the order of the payload: for an earlier one it begins
/// anew.
pub(super) struct PayloadReader<'a> {
    candidate: &'a Candidate,
    package: &'a Package,
    payload: &'a Payload,
    /// The archive, and where it stands.
    at: Option<(Archive<'a>, Option<Member>)>,
    buffer: Vec<u8>,
}

impl fmt::Debug for PayloadReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PayloadReader")
    }
}

impl<'a> PayloadReader<'a> {
    pub(super) fn new(candidate: &'a Candidate, package: &'a Package, payload: &'a Payload) -> Self {
        Self { candidate, package, payload, at: None, buffer: Vec::new() }
    }

    /// Gives the content of the file with this index to `take`, in pieces.
    pub(super) fn each_piece(&mut self, index: u64, size: u64, take: &mut Take) -> Result<()> {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        self.seek(index)?;
        let Some((archive, member)) = &mut self.at else { return Err(Error::Shape) };
        if member.take().is_none_or(|member| member.size != size) {
            return Err(Error::Shape);
        }
        self.buffer.resize(CONTENT, 0);
        let mut left = size;
        while left > 0 {
            let count = archive.read(&mut self.buffer).map_err(rpmfile::Error::Read)?;
            if count == 0 {
                return Err(Error::Shape);
            }
            take(self.buffer.get(..count).unwrap_or_default())?;
            left = left.saturating_sub(count as u64);
        }
        Ok(())
    }

    /// Goes to the file with this index, whose content was not given out yet.
    fn seek(&mut self, index: usize) -> Result<()> {
        for _ in 0..2 {
            if self.at.is_none() {
                self.at = Some((open(self.candidate, self.package, self.payload)?, None));
            }
            let Some((archive, member)) = &mut self.at else { break };
            if member.is_some_and(|member| member.index == index) {
                return Ok(());
            }
            while let Some(next) = archive.next()? {
                if next.index == index {
                    *member = Some(next);
                    return Ok(());
                }
                if let Some(signal) = sys::signal::pending() {
                    return Err(Error::Interrupted(signal));
                }
            }
            self.at = None; // it may lie before where this reader stood
        }
        Err(Error::Shape)
    }
}
