//! `config password-policy`.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};

use super::change::How;
use crate::cli::common::{Common, KeyArgs};
use crate::cli::exit::Exit;
use crate::config::Setting;
use crate::config::policy::{self, Line, ROWS};
use crate::product::Role;
use crate::workflow::settings::{self, Error};

const WHAT: &str = "the password policy";

/// Arguments of `config password-policy`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show it [default]
    Show,
    /// Set parts of it; never weaker than the guide's
    Set(Box<Set>),
}

#[derive(Debug, clap::Args)]
struct Set {
    #[command(flatten)]
    rows: Rows,
    #[command(flatten)]
    how: How,
}

/// One option for each row of the table.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct Rows {
    /// Whether there is a policy
    #[arg(long, value_name = "BOOL")]
    enabled: Option<bool>,
    /// The fewest characters
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(..=128))]
    min_length: Option<u32>,
    /// The fewest lower-case letters
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(..=128))]
    min_lower: Option<u32>,
    /// The fewest upper-case letters
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(..=128))]
    min_upper: Option<u32>,
    /// The fewest digits or symbols
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(..=128))]
    min_digits_or_symbols: Option<u32>,
    /// After how many units of --expire-unit a password has to be changed; 0 for never
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(..=1000))]
    expire_after: Option<u32>,
    /// The unit of that
    #[arg(long, value_name = "UNIT", value_parser = ["month", "week", "day"])]
    expire_unit: Option<String>,
    /// Whether a former password is refused
    #[arg(long, value_name = "BOOL")]
    prevent_repetition: Option<bool>,
    /// After how many failed logins within a minute a user is locked out
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(..=1000))]
    max_failed_logins: Option<u32>,
    /// After how many minutes a user may try again; 0 when only an administrator unlocks
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(..=100_000))]
    unlock_after: Option<u32>,
}

impl Rows {
    /// What was given, in the order of the table.
    fn values(&self) -> [Option<Value>; ROWS.len()] {
        let number = |number: Option<u32>| number.map(Value::from);
        [
            self.enabled.map(Value::from),
            number(self.min_length),
            number(self.min_lower),
            number(self.min_upper),
            number(self.min_digits_or_symbols),
            number(self.expire_after),
            self.expire_unit.clone().map(Value::from),
            self.prevent_repetition.map(Value::from),
            number(self.max_failed_logins),
            number(self.unlock_after),
        ]
    }
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    let sink = common.sink();
    let session = common.session(&KeyArgs::default(), &*sink)?;
    settings::require_role(&session, Role::Server, WHAT)?;
    let Some(Command::Set(set)) = &args.command else {
        session.require_settled()?;
        let lines = policy::lines(&settings::text(&session)?)?;
        show(common, &session.site.config_file(), &lines);
        return Ok(Exit::Done.into());
    };
    let given: Vec<_> =
        ROWS.iter().zip(set.rows.values()).filter_map(|(row, value)| Some((row, value?))).collect();
    let weaker: Vec<String> = given.iter().filter_map(|(row, value)| row.objection(value)).collect();
    if !weaker.is_empty() {
        return Err(Error::Weaker(weaker).into());
    }
    let settings = given.into_iter().map(|(row, value)| Setting::to(&row.key(), value)).collect();
    set.how.approval.begin(&session)?;
    set.how.change(common, &session, (settings, "what passwords have to have", WHAT.to_owned()))
}

fn show(common: &Common, path: &str, lines: &[Line]) {
    let mut text = String::new();
    let mut row = |title: &str, default: &str, set: &str, counts: &str| {
        let _ = writeln!(text, "{}", format!("{title:<36}  {default:<8}  {set:<8}  {counts}").trim_end());
    };
    row("", "GUIDE", "SET", "COUNTS");
    for line in lines {
        let set = line.configured.as_ref().map_or_else(|| "-".to_owned(), Value::to_string);
        row(line.row.title, &line.row.default().to_string(), &set, &line.effective.to_string());
    }
    for objection in lines.iter().filter_map(|line| line.objection.as_ref()) {
        let _ = writeln!(text, "weaker than the guide: {objection}");
    }
    let _ = writeln!(
        text,
        "{path} says so to a server that is installed or upgraded; what was set on its web page since counts more"
    );
    let rows: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!({
                "key": line.row.key(), "title": line.row.title, "default": line.row.default(),
                "configured": line.configured, "effective": line.effective, "objection": line.objection,
            })
        })
        .collect();
    common.result(&text, &json!({ "config": path, "policy": rows }));
}
