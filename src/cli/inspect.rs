use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::common::{Common, KeyArgs};
use super::exit::Exit;
use crate::types::RelPath;
use crate::workflow::inspect::{self, Inspected};
use crate::{report, sys};

/// Arguments of `inspect`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file; this program itself unless given
    file: Option<PathBuf>,
    #[command(flatten)]
    keys: KeyArgs,
    /// List every file of the payload
    #[arg(long)]
    files: bool,
    /// Write one file of the payload to standard output; only from a verified release
    #[arg(long, value_name = "PATH", conflicts_with_all = ["files", "manifest"])]
    extract: Option<RelPath>,
    /// Write the manifest to standard output, byte for byte as it is signed
    #[arg(long, conflicts_with = "files")]
    manifest: bool,
    /// Write the signatures over the manifest to standard output, as gpg reads them
    #[arg(long, conflicts_with_all = ["files", "manifest", "extract"])]
    signatures: bool,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    let sink = common.sink();
    let session = common.session(&args.keys, &*sink)?;
    let inspected = inspect::open(&session, args.file.as_deref())?;
    if let Inspected::Unverified { why, .. } = &inspected {
        sink.warn(format!("UNVERIFIED: {why}; nothing below is vouched for by anybody"));
    }
    if let Some(path) = &args.extract {
        inspected.print_file(path)?;
    } else if args.manifest {
        sys::fs::print_bytes(inspected.candidate().signed())?;
    } else if args.signatures {
        sys::fs::print_bytes(inspected.candidate().signatures())?;
    } else {
        let verified = matches!(inspected, Inspected::Verified(_));
        let parts = inspected.candidate().parts();
        let text = report::inspected(&inspected, args.files);
        let value = json!({
            "verified": verified,
            "payload_from": parts.map(|parts| parts.payload_offset.saturating_add(1)),
            "payload_length": parts.map(|parts| parts.payload_length),
            "package": inspected.package().map(report::package_json),
            "manifest": inspected.manifest(),
        });
        common.result(&text, &value);
    }
    Ok(Exit::Done.into())
}
