//! Writes the evidence record, and reads it.
//!
//! A run is announced in the state beside the record before it changes anything; without that it does not begin.
//! When it is over its record is appended and the announcement taken back. A run that dies in between is recorded
//! by the next one, from the announcement and the journal. All of it happens under the lock.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::Value;

use super::{Session, drift};
use crate::apply;
use crate::host;
use crate::journal::{Entry as Line, Journal, Recovery, replay};
use crate::plan::{Action, Plan};
use crate::product::{self, Site, under};
use crate::record::{self, Checked, Drift, Entry, Head, Look, Outcome, Record, State, Who};
use crate::sys::dir::Dir;
use crate::sys::{self, fault};
use crate::types::{Digest, Fingerprint, error_chain};

/// As much of the end of the record is read to append to it: many times the longest line.
const TAIL: u64 = 1 << 20;
/// Largest state that is read, and largest record.
const STATE_LIMIT: u64 = 4 << 20;
const LIMIT: u64 = 1 << 30;

/// Who runs this program.
fn who() -> Who {
    let user = |uid: u32| host::user_of(Path::new("/"), uid);
    let name = |uid: Option<u32>| uid.and_then(user);
    let (login_uid, session) = sys::env::login();
    let sudo_uid = sys::env::var("SUDO_UID").and_then(|text| text.parse().ok());
    let uid = sys::env::uid();
    Who {
        uid,
        user: user(uid),
        login_uid,
        login: name(login_uid),
        sudo_uid,
        sudo_user: name(sudo_uid),
        session,
        tty: sys::tty::name(),
    }
}

fn state_file(root: &Path) -> PathBuf {
    under(root, product::RECORD_STATE)
}

/// What is kept beside the record, or why it cannot be read.
fn read_state(root: &Path) -> Result<State, String> {
    let path = state_file(root);
    match sys::fs::read_trusted(&path, STATE_LIMIT) {
        Err(e) if e.is_not_found() => Ok(State::default()),
        Err(e) => Err(error_chain(&e)),
        Ok(bytes) => State::parse(&bytes).ok_or_else(|| format!("{} is damaged", path.display())),
    }
}

/// What is kept beside the record. What cannot be read must not keep a host from being repaired, so it is told.
fn state(session: &Session) -> State {
    read_state(&session.root).unwrap_or_else(|why| {
        session.sink.warn(format!("it is not known any more which record was the newest: {why}"));
        State::default()
    })
}

fn save(root: &Path, state: &State) -> sys::Result<()> {
    sys::fs::write_atomic(&state_file(root), &state.to_bytes(), 0o600)
}

/// The end of the record; nothing when there is none.
fn end_of(root: &Path) -> sys::Result<Vec<u8>> {
    match sys::fs::read_end(&under(root, product::RECORD_FILE), TAIL) {
        Err(e) if e.is_not_found() => Ok(Vec::new()),
        other => other,
    }
}

/// Appends entries in one write, durably; the head of `state` is the last of them then.
fn append(root: &Path, state: &mut State, entries: &[Entry]) -> sys::Result<()> {
    let path = under(root, product::RECORD_FILE);
    let tail = record::tail(&end_of(root)?);
    let mut head = state.base(tail.last);
    let mut torn = tail.torn;
    let mut text = if tail.open { "\n".to_owned() } else { String::new() };
    for entry in entries {
        let record = Record {
            schema: record::SCHEMA,
            sequence: head.map_or(1, |head| head.sequence.saturating_add(1)),
            previous: head.map(|head| head.digest),
            at: sys::clock::now(),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            entry: entry.clone(),
            torn: torn.take(),
        };
        let (line, digest) = record.line();
        text.push_str(&line);
        head = Some(Head { sequence: record.sequence, digest });
    }
    let is_new = !sys::fs::exists(&path);
    let mut file = sys::fs::open_log(&path)?;
    let written = fault::point("record append")
        .and_then(|()| file.write_all(text.as_bytes()))
        .and_then(|()| fault::point("record written"))
        .and_then(|()| file.sync_data())
        .and_then(|()| fault::point("record synced"));
    written.map_err(|e| sys::Error::new("write", &path, e))?;
    if let (true, Some(dir)) = (is_new, path.parent()) {
        Dir::open(dir)?.sync()?;
    }
    state.head = head;
    Ok(())
}

/// Appends what ended, and keeps it for the next run when that fails: what was done is not undone for that.
fn write(session: &Session, mut state: State, entries: Vec<Entry>) -> Option<Head> {
    let root = &session.root;
    let result = if entries.is_empty() { Ok(()) } else { append(root, &mut state, &entries) };
    if result.is_err() {
        state.open.extend(entries);
    }
    let kept = save(root, &state);
    for error in [result.as_ref().err(), kept.as_ref().err()].into_iter().flatten() {
        session.sink.warn(format!("the evidence record is incomplete: {}", error_chain(error)));
    }
    result.ok().and(state.head)
}

/// What is known of a run before it begins.
fn entry(session: &Session, action: &str, what: &str) -> Entry {
    Entry {
        began: sys::clock::now(),
        who: Some(who()),
        action: action.to_owned(),
        what: Some(what.to_owned()),
        site: session.site.to_string(),
        plan: None,
        signers: Vec::new(),
        from: session.receipt().ok().flatten().map(|receipt| receipt.release()),
        to: None,
        result: None,
        drift: None,
        late: false,
        of: None,
    }
}

/// A plan's action as a word.
fn word(action: Action) -> String {
    serde_json::to_value(action).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

fn planned(session: &Session, plan: &Plan, what: &str) -> Entry {
    let from = entry(session, &word(plan.action), what);
    let to = match plan.action {
        Action::Uninstall => None,
        Action::Install | Action::Upgrade | Action::Rollback => Some(plan.release.clone()),
        _ => from.from.clone(),
    };
    Entry { plan: Some(plan.digest()), signers: plan.signers.clone(), to, ..from }
}

/// How much of the tree differs by its attributes; none where there is no release, or it cannot be told.
fn differing(session: &Session) -> Option<u64> {
    let receipt = session.receipt().ok()??;
    let manifest = apply::installed(&session.root, &session.site).ok()??;
    let found = drift::attributes(&session.root, &session.site, manifest.get(), receipt.owners);
    Some(found.ok()? as u64)
}

/// A run that is under way.
#[derive(Debug)]
pub(super) struct Running {
    entry: Entry,
}

/// Announces a run; `before` is how much differed, where a run has compared all of it anyway. Where a whole tree is
/// written or removed it is looked at; smaller changes do not pay for that.
///
/// # Errors
/// When it cannot be written down: the run must not begin then.
pub(super) fn begin(session: &Session, plan: &Plan, what: &str, before: Option<u64>) -> sys::Result<Running> {
    let mut entry = planned(session, plan, what);
    let looks =
        matches!(plan.action, Action::Install | Action::Upgrade | Action::Rollback | Action::Uninstall);
    entry.drift = match before {
        Some(before) => Some(Drift { look: Look::Content, before: Some(before), after: None }),
        None if looks => Some(Drift { look: Look::Attributes, before: differing(session), after: None }),
        None => None,
    };
    let mut state = state(session);
    state.open.push(entry.clone());
    save(&session.root, &state)?;
    Ok(Running { entry })
}

impl Running {
    /// Records how it ended; `after` is how much differs then, where a run has compared all of it. Gives the record.
    pub(super) fn end(
        mut self,
        session: &Session,
        result: &apply::Result<()>,
        after: Option<u64>,
    ) -> Option<Head> {
        self.entry.result = Some(match result {
            Ok(()) => Outcome::Done,
            Err(apply::Error::NotRestored { .. }) => Outcome::Failed,
            Err(_) => Outcome::Restored,
        });
        if let Some(drift) = &mut self.entry.drift {
            drift.after = if drift.look == Look::Content { after } else { differing(session) };
        }
        let mut state = state(session);
        state.open.retain(|open| open.began != self.entry.began);
        write(session, state, vec![self.entry])
    }
}

/// Records a run that was refused when it was to begin.
pub(super) fn refused(session: &Session, plan: &Plan) {
    let refused = Entry { result: Some(Outcome::Refused), ..planned(session, plan, "") };
    write(session, state(session), vec![Entry { what: None, ..refused }]);
}

/// Records a change that has no plan, and whether it is complete.
pub(super) fn note(session: &Session, action: &str, what: &str, complete: bool) {
    let from = entry(session, action, what);
    let result = if complete { Outcome::Done } else { Outcome::Failed };
    let ended = Entry { to: from.from.clone(), result: Some(result), ..from };
    write(session, state(session), vec![ended]);
}

/// Records that other keys are trusted: a change without a plan, which takes the lock for this alone. That it is
/// not recorded is told; the change stays.
pub fn trusted_keys(session: &Session, action: &str, keys: &[Fingerprint]) {
    let names: Vec<&str> = keys.iter().map(Fingerprint::as_str).collect();
    match session.lock() {
        Ok(_lock) => {
            note(session, action, &format!("{} {}", action.replace('-', " "), names.join(", ")), true)
        }
        Err(error) => session.sink.warn(format!("the evidence record is incomplete: {error}")),
    }
}

/// What the journal tells of the run that ended last in an installation: the beginning, and how it ended.
fn journalled(session: &Session, site: &Site) -> Option<(Entry, Outcome)> {
    let lines = Journal::last(&apply::journal_dir(&session.root, site));
    let (at, plan) = lines.iter().find_map(|line| match line {
        Line::Begin { at, plan, .. } => Some((*at, plan)),
        _ => None,
    })?;
    let outcome = if replay(&lines) == Recovery::Forward { Outcome::Done } else { Outcome::Restored };
    let entry = Entry {
        began: at,
        who: None,
        action: word(plan.action),
        what: None,
        site: site.to_string(),
        plan: Some(plan.digest()),
        signers: plan.signers.clone(),
        from: None,
        to: None,
        result: None,
        drift: None,
        late: false,
        of: None,
    };
    Some((entry, outcome))
}

/// Whether a run has no record yet: it was cut off, or its record could not be written.
pub(super) fn is_unsettled(session: &Session) -> bool {
    let bytes = sys::fs::read_trusted(&state_file(&session.root), STATE_LIMIT);
    bytes.ok().and_then(|bytes| State::parse(&bytes)).is_some_and(|state| !state.open.is_empty())
}

/// Whether a run that was cut off has left something to do here.
pub(super) fn has_leftovers(session: &Session) -> bool {
    let path = state_file(&session.root);
    let (Some(dir), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return false;
    };
    is_unsettled(session)
        || Dir::open(dir).and_then(|dir| dir.leftovers(name)).is_ok_and(|names| !names.is_empty())
}

/// Records what earlier runs have left without a record, and what was recovered just now.
pub(super) fn settle(session: &Session, recovered: &[Site]) {
    if recovered.is_empty() && !has_leftovers(session) {
        return;
    }
    let mut state = state(session);
    let written = record::since(&end_of(&session.root).unwrap_or_default(), state.head);
    let is_written = |entry: &Entry| {
        let same = |other: &Entry| other.began == entry.began;
        written.iter().any(|record| same(&record.entry) || record.entry.of.as_deref().is_some_and(same))
    };
    let mut open: Vec<Entry> = std::mem::take(&mut state.open);
    open.retain(|entry| !is_written(entry));
    let mut entries = Vec::new();
    for site in session.sites().unwrap_or_default() {
        let (own, others) = open.into_iter().partition(|entry: &Entry| entry.site == site.to_string());
        open = others;
        entries.extend(settled(session, &site, own, recovered.contains(&site)));
    }
    // what is left belongs to an installation without a state: nothing was done there
    entries.extend(open.into_iter().filter(|entry| entry.result.is_some()));
    write(session, state, entries);
}

/// The records of an installation's runs that have none.
fn settled(session: &Session, site: &Site, open: Vec<Entry>, recovered: bool) -> Vec<Entry> {
    let journalled = journalled(session, site);
    let mut entries = Vec::new();
    let mut cut_off = None;
    for mut entry in open {
        if entry.result.is_none() {
            // a journal from before the run tells that it had not begun: nothing was changed
            let Some((_, outcome)) = journalled.as_ref().filter(|(last, _)| last.began >= entry.began) else {
                continue;
            };
            if recovered {
                cut_off = Some(entry);
                continue;
            }
            entry.result = Some(*outcome);
        }
        entry.late = true;
        entries.push(entry);
    }
    if let (true, Some((last, outcome))) = (recovered, journalled) {
        let of = cut_off.unwrap_or(last);
        let to = if outcome == Outcome::Done { of.to.clone() } else { of.from.clone() };
        let signers = of.signers.clone();
        let recovery = self::entry(session, "recover", "recover");
        let (site, from) = (of.site.clone(), of.from.clone());
        entries.push(Entry {
            site,
            from,
            to,
            signers,
            result: Some(outcome),
            of: Some(Box::new(of)),
            ..recovery
        });
    }
    entries
}

/// Reads the record and follows its chain; `noted` is the digest of a record that somebody wrote down.
///
/// # Errors
/// When it cannot be read.
pub fn check(session: &Session, noted: Option<Digest>) -> Result<Checked> {
    let bytes = match sys::fs::read_trusted(&under(&session.root, product::RECORD_FILE), LIMIT) {
        Err(e) if e.is_not_found() => Vec::new(),
        other => other?,
    };
    let state = read_state(&session.root);
    let kept = state.as_ref().ok().and_then(|state| state.head);
    let mut checked = record::check(&bytes, kept, noted);
    if let Err(why) = state {
        checked.unkept(&why); // it may hide that the end is missing
    }
    Ok(checked)
}

/// The newest records as they stand there, at most `last` of them.
#[must_use]
pub fn newest(checked: &Checked, last: Option<usize>) -> &[Value] {
    let skipped = checked.records.len().saturating_sub(last.unwrap_or(usize::MAX));
    checked.records.get(skipped..).unwrap_or_default()
}
