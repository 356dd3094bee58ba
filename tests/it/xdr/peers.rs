//! Servers, directly and through proxies.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
use tempfile::TempDir;

use super::{Access, command, root, secret_file};
use crate::cert_probe::{Pki, Running, free_port, openssl_at};
use crate::support::installer::{PROGRAM, said};

const CHECKS: &str =
    "fqdn-address,fqdn-connection,fqdn-tls,fqdn-name,fqdn-validity,fqdn-trust,fqdn-interception";
const MOZILLA: &str = "usr/share/ca-certificates/mozilla";
const ADDED: &str = "usr/local/share/ca-certificates";
const SERVER: &str = "extendedKeyUsage=serverAuth\n";

fn pem(name: &str) -> String {
    fs::read_to_string(Pki::get().path(&format!("{name}.pem"))).unwrap()
}

/// A root in which the authority of the test servers came with the package `ca-certificates`.
fn public() -> TempDir {
    let root = root(&[pem("root")]);
    fs::write(root.path().join(MOZILLA).join("Root.crt"), pem("root")).unwrap();
    let list = root.path().join("var/lib/dpkg/info");
    fs::create_dir_all(&list).unwrap();
    fs::write(list.join("ca-certificates.list"), format!("/.\n/{MOZILLA}\n/{MOZILLA}/Root.crt\n")).unwrap();
    root
}

/// `openssl s_server` with a chain in the store of test certificates.
fn server(chain: &[&str]) -> Running {
    let (pki, port) = (Pki::get(), free_port());
    let (leaf, key) = (pki.file(&format!("{}.pem", chain[0])), pki.file(&format!("{}.key", chain[0])));
    let accept = port.to_string();
    let rest = pki.path(&format!("{port}.chain"));
    fs::write(&rest, chain.iter().map(|name| pem(name)).collect::<String>()).unwrap();
    let rest = rest.to_str().unwrap();
    openssl_at(
        port,
        &["s_server", "-accept", &accept, "-www", "-cert", &leaf, "-key", &key, "-cert_chain", rest],
    )
}

fn ask(root: &Path, port: u16, more: &[&str]) -> Access {
    let target = format!("localhost:{port}");
    Access::ask(Some(root), &[&["--only", CHECKS, "--fqdn", &target], more].concat())
}

#[test]
fn a_server_with_a_public_certificate_passes() {
    let (root, server) = (public(), server(&["below", "middle"]));
    let found = ask(root.path(), server.1, &["--direct"]);
    assert_eq!((found.code, found.with("pass").len()), (0, 7), "{}", found.text);
    assert_eq!(found.field("fqdn-tls", "seen"), "TLS 1.3");
    assert!(found.field("fqdn-address", "seen").contains("127.0.0.1"), "{}", found.text);
    assert!(
        found.field("fqdn-interception", "seen").contains("CN=root, which came with this host's packages")
    );
    assert_eq!(found.one("fqdn-tls")["subject"], format!("localhost:{}", server.1));
}

#[test]
fn what_is_wrong_with_a_certificate_is_told_apart() {
    let (pki, root) = (Pki::get(), public());
    pki.leaf_as("xdr-other", "other", "root", &format!("subjectAltName=DNS:other.example.test\n{SERVER}"));
    pki.request("xdr-old", "old");
    pki.sign("xdr-old", "root", -1, &format!("subjectAltName=DNS:localhost\n{SERVER}"));
    for (chain, wanted, said) in [
        ("xdr-other", "fqdn-name", "valid for other.example.test, not localhost"),
        ("xdr-old", "fqdn-validity", "expired or is not yet valid"),
    ] {
        let server = server(&[chain]);
        let found = ask(root.path(), server.1, &["--direct"]);
        assert_eq!((found.code, found.with("fail")), (4, vec![wanted]), "{}", found.text);
        assert!(found.field(wanted, "seen").contains(said), "{}", found.text);
    }
    // a wildcard is as good as the name, unlike in FIPS-CC mode
    pki.leaf_as(
        "xdr-wild",
        "wild",
        "root",
        &format!("subjectAltName=DNS:*.local.test,DNS:localhost\n{SERVER}"),
    );
    let server = server(&["xdr-wild"]);
    assert_eq!(ask(root.path(), server.1, &["--direct"]).code, 0);
}

#[test]
fn an_authority_that_is_not_public_is_a_middlebox() {
    let server = server(&["good"]);
    // in the store, added by the administrator
    let added = root(&[pem("root")]);
    fs::write(added.path().join(ADDED).join("corporate.crt"), pem("root")).unwrap();
    let file = added.path().join(MOZILLA).join("Other.crt");
    fs::write(file, fs::read(super::anchor("anchor-go-daddy-g2")).unwrap()).unwrap();
    let found = ask(added.path(), server.1, &["--direct"]);
    assert_eq!((found.code, found.with("fail")), (4, vec!["fqdn-interception"]), "{}", found.text);
    assert!(
        found.field("fqdn-interception", "seen").contains("ca-certificates/corporate.crt"),
        "{}",
        found.text
    );
    let fix = found.field("fqdn-interception", "fix");
    assert!(fix.contains("SSL Decryption Exclusion") && fix.contains("exclude localhost"), "{fix}");

    // put beside Mozilla's files by somebody: the package knows which are its own
    let beside = public();
    fs::rename(beside.path().join(MOZILLA).join("Root.crt"), beside.path().join(MOZILLA).join("Proxy.crt"))
        .unwrap();
    fs::write(beside.path().join(MOZILLA).join("Root.crt"), pem("ocsp-root")).unwrap();
    let found = ask(beside.path(), server.1, &["--direct"]);
    assert_eq!(found.with("fail"), ["fqdn-interception"], "{}", found.text);
    assert!(found.field("fqdn-interception", "seen").contains("did not come with this host's packages"));

    // not in the store
    let none = root(&[pem("ocsp-root")]);
    let found = ask(none.path(), server.1, &["--direct"]);
    assert_eq!(found.with("fail"), ["fqdn-trust", "fqdn-interception"], "{}", found.text);
    assert!(found.field("fqdn-trust", "seen").contains("unknown authority"), "{}", found.text);
    assert!(found.field("fqdn-trust", "fix").contains("exclude localhost"), "{}", found.text);
}

#[test]
fn rhels_set_counts_as_public_too() {
    let (root, server) = (root(&[]), server(&["good"]));
    let put = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    fs::remove_dir_all(root.path().join("etc")).unwrap();
    put("etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", &pem("root"));
    fs::create_dir_all(root.path().join("etc/pki/ca-trust/source/anchors")).unwrap();
    let of = |text: &str| {
        put("usr/share/pki/ca-trust-source/ca-bundle.trust.p11-kit", text);
        ask(root.path(), server.1, &["--direct"]).with("fail").len()
    };
    let head = "# words\n[p11-kit-object-v1]\nlabel: \"root\"\ntrusted: true\n";
    assert_eq!(of(&format!("{head}{}", pem("root"))), 0);
    assert_eq!(of(&format!("{head}{}", pem("ocsp-root"))), 1);
}

#[test]
fn what_does_not_answer_is_told_by_how_far_it_went() {
    let root = public();
    let closed = free_port();
    let found = ask(root.path(), closed, &["--direct"]);
    assert_eq!(
        (found.with("fail"), found.with("skipped").len()),
        (vec!["fqdn-connection"], 5),
        "{}",
        found.text
    );
    // something else than TLS, and silence
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut stream = stream;
                let _ = stream.write_all(b"SSH-2.0-test\r\n");
                let _ = stream.read(&mut [0; 512]);
            });
        }
    });
    let found = ask(root.path(), port, &["--direct"]);
    assert_eq!((found.with("fail"), found.with("skipped").len()), (vec!["fqdn-tls"], 4), "{}", found.text);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let start = Instant::now();
    let found = ask(root.path(), silent.local_addr().unwrap().port(), &["--direct", "--timeout", "1"]);
    assert_eq!(found.with("fail"), ["fqdn-tls"], "{}", found.text);
    assert!(found.field("fqdn-tls", "seen").contains("in time") && start.elapsed() < Duration::from_secs(20));
    let none =
        Access::ask(Some(root.path()), &["--only", CHECKS, "--direct", "--fqdn", "no-such-host.invalid"]);
    assert_eq!((none.code, none.with("fail")), (4, vec!["fqdn-address"]), "{}", none.text);
}

#[test]
fn a_signal_ends_it_while_a_server_is_silent() {
    let (root, silent) = (public(), TcpListener::bind("127.0.0.1:0").unwrap());
    let target = format!("localhost:{}", silent.local_addr().unwrap().port());
    let mut running = command(Some(root.path()), &["--direct", "--timeout", "300", "--fqdn", &target]);
    let mut child = running.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _connection = silent.accept().unwrap();
    let start = Instant::now();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap()),
        nix::sys::signal::Signal::SIGINT,
    )
    .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn names_come_from_files_and_real_resolution_as_root() {
    let (pki, root) = (Pki::get(), public());
    pki.leaf_as("xdr-names", "a", "root", &format!("subjectAltName=DNS:*.xdr.example.test\n{SERVER}"));
    let server = server(&["xdr-names"]);
    let dir = tempfile::tempdir().unwrap();
    let (hosts, list) = (dir.path().join("hosts"), dir.path().join("list"));
    fs::write(&hosts, "127.0.0.1 a.xdr.example.test b.xdr.example.test elsewhere.example.test\n").unwrap();
    let lines = ["a", "b", "a"].map(|name| format!("  {name}.xdr.example.test:{} # {name}\n", server.1));
    fs::write(&list, format!("# all\n\n{}elsewhere.example.test:{}\n", lines.concat(), server.1)).unwrap();
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg(r#"mount --bind "$1" /etc/hosts && shift && exec "$@""#)
        .arg("sh")
        .arg(&hosts)
        .args([PROGRAM, "preflight", "--xdr", "--output", "json", "--direct", "--only", CHECKS, "--root"])
        .arg(root.path())
        .arg("--fqdn-file")
        .arg(&list)
        .output()
        .unwrap();
    let found = Access::of(&output);
    assert_eq!(found.value["servers"].as_array().unwrap().len(), 3, "each once: {}", found.text);
    let failed: Vec<(&str, &str)> = found
        .all()
        .iter()
        .filter(|check| check["status"] == "fail")
        .map(|check| (check["id"].as_str().unwrap(), check["subject"].as_str().unwrap()))
        .collect();
    let elsewhere = format!("elsewhere.example.test:{}", server.1);
    assert_eq!(failed, [("fqdn-name", elsewhere.as_str())], "{}", found.text);
}

#[test]
fn lists_that_cannot_be_used_are_refused_with_their_line() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("list");
    fs::write(&list, "a.example.test\n*.example.test\n").unwrap();
    let output = command(None, &["--fqdn-file", list.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let text = said(&output);
    assert!(text.contains("line 2") && text.contains("*.example.test") && text.contains("hint: "), "{text}");
    let many: String = (0..1001).map(|number| format!("h{number}.example.test\n")).collect();
    fs::write(&list, many).unwrap();
    let output = command(None, &["--fqdn-file", list.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let text = said(&output);
    assert!(text.contains("1001 servers") && text.contains("hint: "), "{text}");
}

// --- Proxies -----------------------------------------------------------------------------------------------

/// An authority made on the fly, and what it signs.
#[derive(Clone)]
struct Authority {
    certificate: X509,
    key: PKey<Private>,
}

fn make_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = make_key();
        Self { certificate: Self::make(name, &key, None), key }
    }

    /// A certificate for a host, or the authority's own one.
    fn make(name: &str, key: &PKey<Private>, by: Option<&Self>) -> X509 {
        let mut subject = X509NameBuilder::new().unwrap();
        subject.append_entry_by_text("CN", name).unwrap();
        let subject = subject.build();
        let mut made = X509::builder().unwrap();
        made.set_version(2).unwrap();
        let serial = BigNum::from_u32(if by.is_some() { 7 } else { 1 }).unwrap();
        made.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
        made.set_subject_name(&subject).unwrap();
        made.set_issuer_name(by.map_or(&subject, |by| by.certificate.subject_name())).unwrap();
        made.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
        made.set_not_after(&Asn1Time::days_from_now(30).unwrap()).unwrap();
        made.set_pubkey(key).unwrap();
        if let Some(by) = by {
            let context = made.x509v3_context(Some(&by.certificate), None);
            let names = SubjectAlternativeName::new().dns(name).build(&context).unwrap();
            made.append_extension(names).unwrap();
            made.append_extension(ExtendedKeyUsage::new().server_auth().build().unwrap()).unwrap();
        } else {
            made.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
            made.append_extension(KeyUsage::new().critical().key_cert_sign().build().unwrap()).unwrap();
        }
        made.sign(by.map_or(key, |by| &by.key), MessageDigest::sha256()).unwrap();
        made.build()
    }

    fn pem(&self) -> String {
        String::from_utf8(self.certificate.to_pem().unwrap()).unwrap()
    }
}

/// What a proxy does.
#[derive(Clone)]
enum Kind {
    /// It leads to the server.
    Leads,
    /// It wants this in `Proxy-Authorization`, then it leads to the server.
    Wants(&'static str),
    /// It says no.
    Refuses(&'static str),
    /// It is none.
    Junk,
    /// It answers in the server's place.
    Decrypts(Authority),
}

/// A proxy, and the heads of the requests that it got.
struct Proxy {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn new(kind: &Kind) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self { port: listener.local_addr().unwrap().port(), heard: Arc::default() };
        let (kind, heard) = (kind.clone(), Arc::clone(&proxy.heard));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kind, heard) = (kind.clone(), Arc::clone(&heard));
                thread::spawn(move || serve(stream, &kind, &heard));
            }
        });
        proxy
    }

    fn url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    fn heard(&self) -> String {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).concat()
    }
}

fn serve(mut stream: TcpStream, kind: &Kind, heard: &Mutex<Vec<String>>) {
    let mut head = String::new();
    let mut lines = BufReader::with_capacity(1, stream.try_clone().unwrap());
    while !head.ends_with("\r\n\r\n") && lines.read_line(&mut head).is_ok_and(|count| count > 0) {}
    heard.lock().unwrap_or_else(PoisonError::into_inner).push(head.clone());
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    let refused = match kind {
        Kind::Refuses(status) => Some(*status),
        Kind::Wants(wanted) if !head.contains(&format!("Proxy-Authorization: Basic {wanted}\r\n")) => {
            Some("407 Proxy Authentication Required")
        }
        _ => None,
    };
    if let Some(status) = refused {
        let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno");
        return;
    }
    if matches!(kind, Kind::Junk) {
        let _ = stream.write_all(b"220 mail.example.test ESMTP\r\n\r\n");
        return;
    }
    let opened = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n";
    if let Kind::Decrypts(authority) = kind {
        let _ = stream.write_all(opened);
        let key = make_key();
        let host = target.split(':').next().unwrap();
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
        acceptor.set_certificate(&Authority::make(host, &key, Some(authority))).unwrap();
        acceptor.add_extra_chain_cert(authority.certificate.clone()).unwrap();
        acceptor.set_private_key(&key).unwrap();
        if let Ok(mut tls) = acceptor.build().accept(stream) {
            let _ = tls.read(&mut [0]);
        }
        return;
    }
    let Ok(mut there) = TcpStream::connect(target) else {
        let _ = stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n");
        return;
    };
    let _ = stream.write_all(opened);
    let (mut from, mut to) = (there.try_clone().unwrap(), stream.try_clone().unwrap());
    let back = thread::spawn(move || std::io::copy(&mut from, &mut to));
    let _ = std::io::copy(&mut stream, &mut there);
    let _ = there.shutdown(std::net::Shutdown::Both);
    let _ = back.join();
}

#[test]
fn a_proxy_leads_to_the_server() {
    let (root, server, proxy) = (public(), server(&["good"]), Proxy::new(&Kind::Leads));
    let found = ask(root.path(), server.1, &["--proxy", &proxy.url()]);
    assert_eq!((found.code, found.with("pass").len()), (0, 6), "{}", found.text);
    assert_eq!(found.with("skipped"), ["fqdn-address"]);
    assert!(
        proxy
            .heard()
            .starts_with(&format!("CONNECT localhost:{0} HTTP/1.1\r\nHost: localhost:{0}\r\n", server.1))
    );
    assert_eq!(found.value["proxy"], proxy.url());
    // the server behind it is gone
    let closed = free_port();
    let found = ask(root.path(), closed, &["--proxy", &proxy.url()]);
    assert_eq!(found.with("fail"), ["fqdn-connection"], "{}", found.text);
    assert!(found.field("fqdn-connection", "seen").contains("502"), "{}", found.text);
}

#[test]
fn a_proxy_that_opens_no_way_is_told_apart() {
    let (root, server) = (public(), server(&["good"]));
    for (kind, seen, fix) in [
        (Kind::Refuses("403 Forbidden"), "status 403", "let this host connect to localhost:"),
        (Kind::Wants("never"), "status 407", "--proxy-credentials-file"),
        (Kind::Junk, "not HTTP", "an HTTP proxy"),
    ] {
        let proxy = Proxy::new(&kind);
        let found = ask(root.path(), server.1, &["--proxy", &proxy.url()]);
        assert_eq!((found.code, found.with("fail")), (4, vec!["fqdn-connection"]), "{}", found.text);
        assert!(found.field("fqdn-connection", "seen").contains(seen), "{}", found.text);
        assert!(found.field("fqdn-connection", "fix").contains(fix), "{}", found.text);
    }
    let closed = format!("http://localhost:{}", free_port());
    let found = ask(root.path(), server.1, &["--proxy", &closed]);
    assert_eq!(found.with("fail"), ["fqdn-connection"], "{}", found.text);
    let found = ask(root.path(), server.1, &["--proxy", "http://no-such-proxy.invalid:3128"]);
    assert_eq!(found.with("fail"), ["fqdn-address"], "{}", found.text);
}

#[test]
fn credentials_go_to_the_proxy_and_nowhere_else() {
    const SECRET: &str = "open: sesame-7";
    let (root, server) = (public(), server(&["good"]));
    let proxy = Proxy::new(&Kind::Wants("YWxpY2U6b3Blbjogc2VzYW1lLTc="));
    let file = secret_file(root.path(), "credentials", &format!("alice:{SECRET}\n"));
    let file = file.to_str().unwrap();
    let found = ask(root.path(), server.1, &["--proxy", &proxy.url(), "--proxy-credentials-file", file]);
    assert_eq!(found.code, 0, "{}", found.text);
    let absent = |text: &str| assert!(!text.contains(SECRET) && !text.contains("YWxpY2U6"), "{text}");
    absent(&found.text);

    // in the arguments they are refused, and not repeated
    let url = format!("http://alice:sesame-7@localhost:{}", proxy.port);
    let output = command(None, &["--proxy", &url]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(!said(&output).contains("sesame-7") && said(&output).contains("--proxy-credentials-file"));
    for bad in ["socks5://u:sesame-7@localhost:1", "http://u:sesame-7@"] {
        let output = command(None, &["--proxy", bad]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(!said(&output).contains("sesame-7"), "{}", said(&output));
    }

    // a file that others can read, or without a colon
    let open = root.path().join("open");
    fs::write(&open, "alice:x\n").unwrap();
    let plain = secret_file(root.path(), "plain", "alice\n");
    for (file, code) in [(&open, 1), (&plain, 2)] {
        let arguments = ["--proxy", &proxy.url(), "--proxy-credentials-file", file.to_str().unwrap()];
        let output = command(None, &arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
    }

    // what /etc/environment says, and what it leaves out
    let environment = |text: &str| fs::write(root.path().join("etc/environment"), text).unwrap();
    let encoded = "alice:open%3A%20sesame-7";
    environment(&format!("https_proxy=\"http://{encoded}@localhost:{}\"\n", proxy.port));
    let before = proxy.heard().len();
    let found = ask(root.path(), server.1, &[]);
    assert_eq!((found.code, &found.value["proxy"]), (0, &proxy.url().into()), "{}", found.text);
    assert_eq!(found.value["proxy_from_environment"], true);
    assert!(proxy.heard().len() > before && !found.text.contains(encoded));
    absent(&found.text);
    let text = said(&command(Some(root.path()), &["--fqdn", "localhost:1"]).output().unwrap());
    assert!(text.contains(&format!("through {}, which /etc/environment names", proxy.url())), "{text}");
    let before = proxy.heard().len();
    environment(&format!("https_proxy=http://localhost:{}\nno_proxy=example.test,localhost\n", proxy.port));
    let found = ask(root.path(), server.1, &[]);
    assert_eq!(
        (found.code, found.status("fqdn-address"), proxy.heard().len()),
        (0, "pass", before),
        "{}",
        found.text
    );
    environment("https_proxy=socks5://localhost:1080\n");
    let output = command(Some(root.path()), &["--fqdn", "localhost:1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("--direct"));
    assert_eq!(ask(root.path(), server.1, &["--direct"]).code, 0);
}

#[test]
fn a_proxy_that_decrypts_is_found() {
    let (server, middlebox) = (server(&["good"]), Authority::new("Corporate Inspection CA"));
    let proxy = Proxy::new(&Kind::Decrypts(middlebox.clone()));
    let way = ["--proxy", &proxy.url()];

    // the host does not know its authority
    let root = public();
    let found = ask(root.path(), server.1, &way);
    assert_eq!(
        (found.code, found.with("fail")),
        (4, vec!["fqdn-trust", "fqdn-interception"]),
        "{}",
        found.text
    );
    assert!(
        found.field("fqdn-interception", "seen").contains("CN=Corporate Inspection CA"),
        "{}",
        found.text
    );

    // it was added, as administrators do who decrypt
    let bundle = root.path().join("etc/ssl/certs/ca-certificates.crt");
    fs::write(&bundle, fs::read_to_string(&bundle).unwrap() + &middlebox.pem()).unwrap();
    fs::write(root.path().join(ADDED).join("inspection.crt"), middlebox.pem()).unwrap();
    let found = ask(root.path(), server.1, &way);
    assert_eq!((found.code, found.with("fail")), (4, vec!["fqdn-interception"]), "{}", found.text);
    let (seen, fix) = (found.field("fqdn-interception", "seen"), found.field("fqdn-interception", "fix"));
    assert!(seen.contains("inspection.crt") && seen.contains("in the place of localhost"), "{seen}");
    assert!(fix.contains("SSL Decryption Exclusion, add localhost"), "{fix}");

    // the same server without it, from the same host
    let found = ask(root.path(), server.1, &["--direct"]);
    assert_eq!(found.code, 0, "{}", found.text);
}
