//! The forms of single values: addresses, ids, paths.

use serde_json::Value;

/// An array of `wss://host[:port]/path`; with `needed` at least one.
pub(super) fn servers(value: &Value, needed: bool) -> bool {
    match value.as_array() {
        Some(list) => {
            (!needed || !list.is_empty()) && list.iter().all(|url| url.as_str().is_some_and(is_server))
        }
        None => !needed && value.is_null(),
    }
}

/// `wss://host[:port]/path`; the path of a tenant's server begins with `acc_NAME/`.
fn is_server(url: &str) -> bool {
    let Some((authority, path)) = url.strip_prefix("wss://").and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    !path.is_empty() && path.bytes().all(|b| b.is_ascii_graphic()) && is_authority(authority)
}

/// `host` or `host:port`.
pub(super) fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port = port.is_none_or(|port| is_number(port) && port.parse::<u16>().is_ok_and(|port| port != 0));
    port && is_host(host)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// A name, an IPv4 address, or an IPv6 address in brackets.
pub(super) fn is_host(text: &str) -> bool {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().is_ok();
    }
    (1..=253).contains(&text.len())
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

pub(super) fn is_uuid(text: &str) -> bool {
    let mut lengths = [8, 4, 4, 4, 12].into_iter();
    let groups = text
        .split('-')
        .all(|group| lengths.next() == Some(group.len()) && group.bytes().all(|b| b.is_ascii_hexdigit()));
    groups && lengths.next().is_none()
}

pub(super) fn bind_port(text: &str) -> Option<u16> {
    let (host, port) = text.rsplit_once(':')?;
    let port = Some(port).filter(|port| is_number(port))?.parse().ok()?;
    (host.is_empty() || is_host(host)).then_some(port)
}

pub(super) fn is_clean_path(path: &str) -> bool {
    let mut parts = path.split('/');
    parts.next() == Some("")
        && parts.all(|part| !matches!(part, "" | "." | ".."))
        && !path.bytes().any(|b| b.is_ascii_control())
}

pub(super) fn is_proxy(text: &str) -> bool {
    let rest = ["http://", "https://", "socks5://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let authority = rest.map(|rest| rest.trim_end_matches('/')).unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, authority)| authority);
    is_authority(authority)
}
