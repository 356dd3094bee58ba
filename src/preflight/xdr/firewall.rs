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
        (seen.absent.contains(&"nft") && !seen.absent.contains(&"iptables")).then(|| {
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
        if self.rich.iter().any(|rule| may_be_about(rule, protocol, port)) {
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

/// What stands behind `NAME=` in quotes.
fn value<'a>(text: &'a str, name: &str) -> &'a str {
    let rest = text.split_once(&format!(" {name}=")).map(|(_, rest)| rest.trim_start_matches(['"', '\'']));
    rest.and_then(|rest| rest.split(['"', '\'']).next()).unwrap_or_default()
}

/// Whether a rich rule (firewalld.richlanguage(5)) may be about the port: it names the port, or none.
fn may_be_about(rule: &str, protocol: Protocol, port: u16) -> bool {
    let Some((_, element)) = rule.split_once(" port port=") else { return true };
    let element = format!(" port={element}");
    value(&element, "protocol") == protocol.name() && covers(value(&element, "port"), port)
}

/// Whether the file of a service has the port: `<port protocol="tcp" port="22"/>`.
fn serves(xml: &str, protocol: Protocol, port: u16) -> bool {
    let tags = xml.split('<').filter(|tag| tag.starts_with("port "));
    tags.into_iter().any(|tag| value(tag, "protocol") == protocol.name() && covers(value(tag, "port"), port))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What firewalld 1.3 wrote, with two of its zones.
    const ZONES: &str = "block\n  target: %%REJECT%%\n  interfaces: \n  services: \n  ports: \n  rich rules: \n\n\
        public (active)\n  target: default\n  icmp-block-inversion: no\n  interfaces: eth0\n  sources: \n  services: dhcpv6-client ssh\n  \
        ports: \n  protocols: \n  forward: yes\n  rich rules: \n\ntrusted\n  target: ACCEPT\n  interfaces: \n  ports: \n";
    const SSH: &str = "<?xml version=\"1.0\"?>\n<service>\n  <short>SSH</short>\n  <port protocol=\"tcp\" port=\"22\"/>\n</service>\n";
    /// What ufw 0.36 wrote.
    const STATUS: &str = "Status: active\nLogging: on (low)\nDefault: deny (incoming), allow (outgoing), disabled (routed)\nNew profiles: skip\n\n\
        To                         Action      From\n--                         ------      ----\n22                         ALLOW IN    Anywhere                  \n";

    fn zones(text: String) -> Seen {
        let services =
            vec![("ssh".to_owned(), SSH.to_owned()), ("p2p".to_owned(), SSH.replace("22", "33000-34000"))];
        let default_zone = "public\n".to_owned();
        Seen { firewalld: Some(Ok(Firewalld { zones: text, default_zone, services })), ..Seen::default() }
    }

    fn ufw(more: &str) -> Seen {
        let applications =
            "[Apache]\ntitle=Web\nports=80/tcp\n\n[P2P]\ntitle=Updates\nports=53/udp|33221/tcp\n".to_owned();
        Seen { ufw: Some(Ok(Ufw { status: format!("{STATUS}{more}"), applications })), ..Seen::default() }
    }

    fn of(seen: &Seen) -> [char; 2] {
        [Protocol::Tcp, Protocol::Udp].map(|protocol| match passage(seen, protocol, 33221) {
            Passage::NoFirewall(_) => '-',
            Passage::Open(_) => 'o',
            Passage::Blocked(..) => 'b',
            Passage::Undecided(..) => '?',
            Passage::NotLooked(_) => 'n',
        })
    }

    #[test]
    fn zones_of_firewalld() {
        let edited = |from: &str, to: &str| of(&zones(ZONES.replace(from, to)));
        assert_eq!(of(&zones(ZONES.to_owned())), ['b', 'b']);
        assert_eq!(
            edited("  ports: \n  protocols", "  ports: 33221/tcp 33000-34000/udp\n  protocols"),
            ['o', 'o']
        );
        assert_eq!(edited("  ports: \n  protocols", "  ports: 33222/tcp 33221/udp\n  protocols"), ['b', 'o']);
        assert_eq!(edited("dhcpv6-client ssh", "ssh p2p"), ['o', 'b']);
        assert_eq!(
            edited("trusted\n", "trusted (active)\n"),
            ['?', '?'],
            "one zone blocks it, another does not"
        );
        assert_eq!(edited("public (active)", "public"), ['b', 'b'], "the default zone counts");
        let rich = "rich rules: \n\trule family=\"ipv4\" source address=\"10.0.0.0/8\" port port=\"33221\" protocol=\"tcp\" accept\n\ntrusted";
        assert_eq!(edited("rich rules: \n\ntrusted", rich), ['?', 'b']);
        assert_eq!(edited("rich rules: \n\ntrusted", &rich.replace("33221", "22")), ['b', 'b']);
        let all = "rich rules: \n\trule family=\"ipv4\" source address=\"10.0.0.0/8\" accept\n\ntrusted";
        assert_eq!(edited("rich rules: \n\ntrusted", all), ['?', '?']);
        let Passage::Blocked(_, Some(fix)) = passage(&zones(ZONES.to_owned()), Protocol::Udp, 33221) else {
            panic!()
        };
        assert!(fix.contains("--zone=public --add-port=33221/udp"), "{fix}");
        assert_eq!(of(&Seen { firewalld: Some(Err("x".to_owned())), ..Seen::default() }), ['?', '?']);
        assert_eq!(of(&zones(String::new())), ['?', '?']);
    }

    #[test]
    fn rules_of_ufw() {
        assert_eq!(of(&ufw("")), ['b', 'b']);
        assert_eq!(
            of(&ufw("33221/tcp                  ALLOW IN    Anywhere                  \n")),
            ['o', 'b']
        );
        assert_eq!(of(&ufw("33000:34000/udp            LIMIT IN    Anywhere\n")), ['b', 'o']);
        assert_eq!(of(&ufw("22,33221/tcp               ALLOW IN    Anywhere\n")), ['o', 'b']);
        assert_eq!(of(&ufw("33221/udp                  ALLOW IN    10.0.0.0/8\n")), ['b', '?']);
        assert_eq!(of(&ufw("33221/udp on eth0          ALLOW IN    Anywhere\n")), ['b', '?']);
        assert_eq!(of(&ufw("33221 (v6)                 ALLOW IN    Anywhere (v6)\n")), ['b', 'b']);
        assert_eq!(of(&ufw("33221                      ALLOW OUT   Anywhere\n")), ['b', 'b']);
        assert_eq!(of(&ufw("Anywhere                   ALLOW IN    10.0.0.0/8\n")), ['?', '?']);
        assert_eq!(of(&ufw("P2P                        ALLOW IN    Anywhere\n")), ['o', 'b']);
        assert_eq!(
            of(&ufw(
                "33221                      DENY IN     Anywhere\n33221                      ALLOW IN    Anywhere\n"
            )),
            ['b', 'b']
        );
        let open = STATUS.replace("deny (incoming)", "allow (incoming)");
        let status = |status: String| Seen {
            ufw: Some(Ok(Ufw { status, applications: String::new() })),
            ..Seen::default()
        };
        assert_eq!(of(&status(open.clone())), ['o', 'o']);
        assert_eq!(of(&status(open + "33221/tcp                  REJECT IN   Anywhere\n")), ['b', 'o']);
        assert_eq!(of(&status("Status: active\n".to_owned())), ['?', '?']);
    }

    #[test]
    fn the_strictest_counts() {
        let drop = r#"{"nftables": [{"chain": {"family": "inet", "table": "f", "name": "i", "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}}]}"#;
        let theirs = drop.replace("\"f\"", "\"firewalld\"");
        let mut seen =
            zones(ZONES.replace("public (active)", "public").replace("trusted\n", "trusted (active)\n"));
        assert_eq!(of(&seen), ['o', 'o']);
        seen.nft = Some(Ok(theirs));
        assert_eq!(of(&seen), ['o', 'o'], "firewalld speaks for its own table");
        seen.nft = Some(Ok(drop.to_owned()));
        assert_eq!(of(&seen), ['b', 'b'], "and not for others");
        seen.nft = Some(Ok("x".to_owned()));
        assert_eq!(of(&seen), ['?', '?']);
        seen.nft = None;
        seen.has_legacy = true;
        assert_eq!(of(&seen), ['?', '?']);
        let absent = vec!["nft", "iptables", "firewall-cmd", "ufw"];
        assert_eq!(of(&Seen { absent, ..Seen::default() }), ['-', '-']);
        let absent = vec!["nft", "firewall-cmd", "ufw"];
        assert_eq!(of(&Seen { absent, ..Seen::default() }), ['?', '?'], "iptables may have rules");
    }
}
