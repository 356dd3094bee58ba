//! Goes to servers, at most a few at once.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use zeroize::Zeroizing;

use super::{Error, LIMIT, Options, Session, Trust, Way};
use crate::certs::check::Severity;
use crate::certs::look::Certificate;
use crate::preflight::assignments;
use crate::preflight::xdr::anchors;
use crate::preflight::xdr::endpoint::{Attempt, End, Endpoint, Shown};
use crate::probe::{self, Finding, Policy, Proxy, Reached, Request, Row, Target, View};
use crate::product::under;
use crate::sys::http::NoTunnel;
use crate::sys::tcp::Unreachable;
use crate::sys::{self, parallel};
use crate::types::error_chain;

/// How many servers are asked at once.
const AT_ONCE: usize = 8;
/// How many servers are asked at most: the vendor's list has some dozens.
const MOST: usize = 1000;

/// All servers that were given, each once.
pub(super) fn listed(options: &Options) -> Result<Vec<Target>> {
    let mut all = options.servers.clone();
    for file in &options.lists {
        let text = sys::fs::read_limited(file, LIMIT)?;
        for (number, line) in (1..).zip(String::from_utf8_lossy(&text).lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                let wrong = |why| Error::List { file: file.clone(), line: number, why };
                all.push(line.parse().map_err(wrong)?);
            }
        }
    }
    let mut once = HashSet::new();
    all.retain(|target| once.insert(target.clone()));
    if all.len() > MOST {
        return Err(Error::TooMany { number: all.len(), most: MOST }.into());
    }
    Ok(all)
}

/// The `no_proxy` that counts, and the proxy that is used.
pub(super) fn way(session: &Session, options: &Options) -> Result<(String, Option<Proxy>)> {
    match &options.way {
        Way::Direct => Ok((String::new(), None)),
        Way::Through(Proxy { host, port, credentials }) => {
            let (host, credentials) = (host.clone(), credentials.clone());
            Ok((String::new(), Some(Proxy { host, port: *port, credentials })))
        }
        Way::AsEnvironment(credentials) => {
            let text =
                sys::fs::read_limited(&under(&session.root, "/etc/environment"), LIMIT).unwrap_or_default();
            let mut set = assignments(&String::from_utf8_lossy(&text));
            let url = set.remove("https_proxy").filter(|url| !url.is_empty()).map(Zeroizing::new);
            let mut proxy = url.map(|url| Proxy::parse(&url)).transpose().map_err(Error::Environment)?;
            match (&mut proxy, credentials) {
                (Some(proxy), Some(credentials)) => proxy.credentials = Some(credentials.clone()),
                (None, Some(_)) => return Err(Error::NoProxy.into()),
                _ => {}
            }
            Ok((set.remove("no_proxy").unwrap_or_default(), proxy))
        }
    }
}

/// Asks all of them.
pub(super) fn ask(
    (servers, limit): (&[Target], Duration),
    no_proxy: &str,
    proxy: Option<&Proxy>,
    trust: &Trust<'_>,
) -> Vec<Endpoint> {
    let found: Mutex<Vec<(usize, Endpoint)>> = Mutex::new(Vec::new());
    let work = |(): &mut (), number: usize| -> Result<(), Infallible> {
        if let Some(target) = servers.get(number) {
            let via = proxy.filter(|_| !probe::bypasses(no_proxy, &target.host));
            let endpoint = endpoint(target, limit, via, trust);
            found.lock().unwrap_or_else(PoisonError::into_inner).push((number, endpoint));
        }
        Ok(())
    };
    let Ok(()) = parallel::each(AT_ONCE, servers.len(), || (), work);
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|(number, _)| *number);
    found.into_iter().map(|(_, endpoint)| endpoint).collect()
}

fn endpoint(target: &Target, limit: Duration, via: Option<&Proxy>, trust: &Trust<'_>) -> Endpoint {
    let request = Request {
        host: target.host.clone(),
        port: target.port,
        via,
        server_name: None,
        view: View::Browser,
        anchors: trust.anchors,
        client: None,
        revocation: Policy::Off,
        limit,
    };
    let attempt = match probe::reach(&request) {
        Ok(reached) => Attempt::Shown(shown(&reached, trust)),
        Err(error) => failed(&error),
    };
    Endpoint {
        host: target.host.to_string(),
        port: target.port,
        proxy: via.map(ToString::to_string),
        attempt,
    }
}

fn failed(error: &probe::Error) -> Attempt {
    match error {
        probe::Error::Unreachable(why @ (Unreachable::Name { .. } | Unreachable::NameTimeout(_))) => {
            Attempt::NoAddress(error_chain(why))
        }
        probe::Error::Unreachable(why) => Attempt::NoConnection(error_chain(why)),
        probe::Error::Proxy { why, .. } => {
            let status = if let NoTunnel::Refused(status) = why { Some(*status) } else { None };
            Attempt::NoWay(status, error_chain(why))
        }
        probe::Error::NoTls { why, .. } => Attempt::NoTls(why.clone()),
        other => Attempt::NoTls(error_chain(other)),
    }
}

fn shown(reached: &Reached, trust: &Trust<'_>) -> Shown {
    let errors: Vec<&Finding> =
        reached.findings.iter().filter(|one| one.severity == Severity::Error).collect();
    let is_name =
        |one: &Finding| matches!(one.row, Some(Row::OtherNames | Row::NoNames | Row::LegacyCommonName));
    let is_time = |one: &Finding| one.row == Some(Row::Expired);
    let is_broken = |one: &Finding| one.row == Some(Row::WrongKey) || one.id == "handshake";
    let first = |is: &dyn Fn(&Finding) -> bool| errors.iter().find(|one| is(one)).copied();
    let told = |one: &Finding| format!("{}: {}", one.subject, one.message);
    Shown {
        addresses: reached.addresses.iter().map(|address| address.ip().to_string()).collect(),
        version: reached.version.to_string(),
        subject: reached.chain.first().map(|leaf| leaf.subject.clone()).unwrap_or_default(),
        broken: first(&is_broken).map(told),
        name: first(&is_name).map(told),
        time: first(&is_time).map(told),
        trust: first(&|one| !is_name(one) && !is_time(one) && !is_broken(one))
            .map(|one| format!("{} ({})", one.message, one.cause)),
        end: end(reached, trust),
    }
}

/// Where the way ends. What the vendor asks for and what came with packages is public, whoever else added it.
fn end(reached: &Reached, trust: &Trust<'_>) -> End {
    let Some(last) = &reached.end else { return End::Unknown("nothing that can be read".to_owned()) };
    let Certificate { subject, issuer, .. } = last;
    if !reached.anchored {
        return End::Unknown(issuer.clone());
    }
    let digest = last.sha256();
    let file = trust.added.iter().find(|(_, added)| *added == digest).map(|(file, _)| file.clone());
    if anchors::by_digest(&digest).is_some() {
        End::Vendor(subject.clone())
    } else if trust.public.contains(&digest) || trust.public.is_empty() && file.is_none() {
        End::Public(subject.clone())
    } else {
        End::Added(subject.clone(), file)
    }
}
