//! What of the release lies outside its tree, and what the system keeps about it.

use std::collections::HashSet;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::{Drift, attributes_drift, of, tree};
use crate::host::{self, Accounts};
use crate::manifest::Manifest;
use crate::plan::{self, HostFile};
use crate::product::{self, Site};
use crate::service;
use crate::sys;
use crate::sys::dir::{Dir, Kind};
use crate::sys::process::{self, Tool};
use crate::types::RelPath;

/// All that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The differences, those in the tree first.
    pub drift: Vec<Drift>,
    /// How many things were compared: entries of the tree, and files outside it.
    pub compared: usize,
    /// How many files in the installation directory are not the release's.
    pub kept: usize,
}

/// Compares the tree, the files outside it, the unit's enablement, the account, and the labels where
/// SELinux is on.
///
/// # Errors
/// When something cannot be looked at.
pub fn all(root: &Path, site: &Site, manifest: &Manifest, owners: bool) -> Result<Found> {
    let mut drift = of(root, site, manifest, owners)?;
    let files = plan::files_outside(manifest, site);
    for file in &files {
        if let Some(what) = file_drift(root, file, owners)? {
            drift.push(Drift { path: file.path.clone(), what });
        }
    }
    if let Some(unit) = plan::unit_of(manifest, site)
        && !service::is_enabled(root, &unit)
    {
        drift.push(Drift { path: format!("{}/{unit}", product::UNIT_DIR), what: "enablement" });
    }
    if owners {
        let accounts = Accounts::look_up(root, product::SERVICE_USER)?;
        for (file, id) in [("/etc/passwd", accounts.uid), ("/etc/group", accounts.gid)] {
            if id.is_none() {
                drift.push(Drift { path: file.to_owned(), what: "account" });
            }
        }
    }
    if root == Path::new("/") && host::facts().selinux {
        labels(site, manifest, &mut drift)?;
    }
    let compared = manifest.entries.len().saturating_add(files.len());
    Ok(Found { drift, compared, kept: kept(root, site, manifest)? })
}

fn file_drift(root: &Path, file: &HostFile, owners: bool) -> Result<Option<&'static str>> {
    let (parent, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let dir = match Dir::open_in(root, parent) {
        Err(e) if e.is_not_found() => return Ok(Some("missing")),
        other => other?,
    };
    let Some(stat) = dir.stat(name)? else { return Ok(Some("missing")) };
    if stat.kind != Kind::File {
        return Ok(Some("kind"));
    }
    if stat.size != file.text.len() as u64 {
        return Ok(Some("content"));
    }
    let mut text = Vec::new();
    let mut limited = dir.open_file(name)?.take(stat.size.saturating_add(1));
    limited.read_to_end(&mut text).map_err(|e| sys::Error::new("read", &dir.path_of(name), e))?;
    if text != file.text.as_bytes() {
        return Ok(Some("content"));
    }
    Ok(attributes_drift(stat, plan::FILE_MODE.bits(), owners))
}

/// Asks restorecon(8) what it would change. Labels of files that are not the release's are theirs.
fn labels(site: &Site, manifest: &Manifest, drift: &mut Vec<Drift>) -> Result<()> {
    if process::find("restorecon").is_none() {
        return Ok(());
    }
    let tree = site.tree();
    let tool = Tool::system("restorecon")?.args(["-n", "-v", "-R", "--", &tree]);
    let text = tool.timeout(Duration::from_secs(600)).check()?.text();
    let known: HashSet<String> = drift.iter().map(|drift| drift.path.clone()).collect();
    for path in text.lines().filter_map(would_relabel) {
        let inner = path.strip_prefix(&tree).map(|rest| rest.trim_start_matches('/'));
        let inner = match inner {
            None => continue,
            Some("") => ".",
            Some(inner) => inner,
        };
        let ours =
            inner == "." || manifest.entries.binary_search_by(|entry| entry.path.as_str().cmp(inner)).is_ok();
        if ours && !known.contains(inner) {
            drift.push(Drift { path: inner.to_owned(), what: "label" });
        }
    }
    Ok(())
}

/// The path that a line of `restorecon -n -v` is about: `Would relabel PATH from OLD to NEW`, before
/// version 2.9 `restorecon reset PATH context OLD->NEW`. Anything else is about nothing.
fn would_relabel(line: &str) -> Option<&str> {
    let is_context = |text: &str| text.contains(':') && !text.contains(char::is_whitespace);
    let (path, old, new) = if let Some(rest) = line.strip_prefix("Would relabel ") {
        let (rest, new) = rest.rsplit_once(" to ")?;
        let (path, old) = rest.rsplit_once(" from ")?;
        (path, old, new)
    } else {
        let (path, change) = line.strip_prefix("restorecon reset ")?.rsplit_once(" context ")?;
        let (old, new) = change.split_once("->")?;
        (path, old, new)
    };
    let unlabelled = old == "<no context>";
    (path.starts_with('/') && (is_context(old) || unlabelled) && is_context(new)).then_some(path)
}

/// Counts the files in the installation directory that the release does not own. No link is followed
/// and no other file system entered.
fn kept(root: &Path, site: &Site, manifest: &Manifest) -> Result<usize> {
    let Ok(top) = tree(root, &site.tree())? else { return Ok(0) };
    let device = top.stat_self()?.dev;
    let owned: HashSet<&str> = manifest.entries.iter().map(|entry| entry.path.as_str()).collect();
    let mut waiting: Vec<Option<RelPath>> = vec![None];
    let mut count = 0_usize;
    while let Some(path) = waiting.pop() {
        let dir = match &path {
            None => top.try_clone(),
            Some(path) => top.open_beneath(path),
        };
        let Ok(dir) = dir else { continue }; // gone meanwhile
        for name in dir.raw_names()? {
            let Ok(Some(stat)) = dir.stat(&name) else { continue };
            let text = name.to_str().unwrap_or_default();
            let inner = path.as_ref().map_or_else(|| text.to_owned(), |path| format!("{path}/{text}"));
            match (stat.kind, inner.parse::<RelPath>()) {
                (Kind::Dir, Ok(inner)) if stat.dev == device => waiting.push(Some(inner)),
                (Kind::Dir, _) => {}
                (_, Ok(inner)) if owned.contains(inner.as_str()) => {}
                _ => count = count.saturating_add(1),
            }
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restorecon_is_understood_in_both_its_languages() {
        let text = "Would relabel /usr/local/demisto/server from unconfined_u:object_r:user_home_t:s0 to unconfined_u:object_r:usr_t:s0\n\
             Would relabel /usr/local/demisto/a from b to c.txt from system_u:object_r:var_t:s0:c1,c2 to system_u:object_r:usr_t:s0\n\
             restorecon reset /usr/local/demisto/lib/x context unconfined_u:object_r:admin_home_t:s0->unconfined_u:object_r:lib_t:s0\n\
             Would relabel /usr/local/demisto/new from <no context> to system_u:object_r:usr_t:s0\n";
        let found: Vec<&str> = text.lines().filter_map(would_relabel).collect();
        assert_eq!(
            found,
            [
                "/usr/local/demisto/server",
                "/usr/local/demisto/a from b to c.txt",
                "/usr/local/demisto/lib/x",
                "/usr/local/demisto/new"
            ]
        );
    }

    #[test]
    fn what_is_no_such_line_names_nothing() {
        for line in [
            "",
            "Would relabel",
            "Would relabel /usr/local/demisto/server",
            "Would relabel /usr/local/demisto/server from a to b",
            "Would relabel usr/local from a:b to c:d",
            "Relabeled /x from a:b to c:d",
            "restorecon reset /x context a:b",
            "restorecon: Warning no default label for /x",
            "/usr/sbin/restorecon:  lstat(/x) failed:  No such file or directory",
        ] {
            assert_eq!(would_relabel(line), None, "{line}");
        }
    }
}
