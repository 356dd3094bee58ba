//! Packages that `pack --format rpm` makes, as the real rpm sees them. What rpm does with them on a
//! machine is in `e2e::package`.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use demisto_install::manifest::Description;
use demisto_install::product::Role;

use crate::support::installer::{PROGRAM, Tree, Vendor, said};
use crate::support::package::Rpm;
use crate::support::pgp::{Gpg, NOW, need};

const RPM: &[&str] = &["--format", "rpm"];
/// Refuse what is not signed, too.
const STRICT: &[&str] = &["-Kv", "--define", "_pkgverify_level all"];

fn with(more: &[&'static str]) -> Vec<&'static str> {
    RPM.iter().chain(more).copied().collect()
}

fn package(name: &str, more: &[&'static str]) -> PathBuf {
    Tree::new().pack(name, &with(more))
}

/// A secret key as `pack` takes it, and the certificate.
fn key(gpg: &Gpg, algorithm: &str) -> (PathBuf, PathBuf) {
    let name = format!("Vendor {algorithm}");
    let key = gpg.key("2025-01-01", &name, algorithm, "sign", "never");
    let secret =
        gpg.file(&format!("{algorithm}.key"), &gpg.run(NOW, &["--armor", "--export-secret-keys", &key]));
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    let public = gpg.run(NOW, &["--armor", "--export", &key]);
    (secret, gpg.file(&format!("{algorithm}.asc"), &public))
}

#[test]
fn rpm_accepts_every_compression() {
    let rpm = Rpm::with(&[&Vendor::get().file("release.asc")]);
    for (compression, demand) in [("zstd", "PayloadIsZstd"), ("gzip", "FileDigests"), ("xz", "PayloadIsXz")] {
        let package = package(&format!("{compression}.rpm"), &["--compression", compression]);
        let told = rpm.of(&package, STRICT);
        for line in ["V4 RSA/SHA256 Signature", "Header SHA256 digest: OK", "Payload SHA256 digest: OK"] {
            assert!(told.contains(line), "{compression}: {told}");
        }
        assert_eq!(told.matches(": OK").count(), told.lines().count() - 1, "{told}");
        assert_eq!(rpm.query(&package, "%{PAYLOADCOMPRESSOR} %{FILEDIGESTALGO}"), format!("{compression} 8"));
        assert!(rpm.of(&package, &["-qp", "--requires"]).contains(&format!("rpmlib({demand})")));
    }
}

/// This program on a package.
fn verify(package: &Path) -> String {
    let mut command = Command::new(PROGRAM);
    command.arg("verify").arg(package).arg("--key").arg(Vendor::get().file("release.asc"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

#[test]
fn this_program_accepts_what_it_made() {
    for compression in ["zstd", "gzip", "xz"] {
        let package = package(&format!("own-{compression}.rpm"), &["--compression", compression]);
        assert!(verify(&package).contains("VERIFIED"), "{compression}");
    }
}

#[test]
fn hard_links_stay_hard_links() {
    let tree = Tree::new();
    tree.hard_link("lib/module-5", "lib/module-1");
    let package = tree.pack("links.rpm", RPM);
    let rpm = Rpm::with(&[&Vendor::get().file("release.asc")]);
    rpm.of(&package, STRICT);
    let told = rpm.query(&package, "[%{FILEINODES} %{FILENAMES}\n]");
    let inode = |name: &str| told.lines().find(|line| line.ends_with(name)).unwrap().split(' ').next();
    assert_eq!(inode("lib/module-1"), inode("lib/module-5"));
    assert_ne!(inode("lib/module-1"), inode("lib/module-2"));
    assert!(verify(&package).contains("VERIFIED"));
}

#[test]
fn rpm_accepts_ed25519_and_two_signatures() {
    let gpg = Gpg::new();
    let (secret, public) = key(&gpg, "ed25519");
    let (one, output) = Tree::new().try_pack_with("ed25519.rpm", &secret, RPM);
    assert!(output.status.success(), "{}", said(&output));
    assert!(Rpm::with(&[&public]).of(&one, STRICT).contains("V4 EdDSA/SHA256 Signature"));

    let release = Vendor::get().file("release.key");
    let more = [RPM, &["--signing-key", release.to_str().unwrap()]].concat();
    let (two, output) = Tree::new().try_pack_with("two.rpm", &secret, &more);
    assert!(output.status.success(), "{}", said(&output));
    let both = Rpm::with(&[&public, &Vendor::get().file("release.asc")]);
    let told = both.of(&two, STRICT);
    assert!(told.contains("V4 EdDSA/SHA256 Signature") && told.contains("V4 RSA/SHA256 Signature"), "{told}");
    // rpm wants to know every signer
    let output = Rpm::with(&[&public]).call(&[STRICT, &[two.to_str().unwrap()]]);
    assert!(!output.status.success(), "{}", said(&output));
}

/// rpm of Debian 12 reads OpenPGP by itself, and no ECDSA.
#[test]
fn a_key_that_some_rpms_cannot_read_is_pointed_out() {
    let gpg = Gpg::new();
    let (secret, public) = key(&gpg, "nistp256");
    let (package, output) = Tree::new().try_pack_with("nistp256.rpm", &secret, RPM);
    assert!(output.status.success() && package.exists(), "{}", said(&output));
    assert!(said(&output).contains("cannot read ECDSA keys"), "{}", said(&output));
    let rpm = Rpm::with(&[]);
    let import = rpm.call(&[&["--import", public.to_str().unwrap()]]);
    assert!(!import.status.success(), "this rpm reads ECDSA keys: the warning is too strong");
    let (_, output) = Tree::new().try_pack_with("nistp256.bundle", &secret, &[]);
    assert!(output.status.success() && !said(&output).contains("ECDSA"), "{}", said(&output));
}

#[test]
fn the_header_says_what_the_description_does() {
    let rpm = Rpm::with(&[]);
    let plain = package("plain.rpm", &[]);
    let format =
        "%{NEVRA}|%{EPOCH}|%{OS}|%{LICENSE}|%{VENDOR}|%{SUMMARY}|%{BUILDTIME}|%{BUILDHOST}|%{SOURCERPM}";
    let wanted =
        "demistoserver-6.14.0-1.x86_64|(none)|linux|Proprietary|(none)|Small|1780000000|(none)|(none)";
    assert_eq!(rpm.query(&plain, format), wanted);
    assert_eq!(rpm.query(&plain, "[%{FILEMTIMES}\n]").lines().find(|time| *time != "1780000000"), None);

    let tree = Tree::new();
    let lines =
        "licence = \"LicenseRef-EULA\"\nvendor = \"Example GmbH\"\nsummary = \"A server\"\n[upgrades]";
    tree.edit("[upgrades]", lines);
    let full = tree.pack("full.rpm", &with(&["--name", "demisto_own"]));
    let format = "%{NEVRA}|%{LICENSE}|%{VENDOR}|%{SUMMARY}|%{DESCRIPTION}";
    assert_eq!(
        rpm.query(&full, format),
        "demisto_own-6.14.0-1.x86_64|LicenseRef-EULA|Example GmbH|A server|A server"
    );
    let looked = Command::new(PROGRAM).arg("inspect").arg(&full).output().unwrap();
    assert!(looked.status.success() && said(&looked).contains("server"), "{}", said(&looked));
}

/// Path, then what rpm makes of it.
fn listed(rpm: &Rpm, package: &Path) -> BTreeMap<String, String> {
    let format = "[%{FILENAMES} %{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEFLAGS:fflags}\n]";
    let lines = rpm.query(package, format);
    let lines = lines.lines().map(|line| line.trim_end().split_once(' ').unwrap());
    lines.map(|(path, what)| (path.to_owned(), what.to_owned())).collect()
}

#[test]
fn files_have_their_owners_modes_and_marks() {
    let rpm = Rpm::with(&[]);
    let tree = Tree::new();
    tree.make_dir("data");
    tree.put("data/seed", b"1\n");
    tree.give("data", "0750");
    let package = tree.pack("files.rpm", RPM);
    let listed = listed(&rpm, &package);
    for (path, what) in [
        ("/usr/local/demisto", "drwxr-xr-x root:root"),
        ("/usr/local/demisto/server", "-rwxr-xr-x root:root"),
        ("/usr/local/demisto/current", "lrwxrwxrwx root:root"),
        ("/usr/local/demisto/data", "drwxr-x--- demisto:demisto"),
        ("/usr/local/demisto/data/seed", "-rw-r--r-- root:root"),
        ("/usr/local/demisto/EULA.txt", "-rw-r--r-- root:root l"),
        ("/usr/local/demisto/release.json", "-rw-r--r-- root:root"),
        ("/etc/demisto.conf", "-rw-r----- demisto:demisto cn"),
        ("/usr/lib/systemd/system/demisto.service", "-rw-r--r-- root:root"),
        ("/usr/lib/sysusers.d/demisto.conf", "-rw-r--r-- root:root"),
        ("/usr/lib/tmpfiles.d/demisto.conf", "-rw-r--r-- root:root"),
        ("/var/lib/demisto", "drwxr-x--- demisto:demisto"),
        ("/var/log/demisto", "drwxr-x--- demisto:demisto"),
    ] {
        assert_eq!(listed.get(path).map(String::as_str), Some(what), "{path}");
    }
    // those above, and eight files and two directories of the usual tree
    assert_eq!(listed.len(), 13 + 8 + 2, "{listed:#?}");
    assert!(rpm.of(&package, &["-qp", "--licensefiles"]).contains("EULA.txt"));
    let provides = rpm.of(&package, &["-qp", "--provides"]);
    assert!(provides.contains("user(demisto) = ") && provides.contains("group(demisto)"), "{provides}");
    let hard = rpm.of(&package, &["-qp", "--requires"]);
    let foreign = |line: &&str| !line.starts_with("rpmlib(") && !line.starts_with("config(demistoserver)");
    assert_eq!(hard.lines().filter(foreign).collect::<Vec<_>>(), ["/bin/sh"; 4]);
}

#[test]
fn an_engine_is_d1_with_its_configuration_beside_it() {
    let tree = Tree::new();
    tree.edit("role = \"server\"", "role = \"engine\"");
    let package = tree.pack("engine.rpm", RPM);
    let rpm = Rpm::with(&[]);
    assert_eq!(rpm.query(&package, "%{NAME}"), "d1");
    let listed = listed(&rpm, &package);
    assert_eq!(listed["/usr/local/demisto/d1.conf"], "-rw-r----- demisto:demisto cn");
    assert!(!listed.contains_key("/etc/demisto.conf"));
}

#[test]
fn what_the_header_cannot_say_is_in_a_file() {
    need("rpm2cpio", "rpm2cpio");
    let package = package("release.rpm", &["--compression", "gzip"]);
    let archive = Command::new("/usr/bin/rpm2cpio").arg(&package).output().unwrap().stdout;
    let start = b"{\n  \"format\": 1,";
    let from = archive.windows(start.len()).position(|window| window == start).unwrap();
    let length = archive[from..].windows(3).position(|window| window == b"\n}\n").unwrap() + 3;
    let release = Description::parse(&archive[from..from + length]).unwrap();
    assert_eq!(
        (release.product.as_str(), release.title.as_str(), release.role),
        ("demisto", "Small", Role::Server)
    );
    assert_eq!((release.version.to_string().as_str(), release.build), ("6.14.0", 1));
    assert_eq!((release.epoch, release.schema, release.eula.as_str()), (1, 1, "EULA.txt"));
    assert_eq!((release.health.path.as_str(), release.built_at.as_second()), ("/health", 1_780_000_000));
    assert!(release.upgrades.include(&"6.13.2".parse().unwrap()) && release.rotations.is_empty());
}

/// Where the main header begins, and with it what is signed.
fn header_of(bytes: &[u8]) -> usize {
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let length = 16 + 16 * number(104) + number(108);
    96 + length.div_ceil(8) * 8
}

#[test]
fn packing_twice_gives_the_same_but_for_the_signature() {
    for compression in ["zstd", "gzip", "xz"] {
        let read = |name: &str| fs::read(package(name, &["--compression", compression])).unwrap();
        let (one, two) = (read("again-1.rpm"), read("again-2.rpm"));
        assert!(one[header_of(&one)..] == two[header_of(&two)..], "{compression}: header or payload differ");
        assert!(one[..96] == two[..96] && one != two, "{compression}");
    }
}

#[test]
fn rpmsign_can_sign_it_anew() {
    need("rpmsign", "rpm");
    let gpg = Gpg::new();
    let (_, public) = key(&gpg, "rsa2048");
    let package = package("anew.rpm", &[]);
    let before = fs::read(&package).unwrap();
    for action in ["--delsign", "--addsign"] {
        let output = Command::new("/usr/bin/rpmsign")
            .env("GNUPGHOME", gpg.home())
            .args(["--define", "__gpg /usr/bin/gpg", "--define", "_gpg_name Vendor rsa2048", action])
            .arg(&package)
            .output()
            .unwrap();
        assert!(output.status.success(), "{action}: {}", said(&output));
    }
    assert!(Rpm::with(&[&public]).of(&package, STRICT).contains("Signature"));
    let after = fs::read(&package).unwrap();
    assert!(before[header_of(&before)..] == after[header_of(&after)..]);
}

#[test]
fn scriptlets_are_sound_shell() {
    need("shellcheck", "shellcheck");
    let (rpm, package) = (Rpm::with(&[]), package("scripts.rpm", &[]));
    for when in ["PREIN", "POSTIN", "PREUN", "POSTUN"] {
        assert_eq!(rpm.query(&package, &format!("%{{{when}PROG}}")), "/bin/sh");
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), rpm.query(&package, &format!("%{{{when}}}"))).unwrap();
        let output =
            Command::new("/usr/bin/shellcheck").args(["-s", "sh"]).arg(file.path()).output().unwrap();
        assert!(output.status.success(), "{when}: {}", said(&output));
    }
}

#[test]
fn unfit_input_is_refused_and_leaves_nothing() {
    let refused = |name: &str, change: &dyn Fn(&Tree), more: &[&'static str], why: &str| {
        let tree = Tree::new();
        change(&tree);
        let (out, output) = tree.try_pack(name, more);
        assert!(!output.status.success() && said(&output).contains(why), "{name}: {}", said(&output));
        assert!(!out.exists(), "{name}");
        let beside = fs::read_dir(out.parent().unwrap()).unwrap();
        let part = |n: String| n.contains(name) && n.ends_with(".part");
        assert!(!beside.flatten().any(|e| part(e.file_name().to_string_lossy().into_owned())));
    };
    let nothing: &dyn Fn(&Tree) = &|_| ();
    refused("r1", &|tree| tree.put("cert.pem", b""), RPM, "belong to the host");
    refused("r2", &|tree| tree.put("release.json", b"{}"), RPM, "of its own");
    refused("r3", &|tree| tree.take("EULA.txt"), RPM, "eula");
    refused("r4", &|tree| tree.edit("title = \"Small\"", "title = \"\""), RPM, "title");
    refused("r5", &|tree| tree.edit("build =", "summary = \"a\\u001bb\"\nbuild ="), RPM, "printable");
    refused("r6", &|tree| tree.link("away", "../../etc/passwd"), RPM, "leaves");
    refused("r7", nothing, &with(&["--name", "_x"]), "name");
    refused("r7b", nothing, &with(&["--name", "bash"]), "name");
    refused("r8", nothing, &with(&["--name", "../x"]), "name");
    refused("r9", nothing, &with(&["--compression", "xz", "--level", "10"]), "levels 1 to 9");
    refused(
        "r10",
        nothing,
        &with(&["--program", "/usr/bin/true"]),
        "--program does not go with --format rpm",
    );
    refused("r11", nothing, &["--name", "x"], "--name does not go with --format bundle");
    refused("r12", nothing, &["--compression", "xz"], "does not go with --format bundle");
}

#[test]
fn the_file_is_named_after_the_package() {
    let tree = Tree::new();
    let (out, output) = tree.try_pack("named.rpm", &with(&["--detached"]));
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o644);
    assert!(out.with_file_name("named.rpm.asc").exists());
    let dir = tempfile::tempdir().unwrap();
    let mut command = tree.packing(&Vendor::get().file("release.key"));
    let output = command.current_dir(&dir).args(RPM).args(["--output", "json"]).output().unwrap();
    let last = String::from_utf8(output.stdout).unwrap();
    let last: serde_json::Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    let name = "demistoserver-6.14.0-1.x86_64.rpm";
    assert_eq!((&last["output"], &last["package"]), (&name.into(), &name.trim_end_matches(".rpm").into()));
    assert_eq!(last["length"], fs::metadata(dir.path().join(name)).unwrap().len());
}
