//! What a disk may hold after a power cut.
//!
//! A run is recorded call by call. The model keeps, of each file, the content that programs see and
//! the content of the last sync; of each directory, the entries that were synced and the changes
//! that were not. From that come the images that a power cut may leave:
//!
//! - a change of entries is whole or not there (a rename takes and gives in one step);
//! - syncing a directory makes the changes that touch it durable, and nothing else; that a new file
//!   was synced does not make its name durable;
//! - content and attributes are durable when their own file or directory was synced.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::hash::{Hash as _, Hasher as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use demisto_install::types::Digest;

use super::installer::Root;
use super::trace::{Call, below};

type Id = usize;
const TOP: Id = 0;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Attributes {
    mode: u32,
    uid: u32,
    gid: u32,
}

#[derive(Debug, Clone)]
enum What {
    File {
        now: Arc<Vec<u8>>,
        durable: Arc<Vec<u8>>,
    },
    /// The synced entries, each with the number of the change that made it so.
    Dir {
        now: BTreeMap<OsString, Id>,
        durable: BTreeMap<OsString, (u64, Option<Id>)>,
    },
    Link(OsString),
    Fifo,
}

#[derive(Debug, Clone)]
struct Inode {
    what: What,
    now: Attributes,
    durable: Attributes,
    /// Counts the changes of its content.
    version: u64,
}

/// One entry that a change sets: where, what was there, what is there then.
#[derive(Debug, Clone)]
struct Set {
    dir: Id,
    name: OsString,
    was: Option<Id>,
    is: Option<Id>,
}

/// A change of entries, which is done as a whole.
#[derive(Debug, Clone)]
struct Change {
    number: u64,
    sets: Vec<Set>,
}

/// The disk while a run goes on.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    root: PathBuf,
    inodes: Vec<Inode>,
    pending: Vec<Change>,
    numbers: u64,
    /// Where the next write of a descriptor goes; none for one that appends.
    positions: HashMap<i64, (Option<Id>, Option<usize>)>,
    /// Inode numbers of what was there from the beginning.
    real: HashMap<u64, Id>,
}

/// What becomes of content that was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Content {
    Kept,
    Lost,
    Zeroed,
    Halved,
}

/// One state of the disk that a power cut may leave.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) name: String,
    dirs: HashMap<Id, BTreeMap<OsString, Id>>,
    content: Content,
    durable_attributes: bool,
}

impl Disk {
    /// As a root is now; all of it is durable.
    pub(crate) fn new(root: &Root) -> Self {
        let mut disk = Self {
            root: root.path().to_owned(),
            inodes: Vec::new(),
            pending: Vec::new(),
            numbers: 1,
            positions: HashMap::new(),
            real: HashMap::new(),
        };
        let top = disk.scan(root.path());
        assert_eq!(top, TOP);
        disk
    }

    fn scan(&mut self, path: &Path) -> Id {
        let meta = path.symlink_metadata().unwrap();
        if let Some(known) = self.real.get(&meta.ino()) {
            return *known;
        }
        let now = Attributes { mode: meta.mode() & 0o7777, uid: meta.uid(), gid: meta.gid() };
        let what = if meta.is_dir() {
            What::Dir { now: BTreeMap::new(), durable: BTreeMap::new() }
        } else if meta.is_symlink() {
            What::Link(fs::read_link(path).unwrap().into_os_string())
        } else {
            let content = Arc::new(fs::read(path).unwrap());
            What::File { now: Arc::clone(&content), durable: content }
        };
        let id = self.add(what, now);
        self.real.insert(meta.ino(), id);
        if meta.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                let entry = entry.unwrap();
                let inner = self.scan(&entry.path());
                let What::Dir { now, durable } = &mut self.inodes[id].what else { unreachable!() };
                now.insert(entry.file_name(), inner);
                durable.insert(entry.file_name(), (0, Some(inner)));
            }
        }
        id
    }

    fn add(&mut self, what: What, now: Attributes) -> Id {
        self.inodes.push(Inode { what, now, durable: now, version: 0 });
        self.inodes.len() - 1
    }

    fn entries(&self, dir: Id) -> Option<&BTreeMap<OsString, Id>> {
        match &self.inodes[dir].what {
            What::Dir { now, .. } => Some(now),
            _ => None,
        }
    }

    /// What a path stands for; none when it is not below the root or does not exist.
    fn find(&self, path: &Path) -> Option<Id> {
        let mut id = TOP;
        for part in below(&self.root, path)?.iter().filter(|part| *part != OsStr::new(".")) {
            id = *self.entries(id)?.get(part)?;
        }
        Some(id)
    }

    /// The directory and the name of a path below the root.
    fn place(&self, path: &Path) -> Option<(Id, OsString)> {
        below(&self.root, path)?;
        let dir = self.find(path.parent()?).unwrap_or_else(|| panic!("{} has no holder", path.display()));
        Some((dir, path.file_name()?.to_owned()))
    }

    fn at(&self, (dir, name): &(Id, OsString)) -> Option<Id> {
        self.entries(*dir).unwrap().get(name).copied()
    }

    /// A change of entries: they are so at once, and durable later.
    fn change(&mut self, sets: Vec<((Id, OsString), Option<Id>)>) {
        let sets: Vec<Set> = sets
            .into_iter()
            .map(|(place, is)| {
                let was = self.at(&place);
                Set { dir: place.0, name: place.1, was, is }
            })
            .collect();
        for set in &sets {
            let What::Dir { now, .. } = &mut self.inodes[set.dir].what else { panic!("no directory") };
            match set.is {
                Some(id) => drop(now.insert(set.name.clone(), id)),
                None => drop(now.remove(&set.name)),
            }
        }
        self.pending.push(Change { number: self.numbers, sets });
        self.numbers += 1;
    }

    fn create(&mut self, path: &Path, what: What, mode: u32) -> Option<Id> {
        let place = self.place(path)?;
        let id = self.add(what, Attributes { mode, uid: 0, gid: 0 });
        self.change(vec![(place, Some(id))]);
        Some(id)
    }

    fn rename(&mut self, from: &Path, to: &Path, exchange: bool) {
        let (Some(from), Some(to)) = (self.place(from), self.place(to)) else { return };
        let (moved, other) = (self.at(&from), self.at(&to));
        assert!(moved.is_some());
        self.change(vec![(from, if exchange { other } else { None }), (to, moved)]);
    }

    fn write(&mut self, id: Id, at: usize, bytes: &[u8]) {
        self.edit(id, |now| {
            if now.len() < at + bytes.len() {
                now.resize(at + bytes.len(), 0);
            }
            now[at..at + bytes.len()].copy_from_slice(bytes);
        });
    }

    fn edit(&mut self, id: Id, edit: impl FnOnce(&mut Vec<u8>)) {
        let inode = &mut self.inodes[id];
        let What::File { now, .. } = &mut inode.what else { panic!("no file is written") };
        edit(Arc::make_mut(now));
        inode.version += 1;
    }

    fn content(&self, id: Id) -> &Arc<Vec<u8>> {
        match &self.inodes[id].what {
            What::File { now, .. } => now,
            _ => panic!("no file is read"),
        }
    }

    /// Where the next transfer of a descriptor begins; moves it on.
    fn next(&mut self, fd: i64, id: Id, count: usize) -> usize {
        let length = self.content(id).len();
        match self.positions.get_mut(&fd) {
            Some((_, Some(position))) => {
                let at = *position;
                *position += count;
                at
            }
            _ => length,
        }
    }

    fn sync(&mut self, id: Id, attributes: bool) {
        let touches = |change: &Change| change.sets.iter().any(|set| set.dir == id);
        let (durable, pending) = std::mem::take(&mut self.pending).into_iter().partition(touches);
        self.pending = pending;
        let durable: Vec<Change> = durable;
        for change in durable {
            self.settle(change);
        }
        self.sync_inode(id, attributes);
    }

    fn sync_inode(&mut self, id: Id, attributes: bool) {
        let inode = &mut self.inodes[id];
        if let What::File { now, durable } = &mut inode.what {
            *durable = Arc::clone(now);
        }
        if attributes {
            inode.durable = inode.now;
        }
    }

    fn settle(&mut self, change: Change) {
        for set in change.sets {
            let What::Dir { durable, .. } = &mut self.inodes[set.dir].what else { panic!("no directory") };
            let newest = durable.get(&set.name).map_or(0, |(number, _)| *number);
            if change.number > newest {
                durable.insert(set.name, (change.number, set.is));
            }
        }
    }

    fn sync_all(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            self.settle(change);
        }
        for id in 0..self.inodes.len() {
            self.sync_inode(id, true);
        }
    }

    fn attributes(&mut self, id: Option<Id>, mode: Option<u32>, owner: Option<(i64, i64)>) {
        let Some(inode) = id.map(|id| &mut self.inodes[id]) else { return };
        if let Some(mode) = mode {
            inode.now.mode = mode;
        }
        if let Some((uid, gid)) = owner {
            inode.now.uid = u32::try_from(uid).unwrap_or(inode.now.uid);
            inode.now.gid = u32::try_from(gid).unwrap_or(inode.now.gid);
        }
    }

    fn of(&self, call: &Call, at: usize) -> Option<Id> {
        self.find(&call.file(at)?)
    }

    /// Does one call; tells whether it changed something below the root.
    pub(crate) fn apply(&mut self, call: &Call) -> bool {
        let numbers = (self.numbers, self.inodes.iter().map(|inode| inode.version).sum::<u64>());
        let mode = |at: usize| u32::try_from(call.number(at)).unwrap();
        let dir = || What::Dir { now: BTreeMap::new(), durable: BTreeMap::new() };
        match call.name.as_str() {
            "openat" => return self.open(call),
            "mkdir" => drop(self.create(&call.path(0), dir(), mode(1))),
            "mkdirat" => drop(self.create(&call.path(1), dir(), mode(2))),
            "symlinkat" => {
                let target = OsStr::from_bytes(&call.bytes(0)).to_owned();
                self.create(&call.path(2), What::Link(target), 0o777);
            }
            "mknodat" => drop(self.create(&call.path(1), What::Fifo, 0o600)),
            "linkat" => self.link(call),
            "unlink" | "rmdir" => self.unlink(&call.path(0)),
            "unlinkat" => self.unlink(&call.path(1)),
            "rename" => self.rename(&call.path(0), &call.path(1), false),
            "renameat" => self.rename(&call.path(1), &call.path(3), false),
            "renameat2" => self.rename(&call.path(1), &call.path(3), call.args[4].contains("EXCHANGE")),
            "write" => {
                if let Some(id) = self.of(call, 0) {
                    let count = usize::try_from(call.gave()).unwrap();
                    let at = self.next(call.number(0), id, count);
                    self.write(id, at, &call.bytes(1)[..count]);
                }
            }
            "pwrite64" => {
                if let Some(id) = self.of(call, 0) {
                    let (count, at) =
                        (usize::try_from(call.gave()).unwrap(), usize::try_from(call.number(3)).unwrap());
                    self.write(id, at, &call.bytes(1)[..count]);
                }
            }
            "copy_file_range" => self.copy(call),
            "ftruncate" => {
                if let Some(id) = self.of(call, 0) {
                    self.edit(id, |now| now.resize(usize::try_from(call.number(1)).unwrap(), 0));
                }
            }
            "lseek" => {
                if let Some((_, position)) = self.positions.get_mut(&call.number(0)) {
                    *position = usize::try_from(call.gave()).ok();
                }
                return false;
            }
            "chmod" => self.attributes(self.find(&call.path(0)), Some(mode(1)), None),
            "fchmod" => self.attributes(self.of(call, 0), Some(mode(1)), None),
            "fchown" => self.attributes(self.of(call, 0), None, Some((call.number(1), call.number(2)))),
            "fchownat" => {
                self.attributes(self.find(&call.path(1)), None, Some((call.number(2), call.number(3))));
            }
            "fsync" => return self.of(call, 0).map(|id| self.sync(id, true)).is_some(),
            "fdatasync" => return self.of(call, 0).map(|id| self.sync(id, false)).is_some(),
            "syncfs" => {
                self.sync_all();
                return true;
            }
            "ioctl" => {
                assert!(!call.args[1].contains("FICLONE"), "file systems with reflinks are not recorded");
                return false;
            }
            other => assert!(self.of(call, 0).is_none(), "{other} is not modelled"),
        }
        numbers != (self.numbers, self.inodes.iter().map(|inode| inode.version).sum::<u64>())
            || call.name.contains("chmod")
            || call.name.contains("chown")
    }

    fn open(&mut self, call: &Call) -> bool {
        let (path, flags) = (call.path(1), &call.args[2]);
        let found = self.named(&path);
        let mut changed = false;
        let id = if found.is_none() && flags.contains("O_CREAT") && below(&self.root, &path).is_some() {
            let mode = u32::try_from(call.number(3)).unwrap();
            let empty = Arc::new(Vec::new());
            changed = true;
            self.create(&path, What::File { now: Arc::clone(&empty), durable: empty }, mode)
        } else {
            found
        };
        if let (Some(id), true) = (id, flags.contains("O_TRUNC")) {
            self.edit(id, Vec::clear);
            changed = true;
        }
        let position = if flags.contains("O_APPEND") { None } else { Some(0) };
        self.positions.insert(call.gave(), (id, position));
        changed
    }

    /// What a path names, which may be a descriptor that is open.
    fn named(&self, path: &Path) -> Option<Id> {
        let held = path.strip_prefix("/proc/self/fd").ok().and_then(|fd| fd.to_str()?.parse::<i64>().ok());
        match held {
            Some(fd) => self.positions.get(&fd).and_then(|(id, _)| *id),
            None => self.find(path),
        }
    }

    fn link(&mut self, call: &Call) {
        let old = call.path(1);
        let id = self.named(&old);
        let Some(place) = self.place(&call.path(3)) else { return };
        self.change(vec![(place, Some(id.unwrap_or_else(|| panic!("{old:?} is not known"))))]);
    }

    fn unlink(&mut self, path: &Path) {
        if let Some(place) = self.place(path) {
            self.change(vec![(place, None)]);
        }
    }

    fn copy(&mut self, call: &Call) {
        let count = usize::try_from(call.gave()).unwrap();
        let (Some(from), Some(to)) = (self.of(call, 0), self.of(call, 2)) else {
            assert!(self.of(call, 2).is_none(), "what is copied from outside is not known");
            return;
        };
        let mut at = |which: usize, id: Id| match call.args[which + 1].as_str() {
            "NULL" => self.next(call.number(which), id, count),
            _ => usize::try_from(call.number(which + 1)).unwrap(),
        };
        let (source, target) = (at(0, from), at(2, to));
        let bytes = self.content(from)[source..source + count].to_vec();
        self.write(to, target, &bytes);
    }

    /// The inode numbers of all that is there now, of a root that is in the same state.
    pub(crate) fn real_numbers(&self, root: &Root) -> HashMap<u64, Id> {
        let mut real = self.real.clone();
        self.numbers_below(root.path(), TOP, &mut real);
        real
    }

    fn numbers_below(&self, path: &Path, id: Id, real: &mut HashMap<u64, Id>) {
        real.insert(path.symlink_metadata().unwrap().ino(), id);
        for (name, inner) in self.entries(id).into_iter().flatten() {
            self.numbers_below(&path.join(name), *inner, real);
        }
    }

    /// What is durable.
    fn base(&self) -> HashMap<Id, BTreeMap<OsString, Id>> {
        let mut dirs = HashMap::new();
        for (id, inode) in self.inodes.iter().enumerate() {
            if let What::Dir { durable, .. } = &inode.what {
                let there = durable.iter().filter_map(|(name, (_, id))| Some((name.clone(), (*id)?)));
                dirs.insert(id, there.collect());
            }
        }
        dirs
    }

    /// What is durable, and those of the other changes that `wanted` accepts and that are possible then.
    fn with(&self, wanted: impl Fn(usize, &Change) -> bool) -> HashMap<Id, BTreeMap<OsString, Id>> {
        let mut dirs = self.base();
        for (number, change) in self.pending.iter().enumerate() {
            let newest = |set: &Set| match &self.inodes[set.dir].what {
                What::Dir { durable, .. } => durable.get(&set.name).map_or(0, |(number, _)| *number),
                _ => 0,
            };
            let sets: Vec<&Set> = change.sets.iter().filter(|set| newest(set) < change.number).collect();
            let fits = sets.iter().all(|set| dirs[&set.dir].get(&set.name).copied() == set.was);
            if !fits || !wanted(number, change) {
                continue;
            }
            for set in sets {
                let entries = dirs.get_mut(&set.dir).unwrap();
                match set.is {
                    Some(id) => drop(entries.insert(set.name.clone(), id)),
                    None => drop(entries.remove(&set.name)),
                }
            }
        }
        dirs
    }

    fn all(&self) -> HashMap<Id, BTreeMap<OsString, Id>> {
        self.with(|_, _| true)
    }

    /// Every image of this moment; `random` chooses where changes end.
    pub(crate) fn images(&self, random: u64) -> Vec<Image> {
        let image = |name: &str, dirs, content, durable_attributes| Image {
            name: name.to_owned(),
            dirs,
            content,
            durable_attributes,
        };
        let mut images = vec![
            image("only what is durable", self.base(), Content::Lost, true),
            image("content lost", self.all(), Content::Lost, false),
            image("content zeroed", self.all(), Content::Zeroed, false),
            image("content halved", self.all(), Content::Halved, false),
            image("attributes lost", self.all(), Content::Kept, true),
            image("nothing lost", self.all(), Content::Kept, false),
        ];
        let mut touched: Vec<Id> =
            self.pending.iter().flat_map(|change| change.sets.iter().map(|set| set.dir)).collect();
        touched.sort_unstable();
        touched.dedup();
        for dir in touched {
            let others = |_: usize, change: &Change| change.sets.iter().all(|set| set.dir != dir);
            let name = format!("changes of {} lost", self.name_of(dir));
            images.push(image(&name, self.with(others), Content::Kept, false));
            let only = |_: usize, change: &Change| change.sets.iter().any(|set| set.dir == dir);
            let name = format!("only changes of {}", self.name_of(dir));
            images.push(image(&name, self.with(only), Content::Lost, true));
        }
        if !self.pending.is_empty() {
            let kept = usize::try_from(random % self.pending.len() as u64).unwrap();
            let name = format!("changes lost after {kept} of {}", self.pending.len());
            images.push(image(&name, self.with(|number, _| number < kept), Content::Kept, false));
        }
        images
    }

    fn name_of(&self, wanted: Id) -> String {
        fn search(disk: &Disk, id: Id, wanted: Id, path: &Path) -> Option<PathBuf> {
            if id == wanted {
                return Some(path.to_owned());
            }
            let mut inner = disk.entries(id)?.iter();
            inner.find_map(|(name, id)| search(disk, *id, wanted, &path.join(name)))
        }
        search(self, TOP, wanted, Path::new("/"))
            .map_or("a removed directory".to_owned(), |p| p.display().to_string())
    }

    fn seen(&self, image: &Image, id: Id) -> Arc<Vec<u8>> {
        let What::File { now, durable } = &self.inodes[id].what else { panic!("no file") };
        let changed = now != durable;
        match image.content {
            Content::Lost if changed => Arc::clone(durable),
            Content::Zeroed if changed => {
                let common = now.iter().zip(durable.iter()).take_while(|(a, b)| a == b).count();
                let mut bytes = now[..common].to_vec();
                bytes.resize(now.len(), 0);
                Arc::new(bytes)
            }
            Content::Halved if changed => {
                let length = durable.len().min(now.len());
                Arc::new(now[..length + (now.len() - length) / 2].to_vec())
            }
            _ => Arc::clone(now),
        }
    }

    fn seen_attributes(&self, image: &Image, id: Id) -> Attributes {
        let inode = &self.inodes[id];
        if image.durable_attributes { inode.durable } else { inode.now }
    }

    /// A number that is the same for images that are the same.
    pub(crate) fn fingerprint(&self, image: &Image) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(image, TOP, &mut hasher);
        hasher.finish()
    }

    fn hash(&self, image: &Image, id: Id, hasher: &mut DefaultHasher) {
        id.hash(hasher);
        self.seen_attributes(image, id).hash(hasher);
        match &self.inodes[id].what {
            What::Dir { .. } => {
                for (name, inner) in &image.dirs[&id] {
                    name.hash(hasher);
                    self.hash(image, *inner, hasher);
                }
            }
            What::File { now, durable } => {
                self.inodes[id].version.hash(hasher);
                durable.len().hash(hasher);
                let kept = image.content == Content::Kept || now.len() == durable.len() && now == durable;
                if kept { Content::Kept.hash(hasher) } else { image.content.hash(hasher) }
            }
            What::Link(_) | What::Fifo => {}
        }
    }

    /// Makes an image below a new root. `real` are the inode numbers that the records may name.
    pub(crate) fn make(&self, image: &Image, real: &HashMap<u64, Id>) -> Root {
        let root = Root::fresh();
        fs::remove_dir_all(root.at("var")).unwrap();
        let mut made: HashMap<Id, PathBuf> = HashMap::new();
        self.make_below(image, TOP, root.path(), &mut made);
        let journal = root.at("var/lib/demisto-install/journal/current.jsonl");
        if let Ok(bytes) = fs::read(&journal) {
            let number = |old: u64| {
                let path = made.get(real.get(&old)?)?;
                Some(path.symlink_metadata().unwrap().ino())
            };
            fs::write(&journal, renumbered(&bytes, &number)).unwrap();
        }
        root
    }

    fn make_below(&self, image: &Image, id: Id, path: &Path, made: &mut HashMap<Id, PathBuf>) {
        if let Some(other) = made.get(&id) {
            return fs::hard_link(other, path).unwrap();
        }
        made.insert(id, path.to_owned());
        let attributes = self.seen_attributes(image, id);
        match &self.inodes[id].what {
            What::Dir { .. } => {
                if id != TOP {
                    fs::create_dir(path).unwrap();
                }
                for (name, inner) in &image.dirs[&id] {
                    self.make_below(image, *inner, &path.join(name), made);
                }
            }
            What::File { .. } => fs::write(path, &**self.seen(image, id)).unwrap(),
            What::Link(target) => {
                symlink(target, path).unwrap();
                return give(path, attributes, true);
            }
            What::Fifo => nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
        }
        give(path, attributes, false);
        fs::set_permissions(path, Permissions::from_mode(attributes.mode)).unwrap();
    }
}

fn give(path: &Path, attributes: Attributes, link: bool) {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let (uid, gid) = (Some(attributes.uid), Some(attributes.gid));
    if link { lchown(path, uid, gid).unwrap() } else { chown(path, uid, gid).unwrap() }
}

/// A journal in which each inode number is that of the same thing in another root.
fn renumbered(journal: &[u8], number: &dyn Fn(u64) -> Option<u64>) -> Vec<u8> {
    let line = |line: &[u8]| -> Option<Vec<u8>> {
        let (_, text) = std::str::from_utf8(line).ok()?.strip_suffix('\n')?.split_once(' ')?;
        let mut text = text.to_owned();
        for key in ["\"inode\":", "\"old\":"] {
            let Some((head, tail)) = text.split_once(key) else { continue };
            let end = tail.find(|c: char| !c.is_ascii_digit())?;
            let new = number(tail[..end].parse().ok()?)?;
            text = format!("{head}{key}{new}{}", &tail[end..]);
        }
        let sum: String = Digest::of(text.as_bytes()).to_string().chars().take(16).collect();
        Some(format!("{sum} {text}\n").into_bytes())
    };
    let is_tree = |line: &[u8]| line.windows(12).any(|part| part == br#""was":"tree""#);
    let lines = journal.split_inclusive(|byte| *byte == b'\n');
    lines
        .flat_map(|it| if is_tree(it) { line(it).unwrap_or_else(|| it.to_vec()) } else { it.to_vec() })
        .collect()
}
