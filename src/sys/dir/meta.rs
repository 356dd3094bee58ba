use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::path::Path;

use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, SFlag, fstat, fstatat};

use super::super::Result;
use super::super::error::Context as _;
use super::{Dir, Stat};

/// What kind of thing a name stands for, in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Sort {
    File,
    Dir,
    Symlink,
    Fifo,
    Socket,
    Device,
}

/// A point in time as a file system keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// Seconds since 1970-01-01.
    pub seconds: i64,
    /// Nanoseconds after that, less than a billion.
    pub nanos: u32,
}

/// All that is known of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Its kind.
    pub sort: Sort,
    /// The usual.
    pub stat: Stat,
    /// How many names the file has.
    pub links: u64,
    /// Blocks of 512 bytes that it takes.
    pub blocks: u64,
    /// Last read.
    pub accessed: Time,
    /// Content changed last.
    pub modified: Time,
    /// Content or attributes changed last: nobody can set it.
    pub changed: Time,
}

impl Meta {
    #[allow(
        clippy::cast_sign_loss,
        clippy::cast_possible_truncation,
        clippy::unnecessary_cast,
        clippy::useless_conversion,
        reason = "C types differ between platforms; nanoseconds fit"
    )]
    fn new(raw: &FileStat) -> Self {
        let sort = match SFlag::from_bits_truncate(raw.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFREG => Sort::File,
            SFlag::S_IFDIR => Sort::Dir,
            SFlag::S_IFLNK => Sort::Symlink,
            SFlag::S_IFIFO => Sort::Fifo,
            SFlag::S_IFSOCK => Sort::Socket,
            _ => Sort::Device,
        };
        let time = |seconds, nanos| Time { seconds, nanos };
        Self {
            sort,
            stat: Stat::new(raw),
            links: raw.st_nlink as u64,
            blocks: raw.st_blocks as u64,
            accessed: time(raw.st_atime as i64, raw.st_atime_nsec as u32),
            modified: time(raw.st_mtime as i64, raw.st_mtime_nsec as u32),
            changed: time(raw.st_ctime as i64, raw.st_ctime_nsec as u32),
        }
    }

    /// Of an open file or directory.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn of(fd: &impl AsFd, path: &Path) -> Result<Self> {
        fstat(fd).map(|raw| Self::new(&raw)).context("look at", path)
    }

    /// Bytes that it takes on its file system.
    #[must_use]
    pub fn allocated(&self) -> u64 {
        self.blocks.saturating_mul(512)
    }
}

impl Dir {
    /// All that is known of `name`, not through a link; `None` when it does not exist.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn meta(&self, name: impl AsRef<OsStr>) -> Result<Option<Meta>> {
        let name = name.as_ref();
        match fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(raw) => Ok(Some(Meta::new(&raw))),
            Err(nix::errno::Errno::ENOENT) => Ok(None),
            Err(e) => Err(e).context("look at", &self.path_of(name)),
        }
    }

    /// All that is known of the directory itself.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn meta_self(&self) -> Result<Meta> {
        Meta::of(&self.fd, &self.path)
    }
}
