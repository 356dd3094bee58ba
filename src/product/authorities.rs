//! Where hosts keep the authorities that they trust.

use serde::{Deserialize, Serialize};

/// How a host keeps the authorities that all its programs trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrustLayout {
    /// Debian and Ubuntu: update-ca-certificates(8).
    Debian,
    /// RHEL 8 and later, and its kin: update-ca-trust(8).
    Rhel,
}

impl TrustLayout {
    /// Directories of authorities that the administrator added; the first takes new ones. For RHEL the
    /// second is the one that the guide names (table "X509v3 certificates settings"); packages use it, too,
    /// so what is in there is not all the administrator's.
    #[must_use]
    pub fn anchors(self) -> &'static [&'static str] {
        match self {
            Self::Debian => &["/usr/local/share/ca-certificates"],
            Self::Rhel => &["/etc/pki/ca-trust/source/anchors", "/usr/share/pki/ca-trust-source/anchors"],
        }
    }

    /// The file of everything that is trusted (PEM), which the tool writes.
    #[must_use]
    pub fn bundle(self) -> &'static str {
        match self {
            Self::Debian => "/etc/ssl/certs/ca-certificates.crt",
            Self::Rhel => "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        }
    }

    /// The tool that writes it from the directories.
    #[must_use]
    pub fn tool(self) -> &'static str {
        match self {
            Self::Debian => "update-ca-certificates",
            Self::Rhel => "update-ca-trust",
        }
    }
}

impl std::fmt::Display for TrustLayout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Debian => "Debian",
            Self::Rhel => "RHEL",
        })
    }
}
