use std::fmt::Write as _;

use serde_json::Value;

use crate::record::{Checked, Entry, Look, Record};
use crate::types::{counted, printable_line};

/// How a chain stands; `unrecorded` when a run still waits for its entry.
#[must_use]
pub fn record_check(checked: &Checked, unrecorded: bool) -> String {
    let mut text = String::new();
    let number = counted(checked.intact, "record is", "records are");
    match (&checked.broken, checked.head) {
        (Some(broken), _) => {
            let _ = writeln!(
                text,
                "the chain is broken at record {} (line {}): {}",
                broken.record, broken.line, broken.why
            );
            let _ = writeln!(text, "before that, {number} as written");
        }
        (None, Some(head)) => {
            let _ = writeln!(text, "{number} as written, in an unbroken chain");
            let _ = writeln!(text, "the newest, {}, has the digest {}", head.sequence, head.digest);
        }
        (None, None) => text.push_str("nothing is recorded\n"),
    }
    if checked.broken.is_none() && checked.head.is_some() && checked.kept.is_none() {
        text.push_str(
            "it is not kept here which record was the newest: that the end is missing would be seen with --head only\n",
        );
    }
    if let Some(torn) = checked.torn {
        let _ = writeln!(
            text,
            "at the end are {} of a record that a run could not finish",
            counted(torn.bytes, "byte", "bytes")
        );
    }
    if unrecorded {
        text.push_str("a run has no record yet: the next one, or `demisto-install recover`, writes it\n");
    }
    text
}

/// Records as a table, the oldest first.
#[must_use]
pub fn record_table(records: &[Value]) -> String {
    let mut rows: Vec<[String; 6]> =
        vec![["No", "When (UTC)", "Who", "What", "Result", "Differing"].map(str::to_owned)];
    rows.extend(records.iter().map(row));
    let widths: Vec<usize> = (0..6)
        .map(|column| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<String>>().join("  ");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn row(value: &Value) -> [String; 6] {
    let cells = match Checked::record(value) {
        Some(record) => known(&record),
        None => {
            let field = |name: &str| value.get(name).map(Value::to_string).unwrap_or_default();
            let at = field("at");
            let what = "of a form that this version does not know".to_owned();
            [
                field("sequence"),
                at.trim_matches('"').to_owned(),
                String::new(),
                what,
                String::new(),
                String::new(),
            ]
        }
    };
    cells.map(|cell| printable_line(&cell).replace('\t', " "))
}

fn known(record: &Record) -> [String; 6] {
    let entry = &record.entry;
    let who = entry.who.as_ref().map_or_else(|| "unknown".to_owned(), |who| who.name());
    let late = if entry.late { " (recorded later)" } else { "" };
    let result = entry.result.map_or("unknown", |result| result.words());
    [
        record.sequence.to_string(),
        record.at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        who,
        what(entry),
        format!("{result}{late}"),
        differing(entry),
    ]
}

fn what(entry: &Entry) -> String {
    let words = entry.what.as_ref().unwrap_or(&entry.action);
    let of = entry.of.as_ref().map_or_else(String::new, |of| format!(" of: {}", what(of)));
    let from = match &entry.from {
        Some(from) if entry.from != entry.to => format!(", from {from}"),
        _ => String::new(),
    };
    format!("{words}{of}{from}")
}

fn differing(entry: &Entry) -> String {
    let Some(drift) = entry.drift else { return String::new() };
    let number = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
    let all = if drift.look == Look::Content { ", all compared" } else { "" };
    format!("{} -> {}{all}", number(drift.before), number(drift.after))
}
