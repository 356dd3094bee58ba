use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::approval::Approval;
use super::common::{Common, KeyArgs, Place};
use super::exit::Exit;
use crate::apply::Recovered;
use crate::plan::{Action, DataChoice};
use crate::report;
use crate::workflow::Error;
use crate::workflow::rollback::{self, Options};

/// Arguments of `rollback`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only if this release is retained, such as 6.14.0-3036535; nothing is done if it is installed
    #[arg(long, value_name = "RELEASE")]
    to: Option<String>,
    /// What becomes of the data
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    data: Data,
    /// Do not keep the present data when others take their place
    #[arg(long)]
    no_snapshot: bool,
    /// Keep them in DIR
    #[arg(long, value_name = "DIR")]
    snapshot_dir: Option<PathBuf>,
    /// How long the service may take to answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = super::install::HEALTH_SECONDS)]
    health_timeout: u64,
    #[command(flatten)]
    approval: Approval,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Data {
    /// Back to the snapshot that belongs to the release, if there is one
    #[default]
    Auto,
    /// They stay as they are
    Keep,
    /// Back to the snapshot, or nothing is done
    Restore,
}

impl Args {
    /// For an engine, which has no data to go back.
    pub(super) fn engine(to: Option<String>, connect_seconds: u64, approval: Approval) -> Self {
        let (data, no_snapshot, snapshot_dir) = (Data::Keep, true, None);
        Self { to, data, no_snapshot, snapshot_dir, health_timeout: connect_seconds, approval }
    }
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    run_in(common, args, Place::Unnamed)
}

pub(super) fn run_in(common: &Common, args: &Args, place: Place) -> Result<ExitCode> {
    let sink = common.sink();
    let session = common.session_in(&KeyArgs::default(), &*sink, place)?;
    if args.approval.begin(&session)? == Recovered::Finished(Action::Rollback) {
        return Ok(done_before(common)); // another one would lead back again
    }
    if let Some(wanted) = &args.to
        && *wanted == rollback::installed(&session)?
    {
        return Ok(nothing_to_do(common, wanted));
    }
    let options = Options {
        data: match args.data {
            Data::Auto => DataChoice::Auto,
            Data::Keep => DataChoice::Keep,
            Data::Restore => DataChoice::Restore,
        },
        keep_present: !args.no_snapshot,
        snapshot_dir: args.snapshot_dir.clone(),
        health_seconds: args.health_timeout,
    };
    let plan = rollback::plan(&session, &options)?;
    if let Some(wanted) = args.to.as_ref().filter(|to| **to != plan.release) {
        return Err(Error::NotRetained { wanted: wanted.clone(), retained: plan.release }.into());
    }
    if !args.approval.decide(common, &plan, ("Go back?", false))? {
        return Ok(Exit::Done.into());
    }
    if args.approval.is_unattended() {
        plan.notes.iter().for_each(|note| sink.note(note.clone())); // else the plan showed them
    }
    let done = rollback::run(&session, &options, plan.digest())?;
    let text = report::rolled_back(&done, &session.root, &session.site);
    common.result(&text, &json!({ "changed": true, "rolled_back": done }));
    Ok(Exit::Done.into())
}

fn nothing_to_do(common: &Common, release: &str) -> ExitCode {
    let text = format!("{release} is installed; nothing to do\n");
    common.result(&text, &json!({ "changed": false, "release": release }));
    Exit::Done.into()
}

fn done_before(common: &Common) -> ExitCode {
    let text = "the rollback that was cut off is complete now\n";
    common.result(text, &json!({ "changed": true }));
    Exit::Done.into()
}
