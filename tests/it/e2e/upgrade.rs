//! Upgrades on a booted systemd: all that belongs to the host stays, and the way back is exact.

use std::collections::BTreeSet;
use std::fs;

use super::bundle::{Bundle, PASSWORD};
use super::service::{EVERY_BYTE, UNATTENDED, answer, status_of_login};
use crate::support::container::Container;

pub(super) const V1: [&str; 4] = ["--version", "6.12.0", "--build", "100"];
pub(super) const V2: [&str; 4] = ["--version", "6.14.0", "--build", "200"];
/// Every version of a test listens here.
pub(super) const PORT: u16 = 8443;
const SECOND_PASSWORD: &str = "Second-marker-9";

/// What an administrator and the service did since the installation.
pub(super) const LIVED_IN: &str = r#"
    cd /root
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj '/CN=Own CA' \
        -keyout ca.key -out ca.pem 2>/dev/null
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
        -keyout leaf.key -out leaf.csr 2>/dev/null
    printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' > ext
    openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile ext \
        -out leaf.pem 2>/dev/null
    cat leaf.pem ca.pem > chain.pem
    home=/usr/local/demisto
    install -o demisto -g demisto -m 0400 chain.pem $home/cert.pem
    install -o demisto -g demisto -m 0400 leaf.key $home/cert.key
    sed -i -e 's/"443"/"8443"/' -e 's/"log.level"/"my.own": {"key": [1, 2]},\n  &/' /etc/demisto.conf
    printf 'licence' > $home/demisto.lic
    printf 'stray\n' > $home/content/stray
    chown daemon:adm $home/content/stray; chmod 0604 $home/content/stray
    setfattr -n user.note -v mine $home/content/stray
    mkdir -p -m 0711 $home/own/deep; ln -s /nowhere $home/own/link; printf x > $home/own/deep/file
    touch -d '2020-01-02 03:04:05.678901234' $home/demisto.lic $home/content/stray $home/own/deep
    umask 077
    printf '{"users": [{"username": "second", "password": "Second-marker-9"}],
        "apikeys": [{"name": "key", "username": "second", "apikey": "1234567890"}]}' > otc
    install -o demisto -g demisto -m 0400 otc /var/lib/demisto/otc.conf.json
    printf 'written by the service' > /var/lib/demisto/data/blob; chown demisto: /var/lib/demisto/data/blob
    systemctl restart demisto
    for i in $(seq 200); do
        curl -sf -o /dev/null --cacert /root/ca.pem https://localhost:8443/health && exit 0; sleep 0.05
    done
    exit 1"#;

/// What of the installation directory belongs to the host.
const HOST_THINGS: &str = "cert.pem cert.key demisto.lic content/stray own own/deep own/deep/file own/link";

/// A host that uses v1; v2 lies there as `/root/v2`.
pub(super) fn in_use(name: &str, v2: &Bundle) -> Container {
    let host = Container::up(name);
    Bundle::with(&V1).put(&host);
    host.sh(UNATTENDED);
    host.sh(LIVED_IN);
    host.put(v2.path(), "/root/v2");
    host
}

/// Every line about what lies below directories: kind, mode, owner, time in nanoseconds, content,
/// extended attributes.
pub(super) fn exact(host: &Container, dirs: &str) -> BTreeSet<String> {
    let script = format!(
        "cd /; find {dirs} \\( -type d -printf '%p %m %U %G %T@\\n' -o -printf '%p %y %m %U %G %s %T@ %l\\n' \\); \
         find {dirs} -type f -exec sha256sum {{}} +; getfattr -R -P -h -d -m - {dirs} 2>/dev/null | \
         awk '/^# file: / {{ f = $0; next }} NF {{ print f, $0 }}'"
    );
    host.sh(&script).lines().map(str::to_owned).collect()
}

/// As [`exact`], without times: what a file that is written anew has in common with the one before.
pub(super) fn content(host: &Container, dirs: &str) -> BTreeSet<String> {
    let script = format!(
        "cd /; find {dirs} -printf '%p %y %m %U %G %l\\n'; find {dirs} -type f -exec sha256sum {{}} +"
    );
    host.sh(&script).lines().map(str::to_owned).collect()
}

/// Lines that only one of the two has.
pub(super) fn differences<'a>(a: &'a BTreeSet<String>, b: &'a BTreeSet<String>) -> Vec<&'a String> {
    a.symmetric_difference(b).collect()
}

/// The version that answers with the host's own certificate.
pub(super) fn version(host: &Container) -> String {
    let ask = format!("curl -s --max-time 5 --cacert /root/ca.pem https://localhost:{PORT}/health");
    let answer = String::from_utf8(host.run(&["bash", "-c", &ask]).stdout).unwrap();
    let value: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
    value["version"].as_str().unwrap_or("none").to_owned()
}

pub(super) fn logs_in(host: &Container) {
    // the log-in's own client trusts what is in the place of the certificate: it is the chain of the CA
    assert_eq!(status_of_login(host, PORT, "admin", PASSWORD), "200");
    assert_eq!(status_of_login(host, PORT, "second", SECOND_PASSWORD), "200");
    assert_eq!(status_of_login(host, PORT, "second", PASSWORD), "401");
}

fn host_things(host: &Container) -> BTreeSet<String> {
    let things: Vec<String> =
        HOST_THINGS.split(' ').map(|name| format!("usr/local/demisto/{name}")).collect();
    exact(host, &things.join(" "))
}

const TREE: &str = "usr/local/demisto";
pub(super) const DATA: &str =
    "var/lib/demisto/data/users.json var/lib/demisto/data/apikeys.json var/lib/demisto/data/blob";

#[test]
fn a_guided_upgrade_keeps_what_is_the_hosts_and_goes_back_and_forward() {
    let v2 = Bundle::changed(&V2, |product| {
        let path = product.join("demisto.conf");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text.replace("\"log.level\"", "\"new.default\": 5,\n  \"log.level\"")).unwrap();
    });
    let host = in_use("upgrade", &v2);
    logs_in(&host);
    let (tree, data, kept) = (exact(&host, TREE), exact(&host, DATA), host_things(&host));
    let (configuration, unit) = (host.sh("cat /etc/demisto.conf"), exact(&host, "etc/systemd/system"));
    assert!(configuration.contains("my.own") && version(&host) == "6.12.0");

    let mut session = host.ask(&["bash", "-c", "TERM=xterm /root/v2; echo $? > /root/exit"]);
    let shown = session.exp_string("Upgrade now?").unwrap();
    for words in
        ["Plan: ", "1 added", " changed, 1 removed", "carried over", "is kept for a rollback", "Plan digest"]
    {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    for question in ["ACKNOWLEDGMENT", "License", "HTTPS Port:", "admin user", "assword"] {
        assert!(!shown.contains(question), "{question}: {shown}");
    }
    answer(&mut session, "", "yes");
    session.exp_string("6.14.0-200 is installed in the place of 6.12.0-100").unwrap();
    session.exp_eof().unwrap();
    assert_eq!(host.sh("cat /root/exit"), "0");
    assert_eq!(version(&host), "6.14.0");
    logs_in(&host);
    assert_eq!(differences(&host_things(&host), &kept), [""; 0]);
    assert_eq!(differences(&exact(&host, DATA), &data), [""; 0]);
    let merged = host.sh("cat /etc/demisto.conf");
    assert!(
        merged.contains("my.own") && merged.contains("\"8443\"") && merged.contains("new.default"),
        "{merged}"
    );
    assert_eq!(host.sh("stat -c '%a %U:%G' /etc/demisto.conf"), "640 demisto:demisto");
    host.sh("test ! -e /usr/local/demisto/content/release-6.12.0.txt; test ! -e /usr/local/.demisto.demisto-install");
    host.sh("/root/v2 verify --installed");
    let upgraded = exact(&host, TREE);

    let before = host.sh(EVERY_BYTE);
    assert!(host.sh("/root/v2 2>/dev/null").contains("nothing to do"));
    assert_eq!(host.sh(EVERY_BYTE), before);

    assert!(host.sh("/root/v2 rollback --yes").contains("6.12.0-100 is installed again"));
    assert_eq!(version(&host), "6.12.0");
    assert_eq!(differences(&exact(&host, TREE), &tree), [""; 0]);
    assert_eq!(differences(&exact(&host, "etc/systemd/system"), &unit), [""; 0]);
    assert_eq!(host.sh("cat /etc/demisto.conf"), configuration);
    logs_in(&host);
    host.sh("/root/demisto-install verify --installed");

    host.sh("/root/v2 rollback --yes");
    assert_eq!(version(&host), "6.14.0");
    assert_eq!(differences(&exact(&host, TREE), &upgraded), [""; 0]);
    host.reboot();
    host.sh("/root/v2 wait-ready --timeout 30");
    assert_eq!(version(&host), "6.14.0");
    assert!(host.sh("/root/v2 status --output json").contains("\"drift\":[]"));
    logs_in(&host);
}

/// The unit as the release brings it is replaced by the next release's, and comes back.
#[test]
fn a_changed_unit_is_used_at_once_and_goes_back() {
    let v2 = Bundle::changed(&V2, |product| {
        let path = product.join("demisto.service");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text.replace("[Service]\n", "[Service]\nEnvironment=OF_RELEASE=6.14\n")).unwrap();
    });
    let host = in_use("upgrade-unit", &v2);
    let marked = "tr '\\0' '\\n' < /proc/$(systemctl show -p MainPID --value demisto)/environ | grep -c OF_RELEASE || true";
    let reload = "systemctl show -p NeedDaemonReload --value demisto";
    let before = content(&host, "etc/systemd/system");
    assert_eq!(host.sh(marked), "0");
    host.sh("/root/v2 upgrade --yes");
    assert_eq!(
        (host.sh(marked), host.sh(reload), version(&host)),
        ("1".into(), "no".into(), "6.14.0".into())
    );
    host.sh("/root/v2 rollback --yes");
    assert_eq!(
        (host.sh(marked), host.sh(reload), version(&host)),
        ("0".into(), "no".into(), "6.12.0".into())
    );
    assert_eq!(differences(&content(&host, "etc/systemd/system"), &before), [""; 0]);
}

/// A tree as another installer leaves it: no receipt, and the account, unit and data are there.
pub(super) fn foreign(name: &str, v1: &Bundle) -> Container {
    let host = Container::up(name);
    v1.put(&host); // for the key and the answers
    let product = v1.product();
    host.put(product.join("tree"), "/usr/local/demisto");
    host.put(product.join("demisto.service"), "/etc/systemd/system/demisto.service");
    host.put(product.join("demisto.conf"), "/etc/demisto.conf");
    host.sh(
        "useradd --system --home /var/lib/demisto --shell /usr/sbin/nologin demisto
         install -d -o demisto -g demisto -m 0750 /var/lib/demisto /var/log/demisto
         install -d -o demisto -g demisto -m 0700 /var/lib/demisto/data
         chown demisto: /etc/demisto.conf; printf vendor > /usr/local/demisto/of-the-vendor
         printf 'old\\n' > /usr/local/demisto/content/scripts/sample-02.yml
         umask 077; printf '{\"users\": [{\"username\": \"admin\", \"password\": \"Kq7-marker-Vw\"}]}' > /root/otc
         install -o demisto -g demisto -m 0400 /root/otc /var/lib/demisto/otc.conf.json
         systemctl daemon-reload; systemctl -q enable --now demisto; sleep 0.3",
    );
    host.sh(LIVED_IN);
    host
}

#[test]
fn an_installation_of_another_installer_is_taken_over_and_comes_back() {
    let host = foreign("adopt", &Bundle::with(&V1));
    host.put(Bundle::with(&V2).path(), "/root/v2");
    logs_in(&host);
    assert_eq!(version(&host), "6.12.0");
    let (tree, data, kept) = (exact(&host, TREE), exact(&host, DATA), host_things(&host));
    let configuration = host.sh("cat /etc/demisto.conf");
    let unanswered = host.run(&["/root/v2", "upgrade", "--yes"]);
    assert_eq!(unanswered.status.code(), Some(2), "{}", String::from_utf8_lossy(&unanswered.stderr));
    assert_eq!(differences(&exact(&host, TREE), &tree), [""; 0]);

    host.sh("/root/v2 upgrade --yes --answers /root/answers.json");
    assert_eq!(version(&host), "6.14.0");
    logs_in(&host);
    assert_eq!(differences(&host_things(&host), &kept), [""; 0]);
    assert_eq!(differences(&exact(&host, DATA), &data), [""; 0]);
    assert!(host.sh("cat /etc/demisto.conf").contains("my.own"));
    assert_eq!(host.sh("cat /usr/local/demisto/of-the-vendor"), "vendor");
    host.sh("/root/v2 verify --installed");

    assert!(host.sh("/root/v2 rollback --yes").contains("the former installation is installed again"));
    assert_eq!(version(&host), "6.12.0");
    assert_eq!(differences(&exact(&host, TREE), &tree), [""; 0]);
    assert_eq!(host.sh("cat /etc/demisto.conf"), configuration);
    host.sh("test ! -e /var/lib/demisto-install/receipt.json");
    logs_in(&host);
    host.sh("/root/v2 rollback --yes");
    assert_eq!(version(&host), "6.14.0");
}

/// The clock cannot be set in a container, which has the machine's. After one that went back by two
/// days, what was installed seems to come from the future.
#[test]
fn an_installation_from_the_future_is_upgraded_and_comes_back() {
    let host = in_use("upgrade-clock", &Bundle::with(&V2));
    host.sh(
        "soon=$(date -u -d '2 days' +%Y-%m-%dT%H:%M:%S.123456789Z)
         sed -i \"s/\\\"installed_at\\\": \\\"[^\\\"]*/\\\"installed_at\\\": \\\"$soon/\" /var/lib/demisto-install/receipt.json
         find /usr/local/demisto /etc/demisto.conf /var/lib/demisto* -exec touch -h -d \"$soon\" {} +
         grep -q \"$soon\" /var/lib/demisto-install/receipt.json",
    );
    let tree = exact(&host, TREE);
    host.sh("/root/v2 upgrade --yes");
    assert_eq!(version(&host), "6.14.0");
    host.sh("/root/v2 verify --installed; /root/v2 rollback --yes");
    assert_eq!(version(&host), "6.12.0");
    assert_eq!(differences(&exact(&host, TREE), &tree), [""; 0]);
}
