use super::*;

fn found(text: &str) -> Vec<Finding> {
    lint(text, Role::Server, &Host::default()).into_iter().filter(|finding| finding.line.is_some()).collect()
}

fn told(text: &str) -> Vec<(&'static str, usize, usize)> {
    found(text)
        .into_iter()
        .map(|finding| (finding.id, finding.line.unwrap_or_default(), finding.column.unwrap_or_default()))
        .collect()
}

#[test]
fn one_slip_does_not_hide_the_others() {
    let text = "{\n  'Server': {\"HttpsPort\": 0443, \"ProxyMode\" = True,},\n  \"log.level\": \"inf\"\n  security.Timeout: \"60\",\n}";
    assert_eq!(
        told(text),
        [
            ("quote-wrong", 2, 3),
            ("number-wrong", 2, 27),
            ("colon-missing", 2, 45),
            ("word-wrong", 2, 47),
            ("comma-extra", 2, 51),
            ("value-wrong", 3, 16),
            ("comma-missing", 3, 21),
            ("quote-missing", 4, 3),
            ("comma-extra", 4, 25),
        ]
    );
}

#[test]
fn one_line_is_read_as_well_as_many() {
    assert_eq!(
        told(r#"{"a.b":"c,"Server.HttpsPort":"443"}"#),
        [("quote-missing", 1, 8), ("key-unknown", 1, 2)].into_iter().rev().collect::<Vec<_>>()
    );
    assert_eq!(told(r#"{"Server.HttpsPort":"443}"#), [("quote-missing", 1, 21)]);
    assert_eq!(told(r#"{"Server":{"HttpsPort":"443"}"#), [("bracket-missing", 1, 1)]);
    assert_eq!(told(r#"{"Server":"HttpsPort":"443"}}"#), [("bracket-missing", 1, 11)]);
    assert_eq!(told(r#"{"Server":{"HttpsPort":"443"}}}"#), [("bracket-extra", 1, 31)]);
    assert_eq!(told(r#"{"Server.HttpsPort":["443"}"#), [("bracket-missing", 1, 21)]);
}

#[test]
fn columns_are_characters() {
    assert_eq!(
        told("{\"log.level\": \"info\", \"\u{e4}\u{20ac}.x\": 1, \"Server.HttpsPort\": 443}"),
        [("key-unknown", 1, 23), ("value-unquoted", 1, 54)]
    );
    let [unknown, port] = &found("{\"\u{e4}.x\": 1,\t\"Server.HttpsPort\": 443}")[..] else { panic!() };
    let shown = |finding: &Finding| finding.excerpt.clone().unwrap();
    assert_eq!((shown(unknown).before, shown(unknown).length), (1, 5));
    assert_eq!(shown(port).text, "{\"\u{e4}.x\": 1, \"Server.HttpsPort\": 443}");
    assert_eq!((shown(port).before, shown(port).length), (31, 3));
}

#[test]
fn a_long_line_is_shown_around_the_place() {
    let text = format!(
        "{{\"log.level\": \"{}\", \"Server.HttpsPort\": 443, \"x\": \"{}\"}}",
        "x".repeat(300),
        "y".repeat(300)
    );
    let findings = found(&text);
    let port = findings.iter().find(|finding| finding.id == "value-unquoted").unwrap();
    let Excerpt { text, before, length } = port.excerpt.clone().unwrap();
    assert!(
        text.starts_with('\u{2026}') && text.ends_with('\u{2026}') && text.chars().count() == 102,
        "{text}"
    );
    assert_eq!(text.chars().skip(before).take(length).collect::<String>(), "443");
}

#[test]
fn the_stricter_of_two_spellings_counts_for_the_rest() {
    let text = r#"{"security.server.certificate.donotverifyclientcertificates": true,
        "security.certificate.override.donotverifyclientcertificates": false,
        "server.certificate.clientauthpolicy": "verify"}"#;
    assert_eq!(told(text), [("spellings-differ", 2, 72)]);
}

#[test]
fn files_are_named_though_the_text_is_broken() {
    let text = r#"{"Security": {"CertFile": "/srv/cert.pem",}, "security.keyfile": '/srv/cert.key'"#;
    let all =
        ["/srv/cert.pem", "/srv/cert.key", "/usr/local/demisto/client.pem", "/usr/local/demisto/client.key"];
    assert_eq!(files(text, Role::Server), all);
    assert_eq!(files("", Role::Engine).first().unwrap(), "/usr/local/demisto/d1.pem");
}

#[test]
fn names_of_clients_that_nobody_verifies_prove_nothing() {
    let text = r#"{"security.certificate.verifyclientsan": true, "security.certificate.santrustlist": "a.example.org"}"#;
    assert_eq!(told(text), [("san-unverified", 1, 42)]);
}

#[test]
fn nothing_is_said_of_names_behind_a_wrong_bracket() {
    let text = "{\n  \"container\": {\n    \"engine\": {\n      \"type\": \"docker\"\n    }\n  ,\n  \"log.level\": \"x\"\n}\n";
    assert_eq!(told(text), [("bracket-missing", 2, 16)]);
}
