//! What the host trusts, written by the host's own tool from its directories of authorities.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::time::Duration;

use super::{Context, Result};
use crate::certs::authority;
use crate::product::{TrustLayout, under};
use crate::sys;
use crate::sys::dir::{Dir, Kind, temp_name};
use crate::sys::fault;
use crate::sys::process::Tool;
use crate::types::Digest;

const LIMIT: Duration = Duration::from_secs(600);
/// Where Debian's certificates are that packages bring.
const DEBIAN_PACKAGED: &str = "/usr/share/ca-certificates";
const DEBIAN_STORE: &str = "/etc/ssl/certs";

/// Runs the host's tool.
pub(super) fn update(context: &Context, layout: TrustLayout, fresh: bool) -> Result<()> {
    let point =
        || fault::point("trust store").map_err(|e| sys::Error::new("write", Path::new(layout.bundle()), e));
    point()?;
    match layout {
        TrustLayout::Debian => debian(context, fresh)?,
        TrustLayout::Rhel => rhel(context)?,
    }
    Ok(point()?)
}

/// Whether these certificates are in what the tool has written.
pub(super) fn check(context: &Context, layout: TrustLayout, trusts: &[Digest]) -> Result<()> {
    if trusts.is_empty() || (layout == TrustLayout::Rhel && !updates_trust(context.root)) {
        return Ok(());
    }
    let path = context.at(layout.bundle());
    let trusted = authority::digests(&sys::fs::read_limited(&path, 16 << 20)?);
    match trusts.iter().find(|wanted| !trusted.contains(wanted)) {
        Some(_) => Err(sys::Error::rule("use", &path, "the tool has left an authority out of it").into()),
        None => Ok(()),
    }
}

/// Whether RHEL's tool can be run: on the running system only. p11-kit knows one place, so another root's own
/// tool would have to run in it, and whoever made that root would have us run what they please.
#[must_use]
pub fn updates_trust(root: &Path) -> bool {
    root == Path::new("/")
}

/// Below another root the tool is told all its places; the root's own hooks are for the root's own programs.
fn debian(context: &Context, fresh: bool) -> Result<()> {
    let mut tool = Tool::system(TrustLayout::Debian.tool())?.timeout(LIMIT);
    if fresh {
        tool = tool.arg("--fresh");
    }
    if context.is_live() {
        tool.check()?;
        return Ok(());
    }
    let local = TrustLayout::Debian.anchors().first().copied().unwrap_or_default();
    let places = [
        ("--certsconf", "/etc/ca-certificates.conf"),
        ("--certsdir", DEBIAN_PACKAGED),
        ("--localcertsdir", local),
        ("--etccertsdir", DEBIAN_STORE),
    ];
    for (option, path) in places {
        tool = tool.arg(option).arg(context.at(path));
    }
    // its links have the root in front while it works, and not when the root is what runs
    relink(context, &[DEBIAN_PACKAGED, local], true)?;
    tool.args(["--hooksdir", ""]).check()?;
    relink(context, &[DEBIAN_PACKAGED, local], false)
}

/// Puts the root in front of the links into these directories, or takes it away.
fn relink(context: &Context, tops: &[&str], below: bool) -> Result<()> {
    let dir = Dir::open_in(context.root, DEBIAN_STORE)?;
    for name in dir.raw_names()? {
        if dir.stat(&name)?.is_none_or(|stat| stat.kind != Kind::Symlink) {
            continue;
        }
        let target = dir.raw_read_link(&name)?;
        let changed = tops.iter().find_map(|top| {
            let there = under(context.root, top);
            let (from, to) =
                if below { (Path::new(top), there.as_path()) } else { (&*there, Path::new(top)) };
            Some(to.join(Path::new(&target).strip_prefix(from).ok()?))
        });
        let Some(changed) = changed else { continue };
        let name = name.to_string_lossy().into_owned();
        let temp = temp_name(&name)?;
        dir.remove_leftover(&name)?;
        dir.create_symlink(OsString::from_vec(changed.as_os_str().as_bytes().to_vec()), &temp, None)?;
        dir.rename(&temp, &dir, &name)?;
    }
    Ok(dir.sync()?)
}

fn rhel(context: &Context) -> Result<()> {
    if updates_trust(context.root) {
        Tool::system(TrustLayout::Rhel.tool())?.timeout(LIMIT).check()?;
        return Ok(());
    }
    let (root, tool) = (context.root.display(), TrustLayout::Rhel.tool());
    context.sink.warn(format!("{tool} of {root} is not run from here; run it there, or nothing changes"));
    Ok(())
}
