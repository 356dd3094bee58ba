//! Lays an archive out in an empty directory.

use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;

use super::archive::{Taker, split};
use super::record::{Record, What, bytes};
use super::{Error, Result};
use crate::sys::attributes::{Attributes, Keep};
use crate::sys::clone::{self, Links};
use crate::sys::dir::{Descent, Dir};
use crate::sys::{self, fault};

/// Everything is made by its last component in a directory that is held open, so nothing can get
/// out of the target; a directory gets its attributes when all that it holds is there.
pub(super) struct Unpack<'a> {
    way: Descent,
    /// Path of the directory that was reached.
    path: Vec<u8>,
    /// Attributes of the directories on the way, the target itself first.
    waiting: Vec<Attributes>,
    links: Links,
    keep: Keep,
    progress: &'a dyn Fn(u64) -> sys::Result<()>,
    /// The file that is being written.
    file: Option<File>,
    /// The snapshot, for messages.
    from: &'a Dir,
}

impl<'a> Unpack<'a> {
    pub(super) fn new(
        target: &Dir,
        from: &'a Dir,
        keep: Keep,
        progress: &'a dyn Fn(u64) -> sys::Result<()>,
    ) -> Result<Self> {
        Ok(Self {
            way: Descent::new(target.try_clone()?),
            path: Vec::new(),
            waiting: Vec::new(),
            links: Links::new(target)?,
            keep,
            progress,
            file: None,
            from,
        })
    }

    /// Sets what is left to set.
    pub(super) fn finish(mut self) -> Result<()> {
        while self.way.depth() > 0 {
            self.up()?;
        }
        self.links.remove()?;
        match self.waiting.pop() {
            Some(top) => Ok(top.set(self.way.here(), self.way.here().path(), self.keep)?),
            None => Ok(()),
        }
    }

    fn up(&mut self) -> Result<()> {
        if let (Some(left), Some(attributes)) = (self.way.up()?, self.waiting.pop()) {
            attributes.set(&left, left.path(), self.keep)?;
        }
        let parent = self.path.iter().rposition(|b| *b == b'/').unwrap_or(0);
        self.path.truncate(parent);
        Ok(())
    }

    fn wrong(&self, record: &Record) -> Error {
        Error::damaged(self.from.path(), format!("{} has no place in it", record.path))
    }

    /// Goes to the directory that the record belongs in, which is on the way up; gives its name there.
    fn place(&mut self, record: &Record) -> Result<std::ffi::OsString> {
        let path = bytes(&record.path).ok_or_else(|| self.wrong(record))?;
        loop {
            if let Some(name) = split(&path, &self.path) {
                return Ok(name.to_owned());
            }
            if self.way.depth() == 0 {
                return Err(self.wrong(record));
            }
            self.up()?;
        }
    }

    fn attributes(&self, record: &Record) -> Result<Attributes> {
        record.attributes().ok_or_else(|| self.wrong(record))
    }

    fn note(&mut self, record: &Record, name: &std::ffi::OsStr) -> Result<()> {
        match record.node {
            Some(node) => Ok(self.links.take((0, node), self.way.here(), name)?),
            None => Ok(()),
        }
    }
}

impl Taker for Unpack<'_> {
    fn top(&mut self, record: &Record) -> Result<()> {
        let attributes = self.attributes(record)?;
        self.waiting.push(attributes);
        Ok(())
    }

    fn other(&mut self, record: &Record) -> Result<()> {
        (self.progress)(0)?;
        let name = self.place(record)?;
        let attributes = self.attributes(record)?;
        let here = self.way.here();
        match &record.what {
            What::Dir => {
                here.make_private_dir(&name)?;
                let dir = here.open_dir(&name)?;
                self.way.down(dir)?;
                self.waiting.push(attributes);
                self.path = bytes(&record.path).ok_or_else(|| self.wrong(record))?;
                Ok(())
            }
            What::Symlink { target } => {
                let target = bytes(target).ok_or_else(|| self.wrong(record))?;
                let target = std::ffi::OsStr::from_bytes(&target);
                clone::symlink(here, target, &name, &attributes, self.keep)?;
                self.note(record, &name)
            }
            What::Fifo => {
                clone::fifo(here, &name, &attributes, self.keep)?;
                self.note(record, &name)
            }
            What::Link => {
                let node = record.node.ok_or_else(|| self.wrong(record))?;
                let given = self.links.give((0, node), here, &name)?;
                if given { Ok(()) } else { Err(self.wrong(record)) }
            }
            What::File { .. } => Err(self.wrong(record)),
        }
    }

    fn begin(&mut self, record: &Record) -> Result<()> {
        let name = self.place(record)?;
        self.file = Some(self.way.here().create_file(&name)?);
        Ok(())
    }

    fn content(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        let path = self.way.here().path();
        let failed = |e| sys::Error::new("write a file in", path, e);
        let Some(file) = &self.file else { return Ok(()) };
        fault::point("lay out file").map_err(failed)?;
        // zeros are left as a hole: what comes back takes no more room than what was kept
        if bytes.iter().any(|byte| *byte != 0) {
            file.write_all_at(bytes, at).map_err(failed)?;
        }
        Ok((self.progress)(bytes.len() as u64)?)
    }

    fn end(&mut self, record: &Record, size: u64) -> Result<()> {
        let name = self.place(record)?;
        let path = self.way.here().path_of(&name);
        if let Some(file) = self.file.take() {
            file.set_len(size).map_err(|e| sys::Error::new("write", &path, e))?;
            self.attributes(record)?.set(&file, &path, self.keep)?;
        }
        self.note(record, &name)
    }
}
