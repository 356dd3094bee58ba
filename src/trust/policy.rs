use std::path::Path;

use serde::Deserialize;

use super::{Error, store};
use crate::sys;
use crate::types::Fingerprint;

/// Where the policy file lies, below the root.
const FILE: &str = "etc/demisto-install/policy.toml";
/// Largest policy file that is read, in bytes.
const LIMIT: u64 = 64 << 10;

/// What a set of signatures must fulfil, beyond the rules that cannot be relaxed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// How many different certificates must have signed.
    pub threshold: usize,
    /// Whose signatures count; empty for those of every trusted certificate.
    pub signers: Vec<Fingerprint>,
    /// Whether a signature made while its key was valid still counts after the key has run out.
    pub accept_expired: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { threshold: 1, signers: Vec::new(), accept_expired: true }
    }
}

impl Policy {
    /// The policy of the system at `root`: its policy file, or the default when there is none.
    ///
    /// # Errors
    /// When the file could have been written by somebody else or is not valid.
    pub fn load(root: &Path) -> Result<Self, Error> {
        let path = root.join(FILE);
        if sys::fs::stat(&path)?.is_none() {
            return Ok(Self::default());
        }
        if let Some(dir) = path.parent() {
            store::guarded_dir(dir)?;
        }
        let bytes = sys::fs::read_trusted(&path, LIMIT)?;
        Self::parse(&bytes).map_err(|why| Error::Policy { path, why })
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not valid UTF-8".to_owned())?;
        let mut policy: Self = toml::from_str(text).map_err(|e| e.to_string().trim_end().to_owned())?;
        policy.signers.sort();
        policy.signers.dedup();
        if policy.threshold == 0 {
            return Err("threshold must be 1 or more".to_owned());
        }
        if !policy.signers.is_empty() && policy.threshold > policy.signers.len() {
            let (threshold, signers) = (policy.threshold, policy.signers.len());
            return Err(format!("threshold is {threshold}, but only {signers} different signers are listed"));
        }
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_policies() {
        assert_eq!(Policy::parse(b""), Ok(Policy::default()));
        let text = "threshold = 2\naccept_expired = false\nsigners = [\n  '0123456789ABCDEF0123456789ABCDEF01234567',\n  'aaaa456789ABCDEF0123456789ABCDEF01234567']";
        let policy = Policy::parse(text.as_bytes()).unwrap();
        assert_eq!((policy.threshold, policy.signers.len(), policy.accept_expired), (2, 2, false));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "threshold = 0",
            "threshold = -1",
            "treshold = 2",
            "accept_expired = 'no'",
            "signers = ['ABCD']",
            "threshold = 2\nsigners = ['0123456789ABCDEF0123456789ABCDEF01234567']",
            "threshold = 2\nsigners = ['0123456789ABCDEF0123456789ABCDEF01234567', '0123456789abcdef0123456789ABCDEF01234567']",
        ] {
            assert!(Policy::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Policy::parse(&[0xff]).is_err());
    }
}
