//! `config check`: the two samples of the guide, every one-mistake variant of them that can be generated, hostile
//! bytes, and what is installed in a scratch root. What is generated from the key table is up to date.

mod generated;
mod variants;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::Command;
use std::time::{Duration, Instant};

use demisto_install::config;
use demisto_install::config::lint::{FileState, Finding, Host, RULES, Severity, lint};
use demisto_install::product::Role;
use serde_json::Value;

use crate::support::installer::{PROGRAM, Root, said, summary};
use variants::Variant;

/// The guide's sample of `/etc/demisto.conf`.
pub(crate) const SERVER: &str = include_str!("../data/config/demisto.conf");
/// The guide's sample of `d1.conf`.
pub(crate) const ENGINE: &str = include_str!("../data/config/d1.conf");

fn found(text: &[u8], role: Role) -> Vec<Finding> {
    lint(text, role, &Host::default())
}

fn ids(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.id).collect()
}

#[test]
fn the_samples_of_the_guide_have_no_errors() {
    for (text, role, warnings) in [(SERVER, Role::Server, 3), (ENGINE, Role::Engine, 1)] {
        let findings = found(text.as_bytes(), role);
        assert_eq!(ids(&findings), vec!["insecure-default"; warnings], "{role}");
        assert!(
            findings.iter().all(|finding| finding.severity == Severity::Warning && finding.line.is_none())
        );
        let crlf = text.replace('\n', "\r\n");
        assert_eq!(ids(&found(crlf.as_bytes(), role)), ids(&findings));
        let tabs = text.replace("  ", "\t");
        assert_eq!(ids(&found(tabs.as_bytes(), role)), ids(&findings));
        let one: Value = serde_json::from_str(text).unwrap();
        assert_eq!(ids(&found(one.to_string().as_bytes(), role)), ids(&findings));
    }
}

/// What is wrong with the verdict on a variant.
fn wrong(variant: &Variant, usual: &[Finding]) -> Option<String> {
    let findings = found(&variant.bytes, variant.role);
    let is_usual =
        |finding: &&Finding| usual.iter().any(|one| (one.id, &one.key) == (finding.id, &finding.key));
    let new: Vec<_> = findings
        .iter()
        .filter(|finding| !(finding.line.is_none() && is_usual(finding)))
        .map(|finding| (finding.id, finding.line.zip(finding.column)))
        .collect();
    let expected: Vec<_> = variant.expected.iter().map(|one| (one.id, one.place)).collect();
    (new != expected).then(|| format!("{}: expected {expected:?}, found {new:?}", variant.name))
}

#[test]
fn each_mistake_gives_exactly_its_finding_at_its_place() {
    let mut all = variants::of(SERVER, Role::Server);
    all.extend(variants::of(ENGINE, Role::Engine));
    let usual = |role: Role| found(if role == Role::Server { SERVER } else { ENGINE }.as_bytes(), role);
    let (server, engine) = (usual(Role::Server), usual(Role::Engine));
    let mut by_rule: BTreeMap<&str, usize> = BTreeMap::new();
    let mut bad = Vec::new();
    for variant in &all {
        bad.extend(wrong(variant, if variant.role == Role::Server { &server } else { &engine }));
        *by_rule.entry(variant.expected.as_ref().map_or("harmless", |one| one.id)).or_default() += 1;
    }
    let counts: Vec<String> = by_rule.iter().map(|(id, count)| format!("{id} {count}")).collect();
    summary(
        "config check",
        &format!(
            "config check: {} one-mistake variants, {} wrong verdicts ({})",
            all.len(),
            bad.len(),
            counts.join(", ")
        ),
    );
    assert!(bad.is_empty(), "{} of {} are wrong:\n{}", bad.len(), all.len(), bad.join("\n"));
    assert!(all.len() >= 500, "only {} variants", all.len());
    // what no change of one place shows is shown by tests of its own
    let elsewhere = [
        "insecure-default",
        "name-too-long",
        "san-unverified",
        "file-missing",
        "file-unreadable",
        "revocation-without-aia",
        "not-json",
        "more",
    ];
    let unseen: Vec<&str> = RULES
        .iter()
        .map(|rule| rule.id)
        .filter(|id| !by_rule.contains_key(id) && !elsewhere.contains(id))
        .collect();
    assert!(unseen.is_empty(), "no variant breaks {}", unseen.join(", "));
}

/// xorshift64: plain, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % below.max(1)
    }
}

/// A sample with some of its bytes changed, taken out, doubled, or exchanged for what is special in JSON.
fn mutated(sample: &str, dice: &mut Dice) -> Vec<u8> {
    const SPECIAL: [&[u8]; 16] = [
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b"\\",
        b":",
        b",",
        b"'",
        b"\n",
        b"\0",
        b"//",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\\u12",
        b"true",
    ];
    let mut bytes = sample.as_bytes().to_vec();
    for _ in 0..=dice.next(4) {
        let at = dice.next(bytes.len());
        let end = (at + dice.next(40)).min(bytes.len());
        match dice.next(6) {
            0 if !bytes.is_empty() => bytes[at] = u8::try_from(dice.next(256)).unwrap(),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            3 => bytes.truncate(at),
            _ => drop(bytes.splice(at..at, SPECIAL[dice.next(SPECIAL.len())].to_vec())),
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

/// Nothing makes it panic, nothing that is no JSON passes, every place lies in the text, and what is good JSON breaks no
/// rule of JSON.
fn keeps_its_promises(bytes: &[u8], role: Role) {
    crate::fuzz::targets::configuration_of(bytes, role);
}

#[test]
fn no_mutated_input_breaks_a_promise() {
    // DEMISTO_MUTATIONS=1000000 takes half an hour without optimization
    let count = std::env::var("DEMISTO_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let start = Instant::now();
    for number in 0..count {
        let (sample, role) = if number % 2 == 0 { (SERVER, Role::Server) } else { (ENGINE, Role::Engine) };
        keeps_its_promises(&mutated(sample, &mut dice), role);
    }
    let took = start.elapsed().as_secs_f32();
    summary("config check mutated", &format!("config check: {count} mutated inputs, 0 crashes, {took:.0} s"));
}

/// One mebibyte of keys below names that stand in one another.
fn under_one_name(length: usize, depth: usize) -> String {
    let head = format!("{{\"{}\":", "n".repeat(length)).repeat(depth);
    let leaves = "\"a\":1,".repeat(((1 << 20) - head.len()) / 6 - 100);
    format!("{head}{{{leaves}\"b\":1}}{}", "}".repeat(depth))
}

/// A copy of the names for every key would take tens of gigabytes.
#[test]
fn many_keys_below_a_long_name_take_little_memory() {
    let peak = || {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    };
    let before = peak();
    for (length, depth) in [(500_000, 1), (500, 1), (7, 60)] {
        let text = under_one_name(length, depth);
        let id = if length > 512 { "name-too-long" } else { "key-unknown" };
        assert!(ids(&found(text.as_bytes(), Role::Server)).contains(&id), "{length}");
        assert!(config::engine(&text, "/var/log/demisto/d1").is_err());
        assert_eq!(config::value(&text, "x").unwrap(), None);
    }
    // other tests of this process take their share
    let took = peak() - before;
    assert!(took < 2048, "{took} MiB");
}

#[test]
fn hostile_files_take_no_time_and_no_stack() {
    let start = Instant::now();
    let deep = |open: &str, close: &str| {
        let half = 500_000;
        format!("{}1{}", open.repeat(half / open.len()), close.repeat(half / open.len()))
    };
    for (text, id) in [
        (deep("{\"a\":", "}"), "too-deep"),
        (deep("[", "]"), "not-an-object"),
        (format!("{{\"a\":{}", deep("[", "]")), "too-deep"),
        ("{".repeat(1 << 20), "name-missing"),
        (format!("{{{}", ",".repeat(1_000_000)), "comma-extra"),
        (format!("{{{}", "\0".repeat(1_000_000)), "stray-character"),
        (format!("{{{}", "#\n".repeat(500_000)), "comment"),
        (format!("{{\"a\": \"{}", "x".repeat(1_000_000)), "quote-missing"),
        (format!("{{\"a\": \"{}\"}}", "\\q".repeat(500_000)), "escape-wrong"),
        (format!("{{\"{}\": 1}}", "a.".repeat(500_000)), "name-too-long"),
        (format!("{{{}\"z\": 1}}", "\"Server.HttpPort\": \"1\",".repeat(40_000)), "key-misspelt"),
        (format!("{{{}\"z\": 1}}", "\"strange\": 1,\n".repeat(70_000)), "key-unknown"),
        (format!("{{\"x\": [{}]}}", "1,".repeat(500_000)), "comma-extra"),
        (" ".repeat(10 << 20), "too-large"),
    ] {
        let findings = found(text.as_bytes(), Role::Server);
        assert!(findings.iter().any(|finding| finding.id == id), "{id}: {:?}", ids(&findings));
        assert!(findings.len() < 230, "{id}: {}", findings.len());
    }
    // two seconds of an optimized program on a busy machine; anything quadratic takes minutes
    let took = start.elapsed();
    assert!(took < Duration::from_secs(120), "{took:?}");
}

#[test]
fn no_secret_is_told() {
    let secret = "hunter2-Quite-Secret";
    for text in [
        format!("{{\"security.keypass\": \"{secret}\" \"x\": 1}}"),
        format!("{{\"security\": {{\"keypass\": \"{secret}\", \"x\" 1}}}}"),
        format!("{{\"security.keypass\": {secret}}}"),
        format!("{{\"security.keypass\": \"ab\"{secret}:ef\",\n\"x\": 1}}"),
        format!("{{\"security.keypass\": \"ab\" {secret}:ef\",\n\"x\": 1}}"),
        format!("{{\"security.keypass\": \"ab\" \"{secret}\": \"ef\",\n\"x\": 1}}"),
        format!("{{\"security.keypass\": ab,{secret}:ef,\n\"x\": 1}}"),
        format!("{{\"security.keypass\": \"ab,\"{secret}\":ef,\n\"x\": 1}}"),
        format!("{{\"http_proxy\": \"http://{secret}@proxy\", }}"),
        format!("{{\"Server.ExternalHostName\": \"{secret}@proxy\", }}"),
        format!("{{\"security.keypass\": {secret}\"}}"),
        format!("{{\"security.keypass\": '{secret}'}}"),
        format!("{{\"security.keypass\" \"{secret}\"}}"),
        format!("{{\"security.keypass\", \"{secret}\"}}"),
        format!("{{\"security.keypass\", {secret}}}"),
        format!("{{\"security.keypass: \"{secret}\"}}"),
        format!("{{security.keypass: \"{secret}\"}}"),
        format!("{{\"security.keypass\": \"{secret}\n}}"),
        format!("{{\"security.keypass\": \"{secret}\\q\t\"}}"),
        format!("{{\"security.keypass\": 5{secret}}}"),
        format!("{{\"security.keypass\": [\"{secret}\"]}}"),
        format!("{{\"security.keypass\": {{\"{}\": \"{secret}\"}}}}", "x"),
        format!("{{\"security.keypas\": \"{secret}\", \"security.keypas\": \"other\"}}"),
        format!("{{\"security.certificate.client.keypass\": \"{secret}\", }}"),
        format!("{{\"http_proxy\": \"http://me:{secret}@proxy\", }}"),
        format!("{{\"http_proxy\": http://me:{secret}@proxy }}"),
        format!("{{\"https_proxy\": \"me:{secret}@proxy\", }}"),
        format!("{{\"BindAddress\": \"http://me:{secret}@proxy\", }}"),
        format!("{{\"http.authentication.header\": \"{secret}\", }}"),
        format!("{{\"additionalurls\": {{\"migration\": {{\"engineHeaderKey\": \"{secret}\", }}}}}}"),
        format!("{{ // security.keypass {secret}\n}}"),
        format!("{{\"x\": 1}} {secret}"),
        format!("{{\"x\": 1 @ \"{secret}\"}}"),
        format!("[\"{secret}\"]"),
        secret.to_owned(),
    ] {
        for role in [Role::Server, Role::Engine] {
            let findings = found(text.as_bytes(), role);
            assert!(findings.iter().any(|finding| finding.line.is_some()), "{text}");
            let told = serde_json::to_string(&findings).unwrap();
            assert!(!told.contains("hunter2") && !told.contains("Quite"), "{text}\n{told}");
        }
    }
}

#[test]
fn the_host_is_compared() {
    let (cert, key) = ("/usr/local/demisto/client.pem", "/usr/local/demisto/client.key");
    let mut host = Host::default();
    host.files.insert(cert.to_owned(), FileState::Missing);
    host.files.insert(key.to_owned(), FileState::Closed("its mode is 0400".to_owned()));
    host.without_aia
        .push("/usr/local/demisto/client.pem, certificate 1: it names no OCSP responder".to_owned());
    let findings = lint(ENGINE, Role::Engine, &host);
    let told: Vec<_> = findings
        .iter()
        .filter(|finding| finding.line.is_some())
        .map(|finding| (finding.id, finding.severity, finding.line))
        .collect();
    let error = Severity::Error;
    assert_eq!(
        told,
        [
            ("revocation-without-aia", error, Some(15)),
            ("file-missing", error, Some(17)),
            ("file-unreadable", error, Some(17))
        ]
    );
    let soft =
        ENGINE.replace("failonunknownrevocationstatus\": true", "failonunknownrevocationstatus\": false");
    let findings = lint(soft, Role::Engine, &host);
    let aia = findings.iter().find(|finding| finding.id == "revocation-without-aia").unwrap();
    assert_eq!(aia.severity, Severity::Warning);
    let named = SERVER.replacen('{', "{ \"Security\": {\"CertFile\": \"/srv/cert.pem\"},", 1);
    host.files.insert("/srv/cert.pem".to_owned(), FileState::Missing);
    let findings = lint(&named, Role::Server, &host);
    let missing = findings.iter().find(|finding| finding.id == "file-missing").unwrap();
    assert_eq!((missing.line, missing.column), (Some(1), Some(28)));
    assert!(!ids(&lint(SERVER, Role::Server, &host)).contains(&"file-missing"), "the server makes its own");
}

fn run(args: &[&str], stdin: &str) -> (i32, String) {
    use std::io::Write as _;
    let mut child = Command::new(PROGRAM)
        .args(["config"])
        .args(args)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), format!("{}{}", String::from_utf8_lossy(&output.stdout), said(&output)))
}

#[test]
fn the_program_tells_lines_and_exit_codes() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().to_str().unwrap();
    let (code, told) = run(&["check", "-", "--root", root], SERVER);
    assert!(
        code == 0 && told.contains("0 errors, 3 warnings.") && told.contains("were not looked at"),
        "{told}"
    );
    let bad = SERVER.replace("\"ProxyMode\": true", "\"ProxyMode\": \"true\"");
    let (code, told) = run(&["check", "-", "--no-host", "--root", root], &bad);
    let expected = "error   boolean-quoted: line 4, column 18: Server.ProxyMode: true stands in quotes\n      4 |     \"ProxyMode\": \"true\"\n        |                  ^^^^^^\n";
    assert!(code == 4 && told.contains(expected), "{told}");
    let (code, told) = run(&["check", "-", "--output", "json", "--root", root], &bad);
    let value: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert_eq!(code, 4);
    assert_eq!((&value["role"], &value["findings"][0]["line"]), (&"server".into(), &4.into()), "{told}");
    assert_eq!(value["findings"][0]["excerpt"]["before"], 17);
    // an engine's by its name, or as it is said
    let engine = format!("{root}/d1.conf");
    fs::write(&engine, ENGINE).unwrap();
    assert_eq!(run(&["check", &engine, "--root", root], "").0, 0);
    assert_eq!(run(&["check", &engine, "--role", "server", "--root", root], "").0, 0);
    assert_eq!(run(&["check", "-", "--role", "engine", "--root", root], SERVER).0, 4);
    assert_eq!(run(&["check", "/no/such/file", "--root", root], "").0, 1);
    let (code, told) = run(&["check", "--root", root], "");
    assert!(code != 0 && told.contains("hint: "), "{told}");
    let (code, told) = run(&["check", "--list"], "");
    assert!(code == 0 && RULES.iter().all(|rule| told.contains(rule.id)), "{told}");
}

#[test]
fn keys_are_listed_and_explained() {
    let (code, all) = run(&["keys"], "");
    assert!(code == 0 && all.contains("Server.HttpsPort") && all.contains("EngineID"), "{all}");
    let (_, server) = run(&["keys", "--role", "server"], "");
    assert!(server.contains("Server.HttpsPort") && !server.contains("EngineID"), "{server}");
    for spelling in ["Server.HttpsPort", "server.httpsport", "SERVER.HTTPSPORT"] {
        let (code, told) = run(&["explain", spelling], "");
        assert!(code == 0 && told.contains("Default        \"443\""), "{told}");
    }
    let other = "security.certificate.override.donotverifyclientcertificates";
    assert!(
        run(&["explain", other], "").1.contains("security.server.certificate.donotverifyclientcertificates")
    );
    for (slip, hint) in [
        ("Server.HttpPort", "did you mean Server.HttpsPort?"),
        ("httpsport", "did you mean Server.HttpsPort?"),
        ("verifyrevocation", "did you mean security.certificate.verifyrevocation?"),
        ("nothing.like.it", "config keys"),
    ] {
        let (code, told) = run(&["explain", slip], "");
        assert!(code == 2 && told.contains(hint), "{told}");
    }
}

/// The service's account in the roots of these tests.
const SERVICE: u32 = 4242;

/// A certificate of a new root authority, with or without addresses at which to ask.
fn issued(with_aia: bool) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let openssl = |line: &str| {
        let run =
            Command::new("/usr/bin/openssl").current_dir(dir.path()).args(line.split_whitespace()).output();
        let output = run.unwrap();
        assert!(output.status.success(), "{}", said(&output));
    };
    openssl("req -x509 -newkey rsa:2048 -nodes -days 30 -keyout ca.key -out ca.pem -subj /CN=CA");
    openssl("req -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj /CN=leaf");
    let aia = "authorityInfoAccess=OCSP;URI:http://ca.test/,caIssuers;URI:http://ca.test/ca.pem\n";
    let names = "subjectAltName=DNS:server.test.local1\nextendedKeyUsage=serverAuth,clientAuth\n";
    fs::write(dir.path().join("ext"), format!("{names}{}", if with_aia { aia } else { "" })).unwrap();
    openssl("x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -days 30 -extfile ext -out leaf.pem");
    [fs::read(dir.path().join("leaf.pem")).unwrap(), fs::read(dir.path().join("ca.pem")).unwrap()].concat()
}

/// What is found in the installed configuration besides defaults, and the exit code.
fn installed(root: &Root, more: &[&str]) -> (Vec<String>, i32) {
    let mut args = vec!["check", "--output", "json", "--root", root.path().to_str().unwrap()];
    args.extend(more);
    let (code, told) = run(&args, "");
    let line = told.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("{told}"));
    let value: Value = serde_json::from_str(line).unwrap();
    let list = value["findings"].as_array().unwrap_or_else(|| panic!("{told}"));
    let ids = list.iter().map(|finding| finding["id"].as_str().unwrap().to_owned());
    let mut ids: Vec<String> = ids.filter(|id| id != "insecure-default").collect();
    ids.extend(value["not_looked_at"].as_str().map(str::to_owned));
    (ids, code)
}

#[test]
fn the_files_of_an_installation_are_looked_at_as_root() {
    assert!(nix::unistd::geteuid().is_root(), "this test gives files to another user: run it as root");
    let root = Root::furnished();
    fs::create_dir_all(root.at("usr/local/demisto")).unwrap();
    root.put("etc/demisto.conf", SERVER.as_bytes(), 0o644);
    assert_eq!(installed(&root, &[]), (vec!["there is no account demisto".to_owned()], 0));
    let line = format!("demisto:x:{SERVICE}:{SERVICE}::/var/lib/demisto:/usr/sbin/nologin\n");
    root.put("etc/passwd", line.as_bytes(), 0o644);
    root.put("etc/group", format!("demisto:x:{SERVICE}:\n").as_bytes(), 0o644);
    let one = |id: &str| (vec![id.to_owned()], 4);
    let none = (Vec::new(), 0);
    assert_eq!(installed(&root, &[]), none, "the server makes its own pair");
    // the chain that is there is asked about
    root.put("usr/local/demisto/cert.pem", &issued(false), 0o444);
    assert_eq!(installed(&root, &[]), one("revocation-without-aia"));
    assert_eq!(installed(&root, &["--no-host"]), (vec!["you said so".to_owned()], 0));
    root.put("usr/local/demisto/cert.pem", &issued(true), 0o444);
    assert_eq!(installed(&root, &[]), none);
    // files that are named
    let named = SERVER.replacen('{', "{\n\"Security\": {\"CertFile\": \"/srv/cert.pem\"},", 1);
    root.put("etc/demisto.conf", named.as_bytes(), 0o644);
    assert_eq!(installed(&root, &[]), one("file-missing"));
    fs::create_dir_all(root.at("srv")).unwrap();
    root.put("srv/cert.pem", &issued(true), 0o400);
    assert_eq!(installed(&root, &[]), one("file-unreadable"));
    chown(root.at("srv/cert.pem"), Some(SERVICE), Some(SERVICE)).unwrap();
    assert_eq!(installed(&root, &[]), none);
    fs::set_permissions(root.at("srv"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(installed(&root, &[]), one("file-unreadable"), "the way to it is closed");
    fs::set_permissions(root.at("srv"), fs::Permissions::from_mode(0o755)).unwrap();
    // none is there when every answer was the default
    fs::remove_file(root.at("etc/demisto.conf")).unwrap();
    assert_eq!(installed(&root, &[]), none);
    // an engine with a name has its files in its own directory
    let tree = "usr/local/demisto/d1_x";
    fs::create_dir_all(root.at(tree)).unwrap();
    root.put(&format!("{tree}/d1.conf"), ENGINE.as_bytes(), 0o600);
    let engine = |root: &Root| installed(root, &["--engine", "--name", "x"]);
    assert_eq!(engine(&root), (vec!["file-missing".to_owned(), "file-missing".to_owned()], 4));
    for name in ["client.pem", "client.key"] {
        root.put(&format!("{tree}/{name}"), &issued(true), 0o444);
    }
    assert_eq!(engine(&root), none);
}
