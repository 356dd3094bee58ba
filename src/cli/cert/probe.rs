//! `cert probe`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use crate::cli::common::{Common, KeyArgs, Place};
use crate::cli::exit::Exit;
use crate::cli::passphrase;
use crate::probe::{Host, Policy, Target, View};
use crate::product::EngineName;
use crate::report;
use crate::workflow::cert::probe::{self, Options};

/// Arguments of `cert probe`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing is changed, here or there. Errors are told in the words of the product's own messages, each with its cause \
and what helps; the exit code is 4 when there is one, and 1 when there is no connection or no TLS.")]
pub(super) struct Args {
    /// The server, such as soar.example.test:443 or [2001:db8::1]:443; the port is 443 unless given
    #[arg(value_name = "HOST:PORT")]
    target: Target,
    /// Whom to play
    #[arg(long = "as", value_enum, value_name = "WHO", default_value_t)]
    view: Who,
    /// Ask for NAME, and look for it in the certificate, instead of HOST
    #[arg(long, value_name = "NAME")]
    server_name: Option<Host>,
    /// Trust the authorities in FILE (PEM or DER), besides those of this host
    #[arg(long = "ca", value_name = "FILE")]
    authorities: Vec<PathBuf>,
    /// Certificate chain (PEM, leaf first) to show when the server asks for one
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// Private key of --client-cert (PEM); mode 0600
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
    /// Read the passphrase of --client-key from FILE; mode 0600
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_passphrase_file: Option<PathBuf>,
    /// Take the client's certificate and what to do about revocation from the configuration of what is
    /// installed here, and check that its files can be loaded
    #[arg(long, alias = "installed-conf")]
    installed: bool,
    /// That of an engine
    #[arg(long, requires = "installed")]
    engine: bool,
    /// The engine's name; the one without a name unless given
    #[arg(long, value_name = "ENGINE", requires = "installed")]
    name: Option<EngineName>,
    /// What to do about revocation (OCSP); soft unless given here or in the configuration
    #[arg(long, value_enum, value_name = "HOW")]
    revocation: Option<How>,
    /// How long each connection may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=300))]
    timeout: u64,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Who {
    /// An engine in FIPS-CC mode
    #[default]
    Engine,
    /// A browser
    Browser,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum How {
    /// Ask nobody
    Off,
    /// Warn when the status cannot be determined
    Soft,
    /// Fail when the status cannot be determined
    #[value(alias = "required")]
    Require,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    let sink = common.sink();
    let place = Place::of(args.engine, args.name.as_ref());
    let session = common.session_in(&KeyArgs::default(), &*sink, place)?;
    let passphrase = match &args.client_passphrase_file {
        Some(file) => Some(passphrase::from_file(file)?),
        None => None,
    };
    let options = Options {
        target: args.target.clone(),
        server_name: args.server_name.clone(),
        view: match args.view {
            Who::Engine => View::Engine,
            Who::Browser => View::Browser,
        },
        authorities: args.authorities.clone(),
        client: args.client_cert.clone().zip(args.client_key.clone()),
        passphrase,
        revocation: args.revocation.map(|how| match how {
            How::Off => Policy::Off,
            How::Soft => Policy::Soft,
            How::Require => Policy::Require,
        }),
        installed: args.installed,
        limit: Duration::from_secs(args.timeout),
    };
    let found = probe::probe(&session, &options)?;
    common.result(&report::probed(&found), &found);
    Ok(if found.has_errors() { Exit::Blocked } else { Exit::Done }.into())
}
