//! The main job on a booted systemd: ask, install, serve; and undo when the service does not come up.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use rexpect::session::PtySession;

use super::bundle::{Bundle, PASSWORD};
use crate::support::container::Container;

/// Everything that an installation may touch, but for this program's own state.
const DIGEST: &str = "cd /; { find etc usr/local var/lib/demisto var/log/demisto -path etc/demisto-install -prune -o \
     -not -name '*-' -not -name .pwd.lock -not -name subuid -not -name subgid -not -name shadow -not -name gshadow \
     -printf '%p %y %m %u %g %s %l\\n' 2>/dev/null || true; \
     cat etc/passwd etc/group; } | sort | sha256sum";
/// The same with every byte and time, for runs that must not change anything.
pub(super) const EVERY_BYTE: &str = "cd /; { find etc usr/local var/lib/demisto var/lib/demisto-install -printf '%p %y %m %u %g %s %T@ %l\\n'; \
     find etc usr/local var/lib/demisto-install -type f -exec sha256sum {} +; } | sort | sha256sum";
pub(super) const UNATTENDED: &str =
    "/root/demisto-install install --answers /root/answers.json --admin-password-file /root/password";

pub(super) fn status_of_login(host: &Container, port: u16, user: &str, password: &str) -> String {
    let url = format!("https://localhost:{port}/login");
    let form = format!("user={user}&password={password}");
    let command =
        ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", "/usr/local/demisto/cert.pem"];
    let command: Vec<&str> = command.into_iter().chain(["--data-binary", "@-", &url]).collect();
    String::from_utf8(host.run_with_input(&command, form.as_bytes()).stdout).unwrap()
}

pub(super) fn answer(session: &mut PtySession, question: &str, line: &str) {
    session.exp_string(question).unwrap_or_else(|e| panic!("{question}: {e}"));
    session.send_line(line).unwrap();
}

/// Answers all questions; leaves the session where the steps begin.
pub(super) fn guided(host: &Container, port: &str, user: &str) -> PtySession {
    let run = "TERM=xterm /root/demisto-install; echo $? > /root/exit";
    let mut session = host.ask(&["bash", "-c", run]);
    session.exp_string("ACKNOWLEDGMENT").unwrap();
    session.send("q").unwrap();
    session.flush().unwrap();
    answer(&mut session, "Do you accept the terms of the End User License Agreement?", "yes");
    answer(&mut session, "Server HTTPS Port:", port);
    answer(&mut session, "Enter name for admin user:", user);
    answer(
        &mut session,
        &format!("Enter password for user '{}'", if user.is_empty() { "admin" } else { user }),
        "admin",
    );
    answer(&mut session, "Enter password for user", PASSWORD);
    answer(&mut session, "Verify password:", PASSWORD);
    session.exp_string("Plan digest:").unwrap();
    answer(&mut session, "Is this configuration OK?", "yes");
    answer(&mut session, "Start the server?", "yes");
    session
}

#[test]
fn guided_install_serves_and_a_second_run_changes_nothing() {
    let host = Container::up("guided");
    Bundle::server(None).put(&host);
    let mut session = guided(&host, "8443", "chief");
    session.exp_string("is installed.").unwrap();
    let rest = session.exp_eof().unwrap();
    assert!(rest.contains(":8443/") && rest.contains("chief"), "{rest}");

    assert_eq!(status_of_login(&host, 8443, "chief", PASSWORD), "200");
    assert_eq!(status_of_login(&host, 8443, "admin", "admin"), "401");
    let modes = host.sh(
        "stat -c '%a %U:%G %n' /usr/local/demisto /usr/local/demisto/server /usr/local/demisto/cert.pem \
         /usr/local/demisto/cert.key /var/lib/demisto /var/log/demisto /etc/demisto.conf /etc/systemd/system/demisto.service",
    );
    let wanted = "755 root:root /usr/local/demisto\n755 root:root /usr/local/demisto/server\n\
                  400 demisto:demisto /usr/local/demisto/cert.pem\n400 demisto:demisto /usr/local/demisto/cert.key\n\
                  750 demisto:demisto /var/lib/demisto\n750 demisto:demisto /var/log/demisto\n\
                  640 demisto:demisto /etc/demisto.conf\n644 root:root /etc/systemd/system/demisto.service";
    assert_eq!(modes, wanted);
    assert_eq!(
        host.sh("test ! -e /var/lib/demisto/otc.conf.json && getent passwd demisto | cut -d: -f7"),
        "/usr/sbin/nologin"
    );
    assert_eq!(host.sh("runuser -u demisto -- test ! -w /usr/local/demisto/server && echo locked"), "locked");

    let before = host.sh(EVERY_BYTE);
    let again = host.sh("/root/demisto-install 2>/dev/null");
    assert!(again.contains("nothing to do"), "{again}");
    assert_eq!(host.sh(EVERY_BYTE), before);
    assert_eq!(
        host.sh(&format!("grep -rlF {PASSWORD} /etc /usr/local /var /tmp /run 2>/dev/null || true")),
        ""
    );
    assert_eq!(host.sh(&format!("journalctl -q --no-pager | grep -cF {PASSWORD} || true")), "0");

    host.reboot();
    assert!(host.sh("/root/demisto-install wait-ready --timeout 30").contains("version 6.14.0"));
    assert!(host.sh("/root/demisto-install status").contains("answers as version 6.14.0"));
    assert_eq!(status_of_login(&host, 8443, "chief", PASSWORD), "200");
    assert!(host.sh("/root/demisto-install status --output json").contains("\"drift\":[]"));
}

#[test]
fn uninstall_takes_what_it_brought_and_purge_the_rest() {
    let host = Container::up("remove");
    Bundle::server(None).put(&host);
    let pristine = host.sh(DIGEST);
    host.sh(UNATTENDED);
    host.sh("echo keep > /usr/local/demisto/demisto.lic; ln -s /etc/shadow /usr/local/demisto/stray");
    host.sh("/root/demisto-install uninstall --yes");
    let left = host.sh("find /usr/local/demisto | sort | tr '\\n' ' '");
    let wanted = "/usr/local/demisto /usr/local/demisto/demisto.lic /usr/local/demisto/stray ";
    assert_eq!(left, wanted);
    host.sh("test -s /etc/shadow; test -f /etc/demisto.conf; test -d /var/lib/demisto/data; id demisto");
    assert!(host.sh("/root/demisto-install uninstall").contains("nothing to do"));

    host.sh("rm -rf /usr/local/demisto");
    host.sh(UNATTENDED);
    assert_eq!(status_of_login(&host, 443, "admin", PASSWORD), "200");
    host.sh("/root/demisto-install uninstall --yes --purge");
    // the account was there before the second installation, so it is not the second's to remove
    host.sh("userdel demisto 2>/dev/null || true; groupdel demisto 2>/dev/null || true; rmdir /etc/sysusers.d 2>/dev/null || true");
    assert_eq!(host.sh(DIGEST), pristine);
}

#[test]
fn a_release_that_does_not_come_up_is_undone() {
    for fault in ["crash", "hang", "no-port", "wrong-version"] {
        let host = Container::up(fault);
        Bundle::server(Some(fault)).put(&host);
        let before = host.sh(DIGEST);
        let output = host.run(&["bash", "-c", &format!("{UNATTENDED} --health-timeout 4")]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{fault}: {said}");
        assert!(said.contains("everything is as it was before"), "{fault}: {said}");
        assert!(said.contains("last log lines") && said.contains("Starting server"), "{fault}: {said}");
        let wrong = said.contains("is answered by version 0.0.0, not 6.14.0");
        assert_eq!(wrong, fault == "wrong-version", "{fault}: {said}");
        assert_eq!(host.sh(DIGEST), before, "{fault}: {said}");
        assert_eq!(host.sh("systemctl is-active demisto || true"), "inactive");
        assert_eq!(host.sh("test -s /tmp/demisto_install.log && stat -c %a /tmp/demisto_install.log"), "600");
    }
}

#[test]
fn interrupting_the_wait_undoes_everything() {
    let host = Container::up("interrupt");
    Bundle::server(Some("no-port")).put(&host);
    let before = host.sh(DIGEST);
    let mut session = guided(&host, "", "");
    session.exp_string("wait until demisto.service answers").unwrap();
    std::thread::sleep(Duration::from_millis(700));
    // not by Ctrl-C: what leads into the container would end at it and hang up
    host.sh("pkill -INT -x demisto-install");
    session.exp_string("everything is as it was before").unwrap();
    session.exp_eof().unwrap();
    assert_eq!(host.sh("cat /root/exit"), "130");
    assert_eq!(host.sh(DIGEST), before);
}

#[test]
fn killed_at_any_point_of_the_service_steps_a_rerun_installs() {
    let host = Container::up("killed");
    Bundle::server(None).put(&host);
    let before = host.sh(DIGEST);
    // the very first installation also records the epoch, so it passes more points than the others
    host.sh(&format!("{UNATTENDED}; /root/demisto-install uninstall --yes --purge"));
    host.sh(&format!("DEMISTO_INSTALL_FAULT_LOG=/root/points {UNATTENDED}"));
    let points: usize = host.sh("wc -l < /root/points").parse().unwrap();
    let first: usize =
        host.sh("grep -n rename /root/points | tail -20 | head -1 | cut -d: -f1").parse().unwrap();
    host.sh("/root/demisto-install uninstall --yes --purge; rmdir /etc/sysusers.d 2>/dev/null || true");
    let mut tried = 0;
    // every point from the start of the service on; those before it are swept without containers
    let starts = points - 50;
    for point in (first..starts).step_by((starts - first) / 6).chain(starts..=points) {
        let output = host.run(&["bash", "-c", &format!("DEMISTO_INSTALL_FAULT_AT={point} {UNATTENDED}")]);
        let killed = output.status.signal() == Some(9) || output.status.code() == Some(137);
        assert!(killed, "point {point} was not reached: {output:?}");
        if tried % 2 == 0 {
            host.sh("/root/demisto-install recover");
            let installed = host.sh("/root/demisto-install status").contains("Drift      0 files");
            assert!(installed || host.sh(DIGEST) == before, "point {point}: neither old nor new");
        }
        host.sh(UNATTENDED);
        host.sh("/root/demisto-install wait-ready --timeout 20");
        assert_eq!(status_of_login(&host, 443, "admin", PASSWORD), "200", "point {point}");
        host.sh("/root/demisto-install uninstall --yes --purge; rmdir /etc/sysusers.d 2>/dev/null || true");
        tried += 1;
    }
    println!("service steps: {tried} of {points} points, 0 broken");
}

#[test]
fn default_password_mode_touches_nothing() {
    let host = Container::up("dash-y");
    Bundle::server(None).put(&host);
    let trace = "strace -f -o /root/trace -e trace=%file,fchmod,fchown,write";
    for words in ["-y", "install -y", "install --yes", "-- -y"] {
        let output = host.run(&["bash", "-c", &format!("cd /root; {trace} ./demisto-install {words}")]);
        assert_eq!(output.status.code(), Some(2), "{words}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("--admin-password-file"), "{words}: {said}");
        let writes = "grep -E 'O_WRONLY|O_RDWR|O_CREAT|mkdir|rename|unlink|symlink|link\\(|chmod|chown' /root/trace || true";
        assert_eq!(host.sh(writes), "", "{words}");
    }
}

/// Whoever has the service's account can write its directories. It must not keep root from removing
/// them, nor make root change or show anything else.
#[test]
fn the_service_account_cannot_spoil_a_removal() {
    let host = Container::up("spoil");
    Bundle::server(None).put(&host);
    let pristine = host.sh(DIGEST);
    host.sh(UNATTENDED);
    host.sh(
        "runuser -u demisto -- bash -c '
            cd /var/lib/demisto
            touch \"data/$(printf \"\\377\\376\")\"
            d=data/deep; for i in $(seq 1500); do mkdir \"$d\" && cd \"$d\" || exit 1; d=x; done; cd /var/lib/demisto
            mkdir otc.conf.json .otc.conf.json.demisto-install.00 .demisto-install-trash
            ln -s /etc/shadow data/shadow; ln -s / data/root
            truncate -s 5M /etc/demisto.conf
            mv /var/log/demisto/server.log /var/log/demisto/old; mkfifo /var/log/demisto/server.log
            (exec setsid sleep 1000) >/dev/null 2>&1 &'",
    );
    host.sh("timeout 60 /root/demisto-install uninstall --yes --purge");
    host.sh("rmdir /etc/sysusers.d 2>/dev/null || true");
    assert_eq!(host.sh(DIGEST), pristine);
    assert_eq!(host.sh("stat -c '%U %a' /etc/shadow"), "root 640");
    host.sh(UNATTENDED);
    assert_eq!(status_of_login(&host, 443, "admin", PASSWORD), "200");
}

#[test]
fn another_release_is_judged_before_anybody_is_asked() {
    let host = Container::up("other");
    Bundle::with(&["--epoch", "3"]).put(&host);
    host.sh(UNATTENDED);
    let before = host.sh(EVERY_BYTE);
    let cases = [
        (vec!["--version", "6.13.0", "--epoch", "3"], 3, "is older than"),
        (vec!["--epoch", "2"], 3, "security epoch 2 is below 3"),
        (vec!["--version", "6.15.0", "--epoch", "3"], 4, "is another release"),
    ];
    for (options, code, text) in cases {
        let other = Bundle::with(&options);
        host.put(other.path(), "/root/other");
        let output = host.run(&["bash", "-c", &UNATTENDED.replace("/root/demisto-install", "/root/other")]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{options:?}: {said}");
        assert!(said.contains(text), "{options:?}: {said}");
    }
    assert_eq!(host.sh(EVERY_BYTE), before);
    // the epoch outlives the installation
    host.sh("/root/demisto-install uninstall --yes --purge");
    let old = Bundle::with(&["--epoch", "2"]);
    host.put(old.path(), "/root/other");
    let output = host.run(&["bash", "-c", &UNATTENDED.replace("/root/demisto-install", "/root/other")]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
}
