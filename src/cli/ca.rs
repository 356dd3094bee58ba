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
    /// The file's name, the subject or its CN, or the SHA-256 fingerprint (8 digits or more), as `ca list` shows
    /// them
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
        let pending = ca::pending(session, asked)?;
        let text = match (asked, &pending) {
            (Asked::Add(_), None) => "this host trusts all of them already; nothing to do\n".to_owned(),
            (Asked::Add(_), Some(_)) => "all of them are in place already; nothing to do\n".to_owned(),
            (Asked::Remove(name), _) => format!("no authority {name} is here any more; nothing to do\n"),
        };
        tell(common, (text, "nothing"), asked, pending);
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
    let pending = ca::pending(session, asked)?;
    let (verb, what) = match (asked, &pending) {
        (Asked::Add(_), None) => {
            ("added", "programs of this host trust them; services notice when they are started again\n")
        }
        (Asked::Add(_), Some(_)) => ("added", "put in place\n"),
        (Asked::Remove(_), None) => (
            "removed",
            "programs of this host trust it no longer; services notice when they are started again\n",
        ),
        (Asked::Remove(_), Some(_)) => ("removed", "taken away\n"),
    };
    tell(common, (what.to_owned(), verb), asked, pending);
    Ok(Exit::Done.into())
}

/// Tells what was done, and what has to be run before it counts.
fn tell(common: &Common, (mut text, verb): (String, &str), asked: &Asked, pending: Option<String>) {
    if let Some(command) = &pending {
        let state = match asked {
            Asked::Add(_) => "they are not yet trusted",
            Asked::Remove(_) => "it may still be trusted",
        };
        let _ = writeln!(text, "{state}: that takes `{command}`, as root, where it is installed");
    }
    let value = json!({
        "changed": verb != "nothing", "done": verb, "in_force": pending.is_none(), "run": pending,
    });
    common.result(&text, &value);
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
