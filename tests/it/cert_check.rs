//! `cert check`: the table of certificate sets.
