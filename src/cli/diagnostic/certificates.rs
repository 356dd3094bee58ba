//! What to do about certificates, keys and what goes with them.

use super::{Diagnosis, diagnosis};
use crate::certs;
use crate::cli::exit::Exit;
use crate::probe;
use crate::sys::tcp::Unreachable;
use crate::workflow::cert::probe::NoCertificate;

const CERTIFICATE: &str =
    "`openssl rsa -traditional -aes256 -in old.key -out cert.key` writes a key that the product reads";

pub(super) fn of_certs(error: &certs::Error) -> Diagnosis {
    match error {
        certs::Error::Key(why) if why.contains("PKCS#8") => diagnosis(Exit::Usage, CERTIFICATE),
        certs::Error::Key(why) if why.contains("no passphrase") => {
            diagnosis(Exit::Usage, "give --cert-passphrase-file FILE")
        }
        _ => diagnosis(Exit::Usage, ""),
    }
}

pub(super) fn of_probe(error: &probe::Error) -> Diagnosis {
    let hint = match error {
        probe::Error::Unreachable(Unreachable::Name { .. } | Unreachable::NameTimeout(_)) => {
            "look at the name and at the resolver of this host; an address can be given, with --server-name NAME"
        }
        probe::Error::Unreachable(Unreachable::Timeout(_)) => {
            "look at the firewalls in between; --timeout SECONDS gives it more time"
        }
        probe::Error::Unreachable(_) => "look whether the service runs there, and on which port",
        probe::Error::NoTls { .. } => {
            "look whether it is the right port; --timeout SECONDS gives it more time"
        }
        _ => "",
    };
    diagnosis(Exit::Failed, hint)
}

pub(super) fn of_no_certificate(_: &NoCertificate) -> Diagnosis {
    diagnosis(Exit::Usage, "give a file with the authorities' certificates, each between BEGIN and END lines")
}
