use proptest::prelude::*;
use serde_json::Value;

use super::super::{parse, port};
use super::*;

const NONE: [&str; 0] = [];

fn keep(base: &str, mine: &str, theirs: &str) -> Merged {
    merge(Some(base), mine, theirs, OnConflict::Keep).unwrap()
}

fn take(base: &str, mine: &str, theirs: &str) -> Merged {
    merge(Some(base), mine, theirs, OnConflict::Take).unwrap()
}

fn hows(merged: &Merged) -> Vec<(&str, How, bool)> {
    merged.conflicts.iter().map(|c| (c.key.as_str(), c.how, c.taken)).collect()
}

/// One rule: base, mine, theirs; then the text with Keep, with Take, and what is in conflict.
type Rule = (&'static str, &'static str, &'static str, &'static str, &'static str, Option<How>);

const RULES: &[Rule] = &[
    // mine lacks it
    ("{}", "{}", r#"{"a":1}"#, r#"{"a":1}"#, r#"{"a":1}"#, None),
    (r#"{"a":1}"#, "{}", r#"{"a":1}"#, "{}", "{}", None),
    (r#"{"a":1}"#, "{}", r#"{"a":2}"#, "{}", r#"{"a":2}"#, Some(How::RemovedByYou)),
    // mine has it
    (r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":2}"#, r#"{"a":2}"#, r#"{"a":2}"#, None),
    (r#"{"a":1}"#, r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":2}"#, r#"{"a":2}"#, None),
    (r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":2}"#, None),
    (r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":3}"#, r#"{"a":2}"#, r#"{"a":3}"#, Some(How::BothChanged)),
    ("{}", r#"{"a":2}"#, r#"{"a":3}"#, r#"{"a":2}"#, r#"{"a":3}"#, Some(How::BothChanged)),
    // not in theirs
    (r#"{"a":1}"#, r#"{"a":1}"#, "{}", r#"{"a":1}"#, r#"{"a":1}"#, None),
    ("{}", r#"{"a":1}"#, "{}", r#"{"a":1}"#, r#"{"a":1}"#, None),
    // kinds
    (
        r#"{"a":1}"#,
        r#"{"a":"443"}"#,
        r#"{"a":443}"#,
        r#"{"a":"443"}"#,
        r#"{"a":443}"#,
        Some(How::KindsDiffer),
    ),
    ("{}", r#"{"a":"true"}"#, r#"{"a":true}"#, r#"{"a":"true"}"#, r#"{"a":true}"#, Some(How::KindsDiffer)),
    (r#"{"a":true}"#, r#"{"a":true}"#, r#"{"a":"true"}"#, r#"{"a":"true"}"#, r#"{"a":"true"}"#, None),
    (r#"{"a":1.5}"#, r#"{"a":1.50}"#, r#"{"a":2}"#, r#"{"a":2}"#, r#"{"a":2}"#, None),
    (r#"{"a":2}"#, r#"{"a":1.50}"#, r#"{"a":1.5}"#, r#"{"a":1.50}"#, r#"{"a":1.50}"#, None),
    // the same key in other spellings
    (r#"{"a.b":1}"#, r#"{"A":{"B":1}}"#, r#"{"a":{"b":2}}"#, r#"{"A":{"B":2}}"#, r#"{"A":{"B":2}}"#, None),
    (r#"{"a":{"b":1}}"#, r#"{"A.B":1}"#, r#"{"a":{"b":2}}"#, r#"{"A.B":2}"#, r#"{"A.B":2}"#, None),
    // twice: the dotted one counts
    (
        r#"{"a.b":1}"#,
        r#"{"a":{"b":1},"a.b":1}"#,
        r#"{"a.b":2}"#,
        r#"{"a":{"b":1},"a.b":2}"#,
        r#"{"a":{"b":1},"a.b":2}"#,
        None,
    ),
    (r#"{"a":1}"#, r#"{"a":7,"a":1}"#, r#"{"a":2}"#, r#"{"a":7,"a":2}"#, r#"{"a":7,"a":2}"#, None),
    // arrays and empty objects are values
    (r#"{"a":[1]}"#, r#"{"a":[1]}"#, r#"{"a":[1,2]}"#, r#"{"a":[1,2]}"#, r#"{"a":[1,2]}"#, None),
    (
        r#"{"a":[1]}"#,
        r#"{"a":[3]}"#,
        r#"{"a":[1,2]}"#,
        r#"{"a":[3]}"#,
        r#"{"a":[1,2]}"#,
        Some(How::BothChanged),
    ),
    ("{}", "{}", r#"{"a":{}}"#, r#"{"a":{}}"#, r#"{"a":{}}"#, None),
    (r#"{"a":{}}"#, r#"{"a":{}}"#, r#"{"a":{"b":1}}"#, r#"{"a":{"b":1}}"#, r#"{"a":{"b":1}}"#, None),
    ("{}", r#"{"a":{"b":1}}"#, r#"{"a":{}}"#, r#"{"a":{"b":1}}"#, r#"{"a":{"b":1}}"#, None),
    // a value where the release has an object
    (r#"{"a":1}"#, r#"{"a":1}"#, r#"{"a":{"b":2}}"#, r#"{"a":{"b":2}}"#, r#"{"a":{"b":2}}"#, None),
    (
        r#"{"a":1}"#,
        r#"{"a":5}"#,
        r#"{"a":{"b":2}}"#,
        r#"{"a":5}"#,
        r#"{"a":{"b":2}}"#,
        Some(How::KindsDiffer),
    ),
    (r#"{"a":{"b":2}}"#, r#"{"a":5}"#, r#"{"a":{"b":2}}"#, r#"{"a":5}"#, r#"{"a":5}"#, None),
    (r#"{"a":1}"#, r#"{"a":1}"#, r#"{"a":1,"a.b":2}"#, r#"{"a":1,"a.b":2}"#, r#"{"a":1,"a.b":2}"#, None),
    (r#"{"a":{}}"#, r#"{"a":{}}"#, r#"{"a":1,"a.b":2}"#, r#"{"a":1,"a.b":2}"#, r#"{"a":1,"a.b":2}"#, None),
    // an object where the release has a value: never taken, that would remove keys
    (
        r#"{"a":1}"#,
        r#"{"a":{"b":2}}"#,
        r#"{"a":3}"#,
        r#"{"a":{"b":2}}"#,
        r#"{"a":{"b":2}}"#,
        Some(How::KindsDiffer),
    ),
    (r#"{"a":1}"#, r#"{"a.b":2}"#, r#"{"a":3}"#, r#"{"a.b":2}"#, r#"{"a.b":2}"#, Some(How::KindsDiffer)),
    (r#"{"a":1}"#, r#"{"a":{"b":2}}"#, r#"{"a":1}"#, r#"{"a":{"b":2}}"#, r#"{"a":{"b":2}}"#, None),
];

/// Compares values, not spaces: those are looked at below.
fn squeezed(text: &str) -> String {
    text.replace([' ', '\n'], "")
}

#[test]
fn every_rule_holds() {
    for (base, mine, theirs, kept, taken, how) in RULES {
        let what = format!("{base} {mine} {theirs}");
        let merged = keep(base, mine, theirs);
        assert_eq!(squeezed(&merged.text), *kept, "{what}");
        assert_eq!(merged.conflicts.first().map(|c| c.how), *how, "{what}");
        assert_eq!(merged.is_unchanged(mine), kept == mine, "{what}");
        assert_eq!(merged.conflicts.iter().filter(|c| c.taken).count(), 0, "{what}");
        let merged = take(base, mine, theirs);
        assert_eq!(squeezed(&merged.text), *taken, "{what}");
        assert_eq!(merged.conflicts.first().map(|c| c.how), *how, "{what}");
        match merge(Some(base), mine, theirs, OnConflict::Fail) {
            Ok(merged) => assert!(how.is_none() && squeezed(&merged.text) == *kept, "{what}"),
            Err(Error::Conflicts(keys)) => assert!(how.is_some() && keys == ["a"], "{what}"),
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

#[test]
fn without_old_defaults_keys_are_only_added() {
    let mine = r#"{"a": 1, "b": {"x": 1}, "c": "s", "d.e": 1}"#;
    let theirs = r#"{"a": 2, "b": {"x": 2, "y": 3}, "c": {"z": 1}, "d": 4, "n": 5}"#;
    for how in [OnConflict::Keep, OnConflict::Take, OnConflict::Fail] {
        let merged = merge(None, mine, theirs, how).unwrap();
        assert_eq!(merged.text, r#"{"a": 1, "b": {"x": 1, "y": 3}, "c": "s", "d.e": 1, "n": 5}"#);
        assert_eq!(merged.added, ["b.y", "n"]);
        assert_eq!(merged.conflicts, []);
        assert_eq!([merged.updated, merged.obsolete], [NONE, NONE]);
    }
}

#[test]
fn what_happened_is_told() {
    let base = r#"{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "Old": {"one": 1, "two": 2}}"#;
    let mine = r#"{"A": 1, "b": 2, "d": 1, "e": 2, "old.one": 1, "old.two": 3}"#;
    let theirs = r#"{"a": 9, "b": 9, "c": 9, "d": 1, "e": 1, "New": {"one": 1}}"#;
    let merged = keep(base, mine, theirs);
    assert_eq!(merged.added, ["New.one"]);
    assert_eq!(merged.updated, ["a"]);
    assert_eq!(merged.obsolete, ["Old.one"]);
    assert_eq!(hows(&merged), [("b", How::BothChanged, false), ("c", How::RemovedByYou, false)]);
    let merged = take(base, mine, theirs);
    assert_eq!(merged.added, ["c", "New.one"]);
    assert_eq!(merged.updated, ["a", "b"]);
    assert_eq!(hows(&merged), [("b", How::BothChanged, true), ("c", How::RemovedByYou, true)]);
    let error = merge(Some(base), mine, theirs, OnConflict::Fail).unwrap_err();
    assert!(error.to_string().ends_with("both changed: b, c"), "{error}");
}

#[test]
fn the_port_is_the_operators() {
    for mine in [
        r#"{"Server":{"HttpsPort":"443"}}"#,
        r#"{"server.httpsport":8443}"#,
        r#"{"SERVER":{"HttpsPort":{}}}"#,
    ] {
        let base = r#"{"Server":{"HttpsPort":"443"}}"#;
        for theirs in [r#"{"Server":{"HttpsPort":"9443"}}"#, r#"{"server.httpsport":1}"#, "{}"] {
            for how in [OnConflict::Keep, OnConflict::Take, OnConflict::Fail] {
                let merged = merge(Some(base), mine, theirs, how).unwrap();
                assert!(merged.is_unchanged(mine) && merged.conflicts.is_empty(), "{mine}");
                assert_eq!(merged.obsolete, NONE, "{mine}");
            }
        }
    }
    assert_eq!(keep("{}", "{}", r#"{"Server": {"HttpsPort": "443"}}"#).added, ["Server.HttpsPort"]);
}

#[test]
fn an_object_that_takes_a_values_place_is_whole() {
    let merged = keep(r#"{"log":"x"}"#, r#"{"log":"x","k":1}"#, r#"{"Log":{"a":1},"log.b.c":2}"#);
    assert_eq!(merged.text, r#"{"log":{"a":1,"b.c":2},"k":1}"#);
    assert_eq!(
        (merged.updated.as_slice(), merged.added.as_slice()),
        (["Log".to_owned()].as_slice(), [].as_slice())
    );
}

#[test]
fn an_object_that_takes_a_values_place_brings_only_what_is_missing() {
    let mine = r#"{"a":"x","a.b":2,"Server":1,"server.httpsport":"8443"}"#;
    let theirs = r#"{"a":{"b":3,"c":4},"Server":{"HttpsPort":"443","n":1}}"#;
    let merged = keep(r#"{"a":"x","Server":1}"#, mine, theirs);
    assert_eq!(merged.text, r#"{"a":{"c":4},"a.b":2,"Server":{"n":1},"server.httpsport":"8443"}"#);
    assert_eq!(hows(&merged), [("a.b", How::BothChanged, false)]);
    let merged = keep(r#"{"a":"x","a.b":1}"#, r#"{"a":"x"}"#, r#"{"a":{"b":1,"c":2}}"#);
    assert_eq!(merged.text, r#"{"a":{"c":2}}"#, "what the operator took away stays away");
}

/// Mine, theirs, result. The layout of the file is followed, nothing else moves.
const LAYOUTS: &[(&str, &str, &str)] = &[
    ("{\n  \"a\": 1.50\n}", r#"{"b":2}"#, "{\n  \"a\": 1.50,\n  \"b\": 2\n}"),
    (
        "{\r\n\t\"a\":1\r\n}\r\n",
        r#"{"b": {"c": [1, 2]}}"#,
        "{\r\n\t\"a\":1,\r\n\t\"b\":{\r\n\t\t\"c\":[1, 2]\r\n\t}\r\n}\r\n",
    ),
    (" {\"a\" : 1 , \"b\" : 2 } \n", r#"{"c":3}"#, " {\"a\" : 1 , \"b\" : 2, \"c\" : 3 } \n"),
    (r#"{"a":1}"#, r#"{"b": {"c": 1, "d": 2}}"#, r#"{"a":1,"b":{"c":1,"d":2}}"#),
    (
        "{\n    \"S\": {\n        \"x\": 1\n    }\n}\n",
        r#"{"s.y": 2, "s.z.q": 3}"#,
        "{\n    \"S\": {\n        \"x\": 1,\n        \"y\": 2,\n        \"z.q\": 3\n    }\n}\n",
    ),
    ("{\n  \"S\": {}\n}\n", r#"{"s": {"y": 2}}"#, "{\n  \"S\": {\n    \"y\": 2\n  }\n}\n"),
    (
        "{\n  \"s.x\": 1\n}",
        r#"{"s": {"x": 1, "y": 2}}"#,
        "{\n  \"s.x\": 1,\n  \"s\": {\n    \"y\": 2\n  }\n}",
    ),
    (
        "{\n  \"a\": 1\n}",
        "{\n\t\"b\": [\n\t\t1,\n\t\t{\n\t\t\t\"c\": 2\n\t\t}\n\t]\n}",
        "{\n  \"a\": 1,\n  \"b\": [\n    1,\n    {\n      \"c\": 2\n    }\n  ]\n}",
    ),
    (r#"{"a":1}"#, "{\n  \"b\": [\n    1,\n    2\n  ]\n}", r#"{"a":1,"b":[1,2]}"#),
    ("{}", "{\n  \"b\": {\n    \"c\": 1\n  }\n}\n", "{\n  \"b\": {\n    \"c\": 1\n  }\n}"),
    (
        "{\"Server\":{\"Port\":\"443\",\"P\":true},\n \"sec.x\":false,\n \"c\":{}}",
        r#"{"server.n": 1, "c.d": 2, "k": {"l": 3}}"#,
        "{\"Server\":{\"Port\":\"443\",\"P\":true,\"n\":1},\n \"sec.x\":false,\n \"c\":{\"d\":2},\n \"k\":{\"l\":3}}",
    ),
    (r#"{"\u0061":{"b\/":1}}"#, r#"{"A":{"c\"":"\u00e9"}}"#, r#"{"\u0061":{"b\/":1,"c\"":"\u00e9"}}"#),
];

#[test]
fn additions_follow_the_files_layout() {
    for (mine, theirs, expected) in LAYOUTS {
        assert_eq!(keep("{}", mine, theirs).text, *expected, "{mine}");
    }
}

#[test]
fn an_addition_goes_to_the_innermost_object() {
    let merged = keep("{}", r#"{"a": {"x": 1}, "a.b": {"y": 1}}"#, r#"{"a.b.c": 1}"#);
    assert_eq!(merged.text, r#"{"a": {"x": 1}, "a.b": {"y": 1, "c": 1}}"#);
}

#[test]
fn endless_space_is_not_repeated() {
    let mine = format!("{{\n{}\"a\": 1, \"b\": 2,{}\"c\": 3}}", " ".repeat(9999), "\t".repeat(9999));
    let merged = keep("{}", &mine, r#"{"d": {"e": 1, "f": 2}, "g": [], "h": {}}"#);
    assert!(merged.text.len() < mine.len() + 200, "{}", merged.text.len());
}

#[test]
fn an_object_that_got_members_is_not_obsolete() {
    assert_eq!(keep(r#"{"a":{}}"#, r#"{"a":{}}"#, r#"{"a.b":1}"#).obsolete, NONE);
    assert_eq!(keep(r#"{"a":{}}"#, r#"{"a":{}}"#, "{}").obsolete, ["a"]);
}

#[test]
fn an_update_changes_the_value_alone() {
    let mine = "{\r\n  \"a\" :\t1 ,\r\n  \"b\": [ 1.50 ]   }";
    let merged = keep(r#"{"a":1,"b":[1.5]}"#, mine, "{\"a\":\"x\",\"b\":[\n  2,\n  3\n]}");
    assert_eq!(merged.text, "{\r\n  \"a\" :\t\"x\" ,\r\n  \"b\": [\r\n    2,\r\n    3\r\n  ]   }");
}

#[test]
fn what_is_no_configuration_is_refused() {
    let deep = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let arrays = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for bad in
        ["", "[]", "{", "\u{feff}{}", "{} x", "{\"a\":1,}", "{\"a\":1e999}", "// x\n{}", &deep, &arrays]
    {
        assert!(merge(None, bad, "{}", OnConflict::Keep).is_err(), "{bad:.20}");
        let error = merge(None, "{}", bad, OnConflict::Keep).unwrap_err();
        assert!(matches!(error, Error::Defaults { release: "new", .. }), "{bad:.20}");
        let error = merge(Some(bad), "{}", "{}", OnConflict::Keep).unwrap_err();
        assert!(matches!(error, Error::Defaults { release: "installed", .. }), "{bad:.20}");
    }
}

#[test]
fn a_result_that_is_too_deep_is_refused() {
    let deep = |levels, inner: &str| format!("{}{inner}{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    let theirs = format!("{{\"{}\":{{\"b\":{{\"c\":1}}}}}}", vec!["a"; 126].join("."));
    let error = merge(None, &deep(126, "{}"), &theirs, OnConflict::Keep).unwrap_err();
    assert!(matches!(error, Error::Syntax(_)), "{error}");
}

/// The limit is for a build without optimisation on a busy machine; what grows faster than the file breaks it.
#[test]
fn a_large_file_is_merged_in_time() {
    let file = |value: usize, step: usize| {
        let members: Vec<String> = (0..70_000)
            .step_by(step)
            .map(|n| format!("  \"key{n}\": {{ \"dotted.name\": {value}, \"array\": [1.50, \"x{n}\"] }}"))
            .collect();
        format!("{{\n{}\n}}\n", members.join(",\n"))
    };
    let timed = |base: &str, mine: &str, theirs: &str| {
        let start = std::time::Instant::now();
        let merged = keep(base, mine, theirs);
        assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
        merged
    };
    let (large, half, fifth) = (file(1, 1), file(1, 2), file(2, 5));
    assert!(large.len() > 4 << 20, "{}", large.len());
    timed(&large, &half, &fifth);
    timed(&fifth, &large, &half);
    timed("{}", &large, "{\"z\": 1}");
    // A long name before many others must not be copied for each of them.
    let long = format!("{{\"{}\":{{{}\"x\":1}}}}", "k".repeat(1 << 20), "\"y\":{},".repeat(400_000));
    assert_eq!(timed("{}", &long, "{\"z\": 1}").added, ["z"]);
}

#[test]
fn the_text_is_not_in_what_is_printed() {
    let merged = keep("{}", r#"{"keypass":"hunter2"}"#, r#"{"a":1}"#);
    assert!(format!("{merged:?}").contains("added") && !format!("{merged:?}").contains("hunter2"));
}

// --- Any configuration -------------------------------------------------------------------------------------

#[derive(Debug, Clone)]
enum Json {
    Raw(&'static str),
    Array(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

const NAMES: [&str; 9] = ["a", "A", "b", "a.b", "B.a", "a.b.a", "", "Server", "server.httpsport"];
const VALUES: [&str; 10] =
    ["1", "1.0", "1.50", "\"1\"", "true", "null", "\"\\u00e9\"", "-0", "{ }", "18446744073709551617"];

fn object(depth: u32) -> BoxedStrategy<Json> {
    let value = if depth == 0 {
        proptest::sample::select(&VALUES[..]).prop_map(Json::Raw).boxed()
    } else {
        let raw = proptest::sample::select(&VALUES[..]).prop_map(Json::Raw);
        let array = proptest::collection::vec(object(depth - 1), 0..3).prop_map(Json::Array);
        prop_oneof![3 => raw, 1 => array, 3 => object(depth - 1)].boxed()
    };
    proptest::collection::vec((proptest::sample::select(&NAMES[..]), value), 0..5)
        .prop_map(Json::Object)
        .boxed()
}

/// A text in one of a few layouts.
fn text() -> impl Strategy<Value = String> {
    (object(3), 0..5_usize).prop_map(|(json, layout)| {
        let mut out = String::new();
        let (newline, unit, colon) =
            [("", "", ":"), ("\n", "  ", ": "), ("\r\n", "\t", " : "), ("", "", ": "), ("\n", "", ":")]
                [layout];
        write(&json, &mut out, 0, (newline, unit, colon));
        out + newline
    })
}

fn write(json: &Json, out: &mut String, depth: usize, layout: (&str, &str, &str)) {
    let (newline, unit, colon) = layout;
    let mut list = |open: &str, items: &[(Option<&str>, &Json)], close: &str| {
        out.push_str(open);
        for (at, (name, item)) in items.iter().enumerate() {
            out.push_str(if at > 0 { "," } else { "" });
            out.push_str(&format!("{newline}{}", unit.repeat(depth + 1)));
            if let Some(name) = name {
                out.push_str(&format!("\"{name}\"{colon}"));
            }
            write(item, out, depth + 1, layout);
        }
        out.push_str(&format!("{newline}{}{close}", unit.repeat(depth)));
    };
    match json {
        Json::Array(items) => list("[", &items.iter().map(|item| (None, item)).collect::<Vec<_>>(), "]"),
        Json::Object(items) => {
            list("{", &items.iter().map(|(name, item)| (Some(*name), item)).collect::<Vec<_>>(), "}");
        }
        Json::Raw(raw) => out.push_str(raw),
    }
}

/// Every key that NAMES can make, two names deep.
fn keys() -> Vec<String> {
    let pairs = NAMES.iter().flat_map(|a| NAMES.iter().map(move |b| format!("{a}.{b}")));
    pairs.chain(NAMES.iter().map(|name| (*name).to_owned())).map(|key| key.to_ascii_lowercase()).collect()
}

fn subsequence(part: &str, whole: &str) -> bool {
    let mut rest = whole.bytes();
    part.bytes().filter(|byte| !byte.is_ascii_whitespace()).all(|byte| rest.any(|other| other == byte))
}

/// Whether a release has a value and an object at one key, or the file has a value where it has an object.
fn may_collide(mine: &str, theirs: &str) -> bool {
    let (mine, theirs) = (Document::parse(mine).unwrap(), Document::parse(theirs).unwrap());
    let torn = theirs.leaves().unwrap().iter().any(|leaf| theirs.root.has_below(&leaf.key));
    torn || mine.leaves().unwrap().iter().any(|leaf| theirs.root.has_below(&leaf.key))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn keys_are_found_where_single_values_are_found(text in text()) {
        let document = Document::parse(&text).unwrap();
        let mut map = parse(&text).unwrap();
        for key in keys() {
            let found = document.root.find(&key).map(|node| serde_json::from_str::<Value>(document.raw(node)).unwrap());
            prop_assert_eq!(found.as_ref(), port::find(&mut map, &key).map(|value| &*value), "{}", key);
        }
    }

    #[test]
    fn merging_again_changes_nothing(base in proptest::option::of(text()), mine in text(), theirs in text(), taking: bool) {
        let how = if taking { OnConflict::Take } else { OnConflict::Keep };
        match merge(base.as_deref(), &mine, &theirs, how) {
            Ok(merged) => {
                prop_assert!(parse(&merged.text).is_ok());
                let again = merge(Some(&theirs), &merged.text, &theirs, how).unwrap();
                prop_assert!(again.is_unchanged(&merged.text), "{} {}", merged.text, again.text);
                prop_assert_eq!(again.conflicts, []);
                let again = merge(base.as_deref(), &merged.text, &theirs, how).unwrap();
                prop_assert!(again.is_unchanged(&merged.text), "{} {}", merged.text, again.text);
            }
            Err(error) => {
                prop_assert!(matches!(error, Error::NoPlace(_)) && may_collide(&mine, &theirs), "{}", error);
            }
        }
    }

    #[test]
    fn what_is_not_updated_keeps_its_bytes(base in text(), mine in text(), theirs in text()) {
        let Ok(merged) = merge(Some(&base), &mine, &theirs, OnConflict::Keep) else { return Ok(()) };
        let (before, after) = (Document::parse(&mine).unwrap(), Document::parse(&merged.text).unwrap());
        let updated: Vec<String> = merged.updated.iter().map(|key| key.to_ascii_lowercase()).collect();
        for leaf in before.leaves().unwrap() {
            if updated.contains(&leaf.key) || leaf.node.object().is_some() {
                continue; // an empty object may have got members
            }
            let now = after.value(&leaf.key).map(|node| after.raw(node));
            prop_assert_eq!(now, Some(before.raw(leaf.node)), "{}", leaf.key);
        }
        prop_assert!(!updated.is_empty() || subsequence(&mine, &merged.text), "{}", merged.text);
        prop_assert!(merged.is_unchanged(&mine) == (updated.is_empty() && merged.added.is_empty()));
    }

    #[test]
    fn no_text_makes_it_panic(base: String, mine: String, theirs in "[{}\\[\\]\",:a.1 \\\\\n]{0,40}") {
        let _ = merge(Some(&base), &mine, &theirs, OnConflict::Take);
        let _ = merge(None, &theirs, &mine, OnConflict::Keep);
        let _ = super::super::diff(&mine, &theirs);
    }
}

#[test]
fn a_release_that_contradicts_itself_hides_nothing() {
    let theirs = r#"{"a.b.a":{"B.a":{"a":1}},"a.b":{"a.b.a":1}}"#;
    let result = merge(Some("{}"), r#"{"a.b":{"a":{"B.a":1}}}"#, theirs, OnConflict::Keep);
    assert!(matches!(result, Err(Error::NoPlace(_))), "{result:?}");
    let theirs = r#"{"b":{"a.b":{"a":1}}}"#;
    let result = merge(Some(r#"{"b":[]}"#), r#"{"B.a":{"b":1},"b":[]}"#, theirs, OnConflict::Keep);
    assert!(matches!(result, Err(Error::NoPlace(_))), "{result:?}");
}

// --- The rules once more, without texts ----------------------------------------------------------------------

/// Keys of which none is an object on the way to another, with spellings.
const FLAT: [(&str, [&str; 3]); 4] = [
    ("a.x", [r#""a":{"x":#}"#, r#""A.X":#"#, r#""a.x":#"#]),
    ("b", [r#""b":#"#, r#""B":#"#, r#""b":#"#]),
    ("c.d.e", [r#""c":{"d.e":#}"#, r#""c.d":{"E":#}"#, r#""C":{"D":{"e":#}}"#]),
    (
        "server.httpsport",
        [r#""Server":{"HttpsPort":#}"#, r#""Server.HttpsPort":#"#, r#""server":{"HTTPSPORT":#}"#],
    ),
];

/// For each key: no value or one of three, and how it is spelt.
type Choice = [(usize, usize); 4];

fn spelt(choice: Choice) -> String {
    let member = |((_, spellings), (value, spelling)): (&(&str, [&str; 3]), (usize, usize))| {
        (value > 0).then(|| spellings[spelling].replace('#', ["", "1", "\"1\"", "[1]"][value]))
    };
    let members: Vec<String> = FLAT.iter().zip(choice).filter_map(member).collect();
    format!("{{{}}}", members.join(","))
}

/// The value after a merge, and whether it is in conflict.
fn expected(key: &str, base: Option<usize>, mine: usize, theirs: usize, taking: bool) -> (usize, bool) {
    match base {
        _ if mine > 0 && key == "server.httpsport" => (mine, false),
        _ if theirs == 0 || mine == theirs => (mine, false),
        None => (if mine == 0 { theirs } else { mine }, false),
        Some(base) if base == mine => (theirs, false),
        Some(base) if base == theirs => (mine, false),
        Some(_) => (if taking { theirs } else { mine }, true),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn every_key_comes_out_as_the_rules_say(
        base in proptest::option::of(any::<[(u8, u8); 4]>()),
        mine: [(u8, u8); 4],
        theirs: [(u8, u8); 4],
        taking: bool,
    ) {
        let choice = |bytes: [(u8, u8); 4]| bytes.map(|(value, spelling)| (usize::from(value % 4), usize::from(spelling % 3)));
        let (base, mine, theirs) = (base.map(choice), choice(mine), choice(theirs));
        let how = if taking { OnConflict::Take } else { OnConflict::Keep };
        let merged = merge(base.map(spelt).as_deref(), &spelt(mine), &spelt(theirs), how).unwrap();
        let result = Document::parse(&merged.text).unwrap();
        for (at, (key, _)) in FLAT.iter().enumerate() {
            let (value, conflict) = expected(key, base.map(|base| base[at].0), mine[at].0, theirs[at].0, taking);
            let found = result.value(key).map(|node| result.raw(node));
            prop_assert_eq!(found, ["", "1", "\"1\"", "[1]"].get(value).copied().filter(|raw| !raw.is_empty()), "{}", key);
            let told = |list: &[String]| list.iter().any(|told| told.eq_ignore_ascii_case(key));
            let conflicts: Vec<String> = merged.conflicts.iter().map(|conflict| conflict.key.clone()).collect();
            prop_assert_eq!(told(&conflicts), conflict, "{}", key);
            prop_assert_eq!(told(&merged.added), mine[at].0 == 0 && value > 0, "{}", key);
            prop_assert_eq!(told(&merged.updated), mine[at].0 > 0 && value != mine[at].0, "{}", key);
            let obsolete = base.is_some_and(|base| base[at].0 == mine[at].0) && mine[at].0 > 0 && theirs[at].0 == 0;
            prop_assert_eq!(told(&merged.obsolete), obsolete && *key != "server.httpsport", "{}", key);
        }
    }
}

// --- The page ------------------------------------------------------------------------------------------------

const PAGE: &str = include_str!("../../docs/configuration.md");

#[test]
fn the_example_of_the_page_is_true() {
    let block = |name: &str| {
        let after = PAGE.split_once(&format!("<!-- {name} -->\n```json\n")).unwrap().1;
        after.split_once("```").unwrap().0
    };
    let merged = keep(block("base"), block("mine"), block("theirs"));
    assert_eq!(merged.text, block("result"));
    assert_eq!(merged.added, ["Server.Timeout"]);
    assert_eq!(merged.updated, ["Server.ProxyMode", "log.size"]);
    assert_eq!(hows(&merged), [("log.level", How::BothChanged, false)]);
    assert_eq!(merged.obsolete, ["old.switch"]);
}

#[test]
fn the_rules_of_the_page_are_true() {
    let (_, table) =
        PAGE.split_once("| base | mine | theirs | Result |\n| --- | --- | --- | --- |\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let text = |cell: &str| if cell == "-" { "{}".to_owned() } else { format!("{{\"k\":\"{cell}\"}}") };
    let mut count = 0;
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [base, mine, theirs, result] = cells[..] else { panic!("{row}") };
        let merged = keep(&text(base), &text(mine), &text(theirs));
        let stays = merged.is_unchanged(&text(mine));
        assert_eq!(result.starts_with("conflict"), !merged.conflicts.is_empty(), "{row}");
        assert_eq!(result.contains("is added"), merged.added == ["k"], "{row}");
        assert_eq!(result.contains("updated"), merged.updated == ["k"], "{row}");
        assert_eq!(result.contains("obsolete"), merged.obsolete == ["k"], "{row}");
        assert_eq!(result.contains("stay") || result.starts_with("conflict"), stays, "{row}");
        count += 1;
    }
    assert_eq!(count, 11);
}
