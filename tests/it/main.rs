//! Integration tests.

mod prompts;
