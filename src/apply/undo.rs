//! Undoes one step. Every undoing can be repeated: it looks at the disk and does what is left.

use std::path::Path;

use super::files::{make_way, open, open_parent, put_back};
use super::{
    Context, Result, accounts, authorities, carry, connection, finish, one_time, remove, repair, snapshot,
    switch,
};
use crate::journal::{Before, Journal};
use crate::plan::Step;
use crate::product::Owner;
use crate::service;
use crate::sys::dir::Ids;

pub(super) fn undo(step: &Step, before: &Before, context: &Context, journal: &Journal) -> Result<()> {
    match (step, before) {
        (_, Before::Kept) => Ok(()),
        (Step::CreateGroup { name }, _) => accounts::remove_group(context, name),
        (Step::CreateUser { name, .. }, _) => accounts::remove_user(context, name),
        (Step::RemoveUser { name }, Before::Account { id }) => accounts::restore_user(context, name, *id),
        (Step::RemoveGroup { name }, Before::Account { id }) => accounts::restore_group(context, name, *id),
        // all that is in the service's own directories came after their making, from the service
        (Step::CreateDir { path, owner: Owner::Demisto, .. }, _) => remove::whole(context, path),
        (Step::CreateDir { path, .. }, _) => remove::dir(context, path),
        (Step::StageTree { path, .. } | Step::StageFiles { path, .. }, _) => remove::whole(context, path),
        (Step::ReplaceEntries { from, to, trash, paths }, _) => {
            repair::replace_back(context, (from, to, trash), paths)
        }
        (Step::WriteReceipt { path }, before) => {
            file(path, before, context, journal)?;
            for (path, copy) in finish::beside_receipt(context.site) {
                keep_or_put_back(&path, copy, context, journal)?;
            }
            finish::drop_orphans(context)
        }
        (
            Step::WriteFile { path, .. }
            | Step::TakeFile { path, .. }
            | Step::SetConfigPort { path, .. }
            | Step::MergeConfig { path, .. }
            | Step::PutBack { path, .. }
            | Step::SetConfig { path, .. }
            | Step::RemoveFile { path },
            before,
        ) => file(path, before, context, journal),
        (Step::ClearOneTime { .. }, Before::Absent) => Ok(()),
        (
            Step::WriteOneTimeConfig { path, .. }
            | Step::SetOneTime { path, .. }
            | Step::ClearOneTime { path },
            before,
        ) => one_time::undo(path, before, context, journal),
        (Step::UpdateTrustStore { layout, .. }, _) => authorities::update(context, *layout, true),
        (Step::TakeDir { path, .. }, Before::File { mode, uid, gid, .. }) => {
            let dir = open(context.root, path)?;
            dir.set_owner_and_mode(Some(Ids { uid: *uid, gid: *gid }), mode.bits())?;
            Ok(dir.sync()?)
        }
        (Step::SwitchTree { from, to, .. }, Before::Tree { inode, old, old_mode, .. }) => {
            switch::back(context, (from, to), *inode, (*old, *old_mode))
        }
        (Step::CarryOver { to, .. }, Before::Carried { list }) => {
            carry::drop_copies(context, to, list, journal)
        }
        (Step::KeepState { path, .. } | Step::KeepPair { path, .. }, _) => remove::whole(context, path),
        (Step::EnableUnit { unit }, Before::Unit { enabled: false, .. }) => {
            Ok(service::disable(context.root, unit)?)
        }
        (Step::DisableUnit { unit }, Before::Unit { enabled: true, .. }) => {
            Ok(service::enable(context.root, unit)?)
        }
        (Step::StartUnit { unit }, Before::Unit { active: false, .. }) => stop(context, unit),
        (Step::StopUnit { unit }, Before::Unit { active: true, .. }) => start(context, unit),
        (Step::RemoveOwned { dir, trash }, _) => remove::owned_back(context, dir, trash),
        (Step::RemoveTree { path, trash }, _) => remove::tree_back(context, path, trash),
        (Step::TakeSnapshot { .. }, Before::Data { fingerprint }) => {
            snapshot::untake(context, step, *fingerprint)
        }
        (Step::RestoreData { path, aside, .. }, before) => snapshot::unrestore(context, path, aside, before),
        (Step::RemoveDir { path }, Before::File { mode, uid, gid, .. }) => {
            remove::dir_back(context, path, mode.bits(), Ids { uid: *uid, gid: *gid })
        }
        _ => Ok(()),
    }
}

fn file(path: &str, before: &Before, context: &Context, journal: &Journal) -> Result<()> {
    if context.at(path).parent().is_some_and(Path::is_dir) {
        let (dir, name) = open_parent(context.root, path)?;
        dir.remove_leftover(&name)?; // it may hold a secret, and it keeps its directory from going
        make_way(&dir, &name)?;
    }
    match before {
        Before::File { copy, mode, uid, gid } => {
            let (dir, name) = open_parent(context.root, path)?;
            let was = (mode.bits(), Ids { uid: *uid, gid: *gid });
            put_back(&journal.backup_dir()?, copy, &dir, &name, was)
        }
        _ => remove::file(context, path),
    }
}

/// A file of which a copy is there only if it existed.
fn keep_or_put_back(path: &str, copy: &str, context: &Context, journal: &Journal) -> Result<()> {
    let (dir, name) = open_parent(context.root, path)?;
    dir.remove_leftover(&name)?;
    let backups = journal.backup_dir()?;
    match backups.stat(copy)? {
        Some(kept) => put_back(&backups, copy, &dir, &name, (kept.mode, kept.ids)),
        None => Ok(()),
    }
}

fn stop(context: &Context, unit: &str) -> Result<()> {
    if context.is_live() {
        service::stop(unit)?;
    }
    Ok(())
}

fn start(context: &Context, unit: &str) -> Result<()> {
    if context.is_live() {
        service::daemon_reload()?;
        connection::mark(context, unit);
        service::start(unit)?;
    }
    Ok(())
}
