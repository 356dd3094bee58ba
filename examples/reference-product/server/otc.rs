//! The one-time configuration: secrets that are taken over at the next start and then deleted.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use nix::unistd::geteuid;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::common::files;
use crate::common::log::Log;
use crate::store::Store;
use crate::users::{Hash, User};

// No `Debug` here: nothing may print a secret by mistake.
#[derive(Deserialize)]
struct Otc {
    keypass: Option<String>,
    #[serde(default)]
    users: Vec<NewUser>,
    #[serde(default)]
    apikeys: Vec<NewKey>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewUser {
    username: String,
    password: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    default_admin: bool,
    #[serde(default)]
    roles: Value,
}

#[derive(Deserialize)]
struct NewKey {
    name: String,
    username: String,
    apikey: String,
}

/// Takes over the file if there is one. It goes last, so that a crash meanwhile loses nothing.
pub(crate) fn consume(path: &Path, store: &mut Store, log: &Log) -> anyhow::Result<()> {
    let Some(file) = open(path)? else { return Ok(()) };
    let text = Zeroizing::new(files::read(file, path)?);
    let otc = parse(&text, path)?;
    if let Some(passphrase) = &otc.keypass {
        store.keep_passphrase(passphrase)?;
        log.info("took over the passphrase of the server's key");
    }
    for user in otc.users {
        take_user(user, store, log)?;
    }
    for key in otc.apikeys {
        let record = json!({"name": key.name, "username": key.username, "hash": Hash::of(&key.apikey)?});
        store.put_api_key(&key.name, record)?;
        log.info(format!("took over the API key '{}'", key.name));
    }
    fs::remove_file(path).with_context(|| format!("cannot delete {}", path.display()))?;
    if let Some(directory) = path.parent() {
        File::open(directory).and_then(|d| d.sync_all()).context("cannot sync the deletion")?;
    }
    log.info("one-time configuration consumed and deleted");
    Ok(())
}

/// Opens the file if it is fit to hold secrets.
fn open(path: &Path) -> anyhow::Result<Option<File>> {
    let shown = path.display();
    let opened = OpenOptions::new().read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot open {shown}")),
    };
    let facts = file.metadata().with_context(|| format!("cannot look at {shown}"))?;
    if !facts.is_file() {
        bail!("{shown} is not a regular file");
    }
    if facts.uid() != geteuid().as_raw() {
        bail!("{shown} belongs to uid {}, not to the service's uid {}", facts.uid(), geteuid());
    }
    if facts.mode() & 0o077 != 0 {
        let mode = facts.mode() & 0o7777;
        bail!("{shown} has mode {mode:04o}: others than its owner can use it (wanted: 0400 or 0600)");
    }
    Ok(Some(file))
}

fn parse(text: &[u8], path: &Path) -> anyhow::Result<Otc> {
    // Only the place is told: the parser's own words may quote a secret.
    match serde_json::from_slice(text) {
        Ok(otc) => Ok(otc),
        Err(error) => {
            let kind = if error.is_data() { "has a missing or mistyped key" } else { "is not valid JSON" };
            bail!("{} {kind} (line {}, column {})", path.display(), error.line(), error.column())
        }
    }
}

fn take_user(new: NewUser, store: &mut Store, log: &Log) -> anyhow::Result<()> {
    let username = new.username;
    if username.is_empty() || username.chars().any(char::is_control) {
        bail!("otc.conf.json names a user that can't be: the name is empty or has control characters");
    }
    if !new.password.chars().any(|c| c.is_ascii_digit()) {
        bail!("otc.conf.json: the password of user '{username}' must contain a number");
    }
    let user = User {
        username: username.clone(),
        name: new.name,
        email: new.email,
        default_admin: new.default_admin,
        roles: new.roles,
        password: Hash::of(&new.password)?,
        time_zone: None,
    };
    if store.put_user(user)? {
        log.warning(format!("user '{username}' existed and was reset from the one-time configuration"));
    } else {
        log.info(format!("created user '{username}' from the one-time configuration"));
    }
    Ok(())
}
