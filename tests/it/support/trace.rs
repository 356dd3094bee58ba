//! The system calls of a run, as strace tells them.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::pgp::need;

pub(crate) const STRACE: &str = "/usr/bin/strace";

/// Every call that changes a file system, or makes changes durable.
pub(crate) const CHANGES: &str = "openat,open,creat,mkdir,mkdirat,write,writev,pwrite64,pwritev,pwritev2,\
    truncate,ftruncate,copy_file_range,sendfile,splice,fallocate,rename,renameat,renameat2,link,linkat,symlink,\
    symlinkat,unlink,unlinkat,rmdir,mknod,mknodat,chmod,fchmod,fchmodat,chown,lchown,fchown,fchownat,setxattr,\
    lsetxattr,fsetxattr,removexattr,fremovexattr,fsync,fdatasync,syncfs,sync,sync_file_range,lseek,ioctl";

/// One call that succeeded.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) args: Vec<String>,
    /// What it gave, with what strace says of it.
    pub(crate) result: String,
}

impl Call {
    /// A number among the arguments, or the result when there is no such argument.
    pub(crate) fn number(&self, at: usize) -> i64 {
        number(&self.args[at])
    }

    pub(crate) fn gave(&self) -> i64 {
        number(&self.result)
    }

    /// The file that an argument that is a descriptor stands for.
    pub(crate) fn file(&self, at: usize) -> Option<PathBuf> {
        opened(&self.args[at])
    }

    /// The path of a name, relative to the descriptor before it.
    pub(crate) fn path(&self, at: usize) -> PathBuf {
        let name = PathBuf::from(text(&self.args[at]));
        match at.checked_sub(1).and_then(|dir| opened(&self.args[dir])) {
            Some(dir) if name.is_relative() => dir.join(name),
            _ => name,
        }
    }

    /// The bytes of an argument.
    pub(crate) fn bytes(&self, at: usize) -> Vec<u8> {
        text(&self.args[at]).into_vec()
    }
}

fn number(text: &str) -> i64 {
    let text = text.trim_start_matches('[');
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(text.len());
    let text = &text[..end];
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16),
        None if text.len() > 1 && text.starts_with('0') => i64::from_str_radix(text, 8),
        None => text.parse(),
    };
    parsed.unwrap_or_else(|_| panic!("{text:?} is no number"))
}

/// `7<\x2f...>`: what the descriptor stands for; none for one that has no name any more.
fn opened(text: &str) -> Option<PathBuf> {
    let (_, rest) = text.split_once('<')?;
    let (path, rest) = rest.split_once('>')?;
    if rest.contains("(deleted)") { None } else { Some(PathBuf::from(unescape(path))) }
}

/// A quoted string in hexadecimal.
fn text(quoted: &str) -> OsString {
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    unescape(inner.unwrap_or_else(|| panic!("{quoted} is no whole string")))
}

fn unescape(text: &str) -> OsString {
    let digits = text.split("\\x").skip(1);
    OsString::from_vec(digits.map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect())
}

/// Runs a command under strace with these arguments; gives what it said, and strace's log.
pub(crate) fn strace(command: &Command, options: &[&str]) -> (Output, String) {
    need("strace", "strace");
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut traced = Command::new(STRACE);
    traced.args(["-f", "-o"]).arg(&log).args(options).arg("--").arg(command.get_program());
    traced.args(command.get_args()).stdin(std::process::Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => traced.env(name, value),
            None => traced.env_remove(name),
        };
    }
    let output = traced.output().unwrap();
    (output, fs::read_to_string(log).unwrap())
}

/// The calls that changed something, of a run with one worker that must succeed.
pub(crate) fn changes(command: &mut Command) -> Vec<Call> {
    command.env("DEMISTO_INSTALL_FAULT_LOG", "/dev/null");
    let filter = format!("trace={CHANGES}");
    let (output, log) = strace(command, &["-y", "-xx", "-s", "33554432", "-e", &filter]);
    assert!(output.status.success(), "{}", super::installer::said(&output));
    calls(&log)
}

/// The calls of a log that succeeded, in the order in which they ended.
pub(crate) fn calls(log: &str) -> Vec<Call> {
    let mut begun: HashMap<&str, &str> = HashMap::new();
    let mut calls = Vec::new();
    for line in log.lines() {
        let (thread, rest) = line.split_once(' ').unwrap();
        let rest = rest.trim_start();
        if let Some(start) = rest.strip_suffix("<unfinished ...>") {
            begun.insert(thread, start);
        } else if rest.starts_with("<...") {
            let (_, end) = rest.split_once("resumed>").unwrap();
            let whole = format!("{}{}", begun.remove(thread).unwrap_or_default().trim_end(), end);
            calls.extend(call(&whole));
        } else {
            calls.extend(call(rest));
        }
    }
    calls
}

fn call(line: &str) -> Option<Call> {
    let (name, rest) = line.split_once('(')?;
    let (args, result) = rest.rsplit_once(" = ")?;
    let args = args.trim_end().strip_suffix(')')?;
    if result.starts_with('-')
        || result.starts_with('?')
        || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    {
        return None;
    }
    Some(Call { name: name.to_owned(), args: split(args), result: result.to_owned() })
}

/// The arguments, parted at the commas that are in no bracket. Strings are hexadecimal.
fn split(args: &str) -> Vec<String> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, byte) in args.bytes().enumerate() {
        match byte {
            b'[' | b'{' | b'(' => depth += 1,
            b']' | b'}' | b')' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(args[start..at].trim().to_owned());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(args[start..].trim().to_owned());
    parts
}

/// Whether a path lies below `root`, and what of it is below.
pub(crate) fn below(root: &Path, path: &Path) -> Option<PathBuf> {
    path.strip_prefix(root).ok().map(Path::to_owned)
}
