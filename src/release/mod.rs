//! A release: a candidate together with its verified manifest.
//!
//! In: a [`Candidate`], the trust store and the policy. Out: frames and files whose digests held.
//! Never gives out a byte of the payload that was not compared with the signed manifest.
#![forbid(unsafe_code)]

mod error;
mod frames;
mod package;
mod payload;
mod stream;

pub use error::{Error, Result};
use jiff::Timestamp;

use crate::bundle;
use crate::event::{EventSink, Unit};
use crate::manifest::{Container, Entry, Kind, Manifest, Stub};
use crate::rpmfile::Package;
use crate::source::{self, Candidate};
use crate::sys;
use crate::trust::{Policy, TrustStore};
use crate::types::{Digest, Hasher, human_bytes};
use crate::verify::{self, Offer, Pin, PinError, Pins, Signer, Verified};
use frames::FrameReader;
use package::Opened;
pub use package::judge;
use payload::PayloadReader;

/// As much is read before it is hashed: still in the processor's cache then.
const PIECE: usize = 256 << 10;

/// A candidate whose manifest is signed by those we trust.
#[derive(Debug)]
pub struct Release {
    candidate: Candidate,
    manifest: Verified<Manifest>,
    /// What is kept of the manifest on a host, where that is not the signed bytes.
    record: Option<Vec<u8>>,
    /// Of a package: what its header says, and its payload, which was compared already.
    package: Option<Opened>,
}

/// Takes pieces of content.
pub type Take<'t> = dyn FnMut(&[u8]) -> sys::Result<()> + 't;

/// Gives out the content of a file, from its beginning to its end, once.
pub type Give<'g> = dyn FnMut(&mut Take<'_>) -> Result<()> + 'g;

/// By what a candidate is judged, and who is told.
pub struct Judge<'a> {
    /// The keys that count.
    pub store: &'a TrustStore,
    /// What is asked of signatures.
    pub policy: &'a Policy,
    /// The time by which they are judged.
    pub at: Timestamp,
    /// Who is told.
    pub sink: &'a dyn EventSink,
}

impl std::fmt::Debug for Judge<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge").field("at", &self.at).finish_non_exhaustive()
    }
}

/// How fast a verification was.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Throughput {
    /// Bytes compared with their digests.
    pub bytes: u64,
    /// Time taken in milliseconds.
    pub millis: u64,
}

impl std::fmt::Display for Throughput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let per_second = self.bytes.saturating_mul(1000) / self.millis.max(1);
        write!(f, "{} in {} ms ({}/s)", human_bytes(self.bytes), self.millis, human_bytes(per_second))
    }
}

impl Release {
    /// Checks the signatures over the manifest, then reads it, then compares its account of the
    /// file's shape with the file. A package's header is its manifest; its payload is compared with that here.
    ///
    /// # Errors
    /// When the signatures are refused, the manifest is, or the shapes differ.
    pub fn open(candidate: Candidate, judge: &Judge) -> Result<Self> {
        if candidate.package().is_some() {
            return Self::of_package(candidate, judge);
        }
        let signed = candidate.signed().to_vec();
        let signed = verify::require(signed, candidate.signatures(), judge.store, judge.policy, judge.at)?;
        let manifest = Manifest::parse(signed)?;
        let fits = manifest.get().container.as_ref().zip(candidate.parts()).is_some_and(|(signed, found)| {
            signed.stub.length == found.payload_offset && signed.payload.length == found.payload_length
        });
        if fits { Ok(Self { candidate, manifest, record: None, package: None }) } else { Err(Error::Shape) }
    }

    /// The signed manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.manifest.get()
    }

    /// Who signed it.
    #[must_use]
    pub fn signers(&self) -> &[Signer] {
        self.manifest.signers()
    }

    /// Whether it may replace what the pinned certificates signed.
    ///
    /// # Errors
    /// When none of them signed it and none vouches for who did.
    pub fn pin(&self, pins: &Pins) -> std::result::Result<Pin, PinError> {
        let manifest = self.manifest();
        let (product, rotations) = (manifest.product.as_str(), manifest.rotations.as_slice());
        pins.judge(&Offer { product, signers: self.signers(), rotations })
    }

    /// The file it comes from.
    #[must_use]
    pub fn candidate(&self) -> &Candidate {
        &self.candidate
    }

    /// The manifest as it is kept on a host.
    #[must_use]
    pub fn record(&self) -> &[u8] {
        self.record.as_deref().unwrap_or_else(|| self.candidate.signed())
    }

    /// SHA-256 of the manifest as it is kept: the release's identity.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.record())
    }

    /// What the header of a package says.
    #[must_use]
    pub fn package(&self) -> Option<&Package> {
        self.package.as_ref().map(|opened| &opened.package)
    }

    /// Compares the program and every frame with their digests, on all processors. The payload of a package
    /// was compared when it was opened.
    ///
    /// # Errors
    /// At the first that differs or cannot be read.
    pub fn verify_all(&self, sink: &dyn EventSink) -> Result<Throughput> {
        let container = match (&self.package, &self.manifest().container) {
            (Some(opened), _) => return Ok(opened.throughput),
            (None, Some(container)) => container,
            (None, None) => return Err(Error::Shape),
        };
        let bytes = container.stub.length.saturating_add(container.payload.length);
        timed(bytes, sink, || self.verify_parallel(container, sink)).map(|(speed, ())| speed)
    }

    /// The program is the first piece of work, each frame is another.
    fn verify_parallel(&self, container: &Container, sink: &dyn EventSink) -> Result<()> {
        let frames = &container.frames;
        let work = |buffer: &mut Vec<u8>, number: usize| {
            if let Some(signal) = sys::signal::pending() {
                return Err(Error::Interrupted(signal));
            }
            let Some(number) = number.checked_sub(1) else {
                return self.verify_stub(&container.stub, buffer, sink);
            };
            let frame = frames.get(number).ok_or(Error::Shape)?;
            let found = digest(frame.length, buffer, sink, &|piece, offset| {
                self.candidate.read_payload(piece, frame.offset.saturating_add(offset))
            })?;
            frame.compare(number, found).map_err(|source| self.damaged(source))
        };
        sys::parallel::each(sys::env::workers(8), frames.len() + 1, || vec![0; PIECE], work)
    }

    fn verify_stub(&self, stub: &Stub, buffer: &mut [u8], sink: &dyn EventSink) -> Result<()> {
        let found = digest(stub.length, buffer, sink, &|piece, at| self.candidate.read_stub(piece, at))?;
        if found == stub.sha256 {
            return Ok(());
        }
        let what = "the program in front of the payload".to_owned();
        Err(self.damaged(bundle::Error::Digest { what, expected: stub.sha256, found }))
    }

    fn damaged(&self, source: bundle::Error) -> Error {
        Error::Damaged { path: self.candidate.path().to_owned(), source }
    }

    /// Reads one file of the payload through `take`, piece by piece, comparing its digest at the
    /// end: what `take` got is good only when this returns without error.
    ///
    /// # Errors
    /// When the entry is no file, a digest differs, or `take` fails.
    pub fn read_file(&self, entry: &Entry, take: &mut Take) -> Result<()> {
        let Kind::File { size, sha256, at, .. } = entry.kind else {
            return Err(Error::NoFile(entry.path.clone()));
        };
        let mut hasher = Hasher::new();
        let mut take = |piece: &[u8]| {
            hasher.update(piece);
            take(piece)
        };
        match &self.package {
            _ if size == 0 => {}
            Some(opened) => PayloadReader::new(&self.candidate, &opened.package, &opened.payload)
                .each_piece(at.offset, size, &mut take)?,
            None => FrameReader::new(self).each_piece(at, size, &mut take)?,
        }
        self.compare(entry, sha256, hasher.finish())
    }

    /// Gives the files that `wanted` accepts to `work` on so many threads, each of which has a state of its own, made by
    /// `start`. `work` gets a file's entry, or several that have the same content, and what gives out that content; its
    /// digest is for `work` to compare.
    ///
    /// # Errors
    /// When the content cannot be read or is not what was signed, and the first failure of `work`.
    pub fn each_file<'a, S, E: From<Error> + Send>(
        &'a self,
        wanted: &dyn Fn(&Entry) -> bool,
        workers: usize,
        start: impl Fn() -> S + Sync,
        work: impl Fn(&mut S, &[&'a Entry], &mut Give) -> std::result::Result<(), E> + Sync,
    ) -> std::result::Result<(), E> {
        let is_file = |entry: &&Entry| matches!(entry.kind, Kind::File { .. });
        let wanted: Vec<&Entry> =
            self.manifest().entries.iter().filter(is_file).filter(|entry| wanted(entry)).collect();
        if self.package.is_some() {
            stream::each(self, &wanted, workers, start, work)
        } else {
            frames::each(self, &wanted, workers, start, work)
        }
    }

    /// Compares a file's digest with the signed one.
    ///
    /// # Errors
    /// When they differ.
    pub fn compare(&self, entry: &Entry, expected: Digest, found: Digest) -> Result<()> {
        if expected == found {
            return Ok(());
        }
        Err(self.damaged(bundle::Error::Digest { what: entry.path.to_string(), expected, found }))
    }

    /// The licence agreement; of a package that brings none, what its header says.
    ///
    /// # Errors
    /// When it cannot be read or is no text.
    pub fn eula(&self) -> Result<String> {
        let manifest = self.manifest();
        let Some(eula) = &manifest.eula else { return Ok(self.licence_of_header()) };
        let entry = manifest.entries.iter().find(|e| e.path == *eula);
        let entry = entry.ok_or_else(|| Error::NoFile(eula.clone()))?;
        let mut text = Vec::new();
        self.read_file(entry, &mut |piece| {
            text.extend_from_slice(piece);
            Ok(())
        })?;
        String::from_utf8(text).map_err(|_| Error::NoFile(eula.clone()))
    }
}

impl Release {
    fn licence_of_header(&self) -> String {
        let licence = self.package().map_or("", |package| package.license.as_str());
        format!(
            "This package brings no licence agreement. Its header says: {licence}\n\n\
             The agreement that you have with the vendor applies.\n"
        )
    }
}

/// Does work on so many bytes, and tells how long it took.
fn timed<T>(bytes: u64, sink: &dyn EventSink, work: impl FnOnce() -> Result<T>) -> Result<(Throughput, T)> {
    let watch = sys::clock::Watch::start();
    sink.begin("verifying", bytes, Unit::Bytes);
    let result = work();
    let millis = u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX);
    let speed = Throughput { bytes, millis };
    sink.end(if result.is_ok() { format!("verified {speed}") } else { String::new() });
    result.map(|value| (speed, value))
}

/// The digest of `length` bytes, which `read` gives by their offset.
fn digest(
    length: u64,
    buffer: &mut [u8],
    sink: &dyn EventSink,
    read: &dyn Fn(&mut [u8], u64) -> source::Result<()>,
) -> Result<Digest> {
    let mut hasher = Hasher::new();
    let mut offset = 0;
    while offset < length {
        let count = usize::try_from(length - offset).map_or(buffer.len(), |left| left.min(buffer.len()));
        let piece = buffer.get_mut(..count).unwrap_or_default();
        read(piece, offset)?;
        hasher.update(piece);
        offset += piece.len() as u64;
    }
    sink.advance(length);
    Ok(hasher.finish())
}
