//! Whether this host is fit: gathers what the checks judge, and runs them.

mod host;
mod offered;

use std::path::PathBuf;

use anyhow::Result;

use super::Session;
use crate::manifest::Manifest;
use crate::preflight::{self, ADVISORY, CHECKS, Chosen, DECISIVE, Expected, Facts, Outcome, Profile, Status};
use crate::product::Role;

pub(super) use host::os;

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The file whose release is to be installed; what this program carries unless given.
    pub file: Option<PathBuf>,
    /// What the host is for; the release's role, or that of what is installed, unless told.
    pub role: Option<Role>,
    /// What the host is to be used for.
    pub profile: Option<Profile>,
    /// The HTTPS port; the configured one unless told.
    pub port: Option<u16>,
    /// The number that the service's user has to have.
    pub uid: Option<u32>,
    /// The number that its group has to have.
    pub gid: Option<u32>,
    /// Which checks.
    pub chosen: Chosen,
}

/// The host is not fit for what was asked for.
#[derive(Debug, thiserror::Error)]
#[error("this host is not fit: {}", told(.0))]
pub struct Unfit(pub Vec<Outcome>);

fn told(failed: &[Outcome]) -> String {
    let told: Vec<String> =
        failed.iter().map(|outcome| format!("{}: {}", outcome.id, outcome.seen)).collect();
    told.join("; ")
}

/// Looks at the host, and at the release if one is offered, and runs the checks.
///
/// # Errors
/// When the file is refused, or what is installed cannot be read.
pub fn run(session: &Session, asked: &Asked) -> Result<Vec<Outcome>> {
    let offered = offered::open(session, asked.file.as_deref())?;
    let role = asked.role.or(offered.as_ref().ok().map(|release| release.manifest().role));
    let role = role.unwrap_or(session.site.role());
    let manifest = offered.as_ref().ok().map(|release| release.manifest());
    let mut facts = facts(session, role, asked, manifest);
    facts.change = match &offered {
        Ok(release) => Ok(offered::change(session, release)?),
        Err(why) => Err(why.clone()),
    };
    Ok(preflight::run(CHECKS, &facts, &asked.chosen))
}

/// What decides whether `release` can work on this host and be taken back, before anything is changed. The
/// warnings are returned.
///
/// # Errors
/// When a check fails that was not left out.
pub fn require(session: &Session, release: &Manifest, skip: &[String]) -> Result<Vec<Outcome>, Unfit> {
    let only = DECISIVE.iter().chain(ADVISORY).map(|id| (*id).to_owned()).collect();
    let asked = Asked { chosen: Chosen { only, skip: skip.to_vec() }, ..Asked::default() };
    let facts = facts(session, release.role, &asked, Some(release));
    let outcomes = preflight::run(CHECKS, &facts, &asked.chosen);
    let with = |status: Status| outcomes.iter().filter(move |outcome| outcome.status == status).cloned();
    let failed: Vec<Outcome> = with(Status::Fail).collect();
    if failed.is_empty() { Ok(with(Status::Warn).collect()) } else { Err(Unfit(failed)) }
}

fn facts(session: &Session, role: Role, asked: &Asked, offered: Option<&Manifest>) -> Facts {
    let root = &session.root;
    let account = host::account(root);
    Facts {
        role,
        profile: asked.profile,
        expected: Expected {
            uid: asked.uid,
            gid: asked.gid,
            uid_of: asked.uid.and_then(|uid| crate::host::user_of(root, uid)),
            gid_of: asked.gid.and_then(|gid| crate::host::group_of(root, gid)),
        },
        os: host::os(session),
        sub_ids: host::sub_ids(session, account.as_ref()),
        proxy: host::proxy(session),
        machine: session.is_live().then(|| host::machine(session, role, asked, (account.as_ref(), offered))),
        account,
        names: offered.map_or(0, |release| release.entries.len() as u64),
        change: Err(String::new()), // who has one says so
    }
}
