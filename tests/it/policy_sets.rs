//! Several signatures at once, thresholds, and files that are no signatures.

use demisto_install::trust::{Error, Origin, Policy, TrustStore};
use demisto_install::types::Fingerprint;
use demisto_install::verify::{self, Judgement, VerdictCode as Code};
use sequoia_openpgp::cert::CertBuilder;

use crate::support::pgp::{Gpg, NOW, bytes, craft, fingerprint, judge, pair, store, time};

const DATA: &[u8] = b"the manifest of a release\n";
const MADE: &str = "2025-01-01";
const SIGNED: &str = "2025-02-01";

fn codes(judgement: &Judgement) -> Vec<Code> {
    judgement.verdicts.iter().map(|verdict| verdict.code).collect()
}

/// Three signers in one home.
fn three() -> (Gpg, [String; 3]) {
    let gpg = Gpg::new();
    let key = |name| gpg.key(MADE, name, "ed25519", "sign", "never");
    let keys = [key("Alice"), key("Bob"), key("Mallory")];
    (gpg, keys)
}

#[test]
fn good_and_unknown_in_both_orders() {
    let (gpg, [alice, _, mallory]) = three();
    let (good, unknown) = (gpg.sign(SIGNED, &alice, DATA), gpg.sign(SIGNED, &mallory, DATA));
    let cert = gpg.export(&alice);
    let got = judge(DATA, &[good.clone(), unknown.clone()].concat(), &[&cert]);
    assert!(got.accepted && codes(&got) == [Code::Good, Code::UnknownSigner], "{got:#?}");
    let got = judge(DATA, &[unknown.clone(), good].concat(), &[&cert]);
    assert!(got.accepted && codes(&got) == [Code::UnknownSigner, Code::Good], "{got:#?}");
    assert_eq!(got.signers.len(), 1);
    let got = judge(DATA, &unknown, &[&cert]);
    assert!(!got.accepted && got.reason.contains("not trusted"), "{got:#?}");
}

#[test]
fn good_and_bad_in_both_orders() {
    let (gpg, [alice, bob, mallory]) = three();
    let good = gpg.sign(SIGNED, &alice, DATA);
    let certs = [gpg.export(&alice), gpg.export(&bob)];
    let certs: Vec<&[u8]> = certs.iter().map(Vec::as_slice).collect();
    for who in [&alice, &bob] {
        let bad = gpg.sign(SIGNED, who, b"another manifest");
        for set in [[good.clone(), bad.clone()].concat(), [bad.clone(), good.clone()].concat()] {
            let got = judge(DATA, &set, &certs);
            assert!(!got.accepted && got.signers.is_empty(), "{got:#?}");
            assert!(got.reason.contains("bad") && codes(&got).contains(&Code::BadSignature), "{got:#?}");
        }
    }
    // A stranger's bad signature says nothing about the file.
    let strange = gpg.sign(SIGNED, &mallory, b"another manifest");
    assert!(judge(DATA, &[strange, good].concat(), &certs).accepted);
}

#[test]
fn a_retired_key_does_not_spoil_a_rotation() {
    let (gpg, [old, new, _]) = three();
    let set = [gpg.sign(SIGNED, &old, DATA), gpg.sign(SIGNED, &new, DATA)].concat();
    gpg.revoke("2025-06-01", &old, 2, "rotated");
    let got = judge(DATA, &set, &[&gpg.export(&old), &gpg.export(&new)]);
    assert!(got.accepted && codes(&got) == [Code::Revoked, Code::Good], "{got:#?}");
    assert_eq!(got.signers[0].fingerprint, fingerprint(&new));
}

#[test]
fn thresholds_count_certificates() {
    let (gpg, [alice, bob, _]) = three();
    gpg.run(MADE, &["--quick-add-key", &alice, "ed25519", "sign", "never"]);
    let subkey = gpg.fingerprints(&alice).remove(1);
    let two = Policy { threshold: 2, ..Policy::default() };
    let trusted = store(&[&gpg.export(&alice), &gpg.export(&bob)]);
    let judge = |set: &[Vec<u8>]| verify::judge(DATA, &set.concat(), &trusted, &two, time(NOW));
    let primary = gpg.sign(SIGNED, &format!("{alice}!"), DATA);
    let again = gpg.sign("2025-02-02", &format!("{alice}!"), DATA);
    let by_subkey = gpg.sign(SIGNED, &format!("{subkey}!"), DATA);
    let by_bob = gpg.sign(SIGNED, &bob, DATA);
    for set in [
        vec![primary.clone()],
        vec![primary.clone(), primary.clone()],
        vec![primary.clone(), again],
        vec![primary.clone(), by_subkey.clone()],
    ] {
        let got = judge(&set);
        assert!(!got.accepted && got.reason.contains("1 of the 2"), "{got:#?}");
    }
    let got = judge(&[by_subkey, by_bob.clone()]);
    assert!(got.accepted && got.signers.len() == 2, "{got:#?}");
    let got = judge(&[by_bob, primary]);
    assert!(got.accepted && got.threshold == 2, "{got:#?}");
}

#[test]
fn the_policy_file_decides() {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    let (gpg, [alice, bob, carol]) = three();
    let root = tempfile::tempdir().unwrap();
    assert_eq!(Policy::load(root.path()).unwrap(), Policy::default());
    let dir = root.path().join("etc/demisto-install");
    std::fs::create_dir_all(&dir).unwrap();
    let write = |text: &str| std::fs::write(dir.join("policy.toml"), text).unwrap();
    write(&format!("threshold = 2\nsigners = [\"{alice}\", \"{bob}\"]\n"));
    std::fs::set_permissions(dir.join("policy.toml"), Permissions::from_mode(0o644)).unwrap();
    std::fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
    let policy = Policy::load(root.path()).unwrap();
    let trusted = store(&[&gpg.export(&alice), &gpg.export(&bob), &gpg.export(&carol)]);
    let sign = |key: &str| gpg.sign(SIGNED, key, DATA);
    let judge = |set: &[Vec<u8>]| verify::judge(DATA, &set.concat(), &trusted, &policy, time(NOW));
    assert!(judge(&[sign(&alice), sign(&bob)]).accepted);
    let got = judge(&[sign(&alice), sign(&carol)]);
    assert!(!got.accepted && codes(&got) == [Code::Good, Code::NotAllowedSigner], "{got:#?}");
    std::fs::set_permissions(dir.join("policy.toml"), Permissions::from_mode(0o666)).unwrap();
    assert!(Policy::load(root.path()).is_err());
    std::fs::set_permissions(dir.join("policy.toml"), Permissions::from_mode(0o644)).unwrap();
    std::fs::set_permissions(&dir, Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(Policy::load(root.path()), Err(Error::Directory { .. })));
}

#[test]
fn what_is_no_signature_is_refused() {
    let (gpg, [alice, ..]) = three();
    let cert = gpg.export(&alice);
    let good = gpg.sign(SIGNED, &alice, DATA);
    let armoured = gpg.sign_with(SIGNED, &alice, DATA, &["--armor"]);
    let data = gpg.file("plain", DATA);
    let data = data.to_str().unwrap();
    let run = |args: &[&str]| gpg.run(SIGNED, &[&["-u", &alice, "-o", "-"], args, &[data]].concat());
    let with = |more: &[u8]| [good.as_slice(), more].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("clear-signed", run(&["--clearsign"])),
        ("inline message", run(&["--sign"])),
        ("inline message, not compressed", run(&["--compress-algo", "none", "--sign"])),
        ("armoured signature", armoured.clone()),
        ("armoured signature after a line of text", [b"Hello\n".as_slice(), &armoured].concat()),
        ("garbage after it", with(b"garbage")),
        ("one byte after it", with(b"\n")),
        ("zeroes after it", with(&[0; 64])),
        ("armour after it", with(&armoured)),
        ("a key after it", with(&cert)),
        ("a marker packet after it", with(&[0xca, 3, b'P', b'G', b'P'])),
        ("a padding packet after it", with(&[0xd5, 2, 1, 2])),
        ("a user id after it", with(&[0xcd, 1, b'x'])),
        ("garbage before it", [b"garbage".as_slice(), &good].concat()),
        ("a newline before it", [b"\n".as_slice(), &good].concat()),
        ("cut short", good[..good.len() - 1].to_vec()),
        ("only its header", good[..2].to_vec()),
        ("17 signatures", good.repeat(17)),
        ("larger than 64 KiB", good.repeat(1000)),
        ("a key", cert.clone()),
        ("text", b"Good signature from Vendor".to_vec()),
    ];
    for (name, signature) in cases {
        let got = judge(DATA, &signature, &[&cert]);
        println!("{name:32} {}", got.reason);
        assert!(!got.accepted && got.verdicts.is_empty() && !got.reason.is_empty(), "{name}: {got:#?}");
    }
    assert!(judge(DATA, &good.repeat(16), &[&cert]).accepted);
    assert!(judge(DATA, &good.repeat(1000), &[&cert]).reason.contains("64 KiB"));
    assert!(judge(DATA, &armoured, &[&cert]).reason.contains("armour"));
    for cut in 0..good.len() {
        assert!(!judge(DATA, &good[..cut], &[&cert]).accepted, "cut at {cut}");
    }
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 0x10;
        let got = judge(DATA, &changed, &[&cert]);
        // The unhashed area is not part of what is signed: it holds the key id as a hint.
        assert!(!got.accepted || got.signers[0].fingerprint == fingerprint(&alice), "byte {at}");
    }
}

#[test]
fn nobody_trusted_means_nothing_accepted() {
    let (gpg, [alice, bob, _]) = three();
    let good = gpg.sign(SIGNED, &alice, DATA);
    let got = verify::judge(DATA, &good, &TrustStore::empty(), &Policy::default(), time(NOW));
    assert!(!got.accepted && got.reason.contains("no trusted key"), "{got:#?}");
    let none = Policy { threshold: 0, ..Policy::default() };
    for signature in [good.as_slice(), b"", &gpg.sign(SIGNED, &bob, DATA)] {
        let got = verify::judge(DATA, signature, &store(&[&gpg.export(&alice)]), &none, time(NOW));
        assert!(!got.accepted, "{got:#?}");
    }
}

#[test]
fn hostile_names_stay_harmless() {
    let name = "x\n[GNUPG:] VALIDSIG 00\r\x1b[32mGood signature from \u{202e}\u{9b}31m\"Vendor\"";
    let (cert, _) = CertBuilder::new()
        .add_userid(name)
        .set_creation_time(std::time::SystemTime::from(time(MADE)))
        .add_signing_subkey()
        .generate()
        .unwrap();
    let key = cert.keys().subkeys().next().unwrap().key().fingerprint().to_hex();
    let signature = craft(&cert, &key, SIGNED, DATA);
    let public = bytes(cert.clone().strip_secret_key_material());
    for judgement in [judge(DATA, &signature, &[&public]), judge(b"other", &signature, &[&public])] {
        let text = serde_json::to_string(&judgement).unwrap();
        let shown = format!("{} {:?}", judgement.reason, judgement.verdicts[0].user_id);
        assert!(!text.contains("\\n") && !text.contains("\\u00") && !text.contains('\u{202e}'), "{text}");
        assert!(!shown.chars().any(char::is_control), "{shown}");
    }
    assert!(judge(DATA, &signature, &[&public]).accepted);
    assert!(!judge(b"other", &signature, &[&public]).accepted);
}

#[test]
fn key_files_are_read_strictly() {
    let (gpg, [alice, bob, _]) = three();
    let armoured = |key: &str| gpg.run(NOW, &["--armor", "--export", key]);
    let add = |bytes: &[u8]| TrustStore::empty().add(bytes, Origin::BuiltIn("k".to_owned()));
    let both = [armoured(&alice), armoured(&bob)].concat();
    let expected: Vec<Fingerprint> = vec![fingerprint(&alice), fingerprint(&bob)];
    assert_eq!(add(&both).unwrap(), expected);
    assert_eq!(add(&[b"Key of the vendor:\n".as_slice(), &both].concat()).unwrap(), expected);
    assert_eq!(add(&[gpg.export(&alice), gpg.export(&bob)].concat()).unwrap(), expected);
    let secret = gpg.run(NOW, &["--export-secret-keys", &alice]);
    assert!(matches!(add(&secret), Err(Error::SecretKey { .. })));
    let secret = gpg.run(NOW, &["--armor", "--export-secret-keys", &alice]);
    assert!(matches!(add(&[both.clone(), secret].concat()), Err(Error::SecretKey { .. })));
    let signature = gpg.sign_with(SIGNED, &alice, DATA, &["--armor"]);
    let damaged = String::from_utf8(armoured(&alice)).unwrap().replace("\n\n", "\n\n!!!");
    for (name, bytes) in [
        ("empty", Vec::new()),
        ("text", b"hello".to_vec()),
        ("a signature", signature.clone()),
        ("a key and a signature", [both.clone(), signature].concat()),
        ("damaged armour", damaged.into_bytes()),
        ("cut", gpg.export(&alice)[..40].to_vec()),
        ("too large", vec![b'\n'; (1 << 20) + 1]),
    ] {
        let error = add(&bytes).expect_err(name).to_string();
        println!("{name}: {error}");
        assert!(error.contains("built in (k)"), "{name}: {error}");
    }
}

#[test]
fn a_stream_is_judged_like_bytes() {
    let (gpg, [alice, ..]) = three();
    let big: Vec<u8> = (0..3_000_000_u32).map(|i| i.to_le_bytes()[0] ^ i.to_le_bytes()[2]).collect();
    let signature = gpg.sign(SIGNED, &alice, &big);
    let trusted = store(&[&gpg.export(&alice)]);
    let policy = Policy::default();
    let got = verify::judge_reader(&mut big.as_slice(), &signature, &trusted, &policy, time(NOW)).unwrap();
    assert!(got.accepted, "{got:#?}");
    assert_eq!(got, verify::judge(&big, &signature, &trusted, &policy, time(NOW)));
    let verified = verify::require(big.clone(), &signature, &trusted, &policy, time(NOW)).unwrap();
    assert_eq!(verified.get(), &big);
    assert_eq!(verified.signers()[0].fingerprint, fingerprint(&alice));
    let short = &big[..big.len() - 1];
    let refused = verify::require_reader(short, &signature, &trusted, &policy, time(NOW)).unwrap_err();
    assert!(matches!(refused, verify::Error::Refused(judgement) if !judgement.accepted));
}

#[test]
fn no_change_of_a_key_file_makes_a_panic_or_a_signer() {
    for algorithm in ["ed25519", "rsa2048"] {
        let gpg = Gpg::new();
        let key = gpg.key(MADE, "Vendor", algorithm, "cert", "never");
        gpg.run(MADE, &["--quick-add-key", &key, algorithm, "sign", "2y"]);
        let (cert, signature) = (gpg.export(&key), gpg.sign(SIGNED, &key, DATA));
        assert!(judge(DATA, &signature, &[&cert]).accepted);
        let mut accepted = 0;
        for at in 0..cert.len() {
            for mask in [0x01, 0x80, 0xff] {
                let mut changed = cert.clone();
                changed[at] ^= mask;
                let mut trusted = TrustStore::empty();
                if trusted.add(&changed, Origin::BuiltIn("k".to_owned())).is_err() {
                    continue;
                }
                for anchor in trusted.anchors() {
                    let _ = (anchor.user_ids(), anchor.expires(), anchor.fault(time(NOW)));
                }
                let got = verify::judge(DATA, &signature, &trusted, &Policy::default(), time(NOW));
                // What is not signed may change: lengths, hints, the trust packets of others.
                accepted += usize::from(got.accepted);
                assert!(!got.accepted || got.signers[0].fingerprint == fingerprint(&key), "byte {at}");
            }
        }
        println!("{algorithm}: {accepted} of {} changes do not matter", cert.len() * 3);
        assert!(accepted < cert.len() / 2);
    }
}

#[test]
fn version_6_signatures_are_judged() {
    let at = std::time::SystemTime::from(time(MADE));
    let (cert, _) = CertBuilder::new()
        .set_profile(sequoia_openpgp::Profile::RFC9580)
        .unwrap()
        .add_userid("Vendor")
        .set_creation_time(at)
        .add_signing_subkey()
        .generate()
        .unwrap();
    let key = cert.keys().subkeys().next().unwrap().key().fingerprint().to_hex();
    let signature = craft(&cert, &key, SIGNED, DATA);
    let public = bytes(cert.strip_secret_key_material());
    let got = judge(DATA, &signature, &[&public]);
    assert!(got.accepted && key.len() == 64, "{got:#?}");
    assert!(!judge(b"other", &signature, &[&public]).accepted);
}

#[test]
fn version_3_signatures_are_refused() {
    let (gpg, [alice, ..]) = three();
    let key_id: Vec<u8> =
        (24..40).step_by(2).map(|i| u8::from_str_radix(&alice[i..i + 2], 16).unwrap()).collect();
    // Old format packet, version 3, five hashed octets: type and time; key id, algorithms, prefix, MPIs.
    let mut packet = vec![0x88, 0, 3, 5, 0x00, 0x67, 0x9d, 0x60, 0x00];
    packet.extend(&key_id);
    packet.extend([1, 8, 0xab, 0xcd, 0, 8, 0xff]);
    packet[1] = u8::try_from(packet.len() - 2).unwrap();
    let got = judge(DATA, &packet, &[&gpg.export(&alice)]);
    assert!(!got.accepted && codes(&got) == [Code::Unsupported], "{got:#?}");
}

#[test]
fn an_appointed_revoker_counts_and_a_stranger_does_not() {
    use sequoia_openpgp::cert::CertRevocationBuilder;
    use sequoia_openpgp::types::ReasonForRevocation;

    let at = std::time::SystemTime::from(time(MADE));
    let make = |name: &str| CertBuilder::new().add_userid(name).set_creation_time(at);
    let (revoker, _) = make("Revoker").generate().unwrap();
    let (stranger, _) = make("Stranger").generate().unwrap();
    let appointed = vec![(&revoker).into()];
    let (cert, _) = make("Vendor").set_revocation_keys(appointed).add_signing_subkey().generate().unwrap();
    let key = cert.keys().subkeys().next().unwrap().key().fingerprint().to_hex();
    let signature = craft(&cert, &key, SIGNED, DATA);
    for (by, accepted) in [(&stranger, true), (&revoker, false)] {
        let revocation = CertRevocationBuilder::new()
            .set_reason_for_revocation(ReasonForRevocation::KeyCompromised, b"stolen")
            .unwrap()
            .set_signature_creation_time(time("2025-06-01").into())
            .unwrap()
            .build(&mut pair(by, &by.fingerprint().to_hex()), &cert, None)
            .unwrap();
        let revoked = cert.clone().strip_secret_key_material().insert_packets(revocation).unwrap().0;
        let got = judge(DATA, &signature, &[&bytes(revoked)]);
        assert_eq!(got.accepted, accepted, "{got:#?}");
        assert!(accepted || codes(&got) == [Code::Revoked], "{got:#?}");
    }
}
