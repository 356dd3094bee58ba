//! A server of Cortex XDR as this host sees it.

use super::anchors;
use crate::preflight::Severity::Error;
use crate::preflight::{Check, Verdict};

/// What was seen of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name, as it was given.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The proxy that it was gone to through, without credentials.
    pub proxy: Option<String>,
    /// What came of it.
    pub attempt: Attempt,
}

impl std::fmt::Display for Endpoint {
    /// As it is written down: host and port.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port, .. } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// How far it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// The name (that of the proxy, if there is one) has no address.
    NoAddress(String),
    /// There is no connection to the server, or to the proxy.
    NoConnection(String),
    /// The proxy opens no way, with the status that it gave if it speaks HTTP.
    NoWay(Option<u16>, String),
    /// Something answers, but not in TLS.
    NoTls(String),
    /// Certificates were shown.
    Shown(Shown),
}

/// What was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The addresses of the server, or of the proxy.
    pub addresses: Vec<String>,
    /// The version of TLS.
    pub version: String,
    /// The subject of the server's certificate.
    pub subject: String,
    /// Why the handshake did not end well, if it did not.
    pub broken: Option<String>,
    /// What is wrong with its names.
    pub name: Option<String>,
    /// Who is not valid now, and how.
    pub time: Option<String>,
    /// Why no authority that is trusted here vouches for it, or not in a way that counts.
    pub trust: Option<String>,
    /// Where the way from it ends.
    pub end: End,
}

/// The end of the way from a server's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// An authority that came with the host's packages, by its subject.
    Public(String),
    /// One of the vendor's anchors, whoever put it into the store.
    Vendor(String),
    /// An authority that the host trusts because somebody added it: subject, and the file if it is known.
    Added(String, Option<String>),
    /// An authority that is not trusted here, by the name that the last certificate gives its issuer.
    Unknown(String),
}

/// The checks of a server, in the order in which a connection comes to them.
pub const CHECKS: &[Check<Endpoint>] = &[
    Check {
        id: "fqdn-address",
        severity: Error,
        what: "the name has an address",
        why: "the agent finds the service by its name",
        fix: "have the name servers of this host (/etc/resolv.conf) resolve names of the internet, or go through a proxy with --proxy",
        function: address,
    },
    Check {
        id: "fqdn-connection",
        severity: Error,
        what: "a connection over TCP is made, directly or through the proxy",
        why: "servers, storage buckets and resources of Cortex XDR have to be reachable (the vendor's page, step 2)",
        fix: "let this host connect to that name and port in the firewalls in between, or go through a proxy with --proxy",
        function: connection,
    },
    Check {
        id: "fqdn-tls",
        severity: Error,
        what: "what answers speaks TLS 1.2 or 1.3",
        why: "everything that goes to Cortex XDR is in TLS",
        fix: "look which firewall or proxy answers in the place of the server",
        function: tls,
    },
    Check {
        id: "fqdn-name",
        severity: Error,
        what: "the certificate has the name that was asked for",
        why: "the agent refuses a certificate for another name",
        fix: "look whether the name resolves to the right address, and which firewall or proxy answers in the place of the server",
        function: name,
    },
    Check {
        id: "fqdn-validity",
        severity: Error,
        what: "every certificate on the way is valid now",
        why: "the agent refuses a certificate that has expired or is not yet valid",
        fix: "look at the clock of this host; if it is right, look which firewall or proxy answers in the place of the server",
        function: validity,
    },
    Check {
        id: "fqdn-trust",
        severity: Error,
        what: "an authority that this host trusts vouches for the certificate",
        why: "the agent refuses a certificate whose authority is not in the store of the operating system (the vendor's page, step 3)",
        fix: "`demisto-install ca add FILE` with the anchor that is missing here",
        function: trust,
    },
    Check {
        id: "fqdn-interception",
        severity: Error,
        what: "the authority is a public one, and not that of a firewall or proxy on the way that decrypts TLS",
        why: "an agent that finds another certificate than the vendor's may not connect (the vendor's page, step 7)",
        fix: "exclude the name from decryption",
        function: interception,
    },
];

const NO_ADDRESS: &str = "the name has no address";
const NO_CONNECTION: &str = "there is no connection";
const NO_TLS: &str = "no certificate was shown";

fn address(endpoint: &Endpoint) -> Verdict {
    match (&endpoint.attempt, &endpoint.proxy) {
        (Attempt::NoAddress(why), None) => Verdict::fail(why),
        (Attempt::NoAddress(why), Some(proxy)) => Verdict::fail(format!("the proxy {proxy}: {why}"))
            .mended_by("give a proxy whose name this host knows"),
        (_, Some(proxy)) => Verdict::skipped(format!("the proxy {proxy} looks the name up")),
        (Attempt::Shown(shown), None) => Verdict::pass(shown.addresses.join(", ")),
        (_, None) => Verdict::pass("it has one"),
    }
}

fn connection(endpoint: &Endpoint) -> Verdict {
    let through = endpoint.proxy.as_ref().map(|proxy| format!("through {proxy}"));
    match &endpoint.attempt {
        Attempt::NoAddress(_) => Verdict::skipped(NO_ADDRESS),
        Attempt::NoConnection(why) => match through {
            Some(through) => Verdict::fail(format!("{through}: {why}"))
                .mended_by("look whether the proxy runs there, and on which port"),
            None => Verdict::fail(why),
        },
        Attempt::NoWay(status, why) => {
            let host = &endpoint.host;
            let fix = match status {
                Some(407) => {
                    "give the proxy's user and password with --proxy-credentials-file FILE, or have it let this host through without"
                        .to_owned()
                }
                Some(401 | 403 | 405) => format!("have the proxy let this host connect to {host}:{}", endpoint.port),
                Some(_) => format!("have the administrators of the proxy look why it does not reach {host}"),
                None => "look whether an HTTP proxy runs there".to_owned(),
            };
            Verdict::fail(format!("{}: {why}", through.unwrap_or_default())).mended_by(fix)
        }
        Attempt::NoTls(_) | Attempt::Shown(_) => Verdict::pass(
            through.map_or_else(|| "directly".to_owned(), |through| format!("{through}, with CONNECT")),
        ),
    }
}

/// What was shown, or why nothing was.
fn shown(endpoint: &Endpoint) -> Result<&Shown, Verdict> {
    match &endpoint.attempt {
        Attempt::Shown(shown) => Ok(shown),
        Attempt::NoTls(_) => Err(Verdict::skipped(NO_TLS)),
        Attempt::NoAddress(_) => Err(Verdict::skipped(NO_ADDRESS)),
        Attempt::NoConnection(_) | Attempt::NoWay(..) => Err(Verdict::skipped(NO_CONNECTION)),
    }
}

fn tls(endpoint: &Endpoint) -> Verdict {
    match (&endpoint.attempt, shown(endpoint)) {
        (Attempt::NoTls(why), _) => Verdict::fail(why),
        (_, Ok(Shown { broken: Some(why), .. })) => Verdict::fail(why),
        (_, Ok(shown)) => Verdict::pass(&shown.version),
        (_, Err(skipped)) => skipped,
    }
}

/// A verdict on one thing that may be wrong with what was shown.
fn of(endpoint: &Endpoint, wrong: fn(&Shown) -> &Option<String>) -> Verdict {
    match shown(endpoint) {
        Ok(shown) => match wrong(shown) {
            Some(wrong) => Verdict::fail(wrong),
            None => Verdict::pass(&shown.subject),
        },
        Err(skipped) => skipped,
    }
}

fn name(endpoint: &Endpoint) -> Verdict {
    of(endpoint, |shown| &shown.name)
}

fn validity(endpoint: &Endpoint) -> Verdict {
    of(endpoint, |shown| &shown.time)
}

fn trust(endpoint: &Endpoint) -> Verdict {
    let verdict = of(endpoint, |shown| &shown.trust);
    match shown(endpoint).map(|shown| (&shown.trust, &shown.end)) {
        Ok((Some(_), End::Unknown(issuer))) => match anchors::by_issuer(issuer) {
            Some(anchor) => verdict.mended_by(format!("`demisto-install ca add FILE` with {}", anchor.name)),
            None => verdict.mended_by(format!(
                "if {issuer} is an authority of your own, something on the way decrypts TLS: {}; else have this host trust that authority",
                exclude(&endpoint.host)
            )),
        },
        Ok((Some(_), _)) => {
            verdict.mended_by("look at the whole way with `demisto-install cert probe HOST:PORT --as browser`")
        }
        _ => verdict,
    }
}

fn interception(endpoint: &Endpoint) -> Verdict {
    let end = match shown(endpoint) {
        Ok(shown) => &shown.end,
        Err(skipped) => return skipped,
    };
    let instead = format!("something on the way answers in the place of {}", endpoint.host);
    match end {
        End::Public(subject) => {
            Verdict::pass(format!("it leads to {subject}, which came with this host's packages"))
        }
        End::Vendor(subject) => Verdict::pass(format!("it leads to {subject}, one of the vendor's anchors")),
        End::Added(subject, file) => {
            let whence = match file {
                Some(file) => format!("which was added to this host ({file})"),
                None => "which did not come with this host's packages".to_owned(),
            };
            Verdict::fail(format!("it leads to {subject}, {whence}: {instead}"))
                .mended_by(exclude(&endpoint.host))
        }
        End::Unknown(issuer) => match anchors::by_issuer(issuer) {
            Some(anchor) => {
                Verdict::skipped(format!("it was issued by {}, which has to be trusted first", anchor.name))
            }
            None => {
                let else_ = "or the server does not show its whole chain";
                Verdict::fail(format!(
                    "it leads to {issuer}, which is no public authority here: {instead}, {else_}"
                ))
                .mended_by(exclude(&endpoint.host))
            }
        },
    }
}

/// The advice of the vendor's page, step 7.
fn exclude(host: &str) -> String {
    format!(
        "exclude {host} from TLS decryption in the firewall or proxy on the way; with PAN-OS 8.0 and later: Device > Certificate Management > SSL Decryption Exclusion, add {host}"
    )
}
