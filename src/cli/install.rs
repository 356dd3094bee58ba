use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::ask::{self, Question};
use super::common::{Common, KeyArgs};
use super::exit::Exit;
use super::package::PackageArgs;
use super::passphrase;
use super::password::{self, PasswordArgs};
use super::preflight::SkipArgs;
use crate::config::policy::GUIDE;
use crate::plan::{self, Plan};
use crate::product::Role;
use crate::prompt::{self, Answers, Partial};
use crate::report;
use crate::sys;
use crate::types::{Digest, Secret, printable};
use crate::workflow::install::{self, Agreement, Next, Offer, Options};
use crate::workflow::{Error, Session, require_approved};

/// What `install` and `plan` have in common.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Target {
    /// The file that carries the release; this program itself unless given
    pub(super) file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) keys: KeyArgs,
    /// Take answers from FILE (JSON: accept_eula, port, admin_name, start); never a password
    #[arg(long, value_name = "FILE")]
    pub(super) answers: Option<PathBuf>,
    /// Do not start the service at the end
    #[arg(long)]
    pub(super) no_start: bool,
    /// Leave all files to whoever runs this; for trying it in a directory with --root
    #[arg(long)]
    pub(super) no_owner: bool,
    /// Certificate chain (PEM, leaf first) to use instead of a self-signed one
    #[arg(long, value_name = "FILE", requires = "cert_key")]
    pub(super) cert: Option<PathBuf>,
    /// Private key of --cert (PEM); mode 0600
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(super) cert_key: Option<PathBuf>,
    /// Read the passphrase of --cert-key from FILE
    #[arg(long, alias = "passphrase-file", value_name = "FILE", requires = "cert")]
    pub(super) cert_passphrase_file: Option<PathBuf>,
    /// Name or address that the self-signed certificate gets besides the host's own
    #[arg(long, value_name = "NAME")]
    pub(super) external_address: Vec<String>,
    #[command(flatten)]
    pub(super) health: HealthArgs,
    #[command(flatten)]
    pub(super) package: PackageArgs,
    #[command(flatten)]
    pub(super) skip: SkipArgs,
}

pub(super) const HEALTH_SECONDS: u64 = 120;

/// What a service has to show that was started.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct HealthArgs {
    /// How long the service may take to answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = HEALTH_SECONDS)]
    pub(super) health_timeout: u64,
    /// Undo everything unless the log of that start says that the FIPS-CC self-tests passed
    #[arg(long)]
    pub(super) require_fips: bool,
}

impl Default for HealthArgs {
    fn default() -> Self {
        Self { health_timeout: HEALTH_SECONDS, require_fips: false }
    }
}

/// Arguments of `install`
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    password: PasswordArgs,
    /// Go on only if the plan has this digest (`demisto-install plan` prints it)
    #[arg(long, value_name = "SHA256")]
    plan_digest: Option<Digest>,
}

impl Target {
    pub(super) fn options(&self, session: &Session) -> Result<Options> {
        if self.no_owner && session.is_live() {
            return Err(Error::OwnersNeeded.into());
        }
        let certificate = self.cert.clone().zip(self.cert_key.clone());
        let scratch = !session.is_live() && !sys::env::is_root();
        Ok(Options {
            owners: !self.no_owner && !scratch,
            certificate,
            names: self.external_address.clone(),
            health_seconds: self.health.health_timeout,
            require_fips: self.health.require_fips,
            package: self.package.options(),
        })
    }

    /// Refuses what only a first installation takes, where an upgrade is planned.
    pub(super) fn refuse_first_only(&self) -> Result<(), ask::Error> {
        let given = [
            ("--no-start", self.no_start),
            ("--cert", self.cert.is_some()),
            ("--cert-key", self.cert_key.is_some()),
            ("--cert-passphrase-file", self.cert_passphrase_file.is_some()),
            ("--external-address", !self.external_address.is_empty()),
        ];
        let options: Vec<&str> =
            given.into_iter().filter_map(|(name, given)| given.then_some(name)).collect();
        if options.is_empty() { Ok(()) } else { Err(ask::Error::FirstOnly { options }) }
    }

    /// The passphrase of the given certificate's key.
    pub(super) fn passphrase(&self) -> Result<Option<Secret>> {
        let Some(path) = &self.cert_passphrase_file else { return Ok(None) };
        passphrase::from_file(path).map(Some)
    }

    /// Answers that are known without asking.
    pub(super) fn known(&self, session: &Session) -> Result<Partial> {
        let mut known = match &self.answers {
            Some(path) => Partial::parse(&sys::fs::read_limited(path, 1 << 20)?)?,
            None => Partial::default(),
        };
        if self.no_start || !session.is_live() {
            known.start = Some(false); // only the running system's services can be started
        }
        if self.answers.is_some() {
            known.port = known.port.or(install::configured_port(session));
        }
        Ok(known)
    }
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    let sink = common.sink();
    let session = common.session(&args.target.keys, &*sink)?;
    session.require_rights()?;
    session.refuse_when_busy()?;
    let options = args.target.options(&session)?;
    let known = args.target.known(&session)?;
    check(&known)?;
    let password = password::from_sources(&args.password)?;
    let unattended = args.target.answers.is_some() && password.is_some();
    let can_ask = unattended || sys::tty::is_interactive();
    if session.has_loose_ends()? {
        let (_lock, _) = session.begin_change()?; // also recovers
    }
    let candidate = install::candidate(&session, args.target.file.as_deref())?; // carries a release at all
    if install::claimed_role(&candidate) == Some(Role::Engine) {
        session.open(candidate)?; // what it claims counts only when it is signed
        return Err(plan::Error::NotAServer.into());
    }
    if !can_ask && session.receipt()?.is_none() {
        return Err(missing(&known, password.is_some())); // before the time is spent on verifying
    }
    let mut offer = install::offer(&session, candidate)?;
    // before anybody is asked: whether release and host fit each other
    if plan_of(&session, &offer, &assumed(&session, &known), &options)?.is_none() {
        return Ok(nothing_to_do(common, &offer));
    }
    args.target.skip.require_fit(&session, &offer)?;
    if !can_ask {
        return Err(missing(&known, password.is_some()));
    }
    let passphrase = args.target.passphrase()?;
    install::check_certificate(&options, passphrase.as_ref())?;
    greet(common, &offer);
    let asked_start = known.start;
    let (mut answers, password) = questions(&session, &offer, known, password, unattended)?;
    if !unattended {
        confirm(&session, &offer, (&mut answers, asked_start), &options)?;
    }
    let Some(plan) = plan_of(&session, &offer, &answers, &options)? else {
        return Ok(nothing_to_do(common, &offer));
    };
    if let Some(approved) = args.plan_digest {
        require_approved(&plan, approved)?;
    }
    let secrets = install::secrets(&options, password, passphrase)?;
    let agreement =
        Agreement { answers: &answers, options: &options, plan: plan.digest(), secrets: &secrets };
    match install::run(&session, &mut offer, &agreement)? {
        None => Ok(nothing_to_do(common, &offer)),
        Some(installed) => {
            let text = report::installed(&installed, &session.root);
            common.result(&text, &json!({ "changed": true, "installed": installed }));
            Ok(Exit::Done.into())
        }
    }
}

/// Shows the plan, and asks the vendor's last two questions.
fn confirm(
    session: &Session,
    offer: &Offer,
    (answers, start): (&mut Answers, Option<bool>),
    options: &Options,
) -> Result<()> {
    let Some(plan) = plan_of(session, offer, answers, options)? else { return Ok(()) };
    sys::fs::print_error(&printable(&report::plan(&plan)));
    if !ask::confirm("Is this configuration OK?", true)? {
        return Err(ask::Error::NotConfirmed.into());
    }
    if start.is_none() {
        answers.start = ask::start_question(true)?;
    }
    Ok(())
}

/// What is wrong with answers that were given beforehand.
pub(super) fn check(known: &Partial) -> Result<()> {
    if known.accept_eula == Some(false) {
        return Err(ask::Error::Declined.into());
    }
    if let Some(port) = known.port {
        prompt::check_port(&port.to_string())?;
    }
    if let Some(name) = &known.admin_name {
        prompt::check_admin_name(name)?;
    }
    Ok(())
}

/// The answers as they are when every question is answered with Enter.
pub(super) fn assumed(session: &Session, known: &Partial) -> Answers {
    Answers {
        accept_eula: true,
        port: known.port.or(install::configured_port(session)).unwrap_or(prompt::DEFAULT_PORT),
        admin_name: known.admin_name.clone().unwrap_or_else(|| prompt::DEFAULT_ADMIN.to_owned()),
        start: known.start.unwrap_or(true),
    }
}

/// Everything that an unattended run lacks, at once.
fn missing(known: &Partial, password: bool) -> anyhow::Error {
    let mut keys = known.missing();
    if !password {
        keys.push("the admin password");
    }
    if keys.is_empty() { ask::Error::NotATerminal.into() } else { prompt::Error::Missing { keys }.into() }
}

fn greet(common: &Common, offer: &Offer) {
    if common.is_json() || common.quiet {
        return;
    }
    let manifest = offer.release.manifest();
    let signers: Vec<String> = offer
        .release
        .signers()
        .iter()
        .map(|s| format!("{} ({})", s.fingerprint.spaced(), s.user_id))
        .collect();
    let text =
        format!("{} {}\nsigned by {}\n\n", manifest.title, manifest.release(), signers.join("\n          "));
    sys::fs::print_error(&printable(&text));
}

fn questions(
    session: &Session,
    offer: &Offer,
    mut known: Partial,
    password: Option<Secret>,
    unattended: bool,
) -> Result<(Answers, Secret)> {
    let assumed = assumed(session, &known);
    if unattended {
        known.clone().complete()?; // refuses before anything is asked or looked at
        known.port = Some(assumed.port);
        known.admin_name = Some(assumed.admin_name);
    }
    let eula = offer.release.eula()?;
    let question = Question {
        eula: &eula,
        known,
        default_port: assumed.port,
        port_in_use: &install::port_in_use,
        password_known: password.is_some(),
    };
    let asked = ask::guided(&question)?;
    let password = password.or(asked.password).ok_or(ask::Error::NotATerminal)?;
    prompt::password::check(&password, &asked.answers.admin_name, GUIDE)?;
    Ok((asked.answers, password))
}

pub(super) fn plan_of(
    session: &Session,
    offer: &Offer,
    answers: &Answers,
    options: &Options,
) -> Result<Option<Plan>> {
    Ok(match install::plan(session, offer, answers, options)? {
        Next::Nothing => None,
        Next::Change(plan) => Some(*plan),
    })
}

fn nothing_to_do(common: &Common, offer: &Offer) -> ExitCode {
    let release = offer.release.manifest().release();
    let text = format!("{release} is installed and unchanged; nothing to do\n");
    common.result(&text, &json!({ "changed": false, "release": release }));
    Exit::Done.into()
}
