//! `config` on a booted systemd, with the reference product: a change that the product does not live with goes
//! back by itself.

use super::bundle::{Bundle, PASSWORD};
use super::engine;
use super::service::{UNATTENDED, status_of_login};
use crate::support::container::Container;

const TOOL: &str = "/root/demisto-install config";
const CONF: &str = "stat -c '%a %U:%G' /etc/demisto.conf; sha256sum /etc/demisto.conf";

/// Runs it, which has to end so.
fn ends(host: &Container, code: i32, arguments: &str) -> String {
    let output = host.run(&["bash", "-c", &format!("{TOOL} {arguments} 2>&1")]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments}: {told}");
    told
}

#[test]
fn a_change_counts_only_when_the_server_answers() {
    let host = Container::up("config");
    Bundle::server(None).put(&host);
    host.sh(UNATTENDED);
    let pid = "systemctl show -p MainPID --value demisto";

    // without --restart nothing happens but to the file
    let before = host.sh(pid);
    let told = ends(&host, 0, "set --yes Server.HttpsPort=8443");
    assert!(told.contains("`systemctl restart demisto.service`"), "{told}");
    assert_eq!(host.sh(pid), before);
    assert_eq!(status_of_login(&host, 443, "admin", PASSWORD), "200");
    ends(&host, 0, "unset --yes Server.HttpsPort");
    // with it the server answers where it is told to
    let told = ends(&host, 0, "set --yes --restart Server.HttpsPort=8443 log.level=debug");
    assert!(told.contains("started anew, and answers"), "{told}");
    assert_ne!(host.sh(pid), before);
    assert_eq!(status_of_login(&host, 8443, "admin", PASSWORD), "200");
    assert_eq!(status_of_login(&host, 443, "admin", PASSWORD), "000");
    assert!(ends(&host, 0, "set --yes --restart Server.HttpsPort=8443").contains("nothing to do"));

    // somebody else's port, and a certificate that is not there
    let good = host.sh(CONF);
    assert!(good.contains("640 demisto:demisto"), "{good}");
    host.sh("for n in 4 6; do systemd-run -q --unit=holder$n openssl s_server -$n -accept 9443 -nocert; done
         for i in $(seq 100); do test $(ss -ltn | grep -c :9443) = 2 && exit; sleep 0.05; done; exit 1");
    for bad in ["Server.HttpsPort=9443", "--force security.certfile=/usr/local/demisto/none.pem"] {
        let told = ends(&host, 1, &format!("set --yes --restart --health-timeout 12 {bad}"));
        assert!(told.contains("as it was before"), "{told}");
        assert_eq!(host.sh(CONF), good, "{bad}");
        assert_eq!(status_of_login(&host, 8443, "admin", PASSWORD), "200", "{bad}");
    }

    // the evaluated configuration serves, and the policy that it brings counts at once for what is taken here
    let told = ends(&host, 0, "preset evaluated --yes --restart --san-trust-list engine.example.org");
    assert!(told.contains("started anew, and answers"), "{told}");
    assert_eq!(status_of_login(&host, 8443, "admin", PASSWORD), "200");
    assert!(
        host.sh(&format!("{TOOL} preset evaluated --show")).lines().all(|line| !line.starts_with("set "))
    );
    ends(&host, 0, "password-policy set --yes --restart --min-length 20");
    host.sh("umask 077; echo Kq7-marker-Vw > /root/short");
    let add = "otc add-admin --yes --user chief --admin-password-file /root/short";
    let output = host.run(&["bash", "-c", &format!("/root/demisto-install {add} 2>&1")]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(2) && told.contains("fewer than 20 characters"), "{told}");
    assert_eq!(host.sh("/root/demisto-install status --output json").matches("\"drift\":[]").count(), 1);
}

/// An engine that no longer trusts any certificate connects only when it trusts its server's.
#[test]
fn a_strict_engine_goes_back_unless_it_connects() {
    let host = engine::both("config-engine");
    let conf = "stat -c '%a %U:%G' /usr/local/demisto/d1_x/d1.conf; cat /usr/local/demisto/d1_x/d1.conf";
    let before = host.sh(conf);
    let strict = "preset strict-engine --engine --name x --yes --restart --external-host localhost:443";
    let told = ends(&host, 1, &format!("{strict} --health-timeout 12"));
    assert!(told.contains("as it was before"), "{told}");
    assert_eq!(host.sh(conf), before);
    host.sh("for i in $(seq 100); do /root/demisto-install engine status | grep -q 'Connected  yes' && exit; sleep 0.2; done; exit 1");
    host.sh(
        "cp /usr/local/demisto/cert.pem /usr/local/share/ca-certificates/own.crt; update-ca-certificates",
    );
    ends(&host, 0, strict);
    engine::is_well(&host, "6.12.0-100");
    assert!(
        host.sh("cat /usr/local/demisto/d1_x/d1.conf")
            .contains("\"engine.connection.trust_any_certificate\": false")
    );
}
