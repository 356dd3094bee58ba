use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DIGEST, Head, Record, Torn};
use crate::types::Digest;

/// What of a line counts for the chain, whatever else a later version writes.
#[derive(Debug, Clone, Deserialize)]
struct Link {
    sequence: u64,
    previous: Option<Digest>,
    #[serde(default)]
    torn: Option<Torn>,
    digest: Digest,
}

/// Why a chain does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The line is not the one that was written.
    Altered,
    /// Records are missing before the end.
    Removed,
    /// Records stand in another order.
    Reordered,
    /// A record stands there twice.
    Repeated,
    /// There are two records with one number.
    Inserted,
    /// It follows another record than the one that stands before it.
    Unlinked,
    /// Records are missing at the end.
    Truncated,
    /// Another record has the number of the one that was kept as the newest.
    Replaced,
    /// What was kept of the newest record cannot be read.
    Unkept,
}

/// The first place at which a chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// The line, counted from 1; that after the last when something is missing there.
    pub line: usize,
    /// The number of the record.
    pub record: u64,
    /// The reason, for programs.
    pub reason: Reason,
    /// In words.
    pub why: String,
}

/// What a look at a whole chain found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Checked {
    /// Every line that is JSON, as it stands there, whether it is sound or not.
    pub records: Vec<Value>,
    /// How many records from the first one on are as they were written.
    pub intact: u64,
    /// The newest of these.
    pub head: Option<Head>,
    /// The record that was kept as the newest: the chain has to reach it.
    pub kept: Option<Head>,
    /// The first place at which it does not hold.
    pub broken: Option<Broken>,
    /// The end of the file when a run died while it wrote: it is no record, and the next run says so.
    pub torn: Option<Torn>,
}

impl Checked {
    /// Takes note that what was kept of the newest record cannot be read, and `why`: that the end is missing
    /// would not be seen.
    pub fn unkept(&mut self, why: &str) {
        let why = format!("it is not known which record was the newest: {why}");
        let record = self.head.map_or(1, |head| head.sequence.saturating_add(1));
        let line = self.records.len().saturating_add(1);
        self.broken.get_or_insert(Broken { line, record, reason: Reason::Unkept, why });
    }

    /// A record with all that this version knows; `None` of a line that is no record to it.
    #[must_use]
    pub fn record(value: &Value) -> Option<Record> {
        serde_json::from_value(value.clone()).ok()
    }
}

/// A line that is a whole record: its digest is that of the rest.
fn link(line: &[u8]) -> Option<Link> {
    let link: Link = serde_json::from_slice(line).ok()?;
    let body = std::str::from_utf8(line.strip_suffix(b"\n").unwrap_or(line)).ok()?.strip_suffix("\"}")?;
    let (body, digest) = body.rsplit_once(DIGEST)?;
    let whole =
        digest == link.digest.to_string() && Digest::of(format!("{body}}}").as_bytes()) == link.digest;
    whole.then_some(link)
}

fn lines(bytes: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n')
}

/// What the end of a file says to whoever appends to it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// The last whole record.
    pub last: Option<Head>,
    /// What stands after it: a run died while it wrote.
    pub torn: Option<Torn>,
    /// Whether a line end has to come first.
    pub open: bool,
}

/// Reads the end of a file.
#[must_use]
pub fn tail(bytes: &[u8]) -> Tail {
    let mut end = bytes.len();
    let mut last = None;
    for line in lines(bytes).rev() {
        last = link(line).map(|link| Head { sequence: link.sequence, digest: link.digest });
        if last.is_some() {
            break;
        }
        end = end.saturating_sub(line.len());
    }
    let rest = bytes.get(end..).unwrap_or_default();
    let torn = (!rest.is_empty()).then(|| Torn::of(rest));
    Tail { last, torn, open: !bytes.is_empty() && !bytes.ends_with(b"\n") }
}

/// What was recorded after `head`, as far as the end of a file holds it.
#[must_use]
pub fn since(bytes: &[u8], head: Option<Head>) -> Vec<Record> {
    let after = |link: &Link| head.is_none_or(|head| link.sequence > head.sequence);
    let records = lines(bytes).filter(|line| link(line).is_some_and(|link| after(&link)));
    records.filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// Follows the chain from the first line to the first that breaks it. `kept` is a head that was kept elsewhere:
/// that record has to be there; of one that somebody wrote down only the digest is known.
#[must_use]
pub fn check(bytes: &[u8], kept: Option<Head>, noted: Option<Digest>) -> Checked {
    let mut walk =
        Walk { lines: lines(bytes).collect(), seen: BTreeMap::new(), junk: Vec::new(), junk_line: 0 };
    let mut checked = Checked { records: walk.values(), kept, ..Checked::default() };
    let broken = walk.follow(&mut checked);
    let next = walk.next();
    let at_end = |record: u64, reason: Reason, why: String| Broken {
        line: walk.lines.len().saturating_add(1),
        record,
        reason,
        why,
    };
    checked.broken = broken.or_else(|| {
        let kept = kept?;
        match walk.seen.get(&kept.sequence) {
            Some(digest) if *digest == kept.digest => None,
            Some(_) => {
                let why = format!("record {} is another one than the one kept as the newest", kept.sequence);
                Some(at_end(kept.sequence, Reason::Replaced, why))
            }
            None => {
                let why = format!("the newest record was {}; the end is missing", kept.sequence);
                Some(at_end(next, Reason::Truncated, why))
            }
        }
    });
    checked.broken = checked.broken.take().or_else(|| {
        let noted = noted.filter(|noted| walk.seen.values().all(|digest| digest != noted))?;
        let why = format!("no record has the digest {noted}");
        Some(at_end(next, Reason::Truncated, why))
    });
    checked.intact = walk.seen.len() as u64;
    checked.head =
        walk.seen.last_key_value().map(|(sequence, digest)| Head { sequence: *sequence, digest: *digest });
    checked
}

/// A way along the chain.
struct Walk<'a> {
    lines: Vec<&'a [u8]>,
    /// The digests of the records that hold, by their numbers.
    seen: BTreeMap<u64, Digest>,
    /// What stands after the last of them and is none.
    junk: Vec<u8>,
    /// The first line of that.
    junk_line: usize,
}

impl Walk<'_> {
    fn values(&self) -> Vec<Value> {
        let objects = self.lines.iter().filter_map(|line| serde_json::from_slice(line).ok());
        objects.filter(Value::is_object).collect()
    }

    /// The number of the record that has to come next.
    fn next(&self) -> u64 {
        self.seen.last_key_value().map_or(1, |(last, _)| last.saturating_add(1))
    }

    fn follow(&mut self, checked: &mut Checked) -> Option<Broken> {
        for at in 0..self.lines.len() {
            let line = self.lines.get(at).copied().unwrap_or_default();
            let Some(link) = link(line) else {
                // half a record is no JSON: this one was whole once
                if serde_json::from_slice::<Value>(line).is_ok() {
                    return Some(self.altered(at + 1, "its digest is not that of its text"));
                }
                if self.junk.is_empty() {
                    self.junk_line = at + 1;
                }
                self.junk.extend_from_slice(line);
                continue;
            };
            if let Some(broken) = self.gap(&link, at + 1).or_else(|| self.fault(&link, at + 1)) {
                return Some(broken);
            }
            self.junk.clear();
            self.seen.insert(link.sequence, link.digest);
        }
        if self.junk.ends_with(b"\n") {
            return Some(self.altered(self.junk_line, "the line is no record"));
        }
        checked.torn = (!self.junk.is_empty()).then(|| Torn::of(&self.junk));
        None
    }

    fn altered(&self, line: usize, why: &str) -> Broken {
        Broken { line, record: self.next(), reason: Reason::Altered, why: why.to_owned() }
    }

    /// What is wrong with what stands between the record before and this one.
    fn gap(&self, link: &Link, line: usize) -> Option<Broken> {
        let torn = (!self.junk.is_empty()).then(|| Torn::of(&self.junk));
        match torn {
            _ if torn == link.torn => None,
            Some(_) => Some(self.altered(self.junk_line, "the line is no record, and no crash left it")),
            None => Some(self.altered(line, "the torn line that stood before it is gone")),
        }
    }

    /// What is wrong with a whole record in this place.
    fn fault(&self, link: &Link, line: usize) -> Option<Broken> {
        let (wanted, found) = (self.next(), link.sequence);
        let broken = |record: u64, reason: Reason, why: String| Some(Broken { line, record, reason, why });
        let comes = |wanted: u64| {
            let rest = self.lines.iter().skip(line).filter_map(|line| self::link(line));
            rest.into_iter().any(|link| link.sequence == wanted)
        };
        let twice = || format!("there are two records with the number {found}");
        match found.cmp(&wanted) {
            Ordering::Less if self.seen.get(&found) == Some(&link.digest) => {
                broken(found, Reason::Repeated, format!("record {found} stands there twice"))
            }
            Ordering::Less => broken(found, Reason::Inserted, twice()),
            Ordering::Greater if comes(wanted) => {
                broken(wanted, Reason::Reordered, format!("record {found} stands before record {wanted}"))
            }
            Ordering::Greater => broken(wanted, Reason::Removed, missing(wanted, found.saturating_sub(1))),
            Ordering::Equal if link.previous == self.seen.last_key_value().map(|(_, digest)| *digest) => None,
            Ordering::Equal if comes(found) => broken(found, Reason::Inserted, twice()),
            Ordering::Equal => {
                let before = found.saturating_sub(1);
                let why = format!("it follows another record {before} than the one that stands before it");
                broken(found, Reason::Unlinked, why)
            }
        }
    }
}

fn missing(first: u64, last: u64) -> String {
    if first == last {
        format!("record {first} is missing")
    } else {
        format!("records {first} to {last} are missing")
    }
}
