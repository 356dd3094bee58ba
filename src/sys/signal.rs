//! Signals that ask the run to end: SIGINT, SIGTERM, SIGHUP.
//!
//! While a question is open nothing has been done yet, so the process ends at once with the
//! terminal put back. While work goes on the signal is only noted: the work looks at
//! [`pending`] at each safe place, undoes what it did, and the program ends with 128 + n.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::tty;

/// How long an interrupted read may take to let go of the terminal.
const SETTLE: std::time::Duration = std::time::Duration::from_millis(30);

static PENDING: AtomicI32 = AtomicI32::new(0);
static WORKING: AtomicBool = AtomicBool::new(false);

/// Starts to watch for signals. Call once, from `main`.
///
/// # Errors
/// When the handlers cannot be set.
pub fn watch() -> io::Result<()> {
    tty::remember();
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            note(signal);
        }
    })?;
    Ok(())
}

fn note(signal: i32) {
    PENDING.store(signal, Ordering::SeqCst);
    if !WORKING.load(Ordering::SeqCst) {
        tty::restore();
        // the read that the signal ended may still be putting its own settings on the terminal
        std::thread::park_timeout(SETTLE);
        tty::restore();
        if tty::stderr_is_terminal() {
            super::fs::print_error("\n"); // the shell's prompt does not follow the open question
        }
        #[allow(
            clippy::disallowed_methods,
            clippy::exit,
            reason = "nothing was changed; a blocking read cannot be ended otherwise"
        )]
        std::process::exit(128 + signal);
    }
}

/// The signal that asked the run to end, if one did.
#[must_use]
pub fn pending() -> Option<i32> {
    match PENDING.load(Ordering::SeqCst) {
        0 => None,
        signal => Some(signal),
    }
}

/// While it lives, a signal is noted and the work ends in order instead of at once.
#[derive(Debug)]
pub struct Working(bool);

impl Working {
    /// Begins a piece of work that must end in order.
    #[must_use]
    pub fn begin() -> Self {
        Self(WORKING.swap(true, Ordering::SeqCst))
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        WORKING.store(self.0, Ordering::SeqCst);
    }
}
