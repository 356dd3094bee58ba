//! How much work a file asks for before it opens: read from its algorithm identifiers before anything is
//! derived from a passphrase. Without a limit a file of some hundred bytes keeps OpenSSL busy for hours.

use super::key::{Error, Result};

/// Most rounds of key derivation of one file, all its parts together. OpenSSL takes 2048 by itself; password
/// stores of today, 600 000 or a few millions.
const ROUNDS: u64 = 10_000_000;
/// Most memory that scrypt may take, in bytes: OpenSSL takes no more.
const MEMORY: u64 = 32 << 20;
/// Most steps of scrypt (RFC 7914: N * r * p): 32 times those of usual parameters.
const STEPS: u64 = 1 << 22;
/// How deep parts may be in parts.
const DEPTH: usize = 32;

const OID: u8 = 0x06;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
const CONSTRUCTED: u8 = 0x20;
/// PBKDF2 and the ciphers of PKCS#5 version 1 (RFC 8018, appendix C): 1.2.840.113549.1.5.
const PKCS5: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05];
/// Ciphers of PKCS#12 (RFC 7292, appendix C): 1.2.840.113549.1.12.1.
const PKCS12: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01];
/// scrypt (RFC 7914, 7.1): 1.3.6.1.4.1.11591.4.11.
const SCRYPT: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x04, 0x0b];

const ODD: Error = Error::Damaged("its parts do not fit together");

/// Looks through a file, PKCS#8 or PKCS#12 in DER or BER, without opening anything.
///
/// # Errors
/// [`Error::TooMuchWork`] with what it asks for.
pub(super) fn check(bytes: &[u8]) -> Result<()> {
    let rounds = rounds(bytes, 0)?;
    if rounds > ROUNDS {
        let told = format!("{rounds} rounds of key derivation; at most {ROUNDS} are done");
        return Err(Error::TooMuchWork(told));
    }
    Ok(())
}

/// One part of a file, and what follows it.
struct Part<'a> {
    tag: u8,
    content: &'a [u8],
    rest: &'a [u8],
}

/// The first tag and length (X.690, 8.1.2 and 8.1.3), and what follows them. No length: two zeros end it.
fn header(bytes: &[u8]) -> Option<(u8, Option<usize>, &[u8])> {
    let (&tag, mut rest) = bytes.split_first()?;
    if tag & 0x1f == 0x1f {
        let more = rest.iter().position(|byte| byte & 0x80 == 0)?;
        rest = rest.get(more.checked_add(1)?..)?;
    }
    let (&first, rest) = rest.split_first()?;
    match first {
        0x80 => (tag & CONSTRUCTED != 0).then_some((tag, None, rest)),
        0x81.. => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            Some((tag, Some(usize::try_from(number(length)).ok()?), rest))
        }
        short => Some((tag, Some(usize::from(short)), rest)),
    }
}

/// The first part.
fn part(bytes: &[u8]) -> Option<Part<'_>> {
    let (tag, length, inside) = header(bytes)?;
    if let Some(length) = length {
        let (content, rest) = inside.split_at_checked(length)?;
        return Some(Part { tag, content, rest });
    }
    let (mut open, mut rest) = (1_usize, inside);
    loop {
        let before = rest;
        if let Some(after) = rest.strip_prefix(&[0, 0]) {
            (open, rest) = (open.checked_sub(1)?, after);
        } else {
            let (_, length, after) = header(rest)?;
            match length {
                Some(length) => rest = after.get(length..)?,
                None => (open, rest) = (open.checked_add(1)?, after),
            }
        }
        if open == 0 {
            let content = inside.get(..inside.len().checked_sub(before.len())?)?;
            return Some(Part { tag, content, rest });
        }
    }
}

/// The parts of something, as far as they can be told apart.
fn parts(mut bytes: &[u8]) -> Vec<Part<'_>> {
    let mut found = Vec::new();
    while let Some(part) = part(bytes) {
        bytes = part.rest;
        found.push(part);
    }
    found
}

/// An unsigned number; the largest for one that is larger.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0_u64, |value, byte| match value.checked_mul(256) {
        Some(value) => value.saturating_add(u64::from(*byte)),
        None => u64::MAX,
    })
}

/// The rounds of everything in `bytes` together. Strings of bytes are looked into, too: parts of PKCS#12 are
/// in such, which may themselves be in pieces.
fn rounds(bytes: &[u8], depth: usize) -> Result<u64> {
    if depth > DEPTH {
        return Err(ODD);
    }
    let deeper = depth.saturating_add(1);
    let mut sum = 0_u64;
    for part in parts(bytes) {
        let inside = match part.tag {
            OCTETS => rounds(part.content, deeper)?,
            tag if tag == OCTETS | CONSTRUCTED => rounds(&joined(part.content, deeper)?, deeper)?,
            tag if tag & CONSTRUCTED != 0 => {
                let own = if tag == SEQUENCE { own_rounds(part.content)? } else { 0 };
                rounds(part.content, deeper)?.saturating_add(own)
            }
            _ => 0,
        };
        sum = sum.saturating_add(inside);
    }
    Ok(sum)
}

/// A string of bytes that is in pieces (X.690, 8.7.3).
fn joined(content: &[u8], depth: usize) -> Result<Vec<u8>> {
    if depth > DEPTH {
        return Err(ODD);
    }
    let mut whole = Vec::new();
    for piece in parts(content) {
        match piece.tag {
            OCTETS => whole.extend_from_slice(piece.content),
            _ => whole.extend(joined(piece.content, depth.saturating_add(1))?),
        }
    }
    Ok(whole)
}

/// The rounds that a sequence itself asks for: the parameters of a key derivation, or the MAC of PKCS#12
/// (RFC 7292, 4: a digest, the salt, and the rounds).
fn own_rounds(content: &[u8]) -> Result<u64> {
    let parts = parts(content);
    let tags: Vec<u8> = parts.iter().map(|part| part.tag).collect();
    match (&tags[..], &parts[..]) {
        ([OID, SEQUENCE, ..], [id, parameters, ..]) if id.content == SCRYPT => {
            scrypt(parameters.content).map(|()| 0)
        }
        ([OID, SEQUENCE, ..], [id, parameters, ..]) if counts(id.content) => Ok(integer(parameters.content)),
        ([SEQUENCE, salt, INTEGER], [_, _, count]) if salt & !CONSTRUCTED == OCTETS => {
            Ok(unsigned(count.content))
        }
        _ => Ok(0),
    }
}

/// Whether an algorithm's parameters are a salt and a number of rounds (and for PBKDF2 something more).
fn counts(id: &[u8]) -> bool {
    [PKCS5, PKCS12].iter().any(|arc| id.strip_prefix(*arc).is_some_and(|last| last.len() == 1))
}

/// The first number of some parameters: PBES2 has none itself, only what is in it.
fn integer(parameters: &[u8]) -> u64 {
    let parts = parts(parameters);
    parts.iter().find(|part| part.tag == INTEGER).map_or(0, |part| unsigned(part.content))
}

/// A number that must not be negative; the largest if it is.
fn unsigned(content: &[u8]) -> u64 {
    if content.first().is_some_and(|first| first & 0x80 != 0) { u64::MAX } else { number(content) }
}

/// Salt, N, r and p.
fn scrypt(parameters: &[u8]) -> Result<()> {
    let numbers: Vec<u64> = parts(parameters)
        .iter()
        .filter(|part| part.tag == INTEGER)
        .map(|part| unsigned(part.content))
        .collect();
    let [n, r, p, ..] = numbers[..] else { return Err(ODD) };
    let memory = n.saturating_add(p).saturating_add(2).saturating_mul(r).saturating_mul(128);
    let steps = n.saturating_mul(r).saturating_mul(p);
    if memory <= MEMORY && steps <= STEPS {
        return Ok(());
    }
    let told = format!("scrypt with N = {n}, r = {r}, p = {p}; at most 32 MiB and {STEPS} steps are done");
    Err(Error::TooMuchWork(told))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
        let content = parts.concat();
        [vec![tag, 0x82], u16::try_from(content.len()).unwrap().to_be_bytes().to_vec(), content].concat()
    }

    fn endless(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
        [vec![tag, 0x80], parts.concat(), vec![0, 0]].concat()
    }

    fn count(value: u64) -> Vec<u8> {
        of(INTEGER, &[[vec![0], value.to_be_bytes().to_vec()].concat()])
    }

    fn pbkdf2(rounds: u64) -> Vec<u8> {
        let id = of(OID, &[PKCS5.to_vec(), vec![12]]);
        of(SEQUENCE, &[id, of(SEQUENCE, &[of(OCTETS, &[vec![7; 8]]), count(rounds)])])
    }

    #[test]
    fn rounds_are_found_wherever_they_are() {
        let mac = |rounds| {
            let digest = of(SEQUENCE, &[of(SEQUENCE, &[of(OID, &[vec![1, 2]])]), of(OCTETS, &[vec![0; 32]])]);
            of(SEQUENCE, &[digest, of(OCTETS, &[vec![7; 8]]), count(rounds)])
        };
        let pieces = |rounds| {
            let whole = pbkdf2(rounds);
            let cut = whole.len() - 5; // within the number
            let pieces = [of(OCTETS, &[whole[..cut].to_vec()]), of(OCTETS, &[whole[cut..].to_vec()])];
            endless(OCTETS | CONSTRUCTED, &pieces)
        };
        let in_octets = |rounds| of(SEQUENCE, &[of(OCTETS, &[of(SEQUENCE, &[pbkdf2(rounds)])])]);
        let behind_odd_tags = |rounds| {
            let odd = vec![0xbf, 0x8f, 0x01, 0x00];
            endless(SEQUENCE, &[endless(SEQUENCE, &[odd, vec![0xff, 0x01, 0x01, 0]]), pbkdf2(rounds)])
        };
        let behind_deep_ones = |rounds| {
            let deep = (0..20).fold(vec![5, 0], |inner, _| endless(SEQUENCE, &[inner]));
            endless(SEQUENCE, &[deep, pbkdf2(rounds)])
        };
        type Place<'a> = (&'a str, &'a dyn Fn(u64) -> Vec<u8>);
        let places: [Place; 6] = [
            ("alone", &pbkdf2),
            ("mac", &mac),
            ("pieces", &pieces),
            ("octets", &in_octets),
            ("odd tags", &behind_odd_tags),
            ("deep", &behind_deep_ones),
        ];
        for (name, place) in places {
            assert!(check(&place(ROUNDS)).is_ok(), "{name}");
            for rounds in [ROUNDS + 1, u64::MAX] {
                let why = check(&place(rounds)).unwrap_err().to_string();
                assert!(why.contains(&format!("{rounds} rounds")), "{name}: {why}");
            }
        }
        let many = of(SEQUENCE, &[pbkdf2(ROUNDS / 2), pbkdf2(ROUNDS / 2), pbkdf2(1)]);
        assert!(check(&many).is_err());
        let negative = of(INTEGER, &[vec![0x80, 0]]);
        let id = of(OID, &[PKCS12.to_vec(), vec![1]]);
        assert!(check(&of(SEQUENCE, &[id, of(SEQUENCE, &[of(OCTETS, &[]), negative])])).is_err());
    }

    #[test]
    fn scrypt_has_limits_of_its_own() {
        let scrypt = |numbers: [u64; 3]| {
            let parameters = [vec![of(OCTETS, &[vec![7; 8]])], numbers.map(count).to_vec()].concat();
            of(SEQUENCE, &[of(OID, &[SCRYPT.to_vec()]), of(SEQUENCE, &parameters)])
        };
        assert!(check(&scrypt([16384, 8, 1])).is_ok());
        for bad in [[1 << 20, 8, 1], [2, 1, 1 << 24], [1 << 14, 8, 64], [u64::MAX, u64::MAX, u64::MAX]] {
            let why = check(&scrypt(bad)).unwrap_err().to_string();
            assert!(why.contains("scrypt with N = "), "{why}");
        }
    }

    #[test]
    fn anything_ends_at_once() {
        let deep = (0..300_000).fold(Vec::new(), |mut all: Vec<u8>, _| {
            all.extend([SEQUENCE, 0x80]);
            all
        });
        let closed = [deep.clone(), vec![0; deep.len()]].concat();
        for bytes in [deep, closed, vec![0; 1 << 20], vec![0xff; 1 << 20], [0x30, 0].repeat(1 << 19)] {
            let _ = check(&bytes);
        }
    }
}
