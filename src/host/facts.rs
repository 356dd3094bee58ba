use std::path::Path;

use serde::Serialize;

use crate::sys;

/// Facts about the running host that planning and checks need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The host's name.
    pub hostname: String,
    /// Whether systemd is the service manager (sd_booted(3)).
    pub systemd: bool,
    /// Whether SELinux is switched on.
    pub selinux: bool,
    /// Processors.
    pub cpus: u64,
    /// Memory in MiB.
    pub memory_mib: u64,
}

/// Gathers the facts.
#[must_use]
pub fn facts() -> Facts {
    Facts {
        hostname: sys::env::hostname(),
        systemd: sys::fs::exists(Path::new("/run/systemd/system")),
        selinux: sys::fs::exists(Path::new("/sys/fs/selinux/enforce")),
        cpus: std::thread::available_parallelism().map_or(1, usize::from) as u64,
        memory_mib: memory_mib(),
    }
}

fn text(path: &str) -> String {
    let bytes = sys::fs::read_limited(Path::new(path), 1 << 20).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn memory_mib() -> u64 {
    let info = text("/proc/meminfo");
    let total = info.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}
