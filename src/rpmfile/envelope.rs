use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::header::{self, Header, INTRO, Which};
use super::tags;
use super::{Error, Result};
use crate::types::{Digest, hex};

/// Length of the lead, in bytes.
const LEAD: usize = 96;
/// Most signatures of a package.
const MAX_SIGNATURES: usize = 64;

/// Reads bytes at an offset: the file is never read as a whole.
pub type ReadAt<'a> = &'a dyn Fn(&mut [u8], u64) -> std::io::Result<()>;

/// The parts before the payload, and where they lie. Only the signature header is looked into; nothing is
/// believed.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The file from its start to the end of the main header.
    bytes: Vec<u8>,
    header_offset: usize,
    payload_length: u64,
    signatures: Vec<Signature>,
    digests: Vec<StoredDigest>,
}

/// An OpenPGP signature of the signature header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The tag it was found under.
    pub tag: u32,
    /// What it is over.
    pub covers: Covers,
    /// Binary OpenPGP packets (RFC 9580), not looked at.
    pub packets: Vec<u8>,
}

/// The bytes that a signature or a digest is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covers {
    /// The main header, [`Envelope::header`].
    Header,
    /// The main header and all that follows it.
    HeaderAndPayload,
}

/// A digest of the signature header. Anybody can compute it anew, so it says nothing about who made the package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDigest {
    /// How it is computed.
    pub kind: DigestKind,
    /// What it is over.
    pub covers: Covers,
    /// Lower-case hexadecimal digits, as many as the kind has.
    pub hex: String,
}

/// How a stored digest is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestKind {
    /// MD5 (RFC 1321).
    Md5,
    /// SHA-1 (FIPS 180-4).
    Sha1,
    /// SHA-256 (FIPS 180-4).
    Sha256,
    /// SHA3-256 (FIPS 202).
    Sha3,
}

impl Envelope {
    /// Reads lead, signature header and main header of a file of `length` bytes.
    ///
    /// # Errors
    /// When the file cannot be read or is not a binary package, when a part is larger than allowed or than the
    /// file, and when the signature header is not as rpm writes one.
    pub fn read(length: u64, read: ReadAt<'_>) -> Result<Self> {
        let mut file = Start { bytes: Vec::new(), length, read };
        if length < 96 {
            return Err(Error::NotRpm);
        }
        check_lead(file.take("its lead", LEAD)?)?;
        let signature = file.header(Which::Signature)?;
        let (signatures, digests) = {
            let header = Header::parse(Which::Signature, file.bytes.get(signature..).unwrap_or_default())?;
            (signatures(&header)?, digests(&header)?)
        };
        let padding = file.bytes.len().next_multiple_of(8).saturating_sub(file.bytes.len());
        if file.take("the signature header", padding)?.iter().any(|byte| *byte != 0) {
            let why = "what pads it is not zero";
            return Err(Error::Header { header: Which::Signature.name(), why });
        }
        let header_offset = file.header(Which::Main)?;
        let payload_length = length.saturating_sub(file.position());
        Ok(Self { bytes: file.bytes, header_offset, payload_length, signatures, digests })
    }

    /// The main header, from its magic to the end of its store: what signatures over the header are over.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        self.bytes.get(self.header_offset..).unwrap_or_default()
    }

    /// Where the main header begins, in bytes from the start of the file.
    #[must_use]
    pub fn header_offset(&self) -> u64 {
        u64::try_from(self.header_offset).unwrap_or(u64::MAX)
    }

    /// Where the payload begins, in bytes from the start of the file.
    #[must_use]
    pub fn payload_offset(&self) -> u64 {
        u64::try_from(self.bytes.len()).unwrap_or(u64::MAX)
    }

    /// The length of the payload, compressed, in bytes: all that follows the main header.
    #[must_use]
    pub fn payload_length(&self) -> u64 {
        self.payload_length
    }

    /// Every OpenPGP signature of the signature header.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The digests of the signature header, which authenticate nothing.
    #[must_use]
    pub fn digests(&self) -> &[StoredDigest] {
        &self.digests
    }

    /// Whether a digest of the signature header is that of the main header; `None` for one that is not compared:
    /// over the payload, too, or of a kind that a signature has outlived.
    #[must_use]
    pub fn matches(&self, digest: &StoredDigest) -> Option<bool> {
        match (digest.kind, digest.covers) {
            (DigestKind::Sha256, Covers::Header) => Some(Digest::of(self.header()).to_string() == digest.hex),
            (DigestKind::Sha1, Covers::Header) => Some(hex(&openssl::sha::sha1(self.header())) == digest.hex),
            _ => None,
        }
    }
}

/// What was read of a file so far.
struct Start<'a> {
    bytes: Vec<u8>,
    length: u64,
    read: ReadAt<'a>,
}

impl Start<'_> {
    fn position(&self) -> u64 {
        u64::try_from(self.bytes.len()).unwrap_or(u64::MAX)
    }

    /// The next bytes. The caller has checked that they are few enough.
    fn take(&mut self, what: &'static str, count: usize) -> Result<&[u8]> {
        let at = self.bytes.len();
        let needed = u64::try_from(count).unwrap_or(u64::MAX);
        let found = self.length.saturating_sub(self.position());
        if needed > found {
            return Err(Error::Cut { what, needed, found });
        }
        let offset = self.position();
        self.bytes.resize(at.saturating_add(count), 0);
        let new = self.bytes.get_mut(at..).unwrap_or_default();
        (self.read)(new, offset)?;
        Ok(new)
    }

    /// Reads a whole header; returns where it begins.
    fn header(&mut self, which: Which) -> Result<usize> {
        let at = self.bytes.len();
        let intro = self.take(which.name(), INTRO)?;
        let length = match intro.first_chunk() {
            Some(intro) => header::length(which, intro)?,
            None => INTRO,
        };
        self.take(which.name(), length.saturating_sub(INTRO))?;
        Ok(at)
    }
}

/// Only what rpm looks at in the lead, which says nothing that the header does not say.
fn check_lead(lead: &[u8]) -> Result<()> {
    let number = |at: usize| {
        let bytes = lead.get(at..).and_then(|rest| rest.first_chunk::<2>());
        bytes.map_or(u16::MAX, |bytes| u16::from_be_bytes(*bytes))
    };
    if !lead.starts_with(&[0xed, 0xab, 0xee, 0xdb]) {
        return Err(Error::NotRpm);
    }
    if !matches!(lead.get(4), Some(3 | 4)) {
        return Err(Error::Unsupported("the version in its lead is neither 3 nor 4"));
    }
    match number(6) {
        0 => {}
        1 => return Err(Error::Unsupported("it is a source package")),
        _ => return Err(Error::Unsupported("it is neither a binary nor a source package")),
    }
    if number(78) != 5 {
        return Err(Error::Unsupported("its signatures are not in a header"));
    }
    Ok(())
}

fn signatures(header: &Header<'_>) -> Result<Vec<Signature>> {
    if header.has(tags::SIG_PGP5) {
        return Err(header.bad(tags::SIG_PGP5, "it is a signature of PGP 5, which nobody can check"));
    }
    let mut found = Vec::new();
    for (tag, covers) in [
        (tags::SIG_DSA, Covers::Header),
        (tags::SIG_RSA, Covers::Header),
        (tags::SIG_PGP, Covers::HeaderAndPayload),
        (tags::SIG_GPG, Covers::HeaderAndPayload),
    ] {
        if let Some(packets) = header.bytes(tag)? {
            found.push(Signature { tag, covers, packets: packets.to_vec() });
        }
    }
    let Some(texts) = header.texts(tags::SIG_OPENPGP)? else { return Ok(found) };
    if texts.len() > MAX_SIGNATURES {
        return Err(header.bad(tags::SIG_OPENPGP, "it holds more signatures than a package may have"));
    }
    for text in texts {
        let mut text = text?.to_owned();
        text.retain(|c| c != '\n');
        let bad = |_| header.bad(tags::SIG_OPENPGP, "it is not base64");
        let packets = STANDARD.decode(text).map_err(bad)?;
        found.push(Signature { tag: tags::SIG_OPENPGP, covers: Covers::Header, packets });
    }
    Ok(found)
}

fn digests(header: &Header<'_>) -> Result<Vec<StoredDigest>> {
    let mut found = Vec::new();
    for (tag, kind, digits) in [
        (tags::SIG_SHA1, DigestKind::Sha1, 40),
        (tags::SIG_SHA256, DigestKind::Sha256, 64),
        (tags::SIG_SHA3_256, DigestKind::Sha3, 64),
    ] {
        let Some(hex) = header.text(tag)? else { continue };
        if hex.len() != digits || !hex.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()) {
            return Err(header.bad(tag, "it is not a digest of this kind"));
        }
        found.push(StoredDigest { kind, covers: Covers::Header, hex: hex.to_owned() });
    }
    if let Some(bytes) = header.bytes(tags::SIG_MD5)? {
        if bytes.len() != 16 {
            return Err(header.bad(tags::SIG_MD5, "it is not a digest of this kind"));
        }
        found.push(StoredDigest { kind: DigestKind::Md5, covers: Covers::HeaderAndPayload, hex: hex(bytes) });
    }
    Ok(found)
}
