//! Authorities: what a certificate has to say so that those that it issued count.

use super::chain::Item;
use super::rules::{CA_FLAG, CA_NOT_CRITICAL, CA_OCSP_SIGNING, CA_PATH_LENGTH, CA_PURPOSE, CA_SIGN};
use super::{Findings, Role};
use crate::certs::look::{Purpose, Usage};

pub(super) fn check(item: &Item<'_>, role: Role, found: &mut Findings) {
    let certificate = item.certificate;
    if certificate.version < 3 {
        return; // it has no extensions, which is said already
    }
    match certificate.basic {
        Some(basic) if basic.ca && !basic.critical => {
            found.add(&CA_NOT_CRITICAL, item.at(), "its basicConstraints are not critical");
        }
        Some(basic) if basic.ca => {}
        Some(_) => found.add(&CA_FLAG, item.at(), "its basicConstraints say CA:FALSE"),
        None => found.add(&CA_FLAG, item.at(), "it has no basicConstraints"),
    }
    match &certificate.usage {
        None => found.add(&CA_SIGN, item.at(), "it has no keyUsage"),
        Some(usage) if !usage.contains(&Usage::KeyCertSign) => {
            found.add(&CA_SIGN, item.at(), "keyCertSign is not in its keyUsage");
        }
        Some(_) => {}
    }
    purposes(item, role, found);
}

fn purposes(item: &Item<'_>, role: Role, found: &mut Findings) {
    let Some(purposes) = &item.certificate.purposes else { return };
    let has = |purpose: &Purpose| purposes.contains(purpose);
    let (fits, word) = match role {
        Role::Server => (has(&Purpose::ServerAuth), "serverAuth"),
        Role::Client => (has(&Purpose::ClientAuth), "clientAuth"),
        Role::Ca => (has(&Purpose::ServerAuth) || has(&Purpose::ClientAuth), "serverAuth or clientAuth"),
        Role::Ocsp => (true, ""),
    };
    if has(&Purpose::OcspSigning) {
        found.add(&CA_OCSP_SIGNING, item.at(), "OCSPSigning is in its extendedKeyUsage");
    } else if !fits && !has(&Purpose::Any) {
        found.add(&CA_PURPOSE, item.at(), format!("it has an extendedKeyUsage, and {word} is not in it"));
    }
}

/// How many authorities, less those that renew themselves, are between it and the leaf (RFC 5280, 4.2.1.9).
pub(super) fn check_path_length(item: &Item<'_>, below: u32, found: &mut Findings) {
    let allowed = item.certificate.basic.and_then(|basic| basic.path_len);
    if let Some(allowed) = allowed.filter(|allowed| *allowed < below) {
        let what = format!("it allows {allowed} CAs below it, and there are {below}");
        found.add(&CA_PATH_LENGTH, item.at(), what);
    }
}
