use super::password::Flaw;
use crate::config::policy::Complexity;

/// An answer that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The answers file is no JSON object of the expected shape.
    #[error("the answers file is not valid in line {line}, column {column}: {why}")]
    Answers {
        /// What is wrong.
        why: String,
        /// Line, counted from 1.
        line: usize,
        /// Column, counted from 1.
        column: usize,
    },
    /// A key that no question has.
    #[error(
        "the answers file has an unknown key {key:?} in line {line}, column {column}{}",
        meant.map(|m| format!("; did you mean {m:?}?")).unwrap_or_default()
    )]
    UnknownKey {
        /// The key as written.
        key: String,
        /// The key that it resembles, if one does.
        meant: Option<&'static str>,
        /// Line, counted from 1.
        line: usize,
        /// Column, counted from 1.
        column: usize,
    },
    /// A key that looks as if a secret belonged to it.
    #[error(
        "the answers file has a key {key:?} in line {line}, column {column}, but secrets have no place \
         in an answers file; the password comes from --admin-password-file"
    )]
    SecretKey {
        /// The key as written.
        key: String,
        /// Line, counted from 1.
        line: usize,
        /// Column, counted from 1.
        column: usize,
    },
    /// Answers that nobody gave and that have no default.
    #[error("no answer for {}", keys.join(", "))]
    Missing {
        /// Their keys.
        keys: Vec<&'static str>,
    },
    /// The licence agreement was declined.
    #[error("the End User License Agreement was not accepted")]
    Declined,
    /// Not a port.
    #[error("{text:?} is not a port: {why}")]
    Port {
        /// The text as given.
        text: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// Not a name for the administrator.
    #[error("{text:?} cannot be the admin user's name: {why}")]
    AdminName {
        /// The text as given.
        text: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// A password that breaks the rule. Nothing here tells what the password is.
    #[error("the password is refused: {}", list(flaws))]
    Password {
        /// All that is wrong with it.
        flaws: Vec<Flaw>,
        /// What passwords have to have here.
        asked: Complexity,
    },
    /// A password that is no text.
    #[error("the password is not valid UTF-8 text")]
    PasswordEncoding,
}

/// A result of this room.
pub type Result<T> = std::result::Result<T, Error>;

fn list(flaws: &[Flaw]) -> String {
    flaws.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
