//! Processors, memory and disk (System Requirements; the guide's Prerequisites agree on the first three).

use super::facts::{Facts, Machine, Place, Use};
use super::{Profile, Verdict};
use crate::product::Role;
use crate::types::human_bytes;

const GB: u64 = 1_000_000_000;

/// What is asked for: processors, GiB of memory, GB of disk.
const fn wanted(profile: Profile) -> (u64, u64, u64) {
    match profile {
        Profile::Dev => (8, 16, 500),
        Profile::Production => (16, 32, 1000),
    }
}

/// An engine needs less disk ("Install an Engine").
const ENGINE_DISK: u64 = 100;

pub(super) fn on_machine(facts: &Facts, judge: impl Fn(&Machine) -> Verdict) -> Verdict {
    facts.machine.as_ref().map_or_else(|| Verdict::skipped(ELSEWHERE), judge)
}

/// Why nothing is said about the running machine.
pub(super) const ELSEWHERE: &str = "it is about the running system, and another root is looked at";

pub(super) fn processors(facts: &Facts) -> Verdict {
    on_machine(facts, |machine| {
        let (need, ..) = wanted(facts.profile());
        let seen = format!("{} processors; {} needs {need}", machine.cpus, facts.profile());
        if machine.cpus >= need { Verdict::pass(seen) } else { facts.short(seen) }
    })
}

pub(super) fn memory(facts: &Facts) -> Verdict {
    on_machine(facts, |machine| {
        let (_, need, _) = wanted(facts.profile());
        let seen = format!("{} MiB of memory; {} needs {need} GiB", machine.memory_mib, facts.profile());
        // what the kernel keeps for itself is not counted by it
        if machine.memory_mib >= need * 1024 / 10 * 9 { Verdict::pass(seen) } else { facts.short(seen) }
    })
}

/// All file systems that the product writes to together.
pub(super) fn disk(facts: &Facts) -> Verdict {
    on_machine(facts, |machine| {
        let (_, _, server) = wanted(facts.profile());
        let need = if facts.role == Role::Server { server } else { ENGINE_DISK };
        let mut stores = Vec::new();
        let mut total = 0_u64;
        let counted = [Use::Tree, Use::Data, Use::Logs, Use::Var, Use::Home, Use::Docker, Use::Temporary];
        for place in counted.into_iter().filter_map(|is| machine.place(is)) {
            if !stores.contains(&&place.store) && place.kind != "tmpfs" {
                stores.push(&place.store);
                total = total.saturating_add(place.size);
            }
        }
        let seen = format!("{} altogether; {} needs {need} GB", human_bytes(total), facts.profile());
        if is_enough(total, need) { Verdict::pass(seen) } else { facts.short(seen) }
    })
}

/// What a file system keeps for itself is not counted by it.
fn is_enough(bytes: u64, need: u64) -> bool {
    bytes >= need.saturating_mul(GB / 10 * 9)
}

fn size(facts: &Facts, wanted: Use, (dev, production): (u64, u64)) -> Verdict {
    on_machine(facts, |machine| {
        let Some(place) = machine.place(wanted) else { return Verdict::skipped("it could not be measured") };
        let need = if facts.profile() == Profile::Dev { dev } else { production };
        let seen = format!("{}; {} needs {need} GB", of(place), facts.profile());
        if is_enough(place.size, need) { Verdict::pass(seen) } else { facts.short(seen) }
    })
}

fn of(place: &Place) -> String {
    format!("{} is {} on {}", place.path, human_bytes(place.size), place.point)
}

pub(super) fn var(facts: &Facts) -> Verdict {
    size(facts, Use::Var, if facts.role == Role::Server { (450, 900) } else { (50, 50) })
}

/// The vendor asks for more than /var itself has; that counts where the data have a file system of their own.
pub(super) fn data(facts: &Facts) -> Verdict {
    if facts.role == Role::Engine {
        return Verdict::skipped("an engine keeps no data of its own");
    }
    let shared = facts.machine.as_ref().and_then(|machine| {
        let (data, var) = machine.place(Use::Data).zip(machine.place(Use::Var))?;
        (data.store == var.store).then(|| format!("{} lies on that of {}: see disk-var", data.path, var.path))
    });
    shared.map_or_else(|| size(facts, Use::Data, (200, 1000)), Verdict::skipped)
}

pub(super) fn containers(facts: &Facts) -> Verdict {
    on_machine(facts, |machine| {
        let podman = machine.has_podman();
        let place = if podman { Use::Home } else { Use::Docker };
        let shared = machine.place(place).zip(machine.place(Use::Var));
        // what /var has to have leaves an engine's images too little with Podman
        let counted = facts.role == Role::Server || !podman;
        if let Some((place, var)) = shared.filter(|(place, var)| counted && place.store == var.store) {
            return Verdict::skipped(format!("{} lies on that of {}: see disk-var", place.path, var.path));
        }
        let need = match (facts.role, podman) {
            (Role::Server, _) => (70, 150),
            (Role::Engine, true) => (150, 150),
            (Role::Engine, false) => (50, 50),
        };
        size(facts, place, need)
    })
}

pub(super) fn temporary(facts: &Facts) -> Verdict {
    size(facts, Use::Temporary, (10, 10))
}
