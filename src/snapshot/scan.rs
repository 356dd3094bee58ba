//! Walks over the data: counting them, fingerprinting them, listing a copy of them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::record::{Lister, Nodes, Reader, Record, TOP, What, escaped};
use super::{Error, Result};
use crate::sys::attributes::{self, Attributes, Keep};
use crate::sys::dir::{Dir, Meta, Sort};
use crate::sys::walk::{self, Found, Visitor};
use crate::types::{Digest, Hasher};

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Count {
    pub(super) files: u64,
    pub(super) names: u64,
    /// Bytes of content, holes included.
    pub(super) bytes: u64,
    /// Bytes that it takes on its file system.
    pub(super) allocated: u64,
}

#[derive(Default)]
struct Counter {
    count: Count,
    nodes: Nodes,
}

impl Visitor for Counter {
    type Error = Error;

    fn enter(&mut self, found: &Found, _dir: &Dir) -> Result<()> {
        self.count.names += 1;
        self.count.allocated = self.count.allocated.saturating_add(found.meta.allocated());
        Ok(())
    }

    fn leave(&mut self, _dir: &Dir, _path: &Path) -> Result<()> {
        Ok(())
    }

    fn other(&mut self, found: &Found) -> Result<()> {
        self.count.names += 1;
        let again = self.nodes.of(found.meta).is_some_and(|(_, again)| again);
        if found.meta.sort == Sort::File && !again {
            self.count.files += 1;
            self.count.bytes = self.count.bytes.saturating_add(found.meta.stat.size);
            self.count.allocated = self.count.allocated.saturating_add(found.meta.allocated());
        }
        Ok(())
    }
}

pub(super) fn count(data: &Dir) -> Result<Count> {
    let mut counter = Counter::default();
    walk::walk(data, &mut counter)?;
    Ok(counter.count)
}

/// Hashes what changes whenever something is changed.
struct Fingerprinter(Hasher);

impl Fingerprinter {
    /// `settled` is the time that nobody can set. Moving a directory aside and back changes it of
    /// the directory itself, or of what lies in it when that is what was moved: there it is left out.
    fn add(&mut self, path: &OsStr, meta: &Meta, top: bool, settled: bool) {
        let times = |time: crate::sys::dir::Time| format!("{}.{:09}", time.seconds, time.nanos);
        let line = format!(
            "{} {:?} {} {} {:o} {}:{} {} {} {}\n",
            escaped(path.as_bytes()),
            meta.sort,
            meta.stat.ino,
            if meta.sort == Sort::Dir { 0 } else { meta.stat.size },
            meta.stat.mode,
            meta.stat.ids.uid,
            meta.stat.ids.gid,
            if meta.sort == Sort::Dir { 0 } else { meta.links },
            if top { String::new() } else { times(meta.modified) },
            if settled { times(meta.changed) } else { String::new() },
        );
        self.0.update(line.as_bytes());
    }
}

impl Visitor for Fingerprinter {
    type Error = Error;

    fn enter(&mut self, found: &Found, _dir: &Dir) -> Result<()> {
        self.other(found)
    }

    fn leave(&mut self, _dir: &Dir, _path: &Path) -> Result<()> {
        Ok(())
    }

    fn other(&mut self, found: &Found) -> Result<()> {
        let deep = found.path.as_os_str().as_bytes().contains(&b'/');
        self.add(found.path.as_os_str(), found.meta, false, deep);
        Ok(())
    }
}

pub(super) fn fingerprint(data: Option<&Dir>) -> Result<Digest> {
    let mut fingerprinter = Fingerprinter(Hasher::new());
    if let Some(data) = data {
        fingerprinter.add(OsStr::new(TOP), &data.meta_self()?, true, false);
        walk::walk(data, &mut fingerprinter)?;
    }
    Ok(fingerprinter.0.finish())
}

/// Makes a record of everything that is met, and gives it away.
struct Recorder<'a> {
    keep: Keep,
    nodes: Nodes,
    take: &'a mut dyn FnMut(Record) -> Result<()>,
}

/// The record of the data directory itself.
pub(super) fn top_record(data: &Dir, keep: Keep) -> Result<Record> {
    Ok(Record::new(OsStr::new(TOP), What::Dir, &Attributes::of(data, data.path())?, keep))
}

impl Visitor for Recorder<'_> {
    type Error = Error;

    fn enter(&mut self, found: &Found, dir: &Dir) -> Result<()> {
        let mut attributes = Attributes::plain(found.meta);
        attributes.extended = attributes::extended(dir, dir.path())?;
        (self.take)(Record::new(found.path.as_os_str(), What::Dir, &attributes, self.keep))
    }

    fn leave(&mut self, _dir: &Dir, _path: &Path) -> Result<()> {
        Ok(())
    }

    fn other(&mut self, found: &Found) -> Result<()> {
        let mut attributes = Attributes::plain(found.meta);
        let node = self.nodes.of(found.meta);
        let what = match found.meta.sort {
            Sort::Symlink => {
                What::Symlink { target: escaped(found.holder.raw_read_link(found.name)?.as_bytes()) }
            }
            Sort::Fifo => What::Fifo,
            Sort::File => {
                let file = found.holder.open_file(found.name)?;
                attributes.extended = attributes::extended(&file, &found.holder.path_of(found.name))?;
                What::File { size: found.meta.stat.size, sha256: None, runs: None }
            }
            _ => return Ok(()),
        };
        let what = if node.is_some_and(|(_, again)| again) { What::Link } else { what };
        let mut record = Record::new(found.path.as_os_str(), what, &attributes, self.keep);
        record.node = node.map(|(number, _)| number);
        (self.take)(record)
    }
}

fn records(data: &Dir, keep: Keep, take: &mut dyn FnMut(Record) -> Result<()>) -> Result<()> {
    take(top_record(data, keep)?)?;
    walk::walk(data, &mut Recorder { keep, nodes: Nodes::default(), take })
}

/// Lists a copy.
pub(super) fn list(data: &Dir, keep: Keep, lister: &mut Lister) -> Result<()> {
    records(data, keep, &mut |record| lister.add(&record))
}

/// Compares a copy with the list of it, name by name, without reading content.
pub(super) fn compare(data: &Dir, keep: Keep, listed: &mut Reader, place: &Path) -> Result<()> {
    records(data, keep, &mut |found| {
        let wanted = listed.expect()?;
        let (found, wanted) = match keep.owners {
            true => (found, wanted),
            false => (found.without_owner(), wanted.without_owner()),
        };
        if found == wanted {
            return Ok(());
        }
        Err(Error::damaged(place, format!("{} is not as it was written", wanted.path)))
    })
}
