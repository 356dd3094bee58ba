//! What is installed and how it is.

use anyhow::Result;
use serde::Serialize;

use super::drift::{self, Drift};
use super::facts::{self, Told};
use super::{Error, Session, install};
use crate::apply;
use crate::manifest::Health;
use crate::product::Site;
use crate::retained;
use crate::service::{self, Probe, State};
use crate::sys;
use crate::trust::expiry::RunsOut;
use crate::types::error_chain;

/// What is installed and how it is.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Which installation of the host.
    #[serde(skip_serializing_if = "Site::is_server")]
    pub site: Site,
    /// Whether something is installed.
    pub installed: bool,
    /// Whether an earlier run was cut off.
    pub unfinished: bool,
    /// Whether a run is at work right now: what is there is neither old nor new, and no drift is listed.
    pub busy: bool,
    /// The release.
    pub release: Option<String>,
    /// Its name for people.
    pub title: Option<String>,
    /// Its security epoch.
    pub epoch: Option<u64>,
    /// When it was installed.
    pub installed_at: Option<String>,
    /// Who signed it: fingerprint and name.
    pub signers: Vec<String>,
    /// The configured port.
    pub port: Option<u16>,
    /// The service's state.
    pub service: Option<State>,
    /// Ports on which the service listens.
    pub listening: Vec<u16>,
    /// Whether it answers.
    pub answers: Option<Probe>,
    /// What its log says of the newest start.
    pub log: Option<Told>,
    /// Why its log could not be read.
    pub log_problem: Option<String>,
    /// Trusted keys that run out soon.
    pub keys_running_out: Vec<RunsOut>,
    /// Why the trusted keys or the policy cannot be used, if so.
    pub trust_problem: Option<String>,
    /// Whether an engine is connected, as its log says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected: Option<bool>,
    /// The last line of that log about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// The release that `rollback` leads to.
    pub retained: Option<String>,
    /// The snapshot of its data.
    pub retained_snapshot: Option<String>,
    /// What differs from what was installed.
    pub drift: Vec<Drift>,
}

/// Looks.
///
/// # Errors
/// When the receipt or the installed files cannot be read.
pub fn status(session: &Session) -> Result<Status> {
    match look(session) {
        // a run that began meanwhile explains what was seen
        Ok(status) if status.busy || !session.is_busy() => Ok(status),
        Err(error) if !session.is_busy() => Err(error),
        _ => look(session),
    }
}

fn look(session: &Session) -> Result<Status> {
    let busy = session.is_busy();
    let mut status = Status {
        site: session.site.clone(),
        installed: false,
        unfinished: !busy && session.is_unfinished()?,
        busy,
        release: None,
        title: None,
        epoch: None,
        installed_at: None,
        signers: Vec::new(),
        port: None,
        service: None,
        listening: Vec::new(),
        answers: None,
        log: None,
        log_problem: None,
        keys_running_out: Vec::new(),
        trust_problem: None,
        connected: None,
        connection: None,
        retained: None,
        retained_snapshot: None,
        drift: Vec::new(),
    };
    let retained = match retained::read(&session.root, &session.site) {
        Err(_) if busy => None, // it is being put there or removed
        other => other?,
    };
    if let Some(retained) = retained {
        status.retained = Some(retained.name().to_owned());
        status.retained_snapshot = retained.snapshot;
    }
    let Some(receipt) = session.receipt()? else { return Ok(status) };
    status.installed = true;
    status.release = Some(receipt.release());
    status.title = Some(receipt.title.clone());
    status.epoch = Some(receipt.epoch);
    status.installed_at = Some(receipt.installed_at.to_string());
    status.signers = receipt.signers.iter().map(|s| format!("{} {}", s.fingerprint, s.user_id)).collect();
    match session.trust() {
        Ok((store, _)) => status.keys_running_out = store.running_out(session.now),
        Err(error) => status.trust_problem = Some(error_chain(&error)),
    }
    match facts::facts(session, None) {
        Ok(told) => status.log = Some(told),
        Err(error) if matches!(error.downcast_ref(), Some(Error::NoLog(_))) => {}
        Err(error) => status.log_problem = Some(error_chain(&*error)),
    }
    if session.site.is_server() {
        status.port = install::configured_port(session).or(Some(receipt.port));
    } else if let Some((connected, line)) = last_word(session) {
        (status.connected, status.connection) = (Some(connected), Some(line));
    }
    let manifest = match apply::installed(&session.root, &session.site) {
        // between the receipt and the manifest: that they differ says nothing more
        Err(_) if status.unfinished || busy => None,
        other => other?,
    };
    if let Some(manifest) = manifest {
        if !busy {
            status.drift = drift::of(&session.root, &session.site, manifest.get(), receipt.owners)?;
        }
        if session.is_live() && crate::host::facts().systemd {
            service(&mut status, &manifest.get().health);
        }
    }
    Ok(status)
}

/// What an engine's log says about its connection.
fn last_word(session: &Session) -> Option<(bool, String)> {
    service::last_word(&session.root, &engine_log(session).0)
}

/// Where an engine logs, and whether that tells about its connection.
pub(super) fn engine_log(session: &Session) -> (String, bool) {
    let config = sys::fs::read_beneath(&session.root, &session.site.config_file(), 4 << 20);
    let config = config.unwrap_or_default();
    let (log, logged) = crate::config::engine_log(&String::from_utf8_lossy(&config), &session.site.log_dir());
    (log.unwrap_or_else(|| crate::config::DEFAULT_LOG.to_owned()), logged)
}

fn service(status: &mut Status, health: &Health) {
    let unit = status.site.unit();
    status.service = service::state(&unit).ok();
    let pid = status.service.as_ref().map_or(0, |state| state.pid);
    if pid != 0 {
        status.listening = sys::net::ports_of(pid);
    }
    if status.connected.is_some() {
        let up = status.service.as_ref().is_some_and(State::is_active);
        status.connected = status.connected.map(|connected| connected && up);
    }
    status.answers =
        status.port.map(|port| service::probe(port, &health.path, health.version_key.as_deref()));
}
