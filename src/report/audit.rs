//! What an audit found, for a terminal. The page for print is in [`page`](super::page).

use std::fmt::Write as _;

use crate::audit::{Finding, Outcome, Requirement};
use crate::types::printable_line;
use crate::workflow::audit::{Audit, Audited};

const PLAIN: &str = "\x1b[0m";
const BOLD: &str = "\x1b[1m";

fn paint(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "\x1b[32m",
        Outcome::Fail => "\x1b[1;31m",
        Outcome::Manual => "\x1b[33m",
        Outcome::NotApplicable => "\x1b[2m",
    }
}

/// Findings by section of the guide, and how many there are of each kind; in colour when `color` is set. Fit for a
/// terminal, whatever names are in it.
#[must_use]
pub fn audit(audit: &Audit, color: bool) -> String {
    let mut text = format!("{}, {}\n", printable_line(&audit.host), audit.at);
    for one in &audit.installations {
        installation(&mut text, one, color);
    }
    let _ = writeln!(text, "\n{}.", summary(audit));
    text
}

/// How many requirements had each outcome.
pub(super) fn summary(audit: &Audit) -> String {
    Outcome::ALL.map(|outcome| format!("{} {}", audit.count(outcome), outcome.word())).join(", ")
}

/// The findings of one section each, in the order of the guide.
pub(super) fn sections(one: &Audited) -> impl Iterator<Item = (&'static str, &[Finding])> {
    let groups = one.findings.chunk_by(|a, b| a.section == b.section);
    groups.filter_map(|group| Some((group.first()?.section, group)))
}

/// What is installed, in words.
pub(super) fn release(one: &Audited) -> String {
    match &one.release {
        Some(release) => format!("{} {release}", one.site),
        None => format!("{}, installed by another installer", one.site),
    }
}

fn installation(text: &mut String, one: &Audited, color: bool) {
    let _ = writeln!(text, "\n{}", release(one));
    for signer in &one.signers {
        let _ = writeln!(text, "signed by {}", printable_line(signer));
    }
    for (section, findings) in sections(one) {
        let (on, off) = if color { (BOLD, PLAIN) } else { ("", "") };
        let _ = writeln!(text, "\n{on}{section}{off}");
        for finding in findings {
            self::finding(text, finding, color);
        }
    }
}

fn finding(text: &mut String, finding: &Finding, color: bool) {
    let (on, off) = if color { (paint(finding.outcome), PLAIN) } else { ("", "") };
    let word = finding.outcome.word();
    let _ = writeln!(text, "  {on}{word:<14}{off} {}: {}", finding.id, finding.what);
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "                 {name}{}", printable_line(value));
    };
    finding.evidence.iter().for_each(|seen| line("", seen));
    if finding.fix.is_some() {
        line("why: ", finding.why);
    }
    finding.fix.iter().for_each(|fix| line("fix: ", fix));
    finding.by_hand.iter().for_each(|how| line("by hand: ", how));
}

/// All requirements, a line for each.
#[must_use]
pub fn audit_requirements(requirements: &[Requirement]) -> String {
    let mut text = String::new();
    for one in requirements {
        let _ = writeln!(text, "{:<24}{:<16}{}", one.id, one.applies.words(), one.what);
    }
    text
}

/// One requirement in full.
#[must_use]
pub fn audit_requirement(one: &Requirement) -> String {
    let mut text = format!("{}: {}\n", one.id, one.what);
    let mut row = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "  {name:<9} {}", value.replace(" SITE", ""));
        }
    };
    row("Guide", one.section);
    row("About", one.applies.words());
    row("Why", one.why);
    row("Fix", one.fix);
    row("By hand", one.by_hand);
    text
}
