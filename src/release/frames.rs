//! Walks the content of frames, and cuts the payload into runs that workers can take.

use super::{Error, Give, Release, Result, Take};
use crate::bundle::{Decompressor, MAX_CONTENT, MAX_FRAME};
use crate::manifest::{Entry, Kind, Manifest, Place};
use crate::sys::io::Buffer;
use crate::sys::{self, parallel};

/// Frames that belong together and the files in them. A file may go on over several frames; a run
/// never shares a frame with another run.
struct Run<'a> {
    /// Files in the order of their content.
    files: Vec<&'a Entry>,
    /// Bytes of content that the files hold.
    bytes: u64,
}

/// Gives each file that `wanted` accepts to `work`, one at a time, on several threads.
pub(super) fn each<'a, S, E: From<Error> + Send>(
    release: &'a Release,
    wanted: &[&'a Entry],
    workers: usize,
    start: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, &[&'a Entry], &mut Give) -> std::result::Result<(), E> + Sync,
) -> std::result::Result<(), E> {
    let runs = runs(release.manifest(), wanted);
    let start = || (start(), FrameReader::new(release));
    parallel::each(workers, runs.len(), start, |(state, reader), number| {
        for entry in runs.get(number).into_iter().flat_map(|run| &run.files) {
            if let Some(signal) = sys::signal::pending() {
                return Err(Error::Interrupted(signal).into());
            }
            let Kind::File { size, at, .. } = entry.kind else { continue };
            work(state, &[entry], &mut |take| reader.each_piece(at, size, take))?;
        }
        Ok(())
    })
}

/// Cuts these files into runs; the largest come first, so that workers end
/// together. Files without content are in a run of their own.
fn runs<'a>(manifest: &Manifest, wanted: &[&'a Entry]) -> Vec<Run<'a>> {
    let place = |entry: &&'a Entry| match entry.kind {
        Kind::File { size, at, .. } => Some((*entry, size, at)),
        Kind::Dir { .. } | Kind::Symlink { .. } => None,
    };
    let mut files: Vec<(&Entry, u64, Place)> = wanted.iter().filter_map(place).collect();
    files.sort_by_key(|(_, size, at)| (*size > 0, at.frame, at.offset));
    let mut runs: Vec<Run> = Vec::new();
    let mut last_frame = None;
    for (entry, size, at) in files {
        let begins = if size == 0 { None } else { Some(at.frame) };
        match runs.last_mut() {
            Some(run) if last_frame == begins => {
                run.files.push(entry);
                run.bytes = run.bytes.saturating_add(size);
            }
            _ => runs.push(Run { files: vec![entry], bytes: size }),
        }
        last_frame = begins.map(|_| end_frame(manifest, at, size));
    }
    runs.sort_by_key(|run| std::cmp::Reverse(run.bytes));
    runs
}

/// The number of the frame in which the content that starts at `at` ends.
fn end_frame(manifest: &Manifest, at: Place, size: u64) -> usize {
    let mut left = at.offset.saturating_add(size);
    let mut number = at.frame;
    while let Some(frame) = manifest.frames().get(number) {
        if left <= frame.content_length {
            break;
        }
        left -= frame.content_length;
        number += 1;
    }
    number
}

/// Keeps the frame that it decompressed last.
pub(super) struct FrameReader<'a> {
    release: &'a Release,
    decompressor: Decompressor,
    /// Number and length of the frame whose content is in `content`.
    held: Option<(usize, usize)>,
    packed: Buffer,
    content: Buffer,
}

impl<'a> FrameReader<'a> {
    pub(super) fn new(release: &'a Release) -> Self {
        let room = |bytes| Buffer::new(usize::try_from(bytes).unwrap_or(0));
        let (packed, content) = (room(MAX_FRAME), room(MAX_CONTENT));
        Self { release, decompressor: Decompressor::default(), held: None, packed, content }
    }

    pub(super) fn each_piece(&mut self, at: Place, size: u64, take: &mut Take) -> Result<()> {
        let (mut number, mut offset, mut left) = (at.frame, at.offset, size);
        while left > 0 {
            let content = self.frame(number)?;
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let piece = content.get(start..).unwrap_or_default();
            let length = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
            take(piece.get(..length).unwrap_or_default())?;
            left -= length as u64;
            (number, offset) = (number + 1, 0);
        }
        Ok(())
    }

    fn frame(&mut self, number: usize) -> Result<&[u8]> {
        if let Some((held, length)) = self.held
            && held == number
        {
            return Ok(self.content.first(length));
        }
        self.held = None;
        let damaged = |error| self.release.damaged(error);
        let container = self.release.manifest().container.as_ref().ok_or(Error::Shape)?;
        let frame = container.frames.get(number).ok_or(Error::Shape)?;
        let packed = self.packed.first_mut(usize::try_from(frame.length).unwrap_or(usize::MAX));
        self.release.candidate().read_payload(packed, frame.offset)?;
        let checked = frame.check(number, packed).map_err(damaged)?;
        let room = self.content.first_mut(usize::MAX);
        let content = checked.decompress(container.payload.compression, &mut self.decompressor, room);
        let content = content.map_err(damaged)?;
        self.held = Some((number, content.len()));
        Ok(content)
    }
}
