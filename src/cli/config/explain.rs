//! `config explain`.

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::common::Common;
use crate::cli::exit::Exit;
use crate::config::table::table;
use crate::report;

/// Arguments of `config explain`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The key, dotted, in any case: Server.HttpsPort
    key: String,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    let key = table().get(&args.key)?;
    common.result(&report::config_key(key), key);
    Ok(Exit::Done.into())
}
