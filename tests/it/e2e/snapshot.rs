//! Snapshots of a service at work.

use super::bundle::{Bundle, PASSWORD};
use crate::support::container::Container;

const UNATTENDED: &str =
    "/root/demisto-install install --answers /root/answers.json --admin-password-file /root/password";
const TOOL: &str = "/root/demisto-install";

/// The service runs, and knows the administrator: that is in its data.
fn serves(host: &Container) {
    assert_eq!(host.sh("systemctl is-active demisto"), "active");
    let url = "https://localhost/login";
    let form = format!("user=admin&password={PASSWORD}");
    let command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--data-binary", "@-"];
    let command: Vec<&str> =
        command.into_iter().chain(["--cacert", "/usr/local/demisto/cert.pem", url]).collect();
    assert_eq!(host.run_with_input(&command, form.as_bytes()).stdout, b"200");
}

fn id_of(host: &Container) -> String {
    host.sh("ls /var/lib/demisto-install/snapshots | sort | head -1")
}

#[test]
fn data_of_a_service_at_work_go_back_and_forth() {
    let host = Container::up("snapshot");
    Bundle::server(None).put(&host);
    host.sh(UNATTENDED);
    // whoever has the service's account may be there all the time, and put names in the way
    host.sh("runuser -u demisto -- bash -c '
            cd /var/lib/demisto; mkdir .demisto-install-new .demisto-install-trash; ln -s /etc/shadow shadow
            mkfifo pipe; (exec setsid sleep 1000) >/dev/null 2>&1 &'");
    host.sh(&format!("{TOOL} snapshot create"));
    serves(&host);
    let (id, owners) = (id_of(&host), "find /var/lib/demisto -printf '%u:%g %m %P %y\\n' | sort | sha256sum");
    host.sh(&format!("{TOOL} snapshot verify {id}"));
    let before = host.sh(owners);
    host.sh("runuser -u demisto -- bash -c 'echo later > /var/lib/demisto/later; rm /var/lib/demisto/pipe'");
    host.sh(&format!("{TOOL} snapshot restore {id} --yes"));
    serves(&host);
    assert_eq!(host.sh(owners), before);
    assert_eq!(
        host.sh("stat -c '%U:%G %a' /var/lib/demisto; stat -c %a /etc/shadow"),
        "demisto:demisto 750\n640"
    );
    assert_eq!(host.sh("ls -A /var/lib | grep -c demisto-install$"), "1", "nothing lies about");
    assert!(host.sh(&format!("{TOOL} status --output json")).contains("\"drift\":[]"));
}

#[test]
fn a_service_runs_again_after_a_snapshot_was_cut_off() {
    let host = Container::up("cut-off");
    Bundle::server(None).put(&host);
    host.sh(UNATTENDED);
    host.sh(&format!("{TOOL} snapshot create"));
    let id = id_of(&host);
    host.sh("runuser -u demisto -- bash -c 'echo later > /var/lib/demisto/later'");
    for verb in ["create", &format!("restore {id} --yes")] {
        host.sh("rm -f /root/points");
        let copy = "rm -rf /root/data; cp -a /var/lib/demisto /root/data";
        host.sh(copy);
        host.sh(&format!("DEMISTO_INSTALL_FAULT_LOG=/root/points {TOOL} snapshot {verb}"));
        let points: usize = host.sh("wc -l < /root/points").parse().unwrap();
        for point in (5..points).step_by(points / 7) {
            host.sh("echo later > /var/lib/demisto/later");
            let command = format!("DEMISTO_INSTALL_FAULT_AT={point} {TOOL} snapshot {verb}");
            let output = host.run(&["bash", "-c", &command]);
            assert!(!output.status.success(), "{verb}: point {point} was not reached");
            host.sh(&format!("{TOOL} recover"));
            host.sh(&format!("{TOOL} wait-ready --timeout 20"));
            serves(&host);
            let later = host.sh("cat /var/lib/demisto/later 2>/dev/null || echo none");
            assert!(later == "later" || (verb != "create" && later == "none"), "{verb}: point {point}");
            let names = host.sh("ls -A /var/lib /var/lib/demisto-install/snapshots | grep '^\\.' || true");
            assert_eq!(names, "", "{verb}: point {point}");
        }
    }
}
