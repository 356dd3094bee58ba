//! Known-answer tests, as a FIPS module runs them before it does anything else.

use openssl::error::ErrorStack;
use openssl::hash::{MessageDigest, hash};
use openssl::memcmp;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use openssl::symm::{Cipher, Crypter, Mode};

const SHA256_OF_ABC: u128 = 0xba78_16bf_8f01_cfea_4141_40de_5dae_2223;
const AES_KEY: u128 = 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f;
const AES_PLAIN: u128 = 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff;
const AES_CIPHER: u128 = 0x69c4_e0d8_6a7b_0430_d8cd_b780_70b4_c55a;
const HMAC_ANSWER: u128 = 0x5bdc_c146_bf60_754e_6a04_2426_0895_75c7;

/// Runs the tests; the error names the one that failed.
pub(crate) fn run() -> Result<(), &'static str> {
    check("SHA-256", sha256(), SHA256_OF_ABC)?;
    check("AES-128", aes(), AES_CIPHER)?;
    check("HMAC-SHA-256", hmac(), HMAC_ANSWER)
}

/// Compares the first 16 bytes: a broken primitive gets none of them right.
fn check(name: &'static str, got: Result<Vec<u8>, ErrorStack>, wanted: u128) -> Result<(), &'static str> {
    match got {
        Ok(got) if got.get(..16).is_some_and(|got| memcmp::eq(got, &wanted.to_be_bytes())) => Ok(()),
        _ => Err(name),
    }
}

/// FIPS 180-4, the one-block example.
fn sha256() -> Result<Vec<u8>, ErrorStack> {
    Ok(hash(MessageDigest::sha256(), b"abc")?.to_vec())
}

/// FIPS 197, appendix C.1.
fn aes() -> Result<Vec<u8>, ErrorStack> {
    let mut crypter = Crypter::new(Cipher::aes_128_ecb(), Mode::Encrypt, &AES_KEY.to_be_bytes(), None)?;
    crypter.pad(false);
    let mut out = vec![0; 32];
    let length = crypter.update(&AES_PLAIN.to_be_bytes(), &mut out)?;
    out.truncate(length);
    Ok(out)
}

/// RFC 4231, test case 2.
fn hmac() -> Result<Vec<u8>, ErrorStack> {
    let key = PKey::hmac(b"Jefe")?;
    let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
    signer.sign_oneshot_to_vec(b"what do ya want for nothing?")
}
