//! The pairs of a certificate chain and its private key that the product has.

use serde::{Deserialize, Serialize};

use super::Site;

/// Where a chain and its key lie. Paths are absolute as the installed system sees them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairPaths {
    /// The chain, leaf first.
    pub chain: String,
    /// The private key.
    pub key: String,
}

/// What a pair is for. Names and configuration keys are those of the guide's table "X509v3 certificates
/// settings".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PairKind {
    /// What the server shows to browsers and engines.
    Server,
    /// What an engine shows to the server.
    Client,
    /// What an engine shows to those who connect to it.
    Listener,
}

impl PairKind {
    /// Names of chain and key in the tree.
    #[must_use]
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Server => (super::CERTIFICATE, super::CERTIFICATE_KEY),
            Self::Client => ("client.pem", "client.key"),
            Self::Listener => ("d1.pem", "d1.key"),
        }
    }

    /// The keys of the configuration that put chain and key elsewhere.
    #[must_use]
    pub fn path_keys(self) -> (&'static str, &'static str) {
        match self {
            Self::Server | Self::Listener => ("security.certfile", "security.keyfile"),
            Self::Client => ("security.client.certfile", "security.client.keyfile"),
        }
    }

    /// The key of the configuration that may hold the passphrase of the private key.
    #[must_use]
    pub fn passphrase_key(self) -> &'static str {
        match self {
            Self::Server | Self::Listener => "security.keypass",
            Self::Client => "security.certificate.client.keypass",
        }
    }

    /// Its word in names of directories and in messages.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::Listener => "listener",
        }
    }
}

/// Names of the copies of a pair that is kept, and of the record of where it was.
pub const KEPT_CHAIN: &str = "chain.pem";
/// See [`KEPT_CHAIN`].
pub const KEPT_KEY: &str = "key.pem";
/// See [`KEPT_CHAIN`]; a [`PairPaths`] in JSON.
pub const KEPT_RECORD: &str = "pair.json";

impl Site {
    /// Where a pair lies unless the configuration says otherwise.
    #[must_use]
    pub fn pair(&self, kind: PairKind) -> PairPaths {
        let (chain, key) = kind.names();
        PairPaths { chain: format!("{}/{chain}", self.tree()), key: format!("{}/{key}", self.tree()) }
    }

    /// The directory of pairs that were replaced.
    #[must_use]
    pub fn kept_pairs(&self) -> String {
        format!("{}/certificates", self.state_dir())
    }

    /// The directory of the pair that was there before.
    #[must_use]
    pub fn kept_pair(&self, kind: PairKind) -> String {
        format!("{}/{}", self.kept_pairs(), kind.word())
    }

    /// Where that is gathered before it takes its place.
    #[must_use]
    pub fn kept_pair_new(&self, kind: PairKind) -> String {
        format!("{}.new", self.kept_pair(kind))
    }

    /// Where a self-signed pair is made before it takes its place.
    #[must_use]
    pub fn made_pair(&self) -> String {
        format!("{}/made", self.kept_pairs())
    }
}
