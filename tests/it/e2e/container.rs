//! The containers themselves: when these fail, failures of the other end-to-end tests mean nothing.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::container::Container;

#[test]
fn a_command_runs_inside_and_its_exit_status_comes_back() {
    let machine = Container::up("command");

    assert_eq!(machine.sh("cat /proc/1/comm; hostname"), format!("systemd\n{}", machine.name()));
    assert_eq!(machine.run(&["sh", "-c", "exit 7"]).status.code(), Some(7));
    let echoed = machine.run_with_input(&["cat"], &vec![b'x'; 1 << 20]);
    assert_eq!(echoed.stdout.len(), 1 << 20);
}

#[test]
fn files_go_in_and_out_with_their_modes() {
    let machine = Container::up("files");
    let here = tempfile::tempdir().unwrap();
    let (sent, came_back) = (here.path().join("sent"), here.path().join("came-back"));
    std::fs::write(&sent, vec![7; 3 << 20]).unwrap();
    std::fs::set_permissions(&sent, Permissions::from_mode(0o740)).unwrap();

    machine.put(&sent, "/opt/new/file");
    machine.get("/opt/new/file", &came_back);

    assert_eq!(machine.sh("stat -c '%a %U' /opt/new/file"), "740 root");
    assert_eq!(std::fs::read(&came_back).unwrap(), vec![7; 3 << 20]);
    assert_eq!(came_back.metadata().unwrap().permissions().mode() & 0o777, 0o740);
}

#[test]
fn a_service_and_the_disk_survive_sudden_death_and_reboot() {
    let machine = Container::up("reboot");
    machine.sh("printf '[Service]\nExecStart=/bin/sleep 1000\n[Install]\nWantedBy=multi-user.target\n' \
         >/etc/systemd/system/long.service && systemctl enable --now long");

    let first = machine.sh("cat /proc/sys/kernel/random/boot_id");

    machine.kill9();
    machine.start();
    let second = machine.sh("systemctl -q is-active long && cat /proc/sys/kernel/random/boot_id");
    machine.reboot();
    let third = machine.sh("systemctl -q is-active long && cat /proc/sys/kernel/random/boot_id");

    assert!(first != second && second != third);
}

#[test]
fn two_machines_share_nothing_but_the_wire() {
    let (one, two) = (Container::up_at("one", "10.77.0.101"), Container::up_at("two", "10.77.0.102"));
    one.sh("touch /etc/mine");

    assert!(!two.run(&["test", "-e", "/etc/mine"]).status.success());
    // 7: reached, and nobody listens there.
    let call = two.run(&["curl", "-s", "--max-time", "5", "http://10.77.0.101:9/"]);
    assert_eq!(call.status.code(), Some(7));
}

#[test]
fn a_program_inside_can_ask_at_a_terminal() {
    let machine = Container::up("terminal");
    let asks = "read -rsp 'Secret: ' s </dev/tty; echo; echo ${#s} letters";

    let mut session = machine.ask(&["bash", "-c", asks]);
    session.exp_string("Secret: ").unwrap();
    session.send_line("hunter42").unwrap();
    let echoed = session.exp_string("8 letters").unwrap();

    assert!(!echoed.contains("hunter42"));
}
