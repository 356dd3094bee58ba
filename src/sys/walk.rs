//! Walks over a tree that somebody else may have filled: through no link, into no other file
//! system, at any depth, with a bounded number of descriptors.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::dir::{Descent, Dir, Meta, Sort};
use super::{Error, Result};

/// Something that a walk came by.
#[derive(Debug)]
pub struct Found<'a> {
    /// The directory that holds it.
    pub holder: &'a Dir,
    /// Its name there.
    pub name: &'a OsStr,
    /// Its path below the top, any bytes.
    pub path: &'a Path,
    /// What it is.
    pub meta: &'a Meta,
}

/// Who is told what a walk comes by.
pub trait Visitor {
    /// How it ends a walk.
    type Error: From<Error>;

    /// A directory, before what it holds. `dir` is the directory itself.
    ///
    /// # Errors
    /// Ends the walk.
    fn enter(&mut self, found: &Found, dir: &Dir) -> std::result::Result<(), Self::Error>;

    /// The same directory, after what it holds.
    ///
    /// # Errors
    /// Ends the walk.
    fn leave(&mut self, dir: &Dir, path: &Path) -> std::result::Result<(), Self::Error>;

    /// Anything else.
    ///
    /// # Errors
    /// Ends the walk.
    fn other(&mut self, found: &Found) -> std::result::Result<(), Self::Error>;
}

/// Walks over all that `top` holds, names in order; `top` itself is not visited. What vanishes
/// meanwhile is passed over.
///
/// # Errors
/// When something cannot be read, another file system is mounted in it, or the visitor ends it.
pub fn walk<V: Visitor>(top: &Dir, visitor: &mut V) -> std::result::Result<(), V::Error> {
    let device = top.stat_self()?.dev;
    let mut way = Descent::new(top.try_clone()?);
    let mut waiting = vec![names(top)?];
    let mut path: Vec<u8> = Vec::new();
    while let Some(names_here) = waiting.last_mut() {
        let Some(name) = names_here.next() else {
            waiting.pop();
            if let Some(left) = way.up()? {
                visitor.leave(&left, relative(&path))?;
                let parent = path.iter().rposition(|b| *b == b'/').unwrap_or(0);
                path.truncate(parent);
            }
            continue;
        };
        let length = path.len();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name.as_bytes());
        match visit(&way, &name, &path, device, visitor)? {
            Some(dir) => {
                waiting.push(names(&dir)?);
                way.down(dir)?;
            }
            None => path.truncate(length),
        }
    }
    Ok(())
}

/// Visits one name; gives the directory that is to be entered.
fn visit<V: Visitor>(
    way: &Descent,
    name: &OsStr,
    path: &[u8],
    device: u64,
    visitor: &mut V,
) -> std::result::Result<Option<Dir>, V::Error> {
    let holder = way.here();
    let path = relative(path);
    let Some(meta) = holder.meta(name)? else { return Ok(None) };
    if meta.sort != Sort::Dir {
        visitor.other(&Found { holder, name, path, meta: &meta })?;
        return Ok(None);
    }
    let dir = match holder.open_dir(name) {
        Err(e) if e.is_not_found() => return Ok(None),
        other => other?,
    };
    let meta = dir.meta_self()?; // of the very directory that was opened
    if meta.stat.dev != device {
        let why = "another file system is mounted there; unmount it first";
        return Err(Error::rule("go into", dir.path(), why).into());
    }
    visitor.enter(&Found { holder, name, path, meta: &meta }, &dir)?;
    Ok(Some(dir))
}

fn names(dir: &Dir) -> Result<std::vec::IntoIter<OsString>> {
    Ok(dir.raw_names()?.into_iter())
}

fn relative(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}
