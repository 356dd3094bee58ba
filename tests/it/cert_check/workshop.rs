//! Certificates made by the real `openssl`, as right or as wrong as they are asked for.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, OnceLock};

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::x509::X509;
use tempfile::TempDir;

/// The passphrase of every encrypted key.
pub(crate) const PASSPHRASE: &str = "open sesame";

const OPENSSL: &str = "/usr/bin/openssl";

/// How each key is made: its name, and the arguments.
const KEYS: [(&str, &str); 17] = [
    ("ec-root", "ecparam -name prime256v1 -noout -genkey"),
    ("ec-inter", "ecparam -name secp384r1 -noout -genkey"),
    ("ec-leaf", "ecparam -name prime256v1 -noout -genkey"),
    ("ec-other", "ecparam -name prime256v1 -noout -genkey"),
    ("p384", "ecparam -name secp384r1 -noout -genkey"),
    ("p521", "ecparam -name secp521r1 -noout -genkey"),
    ("p224", "ecparam -name secp224r1 -noout -genkey"),
    ("k256", "ecparam -name secp256k1 -noout -genkey"),
    ("brainpool", "ecparam -name brainpoolP256r1 -noout -genkey"),
    ("explicit", "ecparam -name prime256v1 -param_enc explicit -noout -genkey"),
    ("with-parameters", "ecparam -name prime256v1 -genkey"),
    ("rsa-root", "genrsa -traditional 2048"),
    ("rsa-inter", "genrsa -traditional 2048"),
    ("rsa-leaf", "genrsa -traditional 2048"),
    ("rsa-1024", "genrsa -traditional 1024"),
    ("ed25519", "genpkey -algorithm ed25519"),
    ("rsa-pss", "genpkey -algorithm rsa-pss -pkeyopt rsa_keygen_bits:2048"),
];

/// What a certificate is to be like.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Spec {
    pub(crate) subject: String,
    /// The name of its key in the workshop.
    pub(crate) key: &'static str,
    extensions: Vec<(String, String)>,
    pub(crate) days: u32,
    pub(crate) digest: &'static str,
    pub(crate) serial: String,
    /// Made anew by the openssl crate where the command line refuses: version 1, or valid from a later day on.
    pub(crate) version_1: bool,
    /// Days from now on which it becomes valid.
    pub(crate) from: u32,
}

impl Spec {
    pub(crate) fn new(subject: &str, key: &'static str, extensions: &[(&str, &str)]) -> Self {
        let extensions = extensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self {
            subject: subject.to_owned(),
            key,
            extensions: extensions.collect(),
            days: 3650,
            digest: "sha256",
            serial: "4660".to_owned(),
            version_1: false,
            from: 0,
        }
    }

    /// Sets an extension in place of the one that is there.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.unset(name);
        self.extensions.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn unset(&mut self, name: &str) {
        self.extensions.retain(|(other, _)| other != name);
    }

    fn text(&self) -> String {
        self.extensions.iter().map(|(name, value)| format!("{name} = {value}\n")).collect()
    }
}

/// Keys, made once for all tests, and every certificate that was made with them.
pub(crate) struct Workshop {
    dir: TempDir,
    made: Mutex<HashMap<Vec<Spec>, Arc<OnceLock<String>>>>,
}

impl Workshop {
    pub(crate) fn get() -> &'static Self {
        static WORKSHOP: OnceLock<Workshop> = OnceLock::new();
        WORKSHOP.get_or_init(|| {
            let workshop = Self { dir: tempfile::tempdir().unwrap(), made: Mutex::default() };
            std::thread::scope(|scope| {
                for (name, how) in KEYS {
                    let workshop = &workshop;
                    scope.spawn(move || {
                        let args: Vec<&str> = how.split(' ').collect();
                        workshop.file(&format!("{name}.key"), &openssl(&args).stdout);
                        let key = workshop.path(&format!("{name}.key"));
                        let public = openssl(&["pkey", "-pubout", "-in", key.to_str().unwrap()]).stdout;
                        workshop.file(&format!("{name}.pub"), &public);
                    });
                }
            });
            workshop
        })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    /// A key as it was made.
    pub(crate) fn key(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(&format!("{name}.key"))).unwrap()
    }

    /// A key as another command of openssl writes it; `KEY` stands for its file.
    pub(crate) fn key_as(&self, name: &str, args: &str) -> Vec<u8> {
        let path = self.path(&format!("{name}.key"));
        let pass = format!("pass:{PASSPHRASE}");
        let args: Vec<String> = args
            .split(' ')
            .map(|arg| arg.replace("KEY", path.to_str().unwrap()).replace("PASS", &pass))
            .collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        openssl(&args).stdout
    }

    /// Makes the certificates of a chain, leaf first; the last one signs itself.
    pub(crate) fn chain(&self, specs: &[Spec]) -> Vec<String> {
        (0..specs.len()).map(|at| self.certificate(&specs[at..])).collect()
    }

    /// The first certificate of a chain.
    pub(crate) fn certificate(&self, chain: &[Spec]) -> String {
        let cell = Arc::clone(self.made.lock().unwrap().entry(chain.to_vec()).or_default());
        cell.get_or_init(|| self.make(chain)).clone()
    }

    fn make(&self, chain: &[Spec]) -> String {
        let (spec, above) = chain.split_first().unwrap();
        let work = tempfile::tempdir_in(self.dir.path()).unwrap();
        let file = |name: &str, text: &str| {
            let path = work.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let extensions = file("ext", &spec.text());
        let (key, public) =
            (self.path(&format!("{}.key", spec.key)), self.path(&format!("{}.pub", spec.key)));
        let (days, digest) = (spec.days.to_string(), format!("-{}", spec.digest));
        let mut args = vec!["x509", "-new", "-subj", &spec.subject, "-extfile", &extensions, "-days", &days];
        args.extend([digest.as_str(), "-set_serial", &spec.serial]);
        let (ca, ca_key);
        if let Some(issuer) = above.first() {
            ca = file("ca", &self.certificate(above));
            ca_key = self.path(&format!("{}.key", issuer.key));
            args.extend(["-force_pubkey", public.to_str().unwrap(), "-CA", &ca]);
            args.extend(["-CAkey", ca_key.to_str().unwrap()]);
        } else {
            args.extend(["-key", key.to_str().unwrap()]);
        }
        let made = String::from_utf8(openssl(&args).stdout).unwrap();
        assert!(made.contains("BEGIN CERTIFICATE"), "{spec:?}");
        if spec.version_1 || spec.from > 0 { self.again(chain, &made) } else { made }
    }

    /// The same certificate, but for what the command line cannot do.
    fn again(&self, chain: &[Spec], made: &str) -> String {
        let made = X509::from_pem(made.as_bytes()).unwrap();
        let spec = &chain[0];
        let signer = chain.get(1).unwrap_or(spec);
        let mut builder = X509::builder().unwrap();
        builder.set_version(if spec.version_1 { 0 } else { 2 }).unwrap();
        builder.set_serial_number(made.serial_number()).unwrap();
        builder.set_subject_name(made.subject_name()).unwrap();
        builder.set_issuer_name(made.issuer_name()).unwrap();
        builder.set_pubkey(&made.public_key().unwrap()).unwrap();
        builder.set_not_before(&Asn1Time::days_from_now(spec.from).unwrap()).unwrap();
        builder.set_not_after(made.not_after()).unwrap();
        if !spec.version_1 {
            let der = made.to_der().unwrap();
            for extension in extensions(&der) {
                builder.append_extension(extension).unwrap();
            }
        }
        let key = PKey::private_key_from_pem(&self.key(signer.key)).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        String::from_utf8(builder.build().to_pem().unwrap()).unwrap()
    }
}

/// The extensions of a certificate, as the openssl crate takes them.
fn extensions(der: &[u8]) -> Vec<openssl::x509::X509Extension> {
    use openssl::asn1::{Asn1Object, Asn1OctetString};
    use x509_parser::prelude::FromDer as _;

    let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(der).unwrap();
    let mut all = Vec::new();
    for extension in parsed.extensions() {
        let oid = Asn1Object::from_str(&extension.oid.to_id_string()).unwrap();
        let value = Asn1OctetString::new_from_bytes(extension.value).unwrap();
        all.push(openssl::x509::X509Extension::new_from_der(&oid, extension.critical, &value).unwrap());
    }
    all
}

/// Runs openssl, which has to succeed.
pub(crate) fn openssl(args: &[&str]) -> Output {
    let output = Command::new(OPENSSL).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {}: {said}", args.join(" "));
    output
}

/// What `openssl verify` says of a chain: nothing when it accepts it. What is self-signed, and what the host
/// trusts, are its anchors.
pub(crate) fn verify(
    (leaf, others): (&str, &[String]),
    anchors: &[String],
    purpose: &str,
    at: i64,
    dir: &Path,
) -> Option<String> {
    let (roots, between): (Vec<&String>, Vec<&String>) = others.iter().partition(|pem| is_self_signed(pem));
    let own_root = Some(leaf).filter(|pem| is_self_signed(pem)).map(str::to_owned);
    let file = |name: &str, text: String| {
        std::fs::write(dir.join(name), text).unwrap();
        dir.join(name).to_str().unwrap().to_owned()
    };
    let roots: Vec<&str> = roots
        .into_iter()
        .map(String::as_str)
        .chain(anchors.iter().map(String::as_str))
        .chain(own_root.as_deref())
        .collect();
    let (ca, untrusted) =
        (file("ca", roots.concat()), file("untrusted", between.into_iter().cloned().collect()));
    let (leaf, at) = (file("leaf", leaf.to_owned()), at.to_string());
    let mut command = Command::new(OPENSSL);
    command.args(["verify", "-x509_strict", "-no-CApath", "-no-CAstore", "-attime", &at]);
    command.args(["-purpose", purpose]);
    if roots.is_empty() {
        command.arg("-no-CAfile");
    } else {
        command.args(["-CAfile", &ca]);
    }
    if std::fs::metadata(&untrusted).unwrap().len() > 0 {
        command.args(["-untrusted", &untrusted]);
    }
    let output = command.arg(&leaf).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { None } else { Some(said) }
}

fn is_self_signed(pem: &str) -> bool {
    let read = X509::from_pem(pem.as_bytes()).unwrap();
    let same = read.subject_name().try_cmp(read.issuer_name()).is_ok_and(|order| order.is_eq());
    same && read.public_key().is_ok_and(|key| read.verify(&key).unwrap_or(false))
}
