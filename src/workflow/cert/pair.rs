//! Pairs of chain and key as they lie on the host: the one that counts, the one that was replaced last, and
//! the places where one may be put.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use zeroize::Zeroizing;

use super::check;
use super::install::Error;
use super::make::{self, Order};
use crate::certs;
use crate::certs::look::{Chain, Name};
use crate::certs::request::{KeyType, Role, Subject};
use crate::config;
use crate::host::Accounts;
use crate::product::{self, PairKind, PairPaths, under};
use crate::sys;
use crate::sys::dir::{Ids, Kind, Stat};
use crate::types::{Digest, Mode};
use crate::workflow::{Session, install, upgrade};

/// Largest chain or key that is read.
const LIMIT: u64 = 1 << 20;
/// Largest configuration that is read.
const CONFIG_LIMIT: u64 = 4 << 20;
/// Mode of chain and key.
pub(super) const KEY_MODE: Mode = Mode::new(0o400);

/// A chain and its key, read once.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) chain: String,
    pub(super) key: Zeroizing<String>,
    pub(super) from: PairPaths,
}

impl Content {
    pub(super) fn is_encrypted(&self) -> bool {
        certs::is_encrypted(&self.key)
    }
}

/// The text of this installation's configuration; an empty object where there is none. It may hold secrets.
///
/// # Errors
/// When it cannot be read, or is no JSON.
pub(in crate::workflow) fn configuration(session: &Session) -> Result<Zeroizing<String>> {
    configuration_at(session, &session.site.config_file())
}

/// Reads a file as the product does: on the running system also through links. Elsewhere those would lead out
/// of the root.
pub(in crate::workflow) fn read_in(session: &Session, path: &str) -> sys::Result<Zeroizing<Vec<u8>>> {
    let bytes = if session.is_live() {
        sys::fs::read_configured(Path::new(path), CONFIG_LIMIT)
    } else {
        sys::fs::read_configured_beneath(&session.root, path, CONFIG_LIMIT)
    };
    bytes.map(Zeroizing::new)
}

/// As [`configuration`], of the one at `path`.
pub(super) fn configuration_at(session: &Session, path: &str) -> Result<Zeroizing<String>> {
    let bytes = match read_in(session, path) {
        Err(e) if e.is_not_found() => return Ok(Zeroizing::new("{}".to_owned())),
        other => other?,
    };
    let text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
    config::value(&text, config::HTTPS_PORT).with_context(|| format!("{path} cannot be used"))?;
    Ok(text)
}

/// Where the pair lies that counts.
pub(in crate::workflow) fn places(session: &Session, kind: PairKind, text: &str) -> PairPaths {
    let (chain, key) = kind.path_keys();
    let usual = session.site.pair(kind);
    PairPaths {
        chain: config::text(text, chain).unwrap_or(usual.chain),
        key: config::text(text, key).unwrap_or(usual.key),
    }
}

/// Reads a chain and its key as they are given.
pub(in crate::workflow) fn read_pair(chain: &Path, key: &Path) -> Result<(String, Zeroizing<String>)> {
    let bytes = Zeroizing::new(sys::fs::read_limited(chain, LIMIT)?);
    if sys::fs::read_limited(key, LIMIT).is_ok_and(|key| certs::are_exchanged(&bytes, &Zeroizing::new(key))) {
        return Err(certs::Error::Exchanged.into());
    }
    Ok((certs::chain_text(bytes.to_vec())?, install::read_key(key)?))
}

pub(super) fn read_given(chain: &Path, key: &Path) -> Result<Content> {
    let from = PairPaths { chain: chain.display().to_string(), key: key.display().to_string() };
    let (chain, key) = read_pair(chain, key)?;
    Ok(Content { chain, key, from })
}

/// The pair in its place; `None` unless both are there.
pub(super) fn read_installed(session: &Session, at: &PairPaths) -> Result<Option<Content>> {
    let read = |path: &str| match sys::fs::read_configured_beneath(&session.root, path, LIMIT) {
        Err(e) if e.is_not_found() => Ok(None),
        other => other.map(Some),
    };
    let (Some(chain), Some(key)) = (read(&at.chain)?, read(&at.key)?) else { return Ok(None) };
    let (key, chain) = (Zeroizing::new(key), String::from_utf8_lossy(&chain).into_owned());
    let key = Zeroizing::new(String::from_utf8_lossy(&key).into_owned());
    Ok(Some(Content { chain, key, from: at.clone() }))
}

/// A file of the pair that was replaced last.
pub(super) fn kept_file(session: &Session, kind: PairKind, name: &str) -> Result<Vec<u8>> {
    let path = format!("{}/{name}", session.site.kept_pair(kind));
    sys::fs::read_beneath(&session.root, &path, LIMIT).map_err(|e| match e.is_not_found() {
        true => Error::NothingKept(kind.word()).into(),
        false => e.into(),
    })
}

/// Where that pair was.
pub(super) fn kept_place(session: &Session, kind: PairKind) -> Result<PairPaths> {
    let record = kept_file(session, kind, product::KEPT_RECORD)?;
    Ok(serde_json::from_slice(&record).map_err(|_| Error::NothingKept(kind.word()))?)
}

/// The pair that counts now.
pub(super) fn present(session: &Session, kind: PairKind) -> Result<Content> {
    if !upgrade::is_present(session)? {
        return Err(session.missing());
    }
    let now = places(session, kind, &configuration(session)?);
    let none = || Error::NoPair { chain: now.chain.clone(), key: now.key.clone() };
    Ok(read_installed(session, &now)?.ok_or_else(none)?)
}

/// Whether the certificate that is there is one that this program signed with its own key.
///
/// # Errors
/// When there is none.
pub fn is_self_made(session: &Session, kind: PairKind) -> Result<bool> {
    Ok(certs::is_self_made(&present(session, kind)?.chain))
}

/// Whether the certificate that is wanted is in its place already.
///
/// # Errors
/// When it is neither that one nor the kept one, or they cannot be read.
pub fn is_rolled_back(session: &Session, kind: PairKind, wanted: Digest) -> Result<bool> {
    let now = present(session, kind).and_then(|now| Ok(certs::leaf_digest(&now.chain)?));
    if now.is_ok_and(|now| now == wanted) {
        return Ok(true);
    }
    let kept = certs::leaf_digest(&read_kept(session, kind)?.chain)?;
    if kept == wanted { Ok(false) } else { Err(Error::OtherKept { wanted, kept }.into()) }
}

pub(super) fn read_kept(session: &Session, kind: PairKind) -> Result<Content> {
    let chain = String::from_utf8_lossy(&kept_file(session, kind, product::KEPT_CHAIN)?).into_owned();
    let key = Zeroizing::new(kept_file(session, kind, product::KEPT_KEY)?);
    let key = Zeroizing::new(String::from_utf8_lossy(&key).into_owned());
    let label = |name: &str| format!("{}/{name}", session.site.kept_pair(kind));
    let from = PairPaths { chain: label(product::KEPT_CHAIN), key: label(product::KEPT_KEY) };
    Ok(Content { chain, key, from })
}

/// Where chain and key go, and who says so.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) to: &'a PairPaths,
    /// Whether the caller named it, and not the configuration or the record of a kept pair.
    pub(super) named: bool,
}

impl Target<'_> {
    /// Whether chain and key may be written there. What the configuration says may be the service's work: it
    /// must not choose which file of root's becomes its own, nor where it gets a new one.
    pub(super) fn check(&self, session: &Session, kind: PairKind) -> Result<()> {
        if self.to.chain == self.to.key {
            let why = "chain and key need a file each";
            return Err(Error::Place { path: under(&session.root, &self.to.key), why }.into());
        }
        let usual = session.site.pair(kind);
        is_fit(session, (&self.to.chain, &usual.chain), self.named)?;
        is_fit(session, (&self.to.key, &usual.key), self.named)?;
        is_open(session, self.to)
    }
}

/// A file that is there has to be the service's, but for the `usual` one. In the tree no link is followed;
/// elsewhere every directory has to be root's alone, so nobody else changes what was looked at, and a new
/// file is made only where the caller `named` it.
fn is_fit(session: &Session, (path, usual): (&str, &str), named: bool) -> Result<()> {
    let refused = |path: PathBuf, why| Err(Error::Place { path, why }.into());
    let full = under(&session.root, path);
    let clean = path.starts_with('/') && path.split('/').skip(1).all(|part| !matches!(part, "" | "." | ".."));
    if !clean {
        return refused(full, "an absolute path is needed");
    }
    let there = sys::fs::stat(&full)?;
    if there.is_some_and(|stat| stat.kind != Kind::File) {
        return refused(full, "there is something else than a regular file");
    }
    if path == usual {
        return Ok(());
    }
    let inside = path.strip_prefix(&session.site.tree()).is_some_and(|rest| rest.starts_with('/'));
    let mut dir = session.root.clone();
    for part in path.split('/').skip(1) {
        let is_ours = |stat: &Stat| {
            let owner = stat.ids.uid == 0 || stat.ids.uid == sys::env::uid();
            stat.kind == Kind::Dir && (inside || owner && stat.mode & 0o022 == 0)
        };
        if dir != session.root && !sys::fs::stat(&dir)?.is_some_and(|stat| is_ours(&stat)) {
            return refused(dir, "it is no directory, or others than root can change it");
        }
        dir.push(part);
    }
    match there.map(|stat| stat.ids.uid) {
        Some(uid) if Some(uid) != service_ids(session)?.map(|ids| ids.uid) && uid != sys::env::uid() => {
            refused(full, "the file there does not belong to the service")
        }
        Some(0) if owners(session)? => refused(full, "the file there belongs to root"),
        None if !inside && !named => Err(Error::Unnamed { path: full }.into()),
        _ => Ok(()),
    }
}

/// Whether the service can go all the way to both files: without, it would not start with them.
fn is_open(session: &Session, to: &PairPaths) -> Result<()> {
    let service = if owners(session)? { service_ids(session)? } else { None };
    let Some(service) = service else { return Ok(()) };
    for path in [&to.chain, &to.key] {
        if let Some(dir) = check::closed(session, path, service)?.into_iter().next() {
            return Err(Error::Closed { path: under(&session.root, path), dir }.into());
        }
    }
    Ok(())
}

pub(super) fn service_ids(session: &Session) -> Result<Option<Ids>> {
    Ok(Accounts::look_up(&session.root, product::SERVICE_USER)?.ids())
}

/// Whether owners are set.
pub(super) fn owners(session: &Session) -> Result<bool> {
    let receipt = session.receipt()?;
    Ok(receipt.map_or_else(sys::env::is_root, |receipt| receipt.owners))
}

pub(super) fn is_there(session: &Session, path: &str, sha256: Digest, owner: Option<Ids>) -> Result<bool> {
    let Some(stat) = sys::fs::stat(&under(&session.root, path))? else { return Ok(false) };
    if stat.mode != KEY_MODE.bits() || owner.is_some_and(|owner| owner != stat.ids) {
        return Ok(false);
    }
    Ok(Digest::of(&Zeroizing::new(sys::fs::read_beneath(&session.root, path, LIMIT)?)) == sha256)
}

pub(in crate::workflow) fn config_digest(session: &Session) -> Result<Option<Digest>> {
    match sys::fs::read_beneath(&session.root, &session.site.config_file(), CONFIG_LIMIT) {
        Err(e) if e.is_not_found() => Ok(None),
        other => Ok(Some(Digest::of(&Zeroizing::new(other?)))),
    }
}

/// A new key and request in `dir` with the names, subject and kind of key of the certificate that is there.
///
/// # Errors
/// When there is none, or it has a name that a new one may not have.
pub fn next_order(session: &Session, kind: PairKind, dir: &Path) -> Result<Order> {
    let chain = Chain::parse(present(session, kind)?.chain.as_bytes());
    let leaf = chain.certificates.first().ok_or(certs::Error::Chain("the file holds no certificate"))?;
    let role = if kind == PairKind::Client { Role::Client } else { Role::Server };
    let fits = |name: &&Name| match name {
        Name::Dns(_) | Name::Ip(_) => true,
        Name::Email(_) => role == Role::Client,
        Name::Uri(_) | Name::Other(_) => false,
    };
    let names = leaf.names.iter().filter(fits).map(ToString::to_string).collect();
    let (file, _) = kind.names();
    Ok(Order {
        dir: dir.to_owned(),
        stem: file.trim_end_matches(".pem").to_owned(),
        key_type: KeyType::like(leaf),
        wish: make::wish(names, Some(Subject::of(leaf)), role)?,
        passphrase: None,
    })
}
