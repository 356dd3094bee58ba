//! What the logs of the server and of the engine say: which build runs, since when, and whether its
//! FIPS-CC self-tests passed.
//!
//! In: the bytes of log files, oldest first. Out: [`Facts`]. Never touches files. A log is written by the
//! service's account from what comes over the network, so nothing counts but whole messages of lines that
//! begin as the product's do, and memory is bounded however long a line is.
//!
//! Sources: the Common Criteria guide, "Verify FIPS-CC Mode" and "Viewing the Current TOE Version".
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

mod line;
mod names;

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufRead};

use serde::Serialize;

use line::Line;
pub use names::newest_first;

/// Longest line that is looked at, in bytes; what is longer is read to its end and cut there.
const LONGEST: usize = 4 << 10;
/// Most error lines that are kept.
const ERRORS: usize = 5;
/// Longest error that is kept, in characters.
const SHOWN: usize = 300;
/// What a start says when the self-tests passed.
const PASSED: &str = "FIPS-CC self-tests passed. FIPS-CC mode enabled successfully.";
/// How what it says begins when they did not.
const FAILED: &str = "FIPS-CC self-tests failed";

/// How an engine's messages begin when it has connected (guide, "Viewing the System Logs").
pub const CONNECTED: [&str; 1] = ["connected to wss://"];
/// And when the connection was lost, cannot be made, or the engine ends itself.
pub const LOST: [&str; 3] = ["connection to wss://", "cannot connect to wss://", "d1 server stopped"];

/// One start of the product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Start {
    /// When, by the clock and in the time zone of the log, which does not name it.
    pub at: String,
    /// What started, such as `server` or `d1 server`.
    pub program: String,
    /// Its version as it says it, such as `6.14.0-3036535`.
    pub version: String,
    /// The build, if the version names one.
    pub build: Option<u64>,
    /// The random id of the run (a UUID).
    pub run_id: String,
}

/// Whether the FIPS-CC mode is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The start said so.
    On,
    /// The self-tests failed: the FIPS error state, in which the product does not run.
    Off,
    /// The start did not say.
    #[default]
    Unknown,
}

/// What became of the self-tests of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelfTests {
    /// All passed.
    Passed,
    /// One failed.
    Failed,
    /// Nothing was logged of them.
    #[default]
    Unknown,
}

/// What the newest start says of the FIPS-CC mode.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Fips {
    /// Whether it is on.
    pub mode: Mode,
    /// The self-tests.
    pub self_tests: SelfTests,
    /// When that was logged.
    pub at: Option<String>,
    /// What was logged of a failure.
    pub problem: Option<String>,
}

impl fmt::Display for Fips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.mode, self.self_tests) {
            (Mode::On, _) => "mode on, self-tests passed",
            (Mode::Off, _) => "error state: the self-tests failed",
            (Mode::Unknown, _) => "unknown: the log of this start does not tell",
        })
    }
}

/// A line at level `error` or worse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// When it was logged.
    pub at: String,
    /// Its level.
    pub level: String,
    /// What it says, fit for a terminal and cut when it is long.
    pub text: String,
}

/// What an engine said last of its connection to a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// Whether there is one.
    pub up: bool,
    /// Since when, as [`Start::at`].
    pub at: Option<String>,
    /// Its words, fit for a terminal and cut when they are long.
    pub text: String,
}

/// What a log says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Facts {
    /// The newest start.
    pub start: Option<Start>,
    /// What that start says of the FIPS-CC mode.
    pub fips: Fips,
    /// What an engine says of its connection since that start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// When the newest line was logged.
    pub last_line_at: Option<String>,
    /// The newest errors, the oldest of them first; also those of earlier starts.
    pub errors: VecDeque<Trouble>,
}

impl Facts {
    /// Takes the lines of `source` in; they are newer than all that was taken in before.
    ///
    /// # Errors
    /// When it cannot be read to its end; what was read until then is taken in.
    pub fn read(&mut self, source: &mut dyn BufRead) -> io::Result<()> {
        let mut line = Vec::with_capacity(LONGEST);
        while next(source, &mut line)? {
            self.take(&String::from_utf8_lossy(&line));
        }
        Ok(())
    }

    /// What two logs say, of which the second is the newer.
    #[must_use]
    pub fn followed_by(mut self, newer: Self) -> Self {
        self.errors.extend(newer.errors);
        let surplus = self.errors.len().saturating_sub(ERRORS);
        self.errors.drain(..surplus);
        let restarted = newer.start.is_some();
        let newer_says = newer.start.is_some() || newer.fips.self_tests != SelfTests::Unknown;
        Self {
            start: newer.start.or(self.start),
            fips: if newer_says { newer.fips } else { self.fips },
            connection: newer.connection.or(self.connection.filter(|_| !restarted)),
            last_line_at: newer.last_line_at.or(self.last_line_at),
            errors: self.errors,
        }
    }

    fn take(&mut self, text: &str) {
        let Some(line) = Line::parse(text) else { return };
        if let Some(start) = line.start() {
            self.start = Some(start);
            self.fips = Fips::default();
            self.connection = None;
        }
        let begins = |words: &[&str]| words.iter().any(|word| line.text().starts_with(word));
        let up = begins(&CONNECTED);
        if up || begins(&LOST) {
            self.connection = Some(Connection { up, at: line.at(), text: line::shown(line.text()) });
        }
        if line.text() == PASSED && line.level == "info" {
            self.fips = Fips { mode: Mode::On, self_tests: SelfTests::Passed, at: line.at(), problem: None };
        }
        if line.is_trouble() {
            // who stops names the reason behind a colon: "d1 server stopped: FIPS-CC self-tests failed"
            let said = line.text().split_once("stopped: ").map_or(line.text(), |(_, why)| why);
            if said.starts_with(FAILED) {
                let problem = Some(line::shown(said));
                self.fips = Fips { mode: Mode::Off, self_tests: SelfTests::Failed, at: line.at(), problem };
            }
            if self.errors.len() >= ERRORS {
                self.errors.pop_front();
            }
            self.errors.push_back(line.trouble());
        }
        self.last_line_at = line.at();
    }
}

/// The next line without its end, cut at [`LONGEST`]; false when there is none.
fn next(source: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut any = false;
    loop {
        let buffer = source.fill_buf()?;
        if buffer.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
        let room = LONGEST.saturating_sub(line.len()).min(part.len());
        line.extend_from_slice(part.get(..room).unwrap_or_default());
        let used = part.len().saturating_add(usize::from(end.is_some()));
        source.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "tests may stop anywhere")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: &str = "2021-10-18 18:35:27.2793 info Starting d1 server, version 6.6.0-2458567 run id: \
         133e2886-81ae-4641-816a-6117fa8ccab5 (source: /builds/x/connection.go:71)\n";
    const PASS: &str = "2021-10-18 18:35:27.2801 info FIPS-CC self-tests passed. FIPS-CC mode enabled successfully. (source: /b/x.go:1)\n";

    fn facts(text: impl AsRef<[u8]>) -> Facts {
        let mut facts = Facts::default();
        facts.read(&mut text.as_ref()).unwrap();
        facts
    }

    #[test]
    fn the_lines_of_the_guide_are_read() {
        let facts = facts(format!("{START}{PASS}"));
        let start = facts.start.unwrap();
        assert_eq!(start.at, "2021-10-18 18:35:27.2793");
        assert_eq!(start.program, "d1 server");
        assert_eq!((start.version.as_str(), start.build), ("6.6.0-2458567", Some(2_458_567)));
        assert_eq!(start.run_id, "133e2886-81ae-4641-816a-6117fa8ccab5");
        assert_eq!((facts.fips.mode, facts.fips.self_tests), (Mode::On, SelfTests::Passed));
        assert_eq!(facts.last_line_at.as_deref(), Some("2021-10-18 18:35:27.2801"));
        assert!(facts.errors.is_empty());
    }

    #[test]
    fn a_new_start_forgets_what_was_said_of_the_one_before() {
        let again = START.replace("18:35", "19:35").replace("133e2886", "00000000");
        let facts = facts(format!("{START}{PASS}{again}"));
        assert!(facts.start.unwrap().run_id.starts_with("00000000"));
        assert_eq!(facts.fips, Fips::default());
    }

    #[test]
    fn the_last_word_of_a_connection_counts() {
        let at = "2021-10-18 18:35:29.1 ";
        let up = |text: &str| facts(format!("{START}{text}")).connection.map(|connection| connection.up);
        assert_eq!(up(""), None);
        let connected = format!("{at}info connected to wss://server:443/d1ws (source: a.go:1)\n");
        assert_eq!(up(&connected), Some(true));
        assert_eq!(
            up(&format!("{connected}{at}warning connection to wss://server:443/d1ws ended\n")),
            Some(false)
        );
        assert_eq!(
            up(&format!("{connected}{at}error cannot connect to wss://server:443/d1ws: no\n")),
            Some(false)
        );
        assert_eq!(up(&format!("{connected}{START}")), None, "it is that of the start before");
        for forged in
            ["info disconnected to wss://x\n", "info 'connected to wss://x'\n", "connected to wss://x\n"]
        {
            assert_eq!(up(&format!("{at}{forged}")), None, "{forged}");
        }
    }

    #[test]
    fn two_logs_are_read_like_one() {
        let error = |n| format!("2021-10-18 18:35:{n} error number {n}\n");
        let many: String = (10..14).map(error).collect();
        let up = "2021-10-18 18:35:58 info connected to wss://x\n";
        let parts = [START, PASS, up, "2021-10-18 18:35:59 warning x\n", "no line\n", &many];
        for first in parts {
            for second in parts {
                for third in parts {
                    let whole = facts(format!("{first}{second}{third}"));
                    let merged = facts(first).followed_by(facts(second)).followed_by(facts(third));
                    assert_eq!(merged, whole, "{first}{second}{third}");
                }
            }
        }
    }

    #[test]
    fn failed_self_tests_are_told_with_their_reason() {
        let fail = "2021-10-18 18:35:28 error d1 server stopped: FIPS-CC self-tests failed: SHA-256. FIPS error state (source: a.go:1)\n";
        let facts = facts(format!("{START}{fail}"));
        assert_eq!((facts.fips.mode, facts.fips.self_tests), (Mode::Off, SelfTests::Failed));
        assert_eq!(
            facts.fips.problem.as_deref(),
            Some("FIPS-CC self-tests failed: SHA-256. FIPS error state")
        );
        assert_eq!(facts.errors.len(), 1);
    }

    #[test]
    fn what_only_looks_like_it_does_not_count() {
        let at = "2021-10-18 18:35:29.1 info ";
        let id = "00000000-81ae-4641-816a-6117fa8ccab5";
        for forged in [
            // behind something else in the message, or with something else behind it
            format!("{at}engine 'x' Starting server, version 9.9.9 run id: {id}"),
            format!("{at}engine 'Starting server, version 9.9.9 run id: {id}' connected"),
            format!("{at}Starting server, version 9.9.9 run id: {id}' connected"),
            format!("{at}Starting server, version 9.9.9 run id: {id} (source: x) connected"),
            format!("{at}FIPS-CC self-tests failed"),
            format!("{at}user {PASSED}"),
            format!("2021-10-18 18:35:29.1 warning {PASSED}"),
            // not at the beginning of a line, or without the time
            format!(" {at}Starting server, version 9.9.9 run id: {id}"),
            format!("x{at}Starting server, version 9.9.9 run id: {id}"),
            format!("Starting server, version 9.9.9 run id: {id}"),
            format!("info Starting server, version 9.9.9 run id: {id}"),
            PASSED.to_owned(),
            // a time, a level or a part that is none
            format!("2021-13-18 18:35:29 info Starting server, version 9.9.9 run id: {id}"),
            format!("2021-10-18 18:35 info Starting server, version 9.9.9 run id: {id}"),
            format!("2021-10-18 18:35:29 INFORMATION Starting server, version 9.9.9 run id: {id}"),
            format!("{at}Starting server, version 9.9.9 run id: {}", id.replace('-', "")),
            format!("{at}Starting server, version \x1b[31m run id: {id}"),
            format!("{at}Starting other program, version 9.9.9 run id: {id}"),
            // line ends of other kinds are none
            format!("{at}x\r{at}Starting server, version 9.9.9 run id: {id}"),
            format!("{at}x\u{2028}{at}Starting server, version 9.9.9 run id: {id}"),
            format!("{at}x\0{at}Starting server, version 9.9.9 run id: {id}"),
        ] {
            let found = facts(format!("{START}{PASS}{forged}\n"));
            assert_eq!(found.start.unwrap().version, "6.6.0-2458567", "{forged}");
            assert_eq!(found.fips.mode, Mode::On, "{forged}");
            let alone = facts(&forged);
            assert_eq!((alone.start, alone.fips.mode), (None, Mode::Unknown), "{forged}");
        }
    }

    #[test]
    fn a_long_line_is_cut_and_never_read_as_two() {
        let long = format!("2021-10-18 18:35:28 error {}{START}", "x".repeat(LONGEST - 26));
        let found = facts(&long);
        assert_eq!(found.start, None);
        assert_eq!(found.errors[0].text.chars().count(), SHOWN + 1);
        let exact = format!("{}{START}", "x".repeat(LONGEST));
        assert_eq!(facts(exact).start, None);
    }

    #[test]
    fn the_newest_errors_are_kept_and_harmless() {
        let text: String = (10..20)
            .map(|n| format!("2021-10-18 18:35:{n} error number {n} \x1b[2J\u{202e} (source: a.go:{n})\n"))
            .collect();
        let found = facts(text);
        assert_eq!(found.errors.len(), ERRORS);
        assert!(found.errors[0].text.starts_with("number 15 "), "{:?}", found.errors);
        assert!(found.errors.iter().all(|e| e.text.is_ascii() && !e.text.contains('\x1b')));
    }

    proptest! {
        #[test]
        fn any_bytes_are_borne(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let found = facts(&bytes);
            prop_assert!(found.errors.len() <= ERRORS);
        }

        #[test]
        fn how_the_bytes_arrive_makes_no_difference(cut in 1usize..200, junk in "[ -~\n]{0,80}") {
            let text = format!("{junk}\n{START}{PASS}");
            let mut pieces = Facts::default();
            pieces.read(&mut io::BufReader::with_capacity(cut, text.as_bytes())).unwrap();
            prop_assert_eq!(pieces, facts(text));
        }
    }
}
