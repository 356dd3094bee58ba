//! The terminal's state, so that it can be put back.

use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::Mutex;

use nix::errno::Errno;
use nix::sys::termios::{self, LocalFlags, SetArg, SpecialCharacterIndices, Termios};

static SAVED: Mutex<Option<Termios>> = Mutex::new(None);

/// Whether a person can be asked: standard input and standard error are terminals.
#[must_use]
pub fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Whether standard input is a terminal.
#[must_use]
pub fn stdin_is_terminal() -> bool {
    std::io::stdin().is_terminal()
}

/// Whether standard output is a terminal.
#[must_use]
pub fn stdout_is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Whether standard error is a terminal.
#[must_use]
pub fn stderr_is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// The terminal that the program was called at, such as `/dev/pts/1`.
#[must_use]
pub fn name() -> Option<String> {
    let first = nix::unistd::ttyname(std::io::stdin()).or_else(|_| nix::unistd::ttyname(std::io::stderr()));
    first.ok()?.into_os_string().into_string().ok()
}

/// Remembers the terminal's settings as they are now.
pub fn remember() {
    if let (Ok(now), Ok(mut saved)) = (termios::tcgetattr(std::io::stdin().as_fd()), SAVED.lock()) {
        saved.get_or_insert(now);
    }
}

/// Puts the remembered settings back and shows the cursor: a prompt that was interrupted leaves
/// the echo off and the cursor hidden.
pub fn restore() {
    let Ok(saved) = SAVED.lock() else { return };
    if let Some(settings) = saved.as_ref() {
        let _ = termios::tcsetattr(std::io::stdin().as_fd(), SetArg::TCSANOW, settings);
        if stderr_is_terminal() {
            let _ = std::io::stderr().write_all(b"\x1b[?25h");
        }
    }
}

/// While it lives, keys come one by one and none is echoed.
///
/// Ctrl-C still sends its signal. Ctrl-\\ and Ctrl-Z do not: nobody would put the terminal back.
#[derive(Debug)]
pub struct Hidden(Termios);

impl Hidden {
    /// Turns the echo off. What was typed before is dropped: it was answered to no question.
    ///
    /// # Errors
    /// When standard input is no terminal.
    pub fn begin() -> io::Result<Self> {
        let before = termios::tcgetattr(std::io::stdin().as_fd())?;
        let mut hidden = before.clone();
        hidden.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ECHONL);
        let settings = [
            (SpecialCharacterIndices::VMIN, 1),
            (SpecialCharacterIndices::VTIME, 0),
            (SpecialCharacterIndices::VQUIT, 0), // 0 turns a key off on Linux (_POSIX_VDISABLE)
            (SpecialCharacterIndices::VSUSP, 0),
        ];
        for (index, value) in settings {
            if let Some(slot) = hidden.control_chars.get_mut(index as usize) {
                *slot = value;
            }
        }
        termios::tcsetattr(std::io::stdin().as_fd(), SetArg::TCSAFLUSH, &hidden)?;
        Ok(Self(before))
    }

    /// Waits for the next byte; `None` when the terminal is gone.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn next(&self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        loop {
            match nix::unistd::read(std::io::stdin().as_fd(), &mut byte) {
                Ok(0) | Err(Errno::EIO) => return Ok(None),
                Ok(_) => return Ok(Some(byte[0])),
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(std::io::stdin().as_fd(), SetArg::TCSADRAIN, &self.0);
    }
}
