//! Statements by which one release key vouches for the next: made, and checked before they are packed.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::signer::Signer;
use super::{Error, Result};
use crate::sys;
use crate::trust::lint::{self, Report};
use crate::trust::{KEY_FILE_LIMIT, Origin, Policy, TrustStore};
use crate::types::Fingerprint;
use crate::verify::{ROTATION_FORMAT, Rotation};

/// Largest statement that is read, in bytes.
const LIMIT: u64 = 64 << 10;

/// What became of the wish to vouch for a key.
#[derive(Debug, serde::Serialize)]
pub struct Vouched {
    /// What there is to say about the new key.
    pub report: Report,
    /// The statement; `None` when the new key is not fit to sign releases.
    pub rotation: Option<Rotation>,
}

/// Lets `signer` vouch for the one certificate in the file `new`, if that is fit to sign at `at` and
/// `months` later.
///
/// # Errors
/// When the file does not hold exactly one certificate, or signing fails.
pub fn vouch(signer: &mut Signer, new: &Path, product: &str, at: Timestamp, months: u32) -> Result<Vouched> {
    let bad = |why: String| Error::Rotation { path: new.to_owned(), why };
    let bytes = sys::fs::read_limited(new, KEY_FILE_LIMIT)?;
    let mut reports = lint::lint(&bytes, &new.display().to_string(), at, months)?;
    let (Some(report), true) = (reports.pop(), reports.is_empty()) else {
        return Err(bad("it must hold exactly one key, the new one".to_owned()));
    };
    if report.failed() {
        return Ok(Vouched { report, rotation: None });
    }
    let (from, to) = (signer.fingerprint().clone(), report.fingerprint.clone());
    let text = Rotation::text(product, &from, &to);
    let signature = signer.sign_armoured(text.as_bytes(), at)?;
    let signature = String::from_utf8_lossy(&signature).into_owned();
    let rotation = Rotation { format: ROTATION_FORMAT, product: product.to_owned(), from, to, signature };
    rotation.check().map_err(|why| bad(why.to_owned()))?;
    Ok(Vouched { report, rotation: Some(rotation) })
}

/// Statements for a release, with the certificates of those who made them.
#[derive(Debug)]
pub struct Rotations {
    store: TrustStore,
    statements: Vec<(PathBuf, Rotation)>,
}

impl Rotations {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read or is no statement or certificate.
    pub fn load(statements: &[PathBuf], certificates: &[PathBuf]) -> Result<Self> {
        let mut store = TrustStore::empty();
        for path in certificates {
            store.add(&sys::fs::read_limited(path, KEY_FILE_LIMIT)?, Origin::ThisRun(path.clone()))?;
        }
        let read = |path: &PathBuf| {
            let bytes = sys::fs::read_limited(path, LIMIT)?;
            let rotation =
                Rotation::parse(&bytes).map_err(|why| Error::Rotation { path: path.clone(), why })?;
            Ok((path.clone(), rotation))
        };
        Ok(Self { store, statements: statements.iter().map(read).collect::<Result<_>>()? })
    }

    /// The statements, if hosts will accept each of them for a release of `product` that `signers` sign.
    ///
    /// # Errors
    /// When one is for another product or key, or its signature does not count at `at`.
    pub fn for_release(
        &self,
        product: &str,
        signers: &[Fingerprint],
        at: Timestamp,
    ) -> Result<Vec<Rotation>> {
        let policy = Policy::default();
        for (path, rotation) in &self.statements {
            let bad = |why: String| Err(Error::Rotation { path: path.clone(), why });
            if rotation.product != product {
                return bad(format!("it is about the product {:?}, not {product:?}", rotation.product));
            }
            let goes_on = self.statements.iter().any(|(_, next)| next.from == rotation.to);
            if !signers.contains(&rotation.to) && !goes_on {
                return bad(format!("it vouches for {}, which does not sign this release", rotation.to));
            }
            match rotation.judge(&self.store, &policy, at) {
                None => {
                    return bad(format!("give the certificate of {} with --rotation-cert", rotation.from));
                }
                Some(judgement) if !judgement.accepted => return bad(judgement.reason),
                Some(_) => {}
            }
        }
        Ok(self.statements.iter().map(|(_, rotation)| rotation.clone()).collect())
    }
}
