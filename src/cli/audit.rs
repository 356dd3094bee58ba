//! `audit`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;
use serde_json::json;
use zeroize::Zeroizing;

use super::common::{Common, KeyArgs};
use super::exit::Exit;
use crate::audit::{self, Outcome, REQUIREMENTS, Requirement};
use crate::report;
use crate::sys;
use crate::sys::fresh::{NewFile, create_all};
use crate::types::edits;
use crate::workflow;
use crate::workflow::audit::{Audit, Options};

/// The page may tell an attacker where to begin.
const PAGE_MODE: u32 = 0o600;
/// Most letters between a name and what it was meant to be.
const NEAR: usize = 4;

/// Arguments of `audit`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing is changed. Exit 0 when no requirement fails, 4 when one does; what only a person can tell does not count. \
Every installation of the host is audited: the server and all engines.")]
pub(super) struct Args {
    /// Which requirements
    #[arg(long, value_enum, value_name = "PROFILE", default_value_t)]
    profile: Profile,
    /// Only the requirement ID; may be given several times
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    only: Vec<String>,
    /// Not the requirement ID; may be given several times
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    skip: Vec<String>,
    /// Also write the result as one HTML page into FILE, a new file that only you can read
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write over the page when it is there
    #[arg(long, requires = "html")]
    force: bool,
    /// Try the name admin with the password admin once; it costs one failed login, which counts for the lock-out
    #[arg(long)]
    try_default_login: bool,
    #[command(flatten)]
    keys: KeyArgs,
    /// Show one requirement in full, and audit nothing
    #[arg(long, value_name = "ID", conflicts_with_all = ["list", "only", "skip", "html", "try_default_login"])]
    explain: Option<String>,
    /// Show all requirements, and audit nothing
    #[arg(long, conflicts_with_all = ["only", "skip", "html", "try_default_login"])]
    list: bool,
}

/// Sets of requirements.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Profile {
    /// The Common Criteria guide
    #[default]
    Cc,
}

/// There is no such requirement.
#[derive(Debug, thiserror::Error)]
#[error("there is no requirement {id:?}")]
pub(super) struct Unknown {
    id: String,
    /// The one that was probably meant.
    pub(super) meant: Option<&'static str>,
}

/// The page is there already.
#[derive(Debug, thiserror::Error)]
#[error("{} exists already", .0.display())]
pub(super) struct PageExists(PathBuf);

fn find(id: &str) -> Result<&'static Requirement, Unknown> {
    let full = if id.starts_with("cc-") { id.to_owned() } else { format!("cc-{id}") };
    audit::requirement(&full).ok_or_else(|| {
        let near = REQUIREMENTS.iter().filter_map(|known| Some((edits(&full, known.id, NEAR)?, known.id)));
        Unknown { id: id.to_owned(), meant: near.min().map(|(_, known)| known) }
    })
}

fn all(ids: &[String]) -> Result<Vec<String>, Unknown> {
    ids.iter().map(|id| find(id).map(|known| known.id.to_owned())).collect()
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    let Profile::Cc = args.profile;
    if args.list {
        common.result(&report::audit_requirements(REQUIREMENTS), &json!({ "requirements": REQUIREMENTS }));
        return Ok(Exit::Done.into());
    }
    if let Some(id) = &args.explain {
        let found = find(id)?;
        common.result(&report::audit_requirement(found), found);
        return Ok(Exit::Done.into());
    }
    let options =
        Options { only: all(&args.only)?, skip: all(&args.skip)?, try_default_login: args.try_default_login };
    if let Some(path) = args.html.as_ref().filter(|path| !args.force && sys::fs::exists(path)) {
        return Err(PageExists(path.clone()).into());
    }
    let sink = common.sink();
    let session = common.session(&args.keys, &*sink)?;
    let found = workflow::audit::audit(&session, &options)?;
    if let Some(path) = &args.html {
        write(path, &report::audit_page(&found), args.force)?;
    }
    tell(common, &found, args.html.as_deref());
    let failed = found.count(Outcome::Fail) > 0;
    Ok(if failed { Exit::Blocked } else { Exit::Done }.into())
}

fn write(path: &Path, page: &str, force: bool) -> sys::Result<()> {
    if force {
        return sys::fs::write_atomic(path, page.as_bytes(), PAGE_MODE);
    }
    let bytes = Zeroizing::new(page.as_bytes().to_vec());
    create_all(&[NewFile { path: path.to_owned(), bytes, mode: PAGE_MODE }])
}

fn tell(common: &Common, found: &Audit, page: Option<&Path>) {
    if common.is_json() {
        let counts = Outcome::ALL.map(|outcome| (outcome, found.count(outcome)));
        let [(_, fail), (_, manual), (_, pass), (_, not_applicable)] = counts;
        let summary = json!({
            "fail": fail, "manual": manual, "pass": pass, "not-applicable": not_applicable
        });
        let value = json!({ "audit": found, "summary": summary, "html": page });
        common.result("", &value);
    } else if !common.quiet {
        sys::fs::print(&report::audit(found, common.color.stdout()));
        if let Some(page) = page {
            common.result(&format!("{}: the same as a page\n", page.display()), &());
        }
    }
}
