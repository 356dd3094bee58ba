//! Snapshots of the data: taken, listed, compared, put back, removed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::change::{carry_out, installed, service_of};
use super::{Recorder, Session, record};
use crate::apply::Secrets;
use crate::host;
use crate::plan::{self, AtWork, Current, Plan, Restored, SnapshotCreate, SnapshotRestore, Step, Taking};
use crate::product::{self, SnapshotReason, under};
use crate::receipt::Receipt;
use crate::retained;
use crate::snapshot::{self, About, Form, Pruning, Snapshot, Work};
use crate::sys;
use crate::types::{Digest, error_chain};

/// What the service is given to answer after it was started again.
const HEALTH_SECONDS: u64 = 300;

/// A snapshot as it is listed.
#[derive(Debug, Serialize)]
pub struct Line {
    /// Its name.
    pub id: String,
    /// What is known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// Why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What a pruning is asked to do.
#[derive(Debug, Clone)]
pub struct Prune {
    /// The directory of snapshots.
    pub dir: PathBuf,
    /// How many of the newest stay.
    pub keep: usize,
    /// Only such as are older go.
    pub older_than: Option<Duration>,
    /// Also those that somebody asked for, not only those taken before a change.
    pub all: bool,
}

/// What a pruning removes, or would remove.
#[derive(Debug, Default)]
pub struct Pruned {
    /// Names of those that go, oldest first.
    pub removed: Vec<String>,
    /// Names of those that would go, did not the retained release need them.
    pub needed: Vec<String>,
}

/// What a restoring is asked to do.
#[derive(Debug, Clone)]
pub struct Restoring {
    /// The snapshot's name.
    pub id: String,
    /// The directory of snapshots.
    pub dir: PathBuf,
    /// Whether a snapshot of the present data is taken first.
    pub keep_present: bool,
}

/// The directory of snapshots: the one that was asked for, made absolute, or the usual one.
///
/// # Errors
/// When the one that was asked for has no absolute form.
pub fn dir(session: &Session, asked: Option<&Path>) -> Result<PathBuf> {
    match asked {
        Some(dir) => Ok(std::path::absolute(dir).map_err(|e| sys::Error::new("resolve", dir, e))?),
        None => Ok(snapshot::default_dir(&session.root)),
    }
}

/// The service, if it is at work on the running system.
pub(super) fn at_work(session: &Session, receipt: &Receipt) -> Result<Option<AtWork>> {
    let found = service_of(session, receipt, HEALTH_SECONDS)?;
    Ok(found.filter(|(_, running)| *running).map(|(service, _)| service))
}

pub(super) fn text_of(dir: &Path) -> Result<String> {
    let text = dir.to_str().map(ToOwned::to_owned);
    Ok(text.ok_or_else(|| sys::Error::rule("use", dir, "its name is not valid UTF-8"))?)
}

/// A snapshot that is to be taken in `dir`.
pub(super) fn taking(session: &Session, label: &str, dir: &Path) -> Result<Taking> {
    let estimate = snapshot::estimate(&session.root, dir)?;
    Ok(Taking {
        dir: text_of(dir)?,
        id: snapshot::new_id(dir, label),
        needed: estimate.needed,
        free: estimate.free,
    })
}

/// Takes a snapshot of the data; a service at work stands still as long as that takes.
///
/// # Errors
/// When another run is at work, nothing is installed, or a step failed: all is as before then.
pub fn create(session: &Session, dir: &Path) -> Result<About> {
    let recorder = Recorder::new(session.sink);
    let session = &session.telling(&recorder);
    let (_lock, _) = session.begin_change()?;
    snapshot::clean(dir)?;
    let (receipt, manifest) = installed(session)?;
    let root = session.root.display().to_string();
    let label = format!("{}-{}", session.now.strftime("%Y%m%dT%H%M%SZ"), receipt.release());
    let input = SnapshotCreate {
        installed: Current { receipt: &receipt, manifest: manifest.get(), root: &root, site: &session.site },
        service: at_work(session, &receipt)?,
        taking: taking(session, &label, dir)?,
    };
    let plan = plan::snapshot_create(&input)?;
    let what = format!("snapshot create {}", plan.release);
    carry_out(session, &recorder, (&plan, &what), (&Secrets::default(), receipt.owners))?;
    Ok(snapshot::open(dir, &input.taking.id)?.about)
}

/// What this user may not look at is not taken for empty.
fn may_look(dir: &Path) -> snapshot::Result<()> {
    sys::fs::stat(dir)?;
    Ok(())
}

/// All snapshots in `dir`.
///
/// # Errors
/// When the directory cannot be read.
pub fn list(dir: &Path) -> Result<Vec<Line>> {
    may_look(dir)?;
    let line = |listed: snapshot::Listed| match listed.snapshot {
        Ok(found) => Line { id: listed.id, about: Some(found.about), problem: None },
        Err(e) => Line { id: listed.id, about: None, problem: Some(error_chain(&e)) },
    };
    Ok(snapshot::list(dir)?.into_iter().map(line).collect())
}

/// Reads a snapshot back and compares all of it.
///
/// # Errors
/// When it is damaged.
pub fn verify(session: &Session, dir: &Path, id: &str) -> Result<About> {
    may_look(dir)?;
    let found = snapshot::open(dir, id)?;
    found.verify(&Work { owners: found.about.owners, sink: session.sink, interruptible: true })?;
    Ok(found.about)
}

/// Tells which snapshots would be removed. Looks anew each time.
///
/// # Errors
/// When the directory or what is known of the retained release cannot be read.
pub fn prunable(session: &Session, prune: &Prune) -> Result<Pruned> {
    let Prune { dir, keep, older_than, all } = prune;
    may_look(dir)?;
    let pruning = Pruning { keep: *keep, older_than: *older_than, all: *all, now: session.now };
    let chosen = snapshot::chosen(dir, &pruning)?;
    // a rollback needs the one that belongs to the retained release
    let needed = retained::read(&session.root, &session.site)?
        .and_then(|retained| retained.snapshot_place(&session.root));
    let same = |place: &Path| sys::fs::canonical(place).ok() == sys::fs::canonical(dir).ok();
    let is_needed = |id: &String| needed.as_ref().is_some_and(|(place, needed)| needed == id && same(place));
    let (needed, removed) = chosen.into_iter().partition(is_needed);
    Ok(Pruned { removed, needed })
}

/// Removes snapshots; tells which.
///
/// # Errors
/// When another run is at work or one cannot be removed.
pub fn prune(session: &Session, prune: &Prune) -> Result<Pruned> {
    let (_lock, _) = session.begin_change()?;
    let _working = sys::signal::Working::begin();
    let pruned = prunable(session, prune)?;
    snapshot::clean(&prune.dir)?;
    let removed = pruned.removed.iter().try_for_each(|id| snapshot::remove(&prune.dir, id));
    if !pruned.removed.is_empty() {
        record::note(session, "prune", "snapshot prune", removed.is_ok());
    }
    removed?;
    Ok(pruned)
}

/// Plans to put a snapshot back.
///
/// # Errors
/// When nothing is installed, or the snapshot cannot be used here.
pub fn plan_restore(session: &Session, restoring: &Restoring) -> Result<Plan> {
    let (receipt, manifest) = installed(session)?;
    let found = snapshot::open(&restoring.dir, &restoring.id)?;
    let present = restoring.keep_present && under(&session.root, product::DATA_DIR).is_dir();
    let label = format!("{}-before-{}", receipt.release(), restoring.id);
    let taking = if present { Some(taking(session, &label, &restoring.dir)?) } else { None };
    let restored = restored(session, &found, taking.as_ref())?;
    let root = session.root.display().to_string();
    let input = SnapshotRestore {
        installed: Current { receipt: &receipt, manifest: manifest.get(), root: &root, site: &session.site },
        service: at_work(session, &receipt)?,
        restored,
        taking,
        fixed: snapshot::is_fixed(&session.root)?,
        selinux: session.is_live() && host::facts().selinux,
    };
    Ok(plan::snapshot_restore(&input)?)
}

/// A snapshot that is put back, after the present data were kept as `taking` says.
pub(super) fn restored(session: &Session, found: &Snapshot, taking: Option<&Taking>) -> Result<Restored> {
    let data = under(&session.root, product::DATA_DIR);
    let nearest = data.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
    let device = |path: &Path| anyhow::Ok(sys::fs::stat(&sys::fs::canonical(path)?)?.map(|stat| stat.dev));
    // what is taken first may take its room from the same file system
    let first = match taking {
        Some(taking) => {
            let dir = Path::new(&taking.dir);
            let place = dir.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
            if device(place)? == device(nearest)? { taking.needed } else { 0 }
        }
        None => 0,
    };
    let about = &found.about;
    Ok(Restored {
        path: text_of(found.path())?,
        data_schema: about.data_schema,
        release: about.release.clone(),
        needed: if about.form == Form::Archive { about.allocated } else { 0 },
        free: sys::fs::free_bytes(nearest)?.saturating_sub(first),
    })
}

/// Puts a snapshot back, if the plan is still the one that was shown. Gives the name of the snapshot
/// of the data before, if one was taken.
///
/// # Errors
/// When another run is at work, the host has changed since, or a step failed.
pub fn restore(session: &Session, restoring: &Restoring, approved: Digest) -> Result<Option<String>> {
    let recorder = Recorder::new(session.sink);
    let session = &session.telling(&recorder);
    let (_lock, _) = session.begin_change()?;
    snapshot::clean(&restoring.dir)?;
    let receipt = session.receipt()?.ok_or(plan::Error::NothingInstalled)?;
    let plan = plan_restore(session, restoring)?;
    session.require_approved(&plan, approved)?;
    let what = format!("snapshot restore {}", plan.release);
    carry_out(session, &recorder, (&plan, &what), (&Secrets::default(), receipt.owners))?;
    let taken = plan.steps.into_iter().find_map(|planned| match planned.step {
        Step::TakeSnapshot { id, reason: SnapshotReason::Restore, .. } => Some(id),
        _ => None,
    });
    Ok(taken)
}
