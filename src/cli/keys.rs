//! `demisto-install keys`: which keys are trusted.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::sys;
use crate::trust::lint;
use crate::types::Fingerprint;
use crate::workflow::keys::{self, Candidate, Consent, ImportReport, KeyReport, Outcome};

/// Exit code when a key is not fit to sign releases.
const UNFIT: u8 = 4;

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
}

/// Runs the command.
///
/// # Errors
/// When it cannot be done; nothing was changed then.
pub fn run(args: &KeysArgs, root: &Path, json: bool) -> Result<ExitCode> {
    let at = sys::clock::now();
    let show = |report: &dyn erased::Report| -> Result<()> {
        sys::fs::print(&if json { report.json()? } else { report.text() });
        Ok(())
    };
    match &args.command {
        Command::List => show(&keys::list(root, at)?)?,
        Command::Import { file, from_rpm: _, yes: _, fingerprint } => {
            let mut ask = |candidate: &Candidate| ask(candidate);
            let consent = if !fingerprint.is_empty() {
                Consent::Fingerprints(fingerprint)
            } else if sys::tty::is_interactive() {
                Consent::Ask(&mut ask)
            } else {
                Consent::Nobody
            };
            let report = match file {
                Some(file) => keys::import(root, file, consent, at)?,
                None => keys::import_from_rpm(root, consent, at)?,
            };
            show(&report)?;
            let declined = report.keys.iter().all(|key| matches!(key.outcome, Outcome::Declined));
            return Ok(if declined { ExitCode::FAILURE } else { ExitCode::SUCCESS });
        }
        Command::Remove { fingerprint } => show(&keys::remove(root, fingerprint)?)?,
        Command::Lint { files, months } => {
            let reports = keys::lint(files, at, *months)?;
            show(&reports)?;
            if reports.iter().any(lint::Report::failed) {
                return Ok(ExitCode::from(UNFIT));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows a key and asks whether to trust it.
fn ask(candidate: &Candidate) -> io::Result<bool> {
    let mut text = describe(&candidate.key);
    for finding in &candidate.findings {
        let _ = writeln!(text, "{}", describe_finding(finding));
    }
    sys::fs::print_error(&text);
    let question = "Does the fingerprint match the one that the vendor published? Trust this key";
    dialoguer::Confirm::new()
        .with_prompt(question)
        .default(false)
        .interact()
        .map_err(|dialoguer::Error::IO(error)| error)
}

fn describe(key: &KeyReport) -> String {
    let mut text = format!("{}\n", key.fingerprint.spaced());
    for name in &key.user_ids {
        let _ = writeln!(text, "    {name}");
    }
    let end = key.expires.map_or_else(|| "does not expire".to_owned(), |end| format!("expires {}", day(end)));
    let _ = writeln!(text, "    made {}, {end}; {}", day(key.created), key.origin);
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
    }
    text
}

/// Reports as text or JSON, behind one face.
mod erased {
    use std::fmt::Write as _;

    use super::{ImportReport, KeyReport, describe, describe_finding, describe_import, keys, lint};

    pub(super) trait Report {
        fn text(&self) -> String;
        fn json(&self) -> serde_json::Result<String>;
    }

    fn line(report: &impl serde::Serialize) -> serde_json::Result<String> {
        let mut line = serde_json::json!({ "schema": crate::cli::progress::SCHEMA, "event": "result" });
        if let (Some(line), serde_json::Value::Object(fields)) =
            (line.as_object_mut(), serde_json::to_value(report)?)
        {
            line.extend(fields);
        }
        serde_json::to_string(&line).map(|text| text + "\n")
    }

    impl Report for Vec<KeyReport> {
        fn text(&self) -> String {
            if self.is_empty() {
                return "no key is trusted\n".to_owned();
            }
            self.iter().map(describe).collect()
        }

        fn json(&self) -> serde_json::Result<String> {
            line(&serde_json::json!({ "keys": self }))
        }
    }

    impl Report for ImportReport {
        fn text(&self) -> String {
            describe_import(self)
        }

        fn json(&self) -> serde_json::Result<String> {
            line(self)
        }
    }

    impl Report for keys::RemoveReport {
        fn text(&self) -> String {
            let mut text = format!("{} is no longer imported\n", self.fingerprint);
            if self.still_built_in {
                text.push_str("it is still trusted, because it is built into this program\n");
            }
            text
        }

        fn json(&self) -> serde_json::Result<String> {
            line(self)
        }
    }

    impl Report for Vec<lint::Report> {
        fn text(&self) -> String {
            let mut text = String::new();
            for report in self {
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

        fn json(&self) -> serde_json::Result<String> {
            line(&serde_json::json!({ "keys": self }))
        }
    }
}
