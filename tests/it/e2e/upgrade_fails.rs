//! Upgrades that fail or are refused on a booted systemd: the service goes on as before.

use super::bundle::Bundle;
use super::service::{EVERY_BYTE, UNATTENDED};
use super::upgrade::{DATA, LIVED_IN, V1, V2, content, differences, exact, in_use, logs_in, version};
use crate::support::container::Container;

const TREE: &str = "usr/local";
/// What the service writes itself is compared by its content: it was stopped and started.
const CONTENT: &str = "etc/demisto.conf etc/systemd/system var/lib/demisto";

/// An upgrade that is undone: exit code 1, everything as before, and the former version answers.
pub(super) fn is_undone(host: &Container, command: &str, words: &[&str]) {
    let (tree, rest) = (exact(host, TREE), content(host, CONTENT));
    let output = host.run(&["bash", "-c", command]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{command}: {said}");
    for words in ["everything is as it was before"].iter().chain(words) {
        assert!(said.contains(words), "{words}: {said}");
    }
    host.sh("/root/v2 wait-ready --timeout 20");
    assert_eq!(version(host), "6.12.0", "{said}");
    // the directory itself was written to: its time tells so
    let beside: Vec<String> = differences(&exact(host, TREE), &tree).into_iter().cloned().collect();
    assert!(beside.iter().all(|line| line.starts_with("usr/local 755 ")), "{beside:?}");
    assert_eq!(differences(&content(host, CONTENT), &rest), [""; 0]);
    host.sh("test ! -e /var/lib/demisto-install/retained.new; test ! -e /usr/local/.demisto.retained");
    host.sh("/root/v2 status | grep -q 'Drift      0 files'");
    assert_eq!(host.sh("grep -c 'error upgrade to 6.14.0-200' /var/log/demisto/install.log"), "1");
    host.sh("truncate -s 0 /var/log/demisto/install.log");
}

fn fails(fault: &str, words: &[&str]) {
    let host = in_use(fault, &Bundle::with(&[&V2[..], &["--fault", fault]].concat()));
    let words: Vec<&str> = ["last log lines", "Starting server"].iter().chain(words).copied().collect();
    is_undone(&host, "/root/v2 upgrade --yes --health-timeout 3", &words);
    // and the data, which the failed version had marked, are of use
    host.put(Bundle::with(&V2).path(), "/root/v2");
    host.sh("/root/v2 upgrade --yes");
    assert_eq!(version(&host), "6.14.0");
}

#[test]
fn one_that_crashes_is_undone() {
    fails("crash", &["made to crash after its start"]);
}

#[test]
fn one_that_hangs_is_undone() {
    fails("hang", &["after 3 s", "Listening on port 8443"]);
}

#[test]
fn one_that_opens_no_port_is_undone() {
    fails("no-port", &["after 3 s"]);
}

#[test]
fn one_that_answers_as_another_version_is_undone() {
    fails("wrong-version", &["is answered by version 0.0.0, not 6.14.0"]);
}

#[test]
fn one_that_starts_too_slowly_is_undone() {
    fails("slow-start", &["after 3 s", "made to start slowly"]);
}

#[test]
fn one_whose_service_does_not_stop_ends_before_the_switch() {
    let host = in_use("no-stop", &Bundle::with(&V2));
    host.sh("mkdir /run/systemd/system/demisto.service.d
         printf '[Unit]\\nRefuseManualStop=yes\\n' > /run/systemd/system/demisto.service.d/stop.conf
         systemctl daemon-reload");
    let before = host.sh("systemctl show -p MainPID --value demisto");
    is_undone(&host, "/root/v2 upgrade --yes", &["systemctl", "stop"]);
    assert_eq!(host.sh("systemctl show -p MainPID --value demisto"), before);
    // one that does not listen to the signal is killed by systemd, and the upgrade goes on
    host.sh(
        "printf '[Service]\\nKillSignal=SIGCONT\\nTimeoutStopSec=1\\n' > /run/systemd/system/demisto.service.d/stop.conf
         systemctl daemon-reload",
    );
    host.sh("/root/v2 upgrade --yes");
    assert_eq!(version(&host), "6.14.0");
}

/// Without a step being done: no byte changes, and the very same process answers.
fn is_refused(host: &Container, command: &str, code: i32, words: &str) {
    let pid = "systemctl show -p MainPID --value demisto";
    let (before, process) = (host.sh(EVERY_BYTE), host.sh(pid));
    let output = host.run(&["bash", "-c", command]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{command}: {said}");
    assert!(said.contains(words), "{command}: {words}: {said}");
    assert_eq!(host.sh(EVERY_BYTE), before, "{command}: {said}");
    assert_eq!((host.sh(pid), version(host)), (process, "6.12.0".into()), "{command}: {said}");
}

#[test]
fn refusals_leave_the_service_alone() {
    let host = in_use("refusals", &Bundle::with(&V2));
    let lower = Bundle::with(&["--version", "6.11.0", "--build", "90"]);
    host.put(lower.path(), "/root/lower");
    is_refused(&host, "/root/lower upgrade --yes", 3, "6.11.0-90 is older than the installed 6.12.0-100");
    let far = Bundle::with(&["--version", "6.16.0", "--build", "300"]);
    host.put(far.path(), "/root/far");
    is_refused(&host, "/root/far upgrade --yes", 3, "6.12.0 is installed");
    is_refused(
        &host,
        "flock /var/lib/demisto-install/lock /root/v2 upgrade --yes",
        6,
        "another run of demisto-install is at work",
    );
    is_refused(&host, "/root/v2 upgrade --yes --plan-digest $(printf %064d 0)", 4, "not the approved");
    host.sh("mount --bind /usr/local/demisto/own /usr/local/demisto/content/custom");
    is_refused(&host, "/root/v2 upgrade --yes", 4, "/usr/local/demisto/content/custom");
    host.sh("umount /usr/local/demisto/content/custom");
    host.sh("mount --bind /usr/local/demisto /usr/local/demisto");
    is_refused(&host, "/root/v2 upgrade --yes", 4, "is mounted on /usr/local/demisto");
    host.sh("umount /usr/local/demisto");
    is_refused(&host, "/root/v2 rollback --yes", 4, "no release is retained");
    host.sh("/root/v2 upgrade --yes");
    assert_eq!(version(&host), "6.14.0");
}

/// A file system of its own for `/usr/local`: too little room, too few files, not writable.
#[test]
fn a_full_or_closed_file_system_leaves_the_service_alone() {
    let host = Container::up("full");
    host.sh("mount -t tmpfs -o size=90m,mode=755 tmpfs /usr/local");
    Bundle::with(&V1).put(&host);
    host.sh(UNATTENDED);
    host.sh(LIVED_IN);
    host.put(Bundle::with(&V2).path(), "/root/v2");

    host.sh("head -c 60M /dev/zero > /usr/local/filler");
    is_refused(&host, "/root/v2 upgrade --yes", 4, "free");
    host.sh("rm /usr/local/filler");

    let used = "$(df --output=iused /usr/local | tail -n 1)";
    host.sh(&format!("mount -o remount,nr_inodes=$(({used} + 30)) /usr/local"));
    is_refused(&host, "/root/v2 upgrade --yes", 4, "inodes");
    is_undone(&host, "/root/v2 upgrade --yes --skip-check inodes", &["No space left on device"]);
    host.sh("mount -o remount,nr_inodes=100000 /usr/local");

    host.sh("mount -o remount,ro /usr/local");
    is_refused(&host, "/root/v2 upgrade --yes", 4, "mount-tree");
    is_undone(&host, "/root/v2 upgrade --yes --skip-check mount-tree", &["Read-only file system"]);
    host.sh("mount -o remount,rw /usr/local; /root/v2 upgrade --yes");
    assert_eq!(version(&host), "6.14.0");
}

/// It had brought the data to another form and served with it: they go back byte for byte.
#[test]
fn data_in_another_form_go_back_with_a_release_that_fails() {
    for fault in ["crash", "wrong-version"] {
        let newer = [&V2[..], &["--schema", "2", "--fault", fault]].concat();
        let host = in_use(&format!("data-{fault}"), &Bundle::with(&newer));
        let data = exact(&host, "var/lib/demisto");
        is_undone(&host, "/root/v2 upgrade --yes --health-timeout 5", &["migrated data from schema 1 to 2"]);
        assert_eq!(differences(&exact(&host, "var/lib/demisto"), &data), [""; 0]);
        logs_in(&host);
    }
}

#[test]
fn data_in_another_form_go_back_with_a_rollback() {
    let host = in_use("data-back", &Bundle::with(&[&V2[..], &["--schema", "2"]].concat()));
    let (data, users) = (exact(&host, "var/lib/demisto"), exact(&host, DATA));
    host.sh("/root/v2 upgrade --yes");
    assert_eq!(version(&host), "6.14.0");
    logs_in(&host);
    assert!(host.sh("cat /var/lib/demisto/data/users.json").contains("timeZone"));
    host.sh("printf later > /var/lib/demisto/data/later; chown demisto: /var/lib/demisto/data/later");
    // the data as they are would keep the former release from starting
    let output = host.run(&["/root/v2", "rollback", "--yes", "--data", "keep"]);
    assert_ne!(output.status.code(), Some(0));
    assert_eq!(version(&host), "6.14.0");
    host.sh("/root/v2 rollback --yes");
    assert_eq!(version(&host), "6.12.0");
    assert_eq!(differences(&exact(&host, "var/lib/demisto"), &data), [""; 0]);
    assert_eq!(differences(&exact(&host, DATA), &users), [""; 0]);
    logs_in(&host);
    host.sh("/root/v2 rollback --yes");
    assert_eq!(version(&host), "6.14.0");
    assert_eq!(host.sh("cat /var/lib/demisto/data/later"), "later");
    logs_in(&host);
}
