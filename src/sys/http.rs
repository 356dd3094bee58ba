//! Reads one HTTP answer, as far as it is needed, and asks proxies for a way. The other side may be anything.

use std::io::{self, Read, Write};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use crate::types::Secret;

/// Most bytes of an answer that are read, its head included.
const LIMIT: usize = 64 << 10;
/// Most bytes of a proxy's answer that are read.
const HEAD: usize = 16 << 10;

/// Why a proxy opens no way.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoTunnel {
    /// It says no, with this status (RFC 9110, 15).
    #[error("it answers with status {0}")]
    Refused(u16),
    /// What comes back is not HTTP.
    #[error("what comes back is not HTTP")]
    NotHttp,
    /// The connection breaks off, or nothing comes in time.
    #[error("it does not answer")]
    Broken(#[from] io::Error),
}

/// Asks a proxy for a way to `target`, a host and its port (CONNECT; RFC 9110, 9.3.6). What is read and
/// written afterwards is the target's. `credentials` are `USER:PASSWORD` (RFC 7617).
///
/// # Errors
/// When the proxy opens no way.
pub fn tunnel(
    stream: &mut (impl Read + Write),
    target: &str,
    credentials: Option<&Secret>,
) -> Result<(), NoTunnel> {
    let mut request = Zeroizing::new(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"));
    if let Some(credentials) = credentials {
        let encoded = Zeroizing::new(BASE64.encode(credentials.expose_secret()));
        request.push_str("Proxy-Authorization: Basic ");
        request.push_str(&encoded);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes())?;
    // byte by byte: what is behind the head belongs to somebody else
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD {
            return Err(NoTunnel::NotHttp);
        }
        match stream.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => head.extend_from_slice(&byte),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
    match status(&head) {
        Some(200..=299) if head.ends_with(b"\r\n\r\n") => Ok(()),
        Some(200..=299) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        Some(status) => Err(NoTunnel::Refused(status)),
        None if head.is_empty() => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        None => Err(NoTunnel::NotHttp),
    }
}

/// One answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status, if it is HTTP.
    pub status: Option<u16>,
    /// The body without its transfer coding; `None` when it was not asked for or did not come whole.
    pub body: Option<Vec<u8>>,
}

/// Reads the status, and the body if `whole`.
///
/// # Errors
/// When nothing comes at all.
pub fn read(stream: &mut impl Read, whole: bool) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    let end = loop {
        match stream.read(&mut piece) {
            Ok(0) => break true,
            Ok(count) => bytes.extend_from_slice(piece.get(..count).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if bytes.is_empty() => return Err(e),
            // many servers close without saying so in TLS; what is missing shows in the lengths
            Err(e) => {
                break e.kind() != io::ErrorKind::TimedOut && e.kind() != io::ErrorKind::WouldBlock;
            }
        }
        let enough = if whole { body(&bytes, false).is_some() } else { has_status(&bytes) };
        if enough || bytes.len() >= LIMIT {
            break false;
        }
    };
    let body = if whole { body(&bytes, end) } else { None };
    Ok(Answer { status: status(&bytes), body })
}

fn has_status(bytes: &[u8]) -> bool {
    bytes.contains(&b'\n')
}

fn status(bytes: &[u8]) -> Option<u16> {
    let line = bytes.split(|b| *b == b'\n').next()?;
    let rest = std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.")?;
    rest.get(2..5)?.parse().ok()
}

/// The body, if all of it is there; `end` tells that nothing follows.
fn body(bytes: &[u8], end: bool) -> Option<Vec<u8>> {
    let at = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(bytes.get(..at)?).ok()?;
    let rest = bytes.get(at.checked_add(4)?..)?;
    if header(head, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return unchunked(rest);
    }
    match header(head, "content-length") {
        Some(length) => rest.get(..length.parse().ok()?).map(<[u8]>::to_vec),
        None => end.then(|| rest.to_vec()),
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The content of all chunks, if the last one is there.
fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let at = rest.windows(2).position(|two| two == b"\r\n")?;
        let line = std::str::from_utf8(rest.get(..at)?).ok()?;
        let length = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        let begin = at.checked_add(2)?;
        let after = begin.checked_add(length)?;
        body.extend_from_slice(rest.get(begin..after)?);
        rest = rest.get(after..)?.strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, then fails or ends.
    struct Slow<'a>(&'a [u8], Option<std::io::ErrorKind>);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            match (self.0.split_first(), self.1) {
                (Some((byte, rest)), _) => {
                    buffer[0] = *byte;
                    self.0 = rest;
                    Ok(1)
                }
                (None, Some(kind)) => Err(kind.into()),
                (None, None) => Ok(0),
            }
        }
    }

    fn body_of(text: &str, then: Option<std::io::ErrorKind>) -> Option<String> {
        let answer = read(&mut Slow(text.as_bytes(), then), true).unwrap();
        answer.body.map(|body| String::from_utf8(body).unwrap())
    }

    #[test]
    fn bodies_by_length_chunks_and_end() {
        use std::io::ErrorKind::{TimedOut, UnexpectedEof};
        let by_length = "HTTP/1.1 200 OK\r\ncontent-LENGTH: 3\r\n\r\nabc";
        assert_eq!(body_of(by_length, Some(TimedOut)), Some("abc".to_owned()), "nothing more is waited for");
        assert_eq!(body_of(&by_length.replace('3', "4"), None), None, "cut short");
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        assert_eq!(body_of(chunked, Some(TimedOut)), Some("abc".to_owned()));
        assert_eq!(body_of(chunked.trim_end_matches("0\r\n\r\n"), None), None, "cut short");
        for huge in ["fffffffffffffffff", "ffffffffffffffff", "-1", ""] {
            assert_eq!(body_of(&chunked.replace("2;x=y", huge), None), None, "{huge}");
        }
        let to_the_end = "HTTP/1.0 200 OK\r\n\r\nabc";
        assert_eq!(body_of(to_the_end, None), Some("abc".to_owned()));
        assert_eq!(body_of(to_the_end, Some(UnexpectedEof)), Some("abc".to_owned()));
        assert_eq!(body_of(to_the_end, Some(TimedOut)), None, "more may follow");
    }

    #[test]
    fn only_so_much_is_read() {
        let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".chain(std::io::repeat(b'x'));
        let answer = read(&mut endless, true).unwrap();
        assert_eq!(answer, Answer { status: Some(200), body: None });
    }

    #[test]
    fn statuses() {
        let status = |text: &str| read(&mut Slow(text.as_bytes(), None), false).unwrap().status;
        assert_eq!(status("HTTP/1.1 204 No Content\r\n"), Some(204));
        assert_eq!(status("HTTP/1.0 500\r\n"), Some(500));
        for text in ["", "HTTP/2 200\r\n", "SSH-2.0\r\n", "HTTP/1.1 2\r\n", "HTTP/1.1 é00\r\n"] {
            assert_eq!(status(text), None, "{text}");
        }
        assert!(read(&mut Slow(b"", Some(std::io::ErrorKind::TimedOut)), false).is_err());
    }

    /// Says what it was given, and keeps what it is told.
    struct Proxy<'a>(Slow<'a>, Vec<u8>);

    impl Read for Proxy<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Proxy<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn ways_through_a_proxy() {
        let ask = |answer: &str, credentials: Option<&Secret>| {
            let mut proxy = Proxy(Slow(answer.as_bytes(), None), Vec::new());
            let result = tunnel(&mut proxy, "a.test:443", credentials);
            (result, String::from_utf8(proxy.1).unwrap(), proxy.0.0.len())
        };
        let (result, said, left) = ask("HTTP/1.1 200 OK\r\nX: y\r\n\r\nTLS", None);
        assert!(result.is_ok());
        assert_eq!(said, "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n");
        assert_eq!(left, 3, "what is behind the head is the server's");
        let secret = Secret::from("Aladdin:open sesame");
        let (_, said, _) = ask("", Some(&secret));
        // the example of RFC 7617, 2
        assert!(said.contains("\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"), "{said}");
        assert!(matches!(ask("HTTP/1.1 407 No\r\n\r\n", None).0, Err(NoTunnel::Refused(407))));
        assert!(matches!(ask("HTTP/1.0 403 Forbidden\r\n", None).0, Err(NoTunnel::Refused(403))));
        assert!(matches!(ask("SSH-2.0-x\r\n\r\n", None).0, Err(NoTunnel::NotHttp)));
        assert!(matches!(ask(&"x".repeat(HEAD + 1), None).0, Err(NoTunnel::NotHttp)));
        assert!(matches!(ask("HTTP/1.1 200 OK\r\nX: ", None).0, Err(NoTunnel::Broken(_))));
        assert!(matches!(ask("", None).0, Err(NoTunnel::Broken(_))));
    }
}
