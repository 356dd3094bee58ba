//! `otc`: the one-time configuration, which the server reads at its next start and deletes.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::json;

use super::approval::Approval;
use super::common::{Common, KeyArgs};
use super::exit::Exit;
use super::install::HEALTH_SECONDS;
use super::passphrase::{self, OpenArgs};
use super::password::{self, PasswordArgs};
use super::{ask, common};
use crate::apply::{OneTime, OneTimeKey, OneTimeUser, Waiting};
use crate::prompt;
use crate::workflow::Session;
use crate::workflow::otc::{self, Asked};

/// Arguments of `otc`
#[derive(Debug, clap::Args)]
pub(super) struct OtcArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show what waits for the server's next start; never a secret
    Show,
    /// Give the server the passphrase of its installed private key
    SetKeypass(SetKeypass),
    /// Give the server an administrator: the way back in when no password is known
    AddAdmin(AddAdmin),
    /// Give the server an API key
    AddApikey(AddApikey),
    /// Remove what waits
    Clear(Clear),
}

/// How the server notices.
#[derive(Debug, clap::Args)]
struct Noticed {
    /// Start the server anew, wait until it has taken it over and answers, and undo all if it does not
    #[arg(long)]
    restart: bool,
    /// How long the service may take to answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = HEALTH_SECONDS, requires = "restart")]
    health_timeout: u64,
    #[command(flatten)]
    approval: Approval,
}

#[derive(Debug, clap::Args)]
struct SetKeypass {
    #[command(flatten)]
    passphrase: OpenArgs,
    #[command(flatten)]
    noticed: Noticed,
}

#[derive(Debug, clap::Args)]
struct AddAdmin {
    /// The name that logs in; one that no user has yet
    #[arg(long, value_name = "NAME")]
    user: String,
    /// Mail address
    #[arg(long, value_name = "ADDRESS", default_value = "", hide_default_value = true)]
    email: String,
    /// Phone number
    #[arg(long, value_name = "NUMBER", default_value = "", hide_default_value = true)]
    phone: String,
    /// The name that is shown [default: that of --user]
    #[arg(long, value_name = "TEXT")]
    full_name: Option<String>,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    noticed: Noticed,
}

#[derive(Debug, clap::Args)]
struct AddApikey {
    /// What the key is called
    #[arg(long, value_name = "NAME")]
    name: String,
    /// The user in whose name it acts
    #[arg(long, value_name = "NAME")]
    user: String,
    /// Read the key from FILE, which nobody else can read
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key_stdin", "out"])]
    key_file: Option<PathBuf>,
    /// Read the key from standard input (one line)
    #[arg(long, conflicts_with = "out")]
    key_stdin: bool,
    /// Make a new key and write it to FILE, which must not exist (mode 0400)
    #[arg(long, value_name = "FILE", required_unless_present_any = ["key_file", "key_stdin"])]
    out: Option<PathBuf>,
    #[command(flatten)]
    noticed: Noticed,
}

#[derive(Debug, clap::Args)]
struct Clear {
    #[command(flatten)]
    approval: Approval,
}

pub(super) fn run(common: &Common, args: &OtcArgs) -> Result<ExitCode> {
    let sink = common.sink();
    let session = common.session(&KeyArgs::default(), &*sink)?;
    match &args.command {
        Command::Show => show(common, &session),
        Command::SetKeypass(args) => {
            begin(&session, &args.noticed)?;
            let key = otc::encrypted_key(&session)?;
            let passphrase = match args.passphrase.given()? {
                Some(passphrase) => passphrase,
                None => ask::secret("Enter the passphrase of the server's private key")
                    .map_err(|e| e.or_by("--passphrase-file"))?,
            };
            key.check(&passphrase)?;
            let what = OneTime { keypass: Some(passphrase), ..OneTime::default() };
            change(common, &session, Asked::Add { what, key_file: None }, &args.noticed)
        }
        Command::AddAdmin(args) => add_admin(common, &session, args),
        Command::AddApikey(args) => add_apikey(common, &session, args),
        Command::Clear(args) => {
            let noticed =
                Noticed { restart: false, health_timeout: HEALTH_SECONDS, approval: args.approval.clone() };
            begin(&session, &noticed)?;
            change(common, &session, Asked::Clear, &noticed)
        }
    }
}

fn begin(session: &Session, noticed: &Noticed) -> Result<()> {
    noticed.approval.begin(session).map(drop)
}

fn add_admin(common: &Common, session: &Session, args: &AddAdmin) -> Result<ExitCode> {
    begin(session, &args.noticed)?;
    let name = prompt::check_admin_name(&args.user)?;
    for text in [&args.email, &args.phone].into_iter().chain(&args.full_name) {
        printable(text)?;
    }
    let asked = otc::complexity(session)?;
    let password = match password::from_sources(&args.password)? {
        Some(password) => password,
        None => ask::password(&name, asked).map_err(|e| e.or_by("--admin-password-file"))?,
    };
    prompt::password::check(&password, &name, asked)?;
    let mut user = OneTimeUser::new(&name, password);
    user.email.clone_from(&args.email);
    user.phone.clone_from(&args.phone);
    if let Some(name) = &args.full_name {
        user.name.clone_from(name);
    }
    let what = OneTime { users: vec![user], ..OneTime::default() };
    change(common, session, Asked::Add { what, key_file: None }, &args.noticed)
}

fn add_apikey(common: &Common, session: &Session, args: &AddApikey) -> Result<ExitCode> {
    begin(session, &args.noticed)?;
    let (name, username) = (prompt::check_admin_name(&args.name)?, prompt::check_admin_name(&args.user)?);
    let given = match &args.key_file {
        Some(file) => Some(passphrase::from_file(file)?),
        None if args.key_stdin => Some(passphrase::from_stdin("--key-stdin")?),
        None => None,
    };
    let (apikey, key_file) = match given {
        Some(key) => (key, None),
        None => (otc::new_api_key()?, args.out.clone()),
    };
    otc::check_api_key(&apikey)?;
    let what = OneTime { apikeys: vec![OneTimeKey { name, username, apikey }], ..OneTime::default() };
    change(common, session, Asked::Add { what, key_file }, &args.noticed)
}

fn printable(text: &str) -> Result<()> {
    if text.len() > 256 || text.chars().any(|c| !crate::types::is_printable_char(c)) {
        bail!("{:?} is too long, or has a character that cannot be seen", crate::types::printable_line(text));
    }
    Ok(())
}

fn change(common: &Common, session: &Session, asked: Asked, noticed: &Noticed) -> Result<ExitCode> {
    let restart = (noticed.restart, noticed.health_timeout);
    let cleared = matches!(asked, Asked::Clear);
    let key_file = match &asked {
        Asked::Add { key_file, .. } => key_file.clone(),
        Asked::Clear => None,
    };
    let nothing = || {
        let text = if cleared { "nothing waits for the server" } else { "it waits for the server already" };
        common.result(&format!("{text}; nothing to do\n"), &json!({ "changed": false }));
        Ok(Exit::Done.into())
    };
    let Some(plan) = otc::plan(session, &asked, restart)? else { return nothing() };
    if !noticed.approval.decide(common, &plan, ("Do it?", false))? {
        return Ok(Exit::Done.into());
    }
    common::tell_notes(noticed.approval.is_unattended(), session.sink, &plan);
    if !otc::run(session, asked, restart, plan.digest())? {
        return nothing();
    }
    let state = match (cleared, noticed.restart) {
        (true, _) => "what waited for the server is removed",
        (false, true) => "the server has taken it over, and answers",
        (false, false) => "it waits for the server's next start; `demisto-install otc show` tells",
    };
    let file = key_file.as_ref().map(|path| format!("the new key is in {}\n", path.display()));
    let text = format!("{state}\n{}", file.unwrap_or_default());
    let consumed = noticed.restart && !cleared;
    common.result(&text, &json!({ "changed": true, "consumed": consumed, "key_file": key_file }));
    Ok(Exit::Done.into())
}

fn show(common: &Common, session: &Session) -> Result<ExitCode> {
    session.require_settled()?;
    let (path, waiting) = otc::show(session)?;
    let value = json!({ "path": path, "waiting": waiting.is_some(), "one_time": waiting });
    common.result(&text(&path, waiting.as_ref()), &value);
    Ok(Exit::Done.into())
}

fn text(path: &str, waiting: Option<&Waiting>) -> String {
    let Some(waiting) = waiting else {
        return format!("{path}: nothing waits; the server has taken over what was there, if anything was\n");
    };
    let mut lines =
        vec![format!("{path} ({}, {}) waits for the server's next start", waiting.owner, waiting.mode)];
    let mut add = |what: &str, names: &[String]| {
        if !names.is_empty() {
            lines.push(format!("  {what:<14} {}", names.join(", ")));
        }
    };
    let keypass = if waiting.keypass { vec!["(not shown)".to_owned()] } else { Vec::new() };
    add("Passphrase", &keypass);
    add("Administrators", &waiting.users);
    add("API keys", &waiting.apikeys);
    add("Other keys", &waiting.others);
    lines.extend(waiting.problems.iter().map(|problem| format!("  warning: {problem}")));
    lines.join("\n") + "\n"
}
