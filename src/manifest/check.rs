//! Rules that tie the parts of a manifest together. What passes here can be laid out without
//! looking outside the payload or the installation directory.

use std::collections::HashMap;

use super::{Container, Entry, Error, Health, Kind, Manifest, Place, Result, Unit, Upgrades};
use crate::bundle::{MAX_CONTENT, MAX_FRAME};
use crate::product;
use crate::types::{RelPath, is_printable_char};
use crate::verify::{ROTATIONS_LIMIT, Rotation};

/// More than any product has; each entry costs memory.
const MAX_ENTRIES: usize = 300_000;
const MAX_TEXT: usize = 1 << 20;

fn bad<T>(what: impl Into<String>, why: &'static str) -> Result<T> {
    Err(Error::Inconsistent { what: what.into(), why })
}

pub(super) fn consistent(manifest: &Manifest) -> Result<()> {
    words(&manifest.product, &manifest.title, &manifest.upgrades, &manifest.health)?;
    rotations(&manifest.rotations)?;
    let Some(container) = &manifest.container else {
        return bad("stub, payload and frames", "one is missing or of the wrong kind");
    };
    let Some(eula) = &manifest.eula else { return bad("eula", "it is missing") };
    let starts = frames(container)?;
    content(&manifest.config, &manifest.units, eula, &manifest.entries)?;
    manifest.entries.iter().try_for_each(|entry| inside(container, entry, &starts))
}

/// Whether what a release lays out can be laid out, whatever it comes in: the texts of the default
/// configuration and the units, and the entries, but for the places of their content.
///
/// # Errors
/// When a rule is broken.
pub fn content(config: &str, units: &[Unit], eula: &RelPath, entries: &[Entry]) -> Result<()> {
    if config.len() > MAX_TEXT {
        return bad("config", "it is too long");
    }
    for unit in units {
        if !product::is_unit_name(&unit.name) || unit.text.len() > MAX_TEXT {
            return bad(
                &unit.name,
                "a unit is named NAME.service or NAME.timer, and no NAME begins with d1_",
            );
        }
    }
    tree(entries)?;
    let eula = entries.iter().find(|entry| entry.path == *eula);
    match eula.map(|entry| &entry.kind) {
        Some(Kind::File { size, .. }) if *size <= MAX_CONTENT => Ok(()),
        _ => bad("eula", "it names no file of the payload"),
    }
}

/// Rules for what a release says about itself, whatever it came in.
pub(super) fn words(product: &str, title: &str, upgrades: &Upgrades, health: &Health) -> Result<()> {
    if !product::is_word(product) {
        return bad("product", "it must be letters, digits, - and _");
    }
    if title.is_empty() || title.len() > 120 || !title.chars().all(is_printable_char) {
        return bad("title", "it must be 1 to 120 printable bytes");
    }
    if upgrades.from > upgrades.to {
        return bad("upgrades", "from is later than to");
    }
    if !health.path.starts_with('/') || health.path.bytes().any(|b| !b.is_ascii_graphic()) {
        return bad("health path", "it must begin with / and hold printable characters without spaces");
    }
    if health.version_key.as_ref().is_some_and(|key| !product::is_word(key)) {
        return bad("health version key", "it must be letters, digits, - and _");
    }
    Ok(())
}

/// Whether the statements are well-formed; who may make them is judged with the keys of a host.
pub(super) fn rotations(rotations: &[Rotation]) -> Result<()> {
    if rotations.len() > ROTATIONS_LIMIT {
        return bad("rotations", "there are more than 8");
    }
    for (number, rotation) in rotations.iter().enumerate() {
        if let Err(why) = rotation.check() {
            return bad(format!("rotation {number}"), why);
        }
    }
    Ok(())
}

/// Checks that the frames fill the payload without gap; gives where each one's content begins.
fn frames(container: &Container) -> Result<Vec<u64>> {
    let (mut offset, mut content) = (0_u64, 0_u64);
    let mut starts = Vec::with_capacity(container.frames.len());
    for (number, frame) in container.frames.iter().enumerate() {
        let what = || format!("frame {number}");
        if frame.offset != offset {
            return bad(what(), "it does not begin where the one before ends");
        }
        if frame.length == 0 || frame.length > MAX_FRAME || frame.content_length > MAX_CONTENT {
            return bad(what(), "its length is out of range");
        }
        starts.push(content);
        let next = offset.checked_add(frame.length).zip(content.checked_add(frame.content_length));
        (offset, content) = next.map_or_else(|| bad(what(), "its length is out of range"), Ok)?;
    }
    if offset != container.payload.length || content != container.payload.content_length {
        return bad("payload", "its length is not the sum of its frames");
    }
    Ok(starts)
}

/// Entries are sorted, each is there once, what holds one is a directory, and links stay inside.
pub(super) fn tree(entries: &[Entry]) -> Result<()> {
    if entries.len() > MAX_ENTRIES {
        return bad("entries", "there are too many");
    }
    let mut dirs: HashMap<&RelPath, bool> = HashMap::new();
    let mut last: Option<&RelPath> = None;
    for entry in entries {
        if last.is_some_and(|last| last.as_str() >= entry.path.as_str()) {
            return bad(entry.path.as_str(), "entries must be sorted by path, each once");
        }
        last = Some(&entry.path);
        if let Some(parent) = entry.path.parent()
            && dirs.get(&parent) != Some(&true)
        {
            return bad(entry.path.as_str(), "its directory is no directory of the payload");
        }
        dirs.insert(&entry.path, matches!(entry.kind, Kind::Dir { .. }));
        if let Kind::Symlink { target } = &entry.kind {
            link_stays_inside(&entry.path, target)?;
        }
    }
    Ok(())
}

/// Whether the content of a file lies inside the payload.
fn inside(container: &Container, entry: &Entry, starts: &[u64]) -> Result<()> {
    match &entry.kind {
        Kind::Dir { .. } | Kind::Symlink { .. } => Ok(()),
        Kind::File { size, at: Place { frame, offset }, .. } => {
            let what = entry.path.as_str();
            if *size == 0 {
                return Ok(());
            }
            let (Some(start), Some(holder)) = (starts.get(*frame), container.frames.get(*frame)) else {
                return bad(what, "its frame does not exist");
            };
            let end = start.checked_add(*offset).and_then(|begin| begin.checked_add(*size));
            if *offset >= holder.content_length
                || end.is_none_or(|end| end > container.payload.content_length)
            {
                return bad(what, "its content lies outside the payload");
            }
            Ok(())
        }
    }
}

/// A link's target is relative and never leaves the tree: `..` stands only at its beginning, where it leads up
/// through real directories. Behind a name it could lead up from where another link leads.
fn link_stays_inside(path: &RelPath, target: &str) -> Result<()> {
    let broken = |why| bad(path.as_str(), why);
    if target.is_empty()
        || target.len() > 1024
        || target.starts_with('/')
        || !target.chars().all(is_printable_char)
    {
        return broken("its target must be a relative path");
    }
    let mut parts = target.split('/').filter(|part| !matches!(*part, "" | "."));
    let up = parts.by_ref().take_while(|part| *part == "..").count();
    if up > path.as_str().matches('/').count() {
        return broken("its target leaves the installation directory");
    }
    if parts.any(|part| part == "..") {
        return broken("its target has .. behind a name");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_leave_are_refused() {
        let check = |path: &str, target: &str| link_stays_inside(&path.parse().unwrap(), target).is_ok();
        assert!(check("a", "b"));
        assert!(check("lib/x/y", "../../bin/y"));
        assert!(!check("a", "../etc/passwd"));
        assert!(!check("lib/a", "../../etc"));
        assert!(!check("a", "/etc/passwd"));
        assert!(check("lib/a", ".././bin//y"));
        assert!(!check("a", "b/../../c"));
        assert!(!check("lib/x/a", "b/../c"));
        assert!(!check("lnk", "s/s/s/s/../../../../etc/passwd"));
        assert!(!check("a", ""));
        assert!(!check("a", "b\u{202e}c"));
    }
}
