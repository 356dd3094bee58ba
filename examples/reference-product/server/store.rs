//! The product's data: `/var/lib/demisto/data`, readable by the service user only.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::common::files;
use crate::common::log::Log;
use crate::common::release::Release;
use crate::users::User;

/// The data directory and what was read from it.
pub(crate) struct Store {
    directory: PathBuf,
    schema: u64,
    users: Vec<User>,
}

/// The content of `schema.json`.
#[derive(Serialize, Deserialize)]
struct Mark {
    schema: u64,
    written_by: String,
}

impl Store {
    /// Opens the data, bringing it forward to the release's schema first.
    pub(crate) fn open(directory: PathBuf, release: &Release, log: &Log) -> anyhow::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        let mark: Option<Mark> = load(&directory.join("schema.json"))?;
        let users: Option<Vec<User>> = load(&directory.join("users.json"))?;
        // Data without a mark is either absent or from before marks were written.
        let oldest = if users.is_some() { 1 } else { release.schema };
        let found = mark.as_ref().map_or(oldest, |mark| mark.schema);
        if found > release.schema {
            bail!("data schema {found} is newer than this release reads ({})", release.schema);
        }
        let mut store = Self { directory, schema: found, users: users.unwrap_or_default() };
        while store.schema < release.schema {
            store.migrate(log)?;
        }
        if mark.is_none_or(|mark| mark.schema != release.schema || mark.written_by != release.version) {
            store.mark(&release.version)?;
        }
        Ok(store)
    }

    /// One schema forward. Safe to repeat, since the mark is written after the last one only.
    fn migrate(&mut self, log: &Log) -> anyhow::Result<()> {
        let next = self.schema + 1;
        self.schema = next;
        for user in &mut self.users {
            user.bring_to(next);
        }
        self.save_users()?;
        log.info(format!("migrated data from schema {} to {next} ({} users)", next - 1, self.users.len()));
        Ok(())
    }

    fn mark(&self, version: &str) -> anyhow::Result<()> {
        let mark = Mark { schema: self.schema, written_by: version.to_owned() };
        self.save("schema.json", &mark)
    }

    pub(crate) fn users(&self) -> &[User] {
        &self.users
    }

    /// Ends the use of the data; the users go on in memory.
    pub(crate) fn into_users(self) -> Vec<User> {
        self.users
    }

    /// Adds a user or puts it in the place of one with the same name; true when it was there.
    pub(crate) fn put_user(&mut self, mut user: User) -> anyhow::Result<bool> {
        user.bring_to(self.schema);
        let old = self.users.iter_mut().find(|old| old.username == user.username);
        let replaced = old.is_some();
        match old {
            Some(old) => *old = user,
            None => self.users.push(user),
        }
        self.save_users()?;
        Ok(replaced)
    }

    fn save_users(&self) -> anyhow::Result<()> {
        self.save("users.json", &self.users)
    }

    /// Keeps the hashed API keys; they replace those of the same name.
    pub(crate) fn put_api_key(&self, name: &str, record: Value) -> anyhow::Result<()> {
        let file = "apikeys.json";
        let kept: Option<Vec<Value>> = load(&self.directory.join(file))?;
        let mut keys = kept.unwrap_or_default();
        keys.retain(|key| key.get("name").and_then(Value::as_str) != Some(name));
        keys.push(record);
        self.save(file, &keys)
    }

    /// The passphrase of the server's key, kept so that a restart needs no person.
    pub(crate) fn passphrase(&self) -> anyhow::Result<Option<String>> {
        let path = self.directory.join("keypass");
        let Some(content) = files::read_if_there(&path)? else { return Ok(None) };
        let text = String::from_utf8(content);
        // The error of the conversion would hold the content.
        text.map(Some).map_err(|_| anyhow::anyhow!("{} is damaged", path.display()))
    }

    pub(crate) fn keep_passphrase(&self, passphrase: &str) -> anyhow::Result<()> {
        self.write("keypass", passphrase.as_bytes())
    }

    fn save(&self, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec_pretty(value)?;
        text.push(b'\n');
        self.write(name, &text)
    }

    /// Where a file of the data directory lies.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes a file of the data directory so that a crash leaves the old or the new one.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        let path = self.path(name);
        let new = self.path(&format!(".{name}.new"));
        let written = || -> std::io::Result<()> {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.directory)?.sync_all()
        };
        written().with_context(|| format!("cannot write {}", path.display()))
    }
}

fn load<T: for<'de> Deserialize<'de>>(path: &Path) -> anyhow::Result<Option<T>> {
    let Some(text) = files::read_if_there(path)? else { return Ok(None) };
    // Only the place is told: the parser's own words may quote what stands there.
    match serde_json::from_slice(&text) {
        Ok(value) => Ok(Some(value)),
        Err(error) => bail!("{} is damaged at line {}", path.display(), error.line()),
    }
}
