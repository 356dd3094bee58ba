//! Cuts a stream into frames and compresses them, on all processors, in order.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::bundle::{Compression, Frame, MAX_CONTENT};
use crate::manifest::Place;
use crate::sys;
use crate::types::Digest;

/// A writer that knows how much went through it.
#[derive(Debug)]
pub(super) struct Counted<W> {
    inner: W,
    written: u64,
}

impl<W: Write> Counted<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner, written: 0 }
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }

    pub(super) fn into_inner(self) -> W {
        self.inner
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

type Packed = (u64, io::Result<Vec<u8>>);

/// Takes content, cuts it where told and at [`MAX_CONTENT`], and writes compressed frames.
///
/// Frames go to the workers in turn and come back in the same turn, so the output does not depend
/// on how many workers there are or which is faster.
pub(super) struct FrameWriter<'a, W: Write> {
    out: &'a mut W,
    current: Vec<u8>,
    workers: Vec<Worker>,
    sent: usize,
    taken: usize,
    frames: Vec<Frame>,
    offset: u64,
}

struct Worker {
    to: Option<SyncSender<Vec<u8>>>,
    from: Receiver<Packed>,
    thread: Option<JoinHandle<()>>,
}

impl<'a, W: Write> FrameWriter<'a, W> {
    pub(super) fn new(out: &'a mut W, compression: Compression, level: i32) -> Self {
        let workers = (0..sys::env::workers(8)).map(|_| Worker::start(compression, level)).collect();
        Self { out, current: Vec::new(), workers, sent: 0, taken: 0, frames: Vec::new(), offset: 0 }
    }

    /// Where the next byte will lie.
    pub(super) fn place(&self) -> Place {
        Place { frame: self.sent, offset: self.current.len() as u64 }
    }

    /// Bytes in the frame that is being filled.
    pub(super) fn filled(&self) -> u64 {
        self.current.len() as u64
    }

    pub(super) fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = usize::try_from(MAX_CONTENT).unwrap_or(usize::MAX) - self.current.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.current.extend_from_slice(now);
            bytes = later;
            if self.current.len() as u64 == MAX_CONTENT {
                self.cut()?;
            }
        }
        Ok(())
    }

    /// Ends the frame that is being filled, unless it is empty.
    pub(super) fn cut(&mut self) -> io::Result<()> {
        if self.current.is_empty() {
            return Ok(());
        }
        if self.sent - self.taken == self.workers.len() {
            self.take()?;
        }
        let content = std::mem::take(&mut self.current);
        let turn = self.sent % self.workers.len();
        let worker = self.workers.get(turn).and_then(|w| w.to.as_ref());
        worker
            .and_then(|to| to.send(content).ok())
            .ok_or_else(|| io::Error::other("a compressor ended early"))?;
        self.sent += 1;
        Ok(())
    }

    fn take(&mut self) -> io::Result<()> {
        let turn = self.taken % self.workers.len();
        let packed = self.workers.get(turn).and_then(|w| w.from.recv().ok());
        let (content_length, bytes) = packed.ok_or_else(|| io::Error::other("a compressor ended early"))?;
        let bytes = bytes?;
        self.out.write_all(&bytes)?;
        let length = bytes.len() as u64;
        self.frames.push(Frame { offset: self.offset, length, content_length, sha256: Digest::of(&bytes) });
        self.offset += length;
        self.taken += 1;
        Ok(())
    }

    /// Ends the last frame and gives the account of all.
    pub(super) fn finish(mut self) -> io::Result<Vec<Frame>> {
        self.cut()?;
        while self.taken < self.sent {
            self.take()?;
        }
        Ok(std::mem::take(&mut self.frames))
    }
}

impl Worker {
    fn start(compression: Compression, level: i32) -> Self {
        let (to, inbox) = sync_channel::<Vec<u8>>(1);
        let (outbox, from) = sync_channel::<Packed>(1);
        let thread = std::thread::spawn(move || {
            while let Ok(content) = inbox.recv() {
                let packed = (content.len() as u64, compress(&content, compression, level));
                if outbox.send(packed).is_err() {
                    return;
                }
            }
        });
        Self { to: Some(to), from, thread: Some(thread) }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.to = None; // ends the worker's loop
        while self.from.try_recv().is_ok() {}
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn compress(content: &[u8], compression: Compression, level: i32) -> io::Result<Vec<u8>> {
    match compression {
        Compression::Zstd => zstd::bulk::compress(content, level),
        Compression::Gzip => {
            let level = flate2::Compression::new(u32::try_from(level).unwrap_or(6).min(9));
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(content)?;
            encoder.finish()
        }
    }
}
