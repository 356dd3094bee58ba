//! What the product's own log says, on a booted systemd: shown, and required.

use serde_json::Value;

use super::bundle::Bundle;
use super::service::UNATTENDED;
use super::upgrade::{V2, in_use, version};
use super::upgrade_fails::is_undone;
use crate::support::container::Container;

fn facts(host: &Container) -> Value {
    let said = host.sh("/root/demisto-install log facts --output json");
    serde_json::from_str(said.lines().last().unwrap()).unwrap()
}

#[test]
fn the_running_build_and_its_self_tests_are_told() {
    let host = Container::up("facts");
    Bundle::server(None).put(&host);
    let said = host.sh(&format!("{UNATTENDED} --require-fips 2>&1"));
    assert!(said.contains("as version 6.14.0 and its FIPS-CC self-tests have passed"), "{said}");
    assert!(said.contains("; its FIPS-CC self-tests passed"), "{said}");
    let first = facts(&host);
    assert_eq!(first["start"]["version"], "6.14.0-3036535");
    assert_eq!(first["start"]["build"], 3_036_535);
    assert_eq!((&first["fips"]["mode"], &first["fips"]["self_tests"]), (&"on".into(), &"passed".into()));
    let run_id = first["start"]["run_id"].as_str().unwrap();
    let status = host.sh("/root/demisto-install status");
    for words in ["as server 6.14.0-3036535", run_id, "FIPS-CC    mode on, self-tests passed", "server.log"] {
        assert!(status.contains(words), "{words}: {status}");
    }

    // another start is another run; what was rotated away meanwhile is read, too
    host.sh("systemctl restart demisto; /root/demisto-install wait-ready --timeout 20");
    let second = facts(&host);
    assert_ne!(second["start"]["run_id"], first["start"]["run_id"]);
    host.sh(
        "cd /var/log/demisto; cp -p server.log server.log.1; gzip server.log.1; truncate -s 0 server.log",
    );
    let rotated = facts(&host);
    assert_eq!(rotated["start"], second["start"]);
    assert_eq!(rotated["files"], serde_json::json!(["server.log", "server.log.1.gz"]));

    // the service's account may put anything in its place, and say anything in it
    host.sh("cd /var/log/demisto; rm server.log*; ln -s /etc/shadow server.log");
    let output = host.run(&["/root/demisto-install", "log", "facts"]);
    assert_eq!(output.status.code(), Some(1));
    let status = host.sh("/root/demisto-install status");
    assert!(status.contains("Log        not read: "), "{status}");
    host.sh("cd /var/log/demisto; rm server.log; printf '2026-01-01 00:00:00 error \\033[2J\\033]0;x\\007\\n' > server.log");
    let said = host.sh("/root/demisto-install log facts");
    assert!(!said.contains('\x1b') && said.contains("\\u{1b}[2J"), "{said}");
}

#[test]
fn an_upgrade_whose_self_tests_are_not_told_goes_back_when_they_are_required() {
    let silent = Bundle::with(&[&V2[..], &["--fault", "fips-silent"]].concat());
    let host = in_use("fips", &silent);
    // the log of the release before says that they passed: that is not this start
    host.sh("grep -q 'FIPS-CC self-tests passed' /var/log/demisto/server.log");
    let required = "/root/v2 upgrade --yes --require-fips --health-timeout 4";
    is_undone(
        &host,
        required,
        &["its log does not say that its FIPS-CC self-tests passed", "Starting server"],
    );
    host.put(Bundle::with(&[&V2[..], &["--fault", "fips-fail"]].concat()).path(), "/root/v2");
    is_undone(&host, required, &["does not work: FIPS-CC self-tests failed: SHA-256. FIPS error state"]);
    host.sh("systemctl stop demisto");
    let output = host.run(&["bash", "-c", required]);
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
    host.sh("systemctl start demisto");

    // a server that lets in nobody without a certificate tells its version in its log only
    host.sh("sed -i '1s/{/{ \"server.certificate.clientauthpolicy\": \"require\",/' /etc/demisto.conf
         systemctl restart demisto; /root/v2 wait-ready --timeout 20");
    assert_eq!(version(&host), "none");
    host.put(Bundle::with(&V2).path(), "/root/v2");
    let said = host.sh(&format!("{required} 2>&1"));
    assert!(said.contains("answers on port 8443 as version 6.14.0"), "{said}");
    assert!(said.contains("; its FIPS-CC self-tests passed"), "{said}");
    assert!(host.sh("/root/v2 status").contains("8443: answers clients with a certificate only"));
}
