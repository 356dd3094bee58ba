//! What integrations run in, and git.

use super::Verdict;
use super::facts::Facts;
use super::sizes::on_machine;
use super::system::numbers;

/// A container engine of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// `docker` or `podman`, by what it says that it is.
    pub name: &'static str,
    /// Its version when the service's account asked it, or why there was no answer; `None` when it could not be
    /// asked.
    pub answer: Option<Result<String, String>>,
}

/// The system's git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Git {
    /// There is none.
    Absent,
    /// What `git --version` says, without its first two words.
    Version(String),
    /// Why it does not run.
    Broken(String),
}

/// The oldest git that may stand in for the product's own ("Install Offline").
const GIT: [u32; 2] = [2, 21];

pub(super) fn engine(facts: &Facts) -> Verdict {
    on_machine(facts, |machine| {
        if machine.engines.is_none() {
            return Verdict::skipped("none was asked");
        }
        let engines = || machine.candidates();
        let usable = engines().find_map(|engine| Some((engine.name, engine.answer.as_ref()?.as_ref().ok()?)));
        if let Some((name, version)) = usable {
            return Verdict::pass(format!("{name} {version} answers the service's account"));
        }
        let refused =
            engines().find_map(|engine| Some((engine.name, engine.answer.as_ref()?.as_ref().err()?)));
        match (refused, engines().next()) {
            (Some((name, why)), _) => {
                Verdict::fail(format!("{name} does not answer the service's account: {why}"))
            }
            (None, Some(engine)) => Verdict::skipped(format!(
                "{} is here; only root can ask it as the service's account, and only when that is there",
                engine.name
            )),
            (None, None) => facts.short(match &machine.engine_type {
                Some(name) => format!("{name}, which the configuration names, is not here"),
                None => "neither docker nor podman is here".to_owned(),
            }),
        }
    })
}

pub(super) fn git(facts: &Facts) -> Verdict {
    on_machine(facts, |machine| match &machine.git {
        None => Verdict::skipped("it was not asked"),
        Some(Git::Absent) => Verdict::pass("the system has none; the product's own is used"),
        Some(Git::Version(version)) if numbers(version) >= GIT => Verdict::pass(version),
        Some(Git::Version(version)) => Verdict::warn(format!("{version}, which is older than 2.21")),
        Some(Git::Broken(why)) => Verdict::warn(format!("it does not run: {why}")),
    })
}
