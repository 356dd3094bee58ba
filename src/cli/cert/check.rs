//! `cert check`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;
use jiff::Timestamp;
use serde_json::json;

use crate::certs::check::{RULES, Revocation, Role};
use crate::cli::common::{Common, KeyArgs, Place};
use crate::cli::exit::Exit;
use crate::cli::passphrase::OpenArgs;
use crate::product::EngineName;
use crate::report;
use crate::workflow::Session;
use crate::workflow::cert::check::{self, Asked, Set};

/// Arguments of `cert check`
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit 0 when nothing is wrong, 4 when a finding is an error. Warnings and notes do not count.\n\
    Names and revocation are those of the configuration in the root unless they are given."
)]
pub(super) struct Args {
    /// Certificates and their key, in any order; told apart by what is in them
    #[arg(required_unless_present_any = ["installed", "list", "key"])]
    files: Vec<PathBuf>,
    /// Check what is installed: the files, their modes and owners, and what lies beside them
    #[arg(long, conflicts_with_all = ["files", "key", "role", "reorder"])]
    installed: bool,
    /// Those of an engine
    #[arg(long, requires = "installed")]
    engine: bool,
    /// The engine's name; the one without a name unless given
    #[arg(long, value_name = "ENGINE", requires = "installed")]
    name: Option<EngineName>,
    /// What the certificate is for
    #[arg(long, value_enum, value_name = "ROLE", default_value_t)]
    role: RoleArg,
    /// A name that a server's certificate has to be valid for; a client's has to have one of them
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// The private key, if it is not among FILES
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    passphrase: OpenArgs,
    /// Whether the product checks revocation, so that OCSP addresses are needed
    #[arg(long, value_enum, value_name = "HOW")]
    revocation: Option<RevocationArg>,
    /// Judge as of TIME instead of now, such as 2027-05-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Also write the chain from leaf to root into OUT, a new file
    #[arg(long, value_name = "OUT")]
    reorder: Option<PathBuf>,
    /// Show all rules, and check nothing
    #[arg(long, conflicts_with_all = ["files", "installed"])]
    list: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum RoleArg {
    /// Shown to browsers and engines
    #[default]
    Server,
    /// Shown to the server by an engine or a browser
    Client,
    /// Authorities that are to be trusted
    Ca,
    /// Of an OCSP responder
    Ocsp,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RevocationArg {
    /// It is not checked
    Off,
    /// It is, and what cannot be found out counts as good
    Soft,
    /// It is, and what cannot be found out is refused
    #[value(alias = "required")]
    Require,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Server => Self::Server,
            RoleArg::Client => Self::Client,
            RoleArg::Ca => Self::Ca,
            RoleArg::Ocsp => Self::Ocsp,
        }
    }
}

impl From<RevocationArg> for Revocation {
    fn from(how: RevocationArg) -> Self {
        match how {
            RevocationArg::Off => Self::Off,
            RevocationArg::Soft => Self::Soft,
            RevocationArg::Require => Self::Require,
        }
    }
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    if args.list {
        common.result(&report::certificate_rules(RULES), &json!({ "rules": RULES }));
        return Ok(Exit::Done.into());
    }
    let sink = common.sink();
    let place = Place::of(args.engine, args.name.as_ref());
    let mut session = common.session_in(&KeyArgs::default(), &*sink, place)?;
    session.now = args.at.unwrap_or(session.now);
    let sets = sets(&session, args)?;
    // a program that reads JSON answers no questions
    let needed = !common.is_json() && sets.iter().any(Set::needs_passphrase);
    let passphrase = args.passphrase.get("Passphrase of the key", needed)?;
    let mut written = None;
    if let (Some(out), Some(set)) = (&args.reorder, sets.first()) {
        written = Some((out, check::reorder(set, passphrase.as_ref(), out)?));
    }
    let checked: Vec<_> =
        sets.into_iter().map(|set| check::judge(&session, set, passphrase.as_ref())).collect();
    let mut text = report::certificates(&checked);
    if let Some((out, count)) = &written {
        text.push_str(&format!("{}: {count} certificates, leaf first\n", out.display()));
    }
    let findings: Vec<_> = checked.iter().flat_map(|set| &set.findings).collect();
    let reordered = written.map(|(out, _)| out);
    common.result(&text, &json!({ "findings": findings, "checked": checked, "reordered": reordered }));
    let failed = checked.iter().any(check::Checked::failed);
    Ok(if failed { Exit::Blocked.into() } else { Exit::Done.into() })
}

fn sets(session: &Session, args: &Args) -> Result<Vec<Set>> {
    let asked = Asked { names: args.hosts.clone(), revocation: args.revocation.map(Revocation::from) };
    if args.installed {
        return check::installed(session, &asked);
    }
    let paths = args.files.iter().chain(&args.key);
    let files = paths.map(|path| check::read(path)).collect::<Result<Vec<_>>>()?;
    Ok(vec![check::given(session, args.role.into(), files, &asked)?])
}
