//! Reads the product's logs. They belong to the service's account, which may put anything in their place.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::archive::{self, Method};
use crate::product;
use crate::productlog::{self, Facts};
use crate::sys::dir::Dir;
use crate::sys::{self, Result};
use crate::types::RelPath;

/// Bytes looked at of a log's end at first, and how the part grows when no start is in it.
const END: u64 = 1 << 20;
const GROWTH: u64 = 8;
/// Most bytes looked at of one compressed file, and of what it holds.
const PACKED: u64 = 16 << 20;
const CONTENT: u64 = 128 << 20;
/// Most files that are read.
const FILES: usize = 8;

/// How far back a log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// What was written just now: the end of the log, or of the one that was put aside last.
    Near,
    /// Also logs that were put aside earlier, and more of each.
    Far,
}

impl Reach {
    /// Most bytes that are read of one file, and most files.
    fn limits(self) -> (u64, usize) {
        match self {
            Self::Near => (END * 32, 2),
            Self::Far => (END * GROWTH * GROWTH, FILES),
        }
    }
}

/// Where a log is.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// The product's: below a root, absolute as the installed system sees it.
    Product(&'a Path, &'a str),
    /// One that somebody named.
    Named(&'a Path),
}

/// What a log says, and how much of it was read for that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// The log.
    pub log: PathBuf,
    /// What it says.
    #[serde(flatten)]
    pub facts: Facts,
    /// The files that were looked at, the newest first.
    pub files: Vec<String>,
    /// Why older lines are not known, if they were wanted.
    pub incomplete: Option<String>,
}

/// Reads a log from its end until the newest start, also logs that were put aside from it; `None` when
/// there is none. No link is followed below the directory of logs, only plain files are read, each through
/// one descriptor, and no more than [`Reach`] allows.
///
/// # Errors
/// When the directory, or the log itself, cannot be read or is something else.
pub fn read(place: Place, reach: Reach) -> Result<Option<Told>> {
    let (dir, name) = match holder(place) {
        Err(error) if error.is_not_found() => return Ok(None),
        other => other?,
    };
    let (most, files) = reach.limits();
    let names = dir.raw_names()?.into_iter().filter_map(|name| name.into_string().ok());
    let names = productlog::newest_first(&name, names.collect(), files);
    if names.is_empty() {
        return Ok(None);
    }
    let mut told =
        Told { log: dir.path_of(&name), facts: Facts::default(), files: Vec::new(), incomplete: None };
    for other in names {
        let file = match dir.open_file(&other) {
            Ok(file) => file,
            Err(error) if error.is_not_found() => continue, // put aside or removed meanwhile
            Err(error) if other == name => return Err(error),
            Err(error) => {
                told.incomplete = Some(format!("{}: {}", other, error.source));
                break;
            }
        };
        let (older, whole) = match one(file, other.ends_with(".gz"), most) {
            Ok(read) => read,
            Err(error) => {
                told.incomplete = Some(format!("{other}: {error}"));
                break;
            }
        };
        told.facts = older.followed_by(std::mem::take(&mut told.facts));
        told.files.push(other.clone());
        if told.facts.start.is_some() {
            break;
        }
        if !whole {
            told.incomplete = Some(format!("{other}: no start in the last {} MiB", most >> 20));
            break;
        }
    }
    Ok(Some(told))
}

/// The directory of a log, and the log's name in it. Below the product's directory of logs no link is followed:
/// what is there belongs to the service.
pub(super) fn holder(place: Place) -> Result<(Dir, String)> {
    let odd = |path: &Path| sys::Error::rule("read", path, "it is not the name of a log");
    match place {
        Place::Named(path) => {
            let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| odd(path))?;
            let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
            Ok((Dir::open(dir)?, name.to_owned()))
        }
        Place::Product(root, path) => {
            let inner = path.strip_prefix(product::LOG_DIR).and_then(|inner| inner.strip_prefix('/'));
            let inner = inner.ok_or_else(|| odd(Path::new(path)))?;
            inner.parse::<RelPath>().map_err(|_| odd(Path::new(path)))?;
            let (dir, name) = path.rsplit_once('/').ok_or_else(|| odd(Path::new(path)))?;
            Ok((Dir::open_guarded(root, &product::GUARDED, dir)?, name.to_owned()))
        }
    }
}

/// What one file says, and whether all of it was read.
fn one(file: File, packed: bool, most: u64) -> io::Result<(Facts, bool)> {
    let mut facts = Facts::default();
    if packed {
        let source = archive::reader(Method::Gzip, BufReader::new(file.take(PACKED)), CONTENT)?;
        facts.read(&mut BufReader::new(source))?;
        return Ok((facts, true));
    }
    let length = file.metadata()?.len();
    let mut part = END.min(most);
    loop {
        let facts = end(&file, length, part)?;
        if facts.start.is_some() || part >= length.min(most) {
            return Ok((facts, part >= length));
        }
        part = part.saturating_mul(GROWTH).min(most);
    }
}

/// What the last `part` bytes of a file say, from the first line that begins in them.
fn end(mut file: &File, length: u64, part: u64) -> io::Result<Facts> {
    let mut facts = Facts::default();
    let from = length.saturating_sub(part);
    // a line that begins right there is known by what is before it
    file.seek(SeekFrom::Start(from.saturating_sub(1)))?;
    let mut source = BufReader::new(file.take(part.saturating_add(1)));
    if from > 0 {
        skip_line(&mut source)?;
    }
    facts.read(&mut source)?;
    Ok(facts)
}

fn skip_line(source: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = source.fill_buf()?;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let (used, over) = (end.map_or(buffer.len(), |end| end + 1), end.is_some() || buffer.is_empty());
        source.consume(used);
        if over {
            return Ok(());
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the tests prepare the files")]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::productlog::Mode;

    fn start(version: &str) -> String {
        format!(
            "2026-01-01 00:00:00.0001 info Starting server, version {version} run id: {}\n",
            "133e2886-81ae-4641-816a-6117fa8ccab5"
        )
    }

    const PASSED: &str =
        "2026-01-01 00:00:00.0002 info FIPS-CC self-tests passed. FIPS-CC mode enabled successfully.\n";

    fn chatter(bytes: usize) -> String {
        let line = format!("2026-01-01 00:00:01.0003 info nothing happened {}\n", "x".repeat(3000));
        line.repeat(bytes / line.len() + 1)
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(text.as_bytes()).unwrap();
        out.finish().unwrap()
    }

    struct Logs(tempfile::TempDir);

    impl Logs {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(root.path().join("var/log/demisto")).unwrap();
            Self(root)
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join("var/log/demisto").join(name)
        }

        fn write(&self, name: &str, content: impl AsRef<[u8]>) {
            std::fs::write(self.path(name), content).unwrap();
        }

        fn read(&self, reach: Reach) -> Option<Told> {
            read(Place::Product(self.0.path(), "/var/log/demisto/server.log"), reach).unwrap()
        }
    }

    #[test]
    fn a_start_far_from_the_end_is_found_as_far_as_the_limit() {
        let logs = Logs::new();
        assert_eq!(logs.read(Reach::Far), None);
        logs.write("server.log", "");
        assert_eq!(logs.read(Reach::Far).unwrap().facts, Facts::default());
        for (before, behind, near, far) in [
            (0, 10, true, true),
            (3 << 20, 10, true, true),
            (3 << 20, (1 << 20) + 5, true, true),
            (0, 33 << 20, false, true),
        ] {
            let text = format!("{}{}{PASSED}{}", chatter(before), start("6.14.0-7"), chatter(behind));
            logs.write("server.log", text);
            for (reach, wanted) in [(Reach::Near, near), (Reach::Far, far)] {
                let told = logs.read(reach).unwrap();
                assert_eq!(told.facts.start.is_some(), wanted, "{before} {behind} {reach:?}");
                assert_eq!(told.facts.fips.mode == Mode::On, wanted);
                assert_eq!(told.incomplete.is_some(), !wanted, "{:?}", told.incomplete);
                assert!(wanted || told.files == ["server.log"]);
            }
        }
    }

    #[test]
    fn every_place_where_a_line_can_begin_is_found() {
        let logs = Logs::new();
        let lines = format!("{}{PASSED}", start("6.14.0-7"));
        for extra in 0..3 {
            let fill = (1 << 20) - lines.len() - 1 + extra;
            logs.write("server.log", format!("{}\n{lines}{}\n", "x".repeat(50), "y".repeat(fill)));
            assert!(logs.read(Reach::Near).unwrap().facts.start.is_some(), "{extra}");
        }
    }

    #[test]
    fn logs_that_were_put_aside_are_read_too() {
        let logs = Logs::new();
        logs.write("server.log.2.gz", gzip(&format!("{}{PASSED}{}", start("6.13.0-1"), chatter(1000))));
        logs.write("server.log.1", chatter(100));
        let told = logs.read(Reach::Far).unwrap();
        assert_eq!(told.facts.start.unwrap().version, "6.13.0-1");
        assert_eq!(told.files, ["server.log.1", "server.log.2.gz"]);
        logs.write("server.log", "2026-01-02 00:00:00 error no start\n");
        let told = logs.read(Reach::Far).unwrap();
        assert_eq!((told.facts.fips.mode, told.facts.errors.len()), (Mode::On, 1));
        assert_eq!(told.facts.last_line_at.as_deref(), Some("2026-01-02 00:00:00"));
        assert_eq!(logs.read(Reach::Near).unwrap().facts.start, None);
        logs.write("server.log", start("6.14.0-2"));
        let told = logs.read(Reach::Far).unwrap();
        assert_eq!((told.facts.start.unwrap().build, told.files.len()), (Some(2), 1));
        assert_eq!(told.facts.fips.mode, Mode::Unknown);
    }

    #[test]
    fn what_the_service_puts_in_a_logs_place_is_borne() {
        let logs = Logs::new();
        let place = |path: &'static str| read(Place::Product(logs.0.path(), path), Reach::Far);
        let log = "/var/log/demisto/server.log";
        std::os::unix::fs::symlink("/etc/passwd", logs.path("server.log")).unwrap();
        assert!(place(log).is_err());
        std::fs::remove_file(logs.path("server.log")).unwrap();
        nix::unistd::mkfifo(&logs.path("server.log"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(place(log).is_err());
        std::fs::remove_file(logs.path("server.log")).unwrap();
        std::fs::create_dir(logs.path("server.log")).unwrap();
        assert!(place(log).is_err());
        std::os::unix::fs::symlink("/var/log", logs.path("d1_x")).unwrap();
        assert!(place("/var/log/demisto/d1_x/d1.log").is_err());
        assert!(place("/var/log/demisto/../../../etc/passwd").is_err());
        assert!(place("/etc/passwd").is_err());
        assert_eq!(place("/var/log/demisto/d1_y/d1.log").unwrap(), None);
    }

    #[test]
    fn a_damaged_or_swollen_archive_ends_the_search() {
        let logs = Logs::new();
        logs.write("server.log", chatter(10));
        logs.write("server.log.2", start("6.13.0-1"));
        let whole = gzip(&format!("{}{}", start("9.9.9-9"), chatter(100_000)));
        logs.write("server.log.1.gz", whole.get(..whole.len() - 10).unwrap());
        let told = logs.read(Reach::Far).unwrap();
        assert_eq!((told.facts.start, told.files.len()), (None, 1));
        assert!(told.incomplete.unwrap().starts_with("server.log.1.gz: "));
        let mut swollen = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::copy(&mut io::repeat(b'x').take(CONTENT + 1), &mut swollen).unwrap();
        logs.write("server.log.1.gz", swollen.finish().unwrap());
        let told = logs.read(Reach::Far).unwrap();
        assert!(told.incomplete.unwrap().contains("more than it may"));
    }

    #[test]
    fn a_log_that_somebody_named_is_read() {
        let logs = Logs::new();
        logs.write("other.txt", start("6.14.0-7"));
        let told = read(Place::Named(&logs.path("other.txt")), Reach::Far).unwrap().unwrap();
        assert!(told.facts.start.is_some());
        assert!(read(Place::Named(Path::new("/")), Reach::Far).is_err());
    }
}
