use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use super::progress::{self, ColorChoice, OutputFormat};
use crate::event::EventSink;
use crate::plan;
use crate::product::{EngineName, Site};
use crate::sys;
use crate::types::{printable, printable_json};
use crate::workflow::Session;

/// Under which the options of every verb stand in its help.
const EVERY_VERB: &str = "Options of every verb";

/// Arguments that every verb takes.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Common {
    /// Work on the system in DIR instead of the running one
    #[arg(long, global = true, help_heading = EVERY_VERB, value_name = "DIR", default_value = "/")]
    pub(super) root: PathBuf,
    /// How to tell what is done
    #[arg(long, global = true, help_heading = EVERY_VERB, value_enum, value_name = "FORMAT", default_value_t)]
    pub(super) output: OutputFormat,
    /// When to use colour
    #[arg(long, global = true, help_heading = EVERY_VERB, value_enum, value_name = "WHEN", default_value_t)]
    pub(super) color: ColorChoice,
    /// Say nothing but warnings and errors
    #[arg(long, short, global = true, help_heading = EVERY_VERB)]
    pub(super) quiet: bool,
}

/// Keys for one run.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct KeyArgs {
    /// Trust the OpenPGP certificates in FILE for this run
    #[arg(long = "key", value_name = "FILE")]
    pub(super) keys: Vec<PathBuf>,
}

/// Which installation of a host a verb is about.
#[derive(Debug, Clone, Default)]
pub(super) enum Place {
    /// The one without a name, whatever it is.
    #[default]
    Unnamed,
    /// An engine.
    Engine(Option<EngineName>),
}

impl Place {
    /// What `--engine` and `--name` say: a name is an engine's.
    pub(super) fn of(engine: bool, name: Option<&EngineName>) -> Self {
        if engine || name.is_some() { Self::Engine(name.cloned()) } else { Self::Unnamed }
    }
}

/// Tells what a plan says besides, where nobody was shown it.
pub(super) fn tell_notes(unattended: bool, sink: &dyn EventSink, plan: &plan::Plan) {
    if unattended {
        plan.notes.iter().for_each(|note| sink.note(note.clone()));
    }
}

impl Common {
    pub(super) fn is_json(&self) -> bool {
        self.output == OutputFormat::Json
    }

    pub(super) fn sink(&self) -> Box<dyn EventSink> {
        progress::sink(self.output, self.color, self.quiet)
    }

    pub(super) fn session<'a>(&self, keys: &KeyArgs, sink: &'a dyn EventSink) -> Result<Session<'a>> {
        Session::new(&self.root, keys.keys.clone(), sink)
    }

    /// A session about one installation.
    pub(super) fn session_in<'a>(
        &self,
        keys: &KeyArgs,
        sink: &'a dyn EventSink,
        place: Place,
    ) -> Result<Session<'a>> {
        let session = self.session(keys, sink)?;
        match place {
            Place::Unnamed => Ok(session),
            Place::Engine(None) if session.has_server() => Err(plan::Error::NeedsName.into()),
            Place::Engine(name) => Ok(session.about(Site::engine(name))),
        }
    }

    /// Prints a result: `text` for people, or `value` as the last JSON line.
    pub(super) fn result(&self, text: &str, value: &impl Serialize) {
        if self.is_json() {
            self.json_line("result", value);
        } else if !self.quiet {
            sys::fs::print(&printable(text));
        }
    }

    /// Prints one JSON line: schema, event name, then the value's own fields.
    pub(super) fn json_line(&self, event: &str, value: &impl Serialize) {
        let mut line = serde_json::json!({ "schema": progress::SCHEMA, "event": event });
        match (line.as_object_mut(), serde_json::to_value(value)) {
            (Some(line), Ok(serde_json::Value::Object(fields))) => line.extend(fields),
            (Some(line), Ok(other)) => drop(line.insert("value".to_owned(), other)),
            _ => {}
        }
        sys::fs::print(&format!("{}\n", printable_json(&line.to_string())));
    }
}
