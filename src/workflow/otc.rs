//! The one-time configuration: shown, written, removed.
