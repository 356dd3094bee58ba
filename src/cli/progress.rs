//! What a run says while it goes on: bars and lines for people, JSON Lines for programs.
//!
//! Text goes to standard error, so that results on standard output can be piped; JSON Lines go to
//! standard output. No meaning is in a colour alone.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::event::{Event, EventSink, Unit};
use crate::sys::clock::{self, Watch};
use crate::sys::fs::{print, print_error};
use crate::sys::{env, tty};
use crate::types::{human_bytes, printable_json, printable_line};

/// The version of the JSON Lines' shape.
pub const SCHEMA: u32 = 1;
/// Progress is told at most this often.
const INTERVAL: Duration = Duration::from_millis(100);
/// Without a terminal, work that ends sooner than this is told by its summary alone.
const PATIENCE: Duration = Duration::from_secs(2);

/// How a run tells what it does
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum OutputFormat {
    /// Lines and bars for people
    #[default]
    Text,
    /// One JSON object per line
    Json,
}

/// When colour is used
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal that can, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl ColorChoice {
    /// Whether standard error gets colour.
    #[must_use]
    pub fn stderr(self) -> bool {
        self.decide(tty::stderr_is_terminal())
    }

    /// Whether standard output gets colour.
    #[must_use]
    pub fn stdout(self) -> bool {
        self.decide(tty::stdout_is_terminal())
    }

    fn decide(self, terminal: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            // no-color.org: set and not empty, whatever its value
            Self::Auto => terminal && !is_dumb() && env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        }
    }
}

fn is_dumb() -> bool {
    env::var("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

/// Makes the sink that the front room hands to the rooms below. `quiet` leaves warnings only.
#[must_use]
pub fn sink(output: OutputFormat, color: ColorChoice, quiet: bool) -> Box<dyn EventSink> {
    match output {
        OutputFormat::Text => {
            let live = tty::stderr_is_terminal() && !is_dumb();
            Box::new(Text::new(live, color.stderr(), quiet, print_error))
        }
        OutputFormat::Json => Box::new(Json::new(quiet, print)),
    }
}

/// Takes a lock that a panicking thread may have held: what it guards is only for showing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lines and bars.
struct Text {
    task: Mutex<Option<Task>>,
    /// Whether bars can be drawn; else there is a line for each tenth.
    live: bool,
    color: bool,
    quiet: bool,
    patience: Duration,
    write: fn(&str),
}

/// The running piece of work.
struct Task {
    since: Watch,
    name: String,
    total: u64,
    unit: Unit,
    done: u64,
    tenths: u64,
    bar: Option<ProgressBar>,
}

impl Text {
    fn new(live: bool, color: bool, quiet: bool, write: fn(&str)) -> Self {
        Self { task: Mutex::new(None), live, color, quiet, patience: PATIENCE, write }
    }

    /// Writes a line above the bar, if there is one.
    fn line(&self, task: &Option<Task>, text: &str) {
        let text = format!("{text}\n");
        match task.as_ref().and_then(|task| task.bar.as_ref()) {
            // not `println`: it drops the line when the bar is hidden
            Some(bar) => bar.suspend(|| (self.write)(&text)),
            None => (self.write)(&text),
        }
    }

    fn begin(&self, slot: &mut Option<Task>, name: String, total: u64, unit: Unit) {
        close(slot);
        let bar = self.live.then(|| bar(&name, total, unit));
        if bar.is_none() {
            let of = if total == 0 { String::new() } else { format!(" ({})", amount(total, unit)) };
            self.line(slot, &format!("{name}{of}"));
        }
        *slot = Some(Task { since: Watch::start(), name, total, unit, done: 0, tenths: 0, bar });
    }

    fn advance(&self, slot: &mut Option<Task>, delta: u64) {
        let Some(task) = slot else { return };
        task.done = task.done.saturating_add(delta);
        if let Some(bar) = &task.bar {
            bar.inc(delta);
            return;
        }
        let tenths = tenths(task.done, task.total);
        if tenths > task.tenths && task.since.elapsed() >= self.patience {
            task.tenths = tenths;
            let (done, total) = (amount(task.done, task.unit), amount(task.total, task.unit));
            let text = format!("{}: {} % ({done} of {total})", task.name, tenths * 10);
            self.line(slot, &text);
        }
    }

    fn warning(&self, text: &str) -> String {
        let label = if self.color { "\x1b[1;33mwarning:\x1b[0m" } else { "warning:" };
        format!("{label} {}", printable_line(text))
    }
}

impl EventSink for Text {
    fn event(&self, event: Event) {
        let mut slot = lock(&self.task);
        match event {
            Event::Warning { text } => self.line(&slot, &self.warning(&text)),
            _ if self.quiet => {}
            Event::Begin { task, total, unit } => self.begin(&mut slot, printable_line(&task), total, unit),
            Event::Progress { delta } => self.advance(&mut slot, delta),
            Event::End { summary } => {
                close(&mut slot);
                if !summary.is_empty() {
                    self.line(&slot, &printable_line(&summary));
                }
            }
            Event::Step { number, of, text } => {
                let width = of.to_string().len();
                self.line(&slot, &format!("[{number:>width$}/{of}] {}", printable_line(&text)));
            }
            Event::Note { text } => self.line(&slot, &printable_line(&text)),
        }
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        close(&mut lock(&self.task));
    }
}

/// Takes the bar off the terminal: the line that stays is the summary.
fn close(slot: &mut Option<Task>) {
    if let Some(bar) = slot.take().and_then(|task| task.bar) {
        bar.finish_and_clear();
    }
}

fn bar(name: &str, total: u64, unit: Unit) -> ProgressBar {
    let target = ProgressDrawTarget::stderr_with_hz(10);
    let bar = ProgressBar::with_draw_target(Some(total), target).with_message(name.to_owned());
    let template = match unit {
        _ if total == 0 => "{msg} {spinner} {elapsed}", // nobody knows how long it takes
        Unit::Bytes => "{msg} [{bar:30}] {percent:>3} % {bytes}/{total_bytes} {bytes_per_sec}",
        Unit::Items => "{msg} [{bar:30}] {percent:>3} % {pos}/{len}",
    };
    let bar = match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.progress_chars("=> ").tick_chars("|/-\\ ")), // drawn right in any locale
        Err(_) => bar,
    };
    bar.tick();
    if total == 0 {
        bar.enable_steady_tick(INTERVAL);
    }
    bar
}

fn amount(count: u64, unit: Unit) -> String {
    match unit {
        Unit::Bytes => human_bytes(count),
        Unit::Items => count.to_string(),
    }
}

fn tenths(done: u64, total: u64) -> u64 {
    let tenths = u128::from(done) * 10 / u128::from(total.max(1));
    u64::try_from(tenths.min(10)).unwrap_or(10)
}

/// One JSON object per line.
struct Json {
    pace: Mutex<Pace>,
    quiet: bool,
    write: fn(&str),
}

/// Progress that was not told yet.
struct Pace {
    delta: u64,
    last: Option<Watch>,
}

#[derive(Serialize)]
struct Line<'a> {
    schema: u32,
    time: String,
    #[serde(flatten)]
    event: &'a Event,
}

impl Json {
    fn new(quiet: bool, write: fn(&str)) -> Self {
        Self { pace: Mutex::new(Pace { delta: 0, last: None }), quiet, write }
    }

    fn line(&self, event: &Event) {
        let line = Line { schema: SCHEMA, time: clock::now().to_string(), event };
        if let Ok(text) = serde_json::to_string(&line) {
            (self.write)(&format!("{}\n", printable_json(&text)));
        }
    }

    /// Tells the progress that has come together, if it is time to or `now`.
    fn flush(&self, pace: &mut Pace, now: bool) {
        let due = now || pace.last.is_none_or(|watch| watch.elapsed() >= INTERVAL);
        if due && pace.delta > 0 {
            self.line(&Event::Progress { delta: std::mem::take(&mut pace.delta) });
            pace.last = Some(Watch::start());
        }
    }
}

impl EventSink for Json {
    fn event(&self, event: Event) {
        let mut pace = lock(&self.pace); // held while writing: lines never mix
        match event {
            Event::Progress { delta } if !self.quiet => {
                pace.delta = pace.delta.saturating_add(delta);
                self.flush(&mut pace, false);
            }
            Event::Warning { .. } => self.line(&event),
            _ if self.quiet => {}
            Event::Begin { .. } | Event::End { .. } => {
                self.flush(&mut pace, true);
                self.line(&event);
            }
            other => self.line(&other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
    static ALONE: Mutex<()> = Mutex::new(());

    fn record(text: &str) {
        lock(&SAID).push(text.to_owned());
    }

    fn said(test: impl FnOnce()) -> String {
        let _alone = lock(&ALONE);
        lock(&SAID).clear();
        test();
        lock(&SAID).concat()
    }

    fn story(sink: &dyn EventSink) {
        sink.event(Event::Step { number: 3, of: 17, text: "create user demisto".into() });
        sink.begin("verifying frames", 2048, Unit::Bytes);
        for _ in 0..2048 {
            sink.advance(1);
        }
        sink.warn("the clock is wrong\x1b[2J");
        sink.end("verified 2 KiB");
        sink.note("done");
    }

    #[test]
    fn without_a_terminal_there_is_a_line_for_each_tenth() {
        let mut sink = Text::new(false, false, false, record);
        sink.patience = Duration::ZERO;
        let text = said(|| story(&sink));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "[ 3/17] create user demisto");
        assert_eq!(lines[1], "verifying frames (2.0 KiB)");
        assert_eq!(lines[2], "verifying frames: 10 % (205 B of 2.0 KiB)");
        assert_eq!(lines[11], "verifying frames: 100 % (2.0 KiB of 2.0 KiB)");
        assert_eq!(lines[12], "warning: the clock is wrong\\u{1b}[2J");
        assert_eq!(lines[13..], ["verified 2 KiB", "done"]);
    }

    #[test]
    fn short_work_without_a_terminal_is_told_by_its_summary() {
        let text = said(|| story(&Text::new(false, false, false, record)));
        assert_eq!(text.lines().count(), 5, "{text}");
    }

    #[test]
    fn a_warning_is_one_without_its_colour_too() {
        let text = said(|| Text::new(false, true, false, record).event(Event::Warning { text: "x".into() }));
        assert_eq!(text, "\x1b[1;33mwarning:\x1b[0m x\n");
    }

    #[test]
    fn quiet_leaves_warnings() {
        let text = said(|| story(&Text::new(false, false, true, record)));
        assert_eq!(text.lines().count(), 1, "{text}");
        let text = said(|| story(&Json::new(true, record)));
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    #[test]
    fn lines_above_a_hidden_bar_are_not_lost() {
        let text = said(|| story(&Text::new(true, false, false, record)));
        assert!(text.contains("warning: the clock") && text.contains("verified 2 KiB"), "{text}");
    }

    #[test]
    fn json_lines_carry_a_schema_and_all_progress() {
        let text = said(|| story(&Json::new(false, record)));
        let lines: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert!(lines.iter().all(|l| l["schema"] == 1 && l["time"].as_str().unwrap().ends_with('Z')));
        let kinds: Vec<&str> = lines.iter().map(|l| l["event"].as_str().unwrap()).collect();
        assert_eq!((kinds[0], kinds[1], kinds[kinds.len() - 1]), ("step", "begin", "note"));
        let total: u64 = lines.iter().filter_map(|l| l["delta"].as_u64()).sum();
        assert_eq!(total, 2048);
        assert!(lines.len() < 20, "progress is throttled: {}", lines.len());
        assert_eq!(lines[1]["unit"], "bytes");
        let text = said(|| (&Json::new(false, record) as &dyn EventSink).note("a\u{9b}b\u{202e}"));
        assert!(text.contains("a\\u009bb\\u202e"), "{text}");
    }

    #[test]
    fn several_threads_may_speak_at_once() {
        let text = said(|| {
            let sink = Json::new(false, record);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| (0..500).for_each(|_| (&sink as &dyn EventSink).advance(1)));
                }
            });
            (&sink as &dyn EventSink).end("");
        });
        let total: u64 = text
            .lines()
            .filter_map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["delta"].as_u64())
            .sum();
        assert_eq!(total, 2000);
    }

    #[test]
    fn odd_totals_do_no_harm() {
        assert_eq!((tenths(0, 0), tenths(5, 0), tenths(9, 3), tenths(u64::MAX, u64::MAX)), (0, 10, 10, 10));
        assert!(!ColorChoice::Never.stderr() && ColorChoice::Always.stdout());
    }
}
