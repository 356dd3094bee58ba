//! The checks: what each is called, how bad it is at worst, what has to be so, why, and what helps.

use super::Severity::{Error, Warning};
use super::{Check, Facts, Severity, Verdict};
use super::{accounts, change, containers, machine, places, sizes, system};

type Judge = fn(&Facts) -> Verdict;

const fn check(
    (id, severity): (&'static str, Severity),
    what: &'static str,
    why: &'static str,
    fix: &'static str,
    function: Judge,
) -> Check<Facts> {
    Check { id, severity, what, why, fix, function }
}

/// Those that stop `install` and `upgrade` before anything is changed: they decide whether the product can work
/// there and whether a change can be undone. None of them asks the network or starts another program.
pub const DECISIVE: &[&str] =
    &["architecture", "mount-tree", "mount-data", "mount-state", "mount-logs", "inodes", "account"];

/// Those that `install` and `upgrade` run besides, and only tell: nobody says there what the host is for, so that
/// the operating system does not fail either.
pub const ADVISORY: &[&str] = &["os", "kernel", "selinux", "fapolicyd", "clock"];

/// All checks, in the order in which they are shown.
pub const CHECKS: &[Check<Facts>] = &[
    // sizes
    check(
        ("cpu-cores", Error),
        "8 processors for dev, 16 for production",
        "the vendor supports no less; playbooks wait for processors otherwise",
        "give the machine more processors",
        sizes::processors,
    ),
    check(
        ("memory", Error),
        "16 GiB of memory for dev, 32 for production",
        "the vendor supports no less; the server is ended when memory runs out",
        "give the machine more memory",
        sizes::memory,
    ),
    check(
        ("disk", Error),
        "500 GB of disk for dev, 1 TB for production, 100 GB for an engine",
        "incidents, artifacts and indexes grow, and a full disk stops the server",
        "give the machine a larger disk (SSD, 3000 IOPS)",
        sizes::disk,
    ),
    check(
        ("disk-var", Error),
        "/var with 450 GB for dev, 900 GB for production, 50 GB for an engine",
        "data, logs and container images are below it",
        "enlarge the file system of /var",
        sizes::var,
    ),
    check(
        ("disk-data", Error),
        "/var/lib/demisto with 200 GB for dev, 1 TB for production, where it has a file system of its own",
        "all data of the server are in it",
        "enlarge the file system of /var/lib/demisto",
        sizes::data,
    ),
    check(
        ("disk-containers", Error),
        "70 GB for dev and 150 GB for production for container images: /var/lib/docker, or the home of demisto with Podman; for an engine 50 GB, or 150 GB with Podman",
        "integrations run in images, of which there are many",
        "enlarge that file system, or move the images to a larger one",
        sizes::containers,
    ),
    check(
        ("disk-tmp", Error),
        "/tmp with 10 GB",
        "the product unpacks files there",
        "enlarge the file system of /tmp",
        sizes::temporary,
    ),
    // the operating system
    check(
        ("os", Error),
        "an operating system that the vendor supports",
        "the vendor helps on no other, and tries the product on no other",
        "use RHEL 8 to 10, Rocky 9.5 or 9.6, Oracle Linux 7, 8.9, 9.3 or 9.4, Ubuntu 18.04 to 24.04, or Amazon Linux 2 or 2023",
        system::release,
    ),
    check(
        ("architecture", Error),
        "a processor of type x86_64",
        "the product is made for no other",
        "use another machine",
        system::architecture,
    ),
    check(
        ("kernel", Warning),
        "a kernel that keeps registers when signals arrive: not 5.2 to 5.3.14, nor 5.4 before 5.4.2",
        "programs written in Go, as the product is, crash or go wrong there",
        "update the kernel to 5.3.15, 5.4.2, 5.5 or newer; a distribution may have corrected it in an older number",
        system::kernel,
    ),
    check(
        ("systemd", Error),
        "systemd 219 or newer as the service manager",
        "the services are units of systemd",
        "start the system with systemd; `demisto-install install --no-start` lays the product out without it",
        system::systemd,
    ),
    // file systems
    check(
        ("mount-tree", Error),
        "the file system of /usr/local/demisto can be written and run from, is on this machine, and is not mounted just there",
        "the release is run from there and exchanged in one step; with nosuid a capability of the program does not count, so that low ports are closed to it",
        "mount that file system with rw,exec,suid, or leave the directory to the file system of /usr/local",
        places::tree,
    ),
    check(
        ("mount-data", Error),
        "the file system of /var/lib/demisto can be written and keeps what it is given; on the network only where servers share it",
        "the server writes its data there, and runs tools that it keeps there",
        "mount a local file system with rw,exec on /var/lib/demisto",
        places::data,
    ),
    check(
        ("mount-state", Error),
        "the file system of /var/lib/demisto-install can be written, keeps what it is given, and is on this machine",
        "journal, receipts and the release before are there: without them no change can be undone",
        "mount a local file system with rw on /var/lib",
        places::state,
    ),
    check(
        ("mount-logs", Error),
        "the file system of /var/log/demisto can be written and keeps what it is given",
        "the server does not start without its log, and one in memory is lost when it is needed",
        "mount a local file system with rw on /var/log",
        places::logs,
    ),
    check(
        ("mount-tmp", Error),
        "/tmp can be written and run from",
        "the vendor's own installers and the upgrades of engines are unpacked and run there",
        "mount /tmp with rw,exec, or set XSOAR_ENGINE_AUTO_UPGRADE_TMP_DIR of the engines; this program runs nothing from /tmp",
        places::temporary,
    ),
    check(
        ("mount-payload", Warning),
        "FILE lies on a file system of this machine that can be run from",
        "with noexec it cannot be called itself; what another machine serves can change while it is read",
        "copy it to a local file system, such as below /root",
        places::payload,
    ),
    check(
        ("inodes", Error),
        "names are free where the product makes files",
        "a file system that is out of them is full, whatever room it has",
        "remove small files there, or make the file system again with more inodes",
        places::inodes,
    ),
    // security
    check(
        ("selinux", Warning),
        "where SELinux enforces, there are rules for containers",
        "without them it refuses containers the files of integrations",
        "install the package container-selinux (2.144 or newer)",
        machine::selinux,
    ),
    check(
        ("fapolicyd", Warning),
        "where fapolicyd runs, its rules or trusted files name /usr/local/demisto",
        "it ends programs that it does not know, such as those of the product's own git",
        "`fapolicyd-cli --file add /usr/local/demisto/ --trust-file demisto` and `fapolicyd-cli --update`, after each upgrade too",
        machine::fapolicyd,
    ),
    check(
        ("umask", Warning),
        "a umask under which others can read what you make, such as 022",
        "a certificate, licence or configuration that you copy to the product by hand belongs to root, and the service could not read it; what this program makes has its own modes",
        "call `umask 022` before you copy files by hand, or give them to demisto with chown",
        machine::umask,
    ),
    check(
        ("open-files", Warning),
        "a service may have 65536 files open",
        "the server has a file or connection open for each index, client and engine",
        "raise the hard limit: LimitNOFILE of the unit (`systemctl edit demisto`), or DefaultLimitNOFILE in /etc/systemd/system.conf where the unit sets none; where systemd does not start the service, nofile in /etc/security/limits.d",
        machine::open_files,
    ),
    // accounts
    check(
        ("account", Error),
        "the account demisto is absent, or is a local one without a login shell and with its own group and home",
        "the service runs with it and never as root; nobody has to log in with it",
        "usermod --shell /usr/sbin/nologin --home /var/lib/demisto --gid demisto demisto",
        accounts::account,
    ),
    check(
        ("account-ids", Error),
        "the account demisto has the numbers of --expect-uid and --expect-gid",
        "servers that share /var/lib/demisto know each other's files by numbers",
        "make it before the installation: groupadd --system --gid GID demisto && useradd --system --uid UID --gid demisto --no-create-home --home-dir /var/lib/demisto --shell /usr/sbin/nologin demisto",
        accounts::numbers,
    ),
    // the network
    check(
        ("port", Error),
        "the HTTPS port is free, or the product's own",
        "the server cannot listen on a port that another program has",
        "stop that program, or choose another port",
        machine::port,
    ),
    check(
        ("clock", Warning),
        "the clock is synchronised",
        "certificates, licences and connections of engines (websocket: bad handshake) are judged by it",
        "switch time synchronisation on: `timedatectl set-ntp true`, or set chronyd up",
        machine::clock,
    ),
    check(
        ("own-name", Error),
        "localhost and the host's own name resolve",
        "engines connect to the server by its name, and `dial tcp: lookup localhost` stops services",
        "enter them into /etc/hosts or the name server",
        machine::names,
    ),
    check(
        ("proxy", Warning),
        "proxies are the same in /etc/environment and in /etc/profile or /etc/profile.d, as URLs",
        "services read the one, logins the other",
        "set http_proxy and https_proxy in both, such as http://proxy.example.org:3128",
        machine::proxy,
    ),
    check(
        ("ip-forwarding", Warning),
        "the kernel forwards IPv4",
        "containers reach the network through it",
        "sysctl -w net.ipv4.ip_forward=1, and the same in /etc/sysctl.d",
        machine::forwarding,
    ),
    // containers and tools
    check(
        ("container-engine", Error),
        "docker or podman, or the one of them that the configuration names, is here and answers the account demisto",
        "most integrations run in containers",
        "install docker or podman; `usermod -aG docker demisto` lets the account use docker",
        containers::engine,
    ),
    check(
        ("subordinate-ids", Error),
        "with Podman, demisto has 65536 subordinate user and group ids",
        "containers of an ordinary user get their users out of these",
        "enter demisto:200000:65536 into /etc/subuid and /etc/subgid, and call `podman system migrate` as demisto",
        accounts::sub_ids,
    ),
    check(
        ("git", Warning),
        "the system's git, if there is one, is 2.21 or newer",
        "content is kept with git, and the product takes the system's where it was told to",
        "update git, or leave the product its own",
        containers::git,
    ),
    check(
        ("swap", Warning),
        "memory is not swapped to a disk",
        "a database that waits for swapped memory is slower than one with less memory",
        "swapoff -a, and remove the swap from /etc/fstab",
        machine::swap,
    ),
    // what FILE would change
    check(
        ("version-path", Error),
        "the release of FILE is not lower than the installed one, and says that it may take its place; two minor versions forward at most are supported",
        "data are moved from form to form, and the vendor supports two versions at once",
        "upgrade in steps: first to a release that is at most two minor versions above the installed one",
        change::path,
    ),
    check(
        ("space-release", Error),
        "there is room for the release of FILE beside the installed one",
        "the new tree is laid out while the old one runs",
        "make room on the file system of /usr/local",
        change::room,
    ),
    check(
        ("space-snapshot", Error),
        "there is room for a snapshot of the data",
        "without it the data cannot go back with the release",
        "name another place: `demisto-install upgrade FILE --snapshot-dir DIR`",
        change::snapshot,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_and_unique() {
        let mut ids: Vec<&str> = CHECKS.iter().map(|check| check.id).collect();
        assert!(ids.iter().all(|id| id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
        let severity = |id: &&str| CHECKS.iter().find(|check| check.id == *id).unwrap().severity;
        assert!(DECISIVE.iter().all(|id| severity(id) == Error), "{DECISIVE:?}");
        assert!(ADVISORY.iter().all(|id| *id == "os" || severity(id) == Warning), "{ADVISORY:?}");
        ids.sort_unstable();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }
}
