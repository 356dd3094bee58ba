//! The installed certificates and keys, and what the service shows.

use super::Verdict;
use super::evidence::{Certificates, Evidence, Kept};

const MODE: u32 = 0o400;

fn pairs(seen: &Evidence) -> Result<&[Certificates], Verdict> {
    match &seen.certificates {
        Ok(all) if all.is_empty() => Err(Verdict::not_applicable("there is no certificate")),
        Ok(all) => Ok(all),
        Err(why) => Err(Verdict::manual(why)),
    }
}

/// What is there and cannot be read. It may be anything, so it is never as good as nothing.
fn unread(all: &[Certificates]) -> impl Iterator<Item = String> {
    all.iter().flat_map(|set| set.unread.iter().map(|what| format!("{}: {what}", set.title)))
}

pub(super) fn rules(seen: &Evidence) -> Verdict {
    let all = match pairs(seen) {
        Ok(all) => all,
        Err(verdict) => return verdict,
    };
    let errors = all.iter().flat_map(|set| set.errors.iter().map(|what| format!("{}: {what}", set.title)));
    let errors = errors.chain(unread(all));
    let shown = all.iter().flat_map(|set| set.seen.iter().map(|what| format!("{}: {what}", set.title)));
    let warned =
        all.iter().flat_map(|set| set.warnings.iter().map(|w| format!("{}: warning: {w}", set.title)));
    if all.iter().all(|set| set.files.is_empty() && set.unread.is_empty()) {
        return Verdict::manual("there is nothing to be looked at");
    }
    Verdict::of(errors.collect(), shown.chain(warned).collect())
}

pub(super) fn places(seen: &Evidence) -> Verdict {
    let all = match pairs(seen) {
        Ok(all) => all,
        Err(verdict) => return verdict,
    };
    let files = match &seen.files {
        Ok(files) => files.iter().filter(|file| file.kept == Kept::Pair),
        Err(why) => return Verdict::manual(why),
    };
    let mut wrong: Vec<String> = all.iter().flat_map(|set| set.places.clone()).collect();
    let mut fine = Vec::new();
    for file in files {
        let told = format!("{} has mode {:04o} and belongs to {}", file.path, file.mode, file.owner);
        if file.mode == MODE && !file.foreign_owner && !file.foreign_group {
            fine.push(told);
        } else {
            wrong.push(format!("{told}, not 0400 and the service's"));
        }
    }
    Verdict::of(wrong, fine)
}

pub(super) fn anchors(seen: &Evidence) -> Verdict {
    let all = match pairs(seen) {
        Ok(all) => all,
        Err(verdict) => return verdict,
    };
    let (mut wrong, mut fine) = (unread(all).collect::<Vec<_>>(), Vec::new());
    for set in all {
        let found = match &set.authorities {
            Ok(found) => found,
            Err(why) if wrong.is_empty() => return Verdict::manual(why),
            Err(_) => continue,
        };
        for (name, trusted) in found {
            match trusted {
                true => fine.push(format!("{}: {name} is in the host's store", set.title)),
                false => wrong.push(format!("{}: {name} is not in the host's store", set.title)),
            }
        }
    }
    match (wrong.is_empty(), fine.is_empty()) {
        (true, true) => Verdict::not_applicable("no authority is in the installed chains"),
        _ => Verdict::of(wrong, fine),
    }
}

pub(super) fn served(seen: &Evidence) -> Verdict {
    let shake = match &seen.handshake {
        Ok(shake) => shake,
        Err(why) => return Verdict::manual(why),
    };
    let all = match pairs(seen) {
        Ok(all) => all,
        Err(verdict) => return verdict,
    };
    let served = all.iter().find(|set| set.served);
    if let Some(set) = served.filter(|set| !set.unread.is_empty()) {
        return Verdict::of(set.unread.clone(), Vec::new());
    }
    let installed = served.and_then(|set| set.leaf);
    match (shake.leaf, installed) {
        (Some(shown), Some(installed)) if shown == installed => {
            Verdict::pass(format!("port {} shows the installed certificate, SHA-256 {shown}", shake.port))
        }
        (Some(shown), Some(installed)) => Verdict::fail(format!(
            "port {} shows the certificate with SHA-256 {shown}, but {installed} is installed",
            shake.port
        )),
        (None, _) => Verdict::manual(format!("port {} shows no certificate", shake.port)),
        (_, None) => Verdict::manual("there is no certificate to compare with"),
    }
}
