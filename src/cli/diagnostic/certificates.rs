//! What to do about certificates, keys and what goes with them.

use super::{Diagnosis, diagnosis};
use crate::certs::{self, key};
use crate::cli::exit::Exit;

const CONVERT: &str = "`demisto-install cert convert FILE --out-dir DIR` writes what the product reads";

pub(super) fn of_certs(error: &certs::Error) -> Diagnosis {
    match error {
        certs::Error::Key(error) => of_key(error),
        certs::Error::Form(_) => diagnosis(Exit::Usage, CONVERT),
        _ => diagnosis(Exit::Usage, ""),
    }
}

pub(super) fn of_key(error: &key::Error) -> Diagnosis {
    use key::Error as E;
    let hint = match error {
        E::Encrypted => "give its passphrase: --passphrase-file FILE (--cert-passphrase-file of `install`)",
        E::OpenSshEncrypted => {
            "write a copy of it as PEM, with `ssh-keygen -p -m PEM -f COPY`, and give that one"
        }
        E::OldCipher(_) => {
            "open it with OpenSSL's old algorithms, `openssl pkcs12 -legacy -in FILE -out NEW.pem` or \
             `openssl pkey -provider legacy -provider default -in FILE -out NEW.pem`, and give NEW.pem"
        }
        E::Unsupported(_) | E::UnknownCurve => {
            "`demisto-install cert csr` makes a key that the product takes"
        }
        E::Several => "split it: one key, and the certificates that belong to it",
        _ => "",
    };
    diagnosis(Exit::Usage, hint)
}
