//! A directory tree as one signed RPM package, for hosts that are kept by rpm, dnf or yum.
//!
//! The package is built by the `rpm` crate. What the crate cannot do without an OpenPGP library of
//! its own, the signature, is added by [`signature`].

mod readback;
mod scriptlets;
mod signature;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use ::rpm::{BuildConfig, CompressionWithLevel, Dependency, FileOptions, PackageBuilder};
use jiff::Timestamp;

use super::frames::Counted;
use super::{Description, Error, Result, Sign, tree};
use crate::event::{EventSink, Unit as Amount};
use crate::manifest::{self, FORMAT, Kind};
use crate::product::{
    CONFIG_FILE, DATA_DIR, ENGINE_CONFIG, INSTALL_DIR, LOG_DIR, Owner, RELEASE_FILE, Role, SERVICE_USER,
    UnitDir, is_host_file, is_package_name, is_word,
};
use crate::sys;
use crate::verify::Rotation;

const SYSUSERS_FILE: &str = "/usr/lib/sysusers.d/demisto.conf";
const TMPFILES_FILE: &str = "/usr/lib/tmpfiles.d/demisto.conf";
const ARCH: &str = "x86_64";
/// How often a running build looks for a signal.
const BEAT: Duration = Duration::from_millis(100);

/// How a package's payload is compressed. Each rpm reads those of the versions before it: RHEL 7 reads
/// gzip and xz.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadCompression {
    /// Zstandard, level 1 to 19.
    Zstd(i32),
    /// gzip, level 1 to 9.
    Gzip(u32),
    /// xz, level 1 to 9.
    Xz(u32),
}

/// What to pack.
#[derive(Debug)]
pub struct PackageRequest<'a> {
    /// The directory tree: the content of the installation directory.
    pub tree: &'a Path,
    /// The product description.
    pub description: &'a Description,
    /// The package's name; that of the role unless told.
    pub name: Option<&'a str>,
    /// How the payload is compressed.
    pub compression: PayloadCompression,
    /// Statements by which earlier release keys vouch for the one that signs.
    pub rotations: &'a [Rotation],
    /// The time of the package and of every file in it.
    pub built_at: Timestamp,
    /// Where the package goes; under its own name into the current directory unless told.
    pub output: Option<&'a Path>,
}

/// What was packed.
#[derive(Debug, serde::Serialize)]
pub struct PackedRpm {
    /// The file.
    pub output: PathBuf,
    /// Name, version, release and architecture, such as `demistoserver-6.14.0-3036535.x86_64`.
    pub package: String,
    /// The file's length in bytes.
    pub length: u64,
    /// Bytes of all files of the tree.
    pub content_length: u64,
    /// Number of files of the tree.
    pub files: usize,
    /// Number of signatures.
    pub signatures: usize,
}

/// Builds, signs and writes the package. The output appears under its name only when it is complete.
/// The compressed payload is held in memory.
///
/// # Errors
/// When an input cannot be read or is unfit, signing fails, or the output cannot be written.
pub fn package(request: &PackageRequest, sign: &mut Sign, sink: &dyn EventSink) -> Result<PackedRpm> {
    let _working = sys::signal::Working::begin(); // so that Ctrl-C leaves no half-written file
    let (description, name) = (request.description, package_name(request)?);
    let nevra = format!("{name}-{}-{}.{ARCH}", description.version, description.build);
    let tree = tree::scan(request.tree, description)?;
    check(request, &tree)?;
    sink.begin(format!("packing {nevra}"), tree.bytes, Amount::Bytes);
    let mut built = build(builder(request, name, &tree)?)?;
    let header = built.header_bytes().map_err(failed)?;
    readback::check(&header, &built.payload)?;
    sink.end("");
    let signatures = signature::add(&mut built, &header, sign)?;
    let output = request.output.map_or_else(|| PathBuf::from(format!("{nevra}.rpm")), Path::to_owned);
    let length = super::complete(&output, |file| write(&built, &output, file))?;
    Ok(PackedRpm {
        output,
        package: nevra,
        length,
        content_length: tree.bytes,
        files: tree.entries.iter().filter(|entry| matches!(entry.kind, Kind::File { .. })).count(),
        signatures,
    })
}

fn package_name<'a>(request: &PackageRequest<'a>) -> Result<&'a str> {
    let usual = match request.description.role {
        Role::Server => "demistoserver",
        Role::Engine => "d1",
    };
    let name = request.name.unwrap_or(usual);
    if is_word(name) && is_package_name(name) { Ok(name) } else { Err(Error::Name(name.to_owned())) }
}

/// The rules that hold for a bundle, and two of a package's own.
fn check(request: &PackageRequest, tree: &tree::Tree) -> Result<()> {
    let description = request.description;
    manifest::check_content(
        &description.config_text,
        &description.unit_texts,
        &description.eula,
        &tree.entries,
    )?;
    let refuse =
        |name: &str, why: &str| Err(Error::Tree { path: request.tree.join(name), why: why.to_owned() });
    for entry in tree.entries.iter().filter(|entry| entry.path.parent().is_none()) {
        match entry.path.as_str() {
            RELEASE_FILE => return refuse(RELEASE_FILE, "a package has a file of this name of its own"),
            name if is_host_file(name) => {
                return refuse(
                    name,
                    "certificates, keys and settings belong to the host and not to a package",
                );
            }
            _ => {}
        }
    }
    Ok(())
}

fn failed(error: ::rpm::Error) -> Error {
    Error::Package(Box::new(error))
}

/// All that goes into the package.
fn builder(request: &PackageRequest, name: &str, tree: &tree::Tree) -> Result<PackageBuilder> {
    let description = request.description;
    let seconds = u32::try_from(request.built_at.as_second())
        .map_err(|_| Error::Builder("its time is before 1970 or after 2106"))?;
    let compression = match request.compression {
        PayloadCompression::Zstd(level) => CompressionWithLevel::Zstd(level),
        PayloadCompression::Gzip(level) => CompressionWithLevel::Gzip(level),
        PayloadCompression::Xz(level) => CompressionWithLevel::Xz(level),
    };
    let summary = description.summary.as_ref().unwrap_or(&description.title);
    let version = description.version.to_string();
    let mut builder = PackageBuilder::new(name, &version, &description.licence, ARCH, summary);
    builder.using_config(BuildConfig::v4().compression(compression).source_date(seconds));
    builder.release(description.build.to_string());
    if let Some(vendor) = &description.vendor {
        builder.vendor(vendor);
    }
    dependencies(&mut builder, request.compression);
    let units: Vec<&str> = description.unit_texts.iter().map(|unit| unit.name.as_str()).collect();
    builder.pre_install_script(scriptlets::pre());
    builder.post_install_script(scriptlets::post());
    builder.pre_uninstall_script(scriptlets::preun(&units));
    builder.post_uninstall_script(scriptlets::postun());
    let mut files = Files { builder, time: ::rpm::Timestamp(seconds) };
    files.tree(request, tree)?;
    files.host(request)?;
    Ok(files.builder)
}

/// Nothing is demanded that a small system may lack: the scriptlets do without.
fn dependencies(builder: &mut PackageBuilder, compression: PayloadCompression) {
    builder.recommends(Dependency::any("systemd"));
    // In one transaction with the base system, what makes accounts comes first.
    builder.order_with_requires(Dependency::any("systemd"));
    builder.order_with_requires(Dependency::any("shadow-utils"));
    if matches!(compression, PayloadCompression::Xz(_)) {
        builder.requires(Dependency::rpmlib("PayloadIsXz", "5.2-1"));
    }
}

/// Puts files into a package, all of one time.
struct Files {
    builder: PackageBuilder,
    time: ::rpm::Timestamp,
}

impl Files {
    fn dir(&mut self, path: &str, owner: Owner, mode: u16) -> Result<()> {
        let (user, group) = names(owner);
        let options = FileOptions::dir(path).user(user).group(group).permissions(mode).modified_at(self.time);
        self.builder.with_dir_entry(options).map_err(failed)?;
        Ok(())
    }

    fn text(&mut self, path: &str, text: impl Into<Vec<u8>>) -> Result<()> {
        let options = FileOptions::new(path).permissions(0o644).modified_at(self.time);
        self.builder.with_file_contents(text, options).map_err(failed)?;
        Ok(())
    }

    /// The installation directory and what is in it.
    fn tree(&mut self, request: &PackageRequest, tree: &tree::Tree) -> Result<()> {
        self.dir(INSTALL_DIR, Owner::Root, 0o755)?;
        for entry in &tree.entries {
            let path = format!("{INSTALL_DIR}/{}", entry.path);
            let (user, group) = names(entry.owner);
            match &entry.kind {
                Kind::Dir { mode } => self.dir(&path, entry.owner, bits(mode.bits()))?,
                Kind::Symlink { target } => {
                    let options = FileOptions::symlink(path, target).user(user).group(group);
                    self.builder.with_symlink(options.modified_at(self.time)).map_err(failed)?;
                }
                Kind::File { mode, .. } => {
                    let options =
                        FileOptions::new(path).user(user).group(group).permissions(bits(mode.bits()));
                    let options = options.modified_at(self.time);
                    let options =
                        if entry.path == request.description.eula { options.license() } else { options };
                    let source = request.tree.join(entry.path.as_path());
                    self.builder.with_file(source, options).map_err(failed)?;
                }
            }
        }
        Ok(())
    }

    /// What lies elsewhere, and what the host may change.
    fn host(&mut self, request: &PackageRequest) -> Result<()> {
        let description = request.description;
        let config = match description.role {
            Role::Server => CONFIG_FILE.to_owned(),
            Role::Engine => format!("{INSTALL_DIR}/{ENGINE_CONFIG}"),
        };
        let options = FileOptions::new(config).user(SERVICE_USER).group(SERVICE_USER).permissions(0o640);
        let options = options.config().noreplace().modified_at(self.time);
        self.builder.with_file_contents(description.config_text.as_str(), options).map_err(failed)?;
        self.dir(DATA_DIR, Owner::Demisto, 0o750)?;
        self.dir(LOG_DIR, Owner::Demisto, 0o750)?;
        for unit in &description.unit_texts {
            self.text(&format!("{}/{}", UnitDir::Packages.path(), unit.name), unit.text.as_str())?;
        }
        self.text(SYSUSERS_FILE, scriptlets::SYSUSERS)?;
        self.text(TMPFILES_FILE, include_str!("../../../assets/tmpfiles.conf"))?;
        let release = manifest::Description {
            format: FORMAT,
            product: description.product.clone(),
            title: description.title.clone(),
            role: description.role,
            version: description.version,
            build: description.build,
            epoch: description.epoch,
            schema: description.schema,
            upgrades: description.upgrades.clone(),
            rotations: request.rotations.to_vec(),
            eula: description.eula.clone(),
            health: description.health(),
            requirements: description.requirements.clone(),
            built_at: request.built_at,
        };
        self.text(&format!("{INSTALL_DIR}/{RELEASE_FILE}"), release.to_bytes()?)
    }
}

fn names(owner: Owner) -> (&'static str, &'static str) {
    match owner {
        Owner::Root => ("root", "root"),
        Owner::Demisto => (SERVICE_USER, SERVICE_USER),
    }
}

/// Permissions fit into 12 bits.
fn bits(mode: u32) -> u16 {
    u16::try_from(mode & 0o7777).unwrap_or(0)
}

/// Builds on another thread, so that a signal ends the run at once: nothing was written yet.
fn build(mut builder: PackageBuilder) -> Result<::rpm::Package> {
    let (done, result) = channel();
    std::thread::spawn(move || {
        // Nobody listens any more when a signal came.
        let _ = done.send(builder.build());
    });
    loop {
        if let Some(signal) = sys::signal::pending() {
            return Err(Error::Interrupted(signal));
        }
        match result.recv_timeout(BEAT) {
            Ok(built) => return built.map_err(failed),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Error::Builder("its builder stopped")),
        }
    }
}

fn write(package: &::rpm::Package, output: &Path, file: File) -> Result<u64> {
    let wrong = |e| Error::Sys(sys::Error::new("write", output, e));
    let mut out = Counted::new(io::BufWriter::new(file));
    package.write(&mut out).map_err(failed)?;
    out.flush().map_err(wrong)?;
    let length = out.written();
    let file = out.into_inner().into_inner().map_err(|e| wrong(e.into_error()))?;
    sys::dir::set_attributes(&file, output, None, 0o644)?;
    file.sync_all().map_err(wrong)?;
    Ok(length)
}
