use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::approval::Approval;
use super::common::{Common, KeyArgs};
use super::exit::Exit;
use crate::report;
use crate::workflow::Session;
use crate::workflow::snapshot::{self, Prune, Restoring};

/// Arguments of `snapshot`
#[derive(Debug, clap::Args)]
pub(super) struct SnapshotArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Take a snapshot of the data; the service stands still meanwhile
    Create(Place),
    /// List the snapshots
    List(Place),
    /// Put the data of a snapshot in place of the present ones
    Restore(RestoreArgs),
    /// Remove old snapshots
    Prune(PruneArgs),
    /// Read a snapshot back and compare all of it
    Verify(VerifyArgs),
}

#[derive(Debug, clap::Args)]
struct Place {
    /// Directory of the snapshots [default: /var/lib/demisto-install/snapshots in the root]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct RestoreArgs {
    /// The snapshot, as `snapshot list` names it
    id: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    approval: Approval,
    /// Do not keep a snapshot of the present data
    #[arg(long)]
    no_snapshot: bool,
}

#[derive(Debug, clap::Args)]
struct PruneArgs {
    #[command(flatten)]
    place: Place,
    /// How many of the newest stay
    #[arg(long, value_name = "N")]
    keep: usize,
    /// Remove only such as are older than this many days
    #[arg(long, value_name = "DAYS")]
    older_than: Option<u32>,
    /// Also those taken with `snapshot create`, not only those taken before a change
    #[arg(long)]
    all: bool,
    /// Show what would be removed and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct VerifyArgs {
    /// The snapshot, as `snapshot list` names it
    id: String,
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(common: &Common, args: &SnapshotArgs) -> Result<ExitCode> {
    let sink = common.sink();
    let session = common.session(&KeyArgs::default(), &*sink)?;
    match &args.command {
        Command::Create(place) => create(common, &session, &place.dir(&session)?),
        Command::List(place) => list(common, &place.dir(&session)?),
        Command::Restore(args) => restore(common, &session, args),
        Command::Prune(args) => prune(common, &session, args),
        Command::Verify(args) => {
            let about = snapshot::verify(&session, &args.place.dir(&session)?, &args.id)?;
            let text = format!("the snapshot {} is as it was written\n", about.id);
            common.result(&text, &json!({ "snapshot": about }));
            Ok(Exit::Done.into())
        }
    }
}

impl Place {
    fn dir(&self, session: &Session) -> Result<PathBuf> {
        snapshot::dir(session, self.dir.as_deref())
    }
}

fn create(common: &Common, session: &Session, dir: &Path) -> Result<ExitCode> {
    session.require_rights()?;
    session.refuse_when_busy()?;
    let about = snapshot::create(session, dir)?;
    common.result(&report::snapshot_taken(&about, dir), &json!({ "changed": true, "snapshot": about }));
    Ok(Exit::Done.into())
}

fn list(common: &Common, dir: &Path) -> Result<ExitCode> {
    let lines = snapshot::list(dir)?;
    common.result(&report::snapshots(&lines, dir), &json!({ "dir": dir, "snapshots": lines }));
    Ok(Exit::Done.into())
}

fn prune(common: &Common, session: &Session, args: &PruneArgs) -> Result<ExitCode> {
    let prune = Prune {
        dir: args.place.dir(session)?,
        keep: args.keep,
        older_than: args.older_than.map(|days| Duration::from_secs(u64::from(days) * 86_400)),
        all: args.all,
    };
    if args.dry_run {
        session.require_settled()?;
        let found = snapshot::prunable(session, &prune)?;
        let value =
            json!({ "changes": !found.removed.is_empty(), "remove": found.removed, "needed": found.needed });
        common.result(&report::pruned(&found, "would remove"), &value);
        return Ok(Exit::Done.into());
    }
    session.require_rights()?;
    session.refuse_when_busy()?;
    let done = snapshot::prune(session, &prune)?;
    let value =
        json!({ "changed": !done.removed.is_empty(), "removed": done.removed, "needed": done.needed });
    common.result(&report::pruned(&done, "removed"), &value);
    Ok(Exit::Done.into())
}

fn restore(common: &Common, session: &Session, args: &RestoreArgs) -> Result<ExitCode> {
    let dir = args.place.dir(session)?;
    let restoring = Restoring { id: args.id.clone(), dir, keep_present: !args.no_snapshot };
    args.approval.begin(session)?;
    let plan = snapshot::plan_restore(session, &restoring)?;
    if !args.approval.decide(common, &plan, ("Put these data in place of the present ones?", false))? {
        return Ok(Exit::Done.into());
    }
    let taken = snapshot::restore(session, &restoring, plan.digest())?;
    let mut text = format!("the data are those of the snapshot {}\n", args.id);
    if let Some(before) = &taken {
        text.push_str(&format!("those before are in the snapshot {before}\n"));
    }
    common.result(&text, &json!({ "changed": true, "restored": args.id, "before": taken }));
    Ok(Exit::Done.into())
}
