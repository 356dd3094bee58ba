//! Integration tests: whole programs with the real tools around them. Those under `e2e` boot
//! containers and need root; docs/testing.md tells more.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests look at the system without `sys`, which is what they test"
)]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "helpers tell what they could not clean up")]

mod support;

mod attacker;
mod audit;
mod ca;
mod careless;
mod cert_check;
mod cert_install;
mod cert_make;
mod cert_probe;
mod clone;
mod config_check;
mod config_set;
mod crash;
mod crash_cert;
mod crash_engine;
mod crash_repair;
mod crash_snapshot;
mod crash_upgrade;
mod docs;
mod e2e;
mod engine;
mod floors;
mod fuzz;
mod golden;
mod install;
mod keys;
mod killed_from_outside;
mod large_package;
mod logs;
mod lost_writes;
mod makeself;
mod otc;
mod pack_rpm;
mod package_install;
mod policy;
mod policy_sets;
mod preflight;
mod prompts;
mod record;
mod reference_product;
mod repair;
mod rotation;
mod rpmfile;
mod secrets;
mod signer;
mod snapshot;
mod tamper;
mod upgrade;
mod verdicts;
mod xdr;
