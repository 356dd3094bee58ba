//! The door to the operating system: files, processes, environment, clock, signals.
//!
//! In: paths and names. Out: handles and values, or an [`Error`] that names what was tried on what.
//! All `unsafe`, all file, process and environment calls of the program are here. Must never
//! follow a symbolic link in a directory that somebody else can write.

pub mod alert;
pub mod attributes;
pub mod clock;
pub mod clone;
pub mod confine;
pub mod dir;
pub mod env;
mod error;
pub mod fault;
pub mod fresh;
pub mod fs;
pub mod helper;
pub mod http;
pub mod init;
pub mod io;
pub mod lock;
pub mod mounts;
pub mod net;
pub mod parallel;
pub mod process;
pub mod signal;
pub mod tcp;
pub mod tty;
pub mod walk;
pub mod xattr;

pub use error::{Error, Result};
