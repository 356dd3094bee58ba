//! The rule for the administrator's password, the same at the prompt and for automation.
//!
//! How many characters of which kinds it has is the password policy of the product
//! ([`crate::config::policy`]): the guide's numbers, or what the host's configuration sets where that is
//! stricter. Beyond that, what an attacker tries first is refused: the user's own name and the defaults of
//! this and other products.

use std::fmt;

use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::{Error, Result};
use crate::config::policy::Complexity;
use crate::types::Secret;

/// The most bytes.
pub const MAX_BYTES: usize = 1024;

/// The rule in one sentence, to show before the question.
#[must_use]
pub fn rule(asked: Complexity) -> String {
    let Complexity { chars, lower, upper, digits_or_symbols } = asked;
    let count = |number: u32, one: &str, several: &str| match number {
        1 => one.to_owned(),
        number => format!("{number} {several}"),
    };
    format!(
        "At least {chars} characters with {}, {} and {}; not the user's name and no well-known default.",
        count(lower, "a lower-case letter", "lower-case letters"),
        count(upper, "an upper-case letter", "upper-case letters"),
        count(digits_or_symbols, "a digit or symbol", "digits or symbols"),
    )
}

/// A shorter name is found in too many good passwords by chance.
const NAME_MIN: usize = 4;

/// What is left of the passwords that scripts try first once case, look-alike digits and what is
/// put around the word are taken away.
const KNOWN: [&str; 34] = [
    "abc",
    "admin",
    "administrator",
    "changeit",
    "changeme",
    "cortex",
    "cortexxsoar",
    "default",
    "demisto",
    "dragon",
    "guest",
    "iloveyou",
    "install",
    "letmein",
    "login",
    "master",
    "monkey",
    "paloalto",
    "paloaltonetworks",
    "panw",
    "pass",
    "password",
    "qwerty",
    "qwertyuiop",
    "root",
    "secret",
    "server",
    "soar",
    "superuser",
    "test",
    "user",
    "welcome",
    "xsoar",
    "xsoaradmin",
];

/// One thing that is wrong with a password. Says nothing about its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// Fewer characters than this.
    TooShort(u32),
    /// More than 1024 bytes.
    TooLong,
    /// A line break, NUL or another control character.
    Control,
    /// Fewer lower-case letters than this.
    Lower(u32),
    /// Fewer upper-case letters than this.
    Upper(u32),
    /// Fewer digits and symbols than this.
    DigitsOrSymbols(u32),
    /// The user's name, perhaps reversed, or with digits and symbols around it.
    IsName,
    /// The user's name is a part of it.
    HasName,
    /// A well-known default.
    Known,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooShort(least) => return write!(f, "it has fewer than {least} characters"),
            Self::Lower(least @ 2..) => {
                return write!(f, "it has fewer than {least} lower-case letters (a-z)");
            }
            Self::Upper(least @ 2..) => {
                return write!(f, "it has fewer than {least} upper-case letters (A-Z)");
            }
            Self::DigitsOrSymbols(least @ 2..) => {
                return write!(f, "it has fewer than {least} digits and symbols");
            }
            Self::TooLong => "it is longer than 1024 bytes",
            Self::Control => "it has a line break or another control character",
            Self::Lower(_) => "it has no lower-case letter (a-z)",
            Self::Upper(_) => "it has no upper-case letter (A-Z)",
            Self::DigitsOrSymbols(_) => "it has neither a digit nor a symbol",
            Self::IsName => {
                "it is the user's name, forwards or backwards, with nothing but digits or symbols added"
            }
            Self::HasName => "the user's name is a part of it",
            Self::Known => {
                "it is a well-known default (admin, password, demisto, changeme and the like) \
                 with nothing but digits or symbols added"
            }
        })
    }
}

/// How long a password would resist guessing: a rough estimate, to show and never to refuse by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Strength {
    /// Under 45 bits: meets the rule, and little more.
    Weak,
    /// Under 60 bits.
    Fair,
    /// Under 80 bits.
    Good,
    /// 80 bits or more.
    Strong,
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Weak => "weak",
            Self::Fair => "fair",
            Self::Good => "good",
            Self::Strong => "strong",
        })
    }
}

/// Takes a password from a file or pipe: UTF-8 text, less one line break at its end. The buffer is wiped.
///
/// # Errors
/// When the bytes are no UTF-8 text.
pub fn parse_password(bytes: Vec<u8>) -> Result<Secret> {
    let bytes = Zeroizing::new(bytes);
    let text = std::str::from_utf8(&bytes).map_err(|_| Error::PasswordEncoding)?;
    let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    Ok(Secret::new(line.into())) // allocated at its exact size: no other copy stays behind
}

/// Checks a password for `user` against the rule.
///
/// # Errors
/// [`Error::Password`] with all that is wrong.
pub fn check(password: &Secret, user: &str, asked: Complexity) -> Result<Strength> {
    let text = password.expose_secret();
    let mut flaws = Vec::new();
    let mut flaw = |is: bool, flaw: Flaw| {
        if is {
            flaws.push(flaw);
        }
    };
    let has = |least: u32, test: fn(&char) -> bool| {
        let least = usize::try_from(least).unwrap_or(usize::MAX);
        text.chars().filter(test).count() >= least
    };
    flaw(!has(asked.chars, |_| true), Flaw::TooShort(asked.chars));
    flaw(text.len() > MAX_BYTES, Flaw::TooLong);
    flaw(text.chars().any(char::is_control), Flaw::Control);
    // ASCII alone is counted: whether the server takes other letters for lower or upper case is unknown.
    flaw(!has(asked.lower, char::is_ascii_lowercase), Flaw::Lower(asked.lower));
    flaw(!has(asked.upper, char::is_ascii_uppercase), Flaw::Upper(asked.upper));
    let other = asked.digits_or_symbols;
    let is_other = |c: &char| c.is_ascii_digit() || c.is_ascii_punctuation();
    flaw(!has(other, is_other), Flaw::DigitsOrSymbols(other));
    let folded = Zeroizing::new(text.to_lowercase());
    let user = user.to_lowercase();
    let reversed: String = user.chars().rev().collect();
    flaw(is_known(&folded), Flaw::Known);
    if !user.is_empty() {
        let is_name = [&user, &reversed].into_iter().any(|name| is_word(&folded, name));
        let has_name = [&user, &reversed].into_iter().any(|name| folded.contains(name.as_str()));
        flaw(is_name, Flaw::IsName);
        flaw(has_name && !is_name && user.chars().count() >= NAME_MIN, Flaw::HasName);
    }
    if flaws.is_empty() { Ok(strength(text)) } else { Err(Error::Password { flaws, asked }) }
}

/// Whether `folded` is `name` itself or `name` between digits and symbols.
fn is_word(folded: &str, name: &str) -> bool {
    folded == name || stem(folded) == name || (!stem(name).is_empty() && stem(folded) == stem(name))
}

/// Whether `folded` is a known default once some of the digits and symbols around it are taken
/// away and the others are read as the letters that they resemble (`Demist0!`, `4dm1n99`).
fn is_known(folded: &str) -> bool {
    const LONGEST: usize = 64; // what is longer has more than enough around the word
    if folded.len() > LONGEST || stem(folded).is_empty() {
        return false;
    }
    let first = folded.find(char::is_alphabetic).unwrap_or(0);
    let last = first + stem(folded).len();
    let starts = || (0..=first).filter(|at| folded.is_char_boundary(*at));
    let mut ends = (last..=folded.len()).filter(|at| folded.is_char_boundary(*at));
    ends.any(|end| {
        starts().filter_map(|start| folded.get(start..end)).any(|part| {
            let word = Zeroizing::new(plain(part));
            KNOWN.iter().any(|known| repeats(&word, known))
        })
    })
}

/// Less the digits and symbols before and after.
fn stem(text: &str) -> &str {
    text.trim_matches(|c: char| !c.is_alphabetic())
}

/// With the letters that digits and symbols commonly stand for.
fn plain(text: &str) -> String {
    let letter = |c| match c {
        '0' => 'o',
        '1' | '!' | '|' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' | '+' => 't',
        other => other,
    };
    let mut mapped = String::with_capacity(text.len()); // never grows: no copy is left behind
    mapped.extend(text.chars().map(letter));
    mapped
}

/// Whether `word` is `known` once or several times.
fn repeats(word: &str, known: &str) -> bool {
    !word.is_empty() && word.split(known).all(|rest| stem(rest).is_empty())
}

/// Length times the bits of a random character of the classes used. A character that follows from
/// the one before it (a repeat, a step in the alphabet, a neighbour on the keyboard) counts a
/// quarter, and no more characters count than twice the number of different ones.
fn strength(text: &str) -> Strength {
    type Is = fn(&char) -> bool;
    const CLASSES: [(Is, f64); 4] = [
        (char::is_ascii_lowercase, 26.0),
        (char::is_ascii_uppercase, 26.0),
        (char::is_ascii_digit, 10.0),
        (char::is_ascii_punctuation, 32.0),
    ];
    let chars = Zeroizing::new(text.chars().collect::<Vec<_>>());
    let mut pool: f64 = CLASSES.iter().filter(|(is, _)| chars.iter().any(is)).map(|(_, size)| size).sum();
    if chars.iter().any(|c| !CLASSES.iter().any(|(is, _)| is(c))) {
        pool += 64.0; // spaces and what other alphabets have in everyday use
    }
    let follows = chars.windows(2).filter(|pair| matches!(pair, [a, b] if is_step(*a, *b))).count();
    let mut different = Zeroizing::new(chars.to_vec());
    different.sort_unstable();
    different.dedup();
    let surprising = (chars.len() - follows) as f64 + follows as f64 / 4.0;
    let bits = surprising.min(2.0 * different.len() as f64) * pool.max(2.0).log2();
    match bits {
        b if b < 45.0 => Strength::Weak,
        b if b < 60.0 => Strength::Fair,
        b if b < 80.0 => Strength::Good,
        _ => Strength::Strong,
    }
}

/// Whether `b` is what one expects after `a`.
fn is_step(a: char, b: char) -> bool {
    const ROWS: [&str; 5] =
        ["abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm"];
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    let adjacent =
        |row: &&str| row.chars().zip(row.chars().skip(1)).any(|pair| pair == (a, b) || pair == (b, a));
    a == b || ROWS.iter().any(adjacent)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::policy::GUIDE;

    fn flaws(text: &str, user: &str) -> Vec<Flaw> {
        match check(&Secret::from(text), user, GUIDE) {
            Ok(_) => Vec::new(),
            Err(Error::Password { flaws, .. }) => flaws,
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn the_guides_rule() {
        assert_eq!(flaws("Correct7Horse", "admin"), []);
        assert_eq!(flaws("Correct Horse!", "admin"), []);
        assert_eq!(flaws("Sh0rt!x", "admin"), [Flaw::TooShort(8)]);
        assert_eq!(flaws("nothing-upper", "admin"), [Flaw::Upper(1)]);
        assert_eq!(flaws("NOTHING-LOWER", "admin"), [Flaw::Lower(1)]);
        assert_eq!(flaws("JustLetters", "admin"), [Flaw::DigitsOrSymbols(1)]);
        assert_eq!(
            flaws("", "admin"),
            [Flaw::TooShort(8), Flaw::Lower(1), Flaw::Upper(1), Flaw::DigitsOrSymbols(1)]
        );
        assert_eq!(flaws(&"Ab1".repeat(400), "admin"), [Flaw::TooLong]);
        for bad in ["Line\nBreak77", "Nul\0Inside77", "Ends with 1\n"] {
            assert_eq!(flaws(bad, "admin"), [Flaw::Control], "{bad:?}");
        }
    }

    #[test]
    fn a_stricter_policy_asks_for_more() {
        let asked = Complexity { chars: 12, lower: 2, upper: 3, digits_or_symbols: 2 };
        let of = |text: &str| match check(&Secret::from(text), "operator", asked) {
            Ok(_) => Vec::new(),
            Err(Error::Password { flaws, asked: told }) => {
                assert_eq!(told, asked);
                flaws
            }
            Err(other) => panic!("{other}"),
        };
        assert_eq!(of("CoRReCt7-Horse"), []);
        assert_eq!(of("Correct7Horse"), [Flaw::Upper(3), Flaw::DigitsOrSymbols(2)]);
        assert_eq!(of("CORRECTHORs"), [Flaw::TooShort(12), Flaw::Lower(2), Flaw::DigitsOrSymbols(2)]);
        let told = [Flaw::Upper(3), Flaw::Lower(2), Flaw::DigitsOrSymbols(2)].map(|flaw| flaw.to_string());
        assert!(told.iter().all(|flaw| flaw.starts_with("it has fewer than ")), "{told:?}");
        assert_eq!(
            rule(asked),
            "At least 12 characters with 2 lower-case letters, 3 upper-case letters and 2 digits or symbols; not \
             the user's name and no well-known default."
        );
        assert!(
            rule(GUIDE)
                .starts_with("At least 8 characters with a lower-case letter, an upper-case letter and a ")
        );
    }

    #[test]
    fn defaults_are_refused_however_dressed() {
        for bad in [
            "Admin123!",
            "Demisto1!",
            "Password1",
            "P@ssw0rd",
            "P@ssw0rd2024!",
            "Xsoar2024",
            "ChangeMe!",
            "Changeit99",
            "!!Welcome1",
            "Demist0!",
            "Demist01!",
            "4Dm1n#99",
            "Qwerty123",
            "AdminAdmin1",
            "D3m1st0#2",
            "Passw0rdPassw0rd",
        ] {
            assert!(flaws(bad, "operator").contains(&Flaw::Known), "{bad}");
        }
        for good in ["Adm1ral-Nelson", "Passing-Cloud9", "Testament77x", "Demisto-River-7"] {
            assert!(!flaws(good, "operator").contains(&Flaw::Known), "{good}");
        }
    }

    #[test]
    fn the_users_name_is_no_password() {
        assert_eq!(flaws("Operator1", "operator"), [Flaw::IsName]);
        assert_eq!(flaws("Rotarepo1", "operator"), [Flaw::IsName]);
        assert_eq!(flaws("J.Doe77!", "j.doe"), [Flaw::IsName]);
        assert_eq!(flaws("My-Operator-Pw1", "OPERATOR"), [Flaw::HasName]);
        assert_eq!(flaws("Bob12345!", "bob"), [Flaw::IsName]);
        assert_eq!(flaws("Bobsleigh-77", "bob"), []);
        assert_eq!(flaws("Correct7Horse", ""), []);
        assert_eq!(flaws("Correct7Horse", "7"), []);
    }

    #[test]
    fn strength_is_plausible() {
        let of = |text| check(&Secret::from(text), "operator", GUIDE).unwrap();
        assert_eq!(of("Abcdefg1"), Strength::Weak);
        assert_eq!(of("Aaaaaaaaaaaaaaaaaaaaaaa1"), Strength::Weak);
        assert_eq!(of("xK7pZ2vM"), Strength::Fair);
        assert_eq!(of("xK7!pQ2vM-z"), Strength::Good);
        assert_eq!(of("Correct-Horse-7-Battery"), Strength::Strong);
    }

    #[test]
    fn one_line_break_is_taken_off() {
        let read = |bytes: &[u8]| parse_password(bytes.to_vec()).map(|s| s.expose_secret().to_owned());
        assert_eq!(read(b"Abc\n").unwrap(), "Abc");
        assert_eq!(read(b"Abc\r\n").unwrap(), "Abc");
        assert_eq!(read(b"Abc\n\n").unwrap(), "Abc\n");
        assert_eq!(read(b" Abc ").unwrap(), " Abc ");
        assert_eq!(read(b"").unwrap(), "");
        assert_eq!(read(b"\xff\xfe"), Err(Error::PasswordEncoding));
    }

    #[test]
    fn an_error_does_not_repeat_the_password() {
        let error = check(&Secret::from("tiger"), "operator", GUIDE).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("tiger"));
    }

    proptest! {
        #[test]
        fn what_is_accepted_meets_the_rule(text in any::<String>(), user in any::<String>()) {
            if check(&Secret::from(text.as_str()), &user, GUIDE).is_ok() {
                prop_assert!(text.chars().count() >= 8 && text.len() <= MAX_BYTES);
                prop_assert!(!text.chars().any(char::is_control));
            }
        }

        #[test]
        fn letters_at_the_end_never_weaken(text in "[a-zA-Z0-9]{8,20}") {
            let longer = format!("{text}~x");
            prop_assert!(strength(&longer) >= strength(&text), "{} {}", text, longer);
        }
    }
}
