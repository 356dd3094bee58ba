//! The product description: what the tree itself does not say.

use std::path::Path;

use serde::Deserialize;

use super::{Error, Result};
use crate::manifest::{Health, Requirements, Unit, Upgrades};
use crate::product::{Owner, Role};
use crate::sys;
use crate::types::{Mode, RelPath, Version, is_printable_char};

const LIMIT: u64 = 1 << 20;

/// A product description, format 1: a TOML file. Paths in it are relative to its own directory,
/// but for `eula` and `files`, which name files of the tree.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    format: u32,
    /// The product's short name.
    pub product: String,
    /// The name shown to people.
    pub title: String,
    /// Server or engine.
    pub role: Role,
    /// The release's version.
    pub version: Version,
    /// The release's build number.
    pub build: u64,
    /// Security epoch.
    pub epoch: u64,
    /// Number of the data's form.
    #[serde(default)]
    pub schema: u64,
    /// The licence agreement.
    pub eula: RelPath,
    config: Option<String>,
    #[serde(default)]
    units: Vec<String>,
    #[serde(default = "slash")]
    health_path: String,
    health_version: Option<String>,
    /// Who makes it; for packages.
    pub vendor: Option<String>,
    /// The licence in a word or two; for packages.
    #[serde(default = "proprietary")]
    pub licence: String,
    /// What it is, in one line; for packages. The title unless given.
    pub summary: Option<String>,
    /// Versions that it may replace.
    pub upgrades: Upgrades,
    /// What the host should have.
    pub requirements: Requirements,
    /// Exceptions from the tree's own modes, and from root's ownership.
    #[serde(default)]
    pub files: Vec<FileRule>,
    /// Text of the default configuration.
    #[serde(skip)]
    pub config_text: String,
    /// Texts of the units.
    #[serde(skip)]
    pub unit_texts: Vec<Unit>,
}

/// An exception for one path of the tree.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRule {
    /// The path.
    pub path: RelPath,
    /// Its mode.
    pub mode: Option<Mode>,
    /// Its owner.
    pub owner: Option<Owner>,
}

fn slash() -> String {
    "/".to_owned()
}

fn proprietary() -> String {
    "Proprietary".to_owned()
}

impl Description {
    /// Reads a description and the files that it names.
    ///
    /// # Errors
    /// When one cannot be read or is unfit.
    pub fn load(path: &Path) -> Result<Self> {
        let bad = |why: String| Error::Description { path: path.to_owned(), why };
        let text = |path: &Path| {
            String::from_utf8(sys::fs::read_limited(path, LIMIT)?)
                .map_err(|_| bad(format!("{} is not UTF-8", path.display())))
        };
        let mut description: Self = toml::from_str(&text(path)?).map_err(|e| bad(e.to_string()))?;
        if description.format != 1 {
            return Err(bad(format!("format {} is unknown, 1 is read", description.format)));
        }
        let beside = |name: &str| -> Result<String> {
            let name: RelPath = name.parse()?;
            text(&path.parent().unwrap_or(Path::new(".")).join(name.as_path()))
        };
        let lines =
            [description.vendor.as_deref(), Some(&description.licence), description.summary.as_deref()];
        if lines
            .iter()
            .flatten()
            .any(|line| !(1..=120).contains(&line.len()) || !line.chars().all(is_printable_char))
        {
            return Err(bad("vendor, licence and summary are 1 to 120 printable bytes".to_owned()));
        }
        description.config_text = match &description.config {
            Some(name) => beside(name)?,
            None => "{}\n".to_owned(),
        };
        match serde_json::from_str::<serde_json::Value>(&description.config_text) {
            Ok(value) if value.is_object() => {}
            Ok(_) => return Err(bad("the default configuration is no JSON object".to_owned())),
            Err(e) => return Err(bad(format!("the default configuration is no JSON: {e}"))),
        }
        for name in &description.units {
            let text = beside(name)?;
            let name = name.rsplit('/').next().unwrap_or(name).to_owned();
            description.unit_texts.push(Unit { name, text, dir: None });
        }
        Ok(description)
    }

    /// How to tell that the service works.
    #[must_use]
    pub fn health(&self) -> Health {
        Health { path: self.health_path.clone(), version_key: self.health_version.clone() }
    }
}
