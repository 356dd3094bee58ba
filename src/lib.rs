//! The signed installer of the Cortex XSOAR (Demisto) server and engine.
//!
//! The library is a house of floors; a room (a top-level module) imports only rooms on lower
//! floors. `tests/it/floors.rs` holds the table, `docs/architecture.md` the reasons.

pub mod cli;
pub mod event;
pub mod pack;
pub mod sys;
pub mod trust;
pub mod types;
pub mod verify;
pub mod workflow;
