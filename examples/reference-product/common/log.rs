//! The log: a file that is appended to, and standard error for the journal.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::Location;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

/// How grave a line is, in the words that `log.level` and `LogLevel` use.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub(crate) enum Level {
    Debug,
    Info,
    Warning,
    Error,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// The level of that name; an unknown name silently means the default, as in the product.
    pub(crate) fn named(name: &str) -> Self {
        let levels = [Self::Debug, Self::Info, Self::Warning, Self::Error];
        levels.into_iter().find(|level| level.word() == name).unwrap_or(Self::Info)
    }
}

/// Takes lines from any thread.
pub(crate) struct Log(Mutex<State>);

struct State {
    file: Option<File>,
    least: Level,
}

impl Log {
    /// Opens the log. Works on without the file, so that the journal still tells what is wrong.
    pub(crate) fn open(path: &Path) -> Self {
        let opened = OpenOptions::new().append(true).create(true).mode(0o640).open(path);
        let trouble = opened.as_ref().err().map(|error| format!("cannot open {}: {error}", path.display()));
        let log = Self(Mutex::new(State { file: opened.ok(), least: Level::Info }));
        if let Some(trouble) = trouble {
            log.warning(trouble);
        }
        log
    }

    /// Leaves out lines below this level from now on.
    pub(crate) fn set_level(&self, least: Level) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).least = least;
    }

    #[track_caller]
    pub(crate) fn debug(&self, text: impl Display) {
        self.line(Level::Debug, &text.to_string());
    }

    #[track_caller]
    pub(crate) fn info(&self, text: impl Display) {
        self.line(Level::Info, &text.to_string());
    }

    #[track_caller]
    pub(crate) fn warning(&self, text: impl Display) {
        self.line(Level::Warning, &text.to_string());
    }

    #[track_caller]
    pub(crate) fn error(&self, text: impl Display) {
        self.line(Level::Error, &text.to_string());
    }

    #[track_caller]
    fn line(&self, level: Level, text: &str) {
        // Names come from the network: one that holds a line break must not forge a line.
        let text: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        let time = Timestamp::now().strftime("%Y-%m-%d %H:%M:%S%.4f");
        // As the product does, a line ends with the place in the source that wrote it.
        let source = Location::caller();
        let line = format!("{time} {} {text} (source: {}:{})\n", level.word(), source.file(), source.line());
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if level < state.least {
            return;
        }
        // A full disk must not stop the service, and there is no better place to complain.
        if let Some(file) = &mut state.file {
            let _ = file.write_all(line.as_bytes());
        }
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}
