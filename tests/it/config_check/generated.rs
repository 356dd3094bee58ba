//! What is made from the key table: the page of keys and the schemas for editors. Stale ones are found here and made anew
//! by `cargo test --features fault-injection --test it config_check::generated::make -- --ignored`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use demisto_install::config::lint::RULES;
use demisto_install::config::table::{Key, Kind, Scope, Table, table};
use demisto_install::product::Role;
use serde_json::{Map, Value, json};

use super::{ENGINE, SERVER};
use crate::docs;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every generated file with its content.
fn all() -> Vec<(PathBuf, String)> {
    let json = |value: &Value| serde_json::to_string_pretty(value).unwrap() + "\n";
    vec![
        (root().join("docs/configuration-keys.md"), page(table())),
        (root().join("docs/schema/demisto.conf.schema.json"), json(&schema(table(), Role::Server))),
        (root().join("docs/schema/d1.conf.schema.json"), json(&schema(table(), Role::Engine))),
    ]
}

#[test]
fn what_is_generated_is_up_to_date() {
    for (path, text) in all() {
        let there = fs::read_to_string(&path).unwrap_or_default();
        assert!(there == text, "{} is stale; the head of this file says how it is made", path.display());
    }
}

#[test]
#[ignore = "it writes into the repository"]
fn make() {
    for (path, text) in all() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn page(table: &Table) -> String {
    let mut text = "\
# Keys of demisto.conf and d1.conf

<!-- made from assets/config-keys.json by tests/it/config_check/generated.rs; do not edit -->

What `demisto-install config keys` lists and `config explain KEY` tells. Case does not count, and `a.b` is the same key as
`{\"a\": {\"b\": …}}`. The product has more keys than are published; those that are not listed are kept and left alone.
*Default* is what counts without the key, where that is published. *Evaluated* is what the evaluated configuration wants.
*Source* is a section of the Common Criteria guide or of the Administrator Guide, or `observed`: seen in installations.
[Schemas for editors](schema/demisto.conf.schema.json) are made from the same table, also for [d1.conf](schema/d1.conf.schema.json).
"
    .to_owned();
    for (title, scope) in
        [("Server and engine", Scope::Both), ("Server", Scope::Server), ("Engine", Scope::Engine)]
    {
        let _ = write!(
            text,
            "\n## {title}\n\n| Key | Value | Default | Evaluated | What it does | Source |\n\
             | --- | --- | --- | --- | --- | --- |\n"
        );
        for key in table.keys.iter().filter(|key| key.role == scope) {
            let names: Vec<String> = key.names().map(|name| format!("`{name}`")).collect();
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} |",
                names.join(", also "),
                values(key),
                default(key),
                secure(key),
                key.what,
                key.source
            );
        }
        for family in table.families.iter().filter(|family| family.role == scope) {
            let _ = writeln!(
                text,
                "| `{}*` | others | - | - | {} | {} |",
                family.prefix, family.what, family.source
            );
        }
    }
    text
}

fn code(value: &Value) -> String {
    format!("`{value}`")
}

fn values(key: &Key) -> String {
    if key.values.is_empty() {
        return key.kind.words().to_owned();
    }
    key.values.iter().map(|value| code(&Value::from(value.as_str()))).collect::<Vec<_>>().join(", ")
}

fn default(key: &Key) -> String {
    match (&key.default, &key.default_engine) {
        _ if key.required => "none: it has to be there".to_owned(),
        (Some(server), Some(engine)) => format!("{}, {} of an engine", code(server), code(engine)),
        (Some(value), None) => code(value),
        _ => "-".to_owned(),
    }
}

fn secure(key: &Key) -> String {
    let of = |role: Role| {
        let wanted: Vec<String> = key.secure_of(role).iter().map(code).collect();
        (!wanted.is_empty()).then(|| wanted.join(" or "))
    };
    match (of(Role::Server), of(Role::Engine)) {
        (None, None) => "-".to_owned(),
        (Some(server), Some(engine)) if server == engine => server,
        (server, engine) => {
            let named = |value: Option<String>, role: &str| {
                value.map(|value| if key.role == Scope::Both { format!("{role}: {value}") } else { value })
            };
            let both: Vec<String> =
                [named(server, "server"), named(engine, "engine")].into_iter().flatten().collect();
            both.join(", ")
        }
    }
}

/// A schema (JSON Schema 2020-12) of one role's file, in which every key may be spelt dotted or nested. Unknown keys are
/// allowed. Case counts here: schemas know no other way.
fn schema(table: &Table, role: Role) -> Value {
    let file = if role == Role::Server { "demisto.conf" } else { "d1.conf" };
    let keys = || table.keys.iter().filter(|key| key.role.includes(role));
    let mut properties = Map::new();
    for key in keys() {
        for name in key.names() {
            properties.insert(name.to_owned(), value_schema(key, role));
            nest(&mut properties, name, &value_schema(key, role));
        }
    }
    let required: Vec<Value> = keys().filter(|key| key.required).map(|key| key.key.as_str().into()).collect();
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": file,
        "description": "Made from assets/config-keys.json. Keys are known here in the case in which they are mostly spelt, \
            and with their first parts nested one by one; the product knows them in any case and spelling.",
        "type": "object",
        "properties": properties,
    });
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

/// Puts the nested spelling of a key beside the dotted one.
fn nest(properties: &mut Map<String, Value>, name: &str, value: &Value) {
    let Some((head, tail)) = name.split_once('.') else {
        properties.entry(name).or_insert_with(|| value.clone());
        return;
    };
    let group = properties.entry(head).or_insert_with(|| json!({ "type": "object", "properties": {} }));
    if let Some(inner) = group["properties"].as_object_mut() {
        inner.insert(tail.to_owned(), value.clone());
        nest(inner, tail, value);
    }
}

fn value_schema(key: &Key, role: Role) -> Value {
    let mut schema = match key.kind {
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Integer => json!({ "type": "integer", "minimum": 0 }),
        Kind::Count => json!({ "type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]+$" }),
        Kind::Port => json!({ "type": "string", "pattern": "^[1-9][0-9]{0,4}$" }),
        Kind::Path => json!({ "type": "string", "pattern": "^(/.*)?$" }),
        Kind::List => json!({ "type": "string", "pattern": "^[^\\s,]*(,[^\\s,]+)*$" }),
        Kind::Servers => json!({
            "type": if key.required { json!("array") } else { json!(["array", "null"]) },
            "items": { "type": "string", "pattern": "^wss://" },
        }),
        Kind::Uuid => json!({ "type": "string", "format": "uuid" }),
        Kind::Bind => json!({ "type": "string", "pattern": ":[0-9]{1,5}$" }),
        Kind::String if !key.values.is_empty() => json!({ "enum": key.values }),
        Kind::String | Kind::Url | Kind::PublicKey | Kind::HostPort => json!({ "type": "string" }),
        Kind::Any => json!({}),
    };
    schema["description"] = format!("{}. Source: {}", key.what, key.source).into();
    if let Some(default) = key.default_of(role) {
        schema["default"] = default.clone();
    }
    schema
}

/// A few of the words of JSON Schema, as far as ours use them.
fn fits(schema: &Value, value: &Value) -> bool {
    let is = |kind: &Value| match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64(),
        "null" => value.is_null(),
        _ => value.is_string(),
    };
    let kind = match &schema["type"] {
        Value::Null => true,
        Value::Array(kinds) => kinds.iter().any(is),
        one => is(one),
    };
    let listed = schema["enum"].as_array().is_none_or(|all| all.contains(value));
    let members = value.as_object().is_none_or(|members| {
        members
            .iter()
            .all(|(name, value)| schema["properties"].get(name).is_none_or(|inner| fits(inner, value)))
    });
    kind && listed && members
}

#[test]
fn the_samples_fit_their_schemas() {
    for (text, role) in [(SERVER, Role::Server), (ENGINE, Role::Engine)] {
        let (schema, value) = (schema(table(), role), serde_json::from_str::<Value>(text).unwrap());
        assert!(fits(&schema, &value), "{role}");
        for required in schema["required"].as_array().into_iter().flatten() {
            assert!(value.get(required.as_str().unwrap()).is_some(), "{required}");
        }
    }
    let server = schema(table(), Role::Server);
    for bad in [
        json!({ "Server": { "ProxyMode": "true" } }),
        json!({ "Server.HttpsPort": 443 }),
        json!({ "container": { "engine.type": "dockr" } }),
        json!({ "security": { "certificate.verifyrevocation": 1 } }),
    ] {
        assert!(!fits(&server, &bad), "{bad}");
    }
}

#[test]
fn rules_on_the_page_are_those_of_the_program() {
    let page = fs::read_to_string(root().join("docs/configuration-checks.md")).unwrap();
    let shown: Vec<Vec<String>> = docs::rows(&page, "| Rule | Severity |");
    let expected: Vec<Vec<String>> = RULES
        .iter()
        .map(|rule| {
            vec![
                format!("`{}`", rule.id),
                rule.severity.to_string(),
                rule.source.to_owned(),
                rule.why.to_owned(),
            ]
        })
        .collect();
    let table: String = expected.iter().map(|row| format!("| {} |\n", row.join(" | "))).collect();
    assert!(shown == expected, "docs/configuration-checks.md should show\n\n{table}");
}
