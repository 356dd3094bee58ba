//! `cert renew`: the next certificate with the same names. A self-signed one is made and installed; for one of
//! a CA a new key and request are written.

use std::process::ExitCode;

use anyhow::Result;

use super::install::{self, SecretArgs, StartArgs, Which};
use crate::certs::SELF_SIGNED_DAYS;
use crate::cli::approval::Approval;
use crate::cli::common::Common;
use crate::workflow::cert::install::{Error, Source};
use crate::workflow::cert::pair::is_self_made;

/// Arguments of `cert renew`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How long a self-signed certificate is valid, in days
    #[arg(long, value_name = "DAYS", default_value_t = SELF_SIGNED_DAYS, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    start: StartArgs,
    #[command(flatten)]
    approval: Approval,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    let sink = common.sink();
    let session = args.which.session(common, &*sink)?;
    args.approval.begin(&session)?;
    if !is_self_made(&session, args.which.kind(&session))? {
        return Err(Error::NotSelfMade.into());
    }
    let (source, secrets) = (Source::Made { days: args.days }, SecretArgs::default());
    let options = install::options(&session, source, (&args.which, &secrets, &args.start));
    install::carry_out(common, &session, options, &secrets, &args.approval)
}
