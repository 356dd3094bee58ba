//! The evidence record: who changed this host, when, by which plan, and how it ended.
//!
//! In: bytes of the record's file and of the state beside it. Out: entries, the next line, and a verdict on the
//! chain. Pure: files, the clock and the user are asked by those who write. Holds no secret, and no text that
//! comes from a release, a key or an error.
//!
//! One record a line, as JSON. Its last field, `digest`, is the SHA-256 of the line without that field; its
//! `previous` is the digest of the record before. So no record can be changed, taken out, put in or moved
//! without every later one telling. docs/logs.md says what that proves, and what it does not.
#![forbid(unsafe_code)]

mod chain;
#[cfg(test)]
mod chain_tests;

pub use chain::{Broken, Checked, Reason, Tail, check, since, tail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::types::Digest;

/// Version of the form of a record. It grows only when an older reader would go wrong.
pub const SCHEMA: u32 = 1;

/// Who ran the program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// The effective user id.
    pub uid: u32,
    /// Its name.
    #[serde(default)]
    pub user: Option<String>,
    /// Who logged in, however often the user was changed since: the kernel's audit login id
    /// (`/proc/self/loginuid`, proc(5)); none where there was no login.
    #[serde(default)]
    pub login_uid: Option<u32>,
    /// Its name.
    #[serde(default)]
    pub login: Option<String>,
    /// Who called sudo, as sudo says (`SUDO_UID`, sudo(8)). A variable: it is a hint, not a proof.
    #[serde(default)]
    pub sudo_uid: Option<u32>,
    /// Its name.
    #[serde(default)]
    pub sudo_user: Option<String>,
    /// The audit session (`/proc/self/sessionid`).
    #[serde(default)]
    pub session: Option<u32>,
    /// The terminal.
    #[serde(default)]
    pub tty: Option<String>,
}

impl Who {
    /// The person, as far as it is known: who logged in, else who called sudo, else the user.
    #[must_use]
    pub fn name(&self) -> String {
        let number = |id: Option<u32>| id.map(|id| id.to_string());
        let login = self.login.clone().or_else(|| number(self.login_uid));
        let sudo = self.sudo_user.clone().or_else(|| number(self.sudo_uid));
        login.or(sudo).or_else(|| self.user.clone()).unwrap_or_else(|| self.uid.to_string())
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As planned.
    Done,
    /// It failed, and everything is as it was before.
    Restored,
    /// It failed, and something may be left.
    Failed,
    /// It was refused when it was to begin: its plan was not the approved one.
    Refused,
}

impl Outcome {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Restored => "failed, restored",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

/// How differences from the release were looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Look {
    /// Kinds, sizes, modes, owners and targets of links in the tree.
    Attributes,
    /// All that `verify --installed` compares.
    Content,
}

/// How much differed from the release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// What was looked at.
    pub look: Look,
    /// How many things differed before; none where that was not measured.
    pub before: Option<u64>,
    /// And afterwards.
    pub after: Option<u64>,
}

/// What is recorded of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it began.
    pub began: Timestamp,
    /// Who ran it; unknown of a run of which only the journal tells.
    #[serde(default)]
    pub who: Option<Who>,
    /// What it was for: a plan's action, or `recover`, `prune`.
    pub action: String,
    /// The same in the words of the log.
    #[serde(default)]
    pub what: Option<String>,
    /// Which installation: `server`, `engine`, or `engine NAME`.
    pub site: String,
    /// The plan's digest, as `plan` shows it.
    #[serde(default)]
    pub plan: Option<Digest>,
    /// Fingerprints of the certificates that signed the release.
    #[serde(default)]
    pub signers: Vec<String>,
    /// The release that was installed before.
    #[serde(default)]
    pub from: Option<String>,
    /// The release that was to be installed afterwards.
    #[serde(default)]
    pub to: Option<String>,
    /// How it ended; none only while that is not known.
    #[serde(default)]
    pub result: Option<Outcome>,
    /// What differed from the release, where that was looked at.
    #[serde(default)]
    pub drift: Option<Drift>,
    /// Whether a later run wrote this, from what the run had left.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// The run that was cut off and is recovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Box<Entry>>,
}

/// What of a line was there after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Torn {
    /// How many bytes.
    pub bytes: u64,
    /// Their SHA-256.
    pub sha256: Digest,
}

impl Torn {
    /// What stands between two records, without the line end that the second one put after it.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        Self { bytes: bytes.len() as u64, sha256: Digest::of(bytes) }
    }
}

/// One record, as a line holds it beside its own digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Its number, counted from 1.
    pub sequence: u64,
    /// The digest of the record before it; none of the first.
    pub previous: Option<Digest>,
    /// When it was written.
    pub at: Timestamp,
    /// The version of the program that wrote it.
    pub tool: String,
    /// What it says.
    #[serde(flatten)]
    pub entry: Entry,
    /// What stands before it instead of a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub torn: Option<Torn>,
}

/// What the last field of a line begins with.
const DIGEST: &str = ",\"digest\":\"";

impl Record {
    /// The line, with its end, and its digest.
    #[must_use]
    pub fn line(&self) -> (String, Digest) {
        let body = serde_json::to_string(self).unwrap_or_default();
        let digest = Digest::of(body.as_bytes());
        let open = body.strip_suffix('}').unwrap_or(&body);
        (format!("{open}{DIGEST}{digest}\"}}\n"), digest)
    }
}

/// The newest record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its number.
    pub sequence: u64,
    /// Its digest.
    pub digest: Digest,
}

/// What is kept beside the record: the newest record that is known to be on disk, and what is not recorded yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The newest record.
    #[serde(default)]
    pub head: Option<Head>,
    /// Runs that have begun, or ended without a record.
    #[serde(default)]
    pub open: Vec<Entry>,
}

impl Default for State {
    fn default() -> Self {
        Self { schema: SCHEMA, head: None, open: Vec::new() }
    }
}

impl State {
    /// Reads it; `None` when it is damaged, or of a form that this program must not guess at.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let state: Self = serde_json::from_slice(bytes).ok()?;
        (1..=SCHEMA).contains(&state.schema).then_some(state)
    }

    /// As it is written.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// The record after which the next one stands, when the file's last one is `last`. A file that ends before the
    /// head has lost records: the next one must not hide that.
    #[must_use]
    pub fn base(&self, last: Option<Head>) -> Option<Head> {
        match (self.head, last) {
            (Some(head), Some(last)) if last.sequence > head.sequence => Some(last),
            (Some(head), _) => Some(head),
            (None, last) => last,
        }
    }
}
