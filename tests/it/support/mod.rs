//! What several tests need.

pub(crate) mod pgp;
//! What the tests share.

pub(crate) mod container;
