//! What has to happen before anything else in the process.

use std::os::fd::BorrowedFd;
use std::os::raw::c_int;
use std::path::Path;
use std::sync::OnceLock;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::stat::{Mode, umask};

/// OPENSSL_INIT_NO_LOAD_CONFIG (openssl/crypto.h): read no configuration file.
const NO_LOAD_CONFIG: u64 = 0x80;

/// Prepares the process; call it first in `main`, before any thread and any cryptography.
///
/// OpenSSL would otherwise read the file that `$OPENSSL_CONF` names, which can switch algorithms
/// off or load code. The umask is set so that a file is never wider than asked for; every mode
/// that matters is set on a descriptor afterwards.
pub fn process() {
    #[allow(unsafe_code, reason = "no safe wrapper passes these flags")]
    // SAFETY: called once at the start of main with a documented flag and no settings (null).
    let _ok: c_int = unsafe { openssl_sys::OPENSSL_init_ssl(NO_LOAD_CONFIG, std::ptr::null()) };
    // a core file would hold secrets; where the limit cannot be set, it is no looser than before
    let _ = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0);
    let _ = GIVEN.set(umask(Mode::from_bits_truncate(0o077)).bits());
    keep_descriptors();
}

/// What our caller left open is for us, not for the programs that we run. All that we open ourselves is closed in
/// them anyway.
fn keep_descriptors() {
    let names = super::fs::list(Path::new("/proc/self/fd")).unwrap_or_default();
    for number in names.iter().filter_map(|name| name.parse().ok()).filter(|number| *number > 2) {
        #[allow(unsafe_code, reason = "nobody owns what was inherited")]
        // SAFETY: the number is used for this one call; one that is closed by now gives an error
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        let _ = fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
    }
}

/// The umask of whoever called this program.
static GIVEN: OnceLock<u32> = OnceLock::new();

/// The umask that the program was called with, as long as it runs as a program.
#[must_use]
pub fn given_umask() -> Option<u32> {
    GIVEN.get().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_inherited_is_not_passed_on() {
        let file = tempfile::tempfile().unwrap();
        fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        keep_descriptors();
        assert_eq!(fcntl(&file, FcntlArg::F_GETFD).unwrap(), FdFlag::FD_CLOEXEC.bits());
    }
}
