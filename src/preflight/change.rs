//! What a release would change on the host.

use super::facts::Facts;
use super::{Status, Verdict};
use crate::types::{Version, human_bytes};

/// A release that is offered to the host.
#[derive(Debug, Clone)]
pub struct Change {
    /// The release.
    pub offered: Version,
    /// The installed version, if one is.
    pub installed: Option<Version>,
    /// Why the release may not take the place of the installed one by what its manifest says.
    pub refusal: Option<String>,
    /// What it needs where the product's tree is.
    pub room: Room,
    /// What keeping the data before an upgrade needs.
    pub snapshot: Kept,
}

/// Bytes needed and free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// The directory.
    pub place: String,
    /// Needed there at most.
    pub needed: u64,
    /// Free there.
    pub free: u64,
}

/// Whether data can be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// There are none, or none are kept, for this reason.
    Unneeded(String),
    /// They need room.
    Needs {
        /// The room.
        room: Room,
        /// Whether nothing is changed without: the release changes their form, or what is installed is unknown.
        must: bool,
    },
    /// They cannot be, for this reason.
    Impossible(String),
}

/// Versions forward that the vendor supports in one upgrade ("Upgrade the Cortex XSOAR Server").
const STEPS: u32 = 2;

fn of(facts: &Facts, judge: impl Fn(&Change) -> Verdict) -> Verdict {
    facts.change.as_ref().map_or_else(Verdict::skipped, judge)
}

pub(super) fn path(facts: &Facts) -> Verdict {
    of(facts, |change| {
        let Some(installed) = change.installed else {
            return Verdict::skipped("no version is known to be installed");
        };
        if let Some(why) = &change.refusal {
            return Verdict::fail(why);
        }
        let ((major, minor), (new_major, new_minor)) = (installed.line(), change.offered.line());
        let seen = format!("{installed} to {}", change.offered);
        if change.offered < installed {
            return Verdict::fail(format!("{seen}: that is a way back"));
        }
        if (new_major, new_minor) > (major, minor.saturating_add(STEPS)) {
            return Verdict::fail(format!("{seen}: at most {STEPS} minor versions forward are supported"));
        }
        Verdict::pass(seen)
    })
}

pub(super) fn room(facts: &Facts) -> Verdict {
    of(facts, |change| judge(&change.room))
}

pub(super) fn snapshot(facts: &Facts) -> Verdict {
    of(facts, |change| match &change.snapshot {
        Kept::Unneeded(why) => Verdict::skipped(why),
        Kept::Impossible(why) => Verdict::fail(why),
        Kept::Needs { room, must } => match judge(room) {
            verdict if *must => verdict,
            verdict if verdict.status == Status::Pass => verdict,
            verdict => Verdict::warn(format!("{}; the upgrade keeps none then", verdict.seen)),
        },
    })
}

fn judge(room: &Room) -> Verdict {
    let (needed, free) = (human_bytes(room.needed), human_bytes(room.free));
    let seen = format!("{needed} are needed in {}, {free} are free", room.place);
    if room.needed <= room.free { Verdict::pass(seen) } else { Verdict::fail(seen) }
}
