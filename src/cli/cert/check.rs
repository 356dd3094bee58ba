//! `cert check`.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::cli::common::Common;

/// Arguments of `cert check`
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_common: &Common, _args: &Args) -> Result<ExitCode> {
    bail!("not built yet")
}
