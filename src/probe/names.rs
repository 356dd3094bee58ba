//! Whether a certificate is for a host, by the rules of Go's crypto/x509, which the product uses.

use std::net::IpAddr;

use super::row::{Finding, Row};
use super::{Host, View};
use crate::certs::check::Severity;
use crate::certs::look::{Certificate, Name};

/// What is wrong with the names of a server's certificate, if something is.
pub(super) fn judge(leaf: &Certificate, host: &Host, view: View) -> Option<Finding> {
    let wanted = &host.to_string();
    let error = |row, message: String| Some(Finding::row(row, Severity::Error, leaf.title(), message));
    if leaf.names.is_empty() {
        let common = leaf.common_name.as_deref().is_some_and(|name| matches(name, wanted));
        return if common {
            error(Row::LegacyCommonName, Row::LegacyCommonName.text().message.to_owned())
        } else {
            error(Row::NoNames, not_for_any(wanted))
        };
    }
    let dns = |name: &Name| if let Name::Dns(name) = name { Some(name.clone()) } else { None };
    let names: Vec<String> = match host {
        Host::Address(_) => leaf.names.iter().filter_map(address).map(|ip| ip.to_string()).collect(),
        Host::Name(_) => leaf.names.iter().filter_map(dns).collect(),
    };
    let fits = match host {
        Host::Address(address_of_it) => leaf.names.iter().filter_map(address).any(|ip| ip == *address_of_it),
        Host::Name(name) => names.iter().any(|known| same(known, name)),
    };
    if fits {
        return None;
    }
    if names.is_empty() {
        return match host {
            Host::Address(_) => error(
                Row::NoNames,
                format!("cannot validate certificate for {wanted} because it doesn't contain any IP SANs"),
            ),
            Host::Name(_) => error(Row::NoNames, not_for_any(wanted)),
        };
    }
    let message = format!("certificate is valid for {}, not {wanted}", names.join(", "));
    if names.iter().any(|name| matches(name, wanted)) {
        let severity = if view == View::Browser { Severity::Warning } else { Severity::Error };
        let cause = "only a wildcard matches, which does not count in FIPS-CC mode";
        return Some(Finding::row(Row::OtherNames, severity, leaf.title(), message).because(cause));
    }
    error(Row::OtherNames, message)
}

fn not_for_any(wanted: &str) -> String {
    format!("certificate is not valid for any names, but wanted to match {wanted}")
}

fn address(name: &Name) -> Option<IpAddr> {
    if let Name::Ip(address) = name { Some(address.to_canonical()) } else { None }
}

/// Whether both are the same name; case and a last dot do not count.
fn same(known: &str, wanted: &str) -> bool {
    let plain = |name: &str| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    !known.is_empty() && plain(known) == plain(wanted)
}

/// The same, with a wildcard as the first label (RFC 6125, 6.4.3).
fn matches(known: &str, wanted: &str) -> bool {
    let below = |name: &str| name.split_once('.').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
    same(known, wanted) || known.strip_prefix("*.").is_some_and(|rest| same(rest, &below(wanted)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::look::Chain;
    use crate::certs::self_signed;

    fn found(names: &[&str], host: &str) -> Option<(&'static str, String)> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let chain = Chain::parse(self_signed(&names, 30).unwrap().chain.as_bytes());
        let finding = judge(&chain.certificates[0], &host.parse().unwrap(), View::Engine)?;
        Some((finding.id, finding.message))
    }

    #[test]
    fn names_and_addresses() {
        assert_eq!(found(&["soar.example.test", "10.1.2.3"], "SOAR.example.test."), None);
        assert_eq!(found(&["soar.example.test", "10.1.2.3"], "10.1.2.3"), None);
        assert_eq!(found(&["::1"], "::1"), None);
        let other = found(&["soar.example.test", "b.test"], "c.test").unwrap();
        let message = "certificate is valid for soar.example.test, b.test, not c.test";
        assert_eq!(other, ("other-names", message.to_owned()));
        assert_eq!(
            found(&["10.1.2.3"], "10.1.2.4").unwrap().1,
            "certificate is valid for 10.1.2.3, not 10.1.2.4"
        );
        assert_eq!(found(&["10.1.2.3"], "a.test").unwrap().0, "no-names");
        assert!(found(&["a.test"], "10.1.2.3").unwrap().1.contains("any IP SANs"));
        assert_eq!(found(&["*.example.test"], "a.example.test").unwrap().0, "other-names");
        assert!(
            matches("*.example.test", "a.example.test") && !matches("*.example.test", "a.b.example.test")
        );
        assert!(!matches("*.example.test", "example.test") && !matches("", "") && !matches("*.", "a"));
    }
}
