//! One package in many states: what this program says to it beside rpm, gpgv and sqv. The table is in
//! docs/verify.md, where every disagreement has its reason.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ::rpm::{
    Header, HeaderEntry, IndexData, IndexSignatureTag, IndexTag, Package, RpmFormat, SignatureHeaderBuilder,
};
use demisto_install::rpmfile::{Covers, Envelope};
use sequoia_openpgp as openpgp;

use openpgp::packet::Packet;
use openpgp::packet::signature::SignatureBuilder;
use openpgp::parse::Parse as _;
use openpgp::types::{HashAlgorithm, SignatureType};

use crate::docs::rows;
use crate::support::installer::{PROGRAM, Tree, Vendor, said};
use crate::support::package::Rpm;
use crate::support::pgp::{Gpg, bytes, need, pair, time};

/// Tags of the signature header (rpm, `lib/rpmtag.h`).
const DSA: u32 = 267;
pub(crate) const RSA: u32 = 268;
const SHA1: u32 = 269;
const SHA256: u32 = 273;
const OPENPGP: u32 = 278;
const PGP: u32 = 1002;
/// The version in the main header.
const VERSION: u32 = 1001;
/// Regions of the signature header and of the main header.
const REGIONS: [u32; 2] = [62, 63];
/// Payload digests of the main header.
const PAYLOAD_DIGESTS: [u32; 3] = [5092, 5093, 5097];

const MADE: &str = "2025-01-01";
const SIGNED: &str = "2025-02-01";

/// Keys of the real gpg, and the package that they sign.
struct Lab {
    gpg: Gpg,
    /// The key of most rows: RSA with 3072 bits.
    release: String,
    package: Package,
    header: Vec<u8>,
    /// The package as `pack` made it.
    file: Vec<u8>,
}

impl Lab {
    fn new() -> Self {
        let gpg = Gpg::new();
        let release = gpg.key(MADE, "Release", "rsa3072", "sign", "never");
        let tree = Tree::new();
        tree.take("lib/large.bin");
        let file = tree.pack("verdicts.rpm", &["--format", "rpm"]);
        let package = Package::open(&file).unwrap();
        let header = package.header_bytes().unwrap();
        Self { gpg, release, package, header, file: fs::read(file).unwrap() }
    }

    fn rpmsign(&self, more: &[&str]) -> Vec<u8> {
        need("rpmsign", "rpm");
        let file = self.gpg.file("rpmsign.rpm", &self.with(&[]));
        let output = Command::new("/usr/bin/rpmsign")
            .env("GNUPGHOME", self.gpg.home())
            .args(["--define", "__gpg /usr/bin/gpg", "--define", "_gpg_name Release", "--addsign"])
            .args(more)
            .arg(&file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", said(&output));
        fs::read(file).unwrap()
    }

    fn key(&self, name: &str, algorithm: &str, expire: &str) -> String {
        self.gpg.key(MADE, name, algorithm, "sign", expire)
    }

    /// A signature over the header.
    fn sign(&self, key: &str) -> Vec<u8> {
        self.gpg.sign(SIGNED, key, &self.header)
    }

    fn by(&self, key: &str, tag: u32) -> Vec<u8> {
        self.with(&[(tag, IndexData::Bin(self.sign(key)))])
    }

    /// The package with these entries in its signature header, beside the digests.
    fn with(&self, entries: &[(u32, IndexData)]) -> Vec<u8> {
        signed(&self.package, entries, true)
    }
}

/// A package with another signature header: with the right digests, or with none.
pub(crate) fn signed(package: &Package, entries: &[(u32, IndexData)], digests: bool) -> Vec<u8> {
    let mut package = package.clone();
    let header = package.header_bytes().unwrap();
    let builder = SignatureHeaderBuilder::new().format(RpmFormat::V4).reserved_space(None);
    let digested = builder.calculate_digests(&header).build().unwrap().get_all_entries().unwrap();
    let kept = digested.into_iter().filter(|(tag, _)| digests && !REGIONS.contains(tag));
    let all = kept.chain(entries.iter().cloned());
    let all = all.map(|(tag, data)| HeaderEntry::new(tag, data));
    package.metadata.signature = Header::from_entries(all, IndexSignatureTag::HEADER_SIGNATURES);
    let mut bytes = Vec::new();
    package.write(&mut bytes).unwrap();
    bytes
}

/// The main header with other entries; one that becomes [`IndexData::Null`] goes.
pub(crate) fn edited(package: &Package, edit: impl Fn(u32, IndexData) -> IndexData) -> Header<IndexTag> {
    let entries = package.metadata.header.get_all_entries().unwrap().into_iter();
    let entries = entries.filter(|(tag, _)| !REGIONS.contains(tag)).map(|(tag, data)| (tag, edit(tag, data)));
    let entries = entries.filter(|(_, data)| *data != IndexData::Null);
    let entries = entries.map(|(tag, data)| HeaderEntry::new(tag, data));
    Header::from_entries(entries, IndexTag::RPMTAG_HEADERIMMUTABLE)
}

/// A package in some state, and who is trusted.
struct Case {
    name: &'static str,
    /// Several for a sweep.
    files: Vec<Vec<u8>>,
    keys: Vec<Vec<u8>>,
}

fn flipped(mut file: Vec<u8>, at: usize) -> Vec<u8> {
    file[at] ^= 1;
    file
}

fn find(file: &[u8], what: &[u8]) -> usize {
    file.windows(what.len()).position(|window| window == what).unwrap()
}

struct Cases<'a> {
    lab: &'a Lab,
    all: Vec<Case>,
}

impl Cases<'_> {
    fn sweep(&mut self, name: &'static str, files: Vec<Vec<u8>>, keys: &[&str]) {
        let keys = keys.iter().map(|key| self.lab.gpg.export(key)).collect();
        self.all.push(Case { name, files, keys });
    }

    fn add(&mut self, name: &'static str, file: Vec<u8>, keys: &[&str]) {
        self.sweep(name, vec![file], keys);
    }

    fn keys(&mut self) {
        let (lab, release) = (self.lab, self.lab.release.as_str());
        let rsa4096 = lab.key("Rsa4096", "rsa4096", "never");
        let ed25519 = lab.key("Ed25519", "ed25519", "never");
        let p256 = lab.key("P256", "nistp256", "never");
        let other = lab.key("Other", "rsa2048", "never");
        let (pack, vendor) = (lab.file.clone(), fs::read(Vendor::get().file("release.asc")).unwrap());
        let vendor = bytes(openpgp::Cert::from_bytes(&vendor).unwrap());
        self.all.push(Case { name: "good, by `pack`", files: vec![pack], keys: vec![vendor] });
        self.add("good, by rpmsign", lab.rpmsign(&[]), &[release]);
        self.add("good, by rpmsign --rpmv3", lab.rpmsign(&["--rpmv3"]), &[release]);
        self.add("good, RSA 3072", lab.by(release, RSA), &[release]);
        self.add("good, RSA 4096", lab.by(&rsa4096, RSA), &[&rsa4096]);
        self.add("good, Ed25519", lab.by(&ed25519, DSA), &[&ed25519]);
        self.add("good, ECDSA P-256", lab.by(&p256, DSA), &[&p256]);
        self.add("by a key that is not trusted, another is", lab.by(&other, RSA), &[release]);
        self.add("no key is trusted", lab.by(release, RSA), &[]);
        let forged = forged(lab, &other, release);
        self.add(
            "by another key under the name of the trusted one",
            lab.with(&[(RSA, IndexData::Bin(forged))]),
            &[release],
        );
        let expired = lab.key("Expired", "rsa2048", "6m");
        self.add("key expired, signed before", lab.by(&expired, RSA), &[&expired]);
        let late = SignatureBuilder::new(SignatureType::Binary).set_hash_algo(HashAlgorithm::SHA256);
        let late = late.set_signature_creation_time(time("2026-01-01")).unwrap();
        let late = late.sign_message(&mut pair(&lab.gpg.secret(&expired), &expired), &lab.header).unwrap();
        let late = IndexData::Bin(bytes(Packet::from(late)));
        self.add("key expired, signed after", lab.with(&[(RSA, late)]), &[&expired]);
        for (name, reason) in [("key revoked: compromised", 1), ("key revoked: superseded", 2)] {
            let key = lab.key(name, "rsa2048", "never");
            let file = lab.by(&key, RSA);
            lab.gpg.revoke("2025-06-01", &key, reason, "gone");
            self.add(name, file, &[&key]);
        }
        let weak = lab.key("Weak", "rsa1024", "never");
        self.add("key weak: RSA 1024", lab.by(&weak, RSA), &[&weak]);
    }

    fn signatures(&mut self) {
        let (lab, release) = (self.lab, self.lab.release.as_str());
        let with =
            |at: &str, more: &[&str]| IndexData::Bin(lab.gpg.sign_with(at, release, &lab.header, more));
        let sha1 = lab.with(&[(RSA, with(SIGNED, &["--digest-algo", "SHA1"]))]);
        self.add("signature with SHA-1", sha1, &[release]);
        self.add("signature over text", lab.with(&[(RSA, with(SIGNED, &["--textmode"]))]), &[release]);
        self.add("signature of the future", lab.with(&[(RSA, with("2040-01-01", &[]))]), &[release]);
        let good = lab.sign(release);
        let end = good.len() - 10;
        let broken = flipped(good.clone(), end);
        self.add("signature changed", lab.with(&[(RSA, IndexData::Bin(broken.clone()))]), &[release]);
        self.add("signature empty", lab.with(&[(RSA, IndexData::Bin(Vec::new()))]), &[release]);
        let (good, broken) = (IndexData::Bin(good), IndexData::Bin(broken));
        self.add(
            "two entries of one tag: good, changed",
            lab.with(&[(RSA, good.clone()), (RSA, broken.clone())]),
            &[release],
        );
        self.add(
            "two entries of one tag: changed, good",
            lab.with(&[(RSA, broken), (RSA, good.clone())]),
            &[release],
        );
        let other = lab.key("Second", "ed25519", "never");
        let second = lab.sign(&other);
        let end = second.len() - 10;
        let bad = IndexData::Bin(flipped(second.clone(), end));
        let second = IndexData::Bin(second);
        let both = lab.with(&[(RSA, good.clone()), (DSA, second.clone())]);
        self.add("two signatures: both good, both trusted", both.clone(), &[release, &other]);
        self.add("two signatures: both good, one trusted", both, &[release]);
        self.add("two signatures: good, changed", lab.with(&[(RSA, good), (DSA, bad)]), &[release, &other]);
        let new = IndexData::StringArray(vec![base64(&lab.sign(release))]);
        self.add("good, only in the field of rpm 6", lab.with(&[(OPENPGP, new)]), &[release]);
    }

    fn unsigned(&mut self) {
        let (lab, release) = (self.lab, self.lab.release.as_str());
        self.add("not signed", lab.with(&[]), &[release]);
        self.add("not signed, no digests either", signed(&lab.package, &[], false), &[release]);
        let alone = signed(&lab.package, &[(RSA, IndexData::Bin(lab.sign(release)))], false);
        self.add("good, without digests beside it", alone, &[release]);
    }

    fn damage(&mut self) {
        let (lab, release) = (self.lab, self.lab.release.as_str());
        let good = lab.by(release, RSA);
        let header = find(&good, &lab.header);
        let payload = header + lab.header.len();
        let at = |tag: u32| {
            let entry = find(&good[..header], &[&tag.to_be_bytes()[..], &6_u32.to_be_bytes()].concat());
            let number = |at: usize| u32::from_be_bytes(good[at..at + 4].try_into().unwrap()) as usize;
            96 + 16 + 16 * number(104) + number(entry + 8)
        };
        self.add("SHA-1 beside the signature changed", flipped(good.clone(), at(SHA1)), &[release]);
        self.add("SHA-256 beside the signature changed", flipped(good.clone(), at(SHA256)), &[release]);
        let tag = find(&good[..header], &RSA.to_be_bytes());
        self.add("tag of the signature changed to 269", flipped(good.clone(), tag + 3), &[release]);
        let version = header + find(&lab.header, b"6.14.0");
        self.add("header changed: the version", flipped(good.clone(), version), &[release]);
        let mut other = lab.package.clone();
        other.metadata.header = edited(&other, |tag, data| match data {
            IndexData::StringTag(_) if tag == VERSION => IndexData::StringTag("6.14.9".to_owned()),
            data => data,
        });
        let signature = IndexData::Bin(lab.sign(release));
        let other = signed(&other, &[(RSA, signature)], true);
        self.add("header changed, with new digests beside the signature", other, &[release]);
        self.add("payload changed", flipped(good.clone(), payload + (good.len() - payload) / 2), &[release]);
        let steps = |from: usize, to: usize| (0..100).map(move |n| from + (to - from) * n / 100);
        let bits = steps(header, payload).map(|at| flipped(good.clone(), at)).collect();
        self.sweep("header changed: each of 100 places", bits, &[release]);
        let cuts = |from, to| steps(from, to).map(|at| good[..at].to_vec()).collect();
        self.sweep("cut off: each of 100 lengths up to the header's end", cuts(0, payload), &[release]);
        self.sweep("cut off: each of 100 lengths of the payload", cuts(payload, good.len()), &[release]);
        self.add("a byte appended", [&good[..], &[0]].concat(), &[release]);
        self.add("another package appended", [&good[..], &good].concat(), &[release]);
    }

    fn other_forms(&mut self) {
        let (lab, release) = (self.lab, self.lab.release.as_str());
        let whole = [&lab.header[..], &lab.package.payload].concat();
        let old = lab.gpg.sign(SIGNED, release, &whole);
        let end = old.len() - 10;
        let (old, bad) = (IndexData::Bin(old.clone()), IndexData::Bin(flipped(old, end)));
        let good = || (RSA, IndexData::Bin(lab.sign(release)));
        self.add(
            "good, and one over header and payload",
            lab.with(&[good(), (PGP, old.clone())]),
            &[release],
        );
        self.add(
            "good, and a changed one over header and payload",
            lab.with(&[good(), (PGP, bad)]),
            &[release],
        );
        self.add("only one over header and payload", lab.with(&[(PGP, old)]), &[release]);
        let mut bare = lab.package.clone();
        let drop = |tag, data| if PAYLOAD_DIGESTS.contains(&tag) { IndexData::Null } else { data };
        bare.metadata.header = edited(&bare, drop);
        let signature = lab.gpg.sign(SIGNED, release, &bare.header_bytes().unwrap());
        let bare = signed(&bare, &[(RSA, IndexData::Bin(signature))], true);
        self.add("good, but the header has no digest of the payload", bare.clone(), &[release]);
        let middle = bare.len() - lab.package.payload.len() / 2;
        self.add("the same, payload changed", flipped(bare, middle), &[release]);
    }
}

fn base64(bytes: &[u8]) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// A signature by `key` that says to be by `name`.
fn forged(lab: &Lab, key: &str, name: &str) -> Vec<u8> {
    let name: openpgp::Fingerprint = name.parse().unwrap();
    let builder = SignatureBuilder::new(SignatureType::Binary)
        .set_hash_algo(HashAlgorithm::SHA256)
        .set_signature_creation_time(time(SIGNED))
        .and_then(|builder| builder.set_issuer((&name).into()))
        .and_then(|builder| builder.set_issuer_fingerprint(name))
        .unwrap();
    let made = builder.sign_message(&mut pair(&lab.gpg.secret(key), key), &lab.header).unwrap();
    bytes(Packet::from(made))
}

/// The five judges.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        for (tool, package) in [("rpm", "rpm"), ("rpmkeys", "rpm"), ("gpgv", "gpgv"), ("sqv", "sqv")] {
            need(tool, package);
        }
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// Whether the other judges are those of the page; of other versions only our own verdicts are compared.
    fn is_that_of_the_page(&self) -> bool {
        [("rpm", "4.18.0"), ("gpgv", "2.2.40"), ("sqv", "1.1.0")].into_iter().all(|(tool, version)| {
            let told = said(&self.run(&format!("/usr/bin/{tool}"), &["--version"]));
            let same = told.contains(version);
            if !same {
                println!(
                    "docs/verify.md was made with {tool} {version}, not {told}: its column is not compared"
                );
            }
            same
        })
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn run(&self, tool: &str, args: &[&str]) -> Output {
        let mut command = Command::new(tool);
        command.env("LC_ALL", "C").env("GNUPGHOME", self.dir.path()).args(args).output().unwrap()
    }

    fn row(&self, case: &Case) -> Vec<String> {
        let keys: Vec<PathBuf> =
            case.keys.iter().map(|key| self.put(&format!("{}.pgp", key.len()), key)).collect();
        let ring = self.put("ring.pgp", &case.keys.concat());
        let rpm = Rpm::with(&[]);
        let imported = keys
            .iter()
            .all(|key| rpm.call(&[&["--import", armoured(key).to_str().unwrap()]]).status.success());
        let mut cells = vec![BTreeSet::new(); 5];
        for bytes in &case.files {
            let file = self.put("case.rpm", bytes);
            cells[0].insert(self.ours(&file, &keys));
            let by_rpm = |more: &[&str]| {
                if imported { rpm_says(&rpm, &file, more) } else { "cannot import the key".to_owned() }
            };
            cells[1].insert(by_rpm(&[]));
            cells[2].insert(by_rpm(&["--define", "_pkgverify_level all"]));
            let [gpgv, sqv] = self.on_signature(bytes, &ring);
            cells[3].insert(gpgv);
            cells[4].insert(sqv);
        }
        let cells = cells.into_iter().map(|set| set.into_iter().collect::<Vec<_>>().join("; "));
        std::iter::once(case.name.to_owned()).chain(cells).collect()
    }

    fn ours(&self, file: &Path, keys: &[PathBuf]) -> String {
        let mut args = vec!["verify", file.to_str().unwrap(), "--root", self.dir.path().to_str().unwrap()];
        args.extend(["--output", "json"]);
        for key in keys {
            args.extend(["--key", key.to_str().unwrap()]);
        }
        let output = self.run(PROGRAM, &args);
        let told = String::from_utf8_lossy(&output.stdout);
        let last: serde_json::Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
        match output.status.code() {
            Some(0) => return "accepted".to_owned(),
            Some(3) => {}
            _ => panic!("{}", said(&output)),
        }
        if last["event"] == "error" {
            return "refused: form".to_owned();
        }
        let verdicts = last["judgement"]["verdicts"].as_array().unwrap();
        let faults: BTreeSet<&str> =
            verdicts.iter().filter(|v| v["accepted"] != true).map(|v| v["code"].as_str().unwrap()).collect();
        let accepted = last["judgement"]["accepted"] == true;
        let why = match (accepted, faults.is_empty()) {
            (true, _) => "content".to_owned(),
            (false, false) => faults.into_iter().collect::<Vec<_>>().join(" and "),
            (false, true) if keys.is_empty() => "no trusted key".to_owned(),
            (false, true) => "no usable signature".to_owned(),
        };
        format!("refused: {why}")
    }

    /// gpgv and sqv know no packages: they get what can be taken out.
    fn on_signature(&self, file: &[u8], ring: &Path) -> [String; 2] {
        let nothing = || ["–".to_owned(), "–".to_owned()];
        let read = |buffer: &mut [u8], at: u64| {
            buffer.copy_from_slice(&file[at as usize..at as usize + buffer.len()]);
            Ok(())
        };
        let Ok(envelope) = Envelope::read(file.len() as u64, &read) else { return nothing() };
        let over = |covers| {
            let found = envelope.signatures().iter().filter(move |s| s.covers == covers);
            found.flat_map(|s| s.packets.clone()).collect::<Vec<u8>>()
        };
        let (mut signature, mut data) = (over(Covers::Header), envelope.header().to_vec());
        if envelope.signatures().is_empty() {
            return nothing();
        }
        if signature.is_empty() {
            signature = over(Covers::HeaderAndPayload);
            data.extend(&file[envelope.payload_offset() as usize..]);
        }
        let (signature, data) = (self.put("case.sig", &signature), self.put("case.data", &data));
        let files = [signature.to_str().unwrap(), data.to_str().unwrap()];
        let gpgv = self.run(
            "/usr/bin/gpgv",
            &[&["--status-fd", "1", "--keyring", ring.to_str().unwrap()], &files[..]].concat(),
        );
        let sqv = self.run("/usr/bin/sqv", &[&["--keyring", ring.to_str().unwrap()], &files[..]].concat());
        let status = String::from_utf8_lossy(&gpgv.stdout).into_owned();
        let words: Vec<&str> = status
            .lines()
            .filter_map(|line| line.strip_prefix("[GNUPG:] ")?.split(' ').next())
            .filter(|word| ["GOODSIG", "BADSIG", "ERRSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG"].contains(word))
            .collect();
        let words = if words.is_empty() { "error".to_owned() } else { words.join(" ") };
        let good = if gpgv.status.success() { "good" } else { "no" };
        [format!("{good}: {words}"), if sqv.status.success() { "good" } else { "no" }.to_owned()]
    }
}

/// rpm wants keys as text.
fn armoured(key: &Path) -> PathBuf {
    let text = key.with_extension("asc");
    let output = Command::new("/usr/bin/gpg")
        .args(["--batch", "--yes", "--enarmor", "-o"])
        .arg(&text)
        .arg(key)
        .output();
    assert!(output.unwrap().status.success());
    let armour = fs::read_to_string(&text).unwrap().replace("PGP ARMORED FILE", "PGP PUBLIC KEY BLOCK");
    fs::write(&text, armour).unwrap();
    text
}

fn rpm_says(rpm: &Rpm, file: &Path, more: &[&str]) -> String {
    let output = rpm.call(&[&["-K"], more, &[file.to_str().unwrap()]]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    match (output.status.success(), told.contains("signatures OK")) {
        (true, true) => "good",
        (true, false) => "good: digests only",
        _ => "no",
    }
    .to_owned()
}

/// Whether two judges agree: by their first word.
fn accepts(cell: &str) -> bool {
    cell.starts_with("accepted") || cell.starts_with("good")
}

#[test]
fn the_table_of_verdicts_is_that_of_the_page() {
    let lab = Lab::new();
    let mut cases = Cases { lab: &lab, all: Vec::new() };
    cases.keys();
    cases.signatures();
    cases.unsigned();
    cases.damage();
    cases.other_forms();
    let bench = Bench::new();
    let found: Vec<Vec<String>> = cases.all.iter().map(|case| bench.row(case)).collect();
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/verify.md")).unwrap();
    let shown = rows(&page, "| Package |");
    let why = |name: &str| {
        shown.iter().find(|row| row[0] == name).and_then(|row| row.get(6)).cloned().unwrap_or_default()
    };
    for row in &found {
        println!("| {} | {} |", row.join(" | "), why(&row[0]));
    }
    let columns = if bench.is_that_of_the_page() { 6 } else { 2 };
    let first = |rows: &[Vec<String>]| rows.iter().map(|row| row[..columns].to_vec()).collect::<Vec<_>>();
    assert_eq!(first(&shown), first(&found), "docs/verify.md should show the table above");
    for row in &shown {
        let verdict = accepts(&row[1]);
        let differs = row[2..6].iter().any(|cell| cell != "–" && accepts(cell) != verdict);
        assert_eq!(
            differs,
            !row[6].is_empty(),
            "{}: a disagreement has a reason, and nothing else has",
            row[0]
        );
    }
}
