//! Installed files: whose they are, who can read them, and what lies beside them.

use super::Findings;
use super::rules::{FILE_MISSING, FILE_MODE, FILE_OWNER, KEY_EXPOSED, PATH_CLOSED, STRAY_FILE};

/// The mode of installed keys and certificates.
const MODE: u32 = 0o400;

/// An installed file as it lies.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// Its path.
    pub file: String,
    /// Whether it is a private key.
    pub is_key: bool,
    /// Why it cannot be read; nothing else is known of it then.
    pub missing: Option<String>,
    /// Its permissions.
    pub mode: u32,
    /// Who owns it instead of the service, such as `root:root`.
    pub other_owner: Option<String>,
    /// Directories on the way to it that the service may not enter.
    pub closed: Vec<String>,
}

pub(super) fn check(places: &[Place], strays: &[String], found: &mut Findings) {
    for place in places {
        let at = (place.file.as_str(), "the file");
        for dir in &place.closed {
            found.add(&PATH_CLOSED, at, format!("the service may not enter {dir}"));
        }
        if let Some(why) = &place.missing {
            found.add(&FILE_MISSING, at, why.clone());
            continue;
        }
        if let Some(owner) = &place.other_owner {
            found.add(&FILE_OWNER, at, format!("it belongs to {owner}"));
        }
        if place.is_key && place.mode & 0o077 != 0 {
            found.add(&KEY_EXPOSED, at, format!("its mode is {:04o}", place.mode));
        } else if place.mode != MODE {
            found.add(&FILE_MODE, at, format!("its mode is {:04o}", place.mode));
        }
    }
    for stray in strays {
        found.add(&STRAY_FILE, (stray, "the file"), "it lies beside the product's own certificate and key");
    }
}
