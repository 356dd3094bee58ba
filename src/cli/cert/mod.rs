//! `cert`: certificates and keys, from the request to the proof that they are served.

mod check;
mod client;
mod convert;
mod csr;
mod install;
mod mutual;
mod probe;
mod renew;
mod rollback;

use std::process::ExitCode;

use anyhow::Result;

use super::common::Common;

/// Arguments of `cert`
#[derive(Debug, clap::Args)]
pub(super) struct CertArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a private key and a certificate signing request
    Csr(csr::Args),
    /// Write a key or certificate in the form that the product reads
    Convert(convert::Args),
    /// Check certificates and keys against every rule of the guide
    Check(check::Args),
    /// Give the server or an engine another certificate, and prove that it is served
    Install(install::Args),
    /// Make the way to the next certificate: a new key and request with the same names
    Renew(renew::Args),
    /// Put the pair back that was there before
    Rollback(rollback::Args),
    /// Make a certificate for a browser or an engine
    Client(client::Args),
    /// Ask clients for certificates, or no longer
    Mutual(mutual::Args),
    /// Look at the TLS of a server as an engine or a browser would
    Probe(probe::Args),
}

pub(super) fn run(common: &Common, args: &CertArgs) -> Result<ExitCode> {
    match &args.command {
        Command::Csr(args) => csr::run(common, args),
        Command::Convert(args) => convert::run(common, args),
        Command::Check(args) => check::run(common, args),
        Command::Install(args) => install::run(common, args),
        Command::Renew(args) => renew::run(common, args),
        Command::Rollback(args) => rollback::run(common, args),
        Command::Client(args) => client::run(common, args),
        Command::Mutual(args) => mutual::run(common, args),
        Command::Probe(args) => probe::run(common, args),
    }
}
