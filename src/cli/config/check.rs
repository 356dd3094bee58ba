//! `config check`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::RoleArg;
use crate::cli::common::{Common, KeyArgs, Place};
use crate::cli::exit::Exit;
use crate::config::lint::RULES;
use crate::product::EngineName;
use crate::report;
use crate::workflow::config::{self, Source};

/// Arguments of `config check`
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit 0 when no finding is an error, 4 when one is. Secrets are never shown.")]
pub(super) struct Args {
    /// The configuration, - for standard input; the installed one unless given
    file: Option<PathBuf>,
    /// Whose it is; told by the name of FILE unless given: d1.conf is an engine's
    #[arg(long, value_enum, value_name = "ROLE")]
    role: Option<RoleArg>,
    /// That of the installed engine
    #[arg(long, conflicts_with_all = ["file", "role"])]
    engine: bool,
    /// That of the installed engine with this name
    #[arg(long, value_name = "ENGINE", conflicts_with_all = ["file", "role"])]
    name: Option<EngineName>,
    /// Do not look at the files that the configuration names
    #[arg(long)]
    no_host: bool,
    /// Show all rules, and check nothing
    #[arg(long, conflicts_with_all = ["file", "role", "engine", "name", "no_host"])]
    list: bool,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    if args.list {
        common.result(&report::config_rules(RULES), &json!({ "rules": RULES }));
        return Ok(Exit::Done.into());
    }
    let sink = common.sink();
    let place = Place::of(args.engine, args.name.as_ref());
    let session = common.session_in(&KeyArgs::default(), &*sink, place)?;
    let source = match &args.file {
        None => Source::Installed,
        Some(path) if path.as_os_str() == "-" => Source::Stdin,
        Some(path) => Source::File(path.clone()),
    };
    let checked = config::check(&session, &source, args.role.map(Into::into), !args.no_host)?;
    common.result(&report::config_findings(&checked), &checked);
    Ok(if checked.failed() { Exit::Blocked.into() } else { Exit::Done.into() })
}
