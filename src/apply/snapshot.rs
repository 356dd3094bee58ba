//! Snapshots of the data as steps. The service is stopped, but its account may have other processes:
//! while data are laid out, whatever it could write into belongs to root and is closed.

use std::path::Path;

use super::files::{open, open_parent};
use super::{Context, Error, Result, prepare, remove};
use crate::journal::{self, Before};
use crate::plan::Step;
use crate::product::{self, SnapshotReason};
use crate::snapshot::{self, Form, Request, Snapshot, Work};
use crate::sys;
use crate::sys::dir::{Dir, Ids};
use crate::types::Digest;

/// Beside the data directory: data that are being laid out by a step.
const STAGE: &str = ".demisto.demisto-install-restore";
/// Beside it: data that are being laid out while a snapshot is undone.
const BACK: &str = ".demisto.demisto-install-snapshot";
/// In it, where it cannot be moved: data that are being laid out.
const NEW: &str = ".demisto-install-new";
/// In it: what is replaced while a snapshot is undone.
const OLD: &str = ".demisto-install-replaced";
/// In what was moved aside: what is not aside was laid out by this program.
const MARK: &str = ".demisto-install-restored";

/// Beside it: what a recovery found there when it put other data back.
const KEPT: &str = "demisto.before-recovery";
/// In it, where it cannot be moved: the same.
const KEPT_INSIDE: &str = "before-recovery";

const ROOT: Ids = Ids { uid: 0, gid: 0 };

fn work<'a>(context: &Context<'a>, interruptible: bool) -> Work<'a> {
    Work { owners: context.owners, sink: context.sink, interruptible }
}

/// What the data are like before a snapshot. Its name must be free: undoing removes what has it.
pub(super) fn before_taking(context: &Context, dir: &str, id: &str) -> Result<Before> {
    let path = Path::new(dir).join(id);
    if sys::fs::exists(&path) {
        return Err(Error::Appeared(path));
    }
    Ok(Before::Data { fingerprint: snapshot::fingerprint(context.root)? })
}

pub(super) fn take(context: &Context, step: &Step) -> Result<()> {
    let Step::TakeSnapshot { dir, id, reason, release, data_schema, .. } = step else { return Ok(()) };
    let request = Request {
        root: context.root,
        dir: Path::new(dir),
        reason: *reason,
        release,
        data_schema: *data_schema,
        work: work(context, true),
    };
    let taken = snapshot::create(&request, id)?;
    // from here on the data may change, and undoing must not take a disk that is not there for a
    // snapshot that was never taken
    backups(context)?.replace_file(&marker(id), b"", 0o600, None)?;
    if taken.about.skipped_count > 0 {
        let first = taken.about.skipped.first().cloned().unwrap_or_default();
        let count = taken.about.skipped_count;
        context
            .sink
            .note(format!("{count} sockets or devices are not part of the snapshot, such as {first}"));
    }
    Ok(())
}

/// Tells, among the journal's backups, that the snapshot is complete and the data are not put back.
fn marker(id: &str) -> String {
    format!("taken-{id}")
}

fn backups(context: &Context) -> Result<Dir> {
    let journal = Dir::open(&super::journal_dir(context.root, context.site))?;
    if journal.stat(journal::BACKUPS)?.is_none() {
        journal.make_private_dir(journal::BACKUPS)?;
        journal.sync()?;
    }
    Ok(journal.open_dir(journal::BACKUPS)?)
}

/// Puts the data back if they were changed since, then removes the snapshot: in this order, since
/// the snapshot is the copy that counts until the data are back.
///
/// Only an upgrade lets another release at the data. Whatever else changed them since is the installed
/// one's work, and stays: what other changes replace is moved aside, and comes back from there.
pub(super) fn untake(context: &Context, step: &Step, before: Digest) -> Result<()> {
    let Step::TakeSnapshot { dir, id, reason, .. } = step else { return Ok(()) };
    let dir = Path::new(dir);
    let backups = backups(context)?;
    if backups.stat(marker(id))?.is_some() {
        let others = *reason == SnapshotReason::Upgrade;
        if others && snapshot::fingerprint(context.root)? != before {
            put_back(context, &snapshot::open(dir, id)?)?;
        }
        backups.remove_file(marker(id))?;
        backups.sync()?;
    }
    Ok(snapshot::remove(dir, id)?)
}

/// Whether the old data have to go before there is room for the others.
fn is_short(at: &Path, taken: &Snapshot) -> Result<bool> {
    Ok(taken.about.form == Form::Archive && sys::fs::free_bytes(at)? < taken.about.allocated)
}

/// What was written since goes, when it is known who wrote it: the release that did not become
/// healthy. In a recovery it may be the work of days, after a restart of the host: it is kept beside.
fn put_back(context: &Context, taken: &Snapshot) -> Result<()> {
    if snapshot::is_fixed(context.root)? {
        return put_back_inside(context, taken);
    }
    let (above, name) = open_parent(context.root, product::DATA_DIR)?;
    above.remove_tree(BACK)?;
    if above.stat(&name)?.is_some() && is_short(above.path(), taken)? {
        refuse_when_recovering(context, above.path())?;
        above.rename_new(&name, &above, BACK)?;
        above.sync()?;
        above.remove_tree(BACK)?;
    }
    above.make_private_dir(BACK)?;
    let filled = taken.fill(&above.open_dir(BACK)?, &work(context, false));
    if filled.is_err() {
        let _ = above.remove_tree(BACK); // half of the data is of no use, and takes room
    }
    filled?;
    match above.stat(&name)? {
        Some(_) if context.recovering => {
            keep_beside(context, &above, &name, KEPT)?;
            above.rename_new(BACK, &above, &name)?;
        }
        Some(_) => above.exchange(BACK, &above, &name)?,
        None => above.rename_new(BACK, &above, &name)?,
    }
    above.sync()?;
    above.remove_tree(BACK)?;
    Ok(above.sync()?)
}

fn refuse_when_recovering(context: &Context, at: &Path) -> Result<()> {
    if !context.recovering {
        return Ok(());
    }
    let why = "there is not enough room for the data of the snapshot beside those that are there";
    Err(sys::Error::new(
        "put the data back in",
        at,
        std::io::Error::new(std::io::ErrorKind::StorageFull, why),
    )
    .into())
}

/// Gives something a name under which it is kept, and says so.
fn keep_beside(context: &Context, dir: &Dir, name: &str, kept: &str) -> Result<()> {
    let free = free_name(dir, kept)?;
    dir.rename_new(name, dir, &free)?;
    dir.sync()?;
    let place = dir.path_of(&free);
    context.sink.warn(format!(
        "the data are those from before the upgrade; as the recovery found them, they are in {}: look at them, then remove them",
        place.display()
    ));
    Ok(())
}

/// A name that is free in `dir`: the wanted one, with a number if it is taken.
fn free_name(dir: &Dir, wanted: &str) -> Result<String> {
    let mut name = wanted.to_owned();
    for number in 2.. {
        if dir.stat(&name)?.is_none() {
            break;
        }
        name = format!("{wanted}.{number}");
    }
    Ok(name)
}

/// The directory itself stays: it is a mount point, or a link leads to it.
fn put_back_inside(context: &Context, taken: &Snapshot) -> Result<()> {
    let top = open(context.root, product::DATA_DIR)?;
    close(context, &top)?;
    top.remove_tree(NEW)?;
    if is_short(top.path(), taken)? {
        refuse_when_recovering(context, top.path())?;
        clear(&top, &[])?;
    }
    let new = lay_out(context, taken, &top, false)?;
    if top.stat(OLD)?.is_none() {
        top.make_private_dir(OLD)?;
    }
    // one of its own for each time that this is tried
    let old = top.open_dir(OLD)?;
    let name = free_name(&old, "data")?;
    old.make_private_dir(&name)?;
    let old = old.open_dir(&name)?;
    for name in top.raw_names()?.iter().filter(|name| *name != NEW && *name != OLD) {
        top.rename_new(name, &old, name)?;
    }
    old.sync()?;
    move_up(&new, &top)?;
    if context.recovering {
        keep_beside(context, &top, OLD, KEPT_INSIDE)?;
    } else {
        top.remove_tree(OLD)?;
    }
    open_up(context, &new, &top)
}

/// Nobody but root gets in.
fn close(context: &Context, top: &Dir) -> Result<()> {
    Ok(top.set_owner_and_mode(context.owners.then_some(ROOT), 0o700)?)
}

/// Lays a snapshot out in a directory inside the data directory.
fn lay_out(context: &Context, taken: &Snapshot, top: &Dir, interruptible: bool) -> Result<Dir> {
    top.remove_tree(NEW)?;
    top.make_private_dir(NEW)?;
    let new = top.open_dir(NEW)?;
    taken.fill(&new, &work(context, interruptible))?;
    Ok(new)
}

fn move_up(new: &Dir, top: &Dir) -> Result<()> {
    for name in new.raw_names()? {
        new.rename_new(&name, top, &name)?;
    }
    Ok(top.sync()?)
}

/// Gives the data directory the owner, mode and times that `new` has.
fn open_up(context: &Context, new: &Dir, top: &Dir) -> Result<()> {
    let attributes = sys::attributes::Attributes::of(new, new.path())?;
    top.remove_dir(NEW)?;
    let keep = sys::attributes::Keep { owners: context.owners, privileges: false };
    attributes.set(top, top.path(), keep)?;
    Ok(top.sync()?)
}

/// Removes all that a directory holds but what has one of these names.
fn clear(top: &Dir, kept: &[&str]) -> Result<()> {
    for name in top.raw_names()?.iter().filter(|name| !kept.iter().any(|kept| name == kept)) {
        top.remove_tree(name)?;
    }
    Ok(top.sync()?)
}

/// What tells later whether the data that are there are those before, or those that were laid out.
pub(super) fn before_restoring(context: &Context, path: &str, aside: &str) -> Result<Before> {
    if remove::inside(path, aside).is_some() {
        return prepare::attributes(path, context);
    }
    let (above, name) = open_parent(context.root, path)?;
    if above.stat(&name)?.is_some() {
        return Err(Error::Appeared(above.path_of(&name)));
    }
    let (dir, aside) = open_parent(context.root, aside)?;
    Ok(dir.stat(&aside)?.map_or(Before::Absent, |stat| Before::Tree {
        inode: stat.ino,
        exchanged: false,
        old: None,
        old_mode: None,
    }))
}

/// Lays a snapshot out where the data were.
pub(super) fn restore(context: &Context, from: &str, at: (&str, &str), before: &Before) -> Result<()> {
    let (dir, id) = from.rsplit_once('/').ok_or(Error::Lacks("the directory of the snapshot"))?;
    let taken = snapshot::open(Path::new(dir), id)?;
    let (path, aside) = at;
    if let (Some(inner), Before::File { .. }) = (remove::inside(path, aside), before) {
        let top = open(context.root, path)?;
        close(context, &top)?;
        let aside = top.open_dir(inner)?;
        aside.remove_file(MARK)?;
        drop(aside.create_file(MARK)?);
        aside.sync()?;
        let new = lay_out(context, &taken, &top, true)?;
        move_up(&new, &top)?;
        return open_up(context, &new, &top);
    }
    let (above, name) = open_parent(context.root, path)?;
    above.remove_tree(STAGE)?;
    above.make_private_dir(STAGE)?;
    taken.fill(&above.open_dir(STAGE)?, &work(context, true))?;
    above.rename_new(STAGE, &above, &name)?;
    Ok(above.sync()?)
}

/// Removes what was laid out, and only that: when the data before are back already, nothing is.
pub(super) fn unrestore(context: &Context, path: &str, aside: &str, before: &Before) -> Result<()> {
    let (above, name) = open_parent(context.root, path)?;
    match before {
        Before::File { mode, uid, gid, .. } => {
            let top = open(context.root, path)?;
            if let Some(inner) =
                remove::inside(path, aside).filter(|inner| top.stat(inner).is_ok_and(|s| s.is_some()))
            {
                let moved = top.open_dir(inner)?;
                if moved.stat(MARK)?.is_some() {
                    close(context, &top)?;
                    clear(&top, &[inner])?;
                    moved.remove_file(MARK)?;
                    moved.sync()?;
                }
            }
            let owner = context.owners.then_some(Ids { uid: *uid, gid: *gid });
            Ok(top.set_owner_and_mode(owner, mode.bits())?)
        }
        Before::Tree { inode, .. } => {
            let (dir, aside) = open_parent(context.root, aside)?;
            above.remove_tree(STAGE)?;
            if dir.stat(&aside)?.is_some_and(|stat| stat.ino == *inode) {
                above.remove_tree(&name)?;
            }
            Ok(above.sync()?)
        }
        _ => {
            above.remove_tree(STAGE)?;
            above.remove_tree(&name)?;
            Ok(above.sync()?)
        }
    }
}
