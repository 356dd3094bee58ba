//! Looks at what a step is about to change and keeps what its undoing needs.

use std::path::Path;

use super::files::{self, open_parent};
use super::{Context, Error, Result, carry, finish, one_time, snapshot};
use crate::host::Accounts;
use crate::journal::{Before, Journal};
use crate::plan::{Old, Step};
use crate::service;
use crate::sys;
use crate::sys::dir::{Dir, Kind, Stat};

pub(super) fn before(step: &Step, number: usize, context: &Context, journal: &Journal) -> Result<Before> {
    match step {
        Step::CreateGroup { name } => Ok(account(Accounts::look_up(context.root, name)?.gid)),
        Step::CreateUser { name, .. } => Ok(account(Accounts::look_up(context.root, name)?.uid)),
        Step::RemoveUser { name } => Ok(number_of(Accounts::look_up(context.root, name)?.uid)),
        Step::RemoveGroup { name } => Ok(number_of(Accounts::look_up(context.root, name)?.gid)),
        Step::CreateDir { path, .. } => {
            Ok(if sys::fs::exists(&context.at(path)) { Before::Kept } else { Before::Absent })
        }
        Step::WriteFile { path, .. }
        | Step::TakeFile { path, .. }
        | Step::SetConfig { path, .. }
        | Step::SetConfigPort { path, .. }
        | Step::MergeConfig { path, .. }
        | Step::PutBack { path, .. } => file(path, number, context, journal),
        Step::WriteOneTimeConfig { path, .. } | Step::SetOneTime { path, .. } => {
            one_time::before(path, number, context, journal)
        }
        Step::WriteReceipt { path } => receipt(path, number, context, journal),
        Step::ClearOneTime { path } => one_time::before_clearing(path, number, context, journal),
        Step::RemoveFile { path } => match odd(path, context)? {
            true => Ok(Before::Kept),
            false => file(path, number, context, journal),
        },
        Step::SwitchTree { from, to, old } => switch(from, to, *old, context),
        Step::CarryOver { from, to } => carry::before(from, to, number, context, journal),
        Step::EnableUnit { unit }
        | Step::DisableUnit { unit }
        | Step::StartUnit { unit }
        | Step::StopUnit { unit } => unit_state(unit, context),
        Step::TakeSnapshot { dir, id, .. } => snapshot::before_taking(context, dir, id),
        Step::RestoreData { path, aside, .. } => snapshot::before_restoring(context, path, aside),
        // what an earlier removal left aside must not be taken for it when this one is undone
        Step::RemoveTree { path, .. } if !sys::fs::exists(&context.at(path)) => Ok(Before::Kept),
        Step::RemoveDir { path } => attributes(path, context),
        Step::TakeDir { path, .. } => {
            let stat = files::open(context.root, path)?.stat_self()?;
            let mode = crate::types::Mode::new(stat.mode);
            Ok(Before::File { copy: String::new(), mode, uid: stat.ids.uid, gid: stat.ids.gid })
        }
        Step::StageTree { path, .. }
        | Step::StageFiles { path, .. }
        | Step::ReplaceEntries { trash: path, .. } => match sys::fs::exists(&context.at(path)) {
            true => Err(Error::Appeared(context.at(path))),
            false => Ok(Before::Absent),
        },
        Step::KeepState { .. } => {
            context.live()?; // now, while the service runs
            Ok(Before::Nothing)
        }
        Step::RemoveOwned { .. }
        | Step::KeepPair { .. }
        | Step::DropSnapshot { .. }
        | Step::RegisterPackage { .. }
        | Step::UnregisterPackage { .. }
        | Step::RunScript { .. }
        | Step::MakeCertificate { .. }
        | Step::TakeCertificate { .. }
        | Step::RestoreLabels { .. }
        | Step::UpdateTrustStore { .. }
        | Step::AwaitHealth { .. }
        | Step::AwaitConnection { .. }
        | Step::RemoveTree { .. } => Ok(Before::Nothing),
    }
}

fn account(id: Option<u32>) -> Before {
    if id.is_some() { Before::Kept } else { Before::Absent }
}

fn number_of(id: Option<u32>) -> Before {
    id.map_or(Before::Kept, |id| Before::Account { id })
}

/// Whether something lies there that this program did not make: no file, or one too large for its
/// name. It is not ours to remove, and must not keep the rest from being removed.
fn odd(path: &str, context: &Context) -> Result<bool> {
    let stat = sys::fs::stat(&context.at(path))?;
    Ok(stat.is_some_and(|stat| is_odd(&stat)))
}

pub(super) fn is_odd(stat: &Stat) -> bool {
    stat.kind != Kind::File || stat.size > ODD_SIZE
}

/// No file that is removed one by one is larger.
const ODD_SIZE: u64 = 8 << 20;

/// Keeps a copy of the file that a step replaces or removes.
pub(super) fn file(path: &str, copy: impl ToString, context: &Context, journal: &Journal) -> Result<Before> {
    if !context.at(path).parent().is_some_and(Path::is_dir) {
        return Ok(Before::Absent);
    }
    let (dir, name) = open_parent(context.root, path)?;
    file_in(&dir, &name, copy, journal)
}

/// As [`file`], in a directory that is open.
pub(super) fn file_in(dir: &Dir, name: &str, copy: impl ToString, journal: &Journal) -> Result<Before> {
    let Some(stat) = dir.stat(name)? else { return Ok(Before::Absent) };
    if stat.kind != Kind::File {
        return Err(Error::Sys(sys::Error::rule("replace", &dir.path_of(name), "it is not a regular file")));
    }
    let copy = copy.to_string();
    let source = dir.open_file(name)?;
    let stat = sys::dir::stat_file(&source, &dir.path_of(name))?; // of the very file that is copied
    files::copy(source, &journal.backup_dir()?, &copy, None)?;
    let mode = crate::types::Mode::new(stat.mode);
    Ok(Before::File { copy, mode, uid: stat.ids.uid, gid: stat.ids.gid })
}

fn switch(from: &str, to: &str, old: Old, context: &Context) -> Result<Before> {
    let (dir, name) = open_parent(context.root, from)?;
    let staged = dir.stat(&name)?.ok_or(Error::Lacks("the staged tree"))?;
    let (dir, name) = open_parent(context.root, to)?;
    let there = match dir.stat(&name)? {
        None => None,
        Some(stat) if stat.kind == Kind::Dir && fits(old, &dir.open_dir(&name)?)? => Some(stat),
        Some(_) => return Err(Error::Appeared(dir.path_of(&name))),
    };
    Ok(Before::Tree {
        inode: staged.ino,
        exchanged: there.is_some(),
        old: there.map(|stat| stat.ino),
        old_mode: there.map(|stat| crate::types::Mode::new(stat.mode)),
    })
}

fn fits(old: Old, dir: &Dir) -> Result<bool> {
    Ok(old != Old::None || dir.raw_names()?.is_empty())
}

/// Keeps what belongs to the receipt, too: the same step replaces it.
fn receipt(path: &str, number: usize, context: &Context, journal: &Journal) -> Result<Before> {
    for (which, name) in finish::beside_receipt(context.site) {
        file(&which, name.to_owned(), context, journal)?;
    }
    file(path, number, context, journal)
}

fn unit_state(unit: &str, context: &Context) -> Result<Before> {
    let active = context.is_live() && service::state(unit)?.is_wanted();
    Ok(Before::Unit { enabled: service::is_enabled(context.root, unit), active })
}

pub(super) fn attributes(path: &str, context: &Context) -> Result<Before> {
    let Some(stat) = sys::fs::stat(&context.at(path))? else { return Ok(Before::Kept) };
    let mode = crate::types::Mode::new(stat.mode);
    Ok(Before::File { copy: String::new(), mode, uid: stat.ids.uid, gid: stat.ids.gid })
}
