//! Keys, requests, client certificates, and other forms of keys: new files only, nothing installed.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::certs::forms::{self, Flaw};
use crate::certs::key::{self, Form, Key};
use crate::certs::look::Certificate;
use crate::certs::request::{self, Authority, KeyType, Role, Subject, Wish};
use crate::certs::{self, p12};
use crate::config;
use crate::event::{EventSink, Unit};
use crate::product;
use crate::sys;
use crate::sys::fresh::{NewFile, create_all};
use crate::types::Secret;
use crate::workflow::Session;

/// Mode of files that hold a secret.
const SECRET: u32 = 0o400;
/// Mode of files that everybody may see.
const PUBLIC: u32 = 0o644;
/// Mode of a directory that is made for them.
const DIR: u32 = 0o700;
/// From this many bits on a new RSA key is worth a word while it is made.
const SLOW_BITS: u32 = 4096;

/// Something that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody said which names the certificate shall have.
    #[error("it was not said by which names the certificate is for")]
    NoNames {
        /// Names and addresses that this host is known by.
        known: Vec<String>,
    },
    /// Names of the present certificate that nobody vouched for.
    #[error("the present certificate has names that this host is not known by: {}", .0.join(", "))]
    Foreign(Vec<String>),
    /// A wildcard.
    #[error("{0:?} is a wildcard, which the product does not support")]
    Wildcard(String),
    /// Not fit for a certificate.
    #[error("{0:?} is neither a host name nor an address")]
    Name(String),
    /// Not fit for a client's certificate.
    #[error("{0:?} is no host name, no address and no mail address")]
    ClientName(String),
    /// Something would have to be overwritten.
    #[error("{} exists, and nothing is ever overwritten", .0.display())]
    Exists(PathBuf),
    /// A file for certificates was named and there are none.
    #[error("there is no certificate that could be written to {}", .0.display())]
    NoCertificate(PathBuf),
    /// A file for the key was named and there is none.
    #[error("there is no private key that could be written to {}", .0.display())]
    NoKey(PathBuf),
    /// Nobody said where the result goes.
    #[error("it was not said where it goes")]
    NoPlace,
    /// More than one key.
    #[error("several of the files hold a private key")]
    SeveralKeys,
}

/// What was made.
#[derive(Debug, Serialize)]
pub struct Made {
    /// The private key.
    pub key: PathBuf,
    /// What kind of key.
    pub kind: String,
    /// Whether the key has a passphrase.
    pub encrypted: bool,
    /// The request, if a CA still has to sign.
    pub request: Option<PathBuf>,
    /// The certificate with those above it, if a local CA has signed.
    pub certificate: Option<PathBuf>,
    /// When it expires.
    pub expires: Option<Timestamp>,
    /// Whether it lasts shorter than was asked for, because its CA does.
    pub cut_short: bool,
    /// The file for browsers.
    pub p12: Option<PathBuf>,
    /// The names in the certificate.
    pub names: Vec<String>,
}

/// A key and what it is for.
#[derive(Debug)]
pub struct Order {
    /// Where the files go; made if it is not there.
    pub dir: PathBuf,
    /// What they are called, without their ending: `cert`, `client`.
    pub stem: String,
    /// The kind of key.
    pub key_type: KeyType,
    /// What the certificate is to say.
    pub wish: Wish,
    /// The passphrase of the key.
    pub passphrase: Option<Secret>,
}

/// The names that a server's or engine's certificate may want on this host: that of the configuration
/// (`Server.ExternalHostName`), the host's own, and its addresses.
#[must_use]
pub fn known_names(session: &Session) -> Vec<String> {
    let read = |path: &str| sys::fs::read_beneath(&session.root, path, 1 << 20).unwrap_or_default();
    let text = |path: &str| String::from_utf8_lossy(&read(path)).into_owned();
    let external = config::external_host(&text(product::CONFIG_FILE));
    let host = match session.is_live() {
        true => sys::env::hostname(),
        false => text("/etc/hostname").trim().to_owned(),
    };
    let full = full_name(&text("/etc/hosts"), &host);
    let addresses = if session.is_live() { sys::net::own_addresses() } else { Vec::new() };
    let mut names: Vec<String> = external.into_iter().chain(full).chain([host]).collect();
    names.extend(addresses.iter().map(ToString::to_string));
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| request::is_host_name(name) && name != "localhost" && seen.insert(name.clone()));
    names
}

/// Refuses names that this host is not known by, but for those that are `agreed`: the present certificate is the
/// service's, which may have put any names into it.
///
/// # Errors
/// With such names.
pub fn vouch(session: &Session, names: &[String], agreed: &[String]) -> Result<()> {
    let known = known_names(session);
    let is_local = |name: &str| match name.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    };
    let is_known = |name: &String| known.iter().chain(agreed).any(|known| known.eq_ignore_ascii_case(name));
    let foreign: Vec<String> =
        names.iter().filter(|name| !is_local(name) && !is_known(name)).cloned().collect();
    if foreign.is_empty() { Ok(()) } else { Err(Error::Foreign(foreign).into()) }
}

/// The name with a domain that `/etc/hosts` has for a host (hosts(5)).
fn full_name(hosts: &str, host: &str) -> Option<String> {
    let lines = hosts.lines().filter_map(|line| line.split('#').next());
    let mut names = lines.map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>());
    let line = names.find(|names| names.contains(&host))?;
    line.into_iter().find(|name| name.starts_with(host) && name.contains('.')).map(str::to_owned)
}

/// What a server's or engine's certificate is to say.
///
/// # Errors
/// When there is no name, or one cannot be in such a certificate.
pub fn wish(names: Vec<String>, subject: Option<Subject>, role: Role) -> Result<Wish> {
    if let Some(bad) = names.iter().find(|name| name.contains('*')) {
        return Err(Error::Wildcard(bad.clone()).into());
    }
    match role {
        Role::Server => {
            if let Some(bad) = names.iter().find(|name| !request::is_host_name(name)) {
                return Err(Error::Name(bad.clone()).into());
            }
        }
        Role::Client => {
            let fine = |name: &String| request::is_host_name(name) || request::is_mail_address(name);
            if let Some(bad) = names.iter().find(|name| !fine(name)) {
                return Err(Error::ClientName(bad.clone()).into());
            }
        }
    }
    let mut seen = std::collections::HashSet::new();
    let names: Vec<String> =
        names.into_iter().filter(|name| seen.insert(name.to_ascii_lowercase())).collect();
    let first = names.first().cloned().ok_or(Error::NoNames { known: Vec::new() })?;
    Ok(Wish { subject: subject.unwrap_or_else(|| Subject::common(&first)), names, role })
}

impl Order {
    fn path(&self, ending: &str) -> PathBuf {
        self.dir.join(format!("{}.{ending}", self.stem))
    }

    /// Refuses to go on when a file would be in the way: before a key is made, and a passphrase asked for.
    ///
    /// # Errors
    /// With the first such file.
    pub fn refuse_existing(&self, endings: &[&str]) -> Result<()> {
        match endings.iter().map(|ending| self.path(ending)).find(|path| sys::fs::exists(path)) {
            Some(path) => Err(Error::Exists(path).into()),
            None => Ok(()),
        }
    }

    /// Makes the key; also gives its file.
    fn key(&self, sink: &dyn EventSink) -> Result<(Key, NewFile)> {
        let slow = matches!(self.key_type, KeyType::Rsa(bits) if bits >= SLOW_BITS);
        if slow {
            sink.begin(format!("making a key, {}", self.key_type), 0, Unit::Items);
        }
        let key = self.key_type.generate()?;
        if slow {
            sink.end("");
        }
        let pem = key.to_pem(self.passphrase.as_ref())?;
        let bytes = Zeroizing::new(pem.as_bytes().to_vec());
        Ok((key, NewFile { path: self.path("key"), bytes, mode: SECRET }))
    }

    fn made(&self, key: &Key) -> Made {
        Made {
            key: self.path("key"),
            kind: key.kind().to_string(),
            encrypted: self.passphrase.is_some(),
            request: None,
            certificate: None,
            expires: None,
            cut_short: false,
            p12: None,
            names: self.wish.names.clone(),
        }
    }
}

pub(super) fn public(path: &Path, text: &str) -> NewFile {
    NewFile { path: path.to_owned(), bytes: Zeroizing::new(text.as_bytes().to_vec()), mode: PUBLIC }
}

/// Writes new files; what is there stays.
pub(super) fn write(files: &[NewFile]) -> Result<()> {
    for file in files {
        if let Some(dir) = file.path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            sys::fs::create_dir_all(dir, DIR)?;
        }
    }
    match create_all(files) {
        Err(e) if e.source.kind() == std::io::ErrorKind::AlreadyExists => Err(Error::Exists(e.path).into()),
        other => Ok(other?),
    }
}

/// Makes a key and a request for its certificate: `STEM.key` and `STEM.csr`, both or none.
///
/// # Errors
/// When one exists or cannot be written.
pub fn csr(order: &Order, sink: &dyn EventSink) -> Result<Made> {
    order.refuse_existing(&["key", "csr"])?;
    let (key, secret) = order.key(sink)?;
    let request = public(&order.path("csr"), &order.wish.request(&key)?);
    // the key last: where it is, its request is, too
    write(&[request, secret])?;
    Ok(Made { request: Some(order.path("csr")), ..order.made(&key) })
}

/// A local CA that signs.
#[derive(Debug)]
pub struct Signing {
    authority: Authority,
    /// Its certificate and those above it.
    chain: Vec<Certificate>,
    /// How many days what it signs is valid.
    days: u32,
    now: Timestamp,
}

impl Signing {
    /// Opens a CA: its certificate, perhaps with those above it in the same file, and its key.
    ///
    /// # Errors
    /// When one cannot be read, they do not belong together, or it is no CA that the product accepts.
    pub fn open(
        certificate: &Path,
        key: &Source,
        passphrase: Option<&Secret>,
        (now, days): (Timestamp, u32),
    ) -> Result<Self> {
        let bytes = sys::fs::read_limited(certificate, key::LIMIT)?;
        let contents = forms::read(&bytes, None).with_context(|| cannot_use(certificate))?;
        let key = key::read(&key.bytes, passphrase).with_context(|| cannot_use(&key.path))?.key;
        let chain =
            forms::order(&contents.certificates, Some(&key)).with_context(|| cannot_use(certificate))?.chain;
        let own =
            chain.first().cloned().ok_or(certs::Error::Authority("there is no certificate in the file"))?;
        let authority = Authority::new(own, key, now).with_context(|| cannot_use(certificate))?;
        Ok(Self { authority, chain, days, now })
    }
}

fn cannot_use(path: &Path) -> String {
    format!("cannot use {}", path.display())
}

/// Makes a client's key, its certificate by a local CA, and the file for browsers if it has a passphrase:
/// `STEM.key`, `STEM.pem` and `STEM.p12`, all or none.
///
/// # Errors
/// When one exists or cannot be written.
pub fn client(order: &Order, ca: &Signing, p12: Option<&Secret>, sink: &dyn EventSink) -> Result<Made> {
    order.refuse_existing(&["key", "pem", "p12"])?;
    let (key, secret) = order.key(sink)?;
    let leaf = order.wish.certificate(&key, &ca.authority, ca.now, ca.days)?;
    let mut made = Made {
        certificate: Some(order.path("pem")),
        expires: Some(leaf.not_after),
        cut_short: ca.authority.ends_within(ca.now, ca.days),
        ..order.made(&key)
    };
    let chain: Vec<Certificate> = std::iter::once(leaf).chain(ca.chain.iter().cloned()).collect();
    let mut files = vec![public(&order.path("pem"), &forms::to_pem(&chain)?)];
    if let Some(passphrase) = p12 {
        let name = order.wish.names.first().map_or("client", String::as_str);
        let bytes = p12::write(name, &key, &chain, passphrase)?;
        files.push(NewFile { path: order.path("p12"), bytes, mode: SECRET });
        made.p12 = Some(order.path("p12"));
    }
    files.push(secret);
    write(&files)?;
    Ok(made)
}

/// A file that is converted or that holds a CA's key, read once.
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    bytes: Zeroizing<Vec<u8>>,
    form: Option<Form>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("path", &self.path).field("form", &self.form).finish_non_exhaustive()
    }
}

impl Source {
    /// Reads it.
    ///
    /// # Errors
    /// When it cannot be read, is too large, or its key is damaged.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = Zeroizing::new(sys::fs::read_limited(path, key::LIMIT)?);
        let form = match key::form(&bytes) {
            Ok(form) => Some(form),
            Err(key::Error::NoKey) => None,
            Err(error) => return Err(error).with_context(|| cannot_use(path)),
        };
        Ok(Self { path: path.to_owned(), bytes, form })
    }

    /// Whether what is in it can be opened with a passphrase only.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.form.as_ref().is_some_and(|form| form.encrypted && form.syntax != key::Syntax::OpenSsh)
    }

    /// Whether others than its owner can read a private key in it that has no passphrase.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        let open = self.form.as_ref().is_some_and(|form| !form.encrypted);
        open && sys::fs::stat(&self.path).ok().flatten().is_some_and(|stat| stat.mode & 0o077 != 0)
    }
}

/// What was found in files, in the form that the product reads.
#[derive(Debug)]
pub struct Opened {
    key: Option<Key>,
    /// Whether the key had a passphrase.
    pub encrypted: bool,
    /// The certificates, leaf first.
    pub chain: Vec<Certificate>,
    /// What was not as the product wants it.
    pub flaws: Vec<Flaw>,
}

/// Opens files that together hold at most one key, and its certificates.
///
/// # Errors
/// When one cannot be opened, the key is none that the product takes, or they do not belong together.
pub fn open(sources: &[Source], passphrase: Option<&Secret>) -> Result<Opened> {
    let mut opened = Opened { key: None, encrypted: false, chain: Vec::new(), flaws: Vec::new() };
    let mut certificates = Vec::new();
    for source in sources {
        let contents = forms::read(&source.bytes, passphrase).with_context(|| cannot_use(&source.path))?;
        if let Some(found) = contents.key {
            if opened.key.is_some() {
                return Err(Error::SeveralKeys.into());
            }
            found.key.check().with_context(|| cannot_use(&source.path))?;
            opened.encrypted = found.form.encrypted;
            opened.key = Some(found.key);
        }
        certificates.extend(contents.certificates);
        opened.flaws.extend(
            contents.flaws.into_iter().filter(|flaw| !opened.flaws.contains(flaw)).collect::<Vec<_>>(),
        );
    }
    let ordered = forms::order(&certificates, opened.key.as_ref())?;
    opened.chain = ordered.chain;
    opened.flaws.extend(ordered.flaws);
    Ok(opened)
}

/// Where a converted pair goes.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The key, if it is to be written.
    pub key: Option<PathBuf>,
    /// The certificates, if they are to be written.
    pub chain: Option<PathBuf>,
}

/// What was converted.
#[derive(Debug, Serialize)]
pub struct Converted {
    /// The key's file, and what kind of key it is.
    pub key: Option<(PathBuf, String)>,
    /// Whether it has a passphrase.
    pub encrypted: bool,
    /// The certificates' file, and how many there are.
    pub chain: Option<(PathBuf, usize)>,
}

impl Opened {
    /// Whether the files are as the product wants them already, with or without a passphrase.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.flaws.is_empty()
    }

    /// Where it goes when a directory is named: `cert.key` and `cert.pem`, those that there are.
    #[must_use]
    pub fn places(&self, dir: &Path) -> Places {
        Places {
            key: self.key.as_ref().map(|_| dir.join("cert.key")),
            chain: (!self.chain.is_empty()).then(|| dir.join("cert.pem")),
        }
    }

    /// Writes key and certificates, both or none.
    ///
    /// # Errors
    /// When there is nothing for a place, or a file exists or cannot be written.
    pub fn write(&self, places: &Places, passphrase: Option<&Secret>) -> Result<Converted> {
        let mut files = Vec::new();
        let mut done = Converted { key: None, encrypted: passphrase.is_some(), chain: None };
        if let Some(path) = &places.chain {
            if self.chain.is_empty() {
                return Err(Error::NoCertificate(path.clone()).into());
            }
            files.push(public(path, &forms::to_pem(&self.chain)?));
            done.chain = Some((path.clone(), self.chain.len()));
        }
        if let Some(path) = &places.key {
            let key = self.key.as_ref().ok_or_else(|| Error::NoKey(path.clone()))?;
            let bytes = Zeroizing::new(key.to_pem(passphrase)?.as_bytes().to_vec());
            files.push(NewFile { path: path.clone(), bytes, mode: SECRET });
            done.key = Some((path.clone(), key.kind().to_string()));
        }
        if files.is_empty() {
            return Err(Error::NoPlace.into());
        }
        write(&files)?;
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_full_name_is_the_one_with_a_domain() {
        let hosts =
            "127.0.0.1 localhost\n# 10.0.0.1 soar.old soar\n10.0.0.1 alias soar.example.test soar # x\n";
        assert_eq!(full_name(hosts, "soar").as_deref(), Some("soar.example.test"));
        assert_eq!(full_name(hosts, "other"), None);
        assert_eq!(full_name(hosts, "localhost"), None);
    }

    #[test]
    fn names_are_judged_before_anything_is_made() {
        let server =
            |names: &[&str]| wish(names.iter().map(|name| (*name).to_owned()).collect(), None, Role::Server);
        assert_eq!(server(&["a.test", "A.TEST", "10.0.0.1"]).unwrap().names, ["a.test", "10.0.0.1"]);
        assert!(server(&[]).unwrap_err().to_string().contains("names"));
        assert!(server(&["*.test"]).unwrap_err().to_string().contains("wildcard"));
        assert!(server(&["a b"]).unwrap_err().to_string().contains("neither a host name"));
        assert!(server(&["a@b.test"]).is_err());
        assert!(wish(vec!["a@b.test".to_owned()], None, Role::Client).is_ok());
    }
}
