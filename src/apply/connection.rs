//! Whether an engine connects after it was started.

use std::sync::PoisonError;
use std::time::Duration;

use zeroize::Zeroizing;

use super::files::open_parent;
use super::{Context, Result};
use crate::config;
use crate::service::{self, Engine, Healthy, Log};
use crate::sys;
use crate::types::Version;

/// Largest configuration that is read.
const LIMIT: u64 = 4 << 20;

/// Where the engine logs, and whether that tells about its connection. It may be the service's work:
/// what cannot be read says nothing.
fn log_of(context: &Context) -> (String, bool) {
    let read = || -> Result<Zeroizing<String>> {
        let (dir, name) = open_parent(context.root, &context.site.config_file())?;
        let path = dir.path_of(&name);
        let mut text = Zeroizing::new(String::new());
        let file = dir.open_file(&name)?;
        std::io::Read::read_to_string(&mut std::io::Read::take(file, LIMIT), &mut text)
            .map_err(|e| sys::Error::new("read", &path, e))?;
        Ok(text)
    };
    let Ok(text) = read() else { return (context.site.log_file(), true) };
    let (path, logged) = config::engine_log(&text, &context.site.log_dir());
    (path.unwrap_or_else(|| config::DEFAULT_LOG.to_owned()), logged)
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
