use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::ask;
use super::common::Common;
use super::exit::Exit;
use super::install::{Target, assumed, check, plan_of};
use super::upgrade;
use crate::report;
use crate::workflow::{self, Session, install};

/// Arguments of `plan`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    choices: upgrade::Choices,
    /// Show what changes in the configuration
    #[arg(long)]
    diff: bool,
    /// Exit with 7 when changes are pending
    #[arg(long)]
    detailed_exitcode: bool,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    let sink = common.sink();
    let session = common.session(&args.target.keys, &*sink)?;
    session.require_settled()?;
    let options = args.target.options(&session)?;
    if workflow::upgrade::is_present(&session)? {
        return of_upgrade(common, &session, args);
    }
    let known = args.target.known(&session)?;
    check(&known)?;
    install::check_certificate(&options, args.target.passphrase()?.as_ref())?;
    let offer = install::offer(&session, install::candidate(&session, args.target.file.as_deref())?)?;
    let answers = assumed(&session, &known);
    match plan_of(&session, &offer, &answers, &options)? {
        None => {
            let release = offer.release.manifest().release();
            let text = format!("{release} is installed and unchanged; nothing to do\n");
            common.result(&text, &json!({ "changes": false, "release": release }));
            Ok(Exit::Done.into())
        }
        Some(plan) => {
            args.target.skip.require_fit(&session, &offer)?;
            if let Some(why) = install::port_in_use(answers.port) {
                return Err(ask::Error::PortInUse { port: answers.port, why }.into());
            }
            let digest = plan.digest();
            common.result(&report::plan(&plan), &json!({ "changes": true, "digest": digest, "plan": plan }));
            Ok(if args.detailed_exitcode { Exit::Pending.into() } else { Exit::Done.into() })
        }
    }
}

/// What is installed would be upgraded.
fn of_upgrade(common: &Common, session: &Session, args: &Args) -> Result<ExitCode> {
    let offer = install::offer(session, install::candidate(session, args.target.file.as_deref())?)?;
    let present = workflow::upgrade::present(session)?;
    let options =
        args.choices.options(session, args.target.no_owner, args.target.health, args.target.package)?;
    let Some(planned) = workflow::upgrade::plan(session, &offer, &present, &options)? else {
        let release = offer.release.manifest().release();
        let text = format!("{release} is installed and unchanged; nothing to do\n");
        common.result(&text, &json!({ "changes": false, "release": release }));
        return Ok(Exit::Done.into());
    };
    args.target.refuse_first_only()?;
    args.target.skip.require_fit(session, &offer)?;
    upgrade::show(common, session, &planned, args.diff);
    Ok(if args.detailed_exitcode { Exit::Pending.into() } else { Exit::Done.into() })
}
