use std::io::{self, Read};

use jiff::Timestamp;
use sequoia_openpgp as openpgp;

use openpgp::crypto::hash::Context;
use openpgp::packet::Signature;
use openpgp::types::SignatureType;

use super::{Error, Judgement, Signer, Verdict, VerdictCode, Verified, check, signatures};
use crate::trust::{Policy, TrustStore};
use crate::types::Digest;

/// Judges `signatures` over `signed` at the time `at`. Never fails: garbage is a refusal.
#[must_use]
pub fn judge(
    signed: &[u8],
    signatures: &[u8],
    store: &TrustStore,
    policy: &Policy,
    at: Timestamp,
) -> Judgement {
    match Pending::new(signatures, store, policy) {
        Ok(mut pending) => {
            pending.update(signed);
            pending.judge(store, policy, at)
        }
        Err(refusal) => refusal,
    }
}

/// As [`judge`], over all that `reader` gives. Memory stays constant.
///
/// # Errors
/// When it cannot be read to its end.
pub fn judge_reader(
    reader: &mut impl Read,
    signatures: &[u8],
    store: &TrustStore,
    policy: &Policy,
    at: Timestamp,
) -> io::Result<Judgement> {
    let mut pending = match Pending::new(signatures, store, policy) {
        Ok(pending) => pending,
        Err(refusal) => return Ok(refusal),
    };
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        pending.update(buffer.get(..read).unwrap_or_default());
    }
    Ok(pending.judge(store, policy, at))
}

/// The signed bytes as a verified value, if `signatures` suffice.
///
/// # Errors
/// When they do not: with the judgement.
pub fn require(
    signed: Vec<u8>,
    signatures: &[u8],
    store: &TrustStore,
    policy: &Policy,
    at: Timestamp,
) -> Result<Verified<Vec<u8>>, Error> {
    let judgement = judge(&signed, signatures, store, policy, at);
    accept(signed, judgement)
}

/// The reader as a verified value, if `signatures` over all that it gives suffice.
///
/// What is read from it later must be what was read now: give it a private copy that nobody else
/// can write.
///
/// # Errors
/// When the signatures do not suffice, with the judgement, or when it cannot be read.
pub fn require_reader<R: Read>(
    mut reader: R,
    signatures: &[u8],
    store: &TrustStore,
    policy: &Policy,
    at: Timestamp,
) -> Result<Verified<R>, Error> {
    let judgement = judge_reader(&mut reader, signatures, store, policy, at)?;
    accept(reader, judgement)
}

/// Bytes that were verified by an earlier run, which recorded their digest and signers where only
/// root can write: verified again without the keys, which may have gone since.
///
/// # Errors
/// When the bytes are not the recorded ones.
pub fn pinned(bytes: Vec<u8>, recorded: Digest, signers: Vec<Signer>) -> Result<Verified<Vec<u8>>, Error> {
    let found = Digest::of(&bytes);
    if found == recorded {
        Ok(Verified::new(bytes, signers))
    } else {
        Err(Error::Changed { recorded, found })
    }
}

/// Two judgements of one thing as one: a bad signature in either refuses it, and signers of both count.
#[must_use]
pub fn both(first: Judgement, second: Judgement, policy: &Policy) -> Judgement {
    conclude(first.verdicts.into_iter().chain(second.verdicts).collect(), policy)
}

fn accept<T>(value: T, judgement: Judgement) -> Result<Verified<T>, Error> {
    if judgement.accepted {
        Ok(Verified::new(value, judgement.signers))
    } else {
        Err(Error::Refused(Box::new(judgement)))
    }
}

/// Signatures that wait for the bytes they are over.
struct Pending {
    signatures: Vec<Signature>,
    /// The running digests; signatures with the same algorithm and salt share one.
    digests: Vec<Context>,
    /// For each signature the number of its digest, if its algorithm is known.
    digest_of: Vec<Option<usize>>,
}

impl Pending {
    fn new(bytes: &[u8], store: &TrustStore, policy: &Policy) -> Result<Self, Judgement> {
        let refuse = |why: String| Judgement::refusal(policy.threshold, why);
        if policy.threshold == 0 {
            return Err(refuse("the policy asks for no signature at all".to_owned()));
        }
        let signatures = signatures::parse(bytes).map_err(refuse)?;
        if store.is_empty() {
            return Err(refuse(super::NO_KEY.to_owned()));
        }
        let mut pending = Self { signatures: Vec::new(), digests: Vec::new(), digest_of: Vec::new() };
        let mut kinds = Vec::new();
        for signature in &signatures {
            let kind = (signature.hash_algo(), signature.version(), signature.salt().map(<[u8]>::to_vec));
            let known = kinds.iter().position(|seen| *seen == kind);
            let number = known.or_else(|| {
                let mut digest = signature.hash_algo().context().ok()?.for_signature(signature.version());
                digest.update(signature.salt().unwrap_or_default());
                pending.digests.push(digest);
                kinds.push(kind);
                pending.digests.len().checked_sub(1)
            });
            pending.digest_of.push(number);
        }
        pending.signatures = signatures;
        Ok(pending)
    }

    fn update(&mut self, bytes: &[u8]) {
        for digest in &mut self.digests {
            digest.update(bytes);
        }
    }

    fn judge(self, store: &TrustStore, policy: &Policy, at: Timestamp) -> Judgement {
        let digest_of = |number: &Option<usize>| number.and_then(|number| self.digests.get(number));
        let verdicts = self
            .signatures
            .iter()
            .zip(&self.digest_of)
            .map(|(signature, number)| check::signature(signature, digest_of(number), store, policy, at));
        conclude(verdicts.collect(), policy)
    }
}

/// Counts the certificates behind the verdicts.
fn conclude(verdicts: Vec<Verdict>, policy: &Policy) -> Judgement {
    let threshold = policy.threshold;
    let mut signers: Vec<Signer> = Vec::new();
    for verdict in verdicts.iter().filter(|verdict| verdict.accepted) {
        let (Some(fingerprint), Some(signed_at)) = (verdict.signer.clone(), verdict.signed_at) else {
            continue;
        };
        if !signers.iter().any(|signer| signer.fingerprint == fingerprint) {
            let user_id = verdict.user_id.clone().unwrap_or_default();
            signers.push(Signer { fingerprint, user_id, signed_at });
        }
    }
    let bad = verdicts.iter().find(|verdict| verdict.code == VerdictCode::BadSignature);
    let (accepted, reason) = match (bad, signers.len()) {
        (Some(bad), _) => (false, bad.reason.clone()),
        (None, count) if count >= threshold => (true, names(&signers)),
        (None, 0) => (false, first_reason(&verdicts)),
        (None, count) => {
            let more = verdicts.iter().find(|verdict| !verdict.accepted);
            let more = more.map_or_else(String::new, |verdict| format!("; {}", verdict.reason));
            (false, format!("{count} of the {threshold} different signers that the policy asks for{more}"))
        }
    };
    if !accepted {
        signers.clear();
    }
    Judgement { verdicts, accepted, reason, threshold, signers }
}

fn names(signers: &[Signer]) -> String {
    let names: Vec<String> =
        signers.iter().map(|signer| format!("{} ({})", signer.user_id, signer.fingerprint)).collect();
    format!("signed by {}", names.join(" and "))
}

/// The verdict that tells most: that of a known signer before that of an unknown one.
fn first_reason(verdicts: &[Verdict]) -> String {
    let known = verdicts.iter().find(|verdict| verdict.signer.is_some());
    let verdict = known.or_else(|| verdicts.first());
    verdict.map_or_else(|| "it is not signed".to_owned(), |verdict| verdict.reason.clone())
}

/// Whether the signature is over the bytes of a file as they are.
pub(super) fn is_binary(signature: &Signature) -> bool {
    signature.typ() == SignatureType::Binary
}
