//! Integration tests.

mod policy;
mod policy_sets;
mod signer;
mod support;
