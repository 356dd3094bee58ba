//! Releases that come as packages and makeself archives on a booted machine: the service answers after each
//! change, and rpm's database tells the truth.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::bundle::Bundle;
use super::upgrade::{V1, V2};
use crate::support::container::Container;
use crate::support::installer::{PROGRAM, said};
use crate::support::package::{build, sign};
use crate::support::pgp::{Gpg, need};

const TOOL: &str = "/root/tool";
const ANSWERS: &str = "echo '{\"accept_eula\": true}' > /root/answers.json; umask 077; \
                       echo Kq7-marker-Vw > /root/password";
const UNATTENDED: &str = "--answers /root/answers.json --admin-password-file /root/password";
/// Debian's rpm knows nothing of Debian's packages, and wants to be told that this is meant.
const RPM: &str = "rpm --force-debian --nodeps";

fn now() -> String {
    jiff::Timestamp::now().to_string()
}

/// A release key of one algorithm: its gpg, the secret and the public key.
struct Key {
    gpg: Gpg,
    id: String,
    secret: PathBuf,
    public: PathBuf,
}

impl Key {
    fn new(algorithm: &str) -> Self {
        let gpg = Gpg::new();
        let id = gpg.key(&now(), &format!("Release {algorithm}"), algorithm, "sign", "1y");
        let secret = gpg.file("release.key", &gpg.run(&now(), &["--armor", "--export-secret-keys", &id]));
        fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
        let public = gpg.file("release.asc", &gpg.run(&now(), &["--armor", "--export", &id]));
        Self { gpg, id, secret, public }
    }
}

/// An archive of the real makeself around one file, signed inside when `embedded`.
fn makeself(dir: &TempDir, name: &str, file: &Path, key: &Key, embedded: bool) -> PathBuf {
    need("makeself", "makeself");
    let tree = dir.path().join(format!("{name}-tree"));
    fs::create_dir(&tree).unwrap();
    fs::copy(file, tree.join(file.file_name().unwrap())).unwrap();
    fs::write(tree.join("install.sh"), "#!/bin/sh\ntouch /root/the-script-ran\n").unwrap();
    let out = dir.path().join(name);
    let mut command = Command::new("/usr/bin/makeself");
    command.env("GNUPGHOME", key.gpg.home()).arg("--nocomp");
    if embedded {
        command.args(["--sign", ""]);
    }
    let output = command.arg(&tree).arg(&out).args(["A label", "./install.sh"]).stdin(Stdio::null()).output();
    assert!(output.as_ref().unwrap().status.success(), "{}", said(&output.unwrap()));
    if !embedded {
        let signature = key.gpg.sign_with(&now(), &key.id, &fs::read(&out).unwrap(), &["--armor"]);
        fs::write(dir.path().join(format!("{name}.asc")), signature).unwrap();
    }
    out
}

/// The version that the running service says.
fn answers(host: &Container, version: &str) {
    host.sh(&format!("{TOOL} wait-ready --timeout 30"));
    let status = host.sh(&format!("{TOOL} status"));
    assert!(status.contains(": answers") && status.contains(&format!("{version}-")), "{version}: {status}");
}

fn with_tool(name: &str) -> Container {
    let host = Container::up(name);
    host.put(PROGRAM, TOOL);
    host.sh(ANSWERS);
    host
}

/// Package, makeself archive around a bundle, makeself archive around a package; there and back.
fn life(host: &Container, algorithm: &str, [old, new]: [&Bundle; 2]) {
    let (key, dir) = (Key::new(algorithm), tempfile::tempdir().unwrap());
    let v1 = old.signed_by(&key.secret, "rpm");
    let bundle = makeself(&dir, "bundle.sh", &new.signed_by(&key.secret, "bundle"), &key, true);
    let package = makeself(&dir, "package.sh", &new.signed_by(&key.secret, "rpm"), &key, false);
    host.put(&v1, "/root/v1.rpm");
    host.put(&bundle, "/root/bundle.sh");
    host.put(&package, "/root/package.sh");
    host.put(dir.path().join("package.sh.asc"), "/root/package.sh.asc");
    host.put(&key.public, "/root/release.asc");
    let refused = host.run(&["bash", "-c", &format!("{TOOL} install /root/v1.rpm {UNATTENDED}")]);
    assert_eq!(refused.status.code(), Some(3), "{algorithm}: nobody vouched for it: {}", said(&refused));
    host.sh(&format!("{TOOL} keys import /root/release.asc --yes --fingerprint {}", key.id));
    for file in ["v1.rpm", "bundle.sh", "package.sh"] {
        host.sh(&format!("{TOOL} verify /root/{file}"));
    }
    host.sh(&format!("{TOOL} install /root/v1.rpm {UNATTENDED} --register-rpm never"));
    answers(host, "6.12.0");
    host.sh("systemctl is-enabled demisto");
    for file in ["bundle.sh", "package.sh"] {
        host.sh(&format!("{TOOL} upgrade /root/{file} --yes --snapshot never --register-rpm never"));
        answers(host, "6.14.0");
        host.sh(&format!("{TOOL} verify --installed; systemctl is-enabled demisto"));
        host.sh(&format!("{TOOL} rollback --yes"));
        answers(host, "6.12.0");
        host.sh(&format!("{TOOL} verify --installed; systemctl is-enabled demisto"));
    }
    host.sh("test ! -e /root/the-script-ran; test ! -e /root/.rpmdb/rpmdb.sqlite");
    host.sh(&format!("{TOOL} uninstall --yes --purge; test ! -e /usr/local/demisto; test ! -e /root/.rpmdb"));
    host.sh("test ! -e /usr/lib/systemd/system/demisto.service; rm -r /etc/demisto-install /var/lib/demisto-install");
}

fn lives(name: &str, algorithms: [&str; 2]) {
    let host = with_tool(name);
    let (old, new) = (Bundle::with(&V1), Bundle::with(&V2));
    for algorithm in algorithms {
        life(&host, algorithm, [&old, &new]);
    }
}

#[test]
fn packages_and_archives_signed_by_rsa_keys_live_and_serve() {
    lives("packages-rsa", ["rsa3072", "rsa4096"]);
}

#[test]
fn packages_and_archives_signed_by_elliptic_keys_live_and_serve() {
    lives("packages-ec", ["ed25519", "nistp256"]);
}

/// What rpm tells of the package, but for when it was installed and by whom it was signed.
fn told_by_rpm(host: &Container) -> String {
    host.sh(
        "rpm -q demistoserver --qf '%{NEVRA} %{SUMMARY} %{BUILDTIME} %{PAYLOADDIGEST} %{LICENSE} %{ARCH}\\n\
         [%{FILENAMES} %{FILEMODES} %{FILEDIGESTS} %{FILEFLAGS} %{FILESTATES}\\n]'; rpm -qa",
    )
}

/// What `rpm -V` says, but for the configuration, which has the port and is the host's.
fn differences(host: &Container) -> String {
    host.sh("rpm -V --nodeps demistoserver | grep -v ' c /etc/demisto.conf$' || true")
}

#[test]
fn the_database_of_rpm_tells_the_truth_after_each_change() {
    let host = with_tool("packages-rpm");
    let (old, new) = (Bundle::with(&V1), Bundle::with(&V2));
    let bad = Bundle::with(&[&["--version", "6.14.1", "--build", "300"][..], &["--fault", "crash"]].concat());
    old.put(&host);
    for (bundle, name) in [(&old, "v1"), (&new, "v2"), (&bad, "bad")] {
        host.put(bundle.package(), &format!("/root/{name}.rpm"));
    }
    // what rpm itself would tell
    host.sh(&format!("rpm --import /root/release.asc && {RPM} -i /root/v1.rpm"));
    let wanted_old = told_by_rpm(&host);
    host.sh(&format!("{RPM} -U /root/v2.rpm"));
    let wanted_new = told_by_rpm(&host);
    host.sh(&format!("{RPM} -e demistoserver; rm -rf /etc/demisto.conf* /var/lib/demisto /var/log/demisto"));

    host.sh(&format!("{TOOL} install /root/v1.rpm {UNATTENDED} --register-rpm always"));
    answers(&host, "6.12.0");
    assert_eq!((told_by_rpm(&host), differences(&host)), (wanted_old.clone(), String::new()));
    host.sh(&format!("{TOOL} upgrade /root/v2.rpm --yes --snapshot never --register-rpm always"));
    answers(&host, "6.14.0");
    assert_eq!((told_by_rpm(&host), differences(&host)), (wanted_new.clone(), String::new()));
    host.sh(&format!("{TOOL} rollback --yes"));
    answers(&host, "6.12.0");
    assert_eq!((told_by_rpm(&host), differences(&host)), (wanted_old.clone(), String::new()));

    // one whose service does not come up goes back by itself, and the database never heard of it
    let upgrade = format!(
        "{TOOL} upgrade /root/bad.rpm --yes --snapshot never --register-rpm always --health-timeout 5"
    );
    let output = host.run(&["bash", "-c", &upgrade]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("everything is as it was before"), "{}", said(&output));
    answers(&host, "6.12.0");
    assert_eq!((told_by_rpm(&host), differences(&host)), (wanted_old, String::new()));

    // a bundle takes the place of the package, which is no longer registered; and it comes back
    host.put(new.path(), "/root/v2");
    host.sh("/root/v2 upgrade --yes --snapshot never");
    answers(&host, "6.14.0");
    assert_eq!(host.sh("rpm -qa demistoserver"), "");
    host.sh(&format!("{TOOL} rollback --yes"));
    answers(&host, "6.12.0");
    assert_eq!(host.sh("rpm -q demistoserver"), "demistoserver-6.12.0-100.x86_64");
    host.sh(&format!("{TOOL} uninstall --yes"));
    assert_eq!(host.sh("rpm -qa demistoserver"), "");

    // and rpm can take it away by hand
    host.sh("rm -rf /usr/local/demisto");
    host.sh(&format!("{TOOL} install /root/v1.rpm {UNATTENDED} --register-rpm always"));
    host.sh(&format!("{RPM} -e demistoserver"));
    host.sh("test ! -e /usr/local/demisto/server; test ! -e /usr/lib/systemd/system/demisto.service");
    host.sh("! systemctl -q is-active demisto");
}

/// The reference product as the vendor would package it, with scripts that write down how they are called.
fn with_scripts(dir: &TempDir, bundle: &Bundle, version: &str, key: &Key) -> PathBuf {
    let product = bundle.product();
    let script = |when: &str| {
        format!("%{when}\necho '{version} {when}' $1 >>/root/scripts\ntest ! -e /root/fail-{when}\n")
    };
    let scripts: Vec<String> = ["pre", "post", "preun", "postun", "posttrans"].map(script).into();
    let spec = format!(
        "Name: demistoserver\nVersion: {version}\nRelease: 1\nSummary: s\nLicense: Commercial\nAutoReqProv: no\n\
         %description\n%install\nmkdir -p %{{buildroot}}/usr/local %{{buildroot}}/usr/lib/systemd/system %{{buildroot}}/etc\n\
         cp -r {product}/tree %{{buildroot}}/usr/local/demisto\n\
         cp {product}/demisto.service %{{buildroot}}/usr/lib/systemd/system\n\
         cp {product}/demisto.conf %{{buildroot}}/etc\n{}\
         %files\n%defattr(-,root,root)\n/usr/local/demisto\n%attr(0644,root,root) /usr/lib/systemd/system/demisto.service\n\
         %config(noreplace) %attr(0640,demisto,demisto) /etc/demisto.conf\n",
        scripts.concat(),
        product = product.display(),
    );
    let built = build(dir.path(), &spec, "w1.zstdio");
    sign(&key.gpg, &key.id, &built, &[]);
    let out = dir.path().join(format!("{version}.rpm"));
    fs::rename(built, &out).unwrap();
    out
}

#[test]
fn scripts_of_packages_run_as_rpm_runs_them() {
    let host = with_tool("packages-scripts");
    let (key, dir) = (Key::new("rsa3072"), tempfile::tempdir().unwrap());
    host.put(with_scripts(&dir, &Bundle::with(&V1), "6.12.0_100", &key), "/root/v1.rpm");
    host.put(with_scripts(&dir, &Bundle::with(&V2), "6.14.0_200", &key), "/root/v2.rpm");
    host.put(&key.public, "/root/release.asc");
    host.sh(&format!("{TOOL} keys import /root/release.asc --yes --fingerprint {}", key.id));
    host.sh(&format!("rpm --import /root/release.asc && {RPM} -i /root/v1.rpm && {RPM} -U /root/v2.rpm"));
    let wanted = host.sh("cat /root/scripts");
    assert!(wanted.lines().count() >= 8, "{wanted}");
    host.sh(&format!("{RPM} -e demistoserver; rm -rf /root/scripts /etc/demisto.conf* /usr/local/demisto"));

    host.sh(&format!("{TOOL} install /root/v1.rpm {UNATTENDED}"));
    host.sh("test ! -e /root/scripts # nobody asked for them");
    host.sh(&format!("{TOOL} uninstall --yes --purge"));
    let install = format!("{TOOL} install /root/v1.rpm {UNATTENDED} --run-scriptlets");
    host.sh("touch /root/fail-pre");
    let output = host.run(&["bash", "-c", &install]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("%pre"), "{}", said(&output));
    host.sh("test ! -e /usr/local/demisto; test ! -e /etc/demisto.conf; rm /root/fail-pre /root/scripts");
    host.sh(&install);
    answers(&host, "6.12.0");
    host.sh("grep -q '%pre' /var/lib/demisto-install/journal/last.jsonl");
    let pid = host.sh("systemctl show -p MainPID --value demisto");
    let upgrade = format!("{TOOL} upgrade /root/v2.rpm --yes --snapshot never --run-scriptlets");
    host.sh("cp /root/scripts /root/kept; touch /root/fail-pre");
    let output = host.run(&["bash", "-c", &upgrade]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert_eq!(host.sh("systemctl show -p MainPID --value demisto"), pid, "it was not even stopped");
    host.sh("mv /root/kept /root/scripts; mv /root/fail-pre /root/fail-post");
    let output = host.run(&["bash", "-c", &upgrade]);
    assert!(
        output.status.success() && said(&output).contains("the package's %post failed"),
        "{}",
        said(&output)
    );
    answers(&host, "6.14.0");
    assert_eq!(host.sh("cat /root/scripts"), wanted, "order and arguments are rpm's");
    host.sh(&format!("{TOOL} rollback --yes"));
    answers(&host, "6.12.0");
}
