//! Gathers what the requirements of the evaluated configuration are judged by, and has them judged.

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use zeroize::Zeroizing;

use super::cert::check::{self, Asked, Checked};
use super::cert::pair::read_in;
use super::{Session, facts, install, upgrade, verify};
use crate::apply;
use crate::audit::{
    self, Artefact, Certificates, Comparison, Evidence, Finding, Handshake, Kept, Outcome, Record, Seen,
    Signature, System, WatchedFile,
};
use crate::certs::check::{Role, Severity};
use crate::certs::look::Certificate;
use crate::config::{self, lint, policy};
use crate::host::{self, Accounts};
use crate::probe::{self, Host, Policy, Protocol, View};
use crate::product::{self, UnitDir, under};
use crate::receipt::Receipt;
use crate::service;
use crate::sys;
use crate::sys::dir::{Dir, Ids};
use crate::types::{Digest, error_chain};

/// The only profile that there is.
pub const PROFILE: &str = "cc";
/// How long each connection to the service may take.
const LIMIT: Duration = Duration::from_secs(5);
/// Largest unit or drop-in that is read.
const TEXT: u64 = 1 << 20;
/// Rules of `cert check` about where files are. Owners and modes are looked at here.
const PLACES: [&str; 5] = ["file-missing", "path-closed", "file-owner", "key-exposed", "file-mode"];

/// What is asked for.
#[derive(Debug, Default)]
pub struct Options {
    /// Only these requirements, if there are any.
    pub only: Vec<String>,
    /// Not these.
    pub skip: Vec<String>,
    /// Whether to try the default password once, which costs one failed login.
    pub try_default_login: bool,
}

/// What came out.
#[derive(Debug, Clone, Serialize)]
pub struct Audit {
    /// The set of requirements.
    pub profile: &'static str,
    /// The host.
    pub host: String,
    /// When (UTC).
    pub at: String,
    /// Version of this program.
    pub tool: &'static str,
    /// One for each installation.
    pub installations: Vec<Audited>,
}

/// One installation.
#[derive(Debug, Clone, Serialize)]
pub struct Audited {
    /// Which one, in words.
    pub site: String,
    /// The release, as far as it is known.
    pub release: Option<String>,
    /// The pinned signers: fingerprint and name.
    pub signers: Vec<String>,
    /// The requirements, in the order of the guide.
    pub findings: Vec<Finding>,
}

impl Audit {
    /// How many requirements had this outcome.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        let all = self.installations.iter().flat_map(|one| &one.findings);
        all.filter(|finding| finding.outcome == outcome).count()
    }
}

/// Audits every installation of the host.
///
/// # Errors
/// When nothing is installed, a run is at work or was cut off, or this user may not look there.
pub fn audit(session: &Session, options: &Options) -> Result<Audit> {
    let chosen = |id: &str| {
        let named = |ids: &[String]| ids.iter().any(|one| one == id);
        (options.only.is_empty() || named(&options.only)) && !named(&options.skip)
    };
    let mut installations = Vec::new();
    for site in session.sites()? {
        let session = session.telling(session.sink).about(site);
        let receipt = session.receipt()?;
        if receipt.is_none() && !upgrade::is_adoptable(&session) {
            continue;
        }
        session.require_settled()?;
        let evidence = gather(&session, receipt.as_ref(), options)?;
        installations.push(Audited {
            site: session.site.to_string(),
            release: receipt.as_ref().map(Receipt::release),
            signers: receipt.iter().flat_map(signers).collect(),
            findings: audit::judge(&evidence, &chosen),
        });
    }
    if installations.is_empty() {
        return Err(session.missing());
    }
    let at = session.now.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    Ok(Audit {
        profile: PROFILE,
        host: host_name(session),
        at,
        tool: env!("CARGO_PKG_VERSION"),
        installations,
    })
}

fn signers(receipt: &Receipt) -> Vec<String> {
    receipt.signers.iter().map(|signer| format!("{} {}", signer.fingerprint, signer.user_id)).collect()
}

fn host_name(session: &Session) -> String {
    if session.is_live() {
        return sys::env::hostname();
    }
    let named = text_in(session, "/etc/hostname").unwrap_or_default().trim().to_owned();
    if named.is_empty() { session.root.display().to_string() } else { named }
}

/// Whoever is not there, such as a service that is stopped, is no error: it is told why something is not known.
fn seen<T>(result: Result<T>) -> Seen<T> {
    result.map_err(|error| error_chain(&*error))
}

fn gather(session: &Session, receipt: Option<&Receipt>, options: &Options) -> Result<Evidence> {
    let site = &session.site;
    let Configuration { read, secret, ambiguous } = configuration(session)?;
    let config_problem = read.as_ref().err().cloned();
    let unread = format!("{} cannot be read as JSON, so its values are not known", site.config_file());
    let (values, policy) = match read {
        Ok((values, policy)) => (Ok(values), Ok(policy)),
        Err(_) => (Err(unread.clone()), Err(unread)),
    };
    let certificates = seen(pairs(session));
    let owners = receipt.is_none_or(|receipt| receipt.owners);
    let service = Accounts::look_up(&session.root, product::SERVICE_USER)?.ids().filter(|_| owners);
    // on the running system, what was installed for an account that is gone belongs to whoever gets its number next
    let owners = service.is_some() || (owners && receipt.is_some() && session.is_live());
    let files = seen(files(session, (owners, service), secret, &certificates));
    let running = running(session);
    let port = install::configured_port(session).or(receipt.map(|receipt| receipt.port));
    let port = port.filter(|_| site.is_server());
    let handshake = match (&running, port) {
        (Err(why), _) => Err(why.clone()),
        (Ok(()), None) => Err("no port of it is known".to_owned()),
        (Ok(()), Some(port)) => handshake(port),
    };
    let login = (options.try_default_login && site.is_server()).then(|| match (&running, port) {
        (Err(why), _) => audit::Login::Unclear(why.clone()),
        (Ok(()), port) => login(port.unwrap_or(crate::prompt::DEFAULT_PORT)),
    });
    let (signature, comparison) = signed(session, receipt);
    Ok(Evidence {
        site: site.clone(),
        system: system(session),
        record: receipt.map(record),
        signature,
        artefact: artefact(session, receipt),
        comparison,
        runs: running.is_ok(),
        log: seen(facts::facts(session, None)).map(|told| told.facts),
        config_path: site.config_file(),
        values,
        policy,
        config_problem,
        ambiguous,
        files,
        certificates: certificates.map(|all| all.into_iter().map(|pair| pair.1).collect()),
        one_time: one_time(session),
        unit: unit(session),
        handshake,
        login,
    })
}

fn record(receipt: &Receipt) -> Record {
    Record {
        release: receipt.release(),
        version: receipt.version,
        signers: receipt.signers.iter().map(|signer| signer.fingerprint.to_string()).collect(),
        admin_name: receipt.admin_name.clone(),
        installed_at: receipt.installed_at.strftime("%Y-%m-%d").to_string(),
    }
}

/// The recorded signatures judged anew, and what is installed compared with what they vouch for.
fn signed(session: &Session, receipt: Option<&Receipt>) -> (Seen<Signature>, Seen<Comparison>) {
    if receipt.is_none() {
        let why = "this program has no record of what was installed".to_owned();
        return (Err(why.clone()), Err(why));
    }
    let report = match seen(verify::installed(session)) {
        Ok(report) => report,
        Err(why) => return (Err(why.clone()), Err(why)),
    };
    let judgement = &report.judgement;
    let signature = Signature {
        accepted: judgement.accepted,
        reason: judgement.reason.clone(),
        signers: judgement.signers.iter().map(|signer| signer.fingerprint.to_string()).collect(),
    };
    let comparison = match report.problem {
        Some(why) => Err(format!("nothing was compared: {why}")),
        None => Ok(Comparison {
            compared: report.compared,
            drift: report.drift.iter().map(|drift| format!("{}: {}", drift.path, drift.what)).collect(),
        }),
    };
    (Ok(signature), comparison)
}

fn artefact(session: &Session, receipt: Option<&Receipt>) -> Seen<Artefact> {
    let installed = receipt.ok_or("this program has no record of what was installed")?.manifest;
    let (manifest, _) = apply::kept_bytes(&session.root, &session.site).map_err(|e| error_chain(&e))?;
    Ok(Artefact { recorded: Digest::of(&manifest), installed })
}

type Values = (BTreeMap<&'static str, serde_json::Value>, Vec<policy::Line>);

/// What was seen of a configuration.
struct Configuration {
    /// The values that count and the password policy, or why there are none.
    read: Seen<Values>,
    /// Whether it holds a passphrase.
    secret: bool,
    /// Keys of which it says two things.
    ambiguous: Vec<(String, String)>,
}

/// Rules of `config check` that are broken where a key has two values.
const AMBIGUOUS: [&str; 2] = ["key-twice", "spellings-differ"];

fn configuration(session: &Session) -> Result<Configuration> {
    let text = match read_in(session, &session.site.config_file()) {
        Err(e) if e.is_not_found() => Zeroizing::new("{}".to_owned()),
        other => Zeroizing::new(String::from_utf8_lossy(&other?).into_owned()),
    };
    let holds = |key: &str| config::text(&text, key).is_some();
    let secret = holds("security.keypass") || holds("security.certificate.client.keypass");
    let found = lint::lint(text.as_bytes(), session.site.role(), &lint::Host::default());
    let twice = found.into_iter().filter(|finding| AMBIGUOUS.contains(&finding.id));
    let ambiguous = twice.filter_map(|finding| Some((finding.key?, finding.what))).collect();
    Ok(Configuration { read: values(&text).map_err(|e| error_chain(&e)), secret, ambiguous })
}

fn values(text: &str) -> config::Result<Values> {
    let mut values = BTreeMap::new();
    for key in audit::KEYS {
        if let Some(value) = config::value(text, key)? {
            values.insert(key, config::masked_value(key, &value).unwrap_or(value));
        }
    }
    Ok((values, policy::lines(text)?))
}

/// The pairs that are installed, each with what `cert check` says of it.
fn pairs(session: &Session) -> Result<Vec<(Checked, Certificates)>> {
    let trusted: Option<HashSet<Digest>> =
        check::anchors(session).map(|all| all.iter().map(Certificate::sha256).collect());
    let sets = check::installed(session, &Asked::default())?;
    let judged = sets.into_iter().map(|set| check::judge(session, set, None));
    let with_summary = |checked: Checked| {
        let summary = certificates(&checked, trusted.as_ref());
        (checked, summary)
    };
    Ok(judged.map(with_summary).collect())
}

fn certificates(checked: &Checked, trusted: Option<&HashSet<Digest>>) -> Certificates {
    let all: Vec<&Certificate> = checked.files.iter().flat_map(|file| &file.certificates).collect();
    let broken = |severity: Severity| {
        let found = checked.findings.iter().filter(|finding| finding.severity == severity);
        let found = found.filter(|finding| !PLACES.contains(&finding.id));
        found.map(|finding| format!("{}: {}: {}", finding.id, finding.subject, finding.what)).collect()
    };
    let places = checked.findings.iter().filter(|found| matches!(found.id, "file-missing" | "path-closed"));
    let authorities = all.iter().filter(|certificate| certificate.is_ca());
    Certificates {
        title: checked.title.clone(),
        files: checked.files.iter().map(|file| file.file.clone()).collect(),
        unread: checked.unread.clone(),
        seen: all.iter().map(|certificate| line(certificate)).collect(),
        leaf: all.first().map(|certificate| certificate.sha256()),
        served: checked.role == Role::Server,
        errors: broken(Severity::Error),
        warnings: broken(Severity::Warning),
        places: places.map(|finding| format!("{}: {}", finding.file, finding.what)).collect(),
        authorities: match trusted {
            None => Err("no trust store of the host can be read".to_owned()),
            Some(trusted) => Ok(authorities.map(|ca| (ca.title(), trusted.contains(&ca.sha256()))).collect()),
        },
    }
}

fn line(certificate: &Certificate) -> String {
    let names: Vec<String> = certificate.names.iter().map(ToString::to_string).collect();
    let names = if names.is_empty() { "no names".to_owned() } else { names.join(", ") };
    let until = certificate.not_after.strftime("%Y-%m-%d");
    format!("{} ({names}), {}, until {until}", certificate.title(), certificate.key)
}

/// Files and directories whose modes count, and with `owners` also those.
fn files(
    session: &Session,
    (owners, service): (bool, Option<Ids>),
    secret: bool,
    pairs: &Seen<Vec<(Checked, Certificates)>>,
) -> Result<Vec<WatchedFile>> {
    let site = &session.site;
    let mut wanted = vec![(site.config_file(), Kept::Configuration(secret))];
    wanted.extend([site.data_dir(), site.log_dir()].map(|path| (path, Kept::Directory)));
    let pairs = pairs.as_ref().map(Vec::as_slice).unwrap_or_default();
    let files = pairs.iter().flat_map(|(checked, _)| &checked.files);
    wanted.extend(files.map(|file| (file.file.clone(), Kept::Pair)));
    let mut found = Vec::new();
    for (path, kept) in wanted {
        let place = under(&session.root, &path);
        let place = if session.is_live() { sys::fs::canonical(&place).unwrap_or(place) } else { place };
        let Some(stat) = sys::fs::stat(&place)? else { continue };
        let foreign =
            |id: u32, service: Option<u32>| owners && service != Some(id) && (kept == Kept::Pair || id != 0);
        found.push(WatchedFile {
            path,
            kept,
            mode: stat.mode,
            owner: host::owner(&session.root, stat.ids),
            foreign_owner: foreign(stat.ids.uid, service.map(|service| service.uid)),
            foreign_group: foreign(stat.ids.gid, service.map(|service| service.gid)),
        });
    }
    Ok(found)
}

/// The place that the configuration names, and the usual one, which may hold what was put there before.
fn one_time(session: &Session) -> Option<Vec<(String, bool)>> {
    let named = session.site.is_server().then(|| apply::one_time_file(&session.root, &session.site))?;
    let usual = Some(product::ONE_TIME_FILE.to_owned()).filter(|usual| *usual != named);
    let looked_at = |path: String| {
        let there = sys::fs::exists(&under(&session.root, &path));
        (path, there)
    };
    Some(std::iter::once(named).chain(usual).map(looked_at).collect())
}

fn text_in(session: &Session, path: &str) -> Option<String> {
    let bytes = match session.is_live() {
        true => sys::fs::read_limited(Path::new(path), TEXT),
        false => sys::fs::read_beneath(&session.root, path, TEXT),
    };
    Some(String::from_utf8_lossy(&bytes.ok()?).into_owned())
}

fn system(session: &Session) -> Option<System> {
    let os = super::preflight::os(session)?;
    Some(System { id: os.id, version: os.version, name: os.name })
}

/// Whether the service runs here, or why it cannot be asked.
fn running(session: &Session) -> Seen<()> {
    if !session.is_live() {
        return Err(format!("{} is not the running system", session.root.display()));
    }
    if !host::facts().systemd {
        return Err("systemd does not run here".to_owned());
    }
    let unit = session.site.unit();
    match service::state(&unit) {
        Err(error) => Err(error_chain(&error)),
        Ok(state) if !state.is_active() => Err(format!("{unit} does not run ({})", state.active)),
        Ok(_) => Ok(()),
    }
}

/// The properties of the unit: systemd's own account of it where it runs, else what its files say.
fn unit(session: &Session) -> Seen<(String, BTreeMap<String, String>)> {
    let unit = session.site.unit();
    if session.is_live() && host::facts().systemd {
        let found = service::properties(&unit, &audit::PROPERTIES).map_err(|e| error_chain(&e))?;
        return found.map(|found| (unit.clone(), found)).ok_or_else(|| format!("systemd has no {unit}"));
    }
    let dirs = [UnitDir::Packages, UnitDir::Host].map(UnitDir::path);
    let read = |path: String| text_in(session, &path).map(|text| (path, text));
    let own = dirs.iter().rev().find_map(|dir| read(format!("{dir}/{unit}")));
    let Some((path, text)) = own else { return Err(format!("there is no {unit}")) };
    let mut drop_ins = BTreeMap::new();
    for dir in dirs {
        let dir = format!("{dir}/{unit}.d");
        let names = Dir::open_in(&session.root, &dir).and_then(|dir| dir.names()).unwrap_or_default();
        for name in names.into_iter().filter(|name| name.ends_with(".conf")) {
            if let Some((_, text)) = read(format!("{dir}/{name}")) {
                drop_ins.insert(name, text); // one of the host's goes before a package's of the same name
            }
        }
    }
    let texts: Vec<String> = std::iter::once(text).chain(drop_ins.into_values()).collect();
    Ok((path, audit::effective(&texts)))
}

/// What the service shows on this host. Its certificate is judged elsewhere.
fn handshake(port: u16) -> Seen<Handshake> {
    let request = probe::Request {
        host: Host::Address(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        port,
        server_name: None,
        view: View::Browser,
        anchors: &[],
        client: None,
        revocation: Policy::Off,
        via: None,
        limit: LIMIT,
    };
    let report = probe::probe(&request).map_err(|e| error_chain(&e))?;
    let spoken = report.versions.iter().filter(|offer| offer.offered);
    let (new, old): (Vec<_>, Vec<_>) =
        spoken.partition(|offer| matches!(offer.version, Protocol::Tls12 | Protocol::Tls13));
    Ok(Handshake {
        port,
        versions: new.iter().map(|offer| (offer.version.to_string(), offer.cipher.clone())).collect(),
        old: old.iter().map(|offer| offer.version.to_string()).collect(),
        leaf: report.chain.first().map(|served| served.sha256),
    })
}

/// Tries the name and password that the vendor's installer sets with `-y`. Only 401 is a refusal: other answers may
/// mean something else.
fn login(port: u16) -> audit::Login {
    match service::login(port, "admin", "admin") {
        Ok(401) => audit::Login::Refused(401),
        Ok(status @ 200..=299) => audit::Login::Accepted(status),
        Ok(status) => audit::Login::Unclear(format!("it answers with HTTP {status}")),
        Err(why) => audit::Login::Unclear(why),
    }
}
