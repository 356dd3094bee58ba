//! `cert probe` against real servers and responders.
