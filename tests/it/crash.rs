//! Sudden death and failing calls at every point of a change. Whatever happened, the host is as it
//! was or as it should be, and the next run ends well.
//!
//! The points are those of `sys::fault`: every change to the disk and every journal record passes one.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::installer::{Root, Snapshot, Vendor, run, said, summary};

const SIGKILL: i32 = 9;
pub(crate) const EIO: i32 = 5;
pub(crate) const ENOSPC: i32 = 28;
/// What a call may end with: EIO, ENOSPC, EDQUOT, EROFS, EACCES, EINTR.
const ERRORS: [i32; 6] = [EIO, ENOSPC, 122, 30, 13, 4];

/// Whether nothing is left out, however long it takes: `errors` is every kind of error at each point,
/// anything else is that and every point of all sweeps.
fn every(what: &str) -> bool {
    std::env::var("DEMISTO_TEST_EVERY").is_ok_and(|chosen| chosen == what || chosen != "errors")
}

/// Workers of one sweep.
const WORKERS: usize = 2;

/// A change that is swept: how to begin, and what to run.
pub(crate) struct Change<'a> {
    pub(crate) name: &'a str,
    pub(crate) root: &'a (dyn Fn() -> Root + Sync),
    pub(crate) command: &'a (dyn Fn(&Path) -> Command + Sync),
}

/// A change together with how it goes when nobody disturbs it.
pub(crate) struct Sweep<'a> {
    pub(crate) change: Change<'a>,
    pub(crate) points: Vec<String>,
    pub(crate) before: Snapshot,
    pub(crate) after: Snapshot,
}

pub(crate) type Verdict = Result<(), String>;

impl<'a> Sweep<'a> {
    /// Runs the change once, counting its points.
    pub(crate) fn new(change: Change<'a>) -> Self {
        let root = (change.root)();
        let before = root.snapshot();
        let points = points(&mut (change.command)(root.path()), change.name);
        let after = root.snapshot();
        assert!(!points.is_empty(), "no point was passed: build with --features fault-injection");
        assert_ne!(before, after);
        assert_eq!(root.leftovers(), [""; 0], "{} leaves something", change.name);
        Self { change, points, before, after }
    }

    pub(crate) fn run(&self, root: &Root, fault: Option<&str>) -> Output {
        let mut command = (self.change.command)(root.path());
        if let Some(fault) = fault {
            command.env("DEMISTO_INSTALL_FAULT_AT", fault);
        }
        command.output().unwrap()
    }

    /// A root in which the change was cut off at point `number`.
    pub(crate) fn killed(&self, number: usize) -> Result<Root, String> {
        let root = (self.change.root)();
        let output = self.run(&root, Some(&number.to_string()));
        match output.status.signal() {
            Some(SIGKILL) => Ok(root),
            _ => Err(format!("was not killed: {}", said(&output))),
        }
    }

    /// Every `step`-th point, on two threads; gives the summary, and panics when something is broken.
    pub(crate) fn each(&self, what: &str, step: usize, check: &(dyn Fn(usize) -> Verdict + Sync)) -> String {
        let step = if every("points") { 1 } else { step };
        let numbers: Vec<usize> = (1..=self.points.len()).step_by(step).collect();
        self.these(what, &numbers, check)
    }

    /// An error at every point: each of [`ERRORS`] in turn, and with `DEMISTO_TEST_EVERY` all of them
    /// at each. Gives the summary.
    pub(crate) fn errors(&self) -> String {
        let all = self.points.len();
        let injected = if every("errors") { ERRORS.len() * all } else { all };
        let check = |number: usize| {
            let chosen =
                ERRORS.iter().enumerate().filter(|(i, _)| every("errors") || number % ERRORS.len() == *i);
            chosen.map(|(_, errno)| *errno).try_for_each(|errno| {
                self.fails(number, errno).map_err(|why| format!("error {errno}: {why}"))
            })
        };
        let numbers: Vec<usize> = (1..=all).collect();
        self.these("errors", &numbers, &check);
        format!("{}: {all} points, {injected} errors injected, 0 broken", self.change.name)
    }

    /// All that is tried at every point, or at every fifth where it takes as many runs again. Gives the summaries.
    pub(crate) fn whole(&self) -> Vec<String> {
        vec![
            self.each("killed and run again", 1, &|number| self.again(number)),
            self.each("killed and recovered", 1, &|number| self.recovered(number)),
            self.each("killed, and killed while recovering", 5, &|number| self.killed_twice(number)),
            self.each("killed, and the recovery fails", 5, &|number| self.recovery_fails(number)),
            self.each("i/o error", 1, &|number| self.fails(number, EIO)),
            self.recovery_killed_everywhere(),
            self.errors(),
        ]
    }

    /// As [`each`](Self::each), at these points.
    pub(crate) fn these(
        &self,
        what: &str,
        numbers: &[usize],
        check: &(dyn Fn(usize) -> Verdict + Sync),
    ) -> String {
        let (next, broken) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let work = || {
            while let Some(number) = numbers.get(next.fetch_add(1, Ordering::SeqCst)) {
                if let Err(why) = check(*number) {
                    let name = &self.points[number - 1];
                    broken.lock().unwrap().push(format!("point {number} ({name}): {why}"));
                }
            }
        };
        std::thread::scope(|scope| (0..WORKERS).for_each(|_| drop(scope.spawn(work))));
        let broken = broken.into_inner().unwrap();
        let (name, tested, all) = (self.change.name, numbers.len(), self.points.len());
        let text = format!("{name}, {what}: {tested} of {all} points, {} broken", broken.len());
        assert!(broken.is_empty(), "{text}\n{}", broken.join("\n"));
        text
    }

    pub(crate) fn is_before(&self, root: &Root) -> Verdict {
        same(&self.before, root)
    }

    pub(crate) fn is_after(&self, root: &Root) -> Verdict {
        same(&self.after, root)
    }

    /// All or nothing, and nothing of ours lies about.
    pub(crate) fn is_either(&self, root: &Root) -> Verdict {
        self.is_before(root)
            .or_else(|why| self.is_after(root).map_err(|or| format!("neither {why}, nor {or}")))
    }

    /// Killed, and then run again: it ends as if nothing had happened.
    pub(crate) fn again(&self, number: usize) -> Verdict {
        let root = self.killed(number)?;
        succeeds(&self.run(&root, None))?;
        self.is_after(&root)
    }

    /// Killed, and then recovered: all or nothing.
    pub(crate) fn recovered(&self, number: usize) -> Verdict {
        let root = self.killed(number)?;
        succeeds(&recover(&root).output().unwrap())?;
        self.is_either(&root)?;
        self.ends_well(&root, number)
    }

    /// The run that follows, at every fourth point: all of them had the same root to begin with.
    pub(crate) fn ends_well(&self, root: &Root, number: usize) -> Verdict {
        if !number.is_multiple_of(4) {
            return Ok(());
        }
        succeeds(&self.run(root, None))?;
        self.is_after(root)
    }

    /// Killed, and the recovery is killed as well, at every third point of its own.
    pub(crate) fn killed_twice(&self, number: usize) -> Verdict {
        let count = points(&mut recover(&self.killed(number)?), "recover").len();
        for second in (1..=count).step_by(3) {
            let root = self.killed(number)?;
            let output = recover(&root).env("DEMISTO_INSTALL_FAULT_AT", second.to_string()).output().unwrap();
            if output.status.signal() != Some(SIGKILL) {
                return Err(format!("recovery, point {second}: was not killed"));
            }
            succeeds(&recover(&root).output().unwrap())
                .and_then(|()| self.is_either(&root))
                .map_err(|why| format!("recovery killed at its point {second}: {why}"))?;
        }
        Ok(())
    }

    /// Killed right before its commit record, and right after it, when most is to be undone and to be
    /// tidied up; and the recovery is killed at each of its own points. Gives the summary.
    pub(crate) fn recovery_killed_everywhere(&self) -> String {
        let appends: Vec<usize> =
            (1..=self.points.len()).filter(|at| self.points[at - 1] == "journal append").collect();
        let commit = appends[appends.len() - 2]; // the last is the record of the end
        let mut killed = 0;
        for number in [commit, commit + 3] {
            let count = points(&mut recover(&self.killed(number).unwrap()), "recover").len();
            for second in 1..=count {
                let root = self.killed(number).unwrap();
                let output =
                    recover(&root).env("DEMISTO_INSTALL_FAULT_AT", second.to_string()).output().unwrap();
                assert_eq!(output.status.signal(), Some(SIGKILL), "{}", said(&output));
                let well = succeeds(&recover(&root).output().unwrap()).and_then(|()| self.is_either(&root));
                well.unwrap_or_else(|why| {
                    panic!("{}, point {second} of the recovery: {why}", self.change.name)
                });
            }
            killed += count;
        }
        format!("{}, recovery killed at each of its {killed} points: 0 broken", self.change.name)
    }

    /// A call of the recovery fails, at every third point: it says so with exit code 5, or it is
    /// complete all the same, and a second recovery ends well.
    pub(crate) fn recovery_fails(&self, number: usize) -> Verdict {
        let count = points(&mut recover(&self.killed(number)?), "recover").len();
        for second in (1..=count).step_by(3) {
            let root = self.killed(number)?;
            let fault = format!("{second}:{EIO}");
            let output = recover(&root).env("DEMISTO_INSTALL_FAULT_AT", fault).output().unwrap();
            let ended = match output.status.code() {
                Some(5) => Ok(()),
                Some(0) => self.is_either(&root),
                _ => Err(said(&output)),
            };
            ended
                .and_then(|()| succeeds(&recover(&root).output().unwrap()))
                .and_then(|()| self.is_either(&root))
                .map_err(|why| format!("recovery failed at its point {second}: {why}"))?;
        }
        Ok(())
    }

    /// A call fails, and the program is killed while it undoes what it did, or tidies up.
    pub(crate) fn fails_and_is_killed(&self, number: usize) -> Verdict {
        for second in (number + 1..number + 120).step_by(4) {
            let root = (self.change.root)();
            let output = self.run(&root, Some(&format!("{number}:{EIO},{second}")));
            succeeds(&recover(&root).output().unwrap())
                .and_then(|()| self.is_either(&root))
                .map_err(|why| format!("killed at {second}: {why}"))?;
            if output.status.signal() != Some(SIGKILL) {
                break; // it had ended before that
            }
        }
        Ok(())
    }

    /// A call fails: exit 1, all as before, the message says what failed, and the next run ends well.
    /// After the commit record the change stays: exit 0, and a warning if something is left to tidy up.
    pub(crate) fn fails(&self, number: usize, errno: i32) -> Verdict {
        let root = (self.change.root)();
        let output = self.run(&root, Some(&format!("{number}:{errno}")));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let cause = std::io::Error::from_raw_os_error(errno).to_string();
        let told = stderr.contains(&cause) && stderr.contains("cannot ");
        match output.status.code() {
            Some(1) if told => same(&self.before, &root)?,
            Some(0) if told && stderr.contains("tidy up") => same_product(&self.after, &root)?,
            Some(0) => self.is_after(&root)?,
            _ => return Err(format!("does not say what failed: {}", said(&output))),
        }
        // what is left to tidy up is tidied up by the next run, so that one has to follow
        let next = if told && output.status.success() { 4 } else { number };
        self.ends_well(&root, next)
    }
}

pub(crate) fn same(wanted: &Snapshot, root: &Root) -> Verdict {
    let differences = wanted.differences(&root.snapshot());
    if !differences.is_empty() {
        return Err(differences.join("; "));
    }
    if let Some(broken) = root.record().broken {
        return Err(format!("the evidence record: {broken:?}"));
    }
    let left = root.leftovers();
    if left.is_empty() { Ok(()) } else { Err(format!("left behind: {}", left.join(", "))) }
}

/// As [`same`], but for what is put aside to be removed, and what is retained.
pub(crate) fn same_product(wanted: &Snapshot, root: &Root) -> Verdict {
    let aside = |name: &str| {
        (name.starts_with(".demisto.") || name.starts_with(".d1_"))
            && ["-install", "-trash", ".retained"].iter().any(|end| name.ends_with(end))
    };
    let live = |path: &str| !path.split('/').any(aside);
    let differences = wanted.clone().only(live).differences(&root.snapshot().only(live));
    if differences.is_empty() { Ok(()) } else { Err(differences.join("; ")) }
}

pub(crate) fn succeeds(output: &Output) -> Verdict {
    if output.status.success() { Ok(()) } else { Err(format!("the next run failed: {}", said(output))) }
}

pub(crate) fn recover(root: &Root) -> Command {
    run("recover", root.path())
}

/// Runs a command that must succeed, and gives the names of the points that it passes.
pub(crate) fn points(command: &mut Command, name: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("points");
    let output = command.env("DEMISTO_INSTALL_FAULT_LOG", &log).output().unwrap();
    assert!(output.status.success(), "{name}: {}", said(&output));
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().filter_map(|line| line.split_once(' ')).map(|(_, name)| name.to_owned()).collect()
}

pub(crate) fn install(root: &Path) -> Command {
    Vendor::get().install(root)
}

pub(crate) fn uninstall(root: &Path) -> Command {
    let mut command = run("uninstall", root);
    command.arg("--yes");
    command
}

pub(crate) fn purge(root: &Path) -> Command {
    let mut command = uninstall(root);
    command.arg("--purge");
    command
}

/// A root in which the release is installed and in use: others have put files into its directories.
pub(crate) fn installed() -> Root {
    let root = Root::furnished();
    let output = install(root.path()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    fs::write(root.at("usr/local/demisto/lib/of-the-administrator"), "mine\n").unwrap();
    fs::write(root.at("var/lib/demisto/data.db"), "data\n").unwrap();
    root
}

/// The same, where the administrator took a directory of the release away and made a link of another.
fn rearranged() -> Root {
    let root = installed();
    fs::remove_dir_all(root.at("usr/local/demisto/web")).unwrap();
    fs::rename(root.at("usr/local/demisto/lib"), root.at("var/lib/elsewhere")).unwrap();
    std::os::unix::fs::symlink("../../../var/lib/elsewhere", root.at("usr/local/demisto/lib")).unwrap();
    root
}

/// As [`install`], with owners.
fn install_with_owners(root: &Path) -> Command {
    let mut command = run("install", root);
    let call = install(root);
    command.args(call.get_args().skip(3).filter(|argument| *argument != "--no-owner"));
    command
}

/// Accounts of the system: what matters is each line, not their order, nor the files' own copies.
fn accounts(root: &Root) -> Vec<String> {
    let files = ["etc/passwd", "etc/group", "etc/shadow", "etc/gshadow"];
    let text = |file: &&str| fs::read_to_string(root.at(file)).unwrap();
    let mut lines: Vec<String> = files
        .iter()
        .flat_map(|file| text(file).lines().map(|l| format!("{file} {l}")).collect::<Vec<_>>())
        .collect();
    lines.sort();
    lines
}

/// Status must agree: something is installed, nothing is unfinished, nothing differs.
#[test]
fn a_run_after_a_kill_is_whole_by_its_own_account() {
    let sweep = Sweep::new(Change { name: "install", root: &Root::fresh, command: &install });
    let status = |number: usize| -> Verdict {
        let root = sweep.killed(number)?;
        succeeds(&sweep.run(&root, None))?;
        let output = run("status", root.path()).args(["--output", "json"]).output().unwrap();
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).map_err(|e| e.to_string())?;
        let good = status["installed"] == true
            && status["unfinished"] == false
            && status["drift"] == serde_json::json!([]);
        if good { Ok(()) } else { Err(status.to_string()) }
    };
    summary("crash-status", &sweep.each("killed, run again, asked for its status", 5, &status));
}

#[test]
fn install_survives_a_kill_at_every_point() {
    let fresh = Sweep::new(Change { name: "install", root: &Root::fresh, command: &install });
    let furnished =
        Sweep::new(Change { name: "install over files", root: &Root::furnished, command: &install });
    let told = [
        fresh.each("killed and run again", 1, &|number| fresh.again(number)),
        fresh.each("killed and recovered", 1, &|number| fresh.recovered(number)),
        furnished.each("killed and recovered", 1, &|number| furnished.recovered(number)),
        furnished.each("killed, and killed while recovering", 9, &|number| furnished.killed_twice(number)),
        furnished.recovery_killed_everywhere(),
        furnished.each("killed, and the recovery fails", 9, &|number| furnished.recovery_fails(number)),
    ];
    summary("crash-install", &told.join("\n"));
}

/// Above all the points around the commit record: whether it counts must be the same to those who
/// go on and to those who come after a kill.
#[test]
fn install_survives_a_kill_while_it_undoes() {
    let sweep = Sweep::new(Change { name: "install", root: &Root::furnished, command: &install });
    let all = sweep.points.len();
    let numbers: Vec<usize> = (10..all - 24).step_by(29).chain(all - 24..=all).collect();
    summary(
        "crash-undo",
        &sweep.these("i/o error, then killed", &numbers, &|number| sweep.fails_and_is_killed(number)),
    );
}

/// With a certificate made on the host, which is another one each time.
#[test]
fn a_new_certificate_survives_a_kill() {
    let command = |root: &Path| {
        let vendor = Vendor::get();
        let mut command = run("install", root);
        command.arg(vendor.small()).arg("--no-owner").arg("--key").arg(vendor.file("release.asc"));
        command.arg("--answers").arg(vendor.file("answers.json"));
        command.arg("--admin-password-file").arg(vendor.file("password"));
        command
    };
    let sweep =
        Sweep::new(Change { name: "install, new certificate", root: &Root::fresh, command: &command });
    let wanted = sweep.after.clone().only(|path| !path.contains("/cert."));
    let recovered = |number: usize| {
        let root = sweep.killed(number)?;
        succeeds(&recover(&root).output().unwrap())?;
        let Err(why) = sweep.is_before(&root) else { return Ok(()) };
        let differences = wanted.differences(&root.snapshot().only(|path| !path.contains("/cert.")));
        if differences.is_empty() && root.leftovers().is_empty() { Ok(()) } else { Err(why) }
    };
    summary("crash-certificate", &sweep.each("killed and recovered", 8, &recovered));
}

#[test]
fn install_survives_an_error_at_every_point() {
    let fresh = Sweep::new(Change { name: "install", root: &Root::fresh, command: &install });
    let furnished =
        Sweep::new(Change { name: "install over files", root: &Root::furnished, command: &install });
    let told = [fresh.errors(), furnished.each("i/o error", 1, &|number| furnished.fails(number, EIO))];
    summary("crash-install-errors", &told.join("\n"));
}

pub(crate) fn removal(name: &str, command: &(dyn Fn(&Path) -> Command + Sync), model: &Root) -> String {
    let root = || Root::copy(model);
    let sweep = Sweep::new(Change { name, root: &root, command });
    sweep.whole().join("\n")
}

#[test]
fn uninstall_survives_at_every_point() {
    summary("crash-uninstall", &removal("uninstall", &uninstall, &installed()));
}

#[test]
fn purge_survives_at_every_point() {
    summary("crash-purge", &removal("uninstall --purge", &purge, &installed()));
}

#[test]
fn uninstall_survives_where_directories_were_rearranged() {
    let model = rearranged();
    let root = || Root::copy(&model);
    let sweep = Sweep::new(Change { name: "uninstall, rearranged", root: &root, command: &uninstall });
    let kept = sweep.after.paths().any(|path| path == "var/lib/elsewhere/module-1");
    assert!(kept, "what a link leads to is not the release's");
    let told = [
        sweep.each("killed and recovered", 3, &|number| sweep.recovered(number)),
        sweep.each("i/o error", 3, &|number| sweep.fails(number, EIO)),
    ];
    summary("crash-rearranged", &told.join("\n"));
}

/// With owners: accounts come and go as well. Their files are compared line by line.
#[test]
fn accounts_survive_at_every_fifth_point_as_root() {
    let told = [with_owners("install with owners", &Root::with_accounts, &install_with_owners), {
        let model = Root::with_accounts();
        succeeds(&install_with_owners(model.path()).output().unwrap()).unwrap();
        with_owners("purge with owners", &|| Root::copy(&model), &purge)
    }];
    summary("crash-owners", &told.join("\n"));
}

fn with_owners(
    name: &str,
    root: &(dyn Fn() -> Root + Sync),
    command: &(dyn Fn(&Path) -> Command + Sync),
) -> String {
    let model = root();
    let before = accounts(&model);
    let mut sweep = Sweep::new(Change { name, root, command });
    succeeds(&sweep.run(&model, None)).unwrap();
    let after = accounts(&model);
    assert_ne!(before, after);
    let ours = |path: &str| {
        !["passwd", "group", "shadow", "gshadow"].iter().any(|file| path.starts_with(&format!("etc/{file}")))
    };
    (sweep.before, sweep.after) = (sweep.before.only(ours), sweep.after.only(ours));
    let matches = |root: &Root| -> Verdict {
        let found = accounts(root);
        let product = root.snapshot().only(ours);
        let is = |snapshot: &Snapshot, lines: &Vec<String>| {
            let mut differences = snapshot.differences(&product);
            differences.extend(
                lines.iter().filter(|line| !found.contains(line)).map(|line| format!("missing {line}")),
            );
            differences
                .extend(found.iter().filter(|line| !lines.contains(line)).map(|line| format!("new {line}")));
            differences.extend(root.leftovers());
            differences
        };
        let (as_before, as_after) = (is(&sweep.before, &before), is(&sweep.after, &after));
        if as_before.is_empty() || as_after.is_empty() {
            Ok(())
        } else {
            Err(format!("{as_before:?}, nor {as_after:?}"))
        }
    };
    let recovered = |number: usize| {
        let root = sweep.killed(number)?;
        succeeds(&recover(&root).output().unwrap())?;
        matches(&root)
    };
    let failing = |number: usize| {
        let root = root();
        let output = sweep.run(&root, Some(&format!("{number}:{EIO}")));
        if !matches!(output.status.code(), Some(0 | 1)) {
            return Err(said(&output));
        }
        succeeds(&recover(&root).output().unwrap())?;
        matches(&root)
    };
    [sweep.each("killed and recovered", 5, &recovered), sweep.each("i/o error", 5, &failing)].join("\n")
}
