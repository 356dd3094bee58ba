//! Carries a plan out, under the journal: everything, or nothing.
//!
//! In: a [`Plan`], the release, secrets that no plan holds. Out: the changed host, or the host as
//! it was and the reason. Never starts a step that is not on disk in the journal first.
#![forbid(unsafe_code)]

mod accounts;
mod again;
mod authorities;
mod carry;
mod certificate;
mod configuration;
mod connection;
mod error;
mod files;
mod finish;
mod keep;
mod one_time;
mod package;
mod perform;
mod prepare;
mod remove;
mod repair;
mod reuse;
mod snapshot;
mod stage;
mod switch;
mod undo;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

pub use authorities::updates_trust;
pub use carry::count as count_host_things;
pub use connection::engine_log;
pub use error::{Error, Result};
pub use finish::{epoch_floor, installed, kept_bytes, retained};
pub use one_time::{
    OneTime, OneTimeKey, OneTimeUser, Waiting, check_one_time_place, one_time_file, one_time_holds,
    one_time_waiting, waiting_keypass,
};
pub use package::rpm_manages;
pub use repair::kept_content;
use zeroize::Zeroizing;

use crate::event::{Event, EventSink};
use crate::journal::{self, Before, Ending, Entry, Journal, Recovery};
use crate::manifest::Manifest;
use crate::plan::{Action, Plan, Planned, Step};
use crate::product::{self, Owner, Site, under};
use crate::receipt::Receipt;
use crate::release::Release;
use crate::service::logs::Place;
use crate::service::{self, RunLog};
use crate::sys::dir::{Ids, Stamp};
use crate::sys::{clock, signal};
use crate::types::{Digest, Secret, error_chain};
use crate::verify::Verified;

/// Secrets that steps need. They exist in memory only.
#[derive(Debug, Default)]
pub struct Secrets {
    /// The administrator's password.
    pub admin_password: Option<Secret>,
    /// A given certificate's chain.
    pub chain: Option<String>,
    /// Its private key.
    pub key: Option<Zeroizing<String>>,
    /// The passphrase of the key.
    pub passphrase: Option<Secret>,
    /// What is added to the one-time configuration.
    pub one_time: Option<OneTime>,
    /// The passphrase of the key that another one takes the place of. Should all be undone, the server finds it in
    /// its one-time configuration: it has taken the new one over by then.
    pub previous_keypass: Option<Secret>,
    /// Content of files that are taken, by the path that they get.
    pub files: BTreeMap<String, Zeroizing<Vec<u8>>>,
}

/// What carrying out needs besides the plan.
pub struct Context<'a> {
    /// The root that is changed.
    pub root: &'a Path,
    /// Which installation of it.
    pub site: &'a Site,
    /// Whether owners are set.
    pub owners: bool,
    /// The release, for steps that lay it out.
    pub release: Option<&'a Release>,
    /// Secrets.
    pub secrets: &'a Secrets,
    /// The receipt to write.
    pub receipt: Option<&'a Receipt>,
    /// Content of the installed tree that was read in this run.
    pub known: Option<&'a Known>,
    /// The manifest of what is live, read once: reading it takes longer than the service may be away.
    pub live: OnceLock<Option<Verified<Manifest>>>,
    /// The id of the run that the service's log told of before it was started.
    pub run_before: OnceLock<Option<String>>,
    /// The engine's log as it was when the service was started last.
    pub log: Mutex<Option<service::Log>>,
    /// Whether this is the recovery of a run that was cut off: what happened since is not known.
    pub recovering: bool,
    /// Who is told.
    pub sink: &'a dyn EventSink,
}

/// SHA-256 of files that were read, by what they were then.
pub type Known = HashMap<Stamp, Digest>;

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("root", &self.root).finish_non_exhaustive()
    }
}

impl<'a> Context<'a> {
    /// For changes that bring no release and take no secrets.
    #[must_use]
    pub fn new(
        (root, site): (&'a Path, &'a Site),
        owners: bool,
        secrets: &'a Secrets,
        sink: &'a dyn EventSink,
    ) -> Self {
        let (release, receipt, known, live, log) = (None, None, None, OnceLock::new(), Mutex::new(None));
        let (run_before, recovering) = (OnceLock::new(), false);
        Self { root, site, owners, release, secrets, receipt, known, live, run_before, log, recovering, sink }
    }
}

impl Context<'_> {
    /// Where `path` lies below the root.
    fn at(&self, path: &str) -> PathBuf {
        under(self.root, path)
    }

    /// The manifest of what is installed, as it was when this was asked first.
    fn live(&self) -> Result<Option<&Manifest>> {
        if self.live.get().is_none() {
            let _ = self.live.set(finish::installed(self.root, self.site)?);
        }
        Ok(self.live.get().and_then(Option::as_ref).map(Verified::get))
    }

    /// The service's log, for what the run says that this context started.
    fn run_log<'b>(&'b self, log: &'b str) -> RunLog<'b> {
        let before = self.run_before.get().and_then(Option::as_deref);
        RunLog { place: Place::Product(self.root, log), before }
    }

    /// Whether the root is the running system, so that its service manager can be used.
    fn is_live(&self) -> bool {
        self.root == Path::new("/")
    }

    /// The numbers of an owner; `None` when owners are not set.
    fn ids(&self, owner: Owner) -> Result<Option<Ids>> {
        if !self.owners {
            return Ok(None);
        }
        match owner {
            Owner::Root => Ok(Some(Ids { uid: 0, gid: 0 })),
            Owner::Demisto => {
                let accounts = crate::host::Accounts::look_up(self.root, product::SERVICE_USER)?;
                accounts.ids().map(Some).ok_or(Error::NoAccount(product::SERVICE_USER))
            }
        }
    }
}

/// Directory of an installation's journal below `root`.
#[must_use]
pub fn journal_dir(root: &Path, site: &Site) -> PathBuf {
    under(root, &site.journal_dir())
}

/// Carries the plan out. The caller holds the lock and has recovered what an earlier run left.
///
/// # Errors
/// [`Error::Restored`] when a step failed and all is as before; [`Error::NotRestored`] when the
/// undoing failed, too.
pub fn run(plan: &Plan, context: &Context) -> Result<()> {
    let _working = signal::Working::begin();
    let mut journal = Journal::begin(&journal_dir(context.root, context.site))?;
    let begin = Entry::Begin {
        schema: journal::SCHEMA,
        at: clock::now(),
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        plan: Box::new(plan.clone()),
        owners: context.owners,
    };
    if let Err(cause) = journal.append(&begin) {
        journal.discard();
        return Err(Error::Restored(Box::new(cause.into())));
    }
    let mut done: Vec<(usize, Before)> = Vec::new();
    let result = steps(plan, context, &mut journal, &mut done).and_then(|()| {
        journal.append(&Entry::Commit)?;
        Ok(())
    });
    match result {
        Ok(()) => {
            tidy(plan, context, journal, Ending::Done);
            Ok(())
        }
        Err(cause) => {
            done.reverse();
            context.sink.warn(format!("{}; undoing what was done", error_chain(&cause)));
            match back(plan, context, &mut journal, &done) {
                Ok(()) => {
                    tidy(plan, context, journal, Ending::Restored);
                    again::tell(plan, context, &done);
                    Err(Error::Restored(Box::new(cause)))
                }
                Err(undo) => Err(Error::NotRestored { cause: Box::new(cause), undo: Box::new(undo) }),
            }
        }
    }
}

/// Closes a run whose outcome is certain. What cannot be tidied up now is left to the next run.
fn tidy(plan: &Plan, context: &Context, journal: Journal, ending: Ending) {
    if let Err(error) = close(plan, context, journal, ending) {
        let left = "what is left to tidy up is left to the next run, or to `demisto-install recover`";
        context.sink.warn(format!("{}; {left}", error_chain(&error)));
    }
}

fn steps(
    plan: &Plan,
    context: &Context,
    journal: &mut Journal,
    done: &mut Vec<(usize, Before)>,
) -> Result<()> {
    for (number, planned) in plan.steps.iter().enumerate() {
        let text = planned.step.describe();
        context.sink.event(Event::Step { number: number + 1, of: plan.steps.len(), text });
        let before = prepare::before(&planned.step, number, context, journal)?;
        journal.append(&Entry::Intent { step: number, before: before.clone() })?;
        done.push((number, before.clone()));
        if let Err(error) = perform::perform(&planned.step, &before, context) {
            if perform::changed_nothing(&planned.step, &error) {
                journal.append(&Entry::Undone { step: number })?;
                done.pop();
            }
            return Err(error);
        }
        journal.append(&Entry::Done { step: number })?;
        if let Some(signal) = signal::pending() {
            return Err(Error::Interrupted(signal));
        }
    }
    Ok(())
}

/// Undoes steps in the order given.
fn back(plan: &Plan, context: &Context, journal: &mut Journal, steps: &[(usize, Before)]) -> Result<()> {
    quiet(plan, context, steps)?;
    for (number, before) in steps {
        let Some(planned) = plan.steps.get(*number) else { continue };
        // the first that fails ends it: what came before it may be what its undoing needs
        undo::undo(&planned.step, before, context, journal)?;
        // a full disk must not end the undoing; what is undone twice is undone all the same
        let _ = journal.append(&Entry::Undone { step: *number });
    }
    let units = |planned: &Planned| {
        matches!(planned.step, Step::WriteFile { .. } | Step::PutBack { .. } | Step::RemoveFile { .. })
    };
    if plan.steps.iter().any(units) {
        perform::reload_units(context)?;
    }
    Ok(())
}

/// What the run had stopped must not run while its tree and data go back, although a restart of the
/// host may have started it again. The undoing of the stop starts it.
fn quiet(plan: &Plan, context: &Context, steps: &[(usize, Before)]) -> Result<()> {
    let Some((last, _)) = steps.first() else { return Ok(()) };
    for (number, before) in steps.iter().filter(|(number, _)| number != last && context.is_live()) {
        if let (Some(Step::StopUnit { unit }), Before::Unit { active: true, .. }) =
            (plan.steps.get(*number).map(|planned| &planned.step), before)
        {
            service::stop(unit)?;
        }
    }
    Ok(())
}

fn close(plan: &Plan, context: &Context, mut journal: Journal, ending: Ending) -> Result<()> {
    if ending == Ending::Done {
        finish::finish(plan, context)?;
    }
    journal.drop_backups()?;
    let _ = journal.append(&Entry::End { ending }); // for people; the name of the file is what counts
    Ok(journal.end()?)
}

/// How a recovery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovered {
    /// There was nothing to recover.
    Nothing,
    /// A run that was cut off was undone.
    Restored,
    /// A run that was cut off after its last step was finished.
    Finished(Action),
}

/// Recovers from a run that was cut off: undoes it, or finishes it when it was complete. The
/// caller holds the lock.
///
/// # Errors
/// When the journal is damaged or a step cannot be undone.
pub fn recover(root: &Path, site: &Site, sink: &dyn EventSink) -> Result<Recovered> {
    let Some((mut journal, entries)) = Journal::reopen(&journal_dir(root, site))? else {
        return Ok(Recovered::Nothing);
    };
    let _working = signal::Working::begin();
    let begin = entries.iter().find_map(|entry| match entry {
        Entry::Begin { plan, owners, .. } => Some((plan, *owners)),
        _ => None,
    });
    let Some((plan, owners)) = begin else {
        journal.end()?; // cut off before it could announce anything
        return Ok(Recovered::Nothing);
    };
    let secrets = Secrets::default();
    let context = Context { recovering: true, ..Context::new((root, &plan.site), owners, &secrets, sink) };
    match journal::replay(&entries) {
        Recovery::Forward => {
            close(plan, &context, journal, Ending::Done).map(|()| Recovered::Finished(plan.action))
        }
        Recovery::Nothing => close(plan, &context, journal, Ending::Restored).map(|()| Recovered::Restored),
        Recovery::Undo { steps } => {
            back(plan, &context, &mut journal, &steps)?;
            close(plan, &context, journal, Ending::Restored)?;
            again::tell(plan, &context, &steps);
            Ok(Recovered::Restored)
        }
    }
}
