//! `audit` in scratch roots: its table, its choices, and that the page is one, whatever names are in it. What it finds on
//! a real machine is in `e2e::audit`.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use demisto_install::audit::REQUIREMENTS;
use serde_json::Value;

use crate::cert_install::server;
use crate::docs;
use crate::support::installer::{Root, Vendor, run, said, summary};
use crate::support::pgp::need;

const HARDENED: &str = "[Service]\nUser=demisto\nGroup=demisto\nUMask=0027\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n\
     CapabilityBoundingSet=CAP_NET_BIND_SERVICE\nNoNewPrivileges=yes\nProtectSystem=strict\nProtectHome=true\nPrivateTmp=1\n\
     PrivateDevices=on\nProtectKernelTunables=yes\nProtectKernelModules=yes\nProtectKernelLogs=yes\n\
     ProtectControlGroups=yes\nLockPersonality=yes\nMemoryDenyWriteExecute=yes\nRestrictRealtime=yes\n\
     RestrictSUIDSGID=yes\nSystemCallArchitectures=native\n";

fn audit(root: &Root, options: &[&str]) -> Output {
    let mut command = run("audit", root.path());
    command.arg("--key").arg(Vendor::get().file("release.asc")).args(options).output().unwrap()
}

/// The last line of an audit that tells in JSON.
pub(crate) fn result(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(text.lines().last().unwrap_or_default())
        .unwrap_or_else(|e| panic!("{e}: {}", said(output)))
}

/// What is said of one requirement.
fn finding(result: &Value, id: &str) -> Value {
    let findings = result["audit"]["installations"][0]["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["id"] == id).unwrap_or_else(|| panic!("{id}: {result}")).clone()
}

fn outcome(root: &Root, id: &str) -> String {
    finding(&result(&audit(root, &["--output", "json"])), id)["outcome"].as_str().unwrap().to_owned()
}

#[test]
fn the_page_of_the_docs_shows_this_table() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/audit.md")).unwrap();
    let shown = docs::rows(&page, "| Requirement |");
    let expected: Vec<Vec<String>> = REQUIREMENTS
        .iter()
        .map(|one| {
            let what = if one.can_fail { one.what.to_owned() } else { format!("{} (never fails)", one.what) };
            vec![format!("`{}`", one.id), one.applies.words().to_owned(), one.section.to_owned(), what]
        })
        .collect();
    let wanted: String = expected.iter().map(|row| format!("| {} |\n", row.join(" | "))).collect();
    assert!(shown == expected, "docs/audit.md should show\n{wanted}");
}

#[test]
fn every_requirement_is_told_in_full() {
    for one in REQUIREMENTS {
        assert!(one.id.starts_with("cc-") && !one.why.is_empty() && !one.by_hand.is_empty(), "{}", one.id);
        assert_eq!(one.can_fail, !one.fix.is_empty(), "{}: what can fail can be mended", one.id);
        assert_eq!(REQUIREMENTS.iter().filter(|other| other.id == one.id).count(), 1, "{}", one.id);
        let output = run("audit", Path::new("/")).args(["--explain", one.id]).output().unwrap();
        let told = said(&output);
        assert!(told.contains(one.what) && told.contains(one.section), "{}: {told}", one.id);
    }
    let output = run("audit", Path::new("/")).args(["--list", "--output", "json"]).output().unwrap();
    assert_eq!(result(&output)["requirements"].as_array().unwrap().len(), REQUIREMENTS.len());
    for (option, id) in [("--explain", "cc-drfit"), ("--only", "fisp"), ("--skip", "cc-nothing-like-it")] {
        let output = run("audit", Path::new("/")).args([option, id]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert_eq!(
            said(&output).contains("was probably meant"),
            id != "cc-nothing-like-it",
            "{}",
            said(&output)
        );
    }
}

#[test]
fn what_needs_the_running_service_is_manual_in_another_root() {
    let root = server();
    let before = root.snapshot();
    let told = result(&audit(&root, &["--output", "json"]));
    for id in ["cc-tls", "cc-served-certificate", "cc-fips", "cc-version"] {
        let finding = finding(&told, id);
        assert_eq!(finding["outcome"], "manual", "{finding}");
        assert!(finding["by_hand"].is_string() && finding["evidence"][0].is_string(), "{finding}");
    }
    for id in
        ["cc-signature", "cc-artefact", "cc-drift", "cc-default-password", "cc-one-time", "cc-config-syntax"]
    {
        assert_eq!(finding(&told, id)["outcome"], "pass", "{told}");
    }
    assert!(before.differences(&root.snapshot()).is_empty(), "a look changes nothing");
    let without_key = run("audit", root.path()).args(["--output", "json"]).output().unwrap();
    assert_eq!(finding(&result(&without_key), "cc-signature")["outcome"], "fail");
    assert_eq!(finding(&result(&without_key), "cc-drift")["outcome"], "manual");
}

#[test]
fn only_what_is_chosen_counts() {
    let root = server();
    let chosen = |options: &[&str]| {
        let output = audit(&root, &[&["--output", "json"], options].concat());
        let told = result(&output);
        let findings = told["audit"]["installations"][0]["findings"].as_array().unwrap().clone();
        let ids: Vec<String> = findings.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
        (ids, output.status.code())
    };
    assert_eq!(
        chosen(&["--only", "drift,cc-signature"]),
        (vec!["cc-signature".into(), "cc-drift".into()], Some(0))
    );
    assert_eq!(chosen(&["--only", "revocation"]), (vec!["cc-revocation".to_owned()], Some(4)));
    let (ids, code) = chosen(&["--skip", "cc-drift"]);
    assert_eq!((ids.len(), code), (REQUIREMENTS.len() - 1, Some(4)));
    let quiet = audit(&root, &["--quiet"]);
    assert_eq!((quiet.stdout.as_slice(), quiet.status.code()), (&b""[..], Some(4)));
}

#[test]
fn nothing_installed_is_told_as_such() {
    let root = Root::furnished();
    let output = audit(&root, &[]);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(said(&output).contains("nothing is installed"), "{}", said(&output));
}

/// Where systemd cannot be asked, the unit's files are read: its drop-ins, too.
#[test]
fn a_unit_is_judged_by_its_files() {
    let root = server();
    let ids = ["cc-service-account", "cc-service-privileges", "cc-service-files", "cc-service-kernel"];
    let states = |root: &Root| ids.map(|id| outcome(root, id));
    assert_eq!(states(&root), ["fail"; 4], "the unit of the small release says nothing");
    root.put("etc/systemd/system/demisto.service", HARDENED.as_bytes(), 0o644);
    assert_eq!(states(&root), ["pass"; 4]);
    fs::create_dir(root.at("etc/systemd/system/demisto.service.d")).unwrap();
    let drop_in = "etc/systemd/system/demisto.service.d/50-local.conf";
    for (number, text) in [
        "User=root",
        "NoNewPrivileges=no",
        "CapabilityBoundingSet=CAP_SYS_ADMIN",
        "CapabilityBoundingSet=~CAP_KILL",
        "AmbientCapabilities=CAP_CHOWN",
        "ProtectSystem=no",
        "UMask=0022",
        "ProtectHome=",
        "MemoryDenyWriteExecute=false",
    ]
    .iter()
    .enumerate()
    {
        root.put(drop_in, format!("[Service]\n{text}\n").as_bytes(), 0o644);
        let failing = match number {
            0 => 0,
            1..=4 => 1,
            5..=7 => 2,
            _ => 3,
        };
        for (which, state) in states(&root).iter().enumerate() {
            assert_eq!(state, if which == failing { "fail" } else { "pass" }, "{text}: {}", ids[which]);
        }
    }
    fs::remove_file(root.at("etc/systemd/system/demisto.service")).unwrap();
    assert_eq!(states(&root), ["manual"; 4]);
}

/// What the service may do to its own files and keys keeps nothing from being judged.
#[test]
fn nothing_becomes_manual_by_what_the_service_can_write() {
    let root = server();
    let ids = ["cc-certificate-rules", "cc-certificate-files", "cc-trust-anchors"];
    fs::create_dir(root.at("var/lib/demisto/dir")).unwrap();
    let conf = root.at("etc/demisto.conf");
    let good = fs::read_to_string(&conf).unwrap();
    let with = |more: &str| {
        root.put("etc/demisto.conf", good.replacen('{', &format!("{{{more},"), 1).as_bytes(), 0o640)
    };
    for key in ["keyfile", "certfile"] {
        with(&format!("\"security.{key}\": \"/var/lib/demisto/dir\""));
        for id in ids {
            assert_eq!(outcome(&root, id), "fail", "{key}: {id}");
        }
    }
    let revocation = "\"security.certificate.verifyrevocation\": true";
    with(revocation);
    assert_eq!(outcome(&root, "cc-revocation"), "pass");
    for other in [
        "{\"Certificate\": {\"VerifyRevocation\": false}}",
        "{\"Certificate\": {\"verifyRevocation\": \"true\"}}",
    ] {
        with(&format!("{revocation}, \"Security\": {other}"));
        for id in ["cc-config-syntax", "cc-revocation"] {
            assert_eq!(outcome(&root, id), "fail", "{other}: {id}");
        }
        assert_eq!(outcome(&root, "cc-keypass-encrypted"), "fail", "it is not set");
    }
    with("\"Server.OneTimeConfPath\": \"/var/lib/demisto/other.json\"");
    root.put("var/lib/demisto/otc.conf.json", b"{}", 0o400);
    assert_eq!(outcome(&root, "cc-one-time"), "fail", "the usual place counts, too");
    with("\"Server.ExternalHostName\": \"https://me:hunter2@soar.example.test\"");
    let told = result(&audit(&root, &["--output", "json"])).to_string();
    assert!(told.contains("soar.example.test") && !told.contains("hunter2"), "{told}");
}

/// Judges markup with a parser that is not ours, and gives the tags that it found.
fn tags(page: &str) -> Vec<String> {
    need("python3", "python3");
    let script = "import html.parser, sys\n\
         VOID = {'meta'}\nopen_tags = []\n\
         class Page(html.parser.HTMLParser):\n\
        \x20   def handle_starttag(self, tag, attrs):\n\
        \x20       print(tag, *sorted(name for name, _ in attrs))\n\
        \x20       if tag not in VOID: open_tags.append(tag)\n\
        \x20   def handle_endtag(self, tag):\n\
        \x20       assert open_tags.pop() == tag, tag\n\
         page = Page()\npage.feed(sys.stdin.read())\npage.close()\nassert not open_tags, open_tags\n";
    let mut child = Command::new("/usr/bin/python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(page.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Opens a page in Chromium, without a network and with a home of its own.
fn chromium(dir: &Path, page: &Path, options: &[&str]) -> String {
    need("chromium", "chromium");
    let mut command = Command::new("/usr/bin/timeout");
    command.args(["60", "unshare", "--net", "chromium", "--headless", "--no-sandbox", "--disable-gpu"]);
    command.args(["--no-first-run", "--disable-background-networking", "--disable-component-update"]);
    command.arg(format!("--user-data-dir={}/data", dir.display())).args(options);
    command.arg(format!("file://{}", page.display())).current_dir(dir).stdin(Stdio::null());
    command.env_clear().env("HOME", dir).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const HOSTILE: &str = "</title><script>document.title='owned'</script><img src=x onerror=alert(1)>";

#[test]
fn the_page_is_one_whatever_names_are_in_it() {
    let root = server();
    root.put("etc/hostname", format!("{HOSTILE}\n").as_bytes(), 0o644);
    root.put("etc/os-release", format!("ID=x\nVERSION_ID=1\nPRETTY_NAME=\"{HOSTILE}\"\n").as_bytes(), 0o644);
    let conf = format!("{{\"server.certificate.clientauthpolicy\": {}}}", Value::from(HOSTILE));
    root.put("etc/demisto.conf", conf.as_bytes(), 0o640);
    let dir = tempfile::tempdir().unwrap();
    openssl(
        dir.path(),
        "req -x509 -newkey rsa:2048 -nodes -days 300 -keyout key.pem -out cert.pem -config cnf",
    );
    fs::copy(dir.path().join("cert.pem"), root.at("usr/local/demisto/cert.pem")).unwrap();
    let page = dir.path().join("audit.html");
    let write = |options: &[&str]| {
        let named = page.display().to_string();
        audit(&root, &[&["--html", &named, "--color", "always"], options].concat())
    };
    let output = write(&[]);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(said(&output).contains("\u{1b}[1;31mfail"), "{}", said(&output));
    assert_eq!(fs::metadata(&page).unwrap().permissions().mode() & 0o7777, 0o600);

    let text = fs::read_to_string(&page).unwrap();
    assert_eq!(text.matches("&lt;/title&gt;&lt;script&gt;").count(), text.matches("owned").count());
    assert!(text.matches("owned").count() >= 5, "host, system, key and certificate:\n{text}");
    let found = tags(&text);
    for tag in ["script", "img", "link", "iframe", "object", "form", "a", "base"] {
        assert!(!found.iter().any(|one| one.split(' ').next() == Some(tag)), "{tag}: {found:?}");
    }
    let handles = |one: &String| {
        one.split(' ').skip(1).any(|name| name.starts_with("on") || name == "style" || name == "src")
    };
    assert!(!found.iter().any(handles), "{found:?}");
    assert!(
        !text.contains("url(")
            && !text.contains("@import")
            && !text.contains("http://")
            && !text.contains("https://")
    );

    let dom = chromium(dir.path(), &page, &["--dump-dom"]);
    assert!(
        dom.contains("<title>Audit of &lt;/title&gt;&lt;script&gt;") && !dom.contains("<script"),
        "{dom}"
    );
    for one in REQUIREMENTS {
        assert!(dom.contains(&format!("<code>{}</code>", one.id)), "{}", one.id);
    }
    look(dir.path(), &page);

    // a page that is there is kept
    let again = write(&[]);
    assert_eq!(again.status.code(), Some(2), "{}", said(&again));
    assert!(said(&again).contains("--force"), "{}", said(&again));
    assert_eq!(fs::read_to_string(&page).unwrap(), text);
    fs::set_permissions(&page, Permissions::from_mode(0o644)).unwrap();
    assert_eq!(write(&["--force"]).status.code(), Some(4));
    assert_eq!(fs::metadata(&page).unwrap().permissions().mode() & 0o7777, 0o600);
}

/// A picture of the page, and the page on paper: what was seen of them counts, this only holds that they are made.
fn look(dir: &Path, page: &Path) {
    let (picture, paper) = (dir.join("audit.png"), dir.join("audit.pdf"));
    let size = "--window-size=1000,3000";
    chromium(dir, page, &[size, "--hide-scrollbars", &format!("--screenshot={}", picture.display())]);
    chromium(dir, page, &["--no-pdf-header-footer", &format!("--print-to-pdf={}", paper.display())]);
    assert_eq!(&fs::read(&picture).unwrap()[..8], b"\x89PNG\r\n\x1a\n");
    need("pdftotext", "poppler-utils");
    let output = Command::new("/usr/bin/pdftotext").args(["-layout"]).arg(&paper).arg("-").output().unwrap();
    let pages: Vec<String> =
        String::from_utf8(output.stdout).unwrap().split('\u{c}').map(str::to_owned).collect();
    assert!((3..=9).contains(&pages.len()), "{} pages", pages.len());
    // every requirement stands on one page: its name and its reason
    for one in REQUIREMENTS.iter().filter(|one| one.can_fail && one.id != "cc-trust-any") {
        let holds = |page: &&String| page.contains(one.id);
        assert!(pages.iter().any(|page| holds(&page)), "{} is on no page", one.id);
    }
    if let Some(keep) = std::env::var_os("DEMISTO_TEST_SCREENSHOTS") {
        for file in [&picture, &paper] {
            fs::copy(file, Path::new(&keep).join(file.file_name().unwrap())).unwrap();
        }
    }
    summary(
        "audit-page",
        &format!("the page of an audit: parsed, shown in Chromium, {} pages on paper", pages.len() - 1),
    );
}

fn openssl(dir: &Path, words: &str) {
    let text = "[req]\nprompt=no\ndistinguished_name=dn\nx509_extensions=v3\n[dn]\n\
                CN=</title><script>owned</script><img src=x onerror=alert(1)>\n\
                [v3]\nsubjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n";
    fs::write(dir.join("cnf"), text).unwrap();
    let output = Command::new("/usr/bin/openssl").current_dir(dir).args(words.split(' ')).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
}
