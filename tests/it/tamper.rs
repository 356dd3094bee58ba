//! A changed installer is refused: whatever byte was changed, added, removed or moved.
//!
//! Every case goes through the program twice, as `verify` and as `install`: exit code 3, and the
//! root stays as it was.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};

use demisto_install::bundle::{
    self, Compression, Decompressor, Error, Frame, Parts, TRAILER_LEN, Trailer, WRAPPER_LEN,
};
use demisto_install::types::Digest;

use crate::support::installer::{Root, Tree, Vendor, run, said, summary};

const REFUSED: Option<i32> = Some(3);
const WORKERS: usize = 2;

/// An installer in memory, cut into its parts.
#[derive(Clone)]
struct Bundle {
    stub: Vec<u8>,
    frames: Vec<Vec<u8>>,
    wrapper: Vec<u8>,
    manifest: Vec<u8>,
    signatures: Vec<u8>,
    trailer: Vec<u8>,
}

impl Bundle {
    fn read(path: &Path) -> Self {
        let mut bytes = fs::read(path).unwrap();
        let mut take = |length: u64| {
            let rest = bytes.split_off(usize::try_from(length).unwrap());
            std::mem::replace(&mut bytes, rest)
        };
        let end: [u8; 80] = fs::read(path).unwrap().last_chunk().copied().unwrap();
        let parts = Trailer::parse(&end, fs::metadata(path).unwrap().len()).unwrap().parts;
        let stub = take(parts.payload_offset);
        let payload = take(parts.payload_length);
        let (wrapper, manifest) = (take(WRAPPER_LEN), take(parts.manifest_length));
        let (signatures, trailer) = (take(parts.signatures_length), take(TRAILER_LEN));
        assert!(bytes.is_empty());
        let cut = |frame: &Frame| {
            let from = usize::try_from(frame.offset).unwrap();
            payload[from..from + usize::try_from(frame.length).unwrap()].to_vec()
        };
        let frames = account(&manifest).iter().map(cut).collect();
        Self { stub, frames, wrapper, manifest, signatures, trailer }
    }

    fn parts(&self) -> Vec<(String, &Vec<u8>)> {
        let mut parts = vec![("stub".to_owned(), &self.stub)];
        parts
            .extend(self.frames.iter().enumerate().map(|(number, frame)| (format!("frame {number}"), frame)));
        let rest = [("wrapper", &self.wrapper), ("manifest", &self.manifest)];
        parts.extend(rest.map(|(name, part)| (name.to_owned(), part)));
        parts.extend([("signatures".to_owned(), &self.signatures), ("trailer".to_owned(), &self.trailer)]);
        parts
    }

    fn bytes(&self) -> Vec<u8> {
        self.parts().into_iter().flat_map(|(_, part)| part.iter().copied()).collect()
    }

    /// With a wrapper and a trailer that fit what it holds now, as only an attacker would write them.
    fn sealed(mut self) -> Self {
        let length = |bytes: &[u8]| bytes.len() as u64;
        let payload_length = self.frames.iter().map(|frame| length(frame)).sum();
        let parts = Parts {
            payload_offset: length(&self.stub),
            payload_length,
            manifest_offset: length(&self.stub) + payload_length + WRAPPER_LEN,
            manifest_length: length(&self.manifest),
            signatures_length: length(&self.signatures),
        };
        self.wrapper = bundle::wrapper(&parts).unwrap().to_vec();
        self.trailer = bundle::seal(&parts, &self.manifest, &self.signatures);
        self
    }

    /// Name and range of every part.
    fn ranges(&self) -> Vec<(String, std::ops::Range<usize>)> {
        let mut at = 0;
        let mut range = |part: &Vec<u8>| {
            at += part.len();
            at - part.len()..at
        };
        self.parts().into_iter().map(|(name, part)| (name, range(part))).collect()
    }
}

/// The frames, as the manifest describes them.
fn account(manifest: &[u8]) -> Vec<Frame> {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap();
    serde_json::from_value(manifest["frames"].clone()).unwrap()
}

/// A file that is tampered with, and the root that must not notice.
struct Bench {
    root: Root,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { root: Root::fresh(), dir: tempfile::tempdir_in("/dev/shm").unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("installer")
    }

    /// What both verbs say to the file, as far as it is wrong.
    fn accepts(&self) -> Option<String> {
        let vendor = Vendor::get();
        let mut verify = run("verify", self.root.path());
        verify.arg(self.file()).arg("--key").arg(vendor.file("release.asc"));
        let mut install = vendor.offer("install", &self.file(), self.root.path());
        install.arg("--admin-password-file").arg(vendor.file("password"));
        for command in [&mut verify, &mut install] {
            let output = command.output().unwrap();
            if output.status.code() != REFUSED {
                return Some(said(&output));
            }
        }
        let mut names = fs::read_dir(self.root.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let untouched = names.all(|name| name == "var") && !self.root.at("var/lib/demisto-install").exists();
        if untouched { None } else { Some("the root was touched".to_owned()) }
    }
}

/// An installer of some kilobytes in several frames.
fn sample(build: u32) -> Bundle {
    let tree = Tree::new();
    tree.describe(build);
    tree.put("lib/large.bin", &vec![b'0' + u8::try_from(build).unwrap(); 5 << 20]);
    Bundle::read(&tree.pack(&format!("tamper-{build}"), &[]))
}

/// Positions in a part: all of what is small and decides, some of what digests cover.
fn positions(name: &str, length: usize) -> Vec<usize> {
    let every = |step: usize| (0..length).step_by(step).chain([length - 1]).collect();
    match name {
        "trailer" | "wrapper" | "signatures" => every(1),
        "manifest" => every(13),
        _ => vec![0, length / 2, length - 1],
    }
}

#[test]
fn no_flipped_byte_is_accepted() {
    let bundle = sample(1);
    let bytes = bundle.bytes();
    let at = |(name, range): &(String, std::ops::Range<usize>)| {
        let (name, start) = (name.clone(), range.start);
        positions(&name, range.len())
            .into_iter()
            .map(move |position| (name.clone(), start + position))
            .collect()
    };
    let flips: Vec<(String, usize)> = bundle.ranges().iter().flat_map::<Vec<_>, _>(at).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let bench = Bench::new();
        fs::write(bench.file(), &bytes).unwrap();
        let file = File::options().write(true).open(bench.file()).unwrap();
        let mut accepted = Vec::new();
        while let Some((name, position)) = flips.get(next.fetch_add(1, Ordering::SeqCst)) {
            let bit = 1 << (position % 8);
            file.write_all_at(&[bytes[*position] ^ bit], *position as u64).unwrap();
            accepted.extend(bench.accepts().map(|said| format!("{name}, byte {position}: {said}")));
            file.write_all_at(&bytes[*position..=*position], *position as u64).unwrap();
        }
        accepted
    };
    let accepted: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    summary("tamper", &format!("{} flips, {} accepted", flips.len(), accepted.len()));
    assert!(accepted.is_empty(), "{}", accepted.join("\n"));
}

/// The untouched one is accepted: otherwise the refusals would prove nothing.
#[test]
fn the_untouched_installer_is_accepted() {
    let bench = Bench::new();
    fs::write(bench.file(), sample(1).sealed().bytes()).unwrap();
    assert!(bench.accepts().unwrap().contains("accepted"), "{:?}", bench.accepts());
}

fn refuse(cases: Vec<(String, Vec<u8>)>) {
    let bench = Bench::new();
    for (name, bytes) in cases {
        fs::write(bench.file(), bytes).unwrap();
        assert_eq!(bench.accepts(), None, "{name}");
    }
}

#[test]
fn nothing_can_be_added_or_cut_off() {
    let bundle = sample(1);
    let bytes = bundle.bytes();
    let ranges = bundle.ranges();
    let boundaries =
        ranges.iter().map(|(name, range)| (name, range.start)).chain([(&ranges[0].0, bytes.len())]);
    let mut cases = Vec::new();
    for (name, at) in boundaries {
        for more in [&b"\0"[..], b"\n", &bundle.trailer, &bundle.frames[0]] {
            let inserted = [&bytes[..at], more, &bytes[at..]].concat();
            cases.push((format!("{} bytes at {at}, before {name}", more.len()), inserted));
        }
    }
    for (name, range) in &ranges {
        for length in [range.start, range.start + 1, range.start + range.len() / 2, range.end - 1] {
            cases.push((format!("cut to {length} bytes, in {name}"), bytes[..length].to_vec()));
            cases.push((
                format!("{length} bytes less in front, in {name}"),
                bytes[bytes.len() - length..].to_vec(),
            ));
        }
    }
    // the two that leave all of the file
    cases.retain(|(_, case)| *case != bytes);
    refuse(cases);
}

#[test]
fn parts_of_different_releases_do_not_mix() {
    let (one, two) = (sample(1), sample(2));
    assert_eq!(one.frames.len(), two.frames.len());
    let mut swapped = one.clone();
    swapped.frames.swap(0, 1);
    let mut first_twice = one.clone();
    first_twice.frames[1] = one.frames[0].clone();
    let other_payload = Bundle { frames: two.frames.clone(), ..one.clone() };
    let other_manifest = Bundle { manifest: two.manifest.clone(), ..one.clone() };
    let other_signatures = Bundle { signatures: two.signatures.clone(), ..one.clone() };
    let signed_by_two = Bundle { frames: one.frames.clone(), ..two.clone() };
    let longer = Bundle { stub: [&one.stub[..], b"\0"].concat(), ..one.clone() };
    let none = Bundle { signatures: Vec::new(), ..one.clone() };
    let noise = Bundle { signatures: vec![0; one.signatures.len()], ..one.clone() };
    let twice = Bundle { signatures: [&one.signatures[..], &two.signatures].concat(), ..one.clone() };
    let cases = [
        ("swapped frames", swapped),
        ("a frame twice", first_twice),
        ("another release's payload", other_payload),
        ("another release's manifest", other_manifest),
        ("another release's signatures", other_signatures),
        ("another release's manifest and signatures", signed_by_two),
        ("a longer program", longer),
        ("no signature", none),
        ("noise for a signature", noise),
        ("a signature over something else besides the good one", twice),
    ];
    refuse(cases.into_iter().map(|(name, case)| (name.to_owned(), case.sealed().bytes())).collect());
}

#[test]
fn without_a_trusted_key_nothing_is_accepted() {
    let bench = Bench::new();
    fs::write(bench.file(), sample(1).bytes()).unwrap();
    let output = run("verify", bench.root.path()).arg(bench.file()).output().unwrap();
    assert_eq!(output.status.code(), REFUSED, "{}", said(&output));
    let gpg = crate::support::pgp::Gpg::new();
    let other = gpg.key("2025-01-01", "Somebody <else@example.org>", "ed25519", "sign", "never");
    let other = gpg.file("other.asc", &gpg.export(&other));
    let output = run("verify", bench.root.path()).arg(bench.file()).arg("--key").arg(other).output().unwrap();
    assert_eq!(output.status.code(), REFUSED, "{}", said(&output));
}

fn verify(bench: &Bench) -> Output {
    let mut command = run("verify", bench.root.path());
    command.arg(bench.file()).arg("--key").arg(Vendor::get().file("release.asc")).output().unwrap()
}

/// A frame that unpacks to gigabytes, and one that is no frame, in the place of a good one: what
/// stops them is the digest, so nothing was unpacked.
#[test]
fn a_frame_is_not_unpacked_before_its_digest_held() {
    let bundle = sample(1);
    let bomb = zstd_of_zeros(&bundle.frames[1]);
    for bad in [bomb, vec![0xff; bundle.frames[1].len()]] {
        let mut case = bundle.clone();
        case.frames[1] = bad.clone();
        let bench = Bench::new();
        fs::write(bench.file(), case.sealed().bytes()).unwrap();
        assert_eq!(bench.accepts(), None);
        let told = said(&verify(&bench));
        assert!(told.contains("frame 1 is not what was signed"), "{told}");
        assert!(!told.contains("decompress"), "{told}");

        let frame = &account(&bundle.manifest)[1];
        let refused = frame.check(1, &bad).unwrap_err();
        assert!(matches!(refused, Error::Digest { .. }), "{refused:?}");
        // the same bytes under their own digest get as far as the decompressor, and no further
        let lying = Frame { sha256: Digest::of(&bad), ..frame.clone() };
        let mut room = vec![0; 4 << 20];
        let refused = lying
            .check(1, &bad)
            .unwrap()
            .decompress(Compression::Zstd, &mut Decompressor::default(), &mut room)
            .unwrap_err();
        assert!(matches!(refused, Error::Content { .. }), "{refused:?}");
    }
}

/// As long as `model`: the beginning of a frame whose header announces 3 GiB (RFC 8878, 3.1.1.1).
fn zstd_of_zeros(model: &[u8]) -> Vec<u8> {
    let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
    bomb.extend((3_u64 << 30).to_le_bytes());
    let rle_block = [0x02, 0x00, 0x10, 0x00]; // 128 KiB of one byte
    while bomb.len() < model.len() {
        bomb.extend(rle_block);
    }
    bomb.truncate(model.len());
    bomb
}

/// Lengths around the limits of 32-bit numbers, in files that are really that long (but sparse).
#[test]
fn lengths_beyond_32_bits_are_refused_at_once() {
    let bundle = sample(1);
    let bench = Bench::new();
    let short = (bundle.stub.len() + bundle.manifest.len() + bundle.signatures.len()) as u64 + 88;
    for total in [(1_u64 << 31) - 1, (1 << 31) + 1, (1 << 32) - 1, (1 << 32) + 1] {
        for (name, payload, manifest) in [
            ("payload", total - short, bundle.manifest.len() as u64),
            ("manifest", 0, total - short + bundle.manifest.len() as u64),
        ] {
            let offset = bundle.stub.len() as u64;
            let parts = Parts {
                payload_offset: offset,
                payload_length: payload,
                manifest_offset: offset + payload + WRAPPER_LEN,
                manifest_length: manifest,
                signatures_length: bundle.signatures.len() as u64,
            };
            let wrapper =
                bundle::wrapper(&parts).map_or_else(|_| bundle.wrapper.clone(), |header| header.to_vec());
            let trailer = bundle::seal(&parts, &bundle.manifest, &bundle.signatures);
            let end = [&wrapper[..], &bundle.manifest, &bundle.signatures, &trailer].concat();
            let mut file = File::create(bench.file()).unwrap();
            file.write_all(&bundle.stub).unwrap();
            file.set_len(total).unwrap();
            file.seek(SeekFrom::Start(total - end.len() as u64)).unwrap();
            file.write_all(&end).unwrap();
            assert_eq!(file.metadata().unwrap().len(), total);
            assert_eq!(bench.accepts(), None, "{name} of {total} bytes");
        }
    }
}
