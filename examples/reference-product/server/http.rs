//! As much of HTTP/1.1 as the reference needs: one request and one answer per connection.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

/// No request may be longer than this, head and body together.
const LIMIT: usize = 64 << 10;
/// No request may take longer than this to arrive.
const PATIENCE: Duration = Duration::from_secs(15);

/// A request that arrived whole.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The value of a header, whose name is given in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Reads one request; the error is the status to answer, if an answer makes sense.
    pub(crate) fn read(stream: &mut impl Read) -> Result<Self, Option<u16>> {
        let start = Instant::now();
        let mut bytes = Vec::new();
        let head_end = loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            fill(stream, &mut bytes, start)?;
        };
        let mut body = bytes.split_off(head_end + 4);
        bytes.truncate(head_end);
        let mut request = Self::parse(bytes).ok_or(Some(400))?;
        if request.header("transfer-encoding").is_some() {
            return Err(Some(501));
        }
        let length = request.header("content-length").unwrap_or("0");
        let length: usize = length.parse().map_err(|_| Some(400))?;
        if length > LIMIT {
            return Err(Some(413));
        }
        while body.len() < length {
            fill(stream, &mut body, start)?;
        }
        body.truncate(length);
        request.body = body;
        Ok(request)
    }

    fn parse(head: Vec<u8>) -> Option<Self> {
        let head = String::from_utf8(head).ok()?;
        let mut lines = head.split("\r\n");
        let mut first = lines.next()?.split(' ');
        let (method, target, protocol) = (first.next()?, first.next()?, first.next()?);
        if first.next().is_some() || !protocol.starts_with("HTTP/1.") {
            return None;
        }
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let headers = lines.map(header).collect::<Option<_>>()?;
        Some(Self { method: method.to_owned(), path: path.to_owned(), headers, body: Vec::new() })
    }
}

fn fill(stream: &mut impl Read, bytes: &mut Vec<u8>, start: Instant) -> Result<(), Option<u16>> {
    let mut piece = [0u8; 4096];
    let count = stream.read(&mut piece).map_err(|_| None)?;
    if count == 0 {
        return Err(None);
    }
    bytes.extend_from_slice(piece.get(..count).unwrap_or_default());
    if bytes.len() > LIMIT {
        return Err(Some(413));
    }
    if start.elapsed() > PATIENCE {
        return Err(Some(408));
    }
    Ok(())
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        let headers = vec![("Content-Type", "application/json".to_owned())];
        Self { status, headers, body: format!("{body}\n") }
    }

    pub(crate) fn html(body: String) -> Self {
        let headers = vec![("Content-Type", "text/html; charset=utf-8".to_owned())];
        Self { status: 200, headers, body }
    }

    /// An answer that only says what is wrong.
    pub(crate) fn status(status: u16) -> Self {
        Self::json(status, &serde_json::json!({"ok": false, "error": reason(status)}))
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn write(&self, stream: &mut impl Write) -> std::io::Result<()> {
        let mut text = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(
            "X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n\
             Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; \
             base-uri 'none'; frame-ancestors 'none'\r\nCache-Control: no-store\r\nConnection: close\r\n",
        );
        text.push_str(&format!("Content-Length: {}\r\n\r\n{}", self.body.len(), self.body));
        stream.write_all(text.as_bytes())?;
        stream.flush()
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        429 => "Too Many Requests",
        501 => "Not Implemented",
        _ => "Internal Server Error",
    }
}
