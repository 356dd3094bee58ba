//! The trust policy, row by row, with keys and signatures made by the real gpg and sq.
//!
//! The rows are those of "Signature cases" in docs/threats.md, and more.

use demisto_install::trust::Policy;
use demisto_install::verify::{self, Judgement, VerdictCode as Code};
use sequoia_openpgp as openpgp;

use openpgp::Cert;
use openpgp::cert::CertBuilder;
use openpgp::packet::key::{Key4, SubordinateRole};
use openpgp::packet::signature::SignatureBuilder;
use openpgp::packet::{Key, Packet};
use openpgp::types::{Curve, HashAlgorithm, KeyFlags, SignatureType};

use crate::support::pgp::{Gpg, NOW, bytes, craft, judge, pair, sq, store, time};

const DATA: &[u8] = b"the manifest of a release\r\nwith two lines\n";
const MADE: &str = "2025-01-01";
const SIGNED: &str = "2025-02-01";

/// One case, what became of it, and what should.
struct Row {
    name: &'static str,
    got: Judgement,
    want: (bool, Vec<Code>),
    says: &'static str,
}

/// Collects rows and shows them all before it fails.
#[derive(Default)]
struct Table(Vec<Row>);

impl Table {
    fn accept(&mut self, name: &'static str, got: Judgement, codes: &[Code], says: &'static str) {
        self.0.push(Row { name, got, want: (true, codes.to_vec()), says });
    }

    fn refuse(&mut self, name: &'static str, got: Judgement, codes: &[Code], says: &'static str) {
        self.0.push(Row { name, got, want: (false, codes.to_vec()), says });
    }

    fn check(self) {
        let mut wrong = 0;
        for Row { name, got, want: (accepted, codes), says } in &self.0 {
            let got_codes: Vec<Code> = got.verdicts.iter().map(|verdict| verdict.code).collect();
            let notices = got.verdicts.iter().filter_map(|verdict| verdict.notice.clone());
            let words: Vec<String> = std::iter::once(got.reason.clone()).chain(notices).collect();
            let words = words.join("; ");
            let right = got.accepted == *accepted
                && got_codes == *codes
                && words.contains(says)
                && got.accepted != got.signers.is_empty();
            wrong += usize::from(!right);
            let mark = if right { "ok   " } else { "WRONG" };
            let verdict = if got.accepted { "accept" } else { "refuse" };
            println!("{mark} {name:52} {verdict} {got_codes:?}: {words}");
        }
        assert_eq!(wrong, 0, "of {} rows", self.0.len());
    }
}

/// A gpg home with one Ed25519 key for signing.
fn vendor(expire: &str) -> (Gpg, String) {
    let gpg = Gpg::new();
    let key = gpg.key(MADE, "Vendor <release@example.org>", "ed25519", "sign", expire);
    (gpg, key)
}

#[test]
fn good_signatures() {
    let mut table = Table::default();
    for (name, algorithm) in [
        ("good RSA-3072", "rsa3072"),
        ("good RSA-2048", "rsa2048"),
        ("good Ed25519", "ed25519"),
        ("good P-256", "nistp256"),
        ("good P-384", "nistp384"),
    ] {
        let gpg = Gpg::new();
        let key = gpg.key(MADE, "Vendor", algorithm, "sign", "2y");
        table.accept(
            name,
            judge(DATA, &gpg.sign(SIGNED, &key, DATA), &[&gpg.export(&key)]),
            &[Code::Good],
            "Vendor",
        );
    }
    let gpg = Gpg::new();
    let key = gpg.key(MADE, "Vendor", "rsa3072", "cert", "never");
    gpg.run(MADE, &["--quick-add-key", &key, "ed25519", "sign", "2y"]);
    let signature = gpg.sign(SIGNED, &key, DATA);
    table.accept(
        "good signing subkey",
        judge(DATA, &signature, &[&gpg.export(&key)]),
        &[Code::Good],
        "Vendor",
    );
    for suite in ["rsa3k", "cv25519"] {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let (secret, data) = (path("secret"), path("data"));
        sq(&[
            "key",
            "generate",
            "-u",
            "Vendor",
            "-c",
            suite,
            "--creation-time",
            "20250101",
            "--export",
            &secret,
        ]);
        sq(&["key", "extract-cert", "-B", "-o", &path("cert"), &secret]);
        put(&data, DATA);
        sq(&[
            "sign",
            "-B",
            "--detached",
            "--signer-key",
            &secret,
            "-t",
            "20250201",
            "-o",
            &path("sig"),
            &data,
        ]);
        let got = judge(DATA, &get(&path("sig")), &[&get(&path("cert"))]);
        table.accept("good key and signature by sq", got, &[Code::Good], "Vendor");
    }
    table.check();
}

fn put(path: &str, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

fn get(path: &str) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[test]
fn expiry() {
    let mut table = Table::default();
    let (gpg, key) = vendor("1y");
    let signature = gpg.sign(SIGNED, &key, DATA);
    let original = gpg.export(&key);
    let got = judge(DATA, &signature, &[&original]);
    table.accept(
        "key expired, signature made while alive",
        got,
        &[Code::GoodExpiredSince],
        "the key expired on 2026-01-01",
    );
    let strict = Policy { accept_expired: false, ..Policy::default() };
    let got = verify::judge(DATA, &signature, &store(&[&original]), &strict, time(NOW));
    table.refuse("the same, policy accepts no expired key", got, &[Code::Expired], "policy");
    let late = craft(&gpg.secret(&key), &key, "2026-03-01", DATA);
    table.refuse(
        "signature made after the key expired",
        judge(DATA, &late, &[&original]),
        &[Code::Expired],
        "after its key had expired",
    );

    gpg.run("2025-12-01", &["--quick-set-expire", &key, "3y"]);
    let extended = gpg.export(&key);
    let got = judge(DATA, &signature, &[&extended]);
    table.accept("expiry extended after signing (old release)", got, &[Code::Good], "Vendor");
    table.accept(
        "the same, merged with the old copy",
        judge(DATA, &signature, &[&original, &extended]),
        &[Code::Good],
        "Vendor",
    );
    let far = |keys: &[&[u8]]| {
        verify::judge(DATA, &signature, &store(keys), &Policy::default(), time("2030-01-01"))
    };
    table.accept(
        "extended, expired later, history kept",
        far(&[&original, &extended]),
        &[Code::GoodExpiredSince],
        "2028-11-30",
    );
    table.refuse(
        "extended, expired later, history lost",
        far(&[&extended]),
        &[Code::RetiredByIssuer],
        "retired",
    );

    table.check();
}

#[test]
fn retirement_and_short_lives() {
    let mut table = Table::default();
    let (gpg, key) = vendor("3y");
    let signature = gpg.sign(SIGNED, &key, DATA);
    let original = gpg.export(&key);
    gpg.run("2025-03-01", &["--quick-set-expire", &key, "2025-03-02"]);
    let shortened = gpg.export(&key);
    let says = "the issuer has retired this key";
    table.refuse(
        "expiry shortened after signing",
        judge(DATA, &signature, &[&shortened]),
        &[Code::RetiredByIssuer],
        says,
    );
    table.refuse(
        "the same, merged with the old copy",
        judge(DATA, &signature, &[&shortened, &original]),
        &[Code::RetiredByIssuer],
        says,
    );
    let signature = craft(&gpg.secret(&key), &key, "2025-05-01", DATA);
    table.refuse(
        "signed after the shortened expiry",
        judge(DATA, &signature, &[&shortened]),
        &[Code::Expired],
        "expired",
    );

    let (gpg, key) = vendor("3y");
    let signature = gpg.sign(SIGNED, &key, DATA);
    let original = gpg.export(&key);
    let weakly = ["--cert-digest-algo", "SHA1", "--quick-set-expire", &key, "2025-03-02"];
    gpg.run("2025-03-01", &weakly);
    let got = judge(DATA, &signature, &[&original, &gpg.export(&key)]);
    table.refuse("expiry shortened with a SHA-1 self-signature", got, &[Code::RetiredByIssuer], says);

    let (gpg, key) = vendor("never");
    let brief = gpg.sign_with(SIGNED, &key, DATA, &["--default-sig-expire", "30d"]);
    table.refuse(
        "the signature itself ran out",
        judge(DATA, &brief, &[&gpg.export(&key)]),
        &[Code::Expired],
        "ran out",
    );
    gpg.run(MADE, &["--quick-add-key", &key, "ed25519", "sign", "6m"]);
    let subkey = gpg.fingerprints(&key).remove(1);
    let by_subkey = gpg.sign_with(SIGNED, &format!("{subkey}!"), DATA, &[]);
    let got = judge(DATA, &by_subkey, &[&gpg.export(&key)]);
    table.accept("subkey expired, signature made while alive", got, &[Code::GoodExpiredSince], "expired");
    table.check();
}

#[test]
fn revocation() {
    let mut table = Table::default();
    for (name, reason, says) in [
        ("key revoked: compromised", 1, "hard"),
        ("key revoked: superseded", 2, "soft"),
        ("key revoked: no longer used", 3, "soft"),
        ("key revoked: no reason", 0, "hard"),
    ] {
        let (gpg, key) = vendor("never");
        let signature = gpg.sign(SIGNED, &key, DATA);
        let original = gpg.export(&key);
        gpg.revoke("2025-06-01", &key, reason, "see \"Good signature\"");
        let revoked = gpg.export(&key);
        table.refuse(name, judge(DATA, &signature, &[&revoked]), &[Code::Revoked], says);
        table.refuse(
            "the same, a good copy first",
            judge(DATA, &signature, &[&original, &revoked]),
            &[Code::Revoked],
            says,
        );
        table.refuse(
            "the same, a good copy last",
            judge(DATA, &signature, &[&revoked, &original]),
            &[Code::Revoked],
            says,
        );
    }
    let gpg = Gpg::new();
    let key = gpg.key(MADE, "Vendor", "rsa3072", "sign", "never");
    let signature = gpg.sign(SIGNED, &key, DATA);
    gpg.file("gpg.conf", b"cert-digest-algo SHA1\n");
    gpg.revoke("2025-06-01", &key, 1, "stolen");
    let trusted = store(&[&gpg.export(&key)]);
    let got = verify::judge(DATA, &signature, &trusted, &Policy::default(), time("2031-01-01"));
    table.refuse("revoked with SHA-1, years ago", got, &[Code::Revoked], "stolen");

    let (gpg, key) = vendor("never");
    gpg.run(MADE, &["--quick-add-key", &key, "ed25519", "sign", "never"]);
    let subkey = gpg.fingerprints(&key).remove(1);
    let signature = gpg.sign(SIGNED, &format!("{subkey}!"), DATA);
    let by_primary = gpg.sign(SIGNED, &format!("{key}!"), DATA);
    let secret = gpg.secret(&key);
    let mut primary = pair(&secret, &key);
    let target = secret.keys().subkeys().next().unwrap();
    let revocation = openpgp::cert::SubkeyRevocationBuilder::new()
        .set_reason_for_revocation(openpgp::types::ReasonForRevocation::KeyCompromised, b"lost")
        .unwrap()
        .set_signature_creation_time(std::time::SystemTime::from(time("2025-06-01")))
        .unwrap()
        .build(&mut primary, &secret, target.key(), None)
        .unwrap();
    let cert = secret.clone().strip_secret_key_material().insert_packets(revocation).unwrap().0;
    let cert = bytes(cert);
    table.refuse("signing subkey revoked", judge(DATA, &signature, &[&cert]), &[Code::Revoked], "lost");
    table.accept(
        "signing subkey revoked, primary signs",
        judge(DATA, &by_primary, &[&cert]),
        &[Code::Good],
        "Vendor",
    );
    table.check();
}

#[test]
fn weakness() {
    let mut table = Table::default();
    let gpg = Gpg::new();
    let rsa = gpg.key(MADE, "Vendor", "rsa2048", "sign", "never");
    let cert = gpg.export(&rsa);
    let sha1 = gpg.sign_with(SIGNED, &rsa, DATA, &["--digest-algo", "SHA1"]);
    table.refuse("SHA-1 data signature", judge(DATA, &sha1, &[&cert]), &[Code::WeakHash], "SHA-1");
    let md5 = gpg.sign_with(SIGNED, &rsa, DATA, &["--digest-algo", "MD5"]);
    table.refuse("MD5 data signature", judge(DATA, &md5, &[&cert]), &[Code::WeakHash], "MD5");
    let ripemd = gpg.sign_with(SIGNED, &rsa, DATA, &["--digest-algo", "RIPEMD160"]);
    table.refuse("RIPEMD-160 data signature", judge(DATA, &ripemd, &[&cert]), &[Code::WeakHash], "");
    let past = time("2012-01-01");
    let old = gpg.key("2011-01-01", "Old", "rsa2048", "sign", "never");
    let sha1 = gpg.sign_with("2011-02-01", &old, DATA, &["--digest-algo", "SHA1"]);
    let got = verify::judge(DATA, &sha1, &store(&[&gpg.export(&old)]), &Policy::default(), past);
    table.refuse("SHA-1, and the clock says 2012", got, &[Code::WeakHash], "SHA-1");

    let gpg = Gpg::new();
    gpg.run(MADE, &["--cert-digest-algo", "SHA1", "--quick-gen-key", "Vendor", "rsa2048", "sign", "never"]);
    let key = gpg.fingerprints("Vendor").remove(0);
    let signature = gpg.sign_with(SIGNED, &key, DATA, &["--digest-algo", "SHA256"]);
    table.refuse(
        "SHA-1 self-signature",
        judge(DATA, &signature, &[&gpg.export(&key)]),
        &[Code::WeakBinding],
        "SHA-1",
    );
    gpg.run(
        "2011-01-01",
        &["--cert-digest-algo", "SHA1", "--quick-gen-key", "Old", "rsa2048", "sign", "never"],
    );
    let key = gpg.fingerprints("Old").remove(0);
    let signature = gpg.sign_with("2011-02-01", &key, DATA, &["--digest-algo", "SHA256"]);
    let got = verify::judge(DATA, &signature, &store(&[&gpg.export(&key)]), &Policy::default(), past);
    table.refuse("SHA-1 self-signature, and the clock says 2012", got, &[Code::WeakBinding], "SHA-1");
    for (name, hash, back_hash) in [
        ("SHA-1 subkey binding", HashAlgorithm::SHA1, HashAlgorithm::SHA256),
        ("SHA-1 back-signature", HashAlgorithm::SHA256, HashAlgorithm::SHA1),
    ] {
        let (gpg, key, cert) = bound_with(hash, back_hash);
        let subkey = cert.keys().subkeys().next().unwrap().key().fingerprint().to_hex();
        let signature = craft(&cert, &subkey, SIGNED, DATA);
        let by_primary = gpg.sign(SIGNED, &key, DATA);
        let cert = bytes(cert.strip_secret_key_material());
        table.refuse(name, judge(DATA, &signature, &[&cert]), &[Code::WeakBinding], "SHA-1");
        table.accept("the same, primary key signs", judge(DATA, &by_primary, &[&cert]), &[Code::Good], "V");
    }

    for (name, algorithm, says) in [
        ("RSA-1024", "rsa1024", "RSA with 1024"),
        ("DSA-1024", "dsa1024", "DSA with"),
        ("DSA-2048", "dsa2048", "DSA with"),
    ] {
        let gpg = Gpg::new();
        let key = gpg.key(MADE, "Vendor", algorithm, "sign", "never");
        let signature = gpg.sign_with(SIGNED, &key, DATA, &["--digest-algo", "SHA256"]);
        table.refuse(name, judge(DATA, &signature, &[&gpg.export(&key)]), &[Code::WeakKey], says);
    }
    let gpg = Gpg::new();
    let key = gpg.key(MADE, "Vendor", "rsa3072", "cert", "never");
    gpg.run(MADE, &["--quick-add-key", &key, "rsa1024", "sign", "never"]);
    let signature = gpg.sign(SIGNED, &key, DATA);
    let got = judge(DATA, &signature, &[&gpg.export(&key)]);
    table.refuse("RSA-1024 subkey below RSA-3072", got, &[Code::WeakKey], "made with RSA with 1024");
    let gpg = Gpg::new();
    let key = gpg.key(MADE, "Vendor", "rsa1024", "cert", "never");
    gpg.run(MADE, &["--quick-add-key", &key, "rsa3072", "sign", "never"]);
    let signature = gpg.sign(SIGNED, &key, DATA);
    table.refuse(
        "RSA-3072 subkey below RSA-1024",
        judge(DATA, &signature, &[&gpg.export(&key)]),
        &[Code::WeakKey],
        "primary key",
    );
    table.check();
}

#[test]
fn dates_and_types() {
    let mut table = Table::default();
    let (gpg, key) = vendor("never");
    let cert = gpg.export(&key);
    let future = gpg.sign("2026-06-01T00:06:00Z", &key, DATA);
    table.refuse("dated in the future", judge(DATA, &future, &[&cert]), &[Code::FromTheFuture], "clock");
    let skewed = gpg.sign("2026-06-01T00:04:00Z", &key, DATA);
    table.accept("dated four minutes ahead", judge(DATA, &skewed, &[&cert]), &[Code::Good], "Vendor");
    let early = craft(&gpg.secret(&key), &key, "2024-06-01", DATA);
    table.refuse(
        "dated before its key",
        judge(DATA, &early, &[&cert]),
        &[Code::BadSignature],
        "before its key",
    );
    let before = verify::judge(DATA, &early, &store(&[&cert]), &Policy::default(), time("2020-01-01"));
    table.refuse("the clock is before everything", before, &[Code::BadSignature], "");
    let good = gpg.sign(SIGNED, &key, DATA);
    let before = verify::judge(DATA, &good, &store(&[&cert]), &Policy::default(), time("2020-01-01"));
    table.refuse("good, but the clock is years behind", before, &[Code::FromTheFuture], "clock");
    let text = gpg.sign_with(SIGNED, &key, DATA, &["--textmode"]);
    table.refuse("text mode", judge(DATA, &text, &[&cert]), &[Code::WrongType], "text mode");
    let critical = gpg.sign_with(SIGNED, &key, DATA, &["--sig-notation", "!only-for@example.org=tests"]);
    table.refuse(
        "unknown critical notation",
        judge(DATA, &critical, &[&cert]),
        &[Code::Unsupported],
        "condition",
    );
    let noted = gpg.sign_with(SIGNED, &key, DATA, &["--sig-notation", "note@example.org=Good signature"]);
    table.accept("harmless notation", judge(DATA, &noted, &[&cert]), &[Code::Good], "Vendor");
    table.refuse(
        "data changed",
        judge(b"other data", &good, &[&cert]),
        &[Code::BadSignature],
        "not what was signed",
    );
    table.refuse("data empty", judge(b"", &good, &[&cert]), &[Code::BadSignature], "");
    table.check();
}

#[test]
fn keys_that_must_not_sign() {
    let mut table = Table::default();
    let gpg = Gpg::new();
    let key = gpg.key(MADE, "Vendor", "rsa2048", "cert", "never");
    gpg.run(MADE, &["--quick-add-key", &key, "rsa2048", "encrypt", "never"]);
    let secret = gpg.secret(&key);
    let cert = gpg.export(&key);
    let encryption = gpg.fingerprints(&key).remove(1);
    let signature = craft(&secret, &encryption, SIGNED, DATA);
    table.refuse(
        "encryption subkey signs",
        judge(DATA, &signature, &[&cert]),
        &[Code::NotSigningKey],
        "not meant",
    );
    let signature = craft(&secret, &key, SIGNED, DATA);
    table.refuse(
        "certification-only primary signs",
        judge(DATA, &signature, &[&cert]),
        &[Code::NotSigningKey],
        "not meant",
    );

    // The certificate claims a key of somebody else for a subkey, without that key's consent.
    let (other, foreign) = vendor("never");
    let signature = other.sign(SIGNED, &foreign, DATA);
    let foreign_key =
        other.secret(&foreign).primary_key().key().clone().parts_into_public().role_into_subordinate();
    for (name, flags) in [
        ("foreign subkey, signing flag, no back-signature", Some(KeyFlags::empty().set_signing())),
        ("foreign subkey, encryption flag", Some(KeyFlags::empty().set_storage_encryption())),
        ("foreign subkey, no flags", None),
    ] {
        let mut builder = SignatureBuilder::new(SignatureType::SubkeyBinding)
            .set_signature_creation_time(time(MADE))
            .unwrap();
        if let Some(flags) = &flags {
            builder = builder.set_key_flags(flags.clone()).unwrap();
        }
        let mut primary = pair(&secret, &key);
        let binding =
            builder.sign_subkey_binding(&mut primary, secret.primary_key().key(), &foreign_key).unwrap();
        let packets: Vec<Packet> = vec![foreign_key.clone().into(), binding.into()];
        let claimed = secret.clone().strip_secret_key_material().insert_packets(packets).unwrap().0;
        let got = judge(DATA, &signature, &[&bytes(claimed)]);
        let code = if flags.as_ref().is_some_and(KeyFlags::for_signing) {
            Code::WeakBinding
        } else {
            Code::NotSigningKey
        };
        table.refuse(name, got, &[code], "");
    }

    // Flags of the certificate as a whole say nothing about a subkey that has none.
    let (cert, _) = CertBuilder::new()
        .add_userid("Vendor")
        .set_creation_time(std::time::SystemTime::from(time(MADE)))
        .set_primary_key_flags(KeyFlags::empty().set_signing().set_certification())
        .generate()
        .unwrap();
    let mut primary = pair(&cert, &cert.fingerprint().to_hex());
    let binding = SignatureBuilder::new(SignatureType::SubkeyBinding)
        .set_signature_creation_time(time(MADE))
        .unwrap()
        .sign_subkey_binding(&mut primary, cert.primary_key().key(), &foreign_key)
        .unwrap();
    let packets: Vec<Packet> = vec![foreign_key.clone().into(), binding.into()];
    let claimed = cert.strip_secret_key_material().insert_packets(packets).unwrap().0;
    let got = judge(DATA, &signature, &[&bytes(claimed)]);
    table.refuse("foreign subkey, flags on the certificate only", got, &[Code::NotSigningKey], "");
    table.check();
}

/// A key with a signing subkey that is bound with these digests.
fn bound_with(hash: HashAlgorithm, back_hash: HashAlgorithm) -> (Gpg, String, Cert) {
    let (gpg, key) = vendor("never");
    let secret = gpg.secret(&key);
    let mut primary = pair(&secret, &key);
    let made: Key4<_, SubordinateRole> = Key4::generate_ecc(true, Curve::Ed25519).unwrap();
    let mut subkey = Key::from(made);
    subkey.set_creation_time(time(MADE)).unwrap();
    let mut signer = subkey.clone().into_keypair().unwrap();
    let builder = |kind, hash| {
        SignatureBuilder::new(kind).set_hash_algo(hash).set_signature_creation_time(time(MADE)).unwrap()
    };
    let back = builder(SignatureType::PrimaryKeyBinding, back_hash)
        .sign_primary_key_binding(&mut signer, secret.primary_key().key(), &subkey)
        .unwrap();
    let binding = builder(SignatureType::SubkeyBinding, hash)
        .set_key_flags(KeyFlags::empty().set_signing())
        .unwrap()
        .set_embedded_signature(back)
        .unwrap()
        .sign_subkey_binding(&mut primary, secret.primary_key().key(), &subkey)
        .unwrap();
    let packets: Vec<Packet> = vec![subkey.into(), binding.into()];
    let cert = secret.insert_packets(packets).unwrap().0;
    (gpg, key, cert)
}
