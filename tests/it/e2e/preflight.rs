//! `preflight` on a booted machine, beside what the system's own tools say; and before a change.

use serde_json::Value;

use super::bundle::Bundle;
use super::service::UNATTENDED;
use crate::support::container::Container;

/// A check of the result of `preflight` with these arguments: status and what was seen.
fn check(host: &Container, id: &str, args: &str) -> (String, String) {
    let output =
        host.sh(&format!("/root/demisto-install preflight --output json --only {id} {args} || test $? = 4"));
    let result: Value = serde_json::from_str(output.lines().last().unwrap()).unwrap();
    let [check] = result["checks"].as_array().unwrap().as_slice() else { panic!("{result}") };
    let field = |name: &str| check[name].as_str().unwrap().to_owned();
    (field("status"), field("seen"))
}

fn assert_check(host: &Container, id: &str, args: &str, wanted: (&str, &str)) {
    let (status, seen) = check(host, id, args);
    assert!(status == wanted.0 && seen.contains(wanted.1), "{id} {args}: {status}: {seen}");
}

#[test]
fn what_it_sees_is_what_the_systems_own_tools_tell() {
    let host = Container::up("preflight");
    Bundle::server(None).put(&host);
    assert_check(&host, "space-release", "", ("pass", "are needed in /usr/local/demisto"));
    let version = host.sh("systemctl --version | awk 'NR == 1 { print $2 }'");
    assert_check(&host, "systemd", "", ("pass", &format!("systemd {version} runs")));
    let own = host.sh("getent ahosts \"$(hostname)\" | awk '{ print $1 }' | sort -u | head -1 || true");
    match own.as_str() {
        "" => assert_check(&host, "own-name", "", ("warn", "does not resolve")),
        address => assert_check(&host, "own-name", "", ("pass", address)),
    }
    let clock = host.sh("timedatectl show --property NTPSynchronized --value");
    let wanted = if clock == "yes" { ("pass", "is synchronised") } else { ("warn", "not synchronised") };
    assert_check(&host, "clock", "", wanted);
    let kind = host.sh("findmnt --noheadings --output FSTYPE --target /usr/local | tail -1");
    assert_check(&host, "mount-tree", "", ("pass", &format!("{kind} on ")));
    let tmp = host.sh("findmnt --noheadings --output FSTYPE --target /tmp");
    assert_check(&host, "mount-tmp", "", ("pass", &format!("/tmp: {tmp} on /tmp")));
    let inodes = host.sh("df --output=itotal /usr/local | tail -1 | tr -d ' '");
    if inodes != "-" && inodes != "0" {
        assert_check(&host, "inodes", "", ("pass", &format!("of {inodes} are free")));
    }
    assert_check(&host, "kernel", "", ("pass", &host.sh("uname -r")));
    host.sh("mkdir -p /etc/systemd/system.conf.d && printf '[Manager]\\nDefaultLimitNOFILE=1024:4096\\n' \
             > /etc/systemd/system.conf.d/few.conf && systemctl daemon-reexec");
    // what the unit says counts, whatever holds for others
    assert_check(&host, "open-files", "", ("pass", "65536 at most: LimitNOFILE of demisto.service in FILE"));
    host.sh("rm /etc/systemd/system.conf.d/few.conf && systemctl daemon-reexec");

    host.sh("systemd-run --quiet --unit holder python3 -m http.server 443; \
             until ss -ltn | grep -q ':443 '; do sleep 0.1; done");
    let pid = host.sh("ss -ltnp 'sport = :443' | grep -o 'pid=[0-9]*' | head -1 | cut -d= -f2");
    assert_check(&host, "port", "", ("fail", &format!("port 443 is in use by python3 (pid {pid})")));
    host.sh("systemctl stop holder");
    assert_check(&host, "port", "", ("pass", "port 443 is free"));

    host.sh(UNATTENDED);
    assert_check(&host, "version-path", "", ("pass", " to 6."));
    assert_check(&host, "port", "", ("pass", "port 443 is the product's own: server (pid "));
    assert_check(&host, "open-files", "", ("pass", "65536 at most: LimitNOFILE of demisto.service"));
    host.sh("mkdir /etc/systemd/system/demisto.service.d && printf '[Service]\\nLimitNOFILE=1024:4096\\n' \
             > /etc/systemd/system/demisto.service.d/few.conf && systemctl daemon-reload");
    assert_check(&host, "open-files", "", ("warn", "4096 at most: LimitNOFILE of demisto.service"));
    let ids = host.sh("echo $(id -u demisto) $(id -g demisto)");
    let (uid, gid) = ids.split_once(' ').unwrap();
    assert_check(&host, "account", "", ("pass", &format!("user {uid}, group {gid}")));
    let expect = format!("--expect-uid {uid} --expect-gid {gid}");
    assert_check(&host, "account-ids", &expect, ("pass", &format!("user {uid}, group {gid}")));
    assert_check(&host, "account-ids", "--expect-uid 4711", ("fail", "not 4711"));
    host.sh("usermod --shell /bin/bash demisto");
    assert_check(&host, "account", "", ("warn", "login shell /bin/bash"));
}

/// Nothing is changed on a host that is not fit; an engine is judged like a server.
#[test]
fn a_host_that_is_not_fit_is_left_as_it_is() {
    let host = Container::up("unfit");
    Bundle::server(None).put(&host);
    host.sh("mount -t tmpfs -o noexec,mode=755 tmpfs /usr/local; mount --bind /var/log /var/log; \
             mount -o remount,bind,ro /var/log");
    let before = host.sh("ls -A /usr/local /var/lib /etc; cat /etc/passwd");
    let output = host.run(&["bash", "-c", UNATTENDED]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("mount-tree: ") && text.contains("mount-logs: "), "{text}");
    assert_eq!(host.sh("ls -A /usr/local /var/lib /etc; cat /etc/passwd"), before);
    let plan = host.run(&["/root/demisto-install", "plan", "--answers", "/root/answers.json"]);
    assert_eq!(plan.status.code(), Some(4));
    host.sh("umount /usr/local; umount /var/log");
    let output = host.run(&["bash", "-c", UNATTENDED]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    // Debian is not among the vendor's systems
    assert!(text.contains("of this host warn: `demisto-install preflight --only os"), "{text}");
}
