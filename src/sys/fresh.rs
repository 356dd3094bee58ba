//! New files that belong together: all of them, or none, and never over anything that is there.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::dir::{Dir, set_attributes, temp_name};
use super::error::Context as _;
use super::{Error, Result, fault, signal};

/// A file to be made.
#[derive(Debug)]
pub struct NewFile {
    /// Where.
    pub path: PathBuf,
    /// What is in it.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Its mode, whatever the umask.
    pub mode: u32,
}

/// Makes files whose directories exist. Each is written under another name, with its final mode and
/// readable by nobody else meanwhile; then all get their names, the last one last. When one cannot be
/// made, those before it are removed again. A signal waits until all of this is over.
///
/// # Errors
/// When one exists, or cannot be made.
pub fn create_all(files: &[NewFile]) -> Result<()> {
    let _whole = signal::Working::begin();
    let mut made = Vec::new();
    let result = place(files, &mut made);
    if result.is_err() {
        for (dir, name) in &made {
            let _ = dir.remove_file(name);
        }
    }
    result
}

/// What was made and has to go again when the rest fails.
type Made = Vec<(Dir, String)>;

fn place(files: &[NewFile], made: &mut Made) -> Result<()> {
    let mut waiting = Vec::new();
    for file in files {
        let (dir, name) = parent(&file.path)?;
        if dir.stat(name)?.is_some() {
            return Err(Error::new("create", &file.path, std::io::ErrorKind::AlreadyExists));
        }
        let temp = temp_name(name)?;
        let mut open = dir.create_file(&temp)?;
        made.push((dir.try_clone()?, temp.clone()));
        set_attributes(&open, &file.path, None, file.mode)?;
        fault::point("write file").context("write", &file.path)?;
        open.write_all(&file.bytes).context("write", &file.path)?;
        fault::point("sync file").context("sync", &file.path)?;
        open.sync_all().context("sync", &file.path)?;
        waiting.push((dir, temp, name.to_owned()));
    }
    for (dir, temp, name) in waiting {
        dir.rename_new(&temp, &dir, &name)?;
        made.retain(|(_, other)| *other != temp);
        made.push((dir.try_clone()?, name));
        dir.sync()?;
    }
    Ok(())
}

fn parent(path: &Path) -> Result<(Dir, &str)> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Error::rule("create", path, "it has no file name"))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((Dir::open(parent)?, name))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn file(path: PathBuf, mode: u32) -> NewFile {
        NewFile { path, bytes: Zeroizing::new(b"x".to_vec()), mode }
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the test looks at the files")]
    fn all_or_none_and_never_over_others() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        create_all(&[file(at("a"), 0o644), file(at("b"), 0o400)]).unwrap();
        let mode = |name: &str| std::fs::metadata(at(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("a"), mode("b")), (0o644, 0o400));
        std::os::unix::fs::symlink("nowhere", at("link")).unwrap();
        std::fs::create_dir(at("dir")).unwrap();
        for taken in ["a", "link", "dir", "missing/d"] {
            assert!(create_all(&[file(at("c"), 0o644), file(at(taken), 0o400)]).is_err(), "{taken}");
            assert!(!at("c").exists(), "{taken}");
        }
        assert!(create_all(&[file(at("c"), 0o644), file(at("c"), 0o400)]).is_err(), "the same name twice");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 4);
    }
}
