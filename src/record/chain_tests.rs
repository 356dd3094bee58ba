use super::*;

fn entry(number: u64) -> Entry {
    Entry {
        began: "2026-11-22T10:00:00.5Z".parse().unwrap(),
        who: Some(Who { uid: 0, user: Some("root".to_owned()), ..Who::default() }),
        action: "upgrade".to_owned(),
        what: Some(format!("upgrade to 6.14.{number}-1")),
        site: "server".to_owned(),
        plan: Some(Digest::of(b"plan")),
        signers: vec!["AB12".to_owned()],
        from: None,
        to: Some(format!("6.14.{number}-1")),
        result: Some(Outcome::Done),
        drift: Some(Drift { look: Look::Attributes, before: None, after: Some(0) }),
        late: false,
        of: None,
    }
}

fn record(sequence: u64, previous: Option<Digest>, torn: Option<Torn>) -> (String, Digest) {
    let (at, tool) = ("2026-11-22T10:00:01Z".parse().unwrap(), "0.1.0".to_owned());
    Record { schema: SCHEMA, sequence, previous, at, tool, entry: entry(sequence), torn }.line()
}

/// So many sound lines.
fn lines(count: u64) -> Vec<String> {
    let mut previous = None;
    (1..=count)
        .map(|sequence| {
            let (line, digest) = record(sequence, previous, None);
            previous = Some(digest);
            line
        })
        .collect()
}

fn head(line: &str) -> Head {
    tail(line.as_bytes()).last.unwrap()
}

fn broken(lines: &[String], kept: &str) -> Option<(u64, Reason)> {
    let checked = check(lines.concat().as_bytes(), Some(head(kept)), None);
    checked.broken.map(|broken| (broken.record, broken.reason))
}

#[test]
fn a_sound_chain_holds() {
    let all = lines(5);
    let checked = check(all.concat().as_bytes(), Some(head(&all[4])), Some(head(&all[1]).digest));
    assert_eq!((checked.broken, checked.intact, checked.head), (None, 5, Some(head(&all[4]))));
    assert_eq!(Checked::record(&checked.records[2]).unwrap().entry, entry(3));
    // records that came after the one that was kept, because of a run that died
    assert_eq!(broken(&all, &all[2]), None);
    let nothing = check(b"", None, None);
    assert_eq!((nothing.broken, nothing.intact, nothing.head), (None, 0, None));
}

#[test]
fn every_flipped_byte_is_found_and_placed() {
    let all = lines(5);
    let bytes = all.concat().into_bytes();
    let (mut at, mut record) = (0, 1);
    for byte in 0..bytes.len() {
        if byte == at + all[record - 1].len() {
            (at, record) = (byte, record + 1);
        }
        for bit in [0x01, 0x20] {
            let mut flipped = bytes.clone();
            flipped[byte] ^= bit;
            let found = check(&flipped, Some(head(&all[4])), None).broken;
            let found = found.unwrap_or_else(|| panic!("byte {byte} of record {record}, bit {bit:#x}"));
            assert_eq!(found.record, record as u64, "byte {byte}, bit {bit:#x}: {found:?}");
        }
    }
}

#[test]
fn lines_that_were_moved_are_named() {
    let all = lines(6);
    let pick = |numbers: &[usize]| -> Vec<String> { numbers.iter().map(|n| all[n - 1].clone()).collect() };
    let kept = all[5].as_str();
    for (numbers, expected) in [
        (&[1, 2, 4, 5, 6][..], (3, Reason::Removed)),
        (&[3, 4, 5, 6], (1, Reason::Removed)),
        (&[1, 2, 6], (3, Reason::Removed)),
        (&[1, 3, 2, 4, 5, 6], (2, Reason::Reordered)),
        (&[6, 5, 4, 3, 2, 1], (1, Reason::Reordered)),
        (&[1, 2, 2, 3, 4, 5, 6], (2, Reason::Repeated)),
        (&[1, 2, 3, 4, 5, 6, 1], (1, Reason::Repeated)),
        (&[1, 2, 3, 4, 5], (6, Reason::Truncated)),
        (&[], (1, Reason::Truncated)),
    ] {
        assert_eq!(broken(&pick(numbers), kept), Some(expected), "{numbers:?}");
    }
}

#[test]
fn what_somebody_wrote_himself_is_found() {
    let all = lines(5);
    let forged = |sequence: u64, previous: &str| {
        let (at, tool) = ("2027-01-01T00:00:00Z".parse().unwrap(), "0.1.0".to_owned());
        let previous = Some(head(previous).digest);
        Record { schema: SCHEMA, sequence, previous, at, tool, entry: entry(9), torn: None }.line().0
    };
    let with = |at: usize, line: String| {
        let mut lines = all.clone();
        lines.insert(at, line);
        lines
    };
    // in the place of the next, and following the right one, or a wrong one
    assert_eq!(broken(&with(3, forged(4, &all[2])), &all[4]), Some((4, Reason::Inserted)));
    assert_eq!(broken(&with(3, forged(4, &all[0])), &all[4]), Some((4, Reason::Inserted)));
    assert_eq!(broken(&with(5, forged(2, &all[0])), &all[4]), Some((2, Reason::Inserted)));
    // one that was written anew, with a good digest of its own
    let mut replaced = all.clone();
    replaced[2] = forged(3, &all[1]);
    assert_eq!(broken(&replaced, &all[4]), Some((4, Reason::Unlinked)));
    // the last one: only what is kept elsewhere tells
    let mut replaced = all.clone();
    replaced[4] = forged(5, &all[3]);
    assert_eq!(broken(&replaced, &all[4]), Some((5, Reason::Replaced)));
    assert_eq!(check(replaced.concat().as_bytes(), None, None).broken, None);
    let noted = check(replaced.concat().as_bytes(), None, Some(head(&all[4]).digest)).broken.unwrap();
    assert_eq!((noted.record, noted.reason), (6, Reason::Truncated));
}

#[test]
fn a_torn_end_is_no_break_and_the_next_record_tells_of_it() {
    let all = lines(3);
    let whole = all[..2].concat();
    for cut in 0..all[2].len() {
        let mut bytes = format!("{whole}{}", &all[2][..cut]).into_bytes();
        let checked = check(&bytes, Some(head(&all[1])), None);
        assert_eq!(checked.broken, None, "{cut}");
        let end = tail(&bytes);
        assert_eq!(end.open, cut > 0, "{cut}");
        assert_eq!(end.torn, checked.torn);
        if end.open {
            bytes.push(b'\n');
        }
        let last = end.last.unwrap();
        assert_eq!(
            last.sequence,
            if cut == all[2].len() - 1 { 3 } else { 2 },
            "only the line end was missing"
        );
        let (line, digest) = record(last.sequence + 1, Some(last.digest), end.torn);
        bytes.extend(line.as_bytes());
        let checked = check(&bytes, Some(Head { sequence: last.sequence + 1, digest }), None);
        assert_eq!((checked.broken, checked.intact, checked.torn), (None, last.sequence + 1, None), "{cut}");

        // what was torn is part of the chain, too
        if let Some(torn) = end.torn {
            let mut changed = bytes.clone();
            changed[whole.len()] ^= 1;
            let found = check(&changed, None, None).broken.unwrap();
            assert_eq!((found.record, found.reason, found.line), (3, Reason::Altered, 3), "{cut} {torn:?}");
            let mut gone = bytes.clone();
            gone.drain(whole.len()..=whole.len() + cut);
            assert_eq!(check(&gone, None, None).broken.map(|b| b.reason), Some(Reason::Altered), "{cut}");
        }
    }
}

#[test]
fn a_record_that_was_whole_is_never_taken_for_torn() {
    let all = lines(3);
    let altered = all[2].replace("root", "toor");
    let bytes = format!("{}{altered}", all[..2].concat());
    let end = tail(bytes.as_bytes());
    assert_eq!(end.last, Some(head(&all[1])));
    // whoever appends goes on from the record that was kept as the newest
    let state = State { head: Some(head(&all[2])), ..State::default() };
    let base = state.base(end.last).unwrap();
    assert_eq!(base, head(&all[2]));
    let (next, _) = record(base.sequence + 1, Some(base.digest), end.torn);
    let found = check(format!("{bytes}{next}").as_bytes(), None, None).broken.unwrap();
    assert_eq!((found.record, found.reason, found.line), (3, Reason::Altered, 3));
    // and a lost end is not hidden by what comes after it
    let cut = format!("{}{next}", all[..2].concat());
    assert_eq!(check(cut.as_bytes(), None, None).broken.unwrap().record, 3);
}

#[test]
fn fields_of_a_later_version_are_covered_and_kept() {
    let (line, _) = record(1, None, None);
    let mut value: serde_json::Value = serde_json::from_str(&line).unwrap();
    let fields = value.as_object_mut().unwrap();
    fields.shift_remove("digest");
    fields.insert("approved_by".to_owned(), serde_json::json!({ "names": ["a", null] }));
    let body = value.to_string();
    let line =
        format!("{},\"digest\":\"{}\"}}\n", body.strip_suffix('}').unwrap(), Digest::of(body.as_bytes()));
    let checked = check(line.as_bytes(), None, None);
    assert_eq!((checked.broken, checked.intact), (None, 1));
    assert_eq!(checked.records[0]["approved_by"]["names"][0], "a");
    assert_eq!(Checked::record(&checked.records[0]).unwrap().entry, entry(1));
    let changed = line.replace("null", "1");
    assert_eq!(check(changed.as_bytes(), None, None).broken.unwrap().reason, Reason::Altered);
}

#[test]
fn what_was_recorded_after_the_head_is_known() {
    let all = lines(4);
    let numbers = |head: Option<Head>| -> Vec<u64> {
        since(all.concat().as_bytes(), head).iter().map(|record| record.sequence).collect()
    };
    assert_eq!(numbers(Some(head(&all[1]))), [3, 4]);
    assert_eq!(numbers(None), [1, 2, 3, 4]);
    assert_eq!(numbers(Some(head(&all[3]))), [0; 0]);
}

#[test]
fn the_state_is_read_strictly() {
    let state = State { head: Some(head(&lines(1)[0])), open: vec![entry(1)], ..State::default() };
    assert_eq!(State::parse(&state.to_bytes()), Some(state));
    for text in ["", "{}", "[]", "{\"schema\":0}", "{\"schema\":2}", "{\"schema\":1,\"head\":7}"] {
        assert_eq!(State::parse(text.as_bytes()), None, "{text}");
    }
    assert_eq!(State::parse(b"{\"schema\":1,\"new\":[1]}"), Some(State::default()));
}

#[test]
fn whoever_logged_in_is_named() {
    let mut who = Who { uid: 0, user: Some("root".to_owned()), ..Who::default() };
    assert_eq!(who.name(), "root");
    (who.sudo_uid, who.sudo_user) = (Some(1001), Some("bob".to_owned()));
    assert_eq!(who.name(), "bob");
    who.login_uid = Some(1000);
    assert_eq!(who.name(), "1000");
    who.login = Some("alice".to_owned());
    assert_eq!(who.name(), "alice");
}
