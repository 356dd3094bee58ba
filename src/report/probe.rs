use std::fmt::Write as _;

use crate::certs::check::Severity;
use crate::certs::look::Certificate;
use crate::probe::{Asked, ClientSide, Finding, Report, Served, Status, View};

/// What a probe of a server found.
#[must_use]
pub fn probed(found: &Report) -> String {
    let who = if found.view == View::Engine { "an engine" } else { "a browser" };
    let mut text = format!("{}:{} as {who} sees it", found.host, found.port);
    if found.server_name != found.host {
        let _ = write!(text, ", asked for {}", found.server_name);
    }
    text.push('\n');
    for offer in &found.versions {
        let yes = offer.cipher.as_deref().unwrap_or("yes");
        let how = if offer.offered { yes } else { "no" };
        row(&mut text, &offer.version.to_string(), how);
    }
    chain(&mut text, &found.chain);
    if !found.chain_tls12.is_empty() {
        row(&mut text, "TLS 1.2", "shows other certificates:");
        chain(&mut text, &found.chain_tls12);
    }
    row(&mut text, "Trusted", found.anchor.as_deref().unwrap_or("no authority of it"));
    for revocation in &found.revocation {
        let status = match revocation.status {
            Status::Good => "good",
            Status::Revoked => "revoked",
            Status::Unknown => "unknown to the responder",
            Status::ResponderUsage => "the responder's certificate lacks OCSPSigning",
            Status::Stale => "the response is outdated",
            Status::Invalid => "the response does not count",
            Status::NoAnswer => "no response",
            Status::NotTold => "nobody to ask",
        };
        let from =
            if revocation.source.is_empty() { String::new() } else { format!(" ({})", revocation.source) };
        row(&mut text, "OCSP", &format!("{}: {status}{from}", revocation.subject));
    }
    if let Some(side) = &found.client {
        client(&mut text, side);
    }
    found.findings.iter().for_each(|finding| self::finding(&mut text, finding));
    text.push_str(match found.findings.first() {
        Some(Finding { severity: Severity::Error, .. }) => "FAILS: ",
        Some(_) => "no error, but: ",
        None => "works\n",
    });
    if let Some(first) = found.findings.first() {
        let _ = writeln!(text, "{}", first.message);
    }
    text
}

fn row(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "  {name:<9} {value}");
}

fn chain(text: &mut String, chain: &[Served]) {
    for (number, served) in (1..).zip(chain) {
        certificate(text, number, &served.certificate, &served.sha256.to_string());
    }
}

fn certificate(text: &mut String, number: usize, certificate: &Certificate, digest: &str) {
    row(text, &format!("Served {number}"), &certificate.subject);
    let names: Vec<String> = certificate.names.iter().map(ToString::to_string).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let key = format!("{}, signed with {}", certificate.key, certificate.signature.algorithm);
    let valid = format!("{} to {}", certificate.not_before, certificate.not_after);
    let issuer = &certificate.issuer;
    for (name, value) in [
        ("issuer", issuer),
        ("names", &names),
        ("valid", &valid),
        ("key", &key),
        ("sha256", &digest.to_owned()),
    ] {
        row(text, "", &format!("{name:<6} {value}"));
    }
}

fn client(text: &mut String, side: &ClientSide) {
    let asked = match side.asked {
        Asked::No => "no certificate is asked for",
        Asked::Wanted => "a certificate is wanted; it works without",
        Asked::Required => "a certificate is required",
        Asked::Yes => "a certificate is asked for",
    };
    let accepted = match side.accepted {
        Some(true) => "; ours is accepted",
        Some(false) => "; ours is refused",
        None => "",
    };
    row(text, "Client", &format!("{asked}{accepted}"));
    side.authorities.iter().for_each(|name| row(text, "", &format!("of {name}")));
}

fn finding(text: &mut String, finding: &Finding) {
    let _ = writeln!(text, "{}: {}: {}", finding.severity, finding.subject, finding.message);
    let _ = writeln!(text, "    cause  {}", finding.cause);
    let _ = writeln!(text, "    fix    {}", finding.fix);
}
