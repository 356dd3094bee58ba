use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::types::Fingerprint;

/// A certificate whose signature counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    /// The fingerprint of its primary key.
    pub fingerprint: Fingerprint,
    /// Its first name.
    pub user_id: String,
    /// When it signed.
    pub signed_at: Timestamp,
}

/// What became of one signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum VerdictCode {
    /// It counts.
    Good,
    /// It counts, but its key has run out since.
    GoodExpiredSince,
    /// No trusted certificate has the key that it names.
    UnknownSigner,
    /// It does not belong to these bytes, or it is damaged.
    BadSignature,
    /// Its key was taken back.
    Revoked,
    /// Its owner ended the validity of its key, or the key did not exist yet.
    RetiredByIssuer,
    /// It, or its key, has run out.
    Expired,
    /// It was made with a digest that can be forged.
    WeakHash,
    /// It was made with a key that can be forged.
    WeakKey,
    /// The key is not, or only weakly, bound to the certificate.
    WeakBinding,
    /// It is dated in the future.
    FromTheFuture,
    /// It is not a signature over a binary file.
    WrongType,
    /// Its key is not meant for signatures over files.
    NotSigningKey,
    /// The policy does not let this certificate count.
    NotAllowedSigner,
    /// It uses something that is not understood.
    Unsupported,
}

/// One signature, judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Whether it counts.
    pub accepted: bool,
    /// What became of it.
    pub code: VerdictCode,
    /// The fingerprint of the certificate that made it.
    pub signer: Option<Fingerprint>,
    /// The key that it says made it: a fingerprint or key id, not proven when no signer is given.
    pub key: Option<String>,
    /// The certificate's first name.
    pub user_id: Option<String>,
    /// When it says it was made.
    pub signed_at: Option<Timestamp>,
    /// Where the certificate came from.
    pub origin: Option<String>,
    /// What became of it, in words.
    pub reason: String,
    /// What a person should know although it counts.
    pub notice: Option<String>,
}

/// A set of signatures, judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// One per signature, in their order.
    pub verdicts: Vec<Verdict>,
    /// Whether the policy is fulfilled.
    pub accepted: bool,
    /// Why, in words.
    pub reason: String,
    /// How many different certificates had to sign.
    pub threshold: usize,
    /// The different certificates that signed.
    pub signers: Vec<Signer>,
}

impl Judgement {
    /// A refusal of the whole set.
    pub(super) fn refusal(threshold: usize, reason: impl Into<String>) -> Self {
        Self { verdicts: Vec::new(), accepted: false, reason: reason.into(), threshold, signers: Vec::new() }
    }
}
