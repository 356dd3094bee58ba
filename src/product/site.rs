//! One installation on a host: where each of its things is.
//!
//! A host has at most one installation without a name, a server or an engine, in the places of the
//! guide's table "Server Installation". Further engines have names, and places of their own.

use serde::{Deserialize, Serialize};

use super::{CONFIG_FILE, DATA_DIR, INSTALL_DIR, LOG_DIR, Role, STATE_DIR, UNIT_DIR, is_word};

/// Directory of the states of named engines, in [`STATE_DIR`].
pub const ENGINES: &str = "engines";
/// What is before an engine's name in the names of its tree, unit, data and logs.
pub(super) const PREFIX: &str = "d1_";
/// Longest name of an engine: its unit's name is a word, too.
const LONGEST: usize = 32;

/// The name of an engine beside others: 1 to 32 letters, digits, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EngineName(String);

/// Not fit for a name.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0:?} is no name for an engine: 1 to 32 letters, digits, '-' and '_' are")]
pub struct NameError(String);

impl TryFrom<String> for EngineName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        if is_word(&text) && text.len() <= LONGEST { Ok(Self(text)) } else { Err(NameError(text)) }
    }
}

impl std::str::FromStr for EngineName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        text.to_owned().try_into()
    }
}

impl From<EngineName> for String {
    fn from(name: EngineName) -> Self {
        name.0
    }
}

impl std::fmt::Display for EngineName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// One installation on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<EngineName>,
}

impl Default for Site {
    fn default() -> Self {
        Self { role: Role::Server, name: None }
    }
}

/// Paths are absolute as the installed system sees them.
impl Site {
    /// An engine, with a name where it is not alone.
    #[must_use]
    pub fn engine(name: Option<EngineName>) -> Self {
        Self { role: Role::Engine, name }
    }

    /// The installation without a name, with this role.
    #[must_use]
    pub fn unnamed(role: Role) -> Self {
        Self { role, name: None }
    }

    /// Whether it is the server.
    #[must_use]
    pub fn is_server(&self) -> bool {
        self.role == Role::Server
    }

    /// What it is for.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Its name, if it is an engine that has one.
    #[must_use]
    pub fn name(&self) -> Option<&EngineName> {
        self.name.as_ref()
    }

    /// `d1_NAME`.
    fn word(&self) -> Option<String> {
        self.name.as_ref().map(|name| format!("{PREFIX}{name}"))
    }

    /// A path of the unnamed installation, or `d1_NAME` below `above`.
    fn own(&self, above: &str) -> String {
        self.word().map_or_else(|| above.to_owned(), |word| format!("{above}/{word}"))
    }

    /// The installation directory.
    #[must_use]
    pub fn tree(&self) -> String {
        self.own(INSTALL_DIR)
    }

    /// A hidden directory beside [`INSTALL_DIR`], on the same file system.
    fn beside(&self, what: &str) -> String {
        self.word().map_or_else(
            || format!("/usr/local/.demisto.{what}"),
            |word| format!("/usr/local/.demisto.{word}.{what}"),
        )
    }

    /// The directory in which a release is staged.
    #[must_use]
    pub fn stage(&self) -> String {
        self.beside("demisto-install")
    }

    /// Where a repair moves what it replaces, until it is complete.
    #[must_use]
    pub fn repair_trash(&self) -> String {
        self.beside("demisto-install-trash")
    }

    /// The tree of the release before the installed one.
    #[must_use]
    pub fn retained_tree(&self) -> String {
        self.beside("retained")
    }

    /// This program's own state of it: journal, receipt, what is retained.
    #[must_use]
    pub fn state_dir(&self) -> String {
        self.name
            .as_ref()
            .map_or_else(|| STATE_DIR.to_owned(), |name| format!("{STATE_DIR}/{ENGINES}/{name}"))
    }

    /// The file, in [`STATE_DIR`], of the highest security epoch that was ever installed: one for each role.
    #[must_use]
    pub fn floor_name(&self) -> &'static str {
        match self.role {
            Role::Server => "epoch-floor",
            Role::Engine => "epoch-floor.engine",
        }
    }

    fn in_state(&self, name: &str) -> String {
        format!("{}/{name}", self.state_dir())
    }

    /// The journal's directory.
    #[must_use]
    pub fn journal_dir(&self) -> String {
        self.in_state("journal")
    }

    /// What is installed.
    #[must_use]
    pub fn receipt_file(&self) -> String {
        self.in_state("receipt.json")
    }

    /// Its signed manifest.
    #[must_use]
    pub fn manifest_file(&self) -> String {
        self.in_state("manifest.json")
    }

    /// The signatures over that.
    #[must_use]
    pub fn signatures_file(&self) -> String {
        self.in_state("manifest.sig")
    }

    /// What belongs to the release before it besides its tree: receipt, manifest, configuration, units.
    #[must_use]
    pub fn retained_state(&self) -> String {
        self.in_state("retained")
    }

    /// Where that is gathered before it takes its place.
    #[must_use]
    pub fn retained_state_new(&self) -> String {
        self.in_state("retained.new")
    }

    /// The configuration before an upgrade, when a rollback found it changed and left it as it was.
    #[must_use]
    pub fn former_config(&self) -> String {
        self.in_state(&format!("{}.former", self.config_name()))
    }

    /// The configuration's file name.
    #[must_use]
    pub fn config_name(&self) -> &'static str {
        match self.role {
            Role::Server => "demisto.conf",
            Role::Engine => super::ENGINE_CONFIG,
        }
    }

    /// The configuration. That of an engine lies in its tree.
    #[must_use]
    pub fn config_file(&self) -> String {
        match self.role {
            Role::Server => CONFIG_FILE.to_owned(),
            Role::Engine => format!("{}/{}", self.tree(), self.config_name()),
        }
    }

    /// The program that another installer would have put there, too.
    #[must_use]
    pub fn program(&self) -> String {
        let name = match self.role {
            Role::Server => "server",
            Role::Engine => "d1",
        };
        format!("{}/{name}", self.tree())
    }

    /// Data, owned by the service. Those of a named engine lie beside the server's, not in them: they do
    /// not go back with the server's, nor away.
    #[must_use]
    pub fn data_dir(&self) -> String {
        self.word().map_or_else(|| DATA_DIR.to_owned(), |word| format!("/var/lib/{word}"))
    }

    /// Logs, owned by the service.
    #[must_use]
    pub fn log_dir(&self) -> String {
        self.own(LOG_DIR)
    }

    /// The service's own log.
    #[must_use]
    pub fn log_file(&self) -> String {
        let name = match self.role {
            Role::Server => "server.log",
            Role::Engine => "d1.log",
        };
        format!("{}/{name}", self.log_dir())
    }

    /// The unit of its service.
    #[must_use]
    pub fn unit(&self) -> String {
        self.unit_named(&self.role.unit())
    }

    /// What a unit of its release is called here: a named engine's are `d1_NAME.service` and
    /// `d1_NAME.UNIT`. No name holds a dot, so no two engines claim one unit.
    #[must_use]
    pub fn unit_named(&self, released: &str) -> String {
        let Some(word) = self.word() else { return released.to_owned() };
        match released.strip_prefix(self.role.service()) {
            Some(suffix) if suffix.starts_with('.') => format!("{word}{suffix}"),
            _ => format!("{word}.{released}"),
        }
    }

    /// A text of a release, such as a unit, with the paths that it has here: its own in place of
    /// [`INSTALL_DIR`] and [`DATA_DIR`], and a log of its own.
    #[must_use]
    pub fn localised(&self, text: &str) -> String {
        if self.name.is_none() {
            return text.to_owned();
        }
        let text = text.replace(&Self::engine(None).log_file(), &self.log_file());
        moved(&moved(&text, INSTALL_DIR, &self.tree()), DATA_DIR, &self.data_dir())
    }

    /// The drop-in that lets its service use a port below 1024 (systemd.unit(5)).
    #[must_use]
    pub fn low_port_file(&self) -> String {
        format!("{UNIT_DIR}/{}.d/10-low-port.conf", self.unit())
    }

    /// The file of a unit.
    #[must_use]
    pub fn unit_file(unit: &str) -> String {
        format!("{UNIT_DIR}/{unit}")
    }
}

/// A text with `to` in place of the path `from`, also where that is the beginning of a longer path.
fn moved(text: &str, from: &str, to: &str) -> String {
    let mut parts = text.split(from);
    let mut new = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let longer = part.starts_with(|c: char| c.is_ascii_alphanumeric() || "-_.".contains(c));
        new.push_str(if longer { from } else { to });
        new.push_str(part);
    }
    new
}

impl std::fmt::Display for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            None => write!(f, "{}", self.role),
            Some(name) => write!(f, "{} {name}", self.role),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_never_lead_away() {
        for good in ["a", "site-2", "A_1", &"x".repeat(32)] {
            assert!(good.parse::<EngineName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "a.b", "é", &"x".repeat(33)] {
            assert!(bad.parse::<EngineName>().is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<Site>(r#"{"role":"engine","name":"../x"}"#).is_err());
    }

    #[test]
    fn without_a_name_all_is_where_the_guide_says() {
        let server = Site::default();
        assert_eq!(server.tree(), "/usr/local/demisto");
        assert_eq!(server.config_file(), "/etc/demisto.conf");
        assert_eq!(server.stage(), "/usr/local/.demisto.demisto-install");
        assert_eq!(server.receipt_file(), "/var/lib/demisto-install/receipt.json");
        assert_eq!(server.former_config(), "/var/lib/demisto-install/demisto.conf.former");
        let engine = Site::engine(None);
        assert_eq!(engine.config_file(), "/usr/local/demisto/d1.conf");
        assert_eq!(
            (engine.unit(), engine.log_file().as_str()),
            ("d1.service".to_owned(), "/var/log/demisto/d1.log")
        );
        assert_eq!(engine.receipt_file(), server.receipt_file(), "there is one of them");
    }

    #[test]
    fn no_two_engines_claim_one_unit() {
        let names = ["a", "a-clean", "a-d1-clean", "clean", "d1-clean"];
        let released = ["d1.service", "d1.timer", "d1-clean.service", "clean.service", "a-clean.service"];
        let mut units: Vec<String> = released.map(str::to_owned).to_vec();
        for name in names {
            let site = Site::engine(Some(name.parse().unwrap()));
            units.extend(released.iter().map(|unit| site.unit_named(unit)));
        }
        assert!(units.iter().all(|unit| super::super::is_local_unit(unit)), "{units:?}");
        let all = units.len();
        units.sort();
        units.dedup();
        assert_eq!(units.len(), all);
    }

    #[test]
    fn a_named_engine_shares_nothing() {
        let site = Site::engine(Some("x-1".parse().unwrap()));
        assert_eq!(site.tree(), "/usr/local/demisto/d1_x-1");
        assert_eq!(site.stage(), "/usr/local/.demisto.d1_x-1.demisto-install");
        assert_eq!(site.state_dir(), "/var/lib/demisto-install/engines/x-1");
        assert_eq!(site.config_file(), "/usr/local/demisto/d1_x-1/d1.conf");
        assert_eq!(site.data_dir(), "/var/lib/d1_x-1");
        assert_eq!(site.log_file(), "/var/log/demisto/d1_x-1/d1.log");
        assert_eq!(site.unit(), "d1_x-1.service");
        assert_eq!(site.unit_named("d1.timer"), "d1_x-1.timer");
        assert_eq!(site.unit_named("d1-clean.timer"), "d1_x-1.d1-clean.timer");
        assert_eq!(site.unit_named("clean.timer"), "d1_x-1.clean.timer");
        assert_eq!(site.to_string(), "engine x-1");
        let text = "A=/usr/local/demisto\nB=/usr/local/demisto/d1 /usr/local/demistox /var/lib/demisto /var/lib/demisto-install";
        let here = "A=/usr/local/demisto/d1_x-1\nB=/usr/local/demisto/d1_x-1/d1 /usr/local/demistox /var/lib/d1_x-1 /var/lib/demisto-install";
        assert_eq!(site.localised(text), here);
        assert_eq!(Site::engine(None).localised(text), text);
        let conf = r#"{"LogFile": "/var/log/demisto/d1.log"}"#;
        assert_eq!(site.localised(conf), r#"{"LogFile": "/var/log/demisto/d1_x-1/d1.log"}"#);
    }
}
