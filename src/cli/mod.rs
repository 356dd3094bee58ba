//! The front room: arguments, questions, progress, messages and exit codes.
//!
//! In: the arguments and the terminal. Out: calls of the rooms below, words on the terminal, one
//! exit code. Must never change the system by itself, and never print or log a secret.
#![forbid(unsafe_code)]

pub mod ask;
pub mod legacy;
mod mask;
pub mod password;
pub mod progress;

/// Runs the program.
#[must_use]
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
