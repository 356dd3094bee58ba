//! `config keys`.

use std::process::ExitCode;

use serde_json::json;

use super::RoleArg;
use crate::cli::common::Common;
use crate::cli::exit::Exit;
use crate::config::table::table;
use crate::report;

/// Arguments of `config keys`
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The product has more keys than are published. Case does not count, and `a.b` is the same key as\n\
    `{\"a\": {\"b\": ...}}`."
)]
pub(super) struct Args {
    /// Those of one role only
    #[arg(long, value_enum, value_name = "ROLE")]
    role: Option<RoleArg>,
}

pub(super) fn run(common: &Common, args: &Args) -> ExitCode {
    let of_role =
        |scope: crate::config::table::Scope| args.role.is_none_or(|role| scope.includes(role.into()));
    let mut shown = table().clone();
    shown.keys.retain(|key| of_role(key.role));
    shown.families.retain(|family| of_role(family.role));
    common.result(&report::config_keys(&shown), &json!(shown));
    Exit::Done.into()
}
