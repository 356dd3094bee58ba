//! One run at a time.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::Context as _;
use super::{Error, Result, clock, fs};

/// Whoever asks whether the lock is held has it for a moment: a run must not take that for another
/// run, so it tries this often.
const LOOKS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(10);

/// Holds the lock until dropped. The file itself is never deleted: a second opener would then
/// lock a file that nobody else sees.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The outcome of trying to take the lock.
#[derive(Debug)]
pub enum Attempt {
    /// It is ours.
    Held(Lock),
    /// Another process holds it.
    Busy(PathBuf),
}

impl Lock {
    /// Tries to take the lock file at `path`, creating it (mode 0600) when absent.
    ///
    /// # Errors
    /// When the file cannot be opened or locked for another reason than being held.
    pub fn try_take(path: &Path) -> Result<Attempt> {
        let file = fs::open_or_create_private(path)?;
        for _ in 0..LOOKS {
            match file.try_lock() {
                Ok(()) => return Ok(Attempt::Held(Self { _file: file })),
                Err(TryLockError::WouldBlock) => clock::sleep(PAUSE), // maybe one that only looks
                Err(TryLockError::Error(e)) => return Err(Error::new("lock", path, e)),
            }
        }
        Ok(Attempt::Busy(path.to_owned()))
    }

    /// Whether somebody else holds the lock at `path` now. An absent file is a free lock.
    ///
    /// # Errors
    /// When the file cannot be opened for another reason than being absent.
    pub fn is_held(path: &Path) -> Result<bool> {
        match fs::open_existing(path) {
            Ok(file) => match file.try_lock_shared() {
                Ok(()) => Ok(false),
                Err(TryLockError::WouldBlock) => Ok(true),
                Err(TryLockError::Error(e)) => Err(e).context("lock", path),
            },
            Err(e) if e.is_not_found() => Ok(false),
            Err(e) => Err(e),
        }
    }
}
