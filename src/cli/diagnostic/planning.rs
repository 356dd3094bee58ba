//! What to do about a plan that cannot be made.

use super::{CONFIG, Diagnosis, diagnosis};
use crate::cli::exit::Exit;
use crate::plan;

pub(super) fn of_plan(error: &plan::Error) -> Diagnosis {
    use plan::Error as E;
    match error {
        E::NotAServer
        | E::NotAnEngine
        | E::EngineInPlace
        | E::OddDir { .. }
        | E::NeedsName
        | E::EnginesRemain { .. }
        | E::EnginesThere { .. } => of_engine(error),
        E::Installed { .. } => diagnosis(Exit::Blocked, "`demisto-install upgrade` puts it in its place"),
        E::Downgrade { .. } => diagnosis(
            Exit::Refused,
            "`demisto-install rollback` leads back to a retained release; --allow-downgrade of `upgrade` allows a lower version",
        ),
        E::Epoch { .. } => diagnosis(Exit::Refused, "get the newest release from the vendor"),
        E::OtherSigner { .. } => {
            diagnosis(Exit::Refused, "ask the vendor whether the release key was changed")
        }
        E::Occupied { .. } => diagnosis(
            Exit::Blocked,
            "move it away, for example: mv /usr/local/demisto /usr/local/demisto.before; or, if it holds a server, take it over with `demisto-install upgrade`",
        ),
        E::Taken { .. } => {
            diagnosis(Exit::Blocked, "look at it, and move it away if nothing else on this host needs it")
        }
        E::MountPoint => {
            diagnosis(Exit::Blocked, "unmount it; the release needs the file system of /usr/local")
        }
        E::NoAccounts { .. } => diagnosis(Exit::Blocked, "--no-owner leaves all files to whoever runs this"),
        E::NoSpace { .. } => diagnosis(Exit::Blocked, "make room on the file system of /usr/local"),
        E::NotTested => diagnosis(
            Exit::Blocked,
            "leave out --no-start, or start the service before an upgrade; without --require-fips, `demisto-install log facts` tells later",
        ),
        E::NoSystemd => diagnosis(Exit::Blocked, "--no-start installs without starting the service"),
        E::Config(_) => diagnosis(Exit::Blocked, CONFIG),
        E::OtherProduct { .. } => {
            diagnosis(Exit::Refused, "`demisto-install inspect` shows what the file holds")
        }
        E::Path { .. } => diagnosis(
            Exit::Refused,
            "upgrade in steps: first to a release that replaces the installed one; at most two versions forward",
        ),
        E::DataTooNew { .. } => diagnosis(
            Exit::Refused,
            "`demisto-install snapshot list` shows what data can go back to; nothing was changed",
        ),
        E::NoDataToRestore { .. } => diagnosis(Exit::Usage, "`--data keep` leaves the data as they are"),
        E::NoSnapshot { .. } => diagnosis(
            Exit::Blocked,
            "name a directory with room: --snapshot-dir DIR; or go on without a way back for the data: --snapshot never",
        ),
        E::NothingRetained => diagnosis(Exit::Blocked, "only an upgrade keeps the release before it"),
        E::InnerMount { .. } => diagnosis(Exit::Blocked, "unmount it for the upgrade"),
        E::NewerData { .. } => diagnosis(
            Exit::Refused,
            "install the release that the snapshot is of, or choose another snapshot",
        ),
        E::NoDataSpace { .. } => diagnosis(
            Exit::Blocked,
            "make room there, or give a directory on another disk: --dir DIR of `snapshot`, --snapshot-dir DIR of the others",
        ),
        E::NothingInstalled => diagnosis(Exit::Blocked, "`demisto-install install` installs"),
        E::AccountGone => diagnosis(Exit::Blocked, ACCOUNT),
        E::TooMuchDrift { .. } => {
            diagnosis(Exit::Blocked, "uninstall and install put them right and keep data and configuration")
        }
    }
}

/// What to do about engines in places of others, and others in places of engines.
fn of_engine(error: &plan::Error) -> Diagnosis {
    use plan::Error as E;
    match error {
        E::NotAServer => {
            diagnosis(Exit::Usage, "use `demisto-install engine install FILE`, or `engine upgrade FILE`")
        }
        E::NotAnEngine => diagnosis(Exit::Usage, "use `demisto-install install FILE`, or `upgrade FILE`"),
        E::EngineInPlace => diagnosis(
            Exit::Blocked,
            "remove the engine with `demisto-install engine uninstall --purge` (keep a copy of its d1.conf and keys), and install it again with --name NAME after the server",
        ),
        E::OddDir { .. } => diagnosis(
            Exit::Blocked,
            "look at what it is and remove it; a link there may have been made by whoever controls the service",
        ),
        E::NeedsName => diagnosis(Exit::Usage, "give --name NAME"),
        E::EnginesRemain { .. } => {
            diagnosis(Exit::Blocked, "remove them first: `demisto-install engine uninstall --name NAME`")
        }
        E::EnginesThere { .. } => diagnosis(
            Exit::Blocked,
            "a server is installed before engines: remove them with `demisto-install engine uninstall --name NAME --purge` (keep copies of their d1.conf and keys), and install them again after it",
        ),
        _ => diagnosis(Exit::Failed, ""),
    }
}

const ACCOUNT: &str = "make it again with the numbers that own its files: `ls -nd /var/lib/demisto` shows them, \
                       `groupadd --system --gid GID demisto` and `useradd --system --uid UID --gid GID \
                       --no-create-home --home-dir /var/lib/demisto --shell /usr/sbin/nologin demisto` make it";
