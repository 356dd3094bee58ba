//! `ca`: the authorities that this host trusts because its administrator added them.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::approval::Approval;
use super::common::{self, Common, KeyArgs};
use super::exit::Exit;
use crate::types::counted;
use crate::workflow::Session;
use crate::workflow::ca::{self, Asked, Listed};

/// Arguments of `ca`
#[derive(Debug, clap::Args)]
pub(super) struct CaArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the authorities that were added to those of the host
    List,
    /// Trust the authorities in FILES; give a whole chain, from the root down
    Add(Add),
    /// Trust an added authority no longer
    Remove(Remove),
}

#[derive(Debug, clap::Args)]
struct Add {
    /// Certificates of authorities (PEM, any number in a file, or DER)
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    approval: Approval,
}

#[derive(Debug, clap::Args)]
struct Remove {
    /// The file's name, or the SHA-256 fingerprint (16 digits or more), as `ca list` shows them
    #[arg(value_name = "NAME|FINGERPRINT")]
    name: String,
    #[command(flatten)]
    approval: Approval,
}

pub(super) fn run(common: &Common, args: &CaArgs) -> Result<ExitCode> {
    let sink = common.sink();
    let session = common.session(&KeyArgs::default(), &*sink)?;
    match &args.command {
        Command::List => {
            let listed = ca::list(&session)?;
            common.result(&text(&listed), &listed);
            Ok(Exit::Done.into())
        }
        Command::Add(args) => change(common, &session, &Asked::Add(args.files.clone()), &args.approval),
        Command::Remove(args) => change(common, &session, &Asked::Remove(args.name.clone()), &args.approval),
    }
}

fn change(common: &Common, session: &Session, asked: &Asked, approval: &Approval) -> Result<ExitCode> {
    let nothing = || {
        let text = match asked {
            Asked::Add(_) => "this host trusts all of them already; nothing to do\n".to_owned(),
            Asked::Remove(name) => format!("no authority {name} was added here; nothing to do\n"),
        };
        common.result(&text, &json!({ "changed": false }));
        Ok(Exit::Done.into())
    };
    approval.begin(session)?;
    let Some(plan) = ca::plan(session, asked)? else { return nothing() };
    let question = match asked {
        Asked::Add(_) => "Trust them?",
        Asked::Remove(_) => "Trust it no longer?",
    };
    if !approval.decide(common, &plan, (question, false))? {
        return Ok(Exit::Done.into());
    }
    common::tell_notes(approval.is_unattended(), session.sink, &plan);
    if !ca::run(session, asked, plan.digest())? {
        return nothing();
    }
    let (verb, what) = match asked {
        Asked::Add(_) => {
            ("added", "programs of this host trust them; services notice when they are started again")
        }
        Asked::Remove(_) => (
            "removed",
            "programs of this host trust it no longer; services notice when they are started again",
        ),
    };
    common.result(&format!("{what}\n"), &json!({ "changed": true, "done": verb }));
    Ok(Exit::Done.into())
}

fn text(listed: &Listed) -> String {
    let count = listed.authorities.len();
    let mut text = format!(
        "{}: {} added, {} trusted altogether\n",
        listed.layout,
        counted(count, "authority", "authorities"),
        listed.trusted
    );
    for one in &listed.authorities {
        let _ = writeln!(text, "\n{}\n  Subject  {}\n  Issuer   {}", one.path, one.subject, one.issuer);
        let _ = writeln!(text, "  SHA-256  {}\n  Valid    until {}", one.sha256, one.not_after);
        if !one.trusted {
            let _ =
                writeln!(text, "  warning: {} has not been run since it was put there", listed.layout.tool());
        }
        for problem in &one.problems {
            let _ = writeln!(text, "  warning: {problem}");
        }
    }
    text
}
