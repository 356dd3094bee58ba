//! What a release would change here.

use std::path::Path;

use anyhow::Result;

use crate::apply;
use crate::host::nearest;
use crate::manifest::Manifest;
use crate::plan;
use crate::preflight::{Change, Kept, Room};
use crate::product::{Role, under};
use crate::receipt::Receipt;
use crate::release::Release;
use crate::retained;
use crate::snapshot;
use crate::sys;
use crate::types::error_chain;
use crate::workflow::{Session, install, upgrade};

/// Opens a file whose signatures are accepted. What its payload holds is not read. Nobody asked for what this program
/// carries itself: if it carries nothing, or that is not accepted, this is told in words.
pub(super) fn open(session: &Session, file: Option<&Path>) -> Result<Result<Release, String>> {
    let opened = install::candidate(session, file).and_then(|candidate| session.open(candidate));
    match (opened, file) {
        (Ok(release), _) => Ok(Ok(release)),
        (Err(error), Some(_)) => Err(error),
        (Err(error), None) => Ok(Err(format!("no FILE was given, and of this program: {error}"))),
    }
}

pub(super) fn change(session: &Session, release: &Release) -> Result<Change> {
    let new = release.manifest();
    // an engine beside a server has a name, and nothing of the server's is in its way
    let receipt = session.receipt()?.filter(|receipt| receipt.role == new.role);
    let installed = match &receipt {
        Some(_) => apply::installed(&session.root, &session.site)?,
        None => None,
    };
    let old = installed.as_ref().map(|manifest| manifest.get());
    let tree = under(&session.root, &session.site.stage());
    let free = sys::fs::free_bytes(&nearest(&tree))?;
    let retained = retained::read(&session.root, &session.site)?;
    Ok(Change {
        offered: new.version,
        installed: receipt.as_ref().map(|receipt| receipt.version),
        is_lower: receipt.as_ref().is_some_and(|receipt| plan::is_lower(new, receipt)),
        retained: retained.and_then(|retained| retained.release),
        refusal: receipt
            .as_ref()
            .and_then(|receipt| plan::fits_path(new, receipt).err())
            .map(|why| why.to_string()),
        room: Room { place: session.site.tree(), needed: plan::room(old, new), free },
        snapshot: snapshot(session, (receipt.as_ref(), old), new),
    })
}

fn snapshot(
    session: &Session,
    (receipt, old): (Option<&Receipt>, Option<&Manifest>),
    new: &Manifest,
) -> Kept {
    if new.role == Role::Engine {
        return Kept::Unneeded("an engine keeps no data of its own".to_owned());
    }
    if receipt.is_none() && !upgrade::is_adoptable(session) {
        return Kept::Unneeded("nothing is installed whose data could be kept".to_owned());
    }
    let dir = snapshot::default_dir(&session.root);
    // what the upgrade stops at is no less here
    upgrade::kept(session, &dir, upgrade::changes_form(old, new))
        .unwrap_or_else(|error| Kept::Impossible { why: error_chain(&error), must: true })
}
