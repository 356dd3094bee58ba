//! The keys of `/etc/demisto.conf` that the reference server obeys.
//!
//! A key that it doesn't know is ignored without a word, and so is a value of the wrong type:
//! that is the product's behaviour, and the reason why the installer checks the file.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use serde_json::Value;

use crate::common::conf::Conf;
use crate::common::log::Log;
use crate::common::release::HOME;
use crate::common::under;

/// The configuration with its defaults filled in and its paths below the root.
pub(crate) struct Settings {
    pub(crate) port: u16,
    pub(crate) certificates: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) passphrase: Option<String>,
    pub(crate) otc: PathBuf,
    pub(crate) log_level: String,
    pub(crate) clients: Clients,
}

/// What the server wants of the certificates of its clients, browsers and engines alike.
#[derive(Clone, Copy)]
pub(crate) struct Clients {
    /// They are asked for one.
    pub(crate) ask: bool,
    /// Without one the handshake fails.
    pub(crate) require: bool,
    /// One that the host does not trust fails, too.
    pub(crate) verify: bool,
}

impl Clients {
    /// An unknown policy silently means the default, as in the product.
    fn of(conf: &Conf) -> Self {
        let policy = conf.text("server.certificate.clientauthpolicy").unwrap_or_default();
        // The guide spells the switch in two ways.
        let switches = [
            "security.server.certificate.donotverifyclientcertificates",
            "security.certificate.override.donotverifyclientcertificates",
        ];
        let verifies = switches.iter().any(|key| conf.value(key) == Some(&Value::Bool(false)));
        let require = matches!(policy, "require" | "requireandverify");
        let verify = matches!(policy, "verify" | "requireandverify");
        Self { ask: require || verify, require, verify: verify && verifies }
    }
}

impl Settings {
    /// Reads the file; without one everything has its default.
    pub(crate) fn load(root: &Path, log: &Log) -> anyhow::Result<Self> {
        let conf = Conf::load(&under(root, "/etc/demisto.conf"))?.unwrap_or_default();
        let path = |key, default: String| under(root, conf.text(key).unwrap_or(&default));
        Ok(Self {
            port: port(&conf, log)?,
            certificates: path("security.certfile", format!("{HOME}/cert.pem")),
            key: path("security.keyfile", format!("{HOME}/cert.key")),
            passphrase: conf.text("security.keypass").map(str::to_owned),
            otc: path("server.onetimeconfpath", "/var/lib/demisto/otc.conf.json".to_owned()),
            log_level: conf.text("log.level").unwrap_or("info").to_owned(),
            clients: Clients::of(&conf),
        })
    }
}

fn port(conf: &Conf, log: &Log) -> anyhow::Result<u16> {
    let text = match conf.value("server.httpsport") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => {
            log.warning(format!("Server.HttpsPort should be the text \"{number}\", not a number"));
            number.to_string()
        }
        _ => "443".to_owned(),
    };
    let port = text.parse().ok().filter(|port| *port != 0);
    port.ok_or_else(|| anyhow!("Server.HttpsPort: '{text}' is not a port (1 to 65535)"))
}
