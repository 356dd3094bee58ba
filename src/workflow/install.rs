//! A first installation.

use std::path::{Path, PathBuf};

use anyhow::Result;
use zeroize::Zeroizing;

use super::cert::pair::read_pair;
use super::change::perform;
use super::log::Recorder;
use super::{Error, Session, drift, package, upgrade, wrapper};
use crate::apply::{self, Context, Secrets};
use crate::certs;
use crate::config;
use crate::host::{self, Facts};
use crate::manifest::Unverified;
use crate::plan::{self, Certificate, Install, Plan};
use crate::product::{self, Role, Site, under};
use crate::prompt::{self, Answers};
use crate::receipt::{self, Receipt};
use crate::release::{Release, Throughput};
use crate::rpmfile::Package;
use crate::source::Candidate;
use crate::sys;
use crate::types::{Digest, Secret, error_chain};

/// What an installation may be told besides the answers.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether owners are set.
    pub owners: bool,
    /// Certificate chain and key to use instead of a self-signed pair.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Further names for the self-signed certificate.
    pub names: Vec<String>,
    /// How long the service may take to become healthy, in seconds.
    pub health_seconds: u64,
    /// Whether its log has to say that its FIPS-CC self-tests passed.
    pub require_fips: bool,
    /// What is done for a package besides laying it out.
    pub package: package::Options,
}

/// A release that was verified as a whole, and the host that it is offered to.
#[derive(Debug)]
pub struct Offer {
    /// The release.
    pub release: Release,
    /// How fast it was verified.
    pub throughput: Throughput,
    /// The host.
    pub facts: Facts,
    /// What is installed now.
    pub receipt: Option<Receipt>,
}

/// What an offer leads to.
#[derive(Debug)]
pub enum Next {
    /// This very release is installed, and nothing of it was changed.
    Nothing,
    /// This is to be done.
    Change(Box<Plan>),
}

/// What an installation made.
#[derive(Debug, serde::Serialize)]
pub struct Installed {
    /// The release.
    pub release: String,
    /// Its name for people.
    pub title: String,
    /// Where to log in.
    pub url: String,
    /// The administrator's name.
    pub admin_name: String,
    /// Whether the service runs.
    pub started: bool,
    /// Who signed it.
    pub signers: Vec<String>,
    /// The durable log.
    pub log: String,
    /// The configuration.
    pub config: String,
    /// Whether the certificate was made here.
    pub self_signed: bool,
    /// The binaries.
    pub binaries: String,
    /// The data.
    pub data: String,
}

/// Opens a file, or the running program, as something that says it holds a release. Of a makeself archive it is
/// what is inside.
///
/// # Errors
/// When it cannot be opened, carries none, or is an archive that is refused.
pub fn candidate(session: &Session, file: Option<&Path>) -> Result<Candidate> {
    let Some(path) = file else { return Ok(Candidate::open_self()?) };
    let (file, name, wrapper) = wrapper::open(session, path)?;
    if wrapper.is_some() {
        session.sink.note(format!(
            "{} is a makeself archive; what counts is {}",
            path.display(),
            name.display()
        ));
    }
    Ok(Candidate::of_file(file, name)?)
}

/// What a candidate says that it is for. It may be a lie, so it only chooses what is asked next.
#[must_use]
pub fn claimed_role(candidate: &Candidate) -> Option<Role> {
    let manifest = match candidate.package() {
        Some(envelope) => Unverified::of_header(&Package::parse(envelope.header()).ok()?),
        None => Unverified::parse(candidate.signed()),
    };
    manifest.ok().map(|manifest| manifest.look().role)
}

/// Opens a release and compares all of it with what was signed.
///
/// # Errors
/// When it is refused or damaged.
pub fn offer(session: &Session, candidate: Candidate) -> Result<Offer> {
    let release = session.open(candidate)?;
    let throughput = release.verify_all(session.sink)?;
    Ok(Offer { release, throughput, facts: host::facts(), receipt: session.receipt()? })
}

/// The port that the host's configuration sets already.
#[must_use]
pub fn configured_port(session: &Session) -> Option<u16> {
    port_set(session).ok().flatten()
}

/// The port that the configuration sets, if there is one that does.
///
/// # Errors
/// Why it cannot be told, in words.
pub(super) fn port_set(session: &Session) -> Result<Option<u16>, String> {
    let path = under(&session.root, &session.site.config_file());
    let text = match sys::fs::read_limited(&path, 4 << 20) {
        Ok(text) => text,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error_chain(&error)),
    };
    let told = config::https_port(&String::from_utf8_lossy(&text));
    told.map_err(|error| format!("{}: {}", path.display(), error_chain(&error)))
}

/// Whether this very release is installed, unchanged.
///
/// # Errors
/// When it is installed but was changed since.
pub fn is_installed(session: &Session, offer: &Offer) -> Result<bool> {
    let Some(receipt) = &offer.receipt else { return Ok(false) };
    if receipt.manifest != offer.release.digest() {
        return Ok(false);
    }
    let found = drift::of(&session.root, &session.site, offer.release.manifest(), receipt.owners)?;
    if found.is_empty() { Ok(true) } else { Err(Error::Drift { count: found.len() }.into()) }
}

/// Plans. Looks at the host anew each time.
///
/// # Errors
/// When the host or the release does not allow it.
pub fn plan(session: &Session, offer: &Offer, answers: &Answers, options: &Options) -> Result<Next> {
    if is_installed(session, offer)? {
        return Ok(Next::Nothing);
    }
    let manifest = offer.release.manifest();
    let survey =
        host::survey(&session.root, &session.site, &plan::paths_of_interest(manifest, &session.site))?;
    let input = Install {
        manifest,
        digest: offer.release.digest(),
        signers: offer.release.signers(),
        facts: &offer.facts,
        survey: &survey,
        texts: &upgrade::texts(session, &survey)?,
        answers,
        certificate: certificate(options, &offer.facts)?,
        floor: apply::epoch_floor(&session.root, &session.site)?,
        owners: options.owners,
        health_seconds: options.health_seconds,
        require_fips: options.require_fips,
        packaging: &package::packaging(session, options.package, &offer.release, None)?,
    };
    let plan = plan::install(&input, offer.receipt.as_ref())?;
    Ok(plan.map_or(Next::Nothing, |plan| Next::Change(Box::new(plan))))
}

fn certificate(options: &Options, facts: &Facts) -> Result<Certificate> {
    let Some((chain, key)) = &options.certificate else {
        if let Some(bad) = options.names.iter().find(|name| !certs::request::is_host_name(name)) {
            return Err(Error::Name(bad.clone()).into());
        }
        let mut names = vec![facts.hostname.clone(), "localhost".to_owned()];
        names.extend(options.names.iter().cloned());
        names.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
        let mut seen = std::collections::HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        return Ok(Certificate::SelfSigned(names));
    };
    let encrypted = certs::is_encrypted(&read_key(key)?);
    Ok(Certificate::Given { chain: chain.display().to_string(), encrypted })
}

pub(super) fn read_key(path: &Path) -> Result<Zeroizing<String>> {
    let bytes = Zeroizing::new(sys::fs::read_secret(path, 1 << 20)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| certs::Error::Key(certs::key::Error::NoKey))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Checks a given certificate, as far as there is one.
///
/// # Errors
/// When the pair is unfit, or its passphrase is missing or wrong.
pub fn check_certificate(options: &Options, passphrase: Option<&Secret>) -> Result<()> {
    given_pair(options, passphrase).map(drop)
}

/// A certificate chain and its private key.
type Pair = (String, Zeroizing<String>);

fn given_pair(options: &Options, passphrase: Option<&Secret>) -> Result<Option<Pair>> {
    let Some((chain, key)) = &options.certificate else { return Ok(None) };
    let (chain, key) = read_pair(chain, key)?;
    certs::check_pair(&chain, &key, passphrase)?;
    Ok(Some((chain, key)))
}

/// Gathers the secrets of an installation, and checks a given certificate.
///
/// # Errors
/// When the certificate or its key is unfit.
pub fn secrets(options: &Options, password: Secret, passphrase: Option<Secret>) -> Result<Secrets> {
    let mut secrets = Secrets { admin_password: Some(password), passphrase, ..Secrets::default() };
    if let Some((chain, key)) = given_pair(options, secrets.passphrase.as_ref())? {
        (secrets.chain, secrets.key) = (Some(chain), Some(key));
    }
    Ok(secrets)
}

/// What was agreed on.
#[derive(Debug)]
pub struct Agreement<'a> {
    /// The answers.
    pub answers: &'a Answers,
    /// The options.
    pub options: &'a Options,
    /// The digest of the plan that was shown.
    pub plan: Digest,
    /// The secrets.
    pub secrets: &'a Secrets,
}

/// Plans again under the lock, compares with what was shown, and carries it out.
///
/// # Errors
/// When another run is at work, the host has changed since, or a step failed.
pub fn run(session: &Session, offer: &mut Offer, agreement: &Agreement) -> Result<Option<Installed>> {
    let recorder = Recorder::new(session.sink);
    let session = &session.telling(&recorder);
    let (_lock, _) = session.begin_change()?;
    offer.receipt = session.receipt()?;
    let plan = match plan(session, offer, agreement.answers, agreement.options)? {
        Next::Nothing => return Ok(None),
        Next::Change(plan) => plan,
    };
    session.require_approved(&plan, agreement.plan)?;
    let receipt = receipt(session, offer, agreement, &plan);
    let context = Context {
        release: Some(&offer.release),
        receipt: Some(&receipt),
        ..Context::new(session.place(), agreement.options.owners, agreement.secrets, session.sink)
    };
    perform(session, &recorder, (&plan, &format!("install {}", plan.release)), &context)?;
    Ok(Some(installed(session, &receipt, agreement)))
}

fn receipt(session: &Session, offer: &Offer, agreement: &Agreement, plan: &Plan) -> Receipt {
    Receipt {
        port: agreement.answers.port,
        admin_name: agreement.answers.admin_name.clone(),
        owners: agreement.options.owners,
        ..new_receipt(offer, plan, &session.site)
    }
}

/// The receipt of an offered release, as far as release and plan say it.
pub(super) fn new_receipt(offer: &Offer, plan: &Plan, site: &Site) -> Receipt {
    let manifest = offer.release.manifest();
    let creates = |wanted: fn(&plan::Step) -> bool| plan.steps.iter().any(|planned| wanted(&planned.step));
    Receipt {
        schema: receipt::SCHEMA,
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        installed_at: sys::clock::now(),
        product: manifest.product.clone(),
        title: manifest.title.clone(),
        role: manifest.role,
        version: manifest.version,
        build: manifest.build,
        epoch: manifest.epoch,
        manifest: offer.release.digest(),
        signers: offer.release.signers().to_vec(),
        plan: plan.digest(),
        port: prompt::DEFAULT_PORT,
        admin_name: String::new(),
        units: manifest.units.iter().map(|unit| site.unit_named(&unit.name)).collect(),
        owners: true,
        created_user: creates(|step| matches!(step, plan::Step::CreateUser { .. })),
        created_group: creates(|step| matches!(step, plan::Step::CreateGroup { .. })),
        package: plan.steps.iter().find_map(|planned| match &planned.step {
            plan::Step::RegisterPackage { name } => Some(name.clone()),
            _ => None,
        }),
        config_base: site.localised(&manifest.config),
    }
}

fn installed(session: &Session, receipt: &Receipt, agreement: &Agreement) -> Installed {
    let host = if session.is_live() { sys::env::hostname() } else { "localhost".to_owned() };
    let port = if receipt.port == 443 { String::new() } else { format!(":{}", receipt.port) };
    let at = |path: &str| under(&session.root, path).display().to_string();
    Installed {
        release: receipt.release(),
        title: receipt.title.clone(),
        url: format!("https://{host}{port}/"),
        admin_name: receipt.admin_name.clone(),
        started: agreement.answers.start,
        signers: receipt.signers.iter().map(|s| s.fingerprint.to_string()).collect(),
        log: at(product::INSTALL_LOG),
        config: at(&session.site.config_file()),
        self_signed: agreement.options.certificate.is_none(),
        binaries: at(&session.site.tree()),
        data: at(&session.site.data_dir()),
    }
}

/// Says who listens on a port, in words; `None` when it is free.
#[must_use]
pub fn port_in_use(port: u16) -> Option<String> {
    sys::net::listening_on(port).map(|holder| match holder {
        Some(holder) => format!("port {port} is in use by {} (pid {})", holder.name, holder.pid),
        None => format!("port {port} is in use by another program"),
    })
}
