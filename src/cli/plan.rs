use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::ask;
use super::common::Common;
use super::exit::Exit;
use super::install::{Target, assumed, check, plan_of};
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
    if session.is_unfinished()? {
        return Err(Error::Unfinished.into()); // what is there now is neither old nor new
    }
    let options = args.target.options(&session)?;
    let known = args.target.known(&session)?;
    check(&known)?;
    install::check_certificate(&options, args.target.passphrase()?.as_ref())?;
    let offer = install::offer(&session, install::candidate(args.target.file.as_deref())?)?;
    let answers = assumed(&session, &known);
    match plan_of(&session, &offer, &answers, &options)? {
        None => {
            let release = offer.release.manifest().release();
            let text = format!("{release} is installed and unchanged; nothing to do\n");
            common.result(&text, &json!({ "changes": false, "release": release }));
            Ok(Exit::Done.into())
        }
        Some(plan) => {
            if let Some(why) = install::port_in_use(answers.port) {
                return Err(ask::Error::PortInUse { port: answers.port, why }.into());
            }
            let digest = plan.digest();
            common.result(&report::plan(&plan), &json!({ "changes": true, "digest": digest, "plan": plan }));
            Ok(if args.detailed_exitcode { Exit::Pending.into() } else { Exit::Done.into() })
        }
    }
}
