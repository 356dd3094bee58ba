use std::collections::BTreeMap;

use crate::types::{self, Digest, RelPath, is_printable_char};

use super::error::shortened;
use super::header::Header;
use super::{Error, Result, tags};

/// Most files of a package.
const MAX_FILES: usize = 250_000;
/// Most bytes that the paths of a package may take together. A header stores each directory once, so its own
/// size is no bound.
const MAX_PATHS: usize = 64 << 20;
/// PATH_MAX (limits.h) with its NUL.
const MAX_TARGET: usize = 4095;

// File types (inode(7)), in a mode.
const TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const SYMLINK: u32 = 0o120_000;
const SET_ID: u32 = 0o6000;
const PERMISSIONS: u32 = 0o7777;

/// rpm's number of SHA-256 (RFC 9580, 9.5).
pub(super) const SHA256: u32 = 8;

/// A file of the package, as its header lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Absolute, without `.`, `..`, empty parts, control characters.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Permission bits: those of 0o7777, never set-uid or set-gid.
    pub mode: u32,
    /// The name of its owner.
    pub user: String,
    /// The name of its group.
    pub group: String,
    /// Time of its last change, Unix seconds.
    pub mtime: u64,
    /// How rpm treats it.
    pub flags: Flags,
    /// Its capabilities as libcap writes them (`cap_net_bind_service=ep`).
    pub capabilities: Option<String>,
    /// The set of hard links that it is one of, by the index of its last, under which the content comes; `None`
    /// when it has one name.
    pub hard_link: Option<usize>,
    /// What `rpm -V` compares (RPMVERIFY in rpmvf.h).
    pub verify_flags: u32,
}

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file with content in the payload.
    File {
        /// Its length, in bytes.
        size: u64,
        /// Of its content.
        sha256: Digest,
    },
    /// A regular file that belongs to the package and has no content in it (`%ghost`).
    Ghost,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink {
        /// What it holds.
        target: String,
    },
}

/// How rpm treats a file (RPMFILE in rpmfiles.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(u32);

impl Flags {
    const CONFIG: u32 = 1;
    const NO_REPLACE: u32 = 1 << 4;
    const GHOST: u32 = 1 << 6;
    const LICENSE: u32 = 1 << 7;

    /// From rpm's bits. Unknown ones are kept.
    #[must_use]
    pub fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// rpm's bits.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }

    /// `%config`
    #[must_use]
    pub fn is_config(self) -> bool {
        self.0 & Self::CONFIG != 0
    }

    /// `%config(noreplace)`
    #[must_use]
    pub fn is_noreplace(self) -> bool {
        self.0 & Self::NO_REPLACE != 0
    }

    /// `%ghost`: not in the payload.
    #[must_use]
    pub fn is_ghost(self) -> bool {
        self.0 & Self::GHOST != 0
    }

    /// `%license`
    #[must_use]
    pub fn is_license(self) -> bool {
        self.0 & Self::LICENSE != 0
    }
}

impl File {
    /// Type and permissions, as `st_mode` has them.
    pub(super) fn full_mode(&self) -> u32 {
        let kind = match self.kind {
            Kind::File { .. } | Kind::Ghost => REGULAR,
            Kind::Dir => DIRECTORY,
            Kind::Symlink { .. } => SYMLINK,
        };
        kind | self.mode
    }

    fn refused(&self, why: &'static str) -> Error {
        refused(&self.path, why)
    }
}

/// The index of the file under which the content of `index` comes in the payload: the last of its hard links,
/// or itself.
#[must_use]
pub fn carrier(files: &[File], index: usize) -> usize {
    files.get(index).and_then(|file| file.hard_link).unwrap_or(index)
}

/// As many bytes as the cpio archive of these files can have at most.
#[must_use]
pub fn content_limit(files: &[File]) -> u64 {
    /// A member's header, the `./` and NUL of its name, and what pads both name and content.
    const MEMBER: u64 = 110 + 3 + 3 + 3;
    /// The last member, and what may pad the archive to a block.
    const END: u64 = 124 + 512;
    let length = |text: &str| u64::try_from(text.len()).unwrap_or(u64::MAX);
    files.iter().fold(END, |sum, file| {
        let content = match &file.kind {
            Kind::File { size, .. } => *size,
            Kind::Symlink { target } => length(target),
            Kind::Ghost | Kind::Dir => 0,
        };
        sum.saturating_add(MEMBER).saturating_add(length(&file.path)).saturating_add(content)
    })
}

fn refused(path: &str, why: &'static str) -> Error {
    Error::File { path: shortened(path), why }
}

/// The files of a header, and whether their sizes have 64 bits.
pub(super) fn read(header: &Header<'_>) -> Result<(Vec<File>, bool)> {
    if header.has(tags::OLDFILENAMES) {
        return Err(Error::Unsupported("it lists its files as rpm 3 did"));
    }
    let Some(names) = header.texts(tags::BASENAMES)? else { return no_files(header) };
    let count = names.len();
    if count > MAX_FILES {
        let (found, limit) = (u64::try_from(count).unwrap_or(u64::MAX), 250_000);
        return Err(Error::TooLarge { what: "the number of files", found, limit });
    }
    let columns = Columns { header, count };
    let large = header.has(tags::LONGFILESIZES);
    let mut rows = Rows {
        paths: Paths::new(&columns, names)?,
        sizes: columns.sizes(large)?,
        modes: columns.needed(tags::FILEMODES, "file modes", header.u16s(tags::FILEMODES)?)?,
        mtimes: columns.u32s(tags::FILEMTIMES, "file times")?,
        flags: columns.u32s(tags::FILEFLAGS, "file flags")?,
        verify: columns.optional(tags::FILEVERIFYFLAGS)?,
        users: columns.texts(tags::FILEUSERNAME)?,
        groups: columns.texts(tags::FILEGROUPNAME)?,
        targets: columns.texts(tags::FILELINKTOS)?,
        digests: columns.texts(tags::FILEDIGESTS)?,
        capabilities: columns.texts(tags::FILECAPS)?,
        sha256: header.u32(tags::FILEDIGESTALGO)? == Some(SHA256),
    };
    let mut files = Vec::with_capacity(count);
    for index in 0..count {
        files.push(rows.next(index)?);
    }
    check_tree(&files)?;
    let devices = columns.optional(tags::FILEDEVICES)?;
    let inodes = columns.optional(tags::FILEINODES)?;
    if let (Some(devices), Some(inodes)) = (devices, inodes) {
        link(&mut files, &devices, &inodes)?;
    }
    Ok((files, large))
}

/// A header without names has nothing else about files either.
fn no_files(header: &Header<'_>) -> Result<(Vec<File>, bool)> {
    let others = [tags::DIRNAMES, tags::DIRINDEXES, tags::FILEMODES, tags::FILESIZES, tags::LONGFILESIZES];
    match others.into_iter().find(|tag| header.has(*tag)) {
        Some(tag) => Err(header.bad(tag, "it is about files, of which there are none")),
        None => Ok((Vec::new(), false)),
    }
}

/// The entries that have one value for each file.
struct Columns<'h, 'a> {
    header: &'h Header<'a>,
    count: usize,
}

type Texts<'a> = Option<super::header::Texts<'a>>;

impl<'a> Columns<'_, 'a> {
    fn uneven(&self, tag: u32) -> Error {
        self.header.bad(tag, "it doesn't have one value for each file")
    }

    fn needed<T>(&self, tag: u32, what: &'static str, values: Option<Vec<T>>) -> Result<Vec<T>> {
        let values = values.ok_or(Error::Missing(what))?;
        if values.len() == self.count { Ok(values) } else { Err(self.uneven(tag)) }
    }

    fn u32s(&self, tag: u32, what: &'static str) -> Result<Vec<u32>> {
        self.needed(tag, what, self.header.u32s(tag)?)
    }

    fn optional(&self, tag: u32) -> Result<Option<Vec<u32>>> {
        match self.header.u32s(tag)? {
            Some(values) if values.len() != self.count => Err(self.uneven(tag)),
            values => Ok(values),
        }
    }

    fn texts(&self, tag: u32) -> Result<Texts<'a>> {
        match self.header.texts(tag)? {
            Some(texts) if texts.len() != self.count => Err(self.uneven(tag)),
            texts => Ok(texts),
        }
    }

    fn sizes(&self, large: bool) -> Result<Vec<u64>> {
        let what = "file sizes";
        if !large {
            let sizes = self.u32s(tags::FILESIZES, what)?;
            return Ok(sizes.into_iter().map(u64::from).collect());
        }
        if self.header.has(tags::FILESIZES) {
            return Err(self.header.bad(tags::FILESIZES, "sizes are there twice"));
        }
        self.needed(tags::LONGFILESIZES, what, self.header.u64s(tags::LONGFILESIZES)?)
    }
}

/// Puts paths together.
struct Paths<'a> {
    names: super::header::Texts<'a>,
    dirs: Vec<&'a str>,
    indexes: Vec<u32>,
    /// Bytes that may still be spent on paths.
    left: usize,
}

impl<'a> Paths<'a> {
    fn new(columns: &Columns<'_, 'a>, names: super::header::Texts<'a>) -> Result<Self> {
        let indexes = columns.u32s(tags::DIRINDEXES, "directory indexes")?;
        let dirs = columns.header.texts(tags::DIRNAMES)?.ok_or(Error::Missing("directory names"))?;
        if dirs.len() > columns.count {
            return Err(columns.header.bad(tags::DIRNAMES, "it has more directories than there are files"));
        }
        Ok(Self { names, dirs: dirs.collect::<Result<_>>()?, indexes, left: MAX_PATHS })
    }

    fn next(&mut self, index: usize) -> Result<String> {
        let name = self.names.next().unwrap_or(Ok(""))?;
        let dir = self.indexes.get(index).and_then(|index| self.dirs.get(usize::try_from(*index).ok()?));
        let dir = *dir.ok_or_else(|| refused(name, "its directory is not in the list"))?;
        let length = dir.len().saturating_add(name.len());
        self.left = self.left.checked_sub(length).ok_or(Error::TooLarge {
            what: "the length of all paths in bytes",
            found: u64::MAX,
            limit: 64 << 20,
        })?;
        let path = [dir, name].concat();
        if name.contains('/') || !dir.ends_with('/') {
            return Err(refused(&path, "its name and its directory do not go together"));
        }
        let relative = path.strip_prefix('/').ok_or_else(|| refused(&path, "it is not absolute"))?;
        if relative.starts_with('/') {
            return Err(refused(&path, "it has an empty component"));
        }
        match relative.parse::<RelPath>() {
            Ok(_) => Ok(path),
            Err(types::Error::RelPath { why, .. }) => Err(refused(&path, why)),
            Err(_) => Err(refused(&path, "it is not safe")),
        }
    }
}

/// All that the header says about each file.
struct Rows<'a> {
    paths: Paths<'a>,
    sizes: Vec<u64>,
    modes: Vec<u16>,
    mtimes: Vec<u32>,
    flags: Vec<u32>,
    verify: Option<Vec<u32>>,
    users: Texts<'a>,
    groups: Texts<'a>,
    targets: Texts<'a>,
    digests: Texts<'a>,
    capabilities: Texts<'a>,
    /// Whether the digests are SHA-256.
    sha256: bool,
}

impl Rows<'_> {
    /// The file at `index`; called for each in order.
    fn next(&mut self, index: usize) -> Result<File> {
        let path = self.paths.next(index)?;
        let mode = self.modes.get(index).copied().map_or(0, u32::from);
        let flags = Flags::from_bits(self.flags.get(index).copied().unwrap_or_default());
        let (target, digest) = (take(&mut self.targets)?, take(&mut self.digests)?);
        if mode & SET_ID != 0 {
            return Err(refused(&path, "it is set-uid or set-gid"));
        }
        let kind = match mode & TYPE {
            REGULAR if flags.is_ghost() => Kind::Ghost,
            REGULAR if !self.sha256 => return Err(refused(&path, "its digest is not SHA-256")),
            REGULAR => {
                let size = self.sizes.get(index).copied().unwrap_or_default();
                let sha256 = digest.parse().map_err(|_| refused(&path, "its digest is not SHA-256"))?;
                Kind::File { size, sha256 }
            }
            DIRECTORY => Kind::Dir,
            SYMLINK => Kind::Symlink { target: check_target(&path, target)? },
            _ => return Err(refused(&path, "it is a device, a fifo or a socket")),
        };
        let owner = |name: &str| match name {
            "" => Err(refused(&path, "it has no owner or no group")),
            name if is_owner(name) => Ok(name.to_owned()),
            _ => Err(refused(&path, "its owner or its group is no name")),
        };
        Ok(File {
            kind,
            mode: mode & PERMISSIONS,
            user: owner(take(&mut self.users)?)?,
            group: owner(take(&mut self.groups)?)?,
            mtime: self.mtimes.get(index).copied().map_or(0, u64::from),
            flags,
            capabilities: Some(take(&mut self.capabilities)?)
                .filter(|text| !text.is_empty())
                .map(str::to_owned),
            hard_link: None,
            verify_flags: self.verify.as_ref().and_then(|all| all.get(index).copied()).unwrap_or(u32::MAX),
            path,
        })
    }
}

fn take<'a>(texts: &mut Texts<'a>) -> Result<&'a str> {
    texts.as_mut().and_then(Iterator::next).unwrap_or(Ok(""))
}

/// A name as useradd makes them, and those of other directories of accounts.
fn is_owner(name: &str) -> bool {
    let good = |c: char| is_printable_char(c) && !c.is_whitespace() && !matches!(c, ':' | '/' | ',');
    name.len() <= 256 && !name.starts_with('-') && name.chars().all(good)
}

fn check_target(path: &str, target: &str) -> Result<String> {
    if target.is_empty() || target.len() > MAX_TARGET {
        return Err(refused(path, "its target is empty or too long"));
    }
    if !target.chars().all(is_printable_char) {
        return Err(refused(path, "its target holds a control character or an invisible one"));
    }
    Ok(target.to_owned())
}

/// No path comes twice, and none leads through something of the package that is no directory.
fn check_tree(files: &[File]) -> Result<()> {
    let mut sorted: Vec<&File> = files.iter().collect();
    // By components: what lies below a path comes right after it.
    sorted.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
    for pair in sorted.windows(2) {
        let [upper, lower] = pair else { continue };
        let Some(rest) = lower.path.strip_prefix(&upper.path) else { continue };
        if rest.is_empty() {
            return Err(lower.refused("it is there twice"));
        }
        if rest.starts_with('/') && upper.kind != Kind::Dir {
            return Err(lower.refused("it lies below a file or a link of the package"));
        }
    }
    Ok(())
}

/// Finds the hard links: regular files with the same device and inode, as rpm does (`rpmfilesBuildNLink`).
fn link(files: &mut [File], devices: &[u32], inodes: &[u32]) -> Result<()> {
    let mut sets: BTreeMap<(u32, u32), Vec<usize>> = BTreeMap::new();
    for (index, ((file, device), inode)) in files.iter().zip(devices).zip(inodes).enumerate() {
        if matches!(file.kind, Kind::File { .. }) {
            sets.entry((*device, *inode)).or_default().push(index);
        }
    }
    for set in sets.into_values().filter(|set| set.len() > 1) {
        let last = set.last().copied();
        let Some(content) = last.and_then(|last| files.get(last)).cloned() else { continue };
        for file in set.iter().filter_map(|index| files.get(*index)) {
            if file.kind != content.kind {
                return Err(file.refused("it is a hard link to a file of other content"));
            }
            let same = |a: &File| (a.mode, a.user.clone(), a.group.clone(), a.capabilities.clone());
            if same(file) != same(&content) {
                return Err(file.refused("it is a hard link to a file of another owner or mode"));
            }
        }
        for index in set {
            if let Some(file) = files.get_mut(index) {
                file.hard_link = last;
            }
        }
    }
    Ok(())
}
