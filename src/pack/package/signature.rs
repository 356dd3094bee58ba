//! The signatures of a package: OpenPGP packets in its signature header, over the main header, which
//! holds the digests of payload and files.

use std::collections::BTreeMap;

use ::rpm::{Header, HeaderEntry, IndexData, IndexSignatureTag, Package};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sequoia_openpgp::types::PublicKeyAlgorithm;

use super::super::{Result, Sign};
use super::failed;
use crate::pack::signer::Error as SignerError;
use crate::verify;

/// `RPMSIGTAG_DSA`: a signature by a key that is not RSA (rpm, `lib/rpmtag.h`).
const DSA: u32 = 267;
/// `RPMSIGTAG_RSA`.
const RSA: u32 = 268;
/// `RPMSIGTAG_OPENPGP`: every signature, base64. rpm before 4.20 skips it.
const OPENPGP: u32 = 278;
/// The region that frames a signature header; it is made anew.
const REGION: u32 = 62;

/// Signs the package's header, whose bytes are given, too. The first signature of each kind is where every rpm looks for it,
/// all of them are where new ones do. Gives their number.
pub(super) fn add(package: &mut Package, header: &[u8], sign: &mut Sign) -> Result<usize> {
    let made = sign(header)?;
    let mut entries: BTreeMap<u32, IndexData> =
        package.metadata.signature.get_all_entries().map_err(failed)?.into_iter().collect();
    entries.remove(&REGION);
    for packet in &made {
        entries.entry(tag(packet)?).or_insert_with(|| IndexData::Bin(packet.clone()));
    }
    let all = made.iter().map(|packet| STANDARD.encode(packet)).collect();
    entries.insert(OPENPGP, IndexData::StringArray(all));
    let entries = entries.into_iter().map(|(tag, data)| HeaderEntry::new(tag, data));
    package.metadata.signature = Header::from_entries(entries, IndexSignatureTag::HEADER_SIGNATURES);
    Ok(made.len())
}

/// Where rpm looks for a signature by such a key.
fn tag(packet: &[u8]) -> Result<u32> {
    let signatures =
        verify::parse_signatures(packet).map_err(|_| SignerError::Signing { why: "it is no signature" })?;
    let rsa = |algorithm| {
        #[allow(deprecated, reason = "RSA keys for signing alone were made once and still sign")]
        let old = PublicKeyAlgorithm::RSASign;
        algorithm == PublicKeyAlgorithm::RSAEncryptSign || algorithm == old
    };
    Ok(if signatures.iter().any(|signature| rsa(signature.pk_algo())) { RSA } else { DSA })
}
