//! Removal of what was installed.

use anyhow::Result;

use super::change::perform;
use super::{Recorder, Session};
use crate::apply::{self, Context, Secrets};
use crate::host;
use crate::plan::{self, Plan, Uninstall};
use crate::product::{self, Role, Site, under};
use crate::receipt::{self, Receipt};
use crate::sys;
use crate::types::Digest;

/// Plans a removal.
///
/// # Errors
/// When nothing is installed or the host cannot be looked at.
pub fn plan(session: &Session, purge: bool) -> Result<Plan> {
    let receipt = session.receipt()?.ok_or(plan::Error::NothingInstalled)?;
    let site = &session.site;
    let wanted = [
        site.retained_tree(),
        site.retained_state(),
        product::SNAPSHOT_DIR.to_owned(),
        site.low_port_file(),
        site.kept_pairs(),
    ];
    let survey = host::survey(&session.root, site, &wanted)?;
    let live = session.is_live() && host::facts().systemd;
    let engines = session.other_engines()?;
    let unnamed = Site::unnamed(Role::Server);
    let beside =
        site.name().is_some() && (session.has_server() || receipt::read(&session.root, &unnamed)?.is_some());
    let shared = beside || !engines.is_empty();
    let one_time = one_time(session, &receipt);
    Ok(plan::uninstall(&Uninstall {
        receipt: &receipt,
        survey: &survey,
        purge,
        live,
        one_time: one_time.as_deref(),
        packaged: &packaged(session),
        engines: &engines,
        shared,
    })?)
}

/// The one-time configuration, where the server's configuration names another place for it. That may be the
/// service's work, so only what is its own counts.
fn one_time(session: &Session, receipt: &Receipt) -> Option<String> {
    let path = apply::one_time_file(&session.root, &session.site);
    let elsewhere = session.site.is_server() && path != product::ONE_TIME_FILE;
    let full = under(&session.root, &path);
    let is_its_own = || apply::check_one_time_place(&session.root, &path, receipt.owners).is_ok();
    (elsewhere && sys::fs::exists(&full) && is_its_own()).then_some(path)
}

/// What a package brought; nothing where its record cannot be read, which must not keep it from being removed.
fn packaged(session: &Session) -> Vec<String> {
    let manifest = apply::installed(&session.root, &session.site).ok().flatten();
    manifest.map_or_else(Vec::new, |manifest| plan::packaged_files(manifest.get(), &session.site))
}

/// Carries a removal out, if it is still the one that was shown.
///
/// # Errors
/// When another run is at work, the host has changed since, or a step failed.
pub fn run(session: &Session, purge: bool, approved: Digest) -> Result<()> {
    let recorder = Recorder::new(session.sink);
    let session = &session.telling(&recorder);
    let (_lock, _) = session.begin_change()?;
    let receipt = session.receipt()?.ok_or(plan::Error::NothingInstalled)?;
    let plan = plan(session, purge)?;
    session.require_approved(&plan, approved)?;
    let none = Secrets::default();
    let context = Context::new(session.place(), receipt.owners, &none, session.sink);
    perform(session, &recorder, (&plan, &format!("uninstall {}", plan.release)), &context)
}
