//! What keys say together, what is not there, and what the host says to it.

use serde_json::Value;

use super::keys::Known;
use super::reader::Reading;
use super::rules::{
    FILE_MISSING, FILE_UNREADABLE, INSECURE_DEFAULT, INSECURE_VALUE, KEY_REQUIRED, POLICY_EMPTY,
    POLICY_UNVERIFIED, REVOCATION_WITHOUT_AIA, SAN_LIST_EMPTY, SAN_LIST_UNUSED, SAN_UNVERIFIED,
};
use super::{FILE_KEYS, FileState, Findings, Host, Severity};
use crate::config::table::{Key, Kind, table};
use crate::product::Role;

const SWITCH: &str = "security.server.certificate.donotverifyclientcertificates";
const POLICY: &str = "server.certificate.clientauthpolicy";
const VERIFY_SAN: &str = "security.certificate.verifyclientsan";
const SAN_LIST: &str = "security.certificate.santrustlist";
const REVOCATION: &str = "security.certificate.verifyrevocation";
const FAIL_ON_UNKNOWN: &str = "security.certificate.failonunknownrevocationstatus";
const CLIENT: &str = "security.client.enabled";

/// How a key is set.
#[derive(Debug, Clone, Copy)]
enum State<'k> {
    Absent,
    /// It is there, and what it says is told already or cannot be told.
    Damaged,
    Is(&'k Value, &'k Known),
}

/// All the keys that are there.
#[derive(Debug, Clone, Copy)]
struct Keys<'k>(&'k [Known]);

impl<'k> Keys<'k> {
    fn state(self, name: &str) -> State<'k> {
        let mut there = self.0.iter().filter(|known| known.key.key == name);
        let differ = |spelling: &str| {
            let mut same = there.clone().filter(|known| known.name == spelling);
            same.next().is_some_and(|first| same.any(|other| other.value != first.value))
        };
        if table().find(name).is_some_and(|key| key.names().any(differ)) {
            return State::Damaged;
        }
        // of two spellings that differ, which is told, the one counts that says false: the stricter
        let stricter = there
            .clone()
            .find(|known| known.value == Some(Value::Bool(false)) && !known.key.aliases.is_empty());
        match stricter.or_else(|| there.next()) {
            None => State::Absent,
            Some(known) => known.value.as_ref().map_or(State::Damaged, |value| State::Is(value, known)),
        }
    }

    fn is(self, name: &str, wanted: bool) -> Option<&'k Known> {
        match self.state(name) {
            State::Is(value, known) if *value == Value::Bool(wanted) => Some(known),
            _ => None,
        }
    }

    fn is_damaged(self, name: &str) -> bool {
        matches!(self.state(name), State::Damaged)
    }

    /// A text that is set and not empty, and where.
    fn text(self, name: &str) -> Option<(&'k str, &'k Known)> {
        match self.state(name) {
            State::Is(Value::String(text), known) if !text.is_empty() => Some((text, known)),
            _ => None,
        }
    }
}

/// The path that counts for a key.
pub(super) fn path(known: &[Known], key: &Key, (role, host): (Role, &Host)) -> Option<String> {
    let set = Keys(known).text(&key.key).map(|(text, _)| text.to_owned());
    set.or_else(|| Some(host.usual(key.default_of(role)?.as_str()?)))
}

/// Checks what several keys say together. What is not there counts only when all was read.
pub(super) fn check(reading: &Reading, known: &[Known], (role, host): (Role, &Host), found: &mut Findings) {
    let keys = Keys(known);
    if reading.is_whole {
        clients(keys, found);
        names(keys, found);
        required(keys, role, found);
    }
    files(keys, (role, host), found);
    if reading.is_whole {
        insecure(keys, role, found);
    }
}

/// Whether and how clients are verified.
fn clients(keys: Keys<'_>, found: &mut Findings) {
    if keys.is_damaged(SWITCH) || keys.is_damaged(POLICY) {
        return;
    }
    let verifies = keys.is(SWITCH, false);
    match (verifies, keys.text(POLICY)) {
        (Some(switch), None) => {
            let empty = match keys.state(POLICY) {
                State::Is(_, known) => known,
                _ => switch,
            };
            let what = format!("{} is false, and {POLICY} is empty", switch.name);
            found.add(&POLICY_EMPTY, Some(POLICY), empty.span.clone(), what);
        }
        (None, Some((policy @ ("verify" | "requireandverify"), known))) => {
            let what = format!("{POLICY} is {policy:?}, and {SWITCH} is not false");
            found.add(&POLICY_UNVERIFIED, Some(SWITCH), known.span.clone(), what);
        }
        _ => {}
    }
}

/// The list of clients' names.
fn names(keys: Keys<'_>, found: &mut Findings) {
    if keys.is_damaged(VERIFY_SAN) || keys.is_damaged(SAN_LIST) {
        return;
    }
    match (keys.is(VERIFY_SAN, true), keys.text(SAN_LIST)) {
        (Some(switch), None) => {
            let empty = match keys.state(SAN_LIST) {
                State::Is(_, known) => known,
                _ => switch,
            };
            let what = format!("{VERIFY_SAN} is true, and {SAN_LIST} is empty");
            found.add(&SAN_LIST_EMPTY, Some(SAN_LIST), empty.span.clone(), what);
        }
        (None, Some((_, list))) => {
            let what = format!("there are names in {SAN_LIST}, and {VERIFY_SAN} is not true");
            found.add(&SAN_LIST_UNUSED, Some(VERIFY_SAN), list.span.clone(), what);
        }
        (Some(switch), Some(_)) if !found.names(POLICY) && !found.names(SWITCH) => {
            let policy = keys.text(POLICY).map(|(policy, _)| policy);
            let verifies =
                keys.is(SWITCH, false).is_some() && matches!(policy, Some("verify" | "requireandverify"));
            if !verifies && !keys.is_damaged(POLICY) && !keys.is_damaged(SWITCH) {
                let what = format!("{VERIFY_SAN} is true, and certificates of clients are not verified");
                found.add(&SAN_UNVERIFIED, Some(VERIFY_SAN), switch.span.clone(), what);
            }
        }
        _ => {}
    }
}

fn required(keys: Keys<'_>, role: Role, found: &mut Findings) {
    for key in table().keys.iter().filter(|key| key.required && key.role.includes(role)) {
        if matches!(keys.state(&key.key), State::Absent) {
            found.add_with(&KEY_REQUIRED, &key.key, (None, format!("{} is not there", key.key)), None);
        }
    }
}

/// Files that are named and used, and certificates that have to be asked about.
fn files(keys: Keys<'_>, (role, host): (Role, &Host), found: &mut Findings) {
    let client = keys.is(CLIENT, true);
    for key in FILE_KEYS.iter().filter_map(|name| table().find(name)) {
        let of_client = key.key.starts_with("security.client.");
        let set = keys.text(&key.key).map(|(_, known)| known);
        let Some(by) = (if of_client { client.map(|on| set.unwrap_or(on)) } else { set }) else { continue };
        let Some(path) = path(keys.0, key, (role, host)) else { continue };
        let (rule, what) = match host.files.get(&path) {
            Some(FileState::Missing) => (&FILE_MISSING, format!("{path} is not there")),
            Some(FileState::Closed(why)) => (&FILE_UNREADABLE, format!("{path}: {why}")),
            Some(FileState::Readable) | None => continue,
        };
        let fix = rule.fix.replace("FILE", &path);
        found.add_with(rule, &key.key, (Some(by.span.clone()), format!("{}: {what}", key.key)), Some(fix));
    }
    if let Some(on) = keys.is(REVOCATION, true)
        && let Some(first) = host.without_aia.first()
    {
        let more = match host.without_aia.len() {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        found.add(
            &REVOCATION_WITHOUT_AIA,
            Some(REVOCATION),
            on.span.clone(),
            format!("revocation is checked, and {first}{more}"),
        );
        if keys.is(FAIL_ON_UNKNOWN, false).is_some() {
            found.soften_last(Severity::Warning);
        }
    }
}

/// What is less strict than the evaluated configuration, set or not.
fn insecure(keys: Keys<'_>, role: Role, found: &mut Findings) {
    for key in &table().keys {
        let wanted = key.secure_of(role);
        let Some(best) = wanted.first().filter(|_| key.role.includes(role)) else { continue };
        let fix = Some(format!("\"{}\": {best}", key.key));
        match keys.state(&key.key) {
            State::Absent if key.is_insecure_by_default(role) && !found.names(&key.key) => {
                let default = key.default_of(role).map(Value::to_string).unwrap_or_default();
                let what = format!("{} is not set, so it is {default}", key.key);
                found.add_with(&INSECURE_DEFAULT, &key.key, (None, what), fix);
            }
            State::Is(value, known)
                if matches!(key.kind, Kind::Boolean | Kind::String)
                    && !wanted.contains(value)
                    && !found.names(&key.key) =>
            {
                let what = format!("{} is {value}", known.name);
                found.add_with(&INSECURE_VALUE, &key.key, (Some(known.span.clone()), what), fix);
            }
            _ => {}
        }
    }
}
