//! A look at the TLS of a server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use zeroize::Zeroizing;

use super::check::{self, Asked, Settings};
use crate::certs::check::{Revocation, Role, Severity};
use crate::certs::look::Certificate;
use crate::certs::{self, look};
use crate::probe::{self, Client, Finding, Host, Policy, Report, Request, Row, Target, View};
use crate::sys;
use crate::types::{Secret, error_chain};
use crate::workflow::Session;

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
    /// What is done about revocation; as the configuration says, or a warning, unless given.
    pub revocation: Option<Policy>,
    /// Whether to do as the configuration of the installation says.
    pub installed: bool,
    /// How long each connection may take.
    pub limit: Duration,
}

/// A file that cannot be used for a probe.
#[derive(Debug, thiserror::Error)]
#[error("{} holds no certificate in PEM or DER form", .0.display())]
pub struct NoCertificate(pub PathBuf);

/// What is wrong with a pair when the product cannot even load it: rules of `cert check`.
const UNLOADABLE: [&str; 15] = [
    "nothing-inside",
    "not-pem",
    "certificate-unreadable",
    "key-mismatch",
    "key-form",
    "key-pkcs8-encrypted",
    "key-ec-parameters",
    "key-explicit-curve",
    "key-cipher",
    "key-unreadable",
    "key-passphrase-missing",
    "key-passphrase-wrong",
    "file-missing",
    "file-owner",
    "path-closed",
];

/// Looks at a server, with the authorities that the host trusts.
///
/// # Errors
/// When a file of authorities or the configuration cannot be used, nothing is installed whose configuration
/// is to be used, or the server cannot be reached or does not speak TLS.
pub fn probe(session: &Session, options: &Options) -> Result<Report> {
    let mut anchors = check::anchors(session).unwrap_or_else(|| {
        session.sink.warn("no trust store of this host can be read, so none of its authorities counts");
        Vec::new()
    });
    for file in &options.authorities {
        anchors.extend(authorities(file)?);
    }
    let mut own = if options.installed { installed(session)? } else { Own::default() };
    if let Some((chain, key)) = &options.client {
        match load(chain, key, options.passphrase.as_ref()) {
            Ok(client) => own.client = Some(client),
            Err(why) => own.findings.push(why),
        }
    }
    let request = Request {
        host: options.target.host.clone(),
        port: options.target.port,
        via: None,
        server_name: options.server_name.clone(),
        view: options.view,
        anchors: &anchors,
        client: own.client.as_ref(),
        revocation: options.revocation.or(own.revocation).unwrap_or(Policy::Soft),
        limit: options.limit,
    };
    let mut report = probe::probe(&request)?;
    // the product reads its own certificate before it connects
    own.findings.append(&mut report.findings);
    own.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    report.findings = own.findings;
    Ok(report)
}

/// What the side that connects brings.
#[derive(Default)]
struct Own {
    client: Option<Client>,
    revocation: Option<Policy>,
    findings: Vec<Finding>,
}

/// What the configuration of the installation says.
fn installed(session: &Session) -> Result<Own> {
    let settings = Settings::read(session)?;
    let pairs = check::installed(session, &Asked::default())?;
    let revocation = match settings.revocation() {
        Revocation::Off => Policy::Off,
        Revocation::Soft => Policy::Soft,
        Revocation::Require => Policy::Require,
    };
    let mut own = Own { revocation: Some(revocation), ..Own::default() };
    let any = "engine.connection.trust_any_certificate";
    let off = "security.certificate.override.donotverifyservercertificates";
    let unless_false = |key: &str| settings.is_set(key) != Some(false);
    let open =
        [off, any].into_iter().find(|key| unless_false(key) && (*key == off || !session.site.is_server()));
    if let Some(key) = open {
        let message = "servers' certificates are not verified: it would connect in spite of errors in them";
        let cause = format!("{key} is not false");
        let fix = format!("set {key} to false, and `demisto-install ca add FILE` with the authorities");
        let texts = [message, &cause, &fix];
        own.findings.push(Finding::other(
            "not-verified",
            Severity::Warning,
            session.site.config_file(),
            texts,
        ));
    }
    let shows = settings.is_set("security.client.enabled") == Some(true);
    let Some(pair) = pairs.into_iter().find(|pair| shows && pair.role == Role::Client) else {
        return Ok(own);
    };
    let opened = pair.opened();
    let judged = check::judge(session, pair, None);
    let unusable = judged.findings.iter().find(|found| UNLOADABLE.contains(&found.id));
    match unusable {
        Some(found) => {
            let message = Row::ClientCertificate.text().message;
            let finding = Finding::row(Row::ClientCertificate, Severity::Error, &found.file, message);
            own.findings
                .push(finding.because(format!("{}: {}", found.what, found.why)).mended_by(&found.fix));
        }
        None => own.client = opened.map(|(chain, key)| Client { chain, key }),
    }
    Ok(own)
}

/// The certificates of a file, PEM or DER.
pub(in crate::workflow) fn authorities(file: &Path) -> Result<Vec<Certificate>> {
    let bytes = sys::fs::read_limited(file, LIMIT)?;
    let chain = look::Chain::parse(&bytes);
    if let Some(why) = chain.cut() {
        return Err(anyhow::Error::new(why.clone()).context(format!("cannot use {}", file.display())));
    }
    let mut found = chain.certificates;
    found.extend(Certificate::from_der(&bytes));
    if found.is_empty() { Err(NoCertificate(file.to_owned()).into()) } else { Ok(found) }
}

/// Reads what is shown when a client's certificate is asked for, or says in the product's words why it cannot be.
fn load(chain: &Path, key: &Path, passphrase: Option<&Secret>) -> Result<Client, Finding> {
    let unreadable = |file: &Path, why: &sys::Error| {
        let fix = if why.is_not_found() {
            "give the path of a file that is there".to_owned()
        } else {
            format!(
                "the key must be yours or root's, and nobody else may read it: chmod 600 {}",
                file.display()
            )
        };
        unusable(file, error_chain(why)).mended_by(fix)
    };
    let unfit = |error: certs::Error| {
        let of_chain = matches!(error, certs::Error::Chain(_) | certs::Error::ChainForm(_));
        let finding = unusable(if of_chain { chain } else { key }, error_chain(&error));
        match fix(&error) {
            Some(fix) => finding.mended_by(fix),
            None => finding,
        }
    };
    let pem = Zeroizing::new(sys::fs::read_limited(chain, LIMIT).map_err(|e| unreadable(chain, &e))?);
    if sys::fs::read_limited(key, LIMIT).is_ok_and(|key| certs::are_exchanged(&pem, &Zeroizing::new(key))) {
        return Err(unfit(certs::Error::Exchanged));
    }
    let text = certs::chain_text(pem.to_vec()).map_err(unfit)?;
    let secret = sys::fs::read_secret(key, LIMIT).map(Zeroizing::new).map_err(|e| unreadable(key, &e))?;
    let no_key = |_| unfit(certs::Error::Key(certs::key::Error::NoKey));
    let secret = std::str::from_utf8(&secret).map_err(no_key)?;
    certs::check_pair(&text, secret, passphrase).map_err(unfit)?;
    let found = certs::key::read(secret.as_bytes(), passphrase).map_err(|e| unfit(e.into()))?;
    Ok(Client { chain: look::Chain::parse(text.as_bytes()).certificates, key: found.key })
}

fn unusable(file: &Path, why: String) -> Finding {
    let message = Row::ClientCertificate.text().message;
    Finding::row(Row::ClientCertificate, Severity::Error, file.display().to_string(), message).because(why)
}

/// What helps a pair that cannot be shown, where that is more than the row says.
fn fix(error: &certs::Error) -> Option<&'static str> {
    use certs::key::Error as E;
    match error {
        certs::Error::Exchanged => Some("give --client-cert and --client-key the other way round"),
        certs::Error::Form(_) | certs::Error::ChainForm(_) => {
            Some("`demisto-install cert convert FILE --out-dir DIR` writes the form that the product reads")
        }
        certs::Error::Mismatch => {
            Some("give the key that belongs to the certificate, or have one issued for this key")
        }
        certs::Error::Key(E::Encrypted | E::WrongPassphrase | E::Passphrase(_)) => {
            Some("give the passphrase that was set when the key was made: --client-passphrase-file FILE")
        }
        certs::Error::Key(E::NoKey) => Some("give the file with the certificate's private key"),
        _ => None,
    }
}
