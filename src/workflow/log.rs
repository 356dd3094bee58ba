//! The record of a run: kept while it goes on, written when it is over.
//!
//! Nothing is written while steps are done: the log's directory may itself be one of them.

use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;

use crate::apply;
use crate::event::{Event, EventSink};
use crate::product::{self, under};
use crate::sys;
use crate::sys::dir::Dir;
use crate::types::{error_chain, printable_line};

/// Most lines kept of one run.
const LIMIT: usize = 20_000;

/// Passes events on and keeps what they say.
pub struct Recorder<'a> {
    inner: &'a dyn EventSink,
    lines: Mutex<Vec<String>>,
}

impl std::fmt::Debug for Recorder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recorder")
    }
}

impl EventSink for Recorder<'_> {
    fn event(&self, event: Event) {
        let line = match &event {
            Event::Step { number, of, text } => Some(format!("info step {number}/{of}: {text}")),
            Event::End { summary } if !summary.is_empty() => Some(format!("info {summary}")),
            Event::Note { text } => Some(format!("info {text}")),
            Event::Warning { text } => Some(format!("warning {text}")),
            _ => None,
        };
        if let Some(line) = line {
            self.add(&line);
        }
        self.inner.event(event);
    }
}

impl<'a> Recorder<'a> {
    /// A recorder in front of `inner`.
    #[must_use]
    pub fn new(inner: &'a dyn EventSink) -> Self {
        Self { inner, lines: Mutex::new(Vec::new()) }
    }

    /// Keeps a note for the log without telling it: who approved the plan has seen it.
    pub fn only_log(&self, note: &str) {
        self.add(&format!("info {note}"));
    }

    fn add(&self, line: &str) {
        if let Ok(mut lines) = self.lines.lock()
            && lines.len() < LIMIT
        {
            lines.push(format!("{} {}", sys::clock::now(), printable_line(line)));
        }
    }

    /// Writes the record to the durable log and, on the running system, to the report where
    /// administrators look for it. A failure to write is a warning, not an error of the run.
    pub(super) fn save(&self, root: &Path, what: &str, error: Option<&apply::Error>) {
        match error {
            None => self.add(&format!("info {what}: done")),
            Some(error) => self.add(&format!("error {what}: {}", error_chain(error))),
        }
        if let Some(apply::Error::Unhealthy { log, .. }) = error.map(apply::Error::root_cause) {
            log.iter().for_each(|line| self.add(&format!("error service: {line}")));
        }
        let text = self.lines.lock().map(|lines| lines.join("\n") + "\n").unwrap_or_default();
        for result in [append(root, &text), report(root, &text)] {
            if let Err(error) = result {
                self.inner.warn(format!("the log is incomplete: {}", error_chain(&error)));
            }
        }
    }
}

/// The log lies in the service's directory: it is never reached through a link, see `open_log`.
fn append(root: &Path, text: &str) -> sys::Result<()> {
    let path = under(root, product::INSTALL_LOG);
    if !path.parent().is_some_and(Path::is_dir) {
        return Ok(()); // a failed first installation leaves no log directory; the report has it all
    }
    let mut file = sys::fs::open_log(&path)?;
    file.write_all(text.as_bytes()).map_err(|e| sys::Error::new("write", &path, e))
}

/// Writes the report where everybody may create files.
fn report(root: &Path, text: &str) -> sys::Result<()> {
    if root != Path::new("/") {
        return Ok(());
    }
    let path = Path::new(product::REPORT_FILE);
    let (Some(dir), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str())) else {
        return Ok(());
    };
    replace(&Dir::open(dir)?, name, text.as_bytes())
}

/// A new file, renamed over whatever has the name: a link planted there is replaced, not followed.
/// Its name until then cannot be guessed, so nobody can take it first.
fn replace(dir: &Dir, name: &str, bytes: &[u8]) -> sys::Result<()> {
    let path = dir.path_of(name);
    let temp = sys::dir::temp_name(name)?;
    let mut file = dir.create_file(&temp)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let result =
        written.map_err(|e| sys::Error::new("write", &path, e)).and_then(|()| dir.rename(&temp, dir, name));
    if result.is_err() {
        let _ = dir.remove_file(&temp);
    }
    result?;
    dir.sync()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl EventSink for Nobody {
        fn event(&self, _: Event) {}
    }

    #[test]
    fn what_was_shown_is_only_logged() {
        struct Teller;
        impl EventSink for Teller {
            fn event(&self, event: Event) {
                panic!("{event:?}");
            }
        }
        let recorder = Recorder::new(&Teller);
        recorder.only_log("the data stay");
        let lines = recorder.lines.lock().unwrap();
        assert!(lines.len() == 1 && lines[0].ends_with(" info the data stay"), "{lines:?}");
    }

    #[test]
    fn a_text_forges_no_line() {
        let recorder = Recorder::new(&Nobody);
        recorder.event(Event::Note { text: "a\n2026-01-01T00:00:00Z info install: done\x1b[2J".into() });
        let lines = recorder.lines.lock().unwrap();
        assert!(lines.len() == 1 && !lines[0].contains(['\n', '\x1b']), "{lines:?}");
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the test prepares the files")]
    fn a_report_replaces_what_has_its_name() {
        let temp = tempfile::tempdir().unwrap();
        let victim = temp.path().join("victim");
        sys::fs::write_atomic(&victim, b"kept", 0o600).unwrap();
        std::os::unix::fs::symlink(&victim, temp.path().join("report")).unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        replace(&dir, "report", b"text").unwrap();
        assert_eq!(sys::fs::read_secret(&temp.path().join("report"), 9).unwrap(), b"text");
        assert_eq!(sys::fs::read_limited(&victim, 9).unwrap(), b"kept");
        assert_eq!(dir.names().unwrap(), ["report", "victim"]);
        dir.create_dir("taken", 0o700, None).unwrap();
        assert!(replace(&dir, "taken", b"text").is_err());
        assert_eq!(dir.names().unwrap(), ["report", "taken", "victim"]);
    }
}
