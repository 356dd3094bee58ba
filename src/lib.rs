//! The signed installer of the Cortex XSOAR (Demisto) server and engine.
//!
//! The library is a house of floors; a room (a top-level module) imports only rooms on lower
//! floors. `tests/it/floors.rs` holds the table, `docs/architecture.md` the reasons.

pub mod apply;
pub mod archive;
pub mod audit;
pub mod bundle;
pub mod certs;
pub mod cli;
pub mod config;
pub mod event;
pub mod host;
pub mod journal;
pub mod makeself;
pub mod manifest;
pub mod pack;
pub mod plan;
pub mod preflight;
pub mod probe;
pub mod product;
pub mod productlog;
pub mod prompt;
pub mod receipt;
pub mod record;
pub mod release;
pub mod report;
pub mod retained;
pub mod rpmfile;
pub mod service;
pub mod snapshot;
pub mod source;
pub mod sys;
pub mod trust;
pub mod types;
pub mod unpack;
pub mod verify;
pub mod workflow;
