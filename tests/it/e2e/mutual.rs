//! Mutual authentication with a real browser.
