//! The terminal's state, so that it can be put back.

use std::io::{IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::Mutex;

use nix::sys::termios::{self, SetArg, Termios};

static SAVED: Mutex<Option<Termios>> = Mutex::new(None);

/// Whether a person can be asked: standard input and standard error are terminals.
#[must_use]
pub fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
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
