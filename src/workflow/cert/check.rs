//! Gathers what is to be checked: files, or what is installed, and what is known of the place that it is for.

use std::path::{Path, PathBuf};

use anyhow::Result;
use openssl::x509::X509;
use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::apply;
use crate::certs::check::{self, File, Finding, Input, Passphrase, Place, Revocation, Role, Severity};
use crate::certs::forms;
use crate::certs::key::Key;
use crate::certs::look::Certificate;
use crate::certs::request::is_host_name;
use crate::config;
use crate::host::Accounts;
use crate::product::{self, PairKind, PairPaths, Site, TrustLayout, under};
use crate::sys;
use crate::sys::dir::{Dir, Ids, Kind};
use crate::types::Secret;
use crate::workflow::{Error, Session};

use super::make;
use super::pair::{configuration, configuration_at, places, read_in};

/// Largest file that is read: a chain, a key, a configuration.
const LIMIT: u64 = 1 << 20;
/// Largest file of all that a host trusts.
const BUNDLE_LIMIT: u64 = 16 << 20;
/// What names of certificates and keys end in.
const ENDINGS: [&str; 9] = ["pem", "crt", "cer", "der", "key", "p12", "pfx", "p7b", "p8"];

/// What is asked for besides the files.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Names that a server's certificate has to be valid for, or of which a client's has to have one. Those of
    /// the configuration unless given.
    pub names: Vec<String>,
    /// Whether revocation is checked; as the configuration says unless given.
    pub revocation: Option<Revocation>,
}

/// Certificates that belong together, their key, and what they have to keep to.
#[derive(Debug)]
pub struct Set {
    /// What it is called.
    pub title: String,
    /// What it is for.
    pub role: Role,
    /// The files.
    pub files: Vec<File>,
    /// Names to compare with.
    pub names: Vec<String>,
    /// What this host is known by, for where there are no such names.
    known: Vec<String>,
    /// Whether revocation is checked.
    pub revocation: Revocation,
    passphrase: Option<Secret>,
    /// Whether the product may have taken the passphrase over.
    kept: bool,
    places: Vec<Place>,
    strays: Vec<String>,
    unread: Vec<String>,
}

/// What was found in one set.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// What it is called.
    pub title: String,
    /// What it is for.
    pub role: Role,
    /// The names that were compared.
    pub names: Vec<String>,
    /// Whether revocation is checked.
    pub revocation: Revocation,
    /// The files.
    pub files: Vec<CheckedFile>,
    /// What is to be said, the worst first.
    #[serde(skip)]
    pub findings: Vec<Finding>,
    /// Files that are there and cannot be read, and why.
    #[serde(skip)]
    pub unread: Vec<String>,
}

/// What a file holds.
#[derive(Debug, Serialize)]
pub struct CheckedFile {
    /// Its path.
    pub file: String,
    /// Its certificates.
    pub certificates: Vec<Certificate>,
    /// The form of its private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl Checked {
    /// Whether something is wrong that the product, its peers or the guide refuse.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

impl Set {
    /// Whether the key needs a passphrase that is not known.
    #[must_use]
    pub fn needs_passphrase(&self) -> bool {
        !self.kept && self.passphrase.is_none() && self.files.iter().any(File::is_encrypted)
    }

    /// The certificates and their key, if it can be opened with what the configuration says.
    pub(super) fn opened(&self) -> Option<(Vec<Certificate>, Key)> {
        let key = self.files.iter().find_map(|file| file.open_key(self.passphrase.as_ref()))?;
        Some((self.files.iter().flat_map(|file| file.chain.certificates.clone()).collect(), key))
    }
}

/// Reads a file that is to be checked.
///
/// # Errors
/// When it cannot be read or is larger than 1 MiB.
pub fn read(path: &Path) -> Result<File> {
    let bytes = Zeroizing::new(sys::fs::read_limited(path, LIMIT)?);
    Ok(File::read(&path.display().to_string(), bytes))
}

/// Files that were given, with what the configuration in the root says of names and revocation.
///
/// # Errors
/// When a name is none or the configuration cannot be read.
pub fn given(session: &Session, role: Role, files: Vec<File>, asked: &Asked) -> Result<Set> {
    if let Some(bad) = asked.names.iter().find(|name| !is_host_name(name)) {
        return Err(Error::Name(bad.clone()).into());
    }
    let settings = Settings::read(session)?;
    Ok(Set { files, known: make::known_names(session), ..settings.set(role, role_title(role), asked) })
}

fn role_title(role: Role) -> &'static str {
    match role {
        Role::Server => "server certificate",
        Role::Client => "client certificate",
        Role::Ca => "authorities",
        Role::Ocsp => "OCSP responder's certificate",
    }
}

/// The pairs that are installed, with what is known of their places.
///
/// # Errors
/// When nothing is installed there, or it cannot be looked at.
pub fn installed(session: &Session, asked: &Asked) -> Result<Vec<Set>> {
    let site = &session.site;
    if !under(&session.root, &site.tree()).is_dir() {
        return Err(session.missing());
    }
    let settings = Settings::read(session)?;
    let mut sets = Vec::new();
    for pair in pairs(session, &settings) {
        let chain = installed_file(session, &pair.at.chain, false)?;
        let key = installed_file(session, &pair.at.key, true)?;
        if !pair.wanted && [&chain, &key].iter().all(|(_, place, unread)| place.missing.is_some() && !unread)
        {
            continue;
        }
        let mut set = settings.set(pair.role, pair.title, asked);
        set.known = make::known_names(session);
        if pair.foreign_names && asked.names.is_empty() {
            set.names.clear();
        }
        set.passphrase = settings.text(pair.kind.passphrase_key()).map(Secret::from);
        if pair.kept && set.passphrase.is_none() {
            let owners = super::pair::owners(session)?;
            set.passphrase = apply::waiting_keypass(&session.root, (site, owners));
        }
        set.kept = pair.kept && set.passphrase.is_none();
        for (file, place, unread) in [chain, key] {
            set.files.extend(file);
            let why = place.missing.as_ref().filter(|_| unread);
            set.unread.extend(why.map(|why| format!("{}: {why}", place.file)));
            set.places.push(place);
        }
        sets.push(set);
    }
    if let Some(first) = sets.first_mut() {
        first.strays = strays(session)?;
    }
    Ok(sets)
}

/// Checks a set. A passphrase that is given counts before one of the configuration.
#[must_use]
pub fn judge(session: &Session, set: Set, passphrase: Option<&Secret>) -> Checked {
    let anchors = anchors(session);
    let passphrase = match passphrase.or(set.passphrase.as_ref()) {
        Some(passphrase) => Passphrase::Given(passphrase),
        None if set.kept => Passphrase::Kept,
        None => Passphrase::Unknown,
    };
    let input = Input {
        role: set.role,
        files: &set.files,
        passphrase,
        names: &set.names,
        known: &set.known,
        now: session.now,
        revocation: set.revocation,
        anchors: anchors.as_deref(),
    };
    let mut findings = if set.files.is_empty() { Vec::new() } else { check::check(&input) };
    findings.extend(check::check_places(&set.places, &set.strays));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let files = set.files.into_iter().map(|file| CheckedFile {
        key: file.key_form(),
        certificates: file.chain.certificates,
        file: file.name,
    });
    Checked {
        title: set.title,
        role: set.role,
        names: set.names,
        revocation: set.revocation,
        files: files.collect(),
        findings,
        unread: set.unread,
    }
}

/// Writes the certificates of a set from the leaf to the root into a new file. Gives their number.
///
/// # Errors
/// When there is none, it cannot be told which one is the leaf, or the file exists or cannot be written.
pub fn reorder(set: &Set, passphrase: Option<&Secret>, out: &Path) -> Result<usize> {
    let key = set.files.iter().find_map(|file| file.open_key(passphrase));
    let all: Vec<Certificate> = set.files.iter().flat_map(|file| file.chain.certificates.clone()).collect();
    if all.is_empty() {
        return Err(Error::NoCertificate.into());
    }
    let ordered = forms::order(&all, key.as_ref())?.chain;
    make::write(&[make::public(out, &forms::to_pem(&ordered)?)])?;
    Ok(ordered.len())
}

/// What the configuration in the root says.
pub(super) struct Settings {
    /// The one of the installation, which may hold passphrases.
    own: Zeroizing<String>,
    /// The server's, which says whom it lets in.
    server: Zeroizing<String>,
}

impl Settings {
    pub(super) fn read(session: &Session) -> Result<Self> {
        let own = configuration(session)?;
        let server = configuration_at(session, product::CONFIG_FILE)?;
        Ok(Self { own, server })
    }

    fn text(&self, key: &str) -> Option<String> {
        config::text(&self.own, key)
    }

    pub(super) fn is_set(&self, key: &str) -> Option<bool> {
        [&self.own, &self.server].iter().find_map(|text| config::value(text, key).ok()??.as_bool())
    }

    /// Names of clients that the server lets in, if it compares them.
    fn trusted_names(&self) -> Vec<String> {
        let compares = config::value(&self.server, "security.certificate.verifyclientsan").ok().flatten();
        if compares != Some(Value::Bool(true)) {
            return Vec::new();
        }
        let list = config::text(&self.server, "security.certificate.santrustlist").unwrap_or_default();
        list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    pub(super) fn revocation(&self) -> Revocation {
        let fails = self.is_set("security.certificate.failonunknownrevocationstatus").unwrap_or(true);
        match self.is_set("security.certificate.verifyrevocation").unwrap_or(false) {
            false => Revocation::Off,
            true if fails => Revocation::Require,
            true => Revocation::Soft,
        }
    }

    /// A set without files.
    fn set(&self, role: Role, title: &str, asked: &Asked) -> Set {
        let names = match role {
            _ if !asked.names.is_empty() => asked.names.clone(),
            Role::Server => {
                config::external_host(&self.server).into_iter().filter(|name| is_host_name(name)).collect()
            }
            Role::Client => self.trusted_names(),
            Role::Ca | Role::Ocsp => Vec::new(),
        };
        Set {
            title: title.to_owned(),
            role,
            files: Vec::new(),
            names,
            known: Vec::new(),
            revocation: asked.revocation.unwrap_or_else(|| self.revocation()),
            passphrase: None,
            kept: false,
            places: Vec::new(),
            strays: Vec::new(),
            unread: Vec::new(),
        }
    }
}

/// A pair that an installation may have.
struct Pair {
    kind: PairKind,
    title: &'static str,
    role: Role,
    at: PairPaths,
    /// Whether the product takes the passphrase over, so that nobody else has it.
    kept: bool,
    /// Whether it has to be there.
    wanted: bool,
    /// Whether the name in the configuration is another host's.
    foreign_names: bool,
}

/// What an installation shows to those who connect to it.
fn shown(site: &Site) -> PairKind {
    if site.is_server() { PairKind::Server } else { PairKind::Listener }
}

fn pairs(session: &Session, settings: &Settings) -> Vec<Pair> {
    let is_server = session.site.is_server();
    let kind = shown(&session.site);
    let listener = Pair {
        kind,
        title: if is_server { "server certificate" } else { "certificate of the engine as a server" },
        role: Role::Server,
        at: places(session, kind, &settings.own),
        kept: true,
        wanted: is_server,
        foreign_names: !is_server,
    };
    let client = Pair {
        kind: PairKind::Client,
        title: "client certificate",
        role: Role::Client,
        at: places(session, PairKind::Client, &settings.own),
        kept: false,
        wanted: settings.is_set("security.client.enabled") == Some(true),
        foreign_names: false,
    };
    vec![listener, client]
}

/// A file with its place; and whether something is there that cannot be read as one. Whoever looks must not be kept
/// from all the others by that.
fn installed_file(session: &Session, path: &str, is_key: bool) -> Result<(Option<File>, Place, bool)> {
    let mut place = Place { file: path.to_owned(), is_key, ..Place::default() };
    let owners = session.receipt()?.is_none_or(|receipt| receipt.owners);
    let service = Accounts::look_up(&session.root, product::SERVICE_USER)?.ids().filter(|_| owners);
    let error = match read_placed(session, &mut place, service) {
        Ok(file) => return Ok((file, place, false)),
        Err(error) => error,
    };
    let cause = error.downcast_ref::<sys::Error>().map(|error| &error.source);
    // the system's own word; a rule of `sys` says the same of what is no file
    let denied = |cause: &std::io::Error| {
        cause.raw_os_error().is_some() && cause.kind() == std::io::ErrorKind::PermissionDenied
    };
    let denied = cause.is_some_and(denied);
    // in another root it may be a link, which leads somewhere there
    let there = sys::fs::stat(&under(&session.root, path)).ok().flatten().map(|stat| stat.kind);
    let is_told = session.is_live() || there.is_some_and(|kind| !matches!(kind, Kind::File | Kind::Symlink));
    if denied || !is_told {
        return Err(error);
    }
    let why = cause.map_or_else(|| error.to_string(), ToString::to_string);
    place.missing = Some(format!("it cannot be read: {why}"));
    Ok((None, place, true))
}

fn read_placed(session: &Session, place: &mut Place, service: Option<Ids>) -> Result<Option<File>> {
    let path = place.file.clone();
    if let Some(service) = service {
        place.closed = closed(session, &path, service)?;
    }
    let bytes = match read_in(session, &path) {
        Err(e) if e.is_not_found() => {
            place.missing = Some("it is not there".to_owned());
            return Ok(None);
        }
        other => other?,
    };
    let real = resolved(session, &path)?;
    if let Some(stat) = sys::fs::stat(&real)? {
        place.mode = stat.mode;
        let ids = stat.ids;
        place.other_owner = service
            .filter(|service| *service != ids)
            .map(|_| format!("user {} and group {}", ids.uid, ids.gid));
    }
    Ok(Some(File::read(&path, bytes)))
}

/// The path below the root; on the running system without links.
pub(in crate::workflow) fn resolved(session: &Session, path: &str) -> sys::Result<PathBuf> {
    let path = under(&session.root, path);
    if session.is_live() { sys::fs::canonical(&path) } else { Ok(path) }
}

/// Directories on the way to a file that the service may not enter. Groups besides its own do not count. The
/// directory that stands for another root is no part of the way.
pub(in crate::workflow) fn closed(session: &Session, path: &str, service: Ids) -> Result<Vec<String>> {
    let given = under(&session.root, path);
    let real = resolved(session, path).unwrap_or_else(|_| given.clone());
    let inside =
        |dir: &&Path| dir.starts_with(&session.root) && (session.is_live() || **dir != *session.root);
    let above =
        |path: &Path| path.ancestors().skip(1).take_while(inside).map(Path::to_owned).collect::<Vec<_>>();
    let mut dirs = above(&given);
    dirs.extend(above(&real));
    dirs.sort();
    dirs.dedup();
    let mut closed = Vec::new();
    for dir in dirs {
        let Some(stat) = sys::fs::stat(&dir)?.filter(|stat| stat.kind == Kind::Dir) else { continue };
        let bit = match stat.ids {
            ids if ids.uid == service.uid => 0o100,
            ids if ids.gid == service.gid => 0o010,
            _ => 0o001,
        };
        if stat.mode & bit == 0 {
            closed.push(format!("/{}", dir.strip_prefix(&session.root).unwrap_or(&dir).display()));
        }
    }
    Ok(closed)
}

/// Other certificates and keys beside the product's own: neither those that it looks for by name nor those
/// that a release brought.
fn strays(session: &Session) -> Result<Vec<String>> {
    let site = &session.site;
    let manifest = apply::installed(&session.root, site)?;
    let released = |name: &str| {
        let entries = manifest.as_ref().map(|manifest| manifest.get().entries.as_slice());
        entries.unwrap_or_default().iter().any(|entry| entry.path.as_str() == name)
    };
    let own = [shown(site), PairKind::Client].map(PairKind::names);
    let dir = Dir::open(&under(&session.root, &site.tree()))?;
    let mut found = Vec::new();
    for name in dir.raw_names()? {
        let text = name.to_string_lossy().into_owned();
        let ending = text.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
        let is_one = ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()));
        let is_file = dir.stat(&name)?.is_some_and(|stat| stat.kind != Kind::Dir);
        if is_one
            && is_file
            && !own.iter().any(|(chain, key)| text == *chain || text == *key)
            && !released(&text)
        {
            found.push(format!("{}/{text}", site.tree()));
        }
    }
    found.sort();
    Ok(found)
}

/// All that the host trusts; nothing where that cannot be read.
pub(in crate::workflow) fn anchors(session: &Session) -> Option<Vec<Certificate>> {
    let read = |path: &str| match session.is_live() {
        true => sys::fs::read_limited(Path::new(path), BUNDLE_LIMIT),
        false => sys::fs::read_beneath(&session.root, path, BUNDLE_LIMIT),
    };
    let layouts = [TrustLayout::Debian, TrustLayout::Rhel];
    let bundle = layouts.iter().find_map(|layout| read(layout.bundle()).ok())?;
    let trusted = X509::stack_from_pem(&bundle).ok()?;
    let read = |anchor: X509| Certificate::from_der(&anchor.to_der().ok()?).ok();
    Some(trusted.into_iter().filter_map(read).collect())
}
