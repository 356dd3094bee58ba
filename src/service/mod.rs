//! The service manager: units, and whether a service works.
//!
//! In: unit names. Out: their state. Never edits a unit's text.
#![forbid(unsafe_code)]

mod connection;
mod health;
pub mod logs;
mod systemd;

pub use connection::{Engine, Log, await_connection};
pub use health::{Healthy, Probe, RunLog, Wanted, await_health, probe, run_id, shown_on};
pub use systemd::{
    State, daemon_reload, disable, enable, is_enabled, is_loaded, log_tail, start, state, stop,
};
