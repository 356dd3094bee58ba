//! Integration tests.

mod policy;
mod support;
mod prompts;
