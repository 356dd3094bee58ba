//! Which trusted keys run out soon: a vendor's public key may be valid for half a year only.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::rules;
use super::{Anchor, TrustStore};
use crate::types::Fingerprint;

/// How many days before its end a key is worth a word.
pub const SOON: i64 = 90;
/// And how many before it is worth a louder one.
pub const URGENT: i64 = 30;

/// A trusted key that runs out soon, or has run out while no other is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunsOut {
    /// The fingerprint of its primary key.
    pub fingerprint: Fingerprint,
    /// Its first name.
    pub user_id: String,
    /// When it ends.
    pub expires: Timestamp,
    /// Whole days until then; below zero when it is over.
    pub days_left: i64,
    /// Whether it ends within [`URGENT`] days.
    pub urgent: bool,
}

impl RunsOut {
    /// The end, in words.
    #[must_use]
    pub fn when(&self) -> String {
        let day = rules::date(self.expires);
        match self.days_left {
            ..0 => format!("ran out on {day}"),
            0 => format!("runs out on {day}, within a day"),
            1 => format!("runs out on {day}, in 1 day"),
            days => format!("runs out on {day}, in {days} days"),
        }
    }
}

/// Whole days from `at` until `end`.
#[must_use]
pub fn days_left(end: Timestamp, at: Timestamp) -> i64 {
    end.duration_since(at).as_secs().div_euclid(SignedDuration::from_hours(24).as_secs())
}

impl Anchor {
    /// When its last key that can sign runs out, as of `at`; when the whole of it does, if none can
    /// sign; `None` for never.
    #[must_use]
    pub fn signs_until(&self, at: Timestamp) -> Option<Timestamp> {
        match rules::signs_until(self.cert(), at) {
            Some(end) => end,
            None => self.expires(),
        }
    }

    /// Its end, when that is near or over.
    #[must_use]
    pub fn runs_out(&self, at: Timestamp) -> Option<RunsOut> {
        let expires = self.signs_until(at)?;
        let days_left = days_left(expires, at);
        (days_left <= SOON).then(|| RunsOut {
            fingerprint: self.fingerprint().clone(),
            user_id: self.name(),
            expires,
            days_left,
            urgent: days_left <= URGENT,
        })
    }
}

impl TrustStore {
    /// The keys whose end is near, the nearest first. One in whose place another of the same name is
    /// already trusted, which lasts longer, is none; one that has run out is one only when nothing is left.
    #[must_use]
    pub fn running_out(&self, at: Timestamp) -> Vec<RunsOut> {
        let usable: Vec<&Anchor> =
            self.anchors().iter().filter(|anchor| anchor.fault(at).is_none()).collect();
        if usable.is_empty() {
            return sorted(self.anchors().iter().filter_map(|anchor| anchor.runs_out(at)));
        }
        let lasts = |name: &str| usable.iter().any(|a| a.name() == name && a.runs_out(at).is_none());
        sorted(usable.iter().filter_map(|anchor| anchor.runs_out(at)).filter(|key| !lasts(&key.user_id)))
    }
}

fn sorted(keys: impl Iterator<Item = RunsOut>) -> Vec<RunsOut> {
    let mut keys: Vec<RunsOut> = keys.collect();
    keys.sort_by_key(|key| key.expires);
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_whole_and_go_below_zero() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let end = time("2026-06-01T12:00:00Z");
        for (at, days) in [
            ("2026-05-31T12:00:00Z", 1),
            ("2026-05-31T12:00:01Z", 0),
            ("2026-06-01T12:00:00Z", 0),
            ("2026-06-01T12:00:01Z", -1),
            ("2026-03-03T12:00:00Z", 90),
        ] {
            assert_eq!(days_left(end, time(at)), days, "{at}");
        }
    }
}
