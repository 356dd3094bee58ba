//! What the product's own log says of it.

use std::path::Path;

use anyhow::Result;

use super::{Error, Session};
use crate::config;
use crate::product::under;
use crate::service::logs::{self, Place, Reach};
use crate::sys;

pub use crate::service::logs::Told;

/// Where an engine logs, and whether that tells about its connection.
pub(super) fn engine_log(session: &Session) -> (String, bool) {
    let config = sys::fs::read_beneath(&session.root, &session.site.config_file(), 4 << 20);
    let Ok(config) = config else { return (session.site.log_file(), true) };
    let (log, logged) = config::engine_log(&String::from_utf8_lossy(&config), &session.site.log_dir());
    (log.unwrap_or_else(|| config::DEFAULT_LOG.to_owned()), logged)
}

/// Reads `log`, or the log of what the session is about.
///
/// # Errors
/// When there is none, or it cannot be read or is no plain file.
pub fn facts(session: &Session, log: Option<&Path>) -> Result<Told> {
    let ours = if session.site.is_server() { session.site.log_file() } else { engine_log(session).0 };
    let (place, path) = match log {
        Some(path) => (Place::Named(path), path.to_owned()),
        None => (Place::Product(&session.root, &ours), under(&session.root, &ours)),
    };
    Ok(logs::read(place, Reach::Far)?.ok_or(Error::NoLog(path))?)
}
