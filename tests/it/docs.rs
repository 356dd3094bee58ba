//! The pages say what the program does: tables, links, examples and commands are compared with it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use demisto_install::bundle::{
    MAX_CONTENT, MAX_FRAME, MAX_MANIFEST, MAX_SIGNATURES, TRAILER_LEN, WRAPPER_LEN,
};
use demisto_install::cli::CODES;
use demisto_install::pack::Description;
use demisto_install::productlog::{CONNECTED, LOST};
use demisto_install::prompt::Partial;
use demisto_install::trust::Policy;
use demisto_install::types::human_bytes;

use crate::support::pgp::Gpg;

const PROGRAM: &str = env!("CARGO_BIN_EXE_demisto-install");

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    let mut count = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            count += 1;
            let (path, anchor) = link.split_once('#').map_or((link.as_str(), None), |(p, a)| (p, Some(a)));
            let target = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            let fine = target.exists() && anchor.is_none_or(|anchor| anchors(&target).contains(anchor));
            if !fine {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
    assert!(count > 10, "only {count} links found: are they still read?");
}

#[test]
fn exit_codes_are_those_of_the_program() {
    let mut expected: Vec<String> = CODES.iter().map(|(code, meaning)| format!("{code} {meaning}")).collect();
    expected.push("128 + n ended by signal n".to_owned());
    for page in ["README.md", "docs/exit-codes.md"] {
        let rows = rows(&read(page), "| Code |");
        let shown: Vec<String> = rows.iter().map(|row| format!("{} {}", row[0], row[1])).collect();
        assert_eq!(shown, expected, "{page}");
    }
}

#[test]
fn verbs_are_those_of_the_program() {
    let help = Command::new(PROGRAM).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let commands = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let known: Vec<&str> = commands.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    let rows = rows(&read("README.md"), "| Verb |");
    let shown: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    assert_eq!(shown, known);
}

#[test]
fn setting_up_takes_two_commands() {
    let page = read("README.md");
    let blocks = blocks(section(&page, "## Set up"), "sh");
    let commands: Vec<&str> = blocks.iter().flat_map(|block| block.lines()).collect();
    assert_eq!(commands, ["./scripts/quickstart", "./scripts/test"]);
    for command in commands {
        assert!(root().join(command).is_file(), "{command}");
    }
}

#[test]
fn manifest_fields_are_those_of_the_schema() {
    let page = read("docs/bundle-format.md");
    let schema = read("src/manifest/schema.rs");
    let shown: Vec<String> =
        rows(&page, "| Field |").iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    let mut fields_of_both = fields(&schema, "pub struct Manifest {");
    let at = fields_of_both.iter().position(|field| field == "container").unwrap();
    fields_of_both.splice(at..=at, fields(&schema, "pub struct Container {"));
    fields_of_both.retain(|field| field != "outside"); // only packages have such files
    assert_eq!(shown, fields_of_both);
}

#[test]
fn limits_are_those_of_the_reader() {
    let page = read("docs/bundle-format.md");
    let rows = rows(&page, "| Limit |");
    for (name, bytes) in [
        ("manifest", MAX_MANIFEST),
        ("all signatures together", MAX_SIGNATURES),
        ("content of a frame", MAX_CONTENT),
        ("a compressed frame", MAX_FRAME),
    ] {
        let row = rows.iter().find(|row| row[0] == name).unwrap_or_else(|| panic!("{name}"));
        assert!(row[1].starts_with(&human_bytes(bytes)), "{name}: {}", human_bytes(bytes));
    }
    assert!(page.contains(&format!("`{TRAILER_LEN}`")) && page.contains(&format!("`{WRAPPER_LEN}`")));
}

#[test]
fn verdicts_are_those_of_the_program() {
    let page = read("docs/trust.md");
    let shown: Vec<String> =
        rows(&page, "| Verdict |").iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    assert_eq!(shown, variants(&read("src/verify/verdict.rs"), "pub enum VerdictCode {"));
}

#[test]
fn journal_records_are_those_of_the_program() {
    let page = read("docs/journal.md");
    let shown: Vec<String> =
        rows(&page, "| Record |").iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    assert_eq!(shown, variants(&read("src/journal/record.rs"), "pub enum Entry {"));
    let steps: BTreeSet<String> = rows(&page, "| Step |")
        .iter()
        .flat_map(|row| row[0].split(", ").map(|step| step.trim_matches('`').to_owned()).collect::<Vec<_>>())
        .collect();
    assert_eq!(steps, variants(&read("src/plan/step.rs"), "pub enum Step {").into_iter().collect());
}

#[test]
fn words_of_an_engine_are_those_that_its_log_is_searched_for() {
    let page = read("docs/engines.md");
    let rows = rows(&page, "| Message begins with |");
    let words = ["Starting d1 server, version "].into_iter().chain(CONNECTED).chain(LOST);
    for (row, word) in rows.iter().zip(words.clone()) {
        assert!(row[0].contains(&format!("`{word}`")), "{word}: {row:?}");
    }
    assert_eq!(rows.len(), words.count());
}

#[test]
fn description_keys_are_those_of_the_reader() {
    let page = read("docs/packing.md");
    let shown: BTreeSet<String> =
        rows(&page, "| Key |").iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    let source = read("src/pack/description.rs");
    let skipped = ["config_text", "unit_texts"]; // filled from the files that other keys name
    let known = fields(&source, "pub struct Description {");
    assert_eq!(shown, known.into_iter().filter(|field| !skipped.contains(&field.as_str())).collect());
}

#[test]
fn examples_are_read_by_the_program() {
    let packing = read("docs/packing.md");
    let description: Description = toml::from_str(&blocks(&packing, "toml")[0]).unwrap();
    assert_eq!(description.product, "demisto");
    let policy: Policy = toml::from_str(&blocks(&read("docs/trust.md"), "toml")[0]).unwrap();
    assert_eq!(policy.threshold, 2);
    let automation = read("docs/automation.md");
    let json = blocks(&automation, "json");
    let (answers, lines) = json.split_first().unwrap();
    assert!(Partial::parse(answers.as_bytes()).unwrap().missing().is_empty());
    assert!(!lines.is_empty());
    for line in lines.iter().flat_map(|block| block.lines()) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert_eq!(line["schema"], 1, "{line}");
        assert!(line["event"].is_string(), "{line}");
    }
}

/// The tests that docs/threats.md names are there.
#[test]
fn threats_name_tests_that_exist() {
    let page = read("docs/threats.md");
    let rows = rows(&page, "| Attack |");
    assert!(rows.len() > 15, "{}", rows.len());
    let mut tests = BTreeSet::new();
    for dir in ["src", "tests"] {
        collect(&root().join(dir), &mut |path| {
            if path.extension().is_some_and(|e| e == "rs") {
                tests.extend(test_names(&std::fs::read_to_string(path).unwrap()));
            }
        });
    }
    for row in rows {
        assert_eq!(row.len(), 4, "{row:?}");
        for name in row[3].split('`').skip(1).step_by(2) {
            let last = name.rsplit("::").next().unwrap();
            assert!(tests.contains(last), "no test is called {name}");
        }
    }
}

/// Runs every block of docs/bundle-format.md that is marked as tried, on a bundle made for it.
#[test]
fn commands_that_are_marked_as_tried_work() {
    let gpg = Gpg::new();
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let key = gpg.key(&now, "Docs <docs@example.org>", "rsa2048", "sign", "never");
    let work = gpg.home().join("work");
    std::fs::create_dir_all(work.join("tree/web")).unwrap();
    std::fs::write(work.join("tree/EULA.txt"), "Terms.\n").unwrap();
    std::fs::write(work.join("tree/web/index.html"), "<h1>hello</h1>\n").unwrap();
    let description = blocks(&read("docs/packing.md"), "toml").remove(0);
    std::fs::write(work.join("product.toml"), description).unwrap();
    std::fs::write(work.join("demisto.conf"), "{}\n").unwrap();
    std::fs::write(work.join("demisto.service"), "[Service]\nExecStart=/usr/local/demisto/server\n").unwrap();
    std::fs::write(work.join("tree/server"), "#!/bin/sh\n").unwrap();
    std::fs::create_dir(work.join("tree/data")).unwrap();
    gpg.file("work/key.asc", &gpg.export(&key));
    let secret = gpg.run(&now, &["--export-secret-keys", &key]);
    let secret = gpg.file("work/secret.pgp", &secret);
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::create_dir(work.join("bin")).unwrap();
    std::os::unix::fs::symlink(PROGRAM, work.join("bin/demisto-install")).unwrap();
    let packed = Command::new(PROGRAM)
        .current_dir(&work)
        .args(["pack", "--tree", "tree", "--description", "product.toml", "--program", "/bin/true"])
        .args(["--signing-key", "secret.pgp", "--detached", "--out", "FILE"])
        .output()
        .unwrap();
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    let tried = tried(&read("docs/bundle-format.md"));
    assert!(tried.len() >= 3, "{tried:?}");
    for block in tried {
        let output = Command::new("/bin/bash")
            .current_dir(&work)
            .env("GNUPGHOME", gpg.home())
            .env("PATH", format!("{}:/usr/bin:/bin", work.join("bin").display()))
            .args(["-euo", "pipefail", "-c", &block])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{block}\n{said}");
    }
}

/// What fixes and hints tell to run is understood by the program; those that name a verb alone name one that is there.
#[test]
fn commands_in_fixes_and_hints_are_understood() {
    let mut files: Vec<PathBuf> =
        ["src/cli/diagnostic.rs", "src/certs/check/rules.rs", "src/preflight/table.rs"]
            .map(Into::into)
            .into();
    for dir in ["src/audit", "src/cli/diagnostic", "src/probe", "src/workflow/cert"] {
        collect(&root().join(dir), &mut |path| files.push(path.to_owned()));
    }
    let mut commands = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        let lines: Vec<&str> = text.split("\\\n").collect();
        let text = lines.iter().map(|line| line.trim_start()).collect::<String>();
        // one whose verb is chosen when it is told is tried where that is tested
        for rest in text.split("`demisto-install ").skip(1).filter(|rest| !rest.starts_with('{')) {
            // stands for the options that name an installation
            commands.insert(rest.split('`').next().unwrap().replace(" SITE", ""));
        }
    }
    assert!(commands.len() > 25, "{commands:?}");
    let work = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for command in &commands {
        let words: Vec<&str> = command.split_whitespace().collect();
        let is_verb = words.iter().all(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
            && !command.contains("--");
        let mut run = Command::new(PROGRAM);
        run.current_dir(work.path()).stdin(std::process::Stdio::null());
        run.args(words.iter().map(|word| if *word == "HOST:PORT" { "127.0.0.1:1" } else { word }));
        run.args(if is_verb { vec!["--help"] } else { vec!["--root", "."] });
        let output = run.output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let fine = match is_verb {
            true => output.status.success() && said.contains(&format!("Usage: demisto-install {command}")),
            false => !said.contains("For more information, try"),
        };
        if !fine {
            wrong.push(format!("{command}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

// --- Reading pages -----------------------------------------------------------------------------------------

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).unwrap_or_else(|e| panic!("{page}: {e}"))
}

fn collect(dir: &Path, take: &mut dyn FnMut(&Path)) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() {
            if !name.starts_with('.') && name != "target" {
                collect(&path, take);
            }
        } else {
            take(&path);
        }
    }
}

fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    collect(root(), &mut |path| {
        if path.extension().is_some_and(|e| e == "md") {
            pages.push(path.to_owned());
        }
    });
    pages
}

/// The lines outside fenced blocks.
fn prose(text: &str) -> Vec<&str> {
    let mut inside = false;
    let outside = |line: &&str| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    };
    text.lines().filter(outside).collect()
}

fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text) {
        let code_free: String = line.split('`').step_by(2).collect::<Vec<_>>().join("``");
        for rest in code_free.split("](").skip(1) {
            found.extend(rest.split_once(')').map(|(target, _)| target.to_owned()));
        }
    }
    found
}

/// The names under which a page's headings can be linked to.
fn anchors(page: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(page).unwrap_or_default();
    let headings = prose(&text).into_iter().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// The rows of the tables whose head begins so: cells without the space around them.
pub(crate) fn rows(text: &str, head: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut inside = false;
    for line in prose(text) {
        if line.starts_with(head) {
            inside = true;
        } else if !line.starts_with('|') {
            inside = false;
        } else if inside && !line.starts_with("| ---") {
            let cells = line.trim_matches('|').replace("\\|", "\u{1}");
            rows.push(cells.split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect());
        }
    }
    assert!(!rows.is_empty(), "no table begins with {head}");
    rows
}

fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let from = text.split_once(&format!("{heading}\n")).unwrap_or_else(|| panic!("{heading}")).1;
    from.split_once("\n## ").map_or(from, |(section, _)| section)
}

fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

fn tried(text: &str) -> Vec<String> {
    let blocks = text.split("<!-- tried -->\n```sh\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// The body of an item that begins so and ends at the next line that is only a brace.
fn body<'a>(source: &'a str, head: &str) -> &'a str {
    let from = source.split_once(&format!("{head}\n")).unwrap_or_else(|| panic!("{head}")).1;
    from.split_once("\n}").map_or(from, |(body, _)| body)
}

/// The names of a struct's fields.
fn fields(source: &str, head: &str) -> Vec<String> {
    let lines = body(source, head).lines().map(str::trim).filter(|line| !line.starts_with(['/', '#']));
    lines.filter_map(|line| Some(line.trim_start_matches("pub ").split_once(':')?.0.to_owned())).collect()
}

/// The names of an enum's variants as they are serialized.
pub(crate) fn variants(source: &str, head: &str) -> Vec<String> {
    let is_variant =
        |line: &&str| line.starts_with("    ") && line.trim_start().starts_with(char::is_uppercase);
    let lines = body(source, head).lines().filter(|line| is_variant(line) && !line.starts_with("     "));
    let names = lines.map(|line| {
        let line = line.trim();
        line.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
    });
    names.map(|name| kebab(&name)).collect()
}

fn kebab(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.extend(c.to_lowercase());
    }
    out
}

fn test_names(source: &str) -> Vec<String> {
    let after = source.split("#[test]").skip(1).chain(source.split("proptest! {").skip(1));
    let name = |text: &str| Some(text.split_once("fn ")?.1.split('(').next()?.to_owned());
    after.filter_map(name).collect()
}

#[test]
fn pages_are_read_as_they_are_written() {
    let page =
        "[a](b.md#c-d) `[x](y)`\n```\n[no](no)\n```\n# C: d\n| H | I |\n| --- | --- |\n| `a` | x \\| y |\n";
    assert_eq!(links(page), ["b.md#c-d"]);
    assert_eq!(rows(page, "| H |"), [["`a`", "x | y"]]);
    assert_eq!(kebab("GoodExpiredSince"), "good-expired-since");
    let item = "pub enum E {\n    /// A.\n    Ab,\n    Cd {\n        /// X.\n        X: u8,\n    },\n}\n";
    assert_eq!(variants(item, "pub enum E {"), ["ab", "cd"]);
    assert_eq!(fields("struct S {\n    /// A.\n    pub a: u8,\n    b: u8,\n}\n", "struct S {"), ["a", "b"]);
    assert_eq!(test_names("#[test]\nfn works() {}\n"), ["works"]);
}
