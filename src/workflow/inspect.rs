//! Shows what is inside a file, verified or not.

use std::fs::File;
use std::path::Path;

use anyhow::{Result, bail};

use super::wrapper::{self, Opened};
use super::{Error, Session};
use crate::manifest::{Manifest, Unverified};
use crate::release::Release;
use crate::rpmfile::Package;
use crate::source::Candidate;
use crate::sys;
use crate::types::RelPath;

/// A file that was opened to be looked at.
#[derive(Debug)]
pub enum Inspected {
    /// Its signatures are accepted.
    Verified(Box<Release>),
    /// They are not: what it says of itself may be a lie.
    Unverified {
        /// The file.
        candidate: Box<Candidate>,
        /// What it says of itself.
        manifest: Box<Unverified>,
        /// What the header of a package says.
        package: Option<Box<Package>>,
        /// Why it is not verified.
        why: String,
    },
}

impl Inspected {
    /// What it says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        match self {
            Self::Verified(release) => release.manifest(),
            Self::Unverified { manifest, .. } => manifest.look(),
        }
    }

    /// The file.
    #[must_use]
    pub fn candidate(&self) -> &Candidate {
        match self {
            Self::Verified(release) => release.candidate(),
            Self::Unverified { candidate, .. } => candidate,
        }
    }

    /// What the header of a package says.
    #[must_use]
    pub fn package(&self) -> Option<&Package> {
        match self {
            Self::Verified(release) => release.package(),
            Self::Unverified { package, .. } => package.as_deref(),
        }
    }

    /// Writes one file of the payload to standard output.
    ///
    /// # Errors
    /// When the file is not verified, has no such entry, or is damaged.
    pub fn print_file(&self, path: &RelPath) -> Result<()> {
        let Self::Verified(release) = self else { return Err(Error::NotVerified.into()) };
        let entry = release.manifest().entries.iter().find(|entry| entry.path == *path);
        let Some(entry) = entry else { bail!("the payload has no {path}") };
        release.read_file(entry, &mut |_| Ok(()))?; // all of it is checked before any is shown
        release.read_file(entry, &mut |piece| sys::fs::print_bytes(piece))?;
        Ok(())
    }
}

/// What was found out about a file.
#[derive(Debug)]
pub struct Inspection {
    /// The makeself archive that it is, if it is one.
    pub wrapper: Option<wrapper::Report>,
    /// The release in it; none only when it is a makeself archive whose content cannot be used.
    pub inner: Option<Inspected>,
}

/// Opens a file to look at it.
///
/// # Errors
/// When it is no bundle or its manifest cannot be read at all.
pub fn open(session: &Session, file: Option<&Path>) -> Result<Inspection> {
    let Some(path) = file else {
        return Ok(Inspection {
            wrapper: None,
            inner: Some(inspect(session, &|| Ok(Candidate::open_self()?))?),
        });
    };
    match wrapper::look(session, path, true)? {
        Opened::Plain(file) => {
            let open = || again(&file, path);
            Ok(Inspection { wrapper: None, inner: Some(inspect(session, &open)?) })
        }
        Opened::Wrapped(unwrapped) => {
            let path = unwrapped.path();
            let mut report = unwrapped.report;
            let inner = unwrapped.inner.ok().map(|file| inspect(session, &|| again(&file, &path)));
            let inner = match inner.transpose() {
                Ok(inner) => inner,
                Err(error) => {
                    report.problem = Some(crate::types::error_chain(&*error));
                    None
                }
            };
            Ok(Inspection { wrapper: Some(report), inner })
        }
    }
}

fn again(file: &File, path: &Path) -> Result<Candidate> {
    let file = file.try_clone().map_err(|e| sys::Error::new("read", path, e))?;
    Ok(Candidate::of_file(file, path.to_owned())?)
}

fn inspect(session: &Session, open: &dyn Fn() -> Result<Candidate>) -> Result<Inspected> {
    let (store, policy) = session.trust()?;
    match Release::open(open()?, &session.judge(&store, &policy)) {
        Ok(release) => Ok(Inspected::Verified(Box::new(release))),
        Err(error) => {
            let candidate = Box::new(open()?);
            let package =
                candidate.package().map(|envelope| Package::parse(envelope.header())).transpose()?;
            let manifest = Box::new(match &package {
                Some(package) => Unverified::of_header(package)?,
                None => Unverified::parse(candidate.signed())?,
            });
            let (package, why) = (package.map(Box::new), crate::types::error_chain(&error));
            Ok(Inspected::Unverified { candidate, manifest, package, why })
        }
    }
}
