//! A look at the TLS of a server, as an engine or a browser would have it: versions, certificates, revocation,
//! client certificates, told in the words of the guide's table "Troubleshooting Errors".
//!
//! In: a host, trusted certificates, perhaps a certificate of the client. Out: a [`Report`]. Everything that comes
//! back is bounded in size and time; nothing of it is run, unpacked or kept.
#![forbid(unsafe_code)]

mod handshake;
mod hello;
mod names;
mod path;
mod proxy;
mod reach;
mod revocation;
mod row;

use std::cmp::Reverse;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use openssl::error::ErrorStack;
use serde::Serialize;

use crate::certs::check::Severity;
use crate::certs::key::Key;
use crate::certs::look::{Certificate, Purpose};
use crate::sys::alert as alerts;
use crate::sys::clock;
use crate::sys::http::{self, NoTunnel};
use crate::sys::tcp::{self, Bounded, Unreachable};
use handshake::{End, Outcome, Shake};

pub use proxy::{NoProxy, Proxy, bypasses};
pub use reach::{Reached, reach};
pub use revocation::{Policy, Revocation, Status};
pub use row::{Finding, Row, Text};

/// Most certificates of a chain that are looked at.
const CERTIFICATES: usize = 20;
/// Most certificates whose revocation is asked for.
const ASKED: usize = 4;

/// Who is asked, and how.
#[derive(Debug)]
pub struct Request<'a> {
    /// The host.
    pub host: Host,
    /// The port.
    pub port: u16,
    /// Through which proxy it is reached.
    pub via: Option<&'a Proxy>,
    /// The name that is asked for and looked for in the certificate, when it is not the host's.
    pub server_name: Option<Host>,
    /// Who is played.
    pub view: View,
    /// The certificates that are trusted.
    pub anchors: &'a [Certificate],
    /// What is shown when a client's certificate is asked for.
    pub client: Option<&'a Client>,
    /// What is done about revocation.
    pub revocation: Policy,
    /// How long each connection may take.
    pub limit: Duration,
}

/// Who is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// An engine in FIPS-CC mode.
    Engine,
    /// A browser.
    Browser,
}

/// A certificate of the client with its key.
#[derive(Debug)]
pub struct Client {
    /// The chain, leaf first.
    pub chain: Vec<Certificate>,
    /// The key.
    pub key: Key,
}

/// A host by name or by address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// By name.
    Name(String),
    /// By address.
    Address(IpAddr),
}

impl FromStr for Host {
    type Err = NoTarget;

    fn from_str(text: &str) -> Result<Self, NoTarget> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Address(address.to_canonical()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let fit = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        let is_name = (1..254).contains(&name.len()) && name.bytes().all(fit);
        if is_name { Ok(Self::Name(name.to_owned())) } else { Err(NoTarget(text.to_owned())) }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// A host and a port, as `HOST:PORT`; an IPv6 address stands in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The host.
    pub host: Host,
    /// The port; 443 when none is given.
    pub port: u16,
}

/// A text that is no host, or no host and port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names no host; a host and its port are written as soar.example.test:443, 192.0.2.1:443 or [2001:db8::1]:443"
)]
pub struct NoTarget(String);

impl FromStr for Target {
    type Err = NoTarget;

    fn from_str(text: &str) -> Result<Self, NoTarget> {
        let no_target = || NoTarget(text.to_owned());
        let (host, port) = host_and_port(text, 443).ok_or_else(no_target)?;
        let host = host.parse().map_err(|_| no_target())?;
        if port == 0 { Err(no_target()) } else { Ok(Self { host, port }) }
    }
}

/// Splits what stands in front of the path of a URL (RFC 3986, 3.2).
fn host_and_port(text: &str, usual: u16) -> Option<(&str, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().ok().filter(|_| port.bytes().all(|b| b.is_ascii_digit()))?,
        None => usual,
    };
    (!host.is_empty()).then_some((host, port))
}

/// A version of SSL or TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names are the field's own")]
pub enum Protocol {
    #[serde(rename = "SSL 3.0")]
    Ssl3,
    #[serde(rename = "TLS 1.0")]
    Tls10,
    #[serde(rename = "TLS 1.1")]
    Tls11,
    #[serde(rename = "TLS 1.2")]
    Tls12,
    #[serde(rename = "TLS 1.3")]
    Tls13,
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ssl3 => "SSL 3.0",
            Self::Tls10 => "TLS 1.0",
            Self::Tls11 => "TLS 1.1",
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        })
    }
}

/// A version, and whether the server speaks it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// The version.
    pub version: Protocol,
    /// Whether it is spoken.
    pub offered: bool,
    /// The cipher suite that the server chose.
    pub cipher: Option<String>,
    /// Why it is not spoken.
    pub why: Option<String>,
}

/// What is asked of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// No certificate.
    No,
    /// One, but it goes on without.
    Wanted,
    /// One, and who has none is turned away.
    Required,
    /// One; whether it would go on without was not tried, as one was shown.
    Yes,
}

/// What is asked of clients, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClientSide {
    /// What is asked.
    pub asked: Asked,
    /// The authorities that the server names, if it does so in TLS 1.2.
    pub authorities: Vec<String>,
    /// Whether what was shown was accepted; nothing when nothing was.
    pub accepted: Option<bool>,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The host that was asked for.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Its addresses, in the order in which they are tried.
    pub addresses: Vec<SocketAddr>,
    /// The name that was looked for in the certificate.
    pub server_name: String,
    /// Who was played.
    #[serde(rename = "as")]
    pub view: View,
    /// The versions, the oldest first.
    pub versions: Vec<Offer>,
    /// The certificates in the order in which they were served, in the newest version.
    pub chain: Vec<Served>,
    /// Those of TLS 1.2, when TLS 1.3 shows others.
    pub chain_tls12: Vec<Served>,
    /// The trusted certificate at the end of the way from `chain`.
    pub anchor: Option<String>,
    /// What is known of revocation.
    pub revocation: Vec<Revocation>,
    /// What is asked of clients.
    pub client: Option<ClientSide>,
    /// What is wrong: errors first, in the order in which the product comes to them.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether something keeps the product from connecting, or should.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// A certificate that was served.
#[derive(Debug, Clone, Serialize)]
pub struct Served {
    /// SHA-256 of its DER form.
    pub sha256: crate::types::Digest,
    /// What is in it.
    #[serde(flatten)]
    pub certificate: Certificate,
}

/// Why there is nothing to report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no connection.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// Something is there, but it does not show a certificate in any version.
    #[error("{host}:{port} is open but does not speak TLS: {why}")]
    NoTls {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// What was seen.
        why: String,
    },
    /// The proxy opens no way.
    #[error("the proxy {proxy} opens no way to {target}")]
    Proxy {
        /// The proxy, without its credentials.
        proxy: String,
        /// Where to.
        target: String,
        /// Why.
        #[source]
        why: NoTunnel,
    },
    /// OpenSSL cannot begin.
    #[error("cannot prepare a TLS handshake")]
    Prepare(#[from] ErrorStack),
}

impl Request<'_> {
    /// The host whose name is looked for.
    fn wanted(&self) -> &Host {
        self.server_name.as_ref().unwrap_or(&self.host)
    }

    /// The name for the server, where it is one (RFC 6066, 3: addresses are none).
    fn sni(&self) -> Option<&str> {
        match self.wanted() {
            Host::Name(name) => Some(name),
            Host::Address(_) => None,
        }
    }

    /// The addresses of the server, or of the proxy that leads to it.
    fn resolve(&self) -> Result<Vec<SocketAddr>, Unreachable> {
        match self.via {
            Some(proxy) => tcp::resolve(&proxy.host.to_string(), proxy.port, self.limit),
            None => tcp::resolve(&self.host.to_string(), self.port, self.limit),
        }
    }

    /// A connection to the server, through the proxy if there is one, whose addresses these are.
    fn connect(&self, addresses: &[SocketAddr]) -> Result<Bounded, Error> {
        let (mut tcp, _) = tcp::connect(addresses, self.limit)?;
        if let Some(proxy) = self.via {
            let target = match self.host {
                Host::Address(IpAddr::V6(address)) => format!("[{address}]:{}", self.port),
                _ => format!("{}:{}", self.host, self.port),
            };
            http::tunnel(&mut tcp, &target, proxy.credentials.as_ref()).map_err(|why| Error::Proxy {
                proxy: proxy.to_string(),
                target,
                why,
            })?;
        }
        Ok(tcp)
    }
}

/// Looks at a server.
///
/// # Errors
/// When it cannot be reached, or does not speak TLS.
pub fn probe(request: &Request) -> Result<Report, Error> {
    let addresses = request.resolve()?;
    let (new, shakes) = new_versions(request, &addresses)?;
    let silent = new.iter().all(|offer| offer.why.as_deref() == Some(SILENT));
    let mut versions = if silent { Vec::new() } else { old_versions(request, &addresses)? };
    versions.extend(new);
    if !versions.iter().any(|offer| offer.offered) {
        // of TLS 1.2, which nearly everything knows, so that a refusal of TLS 1.3 alone does not hide more
        let tls12 = versions.iter().find(|offer| offer.version == Protocol::Tls12);
        let why = tls12.and_then(|offer| offer.why.clone()).unwrap_or_default();
        return Err(Error::NoTls { host: request.host.to_string(), port: request.port, why });
    }
    let mut report = Report {
        host: request.host.to_string(),
        port: request.port,
        addresses,
        server_name: request.wanted().to_string(),
        view: request.view,
        versions,
        chain: Vec::new(),
        chain_tls12: Vec::new(),
        anchor: None,
        revocation: Vec::new(),
        client: None,
        findings: Vec::new(),
    };
    if let Some((best, others)) = shakes.split_first() {
        // Go looks at the certificates before it looks at the signature
        let seen = certificates(request, best, &mut report);
        (report.chain, report.anchor) = (seen.served, seen.anchor);
        for other in others.iter().filter(|other| other.chain != best.chain) {
            report.chain_tls12 = certificates(request, other, &mut report).served;
        }
        report.findings.extend(ended(&shakes, &report.server_name));
        report.client = Some(client_side(request, &shakes, &mut report.findings));
    }
    let old = old_protocols(&report);
    report.findings.extend(old);
    report.findings.sort_by_key(|finding| Reverse(finding.severity));
    Ok(report)
}

const SILENT: &str = "the server does not answer in time";

/// TLS 1.3 and 1.2: which are spoken, and what was shown, that of the newest first.
fn new_versions(request: &Request, addresses: &[SocketAddr]) -> Result<(Vec<Offer>, Vec<Shake>), Error> {
    let (mut offers, mut shakes) = (Vec::new(), Vec::new());
    for version in [Protocol::Tls13, Protocol::Tls12] {
        let (offered, cipher, why) = match handshake::shake(request, addresses, version)? {
            Outcome::Shown(shake) => {
                let cipher = shake.cipher.clone();
                shakes.push(*shake);
                (true, cipher, None)
            }
            Outcome::Nothing(why) => (false, None, Some(why)),
            Outcome::Silent => (false, None, Some(SILENT.to_owned())),
        };
        offers.insert(0, Offer { version, offered, cipher, why });
    }
    Ok((offers, shakes))
}

fn old_versions(request: &Request, addresses: &[SocketAddr]) -> Result<Vec<Offer>, Error> {
    let mut offers = Vec::new();
    for version in [Protocol::Ssl3, Protocol::Tls10, Protocol::Tls11] {
        let answer = handshake::ask_old(request, addresses, version)?;
        offers.push(Offer { version, offered: answer.is_ok(), cipher: None, why: answer.err() });
    }
    Ok(offers)
}

fn old_protocols(report: &Report) -> Option<Finding> {
    let old = report.versions.iter().filter(|offer| offer.offered);
    let old = old.filter(|offer| !matches!(offer.version, Protocol::Tls12 | Protocol::Tls13));
    let names: Vec<String> = old.map(|offer| offer.version.to_string()).collect();
    let message = format!("the server speaks {}", names.join(", "));
    let cause = "versions below TLS 1.2 are not allowed by the guide, and are broken (RFC 8996)";
    let fix = "switch them off on the server, or on the proxy or load balancer in front of it";
    let subject = format!("{}:{}", report.host, report.port);
    (!names.is_empty())
        .then(|| Finding::other("old-protocol", Severity::Error, subject, [&message, cause, fix]))
}

/// How the handshakes ended, as far as it is not about clients.
fn ended(shakes: &[Shake], server: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    if shakes.iter().any(|shake| shake.end == End::WrongKey) {
        found.push(Finding::row(Row::WrongKey, Severity::Error, server, Row::WrongKey.text().message));
    }
    let failed = shakes.iter().find_map(|shake| match &shake.end {
        End::Failed(why) => Some(why),
        _ => None,
    });
    if let Some(why) = failed {
        let message = format!("the TLS handshake fails: {why}");
        let texts =
            [&message[..], "the server broke off, or does something unusual", "look at the server's log"];
        found.push(Finding::other("handshake", Severity::Error, server, texts));
    }
    found
}

/// The certificates that were served, and what is wrong with those that cannot be read.
fn read(shake: &Shake) -> (Vec<Certificate>, Vec<Finding>) {
    let (mut served, mut found) = (Vec::new(), Vec::new());
    for (number, der) in (1..).zip(shake.chain.iter().take(CERTIFICATES)) {
        match Certificate::from_der(der) {
            Ok(certificate) => served.push(certificate),
            Err(why) => {
                let subject = format!("certificate {number} of the chain");
                let fix = "have it issued anew";
                let texts = ["tls: failed to parse certificate from server", &why.to_string(), fix];
                found.push(Finding::other("unreadable", Severity::Error, subject, texts));
            }
        }
    }
    (served, found)
}

/// The server's own certificate, if it could be read.
fn leaf<'a>(shake: &Shake, served: &'a [Certificate]) -> Option<&'a Certificate> {
    served.first().filter(|leaf| shake.chain.first().is_some_and(|der| der == leaf.der()))
}

/// What was served in one version, and what it leads to.
struct Seen {
    served: Vec<Served>,
    anchor: Option<String>,
}

/// Judges what was served: the order is that in which Go looks, with revocation at the end. What is known already
/// is not told again.
fn certificates(request: &Request, shake: &Shake, report: &mut Report) -> Seen {
    let (served, mut found) = read(shake);
    let mut anchor = None;
    if let Some(leaf) = leaf(shake, &served) {
        let path = path::find(leaf, &served, request.anchors, clock::now());
        let way = path::judge(&path, &Purpose::ServerAuth, request.view);
        let (time, rest): (Vec<_>, Vec<_>) = way
            .into_iter()
            .partition(|found| found.row == Some(Row::Expired) && found.subject == leaf.title());
        found.extend(time);
        found.extend(names::judge(leaf, request.wanted(), request.view));
        found.extend(rest);
        if path.anchored {
            anchor = path.certificates.last().map(|anchor| anchor.subject.clone());
            found.extend(revocations(request, shake, &path.certificates, report));
        }
    }
    let shown = |certificate: Certificate| Served { sha256: certificate.sha256(), certificate };
    found.retain(|finding| !report.findings.contains(finding));
    report.findings.append(&mut found);
    Seen { served: served.into_iter().map(shown).collect(), anchor }
}

/// Only those on a way to a trusted authority are asked about: an address in a certificate for which nobody
/// vouches is not gone to.
fn revocations(request: &Request, shake: &Shake, way: &[Certificate], report: &mut Report) -> Vec<Finding> {
    let mut found = Vec::new();
    if request.revocation == Policy::Off {
        return found;
    }
    let near = report.addresses.iter().all(|address| revocation::is_near(address.ip()));
    for (depth, pair) in way.windows(2).take(ASKED).enumerate() {
        let [certificate, issuer] = pair else { continue };
        if depth > 0 && certificate.ocsp.is_empty() {
            continue; // many authorities' own certificates name no responder
        }
        let staple = shake.staple.as_deref().filter(|_| depth == 0);
        let revocation = revocation::look(certificate, issuer, staple, request.limit, near);
        found.extend(revocation::finding(&revocation, request.revocation));
        if !report.revocation.contains(&revocation) {
            report.revocation.push(revocation);
        }
    }
    found
}

fn client_side(request: &Request, shakes: &[Shake], findings: &mut Vec<Finding>) -> ClientSide {
    let refused = shakes.iter().find_map(|shake| match shake.end {
        End::Refused(alert) => Some(alert),
        _ => None,
    });
    let asked = shakes.iter().any(|shake| shake.asked);
    let authorities = shakes.iter().map(|shake| &shake.authorities).find(|names| !names.is_empty());
    let authorities = authorities.cloned().unwrap_or_default();
    if let Some(client) = request.client
        && let Some(leaf) = client.chain.first()
    {
        let own = path::find(leaf, &client.chain, request.anchors, clock::now());
        let own = path::judge(&own, &Purpose::ClientAuth, request.view);
        // which authorities the server trusts is its own affair
        findings.extend(own.into_iter().filter(|found| found.row != Some(Row::UnknownAuthority)));
        if let Some(alert) = refused {
            findings.push(turned_away(alert, &leaf.title()));
        }
    } else if refused.is_some() {
        let texts = [
            "the server turns clients without a certificate away",
            "server.certificate.clientauthpolicy requires a client's certificate",
            "`demisto-install cert client` makes one; show it with --client-cert and --client-key",
        ];
        findings.push(Finding::other(
            "client-certificate-required",
            Severity::Warning,
            request.wanted().to_string(),
            texts,
        ));
    }
    let shown = request.client.is_some() && asked;
    let asked = match (asked, refused) {
        (false, _) => Asked::No,
        (true, _) if shown => Asked::Yes,
        (true, Some(_)) => Asked::Required,
        (true, None) => Asked::Wanted,
    };
    ClientSide { asked, authorities, accepted: shown.then_some(refused.is_none()) }
}

/// What an alert about our certificate means (RFC 8446, 6.2), in the words of the table where it has some.
fn turned_away(alert: Option<i32>, subject: &str) -> Finding {
    let row = match alert {
        Some(44) => Some(Row::Revoked),
        Some(45) => Some(Row::Expired),
        Some(48) => Some(Row::UnknownAuthority),
        Some(43) => Some(Row::IncompatibleUsage),
        _ => None,
    };
    let said = alert.map_or_else(|| "it closes the connection".to_owned(), alerts::name);
    let cause = format!("the server does not accept the client's certificate: {said}");
    match row {
        Some(row) => Finding::row(row, Severity::Error, subject, row.text().message).because(cause),
        None => {
            let fix = "look at the server's log, and at `demisto-install cert check CHAIN KEY --role client`";
            let texts = ["the server turns the client's certificate away", &cause, fix];
            Finding::other("client-certificate-refused", Severity::Error, subject, texts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        let target = |text: &str| text.parse::<Target>().map(|t| (t.host.to_string(), t.port));
        let of = |host: &str, port| Ok((host.to_owned(), port));
        assert_eq!(target("soar.example.test:8443"), of("soar.example.test", 8443));
        assert_eq!(target("soar"), of("soar", 443));
        assert_eq!(target("[::1]:443"), of("::1", 443));
        assert_eq!(target("[::ffff:10.0.0.1]"), of("10.0.0.1", 443));
        assert_eq!(target("10.0.0.1:1"), of("10.0.0.1", 1));
        for bad in ["", ":443", "a:", "a:x", "a:+1", "a:70000", "::1", "[::1", "[a]:1", "a b:1", "a/b", "a:0"]
        {
            assert!(target(bad).is_err(), "{bad}");
        }
    }
}
