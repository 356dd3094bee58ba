//! Judges a file without changing anything.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::Session;
use super::drift::{self, Drift};
use super::wrapper::{self, Opened};
use crate::manifest::{self, Manifest};
use crate::release::{self, Release, Throughput};
use crate::rpmfile::{self, DigestKind, Envelope};
use crate::source::Candidate;
use crate::trust::expiry::RunsOut;
use crate::types::Digest;
use crate::verify::{self, Judgement};
use crate::{apply, plan, sys};

/// What is known of a file after all of it was looked at.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The file.
    pub file: String,
    /// The makeself archive that it is, if it is one: the rest is about the file inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrapper: Option<wrapper::Report>,
    /// One verdict per signature.
    pub judgement: Judgement,
    /// The release, when the signatures were accepted.
    pub release: Option<String>,
    /// Its name for people.
    pub title: Option<String>,
    /// How many frames were compared with their digests; a package has none.
    pub frames: usize,
    /// How many files it holds.
    pub files: usize,
    /// What the signature header of a package says besides signatures.
    pub digests: Vec<StoredDigest>,
    /// How fast.
    pub throughput: Option<Throughput>,
    /// Whether the file is what its signers signed.
    pub accepted: bool,
    /// Why not.
    pub problem: Option<String>,
    /// Trusted keys that run out soon.
    pub keys_running_out: Vec<RunsOut>,
}

/// Judges the signatures, then compares every byte of the file with what was signed. A refusal is
/// a report, not an error.
///
/// # Errors
/// When the file or the keys cannot be read.
pub fn verify(session: &Session, file: Option<&Path>) -> Result<Report> {
    let Some(path) = file else { return candidate(session, Candidate::open_self()?) };
    match wrapper::look(session, path, false)? {
        Opened::Plain(file) => candidate(session, Candidate::of_file(file, path.to_owned())?),
        Opened::Wrapped(unwrapped) => {
            let name = unwrapped.path();
            let mut report = match unwrapped.inner {
                Ok(inner) => candidate(session, Candidate::of_file(inner, name)?)?,
                Err(refusal) => refused(session, path, &refusal)?,
            };
            report.wrapper = Some(unwrapped.report);
            Ok(report)
        }
    }
}

/// The report on a makeself archive out of which nothing was taken; the judgement is that of the outer signature
/// that does not hold, if that is why.
fn refused(session: &Session, path: &Path, refusal: &wrapper::Error) -> Result<Report> {
    let reason = crate::types::error_chain(refusal);
    let (store, policy) = session.trust()?;
    let judgement = match refusal {
        wrapper::Error::Outer { source: verify::Error::Refused(judgement), .. } => (**judgement).clone(),
        _ => Judgement {
            verdicts: Vec::new(),
            accepted: false,
            reason: reason.clone(),
            threshold: policy.threshold,
            signers: Vec::new(),
        },
    };
    let mut report = Report::new(path.display().to_string(), judgement, reason);
    report.keys_running_out = store.running_out(session.now);
    Ok(report)
}

impl Report {
    /// That of a file that is not verified.
    fn new(file: String, judgement: Judgement, problem: String) -> Self {
        Self {
            file,
            wrapper: None,
            accepted: false,
            problem: Some(problem),
            judgement,
            release: None,
            title: None,
            frames: 0,
            files: 0,
            digests: Vec::new(),
            keys_running_out: Vec::new(),
            throughput: None,
        }
    }
}

fn candidate(session: &Session, candidate: Candidate) -> Result<Report> {
    let (store, policy) = session.trust()?;
    let by = session.judge(&store, &policy);
    let judgement = release::judge(&candidate, &by)?;
    let (name, reason) = (candidate.path().display().to_string(), judgement.reason.clone());
    let mut report = Report::new(name, judgement, reason);
    report.keys_running_out = store.running_out(session.now);
    report.digests = candidate.package().map_or_else(Vec::new, digests);
    if !report.judgement.accepted {
        return Ok(report);
    }
    let whole = Release::open(candidate, &by).and_then(|release| {
        report.release = Some(release.manifest().release());
        report.title = Some(release.manifest().title.clone());
        report.frames = release.manifest().frames().len();
        report.files = release.manifest().files().count();
        release.verify_all(session.sink)
    });
    match whole {
        Ok(throughput) => {
            report.throughput = Some(throughput);
            report.accepted = true;
            report.problem = None;
        }
        Err(error) => report.problem = Some(crate::types::error_chain(&error)),
    }
    Ok(report)
}

/// A digest beside the signatures of a package. Whoever changes the one can change the other, so it says nothing
/// of who made the package.
#[derive(Debug, Serialize)]
pub struct StoredDigest {
    /// Which one.
    pub kind: &'static str,
    /// Whether it is that of the header; `None` when it is of a kind that is not compared.
    pub matches: Option<bool>,
}

fn name_of(kind: DigestKind) -> &'static str {
    match kind {
        DigestKind::Md5 => "MD5",
        DigestKind::Sha1 => "SHA-1",
        DigestKind::Sha256 => "SHA-256",
        DigestKind::Sha3 => "SHA3-256",
    }
}

fn digests(envelope: &Envelope) -> Vec<StoredDigest> {
    let of = |digest: &rpmfile::StoredDigest| StoredDigest {
        kind: name_of(digest.kind),
        matches: envelope.matches(digest),
    };
    envelope.digests().iter().map(of).collect()
}

/// What is known of the installed release after all of it was looked at.
#[derive(Debug, Serialize)]
pub struct Installed {
    /// The release.
    pub release: String,
    /// Its name for people.
    pub title: String,
    /// One verdict per signature over the recorded manifest.
    pub judgement: Judgement,
    /// Whether the recorded manifest is what its signers signed, and the one that was installed.
    pub accepted: bool,
    /// Why not.
    pub problem: Option<String>,
    /// Trusted keys that run out soon.
    pub keys_running_out: Vec<RunsOut>,
    /// How many entries and files were compared.
    pub compared: usize,
    /// What differs.
    pub drift: Vec<Drift>,
    /// How many files in the installation directory are not the release's.
    pub kept: usize,
    /// Time taken in milliseconds.
    pub millis: u64,
}

/// Judges the signatures over the recorded manifest anew, then compares what is installed with it. A
/// refusal is a report, not an error; nothing is compared then.
///
/// # Errors
/// When nothing is installed, a run is at work or was cut off, or something cannot be looked at.
pub fn installed(session: &Session) -> Result<Installed> {
    let watch = sys::clock::Watch::start();
    session.require_settled()?;
    let receipt = session.receipt()?.ok_or(plan::Error::NothingInstalled)?;
    let (bytes, signatures) = apply::kept_bytes(&session.root, &session.site)?;
    let (store, policy) = session.trust()?;
    let digest = Digest::of(&bytes);
    let signed = manifest::signed_part(&bytes)?.into_owned();
    let judgement = verify::judge(&signed, &signatures, &store, &policy, session.now);
    let mut report = Installed {
        release: receipt.release(),
        title: receipt.title.clone(),
        accepted: false,
        problem: Some(judgement.reason.clone()),
        keys_running_out: store.running_out(session.now),
        judgement,
        compared: 0,
        drift: Vec::new(),
        kept: 0,
        millis: 0,
    };
    if !report.judgement.accepted {
        return Ok(report);
    }
    if digest != receipt.manifest {
        report.problem = Some("the recorded manifest is not the one that was installed".to_owned());
        return Ok(report);
    }
    let signed = verify::require(signed, &signatures, &store, &policy, session.now)?;
    let manifest = Manifest::kept(signed, &bytes)?;
    let found = drift::all(&session.root, &session.site, manifest.get(), receipt.owners)?;
    if !found.drift.is_empty() {
        session.refuse_when_busy()?; // a run that began meanwhile is no drift
    }
    report.accepted = true;
    report.problem = None;
    (report.compared, report.drift, report.kept) = (found.compared, found.drift, found.kept);
    report.millis = u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}
