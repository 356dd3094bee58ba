//! What is in a certificate: read once, told as plain data.
//!
//! OpenSSL checks signatures and compares keys and names; x509-parser reads the extensions. What either of
//! them cannot read is no certificate: the product's own reader is as strict.

use std::net::IpAddr;

use jiff::Timestamp;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::Id;
use openssl::x509::X509;
use serde::Serialize;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{AuthorityInfoAccess, ExtendedKeyUsage, GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer as _;
use x509_parser::signature_algorithm::SignatureAlgorithm;
use x509_parser::time::ASN1Time;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

use super::pem::{self, Block, MAX_BLOCKS};
use crate::types::{Digest, hex, printable_line};

/// The one label of certificates that the product looks for.
const CERTIFICATE: &str = "CERTIFICATE";

/// A certificate that was read. Texts in it have their control characters escaped: whoever wrote them
/// vouches for nothing, and they must not add lines to what is shown.
#[derive(Debug, Clone, Serialize)]
pub struct Certificate {
    /// Whom it is about, as `C=.., O=.., CN=..`.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// The serial number, hexadecimal as it is encoded.
    pub serial: String,
    /// Its version, 1 to 3.
    pub version: u32,
    /// The common name, if there is one. It names no host: the product looks at the names only.
    pub common_name: Option<String>,
    /// The names (subjectAltName, RFC 5280, 4.2.1.6).
    pub names: Vec<Name>,
    /// From when on it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// Its public key.
    pub key: Key,
    /// How it is signed.
    pub signature: Signature,
    /// Whether it is an authority's, and of how deep a chain (basicConstraints, RFC 5280, 4.2.1.9).
    pub basic: Option<Basic>,
    /// What the key may do (keyUsage, RFC 5280, 4.2.1.3); all if nothing is said.
    pub usage: Option<Vec<Usage>>,
    /// What for (extKeyUsage, RFC 5280, 4.2.1.12); all if nothing is said.
    pub purposes: Option<Vec<Purpose>>,
    /// Where its revocation can be asked for (authorityInfoAccess, RFC 5280, 4.2.2.1).
    pub ocsp: Vec<String>,
    /// Where its issuer's certificate is to be had.
    pub ca_issuers: Vec<String>,
    /// Which key signed it, hexadecimal.
    pub authority_key_id: Option<String>,
    /// Which key it is about, hexadecimal.
    pub subject_key_id: Option<String>,
    /// Whether it limits the names of those below it (nameConstraints).
    pub constrains_names: bool,
    /// Object identifiers of critical extensions that the product does not know.
    pub unknown_critical: Vec<String>,
    /// Whether subject and issuer are the same.
    pub self_issued: bool,
    /// Whether its own key signed it.
    pub self_signed: bool,
    #[serde(skip)]
    der: Vec<u8>,
    #[serde(skip)]
    x509: X509,
}

/// A name of a host, or something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Name {
    /// A host name, perhaps with a wildcard.
    Dns(String),
    /// An address.
    Ip(IpAddr),
    /// A mail address.
    Email(String),
    /// A URI.
    Uri(String),
    /// A name of another kind, or one that cannot be read.
    Other(String),
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Dns(text) | Self::Email(text) | Self::Uri(text) | Self::Other(text) => f.write_str(text),
        }
    }
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Key {
    /// Its kind.
    pub kind: KeyKind,
    /// Its size in bits; 0 when it cannot be told.
    pub bits: u32,
    /// The curve by OpenSSL's name, such as `prime256v1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curve: Option<String>,
    /// Whether the curve is spelt out instead of named.
    pub explicit_parameters: bool,
}

/// A kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names are the field's own")]
pub enum KeyKind {
    Rsa,
    /// RSA for RSASSA-PSS only.
    RsaPss,
    Ec,
    Ed25519,
    Ed448,
    Dsa,
    Other,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            KeyKind::Rsa => "RSA",
            KeyKind::RsaPss => "RSA-PSS",
            KeyKind::Ec => "EC",
            KeyKind::Ed25519 => "Ed25519",
            KeyKind::Ed448 => "Ed448",
            KeyKind::Dsa => "DSA",
            KeyKind::Other => "unknown",
        };
        match (&self.curve, self.bits) {
            (Some(curve), bits) => write!(f, "{kind} {bits} ({curve})"),
            (None, 0) => f.write_str(kind),
            (None, bits) => write!(f, "{kind} {bits}"),
        }
    }
}

/// How a certificate is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signature {
    /// The algorithm by OpenSSL's name, such as `ecdsa-with-SHA256`; its object identifier when it has none.
    pub algorithm: String,
    /// The digest in it; none in Ed25519 and Ed448.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<Hash>,
}

/// A digest algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are the field's own")]
pub enum Hash {
    Md2,
    Md4,
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Other,
}

/// basicConstraints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Basic {
    /// Whether who does not know it has to refuse.
    pub critical: bool,
    /// Whether it is an authority.
    pub ca: bool,
    /// How many authorities may be between it and a leaf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_len: Option<u32>,
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of RFC 5280")]
pub enum Usage {
    DigitalSignature,
    NonRepudiation,
    KeyEncipherment,
    DataEncipherment,
    KeyAgreement,
    KeyCertSign,
    CrlSign,
    EncipherOnly,
    DecipherOnly,
}

/// What a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of RFC 5280")]
pub enum Purpose {
    Any,
    ServerAuth,
    ClientAuth,
    CodeSigning,
    EmailProtection,
    TimeStamping,
    OcspSigning,
    /// Another one, by its object identifier.
    Other(String),
}

/// Why something is no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it cannot be read: {0}")]
pub struct Unreadable(pub(super) String);

/// A PEM file of certificates, and what else is in it.
#[derive(Debug, Clone, Default)]
pub struct Chain {
    /// The certificates in the file's order.
    pub certificates: Vec<Certificate>,
    /// Labels of blocks that hold something else, such as `EC PRIVATE KEY`.
    pub others: Vec<String>,
    /// Why blocks that claim to hold a certificate do not, each with its number from 1 on; also that blocks
    /// were left out.
    pub damaged: Vec<(usize, Unreadable)>,
}

impl Chain {
    /// Reads a PEM file. Text around the blocks does not count. Only the first 64 blocks are read.
    #[must_use]
    pub fn parse(pem: &[u8]) -> Self {
        let text = String::from_utf8_lossy(pem);
        let mut chain = Self::default();
        let (blocks, is_all) = pem::blocks(&text);
        for (number, block) in (1..).zip(blocks) {
            if block.label != CERTIFICATE {
                chain.others.push(printable_line(block.label));
                continue;
            }
            match Certificate::from_block(&block) {
                Ok(certificate) => chain.certificates.push(certificate),
                Err(why) => chain.damaged.push((number, why)),
            }
        }
        if !is_all {
            let why = format!("the file has more than {MAX_BLOCKS} blocks, and no more are read");
            chain.damaged.push((MAX_BLOCKS.saturating_add(1), Unreadable(why)));
        }
        chain
    }

    /// Why the file was not read to its end, if it was not.
    #[must_use]
    pub fn cut(&self) -> Option<&Unreadable> {
        self.damaged.iter().find(|(number, _)| *number > MAX_BLOCKS).map(|(_, why)| why)
    }

    /// Whether nothing in it is a certificate or claims to be one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty() && self.damaged.is_empty()
    }
}

impl Certificate {
    /// Reads the DER form.
    ///
    /// # Errors
    /// When it is no certificate of RFC 5280 or something is behind it.
    pub fn from_der(der: &[u8]) -> Result<Self, Unreadable> {
        let refused = |why: &str| Unreadable(why.to_owned());
        let (rest, parsed) =
            X509Certificate::from_der(der).map_err(|_| refused("its structure is damaged"))?;
        if !rest.is_empty() {
            return Err(refused("something is behind it"));
        }
        let x509 = X509::from_der(der).map_err(|_| refused("OpenSSL cannot read it"))?;
        if parsed.extensions_map().is_err() {
            return Err(refused("an extension is in it twice"));
        }
        let mut read = Self::without_extensions(&parsed, x509, der)?;
        for extension in parsed.extensions() {
            read.take(extension.parsed_extension(), extension.critical)?;
        }
        Ok(read)
    }

    fn from_block(block: &Block<'_>) -> Result<Self, Unreadable> {
        let der = block.content.as_ref().ok_or_else(|| Unreadable("it is not base64".to_owned()))?;
        Self::from_der(der)
    }

    fn without_extensions(parsed: &X509Certificate<'_>, x509: X509, der: &[u8]) -> Result<Self, Unreadable> {
        let common_name = parsed.subject().iter_common_name().last();
        let self_issued = x509.subject_name().try_cmp(x509.issuer_name()).is_ok_and(|order| order.is_eq());
        let self_signed =
            self_issued && x509.public_key().is_ok_and(|key| x509.verify(&key).unwrap_or(false));
        openssl::error::ErrorStack::get(); // what a failed check left is nobody's error later
        Ok(Self {
            subject: words(parsed.subject()),
            issuer: words(parsed.issuer()),
            serial: hex(parsed.raw_serial()),
            version: parsed.version().0.saturating_add(1),
            common_name: common_name.and_then(|name| name.as_str().ok()).map(printable_line),
            names: Vec::new(),
            not_before: timestamp(parsed.validity().not_before)?,
            not_after: timestamp(parsed.validity().not_after)?,
            key: key(&x509, parsed.public_key()),
            signature: signature(&x509, parsed),
            basic: None,
            usage: None,
            purposes: None,
            ocsp: Vec::new(),
            ca_issuers: Vec::new(),
            authority_key_id: None,
            subject_key_id: None,
            constrains_names: false,
            unknown_critical: Vec::new(),
            self_issued,
            self_signed,
            der: der.to_vec(),
            x509,
        })
    }

    /// Takes one extension over. Those that the product's own library handles are known; RFC 5280 (4.2) has
    /// all others that are critical refused.
    fn take(&mut self, extension: &ParsedExtension<'_>, critical: bool) -> Result<(), Unreadable> {
        use ParsedExtension as E;
        match extension {
            E::ParseError { .. } => return Err(Unreadable("an extension is damaged".to_owned())),
            E::SubjectAlternativeName(san) => self.names = san.general_names.iter().map(name).collect(),
            E::BasicConstraints(basic) => {
                self.basic = Some(Basic { critical, ca: basic.ca, path_len: basic.path_len_constraint });
            }
            E::KeyUsage(usage) => self.usage = Some(usages(usage.flags)),
            E::ExtendedKeyUsage(usage) => self.purposes = Some(purposes(usage)),
            E::AuthorityInfoAccess(access) => self.take_access(access),
            E::AuthorityKeyIdentifier(id) => {
                self.authority_key_id = id.key_identifier.as_ref().map(|id| hex(id.0));
            }
            E::SubjectKeyIdentifier(id) => self.subject_key_id = Some(hex(id.0)),
            E::NameConstraints(_) => self.constrains_names = true,
            E::CRLDistributionPoints(_) | E::CertificatePolicies(_) => {}
            E::UnsupportedExtension { oid } if critical => self.unknown_critical.push(oid.to_id_string()),
            other if critical => self.unknown_critical.push(short(other).to_owned()),
            _ => {}
        }
        Ok(())
    }

    fn take_access(&mut self, access: &AuthorityInfoAccess<'_>) {
        for description in &access.accessdescs {
            let GeneralName::URI(uri) = &description.access_location else { continue };
            match description.access_method.to_id_string().as_str() {
                "1.3.6.1.5.5.7.48.1" => self.ocsp.push(printable_line(uri)),
                "1.3.6.1.5.5.7.48.2" => self.ca_issuers.push(printable_line(uri)),
                _ => {}
            }
        }
    }

    /// The form that OpenSSL works with.
    #[must_use]
    pub fn x509(&self) -> &X509 {
        &self.x509
    }

    /// The DER form.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of the DER form.
    #[must_use]
    pub fn sha256(&self) -> Digest {
        Digest::of(&self.der)
    }

    /// SHA-1 of the DER form, hexadecimal, as older programs show it; empty where OpenSSL has no SHA-1.
    #[must_use]
    pub fn sha1(&self) -> String {
        self.x509.digest(MessageDigest::sha1()).map(|digest| hex(&digest)).unwrap_or_default()
    }

    /// Whether it is an authority's.
    #[must_use]
    pub fn is_ca(&self) -> bool {
        self.basic.is_some_and(|basic| basic.ca)
    }

    /// Whether its key may do that: if it is listed, or nothing is.
    #[must_use]
    pub fn allows(&self, usage: Usage) -> bool {
        self.usage.as_ref().is_none_or(|usages| usages.contains(&usage))
    }

    /// Whether it is listed for that purpose, by its own name.
    #[must_use]
    pub fn is_for(&self, purpose: &Purpose) -> bool {
        self.purposes.as_ref().is_some_and(|purposes| purposes.contains(purpose))
    }

    /// Whether `issuer` has the name that this one's issuer has, and the key identifier if both name one.
    #[must_use]
    pub fn names_as_issuer(&self, issuer: &Self) -> bool {
        let same = self.x509.issuer_name().try_cmp(issuer.x509.subject_name());
        let keys = self.authority_key_id.as_ref().zip(issuer.subject_key_id.as_ref());
        same.is_ok_and(|order| order.is_eq()) && keys.is_none_or(|(authority, subject)| authority == subject)
    }

    /// Whether the key of `issuer` signed it. Also false when OpenSSL does not know the algorithm.
    #[must_use]
    pub fn is_signed_by(&self, issuer: &Self) -> bool {
        let signed = issuer.x509.public_key().is_ok_and(|key| self.x509.verify(&key).unwrap_or(false));
        openssl::error::ErrorStack::get();
        signed
    }

    /// What it is called when it is spoken of: the common name, else the first name, else the serial number.
    #[must_use]
    pub fn title(&self) -> String {
        let name = self.common_name.clone().or_else(|| self.names.first().map(ToString::to_string));
        name.filter(|name| !name.is_empty()).unwrap_or_else(|| format!("serial number {}", self.serial))
    }
}

fn timestamp(time: ASN1Time) -> Result<Timestamp, Unreadable> {
    Timestamp::from_second(time.timestamp()).map_err(|_| Unreadable("its validity is no time".to_owned()))
}

fn key(x509: &X509, info: &SubjectPublicKeyInfo<'_>) -> Key {
    let parameters = info.algorithm.parameters.as_ref();
    let is_ec = info.algorithm.algorithm.to_id_string() == "1.2.840.10045.2.1";
    let explicit_parameters = is_ec
        && parameters.is_some_and(|p| p.header.tag() == x509_parser::der_parser::asn1_rs::Tag::Sequence);
    let public = x509.public_key();
    openssl::error::ErrorStack::get();
    let Ok(public) = public else {
        let kind = if is_ec { KeyKind::Ec } else { KeyKind::Other };
        return Key { kind, bits: 0, curve: None, explicit_parameters };
    };
    let kind = match public.id() {
        Id::RSA => KeyKind::Rsa,
        Id::RSA_PSS => KeyKind::RsaPss,
        Id::EC => KeyKind::Ec,
        Id::ED25519 => KeyKind::Ed25519,
        Id::ED448 => KeyKind::Ed448,
        Id::DSA => KeyKind::Dsa,
        _ => KeyKind::Other,
    };
    let curve = public.ec_key().ok().and_then(|ec| ec.group().curve_name());
    let curve = curve.and_then(|nid| nid.short_name().ok()).map(str::to_owned);
    Key { kind, bits: public.bits(), curve, explicit_parameters }
}

fn signature(x509: &X509, parsed: &X509Certificate<'_>) -> Signature {
    let nid = x509.signature_algorithm().object().nid();
    let oid = parsed.signature_algorithm.algorithm.to_id_string();
    let algorithm = if nid == Nid::UNDEF { None } else { nid.long_name().ok() };
    let algorithm = algorithm.map_or_else(|| oid.clone(), str::to_owned);
    let hash = match SignatureAlgorithm::try_from(&parsed.signature_algorithm) {
        Ok(SignatureAlgorithm::RSASSA_PSS(pss)) => Some(digest_of(&pss.hash_algorithm_oid().to_id_string())),
        Ok(SignatureAlgorithm::ED25519) => None,
        _ => signed_digest(&oid),
    };
    Signature { algorithm, hash }
}

/// The digest in a signature algorithm (RFC 8017, A.2.4; RFC 5758; RFC 3279).
fn signed_digest(oid: &str) -> Option<Hash> {
    Some(match oid {
        "1.2.840.113549.1.1.2" => Hash::Md2,
        "1.2.840.113549.1.1.3" => Hash::Md4,
        "1.2.840.113549.1.1.4" => Hash::Md5,
        "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" | "1.2.840.10045.4.1" | "1.2.840.10040.4.3" => Hash::Sha1,
        "1.2.840.113549.1.1.14" | "1.2.840.10045.4.3.1" | "2.16.840.1.101.3.4.3.1" => Hash::Sha224,
        "1.2.840.113549.1.1.11" | "1.2.840.10045.4.3.2" | "2.16.840.1.101.3.4.3.2" => Hash::Sha256,
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Hash::Sha384,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Hash::Sha512,
        "1.3.101.112" | "1.3.101.113" => return None,
        _ => Hash::Other,
    })
}

/// A digest by itself, as RSASSA-PSS names it (RFC 8017, B.1).
fn digest_of(oid: &str) -> Hash {
    match oid {
        "1.3.14.3.2.26" => Hash::Sha1,
        "2.16.840.1.101.3.4.2.4" => Hash::Sha224,
        "2.16.840.1.101.3.4.2.1" => Hash::Sha256,
        "2.16.840.1.101.3.4.2.2" => Hash::Sha384,
        "2.16.840.1.101.3.4.2.3" => Hash::Sha512,
        "1.2.840.113549.2.5" => Hash::Md5,
        _ => Hash::Other,
    }
}

/// A name of somebody as `C=.., O=.., CN=..`, fit to be shown in one line.
#[must_use]
pub fn words(name: &X509Name<'_>) -> String {
    printable_line(&name.to_string())
}

fn name(name: &GeneralName<'_>) -> Name {
    match name {
        GeneralName::DNSName(text) => Name::Dns(printable_line(text)),
        GeneralName::RFC822Name(text) => Name::Email(printable_line(text)),
        GeneralName::URI(text) => Name::Uri(printable_line(text)),
        GeneralName::IPAddress(bytes) => address(bytes).map_or_else(|| Name::Other(hex(bytes)), Name::Ip),
        other => Name::Other(printable_line(&other.to_string())),
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn usages(flags: u16) -> Vec<Usage> {
    use Usage as U;
    let all = [
        U::DigitalSignature,
        U::NonRepudiation,
        U::KeyEncipherment,
        U::DataEncipherment,
        U::KeyAgreement,
        U::KeyCertSign,
        U::CrlSign,
        U::EncipherOnly,
        U::DecipherOnly,
    ];
    (0..).zip(all).filter(|(bit, _)| flags >> bit & 1 == 1).map(|(_, usage)| usage).collect()
}

fn purposes(usage: &ExtendedKeyUsage<'_>) -> Vec<Purpose> {
    let known = [
        (usage.any, Purpose::Any),
        (usage.server_auth, Purpose::ServerAuth),
        (usage.client_auth, Purpose::ClientAuth),
        (usage.code_signing, Purpose::CodeSigning),
        (usage.email_protection, Purpose::EmailProtection),
        (usage.time_stamping, Purpose::TimeStamping),
        (usage.ocsp_signing, Purpose::OcspSigning),
    ];
    let others = usage.other.iter().map(|oid| Purpose::Other(oid.to_id_string()));
    known.into_iter().filter(|(is, _)| *is).map(|(_, purpose)| purpose).chain(others).collect()
}

/// The object identifiers of extensions that x509-parser reads and the product does not.
fn short(extension: &ParsedExtension<'_>) -> &'static str {
    use ParsedExtension as E;
    match extension {
        E::PolicyMappings(_) => "2.5.29.33",
        E::PolicyConstraints(_) => "2.5.29.36",
        E::InhibitAnyPolicy(_) => "2.5.29.54",
        E::IssuerAlternativeName(_) => "2.5.29.18",
        E::SubjectInfoAccess(_) => "1.3.6.1.5.5.7.1.11",
        E::NSCertType(_) => "2.16.840.1.113730.1.1",
        E::NsCertComment(_) => "2.16.840.1.113730.1.13",
        E::SCT(_) => "1.3.6.1.4.1.11129.2.4.2",
        _ => "an unknown one",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> String {
        let names = ["soar.example.test", "127.0.0.1", "::1"].map(str::to_owned);
        super::super::self_signed(&names, 30).unwrap().chain
    }

    #[test]
    fn what_is_in_a_certificate_is_told() {
        let text =
            format!("subject=junk\n{}-----BEGIN EC PRIVATE KEY-----\n-----END EC PRIVATE KEY-----\n", made());
        let chain = Chain::parse(text.as_bytes());
        assert_eq!((chain.others, chain.damaged.len()), (vec!["EC PRIVATE KEY".to_owned()], 0));
        let [leaf] = &chain.certificates[..] else { panic!("one") };
        let address = |text: &str| Name::Ip(text.parse().unwrap());
        assert_eq!(
            leaf.names,
            [Name::Dns("soar.example.test".to_owned()), address("127.0.0.1"), address("::1")]
        );
        assert_eq!((leaf.title(), leaf.version), ("soar.example.test".to_owned(), 3));
        assert_eq!(leaf.key.to_string(), "EC 256 (prime256v1)");
        assert_eq!(
            (leaf.signature.hash, leaf.signature.algorithm.as_str()),
            (Some(Hash::Sha256), "ecdsa-with-SHA256")
        );
        assert_eq!(leaf.basic, Some(Basic { critical: true, ca: false, path_len: None }));
        assert!(leaf.self_issued && leaf.self_signed && !leaf.is_ca());
        assert!(leaf.names_as_issuer(leaf) && leaf.is_signed_by(leaf));
        assert!(leaf.is_for(&Purpose::ServerAuth) && !leaf.is_for(&Purpose::ClientAuth));
        assert!(leaf.allows(Usage::DigitalSignature) && !leaf.allows(Usage::KeyCertSign));
        assert_eq!(leaf.not_after.as_second() - leaf.not_before.as_second(), 30 * 86_400);
        assert_eq!(Digest::of(leaf.der()), super::super::leaf_digest(&text).unwrap());
        assert_eq!((leaf.sha1().len(), leaf.sha256()), (40, Digest::of(leaf.der())));
        let json = serde_json::to_value(leaf).unwrap();
        assert_eq!(
            (&json["names"][0]["dns"], &json["purposes"][0]),
            (&"soar.example.test".into(), &"serverAuth".into())
        );
    }

    #[test]
    fn what_is_damaged_is_told() {
        let text = made();
        let der = pem::blocks(&text).0[0].content.clone().unwrap();
        assert!(Certificate::from_der(&der).is_ok());
        assert!(
            Certificate::from_der(&[&der[..], &[0]].concat()).unwrap_err().to_string().contains("behind it")
        );
        assert!(Certificate::from_der(&der[..der.len() - 1]).is_err());
        let text = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n".to_owned() + &text;
        let chain = Chain::parse(text.as_bytes());
        assert_eq!((chain.certificates.len(), chain.damaged.len()), (1, 1));
        assert!(chain.damaged[0].0 == 1 && chain.damaged[0].1.to_string().contains("base64"));
    }

    #[test]
    fn changed_bytes_never_panic() {
        let der = pem::blocks(&made()).0[0].content.clone().unwrap();
        for at in 0..der.len() {
            for value in [0, 0x7f, 0x80, 0xff, der[at] ^ 1, der[at].wrapping_add(1)] {
                let mut changed = der.clone();
                changed[at] = value;
                if let Ok(read) = Certificate::from_der(&changed) {
                    let _ = (read.title(), read.key.to_string(), read.sha1());
                }
            }
            let _ = Certificate::from_der(&der[at..]);
        }
    }
}
