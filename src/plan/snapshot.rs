//! The plans of taking a snapshot, and of putting one back.

use std::path::Path;

use super::uninstall::aside;
use super::{Action, Error, Plan, Result, Step};
use crate::manifest::Manifest;
use crate::product::{self, Site, SnapshotReason};
use crate::receipt::Receipt;

/// What is installed, and where.
#[derive(Debug, Clone, Copy)]
pub struct Current<'a> {
    /// The receipt.
    pub receipt: &'a Receipt,
    /// The manifest that it names.
    pub manifest: &'a Manifest,
    /// The root.
    pub root: &'a str,
    /// Which installation of it.
    pub site: &'a Site,
}

/// A service at work: it is stopped for the change and must answer after it.
#[derive(Debug, Clone)]
pub struct AtWork {
    /// Its unit.
    pub unit: String,
    /// The port on which it answers.
    pub port: u16,
    /// How long it may take, in seconds.
    pub seconds: u64,
}

/// A snapshot that is to be taken.
#[derive(Debug, Clone)]
pub struct Taking {
    /// The directory of snapshots, as this program sees it.
    pub dir: String,
    /// The snapshot's name.
    pub id: String,
    /// Bytes needed at most.
    pub needed: u64,
    /// Bytes free.
    pub free: u64,
}

/// All that the plan of a snapshot depends on.
#[derive(Debug)]
pub struct SnapshotCreate<'a> {
    /// What is installed.
    pub installed: Current<'a>,
    /// The service, if it is at work.
    pub service: Option<AtWork>,
    /// The snapshot.
    pub taking: Taking,
}

/// The snapshot that is put back.
#[derive(Debug, Clone)]
pub struct Restored {
    /// Its directory.
    pub path: String,
    /// The form of its data.
    pub data_schema: u64,
    /// The release that they were of.
    pub release: String,
    /// Bytes that its data need.
    pub needed: u64,
    /// Bytes free where they go.
    pub free: u64,
}

/// All that the plan of putting a snapshot back depends on.
#[derive(Debug)]
pub struct SnapshotRestore<'a> {
    /// What is installed.
    pub installed: Current<'a>,
    /// The service, if it is at work.
    pub service: Option<AtWork>,
    /// The snapshot.
    pub restored: Restored,
    /// A snapshot of the present data, unless they are not wanted.
    pub taking: Option<Taking>,
    /// Whether the data directory cannot be moved: a mount point, or a link to somewhere else.
    pub fixed: bool,
    /// Whether labels have to be set.
    pub selinux: bool,
}

impl Current<'_> {
    pub(super) fn plan(&self, action: Action) -> Plan {
        Plan::of_installed(action, self.receipt, (Path::new(self.root), self.site))
    }

    /// The step that takes a snapshot, if there is room for it.
    ///
    /// # Errors
    /// When there is not.
    pub fn take(&self, taking: &Taking, reason: SnapshotReason) -> Result<Step> {
        if taking.needed > taking.free {
            let (needed, free) = (taking.needed, taking.free);
            return Err(Error::NoDataSpace { dir: taking.dir.clone(), needed, free });
        }
        Ok(Step::TakeSnapshot {
            dir: taking.dir.clone(),
            id: taking.id.clone(),
            reason,
            release: self.receipt.release(),
            data_schema: self.manifest.schema,
        })
    }

    /// Whether the installed release reads the snapshot's data.
    fn reads(&self, restored: &Restored) -> Result<()> {
        if restored.data_schema <= self.manifest.schema {
            return Ok(());
        }
        let (snapshot, installed) = (restored.data_schema, self.manifest.schema);
        Err(Error::NewerData { snapshot, installed, release: self.receipt.release() })
    }

    /// Starts the service and waits until it answers; for these reasons.
    pub(super) fn start(&self, service: &AtWork, reasons: (&str, &str), plan: &mut Plan) {
        let version = super::install::version_check(self.manifest);
        let limits = (service.port, service.seconds, false);
        let asked = (service.unit.clone(), self.manifest.health.path.as_str(), version);
        plan.start(asked, limits, reasons);
    }

    fn start_again(&self, service: Option<&AtWork>, plan: &mut Plan) {
        let why = "the change counts only when the service answers; otherwise all is undone";
        if let Some(service) = service {
            self.start(service, ("it was at work before", why), plan);
        }
    }
}

fn stop(service: Option<&AtWork>, plan: &mut Plan) {
    if let Some(service) = service {
        let why = "data that are being written have no state that could be kept";
        plan.push(Step::StopUnit { unit: service.unit.clone() }, why);
    }
}

/// Adds the steps that move the present data aside and lay a snapshot out in their place. `fixed`
/// says that the data directory cannot be moved.
///
/// # Errors
/// When there is no room for both.
pub(super) fn replace_data(plan: &mut Plan, restored: &Restored, fixed: bool) -> Result<()> {
    if restored.needed > restored.free {
        let (dir, needed, free) = (product::DATA_DIR.to_owned(), restored.needed, restored.free);
        return Err(Error::NoDataSpace { dir, needed, free });
    }
    let (path, aside) = (product::DATA_DIR.to_owned(), aside(product::DATA_DIR, fixed));
    let why = "moved aside first; removed when all is done";
    plan.push(Step::RemoveTree { path: path.clone(), trash: aside.clone() }, why);
    let why = format!("data of {}, each file compared with what was written", restored.release);
    plan.push(Step::RestoreData { snapshot: restored.path.clone(), path, aside }, why);
    Ok(())
}

/// Plans a snapshot.
///
/// # Errors
/// When there is no room for it.
pub fn snapshot_create(input: &SnapshotCreate) -> Result<Plan> {
    let mut plan = input.installed.plan(Action::Snapshot);
    stop(input.service.as_ref(), &mut plan);
    plan.push(input.installed.take(&input.taking, SnapshotReason::Manual)?, "you asked for it");
    input.installed.start_again(input.service.as_ref(), &mut plan);
    Ok(plan)
}

/// Plans to put a snapshot back.
///
/// # Errors
/// When the installed release cannot read its data, or there is no room.
pub fn snapshot_restore(input: &SnapshotRestore) -> Result<Plan> {
    let (installed, restored) = (input.installed, &input.restored);
    installed.reads(restored)?;
    let mut plan = installed.plan(Action::Restore);
    stop(input.service.as_ref(), &mut plan);
    if let Some(taking) = &input.taking {
        plan.push(
            installed.take(taking, SnapshotReason::Restore)?,
            "so that the present data can be put back",
        );
    }
    replace_data(&mut plan, restored, input.fixed)?;
    if input.selinux {
        plan.push(Step::RestoreLabels { paths: vec![product::DATA_DIR.to_owned()] }, "SELinux is on");
    }
    installed.start_again(input.service.as_ref(), &mut plan);
    let kept = [product::CONFIG_FILE, product::INSTALL_DIR].join(" and ");
    plan.notes
        .push(format!("{kept} stay as they are; the snapshot's copies of them are in {}", restored.path));
    Ok(plan)
}
