//! The plans of small changes: the one-time configuration, single keys of the configuration, and the
//! authorities that the host trusts.

use std::path::Path;

use super::snapshot::{AtWork, Current};
use super::{Action, DIR_MODE, FILE_MODE, Plan, Planned, Step};
use crate::product::{Owner, Site, TrustLayout};
use crate::types::Digest;

/// What changes, and the service that is to notice.
#[derive(Debug)]
pub struct Small<'a> {
    /// What is installed.
    pub installed: Current<'a>,
    /// The service, if it is started anew with the change.
    pub service: Option<AtWork>,
    /// Whether it runs.
    pub running: bool,
    /// What changes, with reasons.
    pub steps: Vec<Planned>,
}

/// Plans a small change. With a service it counts only when that answers.
#[must_use]
pub fn small(action: Action, input: Small) -> Plan {
    let mut plan = input.installed.plan(action);
    if let Some(service) = input.service.as_ref().filter(|_| input.running) {
        plan.push(Step::StopUnit { unit: service.unit.clone() }, "it reads its settings when it starts");
    }
    plan.steps.extend(input.steps);
    if let Some(service) = &input.service {
        let why = "the change counts only when the service answers; otherwise all is undone";
        input.installed.start(service, ("with what was set", why), &mut plan);
    }
    plan
}

/// A file of an authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Its path.
    pub path: String,
    /// The certificate (PEM).
    pub text: String,
    /// SHA-256 of the certificate's DER form.
    pub sha256: Digest,
}

/// Other authorities for a host.
#[derive(Debug)]
pub struct Authorities<'a> {
    /// The root.
    pub root: &'a Path,
    /// In whose journal it is recorded.
    pub site: &'a Site,
    /// How the host keeps them.
    pub layout: TrustLayout,
    /// Directories that are missing, the outermost first.
    pub dirs: &'a [String],
    /// Files that come.
    pub add: &'a [Anchor],
    /// Files that go.
    pub remove: &'a [String],
    /// Certificates that have to be trusted at the end.
    pub trusts: &'a [Digest],
}

/// Plans to trust other authorities.
#[must_use]
pub fn authorities(input: &Authorities) -> Plan {
    let mut plan = Plan::new(Action::Authorities, (input.root, input.site));
    plan.title = format!("authorities of this host ({})", input.layout);
    let (layout, fresh) = (input.layout, !input.remove.is_empty());
    let first = Step::UpdateTrustStore { layout, fresh, trusts: Vec::new() };
    plan.push(first, "first without a change: it has to work, and it is what undoes the rest");
    for path in input.dirs {
        let step = Step::CreateDir { path: path.clone(), owner: Owner::Root, mode: DIR_MODE };
        plan.push(step, "the place of authorities that were added");
    }
    for Anchor { path, text, .. } in input.add.iter().cloned() {
        let step = Step::WriteFile { path, owner: Owner::Root, mode: FILE_MODE, text, modified: None };
        plan.push(step, "you gave it");
    }
    for path in input.remove {
        plan.push(Step::RemoveFile { path: path.clone() }, "you named it");
    }
    let last = Step::UpdateTrustStore { layout, fresh, trusts: input.trusts.to_vec() };
    plan.push(last, "programs read what this writes");
    plan
}
