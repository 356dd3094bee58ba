//! `preflight`.

mod xdr;

use std::process::ExitCode;

use anyhow::Result;

use super::common::Common;

/// Arguments of `preflight`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    xdr: xdr::XdrArgs,
    /// Run these checks only
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    only: Vec<String>,
    /// Leave these checks out
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    skip: Vec<String>,
}

pub(super) use xdr::Error;

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    let _ = args.xdr.is_wanted();
    xdr::run(common, &args.xdr, (&args.only, &args.skip))
}
