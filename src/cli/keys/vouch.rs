//! `demisto-install keys vouch`: the vendor's side of a key rotation.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::describe_lint;
use crate::cli::common::Common;
use crate::cli::exit::Exit;
use crate::cli::pack::{gpg_key, open};
use crate::pack;
use crate::pack::signer::SigningKey;
use crate::sys;

/// Arguments of `keys vouch`
#[derive(Debug, Args)]
pub(super) struct Vouch {
    /// The old release key: an OpenPGP secret key
    #[arg(long, value_name = "FILE", required_unless_present = "sign_with", conflicts_with = "sign_with")]
    signing_key: Option<PathBuf>,
    /// Read the passphrase of --signing-key from FILE; asked for otherwise
    #[arg(long, value_name = "FILE", requires = "signing_key")]
    passphrase_file: Option<PathBuf>,
    /// Sign through gpg, for keys in an agent or on a card: gpg:KEYID
    #[arg(long, value_name = "gpg:KEYID", value_parser = gpg_key)]
    sign_with: Option<SigningKey>,
    /// The new release key: an OpenPGP certificate
    #[arg(long = "for", value_name = "FILE")]
    new: PathBuf,
    /// Where the statement goes
    #[arg(long, short, value_name = "FILE", default_value = "rotation.json")]
    out: PathBuf,
    /// The product for whose releases it holds
    #[arg(long, value_name = "NAME", default_value = "demisto")]
    product: String,
    /// How far to look ahead at the new key
    #[arg(long, default_value_t = 6)]
    months: u32,
}

pub(super) fn run(common: &Common, args: &Vouch, at: Timestamp) -> Result<ExitCode> {
    let file = args
        .signing_key
        .as_ref()
        .map(|path| SigningKey::File { path: path.clone(), passphrase_file: args.passphrase_file.clone() });
    let Some(key) = file.or_else(|| args.sign_with.clone()) else {
        return Ok(Exit::Usage.into()); // clap asks for one of both before
    };
    let mut signer = open(&key, at)?;
    let vouched = pack::vouch(&mut signer, &args.new, &args.product, at, args.months)?;
    let mut text = describe_lint(std::slice::from_ref(&vouched.report));
    let Some(rotation) = vouched.rotation else {
        text.push_str("it is not fit to sign releases, so nothing was written\n");
        common.result(&text, &json!({ "key": vouched.report, "out": null }));
        return Ok(Exit::Blocked.into());
    };
    let mut bytes = serde_json::to_vec_pretty(&rotation)?;
    bytes.push(b'\n');
    sys::fs::write_atomic(&args.out, &bytes, 0o644)?;
    text.push_str(&format!("{} vouches for it in {}\n", rotation.from, args.out.display()));
    common.result(
        &text,
        &json!({ "key": vouched.report, "from": rotation.from, "to": rotation.to, "out": args.out }),
    );
    Ok(Exit::Done.into())
}
