//! The plan of a rollback: the retained release and the installed one change places, so that the
//! way forward is another rollback.

use std::collections::{BTreeMap, BTreeSet};

use super::install::{self, unit_path};
use super::outside::{are_free, packaged as packaged_of, paths_of};
use super::snapshot::{Restored, replace_data};
use super::upgrade::{STARTED, start_engines, stop_engines, take_snapshot};
use super::{Action, Error, Old, Packaging, Plan, Result, Service, Step, outside};
use crate::host::{Directory, Facts, Survey};
use crate::manifest::Manifest;
use crate::product::{SnapshotReason, unit_of_path};
use crate::receipt::Receipt;
use crate::retained::{self, Retained};
use crate::types::Digest;

/// What becomes of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DataChoice {
    /// They go back when a snapshot belongs to the retained release, else they stay.
    #[default]
    Auto,
    /// They stay.
    Keep,
    /// They go back.
    Restore,
}

/// All that the plan of a rollback depends on.
#[derive(Debug)]
pub struct Rollback<'a> {
    /// What is retained.
    pub retained: &'a Retained,
    /// Receipt and signed manifest of the retained release; `None` for an adopted installation.
    pub back: Option<(&'a Receipt, &'a Manifest)>,
    /// Receipt and signed manifest of the installed release; `None` for an adopted installation.
    pub now: Option<(&'a Receipt, &'a Manifest)>,
    /// The host.
    pub facts: &'a Facts,
    /// What is there.
    pub survey: &'a Survey,
    /// The texts of units that exist, by path.
    pub texts: &'a BTreeMap<String, String>,
    /// Which units are enabled.
    pub enabled: &'a BTreeSet<String>,
    /// The kept texts of the retained release's units, by name.
    pub units: &'a BTreeMap<String, String>,
    /// SHA-256 of the kept copy of the former configuration, if there is one.
    pub config_kept: Option<Digest>,
    /// Files of the retained tree that are not as its release brought them.
    pub drift: usize,
    /// The port that the service will answer on.
    pub port: u16,
    /// The service.
    pub service: Service,
    /// Units of engines that run in the tree.
    pub engines: &'a [String],
    /// What becomes of the data.
    pub data: DataChoice,
    /// The snapshot that belongs to the retained release, if it is there.
    pub restored: Option<Restored>,
    /// Whether the data directory cannot be moved: a mount point, or a link to somewhere else.
    pub fixed: bool,
    /// Where the present data are kept before others take their place: directory and name.
    pub present: Option<(String, String)>,
    /// How long the service may take to become healthy, in seconds.
    pub health_seconds: u64,
    /// What is done for packages besides laying them out.
    pub packaging: &'a Packaging,
}

/// Plans a rollback.
///
/// # Errors
/// When the host does not allow it, or the data are newer than the retained release can read and
/// no snapshot is there.
pub fn rollback(input: &Rollback) -> Result<Plan> {
    match input.survey.install_dir {
        Directory::MountPoint => return Err(Error::MountPoint),
        Directory::Occupied(_) => {}
        _ => return Err(Error::NothingInstalled),
    }
    if let Some(point) = input.survey.inner_mounts.first() {
        return Err(Error::InnerMount { point: point.display().to_string() });
    }
    free(input)?;
    let restore = data_goes_back(input)?;
    let place = (input.survey.root.as_path(), &input.survey.site);
    let mut plan = match input.back {
        Some((receipt, _)) => Plan::of_installed(Action::Rollback, receipt, place),
        None => Plan::new(Action::Rollback, place),
    };
    plan.release = input.retained.name().to_owned();
    plan.title = input.back.or(input.now).map_or_else(String::new, |(receipt, _)| receipt.title.clone());
    notes(input, restore, &mut plan);
    keep(input, restore, &mut plan);
    switch(input, restore, &mut plan)?;
    configuration(input, &mut plan);
    let manifests = [input.now, input.back].map(|side| side.map(|(_, manifest)| manifest));
    let mut moved = outside::moved(manifests, &input.survey.site, input.enabled);
    moved.retain(|unit| input.retained.enabled.contains(unit));
    outside::disable(&moved, &mut plan);
    units(input, &mut plan);
    packaged(input, &mut plan);
    outside::enable(&moved, &mut plan);
    install::labels(input.facts, input.survey, &mut plan);
    service(input, &mut plan);
    records(input, &mut plan);
    input.packaging.records(&mut plan);
    Ok(plan)
}

fn free(input: &Rollback) -> Result<()> {
    let site = &input.survey.site;
    let back = input.back.map_or_else(Vec::new, |(_, manifest)| packaged_of(manifest, site));
    let mut ours = input.now.map_or_else(Vec::new, |(_, manifest)| paths_of(manifest, site));
    // units of the host's directory are kept and put back by their names
    ours.extend(input.units.keys().map(|name| unit_path(name)));
    are_free(&back, input.survey, input.texts, &ours)
}

fn data_goes_back(input: &Rollback) -> Result<bool> {
    let newer = match (input.now, input.retained.data_schema) {
        (Some((_, now)), Some(reads)) if now.schema > reads => Some((now.schema, reads)),
        _ => None,
    };
    let restore = match input.data {
        DataChoice::Auto => input.restored.is_some(),
        DataChoice::Keep => false,
        DataChoice::Restore if input.restored.is_none() => {
            return Err(Error::NoDataToRestore { release: input.retained.name().to_owned() });
        }
        DataChoice::Restore => true,
    };
    match newer {
        Some((data, reads)) if !restore => {
            Err(Error::DataTooNew { data, reads, release: input.retained.name().to_owned() })
        }
        _ => Ok(restore),
    }
}

fn notes(input: &Rollback, restore: bool, plan: &mut Plan) {
    let now =
        input.now.map_or_else(|| "the present installation".to_owned(), |(receipt, _)| receipt.release());
    plan.notes.push(format!("{now} is kept: another `rollback` leads forward to it"));
    match (restore, &input.present) {
        (true, Some((dir, id))) => plan.notes.push(format!(
            "the data go back to the snapshot that was taken before the upgrade; the present data are kept as {dir}/{id}"
        )),
        (true, None) => plan.notes.push(
            "the data go back to the snapshot that was taken before the upgrade; WHAT WAS WRITTEN SINCE IS LOST"
                .to_owned(),
        ),
        (false, _) => plan.notes.push(format!("{} stays as it is", input.survey.site.data_dir())),
    }
    if input.drift > 0 {
        plan.notes.push(format!(
            "{} files of the retained release are not as it brought them; they were changed before it was replaced, or since",
            input.drift
        ));
    }
    if let Some((now, back)) = input.now.zip(input.back)
        && back.0.epoch < now.0.epoch
    {
        plan.notes.push(format!(
            "its security epoch {} is below {}: go back only for as long as it takes",
            back.0.epoch, now.0.epoch
        ));
    }
}

fn keep(input: &Rollback, restore: bool, plan: &mut Plan) {
    let main = || vec![input.survey.site.unit()];
    let units = input.now.map_or_else(main, |(receipt, _)| receipt.units.clone());
    let retained = Retained {
        schema: retained::SCHEMA,
        release: input.now.map(|(receipt, _)| receipt.release()),
        data_schema: input.now.map(|(_, manifest)| manifest.schema),
        enabled: units.iter().filter(|unit| input.enabled.contains(*unit)).cloned().collect(),
        units,
        mode: if input.now.is_none() { input.survey.install_mode } else { None },
        config_after: if untouched(input) {
            input.config_kept
        } else {
            input.survey.config.as_deref().map(digest)
        },
        snapshot: input
            .present
            .as_ref()
            .filter(|_| restore)
            .map(|(dir, id)| Retained::snapshot_in(&input.survey.root.display().to_string(), dir, id)),
    };
    let path = input.survey.site.retained_state_new();
    plan.push(Step::KeepState { path, retained: Box::new(retained) }, "so that there is a way forward");
}

fn switch(input: &Rollback, restore: bool, plan: &mut Plan) -> Result<()> {
    let unit = input.survey.site.unit();
    if input.service.live && input.service.active {
        plan.push(Step::StopUnit { unit }, "its program is about to change");
    }
    if restore {
        data(input, plan)?;
    }
    let (kept, live) = (input.survey.site.retained_tree(), input.survey.site.tree());
    stop_engines(input.engines, plan);
    plan.push(
        Step::CarryOver { from: live.clone(), to: kept.clone() },
        "certificates, keys, the licence, and everything that no release brought",
    );
    plan.push(Step::SwitchTree { from: kept, to: live, old: Old::Kept }, "one exchange makes it live");
    start_engines(input.engines, plan);
    Ok(())
}

fn data(input: &Rollback, plan: &mut Plan) -> Result<()> {
    if let Some((dir, id)) = &input.present {
        take_snapshot((dir, id), SnapshotReason::Rollback, input.now, plan);
    }
    match &input.restored {
        Some(restored) => {
            replace_data(plan, restored, input.fixed)?;
            let (dir, id) = restored.path.rsplit_once('/').unwrap_or_default();
            let step = Step::DropSnapshot { dir: dir.to_owned(), id: id.to_owned() };
            plan.push(step, "its data are live again then");
            Ok(())
        }
        None => Ok(()),
    }
}

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

/// Whether the configuration is as the change that retained the release left it.
fn untouched(input: &Rollback) -> bool {
    match (&input.survey.config, input.retained.config_after) {
        (Some(now), Some(after)) => digest(now) == after,
        (Some(_), None) => input.config_kept.is_none(),
        (None, _) => true,
    }
}

fn configuration(input: &Rollback, plan: &mut Plan) {
    let path = input.survey.site.config_file();
    let copy = format!("{}/{}", input.survey.site.retained_state(), retained::CONFIG);
    if !untouched(input) {
        plan.notes.push(format!("{path} was changed since and stays"));
        if input.config_kept.is_some() {
            let former = input.survey.site.former_config();
            plan.push(Step::PutBack { path: former, copy }, "as it was before; yours stays");
        }
    } else if input.config_kept.is_some() {
        plan.push(Step::PutBack { path, copy }, "nobody changed it since");
    } else if input.survey.config.is_some() {
        plan.push(Step::RemoveFile { path }, "there was none");
    }
}

/// Files that a package brought go and come with it; units of the host's directory do so by their names.
fn packaged(input: &Rollback, plan: &mut Plan) {
    let site = &input.survey.site;
    let of = |side: Option<(&Receipt, &Manifest)>| {
        let mut files = side.map_or_else(Vec::new, |(_, manifest)| packaged_of(manifest, site));
        files.retain(|file| unit_of_path(&file.path).is_none_or(|unit| unit_path(unit) != file.path));
        files
    };
    let (now, back) = (of(input.now), of(input.back));
    for file in back.iter().filter(|file| !file.is_there(&now, input.texts)) {
        file.clone().write(plan);
    }
    for file in now.iter().filter(|now| !back.iter().any(|back| back.path == now.path)) {
        plan.push(Step::RemoveFile { path: file.path.clone() }, "the retained release does not have it");
    }
}

fn units(input: &Rollback, plan: &mut Plan) {
    for (name, text) in input.units {
        let path = unit_path(name);
        if input.texts.get(&path) != Some(text) {
            let copy = format!("{}/{}/{name}", input.survey.site.retained_state(), retained::UNITS);
            plan.push(Step::PutBack { path, copy }, "the service's unit, as it was");
        }
    }
    let (main, enabled) = (input.survey.site.unit(), &input.retained.enabled);
    let gone = "the retained release does not have it";
    let back = input.back.map_or(&[][..], |(receipt, _)| &receipt.units);
    for unit in input.now.iter().flat_map(|(receipt, _)| &receipt.units) {
        if input.units.contains_key(unit) {
            continue;
        }
        if back.contains(unit) {
            hiding(input, unit, plan);
            continue;
        }
        if input.service.live && *unit != main {
            plan.push(Step::StopUnit { unit: unit.clone() }, gone);
        }
        if !enabled.contains(unit) {
            plan.push(Step::DisableUnit { unit: unit.clone() }, gone);
        }
        plan.push(Step::RemoveFile { path: unit_path(unit) }, gone);
    }
    for unit in enabled.iter().filter(|unit| **unit != main && !input.enabled.contains(*unit)) {
        plan.push(Step::EnableUnit { unit: unit.clone() }, "it was enabled");
    }
}

/// A unit in the directory of the host's own would hide that of the package which comes back.
fn hiding(input: &Rollback, unit: &str, plan: &mut Plan) {
    let place = |side: Option<(&Receipt, &Manifest)>| {
        outside::place(side.map(|(_, manifest)| manifest), &input.survey.site, unit)
    };
    let path = unit_path(unit);
    if place(input.now) == path && place(input.back) != path {
        plan.push(Step::RemoveFile { path }, "the retained release has it elsewhere");
    }
}

fn service(input: &Rollback, plan: &mut Plan) {
    let Some((_, manifest)) = input.back.or(input.now) else { return };
    if !(input.service.live && input.service.active) {
        plan.notes.push("the service does not run now and is not started".to_owned());
        return;
    }
    let unit = input.survey.site.unit();
    let version = input.back.and_then(|(_, back)| install::version_check(back));
    let limits = (input.port, input.health_seconds, false);
    plan.start((unit, &manifest.health.path, version), limits, STARTED);
}

fn records(input: &Rollback, plan: &mut Plan) {
    let site = &input.survey.site;
    let files = [
        (site.receipt_file(), retained::RECEIPT),
        (site.manifest_file(), retained::MANIFEST),
        (site.signatures_file(), retained::SIGNATURES),
    ];
    for (path, name) in files {
        if input.back.is_some() {
            let copy = format!("{}/{name}", site.retained_state());
            plan.push(Step::PutBack { path, copy }, "so that later runs know what is installed");
        } else {
            plan.push(Step::RemoveFile { path }, "no release of this program is installed then");
        }
    }
    plan.push(
        Step::SwitchTree { from: site.retained_state_new(), to: site.retained_state(), old: Old::Removed },
        "what belongs to the release that is retained now",
    );
}
