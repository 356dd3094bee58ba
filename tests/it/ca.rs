//! `ca` in a scratch root, with Debian's real tool, and RHEL's layout.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::crash::{Change, EIO, Sweep};
use crate::support::installer::{Root, Snapshot, answer, refused, run, said, succeeds, summary};

const ANCHORS: &str = "usr/local/share/ca-certificates";
const STORE: &str = "etc/ssl/certs";
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

pub(crate) fn openssl(arguments: &[&str], dir: &Path) -> String {
    let output = Command::new("/usr/bin/openssl").args(arguments).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Authorities and what is none, made by openssl once for all tests.
struct Authorities {
    dir: tempfile::TempDir,
}

const CA: &str = "basicConstraints=critical,CA:TRUE";
const SIGNS: &str = "keyUsage=critical,keyCertSign,cRLSign";

impl Authorities {
    fn get() -> &'static Self {
        static ONE: OnceLock<Authorities> = OnceLock::new();
        ONE.get_or_init(Self::new)
    }

    fn new() -> Self {
        let this = Self { dir: tempfile::tempdir().unwrap() };
        this.root("root", "/O=Ünit tests/CN=Tests: Root & Co", &[CA, SIGNS], &[]);
        this.root("other", "/CN=Other", &[CA, SIGNS], &[]);
        this.issued("middle", "/CN=Middle", &[CA, SIGNS], "root");
        this.issued(
            "leaf",
            "/CN=leaf",
            &["subjectAltName=DNS:leaf", "extendedKeyUsage=serverAuth"],
            "middle",
        );
        this.root("plain", "/CN=Plain", &["basicConstraints=CA:FALSE"], &[]);
        this.root("signs-nothing", "/CN=Signs nothing", &[CA, "keyUsage=critical,cRLSign"], &[]);
        this.root("no-usage", "/CN=No usage", &[CA], &[]);
        this.root("ocsp", "/CN=OCSP root", &[CA, SIGNS, "extendedKeyUsage=OCSPSigning"], &[]);
        this.root("md5", "/CN=MD5", &[CA, SIGNS], &["-newkey", "rsa:2048", "-md5"]);
        this.root("weak", "/CN=Weak", &[CA, SIGNS], &["-newkey", "rsa:1024"]);
        this.root("expired", "/CN=Expired", &[CA, SIGNS], &[]);
        let old = ["x509", "-in", "expired.pem", "-signkey", "expired.key", "-days", "-1", "-out", "old.pem"];
        openssl(&old, this.dir.path());
        fs::rename(this.file("old"), this.file("expired")).unwrap();
        let text = |name: &str| fs::read_to_string(this.file(name)).unwrap();
        fs::write(this.dir.path().join("chain.pem"), text("middle") + "words\n" + &text("root")).unwrap();
        let with_key = text("root") + &fs::read_to_string(this.dir.path().join("root.key")).unwrap();
        fs::write(this.dir.path().join("with-key.pem"), with_key).unwrap();
        openssl(&["x509", "-in", "other.pem", "-outform", "der", "-out", "der.pem"], this.dir.path());
        this
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.pem"))
    }

    fn root(&self, name: &str, subject: &str, extensions: &[&str], more: &[&str]) {
        let (key, pem) = (format!("{name}.key"), format!("{name}.pem"));
        let mut arguments = vec!["req", "-x509", "-config", "empty.cnf", "-nodes", "-utf8", "-subj", subject];
        arguments.extend(["-keyout", &key, "-out", &pem]);
        for extension in extensions {
            arguments.extend(["-addext", *extension]);
        }
        if !more.contains(&"-newkey") {
            arguments.extend(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        }
        arguments.extend(["-days", "30"]);
        arguments.extend(more);
        fs::write(self.dir.path().join("empty.cnf"), "[req]\ndistinguished_name=dn\n[dn]\n").unwrap();
        openssl(&arguments, self.dir.path());
    }

    fn issued(&self, name: &str, subject: &str, extensions: &[&str], issuer: &str) {
        let (ca, key) = (format!("{issuer}.pem"), format!("{issuer}.key"));
        self.root(name, subject, extensions, &["-CA", &ca, "-CAkey", &key]);
    }

    /// Whether openssl takes a leaf for good with this bundle.
    fn leaf_is_good(&self, bundle: &Path) -> bool {
        let output = Command::new("/usr/bin/openssl")
            .args(["verify", "-no-CApath", "-no-CAstore", "-purpose", "sslserver", "-CAfile"])
            .arg(bundle)
            .arg(self.file("leaf"))
            .output()
            .unwrap();
        output.status.success()
    }

    fn hash(&self, name: &str) -> String {
        openssl(&["x509", "-noout", "-hash", "-in", &format!("{name}.pem")], self.dir.path())
            .trim()
            .to_owned()
    }
}

fn ca(root: &Path, arguments: &[&str]) -> Command {
    let mut command = run("ca", root);
    command.args(arguments);
    command
}

fn add(root: &Path, names: &[&str]) -> Command {
    let mut command = ca(root, &["add", "--yes"]);
    command.args(names.iter().map(|name| Authorities::get().file(name)));
    command
}

#[test]
fn a_file_that_is_not_read_to_its_end_is_refused() {
    let (root, work) = (debian(), tempfile::tempdir().unwrap());
    let bundle = work.path().join("bundle.pem");
    let one = fs::read_to_string(Authorities::get().file("root")).unwrap();
    fs::write(&bundle, one.repeat(65)).unwrap();
    let bundle = bundle.to_str().unwrap();
    refused(
        &ca(root.path(), &["add", "--yes", bundle]).output().unwrap(),
        3,
        "has more than 64 blocks, and no more are read",
    );
    assert!(!root.at(ANCHORS).exists() || added(&root).is_empty());
    fs::write(bundle, one.repeat(64)).unwrap();
    succeeds(&ca(root.path(), &["add", "--yes", bundle]).output().unwrap());
}

/// A root with a store of three of Debian's authorities, as Debian's tool makes it where it runs.
pub(crate) fn debian() -> Root {
    let root = Root::fresh();
    for dir in ["usr/share/ca-certificates/mozilla", ANCHORS, STORE, "etc/ca-certificates/update.d"] {
        fs::create_dir_all(root.at(dir)).unwrap();
    }
    let mut names: Vec<String> = fs::read_dir("/usr/share/ca-certificates/mozilla")
        .expect("install the package ca-certificates")
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut conf = String::from("# a comment\n");
    for name in names.iter().take(3) {
        let path = format!("usr/share/ca-certificates/mozilla/{name}");
        fs::copy(Path::new("/").join(&path), root.at(&path)).unwrap();
        conf.push_str(&format!("mozilla/{name}\n"));
    }
    fs::write(root.at("etc/ca-certificates.conf"), conf).unwrap();
    let mut tool = Command::new("/usr/sbin/update-ca-certificates");
    for (option, path) in [
        ("--certsconf", "etc/ca-certificates.conf"),
        ("--certsdir", "usr/share/ca-certificates"),
        ("--localcertsdir", ANCHORS),
        ("--etccertsdir", STORE),
        ("--hooksdir", "nowhere"),
    ] {
        tool.arg(option).arg(root.at(path));
    }
    succeeds(&tool.output().unwrap());
    for (path, target) in links(&root) {
        if let Ok(inner) = Path::new(&target).strip_prefix(root.path()) {
            fs::remove_file(&path).unwrap();
            symlink(Path::new("/").join(inner), &path).unwrap();
        }
    }
    root
}

fn links(root: &Root) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(root.at(STORE)).unwrap().map(|entry| entry.unwrap().path());
    let mut links: Vec<(PathBuf, String)> = entries
        .filter_map(|path| fs::read_link(&path).ok().map(|to| (path, to.to_str().unwrap().to_owned())))
        .collect();
    links.sort();
    links
}

/// Everything but this program's own state and log.
fn store(root: &Root) -> Snapshot {
    root.snapshot().only(|path| path.starts_with("etc/") || path.starts_with("usr/"))
}

fn listed(root: &Root) -> Value {
    answer(&ca(root.path(), &["list", "--output", "json"]).output().unwrap())
}

fn added(root: &Root) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root.at(ANCHORS))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn debians_own_tool_trusts_a_chain_and_forgets_it_without_a_trace() {
    let (root, all) = (debian(), Authorities::get());
    let before = store(&root);
    assert!(!all.leaf_is_good(&root.at(BUNDLE)));
    assert_eq!(listed(&root)["trusted"], 3);

    let dry = ca(root.path(), &["add", "--dry-run"]).arg(all.file("chain")).output().unwrap();
    assert!(succeeds(&dry).contains("Plan digest"));
    assert_eq!(before.differences(&store(&root)), [""; 0]);

    let told = succeeds(&add(root.path(), &["chain", "der"]).output().unwrap());
    assert!(told.contains("trust them"), "{told}");
    assert!(all.leaf_is_good(&root.at(BUNDLE)));
    let names = added(&root);
    assert_eq!(names.len(), 3, "one file for each: {names:?}");
    let safe = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    assert!(names.iter().all(|name| name.chars().all(safe) && name.ends_with(".crt")), "{names:?}");
    assert!(names.iter().any(|name| name.starts_with("tests-root-co-")), "{names:?}");
    for name in &names {
        let meta = root.at(&format!("{ANCHORS}/{name}")).symlink_metadata().unwrap();
        assert_eq!(meta.mode() & 0o7777, 0o644);
    }
    // each has its link by hash, as openssl looks for it, and no link has this root in it
    for name in ["root", "middle", "other"] {
        let hash = root.at(&format!("{STORE}/{}.0", all.hash(name)));
        let target = fs::read_link(&hash).unwrap();
        let own = fs::read_link(root.at(STORE).join(&target)).unwrap();
        assert!(own.starts_with("/usr/local/share/ca-certificates"), "{}", own.display());
        assert!(root.at(own.to_str().unwrap().trim_start_matches('/')).exists());
    }
    assert!(links(&root).iter().all(|(_, target)| !target.contains(root.path().to_str().unwrap())));
    let list = listed(&root);
    assert_eq!((&list["trusted"], list["authorities"].as_array().unwrap().len()), (&6.into(), 3));
    assert!(list["authorities"].as_array().unwrap().iter().all(|one| one["trusted"] == true));

    let now = store(&root);
    let again = succeeds(&add(root.path(), &["chain", "root"]).output().unwrap());
    assert!(again.contains("nothing to do"), "{again}");
    assert_eq!(now.differences(&store(&root)), [""; 0]);

    let digest = openssl(&["x509", "-noout", "-fingerprint", "-sha256", "-in", "middle.pem"], all.dir.path());
    let digest = digest.trim().split('=').next_back().unwrap().to_owned();
    succeeds(&ca(root.path(), &["remove", "--yes", &digest]).output().unwrap());
    assert!(!all.leaf_is_good(&root.at(BUNDLE)));
    for name in added(&root) {
        let name = name.strip_suffix(".crt").unwrap();
        succeeds(&ca(root.path(), &["remove", "--yes", name]).output().unwrap());
    }
    assert_eq!(before.differences(&store(&root)), [""; 0]);
    let again = succeeds(&ca(root.path(), &["remove", "--yes", &digest]).output().unwrap());
    assert!(again.contains("nothing to do"), "{again}");
}

#[test]
fn what_is_no_authority_is_refused() {
    let (root, all) = (debian(), Authorities::get());
    let before = store(&root);
    for (name, why) in [
        ("leaf", "basicConstraints"),
        ("plain", "CA:FALSE"),
        ("signs-nothing", "keyCertSign is not in"),
        ("no-usage", "it has no keyUsage"),
        ("ocsp", "OCSPSigning"),
        ("md5", "it is signed with"),
        ("weak", "1024"),
        ("expired", "it expired on"),
        ("with-key", "holds a private key"),
    ] {
        refused(&add(root.path(), &["root", name]).output().unwrap(), 3, why);
    }
    fs::write(root.at("words"), "no certificate\n").unwrap();
    let output = ca(root.path(), &["add", "--yes"]).arg(root.at("words")).output().unwrap();
    refused(&output, 3, "holds no certificate");
    assert_eq!(before.differences(&store(&root)), [""; 0]);

    // an authority of the distribution is not ours to remove
    let first = links(&root).into_iter().find(|(_, to)| to.starts_with("/usr/share")).unwrap().1;
    let file = root.at(first.trim_start_matches('/'));
    let digest = openssl(
        &["x509", "-noout", "-fingerprint", "-sha256", "-in", file.to_str().unwrap()],
        all.dir.path(),
    );
    let digest = digest.trim().split('=').next_back().unwrap().to_owned();
    refused(&ca(root.path(), &["remove", "--yes", &digest]).output().unwrap(), 3, "packages");
    let output = ca(root.path(), &["add", "--yes"]).arg(&file).output().unwrap();
    assert!(succeeds(&output).contains("nothing to do"));
    assert_eq!(before.differences(&store(&root)), [""; 0]);
    refused(&ca(Root::fresh().path(), &["list"]).output().unwrap(), 4, "no known place");
}

/// A file that an administrator put there by hand, with two authorities in it.
#[test]
fn what_others_added_is_listed_and_goes_by_its_name() {
    let (root, all) = (debian(), Authorities::get());
    let before = store(&root);
    fs::copy(all.file("chain"), root.at(&format!("{ANCHORS}/by-hand.crt"))).unwrap();
    let list = listed(&root);
    assert_eq!(list["authorities"].as_array().unwrap().len(), 2);
    assert!(list["authorities"].as_array().unwrap().iter().all(|one| one["trusted"] == false));
    succeeds(&add(root.path(), &["chain"]).output().unwrap());
    assert_eq!(added(&root), ["by-hand.crt"], "no second file of what is there");
    assert!(all.leaf_is_good(&root.at(BUNDLE)));
    let digest = list["authorities"][0]["sha256"].as_str().unwrap().to_owned();
    refused(&ca(root.path(), &["remove", "--yes", &digest]).output().unwrap(), 2, "holds 2 authorities");
    succeeds(&ca(root.path(), &["remove", "--yes", "by-hand.crt"]).output().unwrap());
    assert_eq!(before.differences(&store(&root)), [""; 0]);
}

/// A root with RHEL's directories and without its tool.
fn rhel() -> Root {
    let root = Root::fresh();
    for dir in ["etc/pki/ca-trust/source/anchors", "usr/share/pki/ca-trust-source/anchors"] {
        fs::create_dir_all(root.at(dir)).unwrap();
    }
    root
}

#[test]
fn rhels_layout_gets_the_files_and_says_what_to_run() {
    let root = rhel();
    let tool = format!("`chroot {} update-ca-trust`", root.path().display());
    let told = succeeds(&add(root.path(), &["chain"]).output().unwrap());
    assert!(told.contains("put in place\nthey are not yet trusted") && told.contains(&tool), "{told}");
    assert!(!told.contains("trust them;"), "{told}");
    let now = root.snapshot();
    let again = add(root.path(), &["chain"]).args(["--output", "json"]).output().unwrap();
    let again = answer(&again);
    assert_eq!((&again["changed"], &again["in_force"]), (&false.into(), &false.into()));
    assert_eq!(now.differences(&root.snapshot()), [""; 0]);
    let entries = fs::read_dir(root.at("etc/pki/ca-trust/source/anchors")).unwrap();
    let names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    let guide = root.at("usr/share/pki/ca-trust-source/anchors/guide.pem");
    fs::copy(Authorities::get().file("other"), &guide).unwrap();
    let list = listed(&root);
    assert_eq!((&list["layout"], list["authorities"].as_array().unwrap().len()), (&"rhel".into(), 3));
    // packages put theirs there, too
    let refused_one = ca(root.path(), &["remove", "--yes", "guide.pem"]).output().unwrap();
    refused(&refused_one, 3, "came with this host's packages");
    assert!(guide.exists());
    fs::remove_file(&guide).unwrap();
    let moved = root.at("usr/share/pki/ca-trust-source/anchors").join(&names[0]);
    fs::rename(root.at("etc/pki/ca-trust/source/anchors").join(&names[0]), moved).unwrap();
    for name in &names {
        let told = succeeds(&ca(root.path(), &["remove", "--yes", name]).output().unwrap());
        assert!(told.contains("may still be trusted") && told.contains(&tool), "{told}");
    }
    assert_eq!(listed(&root)["authorities"], serde_json::json!([]));
}

/// Who made another root shall not have us run its programs.
#[test]
fn nothing_of_another_root_is_run() {
    let root = rhel();
    fs::create_dir_all(root.at("usr/bin")).unwrap();
    root.put("usr/bin/update-ca-trust", b"#!/bin/sh\necho > /ran\n", 0o755);
    // a shell and what it needs, so that it could run
    for dir in ["bin", "lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{dir}"), root.at(dir)).unwrap();
    }
    let found = Command::new("/usr/bin/ldd").arg("/bin/sh").output().unwrap();
    let text = String::from_utf8(found.stdout).unwrap();
    let libraries = text.split_whitespace().filter(|word| word.starts_with('/'));
    for file in libraries.chain(["/bin/sh"]) {
        let real = format!("usr{file}").replace("usr/usr", "usr");
        fs::create_dir_all(root.at(&real).parent().unwrap()).unwrap();
        fs::copy(file, root.at(&real)).unwrap();
    }
    if nix::unistd::geteuid().is_root() {
        let call = Command::new("/usr/sbin/chroot").arg(root.path()).arg("/usr/bin/update-ca-trust").status();
        assert!(call.unwrap().success() && root.at("ran").exists());
        fs::remove_file(root.at("ran")).unwrap();
    }
    let told = succeeds(&add(root.path(), &["chain"]).output().unwrap());
    assert!(told.contains(&format!("chroot {} update-ca-trust", root.path().display())), "{told}");
    assert!(!root.at("ran").exists());
}

/// What p11-kit, with which RHEL's tool writes everything, takes for authorities of servers when this root's
/// directory is the one that it reads. Debian's p11-kit reads `/etc/ssl/certs/ca-certificates.crt`, which
/// may be a directory, too: in a mount namespace of its own that is where the root's directory is put.
fn p11_kit_reads(root: &Root) -> Vec<String> {
    let script = r#"mount -t tmpfs none /etc/ssl/certs && mkdir /etc/ssl/certs/ca-certificates.crt \
        && mount --bind "$1" /etc/ssl/certs/ca-certificates.crt \
        && trust extract --format=pem-bundle --filter=ca-anchors --overwrite --purpose=server-auth "$2""#;
    let out = root.at("bundle.pem");
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .args([root.at("etc/pki/ca-trust/source"), out.clone()])
        .output()
        .unwrap();
    assert!(output.status.success(), "install the package p11-kit: {}", said(&output));
    let text = fs::read_to_string(out).unwrap();
    let mut blocks: Vec<String> =
        text.split("-----BEGIN").skip(1).map(|block| block.trim().to_owned()).collect();
    blocks.sort();
    blocks
}

#[test]
fn the_real_p11_kit_reads_what_is_put_into_rhels_directory_as_root() {
    let (root, all) = (rhel(), Authorities::get());
    let block = |name: &str| {
        let text = fs::read_to_string(all.file(name)).unwrap();
        text.split("-----BEGIN").nth(1).unwrap().split("words").next().unwrap().trim().to_owned()
    };
    assert_eq!(p11_kit_reads(&root), [""; 0]);
    succeeds(&add(root.path(), &["chain", "der"]).output().unwrap());
    let mut wanted = ["root", "middle", "other"].map(block);
    wanted.sort();
    assert_eq!(p11_kit_reads(&root), wanted);
    for name in ["Tests: Root & Co", "middle"] {
        succeeds(&ca(root.path(), &["remove", "--yes", name]).output().unwrap());
    }
    assert_eq!(p11_kit_reads(&root), [block("other")]);
}

#[test]
fn an_authority_is_removed_by_any_name_that_means_one() {
    let (root, all) = (debian(), Authorities::get());
    let before = store(&root);
    let digest = openssl(&["x509", "-noout", "-fingerprint", "-sha256", "-in", "middle.pem"], all.dir.path());
    let digits = digest.trim().split('=').next_back().unwrap().replace(':', "");
    for name in ["middle", "MIDDLE", "CN=Middle", &digits[..8], &digits.to_lowercase()] {
        succeeds(&add(root.path(), &["middle"]).output().unwrap());
        succeeds(&ca(root.path(), &["remove", "--yes", name]).output().unwrap());
        assert_eq!(before.differences(&store(&root)), [""; 0], "{name}");
    }
    succeeds(&add(root.path(), &["chain"]).output().unwrap());
    let wrong = format!("middle-{}.crt", "0".repeat(16));
    for name in ["midle tests", "Middle Earth", &digits[..7], &wrong, "nothing-like-it"] {
        let output = ca(root.path(), &["remove", "--yes", name]).output().unwrap();
        refused(&output, 2, "no authority that was added here is called");
        assert!(said(&output).contains("ca list") && said(&output).contains(".crt"), "{}", said(&output));
    }
    // two that have one name: the hint has both
    let twin = tempfile::tempdir().unwrap();
    let file = twin.path().join("twin.pem");
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null"];
    let made = ["req", "-x509", "-subj", "/CN=Middle", "-addext", SIGNS, "-out", file.to_str().unwrap()];
    openssl(&[&made[..], &key].concat(), twin.path());
    succeeds(&ca(root.path(), &["add", "--yes"]).arg(&file).output().unwrap());
    let output = ca(root.path(), &["remove", "--yes", "Middle"]).output().unwrap();
    refused(&output, 2, "names several authorities");
    assert_eq!(said(&output).matches("middle-").count(), 2, "{}", said(&output));
}

#[test]
fn adding_and_removing_survive() {
    let model = debian();
    let added_root = Root::copy(&model);
    succeeds(&add(added_root.path(), &["chain"]).output().unwrap());
    let name = added(&added_root).remove(0);
    let adds = |root: &Path| add(root, &["chain"]);
    let removes = |root: &Path| ca(root, &["remove", "--yes", &name]);
    let (before, after) = (|| Root::copy(&model), || Root::copy(&added_root));
    type Make<'a> = &'a (dyn Fn() -> Root + Sync);
    type Call<'a> = &'a (dyn Fn(&Path) -> Command + Sync);
    let all: [(&str, Make, Call); 2] = [("ca add", &before, &adds), ("ca remove", &after, &removes)];
    let mut told = Vec::new();
    for (name, root, command) in all {
        let sweep = Sweep::new(Change { name, root, command });
        told.push(sweep.each("killed and run again", 5, &|number| sweep.again(number)));
        told.push(sweep.each("killed and recovered", 2, &|number| sweep.recovered(number)));
        told.push(sweep.each("a call fails", 3, &|number| sweep.fails(number, EIO)));
        told.push(
            sweep.each("killed, and killed while recovering", 31, &|number| sweep.killed_twice(number)),
        );
    }
    summary("crash-ca", &told.join("\n"));
}

fn mutual(root: &Path, arguments: &[&str]) -> Command {
    let mut command = run("cert", root);
    command.arg("mutual").args(arguments);
    command
}

#[test]
fn only_the_keys_of_mutual_authentication_change_whenever_it_is_cut_off() {
    let root = crate::otc::server();
    let conf = root.at("etc/demisto.conf");
    let text =
        "{ \"Server\" : {\"HttpsPort\": \"443\",\n\t\"Certificate\": {\"x\": 1} },\n\n \"other\":[1.50 ]}\n";
    fs::write(&conf, text).unwrap();
    let mode = conf.symlink_metadata().unwrap().mode();
    let model = Root::copy(&root);
    let told = succeeds(&mutual(root.path(), &["on", "--yes", "--policy", "verify"]).output().unwrap());
    assert!(told.contains("an engine's, too") && told.contains("next start"), "{told}");
    let set = fs::read_to_string(&conf).unwrap();
    let value: Value = serde_json::from_str(&set).unwrap();
    assert_eq!(value["Server"]["Certificate"]["clientauthpolicy"], "verify");
    for key in ["security.server.certificate", "security.certificate.override"] {
        assert_eq!(value[format!("{key}.donotverifyclientcertificates")], false, "{set}");
    }
    assert_eq!(conf.symlink_metadata().unwrap().mode(), mode);
    let show = succeeds(&mutual(root.path(), &["show"]).output().unwrap());
    assert!(show.contains("verify; certificates are verified"), "{show}");

    // another policy, in the place that the first one has
    succeeds(&mutual(root.path(), &["on", "--yes", "--policy", "require"]).output().unwrap());
    let value: Value = serde_json::from_slice(&fs::read(&conf).unwrap()).unwrap();
    assert_eq!(value["Server"]["Certificate"]["clientauthpolicy"], "require");
    assert_eq!(value.as_object().unwrap().len(), 2, "nothing is verified");
    succeeds(&mutual(root.path(), &["off", "--yes"]).output().unwrap());
    assert_eq!(fs::read_to_string(&conf).unwrap(), text);
    assert!(succeeds(&mutual(root.path(), &["off", "--yes"]).output().unwrap()).contains("nothing to do"));

    let make = || Root::copy(&model);
    let on = |root: &Path| mutual(root, &["on", "--yes"]);
    let sweep = Sweep::new(Change { name: "cert mutual on", root: &make, command: &on });
    let told = [
        sweep.each("killed and run again", 1, &|number| sweep.again(number)),
        sweep.each("killed and recovered", 1, &|number| sweep.recovered(number)),
        sweep.each("a call fails", 1, &|number| sweep.fails(number, EIO)),
    ];
    summary("crash-mutual", &told.join("\n"));
}
