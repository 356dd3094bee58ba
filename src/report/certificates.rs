//! What was found in certificates and keys.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::certs::check::{Finding, Rule, Severity};
use crate::certs::look::Certificate;
use crate::types::counted;
use crate::workflow::cert::check::{Checked, CheckedFile};

/// Files with what they hold, and below each what is wrong with it and what helps.
#[must_use]
pub fn certificates(checked: &[Checked]) -> String {
    let mut text = String::new();
    for set in checked {
        let names =
            if set.names.is_empty() { String::new() } else { format!(" for {}", set.names.join(", ")) };
        let _ = writeln!(text, "{}{names}", set.title);
        for file in &set.files {
            self::file(file, &mut text);
            findings(set.findings.iter().filter(|finding| finding.file == file.file), &mut text);
        }
        let listed = |finding: &&Finding| set.files.iter().any(|file| file.file == finding.file);
        let mut others: Vec<&Finding> = set.findings.iter().filter(|finding| !listed(finding)).collect();
        others.sort_by(|one, other| one.file.cmp(&other.file));
        for group in others.chunk_by(|one, other| one.file == other.file) {
            if let Some(first) = group.first() {
                let _ = writeln!(text, "  {}", first.file);
            }
            findings(group.iter().copied(), &mut text);
        }
    }
    let all: Vec<&Finding> = checked.iter().flat_map(|set| &set.findings).collect();
    let count = |severity: Severity| all.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    if checked.is_empty() {
        text.push_str("There is no certificate to be checked.\n");
    } else if errors == 0 && warnings == 0 {
        text.push_str("Nothing is wrong.\n");
    } else {
        let (errors, warnings) =
            (counted(errors, "error", "errors"), counted(warnings, "warning", "warnings"));
        let _ = writeln!(text, "{errors}, {warnings}.");
    }
    text
}

fn file(file: &CheckedFile, text: &mut String) {
    let _ = writeln!(text, "  {}", file.file);
    for (number, certificate) in (1..).zip(&file.certificates) {
        let _ = writeln!(text, "    {number}  {}", line(certificate));
    }
    if let Some(form) = &file.key {
        let _ = writeln!(text, "    private key, {form}");
    }
}

/// One line about a certificate.
fn line(certificate: &Certificate) -> String {
    let day = |time: Timestamp| time.strftime("%Y-%m-%d").to_string();
    let names: Vec<String> = certificate.names.iter().map(ToString::to_string).collect();
    let names = if names.is_empty() { String::new() } else { format!(" [{}]", names.join(", ")) };
    let ca = if certificate.is_ca() { ", CA" } else { "" };
    format!(
        "{}{names}{ca}, {}, {} to {}, by {}",
        certificate.title(),
        certificate.key,
        day(certificate.not_before),
        day(certificate.not_after),
        certificate.issuer
    )
}

fn findings<'a>(findings: impl Iterator<Item = &'a Finding>, text: &mut String) {
    for finding in findings {
        let Finding { id, severity, subject, what, why, fix, .. } = finding;
        let _ = writeln!(
            text,
            "    {severity:<8}{id}: {subject}: {what}\n            why: {why}\n            fix: {fix}"
        );
    }
}

/// All rules.
#[must_use]
pub fn certificate_rules(rules: &[Rule]) -> String {
    let mut text = String::new();
    for rule in rules {
        let _ = writeln!(text, "{:<24}{:<9}{}", rule.id, rule.severity, rule.source);
    }
    text
}
