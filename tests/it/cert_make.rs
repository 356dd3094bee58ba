//! `cert csr`, `cert convert` and `cert client`, with the real `openssl` and `ssh-keygen` beside them.

use std::path::{Path, PathBuf};
use std::process::Command;

use demisto_install::certs::key::{self, Form, Problem, Syntax};
use demisto_install::types::Secret;
use tempfile::TempDir;

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

    /// Runs a tool here with words that hold no spaces; gives what it printed.
    fn tool(&self, line: &str) -> String {
        let mut words = line.split_whitespace();
        let program = Path::new("/usr/bin").join(words.next().unwrap());
        let output = Command::new(program).current_dir(self.dir.path()).args(words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
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
