use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::ask;
use super::common::Common;
use super::exit::Exit;
use crate::bundle::Compression;
use crate::pack::signer::{Error as SignerError, Form, Signer, SigningKey};
use crate::pack::{self, Description, Request, Rotations};
use crate::trust::KEY_FILE_LIMIT;
use crate::types::Fingerprint;
use crate::{report, sys};

/// Arguments of `pack`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The directory tree: what will be in /usr/local/demisto
    #[arg(long, value_name = "DIR")]
    tree: PathBuf,
    /// The product description (TOML)
    #[arg(long, value_name = "FILE")]
    description: PathBuf,
    /// Where the installer goes
    #[arg(long, short, value_name = "FILE", default_value = "demisto-install")]
    out: PathBuf,
    /// OpenPGP secret key to sign with; may be given several times
    #[arg(long, value_name = "FILE", required_unless_present = "sign_with")]
    signing_key: Vec<PathBuf>,
    /// Read the passphrase of --signing-key from FILE; asked for otherwise
    #[arg(long, value_name = "FILE", requires = "signing_key")]
    passphrase_file: Option<PathBuf>,
    /// Sign through gpg, for keys in an agent or on a card: gpg:KEYID
    #[arg(long, value_name = "gpg:KEYID", value_parser = gpg_key)]
    sign_with: Vec<SigningKey>,
    /// Compress frames with
    #[arg(long, value_enum, default_value_t = Method::Zstd)]
    compression: Method,
    /// Compression level: 1 to 19 for zstd (default 9), 1 to 9 for gzip (default 6)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=19))]
    level: Option<i32>,
    /// Program to put in front instead of this one
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Statement by which an earlier release key vouches for a later one; may be given several times
    #[arg(long, value_name = "FILE", requires = "rotation_cert")]
    rotation: Vec<PathBuf>,
    /// Certificate that made a --rotation, to check it with; may be given several times
    #[arg(long, value_name = "FILE", requires = "rotation")]
    rotation_cert: Vec<PathBuf>,
    /// Also write an armoured signature over the whole file to FILE.asc
    #[arg(long)]
    detached: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Method {
    /// Zstandard
    Zstd,
    /// gzip, for hosts whose tools are old
    Gzip,
}

pub(super) fn gpg_key(text: &str) -> Result<SigningKey, String> {
    match text.strip_prefix("gpg:") {
        Some(id) if !id.is_empty() => Ok(SigningKey::Gpg { key_id: id.to_owned() }),
        _ => Err("expected gpg:KEYID".to_owned()),
    }
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    let sink = common.sink();
    let now = sys::clock::now();
    if matches!(args.compression, Method::Gzip) && args.level.is_some_and(|level| level > 9) {
        return Err(pack::Error::Level.into());
    }
    let description = Description::load(&args.description)?;
    let mut signers = signers(args, now)?;
    let fingerprints: Vec<Fingerprint> = signers.iter().map(|signer| signer.fingerprint().clone()).collect();
    let rotations = Rotations::load(&args.rotation, &args.rotation_cert)?;
    let rotations = rotations.for_release(&description.product, &fingerprints, now)?;
    let (compression, level) = match args.compression {
        Method::Zstd => (Compression::Zstd, args.level.unwrap_or(9)),
        Method::Gzip => (Compression::Gzip, args.level.unwrap_or(6)),
    };
    let request = Request {
        tree: &args.tree,
        description: &description,
        program: args.program.as_deref(),
        compression,
        level,
        rotations: &rotations,
        built_at: sys::clock::build_time(),
        output: &args.out,
    };
    let mut sign = |bytes: &[u8]| -> pack::Result<Vec<Vec<u8>>> {
        signers.iter_mut().map(|signer| Ok(signer.sign_detached(bytes, now)?)).collect()
    };
    let packed = pack::pack(&request, &mut sign, &*sink)?;
    if args.detached {
        detached(&args.out, &mut signers, now)?;
    }
    common.result(&report::packed(&packed), &packed);
    Ok(Exit::Done.into())
}

fn signers(args: &Args, now: Timestamp) -> Result<Vec<Signer>> {
    let files = args
        .signing_key
        .iter()
        .map(|path| SigningKey::File { path: path.clone(), passphrase_file: args.passphrase_file.clone() });
    let keys: Vec<SigningKey> = files.chain(args.sign_with.iter().cloned()).collect();
    keys.iter().map(|key| open(key, now)).collect()
}

/// Opens a key; asks for its passphrase when it needs one and nobody gave it.
pub(super) fn open(key: &SigningKey, now: Timestamp) -> Result<Signer> {
    match (key.open(now), key) {
        (Err(SignerError::PassphraseMissing), SigningKey::File { path, .. })
            if sys::tty::is_interactive() =>
        {
            let passphrase = ask::secret(&format!("Passphrase of {}", path.display()))?;
            let bytes = Zeroizing::new(sys::fs::read_secret(path, KEY_FILE_LIMIT)?);
            Ok(Signer::open_file(&bytes, Some(&passphrase), now).map_err(pack::Error::from)?)
        }
        (opened, _) => Ok(opened.map_err(pack::Error::from)?),
    }
}

/// Signs the whole file: for people who check it with gpg before they run anything of it.
fn detached(output: &Path, signers: &mut [Signer], now: Timestamp) -> Result<()> {
    let mut name = output.as_os_str().to_owned();
    name.push(".asc");
    let mut text = Vec::new();
    for signer in signers {
        let mut file = sys::fs::open_existing(output)?;
        text.extend(signer.sign_reader(&mut file, now, Form::Armoured).map_err(pack::Error::from)?);
    }
    sys::fs::write_atomic(Path::new(&name), &text, 0o644)
        .context("the installer is complete, its .asc is not")
}
