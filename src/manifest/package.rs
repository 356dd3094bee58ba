//! A release that comes as an RPM package: its signed header takes the manifest's place, together with the few
//! small files whose text a plan needs. Each of these is compared with the digest that the header has of it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::schema::{Outside, Packaged};
use super::{
    Description, Entry, Error, FORMAT, Health, Kind, Manifest, Place, Requirements, Result, Unit, Upgrades,
    check,
};
use crate::bundle::MAX_MANIFEST;
use crate::product::{self, Owner, Role, UnitDir};
use crate::rpmfile::{self, File, Package};
use crate::types::{Digest, Mode, RelPath, Version, is_printable_char};
use crate::verify::Verified;

/// Small files of a package by path.
pub type Texts = BTreeMap<String, Vec<u8>>;

/// Largest file whose text is kept, and of all of them together, in bytes.
const MAX_TEXT: u64 = 1 << 20;
const MAX_TEXTS: u64 = 4 << 20;
/// Form of the record.
const RECORD: u32 = 1;
/// Where packages put units; the last is a link to the second on today's systems.
const UNIT_DIRS: [(&str, UnitDir); 3] = [
    ("/etc/systemd/system/", UnitDir::Host),
    ("/usr/lib/systemd/system/", UnitDir::Packages),
    ("/lib/systemd/system/", UnitDir::Packages),
];
/// Where rpmbuild puts links that lead from a program's build id to it.
const BUILD_IDS: &str = "/usr/lib/.build-id";
/// Where other small files may lie that a package brings.
const OUTSIDE: [&str; 8] = [
    "/usr/lib/sysusers.d/",
    "/usr/lib/tmpfiles.d/",
    "/etc/logrotate.d/",
    "/etc/sysctl.d/",
    "/usr/lib/sysctl.d/",
    "/etc/security/limits.d/",
    "/usr/share/doc/",
    "/usr/share/licenses/",
];

/// What is kept of such a release on a host: enough to judge its signatures again.
#[derive(Serialize, Deserialize)]
struct Record {
    package: u32,
    header: String,
    texts: BTreeMap<String, String>,
}

impl Record {
    fn parse(bytes: &[u8]) -> Result<Self> {
        let record: Self = serde_json::from_slice(bytes).map_err(|e| Error::Syntax(e.to_string()))?;
        if record.package == RECORD { Ok(record) } else { Err(Error::Format(record.package)) }
    }

    fn header(&self) -> Result<Vec<u8>> {
        decode(&self.header)
    }

    fn texts(&self) -> Result<Texts> {
        self.texts.iter().map(|(path, text)| Ok((path.clone(), decode(text)?))).collect()
    }
}

fn decode(text: &str) -> Result<Vec<u8>> {
    STANDARD.decode(text).map_err(|e| Error::Syntax(e.to_string()))
}

/// Whether kept bytes are the record of a package.
fn is_record(bytes: &[u8]) -> bool {
    bytes.starts_with(b"{\"package\":")
}

/// The bytes that signatures are over, of a manifest as it is kept on a host: all of them, or the header of
/// a package.
///
/// # Errors
/// When the record of a package is damaged.
pub fn signed_part(kept: &[u8]) -> Result<Cow<'_, [u8]>> {
    if is_record(kept) { Ok(Cow::Owned(Record::parse(kept)?.header()?)) } else { Ok(Cow::Borrowed(kept)) }
}

/// What the header of a package says, of which the record was kept on a host; `None` for the manifest of a bundle.
///
/// # Errors
/// When the record is damaged.
pub fn package_of(kept: &[u8]) -> Result<Option<Package>> {
    if is_record(kept) { Ok(Some(Package::parse(&Record::parse(kept)?.header()?)?)) } else { Ok(None) }
}

/// The indices of the files whose text is needed, in the order of the header.
///
/// # Errors
/// When one is too large.
pub fn texts_of(package: &Package) -> Result<Vec<usize>> {
    let mut total = 0_u64;
    let mut wanted = Vec::new();
    for (index, file) in package.files.iter().enumerate() {
        let rpmfile::Kind::File { size, .. } = file.kind else { continue };
        if !Where::of(&file.path, &package.name).is_text() {
            continue;
        }
        total = total.saturating_add(size);
        if size > MAX_TEXT || total > MAX_TEXTS {
            return unfit(&file.path, "it is too large for what it is");
        }
        wanted.push(index);
    }
    Ok(wanted)
}

impl Manifest {
    /// What a package says, whose header is verified; and what is to be kept of it on a host.
    ///
    /// # Errors
    /// When it is no package of the product, asks for something that cannot be laid out, or a text is not the
    /// one that the header describes.
    pub fn of_package(header: Verified<Vec<u8>>, texts: &Texts) -> Result<(Verified<Self>, Vec<u8>)> {
        let record = Record {
            package: RECORD,
            header: STANDARD.encode(header.get()),
            texts: texts.iter().map(|(path, text)| (path.clone(), STANDARD.encode(text))).collect(),
        };
        let bytes = serde_json::to_vec(&record).map_err(|e| Error::Syntax(e.to_string()))?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_MANIFEST) {
            return unfit("header", "with the small files beside it, it is too large to be kept");
        }
        let manifest = header.try_map(|header| derive(&Package::parse(&header)?, Some(texts)))?;
        Ok((manifest, bytes))
    }

    /// The manifest as it was kept on a host, when the part of it that is signed was verified.
    ///
    /// # Errors
    /// When `signed` is not that part, and as [`Manifest::parse`].
    pub fn kept(signed: Verified<Vec<u8>>, kept: &[u8]) -> Result<Verified<Self>> {
        if signed.get() != signed_part(kept)?.as_ref() {
            return Err(Error::Inconsistent { what: "record".to_owned(), why: "it holds something else" });
        }
        signed.try_map(|_| Self::from_bytes(kept))
    }

    /// As it is kept: a manifest, or the record of a package.
    pub(super) fn of_record(bytes: &[u8]) -> Option<Result<Self>> {
        is_record(bytes).then(|| {
            let record = Record::parse(bytes)?;
            derive(&Package::parse(&record.header()?)?, Some(&record.texts()?))
        })
    }

    /// What a package says that nobody vouches for.
    pub(super) fn of_texts(package: &Package, texts: &Texts) -> Result<Self> {
        derive(package, Some(texts))
    }

    /// What a header says that nobody vouches for; without the texts of files.
    pub(super) fn of_header(package: &Package) -> Result<Self> {
        derive(package, None)
    }
}

fn unfit<T>(path: &str, why: &'static str) -> Result<T> {
    Err(Error::Package { what: path.chars().take(200).collect(), why })
}

/// What a path of a package is.
enum Where<'p> {
    /// Below the installation directory.
    Tree(&'p str),
    /// A systemd unit.
    Unit(UnitDir, &'p str),
    /// The server's configuration.
    Config,
    /// A directory that the product has anyway, or that holds one.
    Known,
    /// A small file elsewhere.
    Outside,
    /// A unit or a small file that has not the product's name, so it may be another package's.
    Unnamed,
    /// Not the product's business.
    Foreign,
}

impl<'p> Where<'p> {
    fn of(path: &'p str, package: &str) -> Self {
        if let Some(inner) = path.strip_prefix(product::INSTALL_DIR).and_then(|rest| rest.strip_prefix('/')) {
            return Self::Tree(inner);
        }
        let unit = UNIT_DIRS.iter().find_map(|(dir, which)| Some((*which, path.strip_prefix(dir)?)));
        if let Some((dir, name)) = unit {
            return match product::is_local_unit(name) {
                true if product::is_packaged_unit(name) => Self::Unit(dir, name),
                true => Self::Unnamed,
                false => Self::Foreign,
            };
        }
        let beside = |dir: &&str| path.strip_prefix(*dir).and_then(|rest| rest.split('/').next());
        let beside = OUTSIDE.iter().find_map(beside);
        let known = [product::INSTALL_DIR, product::DATA_DIR, product::LOG_DIR];
        match path {
            product::CONFIG_FILE => Self::Config,
            // links to programs for debuggers, which rpmbuild adds: left out
            _ if path.starts_with(BUILD_IDS) => Self::Known,
            _ if known.contains(&path) => Self::Known,
            _ => match beside {
                Some(name) if product::is_named_after(name, package) => Self::Outside,
                Some(_) => Self::Unnamed,
                None => Self::Foreign,
            },
        }
    }

    /// Whether the content of such a file is needed to plan.
    fn is_text(&self) -> bool {
        match self {
            Self::Tree(inner) => is_setting(inner),
            Self::Unit(..) | Self::Config | Self::Outside => true,
            Self::Known | Self::Unnamed | Self::Foreign => false,
        }
    }
}

/// What a release says about itself, and an engine's configuration.
fn is_setting(inner: &str) -> bool {
    inner == product::RELEASE_FILE || inner == product::ENGINE_CONFIG
}

/// Reads the texts, each compared with its digest; `None` where they are not known.
struct Reader<'a> {
    texts: Option<&'a Texts>,
}

impl Reader<'_> {
    fn text(&self, file: &File) -> Result<String> {
        let rpmfile::Kind::File { sha256, .. } = file.kind else {
            return unfit(&file.path, "it must be a regular file with content");
        };
        let Some(texts) = self.texts else { return Ok(String::new()) };
        let bytes = texts.get(&file.path).map_or(&[][..], Vec::as_slice);
        if Digest::of(bytes) != sha256 {
            return unfit(&file.path, "its content is not the one that the header describes");
        }
        match String::from_utf8(bytes.to_vec()) {
            Ok(text) => Ok(text),
            Err(_) => unfit(&file.path, "it is no text"),
        }
    }
}

/// What is gathered from the list of files.
#[derive(Default)]
struct Found {
    entries: BTreeMap<RelPath, Entry>,
    units: Vec<Unit>,
    outside: Vec<Outside>,
    description: Option<Description>,
    config: Option<String>,
    engine_config: Option<String>,
    licences: Vec<RelPath>,
}

fn derive(package: &Package, texts: Option<&Texts>) -> Result<Manifest> {
    if !matches!(package.arch.as_str(), "x86_64" | "noarch") {
        return unfit(&package.name, "it is made for another processor");
    }
    let reader = Reader { texts };
    if !product::is_package_name(&package.name) {
        return unfit(&package.name, "it is neither the server's package nor an engine's by its name");
    }
    let mut found = Found::default();
    for (index, file) in package.files.iter().enumerate() {
        let place = Where::of(&file.path, &package.name);
        found.take((file, place), rpmfile::carrier(&package.files, index), &reader)?;
    }
    found.add_missing_dirs();
    let manifest = found.into_manifest(package)?;
    check::tree(&manifest.entries)?;
    check::words(&manifest.product, &manifest.title, &manifest.upgrades, &manifest.health)?;
    check::rotations(&manifest.rotations)?;
    Ok(manifest)
}

impl Found {
    fn take(&mut self, (file, place): (&File, Where), carrier: usize, reader: &Reader) -> Result<()> {
        match place {
            Where::Tree(inner) => self.in_tree(file, inner, carrier, reader),
            Where::Unit(dir, name) => {
                let unit = Unit { name: name.to_owned(), text: reader.text(file)?, dir: Some(dir) };
                self.units.push(unit);
                self.outside(file, reader)
            }
            Where::Config => {
                self.config = Some(reader.text(file)?);
                Ok(())
            }
            Where::Outside if file.kind == rpmfile::Kind::Dir => Ok(()),
            Where::Outside => self.outside(file, reader),
            Where::Known => Ok(()),
            Where::Unnamed | Where::Foreign if file.kind == rpmfile::Kind::Dir => Ok(()), // made by whoever needs it
            Where::Unnamed => {
                unfit(&file.path, "it is not named after the product, so it may be another package's")
            }
            Where::Foreign => unfit(&file.path, "it lies outside of the product's places"),
        }
    }

    fn outside(&mut self, file: &File, reader: &Reader) -> Result<()> {
        if owner(file)? != Owner::Root || file.mode != 0o644 {
            return unfit(&file.path, "outside of the tree it must be root:root, 0644");
        }
        self.outside.push(Outside {
            path: file.path.clone(),
            text: reader.text(file)?,
            modified: modified(file),
        });
        Ok(())
    }

    /// A file below the installation directory; `carrier` is the one under which its content comes.
    fn in_tree(&mut self, file: &File, inner: &str, carrier: usize, reader: &Reader) -> Result<()> {
        let Ok(path) = inner.parse::<RelPath>() else { return unfit(&file.path, "its name is odd") };
        if inner == product::ENGINE_CONFIG {
            self.engine_config = Some(reader.text(file)?);
            return Ok(()); // the host's own
        }
        if inner == product::RELEASE_FILE && reader.texts.is_some() {
            self.description = Some(Description::parse(reader.text(file)?.as_bytes())?);
        }
        let kind = match &file.kind {
            rpmfile::Kind::Ghost => return Ok(()), // made and owned by the running product
            rpmfile::Kind::Dir => Kind::Dir { mode: mode(file)? },
            rpmfile::Kind::Symlink { target } => Kind::Symlink { target: target.clone() },
            rpmfile::Kind::File { size, sha256 } => {
                if product::is_host_file(inner) {
                    return unfit(&file.path, "that name belongs to the host");
                }
                if file.flags.is_license() || names_a_licence(inner) {
                    self.licences.push(path.clone());
                }
                let at = Place { frame: 0, offset: u64::try_from(carrier).unwrap_or(u64::MAX) };
                Kind::File { mode: mode(file)?, size: *size, sha256: *sha256, at }
            }
        };
        let packaged = Packaged {
            modified: modified(file),
            config: file.flags.is_config(),
            noreplace: file.flags.is_noreplace(),
            low_ports: low_ports(file)?,
        };
        let entry = Entry { path: path.clone(), owner: owner(file)?, kind, package: Some(packaged) };
        self.entries.insert(path, entry);
        Ok(())
    }

    /// A package need not own the directories that its files lie in: rpm makes them so.
    fn add_missing_dirs(&mut self) {
        let mut missing = BTreeSet::new();
        for path in self.entries.keys() {
            let mut above = path.parent();
            while let Some(dir) = above.filter(|dir| !self.entries.contains_key(dir)) {
                above = dir.parent();
                missing.insert(dir);
            }
        }
        for path in missing {
            let kind = Kind::Dir { mode: Mode::new(0o755) };
            self.entries.insert(path.clone(), Entry { path, owner: Owner::Root, kind, package: None });
        }
    }

    fn into_manifest(self, package: &Package) -> Result<Manifest> {
        let said = match self.description {
            Some(description) => description,
            None => guess(package, &self.licences, role(package))?,
        };
        let (version, build) = numbers(package)?;
        if (said.version, said.build) != (version, build) {
            return unfit(product::RELEASE_FILE, "it speaks of another release than the header");
        }
        let eula = Some(said.eula).filter(|eula| self.entries.contains_key(eula));
        let config = match said.role {
            Role::Server => self.config,
            Role::Engine => self.engine_config,
        };
        let mut entries: Vec<Entry> = self.entries.into_values().collect();
        entries.sort_by(|a, b| a.path.as_str().cmp(b.path.as_str()));
        Ok(Manifest {
            format: FORMAT,
            critical: Vec::new(),
            product: said.product,
            title: said.title,
            role: said.role,
            version: said.version,
            build: said.build,
            epoch: said.epoch,
            schema: said.schema,
            upgrades: said.upgrades,
            rotations: said.rotations,
            built_at: said.built_at,
            container: None,
            eula,
            config: config.unwrap_or_else(|| "{}\n".to_owned()),
            units: self.units,
            health: said.health,
            requirements: said.requirements,
            entries,
            outside: self.outside,
        })
    }
}

fn modified(file: &File) -> i64 {
    i64::try_from(file.mtime).unwrap_or(i64::MAX)
}

/// What the name says.
fn role(package: &Package) -> Role {
    if product::is_engine_package(&package.name) { Role::Engine } else { Role::Server }
}

fn names_a_licence(inner: &str) -> bool {
    let name = inner.to_ascii_lowercase();
    ["eula", "license", "licence"].iter().any(|word| name.starts_with(word))
}

fn mode(file: &File) -> Result<Mode> {
    if file.mode > 0o777 {
        unfit(&file.path, "it would run with other rights than its user's")
    } else {
        Ok(Mode::new(file.mode))
    }
}

fn owner(file: &File) -> Result<Owner> {
    match (file.user.as_str(), file.group.as_str()) {
        ("root", "root") => Ok(Owner::Root),
        (product::SERVICE_USER, product::SERVICE_USER) => Ok(Owner::Demisto),
        _ => unfit(&file.path, "it belongs to neither root:root nor demisto:demisto"),
    }
}

/// Whether a program may open low ports; any other capability is more than the product needs.
fn low_ports(file: &File) -> Result<bool> {
    const LOW_PORTS: [&str; 4] = [
        "cap_net_bind_service=ep",
        "cap_net_bind_service=eip",
        "= cap_net_bind_service+ep",
        "cap_net_bind_service+ep",
    ];
    match file.capabilities.as_deref() {
        None | Some("" | "=") => Ok(false),
        Some(text) if LOW_PORTS.contains(&text) => Ok(true),
        Some(_) => unfit(&file.path, "it has a capability other than cap_net_bind_service"),
    }
}

/// Version and build: the vendor writes `6.14.0-3036535`, and `6.12.0_493375-1` for engines.
fn numbers(package: &Package) -> Result<(Version, u64)> {
    let (version, build) = package.version.split_once('_').unwrap_or((&package.version, &package.release));
    let digits: String = build.chars().take_while(char::is_ascii_digit).collect();
    match (version.parse(), digits.parse()) {
        (Ok(version), Ok(build)) => Ok((version, build)),
        _ => unfit(&package.name, "its version and release are not numbers as the product has them"),
    }
}

/// What a package of the vendor's own making does not say. The upgrade path is the vendor's rule of at most two
/// releases forward ("Upgrade the Cortex XSOAR Server"); engines have none. The requirements are those of the
/// guide's table "Prerequisites".
fn guess(package: &Package, licences: &[RelPath], role: Role) -> Result<Description> {
    let name = package.name.as_str();
    let (version, build) = numbers(package)?;
    let (major, minor) = version.line();
    let from = match role {
        Role::Server => format!("{major}.{}", minor.saturating_sub(2)),
        Role::Engine => "0.0".to_owned(),
    };
    let seconds = i64::try_from(package.build_time).unwrap_or(i64::MAX);
    let title: String = package.summary.chars().filter(|c| is_printable_char(*c)).take(60).collect();
    Ok(Description {
        format: FORMAT,
        product: SERVICE_NAME.to_owned(),
        title: if title.is_empty() { name.to_owned() } else { title },
        role,
        version,
        build,
        epoch: 0,
        schema: 0,
        upgrades: Upgrades { from: from.parse()?, to: version },
        rotations: Vec::new(),
        eula: match licences.first() {
            Some(path) => path.clone(),
            None => "EULA".parse()?, // which is not there
        },
        health: Health { path: "/".to_owned(), version_key: None },
        requirements: Requirements { cpus: 8, memory_mib: 16 << 10, disk_mib: 500 << 10 },
        built_at: Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH),
    })
}

/// The product's short name in releases that do not say it.
const SERVICE_NAME: &str = "demisto";
