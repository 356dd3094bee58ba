use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::common::{Common, KeyArgs};
use super::exit::Exit;
use crate::product::{EngineName, Role, Site};
use crate::report;
use crate::types::Digest;
use crate::workflow::{Session, facts, record};

/// Tell what the product's log says, and who changed this host
#[derive(Debug, Args)]
pub(super) struct LogArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Version, run, FIPS-CC mode and self-tests of the newest start, and the last errors
    Facts {
        /// Read FILE instead of the installed product's log
        #[arg(long, value_name = "FILE", conflicts_with_all = ["role", "name"])]
        log: Option<PathBuf>,
        /// Whose log; the installed product's unless given
        #[arg(long, value_enum)]
        role: Option<Which>,
        /// That of the engine with this name
        #[arg(long, value_name = "NAME", conflicts_with = "role")]
        name: Option<EngineName>,
    },
    /// Who changed this host with this program, when, how, and how it ended
    Show {
        /// Only the newest N
        #[arg(long, value_name = "N")]
        last: Option<usize>,
    },
    /// Whether that record is as it was written: nothing altered, removed, moved or put in
    ///
    /// Exit code 4 when it is not. Root can write a whole new record: only a digest that was noted somewhere
    /// else tells that.
    Verify {
        /// The record with DIGEST, noted earlier and elsewhere, has to be there
        #[arg(long, value_name = "DIGEST")]
        head: Option<Digest>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// server.log
    Server,
    /// d1.log
    Engine,
}

pub(super) fn run(common: &Common, args: &LogArgs) -> Result<ExitCode> {
    let sink = common.sink();
    let session = common.session(&KeyArgs::default(), &*sink)?;
    let (log, role, name) = match &args.command {
        Command::Facts { log, role, name } => (log, role, name),
        Command::Show { last } => return show(common, &session, *last),
        Command::Verify { head } => return verify(common, &session, *head),
    };
    let session = match (role, name) {
        (_, Some(name)) => session.about(Site::engine(Some(name.clone()))),
        (Some(Which::Server), None) => session.about(Site::unnamed(Role::Server)),
        (Some(Which::Engine), None) => session.about(Site::unnamed(Role::Engine)),
        (None, None) => session,
    };
    let told = facts::facts(&session, log.as_deref())?;
    common.result(&report::log_facts(&told), &told);
    Ok(Exit::Done.into())
}

fn show(common: &Common, session: &Session, last: Option<usize>) -> Result<ExitCode> {
    let checked = record::check(session, None)?;
    if let Some(broken) = &checked.broken {
        session.sink.warn(format!("the chain is broken at record {}: {}", broken.record, broken.why));
    }
    let records = record::newest(&checked, last);
    let text = match records {
        [] => "nothing is recorded\n".to_owned(),
        _ => report::record_table(records),
    };
    common.result(&text, &json!({ "records": records, "broken": checked.broken }));
    Ok(Exit::Done.into())
}

fn verify(common: &Common, session: &Session, noted: Option<Digest>) -> Result<ExitCode> {
    let checked = record::check(session, noted)?;
    let unrecorded = session.is_unrecorded() && !session.is_busy();
    let value = json!({
        "whole": checked.broken.is_none(),
        "records": checked.intact,
        "head": checked.head,
        "kept": checked.kept,
        "broken": checked.broken,
        "torn": checked.torn,
        "unrecorded": unrecorded,
    });
    common.result(&report::record_check(&checked, unrecorded), &value);
    Ok(if checked.broken.is_none() { Exit::Done } else { Exit::Blocked }.into())
}
