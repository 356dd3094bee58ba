//! Certificates in the files that CAs hand out, and the order in which the product wants them: leaf,
//! intermediates, root, and nothing else in the file (guide, "Configuration Tricks and Tips"; Administrator Guide,
//! "Create a Private Key and CSR").

use std::fmt;

use openssl::pkcs7::Pkcs7;
use openssl::x509::X509;

use super::key::{self, Found, Key, Problem, Shape};
use super::look::Certificate;
use super::{Error, Result, p12, pem};
use crate::types::Secret;

/// What a file holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// The private key.
    pub key: Option<Found>,
    /// The certificates as they come.
    pub certificates: Vec<Certificate>,
    /// What the product would not read, or reads although nobody says that it does.
    pub flaws: Vec<Flaw>,
}

/// Something in files that is not as the product wants it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Flaw {
    /// The form of the key.
    Key(Problem),
    /// A certificate in DER.
    BinaryCertificate,
    /// Certificates in PKCS#7 (`.p7b`).
    Pkcs7,
    /// `BEGIN TRUSTED CERTIFICATE` and the like, which OpenSSL alone reads.
    OwnFormOfOpenSsl,
    /// Text beside the blocks.
    TextAround,
    /// Key and certificates share one file.
    Together,
    /// Certificates that are not in the order leaf, intermediates, root.
    Order,
    /// The same certificate again.
    Twice(String),
    /// A certificate that is not above the leaf.
    Stranger(String),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(problem) => problem.fmt(f),
            Self::BinaryCertificate => f.write_str("the certificate is binary (DER); the product reads PEM"),
            Self::Pkcs7 => f.write_str("the certificates are PKCS#7; the product reads PEM"),
            Self::OwnFormOfOpenSsl => f.write_str(
                "a certificate is in a form of OpenSSL's own; the product reads BEGIN CERTIFICATE",
            ),
            Self::TextAround => {
                f.write_str("there is text beside the blocks; only they belong into the file")
            }
            Self::Together => f.write_str("key and certificates are in one file; the product reads two"),
            Self::Order => f.write_str("the certificates were not in the order leaf, intermediates, root"),
            Self::Twice(subject) => write!(f, "a certificate was there twice: {subject}"),
            Self::Stranger(subject) => {
                write!(f, "a certificate that is not above the leaf is left out: {subject}")
            }
        }
    }
}

/// Reads all that a file holds: PEM or DER, PKCS#7, PKCS#12, the forms of keys of [`key::read`].
///
/// # Errors
/// When there is neither a key nor a certificate in it, or something in it cannot be read.
pub fn read(bytes: &[u8], passphrase: Option<&Secret>) -> Result<Contents> {
    let mut contents = Contents::default();
    match key::read(bytes, passphrase) {
        Ok(found) => {
            contents.flaws.extend(found.form.problems().into_iter().map(Flaw::Key));
            contents.key = Some(found);
        }
        Err(key::Error::NoKey) => {}
        Err(error) => return Err(error.into()),
    }
    match pem::text(bytes) {
        Some(text) => contents.add_pem(&text)?,
        None => contents.add_der(bytes, passphrase)?,
    }
    if contents.key.is_none() && contents.certificates.is_empty() {
        return Err(Error::Nothing);
    }
    Ok(contents)
}

impl Contents {
    fn add_pem(&mut self, text: &str) -> Result<()> {
        const UNREAD: Error = Error::Chain("a certificate in it is damaged");
        let (blocks, is_all) = pem::blocks(text);
        if !is_all {
            return Err(Error::Chain("it has more than 64 blocks"));
        }
        for block in &blocks {
            let content = || block.content.as_deref().ok_or(UNREAD);
            match block.label {
                "CERTIFICATE" => self.certificates.push(certificate(content()?)?),
                "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => {
                    // a trusted one has more behind the certificate, which is left out
                    let x509 = X509::from_der(content()?).map_err(|_| UNREAD)?;
                    self.certificates.push(certificate(&x509.to_der()?)?);
                    self.flaws.push(Flaw::OwnFormOfOpenSsl);
                }
                "PKCS7" | "CMS" => {
                    self.certificates.extend(looked_at(&pkcs7(content()?).ok_or(UNREAD)?)?);
                    self.flaws.push(Flaw::Pkcs7);
                }
                _ => {}
            }
        }
        let in_blocks: usize = blocks.iter().map(|block| block.text.len()).sum();
        let spaces = text.chars().filter(|c| c.is_whitespace()).count();
        let spaces_in_blocks: usize =
            blocks.iter().map(|block| block.text.chars().filter(|c| c.is_whitespace()).count()).sum();
        if text.len() - spaces > in_blocks - spaces_in_blocks {
            self.flaws.push(Flaw::TextAround);
        }
        if self.key.is_some() && !self.certificates.is_empty() {
            self.flaws.push(Flaw::Together);
        }
        Ok(())
    }

    fn add_der(&mut self, bytes: &[u8], passphrase: Option<&Secret>) -> Result<()> {
        if key::shape(bytes) == Shape::Pkcs12 {
            let passphrase = passphrase.filter(|_| p12::is_encrypted(bytes));
            self.certificates = looked_at(&p12::open(bytes, passphrase)?.certificates)?;
            if self.key.is_none() {
                self.flaws.push(Flaw::Key(Problem::Pkcs12));
            }
        } else if let Ok(certificate) = Certificate::from_der(bytes) {
            self.certificates.push(certificate);
            self.flaws.push(Flaw::BinaryCertificate);
        } else if let Some(certificates) = pkcs7(bytes) {
            self.certificates = looked_at(&certificates)?;
            self.flaws.push(Flaw::Pkcs7);
        }
        Ok(())
    }
}

fn pkcs7(der: &[u8]) -> Option<Vec<X509>> {
    let file = Pkcs7::from_der(der).ok()?;
    Some(file.signed()?.certificates()?.iter().map(|certificate| certificate.to_owned()).collect())
}

fn certificate(der: &[u8]) -> Result<Certificate> {
    Certificate::from_der(der).map_err(|_| Error::Chain("a certificate in it cannot be read"))
}

fn looked_at(certificates: &[X509]) -> Result<Vec<Certificate>> {
    certificates.iter().map(|x509| certificate(&x509.to_der()?)).collect()
}

/// Certificates as the product wants them.
#[derive(Debug)]
pub struct Ordered {
    /// Leaf, intermediates, root, as far as they are there.
    pub chain: Vec<Certificate>,
    /// What was not so.
    pub flaws: Vec<Flaw>,
}

/// Puts certificates in order. The leaf is the one that `key` belongs to; without a key, the only one that
/// issued no other.
///
/// # Errors
/// When no certificate belongs to the key, or it cannot be told which one is the leaf.
pub fn order(certificates: &[Certificate], key: Option<&Key>) -> Result<Ordered> {
    let mut flaws = Vec::new();
    let mut left: Vec<&Certificate> = Vec::new();
    for certificate in certificates {
        if left.iter().any(|other| other.der() == certificate.der()) {
            flaws.push(Flaw::Twice(certificate.title()));
        } else {
            left.push(certificate);
        }
    }
    let given = left.clone();
    let mut chain = match leaf(&left, key)? {
        Some(at) => vec![left.remove(at)],
        None => Vec::new(),
    };
    while let Some(lowest) = chain.last()
        && let Some(at) = left.iter().position(|above| is_above(above, lowest))
    {
        chain.push(left.remove(at));
    }
    let kept = given.iter().filter(|one| chain.iter().any(|other| std::ptr::eq(*other, **one)));
    if kept.zip(&chain).any(|(given, ordered)| !std::ptr::eq(*given, *ordered)) {
        flaws.push(Flaw::Order);
    }
    flaws.extend(left.iter().map(|stranger| Flaw::Stranger(stranger.title())));
    Ok(Ordered { chain: chain.into_iter().cloned().collect(), flaws })
}

fn leaf(certificates: &[&Certificate], key: Option<&Key>) -> Result<Option<usize>> {
    if certificates.is_empty() {
        return Ok(None);
    }
    if let Some(key) = key {
        return match certificates.iter().position(|certificate| key.fits(certificate.x509())) {
            Some(at) => Ok(Some(at)),
            None => Err(Error::Mismatch),
        };
    }
    let issued_none = |one: &&Certificate| {
        !certificates.iter().any(|other| !std::ptr::eq(*other, *one) && is_above(one, other))
    };
    let mut ends = certificates.iter().enumerate().filter(|(_, one)| issued_none(one)).map(|(at, _)| at);
    match (ends.next(), ends.next()) {
        (Some(at), None) => Ok(Some(at)),
        _ => Err(Error::NoLeaf),
    }
}

fn is_above(above: &Certificate, below: &Certificate) -> bool {
    below.names_as_issuer(above) && below.is_signed_by(above)
}

/// Certificates as one PEM file, without anything around them.
///
/// # Errors
/// When OpenSSL fails.
pub fn to_pem(chain: &[Certificate]) -> Result<String> {
    let mut text = String::new();
    for certificate in chain {
        text.push_str(&String::from_utf8_lossy(&certificate.x509().to_pem()?));
    }
    Ok(text)
}
