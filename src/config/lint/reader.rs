//! Reads JSON as people write it: says where it breaks the rules of RFC 8259, and reads on where it is clear what was
//! meant, so that one slip does not hide the others.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::rules::{
    BRACKET_EXTRA, BRACKET_MISSING, BRACKET_WRONG, BYTE_ORDER_MARK, COLON_MISSING, COMMA_EXTRA,
    COMMA_MISSING, COMMENT, EMPTY, NAME_MISSING, NAME_TOO_LONG, NOT_AN_OBJECT, NOT_JSON, QUOTE_MISSING, Rule,
    STRAY_CHARACTER, TEXT_AFTER_END, TOO_DEEP, VALUE_MISSING,
};
use crate::config::mask;

/// Most brackets in one another. The product's keys need four.
pub(super) const MAX_DEPTH: usize = 64;
/// Most bytes that the names on the way to a value may have together. The product's keys need no hundred.
const MAX_NAMES: usize = 512;
/// After so many mistakes the text is no configuration.
const MAX_PROBLEMS: usize = 100;

/// A rule that the text breaks.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) rule: &'static Rule,
    pub(super) span: Range<usize>,
    pub(super) what: String,
}

/// The name of a member.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub(super) text: String,
    /// Its bytes, with the quotes.
    pub(super) span: Range<usize>,
}

/// A value that is no object with members, and how one gets there.
#[derive(Debug)]
pub(super) struct Leaf {
    /// Shared: many leaves may be below one name.
    pub(super) names: Vec<Rc<Name>>,
    /// None when it is damaged: nothing more is said of it.
    pub(super) value: Option<Value>,
    pub(super) span: Range<usize>,
    /// Where the object begins that it stands in.
    pub(super) group: usize,
}

/// What must not be shown.
#[derive(Debug)]
pub(super) struct Hidden {
    pub(super) span: Range<usize>,
    /// What is shown in its place.
    pub(super) mark: &'static str,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) problems: Vec<Problem>,
    pub(super) leaves: Vec<Leaf>,
    /// Objects with members whose name comes again in the same object: first and second.
    pub(super) twice: Vec<(Name, Name)>,
    /// Dotted names without a value. What looks like one may be a secret, so they are never shown.
    pub(super) lonely: Vec<String>,
    pub(super) hidden: Vec<Hidden>,
    /// Whether it was read to the end, so that what is not there is really not there.
    pub(super) is_whole: bool,
}

/// A bracket that was opened.
#[derive(Debug, Clone)]
struct Open {
    at: usize,
    line: usize,
    indent: usize,
}

/// A value as it was read: none when it is damaged.
pub(super) type Read = Option<Value>;

/// It makes no sense to read on.
#[derive(Debug)]
pub(super) struct Stop;

pub(super) struct Reader<'t> {
    pub(super) text: &'t str,
    pub(super) at: usize,
    pub(super) out: Reading,
    /// Whether it is good JSON, so that nothing is to be guessed.
    pub(super) is_good: bool,
    pub(super) names: Vec<Rc<Name>>,
    /// What is known of them: whether their value is secret.
    pub(super) frames: Vec<mask::Frame>,
    open: Vec<Open>,
    /// The first bracket that does not close as it is indented, with the one that it closes.
    odd: Option<(usize, usize)>,
    arrays: usize,
    /// Where the last name or value ended.
    end: usize,
    line: usize,
    indent: usize,
}

/// Reads a text.
pub(super) fn read(text: &str) -> Reading {
    let parsed = serde_json::from_str::<Value>(text);
    let mut reader = Reader {
        text,
        at: 0,
        out: Reading::default(),
        is_good: parsed.is_ok(),
        names: Vec::new(),
        frames: Vec::new(),
        open: Vec::new(),
        odd: None,
        arrays: 0,
        end: 0,
        line: 0,
        indent: 0,
    };
    if text.starts_with('\u{feff}') {
        reader.at = 3;
        reader.line = 3;
        reader.problem(&BYTE_ORDER_MARK, 0..3, "the file begins with a byte order mark");
    }
    reader.indent = reader.indent_at(reader.at);
    reader.out.is_whole = reader.root().is_ok();
    if !reader.out.is_whole {
        let rest = reader.at..text.len();
        reader.out.hidden.push(Hidden { span: rest, mark: "\u{2026}" });
    }
    if let Err(error) = parsed {
        reader.compare(&error);
    }
    reader.out
}

impl<'t> Reader<'t> {
    pub(super) fn problem(&mut self, rule: &'static Rule, span: Range<usize>, what: impl Into<String>) {
        // in one text there may be as many as it has characters
        if self.out.problems.len() <= 2 * MAX_PROBLEMS {
            self.out.problems.push(Problem { rule, span, what: what.into() });
        }
    }

    /// A problem behind which nothing can be read.
    fn stop<T>(
        &mut self,
        rule: &'static Rule,
        span: Range<usize>,
        what: impl Into<String>,
    ) -> Result<T, Stop> {
        self.problem(rule, span, what);
        Err(Stop)
    }

    pub(super) fn hide(&mut self, span: Range<usize>) {
        self.out.hidden.push(Hidden { span, mark: mask::STARS });
    }

    pub(super) fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// The span of the character that comes.
    pub(super) fn here(&self) -> Range<usize> {
        self.at..self.at + self.peek().map_or(0, char::len_utf8)
    }

    fn indent_at(&self, line: usize) -> usize {
        let rest = self.text.get(line..).unwrap_or_default();
        rest.len() - rest.trim_start_matches([' ', '\t']).len()
    }

    /// Passes over white space, and over what somebody took for it.
    pub(super) fn space(&mut self) -> Result<(), Stop> {
        while let Some(c) = self.peek() {
            match c {
                '\n' => {
                    self.at += 1;
                    self.line = self.at;
                    self.indent = self.indent_at(self.at);
                }
                ' ' | '\t' | '\r' => self.at += 1,
                '#' => self.comment("#")?,
                '/' if self.rest().starts_with("//") => self.comment("//")?,
                '/' if self.rest().starts_with("/*") => self.comment("/*")?,
                _ if c.is_whitespace() || c.is_control() || is_invisible(c) => {
                    let (span, what) = (self.here(), format!("{} stands outside of texts", called(c)));
                    self.at = span.end;
                    self.problem(&STRAY_CHARACTER, span, what);
                    self.give_up()?;
                }
                _ => break,
            }
        }
        Ok(())
    }

    pub(super) fn give_up(&self) -> Result<(), Stop> {
        if self.out.problems.len() > MAX_PROBLEMS { Err(Stop) } else { Ok(()) }
    }

    /// A comment; what is in it is not shown, because people comment old passphrases out.
    fn comment(&mut self, begin: &'static str) -> Result<(), Stop> {
        let start = self.at;
        let rest = self.rest();
        let length = match begin {
            "/*" => rest.find("*/").map(|end| end + 2),
            _ => Some(rest.find('\n').unwrap_or(rest.len())),
        };
        let inside = start + begin.len();
        match length {
            Some(length) => self.at = start + length,
            None => {
                self.at = inside;
                return self.stop(&COMMENT, start..inside, "a comment begins here and does not end");
            }
        }
        self.out.hidden.push(Hidden { span: inside..self.at, mark: "\u{2026}" });
        self.problem(&COMMENT, start..inside, "there is a comment");
        self.give_up()
    }

    fn root(&mut self) -> Result<(), Stop> {
        self.space()?;
        match self.peek() {
            Some('{') => {}
            None => return self.stop(&EMPTY, self.here(), "there is nothing in the file"),
            Some(c) => {
                let span = self.here();
                let names = self.rest().lines().next().is_some_and(|line| line.contains(':'));
                return if c != '[' && names {
                    self.stop(&BRACKET_MISSING, span, "the file does not begin with {")
                } else {
                    self.stop(&NOT_AN_OBJECT, span, "the file does not hold an object")
                };
            }
        }
        self.object()?;
        let closer = self.at.saturating_sub(1);
        self.space()?;
        match self.peek() {
            None => Ok(()),
            Some(c) => self.after_the_end(c, closer),
        }
    }

    /// Text behind the bracket that closed the outermost object.
    fn after_the_end(&mut self, c: char, closer: usize) -> Result<(), Stop> {
        let here = self.here();
        if c == ',' && self.rest().trim_start_matches(',').trim().is_empty() {
            return self.stop(&COMMA_EXTRA, here, "there is a comma behind the last bracket");
        }
        let extra = "here the outermost object ends, and more text follows";
        match (c, self.odd) {
            ('}' | ']' | ',' | '"', Some((odd, _))) => {
                self.stop(&BRACKET_EXTRA, odd..odd + 1, "it closes one bracket too many")
            }
            ('}' | ']', None) => {
                self.at += 1;
                self.stop(&BRACKET_EXTRA, here, format!("{c} closes nothing"))
            }
            (',' | '"', None) => self.stop(&BRACKET_EXTRA, closer..closer + 1, extra),
            _ => self.stop(&TEXT_AFTER_END, here, "behind the last bracket there is more text"),
        }
    }

    fn enter(&mut self) -> Result<usize, Stop> {
        let at = self.at;
        if self.open.len() >= MAX_DEPTH {
            let what = format!("more than {MAX_DEPTH} brackets are open here");
            return self.stop(&TOO_DEEP, at..at + 1, what);
        }
        self.open.push(Open { at, line: self.line, indent: self.indent });
        self.at += 1;
        Ok(at)
    }

    /// Passes over the bracket that closes the innermost one, and notes whether it stands as it should.
    fn leave(&mut self) {
        let here = self.at;
        self.at += 1;
        let Some(open) = self.open.pop() else { return };
        let (first, several) = (self.line + self.indent == here, self.line != open.line);
        if several && (!first || self.indent != open.indent) && self.odd.is_none() {
            self.odd = Some((here, open.at));
        }
    }

    /// The text ends, or goes on elsewhere, and a bracket is still open.
    fn unclosed<T>(&mut self) -> Result<T, Stop> {
        let innermost = self.open.last().map_or(0, |open| open.at);
        let at = self.odd.map_or(innermost, |(_, opener)| opener);
        let bracket = if self.text.get(at..).is_some_and(|rest| rest.starts_with('[')) { "[" } else { "{" };
        self.stop(&BRACKET_MISSING, at..at + 1, format!("{bracket} is opened here and not closed"))
    }

    /// An object, whose members become entries.
    fn object(&mut self) -> Result<Map<String, Value>, Stop> {
        let group = self.enter()?;
        let mut members = Map::new();
        let mut groups: HashMap<String, Name> = HashMap::new();
        loop {
            self.space()?;
            match self.peek() {
                None => return self.unclosed(),
                Some('}') => break,
                Some(',') => {
                    self.problem(&COMMA_EXTRA, self.here(), "there is a comma with nothing before it");
                    self.at += 1;
                    self.give_up()?;
                    continue;
                }
                Some(']') => return self.wrong_bracket(),
                Some(_) => {}
            }
            if let Some((name, value)) = self.member(group)? {
                if value.as_ref().is_some_and(is_group) {
                    match groups.entry(name.text.to_ascii_lowercase()) {
                        Entry::Occupied(before) => self.out.twice.push((before.get().clone(), name.clone())),
                        Entry::Vacant(free) => drop(free.insert(name.clone())),
                    }
                }
                members.insert(name.text, value.unwrap_or_default());
            }
            self.after_item('}')?;
        }
        self.leave();
        Ok(members)
    }

    /// `]` in an object. If a `[` is missing, the value that was read last is not what it seems to be.
    fn wrong_bracket<T>(&mut self) -> Result<T, Stop> {
        if let Some(leaf) = self.out.leaves.last_mut() {
            leaf.value = None;
        }
        let span = self.here();
        self.at = span.end;
        self.stop(&BRACKET_WRONG, span, "] stands where } is to close the object")
    }

    fn array(&mut self) -> Result<Read, Stop> {
        let opener = self.enter()?;
        self.arrays += 1;
        let mut items = Some(Vec::new());
        loop {
            self.space()?;
            match self.peek() {
                None => return self.unclosed(),
                Some(']') => break,
                Some('}' | ':') => return self.open_array(opener),
                Some(',') => {
                    self.problem(&COMMA_EXTRA, self.here(), "there is a comma with nothing before it");
                    self.at += 1;
                    self.give_up()?;
                    continue;
                }
                Some(_) => {
                    let item = self.value()?;
                    items = items.zip(item).map(|(mut items, item)| {
                        items.push(item);
                        items
                    });
                }
            }
            self.end = self.at;
            self.space()?;
            if matches!(self.peek(), Some(':' | '}')) {
                return self.open_array(opener);
            }
            self.after_item(']')?;
        }
        self.leave();
        self.arrays -= 1;
        Ok(items.map(Value::Array))
    }

    fn open_array<T>(&mut self, at: usize) -> Result<T, Stop> {
        self.stop(&BRACKET_MISSING, at..at + 1, "[ is opened here and not closed")
    }

    /// What stands between two members: a comma, and none behind the last.
    fn after_item(&mut self, closer: char) -> Result<(), Stop> {
        self.space()?;
        let (here, end) = (self.here(), self.end);
        match self.peek() {
            None => return self.unclosed(),
            Some(',') => {
                self.at += 1;
                self.space()?;
                if self.peek() == Some(closer) {
                    self.problem(&COMMA_EXTRA, here, "there is a comma behind the last member");
                }
            }
            Some(';') => {
                self.at += 1;
                self.problem(&COMMA_MISSING, here, "there is a semicolon in place of a comma");
            }
            Some(c) if c == closer => {}
            Some(']') => return self.wrong_bracket(),
            Some(c) if is_quote(c) || c.is_alphanumeric() || (closer == ']' && matches!(c, '{' | '[')) => {
                self.problem(&COMMA_MISSING, end..end, "there is no comma behind this");
            }
            Some(c) => return self.stop(&STRAY_CHARACTER, here, format!("{} stands here", called(c))),
        }
        self.give_up()
    }

    /// A name, a colon and a value. None when the value is not there.
    fn member(&mut self, group: usize) -> Result<Option<(Name, Read)>, Stop> {
        let problems = self.out.problems.len();
        let name = self.name()?;
        self.end = self.at;
        let Some(name) = name else { return Ok(None) };
        let bytes = self.names.iter().map(|name| name.text.len() + 1).sum::<usize>() + name.text.len();
        if bytes > MAX_NAMES {
            self.hide(name.span.clone()); // it may be anything
            let what = format!("this name, with those above it, has more than {MAX_NAMES} bytes");
            return self.stop(&NAME_TOO_LONG, name.span, what);
        }
        self.space()?;
        let here = self.here();
        match self.peek() {
            Some(':') => self.at += 1,
            Some('=') => {
                self.at += 1;
                self.problem(&COLON_MISSING, here, "there is = in place of a colon");
            }
            Some(c) if is_quote(c) || c.is_alphanumeric() || matches!(c, '-' | '{' | '[') => {
                self.problem(
                    &COLON_MISSING,
                    name.span.end..name.span.end,
                    "there is no colon behind this name",
                );
            }
            None => return self.unclosed(),
            Some(_) => {
                if self.out.problems.len() == problems {
                    self.problem(&VALUE_MISSING, name.span.clone(), "this has no colon and no value");
                }
                let dotted = self.names.iter().map(|name| name.text.as_str()).chain([name.text.as_str()]);
                let dotted = dotted.collect::<Vec<_>>().join(".");
                self.out.lonely.push(dotted);
                self.hide(name.span);
                return Ok(None);
            }
        }
        let colon = self.at;
        self.names.push(Rc::new(name.clone()));
        let frame = self.frames.last().cloned().unwrap_or_default().member(&name.text);
        self.frames.push(frame);
        self.space()?;
        let start = self.at;
        let value = self.value()?;
        let span = start..self.at;
        self.end = self.at;
        self.space()?;
        if self.peek() == Some(':') {
            return self.stop(&BRACKET_MISSING, colon..colon, "behind this colon a { is missing");
        }
        let names = self.names.clone();
        self.names.pop();
        self.frames.pop();
        if self.arrays == 0 && !value.as_ref().is_some_and(is_group) {
            self.out.leaves.push(Leaf { names, value: value.clone(), span, group });
        }
        Ok(Some((name, value)))
    }

    /// A value. Members of objects become entries.
    fn value(&mut self) -> Result<Read, Stop> {
        // `:443` is an address without its quotes
        while self.peek() == Some(':')
            && !self.rest().trim_start_matches(':').starts_with(|c: char| c.is_ascii_digit())
        {
            self.problem(&STRAY_CHARACTER, self.here(), "there is one colon too many");
            self.at += 1;
            self.give_up()?;
            self.space()?;
        }
        match self.peek() {
            None => self.unclosed(),
            Some('{') => Ok(Some(Value::Object(self.object()?))),
            Some('[') => self.array(),
            Some(',' | '}' | ']') => {
                let end = self.text.get(..self.at).unwrap_or_default().trim_end().len();
                self.problem(&VALUE_MISSING, end..end, "there is no value behind this colon");
                Ok(None)
            }
            Some(_) => Ok(self.scalar()),
        }
    }

    /// A name that should not be where it is: `{`, `[` or a colon.
    pub(super) fn no_name<T>(&mut self) -> Result<T, Stop> {
        let here = self.here();
        self.stop(&NAME_MISSING, here, "there is no name before this")
    }

    pub(super) fn unquoted(&mut self, span: Range<usize>, what: &str) {
        self.problem(&QUOTE_MISSING, span, what);
    }

    /// What serde_json refuses, the product does not read either: nothing of that kind may go unsaid.
    fn compare(&mut self, error: &serde_json::Error) {
        if self.out.problems.is_empty() {
            let lines = self.text.split_inclusive('\n').take(error.line().saturating_sub(1));
            let at = lines.map(str::len).sum::<usize>() + error.column().saturating_sub(1);
            let at = (0..=at.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at));
            let at = at.unwrap_or_default();
            self.problem(&NOT_JSON, at..at, error.to_string());
            self.out.is_whole = false;
        }
    }
}

fn is_group(value: &Value) -> bool {
    value.as_object().is_some_and(|members| !members.is_empty())
}

/// The quotes that JSON knows and those that it does not.
pub(super) fn is_quote(c: char) -> bool {
    c == '"' || is_odd_quote(c)
}

pub(super) fn is_odd_quote(c: char) -> bool {
    matches!(c, '\'' | '`' | '\u{b4}' | '\u{2018}'..='\u{201f}' | '\u{ab}' | '\u{bb}')
}

/// Characters that nobody sees.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// A character in words.
pub(super) fn called(c: char) -> String {
    match c {
        '\0' => "a NUL character".to_owned(),
        '\t' => "a tab".to_owned(),
        '\u{a0}' => "a no-break space".to_owned(),
        '\u{feff}' => "a byte order mark".to_owned(),
        _ if c.is_whitespace() || c.is_control() || is_invisible(c) => {
            format!("the character U+{:04X}, which nobody sees,", u32::from(c))
        }
        _ => format!("the character {c}"),
    }
}
