//! What the service shows in TLS, and what its unit lets it do.

use std::collections::BTreeMap;

use super::evidence::Evidence;
use super::{Verdict, unit};
use crate::product::SERVICE_USER;

pub(super) fn tls(seen: &Evidence) -> Verdict {
    let shake = match &seen.handshake {
        Ok(shake) => shake,
        Err(why) => return Verdict::manual(why),
    };
    let mut wrong: Vec<String> =
        shake.old.iter().map(|old| format!("port {} speaks {old}", shake.port)).collect();
    let mut fine = Vec::new();
    for (version, cipher) in &shake.versions {
        let told = match cipher {
            Some(cipher) => format!("port {} speaks {version} with {cipher}", shake.port),
            None => format!("port {} speaks {version}", shake.port),
        };
        if cipher.as_deref().is_none_or(is_approved) {
            fine.push(told);
        } else {
            wrong.push(format!("{told}, which is not approved"));
        }
    }
    if wrong.is_empty() && fine.is_empty() {
        wrong.push(format!("port {} speaks neither TLS 1.2 nor TLS 1.3", shake.port));
    }
    let chosen = "of each version the suite was seen that the service chose among all; what else it takes was not tried";
    Verdict::of(wrong, fine).and([chosen.to_owned()])
}

/// Whether a cipher suite, by its standard name, is one of AES (FIPS 197), the only cipher in TLS that is approved.
fn is_approved(suite: &str) -> bool {
    suite.starts_with("TLS_AES_") || suite.contains("_WITH_AES_")
}

/// A property, and what it has to be, in words and as a test.
type Rule = (&'static str, &'static str, fn(&str) -> bool);

fn yes(value: &str) -> bool {
    unit::is_yes(value)
}

const ACCOUNT: [Rule; 2] = [
    ("user", SERVICE_USER, |value| value == SERVICE_USER),
    ("group", SERVICE_USER, |value| value == SERVICE_USER),
];

const PRIVILEGES: [Rule; 4] = [
    ("nonewprivileges", "yes", yes),
    ("capabilityboundingset", "cap_net_bind_service at most", unit::is_low_port_only),
    ("ambientcapabilities", "cap_net_bind_service at most", unit::is_low_port_only),
    ("restrictsuidsgid", "yes", yes),
];

const FILES: [Rule; 5] = [
    ("protectsystem", "strict or full", |value| matches!(value, "strict" | "full")),
    ("protecthome", "yes, read-only or tmpfs", |value| yes(value) || matches!(value, "read-only" | "tmpfs")),
    ("privatetmp", "yes", |value| yes(value) || value == "disconnected"),
    ("privatedevices", "yes", yes),
    ("umask", "0027 or stricter", |value| {
        u32::from_str_radix(value, 8).is_ok_and(|mask| mask & 0o027 == 0o027)
    }),
];

const KERNEL: [Rule; 8] = [
    ("protectkerneltunables", "yes", yes),
    ("protectkernelmodules", "yes", yes),
    ("protectkernellogs", "yes", yes),
    ("protectcontrolgroups", "yes or stricter", |value| yes(value) || matches!(value, "private" | "strict")),
    ("lockpersonality", "yes", yes),
    ("memorydenywriteexecute", "yes", yes),
    ("restrictrealtime", "yes", yes),
    ("systemcallarchitectures", "native", |value| value == "native"),
];

fn rules(seen: &Evidence, rules: &[Rule]) -> Verdict {
    match &seen.unit {
        Ok((place, properties)) => judge(place, properties, rules),
        Err(why) => Verdict::manual(why),
    }
}

fn judge(place: &str, properties: &BTreeMap<String, String>, rules: &[Rule]) -> Verdict {
    let (mut wrong, mut fine, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for (name, wanted, fits) in rules {
        let spelt = unit::spelt(name);
        let Some(value) = unit::said(properties, name) else {
            unknown.push(format!("this systemd has no {spelt}, so {place} cannot have it"));
            continue;
        };
        let told = format!("{place}: {spelt} is {value:?}");
        if fits(value) { fine.push(told) } else { wrong.push(format!("{told}, not {wanted}")) }
    }
    if wrong.is_empty() && !unknown.is_empty() {
        let mut all = unknown.into_iter().chain(fine);
        return Verdict::manual(all.next().unwrap_or_default()).and(all);
    }
    Verdict::of(wrong, fine).and(unknown)
}

pub(super) fn account(seen: &Evidence) -> Verdict {
    rules(seen, &ACCOUNT)
}

pub(super) fn privileges(seen: &Evidence) -> Verdict {
    rules(seen, &PRIVILEGES)
}

pub(super) fn file_system(seen: &Evidence) -> Verdict {
    rules(seen, &FILES)
}

pub(super) fn kernel(seen: &Evidence) -> Verdict {
    rules(seen, &KERNEL)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "tests may stop anywhere")]
mod tests {
    use super::*;
    use crate::audit::Outcome;

    #[test]
    fn every_property_is_asked_for() {
        for (name, ..) in ACCOUNT.iter().chain(&PRIVILEGES).chain(&FILES).chain(&KERNEL) {
            assert_ne!(unit::spelt(name), *name, "{name} is not among PROPERTIES");
        }
        assert_eq!(ACCOUNT.len() + PRIVILEGES.len() + FILES.len() + KERNEL.len(), unit::PROPERTIES.len());
    }

    /// What systemctl of systemd 239 prints of RHEL 8: no line for what came later.
    #[test]
    fn a_property_that_an_old_systemd_has_not_is_no_fail() {
        let old: BTreeMap<String, String> = KERNEL
            .iter()
            .filter(|(name, ..)| *name != "protectkernellogs")
            .map(|(name, ..)| {
                let value = if *name == "systemcallarchitectures" { "native" } else { "yes" };
                ((*name).to_owned(), value.to_owned())
            })
            .collect();
        let verdict = judge("demisto.service", &old, &KERNEL);
        assert_eq!(verdict.outcome, Outcome::Manual);
        assert!(verdict.evidence[0].contains("has no ProtectKernelLogs"), "{:?}", verdict.evidence);
        let off = BTreeMap::from([("protectkernelmodules".to_owned(), "no".to_owned())]);
        let with_off = old.into_iter().chain(off).collect();
        assert_eq!(judge("demisto.service", &with_off, &KERNEL).outcome, Outcome::Fail);
        let user = BTreeMap::from(["user", "group"].map(|name| (name.to_owned(), String::new())));
        assert_eq!(judge("demisto.service", &user, &ACCOUNT).outcome, Outcome::Fail, "an empty User is root");
    }

    #[test]
    fn suites() {
        for good in ["TLS_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"] {
            assert!(is_approved(good), "{good}");
        }
        for bad in [
            "TLS_CHACHA20_POLY1305_SHA256",
            "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
            "TLS_ECDHE_RSA_WITH_ARIA_128_GCM_SHA256",
        ] {
            assert!(!is_approved(bad), "{bad}");
        }
    }
}
