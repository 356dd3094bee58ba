//! Whether a host is fit: checks, each with what it looks for, why, and what helps.
//!
//! In: facts that somebody else gathered. Out: a verdict for each check, with what was seen. Asks nothing and
//! touches nothing; the time is among the facts.
#![forbid(unsafe_code)]

mod accounts;
mod change;
#[cfg(test)]
mod checks_tests;
mod containers;
mod facts;
mod machine;
mod places;
mod proxy;
mod sizes;
mod system;
mod table;
pub mod xdr;

use serde::Serialize;

pub use change::{Change, Kept, Room};
pub use containers::{Engine, Git};
pub use facts::{
    Account, Expected, Facts, Fapolicyd, Holder, Inodes, Machine, Names, Os, Place, Profile, Selinux, SubIds,
    Use,
};
pub use proxy::{Proxy, Settings, assignments};
pub use system::SUPPORTED;
pub use table::{ADVISORY, CHECKS, DECISIVE};

/// How bad it is when a check does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Somebody has to look at it; the program cannot.
    Note,
    /// It works, or works for some, and should be put right.
    Warning,
    /// It does not work.
    Error,
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// A check over facts of the kind `F`.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Check<F: ?Sized + 'static> {
    /// Its name, which stays.
    pub id: &'static str,
    /// How bad it is when it does not pass.
    pub severity: Severity,
    /// What it looks for.
    pub what: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What helps when it does not pass.
    pub fix: &'static str,
    /// Judges the facts.
    #[serde(skip)]
    pub function: fn(&F) -> Verdict,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is as it should be.
    Pass,
    /// It makes no sense here, or something else has to be put right first.
    Skipped,
    /// Only a person can look.
    Manual,
    /// It should be otherwise, or could not be decided.
    Warn,
    /// It must be otherwise.
    Fail,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Skipped => "skipped",
            Self::Manual => "manual",
            Self::Warn => "warn",
            Self::Fail => "fail",
        })
    }
}

/// What a check says of facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What came of it.
    pub status: Status,
    /// What was seen, or why it was not looked at.
    pub seen: String,
    /// What helps in this case, when that is more than the check says.
    pub fix: Option<String>,
}

impl Verdict {
    fn new(status: Status, seen: impl Into<String>) -> Self {
        Self { status, seen: seen.into(), fix: None }
    }

    /// It is as it should be.
    #[must_use]
    pub fn pass(seen: impl Into<String>) -> Self {
        Self::new(Status::Pass, seen)
    }

    /// It should be otherwise, or could not be decided.
    #[must_use]
    pub fn warn(seen: impl Into<String>) -> Self {
        Self::new(Status::Warn, seen)
    }

    /// It must be otherwise.
    #[must_use]
    pub fn fail(seen: impl Into<String>) -> Self {
        Self::new(Status::Fail, seen)
    }

    /// It was not looked at, and why.
    #[must_use]
    pub fn skipped(why: impl Into<String>) -> Self {
        Self::new(Status::Skipped, why)
    }

    /// What a person has to look at.
    #[must_use]
    pub fn manual(what: impl Into<String>) -> Self {
        Self::new(Status::Manual, what)
    }

    /// The same with what helps in this case.
    #[must_use]
    pub fn mended_by(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

/// A check with its verdict, fit to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The check's name.
    pub id: &'static str,
    /// About what of several, such as a server; empty where there is one thing only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// How bad it is when the check does not pass.
    pub severity: Severity,
    /// What came of it.
    pub status: Status,
    /// What it looks for.
    pub what: &'static str,
    /// What was seen.
    pub seen: String,
    /// Why it matters.
    pub why: &'static str,
    /// What helps; nothing where nothing is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl<F: ?Sized> Check<F> {
    /// Judges `facts`, which are about `subject`, or about the host when that is empty.
    #[must_use]
    pub fn judge(&self, subject: &str, facts: &F) -> Outcome {
        let Verdict { status, seen, fix } = (self.function)(facts);
        let wrong = matches!(status, Status::Warn | Status::Fail);
        Outcome {
            id: self.id,
            subject: subject.to_owned(),
            severity: self.severity,
            status,
            what: self.what,
            seen,
            why: self.why,
            fix: fix.or_else(|| wrong.then(|| self.fix.to_owned())),
        }
    }
}

/// Which checks are wanted, by their names.
#[derive(Debug, Clone, Default)]
pub struct Chosen {
    /// Only these; all when empty.
    pub only: Vec<String>,
    /// Not these.
    pub skip: Vec<String>,
}

impl Chosen {
    /// Whether a check is run, so that facts for it are needed.
    #[must_use]
    pub fn runs(&self, id: &str) -> bool {
        self.lists(id) && !self.skips(id)
    }

    fn lists(&self, id: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == id)
    }

    fn skips(&self, id: &str) -> bool {
        self.skip.iter().any(|skipped| skipped == id)
    }
}

/// Runs the chosen checks of a table, in its order. Those that were left out by name are told as skipped.
#[must_use]
pub fn run<F>(checks: &[Check<F>], facts: &F, chosen: &Chosen) -> Vec<Outcome> {
    run_on(checks, "", facts, chosen)
}

/// As [`run`], on facts that are about `subject`.
#[must_use]
pub fn run_on<F>(checks: &[Check<F>], subject: &str, facts: &F, chosen: &Chosen) -> Vec<Outcome> {
    let judge = |check: &Check<F>| {
        let left_out = |_: &F| Verdict::skipped("it was left out by its name");
        let function = if chosen.skips(check.id) { left_out } else { check.function };
        Check { function, ..*check }.judge(subject, facts)
    };
    checks.iter().filter(|check| chosen.lists(check.id)).map(judge).collect()
}

/// Whether a check failed.
#[must_use]
pub fn is_blocked(outcomes: &[Outcome]) -> bool {
    outcomes.iter().any(|outcome| outcome.status == Status::Fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helps_is_told_where_something_is_wrong() {
        let check = |function| Check::<u8> {
            id: "x",
            severity: Severity::Error,
            what: "a",
            why: "b",
            fix: "c",
            function,
        };
        let fix = |function| check(function).judge("", &7).fix;
        assert_eq!(fix(|_| Verdict::pass("")), None);
        assert_eq!(fix(|_| Verdict::skipped("")), None);
        assert_eq!(fix(|_| Verdict::warn("")).as_deref(), Some("c"));
        assert_eq!(fix(|_| Verdict::fail("").mended_by("d")).as_deref(), Some("d"));
        let seen = check(|n| Verdict::fail(n.to_string())).judge("s", &7);
        assert_eq!((seen.seen.as_str(), seen.subject.as_str(), seen.status), ("7", "s", Status::Fail));
    }
}
