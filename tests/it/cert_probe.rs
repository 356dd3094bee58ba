//! `cert probe` against real servers: `openssl s_server`, the reference product, `openssl ocsp`, and servers that
//! mean no good. Every row of the guide's table is produced for real.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use openssl::ec::EcKey;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::docs::rows;
use crate::reference_product::host::{Host, Process};
use crate::support::installer::PROGRAM;
use crate::support::pgp::need;

const AUTHORITY: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n";
const SERVER: &str = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\nextendedKeyUsage=serverAuth\n";
const CLIENT: &str = "subjectAltName=DNS:engine.example.test\nextendedKeyUsage=clientAuth\n";

/// Certificates that the real openssl made, in one directory.
pub(crate) struct Pki {
    dir: TempDir,
}

impl Pki {
    pub(crate) fn get() -> &'static Self {
        static PKI: OnceLock<Pki> = OnceLock::new();
        PKI.get_or_init(|| {
            need("openssl", "openssl");
            let pki = Self { dir: tempfile::tempdir().unwrap() };
            pki.authority("root", "", AUTHORITY);
            pki.authority("middle", "root", AUTHORITY);
            pki.authority("no-flag", "", "basicConstraints=critical,CA:FALSE\n");
            pki.authority("no-sign", "", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,cRLSign\n");
            pki.authority("middle-no-flag", "root", "subjectKeyIdentifier=hash\n");
            pki.authority("ocsp-root", "", &format!("{AUTHORITY}extendedKeyUsage=serverAuth,OCSPSigning\n"));
            pki.authority("client-only", "root", &format!("{AUTHORITY}extendedKeyUsage=clientAuth\n"));
            pki.leaf("good", "root", SERVER);
            pki.leaf("below", "middle", SERVER);
            pki.leaf("other-key", "root", SERVER);
            pki.leaf("client", "root", CLIENT);
            pki
        })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn openssl(&self, arguments: &str) {
        let words: Vec<&str> = arguments.split_whitespace().collect();
        let output =
            Command::new("/usr/bin/openssl").current_dir(self.dir.path()).args(words).output().unwrap();
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) fn request(&self, name: &str, common: &str) {
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.pkcs8 -out {name}.csr -subj /CN={common}"
        ));
        self.openssl(&format!("pkey -traditional -in {name}.pkcs8 -out {name}.key"));
        fs::set_permissions(self.path(&format!("{name}.key")), fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(crate) fn sign(&self, name: &str, by: &str, days: i32, extensions: &str) {
        fs::write(self.path(&format!("{name}.ext")), extensions).unwrap();
        let serial: String = name.bytes().take(12).map(|b| format!("{b:02x}")).collect();
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {by}.pem -CAkey {by}.key -set_serial 0x01{serial} -days {days} -extfile {name}.ext -out {name}.pem"
        ));
    }

    /// An authority, signed by itself unless another one is named.
    pub(crate) fn authority(&self, name: &str, by: &str, extensions: &str) {
        self.request(name, name);
        if by.is_empty() {
            fs::write(self.path(&format!("{name}.ext")), extensions).unwrap();
            self.openssl(&format!(
                "x509 -req -in {name}.csr -signkey {name}.key -days 30 -extfile {name}.ext -out {name}.pem"
            ));
        } else {
            self.sign(name, by, 30, extensions);
        }
    }

    fn leaf(&self, name: &str, by: &str, extensions: &str) {
        self.leaf_as(name, "localhost", by, extensions);
    }

    pub(crate) fn leaf_as(&self, name: &str, common: &str, by: &str, extensions: &str) {
        self.request(name, common);
        self.sign(name, by, 10, extensions);
    }

    fn expired(&self, name: &str, by: &str, extensions: &str) {
        self.request(name, "expired");
        self.sign(name, by, -1, extensions);
    }

    /// The certificates in one file.
    fn chain(&self, names: &[&str]) -> String {
        let texts = names.iter().map(|name| fs::read_to_string(self.path(&format!("{name}.pem"))).unwrap());
        let out = format!("{}.chain", names.join("+"));
        fs::write(self.path(&out), texts.collect::<String>()).unwrap();
        self.file(&out)
    }
}

/// A program that does not outlive its test.
pub(crate) struct Running(pub(crate) Child, pub(crate) u16);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that nobody has, and no other test of this process gets: below those that the system gives out itself.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 16_000).unwrap();
    loop {
        let port = 16_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 16_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("::1", port)).is_ok() {
            return port;
        }
    }
}

pub(crate) fn openssl_at(port: u16, arguments: &[&str]) -> Running {
    let mut command = Command::new("/usr/bin/openssl");
    let quiet = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = Running(quiet.spawn().unwrap(), port);
    let start = Instant::now();
    // not by connecting: `openssl ocsp` ends when nothing is asked
    while !demisto_install::sys::net::ports_of(running.0.id()).contains(&port) {
        assert!(running.0.try_wait().unwrap().is_none(), "openssl {arguments:?} ended");
        assert!(start.elapsed() < Duration::from_secs(20), "port {port} stays closed");
        thread::sleep(Duration::from_millis(20));
    }
    running
}

/// `openssl s_server` with a chain and the key of its first certificate.
fn s_server(chain: &[&str], more: &[&str]) -> Running {
    let pki = Pki::get();
    let port = free_port();
    let (leaf, key) = (pki.file(&format!("{}.pem", chain[0])), pki.file(&format!("{}.key", chain[0])));
    let accept = port.to_string();
    let rest = pki.chain(if chain.len() > 1 { &chain[1..] } else { chain });
    let mut arguments = vec!["s_server", "-accept", &accept, "-www", "-cert", &leaf, "-key", &key];
    if chain.len() > 1 {
        arguments.extend(["-cert_chain", &rest]);
    }
    arguments.extend(more);
    openssl_at(port, &arguments)
}

/// The reference product with a chain and the key of its first certificate.
fn product(chain: &[&str], conf: Value) -> (Host, Process) {
    let (pki, host) = (Pki::get(), Host::new());
    fs::copy(pki.chain(chain), host.path("usr/local/demisto/cert.pem")).unwrap();
    fs::copy(pki.file(&format!("{}.key", chain[0])), host.path("usr/local/demisto/cert.key")).unwrap();
    fs::copy(pki.file("root.pem"), host.path("etc/ssl/certs/ca-certificates.crt")).unwrap();
    let mut all = json!({ "Server": { "HttpsPort": host.port.to_string() } });
    for (key, value) in conf.as_object().into_iter().flatten() {
        all[key] = value.clone();
    }
    host.write("etc/demisto.conf", &all.to_string());
    let server = host.serve();
    (host, server)
}

/// A root whose trust store holds these.
fn root(trusted: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("etc/ssl/certs")).unwrap();
    let store = root.path().join("etc/ssl/certs/ca-certificates.crt");
    fs::write(
        store,
        trusted
            .iter()
            .map(|name| fs::read_to_string(Pki::get().path(&format!("{name}.pem"))).unwrap())
            .collect::<String>(),
    )
    .unwrap();
    root
}

fn run(trusted: &[&str], target: &str, more: &[&str]) -> Output {
    let root = root(trusted);
    let mut command = Command::new(PROGRAM);
    command.args(["cert", "probe", target, "--root"]).arg(root.path()).args(more);
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What a probe found, and its exit code.
fn probe(trusted: &[&str], target: &str, more: &[&str]) -> (i32, Value) {
    let output = run(trusted, target, &[&["--output", "json"], more].concat());
    let text = said(&output);
    let last = String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned();
    let value: Value = serde_json::from_str(&last).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_ne!(value["event"], "error", "{text}");
    (output.status.code().unwrap(), value)
}

/// Ids of what was found with that severity.
fn ids<'a>(found: &'a Value, severity: &str) -> Vec<&'a str> {
    let findings = found["findings"].as_array().unwrap().iter();
    findings.filter(|f| f["severity"] == severity).map(|f| f["id"].as_str().unwrap()).collect()
}

fn local(port: u16) -> String {
    format!("localhost:{port}")
}

fn offered(found: &Value, version: &str) -> bool {
    let versions = found["versions"].as_array().unwrap();
    versions.iter().find(|v| v["version"] == version).unwrap()["offered"].as_bool().unwrap()
}

#[test]
fn a_good_server_is_good() {
    let server = s_server(&["below", "middle"], &[]);
    let (code, found) = probe(&["root"], &local(server.1), &["--revocation", "off"]);
    assert_eq!((code, &found["findings"]), (0, &json!([])), "{found}");
    assert!(offered(&found, "TLS 1.2") && offered(&found, "TLS 1.3"), "{found}");
    for old in ["SSL 3.0", "TLS 1.0", "TLS 1.1"] {
        assert!(!offered(&found, old), "{old}");
    }
    assert_eq!(found["chain"][0]["subject"], "CN=localhost");
    let names = json!([{"dns": "localhost"}, {"ip": "127.0.0.1"}, {"ip": "::1"}]);
    assert_eq!(found["chain"][0]["names"], names);
    assert_eq!((&found["anchor"], &found["client"]["asked"]), (&"CN=root".into(), &"no".into()));
    let text = said(&run(&["root"], &local(server.1), &["--as", "browser"]));
    for part in
        ["as a browser sees it", "  TLS 1.2   TLS_ECDHE", "names  localhost, 127.0.0.1, ::1", "works\n"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (host, _product) = product(&["good", "root"], json!({}));
    let (code, found) = probe(&["root"], &local(host.port), &[]);
    assert_eq!((code, &found["findings"]), (0, &json!([])), "{found}");
}

/// A row that shows in what is served: what is served, what is trusted, which host is asked for, what is said.
struct Case {
    row: &'static str,
    chain: &'static [&'static str],
    trusted: &'static [&'static str],
    host: &'static str,
    says: &'static str,
}

fn case(
    row: &'static str,
    chain: &'static [&'static str],
    trusted: &'static str,
    host: &'static str,
    says: &'static str,
) -> Case {
    let trusted: &[&str] = match trusted {
        "" => &[],
        "root" => &["root"],
        "no-flag" => &["no-flag"],
        "no-sign" => &["no-sign"],
        "ocsp-root" => &["ocsp-root"],
        "middle" => &["middle"],
        other => panic!("{other}"),
    };
    Case { row, chain, trusted, host, says }
}

/// Certificates with something wrong, made once.
fn make_bad_ones() {
    static MADE: OnceLock<()> = OnceLock::new();
    let pki = Pki::get();
    MADE.get_or_init(|| {
        let usage = "extendedKeyUsage=serverAuth\n";
        pki.leaf("by-no-flag", "no-flag", SERVER);
        pki.leaf("by-no-sign", "no-sign", SERVER);
        pki.leaf("by-middle-no-flag", "middle-no-flag", SERVER);
        pki.leaf("by-ocsp-root", "ocsp-root", SERVER);
        pki.leaf("by-client-only", "client-only", SERVER);
        pki.leaf("no-usage", "root", "subjectAltName=DNS:localhost\n");
        pki.leaf("client-usage", "root", "subjectAltName=DNS:localhost\nextendedKeyUsage=clientAuth\n");
        pki.leaf("no-san", "root", usage);
        pki.leaf_as("no-san-other", "else.example.test", "root", usage);
        pki.leaf("mail", "root", &format!("{usage}subjectAltName=email:a@example.test\n"));
        pki.leaf("names", "root", &format!("{usage}subjectAltName=DNS:a.example.test,DNS:b.example.test\n"));
        pki.leaf("wildcard", "root", &format!("{usage}subjectAltName=DNS:*.localhost\n"));
        pki.leaf("name-only", "root", &format!("{usage}subjectAltName=DNS:localhost\n"));
        pki.expired("expired", "root", SERVER);
        pki.leaf("self-signed", "root", SERVER);
        pki.openssl("x509 -req -in self-signed.csr -signkey self-signed.key -days 9 -extfile self-signed.ext -out self-signed.pem");
    });
}

fn served_rows() -> Vec<Case> {
    let flag = "certificate signed by unknown authority (possibly because of \"x509: invalid signature: parent \
                certificate cannot sign this kind of certificate\" while trying to verify candidate authority certificate ";
    let usage = "certificate specifies an incompatible key usage";
    vec![
        case("unknown-authority", &["good"], "", "localhost", "certificate signed by unknown authority"),
        case(
            "unknown-authority",
            &["good", "root"],
            "middle",
            "localhost",
            "certificate signed by unknown authority",
        ),
        case("unknown-authority", &["below"], "root", "localhost", "certificate signed by unknown authority"),
        case(
            "unknown-authority",
            &["self-signed"],
            "root",
            "localhost",
            "certificate signed by unknown authority",
        ),
        case(
            "expired",
            &["expired"],
            "root",
            "localhost",
            "certificate has expired or is not yet valid: current time ",
        ),
        case("authority-flag", &["by-no-flag", "no-flag"], "no-flag", "localhost", flag),
        case("authority-flag", &["by-no-sign"], "no-sign", "localhost", flag),
        case("authority-flag", &["by-middle-no-flag", "middle-no-flag"], "root", "localhost", flag),
        case("incompatible-usage", &["client-usage"], "root", "localhost", usage),
        case("incompatible-usage", &["no-usage"], "root", "localhost", usage),
        case("incompatible-usage", &["by-ocsp-root"], "ocsp-root", "localhost", usage),
        case("incompatible-usage", &["by-client-only", "client-only"], "root", "localhost", usage),
        case(
            "no-names",
            &["no-san-other"],
            "root",
            "localhost",
            "certificate is not valid for any names, but wanted to match localhost",
        ),
        case(
            "no-names",
            &["mail"],
            "root",
            "localhost",
            "certificate is not valid for any names, but wanted to match localhost",
        ),
        case("no-names", &["name-only"], "root", "127.0.0.1", "because it doesn't contain any IP SANs"),
        case(
            "other-names",
            &["names"],
            "root",
            "localhost",
            "certificate is valid for a.example.test, b.example.test, not localhost",
        ),
        case(
            "other-names",
            &["wildcard"],
            "root",
            "a.localhost",
            "certificate is valid for *.localhost, not a.localhost",
        ),
        case(
            "legacy-common-name",
            &["no-san"],
            "root",
            "localhost",
            "certificate relies on legacy Common Name field, use SANs or temporarily enable Common Name matching with GODEBUG=x509ignoreCN=0",
        ),
    ]
}

#[test]
fn rows_that_show_in_what_is_served() {
    let mut seen = Vec::new();
    make_bad_ones();
    for case in served_rows() {
        let server = s_server(case.chain, &[]);
        let (host, _product) = product(case.chain, json!({}));
        for port in [server.1, host.port] {
            let target = format!("127.0.0.1:{port}");
            let more = ["--server-name", case.host, "--revocation", "off"];
            let (code, found) = probe(case.trusted, &target, &more);
            let of = format!("{} {:?}: {found}", case.row, case.chain);
            assert_eq!((code, ids(&found, "error")), (4, vec![case.row]), "{of}");
            assert!(found["findings"][0]["message"].as_str().unwrap().contains(case.says), "{of}");
            assert_eq!(found["findings"][0]["row"], case.row, "{of}");
            seen.push(case.row);
        }
    }
    seen.dedup();
    assert_eq!(seen.len(), 7, "{seen:?}");
}

/// Ids of the errors that `cert check` finds in files.
fn check(files: &[&str], more: &[&str]) -> Vec<String> {
    let (pki, root) = (Pki::get(), root(&["root"]));
    let mut command = Command::new(PROGRAM);
    command.args(["cert", "check", "--output", "json", "--root"]).arg(root.path()).args(more);
    let output = command.args(files.iter().map(|file| pki.path(file))).output().unwrap();
    let text = said(&output);
    let found: Value = serde_json::from_str(text.lines().next().unwrap_or_default())
        .unwrap_or_else(|e| panic!("{files:?}: {e}: {text}"));
    let errors = found["findings"].as_array().unwrap().iter().filter(|f| f["severity"] == "error");
    let errors: Vec<String> = errors.map(|f| f["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(output.status.code(), Some(if errors.is_empty() { 0 } else { 4 }), "{files:?}: {text}");
    errors
}

#[test]
fn rows_that_show_in_files_are_found_before_anything_is_installed() {
    make_bad_ones();
    signers();
    let pki = Pki::get();
    pki.openssl("pkcs8 -topk8 -in client.key -passout pass:Hidden.1 -out checked-locked.key");
    assert_eq!(
        check(&["below.pem", "middle.pem", "root.pem", "below.key"], &["--host", "localhost"]),
        [""; 0]
    );
    let mut rows = Vec::new();
    for (row, files, more, id) in [
        ("wrong-key", &["good.pem", "root.pem", "other-key.key"][..], &[][..], "key-mismatch"),
        ("unknown-authority", &["below.pem", "below.key"], &[], "chain-incomplete"),
        ("expired", &["expired.pem", "root.pem", "expired.key"], &[], "expired"),
        ("responder-usage", &["plain.pem", "root.pem"], &["--role", "ocsp"], "eku-ocsp"),
        ("authority-flag", &["by-no-flag.pem", "no-flag.pem"], &[], "ca-flag"),
        ("authority-flag", &["by-no-sign.pem", "no-sign.pem"], &[], "ca-sign"),
        ("incompatible-usage", &["client-usage.pem", "root.pem"], &[], "eku-server"),
        ("incompatible-usage", &["good.pem", "root.pem"], &["--role", "client"], "eku-client"),
        ("incompatible-usage", &["no-usage.pem", "root.pem"], &[], "eku-absent"),
        ("incompatible-usage", &["by-ocsp-root.pem", "ocsp-root.pem"], &[], "ca-ocsp-signing"),
        ("incompatible-usage", &["by-client-only.pem", "client-only.pem", "root.pem"], &[], "ca-purpose"),
        ("no-names", &["name-only.pem", "root.pem"], &["--host", "127.0.0.1"], "name-mismatch"),
        ("other-names", &["names.pem", "root.pem"], &["--host", "localhost"], "name-mismatch"),
        ("other-names", &["wildcard.pem", "root.pem"], &[], "san-wildcard"),
        ("legacy-common-name", &["no-san.pem", "root.pem"], &[], "common-name-only"),
        (
            "client-certificate",
            &["client.pem", "root.pem", "checked-locked.key"],
            &["--role", "client"],
            "key-pkcs8-encrypted",
        ),
    ] {
        let found = check(files, more);
        assert!(found.iter().any(|found| found == id), "{row} {files:?}: {found:?}");
        rows.push(row);
    }
    rows.dedup();
    // whether a certificate is revoked, and whether the responder works, is in no file
    assert_eq!(rows.len(), 10, "{rows:?}");
}

#[test]
fn several_rows_may_apply_and_the_first_decides() {
    Pki::get().expired("all-wrong", "root", "subjectAltName=DNS:x\nextendedKeyUsage=clientAuth\n");
    let server = s_server(&["all-wrong"], &[]);
    let (code, found) = probe(&[], &local(server.1), &[]);
    let expected = ["expired", "other-names", "unknown-authority", "incompatible-usage"];
    assert_eq!((code, ids(&found, "error")), (4, expected.to_vec()), "{found}");
    let text = said(&run(&[], &local(server.1), &[]));
    assert!(text.contains("\nFAILS: certificate has expired or is not yet valid: current time "), "{text}");
}

/// A key whose public half is the certificate's and whose private half is another's. Servers compare public halves
/// only, so they take it, and sign with what does not belong to the certificate.
fn make_mixed_key() {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| {
        let pki = Pki::get();
        let read = |name: &str| EcKey::private_key_from_pem(&fs::read(pki.path(name)).unwrap()).unwrap();
        let (own, other) = (read("good.key"), read("other-key.key"));
        let mixed =
            EcKey::from_private_components(own.group(), other.private_key(), own.public_key()).unwrap();
        fs::write(pki.path("mixed.key"), mixed.private_key_to_pem().unwrap()).unwrap();
        fs::copy(pki.path("good.pem"), pki.path("mixed.pem")).unwrap();
    });
}

#[test]
fn the_row_of_a_key_that_does_not_belong_to_the_certificate() {
    make_mixed_key();
    let (host, _product) = product(&["mixed"], json!({}));
    let servers = [s_server(&["mixed"], &["-tls1_2"]), s_server(&["mixed"], &["-tls1_3"])];
    for port in servers.iter().map(|server| server.1).chain([host.port]) {
        let (code, found) = probe(&["root"], &local(port), &[]);
        assert_eq!((code, ids(&found, "error")), (4, vec!["wrong-key"]), "{found}");
        assert_eq!(found["findings"][0]["message"], "invalid signature by the server certificate");
        assert_eq!(
            (&found["chain"][0]["subject"], &found["anchor"]),
            (&"CN=localhost".into(), &"CN=root".into())
        );
    }
    assert!(!check(&["mixed.pem", "root.pem", "mixed.key"], &[]).is_empty());
}

/// A real responder, with a certificate that names it.
struct Responder {
    leaf: String,
    _running: Option<Running>,
}

/// `state` is a line of the responder's index without serial and subject, or nothing.
fn responder(name: &str, state: Option<&str>, signer: &str, alive: bool) -> Responder {
    let (pki, port) = (Pki::get(), free_port());
    let leaf = format!("ocsp-{name}");
    pki.leaf(&leaf, "root", &format!("{SERVER}authorityInfoAccess=OCSP;URI:http://127.0.0.1:{port}/\n"));
    let serial = openssl::x509::X509::from_pem(&fs::read(pki.path(&format!("{leaf}.pem"))).unwrap()).unwrap();
    let serial = serial.serial_number().to_bn().unwrap().to_hex_str().unwrap().to_string();
    let line = state.map_or_else(String::new, |state| format!("{state}\t{serial}\tunknown\t/CN=localhost\n"));
    let index = format!("{leaf}.index");
    fs::write(pki.path(&index), line).unwrap();
    let running = alive.then(|| {
        let (port_text, index) = (port.to_string(), pki.file(&index));
        let (root, cert, key) =
            (pki.file("root.pem"), pki.file(&format!("{signer}.pem")), pki.file(&format!("{signer}.key")));
        openssl_at(
            port,
            &[
                "ocsp", "-index", &index, "-CA", &root, "-rsigner", &cert, "-rkey", &key, "-port",
                &port_text, "-nmin", "5",
            ],
        )
    });
    Responder { leaf, _running: running }
}

const GOOD: Option<&str> = Some("V\t991231235959Z\t");
const REVOKED: Option<&str> = Some("R\t991231235959Z\t250101000000Z,keyCompromise");

fn signers() {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| {
        Pki::get().leaf("delegate", "root", "extendedKeyUsage=OCSPSigning\n");
        Pki::get().leaf("plain", "root", "extendedKeyUsage=serverAuth\n");
        Pki::get().leaf("stranger", "middle", "extendedKeyUsage=OCSPSigning\n");
    });
}

#[test]
fn rows_of_revocation() {
    signers();
    let not_working = "ocsp-not-working";
    for (name, state, signer, alive, row, status) in [
        ("good", GOOD, "delegate", true, None, "good"),
        ("direct", GOOD, "root", true, None, "good"),
        ("revoked", REVOKED, "delegate", true, Some("revoked"), "revoked"),
        ("unknown", None, "delegate", true, Some(not_working), "unknown"),
        ("plain", GOOD, "plain", true, Some("responder-usage"), "responder-usage"),
        ("stranger", GOOD, "stranger", true, Some(not_working), "invalid"),
        ("dead", GOOD, "delegate", false, Some(not_working), "no-answer"),
    ] {
        let responder = responder(name, state, signer, alive);
        let server = s_server(&[&responder.leaf], &[]);
        let (host, _product) = product(&[&responder.leaf], json!({}));
        for port in [server.1, host.port] {
            for (policy, severity) in [("soft", "warning"), ("require", "error")] {
                let severity = if status == "revoked" { "error" } else { severity };
                let (code, found) = probe(&["root"], &local(port), &["--revocation", policy]);
                let of = format!("{name} {policy}: {} {} {found}", found["findings"], found["revocation"]);
                assert_eq!(ids(&found, severity), row.into_iter().collect::<Vec<_>>(), "{of}");
                assert_eq!(code, if row.is_some() && severity == "error" { 4 } else { 0 }, "{of}");
                assert_eq!(found["revocation"][0]["status"], status, "{of}");
                assert!(
                    found["revocation"][0]["source"].as_str().unwrap().starts_with("http://127.0.0.1:"),
                    "{of}"
                );
            }
            let (code, found) = probe(&["root"], &local(port), &["--revocation", "off"]);
            assert_eq!(
                (code, &found["revocation"], &found["findings"]),
                (0, &json!([]), &json!([])),
                "{name}"
            );
            // nobody vouches for the address in it
            let (_, found) = probe(&[], &local(port), &["--revocation", "require"]);
            assert_eq!(found["revocation"], json!([]), "{name}");
        }
    }
    let server = s_server(&["good"], &[]);
    let (code, found) = probe(&["root"], &local(server.1), &["--revocation", "require"]);
    assert_eq!((code, ids(&found, "error")), (4, vec![not_working]), "nobody to ask: {found}");
}

#[test]
fn a_responder_that_answers_otherwise() {
    let long = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 200_000]].concat();
    for (name, answer, detail) in [
        ("error", b"HTTP/1.1 500 No\r\n\r\n".to_vec(), "HTTP status 500"),
        ("moved", b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n".to_vec(), "HTTP status 302"),
        ("junk", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\njunk".to_vec(), "it is no OCSP response"),
        (
            "later",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\x30\x03\x0a\x01\x03".to_vec(),
            "it says: try later",
        ),
        ("other", b"SSH-2.0-OpenSSH\r\n".to_vec(), "the answer is not HTTP"),
        ("long", long, "did not come whole, or is too long"),
        ("silent", Vec::new(), "no answer in 2 s"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming().flatten() {
                let (mut stream, answer) = (stream, answer.clone());
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(&answer);
                if answer.is_empty() {
                    held.push(stream); // never answers, never hangs up
                }
            }
        });
        let leaf = format!("otherwise-{name}");
        Pki::get().leaf(
            &leaf,
            "root",
            &format!("{SERVER}authorityInfoAccess=OCSP;URI:http://127.0.0.1:{port}/\n"),
        );
        let server = s_server(&[&leaf], &[]);
        let start = Instant::now();
        let (code, found) = probe(&["root"], &local(server.1), &["--timeout", "2"]);
        assert_eq!((code, ids(&found, "warning")), (0, vec!["ocsp-not-working"]), "{name}: {found}");
        assert!(found["revocation"][0]["detail"].as_str().unwrap().contains(detail), "{name}: {found}");
        assert!(start.elapsed() < Duration::from_secs(10), "{name}: {:?}", start.elapsed());
    }
}

/// Makes a signed response one of another time, signed anew. RSA signatures of PKCS #1 1.5 are the same every time, so the
/// old one is found in the bytes.
fn made_old(response: &[u8], key: &[u8], time: &str) -> Vec<u8> {
    let key = PKey::private_key_from_pem(key).unwrap();
    let basic = [0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1];
    let at = response.windows(basic.len()).position(|bytes| bytes == basic).unwrap() + basic.len();
    assert_eq!((response[at], response[at + 1], response[at + 4], response[at + 5]), (4, 0x82, 0x30, 0x82));
    let begin = at + 8;
    let (header, length) = match response[begin + 1] {
        0x82 => (4, usize::from(u16::from_be_bytes([response[begin + 2], response[begin + 3]]))),
        0x81 => (3, usize::from(response[begin + 2])),
        short => (2, usize::from(short)),
    };
    let data = begin..begin + header + length;
    let sign = |bytes: &[u8]| {
        Signer::new(MessageDigest::sha256(), &key).unwrap().sign_oneshot_to_vec(bytes).unwrap()
    };
    let mut old = response.to_vec();
    let before = sign(&response[data.clone()]);
    for at in data.clone() {
        if old[at] == 0x18 && old[at + 1] == 15 && old[at + 2..at + 4] == *b"20" {
            old[at + 2..at + 17].copy_from_slice(time.as_bytes());
        }
    }
    let after = sign(&old[data]);
    let at = response.windows(before.len()).position(|bytes| bytes == before).unwrap();
    old[at..at + after.len()].copy_from_slice(&after);
    old
}

#[test]
fn stapled_responses() {
    let pki = Pki::get();
    // RSA for all, as `made_old` needs it
    pki.openssl("req -x509 -newkey rsa:2048 -nodes -keyout staple-ca.key -out staple-ca.pem -days 9 -subj /CN=staple-ca -addext keyUsage=critical,keyCertSign");
    pki.leaf("stapled", "staple-ca", SERVER);
    pki.leaf("stapled-plain", "staple-ca", "extendedKeyUsage=serverAuth\n");
    let serial = openssl::x509::X509::from_pem(&fs::read(pki.path("stapled.pem")).unwrap()).unwrap();
    let serial = serial.serial_number().to_bn().unwrap().to_hex_str().unwrap().to_string();
    let mut responses = Vec::new();
    for (name, state, signer, how) in [
        ("good", GOOD, "staple-ca", "-nmin 60"),
        ("revoked", REVOKED, "staple-ca", "-nmin 60"),
        ("plain", GOOD, "stapled-plain", "-nmin 60"),
        ("endless", GOOD, "staple-ca", ""),
        ("endless-revoked", REVOKED, "staple-ca", ""),
        ("bare", GOOD, "staple-ca", "-nmin 60 -resp_no_certs"),
        ("bare-plain", GOOD, "stapled-plain", "-nmin 60 -resp_no_certs"),
    ] {
        fs::write(
            pki.path("staple.index"),
            format!("{}\t{serial}\tunknown\t/CN=localhost\n", state.unwrap()),
        )
        .unwrap();
        pki.openssl(&format!(
            "ocsp -index staple.index -CA staple-ca.pem -rsigner {signer}.pem -rkey {signer}.key -issuer staple-ca.pem \
             -cert stapled.pem -no_nonce {how} -respout staple-{name}.der"
        ));
        responses.push((name, fs::read(pki.path(&format!("staple-{name}.der"))).unwrap()));
    }
    // a response without an end counts for a week, unless it tells of a revocation
    let (key, day) = (fs::read(pki.path("staple-ca.key")).unwrap(), Duration::from_secs(86_400));
    let ago = |days: u32| {
        let at = jiff::Timestamp::now() - day * days;
        format!("{}Z", at.strftime("%Y%m%d%H%M%S"))
    };
    for (name, at, new) in [
        ("old", 0, "20200101000000Z".to_owned()),
        ("endless-old", 3, "20200101000000Z".to_owned()),
        ("endless-8-days", 3, ago(8)),
        ("endless-6-days", 3, ago(6)),
        ("endless-old-revoked", 4, "20200101000000Z".to_owned()),
    ] {
        let old = made_old(&responses[at].1, &key, &new);
        fs::write(pki.path(&format!("staple-{name}.der")), old).unwrap();
    }
    fs::write(pki.path("staple-junk.der"), {
        let mut junk = responses[0].1.clone();
        let time = junk.windows(2).position(|bytes| bytes == [0x18, 15]).unwrap();
        junk[time + 15] ^= 1; // a second, which is signed
        junk
    })
    .unwrap();
    for (name, status, row) in [
        ("good", "good", None),
        ("revoked", "revoked", Some("revoked")),
        ("plain", "responder-usage", Some("responder-usage")),
        ("old", "stale", Some("ocsp-not-working")),
        ("endless", "good", None),
        ("endless-old", "stale", Some("ocsp-not-working")),
        ("endless-8-days", "stale", Some("ocsp-not-working")),
        ("endless-6-days", "good", None),
        ("endless-old-revoked", "revoked", Some("revoked")),
        ("bare", "good", None),
        ("bare-plain", "invalid", Some("ocsp-not-working")),
        ("junk", "invalid", Some("ocsp-not-working")),
    ] {
        let file = pki.file(&format!("staple-{name}.der"));
        for version in ["-tls1_2", "-tls1_3"] {
            let server = s_server(&["stapled"], &["-status_file", &file, version]);
            let (code, found) = probe(&["staple-ca"], &local(server.1), &["--revocation", "require"]);
            let of = format!("{name} {version}: {found}");
            assert_eq!(ids(&found, "error"), row.into_iter().collect::<Vec<_>>(), "{of}");
            assert_eq!(
                (code == 0, &found["revocation"][0]["status"]),
                (row.is_none(), &status.into()),
                "{of}"
            );
            assert_eq!(found["revocation"][0]["source"], "stapled", "{of}");
        }
    }
}

#[test]
fn the_row_of_a_client_certificate_that_cannot_be_loaded() {
    let pki = Pki::get();
    let server = s_server(&["good"], &["-verify", "1", "-CAfile", &pki.file("root.pem")]);
    pki.openssl("pkcs8 -topk8 -in client.key -passout pass:Hidden.1 -out client-locked.key");
    pki.openssl("ecparam -name prime256v1 -genkey -out client-explicit.key -param_enc explicit");
    fs::write(
        pki.path("client-damaged.pem"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    fs::write(pki.path("client-cut.key"), &fs::read(pki.path("client.key")).unwrap()[..90]).unwrap();
    fs::copy(pki.path("client.key"), pki.path("client-open.key")).unwrap();
    for name in ["client-locked.key", "client-explicit.key", "client-cut.key"] {
        fs::set_permissions(pki.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    fs::set_permissions(pki.path("client-open.key"), fs::Permissions::from_mode(0o644)).unwrap();
    for (cert, key, why, fix) in [
        ("missing.pem", "client.key", "No such file", "a file that is there"),
        ("client-damaged.pem", "client.key", "certificate", ""),
        ("client.pem", "client-cut.key", "key", ""),
        ("client.pem", "client-locked.key", "PKCS#8", "cert convert FILE --out-dir DIR"),
        ("client.pem", "client-explicit.key", "key", ""),
        ("client.pem", "good.key", "does not belong", "give the key that belongs to the certificate"),
        ("client.pem", "client-open.key", "others than its owner can read it", "chmod 600"),
        ("client.csr", "client.key", "a request for a certificate (CSR)", ""),
        ("client.key", "client.pem", "a private key, and that of the key a certificate", "other way round"),
    ] {
        let more = ["--client-cert", &pki.file(cert), "--client-key", &pki.file(key)];
        let (code, found) = probe(&["root"], &local(server.1), &more);
        let of = format!("{cert} {key}: {found}");
        assert_eq!((code, ids(&found, "error")), (4, vec!["client-certificate"]), "{of}");
        assert_eq!(found["findings"][0]["message"], "Failed load client certificate", "{of}");
        assert!(found["findings"][0]["cause"].as_str().unwrap().contains(why), "{of}");
        assert!(found["findings"][0]["fix"].as_str().unwrap().contains(fix), "{of}");
        assert_eq!(found["client"]["accepted"], Value::Null, "{of}");
    }
}

/// What a probe finds with the configuration of the engine `east` in a root of its own.
fn probe_as_east(target: &str, conf: &Value, key: &str, more: &[&str]) -> (i32, Value, String) {
    let (pki, root) = (Pki::get(), root(&["root"]));
    let home = root.path().join("usr/local/demisto/d1_east");
    fs::create_dir_all(&home).unwrap();
    fs::write(home.join("d1.conf"), conf.to_string()).unwrap();
    for (from, to) in [("client.pem", "client.pem"), (key, "client.key")] {
        fs::copy(pki.path(from), home.join(to)).unwrap();
        fs::set_permissions(home.join(to), fs::Permissions::from_mode(0o400)).unwrap();
    }
    let mut command = Command::new(PROGRAM);
    command.args([
        "cert",
        "probe",
        target,
        "--installed",
        "--engine",
        "--name",
        "east",
        "--output",
        "json",
        "--root",
    ]);
    let output = command.arg(root.path()).args(more).output().unwrap();
    let text = said(&output);
    let last = text.lines().last().unwrap_or_default();
    let found = serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}: {text}"));
    (output.status.code().unwrap(), found, text)
}

#[test]
fn the_configuration_of_an_engine_is_taken() {
    let pki = Pki::get();
    pki.openssl("ec -in client.key -aes256 -passout pass:Hidden.77 -out conf-locked.key");
    let server = s_server(&["good"], &["-Verify", "1", "-CAfile", &pki.file("root.pem")]);
    let target = local(server.1);
    let conf = |keypass: &str, more: Value| {
        let mut conf = json!({"security": {"client": {"enabled": true}},
            "security.certificate.client.keypass": keypass, "engine.connection.trust_any_certificate": false,
            "security.certificate.override.donotverifyservercertificates": false});
        for (key, value) in more.as_object().into_iter().flatten() {
            conf[key] = value.clone();
        }
        conf
    };
    let (code, found, text) = probe_as_east(&target, &conf("Hidden.77", json!({})), "conf-locked.key", &[]);
    assert_eq!(
        (code, &found["findings"], &found["client"]["accepted"]),
        (0, &json!([]), &true.into()),
        "{text}"
    );
    assert!(!text.contains("Hidden.77") && found["revocation"] == json!([]), "{text}");

    let (code, found, text) = probe_as_east(&target, &conf("Hidden.78", json!({})), "conf-locked.key", &[]);
    assert_eq!((code, ids(&found, "error")), (4, vec!["client-certificate"]), "{text}");
    assert!(!text.contains("Hidden.78"), "{text}");
    let (code, found, text) = probe_as_east(&target, &conf("", json!({})), "good.key", &[]);
    assert_eq!((code, ids(&found, "error")), (4, vec!["client-certificate"]), "{text}");

    let strict = conf("", json!({"security.certificate.verifyrevocation": true}));
    let (code, found, text) = probe_as_east(&target, &strict, "client.key", &[]);
    assert_eq!((code, ids(&found, "error")), (4, vec!["ocsp-not-working"]), "{text}");
    let (code, _, text) = probe_as_east(&target, &strict, "client.key", &["--revocation", "off"]);
    assert_eq!(code, 0, "{text}");

    let (code, found, text) = probe_as_east(&target, &json!({}), "client.key", &[]);
    let warnings = ["not-verified", "client-certificate-required"];
    assert_eq!((code, ids(&found, "warning")), (0, warnings.to_vec()), "{text}");
    assert_eq!(found["client"]["asked"], "required", "{text}");
}

#[test]
fn client_certificates_wanted_required_accepted_refused() {
    let pki = Pki::get();
    pki.leaf("other-client", "no-flag", CLIENT);
    let root = pki.file("root.pem");
    let own = ["--client-cert", &pki.file("client.pem"), "--client-key", &pki.file("client.key")];
    let other =
        ["--client-cert", &pki.file("other-client.pem"), "--client-key", &pki.file("other-client.key")];
    for version in ["-tls1_2", "-tls1_3"] {
        for (how, asked) in [("", "no"), ("-verify", "wanted"), ("-Verify", "required")] {
            let mut more = vec![version, "-CAfile", &root, "-verify_return_error"];
            if !how.is_empty() {
                more.extend([how, "1"]);
            }
            let server = s_server(&["good"], &more);
            let (code, found) = probe(&["root"], &local(server.1), &[]);
            let of = format!("{version} {how}: {found}");
            assert_eq!((code, &found["client"]["asked"]), (0, &asked.into()), "{of}");
            assert_eq!(found["client"]["accepted"], Value::Null, "{of}");
            let required = ["client-certificate-required"];
            assert_eq!(ids(&found, "warning"), if asked == "required" { &required[..] } else { &[] }, "{of}");
            let names = if version == "-tls1_2" && asked != "no" { json!(["CN=root"]) } else { json!([]) };
            assert_eq!(found["client"]["authorities"], names, "{of}");
            let (code, found) = probe(&["root"], &local(server.1), &own);
            let accepted = if asked == "no" { Value::Null } else { true.into() };
            assert_eq!((code, &found["client"]["accepted"]), (0, &accepted), "{version} {how}: {found}");
            if asked != "no" {
                let (code, found) = probe(&["root"], &local(server.1), &other);
                assert_eq!(
                    (code, &found["client"]["accepted"]),
                    (4, &false.into()),
                    "{version} {how}: {found}"
                );
                assert_eq!(ids(&found, "error"), ["unknown-authority"], "{version} {how}: {found}");
            }
        }
    }
    for (policy, asked) in [("require", "required"), ("verify", "wanted"), ("requireandverify", "required")] {
        let conf = json!({"server.certificate.clientauthpolicy": policy,
            "security.server.certificate.donotverifyclientcertificates": false});
        let (host, _product) = product(&["good"], conf);
        let (_, found) = probe(&["root"], &local(host.port), &[]);
        assert_eq!(found["client"]["asked"], asked, "{policy}: {found}");
        let (code, found) = probe(&["root"], &local(host.port), &own);
        assert_eq!((code, &found["client"]["accepted"]), (0, &true.into()), "{policy}: {found}");
    }
}

#[test]
fn a_client_certificate_is_looked_at_before_it_is_shown() {
    let pki = Pki::get();
    let server = s_server(&["good"], &["-verify", "1"]);
    pki.expired("client-expired", "root", CLIENT);
    for (name, row) in [("client-expired", "expired"), ("other-key", "incompatible-usage")] {
        let (cert, key) = (pki.file(&format!("{name}.pem")), pki.file(&format!("{name}.key")));
        let more = ["--client-cert", &cert, "--client-key", &key];
        let (code, found) = probe(&["root"], &local(server.1), &more);
        assert_eq!((code, ids(&found, "error")), (4, vec![row]), "{name}: {found}");
    }
}

#[test]
fn old_protocols_are_a_finding() {
    let weak = ["-cipher", "ALL:@SECLEVEL=0"];
    for (flag, version) in [("-tls1", "TLS 1.0"), ("-tls1_1", "TLS 1.1")] {
        let server = s_server(&["good"], &[&[flag], &weak[..]].concat());
        let (code, found) = probe(&["root"], &local(server.1), &[]);
        assert_eq!((code, ids(&found, "error")), (4, vec!["old-protocol"]), "{flag}: {found}");
        for offer in found["versions"].as_array().unwrap() {
            assert_eq!(offer["offered"], offer["version"] == version, "{flag}: {offer}");
        }
    }
    let server = s_server(&["good"], &[&["-min_protocol", "TLSv1"], &weak[..]].concat());
    let (code, found) = probe(&["root"], &local(server.1), &["--revocation", "off"]);
    assert_eq!((code, ids(&found, "error")), (4, vec!["old-protocol"]), "{found}");
    assert!(
        offered(&found, "TLS 1.0") && offered(&found, "TLS 1.1") && offered(&found, "TLS 1.3"),
        "{found}"
    );
    assert_eq!(found["findings"][0]["message"], "the server speaks TLS 1.0, TLS 1.1");
}

#[test]
fn ssl_3_is_seen() {
    // no tool of today speaks it: the answer of a server that does
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut hello = [0; 11];
            let _ = stream.read_exact(&mut hello);
            let old = hello[9..11] == [3, 0];
            let answer: &[u8] = if old {
                b"\x16\x03\x00\x00\x2a\x02\x00\x00\x26\x03\x00"
            } else {
                b"\x15\x03\x00\x00\x02\x02\x28"
            };
            let _ = stream.write_all(answer);
        }
    });
    let (code, found) = probe(&["root"], &format!("127.0.0.1:{port}"), &["--timeout", "2"]);
    assert_eq!((code, ids(&found, "error")), (4, vec!["old-protocol"]), "{found}");
    assert!(offered(&found, "SSL 3.0") && !offered(&found, "TLS 1.0"), "{found}");
}

#[test]
fn addresses_of_both_families() {
    let (pki, port) = (Pki::get(), free_port());
    let accept = format!("[::1]:{port}");
    let (cert, key) = (pki.file("good.pem"), pki.file("good.key"));
    let _server = openssl_at(port, &["s_server", "-accept", &accept, "-www", "-cert", &cert, "-key", &key]);
    let (code, found) = probe(&["root"], &format!("[::1]:{port}"), &[]);
    assert_eq!(code, 0, "{found}");
    let (code, found) = probe(&["root"], &format!("[::1]:{port}"), &["--server-name", "::2"]);
    assert_eq!((code, ids(&found, "error")), (4, vec!["other-names"]), "{found}");
    assert!(found["findings"][0]["message"].as_str().unwrap().ends_with("valid for 127.0.0.1, ::1, not ::2"));
}

#[test]
fn a_wildcard_counts_for_a_browser_only() {
    make_bad_ones();
    let server = s_server(&["wildcard"], &[]);
    let more = ["--server-name", "a.localhost", "--as", "browser"];
    let (code, found) = probe(&["root"], &local(server.1), &more);
    assert_eq!((code, ids(&found, "warning")), (0, vec!["other-names"]), "{found}");
}

#[test]
fn limits_of_an_authority_are_kept() {
    let pki = Pki::get();
    pki.authority(
        "limited",
        "",
        &format!("{AUTHORITY}nameConstraints=critical,permitted;DNS:example.test\n"),
    );
    pki.authority("end", "", "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n");
    pki.authority("below-end", "end", AUTHORITY);
    for (name, by, chain) in [
        ("by-limited", "limited", &["by-limited"][..]),
        ("by-below-end", "below-end", &["by-below-end", "below-end"]),
    ] {
        pki.leaf(name, by, "subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n");
        let server = s_server(chain, &[]);
        let (code, found) = probe(&["limited", "end"], &local(server.1), &[]);
        assert_eq!((code, ids(&found, "error")), (4, vec!["path"]), "{name}: {found}");
    }
}

#[test]
fn names_that_an_authority_forbids_are_found_also_where_openssl_finds_something_else() {
    let pki = Pki::get();
    let limited = format!(
        "{AUTHORITY}nameConstraints=critical,permitted;DNS:example.test\nsubjectKeyIdentifier=hash\n"
    );
    pki.authority("other-id", "", &limited);
    // its issuer's key is named by another identifier: Go does not mind, OpenSSL stops there
    let extensions =
        "authorityKeyIdentifier=keyid\nsubjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n";
    pki.leaf("by-other-id", "other-id", extensions);
    pki.openssl("req -x509 -new -key other-id.key -subj /CN=other-id -days 9 -addext subjectKeyIdentifier=0102 \
                 -addext keyUsage=critical,keyCertSign -addext nameConstraints=critical,permitted;DNS:example.test \
                 -out re-issued.pem");
    let server = s_server(&["by-other-id"], &[]);
    for trusted in ["other-id", "re-issued"] {
        let (code, found) = probe(&[trusted], &local(server.1), &[]);
        assert_eq!((code, ids(&found, "error")), (4, vec!["path"]), "{trusted}: {found}");
    }
}

#[test]
fn who_has_no_version_3_signs_only_if_trusted_itself() {
    let pki = Pki::get();
    for (name, by) in
        [("v1-middle", "-CA root.pem -CAkey root.key -set_serial 77"), ("v1-root", "-signkey v1-root.key")]
    {
        pki.request(name, name);
        pki.openssl(&format!("x509 -req -in {name}.csr {by} -days 9 -out {name}.pem"));
        let der = fs::read(pki.path(&format!("{name}.pem"))).unwrap();
        assert_eq!(openssl::x509::X509::from_pem(&der).unwrap().version(), 0, "{name}");
        pki.leaf(&format!("by-{name}"), name, SERVER);
    }
    let server = s_server(&["by-v1-middle", "v1-middle"], &[]);
    let (code, found) = probe(&["root"], &local(server.1), &[]);
    assert_eq!((code, ids(&found, "error")), (4, vec!["authority-flag"]), "{found}");
    let server = s_server(&["by-v1-root"], &[]);
    let (code, found) = probe(&["v1-root"], &local(server.1), &[]);
    assert_eq!((code, ids(&found, "error")), (0, vec![]), "{found}");
}

#[test]
fn what_tls_1_2_shows_besides_is_judged_too() {
    let pki = Pki::get();
    pki.openssl("req -newkey rsa:2048 -nodes -keyout tls12.key -out tls12.csr -subj /CN=tls12");
    pki.sign("tls12", "root", -1, "subjectAltName=DNS:else.example.test\nextendedKeyUsage=serverAuth\n");
    let (cert, key) = (pki.file("tls12.pem"), pki.file("tls12.key"));
    let more = ["-dcert", &cert, "-dkey", &key, "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"];
    let server = s_server(&["good"], &more);
    let (code, found) = probe(&["root"], &local(server.1), &["--revocation", "off"]);
    assert_eq!((code, ids(&found, "error")), (4, vec!["expired", "other-names"]), "{found}");
    assert_eq!(
        (&found["chain"][0]["subject"], &found["chain_tls12"][0]["subject"], &found["anchor"]),
        (&"CN=localhost".into(), &"CN=tls12".into(), &"CN=root".into()),
        "{found}"
    );
    let text = said(&run(&["root"], &local(server.1), &["--revocation", "off"]));
    assert!(text.contains("  TLS 1.2   shows other certificates:\n  Served 1  CN=tls12\n"), "{text}");
    let server = s_server(&["good"], &["-dcert", &cert, "-dkey", &key]);
    let (code, found) = probe(&["root"], &local(server.1), &["--revocation", "off"]);
    assert_eq!((code, &found["chain_tls12"]), (0, &json!([])), "{found}");
}

/// An authority and a leaf of it whose every text tries to write lines of its own.
fn forged() {
    let pki = Pki::get();
    pki.request("forged-ca", "x");
    pki.request("forged", "x");
    let evil = "CN\nerror: forged \x1b[31m\u{202e}\rback";
    let name = || {
        let mut name = openssl::x509::X509NameBuilder::new().unwrap();
        name.append_entry_by_text("CN", evil).unwrap();
        name.append_entry_by_text("O", evil).unwrap();
        name.build()
    };
    let key = |name: &str| PKey::private_key_from_pem(&fs::read(pki.path(name)).unwrap()).unwrap();
    for (file, is_ca) in [("forged-ca", true), ("forged", false)] {
        let mut made = openssl::x509::X509::builder().unwrap();
        made.set_version(2).unwrap();
        made.set_subject_name(&name()).unwrap();
        made.set_issuer_name(&name()).unwrap();
        made.set_pubkey(&key(&format!("{file}.key"))).unwrap();
        made.set_not_before(&openssl::asn1::Asn1Time::days_from_now(0).unwrap()).unwrap();
        made.set_not_after(&openssl::asn1::Asn1Time::days_from_now(9).unwrap()).unwrap();
        let serial = openssl::bn::BigNum::from_u32(7 + u32::from(is_ca)).unwrap();
        made.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
        if is_ca {
            let basic = openssl::x509::extension::BasicConstraints::new().critical().ca().build();
            made.append_extension(basic.unwrap()).unwrap();
            let usage = openssl::x509::extension::KeyUsage::new().critical().key_cert_sign().build();
            made.append_extension(usage.unwrap()).unwrap();
        } else {
            let mut san = openssl::x509::extension::SubjectAlternativeName::new();
            let san = san.dns("else").dns("else\nerror: forged\x1b[1m").email("a\nerror: forged@b");
            let san = san.build(&made.x509v3_context(None, None)).unwrap();
            made.append_extension(san).unwrap();
        }
        made.sign(&key("forged-ca.key"), MessageDigest::sha256()).unwrap();
        fs::write(pki.path(&format!("{file}.pem")), made.build().to_pem().unwrap()).unwrap();
    }
    let labelled = "-----BEGIN \rerror: forged \x1b[1m-----\nAAAA\n-----END \rerror: forged \x1b[1m-----\n";
    let both = fs::read_to_string(pki.path("forged.pem")).unwrap() + labelled;
    fs::write(pki.path("forged-labelled.pem"), both).unwrap();
}

#[test]
fn texts_of_certificates_add_no_lines() {
    forged();
    let pki = Pki::get();
    let host = root(&[]);
    let store = host.path().join("usr/local/share/ca-certificates");
    fs::create_dir_all(&store).unwrap();
    fs::write(host.path().join("etc/ca-certificates.conf"), "").unwrap();
    let on_host = |words: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(words).arg("--root").arg(host.path()).output().unwrap()
    };
    let (leaf, ca) = (pki.file("forged-labelled.pem"), pki.file("forged-ca.pem"));
    let server = s_server(&["forged"], &["-tls1_2", "-verify", "1", "-CAfile", &ca]);
    let mut seen = vec![
        ("check", on_host(&["cert", "check", &leaf])),
        ("plan", on_host(&["ca", "add", &ca, "--dry-run"])),
        ("probe", run(&[], &local(server.1), &[])),
        ("trusted", run(&["forged-ca"], &local(server.1), &[])),
    ];
    fs::copy(pki.path("forged-ca.pem"), store.join("forged.crt")).unwrap();
    seen.push(("list", on_host(&["ca", "list"])));
    for (name, output) in seen {
        let text = said(&output);
        assert!(text.contains("forged"), "{name}: {text}");
        for line in text.lines() {
            let odd = |c: char| c.is_control() || c == '\u{202e}';
            let own = line.trim_start_matches([' ', '|']).starts_with("error: forged");
            assert!(!own && !line.contains(odd), "{name}: {line:?}");
        }
    }
}

#[test]
fn a_file_with_too_many_blocks_is_refused() {
    let pki = Pki::get();
    let one = fs::read_to_string(pki.path("root.pem")).unwrap();
    for (count, fine) in [(64, true), (65, false)] {
        let name = format!("many-{count}.pem");
        fs::write(pki.path(&name), one.repeat(count)).unwrap();
        let found = check(&[&name], &["--role", "ca"]);
        assert_eq!(found.iter().any(|id| id == "certificate-unreadable"), !fine, "{count}: {found:?}");
        let host = root(&[]);
        fs::write(host.path().join("etc/ca-certificates.conf"), "").unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["ca", "add", "--dry-run", &pki.file(&name), "--root"]).arg(host.path());
        let text = said(&command.output().unwrap());
        assert_eq!(text.contains("more than 64 blocks"), !fine, "{count}: {text}");
        let server = s_server(&["good"], &[]);
        let text = said(&run(&[], &local(server.1), &["--ca", &pki.file(&name)]));
        assert_eq!(
            (text.contains("more than 64 blocks"), text.contains("works\n")),
            (!fine, fine),
            "{count}: {text}"
        );
    }
}

#[test]
fn authorities_may_be_given() {
    let pki = Pki::get();
    let server = s_server(&["below"], &[]);
    pki.openssl("x509 -in middle.pem -outform DER -out middle.der");
    for files in [&["middle.pem", "root.pem"][..], &["middle.der"]] {
        let files: Vec<String> = files.iter().map(|file| pki.file(file)).collect();
        let more: Vec<&str> = files.iter().flat_map(|file| ["--ca", file]).collect();
        let (code, found) = probe(&[], &local(server.1), &more);
        assert_eq!(code, 0, "{found}");
    }
    let output = run(&[], &local(server.1), &["--ca", &pki.file("root.key")]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("holds no certificate"), "{}", said(&output));
}

#[test]
fn without_a_connection_it_says_why() {
    let closed = free_port();
    for (target, why) in [
        (format!("127.0.0.1:{closed}"), "refuses the connection"),
        ("no-such-host.invalid:443".to_owned(), "no-such-host.invalid"),
    ] {
        let output = run(&["root"], &target, &["--timeout", "5"]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(why) && said(&output).contains("hint: "), "{}", said(&output));
    }
    for bad in ["", "a b", "::1", "host:70000"] {
        assert_eq!(run(&[], bad, &[]).status.code(), Some(2), "{bad}");
    }
    // a port whose queue is full answers nobody
    let full = TcpListener::bind("127.0.0.1:0").unwrap();
    nix::sys::socket::listen(&full, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
    let address = full.local_addr().unwrap();
    let _held: Vec<_> =
        (0..4).map_while(|_| TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok()).collect();
    let start = Instant::now();
    let output = run(&["root"], &address.to_string(), &["--timeout", "1"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("does not answer in time"), "{}", said(&output));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

/// What a server that means no good does with a connection.
type Manners = fn(TcpStream);

#[test]
fn servers_that_mean_no_good_end_in_an_error_in_time() {
    let manners: [(&str, Manners); 8] = [
        ("closes at once", drop),
        ("garbage", |mut s| drop(s.write_all(&[0xa5; 4096]))),
        ("http", |mut s| drop(s.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\nThis is plain HTTP\r\n"))),
        ("silent", |s| {
            thread::sleep(Duration::from_secs(20));
            drop(s);
        }),
        ("endless garbage", |mut s| while s.write_all(&[7; 65536]).is_ok() {}),
        (
            "endless empty records",
            |mut s| while s.write_all(&b"\x16\x03\x03\x00\x00".repeat(1000)).is_ok() {},
        ),
        ("slow bytes", |mut s| {
            for byte in [0x16, 3, 3, 0x40, 0].into_iter().chain([2; 400]) {
                if s.write_all(&[byte]).is_err() {
                    break;
                }
                thread::sleep(Duration::from_millis(50));
            }
        }),
        ("huge message", |mut s| {
            let _ = s.write_all(b"\x16\x03\x03\x40\x00\x02\xff\xff\xff");
            while s.write_all(&[0; 16384]).is_ok() {}
        }),
    ];
    for (name, manner) in manners {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || manner(stream));
            }
        });
        let start = Instant::now();
        let output = run(&["root"], &format!("127.0.0.1:{port}"), &["--timeout", "1"]);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{name}: {text}");
        assert!(text.contains("is open but does not speak TLS: "), "{name}: {text}");
        assert!(start.elapsed() < Duration::from_secs(9), "{name}: {:?}", start.elapsed());
    }
}

#[test]
fn a_huge_chain_is_refused_and_a_long_one_looked_at_in_part() {
    let pki = Pki::get();
    let root = fs::read_to_string(pki.path("root.pem")).unwrap();
    for (count, works) in [(40, true), (600, false)] {
        let (port, chain) = (free_port(), format!("long-{count}.pem"));
        fs::write(pki.path(&chain), root.repeat(count)).unwrap();
        let (accept, cert, key) = (port.to_string(), pki.file("good.pem"), pki.file("good.key"));
        let chain = pki.file(&chain);
        let arguments =
            ["s_server", "-accept", &accept, "-www", "-cert", &cert, "-key", &key, "-cert_chain", &chain];
        let _server = openssl_at(port, &arguments);
        let output = run(&["root"], &local(port), &[]);
        assert_eq!(output.status.code(), Some(if works { 0 } else { 1 }), "{count}: {}", said(&output));
    }
}

#[test]
fn the_page_shows_the_rows_of_the_program() {
    use demisto_install::probe::Row;
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/probe.md")).unwrap();
    let shown = rows(&page, "| Row |");
    let plain = |text: &str| text.to_owned();
    let expected: Vec<Vec<String>> = Row::ALL
        .iter()
        .map(|row| {
            let text = row.text();
            let message = format!("`{}`", text.message);
            [&format!("`{}`", text.key), &message, text.seen, text.cause, text.fix].map(plain).to_vec()
        })
        .collect();
    let table: String = expected.iter().map(|row| format!("| {} |\n", row.join(" | "))).collect();
    assert_eq!(shown, expected, "docs/probe.md should show\n{table}");
}
