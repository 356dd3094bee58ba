//! What will be done, decided before anything is: a list of steps with reasons, and its digest.
//!
//! In: the signed manifest, a survey of the host, answers. Out: a [`Plan`]. Pure: the same input
//! gives the same plan, and no field of it can hold a secret.
#![forbid(unsafe_code)]

mod changes;
mod error;
mod install;
mod outside;
mod package;
mod repair;
mod rollback;
mod snapshot;
mod step;
mod uninstall;
mod upgrade;

pub use changes::Changes;
pub use error::{Error, Result};
pub use install::{Certificate, Install, install, paths_of_interest};
pub use outside::{FILE_MODE, HostFile, files_outside, packaged_files};
pub use package::{Packaging, Script, script, word};
pub use repair::{Repair, TREE_MODE, repair, replaced, unit_of};
pub use rollback::{DataChoice, Rollback, rollback};
use serde::{Deserialize, Serialize};
pub use snapshot::{
    AtWork, Current, Restored, SnapshotCreate, SnapshotRestore, Taking, snapshot_create, snapshot_restore,
};
pub use step::{Old, Step, VersionCheck};
pub use uninstall::{Uninstall, uninstall};
pub use upgrade::{Installed, Service, Snapshots, Upgrade, fits_path, upgrade, upgrade_paths};

use crate::product::Site;
use crate::types::Digest;

/// What a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Action {
    /// A first installation.
    Install,
    /// Another release in the place of the installed one.
    Upgrade,
    /// Back to the retained release.
    Rollback,
    /// Removal.
    Uninstall,
    /// Putting right what was changed since.
    Repair,
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
    /// Which installation of it.
    #[serde(default, skip_serializing_if = "Site::is_server")]
    pub site: Site,
    /// Bytes needed on the file system of the installation directory.
    pub space_bytes: u64,
    /// What changes in the installation directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// The steps in order.
    pub steps: Vec<Planned>,
    /// What stays as it is, and other things to know.
    pub notes: Vec<String>,
}

impl Plan {
    /// SHA-256 over the plan's JSON form: an apply can be bound to the plan that was shown. So nothing
    /// in a plan changes by itself, such as the time or the size of data that are in use.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// Starts a service and waits until it answers: unit, path to ask for, and version to expect; port,
    /// seconds to wait, and whether its log has to tell of its self-tests; the reasons of the two steps.
    fn start(
        &mut self,
        (unit, path, version): (String, &str, Option<VersionCheck>),
        (port, seconds, fips): (u16, u64, bool),
        (started, awaited): (&str, &str),
    ) {
        self.push(Step::StartUnit { unit: unit.clone() }, started);
        let path = path.to_owned();
        self.push(Step::AwaitHealth { unit, port, path, seconds, version, fips }, awaited);
    }

    /// Adds a step.
    fn push(&mut self, step: Step, reason: impl Into<String>) {
        self.steps.push(Planned { step, reason: reason.into() });
    }
}
