//! Compiles the release keys (`keys/*.asc`) into the program as its built-in trust anchors.
//!
//! `DEMISTO_INSTALL_KEYS_DIR` names another directory; a build for one customer or one test uses it.

#![allow(clippy::disallowed_methods, reason = "build scripts run on the developer's machine")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed=DEMISTO_INSTALL_KEYS_DIR");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let dir = env::var_os("DEMISTO_INSTALL_KEYS_DIR").map_or_else(|| root.join("keys"), PathBuf::from);
    println!("cargo::rerun-if-changed={}", dir.display());
    let mut table = String::from("&[\n");
    for key in key_files(&dir)? {
        println!("cargo::rerun-if-changed={}", key.display());
        let name = key.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let _ = writeln!(
            table,
            "    ({name:?}, include_bytes!({:?})),",
            fs::canonicalize(&key)?.display().to_string()
        );
    }
    table.push_str("]\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("builtin_keys.rs"), table)
}

/// The `.asc` files of `dir`, sorted so that builds are reproducible.
fn key_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut keys: Vec<PathBuf> =
        fs::read_dir(dir)?.map(|e| e.map(|e| e.path())).collect::<io::Result<_>>()?;
    keys.retain(|p| p.extension().is_some_and(|e| e == "asc"));
    keys.sort();
    Ok(keys)
}
