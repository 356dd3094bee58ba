use std::cmp::Reverse;

/// How a log that was put aside is named, by the number or the time at which that was.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    /// The log itself.
    Live,
    /// `server.log.1`: the lower, the newer.
    Numbered(u32),
    /// `server-2021-10-18T18-35-27.279.log`, `server.log-20211018`: the later, the newer.
    Dated(Reverse<String>),
}

/// Those of `names` that are the log `name` or were put aside from it, also compressed (`.gz`), the newest
/// first and at most `most`.
#[must_use]
pub fn newest_first(name: &str, names: Vec<String>, most: usize) -> Vec<String> {
    let mut found: Vec<(Age, bool, String)> = names
        .into_iter()
        .filter_map(|other| {
            let (plain, packed) = other.strip_suffix(".gz").map_or((other.as_str(), false), |p| (p, true));
            let age = age(name, plain).filter(|age| !(packed && *age == Age::Live))?;
            Some((age, packed, other))
        })
        .collect();
    found.sort();
    // while it is compressed, both exist
    found.dedup_by(|(age, _, _), (before, _, _)| age == before);
    found.into_iter().take(most).map(|(_, _, name)| name).collect()
}

fn age(name: &str, other: &str) -> Option<Age> {
    if other == name {
        return Some(Age::Live);
    }
    let dated = |text: &str| {
        let fits = (8..=32).contains(&text.len())
            && text.bytes().take(4).all(|b| b.is_ascii_digit())
            && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'T' | b'.' | b'_' | b'Z'));
        fits.then(|| Age::Dated(Reverse(text.chars().filter(char::is_ascii_digit).collect())))
    };
    if let Some(rest) = other.strip_prefix(name) {
        let number = rest.strip_prefix('.').filter(|n| (1..=4).contains(&n.len()) && is_number(n));
        return match number {
            Some(number) => number.parse().ok().map(Age::Numbered),
            None => rest.strip_prefix('-').and_then(dated),
        };
    }
    let (stem, ending) = name.rsplit_once('.')?;
    dated(other.strip_prefix(stem)?.strip_prefix('-')?.strip_suffix(ending)?.strip_suffix('.')?)
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_told_from_what_lies_beside_them() {
        let names = [
            "d1.log",
            "install.log",
            "server-2021-10-18T18-35-27.279.log",
            "server-2021-10-19T00-00-00.001.log.gz",
            "server.log",
            "server.log.1",
            "server.log.10.gz",
            "server.log.2.gz",
            "server.log.2",
            "server.log.gz",
            "server.log.old",
            "server.log-20211017",
            "server-x.log",
            "serverx.log",
            "server.log.1.2",
        ];
        let found = newest_first("server.log", names.map(str::to_owned).to_vec(), 100);
        let wanted = [
            "server.log",
            "server.log.1",
            "server.log.2",
            "server.log.10.gz",
            "server-2021-10-19T00-00-00.001.log.gz",
            "server-2021-10-18T18-35-27.279.log",
            "server.log-20211017",
        ];
        assert_eq!(found, wanted);
        assert_eq!(newest_first("server.log", names.map(str::to_owned).to_vec(), 2).len(), 2);
    }
}
