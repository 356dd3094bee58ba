//! Checks configurations against what is known of their keys, and of the host that they are for.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;
use zeroize::Zeroizing;

use super::Session;
use super::cert::check as certificates;
use crate::certs::check::{self, File, Input, Passphrase, Revocation};
use crate::config::lint::{self, FILE_KEYS, FileState, Finding, Host, Severity};
use crate::host::Accounts;
use crate::product::{self, Role, Site, under};
use crate::sys;
use crate::sys::dir::{Ids, Kind};

/// Largest file that is read; what is larger than [`lint::MAX_SIZE`] is told as a finding.
const LIMIT: u64 = 64 << 20;
/// Rules of certificates about asking whether they are revoked.
const AIA: [&str; 2] = ["aia-ocsp", "aia-ca-issuers"];

/// Which configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// That of the installation.
    Installed,
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

/// What was found in a configuration.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// Where it is from.
    pub file: String,
    /// Whose it is.
    pub role: Role,
    /// In the order of the text.
    pub findings: Vec<Finding>,
    /// Why the host was not looked at; `None` when it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_looked_at: Option<String>,
}

impl Checked {
    /// Whether the product would not start with it, or silently do something else.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// Checks a configuration. Whose it is, is told by its name unless it is said.
///
/// # Errors
/// When it cannot be read, or the host cannot be looked at.
pub fn check(session: &Session, source: &Source, role: Option<Role>, use_host: bool) -> Result<Checked> {
    let (file, text) = read(session, source)?;
    let role = role.unwrap_or_else(|| role_of(session, source));
    let site = if session.site.is_server() == (role == Role::Server) {
        session.site.clone()
    } else {
        Site::unnamed(role)
    };
    let (host, not_looked_at) = match use_host {
        false => (Host::default(), Some("you said so".to_owned())),
        true => look(session, &site, (&text, role))?,
    };
    Ok(Checked { file, role, findings: lint::lint(&*text, role, &host), not_looked_at })
}

/// What is known of the host beside a configuration that is to be installed there.
///
/// # Errors
/// When the host cannot be looked at.
pub fn host(session: &Session, text: &str, role: Role) -> Result<Host> {
    Ok(look(session, &session.site, (text.as_bytes(), role))?.0)
}

fn read(session: &Session, source: &Source) -> Result<(String, Zeroizing<Vec<u8>>)> {
    let (name, bytes) = match source {
        Source::Stdin => ("standard input".to_owned(), sys::fs::read_stdin(LIMIT)?),
        Source::File(path) => (path.display().to_string(), sys::fs::read_limited(path, LIMIT)?),
        Source::Installed => return installed(session),
    };
    Ok((name, Zeroizing::new(bytes)))
}

/// The installed configuration. A server whose every answer was the default has none.
fn installed(session: &Session) -> Result<(String, Zeroizing<Vec<u8>>)> {
    let path = session.site.config_file();
    let read = match session.is_live() {
        true => sys::fs::read_limited(Path::new(&path), LIMIT),
        false => sys::fs::read_beneath(&session.root, &path, LIMIT),
    };
    match read {
        Err(e) if e.is_not_found() && under(&session.root, &session.site.tree()).is_dir() => {
            Ok((format!("{path}, which is not there"), Zeroizing::new(b"{}".to_vec())))
        }
        Err(e) if e.is_not_found() => Err(session.missing()),
        other => Ok((path, Zeroizing::new(other?))),
    }
}

fn role_of(session: &Session, source: &Source) -> Role {
    let engine = match source {
        Source::Installed => !session.site.is_server(),
        Source::File(path) => path.file_name().is_some_and(|name| name == product::ENGINE_CONFIG),
        Source::Stdin => false,
    };
    if engine { Role::Engine } else { Role::Server }
}

/// Looks at the files that a configuration names, as the service's account sees them.
fn look(session: &Session, site: &Site, (text, role): (&[u8], Role)) -> Result<(Host, Option<String>)> {
    let none = |why: &str| Ok((Host::default(), Some(why.to_owned())));
    if !under(&session.root, &site.tree()).is_dir() {
        return none(&format!("no {role} is installed there"));
    }
    let Some(service) = Accounts::look_up(&session.root, product::SERVICE_USER)?.ids() else {
        return none("there is no account demisto");
    };
    if session.is_live() && !sys::env::is_root() {
        return none("only root may look at the service's files");
    }
    let mut host = Host { tree: Some(site.tree()), ..Host::default() };
    let files = lint::files(text, role, &host);
    for path in &files {
        let state = file_state(session, path, service);
        host.files.insert(path.clone(), state);
    }
    host.without_aia = without_aia(session, &files, role);
    Ok((host, None))
}

/// A file as the service sees it. What goes wrong in looking goes wrong for the service, too.
fn file_state(session: &Session, path: &str, service: Ids) -> FileState {
    look_at(session, path, service).unwrap_or_else(|e| FileState::Closed(e.root_cause().to_string()))
}

fn look_at(session: &Session, path: &str, service: Ids) -> Result<FileState> {
    let at = match certificates::resolved(session, path) {
        Err(e) if e.is_not_found() => return Ok(FileState::Missing),
        other => other?,
    };
    let Some(stat) = sys::fs::stat(&at)? else { return Ok(FileState::Missing) };
    match stat.kind {
        Kind::Dir => return Ok(FileState::Closed("it is a directory".to_owned())),
        Kind::File | Kind::Symlink => {} // links only where they would lead out of the root
        _ => return Ok(FileState::Closed("it is not a regular file".to_owned())),
    }
    let bit = match stat.ids {
        ids if ids.uid == service.uid => 0o400,
        ids if ids.gid == service.gid => 0o040,
        _ => 0o004,
    };
    if let Some(dir) = certificates::closed(session, path, service)?.first() {
        return Ok(FileState::Closed(format!("the service may not enter {dir}")));
    }
    if stat.mode & bit == 0 {
        let why = format!("it belongs to user {} and has mode {:04o}", stat.ids.uid, stat.mode);
        return Ok(FileState::Closed(why));
    }
    Ok(FileState::Readable)
}

/// What the chain that this host shows lacks to be asked about. Of one that cannot be read nothing is known.
fn without_aia(session: &Session, files: &[String], role: Role) -> Vec<String> {
    let (name, of) = match role {
        Role::Server => ("security.certfile", check::Role::Server),
        Role::Engine => ("security.client.certfile", check::Role::Client),
    };
    let Some((_, path)) = FILE_KEYS.iter().zip(files).find(|(key, _)| **key == name) else {
        return Vec::new();
    };
    let Ok(bytes) = super::cert::pair::read_in(session, path) else { return Vec::new() };
    let files = [File::read(path, bytes)];
    let anchors = certificates::anchors(session);
    let input = Input {
        role: of,
        files: &files,
        passphrase: Passphrase::Unknown,
        names: &[],
        known: &[],
        now: session.now,
        revocation: Revocation::Require,
        anchors: anchors.as_deref(),
    };
    let found = check::check(&input).into_iter().filter(|finding| AIA.contains(&finding.id));
    found.map(|finding| format!("{}, {}: {}", finding.file, finding.subject, finding.what)).collect()
}
