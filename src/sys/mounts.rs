//! What is mounted where.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use super::{Result, fs};

const TABLE: &str = "/proc/self/mountinfo";

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
        assert!(is_point(Path::new("/proc")).unwrap());
        assert!(!is_point(Path::new("/proc/self")).unwrap());
        assert!(below(Path::new("/")).unwrap().contains(&PathBuf::from("/proc")));
        assert!(!below(Path::new("/proc")).unwrap().contains(&PathBuf::from("/proc")));
    }
}
