//! Whether a key is fit to sign releases: what sqv, rpm, gpg or this program would say to it now,
//! and in some months.

use jiff::{SignedDuration, Timestamp};
use sequoia_openpgp as openpgp;

use openpgp::Cert;
use openpgp::cert::amalgamation::key::PrimaryKey as _;
use openpgp::crypto::mpi::PublicKey;
use openpgp::packet::Signature;
use openpgp::types::Curve;
use serde::Serialize;

use super::expiry::{SOON, days_left};
use super::rules::{self, Fault};
use super::{Anchor, Error, Origin, keyring};
use crate::types::Fingerprint;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Some tool, somewhere, will have trouble.
    Warning,
    /// A common verifier refuses the key, or will soon.
    Error,
}

/// One thing to say about a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable name for it.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What was found.
    pub what: String,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub fix: &'static str,
}

/// All that there is to say about one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Where it was read from.
    pub origin: String,
    /// The fingerprint of its primary key.
    pub fingerprint: Fingerprint,
    /// Its names.
    pub user_ids: Vec<String>,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether a common verifier refuses the key, or will soon.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// Looks at every key in a key file, as of `at` and of `months` later.
///
/// # Errors
/// When `bytes` is no key file.
pub fn lint(bytes: &[u8], origin: &str, at: Timestamp, months: u32) -> Result<Vec<Report>, Error> {
    let mut reports = Vec::new();
    for cert in keyring::read(bytes, origin)? {
        let findings = findings(&cert, at, months);
        // The origin is that of the bytes; an anchor only lends its reading of names.
        if let Some(anchor) = Anchor::new(cert, Origin::BuiltIn(String::new())) {
            let (fingerprint, user_ids) = (anchor.fingerprint().clone(), anchor.user_ids());
            reports.push(Report { origin: origin.to_owned(), fingerprint, user_ids, findings });
        }
    }
    Ok(reports)
}

/// What there is to say about `cert`, the worst first.
pub(crate) fn findings(cert: &Cert, at: Timestamp, months: u32) -> Vec<Finding> {
    let hours = i64::from(months).saturating_mul(30 * 24);
    let later = at.saturating_add(SignedDuration::from_hours(hours)).unwrap_or(Timestamp::MAX);
    let mut found = Vec::new();
    match rules::certificate(cert, at) {
        Err(fault) => found.push(fatal(&fault)),
        Ok(()) => {
            found.extend(rules::certificate(cert, later).err().map(|fault| Finding {
                id: "refused-soon",
                what: format!("by {} it will be refused: {}", rules::date(later), fault.reason()),
                ..fatal(&fault)
            }));
            signing_keys(cert, at, later, &mut found);
        }
    }
    weak_signatures(cert, &mut found);
    lost_history(cert, &mut found);
    algorithms(cert, &mut found);
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    found
}

fn fatal(fault: &Fault) -> Finding {
    let (id, why, fix) = match fault {
        Fault::Revoked(_) => (
            "revoked",
            "sqv and this program refuse everything that it signed; gpg and rpm only warn",
            "sign with another key, and give its certificate to your users before the release",
        ),
        Fault::WeakKey(_) => (
            "weak-key",
            "sqv, current rpm and this program refuse such keys: signatures by them can be forged",
            "make a new key: RSA with 3072 bits or more, or Ed25519",
        ),
        Fault::WeakBinding(_) => (
            "weak-binding",
            "sqv, current apt and rpm, and this program refuse it: a forged binding would be as good",
            "renew the self-signatures with SHA-256: gpg --cert-digest-algo SHA256 --quick-set-expire FPR 2y, then again with '*' for the subkeys",
        ),
        Fault::NotSigningKey(_) => (
            "no-signing-flag",
            "verifiers refuse signatures by keys that are not marked for signing",
            "add a signing subkey: gpg --quick-add-key FPR rsa3072 sign 2y",
        ),
    };
    Finding { id, severity: Severity::Error, what: fault.reason().to_owned(), why, fix }
}

/// Which keys can sign now, and for how long.
fn signing_keys(cert: &Cert, at: Timestamp, later: Timestamp, found: &mut Vec<Finding>) {
    let mut faults = Vec::new();
    let mut ends = Vec::new();
    for ka in cert.keys() {
        match rules::signing_key(cert, &ka.key().fingerprint(), at) {
            Ok(life) if life.created > at => {
                let what = format!("the key is dated in the future ({})", life.created);
                found.push(Finding { id: "from-the-future", what, ..expiry() });
            }
            Ok(life) => ends.push(life.expires),
            // Keys for encryption are supposed not to sign.
            Err(Fault::NotSigningKey(_)) if !ka.primary() => {}
            Err(fault) => faults.push((ka.primary(), fatal(&fault))),
        }
    }
    let last = ends.iter().map(|end| end.unwrap_or(Timestamp::MAX)).max();
    for (primary, fault) in faults {
        if last.is_none() || (!primary && fault.id == "weak-binding") {
            found.push(fault);
        }
    }
    match last {
        None if found.iter().all(|finding| finding.severity != Severity::Error) => {
            let what = "it has no key for signing".to_owned();
            found.push(Finding { what, ..fatal(&Fault::NotSigningKey(String::new())) });
        }
        Some(end) if end <= at => {
            let what = format!("it expired on {}", rules::date(end));
            found.push(Finding { id: "expired", what, ..expiry() });
        }
        Some(end) if end <= later => {
            let what = format!("it expires on {}", rules::date(end));
            found.push(Finding { id: "expires-soon", what, ..expiry() });
        }
        Some(end) if days_left(end, at) <= SOON => {
            let what = format!("it expires on {}", rules::date(end));
            found.push(Finding { id: "runs-out", severity: Severity::Warning, what, ..expiry() });
        }
        _ => {}
    }
}

fn expiry() -> Finding {
    Finding {
        id: "expired",
        severity: Severity::Error,
        what: String::new(),
        why: "verifiers refuse what a key signs outside the time for which it is valid",
        fix: "extend it in time (gpg --quick-set-expire FPR 2y), publish the certificate merged with its older copies, and ship it with the next release",
    }
}

/// Weak self-signatures that do not decide today.
fn weak_signatures(cert: &Cert, found: &mut Vec<Finding>) {
    let mut weak: Vec<String> =
        self_signatures(cert).filter_map(|s| rules::weak_hash(s.hash_algo())).collect();
    weak.sort();
    weak.dedup();
    let known = found.iter().any(|finding| finding.id == "weak-binding");
    if !weak.is_empty() && !known {
        found.push(Finding {
            id: "weak-self-signature",
            severity: Severity::Warning,
            what: format!("some of its self-signatures use {}", weak.join(" and ")),
            why: "sqv and this program ignore them: names, subkeys or dates that rest on them are lost",
            fix: "renew them with SHA-256 (gpg --cert-digest-algo SHA256), or drop what rests on them",
        });
    }
}

fn self_signatures(cert: &Cert) -> impl Iterator<Item = &Signature> {
    let names = cert.userids().flat_map(|id| id.self_signatures());
    cert.keys().flat_map(|ka| ka.self_signatures()).chain(names)
}

/// A key whose first self-signature is younger than itself has lost its history.
fn lost_history(cert: &Cert, found: &mut Vec<Finding>) {
    let made = rules::timestamp(cert.primary_key().key().creation_time());
    let names = cert.userids().flat_map(|id| id.self_signatures());
    let first = cert.primary_key().self_signatures().chain(names);
    let mut histories = vec![(made, first.filter_map(|s| s.signature_creation_time()).min())];
    for ka in cert.keys().subkeys() {
        let flags = ka.self_signatures().filter_map(|s| s.key_flags());
        if flags.into_iter().any(|flags| flags.for_signing()) {
            let first = ka.self_signatures().filter_map(|s| s.signature_creation_time()).min();
            histories.push((rules::timestamp(ka.key().creation_time()), first));
        }
    }
    for (made, first) in histories {
        let Some(first) = first.map(rules::timestamp) else { continue };
        if first.duration_since(made) > SignedDuration::from_hours(24) {
            let (made, first) = (rules::date(made), rules::date(first));
            found.push(Finding {
                id: "lost-self-signatures",
                severity: Severity::Warning,
                what: format!("the key was made on {made}, but its first self-signature is of {first}"),
                why: "sqv refuses every release that was signed in between: gpg drops the old self-signature when it changes an expiry date",
                fix: "give gpg the old copy back (gpg --import OLD), then export and publish the certificate again",
            });
            return;
        }
    }
}

/// What tools in the field think of the algorithms.
fn algorithms(cert: &Cert, found: &mut Vec<Finding>) {
    let mut add = |id, severity, what: String, why, fix| {
        if !found.iter().any(|finding| finding.id == id) {
            found.push(Finding { id, severity, what, why, fix });
        }
    };
    const RECOMMENDED: &str = "for the widest reach use RSA with 3072 bits and SHA-256";
    if cert.primary_key().key().version() > 4 {
        let why = "gpg and most builds of rpm cannot read version 6 keys";
        add(
            "version-6",
            Severity::Warning,
            "the key is of version 6".to_owned(),
            why,
            "make a version 4 key",
        );
    }
    for ka in cert.keys() {
        match ka.key().mpis() {
            PublicKey::RSA { n, .. } if (2048..3072).contains(&n.bits()) => {
                let what = format!("RSA with {} bits", n.bits());
                let why = "accepted today, but below what NIST and BSI recommend beyond 2030";
                add("short-rsa", Severity::Warning, what, why, RECOMMENDED);
            }
            PublicKey::ECDSA { curve: Curve::NistP256 | Curve::NistP384 | Curve::NistP521, .. } => {
                let why = "rpm builds with their own OpenPGP reader (before 4.18, or without Sequoia) cannot read ECDSA keys";
                add(
                    "ecdsa-rpm",
                    Severity::Warning,
                    "an ECDSA key on a NIST curve".to_owned(),
                    why,
                    RECOMMENDED,
                );
            }
            PublicKey::EdDSA { .. } | PublicKey::Ed25519 { .. } => {
                let why = "rpm before 4.15 (RHEL 7) cannot read Ed25519 keys, and FIPS modes may refuse them";
                add("ed25519-rpm", Severity::Info, "an Ed25519 key".to_owned(), why, RECOMMENDED);
            }
            _ => {}
        }
    }
}
