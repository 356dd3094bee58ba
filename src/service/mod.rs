//! The service manager: units, and whether a service works.
//!
//! In: unit names. Out: their state. Never edits a unit's text.
#![forbid(unsafe_code)]

mod connection;
mod health;
mod login;
pub mod logs;
mod systemd;

pub use connection::{Engine, Log, await_connection};
pub use health::{Healthy, Probe, RunLog, Wanted, await_health, probe, run_id, shown_on};
pub use login::login;
pub use systemd::{
    State, daemon_reload, disable, enable, is_enabled, log_tail, properties, start, state, stop,
};
