//! A look at the TLS of a server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use openssl::x509::X509;
use zeroize::Zeroizing;

use crate::certs::{self, look};
use crate::probe::{self, Client, Finding, Host, Policy, Report, Request, Row, Severity, Target, View};
use crate::product::under;
use crate::sys;
use crate::types::{Secret, error_chain};
use crate::workflow::Session;

/// Where the trusted authorities of a host lie in one file: Debian and its kin, RHEL and its kin.
const STORES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];
/// Largest such file.
const STORE_LIMIT: u64 = 16 << 20;
/// Largest file of certificates or key.
const LIMIT: u64 = 1 << 20;

/// Who is asked, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The host and its port.
    pub target: Target,
    /// The name that is asked for, when it is not the host's.
    pub server_name: Option<Host>,
    /// Who is played.
    pub view: View,
    /// Files with authorities that are trusted besides those of the host.
    pub authorities: Vec<PathBuf>,
    /// What is shown when a client's certificate is asked for: chain and key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// The passphrase of its key.
    pub passphrase: Option<Secret>,
    /// What is done about revocation.
    pub revocation: Policy,
    /// How long each connection may take.
    pub limit: Duration,
}

/// A file that cannot be used for a probe.
#[derive(Debug, thiserror::Error)]
#[error("{} holds no certificate in PEM or DER form", .0.display())]
pub struct NoCertificate(pub PathBuf);

/// Looks at a server, with the authorities that the host trusts.
///
/// # Errors
/// When a file of authorities cannot be used, or the server cannot be reached or does not speak TLS.
pub fn probe(session: &Session, options: &Options) -> Result<Report> {
    let mut anchors = host_authorities(session)?;
    for file in &options.authorities {
        anchors.extend(authorities(file)?);
    }
    let (client, unusable) = match &options.client {
        None => (None, None),
        Some((chain, key)) => match load(chain, key, options.passphrase.as_ref()) {
            Ok(client) => (Some(client), None),
            Err(why) => (None, Some(why)),
        },
    };
    let request = Request {
        host: options.target.host.clone(),
        port: options.target.port,
        server_name: options.server_name.clone(),
        view: options.view,
        anchors: &anchors,
        client: client.as_ref(),
        revocation: options.revocation,
        limit: options.limit,
    };
    let mut report = probe::probe(&request)?;
    if let Some(finding) = unusable {
        // the product reads its own certificate before it connects
        report.findings.insert(0, finding);
    }
    Ok(report)
}

/// The authorities that the host trusts.
fn host_authorities(session: &Session) -> Result<Vec<X509>> {
    for store in STORES {
        let path = under(&session.root, store);
        match sys::fs::read_limited(&path, STORE_LIMIT) {
            Ok(pem) => return Ok(X509::stack_from_pem(&pem).map_err(|_| NoCertificate(path))?),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    session
        .sink
        .warn(format!("{} has no trust store, so no authority of it is trusted", session.root.display()));
    Ok(Vec::new())
}

fn authorities(file: &Path) -> Result<Vec<X509>> {
    let bytes = sys::fs::read_limited(file, LIMIT)?;
    let found = X509::stack_from_pem(&bytes).ok().filter(|found| !found.is_empty());
    let found = found.or_else(|| X509::from_der(&bytes).ok().map(|one| vec![one]));
    Ok(found.ok_or_else(|| NoCertificate(file.to_owned()))?)
}

/// Reads what is shown when a client's certificate is asked for, or says in the product's words why it cannot be.
fn load(chain: &Path, key: &Path, passphrase: Option<&Secret>) -> Result<Client, Finding> {
    let unusable = |file: &Path, why: &dyn std::error::Error| {
        let message = Row::ClientCertificate.text().message;
        let finding =
            Finding::row(Row::ClientCertificate, Severity::Error, file.display().to_string(), message);
        finding.because(error_chain(why))
    };
    let pem = sys::fs::read_limited(chain, LIMIT).map_err(|e| unusable(chain, &e))?;
    let text = String::from_utf8(pem).map_err(|_| unusable(chain, &certs::Error::Chain("it is not PEM")))?;
    let secret = sys::fs::read_secret(key, LIMIT).map(Zeroizing::new).map_err(|e| unusable(key, &e))?;
    let no_key = certs::Error::Key(certs::key::Error::NoKey);
    let secret = std::str::from_utf8(&secret).map_err(|_| unusable(key, &no_key))?;
    certs::check_pair(&text, secret, passphrase).map_err(|e| {
        let file = if matches!(e, certs::Error::Chain(_)) { chain } else { key };
        unusable(file, &e)
    })?;
    let found = certs::key::read(secret.as_bytes(), passphrase).map_err(|e| unusable(key, &e))?;
    Ok(Client { chain: look::Chain::parse(text.as_bytes()).certificates, key: found.key })
}
