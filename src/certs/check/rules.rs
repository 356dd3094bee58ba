//! The rules: what each is called, how bad it is to break it, why, what helps, and who says so.

use serde::Serialize;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Note,
    /// It works, or works for some, and should be put right.
    Warning,
    /// The product, its peers or the guide refuse it.
    Error,
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Its name, which stays.
    pub id: &'static str,
    /// How bad it is to break it.
    pub severity: Severity,
    /// Who says so: a section of the guide, of the Administrator Guide, or an RFC.
    pub source: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What helps; `FILE` stands for the file.
    pub fix: &'static str,
}

/// Writes down every rule once, as a constant and in the table.
macro_rules! rules {
    ($($name:ident $severity:ident $id:literal, $source:expr, $why:literal, $fix:expr;)*) => {
        $(pub(super) const $name: Rule =
            Rule { id: $id, severity: Severity::$severity, source: $source, why: $why, fix: $fix };)*
        /// All rules, in the order in which they are shown.
        pub const RULES: &[Rule] = &[$($name),*];
    };
}

const TRICKS: &str = "guide, Configuration Tricks and Tips";
const TROUBLE: &str = "guide, Troubleshooting Errors";
const SETTINGS: &str = "guide, X509v3 certificates settings";
const ADMIN: &str = "Administrator Guide, Install or Renew a Custom Certificate";
const RFC: &str = "RFC 5280, 4.1";
const EXTENSIONS: &str = "RFC 5280, 4.2";

const ANEW: &str = "have it issued anew by a CA that follows RFC 5280";
const ANEW_NAMES: &str = "have it issued anew with the host names in subjectAltName: `demisto-install cert csr --name NAME --out-dir DIR` writes such a request";
const CONVERT: &str =
    "`demisto-install cert convert FILE --out-dir DIR` writes the form that the product reads";
const REORDER: &str = "`demisto-install cert check FILE --reorder OUT`, with the other files if there are more, writes leaf, intermediate, root";
const RIGHTS: &str = "chown demisto:demisto FILE && chmod 400 FILE";

rules! {
    // what is in the files
    NOTHING_INSIDE Error "nothing-inside", ADMIN,
        "the product needs PEM: the text from BEGIN to END, and that text whole", "give the certificate or key itself; a request has to be sent to a CA, which answers with the certificate";
    NOT_PEM Error "not-pem", ADMIN,
        "the product reads PEM only", CONVERT;
    UNREADABLE Error "certificate-unreadable", ADMIN,
        "the product cannot read it either, or passes over it and serves an incomplete chain",
        "copy it again from what the CA sent, from the BEGIN line to the END line";
    FOREIGN_BLOCK Warning "foreign-block", ADMIN,
        "only certificates belong into the certificate file; a private key in it lies open where the certificate does",
        "leave only the CERTIFICATE blocks in the file, and a key in a file of its own";
    SEVERAL_FILES Warning "several-files", TRICKS,
        "the product reads the whole chain from one file", REORDER;
    // every certificate
    VERSION Error "version", RFC,
        "before version 3 there are no extensions, so it cannot hold names, purposes or the CA flag", ANEW;
    SERIAL_NEGATIVE Error "serial-negative", RFC,
        "serial numbers are positive; newer TLS libraries refuse the certificate", ANEW;
    SERIAL_ODD Warning "serial-odd", RFC,
        "serial numbers are above zero and have 20 octets at most; some readers refuse others", ANEW;
    UNKNOWN_CRITICAL Error "unknown-critical", EXTENSIONS,
        "who does not know a critical extension has to refuse the certificate, and the product does not know it",
        "have it issued anew without the extension, or with it not critical";
    EXPIRED Error "expired", TROUBLE,
        "every peer refuses it: certificate has expired or is not yet valid",
        "have it renewed: `demisto-install cert renew`";
    NOT_YET_VALID Error "not-yet-valid", TROUBLE,
        "every peer refuses it: certificate has expired or is not yet valid",
        "set the clock right (timedatectl), or wait until it is valid";
    EXPIRES_SOON Warning "expires-soon", TROUBLE,
        "when it has expired, nobody can connect any more", "have it renewed: `demisto-install cert renew`";
    HASH_REFUSED Error "hash-refused", TRICKS,
        "MD5 and older digests can be forged and are not supported, and others are not known to the product",
        "have it issued anew with SHA-256 or higher";
    HASH_SHA1 Warning "hash-sha1", TRICKS,
        "SHA-1 is supported for verification only and many peers refuse it", "have it issued anew with SHA-256 or higher";
    KEY_KIND Error "key-kind", TRICKS,
        "RSA with 2048 bits or more and ECDSA with 256 or more are supported, nothing else",
        "make another key (`demisto-install cert csr`) and have a certificate issued for it";
    KEY_SIZE Error "key-size", TRICKS,
        "RSA with 2048 bits or more and ECDSA with 256 or more are supported, nothing else",
        "make a longer key (`demisto-install cert csr`) and have a certificate issued for it";
    CURVE_REFUSED Error "curve-refused", TRICKS,
        "the product knows the curves P-256, P-384 and P-521 only",
        "make a key on one of those (`demisto-install cert csr --key-type ec:p256 --out-dir DIR`) and have a certificate issued for it";
    CURVE_EXPLICIT Error "curve-explicit", TRICKS,
        "the product reads the names of curves, not curves that are spelt out",
        "make a key with a named curve (`demisto-install cert csr --key-type ec:p256 --out-dir DIR`) and have a certificate issued for it";
    // the leaf
    SAN_MISSING Error "san-missing", TRICKS,
        "without a name in subjectAltName every TLS connection is terminated", ANEW_NAMES;
    COMMON_NAME_ONLY Error "common-name-only", TROUBLE,
        "the common name is not looked at: certificate relies on legacy Common Name field", ANEW_NAMES;
    SAN_WILDCARD Error "san-wildcard", TRICKS,
        "wildcards are not supported", ANEW_NAMES;
    SAN_INVALID Warning "san-invalid", EXTENSIONS,
        "no peer ever finds a host under that name", ANEW_NAMES;
    NAME_MISMATCH Error "name-mismatch", TROUBLE,
        "who connects by that name refuses the certificate: certificate is valid for others, not for it", ANEW_NAMES;
    NAME_ELSEWHERE Warning "name-elsewhere", TRICKS,
        "who connects to this host by one of its names refuses the certificate; no other name was given to compare with",
        "give the name by which it is reached: --host NAME, or Server.ExternalHostName in the configuration";
    NAME_UNTRUSTED Error "name-untrusted", SETTINGS,
        "the server accepts clients only that have a name of security.certificate.santrustlist",
        "put one of its names on the list in /etc/demisto.conf, or have it issued anew with one from there";
    EKU_SERVER Error "eku-server", TRICKS,
        "peers refuse it: certificate specifies an incompatible key usage",
        "have it issued anew with serverAuth in extendedKeyUsage: `demisto-install cert csr --role server --out-dir DIR` asks for it";
    EKU_CLIENT Error "eku-client", TRICKS,
        "the server refuses it: certificate specifies an incompatible key usage",
        "have it issued anew with clientAuth in extendedKeyUsage: `demisto-install cert csr --role client --name NAME --out-dir DIR` asks for it";
    EKU_OCSP Error "eku-ocsp", TRICKS,
        "answers are refused: ExtKeyUsageOCSPSigning not found on the OCSP responder",
        "have it issued anew with OCSPSigning in extendedKeyUsage";
    EKU_ABSENT Error "eku-absent", TRICKS,
        "the purpose has to be in the extendedKeyUsage field; a certificate for everything is not accepted",
        "have it issued anew with the purpose: `demisto-install cert csr` asks for it";
    EKU_ANY Error "eku-any", TRICKS,
        "the purpose has to be listed by its own name; anyExtendedKeyUsage does not stand for it",
        "have it issued anew with the purpose: `demisto-install cert csr` asks for it";
    KEY_USAGE Error "key-usage", EXTENSIONS,
        "in TLS 1.3, and in TLS 1.2 with forward secrecy, the key has to sign",
        "have it issued anew with digitalSignature in keyUsage, or without keyUsage";
    LEAF_IS_CA Warning "leaf-is-ca", EXTENSIONS,
        "its key could issue certificates for every name to all who trust it",
        "have it issued anew with CA:FALSE in basicConstraints";
    SELF_SIGNED Warning "self-signed", ADMIN,
        "peers trust it only where it was made an anchor by hand; in production a CA's certificate has to be used",
        "have a CA issue one: `demisto-install cert csr` writes the request";
    // authorities
    CA_FLAG Error "ca-flag", TROUBLE,
        "what it issued is refused: parent certificate cannot sign this kind of certificate",
        "have the CA's certificate issued anew with CA:TRUE in basicConstraints";
    CA_NOT_CRITICAL Warning "ca-not-critical", EXTENSIONS,
        "basicConstraints of a CA is to be critical; strict peers refuse it otherwise",
        "have the CA's certificate issued anew with basicConstraints critical";
    CA_SIGN Error "ca-sign", TRICKS,
        "a CA's certificate has to have keyCertSign in keyUsage",
        "have the CA's certificate issued anew with keyCertSign in keyUsage";
    CA_PATH_LENGTH Error "ca-path-length", EXTENSIONS,
        "there are more CAs below it than it allows, so peers refuse the chain",
        "have the intermediate CA certified by one that allows it";
    CA_OCSP_SIGNING Error "ca-ocsp-signing", TRICKS,
        "a CA must not be an OCSP responder: its chain is refused",
        "have the CA's certificate issued anew without OCSPSigning, and give the responder a certificate of its own";
    CA_PURPOSE Error "ca-purpose", TROUBLE,
        "its extendedKeyUsage limits what it issued: certificate specifies an incompatible key usage",
        "have the CA's certificate issued anew without extendedKeyUsage, or with that purpose in it";
    // the chain
    CHAIN_ORDER Error "chain-order", ADMIN,
        "the product serves the certificates as they stand, the first as its own", REORDER;
    CHAIN_INCOMPLETE Error "chain-incomplete", TRICKS,
        "the whole chain has to be in the file; without a link peers say: certificate signed by unknown authority",
        "get the certificate of that issuer from the CA and append it to FILE";
    ROOT_MISSING Warning "root-missing", TRICKS,
        "the guide has the whole chain in the file, the root too; this host knows the root, other peers may not",
        "append the root's certificate to FILE";
    CHAIN_SIGNATURE Error "chain-signature", EXTENSIONS,
        "a CA of the same name, but with another key, signed it; peers refuse the chain",
        "get the CA's certificate that belongs to this one, usually the newer of two";
    KEY_IDS Error "key-ids", EXTENSIONS,
        "it names another key of its issuer than the issuer has; peers that use OpenSSL find no issuer",
        "get the CA's certificate that belongs to this one, usually the newer of two";
    KEY_IDS_ABSENT Note "key-ids-absent", EXTENSIONS,
        "key identifiers tell CAs with the same name apart; strict peers ask for them", ANEW;
    CHAIN_DUPLICATE Warning "chain-duplicate", ADMIN,
        "it is sent twice at every connection", REORDER;
    CHAIN_STRANGER Warning "chain-stranger", ADMIN,
        "it is no part of the chain and is sent at every connection; strict peers refuse that", REORDER;
    NAME_CONSTRAINTS Error "name-constraints", EXTENSIONS,
        "a CA in the chain may not issue for that name, so peers refuse it",
        "ask the CA for a certificate from a CA that may issue for the name";
    CHAIN_REFUSED Error "chain-refused", EXTENSIONS,
        "OpenSSL refuses the chain, so peers will", "show the CA what OpenSSL says";
    ANCHOR_MISSING Note "anchor-missing", TROUBLE,
        "whoever does not trust the root says: certificate signed by unknown authority; on this host that is the server or an engine, too",
        "write the root's certificate, the last one, into a file of its own, and `demisto-install ca add ROOT` here and on the hosts of the peers";
    // revocation
    AIA_OCSP Error "aia-ocsp", TRICKS,
        "revocation is checked, and only by OCSP: without a responder's address its status stays unknown",
        "have it issued anew with an OCSP address in authorityInfoAccess";
    AIA_CA_ISSUERS Error "aia-ca-issuers", TRICKS,
        "revocation is checked, and needs the issuer's certificate",
        "have it issued anew with caIssuers in authorityInfoAccess";
    AIA_NOT_HTTP Warning "aia-not-http", EXTENSIONS,
        "OCSP and the issuer's certificate are fetched over plain HTTP", "have it issued anew with http addresses";
    // the key
    KEY_MISMATCH Error "key-mismatch", TROUBLE,
        "peers refuse it: invalid signature by the server certificate; the service may not even start",
        "give the key that belongs to the certificate, or have a certificate issued for this key";
    KEY_FORM Error "key-form", ADMIN,
        "the product reads the traditional PEM form", CONVERT;
    KEY_PKCS8_ENCRYPTED Error "key-pkcs8-encrypted", ADMIN,
        "the product cannot read encrypted PKCS#8; an encrypted key has to have Proc-Type and DEK-Info", CONVERT;
    KEY_PKCS8 Note "key-pkcs8", ADMIN,
        "the product reads PKCS#8 without a passphrase; the guide names the traditional form only", CONVERT;
    KEY_EC_PARAMETERS Error "key-ec-parameters", TRICKS,
        "with EC PARAMETERS in front the key cannot be parsed and the service fails", CONVERT;
    KEY_EXPLICIT_CURVE Error "key-explicit-curve", TRICKS,
        "a key with a curve that is spelt out cannot be parsed and the service fails", CONVERT;
    KEY_CIPHER Error "key-cipher", ADMIN,
        "the product does not know the cipher of the key", CONVERT;
    KEY_UNREADABLE Error "key-unreadable", ADMIN,
        "the product cannot read it either, and the service fails",
        "copy it again from where it was made, or make another: `demisto-install cert csr`";
    KEY_SEVERAL Error "key-several", ADMIN,
        "the product takes the first one", "leave only the certificate's key in the file";
    KEY_PASSPHRASE_MISSING Error "key-passphrase-missing", ADMIN,
        "without its passphrase the key opens for nobody, the product included", "give --passphrase-file";
    KEY_PASSPHRASE_WRONG Error "key-passphrase-wrong", ADMIN,
        "with another passphrase the service cannot open its key", "give the passphrase that was set when the key was made";
    KEY_NOT_OPENED Note "key-not-opened", ADMIN,
        "its passphrase is the product's own by now, so whether it belongs to the certificate was not looked at",
        "give --passphrase-file to have it looked at";
    // installed files
    FILE_MISSING Error "file-missing", ADMIN,
        "the service does not find it and fails, or makes a certificate of its own",
        "put it there (`demisto-install cert install`), or set the right path in the configuration";
    FILE_OWNER Error "file-owner", TRICKS,
        "key and certificate have to belong to demisto: Failed load client certificate", RIGHTS;
    KEY_EXPOSED Error "key-exposed", TRICKS,
        "others than the service can read or change the key; whoever has it can be the server", RIGHTS;
    FILE_MODE Warning "file-mode", TRICKS,
        "key and certificate have to have mode 400", RIGHTS;
    PATH_CLOSED Error "path-closed", TROUBLE,
        "the service cannot get to its file: Failed load client certificate",
        "let demisto enter the directory: chmod o+x, or chgrp demisto and chmod g+x";
    STRAY_FILE Warning "stray-file", ADMIN,
        "other certificates and keys beside the product's own are taken for them", "move it to another directory";
}
