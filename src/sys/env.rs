//! The environment and facts of the process.

use std::ffi::OsString;
use std::path::PathBuf;

/// The value of an environment variable that is valid text.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is the door")]
pub fn var(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The value of an environment variable as it is.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is the door")]
pub fn var_os(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// The arguments of the program.
#[must_use]
pub fn args() -> Vec<OsString> {
    std::env::args_os().collect()
}

/// The path of the running program, for messages only: its bytes are read through `/proc/self/exe`.
#[must_use]
pub fn program() -> PathBuf {
    std::env::current_exe().unwrap_or_else(|_| PathBuf::from("demisto-install"))
}

/// Whether the process runs as root.
#[must_use]
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// The effective user id.
#[must_use]
pub fn uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// The effective group id.
#[must_use]
pub fn gid() -> u32 {
    nix::unistd::getegid().as_raw()
}

/// Who logged in, and the audit session: numbers that the kernel keeps for a process from its login on, whoever
/// it becomes (`/proc/self/loginuid` and `sessionid`, proc(5)); none where there was no login.
#[must_use]
pub fn login() -> (Option<u32>, Option<u32>) {
    let number = |name: &str| {
        let bytes = super::fs::read_limited(&std::path::Path::new("/proc/self").join(name), 64).ok()?;
        std::str::from_utf8(&bytes).ok()?.trim().parse().ok().filter(|id| *id != u32::MAX)
    };
    (number("loginuid"), number("sessionid"))
}

/// The process id.
#[must_use]
pub fn pid() -> u32 {
    std::process::id()
}

/// The host's name, or `localhost`.
#[must_use]
pub fn hostname() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

/// The kernel's release and the machine's architecture, as `uname -r` and `uname -m` tell them.
#[must_use]
pub fn kernel() -> (String, String) {
    let told = nix::sys::utsname::uname();
    let text = |field: fn(&nix::sys::utsname::UtsName) -> &std::ffi::OsStr| {
        told.as_ref().map_or_else(|_| String::new(), |told| field(told).to_string_lossy().into_owned())
    };
    (text(nix::sys::utsname::UtsName::release), text(nix::sys::utsname::UtsName::machine))
}

/// How many files a process may have open when it asks for as many as it is allowed to.
#[must_use]
pub fn open_files() -> u64 {
    let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
    limit.map_or(u64::MAX, |(_, hard)| hard)
}

/// How many workers the machine can run at once, at most `cap`.
#[must_use]
pub fn workers(cap: usize) -> usize {
    if super::fault::active() {
        return 1; // fault points are counted; the order of work has to be the same in every run
    }
    std::thread::available_parallelism().map_or(1, usize::from).clamp(1, cap)
}

/// As [`workers`], for work that waits for a device in between: one more, so that the processors
/// have something to do meanwhile.
#[must_use]
pub fn waiting_workers(cap: usize) -> usize {
    if super::fault::active() { 1 } else { workers(cap).saturating_add(1).min(cap) }
}
