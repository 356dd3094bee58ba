//! Ends the program when the system asks for it.

use std::sync::mpsc::Sender;
use std::thread;

use anyhow::Context as _;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Why the main thread should wake up.
pub(crate) enum Wake {
    /// The system or a person asked the program to stop.
    Stop,
    /// Work can't go on.
    Failed(anyhow::Error),
}

/// Sends [`Wake::Stop`] at the first SIGTERM or SIGINT.
pub(crate) fn watch(wake: Sender<Wake>) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT]).context("cannot watch signals")?;
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            // The main thread is gone already if nobody listens: nothing is left to stop.
            let _ = wake.send(Wake::Stop);
        }
    });
    Ok(())
}
