use super::{SHOWN, Start, Trouble};
use crate::types::printable_line;

/// A line as the product writes it: `2021-10-18 18:35:27.2793 info TEXT (source: FILE:LINE)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    at: &'a str,
    pub(super) level: &'a str,
    text: &'a str,
}

/// What the levels are called, by gravity; from `error` on it is trouble.
const LEVELS: [&str; 9] =
    ["trace", "debug", "info", "warn", "warning", "error", "critical", "fatal", "panic"];
const TROUBLE: usize = 5;

impl<'a> Line<'a> {
    /// Reads a line; `None` for what the product does not write.
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (day, rest) = line.split_once(' ')?;
        let (time, rest) = rest.split_once(' ')?;
        let (level, text) = rest.split_once(' ')?;
        let at = line.get(..day.len().checked_add(time.len())?.checked_add(1)?)?;
        (is_day(day) && is_time(time) && LEVELS.contains(&level)).then_some(Self { at, level, text })
    }

    pub(super) fn at(&self) -> Option<String> {
        Some(self.at.to_owned())
    }

    /// The message, without the place in the source at its end.
    pub(super) fn text(&self) -> &'a str {
        let text = self.text.trim_end();
        let source = text.strip_suffix(')').and_then(|text| text.rsplit_once(" (source: "));
        match source {
            Some((text, source)) if !source.contains([')', ' ']) => text.trim_end(),
            _ => text,
        }
    }

    /// Whether it tells of something that went wrong.
    pub(super) fn is_trouble(&self) -> bool {
        LEVELS.iter().skip(TROUBLE).any(|level| *level == self.level)
    }

    /// The start that it tells of: `Starting d1 server, version VERSION run id: UUID` and nothing else.
    pub(super) fn start(&self) -> Option<Start> {
        let rest = self.text().strip_prefix("Starting ").filter(|_| self.level == "info")?;
        let (program, rest) = rest.split_once(", version ")?;
        let (version, run_id) = rest.split_once(" run id: ")?;
        if !is_program(program) || !is_version(version) || !is_uuid(run_id) {
            return None;
        }
        Some(Start {
            at: self.at.to_owned(),
            program: program.to_owned(),
            version: version.to_owned(),
            build: version.rsplit_once('-').and_then(|(_, build)| build.parse().ok()),
            run_id: run_id.to_owned(),
        })
    }

    pub(super) fn trouble(&self) -> Trouble {
        Trouble { at: self.at.to_owned(), level: self.level.to_owned(), text: shown(self.text()) }
    }
}

/// A part of a message as it may be shown.
pub(super) fn shown(text: &str) -> String {
    let text = printable_line(&text.replace('\t', " "));
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}\u{2026}", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// `d1 server`, `server`: what ends in that word and is no sentence.
fn is_program(text: &str) -> bool {
    let plain = |word: &str| {
        (1..=16).contains(&word.len())
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    text.split(' ').count() <= 3
        && text.split(' ').all(plain)
        && text.split(' ').next_back() == Some("server")
}

fn is_version(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+'))
}

fn is_uuid(text: &str) -> bool {
    text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// `2021-10-18`
fn is_day(text: &str) -> bool {
    numbers(text, '-', &[(4, 0, 9999), (2, 1, 12), (2, 1, 31)])
}

/// `18:35:27`, with any fraction of a second.
fn is_time(text: &str) -> bool {
    let (time, fraction) = text.split_once('.').unwrap_or((text, "0"));
    numbers(time, ':', &[(2, 0, 23), (2, 0, 59), (2, 0, 60)])
        && (1..=9).contains(&fraction.len())
        && fraction.bytes().all(|b| b.is_ascii_digit())
}

/// Whether the parts of `text` are numbers of so many digits, and between two others.
fn numbers(text: &str, between: char, wanted: &[(usize, u16, u16)]) -> bool {
    text.split(between).count() == wanted.len()
        && text.split(between).zip(wanted).all(|(part, (digits, least, most))| {
            part.len() == *digits
                && part.bytes().all(|b| b.is_ascii_digit())
                && part.parse().is_ok_and(|number: u16| (*least..=*most).contains(&number))
        })
}
