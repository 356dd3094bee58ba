//! Whether a server works: a real TLS handshake and a real request.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode, SslVersion};
use serde::Serialize;

use super::systemd;
use crate::sys::clock::{self, Watch};
use crate::sys::{self, signal};
use crate::types::Digest;

/// How long one look may take, from the connection to the answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What one look at a server found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// Whether it answered an HTTPS request.
    pub answers: bool,
    /// The HTTP status, if it did.
    pub status: Option<u16>,
    /// SHA-256 of the certificate that it showed.
    pub certificate: Option<Digest>,
    /// Why it does not answer.
    pub problem: Option<String>,
}

impl Probe {
    fn problem(text: impl Into<String>) -> Self {
        Self { answers: false, status: None, certificate: None, problem: Some(text.into()) }
    }
}

/// Asks the server on this host for `path`. The certificate is not judged here but reported: the
/// caller compares it with the one that should be served.
#[must_use]
pub fn probe(port: u16, path: &str) -> Probe {
    match ask(port, path, TIMEOUT) {
        Ok(probe) => probe,
        Err(why) => Probe::problem(why),
    }
}

/// A connection that ends at one time, however slowly the other side speaks.
#[derive(Debug)]
struct Bounded {
    tcp: TcpStream,
    watch: Watch,
    limit: Duration,
}

impl Bounded {
    fn connect(address: &SocketAddr, limit: Duration) -> io::Result<Self> {
        let watch = Watch::start();
        Ok(Self { tcp: TcpStream::connect_timeout(address, limit)?, watch, limit })
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        match self.limit.saturating_sub(self.watch.elapsed()) {
            Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(Some(left)),
        }
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.tcp.set_read_timeout(self.left()?)?;
        self.tcp.read(buffer)
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.set_write_timeout(self.left()?)?;
        self.tcp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

fn ask(port: u16, path: &str, limit: Duration) -> Result<Probe, String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let tcp = Bounded::connect(&address, limit).map_err(|e| format!("port {port}: {e}"))?;
    let tls = |_| format!("port {port} is open but does not speak TLS 1.2 or later");
    let mut builder = SslConnector::builder(SslMethod::tls()).map_err(tls)?;
    builder.set_verify(SslVerifyMode::NONE);
    builder.set_min_proto_version(Some(SslVersion::TLS1_2)).map_err(tls)?;
    let config = builder.build().configure().map_err(tls)?.verify_hostname(false);
    let handshake = format!("port {port} is open but the TLS handshake fails");
    let mut stream = config.connect("localhost", tcp).map_err(|_| handshake)?;
    let certificate =
        stream.ssl().peer_certificate().and_then(|c| c.to_der().ok()).map(|der| Digest::of(&der));
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(|e| format!("port {port}: {e}"))?;
    let mut answer = [0; 64];
    let count = stream.read(&mut answer).map_err(|e| format!("port {port}: no answer: {e}"))?;
    let text = String::from_utf8_lossy(answer.get(..count).unwrap_or_default()).into_owned();
    let status =
        text.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| code.parse().ok());
    let answers = status.is_some_and(|code: u16| code < 500);
    let problem =
        if answers { None } else { Some(format!("port {port} answers, but not with a good HTTP status")) };
    Ok(Probe { answers, status, certificate, problem })
}

/// What to wait for.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The unit, when systemd runs the server.
    pub unit: Option<&'a str>,
    /// The port that it should answer on.
    pub port: u16,
    /// The path to ask for.
    pub path: &'a str,
    /// The one-time configuration, which it has to consume.
    pub one_time: &'a Path,
    /// How long to wait.
    pub limit: Duration,
}

/// Waits until the server works: unit active, HTTPS answers, one-time configuration consumed.
///
/// # Errors
/// With what is still missing when the time is over, or at once when the unit has failed.
pub fn await_health(wanted: &Wanted) -> Result<Duration, String> {
    let watch = Watch::start();
    let mut failures = 0;
    loop {
        let missing = match missing(wanted) {
            Ok(None) => return Ok(watch.elapsed()),
            Ok(Some(missing)) => missing,
            Err(fatal) if failures >= 2 => return Err(fatal),
            Err(fatal) => {
                failures += 1;
                fatal
            }
        };
        if let Some(signal) = signal::pending() {
            return Err(format!("ended by signal {signal}; {missing}"));
        }
        if watch.elapsed() >= wanted.limit {
            return Err(format!("after {} s {missing}", wanted.limit.as_secs()));
        }
        clock::sleep(Duration::from_millis(200));
    }
}

/// What is still missing; an error when waiting is in vain.
fn missing(wanted: &Wanted) -> Result<Option<String>, String> {
    let mut pid = None;
    if let Some(unit) = wanted.unit {
        let state = systemd::state(unit).map_err(|e| format!("{e}: {}", e.source))?;
        if state.active == "failed" || state.restarts > 2 {
            return Err(format!("{unit} does not stay up: {} ({} restarts)", state.active, state.restarts));
        }
        if !state.is_active() {
            return Ok(Some(format!("{unit} is {} ({})", state.active, state.sub)));
        }
        pid = Some(state.pid);
    }
    let probe = probe(wanted.port, wanted.path);
    if !probe.answers {
        let mut problem = probe.problem.unwrap_or_default();
        let others: Vec<String> =
            pid.map(sys::net::ports_of).unwrap_or_default().iter().map(u16::to_string).collect();
        if !others.is_empty() && !others.contains(&wanted.port.to_string()) {
            problem = format!("{problem}; the server listens on port {} instead", others.join(", "));
        }
        return Ok(Some(problem));
    }
    if sys::fs::exists(wanted.one_time) {
        return Ok(Some(format!("{} was not consumed", wanted.one_time.display())));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn one_byte_after_the_other_does_not_extend_the_time() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (watch, asked) = std::thread::scope(|scope| {
            scope.spawn(move || {
                let (mut peer, _) = listener.accept().unwrap();
                // the beginning of a TLS record of 16 KiB, which never ends
                for byte in [0x16, 3, 3, 0x40, 0].into_iter().chain([2; 200]) {
                    if peer.write_all(&[byte]).is_err() {
                        break;
                    }
                    clock::sleep(Duration::from_millis(30));
                }
            });
            let watch = Watch::start();
            let asked = ask(port, "/", Duration::from_millis(300));
            (watch.elapsed(), asked)
        });
        assert!(asked.is_err(), "{asked:?}");
        assert!(watch >= Duration::from_millis(250) && watch < Duration::from_secs(3), "{watch:?}");
    }
}
