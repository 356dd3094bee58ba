//! The verbs: each joins the rooms below to do what one command promises.
//!
//! In: settings that are complete. Out: a report that can be printed or serialized.
//! Never asks, prints or ends the process: the front room does.
#![forbid(unsafe_code)]

pub mod keys;
