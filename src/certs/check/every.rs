//! What every certificate has to keep to, whatever it is for.

use jiff::{SignedDuration, Timestamp};

use super::chain::Item;
use super::rules::{
    AIA_CA_ISSUERS, AIA_NOT_HTTP, AIA_OCSP, CURVE_EXPLICIT, CURVE_REFUSED, EXPIRED, EXPIRES_SOON,
    HASH_REFUSED, HASH_SHA1, KEY_KIND, KEY_SIZE, NOT_YET_VALID, SERIAL_NEGATIVE, SERIAL_ODD,
    UNKNOWN_CRITICAL, VERSION,
};
use super::{Findings, Revocation, Severity};
use crate::certs::key::{CURVES, MIN_RSA_BITS};
use crate::certs::look::{Hash, Key, KeyKind};

/// Fewest bits of an EC key (guide, "Configuration Tricks and Tips").
const MIN_EC_BITS: u32 = 256;
/// Most octets of a serial number (RFC 5280, 4.1.2.2), and two hexadecimal digits for each.
const MAX_SERIAL: usize = 20;
/// How long before its end a certificate is warned about.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

pub(super) fn check(item: &Item<'_>, now: Timestamp, found: &mut Findings) {
    let certificate = item.certificate;
    if certificate.version != 3 {
        found.add(&VERSION, item.at(), format!("it is of version {}", certificate.version));
    }
    serial(item, found);
    if !certificate.unknown_critical.is_empty() {
        let what = format!("critical and unknown: {}", certificate.unknown_critical.join(", "));
        found.add(&UNKNOWN_CRITICAL, item.at(), what);
    }
    validity(item, now, found);
    match certificate.signature.hash {
        Some(Hash::Sha1) => found.add(&HASH_SHA1, item.at(), "it is signed with SHA-1"),
        Some(Hash::Sha256 | Hash::Sha384 | Hash::Sha512) | None => {}
        Some(_) => {
            let what = format!("it is signed with {}", certificate.signature.algorithm);
            found.add(&HASH_REFUSED, item.at(), what);
        }
    }
    key(item, &certificate.key, found);
}

fn serial(item: &Item<'_>, found: &mut Findings) {
    let serial = &item.certificate.serial;
    let negative = serial.bytes().next().is_some_and(|digit| digit >= b'8');
    if negative {
        found.add(&SERIAL_NEGATIVE, item.at(), format!("its serial number {serial} is negative"));
    } else if serial.bytes().all(|digit| digit == b'0') {
        found.add(&SERIAL_ODD, item.at(), "its serial number is zero");
    } else if serial.len() > MAX_SERIAL * 2 {
        let what = format!("its serial number has {} octets", serial.len() / 2);
        found.add(&SERIAL_ODD, item.at(), what);
    }
}

fn validity(item: &Item<'_>, now: Timestamp, found: &mut Findings) {
    let (from, until) = (item.certificate.not_before, item.certificate.not_after);
    let soon = now.saturating_add(SOON).unwrap_or(Timestamp::MAX);
    if until < now {
        found.add(&EXPIRED, item.at(), format!("it expired on {until}"));
    } else if from > now {
        found.add(&NOT_YET_VALID, item.at(), format!("it is valid from {from} on"));
    } else if until < soon {
        // not in how many days: plans that quote it do not change by themselves
        found.add(&EXPIRES_SOON, item.at(), format!("it expires on {until}"));
    }
}

fn key(item: &Item<'_>, key: &Key, found: &mut Findings) {
    let what = format!("its key is {key}");
    let least = if key.kind == KeyKind::Rsa { MIN_RSA_BITS } else { MIN_EC_BITS };
    match key.kind {
        KeyKind::Ec if key.explicit_parameters => {
            found.add(&CURVE_EXPLICIT, item.at(), "the curve of its key is spelt out instead of named");
        }
        KeyKind::Rsa | KeyKind::Ec if key.bits < least => found.add(&KEY_SIZE, item.at(), what),
        KeyKind::Ec => {
            let known = CURVES.iter().filter_map(|(nid, _)| nid.short_name().ok());
            if !known.into_iter().any(|name| key.curve.as_deref() == Some(name)) {
                found.add(&CURVE_REFUSED, item.at(), what);
            }
        }
        KeyKind::Rsa => {}
        _ => found.add(&KEY_KIND, item.at(), what),
    }
}

/// Where its revocation can be found out; not asked of roots, which nobody revokes by OCSP.
pub(super) fn check_revocation(item: &Item<'_>, revocation: Revocation, found: &mut Findings) {
    let severity = match revocation {
        Revocation::Off => return,
        Revocation::Soft => Severity::Warning,
        Revocation::Require => Severity::Error,
    };
    let certificate = item.certificate;
    if certificate.ocsp.is_empty() {
        found.add_as(&AIA_OCSP, severity, item.at(), "it names no OCSP responder");
    }
    if certificate.ca_issuers.is_empty() {
        found.add_as(
            &AIA_CA_ISSUERS,
            severity,
            item.at(),
            "it does not say where its issuer's certificate is",
        );
    }
    let others = certificate.ocsp.iter().chain(&certificate.ca_issuers);
    for other in others.filter(|url| !url.to_ascii_lowercase().starts_with("http://")) {
        found.add(&AIA_NOT_HTTP, item.at(), format!("its authorityInfoAccess names {other}"));
    }
}
