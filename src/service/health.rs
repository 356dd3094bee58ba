//! Whether a server works: a real TLS handshake and a real request.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use openssl::error::ErrorStack;
use openssl::ssl::{
    self, ConnectConfiguration, HandshakeError, SslConnector, SslMethod, SslRef, SslVerifyMode, SslVersion,
};
use serde::Serialize;

use super::logs::{self, Place, Reach};
use super::systemd;
use crate::productlog::{Facts, Fips, SelfTests};
use crate::sys::clock::{self, Watch};
use crate::sys::tcp::Bounded;
use crate::sys::{self, alert, http, signal};
use crate::types::Digest;

/// How long one look may take, from the connection to the answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// Longest version that is taken for one.
const VERSION_LIMIT: usize = 64;

/// What one look at a server found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// Whether it answered an HTTPS request, or would have if it had been shown a client's certificate.
    pub answers: bool,
    /// Whether it turned us away because it wants a client's certificate (`clientauthpolicy` of the
    /// configuration), which this program has none of.
    pub wants_certificate: bool,
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
        let problem = Some(text.into());
        let (answers, wants_certificate) = (false, false);
        Self { answers, wants_certificate, status: None, certificate: None, version: None, problem }
    }

    /// A server that is there, showed its certificate, and wants one of its client.
    fn turned_away(tls: &SslRef) -> Self {
        let (status, version, problem) = (None, None, None);
        let certificate = certificate(tls);
        Self { answers: true, wants_certificate: true, status, certificate, version, problem }
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

fn ask(port: u16, path: &str, version_key: Option<&str>, limit: Duration) -> Result<Probe, String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let tcp = Bounded::connect(&address, limit).map_err(|e| format!("port {port}: {e}"))?;
    let tls = |_| format!("port {port} is open but does not speak TLS 1.2 or later");
    let mut stream = match handshake().map_err(tls)?.connect("localhost", tcp) {
        Ok(stream) => stream,
        Err(HandshakeError::Failure(failed)) if is_refusal(failed.error(), failed.ssl()) => {
            return Ok(Probe::turned_away(failed.ssl()));
        }
        Err(_) => return Err(format!("port {port} is open but the TLS handshake fails")),
    };
    let certificate = certificate(stream.ssl());
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    // one that turns us away may be gone by now; what it said is still there to be read
    let sent = stream.write_all(request.as_bytes());
    let answer = match http::read(&mut stream, version_key.is_some()) {
        Ok(answer) => answer,
        // in TLS 1.3 the handshake is over for us before the server has looked at our certificate
        Err(error) if is_refusal_in(&error, stream.ssl()) => return Ok(Probe::turned_away(stream.ssl())),
        Err(error) => return Err(format!("port {port}: no answer: {}", sent.err().unwrap_or(error))),
    };
    let version = version_key.zip(answer.body).and_then(|(key, body)| version_in(&body, key));
    let status = answer.status;
    let answers = status.is_some_and(|code: u16| code < 500);
    let problem =
        if answers { None } else { Some(format!("port {port} answers, but not with a good HTTP status")) };
    Ok(Probe { answers, wants_certificate: false, status, certificate, version, problem })
}

/// A handshake that judges no certificate.
pub(super) fn handshake() -> Result<ConnectConfiguration, ErrorStack> {
    let mut builder = SslConnector::builder(SslMethod::tls())?;
    builder.set_verify(SslVerifyMode::NONE);
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    Ok(builder.build().configure()?.verify_hostname(false))
}

/// SHA-256 of the certificate that is shown on a connection, whoever shows it; nothing when none is.
#[must_use]
pub fn shown_on(tcp: Bounded) -> Option<Digest> {
    match handshake().ok()?.connect("localhost", tcp) {
        Ok(stream) => certificate(stream.ssl()),
        Err(HandshakeError::Failure(failed)) => certificate(failed.ssl()),
        Err(_) => None,
    }
}

/// The text `key` of a JSON object, if it could be a version.
fn version_in(body: &[u8], key: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text = value.get(key)?.as_str()?;
    let fit = (1..=VERSION_LIMIT).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    fit.then(|| text.to_owned())
}

fn certificate(tls: &SslRef) -> Option<Digest> {
    tls.peer_certificate().and_then(|c| c.to_der().ok()).map(|der| Digest::of(&der))
}

/// Whether a server that has shown its own certificate turned us away for want of ours.
fn is_refusal(error: &ssl::Error, tls: &SslRef) -> bool {
    let said = error.ssl_error().and_then(alert::of);
    tls.peer_certificate().is_some() && said.is_some_and(|said| alert::NO_CERTIFICATE.contains(&said))
}

fn is_refusal_in(error: &io::Error, tls: &SslRef) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref()).is_some_and(|inner| is_refusal(inner, tls))
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
    /// Its log, for what no answer tells.
    pub log: RunLog<'a>,
    /// Whether the log has to say that its FIPS-CC self-tests passed at this start.
    pub fips: bool,
    /// How long to wait.
    pub limit: Duration,
}

/// The log of one run of the product.
#[derive(Debug, Clone, Copy)]
pub struct RunLog<'a> {
    /// Where it is.
    pub place: Place<'a>,
    /// The id of the run before it, from [`run_id`]: what that one logged does not count.
    pub before: Option<&'a str>,
}

impl RunLog<'_> {
    /// What it says of this run; nothing when it says nothing.
    ///
    /// # Errors
    /// When it cannot be read, in words.
    pub fn facts(&self) -> Result<Facts, String> {
        let told = logs::read(self.place, Reach::Near).map_err(|e| format!("{e}: {}", e.source))?;
        let facts = told.map(|told| told.facts).unwrap_or_default();
        let ours = facts.start.as_ref().is_some_and(|start| Some(start.run_id.as_str()) != self.before);
        Ok(if ours { facts } else { Facts::default() })
    }
}

/// The id of the run that is logged last; what comes after it belongs to another.
#[must_use]
pub fn run_id(log: Place) -> Option<String> {
    let told = logs::read(log, Reach::Near).ok().flatten()?;
    told.facts.start.map(|start| start.run_id)
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
const IN_VAIN: u32 = 3;

/// Waits until the server works: unit active, HTTPS answers, with the right version if one is
/// wanted, one-time configuration consumed.
///
/// # Errors
/// With what is still missing when the time is over, or at once when the unit has failed or
/// another version answers.
pub fn await_health(wanted: &Wanted) -> Result<Healthy, String> {
    until(wanted.limit, &mut |_| look(wanted))
}

/// Looks again and again; what will not get better has to be seen a few times, as units are started anew.
pub(super) fn until(limit: Duration, look: &mut dyn FnMut(Duration) -> Look) -> Result<Healthy, String> {
    let watch = Watch::start();
    let mut failures = 0;
    loop {
        let missing = match look(watch.elapsed()) {
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
        if watch.elapsed() >= limit {
            return Err(format!("after {} s {missing}", limit.as_secs()));
        }
        clock::sleep(Duration::from_millis(200));
    }
}

/// What one look found.
pub(super) enum Look {
    /// All is well; with the reported version.
    Works(Option<String>),
    /// It may still come.
    Missing(String),
    /// Waiting will not help.
    InVain(String),
}

fn look(wanted: &Wanted) -> Look {
    let facts = if wanted.fips { wanted.log.facts() } else { Ok(Facts::default()) };
    // whose self-tests failed does not start; that says more than what follows from it
    if let Ok(Facts { fips: Fips { self_tests: SelfTests::Failed, problem, .. }, .. }) = &facts {
        return Look::InVain(problem.clone().unwrap_or_default());
    }
    let works = service(wanted);
    match (&works, facts) {
        (Look::Works(_), Err(why)) => Look::InVain(why),
        (Look::Works(_), Ok(facts)) if wanted.fips && facts.fips.self_tests != SelfTests::Passed => {
            Look::Missing("its log does not say that its FIPS-CC self-tests passed".to_owned())
        }
        _ => works,
    }
}

fn service(wanted: &Wanted) -> Look {
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
    let mut version_of_it = probe.version;
    if let Some((key, version)) = wanted.version {
        let port = wanted.port;
        if probe.wants_certificate {
            match logged_version(&wanted.log) {
                Ok(found) => version_of_it = Some(found),
                Err(why) => {
                    return Look::Missing(format!("port {port} wants a client's certificate, and {why}"));
                }
            }
        }
        match &version_of_it {
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
    Look::Works(version_of_it)
}

/// The version that the log names, for a server that tells it nobody without a certificate. A build
/// behind it is left out.
fn logged_version(log: &RunLog) -> Result<String, String> {
    let start = log.facts()?.start.ok_or("its log does not tell its version")?;
    let build = start.build.map(|build| format!("-{build}")).unwrap_or_default();
    Ok(start.version.strip_suffix(&build).unwrap_or(&start.version).to_owned())
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

    #[test]
    fn versions() {
        assert_eq!(version_in(br#"{"ok":true,"version":"6.14.0"}"#, "version"), Some("6.14.0".to_owned()));
        let long = format!("{{\"version\":\"{}\"}}", "1".repeat(65));
        for body in [
            r#"{"version":6}"#,
            r#"{"version":"a\u001bb"}"#,
            r#"{"version":""}"#,
            r#"["version"]"#,
            "",
            &long,
        ] {
            assert_eq!(version_in(body.as_bytes(), "version"), None, "{body}");
        }
    }
}
