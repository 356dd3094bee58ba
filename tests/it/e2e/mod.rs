//! End to end: the real program in a container with a booted systemd. `scripts/test --quick` leaves these out.

mod audit;
mod authorities;
mod bundle;
mod certificates;
mod config;
mod container;
mod engine;
mod engine_package;
mod logs;
mod mutual;
mod package;
mod packages;
mod preflight;
mod repair;
mod service;
mod snapshot;
mod upgrade;
mod upgrade_fails;
mod upgrade_killed;
