//! The vendor's side: a directory tree becomes one signed self-extracting file, or one signed RPM.
//!
//! In: a tree, a description, a signing key, the program itself. Out: an executable bundle or a
//! package, and on request a detached signature over it. Never writes a secret, never leaves a
//! half-written output.
#![forbid(unsafe_code)]

mod description;
mod error;
mod frames;
mod package;
mod rotation;
pub mod signer;
mod tree;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

pub use description::Description;
pub use error::{Error, Result};
use frames::{Counted, FrameWriter};
pub use package::{PackageRequest, PackedRpm, PayloadCompression, package};
pub use rotation::{Rotations, Vouched, vouch};

use crate::bundle::{self, Compression, Parts, WRAPPER_LEN};
use crate::event::{EventSink, Unit as Amount};
use crate::manifest::{Container, FORMAT, Manifest, Payload, Stub};
use crate::sys;
use crate::types::Hasher;
use crate::verify::Rotation;

/// What to pack.
#[derive(Debug)]
pub struct Request<'a> {
    /// The directory tree: the content of the installation directory.
    pub tree: &'a Path,
    /// The product description.
    pub description: &'a Description,
    /// The program to put in front; the running one unless told.
    pub program: Option<&'a Path>,
    /// How frames are compressed.
    pub compression: Compression,
    /// Compression level: 1 to 19 for zstd, 1 to 9 for gzip.
    pub level: i32,
    /// Statements by which earlier release keys vouch for the one that signs.
    pub rotations: &'a [Rotation],
    /// The time written into the manifest.
    pub built_at: Timestamp,
    /// Where the bundle goes.
    pub output: &'a Path,
}

/// What was packed.
#[derive(Debug, serde::Serialize)]
pub struct Packed {
    /// The bundle.
    pub output: PathBuf,
    /// Its length in bytes.
    pub length: u64,
    /// Where the payload begins, for `tail -c +N` (counted from 1).
    pub payload_from: u64,
    /// The payload's length in bytes.
    pub payload_length: u64,
    /// The length of what it holds.
    pub content_length: u64,
    /// Number of files.
    pub files: usize,
    /// Number of frames.
    pub frames: usize,
    /// Number of signatures.
    pub signatures: usize,
}

/// Gives signatures over bytes; one call adds all that the release needs.
pub type Sign<'a> = dyn FnMut(&[u8]) -> Result<Vec<Vec<u8>>> + 'a;

/// Packs, signs and writes the bundle. The output appears under its name only when it is complete.
///
/// # Errors
/// When an input cannot be read or is unfit, signing fails, or the output cannot be written.
pub fn pack(request: &Request, sign: &mut Sign, sink: &dyn EventSink) -> Result<Packed> {
    let _working = sys::signal::Working::begin(); // so that Ctrl-C leaves no half-written file
    complete(request.output, |file| write_bundle(request, sign, sink, file))
}

/// Lets `write` fill a file that gets its name when it is complete.
fn complete<T>(output: &Path, write: impl FnOnce(File) -> Result<T>) -> Result<T> {
    let (temp, file) = temporary(output)?;
    match write(file) {
        Ok(packed) => {
            sys::fs::rename(&temp, output)?;
            Ok(packed)
        }
        Err(error) => {
            sys::fs::remove_file(&temp)?;
            Err(error)
        }
    }
}

/// The unfinished output: beside its place, so that the last rename stays in one file system.
fn temporary(output: &Path) -> Result<(PathBuf, File)> {
    let name = output.file_name().and_then(|n| n.to_str()).ok_or_else(|| Error::Output(output.to_owned()))?;
    let temp = output.with_file_name(format!(".{name}.{}.part", sys::env::pid()));
    let file = sys::fs::create(&temp, 0o600)?;
    Ok((temp, file))
}

fn write_bundle(request: &Request, sign: &mut Sign, sink: &dyn EventSink, file: File) -> Result<Packed> {
    let failed = |e| Error::Sys(sys::Error::new("write", request.output, e));
    let mut out = Counted::new(file);
    let stub = copy_stub(request.program, &mut out)?;
    let tree = tree::scan(request.tree, request.description)?;
    sink.begin("packing", tree.bytes, Amount::Bytes);
    let writer = FrameWriter::new(&mut out, request.compression, request.level);
    let (entries, frames) = tree::write(request.tree, tree, writer, sink)?;
    let payload = Payload {
        length: frames.iter().map(|f| f.length).sum(),
        content_length: frames.iter().map(|f| f.content_length).sum(),
        compression: request.compression,
    };
    sink.end("");
    let description = request.description;
    let manifest = Manifest {
        format: FORMAT,
        critical: Vec::new(),
        product: description.product.clone(),
        title: description.title.clone(),
        role: description.role,
        version: description.version,
        build: description.build,
        epoch: description.epoch,
        schema: description.schema,
        upgrades: description.upgrades.clone(),
        rotations: request.rotations.to_vec(),
        built_at: request.built_at,
        container: Some(Container { stub: stub.clone(), payload: payload.clone(), frames }),
        eula: Some(description.eula.clone()),
        config: description.config_text.clone(),
        units: description.unit_texts.clone(),
        health: description.health(),
        requirements: description.requirements.clone(),
        entries,
        outside: Vec::new(),
    };
    let bytes = manifest.to_bytes()?;
    let signatures = sign(&bytes)?;
    let block = signatures.concat();
    let parts = Parts {
        payload_offset: stub.length,
        payload_length: payload.length,
        manifest_offset: stub.length + payload.length + WRAPPER_LEN,
        manifest_length: bytes.len() as u64,
        signatures_length: block.len() as u64,
    };
    for piece in [&bundle::wrapper(&parts)?[..], &bytes, &block, &bundle::seal(&parts, &bytes, &block)] {
        out.write_all(piece).map_err(failed)?;
    }
    let length = out.written();
    let file = out.into_inner();
    sys::dir::set_attributes(&file, request.output, None, 0o755)?;
    file.sync_all().map_err(failed)?;
    Ok(Packed {
        output: request.output.to_owned(),
        length,
        payload_from: parts.payload_offset + 1,
        payload_length: parts.payload_length,
        content_length: payload.content_length,
        files: manifest.files().count(),
        frames: manifest.frames().len(),
        signatures: signatures.len(),
    })
}

/// Copies the program, without a payload that it may carry already.
fn copy_stub(program: Option<&Path>, out: &mut Counted<File>) -> Result<Stub> {
    let path = program.unwrap_or(Path::new("/proc/self/exe"));
    let mut file = sys::fs::open_existing(path)?;
    let failed = |e| sys::Error::new("read", path, e);
    let length = match crate::source::Candidate::open(path) {
        Ok(candidate) if candidate.parts().is_some() => candidate.parts().map_or(0, |p| p.payload_offset),
        _ => file.metadata().map_err(failed)?.len(),
    };
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    let mut left = length;
    while left > 0 {
        let piece = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let piece = buffer.get_mut(..piece).unwrap_or_default();
        file.read_exact(piece).map_err(failed)?;
        if left == length && !piece.starts_with(b"\x7fELF") {
            return Err(Error::NotAProgram(path.to_owned()));
        }
        hasher.update(piece);
        out.write_all(piece).map_err(|e| sys::Error::new("write", path, e))?;
        left -= piece.len() as u64;
    }
    Ok(Stub { length, sha256: hasher.finish() })
}
