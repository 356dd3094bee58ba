//! Integration tests.

mod policy;
mod support;
mod prompts;
//! Tests of whole programs, with the real tools around them.

mod reference_product;
//! Integration tests. Those under `e2e` boot containers and need root; docs/testing.md tells more.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests look at the system without `sys`, which is what they test"
)]
#![allow(clippy::print_stderr, reason = "helpers tell what they could not clean up")]

mod e2e;
