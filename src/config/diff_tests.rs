use super::*;

fn shown(mine: &str, merged: &str) -> String {
    let sign = |kind| match kind {
        LineKind::Hunk => "",
        LineKind::Context => " ",
        LineKind::Removed => "-",
        LineKind::Added => "+",
    };
    diff(mine, merged).iter().map(|line| format!("{}{}\n", sign(line.kind), line.text)).collect()
}

#[test]
fn it_looks_like_diff() {
    let mine = "{\n\"a\":1,\n\"b\":2,\n\"c\":3,\n\"d\":4,\n\"e\":5,\n\"f\":6\n}\n";
    let merged = mine.replace("\"e\":5", "\"e\":9");
    let expected = "@@ -3,6 +3,6 @@\n \"b\":2,\n \"c\":3,\n \"d\":4,\n-\"e\":5,\n+\"e\":9,\n \"f\":6\n }\n";
    assert_eq!(shown(mine, &merged), expected);
    assert_eq!(shown("", "{}\n"), "@@ -0,0 +1 @@\n+{}\n");
    assert_eq!(diff(mine, mine), []);
    assert_eq!(shown("{}\r\n", "{ }\r\n"), "@@ -1 +1 @@\n-{}\n+{ }\n");
}

#[test]
fn secrets_are_not_shown() {
    let old = r#"{"SecretX":"hunter2","a":{"keyPass":"hunter2"},"api":{"key":"hunter2"},"API-Key":{"x":["hunter2",17]},
"p\u0061ssword":"hunter2","db.user_credential":{"n":7777},"PrivateThing":true,"apikeys":[{"v":"hunter2"}],
"url":"https:\/\/user:hunter2@host/x","dsn":["pg://u:hun@ter2/hunter2@h ftp://a:hunter2@b"],"access_token":null,
"https://u:hunter2@h":1,"pem":"-----BEGIN PRIVATE KEY-----hunter2","tokens":{"a":{"b":[{"c":"hunter2"}]}},"users":[1,{"Passphrase":"hunter2","name":"bob"}]}"#;
    let text = shown(old, "{}");
    for hidden in ["hunter2", "7777", "17", "true", "ter2", "null"] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
    for seen in
        ["\"SecretX\":\"********\"", "\"https://********@host/x\"", "\"name\":\"bob\"", "\"a\":{", "[1,{"]
    {
        assert!(text.contains(seen), "{seen} not in {text}");
    }
}

#[test]
fn a_secret_that_changes_is_seen_to_change() {
    let old = "{\"s\":{\"keypass\":\"one\",\"token\":\"same\",\"n\":1},\"u\":\"http://a:b@c\"}";
    let new = "{\"S.KeyPass\":\"two\",\"s\":{\"token\":\"same\",\"n\":2},\"u\":\"http://a:d@c\"}";
    assert_eq!(
        shown(old, new),
        "@@ -1 +1 @@\n-{\"s\":{\"keypass\":\"******** (old)\",\"token\":\"********\",\"n\":1},\"u\":\"http://******** (old)@c\"}\n\
         +{\"S.KeyPass\":\"******** (new)\",\"s\":{\"token\":\"********\",\"n\":2},\"u\":\"http://******** (new)@c\"}\n"
    );
    let list = |item: &str| format!("{{\"tokens\":[\n{{\"a\":1}},\n\"x\",\n\"{item}\"\n]}}");
    let text = shown(&list("one"), &list("two"));
    assert!(text.contains("-\"******** (old)\"\n+\"******** (new)\"\n"), "{text}");
    assert!(text.contains(" \"********\",\n"), "{text}");
}

#[test]
fn what_is_no_json_is_not_shown() {
    assert_eq!(shown("keypass=hunter2\n\n", "{}\n"), "@@ -1,2 +1 @@\n-********\n-\n+{}\n");
}

#[test]
fn a_large_difference_takes_no_long_time() {
    let lines = |from: usize| {
        let members: Vec<String> =
            (from..100_000).map(|n| format!("\"key{n}\": \"some value {n}\"")).collect();
        format!("{{\n{}\n}}", members.join(",\n"))
    };
    let start = std::time::Instant::now();
    assert_eq!(diff(&lines(7), &lines(0)).iter().filter(|line| line.kind == LineKind::Added).count(), 7);
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}
