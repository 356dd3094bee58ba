//! Whether the server asks its clients for certificates (guide, "Configure Mutual Authentication for the Web
//! UI").

use anyhow::Result;
use serde::Serialize;
use zeroize::Zeroizing;

use super::pair::{config_digest, configuration};
use crate::apply::Secrets;
use crate::config::{self, Setting};
use crate::plan::{Action, Plan, Step};
use crate::types::Digest;
use crate::workflow::change::{Restart, carry_out, installed, plan_small};
use crate::workflow::{Recorder, Session, ca};

/// The key of what is asked of clients.
const POLICY: &str = "server.certificate.clientauthpolicy";
/// The key that turns the verification of clients' certificates off. The guide spells it in two ways, one in
/// its table of keys and one in its procedure; a product of either kind obeys when both say the same.
const SWITCHES: [&str; 2] = [
    "security.server.certificate.donotverifyclientcertificates",
    "security.certificate.override.donotverifyclientcertificates",
];

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
    installed(session)?;
    if session.site.is_server() { configuration(session) } else { Err(NoServer.into()) }
}

/// Looks at how it is set.
///
/// # Errors
/// When no server is installed, or its configuration cannot be read.
pub fn show(session: &Session) -> Result<State> {
    let text = text(session)?;
    let mut keys = Vec::new();
    for key in [POLICY].into_iter().chain(SWITCHES) {
        keys.extend(config::value(&text, key)?.map(|value| Setting::to(key, value)));
    }
    let policy = config::text(&text, POLICY).unwrap_or_default();
    let off = keys.iter().any(|set| SWITCHES.contains(&&*set.key) && set.value == Some(false.into()));
    let verifies = off && matches!(&*policy, "verify" | "requireandverify");
    let authorities = ca::list(session).ok().map(|listed| listed.authorities.len());
    Ok(State { policy, verifies, keys, config: session.site.config_file(), authorities })
}

fn settings(policy: Option<Policy>) -> Vec<Setting> {
    let first = match policy {
        Some(policy) => Setting::to(POLICY, policy.word()),
        None => Setting::unset(POLICY),
    };
    let switch = |key: &&str| match policy {
        Some(policy) if policy.verifies() => Setting::to(key, false),
        _ => Setting::unset(key), // true unless set
    };
    std::iter::once(first).chain(SWITCHES.iter().map(switch)).collect()
}

/// Plans it; without a policy clients are asked for nothing. `None` when it is so already.
///
/// # Errors
/// When no server is installed, or its configuration cannot be used.
pub fn plan(session: &Session, policy: Option<Policy>, options: Options) -> Result<Option<Plan>> {
    let now = text(session)?;
    let set = settings(policy);
    if config::set(&now, &set)? == *now {
        return Ok(None);
    }
    let was = config_digest(session)?;
    let step = Step::SetConfig { path: session.site.config_file(), was, set };
    let restart = if options.restart { Restart::Running } else { Restart::Never };
    let steps = vec![(step, "the rest of your configuration is kept")];
    let mut plan = plan_small(session, Action::Configure, steps, (restart, options.seconds))?;
    if !plan.starts() {
        plan.notes.push("the server obeys when it is started again".to_owned());
    }
    if policy.is_some() {
        plan.notes.push(
            "it is asked of engines, too: give each a certificate first, `engine configure --client-cert FILE \
             --client-key FILE`"
                .to_owned(),
        );
    }
    if policy.is_some_and(Policy::verifies) && ca::list(session).is_ok_and(|l| l.authorities.is_empty()) {
        plan.notes.push(
            "no authority was added to those that this host trusts: clients of your own authority are refused \
             until `ca add FILE`"
                .to_owned(),
        );
    }
    Ok(Some(plan))
}

/// Does it, if the plan is still the one that was shown. False when it was so already.
///
/// # Errors
/// When another run is at work, the host has changed since, or a step failed.
pub fn run(session: &Session, policy: Option<Policy>, options: Options, approved: Digest) -> Result<bool> {
    let recorder = Recorder::new(session.sink);
    let session = &session.telling(&recorder);
    let (_lock, _) = session.begin_change()?;
    let Some(plan) = plan(session, policy, options)? else { return Ok(false) };
    session.require_approved(&plan, approved)?;
    let (receipt, _) = installed(session)?;
    carry_out(session, &recorder, (&plan, "mutual authentication"), (&Secrets::default(), receipt.owners))?;
    Ok(true)
}
