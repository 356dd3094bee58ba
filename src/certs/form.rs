//! The forms in which private keys are written down, and what the product makes of each.

use std::fmt;

/// How a key is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Syntax {
    /// PKCS#1 (RFC 8017) or SEC 1 (RFC 5915): `BEGIN RSA PRIVATE KEY`, `BEGIN EC PRIVATE KEY`.
    Traditional,
    /// PKCS#8 (RFC 5958): `BEGIN PRIVATE KEY`, `BEGIN ENCRYPTED PRIVATE KEY`.
    Pkcs8,
    /// PKCS#12 (RFC 7292): `.p12`, `.pfx`.
    Pkcs12,
    /// What `ssh-keygen` writes.
    OpenSsh,
}

/// The form of a key in a file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Form {
    /// How it is written down.
    pub syntax: Syntax,
    /// Whether it is PEM; DER otherwise.
    pub pem: bool,
    /// Whether a passphrase is needed.
    pub encrypted: bool,
    /// The cipher of `DEK-Info`.
    pub cipher: Option<String>,
    /// Whether `BEGIN EC PARAMETERS` stands in front of it.
    pub parameters_block: bool,
    /// Whether the curve is spelt out instead of named. Known only of a key that was opened.
    pub explicit_curve: bool,
}

/// What keeps the product from reading a form, or may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Problem {
    /// DER.
    NotPem,
    /// PKCS#8 with a passphrase: refused (Administrator Guide, "Create a Private Key and CSR").
    EncryptedPkcs8,
    /// PKCS#8 without one: read today, but the guide names the traditional form only.
    PlainPkcs8,
    /// PKCS#12.
    Pkcs12,
    /// OpenSSH's own form.
    OpenSsh,
    /// A block of EC parameters (guide, "Configuration Tricks and Tips").
    ParametersBlock,
    /// A curve that is spelt out (the same).
    ExplicitCurve,
    /// The key's encryption names no cipher that Go's `x509.DecryptPEMBlock` knows.
    UnknownCipher,
}

impl Problem {
    /// Whether the product cannot read the key because of it.
    #[must_use]
    pub fn is_fatal(self) -> bool {
        self != Self::PlainPkcs8
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotPem => "the key is binary (DER); the product reads PEM",
            Self::EncryptedPkcs8 => "the key is an encrypted PKCS#8 file, which the product cannot read",
            Self::PlainPkcs8 => "the key is PKCS#8; the guide names the traditional form only",
            Self::Pkcs12 => "key and certificates are in one PKCS#12 file; the product reads two PEM files",
            Self::OpenSsh => "the key is in the form of OpenSSH, which the product cannot read",
            Self::ParametersBlock => {
                "EC parameters stand in front of the key, which the product takes for no key"
            }
            Self::ExplicitCurve => "the key's curve is spelt out; the product reads named curves only",
            Self::UnknownCipher => "the key is encrypted with a cipher that the product does not know",
        })
    }
}

/// Ciphers of `DEK-Info` that the product knows: those of Go's `x509.DecryptPEMBlock`.
const CIPHERS: [&str; 5] = ["DES-CBC", "DES-EDE3-CBC", "AES-128-CBC", "AES-192-CBC", "AES-256-CBC"];
impl Form {
    /// What is wrong with it for the product; empty for the form that is written here.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let unknown = self.cipher.as_deref().is_some_and(|cipher| !CIPHERS.contains(&cipher));
        let pkcs8 = self.syntax == Syntax::Pkcs8;
        [
            (self.syntax == Syntax::Pkcs12, Problem::Pkcs12),
            (self.syntax == Syntax::OpenSsh, Problem::OpenSsh),
            (!self.pem && self.syntax != Syntax::Pkcs12, Problem::NotPem),
            (pkcs8 && self.encrypted, Problem::EncryptedPkcs8),
            (pkcs8 && !self.encrypted, Problem::PlainPkcs8),
            (self.parameters_block, Problem::ParametersBlock),
            (self.explicit_curve, Problem::ExplicitCurve),
            (unknown, Problem::UnknownCipher),
        ]
        .into_iter()
        .filter_map(|(there, problem)| there.then_some(problem))
        .collect()
    }

    /// Whether the product reads it.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        !self.problems().into_iter().any(Problem::is_fatal)
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let syntax = match self.syntax {
            Syntax::Traditional => "traditional",
            Syntax::Pkcs8 => "PKCS#8",
            Syntax::Pkcs12 => "PKCS#12",
            Syntax::OpenSsh => "OpenSSH",
        };
        let coding = match (self.pem, self.syntax) {
            (_, Syntax::Pkcs12) => "",
            (true, _) => " PEM",
            (false, _) => " DER",
        };
        write!(f, "{syntax}{coding}{}", if self.encrypted { ", encrypted" } else { "" })
    }
}
