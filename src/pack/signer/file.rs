//! Signs with a secret key from a file.

use std::path::Path;

use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use sequoia_openpgp as openpgp;

use openpgp::Cert;
use openpgp::cert::CertParser;
use openpgp::crypto::hash::Context;
use openpgp::crypto::{KeyPair, Password};
use openpgp::packet::Signature;
use openpgp::packet::signature::SignatureBuilder;
use openpgp::parse::Parse as _;
use openpgp::types::{HashAlgorithm, SignatureType};

use super::Error;
use crate::sys;
use crate::trust::rules;
use crate::types::Secret;

/// Longest passphrase file, in bytes.
const PASSPHRASE_LIMIT: u64 = 4096;

/// The first line of a file that only its owner can read.
pub(super) fn read_passphrase(path: &Path) -> Result<Secret, Error> {
    let bytes = zeroize::Zeroizing::new(sys::fs::read_secret(path, PASSPHRASE_LIMIT)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| Error::PassphraseWrong)?;
    Ok(Secret::from(text.lines().next().unwrap_or_default().to_owned()))
}

/// The certificate in `bytes` and the newest of its secret keys that can sign at `at`.
pub(super) fn open(
    bytes: &[u8],
    passphrase: Option<&Secret>,
    at: Timestamp,
) -> Result<(Cert, KeyPair), Error> {
    let cert = read(bytes)?;
    let fingerprint = rules::fingerprint(&cert.fingerprint()).ok_or(Error::UnknownVersion)?;
    let mut why = None;
    let mut found = Vec::new();
    for ka in cert.keys().secret() {
        match rules::signing_key(&cert, &ka.key().fingerprint(), at) {
            Ok(life) if life.created > at => {}
            Ok(life) if life.expires.is_some_and(|end| end <= at) => {
                let end = life.expires.map(rules::date).unwrap_or_default();
                why.get_or_insert(format!("it expired on {end}"));
            }
            Ok(life) => found.push((life.created, ka.key().clone())),
            Err(fault) => {
                why.get_or_insert(fault.reason().to_owned());
            }
        }
    }
    let Some((_, key)) = found.into_iter().max_by_key(|(created, _)| *created) else {
        let why = why.unwrap_or_else(|| "the file holds no secret key that can sign".to_owned());
        return Err(Error::Unfit { fingerprint, why });
    };
    if key.version() != 4 {
        return Err(Error::UnknownVersion);
    }
    let key = match (key.has_unencrypted_secret(), passphrase) {
        (true, _) => key,
        (false, None) => return Err(Error::PassphraseMissing),
        (false, Some(passphrase)) => {
            let passphrase = Password::from(passphrase.expose_secret());
            key.decrypt_secret(&passphrase).map_err(|_| Error::PassphraseWrong)?
        }
    };
    let pair = key.into_keypair().map_err(|_| Error::KeyFile { why: "its secret part is not usable" })?;
    Ok((cert, pair))
}

fn read(bytes: &[u8]) -> Result<Cert, Error> {
    const NO_KEY: Error = Error::KeyFile { why: "it is not an OpenPGP key file" };
    let mut certs = CertParser::from_bytes(bytes).map_err(|_| NO_KEY)?;
    let cert = certs.next().ok_or(NO_KEY)?.map_err(|_| NO_KEY)?;
    if certs.next().is_some() {
        return Err(Error::KeyFile { why: "the file holds more than one key" });
    }
    if !cert.is_tsk() {
        return Err(Error::KeyFile { why: "the file holds a public key only" });
    }
    Ok(cert)
}

/// A binary signature over what `digest` has taken in.
pub(super) fn sign(pair: &mut KeyPair, digest: Context, at: Timestamp) -> Result<Signature, Error> {
    SignatureBuilder::new(SignatureType::Binary)
        .set_hash_algo(HashAlgorithm::SHA256)
        .set_signature_creation_time(rules::system_time(at))
        .and_then(|builder| builder.sign_hash(pair, digest))
        .map_err(|_| Error::Signing { why: "the key did not make a signature" })
}
