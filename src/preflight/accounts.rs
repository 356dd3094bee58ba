//! The service's account and its numbers.

use super::Verdict;
use super::facts::{Account, Facts};
use crate::product::{DATA_DIR, SERVICE_USER};

/// Shells that let nobody in.
const NO_LOGIN: &[&str] = &["/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false", ""];
/// Homes that the vendor's installer and Podman's page give it.
const HOMES: [&str; 2] = [DATA_DIR, "/home/demisto"];
/// The vendor's page on Podman gives that many subordinate ids.
const SUB_IDS: u64 = 65_536;

pub(super) fn account(facts: &Facts) -> Verdict {
    let Some(account) = &facts.account else { return Verdict::skipped("there is no account database") };
    let Some(uid) = account.uid else {
        return match account.gid {
            Some(0) => Verdict::fail(format!("the group {SERVICE_USER} has root's number")),
            _ => Verdict::pass(format!("{SERVICE_USER} is not there yet and will be made")),
        };
    };
    if uid == 0 || account.gid == Some(0) || account.primary == Some(0) {
        return Verdict::fail(format!("{SERVICE_USER} has root's number"));
    }
    let odd = oddities(account);
    if !odd.is_empty() {
        return Verdict::warn(format!("{SERVICE_USER} {}", odd.join(", ")));
    }
    let gid = account.gid.map_or_else(|| "no group of its own".to_owned(), |gid| format!("group {gid}"));
    Verdict::pass(format!("user {uid}, {gid}"))
}

fn oddities(account: &Account) -> Vec<String> {
    let mut odd = Vec::new();
    if !NO_LOGIN.contains(&account.shell.as_str()) {
        odd.push(format!("has the login shell {}", account.shell));
    }
    if !HOMES.contains(&account.home.as_str()) {
        odd.push(format!("has the home {}", account.home));
    }
    if account.gid.is_some() && account.gid != account.primary {
        odd.push("is not in the group with its name first of all".to_owned());
    }
    if !account.local {
        odd.push("is known to a directory service only, not to this host".to_owned());
    }
    odd
}

/// All nodes that share a disk need the same numbers.
pub(super) fn numbers(facts: &Facts) -> Verdict {
    let expected = &facts.expected;
    if expected.uid.is_none() && expected.gid.is_none() {
        return Verdict::skipped("no number was given: --expect-uid, --expect-gid");
    }
    let Some(account) = &facts.account else { return Verdict::skipped("there is no account database") };
    let kinds = [
        ("user", expected.uid, account.uid, &expected.uid_of),
        ("group", expected.gid, account.gid, &expected.gid_of),
    ];
    let mut wrong = Vec::new();
    let mut right = Vec::new();
    for (kind, wanted, is, holder) in kinds {
        let Some(wanted) = wanted else { continue };
        match (is, holder) {
            (Some(is), _) if is == wanted => right.push(format!("{kind} {is}")),
            (Some(is), _) => wrong.push(format!("the {kind} {SERVICE_USER} has {is}, not {wanted}")),
            (None, Some(other)) => wrong.push(format!("{kind} {wanted} is {other}")),
            (None, None) => {
                wrong.push(format!("the {kind} {SERVICE_USER} is not there yet; {wanted} is free"))
            }
        }
    }
    if wrong.is_empty() { Verdict::pass(right.join(", ")) } else { Verdict::fail(wrong.join("; ")) }
}

/// Rootless Podman gives containers users of their own out of these.
pub(super) fn sub_ids(facts: &Facts) -> Verdict {
    let Some(machine) = &facts.machine else { return Verdict::skipped(super::sizes::ELSEWHERE) };
    if !machine.has_podman() {
        return Verdict::skipped("only Podman needs them, and it is not what runs containers here");
    }
    let have = facts.sub_ids;
    let seen = format!("{} user ids and {} group ids", have.users, have.groups);
    if have.users.min(have.groups) >= SUB_IDS { Verdict::pass(seen) } else { Verdict::fail(seen) }
}
