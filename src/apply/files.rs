//! Small files: opening their directory safely, copying, putting back.

use std::io::{Read as _, Write as _};
use std::path::Path;

use super::Result;
use crate::product::under;
use crate::sys::dir::{self, Dir, Ids};
use crate::sys::{self, fault};
use crate::types::RelPath;

/// Opens the directory that holds `path`, and gives the last component.
///
/// On the running system links on the way are followed: only root can have made them, all upper
/// directories are root's. Below another root none is: an absolute one would lead out of it.
pub(super) fn open_parent(root: &Path, path: &str) -> Result<(Dir, String)> {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let dir = open(root, parent)?;
    Ok((dir, name.to_owned()))
}

/// Opens the directory `path` below `root`; see [`open_parent`].
pub(super) fn open(root: &Path, path: &str) -> Result<Dir> {
    if root == Path::new("/") {
        return Ok(Dir::open(&under(root, if path.is_empty() { "/" } else { path }))?);
    }
    let top = Dir::open(root)?;
    match path.trim_start_matches('/').parse::<RelPath>() {
        Ok(inner) => Ok(top.open_beneath(&inner)?),
        Err(_) => Ok(top),
    }
}

/// Copies a file's content; the copy is ours alone (0600) and durable.
pub(super) fn copy(from: &Dir, name: &str, to: &Dir, copy: &str) -> Result<()> {
    let path = to.path_of(copy);
    let failed = |e| sys::Error::new("copy to", &path, e);
    let mut source = from.open_file(name)?;
    to.remove_file(copy)?;
    let mut target = to.create_file(copy)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = source.read(&mut buffer).map_err(failed)?;
        if count == 0 {
            break;
        }
        target.write_all(buffer.get(..count).unwrap_or_default()).map_err(failed)?;
    }
    fault::point("backup written").map_err(failed)?;
    target.sync_all().map_err(failed)?;
    Ok(to.sync()?)
}

/// Puts a copy back in one step, with the mode and owner that the file had.
pub(super) fn put_back(
    backups: &Dir,
    copy_name: &str,
    target: &Dir,
    name: &str,
    was: (u32, Ids),
) -> Result<()> {
    let temp = format!(".{name}.demisto-install");
    target.remove_file(&temp)?;
    copy(backups, copy_name, target, &temp)?;
    let file = target.open_file(&temp)?;
    let owner = if sys::env::is_root() { Some(was.1) } else { None };
    dir::set_attributes(&file, &target.path_of(name), owner, was.0)?;
    target.rename(&temp, target, name)?;
    Ok(target.sync()?)
}
