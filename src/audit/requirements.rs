//! The table of requirements, in the order of the guide.

use super::{Applies, Requirement, certificates, configuration, release, service};

/// Writes down the requirements.
macro_rules! requirements {
    ($($id:literal $applies:ident $section:expr, $function:expr, $can_fail:literal,
       $what:literal, $why:literal, $fix:expr, $by_hand:expr;)*) => {
        /// All requirements, in the order of the guide.
        pub const REQUIREMENTS: &[Requirement] = &[$(Requirement {
            id: $id,
            section: $section,
            what: $what,
            why: $why,
            fix: $fix,
            by_hand: $by_hand,
            applies: Applies::$applies,
            can_fail: $can_fail,
            function: $function,
        }),*];
    };
}

const PURPOSE: &str = "Document Purpose and Scope";
const SCOPE: &str = "Scope of Evaluation";
const INSTALLATION: &str = "Server Installation, Engine Installation";
const SERVER: &str = "Server Installation";
const FIPS: &str = "Verify FIPS-CC Mode";
const CONNECTION: &str = "Confirm Connection to the Engine";
const OPERATIONS: &str = "TOE Operations";
const VERSION: &str = "Viewing the Current TOE Version";
const USERS: &str = "User Management";
const PASSWORDS: &str = "Password Complexity Management";
const X509: &str = "TLS/X509 Configuration";
const STATUS: &str = "Cannot Establish Connection to Determine Validity of Certificate";
const IDENTIFIERS: &str = "Expected Reference Identifiers";
const STORE: &str = "Storing CA certificates in Linux";
const TRICKS: &str = "Configuration Tricks and Tips";
const SENSITIVE: &str = "Configure the Sensitive Data to be Encrypted";

const WEB: &str =
    "look at Settings > About > Troubleshooting, Server Configuration, on the server's web page";
const LIVE: &str = "run the audit on the host itself while the service runs, as root";
const LOG: &str = "start the service, and look for the line in its log (`demisto-install log facts` reads it), or at Settings > About on the server's web page";
const UNIT: &str = "look at `systemctl cat` and `systemctl show` of the unit on the host";
const DROP_IN: &str = "add what is missing to the unit with `systemctl edit`, or take away the drop-in that loosens it, and restart the service; a service that itself runs podman needs more rights, which have to be accepted in writing";

requirements! {
    // --- what is evaluated
    "cc-version-evaluated" Both SCOPE, release::evaluated_version, false,
        "The version is the one that was evaluated",
        "the evaluation is about version 6.6.0; of another version the vendor has to say whether the guide holds for it",
        "", "ask the vendor for the guide of the installed version, and accept the difference in writing";
    "cc-platform" Both SCOPE, release::platform, false,
        "The operating system is one of the guide's",
        "the evaluation was made on Red Hat Enterprise Linux 8, and the vendor affirms some others",
        "", "compare the host with the vendor's system requirements for the installed version";
    // --- what was installed
    "cc-signature" Both INSTALLATION, release::signature, true,
        "The release is signed by the signer that was pinned at the installation",
        "who could put another release there would be whoever he likes; the signature has to be verified before installing",
        "import the release key (`demisto-install keys import FILE`), then install a release that it signed: `demisto-install upgrade FILE`",
        "run `demisto-install verify --installed` with the release key";
    "cc-artefact" Both INSTALLATION, release::artefact, true,
        "The signed list of what is installed is the one of the installation",
        "another list would vouch for other files",
        "install the release again: `demisto-install upgrade FILE`",
        "compare the installed files with those of the vendor's package: rpm -V";
    "cc-drift" Both INSTALLATION, release::drift, true,
        "No installed file differs from what was signed",
        "what was evaluated and signed is what has to run",
        "`demisto-install verify --installed` lists all, `demisto-install repair` puts them right",
        "compare the installed files with those of the vendor's package: rpm -V";
    "cc-default-password" Server SERVER, release::default_password, true,
        "No default password was set: the installer was never run with -y",
        "with -y the vendor's installer sets the password admin for admin, which everybody tries first",
        "log in and change the password at once, or set one with `demisto-install otc add-admin`",
        "try to log in as admin with the password admin once, or let `demisto-install audit --try-default-login` do it: it costs one failed login, which counts for the lock-out";
    // --- what runs
    "cc-fips" Both FIPS, release::self_tests, true,
        "The FIPS-CC self-tests of the running product passed",
        "FIPS-CC mode cannot be switched off, but it is proven only by the line that the product logs when its self-tests passed",
        "restart the service; if its log stays without the line or tells of a failure, install the release again",
        LOG;
    "cc-engine-connection" Both CONNECTION, release::connection, true,
        "Engines are connected",
        "an engine that is not connected does nothing, and shows that the two do not trust each other",
        "`demisto-install log facts` tells what the engine says; `demisto-install cert probe HOST:PORT` what is wrong with the server's TLS",
        "look at Settings > Integrations > Engines on the server's web page: Connected is True";
    "cc-tls" Server OPERATIONS, service::tls, true,
        "The service speaks TLS 1.2 or later only, and chooses approved cipher suites",
        "older versions are broken, and only AES is approved",
        "let nothing but the product listen there; a proxy or load balancer in front of it has to be set right itself",
        LIVE;
    "cc-version" Both VERSION, release::running_version, true,
        "The version that runs is the one that was installed",
        "another version would not be what was verified",
        "restart the service; if another version still runs, look at what is in the installation directory: `demisto-install verify --installed`",
        LOG;
    "cc-users" Server USERS, release::always_manual, false,
        "Every user has the least role that he needs",
        "roles say what a user may see and change",
        "", "look at Settings > Users and Roles on the server's web page: users, roles, and who is locked out";
    "cc-password-policy" Server PASSWORDS, configuration::password_policy, true,
        "The password policy is at least as strict as the guide's table",
        "short passwords and endless tries let a guesser in",
        "`demisto-install config preset evaluated --yes` sets the guide's values, which the server reads at its next upgrade; set them on its web page, too",
        "look at Settings > Users and Roles > Password Policy on the server's web page and compare it with the guide's table";
    // --- configuration
    "cc-config-syntax" Both X509, configuration::syntax, true,
        "The configuration is valid JSON",
        "what is misspelt or lacks a quote lets the product take its defaults without a word, and these verify nothing",
        "mend the line that is named", LIVE;
    "cc-verify-servers" Both X509, configuration::verify_servers, true,
        "The certificates of servers are verified",
        "by default they are not, so whoever stands between can be any server",
        "`demisto-install config set security.certificate.override.donotverifyservercertificates=false SITE`, then restart the service", WEB;
    "cc-verify-clients" Server X509, configuration::verify_clients, true,
        "The certificates of clients are verified",
        "by default they are not, so whoever has any certificate is let in",
        "`demisto-install cert mutual on --policy verify`, then restart the service", WEB;
    "cc-client-policy" Server X509, configuration::client_policy, true,
        "A certificate that a client shows is verified",
        "without a policy the server asks for none, and with require it takes any",
        "`demisto-install cert mutual on --policy verify`, then restart the service", WEB;
    "cc-ca-sign" Both X509, configuration::ca_sign, true,
        "Authorities without the right to sign are refused",
        "a certificate that may not sign others must not vouch for any",
        "`demisto-install config set security.certificate.verifycasign=true SITE`, then restart the service", WEB;
    "cc-revocation" Both X509, configuration::revocation, true,
        "Certificates are checked for revocation",
        "by default a certificate whose key was stolen is taken for good until it expires",
        "`demisto-install config set security.certificate.verifyrevocation=true SITE`, then restart the service", WEB;
    "cc-trust-any" Engine X509, configuration::trust_any, true,
        "The engine does not trust just any server",
        "by default it does, whatever certificate it is shown",
        "`demisto-install config set engine.connection.trust_any_certificate=false SITE`, then restart the service", WEB;
    "cc-engine-urls" Engine X509, configuration::engine_urls, true,
        "The engine connects to its server over TLS only",
        "without TLS everybody on the way reads and changes what is said",
        "download the configuration again from the server (Settings > Engines) and give it to `demisto-install engine configure`", WEB;
    "cc-client-certificate" Engine X509, configuration::client_enabled, true,
        "The engine shows its certificate to the server",
        "the server can look only at the names of engines that show one",
        "`demisto-install config set security.client.enabled=true SITE`, then restart the service",
        "decide whether this engine needs one; `demisto-install cert install --engine --client --chain FILE --key FILE` installs it, with --name for an engine that has one";
    "cc-revocation-unknown" Both STATUS, configuration::unknown_status, true,
        "A certificate whose status cannot be found out is refused",
        "who can hold back the answer of the responder could use a revoked certificate",
        "`demisto-install config set security.certificate.failonunknownrevocationstatus=true SITE`, then restart the service", WEB;
    // --- names
    "cc-external-host" Both IDENTIFIERS, configuration::external_host, true,
        "The name by which the server is reached is set",
        "an engine finds in the server's certificate the name that it was told to expect, or refuses it",
        "`demisto-install config set Server.ExternalHostName=HOST:443 SITE`, then restart the service", WEB;
    "cc-client-san" Server IDENTIFIERS, configuration::client_san, true,
        "The names in clients' certificates are compared",
        "without it any certificate of a trusted authority gets in, whoever it was issued for",
        "`demisto-install config set security.certificate.verifyclientsan=true`, then restart the service", WEB;
    "cc-san-list" Server IDENTIFIERS, configuration::san_list, true,
        "The list of trusted names is there, with commas and no spaces",
        "an empty list lets nobody in, a name with a space or a wildcard is never found",
        "`demisto-install config set security.certificate.santrustlist=NAME,NAME`, then restart the service", WEB;
    // --- certificates
    "cc-trust-anchors" Both STORE, certificates::anchors, true,
        "Every authority of the installed chains is in the host's store",
        "who is not there is not trusted: certificate signed by unknown authority",
        "`demisto-install ca add FILE` with the certificates of the authorities, then restart the service",
        "compare the chain with what the host trusts";
    "cc-certificate-rules" Both TRICKS, certificates::rules, true,
        "The installed certificates and keys keep to every rule of the guide",
        "whatever breaks one is refused by the product or its peers",
        "`demisto-install cert check --installed SITE` tells what is wrong and what helps", "run `demisto-install cert check` on the certificates";
    "cc-certificate-files" Both TRICKS, certificates::places, true,
        "Certificates and keys have mode 400 and belong to demisto",
        "whoever reads the key can be the server; whoever is not demisto keeps the service from reading it",
        "chown demisto:demisto and chmod 400 the named files, and put back those that are missing", LIVE;
    "cc-served-certificate" Server TRICKS, certificates::served, true,
        "The service shows the certificate that is installed",
        "a change counts only after a restart, and what listens on the port might be something else",
        "restart the service", LIVE;
    // --- secrets
    "cc-keypass-encrypted" Server SENSITIVE, configuration::keypass_encrypt, true,
        "The passphrase of the private key is kept encrypted",
        "by default the database has it in clear text",
        "`demisto-install config set security.keypass.encrypt=true`, then restart the service", WEB;
    "cc-one-time" Server SENSITIVE, configuration::one_time, true,
        "No one-time configuration is left",
        "it holds passwords and passphrases in clear text, and the server deletes it only when it starts",
        "restart the service, which takes it over, or `demisto-install otc clear`", LIVE;
    "cc-credentials" Server SENSITIVE, release::always_manual, false,
        "Credentials of integrations are kept encrypted",
        "an integration that declares its key as plain text keeps it as plain text",
        "", "look at Settings > Integrations on the server's web page: keys and passwords are shown as asterisks";
    // --- the host
    "cc-config-file" Both PURPOSE, configuration::configuration_file, true,
        "Only the service and root can change the configuration",
        "the Protection Profile for Application Software (FMT_CFG_EXT.1.2) wants files protected from ordinary users",
        "chown demisto:demisto and chmod 640 the file", LIVE;
    "cc-directories" Both PURPOSE, configuration::directories, true,
        "Only the service and root can change data and logs",
        "the Protection Profile for Application Software (FMT_CFG_EXT.1.2) wants data protected from ordinary users",
        "chown demisto:demisto and chmod 750 the directory", LIVE;
    "cc-service-account" Both PURPOSE, service::account, true,
        "The service runs as demisto, never as root",
        "whoever takes over a service has its rights; the guide gives the files to demisto",
        DROP_IN, UNIT;
    "cc-service-privileges" Both PURPOSE, service::privileges, true,
        "The service cannot gain rights, and has none of root's but the one for ports below 1024",
        "the Protection Profile wants no more of the platform used than is needed",
        DROP_IN, UNIT;
    "cc-service-files" Both PURPOSE, service::file_system, true,
        "The service can write its own directories only",
        "the Protection Profile wants binaries and data protected from being changed (FMT_CFG_EXT.1.2)",
        DROP_IN, UNIT;
    "cc-service-kernel" Both PURPOSE, service::kernel, true,
        "The service can change nothing of the kernel and run no code that it wrote itself",
        "the Protection Profile wants no memory that can be written and run, and the platform's own protections on (FPT_AEX_EXT.1)",
        DROP_IN, UNIT;
}
