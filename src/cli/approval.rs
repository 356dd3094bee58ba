//! How a change is approved: shown and asked, approved beforehand by its digest, or not asked at all.

use anyhow::{Result, bail};
use serde_json::json;

use super::ask;
use super::common::Common;
use crate::apply::Recovered;
use crate::plan::Plan;
use crate::types::{Digest, printable};
use crate::workflow::{Error, Session, require_approved};
use crate::{report, sys};

/// What every verb takes that changes what is installed.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Approval {
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Show the plan and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Go on only if the plan has this digest
    #[arg(long, value_name = "SHA256")]
    plan_digest: Option<Digest>,
}

impl Approval {
    /// Whether nobody is asked.
    pub(super) fn is_unattended(&self) -> bool {
        self.yes || self.dry_run || self.plan_digest.is_some()
    }

    /// Whether nobody sees the plan.
    pub(super) fn is_blind(&self) -> bool {
        self.yes
    }

    /// Before anything is looked at: rights, no other run, and what an earlier run left is recovered.
    /// What is there after a run that was cut off is neither old nor new, and no plan is made of it.
    pub(super) fn begin(&self, session: &Session) -> Result<Recovered> {
        if self.dry_run {
            session.require_settled()?;
            return Ok(Recovered::Nothing);
        }
        session.require_rights()?;
        session.refuse_when_busy()?;
        if !session.has_loose_ends()? {
            return Ok(Recovered::Nothing);
        }
        let own = session.is_unfinished()?;
        let (_lock, recovered) = session.begin_change()?;
        Ok(if own { recovered } else { Recovered::Nothing })
    }

    /// Compares the plan with the approved digest, and refuses to go on where nobody can be asked.
    pub(super) fn check(&self, plan: &Plan) -> Result<()> {
        if let Some(approved) = self.plan_digest {
            require_approved(plan, approved)?;
        }
        if !self.is_unattended() && !sys::tty::is_interactive() {
            bail!(Error::Unconfirmed);
        }
        Ok(())
    }

    /// Shows the plan; then asks, unless nobody is to be asked. False after a dry run.
    pub(super) fn decide(&self, common: &Common, plan: &Plan, question: (&str, bool)) -> Result<bool> {
        if self.dry_run {
            let value = json!({ "changes": true, "digest": plan.digest(), "plan": plan });
            common.result(&report::plan(plan), &value);
            return Ok(false);
        }
        self.check(plan)?;
        if !self.is_unattended() {
            sys::fs::print_error(&printable(&report::plan(plan)));
        }
        self.confirm(question)?;
        Ok(true)
    }

    /// Asks whether to go on, unless nobody is to be asked.
    pub(super) fn confirm(&self, (question, default): (&str, bool)) -> Result<()> {
        if !self.is_unattended() && !ask::confirm(question, default)? {
            bail!(ask::Error::NotConfirmed);
        }
        Ok(())
    }
}
