//! `cert csr`, `cert convert` and `cert client`, with the real `openssl` and `ssh-keygen` beside them.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use demisto_install::certs::forms;
use demisto_install::certs::key::{self, Form, Problem, Syntax};
use demisto_install::types::Secret;
use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::x509::X509;
use openssl::x509::extension::{BasicConstraints, KeyUsage};
use rexpect::session::{Options, PtySession, spawn_with_options};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::docs::rows;
use crate::reference_product::host::Host;
use crate::support::installer::{PROGRAM, said, summary};
use crate::support::trace::strace;

/// A passphrase that is no part of anything else.
const PASS: &str = "Marker.pass-1";

/// A directory with the tools at hand.
struct Desk {
    dir: TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Runs a tool here with words that hold no spaces.
    fn run(&self, line: &str) -> Output {
        let mut words = line.split_whitespace();
        let program = Path::new("/usr/bin").join(words.next().unwrap());
        let output = Command::new(&program).current_dir(self.dir.path()).args(words).output();
        output.unwrap_or_else(|e| panic!("{}: {e}", program.display()))
    }

    /// The same, which must succeed; gives what it printed.
    fn tool(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}", said(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The program, here, without a terminal.
    fn program(&self, line: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command.current_dir(self.dir.path()).args(line.split_whitespace());
        command.stdin(std::process::Stdio::null());
        command
    }

    /// Runs `cert ...`; gives the result line of its JSON.
    fn cert(&self, line: &str) -> Value {
        let output = self.program(&format!("--output json cert {line}")).output().unwrap();
        assert!(output.status.success(), "cert {line}: {}", said(&output));
        assert!(!said(&output).contains(PASS), "cert {line}: {}", said(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    }

    /// Runs `cert ...`, which is refused and changes nothing; gives what it said.
    fn refused(&self, code: i32, line: &str) -> String {
        let before = self.files();
        let output: Output = self.program(&format!("cert {line}")).output().unwrap();
        let text = said(&output);
        assert_eq!(output.status.code(), Some(code), "cert {line}: {text}");
        assert!(!text.contains(PASS), "cert {line}: {text}");
        assert_eq!(self.files(), before, "cert {line}");
        text
    }

    fn write(&self, name: &str, text: &str) {
        let _ = std::fs::remove_file(self.path(name));
        std::fs::write(self.path(name), text).unwrap();
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn mode(&self, name: &str) -> u32 {
        std::fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o7777
    }

    /// Every file below, with its mode and content.
    fn files(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut found = BTreeMap::new();
        let mut waiting = vec![self.dir.path().to_owned()];
        while let Some(dir) = waiting.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let meta = std::fs::symlink_metadata(&path).unwrap();
                if meta.is_dir() {
                    waiting.push(path);
                } else {
                    let content = std::fs::read(&path).unwrap_or_default();
                    found.insert(path, (meta.permissions().mode(), content));
                }
            }
        }
        found
    }

    /// A root CA (ca.pem, ca.key) and one below it (sub.pem with the root, sub.key).
    fn authorities(&self) {
        self.tool(
            "openssl req -x509 -newkey rsa:2048 -nodes -days 900 -keyout ca.key -out ca.pem -subj /CN=Root \
                   -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign",
        );
        self.tool(
            "openssl req -newkey rsa:2048 -nodes -keyout sub.key -out sub.csr -subj /CN=Sub \
                   -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign",
        );
        self.tool("openssl x509 -req -in sub.csr -CA ca.pem -CAkey ca.key -copy_extensions copy -days 800 -out one.pem");
        let both = [self.read("one.pem"), self.read("ca.pem")].concat();
        std::fs::write(self.path("sub.pem"), both).unwrap();
    }

    /// A CA with the key ca.key that expired (old.pem): openssl's commands make none so easily.
    fn old_authority(&self) {
        let key = PKey::private_key_from_pem(&self.read("ca.key")).unwrap();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.set_not_before(&Asn1Time::from_unix(1_600_000_000).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::from_unix(1_700_000_000).unwrap()).unwrap();
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        builder.append_extension(KeyUsage::new().critical().key_cert_sign().build().unwrap()).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        std::fs::write(self.path("old.pem"), builder.build().to_pem().unwrap()).unwrap();
    }

    /// The public key that belongs to the private key in a file.
    fn public_of(&self, file: &str) -> String {
        self.tool(&format!("openssl pkey -in {file} -pubout -passin pass:{PASS}"))
    }
}

/// One form of a key as a real tool writes it.
struct Case {
    name: &'static str,
    /// The commands that make `in` from `plain.pem`, which is there.
    make: &'static [&'static str],
    syntax: Syntax,
    encrypted: bool,
    problems: &'static [Problem],
}

const P12: &str = "openssl req -x509 -key plain.pem -subj /CN=a.example.test -days 9 -out cert.pem";

const FORMS: &[Case] = &[
    Case {
        name: "traditional",
        make: &["openssl pkey -traditional -in plain.pem -out in"],
        syntax: Syntax::Traditional,
        encrypted: false,
        problems: &[],
    },
    Case {
        name: "traditional, AES-256",
        make: &["openssl pkey -traditional -in plain.pem -out in -aes256 -passout pass:Marker.pass-1"],
        syntax: Syntax::Traditional,
        encrypted: true,
        problems: &[],
    },
    Case {
        name: "traditional, 3DES",
        make: &["openssl pkey -traditional -in plain.pem -out in -des3 -passout pass:Marker.pass-1"],
        syntax: Syntax::Traditional,
        encrypted: true,
        problems: &[],
    },
    Case {
        name: "PKCS#8",
        make: &["openssl pkey -in plain.pem -out in"],
        syntax: Syntax::Pkcs8,
        encrypted: false,
        problems: &[Problem::PlainPkcs8],
    },
    Case {
        name: "PKCS#8, encrypted",
        make: &["openssl pkey -in plain.pem -out in -aes256 -passout pass:Marker.pass-1"],
        syntax: Syntax::Pkcs8,
        encrypted: true,
        problems: &[Problem::EncryptedPkcs8],
    },
    Case {
        name: "PKCS#8, encrypted with scrypt",
        make: &["openssl pkcs8 -topk8 -scrypt -in plain.pem -out in -passout pass:Marker.pass-1"],
        syntax: Syntax::Pkcs8,
        encrypted: true,
        problems: &[Problem::EncryptedPkcs8],
    },
    Case {
        name: "PKCS#8 DER",
        make: &["openssl pkcs8 -topk8 -nocrypt -in plain.pem -outform DER -out in"],
        syntax: Syntax::Pkcs8,
        encrypted: false,
        problems: &[Problem::NotPem, Problem::PlainPkcs8],
    },
    Case {
        name: "PKCS#8 DER, encrypted",
        make: &["openssl pkcs8 -topk8 -in plain.pem -outform DER -out in -passout pass:Marker.pass-1"],
        syntax: Syntax::Pkcs8,
        encrypted: true,
        problems: &[Problem::NotPem, Problem::EncryptedPkcs8],
    },
    Case {
        name: "traditional DER",
        make: &["openssl pkey -traditional -in plain.pem -outform DER -out in"],
        syntax: Syntax::Traditional,
        encrypted: false,
        problems: &[Problem::NotPem],
    },
    Case {
        name: "PKCS#12",
        make: &[
            P12,
            "openssl pkcs12 -export -inkey plain.pem -in cert.pem -out in -passout pass:Marker.pass-1",
        ],
        syntax: Syntax::Pkcs12,
        encrypted: true,
        problems: &[Problem::Pkcs12],
    },
    Case {
        name: "PKCS#12 without a passphrase",
        make: &[P12, "openssl pkcs12 -export -inkey plain.pem -in cert.pem -out in -passout pass:"],
        syntax: Syntax::Pkcs12,
        encrypted: false,
        problems: &[Problem::Pkcs12],
    },
    Case {
        name: "PKCS#12 with 3DES",
        make: &[
            P12,
            "openssl pkcs12 -export -inkey plain.pem -in cert.pem -out in -passout pass:Marker.pass-1 \
             -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1",
        ],
        syntax: Syntax::Pkcs12,
        encrypted: true,
        problems: &[Problem::Pkcs12],
    },
    Case {
        name: "OpenSSH",
        make: &["install -m 600 plain.pem in", "ssh-keygen -q -p -f in -N  -P"],
        syntax: Syntax::OpenSsh,
        encrypted: false,
        problems: &[Problem::OpenSsh],
    },
];

/// The kinds of keys that go through every form.
const KINDS: [(&str, &str); 5] = [
    ("RSA 2048", "openssl genrsa -out plain.pem 2048"),
    ("RSA 3072", "openssl genrsa -out plain.pem 3072"),
    ("EC P-256", "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out plain.pem"),
    ("EC P-384", "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out plain.pem"),
    ("EC P-521", "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out plain.pem"),
];

impl Case {
    fn make(&self, desk: &Desk) {
        for line in self.make {
            if let Some(file) = line.strip_prefix("ssh-keygen -q -p -f ") {
                // empty arguments, which `tool` cannot give
                let file = desk.path(file.split(' ').next().unwrap());
                let mut command = Command::new("/usr/bin/ssh-keygen");
                let output = command.args(["-q", "-p", "-N", "", "-P", "", "-f"]).arg(file).output().unwrap();
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            } else {
                desk.tool(line);
            }
        }
    }
}

fn open(bytes: &[u8]) -> key::Result<key::Found> {
    key::read(bytes, Some(&Secret::from(PASS)))
}

#[test]
fn every_form_is_read_and_named() {
    let desk = Desk::new();
    for (kind, generate) in KINDS {
        desk.tool(generate);
        let public = desk.public_of("plain.pem");
        for case in FORMS {
            let _ = std::fs::remove_file(desk.path("in"));
            case.make(&desk);
            let bytes = desk.read("in");
            let told = key::form(&bytes).unwrap_or_else(|e| panic!("{}: {e}", case.name));
            let found = open(&bytes).unwrap_or_else(|e| panic!("{kind}, {}: {e}", case.name));
            assert_eq!(found.key.kind().to_string(), kind, "{}", case.name);
            assert_eq!((told.syntax, told.encrypted), (case.syntax, case.encrypted), "{}", case.name);
            assert_eq!(found.form, told, "{}", case.name);
            assert_eq!(found.form.problems(), case.problems, "{kind}, {}", case.name);
            if case.encrypted {
                let wrong = key::read(&bytes, Some(&Secret::from("wrong"))).unwrap_err();
                assert!(matches!(wrong, key::Error::WrongPassphrase), "{kind}, {}: {wrong:?}", case.name);
                let none = key::read(&bytes, None).unwrap_err();
                assert!(matches!(none, key::Error::Encrypted), "{kind}, {}: {none:?}", case.name);
            }
            for passphrase in [None, Some(Secret::from(PASS))] {
                let written = found.key.to_pem(passphrase.as_ref()).unwrap();
                std::fs::write(desk.path("out.pem"), written.as_bytes()).unwrap();
                assert_eq!(desk.public_of("out.pem"), public, "{kind}, {}", case.name);
                assert_eq!(key::form(written.as_bytes()).unwrap().problems(), [], "{kind}, {}", case.name);
            }
        }
    }
}

/// Go's x509 cannot parse such keys; the guide says to make them with `-noout`.
#[test]
fn a_curve_that_is_spelt_out_gets_its_name_back() {
    let desk = Desk::new();
    for (curve, short) in [("prime256v1", "P-256"), ("secp384r1", "P-384"), ("secp521r1", "P-521")] {
        let explicit = format!("openssl ecparam -name {curve} -genkey -param_enc explicit");
        for (line, encrypted) in [
            (format!("{explicit} -noout -out in"), false),
            (format!("{explicit} -out in"), false),
            (format!("{explicit} -noout -outform DER -out in"), false),
        ] {
            desk.tool(&line);
            let found = open(&desk.read("in")).unwrap_or_else(|e| panic!("{line}: {e}"));
            let Form { explicit_curve, parameters_block, .. } = found.form;
            assert_eq!((explicit_curve, parameters_block), (true, !line.contains("-noout")), "{line}");
            assert_eq!(found.key.kind().to_string(), format!("EC {short}"));
            assert_eq!(found.form.encrypted, encrypted);
            let written = found.key.to_pem(None).unwrap();
            std::fs::write(desk.path("out.pem"), written.as_bytes()).unwrap();
            let text = desk.tool("openssl ec -in out.pem -noout -text");
            assert!(text.contains(&format!("ASN1 OID: {curve}")), "{text}");
        }
        desk.tool(&format!("{explicit} -noout -out plain.pem"));
        for line in [
            "openssl ec -in plain.pem -aes256 -passout pass:Marker.pass-1 -out in -param_enc explicit",
            "openssl pkcs8 -topk8 -in plain.pem -passout pass:Marker.pass-1 -out in",
            "openssl pkcs8 -topk8 -nocrypt -in plain.pem -out in",
        ] {
            desk.tool(line);
            let found = open(&desk.read("in")).unwrap_or_else(|e| panic!("{line}: {e}"));
            assert!(found.form.explicit_curve, "{line}");
            std::fs::write(desk.path("out.pem"), found.key.to_pem(None).unwrap().as_bytes()).unwrap();
            assert_eq!(desk.public_of("in").len(), desk.public_of("plain.pem").len());
            let text = desk.tool("openssl ec -in out.pem -noout -text");
            assert!(text.contains(&format!("ASN1 OID: {curve}")), "{text}");
        }
    }
    desk.tool("openssl ecparam -name prime256v1 -genkey -out in");
    let found = open(&desk.read("in")).unwrap();
    assert_eq!(found.form.problems(), [Problem::ParametersBlock]);
}

#[test]
fn keys_that_the_product_does_not_take_are_refused_with_the_reason() {
    let desk = Desk::new();
    for (make, why) in [
        ("openssl genpkey -algorithm ED25519 -out in", "an Ed25519 key"),
        ("openssl genpkey -algorithm ED448 -out in", "an Ed448 key"),
        ("openssl genpkey -algorithm X25519 -out in", "cannot sign"),
        ("openssl genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out in", "PSS signatures only"),
        ("ssh-keygen -q -t ed25519 -N Marker.pass-1 -f in", "encrypted OpenSSH"),
        ("openssl genpkey -algorithm DH -pkeyopt group:ffdhe2048 -out in", "of an unknown kind"),
    ] {
        let _ = std::fs::remove_file(desk.path("in"));
        desk.tool(make);
        let error = open(&desk.read("in")).unwrap_err().to_string();
        assert!(error.contains(why), "{make}: {error}");
    }
    desk.tool("openssl dsaparam -genkey -noout -out in 2048");
    assert!(open(&desk.read("in")).unwrap_err().to_string().contains("a DSA key"));
    for (make, why) in [
        ("openssl genrsa -out in 1024", "an RSA key of 1024 bits"),
        ("openssl ecparam -name secp256k1 -genkey -noout -out in", "the curve secp256k1"),
        ("openssl ecparam -name secp224r1 -genkey -noout -out in", "the curve secp224r1"),
        ("openssl ecparam -name brainpoolP256r1 -genkey -noout -out in", "the curve brainpoolP256r1"),
    ] {
        desk.tool(make);
        let error = open(&desk.read("in")).unwrap().key.check().unwrap_err().to_string();
        assert!(error.contains(why), "{make}: {error}");
    }
}

/// A Windows of old encrypts certificates so; OpenSSL opens them with its legacy module only.
#[test]
fn what_openssl_has_given_up_is_told_from_a_wrong_passphrase() {
    let desk = Desk::new();
    desk.write("pass", &format!("{PASS}\n"));
    desk.tool("openssl req -x509 -newkey rsa:2048 -nodes -keyout k.pem -subj /CN=a -out c.pem");
    desk.tool(
        "openssl pkcs12 -legacy -export -inkey k.pem -in c.pem -out old.p12 -passout pass:Marker.pass-1",
    );
    let text = desk.refused(2, "convert old.p12 --out-dir d --passphrase-file pass");
    assert!(text.contains("RC2") && text.contains("openssl pkcs12 -legacy -in FILE -out NEW.pem"), "{text}");
    desk.tool("openssl pkcs12 -legacy -in old.p12 -out new.pem -passin pass:Marker.pass-1 -passout pass:Marker.pass-1");
    desk.cert("convert new.pem --out-dir d --passphrase-file pass");
    assert_eq!(desk.public_of("d/cert.key"), desk.public_of("k.pem"));
    let text = desk.refused(2, "convert old.p12 --out-dir e");
    assert!(text.contains("no passphrase was given"), "{text}");
}

/// Forms as real tools write them, with bytes changed or cut off: read, or refused, and nothing else.
#[test]
fn no_change_of_a_file_brings_the_readers_down() {
    let desk = Desk::new();
    desk.authorities();
    desk.tool(KINDS[2].1);
    desk.tool("openssl crl2pkcs7 -nocrl -certfile sub.pem -outform DER -out chain.p7c");
    let mut samples = vec![("PKCS#7", desk.read("chain.p7c")), ("PEM", desk.read("sub.pem"))];
    for case in FORMS {
        for old in ["in", "cert.pem"] {
            let _ = std::fs::remove_file(desk.path(old));
        }
        case.make(&desk);
        samples.push((case.name, desk.read("in")));
    }
    let (mut state, mut refused, mut runs) = (88_172_645_463_325_252_u64, 0, 0);
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    };
    let secret = Secret::from(PASS);
    for (name, bytes) in samples {
        let copies = if name.contains("scrypt") { 10 } else { 150 };
        for copy in 0..copies {
            let mut changed = bytes.clone();
            if copy % 4 == 0 {
                changed.truncate(next(bytes.len()));
            }
            for _ in 0..copy % 4 {
                let at = next(changed.len());
                changed[at] ^= u8::try_from(next(255) + 1).unwrap();
            }
            runs += 1;
            refused += usize::from(forms::read(&changed, Some(&secret)).is_err());
        }
    }
    assert!(refused > runs / 3 && refused < runs, "{refused} of {runs}");
    summary("certificate-files", &format!("changed files: {runs} read, {refused} refused, 0 broken"));
}

/// A passphrase goes from its file into the key, and to no other program, file, message or argument; the
/// key into its own file alone.
#[test]
fn a_passphrase_is_nowhere_but_in_its_file() {
    let desk = Desk::new();
    desk.authorities();
    desk.write("pass", &format!("{PASS}\n"));
    desk.tool("openssl genpkey -algorithm RSA -aes256 -pass pass:Marker.pass-1 -out k8.pem");
    let at = |name: &str| desk.path(name).display().to_string();
    let (dir, pass, k8) = (at("d"), at("pass"), at("k8.pem"));
    let (ca, ca_key) = (at("ca.pem"), at("ca.key"));
    for line in [
        format!("cert csr --out-dir {dir}/csr --name a --key-type ec --passphrase-file {pass}"),
        format!("cert convert {k8} --out-dir {dir}/convert --passphrase-file {pass}"),
        format!(
            "cert client --out-dir {dir}/client --name a --ca-cert {ca} --ca-key {ca_key} --p12 \
             --p12-passphrase-file {pass} --passphrase-file {pass}"
        ),
    ] {
        let command = desk.program(&line);
        let options = ["-s", "1048576", "-e", "trace=execve,write,writev,pwrite64,sendto,sendmsg,openat"];
        let (output, log) = strace(&command, &options);
        assert!(output.status.success(), "{}", said(&output));
        let own = log.lines().filter(|call| !call.contains("read("));
        let leaks: Vec<&str> = own.filter(|call| call.contains(PASS)).collect();
        assert!(leaks.is_empty(), "{line}: {leaks:?}");
        assert_eq!(log.matches("execve(").count(), 1, "no other program takes part: {line}");
        assert!(log.contains("-----BEGIN"), "the writing of the files was not seen: {line}");
        assert!(!said(&output).contains(PASS), "{line}");
    }
    for (path, (mode, content)) in desk.files() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let has = content.windows(PASS.len()).any(|window| window == PASS.as_bytes());
        assert_eq!(has, name == "pass", "{name}");
        if path.starts_with(&dir) && !name.ends_with(".csr") && !name.ends_with(".pem") {
            assert_eq!(mode & 0o777, 0o400, "{name}");
        }
    }
}

/// The page lists the forms with what the program says of each.
#[test]
fn the_page_tells_what_is_said_of_each_form() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/keys-and-requests.md");
    let rows = rows(&std::fs::read_to_string(page).unwrap(), "| Form of the key |");
    let wanted: Vec<[String; 2]> = FORMS
        .iter()
        .map(|case| {
            let words: Vec<String> = case.problems.iter().map(ToString::to_string).collect();
            let said = if words.is_empty() { "nothing".to_owned() } else { words.join("; ") };
            [case.name.to_owned(), said]
        })
        .collect();
    assert_eq!(rows, wanted);
}

// --- cert csr ----------------------------------------------------------------------------------------------

/// What `openssl req -text` shows of the extensions, on one line each.
fn request_text(desk: &Desk, file: &str) -> String {
    let output = desk.tool(&format!("openssl req -in {file} -noout -text -verify -nameopt RFC2253"));
    output.lines().map(str::trim).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_request_asks_for_what_the_guide_wants() {
    let desk = Desk::new();
    desk.write("pass", &format!("{PASS}\n"));
    for (kind, own, usage) in [
        ("rsa:2048", "RSA 2048", "Digital Signature, Key Encipherment"),
        ("rsa:3072", "RSA 3072", "Digital Signature, Key Encipherment"),
        ("ec:p256", "EC P-256", "Digital Signature"),
        ("ec:p384", "EC P-384", "Digital Signature"),
        ("ec:p521", "EC P-521", "Digital Signature"),
    ] {
        let dir = kind.replace(':', "-");
        let line = format!(
            "csr --out-dir {dir} --key-type {kind} --name soar.example.test --name www.example.test \
                            --ip 10.0.0.1 --ip fd00::1"
        );
        let made = desk.cert(&line);
        let wanted = json!({"key": format!("{dir}/cert.key"), "kind": own, "encrypted": false,
            "request": format!("{dir}/cert.csr"), "certificate": null, "expires": null, "cut_short": false,
            "p12": null, "names": ["soar.example.test", "www.example.test", "10.0.0.1", "fd00::1"]});
        assert_eq!(made["made"], wanted);
        let text = request_text(&desk, &format!("{dir}/cert.csr"));
        assert!(text.contains("Subject: CN=soar.example.test\n"), "{text}");
        assert!(text.contains(&format!("X509v3 Key Usage: critical\n{usage}\n")), "{text}");
        assert!(text.contains("X509v3 Extended Key Usage:\nTLS Web Server Authentication\n"), "{text}");
        let san =
            "DNS:soar.example.test, DNS:www.example.test, IP Address:10.0.0.1, IP Address:FD00:0:0:0:0:0:0:1";
        assert!(text.contains(&format!("X509v3 Subject Alternative Name:\n{san}\n")), "{text}");
        assert_eq!((desk.mode(&format!("{dir}/cert.key")), desk.mode(&dir)), (0o400, 0o700));
        let key = String::from_utf8(desk.read(&format!("{dir}/cert.key"))).unwrap();
        assert!(!key.contains("PARAMETERS") && !key.contains("BEGIN PRIVATE KEY"), "{kind}");
        let public = desk.tool(&format!("openssl req -in {dir}/cert.csr -noout -pubkey"));
        assert_eq!(desk.public_of(&format!("{dir}/cert.key")), public);

        let locked = format!("{dir}-locked");
        desk.cert(&format!("csr --out-dir {locked} --key-type {kind} --name a --passphrase-file pass"));
        let key = String::from_utf8(desk.read(&format!("{locked}/cert.key"))).unwrap();
        let head: Vec<&str> = key.lines().skip(1).take(2).collect();
        assert_eq!(head[0], "Proc-Type: 4,ENCRYPTED");
        assert!(head[1].starts_with("DEK-Info: AES-256-CBC,"), "{}", head[1]);
        let public = desk.tool(&format!("openssl req -in {locked}/cert.csr -noout -pubkey"));
        assert_eq!(desk.public_of(&format!("{locked}/cert.key")), public);
    }
}

#[test]
fn a_ca_signs_what_was_asked_for() {
    let desk = Desk::new();
    desk.authorities();
    desk.cert("csr --out-dir s --name soar.example.test");
    desk.cert(
        "csr --out-dir c --name engine.example.test --role client --key-type ec:p256 --subject CN=e,O=X,C=CH",
    );
    for (request, purpose, other) in
        [("s/cert.csr", "sslserver", "sslclient"), ("c/client.csr", "sslclient", "sslserver")]
    {
        desk.tool(&format!(
            "openssl x509 -req -in {request} -CA sub.pem -CAkey sub.key -copy_extensions copy -out out.pem"
        ));
        let verify = "openssl verify -x509_strict -CAfile ca.pem -untrusted sub.pem -purpose";
        desk.tool(&format!("{verify} {purpose} out.pem"));
        assert!(!desk.run(&format!("{verify} {other} out.pem")).status.success(), "{other}");
    }
    let text = request_text(&desk, "c/client.csr");
    assert!(
        text.contains("Subject: C=CH,O=X,CN=e\n") && text.contains("TLS Web Client Authentication"),
        "{text}"
    );
}

#[test]
fn a_request_overwrites_nothing_and_needs_good_names() {
    let desk = Desk::new();
    let text = desk.refused(2, "csr --out-dir d");
    assert!(text.contains("--name NAME"), "{text}");
    for (name, why) in [
        ("*.example.test", "wildcard"),
        ("a_b", "neither a host name"),
        ("a,b", "neither a host name"),
        ("b\u{fc}cher.example", "xn--"),
    ] {
        let text = desk.refused(2, &format!("csr --out-dir d --name {name}"));
        assert!(text.contains(why), "{name}: {text}");
    }
    for odd in ["--ip 10.0.0", "--key-type rsa:1024", "--key-type ec:p224", "--subject CN=", "--subject C=xx"]
    {
        desk.refused(2, &format!("csr --out-dir d --name a {odd}"));
    }
    desk.write("short", "abc\n");
    assert!(desk.refused(2, "csr --out-dir d --name a --passphrase-file short").contains("shorter than 4"));
    desk.write("open", "abcdef\n");
    std::fs::set_permissions(desk.path("open"), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(desk.refused(1, "csr --out-dir d --name a --passphrase-file open").contains("chmod 600"));
    assert!(!desk.path("d").exists());
    for there in ["cert.key", "cert.csr"] {
        std::fs::create_dir(desk.path("d")).unwrap();
        std::os::unix::fs::symlink("/nowhere", desk.path("d").join(there)).unwrap();
        assert!(
            desk.refused(2, "csr --out-dir d --name a --key-type ec").contains("nothing is ever overwritten")
        );
        std::fs::remove_dir_all(desk.path("d")).unwrap();
    }
}

#[test]
fn the_configured_name_is_offered() {
    let desk = Desk::new();
    for dir in ["root/etc", "root/var"] {
        std::fs::create_dir_all(desk.path(dir)).unwrap();
    }
    desk.write("root/etc/demisto.conf", r#"{"Server": {"ExternalHostName": "soar.example.test:443"}}"#);
    desk.write("root/etc/hostname", "soar1\n");
    desk.write("root/etc/hosts", "10.0.0.9 soar1.lan.test soar1\n");
    let text = desk.refused(2, "csr --out-dir d --root root");
    assert!(text.contains("known as soar.example.test, soar1.lan.test, soar1\n"), "{text}");
}

/// On a terminal the names are asked for, and a passphrase twice.
#[test]
fn a_person_is_asked() {
    let desk = Desk::new();
    std::fs::create_dir_all(desk.path("root/etc")).unwrap();
    desk.write("root/etc/hostname", "soar1.example.test\n");
    let mut session = desk.terminal("cert csr --root root --out-dir d --key-type ec:p256 --passphrase");
    let question = "Names and addresses, separated by spaces:  (default: 'soar1.example.test') ";
    session.exp_string(question).unwrap();
    session.send_line("soar.example.test *.x").unwrap();
    session.exp_string("neither a host name nor an address").unwrap();
    session.exp_string(question).unwrap();
    session.send_line("soar.example.test 10.0.0.1").unwrap();
    for (question, answer) in [
        ("Passphrase for the new key: ", "abc"),
        ("Passphrase for the new key: ", PASS),
        ("Verify passphrase: ", "other"),
        ("Passphrase for the new key: ", PASS),
        ("Verify passphrase: ", PASS),
    ] {
        session.exp_string(question).unwrap();
        session.send_line(answer).unwrap();
    }
    let rest = session.exp_eof().unwrap();
    assert!(rest.contains("private key, EC P-256, encrypted") && !rest.contains(PASS), "{rest}");
    assert!(request_text(&desk, "d/cert.csr").contains("DNS:soar.example.test, IP Address:10.0.0.1"));
    assert!(!desk.public_of("d/cert.key").is_empty());
}

impl Desk {
    fn terminal(&self, line: &str) -> PtySession {
        let mut command = Command::new(PROGRAM);
        command.current_dir(self.dir.path()).args(line.split_whitespace()).env("TERM", "dumb");
        let options = Options::new().timeout_ms(Some(60_000)).strip_ansi_escape_codes(true);
        spawn_with_options(command, options).unwrap()
    }
}

/// Whatever fails and whenever it is killed: a key is there only with its request, and never a part of one.
#[test]
fn a_key_comes_whole_and_with_its_request() {
    const CSR: &str = "cert csr --out-dir d --name a --key-type ec";
    let desk = Desk::new();
    let log = desk.path("points");
    let output = desk.program(CSR).env("DEMISTO_INSTALL_FAULT_LOG", &log).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let points = std::fs::read_to_string(&log).unwrap().lines().count();
    assert!(points >= 8, "{points} points");
    for point in 1..=points {
        for errno in ["", ":5", ":28"] {
            let _ = std::fs::remove_dir_all(desk.path("d"));
            let output = desk
                .program(CSR)
                .env("DEMISTO_INSTALL_FAULT_AT", format!("{point}{errno}"))
                .output()
                .unwrap();
            assert!(!output.status.success(), "point {point}{errno}");
            let names: Vec<String> = desk
                .files()
                .keys()
                .filter_map(|path| {
                    path.strip_prefix(desk.path("d")).ok().map(|name| name.display().to_string())
                })
                .collect();
            let (key, csr) = (desk.path("d/cert.key"), desk.path("d/cert.csr"));
            if errno.is_empty() {
                assert!(!key.exists() || csr.exists(), "point {point}: {names:?}");
            } else {
                assert_eq!(names, [""; 0], "point {point}{errno}");
                assert_eq!(output.status.code(), Some(1), "{}", said(&output));
            }
            if key.exists() {
                assert_eq!(
                    desk.public_of("d/cert.key"),
                    desk.tool("openssl req -in d/cert.csr -noout -pubkey")
                );
            }
        }
    }
}

// --- cert convert ------------------------------------------------------------------------------------------

#[test]
fn every_form_is_converted_and_what_was_wrong_is_said() {
    let desk = Desk::new();
    desk.write("pass", &format!("{PASS}\n"));
    for (kind, generate) in [KINDS[0], KINDS[2]] {
        desk.tool(generate);
        let public = desk.public_of("plain.pem");
        for case in FORMS {
            for old in ["in", "cert.pem"] {
                let _ = std::fs::remove_file(desk.path(old));
            }
            let _ = std::fs::remove_dir_all(desk.path("d"));
            case.make(&desk);
            let result = desk.cert("convert in --out-dir d --passphrase-file pass");
            let found: Vec<&str> =
                result["found"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
            let wanted: Vec<String> = case.problems.iter().map(ToString::to_string).collect();
            assert_eq!(found, wanted, "{kind}, {}", case.name);
            if case.problems.is_empty() {
                assert_eq!(result["changed"], false, "{}", case.name);
                assert!(!desk.path("d").exists(), "{}", case.name);
                continue;
            }
            assert_eq!(
                result["converted"]["encrypted"], case.encrypted,
                "{kind}, {}: never silently plain",
                case.name
            );
            let key = desk.read("d/cert.key");
            let form = key::form(&key).unwrap();
            assert_eq!((form.problems(), form.encrypted), (vec![], case.encrypted), "{kind}, {}", case.name);
            assert_eq!(desk.public_of("d/cert.key"), public, "{kind}, {}", case.name);
            assert_eq!(desk.mode("d/cert.key"), 0o400);
            assert_eq!(desk.path("d/cert.pem").exists(), case.syntax == Syntax::Pkcs12, "{}", case.name);
            if case.encrypted {
                let text = desk.refused(2, "convert in --out-dir e");
                assert!(
                    text.contains("no passphrase was given") && text.contains("--passphrase-file"),
                    "{text}"
                );
                desk.write("wrong", "wrong\n");
                let text = desk.refused(2, "convert in --out-dir e --passphrase-file wrong");
                assert!(text.contains("the passphrase does not open it"), "{text}");
                desk.cert("convert in --out-dir e --passphrase-file pass --plain");
                assert!(!key::form(&desk.read("e/cert.key")).unwrap().encrypted, "{}", case.name);
                std::fs::remove_dir_all(desk.path("e")).unwrap();
            }
        }
    }
}

#[test]
fn a_chain_is_put_in_order_whatever_it_comes_in() {
    let desk = Desk::new();
    desk.authorities();
    desk.cert("csr --out-dir s --name soar.example.test --key-type ec:p256");
    desk.tool(
        "openssl x509 -req -in s/cert.csr -CA sub.pem -CAkey sub.key -copy_extensions copy -out leaf.pem",
    );
    let good = [desk.read("leaf.pem"), desk.read("sub.pem")].concat();
    let key = String::from_utf8(desk.read("s/cert.key")).unwrap();
    std::fs::write(desk.path("good.pem"), &good).unwrap();
    desk.tool("openssl x509 -in leaf.pem -outform DER -out leaf.der");
    desk.tool("openssl crl2pkcs7 -nocrl -certfile good.pem -out chain.p7b");
    desk.tool("openssl crl2pkcs7 -nocrl -certfile good.pem -outform DER -out chain.p7c");
    desk.tool("openssl x509 -in leaf.pem -addtrust serverAuth -trustout -out trusted.pem");
    desk.tool(
        "openssl pkcs12 -export -inkey s/cert.key -in leaf.pem -certfile sub.pem -passout pass: -out all.p12",
    );
    desk.tool("openssl req -x509 -newkey rsa:2048 -nodes -keyout x.key -subj /CN=Stranger -out x.pem");
    let whole = |parts: &[&str]| parts.iter().map(|part| desk.read(part)).collect::<Vec<_>>().concat();
    for (name, parts) in [
        ("turned.pem", &["ca.pem", "one.pem", "leaf.pem"][..]),
        ("twice.pem", &["leaf.pem", "one.pem", "one.pem", "ca.pem"]),
        ("stranger.pem", &["leaf.pem", "x.pem", "one.pem", "ca.pem"]),
        ("with-key.pem", &["s/cert.key", "leaf.pem", "one.pem", "ca.pem"]),
    ] {
        std::fs::write(desk.path(name), whole(parts)).unwrap();
    }
    let text = format!("Bag Attributes\n    friendlyName: x\n{}", String::from_utf8_lossy(&good));
    std::fs::write(desk.path("bags.pem"), text).unwrap();
    for (line, wanted) in [
        ("turned.pem", "the certificates were not in the order leaf, intermediates, root"),
        (
            "turned.pem --key-file s/cert.key",
            "the certificates were not in the order leaf, intermediates, root",
        ),
        ("twice.pem", "a certificate was there twice: Sub"),
        (
            "stranger.pem --key-file s/cert.key",
            "a certificate that is not above the leaf is left out: Stranger",
        ),
        ("with-key.pem", "key and certificates are in one file; the product reads two"),
        ("bags.pem", "there is text beside the blocks; only they belong into the file"),
        ("leaf.der sub.pem", "the certificate is binary (DER); the product reads PEM"),
        ("sub.pem leaf.der", "the certificate is binary (DER); the product reads PEM"),
        ("chain.p7b", "the certificates are PKCS#7; the product reads PEM"),
        ("chain.p7c", "the certificates are PKCS#7; the product reads PEM"),
        (
            "trusted.pem sub.pem",
            "a certificate is in a form of OpenSSL's own; the product reads BEGIN CERTIFICATE",
        ),
        ("all.p12", "key and certificates are in one PKCS#12 file; the product reads two PEM files"),
    ] {
        let _ = std::fs::remove_dir_all(desk.path("d"));
        let result = desk.cert(&format!("convert {line} --out-dir d"));
        let found = result["found"].as_array().unwrap();
        assert!(found.contains(&json!(wanted)), "{line}: {found:?}");
        assert_eq!(desk.read("d/cert.pem"), good, "{line}");
        let has_key = line.contains("key") || line == "all.p12";
        assert_eq!(desk.path("d/cert.key").exists(), has_key, "{line}");
        if has_key {
            assert_eq!(String::from_utf8(desk.read("d/cert.key")).unwrap(), key, "{line}");
        }
    }
    let fine = desk.cert("convert good.pem --key-file s/cert.key --out-dir fine");
    assert_eq!((&fine["changed"], &fine["found"]), (&json!(false), &json!([])));
    assert!(
        desk.refused(2, "convert stranger.pem --out-dir n").contains("which of the certificates is the leaf")
    );
    assert!(desk.refused(2, "convert leaf.pem --key-file x.key --out-dir n").contains("does not belong"));
    assert!(desk.refused(2, "convert s/cert.key x.key --out-dir n").contains("several of the files"));
    assert!(desk.refused(1, "convert not-there.pem --out-dir n").contains("cannot open not-there.pem"));
    desk.write("junk", "hello\n");
    assert!(desk.refused(2, "convert junk --out-dir n").contains("neither a private key nor a certificate"));
    assert!(desk.refused(2, "convert turned.pem").contains("--out-dir"));
    assert!(desk.refused(2, "convert turned.pem --out-key n.key").contains("no private key"));
    desk.write("there", "");
    assert!(
        desk.refused(2, "convert all.p12 --out-key new.key --out-chain there")
            .contains("nothing is ever overwritten")
    );
}

/// A key of a kind that the product cannot read, converted, is served by the reference product; the
/// passphrase gets there by the one-time configuration.
#[test]
fn what_was_converted_is_served() {
    let host = Host::new();
    let desk = Desk::new();
    desk.write("pass", &format!("{PASS}\n"));
    desk.tool(
        "openssl req -x509 -newkey rsa:2048 -keyout k.pem -out c.pem -days 2 -subj /CN=localhost \
               -addext subjectAltName=DNS:localhost -passout pass:Marker.pass-1",
    );
    std::fs::copy(desk.path("c.pem"), host.path("usr/local/demisto/cert.pem")).unwrap();
    std::fs::copy(desk.path("k.pem"), host.path("usr/local/demisto/cert.key")).unwrap();
    assert!(host.refusal().contains("encrypted PKCS#8 key"));
    desk.cert("convert k.pem --out-dir d --passphrase-file pass");
    std::fs::copy(desk.path("d/cert.key"), host.path("usr/local/demisto/cert.key")).unwrap();
    host.otc(&json!({"keypass": PASS}));
    let server = host.serve();
    assert_eq!(host.curl("/health", &["--cacert", "usr/local/demisto/cert.pem"]).1, "200");
    server.stop();
}

// --- cert client -------------------------------------------------------------------------------------------

#[test]
fn a_client_gets_a_certificate_and_a_file_for_the_browser() {
    let desk = Desk::new();
    desk.authorities();
    desk.write("pass", &format!("{PASS}\n"));
    let line = "client --out-dir d --ca-cert sub.pem --ca-key sub.key --p12 --p12-passphrase-file pass";
    for (name, shown) in [("alice@example.test", "email:alice@example.test"), ("alice", "DNS:alice")] {
        let made = desk.cert(&format!("{line} --name {name} --days 30 --key-type ec:p256"));
        assert_eq!(made["made"]["p12"], format!("d/{name}.p12"));
        for (file, mode) in [("key", 0o400), ("p12", 0o400), ("pem", 0o644)] {
            assert_eq!(desk.mode(&format!("d/{name}.{file}")), mode, "{file}");
        }
        desk.tool(&format!(
            "openssl verify -x509_strict -CAfile ca.pem -untrusted sub.pem -purpose sslclient d/{name}.pem"
        ));
        let text = desk.tool(&format!("openssl x509 -in d/{name}.pem -noout -text -certopt no_pubkey"));
        for part in [
            shown,
            "TLS Web Client Authentication",
            "CA:FALSE",
            "Authority Key Identifier",
            "Subject Key Identifier",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let ends = desk.tool(&format!("openssl x509 -in d/{name}.pem -noout -checkend {}", 29 * 86_400));
        assert!(ends.contains("will not expire"), "{ends}");
        assert_eq!(desk.read(&format!("d/{name}.pem")).windows(10).filter(|w| w == b"-----BEGIN").count(), 3);
        // the real importer of Chromium and Firefox
        std::fs::create_dir(desk.path(&format!("nss-{name}"))).unwrap();
        desk.tool(&format!("certutil -N --empty-password -d sql:nss-{name}"));
        desk.tool(&format!("pk12util -i d/{name}.p12 -d sql:nss-{name} -w pass"));
        assert!(desk.tool(&format!("certutil -K -d sql:nss-{name}")).contains(name));
        let info =
            said(&desk.run(&format!("openssl pkcs12 -info -noout -passin file:pass -in d/{name}.p12")));
        assert!(info.contains("PBES2, PBKDF2, AES-256-CBC") && info.contains("MAC: sha256"), "{info}");
        assert!(!info.contains("RC2") && !info.contains("TripleDES"), "{info}");
    }
    let serials: Vec<String> = ["alice", "alice@example.test"]
        .iter()
        .map(|name| desk.tool(&format!("openssl x509 -in d/{name}.pem -noout -serial")))
        .collect();
    assert_ne!(serials[0], serials[1]);
    assert!(desk.refused(2, &format!("{line} --name alice")).contains("nothing is ever overwritten"));
}

#[test]
fn an_engine_gets_a_pair_under_its_own_names() {
    let desk = Desk::new();
    desk.authorities();
    desk.write("pass", &format!("{PASS}\n"));
    desk.tool("openssl rsa -aes256 -in ca.key -out locked.key -passout pass:Marker.pass-1");
    let line =
        "client --out-dir d --name engine.test.local1 --for engine --ca-cert ca.pem --ca-key locked.key";
    assert!(desk.refused(2, line).contains("no passphrase was given"));
    let made = desk.cert(&format!("{line} --ca-passphrase-file pass --days 3000"));
    assert_eq!(
        (&made["made"]["key"], &made["made"]["certificate"]),
        (&json!("d/client.key"), &json!("d/client.pem"))
    );
    assert_eq!(made["made"]["cut_short"], true, "the CA ends before");
    let end = |file: &str| desk.tool(&format!("openssl x509 -in {file} -noout -enddate"));
    assert_eq!(end("d/client.pem"), end("ca.pem"));
    desk.tool("openssl verify -x509_strict -CAfile ca.pem -purpose sslclient d/client.pem");
    let only = desk.cert("client --out-dir r --name engine.test.local1 --for engine");
    assert_eq!(
        (&only["made"]["request"], &only["made"]["certificate"]),
        (&json!("r/client.csr"), &json!(null))
    );
    assert!(request_text(&desk, "r/client.csr").contains("TLS Web Client Authentication"));
}

#[test]
fn what_is_no_ca_signs_nothing() {
    let desk = Desk::new();
    desk.authorities();
    let make = "openssl req -x509 -newkey rsa:2048 -nodes -keyout bad.key -out bad.pem -subj /CN=Bad";
    for (more, why) in [
        ("-addext basicConstraints=critical,CA:FALSE", "it is no CA"),
        ("-addext keyUsage=critical,digitalSignature", "keyCertSign"),
        ("-addext keyUsage=critical,keyCertSign -addext extendedKeyUsage=OCSPSigning", "OCSPSigning"),
    ] {
        desk.tool(&format!("{make} {more}"));
        let text = desk.refused(2, "client --out-dir d --name a --ca-cert bad.pem --ca-key bad.key");
        assert!(text.contains(why), "{more}: {text}");
    }
    desk.old_authority();
    let text = desk.refused(2, "client --out-dir d --name a --ca-cert old.pem --ca-key ca.key");
    assert!(text.contains("expired"), "{text}");
    let text = desk.refused(2, "client --out-dir d --name a --ca-cert ca.pem --ca-key sub.key");
    assert!(text.contains("does not belong"), "{text}");
    assert!(
        desk.refused(2, "client --out-dir d --name *.a --ca-cert ca.pem --ca-key ca.key")
            .contains("wildcard")
    );
    assert!(desk.refused(2, "client --out-dir d --name a/../b").contains("no host name"));
    assert!(desk.refused(2, "client --out-dir d --name a --p12").contains("--ca-cert"));
}

/// Has every derivation of a key in a file ask for 2^31 - 1 rounds instead of 2048, in as many bytes: the salt
/// loses two.
fn hardened(der: &[u8], from: &[u8]) -> Vec<u8> {
    let mut hard = der.to_vec();
    let mut count = 0;
    for length in [8_usize, 16] {
        for at in 0..der.len().saturating_sub(length + 2 + from.len()) {
            let salt = at + 2..at + 2 + length;
            if hard[at] == 4 && usize::from(hard[at + 1]) == length && hard[salt.end..].starts_with(from) {
                hard[at + 1] -= 2;
                let end = salt.end + from.len();
                hard[salt.end - 2..end].copy_from_slice(&[2, 4, 0x7f, 0xff, 0xff, 0xff]);
                count += 1;
            }
        }
    }
    assert!(count > 0, "{from:x?} is nowhere in {der:x?}");
    hard
}

/// The time that a person waits.
fn at_once<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = std::time::Instant::now();
    let done = work();
    assert!(start.elapsed() < std::time::Duration::from_secs(2), "{what}: {:?}", start.elapsed());
    done
}

#[test]
fn files_that_ask_for_hours_of_work_are_refused_at_once() {
    let desk = Desk::new();
    desk.write("pass", PASS);
    desk.tool("openssl req -x509 -newkey rsa:2048 -nodes -days 9 -keyout k.pem -out c.pem -subj /CN=x");
    let pass = "-outform DER -passout file:pass";
    desk.tool(&format!("openssl pkcs8 -topk8 -in k.pem {pass} -v2 aes-256-cbc -out pbkdf2"));
    desk.tool(&format!("openssl pkcs8 -topk8 -in k.pem {pass} -v1 PBE-SHA1-3DES -out pbes1"));
    desk.tool(&format!("openssl pkcs8 -topk8 -in k.pem {pass} -scrypt -out scrypt"));
    desk.tool("openssl pkcs12 -export -in c.pem -inkey k.pem -passout file:pass -out p12");
    desk.tool("openssl pkcs12 -export -in c.pem -inkey k.pem -passout pass: -out open-p12");
    let rounds: &[u8] = &[2, 2, 8, 0];
    for (name, from) in [
        ("pbkdf2", rounds),
        ("pbes1", rounds),
        ("scrypt", &[2, 2, 0x40, 0]),
        ("p12", rounds),
        ("open-p12", rounds),
    ] {
        desk.cert(&format!("convert {name} --out-dir fine-{name} --passphrase-file pass"));
        let hard = hardened(&desk.read(name), from);
        std::fs::write(desk.path("hard.der"), &hard).unwrap();
        let text = openssl::base64::encode_block(&hard);
        desk.write(
            "hard.pem",
            &format!("-----BEGIN ENCRYPTED PRIVATE KEY-----\n{text}\n-----END ENCRYPTED PRIVATE KEY-----\n"),
        );
        let files = if name.ends_with("p12") { &["hard.der"][..] } else { &["hard.der", "hard.pem"] };
        for file in files {
            for more in ["--passphrase-file pass", ""] {
                let line = format!("convert {file} --out-dir d {more}");
                let text = at_once(name, || desk.refused(2, &line));
                assert!(text.contains("opening it would take too much work"), "{name} {file}: {text}");
            }
            let line = format!("check c.pem {file} --passphrase-file pass");
            let text = at_once(name, || desk.refused(4, &line));
            assert!(text.contains("too much work"), "{name} {file}: {text}");
        }
    }
}
