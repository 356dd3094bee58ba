//! Certificates: made, converted, checked, installed, probed.

pub mod check;
pub mod install;
pub mod live_backup;
pub mod make;
pub mod mutual;
pub mod pair;
pub mod probe;
