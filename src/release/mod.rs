//! A release: a candidate together with its verified manifest.
//!
//! In: a [`Candidate`], the trust store and the policy. Out: frames and files whose digests held.
//! Never gives out a byte of the payload that was not compared with the signed manifest.
#![forbid(unsafe_code)]

mod error;
mod frames;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use error::{Error, Result};
pub use frames::{FrameReader, Run, runs};
use jiff::Timestamp;

use crate::bundle;
use crate::event::{EventSink, Unit};
use crate::manifest::{Entry, Kind, Manifest};
use crate::source::Candidate;
use crate::sys;
use crate::trust::{Policy, TrustStore};
use crate::types::{Digest, Hasher, human_bytes};
use crate::verify::{self, Signer, Verified};

/// A candidate whose manifest is signed by those we trust.
#[derive(Debug)]
pub struct Release {
    candidate: Candidate,
    manifest: Verified<Manifest>,
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
    /// file's shape with the file.
    ///
    /// # Errors
    /// When the signatures are refused, the manifest is, or the shapes differ.
    pub fn open(candidate: Candidate, store: &TrustStore, policy: &Policy, at: Timestamp) -> Result<Self> {
        let bytes = candidate.manifest().to_vec();
        let bytes = verify::require(bytes, candidate.signatures(), store, policy, at)?;
        let manifest = Manifest::parse(bytes)?;
        let (signed, found) = (manifest.get(), candidate.parts());
        if signed.stub.length != found.payload_offset || signed.payload.length != found.payload_length {
            return Err(Error::Shape);
        }
        Ok(Self { candidate, manifest })
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

    /// The file it comes from.
    #[must_use]
    pub fn candidate(&self) -> &Candidate {
        &self.candidate
    }

    /// SHA-256 of the signed manifest: the release's identity.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.candidate.manifest())
    }

    /// Compares the program and every frame with their digests, on all processors.
    ///
    /// # Errors
    /// At the first that differs or cannot be read.
    pub fn verify_all(&self, sink: &dyn EventSink) -> Result<Throughput> {
        let watch = sys::clock::Watch::start();
        let manifest = self.manifest();
        let bytes = manifest.stub.length.saturating_add(manifest.payload.length);
        sink.begin("verifying", bytes, Unit::Bytes);
        let result = self.verify_parallel(sink);
        let millis = u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX);
        let speed = Throughput { bytes, millis };
        sink.end(if result.is_ok() { format!("verified {speed}") } else { String::new() });
        result.map(|()| speed)
    }

    fn verify_parallel(&self, sink: &dyn EventSink) -> Result<()> {
        let frames = &self.manifest().frames;
        let next = AtomicUsize::new(0);
        let failure: Mutex<Option<Error>> = Mutex::new(None);
        let fail = |error| {
            next.store(frames.len(), Ordering::Relaxed);
            if let Ok(mut slot) = failure.lock() {
                slot.get_or_insert(error);
            }
        };
        std::thread::scope(|scope| {
            for worker in 0..sys::env::workers(8) {
                let (next, fail) = (&next, &fail);
                scope.spawn(move || {
                    if worker == 0 {
                        self.verify_stub(sink).unwrap_or_else(fail);
                    }
                    self.verify_frames(next, sink).unwrap_or_else(fail);
                });
            }
        });
        failure.into_inner().ok().flatten().map_or(Ok(()), Err)
    }

    fn verify_frames(&self, next: &AtomicUsize, sink: &dyn EventSink) -> Result<()> {
        let mut buffer = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(frame) = self.manifest().frames.get(number) else { return Ok(()) };
            if let Some(signal) = sys::signal::pending() {
                return Err(Error::Interrupted(signal));
            }
            self.candidate.read_frame(frame, &mut buffer)?;
            frame.check(number, &buffer).map_err(|source| self.damaged(source))?;
            sink.advance(frame.length);
        }
    }

    fn verify_stub(&self, sink: &dyn EventSink) -> Result<()> {
        let stub = &self.manifest().stub;
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; 1 << 20];
        let mut offset = 0;
        while offset < stub.length {
            let length =
                usize::try_from(stub.length - offset).map_or(buffer.len(), |left| left.min(buffer.len()));
            let piece = buffer.get_mut(..length).unwrap_or_default();
            self.candidate.read_stub(piece, offset)?;
            hasher.update(piece);
            offset += length as u64;
            sink.advance(length as u64);
        }
        let found = hasher.finish();
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
    pub fn read_file(&self, entry: &Entry, take: &mut dyn FnMut(&[u8]) -> sys::Result<()>) -> Result<()> {
        let Kind::File { size, sha256, at, .. } = entry.kind else {
            return Err(Error::NoFile(entry.path.clone()));
        };
        let mut reader = FrameReader::new(self);
        let mut hasher = Hasher::new();
        reader.each_piece(at, size, &mut |piece| {
            hasher.update(piece);
            take(piece)
        })?;
        self.compare(entry, sha256, hasher.finish())
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

    /// The licence agreement.
    ///
    /// # Errors
    /// When it cannot be read or is no text.
    pub fn eula(&self) -> Result<String> {
        let manifest = self.manifest();
        let entry = manifest.entries.iter().find(|e| e.path == manifest.eula);
        let entry = entry.ok_or_else(|| Error::NoFile(manifest.eula.clone()))?;
        let mut text = Vec::new();
        self.read_file(entry, &mut |piece| {
            text.extend_from_slice(piece);
            Ok(())
        })?;
        String::from_utf8(text).map_err(|_| Error::NoFile(manifest.eula.clone()))
    }
}
