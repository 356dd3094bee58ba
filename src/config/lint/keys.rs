//! The keys of a configuration against the table: known, misspelt, unknown, there twice, in the wrong file, and their
//! values one by one.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use serde_json::Value;

use super::excerpt::Lines;
use super::reader::{Leaf, Name, Reading};
use super::rules::{
    KEY_ELSEWHERE, KEY_MISSPELT, KEY_REPEATED, KEY_TWICE, KEY_UNKNOWN, SPELLINGS_DIFFER, TYPE_WRONG,
};
use super::{Findings, values};
use crate::config::table::{Key, Kind, Scope, table};
use crate::product::Role;

/// A key of the table that the configuration has, perhaps under another of its names or misspelt.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) key: &'static Key,
    /// The name that was found or meant.
    pub(super) name: &'static str,
    /// What counts: the value, or what it was clearly meant to be. None when that cannot be told.
    pub(super) value: Option<Value>,
    /// The value's bytes.
    pub(super) span: Range<usize>,
}

/// An entry with its whole name.
struct Dotted<'r> {
    entry: &'r Leaf,
    /// As it is spelt; a very long one in part.
    name: String,
    folded: String,
}

/// Longest name that is told.
const MAX_NAME: usize = 120;

/// Looks every key up, and judges its value.
pub(super) fn resolve(reading: &Reading, role: Role, lines: &Lines<'_>, found: &mut Findings) -> Vec<Known> {
    let all: Vec<Dotted<'_>> = reading.leaves.iter().map(Dotted::of).collect();
    let mut known: Vec<Known> = Vec::new();
    let mut told: Vec<usize> = Vec::new(); // where names were called misspelt
    for dotted in &all {
        if found.is_full() {
            break;
        }
        match name_of(&dotted.name) {
            Some((key, name)) if key.role.includes(role) => {
                known.push(of_key(key, name, dotted.entry, found))
            }
            Some((key, _)) => elsewhere(&key.key, key.role, dotted, found),
            None => known.extend(unknown(dotted, (role, &all), &mut told, found)),
        }
    }
    for (key, name) in reading.lonely.iter().filter_map(|name| name_of(name)) {
        known.push(Known { key, name, value: None, span: 0..0 });
    }
    repeated(reading, &all, lines, found);
    spellings(&known, lines, found);
    known
}

impl<'r> Dotted<'r> {
    fn of(entry: &'r Leaf) -> Self {
        let name = entry.names.iter().map(|name| name.text.as_str()).collect::<Vec<_>>().join(".");
        let folded = name.to_ascii_lowercase();
        let long = name.char_indices().nth(MAX_NAME).map(|(at, _)| at);
        let name = long.and_then(|at| name.get(..at)).map_or(name.clone(), |head| format!("{head}\u{2026}"));
        Self { entry, name, folded }
    }

    /// Where the last name stands.
    fn place(&self) -> Range<usize> {
        self.entry.names.last().map(|name| name.span.clone()).unwrap_or_default()
    }
}

/// The key that has a name, and the name as the table spells it.
fn name_of(name: &str) -> Option<(&'static Key, &'static str)> {
    let key = table().find(name)?;
    Some((key, key.names().find(|known| known.eq_ignore_ascii_case(name))?))
}

fn of_key(key: &'static Key, name: &'static str, entry: &Leaf, found: &mut Findings) -> Known {
    let wrong = entry.value.as_ref().and_then(|value| values::judge(key, value));
    let value = match &wrong {
        Some(wrong) => wrong.meant.clone(),
        None => entry.value.clone(),
    };
    if let Some(wrong) = wrong {
        found.add_with(
            wrong.rule,
            name,
            (Some(entry.span.clone()), format!("{name}: {}", wrong.what)),
            wrong.fix,
        );
    }
    Known { key, name, value, span: entry.span.clone() }
}

fn elsewhere(name: &str, scope: Scope, dotted: &Dotted<'_>, found: &mut Findings) {
    let what = match scope {
        Scope::Engine => format!("{name} is a key of engines"),
        Scope::Server | Scope::Both => format!("{name} is a key of the server"),
    };
    let fix = match scope {
        Scope::Engine => "put it into the engine's d1.conf",
        Scope::Server | Scope::Both => "put it into /etc/demisto.conf of the server",
    };
    found.add_with(&KEY_ELSEWHERE, name, (Some(dotted.place()), what), Some(fix.to_owned()));
}

/// A name that the table does not have. Gives the key that it was meant to be, or that it stands in.
fn unknown(
    dotted: &Dotted<'_>,
    (role, all): (Role, &[Dotted<'_>]),
    told: &mut Vec<usize>,
    found: &mut Findings,
) -> Option<Known> {
    if let Some((key, names)) = inside_a_value(&dotted.entry.names) {
        let value = dotted.entry.names.get(names - 1)?;
        if !told.contains(&value.span.start) {
            told.push(value.span.start);
            let what = format!("{} holds keys of its own", key.key);
            let fix = format!("write {}", key.kind.words());
            found.add_with(&TYPE_WRONG, &key.key, (Some(value.span.clone()), what), Some(fix));
        }
        return Some(Known { key, name: &key.key, value: None, span: value.span.clone() });
    }
    if is_inside_any(&dotted.folded) {
        return None;
    }
    if is_group(&dotted.folded) {
        let empty = matches!(&dotted.entry.value, Some(Value::Object(_) | Value::Null) | None);
        if !empty {
            let what = format!("{} is a group of keys and has a value", dotted.name);
            let fix = Some("write its keys between { and }".to_owned());
            found.add_with(&TYPE_WRONG, &dotted.name, (Some(dotted.entry.span.clone()), what), fix);
        }
        return None;
    }
    let near = table().misspelt(&dotted.name).and_then(name_of);
    if let Some((key, name)) = near {
        let at = misspelt_at(&dotted.entry.names, name);
        if !told.contains(&at.start) {
            told.push(at.start);
            let what = format!("{} is no key; did you mean {name}?", dotted.name);
            found.add_with(&KEY_MISSPELT, name, (Some(at), what), Some(format!("write {name}")));
        }
        if key.secret {
            found.hidden.push(dotted.entry.span.clone());
        }
        let there = all.iter().any(|other| other.folded.eq_ignore_ascii_case(name));
        return (!there && key.role.includes(role)).then(|| of_key(key, name, dotted.entry, found));
    }
    match table().family(&dotted.name) {
        Some(family) if family.role.includes(role) => {}
        Some(family) => elsewhere(&dotted.name, family.role, dotted, found),
        None => {
            let meant = table().meant(&dotted.name).map(|meant| format!("; did you mean {meant}?"));
            let what = format!("{} is not known{}", dotted.name, meant.unwrap_or_default());
            found.add_with(&KEY_UNKNOWN, &dotted.name, (Some(dotted.place()), what), None);
        }
    }
    None
}

/// The key with a single value that these names lead into, and how many of them lead to it.
fn inside_a_value(names: &[Rc<Name>]) -> Option<(&'static Key, usize)> {
    let mut way = String::new();
    (1..names.len()).zip(names).find_map(|(count, name)| {
        way.push_str(&name.text);
        let key = table().find(&way).filter(|key| key.kind != Kind::Any);
        way.push('.');
        Some((key?, count))
    })
}

/// Whether a name lies below a key that may have anything for its value.
fn is_inside_any(folded: &str) -> bool {
    let mut heads = folded.match_indices('.').filter_map(|(at, _)| folded.get(..at));
    heads.any(|head| table().find(head).is_some_and(|key| key.kind == Kind::Any))
}

/// Whether keys begin with this name and a dot.
fn is_group(folded: &str) -> bool {
    let below = |name: &str| {
        let head = name.get(..folded.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(folded))
            && name.as_bytes().get(folded.len()) == Some(&b'.')
    };
    table().keys.iter().flat_map(Key::names).any(below)
        || table().families.iter().any(|family| below(&family.prefix))
}

/// The first of the names at which the way to the key that was meant is left.
fn misspelt_at(names: &[Rc<Name>], meant: &str) -> Range<usize> {
    let meant = meant.to_ascii_lowercase();
    let mut way = String::new();
    for name in names {
        way.push_str(&name.text.to_ascii_lowercase());
        let good =
            meant == way || (meant.starts_with(&way) && meant.as_bytes().get(way.len()) == Some(&b'.'));
        if !good {
            return name.span.clone();
        }
        way.push('.');
    }
    names.last().map(|name| name.span.clone()).unwrap_or_default()
}

/// Keys that are there more than once.
fn repeated(reading: &Reading, all: &[Dotted<'_>], lines: &Lines<'_>, found: &mut Findings) {
    for (first, second) in &reading.twice {
        if found.is_full() {
            return;
        }
        let what = format!("{} is there already, in line {}", second.text, lines.place(first.span.start).0);
        found.add_with(
            &KEY_TWICE,
            &second.text,
            (Some(second.span.clone()), what),
            Some("put both into one".to_owned()),
        );
    }
    let mut firsts: BTreeMap<&str, &Dotted<'_>> = BTreeMap::new();
    for dotted in all {
        if found.is_full() {
            return;
        }
        let Some(first) = firsts.get(dotted.folded.as_str()) else {
            firsts.insert(&dotted.folded, dotted);
            continue;
        };
        if in_a_repeated_group(first.entry, dotted.entry) {
            continue;
        }
        let same = first.entry.value == dotted.entry.value;
        let rule = if same { &KEY_REPEATED } else { &KEY_TWICE };
        let what =
            format!("{} is there already, in line {}", dotted.name, lines.place(first.place().start).0);
        found.add_with(rule, &dotted.name, (Some(dotted.place()), what), None);
    }
}

/// Whether two entries are the same because the group that they are in is there twice, which is told already.
fn in_a_repeated_group(one: &Leaf, other: &Leaf) -> bool {
    let alike = |(a, b): (&Rc<Name>, &Rc<Name>)| a.text.eq_ignore_ascii_case(&b.text);
    one.group != other.group
        && one.names.len() == other.names.len()
        && one.names.iter().zip(&other.names).all(alike)
}

/// Two names of one switch that say different things.
fn spellings(known: &[Known], lines: &Lines<'_>, found: &mut Findings) {
    let mut firsts: BTreeMap<&str, &Known> = BTreeMap::new();
    for second in known.iter().filter(|known| !known.key.aliases.is_empty() && known.value.is_some()) {
        let Some(first) = firsts.get(second.key.key.as_str()) else {
            firsts.insert(&second.key.key, second);
            continue;
        };
        if first.name != second.name && first.value != second.value && !found.is_full() {
            let line = lines.place(first.span.start).0;
            let what = format!("{} and {} (line {line}) are one switch and differ", second.name, first.name);
            found.add_with(&SPELLINGS_DIFFER, &second.key.key, (Some(second.span.clone()), what), None);
        }
    }
}
