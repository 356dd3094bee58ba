//! What it means that OpenSSL does not decrypt: a wrong passphrase, or a cipher that it no longer has.

use openssl::error::ErrorStack;

use super::key::Error;

/// Whether OpenSSL lacks a cipher rather than the right passphrase.
pub(super) fn is_unsupported(errors: &ErrorStack) -> bool {
    let told = |error: &openssl::error::Error| {
        error.reason().is_some_and(|reason| {
            ["unsupported", "unknown cipher", "unsupported encryption", "unknown pbe algorithm"]
                .iter()
                .any(|word| reason.eq_ignore_ascii_case(word))
        })
    };
    errors.errors().iter().any(told)
}

/// Whether every OpenSSL has the cipher of a `DEK-Info` line.
pub(super) fn is_modern(cipher: &str) -> bool {
    cipher.starts_with("AES-") || cipher == "DES-EDE3-CBC"
}

/// Whether an encrypted PKCS#8 key is encrypted with AES (2.16.840.1.101.3.4.1).
pub(super) fn names_aes(der: &[u8]) -> bool {
    der.windows(8).any(|window| window == [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01])
}

/// Why a key was not opened. Of 256 wrong passphrases one leaves a padding that looks good, and OpenSSL calls
/// what is in it unsupported: where it has the cipher, the passphrase is wrong.
pub(super) fn refusal(errors: &ErrorStack, modern: bool, cipher: &str) -> Error {
    if is_unsupported(errors) && !modern {
        Error::OldCipher(cipher.to_owned())
    } else {
        Error::WrongPassphrase
    }
}
