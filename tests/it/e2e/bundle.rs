//! Makes signed installers of the reference product, as a release engineer would.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::support::container::Container;
use crate::support::pgp::Gpg;

const BINARY: &str = env!("CARGO_BIN_EXE_demisto-install");
const MAKE_TREE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/reference-product/make-tree");

/// The password that tests choose: it fulfils the rule and is found nowhere else.
pub(super) const PASSWORD: &str = "Kq7-marker-Vw";

/// A signing key made by gpg for this test process.
struct Key {
    dir: TempDir,
    fingerprint: String,
}

fn key() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| {
        let gpg = Gpg::new();
        let now = jiff::Timestamp::now().to_string();
        let fingerprint = gpg.key(&now, "Release <release@example.test>", "rsa3072", "sign", "1y");
        let dir = tempfile::tempdir().unwrap();
        let secret = gpg.run(&now, &["--armor", "--export-secret-keys", &fingerprint]);
        write(&dir.path().join("key.asc"), &secret, 0o600);
        write(&dir.path().join("release.asc"), &gpg.run(&now, &["--armor", "--export", &fingerprint]), 0o644);
        Key { dir, fingerprint }
    })
}

fn write(path: &Path, bytes: &[u8], mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;

    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{said}");
}

/// A signed installer.
pub(super) struct Bundle {
    dir: TempDir,
}

impl Bundle {
    /// Packs the reference server; `fault` makes it fail on purpose.
    pub(super) fn server(fault: Option<&str>) -> Self {
        Self::with(&fault.map_or(vec![], |fault| vec!["--fault", fault]))
    }

    /// Packs the reference server with further options of `make-tree`.
    pub(super) fn with(options: &[&str]) -> Self {
        Self::changed(options, |_| ())
    }

    /// As [`Bundle::with`]; `change` is given the directory of tree and description before it is packed.
    pub(super) fn changed(options: &[&str], change: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bin_dir = Path::new(BINARY).with_file_name("examples");
        let mut make = Command::new(MAKE_TREE);
        make.arg(dir.path().join("product")).args(["--role", "server", "--bin-dir"]).arg(bin_dir);
        make.args(options);
        run(&mut make);
        let product = dir.path().join("product");
        change(&product);
        let mut pack = Command::new(BINARY);
        pack.arg("pack").arg("--tree").arg(product.join("tree"));
        pack.arg("--description").arg(product.join("product.toml"));
        pack.arg("--signing-key").arg(key().dir.path().join("key.asc"));
        pack.arg("--out").arg(dir.path().join("demisto-install"));
        run(&mut pack);
        Self { dir }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.dir.path().join("demisto-install")
    }

    /// Packs the same product as an RPM package.
    pub(super) fn package(&self) -> PathBuf {
        let (product, out) = (self.product(), self.dir.path().join("product.rpm"));
        let mut pack = Command::new(BINARY);
        pack.args(["pack", "--format", "rpm", "--tree"]).arg(product.join("tree"));
        pack.arg("--description").arg(product.join("product.toml"));
        pack.arg("--signing-key").arg(key().dir.path().join("key.asc")).arg("--out").arg(&out);
        run(&mut pack);
        out
    }

    /// The tree that it was packed from, with the unit and the default configuration beside it.
    pub(super) fn product(&self) -> PathBuf {
        self.dir.path().join("product")
    }

    /// Copies it into a container as `/root/demisto-install`, with the release key imported, an
    /// answers file and a password file.
    pub(super) fn put(&self, host: &Container) {
        host.put(self.path(), "/root/demisto-install");
        host.put(key().dir.path().join("release.asc"), "/root/release.asc");
        host.sh(&format!(
            "/root/demisto-install keys import /root/release.asc --yes --fingerprint {}",
            key().fingerprint
        ));
        host.sh(
            "echo '{\"accept_eula\": true}' > /root/answers.json; umask 077; cat > /root/password <<'END'\n\
                 Kq7-marker-Vw\nEND",
        );
    }
}
