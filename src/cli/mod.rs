//! The front room: arguments, questions, progress, messages and exit codes.
//!
//! In: the arguments and the terminal. Out: calls of the rooms below, words on the terminal, one
//! exit code. Must never change the system by itself, and never print or log a secret.
#![forbid(unsafe_code)]

mod approval;
pub mod ask;
mod audit;
mod ca;
mod cert;
mod common;
mod config;
mod diagnostic;
mod engine;
mod exit;
mod inspect;
mod install;
pub mod keys;
pub mod legacy;
mod log;
mod mask;
mod otc;
mod pack;
mod package;
mod passphrase;
pub mod password;
mod plan;
mod preflight;
pub mod progress;
mod reason;
mod recover;
mod repair;
mod rollback;
mod snapshot;
mod status;
mod uninstall;
mod upgrade;
mod verify;
mod wait_ready;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use common::Common;
pub use exit::{CODES, Exit};

use crate::product::Role;
use crate::{event, sys, unpack, workflow};

/// The signed installer of the Cortex XSOAR (Demisto) server and engine
///
/// Without a verb it is guided: it verifies itself, asks, shows a plan, and installs what it carries.
#[derive(Debug, Parser)]
#[command(name = "demisto-install", version, max_term_width = 100, disable_help_subcommand = true, after_help = exit::HELP)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install the release that this program or FILE carries
    Install(install::Args),
    /// Put the release that this program or FILE carries in the place of the installed one
    Upgrade(upgrade::Args),
    /// Go back to the release that was installed before, or forward again
    Rollback(rollback::Args),
    /// Show what install or upgrade would do, and change nothing
    Plan(plan::Args),
    /// Check whether this host is fit for the product, and for the release in FILE
    Preflight(preflight::Args),
    /// Check every signature and every byte of a release
    Verify(verify::Args),
    /// Show what is inside a release
    Inspect(inspect::Args),
    /// Show what is installed and how it is
    Status(status::Args),
    /// Compare what is installed with the evaluated configuration
    Audit(audit::Args),
    /// Tell what the product's log says of its version and mode, and who changed this host
    Log(log::LogArgs),
    /// Wait until the service answers
    WaitReady(wait_ready::Args),
    /// Put right what was changed since the installation
    Repair(repair::Args),
    /// Remove what was installed
    Uninstall(uninstall::Args),
    /// Undo or finish a run that was cut off
    Recover(recover::Args),
    /// Install and look after engines, which are those of a server elsewhere or here
    Engine(engine::EngineArgs),
    /// Make, check, convert, install and probe certificates and keys
    Cert(cert::CertArgs),
    /// List, add and remove the authorities that this host trusts
    Ca(ca::CaArgs),
    /// Check the configuration, and tell what its keys mean
    Config(config::ConfigArgs),
    /// Write the one-time configuration: passphrase, administrators, API keys
    Otc(otc::OtcArgs),
    /// Take, list, put back and remove snapshots of the data
    Snapshot(snapshot::SnapshotArgs),
    /// Say whom to trust
    Keys(keys::KeysArgs),
    /// Make a signed self-extracting installer or RPM package from a directory tree
    Pack(pack::Args),
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let args = sys::env::args();
    if let Some(code) = unpack::run_confined(&args) {
        return code.into();
    }
    sys::init::process();
    if sys::signal::watch().is_err() {
        sys::fs::print_error("error: cannot watch for signals\n");
        return Exit::Failed.into();
    }
    if let Some(legacy) = legacy::check(&args) {
        sys::fs::print_error(&format!("error: {}\nhint: {}\n", legacy.message, legacy.hint));
        return Exit::Usage.into();
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match dispatch(&cli) {
        Ok(code) => code,
        Err(error) => diagnostic::report(&error, &cli.common),
    }
}

fn usage(error: &clap::Error) -> ExitCode {
    let text = error.render();
    if error.use_stderr() {
        sys::fs::print_error(&text.to_string());
        Exit::Usage.into()
    } else {
        sys::fs::print(&text.to_string());
        ExitCode::SUCCESS
    }
}

fn dispatch(cli: &Cli) -> anyhow::Result<ExitCode> {
    let common = &cli.common;
    match &cli.command {
        None => guided(common),
        Some(Command::Install(args)) => install::run(common, args),
        Some(Command::Upgrade(args)) => upgrade::run(common, args),
        Some(Command::Rollback(args)) => rollback::run(common, args),
        Some(Command::Plan(args)) => plan::run(common, args),
        Some(Command::Preflight(args)) => preflight::run(common, args),
        Some(Command::Verify(args)) => verify::run(common, args),
        Some(Command::Inspect(args)) => inspect::run(common, args),
        Some(Command::Status(args)) => status::run(common, args),
        Some(Command::Audit(args)) => audit::run(common, args),
        Some(Command::Log(args)) => log::run(common, args),
        Some(Command::WaitReady(args)) => wait_ready::run(common, args),
        Some(Command::Repair(args)) => repair::run(common, args),
        Some(Command::Uninstall(args)) => uninstall::run(common, args),
        Some(Command::Recover(args)) => recover::run(common, args),
        Some(Command::Engine(args)) => engine::run(common, args),
        Some(Command::Cert(args)) => cert::run(common, args),
        Some(Command::Ca(args)) => ca::run(common, args),
        Some(Command::Config(args)) => config::run(common, args),
        Some(Command::Otc(args)) => otc::run(common, args),
        Some(Command::Snapshot(args)) => snapshot::run(common, args),
        Some(Command::Keys(args)) => keys::run(common, args),
        Some(Command::Pack(args)) => pack::run(common, args),
    }
}

/// Without a verb: upgrades what is installed, else installs. A file that holds an engine is about the
/// engine without a name.
fn guided(common: &Common) -> anyhow::Result<ExitCode> {
    let sink = event::Silent;
    let session = common.session(&common::KeyArgs::default(), &sink)?;
    let role = crate::source::Candidate::open_self().ok();
    let role = role.and_then(|candidate| workflow::install::claimed_role(&candidate));
    if role == Some(Role::Engine) {
        let place = common::Place::Engine(None);
        let session = common.session_in(&common::KeyArgs::default(), &sink, place.clone())?;
        return if workflow::upgrade::is_present(&session)? {
            upgrade::run_in(common, &upgrade::Args::default(), place)
        } else {
            engine::install(common, &engine::Install::guided())
        };
    }
    if workflow::upgrade::is_present(&session)? {
        upgrade::run(common, &upgrade::Args::default())
    } else {
        install::run(common, &install::Args::default())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_option_of_ours_is_taken_for_an_old_one() {
        let command = Cli::command();
        for verb in command.get_subcommands() {
            for option in verb.get_arguments().filter_map(clap::Arg::get_long) {
                let line = ["demisto-install".into(), verb.get_name().into(), format!("--{option}").into()];
                assert!(legacy::check(&line).is_none(), "{} --{option}", verb.get_name());
            }
        }
    }

    #[test]
    fn every_verb_takes_the_common_arguments() {
        let verbs = [
            "install",
            "plan",
            "preflight",
            "upgrade",
            "rollback",
            "verify",
            "inspect",
            "status",
            "audit",
            "log facts",
            "log show --last 1",
            "log verify",
            "wait-ready",
            "repair",
            "uninstall",
            "recover",
            "keys list",
            "engine install",
            "engine configure",
            "engine status",
            "engine upgrade",
            "engine rollback",
            "engine repair",
            "engine verify",
            "engine uninstall",
            "ca list",
            "ca remove x",
            "config keys",
            "config get x",
            "config set x=1",
            "config preset evaluated",
            "config password-policy show",
            "config explain x",
            "otc show",
            "otc add-admin --user x",
            "cert mutual off",
            "snapshot list",
            "snapshot restore x",
            "snapshot prune --keep 1",
            "pack --tree t --description d --signing-key k --out o",
        ];
        for verb in verbs {
            let line = format!("demisto-install {verb} --root /srv --output json --color never --quiet");
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert!(cli.common.is_json() && cli.common.quiet, "{verb}");
        }
    }
}
