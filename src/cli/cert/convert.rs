//! `cert convert`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::certs;
use crate::certs::key;
use crate::cli::common::Common;
use crate::cli::exit::Exit;
use crate::cli::passphrase::{self, OpenArgs};
use crate::types::Secret;
use crate::workflow::cert::make::{self, Converted, Error, Opened, Places, Source};

/// Arguments of `cert convert`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files with the key, its certificates, or both: PEM, DER, PKCS#7, PKCS#8, PKCS#12, OpenSSH
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Another file, with the key
    #[arg(long, alias = "key-file", value_name = "FILE")]
    key: Option<PathBuf>,
    /// Directory for cert.key and cert.pem, as far as there is something for them; made if it is not there
    #[arg(long, value_name = "DIR", conflicts_with_all = ["out_key", "out_chain"])]
    out_dir: Option<PathBuf>,
    /// File for the key
    #[arg(long, value_name = "FILE")]
    out_key: Option<PathBuf>,
    /// File for the certificates
    #[arg(long, value_name = "FILE")]
    out_chain: Option<PathBuf>,
    #[command(flatten)]
    passphrase: OpenArgs,
    /// Write the key with the passphrase in FILE instead of the one that it has
    #[arg(long, value_name = "FILE", conflicts_with = "plain")]
    out_passphrase_file: Option<PathBuf>,
    /// Write the key without a passphrase
    #[arg(long)]
    plain: bool,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    let sink = common.sink();
    if args.out_dir.is_none() && args.out_key.is_none() && args.out_chain.is_none() {
        return Err(Error::NoPlace.into());
    }
    let sources = args.files.iter().chain(&args.key).map(|path| Source::read(path));
    let sources = sources.collect::<Result<Vec<_>>>()?;
    for source in sources.iter().filter(|source| source.is_exposed()) {
        sink.warn(format!(
            "{} holds a private key without a passphrase, and others than its owner can read it",
            source.path.display()
        ));
    }
    let locked = sources.iter().find(|source| source.is_encrypted());
    let question = locked.map(|source| format!("Passphrase of {}", source.path.display()));
    let passphrase = args.passphrase.get(question.as_deref().unwrap_or_default(), locked.is_some())?;
    if passphrase.is_none() && locked.is_some() {
        return Err(certs::Error::Key(key::Error::Encrypted).into());
    }
    let opened = make::open(&sources, passphrase.as_ref())?;
    let found: Vec<String> = opened.flaws.iter().map(ToString::to_string).collect();
    let other = args.out_passphrase_file.is_some() || (args.plain && opened.encrypted);
    if opened.is_fine() && !other {
        let text = "nothing to convert: the product reads it as it is\n";
        common.result(text, &json!({ "changed": false, "found": found }));
        return Ok(Exit::Done.into());
    }
    let kept = passphrase.filter(|_| opened.encrypted && !args.plain);
    let new = args.out_passphrase_file.as_deref().map(passphrase::new_from_file).transpose()?;
    let changed = new.is_some();
    let places = match &args.out_dir {
        Some(dir) => opened.places(dir),
        None => Places { key: args.out_key.clone(), chain: args.out_chain.clone() },
    };
    let secret: Option<Secret> = new.or(kept);
    let done = opened.write(&places, secret.as_ref())?;
    let text = text(&found, &opened, &done, changed);
    common.result(&text, &json!({ "changed": true, "found": found, "converted": done }));
    Ok(Exit::Done.into())
}

fn text(found: &[String], opened: &Opened, done: &Converted, other: bool) -> String {
    let mut text = String::new();
    found.iter().for_each(|flaw| {
        let _ = writeln!(text, "- {flaw}");
    });
    if let Some((path, kind)) = &done.key {
        let lock = match (done.encrypted, other, opened.encrypted) {
            (true, true, _) => "encrypted with the new passphrase",
            (true, false, _) => "encrypted with the same passphrase",
            (false, _, true) => "without the passphrase that it had",
            (false, _, false) => "without a passphrase",
        };
        let _ = writeln!(text, "{}  private key, {kind}, {lock}", path.display());
    }
    if let Some((path, count)) = &done.chain {
        let names: Vec<String> = opened.chain.iter().map(certs::look::Certificate::title).collect();
        let count = crate::types::counted(*count, "certificate", "certificates");
        let _ = writeln!(text, "{}  {count}: {}", path.display(), names.join(", "));
    }
    text
}
