//! Access to Cortex XDR: gathers what [`crate::preflight::xdr`] judges.

mod firewalls;
mod servers;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::cert::{check, probe};
use super::{Session, ca};
use crate::certs::authority;
use crate::certs::look::Certificate;
use crate::preflight::xdr::anchors::{CaFile, Held};
use crate::preflight::xdr::firewall::{Passage, passage};
use crate::preflight::xdr::port::{Holder, Port};
use crate::preflight::xdr::{self, Facts, Protocol, endpoint};
use crate::preflight::{self, Chosen, Outcome};
use crate::probe::{NoProxy, Proxy, Target};
use crate::product::under;
use crate::sys::{self, net};
use crate::types::{Digest, Secret};

/// Largest list of names that is read, and largest file of the host.
const LIMIT: u64 = 1 << 20;
/// Largest file of authorities that comes with a host.
const PACKAGE: u64 = 16 << 20;
/// Where Debian's package `ca-certificates` puts Mozilla's set, and its list of files.
const MOZILLA: &str = "/usr/share/ca-certificates/mozilla";
const MOZILLA_LIST: &str = "/var/lib/dpkg/info/ca-certificates.list";
/// Mozilla's set in RHEL's package `ca-certificates`.
const RHEL_BUNDLE: &str = "/usr/share/pki/ca-trust-source/ca-bundle.trust.p11-kit";

/// What is asked for.
#[derive(Debug)]
pub struct Options {
    /// The servers that have to be reached.
    pub servers: Vec<Target>,
    /// Files that list more of them.
    pub lists: Vec<PathBuf>,
    /// How they are reached.
    pub way: Way,
    /// The port of peer-to-peer content updates.
    pub port: u16,
    /// A file that may hold an authority that is missing.
    pub ca_file: Option<PathBuf>,
    /// Which checks.
    pub chosen: Chosen,
    /// How long each connection may take.
    pub limit: Duration,
}

/// How servers are reached.
#[derive(Debug)]
pub enum Way {
    /// Through the proxy that `/etc/environment` names, if it names one, directly otherwise; with other credentials
    /// than it names, if there are some.
    AsEnvironment(Option<Secret>),
    /// Directly, whatever is named there.
    Direct,
    /// Through this proxy.
    Through(Proxy),
}

/// What cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A line of a list is no server.
    #[error("{}, line {line}", file.display())]
    List {
        /// The file.
        file: PathBuf,
        /// The line, from 1 on.
        line: usize,
        /// Why.
        #[source]
        why: crate::probe::NoTarget,
    },
    /// More servers than anybody needs.
    #[error("{number} servers are given; at most {most} are asked")]
    TooMany {
        /// How many.
        number: usize,
        /// How many are asked at most.
        most: usize,
    },
    /// `/etc/environment` names a proxy of another kind.
    #[error("the proxy in /etc/environment cannot be used")]
    Environment(#[source] NoProxy),
    /// There are credentials for a proxy, and no proxy.
    #[error("there are credentials for a proxy, and /etc/environment names no proxy")]
    NoProxy,
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether no check failed.
    pub fit: bool,
    /// The port of peer-to-peer content updates.
    pub port: u16,
    /// The proxy through which servers were asked, without its credentials.
    pub proxy: Option<String>,
    /// Whether it was taken from `/etc/environment`.
    pub proxy_from_environment: bool,
    /// The servers that were asked.
    pub servers: Vec<String>,
    /// What each check said.
    pub checks: Vec<Outcome>,
}

/// Checks a host.
///
/// # Errors
/// When something that was given cannot be read or used.
pub fn check(session: &Session, options: &Options) -> Result<Report> {
    let chosen = &options.chosen;
    let anchors = check::anchors(session);
    let facts = facts(session, options, anchors.as_deref())?;
    let mut checks = preflight::run(xdr::CHECKS, &facts, chosen);
    let servers = servers::listed(options)?;
    let (no_proxy, proxy) = servers::way(session, options)?;
    let store = anchors.unwrap_or_default();
    let trust = Trust { anchors: &store, public: public(session), added: added(session) };
    let is_wanted = endpoint::CHECKS.iter().any(|check| chosen.runs(check.id));
    let asked = if is_wanted { servers.as_slice() } else { &[] };
    let seen = servers::ask((asked, options.limit), &no_proxy, proxy.as_ref(), &trust);
    for endpoint in &seen {
        checks.extend(preflight::run_on(endpoint::CHECKS, &endpoint.to_string(), endpoint, chosen));
    }
    Ok(Report {
        fit: !preflight::is_blocked(&checks),
        port: options.port,
        proxy_from_environment: proxy.is_some() && matches!(options.way, Way::AsEnvironment(_)),
        proxy: proxy.map(|proxy| proxy.to_string()),
        servers: seen.iter().map(ToString::to_string).collect(),
        checks,
    })
}

/// What decides whether an authority is a public one.
struct Trust<'a> {
    /// All that the host trusts.
    anchors: &'a [Certificate],
    /// What came with the host's packages; empty where that is not known.
    public: BTreeSet<Digest>,
    /// What its administrator added: file and fingerprint.
    added: Vec<(String, Digest)>,
}

fn facts(session: &Session, options: &Options, anchors: Option<&[Certificate]>) -> Result<Facts> {
    let held = |one: &Certificate| Held {
        sha256: one.sha256(),
        not_before: one.not_before,
        not_after: one.not_after,
    };
    let elsewhere = || "this is about the running system, and not about one in another root".to_owned();
    let live = session.is_live();
    let port = |protocol| match live {
        true => port(protocol, options.port),
        false => Port::NotLooked(elsewhere()),
    };
    let seen = if live { firewalls::look() } else { Err(elsewhere()) };
    let passage = |protocol| match &seen {
        Ok(seen) => passage(seen, protocol, options.port),
        Err(why) => Passage::NotLooked(why.clone()),
    };
    Ok(Facts {
        now: session.now,
        store: anchors.map(|anchors| anchors.iter().map(held).collect()),
        ca_file: match &options.ca_file {
            Some(file) => Some(ca_file(session, file)?),
            None => None,
        },
        port: options.port,
        tcp: port(Protocol::Tcp),
        udp: port(Protocol::Udp),
        tcp_passage: passage(Protocol::Tcp),
        udp_passage: passage(Protocol::Udp),
    })
}

fn ca_file(session: &Session, file: &Path) -> Result<CaFile> {
    let certificates = probe::authorities(file)?;
    let path = file.display().to_string();
    let root = if session.is_live() { String::new() } else { format!(" --root {}", quoted(&session.root)) };
    Ok(CaFile {
        command: format!("`demisto-install ca add {}{root}`", quoted(file)),
        path,
        certificates: certificates.into_iter().map(|one| (one.sha256(), one.subject)).collect(),
    })
}

/// A path as it is typed in a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:=@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

fn port(protocol: Protocol, port: u16) -> Port {
    let held = match protocol {
        Protocol::Tcp => net::listening_on(port),
        Protocol::Udp => net::receiving_on(port),
    };
    match held {
        None => Port::Free,
        Some(None) => Port::Unseen,
        Some(Some(holder)) => {
            let is_here = holder.program_here().is_some();
            let program = holder.program().map(|path| path.display().to_string());
            Port::Held(Holder { pid: holder.pid, name: holder.name, program, is_here })
        }
    }
}

/// Authorities that came with the host's packages: Mozilla's set, as the package `ca-certificates` has it. A file that
/// somebody put beside it does not count where the package says which are its own.
fn public(session: &Session) -> BTreeSet<Digest> {
    let read = |path: &str, limit| sys::fs::read_limited(&under(&session.root, path), limit);
    if let Ok(bundle) = read(RHEL_BUNDLE, PACKAGE) {
        return authority::digests(&bundle);
    }
    let names = sys::fs::list(&under(&session.root, MOZILLA)).unwrap_or_default();
    let list = read(MOZILLA_LIST, LIMIT).ok().map(|list| String::from_utf8_lossy(&list).into_owned());
    let is_packaged = |path: &String| list.as_ref().is_none_or(|list| list.lines().any(|line| line == path));
    let paths = names.iter().map(|name| format!("{MOZILLA}/{name}")).filter(is_packaged);
    paths.filter_map(|path| read(&path, LIMIT).ok()).flat_map(|bytes| authority::digests(&bytes)).collect()
}

fn added(session: &Session) -> Vec<(String, Digest)> {
    let listed = ca::list(session).map(|listed| listed.authorities).unwrap_or_default();
    listed.into_iter().map(|one| (one.path, one.sha256)).collect()
}
