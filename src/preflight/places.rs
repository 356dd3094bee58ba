//! File systems: of what type they are, how they are mounted, and how many names they can still take.

use super::Verdict;
use super::facts::{Facts, Machine, Place, Use};
use super::sizes::on_machine;

/// Types whose files are on other machines, or are shared with them.
const NETWORK: &[&str] = &[
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "afs", "9p", "lustre", "beegfs", "gfs2", "ocfs2", "ncpfs",
];
/// Types that are empty after a start.
const MEMORY: &[&str] = &["tmpfs", "ramfs"];
/// Types that keep no owners and modes.
const OWNERLESS: &[&str] =
    &["vfat", "msdos", "exfat", "ntfs", "ntfs3", "fuseblk", "hfsplus", "udf", "iso9660"];

/// Below this share of free names, in percent, a file system is nearly full of them.
const FEW_NAMES: u64 = 5;
/// Names that a first installation makes besides those of the release.
const OWN_NAMES: u64 = 100;

/// What is the matter with a file system, the worst first.
struct Troubles<'a>(&'a Place);

impl Troubles<'_> {
    fn read_only(&self) -> Option<&'static str> {
        self.0.has("ro").then_some("is mounted read-only")
    }

    fn noexec(&self) -> Option<&'static str> {
        self.0.has("noexec").then_some("is mounted noexec")
    }

    fn nosuid(&self) -> Option<&'static str> {
        self.0.has("nosuid").then_some("is mounted nosuid")
    }

    fn network(&self) -> Option<&'static str> {
        NETWORK.contains(&self.0.kind.as_str()).then_some("lies on other machines")
    }

    fn fuse(&self) -> Option<&'static str> {
        self.0.kind.starts_with("fuse").then_some("is served by a program (FUSE)")
    }

    fn memory(&self) -> Option<&'static str> {
        MEMORY.contains(&self.0.kind.as_str()).then_some("lies in memory")
    }

    fn ownerless(&self) -> Option<&'static str> {
        OWNERLESS.contains(&self.0.kind.as_str()).then_some("keeps no owners and modes")
    }
}

/// Judges a place by what breaks it and what is only a pity.
fn judge(place: &Place, breaks: &[Option<&str>], pity: &[Option<&str>]) -> Verdict {
    let told = |why: &str| format!("{}: {} on {} {why}", place.path, place.kind, place.point);
    let list = |all: &[Option<&str>]| all.iter().flatten().copied().collect::<Vec<_>>().join(" and ");
    match (list(breaks), list(pity)) {
        (breaks, _) if !breaks.is_empty() => Verdict::fail(told(&breaks)),
        (_, pity) if !pity.is_empty() => Verdict::warn(told(&pity)),
        _ => Verdict::pass(format!("{}: {} on {}", place.path, place.kind, place.point)),
    }
}

fn at(facts: &Facts, wanted: Use, judge: impl Fn(&Machine, &Place) -> Verdict) -> Verdict {
    on_machine(facts, |machine| match machine.place(wanted) {
        Some(place) => judge(machine, place),
        None => Verdict::skipped("its file system could not be looked at"),
    })
}

/// The release is exchanged there in one step, and run from there.
pub(super) fn tree(facts: &Facts) -> Verdict {
    at(facts, Use::Tree, |machine, place| {
        let is = Troubles(place);
        if machine.tree_is_mounted {
            return Verdict::fail(format!("{} is itself a mount point", place.path));
        }
        let breaks = [is.read_only(), is.noexec(), is.network(), is.fuse(), is.ownerless()];
        judge(place, &breaks, &[is.nosuid(), is.memory()])
    })
}

/// Servers of one cluster share their data by NFS, so that is no mistake in itself.
pub(super) fn data(facts: &Facts) -> Verdict {
    at(facts, Use::Data, |_, place| {
        let is = Troubles(place);
        judge(place, &[is.read_only(), is.memory(), is.ownerless()], &[is.noexec(), is.network(), is.fuse()])
    })
}

/// Journal, receipts and what is kept for a way back.
pub(super) fn state(facts: &Facts) -> Verdict {
    at(facts, Use::State, |_, place| {
        let is = Troubles(place);
        let breaks = [is.read_only(), is.memory(), is.ownerless(), is.network(), is.fuse()];
        judge(place, &breaks, &[])
    })
}

pub(super) fn logs(facts: &Facts) -> Verdict {
    at(facts, Use::Logs, |_, place| {
        let is = Troubles(place);
        judge(place, &[is.read_only(), is.ownerless()], &[is.memory(), is.network(), is.fuse()])
    })
}

pub(super) fn temporary(facts: &Facts) -> Verdict {
    at(facts, Use::Temporary, |_, place| {
        let is = Troubles(place);
        judge(place, &[is.read_only()], &[is.noexec(), is.network(), is.fuse()])
    })
}

/// The file is read as data; it is run only where it is what is called.
pub(super) fn payload(facts: &Facts) -> Verdict {
    let given = facts.machine.as_ref().is_none_or(|machine| machine.place(Use::Payload).is_some());
    if !given {
        return Verdict::skipped("no FILE was given");
    }
    at(facts, Use::Payload, |_, place| {
        let is = Troubles(place);
        judge(place, &[], &[is.noexec(), is.network(), is.fuse()])
    })
}

/// Names that are free where files are made.
pub(super) fn inodes(facts: &Facts) -> Verdict {
    on_machine(facts, |machine| {
        let wanted = facts.names.saturating_add(OWN_NAMES);
        let counted: Vec<&Place> = [Use::Tree, Use::State, Use::Data, Use::Logs]
            .into_iter()
            .filter_map(|is| machine.place(is))
            .filter(|place| place.inodes.total > 0)
            .collect();
        let told = |place: &Place| {
            format!("{} of {} are free on {}", place.inodes.free, place.inodes.total, place.point)
        };
        if let Some(place) = counted.iter().find(|place| place.inodes.free < wanted) {
            return Verdict::fail(format!("{}, {wanted} are needed", told(place)));
        }
        let few = |place: &&&Place| place.inodes.free < place.inodes.total / 100 * FEW_NAMES;
        if let Some(place) = counted.iter().find(few) {
            return Verdict::warn(told(place));
        }
        match counted.first() {
            Some(place) => Verdict::pass(told(place)),
            None => Verdict::pass("these file systems do not count them"),
        }
    })
}
