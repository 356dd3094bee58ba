//! What to do about certificates, keys and what goes with them.

use super::{Diagnosis, diagnosis};
use crate::certs;
use crate::cli::exit::Exit;
use crate::workflow::cert::install;

const CERTIFICATE: &str =
    "`demisto-install cert convert FILE` writes a key that the product reads";

pub(super) fn of_certs(error: &certs::Error) -> Diagnosis {
    match error {
        certs::Error::Key(why) if why.contains("PKCS#8") => diagnosis(Exit::Usage, CERTIFICATE),
        certs::Error::Key(why) if why.contains("no passphrase") => {
            diagnosis(Exit::Usage, "give --passphrase-file FILE (`install`: --cert-passphrase-file)")
        }
        _ => diagnosis(Exit::Usage, ""),
    }
}

pub(super) fn of_pair(error: &install::Error) -> Diagnosis {
    use install::Error as E;
    match error {
        E::NothingKept(_) => diagnosis(Exit::Blocked, "`cert install` puts another pair in place"),
        E::NoPair { .. } => diagnosis(Exit::Blocked, "`cert install` puts one there"),
        E::Place { .. } => diagnosis(
            Exit::Blocked,
            "choose the place with --to-chain and --to-key: in a directory that only root can change",
        ),
        E::OldPassphrase(_) => diagnosis(
            Exit::Usage,
            "give --old-passphrase-file FILE; or --no-way-back, if nobody knows it any more",
        ),
        E::WrongOldPassphrase(_) => diagnosis(Exit::Usage, ""),
        E::EnginePassphrase { .. } => diagnosis(
            Exit::Usage,
            "an engine has no one-time configuration: give it a d1.conf with the passphrase by `engine configure \
             --conf FILE`, or a key without one (`cert convert --plain`)",
        ),
    }
}
