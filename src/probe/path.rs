//! From a certificate to an authority that is trusted, by the rules of Go's crypto/x509, which the product uses:
//! every certificate that was served may be an issuer, in whatever order they came.

use std::cmp::Reverse;

use jiff::Timestamp;
use openssl::error::ErrorStack;
use openssl::stack::Stack;
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509StoreContext, X509VerifyResult};

use super::View;
use super::row::{Finding, Row};
use crate::certs::check::Severity;
use crate::certs::look::{Certificate, Hash, KeyKind as K, Purpose, Usage};

/// Longest way.
const DEPTH: usize = 10;
/// Most signatures that are checked for one certificate; Go checks as many.
const CHECKS: usize = 100;

/// The best way that was found.
#[derive(Debug, Default)]
pub(super) struct Path {
    /// From the leaf on.
    pub(super) certificates: Vec<Certificate>,
    /// Whether its end is trusted.
    pub(super) anchored: bool,
    /// What is wrong on the way.
    pub(super) problems: Vec<Problem>,
}

/// Something that Go would not accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// Not valid now.
    Time { subject: String, message: String },
    /// An issuer that is not marked as an authority.
    Flag { subject: String },
    /// An issuer of that name whose key did not sign it, or in a way that is refused.
    Signature { subject: String, why: String },
}

struct Search<'a> {
    served: &'a [Certificate],
    anchors: &'a [Certificate],
    now: Timestamp,
    checks: usize,
    best: Path,
}

/// What makes one way better than another: where it ends; how far it leads if it ends nowhere; what is wrong.
fn rank(path: &Path) -> (bool, usize, Reverse<usize>) {
    let length = if path.anchored { 0 } else { path.certificates.len() };
    (path.anchored, length, Reverse(path.problems.len()))
}

/// Finds a way without a problem, else the one with the fewest, one that ends at a trusted certificate first.
pub(super) fn find(
    leaf: &Certificate,
    served: &[Certificate],
    anchors: &[Certificate],
    now: Timestamp,
) -> Path {
    let mut search = Search { served, anchors, now, checks: 0, best: Path::default() };
    let problems = time(leaf, now).into_iter().collect();
    let anchored = anchors.iter().any(|anchor| anchor.der() == leaf.der());
    search.walk(Path { certificates: vec![leaf.clone()], anchored, problems });
    search.best
}

impl Search<'_> {
    /// Goes on from the end of `path`; whether nothing better can be found.
    fn walk(&mut self, path: Path) -> bool {
        let (depth, anchored) = (path.certificates.len(), path.anchored);
        if self.best.certificates.is_empty() || rank(&path) > rank(&self.best) {
            self.best =
                Path { certificates: path.certificates.clone(), anchored, problems: path.problems.clone() };
        }
        if anchored || depth >= DEPTH {
            return anchored && path.problems.is_empty();
        }
        let Some(last) = path.certificates.last() else { return false };
        let mut hints = Vec::new();
        for (issuer, anchored) in self.issuers(last) {
            let known = |certificate: &Certificate| certificate.der() == issuer.der();
            if path.certificates.iter().any(known) || self.checks >= CHECKS {
                continue;
            }
            self.checks = self.checks.saturating_add(1);
            if let Some(why) = unsigned(last, &issuer) {
                hints.push(Problem::Signature { subject: issuer.title(), why });
                continue;
            }
            let mut problems = path.problems.clone();
            problems.extend(may_not_sign(&issuer, anchored));
            problems.extend(time(&issuer, self.now));
            let mut certificates = path.certificates.clone();
            certificates.push(issuer);
            if self.walk(Path { certificates, anchored, problems }) {
                return true;
            }
        }
        // nobody signed the end of the best way: those who only have the name tell why
        if !self.best.anchored && self.best.certificates.len() == depth {
            self.best.problems.extend(hints);
        }
        false
    }

    /// Who has the issuer's name: the trusted ones, then those who were served.
    fn issuers(&self, of: &Certificate) -> Vec<(Certificate, bool)> {
        let named = |issuer: &&Certificate| {
            let order = issuer.x509().subject_name().try_cmp(of.x509().issuer_name());
            order.is_ok_and(|order| order.is_eq())
        };
        let trusted = self.anchors.iter().filter(named).map(|issuer| (issuer.clone(), true));
        let served = self.served.iter().filter(named).map(|issuer| (issuer.clone(), false));
        trusted.chain(served).collect()
    }
}

fn time(certificate: &Certificate, now: Timestamp) -> Option<Problem> {
    let (from, to) = (certificate.not_before, certificate.not_after);
    let how = match () {
        () if now < from => format!("current time {now} is before {from}"),
        () if now > to => format!("current time {now} is after {to}"),
        () => return None,
    };
    let message = format!("certificate has expired or is not yet valid: {how}");
    Some(Problem::Time { subject: certificate.title(), message })
}

/// Why Go does not let `issuer` sign (RFC 5280, 4.2.1.9 and 4.2.1.3). Certificates older than version 3 say
/// nothing of it: those that are trusted by themselves may sign, others may not.
fn may_not_sign(issuer: &Certificate, anchored: bool) -> Option<Problem> {
    let fine = issuer.is_ca() || anchored && issuer.version < 3 && issuer.basic.is_none();
    let fine = fine && issuer.allows(Usage::KeyCertSign);
    (!fine).then(|| Problem::Flag { subject: issuer.title() })
}

/// Why the signature under `certificate` does not count as one of `issuer`.
fn unsigned(certificate: &Certificate, issuer: &Certificate) -> Option<String> {
    if matches!(certificate.signature.hash, Some(Hash::Md2 | Hash::Md4 | Hash::Md5)) {
        let algorithm = &certificate.signature.algorithm;
        return Some(format!("x509: cannot verify signature: insecure algorithm {algorithm}"));
    }
    (!certificate.is_signed_by(issuer)).then(|| "x509: verification error: another key signed it".to_owned())
}

/// What the product says of the way, and of what the certificates on it are for.
pub(super) fn judge(path: &Path, purpose: &Purpose, view: View) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for problem in &path.problems {
        found.push(match problem {
            Problem::Time { subject, message } => Finding::row(Row::Expired, Severity::Error, subject, message),
            Problem::Flag { subject } => {
                let message = Row::AuthorityFlag.text().message.replace("<name>", subject) + ")";
                Finding::row(Row::AuthorityFlag, Severity::Error, subject, message)
            }
            Problem::Signature { subject, why } => unknown(
                path,
                &format!(
                    " (possibly because of {why:?} while trying to verify candidate authority certificate {subject:?})"
                ),
            ),
        });
    }
    if !path.anchored && !found.iter().any(|f| f.row == Some(Row::UnknownAuthority)) {
        found.push(unknown(path, ""));
    }
    if path.anchored && path.problems.is_empty() {
        found.extend(limits(&path.certificates));
    }
    found.extend(usages(&path.certificates, purpose, view));
    found.extend(path.certificates.iter().flat_map(weak));
    found
}

fn unknown(path: &Path, hint: &str) -> Finding {
    let last = path.certificates.last();
    let title = last.map(Certificate::title).unwrap_or_default();
    let cause = match last {
        Some(last) if last.self_signed && path.certificates.len() == 1 => {
            format!("{title} is signed by itself and not in the trust store of this host")
        }
        Some(last) if last.self_issued => {
            format!("the authority {title} was served, but is not in the trust store of this host")
        }
        Some(last) => format!(
            "the certificate of the authority {} that issued {title} is neither in the chain nor in the trust store of this host",
            last.issuer
        ),
        None => Row::UnknownAuthority.text().cause.to_owned(),
    };
    let message = format!("{}{hint}", Row::UnknownAuthority.text().message);
    Finding::row(Row::UnknownAuthority, Severity::Error, title, message).because(cause)
}

/// What OpenSSL says of the whole way: the limits that authorities set (RFC 5280, 4.2.1.9 and 4.2.1.10), critical
/// extensions that nobody knows, and whatever else it does not accept.
fn limits(path: &[Certificate]) -> Option<Finding> {
    let why = match verify(path) {
        Ok(result) if result == X509VerifyResult::OK => return None,
        Ok(result) => result.error_string().to_owned(),
        Err(error) => format!("it could not be checked ({error})"),
    };
    let texts = [
        &format!("the way to a trusted authority is not allowed: {why}")[..],
        "an authority on the way limits what those below it may be, or something in a certificate does not fit the others or is known to nobody",
        "get a certificate that keeps to the limits of its authorities",
    ];
    Some(Finding::other("path", Severity::Error, path.first()?.title(), texts))
}

fn verify(path: &[Certificate]) -> Result<X509VerifyResult, ErrorStack> {
    let (Some(leaf), Some(anchor)) = (path.first(), path.last()) else { return Ok(X509VerifyResult::OK) };
    let mut store = X509StoreBuilder::new()?;
    store.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
    store.add_cert(anchor.x509().clone())?;
    let mut others = Stack::new()?;
    for certificate in path.iter().skip(1) {
        others.push(certificate.x509().clone())?;
    }
    X509StoreContext::new()?.init(&store.build(), leaf.x509(), &others, |context| {
        context.verify_cert()?;
        Ok(context.error())
    })
}

/// Go wants the purpose all the way down where it is limited; the guide wants it spelt out in the leaf, and no
/// authority that may sign OCSP responses.
fn usages(path: &[Certificate], purpose: &Purpose, view: View) -> Vec<Finding> {
    let name = if *purpose == Purpose::ClientAuth { "clientAuth" } else { "serverAuth" };
    let mut found = Vec::new();
    for (depth, certificate) in path.iter().enumerate() {
        let any = certificate.is_for(&Purpose::Any);
        let listed = certificate.is_for(purpose) || depth > 0 && any;
        let strict = if view == View::Browser { Severity::Warning } else { Severity::Error };
        let (severity, cause) = match &certificate.purposes {
            _ if depth > 0 && certificate.is_for(&Purpose::OcspSigning) => {
                (Severity::Error, "it is an authority and has OCSPSigning in its extendedKeyUsage".to_owned())
            }
            Some(_) if !listed && any => {
                (strict, format!("its extendedKeyUsage is for any use, and does not name {name}"))
            }
            Some(_) if !listed => (Severity::Error, format!("its extendedKeyUsage lacks {name}")),
            None if depth == 0 => (strict, format!("it has no extendedKeyUsage, which should hold {name}")),
            _ => continue,
        };
        let message = Row::IncompatibleUsage.text().message;
        let finding = Finding::row(Row::IncompatibleUsage, severity, certificate.title(), message);
        found.push(finding.because(cause));
    }
    found
}

/// What the guide's limits of signatures and keys say; the end of the way is trusted for other reasons.
fn weak(certificate: &Certificate) -> Vec<Finding> {
    let mut found = Vec::new();
    let fix = "`demisto-install cert csr` makes a key and a request as they should be";
    if certificate.signature.hash == Some(Hash::Sha1) && !certificate.self_signed {
        let cause = "SHA-1 is for old signatures only";
        found.push(Finding::other(
            "sha1-signature",
            Severity::Warning,
            certificate.title(),
            ["the certificate is signed with SHA-1", cause, fix],
        ));
    }
    let short = match certificate.key.kind {
        K::Rsa | K::RsaPss => certificate.key.bits < 2048,
        K::Ec => certificate.key.bits < 256,
        _ => false,
    };
    if short {
        let message = format!("the certificate's key is too short: {}", certificate.key);
        let cause = "RSA needs 2048 bits or more, EC 256 or more";
        found.push(Finding::other("weak-key", Severity::Error, certificate.title(), [&message, cause, fix]));
    }
    found
}
