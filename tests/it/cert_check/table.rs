//! The table: sets of certificates, each with the rules that it breaks.

use demisto_install::certs::check::{Revocation, Role};

use super::workshop::{PASSPHRASE, Spec, Workshop};

/// A file that is given.
pub(crate) type Given = (String, Vec<u8>);

/// How the files are made of the chain's certificates and the leaf's key.
type Arrange = Box<dyn Fn(&[String], Option<&[u8]>) -> Vec<Given> + Send + Sync>;

/// One row.
pub(crate) struct Set {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// The chain, leaf first.
    pub(crate) specs: Vec<Spec>,
    /// Other certificates, made as chains of their own.
    pub(crate) extra: Vec<Vec<Spec>>,
    pub(crate) arrange: Arrange,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) passphrase: Option<&'static str>,
    pub(crate) names: Vec<String>,
    /// What the host is known by.
    pub(crate) known: Vec<String>,
    pub(crate) revocation: Revocation,
    /// The day of the judgement, from today on.
    pub(crate) day: i64,
    /// Chains whose last certificates the host trusts; none: not known.
    pub(crate) anchors: Option<Vec<Vec<Spec>>>,
    /// The rules that are broken, sorted.
    pub(crate) broken: Vec<&'static str>,
    /// Why `openssl verify` says something else.
    pub(crate) differs: Option<&'static str>,
}

impl Set {
    fn leaf(&mut self) -> &mut Spec {
        &mut self.specs[0]
    }

    fn root(&mut self) -> &mut Spec {
        self.specs.last_mut().unwrap()
    }

    fn inter(&mut self) -> &mut Spec {
        &mut self.specs[1]
    }
}

const AIA: &str = "OCSP;URI:http://ca.example.test:8888,caIssuers;URI:http://ca.example.test/ca.pem";
const SAN: &str = "DNS:soar.example.test,IP:192.0.2.1";

const NAMES: &str = "openssl verify compares no names unless it is told some, and asks for none";
const KEYS: &str = "openssl verify looks at no private key";
const FILES: &str = "openssl verify is given single certificates, so how files are made up is unknown to it";
const PURPOSE: &str = "openssl takes a certificate without extendedKeyUsage for one that may do everything; the guide wants the purpose listed";
const STRENGTH: &str = "openssl verify applies no security level unless it is told one";
const CURVES: &str = "openssl knows kinds of keys, curves and digests that the product does not";
const PLAIN: &str =
    "openssl verify misses no extensions in a leaf without any, and takes it for one that may do everything";
const FIRST: &str = "openssl verify takes the first certificate for a leaf, and for any purpose";
const STRICT: &str =
    "-x509_strict refuses what RFC 5280 asks of CAs only, and what the product and browsers accept";
const REVOKED: &str = "openssl verify asks no OCSP responder";
const EXTENSION: &str = "openssl knows the extension; the product's library does not";
const SERIALS: &str = "openssl reads any serial number; RFC 5280 wants positive ones";
const GUIDE_OCSP: &str = "openssl lets a CA be a responder; the guide forbids it";
const USAGE: &str =
    "openssl's purpose takes keyAgreement or keyEncipherment for enough; TLS 1.3 always signs";
const RESPONDER: &str = "openssl judges responders when it reads their answers, not here";
const ANY_CA: &str =
    "openssl's own purposes do not count anyExtendedKeyUsage; RFC 5280 (4.2.1.12) and the product do";

fn root(key: &'static str) -> Spec {
    Spec::new(
        "/O=Example/CN=Example Root",
        key,
        &[
            ("basicConstraints", "critical,CA:TRUE"),
            ("keyUsage", "critical,keyCertSign,cRLSign"),
            ("subjectKeyIdentifier", "hash"),
        ],
    )
}

fn inter(key: &'static str) -> Spec {
    Spec::new(
        "/O=Example/CN=Example Issuing CA",
        key,
        &[
            ("basicConstraints", "critical,CA:TRUE,pathlen:0"),
            ("keyUsage", "critical,keyCertSign,cRLSign"),
            ("subjectKeyIdentifier", "hash"),
            ("authorityKeyIdentifier", "keyid"),
            ("authorityInfoAccess", AIA),
        ],
    )
}

fn leaf(key: &'static str, role: Role) -> Spec {
    let purpose = match role {
        Role::Client => "clientAuth",
        Role::Ocsp => "OCSPSigning",
        _ => "serverAuth",
    };
    Spec::new(
        "/O=Example/CN=The SOAR server",
        key,
        &[
            ("basicConstraints", "critical,CA:FALSE"),
            ("keyUsage", "critical,digitalSignature"),
            ("extendedKeyUsage", purpose),
            ("subjectAltName", SAN),
            ("subjectKeyIdentifier", "hash"),
            ("authorityKeyIdentifier", "keyid"),
            ("authorityInfoAccess", AIA),
        ],
    )
}

/// The whole chain in one file and the key in another.
fn usual(chain: &[String], key: Option<&[u8]>) -> Vec<Given> {
    let mut files = vec![("cert.pem".to_owned(), chain.concat().into_bytes())];
    files.extend(key.map(|key| ("cert.key".to_owned(), key.to_vec())));
    files
}

/// A set in which nothing is wrong.
fn good(name: &str, role: Role, specs: Vec<Spec>) -> Set {
    let key = if role == Role::Ca { None } else { Some(Workshop::get().key(specs[0].key)) };
    let names = match role {
        Role::Server => vec!["SOAR.example.test".to_owned(), "192.0.2.1".to_owned()],
        Role::Client => vec!["other.example.test".to_owned(), "soar.example.test".to_owned()],
        _ => Vec::new(),
    };
    Set {
        name: name.to_owned(),
        role,
        specs,
        extra: Vec::new(),
        arrange: Box::new(usual),
        key,
        passphrase: None,
        names,
        known: Vec::new(),
        revocation: Revocation::Off,
        day: 0,
        anchors: None,
        broken: Vec::new(),
        differs: None,
    }
}

/// The chain of a good set, and the key of its leaf.
pub(crate) fn good_pair(which: usize) -> (Vec<String>, Vec<u8>) {
    let set = base(which);
    (Workshop::get().chain(&set.specs), set.key.unwrap())
}

/// Good sets that others are made of: EC with an intermediate for a server, RSA without one for a client.
fn base(which: usize) -> Set {
    match which {
        0 => good(
            "EC, 3 levels, server",
            Role::Server,
            vec![leaf("ec-leaf", Role::Server), inter("ec-inter"), root("ec-root")],
        ),
        1 => good(
            "RSA, 2 levels, client",
            Role::Client,
            vec![leaf("rsa-leaf", Role::Client), root("rsa-root")],
        ),
        _ => good(
            "RSA, 3 levels, client",
            Role::Client,
            vec![leaf("rsa-leaf", Role::Client), inter("rsa-inter"), root("rsa-root")],
        ),
    }
}

/// Every row of the table.
pub(crate) fn sets() -> Vec<Set> {
    let mut sets = goods();
    let mut add = Table(&mut sets);
    leaves(&mut add);
    every(&mut add);
    authorities(&mut add);
    chains(&mut add);
    revocation(&mut add);
    keys(&mut add);
    files(&mut add);
    roles(&mut add);
    sets
}

struct Table<'a>(&'a mut Vec<Set>);

impl Table<'_> {
    /// The same change in each of the named base sets.
    fn row(
        &mut self,
        name: &str,
        bases: &[usize],
        (broken, differs): (&[&'static str], Option<&'static str>),
        change: impl Fn(&mut Set),
    ) {
        for which in bases {
            let mut set = base(*which);
            set.name = format!("{name}: {}", set.name);
            set.broken = broken.to_vec();
            set.broken.sort_unstable();
            set.differs = differs;
            change(&mut set);
            self.0.push(set);
        }
    }
}

const BOTH: &[usize] = &[0, 1];
const DEEP: &[usize] = &[0, 2];

fn goods() -> Vec<Set> {
    let mut sets = Vec::new();
    for (kind, key, between, top) in [
        ("P-256", "ec-leaf", "ec-inter", "ec-root"),
        ("P-384", "p384", "ec-inter", "ec-root"),
        ("P-521", "p521", "p384", "ec-root"),
        ("RSA", "rsa-leaf", "rsa-inter", "rsa-root"),
        ("RSA below EC", "rsa-leaf", "ec-inter", "rsa-root"),
    ] {
        for role in [Role::Server, Role::Client] {
            let three = vec![leaf(key, role), inter(between), root(top)];
            sets.push(good(&format!("{kind}, 3 levels, {role:?}"), role, three));
            sets.push(good(&format!("{kind}, 2 levels, {role:?}"), role, vec![leaf(key, role), root(top)]));
            let mut alone = leaf(key, role);
            alone.unset("authorityKeyIdentifier");
            let mut alone = good(&format!("{kind}, self-signed, {role:?}"), role, vec![alone]);
            alone.broken = vec!["self-signed"];
            sets.push(alone);
        }
        let mut authorities = inter(between);
        authorities.set("basicConstraints", "critical,CA:TRUE");
        sets.push(good(&format!("{kind}, authorities"), Role::Ca, vec![authorities, root(top)]));
    }
    sets
}

fn leaves(table: &mut Table<'_>) {
    let named = |broken: &'static [&'static str]| (broken, Some(NAMES));
    table.row("no SAN", BOTH, named(&["san-missing"]), |set| set.leaf().unset("subjectAltName"));
    table.row("the host in the CN only", BOTH, named(&["common-name-only"]), |set| {
        set.leaf().unset("subjectAltName");
        set.leaf().subject = "/O=Example/CN=soar.example.test".to_owned();
    });
    table.row("mail in the SAN only", BOTH, named(&["san-missing"]), |set| {
        set.leaf().set("subjectAltName", "email:admin@example.test");
    });
    table.row("mail in the SAN, the host in the CN", BOTH, named(&["san-missing"]), |set| {
        set.leaf().set("subjectAltName", "email:admin@example.test");
        set.leaf().subject = "/O=Example/CN=soar.example.test".to_owned();
    });
    for (what, known, broken) in [
        ("no name of the host", &["host.example.test", "192.0.2.9"][..], &["name-elsewhere"][..]),
        ("one name of the host", &["host.example.test", "192.0.2.1"], &[]),
        ("the host's names are unknown", &[], &[]),
    ] {
        table.row(what, &[0], (broken, None), |set| {
            set.names.clear();
            set.known = known.iter().map(|name| (*name).to_owned()).collect();
        });
    }
    table.row("wildcard beside a name", BOTH, named(&["san-wildcard"]), |set| {
        set.leaf().set("subjectAltName", &format!("{SAN},DNS:*.example.test"));
    });
    table.row("wildcard only", BOTH, named(&["san-wildcard"]), |set| {
        set.leaf().set("subjectAltName", "DNS:*.example.test,IP:192.0.2.1");
    });
    table.row("another name", &[0], named(&["name-mismatch"]), |set| {
        set.leaf().set("subjectAltName", "DNS:web.example.test,IP:192.0.2.1");
    });
    table.row("another address", &[0], named(&["name-mismatch"]), |set| {
        set.leaf().set("subjectAltName", "DNS:soar.example.test,IP:192.0.2.2");
    });
    table.row("not on the list", &[1], named(&["name-untrusted"]), |set| {
        set.leaf().set("subjectAltName", "DNS:web.example.test");
    });
    table.row("an address as a host name", BOTH, (&["san-invalid"], None), |set| {
        set.leaf().set("subjectAltName", &format!("{SAN},DNS:192.0.2.7"));
    });
    table.row("no host name", BOTH, (&["san-invalid"], None), |set| {
        set.leaf().set("subjectAltName", &format!("{SAN},DNS:https://soar.example.test"));
    });
    table.row("no EKU", BOTH, (&["eku-absent"], Some(PURPOSE)), |set| set.leaf().unset("extendedKeyUsage"));
    table.row("any EKU", BOTH, (&["eku-any"], None), |set| {
        set.leaf().set("extendedKeyUsage", "anyExtendedKeyUsage");
    });
    table.row("EKU of the other side", &[0], (&["eku-server"], None), |set| {
        set.leaf().set("extendedKeyUsage", "clientAuth");
    });
    table.row("EKU of the other side", &[1], (&["eku-client"], None), |set| {
        set.leaf().set("extendedKeyUsage", "serverAuth");
    });
    table.row("EKU for code", &[0], (&["eku-server"], None), |set| {
        set.leaf().set("extendedKeyUsage", "codeSigning,emailProtection");
    });
    table.row("both EKUs", BOTH, (&[], None), |set| {
        set.leaf().set("extendedKeyUsage", "serverAuth,clientAuth");
    });
    table.row("key for agreement only", BOTH, (&["key-usage"], Some(USAGE)), |set| {
        set.leaf().set("keyUsage", "critical,keyAgreement");
    });
    table.row("addresses that the CA does not have", BOTH, (&["chain-refused"], None), |set| {
        set.leaf().set("sbgp-ipAddrBlock", "IPv4:10.0.0.0/8");
    });
    table.row("no keyUsage", BOTH, (&[], None), |set| set.leaf().unset("keyUsage"));
    table.row("the leaf is a CA", BOTH, (&["leaf-is-ca"], None), |set| {
        set.leaf().set("basicConstraints", "critical,CA:TRUE");
        set.leaf().set("keyUsage", "critical,digitalSignature,keyCertSign");
    });
}

fn every(table: &mut Table<'_>) {
    table.row("leaf expired", BOTH, (&["expired"], None), |set| (set.leaf().days, set.day) = (40, 50));
    table.row("leaf expires soon", BOTH, (&["expires-soon"], None), |set| {
        (set.leaf().days, set.day) = (40, 20)
    });
    table.row("intermediate expired", DEEP, (&["expired"], None), |set| {
        (set.inter().days, set.day) = (40, 50)
    });
    table.row("intermediate expires soon", DEEP, (&["expires-soon"], None), |set| {
        (set.inter().days, set.day) = (40, 20)
    });
    table.row("root expired", BOTH, (&["expired"], None), |set| (set.root().days, set.day) = (40, 50));
    table.row("a month and a day left", BOTH, (&[], None), |set| (set.leaf().days, set.day) = (40, 9));
    table.row("all of the future", BOTH, (&["not-yet-valid"; 3], None), |set| set.day = -1);
    table.row("leaf of the future", BOTH, (&["not-yet-valid"], None), |set| set.leaf().from = 3);
    table.row("MD5 in the leaf", &[1, 2], (&["hash-refused"], Some(STRENGTH)), |set| {
        set.leaf().digest = "md5"
    });
    table.row("MD5 in the intermediate", &[2], (&["hash-refused"], Some(STRENGTH)), |set| {
        set.inter().digest = "md5"
    });
    table.row("MD5 in the root", &[1], (&["hash-refused"], Some(STRENGTH)), |set| set.root().digest = "md5");
    table.row("SHA-224 in the leaf", BOTH, (&["hash-refused"], Some(CURVES)), |set| {
        set.leaf().digest = "sha224"
    });
    table.row("SHA-1 in the leaf", BOTH, (&["hash-sha1"], None), |set| set.leaf().digest = "sha1");
    table.row("SHA-1 in the intermediate", DEEP, (&["hash-sha1"], None), |set| set.inter().digest = "sha1");
    table.row("SHA-512", BOTH, (&[], None), |set| set.leaf().digest = "sha512");
    for (key, broken, differs) in [
        ("rsa-1024", "key-size", STRENGTH),
        ("p224", "key-size", STRENGTH),
        ("k256", "curve-refused", CURVES),
        ("brainpool", "curve-refused", CURVES),
        ("ed25519", "key-kind", CURVES),
        ("rsa-pss", "key-kind", CURVES),
    ] {
        // the key's own kind is a finding of the key's file, too, so the certificate is given alone
        table.row(&format!("leaf with {key}"), &[0], (&[broken], Some(differs)), |set| {
            set.leaf().key = key;
            set.key = None;
        });
        table.row(&format!("intermediate with {key}"), &[0], (&[broken], Some(differs)), |set| {
            set.inter().key = key;
            if key == "ed25519" {
                set.leaf().digest = "sha256";
            }
        });
    }
    table.row("the curve spelt out", &[0], (&["curve-explicit"], None), |set| {
        set.leaf().key = "explicit";
        set.key = None;
    });
    table.row("version 1", BOTH, (&["version"], Some(PLAIN)), |set| set.leaf().version_1 = true);
    table.row("negative serial number", BOTH, (&["serial-negative"], Some(SERIALS)), |set| {
        "-5".clone_into(&mut set.leaf().serial)
    });
    table.row("serial number zero", BOTH, (&["serial-odd"], None), |set| {
        "0".clone_into(&mut set.leaf().serial)
    });
    table.row("long serial number", BOTH, (&["serial-odd"], None), |set| {
        set.leaf().serial = format!("0x7f{}", "ab".repeat(20));
    });
    table.row("unknown critical extension", BOTH, (&["unknown-critical"], None), |set| {
        set.leaf().set("1.2.3.4.5", "critical,ASN1:UTF8String:x");
    });
    table.row("unknown extension", BOTH, (&[], None), |set| set.leaf().set("1.2.3.4.5", "ASN1:UTF8String:x"));
    table.row("critical policy constraints", DEEP, (&["unknown-critical"], Some(EXTENSION)), |set| {
        set.inter().set("policyConstraints", "critical,inhibitPolicyMapping:0");
    });
}

fn authorities(table: &mut Table<'_>) {
    table.row("intermediate without basicConstraints", DEEP, (&["ca-flag"], None), |set| {
        set.inter().unset("basicConstraints")
    });
    table.row("intermediate is no CA", DEEP, (&["ca-flag"], None), |set| {
        set.inter().set("basicConstraints", "critical,CA:FALSE");
    });
    table.row("root is no CA", BOTH, (&["ca-flag"], None), |set| {
        set.root().set("basicConstraints", "critical,CA:FALSE");
    });
    table.row("basicConstraints not critical", DEEP, (&["ca-not-critical"], Some(STRICT)), |set| {
        set.inter().set("basicConstraints", "CA:TRUE,pathlen:0");
    });
    table.row("intermediate without keyUsage", DEEP, (&["ca-sign"], None), |set| {
        set.inter().unset("keyUsage");
        set.inter().set("basicConstraints", "critical,CA:TRUE");
    });
    table.row("intermediate without keyCertSign", DEEP, (&["ca-sign"], None), |set| {
        set.inter().set("keyUsage", "critical,cRLSign,digitalSignature");
    });
    table.row("root without keyCertSign", BOTH, (&["ca-sign"], None), |set| {
        set.root().set("keyUsage", "critical,cRLSign");
    });
    table.row("root allows no intermediate", DEEP, (&["ca-path-length"], None), |set| {
        set.root().set("basicConstraints", "critical,CA:TRUE,pathlen:0");
    });
    table.row("root allows one intermediate", DEEP, (&[], None), |set| {
        set.root().set("basicConstraints", "critical,CA:TRUE,pathlen:1");
    });
    table.row("root signs OCSP", BOTH, (&["ca-ocsp-signing"], None), |set| {
        set.root().set("extendedKeyUsage", "OCSPSigning")
    });
    table.row("intermediate signs OCSP", DEEP, (&["ca-ocsp-signing"], Some(GUIDE_OCSP)), |set| {
        set.inter().set("extendedKeyUsage", "serverAuth,clientAuth,OCSPSigning");
    });
    table.row("intermediate for code", DEEP, (&["ca-purpose"], None), |set| {
        set.inter().set("extendedKeyUsage", "codeSigning")
    });
    table.row("intermediate for both", DEEP, (&[], None), |set| {
        set.inter().set("extendedKeyUsage", "serverAuth,clientAuth");
    });
    table.row("intermediate for anything", DEEP, (&[], Some(ANY_CA)), |set| {
        set.inter().set("extendedKeyUsage", "anyExtendedKeyUsage");
    });
    table.row("names that the CA may issue for", DEEP, (&[], None), |set| {
        set.inter().set(
            "nameConstraints",
            "critical,permitted;DNS:example.test,permitted;IP:192.0.2.0/255.255.255.0",
        );
    });
    table.row("a name that the CA may not issue for", DEEP, (&["name-constraints"], None), |set| {
        set.inter()
            .set("nameConstraints", "critical,permitted;DNS:other.test,permitted;IP:192.0.2.0/255.255.255.0");
    });
    table.row("a name that the CA must not issue for", DEEP, (&["name-constraints"], None), |set| {
        set.inter().set("nameConstraints", "critical,excluded;DNS:soar.example.test");
    });
    table.row("CA without a key identifier", DEEP, (&["key-ids-absent"], Some(STRICT)), |set| {
        set.inter().set("subjectKeyIdentifier", "none");
        set.leaf().set("authorityKeyIdentifier", "none");
    });
    table.row("key identifier of another CA", DEEP, (&["key-ids"], None), |set| {
        set.leaf().set("authorityKeyIdentifier", "none");
        set.leaf().set("2.5.29.35", "DER:30:06:80:04:01:02:03:04");
    });
}

/// Other files than the usual ones.
fn arranged(set: &mut Set, arrange: impl Fn(&[String]) -> Vec<String> + Send + Sync + 'static) {
    set.arrange = Box::new(move |chain, key| usual(&arrange(chain), key));
}

fn chains(table: &mut Table<'_>) {
    let order = (&["chain-order"][..], Some(FILES));
    table.row("root first", BOTH, order, |set| arranged(set, |chain| chain.iter().rev().cloned().collect()));
    table.row("root before the intermediate", DEEP, order, |set| {
        arranged(set, |chain| [0, 2, 1].map(|at: usize| chain[at].clone()).to_vec());
    });
    table.row("intermediate first", DEEP, order, |set| {
        arranged(set, |chain| [1, 0, 2].map(|at: usize| chain[at].clone()).to_vec());
    });
    table.row("intermediate first, and no key", DEEP, order, |set| {
        set.key = None;
        arranged(set, |chain| [1, 0, 2].map(|at: usize| chain[at].clone()).to_vec());
    });
    table.row("no intermediate", DEEP, (&["chain-incomplete", "chain-stranger"], None), |set| {
        arranged(set, |chain| vec![chain[0].clone(), chain[2].clone()]);
    });
    table.row("the leaf alone", BOTH, (&["chain-incomplete"], None), |set| {
        arranged(set, |chain| vec![chain[0].clone()])
    });
    table.row("no root", DEEP, (&["chain-incomplete"], None), |set| {
        arranged(set, |chain| chain[..2].to_vec());
    });
    table.row("no root, but the host has it", DEEP, (&["root-missing"], None), |set| {
        arranged(set, |chain| chain[..2].to_vec());
        set.anchors = Some(vec![vec![set.root().clone()]]);
    });
    table.row("the host has the root", BOTH, (&[], None), |set| {
        set.anchors = Some(vec![vec![set.root().clone()]])
    });
    table.row("the host has another root", BOTH, (&["anchor-missing"], None), |set| {
        let mut other = root("ec-other");
        other.subject = "/CN=Another Root".to_owned();
        set.anchors = Some(vec![vec![other]]);
    });
    table.row("the intermediate twice", DEEP, (&["chain-duplicate"], None), |set| {
        arranged(set, |chain| [0, 1, 1, 2].map(|at: usize| chain[at].clone()).to_vec());
    });
    table.row("another root at the end", BOTH, (&["chain-stranger"], None), |set| {
        let mut other = root("ec-other");
        other.subject = "/CN=Another Root".to_owned();
        set.extra.push(vec![other]);
    });
    table.row("a CA of the same name", &[0], (&["chain-signature"], None), |set| {
        set.leaf().set("authorityKeyIdentifier", "none");
        let mut other = inter("p384");
        other.unset("subjectKeyIdentifier");
        let chain = vec![other, set.root().clone()];
        set.extra.push(chain);
        arranged(set, |chain| [0, 3, 2].map(|at: usize| chain[at].clone()).to_vec());
    });
    table.row("a root of the same name", &[1], (&["chain-signature"], None), |set| {
        set.leaf().set("authorityKeyIdentifier", "none");
        set.extra.push(vec![root("rsa-inter")]);
        arranged(set, |chain| vec![chain[0].clone(), chain[2].clone()]);
    });
    table.row("two CAs of the same name", &[0], (&["chain-stranger"], None), |set| {
        let other = inter("p384");
        let chain = vec![other, set.root().clone()];
        set.extra.push(chain);
    });
}

fn revocation(table: &mut Table<'_>) {
    let without = |set: &mut Set| {
        set.leaf().unset("authorityInfoAccess");
        for spec in set.specs.iter_mut().skip(1) {
            spec.unset("authorityInfoAccess");
        }
    };
    table.row("revocation is on", BOTH, (&[], None), |set| set.revocation = Revocation::Require);
    table.row("nothing to ask, and nobody asks", BOTH, (&[], None), without);
    let both = &["aia-ca-issuers", "aia-ocsp"];
    table.row("nothing to ask", BOTH, (both, Some(REVOKED)), |set| {
        set.leaf().unset("authorityInfoAccess");
        set.revocation = Revocation::Require;
    });
    table.row("nothing to ask, which is fine", BOTH, (both, None), |set| {
        set.leaf().unset("authorityInfoAccess");
        set.revocation = Revocation::Soft;
    });
    table.row("the CA names nobody", DEEP, (both, Some(REVOKED)), |set| {
        set.inter().unset("authorityInfoAccess");
        set.revocation = Revocation::Require;
    });
    table.row("no OCSP", BOTH, (&["aia-ocsp"], Some(REVOKED)), |set| {
        set.leaf().set("authorityInfoAccess", "caIssuers;URI:http://ca.example.test/ca.pem");
        set.revocation = Revocation::Require;
    });
    table.row("no issuer", BOTH, (&["aia-ca-issuers"], Some(REVOKED)), |set| {
        set.leaf().set("authorityInfoAccess", "OCSP;URI:http://ca.example.test:8888");
        set.revocation = Revocation::Require;
    });
    table.row("OCSP over TLS", BOTH, (&["aia-not-http"], None), |set| {
        set.leaf().set("authorityInfoAccess", &AIA.replacen("http:", "https:", 1));
        set.revocation = Revocation::Require;
    });
}

fn keys(table: &mut Table<'_>) {
    let shop = Workshop::get();
    let key = |which: usize| if which == 0 { "ec-leaf" } else { "rsa-leaf" };
    let mut row = |name: &str,
                   broken: &'static [&'static str],
                   passphrase: Option<&'static str>,
                   made: &dyn Fn(&str) -> Vec<u8>| {
        for which in [0, 1] {
            let bytes = made(key(which));
            let has_error = broken.iter().any(|id| *id != "key-pkcs8");
            table.row(name, &[which], (broken, has_error.then_some(KEYS)), |set| {
                set.key = Some(bytes.clone());
                set.passphrase = passphrase;
            });
        }
    };
    let open = Some(PASSPHRASE);
    let traditional = |name: &str, cipher: &str| {
        let tool = if name.starts_with("ec") { "ec" } else { "rsa -traditional" };
        shop.key_as(name, &format!("{tool} -in KEY -{cipher} -passout PASS"))
    };
    let pkcs8 = |name: &str| shop.key_as(name, "pkcs8 -topk8 -in KEY -v2 aes-256-cbc -passout PASS");
    row("another key", &["key-mismatch"], None, &|_| shop.key("ec-other"));
    row("the CA's key", &["key-mismatch"], None, &|_| shop.key("rsa-root"));
    row("encrypted PKCS#8", &["key-pkcs8-encrypted"], open, &pkcs8);
    row("encrypted PKCS#8, no passphrase", &["key-pkcs8-encrypted"], None, &pkcs8);
    row("PKCS#8", &["key-pkcs8"], None, &|name| shop.key_as(name, "pkcs8 -topk8 -in KEY -nocrypt"));
    row("binary", &["key-form"], None, &|name| {
        shop.key_as(
            name,
            &format!(
                "{} -in KEY -outform DER",
                if name.starts_with("ec") { "ec" } else { "rsa -traditional" }
            ),
        )
    });
    row("encrypted", &[], open, &|name| traditional(name, "aes256"));
    row("encrypted with 3DES", &[], open, &|name| traditional(name, "des3"));
    row("encrypted with Camellia", &["key-cipher"], open, &|name| traditional(name, "camellia256"));
    row("no passphrase", &["key-passphrase-missing"], None, &|name| traditional(name, "aes256"));
    row("wrong passphrase", &["key-passphrase-wrong"], Some("shut"), &|name| traditional(name, "aes256"));
    row("cut off", &["key-unreadable"], None, &|name| {
        let key = shop.key(name);
        key[..key.len() / 2].to_vec()
    });
    row("two keys", &["key-several"], None, &|name| [shop.key(name), shop.key("ec-other")].concat());
    row("several lines changed", &["key-unreadable"], None, &|name| {
        let text = String::from_utf8(shop.key(name)).unwrap();
        text.replacen("\nM", "\nA", 1).into_bytes()
    });
    for (name, kind, broken) in [
        ("EC PARAMETERS", "with-parameters", "key-ec-parameters"),
        ("curve spelt out", "explicit", "key-explicit-curve"),
    ] {
        table.row(name, &[0], (&[broken], Some(KEYS)), |set| {
            set.key = Some(shop.key(kind));
            set.leaf().key = kind;
            if kind == "explicit" {
                set.broken = vec!["curve-explicit", "key-explicit-curve"];
                set.differs = None;
            }
        });
    }
}

fn files(table: &mut Table<'_>) {
    let one = |name: &str, bytes: Vec<u8>| (name.to_owned(), bytes);
    table.row("text around the blocks", BOTH, (&[], None), |set| {
        arranged(set, |chain| {
            chain.iter().map(|pem| format!("Bag Attributes\r\nsubject=x\r\n{pem}\n\n")).collect()
        });
    });
    table.row("lines end as on Windows", BOTH, (&[], None), |set| {
        arranged(set, |chain| chain.iter().map(|pem| pem.replace('\n', "\r\n")).collect());
    });
    table.row("a damaged block", BOTH, (&["certificate-unreadable"], Some(FILES)), |set| {
        arranged(set, |chain| {
            let damaged = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n".to_owned();
            chain.iter().cloned().chain([damaged]).collect()
        });
    });
    table.row("words of another encoding around the blocks", BOTH, (&[], None), |set| {
        set.arrange = Box::new(move |chain, key| {
            let words = b"friendlyName: Z\xfcrich\n".as_slice();
            let named = |(name, bytes): Given| (name, [words, &bytes, words].concat());
            usual(chain, key).into_iter().map(named).collect()
        });
    });
    table.row("in a form of OpenSSL's own", BOTH, (&["not-pem"], Some(FILES)), |set| {
        arranged(set, |chain| {
            chain.iter().map(|pem| pem.replace(" CERTIFICATE-", " TRUSTED CERTIFICATE-")).collect()
        });
    });
    table.row("key and certificates in one file", BOTH, (&["foreign-block"], None), |set| {
        set.arrange = Box::new(move |chain, key| {
            vec![one("both.pem", [chain.concat().as_bytes(), key.unwrap()].concat())]
        });
    });
    table.row("a file for each", BOTH, (&["several-files"], None), |set| {
        set.arrange = Box::new(move |chain, key| {
            let key = one("cert.key", key.unwrap().to_vec());
            let certificates =
                chain.iter().map(|pem| one(&format!("{}.pem", pem.len()), pem.clone().into_bytes()));
            [key].into_iter().chain(certificates).collect()
        });
    });
    table.row("a file with nothing in it", BOTH, (&["nothing-inside"], Some(FILES)), |set| {
        set.arrange = Box::new(move |chain, key| {
            usual(chain, key).into_iter().chain([one("notes.txt", b"see the wiki".to_vec())]).collect()
        });
    });
    table.row("a request instead of the certificate", &[0], (&["nothing-inside"], None), |set| {
        set.arrange = Box::new(move |_, key| {
            let request = "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n";
            vec![one("cert.csr", request.into()), one("cert.key", key.unwrap().to_vec())]
        });
    });
    let many = &["certificate-unreadable", "chain-duplicate"];
    table.row("a bundle", &[0], (many, Some(FILES)), |set| {
        arranged(set, |chain| chain.iter().cloned().chain(vec![chain[2].clone(); 62]).collect());
    });
    table.row("binary", &[0], (&["not-pem", "self-signed"], Some(FILES)), |set| {
        set.specs.truncate(1);
        set.leaf().unset("authorityKeyIdentifier");
        set.arrange = Box::new(move |chain, key| {
            let der = openssl::x509::X509::from_pem(chain[0].as_bytes()).unwrap().to_der().unwrap();
            vec![one("cert.der", der), one("cert.key", key.unwrap().to_vec())]
        });
    });
}

fn roles(table: &mut Table<'_>) {
    let responder = |set: &mut Set| {
        set.role = Role::Ocsp;
        *set.leaf() = leaf(set.leaf().key, Role::Ocsp);
        set.leaf().unset("subjectAltName");
        set.names.clear();
    };
    table.row("OCSP responder", BOTH, (&[], None), responder);
    table.row("OCSP responder without its EKU", BOTH, (&["eku-ocsp"], Some(RESPONDER)), |set| {
        responder(set);
        set.leaf().set("extendedKeyUsage", "serverAuth");
    });
    table.row("OCSP responder that is a CA", BOTH, (&["ca-ocsp-signing"], Some(GUIDE_OCSP)), |set| {
        responder(set);
        set.leaf().set("basicConstraints", "critical,CA:TRUE");
        set.leaf().set("keyUsage", "critical,digitalSignature,keyCertSign");
    });
    let authorities = |set: &mut Set| {
        set.role = Role::Ca;
        set.specs.remove(0);
        set.key = None;
        set.names.clear();
    };
    table.row("authorities", DEEP, (&[], None), authorities);
    table.row("authorities, root first", DEEP, (&[], None), |set| {
        authorities(set);
        arranged(set, |chain| chain.iter().rev().cloned().collect());
    });
    table.row("an authority without its root", DEEP, (&["chain-incomplete"], None), |set| {
        authorities(set);
        arranged(set, |chain| vec![chain[0].clone()]);
    });
    table.row("an authority whose root is trusted", DEEP, (&[], None), |set| {
        authorities(set);
        set.anchors = Some(vec![vec![set.root().clone()]]);
        arranged(set, |chain| vec![chain[0].clone()]);
    });
    table.row("a leaf among authorities", DEEP, (&["ca-flag", "ca-sign"], Some(FIRST)), |set| {
        set.role = Role::Ca;
        set.key = None;
        set.names.clear();
        set.leaf().set("extendedKeyUsage", "serverAuth,clientAuth");
    });
    table.row("an authority that signs OCSP", DEEP, (&["ca-ocsp-signing"], Some(GUIDE_OCSP)), |set| {
        authorities(set);
        set.root().set("extendedKeyUsage", "OCSPSigning,serverAuth");
    });
    table.row("an authority for mail", DEEP, (&["ca-purpose"], Some(FIRST)), |set| {
        authorities(set);
        set.root().set("extendedKeyUsage", "emailProtection");
    });
    table.row("an authority with MD5", &[2], (&["hash-refused"], Some(STRENGTH)), |set| {
        authorities(set);
        set.root().digest = "md5";
    });
    table.row("an authority that expired", DEEP, (&["expired"], None), |set| {
        authorities(set);
        (set.root().days, set.day) = (40, 50);
    });
}
