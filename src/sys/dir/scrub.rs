use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::super::error::Context as _;
use super::super::{Result, fault};
use super::{Dir, Kind, stat_file};

/// Bytes that are written at once.
const BLOCK: usize = 64 << 10;
/// Longest file that is overwritten. Whoever else may write in the directory could keep us busy with more.
const LIMIT: u64 = 16 << 20;

impl Dir {
    /// Overwrites what a file holds with zeros and syncs it. What is no regular file, has another name, too,
    /// or is longer than 16 MiB is left alone: it may be somebody else's, put there under this name.
    ///
    /// # Errors
    /// When it is there and cannot be overwritten.
    pub fn scrub(&self, name: impl AsRef<OsStr>) -> Result<()> {
        let name = name.as_ref();
        let path = self.path_of(name);
        if self.stat(name)?.is_none_or(|stat| stat.kind != Kind::File) {
            return Ok(());
        }
        let flags = OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let mut file = File::from(openat(self, name, flags, Mode::empty()).context("overwrite", &path)?);
        let stat = stat_file(&file, &path)?;
        let links = std::os::unix::fs::MetadataExt::nlink(&file.metadata().context("look at", &path)?);
        if stat.kind != Kind::File || links != 1 || stat.size > LIMIT {
            return Ok(());
        }
        fault::point("overwrite file").context("overwrite", &path)?;
        let zeros = vec![0; BLOCK];
        let mut left = usize::try_from(stat.size).unwrap_or(usize::MAX);
        while left > 0 {
            let block = zeros.get(..left.min(BLOCK)).unwrap_or(&zeros);
            file.write_all(block).context("overwrite", &path)?;
            left -= block.len();
        }
        file.sync_all().context("sync", &path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_it_is_left() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let text = |name: &str| crate::sys::fs::read_limited(&temp.path().join(name), LIMIT).unwrap();
        dir.replace_file("secret", &vec![b'x'; BLOCK + 7], 0o600, None).unwrap();
        dir.scrub("secret").unwrap();
        assert_eq!(text("secret"), vec![0; BLOCK + 7]);

        dir.replace_file("twice", b"kept", 0o600, None).unwrap();
        dir.hard_link("twice", &dir, "second").unwrap();
        dir.create_symlink("twice", "link", None).unwrap();
        for name in ["twice", "link", "missing"] {
            dir.scrub(name).unwrap();
        }
        assert_eq!(text("twice"), b"kept");
    }
}
