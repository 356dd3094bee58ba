use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::super::{Error, Result, env};
use super::{Dir, Ids, Kind};

pub(super) fn mounted(path: &Path) -> Error {
    Error::rule("remove", path, "another file system is mounted there")
}

/// Removes all that `top` holds, on the device `device`.
///
/// # Errors
/// When something could not be removed: the first reason.
pub(super) fn empty(top: &Dir, device: u64) -> Result<()> {
    top.seize()?;
    let mut removal = Removal { top, device, moved: 0, stuck: HashSet::new(), failure: None };
    while removal.round()? {}
    removal.failure.map_or(Ok(()), Err)
}

impl Dir {
    /// Takes a directory that is about to go from its owner, who could else fill it for ever.
    fn seize(&self) -> Result<()> {
        let us = Ids { uid: env::uid(), gid: env::gid() };
        if !env::is_root() || self.stat_self()?.ids.uid == us.uid {
            return Ok(());
        }
        self.set_owner_and_mode(Some(us), 0o700)
    }
}

/// A tree that is being removed.
struct Removal<'a> {
    top: &'a Dir,
    device: u64,
    /// Number of directories that were moved to the top.
    moved: u64,
    /// Names at the top that cannot be removed.
    stuck: HashSet<OsString>,
    failure: Option<Error>,
}

impl Removal<'_> {
    /// Goes once over what lies at the top; tells whether another time is needed.
    fn round(&mut self) -> Result<bool> {
        let names = self.top.raw_names()?;
        let mut found = false;
        for name in names.into_iter().filter(|name| !self.stuck.contains(name)).collect::<Vec<_>>() {
            found = true;
            if let Err(error) = self.remove(&name) {
                self.stuck.insert(name);
                self.failure.get_or_insert(error);
            }
        }
        Ok(found)
    }

    fn remove(&mut self, name: &OsStr) -> Result<()> {
        let Some(stat) = self.top.stat(name)? else { return Ok(()) };
        if stat.kind != Kind::Dir {
            return self.top.remove_file(name);
        }
        if stat.dev != self.device {
            return Err(mounted(&self.top.path_of(name)));
        }
        let dir = self.top.open_dir(name)?;
        dir.seize()?;
        for inner in dir.raw_names()? {
            match dir.stat(&inner)? {
                Some(stat) if stat.kind == Kind::Dir && stat.dev != self.device => {
                    return Err(mounted(&dir.path_of(&inner)));
                }
                Some(stat) if stat.kind == Kind::Dir => {
                    self.moved += 1;
                    dir.rename_new(&inner, self.top, format!(".moved-{}-{}", stat.ino, self.moved))?;
                }
                _ => dir.remove_file(&inner)?,
            }
        }
        self.top.remove_dir(name)
    }
}
