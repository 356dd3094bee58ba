//! Power cuts: what was not synced is lost, in every way that a file system may lose it. From the
//! recorded calls of one run come images of the disk (`support::disk`); the recovery works on each.
//! The tree is the old one or the new one, the records fit it, and the next run ends well.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::crash::{Change, Sweep, Verdict, install, installed, recover, succeeds, uninstall};
use crate::crash_repair::{damaged, repair};
use crate::crash_upgrade::{fits, rollback, upgrade, upgraded};
use crate::support::disk::{Disk, Image};
use crate::support::installer::{Root, Snapshot, run, summary};
use crate::support::trace::{Call, changes};
use crate::upgrade::in_use;

const WORKERS: usize = 2;
/// One of so many images is also followed by a second run.
const AGAIN: usize = 9;

/// A recorded run.
struct Recording {
    start: Disk,
    calls: Vec<Call>,
    /// Inode numbers that the records may name.
    real: HashMap<u64, usize>,
}

impl Recording {
    fn new(root: &Root, command: &dyn Fn(&Path) -> Command) -> Self {
        let start = Disk::new(root);
        let mut disk = start.clone();
        let calls = changes(&mut command(root.path()));
        calls.iter().for_each(|call| _ = disk.apply(call));
        let real = disk.real_numbers(root);
        let end = disk.images(0).into_iter().find(|image| image.name == "nothing lost").unwrap();
        let differences = root.snapshot().differences(&disk.make(&end, &real).snapshot());
        assert_eq!(differences, [""; 0], "the recording lacks something");
        Self { start, calls, real }
    }
}

/// A change whose images are tried.
struct Trial<'a> {
    sweep: Sweep<'a>,
    /// Whether the place of the program has a whole tree at any time.
    always_whole: bool,
    /// What else must be so after the recovery.
    fits: &'a (dyn Fn(&Root) -> Verdict + Sync),
    /// One of so many moments is tried.
    step: usize,
}

impl Trial<'_> {
    /// Makes and tries every image; tells how many.
    fn run(&self) -> String {
        let root = (self.sweep.change.root)();
        let recording = Recording::new(&root, self.sweep.change.command);
        self.images(self.sweep.change.name, &recording, self.step)
    }

    /// Kills the change at some of its points, and lets the power fail while that is recovered.
    fn recoveries(&self, kills: usize) -> String {
        let points = self.sweep.points.len();
        let told: Vec<String> = (1..=kills)
            .map(|kill| {
                let point = points * kill / (kills + 1);
                let killed = self.sweep.killed(point).unwrap();
                let recording = Recording::new(&killed, &|root| run("recover", root));
                self.images(&format!("{} killed at {point}, recovery", self.sweep.change.name), &recording, 2)
            })
            .collect();
        told.join("\n")
    }

    fn images(&self, name: &str, recording: &Recording, step: usize) -> String {
        let (images, moments) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (seen, broken) = (Mutex::new(HashSet::new()), Mutex::new(Vec::new()));
        let work = |worker: usize| {
            let mut disk = recording.start.clone();
            let mut moment = 0;
            for call in &recording.calls {
                if !disk.apply(call) {
                    continue;
                }
                moment += 1;
                if moment % step != 0 || moment / step % WORKERS != worker {
                    continue;
                }
                moments.fetch_max(moment, Ordering::SeqCst);
                for image in disk.images((moment as u64 * 0x9e37_79b9) >> 7) {
                    if !seen.lock().unwrap().insert(disk.fingerprint(&image)) {
                        continue;
                    }
                    let number = images.fetch_add(1, Ordering::SeqCst);
                    if let Err(why) = self.check(&disk, &image, recording, number) {
                        let text = format!("after call {moment} ({}), {}: {why}", call.name, image.name);
                        broken.lock().unwrap().push(text);
                    }
                }
            }
        };
        std::thread::scope(|scope| (0..WORKERS).for_each(|worker| drop(scope.spawn(move || work(worker)))));
        let broken = broken.into_inner().unwrap();
        let text = format!(
            "{name}, lost writes: {} images from {} operations, {} broken",
            images.into_inner(),
            moments.into_inner(),
            broken.len()
        );
        assert!(broken.is_empty(), "{text}\n{}", broken.join("\n"));
        text
    }

    fn check(&self, disk: &Disk, image: &Image, recording: &Recording, number: usize) -> Verdict {
        let root = disk.make(image, &recording.real);
        if self.always_whole {
            is_whole(&self.sweep, &root)?;
        }
        succeeds(&recover(&root).output().unwrap())?;
        self.sweep.is_either(&root)?;
        (self.fits)(&root)?;
        if number.is_multiple_of(AGAIN) {
            succeeds(&self.sweep.run(&root, None))?;
            self.sweep.is_after(&root)?;
        }
        Ok(())
    }
}

/// Before any recovery the service finds one of the two trees.
pub(crate) fn is_whole(sweep: &Sweep, root: &Root) -> Verdict {
    let live = |snapshot: Snapshot| snapshot.only(|path| path.starts_with("usr/local/demisto"));
    let found = live(root.snapshot());
    let differences = |wanted: &Snapshot| live(wanted.clone()).differences(&found);
    let (old, new) = (differences(&sweep.before), differences(&sweep.after));
    if old.is_empty() || new.is_empty() {
        return Ok(());
    }
    Err(format!("the tree is not whole: {}, nor {}", old.join("; "), new.join("; ")))
}

fn change<'a>(
    name: &'a str,
    root: &'a (dyn Fn() -> Root + Sync),
    command: &'a (dyn Fn(&Path) -> Command + Sync),
) -> Sweep<'a> {
    Sweep::new(Change { name, root, command })
}

/// One trial, whose tree is whole at any time or not.
fn trial<'a>(sweep: Sweep<'a>, always_whole: bool) -> Trial<'a> {
    Trial { sweep, always_whole, fits: &fits, step: 1 }
}

#[test]
fn install_and_uninstall_survive_lost_writes() {
    let model = installed();
    let copy = || Root::copy(&model);
    let uninstall = trial(change("uninstall", &copy, &uninstall), false);
    let told = [
        trial(change("install", &Root::furnished, &install), false).run(),
        uninstall.run(),
        uninstall.recoveries(2),
    ];
    summary("lost-writes-install", &told.join("\n"));
}

#[test]
fn upgrade_and_rollback_survive_lost_writes() {
    let (before, after) = (in_use(), upgraded());
    let (old, new) = (|| Root::copy(&before), || Root::copy(&after));
    let (up, down) =
        (trial(change("upgrade", &old, &upgrade), true), trial(change("rollback", &new, &rollback), true));
    summary("lost-writes-upgrade", &[up.run(), down.run(), up.recoveries(3), down.recoveries(1)].join("\n"));
}

#[test]
fn repair_survives_lost_writes() {
    let model = damaged();
    let copy = || Root::copy(&model);
    // what is damaged fits nothing
    let trial = Trial { fits: &|_| Ok(()), ..trial(change("repair", &copy, &repair), false) };
    summary("lost-writes-repair", &[trial.run(), trial.recoveries(2)].join("\n"));
}
