//! Single values against what the table says of their key.

use serde_json::Value;

use super::rules::{
    ADDRESS_WRONG, BOOLEAN_QUOTED, LIST_SPACES, LIST_WRONG, PATH_RELATIVE, PORT_WRONG, Rule, TYPE_WRONG,
    VALUE_UNQUOTED, VALUE_WRONG,
};
use crate::config::forms::{bind_port, is_authority, is_host, is_proxy, is_uuid, servers};
use crate::config::mask;
use crate::config::table::{Key, Kind};
use crate::types::edits;

/// What is wrong with a value.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) rule: &'static Rule,
    pub(super) what: String,
    /// What to write, if that is clear.
    pub(super) fix: Option<String>,
    /// What was meant, if that is clear.
    pub(super) meant: Option<Value>,
}

fn wrong(rule: &'static Rule, what: impl Into<String>) -> Option<Wrong> {
    Some(Wrong { rule, what: what.into(), fix: None, meant: None })
}

/// Judges a value.
pub(super) fn judge(key: &Key, value: &Value) -> Option<Wrong> {
    match (key.kind, value) {
        (Kind::Any, _) => None,
        (Kind::Boolean, Value::Bool(_)) => None,
        (Kind::Boolean, Value::String(text)) => boolean_text(key, text),
        (Kind::Integer | Kind::Count, Value::Number(number)) if number.is_u64() => None,
        (Kind::Count, Value::String(text)) if text.parse::<u64>().is_ok() => None,
        (Kind::Boolean | Kind::Integer | Kind::Count, _) => of_another_kind(key, value),
        (Kind::Servers, _) if servers(value, key.required) => None,
        (Kind::Servers, Value::Array(_)) => wrong(&ADDRESS_WRONG, format!("it needs {}", key.kind.words())),
        (Kind::Servers, _) => of_another_kind(key, value),
        (_, Value::String(text)) => of_text(key, text),
        (Kind::Port, Value::Number(number))
            if !number.as_u64().is_some_and(|port| (1..65536).contains(&port)) =>
        {
            wrong(&PORT_WRONG, format!("{number} is no port"))
        }
        (_, Value::Number(_) | Value::Bool(_)) => {
            let quoted = format!("\"{value}\"");
            let meant =
                judge(key, &Value::from(value.to_string())).is_none().then(|| Value::from(value.to_string()));
            let fix = meant.as_ref().map(|_| format!("write {quoted}"));
            Some(Wrong {
                rule: &VALUE_UNQUOTED,
                what: format!("{} stands without quotes", shown(key, value)),
                fix,
                meant,
            })
        }
        _ => of_another_kind(key, value),
    }
}

fn boolean_text(key: &Key, text: &str) -> Option<Wrong> {
    let meant = match text.trim().to_ascii_lowercase().as_str() {
        "true" => true,
        "false" => false,
        _ => return of_another_kind(key, &Value::from(text)),
    };
    Some(Wrong {
        rule: &BOOLEAN_QUOTED,
        what: format!("{meant} stands in quotes"),
        fix: Some(format!("write {meant}, without quotes")),
        meant: Some(Value::Bool(meant)),
    })
}

fn of_another_kind(key: &Key, value: &Value) -> Option<Wrong> {
    let fix = Some(format!("write {}", key.kind.words()));
    Some(Wrong { rule: &TYPE_WRONG, what: format!("it is {}", shown(key, value)), fix, meant: None })
}

/// A text where a text belongs.
fn of_text(key: &Key, text: &str) -> Option<Wrong> {
    let address = |good: bool| {
        if good { None } else { wrong(&ADDRESS_WRONG, format!("it needs {}", key.kind.words())) }
    };
    match key.kind {
        Kind::String if !key.values.is_empty() => one_of(key, text),
        Kind::Port => {
            let good =
                text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0);
            if good { None } else { wrong(&PORT_WRONG, format!("{} is no port", shown(key, &text.into()))) }
        }
        Kind::Path => path(key, text),
        Kind::List => list(text),
        Kind::Url => address(text.is_empty() || is_proxy(text)),
        Kind::Uuid => address(is_uuid(text)),
        Kind::PublicKey => {
            let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'\n' | b'\r');
            address(!text.is_empty() && text.bytes().all(letter))
        }
        Kind::Bind => address(bind_port(text).is_some()),
        Kind::HostPort => {
            let plain = text.strip_prefix("https://").unwrap_or(text).trim_end_matches('/');
            address(text.is_empty() || is_authority(plain) || plain.parse::<std::net::Ipv6Addr>().is_ok())
        }
        _ => None,
    }
}

fn one_of(key: &Key, text: &str) -> Option<Wrong> {
    if key.values.iter().any(|value| value == text) {
        return None;
    }
    let plain = text.trim().to_ascii_lowercase();
    let near =
        key.values.iter().filter_map(|value| Some((edits(&plain, value, 2.min(value.len() / 2))?, value)));
    let meant = near.min().map(|(_, value)| value);
    let all: Vec<String> = key.values.iter().map(|value| format!("\"{value}\"")).collect();
    let fix = meant
        .map_or_else(|| format!("write one of {}", all.join(", ")), |meant| format!("write \"{meant}\""));
    let guess = meant.map(|meant| format!("; did you mean \"{meant}\"?")).unwrap_or_default();
    let what = format!("{} is none of the values that there are{guess}", shown(key, &text.into()));
    Some(Wrong { rule: &VALUE_WRONG, what, fix: Some(fix), meant: None })
}

fn path(key: &Key, text: &str) -> Option<Wrong> {
    let shown = || shown(key, &text.into());
    if text.is_empty() || (text.starts_with('/') && !text.split('/').any(|part| part == "..")) {
        None
    } else if text.starts_with('/') {
        wrong(&PATH_RELATIVE, format!("{} leads through ..", shown()))
    } else {
        wrong(&PATH_RELATIVE, format!("{} does not begin with /", shown()))
    }
}

/// Names with commas between them.
fn list(text: &str) -> Option<Wrong> {
    if text.is_empty() {
        return None;
    }
    if text.contains(char::is_whitespace) {
        let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let clear = plain.split(',').all(is_host)
            && !text.split(',').any(|name| name.trim().contains(char::is_whitespace));
        let fix = clear.then(|| format!("write \"{plain}\""));
        return Some(Wrong {
            rule: &LIST_SPACES,
            what: "there are spaces in the list".to_owned(),
            fix,
            meant: Some(Value::from(plain)),
        });
    }
    let bad = text.split(',').find(|name| !is_host(name))?;
    let what = match bad {
        "" => "there is an empty name in the list".to_owned(),
        _ if bad.contains('*') => format!("{bad:?} is a wildcard, which is not supported"),
        _ => format!("{bad:?} is no name of a host"),
    };
    wrong(&LIST_WRONG, what)
}

/// A value as it may be shown: shortened, and never a secret.
pub(super) fn shown(key: &Key, value: &Value) -> String {
    if key.secret || mask::is_secret(key.key.split('.')) || matches!(key.kind, Kind::Url | Kind::PublicKey) {
        return kind_of(value).to_owned();
    }
    match value {
        Value::String(text) if mask::tells(text, key.kind == Kind::HostPort) => {
            "a text with a secret in it".to_owned()
        }
        Value::Array(_) | Value::Object(_) => kind_of(value).to_owned(),
        _ => {
            let text = value.to_string();
            let short: String = text.chars().take(60).collect();
            if short.len() < text.len() { format!("{short}\u{2026}") } else { short }
        }
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
