//! What is fuzzed: every reader of bytes that come from outside. Each function takes any bytes and
//! must neither panic nor break the promise that it checks. `fuzz_targets/` hands them to libFuzzer,
//! `tests/it/fuzz.rs` replays the corpus.

use std::io::Read as _;
use std::path::PathBuf;

use demisto_install::bundle::Trailer;
use demisto_install::certs::check::{self, Input, Passphrase, RULES, Revocation, Role, Severity};
use demisto_install::config;
use demisto_install::config::lint;
use demisto_install::journal::{self, Journal};
use demisto_install::makeself::Header;
use demisto_install::manifest::Unverified;
use demisto_install::product;
use demisto_install::productlog::Facts;
use demisto_install::prompt::Partial;
use demisto_install::rpmfile::{Cpio, Envelope, File, Flags, Kind, Package};
use demisto_install::trust::{Origin, Policy, TrustStore};
use demisto_install::types::{Digest, is_printable_char};
use demisto_install::verify;

/// The last 80 bytes are a trailer, what is before them the rest of the file.
pub(crate) fn trailer(bytes: &[u8]) {
    let Some((rest, end)) = bytes.split_last_chunk::<80>() else { return };
    let Ok(trailer) = Trailer::parse(end, bytes.len() as u64) else { return };
    let parts = trailer.parts;
    let total = parts.payload_offset + parts.payload_length + parts.manifest_length + parts.signatures_length;
    assert_eq!(total + 8, rest.len() as u64, "lengths that add up to the file");
    let at = |start: u64, length: u64| &bytes[start as usize..(start + length) as usize];
    let header = at(parts.manifest_offset - 8, 8);
    let manifest = at(parts.manifest_offset, parts.manifest_length);
    let signatures = at(parts.manifest_offset + parts.manifest_length, parts.signatures_length);
    let _ = trailer.check(header, manifest, signatures);
}

/// A manifest that nobody vouches for. What is accepted is written and read back as the same.
pub(crate) fn manifest(bytes: &[u8]) {
    let Ok(read) = Unverified::parse(bytes) else { return };
    let written = read.look().to_bytes().expect("what was accepted can be written");
    assert_eq!(Unverified::parse(&written).expect("and read again").look(), read.look());
}

/// Records of a run that was cut off.
pub(crate) fn journal(bytes: &[u8]) {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("current.jsonl"), bytes).expect("a file");
    if let Ok(Some((_, entries))) = Journal::reopen(dir.path()) {
        let _ = journal::replay(&entries);
    }
}

/// An answers file.
pub(crate) fn answers(bytes: &[u8]) {
    match Partial::parse(bytes) {
        Ok(partial) => drop(partial.complete()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A configuration. After the port was set, it is the port.
pub(crate) fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = config::https_port(text);
    if let Ok(changed) = config::with_https_port(text, 8443) {
        assert_eq!(config::https_port(&changed).expect("a readable port"), Some(8443), "{changed}");
    }
}

/// Old defaults, the file, new defaults, with a line of `---` between them. What was merged is merged.
pub(crate) fn merge(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut parts = text.splitn(3, "\n---\n");
    let (Some(base), Some(mine), Some(theirs)) = (parts.next(), parts.next(), parts.next()) else { return };
    let base = Some(base).filter(|base| !base.is_empty());
    for how in [config::OnConflict::Keep, config::OnConflict::Take] {
        let Ok(merged) = config::merge(base, mine, theirs, how) else { continue };
        let again = config::merge(Some(theirs), &merged.text, theirs, how).expect("a configuration");
        assert!(again.is_unchanged(&merged.text), "{}", again.text);
        assert_eq!(config::diff(mine, &merged.text).is_empty(), merged.is_unchanged(mine));
    }
}

/// A set of signatures. Nobody is trusted, so nothing is accepted.
pub(crate) fn signatures(bytes: &[u8]) {
    let now = jiff::Timestamp::UNIX_EPOCH;
    assert!(!verify::judge(b"data", bytes, &TrustStore::empty(), &Policy::default(), now).accepted);
}

/// A key file. One that is refused leaves nothing behind.
pub(crate) fn keys(bytes: &[u8]) {
    let mut store = TrustStore::empty();
    let added = store.add(bytes, Origin::ThisRun(PathBuf::from("fuzz")));
    assert_eq!(added.is_ok(), !store.is_empty());
}

/// A package, or a main header alone. What is accepted lies inside the file, and no path leads out.
pub(crate) fn rpm(bytes: &[u8]) {
    let read = |buffer: &mut [u8], at: u64| {
        buffer.copy_from_slice(&bytes[at as usize..at as usize + buffer.len()]);
        Ok(())
    };
    let mut packages = vec![Package::parse(bytes)];
    if let Ok(envelope) = Envelope::read(bytes.len() as u64, &read) {
        assert_eq!(envelope.payload_offset() + envelope.payload_length(), bytes.len() as u64);
        assert!(bytes[envelope.header_offset() as usize..].starts_with(envelope.header()));
        packages.push(Package::parse(envelope.header()));
    }
    for package in packages.into_iter().flatten() {
        let mut paths: Vec<&str> = package.files.iter().map(|file| file.path.as_str()).collect();
        assert!(paths.iter().all(|path| path.starts_with('/') && !format!("{path}/").contains("/../")));
        paths.sort_unstable();
        assert!(paths.windows(2).all(|pair| pair[0] != pair[1]), "no path comes twice");
    }
}

/// The archive of a few files; the first byte says in which form. What is accepted has all of them.
pub(crate) fn cpio(bytes: &[u8]) {
    let Some((form, archive)) = bytes.split_first() else { return };
    let files = archived();
    let mut cpio = Cpio::new(archive, &files, form % 2 == 1);
    let mut seen = 0;
    while let Ok(Some(member)) = cpio.next() {
        seen += 1;
        let mut content = Vec::new();
        match (&mut cpio).take(3).read_to_end(&mut content) {
            Ok(read) => assert!(read as u64 <= member.size),
            Err(_) => break,
        }
    }
    if cpio.next().is_ok() {
        assert_eq!(seen, files.len());
    }
}

/// A directory, a file, a link, and a file of two names.
fn archived() -> Vec<File> {
    let content = |bytes: &[u8]| Kind::File { size: bytes.len() as u64, sha256: Digest::of(bytes) };
    let file = |path: &str, kind, mode, hard_link| File {
        path: path.to_owned(),
        kind,
        mode,
        user: "root".to_owned(),
        group: "root".to_owned(),
        mtime: 0,
        flags: Flags::default(),
        capabilities: None,
        hard_link,
        verify_flags: 0,
    };
    vec![
        file("/opt/d", Kind::Dir, 0o755, None),
        file("/opt/d/a", content(b"hello"), 0o644, None),
        file("/opt/d/l", Kind::Symlink { target: "a".to_owned() }, 0o777, None),
        file("/opt/x", content(b"same"), 0o644, Some(4)),
        file("/opt/y", content(b"same"), 0o644, Some(4)),
    ]
}

/// The product's log: what is told of it is fit for a terminal, short, and the whole of a line.
pub(crate) fn log(bytes: &[u8]) {
    let mut facts = Facts::default();
    facts.read(&mut &*bytes).expect("memory can be read");
    let problem = facts.fips.problem.iter();
    for text in facts.errors.iter().map(|error| &error.text).chain(problem) {
        assert!(text.chars().count() <= 301 && text.chars().all(is_printable_char), "{text:?}");
    }
    if let Some(start) = facts.start {
        let text = String::from_utf8_lossy(bytes);
        let begin = format!("{} info Starting {}, version {}", start.at, start.program, start.version);
        assert!(text.split('\n').any(|line| line.starts_with(&begin)), "{begin}");
        assert!(begin.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '), "{begin:?}");
    }
}

/// A makeself archive. What is accepted has its archives one behind the other, to the file's end.
pub(crate) fn makeself(bytes: &[u8]) {
    let read = |buffer: &mut [u8], offset: u64| {
        let start = usize::try_from(offset).expect("an offset in the file");
        let end = start.checked_add(buffer.len()).expect("a range in the file");
        buffer.copy_from_slice(bytes.get(start..end).expect("nothing behind the end is read"));
        Ok(())
    };
    let Ok(Some(header)) = Header::read(bytes.len() as u64, &read) else { return };
    let end = header.archives.iter().fold(header.offset, |at, archive| {
        assert_eq!(archive.offset, at);
        at + archive.length
    });
    assert_eq!(end, bytes.len() as u64);
}

/// Certificates and keys, of any file. Each finding is of a rule that there is, and a file without a certificate is
/// never good for authorities.
pub(crate) fn certificates(bytes: &[u8]) {
    let files = [check::File::read("file", bytes.to_vec().into())];
    for role in [Role::Server, Role::Client, Role::Ca, Role::Ocsp] {
        let found = check::check(&Input {
            role,
            files: &files,
            passphrase: Passphrase::Unknown,
            names: &["soar.example.test".to_owned()],
            known: &[],
            now: jiff::Timestamp::UNIX_EPOCH,
            revocation: Revocation::Require,
            anchors: None,
        });
        for finding in &found {
            assert!(RULES.iter().any(|rule| rule.id == finding.id), "{finding:?}");
            assert!(!finding.what.is_empty() && finding.file == "file", "{finding:?}");
        }
        let nothing = files[0].chain.certificates.is_empty() && !files[0].has_key();
        assert!(!nothing || found.iter().any(|finding| finding.severity == Severity::Error), "{found:?}");
    }
}

/// A configuration, of either role.
pub(crate) fn configuration(bytes: &[u8]) {
    configuration_of(bytes, product::Role::Server);
    configuration_of(bytes, product::Role::Engine);
}

/// What is no JSON object never passes; what is one breaks no rule of JSON. Every place lies in the text, every finding is
/// of a rule that there is, and what is shown is fit for a terminal.
pub(crate) fn configuration_of(bytes: &[u8], role: product::Role) {
    let found = lint::lint(bytes, role, &lint::Host::default());
    let json =
        found.iter().any(|finding| finding.severity == lint::Severity::Error && is_of_json(finding.id));
    let good = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(bytes);
    assert!(json || good.is_ok(), "what is no JSON passes: {bytes:?}");
    let refused = found.iter().find(|finding| is_of_json(finding.id) && finding.id != "too-deep");
    assert!(good.is_err() || refused.is_none() || bytes.len() > lint::MAX_SIZE, "{refused:?} in {bytes:?}");
    let lines = bytes.split(|byte| *byte == b'\n').count();
    for finding in &found {
        assert!(lint::RULES.iter().any(|rule| rule.id == finding.id), "{finding:?}");
        let (line, column) = (finding.line.unwrap_or(1), finding.column.unwrap_or(1));
        assert!((1..=lines).contains(&line) && (1..=bytes.len() + 1).contains(&column), "{finding:?}");
        if let Some(excerpt) = &finding.excerpt {
            let length = excerpt.text.chars().count();
            assert!(excerpt.before + excerpt.length <= length + 1 && length <= 102, "{finding:?}");
            assert!(excerpt.text.chars().all(is_printable_char), "{finding:?}");
        }
    }
    for path in lint::files(bytes, role, &lint::Host::default()) {
        assert!(!path.is_empty());
    }
}

/// Whether a rule is about the text, and not about keys and values: those come first in the table.
fn is_of_json(id: &str) -> bool {
    let number = |id: &str| lint::RULES.iter().position(|rule| rule.id == id).expect("a rule");
    number(id) <= number("not-json")
}
