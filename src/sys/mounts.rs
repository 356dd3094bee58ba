//! What is mounted where.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, StatxFlags};

use super::{Result, fs};

const TABLE: &str = "/proc/self/mountinfo";

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where it is mounted.
    pub point: PathBuf,
    /// Its type, such as `ext4`.
    pub kind: String,
    /// What it was mounted from: a device, a pool and its dataset, or a word.
    pub source: String,
    /// Its options and those of the mount, such as `noexec`, each once.
    pub options: Vec<String>,
}

/// The file system that `path` lies on, which exists.
///
/// # Errors
/// When the table of mounts cannot be read, or does not have it.
pub fn of(path: &Path) -> Result<Mount> {
    let table = fs::read_limited(Path::new(TABLE), 16 << 20)?;
    let path = fs::canonical(path)?;
    let id = mount_id(&path);
    let mounts = table.split(|b| *b == b'\n').filter_map(parse);
    let found = match id {
        Some(id) => mounts.into_iter().find(|(number, _)| *number == id),
        // an older kernel does not tell: what was mounted last on the longest way counts
        None => mounts
            .filter(|(_, mount)| path.starts_with(&mount.point))
            .max_by_key(|(_, mount)| mount.point.components().count()),
    };
    found
        .map(|(_, mount)| mount)
        .ok_or_else(|| super::Error::rule("find the mount of", &path, "the table does not have it"))
}

/// The number of a path's mount (statx(2), since Linux 5.8).
fn mount_id(path: &Path) -> Option<u64> {
    let (flags, wanted) = (AtFlags::empty(), StatxFlags::MNT_ID);
    let found = rustix::fs::statx(rustix::fs::CWD, path, flags, wanted).ok()?;
    (found.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(found.stx_mnt_id)
}

/// One line of the table (proc_pid_mountinfo(5)): the mount's number, and what it is.
fn parse(line: &[u8]) -> Option<(u64, Mount)> {
    let fields: Vec<&[u8]> = line.split(|b| *b == b' ').collect();
    let end = fields.iter().position(|field| *field == b"-")?;
    let text = |at: usize| fields.get(at).map(|field| String::from_utf8_lossy(field).into_owned());
    let id = text(0)?.parse().ok()?;
    let mut options: Vec<String> = Vec::new();
    for option in [text(5)?, text(end + 3)?].iter().flat_map(|list| list.split(',')) {
        // what is mounted read-only stays so, whatever the file system itself allows
        if !options.iter().any(|is| is == option) {
            options.push(option.to_owned());
        }
    }
    let (point, kind, source) = (unescaped(fields.get(4)?), text(end + 1)?, text(end + 2)?);
    Some((id, Mount { point, kind, source, options }))
}

/// Mount points below `path`, without `path` itself. `path` is absolute and without links.
///
/// # Errors
/// When the table of mounts cannot be read.
pub fn below(path: &Path) -> Result<Vec<PathBuf>> {
    let table = fs::read_limited(Path::new(TABLE), 16 << 20)?;
    Ok(points(&table).filter(|point| point.starts_with(path) && point != path).collect())
}

/// Whether a file system, or a part of one, is mounted at `path`, which is absolute and without links.
///
/// # Errors
/// When the table of mounts cannot be read.
pub fn is_point(path: &Path) -> Result<bool> {
    let table = fs::read_limited(Path::new(TABLE), 16 << 20)?;
    Ok(points(&table).any(|point| point == path))
}

/// The fifth field of each line (proc_pid_mountinfo(5)).
fn points(table: &[u8]) -> impl Iterator<Item = PathBuf> {
    let field = |line: &[u8]| line.split(|b| *b == b' ').nth(4).map(unescaped);
    table.split(|b| *b == b'\n').filter_map(field)
}

/// Blanks and backslashes are written as `\` and three octal digits.
fn unescaped(text: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let octal = after
            .get(..3)
            .filter(|digits| *first == b'\\' && digits.iter().all(|d| (b'0'..b'8').contains(d)));
        let value = octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(value.unwrap_or(*first));
        rest = if value.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read() {
        let table =
            b"36 35 98:0 /mnt1 /a/b\\040c rw - ext3 /dev/root rw\n37 36 0:1 / /a/b\\040c/d\\134 rw\n\n";
        let found: Vec<PathBuf> = points(table).collect();
        assert_eq!(found, [Path::new("/a/b c"), Path::new("/a/b c/d\\")]);
        let (id, mount) =
            parse(b"36 35 98:0 /x /a\\040b ro,noexec shared:1 - ext3 /dev/root rw,errors=x").unwrap();
        assert_eq!((id, mount.point.as_path(), mount.kind.as_str()), (36, Path::new("/a b"), "ext3"));
        assert_eq!(mount.source, "/dev/root");
        assert_eq!(mount.options, ["ro", "noexec", "rw", "errors=x"]);
        assert_eq!(of(Path::new("/proc/self")).unwrap().kind, "proc");
        assert!(is_point(Path::new("/proc")).unwrap());
        assert!(!is_point(Path::new("/proc/self")).unwrap());
        assert!(below(Path::new("/")).unwrap().contains(&PathBuf::from("/proc")));
        assert!(!below(Path::new("/proc")).unwrap().contains(&PathBuf::from("/proc")));
    }
}
