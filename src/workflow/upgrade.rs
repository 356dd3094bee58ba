//! Another release in the place of the installed one, or of an installation that another installer made.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;

use super::change::perform;
use super::install::{self, Offer};
use super::{Error, Recorder, Session, drift, package};
use crate::apply::{self, Context, Secrets};
use crate::config::{self, DiffLine, Merged, OnConflict};
use crate::host::{self, Survey};
use crate::manifest::{Kind, Manifest};
use crate::plan::{self, Installed, Plan, Service, Snapshots, Upgrade};
use crate::preflight::{Kept, Room};
use crate::product::{self, Site, under};
use crate::prompt;
use crate::receipt::Receipt;
use crate::release::Release;
use crate::retained;
use crate::service;
use crate::snapshot;
use crate::sys;
use crate::types::{Digest, human_bytes};
use crate::verify::{Pin, Pins, Verified};

/// Whether the data are kept before the new release touches them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SnapshotMode {
    /// When there is room; necessarily when the new release changes their form.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What an upgrade may be told.
#[derive(Debug, Clone)]
pub struct Options {
    /// What happens to configuration keys that both sides changed.
    pub on_conflict: OnConflict,
    /// Whether a lower version is fine.
    pub allow_downgrade: bool,
    /// Whether the data are kept.
    pub snapshot: SnapshotMode,
    /// Where.
    pub snapshot_dir: Option<PathBuf>,
    /// Whether owners are set, where no receipt says so.
    pub owners: bool,
    /// How long the service may take to become healthy, in seconds.
    pub health_seconds: u64,
    /// Whether its log has to say that its FIPS-CC self-tests passed.
    pub require_fips: bool,
    /// What is done for packages besides laying them out.
    pub package: package::Options,
}

/// What is installed.
#[derive(Debug)]
pub enum Present {
    /// A release of this program, and how many of its files were changed since.
    Release {
        /// Its receipt.
        receipt: Box<Receipt>,
        /// Its signed manifest.
        manifest: Box<Verified<Manifest>>,
        /// How many of its files were changed.
        drift: usize,
        /// What of them was read.
        known: apply::Known,
    },
    /// Something that another installer made.
    Adopted,
}

impl Present {
    /// The receipt, if this program wrote one.
    #[must_use]
    pub fn receipt(&self) -> Option<&Receipt> {
        match self {
            Self::Release { receipt, .. } => Some(receipt),
            Self::Adopted => None,
        }
    }

    fn known(&self) -> Option<&apply::Known> {
        match self {
            Self::Release { known, .. } => Some(known),
            Self::Adopted => None,
        }
    }

    /// Whether the licence agreement of `release` is that of the installed one, word for word. Packages need not
    /// bring one: then there is nothing new to agree to.
    #[must_use]
    pub fn has_licence_of(&self, release: &Release) -> bool {
        let digest = |manifest: &Manifest| {
            let entry = manifest.entries.iter().find(|entry| Some(&entry.path) == manifest.eula.as_ref())?;
            if let Kind::File { sha256, .. } = entry.kind { Some(sha256) } else { None }
        };
        self.manifest().is_some_and(|now| digest(now) == digest(release.manifest()))
    }

    fn manifest(&self) -> Option<&Manifest> {
        match self {
            Self::Release { manifest, .. } => Some(manifest.get()),
            Self::Adopted => None,
        }
    }

    fn installed(&self) -> Installed<'_> {
        match self {
            Self::Release { receipt, manifest, .. } => {
                Installed::Release { receipt, manifest: manifest.get() }
            }
            Self::Adopted => Installed::Adopted,
        }
    }
}

/// Whether something is installed here that can be upgraded.
///
/// # Errors
/// When a receipt exists but cannot be read.
pub fn is_present(session: &Session) -> Result<bool> {
    Ok(session.receipt()?.is_some() || is_adoptable(session))
}

/// The program in its place, without a receipt: another installer put it there.
pub(super) fn is_adoptable(session: &Session) -> bool {
    let program = under(&session.root, &session.site.program());
    matches!(sys::fs::stat(&program), Ok(Some(stat)) if stat.kind == sys::dir::Kind::File)
}

/// Looks at what is installed; this reads all of it.
///
/// # Errors
/// When nothing is, or it cannot be read.
pub fn present(session: &Session) -> Result<Present> {
    let Some(receipt) = session.receipt()? else {
        return if is_adoptable(session) {
            Ok(Present::Adopted)
        } else {
            Err(plan::Error::NothingInstalled.into())
        };
    };
    let manifest = apply::installed(&session.root, &session.site)?.ok_or(plan::Error::NothingInstalled)?;
    let (drift, known) = drift::read(&session.root, &session.site, manifest.get(), receipt.owners)?;
    let (receipt, manifest) = (Box::new(receipt), Box::new(manifest));
    Ok(Present::Release { receipt, manifest, drift: drift.len(), known })
}

/// A planned upgrade.
#[derive(Debug)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// What changes in the configuration, secrets masked.
    pub diff: Vec<DiffLine>,
    /// Configuration keys that both sides changed.
    pub conflicts: Vec<String>,
}

/// Plans; `None` when this very release is installed, unchanged. Looks at the host anew each time.
///
/// # Errors
/// When the host or the release does not allow it.
pub fn plan(
    session: &Session,
    offer: &Offer,
    present: &Present,
    options: &Options,
) -> Result<Option<Planned>> {
    if let Present::Release { receipt, drift, .. } = present
        && receipt.manifest == offer.release.digest()
    {
        return if *drift == 0 { Ok(None) } else { Err(Error::Drift { count: *drift }.into()) };
    }
    let manifest = offer.release.manifest();
    let survey = host::survey(
        &session.root,
        &session.site,
        &plan::upgrade_paths(manifest, present.manifest(), &session.site),
    )?;
    let merged = merge(&survey, manifest, present, options.on_conflict)?;
    let retained = retained::read(&session.root, &session.site)?;
    let input = Upgrade {
        manifest,
        digest: offer.release.digest(),
        signers: offer.release.signers(),
        pin_note: pin(session, offer, present)?,
        facts: &offer.facts,
        survey: &survey,
        installed: present.installed(),
        host_things: apply::count_host_things(&session.root, &session.site, present.manifest(), manifest)?,
        drift: if let Present::Release { drift, .. } = present { *drift } else { 0 },
        texts: &texts(session, &survey)?,
        merged: merged.as_ref(),
        on_conflict: options.on_conflict,
        port: port(session, present),
        enabled: &enabled(session, &survey),
        service: service_now(session, offer.facts.systemd)?,
        engines: &engines_now(session, offer.facts.systemd)?,
        snapshots: snapshots(session, offer, present, options)?,
        retained: retained.as_ref(),
        dropped: match retained.as_ref().and_then(|retained| retained.snapshot_place(&session.root)) {
            Some((dir, id)) => Some((super::snapshot::text_of(&dir)?, id)),
            None => None,
        },
        floor: apply::epoch_floor(&session.root, &session.site)?,
        allow_downgrade: options.allow_downgrade,
        owners: owners(present, options),
        health_seconds: options.health_seconds,
        require_fips: options.require_fips,
        packaging: &package::packaging(session, options.package, &offer.release, present.receipt())?,
    };
    let plan = plan::upgrade(&input)?;
    let diff = match (&survey.config, &merged) {
        (Some(mine), Some(merged)) => config::diff(mine, &merged.text),
        _ => Vec::new(),
    };
    let conflicts = merged.map_or_else(Vec::new, |m| m.conflicts.into_iter().map(|c| c.key).collect());
    Ok(Some(Planned { plan, diff, conflicts }))
}

fn owners(present: &Present, options: &Options) -> bool {
    present.receipt().map_or(options.owners, |receipt| receipt.owners)
}

fn merge(
    survey: &Survey,
    new: &Manifest,
    present: &Present,
    on_conflict: OnConflict,
) -> Result<Option<Merged>> {
    let Some(mine) = &survey.config else { return Ok(None) };
    let base = present.receipt().map(|receipt| receipt.config_base.as_str());
    let theirs = survey.site.localised(&new.config);
    Ok(Some(config::merge(base, mine, &theirs, on_conflict)?))
}

/// The texts of those small files that exist.
pub(super) fn texts(session: &Session, survey: &Survey) -> Result<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    for path in &survey.present {
        let file = under(&session.root, path);
        if *path != session.site.config_file()
            && sys::fs::stat(&file)?.is_some_and(|s| s.kind == sys::dir::Kind::File)
        {
            let bytes = sys::fs::read_limited(&file, 1 << 20)?;
            texts.insert(path.clone(), String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    Ok(texts)
}

fn port(session: &Session, present: &Present) -> u16 {
    let receipt = present.receipt().map(|receipt| receipt.port);
    install::configured_port(session).or(receipt).unwrap_or(prompt::DEFAULT_PORT)
}

/// Which of the units that exist are enabled.
pub(super) fn enabled(session: &Session, survey: &Survey) -> BTreeSet<String> {
    let names = survey.units.iter().filter(|unit| service::is_enabled(&session.root, unit));
    names.cloned().collect()
}

/// The service, which is stopped for the change only if it runs: an answer that cannot be
/// had is no answer.
pub(super) fn service_now(session: &Session, systemd: bool) -> Result<Service> {
    let live = session.is_live() && systemd;
    Ok(Service { live, active: live && service::state(&session.site.unit())?.is_wanted() })
}

/// Units of the named engines that run, when it is their tree that changes.
pub(super) fn engines_now(session: &Session, systemd: bool) -> Result<Vec<String>> {
    let mut units = Vec::new();
    if session.site.name().is_none() && session.is_live() && systemd {
        for name in session.other_engines()? {
            let unit = Site::engine(Some(name.parse()?)).unit();
            if service::state(&unit)?.is_wanted() {
                units.push(unit);
            }
        }
    }
    Ok(units)
}

/// Compares the signers with those of the installed release, and says what was found.
fn pin(session: &Session, offer: &Offer, present: &Present) -> Result<String> {
    let signers: Vec<String> = offer.release.signers().iter().map(|s| s.fingerprint.spaced()).collect();
    let signers = signers.join(" and ");
    // after a rollback to what another installer made, the pin is that of the release before
    let retained =
        if present.receipt().is_none() { apply::retained(&session.root, &session.site)? } else { None };
    let Some(receipt) = present.receipt().or(retained.as_ref().map(|(receipt, _)| receipt)) else {
        return Ok(format!("signed by {signers}; later releases have to be, too"));
    };
    let (store, policy) = session.trust()?;
    let pins = Pins { signers: &receipt.signers, store: &store, policy: &policy, at: session.now };
    Ok(match offer.release.pin(&pins)? {
        Pin::Same => format!("signed by {signers}, as the installed release is"),
        Pin::Vouched { from, to } => format!(
            "the release key changes: {}, which signed the installed release, vouches for {}",
            from.spaced(),
            to.spaced()
        ),
    })
}

/// Decides whether the data are kept. Reasons hold no numbers that change while the service runs.
fn snapshots(session: &Session, offer: &Offer, present: &Present, options: &Options) -> Result<Snapshots> {
    if !session.site.is_server() {
        return Ok(Snapshots::Unneeded);
    }
    if options.snapshot == SnapshotMode::Never {
        return Ok(Snapshots::Not("--snapshot never; what the new release does to them stays".to_owned()));
    }
    let dir = super::snapshot::dir(session, options.snapshot_dir.as_deref())?;
    let must = options.snapshot == SnapshotMode::Always
        || changes_form(present.manifest(), offer.release.manifest());
    let named = options.snapshot_dir.is_some();
    let Room { place, needed, free } = match kept(session, &dir, must)? {
        Kept::Unneeded(_) => return Ok(Snapshots::Not("there are none".to_owned())),
        // a directory that somebody named is not passed over in silence
        Kept::Impossible { .. } if named => {
            return Ok(Snapshots::Impossible(format!("{} is no place for snapshots", dir.display())));
        }
        Kept::Impossible { why, must: true } => return Ok(Snapshots::Impossible(why)),
        Kept::Impossible { why, must: false } => return Ok(Snapshots::Not(why)),
        Kept::Needs { room, .. } => room,
    };
    if needed > free {
        let (needed, free) = (human_bytes(needed), human_bytes(free));
        return Ok(match must {
            true => Snapshots::Impossible(format!("{needed} are needed in {place}, {free} are free")),
            false => Snapshots::Not(format!(
                "there is not enough room in {place}; the new release does not change their form"
            )),
        });
    }
    let label = format!("{}-{}", installed_name(present), short(present, offer.release.digest()));
    Ok(Snapshots::Take { dir: super::snapshot::text_of(&dir)?, id: snapshot::new_id(&dir, &label) })
}

/// Whether the data can be kept in `dir`, and whether nothing is changed without.
///
/// # Errors
/// When they cannot be looked at: then nothing is changed.
pub(super) fn kept(session: &Session, dir: &Path, must: bool) -> Result<Kept, snapshot::Error> {
    match snapshot::estimate(&session.root, dir) {
        Ok(estimate) => Ok(Kept::Needs {
            room: Room { place: dir.display().to_string(), needed: estimate.needed, free: estimate.free },
            must,
        }),
        Err(snapshot::Error::NoData(_)) => Ok(Kept::Unneeded("there are no data".to_owned())),
        Err(error @ snapshot::Error::Place { .. }) => Ok(Kept::Impossible { why: error.to_string(), must }),
        Err(error) => Err(error),
    }
}

/// Whether the data may have another form afterwards, which the installed release cannot read.
pub(super) fn changes_form(old: Option<&Manifest>, new: &Manifest) -> bool {
    old.is_none_or(|old| old.schema != new.schema)
}

fn installed_name(present: &Present) -> String {
    present.receipt().map_or_else(|| "former".to_owned(), Receipt::release)
}

/// Tells apart the states of a host that have the same name.
fn short(present: &Present, new: Digest) -> String {
    let old = present.receipt().map(Receipt::to_bytes).unwrap_or_default();
    Digest::of(&[&old[..], new.to_string().as_bytes()].concat()).to_string().chars().take(8).collect()
}

/// What an upgrade made.
#[derive(Debug, Serialize)]
pub struct Upgraded {
    /// What was installed before; `None` when another installer had made it.
    pub from: Option<String>,
    /// The release.
    pub release: String,
    /// Its name for people.
    pub title: String,
    /// Whether the service runs.
    pub started: bool,
    /// Configuration keys that both sides had changed.
    pub conflicts: Vec<String>,
    /// Where the data were kept.
    pub snapshot: Option<String>,
    /// The durable log.
    pub log: String,
}

/// Plans again under the lock, compares with what was shown, and carries it out.
///
/// # Errors
/// When another run is at work, the host has changed since, or a step failed.
pub fn run(
    session: &Session,
    offer: &Offer,
    mut present: Present,
    options: &Options,
    approved: Digest,
) -> Result<Option<Upgraded>> {
    let recorder = Recorder::new(session.sink);
    let session = &session.telling(&recorder);
    let (_lock, _) = session.begin_change()?;
    if session.receipt()?.as_ref() != present.receipt() {
        present = self::present(session)?; // somebody was faster
    }
    let Some(planned) = plan(session, offer, &present, options)? else { return Ok(None) };
    session.require_approved(&planned.plan, approved)?;
    let receipt = new_receipt(session, offer, &present, options, &planned.plan);
    planned.plan.notes.iter().for_each(|note| recorder.only_log(note));
    let none = Secrets::default();
    let context = Context {
        release: Some(&offer.release),
        receipt: Some(&receipt),
        known: present.known(),
        ..Context::new(session.place(), receipt.owners, &none, session.sink)
    };
    let what = format!("upgrade to {}", planned.plan.release);
    perform(session, &recorder, (&planned.plan, &what), &context)?;
    Ok(Some(upgraded(session, &present, planned)))
}

fn new_receipt(
    session: &Session,
    offer: &Offer,
    present: &Present,
    options: &Options,
    plan: &Plan,
) -> Receipt {
    let old = present.receipt();
    let new = install::new_receipt(offer, plan, &session.site);
    Receipt {
        port: port(session, present),
        admin_name: old.map_or_else(String::new, |old| old.admin_name.clone()),
        owners: owners(present, options),
        created_user: new.created_user || old.is_some_and(|old| old.created_user),
        created_group: new.created_group || old.is_some_and(|old| old.created_group),
        ..new
    }
}

fn upgraded(session: &Session, present: &Present, planned: Planned) -> Upgraded {
    let snapshot = planned.plan.steps.iter().find_map(|planned| match &planned.step {
        plan::Step::KeepState { retained, .. } => retained.snapshot.clone(),
        _ => None,
    });
    Upgraded {
        from: present.receipt().map(Receipt::release),
        release: planned.plan.release.clone(),
        title: planned.plan.title.clone(),
        started: planned.plan.starts(),
        conflicts: planned.conflicts,
        snapshot,
        log: under(&session.root, product::INSTALL_LOG).display().to_string(),
    }
}
