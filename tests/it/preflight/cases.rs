//! For each check a state of the machine that passes and one that does not, as scripts of bash: see the prelude.
//! At the end of each is the call whose verdict counts.

/// A check with its two states.
#[derive(Debug)]
pub(super) struct Case {
    /// The check.
    pub(super) id: &'static str,
    /// Makes the state that passes.
    pub(super) good: &'static str,
    /// What is seen then.
    pub(super) seen: &'static str,
    /// Makes the state that does not.
    pub(super) bad: &'static str,
    /// The verdict, and what is seen then.
    pub(super) found: (&'static str, &'static str),
    /// Whether a state is shown in place of the machine's own, because it cannot be made.
    pub(super) fed: bool,
}

const fn case(
    id: &'static str,
    good: (&'static str, &'static str),
    bad: (&'static str, (&'static str, &'static str)),
) -> Case {
    Case { id, good: good.0, seen: good.1, bad: bad.0, found: bad.1, fed: false }
}

const fn fed(case: Case) -> Case {
    Case { fed: true, ..case }
}

/// What `uname` of a kernel 5.3.1 answers.
const UNAME: &str = "strace -qq -o /dev/null -f -e inject=uname:poke_exit=@arg1=4c696e7578000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000766d000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000352e332e312d6663000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000233120534d5000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000007838365f36340000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000286e6f6e65290000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000 \"$P\" preflight --output json --only \"$ID\"";

/// All, in the order of the checks.
pub(super) const CASES: &[Case] = &[
    fed(case(
        "cpu-cores",
        (
            "strace -qq -o /dev/null -e inject=sched_getaffinity:retval=8:poke_exit=@arg3=ffff000000000000 \"$P\" preflight --output json --only \"$ID\" --profile production",
            "16 processors",
        ),
        (
            "taskset -c 0 \"$P\" preflight --output json --only \"$ID\" --profile dev",
            ("fail", "1 processors; dev needs 8"),
        ),
    )),
    fed(case(
        "memory",
        ("file /proc/meminfo <<< 'MemTotal: 32600000 kB'; look --profile production", "31835 MiB"),
        (
            "file /proc/meminfo <<< 'MemTotal: 12000000 kB'; look --profile dev",
            ("fail", "11718 MiB of memory; dev needs 16 GiB"),
        ),
    )),
    case(
        "disk",
        ("disk var 1200G /var; look --profile production", "production needs 1000 GB"),
        (
            "disk all 1G /var; for d in /usr/local /home /tmp; do mount --bind /var $d; done; look --profile dev",
            ("fail", "dev needs 500 GB"),
        ),
    ),
    case(
        "disk-var",
        ("disk var 1200G /var; look --profile production", "on /var; production needs 900 GB"),
        ("disk var 300G /var; look --profile dev", ("fail", "/var is 29")),
    ),
    case(
        "disk-data",
        (
            "disk var 10G /var; mkdir -p /var/lib/demisto; disk data 210G /var/lib/demisto; look --profile dev",
            "dev needs 200 GB",
        ),
        (
            "disk var 10G /var; mkdir -p /var/lib/demisto; disk data 210G /var/lib/demisto; look --profile production",
            ("fail", "production needs 1000 GB"),
        ),
    ),
    case(
        "disk-containers",
        ("account 988 988 /home/demisto; disk home 80G /home; look --profile dev", "/home/demisto is"),
        (
            "account 988 988 /home/demisto; disk home 80G /home; look --profile production",
            ("fail", "production needs 150 GB"),
        ),
    ),
    case(
        "disk-tmp",
        ("disk tmp 11G /tmp; look --profile dev", "/tmp is"),
        ("disk tmp 5G /tmp; look --profile dev", ("fail", "dev needs 10 GB")),
    ),
    case(
        "os",
        (
            "file /usr/lib/os-release <<< $'ID=\"rhel\"\\nVERSION_ID=\"8.10\"\\nPRETTY_NAME=\"RHEL 8.10\"'; look --profile production",
            "RHEL 8.10 is supported",
        ),
        (
            "file /usr/lib/os-release <<< $'ID=\"centos\"\\nVERSION_ID=\"7\"\\nPRETTY_NAME=\"CentOS Linux 7\"'; look --profile dev",
            ("fail", "CentOS Linux 7 is not supported"),
        ),
    ),
    case(
        "architecture",
        ("look", "x86_64"),
        ("setarch i686 \"$P\" preflight --output json --only \"$ID\"", ("fail", "i686")),
    ),
    fed(case("kernel", ("look", ""), (UNAME, ("warn", "5.3.1-fc")))),
    // that it runs is shown on a machine that was booted by it
    fed(case(
        "systemd",
        ("mount -t tmpfs none /run; mkdir -p /run/systemd/system; look", "systemd 2"),
        ("mount -t tmpfs none /run; look", ("fail", "not the service manager")),
    )),
    case(
        "mount-tree",
        ("disk tree 20M /usr/local; look", "ext4 on /usr/local"),
        ("mount -t tmpfs -o noexec,mode=755 none /usr/local; look", ("fail", "is mounted noexec")),
    ),
    case(
        "mount-data",
        ("disk data 20M /var/lib; look", "ext4 on /var/lib"),
        (
            "mount -t tmpfs none /var/lib; mkdir /var/lib/demisto; look",
            ("fail", "tmpfs on /var/lib lies in memory"),
        ),
    ),
    case(
        "mount-state",
        ("disk state 20M /var/lib; look", "ext4 on /var/lib"),
        ("disk state 20M /var/lib ro; look", ("fail", "is mounted read-only")),
    ),
    case(
        "mount-logs",
        ("disk logs 20M /var/log; look", "ext4 on /var/log"),
        ("disk logs 20M /var/log; mount -o remount,bind,ro /var/log; look", ("fail", "is mounted read-only")),
    ),
    case(
        "mount-tmp",
        ("disk tmp 20M /tmp; look", "ext4 on /tmp"),
        ("disk tmp 20M /tmp ro; look", ("fail", "is mounted read-only")),
    ),
    case(
        "mount-payload",
        (
            "mkdir $W/dir; disk dir 100M $W/dir; cp \"$SMALL\" $W/dir/file; look $W/dir/file --key \"$KEY\"",
            "/dir/file: ext4 on",
        ),
        (
            "mkdir $W/dir; disk dir 100M $W/dir noexec; cp \"$SMALL\" $W/dir/file; look $W/dir/file --key \"$KEY\"",
            ("warn", "is mounted noexec"),
        ),
    ),
    case(
        "inodes",
        ("disk tree 20M /usr/local rw '-N 4000'; look", "free on /usr/local"),
        ("disk tree 20M /usr/local rw '-N 64'; look", ("fail", "on /usr/local, 100 are needed")),
    ),
    fed(case(
        "selinux",
        ("mount -t tmpfs none /sys/fs; look", "it is off"),
        (
            "mount -t tmpfs none /sys/fs; mkdir -p /sys/fs/selinux; echo -n 1 > /sys/fs/selinux/enforce; look",
            ("warn", "no rules for containers"),
        ),
    )),
    fed(case(
        "fapolicyd",
        (
            "etc; mkdir -p /etc/fapolicyd/trust.d; echo '/usr/local/demisto/server 1 ab' > /etc/fapolicyd/trust.d/demisto; cp /bin/sleep $W/fapolicyd; $W/fapolicyd 60 & sleep 0.2; look",
            "its rules name the product",
        ),
        (
            "etc; cp /bin/sleep $W/fapolicyd; $W/fapolicyd 60 & sleep 0.2; look",
            ("warn", "no rule names the product"),
        ),
    )),
    case("umask", ("umask 022; look", "022"), ("umask 077; look", ("warn", "077"))),
    fed(case(
        "open-files",
        (
            "mount -t tmpfs none /run; strace -qq -o /dev/null -e inject=prlimit64:poke_exit=@arg4=00000100000000000000010000000000 \"$P\" preflight --output json --only \"$ID\"",
            "65536 at most",
        ),
        (
            "mount -t tmpfs none /run; prlimit --nofile=1024:4096 \"$P\" preflight --output json --only \"$ID\"",
            ("warn", "4096 at most"),
        ),
    )),
    case(
        "account",
        ("account; look", "user 988, group 988"),
        ("account 0; look", ("fail", "has root's number")),
    ),
    case(
        "account-ids",
        (
            "account 990 991 /home/demisto /bin/false 991; look --expect-uid 990 --expect-gid 991",
            "user 990, group 991",
        ),
        (
            "account 990 991 /home/demisto /bin/false 991; look --expect-uid 990 --expect-gid 990",
            ("fail", "the group demisto has 991, not 990"),
        ),
    ),
    case(
        "port",
        ("look --port 8443", "port 8443 is free"),
        (
            "openssl s_server -quiet -accept 8443 -cert \"$CERT\" -key \"$CERT_KEY\" > /dev/null & for i in {1..50}; do ss -ltn | grep -q 8443 && break; sleep 0.1; done; look --port 8443",
            ("fail", "port 8443 is in use by openssl (pid "),
        ),
    ),
    fed(case(
        "clock",
        (
            "strace -qq -o /dev/null -e inject=adjtimex,clock_adjtime:retval=0 \"$P\" preflight --output json --only \"$ID\"",
            "it is synchronised",
        ),
        (
            "strace -qq -o /dev/null -e inject=adjtimex,clock_adjtime:retval=5 \"$P\" preflight --output json --only \"$ID\"",
            ("warn", "it is not synchronised"),
        ),
    )),
    case(
        "own-name",
        (
            "etc; hostname soar.example.test; echo '127.0.0.1 localhost' > /etc/hosts; echo '192.0.2.7 soar.example.test' >> /etc/hosts; echo 'hosts: files' > /etc/nsswitch.conf; look",
            "soar.example.test is 192.0.2.7",
        ),
        (
            "etc; : > /etc/hosts; echo 'hosts: files' > /etc/nsswitch.conf; look",
            ("fail", "localhost does not resolve"),
        ),
    ),
    case(
        "proxy",
        (
            "etc; echo 'https_proxy=http://proxy.test:3128' | tee /etc/environment > /etc/profile; look",
            "https_proxy=http://proxy.test:3128",
        ),
        (
            "etc; echo 'https_proxy=http://proxy.test:3128' > /etc/environment; echo > /etc/profile; look",
            ("warn", "is set in /etc/environment, not in /etc/profile"),
        ),
    ),
    case(
        "ip-forwarding",
        ("echo 1 > /proc/sys/net/ipv4/ip_forward; look", "it is on"),
        ("echo 0 > /proc/sys/net/ipv4/ip_forward; look", ("warn", "it is off")),
    ),
    case(
        "container-engine",
        (
            "account 988 988 /home/demisto; echo demisto:200000:65536 | tee /etc/subuid > /etc/subgid; mount -t tmpfs none /home; mkdir /home/demisto; chown 988:988 /home/demisto; look",
            "podman ",
        ),
        (
            "account 988 988 /home/demisto; echo demisto:200000:65536 | tee /etc/subuid > /etc/subgid; mount -t tmpfs none /home; mkdir /home/demisto; look",
            ("fail", "podman does not answer"),
        ),
    ),
    case(
        "subordinate-ids",
        (
            "account; echo demisto:200000:65536 | tee /etc/subuid > /etc/subgid; look",
            "65536 user ids and 65536 group ids",
        ),
        (
            "account; : > /etc/subuid; echo demisto:200000:65536 > /etc/subgid; look",
            ("fail", "0 user ids and 65536 group ids"),
        ),
    ),
    fed(case(
        "git",
        ("look", "2."),
        (
            "printf '#!/bin/sh\\necho git version 1.8.3.1\\n' > $W/git; chmod 755 $W/git; mount --bind $W/git /usr/bin/git; look",
            ("warn", "1.8.3.1"),
        ),
    )),
    fed(case(
        "swap",
        ("file /proc/swaps <<< 'Filename Type Size Used Priority'; look", "it is off"),
        (
            "file /proc/swaps <<< $'Filename Type Size Used Priority\\n/dev/sda2 partition 1 0 -2'; look",
            ("warn", "it is on: /dev/sda2"),
        ),
    )),
    case(
        "version-path",
        ("look --root \"$INSTALLED\" --key \"$KEY\" \"$NEXT\"", "6.14.0 to 6.14.1"),
        ("look --root \"$INSTALLED\" --key \"$KEY\" \"$FAR\"", ("fail", "replaces versions 6.18")),
    ),
    case(
        "space-release",
        ("look --root \"$INSTALLED\" --key \"$KEY\" \"$NEXT\"", "are needed in /usr/local/demisto"),
        (
            "mkdir $W/root; disk root 40M $W/root; look --root $W/root --key \"$KEY\" \"$SMALL\"",
            ("fail", "are needed in /usr/local/demisto"),
        ),
    ),
    case(
        "space-snapshot",
        ("look --root \"$INSTALLED\" --key \"$KEY\" \"$FORM\"", "are needed in"),
        (
            "mkdir $W/root; disk root 64M $W/root; cp -a \"$LARGE\"/. $W/root; look --root $W/root --key \"$KEY\" \"$FORM\"",
            ("fail", "are needed in"),
        ),
    ),
];
