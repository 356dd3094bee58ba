//! What the reference server and the reference engine have in common.

pub(crate) mod conf;
pub(crate) mod files;
pub(crate) mod log;
pub(crate) mod pem;
pub(crate) mod release;
pub(crate) mod selftest;
pub(crate) mod signals;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use openssl::rand::rand_bytes;

use log::Log;
use release::{Fault, Release};

/// Where an absolute path of the product lies below `root`.
pub(crate) fn under(root: &Path, path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Writes the lines that every start of the product begins with; fails in the FIPS error state.
pub(crate) fn announce(log: &Log, what: &str, release: &Release) -> anyhow::Result<()> {
    log.info(format!("Starting {what}, version {} run id: {}", release.full(), run_id()?));
    if release.has(Fault::FipsSilent) {
        return Ok(());
    }
    let tested = if release.has(Fault::FipsFail) { Err("SHA-256") } else { selftest::run() };
    if let Err(error) = tested {
        bail!("FIPS-CC self-tests failed: {error}. FIPS error state");
    }
    log.info("FIPS-CC self-tests passed. FIPS-CC mode enabled successfully.");
    Ok(())
}

/// A random (version 4) UUID.
fn run_id() -> anyhow::Result<String> {
    let mut bytes = [0u8; 16];
    rand_bytes(&mut bytes).context("cannot get random bytes")?;
    let number = (u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{number:032x}");
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    Ok(parts.map(|(from, to)| hex.get(from..to).unwrap_or_default()).join("-"))
}
