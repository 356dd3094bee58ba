//! What a merge changes in a configuration, what is wrong with one, and what its keys mean.

use std::fmt::Write as _;

use serde_json::Value;

use crate::config::lint::{Excerpt, Finding, Rule, Severity};
use crate::config::table::{Key, Scope, Table};
use crate::config::{DiffLine, LineKind};
use crate::product::Role;
use crate::types::{counted, printable_line};
use crate::workflow::config::Checked;

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const CYAN: &str = "\x1b[36m";
const PLAIN: &str = "\x1b[0m";

/// A difference as diff(1) shows it, fit for a terminal; in colour when `color` is set.
#[must_use]
pub fn config_diff(lines: &[DiffLine], color: bool) -> String {
    lines.iter().map(|line| shown(line, color)).collect()
}

fn shown(line: &DiffLine, color: bool) -> String {
    let (sign, paint) = match line.kind {
        LineKind::Hunk => ("", CYAN),
        LineKind::Context => (" ", ""),
        LineKind::Removed => ("-", RED),
        LineKind::Added => ("+", GREEN),
    };
    let text = printable_line(&line.text);
    if color && !paint.is_empty() {
        format!("{paint}{sign}{text}{PLAIN}\n")
    } else {
        format!("{sign}{text}\n")
    }
}

/// One line for each key: what it is, what counts without it, what the evaluated configuration wants.
#[must_use]
pub fn config_keys(table: &Table) -> String {
    let width = table.keys.iter().map(|key| key.key.len()).max().unwrap_or_default();
    let mut text = String::new();
    let mut line = |key: &str, role: &str, default: &str, secure: &str| {
        let _ = writeln!(text, "{}", format!("{key:<width$}  {role:<6}  {default:<30}  {secure}").trim_end());
    };
    line("KEY", "ROLE", "DEFAULT", "EVALUATED");
    for key in &table.keys {
        let default = key.default.as_ref().map(Value::to_string).unwrap_or_default();
        line(&key.key, &key.role.to_string(), &default, &secure(key));
    }
    for family in &table.families {
        line(&format!("{}*", family.prefix), &family.role.to_string(), "", "");
    }
    text
}

/// What the evaluated configuration wants, the best value of each role.
fn secure(key: &Key) -> String {
    let best = |role: Role| key.secure_of(role).first().map(Value::to_string);
    match (best(Role::Server), best(Role::Engine)) {
        (Some(server), Some(engine)) if server == engine => server,
        (server, engine) => {
            let of = |value: Option<String>, role: Role| {
                value.map(|value| if key.role == Scope::Both { format!("{value} ({role})") } else { value })
            };
            let both: Vec<String> =
                [of(server, Role::Server), of(engine, Role::Engine)].into_iter().flatten().collect();
            both.join(", ")
        }
    }
}

/// All that is known of a key.
#[must_use]
pub fn config_key(key: &Key) -> String {
    let mut text = format!("{}\n  {}.\n\n", key.key, key.what);
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "  {name:<14} {value}");
        }
    };
    let shown = |value: Option<&Value>| value.map(Value::to_string);
    let allowed: Vec<String> = key.values.iter().map(|value| format!("{value:?}")).collect();
    line("Also written", &key.aliases.join(", "));
    line("Value", key.kind.words());
    line("Allowed", &allowed.join(", "));
    line(
        "Belongs to",
        match key.role {
            Scope::Server => "the server: /etc/demisto.conf",
            Scope::Engine => "an engine: d1.conf",
            Scope::Both => "server and engine: /etc/demisto.conf and d1.conf",
        },
    );
    let without = shown(key.default_of(Role::Server)).unwrap_or_else(|| "none is published".to_owned());
    line("Default", &if key.required { "none: it has to be there".to_owned() } else { without });
    if key.default_engine.is_some() {
        line("On an engine", &shown(key.default_of(Role::Engine)).unwrap_or_default());
    }
    line("Evaluated", &secure(key));
    if let Some(best) = key.secure_of(Role::Server).first().or(key.secure_of(Role::Engine).first()) {
        line("Line", &format!("\"{}\": {best}", key.key));
    }
    line("Source", &key.source);
    if key.secret {
        line("Secret", "its value is never shown");
    }
    text
}

/// What is wrong with a configuration, each finding with its line and what helps.
#[must_use]
pub fn config_findings(checked: &Checked) -> String {
    let mut text = format!("{} ({})\n", checked.file, checked.role);
    for finding in &checked.findings {
        self::finding(finding, &mut text);
    }
    if let Some(why) = &checked.not_looked_at {
        let _ = writeln!(text, "\nThe files that it names were not looked at: {why}.");
    }
    let count = |severity: Severity| checked.findings.iter().filter(|one| one.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    if errors == 0 && warnings == 0 {
        text.push_str("\nNothing is wrong.\n");
    } else {
        let (errors, warnings) =
            (counted(errors, "error", "errors"), counted(warnings, "warning", "warnings"));
        let _ = writeln!(text, "\n{errors}, {warnings}.");
    }
    text
}

fn finding(finding: &Finding, text: &mut String) {
    let Finding { id, severity, line, column, what, why, fix, excerpt, .. } = finding;
    let place = match (line, column) {
        (Some(line), Some(column)) => format!("line {line}, column {column}: "),
        _ => String::new(),
    };
    let _ = writeln!(text, "\n{severity:<8}{id}: {place}{}", printable_line(what));
    if let (Some(Excerpt { text: shown, before, length }), Some(line)) = (excerpt, line) {
        let _ = writeln!(text, "  {line:>5} | {shown}\n        | {:before$}{}", "", "^".repeat(*length));
    }
    let _ = writeln!(text, "        why: {why}\n        fix: {}", printable_line(fix));
}

/// All rules.
#[must_use]
pub fn config_rules(rules: &[Rule]) -> String {
    let mut text = String::new();
    for rule in rules {
        let _ = writeln!(text, "{:<24}{:<9}{}", rule.id, rule.severity, rule.source);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diff;

    #[test]
    fn it_reads_like_diff() {
        let lines = diff("{\n \"a\": 1\n}\n", "{\n \"a\": 2\n}\n");
        let plain = "@@ -1,3 +1,3 @@\n {\n- \"a\": 1\n+ \"a\": 2\n }\n";
        assert_eq!(config_diff(&lines, false), plain);
        let painted =
            "\x1b[36m@@ -1,3 +1,3 @@\x1b[0m\n {\n\x1b[31m- \"a\": 1\x1b[0m\n\x1b[32m+ \"a\": 2\x1b[0m\n }\n";
        assert_eq!(config_diff(&lines, true), painted);
        assert_eq!(config_diff(&[], true), "");
    }

    #[test]
    fn the_file_cannot_write_to_the_terminal() {
        let lines = diff("{\"a\":\"\u{9b}31m\u{202e}\"}", "{}");
        let text = config_diff(&lines, false);
        assert!(text.chars().all(|c| c == '\n' || (!c.is_control() && c != '\u{202e}')), "{text:?}");
    }
}
