//! The authorities that the host trusts.
