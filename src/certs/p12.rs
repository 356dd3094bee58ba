//! PKCS#12 files (RFC 7292): what CAs and browsers hand out, and what browsers import.

use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use openssl::stack::Stack;
use openssl::x509::X509;
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::cipher::is_unsupported;
use super::key::{Error, Key, Result, check_old};
use super::look::Certificate;
use crate::types::Secret;

/// Rounds of PBKDF2 over the passphrase: enough to slow a guess down, few enough for every browser.
const ROUNDS: u32 = 100_000;

/// What is in such a file.
pub(super) struct Opened {
    pub(super) key: Option<PKey<Private>>,
    /// The certificate of the key first, the others as they come.
    pub(super) certificates: Vec<X509>,
}

/// Whether a passphrase is needed. An empty one counts as none.
pub(super) fn is_encrypted(der: &[u8]) -> bool {
    Pkcs12::from_der(der).is_ok_and(|file| file.parse2("").is_err())
}

/// Opens it.
pub(super) fn open(der: &[u8], passphrase: Option<&Secret>) -> Result<Opened> {
    let file = Pkcs12::from_der(der).map_err(|_| Error::Damaged("it is no whole PKCS#12 file"))?;
    if let Some(passphrase) = passphrase {
        check_old(passphrase)?;
    }
    let given = passphrase.map_or("", |passphrase| passphrase.expose_secret());
    let parsed = file.parse2(given).map_err(|errors| {
        if is_unsupported(&errors) {
            Error::OldCipher("RC2, as old versions of Windows do".to_owned())
        } else if passphrase.is_some() {
            Error::WrongPassphrase
        } else {
            Error::Encrypted
        }
    })?;
    let mut certificates: Vec<X509> = parsed.cert.into_iter().collect();
    if let Some(others) = parsed.ca {
        certificates.extend(others);
    }
    Ok(Opened { key: parsed.pkey, certificates })
}

/// Writes a key, its certificate and those above it as a file that Chromium, Firefox and `pk12util` import:
/// AES-256-CBC with PBKDF2 (PBES2, RFC 8018), and a MAC with SHA-256.
///
/// # Errors
/// When OpenSSL fails.
pub fn write(
    name: &str,
    key: &Key,
    chain: &[Certificate],
    passphrase: &Secret,
) -> Result<Zeroizing<Vec<u8>>> {
    let mut others = Stack::new()?;
    for certificate in chain.iter().skip(1) {
        others.push(certificate.x509().clone())?;
    }
    let mut builder = Pkcs12::builder();
    builder.name(name).pkey(key.pkey()).ca(others);
    if let Some(leaf) = chain.first() {
        builder.cert(leaf.x509());
    }
    builder.key_algorithm(Nid::AES_256_CBC).cert_algorithm(Nid::AES_256_CBC);
    builder.key_iter(ROUNDS).mac_iter(ROUNDS).mac_md(MessageDigest::sha256());
    let file = builder.build2(passphrase.expose_secret())?;
    Ok(Zeroizing::new(file.to_der()?))
}
