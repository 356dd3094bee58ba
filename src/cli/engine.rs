//! `engine`: engines, alone on a host or with names beside others.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::approval::Approval;
use super::common::{Common, KeyArgs, Place};
use super::exit::Exit;
use super::package::PackageArgs;
use super::preflight::SkipArgs;
use super::{repair, rollback, status, uninstall, upgrade, verify};
use crate::event::{self, EventSink};
use crate::plan::Plan;
use crate::product::EngineName;
use crate::workflow::engine::{self, Options};
use crate::workflow::install::{self, Next, Offer};
use crate::workflow::{Error, Session};
use crate::{report, sys};

/// How long an engine may take to connect, in seconds.
const CONNECT_SECONDS: u64 = 120;

/// Arguments of `engine`
#[derive(Debug, clap::Args)]
pub(super) struct EngineArgs {
    #[command(subcommand)]
    command: EngineCommand,
}

#[derive(Debug, clap::Subcommand)]
enum EngineCommand {
    /// Install an engine
    Install(Install),
    /// Give an installed engine its configuration or keys
    Configure(Configure),
    /// Show the engines of this host and how they are
    Status(Which),
    /// Put another release in the place of the installed one
    Upgrade(Upgrade),
    /// Go back to the release that was installed before, or forward again
    Rollback(Rollback),
    /// Put right what was changed since the installation
    Repair(Repair),
    /// Check what is installed: the recorded signatures, then every file
    Verify(Verify),
    /// Remove an engine
    Uninstall(Uninstall),
}

#[derive(Debug, Clone, Default, clap::Args)]
struct Which {
    /// The engine's name; the one without a name unless given
    #[arg(long, value_name = "NAME")]
    name: Option<EngineName>,
}

/// What an engine is given.
#[derive(Debug, Clone, Default, clap::Args)]
struct Gifts {
    /// The configuration that the server made for this engine (d1.conf)
    #[arg(long, value_name = "FILE")]
    conf: Option<PathBuf>,
    /// Certificate chain (PEM, leaf first) that the engine shows to the server
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// Private key of --client-cert (PEM); mode 0600
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
    /// Certificate chain (PEM, leaf first) that the engine shows to those who connect to it
    #[arg(long, value_name = "FILE", requires = "cert_key")]
    cert: Option<PathBuf>,
    /// Private key of --cert (PEM); mode 0600
    #[arg(long, value_name = "FILE", requires = "cert")]
    cert_key: Option<PathBuf>,
    /// Do not start the engine
    #[arg(long)]
    no_start: bool,
}

/// Arguments of `engine install`
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Install {
    /// The file that carries the release; this program itself unless given
    file: Option<PathBuf>,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    gifts: Gifts,
    #[command(flatten)]
    keys: KeyArgs,
    /// Take the answer about the licence agreement from FILE (JSON: accept_eula)
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// How long the engine may take to connect to the server, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = CONNECT_SECONDS)]
    connect_timeout: u64,
    /// Undo everything unless the log of that start says that the FIPS-CC self-tests passed
    #[arg(long)]
    require_fips: bool,
    #[command(flatten)]
    package: PackageArgs,
    #[command(flatten)]
    skip: SkipArgs,
    /// Leave all files to whoever runs this; for trying it in a directory with --root
    #[arg(long)]
    no_owner: bool,
    #[command(flatten)]
    approval: Approval,
}

#[derive(Debug, clap::Args)]
struct Configure {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    gifts: Gifts,
    /// How long the engine may take to connect to the server, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = CONNECT_SECONDS)]
    connect_timeout: u64,
    #[command(flatten)]
    approval: Approval,
}

#[derive(Debug, clap::Args)]
struct Upgrade {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    args: upgrade::EngineArgs,
    /// How long the engine may take to connect to the server, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = CONNECT_SECONDS)]
    connect_timeout: u64,
}

#[derive(Debug, clap::Args)]
struct Rollback {
    #[command(flatten)]
    which: Which,
    /// Only if this release is retained, such as 6.14.0-3036535; nothing is done if it is installed
    #[arg(long, value_name = "RELEASE")]
    to: Option<String>,
    /// How long the engine may take to connect to the server, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = CONNECT_SECONDS)]
    connect_timeout: u64,
    #[command(flatten)]
    approval: Approval,
}

#[derive(Debug, clap::Args)]
struct Repair {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    args: repair::Args,
}

#[derive(Debug, clap::Args)]
struct Verify {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    keys: KeyArgs,
}

#[derive(Debug, clap::Args)]
struct Uninstall {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    args: uninstall::Args,
}

pub(super) fn run(common: &Common, args: &EngineArgs) -> Result<ExitCode> {
    let place = |which: &Which| Place::Engine(which.name.clone());
    match &args.command {
        EngineCommand::Install(args) => install(common, args),
        EngineCommand::Configure(args) => configure(common, args),
        EngineCommand::Status(which) => {
            if which.name.is_some() {
                present(common, which)?;
            }
            status::engines(common, which.name.clone())
        }
        EngineCommand::Upgrade(args) => {
            present(common, &args.which)?;
            upgrade::run_in(common, &args.args.all(args.connect_timeout), place(&args.which))
        }
        EngineCommand::Rollback(args) => {
            present(common, &args.which)?;
            let all = rollback::Args::engine(args.to.clone(), args.connect_timeout, args.approval.clone());
            rollback::run_in(common, &all, place(&args.which))
        }
        EngineCommand::Repair(args) => {
            present(common, &args.which)?;
            repair::run_in(common, &args.args, place(&args.which))
        }
        EngineCommand::Verify(args) => {
            present(common, &args.which)?;
            verify::installed_in(common, &args.keys, place(&args.which))
        }
        EngineCommand::Uninstall(args) => uninstall::run_in(common, &args.args, place(&args.which)),
    }
}

/// Whether there is such an engine, or was: what a rollback left can be upgraded.
fn present(common: &Common, which: &Which) -> Result<()> {
    let session =
        common.session_in(&KeyArgs::default(), &event::Silent, Place::Engine(which.name.clone()))?;
    let unfinished = session.is_any_unfinished().unwrap_or(false);
    if unfinished || session.receipt()?.is_some() || crate::workflow::upgrade::is_present(&session)? {
        return Ok(());
    }
    Err(session.missing())
}

impl Install {
    /// Without any option.
    pub(super) fn guided() -> Self {
        Self { connect_timeout: CONNECT_SECONDS, ..Self::default() }
    }
}

impl Gifts {
    fn options(&self, session: &Session, no_owner: bool, connect_seconds: u64) -> Result<Options> {
        if no_owner && session.is_live() {
            return Err(Error::OwnersNeeded.into());
        }
        Ok(Options {
            conf: self.conf.clone(),
            client: self.client_cert.clone().zip(self.client_key.clone()),
            listener: self.cert.clone().zip(self.cert_key.clone()),
            owners: !no_owner && (session.is_live() || sys::env::is_root()),
            start: !self.no_start && session.is_live(),
            connect_seconds,
            require_fips: false,
            package: Default::default(),
        })
    }
}

pub(super) fn install(common: &Common, args: &Install) -> Result<ExitCode> {
    let sink = common.sink();
    let session = common.session_in(&args.keys, &*sink, Place::Engine(args.which.name.clone()))?;
    args.approval.begin(&session)?;
    let options = args.gifts.options(&session, args.no_owner, args.connect_timeout)?;
    let options = Options { require_fips: args.require_fips, package: args.package.options(), ..options };
    let gift = engine::gather(&session, &options)?; // before the time is spent on verifying
    let mut offer = install::offer(&session, install::candidate(&session, args.file.as_deref())?)?;
    let plan = match engine::plan(&session, &offer, &gift, &options)? {
        Next::Nothing if engine::plan_configure(&session, &gift, &options)?.is_some() => {
            return Err(Error::OtherGift.into());
        }
        Next::Nothing => return Ok(nothing_to_do(common, &offer)),
        Next::Change(plan) => plan,
    };
    args.skip.require_fit(&session, &offer)?;
    if !args.approval.dry_run {
        args.approval.check(&plan)?;
        upgrade::licence(&offer, None, args.answers.as_deref(), args.approval.is_unattended())?;
    }
    if !args.approval.decide(common, &plan, ("Install it?", true))? {
        return Ok(Exit::Done.into());
    }
    tell(&args.approval, &*sink, &plan);
    match engine::run(&session, &mut offer, &gift, &options, plan.digest())? {
        None => Ok(nothing_to_do(common, &offer)),
        Some(installed) => {
            let text = report::engine_installed(&installed, &session.root);
            common.result(&text, &json!({ "changed": true, "installed": installed }));
            Ok(Exit::Done.into())
        }
    }
}

/// What the plan would have shown.
fn tell(approval: &Approval, sink: &dyn EventSink, plan: &Plan) {
    if approval.is_unattended() {
        plan.notes.iter().for_each(|note| sink.note(note.clone()));
    }
}

fn nothing_to_do(common: &Common, offer: &Offer) -> ExitCode {
    let release = offer.release.manifest().release();
    let text = format!(
        "{release} is installed and unchanged; nothing to do (`engine configure` gives it another configuration)\n"
    );
    common.result(&text, &json!({ "changed": false, "release": release }));
    Exit::Done.into()
}

fn configure(common: &Common, args: &Configure) -> Result<ExitCode> {
    let sink = common.sink();
    let place = Place::Engine(args.which.name.clone());
    let session = common.session_in(&KeyArgs::default(), &*sink, place)?;
    args.approval.begin(&session)?;
    let options = args.gifts.options(&session, false, args.connect_timeout)?;
    let gift = engine::gather(&session, &options)?;
    let given = options.conf.is_some() || options.client.is_some() || options.listener.is_some();
    let nothing = || {
        if !given {
            return Err(Error::NothingGiven.into());
        }
        common.result("the engine has all of that; nothing to do\n", &json!({ "changed": false }));
        Ok(Exit::Done.into())
    };
    let Some(plan) = engine::plan_configure(&session, &gift, &options)? else { return nothing() };
    if !args.approval.decide(common, &plan, ("Change it?", false))? {
        return Ok(Exit::Done.into());
    }
    tell(&args.approval, &*sink, &plan);
    match engine::configure(&session, &gift, &options, plan.digest())? {
        None => nothing(),
        Some(done) => {
            let state = report::engine_state(done.started, done.connected);
            let text = format!("{} has its new configuration; {} {state}\n", session.site, done.unit);
            common.result(&text, &json!({ "changed": true, "configured": done }));
            Ok(Exit::Done.into())
        }
    }
}
