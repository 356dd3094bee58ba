//! What the kernel's rules (nftables) do with a first packet from the same subnet, as far as that can be told from
//! `nft -j list ruleset` (libnftables-json(5)).
//!
//! Each rule is asked whether it is for the packet: yes, no, or perhaps, where it looks at what is not known, such as
//! the address of a peer. All ends that are possible are followed.

mod expression;

use std::collections::BTreeMap;

use serde_json::Value;

use super::Protocol;
use expression::{Tri, matches, verdict_map};

/// Deepest jump from chain to chain; the kernel allows 16.
const DEPTH: usize = 16;

/// A version of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the field's own")]
pub enum Ip {
    V4,
    V6,
}

/// The first packet of a peer on the same subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Over TCP or UDP.
    pub protocol: Protocol,
    /// To which port of this host.
    pub port: u16,
    /// In which version of IP.
    pub ip: Ip,
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// No rule is in its way, with the chains that say so.
    Accepted(String),
    /// It is dropped or rejected, and by whom.
    Dropped(String),
    /// That depends on what is not known.
    Unclear(String),
    /// There is no chain that it comes through.
    NoChain,
}

/// A ruleset.
#[derive(Debug, Clone, Default)]
pub struct Ruleset {
    chains: Vec<Chain>,
    /// Elements of named sets and maps by family, table and name; nothing where they change by themselves.
    sets: BTreeMap<[String; 3], Option<Vec<Value>>>,
}

#[derive(Debug, Clone)]
struct Chain {
    table: [String; 2],
    name: String,
    /// What is done at its end, if packets come to it by themselves.
    policy: Option<Policy>,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    Accept,
    Drop,
}

#[derive(Debug, Clone)]
struct Rule {
    handle: u64,
    statements: Vec<Value>,
}

/// Where packets may end.
#[derive(Debug, Default)]
struct Ends {
    accepted: bool,
    dropped: Option<String>,
    /// Why more than one end is possible.
    doubt: Option<String>,
    /// Whether some come to the end of the chain, or are returned.
    falls: bool,
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl Ruleset {
    /// Reads what nft writes; `None` when it is something else.
    #[must_use]
    pub fn parse(json: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(json).ok()?;
        let mut found = Self::default();
        for item in value.get("nftables")?.as_array()? {
            if let Some(chain) = item.get("chain") {
                found.chains.push(Chain::read(chain));
            } else if let Some(rule) = item.get("rule") {
                found.take_rule(rule);
            } else if let Some(set) = item.get("set").or_else(|| item.get("map")) {
                let key = [text(set, "family"), text(set, "table"), text(set, "name")];
                let changes = |flag: &Value| matches!(flag.as_str(), Some("dynamic" | "timeout"));
                let changes =
                    set.get("flags").and_then(Value::as_array).is_some_and(|f| f.iter().any(changes));
                let elements = set.get("elem").and_then(Value::as_array).cloned().unwrap_or_default();
                found.sets.insert(key, (!changes).then_some(elements));
            }
        }
        Some(found)
    }

    fn take_rule(&mut self, rule: &Value) {
        let (table, name) = ([text(rule, "family"), text(rule, "table")], text(rule, "chain"));
        let statements = rule.get("expr").and_then(Value::as_array).cloned().unwrap_or_default();
        let handle = rule.get("handle").and_then(Value::as_u64).unwrap_or_default();
        if let Some(chain) = self.chains.iter_mut().find(|chain| chain.table == table && chain.name == name) {
            chain.rules.push(Rule { handle, statements });
        }
    }

    /// The same without the tables that `is_theirs` names, by family and name, or by the name of one of their chains.
    #[must_use]
    pub fn without(mut self, is_theirs: impl Fn(&str, &str) -> bool) -> Self {
        let theirs: Vec<[String; 2]> = self
            .chains
            .iter()
            .filter(|chain| is_theirs(&chain.table[1], &chain.name))
            .map(|chain| chain.table.clone())
            .collect();
        self.chains.retain(|chain| !theirs.contains(&chain.table));
        self
    }

    /// What becomes of a packet.
    #[must_use]
    pub fn judge(&self, packet: Packet) -> Fate {
        let concerned = |chain: &&Chain| match chain.table[0].as_str() {
            "inet" | "netdev" => true,
            "ip" => packet.ip == Ip::V4,
            "ip6" => packet.ip == Ip::V6,
            _ => false,
        };
        let mut passed = Vec::new();
        let mut unclear = None;
        for chain in self.chains.iter().filter(concerned) {
            let Some(policy) = chain.policy else { continue };
            let mut ends = self.walk(chain, packet, 0);
            if ends.falls && policy == Policy::Accept {
                ends.accepted = true;
            } else if ends.falls {
                ends.dropped.get_or_insert_with(|| format!("the policy drop of {}", chain.called()));
            }
            match (ends.accepted, ends.dropped) {
                (false, Some(by)) => return Fate::Dropped(by),
                (false, None) | (true, None) => passed.push(chain.called()),
                (true, Some(by)) => {
                    let why =
                        ends.doubt.map(|doubt| format!("; that depends on {doubt}")).unwrap_or_default();
                    unclear.get_or_insert(format!("{by} may drop it{why}"));
                }
            }
        }
        match unclear {
            Some(why) => Fate::Unclear(why),
            None if passed.is_empty() => Fate::NoChain,
            None => Fate::Accepted(passed.join(", ")),
        }
    }

    fn walk(&self, chain: &Chain, packet: Packet, depth: usize) -> Ends {
        let mut ends = Ends::default();
        for rule in &chain.rules {
            if self.apply(chain, rule, packet, (depth, &mut ends)) {
                return ends;
            }
        }
        ends.falls = true;
        ends
    }

    /// Follows one rule; whether no packet goes on behind it.
    fn apply(&self, chain: &Chain, rule: &Rule, packet: Packet, (depth, ends): (usize, &mut Ends)) -> bool {
        let called = || format!("rule {} of {}", rule.handle, chain.called());
        let mut sure = true;
        for statement in &rule.statements {
            let Some((kind, value)) = statement.as_object().and_then(|object| object.iter().next()) else {
                sure = false;
                continue;
            };
            match kind.as_str() {
                "match" => match matches(value, packet, &|name| self.set(chain, name)) {
                    Tri::Yes => {}
                    Tri::No => return false,
                    Tri::Perhaps => sure = false,
                },
                "vmap" => {
                    for (tri, verdict) in verdict_map(value, packet, &|name| self.set(chain, name)) {
                        let certain = sure && tri == Tri::Yes;
                        if self.end(chain, (&verdict, certain), packet, (depth, &mut *ends, &called())) {
                            return true;
                        }
                    }
                }
                // these change nothing about where the packet goes
                "counter" | "log" | "mangle" | "notrack" | "set" | "map" | "comment" | "secmark"
                | "ct helper" | "ct timeout" | "flow" => {}
                "accept" | "drop" | "reject" | "jump" | "goto" | "return" | "queue" | "continue" | "dnat"
                | "redirect" | "tproxy" | "fwd" | "synproxy" => {
                    return self.end(chain, (statement, sure), packet, (depth, ends, &called()));
                }
                _ => sure = false, // limits, quotas, matches of iptables that nft does not show
            }
        }
        false
    }

    /// Follows one verdict; whether no packet goes on behind it.
    fn end(
        &self,
        chain: &Chain,
        (verdict, sure): (&Value, bool),
        packet: Packet,
        (depth, ends, called): (usize, &mut Ends, &str),
    ) -> bool {
        let Some((kind, value)) = verdict.as_object().and_then(|object| object.iter().next()) else {
            return false;
        };
        if !sure {
            ends.doubt.get_or_insert_with(|| called.to_owned());
        }
        match kind.as_str() {
            "accept" => ends.accepted = true,
            "drop" | "reject" => drop(ends.dropped.get_or_insert_with(|| called.to_owned())),
            "return" => ends.falls = true,
            "jump" | "goto" => {
                let target = text(value, "target");
                let found = self.chains.iter().find(|one| one.table == chain.table && one.name == target);
                let Some(found) = found.filter(|_| depth < DEPTH) else { return false };
                let below = self.walk(found, packet, depth.saturating_add(1));
                ends.accepted |= below.accepted;
                ends.dropped = ends.dropped.take().or(below.dropped);
                ends.doubt = ends.doubt.take().or(below.doubt);
                if kind == "goto" {
                    ends.falls |= below.falls;
                } else if below.falls {
                    return false;
                }
            }
            "continue" => return false,
            // it goes to another program, port or host, which may or may not have it
            _ => {
                ends.accepted = true;
                ends.dropped.get_or_insert_with(|| called.to_owned());
            }
        }
        sure
    }

    /// The elements of a named set; nothing where they are not known.
    fn set(&self, chain: &Chain, name: &str) -> Option<&[Value]> {
        let [family, table] = chain.table.clone();
        self.sets.get(&[family, table, name.to_owned()])?.as_deref()
    }
}

impl Chain {
    fn read(chain: &Value) -> Self {
        let hook = text(chain, "hook");
        let is_concerned = matches!(hook.as_str(), "ingress" | "prerouting" | "input");
        let policy = if text(chain, "policy") == "drop" { Policy::Drop } else { Policy::Accept };
        Self {
            table: [text(chain, "family"), text(chain, "table")],
            name: text(chain, "name"),
            policy: is_concerned.then_some(policy),
            rules: Vec::new(),
        }
    }

    fn called(&self) -> String {
        format!("chain {} of table {} {}", self.name, self.table[0], self.table[1])
    }
}
