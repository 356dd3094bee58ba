//! What to do about keys of the configuration that cannot be set.

use super::{Diagnosis, diagnosis, of_unknown_key};
use crate::cli::exit::Exit;
use crate::config::preset;
use crate::workflow::settings;

pub(super) fn of_settings(error: &settings::Error) -> Diagnosis {
    use settings::Error as E;
    match error {
        E::Secret { key } => diagnosis(Exit::Usage, instead(key)),
        E::Weaker(_) => {
            diagnosis(Exit::Refused, "`demisto-install config password-policy` shows the guide's values")
        }
        E::Unknown(unknown) => {
            let mut found = of_unknown_key(unknown);
            found.hints.push(
                "the product has more keys than are published: --unknown sets it all the same".to_owned(),
            );
            found
        }
        E::Values(_) => diagnosis(Exit::Usage, "`demisto-install config explain KEY` tells what a key takes"),
        E::Findings(_) => {
            diagnosis(Exit::Usage, "nothing was changed; correct it, or give --force if you know better")
        }
        E::NoService => diagnosis(Exit::Usage, "leave --restart out"),
        E::OtherRole { engine: true, .. } => {
            diagnosis(Exit::Usage, "--engine, with --name NAME where it has a name, says which one is meant")
        }
        E::OtherRole { engine: false, .. } => diagnosis(Exit::Usage, "run it on the server"),
    }
}

/// How a secret gets where it belongs.
fn instead(key: &str) -> &'static str {
    match key.to_ascii_lowercase().as_str() {
        "security.keypass" => "`demisto-install otc set-keypass` gives the server the passphrase of its key",
        "security.certificate.client.keypass" => {
            "an engine gets it with the file that `demisto-install engine configure --conf FILE` takes"
        }
        _ => "write it into the file with an editor, which leaves no trace of it elsewhere",
    }
}

pub(super) fn of_preset(error: &preset::Error) -> Diagnosis {
    match error {
        preset::Error::Needed(_) => {
            diagnosis(Exit::Usage, "nothing was changed; --show tells all that the preset sets, and why")
        }
        preset::Error::Unfit { .. } | preset::Error::NotAsked { .. } => {
            diagnosis(Exit::Usage, "nothing was changed")
        }
        preset::Error::Config(_) => diagnosis(Exit::Blocked, super::CONFIG),
    }
}
