//! The real rpm with a database of its own.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::installer::said;
use super::pgp::need;

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
