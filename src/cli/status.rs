use std::process::ExitCode;

use anyhow::Result;

use serde_json::json;

use super::common::{Common, KeyArgs, Place};
use super::exit::Exit;
use crate::product::{EngineName, Site};
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

/// One engine, or all engines of the host.
pub(super) fn engines(common: &Common, name: Option<EngineName>) -> Result<ExitCode> {
    let sink = common.sink();
    if name.is_some() {
        let session = common.session_in(&KeyArgs::default(), &*sink, Place::Engine(name))?;
        let status = workflow::status::status(&session)?;
        common.result(&report::status(&status), &status);
        return Ok(Exit::Done.into());
    }
    let sites = common.session(&KeyArgs::default(), &*sink)?.sites()?;
    let mut all = Vec::new();
    for site in sites.into_iter().filter(|site| *site != Site::default()) {
        let session = common.session(&KeyArgs::default(), &*sink)?.about(site);
        let status = workflow::status::status(&session)?;
        if status.installed || status.unfinished {
            all.push(status);
        }
    }
    common.result(&report::engines(&all), &json!({ "engines": all }));
    Ok(Exit::Done.into())
}
