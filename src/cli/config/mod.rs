//! `config`: the product's configuration, `demisto.conf` and `d1.conf`.

mod explain;
mod keys;

use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;

use super::common::Common;
use crate::product::Role;

/// Arguments of `config`
#[derive(Debug, clap::Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the keys that are known
    Keys(keys::Args),
    /// Tell what a key does, what its values are, and what counts without it
    Explain(explain::Args),
}

/// Whose configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleArg {
    /// demisto.conf
    Server,
    /// d1.conf
    Engine,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Server => Self::Server,
            RoleArg::Engine => Self::Engine,
        }
    }
}

pub(super) fn run(common: &Common, args: &ConfigArgs) -> Result<ExitCode> {
    match &args.command {
        Command::Keys(args) => Ok(keys::run(common, args)),
        Command::Explain(args) => explain::run(common, args),
    }
}
