//! Protocols below TLS 1.2: the first message of a client (RFC 6101, 2246, 4346), and how it is answered.
//!
//! It is written by hand because OpenSSL speaks SSL 3.0 no more, and the older versions of TLS only where it was
//! built and configured to. The answer to the first message tells whether the server would go on.

use std::io::{Read, Write};

use super::Protocol;
use crate::sys::alert;
use crate::sys::tcp::Bounded;

/// Cipher suites of those times: ECDHE, DHE and RSA with AES, 3DES and RC4, and the sign that renegotiation is
/// secure (RFC 5746, 3.3).
const SUITES: [u16; 21] = [
    0xc009, 0xc00a, 0xc013, 0xc014, 0xc007, 0xc011, 0xc008, 0xc012, 0x0033, 0x0039, 0x0032, 0x0038, 0x0016,
    0x0013, 0x002f, 0x0035, 0x000a, 0x0005, 0x0004, 0x0041, 0x00ff,
];
/// secp256r1, secp384r1, secp521r1, x25519 (RFC 8422, 5.1.1).
const GROUPS: [u16; 4] = [23, 24, 25, 29];
const RECORD_HEADER: usize = 5;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const SERVER_HELLO: u8 = 2;

/// Asks for that version alone.
///
/// # Errors
/// With the reason why it is not offered.
pub(super) fn ask(tcp: &mut Bounded, version: Protocol, name: Option<&str>) -> Result<(), String> {
    let number = number(version);
    let mut random = [0; 32];
    openssl::rand::rand_bytes(&mut random).map_err(|e| e.to_string())?;
    let failed = |error: std::io::Error| super::handshake::in_words(&error);
    tcp.write_all(&client_hello(number, &random, name)).map_err(failed)?;
    let mut answer = Vec::new();
    let mut piece = [0; 512];
    // the header of a record, that of a message, and the version in it; an alert is shorter
    while answer.len() < RECORD_HEADER + 6 && answer.first().is_none_or(|kind| *kind == HANDSHAKE)
        || answer.len() < RECORD_HEADER + 2 && answer.first() == Some(&ALERT)
    {
        match tcp.read(&mut piece).map_err(failed)? {
            0 => return Err("the server closes the connection".to_owned()),
            count => answer.extend_from_slice(piece.get(..count).unwrap_or_default()),
        }
    }
    judge(&answer, number)
}

fn judge(answer: &[u8], wanted: u16) -> Result<(), String> {
    match answer {
        [ALERT, _, _, _, _, _, what, ..] => {
            Err(format!("the server says: {}", alert::name(i32::from(*what))))
        }
        [HANDSHAKE, _, _, _, _, SERVER_HELLO, _, _, _, major, minor, ..] => {
            match u16::from_be_bytes([*major, *minor]) {
                version if version == wanted => Ok(()),
                _ => Err("the server answers with another version".to_owned()),
            }
        }
        _ => Err("what comes back is not TLS".to_owned()),
    }
}

const fn number(version: Protocol) -> u16 {
    match version {
        Protocol::Ssl3 => 0x0300,
        Protocol::Tls10 => 0x0301,
        Protocol::Tls11 => 0x0302,
        Protocol::Tls12 => 0x0303,
        Protocol::Tls13 => 0x0304,
    }
}

fn client_hello(version: u16, random: &[u8; 32], name: Option<&str>) -> Vec<u8> {
    let mut hello = version.to_be_bytes().to_vec();
    hello.extend_from_slice(random);
    hello.push(0); // no session
    hello.extend(sized(SUITES.iter().flat_map(|suite| suite.to_be_bytes()).collect()));
    hello.extend_from_slice(&[1, 0]); // no compression
    if version > 0x0300 {
        hello.extend(sized(extensions(name)));
    }
    let mut message = vec![1, 0];
    message.extend(sized(hello));
    let mut record = vec![HANDSHAKE];
    record.extend_from_slice(&version.min(0x0301).to_be_bytes());
    record.extend(sized(message));
    record
}

fn extensions(name: Option<&str>) -> Vec<u8> {
    let mut all = Vec::new();
    if let Some(name) = name {
        let mut entry = vec![0];
        entry.extend(sized(name.as_bytes().to_vec()));
        all.extend_from_slice(&[0, 0]);
        all.extend(sized(sized(entry)));
    }
    all.extend_from_slice(&[0, 10]);
    all.extend(sized(sized(GROUPS.iter().flat_map(|group| group.to_be_bytes()).collect())));
    all.extend_from_slice(&[0, 11, 0, 2, 1, 0]); // uncompressed points
    all
}

/// The bytes with their number, in two bytes, in front. All here are short.
fn sized(bytes: Vec<u8>) -> Vec<u8> {
    let mut all = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes().to_vec();
    all.extend(bytes);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let hello = [HANDSHAKE, 3, 1, 0, 80, SERVER_HELLO, 0, 0, 76, 3, 1, 9];
        assert_eq!(judge(&hello, 0x0301), Ok(()));
        assert!(judge(&hello, 0x0302).unwrap_err().contains("another version"));
        assert!(judge(&[ALERT, 3, 1, 0, 2, 2, 70], 0x0301).unwrap_err().contains("protocol version"));
        for junk in
            [&b"HTTP/1.1 400"[..], b"", &[HANDSHAKE, 3, 1], &[HANDSHAKE, 3, 1, 0, 9, 9, 0, 0, 9, 3, 1]]
        {
            assert!(judge(junk, 0x0301).unwrap_err().contains("not TLS"), "{junk:?}");
        }
    }

    #[test]
    fn lengths_add_up() {
        for (version, name) in [(0x0300, None), (0x0301, Some("soar.example.test")), (0x0302, None)] {
            let record = client_hello(version, &[7; 32], name);
            let inside = usize::from(u16::from_be_bytes([record[3], record[4]]));
            assert_eq!(inside, record.len() - RECORD_HEADER);
            let message = usize::from(u16::from_be_bytes([record[7], record[8]]));
            assert_eq!((record[5], record[6], message), (1, 0, inside - 4));
        }
    }
}
