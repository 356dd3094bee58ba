//! Integration tests.

mod keys;
mod policy;
mod policy_sets;
mod signer;
mod support;
