//! What the tests share.

pub(crate) mod container;
pub(crate) mod disk;
pub(crate) mod installer;
pub(crate) mod loops;
pub(crate) mod package;
pub(crate) mod pgp;
pub(crate) mod trace;
