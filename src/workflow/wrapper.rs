//! What comes in a makeself archive: its outer signatures, and the one file inside that is signed by itself.
//!
//! An outer signature is never enough: it says nothing any more once the file inside is out of it, and what is
//! installed has to be verifiable later. But one that is there must hold.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;

use super::Session;
use crate::event::Unit;
use crate::makeself::{self, Check, Header, Sum, Sums};
use crate::rpmfile::{self, Covers, Signature};
use crate::source::{self, Candidate, Shape};
use crate::sys::io::Range;
use crate::unpack::{self, Entry, Holds, Kind, Piece};
use crate::verify::{self, Judgement};
use crate::{sys, types};

/// Largest file with detached signatures that is read, in bytes: 64 KiB of packets, as text.
const SIGNATURE_FILE: u64 = 128 << 10;
/// Where the private copy lies when the state directory is not there or not ours.
const ELSEWHERE: &str = "/var/tmp";
/// Bytes that stay free where the private copy lies.
const SPARE: u64 = 64 << 20;
/// Where the header of a package ends at the latest, in bytes: a lead and two headers, with their paddings.
const FRONT: u64 = rpmfile::MAX_SIGNATURE_HEADER + rpmfile::MAX_HEADER + (1 << 10);
/// Most names in a message.
const NAMED: usize = 8;

/// Why a makeself archive is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Its header is refused.
    #[error("{} cannot be used", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: makeself::Error,
    },
    /// A signature over the file, or over its archives, does not hold.
    #[error("the signature over {over} of {} does not hold", path.display())]
    Outer {
        /// The file.
        path: PathBuf,
        /// What it is over.
        over: Over,
        /// What became of it.
        #[source]
        source: verify::Error,
    },
    /// An archive has not the sums that the header states.
    #[error("{} is damaged: archive {number} does not have the {sum} sum that its header states", path.display())]
    Sum {
        /// The file.
        path: PathBuf,
        /// Which archive, counted from 1.
        number: usize,
        /// Which sum.
        sum: Sum,
    },
    /// The archive cannot be read.
    #[error("{} cannot be used", path.display())]
    Unpack {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: unpack::Error,
    },
    /// An entry that no installer has.
    #[error("{} is refused: its archive holds {what}: {name}", path.display())]
    Crafted {
        /// The file.
        path: PathBuf,
        /// What.
        what: &'static str,
        /// The entry.
        name: String,
    },
    /// The file inside does not fit where its copy would be.
    #[error("{needed} bytes are needed in {} for what is inside {}, {free} are free", place.display(), path.display())]
    NoSpace {
        /// The file.
        path: PathBuf,
        /// Where the copy would be.
        place: PathBuf,
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// Nothing inside is signed.
    #[error("{} holds neither an installer of this program nor an RPM package, but {found}", path.display())]
    Nothing {
        /// The file.
        path: PathBuf,
        /// What is inside.
        found: String,
    },
    /// Nobody says which file is meant.
    #[error("{} holds more than one installer or RPM package: {found}", path.display())]
    Several {
        /// The file.
        path: PathBuf,
        /// Those.
        found: String,
    },
}

/// What an outer signature is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Over {
    /// The whole file.
    File,
    /// Exactly the archives: the script in front of them is not signed.
    Archives,
}

impl std::fmt::Display for Over {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::File => "the whole",
            Self::Archives => "the archives",
        })
    }
}

/// An outer signature, judged.
#[derive(Debug, Serialize)]
pub struct OuterJudgement {
    /// What it is over.
    pub over: Over,
    /// The file that it is in; none for the one in the header.
    pub from: Option<String>,
    /// What became of it.
    pub judgement: Judgement,
}

/// One archive of the file.
#[derive(Debug, Serialize)]
pub struct Archive {
    /// Where it begins, in bytes from the file's start.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// How it is compressed.
    pub compression: String,
    /// The sums that the header states, compared. They find damage and prove nothing.
    pub sums: Vec<Check>,
}

/// What is known of a makeself archive. Nobody vouches for any of it but the judgements.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The file.
    pub file: String,
    /// The version of makeself that made it, by its own word.
    pub makeself: String,
    /// What it calls itself.
    pub label: String,
    /// The program that its script would run, with the rights of whoever starts it.
    pub script: String,
    /// That program's arguments.
    pub arguments: String,
    /// Whether it would run a program before it unpacks.
    pub runs_before: bool,
    /// Whether it would run a program at its end.
    pub runs_after: bool,
    /// Where it would unpack to.
    pub target: String,
    /// Whether it holds a licence text.
    pub licence: bool,
    /// The length of the script in bytes.
    pub header_length: u64,
    /// Its archives.
    pub archives: Vec<Archive>,
    /// Its outer signatures.
    pub outer: Vec<OuterJudgement>,
    /// What the archives hold, by their own word.
    pub entries: Vec<Entry>,
    /// The file inside that is judged by its own signatures.
    pub inner: Option<Entry>,
    /// Why it is refused.
    pub problem: Option<String>,
}

/// A makeself archive, taken apart.
#[derive(Debug)]
pub struct Unwrapped {
    /// What is known of it.
    pub report: Report,
    /// A private copy of the file inside, or why there is none.
    pub inner: Result<File, Error>,
}

impl Unwrapped {
    /// What the file inside is called in messages.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        let name = self.report.inner.as_ref().map_or("", |inner| inner.name.as_str());
        PathBuf::from(format!("{}: {name}", self.report.file))
    }
}

/// A file as it is, or what was in it.
#[derive(Debug)]
pub enum Opened {
    /// No makeself archive.
    Plain(File),
    /// A makeself archive. A refusal is a value.
    Wrapped(Box<Unwrapped>),
}

/// Opens a file and, when it is a makeself archive, takes it apart. With `all`, what is inside is listed even if
/// the file is refused already.
///
/// # Errors
/// When it cannot be read, or the private copy cannot be written.
pub fn look(session: &Session, path: &Path, all: bool) -> Result<Opened> {
    let file = sys::fs::open_existing(path)?;
    if source::sniff(&file, path)? != Shape::Makeself {
        return Ok(Opened::Plain(file));
    }
    let length = file.metadata().map_err(|e| sys::Error::new("look at", path, e))?.len();
    let read = |buffer: &mut [u8], offset| file.read_exact_at(buffer, offset);
    let refused = |source| Error::Header { path: path.to_owned(), source };
    let Some(header) = Header::read(length, &read).map_err(refused)? else { return Ok(Opened::Plain(file)) };
    let wrapper = Wrapper { session, file: &file, path, header: &header };
    Ok(Opened::Wrapped(Box::new(wrapper.take_apart(all)?)))
}

/// Opens a file to install it: as it is, or the one inside. Gives its name for messages, too, and what is known
/// of the makeself archive that it came in.
///
/// # Errors
/// As [`look`]; and when it is a makeself archive that is refused.
pub fn open(session: &Session, path: &Path) -> Result<(File, PathBuf, Option<Report>)> {
    match look(session, path, false)? {
        Opened::Plain(file) => Ok((file, path.to_owned(), None)),
        Opened::Wrapped(unwrapped) => {
            let name = unwrapped.path();
            Ok((unwrapped.inner?, name, Some(unwrapped.report)))
        }
    }
}

/// Judges the signatures over the whole file, in FILE.asc and FILE.sig beside it, and the one over its archives in
/// its header. None is fine; what is there has to hold.
///
/// # Errors
/// When something cannot be read, or the keys or the policy cannot be used.
pub fn judge_outer(
    session: &Session,
    file: &File,
    path: &Path,
    header: &Header,
) -> Result<Vec<OuterJudgement>> {
    let (store, policy) = session.trust()?;
    let judge = |offset, length, signatures: &[u8]| {
        let mut bytes = Range::new(file, offset, length);
        let found = verify::judge_reader(&mut bytes, signatures, &store, &policy, session.now);
        found.map_err(|e| sys::Error::new("read", path, e))
    };
    let mut found = Vec::new();
    for extension in [".asc", ".sig"] {
        let mut name = path.as_os_str().to_owned();
        name.push(extension);
        let beside = PathBuf::from(name);
        if !sys::fs::exists(&beside) {
            continue;
        }
        let text = sys::fs::read_limited(&beside, SIGNATURE_FILE)?;
        let packets = verify::dearmor(&text).unwrap_or(text);
        let judgement = judge(0, header.offset.saturating_add(header.payload()), &packets)?;
        found.push(OuterJudgement { over: Over::File, from: Some(beside.display().to_string()), judgement });
    }
    if let Some(signature) = &header.signature {
        let judgement = judge(header.offset, header.payload(), signature)?;
        found.push(OuterJudgement { over: Over::Archives, from: None, judgement });
    }
    Ok(found)
}

/// A makeself archive that is being taken apart.
struct Wrapper<'a> {
    session: &'a Session<'a>,
    file: &'a File,
    path: &'a Path,
    header: &'a Header,
}

impl Wrapper<'_> {
    fn take_apart(&self, all: bool) -> Result<Unwrapped> {
        let mut report = self.report();
        report.outer = judge_outer(self.session, self.file, self.path, self.header)?;
        let mut refusal = self.refused_outer(&report.outer);
        if refusal.is_none() || all {
            for (archive, known) in report.archives.iter_mut().zip(&self.header.archives) {
                archive.sums = self.sums(known)?;
            }
            refusal = refusal.or_else(|| self.wrong_sum(&report.archives));
        }
        if refusal.is_none() || all {
            match self.list() {
                Ok(entries) => report.entries = entries,
                Err(error) => refusal = refusal.or(Some(self.unpack_error(error)?)),
            }
            let found = self.candidate(&report.entries);
            report.inner = found.as_ref().ok().and_then(|number| report.entries.get(*number)).cloned();
            refusal = match (refusal, found) {
                (Some(refusal), _) | (None, Err(refusal)) => Some(refusal),
                (None, Ok(number)) => {
                    let size = report.inner.as_ref().map_or(0, |inner| inner.size);
                    let holds = report.inner.as_ref().and_then(|inner| inner.holds);
                    match self.copy(number, size, holds == Some(Holds::Rpm))? {
                        Ok(file) => return Ok(Unwrapped { report, inner: Ok(file) }),
                        Err(error) => Some(error),
                    }
                }
            };
        }
        let refusal = refusal.unwrap_or_else(|| self.nothing(&report.entries));
        report.problem = Some(types::error_chain(&refusal));
        Ok(Unwrapped { report, inner: Err(refusal) })
    }

    fn report(&self) -> Report {
        let header = self.header.clone();
        let archive = |archive: &makeself::Archive| Archive {
            offset: archive.offset,
            length: archive.length,
            compression: archive.method.to_string(),
            sums: Vec::new(),
        };
        Report {
            file: self.path.display().to_string(),
            makeself: header.version,
            label: header.label,
            script: header.script,
            arguments: header.arguments,
            runs_before: header.runs_before,
            runs_after: header.runs_after,
            target: header.target,
            licence: header.licence,
            header_length: header.offset,
            archives: header.archives.iter().map(archive).collect(),
            outer: Vec::new(),
            entries: Vec::new(),
            inner: None,
            problem: None,
        }
    }

    fn refused_outer(&self, outer: &[OuterJudgement]) -> Option<Error> {
        let bad = outer.iter().find(|outer| !outer.judgement.accepted)?;
        let source = verify::Error::Refused(Box::new(bad.judgement.clone()));
        Some(Error::Outer { path: self.path.to_owned(), over: bad.over, source })
    }

    fn sums(&self, archive: &makeself::Archive) -> Result<Vec<Check>, sys::Error> {
        let mut sums = Sums::new(archive);
        let mut bytes = Range::new(self.file, archive.offset, archive.length);
        let mut buffer = vec![0; 1 << 18];
        loop {
            match bytes.read(&mut buffer) {
                Ok(0) => return Ok(sums.compare()),
                Ok(count) => sums.update(buffer.get(..count).unwrap_or_default()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(sys::Error::new("read", self.path, e)),
            }
        }
    }

    fn wrong_sum(&self, archives: &[Archive]) -> Option<Error> {
        archives.iter().enumerate().find_map(|(number, archive)| {
            let wrong = archive.sums.iter().find(|check| !check.holds)?;
            Some(Error::Sum { path: self.path.to_owned(), number: number.saturating_add(1), sum: wrong.sum })
        })
    }

    fn pieces(&self) -> Vec<Piece> {
        let piece = |archive: &makeself::Archive| Piece {
            offset: archive.offset,
            length: archive.length,
            method: archive.method,
        };
        self.header.archives.iter().map(piece).collect()
    }

    fn list(&self) -> unpack::Result<Vec<Entry>> {
        let sink = self.session.sink;
        sink.begin("reading the archive in a confined process", self.header.payload(), Unit::Bytes);
        let entries = unpack::list(self.file, &self.pieces(), &mut |delta| sink.advance(delta));
        sink.end("");
        entries
    }

    /// What of an error is a refusal of the file.
    fn unpack_error(&self, source: unpack::Error) -> Result<Error> {
        match source {
            unpack::Error::Sys(_) | unpack::Error::Interrupted(_) | unpack::Error::NotConfined(_) => {
                Err(source.into())
            }
            source => Ok(Error::Unpack { path: self.path.to_owned(), source }),
        }
    }

    /// The number of the one entry that is signed by itself.
    fn candidate(&self, entries: &[Entry]) -> Result<usize, Error> {
        let path = || self.path.to_owned();
        if let Some((entry, what)) = entries.iter().find_map(|entry| Some((entry, entry.fault()?))) {
            return Err(Error::Crafted { path: path(), what, name: entry.name.clone() });
        }
        let found: Vec<usize> =
            entries.iter().enumerate().filter(|(_, e)| e.holds.is_some()).map(|(number, _)| number).collect();
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(self.nothing(entries)),
            several => {
                let found: Vec<&Entry> = several.iter().filter_map(|number| entries.get(*number)).collect();
                Err(Error::Several { path: path(), found: names(&found) })
            }
        }
    }

    fn nothing(&self, entries: &[Entry]) -> Error {
        let files: Vec<&Entry> = entries.iter().filter(|entry| entry.kind == Kind::File).collect();
        Error::Nothing { path: self.path.to_owned(), found: names(&files) }
    }

    /// Copies one file of the archive to where nobody else can change it. Nobody vouches for it yet, so it must fit
    /// with room to spare, and of a package whose header is not accepted no more than the front is written: enough
    /// to say why.
    fn copy(&self, number: usize, size: u64, is_package: bool) -> Result<Result<File, Error>> {
        let (mut file, place) = private_file(self.session)?;
        let (needed, free) = (size.saturating_add(SPARE), sys::fs::free_bytes(&place)?);
        if needed > free {
            return Err(Error::NoSpace { path: self.path.to_owned(), place, needed, free }.into());
        }
        let (mut written, mut judged, mut stopped) = (0_u64, !is_package, false);
        let mut take = |bytes: &[u8]| {
            if !judged && written >= FRONT {
                judged = true;
                stopped = !self.is_vouched_for(&file);
            }
            if stopped {
                return Err(sys::Error::rule("write a private copy in", &place, "nobody vouches for it"));
            }
            written = written.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            let done = file.write_all(bytes);
            done.map_err(|e| sys::Error::new("write a private copy in", &place, e))
        };
        match unpack::copy(self.file, &self.pieces(), (number, size), &mut take) {
            Ok(()) => Ok(Ok(file)),
            Err(_) if stopped => Ok(Ok(file)),
            Err(error) => Ok(Err(self.unpack_error(error)?)),
        }
    }

    /// Whether the header of a package is signed as it has to be. A signature over header and payload, as old
    /// packages have it alone, is judged when all is there.
    fn is_vouched_for(&self, front: &File) -> bool {
        let judged = || -> Result<bool> {
            let candidate = Candidate::of_file(front.try_clone()?, self.path.to_owned())?;
            let old = |signature: &Signature| signature.covers == Covers::HeaderAndPayload;
            if candidate.signatures().is_empty()
                && candidate.package().is_some_and(|package| package.signatures().iter().any(old))
            {
                return Ok(true);
            }
            let (store, policy) = self.session.trust()?;
            let (signed, signatures) = (candidate.signed(), candidate.signatures());
            Ok(verify::judge(signed, signatures, &store, &policy, self.session.now).accepted)
        };
        judged().unwrap_or(false) // what is wrong is found again, and said, when the copy is opened
    }
}

fn names(entries: &[&Entry]) -> String {
    let shown: Vec<&str> = entries.iter().take(NAMED).map(|entry| entry.name.as_str()).collect();
    match entries.len().checked_sub(NAMED) {
        Some(more) if more > 0 => format!("{} and {more} more files", shown.join(", ")),
        _ if shown.is_empty() => "no file at all".to_owned(),
        _ => shown.join(", "),
    }
}

/// A file without a name: in the state directory if that is there and ours, else in /var/tmp.
fn private_file(session: &Session) -> Result<(File, PathBuf), sys::Error> {
    let state = session.state_dir();
    let ours = sys::fs::stat(&state).ok().flatten().is_some_and(|stat| {
        stat.kind == sys::dir::Kind::Dir && stat.ids.uid == sys::env::uid() && stat.mode == 0o700
    });
    if ours && let Ok(file) = sys::fs::create_unnamed(&state) {
        return Ok((file, state));
    }
    let place = PathBuf::from(ELSEWHERE);
    Ok((sys::fs::create_unnamed(&place)?, place))
}
