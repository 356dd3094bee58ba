use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::manifest::{Entry, Kind, Manifest};

/// What changes in the installation directory, counted in files and links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Changes {
    /// New ones.
    pub added: u64,
    /// Such with another content, kind, mode or owner.
    pub changed: u64,
    /// Such that the new release does not have.
    pub removed: u64,
    /// Such that stay as they are.
    pub unchanged: u64,
    /// How many of these are files: they are taken from the installed tree.
    pub reused: u64,
    /// Things that belong to the host and are carried over: at the top of what is carried.
    pub host: u64,
    /// Bytes of content that have to be laid out anew.
    pub bytes: u64,
}

impl Changes {
    /// Compares two releases; without an old one everything is new.
    pub(super) fn between(old: Option<&Manifest>, new: &Manifest, host: u64) -> Self {
        let mut before: HashMap<&str, &Entry> =
            old.iter().flat_map(|old| &old.entries).map(|entry| (entry.path.as_str(), entry)).collect();
        let mut changes = Self { host, ..Self::default() };
        for entry in &new.entries {
            let old = before.remove(entry.path.as_str());
            if matches!(entry.kind, Kind::Dir { .. }) {
                continue;
            }
            let same = old.is_some_and(|old| same(old, entry));
            match (old, same) {
                (None, _) => changes.added += 1,
                (Some(_), false) => changes.changed += 1,
                (Some(_), true) => changes.unchanged += 1,
            }
            match entry.kind {
                Kind::File { .. } if same => changes.reused += 1,
                Kind::File { size, .. } => changes.bytes = changes.bytes.saturating_add(size),
                _ => {}
            }
        }
        let gone = before.values().filter(|entry| !matches!(entry.kind, Kind::Dir { .. }));
        changes.removed = gone.count() as u64;
        changes
    }
}

fn same(old: &Entry, new: &Entry) -> bool {
    old.owner == new.owner
        && match (&old.kind, &new.kind) {
            (
                Kind::File { mode, size, sha256, .. },
                Kind::File { mode: new_mode, size: new_size, sha256: new_sha256, .. },
            ) => (mode, size, sha256) == (new_mode, new_size, new_sha256),
            (old, new) => old == new,
        }
}
