//! A release that is a package.

use std::io::{self, Read};

use super::payload::{Payload, PayloadReader};
use super::{Error, Judge, Release, Result, Throughput, timed};
use crate::manifest::{self, Manifest, Texts};
use crate::rpmfile::{Covers, Envelope, Kind, Package};
use crate::source::Candidate;
use crate::verify::{self, Judgement};

/// A package that was opened.
#[derive(Debug)]
pub(super) struct Opened {
    /// What its header says.
    pub(super) package: Package,
    /// Its payload, which was compared with its digest.
    pub(super) payload: Payload,
    /// How fast that was.
    pub(super) throughput: Throughput,
}

/// Judges the signatures of a candidate. Those of old packages over header and payload together must hold, too,
/// where there are any.
///
/// # Errors
/// When the payload cannot be read.
pub fn judge(candidate: &Candidate, judge: &Judge) -> Result<Judgement> {
    let Judge { store, policy, at, .. } = *judge;
    let mut signatures = Vec::new();
    for signature in candidate.package().map_or(&[][..], Envelope::signatures) {
        if signature.covers == Covers::HeaderAndPayload {
            signatures.extend_from_slice(&signature.packets);
        }
    }
    let header = || verify::judge(candidate.signed(), candidate.signatures(), store, policy, at);
    if signatures.is_empty() {
        return Ok(header());
    }
    let mut whole = Whole { candidate, header: candidate.signed(), offset: 0 };
    let whole =
        verify::judge_reader(&mut whole, &signatures, store, policy, at).map_err(verify::Error::Read)?;
    if candidate.signatures().is_empty() { Ok(whole) } else { Ok(verify::both(header(), whole, policy)) }
}

impl Release {
    /// Compares the payload with its digest in the verified header, then reads the few files whose text makes the
    /// manifest whole.
    pub(super) fn of_package(candidate: Candidate, by: &Judge) -> Result<Self> {
        let judgement = judge(&candidate, by)?;
        if !judgement.accepted {
            return Err(verify::Error::Refused(Box::new(judgement)).into());
        }
        if candidate.signatures().is_empty() {
            return Err(Error::NoHeaderSignature);
        }
        if candidate
            .package()
            .is_some_and(|e| e.digests().iter().any(|digest| e.matches(digest) == Some(false)))
        {
            return Err(Error::Digests);
        }
        let header = candidate.signed().to_vec();
        let header = verify::require(header, candidate.signatures(), by.store, by.policy, by.at)?;
        let package = Package::parse(header.get())?;
        let bytes = candidate.package().map_or(0, Envelope::payload_length);
        let (throughput, payload) = timed(bytes, by.sink, || Payload::check(&candidate, &package, by.sink))?;
        let texts = texts(&candidate, &package, &payload)?;
        let (manifest, record) = Manifest::of_package(header, &texts)?;
        let package = Some(Opened { package, payload, throughput });
        Ok(Self { candidate, manifest, record: Some(record), package })
    }
}

fn texts(candidate: &Candidate, package: &Package, payload: &Payload) -> Result<Texts> {
    let mut reader = PayloadReader::new(candidate, package, payload);
    let mut texts = Texts::new();
    for index in manifest::texts_of(package)? {
        let Some(file) = package.files.get(index) else { continue };
        let Kind::File { size, .. } = file.kind else { continue };
        let mut text: Vec<u8> = Vec::new();
        if size > 0 {
            reader.each_piece(index as u64, size, &mut |piece| {
                text.extend_from_slice(piece);
                Ok(())
            })?;
        }
        texts.insert(file.path.clone(), text);
    }
    Ok(texts)
}

/// Header and payload, one after the other.
struct Whole<'a> {
    candidate: &'a Candidate,
    header: &'a [u8],
    offset: u64,
}

impl Read for Whole<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.header.is_empty() {
            return self.header.read(buffer);
        }
        let length = self.candidate.package().map_or(0, Envelope::payload_length);
        let Some(piece) = super::payload::piece(buffer, length, self.offset) else { return Ok(0) };
        self.candidate.read_payload(piece, self.offset).map_err(io::Error::other)?;
        self.offset = self.offset.saturating_add(piece.len() as u64);
        Ok(piece.len())
    }
}
