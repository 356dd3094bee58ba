use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::approval::Approval;
use super::common::{Common, KeyArgs, Place};
use super::exit::Exit;
use crate::workflow::uninstall;

/// Arguments of `uninstall`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Remove data, logs and configuration, too
    #[arg(long)]
    purge: bool,
    #[command(flatten)]
    approval: Approval,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    run_in(common, args, Place::Unnamed)
}

pub(super) fn run_in(common: &Common, args: &Args, place: Place) -> Result<ExitCode> {
    let sink = common.sink();
    let session = common.session_in(&KeyArgs::default(), &*sink, place)?;
    args.approval.begin(&session)?;
    if session.receipt()?.is_none() {
        common.result("nothing is installed here; nothing to do\n", &json!({ "changed": false }));
        return Ok(Exit::Done.into());
    }
    let plan = uninstall::plan(&session, args.purge)?;
    if !args.approval.decide(common, &plan, ("Remove it?", false))? {
        return Ok(Exit::Done.into());
    }
    uninstall::run(&session, args.purge, plan.digest())?;
    let text = format!("{} is removed\n", plan.release);
    common.result(&text, &json!({ "changed": true, "removed": plan.release, "purged": args.purge }));
    Ok(Exit::Done.into())
}
