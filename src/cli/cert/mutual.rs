//! `cert mutual`: whether the server asks its clients for certificates.

use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;
use serde_json::json;

use crate::cli::approval::Approval;
use crate::cli::common::{self, Common, KeyArgs};
use crate::cli::exit::Exit;
use crate::cli::install::HEALTH_SECONDS;
use crate::types::counted;
use crate::workflow::Session;
use crate::workflow::cert::mutual::{self, Options, Policy, State};

/// Arguments of `cert mutual`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Ask everyone who connects for a certificate: browsers and engines
    On(On),
    /// Ask nobody any longer
    Off(Off),
    /// Show how it is set
    Show,
}

#[derive(Debug, clap::Args)]
struct On {
    /// What is asked
    #[arg(long, value_enum, value_name = "POLICY", default_value_t)]
    policy: Asked,
    #[command(flatten)]
    off: Off,
}

#[derive(Debug, clap::Args)]
struct Off {
    /// Set it, and leave the server as it is: it obeys when it is started again
    #[arg(long)]
    no_start: bool,
    /// How long the service may take to answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = HEALTH_SECONDS)]
    health_timeout: u64,
    #[command(flatten)]
    approval: Approval,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
#[value(rename_all = "lowercase")]
enum Asked {
    /// A certificate, whoever issued it
    Require,
    /// None; but one that is shown has to be good
    Verify,
    /// A good certificate
    #[default]
    RequireAndVerify,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    let sink = common.sink();
    let session = common.session(&KeyArgs::default(), &*sink)?;
    match &args.command {
        Command::Show => {
            let state = mutual::show(&session)?;
            common.result(&text(&state), &state);
            Ok(Exit::Done.into())
        }
        Command::On(on) => {
            let policy = match on.policy {
                Asked::Require => Policy::Require,
                Asked::Verify => Policy::Verify,
                Asked::RequireAndVerify => Policy::RequireAndVerify,
            };
            change(common, &session, Some(policy), &on.off)
        }
        Command::Off(off) => change(common, &session, None, off),
    }
}

fn change(common: &Common, session: &Session, policy: Option<Policy>, args: &Off) -> Result<ExitCode> {
    let options = Options { restart: !args.no_start, seconds: args.health_timeout };
    let nothing = || {
        common
            .result("it is set so already; nothing to do\n", &json!({ "changed": false, "policy": policy }));
        Ok(Exit::Done.into())
    };
    args.approval.begin(session)?;
    let Some(plan) = mutual::plan(session, policy, options)? else { return nothing() };
    if !args.approval.decide(common, &plan, ("Set it?", false))? {
        return Ok(Exit::Done.into());
    }
    common::tell_notes(args.approval.is_unattended(), session.sink, &plan);
    if !mutual::run(session, policy, options, plan.digest())? {
        return nothing();
    }
    let what =
        policy.map_or("clients are asked for no certificate", |_| "clients are asked for certificates");
    let when = if plan.starts() { "the server answers" } else { "from the server's next start on" };
    let value = json!({ "changed": true, "policy": policy, "restarted": plan.starts() });
    common.result(&format!("{what}; {when}\n"), &value);
    Ok(Exit::Done.into())
}

fn text(state: &State) -> String {
    let verified = if state.verifies { "verified" } else { "not verified" };
    let mut text = match state.policy.as_str() {
        "" => format!("clients are asked for no certificate ({})\n", state.config),
        policy => format!("clients: {policy}; certificates are {verified} ({})\n", state.config),
    };
    for setting in &state.keys {
        text.push_str(&format!("  {setting}\n"));
    }
    if let Some(count) = state.authorities.filter(|_| state.verifies) {
        let count = counted(count, "authority", "authorities");
        text.push_str(&format!("  {count} added to those that this host trusts (`ca list`)\n"));
    }
    text
}
