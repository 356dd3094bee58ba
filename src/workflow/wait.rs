//! Waits until the service works.

use std::time::Duration;

use anyhow::Result;

use super::{Error, Session, install};
use crate::apply;
use crate::plan;
use crate::product::under;
use crate::service::logs::Place;
use crate::service::{self, Healthy, RunLog, Wanted};
use crate::types::Version;

/// Waits until the installed service works, at most `limit`; gives how long it took, and the
/// version that it reports if the release says where.
///
/// # Errors
/// When nothing is installed, or the service does not work in time.
pub fn wait(session: &Session, limit: Duration) -> Result<Healthy> {
    let receipt = session.receipt()?.ok_or(plan::Error::NothingInstalled)?;
    let unit = session.site.unit();
    let managed = session.is_live() && crate::host::facts().systemd;
    if !session.site.is_server() {
        return engine(session, managed, receipt.version, limit);
    }
    let manifest = apply::installed(&session.root, &session.site)?;
    let health = manifest.as_ref().map(|manifest| &manifest.get().health);
    let version = receipt.version.to_string();
    let one_time = under(&session.root, &apply::one_time_file(&session.root, &session.site));
    let log = session.site.log_file();
    let wanted = Wanted {
        unit: managed.then_some(unit.as_str()),
        port: install::configured_port(session).unwrap_or(receipt.port),
        path: health.map_or("/", |health| health.path.as_str()),
        version: health.and_then(|health| Some((health.version_key.as_deref()?, version.as_str()))),
        one_time: &one_time,
        log: RunLog { place: Place::Product(&session.root, &log), before: None },
        fips: false,
        limit,
    };
    Ok(service::await_health(&wanted).map_err(Error::NotReady)?)
}

/// An engine works when it is connected.
fn engine(session: &Session, managed: bool, version: Version, limit: Duration) -> Result<Healthy> {
    if !managed {
        return Err(Error::NotReady("systemd does not run here".to_owned()).into());
    }
    let (path, logged) = apply::engine_log(&session.root, &session.site);
    let unit = session.site.unit();
    let wanted = service::Engine { unit: &unit, version: Some(version), logged, fips: false, limit };
    let mut log = service::Log::with_past(&session.root, &path);
    Ok(service::await_connection(&wanted, &mut log).map_err(Error::NotReady)?)
}
