//! The part that runs in the confined process.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::message::{MAX_DATA, Message};
use super::{Entry, Holds, Kind, MAX_CONTENT, MAX_ENTRIES, MAX_NAME, Piece};
use crate::archive::{self, Method};
use crate::bundle::{self, TRAILER_LEN, Trailer};
use crate::sys::io::Range;
use crate::{rpmfile, sys};

/// The first argument of the confined process. It is no verb: `--help` does not show it.
const WORD: &str = "__unpack";
/// The exit code of a process that could not give up its rights, and so did nothing.
pub(super) const NOT_CONFINED: u8 = 3;
/// After so many bytes of content something is said, so that the other process can look up.
const PAUSE: u64 = 16 << 20;

/// What the confined process is to do.
struct Job {
    /// Which file is to be copied; none to list all.
    wanted: Option<usize>,
    pieces: Vec<Piece>,
}

/// The arguments that [`run_confined`] understands.
pub(super) fn arguments(verb: &str, number: Option<usize>, pieces: &[Piece]) -> Vec<String> {
    let piece = |piece: &Piece| format!("{}:{}:{}", piece.offset, piece.length, piece.method);
    let first = [WORD.to_owned(), verb.to_owned()].into_iter().chain(number.map(|number| number.to_string()));
    first.chain(pieces.iter().map(piece)).collect()
}

/// Does the work of the confined process if the program's arguments ask for it, and gives its exit code. To be
/// called before anything else in the process.
#[must_use]
pub fn run_confined(args: &[OsString]) -> Option<u8> {
    let words: Vec<&str> = args.iter().skip(1).map(|arg| arg.to_str().unwrap_or_default()).collect();
    let (word, rest) = words.split_first()?;
    if *word != WORD {
        return None;
    }
    #[cfg(feature = "fault-injection")]
    if let ["try", what] = rest {
        return Some(try_what_is_forbidden(what));
    }
    let Some(job) = job(rest) else { return Some(2) };
    let input = match sys::confine::enter() {
        Ok(input) => input,
        Err(error) => {
            sys::fs::print_error(&format!("{}\n", crate::types::error_chain(&error)));
            return Some(NOT_CONFINED);
        }
    };
    let mut output = BufWriter::with_capacity(MAX_DATA, io::stdout().lock());
    let last = match work(&job, &input, &mut output) {
        Ok(()) => Message::End,
        Err(error) => Message::Failed(error.to_string()),
    };
    let said = last.write(&mut output).and_then(|()| output.flush());
    Some(u8::from(said.is_err()))
}

/// Tries something after all rights were given up, so that a test can see how it ends.
#[cfg(feature = "fault-injection")]
fn try_what_is_forbidden(what: &str) -> u8 {
    if sys::confine::enter().is_err() {
        return 1;
    }
    let done = match what {
        "open" => sys::fs::open_existing(std::path::Path::new("/etc/passwd")).is_ok(),
        "start" => sys::process::Tool::new("/bin/true").run().is_ok(),
        "connect" => sys::net::listening_on(443).is_some(),
        "thread" => std::thread::Builder::new().spawn(|| ()).is_ok(),
        "memory" => vec![1_u8; 256 << 20].iter().all(|byte| *byte == 1),
        _ => false,
    };
    if done { 5 } else { 6 }
}

fn job(words: &[&str]) -> Option<Job> {
    let (wanted, pieces) = match words {
        ["list", pieces @ ..] => (None, pieces),
        ["copy", number, pieces @ ..] => (Some(number.parse().ok()?), pieces),
        _ => return None,
    };
    let pieces = pieces.iter().map(|text| piece(text)).collect::<Option<Vec<Piece>>>()?;
    Some(Job { wanted, pieces })
}

fn piece(text: &str) -> Option<Piece> {
    let mut parts = text.split(':');
    let (offset, length) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let name = parts.next()?;
    let methods = [Method::None, Method::Gzip, Method::Xz, Method::Zstd, Method::Bzip2];
    let method = methods.into_iter().find(|method| method.to_string() == name)?;
    Some(Piece { offset, length, method })
}

fn work(job: &Job, input: &File, output: &mut impl Write) -> io::Result<()> {
    let mut worker = Worker { wanted: job.wanted, entries: 0, left: MAX_CONTENT, pause: 0, told: 0, output };
    for piece in &job.pieces {
        if worker.archive(input, piece)? {
            break;
        }
    }
    Ok(())
}

/// The way through the archives.
struct Worker<'a, W> {
    wanted: Option<usize>,
    /// How many entries there were.
    entries: usize,
    /// How many bytes of content may still come.
    left: u64,
    /// How many bytes of content came since the last message about progress.
    pause: u64,
    /// How many compressed bytes of this archive were told of.
    told: u64,
    output: &'a mut W,
}

impl<W: Write> Worker<'_, W> {
    /// Reads one archive; tells whether what is wanted was found in it.
    fn archive(&mut self, input: &File, piece: &Piece) -> io::Result<bool> {
        let taken = Arc::new(AtomicU64::new(0));
        let inner = Range::new(input, piece.offset, piece.length);
        let source = Counted { inner, taken: Arc::clone(&taken) };
        let content = archive::reader(piece.method, BufReader::with_capacity(MAX_DATA, source), self.left)?;
        self.told = 0;
        let mut tar = tar::Archive::new(content);
        for entry in tar.entries()? {
            if self.entry(entry?, &taken)? {
                return Ok(true);
            }
        }
        self.rest(tar.into_inner())?;
        self.progress(&taken)?;
        Ok(false)
    }

    /// Reads one entry; tells whether it was the wanted one.
    fn entry(&mut self, mut entry: tar::Entry<'_, impl Read>, taken: &AtomicU64) -> io::Result<bool> {
        let number = self.entries;
        self.entries = number.saturating_add(1);
        if self.entries > MAX_ENTRIES {
            return Err(io::Error::other(format!("it has more than {MAX_ENTRIES} entries")));
        }
        let name = entry.path_bytes().into_owned();
        if name.len() > MAX_NAME {
            return Err(io::Error::other(format!("a name in it has more than {MAX_NAME} bytes")));
        }
        let name = String::from_utf8_lossy(&name).into_owned();
        let mode = entry.header().mode().unwrap_or_default() & 0o7777;
        let (kind, size) = (kind(entry.header().entry_type()), entry.size());
        let wanted = self.wanted == Some(number) && kind == Kind::File;
        let holds = if kind == Kind::File { self.content(&mut entry, size, wanted, taken)? } else { None };
        if self.wanted.is_none() {
            Message::Entry(Entry { name, kind, mode, size, holds }).write(self.output)?;
        }
        Ok(wanted)
    }

    /// Reads the content of a file; gives it out if it is `wanted`.
    fn content(
        &mut self,
        entry: &mut impl Read,
        size: u64,
        wanted: bool,
        taken: &AtomicU64,
    ) -> io::Result<Option<Holds>> {
        let mut buffer = vec![0; MAX_DATA];
        let (mut begin, mut end, mut found) = (Vec::<u8>::new(), Vec::new(), 0_u64);
        loop {
            let count = entry.read(&mut buffer)?;
            let piece = buffer.get(..count).unwrap_or_default();
            if piece.is_empty() {
                break;
            }
            found = found.saturating_add(self.count(piece, taken)?);
            begin.extend(piece.iter().take(rpmfile::LEAD.len().saturating_sub(begin.len())));
            keep_end(&mut end, piece);
            if wanted {
                Message::Data(piece.to_vec()).write(self.output)?;
            }
        }
        if found != size {
            return Err(io::Error::other("it ends inside a file"));
        }
        if begin == rpmfile::LEAD {
            return Ok(Some(Holds::Rpm));
        }
        let trailer = end.first_chunk().map(|end| Trailer::parse(end, size));
        Ok(match trailer {
            None | Some(Err(bundle::Error::NoTrailer)) => None,
            Some(_) => Some(Holds::Bundle),
        })
    }

    /// Counts a piece of content.
    fn count(&mut self, piece: &[u8], taken: &AtomicU64) -> io::Result<u64> {
        let count = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.left = self.left.saturating_sub(count);
        self.pause = self.pause.saturating_add(count);
        if self.pause >= PAUSE {
            self.progress(taken)?;
            self.output.flush()?;
        }
        Ok(count)
    }

    /// Tells how far it is.
    fn progress(&mut self, taken: &AtomicU64) -> io::Result<()> {
        let now = taken.load(Ordering::Relaxed);
        Message::Progress(now.saturating_sub(self.told)).write(self.output)?;
        (self.told, self.pause) = (now, 0);
        Ok(())
    }

    /// Behind the last entry there is only padding. Reading it, too, lets the decompressor compare its sums.
    fn rest(&mut self, mut content: impl Read) -> io::Result<()> {
        let mut buffer = vec![0; MAX_DATA];
        loop {
            let count = content.read(&mut buffer)?;
            let piece = buffer.get(..count).unwrap_or_default();
            if piece.is_empty() {
                return Ok(());
            }
            if piece.iter().any(|byte| *byte != 0) {
                return Err(io::Error::other("there is something behind its end"));
            }
            self.left = self.left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
        }
    }
}

fn kind(of: tar::EntryType) -> Kind {
    use tar::EntryType as E;
    match of {
        E::Regular | E::Continuous => Kind::File,
        E::Directory => Kind::Directory,
        E::Symlink => Kind::Symlink,
        E::Link => Kind::Link,
        E::Char | E::Block => Kind::Device,
        E::Fifo => Kind::Fifo,
        _ => Kind::Other,
    }
}

/// Keeps the last bytes, as many as a trailer has.
fn keep_end(end: &mut Vec<u8>, piece: &[u8]) {
    let most = usize::try_from(TRAILER_LEN).unwrap_or_default();
    let from = piece.len().saturating_sub(most);
    end.extend(piece.get(from..).unwrap_or_default());
    let over = end.len().saturating_sub(most);
    end.drain(..over);
}

/// Counts what is read.
struct Counted<'a> {
    inner: Range<'a>,
    taken: Arc<AtomicU64>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.taken.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
        Ok(count)
    }
}
