//! OCSP (RFC 6960): what a response says, stapled or asked for over plain HTTP.

use std::io::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::ocsp::{
    OcspCertId, OcspCertStatus, OcspFlag, OcspRequest, OcspResponse, OcspResponseStatus, OcspRevokedStatus,
};
use openssl::stack::Stack;
use openssl::x509::X509;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::X509VerifyFlags;
use serde::Serialize;

use super::row::{Finding, Row};
use crate::certs::check::Severity;
use crate::certs::look::Certificate;
use crate::sys::{http, tcp};
use crate::types::error_chain;

/// How far clocks may differ, in seconds.
const SKEW: u32 = 300;
/// How old a response may be that does not say how long it counts, in seconds: a week, as authorities have to
/// give new ones within ten days at most (CA/Browser Forum, Baseline Requirements, 4.9.10).
const AGE: u32 = 7 * 86_400;
/// OpenSSL's own numbers: `ERR_LIB_OCSP` and `OCSP_R_MISSING_OCSPSIGNING_USAGE`.
const LIBRARY: i32 = 39;
const MISSING_USAGE: i32 = 103;

/// What an unknown status means (`security.certificate.verifyrevocation`, `failonunknownrevocationstatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Nothing is asked.
    Off,
    /// A warning.
    Soft,
    /// As bad as being revoked.
    Require,
}

/// What is known of one certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Revocation {
    /// Whose.
    pub subject: String,
    /// Where the response comes from: `stapled`, or the address that was asked.
    pub source: String,
    /// What it says.
    pub status: Status,
    /// Why it is not known, or why it was revoked.
    pub detail: Option<String>,
    /// From when the response is.
    pub this_update: Option<String>,
    /// Until when it counts.
    pub next_update: Option<String>,
}

/// What a response says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Not revoked.
    Good,
    /// Revoked.
    Revoked,
    /// The responder does not know the certificate.
    Unknown,
    /// The response is signed by a certificate that is not made for it.
    ResponderUsage,
    /// The response is too old, or from the future.
    Stale,
    /// The response does not count: damaged, or signed by somebody else.
    Invalid,
    /// No response.
    NoAnswer,
    /// Nobody to ask.
    NotTold,
}

/// Why a response tells nothing.
struct Why(Status, String);

impl From<ErrorStack> for Why {
    fn from(error: ErrorStack) -> Self {
        Self(Status::Invalid, reason(&error))
    }
}

/// Finds out about `certificate`: from the stapled response if it counts, else from the responders that it names,
/// on this host or its own network only if the server is, too (`near`).
pub(super) fn look(
    certificate: &Certificate,
    issuer: &Certificate,
    staple: Option<&[u8]>,
    limit: Duration,
    near: bool,
) -> Revocation {
    let of = |source: &str, judged: Result<Revocation, Why>| {
        let mut revocation = judged.unwrap_or_else(|Why(status, detail)| none(status, Some(detail)));
        revocation.source = source.to_owned();
        revocation.subject = certificate.title();
        revocation
    };
    let stapled = staple.map(|staple| of("stapled", judge(staple, certificate, issuer)));
    if let Some(stapled) = &stapled
        && matches!(stapled.status, Status::Good | Status::Revoked)
    {
        return stapled.clone();
    }
    let mut last = stapled;
    for url in certificate.ocsp.iter().take(2) {
        let asked = ask(url, certificate, issuer, limit, near);
        let asked = of(url, asked.and_then(|response| judge(&response, certificate, issuer)));
        if matches!(asked.status, Status::Good | Status::Revoked) {
            return asked;
        }
        last = Some(asked);
    }
    last.unwrap_or_else(|| of("", Err(Why(Status::NotTold, "it names no OCSP responder".to_owned()))))
}

fn none(status: Status, detail: Option<String>) -> Revocation {
    let (subject, source) = (String::new(), String::new());
    Revocation { subject, source, status, detail, this_update: None, next_update: None }
}

/// Judges a response: its signature by the issuer or somebody whom it made for that (RFC 6960, 4.2.2.2), its
/// times, and what it says of the certificate.
fn judge(response: &[u8], certificate: &Certificate, issuer: &Certificate) -> Result<Revocation, Why> {
    let invalid = |why: &str| Why(Status::Invalid, why.to_owned());
    let response = OcspResponse::from_der(response).map_err(|_| invalid("it is no OCSP response"))?;
    match response.status() {
        OcspResponseStatus::SUCCESSFUL => {}
        OcspResponseStatus::TRY_LATER => return Err(Why(Status::NoAnswer, "it says: try later".to_owned())),
        other => {
            let words = match other {
                OcspResponseStatus::MALFORMED_REQUEST => "malformed request",
                OcspResponseStatus::INTERNAL_ERROR => "internal error",
                OcspResponseStatus::SIG_REQUIRED => "a signature is required",
                OcspResponseStatus::UNAUTHORIZED => "unauthorized",
                _ => "an unknown error",
            };
            return Err(Why(Status::NoAnswer, format!("it says: {words}")));
        }
    }
    let basic = response.basic().map_err(|_| invalid("it is of an unknown kind"))?;
    // one that the issuer itself signed may come without its certificate
    let (trusted, mut helpers) = (trusting(issuer)?, Stack::<X509>::new()?);
    helpers.push(issuer.x509().clone())?;
    if let Err(error) = basic.verify(&helpers, &trusted, OcspFlag::empty()) {
        let missing =
            |e: &openssl::error::Error| e.library_code() == LIBRARY && e.reason_code() == MISSING_USAGE;
        if error.errors().iter().any(missing) {
            let why = "ExtKeyUsageOCSPSigning not found on the OCSP responder";
            return Err(Why(Status::ResponderUsage, why.to_owned()));
        }
        return Err(invalid(&format!("its signature does not count: {}", reason(&error))));
    }
    let id = certificate_id(certificate, issuer)?;
    let found = basic.find_status(&id).ok_or_else(|| invalid("it is about another certificate"))?;
    // a revocation does not grow old
    let ages = found.next_update().is_none() && found.status != OcspCertStatus::REVOKED;
    if found.check_validity(SKEW, ages.then_some(AGE)).is_err() {
        ErrorStack::get();
        let until = found.next_update().map_or_else(String::new, |next| format!(" until {next}"));
        return Err(Why(Status::Stale, format!("it is from {}{until}", found.this_update)));
    }
    let (status, detail) = match found.status {
        OcspCertStatus::GOOD => (Status::Good, None),
        OcspCertStatus::REVOKED => {
            let at = found.revocation_time.map(|at| format!("on {at}")).unwrap_or_default();
            (Status::Revoked, Some(format!("{at}{}", why_revoked(found.reason))))
        }
        _ => (Status::Unknown, Some("the responder does not know the certificate".to_owned())),
    };
    let mut revocation = none(status, detail);
    revocation.this_update = Some(found.this_update.to_string());
    revocation.next_update = found.next_update().map(ToString::to_string);
    Ok(revocation)
}

fn why_revoked(reason: OcspRevokedStatus) -> &'static str {
    match reason {
        OcspRevokedStatus::KEY_COMPROMISE => ": key compromise",
        OcspRevokedStatus::CA_COMPROMISE => ": CA compromise",
        OcspRevokedStatus::AFFILIATION_CHANGED => ": affiliation changed",
        OcspRevokedStatus::STATUS_SUPERSEDED => ": superseded",
        OcspRevokedStatus::STATUS_CESSATION_OF_OPERATION => ": cessation of operation",
        OcspRevokedStatus::STATUS_CERTIFICATE_HOLD => ": certificate hold",
        _ => "",
    }
}

/// The issuer alone is trusted with responses about what it issued, also when it is no root.
fn trusting(issuer: &Certificate) -> Result<X509Store, ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    store.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
    store.add_cert(issuer.x509().clone())?;
    Ok(store.build())
}

/// SHA-1, which every responder knows (RFC 5019, 2.1.1); it only names the certificate here.
fn certificate_id(certificate: &Certificate, issuer: &Certificate) -> Result<OcspCertId, ErrorStack> {
    OcspCertId::from_cert(MessageDigest::sha1(), certificate.x509(), issuer.x509())
}

/// Asks a responder with POST (RFC 6960, A.1). It is not followed to anywhere else.
fn ask(
    url: &str,
    certificate: &Certificate,
    issuer: &Certificate,
    limit: Duration,
    near: bool,
) -> Result<Vec<u8>, Why> {
    let silent = |why: String| Why(Status::NoAnswer, why);
    let place = Place::parse(url).map_err(silent)?;
    let mut request = OcspRequest::new()?;
    request.add_id(certificate_id(certificate, issuer)?)?;
    let body = request.to_der()?;
    let Place { host, port, authority, path } = place;
    let mut addresses = tcp::resolve(host, port, limit).map_err(|e| silent(error_chain(&e)))?;
    addresses.retain(|address| near || !is_near(address.ip()));
    if addresses.is_empty() {
        return Err(silent(
            "it is on this host or its own link, where the server is not; it is not asked".to_owned(),
        ));
    }
    let (mut stream, _) = tcp::connect(&addresses, limit).map_err(|e| silent(error_chain(&e)))?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/ocsp-request\r\n\
         Accept: application/ocsp-response\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let late = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock => {
            silent(format!("no answer in {} s", limit.as_secs_f32()))
        }
        _ => silent(error.to_string()),
    };
    stream.write_all(&[head.as_bytes(), &body].concat()).map_err(late)?;
    let answer = http::read(&mut stream, true).map_err(late)?;
    match (answer.status, answer.body) {
        (Some(200), Some(body)) => Ok(body),
        (Some(200), None) => Err(silent("the answer did not come whole, or is too long".to_owned())),
        (Some(status), _) => Err(silent(format!("HTTP status {status}"))),
        (None, _) => Err(silent("the answer is not HTTP".to_owned())),
    }
}

/// Whether an address is of this host or of a network that does not go beyond its link: who writes a certificate
/// must not have services asked that only this host can reach.
pub(super) fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.octets().first() == Some(&0),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}

/// An address for plain HTTP, the only one that is used for OCSP: a TLS connection would itself need one.
struct Place<'a> {
    host: &'a str,
    port: u16,
    authority: &'a str,
    path: &'a str,
}

impl<'a> Place<'a> {
    fn parse(url: &'a str) -> Result<Self, String> {
        let bad = || format!("{url:?} is no address for plain HTTP");
        let scheme = url.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://"));
        let rest = scheme.and_then(|scheme| url.get(scheme.len()..)).ok_or_else(bad)?;
        if !rest.bytes().all(|b| b.is_ascii_graphic()) || rest.len() > 2048 {
            return Err(bad());
        }
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = if path.is_empty() { "/" } else { path };
        if authority.contains(['@', '?', '#']) {
            return Err(bad());
        }
        let (host, port) = super::host_and_port(authority, 80).ok_or_else(bad)?;
        Ok(Self { host, port, authority, path })
    }
}

fn reason(error: &ErrorStack) -> String {
    let reasons: Vec<&str> = error.errors().iter().filter_map(openssl::error::Error::reason).collect();
    if reasons.is_empty() { "for no reason that OpenSSL tells".to_owned() } else { reasons.join(": ") }
}

/// What the product says to that.
pub(super) fn finding(revocation: &Revocation, policy: Policy) -> Option<Finding> {
    let unknown = if policy == Policy::Require { Severity::Error } else { Severity::Warning };
    let detail = revocation.detail.clone().unwrap_or_default();
    let of = |row: Row, severity| Finding::row(row, severity, &revocation.subject, row.text().message);
    let with = |finding: Finding| {
        let cause = format!("{} ({}{detail})", finding.cause, source(revocation));
        finding.because(cause)
    };
    match revocation.status {
        Status::Good => None,
        Status::Revoked => Some(with(of(Row::Revoked, Severity::Error))),
        Status::ResponderUsage => Some(of(Row::ResponderUsage, unknown)),
        Status::NotTold if policy == Policy::Soft => None,
        Status::NotTold => {
            let cause = "the certificate names no OCSP responder, and none of its responses was stapled";
            Some(of(Row::OcspNotWorking, unknown).because(cause))
        }
        Status::Unknown | Status::Stale | Status::Invalid | Status::NoAnswer => {
            Some(with(of(Row::OcspNotWorking, unknown)))
        }
    }
}

fn source(revocation: &Revocation) -> String {
    if revocation.source.is_empty() { String::new() } else { format!("{}: ", revocation.source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responders_near_this_host_are_for_servers_there() {
        for (address, near) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("0.0.0.0", true),
            ("169.254.169.254", true),
            ("::1", true),
            ("::", true),
            ("fe80::1", true),
            ("::ffff:127.0.0.1", true),
            ("10.0.0.1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_near(address.parse().unwrap()), near, "{address}");
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let chain = crate::certs::self_signed(&["localhost".to_owned()], 1).unwrap().chain;
        let mut chain = crate::certs::look::Chain::parse(chain.as_bytes());
        let leaf = &mut chain.certificates[0];
        let port = listener.local_addr().unwrap().port();
        leaf.ocsp = vec![format!("http://127.0.0.1:{port}/"), format!("http://localhost:{port}/")];
        let limit = Duration::from_millis(300);
        let found = look(leaf, leaf, None, limit, false);
        assert_eq!(found.status, Status::NoAnswer);
        assert!(found.detail.unwrap().contains("it is not asked"));
        assert!(listener.accept().is_err(), "it was gone to");
        look(leaf, leaf, None, limit, true);
        assert!(listener.accept().is_ok(), "it was not gone to");
    }

    #[test]
    fn addresses_of_responders() {
        let parsed = |url| Place::parse(url).map(|p| (p.host.to_owned(), p.port, p.path.to_owned()));
        let place = |host: &str, port, path: &str| Ok((host.to_owned(), port, path.to_owned()));
        assert_eq!(parsed("http://ocsp.example.test"), place("ocsp.example.test", 80, "/"));
        assert_eq!(parsed("HTTP://ocsp.example.test:8080/a?b"), place("ocsp.example.test", 8080, "/a?b"));
        assert_eq!(parsed("http://[::1]:81/"), place("::1", 81, "/"));
        for bad in [
            "https://a.test/",
            "ldap://a.test",
            "http://",
            "http://u@a.test/",
            "http://a b/",
            "http://a:x/",
            "http://a.test/\r\nX: y",
            "http://a?b",
            "é",
        ] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }
}
