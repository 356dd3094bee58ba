use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::common::Common;
use super::exit::Exit;
use super::install::{Target, plan_of};
use crate::prompt::{self, Answers};
use crate::report;
use crate::workflow::{Error, install};

/// Arguments of `plan`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
    /// Exit with 7 when changes are pending
    #[arg(long)]
    detailed_exitcode: bool,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    let sink = common.sink();
    let session = common.session(&args.target.keys, &*sink)?;
    if session.is_unfinished() {
        return Err(Error::Unfinished.into()); // what is there now is neither old nor new
    }
    let known = args.target.known(&session)?;
    let offer = install::offer(&session, args.target.file.as_deref())?;
    let answers = Answers {
        accept_eula: true, // nothing is done; install asks
        port: known.port.or(install::configured_port(&session)).unwrap_or(prompt::DEFAULT_PORT),
        admin_name: known.admin_name.unwrap_or_else(|| prompt::DEFAULT_ADMIN.to_owned()),
        start: known.start.unwrap_or(true),
    };
    match plan_of(&session, &offer, &answers, &args.target.options(&session))? {
        None => {
            let release = offer.release.manifest().release();
            let text = format!("{release} is installed and unchanged; nothing to do\n");
            common.result(&text, &json!({ "changes": false, "release": release }));
            Ok(Exit::Done.into())
        }
        Some(plan) => {
            let digest = plan.digest();
            common.result(&report::plan(&plan), &json!({ "changes": true, "digest": digest, "plan": plan }));
            Ok(if args.detailed_exitcode { Exit::Pending.into() } else { Exit::Done.into() })
        }
    }
}
