//! What the product's own log says of it.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{Error, Session};
use crate::product::{Role, under};
use crate::service::logs::{self, Place, Reach};

pub use crate::service::logs::Told;

/// Whose log is read.
#[derive(Debug, Clone, Default)]
pub struct Whose {
    /// This very file.
    pub log: Option<PathBuf>,
    /// That of this role; the installed one's unless given.
    pub role: Option<Role>,
    /// That of the engine with this name.
    pub name: Option<String>,
}

/// Reads the log.
///
/// # Errors
/// When there is none, or it cannot be read or is no plain file.
pub fn facts(session: &Session, whose: &Whose) -> Result<Told> {
    if let Some(path) = &whose.log {
        return told(logs::read(Place::Named(path), Reach::Far), path);
    }
    let installed = match whose.role {
        None if whose.name.is_none() => session.receipt()?.map(|receipt| receipt.role),
        given => given,
    };
    let role = installed.unwrap_or(if whose.name.is_some() { Role::Engine } else { Role::Server });
    let path = role.log(whose.name.as_deref());
    let read = logs::read(Place::Product(&session.root, &path), Reach::Far);
    told(read, &under(&session.root, &path))
}

fn told(read: crate::sys::Result<Option<Told>>, path: &Path) -> Result<Told> {
    Ok(read?.ok_or_else(|| Error::NoLog(path.to_owned()))?)
}
