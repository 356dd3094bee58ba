//! The rules: what each is called, how bad it is to break it, why, what helps, and who says so.

use serde::Serialize;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// It works, and is not as it should be, or nobody can tell.
    Warning,
    /// The product does not start with it, or does silently something else.
    Error,
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Info => "info",
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
    /// What helps; `KEY` stands for the key.
    pub fix: &'static str,
}

/// Writes down every rule once, as a constant and in the table.
macro_rules! rules {
    ($($name:ident $severity:ident $id:literal, $source:expr, $why:expr, $fix:expr;)*) => {
        $(pub(super) const $name: Rule =
            Rule { id: $id, severity: Severity::$severity, source: $source, why: $why, fix: $fix };)*
        /// All rules, in the order in which they are shown.
        pub const RULES: &[Rule] = &[$($name),*];
    };
}

const JSON: &str = "RFC 8259";
const STRINGS: &str = "RFC 8259, 7";
const FILES: &str = "guide, TLS/X509 Configuration, footnote 5";
const QUOTES: &str = "guide, TLS/X509 Configuration, notes on quotes";
const SETTINGS: &str = "guide, X509v3 certificates settings";
const TRICKS: &str = "guide, Configuration Tricks and Tips";
const MUTUAL: &str = "guide, Configure Mutual Authentication for the Web UI";
const COMMON: &str = "Administrator Guide, Common Properties";

const NO_JSON: &str = "the file is no JSON then, and the product does not read it";
const SILENT: &str = "the product says nothing and does what it does by default";
const BRACKET: &str = "write every bracket that is opened once more where it closes";

rules! {
    // the text
    TOO_LARGE Error "too-large", JSON,
        "no configuration is that large: it is another file, or one that something went on appending to",
        "give the right file, or take out what does not belong there";
    NOT_UTF8 Error "not-utf8", "RFC 8259, 8.1",
        NO_JSON, "save the file as UTF-8";
    BYTE_ORDER_MARK Error "byte-order-mark", "RFC 8259, 8.1",
        NO_JSON, "save the file as UTF-8 without a byte order mark: `sed -i '1s/^\\xEF\\xBB\\xBF//' FILE`";
    EMPTY Error "empty", JSON,
        NO_JSON, "an empty configuration is {}";
    NOT_AN_OBJECT Error "not-an-object", "guide, Server configuration file",
        "the product looks for its keys between braces", "put everything between { and }";
    COMMENT Error "comment", JSON,
        "JSON has no comments; the product does not read the file", "take the comment out";
    STRAY_CHARACTER Error "stray-character", JSON,
        NO_JSON, "take the character out";
    QUOTE_MISSING Error "quote-missing", QUOTES,
        "names and texts stand between double quotes; without one the product does not read the file",
        "put a double quote at both ends";
    QUOTE_WRONG Error "quote-wrong", QUOTES,
        "JSON knows the double quote \" only; the product does not read the file", "write \" at both ends";
    WORD_WRONG Error "word-wrong", "RFC 8259, 3",
        "without quotes there are only true, false, null and numbers; the product does not read the file",
        "write true or false, in small letters and without quotes";
    NUMBER_WRONG Error "number-wrong", "RFC 8259, 6",
        NO_JSON, "write a plain decimal number";
    CONTROL_CHARACTER Error "control-character", STRINGS,
        "in a text every tab and line end is written with a backslash; the product does not read the file",
        "take it out, or write \\t for a tab and \\n for a line end";
    ESCAPE_WRONG Error "escape-wrong", STRINGS,
        NO_JSON, "after a backslash there is one of \" \\ / b f n r t u; write \\\\ for a backslash";
    COMMA_MISSING Error "comma-missing", JSON,
        NO_JSON, "put a comma there";
    COMMA_EXTRA Error "comma-extra", JSON,
        "there is a comma between two members, none behind the last; the product does not read the file",
        "take the comma out";
    COLON_MISSING Error "colon-missing", JSON,
        NO_JSON, "put a colon and a space between the name and its value";
    VALUE_MISSING Error "value-missing", JSON,
        NO_JSON, "write a colon and a value behind the name, or take the name out";
    NAME_MISSING Error "name-missing", JSON,
        NO_JSON, "write the key's name and a colon before the value, or take the value out";
    BRACKET_MISSING Error "bracket-missing", JSON,
        NO_JSON, BRACKET;
    BRACKET_EXTRA Error "bracket-extra", JSON,
        NO_JSON, "take the bracket out";
    BRACKET_WRONG Error "bracket-wrong", JSON,
        NO_JSON, "close { with } and [ with ]";
    TEXT_AFTER_END Error "text-after-end", JSON,
        NO_JSON, "put everything between the first { and the last }";
    TOO_DEEP Error "too-deep", "RFC 8259, 9",
        "no key of the product is that deep; readers of JSON give up", "take the superfluous brackets out";
    NAME_TOO_LONG Error "name-too-long", "RFC 8259, 9",
        "no key of the product is that long; a quote is missing, or it is another file", "give the key its name";
    NOT_JSON Error "not-json", JSON,
        NO_JSON, "write it as RFC 8259 says";
    // keys
    KEY_MISSPELT Error "key-misspelt", FILES,
        SILENT, "correct the name; `demisto-install config keys` lists all that are known";
    KEY_UNKNOWN Warning "key-unknown", FILES,
        "it may be one of the product's that are not published, or a slip: then the product says nothing and does what it does by default",
        "compare it with where you have it from; `demisto-install config keys` lists all that are known";
    KEY_TWICE Error "key-twice", "RFC 8259, 4",
        "only one of them counts; it is not said which", "keep one of them";
    KEY_REPEATED Warning "key-repeated", "RFC 8259, 4",
        "both say the same now; who changes one of them alone will wonder", "keep one of them";
    SPELLINGS_DIFFER Error "spellings-differ", MUTUAL,
        "they are two names of one switch, and it is not said which one the product obeys", "give both the same value";
    KEY_ELSEWHERE Warning "key-elsewhere", SETTINGS,
        "nobody reads it in this file", "put it into the other configuration";
    KEY_REQUIRED Error "key-required", "guide, Engine configuration file",
        "the engine does not start without it, or never connects",
        "take the whole file from the server: Settings, Engines, Create New Engine, Configuration";
    // values
    BOOLEAN_QUOTED Error "boolean-quoted", QUOTES,
        "true and false stand without quotes; with them the product says nothing and does what it does by default",
        "take the quotes away";
    VALUE_UNQUOTED Error "value-unquoted", QUOTES,
        "the product wants a text here; it says nothing and does what it does by default", "put double quotes around it";
    TYPE_WRONG Error "type-wrong", FILES,
        SILENT, "write a value of the right kind";
    VALUE_WRONG Error "value-wrong", SETTINGS,
        SILENT, "write one of the values that there are";
    PORT_WRONG Error "port-wrong", "RFC 6335, 6",
        "the service cannot listen there, and does not start", "write a port from 1 to 65535, such as \"443\"";
    LIST_SPACES Error "list-spaces", "guide, X509v3 certificates settings, note on santrustlist",
        "a space becomes part of the name, which then fits no certificate", "leave only commas between the names";
    LIST_WRONG Error "list-wrong", "guide, X509v3 certificates settings, note on santrustlist",
        "an empty name or one with a wildcard fits no certificate", "write whole names with one comma between them";
    PATH_RELATIVE Error "path-relative", SETTINGS,
        "it depends on where the service was started what file that is", "write the path from / on";
    ADDRESS_WRONG Error "address-wrong", COMMON,
        "the product cannot use it and does not connect, or not there", "write it as shown";
    // several keys
    POLICY_EMPTY Error "policy-empty", SETTINGS,
        "certificates of clients are to be verified, and none is asked for: everybody gets in",
        "set server.certificate.clientauthpolicy to \"verify\" or \"requireandverify\"; `demisto-install cert mutual on` does it";
    POLICY_UNVERIFIED Warning "policy-unverified", MUTUAL,
        "certificates of clients are asked for and not verified: any will do",
        "set security.server.certificate.donotverifyclientcertificates to false; `demisto-install cert mutual on` does it";
    SAN_LIST_EMPTY Error "san-list-empty", SETTINGS,
        "an empty list trusts nobody: no client gets in",
        "write the names of all engines and clients into security.certificate.santrustlist";
    SAN_LIST_UNUSED Warning "san-list-unused", SETTINGS,
        "the list is not looked at, so every name gets in", "set security.certificate.verifyclientsan to true";
    SAN_UNVERIFIED Warning "san-unverified", SETTINGS,
        "a name in a certificate that is not verified proves nothing",
        "set server.certificate.clientauthpolicy to \"verify\" or \"requireandverify\", and security.server.certificate.donotverifyclientcertificates to false";
    // the host
    FILE_MISSING Error "file-missing", SETTINGS,
        "the service cannot start, or not connect, without it",
        "put the file there, or correct the path; `demisto-install cert install` puts both into their place";
    FILE_UNREADABLE Error "file-unreadable", TRICKS,
        "the service runs as demisto and cannot read it", "chown demisto:demisto FILE && chmod 400 FILE";
    REVOCATION_WITHOUT_AIA Error "revocation-without-aia", TRICKS,
        "revocation is asked for at addresses in the certificate's AIA field; without them its status stays unknown, and with security.certificate.failonunknownrevocationstatus connections are refused",
        "have the certificate issued anew with OCSP and caIssuers addresses; `demisto-install cert check --installed` tells more";
    // the evaluated configuration
    INSECURE_DEFAULT Warning "insecure-default", SETTINGS,
        "it is not there, and without it the product is less strict than the evaluated configuration", "set it";
    INSECURE_VALUE Warning "insecure-value", SETTINGS,
        "it is less strict than the evaluated configuration", "set it as the evaluated configuration wants";
    MORE Info "more", "this program",
        "only the first findings are shown", "correct those and check again";
}
