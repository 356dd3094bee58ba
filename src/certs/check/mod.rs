//! Certificates and keys against every rule of the guide, beforehand.
//!
//! In: what files hold and what is known of the place that they are for. Out: findings, each with what, why and
//! what helps. Asks nothing and touches nothing; the time is given.

mod authority;
mod chain;
mod every;
mod file;
mod key;
mod leaf;
mod place;
mod rules;

use jiff::Timestamp;
use serde::Serialize;

pub use file::File;
pub use place::Place;
pub use rules::{RULES, Rule, Severity};

use super::look::Certificate;
use crate::types::Secret;
use chain::Item;
pub(super) use chain::called;

/// What a certificate is to be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A server's, or what an engine shows to those who connect to it.
    Server,
    /// An engine's or a browser's, shown to the server.
    Client,
    /// Those of authorities, to be trusted.
    Ca,
    /// An OCSP responder's.
    Ocsp,
}

/// Whether the product checks revocation (`security.certificate.verifyrevocation`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Revocation {
    /// It does not.
    #[default]
    Off,
    /// It does, and takes unknown for good (`failonunknownrevocationstatus` is false).
    Soft,
    /// It does, and refuses what it cannot find out.
    Require,
}

/// What is known of a key's passphrase.
#[derive(Debug, Clone, Copy, Default)]
pub enum Passphrase<'a> {
    /// Nothing.
    #[default]
    Unknown,
    /// It is this one.
    Given(&'a Secret),
    /// The product has taken it over and nobody else has it.
    Kept,
}

impl<'a> Passphrase<'a> {
    fn secret(self) -> Option<&'a Secret> {
        match self {
            Self::Given(secret) => Some(secret),
            Self::Unknown | Self::Kept => None,
        }
    }
}

/// What is to be checked, and against what.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// What for.
    pub role: Role,
    /// The files: certificates and at most one key, in any order.
    pub files: &'a [File],
    /// The passphrase of the key.
    pub passphrase: Passphrase<'a>,
    /// Names: a server's must cover all of them, of a client one must be among them. None: not compared.
    pub names: &'a [String],
    /// What this host is known by: a server's should have one of them where there are no other names.
    pub known: &'a [String],
    /// The time by which validity is judged.
    pub now: Timestamp,
    /// Whether revocation is checked.
    pub revocation: Revocation,
    /// The certificates that the host trusts, if they are known.
    pub anchors: Option<&'a [Certificate]>,
}

/// A rule that is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's name.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The file.
    pub file: String,
    /// What in the file, such as `certificate 2 (Example CA)`.
    pub subject: String,
    /// What was found.
    pub what: String,
    /// Why it matters.
    pub why: &'static str,
    /// What helps.
    pub fix: String,
}

/// Checks. The worst comes first.
#[must_use]
pub fn check(input: &Input<'_>) -> Vec<Finding> {
    let mut found = Findings::default();
    file::check(input.files, &mut found);
    let opened = key::open(input, &mut found);
    let items = chain::items(input.files);
    if items.is_empty() {
        key::check_alone(opened.as_ref(), &mut found);
        return found.sorted();
    }
    match input.role {
        Role::Ca => authorities(input, &items, &mut found),
        _ => path(input, &items, opened.as_ref(), &mut found),
    }
    found.sorted()
}

/// The leaf and what leads from it to a root.
fn path(input: &Input<'_>, items: &[Item<'_>], opened: Option<&key::Opened<'_>>, found: &mut Findings) {
    let path = chain::path(items, opened.map(|opened| opened.key()));
    let Some((leaf, above)) = path.links.split_first() else { return };
    if let Some(opened) = opened {
        key::compare(opened, leaf, found);
    }
    for link in &path.links {
        every::check(link, input.now, found);
    }
    if leaf.certificate.version >= 3 {
        leaf::check(input, leaf, found);
    }
    let mut below = 0_u32;
    for link in above {
        authority::check(link, input.role, found);
        authority::check_path_length(link, below, found);
        below = below.saturating_add(u32::from(!link.certificate.self_issued));
    }
    chain::check(input, items, &path, found);
    for link in path.links.iter().filter(|link| !link.certificate.self_issued) {
        every::check_revocation(link, input.revocation, found);
    }
}

/// Authorities that are to be trusted, in any order.
fn authorities(input: &Input<'_>, items: &[Item<'_>], found: &mut Findings) {
    for item in items {
        every::check(item, input.now, found);
        authority::check(item, input.role, found);
    }
    chain::check_authorities(input, items, found);
}

/// Findings as they are gathered.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, rule: &Rule, (file, subject): (&str, &str), what: impl Into<String>) {
        self.add_as(rule, rule.severity, (file, subject), what);
    }

    fn add_as(&mut self, rule: &Rule, severity: Severity, at: (&str, &str), what: impl Into<String>) {
        let (file, subject) = (at.0.to_owned(), at.1.to_owned());
        let fix = rule.fix.replace("FILE", &file);
        self.0.push(Finding { id: rule.id, severity, file, subject, what: what.into(), why: rule.why, fix });
    }

    fn has_errors(&self) -> bool {
        self.0.iter().any(|finding| finding.severity == Severity::Error)
    }

    fn sorted(mut self) -> Vec<Finding> {
        self.0.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        self.0
    }
}

/// Checks where installed files are, and what else is there.
#[must_use]
pub fn check_places(places: &[Place], strays: &[String]) -> Vec<Finding> {
    let mut found = Findings::default();
    place::check(places, strays, &mut found);
    found.sorted()
}
