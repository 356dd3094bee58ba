//! The plan of an upgrade: the new tree is made beside the installed one while the service runs;
//! then stop, carry over, one exchange, start, and wait until it is healthy.

use std::collections::{BTreeMap, BTreeSet};

use super::install;
use super::outside::{HostFile, are_free, files_outside, of_release, packaged, paths_of};
use super::{Action, Changes, Error, Old, Packaging, Plan, Result, Step, outside};
use crate::config::{Merged, OnConflict};
use crate::host::{Directory, Facts, Survey};
use crate::manifest::Manifest;
use crate::product::{self, Owner, Role, Site, SnapshotReason};
use crate::receipt::Receipt;
use crate::retained::{self, Retained};
use crate::types::Digest;
use crate::verify::Signer;

/// Why a service is started after a change of the release, and waited for.
pub(super) const STARTED: (&str, &str) =
    ("it ran before", "the change counts only when the service answers; otherwise all goes back");

/// What is installed now.
#[derive(Debug, Clone, Copy)]
pub enum Installed<'a> {
    /// A release of this program.
    Release {
        /// Its receipt.
        receipt: &'a Receipt,
        /// Its signed manifest.
        manifest: &'a Manifest,
    },
    /// An installation that another installer made.
    Adopted,
}

impl<'a> Installed<'a> {
    fn release(&self) -> Option<(&'a Receipt, &'a Manifest)> {
        match self {
            Self::Release { receipt, manifest } => Some((receipt, manifest)),
            Self::Adopted => None,
        }
    }

    fn manifest(&self) -> Option<&'a Manifest> {
        match self {
            Self::Release { manifest, .. } => Some(manifest),
            Self::Adopted => None,
        }
    }
}

/// The service as it is before the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Service {
    /// Whether systemd manages this root.
    pub live: bool,
    /// Whether the service runs.
    pub active: bool,
}

/// Whether the data are kept before the new release touches them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Snapshots {
    /// They are, in this directory under this name.
    Take {
        /// The directory of snapshots.
        dir: String,
        /// The name.
        id: String,
    },
    /// They are not, for this reason.
    Not(String),
    /// They cannot be, for this reason, and nobody said that this is fine.
    Impossible(String),
    /// Nothing is lost without: an engine keeps nothing of its own.
    Unneeded,
}

/// All that the plan of an upgrade depends on.
#[derive(Debug)]
pub struct Upgrade<'a> {
    /// The new release's signed manifest.
    pub manifest: &'a Manifest,
    /// SHA-256 of it.
    pub digest: Digest,
    /// Who signed it.
    pub signers: &'a [Signer],
    /// What is to be said about them: whether they signed the installed release, too.
    pub pin_note: String,
    /// The host.
    pub facts: &'a Facts,
    /// What is there.
    pub survey: &'a Survey,
    /// What is installed.
    pub installed: Installed<'a>,
    /// How many things in the installation directory belong to the host.
    pub host_things: u64,
    /// How many of the installed release's files were changed since.
    pub drift: usize,
    /// The texts of units and other small files that exist, by path.
    pub texts: &'a BTreeMap<String, String>,
    /// The merged configuration; `None` when there is no configuration yet.
    pub merged: Option<&'a Merged>,
    /// What happens to conflicts in it.
    pub on_conflict: OnConflict,
    /// The port that the service will answer on.
    pub port: u16,
    /// Which units are enabled.
    pub enabled: &'a BTreeSet<String>,
    /// The service.
    pub service: Service,
    /// Units of engines that run in the tree.
    pub engines: &'a [String],
    /// Whether data are kept.
    pub snapshots: Snapshots,
    /// What is kept for a rollback now, and will not be afterwards.
    pub retained: Option<&'a Retained>,
    /// The snapshot that belongs to it: directory and name.
    pub dropped: Option<(String, String)>,
    /// The lowest security epoch that may be installed here.
    pub floor: u64,
    /// Whether a lower version is fine.
    pub allow_downgrade: bool,
    /// Whether owners are set.
    pub owners: bool,
    /// How long the service may take to become healthy, in seconds.
    pub health_seconds: u64,
    /// Whether its log has to say that its FIPS-CC self-tests passed.
    pub require_fips: bool,
    /// What is done for packages besides laying them out.
    pub packaging: &'a Packaging,
}

/// Paths whose existence or text decides steps.
#[must_use]
pub fn upgrade_paths(new: &Manifest, old: Option<&Manifest>, site: &Site) -> Vec<String> {
    let mut paths = install::paths_of_interest(new, site);
    paths.extend(old.iter().flat_map(|old| of_release(old, site)).map(|file| file.path));
    paths.push(site.retained_tree());
    paths
}

/// Plans an upgrade.
///
/// # Errors
/// When the host, the installed release or the offered one does not allow it.
pub fn upgrade(input: &Upgrade) -> Result<Plan> {
    allowed(input)?;
    let changes = Changes::between(input.installed.manifest(), input.manifest, input.host_things);
    fits(input, &changes)?;
    free(input)?;
    let offered = (input.manifest, input.digest, input.signers);
    let mut plan = Plan::of_release(Action::Upgrade, offered, (&input.survey.root, &input.survey.site));
    plan.space_bytes = changes.bytes;
    plan.changes = Some(changes);
    notes(input, &mut plan);
    install::requirements(input.manifest, input.facts, &mut plan);
    install::accounts(input.survey, input.owners, &mut plan);
    install::directories(input.manifest, input.survey, input.owners, &mut plan)?;
    input.packaging.begin(&mut plan);
    before_the_stop(input, &changes, &mut plan);
    stopped(input, &mut plan);
    configuration(input, &mut plan)?;
    files(input, &mut plan);
    input.packaging.placed(&mut plan);
    install::labels(input.facts, input.survey, &mut plan);
    started(input, &mut plan)?;
    records(input, &mut plan);
    input.packaging.records(&mut plan);
    Ok(plan)
}

fn allowed(input: &Upgrade) -> Result<()> {
    let offered = input.manifest;
    match (input.survey.site.role(), offered.role) {
        (Role::Server, Role::Engine) => return Err(Error::NotAServer),
        (Role::Engine, Role::Server) => return Err(Error::NotAnEngine),
        _ => {}
    }
    let floor = match input.installed {
        Installed::Release { receipt, .. } => input.floor.max(receipt.epoch),
        Installed::Adopted => input.floor,
    };
    if offered.epoch < floor {
        return Err(Error::Epoch { floor, offered: offered.epoch });
    }
    let Installed::Release { receipt, manifest } = input.installed else { return Ok(()) };
    if offered.product != receipt.product {
        return Err(Error::OtherProduct {
            installed: receipt.product.clone(),
            offered: offered.product.clone(),
        });
    }
    let lower = is_lower(offered, receipt);
    if lower && !input.allow_downgrade {
        return Err(Error::Downgrade { installed: receipt.release(), offered: offered.release() });
    }
    if !lower {
        fits_path(offered, receipt)?;
    }
    if offered.schema < manifest.schema {
        return Err(Error::DataTooNew {
            data: manifest.schema,
            reads: offered.schema,
            release: offered.release(),
        });
    }
    Ok(())
}

/// Whether the offered release is lower than the installed one: in version, or in build.
#[must_use]
pub fn is_lower(offered: &Manifest, receipt: &Receipt) -> bool {
    (offered.version, offered.build) < (receipt.version, receipt.build)
}

/// Whether the offered release may replace the installed version at all: the range is in its
/// manifest. The vendor's rule is two versions forward at most ("Upgrade the Cortex XSOAR Server").
///
/// # Errors
/// When it may not.
pub fn fits_path(offered: &Manifest, receipt: &Receipt) -> Result<()> {
    let range = &offered.upgrades;
    if offered.version == receipt.version || range.include(&receipt.version) {
        return Ok(());
    }
    Err(Error::Path {
        installed: receipt.version,
        offered: offered.release(),
        from: range.from,
        to: range.to,
    })
}

fn fits(input: &Upgrade, changes: &Changes) -> Result<()> {
    match &input.survey.install_dir {
        Directory::MountPoint => return Err(Error::MountPoint),
        Directory::Occupied(_) => {}
        _ => return Err(Error::NothingInstalled),
    }
    if let Some(point) = input.survey.inner_mounts.first() {
        return Err(Error::InnerMount { point: point.display().to_string() });
    }
    if input.owners && !input.survey.has_passwd {
        return Err(Error::NoAccounts { root: input.survey.root.display().to_string() });
    }
    let needed = install::room_for(changes.bytes);
    if needed > input.survey.free_bytes {
        return Err(Error::NoSpace { needed, free: input.survey.free_bytes });
    }
    if let Snapshots::Impossible(why) = &input.snapshots {
        return Err(Error::NoSnapshot { why: why.clone() });
    }
    Ok(())
}

/// Another installer's units are replaced by the release's; nothing else of it that a package would overwrite.
fn free(input: &Upgrade) -> Result<()> {
    let site = &input.survey.site;
    let new = packaged(input.manifest, site);
    let ours = match input.installed {
        Installed::Release { manifest, .. } => paths_of(manifest, site),
        Installed::Adopted => {
            let units = new.iter().filter(|file| product::unit_of_path(&file.path).is_some());
            units.map(|file| file.path.clone()).collect()
        }
    };
    are_free(&new, input.survey, input.texts, &ours)
}

fn notes(input: &Upgrade, plan: &mut Plan) {
    match input.installed {
        Installed::Release { receipt, .. } => {
            plan.notes.push(format!("{} is installed and is kept for a rollback", receipt.release()));
        }
        Installed::Adopted => plan.notes.push(format!(
            "another installer made what is in {}: all of it is kept, and what the new release does \
             not bring stays in place; which versions it may upgrade cannot be checked",
            input.survey.site.tree()
        )),
    }
    plan.notes.push(input.pin_note.clone());
    if let Some(retained) = input.retained {
        plan.notes.push(format!("{}, which is kept now, is removed", retained.name()));
    }
    if input.drift > 0 {
        plan.notes.push(format!(
            "{} files of the installed release were changed since; they are replaced, and go back with a rollback",
            input.drift
        ));
    }
    if input.service.active {
        let taken = matches!(input.snapshots, Snapshots::Take { .. });
        let within = if taken {
            "; the data are kept in between, everything else that takes long is done before"
        } else {
            "; all that takes long is done before"
        };
        plan.notes.push(format!("the service is away only between its stop and its start{within}"));
    }
    if let Snapshots::Not(why) = &input.snapshots {
        plan.notes.push(format!("no snapshot of the data is taken: {why}"));
    }
}

fn before_the_stop(input: &Upgrade, changes: &Changes, plan: &mut Plan) {
    let stage = Step::StageTree {
        path: input.survey.site.stage(),
        files: input.manifest.files().count() as u64,
        bytes: changes.bytes,
        reused: changes.reused,
    };
    plan.push(stage, "beside its place, while the service runs");
    let (release, data_schema, units) = match input.installed {
        Installed::Release { receipt, manifest } => {
            (Some(receipt.release()), Some(manifest.schema), receipt.units.clone())
        }
        Installed::Adopted => (None, None, vec![input.survey.site.unit()]),
    };
    let retained = Retained {
        schema: retained::SCHEMA,
        release,
        data_schema,
        enabled: units.iter().filter(|unit| input.enabled.contains(*unit)).cloned().collect(),
        units,
        mode: if let Installed::Adopted = input.installed { input.survey.install_mode } else { None },
        config_after: input.merged.map(|merged| Digest::of(merged.text.as_bytes())),
        snapshot: match &input.snapshots {
            Snapshots::Take { dir, id } => {
                Some(Retained::snapshot_in(&input.survey.root.display().to_string(), dir, id))
            }
            _ => None,
        },
    };
    let path = input.survey.site.retained_state_new();
    plan.push(Step::KeepState { path, retained: Box::new(retained) }, "so that `rollback` has all of it");
}

fn stopped(input: &Upgrade, plan: &mut Plan) {
    let unit = input.survey.site.unit();
    if input.service.live && input.service.active {
        plan.push(Step::StopUnit { unit }, "its program and data are about to change");
    }
    if let Snapshots::Take { dir, id } = &input.snapshots {
        take_snapshot((dir, id), SnapshotReason::Upgrade, input.installed.release(), plan);
    }
    let (stage, live) = (input.survey.site.stage(), input.survey.site.tree());
    stop_engines(input.engines, plan);
    plan.push(
        Step::CarryOver { from: live.clone(), to: stage.clone() },
        "certificates, keys, the licence, and everything that the release did not bring",
    );
    plan.push(
        Step::SwitchTree { from: stage, to: live, old: Old::Removed },
        "one exchange makes the release live",
    );
    start_engines(input.engines, plan);
}

/// Directories of named engines lie in the tree. They are copied, and what an engine that runs has open
/// would be removed with the old ones.
pub(super) fn stop_engines(engines: &[String], plan: &mut Plan) {
    for unit in engines {
        plan.notes.push(format!("{unit} is stopped for a moment: its directory lies in the tree"));
        plan.push(Step::StopUnit { unit: unit.clone() }, "its directory moves with the tree");
    }
}

/// Not waited for: an engine that cannot connect must not keep the server from its release.
pub(super) fn start_engines(engines: &[String], plan: &mut Plan) {
    for unit in engines {
        plan.push(Step::StartUnit { unit: unit.clone() }, "it ran before");
    }
}

/// Keeps the data before others than `of` touch them.
pub(super) fn take_snapshot(
    (dir, id): (&str, &str),
    reason: SnapshotReason,
    of: Option<(&Receipt, &Manifest)>,
    plan: &mut Plan,
) {
    let step = Step::TakeSnapshot {
        dir: dir.to_owned(),
        id: id.to_owned(),
        reason,
        release: of.map_or_else(|| retained::FORMER.to_owned(), |(receipt, _)| receipt.release()),
        data_schema: of.map_or(0, |(_, manifest)| manifest.schema),
    };
    plan.push(step, "so that the data can go back, too");
}

fn configuration(input: &Upgrade, plan: &mut Plan) -> Result<()> {
    let path = input.survey.site.config_file();
    match (input.merged, &input.survey.config) {
        (Some(merged), Some(mine)) => {
            plan.push(
                merge_step(path, mine, merged, input.on_conflict),
                "yours counts; what is new is added",
            );
        }
        _ => {
            let site = &input.survey.site;
            let text = match site.role() {
                Role::Server => crate::config::with_https_port(&input.manifest.config, input.port)?,
                Role::Engine => site.localised(&input.manifest.config),
            };
            let (owner, mode) = (Owner::Demisto, install::CONFIG_MODE);
            let step = Step::WriteFile { path, owner, mode, text, modified: None };
            plan.push(step, "there is none yet: the default configuration");
        }
    }
    Ok(())
}

fn merge_step(path: String, mine: &str, merged: &Merged, on_conflict: OnConflict) -> Step {
    Step::MergeConfig {
        path,
        was: Digest::of(mine.as_bytes()),
        becomes: Digest::of(merged.text.as_bytes()),
        on_conflict,
        added: merged.added.clone(),
        updated: merged.updated.clone(),
        conflicts: merged.conflicts.iter().map(|conflict| conflict.key.clone()).collect(),
    }
}

/// Units and other small files: only those that differ are written.
fn files(input: &Upgrade, plan: &mut Plan) {
    let site = &input.survey.site;
    let new = files_outside(input.manifest, site);
    let old = input.installed.manifest();
    let mut moved = outside::moved([old, Some(input.manifest)], site, input.enabled);
    moved.retain(|unit| {
        old.is_some() && install::units(input.manifest, site).iter().any(|new| new.name == **unit)
    });
    outside::disable(&moved, plan);
    let now = old.map_or_else(Vec::new, |old| of_release(old, site));
    for file in new.iter().filter(|file| !file.is_there(&now, input.texts)) {
        file.clone().write(plan);
    }
    remove_old(&now, &new, input.service.live, plan);
    outside::enable(&moved, plan);
}

/// Removes files that the release before had and the next one has not; a unit that is elsewhere now stays
/// enabled and is not stopped.
fn remove_old(old: &[HostFile], new: &[HostFile], live: bool, plan: &mut Plan) {
    const GONE: &str = "the other release does not have it";
    let units: Vec<&str> = new.iter().filter_map(|file| product::unit_of_path(&file.path)).collect();
    for file in old.iter().filter(|old| !new.iter().any(|new| new.path == old.path)) {
        if let Some(unit) = product::unit_of_path(&file.path).filter(|unit| !units.contains(unit)) {
            if live {
                plan.push(Step::StopUnit { unit: unit.to_owned() }, GONE);
            }
            plan.push(Step::DisableUnit { unit: unit.to_owned() }, GONE);
        }
        plan.push(Step::RemoveFile { path: file.path.clone() }, GONE);
    }
}

fn started(input: &Upgrade, plan: &mut Plan) -> Result<()> {
    let unit = input.survey.site.unit();
    if !(input.service.live && input.service.active) {
        if input.require_fips {
            return Err(Error::NotTested);
        }
        plan.notes.push("the service does not run now and is not started".to_owned());
        return Ok(());
    }
    let version = install::version_check(input.manifest);
    let limits = (input.port, input.health_seconds, input.require_fips);
    plan.start((unit, &input.manifest.health.path, version), limits, STARTED);
    Ok(())
}

fn records(input: &Upgrade, plan: &mut Plan) {
    plan.push(
        Step::SwitchTree {
            from: input.survey.site.stage(),
            to: input.survey.site.retained_tree(),
            old: Old::Removed,
        },
        "the release before is kept for a rollback",
    );
    plan.push(
        Step::SwitchTree {
            from: input.survey.site.retained_state_new(),
            to: input.survey.site.retained_state(),
            old: Old::Removed,
        },
        "and what belongs to it",
    );
    if let Some((dir, id)) = input.dropped.clone() {
        plan.push(Step::DropSnapshot { dir, id }, "the release that could use it is no longer kept");
    }
    plan.push(
        Step::WriteReceipt { path: input.survey.site.receipt_file() },
        "so that later runs know what is installed and who signed it",
    );
}
