//! File systems of our own, mounted for one test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::installer::said;
use super::pgp::need;

/// A mounted file system; gone at the end.
#[derive(Debug)]
pub(crate) struct Mounted {
    path: PathBuf,
}

impl Mounted {
    /// `xfs`, `btrfs` or `ext4` in a file below `dir`, mounted on `dir/mounted`.
    pub(crate) fn disk(kind: &str, dir: &Path) -> Self {
        assert!(nix::unistd::geteuid().is_root(), "this test mounts a file system: run it as root");
        let packages = [("xfs", "xfsprogs"), ("btrfs", "btrfs-progs"), ("ext4", "e2fsprogs")];
        let package = packages.iter().find(|(name, _)| *name == kind).unwrap().1;
        need(&format!("mkfs.{kind}"), package);
        let image = dir.join("disk.img");
        File::create(&image).unwrap().set_len(512 << 20).unwrap();
        let path = dir.join("mounted");
        std::fs::create_dir(&path).unwrap();
        call(Command::new(format!("/usr/sbin/mkfs.{kind}")).arg("-q").arg(&image));
        call(Command::new("/usr/bin/mount").args(["-o", "loop"]).arg(&image).arg(&path));
        Self { path }
    }

    /// A file system of `size` bytes in memory.
    pub(crate) fn memory(path: &Path, size: u64) -> Self {
        assert!(nix::unistd::geteuid().is_root(), "this test mounts a file system: run it as root");
        let options = format!("size={size}");
        call(Command::new("/usr/bin/mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(path));
        Self { path: path.to_owned() }
    }

    /// The directory itself, so that it cannot be moved.
    pub(crate) fn bind(path: &Path) -> Self {
        assert!(nix::unistd::geteuid().is_root(), "this test mounts a file system: run it as root");
        call(Command::new("/usr/bin/mount").arg("--bind").arg(path).arg(path));
        Self { path: path.to_owned() }
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let output = Command::new("/usr/bin/umount").arg("-l").arg(&self.path).output();
        if !output.is_ok_and(|output| output.status.success()) {
            eprintln!("cannot unmount {}", self.path.display());
        }
    }
}

fn call(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", said(&output));
}
