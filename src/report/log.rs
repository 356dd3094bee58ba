use std::fmt::Write as _;

use crate::workflow::facts::Told;

/// What a log says.
#[must_use]
pub fn log_facts(told: &Told) -> String {
    let mut text = String::new();
    for (name, value) in rows(told) {
        let _ = writeln!(text, "  {name:<10} {value}");
    }
    text
}

/// The same line by line: a name and what there is to say.
pub(super) fn rows(told: &Told) -> Vec<(&'static str, String)> {
    let facts = &told.facts;
    let mut rows = Vec::new();
    rows.push(match &facts.start {
        Some(start) => ("Started", format!("{} as {} {}", start.at, start.program, start.version)),
        None => ("Started", "its log does not tell".to_owned()),
    });
    rows.extend(facts.start.as_ref().map(|start| ("Run", start.run_id.clone())));
    rows.push(("FIPS-CC", facts.fips.to_string()));
    rows.extend(facts.fips.problem.iter().map(|problem| ("", problem.clone())));
    for error in &facts.errors {
        rows.push(("Error", format!("{} {}", error.at, error.text)));
    }
    rows.push(("Log", told.log.display().to_string()));
    rows.extend(told.incomplete.iter().map(|why| ("", format!("not all of it was read: {why}"))));
    rows
}
