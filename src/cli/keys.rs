//! `demisto-install keys`: which keys are trusted.

mod vouch;

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use super::ask;
use super::common::{Common, KeyArgs};
use super::diagnostic;
use super::exit::Exit;
use crate::sys;
use crate::trust::lint;
use crate::types::{Fingerprint, printable};
use crate::workflow::keys::{self, Candidate, Consent, ImportReport, Imported, KeyReport, Outcome};
use crate::workflow::record;

/// List, import, remove and check trusted keys
#[derive(Debug, Args)]
pub struct KeysArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the trusted keys: built-in and imported ones
    List,
    /// Trust the keys in a file, or in rpm's keyring
    Import {
        /// Key file, armoured or binary
        #[arg(required_unless_present = "from_rpm", conflicts_with = "from_rpm")]
        file: Option<PathBuf>,
        /// Take keys from rpm's keyring
        #[arg(long)]
        from_rpm: bool,
        /// Do not ask; needs --fingerprint
        #[arg(long, short = 'y', requires = "fingerprint")]
        yes: bool,
        /// Fingerprint of the key to trust; give it once for each key
        #[arg(long, value_name = "FPR")]
        fingerprint: Vec<Fingerprint>,
    },
    /// End the trust in an imported key
    Remove {
        /// Its fingerprint
        fingerprint: Fingerprint,
    },
    /// Check whether keys are fit to sign releases, now and in some months
    Lint {
        /// Key files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// How far to look ahead
        #[arg(long, default_value_t = 6)]
        months: u32,
    },
    /// Let a release key vouch for the one that takes its place
    Vouch(vouch::Vouch),
}

/// Runs the command.
///
/// # Errors
/// When it cannot be done; nothing was changed then.
pub(super) fn run(common: &Common, args: &KeysArgs) -> Result<ExitCode> {
    let sink = common.sink();
    let session = common.session(&KeyArgs::default(), &*sink)?;
    let (root, at) = (session.root.as_path(), session.now);
    match &args.command {
        Command::List => {
            let found = keys::list(root, at)?;
            common.result(&describe_all(&found), &json!({ "keys": found }));
        }
        Command::Import { file, from_rpm: _, yes: _, fingerprint } => {
            let report = import(root, file.as_deref(), fingerprint, at)?;
            let is_new =
                |key: &&Imported| matches!(key.outcome, Outcome::Imported { .. } | Outcome::Updated { .. });
            let new: Vec<Fingerprint> =
                report.keys.iter().filter(is_new).map(|key| key.candidate.key.fingerprint.clone()).collect();
            if !new.is_empty() {
                record::trusted_keys(&session, "keys-import", &new);
            }
            common.result(&describe_import(&report), &report);
            let declined = report.keys.iter().all(|key| matches!(key.outcome, Outcome::Declined));
            return Ok(if declined { Exit::Usage.into() } else { Exit::Done.into() });
        }
        Command::Remove { fingerprint } => {
            let report = keys::remove(root, fingerprint)?;
            record::trusted_keys(&session, "keys-remove", std::slice::from_ref(fingerprint));
            common.result(&describe_removal(&report), &report);
        }
        Command::Lint { files, months } => {
            let reports = keys::lint(files, at, *months)?;
            common.result(&describe_lint(&reports), &json!({ "keys": reports }));
            if reports.iter().any(lint::Report::failed) {
                return Ok(Exit::Blocked.into());
            }
        }
        Command::Vouch(args) => return vouch::run(common, args, at),
    }
    Ok(Exit::Done.into())
}

fn import(root: &Path, file: Option<&Path>, given: &[Fingerprint], at: Timestamp) -> Result<ImportReport> {
    let mut question = |candidate: &Candidate| ask(candidate);
    let consent = if !given.is_empty() {
        Consent::Fingerprints(given)
    } else if sys::tty::is_interactive() {
        Consent::Ask(&mut question)
    } else {
        Consent::Nobody
    };
    Ok(match file {
        Some(file) => keys::import(root, file, consent, at)?,
        None => keys::import_from_rpm(root, consent, at)?,
    })
}

/// Shows a key and asks whether to trust it.
fn ask(candidate: &Candidate) -> io::Result<bool> {
    let mut text = describe(&candidate.key);
    for finding in &candidate.findings {
        let _ = writeln!(text, "{}", describe_finding(finding));
    }
    sys::fs::print_error(&printable(&text));
    sys::fs::print_error("Compare the fingerprint with the one that the vendor published.\n");
    ask::confirm("Trust this key?", false).map_err(io::Error::other)
}

fn describe_all(keys: &[KeyReport]) -> String {
    if keys.is_empty() { "no key is trusted\n".to_owned() } else { keys.iter().map(describe).collect() }
}

fn describe_removal(report: &keys::RemoveReport) -> String {
    let mut text = format!("{} is no longer imported\n", report.fingerprint);
    if report.still_built_in {
        text.push_str("it is still trusted, because it is built into this program\n");
    }
    text
}

fn describe_lint(reports: &[lint::Report]) -> String {
    let mut text = String::new();
    for report in reports {
        let name = report.user_ids.first().map_or("(no name)", String::as_str);
        let _ = writeln!(text, "{} {name} ({})", report.fingerprint, report.origin);
        for finding in &report.findings {
            let _ = writeln!(text, "{}", describe_finding(finding));
        }
        if report.findings.is_empty() {
            text.push_str("    nothing to complain about\n");
        }
    }
    text
}

fn describe(key: &KeyReport) -> String {
    let mut text = format!("{}\n", key.fingerprint.spaced());
    for name in &key.user_ids {
        let _ = writeln!(text, "    {name}");
    }
    let end = key.expires.map_or_else(|| "does not expire".to_owned(), |end| format!("expires {}", day(end)));
    let _ = writeln!(text, "    made {}, {end}; {}", day(key.created), key.origin);
    if let Some(warning) = &key.warning {
        let _ = writeln!(text, "    warning: it {warning}: {}", diagnostic::RENEW);
    }
    if let Some(problem) = &key.problem {
        let _ = writeln!(text, "    not usable: {problem}");
    }
    text
}

fn day(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

fn describe_finding(finding: &lint::Finding) -> String {
    let severity = match finding.severity {
        lint::Severity::Error => "error",
        lint::Severity::Warning => "warning",
        lint::Severity::Info => "info",
    };
    format!(
        "    {severity}[{}]: {}\n        why: {}\n        fix: {}",
        finding.id, finding.what, finding.why, finding.fix
    )
}

fn describe_import(report: &ImportReport) -> String {
    let mut text = String::new();
    for key in &report.keys {
        let name = key.candidate.key.user_ids.first().map_or("(no name)", String::as_str);
        let said = match &key.outcome {
            Outcome::Imported { path } => format!("trusted from now on ({})", path.display()),
            Outcome::Updated { path } => format!("updated ({})", path.display()),
            Outcome::AlreadyTrusted => "already trusted".to_owned(),
            Outcome::Declined => "not trusted".to_owned(),
            Outcome::Unfit { why } => format!("not fit to be trusted: {why}"),
        };
        let _ = writeln!(text, "{} {name}: {said}", key.candidate.key.fingerprint);
        let trusted = !matches!(key.outcome, Outcome::Declined | Outcome::Unfit { .. });
        if let Some(warning) = key.candidate.key.warning.as_ref().filter(|_| trusted) {
            let _ = writeln!(text, "    warning: it {warning}: {}", diagnostic::RENEW);
        }
    }
    text
}
