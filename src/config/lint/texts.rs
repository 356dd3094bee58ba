//! Names, texts, numbers and words, with and without the quotes that they need.

use std::ops::Range;

use serde_json::Value;

use super::reader::{Name, Read, Reader, Stop, called, is_odd_quote};
use super::rules::{
    CONTROL_CHARACTER, ESCAPE_WRONG, NUMBER_WRONG, QUOTE_MISSING, QUOTE_WRONG, VALUE_MISSING, WORD_WRONG,
};
use crate::config::mask;

/// Where a text ends that begins with a double quote.
struct Token {
    /// With the quotes.
    span: Range<usize>,
    is_closed: bool,
    /// What it says; none when something in it is no JSON.
    says: Option<String>,
}

impl<'t> Reader<'t> {
    fn slice(&self, span: Range<usize>) -> &'t str {
        self.text.get(span).unwrap_or_default()
    }

    /// A text from its opening quote to the closing one, or to the end of the line.
    fn quoted(&mut self) -> Token {
        let start = self.at;
        let mut damaged = false;
        self.at += 1;
        let is_closed = loop {
            let Some(c) = self.peek() else { break false };
            let span = self.here();
            match c {
                '"' => {
                    self.at = span.end;
                    break true;
                }
                '\n' => break false,
                '\r' if self.rest().starts_with("\r\n") => break false,
                '\\' => damaged |= !self.escape(),
                _ if u32::from(c) < 0x20 => {
                    self.at = span.end;
                    damaged = true;
                    self.problem(&CONTROL_CHARACTER, span, format!("{} stands in a text", called(c)));
                }
                _ => self.at = span.end,
            }
        };
        let span = start..self.at;
        let says =
            if is_closed && !damaged { serde_json::from_str(self.slice(span.clone())).ok() } else { None };
        if is_closed && !damaged && says.is_none() {
            let at = start + self.slice(span.clone()).find("\\u").unwrap_or_default();
            let at = at..(at + 6).min(span.end.saturating_sub(1)).max(at);
            self.problem(&ESCAPE_WRONG, at, "this stands for half a character");
        }
        Token { span, is_closed, says }
    }

    /// A backslash and what belongs to it. False when it is none that JSON knows.
    fn escape(&mut self) -> bool {
        let start = self.at;
        let mut chars = self.rest().chars().skip(1);
        let next = chars.next();
        let good = match next {
            Some('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') => true,
            Some('u') => chars.by_ref().take(4).filter(char::is_ascii_hexdigit).count() == 4,
            Some('\n' | '\r') | None => {
                self.at += 1;
                return false;
            }
            Some(_) => false,
        };
        let length = if good && next == Some('u') { 5 } else { next.map_or(0, char::len_utf8) };
        self.at = start + 1 + length;
        if !good {
            let what = format!("{} is no escape of JSON", self.slice(start..self.at));
            self.problem(&ESCAPE_WRONG, start..self.at, what);
        }
        good
    }

    /// A name. None when there is a value only, which is passed over.
    pub(super) fn name(&mut self) -> Result<Option<Name>, Stop> {
        match self.peek() {
            Some('"') => Ok(Some(self.quoted_name())),
            Some(c) if is_odd_quote(c) => Ok(Some(self.oddly_quoted("name"))),
            Some('{' | '[' | ':') => self.no_name(),
            _ => Ok(self.bare_name()),
        }
    }

    fn quoted_name(&mut self) -> Name {
        let problems = self.out.problems.len();
        let token = self.quoted();
        let start = token.span.start;
        let inside = self.slice(start + 1..token.span.end - usize::from(token.is_closed)).to_owned();
        let follows = self.rest().trim_start().chars().next();
        let ends_here = matches!(follows, Some(':' | '=' | ',' | '}')) && !inside.trim_end().ends_with(':');
        if let Some(colon) = inside.find(':').filter(|_| !(self.is_good || (token.is_closed && ends_here))) {
            // the closing quote is not there, and the text went on to the next one
            self.out.problems.truncate(problems);
            let text = inside.get(..colon).unwrap_or_default().trim_end();
            let text = text.trim_end_matches(is_odd_quote).to_owned();
            let span = start..start + 1 + text.len();
            self.at = start + 1 + colon;
            self.unquoted(span.clone(), "this name has no closing quote");
            return Name { text, span };
        }
        if !token.is_closed {
            self.out.problems.truncate(problems);
            self.unquoted(token.span.clone(), "this name has no closing quote");
        }
        let plain = || inside.chars().filter(|c| !c.is_control() && *c != '\\').collect::<String>();
        Name { text: token.says.unwrap_or_else(plain), span: token.span }
    }

    /// A text in quotes that JSON does not know, or what there is of it in this line.
    fn oddly_quoted(&mut self, kind: &str) -> Name {
        let start = self.at;
        let opening = self.here().end;
        let rest = self.slice(opening..self.text.len());
        let line = rest.split('\n').next().unwrap_or_default();
        let ends = |c: char| c == '"' || is_odd_quote(c);
        let length = line.find(ends).unwrap_or_else(|| line.find([':', ',', '}', ']']).unwrap_or(line.len()));
        let text = line.get(..length).unwrap_or_default().trim_end_matches('\r').to_owned();
        self.at = opening + length;
        if self.peek().is_some_and(ends) {
            self.at = self.here().end;
        }
        let span = start..self.at;
        self.problem(
            &QUOTE_WRONG,
            span.clone(),
            format!("this {kind} stands in quotes that JSON does not know"),
        );
        Name { text, span }
    }

    /// A name without its opening quote, or without any. None when it is none.
    fn bare_name(&mut self) -> Option<Name> {
        let start = self.at;
        let ends = |c: char| matches!(c, '"' | ':' | '=' | ',' | '{' | '}' | '[' | ']') || c.is_whitespace();
        let rest = self.rest();
        let length = rest.find(ends).unwrap_or(rest.len());
        let text = rest.get(..length).unwrap_or_default().trim_end_matches(is_odd_quote).to_owned();
        self.at = start + length.max(usize::from(length == 0 && self.at < self.text.len()));
        let opening = if self.peek() == Some('"') {
            self.at += 1;
            "opening "
        } else {
            ""
        };
        let span = start..self.at;
        if matches!(self.rest().trim_start().chars().next(), Some(':' | '=')) {
            self.unquoted(
                span.clone(),
                &format!("this name has no {opening}quote{}", if opening.is_empty() { "s" } else { "" }),
            );
            return Some(Name { text, span });
        }
        self.hide(span.clone());
        self.problem(&VALUE_MISSING, span, "this is no name with a value");
        None
    }

    /// A text, a number, `true`, `false` or `null`.
    pub(super) fn scalar(&mut self) -> Read {
        let (start, problems) = (self.at, self.out.problems.len());
        let (is_secret, is_address) =
            self.frames.last().map_or((false, false), |frame| (frame.is_secret, frame.is_address));
        let value = match self.peek() {
            Some('"') => self.quoted_value(),
            Some(c) if is_odd_quote(c) => Some(Value::from(self.oddly_quoted("text").text)),
            _ => self.bare_value(),
        };
        let raw = self.slice(start..self.at);
        let text = value.as_ref().and_then(Value::as_str).unwrap_or(raw);
        if is_secret || mask::tells(text, is_address) {
            self.hide(start..self.at);
        }
        if is_secret && !self.is_good && self.goes_on(self.out.problems.len() > problems) {
            self.rest_of_secret(start);
            return None;
        }
        value
    }

    /// Whether more may belong to what was read last than was taken for it.
    fn goes_on(&self, is_broken: bool) -> bool {
        let line = self.rest().split('\n').next().unwrap_or_default().trim();
        !line.is_empty() && (is_broken || !line.starts_with([',', '}', ']']))
    }

    /// Passes over the rest of the line, which may be the rest of a secret: nothing in it is shown, or a name.
    fn rest_of_secret(&mut self, start: usize) {
        let line = self.rest().split('\n').next().unwrap_or_default();
        let closers = |c: char| matches!(c, ',' | '}' | ']') || c.is_whitespace();
        let (value, end) = (self.at, self.at + line.len());
        self.at += line.trim_end_matches(closers).len();
        if self.at > value {
            let what = "more follows in this line, which is not read: it may belong to the secret";
            self.problem(&QUOTE_MISSING, start..value, what);
        }
        self.hide(start..end);
    }

    fn quoted_value(&mut self) -> Read {
        let problems = self.out.problems.len();
        let token = self.quoted();
        let start = token.span.start;
        let end = token.span.end - usize::from(token.is_closed);
        let inside = self.slice(start + 1..end);
        let text = inside.trim_end_matches(|c: char| matches!(c, ',' | '}' | ']') || c.is_whitespace());
        let (text, length) = (text.to_owned(), text.len());
        // `"b,"c"`: the text went on to the quote that opens the next name
        let goes_on = !self.is_good
            && token.is_closed
            && length < inside.len()
            && self.peek().is_some_and(|c| c.is_alphanumeric() || c == '_');
        if token.is_closed && !goes_on {
            return token.says.map(Value::from);
        }
        self.out.problems.truncate(problems);
        self.at = start + 1 + length;
        self.unquoted(start..self.at, "this text has no closing quote");
        Some(Value::from(text))
    }

    /// A value that does not begin with a quote.
    fn bare_value(&mut self) -> Read {
        let start = self.at;
        let rest = self.rest();
        let ends = |c: char| {
            matches!(c, ',' | ';' | '}' | ']' | '"' | ':' | '#') || c.is_whitespace() || c.is_control()
        };
        let length = rest.find(ends).unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or_default();
        let behind = rest.get(length..).unwrap_or_default();
        if !behind.starts_with('"')
            && let Some(value) = literal(word)
        {
            self.at = start + length;
            return Some(value);
        }
        // only what is no JSON comes here, and after some of that nothing is read any more
        let line = rest.split('\n').next().unwrap_or_default();
        if let Some((inside, after)) = line.split_once('"')
            && !inside.contains(['{', '}', '[', ']'])
            && after.trim_start().chars().next().is_none_or(|c| matches!(c, ',' | '}' | ']'))
        {
            let text = inside.to_owned();
            self.at = start + text.len() + 1;
            self.unquoted(start..self.at, "this text has no opening quote");
            return Some(Value::from(text));
        }
        self.at = start + length;
        if let Some(meant) = word_meant(word) {
            self.problem(&WORD_WRONG, start..self.at, format!("{word} is no word of JSON"));
            return Some(meant);
        }
        if is_number(word) {
            let is_secret = self.frames.last().is_some_and(|frame| frame.is_secret);
            let word = if is_secret { "this".to_owned() } else { shown(word) };
            self.problem(&NUMBER_WRONG, start..self.at, format!("{word} is no number of JSON"));
            return None;
        }
        let text = line.split([',', ';', '}', ']', '"']).next().unwrap_or_default().trim_end().to_owned();
        self.at = start + text.len().max(self.peek().map_or(0, char::len_utf8).min(1));
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
        self.unquoted(start..self.at, "this text has no quotes");
        Some(Value::from(text))
    }
}

/// `true`, `false`, `null` or a number, if it is one.
fn literal(word: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(word).ok()?;
    (value.is_boolean() || value.is_null() || value.is_number()).then_some(value)
}

/// What a word means that people use in place of those that JSON has.
fn word_meant(word: &str) -> Option<Value> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(Value::Bool(true)),
        "false" | "no" | "off" => Some(Value::Bool(false)),
        "null" | "none" | "nil" | "undefined" => Some(Value::Null),
        _ => None,
    }
}

/// Whether people would take it for a number: `0443`, `+1`, `.5`, `0x1bb`.
fn is_number(word: &str) -> bool {
    let begins = word.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    begins && (word.parse::<f64>().is_ok() || word.to_ascii_lowercase().starts_with("0x"))
}

fn shown(word: &str) -> String {
    word.chars().take(20).collect()
}
