use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;
use sequoia_openpgp as openpgp;

use openpgp::Cert;
use openpgp::cert::amalgamation::ValidateAmalgamation as _;
use openpgp::serialize::MarshalInto as _;

use super::Error;
use super::rules::{self, Rules};
use super::text::clean;
use crate::types::Fingerprint;

/// Where a trusted key came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Compiled into the program, from the key file of this name.
    BuiltIn(String),
    /// Imported by the administrator.
    Imported(PathBuf),
    /// Given for this run only.
    ThisRun(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn(name) => write!(f, "built in ({name})"),
            Self::Imported(path) => write!(f, "imported ({})", path.display()),
            Self::ThisRun(path) => write!(f, "given for this run ({})", path.display()),
        }
    }
}

/// One trusted certificate.
#[derive(Debug, Clone)]
pub struct Anchor {
    cert: Cert,
    fingerprint: Fingerprint,
    origin: Origin,
}

impl Anchor {
    /// An anchor of `cert`; `None` when its fingerprint is of an unknown kind.
    pub(super) fn new(cert: Cert, origin: Origin) -> Option<Self> {
        let fingerprint = rules::fingerprint(&cert.fingerprint())?;
        Some(Self { cert, fingerprint, origin })
    }

    /// Adds what another copy of the same certificate knows: revocations, newer validity.
    pub(super) fn merge(&mut self, other: Cert) -> openpgp::Result<()> {
        self.cert = self.cert.clone().merge_public(other)?;
        Ok(())
    }

    /// The fingerprint of its primary key.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The names that the certificate's owner gave it, fit for a terminal, the primary one first.
    #[must_use]
    pub fn user_ids(&self) -> Vec<String> {
        let all_time = Rules::lenient();
        let end = rules::end_of_time();
        let mut names: Vec<String> = Vec::new();
        let valid = self.cert.with_policy(&all_time, end).ok();
        let primary = valid.as_ref().and_then(|valid| valid.primary_userid().ok());
        let others = self.cert.userids().filter(|id| id.with_policy(&all_time, end).is_ok());
        for value in primary.iter().map(|id| id.userid().value()).chain(others.map(|id| id.userid().value()))
        {
            let name = clean(value);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Its first name, or `(no name)`.
    #[must_use]
    pub fn name(&self) -> String {
        self.user_ids().into_iter().next().unwrap_or_else(|| "(no name)".to_owned())
    }

    /// Where it came from first.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// When its primary key was made.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        rules::timestamp(self.cert.primary_key().key().creation_time())
    }

    /// When it runs out, by its newest self-signature; `None` when it never does.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        let lenient = Rules::lenient();
        let valid = self.cert.with_policy(&lenient, rules::end_of_time()).ok()?;
        valid.primary_key().key_expiration_time().map(rules::timestamp)
    }

    /// What keeps it from counting at `at`, if anything does.
    #[must_use]
    pub fn fault(&self, at: Timestamp) -> Option<String> {
        rules::fault_of(&self.cert, at)
    }

    /// Adds what another copy of the same certificate knows.
    ///
    /// # Errors
    /// When they are different certificates.
    pub(crate) fn absorb(&mut self, other: &Self) -> Result<(), Error> {
        let why = || "it cannot be merged with another copy of the same key".to_owned();
        self.merge(other.cert.clone())
            .map_err(|_| Error::KeyFile { origin: self.origin.to_string(), why: why() })
    }

    /// The certificate as text between `-----BEGIN PGP PUBLIC KEY BLOCK-----` and its end.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub(crate) fn armoured(&self) -> Result<Vec<u8>, Error> {
        let why = || "it cannot be written down".to_owned();
        let written = self.cert.armored().to_vec();
        written.map_err(|_| Error::KeyFile { origin: self.origin.to_string(), why: why() })
    }

    /// The certificate.
    pub(crate) fn cert(&self) -> &Cert {
        &self.cert
    }
}
