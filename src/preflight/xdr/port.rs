//! The port of peer-to-peer content updates: who holds it (the vendor's page, step 5).

use super::{Facts, Protocol};
use crate::preflight::Verdict;

/// The port unless the Agent settings profile names another.
pub const P2P_PORT: u16 = 33221;
/// Where the agent for Linux is installed.
const AGENT_DIR: &str = "/opt/traps/";
/// Short names of its services.
const AGENT_NAMES: [&str; 1] = ["pmd"];

/// Who holds a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    /// Nobody.
    Free,
    /// Somebody.
    Held(Holder),
    /// Somebody whom only root can see.
    Unseen,
    /// It was not looked at, and why.
    NotLooked(String),
}

/// A process that holds a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The process id.
    pub pid: u32,
    /// Its short name.
    pub name: String,
    /// Its program, where that can be seen.
    pub program: Option<String>,
    /// Whether that is the file which has this name on the host, not only to the process.
    pub is_here: bool,
}

pub(super) fn judge(protocol: Protocol, facts: &Facts) -> Verdict {
    let port = format!("{protocol} port {}", facts.port);
    match facts.held(protocol) {
        Port::NotLooked(why) => Verdict::skipped(why),
        Port::Free => Verdict::pass(format!("{port} is free")),
        Port::Unseen => Verdict::warn(format!("{port} is held by a process that only root can see"))
            .mended_by("run it as root, which sees whether it is the agent"),
        Port::Held(Holder { pid, name, program, is_here }) => {
            let known = AGENT_NAMES.contains(&name.as_str());
            let who = format!("{name}, process {pid}");
            match program {
                Some(program) if *is_here && program.starts_with(AGENT_DIR) => {
                    Verdict::pass(format!("{port} is held by the agent ({program}, {who})"))
                }
                None if known => Verdict::warn(format!(
                    "{port} is held by {who}, which may be the agent: its program cannot be seen"
                ))
                .mended_by("run it as root, which sees whether it is the agent"),
                Some(program) if !is_here => Verdict::fail(format!(
                    "{port} is held by {who} ({program}, which is not the file of that name here)"
                )),
                _ => {
                    let program = program.as_deref().unwrap_or("a program that cannot be seen");
                    Verdict::fail(format!("{port} is held by {who} ({program})"))
                }
            }
        }
    }
}
