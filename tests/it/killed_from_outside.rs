//! The kernel is the one that ends a run, or refuses a call: strace kills the program at its n-th call
//! of a kind, or makes calls fail. Unlike the sweeps of `crash_upgrade` this knows nothing of the
//! program's own fault points, so it finds a change that passes none, and it works on all threads.

use std::collections::{BTreeSet, HashMap};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::crash::{Change, Sweep, Verdict, recover, same_product, succeeds};
use crate::crash_upgrade::{fits, rollback, upgrade, upgraded};
use crate::lost_writes::is_whole;
use crate::support::installer::{Root, said, summary};
use crate::support::trace::strace;
use crate::upgrade::in_use;

const WORKERS: usize = 2;
const SIGKILL: i32 = 9;
/// Calls that change a file system. Between two of them the disk is the same.
const CHANGING: &str = "openat,mkdir,mkdirat,write,ftruncate,copy_file_range,rename,renameat2,linkat,\
    symlinkat,unlink,unlinkat,fchmod,chmod,utimensat,fsync,fdatasync,syncfs";

/// The n-th call of a name, as strace counts: for each thread by itself.
type Point = (String, usize);

/// With one worker, so that the order of calls is the same in every run.
fn alone(mut command: Command) -> Command {
    command.env("DEMISTO_INSTALL_FAULT_LOG", "/dev/null");
    command
}

/// The calls of these names on its root, in a run that must succeed; of `openat` also all others that
/// follow the first of them.
fn points(command: &Command, names: &str) -> (Vec<Point>, String) {
    let (output, log) = strace(command, &["-y", "-e", &format!("trace={names}")]);
    assert!(output.status.success(), "{}", said(&output));
    let root = command.get_args().nth(2).unwrap().to_str().unwrap().to_owned();
    let mut counts: HashMap<(&str, &str), usize> = HashMap::new();
    let mut before: HashMap<String, usize> = HashMap::new();
    let (mut points, mut first, mut began) = (BTreeSet::new(), None, false);
    for line in log.lines() {
        let (thread, rest) = line.split_once(' ').unwrap();
        let Some((name, _)) = rest.trim_start().split_once('(') else { continue };
        let loading = *first.get_or_insert(thread) == thread && !rest.contains(&root);
        began |= !loading;
        let count = counts.entry((thread, name)).or_default();
        *count += 1;
        if began && (name == "openat" || rest.contains(&root)) {
            points.insert((name.to_owned(), *count));
        } else if !began {
            before.insert(name.to_owned(), *count);
        }
    }
    // the same ordinal may be one of another thread's, but the first thread would come to it before
    points.retain(|(name, number)| before.get(name).is_none_or(|loading| number > loading));
    (points.into_iter().collect(), log)
}

/// A share of the points, spread over all names.
fn some(points: &[Point], step: usize) -> Vec<Point> {
    points.iter().step_by(step).cloned().collect()
}

/// Tries each point on two threads; panics when something is broken. Gives how many said yes.
fn each(what: &str, points: &[Point], check: &(dyn Fn(&Point) -> Result<bool, String> + Sync)) -> usize {
    let (next, hit, broken) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(point) = points.get(next.fetch_add(1, Ordering::SeqCst)) {
            match check(point) {
                Ok(was_hit) => drop(hit.fetch_add(usize::from(was_hit), Ordering::SeqCst)),
                Err(why) => broken.lock().unwrap().push(format!("{point:?}: {why}")),
            }
        }
    };
    std::thread::scope(|scope| (0..WORKERS).for_each(|_| drop(scope.spawn(work))));
    let broken = broken.into_inner().unwrap();
    assert!(broken.is_empty(), "{what}: {} broken\n{}", broken.len(), broken.join("\n"));
    hit.into_inner()
}

fn inject(point: &Point, how: &str) -> [String; 2] {
    let (name, number) = point;
    ["-e".to_owned(), format!("inject={name}:{how}:when={number}")]
}

/// The run on a root with this injection.
fn injected(command: &Command, point: &Point, how: &str) -> (std::process::Output, bool) {
    let [flag, inject] = inject(point, how);
    let only = format!("trace={}", point.0);
    let (output, log) = strace(command, &["-e", &only, &flag, &inject]);
    (output, log.contains("(INJECTED)") || log.contains("killed by SIGKILL"))
}

fn killed(sweep: &Sweep, which: &str, command: &(dyn Fn(&Path) -> Command + Sync), wanted: usize) -> String {
    let (all, _) = points(&command((sweep.change.root)().path()), CHANGING);
    let points = some(&all, all.len().div_ceil(wanted).max(1));
    let tried = AtomicUsize::new(0);
    let check = |point: &Point| {
        let root = (sweep.change.root)();
        let (output, _) = injected(&command(root.path()), point, "signal=KILL");
        let hit = output.status.signal() == Some(SIGKILL);
        if !hit {
            // threads share the work differently in every run
            succeeds(&output)?;
            sweep.is_after(&root)?;
            return Ok(false);
        }
        is_whole(sweep, &root)?;
        succeeds(&recover(&root).output().unwrap())?;
        sweep.is_either(&root)?;
        fits(&root)?;
        if tried.fetch_add(1, Ordering::SeqCst).is_multiple_of(6) {
            succeeds(&sweep.run(&root, None))?;
            sweep.is_after(&root)?;
        }
        Ok(true)
    };
    let name = sweep.change.name;
    let hit = each(name, &points, &check);
    assert!(hit * 4 >= points.len() * 3, "{name}, {which}: only {hit} of {} points were hit", points.len());
    format!(
        "{name}, killed from outside, {which}: {} points of {}, {hit} hit, 0 broken",
        points.len(),
        all.len()
    )
}

#[test]
fn a_kill_at_any_call_is_survived() {
    let (before, after) = (in_use(), upgraded());
    let (old, new) = (|| Root::copy(&before), || Root::copy(&after));
    let up = Sweep::new(Change { name: "upgrade", root: &old, command: &upgrade });
    let down = Sweep::new(Change { name: "rollback", root: &new, command: &rollback });
    let told = [
        killed(&up, "one worker", &|root| alone(upgrade(root)), 80),
        killed(&up, "several threads", &upgrade, 60),
        killed(&down, "one worker", &|root| alone(rollback(root)), 40),
    ];
    summary("killed-from-outside", &told.join("\n"));
}

/// What must follow when a call failed: the message says what failed and all is as it was; or it was
/// no matter, and all is as it should be.
fn judged(sweep: &Sweep, root: &Root, output: &std::process::Output, mute: bool) -> Verdict {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) if stderr.contains("tidy up") => same_product(&sweep.after, root),
        Some(0) => sweep.is_after(root),
        Some(5) => {
            is_whole(sweep, root)?;
            succeeds(&recover(root).output().unwrap())?;
            sweep.is_either(root)
        }
        Some(1..=4) if !mute && !stderr.contains("cannot ") => {
            Err(format!("it is not told: {}", said(output)))
        }
        Some(1..=4) => sweep.is_before(root),
        _ => Err(said(output)),
    }
    .and_then(|()| fits(root))
}

/// Each of these errors at some calls of these names, once, or from there on at every one.
#[test]
fn an_error_of_any_call_is_survived() {
    let before = in_use();
    let root = || Root::copy(&before);
    let sweep = Sweep::new(Change { name: "upgrade", root: &root, command: &upgrade });
    let command = |root: &Path| alone(upgrade(root));
    let errors = [
        ("fsync", "EIO", "", 8),
        ("fdatasync", "EIO", "", 6),
        ("syncfs", "EIO", "", 2),
        ("write", "ENOSPC", "", 8),
        ("write", "EDQUOT", "", 4),
        ("write", "ENOSPC", "+", 6),
        ("fsync", "EIO", "+", 6),
        ("openat", "EMFILE", "", 10),
        ("openat", "EROFS", "", 6),
        ("openat", "EMFILE", "+", 6),
        ("mkdirat", "ENOSPC", "", 4),
        ("unlinkat", "EROFS", "", 4),
        ("renameat2", "EROFS", "", 6),
        ("fchmod", "EPERM", "", 6),
        ("symlinkat", "EDQUOT", "", 2),
        ("copy_file_range", "ENOSPC", "", 4),
    ];
    let mut told = Vec::new();
    for (name, errno, on, wanted) in errors {
        let (all, _) = points(&command(root().path()), name);
        let points = some(&all, all.len().div_ceil(wanted).max(1));
        let check = |point: &Point| {
            let root = root();
            let how = format!("error={errno}");
            let [flag, inject] = inject(point, &how);
            let only = format!("trace={name}");
            let (output, log) =
                strace(&command(root.path()), &["-e", &only, &flag, &format!("{inject}{on}")]);
            judged(&sweep, &root, &output, name == "write" && on == "+")?; // nothing can be said then
            Ok(log.contains("(INJECTED)"))
        };
        let hit = each(&format!("{name} {errno}{on}"), &points, &check);
        assert_eq!(hit, points.len(), "{name} {errno}: not every error was injected");
        told.push(format!(
            "upgrade, {name} fails with {errno}{on}: {} of {} calls, 0 broken",
            points.len(),
            all.len()
        ));
    }
    summary("errors-from-outside", &told.join("\n"));
}

/// The ordinals of the calls that swap two trees.
fn exchanges(log: &str) -> Vec<usize> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let mut found = Vec::new();
    for line in log.lines() {
        let (thread, rest) = line.split_once(' ').unwrap();
        if rest.trim_start().starts_with("renameat2(") {
            let count = counts.entry(thread).or_default();
            *count += 1;
            if rest.contains("RENAME_EXCHANGE") {
                found.push(*count);
            }
        }
    }
    found
}

/// The ordinals at which the swaps come when each that failed is followed by three more renames.
fn shifted(ordinals: &[usize]) -> String {
    match ordinals {
        [one] => one.to_string(),
        [one, two] => format!("{one}..{}+{}", two + 3, two + 3 - one),
        _ => panic!("one or two exchanges were expected, not {ordinals:?}"),
    }
}

/// A file system that cannot swap: three renames do it, and a kill between them is undone.
#[test]
fn without_exchange_three_renames_do_it() {
    let (before, after) = (in_use(), upgraded());
    let (old, new) = (|| Root::copy(&before), || Root::copy(&after));
    let up = Sweep::new(Change { name: "upgrade", root: &old, command: &upgrade });
    let down = Sweep::new(Change { name: "rollback", root: &new, command: &rollback });
    let mut told = Vec::new();
    for sweep in [&up, &down] {
        let command = |root: &Path| alone((sweep.change.command)(root));
        let (_, log) = points(&command((sweep.change.root)().path()), "renameat2");
        let inject = format!("inject=renameat2:error=EINVAL:when={}", shifted(&exchanges(&log)));
        let options = ["-e", "trace=renameat2", "-e", &inject];

        let root = (sweep.change.root)();
        let names = tempfile::NamedTempFile::new().unwrap();
        let mut whole = command(root.path());
        let (output, log) = strace(whole.env("DEMISTO_INSTALL_FAULT_LOG", names.path()), &options);
        let swaps: Vec<&str> = log.lines().filter(|line| line.contains("RENAME_EXCHANGE")).collect();
        assert!(!swaps.is_empty() && swaps.iter().all(|line| line.contains("(INJECTED)")), "{log}");
        assert_eq!(log.matches("(INJECTED)").count(), swaps.len(), "{log}");
        succeeds(&output).and_then(|()| sweep.is_after(&root)).and_then(|()| fits(&root)).unwrap();

        let names = std::fs::read_to_string(names.path()).unwrap();
        let names = names.lines().enumerate().filter(|(_, line)| line.ends_with(" rename"));
        let renames: Vec<usize> = names.map(|(at, _)| at + 1).collect();
        let check = |(_, at): &Point| -> Result<bool, String> {
            let root = (sweep.change.root)();
            let mut command = (sweep.change.command)(root.path());
            let (output, _) = strace(command.env("DEMISTO_INSTALL_FAULT_AT", at.to_string()), &options);
            if output.status.signal() != Some(SIGKILL) {
                return Err(format!("was not killed: {}", said(&output)));
            }
            succeeds(&recover(&root).output().unwrap())?;
            sweep.is_either(&root)?;
            fits(&root)?;
            Ok(true)
        };
        let mut around = Vec::new();
        for number in exchanges(&log) {
            // the swap that fails, the three renames, and two syncs after them
            let first = renames[number - 1];
            around.extend((first..first + 7).map(|at| ("point".to_owned(), at)));
        }
        assert_eq!(each("killed without exchange", &around, &check), around.len());
        told.push(format!(
            "{}, no exchange: done by three renames, {} kills around them, 0 broken",
            sweep.change.name,
            around.len()
        ));
    }
    summary("no-exchange", &told.join("\n"));
}

/// Where files cannot be linked they are copied.
#[test]
fn without_hard_links_files_are_copied() {
    let before = in_use();
    let root = || Root::copy(&before);
    let sweep = Sweep::new(Change { name: "upgrade", root: &root, command: &upgrade });
    for errno in ["EPERM", "EMLINK", "EXDEV"] {
        let root = root();
        let inject = format!("inject=linkat:error={errno}");
        let (output, log) = strace(&upgrade(root.path()), &["-e", "trace=linkat", "-e", &inject]);
        assert!(log.contains("(INJECTED)"), "{errno}: nothing was linked");
        succeeds(&output).and_then(|()| sweep.is_after(&root)).and_then(|()| fits(&root)).unwrap();
        succeeds(&rollback(root.path()).output().unwrap()).unwrap();
        let ours = |path: &str| !path.contains("/.demisto.retained");
        let differences = sweep.before.clone().only(ours).differences(&root.snapshot().only(ours));
        assert_eq!(differences, [""; 0], "{errno}");
    }
}
