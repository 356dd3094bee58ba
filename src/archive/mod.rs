//! Decompression of whole streams, as other people's packages hold them.
//!
//! In: compressed bytes. Out: a reader of their content, which ends in an error after a number of bytes that
//! the caller sets, and whose memory is bounded whatever the stream asks for. Never touches files.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use std::fmt;
use std::io::{self, BufRead, Read};

/// Most memory that an xz stream may ask for, in bytes: what `xz -9` needs.
const XZ_MEMORY: u64 = 66 << 20;
/// The largest zstd window, as a power of two: 8 MiB, what RFC 8878 (3.1.1.1.2) recommends to accept, and
/// four times as much, which packagers use.
const ZSTD_WINDOW: u32 = 25;

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Not at all.
    None,
    /// gzip (RFC 1952), any number of members.
    Gzip,
    /// xz, any number of streams.
    Xz,
    /// Zstandard (RFC 8878), any number of frames.
    Zstd,
    /// bzip2, any number of streams.
    Bzip2,
}

impl Method {
    /// What the first bytes of a stream say; `None` for those that no method here begins with.
    #[must_use]
    pub fn of_start(bytes: &[u8]) -> Option<Self> {
        let magics: [(&[u8], Self); 4] = [
            (&[0x1f, 0x8b], Self::Gzip),
            (&[0xfd, b'7', b'z', b'X', b'Z', 0], Self::Xz),
            (&[0x28, 0xb5, 0x2f, 0xfd], Self::Zstd),
            (b"BZh", Self::Bzip2),
        ];
        magics.into_iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, method)| method)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
        })
    }
}

/// Reads the content of `source`, at most `limit` bytes of it: more is an error, as is anything behind the
/// end of the stream.
///
/// # Errors
/// When no decompressor can be set up.
pub fn reader<'a>(
    method: Method,
    source: impl BufRead + Send + 'a,
    limit: u64,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    Ok(match method {
        Method::None => Box::new(Bounded { inner: source, left: limit }),
        Method::Gzip => {
            Box::new(Bounded { inner: flate2::bufread::MultiGzDecoder::new(source), left: limit })
        }
        Method::Bzip2 => {
            Box::new(Bounded { inner: bzip2::bufread::MultiBzDecoder::new(source), left: limit })
        }
        Method::Xz => {
            let flags = liblzma::stream::CONCATENATED;
            let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, flags)?;
            Box::new(Bounded { inner: liblzma::bufread::XzDecoder::new_stream(source, stream), left: limit })
        }
        Method::Zstd => {
            let mut inner = zstd::stream::read::Decoder::with_buffer(source)?;
            inner.window_log_max(ZSTD_WINDOW)?;
            Box::new(Bounded { inner, left: limit })
        }
    })
}

/// Ends in an error after so many bytes.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let count = u64::try_from(read).unwrap_or(u64::MAX);
        match self.left.checked_sub(count) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other("it holds more than it may")),
        }
        Ok(read)
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test cuts bytes by position")]
mod tests {
    use std::io::Write as _;

    use super::*;

    const METHODS: [Method; 5] = [Method::None, Method::Gzip, Method::Xz, Method::Zstd, Method::Bzip2];

    fn compress(method: Method, bytes: &[u8]) -> Vec<u8> {
        match method {
            Method::None => bytes.to_vec(),
            Method::Gzip => {
                let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                out.write_all(bytes).unwrap();
                out.finish().unwrap()
            }
            Method::Xz => {
                let mut out = liblzma::write::XzEncoder::new(Vec::new(), 1);
                out.write_all(bytes).unwrap();
                out.finish().unwrap()
            }
            Method::Zstd => zstd::encode_all(bytes, 1).unwrap(),
            Method::Bzip2 => {
                let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                out.write_all(bytes).unwrap();
                out.finish().unwrap()
            }
        }
    }

    fn content(method: Method, bytes: &[u8], limit: u64) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        reader(method, bytes, limit)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn content_comes_out_of_every_method() {
        let bytes: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        for method in METHODS {
            let packed = compress(method, &bytes);
            assert_eq!(content(method, &packed, 400_000).unwrap(), bytes, "{method}");
            if method != Method::None {
                assert_eq!(Method::of_start(&packed), Some(method));
                let twice = [packed.clone(), packed].concat();
                assert_eq!(content(method, &twice, 800_000).unwrap().len(), 800_000, "{method}");
            }
        }
    }

    #[test]
    fn more_than_the_limit_is_an_error() {
        for method in METHODS {
            let packed = compress(method, &vec![0; 1 << 20]);
            assert!(content(method, &packed, (1 << 20) - 1).is_err(), "{method}");
        }
    }

    #[test]
    fn a_cut_or_prolonged_stream_is_an_error() {
        for method in METHODS.into_iter().filter(|method| *method != Method::None) {
            let packed = compress(method, &[7; 5000]);
            for cut in 1..packed.len() {
                assert!(content(method, &packed[..cut], 1 << 20).is_err(), "{method} cut at {cut}");
            }
            let longer = [packed, b"garbage".to_vec()].concat();
            assert!(content(method, &longer, 1 << 20).is_err(), "{method}");
        }
    }
}
