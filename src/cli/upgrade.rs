use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::approval::Approval;
use super::ask;
use super::common::{Common, KeyArgs, Place};
use super::exit::Exit;
use super::install::HealthArgs;
use super::package::PackageArgs;
use super::preflight::SkipArgs;
use crate::config::OnConflict;
use crate::prompt::Partial;
use crate::report;
use crate::sys;
use crate::types::printable;
use crate::workflow::install::{self, Offer};
use crate::workflow::upgrade::{self, Options, Planned, Present, SnapshotMode};
use crate::workflow::{Error, Session};

/// What `upgrade` and `plan` have in common.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Choices {
    /// What happens to configuration keys that both you and the release changed
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    on_conflict: Conflicts,
    /// Whether the data are kept, so that they can go back, too
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    snapshot: Snapshot,
    /// Keep them in DIR
    #[arg(long, value_name = "DIR")]
    snapshot_dir: Option<PathBuf>,
    /// Allow a lower version; never a lower security epoch
    #[arg(long)]
    allow_downgrade: bool,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Conflicts {
    /// Yours stays
    #[default]
    Keep,
    /// The release's counts
    Take,
    /// Nothing is done
    Fail,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Snapshot {
    /// When there is room; always when the release changes their form, or another installer made what
    /// is installed
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Arguments of `upgrade`
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Args {
    /// The file that carries the release; this program itself unless given
    file: Option<PathBuf>,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    choices: Choices,
    #[command(flatten)]
    health: HealthArgs,
    /// Take the answer about the licence agreement from FILE (JSON: accept_eula)
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// Leave all files to whoever runs this; for trying it in a directory with --root
    #[arg(long)]
    no_owner: bool,
    /// Show what changes in the configuration
    #[arg(long)]
    diff: bool,
    #[command(flatten)]
    package: PackageArgs,
    #[command(flatten)]
    skip: SkipArgs,
    #[command(flatten)]
    approval: Approval,
}

impl Choices {
    pub(super) fn options(
        &self,
        session: &Session,
        no_owner: bool,
        health: HealthArgs,
        package: PackageArgs,
    ) -> Result<Options> {
        if no_owner && session.is_live() {
            return Err(Error::OwnersNeeded.into());
        }
        Ok(Options {
            on_conflict: match self.on_conflict {
                Conflicts::Keep => OnConflict::Keep,
                Conflicts::Take => OnConflict::Take,
                Conflicts::Fail => OnConflict::Fail,
            },
            allow_downgrade: self.allow_downgrade,
            snapshot: match self.snapshot {
                Snapshot::Auto => SnapshotMode::Auto,
                Snapshot::Always => SnapshotMode::Always,
                Snapshot::Never => SnapshotMode::Never,
            },
            snapshot_dir: self.snapshot_dir.clone(),
            owners: !no_owner && sys::env::is_root(),
            health_seconds: health.health_timeout,
            require_fips: health.require_fips,
            package: package.options(),
        })
    }
}

/// What `engine upgrade` takes of it.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct EngineArgs {
    /// The file that carries the release; this program itself unless given
    file: Option<PathBuf>,
    #[command(flatten)]
    keys: KeyArgs,
    /// What happens to configuration keys that both you and the release changed
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    on_conflict: Conflicts,
    /// Allow a lower version; never a lower security epoch
    #[arg(long)]
    allow_downgrade: bool,
    /// Take the answer about the licence agreement from FILE (JSON: accept_eula)
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// Show what changes in the configuration
    #[arg(long)]
    diff: bool,
    /// Undo everything unless the log of that start says that the FIPS-CC self-tests passed
    #[arg(long)]
    require_fips: bool,
    #[command(flatten)]
    package: PackageArgs,
    #[command(flatten)]
    skip: SkipArgs,
    #[command(flatten)]
    approval: Approval,
}

impl EngineArgs {
    /// All arguments; the others have no meaning for an engine.
    pub(super) fn all(&self, connect_seconds: u64) -> Args {
        let (on_conflict, allow_downgrade) = (self.on_conflict, self.allow_downgrade);
        Args {
            file: self.file.clone(),
            keys: self.keys.clone(),
            choices: Choices { on_conflict, allow_downgrade, ..Choices::default() },
            health: HealthArgs { health_timeout: connect_seconds, require_fips: self.require_fips },
            package: self.package,
            skip: self.skip.clone(),
            answers: self.answers.clone(),
            no_owner: false,
            diff: self.diff,
            approval: self.approval.clone(),
        }
    }
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    run_in(common, args, Place::Unnamed)
}

pub(super) fn run_in(common: &Common, args: &Args, place: Place) -> Result<ExitCode> {
    let sink = common.sink();
    let session = common.session_in(&args.keys, &*sink, place)?;
    args.approval.begin(&session)?;
    let offer = install::offer(&session, install::candidate(&session, args.file.as_deref())?)?;
    let present = upgrade::present(&session)?;
    let options = args.choices.options(&session, args.no_owner, args.health, args.package)?;
    let Some(planned) = upgrade::plan(&session, &offer, &present, &options)? else {
        return Ok(nothing_to_do(common, &offer));
    };
    args.skip.require_fit(&session, &offer)?;
    if args.approval.dry_run {
        show(common, &session, &planned, args.diff);
        return Ok(Exit::Done.into());
    }
    args.approval.check(&planned.plan)?;
    let unattended = args.approval.is_unattended();
    licence(&offer, Some(&present), args.answers.as_deref(), unattended)?;
    if unattended {
        planned.plan.notes.iter().for_each(|note| sink.note(note.clone())); // else the plan shows them
    } else {
        sys::fs::print_error(&printable(&report::plan(&planned.plan)));
    }
    if args.diff {
        sys::fs::print_error(&diff(&session, &planned, common.color.stderr()));
    }
    args.approval.confirm(("Upgrade now?", true))?;
    let digest = planned.plan.digest();
    match upgrade::run(&session, &offer, present, &options, digest)? {
        None => Ok(nothing_to_do(common, &offer)),
        Some(upgraded) => {
            let text = report::upgraded(&upgraded, &session.root, &session.site);
            common.result(&text, &json!({ "changed": true, "upgraded": upgraded }));
            Ok(Exit::Done.into())
        }
    }
}

/// A licence agreement that was accepted is not shown again; another one has to be accepted.
pub(super) fn licence(
    offer: &Offer,
    present: Option<&Present>,
    answers: Option<&Path>,
    unattended: bool,
) -> Result<()> {
    if present.is_some_and(|present| present.has_licence_of(&offer.release)) {
        return Ok(());
    }
    let known = match answers {
        Some(path) => Partial::parse(&sys::fs::read_limited(path, 1 << 20)?)?,
        None => Partial::default(),
    };
    match known.accept_eula {
        Some(true) => Ok(()),
        Some(false) => Err(ask::Error::Declined.into()),
        None if unattended => Err(crate::prompt::Error::Missing { keys: vec!["accept_eula"] }.into()),
        None => Ok(ask::licence(&offer.release.eula()?, None)?),
    }
}

/// Shows a plan that is not carried out.
pub(super) fn show(common: &Common, session: &Session, planned: &Planned, with_diff: bool) {
    let plan = &planned.plan;
    let mut value = json!({ "changes": true, "digest": plan.digest(), "plan": plan });
    if let (true, Some(value)) = (with_diff, value.as_object_mut()) {
        value.insert("diff".to_owned(), report::config_diff(&planned.diff, false).into());
    }
    common.result(&report::plan(plan), &value);
    if with_diff && !common.is_json() && !common.quiet {
        sys::fs::print(&diff(session, planned, common.color.stdout()));
    }
}

fn diff(session: &Session, planned: &Planned, color: bool) -> String {
    let path = session.site.config_file();
    if planned.diff.is_empty() {
        return format!("{path} stays as it is\n\n");
    }
    format!("{path}:\n{}\n", report::config_diff(&planned.diff, color))
}

fn nothing_to_do(common: &Common, offer: &Offer) -> ExitCode {
    let release = offer.release.manifest().release();
    let text = format!("{release} is installed and unchanged; nothing to do\n");
    common.result(&text, &json!({ "changed": false, "release": release }));
    Exit::Done.into()
}
