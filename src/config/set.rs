//! Single keys: set or taken away, every other byte left alone.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::edit::Edits;
use super::merge::check;
use super::same::same;
use super::tree::Document;
use super::{Error, Result};

/// A key and what becomes of it. Shown in plans and kept in journals: never a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// The dotted key.
    pub key: String,
    /// Its value, as JSON writes it: truth values bare, texts quoted. None takes the key away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

impl Setting {
    /// A key that gets a value.
    #[must_use]
    pub fn to(key: &str, value: impl Into<Value>) -> Self {
        Self { key: key.to_owned(), value: Some(value.into()) }
    }

    /// A key that goes.
    #[must_use]
    pub fn unset(key: &str) -> Self {
        Self { key: key.to_owned(), value: None }
    }
}

impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} = {value}", self.key),
            None => write!(f, "{} unset", self.key),
        }
    }
}

/// The text with the keys set as asked, each in the spelling that is there: nested, dotted or mixed, in
/// any case. One that is not there goes into the innermost object that fits. A key that has its value
/// already, or is not there to be taken away, changes nothing.
///
/// # Errors
/// When the text is no JSON object, or a key has an object with members in the place of a value.
pub fn set(text: &str, settings: &[Setting]) -> Result<String> {
    settings.iter().try_fold(text.to_owned(), |text, setting| match &setting.value {
        Some(value) => place(&text, &serde_json::json!({ &setting.key: value })),
        None => unset(&text, &setting.key),
    })
}

/// The value of a key, if it has one; an object with members is none.
///
/// # Errors
/// When the text is no JSON object.
pub fn value(text: &str, key: &str) -> Result<Option<Value>> {
    let document = Document::parse(text)?;
    let found = document.value(&key.to_ascii_lowercase()).map(|node| document.raw(node));
    Ok(found.map(serde_json::from_str).transpose()?)
}

/// The text with all values of an object.
pub(super) fn place(text: &str, values: &Value) -> Result<String> {
    let values = serde_json::to_string_pretty(values)?;
    let (mine, theirs) = (Document::parse(text)?, Document::parse(&values)?);
    let leaves = theirs.leaves()?;
    let mut edits = Edits::new(&mine, &theirs);
    for leaf in &leaves {
        match mine.root.find(&leaf.key) {
            Some(node) if node.is_group() => return Err(Error::NoPlace(leaf.names.join("."))),
            Some(node) if same(&mine, node, &theirs, leaf.node) => {}
            Some(node) => edits.replace(node, leaf.node),
            None => edits.add(leaf),
        }
    }
    let text = edits.apply();
    check(&text, &theirs, leaves.iter())?;
    Ok(text)
}

fn unset(text: &str, key: &str) -> Result<String> {
    let mine = Document::parse(text)?;
    let mut edits = Edits::new(&mine, &mine);
    if !edits.remove(&key.to_ascii_lowercase()) {
        return Err(Error::NoPlace(key.to_owned()));
    }
    Ok(edits.apply())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn put(text: &str, key: &str, to: impl Into<Value>) -> String {
        set(text, &[Setting::to(key, to)]).unwrap()
    }

    fn without(text: &str, key: &str) -> String {
        set(text, &[Setting::unset(key)]).unwrap()
    }

    #[test]
    fn a_key_is_set_where_it_is() {
        for (text, wanted) in [
            (r#"{"a.b":1 ,"c":2}"#, r#"{"a.b":true ,"c":2}"#),
            (r#"{"A":{"B":1}}"#, r#"{"A":{"B":true}}"#),
            (r#"{"A":{"x":1}}"#, r#"{"A":{"x":1,"b":true}}"#),
            (r#"{"x":{}}"#, r#"{"x":{},"a.b":true}"#),
            ("{ }", r#"{ "a.b": true}"#),
            ("{\"a\": {\r\n}}", "{\"a\": {\r\n\"b\": true}}"),
            (r#"{"a":5}"#, r#"{"a":5,"a.b":true}"#),
            ("{}", "{\n  \"a.b\": true\n}"),
            ("{\n\t\"x\" : 1\n}\n", "{\n\t\"x\" : 1,\n\t\"a.b\" : true\n}\n"),
        ] {
            assert_eq!(put(text, "a.b", true), wanted);
            assert_eq!(put(wanted, "a.b", true), wanted);
            assert_eq!(value(wanted, "A.b").unwrap(), Some(Value::Bool(true)));
        }
        assert_eq!(put("{}", "a", "verify"), "{\n  \"a\": \"verify\"\n}");
    }

    #[test]
    fn a_key_is_taken_away() {
        for (text, wanted) in [
            (r#"{ "a.b" : 1 , "c": 2 }"#, r#"{ "c": 2 }"#),
            (r#"{"c": 2, "a.b": 1}"#, r#"{"c": 2}"#),
            (r#"{"c": 2, "a": {"b": 1}, "d": 3}"#, r#"{"c": 2, "a": {}, "d": 3}"#),
            (r#"{"A.B": 1, "a": {"b": 2}}"#, r#"{"a": {}}"#),
            (r#"{"a.b": 1, "a.b": 2}"#, "{}"),
            (r#"{"a.b": 1, "A.b": 2, "c": 3}"#, r#"{"c": 3}"#),
            (r#"{"c": 3, "a.b": 1, "d": 4, "A.b": 2, "a.B": 2}"#, r#"{"c": 3, "d": 4}"#),
            (r#"{"a": {"b": 1}, "A": {"b": 2}}"#, r#"{"a": {}, "A": {"b": 2}}"#),
            (r#"{ "a.b": 1}"#, "{ }"),
            ("{\n  \"a.b\": 1\n}", "{}"),
            (r#"{"c": 1}"#, r#"{"c": 1}"#),
        ] {
            assert_eq!(without(text, "a.b"), wanted);
        }
    }

    /// Once each would take hours.
    #[test]
    fn a_key_that_is_there_very_often_is_taken_away_at_once() {
        let text = format!("{{{}\"b\": 2}}", "\"a\": 1,".repeat(200_000));
        assert_eq!(without(&text, "a"), "{\"b\": 2}");
    }

    #[test]
    fn an_object_is_no_value() {
        for setting in [Setting::to("a", 1), Setting::unset("A")] {
            let error = set(r#"{"a":{"b":1}}"#, &[setting]).unwrap_err();
            assert!(matches!(error, Error::NoPlace(_)), "{error}");
        }
        assert!(set("[]", &[Setting::to("a", 1)]).is_err() && set("{", &[]).is_ok());
        assert_eq!(value(r#"{"a":{"b":1}}"#, "a").unwrap(), None);
    }

    #[test]
    fn settings_read_well() {
        assert_eq!(Setting::to("a.b", "x").to_string(), "a.b = \"x\"");
        assert_eq!(Setting::to("a.b", false).to_string(), "a.b = false");
        assert_eq!(Setting::unset("a.b").to_string(), "a.b unset");
    }

    /// A configuration in some layout; an empty object in it has nothing inside.
    fn any_text() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just(serde_json::json!(true)),
            Just(serde_json::json!("443")),
            Just(serde_json::json!([1, {"a": 2}])),
            Just(serde_json::json!({})),
            any::<i32>().prop_map(Value::from),
        ];
        let name = prop_oneof!["[abAB]", "[ab]\\.[abAB]", "[xyz]{1,3}"];
        let value = leaf.prop_recursive(3, 24, 4, move |inner| {
            prop::collection::vec((name.clone(), inner), 0..4).prop_map(|m| m.into_iter().collect())
        });
        (value, 0..3).prop_filter_map("an object", |(value, layout)| {
            value.is_object().then(|| match layout {
                0 => value.to_string(),
                1 => format!(" {}\n", serde_json::to_string_pretty(&value).unwrap()),
                _ => serde_json::to_string_pretty(&value).unwrap().replace('\n', "\r\n"),
            })
        })
    }

    proptest! {
        #[test]
        fn what_is_set_goes_without_a_trace(text in any_text(), key in "[ab](\\.[ab]){0,2}") {
            let document = Document::parse(&text).unwrap();
            prop_assume!(document.root.find(&key).is_none());
            let new = set(&text, &[Setting::to(&key, "v")]).unwrap();
            prop_assert_eq!(value(&new, &key).unwrap(), Some(Value::from("v")));
            prop_assert_eq!(set(&new, &[Setting::unset(&key)]).unwrap(), text);
        }

        /// All that is not the value stays, to the byte, and every other key has its value.
        #[test]
        fn setting_a_key_changes_its_bytes_only(text in any_text(), pick in any::<prop::sample::Index>()) {
            let document = Document::parse(&text).unwrap();
            let leaves = document.leaves().unwrap();
            prop_assume!(!leaves.is_empty());
            let leaf = &leaves[pick.index(leaves.len())];
            let new = set(&text, &[Setting::to(&leaf.key, "new value")]).unwrap();
            let (before, after) = (&text[..leaf.node.span.start], &text[leaf.node.span.end..]);
            prop_assert_eq!(new, format!("{before}\"new value\"{after}"));
        }
    }
}
