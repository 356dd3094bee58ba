use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::json;

use super::ask::{self, Question};
use super::common::{Common, KeyArgs};
use super::exit::Exit;
use super::password::{self, PasswordArgs};
use crate::plan::Plan;
use crate::prompt::{self, Answers, Partial};
use crate::report;
use crate::sys;
use crate::types::{Digest, Secret};
use crate::workflow::install::{self, Agreement, Next, Offer, Options};
use crate::workflow::{Error, Session};

/// What `install` and `plan` have in common.
#[derive(Debug, Clone, clap::Args)]
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
    /// Name or address that the self-signed certificate gets besides the host's own
    #[arg(long, value_name = "NAME")]
    pub(super) external_address: Vec<String>,
    /// How long the service may take to answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = HEALTH_SECONDS)]
    pub(super) health_timeout: u64,
}

const HEALTH_SECONDS: u64 = 120;

impl Default for Target {
    fn default() -> Self {
        Self {
            file: None,
            keys: KeyArgs::default(),
            answers: None,
            no_start: false,
            no_owner: false,
            cert: None,
            cert_key: None,
            external_address: Vec::new(),
            health_timeout: HEALTH_SECONDS,
        }
    }
}

/// Arguments of `install`
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    password: PasswordArgs,
    /// Read the passphrase of --cert-key from FILE
    #[arg(long, value_name = "FILE", requires = "cert")]
    cert_passphrase_file: Option<PathBuf>,
    /// Go on only if the plan has this digest (`demisto-install plan` prints it)
    #[arg(long, value_name = "SHA256")]
    plan_digest: Option<Digest>,
}

impl Target {
    pub(super) fn options(&self, session: &Session) -> Options {
        let certificate = self.cert.clone().zip(self.cert_key.clone());
        let scratch = !session.is_live() && !sys::env::is_root();
        Options {
            owners: !self.no_owner && !scratch,
            certificate,
            names: self.external_address.clone(),
            health_seconds: self.health_timeout,
        }
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
    if args.target.no_owner && session.is_live() {
        bail!(prompt_error("--no-owner is for trying it in a directory: give --root DIR, too"));
    }
    let known = args.target.known(&session)?;
    let password = password::from_sources(&args.password)?;
    let unattended = args.target.answers.is_some() && password.is_some();
    let can_ask = unattended || sys::tty::is_interactive();
    if !can_ask && session.receipt()?.is_none() {
        return Err(missing(&known, password.is_some())); // before the time is spent on verifying
    }
    if session.is_unfinished() {
        let (_lock, _) = session.begin_change()?; // also recovers
    }
    let mut offer = install::offer(&session, args.target.file.as_deref())?;
    if install::is_installed(&session, &offer)? {
        return Ok(nothing_to_do(common, &offer));
    }
    if !can_ask {
        return Err(missing(&known, password.is_some()));
    }
    greet(common, &offer);
    let options = args.target.options(&session);
    let asked_start = known.start;
    let (mut answers, password) = questions(&session, &offer, known, password, unattended)?;
    let Some(mut plan) = plan_of(&session, &offer, &answers, &options)? else {
        return Ok(nothing_to_do(common, &offer));
    };
    if !unattended {
        sys::fs::print_error(&report::plan(&plan));
        if !ask::confirm("Is this configuration OK?", true)? {
            bail!(ask::Error::Declined);
        }
        if asked_start.is_none() {
            answers.start = ask::start_question(true)?;
            if let Some(new) = plan_of(&session, &offer, &answers, &options)? {
                plan = new;
            }
        }
    }
    approved(args.plan_digest, &plan)?;
    let passphrase = passphrase(args)?;
    let secrets = install::secrets(&options, password, passphrase)?;
    let agreement =
        Agreement { answers: &answers, options: &options, plan: plan.digest(), secrets: &secrets };
    match install::run(&session, &mut offer, &agreement)? {
        None => Ok(nothing_to_do(common, &offer)),
        Some(installed) => {
            common
                .result(&report::installed(&installed), &json!({ "changed": true, "installed": installed }));
            Ok(Exit::Done.into())
        }
    }
}

fn prompt_error(why: &str) -> prompt::Error {
    prompt::Error::Answers { why: why.to_owned(), line: 0, column: 0 }
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
    sys::fs::print_error(&text);
}

fn questions(
    session: &Session,
    offer: &Offer,
    mut known: Partial,
    password: Option<Secret>,
    unattended: bool,
) -> Result<(Answers, Secret)> {
    if unattended {
        known = known.or(Partial { port: Some(prompt::DEFAULT_PORT), ..Partial::default() });
        known.clone().complete()?; // refuses before anything is asked or looked at
        known.admin_name = known.admin_name.or_else(|| Some(prompt::DEFAULT_ADMIN.to_owned()));
    } else if known.port.is_none() {
        known.port = install::configured_port(session);
    }
    let eula = offer.release.eula()?;
    let question = Question {
        eula: &eula,
        known,
        port_in_use: &install::port_in_use,
        password_known: password.is_some(),
    };
    let asked = ask::guided(&question)?;
    let password = password.or(asked.password).ok_or(ask::Error::NotATerminal)?;
    prompt::password::check(&password, &asked.answers.admin_name)?;
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

fn approved(wanted: Option<Digest>, plan: &Plan) -> Result<()> {
    match wanted {
        Some(approved) if approved != plan.digest() => {
            let (approved, found) = (approved.to_string(), plan.digest().to_string());
            Err(Error::PlanDiffers { approved, found }.into())
        }
        _ => Ok(()),
    }
}

fn passphrase(args: &Args) -> Result<Option<Secret>> {
    let Some(path) = &args.cert_passphrase_file else { return Ok(None) };
    Ok(Some(prompt::parse_password(sys::fs::read_secret(path, 4096)?)?))
}

fn nothing_to_do(common: &Common, offer: &Offer) -> ExitCode {
    let release = offer.release.manifest().release();
    let text = format!("{release} is installed and unchanged; nothing to do\n");
    common.result(&text, &json!({ "changed": false, "release": release }));
    Exit::Done.into()
}
