//! New keys, requests for certificates (PKCS#10, RFC 2986), and certificates of a local CA.
//!
//! What is asked for is what the guide wants ("Configuration Tricks and Tips"; example certificates): names
//! in the SAN and no wildcard, `serverAuth` or `clientAuth`, and the key usages of such a certificate.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::stack::Stack;
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
    SubjectKeyIdentifier,
};
use openssl::x509::{
    X509, X509Extension, X509Name, X509NameBuilder, X509NameEntryRef, X509Req, X509v3Context,
};

use super::key::{CURVES, Key, Kind, MIN_RSA_BITS};
use super::look::{Certificate, KeyKind, Purpose, Usage};
use super::{Error, ORGANIZATION, Result};

/// Most bits of an RSA key that is made.
pub const MAX_RSA_BITS: u32 = 8192;
/// Longest text of a common name (RFC 5280, ub-common-name).
const MAX_COMMON_NAME: usize = 64;

/// What kind of key is made: `rsa:3072`, `ec:p256`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// RSA of so many bits.
    Rsa(u32),
    /// EC on one of [`CURVES`], by its place there.
    Ec(usize),
}

impl Default for KeyType {
    fn default() -> Self {
        Self::Rsa(3072)
    }
}

impl FromStr for KeyType {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let (kind, size) = lower.split_once(':').unwrap_or((&lower, ""));
        let curve =
            |(_, name): &(Nid, &str)| name.to_ascii_lowercase().replace('-', "") == size.replace('-', "");
        match (kind, size) {
            ("rsa", "") => Ok(Self::default()),
            ("ec", "") => Ok(Self::Ec(0)),
            ("rsa", bits) => match bits.parse() {
                Ok(bits) if (MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) => Ok(Self::Rsa(bits)),
                _ => Err(format!("an RSA key has {MIN_RSA_BITS} to {MAX_RSA_BITS} bits")),
            },
            ("ec", _) => match CURVES.iter().position(curve) {
                Some(at) => Ok(Self::Ec(at)),
                None => Err("the curves are p256, p384 and p521".to_owned()),
            },
            _ => Err("expected rsa:BITS or ec:CURVE, such as rsa:3072 or ec:p256".to_owned()),
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(bits) => write!(f, "RSA {bits}"),
            Self::Ec(at) => write!(f, "EC {}", CURVES.get(*at).map_or("?", |(_, name)| name)),
        }
    }
}

impl KeyType {
    /// The kind that a certificate's key has, if the product takes it.
    #[must_use]
    pub fn like(certificate: &Certificate) -> Self {
        let key = &certificate.key;
        let curve = |(nid, _): &(Nid, &str)| nid.short_name().ok() == key.curve.as_deref();
        match key.kind {
            KeyKind::Rsa if (MIN_RSA_BITS..=MAX_RSA_BITS).contains(&key.bits) => Self::Rsa(key.bits),
            KeyKind::Ec => CURVES.iter().position(curve).map_or_else(Self::default, Self::Ec),
            _ => Self::default(),
        }
    }

    /// Makes a key. A long RSA key takes a minute.
    ///
    /// # Errors
    /// When OpenSSL fails.
    pub fn generate(self) -> Result<Key> {
        let pkey = match self {
            Self::Rsa(bits) => PKey::from_rsa(Rsa::generate(bits)?)?,
            Self::Ec(at) => {
                let curve = CURVES.get(at).map_or(Nid::X9_62_PRIME256V1, |(nid, _)| *nid);
                PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(curve)?)?)?
            }
        };
        Ok(Key::made(pkey)?)
    }
}

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// It is shown by a server, or by an engine to those who connect to it.
    #[default]
    Server,
    /// It is shown by a browser, or by an engine to the server.
    Client,
}

/// A DNS name (RFC 1123) or an address. A wildcard is none: the product does not support it.
#[must_use]
pub fn is_host_name(text: &str) -> bool {
    let label = |part: &str| {
        (1..=63).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    text.parse::<IpAddr>().is_ok() || (text.len() <= 253 && text.split('.').all(label))
}

/// A mail address as certificates of people have it: `local@host`.
#[must_use]
pub fn is_mail_address(text: &str) -> bool {
    let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+');
    text.split_once('@').is_some_and(|(local, host)| {
        (1..=64).contains(&local.len())
            && local.bytes().all(fine)
            && is_host_name(host)
            && host.parse::<IpAddr>().is_err()
    })
}

/// The extension for names: DNS names, addresses and mail addresses.
pub(super) fn alternative_names(names: &[String]) -> SubjectAlternativeName {
    let mut san = SubjectAlternativeName::new();
    for name in names {
        if name.parse::<IpAddr>().is_ok() {
            san.ip(name);
        } else if name.contains('@') {
            san.email(name);
        } else {
            san.dns(name);
        }
    }
    san
}

/// A random serial number of 127 bits: positive, and within the 20 bytes of RFC 5280, 4.1.2.2.
pub(super) fn serial() -> Result<Asn1Integer> {
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    Ok(serial.to_asn1_integer()?)
}

/// A distinguished name as it is typed: `CN=soar.example.com,O=Example\, Inc.,C=CH`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject(Vec<(Nid, String)>);

/// The parts that a subject may have, by the names that people use for them.
const PARTS: [(&str, Nid); 8] = [
    ("CN", Nid::COMMONNAME),
    ("O", Nid::ORGANIZATIONNAME),
    ("OU", Nid::ORGANIZATIONALUNITNAME),
    ("C", Nid::COUNTRYNAME),
    ("ST", Nid::STATEORPROVINCENAME),
    ("L", Nid::LOCALITYNAME),
    ("DC", Nid::DOMAINCOMPONENT),
    ("emailAddress", Nid::PKCS9_EMAILADDRESS),
];

impl Subject {
    /// The one of a certificate for the next one; parts that have no name here are left out, and what says
    /// that this program signed it, since now a CA will.
    #[must_use]
    pub fn of(certificate: &Certificate) -> Self {
        let entries = certificate.x509().subject_name().entries();
        let part = |entry: &X509NameEntryRef| {
            let nid = entry.object().nid();
            let known = PARTS.iter().any(|(_, part)| *part == nid);
            let text = entry.data().to_string().ok().filter(|_| known)?;
            (nid != Nid::ORGANIZATIONNAME || text != ORGANIZATION).then_some((nid, text))
        };
        Self(entries.filter_map(part).collect())
    }
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let mut parts = Vec::new();
        for part in unescaped_parts(text)? {
            let (key, value) = part.split_once('=').ok_or_else(|| format!("{part:?} is not KEY=VALUE"))?;
            let known = PARTS.iter().find(|(name, _)| name.eq_ignore_ascii_case(key.trim()));
            let (_, nid) = known.ok_or_else(|| {
                format!("{:?} is none of {}", key.trim(), PARTS.map(|(name, _)| name).join(", "))
            })?;
            let value = value.trim();
            check_part(*nid, value)?;
            parts.push((*nid, value.to_owned()));
        }
        Ok(Self(parts))
    }
}

/// Takes it apart at its commas; `\` keeps what follows.
fn unescaped_parts(text: &str) -> std::result::Result<Vec<String>, String> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, parts.last_mut()) {
            (',', _) => parts.push(String::new()),
            ('\\', Some(part)) => part.push(chars.next().ok_or("it ends with a backslash")?),
            (c, Some(part)) => part.push(c),
            (_, None) => {}
        }
    }
    Ok(parts)
}

fn check_part(nid: Nid, value: &str) -> std::result::Result<(), String> {
    if value.is_empty() || value.chars().any(char::is_control) {
        return Err("a part of it is empty or holds a control character".to_owned());
    }
    if nid == Nid::COUNTRYNAME && !(value.len() == 2 && value.bytes().all(|b| b.is_ascii_uppercase())) {
        return Err("C is a country's two letters, such as C=CH".to_owned());
    }
    let limit =
        if nid == Nid::LOCALITYNAME || nid == Nid::STATEORPROVINCENAME { 128 } else { MAX_COMMON_NAME };
    if value.chars().count() > limit {
        Err(format!("a part of it is longer than {limit} characters"))
    } else {
        Ok(())
    }
}

impl Subject {
    /// A subject of just this common name, if it is not too long for one: then the SAN alone tells.
    #[must_use]
    pub fn common(name: &str) -> Self {
        let fits = name.chars().count() <= MAX_COMMON_NAME;
        Self(if fits { vec![(Nid::COMMONNAME, name.to_owned())] } else { Vec::new() })
    }

    fn name(&self) -> Result<X509Name> {
        let mut builder = X509NameBuilder::new()?;
        for (nid, value) in &self.0 {
            builder.append_entry_by_nid(*nid, value)?;
        }
        Ok(builder.build())
    }
}

/// What a certificate is to say.
#[derive(Debug, Clone)]
pub struct Wish {
    /// About whom.
    pub subject: Subject,
    /// DNS names, addresses and mail addresses.
    pub names: Vec<String>,
    /// For what.
    pub role: Role,
}

impl Wish {
    fn usages(&self, key: &Key) -> Result<[X509Extension; 2]> {
        let mut usage = KeyUsage::new();
        usage.critical().digital_signature();
        if matches!((key.kind(), self.role), (Kind::Rsa { .. }, Role::Server)) {
            usage.key_encipherment(); // for TLS 1.2 without a key exchange of its own; clients only sign
        }
        let mut purpose = ExtendedKeyUsage::new();
        match self.role {
            Role::Server => purpose.server_auth(),
            Role::Client => purpose.client_auth(),
        };
        Ok([usage.build()?, purpose.build()?])
    }

    /// The SAN; critical when there is no subject (RFC 5280, 4.2.1.6).
    fn san(&self, context: &X509v3Context<'_>) -> Result<X509Extension> {
        let mut san = alternative_names(&self.names);
        if self.subject.0.is_empty() {
            san.critical();
        }
        Ok(san.build(context)?)
    }

    /// The request, PEM.
    ///
    /// # Errors
    /// When OpenSSL fails.
    pub fn request(&self, key: &Key) -> Result<String> {
        let mut builder = X509Req::builder()?;
        builder.set_version(0)?;
        builder.set_subject_name(&*self.subject.name()?)?;
        builder.set_pubkey(key.pkey())?;
        let mut extensions = Stack::new()?;
        for usage in self.usages(key)? {
            extensions.push(usage)?;
        }
        let san = self.san(&builder.x509v3_context(None))?;
        extensions.push(san)?;
        builder.add_extensions(&extensions)?;
        builder.sign(key.pkey(), digest(key))?;
        Ok(String::from_utf8_lossy(&builder.build().to_pem()?).into_owned())
    }

    /// A certificate of a local CA, valid from one hour before `now` (clocks differ) for `days` days, as far
    /// as the CA's own lasts.
    ///
    /// # Errors
    /// When OpenSSL fails.
    pub fn certificate(&self, key: &Key, ca: &Authority, now: Timestamp, days: u32) -> Result<Certificate> {
        let issuer = &ca.certificate;
        let mut builder = X509::builder()?;
        builder.set_version(2)?;
        builder.set_serial_number(&*serial()?)?;
        builder.set_subject_name(&*self.subject.name()?)?;
        builder.set_issuer_name(issuer.x509().subject_name())?;
        let from = now.checked_sub(SignedDuration::from_hours(1)).unwrap_or(now).max(issuer.not_before);
        let to = end(now, days).min(issuer.not_after);
        builder.set_not_before(&*Asn1Time::from_unix(from.as_second())?)?;
        builder.set_not_after(&*Asn1Time::from_unix(to.as_second())?)?;
        builder.set_pubkey(key.pkey())?;
        let context = builder.x509v3_context(Some(issuer.x509()), None);
        let san = self.san(&context)?;
        let own_id = SubjectKeyIdentifier::new().build(&context)?;
        let authority = AuthorityKeyIdentifier::new().keyid(false).issuer(false).build(&context);
        builder.append_extension(BasicConstraints::new().critical().build()?)?;
        for usage in self.usages(key)? {
            builder.append_extension(usage)?;
        }
        builder.append_extension(san)?;
        builder.append_extension(own_id)?;
        builder.append_extension(authority?)?;
        builder.sign(ca.key.pkey(), digest(&ca.key))?;
        let made = Certificate::from_der(&builder.build().to_der()?);
        made.map_err(|_| Error::Authority("what it signed cannot be read"))
    }
}

/// The end of so many days.
fn end(now: Timestamp, days: u32) -> Timestamp {
    now.checked_add(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MAX)
}

/// The digest that suits a key: no weaker than the key, and none that is refused.
fn digest(key: &Key) -> MessageDigest {
    match key.kind() {
        Kind::Ec { bits: 384, .. } => MessageDigest::sha384(),
        Kind::Ec { bits: 521, .. } => MessageDigest::sha512(),
        _ => MessageDigest::sha256(),
    }
}

/// A local CA with its key.
#[derive(Debug)]
pub struct Authority {
    certificate: Certificate,
    key: Key,
}

impl Authority {
    /// Takes a certificate and its key, if it is one that may sign others at `now` and that
    /// the product would accept as a CA.
    ///
    /// # Errors
    /// [`Error::Mismatch`], or [`Error::Authority`] with the reason.
    pub fn new(certificate: Certificate, key: Key, now: Timestamp) -> Result<Self> {
        let refuse = |why: &'static str| Err(Error::Authority(why));
        if !certificate.is_ca() {
            return refuse("its basicConstraints do not say cA: it is no CA");
        }
        if !certificate.usage.as_ref().is_some_and(|usages| usages.contains(&Usage::KeyCertSign)) {
            return refuse("its key usage does not name keyCertSign");
        }
        if certificate.is_for(&Purpose::OcspSigning) {
            return refuse("it names OCSPSigning, and the product refuses such CAs");
        }
        if certificate.not_after < now {
            return refuse("it has expired");
        }
        if certificate.not_before > now {
            return refuse("it is not valid yet");
        }
        if !key.fits(certificate.x509()) {
            return Err(Error::Mismatch);
        }
        Ok(Self { certificate, key })
    }

    /// Whether its own validity ends within `days` days of `now`, which cuts what it signs short.
    #[must_use]
    pub fn ends_within(&self, now: Timestamp, days: u32) -> bool {
        self.certificate.not_after < end(now, days)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_types_are_read() {
        for (text, shown) in [
            ("rsa", "RSA 3072"),
            ("rsa:2048", "RSA 2048"),
            ("RSA:8192", "RSA 8192"),
            ("ec", "EC P-256"),
            ("ec:p384", "EC P-384"),
            ("ec:P-521", "EC P-521"),
        ] {
            assert_eq!(text.parse::<KeyType>().unwrap().to_string(), shown);
        }
        for text in ["", "rsa:1024", "rsa:16384", "rsa:x", "ec:p224", "ec:secp256k1", "ed25519", "dsa:2048"] {
            assert!(text.parse::<KeyType>().is_err(), "{text}");
        }
    }

    #[test]
    fn subjects_are_read() {
        let subject: Subject = r"CN=a.example.test, O=Example\, Inc. \\ Co, c=CH".parse().unwrap();
        assert_eq!(subject.0[1], (Nid::ORGANIZATIONNAME, r"Example, Inc. \ Co".to_owned()));
        assert_eq!(subject.0[2], (Nid::COUNTRYNAME, "CH".to_owned()));
        let long = format!("CN={}", "x".repeat(65));
        for text in ["", "CN", "CN=", "X=1", "C=ch", "C=CHE", "CN=a,", "CN=a\\", "CN=a\nb", &*long] {
            assert!(text.parse::<Subject>().is_err(), "{text}");
        }
        assert_eq!(Subject::common(&"x".repeat(65)), Subject::default());
    }

    #[test]
    fn names_are_those_of_hosts_and_people() {
        for name in ["a", "a.example.test", "10.0.0.1", "::1", "xn--bcher-kva.example"] {
            assert!(is_host_name(name), "{name}");
        }
        for name in ["", "*.example.test", "a..b", "-a", "a-", "a b", "a,DNS:b", "bücher.example", "a@b"] {
            assert!(!is_host_name(name), "{name}");
        }
        assert!(is_mail_address("a.b+c@example.test"));
        for name in ["a", "@b", "a@", "a@b@c", "a b@c", "a,b@c", "a@10.0.0.1", "a@*.b"] {
            assert!(!is_mail_address(name), "{name}");
        }
    }
}
