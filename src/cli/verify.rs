use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use jiff::Timestamp;

use super::common::{Common, KeyArgs};
use super::exit::Exit;
use crate::{report, workflow};

/// Arguments of `verify`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file; this program itself unless given
    file: Option<PathBuf>,
    #[command(flatten)]
    keys: KeyArgs,
    /// Judge as of TIME instead of now, such as 2026-05-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    let sink = common.sink();
    let mut session = common.session(&args.keys, &*sink)?;
    session.now = args.at.unwrap_or(session.now);
    let found = workflow::verify::verify(&session, args.file.as_deref())?;
    common.result(&report::verdicts(&found), &found);
    Ok(if found.accepted { Exit::Done.into() } else { Exit::Refused.into() })
}
