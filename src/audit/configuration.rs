//! Keys of the configuration.

use serde_json::Value;

use super::Verdict;
use super::evidence::{Evidence, Kept};
use crate::config::policy::Line;
use crate::config::preset::{
    CLIENT_POLICY, CLIENT_SWITCHES as VERIFY_CLIENTS, EXTERNAL_HOST as EXTERNAL_NAME,
    SAN_TRUST_LIST as SAN_LIST,
};
use crate::config::table::table;
use crate::product::Role;

const VERIFY_SERVERS: &str = "security.certificate.override.donotverifyservercertificates";
const VERIFY_SAN: &str = "security.certificate.verifyclientsan";
const REVOCATION: &str = "security.certificate.verifyrevocation";
const UNKNOWN_STATUS: &str = "security.certificate.failonunknownrevocationstatus";
const CA_SIGN: &str = "security.certificate.verifycasign";
const KEYPASS_ENCRYPT: &str = "security.keypass.encrypt";
const TRUST_ANY: &str = "engine.connection.trust_any_certificate";
const CLIENT_ENABLED: &str = "security.client.enabled";
const ENGINE_URLS: &str = "EngineURLs";

/// The keys whose values are looked at. A secret that is in one in spite of what it is for is not shown.
pub const KEYS: [&str; 14] = [
    VERIFY_SERVERS,
    VERIFY_CLIENTS[0],
    VERIFY_CLIENTS[1],
    CLIENT_POLICY,
    VERIFY_SAN,
    SAN_LIST,
    REVOCATION,
    UNKNOWN_STATUS,
    CA_SIGN,
    KEYPASS_ENCRYPT,
    TRUST_ANY,
    CLIENT_ENABLED,
    EXTERNAL_NAME,
    ENGINE_URLS,
];

/// What is said of a key that is not in the file.
fn unset(seen: &Evidence, key: &str, default: &str) -> String {
    let at = format!("{} has no {key}, and the default is {default}", seen.config_path);
    match seen.site.role() {
        Role::Server => {
            format!("{at}; what is set on the web page is kept in the database and is not seen here")
        }
        Role::Engine => format!("{at}; what the server's page sets for an engine is not seen here"),
    }
}

/// What is said twice of a key, or of a group that it is in. Nobody knows which the product takes.
fn ambiguous<'a>(seen: &'a Evidence, key: &'a str) -> impl Iterator<Item = String> + 'a {
    let is_about = move |name: &str| {
        let names = table().find(key).map_or(vec![key], |known| known.names().collect());
        let dotted = format!(".{}.", name.to_ascii_lowercase());
        names.iter().any(|own| format!(".{}.", own.to_ascii_lowercase()).contains(&dotted))
    };
    let found = seen.ambiguous.iter().filter(move |(name, _)| is_about(name));
    found.map(|(_, what)| format!("{}: {what}", seen.config_path))
}

/// The value of a key; a verdict where the configuration cannot be read.
fn value<'a>(seen: &'a Evidence, key: &str) -> Result<Option<&'a Value>, Verdict> {
    let twice: Vec<String> = ambiguous(seen, key).collect();
    match &seen.values {
        Ok(_) if !twice.is_empty() => Err(Verdict::of(twice, Vec::new())),
        Ok(values) => Ok(values.get(key)),
        Err(why) => Err(Verdict::manual(why)),
    }
}

/// A key that has to have a value of the evaluated configuration, which is what the table of keys says.
fn keyed(seen: &Evidence, key: &str) -> Verdict {
    let role = seen.site.role();
    let Some(known) = table().find(key) else { return Verdict::manual(format!("nothing is known of {key}")) };
    let (wanted, default) = (known.secure_of(role), known.default_of(role));
    let shown = |values: &[Value]| values.iter().map(Value::to_string).collect::<Vec<_>>().join(" or ");
    match (value(seen, key), default) {
        (Err(unread), _) => unread,
        (Ok(Some(found)), _) if wanted.contains(found) => {
            Verdict::pass(format!("{}: {key} is {found}", seen.config_path))
        }
        (Ok(Some(found)), _) => {
            Verdict::fail(format!("{}: {key} is {found}, not {}", seen.config_path, shown(wanted)))
        }
        (Ok(None), Some(default)) if wanted.contains(default) => {
            Verdict::pass(format!("{} has no {key}, and the default is {default}", seen.config_path))
        }
        (Ok(None), default) => {
            Verdict::fail(unset(seen, key, &shown(default.map_or(&[], std::slice::from_ref))))
        }
    }
}

pub(super) fn syntax(seen: &Evidence) -> Verdict {
    match (&seen.config_problem, &seen.values) {
        (Some(why), _) => Verdict::fail(format!("{}: {why}", seen.config_path)),
        (None, Err(why)) => Verdict::manual(why),
        (None, Ok(_)) if !seen.ambiguous.is_empty() => {
            let told = seen.ambiguous.iter().map(|(_, what)| format!("{}: {what}", seen.config_path));
            Verdict::of(told.collect(), Vec::new())
        }
        (None, Ok(_)) => Verdict::pass(format!("{} is read as JSON", seen.config_path)),
    }
}

pub(super) fn verify_servers(seen: &Evidence) -> Verdict {
    keyed(seen, VERIFY_SERVERS)
}

pub(super) fn verify_clients(seen: &Evidence) -> Verdict {
    let mut found = Vec::new();
    for key in VERIFY_CLIENTS {
        match value(seen, key) {
            Err(unread) => return unread,
            Ok(value) => found.extend(value.map(|value| (key, value))),
        }
    }
    let told = |(key, value): &(&str, &Value)| format!("{}: {key} is {value}", seen.config_path);
    let is_off = |(_, value): &&(&str, &Value)| **value == Value::Bool(false);
    let (fine, wrong): (Vec<_>, Vec<_>) = found.iter().partition(is_off);
    if found.is_empty() {
        return Verdict::fail(unset(seen, VERIFY_CLIENTS[0], "true"));
    }
    Verdict::of(wrong.into_iter().map(told).collect(), fine.into_iter().map(told).collect())
}

pub(super) fn client_policy(seen: &Evidence) -> Verdict {
    keyed(seen, CLIENT_POLICY)
}

pub(super) fn revocation(seen: &Evidence) -> Verdict {
    keyed(seen, REVOCATION)
}

pub(super) fn unknown_status(seen: &Evidence) -> Verdict {
    keyed(seen, UNKNOWN_STATUS)
}

pub(super) fn ca_sign(seen: &Evidence) -> Verdict {
    keyed(seen, CA_SIGN)
}

pub(super) fn keypass_encrypt(seen: &Evidence) -> Verdict {
    keyed(seen, KEYPASS_ENCRYPT)
}

pub(super) fn trust_any(seen: &Evidence) -> Verdict {
    keyed(seen, TRUST_ANY)
}

pub(super) fn client_san(seen: &Evidence) -> Verdict {
    keyed(seen, VERIFY_SAN)
}

pub(super) fn san_list(seen: &Evidence) -> Verdict {
    let found = match value(seen, SAN_LIST) {
        Err(unread) => return unread,
        Ok(None) => return Verdict::fail(unset(seen, SAN_LIST, "\"\", by which nobody is let in")),
        Ok(Some(found)) => found,
    };
    let told = format!("{}: {SAN_LIST} is {found}", seen.config_path);
    let Some(text) = found.as_str() else { return Verdict::fail(format!("{told}, which is no text")) };
    if text.is_empty() {
        return Verdict::fail(format!("{told}, by which nobody is let in"));
    }
    let wrong = |name: &str| match name {
        "" => Some("a name is missing between commas".to_owned()),
        _ if name.contains(char::is_whitespace) => Some(format!("{name:?} has a space in it")),
        _ if name.contains('*') => Some(format!("{name:?} is a wildcard, which is not supported")),
        _ => None,
    };
    let wrong: Vec<String> = text.split(',').filter_map(wrong).collect();
    if wrong.is_empty() { Verdict::pass(told) } else { Verdict::fail(told).and(wrong) }
}

pub(super) fn external_host(seen: &Evidence) -> Verdict {
    match value(seen, EXTERNAL_NAME) {
        Err(unread) => unread,
        Ok(None) if seen.site.is_server() => {
            Verdict::manual(unset(seen, EXTERNAL_NAME, "the host's own name"))
        }
        Ok(None) => Verdict::fail(unset(seen, EXTERNAL_NAME, "the name in EngineURLs")),
        Ok(Some(found)) => {
            let told = format!("{}: {EXTERNAL_NAME} is {found}", seen.config_path);
            let fits =
                found.as_str().is_some_and(|name| !name.is_empty() && !name.contains(char::is_whitespace));
            if fits { Verdict::pass(told) } else { Verdict::fail(format!("{told}, which names no host")) }
        }
    }
}

pub(super) fn engine_urls(seen: &Evidence) -> Verdict {
    let found = match value(seen, ENGINE_URLS) {
        Err(unread) => return unread,
        Ok(found) => found.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default(),
    };
    if found.is_empty() {
        return Verdict::fail(format!("{} names no server in EngineURLs", seen.config_path));
    }
    let told = |url: &Value| format!("{}: EngineURLs has {url}", seen.config_path);
    let is_secure = |url: &&Value| url.as_str().is_some_and(|url| url.starts_with("wss://"));
    let (fine, wrong): (Vec<_>, Vec<_>) = found.iter().partition(is_secure);
    Verdict::of(wrong.into_iter().map(told).collect(), fine.into_iter().map(told).collect())
}

pub(super) fn client_enabled(seen: &Evidence) -> Verdict {
    let has_pair = match &seen.certificates {
        Ok(all) => all.iter().any(|set| !set.served && set.files.len() + set.unread.len() > 0),
        Err(why) => return Verdict::manual(why),
    };
    match value(seen, CLIENT_ENABLED) {
        Err(unread) => unread,
        Ok(Some(Value::Bool(true))) => {
            Verdict::pass(format!("{}: {CLIENT_ENABLED} is true", seen.config_path))
        }
        Ok(_) if has_pair => Verdict::fail(format!(
            "there is a client's certificate, but {CLIENT_ENABLED} is not true in {}",
            seen.config_path
        )),
        Ok(_) => {
            Verdict::manual("this engine has no client's certificate, so the server cannot look at its names")
        }
    }
}

/// Values that are set have to be as good as those of the guide's table. What is not set, the database tells.
pub(super) fn password_policy(seen: &Evidence) -> Verdict {
    let rows = match &seen.policy {
        Ok(rows) => rows,
        Err(why) => return Verdict::manual(why),
    };
    let told = |row: &Line, value: &Value| format!("{}: {} is {value}", row.row.title, row.row.key());
    let (mut wrong, mut fine, mut open) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let key = row.row.key();
        let twice: Vec<String> = ambiguous(seen, &key).collect();
        if !twice.is_empty() {
            wrong.extend(twice);
            continue;
        }
        match (&row.configured, &row.objection) {
            (_, Some(why)) => wrong.push(format!("{}: {why}", row.row.title)),
            (Some(value), None) => fine.push(told(row, value)),
            (None, None) => open.push(format!("{}: {} is not set", row.row.title, row.row.key())),
        }
    }
    if wrong.is_empty() && !open.is_empty() {
        return Verdict::manual(format!("{} does not set all of it", seen.config_path)).and(open).and(fine);
    }
    let kept = "what was set on the web page later is kept in the database, counts more and is not seen here";
    Verdict::of(wrong, fine).and([kept.to_owned()])
}

/// Who may change the configuration, data and logs besides the service; who may read a passphrase.
pub(super) fn files(seen: &Evidence, directories: bool) -> Verdict {
    let all = match &seen.files {
        Ok(files) => files,
        Err(why) => return Verdict::manual(why),
    };
    let (mut wrong, mut fine) = (Vec::new(), Vec::new());
    for file in all {
        let secret = match file.kept {
            Kept::Configuration(secret) if !directories => secret,
            Kept::Directory if directories => false,
            _ => continue,
        };
        let told = format!("{} has mode {:04o} and belongs to {}", file.path, file.mode, file.owner);
        let others =
            |bits: u32| file.mode & bits != 0 || (file.foreign_group && file.mode & (bits << 3) != 0);
        let why = match () {
            () if file.foreign_owner => Some("which is not the service"),
            () if others(0o002) => Some("so others can change it"),
            () if secret && others(0o004) => Some("so others can read the passphrase in it"),
            () => None,
        };
        match why {
            Some(why) => wrong.push(format!("{told}, {why}")),
            None => fine.push(told),
        }
    }
    match (wrong.is_empty(), fine.is_empty()) {
        (true, true) => Verdict::not_applicable("there is none"),
        _ => Verdict::of(wrong, fine),
    }
}

pub(super) fn configuration_file(seen: &Evidence) -> Verdict {
    files(seen, false)
}

pub(super) fn directories(seen: &Evidence) -> Verdict {
    files(seen, true)
}

pub(super) fn one_time(seen: &Evidence) -> Verdict {
    match &seen.one_time {
        None => Verdict::not_applicable("an engine has no one-time configuration"),
        Some(places) => {
            let (there, absent): (Vec<_>, Vec<_>) = places.iter().partition(|(_, there)| *there);
            let wrong = there
                .iter()
                .map(|(path, _)| format!("{path} is there, with passwords or passphrases in clear text"));
            let fine = absent.iter().map(|(path, _)| format!("there is no {path}"));
            Verdict::of(wrong.collect(), fine.collect())
        }
    }
}
