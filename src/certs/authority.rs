//! Authorities that a whole host is to trust.

use std::collections::BTreeSet;

use jiff::Timestamp;
use openssl::x509::X509;

use super::check::{self, File, Finding, Input, Passphrase, Revocation, Role, Severity};
use super::look::Certificate;
use crate::types::Digest;

/// The rule that an authority's issuer be there. It is trusted without, but what it issues may not be.
pub const INCOMPLETE: &str = "chain-incomplete";

/// The rule that a file be PEM: here it is written anew.
const NOT_PEM: &str = "not-pem";

/// The rule that an authority's keyUsage allow it to sign.
const SIGN: &str = "ca-sign";

/// Everything for which files of authorities must not be trusted at `now`, and authorities whose issuer is
/// not in them ([`INCOMPLETE`]). Those that are `prescribed`, by SHA-256, need not say what their key may do: they were made
/// before that was usual.
#[must_use]
pub fn problems(files: &[File], now: Timestamp, prescribed: impl Fn(&Digest) -> bool) -> Vec<Finding> {
    let (passphrase, revocation) = (Passphrase::Unknown, Revocation::Off);
    let (names, known) = (&[], &[]);
    let input = Input { role: Role::Ca, files, passphrase, names, known, now, revocation, anchors: None };
    let mut found = check::check(&input);
    let excused = |finding: &Finding| {
        let all = files
            .iter()
            .filter(|file| file.name == finding.file)
            .flat_map(|file| (1..).zip(&file.chain.certificates));
        let mut meant = all.filter(|(number, one)| check::called(*number, one) == finding.subject);
        finding.id == SIGN && meant.any(|(_, one)| one.usage.is_none() && prescribed(&one.sha256()))
    };
    found.retain(|finding| finding.severity == Severity::Error && finding.id != NOT_PEM && !excused(finding));
    found
}

/// The PEM form of a certificate, one block.
///
/// # Errors
/// When OpenSSL cannot write it.
pub fn to_pem(certificate: &Certificate) -> super::Result<String> {
    Ok(String::from_utf8_lossy(&certificate.x509().to_pem()?).into_owned())
}

/// SHA-256 of every certificate of a PEM file, however many there are; none where one of them is damaged.
#[must_use]
pub fn digests(pem: &[u8]) -> BTreeSet<Digest> {
    let stack = X509::stack_from_pem(pem).unwrap_or_default();
    stack.iter().filter_map(|certificate| certificate.to_der().ok()).map(|der| Digest::of(&der)).collect()
}
