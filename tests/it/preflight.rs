//! `preflight`: every check on a state of the machine that passes and on one that does not. Each run has its own
//! mounts, processes, names and network, so nothing outside is changed.

mod cases;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use demisto_install::preflight::{ADVISORY, CHECKS, DECISIVE, Severity};
use serde_json::Value;
use tempfile::TempDir;

use crate::docs;
use crate::support::installer::{PROGRAM, Root, Tree, Vendor, run, said, summary};
use crate::support::pgp::need;
use cases::{CASES, Case};

/// What every script may use. `disk` makes a file system in a file, `etc` and `account` a changeable /etc.
const PRELUDE: &str = r#"
umask 022
touch "$W/program"; mount --bind "$PROGRAM" "$W/program"; P=$W/program
disk() { truncate -s "$2" "$W/$1.img"; mkfs.ext4 -q -F -O ^has_journal -m 0 -E lazy_itable_init=1,nodiscard ${5-} "$W/$1.img"
         mount -o "loop,${4-rw}" "$W/$1.img" "$3"; }
etc() { mkdir "$W/up" "$W/work"; mount -t overlay -o "lowerdir=/etc,upperdir=$W/up,workdir=$W/work" none /etc; }
account() { etc; sed -i /^demisto:/d /etc/passwd /etc/group
            echo "demisto:x:${1-988}:${2-988}::${3-/var/lib/demisto}:${4-/usr/sbin/nologin}" >> /etc/passwd
            echo "demisto:x:${5-988}:" >> /etc/group; }
file() { cat > "$W/file"; mount --bind "$W/file" "$1"; }
look() { "$P" preflight --output json --only "$ID" "$@"; }
"#;

/// A directory in memory for what a run mounts.
fn scratch() -> TempDir {
    let base = if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" };
    tempfile::Builder::new().prefix("preflight-").tempdir_in(base).unwrap()
}

/// Installers and roots that the cases name.
struct Stock {
    far: PathBuf,
    form: PathBuf,
    installed: Root,
    large: Root,
}

impl Stock {
    fn new() -> Self {
        let vendor = Vendor::get();
        let far = Tree::new();
        far.describe_as("6.20.0", 9, 1, 1);
        far.replaces("6.18", "6.20");
        let form = Tree::next();
        form.describe_as("6.14.1", 2, 1, 2);
        let fresh = Root::fresh();
        let output = vendor.install(fresh.path()).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let installed = Root::copy_on_disk(&fresh);
        let large = Root::copy_on_disk(&fresh);
        std::fs::write(large.at("var/lib/demisto/large"), vec![7; 24 << 20]).unwrap();
        Self { far: far.pack("far", &[]), form: form.pack("form", &[]), installed, large }
    }
}

/// Runs a script with namespaces of its own.
fn apart(stock: &Stock, id: &str, script: &str) -> Output {
    let work = scratch();
    let vendor = Vendor::get();
    Command::new("/usr/bin/unshare")
        .args(["--mount", "--pid", "--fork", "--mount-proc", "--uts", "--net", "--kill-child"])
        .args(["/bin/bash", "-euo", "pipefail", "-c", &format!("{PRELUDE}\n{script}")])
        .env("W", work.path())
        .env("ID", id)
        .env("PROGRAM", PROGRAM)
        .env("KEY", vendor.file("release.asc"))
        .env("SMALL", vendor.small())
        .env("NEXT", vendor.next())
        .env("FAR", &stock.far)
        .env("FORM", &stock.form)
        .env("INSTALLED", stock.installed.path())
        .env("LARGE", stock.large.path())
        .env("CERT", vendor.file("cert.pem"))
        .env("CERT_KEY", vendor.file("cert.key"))
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap()
}

/// The only check of a result: status and what was seen.
fn outcome(output: &Output) -> Option<(String, String)> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let result: Value = serde_json::from_str(text.lines().last()?).ok()?;
    let [check] = result["checks"].as_array()?.as_slice() else { return None };
    let field = |name: &str| check[name].as_str().unwrap_or_default().to_owned();
    Some((field("status"), field("seen")))
}

/// What is wrong with a case.
fn judge(stock: &Stock, case: &Case) -> Vec<String> {
    let mut wrong = Vec::new();
    for (script, (status, seen)) in [(case.good, ("pass", case.seen)), (case.bad, case.found)] {
        let output = apart(stock, case.id, script);
        let exit = if status == "fail" { Some(4) } else { Some(0) };
        let fine = outcome(&output).is_some_and(|(is, saw)| is == status && saw.contains(seen));
        if !fine || output.status.code() != exit {
            wrong.push(format!("{}: wanted {status} with {seen:?} of {script}\n{}", case.id, said(&output)));
        }
    }
    wrong
}

#[test]
fn every_check_passes_and_does_not_as_root() {
    for (tool, package) in [
        ("unshare", "util-linux"),
        ("mkfs.ext4", "e2fsprogs"),
        ("strace", "strace"),
        ("podman", "podman"),
        ("newuidmap", "uidmap"),
        ("git", "git"),
        ("openssl", "openssl"),
        ("ip", "iproute2"),
    ] {
        need(tool, package);
    }
    let stock = Stock::new();
    let wanted = std::env::var("DEMISTO_TEST_CASE").ok();
    let cases: Vec<&Case> =
        CASES.iter().filter(|case| wanted.as_ref().is_none_or(|id| id == case.id)).collect();
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = judge(&stock, case);
                    wrong.lock().unwrap().extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    summary("preflight", &format!("preflight: {} cases, {} wrong verdicts", 2 * cases.len(), wrong.len()));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_check_has_its_cases_and_says_no_worse_than_its_severity() {
    let checks: Vec<&str> = CHECKS.iter().map(|check| check.id).collect();
    let cases: Vec<&str> = CASES.iter().map(|case| case.id).collect();
    assert_eq!(cases, checks, "the cases are those of the checks, in their order");
    for (check, case) in CHECKS.iter().zip(CASES) {
        let worst = if check.severity == Severity::Error { "fail" } else { "warn" };
        assert_eq!(case.found.0, worst, "{}: its case shows the worst that it says", case.id);
    }
}

#[test]
fn the_page_has_the_table_of_the_program() {
    let page = docs::read("docs/preflight.md");
    let shown = docs::rows(&page, "| Check |");
    let known: Vec<Vec<String>> = CHECKS
        .iter()
        .map(|check| {
            let severity = check.severity.to_string();
            vec![format!("`{}`", check.id), severity, check.what.into(), check.why.into(), check.fix.into()]
        })
        .collect();
    assert_eq!(shown, known);
    for (words, ids) in [("and be taken back: ", DECISIVE), ("Some more only warn: ", ADVISORY)] {
        let run_by_others = page.split_once(words).unwrap().1.split_once(".\n").unwrap().0;
        let named: Vec<&str> = run_by_others.split(", ").map(|name| name.trim_matches('`')).collect();
        assert_eq!(named, ids);
    }
    let help = said(&Command::new(PROGRAM).args(["upgrade", "--help"]).output().unwrap());
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains(&format!("check of the host fails: {}.", DECISIVE.join(", "))), "{help}");
    assert!(help.contains(&format!("the warning of {}, which never stop", ADVISORY.join(", "))), "{help}");
}

/// The engine that answers the account counts, not the name of a file; and asking leaves nothing in its home.
#[test]
fn the_container_engine_is_known_by_its_answer_as_root() {
    let stock = Stock::new();
    let prepare = "account 988 988 /home/demisto; echo demisto:200000:65536 | tee /etc/subuid > /etc/subgid\n\
                   mount -t tmpfs none /home; mkdir /home/demisto; chown 988:988 /home/demisto\n\
                   mkdir $W/bin $W/bins; mount -t overlay -o lowerdir=/usr/bin,upperdir=$W/bin,workdir=$W/bins none /usr/bin\n";
    for docker in [
        "exec /usr/bin/podman \"$@\"",
        "[ \"$1\" != --version ] || { echo Docker version 26.1; exit; }; echo no daemon >&2; exit 1",
    ] {
        let script = format!(
            "{prepare}printf '%s\\n' '#!/bin/sh' '{docker}' > /usr/bin/docker; chmod 755 /usr/bin/docker\n\
             look; find /home/demisto -mindepth 1 >&2"
        );
        let output = apart(&stock, "subordinate-ids", &script);
        let (status, seen) = outcome(&output).unwrap_or_else(|| panic!("{}", said(&output)));
        assert_eq!(
            (status.as_str(), seen.as_str()),
            ("pass", "65536 user ids and 65536 group ids"),
            "{docker}"
        );
        assert!(!said(&output).contains("/home/demisto"), "{}", said(&output));
    }
}

/// Who may not see who has a port, or what the configuration says, is not told that something is wrong.
#[test]
fn an_ordinary_user_is_told_what_only_root_sees_as_root() {
    let stock = Stock::new();
    let user =
        "setpriv --reuid 65534 --regid 65534 --clear-groups \"$P\" preflight --output json --only port";
    let script = format!(
        "chmod 755 $W; openssl s_server -quiet -accept 8443 -cert \"$CERT\" -key \"$CERT_KEY\" > /dev/null & \
         for i in {{1..50}}; do ss -ltn | grep -q 8443 && break; sleep 0.1; done; {user} --port 8443"
    );
    let output = apart(&stock, "port", &script);
    let (status, seen) = outcome(&output).unwrap_or_else(|| panic!("{}", said(&output)));
    assert_eq!((status.as_str(), seen.as_str()), ("warn", "port 8443 is in use; only root sees by whom"));
    let script = format!("chmod 755 $W; etc; (umask 077; echo '{{}}' > /etc/demisto.conf); {user}");
    let output = apart(&stock, "port", &script);
    let (status, seen) = outcome(&output).unwrap_or_else(|| panic!("{}", said(&output)));
    assert!(status == "skipped" && seen.contains("the port is unknown") && seen.contains("denied"), "{seen}");
}

/// What is shown of the states of files instead of the machine's own is told.
#[test]
fn what_is_not_produced_for_real_is_told() {
    let page = docs::read("docs/testing.md");
    let shown: BTreeSet<String> = docs::rows(&page, "| Check of preflight |")
        .iter()
        .map(|row| row[0].trim_matches('`').to_owned())
        .collect();
    let fed = CASES.iter().filter(|case| case.fed).map(|case| case.id.to_owned()).collect();
    assert_eq!(shown, fed);
}

#[test]
fn checks_are_chosen_by_name() {
    let root = Root::fresh();
    let call = |args: &[&str]| run("preflight", root.path()).args(args).output().unwrap();
    let output = call(&["--only", "proxy,os", "--output", "json"]);
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ids: Vec<&str> =
        result["checks"].as_array().unwrap().iter().map(|check| check["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["os", "proxy"]);
    let output = call(&["--only", "proxy,os", "--skip", "proxy", "--output", "json"]);
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["checks"][1]["status"], "skipped", "{result}");
    for option in ["--only", "--skip"] {
        let output = call(&[option, "prox"]);
        assert_eq!(output.status.code(), Some(2));
        let text = said(&output);
        assert!(text.contains("a similar value exists: 'proxy'"), "{text}");
    }
    let output = call(&["--list", "--output", "json"]);
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let list = result["checks"].as_array().unwrap();
    assert_eq!(list.len(), CHECKS.len());
    for check in list {
        for field in ["id", "severity", "what", "why", "fix"] {
            assert!(!check[field].as_str().unwrap().is_empty(), "{check}");
        }
    }
    assert!(said(&call(&["--list"])).contains("mount-tree (error): the file system"));
}

/// In another root the checks of the running machine are skipped, and those of its files are not.
#[test]
fn another_root_is_looked_at_by_its_files() {
    let root = Root::fresh();
    for (path, text) in [
        ("etc/passwd", "demisto:x:993:992::/var/lib/demisto:/bin/bash\nother:x:1007:992::/:/bin/sh\n"),
        ("etc/group", "demisto:x:992:\n"),
        ("etc/environment", "https_proxy=http://u:secret-word@proxy:3128\n"),
        ("etc/os-release", "ID=rhel\nVERSION_ID=\"8.10\"\nPRETTY_NAME=\"Red Hat Enterprise Linux 8.10\"\n"),
    ] {
        std::fs::create_dir_all(root.at("etc")).unwrap();
        root.put(path, text.as_bytes(), 0o644);
    }
    let output = run("preflight", root.path())
        .args(["--output", "json", "--expect-uid", "1007", "--profile", "production"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(!said(&output).contains("secret-word"), "{}", said(&output));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = result["checks"].as_array().unwrap();
    let status = |id: &str| checks.iter().find(|check| check["id"] == id).unwrap()["status"].clone();
    assert_eq!(status("os"), "pass");
    assert_eq!(status("account"), "warn");
    assert_eq!(status("account-ids"), "fail");
    assert_eq!(status("proxy"), "warn");
    for id in ["cpu-cores", "mount-tree", "port", "clock", "container-engine"] {
        assert_eq!(status(id), "skipped", "{id}");
    }
}

/// A host that is not fit is told so all at once, before anything is changed, and a single check can be left out.
#[test]
fn a_change_is_refused_by_what_decides_as_root() {
    let stock = Stock::new();
    let install = "\"$P\" install \"$SMALL\" --key \"$KEY\" --answers \"$W/answers\" --no-start \
                   --admin-password-file \"$W/password\" --cert \"$CERT\" --cert-key \"$CERT_KEY\"";
    let prepare = "echo '{\"accept_eula\":true,\"port\":18443,\"admin_name\":\"admin\"}' > $W/answers\n\
                   (umask 077; echo Zq9-Correct-Horse > $W/password); account 988 988 / /bin/bash\n\
                   disk all 200M /var; mkdir -p /var/lib /var/log; disk tree 100M /usr/local ro\n";
    let script = format!(
        "{prepare}mount -t tmpfs none /var/log; mount -o remount,ro /var/log\n{install} || echo exit $? >&2\nls -A /var/lib"
    );
    let refused = apart(&stock, "", &script);
    let text = said(&refused);
    assert!(text.contains("exit 4"), "{text}");
    for id in ["mount-tree: ", "mount-logs: "] {
        assert_eq!(text.matches(id).count(), 2, "in the message and in the hints: {text}");
    }
    assert!(text.contains("--skip-check ID"), "{text}");
    assert!(
        String::from_utf8_lossy(&refused.stdout).trim() == "lost+found" || refused.stdout.is_empty(),
        "{text}"
    );
    let script = format!("{prepare}{install} --skip-check mount-tree || echo exit $? >&2");
    let tried = said(&apart(&stock, "", &script));
    assert!(tried.contains("exit 1") && tried.contains("Read-only file system"), "{tried}");
    assert!(tried.contains("of this host warn: `demisto-install preflight --only "), "{tried}");
    let output = Command::new(PROGRAM).args(["install", "--skip-check", "mount-tre"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("'mount-tree'"), "{}", said(&output));
}
