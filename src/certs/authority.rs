//! Whether a certificate is fit to be trusted as an authority by a whole host.

use std::collections::BTreeSet;

use jiff::Timestamp;
use openssl::x509::X509;

use super::key::MIN_RSA_BITS;
use super::look::{Certificate, Chain, Hash, KeyKind, Purpose, Usage};
use crate::types::Digest;

/// Least size of a key on an elliptic curve, in bits (guide, "Configuration Tricks and Tips").
const MIN_EC_BITS: u32 = 256;

/// Reads authorities: a PEM file of any number, or one in DER form.
#[must_use]
pub fn read(bytes: &[u8]) -> Chain {
    match Certificate::from_der(bytes) {
        Ok(certificate) => Chain { certificates: vec![certificate], ..Chain::default() },
        Err(_) => Chain::parse(bytes),
    }
}

/// Everything for which a certificate must not be trusted as an authority at `now`, in words: rules of the
/// guide ("Configuration Tricks and Tips") and of RFC 5280, 4.2.1.3 and 4.2.1.9.
#[must_use]
pub fn unfit(certificate: &Certificate, now: Timestamp) -> Vec<String> {
    let mut why = Vec::new();
    let mut rule = |broken: bool, words: String| {
        if broken {
            why.push(words);
        }
    };
    let key = &certificate.key;
    let weak = match key.kind {
        KeyKind::Rsa | KeyKind::RsaPss => key.bits < MIN_RSA_BITS,
        KeyKind::Ec => key.bits < MIN_EC_BITS,
        KeyKind::Ed25519 | KeyKind::Ed448 => false,
        KeyKind::Dsa | KeyKind::Other => true,
    };
    let hash = certificate.signature.hash;
    let broken = matches!(hash, Some(Hash::Md2 | Hash::Md4 | Hash::Md5));
    let has_usage = certificate.usage.as_ref().is_some_and(|usages| usages.contains(&Usage::KeyCertSign));
    rule(!certificate.is_ca(), "it is no authority: basicConstraints lacks CA:TRUE".to_owned());
    rule(certificate.is_ca() && !has_usage, "its keyUsage lacks keyCertSign".to_owned());
    rule(certificate.not_after < now, format!("it has expired on {}", certificate.not_after));
    rule(certificate.not_before > now, format!("it is not valid before {}", certificate.not_before));
    rule(
        certificate.self_issued && certificate.is_for(&Purpose::OcspSigning),
        "it is a root that signs OCSP answers itself (extendedKeyUsage has OCSPSigning)".to_owned(),
    );
    rule(broken, format!("it is signed with {}, which can be forged", certificate.signature.algorithm));
    rule(weak, format!("its key, {key}, is too weak"));
    why
}

/// The PEM form of a certificate, one block.
///
/// # Errors
/// When OpenSSL cannot write it.
pub fn to_pem(certificate: &Certificate) -> super::Result<String> {
    Ok(String::from_utf8_lossy(&certificate.x509().to_pem()?).into_owned())
}

/// SHA-256 of every certificate of a PEM file, however many there are; none where one of them is damaged.
#[must_use]
pub fn digests(pem: &[u8]) -> BTreeSet<Digest> {
    let stack = X509::stack_from_pem(pem).unwrap_or_default();
    stack.iter().filter_map(|certificate| certificate.to_der().ok()).map(|der| Digest::of(&der)).collect()
}
