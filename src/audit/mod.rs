//! The evaluated configuration as requirements: what the Common Criteria guide asks of a server and of an engine,
//! judged by what was seen of one installation.
//!
//! In: an [`Evidence`] that somebody gathered. Out: findings, each with the guide's section, what was seen and what
//! helps. Asks nothing and touches nothing. Source of the requirements: "Palo Alto Networks Common Criteria Evaluated
//! Configuration Guide, Cortex XSOAR Server and Engine 6.6"; sections are named by their titles.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]

mod certificates;
mod configuration;
mod evidence;
mod release;
mod requirements;
mod service;
mod unit;

use serde::Serialize;

pub use configuration::KEYS;
pub use evidence::{
    Artefact, Certificates, Comparison, Evidence, Handshake, Kept, Login, Record, Seen, Signature, System,
    WatchedFile,
};
pub use requirements::REQUIREMENTS;
pub use unit::{PROPERTIES, effective};

use crate::product::{Role, Site};

/// What became of a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is met.
    Pass,
    /// It is not met.
    Fail,
    /// Only a person can tell.
    Manual,
    /// It is not about this installation.
    NotApplicable,
}

impl Outcome {
    /// All, the ones to be looked at first.
    pub const ALL: [Self; 4] = [Self::Fail, Self::Manual, Self::Pass, Self::NotApplicable];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Manual => "manual",
            Self::NotApplicable => "not applicable",
        }
    }
}

/// An outcome and what it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    outcome: Outcome,
    evidence: Vec<String>,
}

impl Verdict {
    fn pass(seen: impl Into<String>) -> Self {
        Self { outcome: Outcome::Pass, evidence: vec![seen.into()] }
    }

    fn fail(seen: impl Into<String>) -> Self {
        Self { outcome: Outcome::Fail, evidence: vec![seen.into()] }
    }

    fn manual(seen: impl Into<String>) -> Self {
        Self { outcome: Outcome::Manual, evidence: vec![seen.into()] }
    }

    fn not_applicable(seen: impl Into<String>) -> Self {
        Self { outcome: Outcome::NotApplicable, evidence: vec![seen.into()] }
    }

    /// The same with more that was seen.
    fn and(mut self, seen: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(seen);
        self
    }

    /// A pass when nothing is wrong; all that was seen is told, what is wrong first.
    fn of(wrong: Vec<String>, fine: Vec<String>) -> Self {
        let outcome = if wrong.is_empty() { Outcome::Pass } else { Outcome::Fail };
        Self { outcome, evidence: wrong.into_iter().chain(fine).collect() }
    }
}

/// Which installations a requirement is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Applies {
    /// The server.
    Server,
    /// Engines.
    Engine,
    /// All.
    Both,
}

impl Applies {
    /// Its words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Engine => "engine",
            Self::Both => "server, engine",
        }
    }

    fn is_about(self, role: Role) -> bool {
        match self {
            Self::Server => role == Role::Server,
            Self::Engine => role == Role::Engine,
            Self::Both => true,
        }
    }
}

/// One requirement.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Requirement {
    /// Its name, which stays.
    pub id: &'static str,
    /// The title of the guide's section that asks for it.
    pub section: &'static str,
    /// What has to be so.
    pub what: &'static str,
    /// Why.
    pub why: &'static str,
    /// What helps when it is not so; ` SITE` stands for the options that name the installation.
    pub fix: &'static str,
    /// How a person finds it out where this program cannot.
    pub by_hand: &'static str,
    /// Which installations it is about.
    pub applies: Applies,
    /// Whether it can fail; one that cannot is for a person to judge.
    pub can_fail: bool,
    #[serde(skip)]
    function: fn(&Evidence) -> Verdict,
}

/// A requirement with what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its name.
    pub id: &'static str,
    /// The guide's section.
    pub section: &'static str,
    /// What has to be so.
    pub what: &'static str,
    /// Whether it is so.
    pub outcome: Outcome,
    /// What was seen, and where.
    pub evidence: Vec<String>,
    /// Why it is asked for.
    pub why: &'static str,
    /// What helps, if it is not so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// How a person finds it out, if that is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_hand: Option<String>,
}

/// The requirement of this name.
#[must_use]
pub fn requirement(id: &str) -> Option<&'static Requirement> {
    REQUIREMENTS.iter().find(|requirement| requirement.id == id)
}

impl Requirement {
    /// What helps, with the options that name the installation.
    #[must_use]
    pub fn fix_for(&self, site: &Site) -> String {
        self.fix.replace(" SITE", &options(site))
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        let role = evidence.site.role();
        let verdict = match self.applies.is_about(role) {
            true => (self.function)(evidence),
            false => Verdict::not_applicable(format!("this is about the {}", self.applies.words())),
        };
        let outcome = verdict.outcome;
        let by_hand = || self.by_hand.replace(" SITE", &options(&evidence.site));
        Finding {
            id: self.id,
            section: self.section,
            what: self.what,
            outcome,
            evidence: verdict.evidence,
            why: self.why,
            fix: (outcome == Outcome::Fail).then(|| self.fix_for(&evidence.site)),
            by_hand: (outcome == Outcome::Manual).then(by_hand),
        }
    }
}

/// The options that name an installation to other verbs.
fn options(site: &Site) -> String {
    match (site.role(), site.name()) {
        (Role::Server, _) => String::new(),
        (Role::Engine, None) => " --engine".to_owned(),
        (Role::Engine, Some(name)) => format!(" --engine --name {name}"),
    }
}

/// Judges the requirements that are `chosen` by their names, in the order of [`REQUIREMENTS`].
#[must_use]
pub fn judge(evidence: &Evidence, chosen: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let chosen = REQUIREMENTS.iter().filter(|requirement| chosen(requirement.id));
    chosen.map(|requirement| requirement.judge(evidence)).collect()
}
