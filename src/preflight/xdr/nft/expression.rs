//! Whether an expression of a rule is true of a packet.

use serde_json::Value;

use super::{Ip, Packet, Protocol};

/// What is known of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tri {
    Yes,
    No,
    Perhaps,
}

impl Tri {
    fn of(known: bool) -> Self {
        if known { Self::Yes } else { Self::No }
    }

    fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Perhaps => Self::Perhaps,
        }
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::No, Self::No) => Self::No,
            _ => Self::Perhaps,
        }
    }

    fn and(self, other: Self) -> Self {
        self.not().or(other.not()).not()
    }
}

/// The elements of named sets; nothing where they are not known.
type Sets<'a> = &'a dyn Fn(&str) -> Option<&'a [Value]>;

/// What a rule looks at, as far as it is known of the packet.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Known {
    /// A number, with the name that stands for it.
    Is(u64, &'static str),
    /// A name alone.
    Named(&'static str),
    /// Flags of TCP.
    Flags(Vec<&'static str>),
    /// The packet comes from another host, by a card that is not known.
    Elsewhere,
    /// Several things.
    All(Vec<Self>),
    /// The packet has no such thing.
    Absent,
    /// It is not known.
    Unknown,
}

/// Whether a `match` is true of the packet.
pub(super) fn matches(value: &Value, packet: Packet, sets: Sets<'_>) -> Tri {
    let (Some(left), Some(right)) = (value.get("left"), value.get("right")) else { return Tri::Perhaps };
    let known = known(left, packet);
    if known == Known::Absent {
        return Tri::No; // such a rule first asks whether the packet is of that kind
    }
    let op = value.get("op").and_then(Value::as_str).unwrap_or_default();
    if let Known::Flags(flags) = &known {
        return has_flags(op, right, flags);
    }
    match op {
        "==" | "in" => contains(right, &known, sets),
        "!=" => contains(right, &known, sets).not(),
        op => match (&known, right.as_u64()) {
            (Known::Is(number, _), Some(limit)) => match op {
                "<" => Tri::of(*number < limit),
                ">" => Tri::of(*number > limit),
                "<=" => Tri::of(*number <= limit),
                ">=" => Tri::of(*number >= limit),
                _ => Tri::Perhaps,
            },
            _ => Tri::Perhaps,
        },
    }
}

/// The verdicts of a `vmap` that the packet may get.
pub(super) fn verdict_map(value: &Value, packet: Packet, sets: Sets<'_>) -> Vec<(Tri, Value)> {
    let known = value.get("key").map_or(Known::Unknown, |key| known(key, packet));
    let data = value.get("data");
    let named = data.and_then(Value::as_str).and_then(|name| sets(name.trim_start_matches('@')));
    let listed = data.and_then(|data| data.get("set")).and_then(Value::as_array).map(Vec::as_slice);
    let Some(elements) = named.or(listed) else {
        // anything may be in it
        return vec![
            (Tri::Perhaps, serde_json::json!({ "accept": null })),
            (Tri::Perhaps, serde_json::json!({ "drop": null })),
        ];
    };
    let mut found: Vec<(Tri, Value)> = elements
        .iter()
        .filter_map(|element| {
            let [key, verdict] = element.as_array()?.as_slice() else { return None };
            Some((contains(key, &known, sets), verdict.clone()))
        })
        .filter(|(tri, _)| *tri != Tri::No && known != Known::Absent)
        .collect();
    found.sort_by_key(|(tri, _)| *tri == Tri::Yes); // what is sure ends it
    found
}

fn known(left: &Value, packet: Packet) -> Known {
    let word =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let Some((kind, value)) = left.as_object().and_then(|object| object.iter().next()) else {
        return Known::Unknown;
    };
    match kind.as_str() {
        "payload" => payload(&word(value, "protocol"), &word(value, "field"), packet),
        "meta" => meta(&word(value, "key"), packet),
        "ct" => match word(value, "key").as_str() {
            "state" => Known::Named("new"),
            "direction" => Known::Named("original"),
            _ => Known::Unknown,
        },
        "fib" if packet.protocol == Protocol::Tcp && word(value, "result") == "type" => {
            let of_target = value.get("flags").is_some_and(|f| {
                f == "daddr" || f.as_array().is_some_and(|f| f.iter().all(|flag| flag == "daddr"))
            });
            if of_target { Known::Named("local") } else { Known::Unknown }
        }
        "concat" => {
            let parts = value.as_array().map(Vec::as_slice).unwrap_or_default();
            Known::All(parts.iter().map(|part| known(part, packet)).collect())
        }
        "&" => match value.as_array().map(Vec::as_slice) {
            Some([inner, mask]) => match known(inner, packet) {
                Known::Flags(flags) => {
                    let mask = flag_names(mask);
                    Known::Flags(flags.into_iter().filter(|flag| mask.iter().any(|m| m == flag)).collect())
                }
                Known::Absent => Known::Absent,
                _ => Known::Unknown,
            },
            _ => Known::Unknown,
        },
        _ => Known::Unknown,
    }
}

fn l4(packet: Packet) -> Known {
    match packet.protocol {
        Protocol::Tcp => Known::Is(6, "tcp"),
        Protocol::Udp => Known::Is(17, "udp"),
    }
}

fn payload(protocol: &str, field: &str, packet: Packet) -> Known {
    match (protocol, field) {
        ("tcp" | "udp" | "th", "dport") if protocol == "th" || protocol == packet.protocol.name() => {
            Known::Is(packet.port.into(), "")
        }
        ("tcp", "flags") if packet.protocol == Protocol::Tcp => Known::Flags(vec!["syn"]),
        ("ip", _) if packet.ip != Ip::V4 => Known::Absent,
        ("ip6", _) if packet.ip != Ip::V6 => Known::Absent,
        ("ip", "protocol") | ("ip6", "nexthdr") => l4(packet),
        ("ip", "version") => Known::Is(4, ""),
        ("ip6", "version") => Known::Is(6, ""),
        ("ip" | "ip6", "saddr") => Known::Elsewhere,
        ("ip" | "ip6" | "ether" | "vlan" | "th" | "tcp" | "udp", _) => {
            if matches!(protocol, "tcp" | "udp") && protocol != packet.protocol.name() {
                Known::Absent
            } else {
                Known::Unknown
            }
        }
        ("icmp" | "icmpv6" | "igmp" | "arp" | "sctp" | "dccp" | "udplite" | "esp" | "ah" | "comp", _) => {
            Known::Absent
        }
        _ => Known::Unknown,
    }
}

fn meta(key: &str, packet: Packet) -> Known {
    let v4 = packet.ip == Ip::V4;
    match key {
        "l4proto" => l4(packet),
        "nfproto" if v4 => Known::Is(2, "ipv4"),
        "nfproto" => Known::Is(10, "ipv6"),
        "protocol" if v4 => Known::Is(0x0800, "ip"),
        "protocol" => Known::Is(0x86dd, "ip6"),
        "iif" | "iifname" => Known::Elsewhere,
        "pkttype" if packet.protocol == Protocol::Tcp => Known::Named("host"),
        _ => Known::Unknown,
    }
}

/// Names of flags, however they are written: one, a list, or joined.
fn flag_names(value: &Value) -> Vec<String> {
    match value {
        Value::String(name) => vec![name.clone()],
        Value::Array(all) => all.iter().flat_map(flag_names).collect(),
        Value::Object(object) => object.get("|").map(flag_names).unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// Whether flags are those on the right: any of them (`in`), or exactly those, in one of the ways that a set lists.
fn has_flags(op: &str, right: &Value, flags: &[&str]) -> Tri {
    let are = |right: &Value| {
        let names = flag_names(right);
        let known = !names.is_empty() || right.as_u64() == Some(0);
        known && names.len() == flags.len() && flags.iter().all(|flag| names.iter().any(|name| name == flag))
    };
    let listed = right.get("set").and_then(Value::as_array);
    let exactly = listed.map_or_else(|| are(right), |all| all.iter().any(are));
    match op {
        "in" => Tri::of(flags.iter().any(|flag| flag_names(right).iter().any(|name| name == flag))),
        "==" => Tri::of(exactly),
        "!=" => Tri::of(!exactly),
        _ => Tri::Perhaps,
    }
}

/// Whether what is known is among what stands on the right.
fn contains(right: &Value, known: &Known, sets: Sets<'_>) -> Tri {
    if matches!(known, Known::Unknown | Known::Flags(_)) {
        return Tri::Perhaps;
    }
    match right {
        Value::Array(all) => any(all, known, sets),
        Value::String(name) => match name.strip_prefix('@') {
            Some(set) => sets(set).map_or(Tri::Perhaps, |elements| any(elements, known, sets)),
            None => is(name, known),
        },
        Value::Number(number) => match known {
            Known::Is(known, _) => Tri::of(number.as_u64() == Some(*known)),
            _ => Tri::Perhaps,
        },
        Value::Object(object) => match object.iter().next().map(|(kind, value)| (kind.as_str(), value)) {
            Some(("set", Value::Array(all))) => any(all, known, sets),
            Some(("set", one)) => contains(one, known, sets),
            Some(("elem", element)) => {
                element.get("val").map_or(Tri::Perhaps, |value| contains(value, known, sets))
            }
            Some(("range", range)) => in_range(range, known),
            Some(("concat", Value::Array(parts))) => all(parts, known, sets),
            Some(("prefix", prefix)) if *known == Known::Elsewhere => {
                from(prefix.get("addr").and_then(Value::as_str).unwrap_or_default())
            }
            _ => Tri::Perhaps,
        },
        _ => Tri::Perhaps,
    }
}

fn any(values: &[Value], known: &Known, sets: Sets<'_>) -> Tri {
    values.iter().map(|value| contains(value, known, sets)).fold(Tri::No, Tri::or)
}

fn all(parts: &[Value], known: &Known, sets: Sets<'_>) -> Tri {
    let Known::All(known) = known else { return Tri::Perhaps };
    if known.len() != parts.len() {
        return Tri::Perhaps;
    }
    let one = |(part, known): (&Value, &Known)| match known {
        Known::Absent => Tri::No,
        known => contains(part, known, sets),
    };
    parts.iter().zip(known).map(one).fold(Tri::Yes, Tri::and)
}

fn in_range(range: &Value, known: &Known) -> Tri {
    match (range.as_array().map(Vec::as_slice), known) {
        (Some([from, to]), Known::Is(number, _)) => match (from.as_u64(), to.as_u64()) {
            (Some(from), Some(to)) => Tri::of((from..=to).contains(number)),
            _ => Tri::Perhaps,
        },
        _ => Tri::Perhaps,
    }
}

fn is(name: &str, known: &Known) -> Tri {
    match known {
        Known::Is(number, called) => Tri::of(*called == name || name.parse() == Ok(*number)),
        Known::Named(called) => Tri::of(*called == name),
        Known::Elsewhere => from(name),
        _ => Tri::Perhaps,
    }
}

/// Whether a packet of a peer can be from that address, or have come by that card: not from this host itself.
fn from(name: &str) -> Tri {
    if name == "lo" || name == "::1" || name.starts_with("127.") { Tri::No } else { Tri::Perhaps }
}
