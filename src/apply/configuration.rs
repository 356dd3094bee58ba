//! The configuration file: read, changed, written with the owner and mode that it had. A step refuses when
//! the file is not the one that the plan saw.

use std::io::Read as _;

use zeroize::Zeroizing;

use super::files::open_parent;
use super::{Context, Error, Result};
use crate::config::{self, OnConflict, Setting};
use crate::plan::{self, Step};
use crate::product::Owner;
use crate::receipt;
use crate::sys;
use crate::types::Digest;

/// Largest configuration that is read: as those who plan.
const LIMIT: u64 = 4 << 20;

/// Does a step that changes it.
pub(super) fn perform(context: &Context, step: &Step) -> Result<()> {
    match step {
        Step::SetConfigPort { path, port, was } => {
            rewrite(context, path, *was, |text| Ok(config::with_https_port(text, *port)?))
        }
        Step::SetConfig { path, was, set: settings } => set(context, path, *was, settings),
        Step::MergeConfig { path, was, becomes, on_conflict, .. } => {
            merge(context, path, (*was, *becomes), *on_conflict)
        }
        _ => Ok(()),
    }
}

/// Sets single keys. Where there is no file, makes one.
fn set(context: &Context, path: &str, was: Option<Digest>, settings: &[Setting]) -> Result<()> {
    if let Some(was) = was {
        return rewrite(context, path, was, |text| Ok(config::set(text, settings)?));
    }
    let (dir, name) = open_parent(context.root, path)?;
    if dir.stat(&name)?.is_some() {
        return Err(Error::Appeared(dir.path_of(&name)));
    }
    let text = config::set("{}\n", settings)?;
    Ok(dir.replace_file(&name, text.as_bytes(), plan::CONFIG_MODE.bits(), context.ids(Owner::Demisto)?)?)
}

/// Merges the new release's defaults in.
fn merge(
    context: &Context,
    path: &str,
    (was, becomes): (Digest, Digest),
    on_conflict: OnConflict,
) -> Result<()> {
    let release = context.release.ok_or(Error::Lacks("the release"))?;
    let base = receipt::read(context.root, context.site)?.map(|receipt| receipt.config_base);
    let defaults = context.site.localised(&release.manifest().config);
    rewrite(context, path, was, |mine| {
        let merged = config::merge(base.as_deref(), mine, &defaults, on_conflict)?;
        if Digest::of(merged.text.as_bytes()) == becomes {
            Ok(merged.text)
        } else {
            Err(Error::Lacks("the merge that the plan showed"))
        }
    })
}

fn rewrite(
    context: &Context,
    path: &str,
    was: Digest,
    change: impl FnOnce(&str) -> Result<String>,
) -> Result<()> {
    let (dir, name) = open_parent(context.root, path)?;
    let stat = dir.stat(&name)?.ok_or(Error::Lacks("the configuration"))?;
    let mut text = Zeroizing::new(String::new());
    let mut file = dir.open_file(&name)?;
    let failed = |e| sys::Error::new("read", &dir.path_of(&name), e);
    file.by_ref().take(LIMIT + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > LIMIT {
        let why = format!("it is larger than {LIMIT} bytes");
        return Err(sys::Error::rule("read", &dir.path_of(&name), &why).into());
    }
    if Digest::of(text.as_bytes()) != was {
        return Err(Error::Appeared(dir.path_of(&name)));
    }
    let new = Zeroizing::new(change(&text)?);
    if *new == *text {
        return Ok(());
    }
    let owner = context.owners.then_some(stat.ids);
    Ok(dir.replace_file_like(&name, new.as_bytes(), &file, (stat.mode & 0o777, owner))?)
}
