//! Where everything is in a JSON text, and the search for dotted keys in it.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Error, Result, parse};

/// Most bytes that all dotted keys of a text may have together: each leaf has a copy of its own.
const MAX_KEYS: usize = 16 << 20;

/// What a value is. Arrays are not looked into.
#[derive(Debug)]
pub(super) enum Kind {
    Object(Object),
    Array,
    String,
    Number,
    /// `true`, `false` or `null`.
    Word,
}

/// A value and the bytes that it takes.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
}

/// A name with its value.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    /// The name's bytes, with the quotes.
    pub(super) name_span: Range<usize>,
    pub(super) value: Node,
}

/// The members of an object as they are written, and by name in lower case those that count.
#[derive(Debug, Default)]
pub(super) struct Object {
    pub(super) members: Vec<Member>,
    index: BTreeMap<String, usize>,
}

/// A text that is a JSON object.
#[derive(Debug)]
pub(super) struct Document<'t> {
    pub(super) text: &'t str,
    /// The outermost object's bytes.
    pub(super) span: Range<usize>,
    pub(super) root: Object,
}

/// A value that is no object with members, and how one gets there.
#[derive(Debug)]
pub(super) struct Leaf<'d> {
    /// The dotted key in lower case.
    pub(super) key: String,
    /// The names as they are written; each may be dotted itself.
    pub(super) names: Vec<&'d str>,
    pub(super) node: &'d Node,
}

impl<'t> Document<'t> {
    /// Reads a text. What serde_json refuses is refused, deep nesting too, so that what follows may recurse.
    pub(super) fn parse(text: &'t str) -> Result<Self> {
        drop(parse(text)?);
        let mut scanner = Scanner::new(text, 0);
        scanner.space();
        match scanner.value() {
            Node { span, kind: Kind::Object(root) } => Ok(Self { text, span, root }),
            _ => Err(Error::NotAnObject),
        }
    }

    /// The bytes of a value.
    pub(super) fn raw(&self, node: &Node) -> &'t str {
        self.text.get(node.span.clone()).unwrap_or_default()
    }

    /// The value of a key in lower case, if it is no object with members.
    pub(super) fn value(&self, key: &str) -> Option<&Node> {
        self.root.find(key).filter(|node| !node.is_group())
    }

    /// The leaves that [`Object::find`] finds, in the order of the text.
    ///
    /// # Errors
    /// When their keys, each a copy of all names above it, would make a very large thing of a small text.
    pub(super) fn leaves(&self) -> Result<Vec<Leaf<'_>>> {
        if self.root.key_bytes(0) > MAX_KEYS {
            return Err(Error::LongKeys);
        }
        let mut found = Vec::new();
        self.root.collect(&mut Vec::new(), &mut found);
        found.retain(|leaf| self.value(&leaf.key).is_some_and(|node| node.span == leaf.node.span));
        Ok(found)
    }
}

impl Node {
    /// Whether it is an object with members, that is, no value of its own.
    pub(super) fn is_group(&self) -> bool {
        self.object().is_some_and(|object| !object.members.is_empty())
    }

    /// The object, if it is one.
    pub(super) fn object(&self) -> Option<&Object> {
        if let Kind::Object(object) = &self.kind { Some(object) } else { None }
    }
}

impl Object {
    /// Adds a member. Of names that differ in case only the first counts; of equal names the last.
    fn push(&mut self, member: Member) {
        let folded = member.name.to_ascii_lowercase();
        let first = self.index.get(&folded).and_then(|at| self.members.get(*at));
        if first.is_none_or(|first| first.name == member.name) {
            self.index.insert(folded, self.members.len());
        }
        self.members.push(member);
    }

    /// The value that counts of a name in lower case.
    pub(super) fn get(&self, folded: &str) -> Option<&Node> {
        Some(&self.members.get(*self.index.get(folded)?)?.value)
    }

    /// The value of a key in lower case, whether it is spelt nested, dotted or mixed.
    pub(super) fn find(&self, key: &str) -> Option<&Node> {
        let nested = || cuts(key).find_map(|(head, tail)| self.get(head)?.object()?.find(tail));
        self.get(key).or_else(nested)
    }

    /// Whether something lies below a key: `a.b` below `a`.
    pub(super) fn has_below(&self, key: &str) -> bool {
        let prefix = format!("{key}.");
        let next = self.index.range(prefix.clone()..).next();
        self.get(key).is_some_and(Node::is_group)
            || next.is_some_and(|(name, _)| name.starts_with(&prefix))
            || cuts(key).any(|(head, tail)| {
                self.get(head).and_then(Node::object).is_some_and(|inner| inner.has_below(tail))
            })
    }

    /// The innermost object that a key passes through, if any, and how many bytes of the key lead there.
    pub(super) fn innermost(&self, key: &str) -> Option<(&Node, usize)> {
        let mut best: Option<(&Node, usize)> = None;
        for (head, tail) in cuts(key) {
            let Some((node, object)) = self.get(head).and_then(|node| Some((node, node.object()?))) else {
                continue;
            };
            let (node, used) = object.innermost(tail).unwrap_or((node, 0));
            let used = head.len() + 1 + used;
            if best.is_none_or(|(_, most)| used > most) {
                best = Some((node, used));
            }
        }
        best
    }

    /// How many bytes the dotted keys of all leaves have together, `above` of each for what is above.
    fn key_bytes(&self, above: usize) -> usize {
        let of = |member: &Member| {
            let length = above.saturating_add(member.name.len()).saturating_add(1);
            member
                .value
                .object()
                .filter(|inner| !inner.members.is_empty())
                .map_or(length, |inner| inner.key_bytes(length))
        };
        self.members.iter().map(of).fold(0, usize::saturating_add)
    }

    fn collect<'d>(&'d self, names: &mut Vec<&'d str>, found: &mut Vec<Leaf<'d>>) {
        for member in &self.members {
            names.push(&member.name);
            match &member.value.kind {
                Kind::Object(inner) if !inner.members.is_empty() => inner.collect(names, found),
                _ => found.push(Leaf {
                    key: names.join(".").to_ascii_lowercase(),
                    names: names.clone(),
                    node: &member.value,
                }),
            }
            names.pop();
        }
    }
}

/// Every way to cut a key in two at a dot, the shortest head first.
pub(super) fn cuts(key: &str) -> impl Iterator<Item = (&str, &str)> {
    key.match_indices('.').filter_map(|(at, _)| Some((key.get(..at)?, key.get(at + 1..)?)))
}

/// What a JSON string says.
pub(super) fn decoded(raw: &str) -> String {
    match raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => plain.to_owned(),
        _ => serde_json::from_str(raw).unwrap_or_default(),
    }
}

/// Finds where values end in a text that serde_json has accepted. Anything else ends it early.
#[derive(Debug)]
pub(super) struct Scanner<'t> {
    text: &'t str,
    pub(super) at: usize,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t str, at: usize) -> Self {
        Self { text, at }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    pub(super) fn value(&mut self) -> Node {
        let start = self.at;
        let kind = match self.peek() {
            Some(b'{') => Kind::Object(self.object()),
            Some(b'[') => {
                self.array();
                Kind::Array
            }
            Some(b'"') => {
                self.string();
                Kind::String
            }
            Some(b'-' | b'0'..=b'9') => {
                self.word();
                Kind::Number
            }
            _ => {
                self.word();
                Kind::Word
            }
        };
        Node { span: start..self.at, kind }
    }

    fn object(&mut self) -> Object {
        let mut object = Object::default();
        self.at += 1;
        loop {
            self.space();
            match self.peek() {
                Some(b'"') => object.push(self.member()),
                Some(b',') => self.at += 1,
                Some(_) => break self.at += 1,
                None => break,
            }
        }
        object
    }

    fn member(&mut self) -> Member {
        let start = self.at;
        self.string();
        let name_span = start..self.at;
        let name = decoded(self.text.get(name_span.clone()).unwrap_or_default());
        self.space();
        self.at += 1; // the colon
        self.space();
        Member { name, name_span, value: self.value() }
    }

    fn array(&mut self) {
        let mut open = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.string();
                    continue;
                }
                b'[' | b'{' => open += 1,
                b']' | b'}' => open = open.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
            if open == 0 {
                break;
            }
        }
    }

    pub(super) fn string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                break;
            }
        }
    }

    pub(super) fn word(&mut self) {
        let ends = |byte: u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n');
        while self.peek().is_some_and(|byte| !ends(byte)) {
            self.at += 1;
        }
    }
}
