//! What will be done, decided before anything is: a list of steps with reasons, and its digest.
//!
//! In: the signed manifest, a survey of the host, answers. Out: a [`Plan`]. Pure: the same input
//! gives the same plan, and no field of it can hold a secret.
#![forbid(unsafe_code)]

mod certificate;
mod changes;
mod engine;
mod error;
mod install;
mod outside;
mod package;
mod repair;
mod rollback;
mod settings;
mod snapshot;
mod step;
mod uninstall;
mod upgrade;

pub use certificate::{Keypass, NewPair, PairChange, pair_change};
pub use changes::Changes;
pub use engine::{Configure, Engine, Given, configure, engine_install};
pub use error::{Error, Result};
pub use install::{CONFIG_MODE, Certificate, Install, install, paths_of_interest, room};
pub use outside::{FILE_MODE, HostFile, files_outside, packaged_files};
pub use package::{Packaging, Script, script, word};
pub use repair::{Repair, TREE_MODE, repair, replaced, unit_of};
pub use rollback::{DataChoice, Rollback, rollback};
use std::path::Path;

use serde::{Deserialize, Serialize};
pub use settings::{Anchor, Authorities, Small, authorities, small};
pub use snapshot::{
    AtWork, Current, Restored, SnapshotCreate, SnapshotRestore, Taking, snapshot_create, snapshot_restore,
};
pub use step::{Old, Step, VersionCheck};
pub use uninstall::{Uninstall, uninstall};
pub use upgrade::{Installed, Service, Snapshots, Upgrade, fits_path, is_lower, upgrade, upgrade_paths};

use install::DIR_MODE;

use crate::manifest::Manifest;
use crate::product::{Role, Site};
use crate::receipt::Receipt;
use crate::types::Digest;
use crate::verify::Signer;

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
    /// The server or an engine gets another configuration, or other keys.
    Configure,
    /// Another certificate and key.
    Certificate,
    /// The certificate and key that were there before.
    CertificateRollback,
    /// Something is put into the one-time configuration, or that is removed.
    OneTime,
    /// Other authorities are trusted.
    Authorities,
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

/// Where a plan applies: the root, and which installation of it.
type Place<'a> = (&'a Path, &'a Site);

impl Plan {
    /// A plan about no release that is known.
    fn new(action: Action, (root, site): Place) -> Self {
        Self {
            schema: 1,
            action,
            release: String::new(),
            title: String::new(),
            manifest: Digest::of(b""),
            signers: Vec::new(),
            root: root.display().to_string(),
            site: site.clone(),
            space_bytes: 0,
            changes: None,
            steps: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// A plan about a release that is offered: its manifest, the digest of that, and who signed it.
    fn of_release(
        action: Action,
        (manifest, digest, signers): (&Manifest, Digest, &[Signer]),
        place: Place,
    ) -> Self {
        let signers = signers.iter().map(|signer| signer.fingerprint.to_string()).collect();
        let (release, title) = (manifest.release(), manifest.title.clone());
        Self { release, title, manifest: digest, signers, ..Self::new(action, place) }
    }

    /// A plan about a release that is, or was, installed.
    fn of_installed(action: Action, receipt: &Receipt, place: Place) -> Self {
        let signers = receipt.signers.iter().map(|signer| signer.fingerprint.to_string()).collect();
        let (release, title) = (receipt.release(), receipt.title.clone());
        Self { release, title, manifest: receipt.manifest, signers, ..Self::new(action, place) }
    }

    /// SHA-256 over the plan's JSON form: an apply can be bound to the plan that was shown. So nothing
    /// in a plan changes by itself, such as the time or the size of data that are in use.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// Starts a service and waits until it answers, or is connected: unit, path to ask for, and version to
    /// expect; port, seconds to wait, and whether its log has to tell of its self-tests; the reasons of the
    /// two steps.
    fn start(
        &mut self,
        (unit, path, version): (String, &str, Option<VersionCheck>),
        (port, seconds, fips): (u16, u64, bool),
        (started, awaited): (&str, &str),
    ) {
        self.push(Step::StartUnit { unit: unit.clone() }, started);
        let step = match self.site.role() {
            Role::Server => Step::AwaitHealth { unit, port, path: path.to_owned(), seconds, version, fips },
            Role::Engine => {
                let version = version.map(|check| check.wanted);
                Step::AwaitConnection { unit, seconds, version, fips }
            }
        };
        self.push(step, awaited);
    }

    /// Whether it starts the service of its installation.
    #[must_use]
    pub fn starts(&self) -> bool {
        let own = self.site.unit();
        self.steps.iter().any(|planned| matches!(&planned.step, Step::StartUnit { unit } if *unit == own))
    }

    /// Adds a step.
    fn push(&mut self, step: Step, reason: impl Into<String>) {
        self.steps.push(Planned { step, reason: reason.into() });
    }
}
