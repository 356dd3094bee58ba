//! What is known of a host. What could not be told is `None`.

use super::{Change, Engine, Git, Proxy};
use crate::product::Role;

/// What the host is to be used for (System Requirements).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Development and tests.
    Dev,
    /// Production.
    Production,
}

impl std::fmt::Display for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Dev => "dev",
            Self::Production => "production",
        })
    }
}

/// The numbers that the service's account has to have: all nodes that share a disk have the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// The user's.
    pub uid: Option<u32>,
    /// The group's.
    pub gid: Option<u32>,
    /// Who has that user's number now.
    pub uid_of: Option<String>,
    /// Which group has that number now.
    pub gid_of: Option<String>,
}

/// The operating system (os-release(5)).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Os {
    /// `ID`, in lower case.
    pub id: String,
    /// `VERSION_ID`.
    pub version: String,
    /// `PRETTY_NAME`.
    pub name: String,
}

/// The service's account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// The user's number.
    pub uid: Option<u32>,
    /// The number of the user's own group.
    pub primary: Option<u32>,
    /// Its home.
    pub home: String,
    /// Its login shell.
    pub shell: String,
    /// Whether it is in the host's own account file, and not only in a directory service.
    pub local: bool,
    /// The number of the group with the service's name.
    pub gid: Option<u32>,
}

/// Subordinate ids of the service's account (subuid(5)): how many, as the files say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SubIds {
    /// User ids.
    pub users: u64,
    /// Group ids.
    pub groups: u64,
}

/// What a directory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Use {
    /// The installed release.
    Tree,
    /// The product's data.
    Data,
    /// This program's own state.
    State,
    /// The product's logs.
    Logs,
    /// `/var`.
    Var,
    /// The home of the service's account, where Podman keeps its images.
    Home,
    /// Where Docker keeps images.
    Docker,
    /// `/tmp`.
    Temporary,
    /// The file that carries a release.
    Payload,
}

/// How many names a file system can hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inodes {
    /// Altogether; 0 where they are not counted.
    pub total: u64,
    /// Free.
    pub free: u64,
}

/// The file system that a directory lies on, or will lie on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The directory.
    pub path: String,
    /// What its bytes lie on: a device, or a pool of them. The volumes of one have it in common.
    pub store: String,
    /// Where it is mounted.
    pub point: String,
    /// Its type, such as `ext4`.
    pub kind: String,
    /// Its options, such as `noexec`.
    pub options: Vec<String>,
    /// Its size in bytes.
    pub size: u64,
    /// Bytes that are free.
    pub free: u64,
    /// Names that it can hold.
    pub inodes: Inodes,
}

/// What SELinux does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selinux {
    /// Nothing.
    Off,
    /// It writes down what it would refuse.
    Permissive,
    /// It refuses.
    Enforcing {
        /// Whether there are rules for containers (package `container-selinux`).
        containers: bool,
    },
}

/// What fapolicyd does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fapolicyd {
    /// It does not run.
    Off,
    /// It runs.
    Running {
        /// Whether its rules or trusted files name the product's tree.
        knows: bool,
    },
}

/// Who listens on the product's port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// Nobody.
    Nobody,
    /// The installed product.
    Product(String),
    /// Another program, in words.
    Other(String),
    /// Somebody, whom only root sees.
    Hidden,
}

/// What names lead to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The host's own name.
    pub hostname: String,
    /// What it resolves to.
    pub own: Vec<String>,
    /// What `localhost` resolves to.
    pub localhost: Vec<String>,
}

/// The running machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Processors that may be used.
    pub cpus: u64,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// As `uname -m`.
    pub architecture: String,
    /// As `uname -r`.
    pub kernel: String,
    /// The version of systemd if it is the service manager; 0 when it does not tell.
    pub systemd: Option<u32>,
    /// The file systems of the directories that count.
    pub places: Vec<(Use, Place)>,
    /// Whether the product's tree is itself a mount point.
    pub tree_is_mounted: bool,
    /// SELinux.
    pub selinux: Selinux,
    /// fapolicyd.
    pub fapolicyd: Fapolicyd,
    /// The umask of whoever runs this.
    pub umask: u32,
    /// How many files the service may have open at most, and what says so.
    pub open_files: (u64, String),
    /// The port, and who listens on it; or why no port is known.
    pub port: Result<(u16, Holder), String>,
    /// Whether the clock is synchronised.
    pub synchronised: Option<bool>,
    /// What names lead to.
    pub names: Option<Names>,
    /// Whether the kernel forwards IPv4.
    pub forwarding: Option<bool>,
    /// Container engines; `None` when they were not asked.
    pub engines: Option<Vec<Engine>>,
    /// The container engine that the configuration names (`container.engine.type`).
    pub engine_type: Option<String>,
    /// The system's git; `None` when it was not asked.
    pub git: Option<Git>,
    /// Devices and files that memory is swapped to.
    pub swaps: Vec<String>,
}

/// All that the checks judge.
#[derive(Debug, Clone)]
pub struct Facts {
    /// What is installed or to be installed.
    pub role: Role,
    /// What the host is to be used for, when somebody said so.
    pub profile: Option<Profile>,
    /// The numbers that the account has to have.
    pub expected: Expected,
    /// The operating system in the root.
    pub os: Option<Os>,
    /// The service's account; `None` when nothing is known of accounts.
    pub account: Option<Account>,
    /// Its subordinate ids.
    pub sub_ids: SubIds,
    /// Proxies in the root's settings.
    pub proxy: Proxy,
    /// The running machine; `None` when another root is looked at.
    pub machine: Option<Machine>,
    /// How many names the offered release makes.
    pub names: u64,
    /// What a release would change here, or why nothing is known of one.
    pub change: Result<Change, String>,
}

impl Facts {
    /// The profile that sizes are compared with.
    pub(super) fn profile(&self) -> Profile {
        self.profile.unwrap_or(Profile::Dev)
    }

    /// A requirement of the vendor that is not met blocks only when somebody said what the host is for.
    pub(super) fn short(&self, seen: String) -> super::Verdict {
        match self.profile {
            Some(_) => super::Verdict::fail(seen),
            None => super::Verdict::warn(seen),
        }
    }
}

impl Machine {
    /// The file system of a use.
    pub(super) fn place(&self, wanted: Use) -> Option<&Place> {
        self.places.iter().find(|(is, _)| *is == wanted).map(|(_, place)| place)
    }

    /// The container engines that the product may take: the one of its configuration, or all.
    pub(super) fn candidates(&self) -> impl Iterator<Item = &Engine> {
        let named = self.engine_type.as_deref();
        self.engines.iter().flatten().filter(move |engine| named.is_none_or(|name| engine.name == name))
    }

    /// Whether Podman is what containers run in here: the configuration says so, or it answers the service's
    /// account. Where none answers, Docker counts if it is there.
    pub(super) fn has_podman(&self) -> bool {
        if let Some(name) = &self.engine_type {
            return name == "podman";
        }
        let engines = || self.candidates();
        let answering = engines().find(|engine| matches!(engine.answer, Some(Ok(_))));
        let counts = answering.or_else(|| engines().find(|engine| engine.name == "docker"));
        counts.or_else(|| engines().next()).is_some_and(|engine| engine.name == "podman")
    }
}

impl Place {
    pub(super) fn has(&self, option: &str) -> bool {
        self.options.iter().any(|is| is == option)
    }
}
