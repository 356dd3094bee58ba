//! What this release is, from `version.json` beside the program.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use serde::Deserialize;

use super::{files, under};

/// Where the program and its data files lie.
pub(crate) const HOME: &str = "/usr/local/demisto";

/// The content of `version.json`.
#[derive(Deserialize)]
pub(crate) struct Release {
    pub(crate) product: String,
    pub(crate) version: String,
    pub(crate) build: u64,
    pub(crate) schema: u64,
    #[serde(default)]
    pub(crate) fault: Option<Fault>,
}

/// What a release made for tests does wrong.
#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    Crash,
    Hang,
    NoPort,
    WrongVersion,
    SlowStart,
    /// A self-test fails: the FIPS error state, in which nothing starts.
    FipsFail,
    /// No self-tests are run, and none is logged.
    FipsSilent,
}

impl Release {
    /// Reads `version.json`: beside the program, or for a program run from elsewhere below `root`.
    pub(crate) fn load(root: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot tell where this program is")?;
        let beside = program.with_file_name("version.json");
        let path = if beside.exists() { beside } else { under(root, HOME).join("version.json") };
        let text = files::read_if_there(&path)?.ok_or_else(|| anyhow!("{} is missing", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))
    }

    /// Version and build in one word.
    pub(crate) fn full(&self) -> String {
        format!("{}-{}", self.version, self.build)
    }

    /// One line for `--version`.
    pub(crate) fn describe(&self, what: &str) -> String {
        let Self { product, version, build, schema, .. } = self;
        format!("{product} {what} {version} (build {build}, data schema {schema}, reference product)")
    }

    /// Whether this release is made to fail that way.
    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }
}
