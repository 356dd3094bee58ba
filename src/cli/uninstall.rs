use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::json;

use super::ask;
use super::common::{Common, KeyArgs};
use super::exit::Exit;
use crate::types::{Digest, printable};
use crate::workflow::{Error, require_approved, uninstall};
use crate::{report, sys};

/// Arguments of `uninstall`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Remove data, logs and configuration, too
    #[arg(long)]
    purge: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Show the plan and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Go on only if the plan has this digest
    #[arg(long, value_name = "SHA256")]
    plan_digest: Option<Digest>,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    let sink = common.sink();
    let session = common.session(&KeyArgs::default(), &*sink)?;
    if !args.dry_run {
        session.require_rights()?;
        session.refuse_when_busy()?;
        if session.is_unfinished()? {
            let (_lock, _) = session.begin_change()?; // also recovers
        }
    }
    if session.receipt()?.is_none() {
        common.result("nothing is installed here; nothing to do\n", &json!({ "changed": false }));
        return Ok(Exit::Done.into());
    }
    let plan = uninstall::plan(&session, args.purge)?;
    let digest = plan.digest();
    if args.dry_run {
        common.result(&report::plan(&plan), &json!({ "changes": true, "digest": digest, "plan": plan }));
        return Ok(Exit::Done.into());
    }
    if let Some(approved) = args.plan_digest {
        require_approved(&plan, approved)?;
    }
    if !args.yes && args.plan_digest.is_none() {
        if !sys::tty::is_interactive() {
            bail!(Error::Unconfirmed);
        }
        sys::fs::print_error(&printable(&report::plan(&plan)));
        if !ask::confirm("Remove it?", false)? {
            bail!(ask::Error::NotConfirmed);
        }
    }
    uninstall::run(&session, args.purge, digest)?;
    let text = format!("{} is removed\n", plan.release);
    common.result(&text, &json!({ "changed": true, "removed": plan.release, "purged": args.purge }));
    Ok(Exit::Done.into())
}
