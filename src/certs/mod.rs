//! X.509: keys in all their forms, the certificate that a server starts with, and a first look at a given
//! pair.
//!
//! In: names, or the bytes of files. Out: PEM text. Never touches files and never asks on the terminal.
#![forbid(unsafe_code)]

pub mod authority;
pub mod check;
mod cipher;
mod form;
pub mod forms;
pub mod key;
pub mod look;
mod openssh;
pub mod p12;
mod pem;
pub mod request;
mod work;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier};
use openssl::x509::{X509, X509NameBuilder};
use zeroize::Zeroizing;

use crate::types::{Digest, Secret};

/// By this name in the subject a certificate that was made here is known again.
const ORGANIZATION: &str = "self-signed by demisto-install";
/// Validity of a self-signed certificate in days.
pub const SELF_SIGNED_DAYS: u32 = 730;

/// A certificate chain and its private key, both PEM.
#[derive(Debug)]
pub struct Pair {
    /// The chain, leaf first.
    pub chain: String,
    /// The key in the traditional form that the product reads.
    pub key: Zeroizing<String>,
}

/// A pair that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// OpenSSL refused.
    #[error("cannot make a certificate")]
    Make(#[from] openssl::error::ErrorStack),
    /// The certificate file is unusable.
    #[error("the certificate is unusable: {0}")]
    Chain(&'static str),
    /// The key file is unusable.
    #[error("the private key is unusable")]
    Key(#[from] key::Error),
    /// The key is in a form that the product cannot read.
    #[error("the private key is unusable: {0}")]
    Form(key::Problem),
    /// The key belongs to another certificate.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
    /// A file that holds nothing of this kind.
    #[error("it holds neither a private key nor a certificate")]
    Nothing,
    /// Several certificates, none of which is above the others.
    #[error("it cannot be told which of the certificates is the leaf")]
    NoLeaf,
    /// A certificate that may not sign others.
    #[error("the CA's certificate is unusable: {0}")]
    Authority(&'static str),
    /// The server's public key is unusable.
    #[error("the server's public key is unusable: {0}")]
    ServerKey(&'static str),
}

/// A result of this room.
pub type Result<T> = std::result::Result<T, Error>;

/// Makes a key and a self-signed certificate for `names` (DNS names and addresses, all in the SAN:
/// the product ignores the common name).
///
/// The key is one on the curve P-256, named and not spelt out, which the guide allows; unlike an
/// RSA key it is there at once.
///
/// # Errors
/// When OpenSSL fails.
pub fn self_signed(names: &[String], days: u32) -> Result<Pair> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let ec = EcKey::generate(&group)?;
    let key_pem = Zeroizing::new(String::from_utf8(ec.private_key_to_pem()?).unwrap_or_default());
    let key = PKey::from_ec_key(ec)?;
    let certificate = certificate(&key, names, days)?;
    let chain = String::from_utf8(certificate.to_pem()?).unwrap_or_default();
    Ok(Pair { chain, key: key_pem })
}

fn certificate(key: &PKey<Private>, names: &[String], days: u32) -> Result<X509> {
    let mut name = X509NameBuilder::new()?;
    let common: String = names.first().map_or("localhost", String::as_str).chars().take(64).collect();
    name.append_entry_by_text("CN", &common)?;
    name.append_entry_by_text("O", ORGANIZATION)?;
    let name = name.build();
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(&*request::serial()?)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    let (from, to) = (Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(days)?);
    builder.set_not_before(&from)?;
    builder.set_not_after(&to)?;
    builder.set_pubkey(key)?;
    let san = request::alternative_names(names).build(&builder.x509v3_context(None, None))?;
    let key_id = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
    builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
    builder.append_extension(san)?;
    builder.append_extension(key_id)?;
    builder.sign(key, MessageDigest::sha256())?;
    Ok(builder.build())
}

/// Whether a certificate is one that [`self_signed`] made. Its organization alone says nothing: a CA may
/// have signed a request with the same.
#[must_use]
pub fn is_self_made(chain: &str) -> bool {
    let chain = look::Chain::parse(chain.as_bytes());
    let Some(leaf) = chain.certificates.first() else { return false };
    let mut entries = leaf.x509().subject_name().entries_by_nid(Nid::ORGANIZATIONNAME);
    leaf.self_signed && entries.any(|entry| entry.data().as_slice() == ORGANIZATION.as_bytes())
}

/// Checks that chain and key are PEM, belong together and have the form that the product reads.
/// An encrypted key needs its passphrase.
///
/// # Errors
/// With the first rule that is broken.
pub fn check_pair(chain: &str, key: &str, passphrase: Option<&Secret>) -> Result<()> {
    let stack = X509::stack_from_pem(chain.as_bytes()).map_err(|_| Error::Chain("it is not PEM"))?;
    let leaf = stack.first().ok_or(Error::Chain("the file holds no certificate"))?;
    let fit = |form: &key::Form| form.problems().into_iter().find(|problem| problem.is_fatal());
    if let Some(problem) = fit(&key::form(key.as_bytes())?) {
        return Err(Error::Form(problem));
    }
    let found = key::read(key.as_bytes(), passphrase)?;
    if let Some(problem) = fit(&found.form) {
        return Err(Error::Form(problem));
    }
    found.key.check()?;
    if found.key.fits(leaf) { Ok(()) } else { Err(Error::Mismatch) }
}

/// Whether a key needs a passphrase.
#[must_use]
pub fn is_encrypted(key: &str) -> bool {
    key::form(key.as_bytes()).is_ok_and(|form| form.encrypted)
}

/// Whether a key is in a form that the product reads, as far as that is seen without opening it.
#[must_use]
pub fn is_readable(key: &str) -> bool {
    key::form(key.as_bytes()).is_ok_and(|form| form.is_readable())
}

/// Whether a passphrase opens a key.
#[must_use]
pub fn opens(key: &str, passphrase: &Secret) -> bool {
    key::read(key.as_bytes(), Some(passphrase)).is_ok()
}

/// Whether a passphrase is another one's: the key is whole, and it does not open it.
#[must_use]
pub fn is_wrong(key: &str, passphrase: &Secret) -> bool {
    matches!(key::read(key.as_bytes(), Some(passphrase)), Err(key::Error::WrongPassphrase))
}

/// Host names and addresses of a chain's leaf.
///
/// # Errors
/// When the text holds no certificate.
pub fn names(chain: &str) -> Result<Vec<String>> {
    let chain = look::Chain::parse(chain.as_bytes());
    let leaf = chain.certificates.first().ok_or(Error::Chain("the file holds no certificate"))?;
    let is_host = |name: &&look::Name| matches!(name, look::Name::Dns(_) | look::Name::Ip(_));
    Ok(leaf.names.iter().filter(is_host).map(ToString::to_string).collect())
}

/// Checks the public key of a server, which an engine is given: base64 of the DER form of an RSA key,
/// as SubjectPublicKeyInfo (RFC 5280, 4.1) or RSAPublicKey (RFC 8017, A.1.1), of 2048 bits or more.
///
/// # Errors
/// With what is wrong with it.
pub fn check_server_public(base64: &str) -> Result<()> {
    let der = BASE64.decode(base64).map_err(|_| Error::ServerKey("it is not base64"))?;
    let key = PKey::public_key_from_der(&der).and_then(|key| key.rsa());
    let key = key.or_else(|_| Rsa::public_key_from_der_pkcs1(&der));
    let key = key.map_err(|_| Error::ServerKey("it is no RSA public key"))?;
    if key.size() < 256 { Err(Error::ServerKey("it has less than 2048 bits")) } else { Ok(()) }
}

/// SHA-256 of the leaf certificate's DER form.
///
/// # Errors
/// When the text holds no certificate.
pub fn leaf_digest(chain: &str) -> Result<Digest> {
    let leaf = X509::from_pem(chain.as_bytes()).map_err(|_| Error::Chain("it is not PEM"))?;
    Ok(Digest::of(&leaf.to_der()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::error_chain;

    fn names() -> Vec<String> {
        ["soar.example.test", "localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec()
    }

    #[test]
    fn names_are_in_the_san() {
        let pair = self_signed(&names(), 30).unwrap();
        let x509 = X509::from_pem(pair.chain.as_bytes()).unwrap();
        let san = x509.subject_alt_names().unwrap();
        assert_eq!(
            san.iter().filter_map(|n| n.dnsname()).collect::<Vec<_>>(),
            ["soar.example.test", "localhost"]
        );
        assert_eq!(san.iter().filter_map(|n| n.ipaddress()).count(), 2);
        assert!(pair.key.starts_with("-----BEGIN EC PRIVATE KEY-----"));
        check_pair(&pair.chain, &pair.key, None).unwrap();
        assert!(is_self_made(&pair.chain));
    }

    #[test]
    fn unfit_pairs_are_named() {
        let (one, two) = (self_signed(&names(), 30).unwrap(), self_signed(&names(), 30).unwrap());
        let why = |chain: &str, key: &str, pass: Option<&Secret>| {
            error_chain(&check_pair(chain, key, pass).unwrap_err())
        };
        assert!(why(&one.chain, &two.key, None).contains("does not belong"));
        assert!(why("junk", &two.key, None).contains("certificate"));
        assert!(why(&one.chain, "junk", None).contains("no private key"));
        let ec = EcKey::private_key_from_pem(one.key.as_bytes()).unwrap();
        let locked = ec.private_key_to_pem_passphrase(openssl::symm::Cipher::aes_256_cbc(), b"open").unwrap();
        let locked = String::from_utf8(locked).unwrap();
        assert!(why(&one.chain, &locked, None).contains("no passphrase"));
        assert!(why(&one.chain, &locked, Some(&Secret::from("shut"))).contains("does not open"));
        check_pair(&one.chain, &locked, Some(&Secret::from("open"))).unwrap();
        let key = PKey::from_ec_key(ec).unwrap();
        let pkcs8 =
            key.private_key_to_pem_pkcs8_passphrase(openssl::symm::Cipher::aes_256_cbc(), b"open").unwrap();
        let pkcs8 = String::from_utf8(pkcs8).unwrap();
        assert!(why(&one.chain, &pkcs8, Some(&Secret::from("open"))).contains("PKCS#8"));
    }

    #[test]
    fn the_key_of_a_server_is_a_long_rsa_key() {
        let encoded = |bits: u32| {
            let rsa = Rsa::generate(bits).unwrap();
            let (pkcs1, spki) = (rsa.public_key_to_der_pkcs1().unwrap(), rsa.public_key_to_der().unwrap());
            (BASE64.encode(pkcs1), BASE64.encode(spki))
        };
        let (pkcs1, spki) = encoded(2048);
        assert!(check_server_public(&pkcs1).is_ok() && check_server_public(&spki).is_ok());
        let (short, _) = encoded(1024);
        let ec = PKey::from_ec_key(
            EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap(),
        );
        let ec = BASE64.encode(ec.unwrap().public_key_to_der().unwrap());
        for (text, why) in [("***", "base64"), ("AAAA", "no RSA"), (&*ec, "no RSA"), (&*short, "2048")] {
            let error = check_server_public(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
