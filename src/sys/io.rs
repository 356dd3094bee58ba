//! Large files, written and read past the page cache (`O_DIRECT`).
//!
//! What an installer writes is not read again soon. Through the page cache every byte would be
//! copied and take a new page of memory, and both cost more than the device does; pages that the
//! rest of the machine uses would be driven out. Where the file system has no direct way, all is
//! as with any other file.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::FileExt as _;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// Memory, place and length of a direct transfer are multiples of this: the largest block that a
/// device has.
const ALIGN: usize = 4096;
/// Smaller files go through the page cache: many small waits for the device cost more than a copy.
const LARGE: u64 = 1 << 20;

/// Memory that can be transferred directly. Cleared once, when it is made.
#[derive(Debug)]
pub struct Buffer {
    store: Vec<u8>,
    start: usize,
    size: usize,
}

impl Buffer {
    /// Room for `size` bytes.
    #[must_use]
    pub fn new(size: usize) -> Self {
        // pages that nobody touches are never given: zeroed memory comes from the kernel as it is
        let store = vec![0; size.saturating_add(ALIGN)];
        let start = store.as_ptr().align_offset(ALIGN).min(ALIGN);
        Self { store, start, size }
    }

    /// The first `length` bytes; fewer when there is no room for as many.
    #[must_use]
    pub fn first(&self, length: usize) -> &[u8] {
        let length = length.min(self.size);
        self.store.get(self.start..self.start.saturating_add(length)).unwrap_or_default()
    }

    /// As [`Buffer::first`], to be changed.
    #[must_use]
    pub fn first_mut(&mut self, length: usize) -> &mut [u8] {
        let length = length.min(self.size);
        self.store.get_mut(self.start..self.start.saturating_add(length)).unwrap_or_default()
    }
}

/// Whether the file's transfers go past the page cache from now on.
fn set_direct(file: &File, direct: bool) -> bool {
    let Ok(raw) = fcntl(file, FcntlArg::F_GETFL) else { return false };
    let mut flags = OFlag::from_bits_retain(raw);
    flags.set(OFlag::O_DIRECT, direct);
    fcntl(file, FcntlArg::F_SETFL(flags)).is_ok() && direct
}

/// A new file that is filled from its beginning.
#[derive(Debug)]
pub struct Output {
    file: File,
    direct: bool,
    written: usize,
}

impl Output {
    /// Fills `file`, which is empty and will have `size` bytes.
    #[must_use]
    pub fn new(file: File, size: u64) -> Self {
        let direct = size >= LARGE && set_direct(&file, true);
        Self { file, direct, written: 0 }
    }

    /// Writes the next bytes. Directly, as long as they lie in a [`Buffer`] from its start on and
    /// come in whole blocks; the rest goes through the page cache.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while self.direct && !bytes.is_empty() {
            let aligned = bytes.as_ptr().align_offset(ALIGN) == 0 && self.written.is_multiple_of(ALIGN);
            let length = if aligned { bytes.len() / ALIGN * ALIGN } else { 0 };
            let (now, later) = bytes.split_at(length);
            match self.file.write(now) {
                _ if length == 0 => self.direct = set_direct(&self.file, false),
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.written = self.written.saturating_add(count);
                    bytes = if count == length { later } else { bytes.get(count..).unwrap_or_default() };
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.raw_os_error() == Some(Errno::EINVAL as i32) => {
                    self.direct = set_direct(&self.file, false);
                }
                Err(e) => return Err(e),
            }
        }
        self.file.write_all(bytes)
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }
}

/// Gives the content of `file`, which has `size` bytes, to `take` in pieces that `buffer` can hold.
///
/// # Errors
/// When it cannot be read.
pub fn read(file: &mut File, size: u64, buffer: &mut Buffer, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let mut direct = size >= LARGE && set_direct(file, true);
    loop {
        match file.read(buffer.first_mut(usize::MAX)) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                take(buffer.first(count));
                if direct && !count.is_multiple_of(ALIGN) {
                    direct = set_direct(file, false); // the end, or an odd place from which to go on
                }
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if direct && e.raw_os_error() == Some(Errno::EINVAL as i32) => {
                direct = set_direct(file, false);
            }
            Err(e) => return Err(e),
        }
    }
}

/// A part of a file, read without moving the place at which the file stands.
#[derive(Debug)]
pub struct Range<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl<'a> Range<'a> {
    /// The `length` bytes from `offset` on.
    #[must_use]
    pub fn new(file: &'a File, offset: u64, length: u64) -> Self {
        Self { file, at: offset, left: length }
    }
}

impl Read for Range<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = self.file.read_at(buffer.get_mut(..most).unwrap_or_default(), self.at)?;
        self.at = self.at.saturating_add(count as u64);
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(length: usize) -> Vec<u8> {
        (0..length).map(|i| u8::try_from(i * 31 % 251).unwrap()).collect()
    }

    /// On the file system that is built on, and on one in memory.
    fn places() -> Vec<tempfile::TempDir> {
        ["target", "/dev/shm"].into_iter().filter_map(|place| tempfile::tempdir_in(place).ok()).collect()
    }

    #[test]
    fn what_was_written_is_read_whatever_its_size() {
        let mut buffer = Buffer::new(1 << 20);
        for place in places() {
            for size in [0, 1, 4095, 4096, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (3 << 20) + 4097] {
                let content = pattern(size);
                let file = tempfile::tempfile_in(place.path()).unwrap();
                let mut output = Output::new(file.try_clone().unwrap(), size as u64);
                for piece in content.chunks(1 << 20) {
                    buffer.first_mut(piece.len()).copy_from_slice(piece);
                    output.write(buffer.first(piece.len())).unwrap();
                }
                let mut found = Vec::new();
                let mut file = file;
                std::io::Seek::rewind(&mut file).unwrap();
                let mut take = |piece: &[u8]| found.extend_from_slice(piece);
                read(&mut file, size as u64, &mut buffer, &mut take).unwrap();
                assert!(found == content, "{size}");
            }
        }
    }

    #[test]
    fn memory_and_lengths_that_do_not_fit_are_written_too() {
        for place in places() {
            let file = tempfile::tempfile_in(place.path()).unwrap();
            let mut output = Output::new(file.try_clone().unwrap(), 1 << 20);
            let content = pattern(1 << 20);
            for piece in content.chunks(10_001) {
                output.write(piece).unwrap();
            }
            let mut found = Vec::new();
            std::io::Seek::rewind(&mut output.file).unwrap();
            output.file.read_to_end(&mut found).unwrap();
            assert!(found == content);
        }
    }

    #[test]
    fn a_buffer_gives_no_more_than_it_has() {
        let mut buffer = Buffer::new(10);
        assert_eq!(buffer.first_mut(99).len(), 10);
        assert_eq!(buffer.first(usize::MAX).len(), 10);
        assert_eq!(buffer.first(3).as_ptr().align_offset(ALIGN), 0);
    }
}
