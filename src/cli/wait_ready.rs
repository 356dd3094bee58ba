use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::common::{Common, KeyArgs};
use super::exit::Exit;
use crate::workflow;

/// Arguments of `wait-ready`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How long to wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    timeout: u64,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    let sink = common.sink();
    let session = common.session(&KeyArgs::default(), &*sink)?;
    let ready = workflow::wait::wait(&session, Duration::from_secs(args.timeout))?;
    let millis = u64::try_from(ready.took.as_millis()).unwrap_or(u64::MAX);
    let version = ready.version.as_ref().map_or_else(String::new, |version| format!(", version {version}"));
    let data = json!({ "ready": true, "millis": millis, "version": ready.version });
    common.result(&format!("ready after {millis} ms{version}\n"), &data);
    Ok(Exit::Done.into())
}
