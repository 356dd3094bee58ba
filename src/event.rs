//! What can be said about a run while it goes on, and who is told.
//!
//! In: calls from the rooms that work. Out: one [`Event`] each, to an [`EventSink`] that the front
//! room made. Never holds a secret: events are printed, logged and kept.
#![forbid(unsafe_code)]

use serde::Serialize;

/// One thing worth saying. Serialized with `"event"` as the tag for JSON Lines output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// A long piece of work begins.
    Begin {
        /// What is done, such as `verifying frames`.
        task: String,
        /// How much there is to do, in `unit`.
        total: u64,
        /// What is counted.
        unit: Unit,
    },
    /// So much of the running piece of work is done, in the unit given at its beginning.
    Progress {
        /// Amount done since the last such event.
        delta: u64,
    },
    /// The running piece of work has ended.
    End {
        /// One line to keep, such as `verified 418 MiB at 1.2 GiB/s`; empty to keep nothing.
        summary: String,
    },
    /// A step of the plan begins.
    Step {
        /// Its number, counted from 1.
        number: usize,
        /// How many there are.
        of: usize,
        /// What it does.
        text: String,
    },
    /// Something a person may want to know.
    Note {
        /// The message.
        text: String,
    },
    /// Something a person should look at.
    Warning {
        /// The message.
        text: String,
    },
}

/// What [`Event::Begin`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Files, seconds or other things.
    Items,
}

/// Takes events. Called from several threads at once.
pub trait EventSink: Send + Sync {
    /// Takes one event. Must not fail and must not block for long.
    fn event(&self, event: Event);
}

/// A sink that says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl EventSink for Silent {
    fn event(&self, _event: Event) {}
}

impl dyn EventSink + '_ {
    /// Says something a person may want to know.
    pub fn note(&self, text: impl Into<String>) {
        self.event(Event::Note { text: text.into() });
    }

    /// Says something a person should look at.
    pub fn warn(&self, text: impl Into<String>) {
        self.event(Event::Warning { text: text.into() });
    }

    /// Announces a long piece of work.
    pub fn begin(&self, task: impl Into<String>, total: u64, unit: Unit) {
        self.event(Event::Begin { task: task.into(), total, unit });
    }

    /// Reports progress of the work announced last.
    pub fn advance(&self, delta: u64) {
        self.event(Event::Progress { delta });
    }

    /// Ends the work announced last.
    pub fn end(&self, summary: impl Into<String>) {
        self.event(Event::End { summary: summary.into() });
    }
}
