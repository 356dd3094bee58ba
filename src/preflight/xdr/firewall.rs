//! What the firewalls of a host do with the port of peer-to-peer content updates: nftables, firewalld, ufw.

use super::nft::{Fate, Ip, Packet, Ruleset};
use super::{Facts, Protocol};
use crate::preflight::Verdict;

/// What they do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passage {
    /// There is none that does anything, and what was looked for.
    NoFirewall(String),
    /// Peers come through, and who says so.
    Open(String),
    /// They do not: by whom, and what helps.
    Blocked(String, Option<String>),
    /// It cannot be told: why, and where to look.
    Undecided(String, String),
    /// It was not looked at, and why.
    NotLooked(String),
}

/// What was seen of a host's firewalls.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Programs that were looked for in vain.
    pub absent: Vec<&'static str>,
    /// What `nft -j list ruleset` says, or why it says nothing.
    pub nft: Option<Result<String, String>>,
    /// What firewalld says, where it runs.
    pub firewalld: Option<Result<Firewalld, String>>,
    /// What ufw says, where it is active.
    pub ufw: Option<Result<Ufw, String>>,
    /// Whether iptables has rules of the old kind, which nft does not show.
    pub has_legacy: bool,
    /// Whether others reach this host over IPv6.
    pub has_ipv6: bool,
}

/// What firewalld says.
#[derive(Debug, Clone, Default)]
pub struct Firewalld {
    /// `firewall-cmd --list-all-zones`.
    pub zones: String,
    /// `firewall-cmd --get-default-zone`.
    pub default_zone: String,
    /// The services that zones name, with the text of their files (firewalld.service(5)).
    pub services: Vec<(String, String)>,
}

/// What ufw says.
#[derive(Debug, Clone, Default)]
pub struct Ufw {
    /// `ufw status verbose`.
    pub status: String,
    /// The texts of `/etc/ufw/applications.d`.
    pub applications: String,
}

const LOOK: &str = "look at `nft list ruleset`";

/// Judges what was seen of the firewalls.
pub(super) fn judge(protocol: Protocol, facts: &Facts) -> Verdict {
    match facts.passage(protocol) {
        Passage::NotLooked(why) => Verdict::skipped(why),
        Passage::NoFirewall(looked) => Verdict::pass(format!("no firewall found (looked for {looked})")),
        Passage::Open(who) => Verdict::pass(who),
        Passage::Blocked(who, fix) => match fix {
            Some(fix) => Verdict::fail(who).mended_by(fix),
            None => Verdict::fail(who),
        },
        Passage::Undecided(why, look) => {
            Verdict::warn(format!("could not be decided: {why}")).mended_by(look)
        }
    }
}

/// What the firewalls do with packets to that port: the strictest of them counts.
#[must_use]
pub fn passage(seen: &Seen, protocol: Protocol, port: u16) -> Passage {
    let all = [
        seen.firewalld.as_ref().map(|said| of_firewalld(said, protocol, port)),
        seen.ufw.as_ref().map(|said| of_ufw(said, protocol, port)),
        seen.nft.as_ref().and_then(|said| of_nft(seen, said, protocol, port)),
        seen.has_legacy.then(|| {
            let why = "iptables has rules of the old kind, which are not looked into here";
            Passage::Undecided(why.to_owned(), "look at `iptables-legacy -S INPUT`".to_owned())
        }),
        (seen.nft.is_none() && !seen.absent.contains(&"iptables")).then(|| {
            let why = "nft is not installed, which shows the rules of the kernel";
            Passage::Undecided(why.to_owned(), "look at `iptables -S INPUT`, or install nftables".to_owned())
        }),
    ];
    let mut all: Vec<Passage> = all.into_iter().flatten().collect();
    all.sort_by_key(|one| match one {
        Passage::Blocked(..) => 0,
        Passage::Undecided(..) => 1,
        _ => 2,
    });
    let open: Vec<String> = all
        .iter()
        .filter_map(|one| if let Passage::Open(who) = one { Some(who.clone()) } else { None })
        .collect();
    match all.into_iter().next() {
        Some(Passage::Open(_)) => Passage::Open(open.join("; ")),
        Some(other) => other,
        None => Passage::NoFirewall(looked(seen)),
    }
}

fn looked(seen: &Seen) -> String {
    let names = ["nft", "iptables", "firewall-cmd", "ufw"].map(|name| {
        if seen.absent.contains(&name) {
            format!("{name}: not installed")
        } else {
            format!("{name}: no rules")
        }
    });
    names.join(", ")
}

/// The rules that are nobody's of those who are asked themselves. Nothing where there are none.
fn of_nft(seen: &Seen, said: &Result<String, String>, protocol: Protocol, port: u16) -> Option<Passage> {
    let undecided = |why: String| Some(Passage::Undecided(why, LOOK.to_owned()));
    let ruleset = match said {
        Ok(json) => match Ruleset::parse(json) {
            Some(ruleset) => ruleset,
            None => return undecided("nft writes something that cannot be read".to_owned()),
        },
        Err(why) => return undecided(why.clone()),
    };
    let (firewalld, ufw) = (seen.firewalld.is_some(), seen.ufw.is_some());
    let ruleset = ruleset.without(|table, chain| {
        firewalld && table == "firewalld" || ufw && (chain.starts_with("ufw-") || chain.starts_with("ufw6-"))
    });
    let judge = |ip| ruleset.judge(Packet { protocol, port, ip });
    let fates = if seen.has_ipv6 { vec![judge(Ip::V4), judge(Ip::V6)] } else { vec![judge(Ip::V4)] };
    let fix = format!(
        "`nft add rule FAMILY TABLE CHAIN {} dport {port} accept`, in front of what drops it",
        protocol.name()
    );
    match fates.as_slice() {
        [Fate::Dropped(by), ..] => {
            Some(Passage::Blocked(format!("{protocol} port {port}: {by} drops it"), Some(fix)))
        }
        [_, Fate::Dropped(by)] => Some(Passage::Undecided(
            format!("over IPv6 {by} drops it, over IPv4 it is let through"),
            LOOK.to_owned(),
        )),
        [Fate::Unclear(why), ..] | [_, Fate::Unclear(why)] => undecided(why.clone()),
        [Fate::Accepted(by), ..] | [_, Fate::Accepted(by)] => {
            Some(Passage::Open(format!("nftables lets it through ({by})")))
        }
        _ => None,
    }
}

/// Whether a range of ports such as `33221`, `33000-34000` or `33000:34000` has the port in it.
fn covers(range: &str, port: u16) -> bool {
    match range.split_once(['-', ':']) {
        Some((from, to)) => match (from.parse::<u16>(), to.parse::<u16>()) {
            (Ok(from), Ok(to)) => (from..=to).contains(&port),
            _ => false,
        },
        None => range.parse() == Ok(port),
    }
}

/// Whether `PORTS/PROTOCOL` is about the port; both protocols are meant when none is named.
fn is_about(spec: &str, protocol: Protocol, port: u16) -> bool {
    let (ports, of) = spec.split_once('/').unwrap_or((spec, ""));
    (of.is_empty() || of == protocol.name()) && ports.split(',').any(|range| covers(range, port))
}

struct Zone<'a> {
    name: &'a str,
    active: bool,
    lines: Vec<(&'a str, &'a str)>,
    rich: Vec<&'a str>,
}

fn zones(text: &str) -> Vec<Zone<'_>> {
    let mut found: Vec<Zone<'_>> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if !line.starts_with([' ', '\t']) {
            let (name, marks) = line.split_once(' ').unwrap_or((line, ""));
            found.push(Zone { name, active: marks.contains("active"), lines: Vec::new(), rich: Vec::new() });
        } else if let Some(zone) = found.last_mut() {
            match line.trim().split_once(':') {
                Some((key, value)) if !line.trim().starts_with("rule ") => {
                    zone.lines.push((key, value.trim()))
                }
                _ => zone.rich.push(line.trim()),
            }
        }
    }
    found
}

impl Zone<'_> {
    fn value(&self, key: &str) -> &str {
        self.lines.iter().find(|(name, _)| *name == key).map_or("", |(_, value)| value)
    }

    /// Whether it lets packets to the port in; nothing where that depends.
    fn lets_in(&self, said: &Firewalld, protocol: Protocol, port: u16) -> Option<bool> {
        let port_text = port.to_string();
        if self.rich.iter().any(|rule| rule.contains(&port_text) || !rule.contains(" port ")) {
            return None;
        }
        let served = self.value("services").split_whitespace().any(|service| {
            let file = said.services.iter().find(|(name, _)| name == service);
            file.is_some_and(|(_, text)| serves(text, protocol, port))
        });
        let listed = self.value("ports").split_whitespace().any(|spec| is_about(spec, protocol, port));
        Some(self.value("target") == "ACCEPT" || served || listed)
    }
}

/// Whether the file of a service has the port: `<port protocol="tcp" port="22"/>`.
fn serves(xml: &str, protocol: Protocol, port: u16) -> bool {
    let value = |tag: &str, name: &str| {
        let rest = tag.split_once(&format!(" {name}=")).map(|(_, rest)| rest.trim_start_matches(['"', '\'']));
        rest.and_then(|rest| rest.split(['"', '\'']).next()).unwrap_or_default().to_owned()
    };
    let tags = xml.split('<').filter(|tag| tag.starts_with("port "));
    tags.into_iter().any(|tag| value(tag, "protocol") == protocol.name() && covers(&value(tag, "port"), port))
}

fn of_firewalld(said: &Result<Firewalld, String>, protocol: Protocol, port: u16) -> Passage {
    let undecided =
        |why: String| Passage::Undecided(why, "look at `firewall-cmd --list-all-zones`".to_owned());
    let said = match said {
        Ok(said) => said,
        Err(why) => return undecided(why.clone()),
    };
    let all = zones(&said.zones);
    let mut used: Vec<&Zone<'_>> = all.iter().filter(|zone| zone.active).collect();
    if used.is_empty() {
        used = all.iter().filter(|zone| zone.name == said.default_zone.trim()).collect();
    }
    let names = |zones: &[&Zone<'_>]| zones.iter().map(|zone| zone.name).collect::<Vec<_>>().join(", ");
    let verdicts: Vec<Option<bool>> = used.iter().map(|zone| zone.lets_in(said, protocol, port)).collect();
    if verdicts.is_empty() || verdicts.contains(&None) {
        return undecided(format!("the rules of firewalld's zones {} leave it open", names(&used)));
    }
    let closed: Vec<&Zone<'_>> =
        used.iter().zip(&verdicts).filter(|(_, open)| **open != Some(true)).map(|(zone, _)| *zone).collect();
    if closed.is_empty() {
        return Passage::Open(format!("firewalld lets it through (zones {})", names(&used)));
    }
    if closed.len() < used.len() {
        return undecided(format!(
            "firewalld's zones {} block it, others of {} do not",
            names(&closed),
            names(&used)
        ));
    }
    let zone = closed.first().map(|zone| zone.name).unwrap_or_default();
    let fix = format!(
        "`firewall-cmd --permanent --zone={zone} --add-port={port}/{}`, then `firewall-cmd --reload`",
        protocol.name()
    );
    Passage::Blocked(format!("firewalld blocks {protocol} port {port} (zones {})", names(&closed)), Some(fix))
}

fn of_ufw(said: &Result<Ufw, String>, protocol: Protocol, port: u16) -> Passage {
    let undecided = |why: String| Passage::Undecided(why, "look at `ufw status verbose`".to_owned());
    let said = match said {
        Ok(said) => said,
        Err(why) => return undecided(why.clone()),
    };
    for line in said.status.lines() {
        let columns: Vec<&str> =
            line.split("  ").map(str::trim).filter(|column| !column.is_empty()).collect();
        let [to, action, from, ..] = columns.as_slice() else { continue };
        if to.contains("(v6)") || action.ends_with("OUT") || action.ends_with("FWD") {
            continue;
        }
        let Some(lets) = action.split(' ').next().and_then(lets) else { continue };
        let words: Vec<&str> = to.split(' ').collect();
        let spec =
            words.iter().find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && !word.contains('.'));
        let about = match spec {
            Some(spec) => is_about(spec, protocol, port),
            None if *to == "Anywhere" => true,
            None => application(&said.applications, to)
                .is_some_and(|ports| ports.split('|').any(|spec| is_about(spec.trim(), protocol, port))),
        };
        let limited = *from != "Anywhere" || words.len() > 1 && spec.is_some();
        match (about, limited, lets) {
            (false, ..) => {}
            (true, true, _) => {
                return undecided(format!("ufw has a rule for some peers only: {to} {action} {from}"));
            }
            (true, false, true) => {
                return Passage::Open(format!("ufw lets it through ({to} {action} {from})"));
            }
            (true, false, false) => return blocked_by_ufw(&format!("{to} {action} {from}"), protocol, port),
        }
    }
    let default = said.status.lines().find_map(|line| line.strip_prefix("Default: ")).unwrap_or_default();
    match default.split_once(" (incoming)").and_then(|(word, _)| lets(&word.to_ascii_uppercase())) {
        Some(true) => Passage::Open("ufw lets everything through that it has no rule for".to_owned()),
        Some(false) => blocked_by_ufw("it has no rule for it", protocol, port),
        None => undecided("ufw says nothing of what it does without a rule".to_owned()),
    }
}

/// What a word of ufw does.
fn lets(word: &str) -> Option<bool> {
    match word {
        "ALLOW" | "LIMIT" => Some(true),
        "DENY" | "REJECT" => Some(false),
        _ => None,
    }
}

fn blocked_by_ufw(why: &str, protocol: Protocol, port: u16) -> Passage {
    let fix = format!("`ufw allow {port}/{}`", protocol.name());
    Passage::Blocked(format!("ufw blocks {protocol} port {port}: {why}"), Some(fix))
}

/// The ports of an application (ufw(8), APPLICATION INTEGRATION).
fn application<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let head = format!("[{name}]");
    let lines = text.lines().skip_while(|line| line.trim() != head).skip(1);
    lines.take_while(|line| !line.starts_with('[')).find_map(|line| line.strip_prefix("ports="))
}
