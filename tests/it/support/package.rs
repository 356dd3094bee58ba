//! The real rpm with a database of its own, and packages by the real rpmbuild and rpmsign.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use super::installer::said;
use super::pgp::{Gpg, need};

/// rpm with the keys that were imported, and no packages.
#[derive(Debug)]
pub(crate) struct Rpm {
    database: TempDir,
}

impl Rpm {
    /// One that trusts these keys.
    pub(crate) fn with(keys: &[&Path]) -> Self {
        need("rpm", "rpm");
        let rpm = Self { database: tempfile::tempdir().unwrap() };
        for key in keys {
            let output = rpm.call(&[&["--import", key.to_str().unwrap()]]);
            assert!(output.status.success(), "{}: {}", key.display(), said(&output));
        }
        rpm
    }

    /// Runs it.
    pub(crate) fn call(&self, args: &[&[&str]]) -> Output {
        let mut command = Command::new("/usr/bin/rpm");
        command.env("LC_ALL", "C").arg("--dbpath").arg(self.database.path());
        command.args(args.concat()).output().unwrap()
    }

    /// Runs it on a package. It must succeed; gives what it prints.
    pub(crate) fn of(&self, package: &Path, args: &[&str]) -> String {
        let output = self.call(&[args, &[package.to_str().unwrap()]]);
        assert!(output.status.success(), "rpm {args:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a query format gives.
    pub(crate) fn query(&self, package: &Path, format: &str) -> String {
        self.of(package, &["-qp", "--qf", format])
    }
}

/// Builds `spec` with this payload, such as `w1.gzdio`; returns the package's path.
pub(crate) fn build(dir: &Path, spec: &str, payload: &str) -> PathBuf {
    need("rpmbuild", "rpm");
    let top = dir.join("build");
    let _ = fs::remove_dir_all(&top);
    fs::create_dir_all(&top).unwrap();
    let path = top.join("package.spec");
    fs::write(&path, spec).unwrap();
    let define = |name: &str, value: &str| ["--define".to_owned(), format!("{name} {value}")];
    let output = Command::new("/usr/bin/rpmbuild")
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", &top)
        .args(["-bb", "--target", "x86_64-linux"])
        .args(define("_topdir", top.to_str().unwrap()))
        .args(define("_binary_payload", payload))
        .args(define("__os_install_post", "%{nil}"))
        .args(define("debug_package", "%{nil}"))
        .args(define("_build_id_links", "none"))
        .arg(&path)
        .output()
        .unwrap();
    assert!(output.status.success(), "rpmbuild: {}", said(&output));
    let mut made = fs::read_dir(top.join("RPMS/x86_64")).unwrap();
    let made = made.next().unwrap().unwrap().path();
    let kept = dir.join(format!("{payload}.rpm"));
    fs::rename(&made, &kept).unwrap();
    kept
}

/// Signs a package by rpmsign with a key of `gpg`.
pub(crate) fn sign(gpg: &Gpg, key: &str, path: &Path, more: &[&str]) {
    need("rpmsign", "rpm");
    let output = Command::new("/usr/bin/rpmsign")
        .env("GNUPGHOME", gpg.home())
        .args(["--define", &format!("_gpg_name {key}"), "--define", "__gpg /usr/bin/gpg"])
        .args(["--define", &format!("_gpg_path {}", gpg.home().display()), "--digest-algo=sha256"])
        .args(more)
        .args(["--resign"])
        .arg(path)
        .output()
        .unwrap();
    assert!(output.status.success(), "rpmsign: {}", said(&output));
}
