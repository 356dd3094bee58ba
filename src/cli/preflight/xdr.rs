//! `preflight --xdr`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::cli::common::{Common, KeyArgs};
use crate::cli::exit::Exit;
use crate::cli::passphrase;
use crate::preflight::Chosen;
use crate::preflight::xdr::port::P2P_PORT;
use crate::preflight::xdr::{CHECKS, endpoint};
use crate::probe::{Proxy, Target};
use crate::report;
use crate::workflow::xdr::{self, Options, Way};

const XDR: &str = "Access to Cortex XDR";

/// What `preflight` takes for it.
#[derive(Debug, clap::Args)]
pub(super) struct XdrArgs {
    /// Check access to Cortex XDR instead: anchors, port of peer-to-peer updates, firewall, servers
    #[arg(long, help_heading = XDR, conflicts_with_all = ["file", "keys", "profile", "role", "port", "expect_uid", "expect_gid"])]
    xdr: bool,
    /// A server of Cortex XDR that has to be reached; the port is 443 unless given
    #[arg(long = "fqdn", requires = "xdr", help_heading = XDR, value_name = "HOST[:PORT]")]
    servers: Vec<Target>,
    /// A file with one server on each line; `#` begins a comment
    #[arg(long = "fqdn-file", requires = "xdr", help_heading = XDR, value_name = "FILE")]
    lists: Vec<PathBuf>,
    /// Go to the servers through this proxy; the one of /etc/environment unless given
    #[arg(long, requires = "xdr", help_heading = XDR, value_name = "http://HOST:PORT")]
    proxy: Option<String>,
    /// Read the proxy's USER:PASSWORD from FILE, which belongs to root or you and which nobody else can read
    #[arg(long, requires = "xdr", help_heading = XDR, value_name = "FILE")]
    proxy_credentials_file: Option<PathBuf>,
    /// Go to the servers directly, whatever /etc/environment says
    #[arg(long, requires = "xdr", conflicts_with_all = ["proxy", "proxy_credentials_file"], help_heading = XDR)]
    direct: bool,
    /// The port of peer-to-peer content updates
    #[arg(long, requires = "xdr", help_heading = XDR, value_name = "PORT", default_value_t = P2P_PORT, value_parser = clap::value_parser!(u16).range(1..))]
    p2p_port: u16,
    /// Look whether FILE (PEM or DER) holds an anchor that is missing, and show the command that adds it
    #[arg(long, requires = "xdr", help_heading = XDR, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// How long each connection may take, in seconds
    #[arg(long, requires = "xdr", help_heading = XDR, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    timeout: u64,
}

/// What was given cannot be used. A proxy is not repeated: it may hold a password.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum Error {
    /// It is none.
    #[error("--proxy cannot be used")]
    Proxy(#[source] crate::probe::NoProxy),
    /// Everybody sees arguments.
    #[error("--proxy holds a user or password, which everybody on this host can read there")]
    Open,
    /// A check of another table.
    #[error(
        "{0} is a check of the other kind: those of access to Cortex XDR are run with --xdr, the others without"
    )]
    OtherTable(String),
    /// The file has no colon.
    #[error("the file of --proxy-credentials-file does not hold USER:PASSWORD")]
    Credentials,
}

impl XdrArgs {
    /// Whether it is asked for.
    pub(super) fn is_wanted(&self) -> bool {
        self.xdr
    }

    fn way(&self) -> Result<Way> {
        let credentials = match &self.proxy_credentials_file {
            Some(file) => {
                let secret = passphrase::from_file(file)?;
                let fit = secret.expose_secret();
                if !fit.contains(':') || fit.chars().any(char::is_control) {
                    return Err(Error::Credentials.into());
                }
                Some(secret)
            }
            None => None,
        };
        Ok(match &self.proxy {
            _ if self.direct => Way::Direct,
            Some(text) => {
                let mut proxy = Proxy::parse(text).map_err(Error::Proxy)?;
                if proxy.credentials.is_some() {
                    return Err(Error::Open.into());
                }
                proxy.credentials = credentials;
                Way::Through(proxy)
            }
            None => Way::AsEnvironment(credentials),
        })
    }
}

/// The names of all checks.
pub(super) fn ids() -> impl Iterator<Item = &'static str> {
    CHECKS.iter().map(|check| check.id).chain(endpoint::CHECKS.iter().map(|check| check.id))
}

pub(super) fn run(common: &Common, args: &XdrArgs, list: bool, chosen: Chosen) -> Result<ExitCode> {
    if list {
        let text = report::check_table(CHECKS) + &report::check_table(endpoint::CHECKS);
        common.result(&text, &json!({ "checks": CHECKS, "server_checks": endpoint::CHECKS }));
        return Ok(Exit::Done.into());
    }
    let sink = common.sink();
    let session = common.session(&KeyArgs::default(), &*sink)?;
    let options = Options {
        servers: args.servers.clone(),
        lists: args.lists.clone(),
        way: args.way()?,
        port: args.p2p_port,
        ca_file: args.ca_file.clone(),
        chosen,
        limit: Duration::from_secs(args.timeout),
    };
    let found = xdr::check(&session, &options)?;
    common.result(&report::access(&found), &found);
    Ok(if found.fit { Exit::Done } else { Exit::Blocked }.into())
}
