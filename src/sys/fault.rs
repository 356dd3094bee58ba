//! Points at which a test can stop the program or make a call fail.
//!
//! Every change to the disk and every journal record passes one. In a release the function is
//! empty: the feature does not build without debug assertions.
//!
//! `DEMISTO_INSTALL_FAULT_LOG=FILE` appends each point's number and name to a file.
//! `DEMISTO_INSTALL_FAULT_AT=N` kills the process at the N-th point; `N:ERRNO` makes it fail there.
//! Several, such as `20:5,31`, are parted by commas.

use std::io;

#[cfg(all(feature = "fault-injection", not(debug_assertions)))]
compile_error!("fault-injection is for tests: it must not be part of a release build");

/// Whether this run counts fault points.
#[must_use]
pub fn active() -> bool {
    cfg!(feature = "fault-injection")
        && (super::env::var("DEMISTO_INSTALL_FAULT_AT").is_some()
            || super::env::var("DEMISTO_INSTALL_FAULT_LOG").is_some())
}

/// Passes the point `name`.
///
/// # Errors
/// The error that the test asked for at this point; never in a release.
#[cfg(not(feature = "fault-injection"))]
#[inline]
pub fn point(_name: &'static str) -> io::Result<()> {
    Ok(())
}

/// Passes the point `name`.
///
/// # Errors
/// The error that the test asked for at this point.
#[cfg(feature = "fault-injection")]
pub fn point(name: &'static str) -> io::Result<()> {
    use std::sync::atomic::{AtomicUsize, Ordering};

    static PASSED: AtomicUsize = AtomicUsize::new(0);
    if !active() {
        return Ok(());
    }
    let number = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
    log(number, name);
    let Some(at) = super::env::var("DEMISTO_INSTALL_FAULT_AT") else { return Ok(()) };
    for at in at.split(',') {
        let (at, errno) = at.split_once(':').map_or((at, None), |(n, e)| (n, Some(e)));
        match errno.map(str::parse) {
            _ if at.parse() != Ok(number) => {}
            Some(Ok(errno)) => return Err(io::Error::from_raw_os_error(errno)),
            _ => drop(nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL)),
        }
    }
    Ok(())
}

#[cfg(feature = "fault-injection")]
#[allow(clippy::disallowed_methods, reason = "this is the door")]
fn log(number: usize, name: &str) {
    use std::io::Write as _;

    let Some(path) = super::env::var_os("DEMISTO_INSTALL_FAULT_LOG") else { return };
    if let Ok(mut file) = std::fs::OpenOptions::new().append(true).create(true).open(path) {
        let _ = writeln!(file, "{number} {name}");
    }
}
