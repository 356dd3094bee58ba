//! Whether a server works: a real TLS handshake and a real request.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode, SslVersion};
use serde::Serialize;

use super::{http, systemd};
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
    /// The version that it reported, if it was asked for and did.
    pub version: Option<String>,
    /// Why it does not answer.
    pub problem: Option<String>,
}

impl Probe {
    fn problem(text: impl Into<String>) -> Self {
        Self { answers: false, status: None, certificate: None, version: None, problem: Some(text.into()) }
    }
}

/// Asks the server on this host for `path`; with `version_key`, the answer's body is read, too, for
/// that member of a JSON object. The certificate is not judged here but reported: the caller
/// compares it with the one that should be served.
#[must_use]
pub fn probe(port: u16, path: &str, version_key: Option<&str>) -> Probe {
    match ask(port, path, version_key, TIMEOUT) {
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

fn ask(port: u16, path: &str, version_key: Option<&str>, limit: Duration) -> Result<Probe, String> {
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
    let answer =
        http::read(&mut stream, version_key.is_some()).map_err(|e| format!("port {port}: no answer: {e}"))?;
    let version = version_key.zip(answer.body).and_then(|(key, body)| http::version(&body, key));
    let status = answer.status;
    let answers = status.is_some_and(|code: u16| code < 500);
    let problem =
        if answers { None } else { Some(format!("port {port} answers, but not with a good HTTP status")) };
    Ok(Probe { answers, status, certificate, version, problem })
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
    /// The member of the answer that holds the version, and the version that it should be.
    pub version: Option<(&'a str, &'a str)>,
    /// The one-time configuration, which it has to consume.
    pub one_time: &'a Path,
    /// How long to wait.
    pub limit: Duration,
}

/// A server that works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healthy {
    /// How long it took.
    pub took: Duration,
    /// The version that it reported, if it was asked for.
    pub version: Option<String>,
}

/// How often in a row waiting must seem to be in vain until it is given up.
pub(super) const IN_VAIN: u32 = 3;

/// Waits until the server works: unit active, HTTPS answers, with the right version if one is
/// wanted, one-time configuration consumed.
///
/// # Errors
/// With what is still missing when the time is over, or at once when the unit has failed or
/// another version answers.
pub fn await_health(wanted: &Wanted) -> Result<Healthy, String> {
    let watch = Watch::start();
    let mut failures = 0;
    loop {
        let missing = match look(wanted) {
            Look::Works(version) => return Ok(Healthy { took: watch.elapsed(), version }),
            Look::Missing(missing) => {
                failures = 0;
                missing
            }
            Look::InVain(why) => {
                failures += 1;
                if failures >= IN_VAIN {
                    return Err(why);
                }
                why
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

/// What one look found.
enum Look {
    /// All is well; with the reported version.
    Works(Option<String>),
    /// It may still come.
    Missing(String),
    /// Waiting will not help.
    InVain(String),
}

fn look(wanted: &Wanted) -> Look {
    let mut pid = None;
    if let Some(unit) = wanted.unit {
        let state = match systemd::up(unit) {
            Ok(state) => state,
            Err(why) => return Look::InVain(why),
        };
        if !state.is_active() {
            return Look::Missing(format!("{unit} is {} ({})", state.active, state.sub));
        }
        pid = Some(state.pid);
    }
    let probe = probe(wanted.port, wanted.path, wanted.version.map(|(key, _)| key));
    if !probe.answers {
        let mut problem = probe.problem.unwrap_or_default();
        let others: Vec<String> =
            pid.map(sys::net::ports_of).unwrap_or_default().iter().map(u16::to_string).collect();
        if !others.is_empty() && !others.contains(&wanted.port.to_string()) {
            problem = format!("{problem}; the server listens on port {} instead", others.join(", "));
        }
        return Look::Missing(problem);
    }
    if let Some((key, version)) = wanted.version {
        let port = wanted.port;
        match &probe.version {
            None => return Look::Missing(format!("port {port} answers without a version ({key:?} in JSON)")),
            Some(found) if found != version => {
                return Look::InVain(format!("port {port} is answered by version {found}, not {version}"));
            }
            Some(_) => {}
        }
    }
    if sys::fs::exists(wanted.one_time) {
        return Look::Missing(format!("{} was not consumed", wanted.one_time.display()));
    }
    Look::Works(probe.version)
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
            let asked = ask(port, "/", None, Duration::from_millis(300));
            (watch.elapsed(), asked)
        });
        assert!(asked.is_err(), "{asked:?}");
        assert!(watch >= Duration::from_millis(250) && watch < Duration::from_secs(3), "{watch:?}");
    }
}
