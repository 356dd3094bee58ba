use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::approval::Approval;
use super::common::{Common, KeyArgs, Place};
use super::exit::Exit;
use crate::report;
use crate::workflow::repair;

/// Arguments of `repair`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Take good content from FILE, which carries the installed release
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    approval: Approval,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    run_in(common, args, Place::Unnamed)
}

pub(super) fn run_in(common: &Common, args: &Args, place: Place) -> Result<ExitCode> {
    let sink = common.sink();
    let session = common.session_in(&args.keys, &*sink, place)?;
    args.approval.begin(&session)?;
    let source = repair::source(&session, args.from.as_deref())?;
    let Some(prepared) = repair::plan(&session, &source)? else {
        return Ok(nothing_to_do(common, args.approval.dry_run));
    };
    let plan = prepared.plan;
    if args.approval.dry_run {
        let value =
            json!({ "changes": true, "digest": plan.digest(), "plan": plan, "drift": prepared.drift });
        common.result(&report::plan(&plan), &value);
        return Ok(Exit::Done.into());
    }
    if !args.approval.decide(common, &plan, ("Put it right?", false))? {
        return Ok(Exit::Done.into());
    }
    match repair::run(&session, &source, plan.digest())? {
        None => Ok(nothing_to_do(common, false)),
        Some(repaired) => {
            let value = json!({ "changed": true, "release": repaired.release, "repaired": repaired.repaired, "kept": repaired.kept, "drift": [] });
            common.result(&report::repaired(&repaired), &value);
            Ok(Exit::Done.into())
        }
    }
}

fn nothing_to_do(common: &Common, dry_run: bool) -> ExitCode {
    let text = "everything is as it was installed; nothing to do\n";
    let word = if dry_run { "changes" } else { "changed" };
    common.result(text, &json!({ word: false }));
    Exit::Done.into()
}
