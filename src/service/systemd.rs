use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::logs::{Place, holder};
use crate::product::{self, under};
use crate::sys::dir::Dir;
use crate::sys::process::Tool;
use crate::sys::{self, Result};

/// A unit's state as systemd gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct State {
    /// `ActiveState`.
    pub active: String,
    /// `SubState`.
    pub sub: String,
    /// `MainPID`; 0 when there is none.
    pub pid: u32,
    /// `NRestarts`: how often it was restarted after failing.
    pub restarts: u32,
}

impl State {
    /// Whether the unit runs.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active == "active"
    }

    /// Whether the unit runs, or systemd is about to let it run: also one that fails again and again.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        matches!(self.active.as_str(), "active" | "activating" | "reloading")
    }
}

fn systemctl() -> Result<Tool> {
    Tool::system("systemctl").map(|tool| tool.arg("--no-pager"))
}

/// Asks for a unit's state.
///
/// # Errors
/// When systemctl cannot be run.
pub fn state(unit: &str) -> Result<State> {
    let output = systemctl()?
        .args(["show", "-p", "ActiveState,SubState,MainPID,NRestarts", "--", unit])
        .timeout(Duration::from_secs(20))
        .check()?;
    let text = output.text();
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().to_owned()
    };
    Ok(State {
        active: value("ActiveState"),
        sub: value("SubState"),
        pid: value("MainPID").parse().unwrap_or(0),
        restarts: value("NRestarts").parse().unwrap_or(0),
    })
}

/// Properties of a unit as they count now, by lower-case name, without those that this systemd does not know;
/// `None` when it has no such unit.
///
/// # Errors
/// When systemctl cannot be run.
pub fn properties(unit: &str, names: &[&str]) -> Result<Option<BTreeMap<String, String>>> {
    let asked = format!("LoadState,{}", names.join(","));
    let output =
        systemctl()?.args(["show", "-p", &asked, "--", unit]).timeout(Duration::from_secs(20)).check()?;
    let text = output.text();
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let mut found: BTreeMap<String, String> =
        pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    let loaded = found.remove("loadstate");
    Ok(Some(found).filter(|_| loaded.as_deref() == Some("loaded")))
}

/// As [`state`], of a unit that may come up yet.
///
/// # Errors
/// Why it will not, in words.
pub(super) fn up(unit: &str) -> std::result::Result<State, String> {
    let state = state(unit).map_err(|e| format!("{e}: {}", e.source))?;
    if state.active == "failed" || state.restarts > 2 {
        return Err(format!("{unit} does not stay up: {} ({} restarts)", state.active, state.restarts));
    }
    Ok(state)
}

/// Makes systemd read its units again.
///
/// # Errors
/// When it does not.
pub fn daemon_reload() -> Result<()> {
    systemctl()?.arg("daemon-reload").check().map(drop)
}

/// Starts a unit.
///
/// # Errors
/// When systemd reports that it did not start.
pub fn start(unit: &str) -> Result<()> {
    // a unit that failed often in a short time would be refused although its cause is gone
    let _ = systemctl()?.args(["reset-failed", "--", unit]).run();
    systemctl()?.args(["start", "--", unit]).check().map(drop)
}

/// Stops a unit and waits for its end.
///
/// # Errors
/// When systemd reports that it did not stop.
pub fn stop(unit: &str) -> Result<()> {
    systemctl()?.args(["stop", "--", unit]).timeout(Duration::from_secs(180)).check().map(drop)
}

/// Most bytes looked at of a log's end.
const LOG_END: u64 = 64 << 10;

/// The last lines that the unit logged, or those of the product's log.
#[must_use]
pub fn log_tail(unit: &str, log: Place, lines: usize) -> Vec<String> {
    let journal = Tool::system("journalctl").and_then(|tool| {
        let count = lines.to_string();
        tool.args(["--no-pager", "-q", "-o", "cat", "-n", &count, "-u", unit])
            .timeout(Duration::from_secs(10))
            .run()
    });
    let journal = journal.map(|output| output.text()).unwrap_or_default();
    let file = end_of(log).unwrap_or_default();
    let last = |text: &str| -> Vec<String> {
        let clean = |line: &str| line.chars().filter(|c| !c.is_control() || *c == '\t').collect();
        let mut tail: Vec<String> = text.lines().rev().take(lines).map(clean).collect();
        tail.reverse();
        tail
    };
    let journal = last(&journal);
    if journal.is_empty() { last(&file) } else { journal }
}

/// The end of a log that the service's account can replace by anything: no link is followed, no
/// pipe waited for, and no more read than is shown.
fn end_of(log: Place) -> Option<String> {
    let (dir, name) = holder(log).ok()?;
    let mut file = dir.open_file(name).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_END))).ok()?;
    let mut bytes = Vec::new();
    file.take(LOG_END).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The link by which a unit with `WantedBy=multi-user.target` is enabled.
const WANTS: &str = "multi-user.target.wants";

/// Whether a unit is enabled below `root`.
#[must_use]
pub fn is_enabled(root: &Path, unit: &str) -> bool {
    sys::fs::exists(&under(root, product::UNIT_DIR).join(WANTS).join(unit))
}

/// Enables a unit: the link that `systemctl enable` would make. Done by hand so that it works the
/// same in an image without systemd and can be undone exactly.
///
/// # Errors
/// When the link cannot be made.
pub fn enable(root: &Path, unit: &str) -> Result<()> {
    let units = Dir::open(&under(root, product::UNIT_DIR))?;
    if units.stat(WANTS)?.is_none() {
        units.make_private_dir(WANTS)?;
    }
    let wants = units.open_dir(WANTS)?;
    // made just now, or by a run that was cut off right after that
    if wants.stat_self()?.mode == 0o700 && wants.raw_names()?.is_empty() {
        wants.set_owner_and_mode(None, 0o755)?;
        wants.sync()?;
        units.sync()?;
    }
    if wants.stat(unit)?.is_none() {
        let own = format!("{}/{unit}", product::UNIT_DIR);
        let packaged = format!("{}/{unit}", product::UnitDir::Packages.path());
        let is_packaged = !sys::fs::exists(&under(root, &own)) && sys::fs::exists(&under(root, &packaged));
        wants.create_symlink(if is_packaged { packaged } else { own }, unit, None)?;
    }
    wants.sync()
}

/// Disables a unit; the directory of links goes when it is empty.
///
/// # Errors
/// When the link cannot be removed.
pub fn disable(root: &Path, unit: &str) -> Result<()> {
    let path = under(root, product::UNIT_DIR);
    if sys::fs::stat(&path.join(WANTS))?.is_none() {
        return Ok(());
    }
    let units = Dir::open(&path)?;
    let wants = units.open_dir(WANTS)?;
    wants.remove_file(unit)?;
    if !wants.names()?.is_empty() {
        return wants.sync();
    }
    units.remove_dir(WANTS)?;
    units.sync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the test prepares the files")]
    fn only_the_end_of_a_plain_log_is_read() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("var/log/demisto");
        std::fs::create_dir_all(&dir).unwrap();
        let end_of =
            |name: &str| super::end_of(Place::Product(root.path(), &format!("/var/log/demisto/{name}")));
        let log = dir.join("server.log");
        let text = "x".repeat(100_000) + "\nlast";
        sys::fs::write_atomic(&log, text.as_bytes(), 0o600).unwrap();
        let end = end_of("server.log").unwrap();
        assert!(end.len() == 64 << 10 && end.ends_with("\nlast"));
        let link = dir.join("link");
        std::os::unix::fs::symlink(&log, &link).unwrap();
        assert_eq!(end_of("link"), None);
        let other = root.path().join("other");
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join("d1.log"), "secret").unwrap();
        std::os::unix::fs::symlink(&other, dir.join("d1_x")).unwrap();
        assert_eq!(end_of("d1_x/d1.log"), None);
        let pipe = dir.join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(end_of("pipe"), None);
    }
}
