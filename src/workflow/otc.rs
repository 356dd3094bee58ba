//! The one-time configuration: looked at, added to, cleared. The server reads it at its next start and
//! deletes it.

use std::io::Write as _;
use std::path::Path;

use anyhow::Result;
use zeroize::Zeroizing;

use super::change::{Restart, carry_out, installed, plan_small};
use super::{Recorder, Session, require_approved};
use crate::apply::{self, OneTime, Secrets, Waiting};
use crate::certs::{self, key};
use crate::config::{self, CERTIFICATE_FILE};
use crate::plan::{Action, Plan, Step};
use crate::product::{self, under};
use crate::sys;
use crate::sys::dir::{self, Dir};
use crate::types::{Digest, Secret, hex};

/// Largest configuration, chain or key that is read.
const LIMIT: u64 = 4 << 20;
/// The key of the file of the server's private key.
const KEY_FILE: &str = "security.keyfile";
/// Random bytes of an API key.
const API_KEY_BYTES: usize = 16;

/// A one-time configuration that is not wanted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An engine has none.
    #[error("only a server has a one-time configuration, and an engine is installed here")]
    NoServer,
    /// The key needs no passphrase.
    #[error("the installed key {0} is not encrypted, so it has no passphrase")]
    NotEncrypted(String),
    /// The directory that the configuration names does not exist.
    #[error("the directory of {0} does not exist")]
    NoDirectory(String),
    /// No service can be started here.
    #[error("there is no service here that could be started")]
    NoService,
}

/// What is asked for.
#[derive(Debug)]
pub enum Asked {
    /// Something is added.
    Add(OneTime),
    /// What waits there is removed.
    Clear,
}

/// What waits for the server, without any secret; `None` when nothing does.
///
/// # Errors
/// When no server is installed, or the file cannot be looked at.
pub fn show(session: &Session) -> Result<(String, Option<Waiting>)> {
    let (path, owners) = place(session)?;
    let waiting = apply::one_time_waiting(&session.root, &session.site, owners)?;
    Ok((path, waiting))
}

/// Where the file lies, or will, and whether files have owners.
fn place(session: &Session) -> Result<(String, bool)> {
    let (receipt, _) = installed(session)?;
    if !session.site.is_server() {
        return Err(Error::NoServer.into());
    }
    Ok((apply::one_time_file(&session.root, &session.site), receipt.owners))
}

/// Checks that a passphrase opens the installed key, and that this belongs to the installed certificate.
///
/// # Errors
/// When it does not, or the key needs none.
pub fn check_passphrase(session: &Session, passphrase: &Secret) -> Result<()> {
    place(session)?;
    let conf = sys::fs::read_beneath(&session.root, &session.site.config_file(), LIMIT).map(Zeroizing::new);
    let conf = conf.map(|bytes| Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned()));
    let conf = conf.unwrap_or_default();
    let named = |name: &str, key: &str| {
        let path = config::text(&conf, key);
        path.unwrap_or_else(|| format!("{}/{name}", session.site.tree()))
    };
    let path = named(product::CERTIFICATE_KEY, KEY_FILE);
    let bytes = Zeroizing::new(sys::fs::read_limited(&under(&session.root, &path), LIMIT)?);
    if !key::form(&bytes)?.encrypted {
        return Err(Error::NotEncrypted(path).into());
    }
    let chain = named(product::CERTIFICATE, CERTIFICATE_FILE);
    let chain = sys::fs::read_limited(&under(&session.root, &chain), LIMIT)?;
    let text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
    Ok(certs::check_pair(&String::from_utf8_lossy(&chain), &text, Some(passphrase))?)
}

/// Plans it; `None` when there is nothing to clear.
///
/// # Errors
/// When no server is installed, or there is no place for the file.
pub fn plan(session: &Session, asked: &Asked, (restart, seconds): (bool, u64)) -> Result<Option<Plan>> {
    let (path, owners) = place(session)?;
    if !under(&session.root, &path).parent().is_some_and(Path::is_dir) {
        return Err(Error::NoDirectory(path).into());
    }
    apply::check_one_time_place(&session.root, &path, owners)?;
    let step = match asked {
        Asked::Add(what) => (set(path, what), "the server takes it over at its next start and deletes it"),
        Asked::Clear if !sys::fs::exists(&under(&session.root, &path)) => return Ok(None),
        Asked::Clear => (Step::ClearOneTime { path }, "you said so"),
    };
    let how = if restart { Restart::Always } else { Restart::Never };
    let mut plan = plan_small(session, Action::OneTime, vec![step], (how, seconds))?;
    if restart && !plan.starts() {
        return Err(Error::NoService.into());
    }
    if !restart && matches!(asked, Asked::Add(_)) {
        plan.notes.push("it waits there until the server is started again; `otc show` tells".to_owned());
    }
    if let Asked::Add(OneTime { users, .. }) = asked
        && !users.is_empty()
    {
        plan.notes.push("the server's guide asks for a name that no user of it has yet".to_owned());
    }
    Ok(Some(plan))
}

fn set(path: String, what: &OneTime) -> Step {
    Step::SetOneTime {
        path,
        keypass: what.keypass.is_some(),
        drop_keypass: false,
        users: what.users.iter().map(|user| user.username.clone()).collect(),
        apikeys: what.apikeys.iter().map(|key| key.name.clone()).collect(),
    }
}

/// Does it, if the plan is still the one that was shown. False when there was nothing to clear.
///
/// # Errors
/// When another run is at work, the host has changed since, or a step failed.
pub fn run(session: &Session, asked: Asked, restart: (bool, u64), approved: Digest) -> Result<bool> {
    let recorder = Recorder::new(session.sink);
    let session = &session.telling(&recorder);
    let (_lock, _) = session.begin_change()?;
    let Some(plan) = plan(session, &asked, restart)? else { return Ok(false) };
    require_approved(&plan, approved)?;
    let (receipt, _) = installed(session)?;
    let (what, one_time) = match asked {
        Asked::Add(one_time) => ("one-time configuration", Some(one_time)),
        Asked::Clear => ("clear the one-time configuration", None),
    };
    let secrets = Secrets { one_time, ..Secrets::default() };
    carry_out(session, &recorder, (&plan, what), (&secrets, receipt.owners))?;
    Ok(true)
}

/// A new API key: 128 random bits as 32 hexadecimal digits.
///
/// # Errors
/// When there is no randomness.
pub fn new_api_key() -> Result<Secret> {
    let mut bytes = Zeroizing::new([0; API_KEY_BYTES]);
    openssl::rand::rand_bytes(&mut *bytes)?;
    let text = Zeroizing::new(hex(&*bytes));
    Ok(Secret::from(text.to_ascii_uppercase()))
}

/// Writes a secret, and a line end, to a new file that only its owner may read (0400). It must not exist.
///
/// # Errors
/// When it exists or cannot be written.
pub fn write_secret(path: &Path, secret: &Secret) -> sys::Result<()> {
    use secrecy::ExposeSecret as _;

    let name = path.file_name().ok_or_else(|| sys::Error::rule("write", path, "it has no file name"))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let dir = Dir::open(parent)?;
    let mut file = dir.create_file(name)?;
    let failed = |e| sys::Error::new("write", path, e);
    let written = file
        .write_all(secret.expose_secret().as_bytes())
        .and_then(|()| file.write_all(b"\n"))
        .map_err(failed)
        .and_then(|()| dir::set_attributes(&file, path, None, 0o400))
        .and_then(|()| file.sync_all().map_err(failed))
        .and_then(|()| dir.sync());
    if written.is_err() {
        let _ = dir.remove_file(name);
    }
    written
}
