//! Reads the tree and writes it as a tar archive (POSIX ustar with GNU long names) in frames.

use std::collections::HashMap;
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

use super::frames::FrameWriter;
use super::{Description, Error, Result};
use crate::bundle::Frame;
use crate::event::EventSink;
use crate::manifest::{Entry, Kind, Place};
use crate::product::Owner;
use crate::sys;
use crate::sys::dir::{Dir, Kind as FileKind, Stat};
use crate::types::{Digest, Hasher, Mode, RelPath};

/// Files from this size on have frames of their own, so that they can be fetched and written alone
/// and begin on a block boundary.
const LARGE: u64 = 1 << 20;
/// A frame of small files ends after this much content.
const SMALL_FRAME: u64 = 1 << 20;
/// The archive's paths begin with this.
const PREFIX: &str = "demisto/";
const BLOCK: u64 = 512;

/// What the tree holds.
#[derive(Debug)]
pub(super) struct Tree {
    /// Sorted by path. Digests and places are not known before the archive is written.
    pub(super) entries: Vec<Entry>,
    /// Bytes of all files.
    pub(super) bytes: u64,
}

/// Lists the tree, with owners and modes as the description says.
pub(super) fn scan(root: &Path, description: &Description) -> Result<Tree> {
    let mut rules: HashMap<&RelPath, _> = description.files.iter().map(|rule| (&rule.path, rule)).collect();
    let mut tree = Tree { entries: Vec::new(), bytes: 0 };
    scan_dir(&Dir::open(root)?, None, &mut tree)?;
    tree.entries.sort_by(|a, b| a.path.cmp(&b.path));
    for entry in &mut tree.entries {
        let Some(rule) = rules.remove(&entry.path) else { continue };
        entry.owner = rule.owner.unwrap_or(entry.owner);
        if let (Kind::Dir { mode } | Kind::File { mode, .. }, Some(new)) = (&mut entry.kind, rule.mode) {
            *mode = new
        }
    }
    if let Some(path) = rules.keys().next() {
        let why = "the description has a rule for it, but the tree does not hold it".to_owned();
        return Err(Error::Tree { path: root.join(path.as_path()), why });
    }
    Ok(tree)
}

fn scan_dir(dir: &Dir, prefix: Option<&RelPath>, tree: &mut Tree) -> Result<()> {
    for name in dir.names()? {
        let path: RelPath = match prefix {
            Some(prefix) => format!("{prefix}/{name}").parse()?,
            None => name.parse()?,
        };
        let shown = dir.path_of(&name);
        let Some(stat) = dir.stat(&name)? else { continue };
        let kind = kind_of(dir, &name, stat, &shown)?;
        if matches!(kind, Kind::Dir { .. }) {
            scan_dir(&dir.open_dir(&name)?, Some(&path), tree)?;
        }
        tree.bytes += if stat.kind == FileKind::File { stat.size } else { 0 };
        tree.entries.push(Entry { path, owner: Owner::Root, kind, package: None });
    }
    Ok(())
}

fn kind_of(dir: &Dir, name: &str, stat: Stat, shown: &Path) -> Result<Kind> {
    let refuse = |why: &str| Err(Error::Tree { path: shown.to_owned(), why: why.to_owned() });
    if stat.mode & 0o7000 != 0 && stat.kind != FileKind::Symlink {
        return refuse("set-uid, set-gid and sticky bits are not supported");
    }
    match stat.kind {
        FileKind::Dir => Ok(Kind::Dir { mode: Mode::new(0o755) }),
        FileKind::Symlink => Ok(Kind::Symlink { target: dir.read_link(name)? }),
        FileKind::File => {
            let mode = Mode::new(if stat.mode & 0o100 == 0 { 0o644 } else { 0o755 });
            let at = Place { frame: 0, offset: 0 };
            Ok(Kind::File { mode, size: stat.size, sha256: Digest::of(&[]), at })
        }
        FileKind::Other => refuse("it is neither a file nor a directory nor a link"),
    }
}

/// Writes the archive; fills in digests and places.
pub(super) fn write<W: Write>(
    root: &Path,
    tree: Tree,
    mut writer: FrameWriter<W>,
    sink: &dyn EventSink,
) -> Result<(Vec<Entry>, Vec<Frame>)> {
    let mut entries = tree.entries;
    let failed = |path: &Path, e| Error::Sys(sys::Error::new("pack", path, e));
    let dir = Dir::open(root)?;
    for entry in &mut entries {
        let shown = root.join(entry.path.as_path());
        header(entry).and_then(|bytes| writer.put(&bytes)).map_err(|e| failed(&shown, e))?;
        if let Kind::File { size, sha256, at, .. } = &mut entry.kind {
            let large = *size >= LARGE;
            if large {
                writer.cut().map_err(|e| failed(&shown, e))?;
            }
            *at = writer.place();
            *sha256 = content(&dir, &entry.path, *size, &mut writer, sink)?;
            let padding = usize::try_from((BLOCK - *size % BLOCK) % BLOCK).unwrap_or(0);
            writer.put([0; 512].get(..padding).unwrap_or_default()).map_err(|e| failed(&shown, e))?;
            if large || writer.filled() >= SMALL_FRAME {
                writer.cut().map_err(|e| failed(&shown, e))?;
            }
        }
    }
    writer.put(&[0; 1024]).map_err(|e| failed(root, e))?; // end of archive
    let frames = writer.finish().map_err(|e| failed(root, e))?;
    Ok((entries, frames))
}

fn content<W: Write>(
    root: &Dir,
    path: &RelPath,
    size: u64,
    writer: &mut FrameWriter<W>,
    sink: &dyn EventSink,
) -> Result<Digest> {
    let shown: PathBuf = root.path().join(path.as_path());
    let failed = |e| sys::Error::new("pack", &shown, e);
    let mut file = match path.parent() {
        Some(parent) => root.open_beneath(&parent)?.open_file(path.name())?,
        None => root.open_file(path.name())?,
    };
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    let mut seen = 0;
    loop {
        if let Some(signal) = sys::signal::pending() {
            return Err(Error::Interrupted(signal));
        }
        let count = file.read(&mut buffer).map_err(failed)?;
        let piece = buffer.get(..count).unwrap_or_default();
        seen += count as u64;
        if seen > size || (count == 0 && seen != size) {
            return Err(Error::Tree { path: shown, why: "it changed while it was packed".to_owned() });
        }
        if count == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(piece);
        writer.put(piece).map_err(failed)?;
        sink.advance(count as u64);
    }
}

/// The tar header of an entry: owner 0, time 0, so that equal trees give equal bytes.
fn header(entry: &Entry) -> std::io::Result<Vec<u8>> {
    let name = format!("{PREFIX}{}", entry.path);
    let mut header = tar::Header::new_gnu();
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    let (kind, mode, size) = match &entry.kind {
        Kind::Dir { mode } => (tar::EntryType::Directory, mode.bits(), 0),
        Kind::File { mode, size, .. } => (tar::EntryType::Regular, mode.bits(), *size),
        Kind::Symlink { .. } => (tar::EntryType::Symlink, 0o777, 0),
    };
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    let mut bytes = Vec::new();
    if let Kind::Symlink { target } = &entry.kind
        && header.set_link_name_literal(target).is_err()
    {
        bytes.extend(long(tar::EntryType::GNULongLink, target)?);
    }
    if header.set_path(&name).is_err() {
        bytes.extend(long(tar::EntryType::GNULongName, &name)?);
        header.set_path("long-name")?;
    }
    header.set_cksum();
    bytes.extend_from_slice(header.as_bytes());
    Ok(bytes)
}

/// An entry that carries a name too long for a header.
fn long(kind: tar::EntryType, name: &str) -> std::io::Result<Vec<u8>> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_path("././@LongLink")?;
    header.set_size(name.len() as u64 + 1);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(0);
    let full = bytes.len().div_ceil(512) * 512;
    bytes.resize(full, 0);
    Ok(bytes)
}
