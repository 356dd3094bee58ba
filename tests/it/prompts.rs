//! The guided questions as a person meets them: on a terminal, with keys, one process for each test.
//!
//! This test program runs itself again under a shell on a pseudo terminal; [`the_program`] is what
//! runs there. The shell says afterwards how the program ended and whether the echo is on.

#![allow(clippy::disallowed_methods, reason = "the tests start programs and prepare files")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends with its first surprise")]

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use demisto_install::cli::ask::{self, Asked, Error, Question};
use demisto_install::cli::password::{PasswordArgs, from_sources};
use demisto_install::cli::progress::{self, ColorChoice, OutputFormat};
use demisto_install::event::{Event, Unit};
use demisto_install::prompt::Partial;
use demisto_install::sys::signal;
use rexpect::session::{Options, PtySession, spawn_with_options};
use secrecy::ExposeSecret;

const ROLE: &str = "DEMISTO_INSTALL_TEST_ROLE";
const LICENCE: &str = "Do you accept the terms of the End User License Agreement? [yes no] ";
const PORT: &str = "Server HTTPS Port:  (default: '443') ";
const NAME: &str = "Enter name for admin user:  (default: 'admin') ";
const PASSWORD: &str = "Enter password for user 'admin': ";
const VERIFY: &str = "Verify password: ";
const GOOD: &str = "Correct7Horse";

/// The program under test, in the role that the environment names; nothing when run as a test.
#[test]
#[allow(clippy::exit, clippy::print_stdout, reason = "it plays the part of `main`")]
fn the_program() {
    let Ok(role) = std::env::var(ROLE) else { return };
    signal::watch().unwrap();
    println!("pid={}", std::process::id());
    let taken = |port| (port == 8080).then(|| "port 8080 is in use by nginx (pid 812)".to_owned());
    let known = Partial {
        accept_eula: (role != "all").then_some(true),
        port: (role == "taken").then_some(8080),
        ..Partial::default()
    };
    let eula = "1. ACKNOWLEDGMENT AND ACCEPTANCE\nRead this.\x1b[31m\n";
    let question = Question {
        eula,
        known,
        default_port: 443,
        port_in_use: &taken,
        password_known: role == "no password",
    };
    let done = match role.as_str() {
        "sources" => return sources(),
        "progress" => {
            story();
            Ok("story".to_owned())
        }
        "confirm" => ask::confirm("Is this configuration OK?", false).map(|yes| format!("confirmed {yes}")),
        _ => ask::guided(&question).map(|Asked { answers, password }| format!("{answers:?} {password:?}")),
    };
    let code = match done {
        Ok(text) => {
            println!("done: {text}");
            0
        }
        Err(e) => {
            println!("failed: {e}");
            match e {
                Error::NotATerminal => 2,
                Error::Interrupted { signal } => 128 + signal,
                _ => 1,
            }
        }
    };
    std::process::exit(code);
}

/// A piece of work with a warning in its middle.
fn story() {
    let sink = progress::sink(OutputFormat::Text, ColorChoice::Auto, false);
    sink.event(Event::Step { number: 1, of: 12, text: "stage files".into() });
    sink.begin("unpacking", 4 << 20, Unit::Bytes);
    sink.advance(2 << 20);
    sink.warn("a warning in between");
    sink.advance(2 << 20);
    sink.end("unpacked 4.0 MiB");
}

/// Takes the password from where the environment and the files say.
#[allow(clippy::print_stdout, reason = "it plays the part of `main`")]
fn sources() {
    let args = PasswordArgs {
        admin_password_file: std::env::var_os("TEST_FILE").map(Into::into),
        admin_password_stdin: std::env::var_os("TEST_STDIN").is_some(),
    };
    match from_sources(&args) {
        Ok(found) => println!("found: {:?}", found.as_ref().map(ExposeSecret::expose_secret)),
        Err(e) => println!("failed: {e:#}"),
    }
}

fn arguments() -> [std::ffi::OsString; 4] {
    let program = std::env::current_exe().unwrap().into_os_string();
    [program, "--exact".into(), "prompts::the_program".into(), "--nocapture".into()]
}

fn start(role: &str, term: &str) -> PtySession {
    // `trap`: the shell outlives the Ctrl-C that ends the program
    let script = "stty echo; trap : INT; \"$@\"; code=$?; stty -a | tr ' ;' '\\n\\n' | grep -x -e '-*echo'; \
                  echo code=$code";
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", script, "sh"]).args(arguments()).env(ROLE, role).env("TERM", term);
    spawn_with_options(shell, Options::new().timeout_ms(Some(20_000))).unwrap()
}

/// Waits for `text` and gives what came before it.
fn wait_for(session: &mut PtySession, text: &str) -> String {
    session.exp_string(text).unwrap_or_else(|e| panic!("waiting for {text:?}: {e}"))
}

fn answer(session: &mut PtySession, question: &str, keys: &str) -> String {
    let before = wait_for(session, question);
    session.send(keys).unwrap();
    session.flush().unwrap();
    before
}

/// Reads to the end; the echo has to be on again.
fn finish(session: &mut PtySession, code: i32) -> String {
    let before = wait_for(session, &format!("code={code}"));
    assert!(before.trim_end().ends_with("\necho"), "the echo is off: {before:?}");
    before
}

#[test]
fn all_questions_are_asked_in_the_vendors_order() {
    let mut s = start("all", "dumb");
    wait_for(&mut s, "1. ACKNOWLEDGMENT AND ACCEPTANCE\r\nRead this.[31m");
    answer(&mut s, LICENCE, "yes\r");
    answer(&mut s, PORT, "8443\r");
    answer(&mut s, NAME, "\r");
    answer(&mut s, PASSWORD, &format!("{GOOD}\r"));
    let echoed = answer(&mut s, VERIFY, &format!("{GOOD}\r"));
    assert_eq!(echoed.trim(), "*".repeat(GOOD.len()));
    wait_for(&mut s, "Password strength: good.");
    let end = finish(&mut s, 0);
    assert!(end.contains("accept_eula: true, port: 8443, admin_name: \"admin\", start: true"), "{end}");
    assert!(!end.contains(GOOD), "{end}");
}

#[test]
fn the_licence_has_no_default_and_no_is_no() {
    let mut s = start("all", "dumb");
    answer(&mut s, LICENCE, "\r\r\rno\r");
    let end = finish(&mut s, 1);
    assert!(end.contains("failed: the End User License Agreement was not accepted"), "{end}");
}

#[test]
fn only_yes_is_yes() {
    let mut s = start("all", "dumb");
    answer(&mut s, LICENCE, "no way\r");
    answer(&mut s, "Please answer yes or no", "maybe\r");
    answer(&mut s, "Please answer yes or no", "nope, my\r");
    answer(&mut s, "Please answer yes or no", "N\r");
    let end = finish(&mut s, 1);
    assert!(end.contains("was not accepted"), "{end}");
}

#[test]
fn the_licence_is_shown_in_a_pager() {
    assert!(Path::new("/usr/bin/less").exists(), "less is missing: apt-get install less");
    let mut s = start("all", "xterm");
    answer(&mut s, "ACKNOWLEDGMENT", "q");
    answer(&mut s, LICENCE, "n\r");
    finish(&mut s, 1);

    let mut s = start("all", "xterm");
    wait_for(&mut s, "Read this");
    wait_for(&mut s, "END");
    s.send_control('c').unwrap();
    finish(&mut s, 130);
}

#[test]
fn a_port_in_use_is_refused_with_its_user() {
    let mut s = start("no password", "dumb");
    answer(&mut s, PORT, "8080\r");
    wait_for(&mut s, "error: port 8080 is in use by nginx (pid 812)");
    answer(&mut s, PORT, "70000\r");
    wait_for(&mut s, "it has to be from 1 to 65535");
    answer(&mut s, PORT, "\r");
    answer(&mut s, NAME, "a:b\r");
    wait_for(&mut s, "cannot be the admin user's name");
    answer(&mut s, NAME, "ops\r");
    let end = finish(&mut s, 0);
    assert!(end.contains("port: 443, admin_name: \"ops\"") && end.contains("None"), "{end}");

    let mut s = start("taken", "dumb");
    assert!(finish(&mut s, 1).contains("failed: port 8080 is in use by nginx (pid 812)"));
}

#[test]
fn a_weak_or_mistyped_password_is_asked_for_again() {
    let mut s = start("password", "dumb");
    answer(&mut s, PORT, "\r");
    answer(&mut s, NAME, "\r");
    wait_for(&mut s, "The password: At least 8 characters");
    answer(&mut s, PASSWORD, "admin\r");
    let flaws = wait_for(&mut s, "nothing but digits or symbols added\r\n  - it is the user's name");
    assert!(
        flaws.contains("  - it has fewer than 8 characters\r\n  - it has no upper-case letter"),
        "{flaws}"
    );
    answer(&mut s, PASSWORD, &format!("{GOOD}\r"));
    answer(&mut s, VERIFY, "something else\r");
    wait_for(&mut s, "error: the two passwords differ");
    answer(&mut s, PASSWORD, &format!("wrong\x15{GOOD}x\x7f\r"));
    answer(&mut s, VERIFY, &format!("{GOOD}\r"));
    finish(&mut s, 0);
}

#[test]
fn the_same_bad_password_is_not_taken_for_ever() {
    let mut s = start("password", "dumb");
    answer(&mut s, PORT, "\r");
    answer(&mut s, NAME, "\r");
    for _ in 0..5 {
        answer(&mut s, PASSWORD, "\r");
    }
    assert!(finish(&mut s, 1).contains("failed: no password was accepted in 5 tries"));
}

#[test]
fn ctrl_c_ends_every_question_and_leaves_the_terminal_as_it_was() {
    let to_name = [(PORT, "\r")];
    let to_password = [(PORT, "\r"), (NAME, "\r"), (PASSWORD, "abc")];
    type Keys<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, Keys<'_>, &str); 4] = [
        ("all", &[], LICENCE),
        ("password", &[], PORT),
        ("password", &to_name, NAME),
        ("password", &to_password, "***"),
    ];
    for (role, answers, last) in cases {
        let mut s = start(role, "dumb");
        for (question, keys) in answers {
            answer(&mut s, question, keys);
        }
        wait_for(&mut s, last);
        s.send_control('c').unwrap();
        let end = finish(&mut s, 130);
        assert!(end.contains("\x1b[?25h"), "the cursor is shown: {end:?}");
    }
}

#[test]
fn a_signal_from_elsewhere_leaves_the_terminal_as_it_was_too() {
    let mut s = start("password", "dumb");
    wait_for(&mut s, "pid=");
    let pid = s.read_line().unwrap();
    answer(&mut s, PORT, "\r");
    answer(&mut s, NAME, "\r");
    answer(&mut s, PASSWORD, "abc");
    wait_for(&mut s, "***");
    assert!(Command::new("/bin/kill").args(["-TERM", pid.trim()]).status().unwrap().success());
    finish(&mut s, 143);
}

#[test]
fn ctrl_d_ends_the_password_question() {
    let mut s = start("password", "dumb");
    answer(&mut s, PORT, "\r");
    answer(&mut s, NAME, "\r");
    answer(&mut s, PASSWORD, "\x04");
    let end = finish(&mut s, 1);
    assert!(end.contains("failed: the input ended before the question \"Enter password"), "{end}");
}

#[test]
fn a_plan_is_confirmed_with_a_default() {
    for (keys, expected) in
        [("\r", "confirmed false"), ("yes\r", "confirmed true"), ("n\r", "confirmed false")]
    {
        let mut s = start("confirm", "dumb");
        answer(&mut s, "Is this configuration OK? [yes no] ", keys);
        assert!(finish(&mut s, 0).contains(expected));
    }
}

#[test]
fn progress_is_a_bar_on_a_terminal_and_lines_on_a_dumb_one() {
    let mut s = start("progress", "xterm");
    let end = finish(&mut s, 0);
    assert!(
        end.contains("[ 1/12] stage files\r\n") && end.contains("unpacking [=====") && end.contains("/s"),
        "{end}"
    );
    assert!(end.contains("\x1b[1;33mwarning:\x1b[0m a warning in between\r\n"), "{end:?}");
    assert!(end.contains("unpacked 4.0 MiB\r\n"), "{end:?}");

    let mut s = start("progress", "dumb");
    let end = finish(&mut s, 0);
    assert!(
        end.contains("unpacking (4.0 MiB)\r\nwarning: a warning in between\r\nunpacked 4.0 MiB\r\n"),
        "{end:?}"
    );
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    for role in ["all", "confirm"] {
        let [program, rest @ ..] = arguments();
        let output = Command::new(program).args(rest).env(ROLE, role).stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("failed: cannot ask questions"));
    }
}

/// Runs [`sources`] with `variables` and `input`, and gives its verdict.
fn password_from(variables: &[(&str, &Path)], input: &[u8]) -> String {
    let [program, rest @ ..] = arguments();
    let mut command = Command::new(program);
    command.args(rest).env(ROLE, "sources").env_remove("CREDENTIALS_DIRECTORY");
    command.envs(variables.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let at = text.find("found: ").or_else(|| text.find("failed: ")).unwrap_or_else(|| panic!("{text}"));
    text[at..].lines().next().unwrap().to_owned()
}

#[test]
fn the_password_comes_from_private_places_only() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("demisto-install.admin-password");
    let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    std::fs::write(&file, "Correct7Horse\n").unwrap();
    let found = "found: Some(\"Correct7Horse\")";

    mode(0o600);
    assert_eq!(password_from(&[("TEST_FILE", &file)], b""), found);
    mode(0o640);
    assert!(password_from(&[("TEST_FILE", &file)], b"").contains("others than its owner can read it"));
    // systemd shows an access control list as a group bit
    assert_eq!(password_from(&[("CREDENTIALS_DIRECTORY", dir.path())], b""), found);
    mode(0o660);
    assert!(
        password_from(&[("CREDENTIALS_DIRECTORY", dir.path())], b"")
            .contains("others than its owner can write it")
    );

    let piped = [("TEST_STDIN", Path::new("1"))];
    assert_eq!(password_from(&piped, b"Correct7Horse\n"), found);
    assert!(password_from(&piped, &[b'a'; 2000]).contains("larger than"));
    assert!(password_from(&piped, b"\xff\n").contains("not valid UTF-8"));
    assert_eq!(password_from(&[], b"ignored\n"), "found: None");
    assert_eq!(password_from(&[("CREDENTIALS_DIRECTORY", Path::new("relative"))], b""), "found: None");
}
