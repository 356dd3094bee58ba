//! What to do when a server cannot be looked at.

use super::{Diagnosis, diagnosis};
use crate::cli::exit::Exit;
use crate::probe;
use crate::sys::tcp::Unreachable;
use crate::workflow::cert::probe::NoCertificate;

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
