//! The trust policy, row by row, with keys and signatures made by the real gpg and sq.
use crate::support::pgp::{Gpg, judge};

#[test]
fn smoke() {
    let gpg = Gpg::new();
    let key = gpg.key("2025-01-01", "Vendor <v@example.org>", "ed25519", "sign", "never");
    let signature = gpg.sign("2025-02-01", &key, b"data");
    let judgement = judge(b"data", &signature, &[&gpg.export(&key)]);
    assert!(judgement.accepted, "{judgement:#?}");
    let judgement = judge(b"Data", &signature, &[&gpg.export(&key)]);
    assert!(!judgement.accepted, "{judgement:#?}");
    println!("{judgement:#?}");
}
