//! The leaf: its names and what it is for.

use std::net::IpAddr;

use super::chain::Item;
use super::rules::{
    CA_OCSP_SIGNING, COMMON_NAME_ONLY, EKU_ABSENT, EKU_ANY, EKU_CLIENT, EKU_OCSP, EKU_SERVER, KEY_USAGE,
    LEAF_IS_CA, NAME_ELSEWHERE, NAME_MISMATCH, NAME_UNTRUSTED, SAN_INVALID, SAN_MISSING, SAN_WILDCARD,
    SELF_SIGNED,
};
use super::{Findings, Input, Role};
use crate::certs::look::{Name, Purpose, Usage};

pub(super) fn check(input: &Input<'_>, leaf: &Item<'_>, found: &mut Findings) {
    match input.role {
        Role::Ocsp => {
            if !leaf.certificate.is_for(&Purpose::OcspSigning) {
                found.add(&EKU_OCSP, leaf.at(), "OCSPSigning is not in its extendedKeyUsage");
            }
            if leaf.certificate.is_ca() {
                found.add(&CA_OCSP_SIGNING, leaf.at(), "the OCSP responder is a CA");
            }
        }
        _ => {
            names(leaf, found);
            expected(input, leaf, found);
            purpose(input.role, leaf, found);
            if leaf.certificate.is_ca() {
                found.add(&LEAF_IS_CA, leaf.at(), "it is a CA");
            }
        }
    }
    if !leaf.certificate.allows(Usage::DigitalSignature) {
        found.add(&KEY_USAGE, leaf.at(), "digitalSignature is not in its keyUsage");
    }
    if leaf.certificate.self_issued {
        found.add(&SELF_SIGNED, leaf.at(), "it is signed by itself");
    }
}

fn names(leaf: &Item<'_>, found: &mut Findings) {
    let certificate = leaf.certificate;
    if !certificate.names.iter().any(|name| matches!(name, Name::Dns(_) | Name::Ip(_))) {
        // who has a subjectAltName of another kind is told so, whatever the common name says (Go's crypto/x509)
        let common = certificate.common_name.as_deref().filter(|name| is_host(name));
        match common.filter(|_| certificate.names.is_empty()) {
            Some(name) => {
                found.add(&COMMON_NAME_ONLY, leaf.at(), format!("{name} is in its common name only"));
            }
            None => {
                found.add(&SAN_MISSING, leaf.at(), "no host name and no address is in its subjectAltName")
            }
        }
        return;
    }
    for name in &certificate.names {
        match name {
            Name::Dns(text) if text.contains('*') => {
                found.add(&SAN_WILDCARD, leaf.at(), format!("{text} is a wildcard"));
            }
            Name::Dns(text) if text.parse::<IpAddr>().is_ok() => {
                let what = format!("the address {text} is in it as a host name (DNS: instead of IP:)");
                found.add(&SAN_INVALID, leaf.at(), what);
            }
            Name::Dns(text) if !is_label_list(text) => {
                found.add(&SAN_INVALID, leaf.at(), format!("{text:?} is no host name"));
            }
            Name::Other(text) => {
                found.add(&SAN_INVALID, leaf.at(), format!("{text} cannot be a name of a host"))
            }
            _ => {}
        }
    }
}

/// Letters, digits, `-` and `_` between dots (RFC 1123; `_` is in use).
fn is_label_list(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let text = text.strip_suffix('.').unwrap_or(text);
    text.len() <= 253
        && text.split('.').all(|label| (1..=63).contains(&label.len()) && label.chars().all(plain))
}

/// Whether a common name was meant for a host: what has no dot and is not `localhost` is a person or a device.
fn is_host(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok() || text == "localhost" || (text.contains('.') && is_label_list(text))
}

fn expected(input: &Input<'_>, leaf: &Item<'_>, found: &mut Findings) {
    let names = &leaf.certificate.names;
    let has_hosts = names.iter().any(|name| matches!(name, Name::Dns(_) | Name::Ip(_)));
    if !has_hosts {
        return; // it is said already
    }
    let shown: Vec<String> = names.iter().map(ToString::to_string).collect();
    if input.names.is_empty() {
        let elsewhere = !input.known.iter().any(|name| names.iter().any(|own| covers(own, name)));
        if input.role == Role::Server && elsewhere && !input.known.is_empty() {
            let what = format!(
                "it is valid for {}, and for no name of this host ({})",
                shown.join(", "),
                input.known.join(", ")
            );
            found.add(&NAME_ELSEWHERE, leaf.at(), what);
        }
        return;
    }
    let covers = |wanted: &&String| names.iter().any(|name| covers(name, wanted));
    if input.role == Role::Client {
        if !input.names.iter().any(|name| covers(&name)) {
            let what = format!(
                "none of its names ({}) is on the list ({})",
                shown.join(", "),
                input.names.join(", ")
            );
            found.add(&NAME_UNTRUSTED, leaf.at(), what);
        }
        return;
    }
    for wanted in input.names.iter().filter(|name| !covers(name)) {
        let what = format!("it is valid for {}, not {wanted}", shown.join(", "));
        found.add(&NAME_MISMATCH, leaf.at(), what);
    }
}

/// Whether a name stands for a host. A wildcard is a finding of its own, so here it counts for what it was meant.
fn covers(name: &Name, wanted: &str) -> bool {
    let wanted = wanted.strip_suffix('.').unwrap_or(wanted);
    match name {
        Name::Ip(address) => wanted.parse() == Ok(*address),
        Name::Dns(text) => {
            let text = text.strip_suffix('.').unwrap_or(text);
            let wild = text.strip_prefix("*.").zip(wanted.split_once('.'));
            text.eq_ignore_ascii_case(wanted) && wanted.parse::<IpAddr>().is_err()
                || wild.is_some_and(|(domain, (_, rest))| domain.eq_ignore_ascii_case(rest))
        }
        _ => false,
    }
}

fn purpose(role: Role, leaf: &Item<'_>, found: &mut Findings) {
    let (purpose, rule, word) = match role {
        Role::Client => (Purpose::ClientAuth, &EKU_CLIENT, "clientAuth"),
        _ => (Purpose::ServerAuth, &EKU_SERVER, "serverAuth"),
    };
    let certificate = leaf.certificate;
    if certificate.is_for(&purpose) {
        return;
    }
    if certificate.purposes.is_none() {
        found.add(&EKU_ABSENT, leaf.at(), format!("it has no extendedKeyUsage; {word} has to be in it"));
    } else if certificate.is_for(&Purpose::Any) {
        let what = format!("anyExtendedKeyUsage is in its extendedKeyUsage, {word} is not");
        found.add(&EKU_ANY, leaf.at(), what);
    } else {
        found.add(rule, leaf.at(), format!("{word} is not in its extendedKeyUsage"));
    }
}
