//! Reads a package that was built as a host will, before anybody signs it.

use std::io::Read as _;

use crate::archive;
use crate::manifest::{self, Texts, Unverified};
use crate::pack::{Error, Result};
use crate::rpmfile::{self, Cpio, Kind, Package};
use crate::sys;
use crate::types::{Digest, Hasher};

/// Compares every file with the header's digest of it: one that was changed while the package was
/// built differs. What is left must make a release.
pub(super) fn check(header: &[u8], payload: &[u8]) -> Result<()> {
    let package = Package::parse(header)?;
    if package.payload.sha256 != Some(Digest::of(payload)) {
        return Err(Error::Builder("the payload is not the one that its header describes"));
    }
    let wanted = manifest::texts_of(&package)?;
    let limit = rpmfile::content_limit(&package.files);
    let reader = archive::reader(package.payload.method, payload, limit).map_err(rpmfile::Error::Read)?;
    let mut archive = Cpio::new(reader, &package.files, package.payload.large);
    let mut texts = Texts::new();
    while let Some(member) = archive.next()? {
        if let Some(signal) = sys::signal::pending() {
            return Err(Error::Interrupted(signal));
        }
        let Some(file) = package.files.get(member.index) else { continue };
        let Kind::File { sha256, size } = file.kind else { continue };
        if member.size != size {
            continue; // a hard link, whose content comes with another
        }
        let mut text = Vec::new();
        let keep = wanted.contains(&member.index).then_some(&mut text);
        if content(&mut archive, keep)? != sha256 {
            let why = "it changed while it was packed".to_owned();
            return Err(Error::Tree { path: file.path.clone().into(), why });
        }
        if wanted.contains(&member.index) {
            texts.insert(file.path.clone(), text);
        }
    }
    Unverified::of_package(&package, &texts)?;
    Ok(())
}

/// The digest of the current member's content.
fn content<R: std::io::Read>(archive: &mut Cpio<R>, mut keep: Option<&mut Vec<u8>>) -> Result<Digest> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = archive.read(&mut buffer).map_err(rpmfile::Error::Read)?;
        let piece = buffer.get(..count).unwrap_or_default();
        if piece.is_empty() {
            return Ok(hasher.finish());
        }
        hasher.update(piece);
        if let Some(text) = &mut keep {
            text.extend_from_slice(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use ::rpm::{BuildConfig, CompressionType, FileOptions, PackageBuilder};

    use super::*;

    fn built(name: &str, content: &str) -> (Vec<u8>, Vec<u8>) {
        let mut builder = PackageBuilder::new(name, "6.14.0", "Proprietary", "x86_64", "Sample");
        builder.using_config(BuildConfig::v4().compression(CompressionType::Gzip).source_date(1_780_000_000));
        builder.with_file_contents(content, FileOptions::new("/usr/local/demisto/server")).unwrap();
        let package = builder.build().unwrap();
        (package.header_bytes().unwrap(), package.payload)
    }

    #[test]
    fn what_hosts_would_refuse_is_not_signed() {
        let (header, payload) = built("demistoserver", "one");
        check(&header, &payload).unwrap();
        let (_, other) = built("demistoserver", "two");
        assert!(matches!(check(&header, &other), Err(Error::Builder(_))));
        let (header, payload) = built("something", "one");
        assert!(matches!(check(&header, &payload), Err(Error::Manifest(_))));
    }
}
