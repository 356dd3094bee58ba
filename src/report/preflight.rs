//! What checks of a host said.

use std::fmt::Write as _;

use crate::preflight::{Check, Outcome, Status};
use crate::types::{counted, printable_line};

/// One line for each check; below what is wrong, why it matters and what helps.
#[must_use]
pub fn checks(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    let width = outcomes.iter().map(|outcome| outcome.id.len()).max().unwrap_or(0) + 2;
    for outcome in outcomes {
        let Outcome { id, subject, status, seen, why, fix, .. } = outcome;
        // names of programs and answers of servers are in them: none may add a line of its own
        let [subject, seen] = [subject, seen].map(|text| printable_line(text));
        let about = if subject.is_empty() { String::new() } else { format!("{subject}: ") };
        let _ = writeln!(text, "{status:<9}{id:<width$}{about}{seen}");
        if let Some(fix) = fix {
            let _ = writeln!(text, "           why: {why}\n           fix: {}", printable_line(fix));
        }
    }
    let count = |wanted: Status| outcomes.iter().filter(|outcome| outcome.status == wanted).count();
    let (fails, warnings) = (count(Status::Fail), count(Status::Warn));
    let _ =
        write!(text, "{}: {}", counted(outcomes.len(), "check", "checks"), counted(fails, "fails", "fail"));
    let _ = write!(text, ", {}, {} skipped", counted(warnings, "warns", "warn"), count(Status::Skipped));
    match count(Status::Manual) {
        0 => text.push_str(".\n"),
        manual => drop(writeln!(text, ", {manual} for you to look at.")),
    }
    text
}

/// A table of checks: how bad each is at worst, what has to be so, why, and what helps.
#[must_use]
pub fn check_table<F: 'static>(checks: &[Check<F>]) -> String {
    let mut text = String::new();
    for Check { id, severity, what, why, fix, .. } in checks {
        let _ = writeln!(text, "{id} ({severity}): {what}\n    why: {why}\n    fix: {fix}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Severity;

    #[test]
    fn nothing_that_was_seen_adds_a_line() {
        let text = "x\npass     forged \u{1b}[2J";
        let outcome = Outcome {
            id: "port",
            severity: Severity::Error,
            subject: text.to_owned(),
            status: Status::Fail,
            seen: text.to_owned(),
            what: "",
            why: "",
            fix: Some(text.to_owned()),
        };
        let text = checks(&[outcome]);
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
