//! Files by path: opening, reading with limits, writing atomically.
//!
//! For directories that somebody else may write, use [`super::dir::Dir`].

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::fstat;

use super::dir::{Dir, Ids, Kind, Stat};
use super::error::Context as _;
use super::{Error, Result};

/// Opens a file to read it, through links; never a device, a pipe or a socket, unless it is a descriptor that the
/// caller gave us. For paths that somebody typed; see [`read_configured`].
///
/// # Errors
/// When it cannot be opened, or is none.
#[allow(clippy::disallowed_methods, reason = "this is the door")]
pub fn open_existing(path: &Path) -> Result<File> {
    if is_own_descriptor(path) {
        return OpenOptions::new().read(true).open(path).context("open", path);
    }
    open_found(&find(path, OFlag::empty())?, path)
}

/// Looks a path up without opening what is there: that alone can do something, as with /dev/watchdog.
#[allow(clippy::disallowed_methods, reason = "this is the door")]
fn find(path: &Path, flags: OFlag) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags((OFlag::O_PATH | flags).bits());
    options.open(path).context("open", path)
}

/// Opens what was found, if it is a file or a directory.
#[allow(clippy::disallowed_methods, reason = "this is the door")]
pub(super) fn open_found(found: &(impl AsFd + AsRawFd), path: &Path) -> Result<File> {
    let again = format!("/proc/self/fd/{}", found.as_raw_fd());
    match Stat::new(&fstat(found).context("look at", path)?).kind {
        Kind::File | Kind::Dir => {}
        Kind::Symlink => return Err(Error::new("open", path, Errno::ELOOP)),
        Kind::Other => return Err(Error::rule("read", path, super::error::NO_FILE)),
    }
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
    options.open(&again).context("open", path)
}

/// Whether `path` names a descriptor that the caller gave us, such as `<(command)` of a shell.
fn is_own_descriptor(path: &Path) -> bool {
    let holder = path.parent();
    path == Path::new("/dev/stdin")
        || holder == Some(Path::new("/dev/fd"))
        || holder == Some(Path::new("/proc/self/fd"))
}

/// Opens a file to read and write it, creating it with mode 0600; never through a link.
///
/// # Errors
/// When it cannot be opened or is a link.
#[allow(clippy::disallowed_methods, reason = "this is the door")]
pub fn open_or_create_private(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
    options.open(path).context("open", path)
}

/// Makes a file without a name in `dir`, to read and write, mode 0600: nobody else can open it, and it goes
/// when it is closed. Where the file system cannot do that, it has a name for a moment.
///
/// # Errors
/// When it cannot be made there.
pub fn create_unnamed(dir: &Path) -> Result<File> {
    tempfile::tempfile_in(dir).context("make a file in", dir)
}

/// A directory of somebody else, mode 0700, that goes with all in it when this is dropped.
#[derive(Debug)]
pub struct Throwaway(tempfile::TempDir);

impl Throwaway {
    /// Makes it in `dir` for `owner`.
    ///
    /// # Errors
    /// When it cannot be made there.
    pub fn new(dir: &Path, owner: Ids) -> Result<Self> {
        let made = tempfile::Builder::new().prefix("demisto-install-").tempdir_in(dir);
        let made = made.context("make a directory in", dir)?;
        Dir::open(made.path())?.set_owner_and_mode(Some(owner), 0o700)?;
        Ok(Self(made))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Opens a file to write it from its beginning, creating it with mode `mode` less the umask.
///
/// # Errors
/// When it cannot be opened.
#[allow(clippy::disallowed_methods, reason = "this is the door")]
pub fn create(path: &Path, mode: u32) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true).mode(mode);
    options.open(path).context("create", path)
}

/// Opens a log to append to: created with mode 0600, never through a link, never one that another
/// user owns or that has a second name.
///
/// # Errors
/// When it cannot be opened or breaks one of these rules.
#[allow(clippy::disallowed_methods, reason = "this is the door")]
pub fn open_log(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    options.custom_flags(OFlag::O_NOFOLLOW.bits() | OFlag::O_NONBLOCK.bits());
    let file = options.open(path).context("open", path)?;
    let meta = file.metadata().context("look at", path)?;
    if !meta.is_file() || meta.uid() != super::env::uid() || meta.nlink() != 1 {
        return Err(Error::rule("open", path, "it is not a plain file of ours with a single name"));
    }
    Ok(file)
}

/// Reads a whole file of at most `limit` bytes. A pipe is read only when it is a descriptor that
/// the caller gave us: any other could keep us waiting for ever.
///
/// # Errors
/// When it cannot be read, is larger, or is not a regular file.
pub fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = open_existing(path)?;
    let kind = file.metadata().context("look at", path)?.file_type();
    let readable = kind.is_file() || (kind.is_fifo() && is_own_descriptor(path));
    if !readable {
        return Err(Error::rule("read", path, super::error::NO_FILE));
    }
    read_file(file, path, limit)
}

/// Reads a whole file of at most `limit` bytes below `root`, through no link on the way from there.
///
/// # Errors
/// When it cannot be read, is larger, is not a regular file, or a part of `path` is a link.
pub fn read_beneath(root: &Path, path: &str, limit: u64) -> Result<Vec<u8>> {
    let (dir, name) = way_to(root, path)?;
    read_file(dir.open_file(name)?, &dir.path_of(name), limit)
}

fn way_to<'a>(root: &Path, path: &'a str) -> Result<(Dir, &'a str)> {
    let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut dir = Dir::open(root)?;
    for part in parents.split('/').filter(|part| !part.is_empty()) {
        dir = dir.open_dir(part)?;
    }
    Ok((dir, name))
}

/// Reads a file that a configuration names, through links: as [`read_limited`], but no descriptor of ours, and
/// nothing of the kernel's file systems. Reading takes something away there: lines of /proc/kmsg, our input.
///
/// # Errors
/// When it cannot be read, is larger, is not a regular file or the kernel's.
pub fn read_configured(path: &Path, limit: u64) -> Result<Vec<u8>> {
    if path.starts_with("/proc") || is_own_descriptor(path) {
        return Err(kernels(path));
    }
    read_stored(&find(path, OFlag::empty())?, path, limit)
}

/// As [`read_configured`], below `root` and through no link on the way from there.
///
/// # Errors
/// As [`read_configured`] and [`read_beneath`].
pub fn read_configured_beneath(root: &Path, path: &str, limit: u64) -> Result<Vec<u8>> {
    let (dir, name) = way_to(root, path)?;
    read_stored(&dir.find(name)?, &dir.path_of(name), limit)
}

/// Reads what was found, if it is a file that somebody stored.
fn read_stored(found: &(impl AsFd + AsRawFd), path: &Path, limit: u64) -> Result<Vec<u8>> {
    const KERNELS: [u64; 4] = [0x9fa0, 0x6265_6572, 0x6462_6720, 0x7472_6163]; // proc, sysfs, debugfs, tracefs
    if KERNELS.contains(&file_system(found, path)?) {
        return Err(kernels(path));
    }
    let file = open_found(found, path)?;
    if !file.metadata().context("look at", path)?.is_file() {
        return Err(Error::rule("read", path, super::error::NO_FILE));
    }
    read_file(file, path, limit)
}

fn kernels(path: &Path) -> Error {
    Error::rule("read", path, "it is the kernel's, no file that a configuration may name")
}

/// Reads a file that only root or the caller can have written: a regular file, not a link, owned
/// by root or by us, not writable by group or others. All is checked on the open descriptor.
///
/// # Errors
/// When it cannot be read, is larger than `limit` bytes, or breaks a rule.
pub fn read_trusted(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = open_guarded(path, 0o022, "others than its owner can write it")?;
    read_file(file, path, limit)
}

/// Reads the last `limit` bytes of a file, or all of a shorter one; as [`read_trusted`] otherwise.
///
/// # Errors
/// When it cannot be read or breaks a rule.
pub fn read_end(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut file = open_guarded(path, 0o022, "others than its owner can write it")?;
    let length = file.metadata().context("look at", path)?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(limit))).context("read", path)?;
    read_file(file, path, limit)
}

/// Reads a file that holds a secret: as [`read_trusted`], and nobody but its owner may read it.
///
/// # Errors
/// When it cannot be read, is larger than `limit` bytes, or breaks a rule.
pub fn read_secret(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = open_guarded(path, 0o077, "others than its owner can read it (chmod 600 it)")?;
    read_file(file, path, limit)
}

fn open_guarded(path: &Path, forbidden: u32, why: &str) -> Result<File> {
    let file = open_found(&find(path, OFlag::O_NOFOLLOW)?, path)?;
    let meta = file.metadata().context("look at", path)?;
    if !meta.is_file() {
        return Err(Error::rule("read", path, super::error::NO_FILE));
    }
    if meta.uid() != 0 && meta.uid() != super::env::uid() {
        return Err(Error::rule("read", path, "it belongs neither to root nor to you"));
    }
    if meta.mode() & forbidden != 0 {
        return Err(Error::rule("read", path, why));
    }
    Ok(file)
}

fn read_file(file: File, path: &Path, limit: u64) -> Result<Vec<u8>> {
    // room for all of a small file at once: a buffer that grows leaves copies of secrets behind
    let mut bytes = Vec::with_capacity(usize::try_from(limit.min(64 << 10)).unwrap_or(0) + 64);
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).context("read", path)?;
    if bytes.len() as u64 > limit {
        return Err(Error::rule("read", path, &format!("it is larger than {limit} bytes")));
    }
    Ok(bytes)
}

/// Reads all of standard input, at most `limit` bytes.
///
/// # Errors
/// When it cannot be read or is larger.
pub fn read_stdin(limit: u64) -> Result<Vec<u8>> {
    let path = Path::new("standard input");
    let mut bytes = Vec::with_capacity(usize::try_from(limit.min(64 << 10)).unwrap_or(0) + 64);
    std::io::stdin().lock().take(limit.saturating_add(1)).read_to_end(&mut bytes).context("read", path)?;
    if bytes.len() as u64 > limit {
        return Err(Error::rule("read", path, &format!("it is larger than {limit} bytes")));
    }
    Ok(bytes)
}

/// Writes `bytes` to `path` in one step: a reader sees the old content or the new, also after a
/// power cut. The mode is exact whatever the umask; the owner is the caller.
///
/// # Errors
/// When the file cannot be written; the old content is untouched then.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let (dir, name) = parent_and_name(path)?;
    let dir = Dir::open(&dir)?;
    dir.replace_file(name, bytes, mode, None)
}

fn parent_and_name(path: &Path) -> Result<(PathBuf, &str)> {
    let name = path.file_name().and_then(|n| n.to_str());
    let name = name.ok_or_else(|| Error::rule("write", path, "it has no file name"))?;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((parent.to_owned(), name))
}

/// What is at `path`, without following a link at its end; `None` when nothing is.
///
/// # Errors
/// When it cannot be told.
pub fn stat(path: &Path) -> Result<Option<Stat>> {
    match nix::sys::stat::lstat(path) {
        Ok(raw) => Ok(Some(Stat::new(&raw))),
        Err(nix::errno::Errno::ENOENT | nix::errno::Errno::ENOTDIR) => Ok(None),
        Err(e) => Err(e).context("look at", path),
    }
}

/// Whether anything, also a dangling link, is at `path`.
#[must_use]
pub fn exists(path: &Path) -> bool {
    !matches!(stat(path), Ok(None))
}

/// Whether `path` leads to a regular file.
#[must_use]
pub fn is_file(path: &Path) -> bool {
    path.is_file()
}

/// The names in a directory, sorted; names that are no valid text are refused.
///
/// # Errors
/// When it cannot be read.
#[allow(clippy::disallowed_methods, reason = "this is the door")]
pub fn list(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).context("list", dir)? {
        let name = entry.context("list", dir)?.file_name();
        let name =
            name.into_string().map_err(|_| Error::rule("list", dir, "a name in it is not valid UTF-8"))?;
        names.push(name);
    }
    names.sort();
    Ok(names)
}

/// Where the link at `path` points.
///
/// # Errors
/// When it is no link or cannot be read.
#[allow(clippy::disallowed_methods, reason = "this is the door")]
pub fn read_link(path: &Path) -> Result<PathBuf> {
    std::fs::read_link(path).context("read the link", path)
}

/// Creates a directory and its missing parents, each with mode `mode`; they survive a power cut.
///
/// # Errors
/// When one cannot be created.
pub fn create_dir_all(path: &Path, mode: u32) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let Some(name) = path.file_name() else {
        return Err(Error::rule("create the directory", path, "it has no name"));
    };
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_dir_all(parent, mode)?;
    // all by descriptor: whoever can write the parent could put something else under the name
    let parent = Dir::open(parent)?;
    match parent.create_dir(name, mode, None) {
        Err(e) if e.source.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        other => other?.sync()?,
    }
    parent.sync()
}

/// Removes a file; an absent one is fine.
///
/// # Errors
/// When it cannot be removed.
#[allow(clippy::disallowed_methods, reason = "this is the door")]
pub fn remove_file(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.context("remove", path),
    }
}

/// Renames within a file system.
///
/// # Errors
/// When it cannot be done.
#[allow(clippy::disallowed_methods, reason = "this is the door")]
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).context("rename to", to)
}

/// The absolute path without links.
///
/// # Errors
/// When it does not exist or cannot be resolved.
#[allow(clippy::disallowed_methods, reason = "this is the door")]
pub fn canonical(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path).context("resolve", path)
}

/// What a file system can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Its size in bytes.
    pub size: u64,
    /// Bytes that an ordinary caller can still write.
    pub free: u64,
    /// Names that it can hold; 0 where they are not counted.
    pub names: u64,
    /// Names that an ordinary caller can still make.
    pub free_names: u64,
}

/// What the file system of `path` can hold.
///
/// # Errors
/// When it cannot be told.
#[allow(clippy::useless_conversion, clippy::unnecessary_cast, reason = "the types differ between platforms")]
pub fn space(path: &Path) -> Result<Space> {
    let stat = nix::sys::statvfs::statvfs(path).context("measure the file system of", path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.fragment_size() as u64);
    Ok(Space {
        size: bytes(stat.blocks() as u64),
        free: bytes(stat.blocks_available() as u64),
        names: stat.files() as u64,
        free_names: stat.files_available() as u64,
    })
}

/// Bytes that an ordinary caller can still write on the file system of `path`.
///
/// # Errors
/// When it cannot be told.
pub fn free_bytes(path: &Path) -> Result<u64> {
    space(path).map(|space| space.free)
}

/// Whether what is written there is lost when the machine stops (tmpfs, ramfs).
///
/// # Errors
/// When it cannot be told.
pub fn is_in_memory(dir: &Dir) -> Result<bool> {
    const TMPFS: u64 = 0x0102_1994;
    const RAMFS: u64 = 0x8584_58f6;
    let kind = file_system(dir, dir.path())?;
    Ok(kind == TMPFS || kind == RAMFS)
}

/// The kind of a file system (statfs(2), `f_type`).
fn file_system(found: &impl AsFd, path: &Path) -> Result<u64> {
    let stat = rustix::fs::fstatfs(found).context("measure the file system of", path)?;
    #[allow(
        clippy::cast_sign_loss,
        clippy::unnecessary_cast,
        clippy::cast_lossless,
        reason = "C types differ between platforms"
    )]
    let kind = stat.f_type as u64 & 0xffff_ffff;
    Ok(kind)
}

/// Forgets what is in memory of an open file, so that the next read comes from the device. What
/// was not synced stays. A file system may do nothing.
pub fn forget(file: &File) {
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
}

/// Writes to standard output; a closed pipe is no error.
pub fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Writes bytes to standard output.
///
/// # Errors
/// When they cannot be written.
pub fn print_bytes(bytes: &[u8]) -> Result<()> {
    std::io::stdout().lock().write_all(bytes).context("write to", Path::new("standard output"))
}

/// Writes to standard error.
pub fn print_error(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the test prepares the files")]
    fn secrets_and_links_are_guarded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        write_atomic(&path, b"x", 0o600).unwrap();
        assert_eq!(read_secret(&path, 10).unwrap(), b"x");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(read_secret(&path, 10).is_err());
        assert!(read_trusted(&path, 10).is_ok());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o620)).unwrap();
        assert!(read_trusted(&path, 10).is_err());
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(read_trusted(&link, 10).is_err());
        assert!(open_log(&link).is_err());
        assert!(read_limited(&path, 0).is_err());
    }

    #[test]
    fn a_pipe_keeps_nobody_waiting() {
        use std::os::fd::AsRawFd as _;

        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = read_limited(&pipe, 10).unwrap_err();
        assert_eq!(error.source.to_string(), "it is not a regular file");
        assert_eq!(open_existing(&pipe).unwrap_err().source.to_string(), "it is not a regular file");
        assert!(read_limited(Path::new("/dev/zero"), 10).is_err());
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"{}").unwrap();
        drop(writer);
        let given = format!("/proc/self/fd/{}", reader.as_raw_fd());
        assert_eq!(read_limited(Path::new(&given), 10).unwrap(), b"{}");
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the test prepares the files")]
    fn a_configuration_names_stored_files_only() {
        use std::os::fd::AsRawFd as _;

        let dir = tempfile::tempdir().unwrap();
        write_atomic(&dir.path().join("file"), b"x", 0o600).unwrap();
        std::os::unix::fs::symlink("file", dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink("/proc/self/comm", dir.path().join("kernel")).unwrap();
        for name in ["file", "link"] {
            assert_eq!(read_configured(&dir.path().join(name), 9).unwrap(), b"x");
        }
        assert_eq!(read_configured_beneath(dir.path(), "/file", 9).unwrap(), b"x");
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"{}").unwrap();
        let given = format!("/proc/self/fd/{}", reader.as_raw_fd());
        let other = format!("/dev/fd/{}", reader.as_raw_fd());
        let kernel = dir.path().join("kernel").display().to_string();
        for path in
            [&given, &other, &kernel, "/dev/stdin", "/dev/zero", "/proc/self/comm", "/sys/kernel/profiling"]
        {
            let error = read_configured(Path::new(path), 9).unwrap_err();
            assert_eq!(error.source.kind(), std::io::ErrorKind::PermissionDenied, "{path}: {error:?}");
        }
        for path in ["/dev/zero", "/proc/version", "/sys/kernel/uevent_seqnum"] {
            let error = read_configured_beneath(Path::new("/"), path, 99).unwrap_err();
            assert_eq!(error.source.kind(), std::io::ErrorKind::PermissionDenied, "{path}: {error:?}");
        }
    }

    /// A pipe's writer that waits for a reader is let go by whoever opens the pipe, as a watchdog is started.
    #[test]
    #[allow(clippy::disallowed_methods, reason = "the test is the writer")]
    fn what_is_no_file_is_not_even_opened() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let (opened, told) = std::sync::mpsc::channel();
        let path = pipe.clone();
        std::thread::spawn(move || opened.send(OpenOptions::new().write(true).open(path).is_ok()));
        std::thread::sleep(std::time::Duration::from_millis(100));
        for refused in [
            open_existing(&pipe).map(drop),
            read_limited(&pipe, 9).map(drop),
            read_secret(&pipe, 9).map(drop),
            read_configured(&pipe, 9).map(drop),
            read_beneath(dir.path(), "/pipe", 9).map(drop),
            read_configured_beneath(dir.path(), "/pipe", 9).map(drop),
        ] {
            assert!(refused.is_err());
            assert!(told.recv_timeout(std::time::Duration::from_millis(50)).is_err(), "it was opened");
        }
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the test prepares the files")]
    fn nothing_beneath_is_read_through_a_link() {
        let root = tempfile::tempdir().unwrap();
        create_dir_all(&root.path().join("etc"), 0o755).unwrap();
        write_atomic(&root.path().join("etc/passwd"), b"x", 0o644).unwrap();
        assert_eq!(read_beneath(root.path(), "/etc/passwd", 10).unwrap(), b"x");
        assert!(read_beneath(root.path(), "/etc/group", 10).unwrap_err().is_not_found());
        assert!(read_beneath(root.path(), "/var/x", 10).unwrap_err().is_not_found());
        std::os::unix::fs::symlink("passwd", root.path().join("etc/link")).unwrap();
        std::os::unix::fs::symlink("etc", root.path().join("conf")).unwrap();
        assert!(read_beneath(root.path(), "/etc/link", 10).is_err());
        assert!(read_beneath(root.path(), "/conf/passwd", 10).is_err());
    }
}
