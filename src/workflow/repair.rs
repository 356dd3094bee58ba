//! Puts right what was changed since the installation.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::change::perform_compared;
use super::drift::{self, Drift};
use super::{Error, Recorder, Session, install};
use crate::apply::{self, Context, Secrets};
use crate::host;
use crate::manifest::{Entry, Kind, Manifest};
use crate::plan::{self, Plan, Repair};
use crate::product::under;
use crate::receipt::Receipt;
use crate::release::Release;
use crate::service;
use crate::source::Candidate;
use crate::sys;
use crate::sys::dir::{Dir, Kind as FileKind, Trail};
use crate::types::Digest;

/// How long the service may take to become healthy again, in seconds.
const HEALTH_SECONDS: u64 = 120;
/// Most files that a refusal names.
const NAMED: usize = 6;

/// A file that holds the installed release, if there is one besides what is kept on the host.
#[derive(Debug)]
pub struct Source {
    release: Option<Release>,
    given: bool,
}

/// What a repair would do.
#[derive(Debug)]
pub struct Prepared {
    /// The plan.
    pub plan: Plan,
    /// What differs.
    pub drift: Vec<Drift>,
}

/// What a repair did.
#[derive(Debug, Serialize)]
pub struct Repaired {
    /// The release.
    pub release: String,
    /// What was put right.
    pub repaired: Vec<Drift>,
    /// How many files of the host in the installation directory were left alone.
    pub kept: usize,
}

fn installed(session: &Session) -> Result<(Receipt, Manifest)> {
    let receipt = session.receipt()?.ok_or(plan::Error::NothingInstalled)?;
    let manifest = apply::installed(&session.root, &session.site)?.ok_or(plan::Error::NothingInstalled)?;
    Ok((receipt, manifest.into_parts().0))
}

/// Opens what good content is taken from: the file `from`, verified as a whole, or else this program
/// when it carries the installed release. Neither is needed for what the host keeps itself.
///
/// # Errors
/// When nothing is installed, or `from` is refused, damaged, or holds another release.
pub fn source(session: &Session, from: Option<&Path>) -> Result<Source> {
    let (receipt, _) = installed(session)?;
    let Some(from) = from else {
        let own = Candidate::open_self().ok();
        let own = own.filter(|own| Digest::of(own.signed()) == receipt.manifest);
        let release = match own.map(|own| session.open(own)) {
            Some(Err(error)) => {
                session.sink.warn(format!("this program's own copy of the release is not used: {error}"));
                None
            }
            other => other.transpose()?,
        };
        return Ok(Source { release, given: false });
    };
    let release = session.open(install::candidate(session, Some(from))?)?;
    if release.digest() != receipt.manifest {
        let name = |release: String, digest: Digest| {
            format!("{release} (manifest {})", digest.to_string().get(..16).unwrap_or_default())
        };
        return Err(Error::OtherRelease {
            file: from.to_owned(),
            offered: name(release.manifest().release(), release.digest()),
            installed: name(receipt.release(), receipt.manifest),
        }
        .into());
    }
    release.verify_all(session.sink)?;
    Ok(Source { release: Some(release), given: true })
}

impl Source {
    fn words(&self) -> String {
        match &self.release {
            Some(release) if self.given => format!("taken from {}", release.candidate().path().display()),
            Some(_) => "taken from this program".to_owned(),
            None => "taken from what this host has kept".to_owned(),
        }
    }
}

/// Plans a repair; `None` when nothing differs.
///
/// # Errors
/// When nothing is installed, the host cannot be looked at, or what differs cannot be put right.
pub fn plan(session: &Session, source: &Source) -> Result<Option<Prepared>> {
    let (receipt, manifest) = installed(session)?;
    let found = drift::all(&session.root, &session.site, &manifest, receipt.owners)?;
    let pairs: Vec<(&str, &str)> = found.drift.iter().map(|d| (d.path.as_str(), d.what)).collect();
    let live = session.is_live();
    let facts = host::facts();
    let unit = plan::unit_of(&manifest, &session.site).filter(|_| live && facts.systemd);
    let running = unit.map(|unit| service::state(&unit)).transpose()?.map(|state| state.is_wanted());
    let source_words = source.words();
    let input = Repair {
        manifest: &manifest,
        receipt: &receipt,
        root: &session.root,
        site: &session.site,
        drift: &pairs,
        present: &present(session, &manifest),
        source: &source_words,
        running,
        labels: live && facts.selinux,
        port: install::configured_port(session).unwrap_or(receipt.port),
        health_seconds: HEALTH_SECONDS,
    };
    let Some(plan) = plan::repair(&input)? else { return Ok(None) };
    let entries = plan::replaced(&manifest, &pairs);
    nothing_in_the_way(session, &entries, &found.drift)?;
    if source.release.is_none() {
        content_is_here(session, &entries)?;
    }
    Ok(Some(Prepared { plan, drift: found.drift }))
}

fn present(session: &Session, manifest: &Manifest) -> BTreeSet<String> {
    let above = plan::files_outside(manifest, &session.site).into_iter().flat_map(|file| file.above());
    above.filter(|path| sys::fs::exists(&under(&session.root, path))).collect()
}

/// A directory that has the name of a file, and holds something, may be precious to somebody; so may
/// what is no file where one of ours was outside the tree.
fn nothing_in_the_way(session: &Session, entries: &[&Entry], drift: &[Drift]) -> Result<()> {
    if drift.iter().any(|drift| drift.path == "." && drift.what == "kind") {
        return Err(Error::InTheWay(under(&session.root, &session.site.tree())).into());
    }
    if let Some(odd) = drift.iter().find(|drift| drift.path.starts_with('/') && drift.what == "kind") {
        return Err(Error::InTheWay(under(&session.root, &odd.path)).into());
    }
    let Ok(top) = Dir::open_in(&session.root, &session.site.tree()) else { return Ok(()) };
    let mut trail = Trail::new(&top);
    for entry in entries.iter().filter(|entry| !matches!(entry.kind, Kind::Dir { .. })) {
        let Ok(holder) = trail.holder_of(&entry.path) else { continue };
        let name = entry.path.name();
        if holder.stat(name)?.is_some_and(|stat| stat.kind == FileKind::Dir)
            && !holder.open_dir(name)?.raw_names()?.is_empty()
        {
            return Err(Error::InTheWay(holder.path_of(name)).into());
        }
    }
    Ok(())
}

fn content_is_here(session: &Session, entries: &[&Entry]) -> Result<()> {
    let mut lacking = Vec::new();
    for entry in entries {
        let needed = matches!(entry.kind, Kind::File { size, .. } if size > 0);
        if needed && apply::kept_content(&session.root, &session.site, entry)?.is_none() {
            lacking.push(entry.path.as_str());
        }
    }
    if lacking.is_empty() {
        return Ok(());
    }
    let named: Vec<&str> = lacking.iter().copied().take(NAMED).collect();
    let more = if lacking.len() > NAMED { ", ..." } else { "" };
    Err(Error::NoContent { count: lacking.len(), names: format!("{}{more}", named.join(", ")) }.into())
}

/// Carries a repair out, if it is still the one that was shown, and looks again; `None` when nothing
/// differs any more.
///
/// # Errors
/// When another run is at work, the host has changed since, a step failed, or something differs even
/// afterwards.
pub fn run(session: &Session, source: &Source, approved: Digest) -> Result<Option<Repaired>> {
    let recorder = Recorder::new(session.sink);
    let session = &session.telling(&recorder);
    let (_lock, _) = session.begin_change()?;
    let Some(prepared) = plan(session, source)? else { return Ok(None) };
    let plan = prepared.plan;
    session.require_approved(&plan, approved)?;
    let (receipt, manifest) = installed(session)?;
    let none = Secrets::default();
    let context = Context {
        release: source.release.as_ref(),
        ..Context::new(session.place(), receipt.owners, &none, session.sink)
    };
    let left = OnceCell::new();
    let look = || drift::all(&session.root, &session.site, &manifest, receipt.owners);
    let count = || left.get_or_init(look).as_ref().ok().map(|left| left.drift.len());
    let what = format!("repair {}", plan.release);
    let differing = Some((prepared.drift.len(), &count as &dyn Fn() -> Option<usize>));
    perform_compared(session, &recorder, (&plan, &what), &context, differing)?;
    let left = left.into_inner().unwrap_or_else(look)?;
    if !left.drift.is_empty() {
        return Err(Error::Drift { count: left.drift.len() }.into());
    }
    Ok(Some(Repaired { release: receipt.release(), repaired: prepared.drift, kept: left.kept }))
}
