use std::io;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::shell;
use super::{Error, MAX_ARCHIVES, MAX_HEADER, MAX_SIGNATURE, Result, START};
use crate::archive::Method;
use crate::types::Digest;

/// What the header of a makeself archive says. Nobody vouches for any of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The version of makeself by which it says it was made.
    pub version: String,
    /// What it calls itself.
    pub label: String,
    /// The program in the archive that the script would run as whoever starts it; empty for none.
    pub script: String,
    /// That program's arguments, as the header has them.
    pub arguments: String,
    /// Whether it would run a program before it unpacks (`preextract`, 2.6 and later).
    pub runs_before: bool,
    /// Whether it would run a program when it has ended (`cleanup_script`, 2.4 and later).
    pub runs_after: bool,
    /// The directory that it would unpack to.
    pub target: String,
    /// Whether it holds a licence text.
    pub licence: bool,
    /// How it says that its archives are compressed; their first bytes agree.
    pub compression: Option<String>,
    /// The signature over exactly the archives' bytes that it carries: packets as they are.
    pub signature: Option<Vec<u8>>,
    /// Where the first archive begins: the header's length in bytes.
    pub offset: u64,
    /// The archives, which follow each other to the end of the file.
    pub archives: Vec<Archive>,
}

/// One compressed tar archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Where it begins, in bytes from the file's start.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// How it is compressed, by its first bytes.
    pub method: Method,
    /// Its check sum by the POSIX tool `cksum`, if the header states one.
    pub crc: Option<u32>,
    /// Its MD5 sum.
    pub md5: Option<[u8; 16]>,
    /// Its SHA-256 sum.
    pub sha256: Option<Digest>,
}

/// The variables that are looked at. Each is assigned once, at the start of a line.
const NAMES: [&str; 17] = [
    "CRCsum",
    "MD5",
    "SHA",
    "SIGNATURE",
    "label",
    "script",
    "scriptargs",
    "cleanup_script",
    "licensetxt",
    "helpheader",
    "preextract",
    "targetdir",
    "filesizes",
    "totalsize",
    "decrypt_cmd",
    "skip",
    "export_conf",
];

/// Reads bytes of the file from an offset on.
type Read<'a> = &'a dyn Fn(&mut [u8], u64) -> io::Result<()>;

impl Header {
    /// Reads the header of a file of `length` bytes; `None` when it is no makeself archive. `read` fills a
    /// buffer with the file's bytes from an offset on.
    ///
    /// # Errors
    /// When the header is not what makeself writes, when lengths do not add up to exactly that of the file, when
    /// an archive is encrypted or of an unknown kind, or when `read` fails.
    pub fn read(length: u64, read: Read) -> Result<Option<Self>> {
        let start = at(read, 0, length.min(u64::try_from(START).unwrap_or(0)))?;
        let Some(version) = version(&start) else { return Ok(None) };
        let text = at(read, 0, length.min(MAX_HEADER))?;
        let words = Words::read(&text)?;
        let mut header = words.header(version)?;
        header.archives = words.archives(header.offset)?;
        let stated =
            header.archives.iter().try_fold(header.offset, |sum, archive| sum.checked_add(archive.length));
        let stated = stated.ok_or_else(|| Error::header("its sizes are too large"))?;
        if stated != length {
            return Err(Error::Length { stated, found: length });
        }
        for archive in &mut header.archives {
            archive.method = method(archive, header.compression.as_deref(), read)?;
        }
        Ok(Some(header))
    }

    /// How many bytes the archives have together. They begin at [`Header::offset`].
    #[must_use]
    pub fn payload(&self) -> u64 {
        self.archives.iter().fold(0, |sum, archive| sum.saturating_add(archive.length))
    }
}

fn at(read: Read, offset: u64, length: u64) -> Result<Vec<u8>> {
    let length = usize::try_from(length).map_err(|_| Error::header("it is too large"))?;
    let mut bytes = vec![0; length];
    read(&mut bytes, offset)?;
    Ok(bytes)
}

/// The version in makeself's line, which is among the first of a script.
pub(super) fn version(start: &[u8]) -> Option<String> {
    const LINE: &[u8] = b"# This script was generated using Makeself ";
    if !start.starts_with(b"#!") {
        return None;
    }
    let mut lines = start.split(|byte| *byte == b'\n').take(8);
    let version = lines.find_map(|line| line.strip_prefix(LINE))?;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+' | b'~');
    (version.len() <= 32 && version.iter().all(plain)).then(|| String::from_utf8_lossy(version).into_owned())
}

/// How the archive is compressed: its first bytes tell, and must not contradict the header.
fn method(archive: &Archive, named: Option<&str>, read: Read) -> Result<Method> {
    const MAGIC: usize = 257; // of a tar archive: "ustar" in its first header (IEEE Std 1003.1, pax)
    let start = at(read, archive.offset, archive.length.min(262))?;
    let is_tar = start.get(MAGIC..).is_some_and(|rest| rest.starts_with(b"ustar"));
    let found = if is_tar { Some(Method::None) } else { Method::of_start(&start) };
    let wanted = match named {
        None => None,
        Some("gzip" | "pigz") => Some(Method::Gzip),
        Some("zstd") => Some(Method::Zstd),
        Some("xz") => Some(Method::Xz),
        Some("bzip2" | "pbzip2") => Some(Method::Bzip2),
        Some("none") => Some(Method::None),
        Some(other @ ("gpg" | "gpg-asymmetric" | "openssl")) => {
            return Err(Error::Unsupported(format!("encrypted ({other})")));
        }
        Some(other) => return Err(Error::Unsupported(format!("compressed by {}", clean(other.as_bytes())))),
    };
    match (found, wanted) {
        (Some(found), None) => Ok(found),
        (Some(found), Some(wanted)) if found == wanted => Ok(found),
        (_, Some(wanted)) => Err(Error::header(format!(
            "the archive does not begin as one with the compression {wanted} does"
        ))),
        (None, None) => Err(Error::Unsupported("compressed in an unknown way".to_owned())),
    }
}

/// What is assigned in a header, and the few things that it says otherwise.
#[derive(Default)]
struct Words {
    values: Vec<(&'static str, Vec<u8>)>,
    /// How many lines the header has.
    lines: Option<usize>,
    compression: Option<Vec<u8>>,
    encryption: Option<Vec<u8>>,
    /// How many bytes those lines have.
    length: u64,
}

impl Words {
    /// Reads the lines of the header; what is behind it is not looked at.
    fn read(text: &[u8]) -> Result<Self> {
        let mut words = Self::default();
        let (mut rest, mut done) = (text, 0_usize);
        while words.lines.is_none_or(|lines| done < lines) {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let line = end.and_then(|end| rest.get(..end)).ok_or_else(|| no_end(&words))?;
            if line.contains(&0) {
                return Err(no_end(&words));
            }
            let name = NAMES.into_iter().find(|name| assigned(line, name).is_some());
            let taken = match name {
                Some(name) => words.assign(name, rest)?,
                None => {
                    words.look(line)?;
                    line.len()
                }
            };
            let whole = rest.get(..taken).unwrap_or(line);
            let inner = whole.iter().filter(|byte| **byte == b'\n').count();
            done = done.saturating_add(inner).saturating_add(1);
            rest = rest.get(taken.saturating_add(1)..).unwrap_or_default();
        }
        if words.lines != Some(done) {
            return Err(Error::header(
                "its archive begins inside a value, or before the line that says where",
            ));
        }
        let length = text.len().saturating_sub(rest.len());
        words.length = u64::try_from(length).map_err(|_| Error::header("it is too large"))?;
        Ok(words)
    }

    /// Takes the assignment at the beginning of `text`; gives how many bytes it has.
    fn assign(&mut self, name: &'static str, text: &[u8]) -> Result<usize> {
        let before = name.len().saturating_add(1);
        let value = shell::value(text.get(before..).unwrap_or_default())
            .map_err(|why| Error::header(format!("the value of {name}: {why}")))?;
        if name == "skip" {
            self.set_lines(&value.text)?;
        }
        match self.values.iter().find(|(known, _)| *known == name) {
            Some((_, known)) if *known != value.text => {
                return Err(Error::header(format!("{name} has two different values")));
            }
            Some(_) => {}
            None => self.values.push((name, value.text)),
        }
        Ok(before.saturating_add(value.length))
    }

    /// Looks at a line that assigns nothing that is needed.
    fn look(&mut self, line: &[u8]) -> Result<()> {
        let line = line.trim_ascii();
        if let Some(name) = line.strip_prefix(b"echo Compression: ") {
            once(&mut self.compression, name.trim_ascii(), "the compression")?;
        } else if let Some(name) = line.strip_prefix(b"echo Encryption: ") {
            once(&mut self.encryption, name.trim_ascii(), "the encryption")?;
        } else if let Some(command) = line.strip_prefix(b"offset=`head -") {
            let number = command.strip_prefix(b"n ").unwrap_or(command);
            let digits = number.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits > 0 {
                self.set_lines(number.get(..digits).unwrap_or_default())?;
            } else if !number.starts_with(b"\"$skip\"") {
                return Err(Error::header("it finds its archive in an unknown way"));
            }
        }
        Ok(())
    }

    fn set_lines(&mut self, digits: &[u8]) -> Result<()> {
        let lines = number(digits).filter(|lines| *lines > 0);
        let lines = lines.ok_or_else(|| Error::header("the number of its lines is none"))?;
        if self.lines.is_some_and(|known| known != lines) {
            return Err(Error::header("it names two different numbers of its lines"));
        }
        self.lines = Some(lines);
        Ok(())
    }

    fn get(&self, name: &str) -> Option<&[u8]> {
        self.values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_slice())
    }

    /// What is shown of it.
    fn text(&self, name: &str) -> String {
        clean(self.get(name).unwrap_or_default())
    }

    fn is_set(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| !value.is_empty())
    }

    /// The header, without archives.
    fn header(&self, version: String) -> Result<Header> {
        if self.is_set("decrypt_cmd") || !matches!(self.encryption.as_deref(), None | Some(b"" | b"n")) {
            return Err(Error::Unsupported("encrypted".to_owned()));
        }
        let compression = self.compression.as_deref().map(clean);
        Ok(Header {
            version,
            label: self.text("label"),
            script: self.text("script"),
            arguments: self.text("scriptargs"),
            runs_before: self.is_set("preextract"),
            runs_after: self.is_set("cleanup_script"),
            target: self.text("targetdir"),
            licence: self.is_set("licensetxt"),
            compression,
            signature: self.signature()?,
            offset: self.length,
            archives: Vec::new(),
        })
    }

    fn signature(&self) -> Result<Option<Vec<u8>>> {
        let text = self.get("SIGNATURE").unwrap_or_default();
        let text: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        if text.is_empty() {
            return Ok(None);
        }
        let bytes = STANDARD.decode(text).map_err(|_| Error::header("its signature is not base64"))?;
        if bytes.len() > MAX_SIGNATURE {
            return Err(Error::header("its signature is larger than 64 KiB"));
        }
        Ok(Some(bytes))
    }

    /// The archives, of which the first begins at `offset`.
    fn archives(&self, offset: u64) -> Result<Vec<Archive>> {
        let bad = |name: &str| Error::header(format!("the value of {name} is not one sum for each archive"));
        let sizes =
            self.get("filesizes").ok_or_else(|| Error::header("it does not name its archives' sizes"))?;
        let sizes: Option<Vec<u64>> = split(sizes).take(MAX_ARCHIVES.saturating_add(1)).map(number).collect();
        let sizes = sizes.filter(|sizes| !sizes.is_empty() && !sizes.contains(&0));
        let sizes = sizes.ok_or_else(|| Error::header("its sizes are no numbers"))?;
        if sizes.len() > MAX_ARCHIVES {
            return Err(Error::header("it has more than 16 archives"));
        }
        let mut crcs = self.sums("CRCsum", sizes.len(), number)?.into_iter();
        let mut md5s = self.sums("MD5", sizes.len(), md5)?.into_iter();
        let sha256 = |word: &[u8]| std::str::from_utf8(word).ok()?.parse().ok();
        let mut digests = self.sums("SHA", sizes.len(), sha256)?.into_iter();
        let (mut archives, mut at) = (Vec::new(), offset);
        for length in sizes {
            let (crc, md5) =
                (crcs.next().ok_or_else(|| bad("CRCsum"))?, md5s.next().ok_or_else(|| bad("MD5"))?);
            let sha256 = digests.next().ok_or_else(|| bad("SHA"))?;
            archives.push(Archive { offset: at, length, method: Method::None, crc, md5, sha256 });
            at = at.checked_add(length).ok_or_else(|| Error::header("its sizes are too large"))?;
        }
        let total = self.get("totalsize").map(number::<u64>);
        if total.is_some_and(|total| total != at.checked_sub(offset)) {
            return Err(Error::header("its total size is not the sum of its sizes"));
        }
        Ok(archives)
    }

    /// A sum for each archive. One that is all zeros stands for none, as does a missing variable.
    fn sums<T>(
        &self,
        name: &str,
        count: usize,
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<Option<T>>> {
        let Some(value) = self.get(name).filter(|value| !value.trim_ascii().is_empty()) else {
            return Ok(std::iter::repeat_with(|| None).take(count).collect());
        };
        let one = |word: &[u8]| {
            let absent = word.len() >= 10 && word.iter().all(|byte| *byte == b'0');
            if absent { Some(None) } else { parse(word).map(Some) }
        };
        let sums: Option<Vec<Option<T>>> = split(value).take(count.saturating_add(1)).map(one).collect();
        sums.filter(|sums| sums.len() == count)
            .ok_or_else(|| Error::header(format!("the value of {name} is not one sum for each archive")))
    }
}

/// The refusal of a text that ends, or is none, before the archive begins.
fn no_end(words: &Words) -> Error {
    Error::header(if words.lines.is_some() {
        "it is shorter than the number of its lines says, larger than 1 MiB, or no text"
    } else {
        "it does not tell where its archive begins"
    })
}

/// What is behind `NAME=` in a line.
fn assigned<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    line.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}

/// Sets what may be said once only; the same again is no contradiction.
fn once(place: &mut Option<Vec<u8>>, value: &[u8], what: &str) -> Result<()> {
    match place {
        Some(known) if known != value => Err(Error::header(format!("{what} is named twice"))),
        _ => {
            *place = Some(value.to_vec());
            Ok(())
        }
    }
}

fn split(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// Digits only: no sign, no space.
fn number<T: FromStr>(digits: &[u8]) -> Option<T> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

fn md5(word: &[u8]) -> Option<[u8; 16]> {
    let text = std::str::from_utf8(word).ok().filter(|text| text.len() == 32)?;
    let plain = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)).flatten()
}

/// A value as it is shown: at most 200 characters. Control characters are escaped where it is printed.
fn clean(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let mut shown: String = text.chars().take(200).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
