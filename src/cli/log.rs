use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};

use super::common::{Common, KeyArgs};
use super::exit::Exit;
use crate::product::{self, Role};
use crate::report;
use crate::workflow::facts::{self, Whose};

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
        /// The engine of that name
        #[arg(long, value_name = "NAME", value_parser = name)]
        name: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// server.log
    Server,
    /// d1.log
    Engine,
}

fn name(text: &str) -> Result<String, String> {
    if product::is_word(text) {
        Ok(text.to_owned())
    } else {
        Err("a name is letters, digits, - and _".to_owned())
    }
}

pub(super) fn run(common: &Common, args: &LogArgs) -> Result<ExitCode> {
    let sink = common.sink();
    let session = common.session(&KeyArgs::default(), &*sink)?;
    let Command::Facts { log, role, name } = &args.command;
    let role = role.map(|role| match role {
        Which::Server => Role::Server,
        Which::Engine => Role::Engine,
    });
    let whose = Whose { log: log.clone(), role, name: name.clone() };
    let told = facts::facts(&session, &whose)?;
    common.result(&report::log_facts(&told), &told);
    Ok(Exit::Done.into())
}
