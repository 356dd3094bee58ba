//! Whether an engine works: its unit is up, and its log says that it is connected to a server.
//!
//! An engine listens to nobody, so its log is asked, as the guide does ("Viewing the System Logs"). Only
//! lines count that were written since the start. The log belongs to the service: no link is followed.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::health::{self, Healthy, Look};
use super::logs::{Place, holder};
use super::systemd::{self, State};
use crate::productlog::{Facts, SelfTests};
use crate::sys::dir;
use crate::types::{Version, printable_line};

/// Longest part of a line that is kept.
const LINE: usize = 8 << 10;
/// Most bytes that one look reads.
const PIECE: u64 = 1 << 20;
/// As long an engine has to stay up when its log hides whether it is connected.
const STAYS: Duration = Duration::from_secs(10);

/// A log that is followed over its rotation: by a new file in its place, or by cutting it short.
#[derive(Debug)]
pub struct Log {
    root: PathBuf,
    path: String,
    held: Option<Held>,
    rest: Vec<u8>,
}

#[derive(Debug)]
struct Held {
    file: File,
    inode: u64,
    offset: u64,
}

impl Log {
    /// Follows the log `path`, absolute as the installed system sees it, from its present end.
    #[must_use]
    pub fn at_end(root: &Path, path: &str) -> Self {
        let mut log = Self { root: root.to_owned(), path: path.to_owned(), held: None, rest: Vec::new() };
        if let Some((file, inode)) = log.open() {
            let offset = file.metadata().map_or(0, |meta| meta.len());
            log.held = Some(Held { file, inode, offset });
        }
        log
    }

    /// Follows a log and begins with what it said last, which tells of the last start.
    #[must_use]
    pub fn with_past(root: &Path, path: &str) -> Self {
        let mut log = Self::at_end(root, path);
        if let Some(held) = &mut log.held {
            held.offset = held.offset.saturating_sub(PIECE);
        }
        log
    }

    /// Only what lies in the product's directory of logs is opened.
    fn open(&self) -> Option<(File, u64)> {
        let (dir, name) = holder(Place::Product(&self.root, &self.path)).ok()?;
        let file = dir.open_file(&name).ok()?;
        let inode = dir::stat_file(&file, &dir.path_of(&name)).ok()?.ino;
        Some((file, inode))
    }

    /// The lines that were completed since the last time.
    fn lines(&mut self) -> Vec<String> {
        let mut bytes = std::mem::take(&mut self.rest);
        if let Some(held) = &mut self.held {
            held.read(&mut bytes);
        }
        if let Some((file, inode)) = self.open().filter(|(_, inode)| !self.holds(*inode)) {
            let mut held = Held { file, inode, offset: 0 };
            held.read(&mut bytes);
            self.held = Some(held);
        }
        let end = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at.saturating_add(1));
        self.rest = bytes.split_off(end);
        if self.rest.len() > LINE {
            self.rest.clear(); // no line of an engine's is as long
        }
        String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
    }

    fn holds(&self, inode: u64) -> bool {
        self.held.as_ref().is_some_and(|held| held.inode == inode)
    }
}

impl Held {
    fn read(&mut self, bytes: &mut Vec<u8>) {
        let length = self.file.metadata().map_or(0, |meta| meta.len());
        if length < self.offset {
            self.offset = 0; // it was cut short
        }
        if self.file.seek(SeekFrom::Start(self.offset)).is_ok() {
            let count = (&mut self.file).take(PIECE).read_to_end(bytes).unwrap_or(0);
            self.offset = self.offset.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        }
    }
}

/// What to wait for.
#[derive(Debug)]
pub struct Engine<'a> {
    /// The unit.
    pub unit: &'a str,
    /// The version that its log should name.
    pub version: Option<Version>,
    /// Whether the log tells about connections at all; if not, it only has to stay up.
    pub logged: bool,
    /// Whether the log has to say that the FIPS-CC self-tests passed at this start.
    pub fips: bool,
    /// How long to wait.
    pub limit: Duration,
}

/// What the log has said so far.
#[derive(Debug, Default)]
struct Said {
    facts: Facts,
    last: String,
}

impl Said {
    fn hear(&mut self, line: &str) {
        let _ = self.facts.read(&mut line.as_bytes()); // memory can be read
        self.last = printable_line(line);
    }

    /// The version of the start that the log tells of.
    fn version(&self) -> Option<Version> {
        let version = self.facts.start.as_ref()?.version.as_str();
        version.split_once('-').map_or(version, |(version, _)| version).parse().ok()
    }

    fn is_connected(&self) -> bool {
        self.facts.connection.as_ref().is_some_and(|connection| connection.up)
    }
}

/// Waits until the engine is connected.
///
/// # Errors
/// With what is still missing when the time is over, or at once when the unit has failed or another
/// version has started.
pub fn await_connection(wanted: &Engine, log: &mut Log) -> Result<Healthy, String> {
    let (mut said, mut up_since) = (Said::default(), None);
    health::until(wanted.limit, &mut |elapsed| {
        log.lines().iter().for_each(|line| said.hear(line));
        match look(wanted, &said) {
            Err(why) => Look::InVain(why),
            Ok((_, Some(missing))) => Look::Missing(missing),
            Ok((_, None)) if wanted.logged => Look::Works(said.version().map(|version| version.to_string())),
            Ok((pid, None)) => match up_since {
                Some((since, same)) if same == pid && elapsed.saturating_sub(since) >= STAYS => {
                    Look::Works(None)
                }
                _ => {
                    if up_since.is_none_or(|(_, same)| same != pid) {
                        up_since = Some((elapsed, pid));
                    }
                    Look::Missing("it has not stayed up long enough".to_owned())
                }
            },
        }
    })
}

/// The process, and what is missing yet.
fn look(wanted: &Engine, said: &Said) -> Result<(u32, Option<String>), String> {
    let state: State = systemd::up(wanted.unit)?;
    if !state.is_active() {
        return Ok((state.pid, Some(format!("{} is {} ({})", wanted.unit, state.active, state.sub))));
    }
    if let (Some(found), Some(version)) = (said.version(), wanted.version)
        && found != version
    {
        return Err(format!("{} says that it is version {found}, not {version}", wanted.unit));
    }
    match said.facts.fips.self_tests {
        SelfTests::Failed if wanted.fips => return Err("its FIPS-CC self-tests failed".to_owned()),
        SelfTests::Unknown if wanted.fips => {
            let missing = "its log does not say that its FIPS-CC self-tests passed";
            return Ok((state.pid, Some(missing.to_owned())));
        }
        _ => {}
    }
    if said.is_connected() || !wanted.logged {
        return Ok((state.pid, None));
    }
    let last = if said.last.is_empty() { String::new() } else { format!("; it says: {}", said.last) };
    Ok((state.pid, Some(format!("{} is not connected to a server{last}", wanted.unit))))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the test writes and rotates the logs")]
mod tests {
    use std::fs;

    use super::*;

    struct Written(tempfile::TempDir);

    impl Written {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            fs::create_dir_all(root.path().join("var/log/demisto/d1_x")).unwrap();
            Self(root)
        }

        fn path(&self) -> PathBuf {
            self.0.path().join("var/log/demisto/d1_x/d1.log")
        }

        fn log(&self) -> Log {
            Log::at_end(self.0.path(), "/var/log/demisto/d1_x/d1.log")
        }

        fn add(&self, text: &str) {
            use std::io::Write as _;
            let file = fs::OpenOptions::new().append(true).create(true).open(self.path());
            file.unwrap().write_all(text.as_bytes()).unwrap();
        }
    }

    #[test]
    fn only_what_is_new_is_read_over_every_rotation() {
        let written = Written::new();
        written.add("old\n");
        let mut log = written.log();
        assert_eq!(log.lines(), [""; 0]);
        written.add("one\ntw");
        assert_eq!(log.lines(), ["one"]);
        written.add("o\n");
        assert_eq!(log.lines(), ["two"]);
        written.add("last\n");
        fs::rename(written.path(), written.path().with_extension("1")).unwrap();
        written.add("first\n");
        assert_eq!(log.lines(), ["last", "first"]);
        fs::write(written.path(), "cut\n").unwrap();
        assert_eq!(log.lines(), ["cut"]);
        fs::remove_file(written.path()).unwrap();
        assert_eq!(log.lines(), [""; 0]);
        written.add("again\n");
        assert_eq!(log.lines(), ["again"]);
    }

    #[test]
    fn a_log_that_comes_later_is_read_from_its_beginning() {
        let written = Written::new();
        let mut log = written.log();
        written.add("first\n");
        assert_eq!(log.lines(), ["first"]);
    }

    #[test]
    fn no_link_is_followed() {
        let written = Written::new();
        let secret = written.0.path().join("secret");
        fs::write(&secret, "x\n").unwrap();
        std::os::unix::fs::symlink(&secret, written.path()).unwrap();
        assert!(written.log().open().is_none());
        let mut outside = Log::at_end(written.0.path(), "/secret");
        fs::write(&secret, "x\ny\n").unwrap();
        assert_eq!(outside.lines(), [""; 0]);
    }
}
