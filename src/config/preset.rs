//! Settings that belong together: what the guide asks of the evaluated configuration, of mutual
//! authentication, and of an engine that trusts its own server only. One table for each, with the reason and
//! the guide's section.

use serde::Serialize;
use serde_json::Value;

use super::forms::is_authority;
use super::policy;
use super::{Result, Setting, value};
use crate::product::Role;

/// The key of what is asked of clients.
pub const CLIENT_POLICY: &str = "server.certificate.clientauthpolicy";
/// The key that turns the verification of clients' certificates off. The guide spells it in two ways, one in
/// its table of keys and one in its procedure; a product of either kind obeys when both say the same.
pub const CLIENT_SWITCHES: [&str; 2] = [
    "security.server.certificate.donotverifyclientcertificates",
    "security.certificate.override.donotverifyclientcertificates",
];
/// The key that turns the verification of servers' certificates off.
const SERVER_SWITCH: &str = "security.certificate.override.donotverifyservercertificates";
/// What makes an engine refuse a server that it let pass before.
pub const STRICT_SERVER: [(&str, bool); 4] = [
    ("engine.connection.trust_any_certificate", false),
    (SERVER_SWITCH, false),
    ("security.certificate.verifyrevocation", true),
    ("security.certificate.failonunknownrevocationstatus", true),
];
/// The key of the names that a client's certificate may have.
pub const SAN_TRUST_LIST: &str = "security.certificate.santrustlist";
/// The key of the name by which a server is reached; an engine expects it in the server's certificate.
pub const EXTERNAL_HOST: &str = "Server.ExternalHostName";

/// Which settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// The evaluated configuration of a server.
    Evaluated,
    /// Everyone who connects to the server shows a good certificate.
    MutualAuth,
    /// An engine verifies its server, and expects one name.
    StrictEngine,
}

/// What only the site knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The names that clients' certificates may have.
    SanTrustList,
    /// The server's name and port.
    ExternalHost,
}

/// What a key has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A truth value.
    Flag(bool),
    /// The first of these texts; the others are as good where they are set.
    Text(&'static [&'static str]),
    /// Something that the site has to say; whatever is set is kept.
    Site(Need),
    /// What the guide's table of the password policy has in this row, or something stricter.
    Policy(policy::Row),
}

/// One setting of a preset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The dotted key.
    pub key: String,
    /// What it has to be.
    pub wanted: Wanted,
    /// Why.
    pub why: &'static str,
    /// The section of the guide that says so.
    pub section: &'static str,
    /// Whether it is only for an engine that has a certificate to show.
    pub with_client_pair: bool,
}

const TABLE: &str = "TLS/X509 Configuration";
const MUTUAL: &str = "Configure Mutual Authentication for the Web UI";
const NAMES: &str = "Expected Reference Identifiers";
const UNKNOWN: &str = "Cannot Establish Connection to Determine Validity of Certificate";
const TRICKS: &str = "Configuration Tricks and Tips";
const ENCRYPT: &str = "Configure the Sensitive Data to be Encrypted";
const PASSWORDS: &str = "Password Complexity Management";
const ENGINE: &str = "Engine configuration file";

type Line = (&'static str, Wanted, &'static str, &'static str);

const EVALUATED: [Line; 10] = [
    (
        SERVER_SWITCH,
        Wanted::Flag(false),
        "the certificates of servers that it connects to are verified",
        TABLE,
    ),
    (CLIENT_SWITCHES[0], Wanted::Flag(false), "the certificates of clients are verified", TABLE),
    (CLIENT_SWITCHES[1], Wanted::Flag(false), "the same switch as the guide's procedure spells it", MUTUAL),
    (
        CLIENT_POLICY,
        Wanted::Text(&["verify", "requireandverify"]),
        "a client's certificate that is shown has to be good",
        TABLE,
    ),
    (
        "security.certificate.verifyrevocation",
        Wanted::Flag(true),
        "revoked certificates are refused (OCSP)",
        TABLE,
    ),
    (
        "security.certificate.failonunknownrevocationstatus",
        Wanted::Flag(true),
        "when nobody can tell whether a certificate is revoked, there is no connection",
        UNKNOWN,
    ),
    (
        "security.certificate.verifyclientsan",
        Wanted::Flag(true),
        "a client's certificate needs a name that is on the list",
        NAMES,
    ),
    (SAN_TRUST_LIST, Wanted::Site(Need::SanTrustList), "the list; without it nobody is let in", NAMES),
    (
        "security.certificate.verifycasign",
        Wanted::Flag(true),
        "an authority's certificate has to be one for signing",
        TRICKS,
    ),
    (
        "security.keypass.encrypt",
        Wanted::Flag(true),
        "the passphrase of the private key is kept encrypted",
        ENCRYPT,
    ),
];

const MUTUAL_AUTH: [Line; 3] = [
    (CLIENT_SWITCHES[0], Wanted::Flag(false), "the certificates of clients are verified", TABLE),
    (CLIENT_SWITCHES[1], Wanted::Flag(false), "the same switch as the guide's procedure spells it", MUTUAL),
    (CLIENT_POLICY, Wanted::Text(&["requireandverify"]), "every client shows a good certificate", MUTUAL),
];

const STRICT_ENGINE: [Line; 6] = [
    (
        "engine.connection.trust_any_certificate",
        Wanted::Flag(false),
        "the engine talks to a server with a certificate that it trusts",
        ENGINE,
    ),
    (SERVER_SWITCH, Wanted::Flag(false), "the server's certificate is verified", TABLE),
    (
        "security.certificate.verifyrevocation",
        Wanted::Flag(true),
        "a revoked certificate is refused (OCSP)",
        TABLE,
    ),
    (
        "security.certificate.failonunknownrevocationstatus",
        Wanted::Flag(true),
        "when nobody can tell whether it is revoked, there is no connection",
        UNKNOWN,
    ),
    (
        "security.certificate.verifycasign",
        Wanted::Flag(true),
        "an authority's certificate has to be one for signing",
        TRICKS,
    ),
    (
        EXTERNAL_HOST,
        Wanted::Site(Need::ExternalHost),
        "the name that the server's certificate has to have",
        NAMES,
    ),
];

const CLIENT_PAIR: Line =
    ("security.client.enabled", Wanted::Flag(true), "the engine shows the certificate that it has", ENGINE);

impl Preset {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Evaluated, Self::MutualAuth, Self::StrictEngine];

    /// As it is written on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Evaluated => "evaluated",
            Self::MutualAuth => "mutual-auth",
            Self::StrictEngine => "strict-engine",
        }
    }

    /// Whose configuration it is for.
    #[must_use]
    pub fn role(self) -> Role {
        if self == Self::StrictEngine { Role::Engine } else { Role::Server }
    }

    /// Its settings.
    #[must_use]
    pub fn entries(self) -> Vec<Entry> {
        let lines: &[Line] = match self {
            Self::Evaluated => &EVALUATED,
            Self::MutualAuth => &MUTUAL_AUTH,
            Self::StrictEngine => &STRICT_ENGINE,
        };
        let mut entries: Vec<Entry> = lines.iter().map(Entry::of).collect();
        match self {
            Self::Evaluated => entries.extend(policy::ROWS.map(Entry::of_policy)),
            Self::StrictEngine => entries.push(Entry { with_client_pair: true, ..Entry::of(&CLIENT_PAIR) }),
            Self::MutualAuth => {}
        }
        entries
    }
}

impl Entry {
    fn of((key, wanted, why, section): &Line) -> Self {
        Self { key: (*key).to_owned(), wanted: *wanted, why, section, with_client_pair: false }
    }

    fn of_policy(row: policy::Row) -> Self {
        let (wanted, section) = (Wanted::Policy(row), PASSWORDS);
        Self { key: row.key(), wanted, why: row.title, section, with_client_pair: false }
    }

    /// Whether a value is what the preset wants: that, or something stricter. A key that is not set is not
    /// what is wanted, even where the default would be: the file alone has to tell.
    #[must_use]
    pub fn is_met(&self, now: Option<&Value>) -> bool {
        let Some(now) = now else { return false };
        match self.wanted {
            Wanted::Flag(flag) => *now == flag,
            Wanted::Text(texts) => now.as_str().is_some_and(|now| texts.contains(&now)),
            Wanted::Site(need) => now.as_str().is_some_and(|now| need.check(now).is_ok()),
            Wanted::Policy(row) => row.objection(now).is_none(),
        }
    }

    /// The value that is set; none for what the site has to say.
    #[must_use]
    pub fn value(&self) -> Option<Value> {
        match self.wanted {
            Wanted::Flag(flag) => Some(flag.into()),
            Wanted::Text(texts) => texts.first().copied().map(Value::from),
            Wanted::Policy(row) => Some(row.default()),
            Wanted::Site(_) => None,
        }
    }
}

impl Need {
    /// The option that says it.
    #[must_use]
    pub fn option(self) -> &'static str {
        match self {
            Self::SanTrustList => "--san-trust-list NAME,NAME",
            Self::ExternalHost => "--external-host HOST:PORT",
        }
    }

    /// Whether a text can be it.
    ///
    /// # Errors
    /// Says why not.
    pub fn check(self, text: &str) -> std::result::Result<(), String> {
        match self {
            Self::SanTrustList if text.is_empty() => Err("it is empty, so nobody is let in".to_owned()),
            Self::SanTrustList => text.split(',').try_for_each(|name| {
                let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\\' | '/');
                if name.is_empty() || name.contains(odd) {
                    Err(format!("{name:?} is no name; names stand between commas, without spaces"))
                } else if name.contains('*') {
                    Err(format!("{name:?}: the product takes no wildcards"))
                } else {
                    Ok(())
                }
            }),
            Self::ExternalHost => {
                let port = text.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
                if is_authority(text) && port.is_some_and(|port| port != 0) {
                    Ok(())
                } else {
                    Err(format!("{text:?} is not of the form server.example.org:443"))
                }
            }
        }
    }
}

/// What the site says of itself.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// The names that clients' certificates may have, with commas between them.
    pub san_trust_list: Option<String>,
    /// The server's name and port.
    pub external_host: Option<String>,
    /// Whether an engine has a certificate to show.
    pub client_pair: bool,
}

impl Given {
    fn of(&self, need: Need) -> Option<&String> {
        match need {
            Need::SanTrustList => self.san_trust_list.as_ref(),
            Need::ExternalHost => self.external_host.as_ref(),
        }
    }
}

/// A preset that cannot be applied as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Things that only the site knows were not said, and the configuration does not have them.
    #[error("only you can say: {}", .0.iter().map(|need| need.option()).collect::<Vec<_>>().join(" and "))]
    Needed(Vec<Need>),
    /// Something that was said cannot be.
    #[error("{option}: {why}")]
    Unfit {
        /// The option.
        option: &'static str,
        /// What is wrong.
        why: String,
    },
    /// Something was said that this preset does not ask for.
    #[error("the preset {preset} takes no {option}")]
    NotAsked {
        /// Its name.
        preset: &'static str,
        /// The option.
        option: &'static str,
    },
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] super::Error),
}

/// One setting as it is and as it will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// What is wanted.
    pub entry: Entry,
    /// The value that is set now.
    pub now: Option<Value>,
    /// What is set; `None` when it is so already.
    pub set: Option<Setting>,
}

/// Compares a configuration with a preset. `Site` entries that nobody gave are left out of it.
///
/// # Errors
/// When the text is no JSON object.
pub fn compare(preset: Preset, text: &str, given: &Given) -> Result<Vec<Chosen>> {
    let entries = preset.entries().into_iter().filter(|entry| given.client_pair || !entry.with_client_pair);
    entries
        .map(|entry| {
            let now = value(text, &entry.key)?;
            let said = match entry.wanted {
                Wanted::Site(need) => given.of(need).cloned().map(Value::from),
                _ => None,
            };
            let wanted = match said {
                Some(said) => Some(said).filter(|said| now.as_ref() != Some(said)),
                None if entry.is_met(now.as_ref()) => None,
                None => entry.value(),
            };
            let set = wanted.map(|value| Setting::to(&entry.key, value));
            Ok(Chosen { entry, now, set })
        })
        .collect()
}

/// As [`compare`], for applying it: all that is missing is told at once.
///
/// # Errors
/// When the site has not said what it has to, or something that cannot be, or the text is no JSON object.
pub fn choose(preset: Preset, text: &str, given: &Given) -> std::result::Result<Vec<Chosen>, Error> {
    let chosen = compare(preset, text, given)?;
    let needs =
        |chosen: &Chosen| if let Wanted::Site(need) = chosen.entry.wanted { Some(need) } else { None };
    let asked: Vec<Need> = chosen.iter().filter_map(needs).collect();
    for need in [Need::SanTrustList, Need::ExternalHost] {
        let Some(said) = given.of(need) else { continue };
        if !asked.contains(&need) {
            return Err(Error::NotAsked { preset: preset.name(), option: need.option() });
        }
        need.check(said).map_err(|why| Error::Unfit { option: need.option(), why })?;
    }
    let open = |one: &&Chosen| one.set.is_none() && !one.entry.is_met(one.now.as_ref());
    let missing: Vec<Need> = chosen.iter().filter(open).filter_map(needs).collect();
    if missing.is_empty() { Ok(chosen) } else { Err(Error::Needed(missing)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::set;
    use crate::config::table::table;

    fn given() -> Given {
        Given {
            san_trust_list: Some("engine.example.org,10.0.0.7".to_owned()),
            external_host: Some("soar.example.org:443".to_owned()),
            client_pair: true,
        }
    }

    fn only(preset: Preset) -> Given {
        let all = given();
        match preset {
            Preset::Evaluated => Given { external_host: None, ..all },
            Preset::MutualAuth => Given { external_host: None, san_trust_list: None, ..all },
            Preset::StrictEngine => Given { san_trust_list: None, ..all },
        }
    }

    #[test]
    fn what_is_applied_is_met_and_applied_once() {
        for preset in Preset::ALL {
            let chosen = choose(preset, "{}", &only(preset)).unwrap();
            let settings: Vec<Setting> = chosen.iter().filter_map(|one| one.set.clone()).collect();
            assert_eq!(settings.len(), preset.entries().len(), "{preset:?}");
            let text = set("{}", &settings).unwrap();
            for entry in preset.entries() {
                let now = value(&text, &entry.key).unwrap();
                assert!(entry.is_met(now.as_ref()), "{entry:?}: {now:?}");
                assert!(!entry.why.is_empty() && !entry.section.is_empty());
            }
            // and again, without what the site said: the file has it
            let given = Given { client_pair: true, ..Given::default() };
            assert!(choose(preset, &text, &given).unwrap().iter().all(|one| one.set.is_none()), "{preset:?}");
        }
    }

    #[test]
    fn every_key_is_one_of_that_role() {
        for preset in Preset::ALL {
            for entry in preset.entries() {
                let key = table().find(&entry.key).unwrap_or_else(|| panic!("{}", entry.key));
                assert!(key.role.includes(preset.role()), "{}", entry.key);
                let secure = key.secure_of(preset.role());
                let wanted = entry.value();
                let agree = secure.is_empty() || wanted.is_none_or(|value| secure.contains(&value));
                assert!(agree, "{}: the table wants {secure:?}", entry.key);
            }
        }
    }

    #[test]
    fn what_is_stricter_stays() {
        let text = r#"{"server.certificate.clientauthpolicy": "requireandverify",
            "password.policy.default": {"MinPasswordLength": 14, "MaxFailedLoginAttempts": 3, "ExpireAfter": 6}}"#;
        let chosen = choose(Preset::Evaluated, text, &only(Preset::Evaluated)).unwrap();
        let is_kept = |end: &str| chosen.iter().any(|one| one.entry.key.ends_with(end) && one.set.is_none());
        for key in ["clientauthpolicy", "MinPasswordLength", "MaxFailedLoginAttempts", "ExpireAfter"] {
            assert!(is_kept(key), "{key}");
        }
        assert!(!is_kept("MinLowercaseChars"), "the default is written down");
        let weak = r#"{"server.certificate.clientauthpolicy": "verify"}"#;
        let chosen = choose(Preset::MutualAuth, weak, &Given::default()).unwrap();
        assert_eq!(chosen[2].set, Some(Setting::to(CLIENT_POLICY, "requireandverify")));
    }

    #[test]
    fn what_only_the_site_knows_is_asked_for() {
        let none = Given::default();
        let error = choose(Preset::Evaluated, "{}", &none).unwrap_err();
        assert!(error.to_string().contains("--san-trust-list NAME,NAME"), "{error}");
        let error = choose(Preset::StrictEngine, "{}", &none).unwrap_err();
        assert!(matches!(&error, Error::Needed(needs) if *needs == [Need::ExternalHost]), "{error}");
        for list in ["", "a, b", "a,,b", "*.example.org", "a\tb"] {
            let given = Given { san_trust_list: Some(list.to_owned()), ..Given::default() };
            let error = choose(Preset::Evaluated, "{}", &given).unwrap_err();
            assert!(matches!(error, Error::Unfit { .. }), "{list:?}: {error}");
        }
        for host in ["soar", "soar:0", ":443", "https://soar:443", "so ar:443"] {
            let given = Given { external_host: Some(host.to_owned()), ..Given::default() };
            assert!(choose(Preset::StrictEngine, "{}", &given).is_err(), "{host:?}");
        }
        let error = choose(Preset::MutualAuth, "{}", &given()).unwrap_err();
        assert!(matches!(error, Error::NotAsked { .. }), "{error}");
        // an empty list in the file is none
        let text = r#"{"security.certificate.santrustlist": ""}"#;
        assert!(choose(Preset::Evaluated, text, &none).is_err());
    }

    #[test]
    fn a_quoted_switch_is_not_met() {
        let entry = Preset::Evaluated.entries().into_iter().find(|entry| entry.key == SERVER_SWITCH).unwrap();
        assert!(entry.is_met(Some(&Value::Bool(false))));
        assert!(!entry.is_met(Some(&"false".into())) && !entry.is_met(None));
    }

    #[test]
    fn without_a_pair_an_engine_shows_none() {
        let given = Given { client_pair: false, ..only(Preset::StrictEngine) };
        let chosen = choose(Preset::StrictEngine, "{}", &given).unwrap();
        assert!(chosen.iter().all(|one| one.entry.key != "security.client.enabled"));
    }
}
