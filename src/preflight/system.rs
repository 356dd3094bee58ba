//! The operating system: its release, processor, kernel and service manager.

use super::Verdict;
use super::facts::Facts;
use super::sizes::on_machine;

/// The first and the last version that are supported: major and minor number.
type Versions = ((u32, u32), (u32, u32));

/// Operating systems that the vendor supports for 6.14 (System Requirements), by `ID` of os-release(5).
pub const SUPPORTED: &[(&str, Versions)] = &[
    ("ubuntu", ((18, 4), (24, 4))),
    ("rhel", ((8, 0), (10, u32::MAX))),
    ("ol", ((7, 0), (7, u32::MAX))),
    ("ol", ((8, 9), (8, 9))),
    ("ol", ((9, 3), (9, 4))),
    ("amzn", ((2, 0), (2, u32::MAX))),
    ("amzn", ((2023, 0), (2023, u32::MAX))),
    ("rocky", ((9, 5), (9, 6))),
];

/// The oldest systemd of any supported system.
const SYSTEMD: u32 = 219;

/// The leading numbers of a version: missing ones are 0.
pub(super) fn numbers<const N: usize>(text: &str) -> [u32; N] {
    let mut pieces = text.split(|c: char| !c.is_ascii_digit()).map(|piece| piece.parse().unwrap_or(0));
    std::array::from_fn(|_| pieces.next().unwrap_or(0))
}

pub(super) fn release(facts: &Facts) -> Verdict {
    let Some(os) = &facts.os else { return Verdict::skipped("there is no /etc/os-release") };
    let [major, minor] = numbers(&os.version);
    let is_in = |(id, (first, last)): &(&str, Versions)| {
        *id == os.id && *first <= (major, minor) && (major, minor) <= *last
    };
    if SUPPORTED.iter().any(is_in) {
        return Verdict::pass(format!("{} is supported", os.name));
    }
    facts.short(format!("{} is not supported by the vendor", os.name))
}

pub(super) fn architecture(facts: &Facts) -> Verdict {
    on_machine(facts, |machine| match machine.architecture.as_str() {
        "x86_64" => Verdict::pass("x86_64"),
        other => Verdict::fail(other),
    })
}

/// Linux 5.2 to 5.3.14, and 5.4 before 5.4.2, spoil registers when a signal arrives while a page is missing.
/// Distributions correct it without telling by the number.
pub(super) fn kernel(facts: &Facts) -> Verdict {
    on_machine(facts, |machine| {
        let spoils = match numbers(&machine.kernel) {
            [5, 2, _] => true,
            [5, 3, patch] => patch < 15,
            [5, 4, patch] => patch < 2,
            _ => false,
        };
        if spoils { Verdict::warn(&machine.kernel) } else { Verdict::pass(&machine.kernel) }
    })
}

pub(super) fn systemd(facts: &Facts) -> Verdict {
    on_machine(facts, |machine| match machine.systemd {
        None => Verdict::fail("systemd is not the service manager here"),
        Some(0) => Verdict::pass("systemd runs"),
        Some(version) if version < SYSTEMD => Verdict::fail(format!("systemd {version} runs")),
        Some(version) => Verdict::pass(format!("systemd {version} runs")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(numbers("6.18.44-fc-v470"), [6, 18, 44]);
        assert_eq!(numbers("24.04"), [24, 4]);
        assert_eq!(numbers("2"), [2, 0]);
        assert_eq!(numbers::<2>(""), [0, 0]);
    }
}
