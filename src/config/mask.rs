//! Hides what may be secret in a configuration that is shown: passphrases, tokens, passwords in URLs.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::LazyLock;

use serde_json::Value;

use super::parse;
use super::table::{Key, Kind, table};
use super::tree::{Scanner, decoded};

/// What is shown instead of a secret, however long it is.
pub(super) const STARS: &str = "********";

/// Parts of names whose values are secret. Compared without dots, hyphens and underscores.
const WORDS: [&str; 8] = ["pass", "pwd", "secret", "token", "apikey", "credential", "private", "accesskey"];

/// How much of an object's name counts for the names in it: `{"api":{"key":""}}`.
const TAIL: usize = 16;

/// Something that is not shown.
struct Hidden {
    span: Range<usize>,
    /// Stands for the dotted key; the same for every spelling of it.
    place: u64,
    /// What is compared with the other text.
    secret: String,
    /// The text to show when only a part is hidden; [`STARS`] are in it.
    partly: Option<String>,
}

/// Where the scanner is: the object or array that a value is in.
#[derive(Clone, Default)]
pub(super) struct Frame {
    is_array: bool,
    /// Items of an array that are behind.
    items: usize,
    place: u64,
    pub(super) is_secret: bool,
    /// Whether the key is known to hold addresses.
    pub(super) is_address: bool,
    /// The end of the name, squeezed.
    tail: String,
}

/// Both texts with their secrets replaced, line for line. Text that is no JSON is replaced whole.
pub(super) fn masked(old: &str, new: &str) -> (String, String) {
    let (old_hidden, new_hidden) = (hidden(old), hidden(new));
    let shown = |text: &str, own: &Option<Vec<Hidden>>, other: &Option<Vec<Hidden>>, word: &str| {
        let Some(own) = own else { return blank(text) };
        let other = other.iter().flatten().map(|hidden| (hidden.place, hidden.secret.as_str())).collect();
        replaced(text, own, &other, word)
    };
    (shown(old, &old_hidden, &new_hidden, "old"), shown(new, &new_hidden, &old_hidden, "new"))
}

/// The value of a key as it may be shown; `None` when nothing of it has to be hidden.
#[must_use]
pub fn masked_value(key: &str, value: &Value) -> Option<Value> {
    let text = serde_json::json!({ key: value }).to_string();
    let (shown, _) = masked(&text, &text);
    if shown == text {
        return None;
    }
    let mut shown = parse(&shown).unwrap_or_default();
    Some(shown.remove(key).unwrap_or_else(|| STARS.into()))
}

/// The known key in a place.
fn known(place: u64) -> Option<&'static Key> {
    static KNOWN: LazyLock<HashMap<u64, &Key>> = LazyLock::new(|| {
        let names = table().keys.iter().flat_map(|key| key.names().map(move |name| (name, key)));
        names.map(|(name, key)| (place_of(0, &name.to_ascii_lowercase()), key)).collect()
    });
    KNOWN.get(&place).copied()
}

/// The place of a name, which may be dotted, in that of an object.
fn place_of(above: u64, folded: &str) -> u64 {
    folded.split('.').fold(above, hash)
}

fn blank(text: &str) -> String {
    let line = |line: &str| {
        let end = if line.ends_with('\n') { "\n" } else { "" };
        format!("{}{end}", if line.trim().is_empty() { "" } else { STARS })
    };
    text.split_inclusive('\n').map(line).collect()
}

fn replaced(text: &str, own: &[Hidden], other: &HashMap<u64, &str>, word: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for hidden in own {
        out.push_str(text.get(at..hidden.span.start).unwrap_or_default());
        let differs = other.get(&hidden.place).is_some_and(|secret| *secret != hidden.secret);
        let stars = if differs { format!("{STARS} ({word})") } else { STARS.to_owned() };
        let shown = hidden.partly.as_ref().map_or(stars.clone(), |partly| partly.replace(STARS, &stars));
        out.push_str(&serde_json::Value::from(shown).to_string());
        at = hidden.span.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// What must not be shown, in the order of the text; nothing when the text is no JSON.
fn hidden(text: &str) -> Option<Vec<Hidden>> {
    parse(text).ok()?;
    let mut scanner = Scanner::new(text, 0);
    let mut found = Vec::new();
    let mut open: Vec<Frame> = Vec::new();
    let mut next = Frame::default(); // the value that comes
    let mut is_name = false;
    while let Some(byte) = scanner.peek() {
        let start = scanner.at;
        match byte {
            b'{' | b'[' => {
                next = Frame { is_array: byte == b'[', ..coming(&open, next) };
                is_name = byte == b'{';
                open.push(next.clone());
            }
            b'}' | b']' => drop(open.pop()),
            b',' => {
                is_name = open.last().is_some_and(|frame| !frame.is_array);
                if let Some(frame) = open.last_mut() {
                    frame.items += 1;
                }
            }
            b'"' if is_name => {
                scanner.string();
                let raw = text.get(start..scanner.at).unwrap_or_default();
                next = open.last().map(|frame| frame.member(&decoded(raw))).unwrap_or_default();
                found.extend(link(start, raw, (next.place, false)));
                is_name = false;
            }
            b':' | b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => {
                if byte == b'"' {
                    scanner.string()
                } else {
                    scanner.word()
                }
                next = coming(&open, next);
                let raw = text.get(start..scanner.at).unwrap_or_default();
                found.extend(value(start, raw, &next));
            }
        }
        if scanner.at == start {
            scanner.at += 1;
        }
    }
    Some(found)
}

/// The frame of a value: that of its name, or one of its own in an array.
fn coming(open: &[Frame], named: Frame) -> Frame {
    match open.last() {
        Some(array) if array.is_array => {
            Frame { items: 0, place: hash(array.place, &array.items), ..array.clone() }
        }
        _ => Frame { items: 0, is_array: false, ..named },
    }
}

fn value(start: usize, raw: &str, frame: &Frame) -> Option<Hidden> {
    let (span, place) = (start..start + raw.len(), frame.place);
    if frame.is_secret || (raw.starts_with('"') && decoded(raw).contains("PRIVATE KEY-----")) {
        return Some(Hidden { span, place, secret: raw.to_owned(), partly: None });
    }
    link(start, raw, (place, frame.is_address))
}

/// A string with a login in an address.
fn link(start: usize, raw: &str, (place, is_address): (u64, bool)) -> Option<Hidden> {
    let text = Some(raw).filter(|raw| raw.starts_with('"')).map(decoded)?;
    let (mut shown, mut secret) = (String::new(), String::new());
    for word in text.split_inclusive(char::is_whitespace) {
        let Some(login) = login(word, is_address) else {
            shown.push_str(word);
            continue;
        };
        shown.push_str(word.get(..login.start).unwrap_or_default());
        shown.push_str(STARS);
        shown.push_str(word.get(login.end..).unwrap_or_default());
        secret.push_str(word.get(login).unwrap_or_default());
        secret.push('\n');
    }
    let span = start..start + raw.len();
    (!secret.is_empty()).then_some(Hidden { span, place, secret, partly: Some(shown) })
}

/// Where a word has a login: all before its last @, for a password may hold any sign, and a user's name may be a
/// token. Without `//` or a colon it is one only in an address.
fn login(word: &str, is_address: bool) -> Option<Range<usize>> {
    let (head, _) = word.rsplit_once('@')?;
    let scheme = head.find("//").map(|at| at + 2);
    let is_login = is_address || scheme.is_some() || head.contains(':');
    let found = scheme.unwrap_or_default()..head.len();
    (is_login && !found.is_empty()).then_some(found)
}

impl Frame {
    /// The frame of a member of this object.
    pub(super) fn member(&self, name: &str) -> Self {
        let folded = name.to_ascii_lowercase();
        let place = place_of(self.place, &folded);
        let own: String = folded.chars().filter(|c| !matches!(c, '.' | '-' | '_' | ' ')).collect();
        let whole = format!("{}{own}", self.tail);
        let looks_secret = self.is_secret || WORDS.iter().any(|word| whole.contains(word));
        let known = known(place); // whatever its name looks like
        let is_secret = known.map_or(looks_secret, |key| key.secret);
        let is_address = known
            .map_or(self.is_address, |key| matches!(key.kind, Kind::Url | Kind::HostPort | Kind::Servers));
        let start = own.char_indices().rev().nth(TAIL).map_or(0, |(at, _)| at);
        let tail = own.get(start..).unwrap_or_default().to_owned();
        Self { is_array: false, items: 0, place, is_secret, is_address, tail }
    }
}

/// Whether the value at the end of these names is secret.
pub(super) fn is_secret<'n>(names: impl Iterator<Item = &'n str>) -> bool {
    names.fold(Frame::default(), |frame, name| frame.member(name)).is_secret
}

/// Whether a text tells a secret, whatever its name is: a private key, or a login in an address.
pub(super) fn tells(text: &str, is_address: bool) -> bool {
    let has_login = |word: &str| login(word, is_address).is_some();
    text.contains("PRIVATE KEY-----") || text.split(char::is_whitespace).any(has_login)
}

fn hash<T: Hash + ?Sized>(place: u64, part: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    place.hash(&mut hasher);
    part.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Looking for the @ from each // on would take minutes.
    #[test]
    fn a_long_text_takes_no_time() {
        let long = json!("/".repeat(4 << 20));
        assert_eq!(masked_value("x", &long), None);
    }

    #[test]
    fn only_what_is_secret_is_hidden() {
        for (key, value) in [
            ("security.keypass", json!("hunter2")),
            ("Security.Certificate.Client.KeyPass", json!("hunter2")),
            ("my.password", json!(1234)),
            ("my.token", json!(["hunter2"])),
            ("http.authentication.header", json!(["hunter2"])),
            ("x", json!("-----BEGIN PRIVATE KEY-----")),
        ] {
            let shown = masked_value(key, &value).unwrap_or_default().to_string();
            assert!(shown.contains(STARS) && !shown.contains("hunter2"), "{key}: {shown}");
        }
        let shown = masked_value("http_proxy", &json!("http://me:hunter2@proxy:3128"));
        assert_eq!(shown, Some(json!("http://********@proxy:3128")));
        for (key, value, wanted) in [
            ("http_proxy", "http://TOKEN@proxy:3128", "http://********@proxy:3128"),
            ("https_proxy", "me:hunter2@proxy:3128", "********@proxy:3128"),
            ("Server.ExternalHostName", "TOKEN@soar:443", "********@soar:443"),
            ("x", "see http://a//b:c@d@e now", "see http://********@e now"),
        ] {
            assert_eq!(masked_value(key, &json!(value)), Some(json!(wanted)), "{key}");
        }
        let shown = masked_value("EngineURLs", &json!(["wss://TOKEN@soar/d1ws", "wss://soar/d1ws"]));
        assert_eq!(shown, Some(json!(["wss://********@soar/d1ws", "wss://soar/d1ws"])));
        assert_eq!(masked_value("x", &json!("me@example.org")), None);
        for (key, value) in [
            ("security.keypass.encrypt", json!(true)),
            ("Password.policy.default.MinPasswordLength", json!(12)),
            ("Server.HttpsPort", json!("443")),
            ("http_proxy", json!("http://proxy:3128")),
        ] {
            assert_eq!(masked_value(key, &value), None, "{key}");
        }
        let (old, new) = (r#"{"Security": {"KeyPass.Encrypt": false, "keypass": "a"}}"#, r#"{"x": 1}"#);
        let (shown, _) = masked(old, new);
        assert_eq!(shown, r#"{"Security": {"KeyPass.Encrypt": false, "keypass": "********"}}"#);
    }
}
