//! Single values: the HTTPS port and the certificate file.

use std::net::Ipv6Addr;

use serde_json::{Map, Value};

use super::set::place;
use super::{CERTIFICATE_FILE, Error, HTTPS_PORT, Result, parse};

/// The value of a dotted key, whether it is spelt nested, dotted or mixed, in any case.
pub(super) fn find<'a>(map: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Value> {
    let direct = map.keys().find(|name| name.eq_ignore_ascii_case(key)).cloned();
    if let Some(name) = direct {
        return map.get_mut(&name);
    }
    let cuts: Vec<usize> = key.match_indices('.').map(|(i, _)| i).collect();
    for cut in cuts {
        let (head, tail) = (key.get(..cut)?, key.get(cut + 1..)?);
        let name = map.keys().find(|name| name.eq_ignore_ascii_case(head)).cloned();
        let holds =
            |value: &mut Value| value.as_object_mut().is_some_and(|inner| find(inner, tail).is_some());
        if let Some(name) = name.filter(|name| map.get_mut(name).is_some_and(holds)) {
            return map.get_mut(&name)?.as_object_mut().and_then(|inner| find(inner, tail));
        }
    }
    None
}

/// The HTTPS port that a configuration sets, if it sets one.
///
/// # Errors
/// When the text is no JSON object or the value is no port.
pub fn https_port(text: &str) -> Result<Option<u16>> {
    let mut map = parse(text)?;
    let Some(value) = find(&mut map, HTTPS_PORT) else { return Ok(None) };
    let bad = || Error::Port { key: HTTPS_PORT, value: value.to_string() };
    let port = match &*value {
        Value::String(text) => text.trim().parse().map_err(|_| bad())?,
        Value::Number(number) => number.as_u64().and_then(|n| u16::try_from(n).ok()).ok_or_else(bad)?,
        _ => return Err(bad()),
    };
    if port == 0 { Err(bad()) } else { Ok(Some(port)) }
}

/// The certificate file that a configuration names, if it names one.
///
/// # Errors
/// When the text is no JSON object.
pub fn certificate_file(text: &str) -> Result<Option<String>> {
    let mut map = parse(text)?;
    let value = find(&mut map, CERTIFICATE_FILE).and_then(|value| value.as_str().map(str::to_owned));
    Ok(value.filter(|path| !path.is_empty()))
}

/// The text that a configuration gives a key; nothing where it gives none, or cannot be read.
#[must_use]
pub fn text(text: &str, key: &str) -> Option<String> {
    let mut map = parse(text).ok()?;
    let value = find(&mut map, key)?.as_str()?;
    Some(value.to_owned()).filter(|value| !value.is_empty())
}

/// The host of `Server.ExternalHostName`, by which users and engines reach the server: without scheme and
/// port, an IPv6 address without its brackets.
#[must_use]
pub fn external_host(configuration: &str) -> Option<String> {
    let name = text(configuration, "Server.ExternalHostName")?;
    let name = name.trim().trim_start_matches("https://").trim_end_matches('/');
    let host = match name.rsplit_once(':') {
        _ if name.parse::<Ipv6Addr>().is_ok() => name,
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => name,
    };
    Some(host.trim_start_matches('[').trim_end_matches(']').to_owned()).filter(|host| !host.is_empty())
}

/// The text with the HTTPS port set; unchanged to the byte when it is that already, as is all else.
///
/// # Errors
/// When the text is no JSON object, or has an object with members there.
pub fn with_https_port(text: &str, port: u16) -> Result<String> {
    if matches!(https_port(text), Ok(Some(now)) if now == port) {
        return Ok(text.to_owned());
    }
    let port = port.to_string();
    match place(text, &serde_json::json!({ "Server": { "HttpsPort": port } })) {
        // `Server` is no object: the dotted key is found first
        Err(Error::NoPlace(_)) => place(text, &serde_json::json!({ HTTPS_PORT: port })),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_found() {
        for text in [
            r#"{"Server":{"HttpsPort":"8443"}}"#,
            r#"{"server.httpsport":"8443"}"#,
            r#"{"SERVER":{"HTTPSPORT":8443}}"#,
            r#"{"x":1,"Server":{"ProxyMode":true},"Server.HttpsPort":" 8443 "}"#,
        ] {
            assert_eq!(https_port(text).unwrap(), Some(8443), "{text}");
            assert_eq!(with_https_port(text, 8443).unwrap(), text);
            assert_eq!(https_port(&with_https_port(text, 9443).unwrap()).unwrap(), Some(9443));
        }
    }

    #[test]
    fn the_rest_stays() {
        let text = "{\"b\": 1, \"Server\": {\"ProxyMode\": true}, \"a\": [1.50]}";
        let new = with_https_port(text, 443).unwrap();
        let wanted = "{\"b\": 1, \"Server\": {\"ProxyMode\": true, \"HttpsPort\": \"443\"}, \"a\": [1.50]}";
        assert_eq!(new, wanted);
    }

    #[test]
    fn the_port_goes_where_it_is_read_from() {
        for text in [r#"{"server":{"x":1}}"#, r#"{"server":"x"}"#, r#"{"SERVER":[],"Server":{}}"#] {
            assert_eq!(https_port(&with_https_port(text, 8443).unwrap()).unwrap(), Some(8443), "{text}");
        }
        assert_eq!(parse(&with_https_port(r#"{"server":{"x":1}}"#, 8443).unwrap()).unwrap().len(), 1);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(matches!(https_port("{"), Err(Error::Syntax(_))));
        assert!(matches!(https_port("[]"), Err(Error::NotAnObject)));
        for bad in ["0", "65536", "https", ""] {
            assert!(https_port(&format!(r#"{{"Server":{{"HttpsPort":"{bad}"}}}}"#)).is_err(), "{bad}");
        }
        assert_eq!(https_port("{}").unwrap(), None);
    }

    #[test]
    fn the_host_is_told_from_its_port() {
        let host = |name: &str| external_host(&format!(r#"{{"Server":{{"ExternalHostName":"{name}"}}}}"#));
        for (name, expected) in [
            ("soar.example.test", "soar.example.test"),
            ("soar.example.test:443", "soar.example.test"),
            ("https://soar.example.test:8443/", "soar.example.test"),
            ("192.0.2.1:443", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
        ] {
            assert_eq!(host(name).as_deref(), Some(expected), "{name}");
        }
        assert!(host("").is_none() && external_host("{").is_none());
    }

    #[test]
    fn the_certificate_may_be_elsewhere() {
        let named = certificate_file(r#"{"Security":{"CertFile":"/srv/cert.pem"}}"#).unwrap();
        assert_eq!(named.as_deref(), Some("/srv/cert.pem"));
        assert_eq!(certificate_file(r#"{"security.certfile":""}"#).unwrap(), None);
    }
}
