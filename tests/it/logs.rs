//! `log facts` on logs that lie in a root, or anywhere.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::installer::{PROGRAM, Vendor};

const LOG: &str = "\
2021-10-18 18:35:27.2793 info Starting d1 server, version 6.6.0-2458567 run id: 133e2886-81ae-4641-816a-6117fa8ccab5 (source: /builds/connection.go:71)
2021-10-18 18:35:27.2801 info FIPS-CC self-tests passed. FIPS-CC mode enabled successfully. (source: /builds/fips.go:12)
2021-10-18 18:36:00.0001 error cannot reach the server (source: /builds/connection.go:90)
";

fn root() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("var/log/demisto/d1_east")).unwrap();
    root
}

fn ask(root: &Path, args: &[&str]) -> Output {
    Command::new(PROGRAM).args(["log", "facts", "--root"]).arg(root).args(args).output().unwrap()
}

fn told(root: &Path, args: &[&str]) -> Value {
    let output = ask(root, &[args, &["--output", "json"]].concat());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{args:?}: {said}");
    serde_json::from_str(said.lines().last().unwrap()).unwrap()
}

#[test]
fn the_log_of_whoever_is_asked_for_is_read() {
    let root = root();
    for (log, version) in [("server.log", "6.1.0"), ("d1.log", "6.2.0"), ("d1_east/d1.log", "6.3.0")] {
        fs::write(root.path().join("var/log/demisto").join(log), LOG.replace("6.6.0", version)).unwrap();
    }
    let file = root.path().join("copy.txt");
    fs::write(&file, LOG).unwrap();
    let file = file.to_str().unwrap();
    for (args, version) in [
        (&[][..], "6.1.0-2458567"),
        (&["--role", "server"], "6.1.0-2458567"),
        (&["--role", "engine"], "6.2.0-2458567"),
        (&["--name", "east"], "6.3.0-2458567"),
        (&["--log", file], "6.6.0-2458567"),
    ] {
        assert_eq!(told(root.path(), args)["start"]["version"], version, "{args:?}");
    }
    let text = String::from_utf8(ask(root.path(), &["--log", file]).stdout).unwrap();
    for line in [
        "  Started    2021-10-18 18:35:27.2793 as d1 server 6.6.0-2458567\n",
        "  Run        133e2886-81ae-4641-816a-6117fa8ccab5\n",
        "  FIPS-CC    mode on, self-tests passed\n",
        "  Error      2021-10-18 18:36:00.0001 cannot reach the server\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
}

#[test]
fn what_is_no_log_is_an_error() {
    let root = root();
    let output = ask(root.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no log"), "{output:?}");
    for args in [&["--name", "../x"][..], &["--name", "a/b"], &["--log", "x", "--role", "server"]] {
        assert_eq!(ask(root.path(), args).status.code(), Some(2), "{args:?}");
    }
    let log = root.path().join("var/log/demisto/server.log");
    std::os::unix::fs::symlink("/etc/passwd", &log).unwrap();
    let output = ask(root.path(), &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_log_without_a_start_is_told_as_such() {
    let root = root();
    fs::write(root.path().join("var/log/demisto/server.log"), "nothing here\n").unwrap();
    let found = told(root.path(), &[]);
    assert_eq!((&found["start"], &found["fips"]["mode"]), (&Value::Null, &"unknown".into()));
}

#[test]
fn self_tests_are_not_required_of_what_is_not_started() {
    let vendor = Vendor::get();
    let root = tempfile::tempdir().unwrap();
    let output = vendor.install(root.path()).arg("--require-fips").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("is not started, so its FIPS-CC self-tests cannot be required"), "{said}");
    assert!(fs::read_dir(root.path()).unwrap().next().is_none(), "something was changed");
}
