//! The one-time configuration: looked at, added to, cleared. The server reads it at its next start and
//! deletes it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::cert::pair::{configuration, places, read_in};
use super::change::{Restart, carry_out, installed, plan_small};
use super::{Recorder, Session};
use crate::apply::{self, OneTime, Secrets, Waiting};
use crate::certs::{self, key};
use crate::config::policy::{self, Complexity};
use crate::plan::{Action, Plan, Step};
use crate::product::{PairKind, under};
use crate::sys;
use crate::sys::fresh::{NewFile, create_all};
use crate::types::{Digest, Secret, hex};

/// Random bytes of an API key.
const API_KEY_BYTES: usize = 16;
/// Least characters of an API key that is given: half of those of a new one.
const API_KEY_LEAST: usize = 16;
/// The mode of the file that a new API key is written to.
const KEY_MODE: u32 = 0o400;

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
    /// A file that is to be made is there.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// Too easy to guess, or it cannot be typed.
    #[error("an API key has at least {API_KEY_LEAST} characters, and only visible ASCII")]
    ApiKey,
    /// No service can be started here.
    #[error("there is no service here that could be started")]
    NoService,
}

/// What is asked for.
#[derive(Debug)]
pub enum Asked {
    /// Something is added.
    Add {
        /// What.
        what: OneTime,
        /// A new file that the new API key is written to, too.
        key_file: Option<PathBuf>,
    },
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

/// What a password of this server's users has to have: the guide's numbers, or those of its configuration
/// where they are stricter.
///
/// # Errors
/// When no server is installed, or its configuration cannot be used.
pub fn complexity(session: &Session) -> Result<Complexity> {
    place(session)?;
    Ok(policy::complexity(&configuration(session)?)?)
}

/// The installed private key, which is encrypted, and its certificate.
#[derive(Debug)]
pub struct InstalledKey {
    chain: String,
    key: Zeroizing<String>,
}

/// Reads the installed pair.
///
/// # Errors
/// When no server is installed, the pair cannot be read, or its key needs no passphrase.
pub fn encrypted_key(session: &Session) -> Result<InstalledKey> {
    place(session)?;
    let at = places(session, PairKind::Server, &configuration(session)?);
    let bytes = read_in(session, &at.key)?;
    if !key::form(&bytes)?.encrypted {
        return Err(Error::NotEncrypted(at.key).into());
    }
    let chain = String::from_utf8_lossy(&read_in(session, &at.chain)?).into_owned();
    Ok(InstalledKey { chain, key: Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned()) })
}

impl InstalledKey {
    /// Checks that a passphrase opens the key, and that this belongs to the certificate.
    ///
    /// # Errors
    /// When it does not.
    pub fn check(&self, passphrase: &Secret) -> certs::Result<()> {
        certs::check_pair(&self.chain, &self.key, Some(passphrase))
    }
}

/// Plans it; `None` when there is nothing to clear, or all of it waits already and nothing is to be started.
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
        Asked::Add { key_file: Some(file), .. } if sys::fs::exists(file) => {
            return Err(Error::Exists(file.clone()).into());
        }
        Asked::Add { what, .. }
            if !restart && apply::one_time_holds(&session.root, (&session.site, owners), what)? =>
        {
            return Ok(None);
        }
        Asked::Add { what, .. } => {
            (set(path, what), "the server takes it over at its next start and deletes it")
        }
        Asked::Clear if !sys::fs::exists(&under(&session.root, &path)) => return Ok(None),
        Asked::Clear => (Step::ClearOneTime { path }, "you said so"),
    };
    let how = if restart { Restart::Always } else { Restart::Never };
    let mut plan = plan_small(session, Action::OneTime, vec![step], (how, seconds))?;
    if restart && !plan.starts() {
        return Err(Error::NoService.into());
    }
    if !restart && matches!(asked, Asked::Add { .. }) {
        plan.notes.push("it waits there until the server is started again; `otc show` tells".to_owned());
    }
    if let Asked::Add { key_file: Some(file), .. } = asked {
        plan.notes.push(format!("the new key is written to {}, too, mode 0400", file.display()));
    }
    if let Asked::Add { what, .. } = asked
        && !what.users.is_empty()
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
    session.require_approved(&plan, approved)?;
    let (receipt, _) = installed(session)?;
    let (what, one_time, key_file) = match asked {
        Asked::Add { what, key_file } => ("one-time configuration", Some(what), key_file),
        Asked::Clear => ("clear the one-time configuration", None, None),
    };
    let secrets = Secrets { one_time, ..Secrets::default() };
    // before anything is changed: a new key is nowhere else
    if let Some(file) = &key_file {
        write_key(file, &secrets)?;
    }
    let done = carry_out(session, &recorder, (&plan, what), (&secrets, receipt.owners));
    if let (Err(_), Some(file)) = (&done, &key_file) {
        let _ = sys::fs::remove_file(file);
    }
    done.map(|()| true)
}

/// Writes the new API key to a new file that only its owner may read.
fn write_key(path: &Path, secrets: &Secrets) -> sys::Result<()> {
    let mut bytes = Zeroizing::new(Vec::new());
    let keys = secrets.one_time.iter().flat_map(|one_time| &one_time.apikeys);
    for key in keys {
        let text = key.apikey.expose_secret().as_bytes();
        bytes.reserve_exact(text.len() + 1); // no reallocation leaves a copy behind
        bytes.extend_from_slice(text);
        bytes.push(b'\n');
    }
    create_all(&[NewFile { path: path.to_owned(), bytes, mode: KEY_MODE }])
}

/// Checks an API key that is given.
///
/// # Errors
/// When it is short, or has other characters than visible ASCII.
pub fn check_api_key(key: &Secret) -> Result<(), Error> {
    let text = key.expose_secret();
    let is_good = text.len() >= API_KEY_LEAST && text.bytes().all(|b| b.is_ascii_graphic());
    if is_good { Ok(()) } else { Err(Error::ApiKey) }
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
