//! The plans of an engine's installation, and of another configuration for it. What comes after is
//! planned as it is for servers.

use std::collections::BTreeMap;

use super::install::{self, DIR_MODE};
use super::outside::{FILE_MODE, are_free, packaged};
use super::{Action, Error, Old, Packaging, Plan, Result, Service, Step};
use crate::config;
use crate::host::{Directory, Facts, Survey};
use crate::manifest::Manifest;
use crate::product::{self, Owner, Role, Site};
use crate::receipt::Receipt;
use crate::types::{Digest, Mode};
use crate::verify::Signer;

/// A file that the administrator gives the engine. Its content may be secret and is not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Where it goes.
    pub path: String,
    /// Where it was read.
    pub from: String,
    /// SHA-256 of its content.
    pub sha256: Digest,
    /// Its mode; it belongs to the service.
    pub mode: Mode,
}

/// All that the plan of an engine's installation depends on.
#[derive(Debug)]
pub struct Engine<'a> {
    /// The signed manifest.
    pub manifest: &'a Manifest,
    /// SHA-256 of it.
    pub digest: Digest,
    /// Who signed it.
    pub signers: &'a [Signer],
    /// The host.
    pub facts: &'a Facts,
    /// What is there already.
    pub survey: &'a Survey,
    /// The texts of units and other small files that exist, by path.
    pub texts: &'a BTreeMap<String, String>,
    /// What the engine is given.
    pub files: &'a [Given],
    /// The configuration that will count, if it is the administrator's: one that is given, or was kept.
    pub config: Option<&'a config::Engine>,
    /// Whether it is started.
    pub start: bool,
    /// Whether owners are set.
    pub owners: bool,
    /// The lowest security epoch that may be installed here.
    pub floor: u64,
    /// How long it may take to connect, in seconds.
    pub connect_seconds: u64,
    /// Whether its log has to say that its FIPS-CC self-tests passed.
    pub require_fips: bool,
    /// What is done for a package besides laying it out.
    pub packaging: &'a Packaging,
}

const LOW_PORT: &str = include_str!("../../assets/low-port.conf");

/// Plans an engine's installation; `None` when this very release is installed already.
///
/// # Errors
/// When the host or the release does not allow it.
pub fn engine_install(input: &Engine, receipt: Option<&Receipt>) -> Result<Option<Plan>> {
    if input.manifest.role != Role::Engine {
        return Err(Error::NotAnEngine);
    }
    let floor = input.floor.max(receipt.map_or(0, |receipt| receipt.epoch));
    if input.manifest.epoch < floor {
        return Err(Error::Epoch { floor, offered: input.manifest.epoch });
    }
    if let Some(receipt) = receipt {
        return install::installed((input.manifest, input.digest, input.signers), receipt).map(|()| None);
    }
    let kept = kept(input.survey)?;
    install::fits(input.manifest, input.survey, input.owners)?;
    are_free(&packaged(input.manifest, &input.survey.site), input.survey, input.texts, &[])?;
    let start = input.start && input.config.is_some();
    if start && !input.facts.systemd {
        return Err(Error::NoSystemd);
    }
    let site = input.survey.site.clone();
    let offered = (input.manifest, input.digest, input.signers);
    let mut plan = Plan::of_release(Action::Install, offered, (&input.survey.root, &input.survey.site));
    plan.space_bytes = input.manifest.total_size();
    install::requirements(input.manifest, input.facts, &mut plan);
    install::accounts(input.survey, input.owners, &mut plan);
    install::directories(input.manifest, input.survey, input.owners, &mut plan)?;
    input.packaging.begin(&mut plan);
    tree(input, kept, &mut plan);
    configuration(input, &mut plan);
    install::outside(input.manifest, &mut plan);
    low_port(input.manifest, input.config, input.survey, &mut plan);
    input.packaging.placed(&mut plan);
    install::labels(input.facts, input.survey, &mut plan);
    service(input, start, &mut plan)?;
    plan.push(
        Step::WriteReceipt { path: site.receipt_file() },
        "so that later runs know what is installed and who signed it",
    );
    input.packaging.records(&mut plan);
    Ok(Some(plan))
}

/// Whether the place of the tree holds what an engine that was removed has left: its configuration and
/// keys. Anything else is in the way.
fn kept(survey: &Survey) -> Result<bool> {
    match &survey.install_dir {
        Directory::Occupied(names) if names.iter().all(|name| product::is_host_file(name)) => Ok(true),
        _ => install::is_free(survey).map(|()| false),
    }
}

fn tree(input: &Engine, kept: bool, plan: &mut Plan) {
    let (stage, tree) = (plan.site.stage(), plan.site.tree());
    let files = input.manifest.files().count() as u64;
    let bytes = input.manifest.total_size();
    plan.push(
        Step::StageTree { path: stage.clone(), files, bytes, reused: 0 },
        "beside its place, so that nothing half-made is ever used",
    );
    if kept {
        let step = Step::CarryOver { from: tree.clone(), to: stage.clone() };
        plan.push(step, "configuration and keys that were kept when an engine was removed");
    }
    let old = if kept { Old::Removed } else { Old::None };
    plan.push(Step::SwitchTree { from: stage, to: tree, old }, "one step makes the release live");
}

fn configuration(input: &Engine, plan: &mut Plan) {
    take(input.files, plan);
    let path = plan.site.config_file();
    if input.files.iter().any(|file| file.path == path) {
        return;
    }
    if input.config.is_some() {
        plan.notes.push(format!("{path} was kept, and is used"));
        return;
    }
    let text = plan.site.localised(&input.manifest.config);
    let (owner, mode) = (Owner::Demisto, install::CONFIG_MODE);
    let step = Step::WriteFile { path, owner, mode, text, modified: None };
    plan.push(step, "the release's default, until the server's own for this engine is given");
}

fn take(files: &[Given], plan: &mut Plan) {
    for file in files.iter().cloned() {
        let Given { path, from, sha256, mode } = file;
        plan.push(Step::TakeFile { path, from, sha256, mode }, "you gave it");
    }
}

/// Whether the release's own unit lets the service use every port (capabilities(7)).
fn grants(manifest: &Manifest) -> bool {
    let unit = manifest.units.iter().find(|unit| unit.name == manifest.role.unit());
    let grant = |line: &str| {
        line.trim().strip_prefix("AmbientCapabilities=").is_some_and(|c| c.contains("CAP_NET_BIND_SERVICE"))
    };
    unit.is_some_and(|unit| unit.text.lines().any(grant))
}

/// A port below 1024 needs a capability.
fn low_port(manifest: &Manifest, config: Option<&config::Engine>, survey: &Survey, plan: &mut Plan) {
    let path = survey.site.low_port_file();
    let present = survey.present.contains(&path);
    let low = config.and_then(|config| config.port).is_some_and(|port| (1..1024).contains(&port));
    if low && !grants(manifest) {
        if present {
            return;
        }
        let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir).to_owned();
        if !survey.present.contains(&dir) {
            let step = Step::CreateDir { path: dir, owner: Owner::Root, mode: DIR_MODE };
            plan.push(step, "for what this host adds to the unit");
        }
        let text = LOW_PORT.to_owned();
        let step = Step::WriteFile { path, owner: Owner::Root, mode: FILE_MODE, text, modified: None };
        plan.push(step, "BindAddress names a port below 1024");
    } else if present && config.is_some() {
        plan.push(Step::RemoveFile { path }, "BindAddress no longer needs it");
    }
}

fn service(input: &Engine, start: bool, plan: &mut Plan) -> Result<()> {
    let unit = plan.site.unit();
    let brings = input.manifest.units.iter().any(|unit| unit.name == input.manifest.role.unit());
    if input.require_fips && !(brings && start) {
        return Err(Error::NotTested);
    }
    if !brings {
        plan.notes.push(format!("the release brings no {unit}, so nothing is started"));
        return Ok(());
    }
    if start {
        let version = install::version_check(input.manifest);
        let why = "an installation counts only when the engine is connected; otherwise all is undone";
        plan.start(
            (unit.clone(), "", version),
            (0, input.connect_seconds, input.require_fips),
            ("unless you say otherwise", why),
        );
    } else if input.config.is_some() {
        plan.notes.push(format!("{unit} is not started"));
    } else {
        plan.notes.push(format!("{unit} is not started: it has no configuration of a server yet"));
    }
    // last: a host that loses power before the commit must not start what will be undone
    plan.push(Step::EnableUnit { unit }, "so that it starts with the host");
    Ok(())
}

/// All that the plan of another configuration depends on.
#[derive(Debug)]
pub struct Configure<'a> {
    /// What is installed.
    pub receipt: &'a Receipt,
    /// Its signed manifest.
    pub manifest: &'a Manifest,
    /// What is there.
    pub survey: &'a Survey,
    /// What the engine is given that it does not have yet.
    pub files: &'a [Given],
    /// The configuration that will count, if it can be read.
    pub config: Option<&'a config::Engine>,
    /// The service.
    pub service: Service,
    /// Whether it is started, also if it did not run.
    pub start: bool,
    /// Whether labels have to be set.
    pub selinux: bool,
    /// How long it may take to connect, in seconds.
    pub connect_seconds: u64,
}

/// Plans another configuration; `None` when the engine has it and runs.
#[must_use]
pub fn configure(input: &Configure) -> Option<Plan> {
    let receipt = input.receipt;
    let mut plan = Plan::of_installed(Action::Configure, receipt, (&input.survey.root, &input.survey.site));
    let unit = plan.site.unit();
    let service = input.service;
    let start = input.start && service.live;
    take(input.files, &mut plan);
    low_port(input.manifest, input.config, input.survey, &mut plan);
    if plan.steps.is_empty() && (service.active || !start) {
        return None;
    }
    if input.selinux {
        plan.push(Step::RestoreLabels { paths: labelled(&plan.site) }, "SELinux is on");
    }
    if start && service.active {
        // first: what it was given before must be in place again when it is started again
        let stop = Step::StopUnit { unit: unit.clone() };
        let reason = "it reads its configuration when it starts".to_owned();
        plan.steps.insert(0, super::Planned { step: stop, reason });
    }
    if start {
        let version = install::version_check(input.manifest);
        let why = "the change counts only when the engine is connected; otherwise all is undone";
        plan.start((unit, "", version), (0, input.connect_seconds, false), ("with what it was given", why));
    } else if service.active {
        plan.notes.push(format!("{unit} goes on with what it had until it is started again"));
    } else {
        plan.notes.push(format!("{unit} is not started"));
    }
    Some(plan)
}

fn labelled(site: &Site) -> Vec<String> {
    vec![site.tree(), product::UNIT_DIR.to_owned()]
}
