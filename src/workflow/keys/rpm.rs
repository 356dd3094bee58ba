//! Reads the keys that the administrator gave to rpm.

use std::path::{Path, PathBuf};

use super::Error;
use crate::sys;
use crate::sys::process::Tool;
use crate::trust::{self, Origin, TrustStore};

/// Where rpm keeps its database, below a root.
const DATABASES: [&str; 2] = ["usr/lib/sysimage/rpm", "var/lib/rpm"];
const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// The keys in rpm's keyring. What is no key that we can read is left out: rpm knows kinds that
/// we do not.
pub(super) fn keys(root: &Path) -> Result<TrustStore, Error> {
    let mut tool = Tool::system("rpm")?;
    let other_root = (root != Path::new("/")).then(|| root.to_owned());
    if other_root.is_some() {
        let database = DATABASES.iter().map(|dir| root.join(dir)).find(|dir| sys::fs::exists(dir));
        let database = database.ok_or_else(|| Error::NoRpmKeys { root: other_root.clone() })?;
        tool = tool.arg("--dbpath").arg(database);
    }
    let output = tool.args(["-q", "gpg-pubkey", "--qf", "%{DESCRIPTION}\n"]).run()?;
    let mut store = TrustStore::empty();
    for block in blocks(&output.text()) {
        match store.add(block.as_bytes(), Origin::Imported(PathBuf::from("rpm keyring"))) {
            Ok(_) | Err(trust::Error::KeyFile { .. }) => {}
            Err(other) => return Err(other.into()),
        }
    }
    if store.is_empty() { Err(Error::NoRpmKeys { root: other_root }) } else { Ok(store) }
}

fn blocks(text: &str) -> impl Iterator<Item = String> {
    text.split(BEGIN).skip(1).filter_map(|rest| {
        let (block, _) = rest.split_once(END)?;
        Some(format!("{BEGIN}{block}{END}\n"))
    })
}
