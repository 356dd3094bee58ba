//! The plan of a repair: what was changed since the installation is put right, nothing else is touched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::install::DIR_MODE;
use super::outside::{HostFile, files_outside};
use super::{Action, Error, Plan, Result, Step};
use crate::manifest::{Entry, Kind, Manifest};
use crate::product::{self, Owner, Site};
use crate::receipt::Receipt;
use crate::types::Mode;

/// Permissions of the files outside the tree.
/// Permissions of the installation directory.
pub const TREE_MODE: Mode = DIR_MODE;

/// The release's own service, if it brings the unit: it is enabled by the installation.
#[must_use]
pub fn unit_of(manifest: &Manifest, site: &Site) -> Option<String> {
    let name = manifest.role.unit();
    manifest.units.iter().any(|unit| unit.name == name).then(|| site.unit_named(&name))
}

/// All that the plan of a repair depends on.
#[derive(Debug)]
pub struct Repair<'a> {
    /// The installed release.
    pub manifest: &'a Manifest,
    /// What was installed.
    pub receipt: &'a Receipt,
    /// The root that is changed.
    pub root: &'a Path,
    /// Which installation of it.
    pub site: &'a Site,
    /// What differs: the path, below the installation directory or absolute, and the word for it.
    pub drift: &'a [(&'a str, &'a str)],
    /// Those directories above the [`files_outside`] that exist.
    pub present: &'a BTreeSet<String>,
    /// Where good content comes from, in words.
    pub source: &'a str,
    /// Whether the service runs, so that it has to be started anew with what is put right; `None` where
    /// no service can run.
    pub running: Option<bool>,
    /// Whether labels are kept (SELinux is on, and this is the running system).
    pub labels: bool,
    /// The port on which the service answers.
    pub port: u16,
    /// How long the service may take to become healthy, in seconds.
    pub health_seconds: u64,
}

/// Most bytes of paths that a plan holds: it has to fit into the journal.
const MAX_PATHS: usize = 8 << 20;
/// Most paths whose labels are restored one by one; beyond, the whole tree's are.
const MAX_LABELS: usize = 256;

/// The word for what is not there.
const MISSING: &str = "missing";
/// The path of the installation directory itself.
const TOP: &str = ".";

/// The release's entries of which a new copy is put in place of what is there.
#[must_use]
pub fn replaced<'a>(manifest: &'a Manifest, drift: &[(&str, &str)]) -> Vec<&'a Entry> {
    if drift.contains(&(TOP, MISSING)) {
        return manifest.entries.iter().collect();
    }
    let words: BTreeMap<&str, &str> =
        drift.iter().filter(|(_, what)| *what != "label").map(|(path, what)| (*path, *what)).collect();
    let wanted = |entry: &&Entry| match (words.get(entry.path.as_str()), &entry.kind) {
        (None, _) => false,
        (Some(what), Kind::Dir { .. }) => matches!(*what, MISSING | "kind"),
        (Some(_), Kind::File { .. } | Kind::Symlink { .. }) => true,
    };
    manifest.entries.iter().filter(wanted).collect()
}

/// Plans a repair; `None` when nothing differs.
///
/// # Errors
/// When something differs that must not, or cannot, be put right by itself.
pub fn repair(input: &Repair) -> Result<Option<Plan>> {
    if input.drift.is_empty() {
        return Ok(None);
    }
    if input.drift.iter().any(|(_, what)| *what == "account") {
        return Err(Error::AccountGone);
    }
    let entries = replaced(input.manifest, input.drift);
    let paths: Vec<String> = entries.iter().map(|entry| entry.path.to_string()).collect();
    if paths.iter().map(String::len).sum::<usize>() > MAX_PATHS {
        return Err(Error::TooMuchDrift { count: paths.len() });
    }
    let receipt = input.receipt;
    let mut plan = Plan::of_installed(Action::Repair, receipt, (input.root, input.site));
    plan.space_bytes = size(&entries);
    let files = changed_files(input);
    let unit = unit_of(input.manifest, input.site).filter(|_| input.running == Some(true));
    let unit = unit.filter(|_| !paths.is_empty() || files.iter().any(is_unit));
    stage(input, &paths, &mut plan);
    if let Some(unit) = &unit {
        plan.push(Step::StopUnit { unit: unit.clone() }, "its files are about to be replaced");
    }
    tree(input, paths.clone(), &mut plan);
    outside(input, &files, &mut plan);
    labels(input, &paths, &files, &mut plan);
    service(input, unit, &mut plan);
    if let Some(unit) = unit_of(input.manifest, input.site).filter(|_| input.running == Some(false)) {
        plan.notes.push(format!("{unit} does not run, and is not started"));
    }
    let site = input.site;
    let kept = [site.data_dir(), site.log_dir(), site.config_file()].join(", ");
    plan.notes.push(format!("not touched: {kept}, and what the release did not bring to {}", site.tree()));
    Ok(Some(plan))
}

fn size(entries: &[&Entry]) -> u64 {
    let sizes = entries.iter().map(|entry| if let Kind::File { size, .. } = entry.kind { size } else { 0 });
    sizes.fold(0, u64::saturating_add)
}

fn is_unit(file: &HostFile) -> bool {
    product::unit_of_path(&file.path).is_some()
}

/// Files outside the tree that are not as they were written.
fn changed_files(input: &Repair) -> Vec<HostFile> {
    let differs = |file: &HostFile| {
        input.drift.iter().any(|(path, what)| *path == file.path && !matches!(*what, "enablement" | "label"))
    };
    files_outside(input.manifest, input.site).into_iter().filter(differs).collect()
}

fn stage(input: &Repair, paths: &[String], plan: &mut Plan) {
    if !paths.is_empty() {
        let step = Step::StageFiles { path: input.site.stage(), paths: paths.to_vec() };
        plan.push(step, format!("beside its place, each compared with its signed digest; {}", input.source));
    }
}

fn tree(input: &Repair, paths: Vec<String>, plan: &mut Plan) {
    let top = input.drift.iter().find(|(path, what)| *path == TOP && *what != "label");
    if let Some((_, what)) = top {
        let (path, owner, mode) = (input.site.tree(), Owner::Root, TREE_MODE);
        if *what == MISSING {
            plan.push(Step::CreateDir { path, owner, mode }, "it is missing");
        } else {
            plan.push(Step::TakeDir { path, owner, mode }, format!("it differs: {what}"));
        }
    }
    for (path, what) in input.drift.iter().filter(|(_, what)| matches!(*what, "mode" | "owner")) {
        let entry = input.manifest.entries.iter().find(|entry| entry.path.as_str() == *path);
        if let Some(Entry { kind: Kind::Dir { mode }, owner, path, .. }) = entry {
            let path = format!("{}/{path}", input.site.tree());
            plan.push(Step::TakeDir { path, owner: *owner, mode: *mode }, format!("it differs: {what}"));
        }
    }
    if !paths.is_empty() {
        let step = Step::ReplaceEntries {
            from: input.site.stage(),
            to: input.site.tree(),
            trash: input.site.repair_trash(),
            paths,
        };
        plan.push(step, "they are not as the release brought them");
    }
}

fn outside(input: &Repair, files: &[HostFile], plan: &mut Plan) {
    let mut made = BTreeSet::new();
    for file in files {
        for path in file.above() {
            if !input.present.contains(&path) && made.insert(path.clone()) {
                plan.push(Step::CreateDir { path, owner: Owner::Root, mode: DIR_MODE }, "it is missing");
            }
        }
        file.clone().write(plan);
    }
}

fn labels(input: &Repair, paths: &[String], files: &[HostFile], plan: &mut Plan) {
    let differ = input.drift.iter().filter(|(_, what)| *what == "label").map(|(path, _)| *path);
    let new = paths.iter().map(String::as_str).chain(files.iter().map(|file| file.path.as_str()));
    let wanted: BTreeSet<String> = differ.chain(new).map(|path| absolute(path, input.site)).collect();
    if !input.labels || wanted.is_empty() {
        return;
    }
    let paths = if wanted.len() > MAX_LABELS {
        vec![input.site.tree(), product::UNIT_DIR.to_owned()]
    } else {
        wanted.into_iter().collect()
    };
    plan.push(Step::RestoreLabels { paths }, "SELinux is on");
}

fn absolute(path: &str, site: &Site) -> String {
    match path {
        TOP => site.tree(),
        path if path.starts_with('/') => path.to_owned(),
        path => format!("{}/{path}", site.tree()),
    }
}

fn service(input: &Repair, restart: Option<String>, plan: &mut Plan) {
    if let Some(unit) = restart {
        let version = super::install::version_check(input.manifest);
        let why = "a repair counts only when the service answers; otherwise all is undone";
        let limits = (input.port, input.health_seconds, false);
        plan.start((unit, &input.manifest.health.path, version), limits, ("it ran before", why));
    }
    if let Some(unit) = unit_of(input.manifest, input.site)
        && input.drift.iter().any(|(_, what)| *what == "enablement")
    {
        plan.push(Step::EnableUnit { unit }, "so that it starts with the host");
    }
}
