//! Judges a file without changing anything.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::{Session, install};
use crate::release::{Release, Throughput};
use crate::verify::{self, Judgement};

/// What is known of a file after all of it was looked at.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The file.
    pub file: String,
    /// One verdict per signature.
    pub judgement: Judgement,
    /// The release, when the signatures were accepted.
    pub release: Option<String>,
    /// Its name for people.
    pub title: Option<String>,
    /// How many frames were compared with their digests.
    pub frames: usize,
    /// How fast.
    pub throughput: Option<Throughput>,
    /// Whether the file is what its signers signed.
    pub accepted: bool,
    /// Why not.
    pub problem: Option<String>,
}

/// Judges the signatures, then compares every byte of the file with what was signed. A refusal is
/// a report, not an error.
///
/// # Errors
/// When the file or the keys cannot be read.
pub fn verify(session: &Session, file: Option<&Path>) -> Result<Report> {
    let candidate = install::candidate(file)?;
    let (store, policy) = session.trust()?;
    let judgement = verify::judge(candidate.manifest(), candidate.signatures(), &store, &policy, session.now);
    let mut report = Report {
        file: candidate.path().display().to_string(),
        accepted: false,
        problem: Some(judgement.reason.clone()),
        judgement,
        release: None,
        title: None,
        frames: 0,
        throughput: None,
    };
    if !report.judgement.accepted {
        return Ok(report);
    }
    let whole = Release::open(candidate, &store, &policy, session.now).and_then(|release| {
        report.release = Some(release.manifest().release());
        report.title = Some(release.manifest().title.clone());
        report.frames = release.manifest().frames.len();
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
