//! The plan of a first installation.

use std::collections::BTreeMap;

use super::outside::{are_free, files_outside, packaged};
use super::{Action, Changes, Error, Old, Packaging, Plan, Result, Step, VersionCheck};
use crate::certs::SELF_SIGNED_DAYS;
use crate::config;
use crate::host::{Directory, Facts, Survey};
use crate::manifest::{Manifest, Unit};
use crate::product::{self, Owner, Role, SERVICE_USER, Site, UnitDir};
use crate::prompt::Answers;
use crate::receipt::Receipt;
use crate::types::{Digest, Mode};
use crate::verify::Signer;

/// Where the server's certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificate {
    /// Made on the host for these names.
    SelfSigned(Vec<String>),
    /// Given by the administrator; the path of the chain is shown.
    Given {
        /// Path of the chain.
        chain: String,
        /// Whether the key is encrypted, so that the server needs its passphrase.
        encrypted: bool,
    },
}

/// All that the plan of a first installation depends on.
#[derive(Debug)]
pub struct Install<'a> {
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
    /// What the administrator said.
    pub answers: &'a Answers,
    /// Where the certificate comes from.
    pub certificate: Certificate,
    /// Whether owners are set.
    pub owners: bool,
    /// The lowest security epoch that may be installed here.
    pub floor: u64,
    /// How long the service may take to become healthy, in seconds.
    pub health_seconds: u64,
    /// Whether its log has to say that its FIPS-CC self-tests passed.
    pub require_fips: bool,
    /// What is done for a package besides laying it out.
    pub packaging: &'a Packaging,
}

pub(super) const DIR_MODE: Mode = Mode::new(0o755);
const SERVICE_DIR_MODE: Mode = Mode::new(0o750);
/// The product rewrites its configuration itself, so the service owns it.
pub const CONFIG_MODE: Mode = Mode::new(0o640);

/// Files that the host gets besides the release: path and text.
pub(super) fn host_files() -> [(&'static str, &'static str, &'static str); 3] {
    [
        (
            "/etc/sysusers.d/demisto.conf",
            include_str!("../../assets/sysusers.conf"),
            "keeps the account across image updates",
        ),
        (
            "/etc/tmpfiles.d/demisto.conf",
            include_str!("../../assets/tmpfiles.conf"),
            "keeps owner and mode of data and logs",
        ),
        (
            "/etc/logrotate.d/demisto",
            include_str!("../../assets/logrotate.conf"),
            "keeps the logs from filling the disk",
        ),
    ]
}

/// Paths whose existence decides steps; the survey is asked for them.
#[must_use]
pub fn paths_of_interest(manifest: &Manifest, site: &Site) -> Vec<String> {
    let mut files: Vec<String> = files_outside(manifest, site).into_iter().map(|file| file.path).collect();
    // the unit is enabled there, wherever it lies itself
    files.extend([site.config_file(), site.stage(), unit_path(&site.unit())]);
    if !site.is_server() {
        files.push(site.low_port_file());
    }
    files.extend(service_dirs(site).map(|(path, _)| path));
    let mut paths: Vec<String> =
        files.iter().flat_map(|file| ancestors(file)).chain(files.iter().cloned()).collect();
    paths.sort();
    paths.dedup();
    paths
}

pub(super) fn unit_path(name: &str) -> String {
    Site::unit_file(name)
}

/// The release's units as they are here.
pub(super) fn units(manifest: &Manifest, site: &Site) -> Vec<Unit> {
    let here = |unit: &Unit| Unit {
        name: site.unit_named(&unit.name),
        text: site.localised(&unit.text),
        dir: unit.dir.filter(|_| site.name().is_none()),
    };
    manifest.units.iter().map(here).collect()
}

/// The directories that belong to the service, those above first.
fn service_dirs(site: &Site) -> impl Iterator<Item = (String, &'static str)> {
    let shared = [
        (product::DATA_DIR.to_owned(), "the service's data"),
        (product::LOG_DIR.to_owned(), "the service's logs"),
    ];
    let own = [(site.data_dir(), "this engine's data"), (site.log_dir(), "this engine's logs")];
    let named = site.name().is_some();
    shared.into_iter().chain(own.into_iter().filter(move |_| named))
}

/// The directories above a path, topmost first, without the root.
pub(super) fn ancestors(path: &str) -> Vec<String> {
    path.match_indices('/').skip(1).filter_map(|(i, _)| path.get(..i)).map(str::to_owned).collect()
}

/// Plans a first installation; `None` when this very release is installed already.
///
/// # Errors
/// When the host or the release does not allow it.
pub fn install(input: &Install, receipt: Option<&Receipt>) -> Result<Option<Plan>> {
    if input.manifest.role != Role::Server {
        return Err(Error::NotAServer);
    }
    if !input.survey.site.is_server() {
        return Err(Error::EngineInPlace);
    }
    let floor = input.floor.max(receipt.map_or(0, |receipt| receipt.epoch));
    if input.manifest.epoch < floor {
        return Err(Error::Epoch { floor, offered: input.manifest.epoch });
    }
    if let Some(receipt) = receipt {
        let offered = (input.manifest, input.digest, input.signers);
        return installed(offered, receipt).map(|()| None);
    }
    is_free(input.survey)?;
    fits(input.manifest, input.survey, input.owners)?;
    are_free(&packaged(input.manifest, &input.survey.site), input.survey, input.texts, &[])?;
    if input.answers.start && !input.facts.systemd {
        return Err(Error::NoSystemd);
    }
    let offered = (input.manifest, input.digest, input.signers);
    let mut plan = Plan::of_release(Action::Install, offered, (&input.survey.root, &input.survey.site));
    plan.space_bytes = input.manifest.total_size();
    requirements(input.manifest, input.facts, &mut plan);
    accounts(input.survey, input.owners, &mut plan);
    directories(input.manifest, input.survey, input.owners, &mut plan)?;
    input.packaging.begin(&mut plan);
    tree(input, &mut plan);
    files(input, &mut plan)?;
    input.packaging.placed(&mut plan);
    service(input, &mut plan)?;
    plan.push(
        Step::WriteReceipt { path: input.survey.site.receipt_file() },
        "so that later runs know what is installed and who signed it",
    );
    input.packaging.records(&mut plan);
    Ok(Some(plan))
}

/// Compares an offered release with the installed one.
pub(super) fn installed(
    (offered, digest, signers): (&Manifest, Digest, &[Signer]),
    receipt: &Receipt,
) -> Result<()> {
    if receipt.manifest == digest {
        return Ok(());
    }
    if offered.version < receipt.version {
        return Err(Error::Downgrade { installed: receipt.release(), offered: offered.release() });
    }
    let pinned: Vec<String> = receipt.signers.iter().map(|s| s.fingerprint.to_string()).collect();
    if !signers.iter().any(|s| pinned.contains(&s.fingerprint.to_string())) {
        return Err(Error::OtherSigner { pinned: pinned.join(", ") });
    }
    Err(Error::Installed { installed: receipt.release(), offered: offered.release() })
}

/// Whether the place of the tree is free.
pub(super) fn is_free(survey: &Survey) -> Result<()> {
    let occupied = |found| Err(Error::Occupied { tree: survey.site.tree(), found });
    match &survey.install_dir {
        Directory::Absent | Directory::Empty => Ok(()),
        Directory::MountPoint => Err(Error::MountPoint),
        Directory::NotADirectory => occupied("it is not a directory".to_owned()),
        Directory::Occupied(names) => {
            let engines = |name: &String| name.starts_with("d1_");
            if survey.site.name().is_none() && names.iter().all(engines) {
                return Err(Error::EnginesThere { tree: survey.site.tree(), engines: names.join(", ") });
            }
            let shown: Vec<&str> = names.iter().take(6).map(String::as_str).collect();
            occupied(shown.join(", "))
        }
    }
}

/// Bytes needed at most where the tree is laid out: what the installed release does not have, and room for records.
#[must_use]
pub fn room(old: Option<&Manifest>, new: &Manifest) -> u64 {
    room_for(Changes::between(old, new, 0).bytes)
}

pub(super) fn room_for(bytes: u64) -> u64 {
    bytes.saturating_add(64 << 20)
}

/// Whether the host has accounts and room.
pub(super) fn fits(manifest: &Manifest, survey: &Survey, owners: bool) -> Result<()> {
    if owners && !survey.has_passwd {
        return Err(Error::NoAccounts { root: survey.root.display().to_string() });
    }
    let needed = room(None, manifest);
    if needed > survey.free_bytes {
        return Err(Error::NoSpace { needed, free: survey.free_bytes });
    }
    Ok(())
}

/// What the vendor recommends and the host does not have. The guide gives minimums, but test systems
/// are smaller: it is said, not enforced.
pub(super) fn requirements(manifest: &Manifest, facts: &Facts, plan: &mut Plan) {
    let wanted = &manifest.requirements;
    if facts.cpus < wanted.cpus {
        plan.notes.push(format!("this host has {} processors; {} are the minimum", facts.cpus, wanted.cpus));
    }
    // what the kernel keeps for itself is not counted by it
    if facts.memory_mib < wanted.memory_mib / 10 * 9 {
        plan.notes.push(format!(
            "this host has {} MiB of memory; {} are the minimum",
            facts.memory_mib, wanted.memory_mib
        ));
    }
}

pub(super) fn accounts(survey: &Survey, owners: bool, plan: &mut Plan) {
    if !owners {
        plan.notes.push("owners are not set: all files belong to whoever runs this".to_owned());
        return;
    }
    let (user, group) = (SERVICE_USER.to_owned(), SERVICE_USER.to_owned());
    if survey.accounts.gid.is_none() {
        plan.push(Step::CreateGroup { name: group.clone() }, "the service runs with a group of its own");
    }
    if survey.accounts.uid.is_none() {
        let home = product::DATA_DIR.to_owned();
        plan.push(Step::CreateUser { name: user, group, home }, "the service never runs as root");
    }
}

pub(super) fn directories(manifest: &Manifest, survey: &Survey, owners: bool, plan: &mut Plan) -> Result<()> {
    let site = &survey.site;
    let service: Vec<(String, &str)> = service_dirs(site).collect();
    if let Some((path, _)) = service.iter().find(|(path, _)| survey.odd_dirs.contains(path)) {
        return Err(Error::OddDir { path: path.clone() });
    }
    let mut wanted: Vec<(String, Owner, Mode, &str)> = Vec::new();
    // what lies in the tree comes with it
    let others = [site.stage(), if site.is_server() { site.config_file() } else { site.tree() }];
    let files = files_outside(manifest, site).into_iter().map(|file| file.path);
    let files = files.chain([unit_path(&site.unit())]);
    let leaves = service.iter().map(|(path, _)| path.clone()).chain(others).chain(files);
    for dir in leaves.flat_map(|leaf| ancestors(&leaf)) {
        wanted.push((dir, Owner::Root, DIR_MODE, "it is missing"));
    }
    wanted.retain(|(path, ..)| !service.iter().any(|(own, _)| own == path));
    wanted.extend(service.into_iter().map(|(path, why)| (path, Owner::Demisto, SERVICE_DIR_MODE, why)));
    // the journal lies below these, so they exist before the first step
    let above_state = ancestors(product::STATE_DIR);
    wanted.retain(|(path, ..)| !above_state.contains(path));
    let mut seen = std::collections::BTreeSet::new();
    for (path, owner, mode, why) in wanted {
        let exists = survey.present.contains(&path);
        if exists && owner == Owner::Demisto {
            plan.notes.push(format!("{path} exists and is kept with what it holds"));
            if owners && survey.foreign_dirs.contains(&path) {
                plan.push(
                    Step::TakeDir { path: path.clone(), owner, mode },
                    "the service has to write there",
                );
            }
        }
        if !exists && seen.insert(path.clone()) {
            plan.push(Step::CreateDir { path, owner, mode }, why);
        }
    }
    Ok(())
}

fn tree(input: &Install, plan: &mut Plan) {
    let stage = input.survey.site.stage();
    let files = input.manifest.files().count() as u64;
    let bytes = input.manifest.total_size();
    plan.push(
        Step::StageTree { path: stage.clone(), files, bytes, reused: 0 },
        "beside its place, so that nothing half-made is ever used",
    );
    let (step, why) = match &input.certificate {
        Certificate::SelfSigned(names) => (
            Step::MakeCertificate { dir: stage.clone(), names: names.clone(), days: SELF_SIGNED_DAYS },
            "HTTPS needs one; replace it by one from your CA",
        ),
        Certificate::Given { chain, .. } => {
            (Step::TakeCertificate { dir: stage.clone(), chain: chain.clone() }, "you gave it")
        }
    };
    plan.push(step, why);
    plan.push(
        Step::SwitchTree { from: stage, to: input.survey.site.tree(), old: Old::None },
        "one rename makes the release live",
    );
}

/// An existing configuration may hold secrets, so its text never becomes part of a plan.
fn configuration(input: &Install, plan: &mut Plan) -> Result<()> {
    let (path, port) = (input.survey.site.config_file(), input.answers.port);
    match &input.survey.config {
        None => {
            let text = config::with_https_port(&input.manifest.config, port)?;
            let reason = format!("the default configuration, with HTTPS port {port}");
            plan.push(
                Step::WriteFile { path, owner: Owner::Demisto, mode: CONFIG_MODE, text, modified: None },
                reason,
            );
        }
        Some(mine) if config::https_port(mine)? == Some(port) => {
            plan.notes.push(format!("{path} is kept as it is"));
        }
        Some(mine) => {
            let was = Digest::of(mine.as_bytes());
            plan.push(Step::SetConfigPort { path, port, was }, "the rest of your configuration is kept");
        }
    }
    Ok(())
}

/// Files of root outside the tree.
pub(super) fn outside(manifest: &Manifest, plan: &mut Plan) {
    files_outside(manifest, &plan.site.clone()).into_iter().for_each(|file| file.write(plan));
}

fn files(input: &Install, plan: &mut Plan) -> Result<()> {
    configuration(input, plan)?;
    outside(input.manifest, plan);
    let keypass = matches!(input.certificate, Certificate::Given { encrypted: true, .. });
    let user = input.answers.admin_name.clone();
    plan.push(
        Step::WriteOneTimeConfig { path: product::ONE_TIME_FILE.to_owned(), user, keypass },
        "the server takes the administrator from it at its first start and deletes it",
    );
    Ok(())
}

/// How the running server is told from another version of it, if the release says how.
pub(super) fn version_check(manifest: &Manifest) -> Option<VersionCheck> {
    let key = match manifest.role {
        Role::Server => manifest.health.version_key.clone()?,
        Role::Engine => String::new(), // its log names the version
    };
    Some(VersionCheck { key, wanted: manifest.version.to_string() })
}

fn service(input: &Install, plan: &mut Plan) -> Result<()> {
    labels(input.facts, input.survey, plan);
    let unit = input.survey.site.unit();
    let brings = units(input.manifest, &input.survey.site).iter().any(|u| u.name == unit);
    if input.require_fips && !(brings && input.answers.start) {
        return Err(Error::NotTested);
    }
    if !brings {
        plan.notes.push(format!("the release brings no {unit}, so nothing is started"));
        return Ok(());
    }
    let enable = Step::EnableUnit { unit: unit.clone() };
    if input.answers.start {
        plan.push(Step::StartUnit { unit: unit.clone() }, "unless you answer otherwise");
        let health = Step::AwaitHealth {
            unit,
            port: input.answers.port,
            path: input.manifest.health.path.clone(),
            seconds: input.health_seconds,
            version: version_check(input.manifest),
            fips: input.require_fips,
        };
        plan.push(health, "an installation counts only when the service answers; otherwise all is undone");
    } else {
        plan.notes.push(format!("{unit} is not started"));
    }
    // last: a host that loses power before the commit must not start what will be undone
    plan.push(enable, "so that it starts with the host");
    Ok(())
}

/// Labels follow the system's own rules, where SELinux is on.
pub(super) fn labels(facts: &Facts, survey: &Survey, plan: &mut Plan) {
    if facts.selinux && survey.root == std::path::Path::new("/") {
        let site = &survey.site;
        let units = [UnitDir::Host, UnitDir::Packages].map(|dir| dir.path().to_owned());
        let mut paths = vec![site.tree(), site.data_dir(), site.log_dir(), site.config_file()];
        paths.extend(units);
        plan.push(Step::RestoreLabels { paths }, "SELinux is on");
    }
}
