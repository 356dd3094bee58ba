//! The private key: its form, whether it opens, and whether it is the certificate's.

use super::chain::Item;
use super::file::File;
use super::rules::{
    KEY_CIPHER, KEY_EC_PARAMETERS, KEY_EXPLICIT_CURVE, KEY_FORM, KEY_KIND, KEY_MISMATCH, KEY_NOT_OPENED,
    KEY_PASSPHRASE_MISSING, KEY_PASSPHRASE_WRONG, KEY_PKCS8, KEY_PKCS8_ENCRYPTED, KEY_SEVERAL,
    KEY_UNREADABLE, Rule,
};
use super::{Findings, Input, Passphrase};
use crate::certs::key::{self as private, Error, Form, Found, Key, Problem, Syntax};

const SUBJECT: &str = "the key";

/// A key that was opened.
pub(super) struct Opened<'a> {
    file: &'a str,
    found: Found,
}

impl Opened<'_> {
    pub(super) fn key(&self) -> &Key {
        &self.found.key
    }
}

fn keys(files: &[File]) -> impl Iterator<Item = &File> {
    files.iter().filter(|file| file.has_key())
}

/// There is one key at most.
pub(super) fn check_number(files: &[File], found: &mut Findings) {
    if let Some(second) = keys(files).nth(1) {
        found.add(&KEY_SEVERAL, (&second.name, SUBJECT), "a key was given already");
    }
}

/// Opens the key, if there is one and it can be opened, and tells what is wrong with its form.
pub(super) fn open<'a>(input: &Input<'a>, found: &mut Findings) -> Option<Opened<'a>> {
    let file = keys(input.files).next()?;
    let is_p12 = |form: &Form| form.syntax == Syntax::Pkcs12;
    let both = file.key.as_ref().and_then(|form| form.as_ref().ok()).is_some_and(is_p12);
    let at = (file.name.as_str(), if both { "the file" } else { SUBJECT });
    let form = match file.key.as_ref()? {
        Ok(form) => form,
        Err(error) => {
            refused(error, at, found);
            return None;
        }
    };
    let problems = form.problems();
    for problem in &problems {
        found.add(rule_of(*problem), at, problem.to_string());
    }
    match private::read(&file.bytes, input.passphrase.secret()) {
        Ok(opened) => {
            if opened.form.explicit_curve && !problems.contains(&Problem::ExplicitCurve) {
                found.add(&KEY_EXPLICIT_CURVE, at, Problem::ExplicitCurve.to_string());
            }
            Some(Opened { file: &file.name, found: opened })
        }
        // that it has to be converted is said already
        Err(Error::Encrypted | Error::OpenSshEncrypted) if !form.is_readable() => None,
        Err(Error::OldCipher(_)) if problems.contains(&Problem::UnknownCipher) => None,
        Err(Error::Encrypted) if matches!(input.passphrase, Passphrase::Kept) => {
            found.add(&KEY_NOT_OPENED, at, "it is encrypted");
            None
        }
        Err(error) => {
            refused(&error, at, found);
            None
        }
    }
}

fn rule_of(problem: Problem) -> &'static Rule {
    match problem {
        Problem::EncryptedPkcs8 => &KEY_PKCS8_ENCRYPTED,
        Problem::PlainPkcs8 => &KEY_PKCS8,
        Problem::ParametersBlock => &KEY_EC_PARAMETERS,
        Problem::ExplicitCurve => &KEY_EXPLICIT_CURVE,
        Problem::UnknownCipher => &KEY_CIPHER,
        _ => &KEY_FORM,
    }
}

fn refused(error: &Error, at: (&str, &str), found: &mut Findings) {
    let rule = match error {
        Error::Several => &KEY_SEVERAL,
        Error::Encrypted => &KEY_PASSPHRASE_MISSING,
        Error::WrongPassphrase | Error::Passphrase(_) => &KEY_PASSPHRASE_WRONG,
        Error::Unsupported(_) => &KEY_KIND,
        Error::UnknownCurve => &KEY_EXPLICIT_CURVE,
        Error::OpenSshEncrypted => &KEY_FORM,
        Error::OldCipher(_) => &KEY_CIPHER,
        _ => &KEY_UNREADABLE,
    };
    found.add(rule, at, error.to_string());
}

/// Whether it is the leaf's key.
pub(super) fn compare(opened: &Opened<'_>, leaf: &Item<'_>, found: &mut Findings) {
    if !opened.key().fits(leaf.certificate.x509()) {
        let what = format!("it does not belong to {} in {}", leaf.subject, leaf.file);
        found.add(&KEY_MISMATCH, (opened.file, SUBJECT), what);
    }
}

/// A key without a certificate: of what kind it is, which is told of the certificate otherwise.
pub(super) fn check_alone(opened: Option<&Opened<'_>>, found: &mut Findings) {
    let Some(opened) = opened else { return };
    if let Err(error) = opened.key().check() {
        found.add(&KEY_KIND, (opened.file, SUBJECT), error.to_string());
    }
}
