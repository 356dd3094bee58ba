use proptest::prelude::{any, proptest};
use proptest::sample::select;

use super::*;

fn ec(curve: Nid) -> Key {
    let group = EcGroup::from_curve_name(curve).unwrap();
    Key::made(PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()).unwrap()
}

fn rsa(bits: u32) -> Key {
    Key::made(PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap()).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::from(text)
}

fn why(bytes: &[u8], passphrase: Option<&str>) -> String {
    read(bytes, passphrase.map(secret).as_ref()).unwrap_err().to_string()
}

#[test]
fn what_is_written_is_read_again() {
    for key in [rsa(2048), ec(Nid::X9_62_PRIME256V1), ec(Nid::SECP521R1)] {
        let plain = key.to_pem(None).unwrap();
        let found = read(plain.as_bytes(), None).unwrap();
        assert!(found.key.pkey().public_eq(key.pkey()) && found.form.problems().is_empty(), "{found:?}");
        let locked = key.to_pem(Some(&secret("open sesame"))).unwrap();
        assert!(locked.contains("Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,"), "{}", &locked[..80]);
        let found = read(locked.as_bytes(), Some(&secret("open sesame"))).unwrap();
        assert!(found.key.pkey().public_eq(key.pkey()) && found.form.problems().is_empty(), "{found:?}");
        assert!(found.form.encrypted && found.form.is_readable());
        assert_eq!(why(locked.as_bytes(), None), Error::Encrypted.to_string());
        assert_eq!(why(locked.as_bytes(), Some("shut")), Error::WrongPassphrase.to_string());
    }
}

#[test]
fn a_damaged_file_is_told_from_a_wrong_passphrase() {
    let key = ec(Nid::X9_62_PRIME256V1);
    let locked = key.to_pem(Some(&secret("open"))).unwrap();
    let cut = locked.replace("-----END EC PRIVATE KEY-----", "");
    assert!(why(cut.as_bytes(), Some("open")).contains("last line"));
    let lines: Vec<&str> = locked.lines().collect();
    let short = [&lines[..4], &["AAAA"], &lines[lines.len() - 1..]].concat().join("\n");
    assert!(why(short.as_bytes(), Some("open")).contains("fits no cipher"));
    let no_base64 = locked.replacen(lines[4], "***", 1);
    assert!(why(no_base64.as_bytes(), Some("open")).contains("not base64"));
    let pkcs8 = key.pkey().private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"open").unwrap();
    assert_eq!(why(&pkcs8, Some("shut")), Error::WrongPassphrase.to_string());
    assert!(
        why(
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----",
            Some("open")
        )
        .contains("damaged")
    );
    assert!(why(b"", None).contains("no private key") && why(b"junk", None).contains("no private key"));
    let one = key.to_pem(None).unwrap();
    assert!(why(format!("{}{}", *one, *one).as_bytes(), None).contains("several"));
}

/// One wrong passphrase in 256 decrypts to something with a right end.
#[test]
fn a_wrong_passphrase_is_always_told_as_such() {
    let key = ec(Nid::X9_62_PRIME256V1);
    let locked = key.to_pem(Some(&secret("open"))).unwrap();
    let pkcs8 = key.pkey().private_key_to_pkcs8_passphrase(Cipher::aes_128_cbc(), b"open").unwrap();
    for number in 0..1500 {
        let wrong = format!("wrong {number}");
        assert_eq!(why(locked.as_bytes(), Some(&wrong)), Error::WrongPassphrase.to_string(), "{wrong}");
        assert_eq!(why(&pkcs8, Some(&wrong)), Error::WrongPassphrase.to_string(), "{wrong}");
    }
}

#[test]
fn numbers_that_do_not_belong_together_are_found() {
    let (one, two) = (rsa(2048).pkey().rsa().unwrap(), rsa(2048).pkey().rsa().unwrap());
    let own = |number: &openssl::bn::BigNumRef| number.to_owned().unwrap();
    let mixed = Rsa::from_private_components(
        own(one.n()),
        own(one.e()),
        own(two.d()),
        own(one.p().unwrap()),
        own(one.q().unwrap()),
        own(one.dmp1().unwrap()),
        own(one.dmq1().unwrap()),
        own(one.iqmp().unwrap()),
    );
    let pem = mixed.unwrap().private_key_to_pem().unwrap();
    assert!(why(&pem, None).contains("do not belong together"));
}

#[test]
fn kinds_that_the_product_does_not_take_are_named() {
    let pem = |key: PKey<Private>| key.private_key_to_pem_pkcs8().unwrap();
    assert!(why(&pem(PKey::generate_ed25519().unwrap()), None).contains("Ed25519"));
    assert!(why(&pem(PKey::generate_x25519().unwrap()), None).contains("cannot sign"));
    let short = rsa(1024);
    assert_eq!(short.kind().to_string(), "RSA 1024");
    assert!(short.check().unwrap_err().to_string().contains("an RSA key of 1024 bits"));
    let other = ec(Nid::SECP256K1);
    assert!(other.check().unwrap_err().to_string().contains("secp256k1"));
    assert!(ec(Nid::SECP384R1).check().is_ok());
    assert_eq!(ec(Nid::SECP384R1).kind(), Kind::Ec { curve: "P-384", bits: 384 });
}

#[test]
fn passphrases_have_limits_and_are_not_shown() {
    for (text, fine) in [("abc", false), ("abcd", true), ("a\nbcd", false), ("ab\0cd", false)] {
        assert_eq!(check_passphrase(&secret(text)).is_ok(), fine, "{text:?}");
    }
    assert!(check_passphrase(&secret(&"x".repeat(MAX_PASSPHRASE))).is_ok());
    assert!(check_passphrase(&secret(&"x".repeat(MAX_PASSPHRASE + 1))).is_err());
    let key = ec(Nid::X9_62_PRIME256V1);
    let locked = key.to_pem(Some(&secret("Marker.1"))).unwrap();
    assert!(why(locked.as_bytes(), Some("Mark\0er")).contains("NUL"));
    let shown = format!("{key:?} {:?}", read(locked.as_bytes(), Some(&secret("Marker.1"))));
    assert!(!shown.contains("Marker") && !shown.contains("BEGIN"), "{shown}");
}

proptest! {
    #[test]
    fn no_bytes_bring_it_down(bytes in any::<Vec<u8>>(), label in select(vec!["EC PRIVATE KEY", "PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY", "RSA PRIVATE KEY"])) {
        use base64::Engine as _;
        let _ = read(&bytes, Some(&secret("open")));
        let body = base64::prelude::BASE64_STANDARD.encode(&bytes);
        let _ = read(format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n").as_bytes(), None);
    }

    /// Each form with one byte changed: opened, or refused, and nothing else. The passphrase may be asked
    /// for more than once by OpenSSL.
    #[test]
    fn no_change_brings_it_down(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        use std::sync::OnceLock;
        static FORMS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
        let forms = FORMS.get_or_init(|| {
            let key = ec(Nid::X9_62_PRIME256V1);
            let pkey = key.pkey();
            vec![
                key.to_pem(None).unwrap().as_bytes().to_vec(),
                key.to_pem(Some(&secret("open"))).unwrap().as_bytes().to_vec(),
                pkey.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"open").unwrap(),
                pkey.private_key_to_pkcs8().unwrap(),
                pkey.private_key_to_der().unwrap(),
            ]
        });
        for form in forms {
            let mut changed = form.clone();
            *at.get_mut(&mut changed) = byte;
            let _ = read(&changed, Some(&secret("open")));
        }
    }
}

/// One of 256 leaves a padding that looks good.
#[test]
fn a_wrong_passphrase_is_called_wrong_however_it_decrypts() {
    let key = ec(Nid::X9_62_PRIME256V1);
    let locked = key.to_pem(Some(&secret("open sesame"))).unwrap();
    for number in 0..2000 {
        let told = why(locked.as_bytes(), Some(&format!("shut {number}")));
        assert_eq!(told, Error::WrongPassphrase.to_string(), "shut {number}");
    }
}
