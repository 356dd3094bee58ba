//! Single keys of the configuration: looked at, set, and taken away. Every verb that sets keys comes through
//! here, so that each leaves the rest of the file to the byte, and can be undone.

use anyhow::Result;
use zeroize::Zeroizing;

use super::ca;
use super::cert::pair::{config_digest, configuration, places};
use super::change::{self, Restart, installed};
use super::{Recorder, Session};
use crate::apply::Secrets;
use crate::config::lint::{Finding, Severity, lint};
use crate::config::{self, DiffLine, Setting, preset, table};
use crate::plan::{Action, Plan, Step};
use crate::product::{PairKind, Role, under};
use crate::service;
use crate::sys;
use crate::types::Digest;

/// A change of the configuration that is not wanted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A secret would be shown in plans and kept in journals.
    #[error("{key} holds a secret, which has no place in a plan or a journal")]
    Secret {
        /// The key.
        key: String,
    },
    /// Values of the password policy that are weaker than the guide's.
    #[error("{}", .0.join("; "))]
    Weaker(Vec<String>),
    /// A key that is not known.
    #[error(transparent)]
    Unknown(table::Unknown),
    /// A value that its key does not take.
    #[error("{}", .0.join("; "))]
    Values(Vec<String>),
    /// The configuration would have more errors than it has.
    #[error("the product would not obey: {}", .0.join("; "))]
    Findings(Vec<String>),
    /// There is no service here that could be started.
    #[error("there is no service here that could be started anew")]
    NoService,
    /// What was asked is for the other kind of configuration.
    #[error("{what} is for {}, and this is {}", if *.engine { "engines" } else { "a server" },
        if *.engine { "a server" } else { "an engine" })]
    OtherRole {
        /// What was asked.
        what: String,
        /// Whether it is for engines.
        engine: bool,
    },
}

/// What is to be set, and what happens then.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The keys.
    pub settings: Vec<Setting>,
    /// Why, for the plan.
    pub reason: String,
    /// What it is called in the log.
    pub what: String,
    /// Whether it is done although the product would not obey.
    pub force: bool,
    /// Which service is started anew.
    pub restart: Restart,
    /// How long it may take to answer or connect, in seconds.
    pub seconds: u64,
}

/// The text of an installation's configuration; an empty object where there is none. It may hold secrets.
///
/// # Errors
/// When nothing is installed, or it cannot be read.
pub fn text(session: &Session) -> Result<Zeroizing<String>> {
    installed(session)?;
    configuration(session)
}

/// Refuses what is for the other kind of configuration; `what` names it.
///
/// # Errors
/// When the installation has another role.
pub fn require_role(session: &Session, role: Role, what: &str) -> Result<(), Error> {
    if session.site.role() == role {
        return Ok(());
    }
    Err(Error::OtherRole { what: what.to_owned(), engine: role == Role::Engine })
}

/// Whether an engine has a certificate and key to show to its server.
///
/// # Errors
/// When the configuration cannot be read.
pub fn has_client_pair(session: &Session) -> Result<bool> {
    if session.site.is_server() {
        return Ok(false);
    }
    let at = places(session, PairKind::Client, &configuration(session)?);
    Ok([at.chain, at.key].iter().all(|path| sys::fs::exists(&under(&session.root, path))))
}

/// Plans it; `None` when it is so already.
///
/// # Errors
/// When nothing is installed, a value may not be set, the configuration cannot be used, or a service is to be
/// started and there is none.
pub fn plan(session: &Session, wish: &Wish) -> Result<Option<Plan>> {
    let now = text(session)?;
    let shown =
        |set: &Setting| set.value.as_ref().is_some_and(|v| config::masked_value(&set.key, v).is_some());
    if let Some(secret) = wish.settings.iter().find(|set| shown(set)) {
        return Err(Error::Secret { key: secret.key.clone() }.into());
    }
    let new = Zeroizing::new(config::set(&now, &wish.settings)?);
    if *new == *now {
        return Ok(None);
    }
    if !wish.force {
        refuse_errors(session, (&now, &new), &wish.settings)?;
    }
    let path = session.site.config_file();
    let was = config_digest(session)?;
    let step = Step::SetConfig { path, was, set: wish.settings.clone() };
    let port = config::https_port(&new).ok().flatten();
    let steps = vec![(step, &*wish.reason)];
    let mut plan =
        change::plan_small_at(session, Action::Configure, steps, (wish.restart, wish.seconds), port)?;
    if wish.restart == Restart::Always && !plan.starts() {
        return Err(Error::NoService.into());
    }
    if !plan.starts() {
        plan.notes.push(next_start(session));
    }
    plan.notes.extend(notes(session, &wish.settings));
    plan.notes.extend(strict_server(session, &wish.settings, plan.starts()));
    plan.notes.extend(low_port(session, &now, &new));
    Ok(Some(plan))
}

/// Refuses a text that `config check` finds an error in which was not there before. Of a key that is set, what
/// is wrong counts; of the others, which the same host may have changed meanwhile, only that something is.
fn refuse_errors(session: &Session, (now, new): (&str, &str), settings: &[Setting]) -> Result<()> {
    let role = session.site.role();
    let errors = |text: &str| -> Result<Vec<Finding>> {
        let found = lint(text, role, &super::config::host(session, text, role)?);
        Ok(found.into_iter().filter(|finding| finding.severity == Severity::Error).collect())
    };
    let was = errors(now)?;
    let is_set = |key: &Option<String>| {
        let key = key.as_deref().unwrap_or_default();
        settings.iter().any(|set| set.key.eq_ignore_ascii_case(key))
    };
    let is_old = |was: &Finding, found: &Finding| {
        (was.id, &was.key) == (found.id, &found.key) && (was.what == found.what || !is_set(&found.key))
    };
    let is_new = |found: &Finding| !was.iter().any(|was| is_old(was, found));
    let found: Vec<String> = errors(new)?
        .into_iter()
        .filter(is_new)
        .map(|found| format!("{}: {}", found.what, found.why))
        .collect();
    if found.is_empty() { Ok(()) } else { Err(Error::Findings(found).into()) }
}

/// Says so where an engine gets a port that its unit does not let it open.
fn low_port(session: &Session, now: &str, new: &str) -> Option<String> {
    let bound = |text: &str| config::text(text, "BindAddress")?.rsplit_once(':')?.1.parse::<u16>().ok();
    let is_new = !session.site.is_server() && bound(now) != bound(new);
    let drop_in = under(&session.root, &session.site.low_port_file());
    let is_low = bound(new).is_some_and(|port| (1..1024).contains(&port));
    (is_new && is_low && !sys::fs::exists(&drop_in)).then(|| {
        "its unit does not let the engine open a port below 1024; `engine configure --conf FILE` with this address \
         does"
            .to_owned()
    })
}

/// When the product notices.
#[must_use]
pub fn next_start(session: &Session) -> String {
    let who = if session.site.is_server() { "the server" } else { "the engine" };
    match session.is_live() {
        true => format!("{who} obeys when it is started again: `systemctl restart {}`", session.site.unit()),
        false => format!("{who} obeys when it is started again"),
    }
}

/// What goes with some keys.
fn notes(session: &Session, settings: &[Setting]) -> Vec<String> {
    let policy = settings.iter().find(|set| set.key.eq_ignore_ascii_case(preset::CLIENT_POLICY));
    let policy = policy.and_then(|set| set.value.as_ref()?.as_str()).filter(|policy| !policy.is_empty());
    let mut notes = Vec::new();
    let Some(policy) = policy.filter(|_| session.site.is_server()) else { return notes };
    let shut_out = match policy {
        "requireandverify" => Some("no good certificate"),
        "require" => Some("no certificate"),
        _ => None,
    };
    notes.push(match shut_out {
        Some(without) => format!(
            "whoever shows {without} is shut out: browsers and API clients, and engines, too; give each one first \
             (an engine: `engine configure --client-cert FILE --client-key FILE`). The way back, on this host: \
             `cert mutual off`"
        ),
        None => "a client that shows no certificate still gets in; one that is shown has to be good, an engine's, \
                 too. `cert mutual on` demands one"
            .to_owned(),
    });
    if policy != "require" && ca::list(session).is_ok_and(|listed| listed.authorities.is_empty()) {
        notes.push(
            "no authority was added to those that this host trusts: clients of your own authority are refused \
             until `ca add FILE`"
                .to_owned(),
        );
    }
    notes
}

/// What a host needs before its engine is strict with its server.
fn strict_server(session: &Session, settings: &[Setting], is_tried: bool) -> Option<String> {
    let strict = |set: &Setting| {
        preset::STRICT_SERVER
            .iter()
            .any(|(key, value)| set.key.eq_ignore_ascii_case(key) && set.value == Some((*value).into()))
    };
    let is_strict = !session.site.is_server() && settings.iter().any(strict);
    let advice = if is_tried {
        ""
    } else {
        ". With `--restart` it is tried at once, and undone if it does not connect"
    };
    is_strict.then(|| {
        format!(
            "the engine connects no longer unless this host trusts the server's authority (`ca list`, `ca add FILE`) \
             and, where revocation counts, every certificate of the server's chain names an OCSP responder that \
             answers from here{advice}"
        )
    })
}

/// Whether the server on this host turned us away because we have no certificate to show; `None` when it was
/// not asked.
///
/// # Errors
/// When nothing is installed, or its configuration cannot be read.
pub fn wants_certificate(session: &Session) -> Result<Option<bool>> {
    if !session.site.is_server() {
        return Ok(None);
    }
    let (receipt, _) = installed(session)?;
    let port = config::https_port(&configuration(session)?).ok().flatten().unwrap_or(receipt.port);
    Ok(Some(service::probe(port, "/", None).wants_certificate))
}

/// The configuration's path, and how it differs from the defaults that came with the release; secrets masked.
///
/// # Errors
/// When nothing is installed, or it cannot be read.
pub fn diff(session: &Session) -> Result<(String, Vec<DiffLine>)> {
    let (receipt, _) = installed(session)?;
    let now = configuration(session)?;
    Ok((session.site.config_file(), config::diff(&receipt.config_base, &now)))
}

/// Does it, if the plan is still the one that was shown. False when it was so already.
///
/// # Errors
/// When another run is at work, the host has changed since, or a step failed.
pub fn run(session: &Session, wish: &Wish, approved: Digest) -> Result<bool> {
    let recorder = Recorder::new(session.sink);
    let session = &session.telling(&recorder);
    let (_lock, _) = session.begin_change()?;
    let Some(plan) = plan(session, wish)? else { return Ok(false) };
    session.require_approved(&plan, approved)?;
    let (receipt, _) = installed(session)?;
    change::carry_out(session, &recorder, (&plan, &wish.what), (&Secrets::default(), receipt.owners))?;
    Ok(true)
}
