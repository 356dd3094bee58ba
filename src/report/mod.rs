//! Turns outcomes into words for people.
//!
//! In: plain data from the rooms below. Out: text. Pure: never prints, never looks anything up.
#![forbid(unsafe_code)]

mod audit;
mod certificates;
mod config;
mod log;
mod package;
mod page;
mod preflight;
mod probe;
mod record;
mod wrapper;
mod xdr;

use std::fmt::Write as _;
use std::path::Path;

use crate::bundle::Parts;
use crate::manifest::{Kind, Manifest};
use crate::pack::{Packed, PackedRpm};
use crate::plan::Plan;
use crate::product::{Role, Site};
use crate::snapshot::About;
use crate::trust::expiry::RunsOut;
use crate::types::{counted, human_bytes};
use crate::verify::Judgement;
use crate::workflow::drift::Drift;
use crate::workflow::engine::Installed as Engine;
use crate::workflow::inspect::Inspected;
use crate::workflow::install::Installed;
use crate::workflow::repair::Repaired;
use crate::workflow::rollback::RolledBack;
use crate::workflow::snapshot::{Line, Pruned};
use crate::workflow::status::Status;
use crate::workflow::upgrade::Upgraded;
use crate::workflow::verify::{self, Report};

pub use audit::{audit, audit_requirement, audit_requirements};
pub use certificates::{certificate_rules, certificates};
pub use config::{config_diff, config_findings, config_key, config_keys, config_rules};
pub use log::log_facts;
pub use package::package_json;
pub use page::audit_page;
pub use preflight::{check_table, checks};
pub use probe::probed;
pub use record::{record_check, record_table};
pub use wrapper::wrapper;
pub use xdr::access;

/// The summary at the end of an engine's installation.
#[must_use]
pub fn engine_installed(installed: &Engine, root: &Path) -> String {
    let mut text = format!("\n{} {} is installed.\n\n", installed.title, installed.release);
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<14} {value}");
    };
    let name = installed.name.as_ref().map_or_else(String::new, |name| format!(" --name {name}"));
    line("Service", &format!("{}: {}", installed.unit, engine_state(installed.started, installed.connected)));
    line("Binaries", &installed.binaries);
    line("Configuration", &installed.config);
    line("Engine's log", &installed.engine_log);
    line("Log", &installed.log);
    if !installed.configured {
        let next = command(&format!("engine configure{name} --conf FILE"), root);
        line("Next", &format!("{next}, with the file that the server made for it"));
    }
    text
}

/// How an engine is after a change.
#[must_use]
pub fn engine_state(started: bool, connected: bool) -> &'static str {
    match (started, connected) {
        (true, true) => "is connected",
        (true, false) => "runs; its log hides whether it is connected",
        (false, _) => "was not started",
    }
}

/// All engines of a host.
#[must_use]
pub fn engines(all: &[Status]) -> String {
    if all.is_empty() {
        return "No engine is installed here.\n".to_owned();
    }
    all.iter().map(|one| format!("{}:\n{}", one.site, status(one))).collect()
}

/// A plan, step by step with reasons.
#[must_use]
pub fn plan(plan: &Plan) -> String {
    let name = plan.site.name().map_or_else(String::new, |name| format!(", engine {name}"));
    let mut text = format!("Plan: {} {}{name}\n\n", plan.title, plan.release);
    for (number, planned) in plan.steps.iter().enumerate() {
        let _ = writeln!(text, "  {:>2}. {}", number + 1, planned.step.describe());
        for detail in planned.step.details() {
            let _ = writeln!(text, "        {detail}");
        }
        let _ = writeln!(text, "      {}", planned.reason);
    }
    for note in &plan.notes {
        let _ = writeln!(text, "   -  {note}");
    }
    if let Some(changes) = &plan.changes {
        let _ = writeln!(
            text,
            "\nFiles: {} added, {} changed, {} removed, {} unchanged; {} of this host carried over",
            changes.added,
            changes.changed,
            changes.removed,
            changes.unchanged,
            counted(changes.host, "thing", "things")
        );
    }
    text.push('\n');
    if plan.space_bytes > 0 {
        let _ = writeln!(text, "Space needed: {}", human_bytes(plan.space_bytes));
    }
    let _ = writeln!(text, "Plan digest:  {}", plan.digest());
    text
}

/// A command that is to be given for the system in `root`.
fn command(verb: &str, root: &Path) -> String {
    let other = root != Path::new("/");
    let root = if other { format!(" --root {}", root.display()) } else { String::new() };
    format!("demisto-install {verb}{root}")
}

/// What became of a service.
fn works(started: bool, site: &Site) -> &'static str {
    match (started, site.role()) {
        (false, _) => "not started: it did not run before",
        (true, Role::Server) => "answers",
        (true, Role::Engine) => "runs",
    }
}

/// The same for one installation of it: engines have verbs of their own.
fn command_for(verb: &str, root: &Path, site: &Site) -> String {
    let name = site.name().map_or_else(String::new, |name| format!(" --name {name}"));
    match site.role() {
        Role::Server => command(verb, root),
        Role::Engine => command(&format!("engine {verb}{name}"), root),
    }
}

/// The summary at the end of an upgrade.
#[must_use]
pub fn upgraded(upgraded: &Upgraded, root: &Path, site: &Site) -> String {
    let from = upgraded.from.as_deref().unwrap_or("the former installation");
    let mut text =
        format!("\n{} {} is installed in the place of {from}.\n\n", upgraded.title, upgraded.release);
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<14} {value}");
    };
    line("Service", works(upgraded.started, site));
    line("Way back", &command_for("rollback", root, site));
    if let Some(snapshot) = &upgraded.snapshot {
        line("Data before", snapshot);
    }
    if !upgraded.conflicts.is_empty() {
        line("Look at", &format!("{}: yours stayed", upgraded.conflicts.join(", ")));
    }
    line("Log", &upgraded.log);
    text
}

/// The summary at the end of a rollback.
#[must_use]
pub fn rolled_back(done: &RolledBack, root: &Path, site: &Site) -> String {
    let retained = done.retained.as_deref().unwrap_or("the former installation");
    let data = if done.data { "went back, too" } else { "stayed as they were" };
    let config = if done.config { "went back, too" } else { "stayed as it was" };
    let service = works(done.started, site);
    let forward = command_for("rollback", root, site);
    format!(
        "\n{} is installed again; {retained} is retained.\n\n  Service        {service}\n  Data           {data}\n  \
         Configuration  {config}\n  Way forward    {forward}\n  Log            {}\n",
        done.release, done.log
    )
}

/// A snapshot that was taken.
#[must_use]
pub fn snapshot_taken(about: &About, dir: &Path) -> String {
    let (id, files, bytes) = (&about.id, counted(about.files, "file", "files"), human_bytes(about.bytes));
    let mut text = format!("the snapshot {id} holds {files}, {bytes}; it was read back and is complete\n");
    let _ = writeln!(text, "it is in {}", dir.display());
    text
}

/// All snapshots, one a line.
#[must_use]
pub fn snapshots(lines: &[Line], dir: &Path) -> String {
    if lines.is_empty() {
        return format!("no snapshots in {}\n", dir.display());
    }
    let mut text = String::new();
    for line in lines {
        let _ = match (&line.about, &line.problem) {
            (Some(about), _) => writeln!(
                text,
                "{}  {:<8}  {:<7}  {}  {}, {}",
                line.id,
                about.reason,
                about.form,
                about.created_at,
                counted(about.files, "file", "files"),
                human_bytes(about.bytes)
            ),
            (None, problem) => {
                writeln!(text, "{}  NOT USABLE: {}", line.id, problem.as_deref().unwrap_or("unknown"))
            }
        };
    }
    text
}

/// Which snapshots `did` happen to, such as `removed`, and which are spared.
#[must_use]
pub fn pruned(pruned: &Pruned, did: &str) -> String {
    let mut text = String::new();
    for id in &pruned.removed {
        let _ = writeln!(text, "{did} {id}");
    }
    if pruned.removed.is_empty() {
        text.push_str("no snapshot is to be removed\n");
    }
    for id in &pruned.needed {
        let _ = writeln!(text, "{id} stays: `rollback` to the retained release needs it");
    }
    text
}

/// The summary at the end of an installation.
#[must_use]
pub fn installed(installed: &Installed, root: &Path) -> String {
    let mut text = format!("\n{} {} is installed.\n\n", installed.title, installed.release);
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<14} {value}");
    };
    line("Log in at", &installed.url);
    line("as", &installed.admin_name);
    line("Signed by", &installed.signers.join(", "));
    line("Binaries", &installed.binaries);
    line("Data", &installed.data);
    line("Configuration", &installed.config);
    line("Log", &installed.log);
    text.push_str("\nNext steps:\n");
    if installed.started {
        if installed.self_signed {
            let (csr, install) = ("demisto-install cert csr", command("cert install", root));
            let _ = writeln!(
                text,
                "  - replace the self-signed certificate by one from your CA: `{csr}`, then `{install}`"
            );
        }
        text.push_str("  - upload the licence after logging in\n");
    } else {
        let place =
            if root == Path::new("/") { "start it" } else { "start it on the system that this becomes" };
        let _ = writeln!(text, "  - {place}: systemctl start demisto; then: demisto-install wait-ready");
    }
    let _ = writeln!(text, "  - see how it is: {}", command("status", root));
    text
}

/// One verdict per signature, then the whole.
#[must_use]
pub fn verdicts(report: &Report) -> String {
    let mut text = report.wrapper.as_ref().map(wrapper).unwrap_or_default();
    let _ = writeln!(text, "{}", report.file);
    if report.wrapper.as_ref().is_none_or(|wrapper| wrapper.problem.is_none()) {
        signatures(&report.judgement, &mut text); // else it is among those of the wrapper
    }
    for warning in running_out(&report.keys_running_out) {
        let _ = writeln!(text, "  warning   {warning}");
    }
    package::digests(&report.digests, &mut text);
    if let (Some(release), Some(title)) = (&report.release, &report.title) {
        let _ = writeln!(text, "  release   {title} {release}");
    }
    match (&report.throughput, &report.problem) {
        (Some(speed), _) => {
            let what = match report.frames {
                0 => "the payload is".to_owned(),
                count => format!("{} and the program are", counted(count, "frame", "frames")),
            };
            let _ = writeln!(text, "  content   {what} as signed: {speed}");
            text.push_str("VERIFIED\n");
        }
        (None, problem) => {
            let _ = writeln!(text, "NOT VERIFIED: {}", problem.as_deref().unwrap_or("unknown"));
        }
    }
    text
}

/// What there is to say of each trusted key whose end is near.
fn running_out(keys: &[RunsOut]) -> impl Iterator<Item = String> {
    keys.iter().map(|key| {
        let act = if key.urgent { "import its successor now" } else { "import its successor in time" };
        format!("the key {} ({}) {}: {act}", key.fingerprint, key.user_id, key.when())
    })
}

/// One line or more for each signature.
fn signatures(judgement: &Judgement, text: &mut String) {
    for (number, verdict) in judgement.verdicts.iter().enumerate() {
        let mark = if verdict.accepted { "accepted" } else { "not counted" };
        let _ = writeln!(text, "  signature {}: {mark}: {}", number + 1, verdict.reason);
        let signer = verdict.signer.as_ref().map(|f| f.spaced()).or_else(|| verdict.key.clone());
        if let Some(signer) = signer {
            let name = verdict.user_id.as_deref().unwrap_or("nobody that is trusted here");
            let _ = writeln!(text, "    key   {signer}\n    name  {name}");
        }
        if let Some(at) = verdict.signed_at {
            let _ = writeln!(text, "    made  {at}");
        }
        if let Some(notice) = &verdict.notice {
            let _ = writeln!(text, "    note  {notice}");
        }
    }
}

/// The verdicts over the recorded manifest, and what is not as it was installed.
#[must_use]
pub fn verified_installation(found: &verify::Installed) -> String {
    let mut text = format!("{} {}\n", found.title, found.release);
    signatures(&found.judgement, &mut text);
    for warning in running_out(&found.keys_running_out) {
        let _ = writeln!(text, "  warning   {warning}");
    }
    if let Some(problem) = &found.problem {
        let _ = writeln!(text, "NOT VERIFIED: {problem}");
        return text;
    }
    let _ = writeln!(text, "  compared  {} entries and files in {} ms", found.compared, found.millis);
    let _ = writeln!(text, "  kept      {} of the host", counted(found.kept, "file", "files"));
    drifts(&found.drift, &mut text);
    if found.drift.is_empty() {
        text.push_str("VERIFIED: everything is as it was installed\n");
    } else {
        let _ = writeln!(text, "CHANGED: `demisto-install repair` puts it right");
    }
    text
}

/// Most differences that are listed for people; JSON has all.
const LISTED: usize = 50;

fn drifts(drift: &[Drift], text: &mut String) {
    for drift in drift.iter().take(LISTED) {
        let _ = writeln!(text, "    {:<10} {}", drift.what, drift.path);
    }
    if let Some(more) = drift.len().checked_sub(LISTED).filter(|more| *more > 0) {
        let _ = writeln!(text, "    and {more} more (--output json lists all)");
    }
}

/// What a repair put right.
#[must_use]
pub fn repaired(repaired: &Repaired) -> String {
    let count = counted(repaired.repaired.len(), "difference is", "differences are");
    let mut text = format!("{}: {count} put right:\n", repaired.release);
    drifts(&repaired.repaired, &mut text);
    let _ = writeln!(text, "  kept      {} of the host", counted(repaired.kept, "file", "files"));
    text.push_str("Everything is as it was installed; `demisto-install verify --installed` shows it.\n");
    text
}

/// What is inside a file.
#[must_use]
pub fn inspected(inspected: &Inspected, files: bool) -> String {
    let manifest = inspected.manifest();
    let mut text = match inspected {
        Inspected::Verified(_) => {
            "Signatures accepted; the content was not compared (`verify` does).\n".to_owned()
        }
        Inspected::Unverified { .. } => "*** UNVERIFIED: what follows may be a lie ***\n".to_owned(),
    };
    let mut rows = vec![
        ("Title", manifest.title.clone()),
        ("Release", manifest.release()),
        ("Role", manifest.role.to_string()),
        ("Epoch", manifest.epoch.to_string()),
        ("Replaces", format!("{} to {}", manifest.upgrades.from, manifest.upgrades.to)),
        ("Packed", manifest.built_at.to_string()),
        ("Files", format!("{} ({})", manifest.files().count(), human_bytes(manifest.total_size()))),
        ("Units", manifest.units.iter().map(|u| u.name.as_str()).collect::<Vec<_>>().join(", ")),
        ("Licence", manifest.eula.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string)),
    ];
    if matches!(inspected, Inspected::Unverified { .. }) && inspected.package().is_some() {
        // a package says these in a file, and nothing of an unverified one is unpacked
        rows.retain(|(name, _)| !matches!(*name, "Epoch" | "Replaces"));
    }
    rows.extend(container(manifest, inspected.candidate().parts()));
    rows.extend(inspected.package().map(package::rows).unwrap_or_default());
    for (name, value) in rows {
        let _ = writeln!(text, "  {name:<9} {value}");
    }
    if let Some(package) = inspected.package().filter(|package| !package.scriptlets.is_empty()) {
        text.push_str(
            "Scripts that rpm would run as root; this program runs none unless --run-scriptlets is given:\n",
        );
        text.push_str(&package::scriptlets(package));
    }
    if files {
        listing(manifest, &mut text);
    }
    text
}

/// The parts of a bundle.
fn container(manifest: &Manifest, parts: Option<Parts>) -> Vec<(&'static str, String)> {
    let (Some(container), Some(parts)) = (&manifest.container, parts) else { return Vec::new() };
    let compression = serde_json::to_value(container.payload.compression).unwrap_or_default();
    let compression = compression.as_str().unwrap_or_default();
    let (length, from) = (parts.payload_length, parts.payload_offset.saturating_add(1));
    let content = human_bytes(container.payload.content_length);
    let frames = counted(container.frames.len(), "frame", "frames");
    vec![
        ("Program", format!("{} bytes", container.stub.length)),
        ("Payload", format!("{length} bytes from byte {from} on, {compression}")),
        ("Content", format!("{content} in {frames}")),
    ]
}

fn listing(manifest: &Manifest, text: &mut String) {
    for entry in &manifest.entries {
        let _ = match &entry.kind {
            Kind::Dir { mode } => {
                writeln!(text, "d {mode} {:<15} {:>12} {}", entry.owner.to_string(), "", entry.path)
            }
            Kind::File { mode, size, .. } => {
                writeln!(text, "- {mode} {:<15} {size:>12} {}", entry.owner.to_string(), entry.path)
            }
            Kind::Symlink { target } => {
                writeln!(text, "l      {:<15} {:>12} {} -> {target}", entry.owner.to_string(), "", entry.path)
            }
        };
    }
}

/// What is installed and how it is.
#[must_use]
pub fn status(status: &Status) -> String {
    let mut text = String::new();
    if status.busy {
        text.push_str("A run is at work: ask again when it has ended.\n");
    }
    if status.unfinished {
        text.push_str("An earlier run was cut off: run `demisto-install recover`.\n");
    }
    if !status.installed {
        text.push_str("Nothing is installed here.\n");
        return text;
    }
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<10} {value}");
    };
    line(
        "Release",
        format!("{} {}", status.title.as_deref().unwrap_or(""), status.release.as_deref().unwrap_or("")),
    );
    line("Installed", status.installed_at.clone().unwrap_or_default());
    status.signers.iter().for_each(|signer| line("Signed by", signer.clone()));
    if let Some(state) = &status.service {
        line(
            "Service",
            format!(
                "{} ({}), pid {}, {}",
                state.active,
                state.sub,
                state.pid,
                counted(state.restarts, "restart", "restarts")
            ),
        );
    }
    if let Some(line_of_log) = &status.connection {
        let word = if status.connected == Some(true) { "yes" } else { "no" };
        line("Connected", format!("{word}: {line_of_log}"));
    }
    if let Some(port) = status.port {
        let answer = match &status.answers {
            Some(probe) if probe.wants_certificate => "answers clients with a certificate only".to_owned(),
            Some(probe) if probe.answers => {
                let version = probe.version.as_ref().map(|version| format!("answers as version {version}"));
                version.unwrap_or_else(|| "answers".to_owned())
            }
            Some(probe) => probe.problem.clone().unwrap_or_default(),
            None => "not asked".to_owned(),
        };
        line("Port", format!("{port}: {answer}"));
    }
    if let Some(told) = &status.log {
        log::rows(told).into_iter().for_each(|(name, value)| line(name, value));
        let running = told.facts.start.as_ref().map(|start| start.version.as_str());
        let installed = status.release.as_deref().unwrap_or_default();
        if running.is_some_and(|version| !installed.starts_with(version)) {
            line("", format!("that is not the installed {installed}"));
        }
    }
    if let Some(problem) = &status.log_problem {
        line("Log", format!("not read: {problem}"));
    }
    if let Some(problem) = &status.trust_problem {
        line("Keys", format!("cannot be used: {problem}"));
    }
    if let Some(retained) = &status.retained {
        let data =
            status.retained_snapshot.as_ref().map(|path| format!(", data: {path}")).unwrap_or_default();
        line("Retained", format!("{retained} (`rollback` leads to it{data})"));
    }
    running_out(&status.keys_running_out).for_each(|warning| line("Warning", warning));
    if status.busy {
        line("Drift", "not looked at while a run is at work".to_owned());
        return text;
    }
    line("Drift", counted(status.drift.len(), "file", "files"));
    drifts(&status.drift, &mut text);
    text
}

/// What was packed.
#[must_use]
pub fn packed(packed: &Packed) -> String {
    format!(
        "{}: {}, {} in {} ({} unpacked), {}\n\
         payload: tail -c +{} FILE | head -c {}\n",
        packed.output.display(),
        human_bytes(packed.length),
        counted(packed.files, "file", "files"),
        counted(packed.frames, "frame", "frames"),
        human_bytes(packed.content_length),
        counted(packed.signatures, "signature", "signatures"),
        packed.payload_from,
        packed.payload_length
    )
}

/// What was packed as a package.
#[must_use]
pub fn packed_rpm(packed: &PackedRpm) -> String {
    format!(
        "{}: {}, {} ({} unpacked), {}\n",
        packed.output.display(),
        human_bytes(packed.length),
        counted(packed.files, "file", "files"),
        human_bytes(packed.content_length),
        counted(packed.signatures, "signature", "signatures"),
    )
}
