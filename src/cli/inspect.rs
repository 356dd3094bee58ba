use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::common::{Common, KeyArgs};
use super::exit::Exit;
use crate::types::RelPath;
use crate::workflow::inspect::{self, Inspected};
use crate::workflow::wrapper;
use crate::{report, sys, workflow};

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
    let found = inspect::open(&session, args.file.as_deref())?;
    if found.wrapper.is_some() {
        sink.warn("this is a makeself archive: to run its script is to run unsigned code, as root with sudo; it was only read");
    }
    let Some(inspected) = &found.inner else { return nothing(common, args, found.wrapper.as_ref()) };
    if let Inspected::Unverified { why, .. } = inspected {
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
        let wrapper = found.wrapper.as_ref();
        let text =
            wrapper.map(report::wrapper).unwrap_or_default() + &report::inspected(inspected, args.files);
        let mut value = json!({
            "verified": verified,
            "payload_from": parts.map(|parts| parts.payload_offset.saturating_add(1)),
            "payload_length": parts.map(|parts| parts.payload_length),
            "package": inspected.package().map(report::package_json),
            "manifest": inspected.manifest(),
        });
        if let (Some(value), Some(wrapper)) = (value.as_object_mut(), wrapper) {
            value.insert("wrapper".to_owned(), serde_json::to_value(wrapper)?);
        }
        common.result(&text, &value);
    }
    Ok(Exit::Done.into())
}

/// A makeself archive with nothing in it that can be looked into.
fn nothing(common: &Common, args: &Args, wrapper: Option<&wrapper::Report>) -> Result<ExitCode> {
    if args.extract.is_some() || args.manifest || args.signatures {
        return Err(workflow::Error::NotVerified.into());
    }
    let text = wrapper.map(report::wrapper).unwrap_or_default();
    common.result(&text, &json!({ "verified": false, "wrapper": wrapper }));
    Ok(Exit::Done.into())
}
