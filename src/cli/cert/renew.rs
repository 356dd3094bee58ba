//! `cert renew`: the next certificate with the same names. A self-signed one is made and installed; for one of
//! a CA a new key and a request are written.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::csr;
use super::install::{self, How, SecretArgs, StartArgs, Which};
use crate::certs::SELF_SIGNED_DAYS;
use crate::cli::approval::Approval;
use crate::cli::ask;
use crate::cli::common::Common;
use crate::cli::exit::Exit;
use crate::cli::passphrase::NewArgs;
use crate::sys;
use crate::workflow::Session;
use crate::workflow::cert::install::{Error, Source};
use crate::workflow::cert::make;
use crate::workflow::cert::pair::{is_self_made, next_order};

/// Arguments of `cert renew`
#[derive(Debug, clap::Args)]
#[command(mut_args(|arg| if is_passphrase(&arg) { arg.requires("out_dir") } else { arg }))]
pub(super) struct Args {
    /// Write a new key and a request for a CA to DIR, with names, subject and kind of key as they are now
    #[arg(long, value_name = "DIR")]
    out_dir: Option<PathBuf>,
    /// A name or address of the present certificate that is right, although this host is not known by it; may be
    /// given several times
    #[arg(long, value_name = "NAME")]
    san: Vec<String>,
    #[command(flatten)]
    passphrase: NewArgs,
    /// How long a self-signed certificate is valid, in days
    #[arg(long, value_name = "DAYS", default_value_t = SELF_SIGNED_DAYS, conflicts_with = "out_dir",
          value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    start: StartArgs,
    #[command(flatten)]
    approval: Approval,
}

/// Those of [`NewArgs`]: a key that is installed at once gets no passphrase.
fn is_passphrase(arg: &clap::Arg) -> bool {
    arg.get_id().as_str().starts_with("passphrase")
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    let sink = common.sink();
    let session = args.which.session(common, &*sink)?;
    if let Some(dir) = &args.out_dir {
        return request(common, &session, args, dir);
    }
    args.approval.begin(&session)?;
    if !is_self_made(&session, args.which.kind(&session))? {
        return Err(Error::NotSelfMade.into());
    }
    let agreed = args.approval.is_blind().then(|| args.san.clone());
    let how = How {
        which: args.which.clone(),
        secrets: SecretArgs::default(),
        start: args.start.clone(),
        approval: args.approval.clone(),
    };
    let options = install::options(&session, Source::Made { days: args.days, agreed }, &how);
    install::carry_out(common, &session, options, &how)
}

/// Nothing of what is installed changes: the CA has the next word.
fn request(common: &Common, session: &Session, args: &Args, dir: &Path) -> Result<ExitCode> {
    let mut order = next_order(session, args.which.kind(session), dir)?;
    order.refuse_existing(&["key", "csr"])?;
    if let Err(error) = make::vouch(session, &order.wish.names, &args.san) {
        let question = format!("{error:#}. Ask for them again?");
        if !(sys::tty::is_interactive() && ask::confirm(&question, false)?) {
            return Err(error);
        }
    }
    order.passphrase = args.passphrase.get()?;
    let made = make::csr(&order, session.sink)?;
    let (chain, key) = (made.key.with_extension("pem"), made.key.display());
    let which = args.which.options();
    let install = format!("demisto-install cert install{which} --chain {} --key {key}", chain.display());
    let text = csr::text(&made, order.wish.role, &install);
    common.result(&text, &json!({ "changed": true, "made": made }));
    Ok(Exit::Done.into())
}
