//! The archive form: a tar file (POSIX pax) compressed with zstd, that GNU tar reads, too.
//!
//! What it holds is decided by the list beside it; attributes are in both. Holes are kept the way
//! GNU tar keeps them (sparse format 1.0).

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::record::{Lister, Nodes, Record, TOP, What, bytes, escaped};
use super::scan::top_record;
use super::stream::{self, Blob, Output, Packed};
use super::{Error, Result};
use crate::sys;
use crate::sys::attributes::{self, Attributes, Keep};
use crate::sys::clone;
use crate::sys::dir::{Dir, Meta, Sort};
use crate::sys::walk::{self, Found, Visitor};
use crate::types::Hasher;

/// Name of the archive in a snapshot.
pub(super) const ARCHIVE: &str = "data.tar.zst";

const BLOCK: u64 = 512;
const PIECE: usize = 256 << 10;
/// A file with more runs of data is kept with the holes after them as zeros.
const MOST_RUNS: usize = 65_536;
/// More bytes of such zeros in one file are in nobody's interest.
const MOST_ZEROS: u64 = 1 << 30;
/// A longer path is in nobody's interest; a reader has to hold it in memory.
const LONGEST_PATH: usize = 64 << 10;

/// What was written.
pub(super) struct Written {
    pub(super) archive: Blob,
    pub(super) index: Blob,
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) skipped: Vec<String>,
    pub(super) skipped_count: u64,
}

/// Writes archive and list of all that `data` holds.
pub(super) fn write(
    data: &Dir,
    to: &Dir,
    keep: Keep,
    progress: &dyn Fn(u64) -> sys::Result<()>,
) -> Result<Written> {
    let mut writer = Writer {
        tar: stream::pack(Output::new(to, ARCHIVE)?)?,
        lister: Lister::new(to)?,
        nodes: Nodes::default(),
        first: Vec::new(),
        keep,
        progress,
        buffer: vec![0; PIECE],
        path: to.path_of(ARCHIVE),
        counts: (0, 0),
        skipped: (Vec::new(), 0),
    };
    let top = top_record(data, keep)?;
    writer.entry(&top, b"./", (tar::EntryType::Directory, 0), &[])?;
    writer.lister.add(&top)?;
    walk::walk(data, &mut writer)?;
    writer.put(&[0; 1024])?;
    Ok(Written {
        archive: stream::finish(writer.tar)?,
        index: writer.lister.finish()?,
        files: writer.counts.0,
        bytes: writer.counts.1,
        skipped: writer.skipped.0,
        skipped_count: writer.skipped.1,
    })
}

struct Writer<'a> {
    tar: Packed,
    lister: Lister,
    nodes: Nodes,
    /// The first name of each node.
    first: Vec<Vec<u8>>,
    keep: Keep,
    progress: &'a dyn Fn(u64) -> sys::Result<()>,
    buffer: Vec<u8>,
    path: std::path::PathBuf,
    counts: (u64, u64),
    skipped: (Vec<String>, u64),
}

impl Visitor for Writer<'_> {
    type Error = Error;

    fn enter(&mut self, found: &Found, dir: &Dir) -> Result<()> {
        let mut attributes = Attributes::plain(found.meta);
        attributes.extended = attributes::extended(dir, dir.path())?;
        let record = Record::new(found.path.as_os_str(), What::Dir, &attributes, self.keep);
        let mut name = self.name_of(found)?.to_vec();
        name.push(b'/');
        self.entry(&record, &name, (tar::EntryType::Directory, 0), &[])?;
        self.lister.add(&record)
    }

    fn leave(&mut self, _dir: &Dir, _path: &Path) -> Result<()> {
        Ok(())
    }

    fn other(&mut self, found: &Found) -> Result<()> {
        (self.progress)(0)?;
        let name = self.name_of(found)?.to_vec();
        let attributes = Attributes::plain(found.meta);
        let node = self.nodes.of(found.meta);
        let number = node.map(|(number, _)| number);
        let record = |what| {
            let mut record = Record::new(found.path.as_os_str(), what, &attributes, self.keep);
            record.node = number;
            record
        };
        if let Some((number, true)) = node {
            let first = usize::try_from(number).ok().and_then(|at| self.first.get(at)).cloned();
            let link = [("linkpath", first.unwrap_or_default())];
            let record = record(What::Link);
            self.entry(&record, &name, (tar::EntryType::Link, 0), &link)?;
            return self.lister.add(&record);
        }
        if node.is_some() {
            self.first.push(name.clone());
        }
        match found.meta.sort {
            Sort::File => {
                let empty = record(What::Fifo);
                self.file(found, &name, empty.node)
            }
            Sort::Symlink => {
                let target = found.holder.raw_read_link(found.name)?;
                let record = record(What::Symlink { target: escaped(target.as_bytes()) });
                let link = [("linkpath", target.as_bytes().to_vec())];
                self.entry(&record, &name, (tar::EntryType::Symlink, 0), &link)?;
                self.lister.add(&record)
            }
            Sort::Fifo => {
                let record = record(What::Fifo);
                self.entry(&record, &name, (tar::EntryType::Fifo, 0), &[])?;
                self.lister.add(&record)
            }
            _ => {
                self.skipped.1 += 1;
                if self.skipped.0.len() < clone::SKIPPED {
                    self.skipped.0.push(escaped(&name));
                }
                Ok(())
            }
        }
    }
}

impl Writer<'_> {
    fn name_of<'f>(&self, found: &'f Found) -> Result<&'f [u8]> {
        let name = found.path.as_os_str().as_bytes();
        if name.len() > LONGEST_PATH {
            let why =
                format!("its path below the data has {} bytes; {LONGEST_PATH} are the most", name.len());
            return Err(sys::Error::rule("archive", &found.holder.path_of(found.name), &why).into());
        }
        Ok(name)
    }

    fn file(&mut self, found: &Found, name: &[u8], node: Option<u64>) -> Result<()> {
        let path = found.holder.path_of(found.name);
        let file = found.holder.open_file(found.name)?;
        let meta = Meta::of(&file, &path)?;
        let size = meta.stat.size;
        let attributes = Attributes::of(&file, &path)?;
        let runs = clone::data_runs(&file, &path, size, MOST_RUNS)?;
        let whole = runs == [(0, size)] || size == 0;
        let data = runs.iter().map(|(start, end)| end - start).sum::<u64>();
        if data.saturating_sub(meta.allocated()) > MOST_ZEROS {
            return Err(Error::Sparse(path)); // reading it would take for ever while the service stands still
        }
        // the digest is needed first: the list is written in the order of the archive, but the
        // record follows the content
        let map = if whole { Vec::new() } else { sparse_map(&runs, size) };
        let stored = runs.iter().map(|(start, end)| end - start).sum::<u64>() + map.len() as u64;
        let runs = if whole { None } else { Some(runs) };
        let what = What::File { size, sha256: None, runs };
        let mut record = Record::new(found.path.as_os_str(), what, &attributes, self.keep);
        record.node = node;
        let sparse = if whole { Vec::new() } else { sparse_headers(name, size) };
        let shown: &[u8] = if whole { name } else { b"GNUSparseFile.0/file" };
        self.entry(&record, shown, (tar::EntryType::Regular, stored), &sparse)?;
        self.put(&map)?;
        let What::File { sha256, runs, .. } = &mut record.what else { return Ok(()) };
        let runs = runs.clone().unwrap_or_else(|| vec![(0, size)]);
        let mut hasher = Hasher::new();
        for (start, end) in runs {
            self.run(&file, start, end, &mut hasher).map_err(|e| match e {
                Error::Changing(_) => Error::Changing(escaped(name)),
                other => other,
            })?;
        }
        *sha256 = Some(hasher.finish());
        self.pad(stored)?;
        self.counts = (self.counts.0 + 1, self.counts.1.saturating_add(size));
        self.lister.add(&record)
    }

    fn run(&mut self, file: &File, start: u64, end: u64, hasher: &mut Hasher) -> Result<()> {
        let mut at = start;
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
            let room = self.buffer.get_mut(..wanted).unwrap_or_default();
            let failed = |e: io::Error| match e.kind() {
                io::ErrorKind::UnexpectedEof => Error::Changing("a file of the data".to_owned()),
                _ => sys::Error::new("read for", &self.path, e).into(),
            };
            file.read_exact_at(room, at).map_err(failed)?;
            hasher.update(room);
            self.tar.write_all(room).map_err(|e| sys::Error::new("write", &self.path, e))?;
            at += wanted as u64;
            (self.progress)(wanted as u64)?;
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.tar.write_all(bytes).map_err(|e| sys::Error::new("write", &self.path, e))?)
    }

    fn pad(&mut self, length: u64) -> Result<()> {
        let rest = usize::try_from(length.next_multiple_of(BLOCK) - length).unwrap_or(0);
        self.put([0; 512].get(..rest).unwrap_or_default())
    }

    /// A header, with a pax header in front for all that it cannot say.
    fn entry(
        &mut self,
        record: &Record,
        name: &[u8],
        (kind, size): (tar::EntryType, u64),
        more: &[(&str, Vec<u8>)],
    ) -> Result<()> {
        let extra = pax(record, name, size, more);
        let mut header = header(record, b"PaxHeaders/entry", tar::EntryType::XHeader, extra.len() as u64);
        header.set_cksum();
        self.put(header.as_bytes())?;
        self.put(&extra)?;
        self.pad(extra.len() as u64)?;
        self.put(self::header(record, name, kind, size).as_bytes())
    }
}

fn header(record: &Record, name: &[u8], kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(u32::from_str_radix(&record.mode, 8).unwrap_or(0));
    header.set_uid(record.uid.into());
    header.set_gid(record.gid.into());
    header.set_mtime(u64::try_from(record.modified.0).unwrap_or(0));
    if let Some(old) = header.as_ustar_mut() {
        // cut off here; the pax header has it whole
        old.name.iter_mut().zip(name).for_each(|(to, from)| *to = *from);
    }
    header.set_cksum();
    header
}

/// The records of a pax header: what tar shows of an entry.
fn pax(record: &Record, name: &[u8], size: u64, more: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut text = Vec::new();
    let (seconds, nanos) = record.modified;
    pax_record(&mut text, b"path", name);
    pax_record(&mut text, b"size", size.to_string().as_bytes());
    pax_record(&mut text, b"uid", record.uid.to_string().as_bytes());
    pax_record(&mut text, b"gid", record.gid.to_string().as_bytes());
    pax_record(&mut text, b"mtime", decimal(seconds, nanos).as_bytes());
    for (key, value) in more {
        pax_record(&mut text, key.as_bytes(), value);
    }
    for (name, value) in &record.extended {
        // GNU tar writes these two signs so
        let name = bytes(name).unwrap_or_default();
        let mut key = b"SCHILY.xattr.".to_vec();
        for byte in name {
            match byte {
                b'%' => key.extend_from_slice(b"%25"),
                b'=' => key.extend_from_slice(b"%3D"),
                _ => key.push(byte),
            }
        }
        pax_record(&mut text, &key, &bytes(value).unwrap_or_default());
    }
    text
}

/// `LENGTH KEY=VALUE\n`, where the length counts itself.
fn pax_record(text: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    length = rest + length.to_string().len();
    text.extend_from_slice(length.to_string().as_bytes());
    text.push(b' ');
    text.extend_from_slice(key);
    text.push(b'=');
    text.extend_from_slice(value);
    text.push(b'\n');
}

/// Seconds with their fraction, which always counts upwards.
fn decimal(seconds: i64, nanos: u32) -> String {
    if seconds < 0 && nanos > 0 {
        format!("-{}.{:09}", -(seconds + 1), 1_000_000_000 - nanos)
    } else {
        format!("{seconds}.{nanos:09}")
    }
}

fn sparse_headers(name: &[u8], size: u64) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("GNU.sparse.major", b"1".to_vec()),
        ("GNU.sparse.minor", b"0".to_vec()),
        ("GNU.sparse.name", name.to_vec()),
        ("GNU.sparse.realsize", size.to_string().into_bytes()),
    ]
}

/// Where there are data, in front of them: numbers in lines, filled up to whole blocks. A last run
/// of no length says where the file ends.
fn sparse_map(runs: &[(u64, u64)], size: u64) -> Vec<u8> {
    let ends = runs.last().is_some_and(|(_, end)| *end == size);
    let mut text = format!("{}\n", runs.len() + usize::from(!ends));
    for (start, end) in runs {
        text.push_str(&format!("{start}\n{}\n", end - start));
    }
    if !ends {
        text.push_str(&format!("{size}\n0\n"));
    }
    let mut map = text.into_bytes();
    map.resize(map.len().next_multiple_of(512), 0);
    map
}

/// Takes what an archive holds, in its order.
pub(super) trait Taker {
    /// The data directory itself, first of all.
    fn top(&mut self, record: &Record) -> Result<()>;
    /// Anything but a file with content.
    fn other(&mut self, record: &Record) -> Result<()>;
    /// A file begins; its content follows.
    fn begin(&mut self, record: &Record) -> Result<()>;
    /// Some of its content.
    fn content(&mut self, at: u64, bytes: &[u8]) -> Result<()>;
    /// It is complete and was what it should be.
    fn end(&mut self, record: &Record, size: u64) -> Result<()>;
}

/// Gives all that the archive in `dir` holds to `taker`, comparing each name and each content with
/// the list, and both files with their digests.
pub(super) fn read(dir: &Dir, blobs: (&Blob, &Blob), taker: &mut dyn Taker) -> Result<()> {
    let mut listed = super::record::Reader::new(dir)?;
    let mut archive = stream::unpack(dir, ARCHIVE)?;
    let failed = |e: io::Error| Error::damaged(dir.path(), format!("{ARCHIVE}: {e}"));
    let mut buffer = vec![0; PIECE];
    let mut first = true;
    while let Some(entry) = next_entry(&mut archive).map_err(failed)? {
        let record = listed.expect()?;
        let wrong = || Error::damaged(dir.path(), format!("{} is not as it was written", record.path));
        let path = bytes(&record.path).ok_or_else(wrong)?;
        if !entry.is(&record, &path) || first != (record.path == TOP) {
            return Err(wrong());
        }
        match &record.what {
            What::Dir if first => taker.top(&record)?,
            _ if first => return Err(wrong()),
            What::File { .. } => {
                file(&mut archive, (&record, entry.size), &mut buffer, taker).map_err(|e| match e {
                    Stop::Reading(e) => failed(e),
                    Stop::Wrong => wrong(),
                    Stop::Taker(e) => e,
                })?;
            }
            _ => taker.other(&record)?,
        }
        first = false;
    }
    if first {
        return Err(Error::damaged(dir.path(), format!("{ARCHIVE} is empty")));
    }
    stream::require(archive, blobs.0, dir)?;
    listed.end(blobs.1)
}

/// What the headers of an entry say. Only what the list is compared with is taken from them.
struct Entry {
    kind: tar::EntryType,
    name: Vec<u8>,
    size: u64,
}

impl Entry {
    fn is(&self, record: &Record, path: &[u8]) -> bool {
        let name = match (&record.what, self.name.as_slice()) {
            (What::Dir, [name @ .., b'/']) => name,
            (_, name) => name,
        };
        self.kind == kind_of(&record.what) && name == path
    }
}

/// Most bytes of a pax header: a path, and extended attributes of at most 64 KiB in all.
const LONGEST_PAX: u64 = 1 << 20;

/// Reads the headers of the next entry; `None` at the end. A path may hold line ends, so the
/// records of a pax header are told apart by their lengths alone.
fn next_entry(archive: &mut impl Read) -> io::Result<Option<Entry>> {
    let mut pax = Vec::new();
    loop {
        let mut header = tar::Header::new_old();
        archive.read_exact(header.as_mut_bytes())?;
        if header.as_bytes().iter().all(|b| *b == 0) {
            archive.read_exact(header.as_mut_bytes())?; // the second block of the end
            return Ok(None);
        }
        let size = header.entry_size()?;
        if header.entry_type().is_pax_local_extensions() {
            if size > LONGEST_PAX {
                return Err(io::Error::other("a header is too long"));
            }
            let padded = usize::try_from(size.next_multiple_of(BLOCK)).unwrap_or(0);
            pax = vec![0; padded];
            archive.read_exact(&mut pax)?;
            pax.truncate(usize::try_from(size).unwrap_or(0));
            continue;
        }
        let name = pax_value(&pax, b"GNU.sparse.name").or_else(|| pax_value(&pax, b"path"));
        let name = name.ok_or_else(|| io::Error::other("an entry has no name"))?.to_vec();
        return Ok(Some(Entry { kind: header.entry_type(), name, size }));
    }
}

/// The value of the first record with this key.
fn pax_value<'a>(mut pax: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    while !pax.is_empty() {
        let blank = pax.iter().position(|b| *b == b' ')?;
        let length: usize = std::str::from_utf8(pax.get(..blank)?).ok()?.parse().ok()?;
        let record = pax.get(blank + 1..length.checked_sub(1)?)?;
        if let Some(value) = record.strip_prefix(key).and_then(|rest| rest.strip_prefix(b"=")) {
            return Some(value);
        }
        pax = pax.get(length..)?;
    }
    None
}

fn kind_of(what: &What) -> tar::EntryType {
    match what {
        What::Dir => tar::EntryType::Directory,
        What::File { .. } => tar::EntryType::Regular,
        What::Symlink { .. } => tar::EntryType::Symlink,
        What::Fifo => tar::EntryType::Fifo,
        What::Link => tar::EntryType::Link,
    }
}

enum Stop {
    Reading(io::Error),
    Wrong,
    Taker(Error),
}

fn file(
    entry: &mut impl Read,
    (record, stored): (&Record, u64),
    buffer: &mut [u8],
    taker: &mut dyn Taker,
) -> std::result::Result<(), Stop> {
    let What::File { size, sha256: Some(sha256), runs } = &record.what else { return Err(Stop::Wrong) };
    let whole = [(0, *size)];
    let covered = runs.as_deref().unwrap_or(&whole);
    let mut length =
        covered.iter().try_fold(0, |sum: u64, (start, end)| sum.checked_add(end.checked_sub(*start)?));
    if let Some(runs) = runs {
        let wanted = sparse_map(runs, *size);
        length = length.and_then(|sum| sum.checked_add(wanted.len() as u64));
        let mut map = vec![0; wanted.len()];
        entry.read_exact(&mut map).map_err(Stop::Reading)?;
        if map != wanted {
            return Err(Stop::Wrong);
        }
    }
    if length != Some(stored) {
        return Err(Stop::Wrong);
    }
    taker.begin(record).map_err(Stop::Taker)?;
    let mut hasher = Hasher::new();
    let mut before = 0;
    for (start, end) in covered {
        if *start < before || end < start || end > size {
            return Err(Stop::Wrong);
        }
        before = *end;
        let mut at = *start;
        while at < *end {
            let wanted = usize::try_from(end - at).unwrap_or(PIECE).min(buffer.len());
            let room = buffer.get_mut(..wanted).unwrap_or_default();
            entry.read_exact(room).map_err(Stop::Reading)?;
            hasher.update(room);
            taker.content(at, room).map_err(Stop::Taker)?;
            at += wanted as u64;
        }
    }
    let rest = usize::try_from(stored.next_multiple_of(BLOCK) - stored).unwrap_or(0);
    entry.read_exact(buffer.get_mut(..rest).unwrap_or_default()).map_err(Stop::Reading)?;
    if hasher.finish() != *sha256 {
        return Err(Stop::Wrong);
    }
    taker.end(record, *size).map_err(Stop::Taker)
}

/// Looks at everything and keeps nothing.
pub(super) struct Check<'a> {
    pub(super) progress: &'a dyn Fn(u64) -> sys::Result<()>,
    pub(super) files: u64,
    pub(super) bytes: u64,
}

impl Taker for Check<'_> {
    fn top(&mut self, _record: &Record) -> Result<()> {
        Ok(())
    }

    fn other(&mut self, _record: &Record) -> Result<()> {
        Ok((self.progress)(0)?)
    }

    fn begin(&mut self, _record: &Record) -> Result<()> {
        Ok(())
    }

    fn content(&mut self, _at: u64, bytes: &[u8]) -> Result<()> {
        Ok((self.progress)(bytes.len() as u64)?)
    }

    fn end(&mut self, _record: &Record, size: u64) -> Result<()> {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(size);
        Ok(())
    }
}

/// A path's last component, and whether what is before it is `parent`.
pub(super) fn split<'a>(path: &'a [u8], parent: &[u8]) -> Option<&'a OsStr> {
    let (before, name) = match path.iter().rposition(|b| *b == b'/') {
        Some(at) => (path.get(..at)?, path.get(at + 1..)?),
        None => (&b""[..], path),
    };
    let fine = !matches!(name, b"" | b"." | b"..") && !name.contains(&0);
    (fine && before == parent).then(|| OsStr::from_bytes(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_where_they_are() {
        assert_eq!(split(b"a", b""), Some(OsStr::new("a")));
        assert_eq!(split(b"a/b/c", b"a/b"), Some(OsStr::new("c")));
        for (path, parent) in
            [("../x", ""), ("..", ""), ("a/..", "a"), ("/x", "a"), ("a/", "a"), ("", ""), ("b/x", "a")]
        {
            assert_eq!(split(path.as_bytes(), parent.as_bytes()), None, "{path}");
        }
        assert_eq!(split(b"/x", b""), Some(OsStr::new("x")), "the root is not reachable by a component");
    }

    #[test]
    fn records_of_pax_are_told_apart_by_length() {
        let mut text = Vec::new();
        pax_record(&mut text, b"path", b"a\n9 size=1\nb");
        pax_record(&mut text, b"size", b"7");
        assert_eq!(pax_value(&text, b"path"), Some(&b"a\n9 size=1\nb"[..]));
        assert_eq!(pax_value(&text, b"size"), Some(&b"7"[..]));
        assert_eq!(pax_value(&text, b"none"), None);
        for bad in [&b"9999 path=x\n"[..], b"0 path=x\n", b"x", b"-1 a=b\n"] {
            assert_eq!(pax_value(bad, b"path"), None);
        }
    }

    #[test]
    fn times_and_lengths_are_written_as_pax_wants_them() {
        assert_eq!(decimal(1, 5), "1.000000005");
        assert_eq!(decimal(-3601, 500_000_000), "-3600.500000000");
        assert_eq!(decimal(-1, 1), "-0.999999999");
        for length in [1, 5, 90, 93, 94, 95, 96, 97, 989, 990, 991, 992, 993] {
            let mut text = Vec::new();
            pax_record(&mut text, b"path", &vec![b'x'; length]);
            let told: usize = std::str::from_utf8(&text).unwrap().split(' ').next().unwrap().parse().unwrap();
            assert_eq!(told, text.len());
        }
    }
}
