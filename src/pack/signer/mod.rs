//! Makes detached OpenPGP signatures, with a key file or through gpg (smart cards, agents).

mod error;
mod file;
mod gpg;

use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::path::PathBuf;

use jiff::Timestamp;
use sequoia_openpgp as openpgp;

use openpgp::Cert;
use openpgp::crypto::hash::Context;
use openpgp::packet::{Packet, Signature};
use openpgp::serialize::{Marshal as _, MarshalInto as _};
use openpgp::types::{HashAlgorithm, SignatureType};

use crate::trust::lint::{self, Finding, Severity};
use crate::trust::rules;
use crate::types::{Fingerprint, Secret};

pub use error::Error;

/// Which key signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SigningKey {
    /// A secret key in a file, as `gpg --export-secret-keys` or `sq key generate` write it.
    File {
        /// The file.
        path: PathBuf,
        /// The file that holds its passphrase, if it has one.
        passphrase_file: Option<PathBuf>,
    },
    /// A key that gpg finds: in its keyring, its agent or a smart card.
    Gpg {
        /// The fingerprint or long key id.
        key_id: String,
    },
}

impl SigningKey {
    /// Opens the key.
    ///
    /// # Errors
    /// When it cannot be read or used to sign at `at`.
    pub fn open(&self, at: Timestamp) -> Result<Signer, Error> {
        match self {
            Self::File { path, passphrase_file } => {
                let bytes = crate::sys::fs::read_secret(path, crate::trust::KEY_FILE_LIMIT)?;
                let bytes = zeroize::Zeroizing::new(bytes);
                let passphrase = passphrase_file.as_deref().map(file::read_passphrase).transpose()?;
                Signer::open_file(&bytes, passphrase.as_ref(), at)
            }
            Self::Gpg { key_id } => Signer::open_gpg(key_id, at),
        }
    }
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The packet as it is.
    Binary,
    /// As text between `-----BEGIN PGP SIGNATURE-----` and its end.
    Armoured,
}

/// A key that is ready to sign.
#[derive(Debug)]
pub struct Signer {
    cert: Cert,
    fingerprint: Fingerprint,
    maker: Maker,
}

enum Maker {
    Key(Box<openpgp::crypto::KeyPair>),
    Gpg(gpg::Gpg),
}

impl std::fmt::Debug for Maker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "Key([REDACTED])",
            Self::Gpg(_) => "Gpg",
        })
    }
}

impl Signer {
    /// Opens a secret key: the newest of its keys that can sign at `at`.
    ///
    /// # Errors
    /// When it holds no such key, the passphrase is missing or wrong, or a verifier would refuse it.
    pub fn open_file(bytes: &[u8], passphrase: Option<&Secret>, at: Timestamp) -> Result<Self, Error> {
        let (cert, pair) = file::open(bytes, passphrase, at)?;
        Self::new(cert, Maker::Key(Box::new(pair)), at)
    }

    /// Opens a key through gpg; `key_id` is its fingerprint or long key id.
    ///
    /// # Errors
    /// When gpg has no such key, or a verifier would refuse it.
    pub fn open_gpg(key_id: &str, at: Timestamp) -> Result<Self, Error> {
        let (cert, gpg) = gpg::Gpg::open(key_id)?;
        Self::new(cert, Maker::Gpg(gpg), at)
    }

    fn new(cert: Cert, maker: Maker, at: Timestamp) -> Result<Self, Error> {
        let cert = cert.strip_secret_key_material();
        let fingerprint = rules::fingerprint(&cert.fingerprint()).ok_or(Error::UnknownVersion)?;
        let error =
            lint::findings(&cert, at, 0).into_iter().find(|finding| finding.severity == Severity::Error);
        if let Some(why) = error.map(|finding| finding.what).or_else(|| rules::fault_of(&cert, at)) {
            return Err(Error::Unfit { fingerprint, why });
        }
        Ok(Self { cert, fingerprint, maker })
    }

    /// The fingerprint of the certificate that signs.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// What there is to say about the key, as of `at` and of `months` later.
    #[must_use]
    pub fn findings(&self, at: Timestamp, months: u32) -> Vec<Finding> {
        lint::findings(&self.cert, at, months)
    }

    /// The public certificate, armoured: what a verifier has to trust.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn certificate(&self) -> Result<Vec<u8>, Error> {
        self.cert.armored().to_vec().map_err(|_| Error::Signing { why: "the certificate cannot be written" })
    }

    /// A binary signature packet over `data`: SHA-256, dated `at`. Through gpg it is dated now.
    ///
    /// # Errors
    /// When the key refuses, or what it made does not verify.
    pub fn sign_detached(&mut self, data: &[u8], at: Timestamp) -> Result<Vec<u8>, Error> {
        self.sign_bytes(data, at, Form::Binary)
    }

    /// As [`Signer::sign_detached`], as armoured text.
    ///
    /// # Errors
    /// When the key refuses, or what it made does not verify.
    pub fn sign_armoured(&mut self, data: &[u8], at: Timestamp) -> Result<Vec<u8>, Error> {
        self.sign_bytes(data, at, Form::Armoured)
    }

    fn sign_bytes(&mut self, data: &[u8], at: Timestamp, form: Form) -> Result<Vec<u8>, Error> {
        let digest = || digest_of(&mut io::Cursor::new(data));
        let signature = match &mut self.maker {
            Maker::Key(pair) => file::sign(pair, digest()?, at)?,
            Maker::Gpg(gpg) => gpg.sign(gpg::Input::Bytes(data.to_vec()))?,
        };
        self.finish(signature, digest()?, at, form)
    }

    /// A signature over the whole of `file`, which is read from its beginning. Memory stays constant.
    ///
    /// # Errors
    /// When the file cannot be read, the key refuses, or what it made does not verify.
    pub fn sign_reader(&mut self, file: &mut File, at: Timestamp, form: Form) -> Result<Vec<u8>, Error> {
        file.rewind().map_err(Error::Read)?;
        let signature = match &mut self.maker {
            Maker::Key(pair) => file::sign(pair, digest_of(file)?, at)?,
            Maker::Gpg(gpg) => gpg.sign(gpg::Input::File(file.try_clone().map_err(Error::Read)?))?,
        };
        file.rewind().map_err(Error::Read)?;
        let digest = digest_of(file)?;
        self.finish(signature, digest, at, form)
    }

    /// Checks what was made as a verifier will, and writes it down.
    fn finish(&self, made: Signature, digest: Context, at: Timestamp, form: Form) -> Result<Vec<u8>, Error> {
        let wrong = |why| Error::Signing { why };
        if made.typ() != SignatureType::Binary || made.hash_algo() != HashAlgorithm::SHA256 {
            return Err(wrong("the signature is not a binary one with SHA-256"));
        }
        let issuers = made.get_issuers();
        let mut keys = self.cert.keys().map(|ka| ka.key());
        let key = keys.find(|key| issuers.iter().any(|issuer| issuer.aliases(key.key_handle())));
        let key = key.ok_or_else(|| wrong("another key than the chosen one made the signature"))?;
        made.verify_hash(key, digest).map_err(|_| wrong("the signature does not verify"))?;
        rules::signing_key(&self.cert, &key.fingerprint(), at).map_err(|fault| Error::Unfit {
            fingerprint: self.fingerprint.clone(),
            why: fault.reason().to_owned(),
        })?;
        let packet = Packet::from(made);
        let mut bytes = Vec::new();
        match form {
            Form::Binary => packet.serialize(&mut bytes),
            Form::Armoured => {
                let kind = openpgp::armor::Kind::Signature;
                openpgp::armor::Writer::new(&mut bytes, kind).map_err(Into::into).and_then(|mut writer| {
                    packet.serialize(&mut writer)?;
                    writer.finalize()?;
                    Ok(())
                })
            }
        }
        .map_err(|_| wrong("the signature cannot be written"))?;
        Ok(bytes)
    }
}

/// The running SHA-256 of all that `reader` gives, as a version 4 signature needs it.
fn digest_of(reader: &mut impl Read) -> Result<Context, Error> {
    let builder = HashAlgorithm::SHA256.context();
    let mut digest =
        builder.map_err(|_| Error::Signing { why: "SHA-256 is not available" })?.for_signature(4);
    io::copy(reader, &mut digest).map_err(Error::Read)?;
    Ok(digest)
}
