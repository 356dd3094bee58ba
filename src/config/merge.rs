//! Three-way merge by key: what the installed release shipped, what the file says, what the new
//! release ships. The rules are in docs/configuration.md.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::edit::Edits;
use super::same::{same, same_kind};
use super::tree::{Document, Leaf, Node, cuts};
use super::{Error, HTTPS_PORT, Result};

/// What happens to keys that both the operator and the new release changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnConflict {
    /// The file's value stays.
    #[default]
    Keep,
    /// The new release's value is taken.
    Take,
    /// Nothing is merged.
    Fail,
}

/// What the two sides did to a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Both changed the value, or both brought the key.
    BothChanged,
    /// The file lacks it, and the new release changed it.
    RemovedByYou,
    /// The two values are of different kinds, such as `"443"` and `443`, or a value and an object.
    KindsDiffer,
}

/// A key that both sides changed. Holds no value, because values may be secrets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Conflict {
    /// The dotted key.
    pub key: String,
    /// What was done to it.
    pub how: How,
    /// Whether the new release's value is in the result. An object of the file never gives way to a
    /// single value, whatever was asked, because that would remove keys.
    pub taken: bool,
}

/// The outcome of a merge. Keys are dotted, as the release spells them.
#[derive(Clone, PartialEq, Eq)]
pub struct Merged {
    /// The new text. It may hold secrets.
    pub text: String,
    /// Keys that the file lacked.
    pub added: Vec<String>,
    /// Keys whose value is now that of the new release.
    pub updated: Vec<String>,
    /// Keys that both sides changed.
    pub conflicts: Vec<Conflict>,
    /// Keys of the installed release that the new one no longer knows, with unchanged values. They stay.
    pub obsolete: Vec<String>,
}

impl Merged {
    /// Whether the merge left the file as it was, to the byte.
    #[must_use]
    pub fn is_unchanged(&self, mine: &str) -> bool {
        self.text == mine
    }
}

impl fmt::Debug for Merged {
    /// Without the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merged")
            .field("added", &self.added)
            .field("updated", &self.updated)
            .field("conflicts", &self.conflicts)
            .field("obsolete", &self.obsolete)
            .finish_non_exhaustive()
    }
}

/// Merges `mine`, the file, with the defaults of the new release, `theirs`. `base` are the defaults of
/// the installed release; without them keys are only added. What needs no change stays to the byte.
///
/// # Errors
/// When a text is no JSON object, when both sides changed a key and `on_conflict` is
/// [`OnConflict::Fail`], and when a key has no place in the file.
pub fn merge(base: Option<&str>, mine: &str, theirs: &str, on_conflict: OnConflict) -> Result<Merged> {
    let defaults = |release, text| {
        Document::parse(text).map_err(|source| Error::Defaults { release, source: Box::new(source) })
    };
    let base = base.map(|text| defaults("installed", text)).transpose()?;
    let theirs = defaults("new", theirs)?;
    let mine = Document::parse(mine)?;
    let sides = Sides { base: base.as_ref(), mine: &mine, theirs: &theirs };
    let mut merger = Merger::new(sides, on_conflict);
    let leaves = theirs.leaves()?;
    for at in 0..leaves.len() {
        merger.leaf(at, &leaves);
    }
    merger.finish(&leaves)
}

/// The three texts.
#[derive(Clone, Copy)]
struct Sides<'d> {
    base: Option<&'d Document<'d>>,
    mine: &'d Document<'d>,
    theirs: &'d Document<'d>,
}

/// What one key of the new release asks for.
enum Verdict<'d> {
    Nothing,
    Add,
    /// The file's value is the old default.
    Update(&'d Node),
    /// Both sides changed it; the file's value, if there is one that can give way.
    Differs(How, Option<&'d Node>),
    /// The file has an object where the release has a value.
    Object,
    /// The file has a value, at so many bytes of the key, where the release has an object.
    Blocked(&'d Node, usize),
}

impl<'d> Sides<'d> {
    fn judge(&self, leaf: &Leaf<'_>) -> Verdict<'d> {
        let mine = self.mine.root.find(&leaf.key);
        if mine.is_some() && leaf.key.eq_ignore_ascii_case(HTTPS_PORT) {
            return Verdict::Nothing; // the operator's choice, always
        }
        match mine.filter(|node| !node.is_group()) {
            Some(value) => self.present(leaf, value),
            None => self.absent(leaf, mine.is_some()),
        }
    }

    /// Both the file and the new release have a value.
    fn present(&self, leaf: &Leaf<'_>, value: &'d Node) -> Verdict<'d> {
        let Some(base) = self.base else { return Verdict::Nothing };
        if same(self.mine, value, self.theirs, leaf.node) {
            return Verdict::Nothing;
        }
        let how = if same_kind(value, leaf.node) { How::BothChanged } else { How::KindsDiffer };
        match base.value(&leaf.key) {
            Some(old) if same(base, old, self.mine, value) => Verdict::Update(value),
            Some(old) if same(base, old, self.theirs, leaf.node) => Verdict::Nothing,
            _ => Verdict::Differs(how, Some(value)),
        }
    }

    /// The file has no value of its own at this key; `is_group` when it has an object there.
    fn absent(&self, leaf: &Leaf<'_>, is_group: bool) -> Verdict<'d> {
        let old = self.base.and_then(|base| Some((base, base.value(&leaf.key)?)));
        if old.is_some_and(|(base, old)| same(base, old, self.theirs, leaf.node)) {
            return Verdict::Nothing; // the operator took it away, or put an object there
        }
        let below = |side: &Document<'_>| side.root.has_below(&leaf.key);
        if is_group || (below(self.mine) && !below(self.theirs)) {
            let nothing = self.base.is_none() || leaf.node.object().is_some();
            return if nothing { Verdict::Nothing } else { Verdict::Object };
        }
        if let Some((node, length)) = self.obstacle(&leaf.key) {
            return if self.base.is_none() { Verdict::Nothing } else { Verdict::Blocked(node, length) };
        }
        if old.is_some() { Verdict::Differs(How::RemovedByYou, None) } else { Verdict::Add }
    }

    /// A value in the file where the new release has only an object on the way to the key.
    fn obstacle(&self, key: &str) -> Option<(&'d Node, usize)> {
        cuts(key).find_map(|(head, _)| {
            let node = self.mine.value(head).filter(|node| node.object().is_none())?;
            self.theirs.value(head).is_none().then_some((node, head.len()))
        })
    }
}

/// Collects what is to be done.
struct Merger<'d> {
    sides: Sides<'d>,
    on_conflict: OnConflict,
    edits: Edits<'d>,
    /// Where values in the file begin that stand in the way of an object, and were dealt with.
    obstacles: BTreeSet<usize>,
    /// The leaves that the result must have.
    set: Vec<usize>,
    /// The leaves to add, when it is known which objects of the file remain.
    adds: Vec<usize>,
    added: Vec<String>,
    updated: Vec<String>,
    conflicts: Vec<Conflict>,
}

impl<'d> Merger<'d> {
    fn new(sides: Sides<'d>, on_conflict: OnConflict) -> Self {
        Self {
            sides,
            on_conflict,
            edits: Edits::new(sides.mine, sides.theirs),
            obstacles: BTreeSet::new(),
            set: Vec::new(),
            adds: Vec::new(),
            added: Vec::new(),
            updated: Vec::new(),
            conflicts: Vec::new(),
        }
    }

    /// Notes a conflict; whether the release's side is taken.
    fn conflict(&mut self, key: String, how: How, can_be_taken: bool) -> bool {
        let taken = can_be_taken && self.on_conflict == OnConflict::Take;
        self.conflicts.push(Conflict { key, how, taken });
        taken
    }

    fn leaf(&mut self, at: usize, leaves: &[Leaf<'d>]) {
        let Some(leaf) = leaves.get(at) else { return };
        match self.sides.judge(leaf) {
            Verdict::Nothing => {}
            Verdict::Add => self.add(at, leaf),
            Verdict::Update(node) => self.update(at, leaf, node),
            Verdict::Differs(how, node) => {
                if self.conflict(shown(leaf), how, true) {
                    match node {
                        Some(node) => self.update(at, leaf, node),
                        None => self.add(at, leaf),
                    }
                }
            }
            Verdict::Object => {
                self.conflict(shown(leaf), How::KindsDiffer, false);
            }
            Verdict::Blocked(node, length) => self.blocked(node, length, at, leaves),
        }
    }

    fn add(&mut self, at: usize, leaf: &Leaf<'d>) {
        self.set.push(at);
        self.added.push(shown(leaf));
        self.adds.push(at);
    }

    fn update(&mut self, at: usize, leaf: &Leaf<'d>, node: &Node) {
        self.set.push(at);
        self.updated.push(shown(leaf));
        self.edits.replace(node, leaf.node);
    }

    /// A value gives way to the release's object, whole, if the operator did not choose it.
    fn blocked(&mut self, node: &Node, length: usize, at: usize, leaves: &[Leaf<'d>]) {
        let Some(leaf) = leaves.get(at).filter(|_| self.obstacles.insert(node.span.start)) else { return };
        let Sides { base, mine, .. } = self.sides;
        let key = leaf.key.get(..length).unwrap_or_default();
        let name = shown(leaf).get(..length).unwrap_or_default().to_owned();
        let old = base.and_then(|base| Some((base, base.value(key)?)));
        let untouched = old.is_some_and(|(base, old)| same(base, old, mine, node));
        if !untouched && !self.conflict(name.clone(), How::KindsDiffer, true) {
            return;
        }
        let prefix = format!("{key}.");
        let fits = |leaf: &Leaf<'_>| {
            leaf.key.starts_with(&prefix) && matches!(self.sides.judge(leaf), Verdict::Blocked(..))
        };
        let below = leaves.iter().enumerate().filter(|(_, leaf)| fits(leaf));
        let below: Vec<(usize, &Leaf<'d>)> = below.collect();
        self.set.extend(below.iter().map(|(at, _)| *at));
        self.updated.push(name);
        self.edits.replace_with_object(node, prefix.len(), below.into_iter().map(|(_, leaf)| leaf));
    }

    fn obsolete(&self) -> Result<Vec<String>> {
        let Sides { base: Some(base), mine, theirs } = self.sides else { return Ok(Vec::new()) };
        let gone = |leaf: &Leaf<'_>| {
            let value = mine.value(&leaf.key);
            theirs.root.find(&leaf.key).is_none()
                && !theirs.root.has_below(&leaf.key)
                && !leaf.key.eq_ignore_ascii_case(HTTPS_PORT)
                && value.is_some_and(|value| same(base, leaf.node, mine, value))
        };
        Ok(base.leaves()?.iter().filter(|leaf| gone(leaf)).map(shown).collect())
    }

    fn finish(mut self, leaves: &[Leaf<'d>]) -> Result<Merged> {
        if self.on_conflict == OnConflict::Fail && !self.conflicts.is_empty() {
            return Err(Error::Conflicts(self.conflicts.into_iter().map(|conflict| conflict.key).collect()));
        }
        let obsolete = self.obsolete()?;
        for leaf in self.adds.iter().filter_map(|at| leaves.get(*at)) {
            self.edits.add(leaf);
        }
        let text = self.edits.apply();
        let set = self.set.iter().filter_map(|at| leaves.get(*at));
        check(&text, self.sides.theirs, set)?;
        let torn = |leaf: &Leaf<'_>| self.sides.theirs.root.has_below(&leaf.key);
        if !self.obstacles.is_empty() || leaves.iter().any(torn) {
            self.check_kept(&text)?;
        }
        let Self { added, updated, conflicts, .. } = self;
        Ok(Merged { text, added, updated, conflicts, obsolete })
    }
}

impl Merger<'_> {
    /// Reads the result as the product does: what was not updated has its value. It
    /// can be hidden by an object that took the place of a value, and by defaults that have both a
    /// value and an object at one key.
    fn check_kept(&self, text: &str) -> Result<()> {
        let (mine, merged) = (self.sides.mine, Document::parse(text)?);
        let updated: BTreeSet<String> = self.updated.iter().map(|key| key.to_ascii_lowercase()).collect();
        for leaf in
            mine.leaves()?.iter().filter(|leaf| leaf.node.object().is_none() && !updated.contains(&leaf.key))
        {
            if mine.value(&leaf.key).is_none() {
                continue; // hidden already
            }
            if merged.value(&leaf.key).is_none_or(|node| merged.raw(node) != mine.raw(leaf.node)) {
                return Err(Error::NoPlace(shown(leaf)));
            }
        }
        Ok(())
    }
}

/// Reads the result as the product does: every key that was set is found and has its value.
pub(super) fn check<'l>(
    text: &str,
    theirs: &Document<'_>,
    set: impl Iterator<Item = &'l Leaf<'l>>,
) -> Result<()> {
    let merged = Document::parse(text)?;
    for leaf in set {
        let found = merged.value(&leaf.key);
        let is_there = merged.root.has_below(&leaf.key) && leaf.node.object().is_some();
        if !is_there && !found.is_some_and(|node| same(&merged, node, theirs, leaf.node)) {
            return Err(Error::NoPlace(shown(leaf)));
        }
    }
    Ok(())
}

fn shown(leaf: &Leaf<'_>) -> String {
    leaf.names.join(".")
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
