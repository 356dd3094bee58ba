//! A release key vouches for the next: made by the program and by gpg, and judged as a host would.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use demisto_install::event::Silent;
use demisto_install::manifest::Unverified;
use demisto_install::release::{Judge, Release};
use demisto_install::source::Candidate;
use demisto_install::trust::Policy;
use demisto_install::verify::{Offer, Pin, PinError, Pins, Rotation, Signer};

use crate::support::installer::{PROGRAM, Root, Tree, Vendor, run, said};
use crate::support::pgp::{Gpg, NOW, fingerprint, store, time};

const MADE: &str = "2025-01-01";
const SIGNED: &str = "2025-02-01";

/// Three release keys of one vendor, one after the other.
struct Keys {
    gpg: Gpg,
    old: String,
    new: String,
    next: String,
}

impl Keys {
    fn new() -> Self {
        let gpg = Gpg::new();
        let key =
            |name: &str| gpg.key(MADE, &format!("{name} <{name}@example.org>"), "ed25519", "sign", "never");
        let (old, new, next) = (key("old"), key("new"), key("next"));
        Self { gpg, old, new, next }
    }

    /// `maker` signs that `from` vouches for `to`.
    fn statement(&self, maker: &str, from: &str, to: &str, product: &str) -> Rotation {
        let (from, to) = (fingerprint(from), fingerprint(to));
        let text = Rotation::text(product, &from, &to);
        let signature = self.gpg.sign_with(SIGNED, maker, text.as_bytes(), &["--armor"]);
        let signature = String::from_utf8(signature).unwrap();
        Rotation { format: 1, product: product.to_owned(), from, to, signature }
    }

    fn good(&self) -> Rotation {
        self.statement(&self.old, &self.old, &self.new, "demisto")
    }

    /// On a host where `old` is pinned and all keys are trusted: a release that `signer` signed.
    fn judge(&self, signer: &str, rotations: &[Rotation]) -> Result<Pin, PinError> {
        self.judge_with(&[&self.old, &self.new, &self.next], signer, rotations, &Policy::default())
    }

    fn judge_with(
        &self,
        trusted: &[&str],
        signer: &str,
        rotations: &[Rotation],
        policy: &Policy,
    ) -> Result<Pin, PinError> {
        let keys: Vec<Vec<u8>> = trusted.iter().map(|key| self.gpg.export(key)).collect();
        let store = store(&keys.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let (pinned, offered) = ([signer_of(&self.old)], [signer_of(signer)]);
        let pins = Pins { signers: &pinned, store: &store, policy, at: time(NOW) };
        pins.judge(&Offer { product: "demisto", signers: &offered, rotations })
    }

    fn vouched(&self, to: &str) -> Pin {
        Pin::Vouched { from: fingerprint(&self.old), to: fingerprint(to) }
    }
}

fn signer_of(key: &str) -> Signer {
    Signer { fingerprint: fingerprint(key), user_id: "Release".to_owned(), signed_at: time(SIGNED) }
}

/// The reason in words, when the signature under a statement was refused.
fn refused(got: Result<Pin, PinError>) -> String {
    match got {
        Err(PinError::Refused { judgement, .. }) => judgement.reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_old_key_moves_the_pin() {
    let keys = Keys::new();
    assert_eq!(keys.judge(&keys.old, &[]).unwrap(), Pin::Same);
    assert_eq!(keys.judge(&keys.new, &[keys.good()]).unwrap(), keys.vouched(&keys.new));
    // a statement that is no good does not spoil one that is
    let bad = keys.statement(&keys.next, &keys.old, &keys.new, "demisto");
    for both in [[bad.clone(), keys.good()], [keys.good(), bad]] {
        assert_eq!(keys.judge(&keys.new, &both).unwrap(), keys.vouched(&keys.new));
    }
}

#[test]
fn without_a_statement_nothing_moves() {
    let keys = Keys::new();
    assert!(matches!(keys.judge(&keys.new, &[]), Err(PinError::UnknownSigner { .. })));
    // the statement names the new key, the release is signed by yet another
    assert!(matches!(keys.judge(&keys.next, &[keys.good()]), Err(PinError::UnknownSigner { .. })));
    // the new key vouches for itself to be the old one's heir, and for the old one
    let own = keys.statement(&keys.new, &keys.old, &keys.new, "demisto");
    assert!(refused(keys.judge(&keys.new, &[own])).contains("not trusted"));
    let back = keys.statement(&keys.new, &keys.new, &keys.old, "demisto");
    assert!(matches!(keys.judge(&keys.new, &[back]), Err(PinError::UnknownSigner { .. })));
}

#[test]
fn a_statement_by_a_key_that_is_not_pinned_is_refused() {
    let keys = Keys::new();
    let stranger = keys.statement(&keys.next, &keys.next, &keys.new, "demisto");
    let got = keys.judge(&keys.new, &[stranger]);
    assert!(matches!(got, Err(PinError::NotPinned { .. })), "{got:?}");
}

#[test]
fn a_statement_about_another_product_is_refused() {
    let keys = Keys::new();
    let other = keys.statement(&keys.old, &keys.old, &keys.new, "elsewhere");
    assert!(matches!(
        keys.judge(&keys.new, std::slice::from_ref(&other)),
        Err(PinError::OtherProduct { .. })
    ));
    let renamed = Rotation { product: "demisto".to_owned(), ..other };
    assert!(refused(keys.judge(&keys.new, &[renamed])).contains("bad"));
}

#[test]
fn an_altered_statement_is_refused() {
    let keys = Keys::new();
    // replayed for a key that it does not name
    let to = Rotation { to: fingerprint(&keys.next), ..keys.good() };
    assert!(refused(keys.judge(&keys.next, &[to])).contains("bad"));
    // what another key said is put into the pinned one's mouth
    let other = keys.statement(&keys.next, &keys.next, &keys.new, "demisto");
    let from = Rotation { from: fingerprint(&keys.old), ..other };
    assert!(refused(keys.judge(&keys.new, &[from])).contains("not trusted"));
    // a good signature of the pinned key over something else
    let release = keys.gpg.sign_with(SIGNED, &keys.old, b"{\"format\":1}", &["--armor"]);
    let moved = Rotation { signature: String::from_utf8(release).unwrap(), ..keys.good() };
    assert!(refused(keys.judge(&keys.new, &[moved])).contains("bad"));
    // in text mode the line ends are not part of what is signed
    let good = keys.good();
    let text = Rotation::text("demisto", &good.from, &good.to);
    let text = keys.gpg.sign_with(SIGNED, &keys.old, text.as_bytes(), &["--armor", "--textmode"]);
    let text = Rotation { signature: String::from_utf8(text).unwrap(), ..good };
    assert!(refused(keys.judge(&keys.new, &[text])).contains("text mode"));
}

#[test]
fn the_old_key_is_judged_like_any_other() {
    let keys = Keys::new();
    let good = [keys.good()];
    let without = keys.judge_with(&[&keys.new], &keys.new, &good, &Policy::default());
    assert!(matches!(without, Err(PinError::NotTrusted { .. })), "{without:?}");
    let only_new = Policy { signers: vec![fingerprint(&keys.new)], ..Policy::default() };
    let not_listed = keys.judge_with(&[&keys.old, &keys.new], &keys.new, &good, &only_new);
    assert!(refused(not_listed).contains("does not list it"));
    // one key vouches, however many have to sign a release
    let two = Policy { threshold: 2, ..Policy::default() };
    let two = keys.judge_with(&[&keys.old, &keys.new], &keys.new, &good, &two);
    assert_eq!(two.unwrap(), keys.vouched(&keys.new));
    keys.gpg.revoke("2025-06-01", &keys.old, 2, "replaced");
    assert!(refused(keys.judge(&keys.new, &good)).contains("revoked"));
}

#[test]
fn an_expired_old_key_counts_as_the_policy_says() {
    let mut keys = Keys::new();
    keys.old = keys.gpg.key(MADE, "short <short@example.org>", "ed25519", "sign", "3m");
    let good = [keys.good()];
    assert_eq!(keys.judge(&keys.new, &good).unwrap(), keys.vouched(&keys.new));
    let strict = Policy { accept_expired: false, ..Policy::default() };
    assert!(refused(keys.judge_with(&[&keys.old], &keys.new, &good, &strict)).contains("expired"));
}

#[test]
fn a_host_that_skipped_a_release_follows_the_chain() {
    let keys = Keys::new();
    let second = keys.statement(&keys.new, &keys.new, &keys.next, "demisto");
    for chain in [[keys.good(), second.clone()], [second.clone(), keys.good()]] {
        assert_eq!(keys.judge(&keys.next, &chain).unwrap(), keys.vouched(&keys.next));
    }
    assert!(matches!(keys.judge(&keys.next, std::slice::from_ref(&second)), Err(PinError::NotPinned { .. })));
    // each link is judged: here the middle key is revoked
    keys.gpg.revoke("2025-06-01", &keys.new, 1, "stolen");
    assert!(refused(keys.judge(&keys.next, &[keys.good(), second])).contains("revoked"));
}

// --- The vendor's side -----------------------------------------------------------------------------------

/// A key for the vendor of `Vendor::get` to move to.
struct Successor {
    gpg: Gpg,
    key: String,
}

impl Successor {
    fn new(expire: &str) -> Self {
        let gpg = Gpg::new();
        let key = gpg.key(NOW, "Successor <next@example.org>", "rsa3072", "sign", expire);
        Self { gpg, key }
    }

    fn certificate(&self) -> PathBuf {
        self.gpg.file("new.asc", &self.gpg.export(&self.key))
    }

    fn secret(&self) -> PathBuf {
        let path = self.gpg.file("new.key", &self.gpg.run(NOW, &["--export-secret-keys", &self.key]));
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        path
    }

    /// `keys vouch` by the vendor's old key.
    fn vouch(&self) -> Output {
        let mut command = Command::new(PROGRAM);
        command.args(["keys", "vouch", "--signing-key"]).arg(Vendor::get().file("release.key"));
        command.arg("--for").arg(self.certificate()).arg("--out").arg(self.statement());
        command.output().unwrap()
    }

    fn statement(&self) -> PathBuf {
        self.gpg.home().join("rotation.json")
    }
}

#[test]
fn vouched_packed_and_judged() {
    let successor = Successor::new("never");
    let output = successor.vouch();
    assert!(output.status.success(), "{}", said(&output));
    let made = Rotation::parse(&std::fs::read(successor.statement()).unwrap()).unwrap();
    assert_eq!(made.to, fingerprint(&successor.key));

    // gpg agrees, with nothing but the page's words
    let old = std::fs::read(Vendor::get().file("release.asc")).unwrap();
    let text = Rotation::text("demisto", &made.from, &made.to);
    let (text, signature) =
        (successor.gpg.file("text", text.as_bytes()), successor.gpg.file("sig", made.signature.as_bytes()));
    let imported = successor.gpg.file("old.asc", &old);
    successor.gpg.run(NOW, &["--import", imported.to_str().unwrap()]);
    successor.gpg.run(NOW, &["--verify", signature.to_str().unwrap(), text.to_str().unwrap()]);

    let (statement, secret, release_key) =
        (successor.statement(), successor.secret(), Vendor::get().file("release.asc"));
    let with = |more: &[&str]| {
        let mut all = vec!["--rotation", statement.to_str().unwrap(), "--rotation-cert"];
        all.push(release_key.to_str().unwrap());
        all.extend(more);
        Tree::new().try_pack("rotated", &all)
    };
    // signed by the old key alone: the statement would be for nobody
    let (_, output) = with(&[]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("does not sign this release"), "{}", said(&output));
    let (bundle, output) = with(&["--signing-key", secret.to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output));
    let manifest = Command::new(PROGRAM).args(["inspect", "--manifest"]).arg(&bundle).output().unwrap();
    let manifest = Unverified::parse(&manifest.stdout).unwrap();
    assert_eq!(manifest.look().rotations, std::slice::from_ref(&made));

    let keys = [old, successor.gpg.export(&successor.key)];
    let store = store(&keys.iter().map(Vec::as_slice).collect::<Vec<_>>());
    // on a host that pinned a third key, the old one, and the new one
    let policy = Policy::default();
    let judge = Judge { store: &store, policy: &policy, at: now(), sink: &Silent };
    let release = Release::open(Candidate::open(&bundle).unwrap(), &judge).unwrap();
    let pin = |pinned: &str| {
        let signers = [signer_of(pinned)];
        release.pin(&Pins { signers: &signers, store: &store, policy: &policy, at: now() })
    };
    assert!(matches!(
        pin(&"AB".repeat(20)),
        Err(PinError::UnknownSigner { .. } | PinError::NotPinned { .. })
    ));
    assert_eq!(pin(made.from.as_str()).unwrap(), Pin::Same, "it signed, too");
    assert_eq!(pin(made.to.as_str()).unwrap(), Pin::Same);

    // signed by the new key alone
    let (bundle, output) = with_new_key_alone(&statement, &release_key, &secret);
    assert!(output.status.success(), "{}", said(&output));
    let release = Release::open(Candidate::open(&bundle).unwrap(), &judge).unwrap();
    let signers = [signer_of(made.from.as_str())];
    let got = release.pin(&Pins { signers: &signers, store: &store, policy: &policy, at: now() }).unwrap();
    assert_eq!(got, Pin::Vouched { from: made.from, to: made.to });
}

fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Packed with nothing but the successor's key and the old key's statement.
fn with_new_key_alone(statement: &Path, old: &Path, secret: &Path) -> (PathBuf, Output) {
    let more = [Path::new("--rotation"), statement, Path::new("--rotation-cert"), old];
    let more: Vec<&str> = more.iter().map(|path| path.to_str().unwrap()).collect();
    Tree::new().try_pack_with("rotated-alone", secret, &more)
}

#[test]
fn statements_that_hosts_would_refuse_are_not_packed() {
    let successor = Successor::new("never");
    assert!(successor.vouch().status.success());
    let mut altered = Rotation::parse(&std::fs::read(successor.statement()).unwrap()).unwrap();
    altered.to = fingerprint(&"AB".repeat(20));
    let altered = successor.gpg.file("altered.json", &serde_json::to_vec(&altered).unwrap());
    let (secret, release) = (successor.secret(), Vendor::get().file("release.asc"));
    let pack = |statement: &PathBuf, cert: &PathBuf| {
        let cert = cert.to_str().unwrap();
        let more = ["--rotation", statement.to_str().unwrap(), "--rotation-cert", cert, "--signing-key"];
        let more: Vec<&str> = more.into_iter().chain([secret.to_str().unwrap()]).collect();
        Tree::new().try_pack("refused", &more).1
    };
    let output = pack(&altered, &release);
    assert!(output.status.code() == Some(3) && said(&output).contains("does not sign"), "{}", said(&output));
    let output = pack(&successor.statement(), &successor.certificate());
    assert!(
        output.status.code() == Some(3) && said(&output).contains("--rotation-cert"),
        "{}",
        said(&output)
    );
    assert!(!Vendor::get().file("refused").exists());
}

#[test]
fn nobody_vouches_for_a_key_that_is_unfit() {
    let successor = Successor::new("1m"); // expired since
    let output = successor.vouch();
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(said(&output).contains("nothing was written"), "{}", said(&output));
    assert!(!successor.statement().exists());
}

#[test]
fn a_key_in_gpg_vouches_too() {
    let (keys, successor) = (Keys::new(), Successor::new("never"));
    let out = keys.gpg.home().join("rotation.json");
    let mut command = Command::new(PROGRAM);
    command.env("GNUPGHOME", keys.gpg.home()).args(["keys", "vouch", "--product", "other-product"]);
    command.arg("--sign-with").arg(format!("gpg:{}", keys.old));
    let output = command.arg("--for").arg(successor.certificate()).arg("--out").arg(&out).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let made = Rotation::parse(&std::fs::read(&out).unwrap()).unwrap();
    assert_eq!((made.product.as_str(), &made.from), ("other-product", &fingerprint(&keys.old)));
    let judgement =
        made.judge(&store(&[&keys.gpg.export(&keys.old)]), &Policy::default(), jiff::Timestamp::now());
    assert!(judgement.unwrap().accepted);
}

#[test]
fn malformed_statements_spoil_a_manifest() {
    let golden = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/manifest-1.json")).unwrap();
    let why = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut manifest: serde_json::Value = serde_json::from_slice(&golden).unwrap();
        change(&mut manifest);
        Unverified::parse(manifest.to_string().as_bytes()).map(drop).map_err(|e| e.to_string())
    };
    assert_eq!(why(&|_| {}), Ok(()));
    let many = |manifest: &mut serde_json::Value, count: usize| {
        let one = manifest["rotations"][0].clone();
        manifest["rotations"] = vec![one; count].into();
    };
    assert_eq!(why(&|manifest| many(manifest, 8)), Ok(()));
    assert!(why(&|manifest| many(manifest, 9)).unwrap_err().contains("more than 8"));
    let changes: [(&str, serde_json::Value); 4] =
        [("format", 2.into()), ("product", "a b".into()), ("signature", "".into()), ("to", "AB".into())];
    for (field, value) in changes {
        assert!(why(&|manifest| manifest["rotations"][0][field] = value.clone()).is_err(), "{field}");
    }
    assert!(why(&|manifest| manifest["health"]["version_key"] = "a b".into()).is_err());
}

/// The whole way: a host with a release of the old key is offered one of the new key alone.
#[test]
fn an_upgrade_follows_a_signed_rotation_and_no_other() {
    let vendor = Vendor::get();
    let successor = Successor::new("never");
    assert!(successor.vouch().status.success());
    let (secret, new, old) = (successor.secret(), successor.certificate(), vendor.file("release.asc"));
    let signed = {
        let statement = successor.statement();
        let more = [Path::new("--rotation"), &statement, Path::new("--rotation-cert"), &old];
        let more: Vec<&str> = more.iter().map(|path| path.to_str().unwrap()).collect();
        Tree::next().try_pack_with("upgrade-rotated", &secret, &more)
    };
    let unsigned = Tree::next().try_pack_with("upgrade-unsigned", &secret, &[]);
    assert!(signed.1.status.success() && unsigned.1.status.success());
    let root = Root::furnished();
    let output = vendor.install(root.path()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let upgrade = |bundle: &Path, keys: &[&Path]| {
        let mut command = run("upgrade", root.path());
        command.arg(bundle).args(["--yes", "--output", "json"]);
        for key in keys {
            command.arg("--key").arg(key);
        }
        command.output().unwrap()
    };
    let refused = |output: Output, reason: &str| {
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        assert!(said(&output).contains(&format!("\"reason\":\"{reason}\"")), "{}", said(&output));
    };
    refused(upgrade(&unsigned.0, &[&old, &new]), "other-signer");
    refused(upgrade(&signed.0, &[&old]), "signature"); // the new key has to be trusted by itself
    let output = upgrade(&signed.0, &[&old, &new]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("vouches for"), "{}", said(&output));
    let receipt = std::fs::read_to_string(root.at("var/lib/demisto-install/receipt.json")).unwrap();
    assert!(receipt.contains(&successor.key), "{receipt}");
    // from here on the old key alone does not do
    let back = Tree::next();
    back.describe_as("6.14.2", 3, 1, 1);
    refused(upgrade(&back.pack("after-rotation", &[]), &[&old, &new]), "other-signer");
}
