//! Makeself archives made by the real makeself, and crafted ones: what is read of them, what is refused, and
//! that nothing in them is ever run.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use demisto_install::types::human_bytes;
use demisto_install::{makeself, unpack};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::installer::{PROGRAM, Root, Tree, Vendor, noise, run, said};
use crate::support::loops::Mounted;
use crate::support::pgp::{Gpg, NOW, need};
use crate::support::trace::strace;

/// A directory to make archives in.
struct Bench {
    dir: TempDir,
    root: Root,
}

impl Bench {
    /// With a tree that holds an installer of the vendor's and a script.
    fn new() -> Self {
        let bench = Self::empty();
        fs::copy(Vendor::get().small(), bench.path("tree/demisto.run")).unwrap();
        bench
    }

    fn empty() -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap(), root: Root::fresh() };
        fs::create_dir(bench.path("tree")).unwrap();
        bench.write("tree/install.sh", b"#!/bin/sh\necho run >&2\ntouch ran\n");
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    /// Runs makeself over the tree with these options.
    fn make(&self, options: &[&str]) -> PathBuf {
        self.make_with(options, &[])
    }

    fn make_with(&self, options: &[&str], variables: &[(&str, &Path)]) -> PathBuf {
        need("makeself", "makeself");
        let out = self.path("demisto.sh");
        let mut command = Command::new("/usr/bin/makeself");
        command.current_dir(self.dir.path()).args(options).args([
            "tree",
            "demisto.sh",
            "A label",
            "./install.sh",
        ]);
        command.args(["--flag", "value"]).stdin(Stdio::null()).envs(variables.iter().copied());
        let output = command.output().unwrap();
        assert!(output.status.success() && out.exists(), "makeself {options:?}: {}", said(&output));
        out
    }

    fn verify(&self, file: &Path, more: &[&Path]) -> Output {
        let mut command = self.command("verify", file);
        for key in more {
            command.arg("--key").arg(key);
        }
        command.output().unwrap()
    }

    fn command(&self, verb: &str, file: &Path) -> Command {
        let mut command = run(verb, self.root.path());
        command.arg(file).arg("--key").arg(Vendor::get().file("release.asc"));
        command
    }

    /// The result line of `inspect --output json`.
    fn inspect(&self, file: &Path) -> Value {
        let output = self.command("inspect", file).args(["--output", "json"]).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        last(&output)
    }
}

fn last(output: &Output) -> Value {
    serde_json::from_str(String::from_utf8_lossy(&output.stdout).lines().last().unwrap()).unwrap()
}

/// The run was refused for this reason.
fn refused(output: &Output, why: &str) {
    let text = said(output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains(why), "{why}: {text}");
}

fn accepted(output: &Output) {
    let text = said(output);
    assert!(
        output.status.success() && text.ends_with("VERIFIED\n") || text.contains("\nVERIFIED\n"),
        "{text}"
    );
}

/// Where the archive begins.
fn offset(file: &[u8]) -> usize {
    let text = String::from_utf8_lossy(&file[..64 << 10]).into_owned();
    let skip = text.lines().find_map(|line| line.strip_prefix("skip=")).unwrap().trim_matches('"').to_owned();
    let lines: usize = skip.parse().unwrap();
    file.split_inclusive(|byte| *byte == b'\n').take(lines).map(<[u8]>::len).sum()
}

/// A header as makeself 2.1.5 writes it before this archive.
fn by_hand(archive: &[u8], values: &[(&str, &str)]) -> Vec<u8> {
    let value = |name: &str, usual: &str| {
        let change = values.iter().find(|(changed, _)| *changed == name);
        format!("{name}={}\n", change.map_or(usual, |(_, value)| value))
    };
    let text = [
        "#!/bin/sh\n# This script was generated using Makeself 2.1.5\n".to_owned(),
        value("label", "\"By hand\""),
        value("script", "\"./install.sh\""),
        value("scriptargs", "\"\""),
        value("targetdir", "\"tree\""),
        value("licensetxt", "\"\""),
        value("filesizes", &format!("\"{}\"", archive.len())),
        "keep=y\noffset=`head -n 12 \"$0\" | wc -c | tr -d \" \"`\n".to_owned(),
        value("unused", "\"\""),
        "exit 0\n".to_owned(),
    ]
    .concat();
    assert_eq!(text.lines().count(), 12);
    [text.as_bytes(), archive].concat()
}

/// A tar archive of raw entries: name, type, size in the header, content.
fn tar(entries: &[(&str, u8, u64, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, kind, size, content) in entries {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(tar::EntryType::new(*kind));
        header.set_size(*size);
        header.set_mode(0o644);
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out
}

fn ended(mut archive: Vec<u8>) -> Vec<u8> {
    archive.extend([0; 1024]);
    archive
}

/// A zstd frame of `start`, then `blocks` times 128 KiB of zeros in 4 bytes each (RFC 8878, 3.1.1.2: RLE blocks).
fn endless(start: &[u8], blocks: usize) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58]; // a window of 2 MiB
    let header = (u32::try_from(start.len()).unwrap() << 3).to_le_bytes();
    frame.extend_from_slice(&header[..3]);
    frame.extend_from_slice(start);
    let zeros = ((128_u32 << 10) << 3 | 0b010).to_le_bytes();
    for _ in 0..blocks {
        frame.extend_from_slice(&zeros[..3]);
        frame.push(0);
    }
    frame.extend([0b001, 0, 0]);
    frame
}

// --- What makeself makes -----------------------------------------------------------------------------------

#[test]
fn every_compression_is_read() {
    for (tool, package) in
        [("pigz", "pigz"), ("pbzip2", "pbzip2"), ("zstd", "zstd"), ("xz", "xz-utils"), ("bzip2", "bzip2")]
    {
        need(tool, package);
    }
    for (option, method) in [
        ("--gzip", "gzip"),
        ("--pigz", "gzip"),
        ("--zstd", "zstd"),
        ("--xz", "xz"),
        ("--bzip2", "bzip2"),
        ("--pbzip2", "bzip2"),
        ("--nocomp", "none"),
    ] {
        let bench = Bench::new();
        let file = bench.make(&[option, "--sha256", "--notemp"]);
        accepted(&bench.verify(&file, &[]));
        let found = bench.inspect(&file);
        assert_eq!(found["verified"], true, "{option}");
        let wrapper = &found["wrapper"];
        assert_eq!(wrapper["archives"][0]["compression"], method, "{option}");
        assert_eq!(wrapper["archives"][0]["sums"].as_array().unwrap().len(), 3, "{wrapper}");
        assert_eq!(wrapper["inner"]["name"], "./demisto.run", "{option}");
    }
}

#[test]
fn what_the_header_says_is_shown() {
    let bench = Bench::new();
    let licence = bench.write("licence", b"Terms of \"use\": $5 and `x` \\\nlabel=\"no\"\nskip=\"1\"\n");
    let file =
        bench.make(&["--nomd5", "--nocrc", "--license", licence.to_str().unwrap(), "--cleanup", "./c.sh"]);
    let found = bench.inspect(&file);
    let wrapper = &found["wrapper"];
    assert_eq!(wrapper["label"], "A label");
    assert_eq!((&wrapper["script"], &wrapper["arguments"]), (&"./install.sh".into(), &"--flag value".into()));
    assert_eq!((&wrapper["licence"], &wrapper["runs_after"]), (&true.into(), &true.into()));
    assert_eq!(wrapper["archives"][0]["sums"], Value::Array(Vec::new()), "none is stated");
    assert_eq!(wrapper["entries"].as_array().unwrap().len(), 2, "{wrapper}");
    assert_eq!(wrapper["makeself"], String::from_utf8_lossy(&makeself_version()).as_ref());
    let text = said(&bench.command("inspect", &file).output().unwrap());
    for wanted in
        ["A label", "./install.sh --flag value", "at its end", "an installer", "no sum", "run unsigned code"]
    {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}

#[test]
fn the_page_tells_fields_and_limits() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/makeself.md")).unwrap();
    let found = Bench::new();
    let found = found.inspect(&found.make(&[]));
    for field in found["wrapper"].as_object().unwrap().keys().filter(|field| *field != "file") {
        assert!(page.contains(&format!("`{field}`")), "{field}");
    }
    for (name, limit) in [
        ("content of all archives together", human_bytes(unpack::MAX_CONTENT).replace(".0", "")),
        ("entries", unpack::MAX_ENTRIES.to_string()),
        ("a name", format!("{} bytes", unpack::MAX_NAME)),
        ("all names together", human_bytes(unpack::MAX_NAMES as u64).replace(".0", "")),
    ] {
        assert!(page.contains(&format!("| {name} | {limit} |")), "{name}: {limit}");
    }
    let most = makeself::MAX_ARCHIVES;
    assert!(page.contains(&format!("more than {most} archives")) && makeself::MAX_HEADER == 1 << 20);
}

fn makeself_version() -> Vec<u8> {
    let output = Command::new("/usr/bin/makeself").arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.trim().rsplit(' ').next().unwrap().as_bytes().to_vec()
}

#[test]
fn what_was_appended_with_makeself_is_found() {
    let bench = Bench::empty();
    let file = bench.make(&[]);
    refused(&bench.verify(&file, &[]), "neither an installer of this program nor an RPM package");
    fs::create_dir(bench.path("more")).unwrap();
    fs::copy(Vendor::get().small(), bench.path("more/demisto.run")).unwrap();
    let mut command = Command::new("/usr/bin/makeself");
    let output =
        command.current_dir(bench.dir.path()).args(["--append", "more", "demisto.sh"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    accepted(&bench.verify(&file, &[]));
}

#[test]
fn the_file_inside_is_judged_by_its_own_signature() {
    let bench = Bench::empty();
    let gpg = Gpg::new();
    let key = gpg.key("2025-01-01", "Other <other@example.org>", "rsa2048", "sign", "never");
    let secret = gpg.run(NOW, &["--export-secret-keys", &key]);
    let secret = gpg.file("secret", &secret);
    fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let (other, output) = Tree::new().try_pack_with("inside-other", &secret, &[]);
    assert!(output.status.success(), "{}", said(&output));
    fs::copy(&other, bench.path("tree/demisto.run")).unwrap();
    let file = bench.make(&[]);
    refused(&bench.verify(&file, &[]), "which is not trusted");
    assert_eq!(bench.inspect(&file)["verified"], false);
    let outer = gpg.key("2025-01-01", "Outer <outer@example.org>", "rsa2048", "sign", "never");
    let trusted = gpg.file("outer.asc", &gpg.export(&outer));
    bench.write("demisto.sh.sig", &gpg.sign(NOW, &outer, &fs::read(&file).unwrap()));
    let output = bench.verify(&file, &[&trusted]); // a good outer signature is not enough
    refused(&output, "which is not trusted");
    assert!(said(&output).contains("in ") && said(&output).contains("accepted"), "{}", said(&output));
    fs::remove_file(bench.path("demisto.sh.sig")).unwrap();
    let public = gpg.file("other.asc", &gpg.export(&key));
    accepted(&bench.verify(&file, &[&public]));
    let mut bytes = fs::read(&other).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(bench.path("tree/demisto.run"), bytes).unwrap();
    let file = bench.make(&[]);
    refused(&bench.verify(&file, &[&public]), "NOT VERIFIED");
}

#[test]
fn a_package_inside_is_recognised() {
    let bench = Bench::empty();
    bench.write("tree/server.rpm", &[&[0xed, 0xab, 0xee, 0xdb][..], &[0; 200]].concat());
    let found = bench.inspect(&bench.make(&[]));
    assert_eq!(found["wrapper"]["inner"]["holds"], "rpm");
    assert_eq!(found["verified"], false);
}

#[test]
fn a_signed_package_inside_is_verified_like_one_by_itself() {
    let bench = Bench::empty();
    let package = Tree::new().pack("inside.rpm", &["--format", "rpm"]);
    fs::copy(&package, bench.path("tree/server.rpm")).unwrap();
    bench.write("tree/docker.deb", b"!<arch>\n");
    let file = bench.make(&["--zstd"]);
    accepted(&bench.verify(&file, &[]));
    let found = bench.inspect(&file);
    assert_eq!(
        (&found["verified"], &found["wrapper"]["inner"]["name"]),
        (&true.into(), &"./server.rpm".into())
    );
    let mut bytes = fs::read(&package).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    bench.write("tree/server.rpm", &bytes);
    refused(&bench.verify(&bench.make(&[]), &[]), "NOT VERIFIED");
    let output = Command::new(PROGRAM).arg("verify").arg(&file).output().unwrap();
    refused(&output, "demisto.sh: ./server.rpm"); // and by whom it is signed, nobody trusts
}

/// A package with zeros behind it is as long as one likes in a small file.
#[test]
fn of_a_package_that_nobody_vouches_for_only_the_front_is_copied() {
    const LENGTH: u64 = 200 << 20;
    let bench = Bench::empty();
    let package = Tree::new().pack("front.rpm", &["--format", "rpm"]);
    let lead = [&[0xed, 0xab, 0xee, 0xdb][..], &[0; 200]].concat();
    for (content, known) in [(lead, true), (fs::read(&package).unwrap(), false)] {
        let inner = bench.write("tree/server.rpm", &content);
        fs::File::options().write(true).open(inner).unwrap().set_len(LENGTH).unwrap();
        let mut command = run("verify", bench.root.path());
        command.arg(bench.make(&[]));
        if known {
            command.arg("--key").arg(Vendor::get().file("release.asc"));
        }
        let (output, log) = strace(&command, &["-e", "trace=write"]);
        assert!(matches!(output.status.code(), Some(1 | 3)), "{}", said(&output));
        let written: u64 =
            log.lines().filter_map(|line| line.rsplit_once(" = ")?.1.trim().parse::<u64>().ok()).sum();
        // the confined process writes into its pipe what is written to the copy
        assert!(written < LENGTH, "{written}");
    }
}

#[test]
fn a_host_without_filters_reads_nothing() {
    let bench = Bench::new();
    let file = bench.make(&[]);
    let filter = ["-e", "trace=seccomp", "-e", "inject=seccomp:error=EINVAL"];
    let (output, _) = strace(&bench.command("verify", &file), &filter);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("cannot be read safely here") && text.contains("must allow seccomp"), "{text}");
}

#[test]
fn exactly_one_file_inside_must_be_signed() {
    let bench = Bench::new();
    fs::copy(Vendor::get().next(), bench.path("tree/another.run")).unwrap();
    let file = bench.make(&[]);
    let output = bench.verify(&file, &[]);
    refused(&output, "more than one installer");
    assert!(said(&output).contains("another.run") && said(&output).contains("demisto.run"));
}

// --- Outer signatures --------------------------------------------------------------------------------------

/// A key that signs archives: of the home of a gpg, whose default it is.
fn outer_key(gpg: &Gpg) -> (String, PathBuf) {
    let key = gpg.key("2025-01-01", "Outer <outer@example.org>", "rsa2048", "sign", "never");
    let public = gpg.file("outer.asc", &gpg.export(&key));
    (key, public)
}

#[test]
fn the_embedded_signature_must_hold() {
    let bench = Bench::new();
    let gpg = Gpg::new();
    let (_, public) = outer_key(&gpg);
    let file = bench.make_with(&["--sign", ""], &[("GNUPGHOME", gpg.home())]);
    let output = bench.verify(&file, &[&public]);
    accepted(&output);
    assert!(
        said(&output).contains("over the archives, not the script, in the script: accepted"),
        "{}",
        said(&output)
    );
    let output = bench.verify(&file, &[]);
    refused(&output, "the signature over the archives");
    refused(&output, "which is not trusted");
    // the script is not signed; it is not run either
    let good = fs::read(&file).unwrap();
    let changed = String::from_utf8_lossy(&good[..offset(&good)]).replace("./install.sh", "./instead.sh");
    fs::write(&file, [changed.as_bytes(), &good[offset(&good)..]].concat()).unwrap();
    accepted(&bench.verify(&file, &[&public]));
    // another archive behind the same header's signature
    let mut bytes = good.clone();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    refused(&bench.verify(&file, &[&public]), "the signature is bad");
    let found = bench.inspect(&file);
    assert_eq!(found["wrapper"]["outer"][0]["over"], "archives");
    assert_eq!(found["wrapper"]["outer"][0]["judgement"]["accepted"], false);
}

#[test]
fn detached_signatures_beside_the_file_must_hold() {
    let bench = Bench::new();
    let gpg = Gpg::new();
    let (key, public) = outer_key(&gpg);
    let file = bench.make(&[]);
    let bytes = fs::read(&file).unwrap();
    for (name, options) in [("demisto.sh.asc", &["--armor"][..]), ("demisto.sh.sig", &[][..])] {
        let signature = gpg.sign_with(NOW, &key, &bytes, options);
        bench.write(name, &signature);
        let output = bench.verify(&file, &[&public]);
        accepted(&output);
        assert!(said(&output).contains("over the whole file"), "{}", said(&output));
        refused(&bench.verify(&file, &[]), "which is not trusted");
        // every flipped byte of the file is seen, of the script too
        for at in [30, 400, offset(&bytes) + 5, bytes.len() - 1] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            fs::write(&file, flipped).unwrap();
            assert_eq!(bench.verify(&file, &[&public]).status.code(), Some(3), "byte {at}");
        }
        fs::write(&file, &bytes).unwrap();
        let foreign = gpg.sign_with(NOW, &key, b"something else", options);
        bench.write(name, &foreign);
        refused(&bench.verify(&file, &[&public]), "the signature is bad");
        bench.write(name, b"");
        refused(&bench.verify(&file, &[&public]), "it is not signed");
        bench.write(name, &signature);
    }
    // with both there, both must hold
    accepted(&bench.verify(&file, &[&public]));
    bench.write("demisto.sh.sig", b"garbage");
    refused(&bench.verify(&file, &[&public]), "damaged");
}

#[test]
fn an_outer_signature_by_a_revoked_key_is_refused() {
    let bench = Bench::new();
    let gpg = Gpg::new();
    let (key, public) = outer_key(&gpg);
    let file = bench.make(&[]);
    bench.write("demisto.sh.sig", &gpg.sign(NOW, &key, &fs::read(&file).unwrap()));
    accepted(&bench.verify(&file, &[&public]));
    gpg.revoke(NOW, &key, 1, "stolen");
    let revoked = gpg.file("revoked.asc", &gpg.export(&key));
    refused(&bench.verify(&file, &[&revoked]), "revoked");
}

// --- What is changed or crafted ------------------------------------------------------------------------------

#[test]
fn damage_is_refused() {
    let bench = Bench::new();
    for options in [&["--sha256"][..], &["--nomd5"], &["--nocrc"], &["--nomd5", "--nocrc"]] {
        let file = bench.make(options);
        let good = fs::read(&file).unwrap();
        let start = offset(&good);
        for at in [start + 20, (start + good.len()) / 2, good.len() - 2] {
            let mut bytes = good.clone();
            bytes[at] ^= 0x10;
            fs::write(&file, bytes).unwrap();
            assert_eq!(bench.verify(&file, &[]).status.code(), Some(3), "{options:?} byte {at}");
        }
        for (bytes, why) in [
            (good[..good.len() - 1].to_vec(), "bytes were cut off or added"),
            ([good.as_slice(), b"x"].concat(), "bytes were cut off or added"),
        ] {
            fs::write(&file, bytes).unwrap();
            refused(&bench.verify(&file, &[]), why);
        }
    }
    let file = bench.make(&["--sha256"]);
    let good = fs::read(&file).unwrap();
    let text = String::from_utf8_lossy(&good[..offset(&good)]).into_owned();
    for name in ["CRCsum=\"", "MD5=\"", "SHA=\""] {
        let at = text.find(name).unwrap() + name.len();
        let mut bytes = good.clone();
        bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
        fs::write(&file, bytes).unwrap();
        refused(&bench.verify(&file, &[]), "sum that its header states");
    }
}

#[test]
fn traps_in_the_script_are_never_run() {
    let bench = Bench::new();
    let touched = bench.path("touched");
    let inner = tar_of(&bench.path("tree"));
    let trap = format!("\"$(touch {0}; id >{0})\"", touched.display());
    let ticks = format!("\"`touch {}`\"", touched.display());
    for name in ["label", "script", "scriptargs", "targetdir", "licensetxt", "filesizes"] {
        for value in [&trap, &ticks] {
            let file = bench.write("trap.sh", &by_hand(&inner, &[(name, value)]));
            refused(&bench.verify(&file, &[]), "makeself header is refused");
        }
    }
    // one in a variable that is not looked at: it stays text
    let file = bench.write("trap.sh", &by_hand(&inner, &[("unused", &trap)]));
    let (output, log) = strace(
        bench.command("verify", &file).env("PATH", bench.path("tree")),
        &["-e", "trace=execve,execveat,fork,vfork", "-s", "200"],
    );
    accepted(&output);
    let started: Vec<&str> = log.lines().filter(|line| line.contains("execve")).collect();
    let own = |line: &&str| line.contains(PROGRAM) || line.contains("\"/proc/self/exe\"");
    assert!(started.iter().all(own) && started.len() == 3, "{started:#?}");
    assert!(!touched.exists() && !bench.path("ran").exists());
    let shell = Command::new("/bin/sh").arg(&file).current_dir(bench.dir.path()).output().unwrap();
    assert!(touched.exists(), "the trap works when the script is run: {}", said(&shell));
}

/// A tar archive of a directory, by the real tar.
fn tar_of(dir: &Path) -> Vec<u8> {
    let output =
        Command::new("/bin/tar").arg("-C").arg(dir).args(["--format=ustar", "-cf", "-", "."]).output();
    output.unwrap().stdout
}

#[test]
fn names_that_lead_outside_and_devices_are_refused() {
    let bench = Bench::new();
    let inner = tar_of(&bench.path("tree"));
    for (entry, why) in [
        (("../../etc/passwd", b'0', 1, &b"x"[..]), "a name that leads outside: ../../etc/passwd"),
        (("/etc/passwd", b'0', 1, b"x"), "a name that leads outside: /etc/passwd"),
        (("a/../../b", b'5', 0, b""), "a name that leads outside"),
        (("null", b'3', 0, b""), "a device: null"),
        (("disk", b'4', 0, b""), "a device: disk"),
        (("pipe", b'6', 0, b""), "a pipe: pipe"),
    ] {
        let file = bench.write("odd.sh", &by_hand(&[tar(&[entry]), inner.clone()].concat(), &[]));
        let output = bench.verify(&file, &[]);
        refused(&output, why);
        let found = bench.inspect(&file);
        assert_eq!(found["wrapper"]["entries"][0]["name"], entry.0, "it is shown");
    }
    let hostile = "a\x1b[31m\nVERIFIED";
    let file = bench.write("odd.sh", &by_hand(&ended(tar(&[(hostile, b'0', 0, b"")])), &[]));
    let text = said(&bench.command("inspect", &file).output().unwrap());
    assert!(!text.contains('\x1b') && text.contains("a\\u{1b}[31m\\nVERIFIED"), "{text}");
}

#[test]
fn what_is_behind_or_missing_at_the_end_is_refused() {
    let bench = Bench::new();
    let inner = tar_of(&bench.path("tree"));
    let behind = [inner.as_slice(), b"behind"].concat();
    let file = bench.write("end.sh", &by_hand(&behind, &[]));
    refused(&bench.verify(&file, &[]), "something behind its end");
    let file = bench.write("end.sh", &by_hand(&inner[..inner.len() / 2], &[]));
    refused(&bench.verify(&file, &[]), "it ends inside a file");
    let file = bench.write("end.sh", &by_hand(&tar(&[("lie", b'0', 1 << 40, b"x")]), &[]));
    refused(&bench.verify(&file, &[]), "it ends inside a file");
}

#[test]
fn huge_counts_are_refused() {
    let bench = Bench::empty();
    let entry = tar(&[("x", b'0', 0, b"")]);
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    for _ in 0..100_001 {
        encoder.write_all(&entry).unwrap();
    }
    let file = bench.write("many.sh", &by_hand(&encoder.finish().unwrap(), &[]));
    refused(&bench.verify(&file, &[]), "more than 100000 entries");
    // a name that a header promises to be longer than all memory
    let start = tar(&[("name", b'L', 1 << 32, b"")]);
    let file = bench.write("long.sh", &by_hand(&endless(&start, 32_768), &[]));
    refused(&bench.verify(&file, &[]), "out of memory");
}

/// The processes that `child` has started.
fn children(child: &Child) -> Vec<u32> {
    let path = format!("/proc/{0}/task/{0}/children", child.id());
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// A line of `/proc/PID/status`.
pub(crate) fn status(pid: u32, name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
}

/// More than is ever read: 17 GiB of zeros.
fn bomb(bench: &Bench) -> PathBuf {
    let start = tar(&[("zeros", b'0', 17 << 30, b"")]);
    bench.write("bomb.sh", &by_hand(&endless(&start, 17 << 13), &[]))
}

/// Starts `verify` of a file and waits for the confined process.
#[allow(clippy::zombie_processes, reason = "the caller waits for it")]
fn at_work(bench: &Bench, file: &Path) -> (Child, u32) {
    let mut command = bench.command("verify", file);
    let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begin = Instant::now();
    loop {
        // with its filter in place it has given up all else
        let confined = |pid: &u32| status(*pid, "Seccomp").as_deref() == Some("2");
        if let Some(pid) = children(&run).into_iter().find(confined) {
            return (run, pid);
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "no confined process appeared");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn the_reading_process_can_do_nothing_else_and_a_bomb_ends_as_root() {
    assert!(nix::unistd::geteuid().is_root(), "this test looks at a change of the user: run it as root");
    let bench = Bench::empty();
    let (mut run, pid) = at_work(&bench, &bomb(&bench));
    let of = |name| status(pid, name).unwrap();
    assert_eq!(of("Uid"), "65534\t65534\t65534\t65534");
    assert_eq!(of("Gid"), "65534\t65534\t65534\t65534");
    assert_eq!(of("Groups"), "");
    assert_eq!(of("NoNewPrivs"), "1");
    assert_eq!(of("CapEff"), "0000000000000000");
    assert_eq!(of("CapPrm"), "0000000000000000");
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    for (name, limit) in [
        ("Max file size", "0"),
        ("Max open files", "0"),
        ("Max processes", "0"),
        ("Max address space", "201326592"),
    ] {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        let found: Vec<&str> = line[name.len()..].split_whitespace().take(2).collect();
        assert_eq!(found, [limit, limit], "{name}");
    }
    assert_eq!(fs::read(format!("/proc/{pid}/environ")).unwrap_or_default(), b"", "no environment");
    let mut most = 0;
    while run.try_wait().unwrap().is_none() {
        for pid in [pid, run.id()] {
            let peak = status(pid, "VmHWM").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
            most = most.max(peak.unwrap_or_default());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!((1..64 << 10).contains(&most), "{most} KiB");
    let output = run.wait_with_output().unwrap();
    refused(&output, "it holds more than it may");
}

#[test]
fn the_reading_process_ends_with_the_one_that_started_it() {
    for signal in ["-KILL", "-TERM", "-INT"] {
        let bench = Bench::empty();
        let (mut run, pid) = at_work(&bench, &bomb(&bench));
        let killed = Command::new("/bin/kill").args([signal, &run.id().to_string()]).status().unwrap();
        assert!(killed.success());
        run.wait().unwrap();
        let begin = Instant::now();
        while status(pid, "State").is_some_and(|state| !state.starts_with('Z')) {
            assert!(begin.elapsed() < Duration::from_secs(10), "it goes on");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_forbidden_call_ends_the_reading_process() {
    use std::os::unix::process::ExitStatusExt as _;

    for what in ["open", "start", "connect", "thread"] {
        let output = Command::new(PROGRAM).args(["__unpack", "try", what]).output().unwrap();
        assert_eq!(output.status.signal(), Some(31), "{what}: {}", said(&output)); // SIGSYS
    }
    let output = Command::new(PROGRAM).args(["__unpack", "try", "memory"]).output().unwrap();
    assert!(
        output.status.signal().is_some() && said(&output).contains("memory allocation"),
        "{}",
        said(&output)
    );
    let output = Command::new(PROGRAM).args(["__unpack", "list", "nonsense"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let help = Command::new(PROGRAM).arg("--help").output().unwrap();
    assert!(!said(&help).contains("unpack"), "{}", said(&help));
}

#[test]
fn memory_stays_small_whatever_the_size() {
    for (options, size, limit) in
        [(&["--gzip"][..], 48 << 20, 64 << 10), (&["--xz", "--complevel", "9"], 4 << 20, 96 << 10)]
    {
        let bench = Bench::empty();
        fs::write(bench.path("tree/large"), noise(size)).unwrap();
        let file = bench.make(options);
        let mut command = bench.command("verify", &file);
        let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let (mut most, mut own) = (0, 0);
        while run.try_wait().unwrap().is_none() {
            let peak =
                |pid| status(pid, "VmHWM").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
            most = children(&run).into_iter().filter_map(peak).fold(most, u64::max);
            own = peak(run.id()).unwrap_or_default().max(own);
            std::thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(run.wait().unwrap().code(), Some(3));
        assert!(
            (1..limit).contains(&most) && (1..64 << 10).contains(&own),
            "{options:?}: {most} and {own} KiB"
        );
    }
}

#[test]
fn the_private_copy_needs_room_as_root() {
    let private = || std::os::unix::fs::PermissionsExt::from_mode(0o700);
    let bench = Bench::new();
    let file = bench.make(&[]);
    let state = bench.root.at("var/lib/demisto-install");
    fs::create_dir(&state).unwrap();
    let small = Mounted::memory(&state, 1 << 20);
    fs::set_permissions(&state, private()).unwrap();
    let output = bench.verify(&file, &[]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("bytes are needed in") && text.contains("are free"), "{text}");
    assert!(text.contains("make room on that file system"), "{text}");
    drop(small);
    fs::set_permissions(&state, private()).unwrap();
    accepted(&bench.verify(&file, &[]));
    assert_eq!(fs::read_dir(&state).unwrap().count(), 0, "the copy has no name");
}
