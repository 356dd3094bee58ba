//! The reader of RPM packages against the real rpmbuild, rpmsign and rpm, and against the packages of
//! another writer, the `rpm` crate.

mod flips;
mod oracle;
pub(crate) mod sample;
mod signed;

use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use demisto_install::archive;
use demisto_install::rpmfile::{Cpio, Envelope, File, Kind, Package, content_limit};
use demisto_install::types::Digest;

use crate::support::pgp::need;

/// Reads the front of a package.
fn envelope(bytes: &[u8]) -> Envelope {
    try_envelope(bytes).unwrap()
}

fn try_envelope(bytes: &[u8]) -> demisto_install::rpmfile::Result<Envelope> {
    let read = |buffer: &mut [u8], at: u64| {
        let at = usize::try_from(at).unwrap();
        buffer.copy_from_slice(&bytes[at..at + buffer.len()]);
        Ok(())
    };
    Envelope::read(bytes.len() as u64, &read)
}

fn package(bytes: &[u8]) -> Package {
    Package::parse(envelope(bytes).header()).unwrap()
}

/// Unpacks a whole package in memory: the content of each file that has its own, in the order of the list.
/// Every digest of the header is compared.
fn contents(bytes: &[u8]) -> Vec<Option<Vec<u8>>> {
    let envelope = envelope(bytes);
    let package = Package::parse(envelope.header()).unwrap();
    let payload = &bytes[usize::try_from(envelope.payload_offset()).unwrap()..];
    assert_eq!(payload.len() as u64, envelope.payload_length());
    assert_eq!(package.payload.sha256, Some(Digest::of(payload)), "the payload's digest");
    let limit = content_limit(&package.files);
    let mut archive = Vec::new();
    archive::reader(package.payload.method, payload, limit).unwrap().read_to_end(&mut archive).unwrap();
    assert_eq!(package.payload.sha256_content, Some(Digest::of(&archive)), "the archive's digest");
    let mut cpio = Cpio::new(archive.as_slice(), &package.files, package.payload.large);
    let mut all = vec![None; package.files.len()];
    while let Some(member) = cpio.next().unwrap() {
        let mut content = Vec::new();
        cpio.read_to_end(&mut content).unwrap();
        assert_eq!(content.len() as u64, member.size);
        if let Kind::File { size, sha256 } = package.files[member.index].kind {
            let carries = package.files[member.index].hard_link.is_none_or(|last| last == member.index);
            assert_eq!(member.size, if carries { size } else { 0 });
            if carries {
                assert_eq!(sha256, Digest::of(&content), "{}", package.files[member.index].path);
                all[member.index] = Some(content);
            }
        }
    }
    all
}

/// Runs a tool, which must succeed; returns its standard output.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// What rpm says about a package file.
fn query(path: &Path, args: &[&str]) -> String {
    need("rpm", "rpm");
    run(Command::new("/usr/bin/rpm").args(["-qp", "--nosignature"]).args(args).arg(path))
}

fn file<'a>(package: &'a Package, path: &str) -> &'a File {
    package.files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("no {path}"))
}
