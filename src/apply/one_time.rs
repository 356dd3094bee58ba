//! The one-time configuration, `otc.conf.json`: the only writer of it. The server reads it at its next
//! start and deletes it (Administrator Guide, "Change the Administrator Password").
//!
//! What is there stays, but for what is replaced. Its directory is the service's, so nothing is reached
//! through a link, and the file is put in place in one step.

use std::io::Read as _;
use std::path::Path;

use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde_json::{Map, Value};
use zeroize::{Zeroize as _, Zeroizing};

use super::files::{make_way, open_parent, put_back};
use super::{Context, Error, Result, prepare};
use crate::config;
use crate::host::Accounts;
use crate::journal::{Before, Journal};
use crate::plan::Step;
use crate::product::{self, Owner, Site};
use crate::sys;
use crate::sys::dir::{Dir, Ids, Kind, Stat};
use crate::types::{Mode, Secret, error_chain};

const PRIVATE: u32 = 0o400;
/// Largest file that is read.
const LIMIT: u64 = 1 << 20;
/// Room for what is written: no reallocation leaves a copy of a secret behind.
const ROOM: usize = 3 << 20;

/// What the server shall take from its one-time configuration. Exists in memory only.
#[derive(Debug, Default)]
pub struct OneTime {
    /// The passphrase of the server's private key.
    pub keypass: Option<Secret>,
    /// Administrators that it shall have.
    pub users: Vec<OneTimeUser>,
    /// API keys that it shall have.
    pub apikeys: Vec<OneTimeKey>,
}

/// An administrator.
#[derive(Debug)]
pub struct OneTimeUser {
    /// The name that logs in.
    pub username: String,
    /// The password.
    pub password: Secret,
    /// The name that is shown.
    pub name: String,
    /// The address; may be empty.
    pub email: String,
    /// The phone number; may be empty.
    pub phone: String,
}

/// An API key.
#[derive(Debug)]
pub struct OneTimeKey {
    /// What it is called.
    pub name: String,
    /// The user in whose name it acts.
    pub username: String,
    /// The key.
    pub apikey: Secret,
}

impl OneTimeUser {
    /// An administrator with nothing but a name and a password.
    #[must_use]
    pub fn new(username: &str, password: Secret) -> Self {
        let (email, phone) = (String::new(), String::new());
        Self { username: username.to_owned(), password, name: username.to_owned(), email, phone }
    }

    fn to_value(&self) -> Value {
        serde_json::json!({
            "username": self.username,
            "password": self.password.expose_secret(),
            "name": self.name,
            "email": self.email,
            "phone": self.phone,
            "defaultAdmin": true,
            "roles": { "demisto": ["Administrator"] },
        })
    }
}

impl OneTimeKey {
    fn to_value(&self) -> Value {
        serde_json::json!({
            "name": self.name, "username": self.username, "apikey": self.apikey.expose_secret(),
        })
    }
}

/// What the file says; wiped when dropped.
struct Content(Map<String, Value>);

impl Drop for Content {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(map) => map.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl Content {
    /// What a file says; nothing where there is none.
    fn read(dir: &Dir, name: &str) -> Result<Self> {
        if dir.stat(name)?.is_none() {
            return Ok(Self(Map::new()));
        }
        let path = dir.path_of(name);
        let mut text = Zeroizing::new(Vec::with_capacity(ROOM));
        let read = dir.open_file(name)?.take(LIMIT + 1).read_to_end(&mut text);
        read.map_err(|e| sys::Error::new("read", &path, e))?;
        let unfit = |why| Error::OneTime { path: path.clone(), why };
        if text.len() as u64 > LIMIT {
            return Err(unfit("it is larger than 1 MiB"));
        }
        match serde_json::from_slice(&text) {
            Ok(Value::Object(map)) => Ok(Self(map)),
            Ok(mut other) => {
                wipe(&mut other);
                Err(unfit("it is no JSON object"))
            }
            Err(_) => Err(unfit("it is not valid JSON")),
        }
    }

    fn slot(&mut self, key: &str) -> &mut Value {
        let there = self.0.keys().find(|name| name.eq_ignore_ascii_case(key)).cloned();
        self.0.entry(there.unwrap_or_else(|| key.to_owned())).or_insert(Value::Null)
    }

    fn set_keypass(&mut self, passphrase: &Secret) {
        let slot = self.slot("keypass");
        wipe(slot);
        *slot = Value::from(passphrase.expose_secret());
    }

    fn drop_keypass(&mut self) {
        self.0.retain(|key, value| {
            let stays = !key.eq_ignore_ascii_case("keypass");
            if !stays {
                wipe(value);
            }
            stays
        });
    }

    /// Adds an item to a list, in the place of the one of that name.
    fn put(&mut self, list: &str, (key, name): (&str, &str), item: Value) -> std::result::Result<(), ()> {
        let slot = self.slot(list);
        if slot.is_null() {
            *slot = Value::Array(Vec::new());
        }
        let items = slot.as_array_mut().ok_or(())?;
        match items.iter_mut().find(|there| there.get(key).and_then(Value::as_str) == Some(name)) {
            Some(there) => {
                wipe(there);
                *there = item;
            }
            None => items.push(item),
        }
        Ok(())
    }

    fn merge(&mut self, what: &OneTime) -> std::result::Result<(), ()> {
        if let Some(passphrase) = &what.keypass {
            self.set_keypass(passphrase);
        }
        for user in &what.users {
            self.put("users", ("username", &user.username), user.to_value())?;
        }
        for key in &what.apikeys {
            self.put("apikeys", ("name", &key.name), key.to_value())?;
        }
        Ok(())
    }

    fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>> {
        let mut text = Zeroizing::new(Vec::with_capacity(ROOM));
        serde_json::to_writer(&mut *text, &self.0).map_err(|_| Error::Lacks("a representable secret"))?;
        Ok(text)
    }
}

/// Where the one-time configuration of a server lies: the usual place, unless the configuration names
/// another one.
#[must_use]
pub fn one_time_file(root: &Path, site: &Site) -> String {
    let text = sys::fs::read_beneath(root, &site.config_file(), LIMIT << 2).map(Zeroizing::new);
    let text = text.ok().and_then(|bytes| String::from_utf8(bytes.to_vec()).ok()).map(Zeroizing::new);
    let named = text.and_then(|text| config::text(&text, config::ONE_TIME_PATH));
    named.filter(|path| path.starts_with('/')).unwrap_or_else(|| product::ONE_TIME_FILE.to_owned())
}

/// What waits for the server, without any secret.
#[derive(Debug, Serialize)]
pub struct Waiting {
    /// Whether there is a passphrase.
    pub keypass: bool,
    /// Names of users.
    pub users: Vec<String>,
    /// Names of API keys.
    pub apikeys: Vec<String>,
    /// Other keys that are there.
    pub others: Vec<String>,
    /// Numbers of user and group, with a colon.
    pub owner: String,
    /// The mode.
    pub mode: Mode,
    /// What is wrong with the file, in words.
    pub problems: Vec<String>,
}

/// Looks at what waits for a server; `None` when nothing does.
///
/// # Errors
/// When it cannot be looked at, or the configuration names somebody else's.
pub fn one_time_waiting(root: &Path, site: &Site, owners: bool) -> Result<Option<Waiting>> {
    let path = one_time_file(root, site);
    if !product::under(root, &path).parent().is_some_and(Path::is_dir) {
        return Ok(None);
    }
    let (dir, name) = open(root, &path, owners)?;
    let Some(stat) = dir.stat(&name)? else { return Ok(None) };
    let mut problems = Vec::new();
    let content = Content::read(&dir, &name);
    let mut content = content.unwrap_or_else(|error| {
        problems.push(error_chain(&error));
        Content(Map::new())
    });
    if stat.mode & 0o777 & !0o600 != 0 {
        problems.push("others than its owner may use it: chmod 0400".to_owned());
    }
    let service = Accounts::look_up(root, product::SERVICE_USER)?.ids();
    if service.is_some_and(|service| service != stat.ids) {
        problems.push("it is not the service's: chown demisto:demisto".to_owned());
    }
    let mut names = |list: &str, key: &str| -> Vec<String> {
        let items = content.slot(list).as_array().map(Vec::as_slice).unwrap_or_default();
        items.iter().filter_map(|item| item.get(key)?.as_str().map(str::to_owned)).collect()
    };
    let (users, apikeys) = (names("users", "username"), names("apikeys", "name"));
    let known = |key: &&String| ["keypass", "users", "apikeys"].iter().any(|k| k.eq_ignore_ascii_case(key));
    let others = content.0.keys().filter(|key| !known(key)).cloned().collect();
    let keypass = !content.slot("keypass").is_null();
    let (owner, mode) = (format!("{}:{}", stat.ids.uid, stat.ids.gid), Mode::new(stat.mode));
    Ok(Some(Waiting { keypass, users, apikeys, others, owner, mode, problems }))
}

/// Refuses a place that is somebody else's, before anything is planned there.
///
/// # Errors
/// When it is, or it cannot be looked at.
pub fn check_one_time_place(root: &Path, path: &str, owners: bool) -> Result<()> {
    open(root, path, owners).map(drop)
}

/// Opens the directory of the file. Where files have `owners`, a directory that the configuration names, and
/// the file in it, have to be the service's: it can write the configuration, too, and would else have us
/// read, write or remove what it cannot.
fn open(root: &Path, path: &str, owners: bool) -> Result<(Dir, String)> {
    let (dir, name) = open_parent(root, path)?;
    if owners && path != product::ONE_TIME_FILE {
        let service = Accounts::look_up(root, product::SERVICE_USER)?.uid;
        let is_its = |stat: &Stat| Some(stat.ids.uid) == service;
        let refused = |why| Err(Error::OneTimePlace { path: dir.path_of(&name), why });
        if !is_its(&dir.stat_self()?) {
            return refused("its directory is not the service's");
        }
        if dir.stat(&name)?.is_some_and(|stat| !is_its(&stat)) {
            return refused("it is not the service's");
        }
    }
    Ok((dir, name))
}

/// Does a step that adds to it.
pub(super) fn perform(context: &Context, step: &Step) -> Result<()> {
    match step {
        Step::WriteOneTimeConfig { path, user, keypass } => first(context, path, user, *keypass),
        _ => set(context, step),
    }
}

/// What an installation writes: its administrator, and the passphrase of a given key.
fn first(context: &Context, path: &str, user: &str, keypass: bool) -> Result<()> {
    let secrets = context.secrets;
    let password = secrets.admin_password.clone().ok_or(Error::Lacks("the administrator's password"))?;
    let keypass =
        keypass.then(|| secrets.passphrase.clone().ok_or(Error::Lacks("the passphrase"))).transpose()?;
    let users = vec![OneTimeUser::new(user, password)];
    write(context, path, &OneTime { keypass, users, apikeys: Vec::new() })
}

/// Adds what a plan says, of which the secrets have to be there.
fn set(context: &Context, step: &Step) -> Result<()> {
    let Step::SetOneTime { path, keypass, drop_keypass, users, apikeys } = step else { return Ok(()) };
    if *drop_keypass {
        return without_keypass(context, path);
    }
    let what = context.secrets.one_time.as_ref().ok_or(Error::Lacks("the one-time configuration"))?;
    let same = what.keypass.is_some() == *keypass
        && what.users.iter().map(|user| &user.username).eq(users)
        && what.apikeys.iter().map(|key| &key.name).eq(apikeys);
    if !same {
        return Err(Error::Lacks("the one-time configuration that the plan showed"));
    }
    write(context, path, what)
}

/// Takes a passphrase out that nobody has taken over yet, and the file if nothing else is in it.
fn without_keypass(context: &Context, path: &str) -> Result<()> {
    let (dir, name) = open(context.root, path, context.owners)?;
    if dir.stat(&name)?.is_none() {
        return Ok(());
    }
    let mut content = Content::read(&dir, &name)?;
    content.drop_keypass();
    scrub(context, &dir, &name);
    if content.0.is_empty() {
        dir.remove_file(&name)?;
        return Ok(dir.sync()?);
    }
    Ok(dir.replace_file(&name, &content.to_bytes()?, PRIVATE, context.ids(Owner::Demisto)?)?)
}

fn write(context: &Context, path: &str, what: &OneTime) -> Result<()> {
    let (dir, name) = open(context.root, path, context.owners)?;
    let mut content = Content::read(&dir, &name)?;
    let unfit = |()| Error::OneTime { path: dir.path_of(&name), why: "its users or API keys are no list" };
    content.merge(what).map_err(unfit)?;
    Ok(dir.replace_file(&name, &content.to_bytes()?, PRIVATE, context.ids(Owner::Demisto)?)?)
}

/// Keeps a copy of the file, with the former passphrase in it if there is one: what is put back then opens
/// the former key.
pub(super) fn before(path: &str, number: usize, context: &Context, journal: &Journal) -> Result<Before> {
    let (dir, name) = open(context.root, path, context.owners)?;
    let before = prepare::file_in(&dir, &name, number, journal)?;
    let Some(former) = &context.secrets.previous_keypass else { return Ok(before) };
    let mut content = Content::read(&dir, &name)?;
    content.set_keypass(former);
    let copy = number.to_string();
    journal.backup_dir()?.replace_file(&copy, &content.to_bytes()?, 0o600, None)?;
    let us = Ids { uid: sys::env::uid(), gid: sys::env::gid() };
    let ids = context.ids(Owner::Demisto)?.unwrap_or(us);
    Ok(Before::File { copy, mode: Mode::new(PRIVATE), uid: ids.uid, gid: ids.gid })
}

/// Keeps a copy of the file that is cleared. What is no file, or too large for one, is not the server's.
pub(super) fn before_clearing(
    path: &str,
    number: usize,
    context: &Context,
    journal: &Journal,
) -> Result<Before> {
    if !context.at(path).parent().is_some_and(Path::is_dir) {
        return Ok(Before::Absent);
    }
    let (dir, name) = open(context.root, path, context.owners)?;
    match dir.stat(&name)? {
        Some(stat) if prepare::is_odd(&stat) => Ok(Before::Kept),
        _ => prepare::file_in(&dir, &name, number, journal),
    }
}

/// Puts back what was there, unless it still is. A secret that was not consumed is overwritten.
pub(super) fn undo(path: &str, before: &Before, context: &Context, journal: &Journal) -> Result<()> {
    if !context.at(path).parent().is_some_and(Path::is_dir) {
        return Ok(());
    }
    let (dir, name) = match open(context.root, path, context.owners) {
        // it was not ours to touch, or is not any more
        Err(error @ Error::OneTimePlace { .. }) => {
            context.sink.warn(error_chain(&error));
            return Ok(());
        }
        other => other?,
    };
    dir.remove_leftover(&name)?;
    let backups = journal.backup_dir()?;
    if is_untouched(&dir, &name, before, &backups)? {
        return Ok(());
    }
    make_way(&dir, &name)?;
    if dir.stat(&name)?.is_some() {
        context.sink.warn(format!("{path} holds what this run wrote; it is overwritten"));
        scrub(context, &dir, &name);
    }
    match before {
        Before::File { copy, mode, uid, gid } => {
            let was = (mode.bits(), Ids { uid: *uid, gid: *gid });
            put_back(&backups, copy, &dir, &name, was)
        }
        _ => {
            dir.remove_file(&name)?;
            Ok(dir.sync()?)
        }
    }
}

/// Whether the file is as it was before.
fn is_untouched(dir: &Dir, name: &str, before: &Before, backups: &Dir) -> Result<bool> {
    let Before::File { copy, mode, uid, gid } = before else { return Ok(false) };
    let was = (mode.bits(), Ids { uid: *uid, gid: *gid });
    if dir.stat(name)?.is_none_or(|stat| stat.kind != Kind::File || (stat.mode, stat.ids) != was) {
        return Ok(false);
    }
    let read = |dir: &Dir, name: &str| {
        let mut bytes = Zeroizing::new(Vec::with_capacity(ROOM));
        let read = dir.open_file(name)?.take(LIMIT + 1).read_to_end(&mut bytes);
        read.map_err(|e| sys::Error::new("read", &dir.path_of(name), e))?;
        Ok::<_, sys::Error>(bytes)
    };
    let (now, then) = (read(dir, name)?, read(backups, copy)?);
    Ok(now.len() as u64 <= LIMIT && now == then)
}

/// Removes the file, and with it what it says. Also where its directory or the service's account is gone.
pub(super) fn clear(context: &Context, path: &str) -> Result<()> {
    if !context.at(path).parent().is_some_and(Path::is_dir) {
        return Ok(());
    }
    let (dir, name) = open(context.root, path, context.owners)?;
    scrub(context, &dir, &name);
    dir.remove_file(&name)?;
    Ok(dir.sync()?)
}

/// That the old bytes cannot be overwritten must not keep the file from going.
fn scrub(context: &Context, dir: &Dir, name: &str) {
    if let Err(error) = dir.scrub(name) {
        context.sink.warn(error_chain(&error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_time() -> OneTime {
        OneTime {
            keypass: Some(Secret::from("new")),
            users: vec![OneTimeUser::new("admin", Secret::from("pw.1"))],
            apikeys: vec![OneTimeKey {
                name: "key".to_owned(),
                username: "admin".to_owned(),
                apikey: Secret::from("ABC"),
            }],
        }
    }

    fn merged(text: &str) -> Value {
        let Ok(Value::Object(map)) = serde_json::from_str(text) else { panic!("{text}") };
        let mut content = Content(map);
        content.merge(&one_time()).unwrap();
        serde_json::from_slice(&content.to_bytes().unwrap()).unwrap()
    }

    #[test]
    fn what_is_there_stays() {
        let new = merged(
            r#"{"other": [1], "KeyPass": "old", "users": [{"username": "x"}, {"username": "admin", "a": 1}]}"#,
        );
        assert_eq!((&new["other"], &new["KeyPass"]), (&serde_json::json!([1]), &Value::from("new")));
        assert!(new.get("keypass").is_none());
        let users = new["users"].as_array().unwrap();
        assert_eq!(
            (users.len(), &users[0]["username"], &users[1]["password"]),
            (2, &"x".into(), &"pw.1".into())
        );
        assert!(users[1].get("a").is_none());
        assert_eq!(merged(&new.to_string()), new, "the same again changes nothing");
    }

    #[test]
    fn lists_have_to_be_lists() {
        let Value::Object(map) = serde_json::json!({ "users": "x" }) else { panic!() };
        assert!(Content(map).merge(&one_time()).is_err());
    }
}
