//! Certificates on a booted systemd: installed by the commands of this program, proven by a handshake, and back
//! again by themselves when the service does not come up with them.

use super::bundle::Bundle;
use super::engine::{both, is_well};
use super::service::{EVERY_BYTE, UNATTENDED};
use crate::cert_install::{Pair, Pki};
use crate::support::container::Container;

const INSTALL: &str = "/root/demisto-install cert install --yes --health-timeout 20";
const ROLLBACK: &str = "/root/demisto-install cert rollback --yes --health-timeout 20";
/// Tree and configuration, with times; not what the service writes.
const THINGS: &str = "cd /; { find etc/demisto.conf usr/local var/lib/demisto-install/certificates -printf '%p %y %m %u %g %s %l\\n' \
     2>/dev/null || true; find etc/demisto.conf usr/local -type f -exec sha256sum {} +; } | sort | sha256sum";

fn server(name: &str) -> Container {
    let host = Container::up(name);
    Bundle::server(None).put(&host);
    host.sh(UNATTENDED);
    host
}

/// Copies a pair to `/root/NAME.pem` and `/root/NAME.key`; gives the options that name it.
fn give(host: &Container, pair: &Pair, name: &str) -> String {
    host.put(&pair.chain, &format!("/root/{name}.pem"));
    host.put(&pair.key, &format!("/root/{name}.key"));
    format!("--chain /root/{name}.pem --key /root/{name}.key")
}

/// SHA-256 of the certificate that a port shows, and of the first one in a file.
fn shown(host: &Container) -> String {
    host.sh(
        "openssl s_client -connect localhost:443 </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256",
    )
}

fn leaf_of(host: &Container, path: &str) -> String {
    host.sh(&format!("openssl x509 -in {path} -noout -fingerprint -sha256"))
}

fn is_consumed(host: &Container) {
    host.sh("test ! -e /var/lib/demisto/otc.conf.json");
}

/// The guide's procedure "Install or Renew a Custom Certificate", by commands of this program.
#[test]
fn a_certificate_of_a_ca_is_installed_step_by_step() {
    let (host, pki) = (server("certificate"), Pki::new());
    let default = leaf_of(&host, "/usr/local/demisto/cert.pem");
    let kept = host.sh("sha256sum < /usr/local/demisto/cert.pem; sha256sum < /usr/local/demisto/cert.key");
    host.put(pki.passphrase("soar", "Right-1-passphrase"), "/root/passphrase");
    host.sh("/root/demisto-install cert csr --out-dir /root/new --name localhost --name soar.example.test \
         --key-type ec:p256 --passphrase-file /root/passphrase");
    host.sh("grep -q 'Proc-Type: 4,ENCRYPTED' /root/new/cert.key && grep -q 'DEK-Info: AES-256-CBC' /root/new/cert.key");
    host.get("/root/new/cert.csr", pki.path("soar.csr"));
    host.put(pki.sign("soar", "serverAuth", 365), "/root/new/cert.pem");
    host.sh("/root/demisto-install cert check --role server /root/new/cert.pem --key /root/new/cert.key \
         --passphrase-file /root/passphrase; cp /root/new/cert.pem /root/soar.pem");
    let pair = "--chain /root/new/cert.pem --key /root/new/cert.key";
    let told =
        host.sh(&format!("{INSTALL} {pair} --passphrase-file /root/passphrase --encrypt-keypass 2>&1"));
    for step in
        ["stop demisto.service", "the passphrase of the server's key", "answers on port 443", "handshake"]
    {
        assert!(told.contains(step), "{step}: {told}");
    }
    assert_eq!(shown(&host), leaf_of(&host, "/root/soar.pem"));
    is_consumed(&host);
    host.sh("grep -q 'took over the passphrase' /var/log/demisto/server.log");
    host.sh("grep -q '\"security.keypass.encrypt\": true' /etc/demisto.conf");
    assert_eq!(
        host.sh(
            "stat -c '%a %U:%G' /usr/local/demisto/cert.pem /usr/local/demisto/cert.key /etc/demisto.conf"
        ),
        "400 demisto:demisto\n400 demisto:demisto\n640 demisto:demisto"
    );
    let dir = "/var/lib/demisto-install/certificates/server";
    assert_eq!(host.sh(&format!("sha256sum < {dir}/chain.pem; sha256sum < {dir}/key.pem")), kept);
    assert_eq!(host.sh(&format!("stat -c '%a %U' {dir} /var/lib/demisto-install")), "700 root\n700 root");
    host.sh("/root/demisto-install verify --installed; /root/demisto-install wait-ready --timeout 10");

    let before = host.sh(EVERY_BYTE);
    let again = host.sh(&format!("{INSTALL} {pair} --passphrase-file /root/passphrase"));
    assert!(again.contains("nothing to do"), "{again}");
    assert_eq!(host.sh(EVERY_BYTE), before);

    host.sh(ROLLBACK);
    assert_eq!(shown(&host), default);
    // forward again: that key is encrypted
    host.fails(ROLLBACK, 2, &["no passphrase was given"]);
    host.sh(&format!("{ROLLBACK} --passphrase-file /root/passphrase"));
    assert_eq!(shown(&host), leaf_of(&host, "/root/soar.pem"));
    host.reboot();
    host.sh("/root/demisto-install wait-ready --timeout 30");
    assert_eq!(shown(&host), leaf_of(&host, "/root/soar.pem"));
}

/// A chain that is signed with SHA-1 is no error of the guide's, but the reference server's TLS refuses it.
fn refused_by_the_server(pki: &Pki, name: &str, passphrase: &str) -> Pair {
    let pair = pki.locked(name, passphrase);
    pki.openssl(&format!(
        "x509 -req -in {name}.csr -CA inter.pem -CAkey inter.key -CAcreateserial -days 300 -sha1 -extfile {name}.cnf \
         -out {name}.leaf"
    ));
    pki.chain(name, &[&format!("{name}.leaf"), "inter.pem", "root.pem"]);
    pair
}

#[test]
fn a_pair_with_which_the_service_does_not_start_goes_back() {
    let (host, pki) = (server("goes-back"), Pki::new());
    let good = give(&host, &pki.locked("good", "Good-1-passphrase"), "good");
    let bad = give(&host, &refused_by_the_server(&pki, "bad", "Bad-1-passphrase"), "bad");
    for name in ["good", "bad"] {
        host.put(pki.path(&format!("{name}.passphrase")), &format!("/root/{name}.passphrase"));
    }
    // from a key that is not encrypted, which a product with a passphrase goes on to read
    let default = shown(&host);
    let before = host.sh(THINGS);
    let command = format!("{INSTALL} {bad} --passphrase-file /root/bad.passphrase");
    let said = host.fails(&command, 1, &["everything is as it was before", "last log lines"]);
    assert!(said.contains("answers on port 443 again"), "{said}");
    assert_eq!((host.sh(THINGS), shown(&host)), (before, default));

    // from one that is: its passphrase is needed, and asked for before anything is changed
    host.sh(&format!("{INSTALL} {good} --passphrase-file /root/good.passphrase"));
    let (before, bytes) = (host.sh(THINGS), host.sh(EVERY_BYTE));
    host.fails(&command, 2, &["going back to it would need its passphrase", "--old-passphrase-file"]);
    let wrong = format!("{command} --old-passphrase-file /root/bad.passphrase");
    host.fails(&wrong, 2, &["does not open /usr/local/demisto/cert.key"]);
    assert_eq!(host.sh(EVERY_BYTE), bytes);
    let known = format!("{command} --old-passphrase-file /root/good.passphrase");
    let said = host.fails(&known, 1, &["everything is as it was before"]);
    assert!(said.contains("answers on port 443 again"), "{said}");
    assert_eq!((host.sh(THINGS), shown(&host)), (before, leaf_of(&host, "/root/good.pem")));
    is_consumed(&host);
    host.sh("systemctl restart demisto; /root/demisto-install wait-ready --timeout 10");
    // whoever agrees to have no way back has to unlock the old key by hand
    host.fails(&format!("{command} --no-way-back"), 1, &["everything is as it was before"]);
    host.sh("systemctl stop demisto; systemctl reset-failed demisto; sed 's/.*/{\"keypass\": \"&\"}/' /root/good.passphrase > /root/otc; \
             install -o demisto -g demisto -m 0400 /root/otc /var/lib/demisto/otc.conf.json; systemctl start demisto");
    host.sh("/root/demisto-install wait-ready --timeout 10");
    assert_eq!(shown(&host), leaf_of(&host, "/root/good.pem"));
}

#[test]
fn killed_at_any_point_of_the_service_steps_the_old_pair_is_served_again() {
    let (host, pki) = (server("cert-killed"), Pki::new());
    for name in ["one", "two"] {
        give(&host, &pki.locked(name, &format!("{name}-1-Passphrase")), name);
        host.put(pki.path(&format!("{name}.passphrase")), &format!("/root/{name}.passphrase"));
    }
    let install = |new: &str, old: &str| {
        format!(
            "{INSTALL} --chain /root/{new}.pem --key /root/{new}.key --passphrase-file /root/{new}.passphrase \
             --old-passphrase-file /root/{old}.passphrase"
        )
    };
    host.sh(&install("one", "one").replace("--old-passphrase-file /root/one.passphrase", ""));
    host.sh(&format!("DEMISTO_INSTALL_FAULT_LOG=/root/points {}", install("two", "one")));
    let points: usize = host.sh("wc -l < /root/points").parse().unwrap();
    host.sh(&install("one", "two"));
    let stopped: usize = points / 3;
    let mut tried = 0;
    for point in (stopped..=points).step_by((points - stopped) / 7) {
        let output =
            host.run(&["bash", "-c", &format!("DEMISTO_INSTALL_FAULT_AT={point} {}", install("two", "one"))]);
        assert!(!output.status.success(), "point {point} was not reached: {output:?}");
        host.sh("/root/demisto-install recover; systemctl is-active demisto; /root/demisto-install wait-ready --timeout 20");
        assert_eq!(shown(&host), leaf_of(&host, "/usr/local/demisto/cert.pem"), "point {point}");
        host.sh("systemctl restart demisto; /root/demisto-install wait-ready --timeout 20");
        is_consumed(&host);
        if shown(&host) == leaf_of(&host, "/root/two.pem") {
            host.sh(&install("one", "two"));
        }
        tried += 1;
    }
    println!("cert install, service steps: {tried} of {points} points, 0 broken");
}

/// The server asks for certificates of its clients, and verifies them against what the host trusts.
#[test]
fn an_engine_shows_its_certificate_to_a_server_that_wants_one() {
    let (host, pki) = (both("engine-certificate"), Pki::new());
    host.put(pki.path("root.pem"), "/usr/local/share/ca-certificates/test-root.crt");
    host.sh("update-ca-certificates; systemctl stop d1_x");
    host.sh("sed -i '0,/{/s//{ \"server.certificate.clientauthpolicy\": \"requireandverify\", \
         \"security.server.certificate.donotverifyclientcertificates\": false,/' /etc/demisto.conf
         systemctl restart demisto; /root/demisto-install wait-ready --timeout 20");
    let tree = "/usr/local/demisto/d1_x";
    let install = "/root/demisto-install cert install --yes --engine --name x --client --health-timeout 10";
    let before = host.sh(&format!("sha256sum {tree}/d1.conf"));
    let stranger = give(&host, &Pki::new().leaf("stranger", "clientAuth", 365), "stranger");
    host.sh("systemctl start d1_x");
    host.fails(&format!("{install} {stranger}"), 1, &["everything is as it was before", "not connected"]);
    assert_eq!(
        host.sh(&format!("sha256sum {tree}/d1.conf; ls {tree} | grep -c client || true")),
        format!("{before}\n0")
    );
    let pair = give(&host, &pki.leaf("engine", "clientAuth", 365), "engine");
    host.fails(&format!("{} {pair}", install.replace("--client", "--listener")), 4, &["serverAuth"]);
    let told = host.sh(&format!("{install} {pair} 2>&1"));
    assert!(told.contains("d1_x.service is connected"), "{told}");
    is_well(&host, "6.12.0-100");
    host.sh("grep -q \"client certificate 'CN=engine'\" /var/log/demisto/server.log");
    assert_eq!(
        host.sh(&format!("stat -c '%a %U:%G' {tree}/client.pem {tree}/client.key {tree}/d1.conf")),
        "400 demisto:demisto\n400 demisto:demisto\n640 demisto:demisto"
    );
    // the next one replaces it, and goes back to it
    let next = give(&host, &pki.leaf("next", "clientAuth", 365), "next");
    host.sh(&format!(
        "{install} {next}; {}",
        ROLLBACK.replace("rollback", "rollback --engine --name x --client")
    ));
    assert_eq!(leaf_of(&host, &format!("{tree}/client.pem")), leaf_of(&host, "/root/engine.pem"));
    is_well(&host, "6.12.0-100");
}

/// The other host is a listener here: what counts is whether it answers, and with what.
#[test]
fn hosts_of_a_live_backup_are_changed_while_both_stand_still() {
    let (host, pki) = (server("live-backup"), Pki::new());
    host.sh("cp /usr/local/demisto/cert.pem /root/old.pem; cp /usr/local/demisto/cert.key /root/old.key
         sed -i '0,/{/s//{ \"ui.livebackup\": true,/' /etc/demisto.conf");
    let listen = |name: &str| {
        host.sh(&format!(
            "systemd-run -q --collect --unit=peer openssl s_server -www -accept 9443 -cert /root/{name}.pem -key /root/{name}.key
             for i in $(seq 50); do openssl s_client -connect localhost:9443 </dev/null >/dev/null 2>&1 && exit 0; sleep 0.1; done
             exit 1"
        ));
    };
    listen("old");
    let pair = give(&host, &pki.leaf("new", "serverAuth", 365), "new");
    let before = host.sh(EVERY_BYTE);
    host.fails(&format!("{INSTALL} {pair}"), 2, &["both have to be stopped", "--no-start on both"]);
    let with_peer = format!("{INSTALL} {pair} --peer localhost:9443");
    host.fails(&with_peer, 4, &["localhost:9443", "still runs", "systemctl stop demisto"]);
    host.fails(
        &with_peer.replace("localhost:9443", "nobody.invalid:9443"),
        1,
        &["cannot look at the other host"],
    );
    assert_eq!(host.sh(EVERY_BYTE), before);
    // each is changed and left stopped
    let told = host.sh(&format!("{INSTALL} {pair} --no-start 2>&1"));
    assert!(told.contains("live backup: run this with --no-start on both hosts"), "{told}");
    assert_eq!(host.sh("systemctl is-active demisto || true"), "inactive");
    // the other one was forgotten: it runs with the pair that was here before
    host.fails(&with_peer, 4, &["still runs"]);
    host.sh("systemctl stop peer");
    let told = host.sh(&format!("{with_peer} 2>&1"));
    assert!(told.contains("a handshake showed the new certificate"), "{told}");
    assert_eq!(shown(&host), leaf_of(&host, "/root/new.pem"));
    // the second host to start finds the first one up, with the new pair
    host.sh("systemctl stop demisto");
    listen("new");
    host.sh(&with_peer);
    assert_eq!(shown(&host), leaf_of(&host, "/root/new.pem"));
}

#[test]
fn an_encrypted_pkcs8_key_is_converted_and_served() {
    let (host, pki) = (server("pkcs8"), Pki::new());
    let pair = pki.leaf("soar", "serverAuth", 365);
    let passphrase = pki.passphrase("soar", "Right-1-passphrase");
    pki.openssl(&format!(
        "pkcs8 -topk8 -v2 aes256 -in soar.pkcs8 -passout file:{} -out soar.p8",
        passphrase.display()
    ));
    host.put(&pair.chain, "/root/soar.pem");
    host.put(pki.path("soar.p8"), "/root/soar.p8");
    host.put(&passphrase, "/root/passphrase");
    host.sh("chmod 600 /root/soar.p8; grep -q 'BEGIN ENCRYPTED PRIVATE KEY' /root/soar.p8");
    let before = host.sh(EVERY_BYTE);
    let install = |key: &str| {
        format!("{INSTALL} --chain /root/soar.pem --key {key} --passphrase-file /root/passphrase")
    };
    host.fails(&install("/root/soar.p8"), 2, &["PKCS#8", "cert convert"]);
    assert_eq!(host.sh(EVERY_BYTE), before);
    host.sh("/root/demisto-install cert convert /root/soar.p8 --out-key /root/soar.key --passphrase-file /root/passphrase");
    host.sh(&install("/root/soar.key"));
    assert_eq!(shown(&host), leaf_of(&host, "/root/soar.pem"));
    is_consumed(&host);
    host.sh("grep -q 'Proc-Type: 4,ENCRYPTED' /usr/local/demisto/cert.key");
}
