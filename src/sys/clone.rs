//! Copies of files and trees with everything that belongs to them: content, holes, owner, mode,
//! extended attributes, times, hard links.
//!
//! Where the file system can share blocks (btrfs, XFS) a copy is a reflink: made at once, taking
//! no room until one of the two is changed. No call follows a link. The directory that is written
//! must be closed to others until the copy is complete; the one that is read may be anybody's.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, SeekFrom};
use rustix::io::Errno;

use super::attributes::{self, Attributes, Keep};
use super::dir::{self, Descent, Dir, Kind, Meta, Sort};
use super::error::Context as _;
use super::walk::{self, Found, Visitor};
use super::{Error, Result, fault};

/// How a file was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It shares its blocks with the original.
    Reflinked,
    /// Its content was written.
    Copied,
}

/// How to copy.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// What a copy keeps besides its content.
    pub keep: Keep,
    /// Whether each file is made durable. Without it the caller syncs the file system.
    pub sync: bool,
    /// Whether every file must become a reflink: a file system may refuse one that it could not
    /// share (EXDEV, EOPNOTSUPP), and then the copy fails instead of taking room.
    pub only_reflinks: bool,
    /// Told how many bytes were copied since the last call; an error ends the copy.
    pub progress: &'a dyn Fn(u64) -> Result<()>,
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("keep", &self.keep).finish_non_exhaustive()
    }
}

/// Progress that interests nobody. A signal ends the copy all the same.
///
/// # Errors
/// When a signal asked the run to end.
pub fn silent(_bytes: u64) -> Result<()> {
    match super::signal::pending() {
        Some(_) => Err(Error::new("go on with", Path::new("the copy"), io::ErrorKind::Interrupted)),
        None => Ok(()),
    }
}

/// What was copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    /// Regular files, each hard link counted once.
    pub files: u64,
    /// Bytes of their content, holes included.
    pub bytes: u64,
    /// How many of the files are reflinks.
    pub reflinked: u64,
    /// Sockets and devices, which are not copied: paths below the top, at most [`SKIPPED`] of them.
    pub skipped: Vec<String>,
    /// How many were not copied.
    pub skipped_count: u64,
}

/// Most names that are reported as not copied.
pub const SKIPPED: usize = 100;

/// Bytes that are copied at a time.
const PIECE: usize = 1 << 20;

/// Copies an open regular file, whatever its position, to a new file `name` in `target`.
///
/// # Errors
/// When `name` exists or a part fails; an unfinished copy is removed then.
pub fn file(source: &File, target: &Dir, name: &OsStr, options: &Options) -> Result<How> {
    let path = target.path_of(name);
    let attributes = Attributes::of(source, &path)?;
    let copy = target.create_file(name)?;
    let result = (|| {
        let how = content(source, &copy, &path, options)?;
        attributes.set(&copy, &path, options.keep)?;
        if options.sync {
            fault::point("sync file").context("sync", &path)?;
            copy.sync_all().context("sync", &path)?;
        }
        Ok(how)
    })();
    if result.is_err() {
        let _ = target.remove_file(name);
    }
    result
}

fn content(source: &File, copy: &File, path: &Path, options: &Options) -> Result<How> {
    fault::point("copy file").context("copy to", path)?;
    let size = Meta::of(source, path)?.stat.size;
    match rustix::fs::ioctl_ficlone(copy, source) {
        Ok(()) => {
            (options.progress)(size)?;
            return Ok(How::Reflinked);
        }
        Err(e) if options.only_reflinks && size > 0 => return Err(e).context("reflink to", path),
        Err(_) => {}
    }
    let mut mover = Mover { source, copy, path, in_kernel: true, buffer: Vec::new(), options };
    let mut done = 0;
    while let Some((start, end)) = next_data(source, done, size).context("read for", path)? {
        (options.progress)(start - done)?; // a hole
        mover.range(start, end)?;
        done = end;
    }
    (options.progress)(size.saturating_sub(done))?;
    copy.set_len(size).context("copy to", path)?;
    Ok(How::Copied)
}

/// The next run of data at or after `from`, as start and end. File systems without holes say that
/// all is data.
fn next_data(file: &File, from: u64, size: u64) -> io::Result<Option<(u64, u64)>> {
    if from >= size {
        return Ok(None);
    }
    let start = match rustix::fs::seek(file, SeekFrom::Data(from)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        Err(Errno::INVAL | Errno::NOTSUP) => return Ok(Some((from, size))),
        Err(e) => return Err(e.into()),
    };
    let end = rustix::fs::seek(file, SeekFrom::Hole(start)).unwrap_or(size).min(size);
    Ok((start < end).then_some((start, end)))
}

/// The runs of data of an open file, as start and end, in order: what lies between is holes. Ends
/// after `most` runs with one that covers the rest.
///
/// # Errors
/// When the file cannot be read.
pub fn data_runs(file: &File, path: &Path, size: u64, most: usize) -> Result<Vec<(u64, u64)>> {
    let mut runs = Vec::new();
    let mut from = 0;
    while let Some((start, end)) = next_data(file, from, size).context("read", path)? {
        if runs.len() + 1 >= most {
            runs.push((start, size));
            break;
        }
        runs.push((start, end));
        from = end;
    }
    Ok(runs)
}

/// Moves content piece by piece.
struct Mover<'a> {
    source: &'a File,
    copy: &'a File,
    path: &'a Path,
    /// Whether the kernel copies by itself (copy_file_range(2)); not between all file systems.
    in_kernel: bool,
    buffer: Vec<u8>,
    options: &'a Options<'a>,
}

impl Mover<'_> {
    fn range(&mut self, start: u64, end: u64) -> Result<()> {
        let mut at = start;
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
            fault::point("copy data").context("copy to", self.path)?;
            let moved = self.piece(at, wanted).context("copy to", self.path)?;
            if moved == 0 {
                break; // the file was made shorter meanwhile
            }
            at += moved as u64;
            (self.options.progress)(moved as u64)?;
        }
        Ok(())
    }

    fn piece(&mut self, at: u64, wanted: usize) -> io::Result<usize> {
        if self.in_kernel {
            let (mut from, mut to) = (at, at);
            let moved =
                rustix::fs::copy_file_range(self.source, Some(&mut from), self.copy, Some(&mut to), wanted);
            match moved {
                Ok(moved) if moved > 0 => return Ok(moved),
                // some file systems say that there is nothing, some that they cannot
                Ok(_)
                | Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::NOTSUP | Errno::PERM | Errno::IO) => {
                    self.in_kernel = false;
                }
                Err(Errno::INTR) => return self.piece(at, wanted),
                Err(e) => return Err(e.into()),
            }
        }
        self.buffer.resize(PIECE, 0);
        let room = self.buffer.get_mut(..wanted).unwrap_or_default();
        let count = loop {
            match self.source.read_at(room, at) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.copy.write_all_at(room.get(..count).unwrap_or_default(), at)?;
        Ok(count)
    }
}

/// Copies all that `from` holds to `to`, and the attributes of `from` itself. `to` is empty and
/// closed to others. Sockets and devices are left out. Hard links inside the tree stay hard links.
///
/// # Errors
/// When a part fails or another file system is mounted in it; what was copied till then stays.
pub fn tree(from: &Dir, to: &Dir, options: &Options) -> Result<Copied> {
    let mut copier = Copier {
        guarded: vec![is_guarded(&from.meta_self()?)],
        way: Descent::new(to.try_clone()?),
        links: Links::new(to)?,
        options,
        copied: Copied::default(),
    };
    let walked = walk::walk(from, &mut copier);
    let removed = copier.links.remove();
    walked?;
    removed?;
    attributes::copy(from, to, to.path(), options.keep)?;
    Ok(copier.copied)
}

struct Copier<'a> {
    way: Descent,
    /// For each directory on the way whether only root can have put something there.
    guarded: Vec<bool>,
    links: Links,
    options: &'a Options<'a>,
    copied: Copied,
}

impl Visitor for Copier<'_> {
    type Error = Error;

    fn enter(&mut self, found: &Found, _dir: &Dir) -> Result<()> {
        self.guarded.push(self.guarded.last() == Some(&true) && is_guarded(found.meta));
        self.way.here().make_private_dir(found.name)?;
        let dir = self.way.here().open_dir(found.name)?;
        self.way.down(dir)
    }

    fn leave(&mut self, dir: &Dir, _path: &Path) -> Result<()> {
        self.guarded.pop();
        match self.way.up()? {
            Some(copy) => attributes::copy(dir, &copy, copy.path(), self.options.keep),
            None => Ok(()),
        }
    }

    fn other(&mut self, found: &Found) -> Result<()> {
        (self.options.progress)(0)?;
        let linked = found.meta.links > 1 && !matches!(found.meta.sort, Sort::Socket | Sort::Device);
        let number = (found.meta.stat.dev, found.meta.stat.ino);
        if linked && self.links.give(number, self.way.here(), found.name)? {
            return Ok(());
        }
        match found.meta.sort {
            Sort::File => self.file(found)?,
            Sort::Symlink => link(found, self.way.here(), self.options.keep)?,
            Sort::Fifo => {
                fifo(self.way.here(), found.name, &Attributes::plain(found.meta), self.options.keep)?
            }
            _ => {
                self.skip(found);
                return Ok(());
            }
        }
        if linked { self.links.take(number, self.way.here(), found.name) } else { Ok(()) }
    }
}

/// Whether only root can put something into a directory: what somebody else put there, or linked,
/// must not become a second program with rights.
fn is_guarded(meta: &Meta) -> bool {
    meta.stat.ids.uid == 0 && meta.stat.mode & 0o022 == 0
}

impl Copier<'_> {
    fn file(&mut self, found: &Found) -> Result<()> {
        let source = match found.holder.open_file(found.name) {
            Err(e) if e.is_not_found() => return Ok(()),
            other => other?,
        };
        let rights =
            !self.options.keep.owners || (self.guarded.last() == Some(&true) && found.meta.stat.ids.uid == 0);
        let keep = Keep { privileges: self.options.keep.privileges && rights, ..self.options.keep };
        let how = file(&source, self.way.here(), found.name, &Options { keep, ..*self.options })?;
        self.copied.files += 1;
        self.copied.bytes = self.copied.bytes.saturating_add(found.meta.stat.size);
        self.copied.reflinked += u64::from(how == How::Reflinked);
        Ok(())
    }

    fn skip(&mut self, found: &Found) {
        self.copied.skipped_count += 1;
        if self.copied.skipped.len() < SKIPPED {
            self.copied.skipped.push(found.path.to_string_lossy().into_owned());
        }
    }
}

fn link(found: &Found, to: &Dir, keep: Keep) -> Result<()> {
    let target = found.holder.raw_read_link(found.name)?;
    symlink(to, &target, found.name, &Attributes::plain(found.meta), keep)
}

/// Makes a symbolic link with owner and times.
///
/// # Errors
/// When it exists or cannot be made.
pub fn symlink(to: &Dir, target: &OsStr, name: &OsStr, attributes: &Attributes, keep: Keep) -> Result<()> {
    to.create_symlink(target, name, keep.owners.then_some(attributes.ids))?;
    let times = attributes::times(attributes);
    rustix::fs::utimensat(to, name, &times, AtFlags::SYMLINK_NOFOLLOW)
        .context("set the times of", &to.path_of(name))
}

/// Makes a fifo with owner, mode and times.
///
/// # Errors
/// When it exists or cannot be made.
pub fn fifo(to: &Dir, name: &OsStr, attributes: &Attributes, keep: Keep) -> Result<()> {
    let path = to.path_of(name);
    fault::point("create fifo").context("create the fifo", &path)?;
    rustix::fs::mknodat(to, name, FileType::Fifo, Mode::from_raw_mode(0o600), 0)
        .context("create the fifo", &path)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fifo = rustix::fs::openat(to, name, flags, Mode::empty()).context("open", &path)?;
    attributes.set(&fifo, &path, keep)
}

/// Files with several names, found again by their number: each first copy gets another name in a
/// directory of our own at the top, which goes at the end. So neither memory nor descriptors grow
/// with them, at any depth.
#[derive(Debug)]
pub struct Links {
    top: Dir,
    name: String,
    dir: Option<Dir>,
}

impl Links {
    /// Nothing is known yet; the names are kept in a directory of `top` while it lasts.
    ///
    /// # Errors
    /// When there is no randomness or no descriptor.
    pub fn new(top: &Dir) -> Result<Self> {
        Ok(Self { top: top.try_clone()?, name: dir::temp_name("links")?, dir: None })
    }

    /// Gives the copy of `number` the name `name` in `to`, if there is a copy already.
    ///
    /// # Errors
    /// When the name is taken or cannot be made.
    pub fn give(&self, number: (u64, u64), to: &Dir, name: &OsStr) -> Result<bool> {
        let Some(dir) = &self.dir else { return Ok(false) };
        let kept = kept_name(number);
        if dir.stat(&kept)?.is_none() {
            return Ok(false);
        }
        dir.hard_link(&kept, to, name)?;
        Ok(true)
    }

    /// Notes that `name` in `from` is the copy of `number`.
    ///
    /// # Errors
    /// When it cannot be noted.
    pub fn take(&mut self, number: (u64, u64), from: &Dir, name: &OsStr) -> Result<()> {
        let dir = match self.dir.take() {
            Some(dir) => dir,
            None => {
                self.top.make_private_dir(&self.name)?;
                self.top.open_dir(&self.name)?
            }
        };
        // a source that vanished has no copy
        let made = from.stat(name)?.is_some_and(|stat| stat.kind != Kind::Dir);
        let taken = if made { from.hard_link(name, &dir, kept_name(number)) } else { Ok(()) };
        self.dir = Some(dir);
        taken
    }

    /// Forgets all, and removes what was kept.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&mut self) -> Result<()> {
        if self.dir.take().is_some() { self.top.remove_tree(&self.name) } else { Ok(()) }
    }
}

fn kept_name((device, inode): (u64, u64)) -> String {
    format!("{device}-{inode}")
}

/// Whether files of `from` can be reflinked into `to`. It is tried with nameless files, which leave
/// nothing; where those cannot be made the answer is no.
#[must_use]
pub fn can_reflink(from: &Dir, to: &Dir) -> bool {
    let nameless = |dir: &Dir| {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        rustix::fs::openat(dir, ".", flags, Mode::from_raw_mode(0o600)).map(File::from)
    };
    let (Ok(mut source), Ok(target)) = (nameless(from), nameless(to)) else { return false };
    source.write_all(&[0x5a; 4096]).is_ok() && rustix::fs::ioctl_ficlone(&target, &source).is_ok()
}
