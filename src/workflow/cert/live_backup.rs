//! The order in which the two hosts of a live backup get their certificates: both are stopped, both are
//! changed, both are started (Administrator Guide, "Apply the Certificate", step 1).

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::install::Error;
use super::pair;
use crate::certs;
use crate::config;
use crate::probe::Target;
use crate::product::PairKind;
use crate::service;
use crate::sys::tcp;
use crate::types::Digest;
use crate::workflow::Session;

/// The key of the configuration that says that there is another host.
const LIVE_BACKUP: &str = "ui.livebackup";
/// How long the other host may take.
const LIMIT: Duration = Duration::from_secs(5);

/// What is known of the other host.
#[derive(Debug, Clone, Default)]
pub struct Other {
    /// Whether there is one, whatever the configuration says.
    pub exists: bool,
    /// Where its service listens.
    pub at: Option<Target>,
}

/// How the other host is.
enum State {
    Down,
    Up(Option<Digest>),
}

/// What the run does to this host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doing {
    pub(super) brings_files: bool,
    pub(super) starts: bool,
}

/// Refuses to start this host's service as long as the other one's runs with what was there before. Gives what
/// is to be said about the order; nothing where there is one host.
///
/// # Errors
/// When the other host was not named or still runs, or its name leads nowhere.
pub(super) fn check(
    session: &Session,
    kind: PairKind,
    other: &Other,
    doing: Doing,
) -> Result<Option<String>> {
    let text = pair::configuration(session)?;
    let told = matches!(config::value(&text, LIVE_BACKUP), Ok(Some(Value::Bool(true))));
    if kind != PairKind::Server || !(told || other.exists || other.at.is_some()) {
        return Ok(None);
    }
    if doing.starts {
        match &other.at {
            Some(at) => still(session, at, doing)?,
            None if doing.brings_files => return Err(Error::OtherHost.into()),
            None => {}
        }
    }
    let order = "live backup: run this with --no-start on both hosts, then again without it on both, the standby first";
    Ok(Some(order.to_owned()))
}

fn still(session: &Session, at: &Target, doing: Doing) -> Result<()> {
    let before = pair::read_kept(session, PairKind::Server).ok();
    let before = before.and_then(|kept| certs::leaf_digest(&kept.chain).ok());
    match state(at)? {
        State::Down => Ok(()),
        // the pair is in its place already: the other host may have been started with its new one first
        State::Up(shown) if !doing.brings_files && (shown.is_none() || shown != before) => Ok(()),
        State::Up(_) => Err(Error::OtherRuns { at: format!("{}:{}", at.host, at.port) }.into()),
    }
}

fn state(at: &Target) -> Result<State> {
    let addresses =
        tcp::resolve(&at.host.to_string(), at.port, LIMIT).context("cannot look at the other host")?;
    Ok(match tcp::connect(&addresses, LIMIT) {
        Ok((connection, _)) => State::Up(service::shown_on(connection)),
        Err(_) => State::Down,
    })
}
