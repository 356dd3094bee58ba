//! Packages whose payload is large, or says to be: memory stays bounded, and what holds more than its signed header
//! says is refused.

use std::fs;
use std::io::{Read as _, repeat};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ::rpm::{IndexData, Package};
use demisto_install::types::Digest;

use crate::makeself::status;
use crate::support::installer::{PROGRAM, Root, Tree, Vendor, noise, said};
use crate::support::pgp::{Gpg, NOW};
use crate::verdicts::{RSA, edited, signed};

/// Most memory that a run may take, in KiB.
const MOST: u64 = 64 << 10;
/// The payload's digest in the header (rpm, `lib/rpmtag.h`), and that of the archive in it.
const PAYLOAD_SHA256: u32 = 5092;
const ARCHIVE_SHA256: u32 = 5097;

fn verify(package: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("verify").arg(package).arg("--key").arg(Vendor::get().file("release.asc"));
    command
}

fn install(package: &Path, root: &Root) -> Command {
    let mut command = Vendor::get().offer("install", package, root.path());
    command.arg("--admin-password-file").arg(Vendor::get().file("password"));
    command
}

/// The most memory that a run had, in KiB, as often as it could be asked.
fn peak(run: &mut Child) -> u64 {
    let mut most = 0;
    while run.try_wait().unwrap().is_none() {
        let now = status(run.id(), "VmHWM").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        most = now.unwrap_or_default().max(most);
        std::thread::sleep(Duration::from_millis(2));
    }
    most
}

/// Runs it; gives its output's words, its status and the most memory that it had.
fn watch(command: &mut Command) -> (String, Option<i32>, u64) {
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let most = peak(&mut run);
    let output = run.wait_with_output().unwrap();
    (said(&output), output.status.code(), most)
}

#[test]
fn memory_stays_small_whatever_the_size() {
    let tree = Tree::new();
    tree.put("lib/zeros.bin", &vec![0; 100 << 20]);
    tree.put("lib/noise.bin", &noise(20 << 20));
    for number in 0..300 {
        tree.put(&format!("web/{number}.bin"), &vec![1; 100_000]);
    }
    for compression in ["zstd", "gzip"] {
        let options = ["--format", "rpm", "--compression", compression, "--level", "1"];
        let package = tree.pack(&format!("large-{compression}.rpm"), &options);
        let root = Root::furnished();
        for command in [&mut verify(&package), &mut install(&package, &root)] {
            let (text, code, most) = watch(command);
            assert_eq!(code, Some(0), "{text}");
            assert!((1..MOST).contains(&most), "{compression}: {most} KiB");
        }
        let laid_out = |name: &str| fs::read(root.at("usr/local/demisto").join(name)).unwrap();
        assert!(laid_out("lib/zeros.bin") == vec![0; 100 << 20]);
        assert!(laid_out("lib/noise.bin") == noise(20 << 20));
        assert!((0..300).all(|number| laid_out(&format!("web/{number}.bin")) == vec![1; 100_000]));
        fs::remove_file(package).unwrap();
    }
}

#[test]
fn every_name_of_a_file_gets_its_content() {
    let tree = Tree::new();
    let name = |number: usize| format!("lib/again-{number}");
    for number in 0..200 {
        tree.hard_link(&name(number), "lib/module-1");
    }
    let package = tree.pack("many-names.rpm", &["--format", "rpm"]);
    let root = Root::furnished();
    let output = install(&package, &root).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    for number in 0..200 {
        let content = fs::read(root.at("usr/local/demisto").join(name(number))).unwrap();
        assert_eq!(content, b"module 1\n", "{number}");
    }
}

#[test]
fn a_failed_write_ends_it_and_all_goes_back() {
    let package = Tree::new().pack("failing.rpm", &["--format", "rpm"]);
    let root = Root::furnished();
    let output =
        install(&package, &root).env("DEMISTO_INSTALL_FAULT_LOG", root.at("points")).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let points = fs::read_to_string(root.at("points")).unwrap();
    let writes: Vec<&str> = points.lines().filter(|line| line.ends_with("write content")).collect();
    assert_eq!(writes.len(), 11, "{points}");
    for write in [writes[0], writes[5], writes[10]] {
        let number = write.split(' ').next().unwrap();
        let root = Root::furnished();
        let before = root.snapshot();
        let no_space = format!("{number}:28");
        let output = install(&package, &root).env("DEMISTO_INSTALL_FAULT_AT", no_space).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains("No space left"), "{}", said(&output));
        assert_eq!(before, root.snapshot());
    }
}

/// A good package with another payload, which is the one that its header and its signature vouch for.
fn with_payload(name: &str, payload: Vec<u8>) -> PathBuf {
    let gpg = Gpg::new();
    let mut package = Package::open(Tree::new().pack(&format!("good-{name}"), &["--format", "rpm"])).unwrap();
    let digest = Digest::of(&payload).to_string();
    package.payload = payload;
    package.metadata.header = edited(&package, |tag, data| match tag {
        PAYLOAD_SHA256 => IndexData::StringArray(vec![digest.clone()]),
        ARCHIVE_SHA256 => IndexData::Null,
        _ => data,
    });
    let header = gpg.file("header", &package.header_bytes().unwrap());
    let secret = Vendor::get().file("release.key");
    gpg.run(NOW, &["--import", secret.to_str().unwrap()]);
    let signature = gpg.run(NOW, &["--output", "-", "--detach-sign", header.to_str().unwrap()]);
    let path = Vendor::get().file(name);
    fs::write(&path, signed(&package, &[(RSA, IndexData::Bin(signature))], true)).unwrap();
    path
}

fn archive() -> Vec<u8> {
    let package = Package::open(Tree::new().pack("archive.rpm", &["--format", "rpm"])).unwrap();
    zstd::decode_all(package.payload.as_slice()).unwrap()
}

/// `start`, and half a gibibyte of zeros behind it.
fn bomb(start: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    zstd::stream::copy_encode(start.chain(repeat(0).take(512 << 20)), &mut packed, 1).unwrap();
    packed
}

/// A frame whose content can only be had with a gibibyte of memory (RFC 8878, 3.1.1.1.2), announced in its header.
fn wide(content: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(30).unwrap();
    encoder.long_distance_matching(false).unwrap();
    std::io::copy(&mut &content[..], &mut encoder).unwrap();
    encoder.finish().unwrap()
}

/// With a byte of the largest file changed, which only the comparison with that file's digest finds.
fn changed(mut archive: Vec<u8>) -> Vec<u8> {
    let start = noise(64);
    let from = archive.windows(64).position(|window| window == start).unwrap();
    archive[from + (3 << 20)] ^= 1;
    archive
}

#[test]
fn a_payload_that_is_not_what_its_header_says_is_refused() {
    let archive = archive();
    let good = with_payload("as-said.rpm", zstd::encode_all(archive.as_slice(), 1).unwrap());
    let root = Root::furnished();
    let (text, code, _) = watch(&mut install(&good, &root));
    assert_eq!(code, Some(0), "{text}");
    // what is read of the payload to verify a package ends with its last text
    for (name, payload, early) in [
        ("zeros", bomb(&[]), true),
        ("behind-its-end", bomb(&archive), false),
        ("changed", zstd::encode_all(changed(archive.clone()).as_slice(), 1).unwrap(), false),
        ("wide", wide(&archive), true),
        ("cut", zstd::encode_all(&archive[..archive.len() / 2], 1).unwrap(), true),
    ] {
        let package = with_payload(&format!("{name}.rpm"), payload);
        let root = Root::furnished();
        let before = root.snapshot();
        let (text, code, most) = watch(&mut install(&package, &root));
        assert_eq!(code, Some(3), "{name}: {text}");
        assert!((1..MOST).contains(&most), "{name}: {most} KiB");
        assert_eq!(before, root.snapshot(), "{name} left something");
        let (text, code, most) = watch(&mut verify(&package));
        assert_eq!(code, Some(if early { 3 } else { 0 }), "{name}: {text}");
        assert!((1..MOST).contains(&most), "{name}: {most} KiB");
    }
}
