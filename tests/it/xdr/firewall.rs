//! Ports that are held, and rules of the kernel's firewall: what the checks say, and what a peer in a network namespace of
//! its own meets.

use std::fmt::Write as _;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};

use super::Access;
use crate::support::installer::{PROGRAM, said, summary};

#[test]
fn ports_are_free_or_somebodys() {
    let only = ["--only", "p2p-tcp,p2p-udp"];
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let me = std::process::id().to_string();
    for (port, held, free) in [
        (tcp.local_addr().unwrap().port(), "p2p-tcp", "p2p-udp"),
        (udp.local_addr().unwrap().port(), "p2p-udp", "p2p-tcp"),
    ] {
        let port = port.to_string();
        let found = Access::ask(None, &[&only[..], &["--p2p-port", &port]].concat());
        assert_eq!(
            (found.code, found.status(held), found.status(free)),
            (4, "fail", "pass"),
            "{}",
            found.text
        );
        let seen = found.field(held, "seen");
        let program = std::env::current_exe().unwrap();
        for part in [&*port, &format!("process {me}"), program.to_str().unwrap()] {
            assert!(seen.contains(part), "{part}: {seen}");
        }
        assert!(found.field(held, "fix").contains("--p2p-port"));
    }
    let free = crate::cert_probe::free_port().to_string();
    let found = Access::ask(None, &[&only[..], &["--p2p-port", &free]].concat());
    assert_eq!((found.code, found.with("pass").len()), (0, 2), "{}", found.text);
}

#[test]
fn in_another_root_ports_and_firewalls_are_not_looked_at() {
    let root = super::root(&[]);
    let ids = "p2p-tcp,p2p-udp,firewall-tcp,firewall-udp";
    let found = Access::ask(Some(root.path()), &["--only", ids]);
    assert_eq!((found.code, found.with("skipped").len()), (0, 4), "{}", found.text);
}

/// Runs a script in mount and network namespaces of its own.
fn apart(script: &str, dir: &Path) -> String {
    let output = Command::new("unshare")
        .args([
            "--mount",
            "--net",
            "--propagation",
            "private",
            "bash",
            "-euo",
            "pipefail",
            "-c",
            script,
            "bash",
        ])
        .arg(PROGRAM)
        .arg(dir)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_agent_may_hold_the_port_as_root() {
    let dir = tempfile::tempdir().unwrap();
    // openssl's server in the place of the agent's service, over TCP and over UDP
    let script = r#"
        ip link set lo up
        mount -t tmpfs none /opt
        mkdir -p /opt/traps/bin
        cp /usr/bin/openssl /opt/traps/bin/pmd
        cp /usr/bin/openssl "$2/pmd"
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=a -keyout "$2/key" -out "$2/cert" 2>/dev/null
        try() {
            "$1" s_server "${@:2}" -accept 33221 -cert "$dir/cert" -key "$dir/key" -quiet </dev/null >/dev/null 2>&1 &
            until ss -Hlntu sport = 33221 | grep -q .; do sleep 0.05; done
            "$program" preflight --xdr --only p2p-tcp,p2p-udp --output json | tail -n 1 || true
            kill %% && wait || true
        }
        program=$1 dir=$2
        try /opt/traps/bin/pmd
        try /opt/traps/bin/pmd -dtls
        try "$2/pmd"
        printf '%s\n' '#!/bin/bash' "mount --bind '$dir/pmd' /opt/traps/bin/pmd" 'exec /opt/traps/bin/pmd "$@"' > "$dir/inner"
        printf '%s\n' '#!/bin/bash' "exec unshare -m bash '$dir/inner' \"\$@\"" > "$dir/forged"
        chmod 755 "$dir/forged"
        try "$dir/forged"
    "#;
    let told = apart(script, dir.path());
    let found: Vec<serde_json::Value> =
        told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |number: usize, check: usize| {
        let check = &found[number]["checks"][check];
        (check["status"].as_str().unwrap().to_owned(), check["seen"].as_str().unwrap().to_owned())
    };
    assert_eq!(found.len(), 4, "{told}");
    for (number, check) in [(0, 0), (1, 1)] {
        let (status, seen) = of(number, check);
        assert_eq!(status, "pass", "{told}");
        assert!(seen.contains("held by the agent (/opt/traps/bin/pmd, pmd, process "), "{seen}");
        assert!(of(number, 1 - check).1.contains("is free"), "{told}");
    }
    // the name alone is no proof
    assert_eq!(of(2, 0).0, "fail", "{told}");
    // nor is the path, which a mount in a namespace can give to any file
    let (status, seen) = of(3, 0);
    assert_eq!(status, "fail", "{told}");
    assert!(seen.contains("(/opt/traps/bin/pmd, which is not the file of that name here)"), "{seen}");
}

/// Rules, and what is said of TCP and UDP.
const RULES: &[(&str, &str, &str, &str)] = &[
    ("nothing", "", "pass", "pass"),
    (
        "policy drop",
        "table inet f { chain i { type filter hook input priority 0; policy drop; }; }",
        "fail",
        "fail",
    ),
    (
        "policy accept",
        "table inet f { chain i { type filter hook input priority 0; policy accept; }; }",
        "pass",
        "pass",
    ),
    (
        "one port",
        "table ip f { chain i { type filter hook input priority 0; policy drop; tcp dport 33221 accept; }; }",
        "pass",
        "fail",
    ),
    (
        "both protocols",
        "table inet f { chain i { type filter hook input priority 0; policy drop; meta l4proto { tcp, udp } th dport 33221 counter accept; }; }",
        "pass",
        "pass",
    ),
    (
        "a workstation",
        "table inet f { chain i { type filter hook input priority 0; policy drop; ct state vmap { established : accept, related : accept, invalid : drop }; iifname lo accept; icmp type echo-request accept; tcp dport { 22, 443 } accept; }; }",
        "fail",
        "fail",
    ),
    (
        "a range that is rejected",
        "table inet f { chain i { type filter hook input priority 0; tcp dport 33000-34000 reject with tcp reset; }; }",
        "fail",
        "pass",
    ),
    (
        "some peers",
        "table inet f { chain i { type filter hook input priority 0; policy drop; ip saddr 10.9.0.0/24 tcp dport 33221 accept; }; }",
        "warn",
        "fail",
    ),
    (
        "a jump and a map",
        "table inet f { chain s { tcp dport vmap { 22 : accept, 33221 : accept }; }; chain i { type filter hook input priority 0; policy drop; jump s; }; }",
        "pass",
        "fail",
    ),
    (
        "a named set",
        "table inet f { set ports { type inet_service; flags interval; elements = { 22, 33221-33222 }; }; chain i { type filter hook input priority 0; policy drop; tcp dport @ports accept; udp dport != @ports accept; }; }",
        "pass",
        "fail",
    ),
    (
        "two chains, of which the later drops",
        "table inet f { chain a { type filter hook input priority -5; accept; }; chain b { type filter hook input priority 5; udp dport 33221 drop; }; }",
        "pass",
        "fail",
    ),
    (
        "before routing",
        "table ip raw { chain p { type filter hook prerouting priority raw; udp dport 33221 drop; }; }",
        "pass",
        "fail",
    ),
    (
        "a limit",
        "table inet f { chain i { type filter hook input priority 0; policy drop; tcp dport 33221 limit rate 5/second accept; }; }",
        "warn",
        "fail",
    ),
    (
        "another card",
        "table inet f { chain i { type filter hook input priority 0; policy drop; iifname eth7 accept; }; }",
        "warn",
        "warn",
    ),
    (
        "flags that no first packet has",
        "table inet f { chain i { type filter hook input priority 0; tcp flags & (fin|syn) == fin|syn drop; tcp flags & (syn|rst) == syn|rst drop; }; }",
        "pass",
        "pass",
    ),
    (
        "first packets",
        "table inet f { chain i { type filter hook input priority 0; tcp flags & (fin|syn|rst|ack) == syn drop; }; }",
        "fail",
        "pass",
    ),
    (
        "new connections",
        "table inet f { chain i { type filter hook input priority 0; ct state established,related accept; ct state new drop; }; }",
        "fail",
        "fail",
    ),
    (
        "protocol and port in one set",
        "table inet f { chain i { type filter hook input priority 0; policy drop; meta l4proto . th dport { tcp . 22, udp . 33221 } accept; }; }",
        "fail",
        "pass",
    ),
    (
        "goto, jump and return",
        "table inet f { chain open { accept; }; chain back { return; }; chain i { type filter hook input priority 0; udp dport 33221 goto open; tcp dport 33221 jump back; log prefix \"x\" drop; }; }",
        "fail",
        "pass",
    ),
    (
        "IPv6 alone",
        "table ip6 f { chain i { type filter hook input priority 0; policy drop; }; }",
        "pass",
        "pass",
    ),
    (
        "the host's own addresses",
        "table inet f { chain i { type filter hook input priority 0; policy drop; fib daddr type local tcp dport 33221 accept; }; }",
        "pass",
        "fail",
    ),
    (
        "a comparison",
        "table inet f { chain i { type filter hook input priority 0; policy drop; tcp dport >= 33000 accept; udp dport < 33221 accept; }; }",
        "pass",
        "fail",
    ),
    (
        "flags in every spelling",
        "table inet f { chain i { type filter hook input priority 0; policy drop; tcp flags { fin, ack } accept; tcp flags != syn accept; tcp flags syn accept; }; }",
        "pass",
        "fail",
    ),
    (
        "the version of IP",
        "table inet f { chain i { type filter hook input priority 0; policy drop; meta nfproto ipv4 meta l4proto udp accept; meta nfproto ipv6 accept; }; }",
        "fail",
        "pass",
    ),
    (
        "another port",
        "table inet nat { chain p { type nat hook prerouting priority dstnat; tcp dport 33221 redirect to :9; }; }",
        "warn",
        "pass",
    ),
    (
        "a name from elsewhere",
        "table inet f { set peers { type ipv4_addr; flags dynamic, timeout; timeout 1m; }; chain i { type filter hook input priority 0; policy drop; ip saddr @peers accept; }; }",
        "warn",
        "warn",
    ),
];

/// Two hosts on a wire; the first has the rules and is asked, the second tries the port.
const WIRE: &str = r#"
    program=$1 dir=$2
    mount -t tmpfs none /run && mkdir /run/netns && ip netns add peer
    ip link add name near type veth peer name far netns peer
    ip addr add 10.9.0.1/24 dev near && ip link set near up && ip link set lo up
    ip -n peer addr add 10.9.0.2/24 dev far && ip -n peer link set far up
    openssl s_server -accept 33221 -nocert -quiet </dev/null >/dev/null 2>&1 &
    until ss -Hlnt sport = 33221 | grep -q .; do sleep 0.05; done
    # packets over UDP that came as far as a port with nobody behind it
    arrived() { awk '$1 == "Udp:" && $2 ~ /^[0-9]/ { print $3 }' /proc/net/snmp; }
    peer() { ip netns exec peer timeout 1 bash -c "$1" 2>/dev/null; }
    for rules in "$dir"/*.nft; do
        nft flush ruleset
        nft -f "$rules"
        said=$("$program" preflight --xdr --only firewall-tcp,firewall-udp --output json | tail -n 1) || true
        tcp=false udp=false
        peer ': >/dev/tcp/10.9.0.1/33221' && tcp=true
        before=$(arrived)
        peer 'echo x >/dev/udp/10.9.0.1/33221' || true
        for _ in 1 2 3 4; do
            (($(arrived) > before)) && udp=true && break
            sleep 0.05
        done
        printf '{"said": %s, "open": [%s, %s]}\n' "$said" "$tcp" "$udp"
    done
    kill %% || true
"#;

#[test]
fn what_is_said_of_rules_is_what_a_peer_meets_as_root() {
    let dir = tempfile::tempdir().unwrap();
    for (number, (_, rules, ..)) in RULES.iter().enumerate() {
        fs::write(dir.path().join(format!("{number:02}.nft")), rules).unwrap();
    }
    let told = apart(WIRE, dir.path());
    assert_eq!(told.lines().count(), RULES.len(), "{told}");
    let mut table = String::new();
    for ((name, _, tcp, udp), line) in RULES.iter().zip(told.lines()) {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        for (number, (protocol, wanted)) in [("TCP", tcp), ("UDP", udp)].into_iter().enumerate() {
            let check = &value["said"]["checks"][number];
            let (status, open) =
                (check["status"].as_str().unwrap(), value["open"][number].as_bool().unwrap());
            assert_eq!(status, *wanted, "{name}, {protocol}: {check}");
            match status {
                "pass" => assert!(open, "{name}, {protocol} is closed: {check}"),
                "fail" => assert!(!open, "{name}, {protocol} is open: {check}"),
                _ => {}
            }
            let _ = writeln!(
                table,
                "{name}, {protocol}: {status}, and a peer finds it {}",
                if open { "open" } else { "closed" }
            );
        }
    }
    summary("xdr-firewall", &table);
}

#[test]
fn without_a_tool_nobody_can_be_asked_as_root() {
    let dir = tempfile::tempdir().unwrap();
    let hide = r#"hide() { for tool; do
        for dir in /usr/sbin /usr/bin; do [ ! -e $dir/$tool ] || mount --bind /dev/null $dir/$tool; done
    done; }"#;
    let ask = r#""$1" preflight --xdr --only firewall-tcp"#;
    let told = apart(&format!("{hide}\nhide nft iptables firewall-cmd ufw\n{ask}"), dir.path());
    assert!(
        told.contains("no firewall found (looked for nft: not installed, iptables: not installed"),
        "{told}"
    );
    // iptables without nft, as on older hosts: the rules may be there
    let put = "mount -t overlay none /usr/sbin -o lowerdir=$2:/usr/sbin";
    std::fs::write(dir.path().join("iptables"), "").unwrap();
    let told = apart(&format!("{put}\n{hide}\nhide nft firewall-cmd ufw\n{ask}"), dir.path());
    assert!(
        told.contains("could not be decided: nft is not installed") && told.contains("iptables -S"),
        "{told}"
    );
    // nft that cannot be asked
    let script =
        format!("{hide}\nhide iptables firewall-cmd ufw\nmount --bind /usr/bin/false /usr/sbin/nft\n{ask}");
    let told = apart(&script, dir.path());
    assert!(told.contains("could not be decided") && told.contains("nft list ruleset"), "{told}");
}
