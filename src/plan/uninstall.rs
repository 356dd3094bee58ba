//! The plan of a removal.

use super::install::{host_files, unit_path};
use super::{Action, Packaging, Plan, Step};
use crate::certs;
use crate::host::Survey;
use crate::product::{self, SERVICE_USER};
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

/// Plans a removal.
#[must_use]
pub fn uninstall(input: &Uninstall) -> Plan {
    let receipt = input.receipt;
    let mut plan = Plan {
        schema: 1,
        action: Action::Uninstall,
        release: receipt.release(),
        title: receipt.title.clone(),
        manifest: receipt.manifest,
        signers: receipt.signers.iter().map(|s| s.fingerprint.to_string()).collect(),
        root: input.survey.root.display().to_string(),
        site: input.survey.site.clone(),
        space_bytes: 0,
        changes: None,
        steps: Vec::new(),
        notes: Vec::new(),
    };
    units(input, &mut plan);
    removal(input, &mut plan);
    if input.purge {
        purge(input, &mut plan);
    } else {
        let site = &input.survey.site;
        let mut kept = vec![site.data_dir(), site.log_dir(), site.config_file()];
        if input.survey.present.contains(product::SNAPSHOT_DIR) {
            kept.push(product::SNAPSHOT_DIR.to_owned());
        }
        let kept = kept.join(", ");
        plan.notes.push(format!("kept: {kept}, and what others put into {}", site.tree()));
        plan.notes.push("--purge removes these, too; later they have to be removed by hand".to_owned());
    }
    plan.push(Step::RemoveFile { path: input.survey.site.receipt_file() }, "nothing is installed any more");
    let packaging = Packaging { unregister: receipt.package.clone(), ..Packaging::default() };
    packaging.records(&mut plan);
    plan
}

fn units(input: &Uninstall, plan: &mut Plan) {
    for unit in &input.receipt.units {
        if input.live {
            plan.push(Step::StopUnit { unit: unit.clone() }, "it is about to lose its program");
        }
        plan.push(Step::DisableUnit { unit: unit.clone() }, "it must not start again");
        plan.push(Step::RemoveFile { path: unit_path(unit) }, "it belongs to the release");
    }
    for path in input.packaged {
        plan.push(Step::RemoveFile { path: path.clone() }, "the package brought it");
    }
    for (path, ..) in host_files() {
        plan.push(Step::RemoveFile { path: path.to_owned() }, "this program wrote it");
    }
}

fn removal(input: &Uninstall, plan: &mut Plan) {
    let self_made = input.survey.certificate.as_deref().is_some_and(certs::is_self_made);
    if self_made && !input.purge {
        for name in [product::CERTIFICATE, product::CERTIFICATE_KEY] {
            let path = format!("{}/{name}", input.survey.site.tree());
            plan.push(Step::RemoveFile { path }, "the certificate was made for this installation");
        }
    }
    let dir = input.survey.site.tree();
    let step = if input.purge {
        Step::RemoveTree { trash: trash(&dir), path: dir }
    } else {
        Step::RemoveOwned { trash: trash(&dir), dir }
    };
    plan.push(step, "the release's files");
    retained(input, plan);
    plan.push(Step::RemoveFile { path: product::ONE_TIME_FILE.to_owned() }, "it may hold a password");
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
        plan.push(Step::RemoveTree { trash: aside(&path, fixed), path }, why);
    }
    let snapshots = product::SNAPSHOT_DIR;
    if input.survey.present.contains(snapshots) {
        let step = Step::RemoveTree { trash: trash(snapshots), path: snapshots.to_owned() };
        plan.push(step, "--purge, and they are copies of the data");
    }
    for path in [site.config_file(), site.former_config()] {
        plan.push(Step::RemoveFile { path }, "--purge");
    }
    if input.receipt.owners && input.receipt.created_user {
        plan.push(
            Step::RemoveUser { name: SERVICE_USER.to_owned() },
            "--purge, and the installation made it",
        );
    }
    if input.receipt.owners && input.receipt.created_group {
        plan.push(
            Step::RemoveGroup { name: SERVICE_USER.to_owned() },
            "--purge, and the installation made it",
        );
    }
}
