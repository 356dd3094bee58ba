//! The password policy for the product's own users: the one home of its keys, its numbers, and of what is
//! weaker than they are.
//!
//! The values are those of the guide's table ("Password Complexity Management"). The keys are those of the
//! Administrator Guide 6.9 ("Edit a Default Password Policy", "Default Password Policy Keys") and 6.10 ("Users
//! and Roles Server Configurations"). `MinPasswordLength` and `MinDigitsOrSymbols` stand there without the
//! prefix; that they have it, as the others do, is derived.
//! The server reads them when it is installed or upgraded; what is set on its web page after that is kept in
//! its database and counts more.

use serde::Serialize;
use serde_json::Value;

use super::Result;
use super::tree::Document;

/// What every key of the policy begins with.
pub const PREFIX: &str = "password.policy.default.";

/// What a password has to have, at least. Numbers of characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Complexity {
    /// Characters of all kinds.
    pub chars: u32,
    /// Lower-case letters.
    pub lower: u32,
    /// Upper-case letters.
    pub upper: u32,
    /// Digits or symbols.
    pub digits_or_symbols: u32,
}

/// What the guide asks of passwords.
pub const GUIDE: Complexity = Complexity { chars: 8, lower: 1, upper: 1, digits_or_symbols: 1 };

/// What a value of the policy may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `true`; anything else is weaker.
    On,
    /// A number from this on.
    AtLeast(u32),
    /// A number from 1 to this; 0 turns it off.
    AtMost(u32),
    /// The number 0: anything else is weaker.
    Never,
    /// Any number; 0 turns it off, which the guide does.
    Number,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// A row of the guide's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The key after [`PREFIX`].
    pub name: &'static str,
    /// What it is about, for people.
    pub title: &'static str,
    /// What may be set.
    pub form: Form,
    /// The option of `config password-policy set` that sets it.
    pub option: &'static str,
    /// Another spelling of the name in the same documents.
    pub other: Option<&'static str>,
}

/// The table, in the guide's order.
pub const ROWS: [Row; 10] = [
    row("Enabled", "Enable password policy", Form::On, "enabled"),
    row("MinPasswordLength", "Minimum number of characters", Form::AtLeast(GUIDE.chars), "min-length"),
    row("MinLowercaseChars", "Minimum number of lowercase letters", Form::AtLeast(GUIDE.lower), "min-lower"),
    row("MinUppercaseChars", "Minimum number of uppercase letters", Form::AtLeast(GUIDE.upper), "min-upper"),
    row(
        "MinDigitsOrSymbols",
        "Minimum number of digits or symbols",
        Form::AtLeast(GUIDE.digits_or_symbols),
        "min-digits-or-symbols",
    ),
    row("ExpireAfter", "Password must be changed every", Form::Number, "expire-after"),
    row("ExpireUnit", "Unit of that time", Form::Word(&["month", "week", "day"]), "expire-unit"),
    Row {
        other: Some("PreventRepitition"),
        ..row("PreventRepetition", "Prevent password repetition", Form::On, "prevent-repetition")
    },
    row("MaxFailedLoginAttempts", "Lock out user after failed logins", Form::AtMost(10), "max-failed-logins"),
    Row {
        other: Some("SetUnlockAfterMinutes"),
        ..row("SelfUnlockAfterMinutes", "Unlock by itself after minutes", Form::Never, "unlock-after")
    },
];

const fn row(name: &'static str, title: &'static str, form: Form, option: &'static str) -> Row {
    Row { name, title, form, option, other: None }
}

impl Row {
    /// The whole key.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }

    /// The guide's value, which is also the product's default.
    #[must_use]
    pub fn default(&self) -> Value {
        match self.form {
            Form::On => true.into(),
            Form::AtLeast(number) | Form::AtMost(number) => number.into(),
            Form::Never | Form::Number => 0.into(),
            Form::Word(words) => words.first().copied().into(),
        }
    }

    /// Why a value is none for this row, or weaker than the guide's; `None` when it is good.
    #[must_use]
    pub fn objection(&self, value: &Value) -> Option<String> {
        let number = value.as_u64();
        let why = match self.form {
            Form::On if value.is_boolean() => (value == false).then(|| "the guide has it on".to_owned()),
            Form::On => Some("true or false is needed, without quotes".to_owned()),
            Form::Word(words) => {
                let known = value.as_str().is_some_and(|word| words.contains(&word));
                (!known).then(|| format!("one of {} is needed", words.join(", ")))
            }
            _ if number.is_none() => Some("a whole number is needed, without quotes".to_owned()),
            Form::AtLeast(least) => (number < Some(u64::from(least)))
                .then(|| format!("the guide has {least}, and less is weaker")),
            Form::AtMost(_) if number == Some(0) => {
                Some("0 turns it off, and the guide has it on".to_owned())
            }
            Form::AtMost(most) => {
                (number > Some(u64::from(most))).then(|| format!("the guide has {most}, and more is weaker"))
            }
            Form::Never => {
                (number != Some(0)).then(|| "the guide lets an administrator unlock only".to_owned())
            }
            Form::Number => None,
        };
        why.map(|why| format!("{} is {value}: {why}", self.key()))
    }

    /// Whether a value is of the kind that the row takes, however weak.
    fn takes(&self, value: &Value) -> bool {
        match self.form {
            Form::On => value.is_boolean(),
            Form::Word(words) => value.as_str().is_some_and(|word| words.contains(&word)),
            _ => value.is_u64(),
        }
    }
}

/// A row as a configuration has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The row.
    pub row: Row,
    /// What the configuration sets.
    pub configured: Option<Value>,
    /// What counts when the server reads it: what is set if it is of the right kind, else the default.
    pub effective: Value,
    /// What is to be said against it.
    pub objection: Option<String>,
}

/// The policy as a configuration has it, row by row.
///
/// # Errors
/// When the text is no JSON object.
pub fn lines(text: &str) -> Result<Vec<Line>> {
    let document = Document::parse(text)?;
    let value = |name: &str| {
        let node = document.value(&format!("{PREFIX}{name}").to_ascii_lowercase());
        node.and_then(|node| serde_json::from_str::<Value>(document.raw(node)).ok())
    };
    let line = |row: &Row| {
        let configured = value(row.name).or_else(|| row.other.and_then(value));
        let fits = configured.clone().filter(|value| row.takes(value));
        let objection = configured.as_ref().and_then(|value| row.objection(value));
        Line { row: *row, effective: fits.unwrap_or_else(|| row.default()), configured, objection }
    };
    Ok(ROWS.iter().map(line).collect())
}

/// What passwords have to have on a host with this configuration: the guide's numbers, or what is set where
/// that is stricter.
///
/// # Errors
/// When the text is no JSON object.
pub fn complexity(text: &str) -> Result<Complexity> {
    let lines = lines(text)?;
    let number = |name: &str, least: u32| {
        let line = lines.iter().find(|line| line.row.name == name);
        let set = line.and_then(|line| line.effective.as_u64()).and_then(|n| u32::try_from(n).ok());
        set.unwrap_or(least).max(least)
    };
    Ok(Complexity {
        chars: number("MinPasswordLength", GUIDE.chars),
        lower: number("MinLowercaseChars", GUIDE.lower),
        upper: number("MinUppercaseChars", GUIDE.upper),
        digits_or_symbols: number("MinDigitsOrSymbols", GUIDE.digits_or_symbols),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(name: &str) -> Row {
        ROWS.into_iter().find(|row| row.name == name).unwrap()
    }

    #[test]
    fn the_guides_values_are_good_and_weaker_ones_are_not() {
        for row in ROWS {
            assert_eq!(row.objection(&row.default()), None, "{}", row.name);
        }
        for (name, good, weak) in [
            ("Enabled", vec![], vec![json!(false), json!("true"), json!(1)]),
            (
                "MinPasswordLength",
                vec![json!(12)],
                vec![json!(7), json!(0), json!("12"), json!(-8), json!(8.5)],
            ),
            ("MinDigitsOrSymbols", vec![json!(2)], vec![json!(0)]),
            ("ExpireAfter", vec![json!(3)], vec![json!("3"), json!(null)]),
            ("ExpireUnit", vec![json!("day")], vec![json!("Month"), json!(1)]),
            ("PreventRepetition", vec![], vec![json!(false)]),
            ("MaxFailedLoginAttempts", vec![json!(1), json!(5)], vec![json!(0), json!(11)]),
            ("SelfUnlockAfterMinutes", vec![], vec![json!(30)]),
        ] {
            for value in good {
                assert_eq!(of(name).objection(&value), None, "{name}");
            }
            for value in weak {
                let why = of(name).objection(&value).unwrap_or_default();
                assert!(why.starts_with(&of(name).key()), "{name} {value}: {why}");
            }
        }
    }

    #[test]
    fn what_is_set_counts_unless_it_is_of_another_kind() {
        let text = r#"{"password": {"policy.default": {"minpasswordlength": 12, "MinUppercaseChars": "3"}},
            "Password.Policy.Default.PreventRepitition": false, "password.policy.default.minlowercasechars": 0}"#;
        let lines = lines(text).unwrap();
        let line = |name: &str| lines.iter().find(|line| line.row.name == name).unwrap();
        assert_eq!(line("MinPasswordLength").effective, json!(12));
        assert_eq!(line("MinUppercaseChars").effective, json!(1));
        assert!(line("MinUppercaseChars").objection.is_some());
        assert_eq!(line("PreventRepetition").configured, Some(json!(false)));
        assert_eq!(line("Enabled").configured, None);
        let found = complexity(text).unwrap();
        assert_eq!(found, Complexity { chars: 12, ..GUIDE }, "never below the guide's");
        assert_eq!(complexity("{}").unwrap(), GUIDE);
        assert!(complexity("[").is_err());
    }
}
