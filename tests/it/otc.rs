//! `otc` in a scratch root.
