//! The files of a release outside its tree and its configuration.

use std::collections::{BTreeMap, BTreeSet};

use super::install::{ancestors, host_files, unit_path, units};
use super::{Error, Plan, Result, Step};
use crate::host::Survey;
use crate::manifest::{Manifest, Unit};
use crate::product::{Owner, Site};
use crate::types::Mode;

/// The texts of files that exist, by path.
pub(super) type Texts = BTreeMap<String, String>;

/// Their mode; root owns them.
pub const FILE_MODE: Mode = Mode::new(0o644);

/// A file that the installation of a release writes outside the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFile {
    /// Its path.
    pub path: String,
    /// Its text.
    pub text: String,
    /// What it is for.
    pub why: &'static str,
    /// Time of its last change, where a package says it.
    pub modified: Option<i64>,
}

impl HostFile {
    /// The directories above it, topmost first.
    #[must_use]
    pub fn above(&self) -> Vec<String> {
        ancestors(&self.path)
    }

    /// Whether it lies there already as it should: with its text, and with its time where a package says one. That
    /// time is known of a file only that came with `now`, the release that is installed.
    pub(super) fn is_there(&self, now: &[Self], texts: &Texts) -> bool {
        let timely = |now: &Self| now.path == self.path && now.modified == self.modified;
        texts.get(&self.path) == Some(&self.text) && (self.modified.is_none() || now.iter().any(timely))
    }

    /// The step that writes it.
    pub(super) fn write(self, plan: &mut Plan) {
        let Self { path, text, why, modified } = self;
        plan.push(Step::WriteFile { path, owner: Owner::Root, mode: FILE_MODE, text, modified }, why);
    }
}

/// All of them: this program's own, and the release's.
#[must_use]
pub fn files_outside(manifest: &Manifest, site: &Site) -> Vec<HostFile> {
    let own = host_files().into_iter().map(|(path, text, why)| HostFile {
        path: path.to_owned(),
        text: text.to_owned(),
        why,
        modified: None,
    });
    let brought = of_release(manifest, site);
    let own = own.filter(|own| !brought.iter().any(|file| file.path == own.path)).collect::<Vec<_>>();
    own.into_iter().chain(brought).collect()
}

/// Those that the release brings.
pub(super) fn of_release(manifest: &Manifest, site: &Site) -> Vec<HostFile> {
    let units = units(manifest, site).into_iter().filter(|unit| !is_packaged(unit)).map(|unit| HostFile {
        path: unit.path(),
        text: unit.text,
        why: "the service's unit, from the release",
        modified: None,
    });
    units.chain(packaged(manifest, site)).collect()
}

/// Those that lie where the package says. A named engine shares the host with others of its kind, so it has none.
pub(super) fn packaged(manifest: &Manifest, site: &Site) -> Vec<HostFile> {
    if site.name().is_some() {
        return Vec::new();
    }
    let file = |file: &crate::manifest::Outside| HostFile {
        path: file.path.clone(),
        text: file.text.clone(),
        why: "the package brings it",
        modified: Some(file.modified),
    };
    manifest.outside.iter().map(file).collect()
}

/// Enabled units that lie elsewhere in the release that comes than in the one that goes. What enables one is a
/// link to its place: it goes before the files change, and comes when they have.
pub(super) fn moved<'a>(
    [now, next]: [Option<&Manifest>; 2],
    site: &Site,
    enabled: &'a BTreeSet<String>,
) -> Vec<&'a String> {
    enabled.iter().filter(|unit| place(now, site, unit) != place(next, site, unit)).collect()
}

/// Where a unit of a release lies; where those of the host do, if it brings none of that name.
pub(super) fn place(manifest: Option<&Manifest>, site: &Site, name: &str) -> String {
    let units = manifest.map_or_else(Vec::new, |manifest| units(manifest, site));
    let unit = units.iter().find(|unit| unit.name == name).map(Unit::path);
    unit.unwrap_or_else(|| unit_path(name))
}

pub(super) fn disable(moved: &[&String], plan: &mut Plan) {
    for unit in moved {
        plan.push(Step::DisableUnit { unit: (*unit).clone() }, MOVED);
    }
}

pub(super) fn enable(moved: &[&String], plan: &mut Plan) {
    for unit in moved {
        plan.push(Step::EnableUnit { unit: (*unit).clone() }, MOVED);
    }
}

const MOVED: &str = "its unit lies elsewhere in the other release";

/// Whether those that a package brings have their places free, or the same text is there. What `ours` names came
/// with the installed release; anything else in such a place belongs to the administrator or another package.
pub(super) fn are_free(new: &[HostFile], survey: &Survey, texts: &Texts, ours: &[String]) -> Result<()> {
    let taken = |file: &&HostFile| {
        survey.present.contains(&file.path)
            && texts.get(&file.path) != Some(&file.text)
            && !ours.contains(&file.path)
    };
    let taken: Vec<&str> = new.iter().filter(taken).map(|file| file.path.as_str()).collect();
    if taken.is_empty() { Ok(()) } else { Err(Error::Taken { paths: taken.join(", ") }) }
}

/// Paths of all files outside the tree that come with a release: those in their places are replaced.
pub(super) fn paths_of(manifest: &Manifest, site: &Site) -> Vec<String> {
    files_outside(manifest, site).into_iter().map(|file| file.path).collect()
}

/// Paths of those that lie where a package says.
#[must_use]
pub fn packaged_files(manifest: &Manifest, site: &Site) -> Vec<String> {
    packaged(manifest, site).into_iter().map(|file| file.path).collect()
}

/// A package says of each of its units where it lies, and brings it as a file, too.
fn is_packaged(unit: &Unit) -> bool {
    unit.dir.is_some()
}
