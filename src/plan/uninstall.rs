//! The plan of a removal.

use super::install::{host_files, unit_path};
use super::{Action, Error, Packaging, Plan, Result, Step};
use crate::certs;
use crate::host::Survey;
use crate::product::{self, SERVICE_USER, Site};
use crate::receipt::Receipt;

/// All that the plan of a removal depends on.
#[derive(Debug)]
pub struct Uninstall<'a> {
    /// What was installed. Only unit names and switches are taken from it: a receipt never names a
    /// path that is removed.
    pub receipt: &'a Receipt,
    /// What is there.
    pub survey: &'a Survey,
    /// Whether data, logs and configuration go too.
    pub purge: bool,
    /// Whether systemd runs here and manages this root.
    pub live: bool,
    /// Files outside the tree that a package brought.
    pub packaged: &'a [String],
    /// Names of other engines on the host: they use the account, too.
    pub engines: &'a [String],
    /// Whether there is anything else on the host that uses the account and the files outside the tree.
    pub shared: bool,
}

const TRASH: &str = "demisto-install-trash";

/// Where a directory of the service is moved: beside it, or into itself when it cannot be moved.
pub(super) fn aside(path: &str, fixed: bool) -> String {
    if fixed { format!("{path}/.{TRASH}") } else { trash(path) }
}

pub(super) fn trash(path: &str) -> String {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    format!("{parent}/.{name}.{TRASH}")
}

/// Where the tree or the logs of an installation are moved: beside what is there without a name, so that
/// what holds the things of a named engine is empty then.
fn own_trash(site: &Site, path: &str) -> String {
    let above = [product::INSTALL_DIR, product::LOG_DIR];
    let inner = above.iter().find_map(|above| Some((above, path.strip_prefix(above)?.strip_prefix('/')?)));
    match inner {
        Some((above, inner)) if site.name().is_some() => trash(&format!("{above}.{inner}")),
        _ => trash(path),
    }
}

/// Plans a removal.
///
/// # Errors
/// When it would take something away from engines that stay.
pub fn uninstall(input: &Uninstall) -> Result<Plan> {
    let receipt = input.receipt;
    if input.purge && input.survey.site.name().is_none() && !input.engines.is_empty() {
        return Err(Error::EnginesRemain { names: input.engines.join(", ") });
    }
    let mut plan = Plan::of_installed(Action::Uninstall, receipt, (&input.survey.root, &input.survey.site));
    units(input, &mut plan);
    removal(input, &mut plan);
    if input.purge {
        purge(input, &mut plan);
    } else {
        let site = &input.survey.site;
        let mut kept = vec![site.data_dir(), site.log_dir(), site.config_file()];
        if site.is_server() && input.survey.present.contains(product::SNAPSHOT_DIR) {
            kept.push(product::SNAPSHOT_DIR.to_owned());
        }
        if input.survey.present.contains(&site.kept_pairs()) {
            kept.push(site.kept_pairs());
        }
        let kept = kept.join(", ");
        plan.notes.push(format!("kept: {kept}, and what others put into {}", site.tree()));
        plan.notes.push("--purge removes these, too; later they have to be removed by hand".to_owned());
    }
    plan.push(Step::RemoveFile { path: input.survey.site.receipt_file() }, "nothing is installed any more");
    let packaging = Packaging { unregister: receipt.package.clone(), ..Packaging::default() };
    packaging.records(&mut plan);
    Ok(plan)
}

fn units(input: &Uninstall, plan: &mut Plan) {
    for unit in &input.receipt.units {
        if input.live {
            plan.push(Step::StopUnit { unit: unit.clone() }, "it is about to lose its program");
        }
        plan.push(Step::DisableUnit { unit: unit.clone() }, "it must not start again");
        plan.push(Step::RemoveFile { path: unit_path(unit) }, "it belongs to the release");
    }
    let units: Vec<String> = input.receipt.units.iter().map(|unit| unit_path(unit)).collect();
    for path in input.packaged.iter().filter(|path| !units.contains(path)) {
        plan.push(Step::RemoveFile { path: path.clone() }, "the package brought it");
    }
    let low_port = input.survey.site.low_port_file();
    if input.survey.present.contains(&low_port) {
        let dir = low_port.rsplit_once('/').map_or("", |(dir, _)| dir).to_owned();
        plan.push(Step::RemoveFile { path: low_port }, "this program wrote it");
        plan.push(Step::RemoveDir { path: dir }, "it was made for that");
    }
    if input.shared {
        plan.notes.push("the account and the files outside the tree stay: others here use them".to_owned());
        return;
    }
    for (path, ..) in host_files().iter().filter(|(path, ..)| !input.packaged.iter().any(|own| own == path)) {
        plan.push(Step::RemoveFile { path: (*path).to_owned() }, "this program wrote it");
    }
}

fn removal(input: &Uninstall, plan: &mut Plan) {
    let self_made =
        input.survey.site.is_server() && input.survey.certificate.as_deref().is_some_and(certs::is_self_made);
    if self_made && !input.purge {
        for name in [product::CERTIFICATE, product::CERTIFICATE_KEY] {
            let path = format!("{}/{name}", input.survey.site.tree());
            plan.push(Step::RemoveFile { path }, "the certificate was made for this installation");
        }
    }
    let dir = input.survey.site.tree();
    let step = if input.purge {
        Step::RemoveTree { trash: own_trash(&input.survey.site, &dir), path: dir }
    } else {
        Step::RemoveOwned { trash: own_trash(&input.survey.site, &dir), dir }
    };
    plan.push(step, "the release's files");
    retained(input, plan);
    if input.survey.site.is_server() {
        plan.push(Step::ClearOneTime { path: product::ONE_TIME_FILE.to_owned() }, "it may hold a password");
    }
    if input.survey.site.name().is_some() && !input.shared {
        let path = product::INSTALL_DIR.to_owned();
        plan.push(Step::RemoveDir { path }, "nothing else is installed here");
    }
}

/// What was kept for a rollback has nothing to go back to any more.
fn retained(input: &Uninstall, plan: &mut Plan) {
    for path in [input.survey.site.retained_tree(), input.survey.site.retained_state()] {
        if input.survey.present.contains(&path) {
            let step = Step::RemoveTree { trash: trash(&path), path };
            plan.push(step, "the retained release goes, too");
        }
    }
}

fn purge(input: &Uninstall, plan: &mut Plan) {
    let site = &input.survey.site;
    for path in [site.data_dir(), site.log_dir()] {
        let fixed = input.survey.mounts.contains(&path);
        let why = if fixed { "--purge; the mount point itself stays" } else { "--purge" };
        // what holds it stays, and may be on another file system than what is beside that
        let stays = input.shared || input.survey.mounts.contains(product::LOG_DIR);
        let trash = if fixed || stays { aside(&path, fixed) } else { own_trash(site, &path) };
        plan.push(Step::RemoveTree { trash, path }, why);
    }
    if site.name().is_some() && !input.shared {
        plan.push(Step::RemoveFile { path: product::INSTALL_LOG.to_owned() }, "--purge");
        let holders = [product::DATA_DIR, product::LOG_DIR];
        for path in holders.into_iter().filter(|path| !input.survey.mounts.contains(*path)) {
            plan.push(Step::RemoveDir { path: path.to_owned() }, "nothing else is installed here");
        }
    }
    let snapshots = product::SNAPSHOT_DIR;
    if site.name().is_none() && input.survey.present.contains(snapshots) {
        let step = Step::RemoveTree { trash: trash(snapshots), path: snapshots.to_owned() };
        plan.push(step, "--purge, and they are copies of the data");
    }
    let pairs = site.kept_pairs();
    if input.survey.present.contains(&pairs) {
        plan.push(
            Step::RemoveTree { trash: trash(&pairs), path: pairs },
            "--purge, and they hold private keys",
        );
    }
    for path in [site.config_file(), site.former_config()] {
        plan.push(Step::RemoveFile { path }, "--purge");
    }
    if !input.shared && input.receipt.owners && input.receipt.created_user {
        plan.push(
            Step::RemoveUser { name: SERVICE_USER.to_owned() },
            "--purge, and the installation made it",
        );
    }
    if !input.shared && input.receipt.owners && input.receipt.created_group {
        plan.push(
            Step::RemoveGroup { name: SERVICE_USER.to_owned() },
            "--purge, and the installation made it",
        );
    }
}
