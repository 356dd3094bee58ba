//! Engines: installed with what the server made for them, and given something else later. Upgrades,
//! rollbacks, repairs and removals of an engine are those of the other files here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;
use zeroize::Zeroizing;

use super::cert::pair::read_pair;
use super::change::perform;
use super::install::{self, Next, Offer};
use super::{Error, Recorder, Session, package, upgrade};
use crate::apply::{self, Context, Secrets};
use crate::certs;
use crate::config;
use crate::host::{self, Survey};
use crate::plan::{self, Given, Plan, Service};
use crate::product::{self, PairKind, PairPaths, Site, under};
use crate::receipt::Receipt;
use crate::sys;
use crate::types::{Digest, Mode, Secret, error_chain};

/// Largest configuration, chain or key that is read.
const LIMIT: u64 = 1 << 20;
const CONFIG_MODE: Mode = Mode::new(0o640);
const KEY_MODE: Mode = Mode::new(0o400);

/// What an engine may be given.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its configuration.
    pub conf: Option<PathBuf>,
    /// The certificate chain and key that it shows to the server.
    pub client: Option<(PathBuf, PathBuf)>,
    /// The certificate chain and key that it shows to those who connect to it.
    pub listener: Option<(PathBuf, PathBuf)>,
    /// Whether owners are set.
    pub owners: bool,
    /// Whether it is started.
    pub start: bool,
    /// How long it may take to connect, in seconds.
    pub connect_seconds: u64,
    /// Whether its log has to say that its FIPS-CC self-tests passed.
    pub require_fips: bool,
    /// What is done for a package besides laying it out.
    pub package: package::Options,
}

/// What an engine is given, read once and found fit.
#[derive(Debug)]
pub struct Gift {
    files: Vec<Given>,
    contents: BTreeMap<String, Zeroizing<Vec<u8>>>,
    config: Option<config::Engine>,
    /// What is to be said about it.
    pub notes: Vec<String>,
}

/// Reads what is given, and the configuration that the engine has already.
///
/// # Errors
/// When something cannot be read, or the configuration that will count or a pair is unfit.
pub fn gather(session: &Session, options: &Options) -> Result<Gift> {
    let site = &session.site;
    let mut gift = Gift { files: Vec::new(), contents: BTreeMap::new(), config: None, notes: Vec::new() };
    let own = under(&session.root, &site.config_file());
    let (path, bytes) = match &options.conf {
        Some(conf) => (conf.clone(), Some(sys::fs::read_limited(conf, LIMIT)?)),
        None => (own.clone(), existing(session)?),
    };
    let mut text = Zeroizing::new(String::new());
    if let Some(bytes) = bytes {
        let bytes = Zeroizing::new(bytes);
        let unfit = |problems| Error::EngineConfig { file: path.clone(), problems };
        let read = std::str::from_utf8(&bytes).map_err(|_| unfit(vec!["it is not UTF-8".to_owned()]))?;
        read.clone_into(&mut text);
        gift.config = Some(judged(&text, site).map_err(unfit)?);
        if options.conf.is_some() {
            gift.add(site.config_file(), (&path, CONFIG_MODE), &bytes);
        }
    }
    if let Some(config) = &gift.config {
        gift.notes.extend(notes(config, site));
    }
    for (pair, kind) in [(&options.client, PairKind::Client), (&options.listener, PairKind::Listener)] {
        let Some((chain, private)) = pair else { continue };
        let passphrase = config::text(&text, kind.passphrase_key()).map(Secret::from);
        gift.add_pair(site.pair(kind), (chain, private), passphrase.as_ref())?;
    }
    Ok(gift)
}

/// The configuration that an engine has, unless it is still the release's default.
fn existing(session: &Session) -> Result<Option<Vec<u8>>> {
    let path = session.site.config_file();
    let bytes = match sys::fs::read_beneath(&session.root, &path, LIMIT) {
        Err(e) if e.is_not_found() => return Ok(None),
        other => other?,
    };
    let default = session.receipt()?.map(|receipt| receipt.config_base);
    Ok(Some(bytes).filter(|bytes| default.as_deref().map(str::as_bytes) != Some(&bytes[..])))
}

/// Everything that is wrong with a configuration, or what is in it.
fn judged(text: &str, site: &Site) -> std::result::Result<config::Engine, Vec<String>> {
    let found = config::engine(text, &site.log_dir()).map_err(|e| vec![error_chain(&e)])?;
    let mut problems: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
    if let Some(Err(error)) = found.server_public.as_ref().map(|key| certs::check_server_public(key))
        && !found.problems.iter().any(|problem| problem.key == "ServerPublic")
    {
        problems.push(format!("ServerPublic: {error}"));
    }
    let log = found.log_file.as_deref().unwrap_or(config::DEFAULT_LOG);
    if site.name().is_some() && log.rsplit_once('/').map(|(dir, _)| dir) != Some(&site.log_dir()) {
        let dir = site.log_dir();
        problems.push(format!(
            "LogFile: this engine has to log in {dir}: in {log} others' words would be taken for its own"
        ));
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

fn notes(config: &config::Engine, site: &Site) -> Vec<String> {
    let mut notes: Vec<String> =
        config.unknown.iter().map(|key| format!("{key} is not known to this program, and is kept")).collect();
    let log = config.log_file.as_deref().unwrap_or(config::DEFAULT_LOG);
    if log != site.log_file() {
        notes.push(format!("the engine logs to {log}; the usual place is {}", site.log_file()));
    }
    if !config.logs_connection {
        notes.push(
            "LogLevel hides whether the engine connects: it is only looked at whether it stays up".to_owned(),
        );
    }
    notes
}

impl Gift {
    fn add(&mut self, path: String, (from, mode): (&Path, Mode), bytes: &[u8]) {
        let from = from.display().to_string();
        self.files.push(Given { path: path.clone(), from, sha256: Digest::of(bytes), mode });
        self.contents.insert(path, Zeroizing::new(bytes.to_vec()));
    }

    fn add_pair(
        &mut self,
        at: PairPaths,
        (chain, key): (&Path, &Path),
        passphrase: Option<&Secret>,
    ) -> Result<()> {
        let (text, private) = read_pair(chain, key)?;
        certs::check_pair(&text, &private, passphrase)?;
        self.add(at.chain, (chain, KEY_MODE), text.as_bytes());
        self.add(at.key, (key, KEY_MODE), private.as_bytes());
        Ok(())
    }

    /// Whether the engine's log will tell that it is connected.
    fn tells_connection(&self) -> bool {
        self.config.as_ref().is_none_or(|config| config.logs_connection)
    }

    fn secrets(&self) -> Secrets {
        Secrets { files: self.contents.clone(), ..Secrets::default() }
    }

    /// Those files that are not in their places yet.
    fn missing(&self, session: &Session) -> Result<Vec<Given>> {
        let mut missing = Vec::new();
        for file in &self.files {
            let there = match sys::fs::read_beneath(&session.root, &file.path, LIMIT) {
                Err(e) if e.is_not_found() => None,
                other => Some(Digest::of(&Zeroizing::new(other?))),
            };
            if there != Some(file.sha256) {
                missing.push(file.clone());
            }
        }
        Ok(missing)
    }
}

/// Plans an installation. Looks at the host anew each time.
///
/// # Errors
/// When the host or the release does not allow it.
pub fn plan(session: &Session, offer: &Offer, gift: &Gift, options: &Options) -> Result<Next> {
    if install::is_installed(session, offer)? {
        return Ok(Next::Nothing);
    }
    let manifest = offer.release.manifest();
    let survey = survey(session, manifest)?;
    let input = plan::Engine {
        manifest,
        digest: offer.release.digest(),
        signers: offer.release.signers(),
        facts: &offer.facts,
        survey: &survey,
        texts: &upgrade::texts(session, &survey)?,
        files: &gift.files,
        config: gift.config.as_ref(),
        start: options.start,
        owners: options.owners,
        floor: apply::epoch_floor(&session.root, &session.site)?,
        connect_seconds: options.connect_seconds,
        require_fips: options.require_fips,
        packaging: &package::packaging(session, options.package, &offer.release, None)?,
    };
    let plan = plan::engine_install(&input, offer.receipt.as_ref())?;
    Ok(plan.map_or(Next::Nothing, |plan| Next::Change(Box::new(told(plan, gift)))))
}

fn survey(session: &Session, manifest: &crate::manifest::Manifest) -> Result<Survey> {
    let paths = plan::paths_of_interest(manifest, &session.site);
    Ok(host::survey(&session.root, &session.site, &paths)?)
}

fn told(mut plan: Plan, gift: &Gift) -> Plan {
    plan.notes.extend(gift.notes.iter().cloned());
    plan
}

/// What an installation made.
#[derive(Debug, Serialize)]
pub struct Installed {
    /// The release.
    pub release: String,
    /// Its name for people.
    pub title: String,
    /// The engine's name, if it has one.
    pub name: Option<String>,
    /// Its unit.
    pub unit: String,
    /// Whether it runs.
    pub started: bool,
    /// Whether its log says that it is connected; a quiet log says nothing.
    pub connected: bool,
    /// Whether it has a server's configuration.
    pub configured: bool,
    /// Who signed it.
    pub signers: Vec<String>,
    /// The configuration.
    pub config: String,
    /// The binaries.
    pub binaries: String,
    /// The engine's own log.
    pub engine_log: String,
    /// The durable log of this program.
    pub log: String,
}

/// Plans again under the lock, compares with what was shown, and carries it out.
///
/// # Errors
/// When another run is at work, the host has changed since, or a step failed.
pub fn run(
    session: &Session,
    offer: &mut Offer,
    gift: &Gift,
    options: &Options,
    approved: Digest,
) -> Result<Option<Installed>> {
    let recorder = Recorder::new(session.sink);
    let session = &session.telling(&recorder);
    let (_lock, _) = session.begin_change()?;
    offer.receipt = session.receipt()?;
    let plan = match plan(session, offer, gift, options)? {
        Next::Nothing => return Ok(None),
        Next::Change(plan) => plan,
    };
    session.require_approved(&plan, approved)?;
    let receipt =
        Receipt { port: 0, owners: options.owners, ..install::new_receipt(offer, &plan, &session.site) };
    let secrets = gift.secrets();
    let context = Context {
        release: Some(&offer.release),
        receipt: Some(&receipt),
        ..Context::new(session.place(), options.owners, &secrets, session.sink)
    };
    let what = format!("install {} {}", session.site, plan.release);
    perform(session, &recorder, (&plan, &what), &context)?;
    Ok(Some(installed(session, &receipt, gift, is_started(&plan))))
}

fn is_started(plan: &Plan) -> bool {
    plan.starts()
}

fn installed(session: &Session, receipt: &Receipt, gift: &Gift, started: bool) -> Installed {
    let at = |path: &str| under(&session.root, path).display().to_string();
    let log = gift.config.as_ref().and_then(|config| config.log_file.clone());
    Installed {
        release: receipt.release(),
        title: receipt.title.clone(),
        name: session.site.name().map(ToString::to_string),
        unit: session.site.unit(),
        started,
        connected: started && gift.tells_connection(),
        configured: gift.config.is_some(),
        signers: receipt.signers.iter().map(|s| s.fingerprint.to_string()).collect(),
        config: at(&session.site.config_file()),
        binaries: at(&session.site.tree()),
        engine_log: at(&log.unwrap_or_else(|| session.site.log_file())),
        log: at(product::INSTALL_LOG),
    }
}

/// Plans to give an installed engine something else; `None` when it has all of it, and runs.
///
/// # Errors
/// When no engine is installed there, or the host cannot be looked at.
pub fn plan_configure(session: &Session, gift: &Gift, options: &Options) -> Result<Option<Plan>> {
    let receipt = session.receipt()?.ok_or_else(|| session.missing())?;
    let manifest = apply::installed(&session.root, &session.site)?.ok_or(plan::Error::NothingInstalled)?;
    let facts = host::facts();
    if gift.config.is_none() {
        return Err(Error::NotConfigured(under(&session.root, &session.site.config_file())).into());
    }
    let service: Service = upgrade::service_now(session, facts.systemd)?;
    let input = plan::Configure {
        receipt: &receipt,
        manifest: manifest.get(),
        survey: &survey(session, manifest.get())?,
        files: &gift.missing(session)?,
        config: gift.config.as_ref(),
        service,
        start: options.start,
        selinux: session.is_live() && facts.selinux,
        connect_seconds: options.connect_seconds,
    };
    Ok(plan::configure(&input).map(|plan| told(plan, gift)))
}

/// What became of an engine that was given something else.
#[derive(Debug, Serialize)]
pub struct Configured {
    /// Its unit.
    pub unit: String,
    /// Whether it was started.
    pub started: bool,
    /// Whether its log says that it is connected; a quiet log says nothing.
    pub connected: bool,
}

/// Gives it, if the plan is still the one that was shown.
///
/// # Errors
/// When another run is at work, the host has changed since, or a step failed.
pub fn configure(
    session: &Session,
    gift: &Gift,
    options: &Options,
    approved: Digest,
) -> Result<Option<Configured>> {
    let recorder = Recorder::new(session.sink);
    let session = &session.telling(&recorder);
    let (_lock, _) = session.begin_change()?;
    let receipt = session.receipt()?.ok_or_else(|| session.missing())?;
    let Some(plan) = plan_configure(session, gift, options)? else { return Ok(None) };
    session.require_approved(&plan, approved)?;
    let secrets = gift.secrets();
    let context = Context::new(session.place(), receipt.owners, &secrets, session.sink);
    perform(session, &recorder, (&plan, &format!("configure {}", session.site)), &context)?;
    let started = is_started(&plan);
    let connected = started && gift.tells_connection();
    Ok(Some(Configured { unit: session.site.unit(), started, connected }))
}
