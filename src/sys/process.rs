//! Other programs: absolute paths, an argument list, a clean environment, bounded output.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Pid, setsid};

use super::clock::Watch;
use super::error::Context as _;
use super::{Error, Result, signal};

/// Directories in which the system's tools are looked for, in order. `$PATH` is never used.
const TOOL_DIRS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// Most bytes kept of each of a tool's outputs.
const OUTPUT_LIMIT: usize = 4 << 20;
/// How long the outputs of a tool that has ended are waited for: a process that it left behind may hold them open.
const LINGER: Duration = Duration::from_secs(2);

/// The absolute path of the system tool `name`, if the system has it.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    TOOL_DIRS.iter().map(|dir| Path::new(dir).join(name)).find(|path| super::fs::is_file(path))
}

/// A call of another program.
#[derive(Debug)]
pub struct Tool {
    path: PathBuf,
    command: Command,
    stdin: Vec<u8>,
    stdin_file: Option<File>,
    timeout: Duration,
    foreground: bool,
    script: bool,
}

/// What a program said.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output, cut at 4 MiB.
    pub stdout: Vec<u8>,
    /// Its standard error, cut at 4 MiB.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Standard output as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl Tool {
    /// A call of the program at the absolute `path`. The environment holds nothing but
    /// `PATH`, `LC_ALL=C` and `HOME=/`.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is the door")]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let mut command = Command::new(&path);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C").env("HOME", "/");
        command.current_dir("/");
        Self {
            path,
            command,
            stdin: Vec::new(),
            stdin_file: None,
            timeout: Duration::from_secs(120),
            foreground: false,
            script: false,
        }
    }

    /// A call of the system tool `name`.
    ///
    /// # Errors
    /// When no system directory has it.
    pub fn system(name: &str) -> Result<Self> {
        find(name).map(Self::new).ok_or_else(|| {
            let missing =
                io::Error::new(io::ErrorKind::NotFound, "not in /usr/sbin, /usr/bin, /sbin or /bin");
            Error::new("find the tool", Path::new(name), missing)
        })
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// Passes a variable of our own environment on, if it is set.
    #[must_use]
    pub fn pass_env(mut self, name: &str) -> Self {
        if let Some(value) = super::env::var_os(name) {
            self.command.env(name, value);
        }
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    /// Stays in the caller's session and terminal, for tools that ask the user something. Every other tool has a
    /// session of its own without a terminal: it may run as another user, who must not type into ours or write
    /// to it.
    #[must_use]
    pub fn foreground(mut self) -> Self {
        self.foreground = true;
        self
    }

    /// Runs it as rpm runs the scripts of packages: with umask 022, not with ours. A signal that asks us to end
    /// ends it, too: nobody knows how long it takes.
    #[must_use]
    #[allow(unsafe_code, reason = "between fork and exec is the only place for the umask of another program")]
    pub fn script(mut self) -> Self {
        self.script = true;
        let set = || {
            umask(Mode::S_IWGRP | Mode::S_IWOTH);
            Ok(())
        };
        // SAFETY: umask(2) is async-signal-safe and always succeeds; nothing else is done, nothing is allocated
        unsafe { self.command.pre_exec(set) };
        self
    }

    /// Gives the program these bytes to read.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Gives the program this file to read, from where it stands.
    #[must_use]
    pub fn stdin_file(mut self, file: File) -> Self {
        self.stdin_file = Some(file);
        self
    }

    /// Ends the program after `timeout` (120 s unless told).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Feeds `bytes` to it while it writes to our own standard streams (a pager).
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn page(mut self, bytes: &[u8]) -> Result<ExitStatus> {
        self.command.stdin(Stdio::piped());
        let mut child = self.command.spawn().context("run", &self.path)?;
        if let Some(mut stdin) = child.stdin.take() {
            let _ = stdin.write_all(bytes); // the reader may leave the pager before its end
        }
        child.wait().context("run", &self.path)
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it cannot be started or does not end in time (it is killed then). Its exit status is
    /// no error: see [`Tool::check`].
    pub fn run(mut self) -> Result<Output> {
        self.command.stdin(match self.stdin_file.take() {
            Some(file) => Stdio::from(file),
            None if self.stdin.is_empty() => Stdio::null(),
            None => Stdio::piped(),
        });
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if !self.foreground {
            own_session(&mut self.command); // also Ctrl-C is for us: a tool at work is never cut off half-way
        }
        let mut child = self.command.spawn().context("run", &self.path)?;
        let stdin = child.stdin.take();
        let (stdout, stderr) = (Drain::of(child.stdout.take()), Drain::of(child.stderr.take()));
        let input = std::mem::take(&mut self.stdin);
        if let Some(mut pipe) = stdin {
            std::thread::spawn(move || pipe.write_all(&input));
        }
        let status = self.wait(&mut child).context("run", &self.path)?;
        let ended = Watch::start();
        let left = || LINGER.saturating_sub(ended.elapsed());
        let (stdout, stderr) = (stdout.take(left()), stderr.take(left()));
        Ok(Output { status, stdout, stderr })
    }

    /// Waits for the end of `child`, for as long as it may take.
    fn wait(&self, child: &mut Child) -> io::Result<ExitStatus> {
        let watch = Watch::start();
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            let late = watch.elapsed() > self.timeout;
            let unwanted = signal::pending().filter(|_| self.script);
            if late || unwanted.is_some() {
                end(child, !self.foreground)?;
                return Err(match unwanted {
                    Some(signal) => io::Error::other(format!("was stopped because of signal {signal}")),
                    None => {
                        let why = format!("did not end within {} s and was stopped", self.timeout.as_secs());
                        io::Error::new(io::ErrorKind::TimedOut, why)
                    }
                });
            }
            std::thread::park_timeout(pause);
            pause = (pause * 2).min(Duration::from_millis(4));
        }
    }

    /// Runs it and takes a non-zero exit status for an error.
    ///
    /// # Errors
    /// As [`Tool::run`]; and when it fails: with the end of what it wrote to standard error.
    pub fn check(self) -> Result<Output> {
        let path = self.path.clone();
        let output = self.run()?;
        if output.status.success() {
            return Ok(output);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let tail: Vec<&str> = said.lines().rev().take(5).collect();
        let said: Vec<&str> = tail.into_iter().rev().collect();
        let why = format!("{}: {}", output.status, said.join("; "));
        Err(Error::new("run", &path, io::Error::other(why)))
    }
}

/// Lets the program begin a session, and with it a process group, without a terminal.
#[allow(unsafe_code, reason = "between fork and exec is the only place for the session of another program")]
fn own_session(command: &mut Command) {
    let begin = || Ok(setsid().map(drop)?);
    // SAFETY: setsid(2) is async-signal-safe; nothing else is done, nothing is allocated
    unsafe { command.pre_exec(begin) };
}

/// Whether a process with this short name (`/proc/PID/comm`) runs.
#[must_use]
pub fn is_running(name: &str) -> bool {
    let named = |pid: &String| {
        let comm =
            super::fs::read_limited(&Path::new("/proc").join(pid).join("comm"), 64).unwrap_or_default();
        comm.trim_ascii() == name.as_bytes()
    };
    let pids = super::fs::list(Path::new("/proc")).unwrap_or_default();
    pids.iter().filter(|name| name.bytes().all(|b| b.is_ascii_digit())).any(named)
}

/// Ends every process of a user (SIGKILL), which is about to lose its account. Root's are spared.
pub fn end_all_of(uid: u32) {
    const ROUNDS: usize = 20; // a process may be starting another one at this moment
    let belongs = |pid: &u32| {
        let status = super::fs::read_limited(Path::new(&format!("/proc/{pid}/status")), 1 << 20);
        let status = String::from_utf8_lossy(&status.unwrap_or_default()).into_owned();
        let ids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default().to_owned();
        ids.split_whitespace().any(|id| id.parse() == Ok(uid))
    };
    for _ in 0..ROUNDS {
        let names = super::fs::list(Path::new("/proc")).unwrap_or_default();
        let pids: Vec<u32> = names.iter().filter_map(|name| name.parse().ok()).filter(belongs).collect();
        if uid == 0 || pids.is_empty() {
            return;
        }
        for pid in pids {
            let _ = i32::try_from(pid).map(|pid| kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL));
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// What comes out of a pipe, read by a thread of its own so that the writer never blocks.
struct Drain {
    /// What is kept; nobody wants more when it was taken.
    bytes: Arc<Mutex<Option<Vec<u8>>>>,
    ended: mpsc::Receiver<()>,
}

impl Drain {
    fn of(pipe: Option<impl Read + Send + 'static>) -> Self {
        let bytes = Arc::new(Mutex::new(Some(Vec::new())));
        let (end, ended) = mpsc::channel();
        let keep = Arc::clone(&bytes);
        std::thread::spawn(move || {
            let _end = end; // the receiver learns of its drop
            let mut buffer = vec![0; 1 << 16];
            let Some(mut pipe) = pipe else { return };
            loop {
                match pipe.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(count) => keep_of(&keep, buffer.get(..count).unwrap_or_default()),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => return,
                }
            }
        });
        Self { bytes, ended }
    }

    /// What has come until the pipe's end, or for as long as one may wait for that.
    fn take(self, patience: Duration) -> Vec<u8> {
        let _ = self.ended.recv_timeout(patience);
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }
}

/// Keeps what fits.
fn keep_of(kept: &Mutex<Option<Vec<u8>>>, bytes: &[u8]) {
    if let Some(kept) = kept.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
        let room = OUTPUT_LIMIT.saturating_sub(kept.len()).min(bytes.len());
        kept.extend_from_slice(bytes.get(..room).unwrap_or_default());
    }
}

/// Ends `child`, with its descendants when it has a session `of_its_own`: they could go on with its work.
fn end(child: &mut Child, of_its_own: bool) -> io::Result<()> {
    if let (true, Ok(id)) = (of_its_own, i32::try_from(child.id())) {
        let _ = killpg(Pid::from_raw(id), Signal::SIGKILL); // the group exists until `wait` below
        for pid in members(id) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL); // those in other groups of the session
        }
    }
    child.kill()?;
    child.wait().map(drop)
}

/// The processes of a session (the sixth field of `/proc/PID/stat`, after a name that may hold anything).
fn members(session: i32) -> Vec<i32> {
    let belongs = |pid: &i32| {
        let stat = super::fs::read_limited(Path::new(&format!("/proc/{pid}/stat")), 1 << 16);
        let stat = String::from_utf8_lossy(&stat.unwrap_or_default()).into_owned();
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        fields.split_whitespace().nth(3).is_some_and(|id| id.parse() == Ok(session))
    };
    let names = super::fs::list(Path::new("/proc")).unwrap_or_default();
    names.iter().filter_map(|name| name.parse().ok()).filter(belongs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_with_a_clean_environment() {
        let output = Tool::system("env").unwrap().check().unwrap();
        assert_eq!(output.text().lines().count(), 3, "{}", output.text());
        let output = Tool::system("cat").unwrap().stdin("hello").check().unwrap();
        assert_eq!(output.text(), "hello");
        let file = super::super::fs::open_existing(Path::new("/proc/self/comm")).unwrap();
        assert!(Tool::system("cat").unwrap().stdin_file(file).check().unwrap().text().ends_with('\n'));
    }

    #[test]
    fn failures_say_why() {
        let error = Tool::system("ls").unwrap().arg("/does/not/exist").check().unwrap_err();
        assert!(error.source.to_string().contains("No such file"), "{error:?}");
        let slow = Tool::system("sleep").unwrap().arg("30").timeout(Duration::from_millis(30)).run();
        assert_eq!(slow.unwrap_err().source.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the test looks at its own terminal")]
    fn a_tool_has_no_terminal() {
        const INSIDE: &str = "TEST_INSIDE_A_TERMINAL";
        if super::super::env::var(INSIDE).is_some() {
            File::open("/dev/tty").expect("we have one");
            let tool = Tool::system("sh").unwrap().args(["-c", "exec 3</dev/tty"]);
            assert!(!tool.run().unwrap().status.success(), "the tool has our terminal");
            return;
        }
        let program = super::super::env::program();
        let call =
            format!("{} --exact sys::process::tests::a_tool_has_no_terminal --nocapture", program.display());
        let tool = Tool::system("script").unwrap().args(["-qec", &call, "/dev/null"]).env(INSIDE, "1");
        let output = tool.check().unwrap().text();
        assert!(output.contains("1 passed"), "{output}");
    }

    #[test]
    fn a_descendant_does_not_outlive_the_timeout() {
        let watch = Watch::start();
        let tool = Tool::system("sh").unwrap().args(["-c", "sleep 20 & wait"]);
        let slow = tool.timeout(Duration::from_millis(100)).run();
        assert_eq!(slow.unwrap_err().source.kind(), io::ErrorKind::TimedOut);
        assert!(watch.elapsed() < Duration::from_secs(10), "{:?}", watch.elapsed());
    }

    #[test]
    fn a_group_of_its_own_in_the_session_does_not_outlive_the_timeout() {
        let mark = tempfile::tempdir().unwrap().keep();
        let name = format!("{}", 31_000 + std::process::id() % 1000);
        let script = format!("set -m; sleep {name} & echo $! >{}/pid; wait", mark.display());
        let slow = Tool::system("sh").unwrap().args(["-c", &script]).timeout(Duration::from_secs(2)).run();
        assert_eq!(slow.unwrap_err().source.kind(), io::ErrorKind::TimedOut);
        let pid = super::super::fs::read_limited(&mark.join("pid"), 64).unwrap();
        let home = format!("/proc/{}/cmdline", String::from_utf8_lossy(&pid).trim());
        let line = || super::super::fs::read_limited(Path::new(&home), 1 << 10).unwrap_or_default();
        let watch = Watch::start();
        while String::from_utf8_lossy(&line()).contains(&name) && watch.elapsed() < Duration::from_secs(5) {
            std::thread::park_timeout(Duration::from_millis(20));
        }
        assert!(!String::from_utf8_lossy(&line()).contains(&name));
    }

    #[test]
    fn what_is_left_behind_is_not_waited_for() {
        let watch = Watch::start();
        let tool = Tool::system("sh").unwrap().args(["-c", "echo said; echo too >&2; sleep 30 & exit 3"]);
        let output = tool.run().unwrap();
        assert_eq!((output.status.code(), output.text().as_str()), (Some(3), "said\n"));
        assert_eq!(output.stderr, b"too\n");
        assert!(watch.elapsed() < Duration::from_secs(10), "{:?}", watch.elapsed());
    }

    #[test]
    fn much_output_is_cut_and_never_blocks() {
        let tool = Tool::system("head").unwrap().args(["-c", "9000000", "/dev/zero"]);
        assert_eq!(tool.run().unwrap().stdout.len(), OUTPUT_LIMIT);
    }
}
