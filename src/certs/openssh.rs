//! Keys as `ssh-keygen` writes them (PROTOCOL.key of OpenSSH), as far as they are not encrypted: RSA and
//! ECDSA.

use openssl::bn::{BigNum, BigNumContext, BigNumRef};
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;

use super::key::{Error, Result};

const MAGIC: &[u8] = b"openssh-key-v1\0";
const CUT: Error = Error::Damaged("it ends too early, or its parts do not fit together");

/// Whether it needs a passphrase, which is not taken here.
pub(super) fn is_encrypted(content: &[u8]) -> bool {
    let mut reader = Reader(content.strip_prefix(MAGIC).unwrap_or_default());
    reader.string().is_ok_and(|cipher| cipher != b"none")
}

/// Reads the key.
pub(super) fn read(content: &[u8]) -> Result<PKey<Private>> {
    let mut outer = Reader(content.strip_prefix(MAGIC).ok_or(CUT)?);
    if outer.string()? != b"none" {
        return Err(Error::OpenSshEncrypted);
    }
    outer.string()?; // the key derivation and its options
    outer.string()?;
    if outer.number()? != 1 {
        return Err(Error::Several);
    }
    outer.string()?; // the public key
    let mut inner = Reader(outer.string()?);
    if inner.number()? != inner.number()? {
        return Err(CUT); // the two numbers tell whether a decryption was right
    }
    let kind = inner.string()?;
    match kind {
        b"ssh-rsa" => rsa(&mut inner),
        b"ecdsa-sha2-nistp256" => ec(&mut inner, Nid::X9_62_PRIME256V1),
        b"ecdsa-sha2-nistp384" => ec(&mut inner, Nid::SECP384R1),
        b"ecdsa-sha2-nistp521" => ec(&mut inner, Nid::SECP521R1),
        b"ssh-ed25519" => Err(Error::Unsupported("an Ed25519 key".to_owned())),
        b"ssh-dss" => Err(Error::Unsupported("a DSA key".to_owned())),
        _ => Err(Error::Unsupported("a key of a security token or of an unknown kind".to_owned())),
    }
}

fn rsa(inner: &mut Reader) -> Result<PKey<Private>> {
    let parts = [
        inner.string()?,
        inner.string()?,
        inner.string()?,
        inner.string()?,
        inner.string()?,
        inner.string()?,
    ];
    let make = || {
        let [n, e, d, inverse, p, q] = parts.map(BigNum::from_slice);
        let (d, p, q) = (d?, p?, q?);
        let exponent = |prime: &BigNum| -> std::result::Result<BigNum, ErrorStack> {
            let mut less = BigNumRef::to_owned(prime)?;
            less.sub_word(1)?;
            let mut exponent = BigNum::new()?;
            exponent.nnmod(&d, &less, &mut *BigNumContext::new()?)?;
            Ok(exponent)
        };
        let (dp, dq) = (exponent(&p)?, exponent(&q)?);
        PKey::from_rsa(Rsa::from_private_components(n?, e?, d, p, q, dp, dq, inverse?)?)
    };
    make().map_err(|_: ErrorStack| CUT)
}

fn ec(inner: &mut Reader, curve: Nid) -> Result<PKey<Private>> {
    inner.string()?; // the curve's name again
    let (point, number) = (inner.string()?, inner.string()?);
    let make = || {
        let group = EcGroup::from_curve_name(curve)?;
        let point = EcPoint::from_bytes(&group, point, &mut *BigNumContext::new()?)?;
        PKey::from_ec_key(EcKey::from_private_components(&group, &*BigNum::from_slice(number)?, &point)?)
    };
    make().map_err(|_: ErrorStack| CUT)
}

/// Takes the wire format of SSH apart (RFC 4251, section 5).
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(CUT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<usize> {
        let bytes = self.take(4)?.try_into().map_err(|_| CUT)?;
        usize::try_from(u32::from_be_bytes(bytes)).map_err(|_| CUT)
    }

    fn string(&mut self) -> Result<&'a [u8]> {
        let length = self.number()?;
        self.take(length)
    }
}
