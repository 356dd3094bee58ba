//! Conducts the rooms below: one file for each thing that a user can ask for.
//!
//! In: what the front room gathered. Out: outcomes as plain data. Never prints and never asks.
#![forbid(unsafe_code)]

pub mod audit;
pub mod ca;
pub mod cert;
pub mod change;
pub mod config;
pub mod drift;
pub mod engine;
pub mod facts;
pub mod inspect;
pub mod install;
pub mod keys;
mod log;
pub mod otc;
pub mod package;
pub mod preflight;
pub mod record;
pub mod repair;
pub mod rollback;
mod session;
pub mod settings;
pub mod snapshot;
pub mod status;
pub mod uninstall;
pub mod upgrade;
pub mod verify;
pub mod wait;
pub mod wrapper;
pub mod xdr;

pub use log::Recorder;
pub use session::{Error, Session, require_approved};
