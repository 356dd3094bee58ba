//! What a file holds, told by its content and not by its name.

use zeroize::Zeroizing;

use super::rules::{FOREIGN_BLOCK, NOT_PEM, NOTHING_INSIDE, SEVERAL_FILES, UNREADABLE};
use super::{Findings, key};
use crate::certs::forms;
use crate::certs::key::{self as private, Form, Key};
use crate::certs::look::Chain;
use crate::types::Secret;

/// A file that is to be checked. What is in it may be secret and is never shown.
pub struct File {
    /// What it is called.
    pub name: String,
    /// Its certificates.
    pub chain: Chain,
    /// What is wrong with the form of certificates that are not PEM.
    pub(super) odd: Vec<String>,
    /// The form of its private key, or why the key cannot be read.
    pub(super) key: Option<Result<Form, private::Error>>,
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("File").field("name", &self.name).field("key", &self.key).finish_non_exhaustive()
    }
}

impl File {
    /// Takes a file apart. Nothing is opened that needs a passphrase.
    #[must_use]
    pub fn read(name: &str, bytes: Zeroizing<Vec<u8>>) -> Self {
        let mut chain = Chain::parse(&bytes);
        let mut odd = Vec::new();
        let key = match private::form(&bytes) {
            Err(private::Error::NoKey) => None,
            other => Some(other),
        };
        if chain.is_empty()
            && key.is_none()
            && let Ok(contents) = forms::read(&bytes, None)
        {
            chain.certificates = contents.certificates;
            odd = contents.flaws.iter().map(ToString::to_string).collect();
        }
        Self { name: name.to_owned(), chain, odd, key, bytes }
    }

    /// Whether it holds a private key.
    #[must_use]
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// The form of its private key in words.
    #[must_use]
    pub fn key_form(&self) -> Option<String> {
        let form = self.key.as_ref()?;
        Some(form.as_ref().map_or_else(|_| "unreadable".to_owned(), ToString::to_string))
    }

    /// Its private key, if there is one that can be opened.
    #[must_use]
    pub fn open_key(&self, passphrase: Option<&Secret>) -> Option<Key> {
        private::read(&self.bytes, passphrase).ok().map(|found| found.key)
    }

    /// Whether its key needs a passphrase.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.key.as_ref().and_then(|form| form.as_ref().ok()).is_some_and(|form| form.encrypted)
    }
}

pub(super) fn check(files: &[File], found: &mut Findings) {
    for file in files {
        let at = (file.name.as_str(), "the file");
        for (number, why) in &file.chain.damaged {
            found.add(&UNREADABLE, (at.0, &format!("block {number}")), why.to_string());
        }
        if !file.odd.is_empty() {
            found.add(&NOT_PEM, at, file.odd.join("; "));
        }
        if file.chain.is_empty() && file.key.is_none() {
            let nothing = "it holds neither a certificate nor a private key";
            found.add(&NOTHING_INSIDE, at, file.chain.instead().unwrap_or(nothing));
        }
        let foreign: Vec<&str> = file.chain.others.iter().map(String::as_str).collect();
        if file.odd.is_empty() && !file.chain.certificates.is_empty() && !foreign.is_empty() {
            let what = format!("beside certificates it holds {}", foreign.join(", "));
            found.add(&FOREIGN_BLOCK, at, what);
        }
    }
    let mut holders = files.iter().filter(|file| !file.chain.certificates.is_empty());
    if let (Some(first), Some(_)) = (holders.next(), holders.next()) {
        found.add(&SEVERAL_FILES, (&first.name, "the chain"), "the certificates are in several files");
    }
    key::check_number(files, found);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_not_shown() {
        let pair = crate::certs::self_signed(&["localhost".to_owned()], 1).unwrap();
        let file = File::read("cert.key", Zeroizing::new(pair.key.as_bytes().to_vec()));
        assert!(file.has_key() && !file.is_encrypted());
        let shown = format!("{file:?}");
        assert!(shown.contains("cert.key") && shown.len() < 300, "{shown}");
    }
}
