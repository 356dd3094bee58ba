//! `cert rollback`: the pair that was replaced last, by the same way and the same checks.

use std::process::ExitCode;

use anyhow::Result;

use super::install::{self, SecretArgs, StartArgs, Which};
use crate::cli::approval::Approval;
use crate::cli::common::Common;
use crate::workflow::cert::install::Source;

/// Arguments of `cert rollback`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    secrets: SecretArgs,
    #[command(flatten)]
    start: StartArgs,
    #[command(flatten)]
    approval: Approval,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    let sink = common.sink();
    let session = args.which.session(common, &*sink)?;
    args.approval.begin(&session)?;
    let options = install::options(&session, Source::Kept, (&args.which, &args.secrets, &args.start));
    install::carry_out(common, &session, options, &args.secrets, &args.approval)
}
