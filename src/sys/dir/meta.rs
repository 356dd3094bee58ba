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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// Which file it is, and what it was when it was looked at: another content has another stamp, except
/// for changes within the same tick of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp {
    dev: u64,
    ino: u64,
    size: u64,
    changed: Time,
}

impl Stamp {
    /// Whether it was changed so lately, or by so wrong a clock, that a further change may not show.
    #[must_use]
    pub fn is_fresh(&self, now: jiff::Timestamp) -> bool {
        self.changed.seconds.saturating_add(2) > now.as_second()
    }
}

impl Meta {
    /// Its stamp.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        let Stat { dev, ino, size, .. } = self.stat;
        Stamp { dev, ino, size, changed: self.changed }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the test changes a file")]
    fn a_change_shows_in_the_stamp() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("file");
        let stamp = || Meta::of(&std::fs::File::open(&path).unwrap(), &path).unwrap().stamp();
        std::fs::write(&path, b"one").unwrap();
        let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
        let before = stamp();
        assert_eq!(stamp(), before);
        std::thread::sleep(std::time::Duration::from_millis(50));
        std::fs::write(&path, b"two").unwrap();
        std::fs::File::options().append(true).open(&path).unwrap().set_modified(modified).unwrap();
        assert_ne!(stamp(), before, "the size and the settable time are the same");
        let now = jiff::Timestamp::now();
        assert!(before.is_fresh(now));
        assert!(!before.is_fresh(now.checked_add(jiff::SignedDuration::from_secs(3)).unwrap()));
        assert!(before.is_fresh(now.checked_sub(jiff::SignedDuration::from_secs(3600)).unwrap()));
    }
}
