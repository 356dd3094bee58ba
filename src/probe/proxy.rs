//! HTTP proxies: how they are written down.

use super::{Host, host_and_port};
use crate::types::Secret;

/// A proxy that is asked for a way with CONNECT.
#[derive(Debug)]
pub struct Proxy {
    /// Its host.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// `USER:PASSWORD`, which go to the proxy and are shown nowhere.
    pub credentials: Option<Secret>,
}

/// A text that names no proxy that can be used. It may hold a password, so it is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoProxy {
    /// Another protocol than HTTP is spoken there.
    #[error("only proxies of the form http://HOST:PORT can be used")]
    Kind,
    /// No host, or no port.
    #[error("it names no host and port; a proxy is written as http://HOST:PORT")]
    Place,
}

impl Proxy {
    /// Reads `http://HOST:PORT`, as it stands in `https_proxy`: the scheme and a slash at the end may be missing,
    /// credentials may be in front of the host, with `%XX` for odd characters in them (RFC 3986, 3.2.1). The port is 80
    /// unless it is told.
    ///
    /// # Errors
    /// When it is none, or one of another kind.
    pub fn parse(text: &str) -> Result<Self, NoProxy> {
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some(_) => return Err(NoProxy::Kind),
            None => text,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (credentials, place) = match rest.rsplit_once('@') {
            Some((credentials, place)) => (Some(decoded(credentials).ok_or(NoProxy::Place)?), place),
            None => (None, rest),
        };
        let (host, port) = host_and_port(place, 80).ok_or(NoProxy::Place)?;
        let host = host.parse().map_err(|_| NoProxy::Place)?;
        if port == 0 { Err(NoProxy::Place) } else { Ok(Self { host, port, credentials }) }
    }
}

impl std::fmt::Display for Proxy {
    /// Without the credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host {
            Host::Address(std::net::IpAddr::V6(address)) => write!(f, "http://[{address}]:{}", self.port),
            _ => write!(f, "http://{}:{}", self.host, self.port),
        }
    }
}

/// Whether a list in the form of `no_proxy` has `host` gone to directly: itself, a domain above it, or `*`.
#[must_use]
pub fn bypasses(list: &str, host: &Host) -> bool {
    let (list, host) = (list.to_ascii_lowercase(), host.to_string().to_ascii_lowercase());
    list.split([',', ' ']).map(str::trim).any(|entry| {
        let name = entry.trim_start_matches("*.").trim_start_matches('.');
        let above = host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        entry == "*" || !name.is_empty() && above
    })
}

/// Credentials without their `%XX`.
fn decoded(text: &str) -> Option<Secret> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [high, low, behind @ ..]) => {
                let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
                bytes.push(digit(high)? << 4 | digit(low)?);
                rest = behind;
            }
            (b'%', _) => return None,
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    Some(Secret::from(String::from_utf8(bytes).ok()?))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn proxies_in_all_spellings() {
        let parsed = |text: &str| Proxy::parse(text).map(|p| p.to_string());
        for (text, wanted) in [
            ("http://proxy.example.test:3128", "http://proxy.example.test:3128"),
            ("HTTP://10.0.0.1:8080/", "http://10.0.0.1:8080"),
            ("proxy:3128", "http://proxy:3128"),
            ("http://proxy", "http://proxy:80"),
            ("http://[::1]:3128", "http://[::1]:3128"),
            ("http://user:pa%40ss@proxy:3128", "http://proxy:3128"),
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(wanted), "{text}");
        }
        let given = Proxy::parse("http://user:pa%40s:s@proxy:3128").unwrap();
        assert_eq!(given.credentials.as_ref().unwrap().expose_secret(), "user:pa@s:s");
        assert!(!format!("{given} {given:?}").contains("pa@s"));
        for (text, why) in [
            ("https://proxy:3128", NoProxy::Kind),
            ("socks5://proxy:1080", NoProxy::Kind),
            ("http://", NoProxy::Place),
            ("http://a b:1", NoProxy::Place),
            ("http://proxy:0", NoProxy::Place),
            ("http://u%4@proxy:1", NoProxy::Place),
            ("http://proxy:1/path", NoProxy::Place),
        ] {
            assert_eq!(Proxy::parse(text).unwrap_err(), why, "{text}");
        }
    }

    #[test]
    fn who_is_gone_to_directly() {
        let by = |host: &str| bypasses("localhost,.example.test, other.test", &host.parse().unwrap());
        assert!(by("a.example.test") && by("example.test") && by("localhost") && by("OTHER.test"));
        assert!(!by("notother.test") && !by("example.com"));
        assert!(bypasses("*", &"a.b".parse().unwrap()) && !bypasses("", &"a.b".parse().unwrap()));
    }
}
