//! `preflight`.

mod xdr;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;
use clap::builder::PossibleValuesParser;
use serde_json::json;

use super::common::{Common, KeyArgs};
use super::exit::Exit;
use crate::preflight::{self, ADVISORY, CHECKS, Chosen, DECISIVE, Outcome, Profile};
use crate::product::Role;
use crate::report;
use crate::types::counted;
use crate::workflow::Session;
use crate::workflow::install::Offer;
use crate::workflow::preflight::{Asked, require, run as look};

/// Arguments of `preflight`
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit 0 when nothing fails, 4 when a check fails. Warnings do not count.\n\
    Sizes and the operating system fail only with --profile; without it they are compared with dev, and warn.")]
pub(super) struct Args {
    #[command(flatten)]
    xdr: xdr::XdrArgs,
    /// The file whose release is to be installed, or to take the place of the installed one; this program itself
    /// unless given
    file: Option<PathBuf>,
    #[command(flatten)]
    keys: KeyArgs,
    /// What the host is to be used for
    #[arg(long, value_enum, value_name = "PROFILE")]
    profile: Option<ProfileArg>,
    /// What the host is for; told by FILE, or by what is installed
    #[arg(long, value_enum, value_name = "ROLE")]
    role: Option<RoleArg>,
    /// Run these checks only
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = ids(), hide_possible_values = true)]
    only: Vec<String>,
    /// Leave these checks out
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = ids(), hide_possible_values = true)]
    skip: Vec<String>,
    /// The HTTPS port; the configured one unless given
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// The number that the user demisto has to have, as on the other nodes
    #[arg(long, value_name = "UID")]
    expect_uid: Option<u32>,
    /// The number that the group demisto has to have, as on the other nodes
    #[arg(long, value_name = "GID")]
    expect_gid: Option<u32>,
    /// Show all checks with why and what helps, and look at nothing
    #[arg(long)]
    list: bool,
}

pub(super) use xdr::Error;

/// What `install` and `upgrade` take of it.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct SkipArgs {
    #[arg(long = "skip-check", value_name = "ID", value_delimiter = ',', value_parser = looked_at(), hide_possible_values = true, help = skip_help())]
    skip: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ProfileArg {
    /// Development and tests
    Dev,
    /// Production
    Production,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleArg {
    /// The server
    Server,
    /// An engine
    Engine,
}

fn ids() -> PossibleValuesParser {
    PossibleValuesParser::new(CHECKS.iter().map(|check| check.id).chain(xdr::ids()))
}

fn looked_at() -> PossibleValuesParser {
    PossibleValuesParser::new(DECISIVE.iter().chain(ADVISORY))
}

fn skip_help() -> String {
    format!(
        "Go on although this check of the host fails: {}. Or do without the warning of {}, which never stop a change",
        DECISIVE.join(", "),
        ADVISORY.join(", ")
    )
}

impl From<ProfileArg> for Profile {
    fn from(profile: ProfileArg) -> Self {
        match profile {
            ProfileArg::Dev => Self::Dev,
            ProfileArg::Production => Self::Production,
        }
    }
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Server => Self::Server,
            RoleArg::Engine => Self::Engine,
        }
    }
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    let chosen = Chosen { only: args.only.clone(), skip: args.skip.clone() };
    let here = |id: &str| {
        if args.xdr.is_wanted() {
            xdr::ids().any(|one| one == id)
        } else {
            CHECKS.iter().any(|one| one.id == id)
        }
    };
    if let Some(id) = chosen.only.iter().chain(&chosen.skip).find(|id| !here(id)) {
        return Err(Error::OtherTable(id.clone()).into());
    }
    if args.xdr.is_wanted() {
        return xdr::run(common, &args.xdr, args.list, chosen);
    }
    if args.list {
        common.result(&report::check_table(CHECKS), &json!({ "checks": CHECKS }));
        return Ok(Exit::Done.into());
    }
    let sink = common.sink();
    let session = common.session(&args.keys, &*sink)?;
    let asked = Asked {
        file: args.file.clone(),
        role: args.role.map(Role::from),
        profile: args.profile.map(Profile::from),
        port: args.port,
        uid: args.expect_uid,
        gid: args.expect_gid,
        chosen,
    };
    let outcomes = look(&session, &asked)?;
    Ok(show(common, &outcomes))
}

/// Shows what checks said; gives the exit code.
fn show(common: &Common, outcomes: &[Outcome]) -> ExitCode {
    let blocked = preflight::is_blocked(outcomes);
    common.result(&report::checks(outcomes), &json!({ "fit": !blocked, "checks": outcomes }));
    if blocked { Exit::Blocked.into() } else { Exit::Done.into() }
}

impl SkipArgs {
    /// Refuses to change a host that is not fit, and tells how many warnings there are.
    pub(super) fn require_fit(&self, session: &Session, offer: &Offer) -> Result<()> {
        let warnings = require(session, offer.release.manifest(), &self.skip)?;
        if !warnings.is_empty() {
            let count = counted(warnings.len(), "check", "checks");
            let ids: Vec<&str> = warnings.iter().map(|outcome| outcome.id).collect();
            session.sink.note(format!(
                "{count} of this host warn: `demisto-install preflight --only {}` tells",
                ids.join(",")
            ));
        }
        Ok(())
    }
}
