//! `cert install`, `cert renew` and `cert rollback` in a scratch root: what they put where, what is kept,
//! and what is refused before anything is changed.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::engine;
use crate::support::installer::{Root, Vendor, run, said, succeeds};

pub(crate) const CHAIN: &str = "usr/local/demisto/cert.pem";
pub(crate) const KEY: &str = "usr/local/demisto/cert.key";
pub(crate) const KEPT: &str = "var/lib/demisto-install/certificates/server";
pub(crate) const ONE_TIME: &str = "var/lib/demisto/otc.conf.json";

/// A root and an intermediate authority of the real openssl, and what they sign.
pub(crate) struct Pki {
    dir: tempfile::TempDir,
}

/// A chain and its key.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let pki = Self { dir: tempfile::tempdir().unwrap() };
        let ca = "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\n\
                  subjectKeyIdentifier=hash\n";
        pki.put("ca.cnf", ca.as_bytes());
        let ec = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        pki.openssl(&format!("req -new {ec} -keyout root.key -out root.csr -subj /CN=Test-Root"));
        pki.openssl("x509 -req -in root.csr -key root.key -days 3650 -extfile ca.cnf -out root.pem");
        pki.openssl(&format!("req -new {ec} -keyout inter.key -out inter.csr -subj /CN=Test-Intermediate"));
        pki.openssl(
            "x509 -req -in inter.csr -CA root.pem -CAkey root.key -CAcreateserial -days 3650 -extfile ca.cnf \
             -out inter.pem",
        );
        pki
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a private file beside the others.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        fs::write(self.path(name), bytes).unwrap();
        fs::set_permissions(self.path(name), Permissions::from_mode(0o600)).unwrap();
        self.path(name)
    }

    pub(crate) fn openssl(&self, words: &str) {
        let mut command = Command::new("/usr/bin/openssl");
        let output = command.current_dir(self.dir.path()).args(words.split_whitespace()).output().unwrap();
        assert!(output.status.success(), "openssl {words}: {}", said(&output));
    }

    /// Signs the request `NAME.csr` by the intermediate, for so many days (-1: no longer); `NAME.pem` becomes the
    /// whole chain.
    pub(crate) fn sign(&self, name: &str, usage: &str, days: i32) -> PathBuf {
        let text = format!(
            "basicConstraints=CA:false\nkeyUsage=critical,digitalSignature\nextendedKeyUsage={usage}\n\
             subjectAltName=DNS:localhost,DNS:{name}.example.test,IP:127.0.0.1\nsubjectKeyIdentifier=hash\n\
             authorityKeyIdentifier=keyid\n"
        );
        self.put(&format!("{name}.cnf"), text.as_bytes());
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA inter.pem -CAkey inter.key -CAcreateserial -days {days} \
             -extfile {name}.cnf -out {name}.leaf"
        ));
        self.chain(name, &[&format!("{name}.leaf"), "inter.pem", "root.pem"])
    }

    /// A leaf of the intermediate for localhost with its key and its whole chain, see [`Pki::sign`].
    pub(crate) fn leaf(&self, name: &str, usage: &str, days: i32) -> Pair {
        self.openssl(&format!(
            "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.pkcs8 -out {name}.csr \
             -subj /CN={name}"
        ));
        self.sign(name, usage, days);
        self.openssl(&format!("ec -in {name}.pkcs8 -out {name}.key"));
        self.private(name)
    }

    /// A chain of these files.
    pub(crate) fn chain(&self, name: &str, parts: &[&str]) -> PathBuf {
        let text: Vec<u8> = parts.iter().flat_map(|part| fs::read(self.path(part)).unwrap()).collect();
        self.put(&format!("{name}.pem"), &text)
    }

    fn private(&self, name: &str) -> Pair {
        let (chain, key) = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        Pair { chain, key }
    }

    /// As [`Pki::leaf`] for a server, with a key that is encrypted in the traditional form.
    pub(crate) fn locked(&self, name: &str, passphrase: &str) -> Pair {
        let pair = self.leaf(name, "serverAuth", 365);
        let file = self.passphrase(name, passphrase);
        self.openssl(&format!(
            "ec -in {name}.pkcs8 -aes256 -passout file:{} -out {name}.key",
            file.display()
        ));
        let text = fs::read_to_string(&pair.key).unwrap();
        assert!(text.contains("Proc-Type: 4,ENCRYPTED") && text.contains("DEK-Info: AES-256-CBC"), "{text}");
        pair
    }

    /// A private file with a passphrase.
    pub(crate) fn passphrase(&self, name: &str, passphrase: &str) -> PathBuf {
        self.put(&format!("{name}.passphrase"), format!("{passphrase}\n").as_bytes())
    }
}

/// A root in which a server is installed, with the one-time configuration taken over.
pub(crate) fn server() -> Root {
    let root = Root::furnished();
    succeeds(&Vendor::get().install(root.path()).output().unwrap());
    fs::remove_file(root.at(ONE_TIME)).unwrap();
    root
}

pub(crate) fn cert(verb: &str, root: &Path) -> Command {
    let mut command = run("cert", root);
    command.arg(verb);
    command
}

/// A call of `cert install` that asks nothing.
pub(crate) fn install(root: &Path, pair: &Pair) -> Command {
    let mut command = cert("install", root);
    command.arg("--yes").arg("--chain").arg(&pair.chain).arg("--key").arg(&pair.key);
    command
}

pub(crate) fn rollback(root: &Path) -> Command {
    let mut command = cert("rollback", root);
    command.arg("--yes");
    command
}

/// Everything in a root, the program's own state included, with owners and times.
pub(crate) fn everything(root: &Root) -> BTreeMap<String, String> {
    let entry = |path: String| {
        let meta = root.at(&path).symlink_metadata().unwrap();
        let bytes = if meta.is_file() { fs::read(root.at(&path)).unwrap() } else { Vec::new() };
        let digest = demisto_install::types::Digest::of(&bytes);
        let (mode, time) = (meta.mode(), (meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()));
        (path, format!("{mode:o} {}:{} {time:?} {digest}", meta.uid(), meta.gid()))
    };
    root.all_paths().into_iter().map(entry).collect()
}

fn refused(command: &mut Command, root: &Root, code: i32, words: &[&str]) {
    let before = everything(root);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", said(&output));
    for word in words {
        assert!(said(&output).contains(word), "{word}: {}", said(&output));
    }
    assert_eq!(everything(root), before, "{}", said(&output));
}

pub(crate) fn is_in_place(root: &Root, pair: &Pair) {
    assert_eq!(fs::read(root.at(CHAIN)).unwrap(), fs::read(&pair.chain).unwrap());
    assert_eq!(fs::read(root.at(KEY)).unwrap(), fs::read(&pair.key).unwrap());
}

fn mode(root: &Root, path: &str) -> u32 {
    root.at(path).symlink_metadata().unwrap().mode() & 0o7777
}

fn json_of(output: &Output) -> Value {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn a_pair_is_installed_kept_and_put_back_both_ways() {
    let (root, pki) = (server(), Pki::new());
    let former = Pair { chain: Vendor::get().file("cert.pem"), key: Vendor::get().file("cert.key") };
    let pair = pki.leaf("one", "serverAuth", 365);
    let told = succeeds(&install(root.path(), &pair).output().unwrap());
    assert!(told.contains("not started") && told.contains("cert rollback"), "{told}");
    is_in_place(&root, &pair);
    assert_eq!((mode(&root, CHAIN), mode(&root, KEY)), (0o400, 0o400));
    assert_eq!((mode(&root, KEPT), mode(&root, "var/lib/demisto-install/certificates")), (0o700, 0o700));
    for (name, file) in [("chain.pem", &former.chain), ("key.pem", &former.key)] {
        assert_eq!(fs::read(root.at(KEPT).join(name)).unwrap(), fs::read(file).unwrap());
        assert_eq!(mode(&root, &format!("{KEPT}/{name}")), 0o400);
    }
    let before = everything(&root);
    let again = succeeds(&install(root.path(), &pair).output().unwrap());
    assert!(again.contains("nothing to do"), "{again}");
    assert_eq!(everything(&root), before);

    succeeds(&rollback(root.path()).output().unwrap());
    is_in_place(&root, &former);
    succeeds(&rollback(root.path()).output().unwrap());
    is_in_place(&root, &pair);
    // only the pair before is kept
    let second = pki.leaf("two", "serverAuth", 365);
    succeeds(&install(root.path(), &second).output().unwrap());
    assert_eq!(fs::read(root.at(KEPT).join("chain.pem")).unwrap(), fs::read(&pair.chain).unwrap());
    assert!(!root.at("var/lib/demisto-install/certificates/server.new").exists());
}

#[test]
fn the_plan_is_shown_and_can_be_approved_by_its_digest() {
    let (root, pki) = (server(), Pki::new());
    let pair = pki.leaf("one", "serverAuth", 365);
    let before = everything(&root);
    let mut plan = cert("install", root.path());
    plan.args(["--dry-run", "--output", "json", "--chain"]).arg(&pair.chain).arg("--key").arg(&pair.key);
    let shown = json_of(&plan.output().unwrap());
    assert_eq!(everything(&root), before);
    let steps = shown["plan"]["steps"].as_array().unwrap();
    let kinds: Vec<&str> = steps.iter().map(|step| step["step"]["do"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["create-dir", "keep-pair", "switch-tree", "take-file", "take-file"]);
    assert_eq!(shown["plan"]["action"], "certificate");
    let mut other = cert("install", root.path());
    other.arg("--chain").arg(&pair.chain).arg("--key").arg(&pair.key);
    other.args(["--plan-digest", &"0".repeat(64)]);
    refused(&mut other, &root, 4, &["not the approved"]);
    let mut approved = cert("install", root.path());
    approved.arg("--chain").arg(&pair.chain).arg("--key").arg(&pair.key).args(["--output", "json"]);
    approved.args(["--plan-digest", shown["digest"].as_str().unwrap()]);
    let done = json_of(&approved.output().unwrap());
    assert_eq!((&done["changed"], &done["certificate"]["started"]), (&true.into(), &false.into()));
    is_in_place(&root, &pair);
}

#[test]
fn what_is_unfit_is_refused_before_anything_is_changed() {
    let (root, pki) = (server(), Pki::new());
    let (one, two) = (pki.leaf("one", "serverAuth", 365), pki.leaf("two", "serverAuth", 365));
    let mixed = Pair { chain: one.chain.clone(), key: two.key.clone() };
    refused(&mut install(root.path(), &mixed), &root, 2, &["does not belong to the certificate"]);
    let locked = pki.locked("locked", "Right-1-passphrase");
    refused(&mut install(root.path(), &locked), &root, 2, &["no passphrase was given", "--passphrase-file"]);
    let wrong = pki.passphrase("wrong", "Wrong-1-passphrase");
    let mut command = install(root.path(), &locked);
    command.arg("--passphrase-file").arg(&wrong);
    refused(&mut command, &root, 2, &["passphrase does not open it"]);
    pki.openssl("pkcs8 -topk8 -v2 aes256 -in one.pkcs8 -passout pass:Right-1-passphrase -out locked8.key");
    fs::set_permissions(pki.path("locked8.key"), Permissions::from_mode(0o600)).unwrap();
    let mut command = install(root.path(), &Pair { chain: one.chain.clone(), key: pki.path("locked8.key") });
    command.arg("--passphrase-file").arg(pki.passphrase("right", "Right-1-passphrase"));
    refused(&mut command, &root, 2, &["PKCS#8", "cert convert"]);
    let turned = Pair { chain: two.key.clone(), key: two.chain.clone() };
    refused(&mut install(root.path(), &turned), &root, 2, &["holds a private key", "the other way round"]);
    let request = Pair { chain: pki.path("two.csr"), key: two.key.clone() };
    refused(&mut install(root.path(), &request), &root, 2, &["a request for a certificate (CSR)"]);
    let mut elsewhere = install(root.path(), &two);
    elsewhere.args(["--host", "soar.example.test"]);
    refused(&mut elsewhere, &root, 4, &["name-mismatch", "not soar.example.test"]);
    fs::set_permissions(&two.key, Permissions::from_mode(0o644)).unwrap();
    refused(&mut install(root.path(), &two), &root, 1, &["others than its owner can read it"]);
    refused(&mut rollback(root.path()), &root, 4, &["no server pair was kept"]);
}

#[test]
fn what_breaks_a_rule_is_refused_before_anything_is_changed() {
    let (root, pki) = (server(), Pki::new());
    let old = pki.leaf("old", "serverAuth", -1);
    refused(&mut install(root.path(), &old), &root, 4, &["expired"]);
    let client = pki.leaf("client", "clientAuth", 365);
    refused(&mut install(root.path(), &client), &root, 4, &["serverAuth"]);
    let good = pki.leaf("good", "serverAuth", 365);
    pki.chain("good", &["good.leaf", "root.pem"]);
    refused(&mut install(root.path(), &good), &root, 4, &["not fit"]);
    pki.chain("good", &["inter.pem", "good.leaf", "root.pem"]);
    refused(&mut install(root.path(), &good), &root, 2, &["does not belong"]);
    root.put("etc/demisto.conf", br#"{"Server": {"ExternalHostName": "other.example.test"}}"#, 0o640);
    pki.chain("good", &["good.leaf", "inter.pem", "root.pem"]);
    refused(&mut install(root.path(), &good), &root, 4, &["other.example.test"]);
    root.put("etc/demisto.conf", br#"{"Server": {"ExternalHostName": "good.example.test:443"}}"#, 0o640);
    // what only matters to some is told, and no reason to refuse
    let soon = pki.leaf("good", "serverAuth", 12);
    let told = succeeds(&install(root.path(), &soon).args(["--output", "json"]).output().unwrap());
    assert!(told.contains("expir"), "{told}");
    is_in_place(&root, &soon);
}

/// The configuration belongs to the service: what it names must not lead root elsewhere.
#[test]
fn the_configuration_does_not_choose_which_file_of_roots_is_replaced() {
    let (root, pki) = (server(), Pki::new());
    let pair = pki.leaf("one", "serverAuth", 365);
    fs::create_dir_all(root.at("etc/pki")).unwrap();
    fs::create_dir_all(root.at("srv/open")).unwrap();
    fs::set_permissions(root.at("srv/open"), Permissions::from_mode(0o777)).unwrap();
    symlink("../etc/pki", root.at("srv/link")).unwrap();
    symlink("hosts", root.at("etc/link.pem")).unwrap();
    for (chain, why) in [
        ("/srv/open/cert.pem", "others than root can change it"),
        ("/srv/link/cert.pem", "is no directory"),
        ("/srv/none/cert.pem", "is no directory"),
        ("/etc/link.pem", "something else than a regular file"),
        ("/etc/../etc/x.pem", "an absolute path"),
        ("etc/x.pem", "an absolute path"),
        ("/etc/pki/cert.key", "need a file each"),
    ] {
        let conf =
            format!("{{\"security.certfile\": \"{chain}\", \"security.keyfile\": \"/etc/pki/cert.key\"}}");
        root.put("etc/demisto.conf", conf.as_bytes(), 0o640);
        refused(&mut install(root.path(), &pair), &root, 4, &[why]);
    }
    let conf = "{\"Security\": {\"CertFile\": \"/etc/pki/cert.pem\", \"KeyFile\": \"/etc/pki/cert.key\"}}";
    root.put("etc/demisto.conf", conf.as_bytes(), 0o640);
    refused(&mut install(root.path(), &pair), &root, 4, &["made only where you name it", "--to-chain"]);
    root.put("etc/pki/cert.pem", b"", 0o400);
    refused(&mut install(root.path(), &pair), &root, 4, &["/etc/pki/cert.key is not there"]);
    root.put("etc/pki/cert.key", b"", 0o400);
    succeeds(&install(root.path(), &pair).output().unwrap());
    assert_eq!(fs::read(root.at("etc/pki/cert.pem")).unwrap(), fs::read(&pair.chain).unwrap());
    assert_eq!((mode(&root, "etc/pki/cert.pem"), mode(&root, "etc/pki/cert.key")), (0o400, 0o400));
}

#[test]
fn the_kept_pair_goes_with_a_purge_only() {
    let (root, pki) = (server(), Pki::new());
    succeeds(&install(root.path(), &pki.leaf("one", "serverAuth", 365)).output().unwrap());
    let status = succeeds(&run("status", root.path()).output().unwrap());
    assert!(status.contains("Drift      0 files"), "{status}");
    let told = succeeds(&run("uninstall", root.path()).args(["--yes"]).output().unwrap());
    assert!(root.at(KEPT).exists() && root.at(KEY).exists(), "{told}");
    let root = server();
    succeeds(&install(root.path(), &pki.leaf("two", "serverAuth", 365)).output().unwrap());
    succeeds(&run("uninstall", root.path()).args(["--yes", "--purge"]).output().unwrap());
    let left: Vec<String> = root.all_paths().into_iter().filter(|path| path.contains("cert")).collect();
    assert_eq!(left, [""; 0]);
}

#[test]
fn a_rollback_can_be_told_where_it_leads() {
    let (root, pki) = (server(), Pki::new());
    let digest = |path: &Path| {
        let certificate = openssl::x509::X509::from_pem(&fs::read(path).unwrap()).unwrap();
        demisto_install::types::Digest::of(&certificate.to_der().unwrap()).to_string().to_uppercase()
    };
    let former = digest(&root.at(CHAIN));
    let one = pki.leaf("one", "serverAuth", 365);
    succeeds(&install(root.path(), &one).output().unwrap());
    let pairs: Vec<&str> =
        former.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap()).collect();
    let back = || {
        let mut command = rollback(root.path());
        command.args(["--to", &pairs.join(":")]);
        command
    };
    refused(rollback(root.path()).args(["--to", &"0".repeat(64)]), &root, 4, &["is not kept"]);
    succeeds(&back().output().unwrap());
    assert_eq!(digest(&root.at(CHAIN)), former);
    let before = everything(&root);
    assert!(succeeds(&back().output().unwrap()).contains("nothing to do"));
    assert_eq!(everything(&root), before);
}

/// A root whose server has a certificate that this program made.
pub(crate) fn self_made() -> Root {
    let (vendor, root) = (Vendor::get(), Root::furnished());
    let mut command = run("install", root.path());
    command.arg(vendor.small()).arg("--no-owner").arg("--key").arg(vendor.file("release.asc"));
    command
        .arg("--answers")
        .arg(vendor.file("answers.json"))
        .arg("--admin-password-file")
        .arg(vendor.file("password"));
    succeeds(&command.args(["--external-address", "soar.example.test"]).output().unwrap());
    fs::remove_file(root.at(ONE_TIME)).unwrap();
    root
}

fn leaf(root: &Root) -> openssl::x509::X509 {
    openssl::x509::X509::from_pem(&fs::read(root.at(CHAIN)).unwrap()).unwrap()
}

/// Options of `cert renew` that vouch for all the names of the certificate that is there.
pub(crate) fn vouched(root: &Root) -> Vec<String> {
    let names = leaf(root).subject_alt_names().unwrap();
    let address = |bytes: &[u8]| match <[u8; 4]>::try_from(bytes) {
        Ok(bytes) => std::net::IpAddr::from(bytes).to_string(),
        Err(_) => std::net::IpAddr::from(<[u8; 16]>::try_from(bytes).unwrap()).to_string(),
    };
    let names = names.iter().map(|name| name.dnsname().map(str::to_owned).or(name.ipaddress().map(address)));
    names.flat_map(|name| ["--san".to_owned(), name.unwrap()]).collect()
}

fn names(certificate: &openssl::x509::X509Ref) -> Vec<String> {
    let names = certificate.subject_alt_names().unwrap();
    names
        .iter()
        .map(|name| format!("{:?}", name.dnsname().map(str::to_owned).ok_or(name.ipaddress())))
        .collect()
}

#[test]
fn a_self_signed_certificate_is_renewed_with_its_names() {
    let root = self_made();
    let (old, old_key) = (leaf(&root), fs::read(root.at(KEY)).unwrap());
    let mut plan = cert("renew", root.path());
    let shown = json_of(&plan.args(["--dry-run", "--output", "json", "--days", "90"]).output().unwrap());
    let mut renew = cert("renew", root.path());
    renew.args(["--days", "90", "--plan-digest", shown["digest"].as_str().unwrap()]);
    succeeds(&renew.output().unwrap());
    let new = leaf(&root);
    assert_eq!(names(&new), names(&old));
    assert!(names(&new).concat().contains("soar.example.test"));
    let days = openssl::asn1::Asn1Time::days_from_now(0).unwrap().diff(new.not_after()).unwrap().days;
    assert!((89..=90).contains(&days), "{days}");
    let key = openssl::pkey::PKey::private_key_from_pem(&fs::read(root.at(KEY)).unwrap()).unwrap();
    assert!(new.public_key().unwrap().public_eq(&key) && !old.public_key().unwrap().public_eq(&key));
    assert_eq!((mode(&root, CHAIN), mode(&root, KEY)), (0o400, 0o400));
    assert_eq!(fs::read(root.at(KEPT).join("key.pem")).unwrap(), old_key);
    assert_eq!(root.leftovers(), [""; 0]);
    succeeds(&rollback(root.path()).output().unwrap());
    assert_eq!(fs::read(root.at(KEY)).unwrap(), old_key);
    // a CA has to sign the next one of its own
    succeeds(&install(root.path(), &Pki::new().leaf("one", "serverAuth", 365)).output().unwrap());
    refused(&mut cert("renew", root.path()), &root, 2, &["a CA's", "--out-dir"]);
}

#[test]
fn the_next_request_to_a_ca_says_what_the_present_certificate_says() {
    let (root, pki) = (server(), Pki::new());
    let pair = pki.leaf("one", "serverAuth", 365);
    succeeds(&install(root.path(), &pair).output().unwrap());
    let before = everything(&root);
    let mut command = cert("renew", root.path());
    command.arg("--out-dir").arg(pki.path("next"));
    refused(&mut command, &root, 2, &["is not known by: one.example.test", "--san NAME"]);
    assert!(!pki.path("next").exists());
    let told = succeeds(&command.args(["--san", "one.example.test"]).output().unwrap());
    assert!(told.contains("cert install --chain") && told.contains("next/cert.csr"), "{told}");
    assert_eq!(everything(&root), before);
    pki.openssl("req -verify -in next/cert.csr -noout");
    // the CA signs it with what it says
    pki.openssl(
        "x509 -req -in next/cert.csr -CA inter.pem -CAkey inter.key -CAcreateserial -days 90 -copy_extensions copy \
         -out next/cert.leaf",
    );
    let of = |path: PathBuf| openssl::x509::X509::from_pem(&fs::read(path).unwrap()).unwrap();
    let (old, new) = (of(pair.chain.clone()), of(pki.path("next/cert.leaf")));
    assert_eq!(names(&new), names(&old));
    assert_eq!(new.subject_name().to_der().unwrap(), old.subject_name().to_der().unwrap());
    let curve = |certificate: &openssl::x509::X509| {
        certificate.public_key().unwrap().ec_key().unwrap().group().curve_name()
    };
    assert!(curve(&new) == curve(&old) && !new.public_key().unwrap().public_eq(&old.public_key().unwrap()));
    let chain = pki.chain("next", &["next/cert.leaf", "inter.pem", "root.pem"]);
    let next = Pair { chain, key: pki.path("next/cert.key") };
    succeeds(&install(root.path(), &next).output().unwrap());
    is_in_place(&root, &next);
    // nothing is written over, and that is told first
    let mut command = cert("renew", root.path());
    let again = command.arg("--out-dir").arg(pki.path("next")).output().unwrap();
    assert_eq!(again.status.code(), Some(2), "{}", said(&again));
}

/// A CA may keep the subject that a request had: that does not make its certificate a self-signed one.
#[test]
fn what_a_ca_signed_for_a_self_signed_one_is_not_replaced_by_a_self_signed_one() {
    let (root, pki) = (self_made(), Pki::new());
    let subject = leaf(&root).subject_name().to_owned().unwrap();
    let organization = |name: &openssl::x509::X509NameRef| {
        let entry = name.entries_by_nid(openssl::nid::Nid::ORGANIZATIONNAME).next();
        entry.map(|entry| entry.data().to_string().unwrap())
    };
    assert_eq!(organization(&subject).unwrap(), "self-signed by demisto-install");
    let mut command = cert("renew", root.path());
    command.arg("--out-dir").arg(pki.path("next")).args(vouched(&root));
    succeeds(&command.output().unwrap());
    let request = openssl::x509::X509Req::from_pem(&fs::read(pki.path("next/cert.csr")).unwrap()).unwrap();
    assert_eq!(organization(request.subject_name()), None, "the next one is signed by somebody else");
    // a request of an older run, of which the CA keeps all
    fs::copy(pki.path("next/cert.key"), pki.path("old.key")).unwrap();
    let key = openssl::pkey::PKey::private_key_from_pem(&fs::read(pki.path("old.key")).unwrap()).unwrap();
    let mut request = openssl::x509::X509Req::builder().unwrap();
    request.set_subject_name(&subject).unwrap();
    request.set_pubkey(&key).unwrap();
    request.sign(&key, openssl::hash::MessageDigest::sha256()).unwrap();
    pki.put("soar.csr", &request.build().to_pem().unwrap());
    let pair = Pair { chain: pki.sign("soar", "serverAuth", 365), key: pki.path("next/cert.key") };
    succeeds(&install(root.path(), &pair).output().unwrap());
    assert!(organization(leaf(&root).subject_name()).is_some());
    refused(cert("renew", root.path()).arg("--yes"), &root, 2, &["a CA's", "--out-dir"]);
}

/// A key that is installed at once gets no passphrase, so none may be given.
#[test]
fn a_passphrase_for_a_new_key_needs_a_place_for_its_request() {
    let (root, pki) = (self_made(), Pki::new());
    let file = pki.passphrase("new", "Right-1-passphrase");
    let mut from_file = cert("renew", root.path());
    refused(from_file.arg("--yes").arg("--passphrase-file").arg(&file), &root, 2, &["--out-dir"]);
    for option in ["--passphrase", "--passphrase-stdin"] {
        refused(cert("renew", root.path()).args(["--yes", option]), &root, 2, &["--out-dir"]);
    }
    let mut request = cert("renew", root.path());
    request.arg("--out-dir").arg(pki.path("next")).arg("--passphrase-file").arg(&file).args(vouched(&root));
    succeeds(&request.output().unwrap());
    assert!(fs::read_to_string(pki.path("next/cert.key")).unwrap().contains("ENCRYPTED"));
}

#[test]
fn only_a_passphrase_that_is_given_can_be_kept_encrypted() {
    let (root, pki) = (server(), Pki::new());
    let pair = pki.leaf("one", "serverAuth", 365);
    refused(install(root.path(), &pair).arg("--encrypt-keypass"), &root, 2, &["no passphrase", "leave"]);
}

/// The names that `install` has for the same two files are taken, too.
#[test]
fn chain_and_key_go_by_the_names_that_install_has_for_them() {
    let (root, pki) = (server(), Pki::new());
    let pair = pki.leaf("one", "serverAuth", 365);
    let mut command = cert("install", root.path());
    command.arg("--yes").arg("--cert").arg(&pair.chain).arg("--cert-key").arg(&pair.key);
    succeeds(&command.output().unwrap());
    is_in_place(&root, &pair);
}

/// A plan names the directory only when it is made.
#[test]
fn the_directory_of_kept_pairs_is_made_once() {
    let (root, pki) = (server(), Pki::new());
    let said = succeeds(&install(root.path(), &pki.leaf("one", "serverAuth", 365)).output().unwrap());
    assert!(said.contains("create the directory"), "{said}");
    let said = succeeds(&install(root.path(), &pki.leaf("two", "serverAuth", 365)).output().unwrap());
    assert!(!said.contains("create the directory"), "{said}");
}

/// The server would take it over at its next start, though the key it belongs to is gone.
#[test]
fn a_waiting_passphrase_goes_with_its_key() {
    let (root, pki) = (server(), Pki::new());
    let locked = pki.locked("locked", "Right-1-passphrase");
    let give = || {
        let mut first = install(root.path(), &locked);
        succeeds(&first.arg("--passphrase-file").arg(pki.path("locked.passphrase")).output().unwrap());
    };
    give();
    assert!(root.at(ONE_TIME).exists());
    let plain = pki.leaf("plain", "serverAuth", 365);
    let said = succeeds(&install(root.path(), &plain).output().unwrap());
    assert!(said.contains("take the waiting passphrase out of"), "{said}");
    assert!(!root.at(ONE_TIME).exists(), "nothing else was in it");
    give();
    // what else waits there stays
    let text = fs::read_to_string(root.at(ONE_TIME)).unwrap();
    let mut waiting: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(waiting["keypass"], "Right-1-passphrase");
    waiting["users"] = serde_json::json!([{ "username": "admin" }]);
    root.put(ONE_TIME, waiting.to_string().as_bytes(), 0o400);
    succeeds(&install(root.path(), &plain).output().unwrap());
    let text = fs::read_to_string(root.at(ONE_TIME)).unwrap();
    assert_eq!(text, r#"{"users":[{"username":"admin"}]}"#);
    assert_eq!(mode(&root, ONE_TIME), 0o400);
}

/// What an engine shows is no server's: which pair is meant has to be said.
#[test]
fn a_pair_of_an_engine_is_asked_for() {
    let (root, pki) = (Root::furnished(), Pki::new());
    let conf = engine::conf(&root, |conf| conf["LogFile"] = "/var/log/demisto/d1.log".into());
    let mut command = engine::install(&engine::v1(), root.path());
    succeeds(&command.arg("--conf").arg(conf).output().unwrap());
    let pair = pki.leaf("one", "serverAuth", 365);
    refused(&mut install(root.path(), &pair), &root, 2, &["an engine is installed here", "--engine"]);
    for verb in ["renew", "rollback"] {
        refused(cert(verb, root.path()).arg("--yes"), &root, 2, &["an engine is installed here", "--engine"]);
    }
    succeeds(&install(root.path(), &pair).args(["--engine", "--listener"]).output().unwrap());
    assert_eq!(fs::read(root.at("usr/local/demisto/d1.pem")).unwrap(), fs::read(&pair.chain).unwrap());
}

/// The passphrase is asked for first, unseen, and again when it is another one's.
#[test]
fn a_wrong_passphrase_is_asked_for_again_at_a_terminal() {
    let (root, pki) = (server(), Pki::new());
    let pair = pki.locked("one", "Right-1-passphrase");
    let call = |root: &Root| {
        let mut command = cert("install", root.path());
        command.arg("--chain").arg(&pair.chain).arg("--key").arg(&pair.key).stdin(Stdio::inherit());
        let options = rexpect::session::Options::new().timeout_ms(Some(20_000));
        rexpect::session::spawn_with_options(command, options).unwrap()
    };
    let mut terminal = call(&root);
    let mut seen = String::new();
    for passphrase in ["Wrong-1-passphrase", "Wrong-2-passphrase", "Right-1-passphrase"] {
        seen += &terminal.exp_string("Passphrase of").unwrap();
        terminal.send_line(passphrase).unwrap();
    }
    seen += &terminal.exp_string("keep the passphrase encrypted").unwrap();
    assert_eq!(seen.matches("does not open the key").count(), 2, "{seen}");
    assert!(!seen.contains("-1-passphrase") && !seen.contains("-2-passphrase"), "{seen}");
    terminal.send_line("yes").unwrap();
    terminal.exp_string("Change it?").unwrap();
    terminal.send_line("yes").unwrap();
    terminal.exp_eof().unwrap();
    is_in_place(&root, &pair);
    assert!(fs::read_to_string(root.at(ONE_TIME)).unwrap().contains("Right-1-passphrase"));

    let root = server();
    let before = everything(&root);
    let mut terminal = call(&root);
    for _ in 0..3 {
        terminal.exp_string("Passphrase of").unwrap();
        terminal.send_line("Wrong-1-passphrase").unwrap();
    }
    let end = terminal.exp_eof().unwrap();
    assert!(end.contains("passphrase does not open it"), "{end}");
    assert_eq!(everything(&root), before);
}

#[test]
fn another_place_is_said_in_the_configuration_and_left_again() {
    let (root, pki) = (server(), Pki::new());
    let chain = fs::read(root.at(CHAIN)).unwrap();
    fs::create_dir_all(root.at("etc/pki/soar")).unwrap();
    let pair = pki.leaf("one", "serverAuth", 365);
    let mut command = install(root.path(), &pair);
    command.args(["--to-chain", "/etc/pki/soar/chain.pem", "--to-key", "/etc/pki/soar/key.pem"]);
    succeeds(&command.output().unwrap());
    let value = |root: &Root| -> Value {
        serde_json::from_slice(&fs::read(root.at("etc/demisto.conf")).unwrap()).unwrap()
    };
    let now = value(&root);
    assert_eq!(now["security.certfile"], "/etc/pki/soar/chain.pem");
    assert_eq!((&now["security.keyfile"], &now["mine"]), (&"/etc/pki/soar/key.pem".into(), &true.into()));
    assert_eq!(fs::read(root.at("etc/pki/soar/key.pem")).unwrap(), fs::read(&pair.key).unwrap());
    assert_eq!(fs::read(root.at(CHAIN)).unwrap(), chain, "the former pair is where it was");
    // one that is there belongs to somebody
    root.put("etc/pki/soar/other.key", b"x", 0o600);
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(root.at("etc/pki/soar/other.key"), Some(2), Some(2)).unwrap();
        let mut command = install(root.path(), &pair);
        command.args(["--to-chain", "/etc/pki/soar/chain.pem", "--to-key", "/etc/pki/soar/other.key"]);
        refused(&mut command, &root, 4, &["does not belong to the service"]);
    }
    succeeds(&rollback(root.path()).output().unwrap());
    let now = value(&root);
    assert_eq!(now["security.certfile"], "/usr/local/demisto/cert.pem");
    assert_eq!(fs::read(root.at(CHAIN)).unwrap(), chain);
}

/// A server that another installer put there, whose service has an account of its own.
fn foreign_server() -> Root {
    let root = Root::with_accounts();
    for (file, line) in
        [("etc/passwd", "demisto:x:993:992::/:/bin/false\n"), ("etc/group", "demisto:x:992:\n")]
    {
        let text = fs::read_to_string(root.at(file)).unwrap() + line;
        root.put(file, text.as_bytes(), 0o644);
    }
    root.put("usr/local/demisto/server", b"#!/bin/sh\n", 0o755);
    root
}

/// A file of the service's in a directory that root's programs read would be a way to root.
#[test]
fn the_configuration_gets_the_service_no_new_file_elsewhere() {
    let (root, pki) = (foreign_server(), Pki::new());
    let pair = pki.leaf("one", "serverAuth", 365);
    fs::create_dir_all(root.at("etc/profile.d")).unwrap();
    let (chain, key) = ("etc/profile.d/zz.sh", "etc/profile.d/zz.key");
    let conf = format!("{{\"security.certfile\": \"/{chain}\", \"security.keyfile\": \"/{key}\"}}");
    root.put("etc/demisto.conf", conf.as_bytes(), 0o640);
    refused(&mut install(root.path(), &pair), &root, 4, &["zz.sh is not there", "--to-chain"]);
    for path in [chain, key] {
        root.put(path, b"", 0o400);
    }
    refused(&mut install(root.path(), &pair), &root, 4, &["belongs to root"]);
    for path in [chain, key] {
        std::os::unix::fs::chown(root.at(path), Some(993), Some(992)).unwrap();
    }
    succeeds(&install(root.path(), &pair).output().unwrap());
    assert_eq!(fs::read(root.at(chain)).unwrap(), fs::read(&pair.chain).unwrap());
    // the record of the kept pair came from the configuration, too
    fs::remove_file(root.at(chain)).unwrap();
    let conf = "{\"security.certfile\": \"/usr/local/demisto/cert.pem\"}";
    root.put("etc/demisto.conf", conf.as_bytes(), 0o640);
    refused(&mut rollback(root.path()), &root, 4, &["zz.sh is not there", "--to-chain"]);
    // what the caller names is the caller's word
    let mut command = install(root.path(), &pair);
    command.args(["--to-chain", &format!("/{chain}"), "--to-key", &format!("/{key}")]);
    succeeds(&command.output().unwrap());
    assert_eq!(root.at(chain).metadata().unwrap().uid(), 993);
}

/// Another installer's server has no receipt of this program.
#[test]
fn a_server_of_another_installer_gets_a_certificate_as_root() {
    let (root, pki) = (foreign_server(), Pki::new());
    let pair = pki.leaf("one", "serverAuth", 365);
    // a way that only root can go
    fs::create_dir_all(root.at("root/closed/open")).unwrap();
    fs::set_permissions(root.at("root/closed"), Permissions::from_mode(0o700)).unwrap();
    for dir in ["/root/closed", "/root/closed/open"] {
        let to = [format!("{dir}/chain.pem"), format!("{dir}/key.pem")];
        let mut command = install(root.path(), &pair);
        command.args(["--to-chain", &to[0], "--to-key", &to[1]]);
        refused(&mut command, &root, 4, &["may not enter /root/closed", "chmod o+x"]);
    }
    let told = succeeds(&install(root.path(), &pair).output().unwrap());
    assert!(told.contains("no pair yet that could be kept"), "{told}");
    is_in_place(&root, &pair);
    for path in [CHAIN, KEY] {
        let meta = root.at(path).metadata().unwrap();
        assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (993, 992, 0o400), "{path}");
    }
    refused(&mut rollback(root.path()), &root, 4, &["no server pair was kept"]);
    // the wrong owner is put right
    std::os::unix::fs::chown(root.at(KEY), Some(0), Some(0)).unwrap();
    succeeds(&install(root.path(), &pair).output().unwrap());
    assert_eq!(root.at(KEY).metadata().unwrap().uid(), 993);
}

#[test]
fn an_old_key_that_the_product_cannot_read_is_not_opened() {
    let (root, pki) = (server(), Pki::new());
    let locked = pki.locked("locked", "Right-1-passphrase");
    pki.openssl(
        "pkcs8 -topk8 -v2 aes256 -iter 9999999 -in locked.pkcs8 -passout pass:Other-1-passphrase -out slow.key",
    );
    fs::set_permissions(root.at(KEY), Permissions::from_mode(0o600)).unwrap();
    fs::copy(pki.path("slow.key"), root.at(KEY)).unwrap();
    let mut command = install(root.path(), &locked);
    command.args(["--passphrase-file"]).arg(pki.path("locked.passphrase")).args(["--dry-run"]);
    let start = std::time::Instant::now();
    let said = said(&command.output().unwrap());
    assert!(start.elapsed() < std::time::Duration::from_secs(3), "{:?}: {said}", start.elapsed());
    assert!(!said.contains("nobody knows the passphrase"), "{said}");
    assert!(said.contains("cert.key"), "{said}");
}
