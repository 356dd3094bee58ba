//! Takes every right from this process but to compute, before it looks at bytes that nobody vouches for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;

use nix::libc;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

use super::error::Context as _;
use super::{Error, Result};

/// Most memory that the process may map, in bytes: the program itself and the 66 MiB that the largest
/// presets of xz need.
const MEMORY: u64 = 192 << 20;
/// `nobody` (systemd's uids-gids, and every distribution): owns nothing.
const NOBODY: u32 = 65_534;

/// Leaves this process nothing but reading at any place of descriptor 0, writing to 1 and 2, memory within
/// bounds, and its end: no file can be opened, nothing started, nobody reached. It dies with the process that
/// started it. Where it is root it becomes nobody first. A call that is not allowed ends it.
///
/// Only for a process with a single thread that was started for this. What is opened here is the file behind
/// descriptor 0.
///
/// # Errors
/// When a right cannot be given up: the process must end then.
pub fn enter() -> Result<File> {
    let this = Path::new("this process");
    let program = filter().map_err(|e| Error::new("confine", this, io::Error::other(e)))?;
    close_others();
    let input = io::stdin().as_fd().try_clone_to_owned().context("confine", this)?;
    if super::env::is_root() {
        let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        setgroups(&[]).context("confine", this)?;
        setresgid(gid, gid, gid).context("confine", this)?;
        setresuid(uid, uid, uid).context("confine", this)?;
    }
    // a change of the user takes this back, so it comes after that
    prctl::set_pdeathsig(Signal::SIGKILL).context("confine", this)?;
    prctl::set_dumpable(false).context("confine", this)?;
    let limits = [
        (Resource::RLIMIT_AS, MEMORY),
        (Resource::RLIMIT_FSIZE, 0),
        (Resource::RLIMIT_NOFILE, 0),
        (Resource::RLIMIT_NPROC, 0),
        (Resource::RLIMIT_CORE, 0),
    ];
    for (resource, limit) in limits {
        // what this process was started with may be less already
        let (_, most) = getrlimit(resource).context("confine", this)?;
        let limit = limit.min(most);
        setrlimit(resource, limit, limit).context("confine", this)?;
    }
    prctl::set_no_new_privs().context("confine", this)?;
    apply_filter(&program).map_err(|e| Error::new("confine", this, io::Error::other(e)))?;
    Ok(File::from(input))
}

/// Closes what was inherited besides the three standard streams.
fn close_others() {
    let names = super::fs::list(Path::new("/proc/self/fd")).unwrap_or_default();
    for fd in names.iter().filter_map(|name| name.parse::<i32>().ok()).filter(|fd| *fd > 2) {
        let _ = nix::unistd::close(fd); // the one that listed them is closed already
    }
}

/// The calls that are left. Any other kills the process.
fn filter() -> std::result::Result<BpfProgram, seccompiler::Error> {
    let only = |argument, operator, value| -> std::result::Result<_, seccompiler::Error> {
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?;
        Ok(SeccompRule::new(vec![condition])?)
    };
    let free = [
        libc::SYS_read,
        libc::SYS_pread64,
        libc::SYS_close,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_brk,
        libc::SYS_madvise,
        libc::SYS_futex,
        libc::SYS_sigaltstack,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_restart_syscall,
        libc::SYS_clock_gettime,
        libc::SYS_getrandom,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        free.into_iter().map(|call| (call, Vec::new())).collect();
    let output = vec![only(0, SeccompCmpOp::Eq, 1)?, only(0, SeccompCmpOp::Eq, 2)?];
    rules.insert(libc::SYS_write, output.clone());
    rules.insert(libc::SYS_writev, output);
    // with debug assertions the standard library looks at a descriptor before it closes it
    let look = u64::from(libc::F_GETFD.unsigned_abs());
    rules.insert(libc::SYS_fcntl, vec![only(1, SeccompCmpOp::Eq, look)?]);
    // memory is never made executable
    let executable = || SeccompCmpOp::MaskedEq(u64::from(libc::PROT_EXEC.unsigned_abs()));
    rules.insert(libc::SYS_mmap, vec![only(2, executable(), 0)?]);
    rules.insert(libc::SYS_mprotect, vec![only(2, executable(), 0)?]);
    let target = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, target)?;
    Ok(filter.try_into()?)
}
