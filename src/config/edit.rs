//! Changes to a JSON text that leave every other byte alone. What is new looks like what is around it.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::tree::{Document, Leaf, Member, Node, Object, cuts};

/// Longest white space that is copied from the file, in bytes. Longer ones are no indentation, and
/// copying them for each key would make a large file of a small one.
const MAX_SPACE: usize = 256;

/// How the file is laid out.
#[derive(Debug, Clone)]
struct Style {
    /// `\n` or `\r\n`.
    newline: &'static str,
    /// One level of indentation; none when the file is not laid out in lines.
    unit: Option<String>,
    /// What is between a name and its value.
    colon: &'static str,
}

/// New members by name in lower case, in the order of the release.
#[derive(Debug, Default)]
struct Group<'d> {
    members: Vec<(String, New<'d>)>,
    index: HashMap<String, usize>,
}

#[derive(Debug)]
enum New<'d> {
    /// A value of the release, as it is written there.
    Value(&'d str),
    Group(Group<'d>),
}

/// The changes to one text.
#[derive(Debug)]
pub(super) struct Edits<'d> {
    mine: &'d Document<'d>,
    theirs: &'d Document<'d>,
    style: Style,
    replaced: BTreeMap<usize, (Range<usize>, String)>,
    /// By the place where the object begins that gets them.
    added: BTreeMap<usize, (Range<usize>, &'d Object, Group<'d>)>,
}

impl<'d> Group<'d> {
    fn put(&mut self, names: &[&str], value: &'d str) {
        let Some((name, rest)) = names.split_first() else { return };
        if rest.is_empty() {
            self.members.push(((*name).to_owned(), New::Value(value)));
            return;
        }
        let next = self.members.len();
        let at = *self.index.entry(name.to_ascii_lowercase()).or_insert(next);
        if at == next {
            self.members.push(((*name).to_owned(), New::Group(Group::default())));
        }
        if let Some((_, New::Group(inner))) = self.members.get_mut(at) {
            inner.put(rest, value);
        }
    }
}

impl<'d> Edits<'d> {
    pub(super) fn new(mine: &'d Document<'d>, theirs: &'d Document<'d>) -> Self {
        let style = Style::of(if mine.root.members.is_empty() { theirs } else { mine });
        Self { mine, theirs, style, replaced: BTreeMap::new(), added: BTreeMap::new() }
    }

    /// Adds a key of the release: to the innermost object that fits, in the release's spelling. Comes
    /// after all replacing, so that nothing is added to what gives way.
    pub(super) fn add(&mut self, leaf: &Leaf<'d>) {
        let mine = self.mine;
        let inner = mine.root.innermost(&leaf.key);
        let inner = inner.filter(|(node, _)| !self.replaced.contains_key(&node.span.start));
        let inner = inner.and_then(|(node, used)| Some((node.span.clone(), node.object()?, used)));
        let (span, object, used) = inner.unwrap_or((mine.span.clone(), &mine.root, 0));
        let value = self.theirs.raw(leaf.node);
        let (_, _, group) = self.added.entry(span.start).or_insert_with(|| (span, object, Group::default()));
        group.put(&names_after(&leaf.names, used), value);
    }

    /// Puts a value of the release in the place of one of the file.
    pub(super) fn replace(&mut self, node: &Node, value: &Node) {
        let lead = self.line_lead(node.span.start);
        let text = self.value(self.theirs.raw(value), &lead);
        self.replaced.insert(node.span.start, (node.span.clone(), text));
    }

    /// Takes the values of a key in lower case away, each with its name and one comma: all that count, also
    /// those that would when others are gone. False when an object with members is among them.
    pub(super) fn remove(&mut self, key: &str) -> bool {
        let mine = self.mine;
        self.remove_in(&mine.span, &mine.root, key)
    }

    fn remove_in(&mut self, span: &Range<usize>, object: &'d Object, key: &str) -> bool {
        let is_it = |member: &Member| member.name.eq_ignore_ascii_case(key);
        if object.members.iter().any(|member| is_it(member) && member.value.is_group()) {
            return false;
        }
        let mut at = 0;
        for run in object.members.chunk_by(|a, b| is_it(a) == is_it(b)) {
            if run.first().is_some_and(is_it) {
                self.remove_run(span, object, at..at + run.len());
            }
            at += run.len();
        }
        cuts(key).all(|(head, tail)| {
            let inner = object.get(head).and_then(|node| Some((&node.span, node.object()?)));
            inner.is_none_or(|(span, inner)| self.remove_in(span, inner, tail))
        })
    }

    /// Takes members away that stand side by side.
    fn remove_run(&mut self, span: &Range<usize>, object: &Object, run: Range<usize>) {
        let members = &object.members;
        let (Some(first), Some(last)) = (members.get(run.start), members.get(run.end - 1)) else { return };
        let before = run.start.checked_sub(1).and_then(|before| members.get(before));
        let gone = match (before, members.get(run.end)) {
            (Some(before), _) => before.value.span.end..last.value.span.end,
            (None, Some(after)) => first.name_span.start..after.name_span.start,
            // what `insertion` put behind the white space of an empty object
            (None, None) if last.value.span.end + 1 == span.end => first.name_span.start..last.value.span.end,
            _ => span.start + 1..span.end.saturating_sub(1),
        };
        self.replaced.insert(gone.start, (gone, String::new()));
    }

    /// Puts an object in the place of a value. `skip` bytes of each key lead to it.
    pub(super) fn replace_with_object<'l>(
        &mut self,
        node: &Node,
        skip: usize,
        leaves: impl Iterator<Item = &'l Leaf<'d>>,
    ) where
        'd: 'l,
    {
        let mut group = Group::default();
        for leaf in leaves {
            group.put(&names_after(&leaf.names, skip), self.theirs.raw(leaf.node));
        }
        let lead = self.line_lead(node.span.start);
        let text = self.group(&group, &lead);
        self.replaced.insert(node.span.start, (node.span.clone(), text));
    }

    /// The text with all changes.
    pub(super) fn apply(&self) -> String {
        let inserted = self.added.values().map(|(span, object, group)| self.insertion(span, object, group));
        let mut edits: Vec<(Range<usize>, String)> = inserted.collect();
        edits.extend(self.replaced.values().cloned());
        edits.sort_by_key(|(span, _)| (span.start, span.end));
        let mut out = String::with_capacity(self.mine.text.len());
        let mut at = 0;
        for (span, text) in edits.iter().filter(|(span, _)| span.start <= span.end) {
            if span.start < at {
                continue; // inside what was replaced; whoever reads the result notices
            }
            out.push_str(self.mine.text.get(at..span.start).unwrap_or_default());
            out.push_str(text);
            at = span.end;
        }
        out.push_str(self.mine.text.get(at..).unwrap_or_default());
        out
    }

    /// Where an object's new members go, and what is written there.
    fn insertion(&self, span: &Range<usize>, object: &Object, group: &Group<'d>) -> (Range<usize>, String) {
        let Some(last) = object.members.last() else {
            let inside = span.start + 1..span.end.saturating_sub(1);
            if !inside.is_empty() && group.members.len() == 1 {
                return (inside.end..inside.end, self.members(group, "")); // the white space is somebody's
            }
            let lead = self.line_lead(span.start);
            let (inner, end) = self.inner_lead(&lead);
            return (inside, self.members(group, &inner) + &end);
        };
        let lead = self.lead_of_last(span, object);
        let text = self.members(group, &lead);
        (last.value.span.end..last.value.span.end, format!(",{text}"))
    }

    /// What is before the last member: where a new one begins.
    fn lead_of_last(&self, span: &Range<usize>, object: &Object) -> String {
        let mut ends = object.members.iter().rev();
        let Some(last) = ends.next() else { return String::new() };
        let before = ends.next();
        let start = before.map_or(span.start + 1, |member| member.value.span.end);
        let between = self.mine.text.get(start..last.name_span.start).unwrap_or_default();
        let space = between.rsplit(',').next().unwrap_or_default();
        match space.rsplit_once('\n') {
            Some((_, indent)) => format!("{}{}", self.style.newline, short(indent)),
            None if before.is_some() => short(space).to_owned(),
            None => self.style.gap().to_owned(),
        }
    }

    /// The line end and indentation of the line of a place; empty when the file is not laid out in lines.
    fn line_lead(&self, at: usize) -> String {
        if self.style.unit.is_none() {
            return String::new();
        }
        let before = self.mine.text.get(..at).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        format!("{}{}", self.style.newline, short(line.get(..indent).unwrap_or_default()))
    }

    /// What is before each member inside an object, and what is before its end.
    fn inner_lead(&self, lead: &str) -> (String, String) {
        match &self.style.unit {
            Some(unit) if lead.contains('\n') => (format!("{lead}{unit}"), lead.to_owned()),
            _ => (String::new(), String::new()),
        }
    }

    fn members(&self, group: &Group<'d>, lead: &str) -> String {
        let mut out = String::new();
        for (at, (name, new)) in group.members.iter().enumerate() {
            if at > 0 {
                out.push(',');
                out.push_str(if lead.is_empty() { self.style.gap() } else { "" });
            }
            out.push_str(lead);
            out.push_str(&serde_json::Value::from(name.as_str()).to_string());
            out.push_str(self.style.colon);
            match new {
                New::Value(raw) => out.push_str(&self.value(raw, lead)),
                New::Group(inner) => out.push_str(&self.group(inner, lead)),
            }
        }
        out
    }

    fn group(&self, group: &Group<'d>, lead: &str) -> String {
        let (inner, end) = self.inner_lead(lead);
        format!("{{{}{end}}}", self.members(group, &inner))
    }

    /// A value of the release; one of several lines is indented as the file is, or joined.
    fn value(&self, raw: &str, lead: &str) -> String {
        let mut lines = raw.split('\n').map(|line| line.trim_end_matches('\r'));
        let mut out = lines.next().unwrap_or_default().to_owned();
        let rest: Vec<&str> = lines.collect();
        let depth = |line: &str| line.len() - line.trim_start().len();
        let outer = rest.last().map_or(0, |line| depth(line));
        let level = rest.first().map_or(1, |line| depth(line).saturating_sub(outer).max(1));
        for line in rest {
            if let (Some(unit), true) = (&self.style.unit, lead.contains('\n')) {
                let levels = depth(line).saturating_sub(outer).div_ceil(level);
                out.push_str(lead);
                out.push_str(&unit.repeat(levels));
            }
            out.push_str(line.trim_start());
        }
        out
    }
}

impl Style {
    fn of(document: &Document<'_>) -> Self {
        let inside = |range: Range<usize>| document.text.get(range).unwrap_or_default();
        let first = document.root.members.first();
        let lead = first.map(|member| inside(document.span.start + 1..member.name_span.start));
        let broken = lead.and_then(|lead| lead.rsplit_once('\n'));
        let newline = if broken.is_some_and(|(before, _)| before.ends_with('\r')) { "\r\n" } else { "\n" };
        let colon = first.map(|member| inside(member.name_span.end..member.value.span.start));
        let colon = colon.and_then(|colon| [":", " :", " : "].into_iter().find(|known| *known == colon));
        let unit = broken.map(|(_, indent)| short(indent).to_owned());
        Self { newline, unit, colon: colon.unwrap_or(": ") }
    }

    /// What follows a comma in a line.
    fn gap(&self) -> &'static str {
        if self.colon.ends_with(' ') { " " } else { "" }
    }
}

/// White space, if it is short enough to be indentation.
fn short(space: &str) -> &str {
    if space.len() <= MAX_SPACE { space } else { " " }
}

/// The names without the first `skip` bytes of the dotted key that they make.
fn names_after<'n>(names: &[&'n str], mut skip: usize) -> Vec<&'n str> {
    let mut rest = Vec::new();
    for name in names {
        if skip > name.len() {
            skip -= name.len() + 1;
        } else {
            rest.push(name.get(skip..).unwrap_or_default());
            skip = 0;
        }
    }
    rest
}
