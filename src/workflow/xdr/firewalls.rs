//! What the firewalls of the running system say of themselves.

use std::path::Path;
use std::time::Duration;

use crate::preflight::xdr::firewall::{Firewalld, Seen, Ufw};
use crate::sys::process::{self, Tool};
use crate::sys::{self, net};
use crate::types::error_chain;

/// How long each tool may take.
const LIMIT: Duration = Duration::from_secs(15);
/// Where firewalld describes services, the administrator's first (firewalld.service(5)).
const SERVICES: [&str; 2] = ["/etc/firewalld/services", "/usr/lib/firewalld/services"];
/// Where applications tell ufw their ports.
const APPLICATIONS: &str = "/etc/ufw/applications.d";
/// Tables of iptables of the old kind that are in use.
const LEGACY: &str = "/proc/net/ip_tables_names";
/// Largest file that is read.
const FILE: u64 = 1 << 20;

/// Asks those that are here.
///
/// # Errors
/// With why nothing can be seen.
pub(super) fn look() -> Result<Seen, String> {
    let absent: Vec<&'static str> = ["nft", "iptables", "firewall-cmd", "ufw"]
        .into_iter()
        .filter(|name| process::find(name).is_none())
        .collect();
    let is_here = |name: &str| !absent.contains(&name);
    if absent.len() < 4 && !sys::env::is_root() {
        return Err("only root sees the rules of firewalls".to_owned());
    }
    let nft = is_here("nft").then(|| run("nft", &["-j", "list", "ruleset"]));
    let firewalld = if is_here("firewall-cmd") { firewalld() } else { None };
    let ufw = if is_here("ufw") { ufw() } else { None };
    let has_ipv6 = net::own_addresses().iter().any(std::net::IpAddr::is_ipv6);
    Ok(Seen { absent, nft, firewalld, ufw, has_legacy: has_legacy(), has_ipv6 })
}

/// What a tool writes.
fn run(name: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Tool::system(name).and_then(|tool| tool.args(arguments).timeout(LIMIT).check());
    output.map(|output| output.text()).map_err(|error| error_chain(&error))
}

fn firewalld() -> Option<Result<Firewalld, String>> {
    let state = run("firewall-cmd", &["--state"]).unwrap_or_default();
    if state.trim() != "running" {
        return None;
    }
    let ask = || {
        let zones = run("firewall-cmd", &["--list-all-zones"])?;
        let default_zone = run("firewall-cmd", &["--get-default-zone"])?;
        let named = zones.lines().filter_map(|line| line.trim().strip_prefix("services:"));
        let mut names: Vec<&str> = named.flat_map(str::split_whitespace).collect();
        names.sort_unstable();
        names.dedup();
        let read = |name: &str| {
            let file = |dir: &&str| sys::fs::read_limited(Path::new(&format!("{dir}/{name}.xml")), FILE).ok();
            SERVICES.iter().find_map(file).map(|text| String::from_utf8_lossy(&text).into_owned())
        };
        let safe = |name: &&str| !name.contains('/');
        let services = names.into_iter().filter(safe);
        let services = services.map(|name| (name.to_owned(), read(name).unwrap_or_default())).collect();
        Ok(Firewalld { zones, default_zone, services })
    };
    Some(ask())
}

fn ufw() -> Option<Result<Ufw, String>> {
    let status = match run("ufw", &["status", "verbose"]) {
        Ok(status) if status.lines().any(|line| line == "Status: active") => status,
        Ok(_) => return None,
        Err(why) => return Some(Err(why)),
    };
    let names = sys::fs::list(Path::new(APPLICATIONS)).unwrap_or_default();
    let texts =
        names.iter().filter_map(|name| sys::fs::read_limited(&Path::new(APPLICATIONS).join(name), FILE).ok());
    let applications = texts.map(|text| String::from_utf8_lossy(&text).into_owned() + "\n").collect();
    Some(Ok(Ufw { status, applications }))
}

/// Whether there are rules that only the old iptables shows. Its empty tables do nothing.
fn has_legacy() -> bool {
    let tables = sys::fs::read_limited(Path::new(LEGACY), FILE).unwrap_or_default();
    if tables.trim_ascii().is_empty() {
        return false;
    }
    run("iptables-legacy", &["-S", "INPUT"]).map_or(true, |rules| rules.trim() != "-P INPUT ACCEPT")
}
