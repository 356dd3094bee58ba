//! Keys and signatures made by the real gpg and sq, at times of the test's choice.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use demisto_install::trust::{Origin, Policy, TrustStore};
use demisto_install::types::Fingerprint;
use demisto_install::verify::{self, Judgement};
use jiff::Timestamp;
use sequoia_openpgp as openpgp;

use openpgp::Cert;
use openpgp::crypto::KeyPair;
use openpgp::packet::Packet;
use openpgp::packet::signature::SignatureBuilder;
use openpgp::parse::Parse as _;
use openpgp::serialize::MarshalInto;
use openpgp::types::{HashAlgorithm, SignatureType};

/// The time at which every test verifies, unless it says otherwise.
pub(crate) const NOW: &str = "2026-06-01T00:00:00Z";

/// A time from its text.
pub(crate) fn time(text: &str) -> Timestamp {
    let text = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
    text.parse().unwrap()
}

/// Ends the test when a tool that it needs is not installed.
pub(crate) fn need(tool: &str, package: &str) {
    let found = ["/usr/bin", "/usr/sbin"].iter().any(|dir| Path::new(dir).join(tool).exists());
    assert!(found, "{tool} is missing: apt-get install {package}");
}

/// A throw-away home of gpg. Its path is short: the agent's socket lies in it.
#[derive(Debug)]
pub(crate) struct Gpg {
    home: tempfile::TempDir,
}

impl Gpg {
    /// A home without keys.
    pub(crate) fn new() -> Self {
        need("gpg", "gnupg");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        let home = tempfile::Builder::new().prefix("g").permissions(private).tempdir_in("/tmp").unwrap();
        std::fs::write(home.path().join("gpg-agent.conf"), "allow-loopback-pinentry\n").unwrap();
        Self { home }
    }

    /// The value of `GNUPGHOME`.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// A file in the home.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Runs gpg as if the time were `at`, and returns what it says.
    pub(crate) fn try_run(&self, at: &str, args: &[&str]) -> Output {
        let at = time(at).strftime("%Y%m%dT%H%M%S").to_string();
        Command::new("/usr/bin/gpg")
            .env("GNUPGHOME", self.home())
            .args(["--batch", "--yes", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", ""])
            .args(["--allow-weak-digest-algos", "--faked-system-time", &format!("{at}!")])
            .args(args)
            .output()
            .unwrap()
    }

    /// Runs gpg, which must succeed; returns its standard output.
    pub(crate) fn run(&self, at: &str, args: &[&str]) -> Vec<u8> {
        let output = self.try_run(at, args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "gpg {args:?}: {said}");
        output.stdout
    }

    /// Makes a key and returns its fingerprint.
    #[allow(clippy::too_many_arguments, reason = "they are gpg's, in gpg's order")]
    pub(crate) fn key(&self, at: &str, name: &str, algorithm: &str, usage: &str, expire: &str) -> String {
        self.run(at, &["--quick-gen-key", name, algorithm, usage, expire]);
        self.fingerprints(name).remove(0)
    }

    /// Takes a key back: reason 1 is compromised, 2 superseded, 3 no longer used.
    pub(crate) fn revoke(&self, at: &str, key: &str, reason: u8, text: &str) {
        let answers = self.file("answers", format!("y\n{reason}\n{text}\n\ny\n").as_bytes());
        let at_text = time(at).strftime("%Y%m%dT%H%M%S!").to_string();
        let output = Command::new("/usr/bin/gpg")
            .env("GNUPGHOME", self.home())
            .args(["--yes", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", ""])
            .args(["--command-fd", "0", "--faked-system-time", &at_text, "--gen-revoke", key])
            .stdin(std::fs::File::open(answers).unwrap())
            .output()
            .unwrap();
        assert!(
            output.status.success() || !output.stdout.is_empty(),
            "gpg: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let path = self.file("revocation.asc", &output.stdout);
        self.run(at, &["--import", path.to_str().unwrap()]);
    }

    /// The secret key, unprotected, as the library reads it.
    pub(crate) fn secret(&self, key: &str) -> Cert {
        Cert::from_bytes(&self.run(NOW, &["--export-secret-keys", key])).unwrap()
    }

    /// The fingerprints of a key: the primary one, then those of its subkeys.
    pub(crate) fn fingerprints(&self, key: &str) -> Vec<String> {
        let listed = self.run(NOW, &["--with-colons", "--list-keys", key]);
        let listed = String::from_utf8(listed).unwrap();
        let fields = listed.lines().filter(|line| line.starts_with("fpr:"));
        fields.filter_map(|line| line.split(':').nth(9)).map(str::to_owned).collect()
    }

    /// The public key, binary.
    pub(crate) fn export(&self, key: &str) -> Vec<u8> {
        self.run(NOW, &["--export", key])
    }

    /// A detached signature over `data`, binary.
    pub(crate) fn sign(&self, at: &str, key: &str, data: &[u8]) -> Vec<u8> {
        self.sign_with(at, key, data, &[])
    }

    /// As `sign`, with more arguments.
    pub(crate) fn sign_with(&self, at: &str, key: &str, data: &[u8], more: &[&str]) -> Vec<u8> {
        let path = self.file("data", data);
        let mut args = vec!["-u", key, "-o", "-"];
        args.extend(more);
        args.extend(["--detach-sign", path.to_str().unwrap()]);
        self.run(at, &args)
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ =
            Command::new("/usr/bin/gpgconf").env("GNUPGHOME", self.home()).args(["--kill", "all"]).output();
    }
}

/// A binary signature over `data` by a key of `secret`, which the library makes as it is told.
pub(crate) fn craft(secret: &Cert, key: &str, at: &str, data: &[u8]) -> Vec<u8> {
    let builder = SignatureBuilder::new(SignatureType::Binary)
        .set_hash_algo(HashAlgorithm::SHA256)
        .set_signature_creation_time(time(at))
        .unwrap();
    bytes(Packet::from(builder.sign_message(&mut pair(secret, key), data).unwrap()))
}

/// The secret key with this fingerprint, ready to sign.
pub(crate) fn pair(secret: &Cert, key: &str) -> KeyPair {
    let mut keys = secret.keys().secret();
    let key = keys.find(|ka| ka.key().fingerprint().to_hex() == key).unwrap();
    key.key().clone().into_keypair().unwrap()
}

/// Something written down as OpenPGP packets.
pub(crate) fn bytes(what: impl MarshalInto) -> Vec<u8> {
    what.to_vec().unwrap()
}

/// Runs sq, which must succeed.
pub(crate) fn sq(args: &[&str]) -> Vec<u8> {
    need("sq", "sq");
    let output = Command::new("/usr/bin/sq").args(args).output().unwrap();
    assert!(output.status.success(), "sq {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A store that trusts these keys.
pub(crate) fn store(keys: &[&[u8]]) -> TrustStore {
    let mut store = TrustStore::empty();
    for key in keys {
        store.add(key, Origin::ThisRun(PathBuf::from("test.asc"))).unwrap();
    }
    store
}

/// Judges with the default policy at the usual time.
pub(crate) fn judge(data: &[u8], signatures: &[u8], keys: &[&[u8]]) -> Judgement {
    verify::judge(data, signatures, &store(keys), &Policy::default(), time(NOW))
}

/// A fingerprint from its text.
pub(crate) fn fingerprint(text: &str) -> Fingerprint {
    text.parse().unwrap()
}
