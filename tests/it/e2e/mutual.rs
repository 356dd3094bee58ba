//! Mutual authentication of the web page as a person meets it: a real Chromium, the reference product with
//! `cert mutual on`, and the certificates that `cert csr` and `cert client` make. The browser runs on this machine, in a mount
//! namespace of its own in which its policy lies, and with a home of its own.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::reference_product::host::Host;
use crate::support::installer::{PROGRAM, Tree, Vendor, said, summary};

/// The passphrase of the PKCS#12 files.
const PASS: &str = "Marker.p12-pass";
/// What the login page says.
const PAGE: &str = "<h1>Reference product</h1>";
/// How Chromium tells that the server wants another certificate, or one at all. In TLS 1.3 the server closes
/// when the browser is done already, and the alert may be overtaken by that.
const REFUSED: [&str; 4] =
    ["BAD_SSL_CLIENT_AUTH_CERT", "SOCKET_NOT_CONNECTED", "CONNECTION_RESET", "CONNECTION_CLOSED"];

/// Two CAs, and certificates of each.
struct Desk {
    dir: TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { dir: tempfile::tempdir().unwrap() };
        fs::write(desk.path("pass"), PASS).unwrap();
        fs::set_permissions(desk.path("pass"), fs::Permissions::from_mode(0o600)).unwrap();
        for ca in ["ca", "other"] {
            desk.tool(&format!(
                "openssl req -x509 -newkey rsa:2048 -nodes -days 90 -keyout {ca}.key -out {ca}.pem -subj /CN={ca} \
                 -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign"
            ));
        }
        for (name, ca) in [("alice", "ca"), ("mallory", "other")] {
            desk.program(&format!(
                "cert client --out-dir {name} --name {name} --ca-cert {ca}.pem --ca-key {ca}.key --days 30 --p12 \
                 --p12-passphrase-file pass"
            ));
        }
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn tool(&self, line: &str) -> Output {
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next().unwrap());
        let output = command.args(words).current_dir(self.dir.path()).output().unwrap();
        assert!(output.status.success(), "{line}: {}", said(&output));
        output
    }

    fn program(&self, line: &str) -> Output {
        self.tool(&format!("{PROGRAM} {line}"))
    }

    /// The reference product, installed in a root of its own with a certificate of the first CA for
    /// `localhost`, and trusting that CA.
    fn server(&self) -> Host {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = Host { root: tempfile::tempdir().unwrap(), port };
        self.program("cert csr --out-dir server --name localhost --key-type ec:p256");
        self.tool(
            "openssl x509 -req -in server/cert.csr -CA ca.pem -CAkey ca.key -copy_extensions copy -days 60 -out leaf.pem",
        );
        let chain = ["leaf.pem", "ca.pem"].map(|file| fs::read(self.path(file)).unwrap()).concat();
        fs::write(self.path("server/cert.pem"), chain).unwrap();
        let answers = json!({"accept_eula": true, "port": port, "admin_name": "admin"});
        fs::write(self.path("answers.json"), answers.to_string()).unwrap();
        let tree = Tree::new();
        let version =
            json!({"product": "demisto", "version": "6.14.0", "build": 7, "schema": 1, "fault": null});
        tree.put("version.json", version.to_string().as_bytes());
        let (bundle, vendor, root) = (tree.pack("mutual", &[]), Vendor::get(), host.root.path().display());
        let (bundle, key) = (bundle.display(), vendor.file("release.asc"));
        self.program(&format!(
            "install {bundle} --root {root} --no-owner --key {} --answers answers.json --admin-password-file {} \
             --cert server/cert.pem --cert-key server/cert.key",
            key.display(),
            vendor.file("password").display(),
        ));
        fs::create_dir_all(host.path("etc/ssl/certs")).unwrap();
        fs::copy(self.path("ca.pem"), host.path("etc/ssl/certs/ca-certificates.crt")).unwrap();
        host
    }

    /// A browser that trusts the first CA and has imported a PKCS#12 file, if one is named.
    fn browser(&self, name: &str, p12: Option<&str>) -> Browser<'_> {
        let store = format!("sql:{name}/.pki/nssdb");
        fs::create_dir_all(self.path(name).join(".pki/nssdb")).unwrap();
        self.tool(&format!("certutil -N --empty-password -d {store}"));
        self.tool(&format!("certutil -A -d {store} -t C,, -n ca -i ca.pem"));
        if let Some(p12) = p12 {
            self.tool(&format!("pk12util -i {p12} -d {store} -w pass"));
        }
        Browser { desk: self, home: self.path(name) }
    }
}

struct Browser<'a> {
    desk: &'a Desk,
    home: PathBuf,
}

impl Browser<'_> {
    /// Opens the page and gives what is shown, as HTML, and why nothing is, if so. The picture of the page goes
    /// to `screenshot.png`.
    ///
    /// The policy lets it show a certificate without asking, as a person would choose it.
    fn open(&self, port: u16) -> String {
        let url = format!("https://localhost:{port}");
        let policy = self.home.join("etc/policies/managed");
        fs::create_dir_all(&policy).unwrap();
        let choice = json!({"pattern": url, "filter": {}}).to_string();
        fs::write(policy.join("choice.json"), json!({"AutoSelectCertificateForUrls": [choice]}).to_string())
            .unwrap();
        let script = "mount --bind \"$HOME/etc\" /etc/chromium && exec /usr/bin/chromium \"$@\"";
        let home = self.home.display();
        let mut command = Command::new("/usr/bin/timeout");
        command.args([
            "60",
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "bash",
            "-c",
            script,
            "chromium",
        ]);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        command.args(["--window-size=900,700", "--dump-dom"]);
        command
            .arg(format!("--user-data-dir={home}/data"))
            .arg(format!("--screenshot={home}/screenshot.png"));
        command.arg(format!("{url}/")).current_dir(self.desk.dir.path());
        command.env_clear().env("HOME", &self.home).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let output = command.stdin(Stdio::null()).output().unwrap();
        // without the complaints that this machine has no desktop
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let errors = errors.lines().filter(|line| !line.contains(":ERROR:dbus/")).collect::<Vec<_>>();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), errors.join("\n"))
    }

    /// The size of the picture in pixels, after a look at its first bytes (PNG, section 11.2.2).
    fn picture(&self) -> (u32, u32) {
        let bytes = fs::read(self.home.join("screenshot.png")).unwrap();
        assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        if let Some(dir) = std::env::var_os("DEMISTO_TEST_SCREENSHOTS") {
            let name = format!("{}.png", self.home.file_name().unwrap().to_string_lossy());
            fs::copy(self.home.join("screenshot.png"), Path::new(&dir).join(name)).unwrap();
        }
        (number(16), number(20))
    }
}

fn refused(shown: &str) {
    let told = REFUSED.iter().any(|why| shown.contains(&format!("Page load failed: net::ERR_{why}")));
    assert!(told && !shown.contains("<h1>"), "{shown}");
}

#[test]
fn the_page_opens_for_the_imported_certificate_only() {
    let desk = Desk::new();
    let host = desk.server();

    // Without mutual authentication everybody sees it: what follows is due to the two keys.
    let server = host.serve();
    let stranger = desk.browser("nobody", None);
    let shown = stranger.open(host.port);
    assert!(shown.contains(PAGE), "{shown}");
    server.stop();

    let root = host.root.path().display();
    desk.program(&format!("cert mutual on --root {root} --yes"));
    let server = host.serve();
    let alice = desk.browser("alice-browser", Some("alice/alice.p12"));
    let shown = alice.open(host.port);
    assert!(shown.contains(PAGE) && shown.contains("Sign in"), "{shown}");
    assert!(host.lines("client certificate 'CN=alice' (verified)") > 0);
    assert_eq!(alice.picture(), (900, 700));

    let before = host.lines("peer did not return a certificate");
    refused(&stranger.open(host.port));
    assert!(host.lines("peer did not return a certificate") > before, "none was shown");

    let before = host.lines("client certificate signed by unknown authority");
    let mallory = desk.browser("mallory-browser", Some("mallory/mallory.p12"));
    refused(&mallory.open(host.port));
    assert!(
        host.lines("client certificate signed by unknown authority") > before,
        "it was shown, and refused"
    );
    assert!(!mallory.home.join("screenshot.png").exists(), "there was a page to make a picture of");

    let shown = alice.open(host.port);
    assert!(shown.contains(PAGE), "{shown}");
    server.stop();

    desk.program(&format!("cert mutual off --root {root} --yes"));
    let server = host.serve();
    let shown = stranger.open(host.port);
    assert!(shown.contains(PAGE), "{shown}");
    server.stop();
    assert!(!Path::new("/etc/chromium/policies").exists(), "the policy was for these browsers only");
    assert_eq!(host.lines(PASS), 0);
    summary(
        "mutual",
        "the page in Chromium: opened with the imported certificate and before and after mutual authentication, refused without one and with another CA's",
    );
}
