//! Which keys are trusted: list, import, remove, lint.

mod error;
mod rpm;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use crate::sys;
use crate::trust::expiry::days_left;
use crate::trust::lint::{self, Finding, Severity};
use crate::trust::{self, Anchor, KEY_FILE_LIMIT, KEYS_DIR, Origin, TrustStore};
use crate::types::Fingerprint;

pub use error::Error;

/// One key, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyReport {
    /// The fingerprint of its primary key.
    pub fingerprint: Fingerprint,
    /// Its names.
    pub user_ids: Vec<String>,
    /// Where it came from.
    pub origin: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it runs out, if ever.
    pub expires: Option<Timestamp>,
    /// Whole days until then; below zero when it is over.
    pub days_left: Option<i64>,
    /// That it runs out soon, in words.
    pub warning: Option<String>,
    /// Why it does not count at present, if so.
    pub problem: Option<String>,
}

/// A key that somebody has to decide on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The key.
    #[serde(flatten)]
    pub key: KeyReport,
    /// What a careful look at it found.
    pub findings: Vec<Finding>,
}

/// How it is decided whether a key is trusted.
pub enum Consent<'a> {
    /// The fingerprints of all keys that are to be trusted are known.
    Fingerprints(&'a [Fingerprint]),
    /// Somebody is asked about each.
    Ask(&'a mut dyn FnMut(&Candidate) -> std::io::Result<bool>),
    /// Nobody can be asked.
    Nobody,
}

impl std::fmt::Debug for Consent<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fingerprints(known) => f.debug_tuple("Fingerprints").field(known).finish(),
            Self::Ask(_) => f.write_str("Ask"),
            Self::Nobody => f.write_str("Nobody"),
        }
    }
}

/// What became of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// It is trusted from now on.
    Imported {
        /// Its file.
        path: PathBuf,
    },
    /// It was trusted; what the new copy knows was added.
    Updated {
        /// Its file.
        path: PathBuf,
    },
    /// It was trusted, and the new copy knows nothing new.
    AlreadyTrusted,
    /// Somebody said no.
    Declined,
    /// Verification would refuse it.
    Unfit {
        /// Why.
        why: String,
    },
}

/// One key and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// The key.
    #[serde(flatten)]
    pub candidate: Candidate,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Whether anything changed.
    pub changed: bool,
    /// One per key.
    pub keys: Vec<Imported>,
}

/// What a removal did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RemoveReport {
    /// The key.
    pub fingerprint: Fingerprint,
    /// The files that were changed or removed.
    pub files: Vec<PathBuf>,
    /// Whether the key is still trusted because it is built in.
    pub still_built_in: bool,
}

/// All trusted keys of the system at `root`.
///
/// # Errors
/// When they cannot be read.
pub fn list(root: &Path, at: Timestamp) -> Result<Vec<KeyReport>, Error> {
    let store = TrustStore::load(root, &[])?;
    Ok(store.anchors().iter().map(|anchor| report(anchor, at)).collect())
}

fn report(anchor: &Anchor, at: Timestamp) -> KeyReport {
    let expires = anchor.signs_until(at);
    let runs_out = anchor.runs_out(at).filter(|key| key.days_left >= 0);
    KeyReport {
        fingerprint: anchor.fingerprint().clone(),
        user_ids: anchor.user_ids(),
        origin: anchor.origin().to_string(),
        created: anchor.created(),
        expires,
        days_left: expires.map(|end| days_left(end, at)),
        warning: runs_out.map(|key| key.when()),
        problem: anchor.fault(at),
    }
}

/// Trusts the keys in `file`, if that is wanted. All or nothing, but for keys that are declined.
///
/// # Errors
/// When the file is no key file, a key in it is unfit, or consent is missing.
pub fn import(root: &Path, file: &Path, consent: Consent<'_>, at: Timestamp) -> Result<ImportReport, Error> {
    let bytes = sys::fs::read_limited(file, KEY_FILE_LIMIT)?;
    let mut given = TrustStore::empty();
    given.add(&bytes, Origin::ThisRun(file.to_owned()))?;
    let found: Vec<Fingerprint> = given.anchors().iter().map(|a| a.fingerprint().clone()).collect();
    if let Consent::Fingerprints(wanted) = &consent {
        let same = wanted.iter().all(|f| found.contains(f)) && found.iter().all(|f| wanted.contains(f));
        if !same {
            let (origin, given) = (file.display().to_string(), wanted.to_vec());
            return Err(Error::FingerprintMismatch { origin, given, found });
        }
    }
    let known = TrustStore::load(root, &[])?;
    for anchor in given.anchors() {
        if let Some(why) = unfit(anchor, &known, at) {
            return Err(Error::Unfit { fingerprint: anchor.fingerprint().clone(), why });
        }
    }
    take(root, given.anchors(), consent, at)
}

/// Trusts keys of the rpm keyring, if that is wanted; unfit ones are reported and left out.
///
/// # Errors
/// When the keyring cannot be read, holds no keys, or consent is missing.
pub fn import_from_rpm(root: &Path, consent: Consent<'_>, at: Timestamp) -> Result<ImportReport, Error> {
    let given = rpm::keys(root)?;
    let mut anchors = given.anchors().to_vec();
    if let Consent::Fingerprints(wanted) = &consent {
        let found: Vec<Fingerprint> = anchors.iter().map(|a| a.fingerprint().clone()).collect();
        if wanted.iter().any(|f| !found.contains(f)) {
            let (origin, given) = ("the rpm keyring".to_owned(), wanted.to_vec());
            return Err(Error::FingerprintMismatch { origin, given, found });
        }
        anchors.retain(|anchor| wanted.contains(anchor.fingerprint()));
    }
    take(root, &anchors, consent, at)
}

/// Why a new key is not taken. A copy of a known one always is: it can bring a revocation.
fn unfit(anchor: &Anchor, known: &TrustStore, at: Timestamp) -> Option<String> {
    if find(known, anchor.fingerprint()).is_some() {
        return None;
    }
    let findings = lint::findings(anchor.cert(), at, 0);
    findings.into_iter().find(|finding| finding.severity == Severity::Error).map(|finding| finding.what)
}

fn find<'a>(store: &'a TrustStore, fingerprint: &Fingerprint) -> Option<&'a Anchor> {
    store.anchors().iter().find(|anchor| anchor.fingerprint() == fingerprint)
}

fn take(
    root: &Path,
    anchors: &[Anchor],
    mut consent: Consent<'_>,
    at: Timestamp,
) -> Result<ImportReport, Error> {
    let known = TrustStore::load(root, &[])?;
    let mut keys = Vec::new();
    for anchor in anchors {
        let findings = lint::findings(anchor.cert(), at, 0);
        let candidate = Candidate { key: report(anchor, at), findings };
        let outcome = decide(root, anchor, &candidate, &known, (&mut consent, at))?;
        keys.push(Imported { candidate, outcome });
    }
    let changed =
        keys.iter().any(|key| matches!(key.outcome, Outcome::Imported { .. } | Outcome::Updated { .. }));
    Ok(ImportReport { changed, keys })
}

fn decide(
    root: &Path,
    anchor: &Anchor,
    candidate: &Candidate,
    known: &TrustStore,
    (consent, at): (&mut Consent<'_>, Timestamp),
) -> Result<Outcome, Error> {
    let fingerprint = anchor.fingerprint().clone();
    if let Some(why) = unfit(anchor, known, at) {
        return Ok(Outcome::Unfit { why });
    }
    let before = find(known, &fingerprint);
    let mut merged = anchor.clone();
    if let Some(before) = before {
        merged.absorb(before)?;
        if merged.armoured()? == before.armoured()? {
            return Ok(Outcome::AlreadyTrusted);
        }
    }
    let agreed = match consent {
        Consent::Fingerprints(wanted) => wanted.contains(&fingerprint),
        Consent::Ask(ask) => {
            ask(candidate).map_err(|source| Error::Question { fingerprint: fingerprint.clone(), source })?
        }
        Consent::Nobody => return Err(Error::ConsentNeeded { found: vec![fingerprint] }),
    };
    if !agreed {
        return Ok(Outcome::Declined);
    }
    let dir = root.join(KEYS_DIR);
    sys::fs::create_dir_all(&dir, 0o755)?;
    let path = dir.join(format!("{fingerprint}.asc"));
    sys::fs::write_atomic(&path, &merged.armoured()?, 0o644)?;
    Ok(if before.is_some() { Outcome::Updated { path } } else { Outcome::Imported { path } })
}

/// Ends the trust in an imported key.
///
/// # Errors
/// When it is not trusted, or built in only.
pub fn remove(root: &Path, fingerprint: &Fingerprint) -> Result<RemoveReport, Error> {
    let built_in = find(&TrustStore::built_in()?, fingerprint).is_some();
    let mut files = Vec::new();
    for path in trust::imported_files(root)? {
        let mut store = TrustStore::empty();
        let bytes = sys::fs::read_trusted(&path, KEY_FILE_LIMIT)?;
        store.add(&bytes, Origin::Imported(path.clone()))?;
        if find(&store, fingerprint).is_none() {
            continue;
        }
        let mut others = Vec::new();
        for anchor in store.anchors().iter().filter(|anchor| anchor.fingerprint() != fingerprint) {
            others.extend(anchor.armoured()?);
        }
        if others.is_empty() {
            sys::fs::remove_file(&path)?;
        } else {
            sys::fs::write_atomic(&path, &others, 0o644)?;
        }
        files.push(path);
    }
    match (files.is_empty(), built_in) {
        (true, true) => Err(Error::BuiltIn(fingerprint.clone())),
        (true, false) => Err(Error::NotTrusted(fingerprint.clone())),
        (false, still_built_in) => {
            Ok(RemoveReport { fingerprint: fingerprint.clone(), files, still_built_in })
        }
    }
}

/// Looks at every key in `files`, as of `at` and of `months` later.
///
/// # Errors
/// When one is no key file.
pub fn lint(files: &[PathBuf], at: Timestamp, months: u32) -> Result<Vec<lint::Report>, Error> {
    let mut reports = Vec::new();
    for file in files {
        let bytes = sys::fs::read_limited(file, KEY_FILE_LIMIT)?;
        reports.extend(lint::lint(&bytes, &file.display().to_string(), at, months)?);
    }
    Ok(reports)
}
