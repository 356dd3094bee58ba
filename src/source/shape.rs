use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::{Error, Result};
use crate::bundle::{self, TRAILER_LEN, Trailer};
use crate::{makeself, rpmfile, sys};

/// What a file is by its own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// An RPM package, whatever it ends with.
    Rpm,
    /// It ends like an installer of this program, whatever else it begins with.
    Bundle,
    /// A makeself archive.
    Makeself,
    /// None of these.
    Unknown,
}

/// Tells what an open file is by its first and last bytes.
///
/// # Errors
/// When it cannot be read or is no regular file.
pub fn sniff(file: &File, path: &Path) -> Result<Shape> {
    let meta = file.metadata().map_err(|e| sys::Error::new("look at", path, e))?;
    if !meta.is_file() {
        return Err(Error::NotAFile(path.to_owned()));
    }
    let length = meta.len();
    let at = |bytes: &mut [u8], offset| {
        file.read_exact_at(bytes, offset).map_err(|e| sys::Error::new("read", path, e))
    };
    let mut start = vec![0; usize::try_from(length).unwrap_or(usize::MAX).min(makeself::START)];
    at(&mut start, 0)?;
    if start.starts_with(&rpmfile::LEAD) {
        return Ok(Shape::Rpm);
    }
    let mut end = [0; 80];
    if let Some(offset) = length.checked_sub(TRAILER_LEN) {
        at(&mut end, offset)?;
    }
    if !matches!(Trailer::parse(&end, length), Err(bundle::Error::NoTrailer)) {
        return Ok(Shape::Bundle);
    }
    Ok(if makeself::is_makeself(&start) { Shape::Makeself } else { Shape::Unknown })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn files_are_told_apart() {
        let trailer = bundle::seal(
            &bundle::Parts {
                payload_offset: 4,
                payload_length: 0,
                manifest_offset: 12,
                manifest_length: 0,
                signatures_length: 0,
            },
            b"",
            b"",
        );
        let script = b"#!/bin/sh\n# This script was generated using Makeself 2.4.5\n".to_vec();
        for (bytes, shape) in [
            (Vec::new(), Shape::Unknown),
            (b"#!/bin/sh\necho Makeself 2.4.5\n".to_vec(), Shape::Unknown),
            (script.clone(), Shape::Makeself),
            ([rpmfile::LEAD.as_slice(), &[0; 100]].concat(), Shape::Rpm),
            ([[0; 12].as_slice(), &trailer].concat(), Shape::Bundle),
            ([rpmfile::LEAD.as_slice(), &[0; 8], &trailer].concat(), Shape::Rpm),
            ([script.as_slice(), &trailer].concat(), Shape::Bundle),
        ] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            assert_eq!(sniff(&file, Path::new("x")).unwrap(), shape, "{bytes:?}");
        }
    }
}
