//! What a unit says of the service's rights: from its files, where systemd cannot be asked.

use std::collections::BTreeMap;

/// The properties that are looked at, as systemd spells them.
pub const PROPERTIES: [&str; 19] = [
    "User",
    "Group",
    "NoNewPrivileges",
    "CapabilityBoundingSet",
    "AmbientCapabilities",
    "RestrictSUIDSGID",
    "ProtectSystem",
    "ProtectHome",
    "PrivateTmp",
    "PrivateDevices",
    "UMask",
    "ProtectKernelTunables",
    "ProtectKernelModules",
    "ProtectKernelLogs",
    "ProtectControlGroups",
    "LockPersonality",
    "MemoryDenyWriteExecute",
    "RestrictRealtime",
    "SystemCallArchitectures",
];

/// Properties whose assignments add up; an empty one takes all back (systemd.exec(5)).
const LISTS: [&str; 3] = ["capabilityboundingset", "ambientcapabilities", "systemcallarchitectures"];

/// What systemd does where a unit says nothing (systemd.exec(5)).
fn unsaid(property: &str) -> &'static str {
    match property {
        "user" | "group" => "root",
        "umask" => "0022",
        "capabilityboundingset" | "systemcallarchitectures" => "all",
        "ambientcapabilities" => "",
        _ => "no",
    }
}

/// What a property is; nothing where this systemd does not know it, as an older one that prints no line for it.
pub(super) fn said<'a>(properties: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    let value = properties.get(name)?;
    let empty_counts = matches!(name, "capabilityboundingset" | "ambientcapabilities");
    Some(if value.is_empty() && !empty_counts { unsaid(name) } else { value })
}

/// A property as systemd spells it.
pub(super) fn spelt(name: &str) -> &str {
    PROPERTIES.iter().find(|property| property.eq_ignore_ascii_case(name)).copied().unwrap_or(name)
}

/// Whether a value is one of systemd's words for true (systemd.syntax(7)).
pub(super) fn is_yes(value: &str) -> bool {
    ["1", "yes", "y", "true", "t", "on"].iter().any(|yes| value.eq_ignore_ascii_case(yes))
}

/// Whether a set of capabilities holds nothing but the one for ports below 1024.
pub(super) fn is_low_port_only(value: &str) -> bool {
    value.split_whitespace().all(|name| name.eq_ignore_ascii_case("cap_net_bind_service"))
}

/// The properties that a unit has by the texts of its files, the unit itself first, then its drop-ins in the order
/// of their names. What none of them says is what systemd does then.
#[must_use]
pub fn effective(texts: &[String]) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for text in texts {
        let mut inside = false;
        for line in text.replace("\\\n", " ").lines().map(str::trim) {
            if line.starts_with(['#', ';']) {
                continue;
            }
            if line.starts_with('[') {
                inside = line == "[Service]";
            }
            let Some((name, value)) = line.split_once('=').filter(|_| inside) else { continue };
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
            match found.get_mut(&name) {
                Some(held) if LISTS.contains(&&*name) && !value.is_empty() && !held.is_empty() => {
                    held.push(' ');
                    held.push_str(value);
                }
                _ => drop(found.insert(name, value.to_owned())),
            }
        }
    }
    for property in PROPERTIES {
        let name = property.to_ascii_lowercase();
        found.entry(name.clone()).or_insert_with(|| unsaid(&name).to_owned());
    }
    found
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "tests may stop anywhere")]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> BTreeMap<String, String> {
        effective(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn drop_ins_count_after_the_unit() {
        let unit = "[Unit]\nUser=nobody\n[Service]\n# User=x\nUser = demisto\nCapabilityBoundingSet=CAP_A \\\n CAP_B\n";
        let found = of(&[unit, "[Service]\nNoNewPrivileges=on\nCapabilityBoundingSet=CAP_C\n"]);
        assert_eq!(found["user"], "demisto");
        assert!(is_yes(&found["nonewprivileges"]));
        let set: Vec<&str> = found["capabilityboundingset"].split_whitespace().collect();
        assert_eq!(set, ["CAP_A", "CAP_B", "CAP_C"]);
        let found = of(&[unit, "[Service]\nCapabilityBoundingSet=\nUser=\n"]);
        assert_eq!((&*found["capabilityboundingset"], &*found["user"]), ("", ""));
    }

    #[test]
    fn capabilities() {
        assert!(is_low_port_only("") && is_low_port_only("CAP_NET_BIND_SERVICE"));
        assert!(!is_low_port_only("all") && !is_low_port_only("~CAP_NET_BIND_SERVICE"));
    }
}
