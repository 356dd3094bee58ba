//! The life of a package on a booted machine, with the real rpm.

use std::path::{Path, PathBuf};

use crate::support::container::Container;
use crate::support::installer::{Tree, Vendor};

/// Debian's rpm knows nothing of Debian's packages, and wants to be told that this is meant.
const RPM: &str = "rpm --force-debian --nodeps --define '_pkgverify_level all'";

fn put(host: &Container, package: &Path) -> String {
    let name = format!("/root/{}", package.file_name().unwrap().to_str().unwrap());
    host.put(package, &name);
    name
}

fn packages() -> [PathBuf; 2] {
    let old = Tree::new();
    old.make_dir("data");
    old.give("data", "0750");
    let new = Tree::next();
    [old.pack("life-1.rpm", &["--format", "rpm"]), new.pack("life-2.rpm", &["--format", "rpm"])]
}

#[test]
fn rpm_installs_upgrades_and_erases() {
    let host = Container::up("package");
    let [old, new] = packages().map(|package| put(&host, &package));
    host.put(Vendor::get().file("release.asc"), "/root/release.asc");

    let refused = host.run(&["bash", "-c", &format!("{RPM} -i {old}")]);
    assert!(!refused.status.success(), "nobody vouched for it yet");
    host.sh("rpm --import /root/release.asc");
    host.sh(&format!("{RPM} -i {old} && rpm -V --nodeps demistoserver"));
    let modes = "stat -c '%a %U:%G %n' /etc/demisto.conf /usr/local/demisto/data /usr/local/demisto/server \
                 /var/lib/demisto /var/log/demisto";
    assert_eq!(
        host.sh(modes),
        "640 demisto:demisto /etc/demisto.conf\n750 demisto:demisto /usr/local/demisto/data\n\
         755 root:root /usr/local/demisto/server\n750 demisto:demisto /var/lib/demisto\n\
         750 demisto:demisto /var/log/demisto"
    );
    assert_eq!(host.sh("getent passwd demisto | cut -d: -f6,7"), "/var/lib/demisto:/usr/sbin/nologin");

    host.sh("systemctl enable --now demisto && systemctl is-active demisto");
    host.sh("echo '{\"mine\": 1}' > /etc/demisto.conf; touch /var/lib/demisto/kept");
    let drift = host.run(&["rpm", "-V", "--nodeps", "demistoserver"]);
    let drift = String::from_utf8_lossy(&drift.stdout).into_owned();
    assert!(drift.contains("c /etc/demisto.conf") && drift.lines().count() == 1, "{drift}");

    host.sh(&format!("{RPM} -U {new}"));
    assert_eq!(host.sh("rpm -q demistoserver"), "demistoserver-6.14.1-2.x86_64");
    assert_eq!(host.sh("cat /etc/demisto.conf"), "{\"mine\": 1}");
    host.sh("grep -q log.level /etc/demisto.conf.rpmnew && test ! -e /usr/local/demisto/lib/module-3");
    host.sh("systemctl is-active demisto && systemctl is-enabled demisto");
    host.sh("systemctl show -p Restart demisto | grep -q always"); // it was reloaded

    host.sh(&format!("{RPM} -e demistoserver"));
    host.sh("test ! -e /usr/local/demisto && test ! -e /usr/lib/systemd/system/demisto.service");
    assert_eq!(host.sh("cat /etc/demisto.conf.rpmsave"), "{\"mine\": 1}");
    host.sh("test -e /var/lib/demisto/kept && ! systemctl -q is-active demisto");
    host.sh("test ! -e /etc/systemd/system/multi-user.target.wants/demisto.service");
}

/// Neither systemd nor useradd is there in the end; rpm goes on and the files belong to root.
#[test]
fn scriptlets_do_without_systemd() {
    let host = Container::up("package-bare");
    let old = put(&host, &packages()[0]);
    host.put(Vendor::get().file("release.asc"), "/root/release.asc");
    host.sh("rpm --import /root/release.asc");
    host.sh("rm -f /usr/bin/systemd-sysusers /bin/systemd-sysusers");
    host.sh(&format!("{RPM} -i {old}"));
    assert_eq!(host.sh("stat -c %U /etc/demisto.conf"), "demisto");
    host.sh(&format!("{RPM} -e demistoserver && userdel demisto"));
    host.sh("rm -f /usr/sbin/useradd /usr/bin/systemd-tmpfiles /usr/bin/systemctl /bin/systemctl");
    host.sh(&format!("{RPM} -i {old}"));
    assert_eq!(host.sh("stat -c %U /etc/demisto.conf"), "root");
    host.sh(&format!("{RPM} -e demistoserver"));
}
