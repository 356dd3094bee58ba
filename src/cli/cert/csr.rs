//! `cert csr`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::certs::request::{KeyType, Role, Subject, is_host_name};
use crate::cli::ask;
use crate::cli::common::{Common, KeyArgs};
use crate::cli::exit::Exit;
use crate::cli::passphrase::NewArgs;
use crate::sys;
use crate::types::printable;
use crate::workflow::cert::make::{self, Error, Made, Order};

/// Arguments of `cert csr`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Directory for the key and the request; made if it is not there
    #[arg(long, value_name = "DIR")]
    out_dir: PathBuf,
    /// Name by which the server or engine is reached; may be given several times
    #[arg(long, value_name = "NAME")]
    name: Vec<String>,
    /// Address by which it is reached; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    ip: Vec<IpAddr>,
    /// Kind of key: rsa:BITS (2048 to 8192), ec:p256, ec:p384 or ec:p521
    #[arg(long, value_name = "TYPE", default_value = "rsa:3072")]
    key_type: KeyType,
    /// Subject, such as CN=soar.example.com,O=Example,C=CH [default: the first name as CN]
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<Subject>,
    /// Who will show the certificate
    #[arg(long, value_enum, default_value_t = Shown::Server)]
    role: Shown,
    #[command(flatten)]
    passphrase: NewArgs,
}

/// Who shows a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Shown {
    /// The server, or an engine to those who connect to it
    Server,
    /// An engine to the server, or a browser
    Client,
}

impl Shown {
    fn role(self) -> Role {
        match self {
            Self::Server => Role::Server,
            Self::Client => Role::Client,
        }
    }

    fn install(self, made: &Made) -> String {
        let (chain, key) = (made.key.with_extension("pem"), made.key.display());
        let chain = chain.display();
        match self {
            Self::Server => format!("demisto-install cert install --chain {chain} --key {key}"),
            Self::Client => {
                format!("demisto-install engine configure --client-cert {chain} --client-key {key}")
            }
        }
    }

    fn stem(self) -> &'static str {
        match self {
            Self::Server => "cert",
            Self::Client => "client",
        }
    }
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    let sink = common.sink();
    let session = common.session(&KeyArgs::default(), &*sink)?;
    let mut names = args.name.clone();
    names.extend(args.ip.iter().map(ToString::to_string));
    if names.is_empty() {
        names = ask_names(make::known_names(&session))?;
    }
    let wish = make::wish(names, args.subject.clone(), args.role.role())?;
    let mut order = Order {
        dir: args.out_dir.clone(),
        stem: args.role.stem().to_owned(),
        key_type: args.key_type,
        wish,
        passphrase: None,
    };
    order.refuse_existing(&["key", "csr"])?;
    order.passphrase = args.passphrase.get()?;
    let made = make::csr(&order, &*sink)?;
    common.result(
        &text(&made, args.role.role(), &args.role.install(&made)),
        &json!({ "changed": true, "made": made }),
    );
    Ok(Exit::Done.into())
}

/// Offers what this host is known by.
fn ask_names(known: Vec<String>) -> Result<Vec<String>> {
    if !sys::tty::is_interactive() {
        return Err(Error::NoNames { known }.into());
    }
    let (addresses, names): (Vec<String>, Vec<String>) =
        known.into_iter().partition(|name| name.parse::<IpAddr>().is_ok());
    if !addresses.is_empty() {
        let text = format!("This host also has the addresses {}.\n", addresses.join(" "));
        sys::fs::print_error(&printable(&text));
    }
    let check = |line: &String| match line.split_whitespace().find(|name| !is_host_name(name)) {
        Some(bad) => Err(format!("{bad:?} is neither a host name nor an address")),
        None if line.trim().is_empty() => Err("at least one name is needed".to_owned()),
        None => Ok(()),
    };
    let line = ask::line("Names and addresses, separated by spaces", &names.join(" "), check)?;
    Ok(line.split_whitespace().map(str::to_owned).collect())
}

/// What was made, and what comes next; `install` is the command that installs it.
pub(super) fn text(made: &Made, role: Role, install: &str) -> String {
    let lock = if made.encrypted { ", encrypted" } else { "" };
    let request = made.request.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let (key, chain) = (made.key.display(), made.key.with_extension("pem"));
    let chain = chain.display();
    let check = match role {
        Role::Server => "server",
        Role::Client => "client",
    };
    format!(
        "{key}  private key, {}{lock}\n{request}  request for {}\n\nNext:\n\
         1. Send the request to your CA. The key stays here.\n\
         2. Put its answer and every CA certificate above it, leaf first, into {chain}, and check it:\n   \
         demisto-install cert check --role {check} {chain} --key {key}\n\
         3. Install it:\n   {install}\n",
        made.kind,
        made.names.join(", "),
    )
}
