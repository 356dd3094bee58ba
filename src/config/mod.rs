//! `demisto.conf` and `d1.conf`: reading and setting single values, merging with the defaults of a new
//! release, showing what a merge changes, and judging what is given for an engine.
//!
//! In: the text of a JSON file in which nested and dotted keys are mixed and case does not count.
//! Out: values, or a text in which only what had to change is changed. Never touches files.
#![forbid(unsafe_code)]

mod diff;
mod edit;
mod engine;
mod forms;
pub mod lint;
mod mask;
mod merge;
pub mod policy;
mod port;
pub mod preset;
mod same;
mod set;
pub mod table;
mod tree;
mod typed;

use serde_json::{Map, Value};

pub use diff::{DiffLine, LineKind, diff};
pub use engine::{DEFAULT_LOG, Engine, Problem, engine, engine_log};
pub use mask::masked_value;
pub use merge::{Conflict, How, Merged, OnConflict, merge};
pub use port::{certificate_file, external_host, https_port, text, with_https_port};
pub use set::{Setting, set, value};
pub use typed::typed;

/// The key of the HTTPS port; its value is a string.
pub const HTTPS_PORT: &str = "Server.HttpsPort";

/// The key of the server's certificate file.
pub const CERTIFICATE_FILE: &str = "security.certfile";

/// The key of the place of the one-time configuration (Administrator Guide, "Change the Administrator
/// Password").
pub const ONE_TIME_PATH: &str = "Server.OneTimeConfPath";

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No JSON.
    #[error("it is not valid JSON")]
    Syntax(#[from] serde_json::Error),
    /// JSON, but no object.
    #[error("it is JSON, but not an object")]
    NotAnObject,
    /// An object whose keys would take far more than the text has.
    #[error("it has very long names, with very much below them")]
    LongKeys,
    /// A value that cannot be what its key needs.
    #[error("{key} has the value {value}, which is no port number")]
    Port {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// The defaults that a release brings cannot be used.
    #[error("the defaults of the {release} release cannot be read")]
    Defaults {
        /// Which one: `installed` or `new`.
        release: &'static str,
        /// Why.
        source: Box<Error>,
    },
    /// Keys that both sides changed, and nobody said which side counts.
    #[error("the file and the new release differ in keys that both changed: {}", .0.join(", "))]
    Conflicts(Vec<String>),
    /// A key for which the file has no place: it has an object with members there. Of the keys of a release
    /// only such as have both a value and an object can lead to it.
    #[error("{0} cannot be set: the file has something else in its place; set it by hand")]
    NoPlace(String),
}

/// A result of this room.
pub type Result<T> = std::result::Result<T, Error>;

fn parse(text: &str) -> Result<Map<String, Value>> {
    match serde_json::from_str(text)? {
        Value::Object(map) => Ok(map),
        _ => Err(Error::NotAnObject),
    }
}
