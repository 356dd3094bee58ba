//! `config`: the product's configuration, `demisto.conf` and `d1.conf`.

mod change;
mod check;
mod edit;
mod explain;
mod keys;
mod policy;
mod preset;

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
    /// Tell what is wrong with a configuration, line by line
    Check(check::Args),
    /// List the keys that are known
    Keys(keys::Args),
    /// Tell what a key does, what its values are, and what counts without it
    Explain(explain::Args),
    /// Show the value of a key
    Get(edit::Get),
    /// Set keys, and leave every other byte of the file alone
    Set(edit::Set),
    /// Take keys away, so that their defaults count
    Unset(edit::Unset),
    /// Show how the configuration differs from the one that the release brought
    Diff(edit::Diff),
    /// Set all that belongs to one purpose
    Preset(preset::Args),
    /// Show or set what passwords have to have
    PasswordPolicy(policy::Args),
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
        Command::Check(args) => check::run(common, args),
        Command::Keys(args) => Ok(keys::run(common, args)),
        Command::Explain(args) => explain::run(common, args),
        Command::Get(args) => edit::get(common, args),
        Command::Set(args) => edit::set(common, args),
        Command::Unset(args) => edit::unset(common, args),
        Command::Diff(args) => edit::diff(common, args),
        Command::Preset(args) => preset::run(common, args),
        Command::PasswordPolicy(args) => policy::run(common, args),
    }
}
