//! The keys of `demisto.conf` and `d1.conf` that are known: what their values are, what counts without them,
//! what the evaluated configuration wants, and who says so. The data are `assets/config-keys.json`.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::product::Role;
use crate::types::edits;

/// The data.
const DATA: &str = include_str!("../../assets/config-keys.json");

/// No key is longer than this, in bytes.
const MAX_NAME: usize = 160;

/// Most edits between a key and what it was meant to be.
const NEAR: usize = 2;

/// What the value of a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// `true` or `false`, without quotes.
    Boolean,
    /// A text in quotes.
    String,
    /// A whole number without quotes, zero or more.
    Integer,
    /// A whole number, with or without quotes.
    Count,
    /// The number of a TCP port, in quotes.
    Port,
    /// An absolute path in quotes; an empty one stands for the default.
    Path,
    /// Names in one text, with commas and no spaces between them.
    List,
    /// The address of a proxy: `http://HOST:PORT`, `https://` or `socks5://`.
    Url,
    /// An array of addresses, `wss://HOST:PORT/PATH`.
    Servers,
    /// 32 hexadecimal digits in the groups of RFC 9562.
    Uuid,
    /// Base64 of a DER public key.
    PublicKey,
    /// An address to listen on: `:443`, `192.0.2.1:8443`.
    Bind,
    /// A name or address with or without a port: `server.example.org:443`.
    HostPort,
    /// Anything; its form is not published.
    Any,
}

impl Kind {
    /// In words, behind "is" or "needs".
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Boolean => "true or false, without quotes",
            Self::String => "a text in double quotes",
            Self::Integer => "a whole number without quotes",
            Self::Count => "a whole number",
            Self::Port => "a port from 1 to 65535 in double quotes, such as \"443\"",
            Self::Path => "an absolute path in double quotes",
            Self::List => "names in double quotes, with commas and no spaces between them",
            Self::Url => "an address in double quotes, such as \"http://proxy.example.org:3128\"",
            Self::Servers => "a list of addresses, such as [\"wss://server.example.org:443/d1ws\"]",
            Self::Uuid => "an id in double quotes, such as \"ff1dea73-8b22-437a-adb8-391514c05cfa\"",
            Self::PublicKey => "an RSA public key in double quotes, base64 of DER",
            Self::Bind => "an address to listen on in double quotes, such as \":443\"",
            Self::HostPort => "a host in double quotes, such as \"server.example.org:443\"",
            Self::Any => "anything: its form is not published",
        }
    }
}

/// Whose configuration a key belongs into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// `demisto.conf`.
    Server,
    /// `d1.conf`.
    Engine,
    /// Either.
    Both,
}

impl Scope {
    /// Whether that of a role is among them.
    #[must_use]
    pub fn includes(self, role: Role) -> bool {
        match self {
            Self::Both => true,
            Self::Server => role == Role::Server,
            Self::Engine => role == Role::Engine,
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Server => "server",
            Self::Engine => "engine",
            Self::Both => "both",
        })
    }
}

/// What the evaluated configuration wants of a key.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Secure {
    /// On the server: any of these, the first is what the guide shows. Empty: nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub server: Vec<Value>,
    /// The same on an engine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub engine: Vec<Value>,
}

/// A key that is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Its dotted name as it is mostly spelt. Case does not count.
    pub key: String,
    /// Other names for the same switch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// What its value is.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Whose it is.
    pub role: Scope,
    /// What counts when it is not there; none where that is not published, or there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The same on an engine, where it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_engine: Option<Value>,
    /// Its values, where there are only these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// What the evaluated configuration wants.
    #[serde(default, skip_serializing_if = "Secure::is_empty")]
    pub secure: Secure,
    /// Whether the product cannot do without.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// Whether the value is never shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
    /// What it does.
    pub what: String,
    /// Who says so: a section of the guide or of the Administrator Guide; `observed`: seen in installations.
    pub source: String,
}

impl Secure {
    fn is_empty(&self) -> bool {
        self.server.is_empty() && self.engine.is_empty()
    }
}

impl Key {
    /// What counts for a role when the key is not there.
    #[must_use]
    pub fn default_of(&self, role: Role) -> Option<&Value> {
        let engine = self.default_engine.as_ref().filter(|_| role == Role::Engine);
        engine.or(self.default.as_ref())
    }

    /// The values that the evaluated configuration wants of a role, the best first; empty when it wants nothing.
    #[must_use]
    pub fn secure_of(&self, role: Role) -> &[Value] {
        match role {
            Role::Server => &self.secure.server,
            Role::Engine => &self.secure.engine,
        }
    }

    /// All its names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.key).chain(&self.aliases).map(String::as_str)
    }

    /// Whether the value that counts without the key is not what the evaluated configuration wants.
    #[must_use]
    pub fn is_insecure_by_default(&self, role: Role) -> bool {
        let wanted = self.secure_of(role);
        self.default_of(role).is_some_and(|default| !wanted.is_empty() && !wanted.contains(default))
    }
}

/// Keys with one beginning, of which not all are known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Family {
    /// What they begin with, with the dot.
    pub prefix: String,
    /// Whose they are.
    pub role: Scope,
    /// What they are about.
    pub what: String,
    /// Who says so.
    pub source: String,
}

/// All that is known.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The keys, in the order in which they are shown.
    pub keys: Vec<Key>,
    /// Beginnings of others.
    pub families: Vec<Family>,
}

/// A key that the table does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no key {key:?} is known")]
pub struct Unknown {
    /// As it was asked for.
    pub key: String,
    /// What was probably meant.
    pub meant: Option<String>,
}

/// The table.
#[must_use]
pub fn table() -> &'static Table {
    // a unit test holds that the data can be read
    static TABLE: LazyLock<Table> = LazyLock::new(|| serde_json::from_str(DATA).unwrap_or_default());
    &TABLE
}

impl Table {
    /// A key by any of its names, in any case.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Key> {
        let could_be = name.len() <= MAX_NAME;
        let is_it = |key: &&Key| key.names().any(|known| known.eq_ignore_ascii_case(name));
        self.keys.iter().find(|key| could_be && is_it(key))
    }

    /// As [`Table::find`].
    ///
    /// # Errors
    /// When there is none; the error says which was probably meant.
    pub fn get(&self, name: &str) -> Result<&Key, Unknown> {
        let unknown = || Unknown { key: name.to_owned(), meant: self.meant(name).map(str::to_owned) };
        self.find(name).ok_or_else(unknown)
    }

    /// The family that a name belongs to.
    #[must_use]
    pub fn family(&self, name: &str) -> Option<&Family> {
        let begins = |prefix: &str| name.get(..prefix.len()).is_some_and(|p| p.eq_ignore_ascii_case(prefix));
        self.families.iter().find(|family| begins(&family.prefix))
    }

    /// The name that an unknown one was most probably meant to be: at most two letters are different.
    #[must_use]
    pub fn misspelt(&self, name: &str) -> Option<&str> {
        self.nearest(name, NEAR)
    }

    /// As [`Table::misspelt`], and where there is none, a guess: a name that ends alike, or differs more.
    #[must_use]
    pub fn meant(&self, name: &str) -> Option<&str> {
        self.misspelt(name).or_else(|| self.ends_alike(name)).or_else(|| self.nearest(name, 3 * NEAR))
    }

    fn nearest(&self, name: &str, most: usize) -> Option<&str> {
        if name.len() > MAX_NAME {
            return None;
        }
        let name = name.to_ascii_lowercase();
        let ranked = self.keys.iter().flat_map(Key::names).filter_map(|known| {
            let found = edits(&name, &known.to_ascii_lowercase(), most.min(known.len() / 3))?;
            (found > 0).then_some((found, known))
        });
        ranked.min().map(|(_, known)| known)
    }

    /// The one name that has the same last part.
    fn ends_alike(&self, name: &str) -> Option<&str> {
        fn last(name: &str) -> &str {
            name.rsplit_once('.').map_or(name, |(_, last)| last)
        }
        let mut alike = self
            .keys
            .iter()
            .map(|key| key.key.as_str())
            .filter(|known| known.contains('.') && last(known).eq_ignore_ascii_case(last(name)));
        let first = alike.next()?;
        alike.next().is_none().then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_data_can_be_read_and_are_consistent() {
        let read: Table = serde_json::from_str(DATA).unwrap();
        assert_eq!(*table(), read);
        assert!(read.keys.len() > 70, "{}", read.keys.len());
        let mut names = BTreeSet::new();
        for key in &read.keys {
            for name in key.names() {
                assert!(names.insert(name.to_ascii_lowercase()), "{name} is there twice");
            }
            let values = key.default.iter().chain(&key.default_engine);
            for value in values.chain(&key.secure.server).chain(&key.secure.engine) {
                let fits = match key.kind {
                    Kind::Boolean => value.is_boolean(),
                    Kind::Integer | Kind::Count => value.is_u64(),
                    _ => value.is_string(),
                };
                assert!(fits, "{}: {value}", key.key);
                let listed = value.as_str().is_none_or(|text| key.values.iter().any(|one| one == text));
                assert!(key.values.is_empty() || listed, "{}: {value}", key.key);
            }
            assert!(key.values.is_empty() || key.kind == Kind::String, "{}", key.key);
            assert!(key.default_engine.is_none() || key.role == Scope::Both, "{}", key.key);
            assert!(key.role.includes(Role::Server) || key.secure.server.is_empty(), "{}", key.key);
            assert!(key.role.includes(Role::Engine) || key.secure.engine.is_empty(), "{}", key.key);
            assert!(!key.what.ends_with('.') && !key.source.is_empty(), "{}", key.key);
            let sources = ["guide, ", "Administrator Guide, ", "observed"];
            assert!(sources.iter().any(|known| key.source.starts_with(known)), "{}", key.source);
        }
    }

    #[test]
    fn no_known_key_is_taken_for_a_slip_of_another() {
        for key in &table().keys {
            for name in key.names() {
                assert_eq!(table().find(&name.to_ascii_uppercase()).map(|found| &found.key), Some(&key.key));
            }
        }
    }

    #[test]
    fn slips_are_told_from_strangers() {
        let meant = |name| table().misspelt(name);
        assert_eq!(meant("server.httpport"), Some("Server.HttpsPort"));
        assert_eq!(meant("Server.HttpsProt"), Some("Server.HttpsPort"));
        assert_eq!(
            meant("security.certificate.verifyrevokation"),
            Some("security.certificate.verifyrevocation")
        );
        assert_eq!(meant("httpsport"), None);
        assert_eq!(meant("my.own.key"), None);
        assert_eq!(table().meant("httpsport"), Some("Server.HttpsPort"));
        assert_eq!(table().meant("verifyrevocation"), Some("security.certificate.verifyrevocation"));
        assert_eq!(table().meant("my.own.key"), None);
        assert!(table().family("Docker.x").is_some() && table().family("docker").is_none());
    }

    #[test]
    fn what_counts_depends_on_the_role() {
        let cert = table().find("SECURITY.CertFile").unwrap();
        assert_eq!(cert.default_of(Role::Server).unwrap(), "/usr/local/demisto/cert.pem");
        assert_eq!(cert.default_of(Role::Engine).unwrap(), "/usr/local/demisto/d1.pem");
        let trust = table().find("engine.connection.trust_any_certificate").unwrap();
        assert!(trust.is_insecure_by_default(Role::Engine) && !trust.is_insecure_by_default(Role::Server));
    }
}
