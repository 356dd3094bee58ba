//! What runs on the host, and how it is set.

use super::Verdict;
use super::facts::{Facts, Fapolicyd, Holder, Selinux};
use super::sizes::on_machine;

/// What the product has open at once: an index, a connection or a log each.
const OPEN_FILES: u64 = 65_536;

pub(super) fn selinux(facts: &Facts) -> Verdict {
    on_machine(facts, |machine| match machine.selinux {
        Selinux::Off => Verdict::pass("it is off"),
        Selinux::Permissive => Verdict::pass("it is permissive"),
        Selinux::Enforcing { containers: true } => {
            Verdict::pass("it is enforcing, with rules for containers")
        }
        Selinux::Enforcing { containers: false } => {
            Verdict::warn("it is enforcing, and there are no rules for containers")
        }
    })
}

pub(super) fn fapolicyd(facts: &Facts) -> Verdict {
    on_machine(facts, |machine| match machine.fapolicyd {
        Fapolicyd::Off => Verdict::pass("it does not run"),
        Fapolicyd::Running { knows: true } => Verdict::pass("it runs, and its rules name the product"),
        Fapolicyd::Running { knows: false } => Verdict::warn("it runs, and no rule names the product"),
    })
}

pub(super) fn umask(facts: &Facts) -> Verdict {
    on_machine(facts, |machine| {
        let seen = format!("{:03o}", machine.umask);
        // what root copies is root's: the service is among the others
        if machine.umask & 0o005 == 0 { Verdict::pass(seen) } else { Verdict::warn(seen) }
    })
}

pub(super) fn open_files(facts: &Facts) -> Verdict {
    on_machine(facts, |machine| match &machine.open_files {
        (u64::MAX, by) => Verdict::pass(format!("without limit: {by}")),
        (limit, by) if *limit >= OPEN_FILES => Verdict::pass(format!("{limit} at most: {by}")),
        (limit, by) => Verdict::warn(format!("{limit} at most: {by}; {OPEN_FILES} are advised")),
    })
}

pub(super) fn port(facts: &Facts) -> Verdict {
    on_machine(facts, |machine| {
        let (port, holder) = match &machine.port {
            Ok(known) => known,
            Err(why) => return Verdict::skipped(why),
        };
        match holder {
            Holder::Nobody => Verdict::pass(format!("port {port} is free")),
            Holder::Product(name) => Verdict::pass(format!("port {port} is the product's own: {name}")),
            Holder::Other(who) => Verdict::fail(who.clone()),
            Holder::Hidden => Verdict::warn(format!("port {port} is in use; only root sees by whom"))
                .mended_by("call this as root: it may be the product's own"),
        }
    })
}

pub(super) fn clock(facts: &Facts) -> Verdict {
    on_machine(facts, |machine| match machine.synchronised {
        Some(true) => Verdict::pass("it is synchronised"),
        Some(false) => Verdict::warn("it is not synchronised"),
        None => Verdict::skipped("the kernel does not tell"),
    })
}

pub(super) fn names(facts: &Facts) -> Verdict {
    on_machine(facts, |machine| {
        let Some(names) = &machine.names else { return Verdict::skipped("no name was looked up") };
        if names.localhost.is_empty() {
            return Verdict::fail("localhost does not resolve");
        }
        if names.own.is_empty() {
            return Verdict::warn(format!("{} does not resolve", names.hostname));
        }
        Verdict::pass(format!("{} is {}", names.hostname, names.own.join(", ")))
    })
}

pub(super) fn forwarding(facts: &Facts) -> Verdict {
    on_machine(facts, |machine| match machine.forwarding {
        Some(true) => Verdict::pass("it is on"),
        Some(false) => Verdict::warn("it is off"),
        None => Verdict::skipped("the kernel does not tell"),
    })
}

pub(super) fn swap(facts: &Facts) -> Verdict {
    on_machine(facts, |machine| match machine.swaps.as_slice() {
        [] => Verdict::pass("it is off"),
        some => Verdict::warn(format!("it is on: {}", some.join(", "))),
    })
}

pub(super) fn proxy(facts: &Facts) -> Verdict {
    facts.proxy.judge()
}
