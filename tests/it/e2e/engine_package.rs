//! An engine from a signed RPM package: connected over TLS to a server that wants certificates of its clients, on
//! the server's host and on another one.

use super::bundle::Bundle;
use super::service::UNATTENDED;
use super::upgrade::V1;
use crate::support::container::Container;

const SERVER: &str = "10.77.0.121";

/// A CA, a certificate for the server and one for the engine, both with the names that they need.
const CERTIFICATES: &str = "set -e; umask 077; cd /root
    ca() { openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -sha256 -extfile $1.ext -out $1.pem; }
    new() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key -subj \"/CN=$1\" \"${@:2}\"; }
    new ca -x509 -days 30 -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign -out ca.pem
    new server -out server.csr; new engine -out engine.csr
    printf 'subjectAltName=DNS:localhost,IP:10.77.0.121\\nextendedKeyUsage=serverAuth\\n' > server.ext
    printf 'subjectAltName=DNS:engine.test\\nextendedKeyUsage=clientAuth\\n' > engine.ext
    ca server; ca engine";

/// The host trusts the CA, as after `update-ca-certificates`.
const TRUST: &str = "mkdir -p /etc/ssl/certs && cp /root/ca.pem /etc/ssl/certs/ca-certificates.crt && chmod 644 /etc/ssl/certs/*";

/// A server that lets in only who shows a certificate of the CA.
fn server() -> Container {
    let host = Container::up_at("mutual", SERVER);
    let product = |product: &std::path::Path| {
        let path = product.join("demisto.conf");
        let text = std::fs::read_to_string(&path).unwrap();
        let more = "{\n  \"server.certificate.clientauthpolicy\": \"requireandverify\",\n  \
                    \"security.server.certificate.donotverifyclientcertificates\": false,";
        std::fs::write(&path, text.replacen('{', more, 1)).unwrap();
    };
    Bundle::changed(&V1, product).put(&host);
    host.sh(CERTIFICATES);
    host.sh(TRUST);
    host.sh(&format!("{UNATTENDED} --cert /root/server.pem --cert-key /root/server.key"));
    host
}

/// What the server's page "Engines" gives, for an engine that trusts nobody but the CA.
fn conf(host: &Container, server: &str, tree: &str, log: &str) {
    host.sh(&format!(
        "public=$(openssl genrsa 2048 2>/dev/null | openssl rsa -pubout -outform DER 2>/dev/null | base64 -w0)
         cat > /root/d1.conf <<END\n{{\n  \"EngineURLs\": [\"wss://{server}:443/d1ws\"],\n  \"BindAddress\": \":0\",\n  \
         \"EngineID\": \"ff1dea73-8b22-437a-adb8-391514c05cfa\",\n  \"ServerPublic\": \"$public\",\n  \
         \"LogFile\": \"{log}\",\n  \"LogLevel\": \"info\",\n  \"engine.connection.trust_any_certificate\": false,\n  \
         \"security.client.enabled\": true,\n  \"security.client.certfile\": \"{tree}/client.pem\",\n  \
         \"security.client.keyfile\": \"{tree}/client.key\"\n}}\nEND"
    ));
}

fn package() -> Bundle {
    let mut options = vec!["--role", "engine"];
    options.extend_from_slice(&V1);
    Bundle::with(&options)
}

const GIVEN: &str = "--conf /root/d1.conf --client-cert /root/engine.pem --client-key /root/engine.key \
                     --answers /root/answers.json --yes";

#[test]
fn an_engine_from_a_package_shows_its_certificate_to_the_server() {
    let server = server();
    let package = package();
    let rpm = package.package();
    // on the server's own host, with a name
    server.put(&rpm, "/root/d1.rpm");
    let (tree, log) = ("/usr/local/demisto/d1_x", "/var/log/demisto/d1_x/d1.log");
    conf(&server, "localhost", tree, log);
    let without = server.run(&[
        "bash",
        "-c",
        "/root/demisto-install engine install /root/d1.rpm --name x \
        --connect-timeout 5 --conf /root/d1.conf --answers /root/answers.json --yes",
    ]);
    assert_eq!(without.status.code(), Some(1), "without its certificate the server turns it away");
    server.sh("test ! -e /usr/local/demisto/d1_x");
    let told = server.sh(&format!("/root/demisto-install engine install /root/d1.rpm --name x {GIVEN}"));
    assert!(told.contains("is connected"), "{told}");
    let modes = format!("stat -c '%a %U:%G' {tree}/client.pem {tree}/client.key");
    assert_eq!(server.sh(&modes), "400 demisto:demisto\n400 demisto:demisto");
    server.sh("grep -q \"client certificate .*CN *= *engine.*(verified)\" /var/log/demisto/server.log");

    // on a host of its own, without
    let other = Container::up_at("mutual-engine", "10.77.0.122");
    package.put(&other);
    other.put(&rpm, "/root/d1.rpm");
    let files = tempfile::tempdir().unwrap();
    for name in ["ca.pem", "engine.pem", "engine.key"] {
        server.get(&format!("/root/{name}"), files.path().join(name));
        other.put(files.path().join(name), &format!("/root/{name}"));
    }
    other.sh(TRUST);
    other.sh("chmod 600 /root/engine.key");
    conf(&other, SERVER, "/usr/local/demisto", "/var/log/demisto/d1.log");
    let told = other.sh(&format!("/root/demisto-install engine install /root/d1.rpm {GIVEN}"));
    assert!(told.contains("is connected"), "{told}");
    other.sh("/root/demisto-install engine verify");

    // another configuration that is no good changes nothing
    let before =
        other.sh("sha256sum /usr/local/demisto/d1.conf; stat -c '%a %U %Y' /usr/local/demisto/d1.conf");
    other.sh("sed 's/wss:/ws:/' /root/d1.conf > /root/bad.conf");
    let bad =
        other.run(&["bash", "-c", "/root/demisto-install engine configure --conf /root/bad.conf --yes"]);
    assert_eq!(bad.status.code(), Some(2), "{}", String::from_utf8_lossy(&bad.stderr));
    let after =
        other.sh("sha256sum /usr/local/demisto/d1.conf; stat -c '%a %U %Y' /usr/local/demisto/d1.conf");
    assert_eq!(before, after);
    assert!(other.sh("/root/demisto-install status").contains("Connected  yes"));
}
