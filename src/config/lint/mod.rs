//! What is wrong with a configuration: with its JSON, its keys, their values, and what they say together.
//!
//! In: the bytes of a file, whose it is, and what was seen of the host. Out: findings, each with its place. Touches
//! nothing. The reader is its own, because what is wrong has to be told with its true place, and one slip must not
//! hide the others; what serde_json refuses never passes.

#![deny(clippy::indexing_slicing, clippy::as_conversions)]

mod excerpt;
mod keys;
mod reader;
mod rules;
mod several;
mod texts;
mod values;

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;

pub use excerpt::Excerpt;
pub use rules::{RULES, Rule, Severity};

use super::mask;
use super::table::table;
use crate::product::{INSTALL_DIR, Role};
use excerpt::Lines;
use reader::Hidden;
use rules::{BRACKET_EXTRA, BRACKET_MISSING, MORE, NOT_UTF8, TOO_LARGE};

/// Largest configuration that is looked into, in bytes.
pub const MAX_SIZE: usize = 1 << 20;
/// Most findings that are told.
const MAX_FINDINGS: usize = 200;
/// The keys that name files which the service reads.
pub const FILE_KEYS: [&str; 4] =
    ["security.certfile", "security.keyfile", "security.client.certfile", "security.client.keyfile"];

/// A rule that is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's name.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The key, as the table spells it, or as the file does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The line, from 1; none when it is about what is not there.
    pub line: Option<usize>,
    /// The column, from 1, in characters.
    pub column: Option<usize>,
    /// What was found. Never a secret.
    pub what: String,
    /// Why it matters.
    pub why: &'static str,
    /// What helps.
    pub fix: String,
    /// The line as it may be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<Excerpt>,
}

/// A file that a key names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileState {
    /// It is there and the service can read it.
    Readable,
    /// It is not there.
    Missing,
    /// The service cannot read it; why.
    Closed(String),
}

/// What was seen of the host. What is not in here was not looked at, and nothing is said of it.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// Where the service has its own files, if not in [`INSTALL_DIR`]: a named engine has a directory in it.
    pub tree: Option<String>,
    /// The files of [`files`], by their paths.
    pub files: BTreeMap<String, FileState>,
    /// What installed certificates lack to be asked about, such as `/usr/local/demisto/cert.pem: certificate 1 names
    /// no OCSP responder`.
    pub without_aia: Vec<String>,
}

impl Host {
    /// Where a file is that the configuration does not name.
    fn usual(&self, path: &str) -> String {
        match (path.strip_prefix(INSTALL_DIR), &self.tree) {
            (Some(rest), Some(tree)) => format!("{tree}{rest}"),
            _ => path.to_owned(),
        }
    }
}

/// Checks a configuration; findings in the order of the text, what is not there behind them.
#[must_use]
pub fn lint(text: impl AsRef<[u8]>, role: Role, host: &Host) -> Vec<Finding> {
    let bytes = text.as_ref();
    let mut found = Findings::default();
    if bytes.len() > MAX_SIZE {
        let what = format!("the file has {} bytes, more than {MAX_SIZE}", bytes.len());
        found.add(&TOO_LARGE, None, 0..0, what);
        return found.finish(&Lines::of(""), Vec::new());
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.valid_up_to();
            let before = bytes.get(..at).and_then(|good| std::str::from_utf8(good).ok()).unwrap_or_default();
            let what = match bytes {
                [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "the file is UTF-16",
                _ => "here is a byte that UTF-8 does not have",
            };
            found.add(&NOT_UTF8, None, at..at, what);
            let all = Hidden { span: 0..at, mark: "\u{2026}" };
            return found.finish(&Lines::of(before), vec![all]);
        }
    };
    let lines = Lines::of(text);
    let mut reading = reader::read(text);
    let mut nested = text.len(); // how far names are to be relied on
    for problem in std::mem::take(&mut reading.problems) {
        if [BRACKET_MISSING, BRACKET_EXTRA].contains(problem.rule) {
            nested = nested.min(problem.span.start);
        }
        found.add(problem.rule, None, problem.span, problem.what);
    }
    reading.leaves.retain(|leaf| leaf.span.end <= nested);
    reading.twice.retain(|(_, second)| second.span.end <= nested);
    let known = keys::resolve(&reading, role, &lines, &mut found);
    several::check(&reading, &known, (role, host), &mut found);
    found.finish(&lines, reading.hidden)
}

/// The files that a configuration has the service read, whether they are named in it or not, in the order of
/// [`FILE_KEYS`]; as far as it can be read.
#[must_use]
pub fn files(text: impl AsRef<[u8]>, role: Role, host: &Host) -> Vec<String> {
    let text = std::str::from_utf8(text.as_ref()).ok().filter(|text| text.len() <= MAX_SIZE);
    let reading = text.map(reader::read).unwrap_or_default();
    let known = keys::resolve(&reading, role, &Lines::of(text.unwrap_or_default()), &mut Findings::default());
    let all = FILE_KEYS.iter().filter_map(|name| table().find(name));
    all.filter_map(|key| several::path(&known, key, (role, host))).collect()
}

/// Findings as they are gathered.
#[derive(Debug, Default)]
struct Findings {
    all: Vec<(Range<usize>, Finding)>,
    /// Values of keys that were meant to be secret ones.
    hidden: Vec<Range<usize>>,
}

impl Findings {
    fn add(&mut self, rule: &'static Rule, key: Option<&str>, span: Range<usize>, what: impl Into<String>) {
        let fix = rule.fix.replace("KEY", key.unwrap_or("the key"));
        self.push(rule, key, (Some(span), what.into()), fix);
    }

    /// With what helps in this case.
    fn add_with(
        &mut self,
        rule: &'static Rule,
        key: &str,
        (span, what): (Option<Range<usize>>, String),
        fix: Option<String>,
    ) {
        let fix = fix.unwrap_or_else(|| rule.fix.to_owned());
        self.push(rule, Some(key), (span, what), fix);
    }

    fn push(
        &mut self,
        rule: &'static Rule,
        key: Option<&str>,
        at: (Option<Range<usize>>, String),
        fix: String,
    ) {
        let (span, what) = at;
        let finding = Finding {
            id: rule.id,
            severity: rule.severity,
            key: key.map(str::to_owned),
            line: span.as_ref().map(|_| 0),
            column: None,
            what,
            why: rule.why,
            fix,
            excerpt: None,
        };
        self.all.push((span.unwrap_or(usize::MAX..usize::MAX), finding));
    }

    fn is_full(&self) -> bool {
        self.all.len() > MAX_FINDINGS
    }

    /// Whether something is said of a key already.
    fn names(&self, key: &str) -> bool {
        self.all.iter().any(|(_, finding)| finding.key.as_deref() == Some(key))
    }

    /// Less bad than its rule says.
    fn soften_last(&mut self, severity: Severity) {
        if let Some((_, finding)) = self.all.last_mut() {
            finding.severity = severity;
        }
    }

    fn finish(mut self, lines: &Lines<'_>, mut hidden: Vec<Hidden>) -> Vec<Finding> {
        self.all.sort_by_key(|(span, _)| span.start);
        let more = self.all.len().saturating_sub(MAX_FINDINGS);
        self.all.truncate(MAX_FINDINGS);
        if more > 0 {
            self.add_with(&MORE, "", (None, "there is more to be found".to_owned()), None);
        }
        hidden.extend(self.hidden.into_iter().map(|span| Hidden { span, mark: mask::STARS }));
        let hidden = excerpt::in_order(hidden);
        let placed = |(span, mut finding): (Range<usize>, Finding)| {
            finding.key = finding.key.filter(|key| !key.is_empty());
            if finding.line.is_some() {
                let (line, column) = lines.place(span.start);
                (finding.line, finding.column) = (Some(line), Some(column));
                let excerpt = lines.excerpt(&span, &hidden);
                finding.excerpt = Some(excerpt).filter(|excerpt| !excerpt.text.is_empty());
            }
            finding
        };
        self.all.into_iter().map(placed).collect()
    }
}

#[cfg(test)]
#[path = "../lint_tests.rs"]
mod tests;
