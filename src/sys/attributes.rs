//! What belongs to a file besides its content: owner, mode, extended attributes, times.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Gid, Uid, fchown};
use rustix::fs::{Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;

use super::dir::{Dir, Ids, Meta, Sort, Time};
use super::error::Context as _;
use super::{Error, Result, fault};

/// What of the attributes a copy gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Owner and group, and what only root can set: for root alone.
    pub owners: bool,
    /// Set-uid and set-gid of files, and capabilities. Without it a file that somebody hard-linked
    /// into the tree does not become a second program with rights.
    pub privileges: bool,
}

/// What belongs to a file besides its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// Kind of the file that they belong to: directories keep their set-gid bit.
    pub sort: Sort,
    /// Owner and group.
    pub ids: Ids,
    /// Permission bits, with set-uid, set-gid and sticky.
    pub mode: u32,
    /// Extended attributes by name, sorted.
    pub extended: Vec<(OsString, Vec<u8>)>,
    /// Last read.
    pub accessed: Time,
    /// Content changed last.
    pub modified: Time,
}

const CAPABILITY: &str = "security.capability";
const SET_ID: u32 = 0o6000;

impl Attributes {
    /// What is known without extended attributes.
    #[must_use]
    pub fn plain(meta: &Meta) -> Self {
        Self {
            sort: meta.sort,
            ids: meta.stat.ids,
            mode: meta.stat.mode,
            extended: Vec::new(),
            accessed: meta.accessed,
            modified: meta.modified,
        }
    }

    /// Of an open file or directory.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn of(fd: &impl AsFd, path: &Path) -> Result<Self> {
        let mut found = Self::plain(&Meta::of(fd, path)?);
        found.extended = extended(fd, path)?;
        Ok(found)
    }

    /// Sets them on an open file or directory: owner first, since that clears others, times last.
    ///
    /// # Errors
    /// When one cannot be set. Labels that the host's own rules decide (`security.*` other than
    /// capabilities, `trusted.overlay.*`) are set only where that is possible.
    pub fn set(&self, fd: &impl AsFd, path: &Path, keep: Keep) -> Result<()> {
        fault::point("set attributes").context("set the attributes of", path)?;
        if keep.owners {
            let (uid, gid) = (Some(Uid::from_raw(self.ids.uid)), Some(Gid::from_raw(self.ids.gid)));
            fchown(fd, uid, gid).context("set the owner of", path)?;
        }
        self.set_extended(fd, path, keep)?;
        fchmod(fd, Mode::from_bits_truncate(self.kept_mode(keep))).context("set the mode of", path)?;
        rustix::fs::futimens(fd, &times(self)).context("set the times of", path)
    }

    /// The mode that a copy gets.
    #[must_use]
    pub fn kept_mode(&self, keep: Keep) -> u32 {
        if keep.privileges || self.sort == Sort::Dir { self.mode } else { self.mode & !SET_ID }
    }

    fn set_extended(&self, fd: &impl AsFd, path: &Path, keep: Keep) -> Result<()> {
        // an access list may have come from the directory around it
        for name in names(fd, path)? {
            let list = name.as_bytes().starts_with(b"system.posix_acl_");
            if list && !self.extended.iter().any(|(mine, _)| *mine == name) {
                rustix::fs::fremovexattr(fd, &*name).context("remove an access list of", path)?;
            }
        }
        for (name, value) in &self.extended {
            if name == CAPABILITY && !(keep.privileges && keep.owners) {
                continue;
            }
            match rustix::fs::fsetxattr(fd, &**name, value, XattrFlags::empty()) {
                Err(_) if is_optional(name, keep) => {}
                Err(e) => {
                    let why = format!("{}: {e}", name.display());
                    return Err(Error::new(
                        "set the extended attribute of",
                        path,
                        std::io::Error::new(std::io::Error::from(e).kind(), why),
                    ));
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }
}

/// Attributes whose absence harms nobody: the host sets them by its own rules.
fn is_optional(name: &OsStr, keep: Keep) -> bool {
    let name = name.as_bytes();
    let label = name.starts_with(b"security.") && name != CAPABILITY.as_bytes();
    label || name.starts_with(b"trusted.overlay.") || (name.starts_with(b"trusted.") && !keep.owners)
}

/// Copies them from one open file or directory to another.
///
/// # Errors
/// When they cannot be read or set.
pub fn copy(from: &impl AsFd, to: &impl AsFd, path: &Path, keep: Keep) -> Result<()> {
    Attributes::of(from, path)?.set(to, path, keep)
}

/// Changes something in a directory so that its times stay as they are.
///
/// # Errors
/// When `change` fails, or the times cannot be set.
pub fn keep_times<T, E: From<Error>>(
    dir: &Dir,
    change: impl FnOnce() -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    let was = Attributes::plain(&dir.meta_self()?);
    let value = change()?;
    rustix::fs::futimens(dir, &times(&was)).context("set the times of", dir.path())?;
    Ok(value)
}

/// The two times as the kernel takes them.
pub(super) fn times(attributes: &Attributes) -> Timestamps {
    let time = |time: Time| Timespec { tv_sec: time.seconds, tv_nsec: time.nanos.into() };
    Timestamps { last_access: time(attributes.accessed), last_modification: time(attributes.modified) }
}

/// Sets the time of a file's last change, in seconds since 1970; the time of the last access stays.
///
/// # Errors
/// When it cannot be set.
pub fn set_modified(fd: &impl AsFd, path: &Path, seconds: i64) -> Result<()> {
    set_time(fd, path, Timespec { tv_sec: seconds, tv_nsec: 0 })
}

/// Gives a file the extended attributes of another one, access lists among them: as far as its file system
/// knows such, and without capabilities. The mode is to be set after it, since an access list has a part of it.
///
/// # Errors
/// When they cannot be read or set.
pub fn copy_extended(from: &impl AsFd, to: &impl AsFd, path: &Path) -> Result<()> {
    let keep = Keep { owners: super::env::is_root(), privileges: false };
    match Attributes::of(from, path)?.set_extended(to, path, keep) {
        Err(e) if e.source.kind() == std::io::ErrorKind::Unsupported => Ok(()),
        other => other,
    }
}

/// Gives a copy the time of the last change that its original has.
///
/// # Errors
/// When it cannot be read or set.
pub fn copy_modified(from: &impl AsFd, to: &impl AsFd, path: &Path) -> Result<()> {
    let modified = Meta::of(from, path)?.modified;
    set_time(to, path, Timespec { tv_sec: modified.seconds, tv_nsec: modified.nanos.into() })
}

fn set_time(fd: &impl AsFd, path: &Path, last_modification: Timespec) -> Result<()> {
    let last_access = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
    rustix::fs::futimens(fd, &Timestamps { last_access, last_modification }).context("set the times of", path)
}

/// All extended attributes of an open file, sorted by name; none where the file system has none.
///
/// # Errors
/// When they cannot be read.
pub fn extended(fd: &impl AsFd, path: &Path) -> Result<Vec<(OsString, Vec<u8>)>> {
    let mut found = Vec::new();
    for name in names(fd, path)? {
        let value = grown(|room| rustix::fs::fgetxattr(fd, &*name, room));
        match value {
            Ok(value) => found.push((name, value)),
            Err(Errno::NODATA) => {} // gone since it was listed
            Err(e) => return Err(e).context("read an extended attribute of", path),
        }
    }
    Ok(found)
}

fn names(fd: &impl AsFd, path: &Path) -> Result<Vec<OsString>> {
    match grown(|room| rustix::fs::flistxattr(fd, room)) {
        Err(Errno::NOTSUP) => Ok(Vec::new()),
        Err(e) => Err(e).context("list the extended attributes of", path),
        Ok(list) => {
            let parts = list.split(|b| *b == 0).filter(|name| !name.is_empty());
            let mut names: Vec<OsString> = parts.map(|name| OsStr::from_bytes(name).to_owned()).collect();
            names.sort();
            Ok(names)
        }
    }
}

/// Names and values are at most 64 KiB (xattr(7)).
const LARGEST: usize = 64 << 10;

/// Reads into a small buffer, and into the largest when that is too small.
fn grown(read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    let mut room = vec![0; 256];
    let length = match read(&mut room) {
        Err(Errno::RANGE) => {
            room = vec![0; LARGEST];
            read(&mut room)?
        }
        other => other?,
    };
    room.truncate(length);
    Ok(room)
}
