//! A repair on a booted systemd: the service goes on with what was put right, or as it was.

use super::bundle::Bundle;
use crate::support::container::Container;

const UNATTENDED: &str =
    "/root/demisto-install install --answers /root/answers.json --admin-password-file /root/password";
const PID: &str = "systemctl show -p MainPID --value demisto";
/// Kind, owner, mode, size, links and content of the tree, the units and what lies beside.
const TREE: &str = "cd /; { find usr/local etc/systemd/system -printf '%p %y %m %u %g %s %l\\n'; \
     find usr/local etc/systemd/system -type f -exec sha256sum {} +; } | sort | sha256sum";

fn installed(name: &str) -> Container {
    let host = Container::up(name);
    Bundle::server(None).put(&host);
    host.sh(UNATTENDED);
    host.sh("echo keep > /usr/local/demisto/demisto.lic");
    host.sh("/root/demisto-install verify --installed");
    host
}

#[test]
fn a_running_service_goes_on_with_what_was_put_right() {
    let host = installed("repair");
    let good = host.sh(TREE);
    let kept = host.sh("stat -c '%i %Y %Z' /usr/local/demisto/demisto.lic /usr/local/demisto/cert.key");
    host.sh(
        "echo '# more' >> /etc/systemd/system/demisto.service; chown -h demisto /usr/local/demisto/server",
    );
    host.sh("chmod 777 /usr/local/demisto; systemctl -q disable demisto");
    let found = host.run(&["/root/demisto-install", "verify", "--installed"]);
    let said = String::from_utf8_lossy(&found.stdout).into_owned();
    assert_eq!(found.status.code(), Some(4), "{said}");
    for line in ["mode       .\n", "owner      server\n", "content    /etc/systemd/system/demisto.service\n"]
    {
        assert!(said.contains(line), "{line}: {said}");
    }
    let before = host.sh(PID);
    let done = host.sh("/root/demisto-install repair --yes 2>&1");
    for step in ["stop demisto.service", "start demisto.service", "answers on port 443", "put right"] {
        assert!(done.contains(step), "{step}: {done}");
    }
    host.sh(
        "/root/demisto-install verify --installed; systemctl is-active demisto; systemctl is-enabled demisto",
    );
    assert_ne!(host.sh(PID), before);
    assert_eq!(host.sh("systemctl show -p NeedDaemonReload --value demisto"), "no");
    assert_eq!(host.sh(TREE), good);
    assert_eq!(
        host.sh("stat -c '%i %Y %Z' /usr/local/demisto/demisto.lic /usr/local/demisto/cert.key"),
        kept
    );
    // what does not concern the running program does not disturb it
    let before = host.sh(PID);
    host.sh("echo x > /etc/logrotate.d/demisto; chmod 700 /usr/local/demisto/web 2>/dev/null || true");
    host.sh("/root/demisto-install repair --yes; /root/demisto-install verify --installed");
    assert_eq!(host.sh(PID), before);
}

/// What was put right does not make the service answer with the installed certificate, which is away.
#[test]
fn a_service_that_fails_after_the_repair_is_as_it_was() {
    let host = installed("repair-fails");
    host.sh("echo '# more' >> /usr/local/demisto/EULA.txt; rm /usr/local/demisto/version.json");
    host.sh("mv /usr/local/demisto/cert.pem /usr/local/demisto/cert.pem.away");
    let before = host.sh(TREE);
    let output = host.run(&["/root/demisto-install", "repair", "--yes"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("everything is as it was before"), "{said}");
    assert_eq!(host.sh(TREE), before, "{said}");
    host.sh("mv /usr/local/demisto/cert.pem.away /usr/local/demisto/cert.pem; systemctl restart demisto");
    // without that file the service fails again and again, sometimes active and sometimes not
    host.sh("/root/demisto-install repair --yes; /root/demisto-install verify --installed");
    host.sh("/root/demisto-install wait-ready --timeout 30");
}
