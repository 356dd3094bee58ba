//! What a person is asked before an installation, and which answers are good.
//!
//! In: typed text, the bytes of an answers file, a password. Out: [`Answers`], a password's
//! [`password::Strength`], or an [`Error`] that says everything that is wrong at once.
//! Never touches files, clock, environment or terminal; never keeps a password with the answers.
#![forbid(unsafe_code)]

mod answers;
mod error;
mod field;
pub mod password;

pub use answers::{Answers, Partial};
pub use error::{Error, Result};
pub use field::{check_admin_name, check_port};
pub use password::parse_password;

/// The port that the server listens on unless told.
pub const DEFAULT_PORT: u16 = 443;
/// The name of the first administrator unless told.
pub const DEFAULT_ADMIN: &str = "admin";
