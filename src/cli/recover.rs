use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::common::{Common, KeyArgs};
use super::exit::Exit;
use crate::apply::Recovered;

/// Arguments of `recover`
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(common: &Common, _args: &Args) -> Result<ExitCode> {
    let sink = common.sink();
    let session = common.session(&KeyArgs::default(), &*sink)?;
    session.require_rights()?;
    if !session.has_loose_ends()? {
        session.refuse_when_busy()?;
        common.result("no run was cut off; nothing to do\n", &json!({ "recovered": "nothing" }));
        return Ok(Exit::Done.into());
    }
    let (_lock, recovered) = session.begin_change()?;
    let (text, word) = match recovered {
        Recovered::Nothing => ("no run was cut off; nothing to do\n", "nothing"),
        Recovered::Restored => {
            ("the run that was cut off is undone; everything is as it was before\n", "restored")
        }
        Recovered::Finished(_) => ("the run that was cut off is complete\n", "finished"),
    };
    common.result(text, &json!({ "recovered": word }));
    Ok(Exit::Done.into())
}
