//! The keys of `d1.conf` that the reference engine obeys.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use serde_json::Value;

use crate::common::conf::Conf;
use crate::common::under;

/// The configuration with its defaults filled in.
pub(crate) struct Settings {
    pub(crate) servers: Vec<Server>,
    pub(crate) engine_id: String,
    pub(crate) trust_any_certificate: bool,
    pub(crate) client: Option<Client>,
    pub(crate) log: PathBuf,
    pub(crate) log_level: String,
    bind_address: String,
    has_server_key: bool,
    docker: bool,
}

/// One of `EngineURLs`.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) path: String,
}

/// The certificate that the engine shows to the server, its paths below the root.
pub(crate) struct Client {
    pub(crate) certificates: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) passphrase: Option<String>,
}

impl Settings {
    /// Reads the file at `path`; the paths in it lie below `root`.
    pub(crate) fn load(root: &Path, path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let conf = Conf::load(path)?.ok_or_else(|| anyhow!("{shown} is missing"))?;
        let urls = conf.value("engineurls").and_then(Value::as_array);
        let urls = urls.ok_or_else(|| anyhow!("{shown}: EngineURLs is missing or not a list"))?;
        let servers = urls.iter().map(Server::parse).collect::<anyhow::Result<Vec<_>>>()?;
        if servers.is_empty() {
            bail!("{shown}: EngineURLs names no server");
        }
        let engine_id = conf.text("engineid").ok_or_else(|| anyhow!("{shown}: EngineID is missing"))?;
        if engine_id.chars().any(|c| c.is_control() || !c.is_ascii()) {
            bail!("{shown}: EngineID has characters that an id can't have");
        }
        Ok(Self {
            servers,
            engine_id: engine_id.to_owned(),
            trust_any_certificate: flag(&conf, "engine.connection.trust_any_certificate", true),
            client: client(root, path, &conf),
            log: PathBuf::from(conf.text("logfile").unwrap_or("/var/log/demisto/d1.log")),
            log_level: conf.text("loglevel").unwrap_or("info").to_owned(),
            bind_address: conf.text("bindaddress").unwrap_or(":443").to_owned(),
            has_server_key: conf.text("serverpublic").is_some(),
            docker: flag(&conf, "python.engine.docker", false),
        })
    }

    /// One line about the keys that are read but have no effect in the reference.
    pub(crate) fn describe(&self) -> String {
        format!(
            "engine {}: bind address {}, server key {}, python in containers: {}",
            self.engine_id,
            self.bind_address,
            if self.has_server_key { "given" } else { "not given" },
            self.docker
        )
    }
}

/// A boolean; a quoted one silently means the default, as in the product.
fn flag(conf: &Conf, key: &str, default: bool) -> bool {
    conf.value(key).and_then(Value::as_bool).unwrap_or(default)
}

/// Unless the configuration names them, certificate and key lie beside it.
fn client(root: &Path, beside: &Path, conf: &Conf) -> Option<Client> {
    let place = |key: &str, name: &str| {
        conf.text(key).map_or_else(|| beside.with_file_name(name), |path| under(root, path))
    };
    flag(conf, "security.client.enabled", false).then(|| Client {
        certificates: place("security.client.certfile", "client.pem"),
        key: place("security.client.keyfile", "client.key"),
        passphrase: conf.text("security.certificate.client.keypass").map(str::to_owned),
    })
}

impl Server {
    /// Reads `wss://host[:port]/path`; an IPv6 address stands in brackets.
    fn parse(value: &Value) -> anyhow::Result<Self> {
        let url = value.as_str().unwrap_or_default();
        let parts = || {
            let (authority, path) = url.strip_prefix("wss://")?.split_once('/')?;
            let (host, port) = match authority.rsplit_once(':') {
                Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
                _ => (authority, 443),
            };
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let clean = !host.is_empty() && !url.chars().any(|c| c.is_control() || c == ' ');
            clean.then(|| (host.to_owned(), port, format!("/{path}")))
        };
        let (host, port, path) =
            parts().ok_or_else(|| anyhow!("EngineURLs: '{url}' is not of the form wss://host:port/d1ws"))?;
        Ok(Self { url: url.to_owned(), host, port, path })
    }
}
