use crate::archive::Method;
use crate::types::Digest;

use super::error::shortened;
use super::header::{Header, Which};
use super::{Dependency, Error, File, Result, Scriptlet, files, scriptlets, tags};

/// Longest name, version or release, in bytes: with the architecture they make one file name.
const MAX_WORD: usize = 200;

/// What the main header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// `Name`: letters, digits and `._+-`.
    pub name: String,
    /// `Epoch`, which counts as 0 when there is none.
    pub epoch: Option<u32>,
    /// `Version`.
    pub version: String,
    /// `Release`.
    pub release: String,
    /// The architecture as rpm calls it: `x86_64`, `noarch`.
    pub arch: String,
    /// The operating system as rpm calls it: `linux`.
    pub os: String,
    /// One line about it.
    pub summary: String,
    /// Who made it; empty when the header doesn't say.
    pub vendor: String,
    /// Its licence; empty when the header doesn't say.
    pub license: String,
    /// When it was built, Unix seconds; 0 when the header doesn't say.
    pub build_time: u64,
    /// The format's version: 4 or 6.
    pub format: u8,
    /// What follows the header.
    pub payload: Payload,
    /// Its files, in the order of the header.
    pub files: Vec<File>,
    /// Its scriptlets and triggers.
    pub scriptlets: Vec<Scriptlet>,
    /// What must be there.
    pub requires: Vec<Dependency>,
    /// What it brings.
    pub provides: Vec<Dependency>,
    /// What must not be there.
    pub conflicts: Vec<Dependency>,
    /// What it takes the place of.
    pub obsoletes: Vec<Dependency>,
}

/// What the header says about the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// How it is compressed.
    pub method: Method,
    /// Over the payload as it lies in the file.
    pub sha256: Option<Digest>,
    /// Over the cpio archive.
    pub sha256_content: Option<Digest>,
    /// Whether the archive has rpm's own form for files of 4 GiB and more (`07070X`).
    pub large: bool,
}

impl Package {
    /// Reads a main header, the bytes of [`Envelope::header`](super::Envelope::header).
    ///
    /// # Errors
    /// When the header is not as rpm writes one, or says something that this program would not do as rpm does.
    pub fn parse(header: &[u8]) -> Result<Self> {
        let header = Header::parse(Which::Main, header)?;
        let source = header.has(tags::SOURCEPACKAGE) || !header.has(tags::SOURCERPM);
        if source {
            return Err(Error::Unsupported("it is a source package"));
        }
        let format = match header.u32(tags::RPMFORMAT)? {
            None | Some(4) => 4,
            Some(6) => 6,
            Some(_) => return Err(Error::Unsupported("its format is neither 4 nor 6")),
        };
        let (files, large) = files::read(&header)?;
        Ok(Self {
            name: word(&header, tags::NAME, "name", "-")?,
            epoch: header.u32(tags::EPOCH)?,
            version: word(&header, tags::VERSION, "version", "")?,
            release: word(&header, tags::RELEASE, "release", "")?,
            arch: word(&header, tags::ARCH, "architecture", "-")?,
            os: word(&header, tags::OS, "operating system", "-")?,
            summary: text(&header, tags::SUMMARY)?,
            vendor: text(&header, tags::VENDOR)?,
            license: text(&header, tags::LICENSE)?,
            build_time: header.u32(tags::BUILDTIME)?.map_or(0, u64::from),
            format,
            payload: payload(&header, format, large)?,
            files,
            scriptlets: scriptlets::scriptlets(&header)?,
            requires: scriptlets::requires(&header)?,
            provides: scriptlets::dependencies(&header, tags::PROVIDE)?,
            conflicts: scriptlets::dependencies(&header, tags::CONFLICT)?,
            obsoletes: scriptlets::dependencies(&header, tags::OBSOLETE)?,
        })
    }
}

/// A text for people; empty when it isn't there.
fn text(header: &Header<'_>, tag: u32) -> Result<String> {
    Ok(header.text(tag)?.unwrap_or_default().to_owned())
}

/// A word that becomes part of names: letters, digits, `._+~^`, and those of `more` (rpm's own rule, in
/// build/parsePreamble.c, is wider by `{}%`, which only unexpanded macros have).
fn word(header: &Header<'_>, tag: u32, what: &'static str, more: &str) -> Result<String> {
    let text = header.text(tag)?.ok_or(Error::Missing(what))?;
    let good = |c: char| c.is_ascii_alphanumeric() || "._+~^".contains(c) || more.contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if !begins || text.len() > MAX_WORD || !text.chars().all(good) {
        let why = "expected letters, digits and a few signs";
        return Err(Error::Value { what, value: shortened(text), why });
    }
    Ok(text.to_owned())
}

fn payload(header: &Header<'_>, format: u8, large: bool) -> Result<Payload> {
    let bad = |what, value: &str, why| Err(Error::Value { what, value: shortened(value), why });
    match header.text(tags::PAYLOADFORMAT)? {
        Some("cpio") => {}
        None => return Err(Error::Missing("payload format")),
        Some(other) => return bad("payload format", other, "expected cpio"),
    }
    let method = match header.text(tags::PAYLOADCOMPRESSOR)? {
        // rpm hands it to zlib then, which lets anything through that is not gzip.
        None => Method::None,
        Some("gzip") => Method::Gzip,
        Some("bzip2") => Method::Bzip2,
        Some("xz") => Method::Xz,
        Some("zstd") => Method::Zstd,
        Some(other) => return bad("payload compressor", other, "expected gzip, bzip2, xz or zstd"),
    };
    // The algorithm has no entry in format 6: it is in the digest's name.
    let algorithm = header.u32(tags::PAYLOADSHA256ALGO)?.or((format == 6).then_some(files::SHA256));
    let digest = |tag| match header.text(tag)? {
        Some(hex) if algorithm == Some(files::SHA256) => {
            hex.parse().map(Some).map_err(|_| header.bad(tag, "it is not a SHA-256 digest"))
        }
        _ => Ok(None),
    };
    Ok(Payload {
        method,
        sha256: digest(tags::PAYLOADSHA256)?,
        sha256_content: digest(tags::PAYLOADSHA256ALT)?,
        large,
    })
}
