use std::path::{Path, PathBuf};

use sequoia_openpgp as openpgp;

use openpgp::KeyHandle;

use super::{Anchor, Error, KEY_FILE_LIMIT, Origin, keyring};
use crate::sys;
use crate::types::Fingerprint;

/// Where imported keys are kept, below the root.
pub const KEYS_DIR: &str = "etc/demisto-install/trusted-keys.d";

/// `(file name, bytes)` of the keys that were compiled in.
const BUILT_IN: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/builtin_keys.rs"));

/// The certificates that the installer believes.
#[derive(Debug, Clone)]
pub struct TrustStore {
    anchors: Vec<Anchor>,
}

impl TrustStore {
    /// A store that trusts nobody.
    #[must_use]
    pub fn empty() -> Self {
        Self { anchors: Vec::new() }
    }

    /// The keys that were compiled in.
    ///
    /// # Errors
    /// When one of them is damaged.
    pub fn built_in() -> Result<Self, Error> {
        let mut store = Self::empty();
        for (name, bytes) in BUILT_IN {
            store.add(bytes, Origin::BuiltIn((*name).to_owned()))?;
        }
        Ok(store)
    }

    /// The keys that were compiled in, those that the administrator of the system at `root`
    /// imported, and those given for this run.
    ///
    /// # Errors
    /// When a file cannot be read, is no key file, or could have been written by somebody else.
    pub fn load(root: &Path, run_keys: &[PathBuf]) -> Result<Self, Error> {
        let mut store = Self::built_in()?;
        for path in imported_files(root)? {
            let bytes = sys::fs::read_trusted(&path, KEY_FILE_LIMIT)?;
            store.add(&bytes, Origin::Imported(path))?;
        }
        for path in run_keys {
            let bytes = sys::fs::read_limited(path, KEY_FILE_LIMIT)?;
            store.add(&bytes, Origin::ThisRun(path.clone()))?;
        }
        Ok(store)
    }

    /// Adds the certificates in `bytes` and returns their fingerprints. A certificate that is
    /// known is merged, so that a revocation in any copy counts.
    ///
    /// # Errors
    /// When `bytes` is no key file. Nothing is added then.
    pub fn add(&mut self, bytes: &[u8], origin: Origin) -> Result<Vec<Fingerprint>, Error> {
        let name = origin.to_string();
        let unusable = |why: &str| Error::KeyFile { origin: name.clone(), why: why.to_owned() };
        let mut anchors = self.anchors.clone();
        let mut added = Vec::new();
        for cert in keyring::read(bytes, &name)? {
            let anchor = Anchor::new(cert, origin.clone())
                .ok_or_else(|| unusable("it holds a key of an unknown version"))?;
            let fingerprint = anchor.fingerprint().clone();
            match anchors.iter_mut().find(|known| *known.fingerprint() == fingerprint) {
                Some(known) => known
                    .merge(anchor.cert().clone())
                    .map_err(|_| unusable("it cannot be merged with another copy of the same key"))?,
                None => anchors.push(anchor),
            }
            added.push(fingerprint);
        }
        self.anchors = anchors;
        Ok(added)
    }

    /// All certificates, in the order in which they were added.
    #[must_use]
    pub fn anchors(&self) -> &[Anchor] {
        &self.anchors
    }

    /// A store that trusts nobody but the certificate with this fingerprint; `None` when this one
    /// does not trust it.
    #[must_use]
    pub fn only(&self, fingerprint: &Fingerprint) -> Option<Self> {
        let anchor = self.anchors.iter().find(|anchor| anchor.fingerprint() == fingerprint)?;
        Some(Self { anchors: vec![anchor.clone()] })
    }

    /// Whether nobody is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    /// The anchors that have a key that one of `issuers` stands for, with that key.
    pub(crate) fn candidates(&self, issuers: &[KeyHandle]) -> Vec<(&Anchor, openpgp::Fingerprint)> {
        let mut found = Vec::new();
        for anchor in &self.anchors {
            for key in anchor.cert().keys() {
                let handle = KeyHandle::from(key.key().fingerprint());
                if issuers.iter().any(|issuer| issuer.aliases(&handle)) {
                    found.push((anchor, key.key().fingerprint()));
                }
            }
        }
        found
    }
}

/// The key files that the administrator imported.
///
/// # Errors
/// When the directory cannot be listed or somebody else can write it.
pub(crate) fn imported_files(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let dir = root.join(KEYS_DIR);
    if !guarded_dir(&dir)? {
        return Ok(Vec::new());
    }
    let names = sys::fs::list(&dir)?;
    let is_key = |name: &String| {
        let extension = Path::new(name).extension();
        !name.starts_with('.')
            && extension.is_some_and(|e| ["asc", "pgp", "gpg"].iter().any(|known| e == *known))
    };
    Ok(names.iter().filter(|name| is_key(name)).map(|name| dir.join(name)).collect())
}

/// Whether `dir` exists; it and its parent must be directories that nobody but root (or the
/// caller) can write.
pub(super) fn guarded_dir(dir: &Path) -> Result<bool, Error> {
    let parent = dir.parent().unwrap_or(dir);
    for path in [parent, dir] {
        let broken = |why| Err(Error::Directory { path: path.to_owned(), why });
        let Some(stat) = sys::fs::stat(path)? else { return Ok(false) };
        if stat.kind != sys::dir::Kind::Dir {
            return broken("it is not a directory");
        }
        if stat.ids.uid != 0 && stat.ids.uid != sys::env::uid() {
            return broken("it belongs neither to root nor to you");
        }
        if stat.mode & 0o022 != 0 {
            return broken("others than its owner can write it");
        }
    }
    Ok(true)
}
