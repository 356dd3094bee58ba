//! `otc`.

use std::process::ExitCode;

use anyhow::{Result, bail};

use super::common::Common;

/// Arguments of `otc`
#[derive(Debug, clap::Args)]
pub(super) struct OtcArgs {}

pub(super) fn run(_common: &Common, _args: &OtcArgs) -> Result<ExitCode> {
    bail!("not built yet")
}
