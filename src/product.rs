//! The product's nouns: paths, accounts, units, roles, in one place.
//!
//! In: nothing. Out: constants and [`Place`]s below a root. Never touches files. Sources: the
//! Common Criteria guide, table "Server Installation", and the Administrator Guide.
#![forbid(unsafe_code)]

mod authorities;
mod pair;
mod site;

use std::path::{Path, PathBuf};

pub use authorities::TrustLayout;
pub use pair::{KEPT_CHAIN, KEPT_KEY, KEPT_RECORD, PairKind, PairPaths};
use serde::{Deserialize, Serialize};
pub use site::{ENGINES, EngineName, NameError, Site};

/// The account that the services run as, and its group.
pub const SERVICE_USER: &str = "demisto";
/// Binaries of the installation without a name; named engines have theirs in it.
pub const INSTALL_DIR: &str = "/usr/local/demisto";
/// Data, owned by the service.
pub const DATA_DIR: &str = "/var/lib/demisto";
/// Logs, owned by the service.
pub const LOG_DIR: &str = "/var/log/demisto";
/// Below these nothing is reached through a link: all or parts of them are the service's.
pub const GUARDED: [&str; 3] = [INSTALL_DIR, DATA_DIR, LOG_DIR];
/// Configuration of the server.
pub const CONFIG_FILE: &str = "/etc/demisto.conf";
/// One-time configuration, consumed by the server at its next start.
pub const ONE_TIME_FILE: &str = "/var/lib/demisto/otc.conf.json";
/// This program's own state: lock, journal, receipts, kept releases.
pub const STATE_DIR: &str = "/var/lib/demisto-install";
/// Snapshots of the data, unless another place is chosen.
pub const SNAPSHOT_DIR: &str = "/var/lib/demisto-install/snapshots";
/// The evidence record, and what is known of it beside it: the newest entry, and runs that have none yet.
pub const RECORD_FILE: &str = "/var/lib/demisto-install/record.jsonl";
/// See [`RECORD_FILE`].
pub const RECORD_STATE: &str = "/var/lib/demisto-install/record.state";
/// This program's configuration: trusted keys and policy.
pub const SETTINGS_DIR: &str = "/etc/demisto-install";
/// Where administrators look for the report of an installation (guide, table "Server Installation").
pub const REPORT_FILE: &str = "/tmp/demisto_install.log";
/// The durable log of this program, in [`LOG_DIR`].
pub const INSTALL_LOG: &str = "/var/log/demisto/install.log";
/// Where units are put.
pub const UNIT_DIR: &str = "/etc/systemd/system";
/// Certificate chain and private key of the server, in its tree.
pub const CERTIFICATE: &str = "cert.pem";
/// See [`CERTIFICATE`].
pub const CERTIFICATE_KEY: &str = "cert.key";
/// The configuration of an engine, in its tree.
pub const ENGINE_CONFIG: &str = "d1.conf";
/// What a release says about itself, in its tree: in RPM packages, whose header cannot say it.
pub const RELEASE_FILE: &str = "release.json";

/// What a release is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The server with its web interface.
    Server,
    /// An engine, `d1`.
    Engine,
}

impl Role {
    /// The unit of the role's service.
    #[must_use]
    pub fn unit(self) -> String {
        format!("{}.service", self.service())
    }

    /// The systemd service of the role, without suffix.
    #[must_use]
    pub fn service(self) -> &'static str {
        match self {
            Self::Server => "demisto",
            Self::Engine => "d1",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Server => "server",
            Self::Engine => "engine",
        })
    }
}

/// Where a unit lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnitDir {
    /// With those of the host: [`UNIT_DIR`].
    #[default]
    Host,
    /// With those of packages.
    Packages,
}

impl UnitDir {
    /// Its path.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Host => UNIT_DIR,
            Self::Packages => "/usr/lib/systemd/system",
        }
    }
}

/// The unit that a path names, wherever units lie.
#[must_use]
pub fn unit_of_path(path: &str) -> Option<&str> {
    let in_dir = |dir: UnitDir| path.strip_prefix(dir.path())?.strip_prefix('/');
    [UnitDir::Host, UnitDir::Packages].into_iter().find_map(in_dir).filter(|name| is_local_unit(name))
}

/// Who owns a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// root:root.
    Root,
    /// demisto:demisto.
    Demisto,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Root => "root:root",
            Self::Demisto => "demisto:demisto",
        })
    }
}

/// Why a snapshot of the data was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotReason {
    /// Somebody asked for it.
    Manual,
    /// Before an upgrade.
    Upgrade,
    /// Before going back to the release before.
    Rollback,
    /// Before another snapshot was put in place.
    Restore,
}

impl std::fmt::Display for SnapshotReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Manual => "manual",
            Self::Upgrade => "upgrade",
            Self::Rollback => "rollback",
            Self::Restore => "restore",
        })
    }
}

/// Whether a name in [`INSTALL_DIR`] is the host's own and no release's: certificates, keys and
/// settings of server and engine, and the licence.
#[must_use]
pub fn is_host_file(name: &str) -> bool {
    let own = |prefix: &str| name.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty());
    own("cert.") || own("client.") || own("d1.") || name == "demisto.lic"
}

/// Whether a text is 1 to 64 letters, digits, `-` and `_`: fit to be part of a path.
#[must_use]
pub fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Whether a text names a unit that a release may bring: `NAME.service` or `NAME.timer`. Names that begin
/// as those of named engines' units do are theirs alone.
#[must_use]
pub fn is_unit_name(text: &str) -> bool {
    !text.starts_with(site::PREFIX) && unit_word(text).is_some_and(is_word)
}

/// Whether a text names a unit as it may be called here: as the release calls it, or as
/// [`Site::unit_named`] does.
#[must_use]
pub fn is_local_unit(text: &str) -> bool {
    let of_engine = |text: &str| {
        let (engine, released) = text.strip_prefix(site::PREFIX)?.split_once('.')?;
        let engine: Option<EngineName> = engine.parse().ok();
        engine.map(|_| matches!(released, "service" | "timer") || is_unit_name(released))
    };
    is_unit_name(text) || of_engine(text).unwrap_or(false)
}

fn unit_word(text: &str) -> Option<&str> {
    text.strip_suffix(".service").or_else(|| text.strip_suffix(".timer"))
}

/// Whether a package's name is one of the product's: the server's begins with `demisto`, an engine's is `d1`, alone
/// or followed by `-` or `_`.
#[must_use]
pub fn is_package_name(name: &str) -> bool {
    name.starts_with("demisto") || is_engine_package(name)
}

/// Whether a package's name is an engine's.
#[must_use]
pub fn is_engine_package(name: &str) -> bool {
    name.strip_prefix("d1").is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

/// Whether a unit may come in a package: it is the product's by its name, and not a named engine's.
#[must_use]
pub fn is_packaged_unit(name: &str) -> bool {
    let engine = name.strip_prefix("d1").is_some_and(|rest| rest.starts_with(['.', '-']));
    is_unit_name(name) && (engine || name.starts_with("demisto"))
}

/// Whether a file beside those of other packages is named after the product or the package that brings it,
/// perhaps behind digits that order such files: `10-demisto.conf`.
#[must_use]
pub fn is_named_after(name: &str, package: &str) -> bool {
    let plain = name.trim_start_matches(|c: char| c.is_ascii_digit());
    let plain = if plain.len() < name.len() { plain.strip_prefix('-').unwrap_or(name) } else { name };
    let engine = plain.strip_prefix("d1").is_some_and(|rest| !rest.starts_with(char::is_alphanumeric));
    is_package_name(package) && (engine || plain.starts_with("demisto") || plain.starts_with(package))
}

/// Where `path`, absolute as the installed system sees it, lies below `root`.
#[must_use]
pub fn under(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_names_never_lead_away() {
        assert!(is_unit_name("demisto.service") && is_unit_name("d1-clean.timer"));
        for bad in ["", ".service", "../x.service", "a/b.service", "x.mount", "x@y.service", "d1_.service"] {
            assert!(!is_unit_name(bad) && !is_local_unit(bad), "{bad}");
        }
        for of_engine in ["d1_x.service", "d1_x.timer", "d1_x.clean.service", "d1_x.d1-clean.timer"] {
            assert!(is_local_unit(of_engine) && !is_unit_name(of_engine), "{of_engine}");
        }
        for bad in ["d1_x.mount", "d1_x.a.b.service", "d1_/.service", "d1_x..service", "d1_x.d1_y.service"] {
            assert!(!is_local_unit(bad), "{bad}");
        }
    }

    #[test]
    fn what_a_package_brings_is_named_after_the_product() {
        for name in ["demistoserver", "demisto", "d1", "d1-engine", "d1_x"] {
            assert!(is_package_name(name), "{name}");
        }
        for name in ["bash", "d10", "d1x", "xdemisto", ""] {
            assert!(!is_package_name(name), "{name}");
        }
        for unit in ["demisto.service", "demisto-backup.timer", "d1.service", "d1.timer", "d1-x.service"] {
            assert!(is_packaged_unit(unit), "{unit}");
        }
        for unit in ["ssh.service", "d1_x.service", "d10.service", "d1", "xdemisto.service", "demisto.socket"]
        {
            assert!(!is_packaged_unit(unit), "{unit}");
        }
        for file in ["demisto.conf", "demistoserver", "d1", "d1.conf", "10-demisto.conf", "99-d1-x.conf"] {
            assert!(is_named_after(file, "demistoserver"), "{file}");
        }
        for file in ["10-network-security.conf", "rsyslog", "basic.conf", "d10.conf", "10demisto.conf", "-d1"]
        {
            assert!(!is_named_after(file, "demistoserver"), "{file}");
        }
        assert!(!is_named_after("rsyslog", "rsyslog"));
    }

    #[test]
    fn files_of_the_host_are_told_from_those_of_a_release() {
        for name in ["cert.pem", "cert.key", "client.cert.pem", "d1.conf", "demisto.lic"] {
            assert!(is_host_file(name), "{name}");
        }
        for name in ["server", "d1", "d1.", "cert.", "xcert.pem", "demisto.lic.old", ""] {
            assert!(!is_host_file(name), "{name}");
        }
    }

    #[test]
    fn roots_are_prefixed() {
        assert_eq!(under(Path::new("/"), INSTALL_DIR), Path::new("/usr/local/demisto"));
        assert_eq!(under(Path::new("/srv/image"), CONFIG_FILE), Path::new("/srv/image/etc/demisto.conf"));
    }
}
