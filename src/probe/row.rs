//! The rows of the guide's table "Troubleshooting Errors": the product's message, its cause, what to do.

use serde::{Serialize, Serializer};

use crate::certs::check::Severity;

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "`text` says what each means")]
pub enum Row {
    WrongKey,
    UnknownAuthority,
    Expired,
    OcspNotWorking,
    Revoked,
    ResponderUsage,
    AuthorityFlag,
    IncompatibleUsage,
    NoNames,
    OtherNames,
    LegacyCommonName,
    ClientCertificate,
}

/// What a row says.
#[derive(Debug, Clone, Copy)]
pub struct Text {
    /// The row's name here; never changes.
    pub key: &'static str,
    /// What the product says; `<...>` stands for what differs.
    pub message: &'static str,
    /// How it is seen by a probe.
    pub seen: &'static str,
    /// Why it happens.
    pub cause: &'static str,
    /// What helps.
    pub fix: &'static str,
}

impl Row {
    /// All, in the guide's order.
    pub const ALL: [Self; 12] = [
        Self::WrongKey,
        Self::UnknownAuthority,
        Self::Expired,
        Self::OcspNotWorking,
        Self::Revoked,
        Self::ResponderUsage,
        Self::AuthorityFlag,
        Self::IncompatibleUsage,
        Self::NoNames,
        Self::OtherNames,
        Self::LegacyCommonName,
        Self::ClientCertificate,
    ];

    /// What it says.
    #[must_use]
    pub const fn text(self) -> Text {
        match self {
            Self::WrongKey
            | Self::UnknownAuthority
            | Self::Expired
            | Self::AuthorityFlag
            | Self::ClientCertificate => self.of_files(),
            Self::OcspNotWorking | Self::Revoked | Self::ResponderUsage => self.of_revocation(),
            _ => self.of_names_and_usage(),
        }
    }

    /// Its name here.
    #[must_use]
    pub const fn key(self) -> &'static str {
        self.text().key
    }

    const fn of_files(self) -> Text {
        match self {
            Self::WrongKey => Text {
                key: "wrong-key",
                message: "invalid signature by the server certificate",
                seen: "the handshake fails at the server's signature, which the key in its certificate does not verify",
                cause: "the server's key does not belong to its certificate",
                fix: "on that server, give it the key that belongs to the certificate: `demisto-install cert check CHAIN KEY --role server`, then `demisto-install cert install --chain CHAIN --key KEY`",
            },
            Self::Expired => Text {
                key: "expired",
                message: "certificate has expired or is not yet valid",
                seen: "a certificate on the way to a trusted authority is not valid now",
                cause: "the certificate is past its end or before its beginning, or a clock is wrong",
                fix: "look at the clocks of both hosts; else get a new certificate: `demisto-install cert renew`, then `demisto-install cert install`",
            },
            Self::AuthorityFlag => Text {
                key: "authority-flag",
                message: "certificate signed by unknown authority (possibly because of \"x509: invalid signature: parent certificate cannot sign this kind of certificate\" while trying to verify candidate authority certificate \"<name>\")",
                seen: "an issuer's certificate has no basicConstraints with the cA flag, or a keyUsage without keyCertSign",
                cause: "the certificate of the authority is not marked as an authority's",
                fix: "have the authority's certificate issued anew with basicConstraints CA:TRUE and keyUsage keyCertSign, then `demisto-install ca add FILE`",
            },
            Self::ClientCertificate => Text {
                key: "client-certificate",
                message: "Failed load client certificate",
                seen: "the client's own certificate or key cannot be read, is damaged, has a form that the product cannot read, or a mode or owner that it must not have",
                cause: "the client's certificate or key is unusable",
                fix: "`demisto-install cert convert FILE --out-dir DIR` writes the form that the product reads; the files need mode 0400 and the owner demisto:demisto, which `demisto-install cert install` and `demisto-install engine configure` see to",
            },
            _ => Text {
                key: "unknown-authority",
                message: "certificate signed by unknown authority",
                seen: "no way leads from the certificate over the chain that was served to an authority that is trusted here",
                cause: "the authority's certificate is not in the trust store of this host, or an intermediate certificate is neither there nor in the chain",
                fix: "`demisto-install ca add FILE` with the authorities' certificates; a missing intermediate belongs behind the server's certificate: `demisto-install cert install --chain CHAIN --key KEY`",
            },
        }
    }

    const fn of_revocation(self) -> Text {
        match self {
            Self::Revoked => Text {
                key: "revoked",
                message: "certificate is revoked",
                seen: "an OCSP response that counts says so",
                cause: "the authority has revoked the certificate",
                fix: "get another certificate with another key: `demisto-install cert csr`, then `demisto-install cert install`",
            },
            Self::ResponderUsage => Text {
                key: "responder-usage",
                message: "Could not check OCSP revocation [error 'ExtKeyUsageOCSPSigning not found on the OCSP responder']",
                seen: "the OCSP response is signed by a certificate of the same authority without OCSPSigning in its extendedKeyUsage",
                cause: "the OCSP responder's certificate is not made for signing OCSP responses",
                fix: "have the responder's certificate issued anew with extendedKeyUsage OCSPSigning; `demisto-install cert probe HOST:PORT --revocation off` leaves revocation out",
            },
            _ => Text {
                key: "ocsp-not-working",
                message: "warning error checking revocation via OCSP",
                seen: "no OCSP response that counts: no answer in time, an HTTP or OCSP error, a damaged, unsigned or outdated response, or one that does not know the certificate",
                cause: "the OCSP responder does not work, cannot be reached from here, or is too slow",
                fix: "look at the responder and at the way to it; `security.certificate.failonunknownrevocationstatus` decides whether the product connects nevertheless",
            },
        }
    }

    const fn of_names_and_usage(self) -> Text {
        match self {
            Self::IncompatibleUsage => Text {
                key: "incompatible-usage",
                message: "certificate specifies an incompatible key usage",
                seen: "extendedKeyUsage: no serverAuth in a server's certificate, no clientAuth in a client's, neither in an authority's that has the extension, or OCSPSigning in an authority's",
                cause: "the certificate, or one of its authorities', is not made for this use",
                fix: "`demisto-install cert csr --role server --out-dir DIR` (or client) asks for the right usage; an authority must not be an OCSP responder",
            },
            Self::NoNames => Text {
                key: "no-names",
                message: "certificate is not valid for any names, but wanted to match <expected>",
                seen: "the subjectAltName has no name of the kind that was asked for",
                cause: "the certificate does not name the host, or not by that kind of name",
                fix: "`demisto-install cert csr --name NAME --out-dir DIR` asks for a certificate with the name, `--ip` for one with the address; or connect by a name that is in it",
            },
            Self::LegacyCommonName => Text {
                key: "legacy-common-name",
                message: "certificate relies on legacy Common Name field, use SANs or temporarily enable Common Name matching with GODEBUG=x509ignoreCN=0",
                seen: "no subjectAltName at all, and the common name would match",
                cause: "the host's name is in the subject only, where it does not count",
                fix: "`demisto-install cert csr --name NAME --out-dir DIR` asks for a certificate with a subjectAltName",
            },
            _ => Text {
                key: "other-names",
                message: "certificate is valid for <names>, not <expected>",
                seen: "the subjectAltName has names, but not that one; a wildcard does not count in FIPS-CC mode",
                cause: "the server is reached by a name that its certificate does not have",
                fix: "connect by a name that is in it, or get a certificate with that name: `demisto-install cert csr --name NAME --out-dir DIR`",
            },
        }
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.key())
    }
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is, in a word that never changes; the key of the row, if it is one of the table.
    pub id: &'static str,
    /// The row of the guide's table that it is.
    pub row: Option<Row>,
    /// How bad it is.
    pub severity: Severity,
    /// About which certificate, file or server.
    pub subject: String,
    /// What the product says, or what was seen.
    pub message: String,
    /// Why.
    pub cause: String,
    /// What helps.
    pub fix: String,
}

impl Finding {
    /// A row of the table, with the message that the product has for this case.
    #[must_use]
    pub fn row(row: Row, severity: Severity, subject: impl Into<String>, message: impl Into<String>) -> Self {
        let text = row.text();
        let (cause, fix) = (text.cause.to_owned(), text.fix.to_owned());
        let (subject, message) = (subject.into(), message.into());
        Self { id: text.key, row: Some(row), severity, subject, message, cause, fix }
    }

    /// The same with a cause that tells more.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = cause.into();
        self
    }

    /// The same with what helps in this case.
    #[must_use]
    pub fn mended_by(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }

    /// Something that is not in the table: what was seen, why, what helps.
    #[must_use]
    pub fn other(
        id: &'static str,
        severity: Severity,
        subject: impl Into<String>,
        [message, cause, fix]: [&str; 3],
    ) -> Self {
        let [message, cause, fix] = [message, cause, fix].map(str::to_owned);
        Self { id, row: None, severity, subject: subject.into(), message, cause, fix }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_its_own_words() {
        let mut keys: Vec<&str> = Row::ALL.iter().map(|row| row.key()).collect();
        let mut messages: Vec<&str> = Row::ALL.iter().map(|row| row.text().message).collect();
        keys.sort_unstable();
        messages.sort_unstable();
        keys.dedup();
        messages.dedup();
        assert_eq!((keys.len(), messages.len()), (12, 12));
    }
}
