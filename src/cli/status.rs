use std::process::ExitCode;

use anyhow::Result;

use super::common::{Common, KeyArgs};
use super::exit::Exit;
use crate::{report, workflow};

/// Arguments of `status`
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(common: &Common, _args: &Args) -> Result<ExitCode> {
    let sink = common.sink();
    let session = common.session(&KeyArgs::default(), &*sink)?;
    let status = workflow::status::status(&session)?;
    common.result(&report::status(&status), &status);
    Ok(Exit::Done.into())
}
