//! One handshake with a server, directly or through a proxy: what it shows, and where that leads.

use super::handshake::{self, Outcome, Shake};
use super::{Error, Finding, Protocol, Request, SILENT, ended, leaf, names, path, read};
use crate::certs::look::{Certificate, Purpose};
use crate::sys::clock;

/// What was seen.
#[derive(Debug, Clone)]
pub struct Reached {
    /// The addresses of the server, or of the proxy.
    pub addresses: Vec<std::net::SocketAddr>,
    /// The newest version that both speak.
    pub version: Protocol,
    /// The certificates as they were served.
    pub chain: Vec<Certificate>,
    /// The last certificate on the way from the server's own one: the trusted one, if there is a way to one.
    pub end: Option<Certificate>,
    /// Whether that one is trusted.
    pub anchored: bool,
    /// What is wrong with the certificates, in the order in which the product comes to it. Revocation is not asked
    /// for.
    pub findings: Vec<Finding>,
}

/// Makes a handshake of TLS 1.3, or of TLS 1.2 where that one does not work, and judges what is shown.
///
/// # Errors
/// When the server or the proxy cannot be reached, or the server does not speak TLS.
pub fn reach(request: &Request) -> Result<Reached, Error> {
    let addresses = request.resolve()?;
    let mut why = String::new();
    for version in [Protocol::Tls13, Protocol::Tls12] {
        match handshake::shake(request, &addresses, version)? {
            Outcome::Shown(shake) => return Ok(judge(request, addresses, version, &shake)),
            Outcome::Nothing(reason) => why = reason,
            Outcome::Silent => why = SILENT.to_owned(),
        }
    }
    Err(Error::NoTls { host: request.host.to_string(), port: request.port, why })
}

fn judge(
    request: &Request,
    addresses: Vec<std::net::SocketAddr>,
    version: Protocol,
    shake: &Shake,
) -> Reached {
    let (chain, mut findings) = read(shake);
    let (mut end, mut anchored) = (None, false);
    if let Some(leaf) = leaf(shake, &chain) {
        let path = path::find(leaf, &chain, request.anchors, clock::now());
        findings.extend(path::judge(&path, &Purpose::ServerAuth, request.view));
        findings.extend(names::judge(leaf, request.wanted(), request.view));
        anchored = path.anchored;
        end = path.certificates.into_iter().last();
    }
    findings.extend(ended(std::slice::from_ref(shake), &request.wanted().to_string()));
    Reached { addresses, version, chain, end, anchored, findings }
}
