//! Reads key files: binary, or one or more armoured blocks with any text around them.

use std::io::Read as _;

use sequoia_openpgp as openpgp;

use openpgp::Cert;
use openpgp::armor;
use openpgp::cert::CertParser;
use openpgp::parse::Parse as _;

use super::rules;
use super::{CERTIFICATE_LIMIT, Error, KEY_FILE_LIMIT};

const BEGIN: &[u8] = b"-----BEGIN PGP ";

/// The certificates in `bytes`.
///
/// # Errors
/// When there are none, when anything else is in it, or when one carries a secret key.
pub(crate) fn read(bytes: &[u8], origin: &str) -> Result<Vec<Cert>, Error> {
    let unusable = |why: &str| Error::KeyFile { origin: origin.to_owned(), why: why.to_owned() };
    if u64::try_from(bytes.len()).map_or(true, |len| len > KEY_FILE_LIMIT) {
        return Err(unusable("it is larger than 1 MiB"));
    }
    let mut certs = Vec::new();
    let blocks = armoured_blocks(bytes);
    if blocks.is_empty() {
        parse(bytes, &mut certs).map_err(unusable)?;
    }
    for block in blocks {
        let mut binary = Vec::new();
        let kind = armor::ReaderMode::Tolerant(None);
        let mut reader = armor::Reader::from_bytes(block, kind);
        reader.read_to_end(&mut binary).map_err(|_| unusable("its armour is damaged"))?;
        parse(&binary, &mut certs).map_err(unusable)?;
    }
    for cert in &certs {
        let Some(fingerprint) = rules::fingerprint(&cert.fingerprint()) else {
            return Err(unusable("it holds a key of an unknown version"));
        };
        if cert.is_tsk() {
            return Err(Error::SecretKey { origin: origin.to_owned(), fingerprint });
        }
    }
    if certs.is_empty() {
        return Err(unusable("it holds no key"));
    }
    Ok(certs)
}

/// The pieces of `bytes` that each begin with a line of armour.
fn armoured_blocks(bytes: &[u8]) -> Vec<&[u8]> {
    let mut starts = Vec::new();
    let mut at = 0_usize;
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        if line.starts_with(BEGIN) {
            starts.push(at);
        }
        at = at.saturating_add(line.len());
    }
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    starts.iter().copied().zip(ends).filter_map(|(start, end)| bytes.get(start..end)).collect()
}

fn parse(binary: &[u8], certs: &mut Vec<Cert>) -> Result<(), &'static str> {
    const NO_KEY: &str = "it holds something else than OpenPGP public keys";
    for cert in CertParser::from_bytes(binary).map_err(|_| NO_KEY)? {
        certs.push(cert.map_err(|_| NO_KEY)?);
        if certs.len() > CERTIFICATE_LIMIT {
            return Err("it holds more than 64 keys");
        }
    }
    Ok(())
}
