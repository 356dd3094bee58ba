//! A machine of its own for one test: a container with a booted systemd, driven through `tests/e2e/host`.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rexpect::session::{PtySession, spawn_command};

const HOST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/host");

/// How long a program on a terminal may take for its next words.
const ANSWER_MS: u64 = 60_000;

/// Tells the containers of one test process apart.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A running container. It is taken down when this is dropped, also by a failing test; with
/// `DEMISTO_TEST_KEEP=1` it stays, and how to enter it is printed. If the test process is killed,
/// `tests/e2e/host gc` takes it down.
#[derive(Debug)]
pub(crate) struct Container {
    name: String,
}

impl Container {
    /// Boots a fresh container and waits until systemd is ready. `name` only needs to be telling.
    pub(crate) fn up(name: &str) -> Self {
        Self::up_with(name, &[])
    }

    /// As [`up`](Self::up), with an address that this machine and other such containers reach: 10.77.0.2 to 254.
    pub(crate) fn up_at(name: &str, address: &str) -> Self {
        Self::up_with(name, &["--address", address])
    }

    /// As [`up`](Self::up), with further options of `host up`.
    pub(crate) fn up_with(name: &str, options: &[&str]) -> Self {
        let process = std::process::id();
        let name = format!("{name}-{process}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let owner = process.to_string();
        let mut arguments = vec!["up", name.as_str()];
        if !keep() {
            arguments.extend(["--owner", owner.as_str()]);
        }
        arguments.extend_from_slice(options);
        host(&arguments);
        Self { name }
    }

    /// The name in full, for `tests/e2e/host` by hand; also the host name inside.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs a command inside as root and returns what came of it, whatever the exit status.
    pub(crate) fn run(&self, command: &[&str]) -> Output {
        self.run_with_input(command, b"")
    }

    /// As [`run`](Self::run), with `input` on the command's standard input.
    pub(crate) fn run_with_input(&self, command: &[&str], input: &[u8]) -> Output {
        let mut child = Command::new(HOST)
            .args(["run", &self.name])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{HOST}: {e}"));
        let mut stdin = child.stdin.take();
        thread::scope(|scope| {
            // A command that does not read its input ends the pipe early, which is its right.
            scope.spawn(move || stdin.take().map(|mut pipe| pipe.write_all(input)));
            child.wait_with_output().unwrap_or_else(|e| panic!("{command:?}: {e}"))
        })
    }

    /// Runs a command inside that must succeed; returns its standard output without the last newline.
    pub(crate) fn sh(&self, script: &str) -> String {
        let output = self.run(&["bash", "-euo", "pipefail", "-c", script]);
        assert!(output.status.success(), "in {}: {script}\n{}", self.name, told(&output));
        String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned()
    }

    /// That a command of the shell ends with `code` and says these words on standard error, all of which is given.
    pub(crate) fn fails(&self, command: &str, code: i32, words: &[&str]) -> String {
        let output = self.run(&["bash", "-c", command]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{command}: {said}");
        for word in words {
            assert!(said.contains(word), "{command}: {word}: {said}");
        }
        said
    }

    /// Copies a file or directory in, as `cp -a` would; everything belongs to root.
    pub(crate) fn put(&self, source: impl AsRef<Path>, destination: &str) {
        host(&["put".as_ref(), self.name.as_ref(), source.as_ref().as_os_str(), destination.as_ref()]);
    }

    /// Copies a file or directory out.
    pub(crate) fn get(&self, source: &str, destination: impl AsRef<Path>) {
        host(&["get".as_ref(), self.name.as_ref(), source.as_ref(), destination.as_ref().as_os_str()]);
    }

    /// Runs a command inside on a terminal, to answer its questions.
    pub(crate) fn ask(&self, command: &[&str]) -> PtySession {
        let prefix = self.prefix();
        let mut words = prefix.iter().map(String::as_str).chain(command.iter().copied());
        let mut process = Command::new(words.next().unwrap_or_default());
        process.args(words);
        spawn_command(process, Some(ANSWER_MS)).unwrap_or_else(|e| panic!("{command:?}: {e}"))
    }

    /// The words that put before a command run it inside. They hold until the container is booted again.
    pub(crate) fn prefix(&self) -> Vec<String> {
        host(&["shell-prefix", &self.name]).lines().map(str::to_owned).collect()
    }

    /// Every process inside dies at once; the disk stays as it is.
    pub(crate) fn kill9(&self) {
        host(&["kill9", &self.name]);
    }

    /// Boots again on the disk that [`kill9`](Self::kill9) or [`stop`](Self::stop) left.
    pub(crate) fn start(&self) {
        host(&["start", &self.name]);
    }

    /// Shuts down in order; the disk stays.
    pub(crate) fn stop(&self) {
        host(&["stop", &self.name]);
    }

    /// Reboots in order and waits until systemd is ready again.
    pub(crate) fn reboot(&self) {
        self.stop();
        self.start();
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if keep() {
            eprintln!("kept: {HOST} shell {name}; remove it with {HOST} down {name}", name = self.name);
            return;
        }
        // A panic here while another one unwinds would end the whole test run.
        match Command::new(HOST).args(["down", "--now", &self.name]).stdin(Stdio::null()).output() {
            Ok(output) if output.status.success() => {}
            Ok(output) => eprintln!("{} stays: {}", self.name, told(&output)),
            Err(error) => eprintln!("{} stays: {error}", self.name),
        }
    }
}

/// Does whoever runs the tests want to look at the containers afterwards?
fn keep() -> bool {
    std::env::var_os("DEMISTO_TEST_KEEP").is_some()
}

/// Runs the container tool, which must succeed; returns its standard output.
fn host<S: AsRef<OsStr>>(arguments: &[S]) -> String {
    let output = Command::new(HOST)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{HOST}: {e}"));
    let words: Vec<_> = arguments.iter().map(|a| a.as_ref().to_string_lossy()).collect();
    assert!(output.status.success(), "tests/e2e/host {}\n{}", words.join(" "), told(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn told(output: &Output) -> String {
    let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    format!("{}\n{}\n{}", output.status, words(&output.stdout), words(&output.stderr))
}
