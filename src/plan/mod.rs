//! What will be done, decided before anything is: a list of steps with reasons, and its digest.
//!
//! In: the signed manifest, a survey of the host, answers. Out: a [`Plan`]. Pure: the same input
//! gives the same plan, and no field of it can hold a secret.
#![forbid(unsafe_code)]

mod error;
mod install;
mod snapshot;
mod step;
mod uninstall;

pub use error::{Error, Result};
pub use install::{Certificate, Install, install, paths_of_interest};
use serde::{Deserialize, Serialize};
pub use snapshot::{
    Installed, Restored, Service, SnapshotCreate, SnapshotRestore, Taking, snapshot_create, snapshot_restore,
};
pub use step::Step;
pub use uninstall::{Uninstall, uninstall};

use crate::types::Digest;

/// What a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Action {
    /// A first installation.
    Install,
    /// Removal.
    Uninstall,
    /// A snapshot of the data is taken.
    Snapshot,
    /// Data are put back from a snapshot.
    Restore,
}

/// One step, and why it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// What is done.
    pub step: Step,
    /// Why.
    pub reason: String,
}

/// What will be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this structure.
    pub schema: u32,
    /// What it is for.
    pub action: Action,
    /// The release, such as `6.14.0-3036535`.
    pub release: String,
    /// Its name for people.
    pub title: String,
    /// SHA-256 of the signed manifest.
    pub manifest: Digest,
    /// Fingerprints of the certificates that signed it.
    pub signers: Vec<String>,
    /// The root that is changed.
    pub root: String,
    /// Bytes needed on the file system of the installation directory.
    pub space_bytes: u64,
    /// The steps in order.
    pub steps: Vec<Planned>,
    /// What stays as it is, and other things to know.
    pub notes: Vec<String>,
}

impl Plan {
    /// SHA-256 over the plan's JSON form: an apply can be bound to the plan that was shown. The name
    /// of a snapshot that is to be taken, which holds the time, and the size of the data, which a
    /// service at work changes all the time, are not part of what is approved.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut plan = self.clone();
        for planned in &mut plan.steps {
            if let Step::TakeSnapshot { id, bytes, .. } = &mut planned.step {
                (*id, *bytes) = (String::new(), 0);
            }
        }
        Digest::of(&serde_json::to_vec(&plan).unwrap_or_default())
    }

    /// Adds a step.
    fn push(&mut self, step: Step, reason: impl Into<String>) {
        self.steps.push(Planned { step, reason: reason.into() });
    }
}
