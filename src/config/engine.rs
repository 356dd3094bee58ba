//! `d1.conf`, the configuration of an engine (guide, "Engine configuration file"; Administrator Guide,
//! "Common Properties"). All problems are found at once; keys that are not known are noted and kept.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use serde_json::Value;

use super::Result;
use super::forms::{bind_port, is_clean_path, is_proxy, is_uuid, servers};
use super::table::{Key, Kind, table};
use super::tree::Document;
use crate::product::Role;

/// Where an engine logs unless `LogFile` says otherwise.
pub const DEFAULT_LOG: &str = "/var/log/demisto/d1.log";

/// A value that an engine would refuse, or in whose place it would silently use its default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key.
    pub key: &'static str,
    /// What is there. Never a value that may be secret.
    pub what: String,
    /// What it should be.
    pub why: &'static str,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.key, self.what, self.why)
    }
}

/// What was found in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Engine {
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// Keys, as they are spelt, that are not known.
    pub unknown: Vec<String>,
    /// The server's public key, base64 of DER.
    pub server_public: Option<String>,
    /// The port of `BindAddress`; 0 when the system chooses one.
    pub port: Option<u16>,
    /// `LogFile`.
    pub log_file: Option<String>,
    /// Whether its log tells that it is connected: `LogLevel` hides that when it is `warning` or `error`.
    pub logs_connection: bool,
}

/// What the value of a key has to be.
#[derive(Debug, Clone, Copy)]
enum Form {
    Servers { needed: bool },
    Uuid,
    PublicKey,
    Bind,
    Level,
    Log,
    Bool,
    Number,
    Path,
    Proxy,
    Any,
}

/// What is looked at in the value of a key; `None` when it may be anything.
fn form(key: &Key) -> Option<Form> {
    match key.kind {
        Kind::Servers => Some(Form::Servers { needed: key.required }),
        Kind::Uuid => Some(Form::Uuid),
        Kind::PublicKey if key.required => Some(Form::PublicKey),
        Kind::Bind => Some(Form::Bind),
        Kind::String if key.key == "LogLevel" => Some(Form::Level),
        Kind::Path if key.key == "LogFile" => Some(Form::Log),
        Kind::Path if key.key.starts_with("security.") => Some(Form::Path),
        Kind::Boolean => Some(Form::Bool),
        Kind::Integer => Some(Form::Number),
        Kind::Url => Some(Form::Proxy),
        Kind::Any | Kind::Count => None,
        Kind::String | Kind::Path | Kind::PublicKey | Kind::Port | Kind::List | Kind::HostPort => {
            Some(Form::Any)
        }
    }
}

/// Directory of the product's logs.
const LOGS: &str = "/var/log/demisto";

/// Judges a configuration. `log_dir` is the engine's own directory of logs.
///
/// # Errors
/// When the text is no JSON object.
pub fn engine(text: &str, log_dir: &str) -> Result<Engine> {
    let document = Document::parse(text)?;
    let mut found = Engine { logs_connection: true, ..Engine::default() };
    for key in table().keys.iter().filter(|key| key.role.includes(Role::Engine)) {
        let Some(form) = form(key) else { continue };
        let node = key.names().find_map(|name| document.value(&name.to_ascii_lowercase()));
        let value = node.and_then(|node| serde_json::from_str(document.raw(node)).ok());
        match value {
            Some(value) => look(&key.key, form, &value, log_dir, &mut found),
            None if key.required => {
                found.problems.push(Problem { key: &key.key, what: "is missing".to_owned(), why: why(form) });
            }
            None => {}
        }
    }
    let known = |name: &str| {
        let role = table().find(name).map(|key| key.role).or(table().family(name).map(|family| family.role));
        role.is_some_and(|role| role.includes(Role::Engine))
    };
    let unknown = document.leaves()?.into_iter().filter(|leaf| !known(&leaf.key));
    found.unknown = unknown.map(|leaf| leaf.names.join(".")).collect();
    Ok(found)
}

/// Where a configuration lets the engine log; whatever else is wrong with it.
#[must_use]
pub fn engine_log(text: &str, log_dir: &str) -> (Option<String>, bool) {
    match engine(text, log_dir) {
        Ok(found) => (found.log_file, found.logs_connection),
        Err(_) => (None, true),
    }
}

fn why(form: Form) -> &'static str {
    match form {
        Form::Servers { .. } => "a list of addresses such as wss://server.example.org:443/d1ws is needed",
        Form::Uuid => {
            "the id that the server gave the engine is needed, such as ff1dea73-8b22-437a-adb8-391514c05cfa"
        }
        Form::PublicKey => "the server's RSA public key is needed, base64 of DER, 2048 bits or more",
        Form::Bind => "an address such as \":443\", \":0\" or \"192.0.2.1:8443\" is needed",
        Form::Level => "debug, info, warning or error is needed; anything else counts as info",
        Form::Log => "a file is needed that lies in /var/log/demisto or in the engine's own directory there",
        Form::Bool => "true or false is needed, without quotes; anything else counts as the default",
        Form::Number => "a whole number is needed, without quotes",
        Form::Path => "an absolute path is needed",
        Form::Proxy => "an address such as http://proxy.example.org:3128 is needed",
        Form::Any => "a text or a list is needed",
    }
}

fn look(key: &'static str, form: Form, value: &Value, log_dir: &str, found: &mut Engine) {
    let text = value.as_str();
    let good = match form {
        Form::Servers { needed } => servers(value, needed),
        Form::Uuid => text.is_some_and(is_uuid),
        Form::PublicKey => {
            // the letters may be broken into lines
            found.server_public = text.map(|text| text.split_ascii_whitespace().collect());
            found.server_public.as_ref().is_some_and(|key| !key.is_empty())
        }
        Form::Bind => {
            found.port = text.and_then(bind_port);
            found.port.is_some()
        }
        Form::Level => {
            found.logs_connection = !matches!(text, Some("warning" | "error"));
            matches!(text, Some("debug" | "info" | "warning" | "error"))
        }
        Form::Log => {
            let good = text.filter(|path| is_log(path, log_dir));
            found.log_file = good.map(str::to_owned);
            good.is_some()
        }
        Form::Bool => value.is_boolean(),
        Form::Number => value.is_u64(),
        Form::Path => text.is_some_and(|path| path.is_empty() || is_clean_path(path)),
        Form::Proxy => text.is_some_and(|text| text.is_empty() || is_proxy(text)),
        Form::Any => matches!(value, Value::String(_) | Value::Array(_) | Value::Null),
    };
    if !good {
        found.problems.push(Problem { key, what: shown(form, value), why: why(form) });
    }
}

/// What is shown of a bad value: of what may hold a secret only its kind.
fn shown(form: Form, value: &Value) -> String {
    match form {
        Form::Proxy | Form::Any | Form::PublicKey => "has a value of another form".to_owned(),
        _ => {
            let text: String = value.to_string().chars().take(80).collect();
            format!("is {text}")
        }
    }
}

fn is_log(path: &str, log_dir: &str) -> bool {
    let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
    is_clean_path(path) && [LOGS, log_dir].contains(&dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{
        "EngineURLs": ["wss://server.example.org:443/d1ws", "wss://[2001:db8::1]/acc_x/d1ws"],
        "AgentURLs": null, "EngineID": "ff1dea73-8b22-437a-adb8-391514c05cfa",
        "ServerPublic": "MIIB\nIjAN", "BindAddress": ":0", "LogLevel": "info",
        "LogFile": "/var/log/demisto/d1_x/d1.log", "http_proxy": "http://me:pw@proxy:3128",
        "log": {"rolling": {"backups": 3}}, "python": {"engine": {"docker": true}},
        "security.client": {"enabled": false, "CertFile": "/usr/local/demisto/client.pem"}
    }"#;

    fn found(text: &str) -> Engine {
        engine(text, "/var/log/demisto/d1_x").unwrap()
    }

    fn with(key: &str, value: &str) -> Vec<&'static str> {
        let mut all: serde_json::Map<String, Value> = serde_json::from_str(GOOD).unwrap();
        all.insert(key.to_owned(), serde_json::from_str(value).unwrap());
        found(&serde_json::to_string(&all).unwrap()).problems.iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn a_good_one_has_no_problems() {
        let good = found(GOOD);
        assert_eq!(good.problems, []);
        assert!(good.unknown.is_empty() && good.logs_connection, "{good:?}");
        assert_eq!((good.port, good.server_public.as_deref()), (Some(0), Some("MIIBIjAN")));
        assert_eq!(engine_log(GOOD, LOGS), (None, true), "that directory is another engine's");
    }

    #[test]
    fn every_form_is_looked_at() {
        for (key, values) in [
            ("EngineURLs", &["[]", "null", "\"wss://a/b\"", "[1]", "[\"ws://a/b\"]", "[\"wss://a\"]"][..]),
            (
                "EngineURLs",
                &["[\"wss:///d1ws\"]", "[\"wss://a:0/x\"]", "[\"wss://a:99999/x\"]", "[\"wss://a b/x\"]"],
            ),
            ("AgentURLs", &["\"x\"", "[\"x\"]"]),
            (
                "EngineID",
                &[
                    "\"\"",
                    "1",
                    "\"ff1dea73-8b22-437a-adb8-391514c05cf\"",
                    "\"gf1dea73-8b22-437a-adb8-391514c05cfa\"",
                ],
            ),
            ("ServerPublic", &["\"\"", "1"]),
            ("BindAddress", &["443", "\"443\"", "\":x\"", "\":70000\"", "\":+1\"", "\"a b:1\""]),
            ("LogLevel", &["\"INFO\"", "\"trace\"", "1"]),
            (
                "LogFile",
                &[
                    "\"d1.log\"",
                    "\"/tmp/d1.log\"",
                    "\"/var/log/demisto/../x\"",
                    "\"/var/log/demisto/a/b\"",
                    "\"\"",
                ],
            ),
            ("engine.connection.trust_any_certificate", &["\"true\"", "1", "null"]),
            ("log.rolling.maxfilesize", &["\"20\"", "-1", "1.5"]),
            ("security.client.keyfile", &["\"client.key\"", "\"/a/../b\"", "1"]),
            ("http_proxy", &["\"proxy:3128\"", "\"http://\"", "1", "\"ftp://a:1\""]),
        ] {
            for value in values {
                assert_eq!(with(key, value), [key], "{key}: {value}");
            }
        }
        assert_eq!(with("BindAddress", "\"192.0.2.1:8443\""), [""; 0]);
        assert_eq!(with("BindAddress", "\"[::1]:8443\""), [""; 0]);
    }

    #[test]
    fn all_that_is_missing_is_told_at_once() {
        let keys: Vec<&str> = found("{}").problems.iter().map(|problem| problem.key).collect();
        assert_eq!(keys, ["EngineURLs", "EngineID", "ServerPublic"]);
        assert!(engine("[]", LOGS).is_err() && engine("{", LOGS).is_err());
    }

    #[test]
    fn what_is_not_known_is_named_as_it_is_spelt() {
        let text = GOOD.replacen('{', r#"{"EngineUrl": [], "My": {"Own": 1}, "docker.x": 1,"#, 1);
        assert_eq!(found(&text).unknown, ["EngineUrl", "My.Own"]);
    }

    #[test]
    fn no_secret_is_told() {
        let text = GOOD.replace("http://me:pw@proxy:3128", "me:hunter2@proxy");
        let told: Vec<String> = found(&text).problems.iter().map(ToString::to_string).collect();
        assert!(told.len() == 1 && !told.concat().contains("hunter2"), "{told:?}");
    }

    #[test]
    fn a_quiet_log_is_known() {
        assert!(!found(&GOOD.replace("\"info\"", "\"error\"")).logs_connection);
        assert_eq!(engine_log("{", LOGS), (None, true));
    }
}
