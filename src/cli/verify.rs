use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;

use super::common::{Common, KeyArgs};
use super::diagnostic;
use super::exit::Exit;
use crate::verify::Judgement;
use crate::workflow::Session;
use crate::{report, workflow};

/// Arguments of `verify`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file; this program itself unless given
    file: Option<PathBuf>,
    /// Check what is installed: the recorded signatures, then every file
    #[arg(long, conflicts_with = "file")]
    installed: bool,
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
    if args.installed {
        return installed(common, &session);
    }
    let found = workflow::verify::verify(&session, args.file.as_deref())?;
    show(common, report::verdicts(&found), &found, &found.judgement);
    Ok(if found.accepted { Exit::Done.into() } else { Exit::Refused.into() })
}

fn installed(common: &Common, session: &Session) -> Result<ExitCode> {
    let found = workflow::verify::installed(session)?;
    show(common, report::verified_installation(&found), &found, &found.judgement);
    Ok(match (found.accepted, found.drift.is_empty()) {
        (false, _) => Exit::Refused.into(),
        (true, false) => Exit::Blocked.into(),
        (true, true) => Exit::Done.into(),
    })
}

/// The report, and what to do about a refusal.
fn show(common: &Common, mut text: String, found: &impl Serialize, judgement: &Judgement) {
    let hints = diagnostic::hints(judgement);
    hints.iter().for_each(|hint| text.push_str(&format!("hint: {hint}\n")));
    let mut value = serde_json::to_value(found).unwrap_or_default();
    if let Some(value) = value.as_object_mut() {
        value.insert("hints".to_owned(), hints.into());
    }
    common.result(&text, &value);
}
