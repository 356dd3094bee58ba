//! A directory that is held open, and calls relative to it.
//!
//! Names given here are single components; no call follows a link at that name. So nobody who can
//! write an upper directory can redirect what is done below.

mod descent;
mod entries;
mod meta;
mod removal;
mod replace;
mod scrub;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, symlinkat, unlinkat};
use rustix::fs::{RenameFlags, renameat_with};

use super::error::Context as _;
use super::{Error, Result, fault};
use crate::types::RelPath;

pub use descent::Descent;
pub use meta::{Meta, Sort, Stamp, Time};

/// Numeric owner and group of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// What kind of thing a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Kind {
    File,
    Dir,
    Symlink,
    Other,
}

/// What is known of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Its kind.
    pub kind: Kind,
    /// Permission bits, with set-uid, set-gid and sticky.
    pub mode: u32,
    /// Owner and group.
    pub ids: Ids,
    /// Size in bytes.
    pub size: u64,
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
}

impl Stat {
    #[allow(
        clippy::cast_sign_loss,
        clippy::unnecessary_cast,
        clippy::useless_conversion,
        reason = "C types differ between platforms"
    )]
    pub(super) fn new(raw: &FileStat) -> Self {
        let kind = match SFlag::from_bits_truncate(raw.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFREG => Kind::File,
            SFlag::S_IFDIR => Kind::Dir,
            SFlag::S_IFLNK => Kind::Symlink,
            _ => Kind::Other,
        };
        Self {
            kind,
            mode: raw.st_mode & 0o7777,
            ids: Ids { uid: raw.st_uid, gid: raw.st_gid },
            size: raw.st_size as u64,
            dev: raw.st_dev as u64,
            ino: raw.st_ino as u64,
        }
    }
}

/// A directory held open. The path is for messages.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

/// Bytes of a path that messages still extend: PATH_MAX.
const LONGEST_SHOWN: usize = 4096;

/// As often something that is removed may be exchanged for something else by whoever owns its directory.
const REMOVALS: usize = 32;

const DIR_FLAGS: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

impl Dir {
    /// Opens the directory at `path`; links on the way are followed.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let fd = nix::fcntl::open(path, DIR_FLAGS, Mode::empty()).context("open the directory", path)?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Opens the directory `path`, absolute as the system in `root` sees it.
    ///
    /// On the running system links on the way are followed: only root can have made them, all upper
    /// directories are root's. Below another root none is: an absolute one would lead out of it.
    ///
    /// # Errors
    /// When it cannot be opened, or a component below another root is a link.
    pub fn open_in(root: &Path, path: &str) -> Result<Self> {
        if root == Path::new("/") {
            return Self::open(&Path::new("/").join(path.trim_start_matches('/')));
        }
        let top = Self::open(root)?;
        let inner = path.trim_start_matches('/');
        if inner.is_empty() {
            return Ok(top);
        }
        let odd =
            |_| Error::rule("open the directory", &top.path_of(inner), "it is no path that stays below");
        top.open_beneath(&inner.parse::<RelPath>().map_err(odd)?)
    }

    /// Opens the directory `path` as [`Dir::open_in`] does; below one of `tops` through no link, whatever
    /// the root: who owns a top could have made it, to lead us elsewhere.
    ///
    /// # Errors
    /// When it cannot be opened, or a component below a top, or below another root, is a link.
    pub fn open_guarded(root: &Path, tops: &[&str], path: &str) -> Result<Self> {
        let below = |top: &&str| path.strip_prefix(*top)?.strip_prefix('/').filter(|inner| !inner.is_empty());
        let Some((top, inner)) = tops.iter().find_map(|top| Some((top, below(top)?))) else {
            return Self::open_in(root, path);
        };
        let top = Self::open_in(root, top)?;
        let odd =
            |_| Error::rule("open the directory", &top.path_of(inner), "it is no path that stays below");
        top.open_beneath(&inner.parse::<RelPath>().map_err(odd)?)
    }

    /// Where it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of `name` in it, for messages.
    #[must_use]
    pub fn path_of(&self, name: impl AsRef<OsStr>) -> PathBuf {
        if self.path.as_os_str().len() > LONGEST_SHOWN {
            return self.path.clone(); // whoever nests so deep does not get to fill the memory, too
        }
        self.path.join(name.as_ref())
    }

    /// Opens a directory in it, not through a link.
    ///
    /// # Errors
    /// When it cannot be opened or is a link.
    pub fn open_dir(&self, name: impl AsRef<OsStr>) -> Result<Self> {
        let name = name.as_ref();
        let path = self.path_of(name);
        let fd = openat(&self.fd, name, DIR_FLAGS | OFlag::O_NOFOLLOW, Mode::empty());
        Ok(Self { fd: fd.context("open the directory", &path)?, path })
    }

    /// Opens a directory below it, component by component, through no link.
    ///
    /// # Errors
    /// When a component cannot be opened or is a link.
    pub fn open_beneath(&self, path: &RelPath) -> Result<Self> {
        let mut parts = path.as_str().split('/');
        let mut dir = self.open_dir(parts.next().unwrap_or_default())?;
        for part in parts {
            dir = dir.open_dir(part)?;
        }
        Ok(dir)
    }

    /// A second handle on the same directory.
    ///
    /// # Errors
    /// When descriptors run out.
    pub fn try_clone(&self) -> Result<Self> {
        let fd = self.fd.try_clone().context("open the directory", &self.path)?;
        Ok(Self { fd, path: self.path.clone() })
    }

    /// What `name` is; `None` when it does not exist.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn stat(&self, name: impl AsRef<OsStr>) -> Result<Option<Stat>> {
        let name = name.as_ref();
        match fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(raw) => Ok(Some(Stat::new(&raw))),
            Err(nix::errno::Errno::ENOENT) => Ok(None),
            Err(e) => Err(e).context("look at", &self.path_of(name)),
        }
    }

    /// What the directory itself is.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn stat_self(&self) -> Result<Stat> {
        fstat(&self.fd).map(|raw| Stat::new(&raw)).context("look at", &self.path)
    }

    /// The names in it, sorted, without `.` and `..`.
    ///
    /// # Errors
    /// When it cannot be read or a name is no valid text.
    pub fn names(&self) -> Result<Vec<String>> {
        let text = |name: OsString| {
            name.into_string().map_err(|_| Error::rule("list", &self.path, "a name in it is not valid UTF-8"))
        };
        self.raw_names()?.into_iter().map(text).collect()
    }

    /// Opens a regular file in it to read it, not through a link.
    ///
    /// # Errors
    /// When it cannot be opened or is no regular file.
    pub fn open_file(&self, name: impl AsRef<OsStr>) -> Result<File> {
        let (found, path) = (self.find(name.as_ref())?, self.path_of(name.as_ref()));
        if Stat::new(&fstat(&found).context("look at", &path)?).kind == Kind::Dir {
            return Err(Error::rule("open", &path, super::error::NO_FILE));
        }
        super::fs::open_found(&found, &path)
    }

    /// Looks a name up without opening what is there, not even a link.
    pub(super) fn find(&self, name: impl AsRef<OsStr>) -> Result<OwnedFd> {
        let name = name.as_ref();
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(&self.fd, name, flags, Mode::empty()).context("open", &self.path_of(name))
    }

    /// Creates a file that must not exist, mode 0600.
    ///
    /// # Errors
    /// When it exists or cannot be created.
    pub fn create_file(&self, name: impl AsRef<OsStr>) -> Result<File> {
        let name = name.as_ref();
        let path = self.path_of(name);
        fault::point("create file").context("create", &path)?;
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = openat(&self.fd, name, flags, Mode::from_bits_truncate(0o600)).context("create", &path)?;
        Ok(File::from(fd))
    }

    /// Creates a directory that nobody else may enter, and does not open it.
    ///
    /// # Errors
    /// When it exists or cannot be created.
    pub fn make_private_dir(&self, name: impl AsRef<OsStr>) -> Result<()> {
        let name = name.as_ref();
        let path = self.path_of(name);
        fault::point("create directory").context("create the directory", &path)?;
        mkdirat(&self.fd, name, Mode::from_bits_truncate(0o700)).context("create the directory", &path)
    }

    /// Creates a directory with exactly this mode and owner.
    ///
    /// # Errors
    /// When it exists or cannot be created.
    pub fn create_dir(&self, name: impl AsRef<OsStr>, mode: u32, owner: Option<Ids>) -> Result<Self> {
        let name = name.as_ref();
        self.make_private_dir(name)?;
        let dir = self.open_dir(name)?;
        dir.set_owner_and_mode(owner, mode)?;
        Ok(dir)
    }

    /// Sets owner, then mode, of the directory itself.
    ///
    /// # Errors
    /// When one cannot be set.
    pub fn set_owner_and_mode(&self, owner: Option<Ids>, mode: u32) -> Result<()> {
        set_attributes(&self.fd, &self.path, owner, mode)
    }

    /// Creates a link that must not exist.
    ///
    /// # Errors
    /// When it exists or cannot be created.
    pub fn create_symlink(
        &self,
        target: impl AsRef<OsStr>,
        name: impl AsRef<OsStr>,
        owner: Option<Ids>,
    ) -> Result<()> {
        let (target, name) = (target.as_ref(), name.as_ref());
        let path = self.path_of(name);
        fault::point("create link").context("create the link", &path)?;
        symlinkat(target, &self.fd, name).context("create the link", &path)?;
        if let Some(ids) = owner {
            let (uid, gid) = (Some(Uid::from_raw(ids.uid)), Some(Gid::from_raw(ids.gid)));
            fchownat(&self.fd, name, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW)
                .context("set the owner of", &path)?;
        }
        Ok(())
    }

    /// Where the link `name` points.
    ///
    /// # Errors
    /// When it is no link.
    pub fn read_link(&self, name: impl AsRef<OsStr>) -> Result<String> {
        let name = name.as_ref();
        let bad = |_| Error::rule("read the link", &self.path_of(name), "it is not valid UTF-8");
        self.raw_read_link(name)?.into_string().map_err(bad)
    }

    /// As [`Dir::read_link`], also when it is no valid text.
    ///
    /// # Errors
    /// When it is no link.
    pub fn raw_read_link(&self, name: impl AsRef<OsStr>) -> Result<OsString> {
        let name = name.as_ref();
        nix::fcntl::readlinkat(&self.fd, name).context("read the link", &self.path_of(name))
    }

    /// Removes what a [`Dir::replace_file`] of `name` left that was killed half-way, and whatever
    /// somebody else put under such a name.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_leftover(&self, name: &str) -> Result<()> {
        self.leftovers(name)?.iter().try_for_each(|found| self.remove_tree(found))
    }

    /// Names of such leftovers.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn leftovers(&self, name: &str) -> Result<Vec<OsString>> {
        let prefix = temp_prefix(name);
        let names = self.raw_names()?.into_iter();
        Ok(names.filter(|found| found.as_bytes().starts_with(prefix.as_bytes())).collect())
    }

    /// Renames `from` to `to` in `target`, replacing what is there.
    ///
    /// # Errors
    /// When it cannot be done.
    pub fn rename(&self, from: &str, target: &Self, to: &str) -> Result<()> {
        self.rename_with(from.as_ref(), target, to.as_ref(), RenameFlags::empty())
    }

    /// Renames `from` to `to` in `target`, which must not exist.
    ///
    /// # Errors
    /// When it exists or it cannot be done.
    pub fn rename_new(&self, from: impl AsRef<OsStr>, target: &Self, to: impl AsRef<OsStr>) -> Result<()> {
        self.rename_with(from.as_ref(), target, to.as_ref(), RenameFlags::NOREPLACE)
    }

    /// Swaps `from` and `to` in one step (renameat2 RENAME_EXCHANGE).
    ///
    /// # Errors
    /// When one is absent or the file system cannot do it.
    pub fn exchange(&self, from: &str, target: &Self, to: &str) -> Result<()> {
        self.rename_with(from.as_ref(), target, to.as_ref(), RenameFlags::EXCHANGE)
    }

    fn rename_with(&self, from: &OsStr, target: &Self, to: &OsStr, flags: RenameFlags) -> Result<()> {
        let path = target.path_of(to);
        fault::point("rename").context("rename to", &path)?;
        renameat_with(&self.fd, from, &target.fd, to, flags).context("rename to", &path)
    }

    /// Removes a name that is no directory; an absent one is fine.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_file(&self, name: impl AsRef<OsStr>) -> Result<()> {
        self.unlink(name.as_ref(), UnlinkatFlags::NoRemoveDir)
    }

    /// Removes an empty directory; an absent one is fine.
    ///
    /// # Errors
    /// When it is not empty or cannot be removed.
    pub fn remove_dir(&self, name: impl AsRef<OsStr>) -> Result<()> {
        self.unlink(name.as_ref(), UnlinkatFlags::RemoveDir)
    }

    fn unlink(&self, name: &OsStr, flag: UnlinkatFlags) -> Result<()> {
        match unlinkat(&self.fd, name, flag) {
            Ok(()) => fault::point("removed").context("remove", &self.path_of(name)),
            Err(nix::errno::Errno::ENOENT) => Ok(()),
            Err(e) => Err(e).context("remove", &self.path_of(name)),
        }
    }

    /// Removes `name` and all below it, following no link and entering no other file system.
    ///
    /// Whoever filled the tree may have nested it deeper than descriptors or the stack reach: a
    /// directory that is not empty is moved up to the top before it is entered. What cannot be
    /// removed does not keep the rest.
    ///
    /// # Errors
    /// When something could not be removed: the first reason.
    pub fn remove_tree(&self, name: impl AsRef<OsStr>) -> Result<()> {
        let name = name.as_ref();
        for _ in 0..REMOVALS {
            match self.try_remove_tree(name) {
                Err(e) if e.is_displaced() => {}
                other => return other,
            }
        }
        self.try_remove_tree(name)
    }

    fn try_remove_tree(&self, name: &OsStr) -> Result<()> {
        let Some(stat) = self.stat(name)? else { return Ok(()) };
        if stat.kind != Kind::Dir {
            return self.remove_file(name);
        }
        if stat.dev != self.stat_self()?.dev {
            return Err(removal::mounted(&self.path_of(name)));
        }
        removal::empty(&self.open_dir(name)?, stat.dev)?;
        self.remove_dir(name)
    }

    /// Gives the file `old` a second name, `new` in `target`, which must not exist.
    ///
    /// # Errors
    /// When it cannot be done.
    pub fn hard_link(&self, old: impl AsRef<OsStr>, target: &Self, new: impl AsRef<OsStr>) -> Result<()> {
        let path = target.path_of(new.as_ref());
        fault::point("create hard link").context("create the hard link", &path)?;
        nix::unistd::linkat(&self.fd, old.as_ref(), &target.fd, new.as_ref(), AtFlags::empty())
            .context("create the hard link", &path)
    }

    /// Gives an open file a name in it, which must not exist: that very file, whatever its own name
    /// stands for by now.
    ///
    /// # Errors
    /// When it cannot be done.
    pub fn link_open_file(&self, file: &File, name: &str) -> Result<()> {
        let path = self.path_of(name);
        fault::point("create hard link").context("create the hard link", &path)?;
        let open = format!("/proc/self/fd/{}", file.as_raw_fd());
        nix::unistd::linkat(AT_FDCWD, open.as_str(), &self.fd, name, AtFlags::AT_SYMLINK_FOLLOW)
            .context("create the hard link", &path)
    }

    /// Makes renames and creations in it durable.
    ///
    /// # Errors
    /// When the device reports an error.
    pub fn sync(&self) -> Result<()> {
        fault::point("sync directory").context("sync", &self.path)?;
        nix::unistd::fsync(&self.fd).context("sync", &self.path)
    }

    /// Makes everything on its file system durable.
    ///
    /// # Errors
    /// When the device reports an error.
    pub fn sync_file_system(&self) -> Result<()> {
        fault::point("sync file system").context("sync the file system of", &self.path)?;
        rustix::fs::syncfs(&self.fd).context("sync the file system of", &self.path)
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The way from a directory down to the one that was used last, held open. The next is mostly on
/// the same way, when paths come sorted.
#[derive(Debug)]
pub struct Trail<'a> {
    top: &'a Dir,
    below: Vec<(String, Dir)>,
}

impl<'a> Trail<'a> {
    /// A way that does not lead anywhere yet.
    #[must_use]
    pub fn new(top: &'a Dir) -> Self {
        Self { top, below: Vec::new() }
    }

    /// The directory that holds `path`, reached as by [`Dir::open_beneath`].
    ///
    /// # Errors
    /// When a component cannot be opened or is a link.
    pub fn holder_of(&mut self, path: &RelPath) -> Result<&Dir> {
        let path = path.as_str();
        let parts = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let parts = || parts.split('/').filter(|part| !part.is_empty());
        let known = self.below.iter().zip(parts()).take_while(|((name, _), part)| name == part).count();
        self.below.truncate(known);
        for part in parts().skip(known) {
            let dir = self.end().open_dir(part)?;
            self.below.push((part.to_owned(), dir));
        }
        Ok(self.end())
    }

    fn end(&self) -> &Dir {
        self.below.last().map_or(self.top, |(_, dir)| dir)
    }
}

/// How temporary names beside `name` begin: a leftover is found again by it. Hidden, so that
/// programs that read a directory of configuration files pass over it.
fn temp_prefix(name: &str) -> String {
    format!(".{name}.demisto-install.")
}

/// A temporary name beside `name` that nobody can have taken beforehand.
///
/// # Errors
/// When there is no randomness.
pub fn temp_name(name: &str) -> Result<String> {
    let mut random = [0; 8];
    let failed = |e| Error::new("make a name beside", Path::new(name), io::Error::other(e));
    openssl::rand::rand_bytes(&mut random).map_err(failed)?;
    Ok(random.iter().fold(temp_prefix(name), |name, byte| format!("{name}{byte:02x}")))
}

/// What an open file is.
///
/// # Errors
/// When it cannot be told.
pub fn stat_file(fd: &impl AsFd, path: &Path) -> Result<Stat> {
    fstat(fd).map(|raw| Stat::new(&raw)).context("look at", path)
}

/// Sets owner, then mode (chown clears bits), of an open file.
///
/// # Errors
/// When one cannot be set.
pub fn set_attributes(fd: &impl AsFd, path: &Path, owner: Option<Ids>, mode: u32) -> Result<()> {
    if let Some(ids) = owner {
        let (uid, gid) = (Some(Uid::from_raw(ids.uid)), Some(Gid::from_raw(ids.gid)));
        fchown(fd, uid, gid).context("set the owner of", path)?;
    }
    fchmod(fd, Mode::from_bits_truncate(mode)).context("set the mode of", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the test prepares the files")]
    fn links_are_not_followed() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("precious"), "x").unwrap();
        dir.create_symlink(outside.path().to_str().unwrap(), "link", None).unwrap();
        assert!(dir.open_dir("link").is_err());
        assert!(dir.open_beneath(&"link/precious".parse().unwrap()).is_err());
        dir.create_dir("tree", 0o755, None).unwrap();
        dir.open_dir("tree").unwrap().create_symlink("/etc", "etc", None).unwrap();
        dir.remove_tree("tree").unwrap();
        dir.remove_tree("link").unwrap();
        assert!(outside.path().join("precious").exists());
        assert!(dir.names().unwrap().is_empty());
    }

    /// On the running system, too: its root is the one whose upper directories may be links.
    #[test]
    fn below_a_guarded_directory_no_link_is_followed() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        dir.make_private_dir("real").unwrap();
        dir.create_symlink("real", "top", None).unwrap();
        let real = dir.open_dir("real").unwrap();
        real.make_private_dir("inner").unwrap();
        real.create_symlink("inner", "link", None).unwrap();
        let top = temp.path().join("top").display().to_string();
        let open =
            |inner: &str| Dir::open_guarded(Path::new("/"), &["/none", &top], &format!("{top}{inner}"));
        let ino = |dir: Dir| dir.stat_self().unwrap().ino;
        assert_eq!(ino(open("").unwrap()), ino(real.try_clone().unwrap()), "root made that link");
        assert_eq!(ino(open("/inner").unwrap()), ino(real.open_dir("inner").unwrap()));
        for bad in ["/link", "/../../etc", "/inner/../link"] {
            assert!(open(bad).is_err(), "{bad}");
        }
        assert!(Dir::open_guarded(Path::new("/"), &["/none"], &format!("{top}/link")).is_ok());
    }

    #[test]
    fn a_trail_leads_where_the_path_does() {
        let temp = tempfile::tempdir().unwrap();
        let top = Dir::open(temp.path()).unwrap();
        for path in ["a", "a/b", "a/bc", "a/b/c", "b"] {
            let path: RelPath = path.parse().unwrap();
            Trail::new(&top).holder_of(&path).unwrap().make_private_dir(path.name()).unwrap();
        }
        top.create_symlink("a", "link", None).unwrap();
        let mut trail = Trail::new(&top);
        for path in ["f", "a/f", "a/b/c/f", "a/b/g", "a/bc/f", "b/f", "g", "a/b/c/h"] {
            let path: RelPath = path.parse().unwrap();
            let dir = trail.holder_of(&path).unwrap();
            assert_eq!(dir.path_of(path.name()), temp.path().join(path.as_path()));
            drop(dir.create_file(path.name()).unwrap());
            assert!(temp.path().join(path.as_path()).exists());
        }
        assert!(trail.holder_of(&"a/none/f".parse().unwrap()).unwrap_err().is_not_found());
        assert!(trail.holder_of(&"link/f".parse().unwrap()).is_err());
        assert_eq!(trail.holder_of(&"a/f".parse().unwrap()).unwrap().path(), temp.path().join("a"));
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the test prepares the files")]
    fn hostile_trees_are_removed() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let tree = temp.path().join("tree");
        std::fs::create_dir_all(tree.join("a/b")).unwrap();
        std::fs::write(tree.join("a").join(OsStr::from_bytes(b"\xff\xfe")), "x").unwrap();
        std::fs::create_dir(tree.join("a/b").join(OsStr::from_bytes(b"\xff"))).unwrap();
        let mut deep = dir.open_dir("tree").unwrap();
        for _ in 0..3000 {
            deep.create_dir("d", 0o700, None).unwrap();
            deep = deep.open_dir("d").unwrap();
        }
        drop(deep);
        dir.remove_tree("tree").unwrap();
        assert!(dir.raw_names().unwrap().is_empty());
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the test prepares the files")]
    fn what_its_owner_keeps_filling_goes() {
        use std::os::unix::process::CommandExt as _;

        if !super::super::env::is_root() {
            return; // what is removed belongs to the caller then
        }
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        dir.set_owner_and_mode(None, 0o755).unwrap();
        drop(dir.create_dir("tree", 0o755, None).unwrap());
        let owner = Ids { uid: 12_345, gid: 12_345 };
        let inner = dir.open_dir("tree").unwrap().create_dir("data", 0o755, Some(owner)).unwrap();
        let script = "while :; do mkdir -p a/b 2>/dev/null; : >a/b/c; done 2>/dev/null";
        let mut owner = std::process::Command::new("/bin/sh")
            .args(["-c", script])
            .current_dir(temp.path().join("tree/data"))
            .uid(12_345)
            .gid(12_345)
            .spawn()
            .unwrap();
        while inner.raw_names().unwrap().is_empty() {
            std::thread::yield_now();
        }
        let removed = dir.remove_tree("tree");
        owner.kill().unwrap();
        owner.wait().unwrap();
        removed.unwrap();
        assert!(dir.raw_names().unwrap().is_empty());
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the test prepares the files")]
    fn a_planted_name_is_no_obstacle() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        std::fs::create_dir_all(temp.path().join(".f.demisto-install.00/x")).unwrap();
        std::fs::write(temp.path().join(".f.demisto-install.11"), "left by a kill").unwrap();
        dir.replace_file("f", b"x", 0o600, None).unwrap();
        assert_eq!(dir.names().unwrap(), ["f"]);
    }

    #[test]
    fn replace_sets_the_exact_mode() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        for mode in [0o400, 0o644, 0o666] {
            dir.replace_file("f", b"x", mode, None).unwrap();
            assert_eq!(dir.stat("f").unwrap().unwrap().mode, mode);
        }
        assert_eq!(dir.names().unwrap(), ["f"]);
    }

    #[test]
    fn renames_keep_their_promise() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        dir.replace_file("a", b"a", 0o600, None).unwrap();
        dir.replace_file("b", b"b", 0o600, None).unwrap();
        assert!(dir.rename_new("a", &dir, "b").is_err());
        dir.exchange("a", &dir, "b").unwrap();
        assert_eq!(super::super::fs::read_limited(&temp.path().join("a"), 9).unwrap(), b"b");
    }
}
