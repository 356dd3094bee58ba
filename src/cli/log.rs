use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};

use super::common::{Common, KeyArgs};
use super::exit::Exit;
use crate::product::{EngineName, Role, Site};
use crate::report;
use crate::workflow::facts;

/// Tell what the product's log says
#[derive(Debug, Args)]
pub(super) struct LogArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Version, run, FIPS-CC mode and self-tests of the newest start, and the last errors
    Facts {
        /// Read FILE instead of the installed product's log
        #[arg(long, value_name = "FILE", conflicts_with_all = ["role", "name"])]
        log: Option<PathBuf>,
        /// Whose log; the installed product's unless given
        #[arg(long, value_enum)]
        role: Option<Which>,
        /// That of the engine with this name
        #[arg(long, value_name = "NAME", conflicts_with = "role")]
        name: Option<EngineName>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// server.log
    Server,
    /// d1.log
    Engine,
}

pub(super) fn run(common: &Common, args: &LogArgs) -> Result<ExitCode> {
    let sink = common.sink();
    let mut session = common.session(&KeyArgs::default(), &*sink)?;
    let Command::Facts { log, role, name } = &args.command;
    session = match (role, name) {
        (_, Some(name)) => session.about(Site::engine(Some(name.clone()))),
        (Some(Which::Server), None) => session.about(Site::unnamed(Role::Server)),
        (Some(Which::Engine), None) => session.about(Site::unnamed(Role::Engine)),
        (None, None) => session,
    };
    let told = facts::facts(&session, log.as_deref())?;
    common.result(&report::log_facts(&told), &told);
    Ok(Exit::Done.into())
}
