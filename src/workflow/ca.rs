//! The authorities that this host trusts because its administrator added them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;
use zeroize::Zeroizing;

use super::change::carry_out;
use super::{Recorder, Session};
use crate::apply::{self, Secrets};
use crate::certs::authority;
use crate::certs::check::{File, Finding};
use crate::certs::look::Certificate;
use crate::plan::{self, Anchor, Authorities, Plan};
use crate::preflight::xdr::anchors;
use crate::product::{TrustLayout, under};
use crate::sys;
use crate::types::{Digest, hex};

/// Largest file of authorities that is read, and largest bundle.
const LIMIT: u64 = 16 << 20;
/// Longest beginning of a file's name that is made of a subject.
const NAME: usize = 40;
/// Digits of the fingerprint in a file's name.
const DIGITS: usize = 16;
/// Least digits of a fingerprint that name an authority.
const MIN_DIGITS: usize = 8;
/// Most files that a hint names.
const NEAR: usize = 8;

/// Authorities that are not wanted, or not here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither of the known layouts.
    #[error("no known place of trusted authorities is in {}", .0.display())]
    NoStore(PathBuf),
    /// Something in a file must not be trusted.
    #[error("{} must not be trusted: {}", file.display(), if problems.len() == 1 { problems.join("") } else { format!("{} things are wrong", problems.len()) })]
    Unfit {
        /// The file.
        file: PathBuf,
        /// All that is wrong, each with the certificate's name.
        problems: Vec<String>,
    },
    /// It came with the host.
    #[error("{0} came with this host's packages, not from its administrator")]
    Packaged(String),
    /// One file holds others, too.
    #[error("the file {path} holds {count} authorities")]
    Shared {
        /// The file.
        path: String,
        /// How many.
        count: usize,
    },
    /// Several are called so.
    #[error("{name} names several authorities")]
    Ambiguous {
        /// What was given.
        name: String,
        /// Their files.
        files: Vec<String>,
    },
    /// None is called so.
    #[error("no authority that was added here is called {name:?}")]
    Unknown {
        /// What was given.
        name: String,
        /// Files with like names, or all that there are.
        near: Vec<String>,
    },
}

/// An authority that was added.
#[derive(Debug, Clone, Serialize)]
pub struct Authority {
    /// The file's name.
    pub name: String,
    /// The file.
    pub path: String,
    /// Whom it is about.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// SHA-256 of its DER form.
    pub sha256: Digest,
    /// Until when it is valid.
    pub not_after: jiff::Timestamp,
    /// Whether programs trust it: it is in what the tool has written.
    pub trusted: bool,
    /// For what its file should not be trusted.
    pub problems: Vec<String>,
}

/// What was added to what a host trusts.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// How the host keeps it.
    pub layout: TrustLayout,
    /// What was added.
    pub authorities: Vec<Authority>,
    /// How many authorities are trusted altogether.
    pub trusted: usize,
}

/// How this host keeps its authorities.
fn layout(session: &Session) -> Result<TrustLayout> {
    let is_dir = |path: &str| under(&session.root, path).is_dir();
    let is_file = |path: &str| sys::fs::is_file(&under(&session.root, path));
    if is_dir("/etc/pki/ca-trust/source") || is_file("/usr/bin/update-ca-trust") {
        return Ok(TrustLayout::Rhel);
    }
    if is_file("/etc/ca-certificates.conf") || is_file("/usr/sbin/update-ca-certificates") {
        return Ok(TrustLayout::Debian);
    }
    Err(Error::NoStore(session.root.clone()).into())
}

/// Everything that the host trusts.
fn trusted(session: &Session, layout: TrustLayout) -> Result<BTreeSet<Digest>> {
    match sys::fs::read_limited(&under(&session.root, layout.bundle()), LIMIT) {
        Err(e) if e.is_not_found() => Ok(BTreeSet::new()),
        other => Ok(authority::digests(&other?)),
    }
}

/// Files that were added, with what they hold.
fn anchors(session: &Session, layout: TrustLayout) -> Result<Vec<(String, File)>> {
    let mut found = Vec::new();
    for dir in layout.anchors() {
        let names = match sys::fs::list(&under(&session.root, dir)) {
            Err(e) if e.is_not_found() => continue,
            other => other?,
        };
        let counts = |name: &&String| layout == TrustLayout::Rhel || name.ends_with(".crt");
        for name in names.iter().filter(counts) {
            let path = format!("{dir}/{name}");
            if let Ok(bytes) = sys::fs::read_limited(&under(&session.root, &path), LIMIT) {
                let file = File::read(file_name(&path), Zeroizing::new(bytes));
                found.push((path, file));
            }
        }
    }
    Ok(found)
}

/// Lists what was added.
///
/// # Errors
/// When the host has no known place for it, or it cannot be read.
pub fn list(session: &Session) -> Result<Listed> {
    let layout = layout(session)?;
    let trusted = trusted(session, layout)?;
    let mut authorities = Vec::new();
    for (path, file) in anchors(session, layout)? {
        let problems = problems(session, std::slice::from_ref(&file));
        let problems = problems.iter().filter(|finding| finding.id != authority::INCOMPLETE);
        let problems: Vec<String> = problems.map(words).collect();
        for certificate in &file.chain.certificates {
            authorities.push(Authority {
                name: file_name(&path).to_owned(),
                path: path.clone(),
                subject: certificate.subject.clone(),
                issuer: certificate.issuer.clone(),
                sha256: certificate.sha256(),
                not_after: certificate.not_after,
                trusted: trusted.contains(&certificate.sha256()),
                problems: problems.clone(),
            });
        }
    }
    Ok(Listed { layout, authorities, trusted: trusted.len() })
}

fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// What is asked for.
#[derive(Debug)]
pub enum Asked {
    /// The certificates of these files.
    Add(Vec<PathBuf>),
    /// The file of that name, or of the authority with that subject or fingerprint.
    Remove(String),
}

/// Plans it; `None` when there is nothing to do.
///
/// # Errors
/// When a file holds something that must not be trusted, or what is named is not the administrator's.
pub fn plan(session: &Session, asked: &Asked) -> Result<Option<Plan>> {
    match asked {
        Asked::Add(files) => plan_add(session, files),
        Asked::Remove(name) => plan_remove(session, name),
    }
}

/// For what files must not be trusted. What the vendor prescribes is taken as it is: the oldest of its anchors has no
/// keyUsage.
fn problems(session: &Session, files: &[File]) -> Vec<Finding> {
    authority::problems(files, session.now, |digest| anchors::by_digest(digest).is_some())
}

/// A finding in one line.
fn words(finding: &Finding) -> String {
    match finding.subject.as_str() {
        "" => format!("{}: {}", finding.what, finding.why),
        subject => format!("{subject}: {}: {}", finding.what, finding.why),
    }
}

/// Reads what is to be trusted: each certificate once, and what is to be said besides.
fn given(session: &Session, files: &[PathBuf]) -> Result<(Vec<Certificate>, Vec<String>)> {
    let read = |path: &PathBuf| {
        let bytes = Zeroizing::new(sys::fs::read_limited(path, LIMIT)?);
        Ok(File::read(&path.display().to_string(), bytes))
    };
    let read: Vec<File> = files.iter().map(read).collect::<sys::Result<_>>()?;
    for (path, file) in files.iter().zip(&read) {
        let found = problems(session, std::slice::from_ref(file));
        let found = found.iter().filter(|finding| finding.id != authority::INCOMPLETE);
        let mut problems: Vec<String> = found.map(words).collect();
        if file.chain.certificates.is_empty() {
            problems.push("it holds no certificate".to_owned());
        }
        if file.has_key() {
            problems.push("it holds a private key, which belongs in no file of authorities".to_owned());
        }
        if !problems.is_empty() {
            return Err(Error::Unfit { file: path.clone(), problems }.into());
        }
    }
    let notes = problems(session, &read);
    let notes = notes.iter().filter(|finding| finding.id == authority::INCOMPLETE);
    let notes = notes
        .map(|finding| format!("{}; it may be unknown here: {}", finding.what, finding.subject))
        .collect();
    let mut all: Vec<Certificate> = Vec::new();
    for certificate in read.into_iter().flat_map(|file| file.chain.certificates) {
        if all.iter().all(|other| other.sha256() != certificate.sha256()) {
            all.push(certificate);
        }
    }
    Ok((all, notes))
}

fn plan_add(session: &Session, files: &[PathBuf]) -> Result<Option<Plan>> {
    let layout = layout(session)?;
    let (given, notes) = given(session, files)?;
    let trusted = trusted(session, layout)?;
    let there = anchors(session, layout)?;
    let placed: BTreeSet<Digest> =
        there.iter().flat_map(|(_, file)| &file.chain.certificates).map(Certificate::sha256).collect();
    // where the tool cannot be run, being in place is all that can be had
    let runs = layout != TrustLayout::Rhel || apply::updates_trust(&session.root);
    let is_wanted = |digest| !trusted.contains(&digest) && (runs || !placed.contains(&digest));
    let wanted: Vec<&Certificate> = given.iter().filter(|one| is_wanted(one.sha256())).collect();
    if wanted.is_empty() {
        return Ok(None);
    }
    let dir = layout.anchors().first().copied().unwrap_or_default();
    let mut add = Vec::new();
    for certificate in wanted.iter().filter(|one| !placed.contains(&one.sha256())) {
        let path = format!("{dir}/{}", name_of(certificate));
        add.push(Anchor { path, text: authority::to_pem(certificate)?, sha256: certificate.sha256() });
    }
    let trusts: Vec<Digest> = wanted.iter().map(|one| one.sha256()).collect();
    let dirs = missing(session, dir);
    let mut plan = plan::authorities(&Authorities {
        root: &session.root,
        site: &session.site,
        layout,
        dirs: &dirs,
        add: &add,
        remove: &[],
        trusts: &trusts,
    });
    let known = given.len() - wanted.len();
    if known > 0 {
        plan.notes.push(format!("{known} of the given authorities are there already"));
    }
    plan.notes.extend(wanted.iter().map(|one| format!("{}, SHA-256 {}", one.subject, one.sha256())));
    plan.notes.extend(notes);
    Ok(Some(plan))
}

/// Directories of a path that are missing, the outermost first.
fn missing(session: &Session, dir: &str) -> Vec<String> {
    let all = Path::new(dir).ancestors().filter_map(Path::to_str).filter(|path| *path != "/");
    let mut missing: Vec<String> =
        all.filter(|path| !under(&session.root, path).is_dir()).map(str::to_owned).collect();
    missing.reverse();
    missing
}

/// A file's name for an authority: from its subject and its fingerprint, of safe characters alone.
fn name_of(certificate: &Certificate) -> String {
    let title = certificate.title();
    let words = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name: String =
        words.collect::<Vec<&str>>().join("-").to_ascii_lowercase().chars().take(NAME).collect();
    let digest = hex(certificate.sha256().as_bytes());
    let digits = digest.get(..DIGITS).unwrap_or(&digest);
    format!("{}-{digits}.crt", if name.is_empty() { "authority" } else { name.trim_end_matches('-') })
}

/// A fingerprint or the beginning of one, as digits alone.
fn fingerprint(name: &str) -> Option<String> {
    let digits: String = name.chars().filter(|c| *c != ':').collect::<String>().to_ascii_lowercase();
    let is_one = digits.len() >= MIN_DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_one.then_some(digits)
}

/// A file's name without its ending, and that without the fingerprint that [`name_of`] gave it.
fn stems(file: &str) -> (&str, Option<(&str, &str)>) {
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let ours = stem.rsplit_once('-').filter(|(_, end)| end.len() == DIGITS && fingerprint(end).is_some());
    (stem, ours)
}

/// Finds the file of authorities that `name` means. A path or a file's name counts before anything that
/// is inside of it. `None` when nothing is meant any more.
fn named<'a>(there: &'a [(String, File)], name: &str) -> Result<Option<&'a (String, File)>> {
    let is_file = |path: &str| {
        let file = file_name(path);
        path == name || file == name || stems(file).0 == name
    };
    let digits = fingerprint(name);
    let holds = |(path, file): &(String, File)| {
        stems(file_name(path)).1.is_some_and(|(stem, _)| stem == name)
            || file.chain.certificates.iter().any(|one| {
                let is = |word: &str| word.eq_ignore_ascii_case(name);
                is(&one.title())
                    || is(&one.subject)
                    || digits.as_ref().is_some_and(|digits| one.sha256().to_string().starts_with(digits))
            })
    };
    let mut chosen: Vec<&(String, File)> = there.iter().filter(|(path, _)| is_file(path)).collect();
    if chosen.is_empty() {
        chosen = there.iter().filter(|one| holds(one)).collect();
        if let [(path, File { chain, .. })] = *chosen
            && chain.certificates.len() > 1
        {
            return Err(Error::Shared { path: path.clone(), count: chain.certificates.len() }.into());
        }
    }
    match *chosen {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => {
            let files = chosen.iter().map(|(path, _)| path.clone()).collect();
            Err(Error::Ambiguous { name: name.to_owned(), files }.into())
        }
    }
}

/// Files whose name or subjects have something of `name` in them.
fn near<'a>(there: &'a [(String, File)], name: &str) -> Vec<&'a str> {
    let (stem, ours) = stems(file_name(name));
    let words = ours.map_or(stem, |(stem, _)| stem).to_ascii_lowercase();
    let words: Vec<&str> =
        words.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 2).collect();
    let is_near = |(path, file): &&(String, File)| {
        let subjects = file.chain.certificates.iter().map(|one| one.subject.as_str());
        let text = subjects.fold(file_name(path).to_owned(), |text, one| text + " " + one);
        let text = text.to_ascii_lowercase();
        words.iter().any(|word| text.contains(word))
    };
    there.iter().filter(is_near).map(|(path, _)| path.as_str()).collect()
}

/// What to say of a name that means nothing here. A fingerprint, or the name of a file with one in it, is of
/// an authority that is gone, unless something like it is there.
fn unknown(session: &Session, layout: TrustLayout, there: &[(String, File)], name: &str) -> Result<()> {
    let near = near(there, name);
    let digits = fingerprint(name).or_else(|| stems(file_name(name)).1.map(|(_, digits)| digits.to_owned()));
    let Some(digits) = digits.filter(|digits| digits.len() >= DIGITS && near.is_empty()) else {
        let near = if near.is_empty() { there.iter().map(|(path, _)| path.as_str()).collect() } else { near };
        let near = near.into_iter().take(NEAR).map(str::to_owned).collect();
        return Err(Error::Unknown { name: name.to_owned(), near }.into());
    };
    let trusted = trusted(session, layout)?.iter().any(|one| one.to_string().starts_with(&digits));
    let is_written = layout != TrustLayout::Rhel || apply::updates_trust(&session.root);
    if trusted && is_written { Err(Error::Packaged(name.to_owned()).into()) } else { Ok(()) }
}

/// Whether a file is the administrator's: it lies where packages put nothing, or has the name that this
/// program gives.
fn is_ours(layout: TrustLayout, path: &str, file: &File) -> bool {
    let own = layout.anchors().first().and_then(|dir| path.strip_prefix(dir)).is_some();
    own || matches!(file.chain.certificates.as_slice(), [one] if file_name(path) == name_of(one))
}

fn plan_remove(session: &Session, name: &str) -> Result<Option<Plan>> {
    let layout = layout(session)?;
    let there = anchors(session, layout)?;
    let (ours, others): (Vec<_>, Vec<_>) =
        there.into_iter().partition(|(path, file)| is_ours(layout, path, file));
    let Some((path, file)) = named(&ours, name)? else {
        if named(&others, name)?.is_some() {
            return Err(Error::Packaged(name.to_owned()).into());
        }
        unknown(session, layout, &ours, name)?;
        return Ok(None);
    };
    let mut plan = plan::authorities(&Authorities {
        root: &session.root,
        site: &session.site,
        layout,
        dirs: &[],
        add: &[],
        remove: std::slice::from_ref(path),
        trusts: &[],
    });
    let gone = file.chain.certificates.iter().map(|one| format!("{}, SHA-256 {}", one.subject, one.sha256()));
    plan.notes.extend(gone);
    Ok(Some(plan))
}

/// What has to be run before programs notice, where it cannot be run from here: in another root of RHEL's
/// layout. `None` where nothing waits for it.
///
/// # Errors
/// When the host has no known place of authorities, or it cannot be read.
pub fn pending(session: &Session, asked: &Asked) -> Result<Option<String>> {
    let layout = layout(session)?;
    if layout != TrustLayout::Rhel || apply::updates_trust(&session.root) {
        return Ok(None);
    }
    let waits = match asked {
        Asked::Remove(_) => true,
        Asked::Add(files) => {
            let trusted = trusted(session, layout)?;
            given(session, files)?.0.iter().any(|one| !trusted.contains(&one.sha256()))
        }
    };
    Ok(waits.then(|| format!("chroot {} {}", session.root.display(), layout.tool())))
}

/// Does it, if the plan is still the one that was shown. False when there was nothing to do.
///
/// # Errors
/// When another run is at work, the host has changed since, or a step failed.
pub fn run(session: &Session, asked: &Asked, approved: Digest) -> Result<bool> {
    let recorder = Recorder::new(session.sink);
    let session = &session.telling(&recorder);
    let (_lock, _) = session.begin_change()?;
    let Some(plan) = plan(session, asked)? else { return Ok(false) };
    session.require_approved(&plan, approved)?;
    let what = match asked {
        Asked::Add(_) => "ca add",
        Asked::Remove(_) => "ca remove",
    };
    carry_out(session, &recorder, (&plan, what), (&Secrets::default(), sys::env::is_root()))?;
    Ok(true)
}
