use std::fmt::Write as _;

use super::signatures;
use crate::types::{counted, human_bytes, printable_line};
use crate::unpack::{Entry, Holds, Kind};
use crate::workflow::wrapper::{Archive, Over, Report};

/// Most entries that are listed for people; JSON has all.
const LISTED: usize = 50;

/// What is known of a makeself archive.
#[must_use]
pub fn wrapper(report: &Report) -> String {
    let mut text = format!("{}: a makeself archive ({})\n", report.file, printable_line(&report.makeself));
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<9} {}", printable_line(value));
    };
    line("Label", &report.label);
    let runs = match report.script.as_str() {
        "" => "nothing".to_owned(),
        script => format!("{script} {}", report.arguments),
    };
    line("Would run", runs.trim_end());
    for (runs, when) in [(report.runs_before, "before unpacking"), (report.runs_after, "at its end")] {
        if runs {
            line("", &format!("and another program {when}"));
        }
    }
    line("Target", &report.target);
    line("Licence", if report.licence { "in the script" } else { "none in the script" });
    line("Script", &format!("{} bytes", report.header_length));
    for archive in &report.archives {
        line("Archive", &described(archive));
    }
    outer(report, &mut text);
    entries(&report.entries, &mut text);
    if let Some(inner) = &report.inner {
        let what = if inner.holds == Some(Holds::Rpm) { "an RPM package" } else { "an installer" };
        let size = human_bytes(inner.size);
        let _ = writeln!(text, "  Inside    {what}, {size}: {}", printable_line(&inner.name));
    }
    if let Some(problem) = &report.problem {
        let _ = writeln!(text, "  REFUSED   {}", printable_line(problem));
    }
    text
}

fn described(archive: &Archive) -> String {
    let sums: Vec<String> = archive
        .sums
        .iter()
        .map(|check| {
            let holds = if check.holds { "holds" } else { "DOES NOT HOLD" };
            format!("{} {holds}", check.sum)
        })
        .collect();
    let sums = if sums.is_empty() {
        "no sum".to_owned()
    } else {
        format!("{} (only against damage)", sums.join(", "))
    };
    format!(
        "{} from byte {} on, {}; {sums}",
        human_bytes(archive.length),
        archive.offset.saturating_add(1),
        archive.compression
    )
}

fn outer(report: &Report, text: &mut String) {
    if report.outer.is_empty() {
        text.push_str("  Signature none over the file or its archives: what is inside has its own\n");
    }
    for outer in &report.outer {
        let over = match outer.over {
            Over::File => "the whole file",
            Over::Archives => "the archives, not the script",
        };
        let from = outer.from.as_deref().unwrap_or("the script");
        let verdict = if outer.judgement.accepted { "accepted" } else { "REFUSED" };
        let reason = printable_line(&outer.judgement.reason);
        let _ = writeln!(text, "  Signature over {over}, in {from}: {verdict}: {reason}");
        signatures(&outer.judgement, text);
    }
}

fn entries(entries: &[Entry], text: &mut String) {
    if entries.is_empty() {
        return;
    }
    let _ = writeln!(text, "  Content   {}", counted(entries.len(), "entry", "entries"));
    for entry in entries.iter().take(LISTED) {
        let letter = match entry.kind {
            Kind::File => '-',
            Kind::Directory => 'd',
            Kind::Symlink => 'l',
            Kind::Link => 'h',
            Kind::Device => 'b',
            Kind::Fifo => 'p',
            Kind::Other => '?',
        };
        let name = printable_line(&entry.name);
        let _ = writeln!(text, "    {letter} {:04o} {:>12} {name}", entry.mode, entry.size);
    }
    if let Some(more) = entries.len().checked_sub(LISTED).filter(|more| *more > 0) {
        let _ = writeln!(text, "    and {more} more (--output json lists all)");
    }
}
