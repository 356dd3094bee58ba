//! Integration tests.

mod policy;
mod support;
mod prompts;
//! Tests of whole programs, with the real tools around them.

mod reference_product;
