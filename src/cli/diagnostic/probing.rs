//! What to do when a server cannot be looked at.

use super::{Diagnosis, diagnosis};
use crate::cli::exit::Exit;
use crate::cli::preflight;
use crate::probe;
use crate::sys::tcp::Unreachable;
use crate::workflow::cert::probe::NoCertificate;
use crate::workflow::xdr;

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

pub(super) fn of_access(error: &xdr::Error) -> Diagnosis {
    let hint = match error {
        xdr::Error::List { .. } => {
            "give one host on each line, perhaps with :PORT; a pattern such as *.example.test names none"
        }
        xdr::Error::TooMany { .. } => {
            "give only the servers that this host has to reach, or ask in several runs"
        }
        xdr::Error::Environment(_) => {
            "go through another one with --proxy http://HOST:PORT, or directly with --direct"
        }
        xdr::Error::NoProxy => "give the proxy with --proxy http://HOST:PORT",
    };
    diagnosis(Exit::Usage, hint)
}

pub(super) fn of_proxy(error: &preflight::Error) -> Diagnosis {
    let hint = match error {
        preflight::Error::Open => {
            "put USER:PASSWORD into a file of mode 0600 and give it with --proxy-credentials-file"
        }
        preflight::Error::OtherTable(_) => {
            "`demisto-install preflight --list` shows the names, and with --xdr those of the other kind"
        }
        preflight::Error::Credentials => "give a file with one line, USER:PASSWORD",
        _ => "",
    };
    diagnosis(Exit::Usage, hint)
}
