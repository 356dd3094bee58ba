//! The house: which room may import which. The table is the constant [`HOUSE`]; the tests hold the
//! code and docs/architecture.md to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// One room: its floor, its name, and the rooms that it imports.
type Room = (u8, &'static str, &'static [&'static str]);

/// Every room, the upper floors first.
#[rustfmt::skip] // a name a line would make the table five times as long
const HOUSE: &[Room] = &[
    (8, "main", &["cli"]),
    (
        7,
        "cli",
        &[
            "apply",
            "audit",
            "bundle",
            "certs",
            "config",
            "event",
            "journal",
            "makeself",
            "manifest",
            "pack",
            "plan",
            "preflight",
            "probe",
            "product",
            "prompt",
            "receipt",
            "release",
            "report",
            "retained",
            "snapshot", "source", "sys", "trust", "types", "unpack", "verify", "workflow",
        ],
    ),
    (
        7,
        "report",
        &[
            "audit",
            "bundle",
            "certs",
            "config",
            "manifest",
            "pack",
            "plan",
            "preflight",
            "probe",
            "product",
            "record",
            "rpmfile",
            "snapshot",
            "trust",
            "types",
            "unpack",
            "verify",
            "workflow",
        ],
    ),
    (
        6,
        "workflow",
        &[
            "apply",
            "audit",
            "certs",
            "config",
            "event",
            "host",
            "journal",
            "makeself",
            "manifest",
            "plan",
            "preflight",
            "probe",
            "product",
            "prompt",
            "receipt",
            "record",
            "release",
            "retained",
            "rpmfile",
            "service",
            "snapshot",
            "source",
            "sys",
            "trust",
            "types",
            "unpack",
            "verify",
        ],
    ),
    (
        6,
        "pack",
        &[
            "archive", "bundle", "event", "manifest", "product", "rpmfile", "source", "sys", "trust",
            "types", "verify",
        ],
    ),
    (
        5,
        "apply",
        &[
            "bundle", "certs", "config", "event", "host", "journal", "manifest", "plan", "product",
            "receipt", "release", "retained", "rpmfile", "service", "snapshot", "sys", "types", "verify",
        ],
    ),
    (5, "journal", &["plan", "sys", "types"]),
    (5, "service", &["archive", "product", "productlog", "sys", "types"]),
    (5, "probe", &["certs", "sys", "types"]),
    (
        4,
        "plan",
        &[
            "certs", "config", "host", "manifest", "product", "prompt", "receipt", "retained", "rpmfile",
            "types", "verify",
        ],
    ),
    (
        4,
        "release",
        &["archive", "bundle", "event", "manifest", "rpmfile", "source", "sys", "trust", "types", "verify"],
    ),
    (3, "audit", &["config", "product", "productlog", "types"]),
    (3, "snapshot", &["event", "product", "sys", "types"]),
    (3, "manifest", &["bundle", "product", "rpmfile", "types", "verify"]),
    (3, "retained", &["product", "sys", "types"]),
    (3, "receipt", &["product", "sys", "types", "verify"]),
    (3, "record", &["types"]),
    (3, "config", &["product", "types"]),
    (3, "certs", &["types"]),
    (3, "prompt", &["config", "types"]),
    (3, "preflight", &["product", "types"]),
    (2, "verify", &["product", "trust", "types"]),
    (2, "trust", &["sys", "types"]),
    (2, "source", &["bundle", "makeself", "rpmfile", "sys"]),
    (2, "unpack", &["archive", "bundle", "rpmfile", "sys", "types"]),
    (2, "host", &["product", "sys", "types"]),
    (1, "bundle", &["types"]),
    (1, "rpmfile", &["archive", "types"]),
    (1, "makeself", &["archive", "types"]),
    (1, "archive", &[]),
    (1, "productlog", &["types"]),
    (1, "product", &[]),
    (1, "sys", &["types"]),
    (0, "types", &[]),
    (0, "event", &[]),
];

/// Imports that stay on their floor. All others go down.
const SAME_FLOOR: &[(&str, &str)] = &[
    ("apply", "journal"),
    ("apply", "service"),
    ("audit", "config"),
    ("cli", "report"),
    ("makeself", "archive"),
    ("prompt", "config"),
    ("rpmfile", "archive"),
    ("verify", "trust"),
];

/// What each floor is called.
const FLOORS: [&str; 9] =
    ["words", "doors", "trust", "domain", "plan", "change", "conduct", "front", "the program"];

/// Longest file, in lines outside tests.
const MAX_LINES: usize = 600;

#[test]
fn every_import_is_in_the_table() {
    let house: Vec<Room> = HOUSE.to_vec();
    let sources = sources();
    let wrong: Vec<String> = sources.iter().flat_map(|source| wrong_imports(source, &house)).collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    let stale = stale_edges(&sources, &house);
    assert!(stale.is_empty(), "the table of floors.rs lists imports that are none: {}", stale.join(", "));
}

#[test]
fn the_table_goes_down() {
    let wrong = upward(HOUSE, SAME_FLOOR);
    assert!(wrong.is_empty(), "{}", wrong.join(", "));
}

#[test]
fn the_table_names_every_room() {
    let built: BTreeSet<String> = sources().into_iter().map(|source| source.room).collect();
    let listed: BTreeSet<String> =
        HOUSE.iter().map(|(_, room, _)| (*room).to_owned()).chain(["lib".to_owned()]).collect();
    assert_eq!(built, listed);
    let lib = read(&root().join("src/lib.rs"));
    let declared: BTreeSet<&str> =
        lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(declared, HOUSE.iter().map(|(_, room, _)| *room).filter(|room| *room != "main").collect());
}

#[test]
fn files_are_short() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|source| source.text.lines().count() > MAX_LINES)
        .map(|source| format!("{} has {} lines", source.path.display(), source.text.lines().count()))
        .collect();
    assert!(long.is_empty(), "more than {MAX_LINES} lines outside tests: {}", long.join(", "));
}

#[test]
fn unsafe_code_is_forbidden_in_every_room_but_one() {
    for (_, room, _) in HOUSE.iter().filter(|(_, room, _)| !["sys", "main"].contains(room)) {
        let file = root().join("src").join(format!("{room}.rs"));
        let file = if file.exists() { file } else { root().join("src").join(room).join("mod.rs") };
        assert!(
            forbids_unsafe(&read(&file)),
            "{} does not begin with #![forbid(unsafe_code)]",
            file.display()
        );
    }
}

#[test]
fn the_architecture_page_shows_this_table() {
    let page = read(&root().join("docs/architecture.md"));
    let expected = table(HOUSE);
    let shown = between(&page, "<!-- floors -->\n", "<!-- end of floors -->");
    assert!(shown == Some(expected.as_str()), "docs/architecture.md should show\n\n{expected}\n");
}

// --- What the tests look at ------------------------------------------------------------------------------

/// A file of the program, without comments, the content of strings, and tests.
struct Source {
    path: PathBuf,
    room: String,
    /// How many `super` lead to the crate's root.
    depth: usize,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut found = Vec::new();
    let mut waiting = vec![src.clone()];
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let inside = path.strip_prefix(&src).unwrap().to_owned();
                found.push(source(&inside, &read(&path)));
            }
        }
    }
    assert!(found.len() > 50, "only {} files below {}", found.len(), src.display());
    found
}

fn source(inside: &Path, text: &str) -> Source {
    let parts: Vec<String> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let room = parts[0].trim_end_matches(".rs").to_owned();
    let at_top = inside.file_name().is_some_and(|name| name == "mod.rs");
    let depth = parts.len() - usize::from(at_top);
    Source { path: Path::new("src").join(inside), room, depth, text: without_tests(&plain(text)) }
}

fn forbids_unsafe(text: &str) -> bool {
    let mut code = text.lines().filter(|line| !line.starts_with("//") && !line.is_empty());
    code.next() == Some("#![forbid(unsafe_code)]")
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    text.split_once(begin)?.1.split_once(end).map(|(inside, _)| inside)
}

fn table(house: &[Room]) -> String {
    let mut text = "| Floor | Room | Imports |\n| --- | --- | --- |\n".to_owned();
    for (floor, room, imports) in house {
        let imports = if imports.is_empty() { "nothing".to_owned() } else { imports.join(", ") };
        let _ = writeln!(text, "| {floor} {} | {room} | {imports} |", FLOORS[usize::from(*floor)]);
    }
    text
}

// --- The rules -------------------------------------------------------------------------------------------

fn upward(house: &[Room], same_floor: &[(&str, &str)]) -> Vec<String> {
    let floors: BTreeMap<&str, u8> = house.iter().map(|(floor, room, _)| (*room, *floor)).collect();
    let mut wrong = Vec::new();
    for (floor, room, imports) in house {
        for import in *imports {
            let fine = match floors.get(import) {
                Some(below) if below < floor => true,
                Some(same) if same == floor => same_floor.contains(&(*room, *import)),
                _ => false,
            };
            if !fine {
                wrong.push(format!("{room} (floor {floor}) must not import {import}"));
            }
        }
    }
    wrong
}

fn wrong_imports(source: &Source, house: &[Room]) -> Vec<String> {
    let at = source.path.display();
    let Some((_, room, allowed)) = house.iter().find(|(_, room, _)| *room == source.room) else {
        let is_lib = source.room == "lib";
        return if is_lib {
            Vec::new()
        } else {
            vec![format!("{at}: the room {} is not listed", source.room)]
        };
    };
    let mut wrong = Vec::new();
    for path in root_paths(source, house) {
        let target = path[0].as_str();
        if target == *room {
            continue;
        }
        if target == "*" || path.last().is_some_and(|last| last == "*") {
            wrong.push(format!("{at}: imports everything with crate::{}", path.join("::")));
        } else if !allowed.contains(&target) {
            wrong.push(format!("{at}: {room} must not import {target} (crate::{})", path.join("::")));
        }
    }
    wrong
}

fn stale_edges(sources: &[Source], house: &[Room]) -> Vec<String> {
    let used: BTreeSet<(String, String)> = sources
        .iter()
        .flat_map(|source| {
            root_paths(source, house).into_iter().map(|mut path| (source.room.clone(), path.swap_remove(0)))
        })
        .collect();
    let listed =
        house.iter().flat_map(|(_, room, imports)| imports.iter().map(move |import| (*room, *import)));
    listed
        .filter(|(room, import)| !used.contains(&((*room).to_owned(), (*import).to_owned())))
        .map(|(room, import)| format!("{room} -> {import}"))
        .collect()
}

// --- Reading Rust, as far as it is needed ------------------------------------------------------------------

/// The text with comments and the content of strings blanked; lines stay where they are.
fn plain(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let end = token_end(&chars, at);
        if end == at {
            out.push(c);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Where the comment, string or character that begins at `at` ends; `at` itself when none does.
fn token_end(chars: &[char], at: usize) -> usize {
    let rest = &chars[at..];
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let starts_word = at == 0 || !is_word(chars[at - 1]);
    match rest {
        ['/', '/', ..] => at + rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
        ['/', '*', ..] => block_comment(chars, at),
        ['"', ..] => string(chars, at + 1),
        ['r', '"' | '#', ..] if starts_word => raw_string(chars, at, at + 1),
        ['b', 'r', '"' | '#', ..] if starts_word => raw_string(chars, at, at + 2),
        ['\'', '\\', ..] => at + 3 + rest[3..].iter().position(|c| *c == '\'').map_or(0, |end| end + 1),
        ['\'', _, '\'', ..] => at + 3,
        _ => at,
    }
}

fn block_comment(chars: &[char], mut at: usize) -> usize {
    let mut open = 0;
    while at < chars.len() {
        match chars[at..] {
            ['/', '*', ..] => (open, at) = (open + 1, at + 2),
            ['*', '/', ..] => (open, at) = (open - 1, at + 2),
            _ => at += 1,
        }
        if open == 0 {
            break;
        }
    }
    at
}

fn string(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

/// A raw string whose hashes begin at `hashes`; `start` when it is none, as in `r#type`.
fn raw_string(chars: &[char], start: usize, hashes: usize) -> usize {
    let count = chars[hashes..].iter().take_while(|c| **c == '#').count();
    let open = hashes + count;
    if chars.get(open) != Some(&'"') {
        return start;
    }
    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', count)).collect();
    let body = &chars[open + 1..];
    let end = body.windows(close.len()).position(|window| window == close.as_slice());
    open + 1 + end.map_or(body.len(), |end| end + close.len())
}

/// The text without the items that are compiled for tests only. Takes what [`plain`] gives.
fn without_tests(text: &str) -> String {
    const ATTRIBUTES: [&str; 2] = ["#[cfg(test)]", "#[cfg(all(test"];
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = ATTRIBUTES.iter().filter_map(|attribute| rest.find(attribute)).min() {
        out.push_str(&rest[..at]);
        rest = &rest[at + item_length(&rest[at..])..];
    }
    out + rest
}

/// The length of an item with its attributes: to its `;`, or to the brace that closes it.
fn item_length(text: &str) -> usize {
    let (mut square, mut curly) = (0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '[' | '(' => square += 1,
            ']' | ')' => square -= 1,
            '{' => curly += 1,
            '}' => {
                curly -= 1;
                if curly == 0 && square == 0 {
                    return at + 1;
                }
            }
            ';' if curly == 0 && square == 0 => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Words and the signs that matter in a path.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut in_word = false;
    for c in text.chars() {
        let word = c.is_alphanumeric() || c == '_';
        match tokens.last_mut() {
            Some(last) if word && in_word => last.push(c),
            Some(last) if c == ':' && last == ":" => last.push(c),
            _ if c.is_whitespace() => {}
            _ => tokens.push(c.to_string()),
        }
        in_word = word;
    }
    tokens
}

/// Every path that begins at the crate's root, without `crate`, groups taken apart.
fn root_paths(source: &Source, house: &[Room]) -> Vec<Vec<String>> {
    let tokens = tokens(&source.text);
    let is_room = |name: &String| house.iter().any(|(_, room, _)| *room == name.as_str());
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let supers = tokens[at..].chunks(2).take_while(|pair| pair[0] == "super" && pair.len() == 2).count();
        let next = tokens.get(at + 1).map(String::as_str);
        if matches!(tokens[at].as_str(), "crate" | "demisto_install") && next == Some("::") {
            at = path_tree(&tokens, at + 2, &mut Vec::new(), &mut found);
        } else if supers > 0 {
            at += 2 * supers;
            if supers >= source.depth {
                let mut reached = Vec::new();
                path_tree(&tokens, at, &mut Vec::new(), &mut reached);
                found.extend(reached.into_iter().filter(|path| is_room(&path[0])));
            }
        } else {
            at += 1;
        }
    }
    found
}

/// Reads one path or group of paths; gives where it ends.
fn path_tree(
    tokens: &[String],
    mut at: usize,
    prefix: &mut Vec<String>,
    found: &mut Vec<Vec<String>>,
) -> usize {
    let length = prefix.len();
    loop {
        match tokens.get(at).map(String::as_str) {
            Some("{") => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    let before = at;
                    at = path_tree(tokens, at, prefix, found);
                    if tokens.get(at).is_some_and(|token| token == "as") {
                        at += 2;
                    }
                    at += usize::from(at == before || tokens.get(at).is_some_and(|token| token == ","));
                }
                at += 1;
                break;
            }
            Some(word) if word == "*" || word.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                prefix.push(word.to_owned());
                at += 1;
                if tokens.get(at).is_some_and(|token| token == "::") {
                    at += 1;
                    continue;
                }
                found.push(prefix.clone());
                break;
            }
            _ => {
                if prefix.len() > length {
                    found.push(prefix.clone()); // a path that goes on with `<`
                }
                break;
            }
        }
    }
    prefix.truncate(length);
    at
}

// --- The rules can fail ------------------------------------------------------------------------------------

const SMALL: &[Room] = &[(1, "up", &["low"]), (0, "low", &[]), (0, "other", &[])];

fn complaints(path: &str, text: &str) -> Vec<String> {
    wrong_imports(&source(Path::new(path), text), SMALL)
}

#[test]
fn what_is_listed_passes() {
    let text = "use crate::low::{A, b::C as D};\nfn f() { crate::low::g(crate::up::H) }\nuse super::own;";
    assert_eq!(complaints("up/part.rs", text), [""; 0]);
    assert_eq!(complaints("up.rs", "use crate::low;\n"), [""; 0]);
}

#[test]
fn an_unlisted_edge_is_found_wherever_it_is_written() {
    for text in [
        "use crate::other::Thing;",
        "use crate::{low, other::{self, Thing}};",
        "use crate::{\n    low::{A, B},\n    other,\n};",
        "fn f() { let x = crate :: other :: thing::<u8>(); }",
        "pub use crate::other as low;",
        "#[cfg(not(test))]\nuse crate::other;",
        "#[cfg(test)]\nmod tests { use crate::low; }\nuse crate::other;",
        "const Q: char = '\"'; use crate::other; const R: char = '\"';",
        "fn f<'a>(a: &'a str) {} use crate::other; fn g<'a>(a: &'a str) {}",
        "const S: &str = \"\\\"\"; use crate::other;",
    ] {
        let found = complaints("up/part.rs", text);
        assert!(!found.is_empty(), "{text}");
        assert!(found.iter().all(|found| found.contains("up must not import other")), "{found:?}");
    }
    assert_eq!(complaints("low.rs", "use crate::up;").len(), 1, "upwards");
    assert_eq!(complaints("up/part.rs", "use super::super::other::X;").len(), 1, "through super");
    assert_eq!(complaints("up.rs", "use super::other;").len(), 1, "through super");
}

#[test]
fn what_is_no_code_is_not_looked_at() {
    for text in [
        "// use crate::other;",
        "/* use crate::other; /* nested */ use crate::other; */",
        "//! [`crate::other`]",
        "const T: &str = \"crate::other\";",
        "const T: &str = r#\"a \" crate::other\"#;",
        "#[cfg(test)]\nmod tests {\n    use crate::other;\n    fn f() { if true { crate::other::g() } }\n}\n",
        "#[cfg(test)]\n#[allow(unused, reason = \"test\")]\nuse crate::other;\n",
        "#[cfg(all(test, feature = \"x\"))]\nfn f(a: [u8; 2]) { crate::other::g(a) }\n",
    ] {
        assert_eq!(complaints("up/part.rs", text), [""; 0], "{text}");
    }
}

#[test]
fn globs_and_unknown_rooms_are_found() {
    assert_eq!(complaints("up/part.rs", "use crate::low::*;").len(), 1);
    assert_eq!(complaints("up/part.rs", "use crate::{low::{a::*, B}};").len(), 1);
    assert_eq!(complaints("up/part.rs", "use crate::*;").len(), 1);
    assert_eq!(complaints("attic/mod.rs", "fn f() {}").len(), 1);
    assert_eq!(complaints("up/part.rs", "use crate::attic;").len(), 1);
}

#[test]
fn a_table_that_goes_up_is_found() {
    assert!(upward(SMALL, &[]).is_empty());
    assert_eq!(upward(&[(1, "up", &[]), (0, "low", &["up"])], &[]).len(), 1);
    let sideways: &[Room] = &[(0, "low", &["other"]), (0, "other", &[])];
    assert_eq!(upward(sideways, &[]).len(), 1);
    assert!(upward(sideways, &[("low", "other")]).is_empty());
}

#[test]
fn an_import_that_nothing_uses_is_found() {
    assert_eq!(stale_edges(&[source(Path::new("up.rs"), "fn f() {}")], SMALL), ["up -> low"]);
    assert_eq!(stale_edges(&[source(Path::new("up.rs"), "use crate::low;")], SMALL), [""; 0]);
}

#[test]
fn only_lines_outside_tests_count() {
    let text = "fn f() {}\n#[cfg(test)]\nmod tests {\n    fn g() {}\n}\n";
    assert_eq!(source(Path::new("up.rs"), text).text.trim_end().lines().count(), 1);
}

#[test]
fn the_forbidding_line_comes_first() {
    assert!(forbids_unsafe("//! What it is.\n\n#![forbid(unsafe_code)]\nmod a;\n"));
    assert!(!forbids_unsafe("//! What it is.\nmod a;\n#![forbid(unsafe_code)]\n"));
    assert!(!forbids_unsafe("// #![forbid(unsafe_code)]\n"));
}
