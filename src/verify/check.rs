//! Judges one signature.

use jiff::{SignedDuration, Timestamp};
use sequoia_openpgp as openpgp;

use openpgp::crypto::hash::Context;
use openpgp::packet::Signature;
use openpgp::packet::signature::subpacket::SubpacketTag;
use openpgp::policy::{HashAlgoSecurity, Policy as _};

use super::judge::is_binary;
use super::{CLOCK_SKEW, Verdict, VerdictCode};
use crate::trust::rules::{self, Fault, Life, Rules};
use crate::trust::{Anchor, Policy, TrustStore};

/// Judges `signature`; `digest` has taken in the signed bytes.
pub(super) fn signature(
    signature: &Signature,
    digest: Option<&Context>,
    store: &TrustStore,
    policy: &Policy,
    at: Timestamp,
) -> Verdict {
    let issuers = signature.get_issuers();
    let hint = issuers.first().map(openpgp::KeyHandle::to_hex);
    let signed_at = signature.signature_creation_time().map(rules::timestamp);
    let candidates = store.candidates(&issuers);
    let Some((first, _)) = candidates.first() else {
        let reason = hint.as_ref().map_or_else(
            || "the signature does not say which key made it".to_owned(),
            |hint| format!("it is signed by the key {hint}, which is not trusted"),
        );
        return verdict(None, hint, signed_at, Err((VerdictCode::UnknownSigner, reason)));
    };
    let refuse =
        |code, reason: &str| verdict(Some(first), hint.clone(), signed_at, Err((code, reason.to_owned())));
    if !matches!(signature.version(), 4 | 6) {
        return refuse(VerdictCode::Unsupported, "the signature is of an unknown or outdated version");
    }
    if !is_binary(signature) {
        let why = "the signature is not one over a binary file; in text mode different files can share one";
        return refuse(VerdictCode::WrongType, why);
    }
    let Some(signed_at) = signed_at else {
        return refuse(VerdictCode::Unsupported, "the signature does not say when it was made");
    };
    let Some(digest) = digest else {
        return refuse(VerdictCode::WeakHash, "the signature was made with a digest that is not known");
    };
    // Key ids can collide: the certificate counts whose key did make the signature.
    let maker = candidates.iter().find(|(anchor, key)| made_by(signature, digest, anchor, key));
    let Some((anchor, key)) = maker else {
        return not_made(signature, &candidates, signed_at, &refuse);
    };
    let result = accept(signature, (anchor, key), policy, at, signed_at);
    verdict(Some(anchor), hint, Some(signed_at), result)
}

fn made_by(signature: &Signature, digest: &Context, anchor: &Anchor, key: &openpgp::Fingerprint) -> bool {
    let found = anchor.cert().keys().find(|ka| ka.key().fingerprint() == *key);
    found.is_some_and(|ka| signature.verify_hash(ka.key(), digest.clone()).is_ok())
}

/// The refusal of a signature that no key made.
fn not_made(
    signature: &Signature,
    candidates: &[(&Anchor, openpgp::Fingerprint)],
    signed_at: Timestamp,
    refuse: &dyn Fn(VerdictCode, &str) -> Verdict,
) -> Verdict {
    let keys = candidates
        .iter()
        .filter_map(|(anchor, key)| anchor.cert().keys().find(|ka| ka.key().fingerprint() == *key));
    let made = keys.map(|ka| rules::timestamp(ka.key().creation_time())).min();
    if made.is_some_and(|made| signed_at < made) {
        let why = "the signature is bad: it is dated before its key was made";
        return refuse(VerdictCode::BadSignature, why);
    }
    if let Some(hash) = rules::weak_hash(signature.hash_algo()) {
        let why = format!("the signature was made with {hash}, and does not belong to this file");
        return refuse(VerdictCode::BadSignature, &why);
    }
    let why = "the signature is bad: this file is not what was signed, or the signature was changed";
    refuse(VerdictCode::BadSignature, why)
}

type Refusal = (VerdictCode, String);

/// Everything but the mathematics: `Ok` with a notice, if there is one to give.
fn accept(
    signature: &Signature,
    (anchor, key): (&Anchor, &openpgp::Fingerprint),
    policy: &Policy,
    at: Timestamp,
    signed_at: Timestamp,
) -> Result<Option<String>, Refusal> {
    dates(signature, at, signed_at)?;
    if let Some(hash) = rules::weak_hash(signature.hash_algo()) {
        let why = format!("the signature was made with {hash}, which can be forged");
        return Err((VerdictCode::WeakHash, why));
    }
    let rules = Rules::strict(at);
    if rules.signature(signature, HashAlgoSecurity::CollisionResistance).is_err() {
        let why = "the signature carries a condition that is not understood";
        return Err((VerdictCode::Unsupported, why.to_owned()));
    }
    let life = rules::signing_key(anchor.cert(), key, at).map_err(|fault| {
        let code = match fault {
            Fault::Revoked(_) => VerdictCode::Revoked,
            Fault::WeakKey(_) => VerdictCode::WeakKey,
            Fault::WeakBinding(_) => VerdictCode::WeakBinding,
            Fault::NotSigningKey(_) => VerdictCode::NotSigningKey,
        };
        (code, format!("the signature does not count: {}", fault.reason()))
    })?;
    let notice = alive(life, (anchor, key), policy, at, signed_at)?;
    if !policy.signers.is_empty() && !policy.signers.contains(anchor.fingerprint()) {
        let why = format!("{} is trusted, but the policy does not list it as a signer", anchor.name());
        return Err((VerdictCode::NotAllowedSigner, why));
    }
    Ok(notice)
}

/// The dates that the signature itself carries.
fn dates(signature: &Signature, at: Timestamp, signed_at: Timestamp) -> Result<(), Refusal> {
    let latest = at.saturating_add(SignedDuration::from_secs(CLOCK_SKEW)).unwrap_or(at);
    if signed_at > latest {
        let why = format!("the signature is dated in the future ({signed_at}; the clock says {at})");
        return Err((VerdictCode::FromTheFuture, why));
    }
    let end = signature.signature_expiration_time().map(rules::timestamp);
    if let Some(end) = end.filter(|end| *end <= at) {
        return Err((VerdictCode::Expired, format!("the signature ran out on {}", rules::date(end))));
    }
    // The date must be part of what was signed.
    let area = signature.hashed_area();
    if area.subpacket(SubpacketTag::SignatureCreationTime).is_none() {
        let why = "the signature does not say when it was made";
        return Err((VerdictCode::Unsupported, why.to_owned()));
    }
    Ok(())
}

/// Whether the key was valid when the signature was made, by what its owner said last, and whether
/// it still is.
fn alive(
    life: Life,
    (anchor, key): (&Anchor, &openpgp::Fingerprint),
    policy: &Policy,
    at: Timestamp,
    signed_at: Timestamp,
) -> Result<Option<String>, Refusal> {
    if signed_at < life.created {
        let why = "the signature is dated before its key was made".to_owned();
        return Err((VerdictCode::RetiredByIssuer, why));
    }
    let Some(end) = life.expires.filter(|end| *end <= at.max(signed_at)) else { return Ok(None) };
    let ended = rules::date(end);
    if signed_at >= end && life.said <= signed_at {
        let why = format!("the signature was made after its key had expired on {ended}");
        return Err((VerdictCode::Expired, why));
    }
    // An end that was moved closer after the signature was made is a wish to retire the key. What
    // was said before may be gone (gpg drops old self-signatures), then the worse is assumed.
    let before = rules::life(anchor.cert(), key, at, signed_at).and_then(|life| life.expires);
    if signed_at >= end || before.is_none_or(|before| before > end) {
        let said = rules::date(life.said);
        let why = format!(
            "the issuer has retired this key: on {said}, after this signature was made, it set the key's end to {ended}"
        );
        return Err((VerdictCode::RetiredByIssuer, why));
    }
    if policy.accept_expired {
        Ok(Some(format!("the key expired on {ended}, after it made this signature")))
    } else {
        let why = format!("the key expired on {ended}, and the policy does not accept expired keys");
        Err((VerdictCode::Expired, why))
    }
}

fn verdict(
    anchor: Option<&Anchor>,
    key: Option<String>,
    signed_at: Option<Timestamp>,
    result: Result<Option<String>, Refusal>,
) -> Verdict {
    let accepted = result.is_ok();
    let (code, reason, notice) = match result {
        Ok(None) => (VerdictCode::Good, "good signature".to_owned(), None),
        Ok(Some(notice)) => (VerdictCode::GoodExpiredSince, "good signature".to_owned(), Some(notice)),
        Err((code, reason)) => (code, reason, None),
    };
    Verdict {
        accepted,
        code,
        signer: anchor.map(|anchor| anchor.fingerprint().clone()),
        key,
        user_id: anchor.map(Anchor::name),
        signed_at,
        origin: anchor.map(|anchor| anchor.origin().to_string()),
        reason,
        notice,
    }
}
