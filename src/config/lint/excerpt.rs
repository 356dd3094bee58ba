//! Places in a text, and the line to be shown with them: without secrets, and fit for a terminal.

use std::ops::Range;

use serde::Serialize;

use super::reader::Hidden;
use crate::types::is_printable_char;

/// Most characters of a line that are shown.
const WIDTH: usize = 100;
/// Characters of a long line that are shown before the place.
const BEFORE: usize = 40;
/// Bytes of a line before and behind the place that are looked at.
const AROUND: usize = 1024;

/// A line with a place in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Excerpt {
    /// The line, or a part of a long one; secrets and what nobody sees are replaced.
    pub text: String,
    /// How many characters of it are before the place.
    pub before: usize,
    /// How many characters the place has, at least one.
    pub length: usize,
}

/// Where lines begin.
#[derive(Debug)]
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    fn start(&self, number: usize) -> usize {
        self.starts.get(number).copied().unwrap_or(self.text.len())
    }

    /// The number of the line, from 0.
    fn number(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at).saturating_sub(1)
    }

    /// Line and column of a place, both from 1; columns are counted in characters, a byte order mark is none.
    pub(super) fn place(&self, at: usize) -> (usize, usize) {
        let number = self.number(at);
        let before = self.text.get(self.start(number)..at).unwrap_or_default();
        let before = if number == 0 { before.trim_start_matches('\u{feff}') } else { before };
        (number + 1, before.chars().count() + 1)
    }

    /// The line of a place. `hidden` are in order and do not overlap.
    pub(super) fn excerpt(&self, span: &Range<usize>, hidden: &[Hidden]) -> Excerpt {
        let number = self.number(span.start);
        let (start, next) = (self.start(number), self.start(number + 1));
        let line = self.text.get(start..next).unwrap_or_default();
        let end = start + line.trim_end_matches(['\n', '\r']).len();
        let bound = |at: usize| (0..=at).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or_default();
        let line =
            bound(span.start.saturating_sub(AROUND)).clamp(start, end)..bound((span.start + AROUND).min(end));
        let mut shown: Vec<char> = Vec::new();
        let (mut before, mut after) = (0, None);
        let mut at = line.start;
        while at < line.end {
            let seen = shown.len();
            let next = self.piece(at, &line, hidden, &mut shown);
            if at <= span.start && span.start < next {
                before = seen;
            }
            if after.is_none() && span.end <= next {
                after = Some(shown.len());
            }
            at = next;
        }
        if span.start >= line.end {
            before = shown.len();
        }
        let length = after.unwrap_or(shown.len()).saturating_sub(before).max(1);
        cut(shown, before, length)
    }

    /// Shows what stands at a place; tells where the next piece begins.
    fn piece(&self, at: usize, line: &Range<usize>, hidden: &[Hidden], shown: &mut Vec<char>) -> usize {
        let index = hidden.partition_point(|hidden| hidden.span.end <= at);
        if let Some(hidden) = hidden.get(index).filter(|hidden| hidden.span.start <= at) {
            shown.extend(hidden.mark.chars());
            return hidden.span.end.min(line.end);
        }
        let c = self.text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or(' ');
        match c {
            '\t' => shown.push(' '),
            '\u{feff}' => {}
            _ if is_printable_char(c) => shown.push(c),
            _ => shown.push('\u{fffd}'),
        }
        at + c.len_utf8()
    }
}

/// A long line is shown in part.
fn cut(shown: Vec<char>, before: usize, length: usize) -> Excerpt {
    if shown.len() <= WIDTH {
        return Excerpt { text: shown.into_iter().collect(), before, length };
    }
    let from = if before + length.min(WIDTH / 2) <= WIDTH { 0 } else { before.saturating_sub(BEFORE) };
    let mut text: String = if from > 0 { "\u{2026}".to_owned() } else { String::new() };
    text.extend(shown.iter().skip(from).take(WIDTH));
    let ends = from + WIDTH < shown.len();
    if ends {
        text.push('\u{2026}');
    }
    let before = before - from + usize::from(from > 0);
    let length = length.min((WIDTH + 1).saturating_sub(before)).max(1);
    Excerpt { text, before, length }
}

/// Puts what is hidden in order; of what overlaps the larger counts.
pub(super) fn in_order(mut hidden: Vec<Hidden>) -> Vec<Hidden> {
    hidden.retain(|hidden| !hidden.span.is_empty());
    hidden.sort_by_key(|hidden| (hidden.span.start, std::cmp::Reverse(hidden.span.end)));
    let mut out: Vec<Hidden> = Vec::new();
    for mut one in hidden {
        if let Some(last) = out.last() {
            one.span.start = one.span.start.max(last.span.end);
        }
        if one.span.start < one.span.end {
            out.push(one);
        }
    }
    out
}
