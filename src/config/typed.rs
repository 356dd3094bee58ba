//! A value as it is typed on a command line: what it is in JSON depends on its key.

use serde_json::Value;

use super::table::{Key, Kind};

/// The JSON value that a text stands for. Where the key says nothing of it, `true` and `false` are truth
/// values, and all else is a text.
///
/// # Errors
/// Says what the key needs instead.
pub fn typed(key: Option<&Key>, text: &str) -> Result<Value, String> {
    let Some(key) = key else { return Ok(guess(text)) };
    let refused = || format!("{text:?} is not {}", key.kind.words());
    let value = match key.kind {
        Kind::Any => guess(text),
        Kind::Boolean => text.parse::<bool>().map_err(|_| refused())?.into(),
        Kind::Integer | Kind::Count => text.parse::<u64>().map_err(|_| refused())?.into(),
        Kind::List => text.split(',').map(str::trim).collect::<Vec<_>>().join(",").into(),
        Kind::Servers => text.split(',').map(str::trim).collect::<Vec<_>>().into(),
        Kind::String
        | Kind::Port
        | Kind::Path
        | Kind::Url
        | Kind::Uuid
        | Kind::PublicKey
        | Kind::Bind
        | Kind::HostPort => text.into(),
    };
    let known =
        key.values.is_empty() || value.as_str().is_none_or(|text| key.values.iter().any(|v| v == text));
    if known {
        return Ok(value);
    }
    let values: Vec<String> = key.values.iter().map(|value| format!("{value:?}")).collect();
    Err(format!("{text:?} is none of {}", values.join(", ")))
}

fn guess(text: &str) -> Value {
    text.parse::<bool>().map_or_else(|_| text.into(), Value::from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::table::table;

    #[test]
    fn the_key_decides_what_a_text_is() {
        for (key, text, wanted) in [
            ("Server.HttpsPort", "8443", json!("8443")),
            ("security.certificate.verifyrevocation", "true", json!(true)),
            (
                "security.certificate.santrustlist",
                "a.example.org, b.example.org",
                json!("a.example.org,b.example.org"),
            ),
            ("security.certificate.santrustlist", "", json!("")),
            ("server.certificate.clientauthpolicy", "verify", json!("verify")),
            ("password.policy.default.MinPasswordLength", "12", json!(12)),
            ("EngineURLs", "wss://a/d1ws,wss://b/d1ws", json!(["wss://a/d1ws", "wss://b/d1ws"])),
        ] {
            assert_eq!(typed(table().find(key), text).unwrap(), wanted, "{key}");
        }
        for (key, text) in [
            ("security.certificate.verifyrevocation", "True"),
            ("security.certificate.verifyrevocation", "1"),
            ("server.certificate.clientauthpolicy", "Verify"),
            ("password.policy.default.MinPasswordLength", "twelve"),
        ] {
            assert!(typed(table().find(key), text).is_err(), "{key}: {text}");
        }
        assert_eq!(typed(None, "false").unwrap(), json!(false));
        assert_eq!(typed(None, "12").unwrap(), json!("12"));
    }
}
