//! The front: arguments in, words and an exit code out.
//!
//! In: what the user typed. Out: what the user reads.
//! Never does the work itself.
#![forbid(unsafe_code)]

pub mod keys;

/// Runs the program.
#[must_use]
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
