//! The directory of snapshots, and what belongs to one of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::archive::{self, Check};
use super::record::{INDEX, Lister, Reader};
use super::stream::Blob;
use super::unpack::Unpack;
use super::{Error, Form, Result, place, scan};
use crate::event::{EventSink, Unit};
use crate::product::{self, SnapshotReason, under};
use crate::sys::attributes::Keep;
use crate::sys::clone::{self, Options};
use crate::sys::dir::{Dir, Kind};
use crate::sys::{self, fault};
use crate::types::{Digest, Hasher, human_bytes};

/// Version of the form of `snapshot.json`. It grows only when an older reader would go wrong.
pub const SCHEMA: u64 = 1;

const ABOUT: &str = "snapshot.json";
const DATA: &str = "data";
const CONFIG: &str = "config";
const TREE: &str = "tree";
const PARTIAL: &str = ".partial";
const REMOVED: &str = ".removed";

/// What is known of a snapshot: the content of `snapshot.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// [`SCHEMA`].
    pub schema: u64,
    /// Its name.
    pub id: String,
    /// Version of the program that took it.
    pub tool: String,
    /// When.
    pub created_at: Timestamp,
    /// Why.
    pub reason: SnapshotReason,
    /// The release whose data they are.
    pub release: String,
    /// The number of their form.
    pub data_schema: u64,
    /// How they are kept.
    pub form: Form,
    /// Whether owners were kept.
    pub owners: bool,
    /// What was copied, as the installed system sees it.
    pub sources: Vec<String>,
    /// Number of files.
    pub files: u64,
    /// Bytes of their content, holes included.
    pub bytes: u64,
    /// Bytes that the data took on their file system: what putting them back needs.
    pub allocated: u64,
    /// The archive, in that form.
    #[serde(default)]
    pub archive: Option<Blob>,
    /// The list of what is in it.
    pub index: Blob,
    /// The host's own files beside the data.
    #[serde(default)]
    pub kept: Vec<Held>,
    /// Sockets and devices, which are not kept: the first of them, escaped.
    #[serde(default)]
    pub skipped: Vec<String>,
    /// How many are not kept.
    #[serde(default)]
    pub skipped_count: u64,
}

/// A file of the host that is kept beside the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Where it lies, as the installed system sees it.
    pub path: String,
    /// `config` or `tree`: its directory in the snapshot.
    pub dir: String,
    /// Bytes.
    pub length: u64,
    /// SHA-256 of them.
    pub sha256: Digest,
}

/// A complete snapshot.
#[derive(Debug)]
pub struct Snapshot {
    dir: Dir,
    /// What is known of it.
    pub about: About,
}

/// A snapshot, or what has the name of one.
#[derive(Debug)]
pub struct Listed {
    /// Its name.
    pub id: String,
    /// It, or why it cannot be read.
    pub snapshot: Result<Snapshot>,
}

/// How work on a snapshot is done.
#[derive(Clone, Copy)]
pub struct Work<'a> {
    /// Whether owners are kept and set.
    pub owners: bool,
    /// Who is told of progress.
    pub sink: &'a dyn EventSink,
    /// Whether a signal ends it. Not when it is part of undoing what a signal ended.
    pub interruptible: bool,
}

impl std::fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").field("owners", &self.owners).finish_non_exhaustive()
    }
}

impl Work<'_> {
    /// Rights are never kept: whoever the data belong to may have hard-linked a program into them.
    fn keep(&self) -> Keep {
        Keep { owners: self.owners, privileges: false }
    }

    fn advance(&self, bytes: u64) -> sys::Result<()> {
        if self.interruptible {
            clone::silent(bytes)?;
        }
        if bytes > 0 {
            self.sink.advance(bytes);
        }
        Ok(())
    }

    /// Does `work`, told as `task` of `total` bytes.
    fn told<T>(&self, task: &str, total: u64, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.sink.begin(task, total, Unit::Bytes);
        let watch = sys::clock::Watch::start();
        let result = work().map_err(|e| e.or_signal(self.interruptible));
        self.sink.end(match &result {
            Ok(_) => format!("{task}: {} in {} ms", human_bytes(total), watch.elapsed().as_millis()),
            Err(_) => String::new(),
        });
        result
    }
}

/// What a snapshot is taken of, and why.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The root whose data are taken.
    pub root: &'a Path,
    /// The directory of snapshots, as this program sees it; made if it is missing.
    pub dir: &'a Path,
    /// Why.
    pub reason: SnapshotReason,
    /// The installed release.
    pub release: &'a str,
    /// The number of the data's form.
    pub data_schema: u64,
    /// How.
    pub work: Work<'a>,
}

/// Whether a text may be the name of a snapshot: letters, digits, `.`, `-`, `_`, not beginning with `.`.
#[must_use]
pub fn is_id(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && !text.starts_with('.')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

/// A name that is free in `dir`: the label, with a number if it is taken. It follows from the label
/// and the directory alone, so that a plan that was approved is still the same later.
#[must_use]
pub fn new_id(dir: &Path, label: &str) -> String {
    let label: String = label.chars().filter(|c| is_id(&format!("x{c}"))).take(100).collect();
    let free = |name: &String| !sys::fs::exists(&dir.join(name));
    let numbered = || (2..).map(|number: u32| format!("{label}.{number}")).find(free);
    if free(&label) { label.clone() } else { numbered().unwrap_or_default() }
}

/// Takes a snapshot. What was killed half-way leaves a directory whose name begins with a dot; the
/// next one, or [`clean`], removes it.
///
/// # Errors
/// When a part fails or a signal ends it; nothing with the name `id` is there then.
pub fn create(request: &Request, id: &str) -> Result<Snapshot> {
    if !is_id(id) {
        return Err(Error::Id(id.to_owned()));
    }
    let dir = place::make(request.root, request.dir)?;
    clean_in(&dir)?;
    let data = place::data(request.root)?;
    let partial = format!(".{id}{PARTIAL}");
    let made = (|| {
        dir.make_private_dir(&partial)?;
        let inside = dir.open_dir(&partial)?;
        fill_new(request, id, &data, &inside)?;
        inside.sync_file_system()?;
        let snapshot = load(inside, id)?;
        snapshot.verify(&request.work)?;
        dir.rename_new(&partial, &dir, id)?;
        dir.sync()?;
        Ok(())
    })();
    if let Err(error) = made {
        let _ = dir.remove_tree(&partial);
        return Err(Error::or_signal(error, request.work.interruptible));
    }
    load(dir.open_dir(id)?, id)
}

fn fill_new(request: &Request, id: &str, data: &Dir, inside: &Dir) -> Result<()> {
    let count = scan::count(data)?;
    let form = if clone::can_reflink(data, inside) { Form::Reflink } else { Form::Archive };
    let work = &request.work;
    let mut about = About {
        schema: SCHEMA,
        id: id.to_owned(),
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        created_at: sys::clock::now(),
        reason: request.reason,
        release: request.release.to_owned(),
        data_schema: request.data_schema,
        form,
        owners: work.owners,
        sources: vec![product::DATA_DIR.to_owned()],
        files: 0,
        bytes: 0,
        allocated: count.allocated,
        archive: None,
        index: Blob { name: INDEX.to_owned(), length: 0, sha256: Digest::of(b"") },
        kept: Vec::new(),
        skipped: Vec::new(),
        skipped_count: 0,
    };
    work.told("copying the data", count.bytes, || match form {
        Form::Reflink => reflink(work, data, inside, &mut about),
        Form::Archive => {
            let written = archive::write(data, inside, work.keep(), &|bytes| work.advance(bytes))?;
            (about.files, about.bytes) = (written.files, written.bytes);
            (about.archive, about.index) = (Some(written.archive), written.index);
            (about.skipped, about.skipped_count) = (written.skipped, written.skipped_count);
            Ok(())
        }
    })?;
    host_files(request, inside, &mut about)?;
    let mut text = serde_json::to_vec_pretty(&about).unwrap_or_default();
    text.push(b'\n');
    Ok(inside.replace_file(ABOUT, &text, 0o600, None)?)
}

fn reflink(work: &Work, data: &Dir, inside: &Dir, about: &mut About) -> Result<()> {
    inside.make_private_dir(DATA)?;
    let copy = inside.open_dir(DATA)?;
    let progress = |bytes| work.advance(bytes);
    let options = Options { keep: work.keep(), sync: false, only_reflinks: false, progress: &progress };
    let copied = clone::tree(data, &copy, &options)?;
    (about.files, about.bytes) = (copied.files, copied.bytes);
    (about.skipped, about.skipped_count) = (copied.skipped, copied.skipped_count);
    let mut lister = Lister::new(inside)?;
    scan::list(&copy, work.keep(), &mut lister)?;
    about.index = lister.finish()?;
    Ok(())
}

/// Copies the configuration, and certificates, keys and licence of the host.
fn host_files(request: &Request, inside: &Dir, about: &mut About) -> Result<()> {
    for (dir, source) in [(CONFIG, product::CONFIG_FILE), (TREE, product::INSTALL_DIR)] {
        inside.make_private_dir(dir)?;
        let to = inside.open_dir(dir)?;
        let whole = dir == TREE;
        let path = if whole { source } else { source.rsplit_once('/').map_or("", |(parent, _)| parent) };
        let Some(from) = existing(request.root, path)? else { continue };
        for name in from.raw_names()? {
            let text = name.to_str().unwrap_or_default();
            let wanted =
                if whole { product::is_host_file(text) } else { source.ends_with(&format!("/{text}")) };
            if !wanted || text.is_empty() || from.stat(text)?.is_none_or(|stat| stat.kind != Kind::File) {
                continue;
            }
            about.kept.push(host_file(request, &from, &to, text, (dir, path))?);
        }
        to.sync()?;
    }
    let paths: Vec<String> = about.kept.iter().map(|held| held.path.clone()).collect();
    about.sources.extend(paths);
    Ok(())
}

fn host_file(request: &Request, from: &Dir, to: &Dir, name: &str, at: (&str, &str)) -> Result<Held> {
    let source = from.open_file(name)?;
    let silent = |_| request.work.advance(0);
    let options = Options { keep: request.work.keep(), sync: true, only_reflinks: false, progress: &silent };
    clone::file(&source, to, name.as_ref(), &options)?;
    let (length, sha256) = digest(to, name)?;
    Ok(Held { path: format!("{}/{name}", at.1), dir: at.0.to_owned(), length, sha256 })
}

/// Opens a directory below `root`, through no link below another root.
fn existing(root: &Path, path: &str) -> Result<Option<Dir>> {
    let open = || match (root == Path::new("/"), path.trim_start_matches('/').parse()) {
        (false, Ok(inner)) => Dir::open(root)?.open_beneath(&inner),
        _ => Dir::open(&under(root, path)),
    };
    match open() {
        Err(e) if e.is_not_found() => Ok(None),
        other => Ok(Some(other?)),
    }
}

fn digest(dir: &Dir, name: &str) -> Result<(u64, Digest)> {
    let (mut file, path) = (dir.open_file(name)?, dir.path_of(name));
    let (mut hasher, mut length, mut buffer) = (Hasher::new(), 0_u64, vec![0; 64 << 10]);
    loop {
        let count =
            std::io::Read::read(&mut file, &mut buffer).map_err(|e| sys::Error::new("read", &path, e))?;
        if count == 0 {
            return Ok((length, hasher.finish()));
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
        length += count as u64;
    }
}

/// Opens a complete snapshot.
///
/// # Errors
/// When there is none of that name, or it cannot be read.
pub fn open(dir: &Path, id: &str) -> Result<Snapshot> {
    if !is_id(id) {
        return Err(Error::Id(id.to_owned()));
    }
    let unknown = || Error::Unknown { id: id.to_owned(), dir: dir.to_owned() };
    if !dir.is_dir() {
        return Err(unknown());
    }
    match place::trusted(dir)?.open_dir(id) {
        Err(e) if e.is_not_found() => Err(unknown()),
        other => load(other?, id),
    }
}

fn load(dir: Dir, id: &str) -> Result<Snapshot> {
    let stat = dir.stat_self()?;
    if stat.mode & 0o077 != 0 || (stat.ids.uid != 0 && stat.ids.uid != sys::env::uid()) {
        return Err(Error::damaged(dir.path(), "it is not its owner's alone, root's or yours"));
    }
    let bytes = sys::fs::read_trusted(&dir.path_of(ABOUT), 1 << 20).map_err(|e| match e.is_not_found() {
        true => Error::damaged(dir.path(), format!("{ABOUT} is missing")),
        false => e.into(),
    })?;
    let bad = |e: serde_json::Error| Error::damaged(dir.path(), format!("{ABOUT}: {e}"));
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(bad)?;
    match value.get("schema").and_then(serde_json::Value::as_u64) {
        Some(found) if found > SCHEMA => {
            return Err(Error::Newer { path: dir.path().to_owned(), found, known: SCHEMA });
        }
        Some(1..) => {}
        _ => return Err(Error::damaged(dir.path(), format!("{ABOUT} has no schema"))),
    }
    let about: About = serde_json::from_value(value).map_err(bad)?;
    if about.id != id {
        return Err(Error::damaged(dir.path(), format!("{ABOUT} is of {}", about.id.escape_debug())));
    }
    Ok(Snapshot { dir, about })
}

/// All snapshots in `dir`, by name; damaged ones with the reason. None when there is no such directory.
///
/// # Errors
/// When the directory cannot be read.
pub fn list(dir: &Path) -> Result<Vec<Listed>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let names = place::trusted(dir)?.names()?;
    let ids = names.into_iter().filter(|name| is_id(name));
    Ok(ids.map(|id| Listed { snapshot: open(dir, &id), id }).collect())
}

/// Removes what runs that were cut off left in `dir`. The caller holds the lock.
///
/// # Errors
/// When it cannot be removed.
pub fn clean(dir: &Path) -> Result<()> {
    if dir.is_dir() { clean_in(&place::trusted(dir)?) } else { Ok(()) }
}

fn clean_in(dir: &Dir) -> Result<()> {
    for name in dir.names()? {
        let ours = name.strip_suffix(PARTIAL).or_else(|| name.strip_suffix(REMOVED));
        if ours.and_then(|name| name.strip_prefix('.')).is_some_and(is_id) {
            dir.remove_tree(&name)?;
        }
    }
    Ok(())
}

/// Removes a snapshot, complete or not; an absent one is fine.
///
/// # Errors
/// When it cannot be removed.
pub fn remove(dir: &Path, id: &str) -> Result<()> {
    if !is_id(id) {
        return Err(Error::Id(id.to_owned()));
    }
    if !dir.is_dir() {
        return Ok(());
    }
    let dir = place::trusted(dir)?;
    dir.remove_tree(format!(".{id}{PARTIAL}"))?;
    if dir.stat(id)?.is_some() {
        // half of a snapshot must not look like a whole one
        let going = format!(".{id}{REMOVED}");
        dir.remove_tree(&going)?;
        dir.rename_new(id, &dir, &going)?;
        dir.sync()?;
    }
    dir.remove_tree(format!(".{id}{REMOVED}"))?;
    Ok(dir.sync()?)
}

/// Which snapshots go.
#[derive(Debug, Clone, Copy)]
pub struct Pruning {
    /// How many of the newest stay.
    pub keep: usize,
    /// Only such as are older.
    pub older_than: Option<Duration>,
    /// Also those that somebody asked for, not only those taken before a change.
    pub all: bool,
    /// The time now.
    pub now: Timestamp,
}

/// The names of those in `dir` that `pruning` lets go, oldest first. Damaged ones stay.
///
/// # Errors
/// When the directory cannot be read.
pub fn chosen(dir: &Path, pruning: &Pruning) -> Result<Vec<String>> {
    let mut found: Vec<About> =
        list(dir)?.into_iter().filter_map(|listed| listed.snapshot.ok()).map(|s| s.about).collect();
    found.retain(|about| pruning.all || about.reason != SnapshotReason::Manual);
    found.sort_by_key(|about| about.created_at);
    let count = found.len().saturating_sub(pruning.keep);
    let old = |about: &About| match pruning.older_than {
        Some(age) => {
            Duration::try_from(pruning.now.duration_since(about.created_at)).is_ok_and(|past| past > age)
        }
        None => true,
    };
    Ok(found.into_iter().take(count).filter(old).map(|about| about.id).collect())
}

impl Snapshot {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Reads all of it back and compares it with what was written. Content of the reflink form is
    /// left to the file system, which keeps checksums of its own or does not: names, sizes, times
    /// and attributes are compared.
    ///
    /// # Errors
    /// When something differs or cannot be read.
    pub fn verify(&self, work: &Work) -> Result<()> {
        for held in &self.about.kept {
            self.verify_held(held)?;
        }
        work.told("reading the snapshot back", self.about.bytes, || {
            match (self.about.form, &self.about.archive) {
                (Form::Reflink, _) => {
                    let copy = self.data()?;
                    self.compare(&copy, Keep { owners: self.about.owners, privileges: false })
                }
                (Form::Archive, Some(blob)) => {
                    let progress = |bytes| work.advance(bytes);
                    let mut check = Check { progress: &progress, files: 0, bytes: 0 };
                    archive::read(&self.dir, (blob, &self.about.index), &mut check)?;
                    if (check.files, check.bytes) == (self.about.files, self.about.bytes) {
                        return Ok(());
                    }
                    Err(Error::damaged(self.path(), "it holds another number of files or bytes than it says"))
                }
                (Form::Archive, None) => Err(Error::damaged(self.path(), "it has no archive")),
            }
        })
    }

    fn verify_held(&self, held: &Held) -> Result<()> {
        let name = held.path.rsplit('/').next().unwrap_or_default();
        let wrong =
            || Error::damaged(self.path(), format!("its copy of {} is not as it was written", held.path));
        if ![CONFIG, TREE].contains(&held.dir.as_str()) {
            return Err(wrong());
        }
        let found = self.dir.open_dir(&held.dir).map_err(Error::from).and_then(|dir| digest(&dir, name));
        if found.is_ok_and(|found| found == (held.length, held.sha256)) { Ok(()) } else { Err(wrong()) }
    }

    fn data(&self) -> Result<Dir> {
        self.dir.open_dir(DATA).map_err(|e| match e.is_not_found() {
            true => Error::damaged(self.path(), "its data are missing"),
            false => e.into(),
        })
    }

    fn compare(&self, data: &Dir, keep: Keep) -> Result<()> {
        let mut listed = Reader::new(&self.dir)?;
        scan::compare(data, keep, &mut listed, self.path())?;
        listed.end(&self.about.index)
    }

    /// Lays the data out in `target`, an empty directory that is closed to others; `target` itself
    /// gets owner, mode and times of the data directory at the end. Everything is compared with
    /// what was written and is on disk when this returns.
    ///
    /// # Errors
    /// When a part fails or is damaged; what was laid out till then is left.
    pub fn fill(&self, target: &Dir, work: &Work) -> Result<()> {
        let keep = Keep { owners: work.owners && self.about.owners, privileges: false };
        let progress = |bytes| work.advance(bytes);
        work.told("laying the data out", self.about.bytes, || {
            match (self.about.form, &self.about.archive) {
                (Form::Reflink, _) => {
                    let options = Options { keep, sync: false, only_reflinks: false, progress: &progress };
                    clone::tree(&self.data()?, target, &options)?;
                    self.compare(target, keep)
                }
                (Form::Archive, Some(blob)) => {
                    let mut unpack = Unpack::new(target, &self.dir, keep, &progress)?;
                    archive::read(&self.dir, (blob, &self.about.index), &mut unpack)?;
                    unpack.finish()
                }
                (Form::Archive, None) => Err(Error::damaged(self.path(), "it has no archive")),
            }
        })?;
        fault::point("laid out").map_err(|e| sys::Error::new("lay out", target.path(), e))?;
        Ok(target.sync_file_system()?)
    }

    /// A file of the host that is kept beside the data: its copy, to be read.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn held(&self, held: &Held) -> Result<std::fs::File> {
        self.verify_held(held)?;
        let name = held.path.rsplit('/').next().unwrap_or_default();
        Ok(self.dir.open_dir(&held.dir)?.open_file(name)?)
    }

    /// Its directory, to find it again.
    #[must_use]
    pub fn place(&self) -> PathBuf {
        self.dir.path().to_owned()
    }
}
