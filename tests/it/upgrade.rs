//! Upgrades and rollbacks in a scratch root: what goes, what stays to the byte, what is refused.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::process::Output;

use crate::support::installer::{Root, Tree, Vendor, refused, run, said, succeeds};

const TREE: &str = "usr/local/demisto";
const RETAINED: &str = "usr/local/.demisto.retained";

fn upgrade(root: &Root) -> Output {
    let vendor = Vendor::get();
    vendor.upgrade(&vendor.next(), root.path()).output().unwrap()
}

fn rollback(root: &Root) -> Output {
    run("rollback", root.path()).arg("--yes").output().unwrap()
}

/// A root with the small release, in use: others put things into its directories.
pub(crate) fn in_use() -> Root {
    let root = Root::furnished();
    succeeds(&Vendor::get().install(root.path()).output().unwrap());
    let put = |path: &str, text: &str, mode: u32| root.put(&format!("{TREE}/{path}"), text.as_bytes(), mode);
    put("demisto.lic", "licence\n", 0o644);
    put("client.pem", "client\n", 0o400);
    put("d1.conf", "{}\n", 0o640);
    put("lib/of-the-administrator", "mine\n", 0o600);
    fs::create_dir_all(root.at(&format!("{TREE}/own/deep/er"))).unwrap();
    put("own/deep/er/file", "deep\n", 0o751);
    symlink("/nowhere", root.at(&format!("{TREE}/own/link"))).unwrap();
    root.put("var/lib/demisto/data.db", b"data\n", 0o600);
    let long_ago = fs::FileTimes::new()
        .set_modified(std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789));
    for path in ["demisto.lic", "own/deep/er/file", "own/deep/er", "lib"] {
        fs::File::open(root.at(&format!("{TREE}/{path}"))).unwrap().set_times(long_ago).unwrap();
    }
    root
}

/// Everything below a directory: mode, owner, time in nanoseconds, content.
pub(crate) fn exact(root: &Root, top: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    look(&root.at(top), "", &mut found);
    found
}

fn look(dir: &Path, prefix: &str, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let (path, meta) = (entry.path(), entry.path().symlink_metadata().unwrap());
        let name = format!("{prefix}{}", entry.file_name().into_string().unwrap());
        let content = if meta.is_symlink() {
            fs::read_link(&path).unwrap().display().to_string()
        } else if meta.is_file() {
            demisto_install::types::Digest::of(&fs::read(&path).unwrap()).to_string()
        } else {
            look(&path, &format!("{name}/"), found);
            String::new()
        };
        let time = format!("{}.{}", meta.mtime(), meta.mtime_nsec());
        found.insert(name, format!("{:o} {}:{} {time} {content}", meta.mode(), meta.uid(), meta.gid()));
    }
}

/// What of a tree belongs to the host.
const HOST: [&str; 12] = [
    "cert.key",
    "cert.pem",
    "client.pem",
    "d1.conf",
    "demisto.lic",
    "lib/of-the-administrator",
    "own",
    "own/deep",
    "own/deep/er",
    "own/deep/er/file",
    "own/link",
    "lib",
];

#[test]
fn everything_of_the_host_survives_and_the_way_back_is_exact() {
    let root = in_use();
    let (before, data) = (exact(&root, TREE), exact(&root, "var/lib/demisto"));
    let everything = root.snapshot();
    let told = succeeds(&upgrade(&root));
    assert!(told.contains("6.14.1-2 is installed in the place of 6.14.0-1"), "{told}");
    let after = exact(&root, TREE);
    for name in &HOST[..11] {
        assert_eq!(after.get(*name), before.get(*name), "{name}");
    }
    assert_eq!(exact(&root, "var/lib/demisto"), data);
    assert_eq!(fs::read(root.at("usr/local/demisto/lib/module-2")).unwrap(), b"module 2, changed\n");
    assert!(
        !root.at("usr/local/demisto/lib/module-3").exists() && root.at("usr/local/demisto/new/file").exists()
    );
    let large = |tree: &str| fs::metadata(root.at(&format!("{tree}/lib/large.bin"))).unwrap().ino();
    assert_eq!(large(TREE), large(RETAINED), "what did not change takes no room");
    assert!(!root.at(RETAINED).join("demisto.lic").exists(), "what belongs to the host exists once");
    let upgraded = root.snapshot();

    let told = succeeds(&rollback(&root));
    assert!(told.contains("6.14.0-1 is installed again"), "{told}");
    assert_eq!(exact(&root, TREE), before);
    let ours = |path: &str| !path.starts_with(RETAINED);
    assert_eq!(everything.clone().only(ours).differences(&root.snapshot().only(ours)), [""; 0]);
    let status = run("status", root.path()).args(["--output", "json"]).output().unwrap();
    assert!(
        said(&status).contains("\"release\":\"6.14.0-1\"") && said(&status).contains("\"drift\":[]"),
        "{}",
        said(&status)
    );

    succeeds(&rollback(&root));
    assert_eq!(upgraded.only(ours).differences(&root.snapshot().only(ours)), [""; 0]);
    assert_eq!(exact(&root, TREE).get("own/deep/er/file"), before.get("own/deep/er/file"));
    assert!(succeeds(&upgrade(&root)).contains("nothing to do"));
    assert_eq!(root.leftovers(), [""; 0]);
}

#[test]
fn what_stands_in_the_way_is_kept_beside_and_goes_back() {
    let root = in_use();
    fs::create_dir(root.at("usr/local/demisto/new")).unwrap();
    root.put("usr/local/demisto/new/file", b"of the administrator\n", 0o640);
    fs::remove_dir_all(root.at("usr/local/demisto/web")).unwrap();
    symlink("/srv/web", root.at("usr/local/demisto/web")).unwrap();
    let before = exact(&root, TREE);
    succeeds(&upgrade(&root));
    let after = exact(&root, TREE);
    assert_eq!(fs::read(root.at("usr/local/demisto/new/file")).unwrap(), b"new\n");
    assert_eq!(after.get("new/file.demisto-orig"), before.get("new/file"));
    assert_eq!(after.get("web.demisto-orig"), before.get("web"));
    assert!(root.at("usr/local/demisto/web/index.html").exists());
    succeeds(&rollback(&root));
    assert_eq!(exact(&root, TREE), before);
}

#[test]
fn the_configuration_goes_back_unless_it_was_changed() {
    let root = in_use();
    let before = fs::read(root.at("etc/demisto.conf")).unwrap();
    succeeds(&upgrade(&root));
    let after = fs::read_to_string(root.at("etc/demisto.conf")).unwrap();
    assert!(after.contains("log.level") && after.contains("\"mine\": true"), "{after}");
    let told = succeeds(&rollback(&root));
    assert!(told.contains("Configuration  went back, too"), "{told}");
    assert_eq!(fs::read(root.at("etc/demisto.conf")).unwrap(), before);
    succeeds(&rollback(&root));
    assert_eq!(fs::read_to_string(root.at("etc/demisto.conf")).unwrap(), after);
    fs::write(root.at("etc/demisto.conf"), after.replace("true", "false")).unwrap();
    let plan = run("rollback", root.path()).arg("--dry-run").output().unwrap();
    assert!(succeeds(&plan).contains("was changed since and stays"));
    let told = succeeds(&rollback(&root));
    assert!(told.contains("Configuration  stayed as it was"), "{told}");
    assert_eq!(told.matches("was changed since and stays").count(), 1, "a note is told once: {told}");
    assert_eq!(fs::read(root.at("var/lib/demisto-install/demisto.conf.former")).unwrap(), before);
    assert!(fs::read_to_string(root.at("etc/demisto.conf")).unwrap().contains("\"mine\": false"));
}

#[test]
fn an_installation_of_another_installer_is_taken_over_and_comes_back() {
    let root = in_use();
    fs::remove_dir_all(root.at("var/lib/demisto-install")).unwrap();
    fs::write(root.at("usr/local/demisto/lib/module-1"), "of the vendor\n").unwrap();
    fs::write(root.at("usr/local/demisto/lib/vendor-only"), "of the vendor\n").unwrap();
    let (before, everything) = (exact(&root, TREE), root.snapshot());
    let vendor = Vendor::get();
    let refusal = vendor.upgrade(&vendor.next(), root.path()).arg("--no-owner").output().unwrap();
    refused(&refusal, 4, "lies in memory");
    let take_over = || {
        let mut call = vendor.upgrade(&vendor.next(), root.path());
        call.args(["--no-owner", "--snapshot", "never"]);
        call
    };
    let refusal = take_over().output().unwrap();
    refused(&refusal, 2, "accept_eula");
    let output = take_over().arg("--answers").arg(vendor.file("answers.json")).output().unwrap();
    assert!(succeeds(&output).contains("in the place of the former installation"));
    let after = exact(&root, TREE);
    assert_eq!(fs::read(root.at("usr/local/demisto/lib/module-1")).unwrap(), b"module 1\n");
    for name in HOST[..11].iter().chain(&["lib/vendor-only", "lib/module-3"]) {
        assert_eq!(after.get(*name), before.get(*name), "{name}");
    }
    succeeds(&rollback(&root));
    assert_eq!(exact(&root, TREE), before);
    let ours = |path: &str| !path.starts_with(RETAINED);
    assert_eq!(everything.only(ours).differences(&root.snapshot().only(ours)), [""; 0]);
    assert!(!root.at("var/lib/demisto-install/receipt.json").exists());
    succeeds(&rollback(&root));
    assert_eq!(exact(&root, TREE).keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    assert!(root.at("var/lib/demisto-install/receipt.json").exists());
}

#[test]
fn refusals_have_their_reasons() {
    let vendor = Vendor::get();
    let root = in_use();
    let before = root.all_paths();
    let make = |name: &str, version: &str, build: u32, epoch: u32, schema: u32| {
        let tree = Tree::next();
        tree.describe_as(version, build, epoch, schema);
        tree.pack(name, &[])
    };
    let offer = |bundle: &Path| vendor.upgrade(bundle, root.path()).output().unwrap();
    refused(&offer(&make("lower", "6.13.9", 9, 1, 1)), 3, "6.13.9-9 is older than the installed 6.14.0-1");
    refused(&offer(&make("lower-build", "6.14.0", 0, 1, 1)), 3, "is older than");
    refused(&offer(&make("epoch", "6.14.1", 2, 0, 1)), 3, "security epoch 0 is below 1");
    refused(&offer(&make("older-data", "6.14.1", 2, 1, 0)), 3, "the data have form 1");
    refused(&rollback(&root), 4, "no release is retained");
    assert_eq!(root.all_paths(), before);
    let lower = make("lower-again", "6.13.9", 9, 1, 1);
    succeeds(&vendor.upgrade(&lower, root.path()).arg("--allow-downgrade").output().unwrap());
    let far = Tree::next();
    far.describe_as("6.16.0", 3, 1, 1);
    far.replaces("6.14", "6.16");
    refused(&offer(&far.pack("far", &[])), 3, "6.16.0-3 replaces versions 6.14 to 6.16; 6.13.9 is installed");
}

#[test]
fn uninstall_takes_the_retained_release_with_it() {
    let root = in_use();
    succeeds(&upgrade(&root));
    succeeds(&run("uninstall", root.path()).arg("--yes").output().unwrap());
    assert!(!root.at(RETAINED).exists() && !root.at("var/lib/demisto-install/retained").exists());
    assert!(root.at("usr/local/demisto/demisto.lic").exists());
    assert_eq!(root.leftovers(), [""; 0]);
}

/// The data of a root but for the log of this program.
fn data(root: &Root) -> BTreeMap<String, String> {
    exact(root, "var/lib/demisto")
}

#[test]
fn data_go_back_with_the_release_and_forward_again() {
    let vendor = Vendor::get();
    let root = Root::copy_on_disk(&in_use());
    let new = Tree::next();
    new.describe_as("6.14.1", 2, 1, 2);
    let new = new.pack("new-data", &[]);
    let before = data(&root);
    let told = succeeds(&vendor.upgrade(&new, root.path()).output().unwrap());
    assert!(told.contains("take a snapshot of the data and read it back"), "{told}");
    assert_eq!(data(&root), before);
    root.put("var/lib/demisto/data.db", b"of another form\n", 0o600);
    root.put("var/lib/demisto/new.db", b"new\n", 0o640);
    let after = data(&root);

    let keep = run("rollback", root.path()).args(["--yes", "--data", "keep"]).output().unwrap();
    refused(&keep, 3, "the data have form 2, and 6.14.0-1 reads forms up to 1");
    assert_eq!(data(&root), after);
    let told = succeeds(&rollback(&root));
    assert!(told.contains("Data           went back, too"), "{told}");
    assert_eq!(data(&root), before);
    let listed = succeeds(&run("snapshot", root.path()).arg("list").output().unwrap());
    assert!(listed.contains("rollback") && !listed.contains("upgrade"), "{listed}");
    let prune = run("snapshot", root.path()).args(["prune", "--keep", "0", "--all"]).output().unwrap();
    let told = succeeds(&prune);
    assert!(!told.contains("removed 6.14.1") && told.contains("needs it"), "{told}");

    succeeds(&rollback(&root));
    assert_eq!(data(&root), after, "forward again, with the data that were there");
    assert_eq!(root.leftovers(), [""; 0]);
}

#[test]
fn without_its_snapshot_newer_data_bar_the_way_back() {
    let vendor = Vendor::get();
    let root = Root::copy_on_disk(&in_use());
    let new = Tree::next();
    new.describe_as("6.14.1", 2, 1, 2);
    let mut call = vendor.upgrade(&new.pack("newer-data", &[]), root.path());
    let told = succeeds(&call.args(["--snapshot", "never"]).output().unwrap());
    assert!(!told.contains("take a snapshot"), "{told}");
    let before = exact(&root, TREE);
    refused(&rollback(&root), 3, "reads forms up to 1");
    let restore = run("rollback", root.path()).args(["--yes", "--data", "restore"]).output().unwrap();
    refused(&restore, 2, "no snapshot of the data belongs to 6.14.0-1");
    assert_eq!(exact(&root, TREE), before);
}

#[test]
fn an_approved_plan_is_still_the_same_later() {
    let vendor = Vendor::get();
    let root = Root::copy_on_disk(&in_use());
    let shown = vendor.upgrade(&vendor.next(), root.path()).arg("--dry-run").output().unwrap();
    let shown = succeeds(&shown);
    let digest = shown.lines().find_map(|line| line.strip_prefix("Plan digest:")).unwrap().trim().to_owned();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    root.put("var/lib/demisto/more.db", &[7; 100_000], 0o600);
    let mut call = run("upgrade", root.path());
    call.arg(vendor.next()).arg("--key").arg(vendor.file("release.asc")).args(["--plan-digest", &digest]);
    succeeds(&call.output().unwrap());
}

/// Files below a directory that hold a text.
fn holders(dir: &Path, text: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            holders(&path, text, found);
        } else if path.is_file() && String::from_utf8_lossy(&fs::read(&path).unwrap()).contains(text) {
            found.push(path.display().to_string());
        }
    }
}

#[test]
fn no_secret_of_the_configuration_is_told_or_left_where_others_can_read() {
    const MARKER: &str = "Zq9-marker-of-a-passphrase";
    let vendor = Vendor::get();
    let root = Root::copy_on_disk(&in_use());
    let secret = format!(
        "{{\n  \"security.certificate.client.keypass\": \"{MARKER}\",\n  \"http_proxy\": \"http://u:{MARKER}@p\"\n}}\n"
    );
    root.put("etc/demisto.conf", secret.as_bytes(), 0o640);
    let mut told = String::new();
    for more in [&["--diff", "--dry-run"][..], &["--dry-run", "--output", "json", "--diff"], &["--diff"]] {
        told += &succeeds(&vendor.upgrade(&vendor.next(), root.path()).args(more).output().unwrap());
    }
    told += &succeeds(&run("rollback", root.path()).args(["--yes", "--output", "json"]).output().unwrap());
    assert!(told.contains("log.level") && !told.contains(MARKER), "{told}");
    let mut found = Vec::new();
    holders(root.path(), MARKER, &mut found);
    let state = root.at("var/lib/demisto-install").display().to_string();
    let (ours, others): (Vec<String>, Vec<String>) =
        found.into_iter().partition(|path| path.starts_with(&state));
    assert_eq!(others, [root.at("etc/demisto.conf").display().to_string()]);
    let allowed = ["/retained/demisto.conf", "/config/"];
    assert!(
        !ours.is_empty() && ours.iter().all(|path| allowed.iter().any(|part| path.contains(part))),
        "{ours:?}"
    );
    assert_eq!(fs::metadata(&state).unwrap().mode() & 0o777, 0o700);
}

/// What belongs to a first installation is not passed over in silence.
#[test]
fn a_plan_of_an_upgrade_refuses_what_only_a_first_installation_takes() {
    let root = in_use();
    let vendor = Vendor::get();
    let plan = |file: &Path| vendor.offer("plan", file, root.path()).arg("--no-start").output().unwrap();
    refused(&plan(&vendor.next()), 2, "--no-start, --cert, --cert-key");
    assert!(succeeds(&plan(&vendor.small())).contains("nothing to do"), "the same options, nothing planned");
}
