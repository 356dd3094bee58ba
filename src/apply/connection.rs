//! Whether an engine connects after it was started.

use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;

use zeroize::Zeroizing;

use super::files::open_parent;
use super::{Context, Result};
use crate::config;
use crate::product::Site;
use crate::service::{self, Engine, Healthy, Log};
use crate::sys;
use crate::types::Version;

/// Largest configuration that is read.
const LIMIT: u64 = 4 << 20;

/// Where an engine logs, and whether that tells about its connection. Its configuration may be the service's work:
/// what cannot be read says nothing.
#[must_use]
pub fn engine_log(root: &Path, site: &Site) -> (String, bool) {
    let read = || -> Result<Zeroizing<String>> {
        let (dir, name) = open_parent(root, &site.config_file())?;
        let path = dir.path_of(&name);
        let mut bytes = Zeroizing::new(Vec::new());
        let file = dir.open_file(&name)?;
        std::io::Read::read_to_end(&mut std::io::Read::take(file, LIMIT), &mut bytes)
            .map_err(|e| sys::Error::new("read", &path, e))?;
        Ok(Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned()))
    };
    let Ok(text) = read() else { return (site.log_file(), true) };
    let (path, logged) = config::engine_log(&text, &site.log_dir());
    (path.unwrap_or_else(|| config::DEFAULT_LOG.to_owned()), logged)
}

fn log_of(context: &Context) -> (String, bool) {
    engine_log(context.root, context.site)
}

/// Remembers where the log ends, before a service is started.
pub(super) fn mark(context: &Context, unit: &str) {
    if unit == context.site.unit() && !context.site.is_server() {
        let log = Log::at_end(context.root, &log_of(context).0);
        *context.log.lock().unwrap_or_else(PoisonError::into_inner) = Some(log);
    }
}

/// Waits until the engine that was started is connected.
pub(super) fn wait(
    context: &Context,
    unit: &str,
    (seconds, fips): (u64, bool),
    version: Option<&str>,
) -> std::result::Result<Healthy, String> {
    let (path, logged) = log_of(context);
    let mut held = context.log.lock().unwrap_or_else(PoisonError::into_inner);
    let log = held.get_or_insert_with(|| Log::at_end(context.root, &path));
    let version: Option<Version> = version.and_then(|version| version.parse().ok());
    let limit = Duration::from_secs(seconds);
    service::await_connection(&Engine { unit, version, logged, fips, limit }, log)
}

/// The file in which the service logs.
pub(super) fn log_file(context: &Context) -> String {
    if context.site.is_server() { context.site.log_file() } else { log_of(context).0 }
}

/// How it is said that an engine works.
pub(super) fn told(context: &Context, healthy: &Healthy) -> String {
    let unit = context.site.unit();
    if !log_of(context).1 {
        return format!("{unit} stays up; its log hides whether it is connected");
    }
    let version =
        healthy.version.as_ref().map_or_else(String::new, |version| format!(" as version {version}"));
    format!("{unit} is connected{version} after {} ms", healthy.took.as_millis())
}
