//! `ca`.

use std::process::ExitCode;

use anyhow::{Result, bail};

use super::common::Common;

/// Arguments of `ca`
#[derive(Debug, clap::Args)]
pub(super) struct CaArgs {}

pub(super) fn run(_common: &Common, _args: &CaArgs) -> Result<ExitCode> {
    bail!("not built yet")
}
