//! Another certificate and key for the server or an engine: given, kept from before, or made here.
//! Checked before anything is changed, and back again when the service does not show it.

use std::path::PathBuf;

use anyhow::Result;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::check;
use super::live_backup::{self, Doing, Other};
use super::make;
use super::pair::{
    Content, KEY_MODE, Target, config_digest, configuration, is_there, kept_place, owners, places,
    read_given, read_installed, read_kept, service_ids,
};
use crate::apply::{self, Context, OneTime, Secrets};
use crate::certs;
use crate::certs::check::{File, Finding, Role, Severity};
use crate::config::{self, Setting};
use crate::host;
use crate::plan::{self, Given, Keypass, NewPair, PairChange, Plan};
use crate::product::{PairKind, PairPaths, under};
use crate::prompt;
use crate::service;
use crate::sys;
use crate::sys::dir::Kind;
use crate::types::{Digest, Secret};
use crate::workflow::change::perform;
use crate::workflow::{Recorder, Session, install, upgrade};

/// The key that lets an engine show its certificate (guide, table "X509v3 certificates settings").
const CLIENT_ENABLED: &str = "security.client.enabled";
/// The key that has the passphrase kept encrypted (the same table).
const ENCRYPT_KEYPASS: &str = "security.keypass.encrypt";

/// A pair that cannot be installed, for reasons that no room below knows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Rules are broken that the product, its peers or the guide insist on.
    #[error("the pair is not fit: {}", told(findings))]
    Unfit {
        /// What was found, errors only.
        findings: Vec<Finding>,
    },
    /// Nothing is kept.
    #[error("no {0} pair was kept: `cert install` and `cert renew` keep the one that they replace")]
    NothingKept(&'static str),
    /// Another pair is kept than the one that is wanted.
    #[error("the certificate with the SHA-256 {wanted} is not kept; {kept} is")]
    OtherKept {
        /// The wanted one.
        wanted: Digest,
        /// The kept one.
        kept: Digest,
    },
    /// There is no pair.
    #[error("there is no pair of certificate and key at {chain} and {key}")]
    NoPair {
        /// Where the chain should be.
        chain: String,
        /// Where the key should be.
        key: String,
    },
    /// The other host of a live backup was not named.
    #[error("this host has a live backup, and both have to be stopped before either is changed and started")]
    OtherHost,
    /// The other host of a live backup still runs.
    #[error("{at}, the other host of the live backup, still runs with the certificate that it had")]
    OtherRuns {
        /// Where it was looked at.
        at: String,
    },
    /// A CA signed it.
    #[error("the certificate is a CA's, which has to sign the next one, too")]
    NotSelfMade,
    /// The place of a chain or key is none that a key may be written to.
    #[error("{} is no place for the service's certificate or key: {why}", path.display())]
    Place {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The service cannot go all the way to the place of a chain or key.
    #[error("the service could not read {}: it may not enter {dir}", path.display())]
    Closed {
        /// The file.
        path: PathBuf,
        /// The directory.
        dir: String,
    },
    /// An engine's pair was not asked for.
    #[error("an engine is installed here, and no server")]
    NoServer,
    /// There is no passphrase that could be kept encrypted.
    #[error("the server is given no passphrase that it could keep encrypted")]
    NoKeypass,
    /// The configuration, or the record of the kept pair, names a file that is not there.
    #[error("{} is not there, and a new file is made only where you name it", path.display())]
    Unnamed {
        /// The file.
        path: PathBuf,
    },
    /// The way back needs a passphrase that nobody gave.
    #[error("{} is encrypted, and going back to it would need its passphrase", .0.display())]
    OldPassphrase(PathBuf),
    /// A passphrase that was given for the key that is replaced is another one's.
    #[error("the passphrase does not open {}, the key that is replaced", .0.display())]
    WrongOldPassphrase(PathBuf),
    /// An engine finds the passphrase of a key in its configuration only.
    #[error("the key is encrypted, and {} does not give its passphrase ({key})", file.display())]
    EnginePassphrase {
        /// The engine's configuration.
        file: PathBuf,
        /// The key of it that would hold it.
        key: &'static str,
    },
}

fn told(findings: &[Finding]) -> String {
    let told: Vec<String> = findings.iter().map(tell).collect();
    told.join("; ")
}

fn tell(finding: &Finding) -> String {
    let Finding { file, subject, what, id, .. } = finding;
    let whose = if subject.is_empty() { file.clone() } else { format!("{file}, {subject}") };
    format!("{whose}: {what} ({id})")
}

/// Where a pair comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// From files.
    Files {
        /// The chain.
        chain: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// The one that was replaced last.
    Kept,
    /// A self-signed one is made.
    Made {
        /// How long it is valid.
        days: u32,
        /// Names that it may have besides this host's own; none where the plan is shown and approved.
        agreed: Option<Vec<String>>,
    },
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the pair is for.
    pub kind: PairKind,
    /// Where it comes from.
    pub source: Source,
    /// Where it goes, if not to its usual place.
    pub to: Option<PairPaths>,
    /// Names that the certificate has to be valid for; those of the configuration unless given.
    pub names: Vec<String>,
    /// Whether the service is started.
    pub start: bool,
    /// How long it may take to answer or connect, in seconds.
    pub seconds: u64,
    /// Whether the product is told to keep the passphrase encrypted.
    pub encrypt_keypass: bool,
    /// Whether it is fine that the old key may not be opened any more.
    pub no_way_back: bool,
    /// The other host of a live backup.
    pub other: Other,
}

/// A pair on its way, and the passphrases that belong to it.
#[derive(Debug)]
pub struct Change {
    options: Options,
    /// The pair that comes; `None` when it is made.
    new: Option<Content>,
    /// Names of the one that is made.
    names: Vec<String>,
    /// The pair that counts now.
    old: Option<Content>,
    to: PairPaths,
    passphrase: Option<Secret>,
    /// The passphrase of the key that is replaced, where going back would need it.
    old_passphrase: Option<Secret>,
    /// What is not right about the pair that comes, and no reason to refuse it.
    warnings: Vec<String>,
}

/// Reads the pair that comes and the one that is there.
///
/// # Errors
/// When one cannot be read, or the place of the new one is not fit for it.
pub fn gather(session: &Session, options: Options) -> Result<Change> {
    if !upgrade::is_present(session)? {
        return Err(session.missing());
    }
    let text = configuration(session)?;
    let now = places(session, options.kind, &text);
    let kept = match options.source {
        Source::Kept => Some(kept_place(session, options.kind)?),
        _ => None,
    };
    let to = options.to.clone().or(kept).unwrap_or_else(|| now.clone());
    Target { to: &to, named: options.to.is_some() }.check(session, options.kind)?;
    let old = read_installed(session, &now)?;
    let (new, names) = match &options.source {
        Source::Files { chain, key } => (Some(read_given(chain, key)?), Vec::new()),
        Source::Kept => (Some(read_kept(session, options.kind)?), Vec::new()),
        Source::Made { agreed, .. } => {
            let none = || Error::NoPair { chain: now.chain.clone(), key: now.key.clone() };
            let old = old.as_ref().ok_or_else(none)?;
            let names = certs::names(&old.chain)?;
            if let Some(agreed) = agreed {
                make::vouch(session, &names, agreed)?;
            }
            (None, names)
        }
    };
    Ok(Change { options, new, names, old, to, passphrase: None, old_passphrase: None, warnings: Vec::new() })
}

impl Change {
    /// The key that comes, if it is encrypted and its passphrase is not known yet.
    #[must_use]
    pub fn locked_key(&self) -> Option<&str> {
        let new = self.new.as_ref().filter(|new| new.is_encrypted() && self.passphrase.is_none());
        new.map(|new| new.from.key.as_str())
    }

    /// Whether the product is given a passphrase.
    #[must_use]
    pub fn gives_passphrase(&self) -> bool {
        self.options.kind == PairKind::Server && self.new.as_ref().is_some_and(Content::is_encrypted)
    }

    /// Has the product keep the passphrase encrypted.
    pub fn encrypt_keypass(&mut self) {
        self.options.encrypt_keypass = true;
    }

    /// Whether a passphrase opens the key that comes; so does any where another mistake would be told.
    #[must_use]
    pub fn opens_new(&self, passphrase: &Secret) -> bool {
        self.new.as_ref().is_none_or(|new| !certs::is_wrong(&new.key, passphrase))
    }

    /// As [`opens_new`](Self::opens_new), of the key that is replaced.
    #[must_use]
    pub fn opens_old(&self, passphrase: &Secret) -> bool {
        self.old.as_ref().is_none_or(|old| !certs::is_wrong(&old.key, passphrase))
    }

    /// Takes the passphrase of the key that comes; an engine's is in its configuration.
    ///
    /// # Errors
    /// When an engine's configuration does not give it, or pair and passphrase do not fit.
    pub fn unlock(&mut self, session: &Session, passphrase: Option<Secret>) -> Result<()> {
        let Some(new) = &self.new else { return Ok(()) };
        let kind = self.options.kind;
        self.passphrase = match passphrase {
            _ if !new.is_encrypted() => None,
            given if kind == PairKind::Server => given,
            given => {
                let told = config::text(&configuration(session)?, kind.passphrase_key()).map(Secret::from);
                let same = |told: &Secret| {
                    given.as_ref().is_none_or(|given| given.expose_secret() == told.expose_secret())
                };
                let file = under(&session.root, &session.site.config_file());
                let unknown = Error::EnginePassphrase { file, key: kind.passphrase_key() };
                Some(told.filter(same).ok_or(unknown)?)
            }
        };
        certs::check_pair(&new.chain, &new.key, self.passphrase.as_ref())?;
        self.judge(session)
    }

    /// By the rules of `cert check`. A pair that was in use before is only warned about.
    fn judge(&mut self, session: &Session) -> Result<()> {
        let Some(new) = &self.new else { return Ok(()) };
        let kind = self.options.kind;
        let role = if kind == PairKind::Client { Role::Client } else { Role::Server };
        let file = |name: &str, text: &str| File::read(name, Zeroizing::new(text.as_bytes().to_vec()));
        let files = vec![file(&new.from.chain, &new.chain), file(&new.from.key, &new.key)];
        let asked = check::Asked { names: self.options.names.clone(), ..check::Asked::default() };
        let mut set = check::given(session, role, files, &asked)?;
        if kind == PairKind::Listener && asked.names.is_empty() {
            set.names.clear(); // those of the configuration are the server's
        }
        let findings = check::judge(session, set, self.passphrase.as_ref()).findings;
        let strict = !matches!(self.options.source, Source::Kept);
        let (errors, others): (Vec<Finding>, Vec<Finding>) =
            findings.into_iter().partition(|finding| strict && finding.severity == Severity::Error);
        if !errors.is_empty() {
            return Err(Error::Unfit { findings: errors }.into());
        }
        let worth = others.iter().filter(|finding| finding.severity != Severity::Note);
        self.warnings = worth.map(tell).collect();
        Ok(())
    }

    /// The key that is replaced, if going back to it would need its passphrase, which neither the new
    /// one nor the configuration gives: the product takes over the passphrase of the new one.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub fn locked_old_key(&mut self, session: &Session) -> Result<Option<PathBuf>> {
        // one that the product cannot read is no way back, with or without its passphrase
        let old = self.old.as_ref().filter(|old| old.is_encrypted() && certs::is_readable(&old.key));
        let Some(old) = old else { return Ok(None) };
        if !self.gives_passphrase() || self.old_passphrase.is_some() {
            return Ok(None);
        }
        let told = config::text(&configuration(session)?, self.options.kind.passphrase_key());
        let known = [told.map(Secret::from), self.passphrase.clone()];
        self.old_passphrase = known.into_iter().flatten().find(|known| certs::opens(&old.key, known));
        Ok(self.old_passphrase.is_none().then(|| under(&session.root, &old.from.key)))
    }

    /// Takes the passphrase of the key that is replaced.
    ///
    /// # Errors
    /// When it does not open that key.
    pub fn unlock_old(&mut self, session: &Session, passphrase: Secret) -> Result<()> {
        let is_same = |old: &&Content| self.new.as_ref().is_some_and(|new| new.key == old.key);
        let old = self.old.as_ref().filter(|old| !is_same(old) && certs::is_readable(&old.key));
        let Some(old) = old else { return Ok(()) };
        if !certs::opens(&old.key, &passphrase) {
            return Err(Error::WrongOldPassphrase(under(&session.root, &old.from.key)).into());
        }
        self.old_passphrase = Some(passphrase);
        Ok(())
    }

    fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::default();
        if self.gives_passphrase() {
            let keypass = self.passphrase.clone();
            secrets.one_time = Some(OneTime { keypass, ..OneTime::default() });
            secrets.previous_keypass = self.old_passphrase.clone();
        }
        if let Some(new) = &self.new {
            let files = [(&self.to.chain, new.chain.as_bytes()), (&self.to.key, new.key.as_bytes())];
            secrets.files = files
                .map(|(path, bytes)| (path.clone(), Zeroizing::new(bytes.to_vec())))
                .into_iter()
                .collect();
        }
        secrets
    }

    /// Those files that are not in their places, as they should be.
    fn missing(&self, session: &Session) -> Result<NewPair> {
        let Some(new) = &self.new else {
            let days = if let Source::Made { days, .. } = self.options.source { days } else { 0 };
            return Ok(NewPair::Made { names: self.names.clone(), days });
        };
        let wanted = if owners(session)? { service_ids(session)? } else { None };
        let mut missing = Vec::new();
        for (path, from, bytes) in [
            (&self.to.chain, &new.from.chain, new.chain.as_bytes()),
            (&self.to.key, &new.from.key, new.key.as_bytes()),
        ] {
            let sha256 = Digest::of(bytes);
            if !is_there(session, path, sha256, wanted)? {
                missing.push(Given { path: path.clone(), from: from.clone(), sha256, mode: KEY_MODE });
            }
        }
        Ok(NewPair::Taken(missing))
    }
}

/// Plans; `None` when the pair is in its place and the service shows it. Looks at the host anew each time.
///
/// # Errors
/// When the host cannot be looked at, or there would be no way back and nobody agreed to that.
pub fn plan(session: &Session, change: &mut Change) -> Result<Option<Plan>> {
    let options = change.options.clone();
    let text = configuration(session)?;
    let now = places(session, options.kind, &text);
    let new = change.missing(session)?;
    let facts = host::facts();
    let service = upgrade::service_now(session, facts.systemd)?;
    let start = options.start && service.live;
    let mut notes = change.warnings.clone();
    if let Some(key) = change.locked_old_key(session)? {
        // also without a start: a reboot half-way would start it
        if service.live && !options.no_way_back {
            return Err(Error::OldPassphrase(key).into());
        }
        notes.push(format!("nobody knows the passphrase of {}: going back would need it", key.display()));
    }
    let brings_files = !matches!(&new, NewPair::Taken(files) if files.is_empty());
    let doing = Doing { brings_files, starts: start };
    notes.extend(live_backup::check(session, options.kind, &options.other, doing)?);
    let receipt = session.receipt()?;
    let manifest = apply::installed(&session.root, &session.site)?;
    let installed = receipt.as_ref().zip(manifest.as_ref().map(|manifest| manifest.get()));
    let port = install::configured_port(session);
    let port = port.or(receipt.as_ref().map(|receipt| receipt.port)).unwrap_or(prompt::DEFAULT_PORT);
    let is_file = |path: &str| sys::fs::stat(&under(&session.root, path)).map(|stat| stat.is_some());
    let old = is_file(&now.chain)? || is_file(&now.key)?;
    let input = PairChange {
        installed,
        root: &session.root,
        site: &session.site,
        kind: options.kind,
        back: matches!(options.source, Source::Kept),
        new: &new,
        to: &change.to,
        old: old.then_some(&now),
        service,
        stale: start && service.active && is_stale(change, port),
        start,
        port,
        seconds: options.seconds,
        one_time: one_time(session, change)?,
        keeps: keeps(session)?,
        settings: settings(session, change, &now, &text),
        config: config_digest(session)?,
        selinux: session.is_live() && facts.selinux,
        notes,
    };
    Ok(plan::pair_change(input))
}

/// What is done to the passphrase in the one-time configuration, and where that is; nothing for an engine.
fn one_time(session: &Session, change: &Change) -> Result<Option<(String, Keypass)>> {
    if change.options.kind != PairKind::Server {
        return Ok(None);
    }
    let (root, site, owners) = (&session.root, &session.site, owners(session)?);
    let path = apply::one_time_file(root, site);
    if change.gives_passphrase() {
        apply::check_one_time_place(root, &path, owners)?;
        return Ok(Some((path, Keypass::Given)));
    }
    // a file in a place that is not the service's is left alone
    let waiting = apply::one_time_waiting(root, site, owners).ok().flatten();
    Ok(waiting.filter(|waiting| waiting.keypass).map(|_| (path, Keypass::Dropped)))
}

/// Whether the directory of kept pairs is there.
fn keeps(session: &Session) -> Result<bool> {
    let there = sys::fs::stat(&under(&session.root, &session.site.kept_pairs()))?;
    Ok(there.is_some_and(|stat| stat.kind == Kind::Dir))
}

/// What the configuration has to say that it does not.
fn settings(session: &Session, change: &Change, now: &PairPaths, text: &str) -> Vec<Setting> {
    let mut settings = Vec::new();
    let (kind, to) = (change.options.kind, &change.to);
    let (chain, key) = kind.path_keys();
    for (name, now, to) in [(chain, &now.chain, &to.chain), (key, &now.key, &to.key)] {
        if now != to {
            settings.push(Setting::to(name, to.as_str()));
        }
    }
    let is_on = |key: &str| matches!(config::value(text, key), Ok(Some(Value::Bool(true))));
    if kind == PairKind::Client && !is_on(CLIENT_ENABLED) && !session.site.is_server() {
        settings.push(Setting::to(CLIENT_ENABLED, true)); // else it shows none
    }
    if change.options.encrypt_keypass && change.gives_passphrase() && !is_on(ENCRYPT_KEYPASS) {
        settings.push(Setting::to(ENCRYPT_KEYPASS, true));
    }
    settings
}

/// Whether the product is told already to keep passphrases encrypted.
///
/// # Errors
/// When the configuration cannot be read.
pub fn encrypts_keypass(session: &Session) -> Result<bool> {
    Ok(matches!(config::value(&configuration(session)?, ENCRYPT_KEYPASS), Ok(Some(Value::Bool(true)))))
}

/// Whether a server shows another certificate than the one that it should.
fn is_stale(change: &Change, port: u16) -> bool {
    let wanted = change.new.as_ref().and_then(|new| certs::leaf_digest(&new.chain).ok());
    let shown = service::probe(port, "/", None).certificate;
    change.options.kind == PairKind::Server && shown.is_some() && shown != wanted
}

/// What was done.
#[derive(Debug, Serialize)]
pub struct Installed {
    /// The unit.
    pub unit: String,
    /// Where chain and key are.
    pub pair: PairPaths,
    /// Whether the service was started.
    pub started: bool,
    /// Whether a handshake showed the new certificate.
    pub served: bool,
    /// Where the pair before it is kept.
    pub kept: Option<String>,
}

/// Plans again under the lock, compares with what was shown, and carries it out.
///
/// # Errors
/// When another run is at work, the host has changed since, or a step failed.
pub fn run(session: &Session, change: &mut Change, approved: Digest) -> Result<Option<Installed>> {
    let recorder = Recorder::new(session.sink);
    let session = &session.telling(&recorder);
    let (_lock, _) = session.begin_change()?;
    Target { to: &change.to, named: change.options.to.is_some() }.check(session, change.options.kind)?;
    let Some(plan) = plan(session, change)? else { return Ok(None) };
    session.require_approved(&plan, approved)?;
    plan.notes.iter().for_each(|note| recorder.only_log(note));
    let secrets = change.secrets();
    let context = Context::new(session.place(), owners(session)?, &secrets, session.sink);
    let what = format!("certificate of {} ({})", session.site, change.options.kind.word());
    perform(session, &recorder, (&plan, &what), &context)?;
    let started = plan.starts();
    let keeps = |planned: &plan::Planned| matches!(planned.step, plan::Step::KeepPair { .. });
    let kept = plan.steps.iter().any(keeps).then(|| session.site.kept_pair(change.options.kind));
    Ok(Some(Installed {
        unit: session.site.unit(),
        pair: change.to.clone(),
        started,
        served: started && change.options.kind == PairKind::Server,
        kept: kept.map(|path| under(&session.root, &path).display().to_string()),
    }))
}
