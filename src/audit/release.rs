//! What was installed, by whom it was signed, and whether it is that still.

use super::Verdict;
use super::evidence::{Evidence, Login};
use crate::productlog::{Facts, Mode, SelfTests, Start};
use crate::types::{Version, counted};

/// Most differences that are told one by one.
const SHOWN: usize = 10;

const NO_RECORD: &str = "another installer put it there, and this program has no record of it";

pub(super) fn signature(seen: &Evidence) -> Verdict {
    let Some(record) = &seen.record else { return Verdict::fail(NO_RECORD) };
    let pinned = format!("the receipt pins {}", record.signers.join(", "));
    match &seen.signature {
        Err(why) => Verdict::manual(why),
        Ok(found) if !found.accepted => Verdict::fail(&found.reason).and([pinned]),
        Ok(found) if !found.signers.iter().any(|signer| record.signers.contains(signer)) => {
            Verdict::fail(format!("signed by {}, who is not pinned", found.signers.join(", "))).and([pinned])
        }
        Ok(found) => Verdict::pass(&found.reason).and([pinned]),
    }
}

pub(super) fn artefact(seen: &Evidence) -> Verdict {
    if seen.record.is_none() {
        return Verdict::manual(NO_RECORD);
    }
    match &seen.artefact {
        Err(why) => Verdict::manual(why),
        Ok(found) if found.recorded != found.installed => Verdict::fail(format!(
            "the recorded manifest has SHA-256 {}, the installed one had {}",
            found.recorded, found.installed
        )),
        Ok(found) => {
            Verdict::pass(format!("the recorded manifest is the installed one, SHA-256 {}", found.recorded))
        }
    }
}

pub(super) fn drift(seen: &Evidence) -> Verdict {
    match &seen.comparison {
        Err(why) => Verdict::manual(why),
        Ok(found) if found.drift.is_empty() => {
            Verdict::pass(format!("{} compared, none differs", counted(found.compared, "file", "files")))
        }
        Ok(found) => {
            let all = found.drift.len();
            let more = all.checked_sub(SHOWN).filter(|more| *more > 0).map(|more| format!("and {more} more"));
            let differ =
                format!("{} of {} compared", counted(all, "difference", "differences"), found.compared);
            Verdict::fail(differ).and(found.drift.iter().take(SHOWN).cloned()).and(more)
        }
    }
}

pub(super) fn default_password(seen: &Evidence) -> Verdict {
    match &seen.login {
        Some(Login::Accepted(status)) => {
            return Verdict::fail(format!(
                "a login as admin with the password admin was let in (HTTP {status})"
            ));
        }
        Some(Login::Refused(status)) => {
            return Verdict::pass(format!(
                "a login as admin with the password admin was refused (HTTP {status})"
            ));
        }
        Some(Login::Unclear(why)) => {
            return Verdict::manual(format!("whether the default password works could not be told: {why}"));
        }
        None => {}
    }
    match &seen.record {
        Some(record) if !record.admin_name.is_empty() => Verdict::pass(format!(
            "this program installed it on {} and took a password for {} that the rule accepts; it sets no default one",
            record.installed_at, record.admin_name
        )),
        _ => Verdict::manual("another installer made this installation, perhaps with -y"),
    }
}

/// The version that was evaluated (guide, "Scope of Evaluation").
const EVALUATED: &str = "6.6.0";

pub(super) fn evaluated_version(seen: &Evidence) -> Verdict {
    let said = logged(seen).ok().and_then(|start| version_of(&start.version));
    let Some(version) = seen.record.as_ref().map(|record| record.version).or(said) else {
        return Verdict::manual("the version is not known");
    };
    if Ok(version) == EVALUATED.parse() {
        Verdict::pass(format!("{version} is the version that was evaluated"))
    } else {
        Verdict::manual(format!(
            "{EVALUATED} was evaluated; {version} is installed, of which the guide does not speak"
        ))
    }
}

pub(super) fn running_version(seen: &Evidence) -> Verdict {
    let start = match logged(seen) {
        Ok(start) => start,
        Err(why) => return unlogged(seen, &why),
    };
    let told = format!("{LOG} says that {} {} started at {}", start.program, start.version, start.at);
    let Some(record) = &seen.record else { return Verdict::manual(told) };
    match version_of(&start.version) {
        Some(version) if version == record.version => {
            Verdict::pass(told).and([format!("{} is recorded", record.release)])
        }
        _ => Verdict::fail(told).and([format!("{} is recorded", record.release)]),
    }
}

/// A version as a log says it, without its build.
fn version_of(text: &str) -> Option<Version> {
    text.split_once('-').map_or(text, |(version, _)| version).parse().ok()
}

/// What is in the log is no more than what the service says of itself.
const LOG: &str = "the log, which the service itself writes,";

/// A service that runs has a log, unless somebody took it away.
fn unlogged(seen: &Evidence, why: &str) -> Verdict {
    match seen.runs && seen.log.is_err() {
        true => Verdict::fail(format!("the service runs, but {why}")),
        false => Verdict::manual(why),
    }
}

fn facts(seen: &Evidence) -> Result<&Facts, String> {
    seen.log.as_ref().map_err(Clone::clone)
}

fn logged(seen: &Evidence) -> Result<&Start, String> {
    facts(seen)?.start.as_ref().ok_or_else(|| "the log tells of no start".to_owned())
}

pub(super) fn self_tests(seen: &Evidence) -> Verdict {
    let (facts, start) = match (facts(seen), logged(seen)) {
        (Ok(facts), Ok(start)) => (facts, start),
        (Err(why), _) | (_, Err(why)) => return unlogged(seen, &why),
    };
    let at = facts.fips.at.as_deref().unwrap_or_default();
    match (facts.fips.mode, facts.fips.self_tests) {
        (Mode::On, _) => {
            Verdict::pass(format!("{LOG} says of the start at {}, at {at}, that all passed", start.at))
        }
        (Mode::Off, _) | (_, SelfTests::Failed) => {
            Verdict::fail(format!("{LOG} says at {at} that they failed")).and(facts.fips.problem.clone())
        }
        _ => Verdict::fail(format!("{LOG} says of the start at {} nothing of self-tests", start.at)),
    }
}

pub(super) fn connection(seen: &Evidence) -> Verdict {
    if seen.site.is_server() {
        return Verdict::manual("the server tells on its page only which engines are connected");
    }
    let facts = match facts(seen) {
        Ok(facts) => facts,
        Err(why) => return unlogged(seen, &why),
    };
    match &facts.connection {
        None => Verdict::manual("the log tells nothing of a connection"),
        Some(found) => {
            let told = format!("{LOG} says at {}: {}", found.at.as_deref().unwrap_or("?"), found.text);
            if found.up { Verdict::pass(told) } else { Verdict::fail(told) }
        }
    }
}

/// Systems of the guide: `ID` and `VERSION_ID`, which may go on behind a dot.
const TESTED: [(&str, &str); 1] = [("rhel", "8")];
const AFFIRMED: [(&str, &str); 5] =
    [("rhel", "7"), ("ubuntu", "18.04"), ("ubuntu", "20.04"), ("ol", "7"), ("amzn", "2")];

pub(super) fn platform(seen: &Evidence) -> Verdict {
    let Some(system) = &seen.system else { return Verdict::manual("the host has no /etc/os-release") };
    let is = |(id, version): &(&str, &str)| {
        let rest = system.version.strip_prefix(version);
        system.id == *id && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    if TESTED.iter().any(is) {
        Verdict::pass(format!("{} is what was tested", system.name))
    } else if AFFIRMED.iter().any(is) {
        Verdict::pass(format!("the vendor affirms {}; RHEL 8 was tested", system.name))
    } else {
        Verdict::manual(format!("the guide does not speak of {}; RHEL 8 was tested", system.name))
    }
}

pub(super) fn always_manual(_: &Evidence) -> Verdict {
    Verdict::manual("it is kept in the product's database, which this program does not read")
}
