use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::super::{Error, Result};
use super::Dir;

/// Levels above the present one whose descriptors are kept. The rest is opened again by `..`.
const OPEN: usize = 32;

/// A way down into a tree of any depth, with a bounded number of descriptors.
///
/// On the way up a directory that was closed meanwhile is opened by `..` and must be the very one
/// that the way down went through: whoever moves directories about ends the walk, and leads it nowhere.
#[derive(Debug)]
pub struct Descent {
    here: Dir,
    above: Vec<Level>,
}

#[derive(Debug)]
struct Level {
    dir: Option<Dir>,
    identity: (u64, u64),
    /// Bytes of its path, with which the path of every directory below begins.
    path: usize,
}

impl Descent {
    /// A way that begins at `top`.
    #[must_use]
    pub fn new(top: Dir) -> Self {
        Self { here: top, above: Vec::new() }
    }

    /// The directory that was reached.
    #[must_use]
    pub fn here(&self) -> &Dir {
        &self.here
    }

    /// How far below the top it is.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.above.len()
    }

    /// Goes to `dir`, which was opened in the present directory.
    ///
    /// # Errors
    /// When the present directory cannot be looked at.
    pub fn down(&mut self, dir: Dir) -> Result<()> {
        let stat = self.here.stat_self()?;
        let path = self.here.path.as_os_str().len();
        let above = std::mem::replace(&mut self.here, dir);
        self.above.push(Level { dir: Some(above), identity: (stat.dev, stat.ino), path });
        let too_far = self.above.len().checked_sub(OPEN + 1);
        if let Some(level) = too_far.and_then(|far| self.above.get_mut(far)) {
            level.dir = None;
        }
        Ok(())
    }

    /// Goes back up, and gives the directory that was left. At the top it stays.
    ///
    /// # Errors
    /// When the directory above is no longer the one of the way down.
    pub fn up(&mut self) -> Result<Option<Dir>> {
        let Some(level) = self.above.pop() else { return Ok(None) };
        let above = match level.dir {
            Some(dir) => dir,
            None => self.reopen(level.identity, level.path)?,
        };
        Ok(Some(std::mem::replace(&mut self.here, above)))
    }

    fn reopen(&self, identity: (u64, u64), path: usize) -> Result<Dir> {
        let mut above = self.here.open_dir("..")?;
        let bytes = self.here.path.as_os_str().as_bytes();
        above.path = Path::new(OsStr::from_bytes(bytes.get(..path).unwrap_or(bytes))).to_owned();
        let stat = above.stat_self()?;
        if (stat.dev, stat.ino) != identity {
            let why = "a directory below it was moved while it was read";
            return Err(Error::rule("go back to", &above.path, why));
        }
        Ok(above)
    }
}
