//! `audit` on a booted systemd: a guided installation in the evaluated configuration has no fail, each requirement
//! broken in turn gives that fail and no other, and an installation that another installer made is told from ours.

use std::collections::BTreeSet;

use demisto_install::audit::REQUIREMENTS;
use demisto_install::config::{self, Setting};
use openssl::pkcs5::scrypt;
use serde_json::{Value, json};

use super::bundle::Bundle;
use super::engine::add_engine;
use super::service::guided;
use super::upgrade::{V1, V2, foreign};
use crate::audit::result;
use crate::cert_install::{Pair, Pki};
use crate::support::container::Container;
use crate::support::installer::{said, summary};

const CONF: &str = "/etc/demisto.conf";
const TREE: &str = "/usr/local/demisto";
const STATE: &str = "/var/lib/demisto-install";
const LOG: &str = "/var/log/demisto/server.log";
const ENGINE_CONF: &str = "/usr/local/demisto/d1_x/d1.conf";

/// What fails, as `INSTALLATION ID`, and the exit code.
fn failing(host: &Container, options: &str) -> (BTreeSet<String>, Option<i32>) {
    let command = format!("/root/demisto-install audit --output json {options}");
    let output = host.run(&["bash", "-c", &command]);
    let told = result(&output);
    let mut found = BTreeSet::new();
    for one in told["audit"]["installations"].as_array().unwrap_or_else(|| panic!("{}", said(&output))) {
        let site = one["site"].as_str().unwrap();
        for finding in one["findings"].as_array().unwrap() {
            if finding["outcome"] == "fail" {
                found.insert(format!("{site} {}", finding["id"].as_str().unwrap()));
            }
        }
    }
    (found, output.status.code())
}

fn no_fail(host: &Container, when: &str) {
    assert_eq!(failing(host, ""), (BTreeSet::new(), Some(0)), "{when}");
}

/// What is said of one requirement of the first installation.
fn finding(host: &Container, id: &str, options: &str) -> Value {
    let command = format!("/root/demisto-install audit --output json --only {id} {options}");
    let told = result(&host.run(&["bash", "-c", &command]));
    told["audit"]["installations"][0]["findings"][0].clone()
}

/// Sets keys of a configuration, and leaves owner and mode.
fn set(host: &Container, path: &str, settings: &[Setting]) {
    let text = config::set(&host.sh(&format!("cat {path}")), settings).unwrap();
    let output = host.run_with_input(&["bash", "-c", &format!("cat > {path}")], text.as_bytes());
    assert!(output.status.success(), "{}", said(&output));
}

fn evaluated(host: &Container) {
    let list = "engine.example.test,good.example.test";
    host.sh(&format!(
        "/root/demisto-install config preset evaluated --san-trust-list {list} --yes --restart"
    ));
}

fn restart(host: &Container) {
    host.sh("systemctl restart demisto; /root/demisto-install wait-ready --timeout 30");
}

/// A pair of the root authority with all that is wanted while revocation is checked.
fn pair(pki: &Pki, name: &str, usage: &str) -> Pair {
    let text = format!(
        "basicConstraints=CA:false\nkeyUsage=critical,digitalSignature\nextendedKeyUsage={usage}\n\
         subjectAltName=DNS:localhost,DNS:{name}.example.test\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n\
         authorityInfoAccess=OCSP;URI:http://ocsp.example.test,caIssuers;URI:http://ca.example.test/root.pem\n"
    );
    pki.put(&format!("{name}.cnf"), text.as_bytes());
    pki.openssl(&format!(
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.pkcs8 -out {name}.csr -subj /CN={name}"
    ));
    pki.openssl(&format!(
        "x509 -req -in {name}.csr -CA root.pem -CAkey root.key -CAcreateserial -days 365 -extfile {name}.cnf -out {name}.leaf"
    ));
    pki.openssl(&format!("ec -in {name}.pkcs8 -out {name}.key"));
    Pair {
        chain: pki.chain(name, &[&format!("{name}.leaf"), "root.pem"]),
        key: pki.path(&format!("{name}.key")),
    }
}

/// Puts a pair where the product reads it, as whoever does it by hand.
fn put(host: &Container, pair: &Pair, name: &str) {
    host.put(&pair.chain, "/root/new.pem");
    host.put(&pair.key, "/root/new.key");
    for ending in ["pem", "key"] {
        host.sh(&format!("install -o demisto -g demisto -m 0400 /root/new.{ending} {name}.{ending}"));
    }
}

/// One way to break a requirement.
struct Breach {
    /// What fails then: the installation and the requirement.
    fails: String,
    harm: Harm,
    /// What undoes it besides the files.
    mend: String,
}

#[derive(Debug)]
enum Harm {
    Done(String),
    /// A key of a configuration gets another value, or goes.
    Set(&'static str, Setting),
}

fn breach(id: &str, harm: impl Into<Harm>) -> Breach {
    Breach { fails: format!("server {id}"), harm: harm.into(), mend: String::new() }
}

impl From<String> for Harm {
    fn from(command: String) -> Self {
        Self::Done(command)
    }
}

impl From<&str> for Harm {
    fn from(command: &str) -> Self {
        Self::Done(command.to_owned())
    }
}

impl Breach {
    fn of_engine(id: &str, harm: impl Into<Harm>) -> Self {
        Self { fails: format!("engine x {id}"), ..breach(id, harm) }
    }

    fn then(self, mend: &str) -> Self {
        Self { mend: mend.to_owned(), ..self }
    }

    fn begin(&self, host: &Container) {
        match &self.harm {
            Harm::Done(command) => drop(host.sh(&format!("({command})"))),
            Harm::Set(path, setting) => set(host, path, std::slice::from_ref(setting)),
        }
    }
}

fn flip(path: &'static str, key: &str, value: impl Into<Value>) -> Harm {
    Harm::Set(path, Setting::to(key, value))
}

fn lose(path: &'static str, key: &str) -> Harm {
    Harm::Set(path, Setting::unset(key))
}

fn of_files() -> Vec<Breach> {
    let other = "0".repeat(40);
    vec![
        breach("cc-signature", format!(": > {STATE}/manifest.sig")),
        breach(
            "cc-signature",
            format!(
                "sed -i -E 's/\"fingerprint\": \"[0-9A-F]+\"/\"fingerprint\": \"{other}\"/' {STATE}/receipt.json"
            ),
        ),
        breach(
            "cc-artefact",
            format!(
                "sed -i -E 's/\"manifest\": \"[0-9a-f]{{8}}/\"manifest\": \"00000000/' {STATE}/receipt.json"
            ),
        ),
        breach("cc-drift", format!("echo more >> {TREE}/EULA.txt")),
        breach("cc-drift", format!("chmod 777 {TREE}")).then(&format!("chmod 755 {TREE}")),
        breach("cc-certificate-files", format!("chmod 440 {TREE}/cert.pem")),
        breach("cc-certificate-files", format!("chmod 404 {TREE}/cert.key")),
        breach("cc-certificate-files", format!("chown root:root {TREE}/cert.key")),
        breach("cc-certificate-files", format!("rm {TREE}/cert.key")),
        breach(
            "cc-one-time",
            "install -o demisto -g demisto -m 0400 /dev/null /var/lib/demisto/otc.conf.json",
        )
        .then("rm /var/lib/demisto/otc.conf.json"),
        breach("cc-config-file", format!("chmod 666 {CONF}")),
        breach("cc-config-file", format!("chown nobody {CONF}")),
        breach("cc-config-file", format!("chgrp nogroup {CONF}; chmod 660 {CONF}")),
        breach(
            "cc-config-file",
            format!("sed -i '0,/{{/s//{{ \"security.keypass\": \"x\",/' {CONF}; chmod 644 {CONF}"),
        ),
        breach("cc-directories", "chmod 777 /var/lib/demisto").then("chmod 750 /var/lib/demisto"),
        breach("cc-directories", "chown nobody /var/log/demisto").then("chown demisto /var/log/demisto"),
        Breach::of_engine("cc-config-file", format!("chmod 666 {ENGINE_CONF}")),
    ]
}

fn of_keys() -> Vec<Breach> {
    let revocation = "security.certificate.verifyrevocation";
    let servers = "security.certificate.override.donotverifyservercertificates";
    let clients = "security.server.certificate.donotverifyclientcertificates";
    let list = "security.certificate.santrustlist";
    let policy = "server.certificate.clientauthpolicy";
    let any = "engine.connection.trust_any_certificate";
    let unknown = "security.certificate.failonunknownrevocationstatus";
    let mut all = vec![
        breach("cc-config-syntax", format!("echo ',' >> {CONF}")),
        breach("cc-config-syntax", format!("sed -i 's/\"log.level\"/log.level\"/' {CONF}")),
        breach("cc-verify-servers", flip(CONF, servers, true)),
        breach("cc-verify-servers", lose(CONF, servers)),
        breach("cc-verify-clients", flip(CONF, clients, "false")),
        breach(
            "cc-verify-clients, server cc-config-syntax",
            flip(CONF, &clients.replace("server.certificate", "certificate.override"), true),
        ),
        breach("cc-client-policy", flip(CONF, policy, "require")),
        breach("cc-client-policy", lose(CONF, policy)),
        breach("cc-ca-sign", flip(CONF, "security.certificate.verifycasign", false)),
        breach("cc-ca-sign", lose(CONF, "security.certificate.verifycasign")),
        breach("cc-revocation", flip(CONF, revocation, "true")),
        breach("cc-revocation", lose(CONF, revocation)),
        breach("cc-revocation-unknown", flip(CONF, unknown, false)),
        breach(
            "cc-external-host",
            format!("sed -i '0,/{{/s//{{ \"Server.ExternalHostName\": \"\",/' {CONF}"),
        ),
        breach("cc-client-san", flip(CONF, "security.certificate.verifyclientsan", false)),
        breach("cc-client-san", lose(CONF, "security.certificate.verifyclientsan")),
        breach("cc-keypass-encrypted", flip(CONF, "security.keypass.encrypt", false)),
        breach("cc-keypass-encrypted", lose(CONF, "security.keypass.encrypt")),
        breach("cc-password-policy", flip(CONF, "password.policy.default.MinPasswordLength", 7)),
        breach("cc-password-policy", flip(CONF, "password.policy.default.Enabled", false)),
        breach("cc-password-policy", flip(CONF, "password.policy.default.MaxFailedLoginAttempts", 0)),
        Breach::of_engine("cc-trust-any", flip(ENGINE_CONF, any, true)),
        Breach::of_engine("cc-trust-any", lose(ENGINE_CONF, any)),
        Breach::of_engine("cc-verify-servers", lose(ENGINE_CONF, servers)),
        Breach::of_engine("cc-revocation", flip(ENGINE_CONF, revocation, false)),
        Breach::of_engine("cc-external-host", lose(ENGINE_CONF, "Server.ExternalHostName")),
        Breach::of_engine("cc-engine-urls", format!("sed -i 's#wss://#ws://#' {ENGINE_CONF}")),
        Breach::of_engine("cc-client-certificate", flip(ENGINE_CONF, "security.client.enabled", false)),
    ];
    for names in
        ["", "engine.example.test, b.example.test", "engine.example.test,*.test", "engine.example.test,"]
    {
        all.push(breach("cc-san-list", flip(CONF, list, names)));
    }
    all.push(breach("cc-san-list", lose(CONF, list)));
    all
}

fn of_service() -> Vec<Breach> {
    let drop_in = |id: &str, line: &str| {
        let dir = "/etc/systemd/system/demisto.service.d";
        let harm = format!(
            "mkdir -p {dir}; printf '[Service]\\n{line}\\n' > {dir}/99-harm.conf; systemctl daemon-reload"
        );
        breach(id, harm).then(&format!("rm -r {dir}; systemctl daemon-reload"))
    };
    let id = "133e2886-81ae-4641-816a-6117fa8ccab5";
    let started = format!(
        "at=$(date '+%Y-%m-%d %H:%M:%S.0000'); echo \"$at info Starting server, version 6.13.0-1 run id: {id} (source: x.go:1)\" >> {LOG}; \
         echo \"$at info FIPS-CC self-tests passed. FIPS-CC mode enabled successfully. (source: x.go:2)\" >> {LOG}"
    );
    let log = format!("cat /root/server.log > {LOG}");
    let weak = |options: &str| {
        format!(
            "sed -i 's/\"HttpsPort\": \"443\"/\"HttpsPort\": \"9443\"/' {CONF}; systemd-run -q --collect --unit=weak \
             openssl s_server -www -accept 9443 -cert {TREE}/cert.pem -key {TREE}/cert.key {options}
             for i in $(seq 50); do grep -q :24E3 /proc/net/tcp /proc/net/tcp6 && exit 0; sleep 0.1; done; exit 1"
        )
    };
    vec![
        breach("cc-fips", format!("sed '/FIPS-CC/d' /root/server.log > /root/less; cat /root/less > {LOG}")).then(&log),
        breach(
            "cc-fips",
            format!("sed 's/info FIPS-CC self-tests passed.*(s/error FIPS-CC self-tests failed: AES (s/' /root/server.log > /root/less; cat /root/less > {LOG}"),
        )
        .then(&log),
        breach("cc-version", started).then(&log),
        breach("cc-tls", weak("-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305")).then("systemctl stop weak"),
        breach("cc-tls", weak("-cipher DEFAULT@SECLEVEL=0")).then("systemctl stop weak"),
        drop_in("cc-service-account", "User=root"),
        drop_in("cc-service-account", "Group=root"),
        drop_in("cc-service-privileges", "NoNewPrivileges=no"),
        drop_in("cc-service-privileges", "CapabilityBoundingSet=CAP_SYS_ADMIN"),
        drop_in("cc-service-privileges", "AmbientCapabilities=CAP_CHOWN"),
        drop_in("cc-service-files", "ProtectSystem=no"),
        drop_in("cc-service-files", "ProtectHome=no"),
        drop_in("cc-service-files", "UMask=0022"),
        drop_in("cc-service-kernel", "MemoryDenyWriteExecute=no"),
        drop_in("cc-service-kernel", "ProtectKernelModules=no"),
    ]
}

#[test]
fn a_guided_installation_is_evaluated_and_each_breach_is_that_fail_alone() {
    let (host, pki) = (Container::up("audit"), Pki::new());
    Bundle::with(&V1).put(&host);
    let mut session = guided(&host, "", "");
    session.exp_string("is installed.").unwrap();
    session.exp_eof().unwrap();
    evaluated(&host);
    no_fail(&host, "a fresh guided installation with the preset");
    let mut broken = BTreeSet::new();
    let fails = |when: &str, wanted: &str, broken: &mut BTreeSet<String>| {
        let wanted: BTreeSet<String> = wanted.split(", ").map(str::to_owned).collect();
        assert_eq!(failing(&host, ""), (wanted.clone(), Some(4)), "{when}");
        broken.extend(wanted.iter().map(|one| one.rsplit(' ').next().unwrap().to_owned()));
    };

    // certificates: one of an authority that the host does not trust yet, and others that it replaces
    put(&host, &pair(&pki, "one", "serverAuth"), &format!("{TREE}/cert"));
    restart(&host);
    fails("an authority that is not trusted", "server cc-trust-anchors", &mut broken);
    host.put(pki.path("root.pem"), "/root/root.pem");
    host.sh("/root/demisto-install ca add /root/root.pem --yes");
    no_fail(&host, "with the authority");
    host.put(pki.path("inter.pem"), "/root/inter.pem");
    host.sh("/root/demisto-install ca add /root/inter.pem --yes");
    put(&host, &pki.leaf("two", "serverAuth", 365), &format!("{TREE}/cert"));
    restart(&host);
    fails("a certificate that names no responder", "server cc-certificate-rules", &mut broken);
    put(&host, &pair(&pki, "three", "serverAuth"), &format!("{TREE}/cert"));
    fails("another certificate, and no restart", "server cc-served-certificate", &mut broken);
    restart(&host);
    no_fail(&host, "a good one again");

    // an engine beside it, which shows its own certificate
    add_engine(&host);
    put(&host, &pair(&pki, "engine", "clientAuth"), &format!("{TREE}/d1_x/client"));
    host.sh(
        "/root/demisto-install config preset strict-engine --engine --name x --external-host localhost:443 --yes",
    );
    host.sh(CONNECT);
    no_fail(&host, "with a strict engine");
    host.sh("systemctl stop demisto; for i in $(seq 100); do grep -q 'info connect' <(tail -1 /var/log/demisto/d1_x/d1.log) || exit 0; sleep 0.1; done");
    fails("the server is gone", "engine x cc-engine-connection", &mut broken);
    host.sh("systemctl start demisto; /root/demisto-install wait-ready --timeout 30");
    host.sh(CONNECT);
    no_fail(&host, "connected again");

    host.sh(&format!(
        "cp {LOG} /root/server.log; tar -P -cf /root/good.tar {CONF} {TREE}/cert.* {TREE}/EULA.txt {STATE}/*.json \
         {STATE}/manifest.sig {ENGINE_CONF}"
    ));
    let all: Vec<Breach> = of_files().into_iter().chain(of_keys()).chain(of_service()).collect();
    for one in &all {
        one.begin(&host);
        fails(&format!("{:?}", one.harm), &one.fails, &mut broken);
        host.sh(&format!("tar -P -xpf /root/good.tar; {}", one.mend));
    }
    no_fail(&host, "all mended");

    // the rest needs a login: see below
    broken.insert("cc-default-password".to_owned());
    let can_fail: BTreeSet<String> =
        REQUIREMENTS.iter().filter(|one| one.can_fail).map(|one| one.id.to_owned()).collect();
    assert_eq!(broken, can_fail, "every requirement that can fail was broken");
    summary(
        "audit",
        &format!(
            "audit: {} requirements, {} breaches, each that fail alone",
            REQUIREMENTS.len(),
            all.len() + 4
        ),
    );
}

/// Restarts the engine and waits until it is connected.
const CONNECT: &str = "systemctl restart d1_x
    for i in $(seq 100); do /root/demisto-install engine status --name x | grep -q 'Connected  yes' && exit 0; sleep 0.2; done
    tail -5 /var/log/demisto/d1_x/d1.log >&2; exit 1";

/// Gives the administrator the vendor's default password, as no verb of ours does.
fn default_password(host: &Container) {
    let path = "/var/lib/demisto/data/users.json";
    let mut users: Value = serde_json::from_str(&host.sh(&format!("cat {path}"))).unwrap();
    let (salt, mut hash) = ("00112233445566778899aabbccddeeff", [0; 32]);
    scrypt(b"admin", salt.as_bytes(), 16384, 8, 1, 64 << 20, &mut hash).unwrap();
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = if users.is_array() { &mut users } else { &mut users["users"] };
    let admin = list.as_array_mut().unwrap().iter_mut().find(|user| user["username"] == "admin").unwrap();
    admin["password"] = json!({"n": 16384, "r": 8, "p": 1, "salt": salt, "scrypt": hash});
    let output = host.run_with_input(&["bash", "-c", &format!("cat > {path}")], users.to_string().as_bytes());
    assert!(output.status.success(), "{}", said(&output));
    restart(host);
}

#[test]
fn an_installation_of_another_installer_is_told_from_ours() {
    let host = foreign("audit-foreign", &Bundle::with(&V1));
    host.put(Bundle::with(&V2).path(), "/root/v2");
    let pki = Pki::new();
    put(&host, &pair(&pki, "one", "serverAuth"), &format!("{TREE}/cert"));
    host.put(pki.path("root.pem"), "/usr/local/share/ca-certificates/root.crt");
    host.sh("update-ca-certificates");
    let (found, code) = failing(&host, "");
    assert!(
        found.contains("server cc-signature") && code == Some(4),
        "nobody knows who signed it: {found:?}"
    );
    assert!(!found.contains("server cc-default-password"), "{found:?}");
    host.sh("/root/v2 upgrade --yes --answers /root/answers.json");
    evaluated(&host);
    no_fail(&host, "taken over, with the preset");
    let state = |options: &str| finding(&host, "cc-default-password", options)["outcome"].clone();
    assert_eq!(state(""), "manual");
    assert_eq!(state("--try-default-login"), "pass");
    default_password(&host);
    assert_eq!(state(""), "manual");
    let only = BTreeSet::from(["server cc-default-password".to_owned()]);
    assert_eq!(failing(&host, "--try-default-login"), (only, Some(4)));

    host.sh("systemctl stop demisto");
    no_fail(&host, "a service that stands still");
    for id in ["cc-tls", "cc-served-certificate", "cc-default-password --try-default-login"] {
        let finding = finding(&host, id, "");
        let why = finding["evidence"].to_string();
        assert!(finding["outcome"] == "manual" && why.contains("does not run"), "{id}: {finding}");
    }
    let user = host.run(&["runuser", "-u", "nobody", "--", "/root/demisto-install", "audit"]);
    assert_ne!(user.status.code(), Some(0), "{}", said(&user));
}
