//! What a merge changes in a configuration.

use crate::config::{DiffLine, LineKind};
use crate::types::printable_line;

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const CYAN: &str = "\x1b[36m";
const PLAIN: &str = "\x1b[0m";

/// A difference as diff(1) shows it, fit for a terminal; in colour when `color` is set.
#[must_use]
pub fn config_diff(lines: &[DiffLine], color: bool) -> String {
    lines.iter().map(|line| shown(line, color)).collect()
}

fn shown(line: &DiffLine, color: bool) -> String {
    let (sign, paint) = match line.kind {
        LineKind::Hunk => ("", CYAN),
        LineKind::Context => (" ", ""),
        LineKind::Removed => ("-", RED),
        LineKind::Added => ("+", GREEN),
    };
    let text = printable_line(&line.text);
    if color && !paint.is_empty() {
        format!("{paint}{sign}{text}{PLAIN}\n")
    } else {
        format!("{sign}{text}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diff;

    #[test]
    fn it_reads_like_diff() {
        let lines = diff("{\n \"a\": 1\n}\n", "{\n \"a\": 2\n}\n");
        let plain = "@@ -1,3 +1,3 @@\n {\n- \"a\": 1\n+ \"a\": 2\n }\n";
        assert_eq!(config_diff(&lines, false), plain);
        let painted =
            "\x1b[36m@@ -1,3 +1,3 @@\x1b[0m\n {\n\x1b[31m- \"a\": 1\x1b[0m\n\x1b[32m+ \"a\": 2\x1b[0m\n }\n";
        assert_eq!(config_diff(&lines, true), painted);
        assert_eq!(config_diff(&[], true), "");
    }

    #[test]
    fn the_file_cannot_write_to_the_terminal() {
        let lines = diff("{\"a\":\"\u{9b}31m\u{202e}\"}", "{}");
        let text = config_diff(&lines, false);
        assert!(text.chars().all(|c| c == '\n' || (!c.is_control() && c != '\u{202e}')), "{text:?}");
    }
}
