//! `ca`, `otc` and `cert mutual` on a booted systemd, with the reference product.

use super::bundle::{Bundle, PASSWORD};
use super::service::{UNATTENDED, status_of_login};
use crate::support::container::Container;

const TOOL: &str = "/root/demisto-install";

/// An authority, a server's certificate and a client's, in `/root/pki`.
const PKI: &str = r#"mkdir -p /root/pki; cd /root/pki; umask 077
    new() { openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$1.key" "${@:2}" 2>/dev/null; }
    new ca -x509 -days 30 -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign -out ca.pem
    for kind in server client; do
        new $kind -out $kind.csr
        printf 'subjectAltName=DNS:localhost\nextendedKeyUsage=%sAuth\n' $kind > ext
        openssl x509 -req -in $kind.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile ext -out $kind.pem 2>/dev/null
    done"#;

/// A host on which the reference product runs.
fn installed(name: &str) -> Container {
    let host = Container::up(name);
    Bundle::server(None).put(&host);
    host.sh(UNATTENDED);
    host
}

fn exit_code(host: &Container, script: &str) -> Option<i32> {
    host.run(&["bash", "-c", script]).status.code()
}

#[test]
fn programs_of_the_host_trust_an_authority_that_was_added_and_no_longer_when_it_was_removed() {
    let host = Container::up("ca");
    host.put(env!("CARGO_BIN_EXE_demisto-install"), TOOL);
    host.sh(PKI);
    host.sh(
        "cd /root/pki; systemd-run -q --unit=tls openssl s_server -accept 4433 -www -cert /root/pki/server.pem \
         -key /root/pki/server.key; for i in $(seq 100); do ss -ltn | grep -q :4433 && exit; sleep 0.05; done; exit 1",
    );
    let before = host.sh(
        "find /etc/ssl /usr/local/share -printf '%p %l\n' | sort; cat /etc/ssl/certs/ca-certificates.crt",
    );
    // 60: the peer's certificate is not trusted
    let curl = "curl -s -o /dev/null https://localhost:4433/";
    assert_eq!(exit_code(&host, curl), Some(60));
    let added = host.sh(&format!("{TOOL} ca add --yes /root/pki/ca.pem"));
    assert!(added.contains("trust"), "{added}");
    assert_eq!(exit_code(&host, curl), Some(0));
    assert!(host.sh("openssl verify /root/pki/server.pem").contains("OK"));
    assert!(host.sh(&format!("{TOOL} ca add --yes /root/pki/ca.pem")).contains("nothing to do"));
    assert_eq!(exit_code(&host, &format!("{TOOL} ca add --yes /root/pki/server.pem")), Some(3));

    let name = host.sh("ls /usr/local/share/ca-certificates");
    assert!(host.sh(&format!("{TOOL} ca list")).contains(&name));
    host.sh(&format!("{TOOL} ca remove --yes {name}"));
    assert_eq!(exit_code(&host, curl), Some(60));
    let after = host.sh(
        "find /etc/ssl /usr/local/share -printf '%p %l\n' | sort; cat /etc/ssl/certs/ca-certificates.crt",
    );
    assert!(before == after, "the store is another one");
}

#[test]
fn a_lost_administrator_comes_back_and_a_keys_passphrase_is_taken_over() {
    let host = installed("otc");
    assert_eq!(status_of_login(&host, 443, "rescue", "Resc7-marker-Vw"), "401");
    host.sh("umask 077; printf 'Resc7-marker-Vw\\n' > /root/rescue");
    let add = format!("{TOOL} otc add-admin --yes --user rescue --admin-password-file /root/rescue");
    let told = host.sh(&add);
    assert!(told.contains("waits for the server's next start"), "{told}");
    assert_eq!(host.sh("stat -c '%a %U:%G' /var/lib/demisto/otc.conf.json"), "400 demisto:demisto");
    assert!(host.sh(&format!("{TOOL} otc show")).contains("rescue"));
    assert_eq!(status_of_login(&host, 443, "rescue", "Resc7-marker-Vw"), "401");
    let told = host.sh(&format!("{add} --restart"));
    assert!(told.contains("taken it over"), "{told}");
    assert_eq!(status_of_login(&host, 443, "rescue", "Resc7-marker-Vw"), "200");
    assert_eq!(status_of_login(&host, 443, "admin", PASSWORD), "200");
    host.sh("test ! -e /var/lib/demisto/otc.conf.json");
    assert!(host.sh(&format!("{TOOL} otc show")).contains("nothing waits"));

    // the installed key gets a passphrase; the server needs it at its next start
    host.sh(
        "cd /usr/local/demisto; umask 077; printf 'Kq7-marker-key\\n' > /root/passphrase
         openssl ec -aes256 -passout file:/root/passphrase -in cert.key -out /root/new.key 2>/dev/null \
             || openssl rsa -traditional -aes256 -passout file:/root/passphrase -in cert.key -out /root/new.key
         head -2 /root/new.key | grep -q 'Proc-Type: 4,ENCRYPTED'
         install -o demisto -g demisto -m 0400 /root/new.key cert.key",
    );
    host.sh("printf 'wrong\\n' > /root/wrong; chmod 600 /root/wrong");
    let set = format!("{TOOL} otc set-keypass --yes --restart --passphrase-file");
    assert_eq!(exit_code(&host, &format!("{set} /root/wrong")), Some(2));
    let pid = "systemctl show -p MainPID --value demisto";
    let (running, told) = (host.sh(pid), host.sh(&format!("{set} /root/passphrase")));
    assert!(told.contains("taken it over") && host.sh(pid) != running, "{told}");
    host.sh("test ! -e /var/lib/demisto/otc.conf.json; systemctl restart demisto; rm /root/rescue /root/passphrase");
    host.sh(&format!("{TOOL} wait-ready --timeout 30"));

    let markers = "grep -rlE 'Resc7-marker|Kq7-marker-key' /etc /usr/local /var/lib/demisto-install /var/log /tmp /run \
         2>/dev/null || true; journalctl -q --no-pager | grep -cE 'Resc7-marker|Kq7-marker-key' || true";
    assert_eq!(host.sh(markers), "0");
}

#[test]
fn what_the_server_does_not_take_over_is_removed_again() {
    let host = installed("otc-undone");
    // one that the server refuses, so that it takes nothing of it over
    let former = r#"{"users": [{"username": "x", "password": "has no number"}]}"#;
    host.sh(&format!(
        "umask 077; printf 'Resc7-marker-Vw\\n' > /root/rescue; echo '{former}' > /root/former
         install -o demisto -g demisto -m 0400 /root/former /var/lib/demisto/otc.conf.json"
    ));
    let add = format!(
        "{TOOL} otc add-admin --yes --user rescue --admin-password-file /root/rescue --restart --health-timeout 10 2>&1"
    );
    let output = host.run(&["bash", "-c", &add]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("overwritten") && told.contains("as it was before"), "{told}");
    assert_eq!(host.sh("cat /var/lib/demisto/otc.conf.json"), former);
    assert_eq!(
        host.sh("stat -c '%a %U:%G' /var/lib/demisto/otc.conf.json; rm /root/rescue"),
        "400 demisto:demisto"
    );
    assert_eq!(host.sh("grep -rlF Resc7-marker /var /etc /usr/local /tmp 2>/dev/null || true"), "");
    host.sh(&format!("{TOOL} otc clear --yes; systemctl reset-failed demisto; systemctl restart demisto"));
    host.sh(&format!("{TOOL} wait-ready --timeout 30"));
    assert_eq!(status_of_login(&host, 443, "rescue", "Resc7-marker-Vw"), "401");
    assert_eq!(status_of_login(&host, 443, "admin", PASSWORD), "200");
}

#[test]
fn clients_are_asked_for_certificates_and_no_longer() {
    let host = installed("mutual");
    host.sh(PKI);
    let conf = host.sh("cat /etc/demisto.conf");
    let curl = "curl -s -o /dev/null --cacert /usr/local/demisto/cert.pem https://localhost/health";
    let with = format!("{curl} --cert /root/pki/client.pem --key /root/pki/client.key");
    let plan = host.sh(&format!("{TOOL} cert mutual on --dry-run"));
    assert!(plan.contains("engines") && plan.contains("`ca add FILE`"), "{plan}");
    host.sh(&format!("{TOOL} ca add --yes /root/pki/ca.pem"));
    assert!(!host.sh(&format!("{TOOL} cert mutual on --dry-run")).contains("`ca add FILE`"));
    assert_eq!(exit_code(&host, curl), Some(0));

    let told = host.sh(&format!("{TOOL} cert mutual on --yes"));
    assert!(told.contains("asked for certificates; the server answers"), "{told}");
    assert_ne!(exit_code(&host, curl), Some(0));
    assert_eq!(exit_code(&host, &with), Some(0));
    assert!(
        host.sh(&format!("{TOOL} cert mutual show")).contains("requireandverify; certificates are verified")
    );
    assert!(host.sh(&format!("{TOOL} cert mutual on --yes")).contains("nothing to do"));
    assert_eq!(host.sh("stat -c '%a %U:%G' /etc/demisto.conf"), "640 demisto:demisto");

    host.sh(&format!("{TOOL} cert mutual off --yes"));
    assert_eq!(exit_code(&host, curl), Some(0));
    assert_eq!(host.sh("cat /etc/demisto.conf"), conf);
}
