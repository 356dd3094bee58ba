//! What to do about certificates, keys and what goes with them.

use super::{Diagnosis, diagnosis};
use crate::certs;
use crate::cli::exit::Exit;

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
