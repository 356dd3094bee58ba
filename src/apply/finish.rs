//! What is left to do after the commit: removals and the epoch floor, each of which can be repeated.

use std::path::Path;

use super::files::open;
use super::{Context, Result, carry, package, remove};
use crate::manifest::Manifest;
use crate::plan::{Old, Plan, Step};
use crate::product::{self, Site};
use crate::receipt::{self, Receipt};
use crate::release;
use crate::retained;
use crate::snapshot;
use crate::sys;
use crate::verify::{self, Verified};

/// The signed manifest of the installed release, in the state directory.
pub(super) const MANIFEST: &str = "manifest.json";
/// Its signatures.
pub(super) const SIGNATURES: &str = "manifest.sig";

/// What `WriteReceipt` writes besides the receipt, and the names of its copies among the backups.
pub(super) fn beside_receipt(site: &Site) -> [(String, &'static str); 2] {
    [(site.manifest_file(), "manifest"), (site.signatures_file(), "signatures")]
}

pub(super) fn finish(plan: &Plan, context: &Context) -> Result<()> {
    for (number, planned) in plan.steps.iter().enumerate() {
        match &planned.step {
            Step::SwitchTree { old: Old::Kept, .. } => {}
            Step::SwitchTree { from, .. } => remove::whole(context, from)?,
            Step::CarryOver { .. } => carry::prune(context, number)?,
            Step::DropSnapshot { dir, id } => {
                // tried twice; but whatever became of its disk must not keep later runs from their work
                let removed = snapshot::remove(Path::new(dir), id);
                if let Err(error) = removed.or_else(|_| snapshot::remove(Path::new(dir), id)) {
                    let error = crate::types::error_chain(&error);
                    context.sink.warn(format!("the snapshot {dir}/{id} is not needed and stays: {error}"));
                }
            }
            Step::RegisterPackage { name } => tell(context, name, package::register(context, name)),
            Step::UnregisterPackage { name } => tell(context, name, package::unregister(context, name)),
            Step::RemoveTree { trash, .. } => remove::whole(context, trash)?,
            Step::RemoveOwned { dir, trash } => {
                remove::prune(context, dir, trash)?;
                remove::whole(context, trash)?;
            }
            Step::ReplaceEntries { from, trash, .. } => {
                remove::whole(context, from)?;
                remove::whole(context, trash)?;
            }
            _ => {}
        }
    }
    raise_floor(context)?;
    drop_orphans(context)
}

/// A database that cannot be written must not keep later runs from their work.
fn tell(context: &Context, name: &str, result: Result<()>) {
    if let Err(error) = result {
        let error = crate::types::error_chain(&error);
        context.sink.warn(format!("rpm's database says something else of {name} than is installed: {error}"));
    }
}

/// The lowest security epoch that may be installed: the highest that ever was, of this role, on this host. It
/// outlives an uninstallation, and another name for an engine does not lead below it.
///
/// # Errors
/// When the record of it exists but cannot be read.
pub fn epoch_floor(root: &Path, site: &Site) -> Result<u64> {
    let path = product::under(root, product::STATE_DIR).join(site.floor_name());
    let bytes = match sys::fs::read_trusted(&path, 64) {
        Err(e) if e.is_not_found() => return Ok(0),
        other => other?,
    };
    let number = std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| sys::Error::rule("read", &path, "it holds no number").into())
}

fn raise_floor(context: &Context) -> Result<()> {
    // one that cannot be read may hold a higher epoch: the run stays open until it can
    let Some(receipt) = receipt::read(context.root, context.site)? else { return Ok(()) };
    if receipt.epoch > epoch_floor(context.root, context.site)? {
        let text = format!("{}\n", receipt.epoch);
        let dir = open(context.root, product::STATE_DIR)?;
        dir.replace_file(context.site.floor_name(), text.as_bytes(), 0o600, None)?;
    }
    Ok(())
}

/// Removes the kept manifest when there is no receipt that it belongs to.
pub(super) fn drop_orphans(context: &Context) -> Result<()> {
    let state = context.at(&context.site.state_dir());
    if sys::fs::exists(&context.at(&context.site.receipt_file())) || !state.is_dir() {
        return Ok(());
    }
    let dir = open(context.root, &context.site.state_dir())?;
    for name in [MANIFEST, SIGNATURES] {
        dir.remove_leftover(name)?;
        dir.remove_file(name)?;
    }
    Ok(dir.sync()?)
}

/// The recorded manifest and the signatures over it, as they lie there: nobody vouches for them.
/// Signatures that are gone are none.
///
/// # Errors
/// When they cannot be read.
pub fn kept_bytes(root: &Path, site: &Site) -> sys::Result<(Vec<u8>, Vec<u8>)> {
    let state = product::under(root, &site.state_dir());
    let manifest = sys::fs::read_trusted(&state.join(MANIFEST), crate::bundle::MAX_MANIFEST)?;
    match sys::fs::read_trusted(&state.join(SIGNATURES), crate::bundle::MAX_SIGNATURES) {
        Err(e) if e.is_not_found() => Ok((manifest, Vec::new())),
        other => Ok((manifest, other?)),
    }
}

/// The manifest of the installed release: the bytes whose digest the receipt recorded when their
/// signatures had been accepted; `None` when nothing is installed.
///
/// # Errors
/// When receipt or manifest cannot be read or do not belong to each other.
pub fn installed(root: &Path, site: &Site) -> Result<Option<Verified<Manifest>>> {
    Ok(recorded(&product::under(root, &site.state_dir()))?.map(|(_, manifest)| manifest))
}

/// Receipt and manifest of the retained release; `None` when another installer made it.
///
/// # Errors
/// When they cannot be read or do not belong to each other.
pub fn retained(root: &Path, site: &Site) -> Result<Option<(Receipt, Verified<Manifest>)>> {
    recorded(&product::under(root, &site.retained_state()))
}

/// Receipt and manifest in one directory.
fn recorded(dir: &Path) -> Result<Option<(Receipt, Verified<Manifest>)>> {
    let Some(receipt) = receipt::read_file(&dir.join(retained::RECEIPT))? else { return Ok(None) };
    let manifest = dir.join(MANIFEST);
    if !sys::fs::exists(&manifest) {
        return Ok(None);
    }
    let bytes = sys::fs::read_trusted(&manifest, crate::bundle::MAX_MANIFEST)?;
    let bytes =
        verify::pinned(bytes, receipt.manifest, receipt.signers.clone()).map_err(release::Error::from)?;
    Ok(Some((receipt, Manifest::parse(bytes).map_err(release::Error::from)?)))
}
