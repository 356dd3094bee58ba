//! Back to the retained release, or forward to it again.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use super::change::perform;
use super::{Error, Recorder, Session, drift, install, upgrade};
use crate::apply::{self, Context, Secrets};
use crate::host;
use crate::manifest::Manifest;
use crate::plan::{self, DataChoice, Packaging, Plan, Rollback, Taking};
use crate::product::{self, Site, under};
use crate::prompt;
use crate::receipt::Receipt;
use crate::retained::{self, Retained};
use crate::snapshot::{self, Snapshot};
use crate::sys;
use crate::types::Digest;
use crate::verify::Verified;

/// What a rollback may be told.
#[derive(Debug, Clone)]
pub struct Options {
    /// What becomes of the data.
    pub data: DataChoice,
    /// Whether the present data are kept before others take their place.
    pub keep_present: bool,
    /// Where.
    pub snapshot_dir: Option<PathBuf>,
    /// How long the service may take to become healthy, in seconds.
    pub health_seconds: u64,
}

/// The installed release, as `--to` names it.
///
/// # Errors
/// When a receipt exists but cannot be read.
pub fn installed(session: &Session) -> Result<String> {
    let receipt = session.receipt()?;
    Ok(receipt.map_or_else(|| retained::FORMER.to_owned(), |receipt| receipt.release()))
}

/// A release with its receipt.
type Release = (Receipt, Verified<Manifest>);

fn borrowed(release: Option<&Release>) -> Option<(&Receipt, &Manifest)> {
    release.map(|(receipt, manifest)| (receipt, manifest.get()))
}

/// Plans. Looks at the host anew each time.
///
/// # Errors
/// When nothing is retained, or the host does not allow it.
pub fn plan(session: &Session, options: &Options) -> Result<Plan> {
    let retained = retained::read(&session.root, &session.site)?.ok_or(plan::Error::NothingRetained)?;
    let now = session.receipt()?.zip(apply::installed(&session.root, &session.site)?);
    let back = apply::retained(&session.root, &session.site)?;
    if retained.release.is_some() && back.is_none() {
        let why = "its receipt or manifest is gone".to_owned();
        return Err(retained::Error::Damaged(why).into());
    }
    let facts = host::facts();
    let survey =
        host::survey(&session.root, &session.site, &paths(session, &retained, now.as_ref(), back.as_ref()))?;
    let drift = match &back {
        Some((receipt, manifest)) => {
            let found =
                drift::of_tree(&session.root, &session.site.retained_tree(), manifest.get(), receipt.owners)?;
            found.iter().filter(|drift| drift.path != drift::TOP).count()
        }
        None => 0,
    };
    let config_kept = kept(session, retained::CONFIG)?;
    let found = if options.data == DataChoice::Keep { None } else { snapshot_of(session, &retained)? };
    let taking = if found.is_some() { taking(session, options, now.as_ref())? } else { None };
    let restored = match &found {
        Some(found) => Some(super::snapshot::restored(session, found, taking.as_ref())?),
        None => None,
    };
    let registered = |side: Option<&Release>| side.and_then(|(receipt, _)| receipt.package.clone());
    let (register, unregister) = (registered(back.as_ref()), registered(now.as_ref()));
    let packaging = Packaging { register, unregister, ..Packaging::default() };
    let input = Rollback {
        retained: &retained,
        back: borrowed(back.as_ref()),
        now: borrowed(now.as_ref()),
        facts: &facts,
        survey: &survey,
        texts: &upgrade::texts(session, &survey)?,
        units: &units(session, &retained)?,
        config_kept: config_kept.as_deref().map(Digest::of),
        drift,
        port: port(session, &survey, &retained, config_kept.as_deref(), back.as_ref()),
        enabled: &upgrade::enabled(session, &survey),
        service: upgrade::service_now(session, facts.systemd)?,
        engines: &upgrade::engines_now(session, facts.systemd)?,
        data: options.data,
        restored,
        fixed: snapshot::is_fixed(&session.root)?,
        present: taking.map(|taking| (taking.dir, taking.id)),
        health_seconds: options.health_seconds,
        packaging: &packaging,
    };
    Ok(plan::rollback(&input)?)
}

/// The snapshot that belongs to what is retained. That it is whole is compared when it is put back.
/// One that is named and cannot be opened is an error: its data would be left out in silence.
fn snapshot_of(session: &Session, retained: &Retained) -> Result<Option<Snapshot>> {
    let Some((dir, id)) = retained.snapshot_place(&session.root) else { return Ok(None) };
    match snapshot::open(&dir, &id) {
        Ok(found) => Ok(Some(found)),
        Err(cause) => Err(Error::NoWayBack { path: dir.join(id), cause: Box::new(cause) }.into()),
    }
}

/// Where the present data are kept; `None` when there are none.
fn taking(session: &Session, options: &Options, now: Option<&Release>) -> Result<Option<Taking>> {
    let dir = super::snapshot::dir(session, options.snapshot_dir.as_deref())?;
    if !options.keep_present || !under(&session.root, product::DATA_DIR).is_dir() {
        return Ok(None);
    }
    let receipt = now.map(|(receipt, _)| receipt);
    let name = receipt.map_or_else(|| "former".to_owned(), Receipt::release);
    let state = Digest::of(&receipt.map(Receipt::to_bytes).unwrap_or_default()).to_string();
    let short: String = state.chars().take(8).collect();
    let taking = super::snapshot::taking(session, &format!("{name}-{short}"), &dir)?;
    if taking.needed > taking.free {
        let (needed, free) = (taking.needed, taking.free);
        return Err(plan::Error::NoDataSpace { dir: taking.dir, needed, free }.into());
    }
    Ok(Some(taking))
}

fn paths(
    session: &Session,
    retained: &Retained,
    now: Option<&Release>,
    back: Option<&Release>,
) -> Vec<String> {
    let units = now.iter().flat_map(|(receipt, _)| &receipt.units).chain(&retained.units);
    let main = session.site.unit();
    let mut paths: Vec<String> = units.chain([&main]).map(|unit| Site::unit_file(unit)).collect();
    paths.push(session.site.config_file());
    let manifests = now.into_iter().chain(back).map(|(_, manifest)| manifest.get());
    paths.extend(manifests.flat_map(|manifest| plan::packaged_files(manifest, &session.site)));
    paths
}

/// A kept copy, if there is one.
fn kept(session: &Session, name: &str) -> Result<Option<Vec<u8>>> {
    let path = under(&session.root, &session.site.retained_state()).join(name);
    match sys::fs::read_limited(&path, 4 << 20) {
        Err(e) if e.is_not_found() => Ok(None),
        other => Ok(Some(other?)),
    }
}

fn units(session: &Session, retained: &Retained) -> Result<BTreeMap<String, String>> {
    let mut units = BTreeMap::new();
    for unit in &retained.units {
        if let Some(text) = kept(session, &format!("{}/{unit}", retained::UNITS))? {
            units.insert(unit.clone(), String::from_utf8_lossy(&text).into_owned());
        }
    }
    Ok(units)
}

/// The port of the configuration that will count.
fn port(
    session: &Session,
    survey: &host::Survey,
    retained: &Retained,
    config_kept: Option<&[u8]>,
    back: Option<&Release>,
) -> u16 {
    let digest = survey.config.as_ref().map(|text| Digest::of(text.as_bytes()));
    let former = config_kept.filter(|_| digest == retained.config_after);
    let former =
        former.and_then(|text| crate::config::https_port(&String::from_utf8_lossy(text)).ok().flatten());
    let receipt = back.map(|(receipt, _)| receipt.port);
    former.or_else(|| install::configured_port(session)).or(receipt).unwrap_or(prompt::DEFAULT_PORT)
}

/// What a rollback did.
#[derive(Debug, Serialize)]
pub struct RolledBack {
    /// The release that is installed now.
    pub release: String,
    /// What was installed before, and is retained now.
    pub retained: Option<String>,
    /// Whether the service runs.
    pub started: bool,
    /// Whether the data went back, too.
    pub data: bool,
    /// Whether the configuration went back, too.
    pub config: bool,
    /// The durable log.
    pub log: String,
}

fn is_of_config(step: &plan::Step, site: &Site) -> bool {
    let path = match step {
        plan::Step::PutBack { path, .. } | plan::Step::RemoveFile { path } => path,
        _ => return false,
    };
    *path == site.config_file()
}

/// Plans again under the lock, compares with what was shown, and carries it out.
///
/// # Errors
/// When another run is at work, the host has changed since, or a step failed.
pub fn run(session: &Session, options: &Options, approved: Digest) -> Result<RolledBack> {
    let recorder = Recorder::new(session.sink);
    let session = &session.telling(&recorder);
    let (_lock, _) = session.begin_change()?;
    let receipt = session.receipt()?;
    let plan = plan(session, options)?;
    session.require_approved(&plan, approved)?;
    let owners = match &receipt {
        Some(receipt) => receipt.owners,
        None => apply::retained(&session.root, &session.site)?.is_none_or(|(receipt, _)| receipt.owners),
    };
    plan.notes.iter().for_each(|note| recorder.only_log(note));
    let used = plan.steps.iter().find_map(|planned| match &planned.step {
        plan::Step::RestoreData { snapshot, .. } => Some(snapshot.clone()),
        _ => None,
    });
    let none = Secrets::default();
    let context = Context::new(session.place(), owners, &none, session.sink);
    perform(session, &recorder, (&plan, &format!("rollback to {}", plan.release)), &context)?;
    Ok(RolledBack {
        release: plan.release.clone(),
        retained: receipt.as_ref().map(Receipt::release),
        started: plan.starts(),
        data: used.is_some(),
        config: plan.steps.iter().any(|planned| is_of_config(&planned.step, &session.site)),
        log: under(&session.root, product::INSTALL_LOG).display().to_string(),
    })
}
