//! Engines on a booted systemd: connected over TLS to a server of the same host or of another one.

use super::bundle::Bundle;
use super::service::{EVERY_BYTE, UNATTENDED, answer};
use super::upgrade::{V1, V2};
use crate::support::container::Container;

/// Packs the reference engine.
fn engine(version: &[&str], fault: Option<&str>) -> Bundle {
    let mut options = vec!["--role", "engine"];
    options.extend_from_slice(version);
    options.extend(fault.iter().flat_map(|fault| ["--fault", fault]));
    Bundle::with(&options)
}

/// Writes a configuration as the server's page "Engines" does, for an engine with a name.
fn conf(host: &Container, path: &str, server: &str, level: &str, log: &str) {
    host.sh(&format!(
        "test -e /root/public || openssl genrsa 2048 2>/dev/null | openssl rsa -pubout -outform DER 2>/dev/null | \
             base64 -w0 > /root/public
         cat > {path} <<END\n{{\n  \"EngineURLs\": [\"wss://{server}/d1ws\"],\n  \"BindAddress\": \":0\",\n  \
         \"EngineID\": \"ff1dea73-8b22-437a-adb8-391514c05cfa\",\n  \"ServerPublic\": \"$(cat /root/public)\",\n  \
         \"LogFile\": \"{log}\",\n  \"LogLevel\": \"{level}\",\n  \"engine.connection.trust_any_certificate\": true\n}}\nEND"
    ));
}

const LOG: &str = "/var/log/demisto/d1_x/d1.log";
const INSTALL: &str =
    "engine install --name x --conf /root/d1.conf --require-fips --answers /root/answers.json --yes";

/// A server and an engine, both of the first release; further ones lie in `/root`.
pub(super) fn both(name: &str) -> Container {
    let host = Container::up(name);
    Bundle::with(&V1).put(&host);
    host.sh(UNATTENDED);
    add_engine(&host);
    host
}

/// Installs the engine `x` of the first release beside the server.
pub(super) fn add_engine(host: &Container) {
    host.put(engine(&V1, None).path(), "/root/engine");
    conf(host, "/root/d1.conf", "localhost:443", "info", LOG);
    let told = host.sh(&format!("/root/engine {INSTALL}"));
    assert!(told.contains("d1_x.service: is connected"), "{told}");
}

fn pid(host: &Container) -> String {
    host.sh("systemctl show -p MainPID --value d1_x")
}

/// The engine is whole, and connected.
pub(super) fn is_well(host: &Container, release: &str) {
    let told = host.sh("/root/demisto-install engine status --name x");
    assert!(told.contains(release) && told.contains("Connected  yes"), "{told}");
    host.sh("/root/demisto-install engine verify --name x");
}

#[test]
fn an_engine_runs_beside_a_server_and_outlives_its_changes() {
    let host = both("beside");
    is_well(&host, "6.12.0-100");
    assert_eq!(
        host.sh("readlink /proc/$(systemctl show -p MainPID --value d1_x)/cwd"),
        "/usr/local/demisto/d1_x"
    );
    assert_eq!(
        host.sh("stat -c '%a %U:%G' /usr/local/demisto/d1_x/d1.conf /var/log/demisto/d1_x /var/lib/d1_x"),
        "640 demisto:demisto\n750 demisto:demisto\n750 demisto:demisto"
    );
    host.put(Bundle::with(&V2).path(), "/root/v2");
    for change in ["/root/v2 upgrade --yes", "/root/demisto-install rollback --yes", "/root/v2 upgrade --yes"]
    {
        let before = pid(&host);
        host.sh(change);
        assert_ne!(pid(&host), before, "{change}");
        // it has the directory that its path leads to, and none that is gone
        host.sh("test /proc/$(systemctl show -p MainPID --value d1_x)/cwd -ef /usr/local/demisto/d1_x");
        // it connects again by itself when the server is back
        host.sh("for i in $(seq 100); do /root/demisto-install engine status | grep -q 'Connected  yes' && exit; sleep 0.2; done; exit 1");
        is_well(&host, "6.12.0-100");
    }
    host.sh("systemctl restart d1_x && sleep 2");
    is_well(&host, "6.12.0-100");
    host.put(engine(&V2, None).path(), "/root/engine2");
    assert!(host.sh("/root/engine2 engine upgrade --name x --yes").contains("6.14.0-200 is installed"));
    is_well(&host, "6.14.0-200");
    host.sh("/root/demisto-install engine rollback --name x --yes");
    is_well(&host, "6.12.0-100");
    host.fails("/root/demisto-install uninstall --yes --purge", 4, &["engines x"]);
    host.sh("/root/demisto-install uninstall --yes");
    host.sh("id demisto; systemctl is-active d1_x; test -f /etc/logrotate.d/demisto");
    host.sh("/root/demisto-install engine verify --name x");
    host.sh("/root/demisto-install engine uninstall --name x --yes --purge");
    host.sh("test ! -e /usr/local/demisto/d1_x; test ! -e /etc/systemd/system/d1_x.service; test ! -e /var/log/demisto/d1_x");
}

/// An engine comes back also when the server's change does not, and one that stood still is left so.
#[test]
fn an_engine_runs_again_after_a_change_of_the_server_that_was_undone() {
    let host = both("undone-beside");
    let bad = Bundle::with(&[&V2[..], &["--fault", "crash"]].concat());
    host.put(bad.path(), "/root/bad");
    let (before, conf) = (pid(&host), host.sh("sha256sum /usr/local/demisto/d1_x/d1.conf"));
    let command = "/root/bad upgrade --yes --health-timeout 12";
    host.fails(command, 1, &["everything is as it was before"]);
    assert_ne!(pid(&host), before);
    host.sh("systemctl is-active d1_x; test /proc/$(systemctl show -p MainPID --value d1_x)/cwd -ef /usr/local/demisto/d1_x");
    assert_eq!(host.sh("sha256sum /usr/local/demisto/d1_x/d1.conf"), conf);
    host.sh("systemctl stop d1_x");
    host.put(Bundle::with(&V2).path(), "/root/v2");
    host.sh("/root/v2 upgrade --yes");
    host.sh("! systemctl is-active d1_x");
}

/// On the running system root follows links that root made, and none that the service made.
#[test]
fn no_link_of_the_service_leads_root_elsewhere() {
    let host = Container::up("engine-links");
    Bundle::with(&V1).put(&host);
    host.put(engine(&V1, None).path(), "/root/engine");
    host.sh("groupadd demisto; useradd -r -g demisto -d /var/lib/demisto -s /usr/sbin/nologin demisto
        mkdir -p /root/victim /data/lib/demisto /var/log/demisto; chmod 755 /data; rm -rf /var/lib/demisto
        ln -s /data/lib/demisto /var/lib/demisto; chown demisto:demisto /data/lib/demisto /var/log/demisto
        setpriv --reuid demisto --regid demisto --clear-groups ln -s /root/victim /var/log/demisto/d1_x");
    let install = "/root/engine engine install --name x --no-start --answers /root/answers.json --yes";
    host.fails(install, 4, &["/var/log/demisto/d1_x, where the service has to write, is no directory"]);
    assert_eq!(host.sh("stat -c %U:%G /root/victim /etc"), "root:root\nroot:root");
    host.sh("rm /var/log/demisto/d1_x");
    host.sh(install);
    assert_eq!(host.sh("stat -c %U /data/lib/demisto /var/log/demisto/d1_x"), "demisto\ndemisto");
}

#[test]
fn an_engine_that_does_not_connect_goes_back() {
    let host = both("goes-back");
    for (fault, words) in [
        ("hang", "is not connected to a server"),
        ("crash", "does not stay up"),
        ("wrong-version", "says that it is version 0.0.0, not 6.14.0"),
    ] {
        host.put(engine(&V2, Some(fault)).path(), "/root/bad");
        let said = host.fails(
            "/root/bad engine upgrade --name x --yes --connect-timeout 12",
            1,
            &["everything is as it was before", "last log lines", words],
        );
        assert!(said.contains("d1_x.service is connected"), "{fault}: {said}");
        is_well(&host, "6.12.0-100");
    }
    // a first installation leaves nothing
    let nothing =
        "cd /; find etc usr/local var/lib var/log/demisto \\( -name 'd1_y*' -o -name '.demisto.d1_y*' \\)";
    host.sh("sed s/d1_x/d1_y/ /root/d1.conf > /root/d1_y.conf");
    host.fails("/root/bad engine install --name y --conf /root/d1_y.conf --answers /root/answers.json --yes --connect-timeout 5",
        1,
        &["everything is as it was before"],
    );
    assert_eq!(host.sh(nothing), "");
}

#[test]
fn another_configuration_counts_only_when_it_connects() {
    let host = both("configure");
    let before = host.sh(EVERY_BYTE);
    let process = pid(&host);
    conf(&host, "/root/bad.conf", "localhost:443", "loud", LOG);
    host.fails(
        "/root/engine engine configure --name x --yes --conf /root/bad.conf",
        2,
        &["LogLevel is \"loud\""],
    );
    assert_eq!((host.sh(EVERY_BYTE), pid(&host)), (before, process));
    conf(&host, "/root/away.conf", "localhost:9", "info", LOG);
    let old = host.sh("sha256sum /usr/local/demisto/d1_x/d1.conf");
    host.fails(
        "/root/engine engine configure --name x --yes --conf /root/away.conf --connect-timeout 4",
        1,
        &["is not connected to a server", "cannot connect to wss://localhost:9", "d1_x.service is connected"],
    );
    assert_eq!(host.sh("sha256sum /usr/local/demisto/d1_x/d1.conf"), old);
    is_well(&host, "6.12.0-100");
    // a log that hides the connection is not waited for in vain
    conf(&host, "/root/quiet.conf", "localhost:443", "error", LOG);
    let told = host.sh("/root/engine engine configure --name x --yes --conf /root/quiet.conf 2>&1");
    assert!(told.contains("only looked at whether it stays up"), "{told}");
    // the same log, rotated: the way that logrotate(8) does it
    conf(&host, "/root/d1.conf", "localhost:443", "debug", LOG);
    host.sh(
        "logrotate -f /etc/logrotate.d/demisto 2>/dev/null || truncate -s 0 /var/log/demisto/d1_x/d1.log",
    );
    host.sh("/root/engine engine configure --name x --yes --conf /root/d1.conf");
    is_well(&host, "6.12.0-100");
}

#[test]
fn an_engine_alone_connects_to_another_host_and_again_after_a_reboot() {
    let server = Container::up_at("server", "10.77.0.111");
    Bundle::with(&V1).put(&server);
    server.sh(UNATTENDED);
    let host = Container::up_at("alone", "10.77.0.112");
    engine(&V1, None).put(&host);
    // guided, without a verb: the file says that it holds an engine
    let mut session = host.ask(&["bash", "-c", "TERM=xterm /root/demisto-install"]);
    session.exp_string("ACKNOWLEDGMENT").unwrap();
    session.send("q").unwrap();
    session.flush().unwrap();
    answer(&mut session, "Do you accept the terms of the End User License Agreement?", "yes");
    session.exp_string("Plan digest:").unwrap();
    answer(&mut session, "Install it?", "yes");
    session.exp_string("is installed.").unwrap();
    let told = session.exp_eof().unwrap();
    assert!(told.contains("engine configure --conf FILE"), "{told}");
    assert_eq!(host.sh("systemctl is-active d1 || true"), "inactive");
    conf(&host, "/root/d1.conf", "10.77.0.111:443", "info", "/var/log/demisto/d1.log");
    host.sh("/root/demisto-install engine configure --conf /root/d1.conf --yes");
    let status = || host.sh("/root/demisto-install status");
    assert!(status().contains("Connected  yes"), "{}", status());
    host.reboot();
    assert!(host.sh("/root/demisto-install wait-ready --timeout 30").contains("version 6.12.0"));
    assert!(status().contains("Connected  yes"), "{}", status());
    host.put(engine(&V2, None).path(), "/root/v2");
    host.sh("/root/v2 engine upgrade --yes");
    assert!(status().contains("6.14.0-200") && status().contains("Connected  yes"), "{}", status());
    host.sh("/root/v2 engine uninstall --yes --purge; test ! -e /usr/local/demisto");
    assert_eq!(host.sh("id demisto 2>/dev/null || echo gone"), "gone");
}
