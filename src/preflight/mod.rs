//! Whether a host is fit for the product: a table of checks over facts that were gathered before.
//!
//! In: facts. Out: a verdict for each check, with what was seen. Asks nothing and touches nothing.
//! Sources: System Requirements of the Installation Guide 6.13 and 6.14, and the guide's Prerequisites.
#![forbid(unsafe_code)]

mod accounts;
mod change;
mod containers;
mod facts;
mod machine;
mod places;
mod proxy;
mod sizes;
mod system;
mod table;

use serde::Serialize;

pub use change::{Change, Kept, Room};
pub use containers::{Engine, Git};
pub use facts::{
    Account, Expected, Facts, Fapolicyd, Holder, Inodes, Machine, Names, Os, Place, Profile, Selinux, SubIds,
    Use,
};
pub use proxy::{Proxy, Settings};
pub use system::SUPPORTED;
pub use table::{CHECKS, DECISIVE};

/// How bad it is at worst when a check is not passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It works, or works for some, and should be put right.
    Warn,
    /// The product does not work, or a change cannot be made or undone.
    Fail,
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Warn => "warn",
            Self::Fail => "fail",
        })
    }
}

/// What a check says, each with what was seen or why nothing was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", content = "seen", rename_all = "lowercase")]
pub enum Verdict {
    /// It is as it should be.
    Pass(String),
    /// It should be put right.
    Warn(String),
    /// It has to be put right.
    Fail(String),
    /// It does not apply, or cannot be told.
    Skipped(String),
}

impl Verdict {
    pub(crate) fn pass(seen: impl Into<String>) -> Self {
        Self::Pass(seen.into())
    }

    pub(crate) fn warn(seen: impl Into<String>) -> Self {
        Self::Warn(seen.into())
    }

    pub(crate) fn fail(seen: impl Into<String>) -> Self {
        Self::Fail(seen.into())
    }

    pub(crate) fn skipped(why: impl Into<String>) -> Self {
        Self::Skipped(why.into())
    }

    /// What was seen.
    #[must_use]
    pub fn seen(&self) -> &str {
        match self {
            Self::Pass(seen) | Self::Warn(seen) | Self::Fail(seen) | Self::Skipped(seen) => seen,
        }
    }

    /// Its name, as JSON has it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pass(_) => "pass",
            Self::Warn(_) => "warn",
            Self::Fail(_) => "fail",
            Self::Skipped(_) => "skipped",
        }
    }
}

/// A check of facts of kind `F`.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Check<F: 'static> {
    /// Its name, which stays.
    pub id: &'static str,
    /// The worst that it says.
    pub severity: Severity,
    /// What has to be so.
    pub what: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What helps.
    pub fix: &'static str,
    /// What judges the facts.
    #[serde(skip)]
    pub function: fn(&F) -> Verdict,
}

/// What a check said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The check's name.
    pub id: &'static str,
    /// Its verdict, with what was seen.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// What has to be so.
    pub what: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What helps.
    pub fix: &'static str,
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
        self.lists(id) && !self.skip.iter().any(|skipped| skipped == id)
    }

    fn lists(&self, id: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == id)
    }
}

/// Runs the chosen checks, in the order of the table. Those that were left out by name are told as skipped.
#[must_use]
pub fn run<F>(checks: &[Check<F>], facts: &F, chosen: &Chosen) -> Vec<Outcome> {
    let listed = checks.iter().filter(|check| chosen.lists(check.id));
    let judge = |check: &Check<F>| {
        let verdict = match chosen.runs(check.id) {
            true => (check.function)(facts),
            false => Verdict::skipped("it was left out by its name"),
        };
        Outcome { id: check.id, verdict, what: check.what, why: check.why, fix: check.fix }
    };
    listed.map(judge).collect()
}

/// Whether a check failed.
#[must_use]
pub fn is_blocked(outcomes: &[Outcome]) -> bool {
    outcomes.iter().any(|outcome| matches!(outcome.verdict, Verdict::Fail(_)))
}
