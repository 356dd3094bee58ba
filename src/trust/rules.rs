//! The rules that keys and signatures are held to, and what they say of one key at one time.
//!
//! Sequoia judges a key as of a time that it is given; these functions add what it leaves to its
//! caller, and give every refusal words of our own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use sequoia_openpgp as openpgp;

use openpgp::Cert;
use openpgp::cert::amalgamation::ValidateAmalgamation as _;
use openpgp::cert::amalgamation::key::{ErasedKeyAmalgamation, PrimaryKey as _};
use openpgp::cert::prelude::ValidErasedKeyAmalgamation;
use openpgp::packet::key::{KeyParts, KeyRole, PublicParts};
use openpgp::packet::{Key, Packet, Signature};
use openpgp::policy::{HashAlgoSecurity, StandardPolicy};
use openpgp::types::{Curve, HashAlgorithm, RevocationStatus, RevocationType, SignatureType};

use super::text::clean;
use crate::types::Fingerprint;

/// What Sequoia asks about every signature and key.
///
/// Strict rules are Sequoia's own as of one time, and on top: no SHA-1, MD5 or RIPEMD at any time,
/// no DSA, no RSA below 2048 bits. Lenient rules serve to say why the strict ones refuse, and to
/// read a wish of the owner that was signed weakly; nothing is accepted by them.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    standard: StandardPolicy<'static>,
    strict: bool,
}

impl Rules {
    /// The rules as of `at`.
    pub(crate) fn strict(at: Timestamp) -> Self {
        Self { standard: StandardPolicy::at(system_time(at)), strict: true }
    }

    /// The rules that only explain.
    pub(crate) fn lenient() -> Self {
        Self { standard: StandardPolicy::at(UNIX_EPOCH), strict: false }
    }
}

impl openpgp::policy::Policy for Rules {
    fn signature(&self, signature: &Signature, security: HashAlgoSecurity) -> openpgp::Result<()> {
        use SignatureType::{CertificationRevocation, KeyRevocation, SubkeyRevocation};
        // A revocation counts however weakly it was signed: to forge one only shuts a door.
        if matches!(signature.typ(), KeyRevocation | SubkeyRevocation | CertificationRevocation) {
            return Ok(());
        }
        if !self.strict {
            return Ok(());
        }
        if weak_hash(signature.hash_algo()).is_some() {
            return Err(refusal("weak digest"));
        }
        self.standard.signature(signature, security)
    }

    fn key(&self, key: &ValidErasedKeyAmalgamation<PublicParts>) -> openpgp::Result<()> {
        if !self.strict {
            return Ok(());
        }
        if weak_key(key.key()).is_some() {
            return Err(refusal("weak key"));
        }
        self.standard.key(key)
    }

    fn packet(&self, packet: &Packet) -> openpgp::Result<()> {
        if self.strict { self.standard.packet(packet) } else { Ok(()) }
    }
}

fn refusal(what: &str) -> openpgp::anyhow::Error {
    openpgp::Error::PolicyViolation(what.to_owned(), None).into()
}

/// The name of a digest that can be forged or is unknown; `None` for a good one.
pub(crate) fn weak_hash(algorithm: HashAlgorithm) -> Option<String> {
    use HashAlgorithm::{MD5, RipeMD, SHA1, SHA3_256, SHA3_512, SHA224, SHA256, SHA384, SHA512};
    match algorithm {
        SHA256 | SHA384 | SHA512 | SHA224 | SHA3_256 | SHA3_512 => None,
        MD5 => Some("MD5".to_owned()),
        SHA1 => Some("SHA-1".to_owned()),
        RipeMD => Some("RIPEMD-160".to_owned()),
        other => Some(format!("digest {}", u8::from(other))),
    }
}

/// Why signatures by this key are worth nothing; `None` for a good one.
pub(crate) fn weak_key<P: KeyParts, R: KeyRole>(key: &Key<P, R>) -> Option<String> {
    use openpgp::crypto::mpi::PublicKey;
    match key.mpis() {
        PublicKey::RSA { n, .. } if n.bits() < 2048 => Some(format!("RSA with {} bits", n.bits())),
        PublicKey::RSA { .. } => None,
        PublicKey::DSA { p, .. } => Some(format!("DSA with {} bits", p.bits())),
        PublicKey::ElGamal { p, .. } => Some(format!("ElGamal with {} bits", p.bits())),
        PublicKey::EdDSA { curve, .. } | PublicKey::ECDSA { curve, .. } | PublicKey::ECDH { curve, .. } => {
            matches!(curve, Curve::Unknown(_)).then(|| "a key on an unknown curve".to_owned())
        }
        PublicKey::X25519 { .. }
        | PublicKey::X448 { .. }
        | PublicKey::Ed25519 { .. }
        | PublicKey::Ed448 { .. } => None,
        // Also what claims a known algorithm and does not look like it: Sequoia's own policy
        // would panic on that.
        _ => Some(format!("a key of the unknown algorithm {}", u8::from(key.pk_algo()))),
    }
}

/// Why a key must not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Its owner took it back.
    Revoked(String),
    /// Its algorithm or size is too weak.
    WeakKey(String),
    /// Nothing, or nothing strong enough, binds it to its certificate.
    WeakBinding(String),
    /// It is not meant for signatures.
    NotSigningKey(String),
}

impl Fault {
    /// The words.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Revoked(why) | Self::WeakKey(why) | Self::WeakBinding(why) | Self::NotSigningKey(why) => {
                why
            }
        }
    }
}

/// When a key is valid, as its owner said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life {
    /// When it was made.
    pub(crate) created: Timestamp,
    /// When it runs out.
    pub(crate) expires: Option<Timestamp>,
    /// When its owner said so.
    pub(crate) said: Timestamp,
}

impl Life {
    /// The shorter of two lives: a subkey lives no longer than its primary key.
    fn and(self, other: Self) -> Self {
        let end = |life: &Self| life.expires.unwrap_or(Timestamp::MAX);
        let shorter = if end(&other) < end(&self) { other } else { self };
        Self { created: self.created.max(other.created), ..shorter }
    }
}

/// The key of `cert` with this fingerprint, judged at `at` with respect to making signatures over data.
///
/// # Errors
/// What is wrong with it, expiry apart.
pub(crate) fn signing_key(cert: &Cert, key: &openpgp::Fingerprint, at: Timestamp) -> Result<Life, Fault> {
    certificate(cert, at)?;
    let strict = Rules::strict(at);
    let found = cert.keys().find(|ka| ka.key().fingerprint() == *key);
    let ka = found.ok_or_else(|| Fault::WeakBinding("the key is not part of the certificate".to_owned()))?;
    if let Some(why) = weak_key(ka.key()) {
        return Err(Fault::WeakKey(format!("it was made with {why}, which can be forged")));
    }
    for subkey in cert.keys().subkeys().filter(|ka| ka.key().fingerprint() == *key) {
        let status = subkey.revocation_status(&strict, system_time(at));
        if let Some(why) = revocation(status, "its signing subkey") {
            return Err(Fault::Revoked(why));
        }
    }
    let valid = ka.with_policy(&strict, system_time(at)).map_err(|_| binding_fault(&ka, at))?;
    let flags = valid.binding_signature().key_flags();
    let signs = match (ka.primary(), flags) {
        // A subkey is looked at alone: flags of the certificate say nothing about it.
        (false, flags) => flags.is_some_and(|flags| flags.for_signing()),
        (true, _) => valid.for_signing(),
    };
    if !signs {
        let why = "the key that made it is not meant for signatures over files";
        return Err(Fault::NotSigningKey(why.to_owned()));
    }
    life(cert, key, at, at).ok_or_else(|| binding_fault(&ka, at))
}

/// The certificate as a whole at `at`: its primary key is strong, bound and not revoked.
///
/// # Errors
/// What is wrong with it, expiry apart.
pub(crate) fn certificate(cert: &Cert, at: Timestamp) -> Result<(), Fault> {
    let strict = Rules::strict(at);
    let status = cert.revocation_status(&strict, system_time(at));
    if let RevocationStatus::CouldBe(signatures) = &status
        && designated(cert, signatures)
    {
        let why = "a revoker whom its owner appointed has revoked it";
        return Err(Fault::Revoked(why.to_owned()));
    }
    if let Some(why) = revocation(status, "it") {
        return Err(Fault::Revoked(why));
    }
    let primary = cert.primary_key();
    if let Some(why) = weak_key(primary.key()) {
        return Err(Fault::WeakKey(format!("its primary key is {why}, which can be forged")));
    }
    match primary.with_policy(&strict, system_time(at)) {
        Ok(_) => Ok(()),
        Err(_) => Err(binding_fault(&primary.into(), at)),
    }
}

/// When the last key of the certificate that can sign at `at`, expiry apart, runs out; the inner `None`
/// is never, the outer that none can.
pub(crate) fn signs_until(cert: &Cert, at: Timestamp) -> Option<Option<Timestamp>> {
    let lives = cert.keys().filter_map(|ka| signing_key(cert, &ka.key().fingerprint(), at).ok());
    let last = lives.map(|life| life.expires.unwrap_or(Timestamp::MAX)).max()?;
    Some((last != Timestamp::MAX).then_some(last))
}

/// What keeps a certificate from counting at `at`: a fault, its expiry, or no key that signs.
pub(crate) fn fault_of(cert: &Cert, at: Timestamp) -> Option<String> {
    if let Err(fault) = certificate(cert, at) {
        return Some(fault.reason().to_owned());
    }
    let mut reason = "none of its keys is meant for signatures over files".to_owned();
    for ka in cert.keys() {
        match signing_key(cert, &ka.key().fingerprint(), at) {
            Ok(life) if life.expires.is_some_and(|end| end <= at) => reason = expired_on(life.expires),
            Ok(life) if life.created > at => {
                reason = "it was made in the future (check the clock)".to_owned()
            }
            Ok(_) => return None,
            Err(Fault::NotSigningKey(_)) => {}
            Err(fault) => reason = fault.reason().to_owned(),
        }
    }
    Some(reason)
}

fn expired_on(end: Option<Timestamp>) -> String {
    end.map_or_else(String::new, |end| format!("it expired on {}", date(end)))
}

/// When `key` is valid, by what was last said as of `then`, under the rules of `at`. A wish to end
/// sooner counts also when it was signed weakly.
pub(crate) fn life(cert: &Cert, key: &openpgp::Fingerprint, at: Timestamp, then: Timestamp) -> Option<Life> {
    let strict = Rules::strict(at);
    let life = life_by(cert, key, &strict, then)?;
    Some(life_by(cert, key, &Rules::lenient(), then).map_or(life, |wish| life.and(wish)))
}

fn life_by(cert: &Cert, key: &openpgp::Fingerprint, rules: &Rules, then: Timestamp) -> Option<Life> {
    let ka = cert.keys().find(|ka| ka.key().fingerprint() == *key)?;
    let valid = ka.with_policy(rules, system_time(then)).ok()?;
    let primary = cert.primary_key().with_policy(rules, system_time(then)).ok()?;
    Some(life_of(&primary.into()).and(life_of(&valid)))
}

fn life_of(valid: &ValidErasedKeyAmalgamation<PublicParts>) -> Life {
    let said = valid.binding_signature().signature_creation_time().unwrap_or(UNIX_EPOCH);
    Life {
        created: timestamp(valid.key().creation_time()),
        expires: valid.key_expiration_time().map(timestamp),
        said: timestamp(said),
    }
}

/// Why no strong self-signature binds the key, as precisely as can be said.
fn binding_fault(ka: &ErasedKeyAmalgamation<PublicParts>, at: Timestamp) -> Fault {
    let lenient = Rules::lenient();
    let what = if ka.primary() { "its certificate" } else { "its signing subkey" };
    let cert: &Cert = ka.cert();
    if let Some(why) = weak_key(cert.primary_key().key()) {
        return Fault::WeakKey(format!("its primary key is {why}, which can be forged"));
    }
    let Ok(valid) = ka.with_policy(&lenient, system_time(at)) else {
        let future = ka.self_signatures().any(|s| s.signature_creation_time() > Some(system_time(at)));
        let why = if future {
            format!("nothing bound {what} to its owner yet on {} (check the clock)", date(at))
        } else if ka.primary() {
            format!("no valid self-signature vouches for {what}")
        } else {
            format!("no valid binding with a signature back to the certificate vouches for {what}")
        };
        return Fault::WeakBinding(why);
    };
    let binding = valid.binding_signature();
    let embedded = binding.embedded_signatures().map(|signature| signature.hash_algo());
    let weak = std::iter::once(binding.hash_algo()).chain(embedded).find_map(weak_hash);
    Fault::WeakBinding(match weak {
        Some(hash) => format!("{what} is bound to its owner with {hash}, which can be forged"),
        None => format!("the self-signature of {what} carries a condition that is not understood"),
    })
}

/// What a revocation says; `None` when there is none.
fn revocation(status: RevocationStatus<'_>, what: &str) -> Option<String> {
    let RevocationStatus::Revoked(signatures) = status else { return None };
    let told = signatures.iter().map(|signature| {
        let reason = signature.reason_for_revocation();
        let hard = reason.is_none_or(|(reason, _)| reason.revocation_type() == RevocationType::Hard);
        let (kind, text) = reason.map_or((String::new(), String::new()), |(reason, text)| {
            (reason.to_string().to_lowercase(), clean(text))
        });
        let when = signature.signature_creation_time().map_or_else(String::new, |t| date(timestamp(t)));
        (hard, kind, text, when)
    });
    // A hard revocation says more than a soft one.
    let (hard, kind, text, when) = told.max_by_key(|(hard, ..)| *hard)?;
    let weight = if hard { "hard" } else { "soft" };
    let kind = if kind.is_empty() { "no reason given".to_owned() } else { kind };
    let text = if text.is_empty() { text } else { format!(", \"{text}\"") };
    Some(format!("its owner revoked {what} on {when} ({weight}: {kind}{text})"))
}

/// Whether one of the revocations is by a revoker whom the certificate appoints. Its signature is
/// not checked: the file comes from somebody we trust, and shutting the door is the safe side.
fn designated(cert: &Cert, signatures: &[&Signature]) -> bool {
    let lenient = Rules::lenient();
    let appointed: Vec<_> = cert.revocation_keys(&lenient).map(|key| key.revoker().1.clone()).collect();
    let issuers = signatures.iter().flat_map(|signature| signature.get_issuers());
    issuers.into_iter().any(|issuer| {
        appointed.iter().any(|revoker| openpgp::KeyHandle::from(revoker.clone()).aliases(&issuer))
    })
}

/// The last time that OpenPGP can express.
pub(crate) fn end_of_time() -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_secs(u64::from(u32::MAX))).unwrap_or(UNIX_EPOCH)
}

/// A time as Sequoia takes it, cut to what OpenPGP can express.
pub(crate) fn system_time(time: Timestamp) -> SystemTime {
    let seconds = u64::try_from(time.as_second()).unwrap_or(0);
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).map_or(UNIX_EPOCH, |t| t.min(end_of_time()))
}

/// A time as Sequoia gives it.
pub(crate) fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::MAX)
}

/// A day, as people read it.
pub(crate) fn date(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

/// A fingerprint in our own words; `None` for one of an unknown kind.
pub(crate) fn fingerprint(fingerprint: &openpgp::Fingerprint) -> Option<Fingerprint> {
    fingerprint.to_hex().parse().ok()
}
