//! `ca` in scratch roots.
