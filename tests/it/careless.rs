//! Signed packages whose maker was careless, or worse: what they bring beside the tree, and what they say to rpm.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use tempfile::TempDir;

use crate::support::container::Container;
use crate::support::installer::{PROGRAM, Root, Tree, Vendor, run, said};
use crate::support::package;
use crate::support::pgp::{Gpg, NOW, need};

/// A maker of packages with a key.
struct Maker {
    dir: TempDir,
    gpg: Gpg,
    key: PathBuf,
}

impl Maker {
    fn new() -> Self {
        let gpg = Gpg::new();
        let key = gpg.key("2025-01-01", "Careless", "rsa3072", "sign", "never");
        let key = gpg.file("careless.asc", &gpg.run(NOW, &["--armor", "--export", &key]));
        Self { dir: tempfile::tempdir().unwrap(), gpg, key }
    }

    /// A signed package with a server and these files: path and text.
    fn package(
        &self,
        nvr: (&str, &str, u32),
        header: &str,
        files: &[(&str, &str)],
        scripts: &str,
    ) -> PathBuf {
        let (name, version, release) = nvr;
        let all: Vec<&(&str, &str)> = files.iter().chain(&[("/usr/local/demisto/server", "x")]).collect();
        let make: String = all
            .iter()
            .map(|(path, text)| {
                format!("install -D -m 644 /dev/stdin %{{buildroot}}{path} <<'END'\n{text}\nEND\n")
            })
            .collect();
        let list: String = all.iter().map(|(path, _)| format!("{path}\n")).collect();
        let spec = format!(
            "Name: {name}\nVersion: {version}\nRelease: {release}\nSummary: s\nLicense: MIT\nAutoReqProv: no\n\
             {header}\n%description\n%install\n{make}%files\n%defattr(-,root,root,-)\n{list}{scripts}\n"
        );
        let dir = tempfile::Builder::new().prefix("one-").tempdir_in(self.dir.path()).unwrap().keep();
        let path = package::build(&dir, &spec, "w1.gzdio");
        need("rpmsign", "rpm");
        let output = Command::new("/usr/bin/rpmsign")
            .env("GNUPGHOME", self.gpg.home())
            .args(["--define", "__gpg /usr/bin/gpg", "--define", "_gpg_name Careless", "--addsign"])
            .arg(&path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", said(&output));
        path
    }

    /// A call of `verb` of a package on a root that asks nothing.
    fn call(&self, verb: &str, package: &Path, root: &Root, more: &[&str]) -> Output {
        let vendor = Vendor::get();
        let mut command = run(verb, root.path());
        command.arg(package).arg("--key").arg(&self.key);
        if verb == "upgrade" {
            command.arg("--yes").arg("--answers").arg(vendor.file("answers.json"));
        } else {
            command.arg("--no-owner").arg("--answers").arg(vendor.file("answers.json"));
            command.arg("--cert").arg(vendor.file("cert.pem")).arg("--cert-key").arg(vendor.file("cert.key"));
        }
        if verb == "install" {
            command.arg("--admin-password-file").arg(vendor.file("password"));
        }
        command.args(more).output().unwrap()
    }

    /// Puts the program, the key and what an installation needs into a machine.
    fn furnish(&self, host: &Container) {
        host.put(PROGRAM, "/root/demisto-install");
        host.put(&self.key, "/root/release.asc");
        for name in ["answers.json", "password", "cert.pem", "cert.key"] {
            host.put(Vendor::get().file(name), &format!("/root/{name}"));
        }
    }

    fn install(&self, package: &Path, root: &Root) -> Output {
        self.call("install", package, root, &[])
    }
}

const SERVER: (&str, &str, u32) = ("demistoserver", "6.14.0", 1);
/// For `install` in a machine.
const GIVEN: &str = "--answers /root/answers.json --admin-password-file /root/password --cert /root/cert.pem \
                     --cert-key /root/cert.key --key /root/release.asc --no-start";
const UNIT: &str = "[Service]\nExecStart=/usr/local/demisto/server";

#[test]
fn files_with_names_of_other_packages_are_refused() {
    let (maker, root) = (Maker::new(), Root::fresh());
    let before = root.snapshot();
    for path in [
        "/etc/sysctl.d/10-network-security.conf",
        "/etc/logrotate.d/rsyslog",
        "/usr/lib/sysusers.d/basic.conf",
        "/usr/share/doc/bash/README",
        "/usr/lib/systemd/system/ssh.service",
        "/usr/lib/systemd/system/d1_x.service",
        "/etc/systemd/system/d1_x.service",
    ] {
        let package = maker.package(SERVER, "", &[(path, "mine")], "");
        let output = maker.install(&package, &root);
        assert_eq!(output.status.code(), Some(3), "{path}: {}", said(&output));
        assert!(said(&output).contains("not named after the product"), "{path}: {}", said(&output));
    }
    assert_eq!(before.differences(&root.snapshot()), [""; 0]);
}

#[test]
fn a_package_of_another_name_is_refused() {
    let (maker, root) = (Maker::new(), Root::fresh());
    let described = Tree::new().pack("described.rpm", &["--format", "rpm"]);
    need("rpm2cpio", "rpm2cpio");
    let archive = Command::new("/usr/bin/rpm2cpio").arg(&described).output().unwrap().stdout;
    let archive = String::from_utf8_lossy(&archive);
    let (from, _) = archive.match_indices("{\n  \"format\": 1,").next().unwrap();
    let release = archive[from..].split_inclusive("\n}").next().unwrap().to_owned();
    let package =
        maker.package(("bash", "6.14.0", 1), "", &[("/usr/local/demisto/release.json", &release)], "");
    let output = maker.install(&package, &root);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("neither the server's package nor an engine's"), "{}", said(&output));
}

#[test]
fn what_is_in_the_place_of_a_packages_file_is_never_overwritten() {
    let (maker, root) = (Maker::new(), Root::fresh());
    let path = "/etc/sysctl.d/10-demisto.conf";
    let unit = ("/usr/lib/systemd/system/demisto.service", UNIT);
    let one = maker.package(SERVER, "", &[(path, "a = 1"), unit], "");
    fs::create_dir_all(root.at("etc/sysctl.d")).unwrap();
    for other in ["b = 2\n", ""] {
        root.put("etc/sysctl.d/10-demisto.conf", other.as_bytes(), 0o644);
        let before = root.snapshot();
        let output = maker.install(&one, &root);
        assert_eq!(output.status.code(), Some(4), "{}", said(&output));
        assert!(said(&output).contains(path) && said(&output).contains("move it away"), "{}", said(&output));
        assert_eq!(before.differences(&root.snapshot()), [""; 0]);
    }
    // the same text is fine, and what the release before brought is the release's
    root.put("etc/sysctl.d/10-demisto.conf", b"a = 1\n", 0o644);
    let output = maker.install(&one, &root);
    assert!(output.status.success(), "{}", said(&output));
    let more = ("/etc/logrotate.d/demistoserver", "mine");
    let two = maker.package(("demistoserver", "6.14.0", 2), "", &[(path, "a = 2"), unit, more], "");
    root.put("etc/logrotate.d/demistoserver", b"not mine\n", 0o644);
    let output = maker.call("upgrade", &two, &root, &[]);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(said(&output).contains("brings /etc/logrotate.d/demistoserver, and"), "{}", said(&output));
    fs::remove_file(root.at("etc/logrotate.d/demistoserver")).unwrap();
    let output = maker.call("upgrade", &two, &root, &[]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(fs::read_to_string(root.at("etc/sysctl.d/10-demisto.conf")).unwrap(), "a = 2\n");
    // there and back
    let roll = || run("rollback", root.path()).arg("--yes").output().unwrap();
    let output = roll();
    assert!(output.status.success(), "{}", said(&output));
    assert!(!root.at("etc/logrotate.d/demistoserver").exists());
    root.put("etc/logrotate.d/demistoserver", b"not mine\n", 0o644);
    let output = roll();
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert_eq!(fs::read_to_string(root.at("etc/logrotate.d/demistoserver")).unwrap(), "not mine\n");
}

#[test]
fn a_unit_in_the_hosts_directory_is_planned_once() {
    let (maker, root) = (Maker::new(), Root::fresh());
    let path = "/etc/systemd/system/demisto.service";
    let package = maker.package(SERVER, "", &[(path, UNIT)], "");
    let count = |output: &Output, word: &str| {
        said(output).lines().filter(|line| line.contains(path) && line.contains(word)).count()
    };
    let output = maker.call("plan", &package, &root, &[]);
    assert_eq!(count(&output, "write"), 1, "{}", said(&output));
    let output = maker.install(&package, &root);
    assert!(output.status.success() && root.at(path.trim_start_matches('/')).exists(), "{}", said(&output));
    let output = run("uninstall", root.path()).arg("--dry-run").output().unwrap();
    assert_eq!(count(&output, "remove"), 1, "{}", said(&output));
}

#[test]
fn planning_leaves_no_database_of_rpms() {
    let (maker, root) = (Maker::new(), Root::fresh());
    let package = maker.package(SERVER, "", &[], "");
    let output = maker.call("plan", &package, &root, &[]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(!root.all_paths().iter().any(|path| path.contains("rpm")), "{:?}", root.all_paths());
}

/// On a machine with an rpm database of its own, which then knows the product's packages and loses no other.
#[test]
fn registering_touches_no_other_package() {
    let (maker, host) = (Maker::new(), Container::up("register"));
    maker.furnish(&host);
    let put = |nvr, header: &str, name: &str| host.put(maker.package(nvr, header, &[], ""), name);
    put(("coreutils", "1", 1), "", "/root/coreutils.rpm");
    put(SERVER, "", "/root/one.rpm");
    put(("demistoserver", "6.14.0", 2), "Obsoletes: demisto-old", "/root/two.rpm");
    put(("demistoserver", "6.14.0", 3), "Obsoletes: coreutils", "/root/three.rpm");
    let given = format!("{GIVEN} --register-rpm always");
    let upgrade = "--key /root/release.asc --yes --register-rpm always --answers /root/answers.json";

    // there is no database yet, and looking makes none
    host.sh("rm -rf /root/.rpmdb /.rpmdb /var/lib/rpm/*");
    host.sh("/root/demisto-install plan /root/one.rpm --answers /root/answers.json --cert /root/cert.pem \
             --cert-key /root/cert.key --key /root/release.asc");
    host.sh("test ! -e /root/.rpmdb && test ! -e /.rpmdb && ! ls /var/lib/rpm/rpmdb.sqlite");
    host.sh(&format!("/root/demisto-install install /root/one.rpm {given}"));
    host.sh("test ! -e /.rpmdb");
    assert_eq!(host.sh("HOME=/root rpm -qa"), "demistoserver-6.14.0-1.x86_64");

    host.sh("rpm --force-debian -i --justdb --nodeps --nosignature /root/coreutils.rpm");
    host.sh(&format!("/root/demisto-install upgrade /root/two.rpm {upgrade}"));
    assert_eq!(host.sh("rpm -qa | sort"), "coreutils-1-1.x86_64\ndemistoserver-6.14.0-2.x86_64");
    let told = host.sh(&format!("/root/demisto-install upgrade /root/three.rpm {upgrade} 2>&1"));
    assert!(told.contains("not entered into rpm's database"), "{told}");
    assert_eq!(host.sh("rpm -qa"), "coreutils-1-1.x86_64");
    host.sh("/root/demisto-install rollback --yes");
    assert_eq!(host.sh("rpm -qa | sort"), "coreutils-1-1.x86_64\ndemistoserver-6.14.0-2.x86_64");
    host.sh("/root/demisto-install uninstall --yes");
    assert_eq!(host.sh("rpm -qa"), "coreutils-1-1.x86_64");
}

/// What a script leaves running is not waited for, and one that goes on for ever ends with the run.
#[test]
fn scripts_do_not_hold_the_run() {
    let (maker, host) = (Maker::new(), Container::up("scripts"));
    maker.furnish(&host);
    let leaves = "%post\numask > /root/umask\nsleep 300 &";
    host.put(maker.package(SERVER, "", &[], leaves), "/root/leaves.rpm");
    host.put(maker.package(SERVER, "", &[], "%post\ntouch /root/begun\nsleep 300"), "/root/holds.rpm");
    let watch = Instant::now();
    host.sh(&format!("/root/demisto-install install /root/leaves.rpm {GIVEN} --run-scriptlets"));
    assert_eq!(
        host.sh("cat /root/umask; /root/demisto-install uninstall --yes >&2; rm -r /usr/local/demisto"),
        "0022"
    );
    let command =
        format!("timeout -s INT 5 /root/demisto-install install /root/holds.rpm {GIVEN} --run-scriptlets");
    let output = host.run(&["bash", "-c", &command.replace("timeout", "timeout --preserve-status")]);
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    host.sh("test -e /root/begun && test ! -e /usr/local/demisto/server");
    assert!(watch.elapsed().as_secs() < 120, "{:?}", watch.elapsed());
}
