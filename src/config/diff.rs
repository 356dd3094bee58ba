//! What a merge changes, line by line, without secrets.

use std::collections::HashMap;

use similar::{Algorithm, DiffOp, DiffTag, capture_diff_slices, group_diff_ops};

use super::mask::masked;

/// Unchanged lines that are shown before and after a change.
const CONTEXT: usize = 3;

/// What a line of a difference is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineKind {
    /// Where the following lines are, as in `@@ -1,4 +1,5 @@`.
    Hunk,
    /// In both texts.
    Context,
    /// In the first only.
    Removed,
    /// In the second only.
    Added,
}

/// A line of a difference, without its end and without a sign before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiffLine {
    /// What it is.
    pub kind: LineKind,
    /// The line, with secrets masked. Not made fit for a terminal.
    pub text: String,
}

/// How two texts differ, with a few lines around each change. Values that may be secrets are shown as
/// stars; where one differs between the texts that is said. A text that is no JSON shows nothing.
#[must_use]
pub fn diff(mine: &str, merged: &str) -> Vec<DiffLine> {
    let (old_shown, new_shown) = masked(mine, merged);
    let mut ids = HashMap::new();
    let old = numbers(mine, &mut ids);
    let new = numbers(merged, &mut ids);
    let ops = capture_diff_slices(Algorithm::Myers, &old, &new);
    let (old_shown, new_shown) = (lines(&old_shown), lines(&new_shown));
    let mut out = Vec::new();
    for hunk in group_diff_ops(ops, CONTEXT) {
        out.extend(header(&hunk));
        for op in hunk {
            let (tag, old, new) = op.as_tag_tuple();
            let mut push = |kind, from: &[&str], range| {
                let part: &[&str] = from.get::<std::ops::Range<usize>>(range).unwrap_or_default();
                out.extend(part.iter().map(|line| DiffLine { kind, text: ended(line) }));
            };
            if tag == DiffTag::Equal {
                push(LineKind::Context, &new_shown, new);
            } else {
                push(LineKind::Removed, &old_shown, old);
                push(LineKind::Added, &new_shown, new);
            }
        }
    }
    out
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn ended(line: &str) -> String {
    line.trim_end_matches(['\n', '\r']).to_owned()
}

/// A number for each line, the same for the same line: quick to compare.
fn numbers<'t>(text: &'t str, ids: &mut HashMap<&'t str, usize>) -> Vec<usize> {
    lines(text)
        .into_iter()
        .map(|line| {
            let next = ids.len();
            *ids.entry(line).or_insert(next)
        })
        .collect()
}

fn header(hunk: &[DiffOp]) -> Option<DiffLine> {
    let (first, last) = (hunk.first()?, hunk.last()?);
    let place = |start: usize, end: usize| {
        let count = end - start;
        let line = if count == 0 { start } else { start + 1 }; // as diff(1) does
        if count == 1 { line.to_string() } else { format!("{line},{count}") }
    };
    let old = place(first.old_range().start, last.old_range().end);
    let new = place(first.new_range().start, last.new_range().end);
    Some(DiffLine { kind: LineKind::Hunk, text: format!("@@ -{old} +{new} @@") })
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
