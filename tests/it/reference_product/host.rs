//! A scratch root in which the reference product is started and asked.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

/// A built example of this package.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(Path::parent).unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is missing: cargo build --examples", path.display());
    path
}

/// Runs a tool to its end and returns what it printed.
pub(crate) fn run(program: &str, arguments: &[&str], directory: &Path) -> (ExitStatus, String) {
    let output = Command::new(program).args(arguments).current_dir(directory).output();
    let output = output.unwrap_or_else(|e| panic!("cannot run {program} ({e}): apt-get install {program}"));
    let text = [output.stdout, output.stderr].concat();
    (output.status, String::from_utf8_lossy(&text).into_owned())
}

/// Waits for something that is about to happen.
pub(crate) fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for: {what}");
        sleep(Duration::from_millis(20));
    }
}

/// A root directory of its own, with a port of its own.
pub(crate) struct Host {
    pub(crate) root: TempDir,
    pub(crate) port: u16,
}

impl Host {
    pub(crate) fn new() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = Self { root: TempDir::new().unwrap(), port };
        for directory in ["usr/local/demisto", "etc/ssl/certs", "var/lib/demisto", "var/log/demisto"] {
            fs::create_dir_all(host.path(directory)).unwrap();
        }
        host.write("etc/demisto.conf", &json!({"Server": {"HttpsPort": port.to_string()}}).to_string());
        host.release("6.14.0", 1, Value::Null);
        host
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).unwrap();
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    pub(crate) fn release(&self, version: &str, schema: u64, fault: impl Into<Value>) {
        let text = json!({"product": "demisto", "version": version, "build": 7, "schema": schema,
            "fault": fault.into()});
        self.write("usr/local/demisto/version.json", &text.to_string());
    }

    pub(crate) fn otc(&self, content: &Value) {
        self.write("var/lib/demisto/otc.conf.json", &content.to_string());
    }

    pub(crate) fn start(&self, program: &str) -> Process {
        let mut command = Command::new(example(program));
        Process(command.arg("--root").arg(self.root.path()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Starts the server and waits until it listens.
    pub(crate) fn serve(&self) -> Process {
        let before = self.lines("Listening on port");
        let server = self.start("reference-server");
        until("the server to listen", || self.lines("Listening on port") > before);
        server
    }

    /// Starts the server, which must refuse; returns what the log says last.
    pub(crate) fn refusal(&self) -> String {
        let status = self.start("reference-server").end();
        assert_eq!(status.code(), Some(1));
        self.read("var/log/demisto/server.log").lines().last().unwrap_or_default().to_owned()
    }

    pub(crate) fn lines(&self, text: &str) -> usize {
        self.read("var/log/demisto/server.log").matches(text).count()
    }

    /// Asks with the real curl; returns the body and the status.
    pub(crate) fn curl(&self, path: &str, more: &[&str]) -> (String, String) {
        let url = format!("https://localhost:{}{path}", self.port);
        let fixed = ["-s", "-m", "5", "-o", "-", "-w", "\n%{http_code}", &url];
        let (_, text) = run("curl", &[&fixed, more].concat(), self.root.path());
        let (body, status) = text.rsplit_once('\n').unwrap_or_default();
        (body.to_owned(), status.to_owned())
    }

    pub(crate) fn status(&self, path: &str, more: &[&str]) -> String {
        self.curl(path, &[&["-k"], more].concat()).1
    }

    pub(crate) fn login(&self, user: &str, password: &str) -> String {
        self.status("/login", &["-d", &format!("user={user}&password={password}")])
    }

    pub(crate) fn health(&self) -> Value {
        serde_json::from_str(&self.curl("/health", &["-k"]).0).unwrap()
    }

    /// Makes cert.pem for localhost and plain.key.
    pub(crate) fn certificate(&self) {
        let text = "req -x509 -newkey rsa:2048 -nodes -keyout plain.key -out cert.pem -days 2 \
                    -subj /CN=localhost -addext subjectAltName=DNS:localhost";
        self.openssl(text);
    }

    pub(crate) fn openssl(&self, arguments: &str) {
        let arguments: Vec<_> = arguments.split_whitespace().collect();
        let (status, text) = run("openssl", &arguments, &self.path("usr/local/demisto"));
        assert!(status.success(), "{text}");
    }
}

/// A running program, which does not outlive its test.
pub(crate) struct Process(Child);

impl Process {
    /// Asks it to stop and returns how it ended.
    pub(crate) fn stop(mut self) -> ExitStatus {
        let start = Instant::now();
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), Signal::SIGTERM).unwrap();
        let status = self.wait();
        assert!(start.elapsed() < Duration::from_secs(2), "stopping took {:?}", start.elapsed());
        status
    }

    /// Waits until it ends by itself.
    pub(crate) fn end(mut self) -> ExitStatus {
        self.wait()
    }

    fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        until("the program to end", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
