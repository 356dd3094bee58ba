use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use nix::dir::{Dir as Stream, Type};
use nix::fcntl::openat;
use nix::sys::stat::Mode;

use super::super::Result;
use super::super::error::Context as _;
use super::{DIR_FLAGS, Dir, Kind};

impl Dir {
    /// As [`Dir::names`], also such as are no valid text: whoever else writes there may use any.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn raw_names(&self) -> Result<Vec<OsString>> {
        Ok(self.raw_entries()?.into_iter().map(|(name, _)| name).collect())
    }

    /// As [`Dir::raw_names`], with the kinds, where the file system tells them: that costs no call for each.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn raw_entries(&self) -> Result<Vec<(OsString, Option<Kind>)>> {
        let fd = openat(self, ".", DIR_FLAGS, Mode::empty()).context("list", self.path())?;
        let mut stream = Stream::from_fd(fd).context("list", self.path())?;
        let mut entries = Vec::new();
        for entry in stream.iter() {
            let entry = entry.context("list", self.path())?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                entries.push((name.to_owned(), entry.file_type().map(kind)));
            }
        }
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(entries)
    }
}

fn kind(found: Type) -> Kind {
    match found {
        Type::File => Kind::File,
        Type::Directory => Kind::Dir,
        Type::Symlink => Kind::Symlink,
        _ => Kind::Other,
    }
}
