//! What the product's own log says of it.

use std::path::Path;

use anyhow::Result;

use super::{Error, Session};
use crate::apply;
use crate::product::under;
use crate::service::logs::{self, Place, Reach};

pub use crate::service::logs::Told;

/// Reads `log`, or the log of what the session is about.
///
/// # Errors
/// When there is none, or it cannot be read or is no plain file.
pub fn facts(session: &Session, log: Option<&Path>) -> Result<Told> {
    let ours = if session.site.is_server() {
        session.site.log_file()
    } else {
        apply::engine_log(&session.root, &session.site).0
    };
    let (place, path) = match log {
        Some(path) => (Place::Named(path), path.to_owned()),
        None => (Place::Product(&session.root, &ours), under(&session.root, &ours)),
    };
    Ok(logs::read(place, Reach::Far)?.ok_or(Error::NoLog(path))?)
}
