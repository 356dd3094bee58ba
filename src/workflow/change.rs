//! What small changes of an installation have in common.

use anyhow::Result;

use super::{Recorder, Session, install, record};
use crate::apply::{self, Context, Secrets};
use crate::host;
use crate::manifest::Manifest;
use crate::plan::{self, Action, AtWork, Current, Plan, Planned, Small, Step};
use crate::receipt::Receipt;
use crate::service;
use crate::verify::Verified;

/// What is installed.
pub(super) fn installed(session: &Session) -> Result<(Receipt, Verified<Manifest>)> {
    let receipt = session.receipt()?.ok_or_else(|| session.missing())?;
    let manifest = apply::installed(&session.root, &session.site)?.ok_or(plan::Error::NothingInstalled)?;
    Ok((receipt, manifest))
}

/// The service of an installation, if systemd runs it here, and whether it is at work.
pub(super) fn service_of(
    session: &Session,
    receipt: &Receipt,
    seconds: u64,
) -> Result<Option<(AtWork, bool)>> {
    let unit = session.site.unit();
    if !(receipt.units.contains(&unit) && session.is_live() && host::facts().systemd) {
        return Ok(None);
    }
    let running = service::state(&unit)?.is_wanted();
    let port = install::configured_port(session).unwrap_or(receipt.port);
    Ok(Some((AtWork { unit, port, seconds }, running)))
}

/// Which service is started anew with a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// None.
    Never,
    /// If it runs.
    Running,
    /// Also if it does not run.
    Always,
}

/// Plans these steps, and what the service needs to notice.
pub(super) fn plan_small(
    session: &Session,
    action: Action,
    steps: Vec<(Step, &str)>,
    restart: (Restart, u64),
) -> Result<Plan> {
    plan_small_at(session, action, steps, restart, None)
}

/// As [`plan_small`], where the service answers on another port than it did, if one is given.
pub(super) fn plan_small_at(
    session: &Session,
    action: Action,
    steps: Vec<(Step, &str)>,
    (restart, seconds): (Restart, u64),
    port: Option<u16>,
) -> Result<Plan> {
    let (receipt, manifest) = installed(session)?;
    let found = match restart {
        Restart::Never => None,
        _ => service_of(session, &receipt, seconds)?,
    };
    let found = found.filter(|(_, running)| *running || restart == Restart::Always);
    let running = found.as_ref().is_some_and(|(_, running)| *running);
    let root = session.root.display().to_string();
    let input = Small {
        installed: Current { receipt: &receipt, manifest: manifest.get(), root: &root, site: &session.site },
        service: found.map(|(service, _)| AtWork { port: port.unwrap_or(service.port), ..service }),
        running,
        steps: steps.into_iter().map(|(step, why)| Planned { step, reason: why.to_owned() }).collect(),
    };
    Ok(plan::small(action, input))
}

/// Carries a plan out, in the one place that every change passes: what it did is in the log and in the evidence
/// record, however it ends. `what` names it in both.
pub(super) fn perform(
    session: &Session,
    recorder: &Recorder,
    (plan, what): (&Plan, &str),
    context: &Context,
) -> Result<()> {
    perform_compared(session, recorder, (plan, what), context, None)
}

/// As [`perform`], for a run that compares everything with the release: how much differed before, and how to
/// count what differs afterwards.
pub(super) fn perform_compared(
    session: &Session,
    recorder: &Recorder,
    (plan, what): (&Plan, &str),
    context: &Context,
    differing: Option<(usize, &dyn Fn() -> Option<usize>)>,
) -> Result<()> {
    let before = differing.map(|(before, _)| before as u64);
    let running = record::begin(session, plan, what, before)?;
    let result = apply::run(plan, context);
    let after = differing.filter(|_| result.is_ok()).and_then(|(_, count)| count());
    if let Some(head) = running.end(session, &result, after.map(|after| after as u64)) {
        recorder.only_log(&format!("evidence record {}: {}", head.sequence, head.digest));
    }
    recorder.save(&session.root, what, result.as_ref().err());
    Ok(result?)
}

/// As [`perform`], for changes that bring no release.
pub(super) fn carry_out(
    session: &Session,
    recorder: &Recorder,
    (plan, what): (&Plan, &str),
    (secrets, owners): (&Secrets, bool),
) -> Result<()> {
    let context = Context::new(session.place(), owners, secrets, session.sink);
    perform(session, recorder, (plan, what), &context)
}
