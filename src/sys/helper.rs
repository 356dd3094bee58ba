//! This very program, started once more for a part of its work.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use super::Result;
use super::error::Context as _;

/// The running program: the very file that was started, also after it was replaced or removed.
const PROGRAM: &str = "/proc/self/exe";
/// Most bytes kept of what it writes to standard error.
const SAID_LIMIT: u64 = 16 << 10;

/// A second process of this program. It ends when this is dropped.
#[derive(Debug)]
pub struct Helper {
    child: Child,
    stdout: Option<ChildStdout>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

impl Helper {
    /// Starts it with these arguments, no environment at all, and `input` as its descriptor 0.
    ///
    /// # Errors
    /// When it cannot be started.
    #[allow(clippy::disallowed_methods, reason = "this is the door")]
    pub fn start<'a>(args: impl IntoIterator<Item = &'a str>, input: File) -> Result<Self> {
        let mut command = Command::new(PROGRAM);
        command.arg0("demisto-install").args(args).env_clear().current_dir("/");
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0); // Ctrl-C is for us; it ends with us
        let mut child = command.spawn().context("run", Path::new(PROGRAM))?;
        let stdout = child.stdout.take();
        let stderr = child.stderr.take().map(|pipe| std::thread::spawn(move || drain(pipe)));
        Ok(Self { child, stdout, stderr })
    }

    /// Waits for its end; gives how it ended and what it wrote to standard error, cut at 16 KiB.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn end(mut self) -> Result<(ExitStatus, String)> {
        drop(self.stdout.take()); // it must not wait for a reader
        let said = self.stderr.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        let status = self.child.wait().context("run", Path::new(PROGRAM))?;
        Ok((status, String::from_utf8_lossy(&said).trim_end().to_owned()))
    }
}

/// Its standard output.
impl Read for Helper {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stdout.as_mut().map_or(Ok(0), |pipe| pipe.read(buffer))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill(); // one that has ended is left alone
        let _ = self.child.wait();
    }
}

fn drain(mut pipe: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = pipe.by_ref().take(SAID_LIMIT).read_to_end(&mut bytes);
    let _ = io::copy(&mut pipe, &mut io::sink()); // so that the writer never blocks
    bytes
}
