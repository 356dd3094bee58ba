use serde::{Deserialize, Serialize};

use super::{DEFAULT_ADMIN, DEFAULT_PORT, Error, Result, check_admin_name, check_port};
use crate::types::edits;

const KEYS: [&str; 4] = ["accept_eula", "port", "admin_name", "start"];
/// Parts of a key that let somebody expect that a secret may stand there.
const SECRET_WORDS: [&str; 6] = ["pass", "pwd", "secret", "token", "apikey", "credential"];

/// The answers to all questions but the password, which is never kept with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answers {
    /// The licence agreement was accepted.
    pub accept_eula: bool,
    /// The port on which the server listens.
    pub port: u16,
    /// The name of the first administrator.
    pub admin_name: String,
    /// The server is started at the end.
    pub start: bool,
}

/// The answers that are known so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partial {
    /// See [`Answers::accept_eula`].
    pub accept_eula: Option<bool>,
    /// See [`Answers::port`].
    pub port: Option<u16>,
    /// See [`Answers::admin_name`].
    pub admin_name: Option<String>,
    /// See [`Answers::start`].
    pub start: Option<bool>,
}

impl Partial {
    /// Reads an answers file: one JSON object.
    ///
    /// # Errors
    /// When it is no such object, or has a key or value that no question has.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let wrong = match serde_json::from_slice(bytes) {
            Ok(partial) => return Ok(partial),
            Err(e) => e,
        };
        let (line, column) = (wrong.line(), wrong.column());
        if let Some(key) = secret_key(bytes) {
            let (line, column) = position(bytes, &key).unwrap_or((line, column));
            return Err(Error::SecretKey { key, line, column });
        }
        if let Some(key) = unknown_key(bytes) {
            let (line, column) = position(bytes, &key).unwrap_or((line, column));
            let meant = nearest(&key);
            return Err(Error::UnknownKey { key, meant, line, column });
        }
        let text = wrong.to_string();
        let why = text.rsplit_once(" at line ").map_or(text.as_str(), |(why, _)| why);
        Err(Error::Answers { why: why.to_owned(), line, column })
    }

    /// These answers, and those of `other` where these have none.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            accept_eula: self.accept_eula.or(other.accept_eula),
            port: self.port.or(other.port),
            admin_name: self.admin_name.or(other.admin_name),
            start: self.start.or(other.start),
        }
    }

    /// The keys of the answers that [`complete`](Self::complete) needs and does not have, all at once.
    /// Port, name and start have defaults; nobody accepts a licence by default.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        if self.accept_eula.is_none() { vec!["accept_eula"] } else { Vec::new() }
    }

    /// All answers: the given ones, checked, and the defaults for port, name and start.
    ///
    /// # Errors
    /// When an answer is missing or not good, or the licence agreement was declined.
    pub fn complete(self) -> Result<Answers> {
        let keys = self.missing();
        if !keys.is_empty() {
            return Err(Error::Missing { keys });
        }
        if self.accept_eula != Some(true) {
            return Err(Error::Declined);
        }
        Ok(Answers {
            accept_eula: true,
            port: check_port(&self.port.unwrap_or(DEFAULT_PORT).to_string())?,
            admin_name: check_admin_name(self.admin_name.as_deref().unwrap_or(DEFAULT_ADMIN))?,
            start: self.start.unwrap_or(true),
        })
    }
}

fn keys_of(bytes: &[u8]) -> Vec<String> {
    let object = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(bytes);
    object.map(|o| o.into_iter().map(|(key, _)| key).collect()).unwrap_or_default()
}

fn secret_key(bytes: &[u8]) -> Option<String> {
    let plain = |key: &str| key.to_lowercase().replace(['-', '_', '.', ' '], "");
    keys_of(bytes).into_iter().find(|key| SECRET_WORDS.iter().any(|word| plain(key).contains(word)))
}

fn unknown_key(bytes: &[u8]) -> Option<String> {
    keys_of(bytes).into_iter().find(|key| !KEYS.contains(&key.as_str()))
}

/// Line and column of the key's opening quote; `None` when it is written with escapes.
fn position(bytes: &[u8], key: &str) -> Option<(usize, usize)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let quoted = serde_json::to_string(key).ok()?;
    let at = text
        .match_indices(&quoted)
        .map(|(at, found)| (at, at + found.len()))
        .find(|(_, end)| text.get(*end..).is_some_and(|rest| rest.trim_start().starts_with(':')))?
        .0;
    let before = text.get(..at)?;
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    Some((before.matches('\n').count() + 1, before.get(line_start..)?.chars().count() + 1))
}

/// The known key that `key` was probably meant to be: the nearest, with at most three edits.
fn nearest(key: &str) -> Option<&'static str> {
    let key: String = key.to_lowercase().replace(['-', ' '], "_").chars().take(32).collect();
    let ranked = KEYS.iter().filter_map(|known| Some((edits(&key, known, known.len().min(6) / 2)?, *known)));
    ranked.min().map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_full_file_is_read() {
        let partial =
            Partial::parse(br#"{"accept_eula":true,"port":8443,"admin_name":"ops","start":false}"#).unwrap();
        let expected = Answers { accept_eula: true, port: 8443, admin_name: "ops".into(), start: false };
        assert_eq!(partial.complete().unwrap(), expected);
    }

    #[test]
    fn defaults_are_taken_but_never_for_the_licence() {
        let answers = Partial::parse(br#"{"accept_eula":true}"#).unwrap().complete().unwrap();
        assert_eq!((answers.port, answers.admin_name.as_str(), answers.start), (443, "admin", true));
        let none = Partial::parse(b"{}").unwrap();
        assert_eq!(none.missing(), ["accept_eula"]);
        assert_eq!(none.complete(), Err(Error::Missing { keys: vec!["accept_eula"] }));
        assert_eq!(Partial::parse(br#"{"accept_eula":false}"#).unwrap().complete(), Err(Error::Declined));
    }

    #[test]
    fn a_slip_is_named_with_its_place() {
        let error = Partial::parse(b"{\n  \"accept_eula\": true,\n  \"prot\": 443\n}").unwrap_err();
        let expected = Error::UnknownKey { key: "prot".into(), meant: Some("port"), line: 3, column: 3 };
        assert_eq!(error, expected);
        assert!(error.to_string().ends_with("did you mean \"port\"?"), "{error}");
        let error = Partial::parse(br#"{"accept-EULA": true}"#).unwrap_err();
        assert!(matches!(error, Error::UnknownKey { meant: Some("accept_eula"), .. }), "{error:?}");
        let error = Partial::parse(br#"{"colour": 1}"#).unwrap_err();
        assert!(matches!(error, Error::UnknownKey { meant: None, .. }), "{error:?}");
    }

    #[test]
    fn a_secret_is_refused_and_not_repeated() {
        for key in
            ["password", "admin_password", "Admin-Passwd", "adminPassword", "keypass", "api-key", "db_secret"]
        {
            let text = format!("{{\"prot\": 1,\n\"{key}\": \"Hunter2Hunter2\"}}");
            let error = Partial::parse(text.as_bytes()).unwrap_err();
            assert!(matches!(error, Error::SecretKey { line: 2, column: 1, .. }), "{error:?}");
            assert!(error.to_string().contains("--admin-password-file"));
            assert!(!error.to_string().contains("Hunter2"));
        }
    }

    #[test]
    fn wrong_values_are_refused() {
        let cases: [&[u8]; 9] = [
            br#"{"port":"443"}"#,
            br#"{"port":65536}"#,
            br#"{"port":-1}"#,
            br#"{"accept_eula":"yes"}"#,
            br#"{"accept_eula":1}"#,
            br#"{"port":1,"port":2}"#,
            br"[]",
            b"",
            b"{\"port\": 443} x",
        ];
        for case in cases {
            let error = Partial::parse(case).unwrap_err();
            assert!(matches!(error, Error::Answers { .. }), "{error:?}");
        }
        assert!(Partial { port: Some(0), accept_eula: Some(true), ..Partial::default() }.complete().is_err());
    }

    #[test]
    fn the_first_source_wins() {
        let first = Partial { port: Some(1), ..Partial::default() };
        let second = Partial { port: Some(2), start: Some(false), ..Partial::default() };
        let both = first.or(second);
        assert_eq!((both.port, both.start), (Some(1), Some(false)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
            let _ = Partial::parse(&bytes);
        }

        #[test]
        fn any_key_is_known_or_refused(key in ".{0,20}") {
            let text = serde_json::json!({ &key: true }).to_string();
            let known = KEYS.contains(&key.as_str());
            prop_assert!(known || Partial::parse(text.as_bytes()).is_err());
        }
    }
}
