//! Reads a set of detached signatures:
//!
//! ```text
//! [ signature packet (RFC 9580, 5.2) ]{1,16}     binary, at most 64 KiB, nothing before, between or after
//! ```

use std::io::Read as _;

use sequoia_openpgp as openpgp;

use openpgp::armor;
use openpgp::packet::{Packet, Signature};
use openpgp::parse::{Dearmor, PacketParserBuilder, PacketParserResult, Parse as _};

use super::{SIGNATURES_LIMIT, SIGNATURES_SIZE_LIMIT};

const BEGIN: &str = "-----BEGIN PGP SIGNATURE-----";
const END: &str = "-----END PGP SIGNATURE-----";

/// The packets in a text that is one armoured signature and nothing else; `None` for any other text.
#[must_use]
pub fn dearmor(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?.trim();
    if !text.starts_with(BEGIN) || !text.ends_with(END) || text.matches("-----BEGIN").count() != 1 {
        return None;
    }
    let mut packets = Vec::new();
    let mode = armor::ReaderMode::Tolerant(Some(armor::Kind::Signature));
    let mut reader = armor::Reader::from_bytes(text.as_bytes(), mode);
    reader.read_to_end(&mut packets).ok()?;
    Some(packets)
}

/// The signatures in `bytes`, or why the whole is refused.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<Signature>, String> {
    if bytes.is_empty() {
        return Err(super::NOT_SIGNED.to_owned());
    }
    if bytes.len() > SIGNATURES_SIZE_LIMIT {
        return Err("the signatures are larger than 64 KiB".to_owned());
    }
    if bytes.starts_with(b"-----BEGIN") {
        return Err("the signature is armoured text where binary packets are expected".to_owned());
    }
    const DAMAGED: &str = "the signature is damaged, or holds something else than binary OpenPGP signatures";
    let mut signatures = Vec::new();
    let mut state = PacketParserBuilder::from_bytes(bytes)
        .and_then(|builder| builder.dearmor(Dearmor::Disabled).buffer_unread_content().build())
        .map_err(|_| DAMAGED.to_owned())?;
    while let PacketParserResult::Some(parser) = state {
        // Checked before the parser moves on, so that it never looks inside a container.
        if !matches!(parser.packet, Packet::Signature(_)) {
            return Err(DAMAGED.to_owned());
        }
        let (packet, rest) = parser.next().map_err(|_| DAMAGED.to_owned())?;
        if let Packet::Signature(signature) = packet {
            signatures.push(signature);
        }
        if signatures.len() > SIGNATURES_LIMIT {
            return Err("there are more than 16 signatures".to_owned());
        }
        state = rest;
    }
    if signatures.is_empty() { Err(DAMAGED.to_owned()) } else { Ok(signatures) }
}
