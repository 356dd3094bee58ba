use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "`CODES` says what each means")]
pub enum Exit {
    Done,
    Failed,
    Usage,
    Refused,
    Blocked,
    NotRestored,
    Busy,
    Pending,
    Signal(i32),
}

/// Every code with its meaning: the table of docs/exit-codes.md and of `--help`.
pub const CODES: [(u8, &str); 8] = [
    (0, "done, or nothing to do"),
    (1, "failed; the system is unchanged or was restored"),
    (2, "wrong use, or an answer is missing"),
    (3, "refused: signature, digest, trust or downgrade"),
    (4, "the host is not fit, or is not as it was installed"),
    (5, "failed and not fully restored: run `demisto-install recover`"),
    (6, "another run is at work"),
    (7, "changes are pending (`plan --detailed-exitcode`)"),
];

/// The table for `--help`.
pub(super) const HELP: &str = "\
Exit codes:
  0  done, or nothing to do
  1  failed; the system is unchanged or was restored
  2  wrong use, or an answer is missing
  3  refused: signature, digest, trust or downgrade
  4  the host is not fit, or is not as it was installed
  5  failed and not fully restored: run `demisto-install recover`
  6  another run is at work
  7  changes are pending (`plan --detailed-exitcode`)
  128+n  ended by signal n";

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Blocked => 4,
            Self::NotRestored => 5,
            Self::Busy => 6,
            Self::Pending => 7,
            Self::Signal(signal) => u8::try_from(signal.clamp(0, 127)).unwrap_or(127) | 0x80,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_and_table_agree() {
        for (code, meaning) in CODES {
            assert!(HELP.contains(&format!("\n  {code}  {meaning}")), "{code}");
        }
        assert_eq!(Exit::Signal(2).code(), 130);
        assert_eq!(Exit::Signal(15).code(), 143);
    }
}
