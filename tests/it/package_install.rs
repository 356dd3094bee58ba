//! Releases that come as packages, in a scratch root: what is laid out, what goes back, what is refused. Packages
//! of this program's own making, and of the vendor's shape by the real rpmbuild and rpmsign.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rexpect::session::spawn_command;
use serde_json::Value;
use tempfile::TempDir;

use crate::crash::{Change, Sweep, recover, succeeds as well};
use crate::crash_upgrade::fits;
use crate::support::installer::{PROGRAM, Root, STATE, Tree, Vendor, refused, run, said, succeeds, summary};
use crate::support::package::{Rpm, build, sign};
use crate::support::pgp::{Gpg, NOW, need};
use crate::upgrade::exact;

const TREE: &str = "usr/local/demisto";
const RETAINED: &str = "usr/local/.demisto.retained";
const UNIT: &str = "usr/lib/systemd/system/demisto.service";
const OWN_UNIT: &str = "etc/systemd/system/demisto.service";
const LINK: &str = "etc/systemd/system/multi-user.target.wants/demisto.service";
const RPM: &[&str] = &["--format", "rpm"];

/// The last line of JSON.
fn result(command: &mut Command, code: i32) -> Value {
    let output = command.args(["--output", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", said(&output));
    serde_json::from_slice(output.stdout.trim_ascii_end().rsplit(|b| *b == b'\n').next().unwrap()).unwrap()
}

/// The usual release as a package.
fn small() -> PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| Tree::new().pack("small.rpm", RPM)).clone()
}

/// The release after it.
fn next() -> PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| Tree::next().pack("next.rpm", RPM)).clone()
}

/// A call of `install` that asks nothing, all files ours.
fn install(file: &Path, root: &Path) -> Command {
    let mut command = Vendor::get().offer("install", file, root);
    command.arg("--admin-password-file").arg(Vendor::get().file("password"));
    command
}

/// The same with owners.
fn install_as_root(file: &Path, root: &Path) -> Command {
    let vendor = Vendor::get();
    let mut command = run("install", root);
    command.arg(file).arg("--key").arg(vendor.file("release.asc"));
    command.arg("--answers").arg(vendor.file("answers.json"));
    command.arg("--cert").arg(vendor.file("cert.pem")).arg("--cert-key").arg(vendor.file("cert.key"));
    command.arg("--admin-password-file").arg(vendor.file("password"));
    command
}

fn upgrade(file: &Path, root: &Path) -> Command {
    let mut command = Vendor::get().upgrade(file, root);
    command.args(["--snapshot", "never"]);
    command
}

fn rollback(root: &Path) -> Command {
    let mut command = run("rollback", root);
    command.arg("--yes");
    command
}

fn with_key(verb: &str, root: &Root) -> Command {
    let mut command = run(verb, root.path());
    command.arg("--key").arg(Vendor::get().file("release.asc"));
    command
}

fn verify(root: &Root) -> Command {
    let mut command = with_key("verify", root);
    command.arg("--installed");
    command
}

fn repair(root: &Root) -> Command {
    let mut command = with_key("repair", root);
    command.arg("--yes");
    command
}

/// The directories of a machine, without a unit of its administrator's: that would hide the package's.
fn furnished() -> Root {
    let root = Root::furnished();
    fs::remove_file(root.at(OWN_UNIT)).unwrap();
    for dir in ["systemd/system", "sysusers.d", "tmpfiles.d"] {
        fs::create_dir_all(root.at("usr/lib").join(dir)).unwrap();
    }
    root
}

/// A root in which the usual package is installed.
fn installed() -> Root {
    let root = furnished();
    succeeds(&install(&small(), root.path()).output().unwrap());
    root
}

/// Nothing of the product is there, and no run was begun.
fn untouched(root: &Root) -> bool {
    root.snapshot().paths().eq(["var", "var/lib"]) && !root.at(STATE).exists()
}

// --- Packages of this program's own making --------------------------------------------------------------------

#[test]
fn a_package_is_installed_and_a_second_run_changes_nothing() {
    let root = furnished();
    let told = succeeds(&install(&small(), root.path()).output().unwrap());
    assert!(told.contains("6.14.0-1"), "{told}");
    let bundle = Root::furnished();
    succeeds(&Vendor::get().install(bundle.path()).output().unwrap());
    let tree =
        |root: &Root| root.snapshot().only(|path| path.starts_with(TREE) && !path.ends_with("/release.json"));
    assert_eq!(tree(&bundle).differences(&tree(&root)), [""; 0], "the same tree as from a bundle");
    assert!(root.at(UNIT).exists() && !root.at(OWN_UNIT).exists());
    assert_eq!(fs::read_link(root.at(LINK)).unwrap(), Path::new("/usr/lib/systemd/system/demisto.service"));
    let time = |path: &str| root.at(path).metadata().unwrap().mtime();
    for path in ["server", "lib/large.bin", "web/empty.css"] {
        assert_eq!(time(&format!("{TREE}/{path}")), 1_780_000_000, "{path}");
    }
    assert_eq!(time(UNIT), 1_780_000_000);
    let before = (root.snapshot(), exact(&root, TREE), root.all_paths());
    assert!(succeeds(&install(&small(), root.path()).output().unwrap()).contains("nothing to do"));
    assert!(succeeds(&upgrade(&small(), root.path()).output().unwrap()).contains("nothing to do"));
    assert_eq!(before, (root.snapshot(), exact(&root, TREE), root.all_paths()));
    assert_eq!(root.leftovers(), [""; 0]);
}

#[test]
fn an_approved_plan_is_carried_out_and_another_is_not() {
    let root = furnished();
    let before = root.all_paths();
    let vendor = Vendor::get();
    let shown = succeeds(&vendor.offer("plan", &small(), root.path()).output().unwrap());
    assert!(shown.contains("the package's scripts (%pre, %post, %preun, %postun) are not run"), "{shown}");
    assert_eq!(root.all_paths(), before);
    let digest = shown.lines().find_map(|line| line.strip_prefix("Plan digest:")).unwrap().trim().to_owned();
    let call = |digest: &str| {
        let mut call = install(&small(), root.path());
        call.args(["--plan-digest", digest]).output().unwrap()
    };
    refused(&call(&"0".repeat(64)), 4, "not the approved");
    succeeds(&call(&digest));
}

/// What happened to each step of a life, told by the tree and the records.
fn is(root: &Root, release: &str) {
    let found = result(&mut verify(root), 0);
    assert_eq!((&found["release"], &found["drift"]), (&release.into(), &Value::Array(Vec::new())), "{found}");
    let (version, _) = release.split_once('-').unwrap();
    let text = fs::read_to_string(root.at(&format!("{TREE}/version.json"))).unwrap();
    assert!(text.contains(version), "{release}: {text}");
    let unit = fs::read_link(root.at(LINK)).unwrap();
    assert!(
        root.at(unit.to_str().unwrap().trim_start_matches('/')).exists(),
        "{release}: the link leads to {unit:?}"
    );
    assert_eq!(root.leftovers(), [""; 0]);
}

/// Package and bundle take each other's place, in each direction, and go back each time.
#[test]
fn packages_and_bundles_follow_each_other_and_go_back() {
    let vendor = Vendor::get();
    for (name, old, new) in [
        ("package, package", small(), next()),
        ("bundle, package", vendor.small(), next()),
        ("package, bundle", small(), vendor.next()),
    ] {
        let root = furnished();
        succeeds(&install(&old, root.path()).output().unwrap());
        root.put(&format!("{TREE}/demisto.lic"), b"licence\n", 0o644);
        root.put(&format!("{TREE}/lib/of-the-administrator"), b"mine\n", 0o600);
        is(&root, "6.14.0-1");
        let ours = |path: &str| !path.starts_with(RETAINED) && path != "usr/local";
        let (before, tree) = (root.snapshot().only(ours), exact(&root, TREE));
        succeeds(&upgrade(&new, root.path()).output().unwrap());
        is(&root, "6.14.1-2");
        let (after, newer) = (root.snapshot().only(ours), exact(&root, TREE));
        assert!(
            root.at(&format!("{TREE}/demisto.lic")).exists() && root.at(&format!("{TREE}/new/file")).exists()
        );
        let units = [UNIT, OWN_UNIT].map(|unit| root.at(unit).exists());
        assert_eq!(units, [new != vendor.next(), new == vendor.next()], "{name}: one unit and not two");
        let large = |tree: &str| fs::metadata(root.at(&format!("{tree}/lib/large.bin"))).unwrap().ino();
        let shared = large(TREE) == large(RETAINED);
        assert_eq!(shared, name == "package, package" || new == vendor.next(), "{name}: {shared}");

        succeeds(&rollback(root.path()).output().unwrap());
        is(&root, "6.14.0-1");
        assert_eq!(before.differences(&root.snapshot().only(ours)), [""; 0], "{name}: back");
        assert_eq!(tree, exact(&root, TREE), "{name}: back");
        succeeds(&rollback(root.path()).output().unwrap());
        is(&root, "6.14.1-2");
        assert_eq!(after.differences(&root.snapshot().only(ours)), [""; 0], "{name}: forward");
        assert_eq!(newer, exact(&root, TREE), "{name}: forward");
        assert!(succeeds(&upgrade(&new, root.path()).output().unwrap()).contains("nothing to do"));
    }
}

#[test]
fn an_older_package_and_one_of_another_signer_are_refused() {
    let root = installed();
    let gpg = Gpg::new();
    let key = gpg.key("2025-01-01", "Other <other@example.org>", "ed25519", "sign", "never");
    let secret = gpg.file("other.key", &gpg.run(NOW, &["--armor", "--export-secret-keys", &key]));
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    let public = gpg.file("other.asc", &gpg.export(&key));
    let (other, output) = Tree::next().try_pack_with("other-signer.rpm", &secret, RPM);
    assert!(output.status.success(), "{}", said(&output));
    let before = root.all_paths();
    refused(&upgrade(&other, root.path()).output().unwrap(), 3, "which is not trusted");
    refused(&upgrade(&other, root.path()).arg("--key").arg(&public).output().unwrap(), 3, "vouch");
    let older = Tree::new();
    older.describe_as("6.13.9", 9, 1, 1);
    refused(&upgrade(&older.pack("older.rpm", RPM), root.path()).output().unwrap(), 3, "is older than");
    let epoch = Tree::next();
    epoch.describe_as("6.14.1", 2, 0, 1);
    refused(&upgrade(&epoch.pack("epoch.rpm", RPM), root.path()).output().unwrap(), 3, "security epoch 0");
    assert_eq!(root.all_paths(), before);
}

#[test]
fn what_is_kept_of_a_package_is_judged_by_its_own_signature() {
    let root = installed();
    let found = result(&mut verify(&root), 0);
    assert_eq!(found["judgement"]["accepted"], true, "{found}");
    // nobody trusts its key any more
    refused(&run("verify", root.path()).arg("--installed").output().unwrap(), 3, "no trusted key");
    let gpg = Gpg::new();
    gpg.run(NOW, &["--import", Vendor::get().file("release.key").to_str().unwrap()]);
    gpg.revoke("2026-02-01", "Release", 1, "taken");
    let revoked = gpg.file("revoked.asc", &gpg.export("Release"));
    let output = run("verify", root.path()).arg("--installed").arg("--key").arg(&revoked).output().unwrap();
    refused(&output, 3, "revoked");
    // the record is changed, and the receipt with it
    let record = root.at(&format!("{STATE}/manifest.json"));
    let text = fs::read_to_string(&record).unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    for change in ["texts", "header"] {
        let mut changed = value.clone();
        if change == "texts" {
            let path = format!("/{UNIT}");
            changed["texts"][&path] = "W1NlcnZpY2VdCkV4ZWNTdGFydD0vYmluL3NoCg==".into();
        } else {
            let header = changed["header"].as_str().unwrap();
            let flipped = header.replacen("demistoserver", "demistoservex", 1);
            let middle = flipped.len() / 2;
            let other = if flipped.as_bytes()[middle] == b'A' { "B" } else { "A" };
            changed["header"] = format!("{}{other}{}", &flipped[..middle], &flipped[middle + 1..]).into();
        }
        let mut bytes = b"{\"package\":1,".to_vec();
        changed.as_object_mut().unwrap().remove("package");
        bytes.extend_from_slice(&serde_json::to_vec(&changed).unwrap()[1..]);
        fs::write(&record, &bytes).unwrap();
        let receipt = root.at(&format!("{STATE}/receipt.json"));
        let kept = fs::read_to_string(&receipt).unwrap();
        let digest = |bytes: &[u8]| demisto_install::types::Digest::of(bytes).to_string();
        fs::write(&receipt, kept.replace(&digest(text.as_bytes()), &digest(&bytes))).unwrap();
        let output = verify(&root).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{change}: {}", said(&output));
        fs::write(&receipt, kept).unwrap();
    }
    value["package"] = 2.into();
}

#[test]
fn drift_is_named_and_put_right_from_the_package_and_from_the_host() {
    let root = installed();
    let spoil = || {
        fs::write(root.at(&format!("{TREE}/lib/module-1")), "spoilt\n").unwrap();
        fs::remove_file(root.at(&format!("{TREE}/web/index.html"))).unwrap();
        fs::set_permissions(root.at(&format!("{TREE}/server")), Permissions::from_mode(0o777)).unwrap();
        fs::write(root.at(UNIT), "[Service]\nExecStart=/bin/sh\n").unwrap();
    };
    let good = exact(&root, TREE);
    spoil();
    let found = result(&mut verify(&root), 4);
    let paths: Vec<&str> =
        found["drift"].as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["lib/module-1", "server", "web/index.html", &format!("/{UNIT}")], "{found}");
    let here = repair(&root).output().unwrap();
    refused(&here, 4, "lib/module-1");
    refused(&repair(&root).arg("--from").arg(next()).output().unwrap(), 3, "but 6.14.0-1");
    succeeds(&repair(&root).arg("--from").arg(small()).output().unwrap());
    let strip = |tree: &std::collections::BTreeMap<String, String>| {
        let mut tree = tree.clone();
        tree.retain(|path, _| !["lib", "web"].contains(&path.as_str()));
        tree
    };
    assert_eq!(strip(&good), strip(&exact(&root, TREE)), "times are the package's again");
    is(&root, "6.14.0-1");
    // what the release before has is taken from there
    succeeds(&upgrade(&next(), root.path()).output().unwrap());
    fs::remove_file(root.at(&format!("{TREE}/lib/module-1"))).unwrap();
    fs::set_permissions(root.at(&format!("{TREE}/web/index.html")), Permissions::from_mode(0o600)).unwrap();
    succeeds(&repair(&root).output().unwrap());
    is(&root, "6.14.1-2");
}

#[test]
fn uninstall_leaves_nothing_of_a_package() {
    for (name, old) in [("package", small()), ("bundle", Vendor::get().small())] {
        let root = furnished();
        fs::remove_file(root.at("etc/demisto.conf")).unwrap();
        fs::remove_file(root.at("etc/logrotate.d/demisto")).unwrap();
        succeeds(&install(&old, root.path()).output().unwrap());
        succeeds(&upgrade(&next(), root.path()).output().unwrap());
        succeeds(&run("uninstall", root.path()).args(["--yes", "--purge"]).output().unwrap());
        let left: Vec<String> = root
            .snapshot()
            .only(|path| path.contains("demisto") && !root.at(path).is_dir())
            .paths()
            .cloned()
            .collect();
        assert_eq!(left, [""; 0], "{name}");
        assert_eq!(root.leftovers(), [""; 0]);
    }
}

// --- Packages of the vendor's shape ---------------------------------------------------------------------------

/// The vendor's key in the real gpg.
struct Shop {
    dir: TempDir,
    gpg: Gpg,
}

/// A package of the vendor's shape: no `release.json`, its directories not in it.
struct Spec {
    name: &'static str,
    version: &'static str,
    /// Shell below `%{buildroot}`.
    make: String,
    /// Lines of `%files`.
    files: String,
}

impl Spec {
    fn server(version: &'static str) -> Self {
        let number = if version.starts_with("6.12") { 1 } else { 2 };
        Self {
            name: "demistoserver",
            version,
            make: format!(
                "mkdir -p usr/local/demisto/lib/deep usr/local/demisto/conf usr/lib/systemd/system \
                 usr/share/doc/demistoserver etc var/lib/demisto\n\
                 printf '#!/bin/sh\\nexec sleep 1000\\n' >usr/local/demisto/server\n\
                 printf 'deep {number}\\n' >usr/local/demisto/lib/deep/file\n\
                 printf 'shared\\n' >usr/local/demisto/lib/one\n\
                 ln usr/local/demisto/lib/one usr/local/demisto/lib/two\n\
                 ln -s lib/one usr/local/demisto/link\n\
                 : >usr/local/demisto/nothing\n\
                 printf 'kept {number}\\n' >usr/local/demisto/conf/kept.conf\n\
                 printf 'beside {number}\\n' >usr/local/demisto/conf/beside.conf\n\
                 printf 'read me {number}\\n' >usr/share/doc/demistoserver/README\n\
                 printf '{{\"Server\": {{\"HttpsPort\": \"443\"}}}}\\n' >etc/demisto.conf\n\
                 printf '[Service]\\nExecStart=/usr/local/demisto/server\\n\\n[Install]\\nWantedBy=multi-user.target\\n' \
                 >usr/lib/systemd/system/demisto.service\n"
            ),
            files: "%attr(0755,root,root) %caps(cap_net_bind_service=ep) /usr/local/demisto/server\n\
                    /usr/local/demisto/lib/deep/file\n/usr/local/demisto/lib/one\n/usr/local/demisto/lib/two\n\
                    /usr/local/demisto/link\n%attr(0640,demisto,demisto) /usr/local/demisto/nothing\n\
                    %config(noreplace) /usr/local/demisto/conf/kept.conf\n\
                    %config /usr/local/demisto/conf/beside.conf\n\
                    %doc /usr/share/doc/demistoserver/README\n\
                    %config(noreplace) %attr(0640,demisto,demisto) /etc/demisto.conf\n\
                    %dir %attr(0750,demisto,demisto) /var/lib/demisto\n\
                    /usr/lib/systemd/system/demisto.service\n"
                .to_owned(),
        }
    }

    fn with(mut self, make: &str, files: &str) -> Self {
        self.make += &format!("{make}\n");
        self.files += &format!("{files}\n");
        self
    }

    fn text(&self) -> String {
        format!(
            "Name: {}\nVersion: {}\nRelease: 1\nSummary: The vendor's\nVendor: Example\nLicense: Commercial\n\
             AutoReqProv: no\n%description\n%install\nmkdir -p %{{buildroot}}\ncd %{{buildroot}}\n{}\n\
             find . -type f -exec touch -d '2023-05-06 07:08:09 UTC' {{}} +\n\
             %files\n%defattr(-,root,root)\n{}\n",
            self.name, self.version, self.make, self.files
        )
    }
}

impl Shop {
    fn new() -> Self {
        let gpg = Gpg::new();
        gpg.run(NOW, &["--import", Vendor::get().file("release.key").to_str().unwrap()]);
        Self { dir: tempfile::tempdir().unwrap(), gpg }
    }

    fn make(&self, name: &str, spec: &Spec, payload: &str) -> PathBuf {
        let built = build(self.dir.path(), &spec.text(), payload);
        sign(&self.gpg, "Release", &built, &[]);
        let out = self.dir.path().join(name);
        fs::rename(built, &out).unwrap();
        out
    }
}

fn stem(root: &Root, name: &str) -> String {
    fs::read_to_string(root.at(&format!("{TREE}/{name}"))).unwrap()
}

fn put(root: &Root, name: &str, text: &str) {
    root.put(&format!("{TREE}/{name}"), text.as_bytes(), 0o644);
}

#[test]
fn a_package_of_the_vendors_shape_lives_like_any_other() {
    let shop = Shop::new();
    let old = shop.make("vendor-1.rpm", &Spec::server("6.12.0_493375"), "w2.xzdio");
    let new = shop.make("vendor-2.rpm", &Spec::server("6.14.0_500000"), "w3.zstdio");
    let root = furnished();
    let told = succeeds(&install(&old, root.path()).output().unwrap());
    assert!(told.contains("6.12.0-493375"), "{told}");
    let inode = |name: &str| root.at(&format!("{TREE}/{name}")).metadata().unwrap();
    assert_eq!(stem(&root, "lib/two"), "shared\n");
    assert_eq!((inode("lib/deep").mode() & 0o7777, inode("server").mtime()), (0o755, 1_683_356_889));
    assert_eq!(fs::read_to_string(root.at("usr/share/doc/demistoserver/README")).unwrap(), "read me 1\n");
    assert_eq!(fs::read_link(root.at(LINK)).unwrap(), Path::new("/usr/lib/systemd/system/demisto.service"));
    let found = result(&mut verify(&root), 0);
    assert_eq!((&found["release"], &found["drift"]), (&"6.12.0-493375".into(), &Value::Array(Vec::new())));

    let ours = |path: &str| !path.starts_with(RETAINED) && path != "usr/local";
    let before = root.snapshot().only(ours);
    succeeds(&upgrade(&new, root.path()).output().unwrap());
    assert_eq!(stem(&root, "lib/deep/file"), "deep 2\n");
    assert_eq!(stem(&root, "conf/kept.conf"), "kept 2\n", "nobody had changed it");
    assert_eq!(result(&mut verify(&root), 0)["release"], "6.14.0-500000");
    succeeds(&rollback(root.path()).output().unwrap());
    assert_eq!(before.differences(&root.snapshot().only(ours)), [""; 0]);
    succeeds(&rollback(root.path()).output().unwrap());
    succeeds(&run("uninstall", root.path()).args(["--yes", "--purge"]).output().unwrap());
    assert!(!root.at(TREE).exists() && !root.at(UNIT).exists());
    assert!(!root.at("usr/share/doc/demistoserver/README").exists());
}

#[test]
fn configuration_files_that_the_host_changed_are_never_lost() {
    let shop = Shop::new();
    let old = shop.make("config-1.rpm", &Spec::server("6.12.0_493375"), "w1.gzdio");
    let new = shop.make("config-2.rpm", &Spec::server("6.14.0_500000"), "w1.gzdio");
    let root = furnished();
    succeeds(&install(&old, root.path()).output().unwrap());
    put(&root, "conf/kept.conf", "mine\n");
    put(&root, "conf/beside.conf", "mine, too\n");
    assert_eq!(
        result(&mut verify(&root), 0)["drift"],
        Value::Array(Vec::new()),
        "they are the host's to change"
    );
    let ours = |path: &str| !path.starts_with(RETAINED) && path != "usr/local";
    let before = root.snapshot().only(ours);
    succeeds(&upgrade(&new, root.path()).output().unwrap());
    assert_eq!(stem(&root, "conf/kept.conf"), "mine\n");
    assert_eq!(stem(&root, "conf/beside.conf"), "beside 2\n");
    assert_eq!(stem(&root, "conf/beside.conf.demisto-orig"), "mine, too\n");
    succeeds(&verify(&root).output().unwrap());
    succeeds(&rollback(root.path()).output().unwrap());
    assert_eq!(before.differences(&root.snapshot().only(ours)), [""; 0]);
    succeeds(&rollback(root.path()).output().unwrap());
    // both are changed again before the way back: neither the one nor the other text is lost
    put(&root, "conf/kept.conf", "mine again\n");
    put(&root, "conf/beside.conf", "mine in the new one\n");
    succeeds(&rollback(root.path()).output().unwrap());
    let texts = |dir: &str| {
        let mut texts: Vec<String> = fs::read_dir(root.at(dir))
            .unwrap()
            .flatten()
            .map(|entry| fs::read_to_string(entry.path()).unwrap())
            .collect();
        texts.sort();
        texts
    };
    assert_eq!(texts(&format!("{TREE}/conf")), ["mine again\n", "mine in the new one\n", "mine, too\n"]);
    // what the host wrote stays when the release goes
    succeeds(&run("uninstall", root.path()).arg("--yes").output().unwrap());
    assert_eq!(texts(&format!("{TREE}/conf")), ["mine again\n", "mine in the new one\n", "mine, too\n"]);
    assert!(!root.at(&format!("{TREE}/server")).exists());
}

/// The default comes back with a release whose own file was set back meanwhile.
#[test]
fn a_configuration_file_is_there_after_each_way() {
    let shop = Shop::new();
    let old = shop.make("there-1.rpm", &Spec::server("6.12.0_493375"), "w1.gzdio");
    let new = shop.make("there-2.rpm", &Spec::server("6.14.0_500000"), "w1.gzdio");
    let root = furnished();
    succeeds(&install(&old, root.path()).output().unwrap());
    put(&root, "conf/kept.conf", "mine\n");
    put(&root, "conf/beside.conf", "mine\n");
    let kept = root.snapshot().only(|path| path.starts_with(TREE));
    succeeds(&upgrade(&new, root.path()).output().unwrap());
    put(&root, "conf/kept.conf", "kept 2\n");
    succeeds(&rollback(root.path()).output().unwrap());
    assert_eq!(
        (stem(&root, "conf/kept.conf"), stem(&root, "conf/beside.conf")),
        ("mine\n".into(), "mine\n".into())
    );
    succeeds(&verify(&root).output().unwrap());
    assert_eq!(kept.differences(&root.snapshot().only(|path| path.starts_with(TREE))), [""; 0]);
}

#[test]
fn owners_and_capabilities_are_those_of_the_package_as_root() {
    need("getcap", "libcap2-bin");
    let shop = Shop::new();
    let old = shop.make("owners-1.rpm", &Spec::server("6.12.0_493375"), "w1.gzdio");
    let new = shop.make("owners-2.rpm", &Spec::server("6.14.0_500000"), "w1.gzdio");
    let root = Root::with_accounts();
    succeeds(&install_as_root(&old, root.path()).output().unwrap());
    let server = root.at(&format!("{TREE}/server"));
    let capability = || {
        let output = Command::new("/usr/sbin/getcap").arg(&server).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().rsplit(' ').next().unwrap().to_owned()
    };
    assert_eq!(capability(), "cap_net_bind_service=ep");
    let meta = root.at(&format!("{TREE}/nothing")).metadata().unwrap();
    assert_eq!(meta.mode() & 0o7777, 0o640);
    assert!(meta.uid() != 0 && meta.gid() != 0);
    assert_eq!(root.at(&format!("{TREE}/lib/one")).metadata().unwrap().uid(), 0);
    succeeds(&upgrade(&new, root.path()).output().unwrap());
    assert_eq!(capability(), "cap_net_bind_service=ep");
    succeeds(&rollback(root.path()).output().unwrap());
    assert_eq!(capability(), "cap_net_bind_service=ep");
    let status = Command::new("/usr/sbin/setcap").arg("-r").arg(&server).status().unwrap();
    assert!(status.success());
    assert_eq!(result(&mut verify(&root), 4)["drift"][0]["what"], "capability");
    succeeds(&repair(&root).arg("--from").arg(&old).output().unwrap());
    assert_eq!(capability(), "cap_net_bind_service=ep");
    assert_eq!(result(&mut verify(&root), 0)["drift"], Value::Array(Vec::new()));
}

#[test]
fn an_engines_package_is_installed_as_an_engine() {
    let shop = Shop::new();
    let spec = Spec {
        name: "d1",
        version: "6.12.0_493375",
        make: "mkdir -p usr/local/demisto usr/lib/systemd/system\n\
               printf '#!/bin/sh\\nexec sleep 1000\\n' >usr/local/demisto/d1\n\
               printf '{\"EngineURLs\": [\"wss://example.test/d1ws\"]}\\n' >usr/local/demisto/d1.conf\n\
               printf '[Service]\\nExecStart=/usr/local/demisto/d1\\n\\n[Install]\\nWantedBy=multi-user.target\\n' \
               >usr/lib/systemd/system/d1.service\n"
            .to_owned(),
        files: "%attr(0755,root,root) /usr/local/demisto/d1\n\
                %config(noreplace) %attr(0640,demisto,demisto) /usr/local/demisto/d1.conf\n\
                /usr/lib/systemd/system/d1.service\n"
            .to_owned(),
    };
    let file = shop.make("d1.rpm", &spec, "w1.gzdio");
    let root = Root::fresh();
    let vendor = Vendor::get();
    refused(&install(&file, root.path()).output().unwrap(), 2, "engine");
    let mut call = run("engine", root.path());
    call.arg("install").arg(&file).arg("--key").arg(vendor.file("release.asc")).args(["--yes", "--no-owner"]);
    call.arg("--answers").arg(vendor.file("answers.json"));
    succeeds(&call.output().unwrap());
    assert!(root.at(&format!("{TREE}/d1")).exists() && root.at("usr/lib/systemd/system/d1.service").exists());
}

#[test]
fn packages_that_ask_for_more_are_refused_and_nothing_is_laid_out() {
    let shop = Shop::new();
    let tree = "/usr/local/demisto";
    for (name, make, files, why) in [
        (
            "foreign",
            "mkdir -p opt; echo x >opt/file",
            "/opt/file".to_owned(),
            "outside of the product's places",
        ),
        ("cron", "mkdir -p etc/cron.d; echo x >etc/cron.d/x", "/etc/cron.d/x".to_owned(), "outside of the"),
        (
            "owner",
            "echo x >usr/local/demisto/x",
            format!("%attr(0644,bin,bin) {tree}/x"),
            "belongs to neither",
        ),
        (
            "setuid",
            "echo x >usr/local/demisto/x",
            format!("%attr(4755,root,root) {tree}/x"),
            "set-uid or set-gid",
        ),
        (
            "setgid",
            "mkdir usr/local/demisto/x",
            format!("%dir %attr(2755,root,root) {tree}/x"),
            "set-uid or set-gid",
        ),
        (
            "capability",
            "echo x >usr/local/demisto/x",
            format!("%attr(0755,root,root) %caps(cap_sys_admin=ep) {tree}/x"),
            "a capability other than cap_net_bind_service",
        ),
        ("absolute", "ln -s /etc/passwd usr/local/demisto/x", format!("{tree}/x"), "relative"),
        ("leaves", "ln -s ../../../etc/passwd usr/local/demisto/x", format!("{tree}/x"), "leaves"),
        (
            "certificate",
            "echo x >usr/local/demisto/cert.pem",
            format!("{tree}/cert.pem"),
            "belongs to the host",
        ),
        (
            "mode",
            "mkdir -p etc/logrotate.d; echo x >etc/logrotate.d/demisto-x",
            "%attr(0755,root,root) /etc/logrotate.d/demisto-x".to_owned(),
            "root:root, 0644",
        ),
        (
            "name",
            "mkdir -p etc/logrotate.d; echo x >etc/logrotate.d/x",
            "/etc/logrotate.d/x".to_owned(),
            "not named after",
        ),
        (
            "unit",
            "mkdir -p usr/lib/systemd/system/x.service.d; echo x >usr/lib/systemd/system/x.service.d/y.conf",
            "/usr/lib/systemd/system/x.service.d/y.conf".to_owned(),
            "outside of the",
        ),
    ] {
        let spec = Spec::server("6.12.0_493375").with(make, &files);
        let file = shop.make(&format!("{name}.rpm"), &spec, "w1.gzdio");
        let root = Root::fresh();
        let output = install(&file, root.path()).output().unwrap();
        refused(&output, 3, why);
        assert!(untouched(&root), "{name}");
        assert!(!said(&output).contains("panic"), "{name}");
    }
}

#[test]
fn packages_that_are_not_vouched_for_are_refused() {
    let shop = Shop::new();
    let root = Root::fresh();
    let unsigned = build(shop.dir.path(), &Spec::server("6.12.0_493375").text(), "w1.gzdio");
    refused(&install(&unsigned, root.path()).output().unwrap(), 3, "signature");
    let stranger = Gpg::new();
    stranger.key("2025-01-01", "Stranger", "rsa3072", "sign", "never");
    sign(&stranger, "Stranger", &unsigned, &[]);
    refused(&install(&unsigned, root.path()).output().unwrap(), 3, "which is not trusted");
    let other = Spec { name: "apache", ..Spec::server("6.12.0_493375") };
    refused(
        &install(&shop.make("apache.rpm", &other, "w1.gzdio"), root.path()).output().unwrap(),
        3,
        "apache",
    );
    let odd = Spec { version: "x.y", ..Spec::server("6.12.0_493375") };
    refused(
        &install(&shop.make("odd.rpm", &odd, "w1.gzdio"), root.path()).output().unwrap(),
        3,
        "not numbers",
    );
    assert!(untouched(&root));
}

/// One byte in each part: all of them are noticed before anything is laid out.
#[test]
fn a_changed_byte_anywhere_is_refused() {
    let bytes = fs::read(small()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("changed.rpm");
    let root = Root::fresh();
    // behind the lead and the signature header, whose own bytes are looked at by `rpmfile`
    for at in (0..12).map(|part| bytes.len() / 12 * part + 8000) {
        let mut changed = bytes.clone();
        changed[at.min(bytes.len() - 1)] ^= 1;
        fs::write(&file, &changed).unwrap();
        let output = install(&file, root.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{at}: {}", said(&output));
        assert!(untouched(&root), "{at}");
    }
    fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(install(&file, root.path()).output().unwrap().status.code(), Some(3));
    fs::write(&file, [&bytes[..], &[0]].concat()).unwrap();
    assert_eq!(install(&file, root.path()).output().unwrap().status.code(), Some(3));
    assert!(untouched(&root));
}

/// All of it was compared and the program waits for consent; then somebody writes the file.
#[test]
fn a_package_that_changes_between_check_and_use_is_refused_and_undone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("written.rpm");
    fs::copy(next(), &file).unwrap();
    let root = installed();
    let before = (root.snapshot(), exact(&root, TREE));
    let mut call = Command::new(PROGRAM);
    call.arg("upgrade").arg("--root").arg(root.path()).arg(&file);
    call.arg("--key").arg(Vendor::get().file("release.asc")).args(["--snapshot", "never"]);
    let mut session = spawn_command(call, Some(30_000)).unwrap();
    session.exp_string("Upgrade now?").unwrap();
    let length = file.metadata().unwrap().len();
    let open = fs::OpenOptions::new().write(true).open(&file).unwrap();
    open.write_all_at(b"changed", length / 2).unwrap();
    session.send_line("yes").unwrap();
    let told = session.exp_eof().unwrap();
    assert!(told.contains("the file was changed while it was read"), "{told}");
    let ended = session.process().wait().unwrap();
    assert!(format!("{ended:?}").contains(", 3)"), "{ended:?}: {told}");
    assert_eq!(before.0.differences(&root.snapshot()), [""; 0]);
    assert_eq!((before.1, root.leftovers()), (exact(&root, TREE), Vec::new()));
    // the same file as it should be is taken
    succeeds(&upgrade(&next(), root.path()).output().unwrap());
}

// --- rpm's database below another root -------------------------------------------------------------------------

#[test]
fn a_database_below_the_root_is_told_as_root() {
    let _ = Rpm::with(&[]);
    let root = Root::with_accounts();
    let rpm = |args: &[&str]| {
        let output = Command::new("/usr/bin/rpm").arg("--root").arg(root.path()).args(args).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let file = install_as_root(&small(), root.path()).args(["--register-rpm", "always"]).output().unwrap();
    succeeds(&file);
    assert_eq!(rpm(&["-q", "demistoserver"]), (true, "demistoserver-6.14.0-1.x86_64".to_owned()));
    succeeds(&upgrade(&next(), root.path()).args(["--register-rpm", "always"]).output().unwrap());
    assert_eq!(rpm(&["-qa"]).1, "demistoserver-6.14.1-2.x86_64");
    succeeds(&rollback(root.path()).output().unwrap());
    assert_eq!(rpm(&["-qa"]).1, "demistoserver-6.14.0-1.x86_64");
    let (_, told) = rpm(&["-V", "--nodeps", "--nouser", "--nogroup", "demistoserver"]);
    let told: Vec<&str> = told.lines().filter(|line| !line.contains(" c /etc/demisto.conf")).collect();
    assert_eq!(told, [""; 0]);
    succeeds(&run("uninstall", root.path()).arg("--yes").output().unwrap());
    assert_eq!(rpm(&["-qa"]).1, "");
}

#[test]
fn nothing_is_registered_where_rpm_does_not_manage_the_host() {
    let root = installed();
    let databases = || root.all_paths().iter().any(|path| path.contains("rpm"));
    assert!(!databases());
    succeeds(&upgrade(&next(), root.path()).output().unwrap());
    assert!(!databases());
    let scripts = upgrade(&small(), root.path()).arg("--run-scriptlets").output().unwrap();
    assert_ne!(scripts.status.code(), Some(0), "scripts of another root are not run");
}

// --- Sudden death -----------------------------------------------------------------------------------------------

/// A few dozen points of a change: killed, recovered, and at some of them run again.
fn sweep(
    name: &str,
    root: &(dyn Fn() -> Root + Sync),
    command: &(dyn Fn(&Path) -> Command + Sync),
) -> String {
    let sweep = Sweep::new(Change { name, root, command });
    let recovered = |number: usize| {
        let root = sweep.killed(number)?;
        well(&recover(&root).output().unwrap())?;
        sweep.is_either(&root)?;
        fits(&root)?;
        sweep.ends_well(&root, number)
    };
    let step = (sweep.points.len() / 32).max(1) | 1; // odd, so that all remainders of 4 are met
    sweep.each("killed and recovered", step, &recovered)
}

#[test]
fn a_packages_installation_survives_sudden_death() {
    summary(
        "crash-package-install",
        &sweep("installation of a package", &furnished, &|root| install(&small(), root)),
    );
}

#[test]
fn a_packages_upgrade_survives_sudden_death() {
    let model = installed();
    let told = sweep("upgrade to a package", &|| Root::copy(&model), &|root| upgrade(&next(), root));
    let bundle = furnished();
    succeeds(&Vendor::get().install(bundle.path()).output().unwrap());
    let other =
        sweep("upgrade of a bundle to a package", &|| Root::copy(&bundle), &|root| upgrade(&next(), root));
    summary("crash-package-upgrade", &format!("{told}\n{other}"));
}

/// The host's own text stands in both trees for a while: neither it nor the release's is lost.
#[test]
fn changed_configuration_files_survive_sudden_death() {
    let shop = Shop::new();
    let spec = |version: &'static str, short: &str| {
        let make = format!("echo '{{\"version\": \"{short}\"}}' >usr/local/demisto/version.json");
        Spec::server(version).with(&make, "/usr/local/demisto/version.json")
    };
    let old = shop.make("sweep-1.rpm", &spec("6.12.0_493375", "6.12.0"), "w1.gzdio");
    let new = shop.make("sweep-2.rpm", &spec("6.14.0_500000", "6.14.0"), "w1.gzdio");
    let model = furnished();
    succeeds(&install(&old, model.path()).output().unwrap());
    put(&model, "conf/kept.conf", "mine\n");
    put(&model, "conf/beside.conf", "mine, too\n");
    let there = sweep("upgrade with changed files", &|| Root::copy(&model), &|root| upgrade(&new, root));
    succeeds(&upgrade(&new, model.path()).output().unwrap());
    put(&model, "conf/kept.conf", "mine again\n");
    let back = |root: &Path| {
        let mut command = rollback(root);
        command.args(["--to", "6.12.0-493375"]);
        command
    };
    let back = sweep("rollback with changed files", &|| Root::copy(&model), &back);
    summary("crash-package-config", &format!("{there}\n{back}"));
}
