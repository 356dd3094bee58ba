//! Copies of trees, with everything that belongs to the files. Compared with what the tools of the
//! system say about original and copy.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use demisto_install::sys;
use demisto_install::sys::attributes::{Attributes, Keep};
use demisto_install::sys::clone::{self, Copied, Options};
use demisto_install::sys::dir::Dir;
use tempfile::TempDir;

use crate::support::installer::noise;
use crate::support::loops::Mounted;

/// A directory on a disk: file systems in memory have no holes and less attributes.
fn on_disk() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn options() -> Options<'static> {
    Options {
        keep: Keep { owners: nix::unistd::geteuid().is_root(), privileges: false },
        sync: false,
        only_reflinks: false,
        progress: &clone::silent,
    }
}

/// Copies `from` to a new directory `to`.
fn copy(from: &Path, to: &Path, options: &Options) -> sys::Result<Copied> {
    fs::create_dir(to).unwrap();
    clone::tree(&Dir::open(from).unwrap(), &Dir::open(to).unwrap(), options)
}

/// A tree with everything that a tree can hold.
pub(crate) fn furnish(top: &Path) {
    fs::create_dir_all(top.join("empty")).unwrap();
    fs::create_dir_all(top.join("deep/er")).unwrap();
    fs::write(top.join("nothing"), "").unwrap();
    fs::write(top.join("noise"), noise(5 << 20)).unwrap();
    fs::write(top.join("deep/one-name"), "one file\n").unwrap();
    fs::hard_link(top.join("deep/one-name"), top.join("deep/er/another-name")).unwrap();
    fs::hard_link(top.join("deep/one-name"), top.join("third-name")).unwrap();
    fs::write(top.join(OsStr::from_bytes(b"\xff\xfe odd \n name \\ 'x'")), "odd").unwrap();
    fs::write(top.join("n".repeat(255)), "long").unwrap();
    symlink("deep/one-name", top.join("link")).unwrap();
    symlink(OsStr::from_bytes(b"/nowhere/\xff"), top.join("dangling")).unwrap();
    nix::unistd::mkfifo(&top.join("fifo"), nix::sys::stat::Mode::from_bits_truncate(0o640)).unwrap();
    let mut sparse = File::create(top.join("sparse")).unwrap();
    sparse.seek(SeekFrom::Start(40 << 20)).unwrap();
    sparse.write_all(b"in the middle").unwrap();
    sparse.set_len(64 << 20).unwrap();
    let attribute = |name: &str, attribute: &str, value: &[u8]| {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(top.join(name), attribute, value, flags).unwrap();
    };
    attribute("nothing", "user.note", b"with \0 any bytes \xff");
    attribute("empty", "user.large", &noise(2000));
    let mode = |name: &str, mode: u32| {
        fs::set_permissions(top.join(name), Permissions::from_mode(mode)).unwrap();
    };
    mode("noise", 0o604);
    mode("nothing", 0o400);
    mode("empty", 0o2755);
    mode("deep/er", 0o1770);
    mode("deep", 0o500);
    let time = |name: &str, time: &str| {
        let status = Command::new("/usr/bin/touch").args(["-h", "-d", time]).arg(top.join(name)).status();
        assert!(status.unwrap().success());
    };
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::lchown(top.join("link"), Some(1234), Some(1235)).unwrap();
        std::os::unix::fs::chown(top.join("noise"), Some(1234), Some(0)).unwrap();
        std::os::unix::fs::chown(top.join("deep"), Some(3_000_000_000), Some(5)).unwrap();
    }
    for (number, name) in ["noise", "link", "fifo", "deep/er", "deep", "sparse"].iter().enumerate() {
        time(name, &format!("2001-02-03 04:05:0{number}.12345678{number} UTC"));
    }
    time("empty", "1969-12-31 23:00:00.5 UTC");
}

/// What is to be equal: path, kind, mode, owner, size, links, time to the nanosecond, where links
/// lead, digest, extended attributes.
pub(crate) fn described(top: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(path) = waiting.pop() {
        let at = top.join(&path);
        let meta = fs::symlink_metadata(&at).unwrap();
        let mut line = format!(
            "{path:?} {:o} {}:{} {}.{:09}",
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.mtime(),
            meta.mtime_nsec()
        );
        if meta.is_dir() {
            waiting.extend(fs::read_dir(&at).unwrap().map(|entry| path.join(entry.unwrap().file_name())));
        } else if meta.is_symlink() {
            line += &format!(" {:?}", fs::read_link(&at).unwrap());
        }
        if meta.is_file() {
            let digest = demisto_install::types::Digest::of(&fs::read(&at).unwrap());
            line += &format!(" {} {} {digest}", meta.len(), meta.nlink());
        }
        if meta.is_file() || meta.is_dir() {
            line += &format!(" {:?}", Attributes::of(&File::open(&at).unwrap(), &at).unwrap().extended);
        }
        lines.push(line);
    }
    lines.sort();
    lines
}

#[test]
fn a_copy_of_a_tree_is_equal_to_it() {
    let temp = on_disk();
    let (from, to) = (temp.path().join("from"), temp.path().join("to"));
    fs::create_dir(&from).unwrap();
    furnish(&from);
    let before = described(&from);
    let copied = copy(&from, &to, &options()).unwrap();
    assert_eq!(described(&to), before);
    assert_eq!(described(&from), before);
    assert_eq!((copied.files, copied.skipped_count), (6, 0));
    let names = ["third-name", "deep/one-name", "deep/er/another-name"];
    let inodes = names.map(|name| fs::metadata(to.join(name)).unwrap().ino());
    assert!(inodes.iter().all(|inode| *inode == inodes[0]));
    let sparse = fs::metadata(to.join("sparse")).unwrap();
    assert!(sparse.blocks() * 512 < 1 << 20, "{} blocks", sparse.blocks());
}

#[test]
fn sockets_are_told_and_left_out() {
    let temp = on_disk();
    let (from, to) = (temp.path().join("from"), temp.path().join("to"));
    fs::create_dir_all(from.join("d")).unwrap();
    let here = std::os::unix::net::UnixListener::bind(from.join("d/socket")).unwrap();
    let copied = copy(&from, &to, &options()).unwrap();
    assert_eq!(copied.skipped, ["d/socket"]);
    assert_eq!(fs::read_dir(to.join("d")).unwrap().count(), 0);
    drop(here);
}

#[test]
fn a_copy_never_becomes_a_program_with_rights() {
    let temp = on_disk();
    let from = temp.path().join("from");
    fs::create_dir(&from).unwrap();
    fs::copy("/bin/true", from.join("program")).unwrap();
    fs::set_permissions(from.join("program"), Permissions::from_mode(0o6755)).unwrap();
    copy(&from, &temp.path().join("plain"), &options()).unwrap();
    assert_eq!(fs::metadata(temp.path().join("plain/program")).unwrap().mode() & 0o7777, 0o755);
    let whole = Options { keep: Keep { privileges: true, ..options().keep }, ..options() };
    copy(&from, &temp.path().join("whole"), &whole).unwrap();
    assert_eq!(fs::metadata(temp.path().join("whole/program")).unwrap().mode() & 0o7777, 0o6755);
}

/// How many descriptors this process has, those of other tests included.
fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_very_deep_tree_is_copied() {
    let temp = on_disk();
    let top = Dir::open(temp.path()).unwrap();
    top.make_private_dir("from").unwrap();
    top.make_private_dir("to").unwrap();
    let mut deep = top.open_dir("from").unwrap();
    for _ in 0..4000 {
        deep.make_private_dir("d").unwrap();
        deep = deep.open_dir("d").unwrap();
    }
    drop(deep.create_file("bottom").unwrap());
    let (from, to) = (top.open_dir("from").unwrap(), top.open_dir("to").unwrap());
    // told at the file at the bottom
    let most = AtomicUsize::new(0);
    let count = |_| {
        most.fetch_max(descriptors(), Ordering::SeqCst);
        Ok(())
    };
    let copied = clone::tree(&from, &to, &Options { progress: &count, ..options() }).unwrap();
    assert!((2..1000).contains(&most.into_inner()), "descriptors grow with the depth");
    assert_eq!(copied.files, 1);
    let mut reached = top.open_dir("to").unwrap();
    for _ in 0..4000 {
        reached = reached.open_dir("d").unwrap();
    }
    assert!(reached.stat("bottom").unwrap().is_some());
    top.remove_tree("from").unwrap();
    top.remove_tree("to").unwrap();
}

#[test]
fn an_error_of_the_listener_ends_the_copy() {
    let temp = on_disk();
    fs::create_dir(temp.path().join("from")).unwrap();
    fs::write(temp.path().join("from/noise"), noise(3 << 20)).unwrap();
    let enough = |bytes: u64| match bytes {
        0 => Ok(()),
        _ => Err(sys::Error::rule("go on with", Path::new("it"), "enough")),
    };
    let error =
        copy(&temp.path().join("from"), &temp.path().join("to"), &Options { progress: &enough, ..options() });
    assert!(error.unwrap_err().source.to_string().contains("enough"));
    assert!(!temp.path().join("to/noise").exists(), "no half of a file stays");
}

#[test]
fn what_is_mounted_in_a_tree_is_refused_as_root() {
    assert!(nix::unistd::geteuid().is_root(), "this test mounts a file system: run it as root");
    let temp = on_disk();
    let from = temp.path().join("from");
    fs::create_dir_all(from.join("d/mounted here")).unwrap();
    let mounted = Mounted::memory(&from.join("d/mounted here"), 1 << 20);
    let error = copy(&from, &temp.path().join("to"), &options()).unwrap_err();
    assert!(error.path.ends_with("d/mounted here"), "{error:?}");
    let below = sys::mounts::below(&from.canonicalize().unwrap()).unwrap();
    assert_eq!(below, [from.canonicalize().unwrap().join("d/mounted here")]);
    drop(mounted);
}

fn shares_blocks(file_system: &str) {
    let temp = on_disk();
    let mounted = Mounted::disk(file_system, temp.path());
    let (from, to) = (mounted.path().join("from"), mounted.path().join("to"));
    fs::create_dir(&from).unwrap();
    furnish(&from);
    let open = |path: &Path| Dir::open(path).unwrap();
    assert!(clone::can_reflink(&open(&from), &open(mounted.path())));
    assert!(!clone::can_reflink(&open(&from), &open(temp.path())), "another file system shares nothing");
    let before = described(&from);
    let copied = copy(&from, &to, &Options { only_reflinks: true, ..options() }).unwrap();
    assert_eq!((copied.files, copied.reflinked), (6, 6));
    assert_eq!(described(&to), before);
    fs::write(to.join("noise"), "changed").unwrap();
    assert_eq!(described(&from), before);
    // across file systems it is written, not shared
    let away = temp.path().join("away");
    let copied = copy(&from, &away, &options()).unwrap();
    assert_eq!(copied.reflinked, 0);
    assert_eq!(described(&away), before);
    let strict = copy(&from, &temp.path().join("strict"), &Options { only_reflinks: true, ..options() });
    assert!(strict.is_err());
}

#[test]
fn copies_on_xfs_share_blocks_as_root() {
    shares_blocks("xfs");
}

#[test]
fn copies_on_btrfs_share_blocks_as_root() {
    shares_blocks("btrfs");
}
