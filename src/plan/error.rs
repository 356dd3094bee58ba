use crate::config;
use crate::types::Version;

/// A change that must not be planned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Engines with names lie where the server's tree has to.
    #[error("{tree} holds engines: {engines}")]
    EnginesThere {
        /// The tree.
        tree: String,
        /// Their directories.
        engines: String,
    },
    /// The bundle holds an engine.
    #[error("this file holds an engine, and this verb is for servers")]
    NotAServer,
    /// The file holds a server.
    #[error("this file holds a server, and this verb is for engines")]
    NotAnEngine,
    /// An engine without a name has the place of a server.
    #[error("an engine is installed in /usr/local/demisto, where a server would have to be")]
    EngineInPlace,
    /// A server has the place of an engine without a name.
    #[error("a server is installed in /usr/local/demisto; an engine beside it has a name")]
    NeedsName,
    /// Something else has the name of a directory of the service.
    #[error("{path}, where the service has to write, is no directory")]
    OddDir {
        /// The path.
        path: String,
    },
    /// What would be removed is shared with engines.
    #[error("--purge would take logs and the account away from the engines {names}")]
    EnginesRemain {
        /// Their names.
        names: String,
    },
    /// A release is installed already.
    #[error("{installed} is installed, and {offered} is another release or another build of it")]
    Installed {
        /// The installed release.
        installed: String,
        /// The offered one.
        offered: String,
    },
    /// The offered release is older than the installed one.
    #[error("{offered} is older than the installed {installed}")]
    Downgrade {
        /// The installed release.
        installed: String,
        /// The offered one.
        offered: String,
    },
    /// The offered release is of another product.
    #[error("{installed} is installed, this file holds {offered}")]
    OtherProduct {
        /// The installed product.
        installed: String,
        /// The offered one.
        offered: String,
    },
    /// The way from the installed version to the offered one is not supported.
    #[error("{offered} replaces versions {from} to {to}; {installed} is installed")]
    Path {
        /// The installed version.
        installed: Version,
        /// The offered release.
        offered: String,
        /// The oldest that it may replace.
        from: Version,
        /// The newest.
        to: Version,
    },
    /// The data have a form that the release does not know.
    #[error("the data have form {data}, and {release} reads forms up to {reads}")]
    DataTooNew {
        /// Their form.
        data: u64,
        /// What it reads.
        reads: u64,
        /// The release.
        release: String,
    },
    /// The data should go back, but nothing is there to go back to.
    #[error("no snapshot of the data belongs to {release}")]
    NoDataToRestore {
        /// The release.
        release: String,
    },
    /// The data cannot be kept, and the upgrade changes their form.
    #[error("no snapshot of the data can be taken: {why}")]
    NoSnapshot {
        /// Why.
        why: String,
    },
    /// Nothing is kept to go back to.
    #[error("no release is retained to go back to")]
    NothingRetained,
    /// A file system is mounted below the installation directory.
    #[error("another file system is mounted on {point}, so what is in it cannot be carried along")]
    InnerMount {
        /// Where.
        point: String,
    },
    /// Its security epoch is below the installed one's.
    #[error("security epoch {offered} is below {floor}, to which this host has moved")]
    Epoch {
        /// The host's floor.
        floor: u64,
        /// The offered epoch.
        offered: u64,
    },
    /// Signed by somebody else than the installed release.
    #[error("the installed release was signed by {pinned}, this one is not")]
    OtherSigner {
        /// The fingerprints that are pinned.
        pinned: String,
    },
    /// The installation directory holds something that this program did not put there.
    #[error("{tree} is not empty, and no release of this program is installed: it holds {found}")]
    Occupied {
        /// The directory.
        tree: String,
        /// What is in it.
        found: String,
    },
    /// Files that a package brings have their places taken.
    #[error("the package brings {paths}, and something else is there that no installed release brought")]
    Taken {
        /// Their paths.
        paths: String,
    },
    /// Another file system is mounted on the installation directory.
    #[error(
        "another file system is mounted on /usr/local/demisto, so a release cannot be switched in one step"
    )]
    MountPoint,
    /// Owners cannot be set.
    #[error("{root} has no etc/passwd, so files cannot be given to the service's account there")]
    NoAccounts {
        /// The root.
        root: String,
    },
    /// Not enough room.
    #[error("{needed} bytes are needed for /usr/local/demisto, {free} are free")]
    NoSpace {
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// The host has no systemd, so a service cannot be started.
    #[error("systemd does not run here, so the service cannot be started")]
    NoSystemd,
    /// Self-tests are run by a start, and nothing is started.
    #[error("the service is not started, so its FIPS-CC self-tests cannot be required")]
    NotTested,
    /// The configuration cannot be used.
    #[error("the configuration /etc/demisto.conf cannot be used")]
    Config(#[from] config::Error),
    /// The snapshot's data are of a newer form than the installed release reads.
    #[error("the snapshot's data have form {snapshot}; the installed {release} reads up to form {installed}")]
    NewerData {
        /// The form of the data.
        snapshot: u64,
        /// The newest form that the installed release reads.
        installed: u64,
        /// The installed release.
        release: String,
    },
    /// Not enough room for data.
    #[error("{needed} bytes are needed in {dir}, {free} are free")]
    NoDataSpace {
        /// Where.
        dir: String,
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// Nothing is installed.
    #[error("nothing is installed here")]
    NothingInstalled,
    /// The service's account is gone. Which numbers it had is known to its files only.
    #[error("the account demisto does not exist any more")]
    AccountGone,
    /// So much differs that the plan would not fit into the journal.
    #[error("{count} files of the release differ: too many to be put right one by one")]
    TooMuchDrift {
        /// How many.
        count: usize,
    },
}

/// A result of this room.
pub type Result<T> = std::result::Result<T, Error>;
