use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::json;

use super::ask;
use super::common::{Common, KeyArgs};
use super::exit::Exit;
use crate::types::{Digest, printable};
use crate::workflow::{Error, repair, require_approved};
use crate::{report, sys};

/// Arguments of `repair`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Take good content from FILE, which carries the installed release
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    #[command(flatten)]
    keys: KeyArgs,
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
    let session = common.session(&args.keys, &*sink)?;
    if args.dry_run {
        if session.is_unfinished()? {
            bail!(Error::Unfinished); // what is there now is neither old nor new
        }
    } else {
        session.require_rights()?;
        session.refuse_when_busy()?;
        if session.is_unfinished()? {
            let (_lock, _) = session.begin_change()?; // also recovers
        }
    }
    let source = repair::source(&session, args.from.as_deref())?;
    let Some(prepared) = repair::plan(&session, &source)? else { return Ok(nothing_to_do(common)) };
    let plan = prepared.plan;
    let digest = plan.digest();
    if args.dry_run {
        let value = json!({ "changes": true, "digest": digest, "plan": plan, "drift": prepared.drift });
        common.result(&report::plan(&plan), &value);
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
        if !ask::confirm("Put it right?", false)? {
            bail!(ask::Error::NotConfirmed);
        }
    }
    match repair::run(&session, &source, digest)? {
        None => Ok(nothing_to_do(common)),
        Some(repaired) => {
            let value = json!({ "changed": true, "release": repaired.release, "repaired": repaired.repaired, "kept": repaired.kept, "drift": [] });
            common.result(&report::repaired(&repaired), &value);
            Ok(Exit::Done.into())
        }
    }
}

fn nothing_to_do(common: &Common) -> ExitCode {
    let text = "everything is as it was installed; nothing to do\n";
    common.result(text, &json!({ "changed": false, "changes": false }));
    Exit::Done.into()
}
