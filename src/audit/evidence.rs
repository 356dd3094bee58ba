//! What the requirements are judged by.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::policy::Line;
use crate::product::Site;
use crate::productlog::Facts;
use crate::types::{Digest, Version};

/// Something that was looked at, or why it could not be.
pub type Seen<T> = Result<T, String>;

/// All that was seen of one installation. Never holds a secret.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Which installation.
    pub site: Site,
    /// The operating system, if it says what it is.
    pub system: Option<System>,
    /// What the receipt says; nothing where this program has no record of the installation.
    pub record: Option<Record>,
    /// What the recorded signatures are worth now.
    pub signature: Seen<Signature>,
    /// The recorded manifest, and the one that was installed.
    pub artefact: Seen<Artefact>,
    /// What is installed, compared with what was signed.
    pub comparison: Seen<Comparison>,
    /// Whether the service runs.
    pub runs: bool,
    /// What the product's log says.
    pub log: Seen<Facts>,
    /// The configuration's path.
    pub config_path: String,
    /// The values that the configuration gives to [`KEYS`](super::KEYS), by those names.
    pub values: Seen<BTreeMap<&'static str, Value>>,
    /// The password policy of the configuration, row by row.
    pub policy: Seen<Vec<Line>>,
    /// Why the configuration is no JSON, if it is none.
    pub config_problem: Option<String>,
    /// Keys of which the configuration says two things: the name that is there twice, or a part of it, and what was
    /// found.
    pub ambiguous: Vec<(String, String)>,
    /// Files and directories whose owners and modes count, if they are there.
    pub files: Seen<Vec<WatchedFile>>,
    /// The certificates and keys that are installed.
    pub certificates: Seen<Vec<Certificates>>,
    /// Where a one-time configuration may be, and whether there is one. Nothing for an engine.
    pub one_time: Option<Vec<(String, bool)>>,
    /// Properties of the unit as systemd has them, by lower-case name, and where they were read.
    pub unit: Seen<(String, BTreeMap<String, String>)>,
    /// What the service shows in TLS.
    pub handshake: Seen<Handshake>,
    /// What came of a login with the default password, if it was asked for.
    pub login: Option<Login>,
}

/// An operating system (os-release(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// `ID`.
    pub id: String,
    /// `VERSION_ID`.
    pub version: String,
    /// `PRETTY_NAME`.
    pub name: String,
}

/// What the receipt says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The release as people name it.
    pub release: String,
    /// Its version.
    pub version: Version,
    /// Fingerprints of the pinned signers.
    pub signers: Vec<String>,
    /// The first administrator's name; empty where another installer made it.
    pub admin_name: String,
    /// When it was installed.
    pub installed_at: String,
}

/// What the recorded signatures are worth now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Whether the policy accepts them.
    pub accepted: bool,
    /// Why, in words.
    pub reason: String,
    /// Fingerprints of those who signed.
    pub signers: Vec<String>,
}

/// Two digests that have to be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Artefact {
    /// Of the recorded manifest.
    pub recorded: Digest,
    /// Of the one that was installed.
    pub installed: Digest,
}

/// What differs from what was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// How many files were compared.
    pub compared: usize,
    /// What differs: path and word.
    pub drift: Vec<String>,
}

/// A file or directory whose owner and mode count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedFile {
    /// Its path.
    pub path: String,
    /// What it is for.
    pub kept: Kept,
    /// Its permissions.
    pub mode: u32,
    /// Its owner and group by name.
    pub owner: String,
    /// Whether its owner is another than it should be; never where owners do not count.
    pub foreign_owner: bool,
    /// The same of its group.
    pub foreign_group: bool,
}

/// What a watched file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The configuration; true when it holds a passphrase.
    Configuration(bool),
    /// A directory of data or logs.
    Directory,
    /// A certificate chain or a private key.
    Pair,
}

/// Certificates that are installed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificates {
    /// What they are for.
    pub title: String,
    /// The files that are there.
    pub files: Vec<String>,
    /// Files that are there and cannot be read, and why.
    pub unread: Vec<String>,
    /// What each certificate is, the leaf first.
    pub seen: Vec<String>,
    /// SHA-256 of the first one, which is served.
    pub leaf: Option<Digest>,
    /// Whether it is what the service shows to those who connect.
    pub served: bool,
    /// Rules of `cert check` that are broken and concern the content, as `rule: what`; errors only.
    pub errors: Vec<String>,
    /// The same that are warnings.
    pub warnings: Vec<String>,
    /// The same that concern where the files lie, their owners and modes.
    pub places: Vec<String>,
    /// The authorities in the chain, and whether the host trusts each.
    pub authorities: Seen<Vec<(String, bool)>>,
}

/// What the service shows in TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// The port.
    pub port: u16,
    /// The versions, the oldest first, with the cipher suite where it is spoken.
    pub versions: Vec<(String, Option<String>)>,
    /// Whether one below TLS 1.2 is spoken.
    pub old: Vec<String>,
    /// SHA-256 of the certificate that it shows.
    pub leaf: Option<Digest>,
}

/// What came of a login with the default name and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// It was refused.
    Refused(u16),
    /// It was let in.
    Accepted(u16),
    /// Neither is sure.
    Unclear(String),
}
