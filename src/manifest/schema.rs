use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::bundle::{Compression, Frame};
use crate::product::{Owner, Role, UnitDir};
use crate::types::{Digest, Mode, RelPath, Version};
use crate::verify::Rotation;

/// What a release holds and asks for. Unknown fields are ignored (the signed bytes are kept as
/// they are); names in `critical` must be known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format version of this structure.
    pub format: u32,
    /// Names of fields that a reader has to understand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub critical: Vec<String>,
    /// The product's short name.
    pub product: String,
    /// The name shown to people.
    pub title: String,
    /// Server or engine.
    pub role: Role,
    /// The release's version.
    pub version: Version,
    /// The release's build number.
    pub build: u64,
    /// Security epoch: a host never goes back to a lower one.
    pub epoch: u64,
    /// Number of the data's form; code cannot read data of a higher one.
    #[serde(default)]
    pub schema: u64,
    /// The versions that it may replace.
    pub upgrades: Upgrades,
    /// Statements by which earlier release keys vouch for later ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rotations: Vec<Rotation>,
    /// When it was packed.
    pub built_at: Timestamp,
    /// The parts of a bundle; a package has none, see [`Manifest::of_package`].
    #[serde(flatten)]
    pub container: Option<Container>,
    /// The licence agreement: a file of the payload. Only a package may lack one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eula: Option<RelPath>,
    /// Default configuration, as the text of a JSON file.
    pub config: String,
    /// systemd units.
    pub units: Vec<Unit>,
    /// How to tell that the service works.
    pub health: Health,
    /// What the host should have.
    pub requirements: Requirements,
    /// What is laid out, sorted by path; a directory comes before what it holds.
    pub entries: Vec<Entry>,
    /// Small files that a package lays out elsewhere, besides its units.
    #[serde(skip_deserializing, skip_serializing_if = "Vec::is_empty")]
    pub outside: Vec<Outside>,
}

/// What a bundle consists of besides its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// The program in front of the payload.
    pub stub: Stub,
    /// The payload as a whole.
    pub payload: Payload,
    /// The payload's frames in order.
    pub frames: Vec<Frame>,
}

/// A range of versions, both ends included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrades {
    /// The oldest.
    pub from: Version,
    /// The newest.
    pub to: Version,
}

impl Upgrades {
    /// Whether a version may be replaced. The last one counts as far as it is spelt out.
    #[must_use]
    pub fn include(&self, version: &Version) -> bool {
        self.from <= *version && self.to.reaches(version)
    }
}

/// The program in front of the payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stub {
    /// Its length in bytes.
    pub length: u64,
    /// SHA-256 of it.
    pub sha256: Digest,
}

/// The payload as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// Its length in bytes.
    pub length: u64,
    /// The length of the tar archive that its frames hold together.
    pub content_length: u64,
    /// How its frames are compressed.
    pub compression: Compression,
}

/// A systemd unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Its file name.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The directory that it is put into: that of the host's own units, unless a package says otherwise.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub dir: Option<UnitDir>,
}

impl Unit {
    /// Its path.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}", self.dir.unwrap_or_default().path(), self.name)
    }
}

/// A small file of a package outside the installation directory: root's, 0644.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outside {
    /// Its path.
    pub path: String,
    /// Its content.
    pub text: String,
    /// Time of its last change, in seconds since 1970.
    pub modified: i64,
}

/// How to tell that the service works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The path to ask for by HTTPS; any answer below 500 is good.
    pub path: String,
    /// The member of the JSON object in that answer that holds the release's version; nothing is
    /// compared without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_key: Option<String>,
}

/// What the host should have (guide, table "Prerequisites").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirements {
    /// Processor cores.
    pub cpus: u64,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Disk in MiB.
    pub disk_mib: u64,
}

/// One thing that is laid out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its path below the installation directory.
    pub path: RelPath,
    /// Who owns it.
    pub owner: Owner,
    /// What it is.
    #[serde(flatten)]
    pub kind: Kind,
    /// What only the header of a package says of it.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub package: Option<Packaged>,
}

/// What a package's header says of an entry besides what a manifest does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Packaged {
    /// Time of its last change, in seconds since 1970: `rpm -V` compares it.
    pub modified: i64,
    /// Whether the host may change it (`%config`): a changed one is no drift, and is kept.
    pub config: bool,
    /// Whether a changed one stays in its place rather than beside the new one (`%config(noreplace)`).
    pub noreplace: bool,
    /// Whether it may open ports below 1024 (`cap_net_bind_service=ep`).
    pub low_ports: bool,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Kind {
    /// A directory.
    Dir {
        /// Its permissions.
        mode: Mode,
    },
    /// A regular file.
    File {
        /// Its permissions.
        mode: Mode,
        /// Its length in bytes.
        size: u64,
        /// SHA-256 of its content.
        sha256: Digest,
        /// Where its content lies.
        at: Place,
    },
    /// A symbolic link that stays inside the installation directory.
    Symlink {
        /// Where it points, relative to its own directory.
        target: String,
    },
}

/// A place in the payload's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The frame's number, counted from 0.
    pub frame: usize,
    /// Bytes from the start of the frame's content. A file goes on in the frames that follow.
    pub offset: u64,
}

impl Manifest {
    /// The frames of a bundle's payload.
    #[must_use]
    pub fn frames(&self) -> &[Frame] {
        self.container.as_ref().map_or(&[], |container| &container.frames)
    }

    /// Files with size, digest and place.
    pub fn files(&self) -> impl Iterator<Item = (&Entry, u64, Digest, Place)> {
        self.entries.iter().filter_map(|entry| match entry.kind {
            Kind::File { size, sha256, at, .. } => Some((entry, size, sha256, at)),
            _ => None,
        })
    }

    /// Bytes of all files together.
    #[must_use]
    pub fn total_size(&self) -> u64 {
        self.files().fold(0, |sum: u64, (_, size, _, _)| sum.saturating_add(size))
    }

    /// The release as people name it, such as `6.14.0-3036535`.
    #[must_use]
    pub fn release(&self) -> String {
        format!("{}-{}", self.version, self.build)
    }
}
