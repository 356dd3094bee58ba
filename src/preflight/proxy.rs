//! Proxies in the settings of logins and services.

use std::collections::BTreeMap;

use super::Verdict;

/// Names of proxies, in lower case, with their values.
pub type Settings = BTreeMap<String, String>;

/// What is set in both places.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxy {
    /// In `/etc/environment`, which services of the product read.
    pub environment: Settings,
    /// In `/etc/profile` and `/etc/profile.d`, which logins read.
    pub profile: Settings,
}

const NAMES: [&str; 2] = ["http_proxy", "https_proxy"];

impl Proxy {
    /// Takes the proxies out of a file of assignments. Where a password holds what ends a value, such as `;`, the
    /// value is not cut there: the half of it could not be told from a host.
    #[must_use]
    pub fn read(text: &str) -> Settings {
        let proxies = lines(text).filter(|(name, _)| NAMES.contains(&name.as_str()));
        let whole = |value: &str| match split(value) {
            (value, rest) if rest.contains('@') => masked(&format!("{value}{rest}")),
            (value, _) => value.to_owned(),
        };
        proxies.map(|(name, value)| (name, whole(value))).collect()
    }

    pub(super) fn judge(&self) -> Verdict {
        let (environment, profile) = (&self.environment, &self.profile);
        let all: BTreeMap<&String, &String> = environment.iter().chain(profile).collect();
        if let Some((name, value)) = all.iter().find(|(_, value)| !is_url(value)) {
            return Verdict::warn(format!("{name} is {}, which is no URL", masked(value)));
        }
        for name in NAMES {
            match (environment.get(name), profile.get(name)) {
                (Some(one), Some(other)) if one != other => {
                    let (one, other) = (masked(one), masked(other));
                    return Verdict::warn(format!(
                        "{name} is {one} in /etc/environment and {other} in /etc/profile"
                    ));
                }
                (Some(_), None) => return only(name, "/etc/environment", "/etc/profile"),
                (None, Some(_)) => return only(name, "/etc/profile", "/etc/environment"),
                _ => {}
            }
        }
        match environment.iter().next() {
            None => Verdict::pass("none is set"),
            Some(_) => {
                let told = environment.iter().map(|(name, value)| format!("{name}={}", masked(value)));
                Verdict::pass(told.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// What a file of assignments sets, such as `export https_proxy="http://proxy:3128"`: names in lower case.
#[must_use]
pub fn assignments(text: &str) -> Settings {
    lines(text).map(|(name, value)| (name, split(value).0.to_owned())).collect()
}

fn lines(text: &str) -> impl Iterator<Item = (String, &str)> {
    text.lines().filter_map(|line| {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let (name, value) = line.split_once('=')?;
        Some((name.trim().to_ascii_lowercase(), value.trim()))
    })
}

fn only(name: &str, there: &str, missing: &str) -> Verdict {
    Verdict::warn(format!("{name} is set in {there}, not in {missing}"))
}

/// A value without its quotes, and what follows it up to the next space.
fn split(value: &str) -> (&str, &str) {
    let quoted = |quote: char| value.strip_prefix(quote)?.split_once(quote);
    let (value, rest) = quoted('"').or_else(|| quoted('\'')).unwrap_or_else(|| {
        let end = value.find([' ', ';', '\t']).unwrap_or(value.len());
        value.split_at_checked(end).unwrap_or_default()
    });
    (value, rest.split([' ', '\t']).next().unwrap_or_default())
}

fn is_url(value: &str) -> bool {
    let rest = ["http://", "https://", "socks5://"].iter().find_map(|scheme| value.strip_prefix(scheme));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with([':', '/']))
}

/// A user and password in a URL are nobody's business.
fn masked(value: &str) -> String {
    match value.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            format!("{scheme}://***@{host}")
        }
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_read_and_passwords_hidden() {
        let text = "# x\nPATH=/bin\nexport HTTPS_PROXY=\"http://u:p@ss@proxy:3128\"; export X=1\nhttp_proxy='http://a:1' # y\n";
        let found = Proxy::read(text);
        assert_eq!(found.len(), 2);
        assert_eq!(masked(&found["https_proxy"]), "http://***@proxy:3128");
        assert_eq!(found["http_proxy"], "http://a:1");
        assert_eq!(
            assignments("https_proxy=http://a:1\nHTTPS_PROXY=http://b:2\n#https_proxy=x")["https_proxy"],
            "http://b:2"
        );
        for line in ["https_proxy=http://u:12;ss@proxy:3128", "https_proxy=\"http://u:12\"ss@proxy:3128\""] {
            let found = Proxy::read(line);
            let proxy = Proxy { environment: found.clone(), profile: found };
            let seen = format!("{:?}", proxy.judge());
            assert!(
                seen.contains("//***@proxy:3128") && !seen.contains("12;") && !seen.contains("u:"),
                "{seen}"
            );
        }
        let found = Proxy::read("https_proxy=http://a:1; export MAIL=me@example.test");
        assert_eq!(found["https_proxy"], "http://a:1");
        assert!(is_url(&found["https_proxy"]) && !is_url("proxy:3128") && !is_url("http://"));
    }
}
