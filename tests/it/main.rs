//! Integration tests.

mod policy;
mod support;
