use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::ask;
use super::common::Common;
use super::exit::Exit;
use crate::bundle::Compression;
use crate::event::EventSink;
use crate::pack::signer::{Error as SignerError, Form, Signer, SigningKey};
use crate::pack::{
    self, Description, PackageRequest, Packed, PackedRpm, PayloadCompression, Request, Rotations,
};
use crate::trust::KEY_FILE_LIMIT;
use crate::trust::lint::Severity;
use crate::types::Fingerprint;
use crate::verify::Rotation;
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
    /// What is made of them
    #[arg(long, value_enum, default_value_t = Format::Bundle)]
    format: Format,
    /// Where it goes [default: demisto-install; NAME-VERSION-BUILD.x86_64.rpm]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The package's name [default: demistoserver for a server, d1 for an engine]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// OpenPGP secret key to sign with; may be given several times
    #[arg(long, value_name = "FILE", required_unless_present = "sign_with")]
    signing_key: Vec<PathBuf>,
    /// Read the passphrase of --signing-key from FILE; asked for otherwise
    #[arg(long, value_name = "FILE", requires = "signing_key")]
    passphrase_file: Option<PathBuf>,
    /// Sign through gpg, for keys in an agent or on a card: gpg:KEYID
    #[arg(long, value_name = "gpg:KEYID", value_parser = gpg_key)]
    sign_with: Vec<SigningKey>,
    /// Compress the payload with
    #[arg(long, value_enum, default_value_t = Method::Zstd)]
    compression: Method,
    /// Compression level: 1 to 19 for zstd (default 9), 1 to 9 for gzip and xz (default 6)
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A program that installs itself
    Bundle,
    /// A package for rpm, dnf and yum
    Rpm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Method {
    /// Zstandard
    Zstd,
    /// gzip, for hosts whose tools are old
    Gzip,
    /// xz, for packages
    Xz,
}

impl Args {
    fn level(&self) -> i32 {
        self.level.unwrap_or(if self.compression == Method::Zstd { 9 } else { 6 })
    }

    /// Options that exclude each other by their values.
    fn check(&self) -> pack::Result<()> {
        let misfit = |option, format| Err(pack::Error::Misfit { option, format });
        match self.format {
            Format::Bundle if self.name.is_some() => misfit("--name", "bundle"),
            Format::Bundle if self.compression == Method::Xz => misfit("--compression xz", "bundle"),
            Format::Rpm if self.program.is_some() => misfit("--program", "rpm"),
            _ if self.compression != Method::Zstd && self.level() > 9 => Err(pack::Error::Level),
            _ => Ok(()),
        }
    }
}

pub(super) fn gpg_key(text: &str) -> Result<SigningKey, String> {
    match text.strip_prefix("gpg:") {
        Some(id) if !id.is_empty() => Ok(SigningKey::Gpg { key_id: id.to_owned() }),
        _ => Err("expected gpg:KEYID".to_owned()),
    }
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    args.check()?;
    let now = sys::clock::now();
    let description = Description::load(&args.description)?;
    let mut signers = signers(args, now)?;
    let fingerprints: Vec<Fingerprint> = signers.iter().map(|signer| signer.fingerprint().clone()).collect();
    let rotations = Rotations::load(&args.rotation, &args.rotation_cert)?;
    let rotations = rotations.for_release(&description.product, &fingerprints, now)?;
    let job = Job { args, description: &description, rotations: &rotations, sink: &*common.sink() };
    match args.format {
        Format::Bundle => {
            let packed = job.bundle(&mut signers, now)?;
            job.detached(&packed.output, &mut signers, now)?;
            common.result(&report::packed(&packed), &packed);
        }
        Format::Rpm => {
            job.warn_of_old_rpms(&signers, now);
            let packed = job.package(&mut signers, now)?;
            job.detached(&packed.output, &mut signers, now)?;
            common.result(&report::packed_rpm(&packed), &packed);
        }
    }
    Ok(Exit::Done.into())
}

/// What is to be packed, read and checked.
struct Job<'a> {
    args: &'a Args,
    description: &'a Description,
    rotations: &'a [Rotation],
    sink: &'a dyn EventSink,
}

impl Job<'_> {
    fn bundle(&self, signers: &mut [Signer], now: Timestamp) -> pack::Result<Packed> {
        let args = self.args;
        let request = Request {
            tree: &args.tree,
            description: self.description,
            program: args.program.as_deref(),
            compression: match args.compression {
                Method::Zstd => Compression::Zstd,
                Method::Gzip | Method::Xz => Compression::Gzip, // xz was refused
            },
            level: args.level(),
            rotations: self.rotations,
            built_at: sys::clock::build_time(),
            output: args.out.as_deref().unwrap_or(Path::new("demisto-install")),
        };
        pack::pack(&request, &mut |bytes| sign(signers, bytes, now), self.sink)
    }

    fn package(&self, signers: &mut [Signer], now: Timestamp) -> pack::Result<PackedRpm> {
        let args = self.args;
        let level = args.level();
        let request = PackageRequest {
            tree: &args.tree,
            description: self.description,
            name: args.name.as_deref(),
            compression: match args.compression {
                Method::Zstd => PayloadCompression::Zstd(level),
                Method::Gzip => PayloadCompression::Gzip(level.unsigned_abs()),
                Method::Xz => PayloadCompression::Xz(level.unsigned_abs()),
            },
            rotations: self.rotations,
            built_at: sys::clock::build_time(),
            output: args.out.as_deref(),
        };
        pack::package(&request, &mut |bytes| sign(signers, bytes, now), self.sink)
    }

    /// Says which builds of rpm cannot read a key: their hosts cannot check the package.
    fn warn_of_old_rpms(&self, signers: &[Signer], now: Timestamp) {
        for signer in signers {
            for finding in signer.findings(now, 0).into_iter().filter(|f| f.id.ends_with("-rpm")) {
                let text = format!("{}: {}: {}", signer.fingerprint(), finding.what, finding.why);
                match finding.severity {
                    Severity::Info => self.sink.note(text),
                    Severity::Warning | Severity::Error => self.sink.warn(text),
                }
            }
        }
    }

    /// Signs the whole file: for people who check it with gpg before they run anything of it.
    fn detached(&self, output: &Path, signers: &mut [Signer], now: Timestamp) -> Result<()> {
        if !self.args.detached {
            return Ok(());
        }
        let mut name = output.as_os_str().to_owned();
        name.push(".asc");
        let mut text = Vec::new();
        for signer in signers {
            let mut file = sys::fs::open_existing(output)?;
            text.extend(signer.sign_reader(&mut file, now, Form::Armoured).map_err(pack::Error::from)?);
        }
        sys::fs::write_atomic(Path::new(&name), &text, 0o644)
            .context("the release is complete, its .asc is not")
    }
}

fn sign(signers: &mut [Signer], bytes: &[u8], now: Timestamp) -> pack::Result<Vec<Vec<u8>>> {
    signers.iter_mut().map(|signer| Ok(signer.sign_detached(bytes, now)?)).collect()
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
