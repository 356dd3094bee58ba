//! Whether the server asks its clients for certificates (guide, "Configure Mutual Authentication for the Web
//! UI").

use anyhow::Result;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::config::preset::{CLIENT_POLICY, CLIENT_SWITCHES};
use crate::config::{self, Setting};
use crate::plan::Plan;
use crate::types::Digest;
use crate::workflow::change::Restart;
use crate::workflow::settings::{self, Wish};
use crate::workflow::{Session, ca};

/// It was asked of an engine.
#[derive(Debug, thiserror::Error)]
#[error("only a server can be told to ask its clients for certificates, and an engine is installed here")]
pub struct NoServer;

/// What is asked of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// A certificate, whoever issued it.
    Require,
    /// None; but one that is shown has to be good.
    Verify,
    /// A good certificate.
    RequireAndVerify,
}

impl Policy {
    /// As the product spells it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Require => "require",
            Self::Verify => "verify",
            Self::RequireAndVerify => "requireandverify",
        }
    }

    fn verifies(self) -> bool {
        self != Self::Require
    }
}

/// How it is set.
#[derive(Debug, Serialize)]
pub struct State {
    /// What is asked of clients, as the configuration has it; empty for nothing.
    pub policy: String,
    /// Whether the certificates are verified.
    pub verifies: bool,
    /// The keys that say so and are set.
    pub keys: Vec<Setting>,
    /// The configuration.
    pub config: String,
    /// How many authorities were added to those that the host trusts; none where that cannot be told.
    pub authorities: Option<usize>,
}

/// What is to be done besides.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether a service at work is started anew.
    pub restart: bool,
    /// How long it may take to answer, in seconds.
    pub seconds: u64,
}

/// The configuration's text.
fn text(session: &Session) -> Result<Zeroizing<String>> {
    let text = settings::text(session)?;
    if session.site.is_server() { Ok(text) } else { Err(NoServer.into()) }
}

/// Looks at how it is set.
///
/// # Errors
/// When no server is installed, or its configuration cannot be read.
pub fn show(session: &Session) -> Result<State> {
    let text = text(session)?;
    let mut keys = Vec::new();
    for key in [CLIENT_POLICY].into_iter().chain(CLIENT_SWITCHES) {
        keys.extend(config::value(&text, key)?.map(|value| Setting::to(key, value)));
    }
    let policy = config::text(&text, CLIENT_POLICY).unwrap_or_default();
    let off = keys.iter().any(|set| CLIENT_SWITCHES.contains(&&*set.key) && set.value == Some(false.into()));
    let verifies = off && matches!(&*policy, "verify" | "requireandverify");
    let authorities = ca::list(session).ok().map(|listed| listed.authorities.len());
    Ok(State { policy, verifies, keys, config: session.site.config_file(), authorities })
}

fn settings(policy: Option<Policy>) -> Vec<Setting> {
    let first = match policy {
        Some(policy) => Setting::to(CLIENT_POLICY, policy.word()),
        None => Setting::unset(CLIENT_POLICY),
    };
    let switch = |key: &&str| match policy {
        Some(policy) if policy.verifies() => Setting::to(key, false),
        _ => Setting::unset(key), // true unless set
    };
    std::iter::once(first).chain(CLIENT_SWITCHES.iter().map(switch)).collect()
}

fn wish(policy: Option<Policy>, options: Options) -> Wish {
    Wish {
        settings: settings(policy),
        reason: "the rest of your configuration is kept".to_owned(),
        what: "mutual authentication".to_owned(),
        force: false,
        restart: if options.restart { Restart::Running } else { Restart::Never },
        seconds: options.seconds,
    }
}

/// Plans it; without a policy clients are asked for nothing. `None` when it is so already.
///
/// # Errors
/// When no server is installed, or its configuration cannot be used.
pub fn plan(session: &Session, policy: Option<Policy>, options: Options) -> Result<Option<Plan>> {
    text(session)?;
    settings::plan(session, &wish(policy, options))
}

/// Does it, if the plan is still the one that was shown. False when it was so already.
///
/// # Errors
/// When another run is at work, the host has changed since, or a step failed.
pub fn run(session: &Session, policy: Option<Policy>, options: Options, approved: Digest) -> Result<bool> {
    text(session)?;
    settings::run(session, &wish(policy, options), approved)
}
