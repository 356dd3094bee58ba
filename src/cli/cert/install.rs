//! `cert install`: another certificate and key, which count only when the service shows them.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::cli::approval::Approval;
use crate::cli::ask;
use crate::cli::common::{Common, KeyArgs, Place};
use crate::cli::exit::Exit;
use crate::cli::install::HEALTH_SECONDS;
use crate::cli::passphrase::{self, OpenArgs};
use crate::event::EventSink;
use crate::probe::Target;
use crate::product::{EngineName, PairKind, PairPaths, under};
use crate::sys;
use crate::workflow::Session;
use crate::workflow::cert::install::{self, Change, Error, Installed, Options, Source};
use crate::workflow::cert::live_backup::Other;

/// Arguments of `cert install`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The certificate chain (PEM): leaf, intermediates, root
    #[arg(long, value_name = "FILE", visible_alias = "cert")]
    chain: PathBuf,
    /// Its private key (PEM); mode 0600
    #[arg(long, value_name = "FILE", visible_alias = "cert-key")]
    key: PathBuf,
    /// A name that a server's certificate has to be valid for; a client's has to have one of them
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// Put the chain here instead of its usual place, and say so in the configuration
    #[arg(long, value_name = "PATH", requires = "to_key")]
    to_chain: Option<String>,
    /// Put the key here instead of its usual place, and say so in the configuration
    #[arg(long, value_name = "PATH", requires = "to_chain")]
    to_key: Option<String>,
    #[command(flatten)]
    how: How,
}

/// Which pair is changed, and how that is gone about.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct How {
    #[command(flatten)]
    pub(super) which: Which,
    #[command(flatten)]
    pub(super) secrets: SecretArgs,
    #[command(flatten)]
    pub(super) start: StartArgs,
    #[command(flatten)]
    pub(super) approval: Approval,
}

/// Whose pair it is.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Which {
    /// The pair of an engine
    #[arg(long)]
    engine: bool,
    /// The engine's name; the one without a name unless given
    #[arg(long, value_name = "NAME", requires = "engine")]
    name: Option<EngineName>,
    /// The pair that the engine shows to the server
    #[arg(long, requires = "engine")]
    client: bool,
    /// The pair that the engine shows to those who connect to it [default]
    #[arg(long, requires = "engine", conflicts_with = "client")]
    listener: bool,
}

impl Which {
    pub(super) fn session<'a>(&self, common: &Common, sink: &'a dyn EventSink) -> Result<Session<'a>> {
        let place = Place::of(self.engine, self.name.as_ref());
        let session = common.session_in(&KeyArgs::default(), sink, place)?;
        // what an engine shows is not what a server shows: which one is meant has to be said
        if self.engine || session.site.is_server() { Ok(session) } else { Err(Error::NoServer.into()) }
    }

    /// As they were given.
    pub(super) fn options(&self) -> String {
        let name = self.name.as_ref().map(|name| format!(" --name {name}"));
        let flags = [(self.engine, " --engine"), (self.client, " --client"), (self.listener, " --listener")];
        let flags = flags.into_iter().filter(|(given, _)| *given).map(|(_, flag)| flag.to_owned());
        flags.chain(name).collect()
    }

    pub(super) fn kind(&self, session: &Session) -> PairKind {
        match (session.site.is_server(), self.client) {
            (true, _) => PairKind::Server,
            (false, true) => PairKind::Client,
            (false, false) => PairKind::Listener,
        }
    }
}

/// Where passphrases come from.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct SecretArgs {
    #[command(flatten)]
    open: OpenArgs,
    /// Read the passphrase of the key that is replaced from FILE; it is needed to go back
    #[arg(long, value_name = "FILE")]
    old_passphrase_file: Option<PathBuf>,
    /// Go on without it: if the new pair fails, the old key may have to be unlocked by hand
    #[arg(long, conflicts_with = "old_passphrase_file")]
    no_way_back: bool,
    /// Have the product keep the passphrase encrypted (security.keypass.encrypt)
    #[arg(long)]
    encrypt_keypass: bool,
}

/// What becomes of the service.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct StartArgs {
    /// Leave the service stopped
    #[arg(long)]
    no_start: bool,
    /// How long the service may take to answer or connect, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = HEALTH_SECONDS)]
    health_timeout: u64,
    /// There is a live backup, although ui.livebackup does not say so
    #[arg(long)]
    live_backup: bool,
    /// Where the other host of the live backup listens; it has to be stopped
    #[arg(long, value_name = "HOST:PORT")]
    peer: Option<Target>,
}

impl Args {
    fn source(&self) -> Source {
        Source::Files { chain: self.chain.clone(), key: self.key.clone() }
    }
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    let to = args.to_chain.clone().zip(args.to_key.clone());
    let to = to.map(|(chain, key)| PairPaths { chain, key });
    let sink = common.sink();
    let session = args.how.which.session(common, &*sink)?;
    args.how.approval.begin(&session)?;
    let options = options(&session, args.source(), &args.how);
    carry_out(common, &session, Options { to, names: args.hosts.clone(), ..options }, &args.how)
}

pub(super) fn options(session: &Session, source: Source, how: &How) -> Options {
    let How { which, secrets, start, .. } = how;
    Options {
        kind: which.kind(session),
        source,
        to: None,
        names: Vec::new(),
        start: !start.no_start && session.is_live(),
        seconds: start.health_timeout,
        encrypt_keypass: secrets.encrypt_keypass,
        no_way_back: secrets.no_way_back,
        other: Other { exists: start.live_backup, at: start.peer.clone() },
    }
}

/// What `install`, `renew` and `rollback` have in common: passphrases, checks, the plan, and what came of it.
pub(super) fn carry_out(common: &Common, session: &Session, options: Options, how: &How) -> Result<ExitCode> {
    let How { secrets, approval, .. } = how;
    let mut change = install::gather(session, options)?;
    if secrets.encrypt_keypass && !change.gives_passphrase() {
        return Err(Error::NoKeypass.into());
    }
    unlock(session, &mut change, secrets, approval)?;
    let is_open =
        change.gives_passphrase() && !secrets.encrypt_keypass && !install::encrypts_keypass(session)?;
    if is_open && !approval.is_unattended() && sys::tty::is_interactive() {
        let question = "Have the product keep the passphrase encrypted (security.keypass.encrypt)?";
        if ask::confirm(question, true)? {
            change.encrypt_keypass();
        }
    }
    let Some(plan) = install::plan(session, &mut change)? else { return Ok(nothing_to_do(common)) };
    if !approval.decide(common, &plan, ("Change it?", false))? {
        return Ok(Exit::Done.into());
    }
    if approval.is_unattended() {
        plan.notes.iter().for_each(|note| session.sink.note(note.clone())); // else the plan has shown them
    }
    match install::run(session, &mut change, plan.digest())? {
        None => Ok(nothing_to_do(common)),
        Some(done) => {
            common.result(&told(session, &done), &json!({ "changed": true, "certificate": done }));
            Ok(Exit::Done.into())
        }
    }
}

/// Gathers the passphrases that are needed, and checks the pair.
fn unlock(session: &Session, change: &mut Change, args: &SecretArgs, approval: &Approval) -> Result<()> {
    let locked = change.locked_key().filter(|_| change.gives_passphrase()).map(str::to_owned);
    let question = format!("Passphrase of {}", locked.as_deref().unwrap_or_default());
    let passphrase = args.open.get_opening(&question, locked.is_some(), |given| change.opens_new(given))?;
    change.unlock(session, passphrase)?;
    if let Some(path) = &args.old_passphrase_file {
        return change.unlock_old(session, passphrase::from_file(path)?);
    }
    let asks = !approval.is_unattended() && !args.no_way_back && sys::tty::is_interactive();
    if let Some(key) = change.locked_old_key(session)?.filter(|_| asks) {
        let question = format!("Passphrase of {}, which is replaced (to go back if need be)", key.display());
        let old = ask::secret_opening(&question, |given| change.opens_old(given))?;
        change.unlock_old(session, old)?;
    }
    Ok(())
}

pub(super) fn nothing_to_do(common: &Common) -> ExitCode {
    common.result("this pair is in its place; nothing to do\n", &json!({ "changed": false }));
    Exit::Done.into()
}

fn told(session: &Session, done: &Installed) -> String {
    let at = |path: &str| under(&session.root, path).display().to_string();
    let state = match (done.started, done.served) {
        (true, true) => "a handshake showed the new certificate",
        (true, false) => "the engine is up with the new pair",
        (false, _) => "the service is not started",
    };
    let mut text = format!("{} and {} are the new pair; {state}\n", at(&done.pair.chain), at(&done.pair.key));
    if let Some(kept) = &done.kept {
        text.push_str(&format!("the pair before is kept in {kept}; `cert rollback` puts it back\n"));
    }
    text
}
