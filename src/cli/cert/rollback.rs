//! `cert rollback`: the pair that was replaced last, by the same way and the same checks.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::install::{self, How};
use crate::apply::Recovered;
use crate::cli::common::Common;
use crate::cli::exit::Exit;
use crate::plan::Action;
use crate::types::Digest;
use crate::workflow::cert::install::Source;
use crate::workflow::cert::pair::is_rolled_back;

/// Arguments of `cert rollback`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only to the certificate with this SHA-256; nothing is done if it is the present one
    #[arg(long, value_name = "SHA256", value_parser = fingerprint)]
    to: Option<Digest>,
    #[command(flatten)]
    how: How,
}

/// Hexadecimal, also with the colons that openssl writes.
fn fingerprint(text: &str) -> Result<Digest, String> {
    text.replace(':', "")
        .to_ascii_lowercase()
        .parse()
        .map_err(|_| "64 hexadecimal digits are needed".to_owned())
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    let sink = common.sink();
    let session = args.how.which.session(common, &*sink)?;
    if args.how.approval.begin(&session)? == Recovered::Finished(Action::CertificateRollback) {
        let text = "an earlier rollback was cut off after its last step; it is complete now\n";
        common.result(text, &json!({ "changed": true }));
        return Ok(Exit::Done.into());
    }
    if let Some(wanted) = args.to
        && is_rolled_back(&session, args.how.which.kind(&session), wanted)?
    {
        return Ok(install::nothing_to_do(common));
    }
    let options = install::options(&session, Source::Kept, &args.how);
    install::carry_out(common, &session, options, &args.how)
}
