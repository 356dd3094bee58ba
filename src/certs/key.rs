//! Private keys: read from every form that CAs and tools hand out, written in the one that the product
//! reads.
//!
//! The product reads RSA keys of 2048 bits or more and EC keys on P-256 or larger, in the traditional PEM
//! form, in clear or with `Proc-Type` and `DEK-Info` (guides: "Configuration Tricks and Tips"; "Create a
//! Private Key and CSR"). [`read`] never asks on the terminal, whatever the file holds.

use std::fmt;

use openssl::bn::BigNumContext;
use openssl::ec::{Asn1Flag, EcGroup, EcKey, EcPoint, PointConversionForm};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, PKeyRef, Private};
use openssl::rsa::Rsa;
use openssl::symm::Cipher;
use openssl::x509::X509Ref;
use secrecy::ExposeSecret as _;
use x509_parser::asn1_rs::{Any, FromBer as _, Tag};
use zeroize::Zeroizing;

pub use super::form::{Form, Problem, Syntax};
use super::pem::{self, Block};
use super::{cipher, openssh, p12, work};
use crate::types::{Secret, printable_line};

/// Largest file with a key and its certificates, in bytes.
pub const LIMIT: u64 = 1 << 20;
/// Longest passphrase, in bytes: OpenSSL's tools take no longer ones.
pub const MAX_PASSPHRASE: usize = 1023;
/// Shortest passphrase of a key that is written, in bytes: OpenSSL's tools take no shorter ones.
pub const MIN_PASSPHRASE: usize = 4;
/// Fewest bits of an RSA key (guide, "Configuration Tricks and Tips").
pub const MIN_RSA_BITS: u32 = 2048;
/// Most bits of an RSA key that is opened: checking larger ones takes minutes.
pub const MAX_RSA_BITS: u32 = 16384;
/// The curves that the product reads: those of Go's standard library, less P-224, which is too short.
pub const CURVES: [(Nid, &str); 3] =
    [(Nid::X9_62_PRIME256V1, "P-256"), (Nid::SECP384R1, "P-384"), (Nid::SECP521R1, "P-521")];

/// A key that cannot be read or used. Never quotes what was read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing in it is a private key.
    #[error("it holds no private key")]
    NoKey,
    /// More than one.
    #[error("it holds several private keys")]
    Several,
    /// It needs a passphrase.
    #[error("it is encrypted and no passphrase was given")]
    Encrypted,
    /// The file is whole, but the passphrase opens nothing.
    #[error("the passphrase does not open it")]
    WrongPassphrase,
    /// The file is not whole.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// A key that the product cannot use, such as `an Ed25519 key`.
    #[error(
        "it is {0}; the product takes RSA keys of 2048 bits or more and EC keys on P-256, P-384 or P-521"
    )]
    Unsupported(String),
    /// An EC key whose curve is spelt out and is none that has a name.
    #[error("its curve is spelt out and is none of P-256, P-384 and P-521")]
    UnknownCurve,
    /// Encrypted by `ssh-keygen`.
    #[error("it is an encrypted OpenSSH key")]
    OpenSshEncrypted,
    /// Encrypted with something that is too old to be opened here.
    #[error("it is encrypted with {0}, which is no longer supported")]
    OldCipher(String),
    /// Whoever wrote it made it slow to open, by far more than keeps guesses off.
    #[error("opening it would take too much work: {0}")]
    TooMuchWork(String),
    /// A passphrase that cannot be one.
    #[error("the passphrase {0}")]
    Passphrase(&'static str),
    /// OpenSSL failed.
    #[error("OpenSSL failed")]
    OpenSsl(#[from] ErrorStack),
}

/// A result of reading or writing a key.
pub type Result<T> = std::result::Result<T, Error>;

/// What kind of key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// RSA, with its length in bits.
    Rsa {
        /// The length.
        bits: u32,
    },
    /// EC, on a curve that has a name.
    Ec {
        /// The curve: `P-256`, or OpenSSL's name for others.
        curve: &'static str,
        /// Its size in bits.
        bits: u32,
    },
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA {bits}"),
            Self::Ec { curve, .. } => write!(f, "EC {curve}"),
        }
    }
}

/// A private key that was opened and is consistent in itself: RSA, or EC on a named curve.
#[derive(Clone)]
pub struct Key {
    pkey: PKey<Private>,
    kind: Kind,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A key and the form in which it was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// The key.
    pub key: Key,
    /// Its form.
    pub form: Form,
}

/// Tells in which form a file holds a private key. Needs no passphrase and opens nothing.
///
/// # Errors
/// When it holds none or several.
pub fn form(bytes: &[u8]) -> Result<Form> {
    let text = pem::text(bytes);
    locate(bytes, text.as_deref().map(String::as_str)).map(|(form, _)| form)
}

/// Opens the private key in a file: PEM or DER, traditional, PKCS#8, PKCS#12 or OpenSSH.
///
/// A passphrase that is not needed is not used.
///
/// # Errors
/// When there is none, it cannot be opened, or it is of a kind that the product does not take. A key that
/// is too short is read; [`Key::check`] tells.
pub fn read(bytes: &[u8], passphrase: Option<&Secret>) -> Result<Found> {
    let text = pem::text(bytes);
    let (mut form, place) = locate(bytes, text.as_deref().map(String::as_str))?;
    let passphrase = passphrase.filter(|_| form.encrypted);
    if let Some(passphrase) = passphrase {
        check_old(passphrase)?;
    }
    let pkey = match place {
        Place::Plain(der) => plain(form.syntax, &der)?,
        Place::Sealed(block) => traditional(&block, passphrase)?,
        Place::Pkcs8(der) => pkcs8(&der, passphrase)?,
        Place::Pkcs12(der) => p12::open(&der, passphrase)?.key.ok_or(Error::NoKey)?,
        Place::OpenSsh(content) => openssh::read(&content)?,
    };
    let (key, explicit) = Key::new(pkey)?;
    form.explicit_curve = explicit;
    Ok(Found { key, form })
}

/// Where in a file the key is.
enum Place<'a> {
    Plain(Zeroizing<Vec<u8>>),
    Sealed(Block<'a>),
    Pkcs8(Zeroizing<Vec<u8>>),
    Pkcs12(Zeroizing<Vec<u8>>),
    OpenSsh(Zeroizing<Vec<u8>>),
}

fn locate<'a>(bytes: &[u8], text: Option<&'a str>) -> Result<(Form, Place<'a>)> {
    if bytes.len() as u64 > LIMIT {
        return Err(Error::Damaged("it is too large for a key"));
    }
    text.map_or_else(|| in_der(bytes), in_pem)
}

fn in_pem(text: &str) -> Result<(Form, Place<'_>)> {
    let (blocks, is_all) = pem::blocks(text);
    if !is_all && text.contains("PRIVATE KEY-----") {
        return Err(Error::Damaged("it has too many blocks"));
    }
    let parameters_block = blocks.iter().any(|block| block.label == "EC PARAMETERS");
    let mut keys = blocks.into_iter().filter(|block| block.label.ends_with("PRIVATE KEY"));
    let block = match (keys.next(), keys.next()) {
        (None, _) if text.contains("PRIVATE KEY-----") => {
            return Err(Error::Damaged("its last line is missing"));
        }
        (None, _) => return Err(Error::NoKey),
        (Some(_), Some(_)) => return Err(Error::Several),
        (Some(block), None) => block,
    };
    let content = || block.content.clone().ok_or(Error::Damaged("it is not base64"));
    let (syntax, encrypted, place) = match block.label {
        "RSA PRIVATE KEY" | "EC PRIVATE KEY" if block.encrypted => {
            content()?;
            let cipher = block.cipher.map(printable_line);
            let form = Form { cipher, ..new_form(Syntax::Traditional, true, true) };
            return Ok((Form { parameters_block, ..form }, Place::Sealed(block)));
        }
        "RSA PRIVATE KEY" | "EC PRIVATE KEY" => (Syntax::Traditional, false, Place::Plain(content()?)),
        "PRIVATE KEY" => (Syntax::Pkcs8, false, Place::Plain(content()?)),
        "ENCRYPTED PRIVATE KEY" => {
            let content = content()?;
            work::check(&content)?;
            (Syntax::Pkcs8, true, Place::Pkcs8(content))
        }
        "OPENSSH PRIVATE KEY" => {
            let content = content()?;
            (Syntax::OpenSsh, openssh::is_encrypted(&content), Place::OpenSsh(content))
        }
        "DSA PRIVATE KEY" => return Err(Error::Unsupported("a DSA key".to_owned())),
        _ => return Err(Error::Unsupported("a key of an unknown kind".to_owned())),
    };
    Ok((Form { parameters_block, ..new_form(syntax, true, encrypted) }, place))
}

fn in_der<'a>(bytes: &[u8]) -> Result<(Form, Place<'a>)> {
    let der = Zeroizing::new(bytes.to_vec());
    let shape = shape(bytes);
    if matches!(shape, Shape::EncryptedPkcs8 | Shape::Pkcs12) {
        work::check(bytes)?;
    }
    Ok(match shape {
        Shape::Traditional => (new_form(Syntax::Traditional, false, false), Place::Plain(der)),
        Shape::Pkcs8 => (new_form(Syntax::Pkcs8, false, false), Place::Plain(der)),
        Shape::EncryptedPkcs8 => (new_form(Syntax::Pkcs8, false, true), Place::Pkcs8(der)),
        Shape::Pkcs12 => {
            let encrypted = p12::is_encrypted(&der);
            (new_form(Syntax::Pkcs12, false, encrypted), Place::Pkcs12(der))
        }
        Shape::Other => return Err(Error::NoKey),
    })
}

fn new_form(syntax: Syntax, pem: bool, encrypted: bool) -> Form {
    Form { syntax, pem, encrypted, cipher: None, parameters_block: false, explicit_curve: false }
}

/// What a DER file is, by its first parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Traditional,
    Pkcs8,
    EncryptedPkcs8,
    Pkcs12,
    Other,
}

pub(super) fn shape(bytes: &[u8]) -> Shape {
    let parts = || {
        let (_, outer) = Any::from_ber(bytes).ok()?;
        let inside = (outer.tag() == Tag::Sequence).then_some(outer.data)?;
        let (rest, first) = Any::from_ber(inside).ok()?;
        let (_, second) = Any::from_ber(rest).ok()?;
        Some((first, second))
    };
    let Some((first, second)) = parts() else { return Shape::Other };
    match (first.tag(), first.data, second.tag()) {
        (Tag::Integer, [3], Tag::Sequence) => Shape::Pkcs12,
        (Tag::Integer, [0], Tag::Integer) | (Tag::Integer, [1], Tag::OctetString) => Shape::Traditional,
        (Tag::Integer, _, Tag::Sequence) => Shape::Pkcs8,
        (Tag::Sequence, inner, Tag::OctetString)
            if Any::from_ber(inner).is_ok_and(|(_, any)| any.tag() == Tag::Oid) =>
        {
            Shape::EncryptedPkcs8
        }
        _ => Shape::Other,
    }
}

fn plain(syntax: Syntax, der: &[u8]) -> Result<PKey<Private>> {
    let read = match syntax {
        // OpenSSL's own guess at the kind reads EC keys without telling how the curve was written
        Syntax::Traditional => EcKey::private_key_from_der(der)
            .and_then(PKey::from_ec_key)
            .or_else(|_| Rsa::private_key_from_der(der).and_then(PKey::from_rsa))
            .or_else(|_| PKey::private_key_from_der(der)),
        _ => PKey::private_key_from_pkcs8(der),
    };
    read.map_err(|_| Error::Damaged("its content is no key"))
}

fn traditional(block: &Block, passphrase: Option<&Secret>) -> Result<PKey<Private>> {
    const BLOCK: usize = 8; // bytes of DES, the smallest of the ciphers
    let passphrase = passphrase.ok_or(Error::Encrypted)?;
    let cipher = block.cipher.ok_or(Error::Damaged("its DEK-Info line is missing"))?;
    let sealed =
        block.content.as_ref().is_some_and(|content| !content.is_empty() && content.len() % BLOCK == 0);
    if !sealed {
        return Err(Error::Damaged("its length fits no cipher"));
    }
    let given = |buffer: &mut [u8]| Ok(lend(passphrase, buffer));
    PKey::private_key_from_pem_callback(block.text.as_bytes(), given)
        .map_err(|errors| cipher::refusal(&errors, cipher::is_modern(cipher), &printable_line(cipher)))
}

fn pkcs8(der: &[u8], passphrase: Option<&Secret>) -> Result<PKey<Private>> {
    if shape(der) != Shape::EncryptedPkcs8 {
        return Err(Error::Damaged("its content is no encrypted key"));
    }
    let passphrase = passphrase.ok_or(Error::Encrypted)?;
    let given = |buffer: &mut [u8]| Ok(lend(passphrase, buffer));
    PKey::private_key_from_pkcs8_callback(der, given)
        .map_err(|errors| cipher::refusal(&errors, cipher::names_aes(der), "a cipher of PKCS#5 version 1"))
}

/// Gives OpenSSL a passphrase in the memory that it wipes.
fn lend(passphrase: &Secret, buffer: &mut [u8]) -> usize {
    let bytes = passphrase.expose_secret().as_bytes();
    match buffer.get_mut(..bytes.len()) {
        Some(place) => {
            place.copy_from_slice(bytes);
            bytes.len()
        }
        None => 0,
    }
}

/// Whether a passphrase can have been used.
pub(super) fn check_old(passphrase: &Secret) -> Result<()> {
    let bytes = passphrase.expose_secret().as_bytes();
    if bytes.len() > MAX_PASSPHRASE {
        return Err(Error::Passphrase("is longer than 1023 bytes"));
    }
    if bytes.contains(&0) { Err(Error::Passphrase("holds a NUL character")) } else { Ok(()) }
}

/// Whether a passphrase is fit for a new file.
///
/// # Errors
/// When it is too short, too long or has characters that cannot be typed everywhere.
pub fn check_passphrase(passphrase: &Secret) -> Result<()> {
    check_old(passphrase)?;
    let text = passphrase.expose_secret();
    if text.len() < MIN_PASSPHRASE {
        return Err(Error::Passphrase("is shorter than 4 characters, which OpenSSL does not take"));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::Passphrase("holds a control character"));
    }
    Ok(())
}

impl Key {
    /// Takes a key that OpenSSL has read; also tells whether its curve was spelt out.
    fn new(pkey: PKey<Private>) -> Result<(Self, bool)> {
        const INCONSISTENT: Error = Error::Damaged("its numbers do not belong together");
        match pkey.id() {
            Id::RSA => {
                let bits = pkey.bits();
                if bits > MAX_RSA_BITS {
                    return Err(Error::Unsupported(format!("an RSA key of {bits} bits")));
                }
                if !pkey.rsa()?.check_key().unwrap_or(false) {
                    return Err(INCONSISTENT);
                }
                Ok((Self { pkey, kind: Kind::Rsa { bits } }, false))
            }
            Id::EC => {
                let key = pkey.ec_key()?;
                let explicit = key.group().asn1_flag() == Asn1Flag::EXPLICIT_CURVE;
                let curve = key.group().curve_name().ok_or(Error::UnknownCurve)?;
                let named = named(&key, curve).map_err(|_| INCONSISTENT)?;
                let bits = named.group().degree();
                let known = CURVES.iter().find(|(nid, _)| *nid == curve).map(|(_, name)| *name);
                let name = known.or_else(|| curve.short_name().ok()).unwrap_or("unknown");
                let pkey = PKey::from_ec_key(named)?;
                Ok((Self { pkey, kind: Kind::Ec { curve: name, bits } }, explicit))
            }
            Id::RSA_PSS => Err(Error::Unsupported("an RSA key for PSS signatures only".to_owned())),
            Id::DSA => Err(Error::Unsupported("a DSA key".to_owned())),
            Id::ED25519 => Err(Error::Unsupported("an Ed25519 key".to_owned())),
            Id::ED448 => Err(Error::Unsupported("an Ed448 key".to_owned())),
            Id::X25519 | Id::X448 => {
                Err(Error::Unsupported("a key that cannot sign (X25519, X448)".to_owned()))
            }
            _ => Err(Error::Unsupported("a key of an unknown kind".to_owned())),
        }
    }

    /// Takes a key that was just made.
    pub(super) fn made(pkey: PKey<Private>) -> Result<Self> {
        Self::new(pkey).map(|(key, _)| key)
    }

    /// What kind it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// For calls of OpenSSL.
    #[must_use]
    pub fn pkey(&self) -> &PKeyRef<Private> {
        &self.pkey
    }

    /// Whether a certificate is about this key.
    #[must_use]
    pub fn fits(&self, certificate: &X509Ref) -> bool {
        certificate.public_key().is_ok_and(|public| public.public_eq(&self.pkey))
    }

    /// Whether the product takes it: RSA of 2048 bits or more, EC on P-256, P-384 or P-521.
    ///
    /// # Errors
    /// [`Error::Unsupported`] otherwise.
    pub fn check(&self) -> Result<()> {
        match self.kind {
            Kind::Rsa { bits } if bits < MIN_RSA_BITS => {
                Err(Error::Unsupported(format!("an RSA key of {bits} bits")))
            }
            Kind::Ec { curve, .. } if !CURVES.iter().any(|(_, name)| *name == curve) => {
                Err(Error::Unsupported(format!("an EC key on the curve {curve}")))
            }
            _ => Ok(()),
        }
    }

    /// The key in the form that the product reads: traditional PEM, EC with the name of its curve and
    /// without a block of parameters. With a passphrase it is encrypted with AES-256-CBC (`Proc-Type`,
    /// `DEK-Info`), otherwise in clear.
    ///
    /// # Errors
    /// When OpenSSL fails.
    pub fn to_pem(&self, passphrase: Option<&Secret>) -> Result<Zeroizing<String>> {
        let cipher = Cipher::aes_256_cbc();
        let secret = passphrase.map(|passphrase| passphrase.expose_secret().as_bytes());
        let bytes = match (self.kind, secret) {
            (Kind::Rsa { .. }, None) => self.pkey.rsa()?.private_key_to_pem(),
            (Kind::Rsa { .. }, Some(secret)) => {
                self.pkey.rsa()?.private_key_to_pem_passphrase(cipher, secret)
            }
            (Kind::Ec { .. }, None) => self.pkey.ec_key()?.private_key_to_pem(),
            (Kind::Ec { .. }, Some(secret)) => {
                self.pkey.ec_key()?.private_key_to_pem_passphrase(cipher, secret)
            }
        }?;
        let bytes = Zeroizing::new(bytes);
        let text = std::str::from_utf8(&bytes).map_err(|_| Error::Damaged("OpenSSL wrote no text"))?;
        Ok(Zeroizing::new(text.to_owned()))
    }
}

/// The same key on the same curve, which is known by its name alone from here on.
fn named(key: &EcKey<Private>, curve: Nid) -> std::result::Result<EcKey<Private>, ErrorStack> {
    let mut group = EcGroup::from_curve_name(curve)?;
    group.set_asn1_flag(Asn1Flag::NAMED_CURVE);
    let mut context = BigNumContext::new()?;
    let point = key.public_key().to_bytes(key.group(), PointConversionForm::UNCOMPRESSED, &mut context)?;
    let point = EcPoint::from_bytes(&group, &point, &mut context)?;
    let named = EcKey::from_private_components(&group, key.private_key(), &point)?;
    named.check_key()?;
    Ok(named)
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
