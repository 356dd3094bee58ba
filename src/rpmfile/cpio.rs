use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};

use super::error::shortened;
use super::{Error, File, Kind, Result, carrier};

/// Length of a member's header after the magic: 13 numbers of 8 hexadecimal digits (cpio(5), "newc").
const NUMBERS: usize = 13 * 8;
/// Longest name with its NUL: `RelPath` allows 3072 bytes, `./` comes before it.
const MAX_NAME: u32 = 3072 + 3;
/// What may follow the last member: zeros up to the next block.
const MAX_PADDING: usize = 512;

/// Reads a cpio archive as rpm writes it, and holds each member against the header's list of files.
pub struct Cpio<'a, R> {
    reader: R,
    files: &'a [File],
    large: bool,
    /// The index of each path, without its first `/`.
    paths: BTreeMap<&'a str, usize>,
    /// Which files have come.
    seen: Vec<bool>,
    /// Content of the current member that was not yet read.
    left: u64,
    /// Zeros behind it.
    padding: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Members,
    End,
    /// An error came: whatever followed would be guessed.
    Broken,
}

/// A member of the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its index in the list of files.
    pub index: usize,
    /// Bytes of content that [`Cpio`] now gives out: 0 for all but a regular file, and for a hard link whose content
    /// comes with a later one. The target of a symbolic link was compared with the header's.
    pub size: u64,
}

impl<'a, R: Read> Cpio<'a, R> {
    /// A reader of the decompressed archive of `files`; `large` as in [`Payload`](super::Payload).
    pub fn new(reader: R, files: &'a [File], large: bool) -> Self {
        let path = |(index, file): (usize, &'a File)| (file.path.trim_start_matches('/'), index);
        Self {
            reader,
            files,
            large,
            paths: files.iter().enumerate().map(path).collect(),
            seen: vec![false; files.len()],
            left: 0,
            padding: 0,
            state: State::Members,
        }
    }

    /// The next member; what was not read of the one before is skipped. `None` at the end, when every file that is
    /// not a ghost has come.
    ///
    /// # Errors
    /// When the archive cannot be read, is damaged, or does not hold what the header says. The same call fails
    /// again then.
    #[allow(clippy::should_implement_trait, reason = "an iterator could not lend the content")]
    pub fn next(&mut self) -> Result<Option<Member>> {
        match self.state {
            State::Members => {}
            State::End => return Ok(None),
            State::Broken => return Err(Error::Archive("it was not read to its end")),
        }
        self.state = State::Broken;
        let member = self.advance()?;
        self.state = if member.is_some() { State::Members } else { State::End };
        Ok(member)
    }

    fn advance(&mut self) -> Result<Option<Member>> {
        self.finish_member()?;
        let mut magic = [0; 6];
        self.fill(&mut magic)?;
        let index = match &magic {
            b"070701" | b"070702" => self.plain()?,
            b"07070X" => Some(self.stripped()?),
            _ => return Err(Error::Archive("a member does not begin with the magic of cpio")),
        };
        let Some(index) = index else {
            self.finish()?;
            return Ok(None);
        };
        self.begin(index).map(Some)
    }

    /// The rest of a header of the common form, and the name. `None` for the last member.
    fn plain(&mut self) -> Result<Option<usize>> {
        let mut text = [0; NUMBERS];
        self.fill(&mut text)?;
        let mut numbers = [0; 13];
        for (number, digits) in numbers.iter_mut().zip(text.chunks_exact(8)) {
            *number = hex(digits)?;
        }
        let [_, mode, _, _, _, _, size, _, _, _, _, name_size, _] = numbers;
        let name = self.name(name_size)?;
        if name == b"TRAILER!!!" {
            return if size == 0 { Ok(None) } else { Err(Error::Archive("its last member has content")) };
        }
        let name = std::str::from_utf8(&name).map_err(|_| Error::Archive("a name is not UTF-8"))?;
        let path = name.strip_prefix("./").or_else(|| name.strip_prefix('/')).unwrap_or(name);
        let unknown = |why| Error::Member { path: shortened(name), why };
        let index = *self.paths.get(path).ok_or_else(|| unknown("it is not in the header"))?;
        if self.large {
            return Err(unknown("its header has not the form for large files"));
        }
        let file = self.files.get(index).ok_or_else(|| unknown("it is not in the header"))?;
        if mode != file.full_mode() {
            return Err(unknown("its type or mode is another"));
        }
        if u64::from(size) != expected(self.files, index) {
            return Err(unknown("its size is another"));
        }
        Ok(Some(index))
    }

    fn name(&mut self, size: u32) -> Result<Vec<u8>> {
        let bad = || Error::Archive("a name is empty, too long or without its end");
        if !(2..=MAX_NAME).contains(&size) {
            return Err(bad());
        }
        let mut name = vec![0; usize::try_from(size).map_err(|_| bad())?];
        self.fill(&mut name)?;
        if name.iter().position(|byte| *byte == 0) != name.len().checked_sub(1) {
            return Err(bad());
        }
        // The header has 110 bytes, 2 more than a multiple of 4.
        let length = name.len().saturating_add(2);
        self.zeros(length.next_multiple_of(4).saturating_sub(length))?;
        name.pop();
        Ok(name)
    }

    /// The rest of a header of rpm's own form, which says nothing but which file it is.
    fn stripped(&mut self) -> Result<usize> {
        let mut digits = [0; 8];
        self.fill(&mut digits)?;
        self.zeros(2)?;
        let index = usize::try_from(hex(&digits)?).ok().filter(|index| *index < self.files.len());
        match index {
            Some(index) if self.large => Ok(index),
            Some(_) => Err(Error::Archive("a member has the form for large files, of which there are none")),
            None => Err(Error::Archive("a member is not in the header")),
        }
    }

    /// Begins the content of a member.
    fn begin(&mut self, index: usize) -> Result<Member> {
        let none = || Error::Archive("a member is not in the header");
        let files = self.files;
        let file = files.get(index).ok_or_else(none)?;
        let bad = |why| Err(Error::Member { path: shortened(&file.path), why });
        if file.flags.is_ghost() {
            return bad("it is a ghost, which has no content");
        }
        if std::mem::replace(self.seen.get_mut(index).ok_or_else(none)?, true) {
            return bad("it comes twice");
        }
        let size = expected(files, index);
        self.padding = usize::try_from(4_u64.saturating_sub(size % 4) % 4).unwrap_or_default();
        let Kind::Symlink { target } = &file.kind else {
            self.left = size;
            return Ok(Member { index, size });
        };
        let mut found = vec![0; target.len()];
        self.fill(&mut found)?;
        if found != target.as_bytes() {
            return bad("its target is another");
        }
        Ok(Member { index, size: 0 })
    }

    /// Reads past the rest of the current member.
    fn finish_member(&mut self) -> Result<()> {
        io::copy(self, &mut io::sink()).map_err(ended)?;
        let padding = std::mem::take(&mut self.padding);
        self.zeros(padding)
    }

    /// Nothing but padding follows, and nothing is missing.
    fn finish(&mut self) -> Result<()> {
        let mut rest = Vec::new();
        let most = u64::try_from(MAX_PADDING).unwrap_or_default().saturating_add(1);
        (&mut self.reader).take(most).read_to_end(&mut rest)?;
        if rest.len() > MAX_PADDING || rest.iter().any(|byte| *byte != 0) {
            return Err(Error::Archive("something follows its last member"));
        }
        let missing =
            self.files.iter().zip(&self.seen).find(|(file, seen)| !file.flags.is_ghost() && !**seen);
        match missing {
            Some((file, _)) => Err(Error::Member { path: shortened(&file.path), why: "it is missing" }),
            None => Ok(()),
        }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<()> {
        self.reader.read_exact(buffer).map_err(ended)
    }

    /// Reads up to three zeros.
    fn zeros(&mut self, count: usize) -> Result<()> {
        let mut bytes = [0; 4];
        self.fill(bytes.get_mut(..count).unwrap_or_default())?;
        if bytes == [0; 4] { Ok(()) } else { Err(Error::Archive("what pads a member is not zero")) }
    }
}

/// The content of the current member. Ends at its end.
impl<R: Read> Read for Cpio<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..most).filter(|buffer| !buffer.is_empty()) else { return Ok(0) };
        let read = self.reader.read(buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left = self.left.saturating_sub(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}

impl<R> fmt::Debug for Cpio<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cpio")
    }
}

/// Bytes of content that the member of a file has.
fn expected(files: &[File], index: usize) -> u64 {
    match files.get(index).map(|file| &file.kind) {
        Some(Kind::File { size, .. }) if carrier(files, index) == index => *size,
        Some(Kind::Symlink { target }) => u64::try_from(target.len()).unwrap_or(u64::MAX),
        _ => 0,
    }
}

fn hex(digits: &[u8]) -> Result<u32> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
    let number = text.and_then(|text| u32::from_str_radix(text, 16).ok());
    number.ok_or(Error::Archive("a number is not in hexadecimal digits"))
}

fn ended(error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return Error::Archive("it is cut off");
    }
    Error::Read(error)
}

#[cfg(test)]
#[path = "cpio_tests.rs"]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "tests change bytes by position"
)]
mod tests;
