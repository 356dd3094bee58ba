//! Small files: opening their directory safely, copying, putting back.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::Result;
use crate::product;
use crate::sys::dir::{self, Dir, Ids, Kind};
use crate::sys::{self, fault};

/// Opens the directory that holds `path`, and gives the last component. See [`open`].
pub(super) fn open_parent(root: &Path, path: &str) -> Result<(Dir, String)> {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let dir = open(root, parent)?;
    Ok((dir, name.to_owned()))
}

/// Opens the directory `path` below `root`; in what the service may write through no link, see
/// [`product::GUARDED`].
pub(super) fn open(root: &Path, path: &str) -> Result<Dir> {
    Ok(Dir::open_guarded(root, &product::GUARDED, path)?)
}

/// Mode of a release's directory that is not live: nobody runs a program of it, and the service plants
/// nothing in the parts of it that will be, or were, the service's.
pub(super) const CLOSED: u32 = 0o700;
/// Mode of the one that is live.
pub(super) const LIVE: u32 = 0o755;

/// Largest file of which a copy is kept: what is replaced or removed is small; something larger was
/// put there by somebody else, to fill the disk.
const COPY_LIMIT: u64 = 16 << 20;

/// Mode of a copy that is kept for undoing.
const PRIVATE: u32 = 0o600;

/// Owner and mode of a copy.
pub(super) type Attributes = (Option<Ids>, u32);

/// Copies a file's content to a new file, which is durable, with the time of its last change and its extended
/// attributes: what is put back is as it was, and rpm compares that, too. Without attributes it is ours alone
/// (0600). They are set on the descriptor of the file that was made here: the directory may be the
/// service's, which could put another file under the name meanwhile.
pub(super) fn copy(mut source: File, to: &Dir, copy: &str, attributes: Option<Attributes>) -> Result<()> {
    let path = to.path_of(copy);
    let failed = |e| sys::Error::new("copy to", &path, e);
    to.remove_file(copy)?;
    let mut target = to.create_file(copy)?;
    let count = std::io::copy(&mut source.by_ref().take(COPY_LIMIT + 1), &mut target).map_err(failed)?;
    if count > COPY_LIMIT {
        to.remove_file(copy)?;
        return Err(sys::Error::rule("copy to", &path, "the file is larger than 16 MiB").into());
    }
    sys::attributes::copy_extended(&source, &target, &path)?;
    let (owner, mode) = attributes.unwrap_or((None, PRIVATE));
    dir::set_attributes(&target, &path, owner, mode)?;
    sys::attributes::copy_modified(&source, &target, &path)?;
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
    target.remove_leftover(name)?;
    let temp = dir::temp_name(name)?;
    let owner = if sys::env::is_root() { Some(was.1) } else { None };
    copy(backups.open_file(copy_name)?, target, &temp, Some((owner, was.0 & 0o777)))?;
    target.rename(&temp, target, name)?;
    Ok(target.sync()?)
}

/// Moves a directory aside that stands where a file was: the service can make one in its own directories,
/// and it must not keep a run from being undone. It keeps what it holds, under the first free name.
pub(super) fn make_way(dir: &Dir, name: &str) -> Result<()> {
    if dir.stat(name)?.is_none_or(|stat| stat.kind != Kind::Dir) {
        return Ok(());
    }
    for number in 0..MOST_ASIDE {
        let aside = format!("{name}.demisto-orig.{number}");
        if dir.stat(&aside)?.is_none() {
            return Ok(dir.rename_new(name, dir, aside)?);
        }
    }
    Ok(())
}

/// So many names are tried for what is moved aside.
const MOST_ASIDE: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_in_a_files_place_is_moved_aside() {
        let temp = tempfile::tempdir().unwrap();
        let top = Dir::open(temp.path()).unwrap();
        for aside in ["x.demisto-orig.0", "x.demisto-orig.1"] {
            top.create_dir("x", 0o700, None).unwrap().create_file("inside").unwrap();
            make_way(&top, "x").unwrap();
            assert!(top.stat("x").unwrap().is_none() && temp.path().join(aside).join("inside").exists());
        }
        top.create_file("x").unwrap();
        make_way(&top, "x").unwrap();
        assert!(top.stat("x").unwrap().is_some());
    }

    /// Parts of the tree may be the service's: it must not lead us to another directory.
    #[test]
    fn no_link_in_the_tree_is_followed() {
        let temp = tempfile::tempdir().unwrap();
        let top = Dir::open(temp.path()).unwrap();
        let mut dir = top.try_clone().unwrap();
        for part in ["usr", "local", "demisto", "web"] {
            dir = dir.create_dir(part, 0o755, None).unwrap();
        }
        let tree = top.open_beneath(&"usr/local/demisto".parse().unwrap()).unwrap();
        tree.create_symlink("web", "link", None).unwrap();
        let path = |inner: &str| format!("{}{inner}", product::INSTALL_DIR);
        assert!(open(temp.path(), &path("")).is_ok());
        assert!(open(temp.path(), &path("/web")).is_ok());
        assert!(open(temp.path(), &path("/link")).is_err());
        assert!(open(temp.path(), &path("/../../etc")).is_err());
    }
}
