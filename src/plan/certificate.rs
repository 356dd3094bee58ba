//! The plan of another certificate and key: the pair that is there is kept, the new one takes its place,
//! and it counts only when the service shows it.

use std::path::Path;

use super::uninstall::trash;
use super::{Action, Given, Old, Plan, Service, Step};
use crate::config::Setting;
use crate::manifest::Manifest;
use crate::product::{Owner, PairKind, PairPaths, Site};
use crate::receipt::Receipt;
use crate::types::{Digest, Mode};

/// Mode of directories that hold private keys.
const PRIVATE: Mode = Mode::new(0o700);

/// The pair that comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewPair {
    /// These files, as far as they are not in their places yet. Their content is read already.
    Taken(Vec<Given>),
    /// A self-signed one, made when the plan is carried out.
    Made {
        /// Names and addresses.
        names: Vec<String>,
        /// How long it is valid.
        days: u32,
    },
}

/// What becomes of the passphrase in the one-time configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keypass {
    /// That of the new key is written.
    Given,
    /// The new key needs none: one that waits there belongs to another key.
    Dropped,
}

/// All that the plan depends on.
#[derive(Debug)]
pub struct PairChange<'a> {
    /// Receipt and signed manifest of what is installed; `None` when another installer put it there.
    pub installed: Option<(&'a Receipt, &'a Manifest)>,
    /// The root.
    pub root: &'a Path,
    /// Which installation of it.
    pub site: &'a Site,
    /// What the pair is for.
    pub kind: PairKind,
    /// Whether the pair that comes is the one that was there before.
    pub back: bool,
    /// The pair that comes.
    pub new: &'a NewPair,
    /// Where it goes.
    pub to: &'a PairPaths,
    /// Where the pair lies that counts now; `None` when there is none to keep.
    pub old: Option<&'a PairPaths>,
    /// The service.
    pub service: Service,
    /// Whether it runs with another certificate than the one in its place.
    pub stale: bool,
    /// Whether it is started.
    pub start: bool,
    /// The port that it answers on.
    pub port: u16,
    /// How long it may take to answer or connect, in seconds.
    pub seconds: u64,
    /// Where the one-time configuration lies, and what is done there; `None` leaves it alone.
    pub one_time: Option<(String, Keypass)>,
    /// Whether the directory of kept pairs is there already.
    pub keeps: bool,
    /// Keys of the configuration that are set.
    pub settings: Vec<Setting>,
    /// SHA-256 of the configuration, if there is one.
    pub config: Option<Digest>,
    /// Whether labels have to be set.
    pub selinux: bool,
    /// What is to be said about it.
    pub notes: Vec<String>,
}

impl PairChange<'_> {
    /// Whether files of the pair change.
    fn brings_files(&self) -> bool {
        !matches!(self.new, NewPair::Taken(files) if files.is_empty())
    }
}

/// Plans it; `None` when the pair is in its place and the service shows it.
#[must_use]
pub fn pair_change(input: PairChange) -> Option<Plan> {
    let start = input.start && input.service.live;
    let restarts = start && (input.stale || !input.service.active);
    if !input.brings_files() && input.settings.is_empty() && !restarts {
        return None;
    }
    let place = (input.root, input.site);
    let action = if input.back { Action::CertificateRollback } else { Action::Certificate };
    let mut plan = match input.installed {
        Some((receipt, _)) => Plan::of_installed(action, receipt, place),
        None => Plan::new(action, place),
    };
    let unit = input.site.unit();
    if input.brings_files() {
        keep(&input, &mut plan);
        make(&input, &mut plan);
    }
    if input.service.active {
        let reason = "it reads certificate and key when it starts";
        plan.push(Step::StopUnit { unit: unit.clone() }, reason);
    }
    take(&input, &mut plan);
    configure(&input, &mut plan);
    if input.selinux {
        // no directory: where the configuration chose it, what else is in there is somebody else's
        let paths = vec![input.to.chain.clone(), input.to.key.clone()];
        plan.push(Step::RestoreLabels { paths }, "SELinux is on");
    }
    if start {
        let path = input.installed.map_or("/", |(_, manifest)| manifest.health.path.as_str());
        let why = match input.kind {
            PairKind::Client | PairKind::Listener => {
                "the change counts only when the engine is connected; otherwise all is undone"
            }
            PairKind::Server => {
                "the change counts only when a handshake shows the new certificate; otherwise all is undone"
            }
        };
        plan.start((unit, path, None), (input.port, input.seconds, false), ("with the new pair", why));
    } else if input.service.active {
        plan.notes.push(format!("{unit} stays stopped until it is started"));
    } else {
        plan.notes.push(format!("{unit} is not started"));
    }
    if matches!(input.new, NewPair::Made { .. }) {
        let path = input.site.made_pair();
        let step = Step::RemoveTree { trash: trash(&path), path };
        plan.push(step, "its files are in their places");
    }
    plan.notes.extend(input.notes);
    Some(plan)
}

fn keep(input: &PairChange, plan: &mut Plan) {
    if input.old.is_none() && matches!(input.new, NewPair::Taken(_)) {
        plan.notes.push("there is no pair yet that could be kept".to_owned());
        return;
    }
    if !input.keeps {
        let path = input.site.kept_pairs();
        let step = Step::CreateDir { path, owner: Owner::Root, mode: PRIVATE };
        plan.push(step, "for pairs that were replaced; nobody else may look there");
    }
    let Some(pair) = input.old else { return };
    let (from, to) = (input.site.kept_pair_new(input.kind), input.site.kept_pair(input.kind));
    let step = Step::KeepPair { path: from.clone(), pair: pair.clone() };
    plan.push(step, "so that `cert rollback` can put them back");
    plan.push(Step::SwitchTree { from, to, old: Old::Removed }, "one pair is kept, and only the one before");
}

fn make(input: &PairChange, plan: &mut Plan) {
    let NewPair::Made { names, days } = input.new else { return };
    let dir = input.site.made_pair();
    // the owner whose directories are undone together with what is in them
    let step = Step::CreateDir { path: dir.clone(), owner: Owner::Demisto, mode: PRIVATE };
    plan.push(step, "the new pair is made beside the old one");
    let step = Step::MakeCertificate { dir, names: names.clone(), days: *days };
    plan.push(step, "with the names that the old one has");
}

fn take(input: &PairChange, plan: &mut Plan) {
    match input.new {
        NewPair::Taken(files) => {
            for Given { path, from, sha256, mode } in files.iter().cloned() {
                plan.push(Step::TakeFile { path, from, sha256, mode }, "readable by the service alone");
            }
        }
        NewPair::Made { .. } => {
            let (chain, key) = PairKind::Server.names();
            for (path, name) in [(&input.to.chain, chain), (&input.to.key, key)] {
                let copy = format!("{}/{name}", input.site.made_pair());
                let step = Step::PutBack { path: path.clone(), copy };
                plan.push(step, "readable by the service alone");
            }
        }
    }
}

/// The passphrase, and what the configuration has to say. A pair that is in its place already had its
/// passphrase given with it.
fn configure(input: &PairChange, plan: &mut Plan) {
    if let Some((path, what)) = input.one_time.clone().filter(|_| input.brings_files()) {
        let given = what == Keypass::Given;
        let (users, apikeys) = (Vec::new(), Vec::new());
        let step = Step::SetOneTime { path, keypass: given, drop_keypass: !given, users, apikeys };
        let why = match what {
            Keypass::Given => "the key is encrypted; the server takes its passphrase over at its next start",
            Keypass::Dropped => "it is another key's: the new one is not encrypted",
        };
        plan.push(step, why);
    }
    if !input.settings.is_empty() {
        let (path, was, set) = (input.site.config_file(), input.config, input.settings.clone());
        plan.push(Step::SetConfig { path, was, set }, "so that the product uses the pair as you said");
    }
}
