//! Sudden death and failing calls at every point of a change of certificate and key: the pair is the old one
//! or the new one, never a mixture, what is kept is whole, and the service finds the passphrase of the key
//! that is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cert_install::{
    CHAIN, KEPT, KEY, ONE_TIME, Pair, Pki, cert, install, rollback, self_made, server, vouched,
};
use crate::crash::{Change, EIO, Sweep, Verdict, recover};
use crate::support::installer::{Root, said, succeeds, summary};

fn sweep(name: &str, model: &Root, command: &(dyn Fn(&Path) -> Command + Sync)) {
    let root = || Root::copy(model);
    let sweep = Sweep::new(Change { name, root: &root, command });
    let mut told = sweep.whole();
    told.push(sweep.each("i/o error, then killed", 9, &|number| sweep.fails_and_is_killed(number)));
    summary(&format!("crash-{}", name.replace(' ', "-")), &told.join("\n"));
}

#[test]
fn another_pair_survives_at_every_point() {
    let pki = Pki::new();
    let pair = pki.leaf("one", "serverAuth", 365);
    sweep("cert install", &server(), &|root| install(root, &pair));
}

/// A root with a pair whose key is encrypted, and a pair of the same kind that replaces it.
struct Locked {
    root: Root,
    new: Pair,
    passphrase: PathBuf,
    old: PathBuf,
    _pki: Pki,
}

fn locked() -> Locked {
    let (root, pki) = (server(), Pki::new());
    let before = pki.locked("before", "Old-1-passphrase");
    let new = pki.locked("new", "New-1-passphrase");
    let (passphrase, old) = (pki.path("new.passphrase"), pki.path("before.passphrase"));
    let mut first = install(root.path(), &before);
    succeeds(&first.arg("--passphrase-file").arg(&old).output().unwrap());
    fs::remove_file(root.at(ONE_TIME)).unwrap(); // as the service does
    Locked { root, new, passphrase, old, _pki: pki }
}

/// The passphrase that the service would take over belongs to the key that is there.
fn opens(root: &Root) -> Verdict {
    let Ok(text) = fs::read_to_string(root.at(ONE_TIME)) else { return Ok(()) };
    let told: serde_json::Value = serde_json::from_str(&text).map_err(|e| format!("{text}: {e}"))?;
    let key = fs::read(root.at(KEY)).unwrap();
    let passphrase = told["keypass"].as_str().unwrap_or_default();
    let opened = openssl::pkey::PKey::private_key_from_pem_passphrase(&key, passphrase.as_bytes());
    opened.map(drop).map_err(|_| format!("{passphrase} is not the passphrase of the key that is there"))
}

#[test]
fn an_encrypted_key_and_its_passphrase_survive_at_every_point() {
    let locked = locked();
    let command = |root: &Path| {
        let mut command = install(root, &locked.new);
        command.arg("--passphrase-file").arg(&locked.passphrase);
        command.arg("--old-passphrase-file").arg(&locked.old);
        command
    };
    let root = || Root::copy(&locked.root);
    let sweep = Sweep::new(Change { name: "cert install, encrypted", root: &root, command: &command });
    // going back leaves the old passphrase for the service, which may have taken over the new one
    let is_either = |root: &Root| -> Verdict {
        let ours = |path: &str| path != ONE_TIME;
        let now = root.snapshot().only(ours);
        let is = |wanted: &crate::support::installer::Snapshot| wanted.clone().only(ours).differences(&now);
        let (before, after) = (is(&sweep.before), is(&sweep.after));
        match (before.is_empty() || after.is_empty(), root.leftovers().is_empty()) {
            (true, true) => opens(root),
            _ => Err(format!("{before:?}, nor {after:?}; {:?}", root.leftovers())),
        }
    };
    let recovered = |number: usize| {
        let root = sweep.killed(number)?;
        succeeds(&recover(&root).output().unwrap());
        is_either(&root)
    };
    let fails = |number: usize| {
        let root = root();
        let output = sweep.run(&root, Some(&format!("{number}:{EIO}")));
        if !matches!(output.status.code(), Some(0 | 1)) {
            return Err(said(&output));
        }
        succeeds(&recover(&root).output().unwrap());
        is_either(&root)
    };
    let told = [
        sweep.each("killed and run again", 1, &|number| sweep.again(number)),
        sweep.each("killed and recovered", 1, &recovered),
        sweep.each("i/o error", 1, &fails),
    ];
    summary("crash-cert-encrypted", &told.join("\n"));
}

/// The passphrase that waits for the server goes with the key that it opens, and comes back with it.
#[test]
fn a_waiting_passphrase_survives_at_every_point() {
    let (root, pki) = (server(), Pki::new());
    let (locked, plain) = (pki.locked("locked", "Old-1-passphrase"), pki.leaf("plain", "serverAuth", 365));
    let mut first = install(root.path(), &locked);
    succeeds(&first.arg("--passphrase-file").arg(pki.path("locked.passphrase")).output().unwrap());
    assert!(root.at(ONE_TIME).exists());
    sweep("cert install, passphrase taken out", &root, &|root| install(root, &plain));
}

#[test]
fn a_rollback_of_a_pair_survives_at_every_point() {
    let (root, pki) = (server(), Pki::new());
    succeeds(&install(root.path(), &pki.leaf("one", "serverAuth", 365)).output().unwrap());
    // without a name for where it leads, one that follows a complete one leads back again
    let former = fs::read(root.at(KEPT).join("chain.pem")).unwrap();
    let former = openssl::x509::X509::from_pem(&former).unwrap();
    let to = demisto_install::types::Digest::of(&former.to_der().unwrap()).to_string();
    sweep("cert rollback", &root, &|root| {
        let mut command = rollback(root);
        command.arg("--to").arg(&to);
        command
    });
}

/// The new pair is another one each time.
#[test]
fn a_renewed_pair_survives_a_kill() {
    let model = self_made();
    let root = || Root::copy(&model);
    let names = vouched(&model);
    let renew = |root: &Path, names: &[String]| {
        let mut command = cert("renew", root);
        command.arg("--yes").args(names);
        command
    };
    // nobody sees the plan, so the names that the service may have put there have to be vouched for
    let output = renew(model.path(), &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("soar.example.test") && said(&output).contains("--san NAME"));
    let command = |root: &Path| renew(root, &names);
    let sweep = Sweep::new(Change { name: "cert renew", root: &root, command: &command });
    let is_pair = |root: &Root| -> Verdict {
        let chain = openssl::x509::X509::from_pem(&fs::read(root.at(CHAIN)).unwrap()).unwrap();
        let key = openssl::pkey::PKey::private_key_from_pem(&fs::read(root.at(KEY)).unwrap()).unwrap();
        match (chain.public_key().unwrap().public_eq(&key), root.leftovers()) {
            (true, left) if left.is_empty() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    };
    let recovered = |number: usize| {
        let root = sweep.killed(number)?;
        succeeds(&recover(&root).output().unwrap());
        is_pair(&root)
    };
    let fails = |number: usize| {
        let root = root();
        let output = sweep.run(&root, Some(&format!("{number}:{EIO}")));
        if output.status.code() == Some(1) {
            sweep.is_before(&root)?;
        }
        succeeds(&recover(&root).output().unwrap());
        is_pair(&root)
    };
    let told = [sweep.each("killed and recovered", 1, &recovered), sweep.each("i/o error", 1, &fails)];
    summary("crash-cert-renew", &told.join("\n"));
}
