//! Reads small files without trusting their size.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::{Context as _, bail};

/// No file that the product reads is longer than this.
pub(crate) const LIMIT: u64 = 1 << 20;

/// The content of a file, or nothing when there is no such file.
pub(crate) fn read_if_there(path: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    match File::open(path) {
        Ok(file) => read(file, path).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot open {}", path.display())),
    }
}

/// Reads an open file to its end.
pub(crate) fn read(file: impl Read, path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(LIMIT + 1)
        .read_to_end(&mut content)
        .with_context(|| format!("cannot read {}", path.display()))?;
    if content.len() as u64 > LIMIT {
        bail!("{} is longer than {LIMIT} bytes", path.display());
    }
    Ok(content)
}
