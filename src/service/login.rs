//! One login at the server on this host.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};

use super::health::{TIMEOUT, handshake};
use crate::sys::http;
use crate::sys::tcp::Bounded;

/// Tries a name and a password once, and gives the HTTP status of the answer. They are no secret: whatever
/// certificate the server shows, it is told them.
///
/// # Errors
/// When there is no answer, in words.
pub fn login(port: u16, user: &str, password: &str) -> Result<u16, String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let tcp = Bounded::connect(&address, TIMEOUT).map_err(|e| format!("port {port}: {e}"))?;
    let tls = handshake().map_err(|_| format!("port {port}: TLS cannot begin"))?;
    let stream = tls.connect("localhost", tcp);
    let mut stream = stream.map_err(|_| format!("port {port}: the TLS handshake fails"))?;
    let body = serde_json::json!({ "user": user, "password": password }).to_string();
    let request = format!(
        "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let sent = stream.write_all(request.as_bytes());
    let answer = http::read(&mut stream, false).map_err(|e| format!("port {port}: no answer: {e}"))?;
    sent.map_err(|e| format!("port {port}: {e}"))?;
    answer.status.ok_or_else(|| format!("port {port}: the answer is not HTTP"))
}
