//! One handshake of one version: what the server shows, and what it asks for.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use openssl::error::ErrorStack;
use openssl::ssl::{
    self, ErrorCode, Ssl, SslContext, SslMethod, SslRef, SslStream, SslVerifyMode, SslVersion, StatusType,
};
use x509_parser::prelude::{FromDer as _, X509Name};

use super::{Client, Host, Protocol, Request, View};
use crate::certs::look;
use crate::sys::alert;
use crate::sys::tcp::Bounded;

/// Most bytes of the server's that are kept while a handshake lasts. OpenSSL takes a chain of at most 100 KiB.
const HEARD: usize = 256 << 10;
/// How long a server may take to turn a client away after the handshake of TLS 1.3.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Most names of authorities that are told.
const AUTHORITIES: usize = 200;
/// The peer's signature does not fit: to its key (`SSL_R_BAD_SIGNATURE`), or even to the kind of its key
/// (`SSL_R_WRONG_SIGNATURE_TYPE`).
const SIGNATURE: [i32; 2] = [123, 370];

/// What came of it.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The server answered in that version, and showed its certificate.
    Shown(Box<Shake>),
    /// It did not, and why.
    Nothing(String),
    /// It was silent until the time was over.
    Silent,
}

/// What was seen in a handshake.
#[derive(Debug)]
pub(super) struct Shake {
    /// The cipher suite by its standard name, once it is agreed on.
    pub(super) cipher: Option<String>,
    /// The certificates, as they came.
    pub(super) chain: Vec<Vec<u8>>,
    /// The OCSP response that came with them.
    pub(super) staple: Option<Vec<u8>>,
    /// Whether a certificate of the client was asked for.
    pub(super) asked: bool,
    /// By which authorities; TLS 1.3 tells it under encryption, so it stays unknown there.
    pub(super) authorities: Vec<String>,
    /// How it ended.
    pub(super) end: End,
}

/// How a handshake ended, in which the server showed its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// Both are content.
    Agreed,
    /// The server's signature is not of the key in its certificate.
    WrongKey,
    /// The server turned us away, with this alert (RFC 8446, 6) if it gave one.
    Refused(Option<i32>),
    /// Something else.
    Failed(String),
}

/// A connection that is listened to.
#[derive(Debug)]
struct Tap {
    tcp: Bounded,
    heard: Vec<u8>,
    said: Vec<u8>,
    open: bool,
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.tcp.read(buffer)?;
        if self.open {
            if self.heard.len().saturating_add(count) > HEARD {
                return Err(io::Error::other("the server says more than a handshake needs"));
            }
            self.heard.extend_from_slice(buffer.get(..count).unwrap_or_default());
        }
        Ok(count)
    }
}

impl Write for Tap {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.tcp.write(bytes)?;
        if self.open && self.said.len() < HEARD {
            self.said.extend_from_slice(bytes.get(..count).unwrap_or_default());
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

/// Makes one handshake. The certificate is not judged here.
///
/// # Errors
/// When there is no connection, or OpenSSL cannot begin.
pub(super) fn shake(
    request: &Request,
    addresses: &[SocketAddr],
    version: Protocol,
) -> Result<Outcome, super::Error> {
    let context = context(request, version)?;
    let mut tls = Ssl::new(&context)?;
    if let Some(name) = request.sni() {
        tls.set_hostname(name)?;
    }
    tls.set_status_type(StatusType::OCSP)?;
    let tcp = request.connect(addresses)?;
    let tap = Tap { tcp, heard: Vec::new(), said: Vec::new(), open: true };
    let mut stream = SslStream::new(tls, tap)?;
    let result = stream.connect();
    stream.get_mut().open = false;
    let tap = stream.get_ref();
    let (asked, authorities) = match version {
        Protocol::Tls13 => (result.is_ok() && messages_said(&tap.said) > 1, Vec::new()),
        _ => asked(&tap.heard),
    };
    let end = match result {
        Ok(()) if version == Protocol::Tls13 && asked => listen(&mut stream, &request.host),
        Ok(()) => End::Agreed,
        Err(error) if stream.ssl().peer_certificate().is_none() => return Ok(nothing(&error)),
        Err(error) => failed(&error, asked),
    };
    let tls = stream.ssl();
    Ok(Outcome::Shown(Box::new(Shake {
        cipher: tls.current_cipher().map(|cipher| cipher.standard_name().unwrap_or(cipher.name()).to_owned()),
        chain: chain(tls),
        staple: tls.ocsp_status().map(<[u8]>::to_vec).filter(|staple| !staple.is_empty()),
        asked,
        authorities,
        end,
    })))
}

/// A context in which nothing is refused that could be looked at: weak keys and old digests, too.
fn context(request: &Request, version: Protocol) -> Result<SslContext, ErrorStack> {
    let mut context = SslContext::builder(SslMethod::tls_client())?;
    let version = if version == Protocol::Tls13 { SslVersion::TLS1_3 } else { SslVersion::TLS1_2 };
    context.set_verify(SslVerifyMode::NONE);
    context.set_security_level(0);
    context.set_cipher_list("ALL:!aNULL:!eNULL:@SECLEVEL=0")?;
    context.set_min_proto_version(Some(version))?;
    context.set_max_proto_version(Some(version))?;
    context.set_alpn_protos(match request.view {
        View::Engine => b"\x08http/1.1",
        View::Browser => b"\x02h2\x08http/1.1",
    })?;
    if let Some(Client { chain, key }) = request.client {
        let mut certificates = chain.iter();
        if let Some(leaf) = certificates.next() {
            context.set_certificate(leaf.x509())?;
        }
        for certificate in certificates {
            context.add_extra_chain_cert(certificate.x509().clone())?;
        }
        context.set_private_key(key.pkey())?;
    }
    Ok(context.build())
}

/// In TLS 1.3 the handshake is over for us before the server has looked at our certificate. So it is given a
/// moment to turn us away, and asked for something if it does not.
fn listen(stream: &mut SslStream<Tap>, host: &Host) -> End {
    let mut byte = [0];
    stream.get_mut().tcp.set_patience(PATIENCE / 3);
    let first = stream.ssl_read(&mut byte);
    let second = match first {
        Err(error) if is_waiting(&error) => {
            let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            stream.get_mut().tcp.set_patience(PATIENCE);
            let _ = stream.ssl_write(request.as_bytes()); // whoever has turned us away may be gone
            stream.ssl_read(&mut byte)
        }
        first => first,
    };
    match second {
        Ok(_) => End::Agreed,
        Err(error) if is_waiting(&error) || error.code() == ErrorCode::ZERO_RETURN => End::Agreed,
        Err(error) => match alert_of(&error) {
            Some(alert) => End::Refused(Some(alert)),
            None => End::Refused(None),
        },
    }
}

fn is_waiting(error: &ssl::Error) -> bool {
    let late = |e: &io::Error| matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
    error.code() == ErrorCode::WANT_READ || error.io_error().is_some_and(late)
}

fn nothing(error: &ssl::Error) -> Outcome {
    if is_waiting(error) {
        return Outcome::Silent;
    }
    Outcome::Nothing(match (alert_of(error), error.io_error()) {
        (Some(number), _) => format!("the server says: {}", alert::name(number)),
        (None, Some(error)) => in_words(error),
        (None, None) if error.ssl_error().is_none() => "the server closes the connection".to_owned(),
        (None, None) => reason(error),
    })
}

/// An error of the connection in words.
pub(super) fn in_words(error: &io::Error) -> String {
    use io::ErrorKind as K;
    match error.kind() {
        K::UnexpectedEof | K::ConnectionReset | K::BrokenPipe => {
            "the server closes the connection".to_owned()
        }
        K::TimedOut | K::WouldBlock => "the server does not answer in time".to_owned(),
        _ => error.to_string(),
    }
}

fn failed(error: &ssl::Error, asked: bool) -> End {
    let reasons = error.ssl_error().map(ErrorStack::errors).unwrap_or_default();
    let bad = |e: &openssl::error::Error| {
        e.library_code() == alert::LIBRARY && SIGNATURE.contains(&e.reason_code())
    };
    match alert_of(error) {
        _ if reasons.iter().any(bad) => End::WrongKey,
        Some(alert) if asked => End::Refused(Some(alert)),
        Some(number) => End::Failed(format!("the server says: {}", alert::name(number))),
        None => match error.io_error() {
            Some(error) => End::Failed(in_words(error)),
            None if reasons.is_empty() => End::Failed("the server closes the connection".to_owned()),
            None => End::Failed(reason(error)),
        },
    }
}

fn reason(error: &ssl::Error) -> String {
    let first = error.ssl_error().and_then(|stack| stack.errors().first()?.reason());
    first.unwrap_or("what comes back is not TLS").to_owned()
}

fn alert_of(error: &ssl::Error) -> Option<i32> {
    alert::of(error.ssl_error()?)
}

fn chain(tls: &SslRef) -> Vec<Vec<u8>> {
    let chain = tls.peer_cert_chain().map(|chain| chain.iter().filter_map(|c| c.to_der().ok()).collect());
    chain.unwrap_or_default()
}

/// The records of a connection: kind and content.
fn records(bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let [kind, _, _, high, low, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((content, behind)) = tail.split_at_checked(length) else { break };
        found.push((*kind, content));
        rest = behind;
    }
    found
}

/// How many messages we sent under encryption in a handshake of TLS 1.3. It is one, `Finished`, unless a
/// certificate was asked for: then `Certificate`, even an empty one, is in front (RFC 8446, 2 and 4.4.2). OpenSSL puts
/// each into a record of its own, and nothing else is encrypted before the handshake is over.
fn messages_said(said: &[u8]) -> usize {
    const APPLICATION_DATA: u8 = 23;
    records(said).iter().filter(|(kind, _)| *kind == APPLICATION_DATA).count()
}

/// Whether a handshake before TLS 1.3 has a `CertificateRequest`, and whose certificates it names
/// (RFC 5246, 7.4.4).
fn asked(heard: &[u8]) -> (bool, Vec<String>) {
    const HANDSHAKE: u8 = 22;
    const REQUEST: u8 = 13;
    let open = records(heard).into_iter().take_while(|(kind, _)| *kind == HANDSHAKE);
    let bytes: Vec<u8> = open.flat_map(|(_, content)| content.to_vec()).collect();
    let mut rest = &bytes[..];
    while let [kind, high, middle, low, tail @ ..] = rest {
        let length = u32::from_be_bytes([0, *high, *middle, *low]);
        let Some((body, behind)) = tail.split_at_checked(usize::try_from(length).unwrap_or(usize::MAX))
        else {
            break;
        };
        if *kind == REQUEST {
            return (true, authorities(body).unwrap_or_default());
        }
        rest = behind;
    }
    (false, Vec::new())
}

fn authorities(body: &[u8]) -> Option<Vec<String>> {
    let (kinds, rest) = body.split_first()?;
    let (_, rest) = counted(rest.get(usize::from(*kinds)..)?)?; // signature algorithms
    let (mut names, _) = counted(rest)?;
    let mut found = Vec::new();
    while found.len() < AUTHORITIES
        && let Some((der, behind)) = counted(names)
    {
        found.push(look::words(&X509Name::from_der(der).ok()?.1));
        names = behind;
    }
    Some(found)
}

/// What has its length in two bytes in front, and what follows it.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [high, low, rest @ ..] = bytes else { return None };
    rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))
}

/// Whether there is a version of ours below TLS 1.2 at the other end, or why not.
///
/// # Errors
/// When there is no connection.
pub(super) fn ask_old(
    request: &Request,
    addresses: &[SocketAddr],
    version: Protocol,
) -> Result<Result<(), String>, super::Error> {
    let mut tcp = request.connect(addresses)?;
    Ok(super::hello::ask(&mut tcp, version, request.sni()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_records_and_messages_are_no_request() {
        assert_eq!(asked(&[22, 3, 3, 0, 5, 13, 0, 0, 1, 0]), (true, Vec::new()));
        for junk in
            [&[][..], &[22, 3, 3, 0, 9, 13], &[22, 3, 3, 0, 4, 13, 0xff, 0xff, 0xff], &[23, 3, 3, 0, 1, 13]]
        {
            assert_eq!(asked(junk), (false, Vec::new()), "{junk:?}");
        }
        assert_eq!(messages_said(&[20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 1, 0, 23, 3, 3, 0, 1, 0, 23, 3]), 2);
    }

    #[test]
    fn any_bytes_are_taken_as_a_request() {
        let body = [1, 64, 0, 2, 4, 3, 0, 6, 0, 4, 0x30, 2, 0x31, 0];
        for at in 0..body.len() {
            for value in 0..=255 {
                let mut changed = body;
                changed[at] = value;
                let _ = (authorities(&changed), authorities(&body[at..]));
            }
        }
    }
}
