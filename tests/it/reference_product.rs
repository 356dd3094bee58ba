//! The reference product keeps the contract that the installer is tested against.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests start programs, prepare files and may stop anywhere"
)]

pub(crate) mod host;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use host::{Host, example, run, until};

#[test]
fn a_bare_server_answers_and_stops_when_told() {
    let host = Host::new();
    let server = host.serve();
    let wanted = json!({"status": "ok", "product": "demisto", "version": "6.14.0", "build": 7, "schema": 1,
        "fips_cc": true});
    assert_eq!(host.health(), wanted);
    let (page, status) = host.curl("/", &["-k"]);
    assert!(page.contains("action=\"/login\"") && page.contains("Reference product"), "{page}");
    assert_eq!(status, "200");
    assert_eq!(host.status("/nothing", &[]), "404");
    assert_eq!(host.status("/health", &["-X", "DELETE"]), "405");
    assert_eq!(host.status("/health", &["--tls-max", "1.1"]), "000", "TLS 1.1 was accepted");
    assert_eq!(host.login("admin", "admin"), "401", "there is no default password");
    host.write("big", &"a".repeat(70_000));
    assert_eq!(host.status("/login", &["--data-binary", "@big"]), "413");
    assert_eq!(server.stop().code(), Some(0));

    let log = host.read("var/log/demisto/server.log");
    assert!(log.contains(" info Starting server, version 6.14.0-7 run id: "), "{log}");
    assert!(log.contains(" info FIPS-CC self-tests passed. FIPS-CC mode enabled successfully."), "{log}");
    let first = log.lines().next().unwrap();
    let (id, source) = first.split_once(" run id: ").unwrap().1.split_once(' ').unwrap();
    assert!(id.len() == 36 && id.split('-').map(str::len).eq([8, 4, 4, 4, 12]), "{first}");
    assert!(source.starts_with("(source: ") && source.ends_with(')') && source.contains(".rs:"), "{first}");
    let (status, text) =
        run(example("reference-server").to_str().unwrap(), &["--version", "--root", "."], host.root.path());
    assert!(status.success() && text.contains("6.14.0"), "{text}");
}

#[test]
fn the_configuration_is_read_as_by_the_product() {
    let host = Host::new();
    host.certificate();
    let home = host.path("usr/local/demisto");
    fs::rename(home.join("cert.pem"), host.path("etc/other.pem")).unwrap();
    fs::rename(home.join("plain.key"), host.path("etc/other.key")).unwrap();
    let conf = json!({"SERVER.HTTPSPORT": host.port, "Server": {"OneTimeConfPath": "/DATA/otc.json"},
        "Security": {"CertFile": "/etc/other.pem", "KeyFile": "/etc/other.key"}, "server.httpsprot": "1"});
    host.write("etc/demisto.conf", &conf.to_string());
    fs::create_dir(host.path("DATA")).unwrap();
    host.write("DATA/otc.json", r#"{"users": [{"username": "admin", "password": "Moved.1"}]}"#);
    let server = host.serve();
    assert_eq!(host.lines("not a number"), 1, "a port that is no text is worth a warning");
    assert_eq!(host.curl("/health", &["--cacert", "etc/other.pem"]).1, "200");
    assert_eq!(host.login("admin", "Moved.1"), "200");
    assert!(host.refusal().contains("bind"), "two servers share a port");
    server.stop();

    for (conf, complaint) in [
        (r#"{"Server": {"HttpsPort": "70000"}}"#, "'70000' is not a port"),
        (r#"{"Server": {"HttpsPort": "443",}}"#, "not valid JSON"),
        ("[]", "does not hold a JSON object"),
    ] {
        host.write("etc/demisto.conf", conf);
        assert!(host.refusal().contains(complaint), "{complaint}");
    }
}

#[test]
fn the_one_time_configuration_is_consumed() {
    let host = Host::new();
    host.otc(&json!({"users": [{"username": "admin", "password": "First.pw1", "defaultAdmin": true}],
        "apikeys": [{"name": "ci", "username": "admin", "apikey": "Key.abc1"}]}));
    let server = host.serve();
    assert!(!host.path("var/lib/demisto/otc.conf.json").exists());
    let json =
        ["-H", "Content-Type: application/json", "-d", r#"{"username":"admin","password":"First.pw1"}"#];
    let (body, status) = host.curl("/login", &[&["-k", "-i"], &json[..]].concat());
    assert_eq!(status, "200", "{body}");
    assert!(body.contains("Secure; HttpOnly; SameSite=Strict"), "{body}");
    assert_eq!(host.login("admin", "First%2Epw1"), "200");
    assert_eq!(host.login("admin", "wrong"), "401");
    server.stop();

    // The same name again is the way back in for someone who lost the password.
    host.otc(&json!({"users": [{"username": "admin", "password": "Second.pw2"}]}));
    host.serve().stop();
    assert_eq!(host.lines("'admin' existed and was reset"), 1);
    let server = host.serve();
    assert_eq!(host.login("admin", "First.pw1"), "401");
    assert_eq!(host.login("admin", "Second.pw2"), "200");
    server.stop();

    for file in ["data/users.json", "data/apikeys.json"].map(|file| format!("var/lib/demisto/{file}")) {
        assert_eq!(fs::metadata(host.path(&file)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let (_, found) = run("grep", &["-rlE", "First.pw1|Second.pw2|Key.abc1", "."], host.root.path());
    assert_eq!(found, "", "a secret was kept or logged");
}

#[test]
fn an_unfit_one_time_configuration_is_refused() {
    let host = Host::new();
    let path = "var/lib/demisto/otc.conf.json";
    host.otc(&json!({"keypass": "hidden1"}));
    fs::set_permissions(host.path(path), fs::Permissions::from_mode(0o640)).unwrap();
    assert!(host.refusal().contains("has mode 0640"));
    host.write(path, r#"{"keypass": hidden1}"#);
    assert!(host.refusal().contains("is not valid JSON (line 1"));
    host.write(path, r#"{"users": "hidden1"}"#);
    assert!(host.refusal().contains("mistyped key"));
    host.otc(&json!({"users": [{"username": "admin", "password": "hidden"}]}));
    assert!(host.refusal().contains("must contain a number"));
    assert!(host.path(path).exists(), "what is refused is not deleted");
    assert_eq!(host.lines("hidden"), 0, "a secret was logged");
}

#[test]
fn keys_are_read_in_the_forms_of_the_product_only() {
    let host = Host::new();
    host.certificate();
    assert!(host.refusal().contains("cert.key is missing"));
    host.openssl("rsa -in plain.key -aes256 -passout pass:Pass.1 -out cert.key");
    assert!(host.refusal().contains("encrypted PKCS#8 key"));
    host.openssl("rsa -in plain.key -aes256 -traditional -passout pass:Pass.1 -out cert.key");
    assert!(host.refusal().contains("no passphrase is known"));
    host.otc(&json!({"keypass": "Pass.2"}));
    assert!(host.refusal().contains("the passphrase is wrong"));
    host.otc(&json!({"keypass": "Pass.1"}));
    host.serve().stop();

    // A restart finds the passphrase that was kept, and the chain verifies.
    let server = host.serve();
    assert_eq!(host.curl("/health", &["--cacert", "usr/local/demisto/cert.pem"]).1, "200");
    server.stop();
    assert_eq!(host.lines("Pass.1"), 0, "the passphrase was logged");

    host.openssl("genrsa -out cert.key 2048");
    assert!(host.refusal().contains("invalid signature by the server certificate"));
    host.openssl("ecparam -name prime256v1 -genkey -out cert.key");
    assert!(host.refusal().contains("EC parameters"));
}

#[test]
fn data_goes_forward_and_never_back() {
    let host = Host::new();
    host.otc(&json!({"users": [{"username": "admin", "password": "Secret.1"}]}));
    host.serve().stop();
    assert!(!host.read("var/lib/demisto/data/users.json").contains("timeZone"));
    host.release("6.15.0", 2, Value::Null);
    let server = host.serve();
    assert_eq!(host.login("admin", "Secret.1"), "200");
    assert_eq!(host.health()["schema"], 2);
    server.stop();
    assert_eq!(host.lines("migrated data from schema 1 to 2"), 1);
    assert!(host.read("var/lib/demisto/data/users.json").contains("timeZone"));
    let mark: Value = serde_json::from_str(&host.read("var/lib/demisto/data/schema.json")).unwrap();
    assert_eq!(mark, json!({"schema": 2, "written_by": "6.15.0"}));
    host.release("6.14.0", 1, Value::Null);
    assert!(host.refusal().contains("data schema 2 is newer than this release reads (1)"));
}

#[test]
fn releases_fail_as_they_were_made_to() {
    let host = Host::new();
    host.release("6.15.0", 2, "crash");
    assert!(host.refusal().contains("made to crash"));

    host.release("6.15.0", 2, "hang");
    let server = host.serve();
    assert_eq!(host.status("/health", &["-m", "1"]), "000");
    assert_eq!(server.stop().code(), Some(0));

    host.release("6.15.0", 2, "no-port");
    let server = host.start("reference-server");
    until("the server to be up", || host.lines("never to listen") == 1);
    assert_eq!(host.status("/health", &[]), "000");
    assert_eq!(server.stop().code(), Some(0));

    host.release("6.15.0", 2, "wrong-version");
    let server = host.serve();
    assert_eq!(host.health()["version"], "0.0.0");
    server.stop();

    let before = host.lines("FIPS-CC self-tests passed");
    host.release("6.15.0", 2, "fips-fail");
    assert!(host.refusal().contains("FIPS-CC self-tests failed: SHA-256. FIPS error state"));
    host.release("6.15.0", 2, "fips-silent");
    host.serve().stop();
    assert_eq!(host.lines("FIPS-CC self-tests passed"), before);

    host.release("6.15.0", 2, "slow-start");
    let start = Instant::now();
    let server = host.serve();
    assert!(start.elapsed() >= Duration::from_secs(5));
    assert_eq!(host.health()["version"], "6.15.0");
    server.stop();
}

#[test]
fn guessing_is_slowed_down() {
    let host = Host::new();
    let _server = host.serve();
    let answers: Vec<_> = (0..11).map(|_| host.login("admin", "guess")).collect();
    assert!(answers.iter().take(10).all(|status| status == "401"), "{answers:?}");
    assert_eq!(answers.last().map(String::as_str), Some("429"));
    assert_eq!(host.login("somebody-else", "guess"), "401");
}

#[test]
fn the_engine_connects_and_reconnects() {
    let host = Host::new();
    host.certificate();
    fs::copy(host.path("usr/local/demisto/plain.key"), host.path("usr/local/demisto/cert.key")).unwrap();
    let log = || host.read("var/log/demisto/d1.log");
    let conf = |trust: bool| {
        let urls = [1, host.port].map(|port| format!("wss://localhost:{port}/d1ws"));
        let conf = json!({"EngineURLs": urls, "EngineID": "engine-1", "engine": {"connection":
            {"trust_any_certificate": trust}}});
        host.write("usr/local/demisto/d1.conf", &conf.to_string());
    };
    assert_eq!(host.start("reference-d1").end().code(), Some(1));
    assert!(log().contains("d1.conf is missing"));
    host.write("usr/local/demisto/d1.conf", "{");
    assert_eq!(host.start("reference-d1").end().code(), Some(1));
    assert!(log().contains("d1.conf is not valid JSON"));

    conf(true);
    host.release("6.14.0", 1, "crash");
    assert_eq!(host.start("reference-d1").end().code(), Some(1));
    host.release("6.14.0", 1, Value::Null);
    let server = host.serve();
    let engine = host.start("reference-d1");
    until("the engine to connect", || log().matches("connected to wss://").count() == 1);
    assert!(
        log().contains("made to crash") && log().contains("Starting d1 server, version 6.14.0-7 run id: ")
    );
    until("the server to see it", || host.lines("engine 'engine-1' connected") == 1);
    assert_eq!(server.stop().code(), Some(0), "a connected engine holds the server up");
    let server = host.serve();
    until("the engine to reconnect", || log().matches("connected to wss://").count() == 2);
    assert_eq!(engine.stop().code(), Some(0));

    // Only a certificate of the host's own store will do when the engine verifies.
    conf(false);
    host.write("etc/ssl/certs/ca-certificates.crt", "");
    let engine = host.start("reference-d1");
    until("the engine to refuse", || log().contains("d1 server stopped:") && log().contains("cannot read"));
    drop(engine);
    other_certificate(&host);
    let engine = host.start("reference-d1");
    until("the engine to refuse", || log().contains("certificate verify failed"));
    drop(engine);
    assert_eq!(log().matches("connected to wss://").count(), 2);
    fs::copy(host.path("usr/local/demisto/cert.pem"), host.path("etc/ssl/certs/ca-certificates.crt"))
        .unwrap();
    let engine = host.start("reference-d1");
    until("the engine to connect", || log().matches("connected to wss://").count() == 3);
    engine.stop();
    server.stop();
}

#[test]
fn the_certificates_of_clients_are_asked_for_and_verified() {
    let host = Host::new();
    host.certificate();
    host.openssl("rsa -in plain.key -out cert.key");
    clients(&host);
    fs::copy(host.path("usr/local/demisto/ca.pem"), host.path("etc/ssl/certs/ca-certificates.crt")).unwrap();
    let conf = |policy: &str, switch: Value| {
        let conf = json!({"Server": {"HttpsPort": host.port.to_string()},
            "server.certificate.clientauthpolicy": policy,
            "security.server.certificate.donotverifyclientcertificates": switch});
        host.write("etc/demisto.conf", &conf.to_string());
    };
    let answers = |who: &str| {
        let (cert, key) = (format!("usr/local/demisto/{who}.pem"), format!("usr/local/demisto/{who}.key"));
        let shown: &[&str] = if who.is_empty() { &[] } else { &["--cert", &cert, "--key", &key] };
        ["1.2", "1.3"].map(|version| {
            let tls = ["--tls-max", version, "--tlsv1.2"];
            host.status("/health", &[shown, &tls].concat()) == "200"
        })
    };
    let both = |answer: bool| [answer, answer];
    for (policy, switch, none, stranger) in [
        ("", json!(false), true, true),
        ("reqire", json!(false), true, true),
        ("require", json!(false), false, true),
        ("verify", json!(false), true, false),
        ("verify", json!("false"), true, true),
        ("requireandverify", json!(true), false, true),
        ("requireandverify", json!(false), false, false),
    ] {
        conf(policy, switch.clone());
        let server = host.serve();
        let case = format!("{policy} {switch}");
        assert_eq!(answers(""), both(none), "{case}: nobody");
        assert_eq!(answers("stranger"), both(stranger), "{case}: a stranger");
        assert_eq!(answers("client"), both(true), "{case}: a client of ours");
        server.stop();
    }
    assert!(host.lines("TLS handshake error: client certificate signed by unknown authority") > 0);
    assert!(host.lines("client certificate 'CN=stranger' (not verified)") > 0);
    assert!(host.lines("client certificate 'CN=client' (verified)") > 0);
    assert_eq!(host.lines("client certificate 'CN=stranger' (verified)"), 0);

    // The guide's other spelling means the same; an engine shows the certificate that it was given.
    let conf = json!({"Server": {"HttpsPort": host.port.to_string()},
        "server.certificate.clientauthpolicy": "requireandverify",
        "security.certificate.override.donotverifyclientcertificates": false});
    host.write("etc/demisto.conf", &conf.to_string());
    let _server = host.serve();
    let engine = |enabled: bool, who: &str| {
        let conf = json!({"EngineURLs": [format!("wss://localhost:{}/d1ws", host.port)], "EngineID": who,
            "security.client.enabled": enabled,
            "security.client.certfile": format!("/usr/local/demisto/{who}.pem"),
            "security.client.keyfile": format!("/usr/local/demisto/{who}.key")});
        host.write("usr/local/demisto/d1.conf", &conf.to_string());
        host.start("reference-d1")
    };
    let verified = host.lines("(verified)");
    let good = engine(true, "client");
    until("the engine to connect", || host.lines("engine 'client' connected") == 1);
    assert_eq!(host.lines("(verified)"), verified + 1);
    drop(good);
    let refused = || host.lines("TLS handshake error");
    for enabled in [false, true] {
        let before = refused();
        let _engine = engine(enabled, "stranger");
        until("the engine to be refused", || refused() > before);
    }
    assert_eq!(host.lines("engine 'stranger' connected"), 0);
}

#[test]
fn a_server_that_wants_a_certificate_counts_as_one_that_answers() {
    let host = Host::new();
    host.certificate();
    host.openssl("rsa -in plain.key -out cert.key");
    let conf = json!({"Server": {"HttpsPort": host.port.to_string()},
        "server.certificate.clientauthpolicy": "require"});
    host.write("etc/demisto.conf", &conf.to_string());
    let server = host.serve();
    let probe = || demisto_install::service::probe(host.port, "/health", Some("version"));
    let modern = probe();
    assert!(modern.answers && modern.wants_certificate && modern.certificate.is_some(), "{modern:?}");
    assert_eq!((modern.status, modern.version), (None, None));
    server.stop();

    // before TLS 1.3 it is the handshake that fails
    let home = host.path("usr/local/demisto");
    let port = host.port.to_string();
    let mut command = std::process::Command::new("openssl");
    command.args(["s_server", "-accept", &port, "-cert", "cert.pem", "-key", "cert.key", "-tls1_2", "-www"]);
    command.current_dir(home).stdin(std::process::Stdio::null());
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    for (wanted, options) in [(false, &[][..]), (true, &["-Verify", "1"])] {
        let mut old = command.args(options).spawn().unwrap();
        until("the server to answer", || probe().certificate.is_some());
        let answer = probe();
        old.kill().unwrap();
        old.wait().unwrap();
        assert_eq!((answer.answers, answer.wants_certificate), (true, wanted), "{answer:?}");
        assert_eq!(answer.certificate, modern.certificate);
    }
}

/// Makes an authority (ca.pem), a client of it (client.pem) and one of nobody's (stranger.pem).
fn clients(host: &Host) {
    host.openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca");
    let client = "-newkey rsa:2048 -nodes -days 2 -addext extendedKeyUsage=clientAuth";
    host.openssl(&format!("req -x509 {client} -keyout stranger.key -out stranger.pem -subj /CN=stranger"));
    host.openssl(&format!(
        "req -x509 {client} -keyout client.key -out client.pem -subj /CN=client -CA ca.pem -CAkey ca.key"
    ));
}

/// Makes the host trust somebody, but not its server.
fn other_certificate(host: &Host) {
    host.openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -out other.pem -days 2 -subj /CN=other",
    );
    fs::rename(host.path("usr/local/demisto/other.pem"), host.path("etc/ssl/certs/ca-certificates.crt"))
        .unwrap();
}

#[test]
fn trees_are_reproducible() {
    let scratch = TempDir::new().unwrap();
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/reference-product/make-tree");
    let programs = example("reference-server").with_file_name("");
    let make = |out: &str, more: &[&str]| {
        let fixed = [out, "--bin-dir", programs.to_str().unwrap()];
        run(tool.to_str().unwrap(), &[&fixed, more].concat(), scratch.path())
    };
    let server = ["--role", "server", "--version", "6.15.0", "--schema", "2", "--filler", "5"];
    for out in ["one", "two"] {
        let (status, text) = make(out, &server);
        assert!(status.success(), "{text}");
    }
    let (status, text) = make("engine", &["--role", "engine", "--fault", "crash"]);
    assert!(status.success(), "{text}");
    let listing = |tree: &str| {
        let arguments =
            ["--sort=name", "--owner=0", "--group=0", "-C", tree, "-cf", &format!("{tree}.tar"), "."];
        assert!(run("tar", &arguments, scratch.path()).0.success());
        fs::read(scratch.path().join(format!("{tree}.tar"))).unwrap()
    };
    assert!(listing("one") == listing("two"), "two runs differ");

    let read = |path: &str| fs::read_to_string(scratch.path().join(path)).unwrap();
    let description = read("one/product.toml");
    for line in ["version = \"6.15.0\"", "schema = 2", "from = \"6.13\"", "to = \"6.15\""] {
        assert!(description.lines().any(|l| l == line), "{line} is missing:\n{description}");
    }
    assert!(read("one/tree/EULA.txt").contains("\n1. ACKNOWLEDGMENT AND ACCEPTANCE\n"));
    assert!(read("engine/tree/version.json").contains("\"fault\": \"crash\""));
    assert!(scratch.path().join("one/tree/current-content").is_symlink());
    assert_eq!(make("one", &server).0.code(), Some(2), "an existing tree was overwritten");
    assert_eq!(make("new", &["--role", "other"]).0.code(), Some(2));
}
