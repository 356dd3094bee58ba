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
    /// Whether it is lower than the installed one: in version, or in build.
    pub is_lower: bool,
    /// The release that a rollback brings back, if one is kept.
    pub retained: Option<String>,
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
    /// They cannot be.
    Impossible {
        /// Why.
        why: String,
        /// Whether nothing is changed then.
        must: bool,
    },
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
        if change.is_lower {
            return way_back(change, installed);
        }
        if let Some(why) = &change.refusal {
            return Verdict::fail(why);
        }
        let ((major, minor), (new_major, new_minor)) = (installed.line(), change.offered.line());
        let seen = format!("{installed} to {}", change.offered);
        if (new_major, new_minor) > (major, minor.saturating_add(STEPS)) {
            return Verdict::warn(format!(
                "{seen}: FILE allows it, the vendor supports at most {STEPS} minor versions forward"
            ));
        }
        Verdict::pass(seen)
    })
}

/// `upgrade` refuses a lower release unless it is told.
fn way_back(change: &Change, installed: Version) -> Verdict {
    let told = "`demisto-install upgrade FILE --allow-downgrade` takes it nevertheless";
    let fix = match &change.retained {
        Some(kept) => format!("`demisto-install rollback` brings {kept} back; {told}"),
        None => told.to_owned(),
    };
    Verdict::fail(format!("{installed} to {}: that is a way back", change.offered)).mended_by(fix)
}

pub(super) fn room(facts: &Facts) -> Verdict {
    of(facts, |change| judge(&change.room))
}

pub(super) fn snapshot(facts: &Facts) -> Verdict {
    of(facts, |change| match &change.snapshot {
        Kept::Unneeded(why) => Verdict::skipped(why),
        Kept::Impossible { why, must: true } => Verdict::fail(why),
        Kept::Impossible { why, must: false } => Verdict::warn(without(why)),
        Kept::Needs { room, must } => match judge(room) {
            verdict if *must => verdict,
            verdict if verdict.status == Status::Pass => verdict,
            verdict => Verdict::warn(without(&verdict.seen)),
        },
    })
}

fn without(why: &str) -> String {
    format!("{why}; the upgrade keeps none then")
}

fn judge(room: &Room) -> Verdict {
    let (needed, free) = (human_bytes(room.needed), human_bytes(room.free));
    let seen = format!("{needed} are needed in {}, {free} are free", room.place);
    if room.needed <= room.free { Verdict::pass(seen) } else { Verdict::fail(seen) }
}
