use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use crate::types::{Digest, Mode};

/// Version of the form of the records and of the plan in them. It grows when a kind of record or
/// step is added or means something else, so that an older reader would go wrong.
pub const SCHEMA: u32 = 2;

/// The form of journals that do not say it.
fn first() -> u32 {
    1
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub enum Entry {
    /// A run begins.
    Begin {
        /// Version of the form of all records and of the plan: [`SCHEMA`].
        #[serde(default = "first")]
        schema: u32,
        /// When.
        at: Timestamp,
        /// Version of the program.
        tool: String,
        /// What will be done.
        plan: Box<Plan>,
        /// Whether owners are set.
        owners: bool,
    },
    /// A step is about to be done.
    Intent {
        /// Its number, counted from 0.
        step: usize,
        /// What was there before.
        before: Before,
    },
    /// A step is done.
    Done {
        /// Its number.
        step: usize,
    },
    /// A step is undone.
    Undone {
        /// Its number.
        step: usize,
    },
    /// All steps are done: from here on only forward.
    Commit,
    /// Nothing is left to do.
    End {
        /// How it ended.
        ending: Ending,
    },
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// As planned.
    Done,
    /// With everything as it was before.
    Restored,
}

/// What was there before a step: enough to undo it from the disk alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "was", rename_all = "kebab-case")]
pub enum Before {
    /// Nothing that matters to the undoing.
    Nothing,
    /// The path was free.
    Absent,
    /// The path was taken and stays as it is: nothing to undo.
    Kept,
    /// A file was there; a copy is kept under this name among the journal's backups.
    File {
        /// The copy's name.
        copy: String,
        /// Its mode.
        mode: Mode,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// A tree is moved: this is its inode number, by which it is found again.
    Tree {
        /// The inode number.
        inode: u64,
        /// Whether another tree, or an empty directory, was in its place.
        exchanged: bool,
        /// The inode number of that one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old: Option<u64>,
        /// Its mode.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old_mode: Option<Mode>,
    },
    /// Things are carried over: their names are in this file among the journal's backups.
    Carried {
        /// The file's name.
        list: String,
    },
    /// A unit's state.
    Unit {
        /// Whether it was enabled.
        enabled: bool,
        /// Whether it was active.
        active: bool,
    },
    /// The data of the service.
    Data {
        /// A digest that changes whenever they are changed.
        fingerprint: Digest,
    },
    /// An account's numbers.
    Account {
        /// User or group id.
        id: u32,
    },
}

/// What has to be done after a crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// The run had not begun to change anything.
    Nothing,
    /// Undo these steps, in this order.
    Undo {
        /// Number of each step and what was there before it.
        steps: Vec<(usize, Before)>,
    },
    /// The change was complete: finish cleaning up.
    Forward,
}

/// Decides from the records alone.
#[must_use]
pub fn replay(entries: &[Entry]) -> Recovery {
    if entries.contains(&Entry::Commit) {
        return Recovery::Forward;
    }
    let mut steps: Vec<(usize, Before)> = Vec::new();
    for entry in entries {
        match entry {
            Entry::Intent { step, before } => steps.push((*step, before.clone())),
            Entry::Undone { step } => steps.retain(|(number, _)| number != step),
            _ => {}
        }
    }
    steps.reverse();
    if steps.is_empty() { Recovery::Nothing } else { Recovery::Undo { steps } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(step: usize) -> Entry {
        Entry::Intent { step, before: Before::Absent }
    }

    #[test]
    fn before_the_commit_undo_in_reverse() {
        let entries = [intent(0), Entry::Done { step: 0 }, intent(1)];
        let steps = vec![(1, Before::Absent), (0, Before::Absent)];
        assert_eq!(replay(&entries), Recovery::Undo { steps });
    }

    #[test]
    fn what_is_undone_is_not_undone_again() {
        let entries = [intent(0), intent(1), Entry::Undone { step: 1 }];
        assert_eq!(replay(&entries), Recovery::Undo { steps: vec![(0, Before::Absent)] });
        assert_eq!(replay(&[intent(0), Entry::Undone { step: 0 }]), Recovery::Nothing);
    }

    #[test]
    fn after_the_commit_only_forward() {
        assert_eq!(replay(&[intent(0), Entry::Commit]), Recovery::Forward);
        assert_eq!(replay(&[]), Recovery::Nothing);
    }
}
